//! The command line: parses, calls a wing, prints.
//!
//! Exit codes: 0 done, 1 failed, 2 bad usage. `--json` prints one JSON object (or list) on
//! standard output; progress and logs go to standard error.

mod cli;
mod commands;
mod demo;
mod output;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

/// Large tables come and go with every proof: an allocator that keeps their pages saves the faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long freed pages are kept, in milliseconds: longer than from one use of a table to the next
/// within a proof of seconds. (With the allocator's own 1,000 a ResNet-18 takes a third longer, with
/// 10,000 half a gigabyte more.)
const PURGE_DELAY_MS: std::ffi::c_long = 3_000;
/// `mi_option_purge_delay` of mimalloc 3, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Not over what MIMALLOC_PURGE_DELAY says.
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        let delay = match &cli.command {
            // Short-lived: what one phase frees, the next one takes.
            Command::Zk { .. } => -1,
            _ => PURGE_DELAY_MS,
        };
        // SAFETY: sets one of the allocator's numbers, before there is a second thread.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, delay) };
    }
    let log_format = match &cli.command {
        Command::Node(args) => args.log_format,
        _ => cli::LogFormat::Text,
    };
    output::init_logs(cli.verbose, cli.quiet, log_format);
    let report = output::Reporter::new(cli.json, cli.quiet);
    match run(cli.command, &report) {
        Ok(()) if report.is_lost() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, report: &output::Reporter) -> Result<(), commands::Error> {
    match command {
        Command::Demo(args) => demo::run(args, report),
        Command::Zk { command } => commands::zk::run(command, report),
        Command::Model { command } => commands::model::run(command, report),
        Command::Infer(args) => commands::infer::run(args, report),
        Command::Provide(args) => commands::provide::run(args, report),
        Command::Order { command } => commands::order::run(command, report),
        Command::Keys { command } => commands::keys::run(command, report),
        Command::Light(args) => commands::light::run(args, report),
        Command::Verify(args) => commands::verify::run(args, report),
        Command::Spec { command } => commands::spec::run(command, report),
        Command::Topic { command } => commands::topic::run(command, report),
        Command::Stake { command } => commands::stake::run(command, report),
        Command::Evm { command } => commands::evm::run(command, report),
        Command::Bench { command } => commands::bench::run(command, report),
        Command::Network { command } => commands::network::run(command, report),
        Command::Node(args) => commands::node::run(args, report),
        Command::Db { command } => commands::db::run(command, report),
        Command::Export(args) => commands::db::export(&args, report),
        Command::Import(args) => commands::db::import(&args, report),
        Command::Completions { shell } => commands::generate::completions(shell, report),
        Command::Man { dir } => commands::generate::man(&dir),
    }
}
