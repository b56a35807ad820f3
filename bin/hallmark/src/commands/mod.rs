//! One module a command.

pub mod bench;
pub mod chain;
pub mod db;
pub mod evm;
pub mod generate;
pub mod infer;
pub mod keys;
pub mod light;
pub mod model;
pub mod network;
pub mod node;
pub mod order;
pub mod provide;
pub mod spec;
pub mod stake;
pub mod topic;
pub mod verify;
pub mod zk;

use std::path::Path;

/// What a command failed with: one sentence that says what was wrong, where, and what to do.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// An error with the place or the attempt in front of it.
    pub fn at(place: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {error}"))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        Self(text)
    }
}

/// Reads a file, naming it in the error.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|e| Error::at(path.display(), e))
}

/// Longest file that [`read_short`] takes, in bytes.
const MAX_SHORT_FILE: u64 = 64 << 20;

/// Reads a file from elsewhere that is never long: a receipt, a checkpoint.
pub fn read_short(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let at = |error: std::io::Error| Error::at(path.display(), error);
    let file = std::fs::File::open(path).map_err(at)?;
    let mut bytes = Vec::new();
    let mut file = file.take(MAX_SHORT_FILE + 1);
    file.read_to_end(&mut bytes).map_err(at)?;
    if bytes.len() as u64 > MAX_SHORT_FILE {
        let reason = format!("it is longer than {} MiB", MAX_SHORT_FILE >> 20);
        return Err(Error::at(path.display(), reason));
    }
    Ok(bytes)
}

/// Writes a file, naming it in the error.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|e| Error::at(path.display(), e))
}

/// Runs an asynchronous command on a small runtime of its own.
pub fn block_on<T>(
    future: impl std::future::Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(future)
}

/// 32 bytes in hex, with or without 0x.
pub fn parse_b256(what: &str, text: &str) -> Result<alloy_primitives::B256, Error> {
    text.parse()
        .map_err(|_| Error::new(format!("{what} must be 32 bytes in hex, got `{text}`")))
}

/// An amount of MARK with up to 18 decimals.
pub fn parse_mark(what: &str, text: &str) -> Result<alloy_primitives::U256, Error> {
    if text.starts_with('-') {
        return Err(Error::new(format!(
            "{what} cannot be negative, got `{text}`"
        )));
    }
    alloy_primitives::utils::parse_ether(text).map_err(|e| {
        Error::new(format!(
            "{what} must be an amount of MARK such as 0.01, got `{text}`: {e}"
        ))
    })
}

/// Returns when the process is asked to stop (Ctrl-C or SIGTERM).
pub async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        signal = tokio::signal::ctrl_c() => signal,
        _ = terminate.recv() => Ok(()),
    }
}
