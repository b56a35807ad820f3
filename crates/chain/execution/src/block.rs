//! One block: its transactions in order, its fees, its sweep and its header.

use alloy_primitives::{Address, B256};
use hallmark_state::Executed;

use crate::TransactionError;

/// What the proposer decides about a block besides its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockAttributes {
    /// Unix time in milliseconds; must obey the chain's rules relative to the parent.
    pub timestamp_ms: u64,
    /// Validator-set period.
    pub epoch: u32,
    /// View of the proposal.
    pub view: u64,
    /// View of the parent.
    pub parent_view: u64,
    /// Index of the leader in the spec's validators.
    pub leader: u16,
    /// The leader's address; receives the priority fees.
    pub beneficiary: Address,
}

/// A block that was built, and what was left out of it for good.
#[derive(Debug, Clone)]
pub struct Built {
    /// The block with its results.
    pub executed: Executed,
    /// Candidates that were refused, by hash. Those for which
    /// [`TransactionError::is_permanent`] holds should leave the pool.
    pub refused: Vec<(B256, TransactionError)>,
}
