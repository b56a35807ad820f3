//! Stories about blocks and calls.

mod blocks;
mod calls;
mod refused;
mod world;
