//! What the chain knows: one folder per system contract.
//!
//! A contract is a struct whose fields are its storage layout; `mod.rs` holds its rules as methods
//! named after the ABI, `dispatch.rs` maps calls to them. State, money and block are reached
//! through an explicit [`Host`]. Nothing here names the EVM.
//!
//! | contract | address | what it keeps |
//! |---|---|---|
//! | `models` | `0x4841…02` | verifying keys and terms of models |
//! | `inference` | `0x4841…03` | orders, escrow, sellers' deposits |
//! | `verifier` | `0x4841…04` | the gas formula of a verification |
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod host;
mod statement;

pub use host::{ContractError, Host, HostError, Result};
pub use statement::Statement;

use alloy_primitives::{Address, Bytes, U256};
use hallmark_types::{ChainSpec, addresses};

/// Code of every system contract's account: an opcode that no one can run (and nonce 1), so that
/// Solidity sees code there and the account is never deleted as empty.
pub const SYSTEM_CODE: &[u8] = &[0xef];

/// Whether calls to this address go to [`call`].
#[must_use]
pub fn is_system_contract(address: &Address) -> bool {
    [addresses::MODELS, addresses::INFERENCE, addresses::VERIFIER].contains(address)
}

/// Runs a call of a system contract. The caller has moved the call's value to `address`, refuses
/// delegate calls, and undoes everything if this fails.
///
/// # Errors
///
/// See [`ContractError`].
pub fn call(_host: &mut dyn Host, _address: Address, _calldata: &[u8]) -> Result<Bytes> {
    todo!()
}

/// The system's work after a block's transactions: settles a bounded slice of overdue orders.
/// Its logs belong to no transaction.
///
/// # Errors
///
/// Only what the host fails with; no order can make it fail.
pub fn end_of_block(_host: &mut dyn Host) -> Result<()> {
    todo!()
}

/// Storage of the system contracts at genesis: the market's parameters, so that they are state
/// and can be proven.
#[must_use]
pub fn genesis_storage(_spec: &ChainSpec) -> Vec<(Address, Vec<(U256, U256)>)> {
    todo!()
}
