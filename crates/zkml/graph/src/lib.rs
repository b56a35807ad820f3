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
//! | `Add` | `v[i] = M_a·a[i] + M_b·b[i]` |
//! | `Requant` | `y[i] = T[(v[i] + 2^(s-1)) >> s]`, arithmetic shift; `s = 0` is `T[v[i]]` |
//! | `Reshape` | the same elements under another shape |
//!
//! # Bounds
//!
//! Every value has a range computed from the declared input range and the weights' L1 norms,
//! never sampled. A `Requant` over a table of `2^t` entries needs
//! `|v| + 2^(s-1) < 2^(t-1+s)` and `t + s ≤ 30`, so that the decomposition of `v` into quotient
//! and remainder is unique modulo the KoalaBear prime.
#![deny(clippy::float_arithmetic)]

mod types;

pub use types::*;
