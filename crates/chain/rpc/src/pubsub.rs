//! `eth_subscribe`: `newHeads`, `logs`, `newPendingTransactions` and `syncing` over WebSocket.
//!
//! A subscription is one task that waits for finalized blocks (or accepted transactions) and writes
//! to its connection. If it fell behind the broadcast channel, it reads the blocks that it missed
//! from the store, so heads and logs arrive in order and without a gap. A reader that takes no
//! message for `RpcConfig::slow_reader`, or is `MOST_BEHIND` blocks behind, is dropped.

use crate::{
    context::{Rpc, Sealed},
    error::Fault,
    filters::hex_id,
    logs::{check_filter, matching},
    sync::SyncNotice,
    view,
};
use alloy_rpc_types_eth::{
    Filter, Log,
    pubsub::{Params, SubscriptionKind},
};
use hallmark_state::Executed;
use hallmark_types::Receipt;
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    core::{SubscriptionResult, async_trait, traits::IdProvider},
    proc_macros::rpc,
    types::{ErrorObjectOwned, SubscriptionId},
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How often a `syncing` subscription looks whether the node caught up or fell behind.
const SYNC_TICK: Duration = Duration::from_millis(250);
/// Blocks that a subscription may be behind before it is dropped.
const MOST_BEHIND: u64 = 4_096;

#[rpc(server, namespace = "eth")]
pub(crate) trait PubSub {
    /// `params`: a filter for `logs`, `true` for whole pending transactions.
    #[subscription(
        name = "subscribe" => "subscription",
        unsubscribe = "unsubscribe",
        item = serde_json::Value
    )]
    async fn subscribe(&self, kind: SubscriptionKind, params: Option<Params>)
    -> SubscriptionResult;
}

#[async_trait]
impl PubSubServer for Rpc {
    async fn subscribe(
        &self,
        pending: PendingSubscriptionSink,
        kind: SubscriptionKind,
        params: Option<Params>,
    ) -> SubscriptionResult {
        let ended = match (kind, params.unwrap_or_default()) {
            (SubscriptionKind::NewHeads, _) => {
                // Subscribe before accepting: the first block after the answer is reported.
                let blocks = self.blocks();
                blocks
                    .send(pending.accept().await?, |sealed, _| {
                        vec![view::header(sealed)]
                    })
                    .await
            }
            (SubscriptionKind::Logs, params @ (Params::None | Params::Logs(_))) => {
                let filter = match params {
                    Params::Logs(filter) => *filter,
                    _ => Filter::default(),
                };
                if let Err(fault) = check_filter(&filter) {
                    pending.reject(ErrorObjectOwned::from(fault)).await;
                    return Ok(());
                }
                let blocks = self.blocks();
                let logs = move |sealed: &Sealed, receipts: &[Receipt]| -> Vec<Log> {
                    matching(&filter, sealed, receipts)
                };
                blocks.send(pending.accept().await?, logs).await
            }
            (SubscriptionKind::NewPendingTransactions, Params::None | Params::Bool(false)) => {
                self.send_pending(pending, |pooled| pooled.hash).await?
            }
            (SubscriptionKind::NewPendingTransactions, Params::Bool(true)) => {
                self.send_pending(pending, view::pending).await?
            }
            (SubscriptionKind::Syncing, Params::None) => {
                self.send_syncing(pending.accept().await?).await
            }
            (kind, _) => {
                let fault = Fault::Invalid(format!("subscription {kind} with these parameters"));
                pending.reject(ErrorObjectOwned::from(fault)).await;
                return Ok(());
            }
        };
        match ended {
            Ended::Closed => Ok(()),
            Ended::Slow => Err("subscription dropped: the reader is too slow".into()),
        }
    }
}

/// Why a subscription ended.
enum Ended {
    /// Unsubscribed, disconnected, or the node stops.
    Closed,
    /// The reader did not keep up.
    Slow,
}

impl Rpc {
    fn blocks(&self) -> Blocks {
        let receiver = self.store.subscribe();
        let next = self.head().block.number().saturating_add(1);
        Blocks {
            rpc: self.clone(),
            receiver,
            next,
        }
    }

    async fn send_pending<T: Serialize>(
        &self,
        pending: PendingSubscriptionSink,
        view: impl Fn(&hallmark_execution::PooledTransaction) -> T,
    ) -> Result<Ended, jsonrpsee::core::SubscriptionError> {
        let mut receiver = self.mempool.subscribe();
        let sink = pending.accept().await?;
        loop {
            let pooled = tokio::select! {
                () = sink.closed() => return Ok(Ended::Closed),
                received = receiver.recv() => match received {
                    Ok(pooled) => pooled,
                    // Pending transactions are best effort: those that overflowed are skipped.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return Ok(Ended::Closed),
                },
            };
            if let Err(ended) = self.write(&sink, &view(&pooled)).await {
                return Ok(ended);
            }
        }
    }

    /// Writes whether the node is behind, now and whenever that changes.
    async fn send_syncing(&self, sink: SubscriptionSink) -> Ended {
        let mut last = None;
        let mut tick = tokio::time::interval(SYNC_TICK);
        loop {
            tokio::select! {
                () = sink.closed() => return Ended::Closed,
                _ = tick.tick() => {}
            }
            let notice = self.sync_notice();
            let behind = matches!(notice, SyncNotice::Behind { .. });
            if last == Some(behind) {
                continue;
            }
            last = Some(behind);
            if let Err(ended) = self.write(&sink, &notice).await {
                return ended;
            }
        }
    }

    /// Writes one notification, waiting for a slow reader for a bounded time.
    async fn write(&self, sink: &SubscriptionSink, item: &impl Serialize) -> Result<(), Ended> {
        use jsonrpsee::server::SendTimeoutError;
        let json = serde_json::value::to_raw_value(item).map_err(|_| Ended::Closed)?;
        match sink.send_timeout(json, self.config.slow_reader).await {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Timeout(_)) => Err(Ended::Slow),
            Err(SendTimeoutError::Closed(_)) => Err(Ended::Closed),
        }
    }
}

/// Finalized blocks, each exactly once and in order.
struct Blocks {
    rpc: Rpc,
    receiver: Receiver<Arc<Executed>>,
    next: u64,
}

impl Blocks {
    /// Writes what `items` finds in every block until the subscription ends.
    async fn send<T: Serialize>(
        mut self,
        sink: SubscriptionSink,
        items: impl Fn(&Sealed, &[Receipt]) -> Vec<T>,
    ) -> Ended {
        loop {
            let received = tokio::select! {
                () = sink.closed() => return Ended::Closed,
                received = self.receiver.recv() => received,
            };
            let target = match received {
                Ok(executed) if executed.block.number() == self.next => {
                    let sealed = Sealed {
                        block: executed.block.clone(),
                        hash: executed.hash,
                    };
                    for item in items(&sealed, &executed.receipts) {
                        if let Err(ended) = self.rpc.write(&sink, &item).await {
                            return ended;
                        }
                    }
                    self.next = self.next.saturating_add(1);
                    continue;
                }
                Ok(executed) => executed.block.number(),
                Err(RecvError::Lagged(_)) => self.rpc.head().block.number(),
                Err(RecvError::Closed) => return Ended::Closed,
            };
            if target.saturating_sub(self.next) > MOST_BEHIND {
                return Ended::Slow;
            }
            if let Err(ended) = self.catch_up(&sink, target, &items).await {
                return ended;
            }
        }
    }

    /// Reports the stored blocks from `next` to `target`; none if they were reported already.
    async fn catch_up<T: Serialize>(
        &mut self,
        sink: &SubscriptionSink,
        target: u64,
        items: &impl Fn(&Sealed, &[Receipt]) -> Vec<T>,
    ) -> Result<(), Ended> {
        while self.next <= target {
            let sealed = self.rpc.block(self.next).ok_or(Ended::Closed)?;
            let receipts = self.rpc.receipts(&sealed).map_err(|_| Ended::Closed)?;
            for item in items(&sealed, &receipts) {
                self.rpc.write(sink, &item).await?;
            }
            self.next = self.next.saturating_add(1);
        }
        Ok(())
    }
}

/// Subscription identifiers in the form that Ethereum clients expect.
#[derive(Debug)]
pub(crate) struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        hex_id().into()
    }
}
