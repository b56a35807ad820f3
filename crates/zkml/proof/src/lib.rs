//! Prover and verifier of integer graphs.

mod commitment;
mod cost;
mod field;
mod key;
mod logup;
mod plan;
mod proof;
mod prover;
mod security;
mod statement;
mod sumcheck;
mod transcript;
mod verifier;
mod witness;

#[cfg(test)]
mod tests;

pub use cost::VerifyCost;
pub use key::{DecodeError, ProvingKey, SetupError, VerifyingKey, setup};
pub use plan::PlanError;
pub use proof::FormatError;
pub use prover::{ProveError, prove};
pub use security::{SecurityReport, SecurityTerm, security_report};
pub use verifier::{VerifyError, verify};
pub use witness::TraceError;
