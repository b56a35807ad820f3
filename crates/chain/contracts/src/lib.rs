//! What the chain knows: one folder per system contract.
//!
//! A contract is a struct whose fields are its storage layout; `mod.rs` holds its rules as methods
//! named after the ABI, `dispatch.rs` maps calls to them. State, money and block are reached
//! through an explicit [`Host`]. Nothing here names the EVM.
//!
//! | contract | address | what it keeps |
//! |---|---|---|
//! | `staking` | `0x4841…01` | stake, rewards, slashes, the validator sets of epochs |
//! | `models` | `0x4841…02` | verifying keys and terms of models |
//! | `inference` | `0x4841…03` | orders, escrow, sellers' deposits |
//! | `verifier` | `0x4841…04` | the gas formula of a verification |
//! | `topics` | `0x4841…05` | markets of intelligence: slots, stake, epochs, pay |
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod dispatch;
mod gas;
mod host;
mod places;
mod reader;
mod shares;
mod statement;
#[cfg(test)]
mod storage_tests;

pub mod inference;
pub mod models;
pub mod staking;
pub mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod topics;
pub mod verifier;
#[cfg(test)]
mod world;

pub use host::{ContractError, Host, HostError, Result};
pub use reader::Reader;
pub use statement::{Claim, Statement};

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes};
use hallmark_types::{ChainSpec, addresses};

/// Code of every system contract's account: an opcode that no one can run (and nonce 1), so that
/// Solidity sees code there and the account is never deleted as empty.
pub const SYSTEM_CODE: &[u8] = &[0xef];

/// Whether calls to this address go to [`call`].
#[must_use]
pub fn is_system_contract(address: &Address) -> bool {
    [
        addresses::STAKING,
        addresses::MODELS,
        addresses::INFERENCE,
        addresses::VERIFIER,
        addresses::TOPICS,
    ]
    .contains(address)
}

/// Runs a call of a system contract. The caller has moved the call's value to `address`, refuses
/// delegate calls, and undoes everything if this fails.
///
/// # Errors
///
/// See [`ContractError`].
pub fn call(host: &mut dyn Host, address: Address, calldata: &[u8]) -> Result<Bytes> {
    match address {
        addresses::STAKING => staking::call(host, calldata),
        addresses::MODELS => models::call(host, calldata),
        addresses::INFERENCE => inference::call(host, calldata),
        addresses::VERIFIER => verifier::call(host, calldata),
        addresses::TOPICS => topics::call(host, calldata),
        other => Err(ContractError::Fatal(format!(
            "{other} is no system contract"
        ))),
    }
}

/// One contract's work after a block's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Settles a bounded slice of overdue orders.
    Inference,
    /// Advances topics that nobody else advanced.
    Topics,
    /// Credits the block's fees; at the end of an epoch decides a validator set.
    Staking,
}

impl Sweep {
    /// In the order in which a block does them.
    pub const ALL: [Self; 3] = [Self::Inference, Self::Topics, Self::Staking];
}

/// One sweep, with gas of its own. Its logs belong to no transaction. If it fails, its host's owner
/// undoes it, and it alone.
///
/// # Errors
///
/// Only what the host fails with, or a broken invariant; no order and no topic can make it fail.
pub fn sweep(host: &mut dyn Host, sweep: Sweep) -> Result<()> {
    match sweep {
        Sweep::Inference => inference::Inference::new().sweep(host),
        Sweep::Topics => topics::Topics::new().sweep(host),
        Sweep::Staking => staking::Staking::new().sweep(host),
    }
}

/// Storage of every system contract at genesis: the parameters, so that they are state and can be
/// proven, and the first validators.
#[must_use]
pub fn genesis_storage(spec: &ChainSpec) -> BTreeMap<Address, storage::Words> {
    let mut storage = BTreeMap::new();
    staking::Staking::new().preset(spec, &mut storage);
    models::Models::new().preset(spec, &mut storage);
    inference::Inference::new().preset(spec, &mut storage);
    verifier::Verifier::new().preset(spec, &mut storage);
    topics::Topics::new().preset(spec, &mut storage);
    for words in storage.values_mut() {
        words.retain(|_, word| !word.is_zero());
    }
    storage
}

/// Balances of the system contracts at genesis: the stake of the first validators.
#[must_use]
pub fn genesis_balances(spec: &ChainSpec) -> BTreeMap<Address, alloy_primitives::U256> {
    BTreeMap::from([(addresses::STAKING, staking::genesis_stake(spec))])
}
