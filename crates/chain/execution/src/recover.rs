//! Sender recovery, with a bounded memory of what was recovered.

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
