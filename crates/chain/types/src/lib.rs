//! What flows through the chain: blocks, headers, transactions, receipts, and the chain spec.
//!
//! Every byte string that comes from outside is parsed here once, canonically and with its size
//! bounded before anything is allocated; the rooms above work with parsed values only.
#![deny(clippy::float_arithmetic)]

pub mod addresses;
mod block;
mod context;
mod delivery;
mod error;
pub mod evidence;
mod fees;
pub mod header;
mod limits;
pub mod merkle;
mod spec;
pub mod staking;
mod topics;
mod transaction;

#[cfg(test)]
mod tests;

pub use block::Block;
pub use context::order_context;
pub use delivery::DeliveryGas;
pub use error::{DecodeError, SpecError};
pub use evidence::Evidence;
pub use fees::{BASE_FEE_ELASTICITY, BASE_FEE_MAX_CHANGE_DENOMINATOR, next_base_fee};
pub use header::HeaderExtra;
pub use limits::{Limits, MarketParams};
pub use spec::{ChainSpec, LOCAL_CHAIN_ID, MARK, ValidatorSpec};
pub use staking::{Committee, Member, StakingParams};
pub use topics::TopicsParams;
pub use transaction::{check_transaction, decode_transaction};

pub use alloy_consensus::Header;

/// A signed transaction in one of Ethereum's typed envelopes (types 0, 1, 2 and 4 are accepted).
pub type Transaction = alloy_consensus::TxEnvelope;

/// The outcome of a transaction, with its logs and their bloom, in Ethereum's typed envelope.
pub type Receipt = alloy_consensus::ReceiptEnvelope;
