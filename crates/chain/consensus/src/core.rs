//! The chain's side of consensus.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use hallmark_execution::Executor;
use hallmark_mempool::Mempool;
use hallmark_state::Store;
use hallmark_types::{Block, ChainSpec};

/// Where in the protocol a block is proposed; every field is committed to by the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundInfo {
    /// Validator-set period.
    pub epoch: u32,
    /// View of the proposal.
    pub view: u64,
    /// View of the parent.
    pub parent_view: u64,
    /// Index of the leader in the spec's validators.
    pub leader: u16,
}

/// What a validator thinks of a proposed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Executed here, every header field equal.
    Valid,
    /// Permanently invalid.
    Invalid(String),
    /// The state after this block is not known here yet.
    Pending(B256),
}

/// Why a finalized block could not be committed. Each is fatal for the validator.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// Placeholder.
    #[error("{0}")]
    Fatal(String),
}

/// Pending layers over the committed chain.
pub struct Core {
    _private: (),
}

impl Core {
    /// A core over the chain committed in `store`.
    pub fn new(_spec: Arc<ChainSpec>, _executor: Arc<Executor>, _mempool: Arc<Mempool>, _store: Arc<Store>) -> Self {
        todo!()
    }

    /// Commits a finalized block. Idempotent.
    pub fn finalized(&self, _block: Arc<Block>, _finalization: Bytes) -> Result<(), CoreError> {
        todo!()
    }
}
