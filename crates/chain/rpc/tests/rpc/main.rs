//! The JSON-RPC door over a store of hand-made blocks, used by an unmodified client (alloy).

mod answers;
mod bounds;
mod subscriptions;
mod sweeps;
mod tools;
mod world;
