//! Keys on disk: an encrypted keystore (Web3 Secret Storage, version 3) or, for development,
//! plain hex readable by its owner only.

use alloy_signer_local::PrivateKeySigner;
use std::path::{Path, PathBuf};

/// Failure to create or load a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: a key file is already there; it will not be overwritten")]
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

/// Writes an encrypted keystore with mode 0600. Never overwrites.
pub fn save_encrypted(
    _path: &Path,
    _key: &PrivateKeySigner,
    _password: &str,
) -> Result<(), KeyError> {
    todo!()
}

/// Writes plain hex with mode 0600, for development. Never overwrites.
pub fn save_plain(_path: &Path, _key: &PrivateKeySigner) -> Result<(), KeyError> {
    todo!()
}

/// Whether a file must be opened with a password.
pub fn is_encrypted(_path: &Path) -> Result<bool, KeyError> {
    todo!()
}

/// Loads a key of either kind; `password` is needed for an encrypted one.
pub fn load(_path: &Path, _password: Option<&str>) -> Result<PrivateKeySigner, KeyError> {
    todo!()
}
