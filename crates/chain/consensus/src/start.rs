//! One node over real sockets and files, in a thread with a runtime of its own.
//!
//! Nothing is shared between nodes of one process: each has its runtime, its folder (held by a
//! lock file while it runs), its port and its connections (encrypted and authenticated by keys). A
//! panic inside the engine ends that node only, and its handle says so.
//!
//! A node votes in the epochs whose committee has its key, and follows the chain in all others.
//! To follow, it must be known to a validator it connects to: by key in that validator's
//! configuration, or as a member of the next committee.
//!
//! Evidence against validators is written to `evidence/` in the node's folder, one file per key and epoch,
//! for `hallmark stake evidence`.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    net::{SocketAddr, TcpListener},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use commonware_cryptography::{ChaCha20Poly1305, Signer as _, ed25519::PublicKey};
use commonware_p2p::authenticated::lookup;
use commonware_runtime::{
    Metrics as _, Quota, Runner as _, Spawner as _, Supervisor as _, tokio as runtime,
};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZU32, NZUsize};
use hallmark_types::ChainSpec;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::{
    application::Honest,
    committee,
    core::Core,
    engine::{self, CHANNELS, Channels, Validator},
    epochs::Epochs,
    evidence,
    peers::AddressBook,
    votes,
};

/// Threads that poll a validator's tasks. Execution and files have threads of their own.
const WORKERS: usize = 2;
/// How long tasks may take to end after [`ConsensusHandle::stop`].
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Questions for the engine's counters that may wait.
const MAX_SCRAPES: usize = 4;
/// Capacity of each actor's mailbox in the network.
const MAILBOX: std::num::NonZeroUsize = NZUsize!(1_024);

/// What a node needs besides its [`Core`].
#[derive(Clone)]
pub struct ConsensusConfig {
    /// Seed of the node's ed25519 key.
    pub key: [u8; 32],
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// Where to accept connections of other validators.
    pub listen: SocketAddr,
    /// Public keys and addresses of other nodes to connect to (an entry for this node is ignored).
    pub peers: Vec<([u8; 32], SocketAddr)>,
    /// Public keys of nodes that may connect to this one and follow the chain.
    pub followers: Vec<[u8; 32]>,
    /// Folder for the write-ahead log and the archives of the engine; one process at a time.
    pub home: PathBuf,
    /// Folder of the record of what the key has signed, which outlives `home`.
    pub votes: PathBuf,
}

/// Why a validator did not start.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The key is not one of the validators, and there is nobody to follow.
    #[error(
        "the key (public key {public_key}) is not among the validators, and no peer is given to \
         follow the chain from"
    )]
    NotAValidator {
        /// Hexadecimal.
        public_key: String,
    },
    /// The committed state does not know the validators of the epoch that the node is in.
    #[error(
        "the validators of epoch {epoch} are not known here: the node's chain data are damaged"
    )]
    NoCommittee {
        /// The epoch.
        epoch: u64,
    },
    /// The network stopped while an epoch began.
    #[error("the network of validators ended")]
    NetworkEnded,
    /// A key in the spec or in the list of peers is not a point of the curve, or is repeated.
    #[error("validator key {public_key} is unusable: {reason}")]
    BadKey {
        /// Hexadecimal; empty if no single key is at fault.
        public_key: String,
        /// Why.
        reason: String,
    },
    /// The sizes in the spec cannot be sent over a network.
    #[error("the chain spec's limits are unusable: {0}")]
    Limits(String),
    /// The listening address cannot be bound.
    #[error("cannot listen on {address} for validators: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The folder cannot be used, or another process has it.
    #[error("cannot use folder {path} for consensus: {reason}")]
    Home {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The record of what the key has signed cannot be read or written.
    #[error("the record of this key's votes is unusable: {0}")]
    Votes(std::io::Error),
    /// The archives of final blocks cannot be read.
    #[error("the consensus archives are unusable: {0}")]
    Archive(String),
    /// The thread could not be started.
    #[error("cannot start the consensus thread: {0}")]
    Thread(std::io::Error),
}

impl From<committee::BadKey> for ConsensusError {
    fn from(error: committee::BadKey) -> Self {
        Self::BadKey {
            public_key: error.public_key,
            reason: error.reason,
        }
    }
}

/// A running validator. Dropping it stops the validator.
pub struct ConsensusHandle {
    listen: SocketAddr,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    outcome: Arc<Mutex<Outcome>>,
    scrapes: mpsc::Sender<oneshot::Sender<String>>,
}

/// What became of the engine.
#[derive(Debug, Default)]
enum Outcome {
    #[default]
    Running,
    Stopped,
    Failed(String),
}

impl ConsensusHandle {
    /// Stops the validator and waits until its thread has ended. Calling it again does nothing.
    pub fn stop(&self) {
        if let Some(stop) = self.stop.lock().take() {
            // The thread may have ended by itself.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.lock().take() {
            // The thread catches panics of the engine and has recorded them.
            thread.join().ok();
        }
    }

    /// Whether the engine still runs (false after `stop` and after a fatal error).
    pub fn is_running(&self) -> bool {
        matches!(*self.outcome.lock(), Outcome::Running)
    }

    /// Why the validator stopped by itself, if it did.
    pub fn fatal(&self) -> Option<String> {
        match &*self.outcome.lock() {
            Outcome::Failed(reason) => Some(reason.clone()),
            Outcome::Running | Outcome::Stopped => None,
        }
    }

    /// The engine's own counters as Prometheus text; `None` when the engine does not answer. Bound the
    /// wait: an engine that hangs never answers.
    pub async fn engine_metrics(&self) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        // A full queue means that earlier questions have no answer yet.
        self.scrapes.try_send(reply).ok()?;
        answer.await.ok()
    }

    /// The address that accepts validators.
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen
    }
}

impl Drop for ConsensusHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts one validator.
///
/// # Errors
/// See [`ConsensusError`]; nothing keeps running after an error. What goes wrong later is told by
/// [`ConsensusHandle::fatal`].
pub fn start(config: ConsensusConfig, core: Arc<Core>) -> Result<ConsensusHandle, ConsensusError> {
    let ConsensusConfig {
        key,
        spec,
        listen,
        peers,
        followers,
        home,
        votes: record,
    } = config;
    let key = committee::private_key(&key);
    let me = key.public_key();
    let epochs = Epochs::new(core.clone(), key.clone());
    let epoch = epochs.after(core.store().head().block.number());
    let now = epochs
        .get(epoch)
        .ok_or(ConsensusError::NoCommittee { epoch: epoch.get() })?;
    let max_message_bytes = engine::max_message_bytes(&spec)?;
    let lock = lock_folder(&home)?;
    let engine_home = home.join("engine");
    let begins = (epoch.get(), core.store().head().block.number() == 0);
    let may_vote = votes::guard(&record, &engine_home, me.as_ref(), spec.hash(), begins)
        .map_err(ConsensusError::Votes)?;
    // The engine would panic on a port that is taken; ask first. Also resolves port 0.
    let listen = TcpListener::bind(listen)
        .and_then(|listener| listener.local_addr())
        .map_err(|source| ConsensusError::Listen {
            address: listen,
            source,
        })?;
    let mut addresses = address_book(&me, listen, &peers, &followers)?;
    if !now.member && addresses.is_empty() {
        return Err(ConsensusError::NotAValidator {
            public_key: me.to_string(),
        });
    }
    let capacity = addresses.reserve(&epochs, epoch);

    let mut network = lookup::Config::local(
        Cups::<_, ChaCha20Poly1305>::new(
            Sake {
                signer: key.clone(),
                synchrony_bound: Duration::from_secs(5),
                max_handshake_age: Duration::from_secs(10),
                version: sake::Version::V1,
            },
            cups::Version::V1,
        ),
        &committee::namespace(&spec),
        listen,
        NZUsize!(capacity.max(1)),
        max_message_bytes,
        MAILBOX,
    );
    // Keys say who a peer is; its address may be unknown, or that of a gateway.
    network.bypass_ip_check = true;
    // Each set of peers covers three epochs by itself.
    network.tracked_peer_sets = NZUsize!(1);
    // Validators may share an address, and a restarted one should be back at once.
    network.peer_connection_cooldown = Duration::from_millis(250);
    network.dial_frequency = Duration::from_millis(100);
    network.allowed_handshake_rate_per_ip = Quota::per_second(NZU32!(128));
    network.allowed_handshake_rate_per_subnet = Quota::per_second(NZU32!(256));

    let storage = runtime::Config::new()
        .with_worker_threads(WORKERS)
        .with_catch_panics(false)
        .with_storage_directory(engine_home);
    let (stop, stopped) = oneshot::channel();
    let (scrapes, scraped) = mpsc::channel(MAX_SCRAPES);
    let outcome = Arc::new(Mutex::new(Outcome::Running));
    let thread = std::thread::Builder::new()
        .name("consensus".into())
        .spawn({
            let outcome = outcome.clone();
            let watched = core.clone();
            let validator = Validator {
                key,
                core: core.clone(),
                proposer: Arc::new(Honest),
                addresses,
                witness: evidence::keep_in(home.join("evidence")),
                may_vote,
                partition: "validator".into(),
            };
            move || {
                let _lock = lock;
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    run(storage, network, validator, scraped, stopped)
                }));
                let ended = match ended {
                    Ok(Ok(Ended::Stopped)) => Outcome::Stopped,
                    Ok(Ok(Ended::Failed(reason))) => Outcome::Failed(reason),
                    Ok(Err(error)) => Outcome::Failed(error.to_string()),
                    Err(panic) => Outcome::Failed(
                        watched
                            .failure()
                            .unwrap_or_else(|| panic_text(panic.as_ref())),
                    ),
                };
                if let Outcome::Failed(reason) = &ended {
                    tracing::error!(%reason, "consensus stopped");
                }
                *outcome.lock() = ended;
            }
        })
        .map_err(ConsensusError::Thread)?;
    Ok(ConsensusHandle {
        listen,
        stop: Mutex::new(Some(stop)),
        thread: Mutex::new(Some(thread)),
        outcome,
        scrapes,
    })
}

/// How the engine ended.
enum Ended {
    Stopped,
    Failed(String),
}

/// The one place that instantiates the engine over sockets.
fn run(
    storage: runtime::Config,
    network: lookup::Config<
        Cups<Sake<commonware_cryptography::ed25519::PrivateKey>, ChaCha20Poly1305>,
    >,
    validator: Validator,
    mut scraped: mpsc::Receiver<oneshot::Sender<String>>,
    stopped: oneshot::Receiver<()>,
) -> Result<Ended, ConsensusError> {
    runtime::Runner::new(storage).start(|context| async move {
        let (mut network, oracle) = lookup::Network::new(context.child("network"), network);
        let [votes, certificates, resolver, backfill, broadcast, gossip] =
            CHANNELS.map(|spec| network.register(spec.channel, spec.quota));
        let network = network.start();
        let channels = Channels {
            votes,
            certificates,
            resolver,
            backfill,
            broadcast,
            gossip,
        };
        let core = validator.core.clone();
        let engine = context.child("validator").spawn({
            let oracle = oracle.clone();
            move |context| engine::run(context, validator, oracle.clone(), oracle, channels)
        });
        context.child("scrapes").spawn(move |context| async move {
            while let Some(reply) = scraped.recv().await {
                // Whoever asked may have gone.
                reply.send(context.encode()).ok();
            }
        });
        let ended = tokio::select! {
            // A dropped handle counts as a request to stop.
            _ = stopped => Ok(Ended::Stopped),
            reason = core.failed() => Ok(Ended::Failed(reason)),
            ended = engine => match ended {
                Ok(ended) => ended.map(Ended::Failed),
                Err(error) => Ok(Ended::Failed(format!("the consensus engine ended: {error}"))),
            },
            _ = network => Ok(Ended::Failed("the validator network ended".into())),
        };
        if let Err(error) = context.child("stop").stop(0, Some(STOP_TIMEOUT)).await {
            tracing::warn!(%error, "consensus tasks were cut off");
        }
        ended
    })
}

/// What the configuration says of other nodes, with every key checked.
fn address_book(
    me: &PublicKey,
    listen: SocketAddr,
    peers: &[([u8; 32], SocketAddr)],
    followers: &[[u8; 32]],
) -> Result<AddressBook, ConsensusError> {
    let mut configured = BTreeMap::new();
    for (key, address) in peers {
        let key = committee::public_key(key)?;
        if configured.insert(key.clone(), *address).is_some() {
            return Err(ConsensusError::BadKey {
                public_key: key.to_string(),
                reason: "the peer is listed twice".into(),
            });
        }
    }
    let followers = followers
        .iter()
        .map(committee::public_key)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(AddressBook::new(me.clone(), listen, configured, followers))
}

/// Creates the folder and holds it for this process.
fn lock_folder(home: &Path) -> Result<File, ConsensusError> {
    let refuse = |reason: String| ConsensusError::Home {
        path: home.to_owned(),
        reason,
    };
    std::fs::create_dir_all(home).map_err(|error| refuse(error.to_string()))?;
    let lock = File::create(home.join("LOCK")).map_err(|error| refuse(error.to_string()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(refuse("another validator is using it".into())),
        Err(TryLockError::Error(error)) => Err(refuse(error.to_string())),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .map_or_else(
            || "the consensus engine panicked".into(),
            |text| format!("the consensus engine panicked: {text}"),
        )
}
