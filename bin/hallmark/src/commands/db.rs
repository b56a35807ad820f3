//! `hallmark db`, `hallmark export` and `hallmark import`: the folder of a stopped node.

use super::chain::load_spec;
use super::{Error, node::spec_of};
use crate::cli::{DbCommand, ExportArgs, ImportArgs};
use crate::output::Reporter;
use hallmark_node::archive::{self, Moved};
use hallmark_node::check;
use hallmark_state::Store;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

pub fn run(command: DbCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        DbCommand::Check { home, spec } => check_folder(&home, spec.as_ref(), report),
    }
}

fn check_folder(home: &Path, spec: Option<&PathBuf>, report: &Reporter) -> Result<(), Error> {
    let spec = spec_of(home, spec)?;
    let bar = report.bar(0, "blocks");
    let found = check::check(home, &spec, |height, last| {
        bar.set_length(last.saturating_add(1));
        bar.set_position(height.saturating_add(1));
    });
    bar.finish_and_clear();
    let found = found?;
    let mut text = format!(
        "{}: height {}, {} transactions, {} certificates (the last at {}), {} more of epochs whose validators are forgotten, which only a replay checks",
        home.display(),
        found.height,
        found.transactions,
        found.certificates,
        found.certified,
        found.unchecked
    );
    for fault in &found.faults {
        text.push_str("\ndamaged: ");
        text.push_str(fault);
    }
    report.result(
        text,
        &json!({
            "home": home,
            "height": found.height,
            "transactions": found.transactions,
            "certificates": found.certificates,
            "uncheckedCertificates": found.unchecked,
            "certified": found.certified,
            "faults": found.faults,
            "faultCount": found.fault_count,
        }),
    );
    match found.fault_count {
        0 => Ok(()),
        count => Err(Error::at(
            home.display(),
            format!(
                "{count} faults; move chain.redb and consensus/ away, one validator at a time, and let the node sync again (keep votes-*.txt, or use a new key if it votes), or import blocks into a new folder"
            ),
        )),
    }
}

pub fn export(args: &ExportArgs, report: &Reporter) -> Result<(), Error> {
    let spec = spec_of(&args.home, args.spec.as_ref())?;
    let executor = archive::executor(spec.clone());
    let store = archive::open_store(&args.home, &spec, &executor)?;
    let at = |error: &dyn std::fmt::Display| Error::at(args.file.display(), error);
    let file = File::create_new(&args.file).map_err(|e| at(&e))?;
    let mut out = BufWriter::new(file);
    let moved = archive::export(&store, &spec, args.from, args.to, &mut out);
    let written = moved
        .map_err(|e| at(&e))
        .and_then(|moved| out.get_ref().sync_all().map(|()| moved).map_err(|e| at(&e)));
    if written.is_err() {
        // Half a file helps nobody; the first failure is the one to report.
        let _ = std::fs::remove_file(&args.file);
    }
    tell("exported", &written?, &args.file, report);
    Ok(())
}

pub fn import(args: &ImportArgs, report: &Reporter) -> Result<(), Error> {
    let spec = load_spec(&args.spec)?;
    let executor = archive::executor(spec.clone());
    let at = |error: &dyn std::fmt::Display| Error::at(args.file.display(), error);
    let file = File::open(&args.file).map_err(|e| at(&e))?;
    let store = Store::open(&args.home, &spec, &executor.genesis())?;
    let bar = report.bar(0, "blocks");
    let moved = archive::import(
        &store,
        &executor,
        &mut BufReader::new(file),
        |height, last| {
            bar.set_length(last);
            bar.set_position(height);
        },
    );
    bar.finish_and_clear();
    tell("imported", &moved.map_err(|e| at(&e))?, &args.file, report);
    Ok(())
}

fn tell(what: &str, moved: &Moved, file: &Path, report: &Reporter) {
    let text = format!(
        "{what} blocks {} to {} ({} new, {} transactions), head {}, state root {}",
        moved.from, moved.to, moved.blocks, moved.transactions, moved.head, moved.state_root
    );
    let value: Value = json!({
        "file": file,
        "from": moved.from,
        "to": moved.to,
        "blocks": moved.blocks,
        "transactions": moved.transactions,
        "head": moved.head,
        "stateRoot": moved.state_root,
    });
    report.result(text, &value);
}
