//! A validator, assembled from the chain rooms.
//!
//! [`Node::start`] is the whole assembly in one function: store, mempool, JSON-RPC, consensus.
//! [`devnet`] runs several validators in one process for development and tests; they share nothing
//! but code. [`bench`] measures such a network.

pub mod bench;
pub mod devnet;
mod node;

pub use devnet::Devnet;
pub use node::{Node, NodeConfig, NodeError};
