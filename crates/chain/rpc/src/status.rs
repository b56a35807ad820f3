//! `hallmark_nodeStatus`: one look at a node for the people who run it.

use crate::{
    context::Rpc,
    error::{Fault, Reply},
};
use alloy_primitives::B256;
use jsonrpsee::proc_macros::rpc;
use serde::{Deserialize, Serialize};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// No number of peers has been noted yet.
const UNKNOWN: u64 = u64::MAX;

/// What a node knows about itself that is in none of the rooms below.
#[derive(Debug)]
pub struct NodeFacts {
    /// Public key of its validator; `None` if it only follows.
    pub validator: Option<[u8; 32]>,
    peers: AtomicU64,
}

impl NodeFacts {
    /// A node with this validator key.
    pub fn new(validator: Option<[u8; 32]>) -> Self {
        Self {
            validator,
            peers: AtomicU64::new(UNKNOWN),
        }
    }

    /// Notes how many validators are connected.
    pub fn note_peers(&self, connected: u64) {
        self.peers.store(connected, Ordering::Relaxed);
    }

    /// Validators that are connected, once that is known.
    pub fn peers(&self) -> Option<u64> {
        let peers = self.peers.load(Ordering::Relaxed);
        (peers != UNKNOWN).then_some(peers)
    }
}

impl Default for NodeFacts {
    fn default() -> Self {
        Self::new(None)
    }
}

/// Answer of `hallmark_nodeStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Name and version of the program.
    pub version: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of the chain spec.
    pub spec_hash: B256,
    /// Height of the head, which is final.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// Greatest height known to be final.
    pub tip: u64,
    /// Milliseconds from the head's timestamp to now; 0 if it is ahead of the clock here.
    pub finalized_age_ms: u64,
    /// Whether the head is many blocks behind the tip.
    pub syncing: bool,
    /// Validators that are connected; `null` in the first moments.
    pub peers: Option<u64>,
    /// Transactions in the pool.
    pub mempool: u64,
    /// Public key of the node's validator, if it has one.
    pub validator: Option<B256>,
    /// Its index in the validator set.
    pub validator_index: Option<u16>,
    /// Validator-set period of the head.
    pub epoch: u32,
}

#[rpc(server, namespace = "hallmark")]
pub(crate) trait StatusApi {
    #[method(name = "nodeStatus")]
    fn node_status(&self) -> Result<NodeStatus, Fault>;
}

impl StatusApiServer for Rpc {
    fn node_status(&self) -> Reply<NodeStatus> {
        let head = self.head();
        let validator = self.node.validator;
        Ok(NodeStatus {
            version: crate::net::CLIENT_VERSION.to_owned(),
            chain_id: self.spec.chain_id,
            spec_hash: self.spec.hash(),
            height: head.block.number(),
            hash: head.hash,
            tip: self.store.tip(),
            finalized_age_ms: now_ms().saturating_sub(head.block.timestamp_ms()),
            syncing: self.is_syncing(),
            peers: self.node.peers(),
            mempool: self.mempool.len() as u64,
            validator: validator.map(B256::from),
            validator_index: validator.and_then(|key| self.spec.validator_index(&key)),
            epoch: head.block.extra().map_or(0, |extra| extra.epoch),
        })
    }
}

/// Unix time in milliseconds; zero on a machine whose clock is before 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
