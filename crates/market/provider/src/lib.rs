//! The seller's daemon: watches orders, checks everything it can before it spends anything, claims
//! with a bond, runs the model, proves, delivers, and remembers each step in a journal.

mod checks;
mod config;
mod daemon;
pub mod fetch;
pub mod journal;
pub mod library;
pub mod mirror;
pub mod sealing;
#[cfg(test)]
mod tests;
mod work;

pub use checks::{Costs, Refusal, check_order, read_input};
pub use config::{ProviderConfig, ProviderError};
pub use daemon::{OrderOutcome, Provider, ProviderEvent, ProviderHandle, ProviderStatus};
