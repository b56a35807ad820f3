//! Agreement on one block after the other: a Simplex engine for each epoch, one at a time.
//!
//! # Life of an engine
//!
//! | when | what |
//! |---|---|
//! | the last block of epoch `e - 1` is committed, or the node starts in epoch `e` | the engine of `e` starts over its own write-ahead log, from the hash of that block |
//! | the last block of epoch `e` is proposed | it is proposed again until it is final, nothing follows it |
//! | the last block of epoch `e` is committed here | the engine of `e` is stopped |
//! | the engine of `e + 2` starts | the write-ahead log of `e` is removed |
//!
//! Stopping at once is safe: the commit comes after marshal has the block and its certificate on disk,
//! so a validator that is still in epoch `e` gets both from here, although votes of `e` are not
//! answered any more. It asks as soon as it hears of a later epoch (see `engine`).
//!
//! Every message of an engine travels on a sub-channel that is numbered with its epoch, because
//! Simplex takes a message of another epoch for an attack and cuts the sender off.
//!
//! A node that is not a member of the committee runs the same engine over a scheme that cannot sign:
//! it follows votes and certificates, checks proposed blocks, and says nothing.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use commonware_consensus::{
    marshal::{
        core::Mailbox,
        standard::{Inline, Standard},
    },
    simplex::{
        self, Engine, Floor, ForwardPolicy, SkipBudget, SkipPolicy, elector::RoundRobin,
        scheme::ed25519::Scheme,
    },
    types::Epoch,
};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Blocker, Sender, utils::mux::MuxHandle};
use commonware_parallel::Sequential;
use commonware_runtime::{
    Clock, Error as RuntimeError, Handle, Metrics, Spawner, Storage, buffer::paged::CacheRef,
};
use commonware_utils::NZDuration;
use hallmark_types::Limits;
use rand_core::CryptoRng;

use crate::{
    application::{Automaton, Proposer},
    block::WireBlock,
    core::Core,
    engine::{BUFFER, FETCH_RETRY_DELAY, FETCH_TIMEOUT, VIEW_RETENTION},
    epochs::Epochs,
    evidence::{Watched, Witness},
    start::ConsensusError,
    votes::VoteGuard,
};

/// Least time that a leader has for its proposal: far above the time to build and check a full block
/// on a busy machine.
const LEAST_LEADER_TIMEOUT: Duration = Duration::from_millis(1_000);
/// Write-ahead logs of epochs that ended that long ago are not looked for any more.
const OLDEST_LOGS: u64 = 64;

/// How long a view may last.
pub(crate) struct Timeouts {
    /// A leader that has not proposed by then loses its view.
    leader: Duration,
    /// A view that has not been certified by then is abandoned.
    certification: Duration,
    /// Repetition of the vote to abandon a view.
    retry: Duration,
    /// The views of a validator that has been silent for so long are skipped at once.
    skip: Duration,
}

impl Timeouts {
    /// An idle leader waits for the idle interval before it proposes, so the rest follows from that.
    pub(crate) fn of(limits: &Limits) -> Self {
        let idle = Duration::from_millis(limits.idle_block_interval_ms);
        let leader = idle.saturating_mul(4).max(LEAST_LEADER_TIMEOUT);
        Self {
            leader,
            certification: leader.saturating_mul(2),
            retry: leader,
            skip: leader.saturating_mul(4),
        }
    }
}

/// Starts the engine of each epoch.
pub(crate) struct Agreement<E, B, S: Sender> {
    pub(crate) context: E,
    pub(crate) core: Arc<Core>,
    pub(crate) proposer: Arc<dyn Proposer>,
    pub(crate) witness: Witness,
    pub(crate) may_vote: VoteGuard,
    pub(crate) epochs: Epochs,
    pub(crate) marshal: Mailbox<Scheme, Standard<WireBlock>>,
    pub(crate) blocker: B,
    pub(crate) votes: MuxHandle<S>,
    pub(crate) certificates: MuxHandle<S>,
    pub(crate) resolver: MuxHandle<S>,
    pub(crate) page_cache: CacheRef,
    pub(crate) mailbox_size: NonZeroUsize,
    pub(crate) timeouts: Timeouts,
    /// Prefix of the partitions of the write-ahead logs.
    pub(crate) partition: String,
    /// Logs of lower epochs are removed.
    pub(crate) cleared: u64,
}

impl<E, B, S> Agreement<E, B, S>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
{
    /// Starts the engine of an epoch whose first block's parent is committed. The engine ends when
    /// the runtime stops or one of its actors fails; aborting the handle stops all of it.
    pub(crate) async fn start(&mut self, epoch: Epoch) -> Result<Handle<()>, ConsensusError> {
        let set = self
            .epochs
            .get(epoch)
            .ok_or(ConsensusError::NoCommittee { epoch: epoch.get() })?;
        // Also where the key is no member, and before old logs go: the record then says so.
        let may_vote = (self.may_vote)(epoch.get()).map_err(ConsensusError::Votes)?;
        let votes_here = set.member && may_vote;
        self.clear_logs(epoch).await;
        let first = self.epochs.first(epoch).get();
        let root = match first.checked_sub(1) {
            None => self.core.genesis().hash(),
            Some(boundary) => self
                .core
                .store()
                .block_hash(boundary)
                .ok_or(ConsensusError::NoCommittee { epoch: epoch.get() })?,
        };
        let ended = |_| ConsensusError::NetworkEnded;
        let votes = self.votes.register(epoch.get()).await.map_err(ended)?;
        let certificates = self
            .certificates
            .register(epoch.get())
            .await
            .map_err(ended)?;
        let resolver = self.resolver.register(epoch.get()).await.map_err(ended)?;
        let members = set.committee.members.len();
        if set.member && !votes_here {
            tracing::warn!(
                %epoch,
                "this key has voted in this epoch or a later one, and the log of its votes is not here: \
                 the node follows and votes again in an epoch that its key has not signed in"
            );
        }
        tracing::info!(%epoch, members, votes = votes_here, "epoch begins");

        let (scheme, log) = match votes_here || !set.member {
            true => (&set.scheme, self.log(epoch.get())),
            // Its own votes may lie in the log, and the engine of a follower refuses to read them.
            false => (&set.verifier, self.follower_log(epoch.get())),
        };
        let config = self.config(epoch, root, scheme, log);
        let automaton = Automaton {
            core: self.core.clone(),
            proposer: self.proposer.clone(),
            validators: set.keys.clone(),
        };
        let (marshal, epocher) = (self.marshal.clone(), self.epochs.epocher());
        let witness = self.witness.clone();
        let context = self.context.child("epoch").with_attribute("epoch", epoch);
        Ok(context.spawn(move |context| async move {
            let automaton = Inline::new(context.child("automaton"), automaton, marshal, epocher);
            let reporter = Watched {
                reporter: automaton.clone(),
                scheme: set.scheme.clone(),
                witness,
            };
            let engine = Engine::new(context.child("simplex"), config.join(automaton, reporter));
            let engine = engine.start(votes, certificates, resolver);
            if let Err(error) = engine.await {
                tracing::error!(%epoch, %error, "the engine of an epoch ended");
            }
        }))
    }

    fn config(
        &self,
        epoch: Epoch,
        root: alloy_primitives::B256,
        scheme: &Scheme,
        partition: String,
    ) -> Settings<B> {
        Settings {
            epoch,
            root: root.into(),
            scheme: scheme.clone(),
            blocker: self.blocker.clone(),
            partition,
            page_cache: self.page_cache.clone(),
            mailbox_size: self.mailbox_size,
            leader_timeout: self.timeouts.leader,
            certification_timeout: self.timeouts.certification,
            timeout_retry: self.timeouts.retry,
            skip_timeout: self.timeouts.skip,
        }
    }

    fn log(&self, epoch: u64) -> String {
        format!("{}-{epoch}", self.partition)
    }

    /// The log of an epoch in which a member only follows.
    fn follower_log(&self, epoch: u64) -> String {
        format!("{}-follows", self.log(epoch))
    }

    /// Removes the logs of the epochs before the previous one. The previous epoch's stays, because
    /// the tasks of its engine may still be ending.
    async fn clear_logs(&mut self, epoch: Epoch) {
        let below = epoch.get().saturating_sub(1);
        let from = self.cleared.max(epoch.get().saturating_sub(OLDEST_LOGS));
        for old in from..below {
            for log in [self.log(old), self.follower_log(old)] {
                match self.context.remove(&log, None).await {
                    Ok(()) | Err(RuntimeError::PartitionMissing(_)) => {}
                    Err(error) => {
                        tracing::warn!(epoch = old, %error, "an old write-ahead log was not removed");
                    }
                }
            }
        }
        self.cleared = self.cleared.max(below);
    }
}

/// What differs from epoch to epoch and from chain to chain in the configuration of Simplex.
struct Settings<B> {
    epoch: Epoch,
    root: crate::block::Digest,
    scheme: Scheme,
    blocker: B,
    partition: String,
    page_cache: CacheRef,
    mailbox_size: NonZeroUsize,
    leader_timeout: Duration,
    certification_timeout: Duration,
    timeout_retry: Duration,
    skip_timeout: Duration,
}

type SimplexConfig<B, A, F> = simplex::Config<
    Scheme,
    RoundRobin<commonware_cryptography::Sha256>,
    B,
    crate::block::Digest,
    A,
    A,
    F,
    Sequential,
>;

impl<B: Blocker<PublicKey = PublicKey>> Settings<B> {
    fn join<A, F>(self, automaton: A, reporter: F) -> SimplexConfig<B, A, F>
    where
        A: commonware_consensus::CertifiableAutomaton<
                Context = simplex::types::Context<crate::block::Digest, PublicKey>,
            > + commonware_consensus::Relay
            + Clone,
        F: commonware_consensus::Reporter<
                Activity = simplex::types::Activity<Scheme, crate::block::Digest>,
            >,
    {
        simplex::Config {
            scheme: self.scheme,
            elector: RoundRobin::default(),
            blocker: self.blocker,
            automaton: automaton.clone(),
            relay: automaton,
            reporter,
            // A second vote is evidence also when it comes after the certificate.
            track_historical_votes: true,
            strategy: Sequential,
            partition: self.partition,
            mailbox_size: self.mailbox_size,
            epoch: self.epoch,
            floor: Floor::Genesis(self.root),
            replay_buffer: BUFFER,
            write_buffer: BUFFER,
            page_cache: self.page_cache,
            leader_timeout: self.leader_timeout,
            certification_timeout: self.certification_timeout,
            timeout_retry: self.timeout_retry,
            view_retention: VIEW_RETENTION,
            skip: SkipPolicy::Enabled {
                timeout: self.skip_timeout,
                budget: SkipBudget::Participants,
            },
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY_DELAY,
            forward: ForwardPolicy::SilentVoters,
        }
    }
}
