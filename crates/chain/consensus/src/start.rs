//! One validator over real sockets and files.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use hallmark_types::ChainSpec;

use crate::core::Core;

/// What a validator needs besides its [`Core`].
#[derive(Clone)]
pub struct ConsensusConfig {
    /// Seed of the validator's ed25519 key; its public key must be in the spec.
    pub key: [u8; 32],
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// Where to accept connections of other validators.
    pub listen: SocketAddr,
    /// Public keys and addresses of the other validators (an entry for this validator is ignored).
    pub peers: Vec<([u8; 32], SocketAddr)>,
    /// Folder for the write-ahead log and the archives of the engine; one process at a time.
    pub home: PathBuf,
}

/// Why a validator did not start.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The key is not one of the validators of the spec.
    #[error("the validator key (public key {public_key}) is not among the validators of the chain spec")]
    NotAValidator { public_key: String },
    /// A key in the spec or in the list of peers is not a point of the curve, or is repeated.
    #[error("validator key {public_key} is unusable: {reason}")]
    BadKey { public_key: String, reason: String },
    /// The listening address cannot be bound.
    #[error("cannot listen on {address} for validators: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    /// The folder cannot be created, or another process has it.
    #[error("cannot use folder {path} for consensus: {reason}")]
    Home { path: PathBuf, reason: String },
    /// The thread could not be started.
    #[error("cannot start the consensus thread: {0}")]
    Thread(std::io::Error),
}

/// A running validator. Dropping it stops the validator.
pub struct ConsensusHandle {
    _private: (),
}

impl ConsensusHandle {
    /// Stops the validator and waits until its thread has ended. Calling it again does nothing.
    pub fn stop(&self) {
        todo!()
    }

    /// Whether the engine still runs (false after `stop` and after a fatal error).
    pub fn is_running(&self) -> bool {
        todo!()
    }

    /// Why the validator stopped by itself, if it did.
    pub fn fatal(&self) -> Option<String> {
        todo!()
    }

    /// The address that accepts validators.
    pub fn listen_addr(&self) -> SocketAddr {
        todo!()
    }
}

/// Starts one validator.
///
/// # Errors
/// See [`ConsensusError`]; nothing keeps running after an error.
pub fn start(_config: ConsensusConfig, _core: Arc<Core>) -> Result<ConsensusHandle, ConsensusError> {
    todo!()
}
