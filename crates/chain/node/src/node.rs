//! One validator: what it needs, how it starts, how it stops.

use crate::{
    devnet::{self, DevelopmentKey},
    telemetry::{self, MetricsHandle, Monitor, Sources, Worker},
};
use hallmark_consensus::{ConsensusConfig, ConsensusError, ConsensusHandle, Core};
use hallmark_execution::Executor;
use hallmark_mempool::Mempool;
use hallmark_rpc::{
    CommitteeProofs, NodeFacts, RpcConfig, RpcContext, RpcError, RpcHandle, RpcMetrics,
};
use hallmark_state::{Store, StoreError};
use hallmark_types::ChainSpec;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

/// Folder of the engine's journals inside a node's folder.
pub(crate) const CONSENSUS_FOLDER: &str = "consensus";

/// Folder of the proofs of validator sets inside a node's folder.
const COMMITTEES_FOLDER: &str = "committees";

/// What one node needs.
#[derive(Clone)]
pub struct NodeConfig {
    /// The chain that it joins.
    pub spec: Arc<ChainSpec>,
    /// Seed of its ed25519 key. It votes in the epochs whose validators include the public key, and
    /// follows the chain in the others.
    pub validator_key: [u8; 32],
    /// Its folder, created if absent, used by one node at a time.
    pub home: PathBuf,
    /// Where it accepts other validators.
    pub p2p_listen: SocketAddr,
    /// Public keys and addresses of other nodes to connect to.
    pub peers: Vec<([u8; 32], SocketAddr)>,
    /// Public keys of nodes that may connect to this one to follow the chain.
    pub followers: Vec<[u8; 32]>,
    /// Where it serves JSON-RPC; port 0 lets the system choose.
    pub rpc_listen: SocketAddr,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The chain's data cannot be opened: locked, of another chain, or damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key is not a validator's, a port is taken, or the engine's folder is unusable.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The JSON-RPC port is taken.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The folder of the proofs of validator sets is unusable.
    #[error("cannot keep proofs of validator sets: {0}")]
    Committees(io::Error),
    /// The chain spec gives power to keys that anybody knows.
    #[error(transparent)]
    Development(#[from] DevelopmentKey),
    /// The metrics port is taken.
    #[error("cannot listen on {address} for metrics: {source}")]
    Metrics {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No thread could be made.
    #[error("cannot start the thread that watches the node: {0}")]
    Thread(io::Error),
    /// No loopback port could be reserved (development networks only).
    #[error("cannot reserve a port on loopback: {0}")]
    Port(io::Error),
}

/// A running validator; dropping it stops it.
pub struct Node {
    // Dropped in this order: no new requests, then no new blocks, then the data is closed.
    rpc: RpcHandle,
    watch: Worker,
    monitor: Arc<Monitor>,
    consensus: Arc<ConsensusHandle>,
    mempool: Arc<Mempool>,
    executor: Arc<Executor>,
    store: Arc<Store>,
    spec: Arc<ChainSpec>,
}

impl Node {
    /// Starts a validator; it is up when this returns.
    ///
    /// # Errors
    /// See [`NodeError`]. Nothing is left running.
    pub fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let NodeConfig {
            spec,
            validator_key,
            home,
            p2p_listen,
            peers,
            followers,
            rpc_listen,
        } = config;
        devnet::refuse_development_keys(&spec)?;
        let public_key = hallmark_consensus::public_key_of(&validator_key);
        devnet::refuse_development_key(spec.chain_id, &public_key)?;
        let executor = Arc::new(Executor::new(spec.clone()));
        let store = Arc::new(Store::open(&home, &spec, &executor.genesis())?);
        let mempool = Arc::new(Mempool::new(spec.clone(), executor.clone()));

        let committees =
            CommitteeProofs::open(home.join(COMMITTEES_FOLDER)).map_err(NodeError::Committees)?;
        let committees = Arc::new(committees);
        committees
            .watch(spec.clone(), &store)
            .map_err(NodeError::Committees)?;

        let facts = Arc::new(NodeFacts::new(Some(public_key)));
        let rpc_metrics = RpcMetrics::default();
        let rpc = hallmark_rpc::serve(
            RpcConfig::new(rpc_listen),
            RpcContext {
                spec: spec.clone(),
                store: store.clone(),
                executor: executor.clone(),
                mempool: mempool.clone(),
                committees,
                node: facts.clone(),
                metrics: rpc_metrics.clone(),
            },
        )?;

        let core = Core::new(
            spec.clone(),
            executor.clone(),
            mempool.clone(),
            store.clone(),
        );
        let core_metrics = core.metrics().clone();
        let consensus = Arc::new(hallmark_consensus::start(
            ConsensusConfig {
                key: validator_key,
                spec: spec.clone(),
                listen: p2p_listen,
                peers,
                followers,
                home: home.join(CONSENSUS_FOLDER),
                votes: home.clone(),
            },
            Arc::new(core),
        )?);
        let monitor = Arc::new(Monitor::new(Sources {
            store: store.clone(),
            mempool: mempool.clone(),
            executor: executor.clone(),
            consensus: consensus.clone(),
            facts,
            core: core_metrics,
            rpc: rpc_metrics,
            home: home.clone(),
        }));
        let watch = telemetry::watch(monitor.clone()).map_err(NodeError::Thread)?;

        tracing::info!(home = %home.display(), rpc = %rpc.local_addr(), "validator started");
        Ok(Self {
            rpc,
            watch,
            monitor,
            consensus,
            mempool,
            executor,
            store,
            spec,
        })
    }

    /// Stops in order: the door, then consensus, then the data is closed (once nobody else holds
    /// the `Arc` of [`Node::store`]).
    pub fn stop(self) {
        drop(self);
    }

    /// Serves metrics, health and readiness until the handle is dropped. Drop it before the node
    /// stops, or the data stays open for as long.
    ///
    /// # Errors
    /// [`NodeError::Metrics`].
    pub fn serve_metrics(&self, listen: SocketAddr) -> Result<MetricsHandle, NodeError> {
        telemetry::serve(listen, self.monitor.clone()).map_err(|source| NodeError::Metrics {
            address: listen,
            source,
        })
    }

    /// The chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// Finalized blocks and states.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The judge of blocks, with its counters.
    pub fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// Waiting transactions.
    pub fn mempool(&self) -> &Arc<Mempool> {
        &self.mempool
    }

    /// Where JSON-RPC is served.
    pub fn rpc_addr(&self) -> SocketAddr {
        self.rpc.local_addr()
    }

    /// `http://` address of JSON-RPC, as a local client reaches it.
    pub fn rpc_url(&self) -> String {
        format!("http://{}", reachable(self.rpc_addr()))
    }

    /// `ws://` address of JSON-RPC, as a local client reaches it.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", reachable(self.rpc_addr()))
    }

    /// Where other validators connect.
    pub fn p2p_addr(&self) -> SocketAddr {
        self.consensus.listen_addr()
    }

    /// Why consensus stopped by itself, if it did.
    pub fn failure(&self) -> Option<String> {
        self.consensus.fatal()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.rpc.stop();
        self.watch.stop();
        self.consensus.stop();
    }
}

/// A server that listens on every address is reached over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}
