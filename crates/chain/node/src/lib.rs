//! A validator, assembled from the chain rooms.
//!
//! [`Node::start`] is the whole assembly in one function: store, mempool, JSON-RPC, consensus.
//! [`devnet`] runs several validators in one process for development and tests; they share nothing
//! but code. [`bench`] measures such a network.

pub mod archive;
pub mod bench;
pub mod check;
pub mod config;
pub mod devnet;
pub mod genesis;
mod node;
mod telemetry;
#[cfg(test)]
mod testing;

pub use devnet::Devnet;
pub use hallmark_consensus::{prove_possession, public_key_of};
pub use node::{Node, NodeConfig, NodeError};
pub use telemetry::{MetricsHandle, READY_LAG, ready_age_ms};
