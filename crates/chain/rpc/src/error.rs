//! Errors as Ethereum clients expect them.
//!
//! | code | meaning |
//! |---|---|
//! | 3 | execution reverted; `data` is the revert data in hex |
//! | 4 | accepted, but not mined within the time given (EIP-7966); `data` is the hash |
//! | -32000 | refused by the rules: unknown block, nonce too low, out of gas, ... |
//! | -32005 | a bound of this server was reached |
//! | -32602 | the parameters make no sense |
//! | -32603 | a defect or a failing disk on this node |
//!
//! Viem, ethers and alloy match texts such as "nonce too low", "already known", "replacement
//! transaction underpriced", "insufficient funds for gas * price + value" and "execution reverted"
//! literally, so they are geth's.

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::{Panic, Revert, SolError};
use jsonrpsee::types::ErrorObjectOwned;
use std::time::Duration;

const REVERTED: i32 = 3;
const NOT_YET: i32 = 4;
const REFUSED: i32 = -32000;
const LIMIT: i32 = -32005;
const INVALID: i32 = -32602;
const INTERNAL: i32 = -32603;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No such block, or not yet.
    #[error("header not found")]
    UnknownBlock,
    /// The block is known, its state is no longer kept.
    #[error("state of block {0} is not available: this node keeps the latest states only")]
    StateGone(u64),
    /// The chain's rules refuse it; the text is geth's where geth has one.
    #[error("{0}")]
    Refused(String),
    /// A call ended in a revert.
    #[error("execution reverted{}", reason(.0))]
    Reverted(Bytes),
    /// Accepted, but not in a block within the time that the client gave.
    #[error(
        "the transaction was added to the mempool but wasn't processed within the designated timeout"
    )]
    NotYetMined(B256),
    /// Bad parameters.
    #[error("{0}")]
    Invalid(String),
    /// More than the server gives at once.
    #[error("{0}")]
    Limit(String),
    /// All workers and waiting places are taken.
    #[error("server busy: too many calls at once, try again")]
    Busy,
    /// A call took too long.
    #[error("execution aborted (timeout = {0:?})")]
    Timeout(Duration),
    /// A defect or a failing disk on this node.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Fault {
    /// JSON-RPC error code.
    pub fn code(&self) -> i32 {
        match self {
            Self::Reverted(_) => REVERTED,
            Self::UnknownBlock | Self::StateGone(_) | Self::Refused(_) | Self::Timeout(_) => {
                REFUSED
            }
            Self::NotYetMined(_) => NOT_YET,
            Self::Limit(_) | Self::Busy => LIMIT,
            Self::Invalid(_) => INVALID,
            Self::Internal(_) => INTERNAL,
        }
    }
}

impl From<Fault> for ErrorObjectOwned {
    fn from(fault: Fault) -> Self {
        let data = match &fault {
            Fault::Reverted(data) => Some(data.clone()),
            Fault::NotYetMined(hash) => Some(Bytes::copy_from_slice(hash.as_slice())),
            _ => None,
        };
        Self::owned(fault.code(), fault.to_string(), data)
    }
}

/// `: text` for Solidity's `Error(string)` and `Panic(uint256)`, nothing for other revert data.
fn reason(data: &Bytes) -> String {
    if let Ok(revert) = Revert::abi_decode(data) {
        return format!(": {}", revert.reason);
    }
    match Panic::abi_decode(data) {
        Ok(Panic { code }) if code <= U256::from(0xff) => format!(": panic code 0x{code:x}"),
        _ => String::new(),
    }
}

/// Answer of a method.
pub(crate) type Reply<T> = Result<T, Fault>;
