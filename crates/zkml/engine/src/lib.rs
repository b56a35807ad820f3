//! The fast integer engine: the function of [`hallmark_graph::reference`], bit for bit, at the
//! speed of the machine; it also records the witness of a proof.
//!
//! [`Prepared::new`] checks the model once, packs its constants and plans its views; after that a
//! run only checks its input. A product of operands of at most 256 levels by signed bytes, or of
//! sixteen bits by sixteen bits, takes the machine's dot products where the build has them
//! (AVX-512 VNNI; AVX2 for bytes), portable code elsewhere; wider operands multiply words. Sums
//! wrap in `i32`: the check of the model proved that every final value is below `2^29`, so the
//! wrapped result is the exact one whatever the intermediate sums were.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod buffers;
mod elementwise;
mod execute;
mod kernel;
mod product;
#[cfg(test)]
mod tests;
mod view;

pub use execute::{EngineError, Prepared, run, run_batch, trace};
