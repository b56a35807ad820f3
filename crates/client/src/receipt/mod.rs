//! The receipt of an order: a file that proves, without a node, that the registered model gave
//! this answer to this input, and that the chain checked and paid it.
//!
//! # What is checked
//! Trust starts from a chain spec that the reader has; the receipt brings no trust of its own.
//!
//! 1. The certificate is by the validators of the certified block's epoch, in the domain of the
//!    spec's hash, over the last of `header, descendants…`; each of these is the parent of the next.
//!    The spec names the validators of the first two epochs, a light client knows those of later ones.
//! 2. `transaction` and `receipt` are at `transactionIndex` under the header's roots; the
//!    transaction is of the spec's chain and succeeded.
//! 3. Its logs hold exactly one `Paid` of contract `Inference` for this order, and its model,
//!    seller, key digest, input hash, output hash, anchor and context are those of the file; the
//!    context is computed again from its parts.
//! 4. If the transaction called `Inference` itself, its calldata carry the file's output and proof.
//!    If a contract delivered, the proof comes from the file alone: the `Paid` event binds the
//!    output by hash, and the proof is a proof of that very statement or step 5 fails.
//! 5. The proof verifies under the key, input, output and context; of a sealed order, under the
//!    commitment and the masked output.
//! 6. If the buyer reveals input and secret of a sealed order, they open its commitment.
//!
//! The receipt of a sealed order shows no more than the chain does, unless the buyer reveals the
//! rest. That the mode is the order's own needs no field of the chain: a proof of one mode is no
//! proof of the other, and the `Paid` event holds a hash in one and a commitment in the other.
//!
//! Each failure is its own [`ReceiptError`].

mod build;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use verify::decode_header;
pub use verify::{verify, verify_with};

use alloy_primitives::{Address, B256, Bytes, U256};
use hallmark_consensus::certificate::CertificateError;
use hallmark_types::merkle::MerkleError;
use serde::{Deserialize, Serialize};

/// Version of the file's layout.
pub const VERSION: u32 = 2;
/// Most headers between the block that paid and the certified one.
pub const MAX_DESCENDANTS: usize = 1_024;

/// Everything needed to check an order again. Bytes are `0x` hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderReceipt {
    /// [`VERSION`].
    pub version: u32,
    pub chain_id: u64,
    pub order_id: U256,
    /// Id in `Models`.
    pub model: B256,
    /// The verifying key.
    pub verifying_key: Bytes,
    /// What the receipt says of the input.
    pub input: ReceiptInput,
    /// In the graph's output encoding; masked, if the order is sealed.
    pub output: Bytes,
    pub proof: Bytes,
    pub seller: Address,
    /// Block hash stored by the claim.
    pub anchor: B256,
    /// What the proof is bound to.
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
    /// RLP of the headers that follow up to the certified one; empty if it is certified itself.
    pub descendants: Vec<Bytes>,
    /// Finalization certificate of the last of these headers.
    pub certificate: Bytes,
}

/// What a receipt says of the input, by the order's mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "mode", deny_unknown_fields)]
pub enum ReceiptInput {
    /// All of it, in the graph's input encoding.
    Public { input: Bytes },
    /// The commitment, and what the buyer chose to reveal.
    Sealed {
        commitment: B256,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revealed: Option<Revealed>,
    },
}

/// What opens a sealed order: whoever has it reads input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revealed {
    /// In the graph's input encoding.
    pub input: Bytes,
    /// The buyer's secret of this one order.
    pub secret: B256,
}

impl OrderReceipt {
    /// Reads a file. The version is looked at first, so that an old file is named as such.
    ///
    /// # Errors
    /// [`ReceiptError::Format`] or [`ReceiptError::Version`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReceiptError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let format = |error: serde_json::Error| ReceiptError::Format(error.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(format)?;
        if version != VERSION {
            return Err(ReceiptError::Version(version));
        }
        serde_json::from_slice(bytes).map_err(format)
    }
}

/// What a receipt proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedReceipt {
    pub order_id: U256,
    pub model: B256,
    /// BLAKE3 of the verifying key.
    pub digest: B256,
    pub buyer: Address,
    pub seller: Address,
    pub block_number: u64,
    pub block_hash: B256,
    /// Header time of the block that paid, in milliseconds.
    pub paid_at_ms: u64,
    pub transaction: B256,
    /// Of a sealed order, the commitment to its input.
    pub commitment: Option<B256>,
    /// None, if the order is sealed and not revealed; likewise the output.
    pub input: Option<Vec<i32>>,
    pub output: Option<Vec<i32>>,
    /// In wei, as the next two.
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
    #[error("the receipt has layout version {0}; this program reads version {VERSION}")]
    Version(u32),
    #[error("the receipt is of chain {found}, the chain spec of chain {expected}")]
    OtherChain { expected: u64, found: u64 },
    #[error("header {position} of the receipt is malformed: {reason}")]
    Header { position: usize, reason: String },
    #[error("header {0} of the receipt is not the child of the one before")]
    BrokenChain(usize),
    #[error("more than {MAX_DESCENDANTS} headers lie between the payment and the certificate")]
    TooManyHeaders,
    #[error(
        "the block is certified by the validators of epoch {0}, and the chain spec names those of \
         epochs 0 and 1 only: follow the chain with `hallmark light --receipt`"
    )]
    UnknownCommittee(u64),
    #[error("the block is not final: {0}")]
    Certificate(#[from] CertificateError),
    #[error("the transaction is not in the block: {0}")]
    TransactionInclusion(MerkleError),
    #[error("the transaction's receipt is not in the block: {0}")]
    ReceiptInclusion(MerkleError),
    #[error("the transaction is malformed: {0}")]
    Transaction(String),
    #[error("the transaction is of chain {found:?}, the chain spec of chain {expected}")]
    TransactionChain { expected: u64, found: Option<u64> },
    #[error("the transaction's receipt is malformed: {0}")]
    Receipt(String),
    #[error("the transaction failed, so it paid nothing")]
    FailedTransaction,
    #[error("the transaction did not pay order {0}")]
    NotPaid(U256),
    #[error("the chain paid for another {0} than the receipt shows")]
    Differs(Field),
    #[error("the context is not that of this order, model, seller and anchor")]
    Context,
    #[error("the transaction delivered another {0} than the receipt shows")]
    Delivered(Field),
    #[error("the verifying key is malformed: {0}")]
    Key(String),
    #[error("the input does not fit the model: {0}")]
    Input(String),
    #[error("the output does not fit the model: {0}")]
    Output(String),
    #[error("the proof is refused: {0}")]
    Proof(String),
    #[error("what is revealed does not open the order's commitment")]
    Revealed,
}

/// A part of a receipt that the chain has committed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Model,
    Seller,
    Key,
    Input,
    Commitment,
    Output,
    Anchor,
    Context,
    Proof,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Seller => "seller",
            Self::Key => "verifying key",
            Self::Input => "input",
            Self::Commitment => "commitment to the input",
            Self::Output => "output",
            Self::Anchor => "anchor",
            Self::Context => "context",
            Self::Proof => "proof",
        })
    }
}
