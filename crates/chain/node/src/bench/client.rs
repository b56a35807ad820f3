//! The clients of a run: they submit, and watch what becomes final.

use super::{
    Plan, Window,
    load::{Lane, Signed},
    process,
};
use crate::Devnet;
use alloy_primitives::{B256, U64, hex};
use alloy_provider::{Provider, ProviderBuilder, RootProvider, WsConnect};
use hallmark_types::HeaderExtra;
use serde::Deserialize;
use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Transactions of one request at full load, at most.
const BATCH: usize = 50;
/// Longest time without any block: the network has stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a client could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// HTTP failed.
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    /// The WebSocket failed.
    #[error("{0}")]
    Socket(String),
    /// An answer of another form.
    #[error("an answer that cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
    /// All signed transactions are spent.
    #[error("the transactions signed beforehand ran out: sign for a higher rate")]
    Spent,
    /// Nothing becomes final any more.
    #[error("no block for {0:?}")]
    Stopped(Duration),
}

/// A block that became final while figures were taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenBlock {
    pub(super) number: u64,
    pub(super) timestamp_ms: u64,
    pub(super) transactions: usize,
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) blocks: Vec<SeenBlock>,
    /// Time to finality of each transaction that became final while figures were taken.
    pub(super) finality: Vec<Duration>,
    pub(super) refused: usize,
    pub(super) cpu: Duration,
}

/// When each transaction was submitted, in microseconds after `start`; zero: not yet.
struct Submissions {
    start: Instant,
    times: Vec<AtomicU64>,
    refused: AtomicUsize,
    over: AtomicBool,
    room: Semaphore,
}

/// Sends the lanes' transactions and watches until the window is over.
pub(super) async fn drive(
    plan: &Plan,
    network: &Devnet,
    lanes: Vec<Lane>,
) -> Result<Seen, ClientError> {
    let urls: Vec<String> = network.nodes().map(|node| node.rpc_url()).collect();
    let watched = network.nodes().next().map(|node| node.ws_url());
    let watched = watched.ok_or_else(|| ClientError::Socket("there is no validator".into()))?;
    let mut places = HashMap::new();
    for signed in lanes.iter().flat_map(|lane| &lane.transactions) {
        places.insert(signed.hash, places.len());
    }
    let start = Instant::now();
    let submissions = Arc::new(Submissions {
        start,
        times: places.iter().map(|_| AtomicU64::new(0)).collect(),
        refused: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        room: Semaphore::new(plan.in_flight),
    });
    let begins = start + Duration::from_secs(plan.warm_up);
    let window = Window {
        begins,
        ends: begins + Duration::from_secs(plan.seconds),
    };
    let mut first = 0;
    let mut sending = tokio::task::JoinSet::new();
    let count = lanes.len();
    for (number, lane) in lanes.into_iter().enumerate() {
        let sender = LaneSender {
            http: reqwest::Client::builder().tcp_nodelay(true).build()?,
            url: urls[lane.validator].clone(),
            first,
            submissions: submissions.clone(),
        };
        first += lane.transactions.len();
        match plan.rate {
            None => {
                let batch = BATCH.min(plan.in_flight);
                sending.spawn(sender.keep_full(lane.transactions, batch))
            }
            Some(rate) => {
                let every = Duration::from_secs(1).mul_f64(count as f64 / f64::from(rate));
                let offset = every.mul_f64(number as f64 / count as f64);
                sending.spawn(sender.at_rate(lane.transactions, every, offset))
            }
        };
    }
    let watching = watch(&watched, &places, &submissions, window);
    tokio::pin!(watching);
    let seen = loop {
        tokio::select! {
            seen = &mut watching => break seen,
            Some(ended) = sending.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => break Err(error),
                Err(error) => break Err(ClientError::Socket(error.to_string())),
            },
        }
    };
    submissions.over.store(true, Ordering::Relaxed);
    submissions.room.close();
    let mut seen = seen?;
    // What is on its way is answered before the network stops.
    while sending.join_next().await.is_some() {}
    seen.refused = submissions.refused.load(Ordering::Relaxed);
    Ok(seen)
}

/// One connection.
struct LaneSender {
    http: reqwest::Client,
    url: String,
    /// Place of its first transaction among all.
    first: usize,
    submissions: Arc<Submissions>,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<serde_json::Value>,
}

impl LaneSender {
    async fn keep_full(self, transactions: Vec<Signed>, batch: usize) -> Result<(), ClientError> {
        let mut place = self.first;
        for batch in transactions.chunks(batch) {
            let Ok(room) = self.submissions.room.acquire_many(batch.len() as u32).await else {
                return Ok(());
            };
            // Given back by the watcher, one by one.
            room.forget();
            let refused = self.submit(batch, place).await?;
            self.submissions.room.add_permits(refused);
            place += batch.len();
        }
        if self.submissions.over.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(ClientError::Spent)
    }

    async fn at_rate(
        self,
        transactions: Vec<Signed>,
        every: Duration,
        offset: Duration,
    ) -> Result<(), ClientError> {
        let mut ticks = tokio::time::interval_at((Instant::now() + offset).into(), every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        for (index, signed) in transactions.iter().enumerate() {
            ticks.tick().await;
            if self.submissions.over.load(Ordering::Relaxed) {
                break;
            }
            self.submit(std::slice::from_ref(signed), self.first + index)
                .await?;
        }
        Ok(())
    }

    /// Sends a batch; gives how many the validator refused.
    async fn submit(&self, batch: &[Signed], place: usize) -> Result<usize, ClientError> {
        let mut body = String::with_capacity(batch.len() * 400);
        body.push('[');
        for (index, signed) in batch.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let raw = hex::encode_prefixed(&signed.raw);
            // Writing to a string cannot fail.
            let _ = write!(
                body,
                r#"{comma}{{"jsonrpc":"2.0","id":{index},"method":"eth_sendRawTransaction","params":["{raw}"]}}"#
            );
        }
        body.push(']');
        let now = self.submissions.start.elapsed().as_micros();
        let now = u64::try_from(now).unwrap_or(u64::MAX).max(1);
        for time in &self.submissions.times[place..place + batch.len()] {
            time.store(now, Ordering::Relaxed);
        }
        let request = self.http.post(&self.url);
        let request = request.header("content-type", "application/json");
        let answer = request.body(body).send().await?.error_for_status()?;
        let answers: Vec<Answer> = serde_json::from_slice(&answer.bytes().await?)?;
        let errors: Vec<_> = answers
            .iter()
            .filter_map(|answer| answer.error.as_ref())
            .collect();
        if let Some(error) = errors.first() {
            tracing::warn!(%error, refused = errors.len(), "submissions refused");
        }
        self.submissions
            .refused
            .fetch_add(errors.len(), Ordering::Relaxed);
        Ok(errors.len())
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcBlock {
    timestamp: U64,
    extra_data: alloy_primitives::Bytes,
    transactions: Vec<B256>,
}

/// Follows the chain of one validator until the window is over.
async fn watch(
    url: &str,
    places: &HashMap<B256, usize>,
    submissions: &Submissions,
    window: Window,
) -> Result<Seen, ClientError> {
    let socket =
        |error: alloy_provider::transport::TransportError| ClientError::Socket(error.to_string());
    let provider: RootProvider = ProviderBuilder::default()
        .connect_ws(WsConnect::new(url))
        .await
        .map_err(socket)?;
    let mut heads = provider.subscribe_blocks().await.map_err(socket)?;
    let mut next = provider.get_block_number().await.map_err(socket)? + 1;
    let mut seen = Seen::default();
    let mut cpu_before = None;
    loop {
        let head = tokio::time::timeout(PATIENCE, heads.recv()).await;
        let head = match head {
            Ok(Ok(head)) => head.number,
            // A reader that was too slow: the blocks are asked for below.
            Ok(Err(tokio::sync::broadcast::error::RecvError::Lagged(_))) => continue,
            Ok(Err(error)) => return Err(ClientError::Socket(error.to_string())),
            Err(_) => return Err(ClientError::Stopped(PATIENCE)),
        };
        while next <= head {
            let block: Option<RpcBlock> = provider
                .raw_request("eth_getBlockByNumber".into(), (U64::from(next), false))
                .await
                .map_err(socket)?;
            let Some(block) = block else {
                return Err(ClientError::Socket(format!("block {next} is not there")));
            };
            let now = Instant::now();
            if now >= window.begins && cpu_before.is_none() {
                cpu_before = Some(process::cpu_time());
            }
            if now >= window.ends {
                let before = cpu_before.unwrap_or_default();
                seen.cpu = process::cpu_time().saturating_sub(before);
                return Ok(seen);
            }
            let counts = now >= window.begins;
            let mut known = 0;
            for hash in &block.transactions {
                let Some(place) = places.get(hash) else {
                    continue;
                };
                known += 1;
                let submitted = submissions.times[*place].load(Ordering::Relaxed);
                let submitted = submissions.start + Duration::from_micros(submitted);
                if counts {
                    seen.finality.push(now.saturating_duration_since(submitted));
                }
            }
            submissions.room.add_permits(known);
            if counts {
                let ms = HeaderExtra::decode(&block.extra_data).map_or(0, |extra| extra.ms);
                seen.blocks.push(SeenBlock {
                    number: next,
                    timestamp_ms: block.timestamp.to::<u64>() * 1_000 + u64::from(ms),
                    transactions: block.transactions.len(),
                });
            }
            next += 1;
        }
    }
}
