//! Polling filters: `eth_newFilter` and its kin, for clients without WebSocket.
//!
//! A filter remembers the next height to report (or holds a receiver of new transactions), so a
//! poll costs what happened since the last one. Their number is bounded; one that nobody polls is
//! forgotten. Identifiers are random, because filters are shared by all connections.

use crate::{
    context::Rpc,
    error::{Fault, Reply},
    logs::check_filter,
};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, FilterChanges, FilterId};
use hallmark_execution::PooledTransaction;
use jsonrpsee::{
    core::{async_trait, traits::IdProvider},
    proc_macros::rpc,
    server::RandomIntegerIdProvider,
    types::SubscriptionId,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

#[rpc(server, namespace = "eth")]
pub(crate) trait PollingFilters {
    /// Reports logs that match, from now on.
    #[method(name = "newFilter")]
    fn new_filter(&self, filter: Filter) -> Result<String, Fault>;

    /// Reports hashes of new blocks.
    #[method(name = "newBlockFilter")]
    fn new_block_filter(&self) -> Result<String, Fault>;

    /// Reports hashes of transactions that entered the mempool.
    #[method(name = "newPendingTransactionFilter")]
    fn new_pending_transaction_filter(&self) -> Result<String, Fault>;

    /// What happened since the last poll.
    #[method(name = "getFilterChanges")]
    async fn filter_changes(&self, id: FilterId) -> Result<FilterChanges, Fault>;

    /// All logs that a log filter matches, its block range included.
    #[method(name = "getFilterLogs")]
    async fn filter_logs(&self, id: FilterId) -> Result<FilterChanges, Fault>;

    /// Whether there was such a filter.
    #[method(name = "uninstallFilter")]
    fn uninstall_filter(&self, id: FilterId) -> Result<bool, Fault>;
}

/// All filters of one server.
pub(crate) struct Filters {
    most: usize,
    lifetime: Duration,
    live: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    polled: Instant,
    /// Locked for the length of a poll, so that two polls of one filter do not report twice.
    kind: Arc<Mutex<Kind>>,
}

enum Kind {
    Logs { filter: Box<Filter>, next: u64 },
    Blocks { next: u64 },
    Pending(Receiver<Arc<PooledTransaction>>),
}

impl Filters {
    pub(crate) fn new(most: usize, lifetime: Duration) -> Self {
        Self {
            most,
            lifetime,
            live: Mutex::new(HashMap::new()),
        }
    }

    fn insert(&self, kind: Kind) -> Reply<String> {
        let mut live = self.live.lock();
        live.retain(|_, entry| entry.polled.elapsed() < self.lifetime);
        if live.len() >= self.most {
            return Err(Fault::Limit(format!(
                "too many filters: at most {}",
                self.most
            )));
        }
        let id = hex_id();
        let entry = Entry {
            polled: Instant::now(),
            kind: Arc::new(Mutex::new(kind)),
        };
        live.insert(id.clone(), entry);
        Ok(id)
    }

    fn poll(&self, id: &FilterId) -> Reply<Arc<Mutex<Kind>>> {
        let mut live = self.live.lock();
        live.retain(|_, entry| entry.polled.elapsed() < self.lifetime);
        let entry = live.get_mut(&key(id)).ok_or_else(not_found)?;
        entry.polled = Instant::now();
        Ok(entry.kind.clone())
    }
}

#[async_trait]
impl PollingFiltersServer for Rpc {
    fn new_filter(&self, filter: Filter) -> Reply<String> {
        check_filter(&filter)?;
        let next = self.next_height();
        self.filters.insert(Kind::Logs {
            filter: Box::new(filter),
            next,
        })
    }

    fn new_block_filter(&self) -> Reply<String> {
        self.filters.insert(Kind::Blocks {
            next: self.next_height(),
        })
    }

    fn new_pending_transaction_filter(&self) -> Reply<String> {
        self.filters.insert(Kind::Pending(self.mempool.subscribe()))
    }

    async fn filter_changes(&self, id: FilterId) -> Reply<FilterChanges> {
        let kind = self.filters.poll(&id)?;
        let rpc = self.clone();
        self.workers
            .run(move || rpc.changes(&mut kind.lock()))
            .await
    }

    async fn filter_logs(&self, id: FilterId) -> Reply<FilterChanges> {
        let kind = self.filters.poll(&id)?;
        let rpc = self.clone();
        self.workers
            .run(move || match &*kind.lock() {
                Kind::Logs { filter, .. } => rpc.search(filter).map(FilterChanges::Logs),
                Kind::Blocks { .. } | Kind::Pending(_) => Err(not_found()),
            })
            .await
    }

    fn uninstall_filter(&self, id: FilterId) -> Reply<bool> {
        Ok(self.filters.live.lock().remove(&key(&id)).is_some())
    }
}

impl Rpc {
    fn next_height(&self) -> u64 {
        self.head().block.number().saturating_add(1)
    }

    fn changes(&self, kind: &mut Kind) -> Reply<FilterChanges> {
        let head = self.head().block.number();
        match kind {
            Kind::Logs { filter, next } => {
                let (first, last) = self.range(filter);
                let logs = self.search_range(filter, first.max(*next)..=last.min(head))?;
                *next = head.saturating_add(1);
                Ok(FilterChanges::Logs(logs))
            }
            Kind::Blocks { next } => {
                let most = self.config.max_log_blocks;
                let first = (*next).max(head.saturating_add(1).saturating_sub(most));
                let hashes = (first..=head).filter_map(|number| self.store.block_hash(number));
                let hashes = hashes.collect();
                *next = head.saturating_add(1);
                Ok(FilterChanges::Hashes(hashes))
            }
            Kind::Pending(receiver) => Ok(FilterChanges::Hashes(drain(receiver))),
        }
    }

    /// Heights between which a filter wants logs; tags that move with the head do not bound it.
    fn range(&self, filter: &Filter) -> (u64, u64) {
        let FilterBlockOption::Range {
            from_block,
            to_block,
        } = filter.block_option
        else {
            return (0, u64::MAX);
        };
        let number = |tag: Option<BlockNumberOrTag>| match tag {
            Some(BlockNumberOrTag::Number(number)) => Some(number),
            Some(BlockNumberOrTag::Earliest) => Some(0),
            _ => None,
        };
        (
            number(from_block).unwrap_or(0),
            number(to_block).unwrap_or(u64::MAX),
        )
    }
}

/// Hashes that wait in the channel; those that a slow poller let overflow are lost.
fn drain(receiver: &mut Receiver<Arc<PooledTransaction>>) -> Vec<B256> {
    let mut hashes = Vec::new();
    loop {
        match receiver.try_recv() {
            Ok(pooled) => hashes.push(pooled.hash),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return hashes,
        }
    }
}

/// Random identifier in the form that Ethereum clients expect, `0x` and hex digits.
pub(crate) fn hex_id() -> String {
    match RandomIntegerIdProvider.next_id() {
        SubscriptionId::Num(number) => format!("{number:#x}"),
        SubscriptionId::Str(text) => text.into_owned(),
    }
}

fn key(id: &FilterId) -> String {
    match id {
        FilterId::Num(number) => format!("{number:#x}"),
        FilterId::Str(text) => text.clone(),
    }
}

fn not_found() -> Fault {
    Fault::Refused("filter not found".into())
}
