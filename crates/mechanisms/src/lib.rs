//! The rules by which a topic pays for intelligence, as pure functions.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod emission;
pub mod score;
mod settlement;
pub mod simulate;
pub mod sortition;
pub mod synthesis;
pub mod yuma;

pub use settlement::{Column, Output, Settlement, WHOLE, apportion};
pub use simulate::simulate;
