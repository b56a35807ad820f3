//! Orders transactions: four or more validators agree on one chain of blocks.
//!
//! * [`Core`] decides what a block is worth (propose, verify, commit) and knows nothing of networks.
//! * [`engine`] joins a `Core` to commonware's Simplex and marshal over any runtime context.
//! * [`start`] runs one validator over real sockets and files in a thread of its own.
//! * [`certificate`] checks the finality certificate of a block against a chain spec alone.

pub mod certificate;
pub mod core;
mod start;

pub use crate::{
    core::{Core, CoreError, RoundInfo, Verdict},
    start::{ConsensusConfig, ConsensusError, ConsensusHandle, start},
};
