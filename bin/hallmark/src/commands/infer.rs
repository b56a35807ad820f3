//! `hallmark infer`: order, wait, open the output, write the receipt.

use super::{Error, block_on, chain::connect_signed, write};
use crate::cli::{self, InferArgs};
use crate::output::{Reporter, mark};
use hallmark_client::{Level, OrderReceipt};
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
        let bytes = graph.encode_input(&input);

        let spinner = report.spinner("ordering");
        let started = Instant::now();
        let deadline = client.now_ms().await? + args.deadline.saturating_mul(1000);
        let placed = client.order(model.id, level, &bytes, deadline).await?;
        spinner.set_message(format!("order {} placed, waiting for its proof", placed.id));
        let paid = client
            .wait_paid(
                placed.id,
                Duration::from_secs(args.deadline.saturating_add(30)),
            )
            .await?;
        let elapsed = started.elapsed();
        spinner.finish_and_clear();

        let output = graph.decode_output(&paid.output)?;
        let values = hallmark_onnx::dequantize(graph, &output);
        let receipt_path = match &args.receipt {
            Some(path) => path.clone(),
            None => format!("order-{}.json", placed.id).into(),
        };
        let receipt = OrderReceipt::build(&client, placed.id).await?;
        write(&receipt_path, &serde_json::to_vec_pretty(&receipt)?)?;

        let class = argmax(&output);
        report.result(
            format!(
                "order {} paid in {:.2} s by {}\noutput {:?}\nlargest at {}\nprice {} MARK\nreceipt {}",
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
                "output": values, "output_int": output, "argmax": class,
                "order_to_paid_ms": elapsed.as_millis() as u64,
                "transaction": paid.transaction, "block": paid.block_number,
                "receipt": receipt_path,
            }),
        );
        Ok(())
    })
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
