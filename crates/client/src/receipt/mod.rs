//! The receipt of an order: a file that proves, without a node, that the registered model gave
//! this answer to this input and that the chain checked and paid it.

mod build;
mod verify;

pub use verify::verify;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// Version of the file's layout.
pub const VERSION: u32 = 1;

/// Everything needed to check an order again. Bytes are `0x` hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderReceipt {
    /// [`VERSION`].
    pub version: u32,
    pub chain_id: u64,
    /// Hash of the chain spec that the receipt belongs to; informative, never trusted.
    pub spec_hash: B256,
    pub order_id: U256,
    pub model: B256,
    /// The verifying key.
    pub verifying_key: Bytes,
    pub input: Bytes,
    pub output: Bytes,
    pub proof: Bytes,
    pub seller: Address,
    pub anchor: B256,
    pub context: B256,
    /// EIP-2718 bytes of the transaction that delivered.
    pub transaction: Bytes,
    pub transaction_index: u64,
    /// Trie nodes from the header's transactions root.
    pub transaction_proof: Vec<Bytes>,
    /// EIP-2718 bytes of its receipt.
    pub receipt: Bytes,
    /// Trie nodes from the header's receipts root.
    pub receipt_proof: Vec<Bytes>,
    /// RLP of the header of the block that paid.
    pub header: Bytes,
    /// RLP of headers that follow it up to the certified one; empty if it is certified itself.
    pub descendants: Vec<Bytes>,
    /// Finalization certificate of the last of these headers.
    pub certificate: Bytes,
}

/// What a receipt proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedReceipt {
    pub order_id: U256,
    pub model: B256,
    pub buyer: Address,
    pub seller: Address,
    pub block_number: u64,
    pub block_hash: B256,
    pub transaction: B256,
    pub input: Vec<i32>,
    pub output: Vec<i32>,
    pub to_seller: U256,
    pub to_owner: U256,
    pub to_network: U256,
    pub proof_bytes: usize,
    /// False when a contract delivered: the proof then comes from the file, bound by its hashes.
    pub proof_in_transaction: bool,
}

/// Why a receipt was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    #[error("the receipt is not readable: {0}")]
    Format(String),
}
