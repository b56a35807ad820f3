//! What a block changes.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, I256, U256};

use crate::{Account, State};

/// New values of everything that changed. Ordered, so that it is the same on every machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateDiff {
    /// Changed accounts.
    pub accounts: BTreeMap<Address, AccountDiff>,
    /// New codes by their Keccak-256.
    pub codes: BTreeMap<B256, Bytes>,
    /// New contents of slots whose word is the Keccak-256 of a byte string, by account and slot; an
    /// empty one removes it. The word changes with it, in [`accounts`](Self::accounts). Only
    /// accounts that are never destroyed have any.
    pub contents: BTreeMap<(Address, U256), Bytes>,
}

/// New values of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountDiff {
    /// The account after the change (also when only its storage changed). `None`, or an
    /// [empty](Account::is_empty) one, deletes it and its storage.
    pub info: Option<Account>,
    /// New values of slots; zero deletes the slot.
    pub storage: BTreeMap<U256, U256>,
    /// Whether all storage from before is dropped first (destroyed and created again).
    pub wiped: bool,
}

impl AccountDiff {
    /// The account that is kept after the change, if any (EIP-161).
    pub(crate) fn kept(&self) -> Option<Account> {
        self.info.filter(|account| !account.is_empty())
    }
}

impl StateDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.codes.is_empty() && self.contents.is_empty()
    }

    /// [`balance_change`] of the changed accounts; `before` is the state that the diff applies to.
    pub fn balance_change(&self, before: &State) -> I256 {
        let balance = |account: Option<Account>| account.map_or(U256::ZERO, |a| a.balance);
        balance_change(
            self.accounts
                .iter()
                .map(|(address, change)| (balance(before.account(address)), balance(change.info))),
        )
    }
}

/// Sum over accounts of balance after minus balance before, given as `(before, after)`. Zero for every
/// block that creates and destroys no coin. Saturates away from zero when a sum leaves 256 bits, so an
/// overflow is never taken for zero.
pub fn balance_change(balances: impl IntoIterator<Item = (U256, U256)>) -> I256 {
    let (mut gained, mut lost) = (Some(U256::ZERO), Some(U256::ZERO));
    for (old, new) in balances {
        if new >= old {
            gained = gained.and_then(|sum| sum.checked_add(new - old));
        } else {
            lost = lost.and_then(|sum| sum.checked_add(old - new));
        }
    }
    let (Some(gained), Some(lost)) = (gained, lost) else {
        return I256::MAX;
    };
    if gained >= lost {
        I256::try_from(gained - lost).unwrap_or(I256::MAX)
    } else {
        I256::try_from(lost - gained).map_or(I256::MIN, |change| -change)
    }
}
