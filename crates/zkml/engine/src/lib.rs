//! The fast integer engine: the function of [`hallmark_graph::reference`], bit for bit, at the
//! speed of the machine; it also records the witness of a proof.
//!
//! [`Prepared::new`] checks the model once and packs its weights; after that a run only checks
//! its input. A `Linear` over operands of at most 256 levels multiplies bytes (AVX-512 VNNI or
//! AVX2 where the build has them, portable code elsewhere); wider operands take a plain loop. Sums wrap in
//! `i32`: the check of the model proved that every final value is below `2^29`, so the wrapped
//! result is the exact one whatever the intermediate sums were.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod execute;
mod linear;
#[cfg(test)]
mod tests;

pub use execute::{EngineError, Prepared, run, run_batch, trace};
