//! The queues and the books over them. No I/O, no locks, no clock.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::ops::RangeBounds;
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use hallmark_execution::PooledTransaction;

use crate::PoolError;

/// Least raise of both fees, in percent, for a replacement.
const PRICE_BUMP_PERCENT: u128 = 10;

/// Bounds of the pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) transactions: usize,
    pub(crate) bytes: usize,
    pub(crate) per_sender: usize,
}

/// What an account brings to the checks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Funds {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
}

/// One pooled transaction.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) tx: Arc<PooledTransaction>,
    /// Most that it can cost: gas limit * fee cap + value; saturated.
    pub(crate) cost: U256,
    /// Admission order.
    pub(crate) arrival: u64,
}

impl Entry {
    fn new(tx: Arc<PooledTransaction>, arrival: u64) -> Self {
        let gas = U256::from(tx.tx.gas_limit()).saturating_mul(U256::from(tx.tx.max_fee_per_gas()));
        let cost = gas.saturating_add(tx.tx.value());
        Self { tx, cost, arrival }
    }

    fn tip_cap(&self) -> u128 {
        let tx = &self.tx.tx;
        // A legacy transaction offers its whole price as tip.
        tx.max_priority_fee_per_gas()
            .unwrap_or_else(|| tx.max_fee_per_gas())
    }
}

/// What a queue is worth: gapped below contiguous, then by the lowest tip in it. The address only
/// makes the order total.
type Worth = (bool, u128, Address);

/// A sender's transactions by nonce.
#[derive(Debug)]
struct Queue {
    entries: BTreeMap<u64, Entry>,
    /// The account's nonce when it was last looked up.
    next: u64,
    worth: Worth,
}

/// All queues.
#[derive(Debug)]
pub(crate) struct Queues {
    bounds: Bounds,
    senders: BTreeMap<Address, Queue>,
    /// Where each transaction is.
    places: HashMap<B256, (Address, u64)>,
    /// Every queue by its worth: the first is evicted from.
    worths: BTreeSet<Worth>,
    bytes: usize,
    arrivals: u64,
}

impl Queues {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            senders: BTreeMap::new(),
            places: HashMap::new(),
            worths: BTreeSet::new(),
            bytes: 0,
            arrivals: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn contains(&self, hash: &B256) -> bool {
        self.places.contains_key(hash)
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<&Arc<PooledTransaction>> {
        let (sender, nonce) = self.places.get(hash)?;
        self.senders
            .get(sender)?
            .entries
            .get(nonce)
            .map(|entry| &entry.tx)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<PooledTransaction>> {
        self.senders
            .values()
            .flat_map(|queue| queue.entries.values().map(|entry| &entry.tx))
    }

    /// Senders that have something in the pool.
    pub(crate) fn has_sender(&self, sender: &Address) -> bool {
        self.senders.contains_key(sender)
    }

    /// The first nonce from `nonce` on that is not pooled.
    pub(crate) fn next_free_nonce(&self, sender: &Address, nonce: u64) -> u64 {
        let Some(queue) = self.senders.get(sender) else {
            return nonce;
        };
        let mut next = nonce;
        for pooled in queue.entries.range(nonce..).map(|(nonce, _)| *nonce) {
            if pooled != next {
                break;
            }
            next = next.saturating_add(1);
        }
        next
    }

    /// Whether a delegated account may wait with `tx`: at its next nonce `next`, with nothing else.
    ///
    /// # Errors
    /// [`PoolError::DelegatedInFlight`].
    pub(crate) fn check_single(&self, tx: &PooledTransaction, next: u64) -> Result<(), PoolError> {
        let others = self
            .senders
            .get(&tx.sender)
            .is_some_and(|queue| queue.entries.range(next..).any(|(nonce, _)| *nonce != next));
        if tx.tx.nonce() > next || others {
            return Err(PoolError::DelegatedInFlight);
        }
        Ok(())
    }

    /// Admits a transaction whose sender holds `funds`.
    pub(crate) fn insert(
        &mut self,
        tx: Arc<PooledTransaction>,
        funds: Funds,
    ) -> Result<(), PoolError> {
        let (sender, hash, nonce) = (tx.sender, tx.hash, tx.tx.nonce());
        if self.contains(&hash) {
            return Err(PoolError::AlreadyKnown);
        }
        if nonce < funds.nonce {
            return Err(PoolError::NonceTooLow {
                next: funds.nonce,
                got: nonce,
            });
        }
        if nonce - funds.nonce >= self.bounds.per_sender as u64 {
            return Err(PoolError::NonceTooHigh {
                next: funds.nonce,
                got: nonce,
            });
        }
        // What the committed chain used up no longer counts against the sender.
        self.drop_used(&sender, funds.nonce);
        let entry = Entry::new(tx, self.arrivals);
        let replaced = self
            .senders
            .get(&sender)
            .and_then(|queue| queue.entries.get(&nonce));
        if let Some(old) = replaced
            && !outbids(&entry, old)
        {
            return Err(PoolError::ReplacementUnderpriced);
        }
        let held = self
            .senders
            .get(&sender)
            .map_or(0, |queue| queue.entries.len());
        if replaced.is_none() && held >= self.bounds.per_sender {
            return Err(PoolError::AccountLimit {
                limit: self.bounds.per_sender,
            });
        }
        let others = self
            .senders
            .get(&sender)
            .into_iter()
            .flat_map(|queue| queue.entries.iter());
        let cost = others
            .filter(|(pooled, _)| **pooled != nonce)
            .fold(entry.cost, |sum, (_, entry)| sum.saturating_add(entry.cost));
        if cost > funds.balance {
            return Err(PoolError::InsufficientFunds {
                balance: funds.balance,
                cost,
            });
        }
        let freed = replaced.map_or(0, |old| old.tx.encoded_len);
        let extra = usize::from(replaced.is_none());
        self.make_room(&entry, extra, freed)?;
        self.remove_at(&sender, nonce);
        self.arrivals = self.arrivals.saturating_add(1);
        self.bytes = self.bytes.saturating_add(entry.tx.encoded_len);
        self.places.insert(hash, (sender, nonce));
        let queue = self.senders.entry(sender).or_insert_with(|| Queue {
            entries: BTreeMap::new(),
            next: funds.nonce,
            worth: (true, u128::MAX, sender),
        });
        queue.next = funds.nonce;
        queue.entries.insert(nonce, entry);
        self.appraise(&sender);
        Ok(())
    }

    /// Evicts from the least worthy queues until `entry` fits, or refuses it and evicts nothing.
    fn make_room(&mut self, entry: &Entry, extra: usize, freed: usize) -> Result<(), PoolError> {
        let size = entry.tx.encoded_len;
        if size > self.bounds.bytes {
            return Err(PoolError::Full);
        }
        let fits = |transactions: usize, bytes: usize, bounds: &Bounds| {
            transactions + extra <= bounds.transactions
                && bytes.saturating_sub(freed) + size <= bounds.bytes
        };
        // First on paper: which transactions would have to go.
        let (mut transactions, mut bytes) = (self.places.len(), self.bytes);
        let mut victims = Vec::new();
        'queues: for (contiguous, tip, sender) in &self.worths {
            if fits(transactions, bytes, &self.bounds) {
                break;
            }
            if *sender == entry.tx.sender {
                continue;
            }
            if *contiguous && *tip >= entry.tip_cap() {
                return Err(PoolError::Underpriced);
            }
            let Some(queue) = self.senders.get(sender) else {
                continue;
            };
            for (nonce, victim) in queue.entries.iter().rev() {
                transactions -= 1;
                bytes -= victim.tx.encoded_len;
                victims.push((*sender, *nonce));
                if fits(transactions, bytes, &self.bounds) {
                    break 'queues;
                }
            }
        }
        if !fits(transactions, bytes, &self.bounds) {
            return Err(PoolError::Full);
        }
        for (sender, nonce) in victims {
            self.remove_at(&sender, nonce);
        }
        Ok(())
    }

    /// Brings a sender's queue in line with its account: used nonces go, and so does everything
    /// from the first transaction on that the balance does not reach.
    pub(crate) fn refresh(&mut self, sender: &Address, funds: Funds) {
        self.drop_used(sender, funds.nonce);
        let Some(queue) = self.senders.get(sender) else {
            return;
        };
        let mut sum = U256::ZERO;
        let unpayable = queue.entries.iter().find_map(|(nonce, entry)| {
            sum = sum.saturating_add(entry.cost);
            (sum > funds.balance).then_some(*nonce)
        });
        if let Some(first) = unpayable {
            self.drop_range(sender, first..);
        }
        if let Some(queue) = self.senders.get_mut(sender) {
            queue.next = funds.nonce;
            self.appraise(sender);
        }
    }

    /// Drops everything of a delegated account but the transaction with its next nonce `next`.
    pub(crate) fn keep_single(&mut self, sender: &Address, next: u64) {
        self.drop_used(sender, next);
        self.drop_range(sender, next.saturating_add(1)..);
    }

    fn drop_used(&mut self, sender: &Address, next: u64) {
        self.drop_range(sender, ..next);
    }

    fn drop_range(&mut self, sender: &Address, nonces: impl RangeBounds<u64>) {
        let Some(queue) = self.senders.get_mut(sender) else {
            return;
        };
        let dropped = queue.entries.range(nonces).map(|(nonce, _)| *nonce);
        let dropped: Vec<u64> = dropped.collect();
        if dropped.is_empty() {
            return;
        }
        for entry in dropped
            .iter()
            .filter_map(|nonce| queue.entries.remove(nonce))
        {
            self.places.remove(&entry.tx.hash);
            self.bytes -= entry.tx.encoded_len;
        }
        self.shrunk(sender);
    }

    /// Removes one transaction.
    pub(crate) fn remove(&mut self, hash: &B256) -> bool {
        let Some((sender, nonce)) = self.places.get(hash).copied() else {
            return false;
        };
        self.remove_at(&sender, nonce);
        true
    }

    fn remove_at(&mut self, sender: &Address, nonce: u64) {
        let Some(queue) = self.senders.get_mut(sender) else {
            return;
        };
        let Some(entry) = queue.entries.remove(&nonce) else {
            return;
        };
        self.places.remove(&entry.tx.hash);
        self.bytes -= entry.tx.encoded_len;
        self.shrunk(sender);
    }

    /// Brings the books in line with a queue that lost something.
    fn shrunk(&mut self, sender: &Address) {
        match self.senders.get(sender) {
            Some(queue) if queue.entries.is_empty() => {
                let worth = queue.worth;
                self.worths.remove(&worth);
                self.senders.remove(sender);
            }
            _ => self.appraise(sender),
        }
    }

    /// Recomputes what a queue is worth.
    fn appraise(&mut self, sender: &Address) {
        let Some(queue) = self.senders.get_mut(sender) else {
            return;
        };
        self.worths.remove(&queue.worth);
        let mut expected = queue.next;
        let mut contiguous = true;
        let mut tip = u128::MAX;
        for (nonce, entry) in &queue.entries {
            contiguous &= *nonce == expected;
            expected = nonce.saturating_add(1);
            tip = tip.min(entry.tip_cap());
        }
        queue.worth = (contiguous, tip, *sender);
        self.worths.insert(queue.worth);
    }

    /// What a block should carry: `nonce_of` tells where each sender stands in the state that the
    /// block builds on.
    pub(crate) fn best(
        &self,
        nonce_of: impl Fn(&Address) -> u64,
        base_fee: u64,
        max_gas: u64,
        max_bytes: usize,
    ) -> Vec<Arc<PooledTransaction>> {
        // Heads by (tip, earliest arrival).
        let mut heads = BinaryHeap::new();
        let head = |sender: &Address,
                    nonce: u64|
         -> Option<(u128, std::cmp::Reverse<u64>, Address, u64)> {
            let entry = self.senders.get(sender)?.entries.get(&nonce)?;
            let tip = entry.tx.tx.effective_tip_per_gas(base_fee)?;
            Some((tip, std::cmp::Reverse(entry.arrival), *sender, nonce))
        };
        for sender in self.senders.keys() {
            heads.extend(head(sender, nonce_of(sender)));
        }
        let (mut gas, mut bytes) = (max_gas, max_bytes);
        let mut chosen = Vec::new();
        while let Some((_, _, sender, nonce)) = heads.pop() {
            let Some(entry) = self
                .senders
                .get(&sender)
                .and_then(|q| q.entries.get(&nonce))
            else {
                continue;
            };
            // What does not fit ends the sender's turn: its later nonces cannot go first.
            let (Some(gas_left), Some(bytes_left)) = (
                gas.checked_sub(entry.tx.tx.gas_limit()),
                bytes.checked_sub(entry.tx.encoded_len),
            ) else {
                continue;
            };
            (gas, bytes) = (gas_left, bytes_left);
            chosen.push(entry.tx.clone());
            heads.extend(head(&sender, nonce.saturating_add(1)));
        }
        chosen
    }

    /// Sum of the encodings, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether some queue's head is executable at `base_fee`.
    pub(crate) fn any_ready(&self, nonce_of: impl Fn(&Address) -> u64, base_fee: u64) -> bool {
        self.senders.iter().any(|(sender, queue)| {
            queue
                .entries
                .get(&nonce_of(sender))
                .is_some_and(|entry| entry.tx.tx.max_fee_per_gas() >= u128::from(base_fee))
        })
    }

    /// Checks every book against the queues (tests only).
    #[cfg(test)]
    pub(crate) fn audit(&self) {
        let entries = || {
            self.senders
                .values()
                .flat_map(|queue| queue.entries.values())
        };
        assert_eq!(self.places.len(), entries().count());
        assert_eq!(
            self.bytes,
            entries().map(|entry| entry.tx.encoded_len).sum::<usize>()
        );
        assert!(self.places.len() <= self.bounds.transactions);
        assert!(self.bytes <= self.bounds.bytes);
        assert_eq!(self.worths.len(), self.senders.len());
        for (sender, queue) in &self.senders {
            assert!(!queue.entries.is_empty() && queue.entries.len() <= self.bounds.per_sender);
            assert!(self.worths.contains(&queue.worth));
            for (nonce, entry) in &queue.entries {
                assert_eq!(entry.tx.tx.nonce(), *nonce);
                assert_eq!(entry.tx.sender, *sender);
                assert_eq!(self.places.get(&entry.tx.hash), Some(&(*sender, *nonce)));
            }
        }
    }

    /// Cost of everything that a sender has in the pool (tests only).
    #[cfg(test)]
    pub(crate) fn cost(&self, sender: &Address) -> U256 {
        self.senders.get(sender).map_or(U256::ZERO, |queue| {
            queue
                .entries
                .values()
                .fold(U256::ZERO, |sum, entry| sum.saturating_add(entry.cost))
        })
    }
}

/// Whether `new` pays at least 10 percent more than `old`, in fee cap and in tip.
fn outbids(new: &Entry, old: &Entry) -> bool {
    let raised = |new: u128, old: u128| {
        let least = old
            .saturating_add((old / 100).saturating_mul(PRICE_BUMP_PERCENT))
            .saturating_add((old % 100).saturating_mul(PRICE_BUMP_PERCENT).div_ceil(100));
        new >= least && new > old
    };
    raised(new.tx.tx.max_fee_per_gas(), old.tx.tx.max_fee_per_gas())
        && raised(new.tip_cap(), old.tip_cap())
}
