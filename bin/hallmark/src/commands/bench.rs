//! `hallmark bench`: figures of a network on this machine.

use super::Error;
use crate::cli::{BenchCommand, ChainBenchArgs, Workload};
use crate::output::Reporter;
use hallmark_node::bench::{self, Figures, Plan};
use serde_json::json;

pub fn run(command: BenchCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        BenchCommand::Chain(args) => chain(&args, report),
    }
}

/// Load before the figures count, seconds.
const WARM_UP: u64 = 5;

fn chain(args: &ChainBenchArgs, report: &Reporter) -> Result<(), Error> {
    let plan = Plan {
        validators: usize::from(args.validators),
        warm_up: WARM_UP,
        seconds: args.seconds,
        workload: match args.workload {
            Workload::Transfer => bench::Workload::Transfer,
            Workload::Call => bench::Workload::Call,
        },
        rate: args.rate,
        in_flight: args.in_flight as usize,
        signed_rate: args.signed_rate,
        senders: args.senders as usize,
        accounts: args.accounts as usize,
    };
    let figures = match &args.home {
        Some(home) if home.exists() => {
            let reason = "exists already; give another folder, or move it away";
            return Err(Error::at(home.display(), reason));
        }
        Some(home) => bench::run(&plan, home)?,
        None => {
            let name = format!("hallmark-bench-{}", std::process::id());
            let home = std::env::temp_dir().join(name);
            let figures = bench::run(&plan, &home);
            // The figures count also when the folder stays.
            if let Err(error) = std::fs::remove_dir_all(&home) {
                tracing::warn!(%error, folder = %home.display(), "the benchmark's folder stays");
            }
            figures?
        }
    };
    let machine = machine();
    let Figures {
        tps,
        block_interval_ms,
        finality_ms,
        ..
    } = &figures;
    let value = json!({
        "workload": match args.workload { Workload::Transfer => "transfer", Workload::Call => "call" },
        "validators": plan.validators,
        "seconds": plan.seconds,
        "rate": plan.rate,
        "in_flight": plan.rate.is_none().then_some(plan.in_flight),
        "senders": plan.senders,
        "accounts": plan.accounts,
        "tps": tps,
        "block_interval_ms": block_interval_ms,
        "finality_ms": finality_ms,
        "transactions": figures.transactions,
        "blocks": figures.blocks,
        "refused": figures.refused,
        "cpu_s": figures.cpu_s,
        "peak_rss_mb": figures.peak_rss_mb,
        "signed_mb": figures.signed_mb,
        "disk_mb": figures.disk_mb,
        "commit": commit(),
        "machine": machine,
    });
    let text = format!(
        "{tps} final transactions a second\n\
             blocks every {} ms (p99 {} ms)\n\
             final after {} ms (p99 {} ms)\n\
             {} transactions in {} blocks, {} refused\n\
             {} s of processor time, {} MiB of memory at most ({} MiB of it transactions signed before), {} MiB of disk\n\
             commit {}, {machine}",
        block_interval_ms.p50,
        block_interval_ms.p99,
        finality_ms.p50,
        finality_ms.p99,
        figures.transactions,
        figures.blocks,
        figures.refused,
        figures.cpu_s,
        figures.peak_rss_mb,
        figures.signed_mb,
        figures.disk_mb,
        commit().unwrap_or_else(|| "unknown".to_owned()),
    );
    report.result(text, &value);
    Ok(())
}

/// Processors and their name.
fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    let name = name.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cpus} × {name}")
}

/// The commit of the working folder, where git tells it.
fn commit() -> Option<String> {
    let mut git = std::process::Command::new("git");
    let output = git.args(["rev-parse", "--short", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !commit.is_empty()).then_some(commit)
}
