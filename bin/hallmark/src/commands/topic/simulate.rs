//! `hallmark topic simulate`: epochs offline, as text, JSON or a picture.

use crate::commands::{Error, read, write};
use crate::output::Reporter;
use hallmark_client::topics::chart;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

pub fn run(file: &Path, picture: Option<&Path>, report: &Reporter) -> Result<(), Error> {
    let text = String::from_utf8(read(file)?).map_err(|e| Error::at(file.display(), e))?;
    let simulation =
        hallmark_mechanisms::simulate(&text).map_err(|e| Error::at(file.display(), e))?;
    let cases: Value = serde_json::from_str(&simulation.json)?;
    if let Some(path) = picture {
        let case = &cases[0];
        let title = case["name"].as_str().unwrap_or("a case without a name");
        write(path, chart::svg(title, &chart::of_case(case)).as_bytes())?;
    }
    report.written(summary(&cases)?.trim_end(), &simulation.json);
    // The others' results stand; the command has failed all the same.
    if simulation.faults.is_empty() {
        return Ok(());
    }
    let faults: Vec<String> = simulation.faults.iter().map(ToString::to_string).collect();
    Err(Error::at(file.display(), faults.join("\n  ")))
}

/// Who is paid which part, a line per epoch.
fn summary(cases: &Value) -> Result<String, Error> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut text = String::new();
    for (index, case) in list(cases).iter().enumerate() {
        let name = case["name"].as_str().unwrap_or("without a name");
        let mechanism = case["mechanism"].as_str().unwrap_or_default();
        if let Some(error) = case["error"].as_str() {
            writeln!(text, "case {index}: {name}: {error}")?;
            continue;
        }
        writeln!(text, "case {index}: {name} ({mechanism})")?;
        for field in list(&case["ignored"]) {
            writeln!(text, "  not read: {}", field.as_str().unwrap_or_default())?;
        }
        for (epoch, result) in list(&case["epochs"]).iter().enumerate() {
            write!(text, "  epoch {epoch}")?;
            if let Some(value) = result["network_inference"].as_f64() {
                write!(text, "  network {value}")?;
            }
            let shares = list(&result["shares"]).into_iter().enumerate();
            let paid: Vec<String> = shares
                .filter_map(|(slot, share)| Some((slot, share.as_u64().filter(|&s| s > 0)?)))
                .map(|(slot, share)| format!("{slot}: {:.4} %", share as f64 / 1e7))
                .collect();
            let line = if paid.is_empty() {
                "nobody".to_owned()
            } else {
                paid.join(", ")
            };
            writeln!(text, "  paid to slots  {line}")?;
        }
    }
    Ok(text)
}
