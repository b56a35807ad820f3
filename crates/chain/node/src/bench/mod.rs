//! How fast a network is, seen by its clients: `hallmark bench chain`.
//!
//! Validators run in this process as everywhere else: their own folders, databases, sockets and threads,
//! sharing nothing but code. Clients in the same process, so on the same cores, do this:
//!
//! 1. Before the clock: fund the senders in genesis, sign every transaction.
//! 2. Send them as JSON-RPC batches over kept-alive HTTP, each sender always to the same validator.
//!    - full load: as many as keep `in_flight` transactions between submission and finality;
//!    - a rate: that many a second, one at a time, whatever happens to them.
//! 3. Follow the blocks of the first validator over a WebSocket. A transaction is *final* when the
//!    client has read its hash in a block: validators publish only blocks that are final and on disk.
//!
//! Figures count from the end of a warm-up. Afterwards every receipt is looked at, and the validators'
//! chains are compared: a figure of failed transactions or of a fork is no figure.

mod client;
mod load;
mod process;

use crate::{Devnet, NodeError, devnet};
use alloy_primitives::{B256, U256};
use client::{ClientError, Seen};
use serde::Serialize;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// What transactions do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One unit to an account drawn from all.
    Transfer,
    /// `Inference.deposit()` of one unit: a seller adds to its deposit (two storage words, one event).
    Call,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Validators of the network.
    pub validators: usize,
    /// Load before the figures count, seconds.
    pub warm_up: u64,
    /// How long figures are taken.
    pub seconds: u64,
    /// What transactions do.
    pub workload: Workload,
    /// Transactions a second; full load if none.
    pub rate: Option<u32>,
    /// Full load: transactions between submission and finality.
    pub in_flight: usize,
    /// Full load: transactions signed beforehand for each second. The run fails if they run out.
    pub signed_rate: u32,
    /// Accounts that send.
    pub senders: usize,
    /// Accounts that exist from genesis and receive transfers.
    pub accounts: usize,
}

/// Middle and tail of a distribution, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Half are below.
    pub p50: f64,
    /// 99 of 100 are below.
    pub p99: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |part: f64| values[((last as f64) * part).round() as usize];
        Some(Self {
            p50: at(0.5),
            p99: at(0.99),
        })
    }
}

/// What a run showed.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Final transactions a second.
    pub tps: f64,
    /// Between the timestamps of blocks one after the other.
    pub block_interval_ms: Spread,
    /// From before a transaction's submission until its client sees it final.
    pub finality_ms: Spread,
    /// Final transactions, and blocks, while figures were taken.
    pub transactions: usize,
    /// Blocks of that time.
    pub blocks: usize,
    /// Submissions that a validator refused, warm-up included.
    pub refused: usize,
    /// Processor time of this process, clients included, while figures were taken, seconds.
    pub cpu_s: f64,
    /// Peak resident memory of this process, with all validators, clients and signed transactions, MiB.
    pub peak_rss_mb: u64,
    /// The part of it that the process had before the validators started: signed transactions.
    pub signed_mb: u64,
    /// Bytes of all validators' folders afterwards, MiB.
    pub disk_mb: u64,
}

/// Why a run gave no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The plan makes no sense.
    #[error("{0}")]
    Plan(String),
    /// A validator did not start.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A client could not talk to its validator.
    #[error("a client of the benchmark: {0}")]
    Client(#[from] ClientError),
    /// The client's threads could not be made.
    #[error("the clients' threads: {0}")]
    Threads(#[from] std::io::Error),
    /// What happened makes the figures meaningless.
    #[error("no figures: {0}")]
    Void(String),
}

impl Plan {
    fn check(&self) -> Result<(), BenchError> {
        let refuse = |reason: &str| Err(BenchError::Plan(reason.to_owned()));
        if self.validators == 0 || self.seconds == 0 || self.accounts == 0 {
            return refuse("validators, seconds and accounts must be at least 1");
        }
        if self.senders < self.validators {
            return refuse("there must be a sender for each validator");
        }
        if self.rate == Some(0) || self.in_flight == 0 || self.signed_rate == 0 {
            return refuse("rates and the number in flight must be at least 1");
        }
        Ok(())
    }

    /// Transactions to sign: for the warm-up and the whole run.
    fn transactions(&self) -> usize {
        let seconds = self.seconds.saturating_add(self.warm_up.saturating_add(1));
        let rate = u64::from(self.rate.unwrap_or(self.signed_rate));
        usize::try_from(seconds.saturating_mul(rate)).unwrap_or(usize::MAX)
    }
}

/// Runs a network in folders under `home` and measures it.
///
/// # Errors
/// See [`BenchError`].
pub fn run(plan: &Plan, home: &Path) -> Result<Figures, BenchError> {
    plan.check()?;
    let senders = load::senders(plan.senders);
    let receivers = load::receivers(plan.accounts);
    let funded: Vec<_> = senders.iter().map(load::Sender::address).collect();
    let (mut spec, seeds) = devnet::spec(plan.validators, &funded);
    for receiver in &receivers {
        spec.alloc.entry(*receiver).or_insert(U256::from(1));
    }
    let lanes = load::sign(plan, &spec, &senders, &receivers);
    // Genesis is now, not when signing began.
    spec.genesis_timestamp_ms = devnet::now_ms();
    let signed_mb = process::rss_mb();
    let network = Devnet::start_with(spec, &seeds, home)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("clients")
        .enable_all()
        .build()?;
    let seen = runtime.block_on(client::drive(plan, &network, lanes))?;
    drop(runtime);
    judge(&network, &seen)?;
    let peak_rss_mb = process::peak_rss_mb();
    let figures = figures(plan, &seen, peak_rss_mb, signed_mb);
    network.stop();
    let mut figures = figures?;
    figures.disk_mb = process::folder_mb(home);
    Ok(figures)
}

/// Whether what was seen is worth figures: no fork, no failed transaction.
fn judge(network: &Devnet, seen: &Seen) -> Result<(), BenchError> {
    let void = |reason: String| Err(BenchError::Void(reason));
    for node in network.nodes() {
        if let Some(reason) = node.failure() {
            return void(format!("a validator stopped: {reason}"));
        }
    }
    let stores: Vec<_> = network
        .nodes()
        .map(|node| Arc::clone(node.store()))
        .collect();
    let heights = stores.iter().map(|store| store.head().block.number());
    let height = heights.min().unwrap_or_default();
    let hashes: std::collections::BTreeSet<Option<B256>> = stores
        .iter()
        .map(|store| store.block_hash(height))
        .collect();
    if hashes.len() != 1 {
        return void(format!("the validators have {} chains", hashes.len()));
    }
    let Some(store) = stores.first() else {
        return Ok(());
    };
    for block in &seen.blocks {
        let receipts = store.receipts(block.number).unwrap_or_default();
        if receipts.len() != block.transactions {
            return void(format!("block {} lacks receipts", block.number));
        }
        if receipts.iter().any(|receipt| !receipt.is_success()) {
            return void(format!("a transaction of block {} failed", block.number));
        }
    }
    Ok(())
}

fn figures(
    plan: &Plan,
    seen: &Seen,
    peak_rss_mb: u64,
    signed_mb: u64,
) -> Result<Figures, BenchError> {
    let nothing = || BenchError::Void("no transaction became final in time".to_owned());
    let ms = |time: &Duration| (time.as_secs_f64() * 1e4).round() / 10.0;
    let finality = Spread::of(seen.finality.iter().map(ms).collect()).ok_or_else(nothing)?;
    let intervals = seen.blocks.windows(2).filter_map(|pair| match pair {
        [a, b] => Some(b.timestamp_ms.saturating_sub(a.timestamp_ms) as f64),
        _ => None,
    });
    let interval = Spread::of(intervals.collect()).ok_or_else(nothing)?;
    let transactions = seen.finality.len();
    Ok(Figures {
        tps: (transactions as f64 / plan.seconds as f64 * 10.0).round() / 10.0,
        block_interval_ms: interval,
        finality_ms: finality,
        transactions,
        blocks: seen.blocks.len(),
        refused: seen.refused,
        cpu_s: (seen.cpu.as_secs_f64() * 100.0).round() / 100.0,
        peak_rss_mb,
        signed_mb,
        disk_mb: 0,
    })
}

/// The time at which figures begin, and their end.
#[derive(Debug, Clone, Copy)]
struct Window {
    begins: Instant,
    ends: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_a_hundred_and_one_values() {
        let spread = Spread::of((0..=100).rev().map(f64::from).collect());
        let expected = Spread {
            p50: 50.0,
            p99: 99.0,
        };
        assert_eq!(spread, Some(expected));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
