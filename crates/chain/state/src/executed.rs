//! A block together with everything that executing it gave.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Log};
use hallmark_types::{Block, Receipt};

use crate::{State, StateDiff};

/// The outcome of executing a block. Cheap to clone except for receipts and diff.
#[derive(Debug, Clone)]
pub struct Executed {
    /// The block.
    pub block: Arc<Block>,
    /// Its hash.
    pub hash: B256,
    /// Sender of each transaction.
    pub senders: Vec<Address>,
    /// Receipt of each transaction.
    pub receipts: Vec<Receipt>,
    /// What the contracts told in the block's sweeps, in order. No header commits to these: every node
    /// that executes the block has the same.
    pub sweep_logs: Vec<Log>,
    /// What the block changed, relative to its parent's state.
    pub diff: StateDiff,
    /// The state after the block; its root is the header's.
    pub state: State,
}

impl Executed {
    /// Height of the block.
    pub fn number(&self) -> u64 {
        self.block.number()
    }
}
