//! `hallmark keys`: ordinary Ethereum keys on disk.

use super::Error;
use super::chain::{load_key, password};
use crate::{cli::KeysCommand, output::Reporter};
use hallmark_client::keys;
use serde_json::json;

pub fn run(command: KeysCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        KeysCommand::New {
            path,
            dev,
            password_file,
        } => {
            let key = keys::generate();
            if dev {
                keys::save_plain(&path, &key)?;
            } else {
                let chosen = password(password_file.as_deref(), "New password: ")?;
                if chosen.is_empty() {
                    return Err(Error::new(
                        "an empty password protects nothing; use --dev for an unencrypted development key",
                    ));
                }
                if password_file.is_none() && password(None, "Again: ")? != chosen {
                    return Err(Error::new("the two passwords differ; nothing was written"));
                }
                keys::save_encrypted(&path, &key, &chosen)?;
            }
            report.result(
                format!("{}\naddress {}", path.display(), key.address()),
                &json!({ "file": path, "address": key.address(), "encrypted": !dev }),
            );
        }
        KeysCommand::Show { key } => {
            let signer = load_key(&key)?;
            report.result(
                signer.address().to_string(),
                &json!({ "address": signer.address() }),
            );
        }
    }
    Ok(())
}
