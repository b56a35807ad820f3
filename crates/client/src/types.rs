//! What the chain knows, as plain data that a person or a program can print.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How an answer is assured. Only [`Level::Proven`] has a judge on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Level {
    Trusted = 0,
    Audited = 1,
    Exact = 2,
    Proven = 3,
}

/// Text that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level; the levels are trusted, audited, exact and proven")]
pub struct LevelError(pub String);

impl Level {
    /// Whether the chain can judge an answer of this level today.
    pub fn is_available(self) -> bool {
        matches!(self, Level::Proven)
    }
}

impl TryFrom<u8> for Level {
    type Error = LevelError;

    fn try_from(value: u8) -> Result<Self, LevelError> {
        Ok(match value {
            0 => Level::Trusted,
            1 => Level::Audited,
            2 => Level::Exact,
            3 => Level::Proven,
            other => return Err(LevelError(other.to_string())),
        })
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "trusted" => Level::Trusted,
            "audited" => Level::Audited,
            "exact" => Level::Exact,
            "proven" => Level::Proven,
            _ => return Err(LevelError(text.to_owned())),
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Trusted => "trusted",
            Level::Audited => "audited",
            Level::Exact => "exact",
            Level::Proven => "proven",
        })
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Status {
    /// No such order.
    None = 0,
    /// Waiting for a seller.
    Open = 1,
    /// A seller has bonded and has until the end of its window.
    Claimed = 2,
    /// Proven, delivered and paid.
    Paid = 3,
    /// Withdrawn by the buyer while open.
    Cancelled = 4,
    /// The deadline passed; the buyer has the price back.
    Refunded = 5,
}

impl Status {
    /// Whether nothing can happen to the order any more.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Paid | Status::Cancelled | Status::Refunded)
    }
}

impl TryFrom<u8> for Status {
    type Error = u8;

    fn try_from(value: u8) -> Result<Self, u8> {
        Ok(match value {
            0 => Status::None,
            1 => Status::Open,
            2 => Status::Claimed,
            3 => Status::Paid,
            4 => Status::Cancelled,
            5 => Status::Refunded,
            other => return Err(other),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::None => "none",
            Status::Open => "open",
            Status::Claimed => "claimed",
            Status::Paid => "paid",
            Status::Cancelled => "cancelled",
            Status::Refunded => "refunded",
        })
    }
}

/// A registered model, as `Models` records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRecord {
    /// `keccak256(abi.encode(owner, digest))`.
    pub id: B256,
    pub owner: Address,
    /// Price of one run, in wei of MARK.
    pub price: u128,
    /// The owner's part of the price, in 1/10000.
    pub owner_share_bps: u16,
    /// BLAKE3 of the verifying key's bytes.
    pub digest: B256,
    /// Root of the weight commitment.
    pub commitment: B256,
    /// BLAKE3 of the model file.
    pub content_hash: B256,
    /// Bytes of the model file.
    pub content_size: u64,
    /// Bytes of the verifying key.
    pub key_size: u32,
    /// Block of registration.
    pub registered_at: u64,
    /// False while its key is being uploaded and after it was retired.
    pub active: bool,
    pub name: String,
    /// Where the model file may be had.
    pub uri: String,
}

/// An order, as `Inference` records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub id: U256,
    pub model: B256,
    pub buyer: Address,
    pub level: Level,
    pub status: Status,
    /// Escrow, in wei of MARK.
    pub price: U256,
    pub owner_share_bps: u16,
    pub network_bps: u16,
    /// Version of the proof system that judges the delivery.
    pub verifier_version: u16,
    pub ordered_at_ms: u64,
    /// Milliseconds since the Unix epoch, in the header's clock.
    pub deadline_ms: u64,
    /// keccak256 of the input; of a sealed order, the commitment to it.
    pub input_hash: B256,
    /// Zero until delivered.
    pub output_hash: B256,
    /// Zero while open.
    pub seller: Address,
    pub bond: U256,
    pub claimed_at_ms: u64,
    pub window_end_ms: u64,
    /// Hash of a block after the model's registration, stored by the claim.
    pub anchor: B256,
    /// Whether input and output are hidden, and only named sellers may claim.
    pub is_sealed: bool,
}

/// A seller's deposit, in wei of MARK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deposit {
    pub free: U256,
    pub locked: U256,
    pub open_claims: u64,
}

/// Event `Ordered`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderedEvent {
    pub id: U256,
    pub model: B256,
    pub buyer: Address,
    pub level: u8,
    pub price: U256,
    pub deadline_ms: u64,
    pub input_hash: B256,
    pub block_number: u64,
}

/// Event `Paid`, with the transaction that emitted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaidEvent {
    pub id: U256,
    pub model: B256,
    pub seller: Address,
    pub buyer: Address,
    pub digest: B256,
    pub input_hash: B256,
    pub output_hash: B256,
    pub context: B256,
    pub anchor: B256,
    pub to_seller: U256,
    pub to_owner: U256,
    pub to_network: U256,
    pub transaction: B256,
    pub block_number: u64,
    /// Answer of the model, in the graph's output encoding; masked, if the order is sealed.
    pub output: Bytes,
}
