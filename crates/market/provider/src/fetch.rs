//! Downloads a model by content hash.

use std::{path::Path, time::Duration};

/// Bounds of a download.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes that will be read.
    pub max_bytes: u64,
    /// Most redirects followed.
    pub max_redirects: usize,
    /// Whole time allowed.
    pub timeout: Duration,
    /// Development only: loopback, private and link-local addresses.
    pub allow_private_addresses: bool,
}

/// Why a download was refused.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}: not an http or https address")]
    Url(String),
}

/// Downloads `uri`, checks size and BLAKE3, and returns the bytes.
pub async fn download(
    _uri: &str,
    _content_hash: &[u8; 32],
    _size: u64,
    _limits: &Limits,
) -> Result<Vec<u8>, FetchError> {
    let _: Option<&Path> = None;
    todo!()
}
