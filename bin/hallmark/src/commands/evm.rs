//! `hallmark evm`: the chain's virtual machine against Ethereum's own tests.

use super::Error;
use crate::cli::EvmCommand;
use crate::output::Reporter;
use hallmark_execution::statetest::{self, Case, FileReport, Fork};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Failing cases that the text names; `--json` names all.
const SHOWN: usize = 50;
/// Stack of a thread that runs cases: 1,024 nested calls in a debug build.
const STACK: usize = 64 << 20;

pub fn run(command: EvmCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        EvmCommand::Statetest { paths, forks } => statetest(&paths, &forks, report),
    }
}

fn statetest(paths: &[PathBuf], forks: &[String], report: &Reporter) -> Result<(), Error> {
    let forks = chosen(forks)?;
    let mut files = Vec::new();
    for path in paths {
        files.extend(statetest::find(path).map_err(|e| Error::at(path.display(), e))?);
    }
    let results = run_all(&files, &forks, report)?;
    let passed: u64 = results.iter().map(|file| file.passed).sum();
    let failing: Vec<&Case> = results.iter().flat_map(|file| &file.failed).collect();
    let skipped: usize = results.iter().map(|file| file.skipped.len()).sum();
    let names: Vec<&str> = forks.iter().map(|fork| fork.name()).collect();
    let value = json!({
        "passed": passed,
        "failed": failing.len(),
        "skipped": skipped,
        "forks": names,
        "failing": failing,
        "files": results,
    });
    let mut text = table(&results)?;
    writeln!(
        text,
        "{passed} passed, {} failed, {skipped} skipped (forks: {})",
        failing.len(),
        names.join(", ")
    )?;
    report.result(text.trim_end(), &value);
    if !failing.is_empty() {
        let text = format!("{} state tests failed", failing.len());
        return Err(Error::new(text));
    }
    if passed == 0 {
        let text = format!(
            "no case is of the forks {}: nothing was tested",
            names.join(", ")
        );
        return Err(Error::new(text));
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<Fork>, Error> {
    if names.is_empty() {
        return Ok(Fork::ENABLED.to_vec());
    }
    let known = || {
        Fork::KNOWN
            .iter()
            .map(|fork| fork.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let fork = |name: &String| {
        Fork::from_name(name)
            .ok_or_else(|| Error::new(format!("fork `{name}` is not one of {}", known())))
    };
    names.iter().map(fork).collect()
}

/// Runs the files on every core; results in the order of the files.
fn run_all(files: &[PathBuf], forks: &[Fork], report: &Reporter) -> Result<Vec<FileReport>, Error> {
    let bar = report.bar(files.len() as u64, "state tests");
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(index) else {
                return done;
            };
            done.push((index, statetest::run(file, forks)));
            bar.inc(1);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let results = std::thread::scope(|scope| -> Result<BTreeMap<_, _>, Error> {
        let spawn = |_| {
            std::thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, worker)
        };
        let workers = (0..threads).map(spawn).collect::<Result<Vec<_>, _>>()?;
        let mut results = BTreeMap::new();
        for worker in workers {
            let done = worker
                .join()
                .map_err(|_| Error::new("a state test panicked: this is a defect"))?;
            results.extend(done);
        }
        Ok(results)
    });
    bar.finish_and_clear();
    Ok(results?.into_values().collect())
}

/// A line per file, then what failed, then why cases were skipped.
fn table(results: &[FileReport]) -> Result<String, Error> {
    let mut text = String::new();
    writeln!(text, "passed  failed  skipped  file")?;
    for file in results {
        writeln!(
            text,
            "{:>6}  {:>6}  {:>7}  {}",
            file.passed,
            file.failed.len(),
            file.skipped.len(),
            file.path.display()
        )?;
    }
    let failing: Vec<&Case> = results.iter().flat_map(|file| &file.failed).collect();
    for case in failing.iter().take(SHOWN) {
        writeln!(text, "failed: {}: {}", case.name, case.reason)?;
    }
    if failing.len() > SHOWN {
        writeln!(
            text,
            "… and {} more (--json names all)",
            failing.len() - SHOWN
        )?;
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for case in results.iter().flat_map(|file| &file.skipped) {
        *reasons.entry(&case.reason).or_default() += 1;
    }
    for (reason, count) in reasons {
        writeln!(text, "skipped: {count} × {reason}")?;
    }
    Ok(text)
}
