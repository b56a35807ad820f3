//! `hallmark spec`: which chain receipts are checked against.

use super::chain::{load_spec, pinned_spec, trusted_spec};
use super::{Error, write};
use crate::{cli::SpecCommand, output::Reporter};
use serde_json::json;

pub fn run(command: SpecCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        SpecCommand::Pin { spec: path } => {
            let spec = load_spec(&path)?;
            let pinned = pinned_spec()?;
            if let Some(dir) = pinned.parent() {
                std::fs::create_dir_all(dir).map_err(|e| Error::at(dir.display(), e))?;
            }
            write(&pinned, spec.to_json().as_bytes())?;
            report.result(
                format!(
                    "pinned chain {} ({}) in {}",
                    spec.chain_id,
                    spec.hash(),
                    pinned.display()
                ),
                &json!({ "chainId": spec.chain_id, "hash": spec.hash(), "file": pinned }),
            );
        }
        SpecCommand::Show { spec } => {
            let spec = trusted_spec(spec.as_deref())?;
            report.result(
                format!(
                    "chain {}\nhash {}\nvalidators {}\n{}",
                    spec.chain_id,
                    spec.hash(),
                    spec.validators.len(),
                    spec.to_json()
                ),
                &json!({ "chainId": spec.chain_id, "hash": spec.hash(), "spec": serde_json::to_value(&spec)? }),
            );
        }
    }
    Ok(())
}
