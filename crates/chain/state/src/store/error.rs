//! Why a store could not be opened, read or written.

use std::path::PathBuf;

use alloy_primitives::B256;

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store of this one, has the folder open.
    #[error("{0} is in use by another node; stop it or choose another folder")]
    Locked(String),
    /// The folder could not be created.
    #[error("cannot create folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder was made for another genesis.
    #[error(
        "{folder} holds another chain: its genesis is {stored}, the chain spec's is {expected}"
    )]
    OtherChain {
        /// The folder.
        folder: String,
        /// Genesis in the folder.
        stored: B256,
        /// Genesis of the spec.
        expected: B256,
    },
    /// Same genesis, but the folder was made with another chain spec.
    #[error("{folder} was made with chain spec {stored}, the spec given is {expected}")]
    OtherSpec {
        /// The folder.
        folder: String,
        /// Spec hash in the folder.
        stored: B256,
        /// Hash of the spec.
        expected: B256,
    },
    /// What the folder holds does not fit together.
    #[error(
        "{folder} is damaged: {reason}; move chain.redb and consensus/ away, one validator at a time, and let the node sync again; it votes from the next epoch on, by votes-*.txt beside them, without which it needs a new key"
    )]
    Damaged {
        /// The folder.
        folder: String,
        /// What does not fit.
        reason: String,
    },
    /// Another block is already committed at this height. The node must stop.
    #[error("block {offered} diverges from committed block {stored} at height {height}")]
    Divergence {
        /// The height.
        height: u64,
        /// Hash that is committed, or that the offered block should have as its parent.
        stored: B256,
        /// Hash that was offered in its place.
        offered: B256,
    },
    /// The block is not the next one.
    #[error("block {offered} cannot follow committed block {head}")]
    Gap {
        /// Height of the head.
        head: u64,
        /// Height that was offered.
        offered: u64,
    },
    /// The executed block contradicts itself.
    #[error("executed block {height} is inconsistent: {reason}")]
    Inconsistent {
        /// Its height.
        height: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// The disk or the database failed (disk full among others). Nothing of the block was kept.
    #[error("{folder}: {source}")]
    Database {
        /// The folder.
        folder: String,
        /// What the database said.
        source: Box<redb::Error>,
    },
}
