//! Keys on disk: an encrypted keystore (Web3 Secret Storage, version 3) or, for development,
//! plain hex readable by its owner only. Files are made with mode 0600 and never overwritten.
//!
//! Accounts (secp256k1) and validators (ed25519) keep their 32 secret bytes in the same two forms. An
//! encrypted validator key carries the field `"key": "hallmark-validator"`, so that neither kind is
//! taken for the other; plain hex cannot tell.

use alloy_primitives::hex;
use alloy_signer::k256::elliptic_curve::rand_core::{OsRng, RngCore};
use alloy_signer_local::PrivateKeySigner;
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

/// No key file is longer, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// Failure to create or load a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: a file is already there; it will not be overwritten")]
    Exists { path: PathBuf },
    #[error("{path}: there is no such key file")]
    Missing { path: PathBuf },
    #[error("{path}: {reason}")]
    Io { path: PathBuf, reason: String },
    #[error("{path}: wrong password")]
    WrongPassword { path: PathBuf },
    #[error("{path}: the key file is encrypted; a password is needed")]
    PasswordNeeded { path: PathBuf },
    #[error("{path}: this is not a key file: {reason}")]
    NotAKey { path: PathBuf, reason: String },
}

/// A new random key.
pub fn generate() -> PrivateKeySigner {
    PrivateKeySigner::random()
}

/// The seed of a new random validator key.
pub fn generate_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    OsRng.fill_bytes(&mut seed);
    seed
}

/// Writes an encrypted keystore.
///
/// # Errors
/// A file is there already, or the folder cannot be written.
pub fn save_encrypted(path: &Path, key: &PrivateKeySigner, password: &str) -> Result<(), KeyError> {
    write_encrypted(path, &key.to_bytes().0, password, Kind::Account)
}

/// Writes the seed of a validator key into an encrypted keystore.
///
/// # Errors
/// As [`save_encrypted`].
pub fn save_encrypted_seed(path: &Path, seed: &[u8; 32], password: &str) -> Result<(), KeyError> {
    write_encrypted(path, seed, password, Kind::Validator)
}

/// Writes plain hex, for development.
///
/// # Errors
/// A file is there already, or the folder cannot be written.
pub fn save_plain(path: &Path, key: &PrivateKeySigner) -> Result<(), KeyError> {
    save_plain_seed(path, &key.to_bytes().0)
}

/// Writes the seed of a validator key as plain hex, for development.
///
/// # Errors
/// As [`save_plain`].
pub fn save_plain_seed(path: &Path, seed: &[u8; 32]) -> Result<(), KeyError> {
    let mut file = create(path)?;
    let text = format!("{}\n", hex::encode_prefixed(seed));
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| KeyError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

fn write_encrypted(
    path: &Path,
    secret: &[u8; 32],
    password: &str,
    kind: Kind,
) -> Result<(), KeyError> {
    // The library writes the file itself; it is given a private folder beside the target, and the
    // result is moved into place.
    let io = |error: &dyn std::fmt::Display| KeyError::Io {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut file = create(path)?;
    let scratch = path.with_extension("tmp-keystore");
    let written = (|| {
        std::fs::create_dir(&scratch).map_err(|error| io(&error))?;
        private(&scratch, 0o700).map_err(|error| io(&error))?;
        eth_keystore::encrypt_key(&scratch, &mut OsRng, secret, password, Some("key"))
            .map_err(|error| io(&error))?;
        let mut bytes = std::fs::read(scratch.join("key")).map_err(|error| io(&error))?;
        if kind == Kind::Validator {
            let mut json: serde_json::Value =
                serde_json::from_slice(&bytes).map_err(|error| io(&error))?;
            json[KIND_FIELD] = VALIDATOR_KIND.into();
            bytes = json.to_string().into_bytes();
        }
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| io(&error))
    })();
    let cleaned = std::fs::remove_dir_all(&scratch);
    if written.is_err() {
        // The empty file was made above; the first failure is the one to report.
        let _ = std::fs::remove_file(path);
        return written;
    }
    cleaned.map_err(|error| io(&error))
}

/// Whether a file must be opened with a password.
///
/// # Errors
/// There is no such file, or it is no key file.
pub fn is_encrypted(path: &Path) -> Result<bool, KeyError> {
    Ok(read(path)?.trim_start().starts_with('{'))
}

/// Loads a key in either form; `password` is needed for an encrypted one.
///
/// # Errors
/// There is no such file, it is no key file, it is a validator's, or the password is wrong or missing.
pub fn load(path: &Path, password: Option<&str>) -> Result<PrivateKeySigner, KeyError> {
    let secret = load_secret(path, password, Kind::Account)?;
    // The error would quote the secret; say less.
    PrivateKeySigner::from_slice(&secret).map_err(|_| KeyError::NotAKey {
        path: path.to_owned(),
        reason: "it is not a secp256k1 secret in hex".to_owned(),
    })
}

/// Loads the seed of a validator key in either form; `password` is needed for an encrypted one.
///
/// # Errors
/// As [`load`], and an encrypted key that is an account's.
pub fn load_seed(path: &Path, password: Option<&str>) -> Result<[u8; 32], KeyError> {
    load_secret(path, password, Kind::Validator)
}

fn load_secret(path: &Path, password: Option<&str>, kind: Kind) -> Result<[u8; 32], KeyError> {
    let text = read(path)?;
    let not_a_key = |reason: String| KeyError::NotAKey {
        path: path.to_owned(),
        reason,
    };
    if text.trim_start().starts_with('{') {
        let json: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| not_a_key(format!("not valid JSON: {error}")))?;
        check_kind(&json, kind).map_err(not_a_key)?;
        check_cost(&json).map_err(not_a_key)?;
        let password = password.ok_or_else(|| KeyError::PasswordNeeded {
            path: path.to_owned(),
        })?;
        let secret = eth_keystore::decrypt_key(path, password).map_err(|error| match error {
            eth_keystore::KeystoreError::MacMismatch => KeyError::WrongPassword {
                path: path.to_owned(),
            },
            error => not_a_key(error.to_string()),
        })?;
        return secret
            .try_into()
            .map_err(|_| not_a_key("the secret is not 32 bytes long".to_owned()));
    }
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    if digits.len() != 64 {
        let reason = format!(
            "64 hex digits are expected, {} characters are there",
            digits.len()
        );
        return Err(not_a_key(reason));
    }
    let mut secret = [0; 32];
    // The error of a wrong digit would quote the secret; say less.
    hex::decode_to_slice(digits, &mut secret)
        .map_err(|_| not_a_key("it is not a secret of 32 bytes in hex".to_owned()))?;
    Ok(secret)
}

/// Whose secret a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Account,
    Validator,
}

/// Field of an encrypted file that tells a validator's key.
const KIND_FIELD: &str = "key";
const VALIDATOR_KIND: &str = "hallmark-validator";

fn check_kind(json: &serde_json::Value, wanted: Kind) -> Result<(), String> {
    let is_validator = json[KIND_FIELD] == VALIDATOR_KIND;
    match (wanted, is_validator) {
        (Kind::Account, true) => Err("it is a validator's key, an account's is needed".to_owned()),
        (Kind::Validator, false) => {
            Err("it is an account's key, a validator's is needed".to_owned())
        }
        _ => Ok(()),
    }
}

/// Refuses key derivation parameters that would take all memory or hours.
fn check_cost(json: &serde_json::Value) -> Result<(), String> {
    let crypto = if json["crypto"].is_object() {
        &json["crypto"]
    } else {
        &json["Crypto"]
    };
    // The library would panic over a shorter one.
    let iv = crypto["cipherparams"]["iv"].as_str().unwrap_or_default();
    if iv.trim_start_matches("0x").len() != 32 {
        return Err("the initialisation vector is not 16 bytes long".to_owned());
    }
    let parameters = &crypto["kdfparams"];
    let value = |name: &str| parameters[name].as_u64();
    let cost = match crypto["kdf"].as_str() {
        Some("scrypt") => {
            let (Some(n), Some(r), Some(p)) = (value("n"), value("r"), value("p")) else {
                return Err("scrypt parameters are missing".to_owned());
            };
            if !n.is_power_of_two() || n < 2 {
                return Err("scrypt parameter n is not a power of two".to_owned());
            }
            n.saturating_mul(r).saturating_mul(p)
        }
        Some("pbkdf2") => value("c").ok_or("the number of iterations is missing")?,
        _ => return Err("it has no key derivation that is known here".to_owned()),
    };
    let dklen = value("dklen").ok_or("the derived key's length is missing")?;
    if dklen != 32 {
        return Err("the derived key is not 32 bytes long".to_owned());
    }
    if cost == 0 || cost > 1 << 24 {
        return Err("its key derivation is out of bounds".to_owned());
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, KeyError> {
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => KeyError::Missing {
            path: path.to_owned(),
        },
        ErrorKind::InvalidData => KeyError::NotAKey {
            path: path.to_owned(),
            reason: "it is not text".to_owned(),
        },
        _ => KeyError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(io)?;
    if text.len() as u64 > MAX_FILE {
        let reason = format!("it is longer than {MAX_FILE} bytes");
        return Err(KeyError::NotAKey {
            path: path.to_owned(),
            reason,
        });
    }
    Ok(text)
}

fn create(path: &Path) -> Result<std::fs::File, KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => KeyError::Exists {
            path: path.to_owned(),
        },
        _ => KeyError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    })
}

#[cfg(unix)]
fn private(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn private(_path: &Path, _mode: u32) -> std::io::Result<()> {
    Ok(())
}
