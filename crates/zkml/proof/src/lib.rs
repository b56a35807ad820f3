//! Prover and verifier of integer graphs.

mod api;

pub use api::*;
