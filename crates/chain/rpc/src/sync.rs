//! How far this node is behind: `eth_syncing` and the subscription `syncing`.
//!
//! The network's finalized tip comes from consensus (`Store::tip`): a height whose certificate this
//! node has checked, whether or not the block is here yet. A few blocks between head and tip are the
//! ordinary way of a block to the disk; only more than [`SYNC_SLACK`] is called syncing.

use crate::context::Rpc;
use alloy_primitives::U64;
use serde::Serialize;

/// Blocks that the head may be behind the tip without being called syncing.
const SYNC_SLACK: u64 = 32;

/// Heights of a node that is catching up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Heights {
    /// The head when the server started.
    starting_block: U64,
    current_block: U64,
    highest_block: U64,
}

/// Answer of `eth_syncing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum SyncStatus {
    /// Always `false`.
    Done(bool),
    Behind(Heights),
}

/// What the subscription reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum SyncNotice {
    /// Always `false`.
    Done(bool),
    /// The heights twice: libraries look for them where geth puts them (`status`), or beside
    /// `syncing`, as parity did.
    Behind {
        syncing: bool,
        #[serde(flatten)]
        heights: Heights,
        status: Heights,
    },
}

impl Rpc {
    fn behind(&self) -> Option<Heights> {
        let current = self.head().block.number();
        let highest = self.store.tip();
        (highest.saturating_sub(current) > SYNC_SLACK).then(|| Heights {
            starting_block: U64::from(self.started_at),
            current_block: U64::from(current),
            highest_block: U64::from(highest),
        })
    }

    pub(crate) fn is_syncing(&self) -> bool {
        self.behind().is_some()
    }

    pub(crate) fn sync_status(&self) -> SyncStatus {
        self.behind()
            .map_or(SyncStatus::Done(false), SyncStatus::Behind)
    }

    pub(crate) fn sync_notice(&self) -> SyncNotice {
        self.behind()
            .map_or(SyncNotice::Done(false), |heights| SyncNotice::Behind {
                syncing: true,
                heights,
                status: heights,
            })
    }
}
