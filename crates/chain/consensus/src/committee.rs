//! Who signs in an epoch, as commonware wants to know it.
//!
//! An epoch is `epoch_blocks` heights: epoch `e` spans `e * epoch_blocks .. (e + 1) * epoch_blocks`.
//! Its [`Committee`] is frozen in the chain's state by the last block of epoch `e - 2`; epochs 0 and 1
//! have the validators of the chain spec. Members have an order of their own (`leader` in a header is
//! the index in it); commonware orders participants by public key.

use std::num::NonZeroU64;

use commonware_codec::{Copying, DecodeExt};
use commonware_consensus::{simplex::scheme::ed25519::Scheme, types::FixedEpocher};
use commonware_cryptography::{
    Signer as _,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_utils::{TryFromIterator, ordered::Set};
use hallmark_types::{ChainSpec, Committee, Member};

use crate::block::Digest;

/// Certificate that a block is final.
pub(crate) type Finalization = commonware_consensus::simplex::types::Finalization<Scheme, Digest>;

/// Domain of every vote and connection: two chains never accept each other's messages.
pub(crate) fn namespace(spec: &ChainSpec) -> Vec<u8> {
    let mut namespace = b"hallmark/consensus/1/".to_vec();
    namespace.extend_from_slice(spec.hash().as_slice());
    namespace
}

/// Which heights belong to which epoch. A spec that was checked has epochs of at least two blocks.
pub(crate) fn epocher(spec: &ChainSpec) -> FixedEpocher {
    let blocks = NonZeroU64::new(spec.staking.epoch_blocks.max(2)).unwrap_or(NonZeroU64::MIN);
    FixedEpocher::new(blocks)
}

/// Epoch of a height.
pub fn epoch_of(spec: &ChainSpec, height: u64) -> u64 {
    height / spec.staking.epoch_blocks.max(2)
}

/// The validators of epochs 0 and 1, whom the spec names. `None` for every later epoch: those follow
/// from the chain's state.
pub fn genesis_committee(spec: &ChainSpec, epoch: u64) -> Option<Committee> {
    let members = spec.validators.iter().map(|validator| Member {
        public_key: validator.public_key,
        address: validator.address,
        stake: validator.stake,
        p2p: validator.p2p.clone(),
    });
    (epoch < 2).then(|| Committee {
        epoch,
        members: members.collect(),
    })
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

/// The bytes of a public key, as the chain spec writes it.
pub(crate) fn key_bytes(key: &PublicKey) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.as_ref());
    bytes
}

/// The ed25519 public key of a seed, as the chain spec writes it.
pub fn public_key_of(seed: &[u8; 32]) -> [u8; 32] {
    key_bytes(&private_key(seed).public_key())
}

/// The members in their own order.
pub(crate) fn keys(committee: &Committee) -> Result<Vec<PublicKey>, BadKey> {
    committee
        .members
        .iter()
        .map(|member| public_key(&member.public_key))
        .collect()
}

/// The members in commonware's order.
pub(crate) fn participants(committee: &Committee) -> Result<Set<PublicKey>, BadKey> {
    let unusable = |reason: String| BadKey {
        public_key: String::new(),
        reason,
    };
    if committee.members.is_empty() {
        let epoch = committee.epoch;
        return Err(unusable(format!("epoch {epoch} has no validators")));
    }
    Set::try_from_iter(keys(committee)?).map_err(|error| unusable(error.to_string()))
}
