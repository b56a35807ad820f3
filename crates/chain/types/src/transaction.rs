//! Transactions from outside.
//!
//! Accepted: legacy (type 0), EIP-2930 (1), EIP-1559 (2), EIP-7702 (4). Refused by name: blobs (3).
//! The encoding must be the only one of its value, and the signature's `s` in the lower half, so that
//! a transaction has exactly one hash. The chain id must be ours; only a legacy transaction may name
//! none (from before EIP-155), and then its signer chose that it is valid on every chain, as the
//! deployers of contracts at the same address everywhere do.

use alloy_consensus::{Transaction as _, Typed2718};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{U256, uint};

use crate::{ChainSpec, DecodeError, Transaction};

/// Half of secp256k1's group order (EIP-2).
const HALF_ORDER: U256 =
    uint!(0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0_U256);

/// Decodes the EIP-2718 encoding of one transaction for the chain of `spec`.
///
/// # Errors
/// Over `max_tx_bytes` (before anything is decoded), not canonical, trailing bytes, an unsupported
/// type, another chain, or a malleable signature.
pub fn decode_transaction(bytes: &[u8], spec: &ChainSpec) -> Result<Transaction, DecodeError> {
    const WHAT: &str = "transaction";
    let max = spec.limits.max_tx_bytes;
    if bytes.len() > max {
        return Err(DecodeError::TooLarge {
            what: WHAT,
            len: bytes.len(),
            max,
        });
    }
    if let Some(ty) = bytes.first().copied().filter(|byte| *byte < 0xc0) {
        check_type(ty)?;
    }
    let transaction = Transaction::decode_2718_exact(bytes).map_err(|error| DecodeError::Rlp {
        what: WHAT,
        reason: error.to_string(),
    })?;
    if transaction.encoded_2718() != bytes {
        return Err(DecodeError::NotCanonical { what: WHAT });
    }
    check_transaction(&transaction, spec)?;
    Ok(transaction)
}

/// The checks of [`decode_transaction`] for a transaction that is already decoded.
///
/// # Errors
/// As there.
pub fn check_transaction(transaction: &Transaction, spec: &ChainSpec) -> Result<(), DecodeError> {
    check_shape(transaction, spec.limits.max_tx_bytes)?;
    // Only the legacy form can leave it out.
    let Some(got) = transaction.chain_id() else {
        return Ok(());
    };
    if got != spec.chain_id {
        return Err(DecodeError::WrongChain {
            got,
            expected: spec.chain_id,
        });
    }
    Ok(())
}

/// What can be checked without the chain spec: type, size, signature range.
pub(crate) fn check_shape(transaction: &Transaction, max: usize) -> Result<(), DecodeError> {
    check_type(transaction.ty())?;
    let len = transaction.encode_2718_len();
    if len > max {
        return Err(DecodeError::TooLarge {
            what: "transaction",
            len,
            max,
        });
    }
    let signature = transaction.signature();
    if signature.r().is_zero() || signature.s().is_zero() || signature.s() > HALF_ORDER {
        return Err(DecodeError::Signature);
    }
    Ok(())
}

fn check_type(ty: u8) -> Result<(), DecodeError> {
    let name = match ty {
        0..=2 | 4 => return Ok(()),
        3 => "blob, EIP-4844",
        _ => "unknown",
    };
    Err(DecodeError::UnsupportedType { ty, name })
}
