//! The JSON-RPC door over a store of hand-made blocks, used by an unmodified client (alloy).

mod answers;
mod bounds;
mod conformance;
mod hostile;
mod light;
mod subscriptions;
mod sweeps;
mod tools;
mod world;
