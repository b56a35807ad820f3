//! `hallmark verify`: a receipt, checked without any node.

use super::{Error, chain::trusted_spec, read_short};
use crate::{cli::VerifyArgs, output::Reporter, output::mark};
use hallmark_client::{OrderReceipt, receipt};
use serde_json::json;

pub fn run(args: VerifyArgs, report: &Reporter) -> Result<(), Error> {
    let spec = trusted_spec(args.spec.as_deref())?;
    let file = OrderReceipt::from_json(&read_short(&args.receipt)?)
        .map_err(|e| Error::at(args.receipt.display(), e))?;
    let started = std::time::Instant::now();
    let verified = receipt::verify(&file, &spec)
        .map_err(|e| Error::at(args.receipt.display(), format!("refused: {e}")))?;
    let elapsed = started.elapsed();
    let text = format!(
        "order {} is paid and proven\n  \
         certificate     {} of {} validators' chain {} finalized block {} ({})\n  \
         inclusion       delivery {} succeeded in that block\n  \
         proof           {} bytes, model {} ran on the {}\n  \
         output          {}\n  \
         paid            seller {} MARK, owner {} MARK, network {} MARK\n  \
         checked in      {:.1} ms",
        verified.order_id,
        spec.validators.len() - (spec.validators.len() - 1) / 3,
        spec.validators.len(),
        spec.chain_id,
        verified.block_number,
        verified.block_hash,
        verified.transaction,
        verified.proof_bytes,
        verified.model,
        match verified.commitment {
            Some(_) => "input that the buyer committed to",
            None => "ordered input",
        },
        verified.output.as_ref().map_or_else(
            || "masked; its buyer can unmask it".to_owned(),
            |output| format!("{output:?}"),
        ),
        mark(verified.to_seller),
        mark(verified.to_owner),
        mark(verified.to_network),
        elapsed.as_secs_f64() * 1e3,
    );
    report.result(
        text,
        &json!({
            "verified": true,
            "orderId": verified.order_id,
            "model": verified.model,
            "buyer": verified.buyer,
            "seller": verified.seller,
            "blockNumber": verified.block_number,
            "blockHash": verified.block_hash,
            "transaction": verified.transaction,
            "mode": if verified.commitment.is_some() { "sealed" } else { "public" },
            "commitment": verified.commitment,
            "output": verified.output,
            "proofBytes": verified.proof_bytes,
        }),
    );
    Ok(())
}
