//! The server: one listener, one thread with a runtime of its own.

use crate::{
    account::AccountsServer,
    call::{CallsServer, TracesServer},
    chain::ChainServer,
    config::{RpcConfig, RpcContext},
    context::Rpc,
    counters::CountersApiServer,
    fee::FeesServer,
    filters::PollingFiltersServer,
    finality::{DebugServer, FinalityApiServer, InclusionApiServer},
    logs::{LogsServer, SweepLogsServer},
    metrics::Counted,
    net::{NetServer, Web3Server},
    pubsub::{HexIds, PubSubServer},
    status::StatusApiServer,
};
use hallmark_types::Limits;
use jsonrpsee::{
    RpcModule,
    server::{
        BatchRequestConfig, PingConfig, Server, ServerConfig, middleware::rpc::RpcServiceBuilder,
    },
};
use parking_lot::Mutex;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};
use tokio::{runtime::Runtime, sync::oneshot};
use tower_http::cors::CorsLayer;

/// How long `stop` waits for requests that still run.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// Threads that serve connections.
const CONNECTION_THREADS: usize = 2;
/// Room in a request beside a raw transaction's hex digits.
const REQUEST_ENVELOPE: usize = 64 * 1024;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} (port {}) for JSON-RPC: {source}", .address.port())]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No thread or runtime could be made.
    #[error("cannot start the JSON-RPC threads: {0}")]
    Threads(io::Error),
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct RpcHandle {
    local_addr: SocketAddr,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl RpcHandle {
    /// Where it listens, with the port that the system chose if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Closes the port and all connections, and waits for the threads. A second call does nothing.
    pub fn stop(&self) {
        if let Some((stop, thread)) = self.running.lock().take() {
            // The thread may have ended already; joining is all that is left then.
            let _ = stop.send(());
            if thread.join().is_err() {
                tracing::error!("the JSON-RPC thread panicked");
            }
        }
    }
}

impl Drop for RpcHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the server.
///
/// # Errors
/// `Listen` if the port is taken; nothing is left running then.
pub fn serve(config: RpcConfig, context: RpcContext) -> Result<RpcHandle, RpcError> {
    let address = config.listen;
    let listen = |source| RpcError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let local_addr = listener.local_addr().map_err(listen)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONNECTION_THREADS)
        // The workers of calls, and a few for methods that read a lot.
        .max_blocking_threads(config.workers.saturating_add(CONNECTION_THREADS))
        .thread_name("rpc")
        .enable_all()
        .build()
        .map_err(RpcError::Threads)?;
    let (stop, stopped) = oneshot::channel();
    let (started, outcome) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("rpc".into())
        .spawn(move || run(runtime, listener, config, context, started, stopped))
        .map_err(RpcError::Threads)?;
    match outcome.recv() {
        Ok(Ok(())) => {}
        Ok(Err(source)) => return Err(listen(source)),
        Err(_) => {
            return Err(RpcError::Threads(io::Error::other(
                "the thread ended at once",
            )));
        }
    }
    tracing::info!(address = %local_addr, "JSON-RPC listens");
    Ok(RpcHandle {
        local_addr,
        running: Mutex::new(Some((stop, thread))),
    })
}

fn run(
    runtime: Runtime,
    listener: TcpListener,
    config: RpcConfig,
    context: RpcContext,
    started: mpsc::Sender<io::Result<()>>,
    stopped: oneshot::Receiver<()>,
) {
    let max_response = max_response_bytes(&context.spec.limits);
    let server_config = server_config(&config, &context.spec.limits);
    let metrics = context.metrics.clone();
    let methods = methods(Rpc::new(config, context));
    let names = Arc::new(methods.method_names().collect());
    let counted = RpcServiceBuilder::new().layer_fn(move |service| {
        Counted::new(service, metrics.clone(), Arc::clone(&names), max_response)
    });
    runtime.block_on(async move {
        let server = Server::builder()
            .set_config(server_config)
            .set_rpc_middleware(counted)
            .set_http_middleware(tower::ServiceBuilder::new().layer(CorsLayer::permissive()))
            .build_from_tcp(listener);
        let server = match server {
            Ok(server) => server,
            Err(error) => return drop(started.send(Err(error))),
        };
        let handle = server.start(methods);
        // If nobody waits for the outcome any more, the sender of `stopped` is gone too.
        let _ = started.send(Ok(()));
        let _ = stopped.await;
        if handle.stop().is_ok() {
            let _ = tokio::time::timeout(STOP_PATIENCE, handle.stopped()).await;
        }
    });
    runtime.shutdown_timeout(STOP_PATIENCE);
}

fn max_request_bytes(limits: &Limits) -> usize {
    limits.rpc_max_body_bytes.max(
        limits
            .max_tx_bytes
            .saturating_mul(2)
            .saturating_add(REQUEST_ENVELOPE),
    )
}

/// A block of full transactions in hex, or its receipts, must fit.
fn max_response_bytes(limits: &Limits) -> usize {
    let response = limits
        .max_block_bytes
        .saturating_mul(4)
        .max(max_request_bytes(limits));
    // What the server's own bound can express.
    response.min(u32::MAX as usize)
}

fn server_config(config: &RpcConfig, limits: &Limits) -> ServerConfig {
    let request = max_request_bytes(limits);
    let response = max_response_bytes(limits);
    ServerConfig::builder()
        .max_request_body_size(u32::try_from(request).unwrap_or(u32::MAX))
        .max_response_body_size(u32::try_from(response).unwrap_or(u32::MAX))
        .max_connections(config.max_connections)
        .max_subscriptions_per_connection(config.max_subscriptions)
        .set_batch_request_config(BatchRequestConfig::Limit(config.max_batch))
        .set_message_buffer_capacity(config.message_buffer)
        .enable_ws_ping(PingConfig::new())
        .set_id_provider(HexIds)
        .set_tcp_no_delay(true)
        .build()
}

fn methods(rpc: Rpc) -> RpcModule<()> {
    let parts = [
        Web3Server::into_rpc(rpc.clone()).remove_context(),
        NetServer::into_rpc(rpc.clone()).remove_context(),
        ChainServer::into_rpc(rpc.clone()).remove_context(),
        AccountsServer::into_rpc(rpc.clone()).remove_context(),
        FeesServer::into_rpc(rpc.clone()).remove_context(),
        CallsServer::into_rpc(rpc.clone()).remove_context(),
        TracesServer::into_rpc(rpc.clone()).remove_context(),
        LogsServer::into_rpc(rpc.clone()).remove_context(),
        SweepLogsServer::into_rpc(rpc.clone()).remove_context(),
        PollingFiltersServer::into_rpc(rpc.clone()).remove_context(),
        PubSubServer::into_rpc(rpc.clone()).remove_context(),
        FinalityApiServer::into_rpc(rpc.clone()).remove_context(),
        InclusionApiServer::into_rpc(rpc.clone()).remove_context(),
        CountersApiServer::into_rpc(rpc.clone()).remove_context(),
        StatusApiServer::into_rpc(rpc.clone()).remove_context(),
        DebugServer::into_rpc(rpc).remove_context(),
    ];
    let mut all = RpcModule::new(());
    for part in parts {
        all.merge(part)
            .expect("every method name occurs in one trait only");
    }
    all
}
