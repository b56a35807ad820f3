//! Calls and gas estimates on a snapshot of the state.

use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, Bytes, Log, U256};

/// A call as `eth_call` and `eth_estimateGas` describe it. What is absent is not checked: without
/// a price no fee is charged, without a nonce none is compared.
#[derive(Debug, Clone, Default)]
pub struct CallRequest {
    /// The caller; the zero address when absent.
    pub from: Option<Address>,
    /// The called account; a contract creation when absent.
    pub to: Option<Address>,
    /// Gas limit; the chain's `eth_call_gas` when absent, and never more than that.
    pub gas: Option<u64>,
    /// Fee cap per gas in base units (or the legacy gas price).
    pub max_fee_per_gas: Option<u128>,
    /// Priority fee cap per gas in base units.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Value sent.
    pub value: U256,
    /// Call data or init code.
    pub data: Bytes,
    /// The caller's nonce.
    pub nonce: Option<u64>,
    /// Accounts and slots that start warm.
    pub access_list: AccessList,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It returned.
    Success {
        /// Returned bytes; the deployed code for a creation.
        output: Bytes,
        /// Gas used, intrinsic gas included, refunds deducted.
        gas_used: u64,
        /// Logs emitted.
        logs: Vec<Log>,
    },
    /// It reverted (JSON-RPC error code 3 with this data).
    Revert {
        /// Revert data.
        output: Bytes,
        /// Gas used.
        gas_used: u64,
    },
    /// It stopped by an exceptional halt, such as running out of gas.
    Halt {
        /// The reason's name.
        reason: String,
        /// Gas used.
        gas_used: u64,
    },
}

/// Why a call could not be run, or why no gas limit suffices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request is not a valid transaction, in geth's words where it has some.
    #[error("{0}")]
    Invalid(String),
    /// The call data exceeds the chain's `max_tx_bytes`.
    #[error("oversized data: call of {got} bytes, limit {limit}")]
    TooLarge {
        /// Length of the call data.
        got: usize,
        /// Largest length.
        limit: usize,
    },
    /// The call reverts with every gas limit (estimates only).
    #[error("execution reverted")]
    Reverted(Bytes),
    /// The call halts with the largest gas limit (estimates only).
    #[error("gas required exceeds allowance ({0})")]
    OutOfGas(u64),
    /// The call halts for another reason than gas (estimates only).
    #[error("execution halted: {0}")]
    Halted(String),
    /// The state could not be read.
    #[error("internal error: {0}")]
    Fatal(String),
}
