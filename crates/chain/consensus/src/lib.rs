//! Orders transactions: validators agree on one chain of blocks.
//!
//! * [`Core`] decides what a block is worth (propose, verify, commit) and knows nothing of networks.
//! * [`engine`] joins a `Core` to commonware's Simplex and marshal over any runtime context, one Simplex
//!   for each epoch; a node that is not a validator follows.
//! * [`start`] runs one node over real sockets and files in a thread of its own.
//! * [`certificate`] checks the finality certificate of a block against the validators of its epoch.
//! * [`evidence`] is what proves that a validator signed two votes that exclude each other.
//!
//! This is the only room that names commonware. Its engine is generic and slow to compile: [`start`]
//! instantiates it over sockets, the command `simulate` over the deterministic runtime, nothing else.

mod agreement;
mod application;
mod archives;
pub mod block;
pub mod certificate;
mod committee;
pub mod core;
pub mod engine;
mod epochs;
pub mod evidence;
mod gossip;
pub mod keys;
mod metrics;
mod peers;
mod possession;
mod start;
mod votes;

pub use crate::{
    application::{Honest, Proposer},
    committee::{epoch_of, genesis_committee, public_key_of},
    core::{Core, CoreError, ExtendError, RoundInfo, Unready, Verdict},
    metrics::{CoreMetrics, EngineNumbers},
    peers::AddressBook,
    possession::prove_possession,
    start::{ConsensusConfig, ConsensusError, ConsensusHandle, start},
    votes::VoteGuard,
};
