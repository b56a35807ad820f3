//! Signatures by validator keys outside consensus: whoever names a key proves that it holds it.
//!
//! Signatures are ed25519 over `namespace` and message; a namespace is used for one kind of message
//! only, and none of these is the namespace of votes.

use commonware_codec::{Copying, DecodeExt};
use commonware_cryptography::{Signer as _, Verifier as _, ed25519::Signature};

use crate::committee;

/// Signs with the validator key of this seed.
pub fn sign(seed: &[u8; 32], namespace: &[u8], message: &[u8]) -> [u8; 64] {
    let signature = committee::private_key(seed).sign(namespace, message);
    let mut bytes = [0; 64];
    bytes.copy_from_slice(signature.as_ref());
    bytes
}

/// Whether the holder of a validator key signed; false also for what is no key or no signature.
pub fn verify(
    public_key: &[u8; 32],
    namespace: &[u8],
    message: &[u8],
    signature: &[u8; 64],
) -> bool {
    let Ok(key) = committee::public_key(public_key) else {
        return false;
    };
    Signature::decode(Copying(signature))
        .is_ok_and(|signature| key.verify(namespace, message, &signature))
}
