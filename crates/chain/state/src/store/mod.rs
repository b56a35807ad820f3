//! Finalized blocks and their state on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes};
use hallmark_types::{Block, ChainSpec, Receipt};
use tokio::sync::broadcast;

use crate::{Executed, State};

/// Number of latest heights whose state is kept in memory.
pub const RECENT_STATES: usize = 128;

/// The latest committed block.
#[derive(Debug, Clone)]
pub struct Head {
    /// The block.
    pub block: Arc<Block>,
    /// Its hash.
    pub hash: B256,
    /// The state after it.
    pub state: State,
    /// Its finality certificate; empty for genesis.
    pub finalization: Bytes,
}

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store of this one, has the folder open.
    #[error("{0} is in use by another node; stop it or choose another folder")]
    Locked(PathBuf),
    /// The folder could not be created or read.
    #[error("{path}: {source}")]
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
    #[error("{folder} was made with chain spec {stored}, this one is {expected}")]
    OtherSpec {
        /// The folder.
        folder: String,
        /// Spec hash in the folder.
        stored: B256,
        /// Hash of the spec.
        expected: B256,
    },
    /// What the folder holds does not fit together.
    #[error("{folder} is damaged: {reason}; delete it and let the node sync again")]
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
        /// Hash that is committed.
        stored: B256,
        /// Hash that was offered.
        offered: B256,
    },
    /// The block does not follow the head.
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
        reason: String,
    },
    /// The disk or the database failed (disk full among others). Nothing of the block was kept.
    #[error("{folder}: {source}")]
    Database {
        /// The folder.
        folder: String,
        /// What the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A disk in memory that can lose what was not synced. Clones are handles to the same disk.
#[derive(Debug, Clone, Default)]
pub struct InMemoryDisk {}

impl InMemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Power loss: writes since the last sync are gone, and stores that are open on the disk can no
    /// longer reach it. The disk can then be opened again.
    pub fn crash(&self) {
        todo!()
    }
}

/// Finalized blocks, their outcomes and the latest state.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Opens the store in `folder`, creating it with `genesis` if it is new.
    ///
    /// # Errors
    /// See [`StoreError`]: locked, another chain, damaged, no space, no permission.
    pub fn open(
        _folder: impl AsRef<Path>,
        _spec: &ChainSpec,
        _genesis: &Executed,
    ) -> Result<Self, StoreError> {
        todo!()
    }

    /// A store in memory, for tests and simulations.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn in_memory(spec: &ChainSpec, genesis: &Executed) -> Result<Self, StoreError> {
        Self::open_disk(&InMemoryDisk::new(), spec, genesis)
    }

    /// Opens, or opens again, the store on a disk in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_disk(
        _disk: &InMemoryDisk,
        _spec: &ChainSpec,
        _genesis: &Executed,
    ) -> Result<Self, StoreError> {
        todo!()
    }

    /// The latest committed block and its state.
    pub fn head(&self) -> Arc<Head> {
        todo!()
    }

    /// Commits the next finalized block in one durable transaction, then publishes it.
    /// Committing a block again that is already committed does nothing.
    ///
    /// # Errors
    /// [`StoreError::Divergence`], [`StoreError::Gap`], [`StoreError::Inconsistent`] or
    /// [`StoreError::Database`]; nothing is then changed.
    pub fn commit(&self, _executed: &Executed, _finalization: Bytes) -> Result<(), StoreError> {
        todo!()
    }

    /// The block at a height.
    pub fn block_by_number(&self, _number: u64) -> Option<Arc<Block>> {
        todo!()
    }

    /// Height of the block with this hash.
    pub fn number_by_hash(&self, _hash: &B256) -> Option<u64> {
        todo!()
    }

    /// Hash of the block at a height.
    pub fn block_hash(&self, _number: u64) -> Option<B256> {
        todo!()
    }

    /// Receipts of the block at a height.
    pub fn receipts(&self, _number: u64) -> Option<Vec<Receipt>> {
        todo!()
    }

    /// Senders of the transactions of the block at a height.
    pub fn senders(&self, _number: u64) -> Option<Vec<Address>> {
        todo!()
    }

    /// Height and index in its block of a transaction.
    pub fn transaction(&self, _hash: &B256) -> Option<(u64, usize)> {
        todo!()
    }

    /// Finality certificate of the block at a height.
    pub fn finalization(&self, _number: u64) -> Option<Bytes> {
        todo!()
    }

    /// State after the block at a height: of the latest [`RECENT_STATES`] heights that were
    /// committed since the store was opened, and the head.
    pub fn state_at(&self, _number: u64) -> Option<State> {
        todo!()
    }

    /// Every block committed from now on, in order.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Executed>> {
        todo!()
    }
}
