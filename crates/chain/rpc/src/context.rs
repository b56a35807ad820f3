//! What every method shares: the rooms below, how a block is named, and the workers.

use crate::{
    config::{RpcConfig, RpcContext},
    error::{Fault, Reply},
    fee::TipCache,
    filters::Filters,
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;
use hallmark_state::{Head, State};
use hallmark_types::Block;
use std::{ops::Deref, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Clients that may wait for receipts at the same time, all connections together.
const MAX_WAITING: usize = 1_024;

/// The server's shared side; cheap to clone, one clone per namespace.
#[derive(Clone)]
pub(crate) struct Rpc(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: RpcConfig,
    pub(crate) workers: Workers,
    pub(crate) filters: Filters,
    pub(crate) tip_cache: TipCache,
    /// Height of the head when the server started.
    pub(crate) started_at: u64,
    /// Places of clients that wait for a receipt.
    pub(crate) waiting: Semaphore,
    context: RpcContext,
}

impl Deref for Rpc {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = RpcContext;

    fn deref(&self) -> &RpcContext {
        &self.context
    }
}

/// A finalized block with its hash.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) block: Arc<Block>,
    pub(crate) hash: B256,
}

impl From<&Head> for Sealed {
    fn from(head: &Head) -> Self {
        Self {
            block: head.block.clone(),
            hash: head.hash,
        }
    }
}

impl Rpc {
    pub(crate) fn new(config: RpcConfig, context: RpcContext) -> Self {
        let workers = Workers::new(config.workers, config.queue, config.call_timeout);
        let filters = Filters::new(config.max_filters, config.filter_lifetime);
        let tip_cache = TipCache::default();
        let started_at = context.store.head().block.number();
        Self(Arc::new(Shared {
            config,
            workers,
            filters,
            tip_cache,
            started_at,
            waiting: Semaphore::new(MAX_WAITING),
            context,
        }))
    }

    pub(crate) fn head(&self) -> Arc<Head> {
        self.store.head()
    }

    /// Height that a tag or number names, whether or not such a block exists.
    pub(crate) fn height(&self, tag: BlockNumberOrTag) -> u64 {
        match tag {
            BlockNumberOrTag::Number(number) => number,
            BlockNumberOrTag::Earliest => 0,
            BlockNumberOrTag::Latest
            | BlockNumberOrTag::Finalized
            | BlockNumberOrTag::Safe
            | BlockNumberOrTag::Pending => self.head().block.number(),
        }
    }

    /// The block, or `None` if it is not (yet) finalized here.
    pub(crate) fn block(&self, id: impl Into<BlockId>) -> Option<Sealed> {
        let head = self.head();
        let number = match id.into() {
            BlockId::Hash(hash) if hash.block_hash == head.hash => head.block.number(),
            BlockId::Hash(hash) => self.store.number_by_hash(&hash.block_hash)?,
            BlockId::Number(tag) => self.height(tag),
        };
        if number == head.block.number() {
            return Some(Sealed::from(&*head));
        }
        let block = self.store.block_by_number(number)?;
        let hash = self.store.block_hash(number)?;
        Some(Sealed { block, hash })
    }

    /// State after a block, with the block; the latest if none is named.
    ///
    /// # Errors
    /// `UnknownBlock`, or `StateGone` for a height whose state is no longer kept.
    pub(crate) fn state(&self, id: Option<BlockId>) -> Reply<(State, Sealed)> {
        let head = self.head();
        let latest = Sealed::from(&*head);
        let Some(id) = id else {
            return Ok((head.state.clone(), latest));
        };
        let sealed = self.block(id).ok_or(Fault::UnknownBlock)?;
        if sealed.hash == latest.hash {
            return Ok((head.state.clone(), latest));
        }
        let number = sealed.block.number();
        let state = self
            .store
            .state_at(number)
            .ok_or(Fault::StateGone(number))?;
        Ok((state, sealed))
    }
}

/// Bounded threads for whatever may take long.
pub(crate) struct Workers {
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    timeout: Duration,
}

impl Workers {
    fn new(workers: usize, queue: usize, timeout: Duration) -> Self {
        let workers = workers.max(1);
        Self {
            places: Arc::new(Semaphore::new(workers.saturating_add(queue))),
            running: Arc::new(Semaphore::new(workers)),
            timeout,
        }
    }

    /// Runs `work` on a thread of its own once a worker is free.
    ///
    /// # Errors
    /// `Busy` at once if every worker and waiting place is taken; `Timeout` if the answer takes too
    /// long, in which case the worker stays taken until `work` ends.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Reply<T> + Send + 'static,
    ) -> Reply<T> {
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Fault::Busy)?;
        let running = self.running.clone();
        let answer = async move {
            let worker = running.acquire_owned().await.map_err(|_| Fault::Busy)?;
            let task = tokio::task::spawn_blocking(move || {
                let _held = (place, worker);
                work()
            });
            task.await
                .map_err(|error| Fault::Internal(error.to_string()))?
        };
        tokio::time::timeout(self.timeout, answer)
            .await
            .unwrap_or(Err(Fault::Timeout(self.timeout)))
    }
}
