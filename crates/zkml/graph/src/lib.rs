//! The integer graph: what a quantised model *is*.
//!
//! A model is a straight line of exact integer operations. The reference interpreter, the
//! SIMD engine and the zero-knowledge circuit all compute this one function, bit for bit.
//!
//! # Semantics
//!
//! Value 0 is the input tensor; node `i` defines value `i + 1`. Tensors are row-major `i32`.
//!
//! | operator | formula |
//! |---|---|
//! | `Linear` | `v[m,n] = M_n · (Σ_k x[m,k]·w[k,n] + b_n)`, `w` int8, `b` int32, `1 ≤ M_n < 2^15` |
//! | `Add` | `v[i] = M_a·a[i] + M_b·b[i]`, `0 < abs(M) < 2^15` |
//! | `Requant` | `y[i] = T[(v[i] + 2^(s-1)) >> s]`, arithmetic shift; `s = 0` is `T[v[i]]` |
//! | `Reshape` | the same elements under another shape |
//!
//! # Bounds
//!
//! Every value has a range computed from the declared input range and the weights' column
//! norms, never sampled, and stays below `2^29` in magnitude. A `Requant` over a table of `2^t`
//! entries needs `|v| + 2^(s-1) < 2^(t-1+s)` and `t + s ≤ 30`, so that the decomposition of `v`
//! into quotient and remainder is unique modulo the KoalaBear prime.
//!
//! # Canonical form
//!
//! [`Graph::validate`] accepts exactly one way to write a graph: operands name earlier values,
//! the `k`-th `Linear` uses weight `k`, every value but the last is used, the last is the output.
//! [`Graph::decode`] and [`Model::decode`] accept only what [`Graph::encode`] and
//! [`Model::encode`] write.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod bounds;
mod builder;
mod check;
mod codec;
mod model_file;
pub mod reference;
mod tensor;
#[cfg(test)]
mod tests;
mod types;

pub use builder::Builder;
pub use check::{CheckError, Place};
pub use codec::{DecodeError, MAX_GRAPH_BYTES};
pub use model_file::MAX_MODEL_BYTES;
pub use reference::RunError;
pub use tensor::{TensorError, element_width};
pub use types::*;
