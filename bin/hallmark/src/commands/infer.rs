//! `hallmark infer`: order, wait, open the output, write the receipt.

use super::{Error, block_on, chain::connect_signed, write};
use crate::cli::{self, InferArgs};
use crate::output::{Reporter, mark};
use alloy_primitives::{Address, U256};
use hallmark_client::{Client, Level, ModelRecord, OrderReceipt, SealedOrder, SecretStore};
use hallmark_proof::VerifyingKey;
use serde_json::json;
use std::time::{Duration, Instant};

pub fn run(args: InferArgs, report: &Reporter) -> Result<(), Error> {
    let level = match args.level {
        cli::Level::Trusted => Level::Trusted,
        cli::Level::Audited => Level::Audited,
        cli::Level::Exact => Level::Exact,
        cli::Level::Proven => Level::Proven,
    };
    block_on(async {
        let client = connect_signed(&args.chain, &args.key).await?;
        let model = client.find_model(&args.model).await?;
        let key = VerifyingKey::decode(&client.model_key(model.id).await?)?;
        let graph = key.graph();
        // Everything that can be wrong with the input is found before any money moves.
        let input = super::zk::one_input(graph, &args.input)?;
        let deadline_ms = client.now_ms().await? + args.deadline.saturating_mul(1000);
        let started = Instant::now();
        let sellers = named_sellers(&client, &args, &model).await?;
        let order = SealedOrder {
            model: model.id,
            level,
            graph,
            input: &input,
            sellers: &sellers,
            deadline_ms,
        };
        let spinner = report.spinner("ordering");
        let (placed, store) = if args.public {
            let bytes = graph.encode_input(&input);
            let placed = client.order(model.id, level, &bytes, deadline_ms).await?;
            (placed, None)
        } else {
            let store = SecretStore::open(&args.secrets.secrets)?;
            let placed = client.order_sealed(&order, &store).await?;
            (placed, Some(store))
        };
        spinner.set_message(format!("order {} placed, waiting for its proof", placed.id));
        let wait = Duration::from_secs(args.deadline.saturating_add(30));
        let paid = client.wait_paid(placed.id, wait).await?;
        let elapsed = started.elapsed();
        spinner.finish_and_clear();

        let output = match &store {
            Some(store) => client.open_output(placed.id, graph, store).await?,
            None => graph.decode_output(&paid.output)?,
        };
        let values = hallmark_onnx::dequantize(graph, &output);
        let receipt_path = match &args.receipt {
            Some(path) => path.clone(),
            None => format!("order-{}.json", placed.id).into(),
        };
        let mut receipt = OrderReceipt::build(&client, placed.id).await?;
        if let (true, Some(store)) = (args.reveal, &store) {
            receipt = receipt.reveal(&store.load(paid.input_hash)?);
        }
        write(&receipt_path, &serde_json::to_vec_pretty(&receipt)?)?;

        let class = argmax(&output);
        let mode = match &store {
            Some(store) => sealed_text(&sellers, &args, &store.path(paid.input_hash)),
            None => "public: everyone can read input and answer".to_owned(),
        };
        report.result(
            format!(
                "order {} paid in {:.2} s by {}\n{mode}\noutput {:?}\nlargest at {}\nprice {} MARK\nreceipt {}",
                placed.id,
                elapsed.as_secs_f64(),
                paid.seller,
                values,
                class.map_or_else(|| "-".to_owned(), |c| c.to_string()),
                mark(paid.to_seller + paid.to_owner + paid.to_network),
                receipt_path.display(),
            ),
            &json!({
                "order": placed.id, "model": model.id, "seller": paid.seller,
                "mode": if args.public { "public" } else { "sealed" }, "sellers": sellers,
                "output": values, "output_int": output, "argmax": class,
                "order_to_paid_ms": elapsed.as_millis() as u64,
                "transaction": paid.transaction, "block": paid.block_number,
                "receipt": receipt_path,
                "secret": store.as_ref().map(|store| store.path(paid.input_hash)),
            }),
        );
        Ok(())
    })
}

/// Who may run a sealed order: those that were asked for, or those that the chain lists.
async fn named_sellers(
    client: &Client,
    args: &InferArgs,
    model: &ModelRecord,
) -> Result<Vec<Address>, Error> {
    if args.public || !args.sellers.is_empty() {
        return Ok(args.sellers.clone());
    }
    let price = U256::from(model.price);
    let listed = client.sellers_for_sealed_orders(price).await?;
    if listed.is_empty() {
        return Err(Error::new(
            "no seller with a free bond takes sealed orders now; wait for one, name one with --seller, or show the input to everyone with --public",
        ));
    }
    Ok(listed)
}

fn sealed_text(sellers: &[Address], args: &InferArgs, secret: &std::path::Path) -> String {
    let chosen = if args.sellers.is_empty() {
        " (all that are listed with a free bond, at most 8)"
    } else {
        ""
    };
    let names: Vec<String> = sellers.iter().map(Address::to_string).collect();
    format!(
        "sealed: hidden from the chain and the public, not from its sellers{chosen}: {}\nsecret {}",
        names.join(", "),
        secret.display(),
    )
}

/// Index of the largest value; the lowest index among equals.
pub fn argmax(values: &[i32]) -> Option<usize> {
    (0..values.len()).max_by_key(|&i| (values[i], std::cmp::Reverse(i)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ties_go_to_the_lowest_index() {
        assert_eq!(super::argmax(&[3, 7, 7, 1]), Some(1));
        assert_eq!(super::argmax(&[]), None);
    }
}
