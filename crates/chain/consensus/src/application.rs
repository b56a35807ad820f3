//! [`Core`] as a commonware application: the answers to Simplex, and the sink of final blocks.
//!
//! | asked | answer |
//! |---|---|
//! | propose | fetch and execute missing ancestors, wait for work or for the idle interval, build |
//! | verify | fetch and execute missing ancestors, wait for the block's timestamp, execute; never `false` unless the block is permanently invalid |
//! | final block | commit, then acknowledge; on failure neither, and the engine stops |
//!
//! Waiting costs nothing: Simplex drops a question when its view ends. Execution runs on threads of
//! its own (`shared(true)`), so that it does not hold up votes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{B256, Bytes};
use commonware_actor::Feedback;
use commonware_codec::Encode;
use commonware_consensus::{
    Application, Epochable, Heightable, Reporter, Viewable,
    marshal::{Update, ancestry::Ancestry, core::Mailbox, standard::Standard},
    simplex::{scheme::ed25519::Scheme, types::Context},
};
use commonware_cryptography::{Digested, Digestible, ed25519::PublicKey};
use commonware_runtime::{Clock, Metrics, Spawner};
use commonware_utils::{Acknowledgement, acknowledgement::Exact};
use futures::{
    StreamExt,
    future::{Either, select},
};
use hallmark_types::Block;
use tokio::sync::{mpsc, watch};

use crate::{
    block::{Digest, WireBlock},
    core::{Core, ExtendError, RoundInfo, Unready, Verdict},
};

/// Makes the blocks that a validator proposes. Simulations put a liar here.
pub trait Proposer: Send + Sync + 'static {
    /// A block on `parent` for this round.
    ///
    /// # Errors
    /// [`Unready`] forfeits the proposal.
    fn propose(
        &self,
        core: &Core,
        parent: B256,
        round: &RoundInfo,
        now_ms: u64,
    ) -> Result<Arc<Block>, Unready>;
}

/// Proposes what [`Core::propose`] builds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Honest;

impl Proposer for Honest {
    fn propose(
        &self,
        core: &Core,
        parent: B256,
        round: &RoundInfo,
        now_ms: u64,
    ) -> Result<Arc<Block>, Unready> {
        core.propose(parent, round, now_ms)
    }
}

/// The automaton's view of a [`Core`].
#[derive(Clone)]
pub(crate) struct Automaton {
    pub(crate) core: Arc<Core>,
    pub(crate) proposer: Arc<dyn Proposer>,
    /// Public keys of the epoch's committee in its order.
    pub(crate) validators: Arc<Vec<PublicKey>>,
}

impl Automaton {
    fn round(&self, context: &Context<Digest, PublicKey>) -> Option<RoundInfo> {
        let leader = self
            .validators
            .iter()
            .position(|key| *key == context.leader)?;
        Some(RoundInfo {
            epoch: u32::try_from(context.epoch().get()).ok()?,
            view: context.view().get(),
            parent_view: context.parent.0.get(),
            leader: u16::try_from(leader).ok()?,
        })
    }

    /// Executes the uncommitted ancestors of `parent`, `parent` included, as far as they are not
    /// known here. `newest` is the first block that `ancestry` yields from here on.
    async fn prepare_layer<E: Spawner>(
        &self,
        context: &E,
        parent: B256,
        mut ancestry: impl Ancestry<WireBlock>,
    ) -> Result<(), Unready> {
        let mut missing: Vec<Arc<Block>> = Vec::new();
        let mut wanted = parent;
        loop {
            match self.core.ready_for(&wanted) {
                Ok(()) => break,
                Err(Unready::MissingParent(_)) => {}
                Err(unready) => return Err(unready),
            }
            // Skips blocks above `parent`; ends when marshal cannot get an ancestor any more.
            let block = loop {
                match ancestry.next().await {
                    Some(block) if block.inner().hash() == wanted => break block,
                    Some(_) => {}
                    None => return Err(Unready::MissingParent(wanted)),
                }
            };
            wanted = block.inner().block().header.parent_hash;
            missing.push(block.inner().block().clone());
        }
        for block in missing.into_iter().rev() {
            let core = self.core.clone();
            match blocking(context, move || core.extend(&block)).await {
                Some(Ok(())) => {}
                Some(Err(ExtendError::Unready(unready))) => return Err(unready),
                // A quorum notarized it, so this is a defect or a broken quorum; the guard at
                // finalization decides which. Until then this node abstains.
                Some(Err(ExtendError::Invalid(reason))) => {
                    tracing::error!(%parent, %reason, "a notarized ancestor is invalid here");
                    return Err(Unready::MissingParent(parent));
                }
                None => return Err(Unready::MissingParent(parent)),
            }
        }
        Ok(())
    }

    /// Waits until a block on `parent` should be proposed.
    async fn wait_turn(&self, clock: &impl Clock, parent: B256, parent_ms: u64) {
        let limits = &self.core.spec().limits;
        let begin = now_ms(clock);
        // However far the parent's timestamp is ahead of this clock, the wait is bounded.
        let earliest = parent_ms
            .saturating_add(limits.min_block_interval_ms)
            .min(begin.saturating_add(limits.min_block_interval_ms));
        let latest = parent_ms
            .saturating_add(limits.idle_block_interval_ms)
            .min(begin.saturating_add(limits.idle_block_interval_ms));
        let mut arrivals = self.core.arrivals();
        loop {
            let now = now_ms(clock);
            if now >= latest {
                return;
            }
            if self.core.has_work(&parent) {
                clock.sleep(until(now, earliest)).await;
                return;
            }
            let arrival = std::pin::pin!(async {
                // A lagging reader has missed arrivals: look again. A closed pool never wakes.
                if let Err(tokio::sync::broadcast::error::RecvError::Closed) = arrivals.recv().await
                {
                    std::future::pending::<()>().await;
                }
            });
            let idle = std::pin::pin!(clock.sleep(until(now, latest)));
            if let Either::Right(_) = select(arrival, idle).await {
                return;
            }
        }
    }
}

impl<E> Application<E> for Automaton
where
    E: Spawner + Clock + Metrics,
{
    type SigningScheme = Scheme;
    type Context = Context<Digest, PublicKey>;
    type Block = WireBlock;
    type Input = ();

    async fn propose(
        &mut self,
        (runtime, context): (E, Self::Context),
        ancestry: impl Ancestry<WireBlock>,
        (): (),
    ) -> Option<Digested<WireBlock>> {
        let round = self.round(&context)?;
        let parent = B256::from(context.parent.1);
        let parent_ms = ancestry.peek()?.inner().block().timestamp_ms();
        if let Err(unready) = self.prepare_layer(&runtime, parent, ancestry).await {
            tracing::warn!(%parent, %unready, "no proposal");
            return None;
        }
        self.wait_turn(&runtime, parent, parent_ms).await;
        let (core, proposer) = (self.core.clone(), self.proposer.clone());
        let now = now_ms(&runtime);
        let built = blocking(&runtime, move || {
            proposer
                .propose(&core, parent, &round, now)
                .map(WireBlock::new)
        })
        .await?;
        match built {
            Ok(block) => {
                let digest = block.digest();
                Some(Digested::precomputed(block, digest))
            }
            Err(unready) => {
                tracing::warn!(%parent, %unready, "no proposal");
                None
            }
        }
    }

    async fn verify(
        &mut self,
        (runtime, context): (E, Self::Context),
        ancestry: impl Ancestry<WireBlock>,
    ) -> bool {
        let parent = B256::from(context.parent.1);
        let (Some(round), Some(block)) = (self.round(&context), ancestry.peek().cloned()) else {
            return abstain().await;
        };
        let block = block.inner().block().clone();
        let hash = block.hash();
        if let Err(unready) = self.prepare_layer(&runtime, parent, ancestry).await {
            tracing::warn!(%hash, %unready, "abstaining");
            return abstain().await;
        }
        loop {
            let (core, block) = (self.core.clone(), block.clone());
            let now = now_ms(&runtime);
            let verdict =
                blocking(&runtime, move || core.verify(parent, &block, &round, now)).await;
            match verdict {
                Some(Verdict::Valid) => return true,
                Some(Verdict::Invalid(reason)) => {
                    tracing::warn!(%hash, leader = round.leader, view = round.view, %reason, "invalid block proposed");
                    return false;
                }
                Some(Verdict::Pending(Unready::TooEarly(timestamp))) => {
                    runtime.sleep(until(now, timestamp)).await;
                }
                Some(Verdict::Pending(unready)) => {
                    tracing::warn!(%hash, %unready, "abstaining");
                    return abstain().await;
                }
                None => return abstain().await,
            }
        }
    }
}

/// Never answers: the view goes on without this validator's vote.
async fn abstain() -> bool {
    std::future::pending().await
}

/// Runs `work` on a thread that may block. `None` when the runtime stops.
async fn blocking<E: Spawner, T: Send + 'static>(
    context: &E,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    context
        .child("execute")
        .shared(true)
        .spawn(move |_| async move { work() })
        .await
        .ok()
}

/// Unix time in milliseconds.
pub(crate) fn now_ms(clock: &impl Clock) -> u64 {
    since_epoch(clock.current())
}

fn since_epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| {
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    })
}

fn until(now_ms: u64, then_ms: u64) -> Duration {
    Duration::from_millis(then_ms.saturating_sub(now_ms))
}

/// Hands final blocks from marshal to the task that commits them.
#[derive(Clone)]
pub(crate) struct Finalizer {
    core: Arc<Core>,
    blocks: mpsc::UnboundedSender<(Digested<WireBlock>, Exact)>,
}

impl Finalizer {
    /// The reporter for marshal, and the queue that [`commit_blocks`] empties. Marshal itself bounds
    /// the queue: it sends at most `max_pending_acks` blocks ahead of their acknowledgements.
    pub(crate) fn new(
        core: Arc<Core>,
    ) -> (Self, mpsc::UnboundedReceiver<(Digested<WireBlock>, Exact)>) {
        let (blocks, queue) = mpsc::unbounded_channel();
        (Self { core, blocks }, queue)
    }
}

impl Reporter for Finalizer {
    type Activity = Update<WireBlock>;

    fn report(&mut self, update: Self::Activity) -> Feedback {
        match update {
            Update::Tip(_, height, _) => {
                self.core.note_tip(height.get());
                Feedback::Ok
            }
            Update::Block(block, acknowledgement) => {
                match self.blocks.send((block, acknowledgement)) {
                    Ok(()) => Feedback::Ok,
                    Err(_) => Feedback::Closed,
                }
            }
        }
    }
}

/// Commits final blocks in order, acknowledges each after its commit and then tells `committed` its
/// height. Returns only when marshal is gone; stops acknowledging (and holds the acknowledgement) once the core has failed.
pub(crate) async fn commit_blocks<E: Spawner>(
    context: E,
    core: Arc<Core>,
    marshal: Mailbox<Scheme, Standard<WireBlock>>,
    mut queue: mpsc::UnboundedReceiver<(Digested<WireBlock>, Exact)>,
    committed: watch::Sender<u64>,
) {
    while let Some((block, acknowledgement)) = queue.recv().await {
        // Genesis is committed when the store is made.
        if block.height().get() == 0 {
            acknowledgement.acknowledge();
            continue;
        }
        let finalization = match marshal.get_finalization(block.height()).await {
            Some(finalization) if finalization.proposal.payload == block.digest() => {
                Bytes::from(finalization.encode())
            }
            _ => Bytes::new(),
        };
        let height = block.height().get();
        let (core, block) = (core.clone(), block.inner().block().clone());
        match blocking(&context, move || core.finalized(&block, finalization)).await {
            Some(Ok(())) => {
                acknowledgement.acknowledge();
                // A block that is delivered again moves nothing back.
                committed.send_if_modified(|highest| {
                    let higher = height > *highest;
                    *highest = height.max(*highest);
                    higher
                });
            }
            // The core has recorded why and the engine stops; dropping the acknowledgement here
            // would make marshal panic first.
            Some(Err(_)) | None => {
                let _held = acknowledgement;
                return std::future::pending().await;
            }
        }
    }
}
