//! One validator's engine over any runtime: Simplex, marshal, block broadcast and gossip, joined to a
//! [`Core`].
//!
//! ```text
//!             votes, certificates, resolver                 gossip
//!                        |                                    |
//!   Automaton <---> Simplex --finalizations--> marshal     exchange <--> pool
//!       |                                      |    ^
//!       v                        final blocks  |    | blocks (broadcast, backfill)
//!      Core <------- commit_blocks <-----------+    v
//!                                                 peers
//! ```
//!
//! There is one epoch for now: number 0, longer than any chain. Headers, certificates and the partition
//! of the write-ahead log name the epoch, so that later epochs get an engine each.
//!
//! # Restart
//!
//! The write-ahead log (own votes) and marshal's archives live in the runtime's storage, the chain's
//! state in the [`Store`](hallmark_state::Store). Marshal acknowledges a height only after the store has
//! committed it, so after a crash it may deliver a committed block again (a no-op), never skip one.
//! Layers of blocks that are not final are executed again from marshal's ancestry when asked for.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use commonware_broadcast::buffered;
use commonware_consensus::{
    marshal::{
        self,
        core::Actor as Marshal,
        resolver::p2p as backfill,
        standard::{Inline, Standard},
    },
    simplex::{
        self, Engine, Floor, ForwardPolicy, SkipBudget, SkipPolicy, elector::RoundRobin,
        scheme::ed25519::Scheme,
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Digestible, Signer as _,
    certificate::{ConstantProvider, Verifier as _},
    ed25519::{PrivateKey, PublicKey},
};
use commonware_p2p::{Blocker, Channel, Provider, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{
    BLOB_PAGE_SIZE, Clock, Metrics, Quota, Spawner, Storage,
    buffer::paged::{CacheRef, page_size},
};
use commonware_storage::{archive::prunable, translator::EightCap};
use commonware_utils::{NZDuration, NZU32, NZU64, NZUsize};
use hallmark_types::{ChainSpec, Limits};
use rand_core::CryptoRng;

use crate::{
    application::{Automaton, Finalizer, Proposer, commit_blocks},
    block::{Digest, WireBlock},
    committee::{self, Finalization},
    core::Core,
    gossip,
    start::ConsensusError,
};

/// The only epoch for now.
const EPOCH: Epoch = Epoch::zero();
/// Blocks in an epoch: more than a chain will have.
const EPOCH_BLOCKS: NonZeroU64 = NZU64!(1 << 62);

/// Least time that a leader has for its proposal: far above the time to build and check a full block
/// on a busy machine.
const LEAST_LEADER_TIMEOUT: Duration = Duration::from_millis(1_000);

/// How long a view may last.
struct Timeouts {
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
    fn of(limits: &Limits) -> Self {
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

/// Repetition of a request to peers.
const FETCH_TIMEOUT: Duration = Duration::from_millis(1_000);
const FETCH_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Views behind the last final one for which votes and blocks are kept for peers.
const VIEW_RETENTION: ViewDelta = ViewDelta::new(64);
/// Capacity of each actor's mailbox.
const MAILBOX: NonZeroUsize = NZUsize!(1_024);
/// Blocks kept per sender by the broadcast.
const BROADCAST_DEQUE: usize = 16;
/// Final blocks delivered ahead of their commit.
const MAX_PENDING_ACKS: NonZeroUsize = NZUsize!(16);
/// Missing heights fetched at once while catching up.
const MAX_REPAIR: NonZeroUsize = NZUsize!(16);
const BUFFER: NonZeroUsize = NZUsize!(256 * 1024);
/// 4 MiB.
const PAGE_CACHE_PAGES: NonZeroUsize = NZUsize!(1_024);
const ITEMS_PER_SECTION: NonZeroU64 = NZU64!(4_096);

/// A channel of the network: its number and the messages that a peer may send per second.
#[derive(Debug, Clone, Copy)]
pub struct ChannelSpec {
    /// Number on the network.
    pub channel: Channel,
    /// Messages per second and peer.
    pub quota: Quota,
}

const fn channel(channel: Channel, per_second: NonZeroU32) -> ChannelSpec {
    ChannelSpec {
        channel,
        quota: Quota::per_second(per_second),
    }
}

/// The channels in the order of [`Channels`].
pub const CHANNELS: [ChannelSpec; 6] = [
    channel(0, NZU32!(1_024)),
    channel(1, NZU32!(1_024)),
    channel(2, NZU32!(256)),
    channel(3, NZU32!(128)),
    channel(4, NZU32!(128)),
    channel(5, NZU32!(2_048)),
];

/// A sender and a receiver for each channel.
pub struct Channels<S, R> {
    /// Simplex votes.
    pub votes: (S, R),
    /// Simplex certificates.
    pub certificates: (S, R),
    /// Requests for certificates.
    pub resolver: (S, R),
    /// Requests for blocks.
    pub backfill: (S, R),
    /// Proposed blocks.
    pub broadcast: (S, R),
    /// Transactions.
    pub gossip: (S, R),
}

/// What one validator's engine is made of, besides its network.
pub struct Validator {
    /// Its key, one of the spec's.
    pub key: PrivateKey,
    /// Its chain.
    pub core: Arc<Core>,
    /// Makes its blocks.
    pub proposer: Arc<dyn Proposer>,
    /// Prefix of its partitions in the runtime's storage (unique when validators share one).
    pub partition: String,
}

/// The largest message that a validator of this chain sends, on any channel.
///
/// # Errors
/// [`ConsensusError::Limits`] if the limits of the spec cannot be sent over a network at all.
pub fn max_message_bytes(spec: &ChainSpec) -> Result<u32, ConsensusError> {
    let participants = u32::try_from(spec.validators.len())
        .map_err(|_| ConsensusError::Limits("too many validators".into()))?;
    let limits = Arc::new(spec.limits.clone());
    // Above this bound (far below the network's own) the sizes of framed messages might not fit.
    if limits.max_block_bytes > 1 << 30 || limits.max_tx_bytes > limits.max_block_bytes {
        return Err(ConsensusError::Limits(
            "max_block_bytes must be at most 1 GiB and max_tx_bytes at most that".into(),
        ));
    }
    Ok(commonware_p2p::max_message_size(&[
        simplex::max_payload_size::<Scheme, Digest>(participants),
        marshal::max_payload_size::<Standard<WireBlock>, Scheme>(participants, &limits),
        gossip::max_message_bytes(&limits),
    ]))
}

/// Runs a validator until the runtime is asked to stop or an actor of the engine ends; says why. A
/// core that fails does not end it: it stops answering, and the caller watches [`Core::failed`].
///
/// # Errors
/// [`ConsensusError`] if the key or the spec is unusable.
pub async fn run<E, P, B, S, R>(
    context: E,
    validator: Validator,
    peers: P,
    blocker: B,
    channels: Channels<S, R>,
) -> Result<String, ConsensusError>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let Validator {
        key,
        core,
        proposer,
        partition,
    } = validator;
    let mut stopping = context.stopped();
    let spec = core.spec().clone();
    let public_key = key.public_key();
    let validators = Arc::new(committee::keys(&spec)?);
    let scheme = Scheme::signer(
        &committee::namespace(&spec),
        committee::participants(&spec)?,
        key,
    )
    .ok_or_else(|| ConsensusError::NotAValidator {
        public_key: public_key.to_string(),
    })?;
    let limits: Arc<Limits> = Arc::new(spec.limits.clone());
    let timeouts = Timeouts::of(&limits);
    let page_cache = CacheRef::new(page_size(BLOB_PAGE_SIZE), PAGE_CACHE_PAGES);
    let genesis = WireBlock::new(core.genesis());
    let genesis_digest = genesis.digest();

    // Proposed blocks.
    let (broadcast, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: public_key.clone(),
            mailbox_size: MAILBOX,
            deque_size: BROADCAST_DEQUE,
            priority: true,
            codec_config: limits.clone(),
            peer_provider: peers.clone(),
            strategy: Sequential,
        },
    );
    let mut broadcast = broadcast.start(channels.broadcast);

    // Requests for blocks.
    let resolver = backfill::init(
        context.child("backfill"),
        backfill::Config {
            public_key,
            peer_provider: peers,
            blocker: blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY_DELAY,
            priority_requests: false,
            priority_responses: false,
        },
        channels.backfill,
    );

    // Final blocks in order.
    let archive = |name: &str| format!("{partition}-{name}");
    let finalizations: prunable::Archive<EightCap, _, Digest, Finalization> =
        prunable::Archive::init(
            context.child("finalizations"),
            prunable::Config {
                translator: EightCap,
                metadata_partition: archive("finalizations-metadata"),
                key_partition: archive("finalizations-keys"),
                key_page_cache: page_cache.clone(),
                value_partition: archive("finalizations-values"),
                compression: None,
                codec_config: scheme.certificate_codec_config(),
                items_per_section: ITEMS_PER_SECTION,
                key_write_buffer: BUFFER,
                value_write_buffer: BUFFER,
                replay_buffer: BUFFER,
            },
        )
        .await
        .map_err(|error| ConsensusError::Archive(error.to_string()))?;
    let blocks: prunable::Archive<EightCap, _, Digest, Arc<WireBlock>> = prunable::Archive::init(
        context.child("blocks"),
        prunable::Config {
            translator: EightCap,
            metadata_partition: archive("blocks-metadata"),
            key_partition: archive("blocks-keys"),
            key_page_cache: page_cache.clone(),
            value_partition: archive("blocks-values"),
            compression: None,
            codec_config: limits.clone(),
            items_per_section: ITEMS_PER_SECTION,
            key_write_buffer: BUFFER,
            value_write_buffer: BUFFER,
            replay_buffer: BUFFER,
        },
    )
    .await
    .map_err(|error| ConsensusError::Archive(error.to_string()))?;
    let epocher = FixedEpocher::new(EPOCH_BLOCKS);
    let (marshal, mailbox, _floor) = Marshal::init(
        context.child("marshal"),
        finalizations,
        blocks,
        marshal::Config {
            provider: ConstantProvider::new(scheme.clone()),
            epocher: epocher.clone(),
            start: marshal::Start::Genesis(Digested::precomputed(genesis, genesis_digest)),
            partition_prefix: archive("marshal"),
            mailbox_size: MAILBOX,
            view_retention: VIEW_RETENTION,
            prunable_items_per_section: ITEMS_PER_SECTION,
            page_cache: page_cache.clone(),
            replay_buffer: BUFFER,
            key_write_buffer: BUFFER,
            value_write_buffer: BUFFER,
            block_codec_config: limits,
            max_repair: MAX_REPAIR,
            max_pending_acks: MAX_PENDING_ACKS,
            strategy: Sequential,
        },
    )
    .await;
    let (finalizer, final_blocks) = Finalizer::new(core.clone());
    let mut marshal = marshal.start(finalizer, buffer, resolver);
    let commits = context.child("commit").spawn({
        let (core, mailbox) = (core.clone(), mailbox.clone());
        move |context| commit_blocks(context, core, mailbox, final_blocks)
    });

    // Agreement.
    let automaton = Inline::new(
        context.child("automaton"),
        Automaton {
            core: core.clone(),
            proposer,
            validators,
        },
        mailbox,
        epocher,
    );
    let simplex = Engine::new(
        context.child("simplex"),
        simplex::Config {
            scheme,
            elector: RoundRobin::<commonware_cryptography::Sha256>::default(),
            blocker,
            automaton: automaton.clone(),
            relay: automaton.clone(),
            reporter: automaton,
            track_historical_votes: false,
            strategy: Sequential,
            partition: archive(&format!("votes-{EPOCH}")),
            mailbox_size: MAILBOX,
            epoch: EPOCH,
            floor: Floor::Genesis(genesis_digest),
            replay_buffer: BUFFER,
            write_buffer: BUFFER,
            page_cache,
            leader_timeout: timeouts.leader,
            certification_timeout: timeouts.certification,
            timeout_retry: timeouts.retry,
            view_retention: VIEW_RETENTION,
            skip: SkipPolicy::Enabled {
                timeout: timeouts.skip,
                budget: SkipBudget::Participants,
            },
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY_DELAY,
            forward: ForwardPolicy::SilentVoters,
        },
    );
    let mut simplex = simplex.start(channels.votes, channels.certificates, channels.resolver);

    // Transactions.
    let (gossip_sender, gossip_receiver) = channels.gossip;
    let gossip = context.child("gossip").spawn({
        let core = core.clone();
        move |_| gossip::exchange(core, gossip_sender, gossip_receiver)
    });

    // Biased, so that a simulation is a function of its seed.
    let ended = tokio::select! {
        biased;
        _ = &mut stopping => {
            // The actors end by themselves; cutting one off while it writes would make it panic.
            let _ends = futures::join!(simplex, marshal, broadcast);
            "the validator was stopped"
        }
        _ = &mut simplex => "the consensus engine ended",
        _ = &mut marshal => "marshal ended",
        _ = &mut broadcast => "block broadcast ended",
        _ = commits => "the committer ended",
        _ = gossip => "transaction gossip ended",
    };
    Ok(ended.into())
}
