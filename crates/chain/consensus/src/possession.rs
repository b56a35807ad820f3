//! Proofs that a validator's key belongs to its operator, for the Staking contract.

use alloy_primitives::Address;
use commonware_cryptography::Signer as _;
use hallmark_types::staking::{POSSESSION_DOMAIN, possession_body};

use crate::committee::private_key;

/// The signature by a validator's key (its seed) that proves to the Staking contract of chain
/// `chain_id` that the key belongs to `operator`.
pub fn prove_possession(seed: &[u8; 32], chain_id: u64, operator: Address) -> [u8; 64] {
    let body = possession_body(chain_id, operator);
    let signature = private_key(seed).sign(POSSESSION_DOMAIN, &body);
    let mut bytes = [0; 64];
    bytes.copy_from_slice(signature.as_ref());
    bytes
}
