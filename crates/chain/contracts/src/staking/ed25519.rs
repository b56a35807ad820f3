//! Ed25519 as consensus verifies it.
//!
//! ZIP 215: with key bytes `A`, signature `(R, s)` and message `M`, `k = SHA-512(R ‖ A ‖ M) mod ℓ`,
//! a signature holds if `A` and `R` decode to points (of any encoding), `s < ℓ`, and
//! `[8](R − ([s]B − [k]A)) = 0`. Votes that consensus counts and signatures that hold here are the
//! same; a consensus test compares them.

use curve25519_dalek::{
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
    traits::IsIdentity,
};
use sha2::{Digest, Sha512};

/// Whether the signature of `message` by `public_key` holds.
// Arithmetic of the group and of its scalars has no overflow.
#[allow(clippy::arithmetic_side_effects)]
#[must_use]
pub fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let (Some((r, rest)), Some(key)) = (signature.split_first_chunk::<32>(), point(public_key))
    else {
        return false;
    };
    let (Some(s), Some(nonce)) = (rest.first_chunk::<32>(), point(r)) else {
        return false;
    };
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(*s)) else {
        return false;
    };
    let mut hash = Sha512::new();
    hash.update(r);
    hash.update(public_key);
    hash.update(message);
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-key, &s);
    (nonce - expected).mul_by_cofactor().is_identity()
}

/// Whether a key may be a validator's: a point, and none of the eight whose owner can sign without
/// a secret.
pub(super) fn is_usable(public_key: &[u8; 32]) -> bool {
    point(public_key).is_some_and(|point| !point.is_small_order())
}

fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress()
}

#[cfg(test)]
pub(super) mod signing {
    use super::*;
    use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;

    /// Public key and signature of RFC 8032, section 5.1.
    #[allow(clippy::arithmetic_side_effects)]
    pub(crate) fn sign(seed: &[u8; 32], message: &[u8]) -> ([u8; 32], [u8; 64]) {
        let expanded: [u8; 64] = Sha512::digest(seed).into();
        let mut low: [u8; 32] = expanded[..32].try_into().unwrap();
        low = curve25519_dalek::scalar::clamp_integer(low);
        let secret = Scalar::from_bytes_mod_order(low);
        let public_key = (&secret * ED25519_BASEPOINT_TABLE).compress().0;
        let wide = |parts: &[&[u8]]| {
            let mut hash = Sha512::new();
            for part in parts {
                hash.update(part);
            }
            Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
        };
        let nonce = wide(&[&expanded[32..], message]);
        let r = (&nonce * ED25519_BASEPOINT_TABLE).compress().0;
        let s = nonce + wide(&[&r, &public_key, message]) * secret;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(s.as_bytes());
        (public_key, signature)
    }
}

#[cfg(test)]
mod tests {
    use super::{signing::sign, *};
    use alloy_primitives::hex;

    #[test]
    fn the_second_vector_of_rfc_8032_is_made_and_holds() {
        let seed = hex!("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let (key, signature) = sign(&seed, &[0x72]);
        assert_eq!(
            key,
            hex!("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        );
        assert_eq!(
            signature,
            hex!(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            )
        );
        assert!(verify(&key, &[0x72], &signature));
        assert!(!verify(&key, &[0x73], &signature));
    }

    #[test]
    fn any_changed_bit_is_refused() {
        let (key, signature) = sign(&[7; 32], b"message");
        for bit in 0..512 {
            let mut other = signature;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&key, b"message", &other), "bit {bit}");
        }
        for bit in 0..256 {
            let mut other = key;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&other, b"message", &signature), "bit {bit}");
        }
    }

    #[test]
    fn a_scalar_beyond_the_group_order_is_refused() {
        let (key, mut signature) = sign(&[7; 32], b"message");
        let order = hex!("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0u16;
        for (byte, addend) in signature[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + u16::from(addend);
            *byte = carry as u8;
            carry >>= 8;
        }
        assert!(!verify(&key, b"message", &signature));
    }

    #[test]
    fn keys_that_sign_without_a_secret_are_unusable() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut noncanonical = [0xff; 32];
        (noncanonical[0], noncanonical[31]) = (0xee, 0x7f);
        for key in [identity, [0; 32], noncanonical] {
            assert!(!is_usable(&key));
        }
        assert!(is_usable(&sign(&[7; 32], b"").0));
        // Not the y coordinate of any point.
        let mut none = [0; 32];
        none[0] = 2;
        assert!(!is_usable(&none) && !verify(&none, b"", &[0; 64]));
    }
}
