//! Runs whole networks of validators by seed, under the deterministic runtime: the same seed gives the same
//! schedule, the same messages, the same blocks.
//!
//! A run has a plan: what goes wrong in it. The first seeds go through every plan with every validator as
//! the one that it strikes; later ones draw a plan. Every run checks, whatever its plan: the honest validators agree
//! on every block and state root, heights rise without a gap, every transfer is executed, no money is
//! created or lost in any block, and every certificate proves its block.
//!
//! The one program that instantiates the engine over the deterministic runtime: it takes minutes to compile.

mod plans;
mod run;
#[path = "../../consensus/tests/support/mod.rs"]
mod support;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use clap::Parser;

/// Simulate networks of four validators, one for each seed
///
/// Prints a line a seed: plan, height and hash that the chain ended with, and a digest of everything that
/// happened. Ends with 1 and the seed when an invariant does not hold.
///
/// Example: cargo run -p hallmark-simulation --bin simulate -- --seeds 1000
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs at a time
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, std::num::NonZero::get))]
    jobs: usize,
    /// Virtual seconds after which a run counts as stuck
    #[arg(long, default_value_t = 120)]
    deadline: u64,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run::DEADLINE_SECONDS.store(arguments.deadline, Ordering::Relaxed);
    let end = arguments.from.saturating_add(arguments.seeds);
    let next = AtomicU64::new(arguments.from);
    let failed = AtomicBool::new(false);
    // Lines come in the order of the seeds, whoever is done first.
    let waiting = Mutex::new((arguments.from, std::collections::BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let Some(line) = one(seed, arguments.json) else {
                        failed.store(true, Ordering::Relaxed);
                        return;
                    };
                    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let (printed, lines) = &mut *waiting;
                    lines.insert(seed, line);
                    while let Some(line) = lines.remove(printed) {
                        println!("{line}");
                        *printed += 1;
                    }
                }
            });
        }
    });
    if failed.into_inner() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs a seed; its line, or `None` where an invariant does not hold.
fn one(seed: u64, json: bool) -> Option<String> {
    let (name, plan) = plans::of(seed);
    // A run shares nothing with another one.
    let outcome = catch_unwind(AssertUnwindSafe(|| run::simulate(seed, plan)));
    let Ok(run::Outcome {
        auditor,
        height,
        root,
        hash,
    }) = outcome
    else {
        eprintln!(
            "seed {seed} failed: {name}, {plan:?}; again with: simulate --from {seed} --seeds 1"
        );
        return None;
    };
    Some(if json {
        serde_json::json!({
            "seed": seed, "plan": name, "height": height, "root": root, "hash": hash, "history": auditor,
        })
        .to_string()
    } else {
        format!("seed {seed}: {name}: height {height}, block {hash}, history {auditor}")
    })
}
