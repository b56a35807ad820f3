//! The provider's memory across restarts.

use std::path::PathBuf;

/// Failure of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{path}: the journal is in use by another provider")]
    Locked { path: PathBuf },
    #[error("{path}: {reason}")]
    Storage { path: PathBuf, reason: String },
}
