//! What opens commitments, on disk: one file for each answer, written before its commitment is sent.
//! Whoever loses the file loses the bond that a withheld reveal costs; whoever reads it before the
//! reveal can say the same.

use super::{Payload, commitment};
use alloy_primitives::{Address, B256, Bytes, U256};
use rand::{TryRngCore, rngs::OsRng};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

/// Version of the file's layout.
const VERSION: u32 = 1;
/// No file is longer, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Answers to one submission that are looked at.
const MAX_ANSWERS: usize = 64;

/// Failure to keep or to find what opens a commitment.
#[derive(Debug, thiserror::Error)]
pub enum SaltError {
    #[error("{path}: {reason}")]
    Io { path: PathBuf, reason: String },
    #[error("{path}: this does not open a commitment: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error("the system gives no randomness: {0}")]
    Random(String),
}

/// Which answer is meant: one slot's, to one mechanism, in one epoch of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submission {
    pub topic: U256,
    pub epoch: u64,
    pub mechanism: u8,
    pub slot: u16,
}

/// An answer with the salt that opens its commitment.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub submission: Submission,
    pub commitment: B256,
    pub salt: B256,
    /// In the mechanism's encoding.
    pub payload: Bytes,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({:?}, {})", self.submission, self.commitment)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    version: u32,
    chain_id: u64,
    operator: Address,
    submission: Submission,
    salt: B256,
    payload: Bytes,
}

/// A folder of salts of one chain.
#[derive(Clone, Debug)]
pub struct SaltStore {
    dir: PathBuf,
}

impl SaltStore {
    /// The store of the chain with this genesis in a folder that may hold several. Made if it is not
    /// there, readable by its owner only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: &Path, genesis: B256) -> Result<Self, SaltError> {
        let dir = dir.join(&format!("{genesis:x}")[..16]);
        let io = |error: std::io::Error| SaltError::Io {
            path: dir.clone(),
            reason: error.to_string(),
        };
        if !dir.exists() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&dir).map_err(io)?;
        }
        Ok(Self { dir })
    }

    /// The answer's salt, kept already or drawn now; on disk when this returns.
    ///
    /// # Errors
    /// The folder cannot be read or written, or the system has no randomness.
    pub fn prepare(
        &self,
        chain_id: u64,
        operator: Address,
        submission: Submission,
        payload: &Payload,
    ) -> Result<Answer, SaltError> {
        let payload = payload.bytes();
        let kept = self.find(chain_id, operator, submission)?;
        if let Some(answer) = kept.into_iter().find(|answer| answer.payload == *payload) {
            return Ok(answer);
        }
        let file = File {
            version: VERSION,
            chain_id,
            operator,
            submission,
            salt: self.draw()?,
            payload: payload.clone(),
        };
        let answer = answer(&file);
        let prefix = self.prefix(operator, submission);
        let short = format!("{:x}", answer.commitment)[..16].to_owned();
        self.write(&format!("{prefix}{short}.json"), &file)?;
        Ok(answer)
    }

    /// Every answer that is kept for a submission; usually one.
    ///
    /// # Errors
    /// The folder or a file cannot be read, or a file is not what its name says.
    pub fn find(
        &self,
        chain_id: u64,
        operator: Address,
        submission: Submission,
    ) -> Result<Vec<Answer>, SaltError> {
        let prefix = self.prefix(operator, submission);
        let paths = self.paths(&prefix)?;
        paths
            .iter()
            .take(MAX_ANSWERS)
            .map(|path| self.answer(path, chain_id, operator, submission))
            .collect()
    }

    fn prefix(&self, operator: Address, of: Submission) -> String {
        let operator = &format!("{operator:x}")[..8];
        format!(
            "{}-{}-{}-{}-{operator}-",
            of.topic, of.epoch, of.mechanism, of.slot
        )
    }

    fn answer(
        &self,
        path: &Path,
        chain_id: u64,
        operator: Address,
        submission: Submission,
    ) -> Result<Answer, SaltError> {
        let malformed = |reason: String| SaltError::Malformed {
            path: path.to_owned(),
            reason,
        };
        let file: File = self.read(path)?;
        if file.version != VERSION {
            return Err(malformed(format!("version {}", file.version)));
        }
        let found = (file.chain_id, file.operator, file.submission);
        if found != (chain_id, operator, submission) {
            return Err(malformed("it is of another submission".to_owned()));
        }
        Ok(answer(&file))
    }

    /// A fresh salt.
    pub(super) fn draw(&self) -> Result<B256, SaltError> {
        let mut salt = [0; 32];
        OsRng
            .try_fill_bytes(&mut salt)
            .map_err(|error| SaltError::Random(error.to_string()))?;
        Ok(salt.into())
    }

    /// Files whose names begin so, in the order of their names.
    pub(super) fn paths(&self, prefix: &str) -> Result<Vec<PathBuf>, SaltError> {
        let io = |error: std::io::Error| SaltError::Io {
            path: self.dir.clone(),
            reason: error.to_string(),
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(prefix) && name.ends_with(".json") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Writes a new file that only its owner can read; whole, and on disk, when this returns.
    pub(super) fn write(&self, name: &str, content: &impl Serialize) -> Result<(), SaltError> {
        let path = self.dir.join(name);
        let io = |reason: String| SaltError::Io {
            path: path.clone(),
            reason,
        };
        let text = serde_json::to_vec(content).map_err(|error| io(error.to_string()))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // Under another name first: a crash while writing leaves no half of a file to be read.
        let half = path.with_extension("part");
        let written = options.open(&half).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&half, &path)?;
            // The name too must outlive a crash.
            std::fs::File::open(&self.dir)?.sync_all()
        });
        written.map_err(|error| io(error.to_string()))
    }

    /// Reads one file.
    pub(super) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<T, SaltError> {
        let io = |error: std::io::Error| SaltError::Io {
            path: path.to_owned(),
            reason: match error.kind() {
                ErrorKind::NotFound => "it was here a moment ago".to_owned(),
                _ => error.to_string(),
            },
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
            .map_err(io)?;
        // The error of the parser may quote the secret; say less.
        serde_json::from_slice(&bytes).map_err(|error| SaltError::Malformed {
            path: path.to_owned(),
            reason: format!("line {}, column {}", error.line(), error.column()),
        })
    }
}

fn answer(file: &File) -> Answer {
    Answer {
        submission: file.submission,
        commitment: commitment(
            file.chain_id,
            file.submission,
            file.operator,
            file.salt,
            &file.payload,
        ),
        salt: file.salt,
        payload: file.payload.clone(),
    }
}
