//! `hallmark keys`: ordinary Ethereum keys on disk.

use super::Error;
use super::chain::{load_key, new_password};
use crate::{cli::KeysCommand, output::Reporter};
use hallmark_client::keys;
use serde_json::json;

pub fn run(command: KeysCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        KeysCommand::New {
            path,
            validator,
            dev,
            password_file,
        } => {
            let chosen = match dev {
                true => None,
                false => Some(new_password(password_file.as_deref())?),
            };
            if validator {
                let (public_key, address) =
                    super::network::make_validator_keys(&path, chosen.as_deref())?;
                let public_key = alloy_primitives::hex::encode(public_key);
                report.result(
                    format!(
                        "{}\nvalidator {public_key}\naddress {address}",
                        path.display()
                    ),
                    &json!({
                        "home": path,
                        "publicKey": public_key,
                        "address": address,
                        "encrypted": !dev,
                    }),
                );
                return Ok(());
            }
            let key = keys::generate();
            match chosen {
                Some(password) => keys::save_encrypted(&path, &key, &password)?,
                None => keys::save_plain(&path, &key)?,
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
