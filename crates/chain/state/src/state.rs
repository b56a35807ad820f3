//! The state as a value.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::{Account, AccountProof, StateDiff};

/// Accounts, storage and codes at one height.
#[derive(Debug, Clone, Default)]
pub struct State {}

impl State {
    /// A state with no accounts.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The account at `address`, or `None` if there is none.
    pub fn account(&self, _address: &Address) -> Option<Account> {
        todo!()
    }

    /// Value of a storage slot; zero where nothing is stored.
    pub fn storage(&self, _address: &Address, _slot: &U256) -> U256 {
        todo!()
    }

    /// The code with this hash.
    pub fn code(&self, _code_hash: &B256) -> Option<Bytes> {
        todo!()
    }

    /// Root of the account trie. Computed once per state and kept.
    pub fn root(&self) -> B256 {
        todo!()
    }

    /// The state after `diff`; shares every node that the diff does not touch.
    pub fn apply(&self, _diff: &StateDiff) -> Self {
        todo!()
    }

    /// EIP-1186 proof of an account and of some of its slots.
    pub fn prove(&self, _address: &Address, _slots: &[U256]) -> AccountProof {
        todo!()
    }

    /// Sum of all balances. Walks the whole state: for tests and audits.
    pub fn total_balance(&self) -> U256 {
        todo!()
    }

    /// All accounts, in the order of the trie (by hash of the address).
    pub fn accounts(&self) -> impl Iterator<Item = (Address, Account)> + '_ {
        std::iter::empty()
    }

    /// All slots of an account that are not zero, in the order of the trie.
    pub fn storage_of(&self, _address: &Address) -> impl Iterator<Item = (U256, U256)> + '_ {
        std::iter::empty()
    }
}
