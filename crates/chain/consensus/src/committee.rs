//! The validators of a chain spec as a commonware signing scheme.
//!
//! Commonware orders participants by public key, the spec orders them as written; the leader index
//! in a header is the spec's.

use commonware_codec::{Copying, DecodeExt};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_cryptography::{
    Signer as _,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_utils::{TryFromIterator, ordered::Set};
use hallmark_types::ChainSpec;

use crate::block::Digest;

/// Certificate that a block is final.
pub(crate) type Finalization = commonware_consensus::simplex::types::Finalization<Scheme, Digest>;

/// Domain of every vote and connection: two chains never accept each other's messages.
pub(crate) fn namespace(spec: &ChainSpec) -> Vec<u8> {
    let mut namespace = b"hallmark/consensus/1/".to_vec();
    namespace.extend_from_slice(spec.hash().as_slice());
    namespace
}

/// Why a validator key is unusable.
#[derive(Debug, Clone, thiserror::Error)]
#[error("validator key {public_key} is unusable: {reason}")]
pub(crate) struct BadKey {
    pub(crate) public_key: String,
    pub(crate) reason: String,
}

/// Parses an ed25519 public key.
pub(crate) fn public_key(bytes: &[u8; 32]) -> Result<PublicKey, BadKey> {
    PublicKey::decode(Copying(bytes)).map_err(|error| BadKey {
        public_key: alloy_primitives::hex::encode(bytes),
        reason: error.to_string(),
    })
}

/// The private key of a seed.
pub(crate) fn private_key(seed: &[u8; 32]) -> PrivateKey {
    PrivateKey::decode(Copying(seed))
        .unwrap_or_else(|_| unreachable!("every 32 bytes are an ed25519 seed"))
}

/// The ed25519 public key of a seed, as the chain spec writes it.
pub fn public_key_of(seed: &[u8; 32]) -> [u8; 32] {
    let key = private_key(seed).public_key();
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.as_ref());
    bytes
}

/// The validators in the order of the spec.
pub(crate) fn keys(spec: &ChainSpec) -> Result<Vec<PublicKey>, BadKey> {
    spec.validators
        .iter()
        .map(|validator| public_key(&validator.public_key))
        .collect()
}

/// The validators in commonware's order.
pub(crate) fn participants(spec: &ChainSpec) -> Result<Set<PublicKey>, BadKey> {
    if spec.validators.is_empty() {
        return Err(BadKey {
            public_key: String::new(),
            reason: "the chain spec has no validators".into(),
        });
    }
    Set::try_from_iter(keys(spec)?).map_err(|error| BadKey {
        public_key: String::new(),
        reason: error.to_string(),
    })
}
