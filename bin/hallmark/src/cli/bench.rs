//! Arguments of `hallmark bench`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum BenchCommand {
    /// Measure a network of validators on this machine, end to end.
    ///
    /// Real sockets and disk; clients in the same process submit transactions that were signed before
    /// the clock, over JSON-RPC, and watch them become final. Without --rate as many as keep
    /// --in-flight of them on their way.
    #[command(
        after_help = "Example:\n  hallmark bench chain --validators 4 --seconds 60 --workload transfer --json\n  hallmark bench chain --seconds 20 --workload call --rate 20"
    )]
    Chain(ChainBenchArgs),
}

#[derive(Args)]
pub struct ChainBenchArgs {
    /// Validators of the network, all in this process.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub validators: u16,
    /// How long figures are taken, after a warm-up of five seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// What the transactions do.
    #[arg(long, value_enum, default_value = "transfer")]
    pub workload: Workload,
    /// Transactions a second, whatever happens to them; full load when absent.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: Option<u32>,
    /// Full load: transactions between submission and finality.
    #[arg(long, default_value_t = 1_600, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub in_flight: u32,
    /// Full load: transactions that are signed beforehand for each second.
    #[arg(long, default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub signed_rate: u32,
    /// Accounts that send.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub senders: u32,
    /// Accounts that exist from genesis and receive transfers.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub accounts: u32,
    /// Folder for the validators' databases, made anew and kept; a temporary one when absent.
    #[arg(long)]
    pub home: Option<PathBuf>,
}

/// What the transactions of a benchmark do.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Move one unit to an account drawn from all.
    Transfer,
    /// Call `Inference.deposit()` with one unit.
    Call,
}
