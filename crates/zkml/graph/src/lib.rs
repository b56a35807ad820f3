//! The integer graph: what a quantised model *is*.
//!
//! A model is a straight line of exact integer operations. The reference interpreter, the
//! SIMD engine and the zero-knowledge circuit all compute this one function, bit for bit.
//!
//! # Semantics
//!
//! The inputs are values `0..inputs.len()`; node `i` defines value `inputs.len() + i`. Tensors are
//! row-major `i32`.
//!
//! | operator | formula |
//! |---|---|
//! | `Constant` | a parameter; element `i` is `elements[i]·multipliers[i mod last]` |
//! | `MatMul` | `v[B,m,n] = Σ_k a[B,m,k]·b[B,k,n]`, each of `B, m, k, n` any number of axes |
//! | `Mul` | `v[i] = a[i]·b[i]` |
//! | `Combine` | `v[i] = offset + Σ_j M_j·term_j[i]` |
//! | `Sum` | sum over axes, which vanish |
//! | `View` | `v[o] = x[f_0(o), f_1(o), …]`, affine or listed per axis, 0 outside: transposition, slice, padding, broadcast, patches of a convolution |
//! | `Reshape` | the same elements under another shape |
//! | `Lookup` | `y[i] = T[(v[i] + 2^(s-1)) >> s]`, arithmetic shift; `s = 0` is `T[v[i]]` |
//! | `Shift` | `y[i] = (v[i] + 2^(s-1)) >> s`, wider than a table |
//!
//! Every operator of a model file is made of these: a convolution is a `View` (patches) and a
//! `MatMul`; a maximum is `b + T_relu[a - b]`; softmax, normalisation and division are lookups,
//! products and sums. So the interpreter, the engine and the circuit have nine things to agree on.
//!
//! # Bounds
//!
//! Every value has a range computed from the declared input ranges and the constants, never
//! sampled, and stays below `2^29` in magnitude:
//!
//! - `MatMul` with a constant operand: from the constant, per column (or row) `Σ max(w·lo, w·hi)`;
//!   (the right one when both are); otherwise inner length times the extreme products;
//! - `Combine`: interval arithmetic; the remainder `x - 2^s·Lookup(x, s, Clamp)` of a clamp that
//!   does not bite lies in `[-2^(s-1), 2^(s-1) - 1]` (`[0, 0]` for `s = 0`) besides, and likewise
//!   for `Shift` and for multiples `c·x - c·2^s·y` among other terms; a maximum, `b + Lookup(a - b, 0, Clamp)`
//!   with a clamp to `[0, h]` that does not bite above, lies where its operands do;
//! - `Mul` of a value by itself is not negative;
//! - a `View` that reads outside contains 0;
//! - a `Lookup` over a table of `2^t` entries needs `|v| + 2^(s-1) < 2^(t-1+s)` and `t + s ≤ 30`, so
//!   that the decomposition of `v` into quotient and remainder is unique modulo the KoalaBear
//!   prime; the same for a `Shift` with `bits` for `t`.
//!
//! # Canonical form
//!
//! [`Graph::validate`] accepts exactly one way to write a graph: operands name earlier values, the
//! `k`-th `Constant` is constant `k`, the tables are numbered in the order of their first use,
//! every value is used or is an output. [`Model::check`] adds: elements of constants in their
//! narrowest width, no multipliers where all are 1, no two tables alike. [`Graph::decode`] and [`Model::decode`] accept only what
//! [`Graph::encode`] and [`Model::encode`] write.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod bounds;
mod builder;
mod check;
mod codec;
mod infer;
mod model_file;
pub mod reference;
mod tensor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod types;

pub use builder::{Builder, TableSpec};
pub use check::{CheckError, Place};
pub use codec::{DecodeError, MAX_GRAPH_BYTES};
pub use model_file::MAX_MODEL_BYTES;
pub use reference::RunError;
pub use tensor::{TensorError, element_width};
pub use types::*;
