//! Orders transactions: validators agree on one chain of blocks.
//!
//! * [`Core`] decides what a block is worth (propose, verify, commit) and knows nothing of networks.
//! * [`engine`] joins a `Core` to commonware's Simplex and marshal over any runtime context.
//! * [`start`] runs one validator over real sockets and files in a thread of its own.
//! * [`certificate`] checks the finality certificate of a block against a chain spec alone.
//!
//! This is the only room that names commonware. Its engine is generic and slow to compile: [`start`]
//! instantiates it over sockets, `tests/simulation.rs` over the deterministic runtime, nothing else.

mod application;
pub mod block;
pub mod certificate;
mod committee;
pub mod core;
pub mod engine;
mod gossip;
pub mod keys;
mod metrics;
mod start;

pub use crate::{
    application::{Honest, Proposer},
    committee::public_key_of,
    core::{Core, CoreError, ExtendError, RoundInfo, Unready, Verdict},
    metrics::{CoreMetrics, EngineNumbers},
    start::{ConsensusConfig, ConsensusError, ConsensusHandle, start},
};
