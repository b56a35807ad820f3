//! Deterministic fixed-point numbers: the same bits on every machine.
//!
//! | type | bits | range | step | used by |
//! |---|---|---|---|---|
//! | [`Q32`] | `i64`, 32 fractional | ±2^31 | 2^-32 ≈ 2.3e-10 | Yuma, bit-equal to `I32F32` |
//! | [`Q64`] | `i128`, 64 fractional | ±2^63 | 2^-64 ≈ 5.4e-20 | inference synthesis, scores |
//!
//! # Rules
//!
//! - No floating point, no allocation, no panic, no undefined case. Everything saturates at the
//!   ends of the range; each `checked_` method says instead that it would have.
//! - **Division by zero is zero** (`x / 0 = 0`, also `0 / 0`), which is what Yuma's arithmetic
//!   does; `checked_div` returns `None`.
//! - [`Q32`] truncates as its source does: products round down (arithmetic shift), quotients round
//!   toward zero. [`Q64`] rounds products and quotients to nearest, ties away from zero.
//! - [`Q64::exp`], [`Q64::ln`], [`Q64::log2`], [`Q64::log10`], [`Q64::sqrt`] and [`Q64::pow`] work
//!   on 128-bit mantissas after range reduction; their error bounds stand at the functions and are
//!   checked against 256-bit arithmetic in `tests/oracle.rs`. Logarithms of what is not positive,
//!   and roots of what is negative, are `None`.
//!
//! ```
//! use hallmark_fixed::{Q32, Q64};
//!
//! let third = Q64::ONE / Q64::from_int(3);
//! assert_eq!(third.to_string(), "0.33333333333333333332");
//! assert_eq!("-2.5".parse::<Q64>().unwrap() * Q64::from_int(2), Q64::from_int(-5));
//! assert_eq!(Q64::from_int(100).log10(), Some(Q64::from_int(2)));
//! assert_eq!(Q64::ONE / Q64::ZERO, Q64::ZERO);
//! assert_eq!((Q32::ONE / Q32::from_int(3)).to_bits(), (1 << 32) / 3);
//! ```

#![no_std]
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod decimal;
mod elementary;
mod q32;
mod q64;
mod tables;
mod wide;

pub use decimal::ParseDecimalError;
pub use q32::Q32;
pub use q64::Q64;
