//! One node's engine over any runtime: Simplex, marshal, block broadcast and gossip, joined to a
//! [`Core`].
//!
//! ```text
//!             votes, certificates, resolver                 gossip
//!                  (one sub-channel per epoch)                |
//!                        |                                    |
//!   Automaton <---> Simplex --finalizations--> marshal     exchange <--> pool
//!       |         (one per epoch)              |    ^
//!       v                        final blocks  |    | blocks (broadcast, backfill)
//!      Core <------- commit_blocks <-----------+    v
//!                                                 peers
//! ```
//!
//! Marshal, broadcast and gossip live as long as the node; Simplex lives for one epoch (`agreement`).
//! Marshal verifies a certificate against the committee of its epoch, which the committed state knows
//! one epoch ahead (`epochs`).
//!
//! # An epoch that others have left
//!
//! A node that is still in epoch `e` and receives a vote of a later epoch asks its sender for the last
//! block of `e` with its certificate. Marshal fetches what is missing below it, the commits follow, and
//! with the last one the node enters epoch `e + 1`: a node that was away for many epochs climbs them
//! one by one.
//!
//! # Restart
//!
//! The write-ahead log (own votes) and marshal's archives live in the runtime's storage, the chain's
//! state in the [`Store`](hallmark_state::Store). Marshal acknowledges a height only after the store has
//! committed it, so after a crash it may deliver a committed block again (a no-op), never skip one.
//! The epoch to start in is that of the block after the store's head, also if the node stopped between
//! the commit of an epoch's last block and the start of the next engine.
//! A node whose log is gone follows until an epoch that its key has not signed in (`votes`).
//! Layers of blocks that are not final are executed again from marshal's ancestry when asked for.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use commonware_broadcast::buffered;
use commonware_consensus::{
    marshal::{
        self,
        core::{Actor as Marshal, Mailbox},
        resolver::p2p as backfill,
        standard::Standard,
    },
    simplex::{self, scheme::ed25519::Scheme},
    types::{Epoch, ViewDelta},
};
use commonware_cryptography::{
    Digested, Digestible, Signer as _,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_p2p::{
    AddressableManager, Blocker, Channel, Message, Receiver, Sender,
    utils::mux::{Builder as _, Muxer, prefixed},
};
use commonware_parallel::Sequential;
use commonware_runtime::{
    BLOB_PAGE_SIZE, Clock, Metrics, Quota, Spawner, Storage,
    buffer::paged::{CacheRef, page_size},
};
use commonware_utils::{NZDuration, NZU32, NZUsize, channel::mpsc, vec::NonEmptyVec};
use hallmark_types::{ChainSpec, Limits};
use rand_core::CryptoRng;
use tokio::sync::watch;

use crate::{
    agreement::{Agreement, Timeouts},
    application::{Finalizer, Proposer, commit_blocks},
    archives::{self, ITEMS_PER_SECTION},
    block::{Digest, WireBlock},
    core::Core,
    epochs::Epochs,
    evidence::Witness,
    gossip,
    peers::AddressBook,
    start::ConsensusError,
    votes::VoteGuard,
};

/// Repetition of a request to peers.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_millis(1_000);
pub(crate) const FETCH_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Views behind the last final one for which votes and blocks are kept for peers.
pub(crate) const VIEW_RETENTION: ViewDelta = ViewDelta::new(64);
/// Capacity of each actor's mailbox.
const MAILBOX: NonZeroUsize = NZUsize!(1_024);
/// Blocks kept per sender by the broadcast.
const BROADCAST_DEQUE: usize = 16;
/// Final blocks delivered ahead of their commit.
const MAX_PENDING_ACKS: NonZeroUsize = NZUsize!(16);
/// Missing heights fetched at once while catching up.
const MAX_REPAIR: NonZeroUsize = NZUsize!(32);
/// Buffers of files, bytes.
pub(crate) const BUFFER: NonZeroUsize = NZUsize!(256 * 1024);
/// 4 MiB.
const PAGE_CACHE_PAGES: NonZeroUsize = NZUsize!(1_024);
/// Signers that a certificate has at most, on any chain: what messages are sized for.
const MAX_SIGNERS: u32 = 128;

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
    channel(3, NZU32!(256)),
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

/// What one node's engine is made of, besides its network.
pub struct Validator {
    /// Its key. The node votes in the epochs whose committee has it, and follows in the others.
    pub key: PrivateKey,
    /// Its chain.
    pub core: Arc<Core>,
    /// Makes its blocks.
    pub proposer: Arc<dyn Proposer>,
    /// Who it connects to.
    pub addresses: AddressBook,
    /// Takes evidence against other validators.
    pub witness: Witness,
    /// Asked before the key signs in an epoch.
    pub may_vote: VoteGuard,
    /// Prefix of its partitions in the runtime's storage (unique when nodes share one).
    pub partition: String,
}

/// The largest message that a node of this chain sends, on any channel.
///
/// # Errors
/// [`ConsensusError::Limits`] if the limits of the spec cannot be sent over a network at all.
pub fn max_message_bytes(spec: &ChainSpec) -> Result<u32, ConsensusError> {
    let limits = Arc::new(spec.limits.clone());
    // Above this bound (far below the network's own) the sizes of framed messages might not fit.
    if limits.max_block_bytes > 1 << 30 || limits.max_tx_bytes > limits.max_block_bytes {
        return Err(ConsensusError::Limits(
            "max_block_bytes must be at most 1 GiB and max_tx_bytes at most that".into(),
        ));
    }
    Ok(commonware_p2p::max_message_size(&[
        prefixed(simplex::max_payload_size::<Scheme, Digest>(MAX_SIGNERS)),
        marshal::max_payload_size::<Standard<WireBlock>, Scheme>(MAX_SIGNERS, &limits),
        gossip::max_message_bytes(&limits),
    ]))
}

/// A message on a sub-channel that no engine here listens to.
type Unheard = (Channel, Message<PublicKey>);

/// Runs a node until the runtime is asked to stop or an actor of the engine ends; says why. A core
/// that fails does not end it: it stops answering, and the caller watches [`Core::failed`].
///
/// # Errors
/// [`ConsensusError`] if the storage or the committees are unusable.
pub async fn run<E, P, B, S, R>(
    context: E,
    validator: Validator,
    mut peers: P,
    blocker: B,
    channels: Channels<S, R>,
) -> Result<String, ConsensusError>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    P: AddressableManager<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let Validator {
        key,
        core,
        proposer,
        addresses,
        witness,
        may_vote,
        partition,
    } = validator;
    let mut stopping = context.stopped();
    let public_key = key.public_key();
    let limits: Arc<Limits> = Arc::new(core.spec().limits.clone());
    let page_cache = CacheRef::new(page_size(BLOB_PAGE_SIZE), PAGE_CACHE_PAGES);
    let genesis = WireBlock::new(core.genesis());
    let genesis_digest = genesis.digest();
    let epochs = Epochs::new(core.clone(), key);
    let archive = |name: &str| format!("{partition}-{name}");

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
            peer_provider: peers.clone(),
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
    let (finalizations, blocks) =
        archives::open(&context, archive, limits.clone(), &page_cache).await?;
    let (marshal, mailbox, _floor) = Marshal::init(
        context.child("marshal"),
        finalizations,
        blocks,
        marshal::Config {
            provider: epochs.clone(),
            epocher: epochs.epocher(),
            start: marshal::Start::Genesis(Digested::precomputed(genesis, genesis_digest)),
            partition_prefix: archive("marshal"),
            mailbox_size: MAILBOX,
            view_retention: VIEW_RETENTION,
            prunable_items_per_section: ITEMS_PER_SECTION,
            page_cache: page_cache.clone(),
            replay_buffer: BUFFER,
            key_write_buffer: BUFFER,
            value_write_buffer: BUFFER,
            block_codec_config: limits.clone(),
            max_repair: MAX_REPAIR,
            max_pending_acks: MAX_PENDING_ACKS,
            strategy: Sequential,
        },
    )
    .await;
    let (finalizer, final_blocks) = Finalizer::new(core.clone());
    let mut marshal = marshal.start(finalizer, buffer, resolver);
    let (committed, mut heights) = watch::channel(core.store().head().block.number());
    let mut commits = context.child("commit").spawn({
        let (core, mailbox) = (core.clone(), mailbox.clone());
        move |context| commit_blocks(context, core, mailbox, final_blocks, committed)
    });

    // Transactions.
    let (gossip_sender, gossip_receiver) = channels.gossip;
    let mut gossip = context.child("gossip").spawn({
        let core = core.clone();
        move |context| gossip::exchange(context, core, gossip_sender, gossip_receiver)
    });

    // Agreement.
    let (sender, receiver) = channels.votes;
    let (muxer, votes, mut unheard) = Muxer::builder(context.child("votes"), sender, receiver)
        .with_backup()
        .build();
    muxer.start();
    let (sender, receiver) = channels.certificates;
    let (muxer, certificates) = Muxer::new(context.child("certificates"), sender, receiver);
    muxer.start();
    let (sender, receiver) = channels.resolver;
    let (muxer, resolver) = Muxer::new(context.child("resolver"), sender, receiver);
    muxer.start();
    let mut agreement = Agreement {
        context: context.child("agreement"),
        timeouts: Timeouts::of(&limits),
        core,
        proposer,
        witness,
        may_vote,
        epochs: epochs.clone(),
        marshal: mailbox.clone(),
        blocker,
        votes,
        certificates,
        resolver,
        page_cache,
        mailbox_size: MAILBOX,
        partition: archive("votes"),
        cleared: 0,
    };

    loop {
        let epoch = epochs.after(*heights.borrow_and_update());
        peers.track(epoch.get(), addresses.peers(&epochs, epoch));
        let mut simplex = agreement.start(epoch).await?;
        // Biased, so that a simulation is a function of its seed.
        let ended = tokio::select! {
            biased;
            _ = &mut stopping => {
                // The actors end by themselves; cutting one off while it writes would make it panic.
                let _ends = futures::join!(simplex, marshal, broadcast);
                "the node was stopped"
            }
            _ = &mut simplex => "the consensus engine ended",
            _ = &mut marshal => "marshal ended",
            _ = &mut broadcast => "block broadcast ended",
            _ = &mut commits => "the committer ended",
            _ = &mut gossip => "transaction gossip ended",
            passed = epoch_passed(&epochs, epoch, &mut heights, &mailbox, &mut unheard) => {
                match passed {
                    Ok(()) => {
                        simplex.abort();
                        // Ends with the abortion as its error.
                        simplex.await.ok();
                        continue;
                    }
                    Err(ended) => ended,
                }
            }
        };
        return Ok(ended.into());
    }
}

/// Waits until the last block of an epoch is committed, and asks for that block whoever is heard to
/// have left the epoch already.
async fn epoch_passed(
    epochs: &Epochs,
    epoch: Epoch,
    heights: &mut watch::Receiver<u64>,
    marshal: &Mailbox<Scheme, Standard<WireBlock>>,
    unheard: &mut mpsc::Receiver<Unheard>,
) -> Result<(), &'static str> {
    let mut asked = BTreeSet::new();
    loop {
        if epochs.after(*heights.borrow_and_update()) > epoch {
            return Ok(());
        }
        tokio::select! {
            biased;
            changed = heights.changed() => changed.map_err(|_| "the committer ended")?,
            message = unheard.recv() => {
                let (heard, (peer, _)) = message.ok_or("the votes channel ended")?;
                if heard > epoch.get() && asked.insert(peer.clone()) {
                    tracing::debug!(%epoch, heard, %peer, "a peer has left this epoch");
                    marshal.hint_finalized(epochs.last(epoch), NonEmptyVec::new(peer));
                }
            }
        }
    }
}
