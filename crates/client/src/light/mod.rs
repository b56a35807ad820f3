//! A light client: it follows the chain by certificates and believes no node.
//!
//! # What is trusted
//!
//! The chain spec, and with it the validators of epochs 0 and 1; or a [`Checkpoint`] that the reader
//! got from somebody they trust: one block with the validators of its epoch and of the next. Two
//! thirds of the validators of an epoch can forge everything from that epoch on, also long after it,
//! when nobody can take their stake any more. A checkpoint is therefore refused once it is older than
//! [`trusting_period_ms`], the shortest time in which `trusting_epochs` can pass.
//!
//! # From epoch to epoch
//!
//! ```text
//! known: validators of e and e + 1
//! the last block of epoch e is certified by the validators of e (or, through a descendant, of e + 1)
//!        |  its state root
//!        v
//! account of contract Staking -> storage root -> words of the set of e + 2
//! known: validators of e + 1 and e + 2
//! ```
//!
//! The words are proven one by one (EIP-1186) and read by the contract's own code. A node that leaves
//! a word out, changes one, or proves another block's state is refused.
//!
//! # What is answered
//!
//! Accounts, slots and order receipts, each with its proof up to a certificate by known validators.
//! The newest block never goes back: a node that shows an older one than was seen is refused for
//! newest state ([`LightError::Stale`]). A node can still withhold newer blocks; how old the newest
//! known block is, is told by [`Light::age_ms`].

mod chain;
mod door;
mod proofs;
#[cfg(test)]
mod tests;

pub use chain::{Checkpoint, Light, trusting_period_ms};
pub use door::{Door, serve};
pub use proofs::{Finality, StateProof};

use crate::{ClientError, ReceiptError};
use alloy_primitives::{Address, B256};
use hallmark_consensus::certificate::CertificateError;

/// Why a light client does not believe a node, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LightError {
    /// The node cannot be asked, or refuses to answer.
    #[error("the node does not answer: {0}")]
    Node(#[from] ClientError),
    /// The node is of another chain.
    #[error("the node is of chain {found}, the chain spec of chain {expected}")]
    OtherChain { expected: u64, found: u64 },
    /// A header is not an RLP header, or not canonical.
    #[error("a header of the node is malformed: {0}")]
    Header(String),
    /// Headers that are not parent and child.
    #[error("header {0} of the node is not the child of the one before")]
    BrokenChain(usize),
    /// Too many headers between a block and its certificate.
    #[error("more than {0} headers lie between a block and its certificate")]
    TooManyHeaders(usize),
    /// Not final.
    #[error("the node's certificate is refused: {0}")]
    Certificate(#[from] CertificateError),
    /// No way from the known validators to those of this epoch.
    #[error("the validators of epoch {0} are not known here")]
    UnknownCommittee(u64),
    /// The proof of a set is for another block.
    #[error("the validators of epoch {epoch} are proven at block {found}, not at {expected}")]
    OtherBoundary {
        epoch: u64,
        expected: u64,
        found: u64,
    },
    /// A header of an epoch that its height does not belong to.
    #[error("block {number} is not of epoch {epoch}")]
    WrongEpoch { number: u64, epoch: u64 },
    /// A proof that does not lead from the state root to what it claims.
    #[error("the node's proof of account {0} is wrong")]
    Account(Address),
    /// As [`LightError::Account`], for a slot.
    #[error("the node's proof of slot {slot} of account {address} is wrong")]
    Slot { address: Address, slot: B256 },
    /// A proof of something else than was asked for.
    #[error("the node answered another question than it was asked")]
    OtherAnswer,
    /// A set that its words do not describe.
    #[error("the words of the set of epoch {epoch} are not proven: {reason}")]
    Committee { epoch: u64, reason: String },
    /// An older block than one that is known.
    #[error("the node is at block {found}, and block {known} is final")]
    Stale { known: u64, found: u64 },
    /// Another block at the height of the trusted one.
    #[error("the node's block {number} is {found}, and {known} is final")]
    Fork {
        number: u64,
        known: B256,
        found: B256,
    },
    /// A checkpoint that nobody answers for any more.
    #[error(
        "the checkpoint is {age_ms} ms old and can be trusted for {period_ms} ms: get a newer one \
         from somebody you trust"
    )]
    Expired { age_ms: u64, period_ms: u64 },
    /// A checkpoint that contradicts itself or the chain spec.
    #[error("the checkpoint is unusable: {0}")]
    Checkpoint(String),
    /// An order receipt that does not verify.
    #[error("the order's receipt is refused: {0}")]
    Receipt(#[from] ReceiptError),
}
