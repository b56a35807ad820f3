//! Checks a receipt against a chain spec, without a node.

use super::{OrderReceipt, ReceiptError, VerifiedReceipt};
use hallmark_types::ChainSpec;

/// Checks everything; trust starts from `spec`, never from the receipt.
pub fn verify(receipt: &OrderReceipt, spec: &ChainSpec) -> Result<VerifiedReceipt, ReceiptError> {
    let _ = (receipt, spec);
    todo!()
}
