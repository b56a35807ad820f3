//! Runs a block over a state: the chain's one judge of what a transaction does.
//!
//! revm under [`SpecId::OSAKA`](revm::primitives::hardfork::SpecId::OSAKA), named explicitly, with
//! the chain's own gas caps and with the system contracts as stateful precompiles whose state
//! lives in ordinary account storage.
//!
//! | module | what it holds |
//! |---|---|
//! | `executor` | [`Executor`]: building, checking and calling |
//! | `block` | one block: transactions, fees, sweep, header |
//! | `validate` | every header field compared, by name |
//! | `committee` | [`committee()`]: the validators of an epoch |
//! | `precompiles`, `host` | the system contracts inside revm |
//! | `evm` | revm's settings and environments |
//! | `db` | the state a block reads and the changes that it makes |
//! | `call`, `access`, `trace` | `eth_call`, gas estimates, access lists and traces |
//! | [`statetest`] | Ethereum's state tests, run through all of this |
//! | `recover`, `memo` | senders, and what one executor remembers |
//!
//! An [`Executor`] owns its caches and counters; nothing here is static, so several validators in
//! one process share nothing.
#![deny(clippy::float_arithmetic)]

mod access;
mod block;
mod call;
mod committee;
mod db;
mod error;
mod evm;
mod executor;
mod genesis;
mod host;
mod memo;
mod precompiles;
mod recover;
pub mod statetest;
#[cfg(test)]
mod tests;
mod trace;
mod validate;

pub use access::AccessListOutcome;
pub use block::{BlockAttributes, Built};
pub use call::{CallError, CallOutcome, CallRequest};
pub use committee::committee;
pub use db::is_code;
pub use error::{BlockError, TransactionError};
pub use evm::intrinsic_gas;
pub use executor::{Ancestry, Counters, Executor, NoAncestry};
pub use recover::{PooledTransaction, RecoverError};
