//! The executor: rules of one chain, and what it remembers between blocks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use alloy_consensus::Header;
use alloy_primitives::B256;
use hallmark_state::{Executed, State, Store};
use hallmark_types::{Block, ChainSpec, Transaction};

use crate::{
    BlockAttributes, BlockError, Built, CallError, CallOutcome, CallRequest, PooledTransaction,
    RecoverError,
};

/// Hashes of the blocks below the one that is executed (EVM opcode BLOCKHASH and claim anchors).
pub trait Ancestry {
    /// Hash of the ancestor at `number`, if it is known. Only the last 256 heights are asked for.
    fn block_hash(&self, number: u64) -> Option<B256>;
}

/// No ancestor is known: for genesis and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAncestry;

impl Ancestry for NoAncestry {
    fn block_hash(&self, _number: u64) -> Option<B256> {
        None
    }
}

impl Ancestry for Store {
    fn block_hash(&self, number: u64) -> Option<B256> {
        Store::block_hash(self, number)
    }
}

/// How often the expensive work was really done by one executor.
#[derive(Debug, Default)]
pub struct Counters {
    /// Proofs verified while building or executing blocks (cache misses only).
    pub proof_verifications: AtomicU64,
    /// Proofs verified for `eth_call` and gas estimates.
    pub call_verifications: AtomicU64,
    /// Senders recovered from signatures (cache misses only).
    pub sender_recoveries: AtomicU64,
}

/// Executes blocks and calls by the rules of one chain. Cheap to share by `Arc`; every method
/// takes `&self`.
pub struct Executor {
    spec: Arc<ChainSpec>,
    counters: Counters,
}

impl Executor {
    /// An executor for the chain of `spec`, with empty caches.
    pub fn new(spec: Arc<ChainSpec>) -> Self {
        Self { spec, counters: Counters::default() }
    }

    /// The chain's spec.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// What was really computed so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The genesis block and state that follow from the spec.
    pub fn genesis(&self) -> Executed {
        todo!()
    }

    /// Recovers the sender of a transaction: the one place of sender recovery.
    pub fn recover(&self, _tx: Transaction) -> Result<PooledTransaction, RecoverError> {
        todo!()
    }

    /// Builds the next block on `parent` from `candidates`, in their order. Candidates that do not
    /// fit or are invalid are skipped.
    pub fn build_block(
        &self,
        _parent: &Header,
        _parent_state: &State,
        _attributes: BlockAttributes,
        _candidates: Vec<Arc<PooledTransaction>>,
        _ancestry: &dyn Ancestry,
    ) -> Result<Built, BlockError> {
        todo!()
    }

    /// Executes `block` on its parent and compares every header field with what it computed.
    pub fn execute_block(
        &self,
        _parent: &Header,
        _parent_state: &State,
        _block: &Block,
        _ancestry: &dyn Ancestry,
    ) -> Result<Executed, BlockError> {
        todo!()
    }

    /// Runs a call on a state without changing it.
    pub fn call(
        &self,
        _state: &State,
        _header: &Header,
        _request: CallRequest,
        _ancestry: &dyn Ancestry,
    ) -> Result<CallOutcome, CallError> {
        todo!()
    }

    /// The smallest gas limit with which the call succeeds.
    pub fn estimate_gas(
        &self,
        _state: &State,
        _header: &Header,
        _request: CallRequest,
        _ancestry: &dyn Ancestry,
    ) -> Result<u64, CallError> {
        todo!()
    }
}
