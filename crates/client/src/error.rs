//! What can go wrong between a person and the chain.

use crate::{Level, Revert};
use alloy_primitives::{B256, U256};
use std::time::Duration;

/// Failure of a request, a transaction or a wait.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is neither `http(s)://` nor `ws(s)://`.
    #[error("`{0}` is not an http:// or ws:// address")]
    Url(String),
    /// No node answers there.
    #[error("no node answers at {url}: {reason}")]
    Connect { url: String, reason: String },
    /// The connection broke or the answer was not JSON-RPC.
    #[error("{method}: the node did not answer as expected: {reason}")]
    Transport {
        method: &'static str,
        reason: String,
    },
    /// The node refused the request.
    #[error("{method}: {message}")]
    Rpc {
        method: &'static str,
        code: i64,
        message: String,
    },
    /// A contract refused, before anything was sent.
    #[error("{0}")]
    Refused(Revert),
    /// The transaction was included and failed.
    #[error("transaction {hash} failed: {}", reason.as_ref().map_or_else(|| "no reason given".to_owned(), ToString::to_string))]
    Reverted { hash: B256, reason: Option<Revert> },
    /// No receipt within the time allowed.
    #[error("transaction {hash} was not included within {waited:?}")]
    NotIncluded { hash: B256, waited: Duration },
    /// The order was not paid within the time allowed.
    #[error("order {id} was not paid within {waited:?}; it is {status}")]
    NotPaid {
        id: U256,
        waited: Duration,
        status: crate::Status,
    },
    /// The order ended without an answer.
    #[error("order {id} ended unpaid: it is {status}")]
    EndedUnpaid { id: U256, status: crate::Status },
    /// A transaction was asked of a client that holds no key.
    #[error("this needs a key to sign with; give one with --key")]
    NoKey,
    /// The chain has no judge for this level.
    #[error("level `{0}` is not available: the chain can judge only `proven` orders")]
    LevelUnavailable(Level),
    /// No such order.
    #[error("there is no order {0}")]
    NoSuchOrder(U256),
    /// No such model.
    #[error("there is no model {0}")]
    NoSuchModel(B256),
    /// No model has this name or prefix.
    #[error("there is no model called `{0}`; `hallmark model list` shows what there is")]
    ModelNotFound(String),
    /// More than one model has this name or prefix.
    #[error("`{0}` fits {1} models; give more of the id")]
    ModelAmbiguous(String, usize),
    /// The order is not in the state that was asked for.
    #[error("order {id} is {status}: {needed}")]
    WrongState {
        id: U256,
        status: crate::Status,
        needed: &'static str,
    },
    /// The input does not fit the model.
    #[error("the input does not fit the model: {0}")]
    Input(String),
    /// The input could not be sealed; nothing was sent.
    #[error(transparent)]
    Seal(#[from] crate::sealed::SealError),
    /// The secret of a sealed order could not be kept or found.
    #[error(transparent)]
    Secret(#[from] crate::sealed::StoreError),
    /// What opens a commitment could not be kept or found.
    #[error(transparent)]
    Salt(#[from] crate::topics::SaltError),
    /// An answer that could never be revealed; nothing was committed.
    #[error(transparent)]
    Payload(#[from] crate::topics::PayloadFault),
    /// A test set that could never be opened; nothing was committed.
    #[error(transparent)]
    TestSet(#[from] crate::topics::score::TestSetFault),
    /// A model that does not prove.
    #[error(transparent)]
    Prover(#[from] crate::topics::score::ProverError),
    /// The node's answer breaks the ABI or a bound.
    #[error("the node's answer is malformed: {0}")]
    Malformed(String),
    /// The key could not sign.
    #[error("signing failed: {0}")]
    Signing(String),
    /// A caller's step before broadcasting failed; nothing was sent.
    #[error("the transaction was not sent: {0}")]
    BeforeSend(String),
}

impl ClientError {
    /// Whether a contract refused with this error, before or after sending.
    pub fn is_refusal(&self, name: &str) -> bool {
        self.refusal().is_some_and(|revert| revert.name == name)
    }

    /// The contract's refusal, before or after sending, if it is one.
    pub fn refusal(&self) -> Option<&Revert> {
        match self {
            Self::Refused(revert) => Some(revert),
            Self::Reverted { reason, .. } => reason.as_ref(),
            _ => None,
        }
    }
}
