//! Sender recovery.

use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256};
use hallmark_types::Transaction;

/// A transaction with its sender: decoded and recovered once, shared by pool, builder and RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PooledTransaction {
    /// The signed transaction.
    pub tx: Transaction,
    /// Its hash.
    pub hash: B256,
    /// The account that signed it.
    pub sender: Address,
    /// Length of its EIP-2718 encoding in bytes.
    pub encoded_len: usize,
}

/// The signature does not recover to a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid sender: the signature does not recover")]
pub struct RecoverError;

/// Recovers the sender from the signature. Refuses malleable (high-s) signatures, as EIP-2 does.
pub(crate) fn recover_sender(tx: &Transaction) -> Result<Address, RecoverError> {
    tx.recover_signer().map_err(|_| RecoverError)
}

/// Length of the EIP-2718 encoding in bytes.
pub(crate) fn encoded_len(tx: &Transaction) -> usize {
    tx.encode_2718_len()
}
