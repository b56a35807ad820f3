//! The pool itself.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use hallmark_execution::{Executor, PooledTransaction};
use hallmark_state::{Executed, State};
use hallmark_types::ChainSpec;
use tokio::sync::{Notify, broadcast};

use crate::PoolError;

/// Transactions that wait for a block, bounded in number and bytes.
pub struct Mempool {
    _spec: Arc<ChainSpec>,
}

impl Mempool {
    /// An empty pool with the limits of `spec`.
    pub fn new(_spec: Arc<ChainSpec>, _executor: Arc<Executor>) -> Self {
        todo!()
    }

    /// Admits an encoded (EIP-2718) transaction against the state at the head and returns its hash.
    pub fn add_raw(&self, _raw: &[u8], _head: &State) -> Result<B256, PoolError> {
        todo!()
    }

    /// What the next block should carry, best first: nonces of a sender in order, senders by
    /// effective tip, within `max_gas` (sum of gas limits) and `max_bytes`.
    pub fn best(&self, _state: &State, _base_fee: u64, _max_gas: u64, _max_bytes: usize) -> Vec<Arc<PooledTransaction>> {
        todo!()
    }

    /// Drops what a committed block used up or made unpayable.
    pub fn on_committed(&self, _executed: &Executed) {
        todo!()
    }

    /// Drops a transaction (refused for good by the block builder) and returns whether it was there.
    pub fn remove(&self, _hash: &B256) -> bool {
        todo!()
    }

    /// The nonce that the account's next transaction should carry, pooled ones counted.
    pub fn pending_nonce(&self, _address: &Address, _state: &State) -> u64 {
        todo!()
    }

    /// A pooled transaction.
    pub fn get(&self, _hash: &B256) -> Option<Arc<PooledTransaction>> {
        todo!()
    }

    /// Newly admitted transactions, for gossip and RPC. A slow reader loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PooledTransaction>> {
        todo!()
    }

    /// Signalled (`notify_waiters` and one stored permit) whenever a transaction is admitted.
    pub fn notify(&self) -> Arc<Notify> {
        todo!()
    }

    /// Waits until the pool holds at least one transaction.
    pub async fn wait_nonempty(&self) {
        todo!()
    }

    /// Number of pooled transactions.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether the pool is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every pooled transaction, by hash (for gossip to a new peer and for tests); bounded by `limit`.
    pub fn snapshot(&self, _limit: usize) -> Vec<Arc<PooledTransaction>> {
        todo!()
    }
}
