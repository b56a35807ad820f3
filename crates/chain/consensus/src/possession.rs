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

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_codec::{Copying, DecodeExt as _};
    use commonware_cryptography::{
        Verifier as _,
        ed25519::{PublicKey, Signature},
    };
    use hallmark_contracts::staking::verify_ed25519;
    use hallmark_types::staking::possession_message;

    use crate::committee::public_key_of;

    #[test]
    fn the_contract_believes_a_proof_for_this_operator_on_this_chain_only() {
        let (seed, operator) = ([7; 32], Address::repeat_byte(1));
        let key = public_key_of(&seed);
        let proof = prove_possession(&seed, 1618, operator);
        let holds =
            |chain, operator| verify_ed25519(&key, &possession_message(chain, operator), &proof);
        assert!(holds(1618, operator));
        assert!(!holds(1619, operator));
        assert!(!holds(1618, Address::repeat_byte(2)));
    }

    /// The points of small order in all their encodings, and one that is no point: where verifiers
    /// differ (ZIP 215).
    #[test]
    fn the_contract_and_consensus_agree_where_verifiers_differ() {
        let hex = |text: &str| {
            <[u8; 32]>::try_from(alloy_primitives::hex::decode(text).unwrap()).unwrap()
        };
        let encodings = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "0200000000000000000000000000000000000000000000000000000000000000",
        ]
        .map(hex);
        let honest = (
            public_key_of(&[7; 32]),
            prove_possession(&[7; 32], 1618, Address::ZERO),
        );
        let message = possession_message(1618, Address::ZERO);
        let body = possession_body(1618, Address::ZERO);
        let mut scalars = vec![[0; 32], [0xff; 32]];
        let mut one = [0; 32];
        one[0] = 1;
        scalars.push(one);
        scalars.push(honest.1[32..].try_into().unwrap());
        let mut accepted = 0;
        for key in encodings.iter().chain([&honest.0]) {
            for r in encodings
                .iter()
                .chain([&honest.1[..32].try_into().unwrap()])
            {
                for s in &scalars {
                    let mut signature = [0; 64];
                    signature[..32].copy_from_slice(r);
                    signature[32..].copy_from_slice(s);
                    let consensus = PublicKey::decode(Copying(key)).is_ok_and(|key| {
                        let signature = Signature::decode(Copying(&signature)).unwrap();
                        key.verify(POSSESSION_DOMAIN, &body, &signature)
                    });
                    assert_eq!(verify_ed25519(key, &message, &signature), consensus);
                    accepted += usize::from(consensus);
                }
            }
        }
        // Fourteen encodings of keys and of nonces with scalar zero, and the honest signature.
        assert_eq!(accepted, 14 * 14 + 1);
    }
}
