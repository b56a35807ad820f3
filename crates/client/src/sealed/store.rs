//! The buyer's secrets on disk: one file for each sealed order, written before its transaction is
//! sent. Whoever loses the file can never read the answer; whoever reads it reads input and answer.

use alloy_primitives::{B256, Bytes};
use hallmark_proof::InputSecret;
use serde::{Deserialize, Serialize};
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

/// Version of the file's layout.
const VERSION: u32 = 1;
/// No secret's file is longer, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Failure to keep or to find a secret.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {reason}")]
    Io { path: PathBuf, reason: String },
    #[error("{path}: the secret of this order is not here, so its answer cannot be read")]
    Missing { path: PathBuf },
    #[error("{path}: this is not the secret of the order: {reason}")]
    Malformed { path: PathBuf, reason: String },
}

/// What opens a sealed order's answer, and shows its input.
#[derive(Clone)]
pub struct OrderSecret {
    pub secret: InputSecret,
    /// In the graph's input encoding.
    pub input: Bytes,
}

impl std::fmt::Debug for OrderSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OrderSecret(..)")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    version: u32,
    commitment: B256,
    secret: B256,
    input: Bytes,
}

/// A folder of secrets, by commitment.
#[derive(Clone, Debug)]
pub struct SecretStore {
    dir: PathBuf,
}

impl SecretStore {
    /// Makes the folder if it is not there, readable by its owner only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let io = |error: std::io::Error| StoreError::Io {
            path: dir.to_owned(),
            reason: error.to_string(),
        };
        if !dir.exists() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(dir).map_err(io)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// Where the secret behind a commitment lies.
    #[must_use]
    pub fn path(&self, commitment: B256) -> PathBuf {
        self.dir.join(format!("{commitment}.json"))
    }

    /// Writes a secret; on disk when this returns. A file of the same commitment is never
    /// overwritten.
    ///
    /// # Errors
    /// The folder cannot be written, or a file is there already.
    pub fn save(&self, commitment: B256, secret: &OrderSecret) -> Result<(), StoreError> {
        let path = self.path(commitment);
        let io = |reason: String| StoreError::Io {
            path: path.clone(),
            reason,
        };
        let file = File {
            version: VERSION,
            commitment,
            secret: secret.secret.to_bytes().into(),
            input: secret.input.clone(),
        };
        let text = serde_json::to_vec(&file).map_err(|error| io(error.to_string()))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&path).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            // The name too must outlive a crash.
            std::fs::File::open(&self.dir)?.sync_all()
        });
        written.map_err(|error| io(error.to_string()))
    }

    /// Reads the secret behind a commitment.
    ///
    /// # Errors
    /// It is not here, or the file is of another commitment.
    pub fn load(&self, commitment: B256) -> Result<OrderSecret, StoreError> {
        let path = self.path(commitment);
        let malformed = |reason: String| StoreError::Malformed {
            path: path.clone(),
            reason,
        };
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::Missing { path });
            }
            Err(error) => {
                let reason = error.to_string();
                return Err(StoreError::Io { path, reason });
            }
        };
        let mut bytes = Vec::new();
        if let Err(error) = file.take(MAX_FILE).read_to_end(&mut bytes) {
            let reason = error.to_string();
            return Err(StoreError::Io { path, reason });
        }
        // The error of the parser may quote the secret; say less.
        let file: File = serde_json::from_slice(&bytes).map_err(|error| {
            malformed(format!("line {}, column {}", error.line(), error.column()))
        })?;
        if file.version != VERSION {
            return Err(malformed(format!("version {}", file.version)));
        }
        if file.commitment != commitment {
            return Err(malformed("it is of another order".to_owned()));
        }
        Ok(OrderSecret {
            secret: InputSecret::from_bytes(file.secret.0),
            input: file.input,
        })
    }

    /// Removes the secret of an order that was never placed.
    pub(crate) fn discard(&self, commitment: B256) {
        // What stays behind is a file that no order needs.
        let _ = std::fs::remove_file(self.path(commitment));
    }
}
