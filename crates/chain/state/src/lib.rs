//! The chain's state: a persistent Merkle-Patricia trie in memory, and the redb store of finalized
//! blocks under it.
//!
//! A [`State`] is a value: cloning it costs two reference counts, and [`State::apply`] returns a
//! new one that shares every untouched node. Pending blocks are therefore just states. Only
//! finalized blocks reach the disk, one write transaction each ([`Store::commit`]).
//!
//! This is the only room that names redb.
#![deny(clippy::float_arithmetic)]

mod account;
mod diff;
mod executed;
mod keys;
mod proof;
mod state;
mod store;
mod trie;

#[cfg(test)]
mod state_tests;

pub use account::Account;
pub use diff::{AccountDiff, StateDiff, balance_change};
pub use executed::Executed;
pub use proof::{AccountProof, StorageProof};
pub use state::{AccountView, State};
pub use store::{
    Head, InMemoryDisk, RECENT_STATES, STORE_FILE, SWEEP_LOG_BLOCKS, Store, StoreError,
};
