//! The daemon: one task that watches, one task for each order in work.
//!
//! # Watching
//! A WebSocket subscription brings `Ordered` events at once. What it may have missed is filled in:
//! on every tick the events of the blocks since the journal's cursor are read, and from time to time
//! the contract's list of open orders, which also shows orders that were reopened. After a broken
//! connection all of this runs again. Seeing an order twice is harmless.
//!
//! # An order
//! The order's task asks the chain where it stands, asks the journal what was tried, and takes the
//! one step that [`journal::next_step`] names, until there is none. A broken connection or a killed
//! process only means that the loop begins again.

use crate::{
    ProviderConfig, ProviderError,
    journal::{Journal, JournalError},
    library::Library,
    sealing::{SealingError, SealingKeys, collect_keys},
    work,
};
use alloy_primitives::{Address, B256, U256};
use alloy_provider::Provider as _;
use hallmark_client::{Client, ClientError, ordered_event, ordered_filter};
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, broadcast},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Events kept for a slow listener.
const EVENTS: usize = 1_024;
/// Orders looked at or worked on at the same time; more wait for the next scan.
const MAX_TASKS: usize = 256;
/// Pages of open orders that one scan reads.
const SCAN_PAGES: u64 = 20;
/// Entries of a page.
const PAGE: u64 = 100;
/// Ticks between two scans.
const SCAN_EVERY: u32 = 8;
/// Waits between attempts to connect.
const RECONNECT: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// How an order ended for this seller.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum OrderOutcome {
    /// Paid; `earned` in wei. `prove_ms` and `proof_bytes` are 0 if an earlier process proved it.
    Delivered {
        transaction: B256,
        earned: U256,
        prove_ms: u64,
        proof_bytes: usize,
    },
    /// Another seller was faster, or the order ended.
    Lost { reason: String },
    /// Left alone.
    Refused { reason: String },
    /// The attempt failed after the claim.
    Failed { reason: String },
}

/// What a person watching the daemon wants to see.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum ProviderEvent {
    Connected {
        url: String,
    },
    Disconnected {
        reason: String,
    },
    ModelReady {
        model: B256,
        name: String,
    },
    ModelRefused {
        model: B256,
        reason: String,
    },
    Seen {
        order: U256,
    },
    Claimed {
        order: U256,
    },
    Proved {
        order: U256,
        trace_ms: u64,
        prove_ms: u64,
        proof_bytes: usize,
    },
    Finished {
        order: U256,
        outcome: OrderOutcome,
    },
}

/// Counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    pub address: Address,
    pub connected: bool,
    /// Last block whose events were read.
    pub block: u64,
    /// Models that are ready.
    pub models: Vec<B256>,
    pub seen: u64,
    pub delivered: u64,
    pub lost: u64,
    pub refused: u64,
    pub failed: u64,
    /// Paid to this seller, in wei, before gas.
    pub earned: U256,
    /// Orders in work now.
    pub in_work: usize,
}

/// What a person may watch; outlives the daemon.
pub(crate) struct Board {
    status: Mutex<ProviderStatus>,
    events: broadcast::Sender<ProviderEvent>,
}

impl Board {
    /// Changes the counters.
    pub(crate) fn status(&self) -> MutexGuard<'_, ProviderStatus> {
        self.status
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Tells whoever listens; no one listening is no error.
    pub(crate) fn tell(&self, event: ProviderEvent) {
        tracing::debug!(?event, "provider");
        let _ = self.events.send(event);
    }

    pub(crate) fn finished(&self, order: U256, outcome: OrderOutcome) {
        {
            let mut status = self.status();
            match &outcome {
                OrderOutcome::Delivered { earned, .. } => {
                    status.delivered += 1;
                    status.earned = status.earned.saturating_add(*earned);
                }
                OrderOutcome::Lost { .. } => status.lost += 1,
                OrderOutcome::Refused { .. } => status.refused += 1,
                OrderOutcome::Failed { .. } => status.failed += 1,
            }
        }
        self.tell(ProviderEvent::Finished { order, outcome });
    }
}

/// The chain's rules that a seller reckons with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) claim_window_ms: u64,
    pub(crate) min_bond: U256,
    pub(crate) bond_bps: u16,
    /// Most gas that one transaction may ask for.
    pub(crate) transaction_gas: u64,
}

/// What all tasks of one provider share.
pub(crate) struct Shared {
    pub(crate) config: ProviderConfig,
    pub(crate) client: Client,
    pub(crate) me: Address,
    pub(crate) terms: Terms,
    pub(crate) journal: Journal,
    pub(crate) library: Library,
    pub(crate) board: Arc<Board>,
    /// Keys of sealed orders.
    pub(crate) sealing: Mutex<SealingKeys>,
    /// One permit for each order that may be claimed and proved at the same time.
    pub(crate) workers: Semaphore,
    /// Orders that have a task.
    busy: Mutex<HashSet<U256>>,
    /// Orders that were looked at.
    pub(crate) seen: Mutex<HashSet<U256>>,
    /// Orders whose temporary refusal was told already.
    pub(crate) told: Mutex<HashSet<U256>>,
}

impl Shared {
    /// The keys of sealed orders.
    pub(crate) fn sealing(&self) -> MutexGuard<'_, SealingKeys> {
        self.sealing
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Starts providers.
pub struct Provider;

/// A running provider. Dropping it stops the daemon without waiting.
pub struct ProviderHandle {
    board: Arc<Board>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Provider {
    /// Connects, opens the journal and the named models, resumes what was left and begins to watch.
    ///
    /// # Errors
    /// No node answers, the journal is in use or of another seller, or a model that was named in
    /// the configuration cannot be served.
    pub async fn start(config: ProviderConfig) -> Result<ProviderHandle, ProviderError> {
        if config.concurrency == 0 {
            return Err(ProviderError::Concurrency);
        }
        std::fs::create_dir_all(&config.models_dir).map_err(|error| ProviderError::ModelsDir {
            path: config.models_dir.clone(),
            reason: error.to_string(),
        })?;
        let client = Client::connect(&config.url, Some(config.signer.clone())).await?;
        let me = config.signer.address();
        let identity = format!(
            "seller {me} on chain {} ({})",
            client.chain_id(),
            genesis(&client).await?
        );
        // Whoever has the journal open has the keys' file to itself.
        let journal = Journal::open(&config.journal, &identity)?;
        let mut sealing = SealingKeys::open(&config.sealing_keys)?;
        if config.rotate_sealing_key {
            sealing.rotate(client.now_ms().await?)?;
        }
        let (params, transaction_gas) =
            futures::try_join!(client.market_params(), client.max_transaction_gas())?;
        let (events, _) = broadcast::channel(EVENTS);
        let status = ProviderStatus {
            address: me,
            connected: true,
            ..ProviderStatus::default()
        };
        let board = Arc::new(Board {
            status: Mutex::new(status),
            events,
        });
        let shared = Arc::new(Shared {
            library: Library::new(&config),
            workers: Semaphore::new(config.concurrency),
            terms: Terms {
                claim_window_ms: params.claimWindowMs,
                min_bond: params.minBond,
                bond_bps: params.bondBps,
                transaction_gas,
            },
            client,
            me,
            journal,
            board: board.clone(),
            sealing: Mutex::new(sealing),
            busy: Mutex::default(),
            seen: Mutex::default(),
            told: Mutex::default(),
            config,
        });
        for &id in &shared.config.models {
            let served = shared.library.get(&shared.client, id).await;
            let served = served.map_err(|(reason, _)| ProviderError::Model { id, reason })?;
            board.status().models.push(id);
            board.tell(ProviderEvent::ModelReady {
                model: id,
                name: served.record.name.clone(),
            });
        }
        top_up(&shared).await?;
        register_key(&shared).await?;
        let cancel = CancellationToken::new();
        let task = tokio::spawn(run(shared, cancel.clone()));
        Ok(ProviderHandle {
            board,
            stop: cancel.drop_guard(),
            task,
        })
    }
}

impl ProviderHandle {
    /// Counters now.
    pub fn status(&self) -> ProviderStatus {
        self.board.status().clone()
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<ProviderEvent> {
        self.board.events.subscribe()
    }

    /// Stops; what was in work is resumed from the journal by the next start.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the provider's task ended badly");
        }
    }
}

/// Hash of block 0: two networks may share a chain id.
async fn genesis(client: &Client) -> Result<B256, ClientError> {
    let block = client.provider().get_block_by_number(0.into()).await;
    match block {
        Ok(Some(block)) => Ok(block.header.hash),
        Ok(None) => Err(ClientError::Malformed("the node has no block 0".to_owned())),
        Err(error) => Err(ClientError::Transport {
            method: "eth_getBlockByNumber",
            reason: error.to_string(),
        }),
    }
}

async fn top_up(shared: &Shared) -> Result<(), ClientError> {
    let deposit = shared.client.deposit_of(shared.me).await?;
    let missing = shared
        .config
        .deposit
        .saturating_sub(deposit.free.saturating_add(deposit.locked));
    if !missing.is_zero() {
        shared.client.deposit(missing).await?;
    }
    Ok(())
}

/// Sets the current sealing key on chain, if another is there.
async fn register_key(shared: &Shared) -> Result<(), ClientError> {
    let key = shared.sealing().public();
    if shared.client.sealing_key(shared.me).await? != Some(key) {
        shared.client.set_sealing_key(key).await?;
    }
    Ok(())
}

/// Forgets sealing keys that were rotated out and that no open order is sealed to.
async fn forget_keys(shared: &Shared) -> Result<(), WatchError> {
    let now_ms = shared.client.now_ms().await?;
    if !shared.sealing().has_expired(now_ms) {
        return Ok(());
    }
    let mut needed = BTreeSet::new();
    let mut offset = 0;
    loop {
        let page = shared.client.open_orders(offset, PAGE).await?;
        for &id in &page {
            if shared.client.get_order(id).await?.is_sealed {
                collect_keys(&shared.client.order_input(id).await?, &mut needed);
            }
        }
        if (page.len() as u64) < PAGE {
            break;
        }
        offset += PAGE;
    }
    let forgotten = shared.sealing().forget(now_ms, &needed)?;
    tracing::info!(forgotten, "old sealing keys");
    Ok(())
}

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Sealing(#[from] SealingError),
    #[error("the connection was closed")]
    Closed,
}

async fn run(shared: Arc<Shared>, cancel: CancellationToken) {
    let mut tasks = JoinSet::new();
    let stopped = cancel
        .run_until_cancelled(watch_always(&shared, &mut tasks))
        .await;
    debug_assert!(stopped.is_none(), "watching never ends by itself");
    tasks.shutdown().await;
    shared.board.status().connected = false;
}

/// Watches, and connects again whenever the connection breaks.
async fn watch_always(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let mut attempt = 0;
    loop {
        shared.board.status().connected = true;
        shared.board.tell(ProviderEvent::Connected {
            url: shared.config.url.clone(),
        });
        let Err(error) = watch(shared, tasks, &mut attempt).await;
        shared.board.status().connected = false;
        shared.board.tell(ProviderEvent::Disconnected {
            reason: error.to_string(),
        });
        tracing::warn!(%error, "lost the node");
        loop {
            let wait = RECONNECT[attempt.min(RECONNECT.len() - 1)];
            attempt += 1;
            tokio::time::sleep(wait).await;
            match shared.client.reconnect().await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "the node is still away"),
            }
        }
    }
}

async fn watch(
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
    attempt: &mut usize,
) -> Result<std::convert::Infallible, WatchError> {
    let provider = shared.client.provider();
    // Over HTTP there are no subscriptions; the ticks alone carry the news then.
    let mut subscription = if shared.config.url.starts_with("ws") {
        let filter = ordered_filter();
        let subscribed = provider.subscribe_logs(&filter).await;
        Some(subscribed.map_err(|error| ClientError::Transport {
            method: "eth_subscribe",
            reason: error.to_string(),
        })?)
    } else {
        None
    };
    for order in shared.journal.unfinished()? {
        consider(shared, tasks, order)?;
    }
    scan(shared, tasks).await?;
    forget_keys(shared).await?;
    let mut tick =
        tokio::time::interval(shared.config.poll_interval.max(Duration::from_millis(10)));
    let mut ticks = 0u32;
    loop {
        while tasks.try_join_next().is_some() {}
        let news = async {
            match &mut subscription {
                Some(subscription) => subscription.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            log = news => match log {
                Ok(log) => consider(shared, tasks, ordered_event(&log)?.id)?,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(WatchError::Closed),
            },
            _ = tick.tick() => {
                fill_in(shared, tasks).await?;
                *attempt = 0;
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(SCAN_EVERY) {
                    scan(shared, tasks).await?;
                }
            }
        }
    }
}

/// Reads the `Ordered` events since the cursor.
async fn fill_in(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Result<(), WatchError> {
    let head = shared.client.block_number().await?;
    // Everything before the first start is in the list of open orders, which is scanned.
    let cursor = shared.journal.cursor()?.unwrap_or(head);
    if head > cursor {
        for event in shared.client.ordered_events(cursor + 1, head).await? {
            consider(shared, tasks, event.id)?;
        }
    }
    if shared.journal.cursor()? != Some(head) {
        shared.journal.set_cursor(head)?;
    }
    shared.board.status().block = head;
    Ok(())
}

/// Reads the contract's list of orders that are open or claimed.
async fn scan(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Result<(), WatchError> {
    for page in 0..SCAN_PAGES {
        let orders = shared.client.open_orders(page * PAGE, PAGE).await?;
        let last = (orders.len() as u64) < PAGE;
        for order in orders {
            consider(shared, tasks, order)?;
        }
        if last {
            break;
        }
    }
    Ok(())
}

/// Starts a task for an order unless it has one or nothing is left to do.
fn consider(
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
    order: U256,
) -> Result<(), JournalError> {
    if tasks.len() >= MAX_TASKS {
        return Ok(());
    }
    // An order that was lost may be open again; its task will see.
    if shared.journal.stage(order)?.is_final() {
        return Ok(());
    }
    if !busy(shared).insert(order) {
        return Ok(());
    }
    shared.board.status().in_work = busy(shared).len();
    let shared = shared.clone();
    tasks.spawn(async move {
        let release = Release {
            shared: shared.clone(),
            order,
        };
        work::drive(&shared, order).await;
        drop(release);
    });
    Ok(())
}

fn busy(shared: &Shared) -> MutexGuard<'_, HashSet<U256>> {
    shared
        .busy
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Gives an order free when its task ends, however it ends.
struct Release {
    shared: Arc<Shared>,
    order: U256,
}

impl Drop for Release {
    fn drop(&mut self) {
        let left = {
            let mut busy = busy(&self.shared);
            busy.remove(&self.order);
            busy.len()
        };
        self.shared.board.status().in_work = left;
    }
}
