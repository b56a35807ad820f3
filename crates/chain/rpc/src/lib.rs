//! JSON-RPC over HTTP and WebSocket: the door that wallets and client libraries use.
//!
//! One port serves both transports. Every answer comes from finalized data (the store) or from the
//! mempool; this room never talks to consensus, and runs on a tokio runtime and threads of its own,
//! so that no request can delay a vote.
//!
//! * Tags: `latest`, `safe` and `finalized` name the same block, because finality is immediate;
//!   `pending` names it too, except that `eth_getTransactionCount` then counts the mempool in.
//! * Errors carry the codes and the words that Ethereum clients match (see [`Fault`]).
//! * Whatever costs is bounded: body and batch size, connections, subscriptions, filters, log
//!   ranges and results, gas, time and concurrency of calls (see [`RpcConfig`]).
//!
//! Beside Ethereum's methods the node answers `net_finalizedCertificate` (why a block is final, see
//! [`Finality`]), `net_committee` (who the validators of an epoch are), `hallmark_inclusion` (why a
//! transaction is in it, see [`Inclusion`]), `hallmark_sweepLogs` (what contracts told at the end of
//! blocks), `hallmark_counters` (how often the node really verified and recovered, see [`Counters`])
//! and `hallmark_nodeStatus` (see [`NodeStatus`]).
//!
//! [`serve`] starts the server; the methods are listed by the traits in `chain`, `account`, `fee`,
//! `call` (traces too), `logs`, `pubsub`, `net`, `finality` and `counters`.

mod account;
mod call;
mod chain;
mod committees;
mod config;
mod context;
mod counters;
mod error;
mod fee;
mod filters;
mod finality;
mod logs;
mod metrics;
mod net;
mod overrides;
mod pubsub;
mod server;
mod status;
mod sync;
mod view;

pub use committees::CommitteeProofs;
pub use config::{RpcConfig, RpcContext};
pub use counters::Counters;
pub use error::Fault;
pub use finality::{Finality, Inclusion, StateProof};
pub use metrics::RpcMetrics;
pub use server::{RpcError, RpcHandle, serve};
pub use status::{NodeFacts, NodeStatus};
