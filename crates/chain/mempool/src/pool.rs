//! The pool as its neighbours see it: one lock around the queues, and the signals.

use std::sync::Arc;

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use hallmark_execution::{Executor, PooledTransaction};
use hallmark_state::{Executed, State};
use hallmark_types::ChainSpec;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use crate::PoolError;
use crate::check;
use crate::queue::{Bounds, Funds, Queues};

/// Admitted transactions that a subscriber may lag behind before it loses the oldest.
const SUBSCRIPTION_CAPACITY: usize = 4_096;

/// EIP-7702: an account with such code may still sign transactions.
const DELEGATION_PREFIX: [u8; 3] = [0xef, 0x01, 0x00];

/// Transactions that wait for a block, bounded in number and bytes. Shared by `Arc`; every method
/// takes `&self` and holds the lock for no longer than its own work on the queues.
pub struct Mempool {
    spec: Arc<ChainSpec>,
    executor: Arc<Executor>,
    queues: Mutex<Queues>,
    admitted: broadcast::Sender<Arc<PooledTransaction>>,
    notify: Arc<Notify>,
}

impl Mempool {
    /// An empty pool with the limits of `spec`.
    pub fn new(spec: Arc<ChainSpec>, executor: Arc<Executor>) -> Self {
        let bounds = Bounds {
            transactions: spec.limits.mempool_max_txs,
            bytes: spec.limits.mempool_max_bytes,
            per_sender: spec.limits.mempool_per_sender,
        };
        let (admitted, _) = broadcast::channel(SUBSCRIPTION_CAPACITY);
        let queues = Mutex::new(Queues::new(bounds));
        Self {
            spec,
            executor,
            queues,
            admitted,
            notify: Arc::new(Notify::new()),
        }
    }

    /// Admits an encoded (EIP-2718) transaction against the state at the head and returns its
    /// hash. The sender is recovered once, by the executor.
    ///
    /// # Errors
    /// Every [`PoolError`]; the pool is unchanged then.
    pub fn add_raw(&self, raw: &[u8], head: &State) -> Result<B256, PoolError> {
        let tx = check::parse(raw, &self.spec)?;
        let hash = *tx.tx_hash();
        // Gossip brings most transactions more than once: this is cheaper than a recovery.
        if self.queues.lock().contains(&hash) {
            return Err(PoolError::AlreadyKnown);
        }
        let tx = self
            .executor
            .recover(tx)
            .map_err(|_| PoolError::InvalidSender)?;
        self.add(Arc::new(tx), head)?;
        Ok(hash)
    }

    fn add(&self, tx: Arc<PooledTransaction>, head: &State) -> Result<(), PoolError> {
        let funds = funds(&tx.sender, head);
        let mut queues = self.queues.lock();
        match signer(&tx.sender, head) {
            Signer::Plain => {}
            Signer::Delegated => queues.check_single(&tx, funds.nonce)?,
            Signer::Contract => return Err(PoolError::SenderNotEoa),
        }
        queues.insert(tx.clone(), funds)?;
        drop(queues);
        // No subscriber is no error.
        let _ = self.admitted.send(tx);
        self.notify.notify_waiters();
        self.notify.notify_one();
        Ok(())
    }

    /// What the next block should carry, best first: nonces of a sender in order, senders by
    /// effective tip, within `max_gas` (sum of gas limits) and `max_bytes` (sum of encodings).
    /// `state` is the state that the block builds on.
    pub fn best(
        &self,
        state: &State,
        base_fee: u64,
        max_gas: u64,
        max_bytes: usize,
    ) -> Vec<Arc<PooledTransaction>> {
        let nonce_of = |sender: &Address| funds(sender, state).nonce;
        self.queues
            .lock()
            .best(nonce_of, base_fee, max_gas, max_bytes)
    }

    /// Whether [`Mempool::best`] would offer anything on `state`, limits aside.
    pub fn has_ready(&self, state: &State, base_fee: u64) -> bool {
        let queues = self.queues.lock();
        queues.any_ready(|sender| funds(sender, state).nonce, base_fee)
    }

    /// Drops what a committed block used up or made unpayable, and of the accounts that it
    /// delegated all but the next transaction.
    pub fn on_committed(&self, executed: &Executed) {
        let mut queues = self.queues.lock();
        for address in executed.diff.accounts.keys() {
            if !queues.has_sender(address) {
                continue;
            }
            let funds = funds(address, &executed.state);
            queues.refresh(address, funds);
            if matches!(signer(address, &executed.state), Signer::Delegated) {
                queues.keep_single(address, funds.nonce);
            }
        }
    }

    /// Drops a transaction (refused for good by the block builder); whether it was there.
    pub fn remove(&self, hash: &B256) -> bool {
        self.queues.lock().remove(hash)
    }

    /// The nonce that the account's next transaction should carry, pooled ones counted.
    pub fn pending_nonce(&self, address: &Address, state: &State) -> u64 {
        let nonce = funds(address, state).nonce;
        self.queues.lock().next_free_nonce(address, nonce)
    }

    /// A pooled transaction.
    pub fn get(&self, hash: &B256) -> Option<Arc<PooledTransaction>> {
        self.queues.lock().get(hash).cloned()
    }

    /// Newly admitted transactions, for gossip and RPC. A slow reader loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PooledTransaction>> {
        self.admitted.subscribe()
    }

    /// Signalled whenever a transaction is admitted (all waiters, and one permit is kept for the
    /// next that waits).
    pub fn notify(&self) -> Arc<Notify> {
        self.notify.clone()
    }

    /// Waits until the pool holds at least one transaction, executable or not.
    pub async fn wait_nonempty(&self) {
        loop {
            let mut admitted = std::pin::pin!(self.notify.notified());
            admitted.as_mut().enable();
            if !self.is_empty() {
                return;
            }
            admitted.await;
        }
    }

    /// Number of pooled transactions.
    pub fn len(&self) -> usize {
        self.queues.lock().len()
    }

    /// Sum of the encodings of the pooled transactions, bytes.
    pub fn bytes(&self) -> usize {
        self.queues.lock().bytes()
    }

    /// Whether the pool is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `limit` pooled transactions, in the order of their senders and nonces.
    pub fn snapshot(&self, limit: usize) -> Vec<Arc<PooledTransaction>> {
        self.queues.lock().iter().take(limit).cloned().collect()
    }
}

/// Nonce and balance of an account that may not exist yet.
fn funds(address: &Address, state: &State) -> Funds {
    state.account(address).map_or(
        Funds {
            nonce: 0,
            balance: U256::ZERO,
        },
        |account| Funds {
            nonce: account.nonce,
            balance: account.balance,
        },
    )
}

/// What kind of account wants to send.
enum Signer {
    /// Without code.
    Plain,
    /// Its code is a delegation (EIP-7702): it still signs.
    Delegated,
    /// Any other code signs nothing (EIP-3607).
    Contract,
}

fn signer(sender: &Address, state: &State) -> Signer {
    let Some(account) = state.account(sender) else {
        return Signer::Plain;
    };
    if account.code_hash == KECCAK256_EMPTY {
        return Signer::Plain;
    }
    let code = state.code(&account.code_hash);
    if code.is_some_and(|code| code.starts_with(&DELEGATION_PREFIX)) {
        Signer::Delegated
    } else {
        Signer::Contract
    }
}
