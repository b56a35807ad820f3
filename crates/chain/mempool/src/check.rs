//! Checks that need the transaction and the chain spec alone.

use alloy_consensus::Transaction as _;
use hallmark_execution::intrinsic_gas;
use hallmark_types::{ChainSpec, DecodeError, Transaction, decode_transaction};

use crate::PoolError;

/// EIP-3860: largest init code in bytes.
const MAX_INIT_CODE: usize = 49_152;

/// Decodes a transaction and checks what no state can change.
pub(crate) fn parse(raw: &[u8], spec: &ChainSpec) -> Result<Transaction, PoolError> {
    let tx = decode_transaction(raw, spec).map_err(refusal)?;
    let limit = spec.limits.tx_gas_limit.min(spec.limits.block_gas_limit);
    if tx.gas_limit() > limit {
        return Err(PoolError::GasLimit {
            have: tx.gas_limit(),
            limit,
        });
    }
    let (cap, tip) = (
        tx.max_fee_per_gas(),
        tx.max_priority_fee_per_gas().unwrap_or_default(),
    );
    if tip > cap {
        return Err(PoolError::TipAboveFeeCap { tip, cap });
    }
    if cap.checked_mul(u128::from(tx.gas_limit())).is_none() {
        return Err(PoolError::FeeCapTooHigh);
    }
    if tx.is_create() && tx.input().len() > MAX_INIT_CODE {
        return Err(PoolError::InitCodeSize {
            got: tx.input().len(),
            limit: MAX_INIT_CODE,
        });
    }
    if tx.nonce() == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    if tx.authorization_list().is_some_and(<[_]>::is_empty) {
        return Err(PoolError::EmptyAuthorizations);
    }
    let want = intrinsic_gas(&tx, spec);
    if tx.gas_limit() < want {
        return Err(PoolError::IntrinsicGas {
            have: tx.gas_limit(),
            want,
        });
    }
    Ok(tx)
}

/// The decoder's refusals in the words that wallets know.
fn refusal(error: DecodeError) -> PoolError {
    match error {
        DecodeError::TooLarge { len, max, .. } => PoolError::Oversized {
            got: len,
            limit: max,
        },
        DecodeError::UnsupportedType { ty, name } => PoolError::TypeNotSupported { ty, name },
        DecodeError::WrongChain { got, expected } => PoolError::ChainId {
            have: got,
            want: expected,
        },
        DecodeError::Signature => PoolError::InvalidSender,
        other => PoolError::Decode(other.to_string()),
    }
}
