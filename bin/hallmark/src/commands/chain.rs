//! What the commands that talk to a node share: keys, connections, chain specs.

use super::{Error, read};
use crate::cli::{ChainArgs, KeyArgs};
use alloy_signer_local::PrivateKeySigner;
use hallmark_client::{Client, keys};
use hallmark_types::ChainSpec;
use std::path::{Path, PathBuf};

/// Loads a key file, asking for its password when it is encrypted.
pub fn load_key(args: &KeyArgs) -> Result<PrivateKeySigner, Error> {
    let password = if keys::is_encrypted(&args.key)? {
        Some(password(args.password_file.as_deref(), "Password: ")?)
    } else {
        None
    };
    Ok(keys::load(&args.key, password.as_deref())?)
}

/// A password from a file (first line), or from the terminal.
pub fn password(file: Option<&Path>, prompt: &str) -> Result<String, Error> {
    match file {
        Some(path) => {
            let bytes = read(path)?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Error::at(path.display(), "the password is not text"))?;
            Ok(text.lines().next().unwrap_or_default().to_owned())
        }
        None => rpassword::prompt_password(prompt).map_err(|e| {
            Error::new(format!(
                "no terminal to ask for a password ({e}); give --password-file, or --dev for an unencrypted development key"
            ))
        }),
    }
}

pub async fn connect(args: &ChainArgs) -> Result<Client, Error> {
    Ok(Client::connect(&args.rpc, None).await?)
}

pub async fn connect_signed(args: &ChainArgs, key: &KeyArgs) -> Result<Client, Error> {
    let signer = load_key(key)?;
    let address = signer.address();
    let client = Client::connect(&args.rpc, Some(signer)).await?;
    hallmark_node::devnet::refuse_development_account(client.chain_id(), address)?;
    Ok(client)
}

/// Reads and checks a chain spec.
pub fn load_spec(path: &Path) -> Result<ChainSpec, Error> {
    Ok(hallmark_node::config::load_spec(path)?)
}

/// Loads the seed of a validator key, asking for its password when it is encrypted.
pub fn load_seed(path: &Path, password_file: Option<&Path>) -> Result<[u8; 32], Error> {
    let password = if keys::is_encrypted(path)? {
        let prompt = format!("Password of {}: ", path.display());
        Some(password(password_file, &prompt)?)
    } else {
        None
    };
    Ok(keys::load_seed(path, password.as_deref())?)
}

/// A password for new keys, asked twice on the terminal when no file is given.
pub fn new_password(file: Option<&Path>) -> Result<String, Error> {
    let chosen = password(file, "New password: ")?;
    if chosen.is_empty() {
        return Err(Error::new(
            "an empty password protects nothing; use --dev for an unencrypted development key",
        ));
    }
    if file.is_none() && password(None, "Again: ")? != chosen {
        return Err(Error::new("the two passwords differ; nothing was written"));
    }
    Ok(chosen)
}

/// Where the pinned chain spec is kept: `$HALLMARK_HOME/spec.json`, else `~/.hallmark/spec.json`.
pub fn pinned_spec() -> Result<PathBuf, Error> {
    let home = match std::env::var_os("HALLMARK_HOME") {
        Some(dir) => PathBuf::from(dir),
        None => std::env::home_dir()
            .ok_or_else(|| Error::new("no home folder; set HALLMARK_HOME"))?
            .join(".hallmark"),
    };
    Ok(home.join("spec.json"))
}

/// The spec that the user gave, or the one that the user pinned; never one from a receipt.
pub fn trusted_spec(given: Option<&Path>) -> Result<ChainSpec, Error> {
    if let Some(path) = given {
        return load_spec(path);
    }
    let pinned = pinned_spec()?;
    if !pinned.exists() {
        return Err(Error::new(
            "no chain spec to trust: give --spec FILE, or pin one with `hallmark spec pin FILE`",
        ));
    }
    load_spec(&pinned)
}
