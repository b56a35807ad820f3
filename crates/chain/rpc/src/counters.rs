//! `hallmark_counters`: how often this node really did the expensive work since it started.
//!
//! A node that builds or votes on a delivery and later executes it again must verify its proof
//! once; the counters let anybody check that from outside.

use crate::{
    context::Rpc,
    error::{Fault, Reply},
};
use jsonrpsee::proc_macros::rpc;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

/// Work of one node since it started; answers from a memory are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Proofs verified while building or executing blocks.
    pub proof_verifications: u64,
    /// Proofs verified for `eth_call` and gas estimates.
    pub call_verifications: u64,
    /// Senders recovered from signatures.
    pub sender_recoveries: u64,
}

#[rpc(server, namespace = "hallmark")]
pub(crate) trait CountersApi {
    /// The executor's counters, as JSON numbers.
    #[method(name = "counters")]
    fn counters(&self) -> Result<Counters, Fault>;
}

impl CountersApiServer for Rpc {
    fn counters(&self) -> Reply<Counters> {
        let counters = self.executor.counters();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Counters {
            proof_verifications: read(&counters.proof_verifications),
            call_verifications: read(&counters.call_verifications),
            sender_recoveries: read(&counters.sender_recoveries),
        })
    }
}
