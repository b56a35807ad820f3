//! `hallmark order`: look at orders.

use super::{Error, block_on, chain::connect, write};
use crate::cli::OrderCommand;
use crate::output::{Reporter, mark};
use alloy_primitives::U256;
use hallmark_client::{Order, OrderReceipt};

pub fn run(command: OrderCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        OrderCommand::Show { id, receipt, chain } => block_on(async {
            let client = connect(&chain).await?;
            let order = client.get_order(U256::from(id)).await?;
            if let Some(path) = receipt {
                let file = OrderReceipt::build(&client, order.id).await?;
                write(&path, &serde_json::to_vec_pretty(&file)?)?;
                report.say(format!("receipt written to {}", path.display()));
            }
            report.result(describe(&order), &serde_json::to_value(&order)?);
            Ok(())
        }),
        OrderCommand::List { last, chain } => block_on(async {
            let client = connect(&chain).await?;
            let orders = client.orders(last.min(1000)).await?;
            let lines: Vec<String> = orders
                .iter()
                .map(|o| {
                    format!(
                        "{:>6}  {:<9}  {:>12} MARK  {}",
                        o.id,
                        o.status,
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

fn describe(o: &Order) -> String {
    format!(
        "order {}: {}\nmodel      {}\nlevel      {}\nbuyer      {}\nprice      {} MARK (owner {} bps, network {} bps)\ndeadline   {} ms\nseller     {}\nbond       {} MARK\nwindow end {} ms\nanchor     {}\ninput      {}\noutput     {}",
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
