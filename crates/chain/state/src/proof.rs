//! EIP-1186 proofs.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::Account;

/// Proof that an account is, or is not, in a state, and of some of its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountProof {
    /// The account asked for.
    pub address: Address,
    /// The account, or `None` when the proof is one of absence.
    pub account: Option<Account>,
    /// Root of the account's storage trie; that of the empty trie where there is none.
    pub storage_root: B256,
    /// RLP of the nodes from the state root towards `keccak256(address)`.
    pub proof: Vec<Bytes>,
    /// One proof per slot asked for, in the order asked.
    pub storage: Vec<StorageProof>,
}

/// Proof of one storage slot; a value of zero is a proof of absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageProof {
    /// The slot.
    pub key: U256,
    /// Its value.
    pub value: U256,
    /// RLP of the nodes from the storage root towards `keccak256(key)`.
    pub proof: Vec<Bytes>,
}
