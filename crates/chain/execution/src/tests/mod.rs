//! Stories about blocks and calls.

mod blocks;
mod calls;
mod market;
mod refused;
mod staking;
mod topics;
mod traces;
mod types;
mod world;
