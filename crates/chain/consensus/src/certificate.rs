//! Checks a finality certificate against a chain spec.

use alloy_consensus::Header;
use hallmark_types::ChainSpec;

/// Why a certificate does not prove a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are not a canonical certificate.
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
    /// The header's extra data is not that of a Hallmark header.
    #[error("the header carries no consensus data: {0}")]
    Header(String),
    /// The spec's validator set is unusable.
    #[error("the chain spec's validators are unusable: {0}")]
    Validators(String),
    /// The certificate is of another epoch.
    #[error("the certificate is of epoch {found}, the header of epoch {expected}")]
    WrongEpoch { expected: u64, found: u64 },
    /// The certificate is of another block.
    #[error("the certificate finalizes block {found}, not {expected}")]
    AnotherBlock { expected: String, found: String },
    /// Fewer than 2f+1 validators signed.
    #[error("{found} validators signed, {needed} are needed")]
    TooFewSigners { needed: usize, found: usize },
    /// A signature is not by the validators of the spec.
    #[error("the signatures are not by the validators of the chain spec")]
    BadSignatures,
}

/// Checks that at least 2f+1 validators of `spec` finalized the block with this `header`.
///
/// # Errors
/// One variant of [`CertificateError`] for each way to be wrong; never panics.
pub fn verify(_spec: &ChainSpec, _header: &Header, _finalization: &[u8]) -> Result<(), CertificateError> {
    todo!()
}
