//! What the server needs and the bounds it keeps.

use crate::{CommitteeProofs, RpcMetrics, status::NodeFacts};
use hallmark_execution::Executor;
use hallmark_mempool::Mempool;
use hallmark_state::Store;
use hallmark_types::ChainSpec;
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Address and bounds of one server.
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// Address to listen on; port 0 lets the system choose (see `RpcHandle::local_addr`).
    pub listen: SocketAddr,
    /// Connections open at once; further ones are refused with HTTP 429.
    pub max_connections: u32,
    /// Requests in one batch.
    pub max_batch: u32,
    /// `eth_subscribe` subscriptions of one connection.
    pub max_subscriptions: u32,
    /// Messages waiting for one slow WebSocket reader.
    pub message_buffer: u32,
    /// How long a subscription waits for a reader whose buffer is full before it is dropped.
    pub slow_reader: Duration,
    /// Blocks that one `eth_getLogs` may span.
    pub max_log_blocks: u64,
    /// Logs that one `eth_getLogs` may return.
    pub max_logs: usize,
    /// Polling filters alive at once, all connections together.
    pub max_filters: usize,
    /// A filter that nobody polled for this long is forgotten.
    pub filter_lifetime: Duration,
    /// Calls, estimates and log searches that run at the same time, each on its own thread.
    pub workers: usize,
    /// Further ones that may wait for a worker; beyond, the answer is "busy".
    pub queue: usize,
    /// A call that takes longer is answered with an error. Its worker is free again only when it
    /// really ends, which the gas cap (`Limits::eth_call_gas`) bounds.
    pub call_timeout: Duration,
}

impl RpcConfig {
    /// The default bounds, listening on `listen`.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            max_connections: 512,
            max_batch: 100,
            max_subscriptions: 64,
            message_buffer: 256,
            slow_reader: Duration::from_secs(5),
            max_log_blocks: 10_000,
            max_logs: 10_000,
            max_filters: 1_024,
            filter_lifetime: Duration::from_secs(300),
            workers: 2,
            queue: 64,
            call_timeout: Duration::from_secs(5),
        }
    }
}

/// The rooms that answers come from.
#[derive(Clone)]
pub struct RpcContext {
    /// Chain id and limits.
    pub spec: Arc<ChainSpec>,
    /// Finalized blocks, receipts and states.
    pub store: Arc<Store>,
    /// Runs `eth_call` and `eth_estimateGas`.
    pub executor: Arc<Executor>,
    /// Takes raw transactions, knows the pending ones.
    pub mempool: Arc<Mempool>,
    /// Proofs of the validators of epochs.
    pub committees: Arc<CommitteeProofs>,
    /// The node itself.
    pub node: Arc<NodeFacts>,
    /// Counts what is asked.
    pub metrics: RpcMetrics,
}
