//! `hallmark order`: look at orders.

use super::{Error, block_on, chain::connect, write};
use crate::cli::OrderCommand;
use crate::output::{Reporter, mark};
use alloy_primitives::{Address, U256};
use hallmark_client::{Order, OrderReceipt, SecretStore};
use hallmark_proof::VerifyingKey;
use serde_json::json;

pub fn run(command: OrderCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        OrderCommand::Show {
            id,
            receipt,
            reveal,
            secrets,
            chain,
        } => block_on(async {
            let client = connect(&chain).await?;
            let order = client.get_order(U256::from(id)).await?;
            if let Some(path) = receipt {
                let mut file = OrderReceipt::build(&client, order.id).await?;
                if reveal && order.is_sealed {
                    let store = SecretStore::open(&secrets.secrets)?;
                    file = file.reveal(&store.load(order.input_hash)?);
                }
                write(&path, &serde_json::to_vec_pretty(&file)?)?;
                report.say(format!("receipt written to {}", path.display()));
            }
            let sellers = client.order_sellers(order.id).await?;
            let mut value = serde_json::to_value(&order)?;
            value["mode"] = mode(&order).into();
            value["sellers"] = json!(sellers);
            report.result(describe(&order, &sellers), &value);
            Ok(())
        }),
        OrderCommand::Open { id, secrets, chain } => block_on(async {
            let client = connect(&chain).await?;
            let id = U256::from(id);
            let order = client.get_order(id).await?;
            let key = VerifyingKey::decode(&client.model_key(order.model).await?)?;
            let store = SecretStore::open(&secrets.secrets)?;
            let output = client.open_output(id, key.graph(), &store).await?;
            let values = hallmark_onnx::dequantize(key.graph(), &output);
            report.result(
                format!("order {id}\noutput {values:?}"),
                &json!({ "order": id, "output": values, "output_int": output }),
            );
            Ok(())
        }),
        OrderCommand::Sellers { model, chain } => block_on(async {
            let client = connect(&chain).await?;
            let price = U256::from(client.find_model(&model).await?.price);
            let sellers = client.sellers_for_sealed_orders(price).await?;
            let lines: Vec<String> = sellers.iter().map(Address::to_string).collect();
            report.result(
                if lines.is_empty() {
                    "no seller takes sealed orders now".to_owned()
                } else {
                    lines.join("\n")
                },
                &json!(sellers),
            );
            Ok(())
        }),
        OrderCommand::List { last, chain } => block_on(async {
            let client = connect(&chain).await?;
            let orders = client.orders(last.min(1000)).await?;
            let lines: Vec<String> = orders
                .iter()
                .map(|o| {
                    format!(
                        "{:>6}  {:<9}  {:<6}  {:>12} MARK  {}",
                        o.id,
                        o.status,
                        mode(o),
                        mark(o.price),
                        o.model
                    )
                })
                .collect();
            report.result(
                if lines.is_empty() {
                    "no orders yet".to_owned()
                } else {
                    lines.join("\n")
                },
                &serde_json::to_value(&orders)?,
            );
            Ok(())
        }),
    }
}

fn mode(order: &Order) -> &'static str {
    if order.is_sealed { "sealed" } else { "public" }
}

fn describe(o: &Order, sellers: &[Address]) -> String {
    let names: Vec<String> = sellers.iter().map(Address::to_string).collect();
    let mode = match names.as_slice() {
        [] => "public".to_owned(),
        names => format!("sealed to {}", names.join(", ")),
    };
    let input = if o.is_sealed {
        "commitment"
    } else {
        "input     "
    };
    format!(
        "order {}: {}\nmodel      {}\nlevel      {}\nmode       {mode}\nbuyer      {}\nprice      {} MARK (owner {} bps, network {} bps)\ndeadline   {} ms\nseller     {}\nbond       {} MARK\nwindow end {} ms\nanchor     {}\n{input} {}\noutput     {}",
        o.id,
        o.status,
        o.model,
        o.level,
        o.buyer,
        mark(o.price),
        o.owner_share_bps,
        o.network_bps,
        o.deadline_ms,
        o.seller,
        mark(o.bond),
        o.window_end_ms,
        o.anchor,
        o.input_hash,
        o.output_hash,
    )
}
