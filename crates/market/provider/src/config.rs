//! What a provider is told at its start, and how starting can fail.

use alloy_primitives::{B256, U256};
use alloy_signer_local::PrivateKeySigner;
use std::{path::PathBuf, time::Duration};

/// Settings of one provider.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// `ws://` address of a node.
    pub url: String,
    /// The seller's key: bonds come from its deposit, pay goes to its account.
    pub signer: PrivateKeySigner,
    /// Folder of model files, `<content hash>.hmk`.
    pub models_dir: PathBuf,
    /// The journal's file.
    pub journal: PathBuf,
    /// The file of X25519 keys for sealed orders.
    pub sealing_keys: PathBuf,
    /// Whether to make a new sealing key at the start; old ones are kept as long as they are needed.
    pub rotate_sealing_key: bool,
    /// Models to serve; empty means every model that is on disk or may be downloaded.
    pub models: Vec<B256>,
    /// Whether a model that is not on disk may be downloaded from the address in its record.
    pub download: bool,
    /// Development only: allows downloads from loopback, private and link-local addresses.
    pub allow_private_addresses: bool,
    /// Largest model file that will be downloaded or opened, in bytes.
    pub max_model_bytes: u64,
    /// Orders that pay the seller less than this (wei, after shares) are left alone.
    pub min_earning: U256,
    /// Margin over the estimated gas cost, in 1/10000 of it.
    pub margin_bps: u32,
    /// Deposit that is topped up to at the start, in wei; zero leaves the deposit as it is.
    pub deposit: U256,
    /// Longest time between two looks at the chain when no event arrives.
    pub poll_interval: Duration,
    /// Orders proved at the same time.
    pub concurrency: usize,
}

impl ProviderConfig {
    /// Defaults for everything that is not asked.
    pub fn new(
        url: impl Into<String>,
        signer: PrivateKeySigner,
        models_dir: impl Into<PathBuf>,
        journal: impl Into<PathBuf>,
    ) -> Self {
        let journal = journal.into();
        Self {
            url: url.into(),
            signer,
            models_dir: models_dir.into(),
            sealing_keys: journal.with_file_name("sealing-keys.json"),
            rotate_sealing_key: false,
            journal,
            models: Vec::new(),
            download: true,
            allow_private_addresses: false,
            max_model_bytes: 256 << 20,
            min_earning: U256::ZERO,
            margin_bps: 1_000,
            deposit: U256::ZERO,
            poll_interval: Duration::from_millis(500),
            concurrency: 1,
        }
    }
}

/// Why a provider could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error(transparent)]
    Client(#[from] hallmark_client::ClientError),
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    #[error(transparent)]
    Sealing(#[from] crate::sealing::SealingError),
    #[error("{path}: {reason}")]
    ModelsDir { path: PathBuf, reason: String },
    #[error("model {id} cannot be served: {reason}")]
    Model {
        id: B256,
        reason: crate::library::LibraryError,
    },
    #[error("the number of orders proved at the same time must be at least 1")]
    Concurrency,
}
