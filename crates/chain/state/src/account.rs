//! An account as the state trie commits to it.

use alloy_primitives::{B256, KECCAK256_EMPTY, U256};

/// Nonce, balance and code of an account. Its storage is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Units of 10^-18 MARK.
    pub balance: U256,
    /// Keccak-256 of the code; that of the empty string where there is none.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
        }
    }
}

impl Account {
    /// Empty in the sense of EIP-161: no nonce, no balance, no code. Such an account is not stored.
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && !self.has_code()
    }

    /// Whether the account has code.
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK256_EMPTY
    }
}
