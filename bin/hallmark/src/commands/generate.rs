//! Shell completions and manual pages, generated from the arguments.

use super::Error;
use crate::cli::Cli;
use crate::output::Reporter;
use clap::CommandFactory;
use std::path::Path;

pub fn completions(shell: clap_complete::Shell, report: &Reporter) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hallmark", &mut script);
    let script = String::from_utf8(script)?;
    report.written(script.trim_end(), script.trim_end());
    Ok(())
}

pub fn man(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(|e| Error::at(dir.display(), e))?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(|e| Error::at(dir.display(), e))
}
