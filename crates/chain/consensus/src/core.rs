//! The chain's side of consensus: which block to propose, what a proposed block is worth, and the
//! commit of a final one. Nothing here knows of networks, votes or commonware.
//!
//! # Layers
//!
//! A *layer* is an executed block that is not final yet: its receipts, its changes and the state after
//! it. Layers live in memory only, keyed by block hash, above the committed chain in the [`Store`]:
//!
//! ```text
//! store: genesis <- ... <- head        layers: head <- A <- B
//!                                                 \- A' (a sibling; dropped when A commits)
//! ```
//!
//! Every question is anchored by the hash of the parent, never by "the latest" (a chain of layers must
//! end exactly at a committed block). The answers to a question about a parent:
//!
//! | parent | answer |
//! |---|---|
//! | a layer whose chain ends in the store, or a committed block with its state | decided here |
//! | unknown | [`Unready::MissingParent`]: the caller fetches ancestors and calls [`Core::extend`] |
//! | on an abandoned fork, or committed so long ago that its state is gone | [`Unready::ParentPassed`]: never decided, no longer needed |
//!
//! # Verdicts
//!
//! [`Verdict::Invalid`] is permanent and the same on every honest validator: a header that contradicts
//! its round, a timestamp outside the bounds relative to the parent, any mismatch that re-execution
//! finds. The local clock, a missing parent or a local failure never make a block invalid.
//!
//! # Time
//!
//! A block's timestamp is the local time, brought into [`timestamp_bounds`] of the parent. A validator
//! that sees a timestamp more than `max_clock_skew_ms` ahead of its own clock waits before it votes. A
//! block is proposed as soon as
//! the pool has something for it and `min_block_interval_ms` have passed since the parent's timestamp,
//! otherwise after `idle_block_interval_ms`.
//!
//! # Commit
//!
//! [`Core::finalized`] takes the blocks in height order, at least once each, also such that this
//! validator never verified. One store transaction per block; a repeated block is a no-op. A final
//! block that cannot be executed to the results in its header means that this node computes another
//! chain than its peers (or lost its data): the core then fails for good, loudly.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use alloy_primitives::{B256, Bytes};
use hallmark_execution::{Ancestry, BlockAttributes, BlockError, Executor, PooledTransaction};
use hallmark_mempool::Mempool;
use hallmark_state::{Executed, State, Store};
use hallmark_types::{
    Block, ChainSpec, Committee, HeaderExtra,
    header::{MAX_HEADER_BYTES, check_timestamp, timestamp_bounds},
    next_base_fee,
};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use crate::metrics::CoreMetrics;

/// Layers kept at most. Beyond it the lowest go; a dropped layer that is still needed is executed
/// again. Consensus keeps a handful.
const MAX_LAYERS: usize = 256;

/// Where in the protocol a block is proposed; every field is committed to by the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundInfo {
    /// Validator-set period.
    pub epoch: u32,
    /// View of the proposal.
    pub view: u64,
    /// View of the parent; 0 if the parent is the last block of the epoch before.
    pub parent_view: u64,
    /// Index of the leader in the epoch's committee.
    pub leader: u16,
}

/// What a validator thinks of a proposed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Executed here, every header field equal.
    Valid,
    /// Permanently invalid, for this reason.
    Invalid(String),
    /// Not decided: the caller resolves the cause and asks again, or abstains.
    Pending(Unready),
}

/// Why a question cannot be answered now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    /// The state after this block is not known here yet.
    #[error("the state after block {0} is not known yet")]
    MissingParent(B256),
    /// The parent is not on the committed chain, or too far below its head.
    #[error("the chain moved past block {0}")]
    ParentPassed(B256),
    /// The block is too far ahead of the local clock until this time (Unix milliseconds).
    #[error("too early before {0}")]
    TooEarly(u64),
    /// This node cannot execute blocks any more.
    #[error("this node failed: {0}")]
    Failed(String),
}

/// Why a block was not added as a layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtendError {
    /// Not decided.
    #[error(transparent)]
    Unready(#[from] Unready),
    /// Permanently invalid.
    #[error("invalid block: {0}")]
    Invalid(String),
}

/// Why a finalized block could not be committed. Each is fatal for the validator.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CoreError {
    /// Another block is committed at this height.
    #[error("block {finalized} is final at height {number}, but {committed} is committed here")]
    Conflict {
        number: u64,
        committed: B256,
        finalized: B256,
    },
    /// A height was skipped.
    #[error("block {number} is final, but the committed head is {head}")]
    Gap { number: u64, head: u64 },
    /// Execution here gives another result than the finalized header states.
    #[error("final block {number} ({hash}) does not execute to its header here: {reason}")]
    Diverged {
        number: u64,
        hash: B256,
        reason: String,
    },
    /// The block could not be written.
    #[error("final block {number} could not be stored: {reason}")]
    Store { number: u64, reason: String },
    /// The core had failed before.
    #[error("this node failed: {0}")]
    Failed(String),
}

/// The state after a block, with the hashes of the blocks between the committed chain and it.
struct Layer {
    block: Arc<Block>,
    hash: B256,
    state: State,
    /// Hashes of the uncommitted part of the chain, this block included.
    pending: BTreeMap<u64, B256>,
}

/// Hashes of the ancestors of a layer: the uncommitted ones, then the committed ones.
struct Lineage<'a> {
    layer: &'a Layer,
    store: &'a Store,
}

impl Ancestry for Lineage<'_> {
    fn block_hash(&self, number: u64) -> Option<B256> {
        if number > self.layer.block.number() {
            return None;
        }
        self.layer
            .pending
            .get(&number)
            .copied()
            .or_else(|| self.store.block_hash(number))
    }
}

/// Proposes, verifies and commits blocks over one executor, one pool and one store.
pub struct Core {
    spec: Arc<ChainSpec>,
    executor: Arc<Executor>,
    mempool: Arc<Mempool>,
    store: Arc<Store>,
    layers: Mutex<BTreeMap<B256, Arc<Executed>>>,
    /// Transactions that cannot follow a block that is not final yet, by the hash of that block, with
    /// its number. They leave the pool when it commits: another branch might still carry them.
    refused: Mutex<BTreeMap<B256, (u64, Vec<B256>)>>,
    /// Held while executing, so that a block is executed once even if it is asked for twice at once.
    working: Mutex<()>,
    failure: watch::Sender<Option<String>>,
    metrics: CoreMetrics,
}

impl Core {
    /// A core over the chain that is committed in `store`.
    pub fn new(
        spec: Arc<ChainSpec>,
        executor: Arc<Executor>,
        mempool: Arc<Mempool>,
        store: Arc<Store>,
    ) -> Self {
        Self {
            spec,
            executor,
            mempool,
            store,
            layers: Mutex::new(BTreeMap::new()),
            refused: Mutex::new(BTreeMap::new()),
            working: Mutex::new(()),
            failure: watch::Sender::new(None),
            metrics: CoreMetrics::default(),
        }
    }

    /// The chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The pool that proposals are filled from.
    pub fn mempool(&self) -> &Arc<Mempool> {
        &self.mempool
    }

    /// The committed chain.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The validators of an epoch, as the committed state knows them: at least those of the head's
    /// epoch and of the next one. `None` if they are not chosen yet or not kept any more.
    pub fn committee(&self, epoch: u64) -> Option<Committee> {
        hallmark_execution::committee(&self.store.head().state, &self.spec, epoch)
    }

    /// What it counts.
    pub fn metrics(&self) -> &CoreMetrics {
        &self.metrics
    }

    /// The genesis block.
    pub fn genesis(&self) -> Arc<Block> {
        self.executor.genesis().block
    }

    /// Why this core stopped working for good, if it did.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Waits until the core fails and says why; pending for ever on a healthy core.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(reason) = failure.borrow_and_update().clone() {
                return reason;
            }
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether a question about a block on `parent` can be answered here.
    ///
    /// # Errors
    /// [`Unready::MissingParent`] or [`Unready::ParentPassed`].
    pub fn ready_for(&self, parent: &B256) -> Result<(), Unready> {
        self.layer(parent).map(|_| ())
    }

    /// Whether the pool has a transaction that can be executed on `parent`.
    pub fn has_work(&self, parent: &B256) -> bool {
        self.layer(parent).is_ok_and(|layer| {
            self.mempool
                .has_ready(&layer.state, next_base_fee(&layer.block.header, &self.spec))
        })
    }

    /// Newly pooled transactions, to wait for work.
    pub fn arrivals(&self) -> broadcast::Receiver<Arc<PooledTransaction>> {
        self.mempool.subscribe()
    }

    /// Builds a block on `parent` from the pool and keeps its layer, so that it is executed once.
    ///
    /// # Errors
    /// [`Unready`] if there is no state to build on or building failed locally.
    pub fn propose(
        &self,
        parent: B256,
        round: &RoundInfo,
        now_ms: u64,
    ) -> Result<Arc<Block>, Unready> {
        let _working = self.working.lock();
        self.check_health()?;
        let layer = self.layer(&parent)?;
        let bounds = timestamp_bounds(&layer.block.header, &self.spec.limits);
        let timestamp_ms = now_ms.clamp(*bounds.start(), *bounds.end());
        let committee = hallmark_execution::committee(&layer.state, &self.spec, round.epoch.into());
        let Some(leader) = committee
            .as_ref()
            .and_then(|committee| committee.members.get(usize::from(round.leader)))
        else {
            return Err(Unready::Failed(format!(
                "epoch {} has no validator with index {}",
                round.epoch, round.leader
            )));
        };
        let attributes = BlockAttributes {
            timestamp_ms,
            epoch: round.epoch,
            view: round.view,
            parent_view: round.parent_view,
            leader: round.leader,
            beneficiary: leader.address,
        };
        let candidates = self.candidates(&layer);
        let lineage = Lineage {
            layer: &layer,
            store: &self.store,
        };
        let started = Instant::now();
        let built = self
            .executor
            .build_block(
                &layer.block.header,
                &layer.state,
                attributes,
                candidates,
                &lineage,
            )
            .map_err(|error| self.fail(format!("cannot build a block: {error}")))?;
        self.metrics.executed(started.elapsed());
        let refused: Vec<B256> = built
            .refused
            .iter()
            .filter(|(_, error)| error.is_permanent())
            .map(|(hash, _)| *hash)
            .collect();
        if layer.hash == self.store.head().hash {
            self.drop_refused(&refused);
        } else if !refused.is_empty() {
            self.refused
                .lock()
                .insert(layer.hash, (layer.block.number(), refused));
        }
        let block = built.executed.block.clone();
        self.keep(Arc::new(built.executed));
        Ok(block)
    }

    /// Judges a proposed block. `parent` is the hash that consensus says it builds on.
    pub fn verify(
        &self,
        parent: B256,
        block: &Arc<Block>,
        round: &RoundInfo,
        now_ms: u64,
    ) -> Verdict {
        if let Err(reason) = self.check_round(parent, block, round) {
            return Verdict::Invalid(reason);
        }
        let layer = match self.layer(&parent) {
            Ok(layer) => layer,
            Err(unready) => return Verdict::Pending(unready),
        };
        // The bound relative to the parent comes first: it is permanent.
        let limits = &self.spec.limits;
        if let Err(error) = check_timestamp(&layer.block.header, &block.header, limits) {
            return Verdict::Invalid(error.to_string());
        }
        let timestamp = block.timestamp_ms();
        if timestamp > now_ms.saturating_add(limits.max_clock_skew_ms) {
            return Verdict::Pending(Unready::TooEarly(
                timestamp.saturating_sub(limits.max_clock_skew_ms),
            ));
        }
        match self.extend(block) {
            Ok(()) => Verdict::Valid,
            Err(ExtendError::Unready(unready)) => Verdict::Pending(unready),
            Err(ExtendError::Invalid(reason)) => Verdict::Invalid(reason),
        }
    }

    /// Executes a block on its parent and keeps its layer. Does nothing if the layer is known.
    ///
    /// # Errors
    /// [`ExtendError::Invalid`] if it is permanently invalid, [`ExtendError::Unready`] if that
    /// cannot be said.
    pub fn extend(&self, block: &Arc<Block>) -> Result<(), ExtendError> {
        self.execute(block).map(|_| ())
    }

    /// Notes that the network has finalized a height, whether or not its block is here yet.
    pub fn note_tip(&self, height: u64) {
        self.store.note_tip(height);
    }

    /// Commits a finalized block with its certificate (empty if it became final through a descendant).
    ///
    /// # Errors
    /// Every [`CoreError`] is fatal: the core accepts nothing after it.
    pub fn finalized(&self, block: &Arc<Block>, finalization: Bytes) -> Result<(), CoreError> {
        if let Some(reason) = self.failure() {
            return Err(CoreError::Failed(reason));
        }
        self.commit(block, finalization)
            .inspect_err(|error| drop(self.fail(error.to_string())))
    }

    fn commit(&self, block: &Arc<Block>, finalization: Bytes) -> Result<(), CoreError> {
        let hash = block.hash();
        let number = block.number();
        let head = self.store.head();
        if number <= head.block.number() {
            return match self.store.block_hash(number) {
                Some(committed) if committed == hash => Ok(()),
                committed => Err(CoreError::Conflict {
                    number,
                    committed: committed.unwrap_or_default(),
                    finalized: hash,
                }),
            };
        }
        if number != head.block.number().saturating_add(1) {
            return Err(CoreError::Gap {
                number,
                head: head.block.number(),
            });
        }
        let executed = self.execute(block).map_err(|error| CoreError::Diverged {
            number,
            hash,
            reason: error.to_string(),
        })?;
        self.store
            .commit(&executed, finalization)
            .map_err(|error| CoreError::Store {
                number,
                reason: error.to_string(),
            })?;
        self.metrics.committed(&head.block, block);
        self.mempool.on_committed(&executed);
        self.layers
            .lock()
            .retain(|_, layer| layer.block.number() > number);
        let refused = self.refused.lock().remove(&hash);
        if let Some((_, refused)) = refused {
            self.drop_refused(&refused);
        }
        self.refused
            .lock()
            .retain(|_, (parent, _)| *parent > number);
        Ok(())
    }

    fn execute(&self, block: &Arc<Block>) -> Result<Arc<Executed>, ExtendError> {
        let hash = block.hash();
        let _working = self.working.lock();
        if let Some(executed) = self.layers.lock().get(&hash) {
            return Ok(executed.clone());
        }
        self.check_health()?;
        let layer = self.layer(&block.header.parent_hash)?;
        let lineage = Lineage {
            layer: &layer,
            store: &self.store,
        };
        let started = Instant::now();
        match self
            .executor
            .execute_block(&layer.block.header, &layer.state, block, &lineage)
        {
            Ok(executed) => {
                self.metrics.executed(started.elapsed());
                let executed = Arc::new(executed);
                self.keep(executed.clone());
                Ok(executed)
            }
            Err(BlockError::Fatal(reason)) => Err(self.fail(reason).into()),
            Err(error) => Err(ExtendError::Invalid(error.to_string())),
        }
    }

    /// Without this, a pool of transactions that no block can carry would look like work for ever.
    fn drop_refused(&self, refused: &[B256]) {
        for hash in refused {
            tracing::debug!(%hash, "transaction leaves the pool: no block can carry it");
            self.mempool.remove(hash);
        }
    }

    /// The header must state the round that consensus proposed it in. That it pays the leader of that
    /// round, who follows from the parent's state, is checked by the executor.
    fn check_round(&self, parent: B256, block: &Block, round: &RoundInfo) -> Result<(), String> {
        let header = &block.header;
        if header.parent_hash != parent {
            return Err(format!(
                "parent hash {}, proposed on {parent}",
                header.parent_hash
            ));
        }
        let extra = HeaderExtra::decode(&header.extra_data).map_err(|error| error.to_string())?;
        let stated = RoundInfo {
            epoch: extra.epoch,
            view: extra.view,
            parent_view: extra.parent_view,
            leader: extra.leader,
        };
        if stated != *round {
            return Err(format!(
                "the header states {stated:?}, proposed in {round:?}"
            ));
        }
        Ok(())
    }

    fn candidates(&self, layer: &Layer) -> Vec<Arc<PooledTransaction>> {
        let limits = &self.spec.limits;
        let base_fee = next_base_fee(&layer.block.header, &self.spec);
        self.mempool.best(
            &layer.state,
            base_fee,
            limits.block_gas_limit,
            limits.max_block_bytes.saturating_sub(MAX_HEADER_BYTES),
        )
    }

    /// The state after `hash`, anchored at a committed block.
    fn layer(&self, hash: &B256) -> Result<Layer, Unready> {
        let layers = self.layers.lock();
        if let Some(executed) = layers.get(hash) {
            let mut pending = BTreeMap::from([(executed.block.number(), *hash)]);
            let mut lowest = executed;
            while let Some(below) = layers.get(&lowest.block.header.parent_hash) {
                pending.insert(below.block.number(), below.hash);
                lowest = below;
            }
            let base = lowest.block.header.parent_hash;
            let committed = lowest
                .block
                .number()
                .checked_sub(1)
                .and_then(|number| self.store.block_hash(number));
            match committed {
                Some(hash) if hash == base => {}
                Some(_) => return Err(Unready::ParentPassed(*hash)),
                None => return Err(Unready::MissingParent(base)),
            }
            return Ok(Layer {
                block: executed.block.clone(),
                hash: *hash,
                state: executed.state.clone(),
                pending,
            });
        }
        drop(layers);
        let head = self.store.head();
        if head.hash == *hash {
            return Ok(Layer {
                block: head.block.clone(),
                hash: *hash,
                state: head.state.clone(),
                pending: BTreeMap::new(),
            });
        }
        let Some(number) = self.store.number_by_hash(hash) else {
            return Err(Unready::MissingParent(*hash));
        };
        match (
            self.store.block_by_number(number),
            self.store.state_at(number),
        ) {
            (Some(block), Some(state)) => Ok(Layer {
                block,
                hash: *hash,
                state,
                pending: BTreeMap::new(),
            }),
            _ => Err(Unready::ParentPassed(*hash)),
        }
    }

    fn keep(&self, executed: Arc<Executed>) {
        let mut layers = self.layers.lock();
        layers.insert(executed.hash, executed);
        while layers.len() > MAX_LAYERS {
            let lowest = layers
                .iter()
                .min_by_key(|(_, layer)| layer.block.number())
                .map(|(hash, _)| *hash);
            match lowest {
                Some(hash) => layers.remove(&hash),
                None => break,
            };
        }
    }

    fn check_health(&self) -> Result<(), Unready> {
        match self.failure() {
            Some(reason) => Err(Unready::Failed(reason)),
            None => Ok(()),
        }
    }

    /// Records that this node must not go on. The first reason stays.
    fn fail(&self, reason: String) -> Unready {
        tracing::error!(%reason, "consensus stops: this node cannot go on");
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| reason.clone());
            first
        });
        Unready::Failed(reason)
    }
}
