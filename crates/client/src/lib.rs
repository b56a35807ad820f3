//! Typed access to the chain, for buyers, sellers and tools.
//!
//! A [`Client`] speaks Ethereum JSON-RPC over HTTP or WebSocket, signs EIP-1559 transactions with
//! an ordinary secp256k1 key and numbers them itself. Errors of the contracts come back by name
//! with their arguments. [`sealed`] orders hide input and answer from the chain. [`topics`] are
//! markets of intelligence, [`staking`] is who decides blocks. [`keys`] creates and loads keys; [`OrderReceipt`] is the file that proves,
//! to anyone who has the chain spec and no node, that an order was answered by the registered
//! model and paid. [`light`] follows the chain by certificates and believes no node.

mod client;
mod error;
pub mod keys;
pub mod light;
mod models;
mod orders;
pub mod receipt;
mod revert;
pub mod sealed;
pub mod staking;
#[cfg(test)]
mod tests;
pub mod topics;
mod transport;
mod types;

pub use client::{Call, Client, INCLUSION_TIMEOUT, MIN_PRIORITY_FEE, Signed, TransactionReceipt};
pub use error::ClientError;
pub use models::{Listing, PublishProgress, Published, model_id};
pub use orders::{PlacedOrder, deliver_gas_limit, ordered_event, ordered_filter};
pub use receipt::{OrderReceipt, ReceiptError, VerifiedReceipt};
pub use revert::Revert;
pub use sealed::{OrderSecret, SealedOrder, SecretStore};
pub use staking::Staking;
pub use topics::Topics;
pub use types::{Deposit, Level, LevelError, ModelRecord, Order, OrderedEvent, PaidEvent, Status};
