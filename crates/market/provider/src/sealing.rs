//! The seller's X25519 keys, to which buyers seal the inputs of sealed orders.
//!
//! One key is current and registered on chain. Rotation makes a new one; the old one is kept until
//! no open order is sealed to it, and for a while longer, since an order that was made out to it may
//! still be on its way. A key that is forgotten takes with it the reading of all envelopes that were
//! ever sealed to it: rotating from time to time is what keeps old inputs secret from whoever gets
//! hold of this machine later.
//!
//! The file is JSON, readable by its owner only, and replaced as a whole.

use alloy_primitives::B256;
use hallmark_client::sealed::envelope;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use x25519_dalek::{PublicKey, StaticSecret};

/// Version of the file's layout.
const VERSION: u32 = 1;
/// No file is longer, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Least time for which an old key is kept.
pub const KEEP: Duration = Duration::from_secs(24 * 3_600);

/// Failure to keep the keys.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    #[error("{path}: {reason}")]
    Io { path: PathBuf, reason: String },
    #[error("{path}: this is no file of sealing keys: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error("the system gives no randomness: {0}")]
    Random(String),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OldKey {
    secret: B256,
    /// Unix milliseconds of the rotation.
    retired_at_ms: u64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    version: u32,
    current: B256,
    old: Vec<OldKey>,
}

/// A seller's keys.
pub struct SealingKeys {
    path: PathBuf,
    file: File,
}

impl std::fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealingKeys")
            .field("path", &self.path)
            .field("public", &self.public())
            .field("old", &self.file.old.len())
            .finish()
    }
}

impl SealingKeys {
    /// Reads the file, or makes a first key.
    ///
    /// # Errors
    /// The file cannot be read or written, or is no file of keys.
    pub fn open(path: &Path) -> Result<Self, SealingError> {
        let file = match std::fs::File::open(path) {
            Ok(file) => read(path, file)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let file = File {
                    version: VERSION,
                    current: random()?,
                    old: Vec::new(),
                };
                write(path, &file)?;
                file
            }
            Err(error) => return Err(io(path, &error)),
        };
        let path = path.to_owned();
        Ok(Self { path, file })
    }

    /// The current public key.
    #[must_use]
    pub fn public(&self) -> B256 {
        public(self.file.current)
    }

    /// The secret of one of the public keys, old ones included.
    #[must_use]
    pub fn find(&self, key: &[u8; 32]) -> Option<StaticSecret> {
        let old = self.file.old.iter().map(|old| old.secret);
        std::iter::once(self.file.current)
            .chain(old)
            .find(|secret| public(*secret) == *key)
            .map(|secret| StaticSecret::from(secret.0))
    }

    /// Makes a new current key and keeps the old one; on disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written; nothing has changed then.
    pub fn rotate(&mut self, now_ms: u64) -> Result<(), SealingError> {
        let mut file = self.file.clone();
        file.old.push(OldKey {
            secret: file.current,
            retired_at_ms: now_ms,
        });
        file.current = random()?;
        write(&self.path, &file)?;
        self.file = file;
        Ok(())
    }

    /// Whether there are old keys that could be forgotten by now.
    #[must_use]
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.file.old.iter().any(|old| expired(old, now_ms))
    }

    /// Forgets old keys that are past [`KEEP`] and that no open order needs; gives their number.
    ///
    /// # Errors
    /// The file cannot be written; nothing is forgotten then.
    pub fn forget(
        &mut self,
        now_ms: u64,
        needed: &BTreeSet<[u8; 32]>,
    ) -> Result<usize, SealingError> {
        let mut file = self.file.clone();
        file.old
            .retain(|old| !expired(old, now_ms) || needed.contains(&public(old.secret).0));
        let forgotten = self.file.old.len() - file.old.len();
        if forgotten != 0 {
            write(&self.path, &file)?;
            self.file = file;
        }
        Ok(forgotten)
    }
}

/// Adds the keys that an open order's envelope is sealed to; what is no envelope needs none.
pub fn collect_keys(envelope: &[u8], needed: &mut BTreeSet<[u8; 32]>) {
    if let Ok(keys) = envelope::keys(envelope) {
        needed.extend(keys);
    }
}

fn expired(old: &OldKey, now_ms: u64) -> bool {
    let keep = u64::try_from(KEEP.as_millis()).unwrap_or(u64::MAX);
    now_ms > old.retired_at_ms.saturating_add(keep)
}

fn public(secret: B256) -> B256 {
    PublicKey::from(&StaticSecret::from(secret.0))
        .to_bytes()
        .into()
}

fn random() -> Result<B256, SealingError> {
    hallmark_client::sealed::random()
        .map(B256::from)
        .map_err(|error| SealingError::Random(error.to_string()))
}

fn io(path: &Path, error: &dyn std::fmt::Display) -> SealingError {
    SealingError::Io {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn read(path: &Path, file: std::fs::File) -> Result<File, SealingError> {
    let malformed = |reason: String| SealingError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|error| io(path, &error))?;
    // The parser's own error may quote a secret; say less.
    let file: File = serde_json::from_slice(&bytes)
        .map_err(|error| malformed(format!("line {}, column {}", error.line(), error.column())))?;
    if file.version != VERSION {
        return Err(malformed(format!("version {}", file.version)));
    }
    Ok(file)
}

/// Replaces the file as a whole, so that a crash leaves the old one or the new one.
fn write(path: &Path, file: &File) -> Result<(), SealingError> {
    let text = serde_json::to_vec_pretty(file).map_err(|error| io(path, &error))?;
    let part = path.with_extension(format!("part-{}", std::process::id()));
    // A part that a crash left behind may have been made with another mode.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(path, &error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&part).and_then(|mut out| {
        out.write_all(&text)?;
        out.sync_all()?;
        std::fs::rename(&part, path)?;
        match path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            Some(folder) => std::fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    });
    written.map_err(|error| io(path, &error))
}
