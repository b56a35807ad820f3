//! The daemon itself.

use crate::{ProviderConfig, ProviderError};
use alloy_primitives::{Address, B256, U256};
use std::time::Duration;
use tokio::sync::broadcast;

/// How an order ended for this seller.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum OrderOutcome {
    /// Paid; `earned` in wei.
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
    pub models: Vec<B256>,
    pub seen: u64,
    pub delivered: u64,
    pub lost: u64,
    pub refused: u64,
    pub failed: u64,
    /// Wei, after gas is not subtracted.
    pub earned: U256,
    /// Orders in work now.
    pub in_work: usize,
}

/// Starts providers.
pub struct Provider;

/// A running provider. Dropping it stops the daemon without waiting.
pub struct ProviderHandle {
    events: broadcast::Sender<ProviderEvent>,
}

impl Provider {
    /// Connects, opens the journal, resumes what was left and begins to watch.
    pub async fn start(_config: ProviderConfig) -> Result<ProviderHandle, ProviderError> {
        let _ = Duration::ZERO;
        todo!()
    }
}

impl ProviderHandle {
    /// Counters now.
    pub fn status(&self) -> ProviderStatus {
        todo!()
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<ProviderEvent> {
        self.events.subscribe()
    }

    /// Stops after the step in progress; the journal says where to resume.
    pub async fn stop(self) {
        todo!()
    }
}
