//! The state that a block reads, and the changes that its transactions make to it.
//!
//! Reads fall through: changes of earlier transactions of the block, then the parent's [`State`], which
//! is asked for an account once: finding it costs a hash and a walk.
//! After each transaction revm's journal is folded into [`Changes`]; after the last one the
//! changes become the block's [`StateDiff`]. Each fold reports the sums of balances before and
//! after, from which the caller checks that no money was made or lost.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, Bytes, I256, KECCAK256_EMPTY, U256};
use hallmark_state::{Account, AccountDiff, State, StateDiff, balance_change};
use revm::bytecode::Bytecode;
use revm::database_interface::DBErrorMarker;
use revm::state::{AccountInfo, EvmState};
use revm::{Database, DatabaseRef};

use crate::Ancestry;

/// The state is damaged or an ancestor is missing. Always fatal: it says nothing about a
/// transaction, and guessing would split the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DbError {
    /// An account names code that the state does not hold.
    #[error("code {0} is missing from the state")]
    MissingCode(B256),
    /// A block hash within the EVM's window of 256 that the caller does not know.
    #[error("hash of block {0} is not known")]
    MissingBlockHash(u64),
}

impl DBErrorMarker for DbError {}

/// Whether an account can have this code: what begins with 0xef01 must be a whole delegation
/// (EIP-7702), anything else runs as it is.
pub fn is_code(code: &Bytes) -> bool {
    decode(code.clone()).is_some()
}

fn decode(code: Bytes) -> Option<Bytecode> {
    Bytecode::new_raw_checked(code).ok()
}

/// An account as the block's transactions left it, or only read it.
#[derive(Debug, Clone)]
struct Touched {
    /// The parent state's.
    base: Option<Account>,
    /// None: does not exist (any more).
    info: Option<Account>,
    /// Slots written in this block.
    storage: HashMap<U256, U256>,
    /// Slots of the parent state that were read.
    read: HashMap<U256, U256>,
    /// The storage that the parent state holds for it is gone.
    wiped: bool,
}

/// What one fold did to the balances that it touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Balances {
    /// Sum before.
    pub(crate) before: U256,
    /// Sum after.
    pub(crate) after: U256,
    /// Whether an account was destroyed, the only way by which balance may vanish.
    pub(crate) destroyed: bool,
}

/// Changes of the block's transactions so far.
#[derive(Debug, Default)]
struct Changes {
    accounts: HashMap<Address, Touched>,
    codes: BTreeMap<B256, Bytes>,
}

/// A state with the changes of one block on top, as revm's database.
pub(crate) struct BlockDb<'a> {
    base: &'a State,
    changes: Changes,
    ancestry: &'a dyn Ancestry,
    /// The one ancestor that is always known.
    parent: (u64, B256),
}

impl<'a> BlockDb<'a> {
    /// Nothing changed yet. `parent` is number and hash of the block below.
    pub(crate) fn new(base: &'a State, parent: (u64, B256), ancestry: &'a dyn Ancestry) -> Self {
        Self {
            base,
            changes: Changes::default(),
            ancestry,
            parent,
        }
    }

    /// The account as it stands, without its code.
    pub(crate) fn account(&self, address: &Address) -> Option<Account> {
        match self.changes.accounts.get(address) {
            Some(touched) => touched.info,
            None => self.base.account(address),
        }
    }

    /// The code with this hash, as long as the state or the block's transactions hold it.
    pub(crate) fn code(&self, hash: &B256) -> Option<Bytes> {
        match self.changes.codes.get(hash) {
            Some(code) => Some(code.clone()),
            None => self.base.code(hash),
        }
    }

    /// Adds to a balance outside of any transaction.
    ///
    /// # Errors
    /// On overflow.
    pub(crate) fn credit(&mut self, address: Address, amount: U256) -> Result<(), String> {
        if amount.is_zero() {
            return Ok(());
        }
        let mut account = self.account(&address).unwrap_or(Account {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
        });
        account.balance = account
            .balance
            .checked_add(amount)
            .ok_or_else(|| format!("balance of {address} overflows"))?;
        self.touch(address).info = Some(account);
        Ok(())
    }

    fn touch(&mut self, address: Address) -> &mut Touched {
        let state = self.base;
        self.changes.accounts.entry(address).or_insert_with(|| {
            let base = state.account(&address);
            Touched {
                base,
                info: base,
                storage: HashMap::default(),
                read: HashMap::default(),
                wiped: false,
            }
        })
    }

    /// Folds what a transaction did into the changes.
    ///
    /// # Errors
    /// When a sum of balances overflows, which no sequence of transfers can do.
    pub(crate) fn fold(&mut self, state: EvmState) -> Result<Balances, String> {
        let overflow = || "sum of balances overflows".to_owned();
        let mut sums = Balances {
            before: U256::ZERO,
            after: U256::ZERO,
            destroyed: false,
        };
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            let touched = self.touch(address);
            let known = touched.info;
            let before = known.map_or(U256::ZERO, |known| known.balance);
            sums.before = sums.before.checked_add(before).ok_or_else(overflow)?;
            let gone = account.is_selfdestructed();
            sums.destroyed |= gone;
            let info = (!gone && !account.is_empty()).then_some(Account {
                nonce: account.info.nonce,
                balance: account.info.balance,
                code_hash: account.info.code_hash,
            });
            touched.info = info;
            let Some(info) = info else {
                touched.storage.clear();
                touched.wiped = true;
                continue;
            };
            for (slot, value) in account.storage {
                if value.is_changed() {
                    touched.storage.insert(slot, value.present_value());
                }
            }
            sums.after = sums.after.checked_add(info.balance).ok_or_else(overflow)?;
            if known.is_none_or(|known| known.code_hash != info.code_hash)
                && info.code_hash != KECCAK256_EMPTY
                && let Some(code) = &account.info.code
            {
                self.changes
                    .codes
                    .insert(info.code_hash, code.original_bytes());
            }
        }
        Ok(sums)
    }

    /// The changes against the parent's state, in canonical order and without entries that change
    /// nothing, and by how much they change the sum of all balances.
    pub(crate) fn into_diff(self) -> (StateDiff, I256) {
        let base = self.base;
        let mut diff = StateDiff::default();
        let mut balances = Vec::new();
        for (address, touched) in self.changes.accounts {
            let known = touched.base;
            let storage: BTreeMap<U256, U256> = touched
                .storage
                .into_iter()
                .filter(|(slot, value)| {
                    let old = if touched.wiped {
                        U256::ZERO
                    } else {
                        let read = touched.read.get(slot).copied();
                        read.unwrap_or_else(|| base.storage(&address, slot))
                    };
                    old != *value
                })
                .collect();
            // An account that came and went within the block had nothing to wipe.
            let wiped = touched.wiped && known.is_some();
            if touched.info == known && storage.is_empty() && !wiped {
                continue;
            }
            let balance = |account: Option<Account>| account.map_or(U256::ZERO, |a| a.balance);
            balances.push((balance(known), balance(touched.info)));
            diff.accounts.insert(
                address,
                AccountDiff {
                    info: touched.info,
                    storage,
                    wiped,
                },
            );
        }
        let live: BTreeSet<B256> = diff
            .accounts
            .values()
            .filter_map(|a| a.info.map(|info| info.code_hash))
            .collect();
        diff.codes = self
            .changes
            .codes
            .into_iter()
            .filter(|(hash, _)| live.contains(hash))
            .collect();
        (diff, balance_change(balances))
    }
}

fn info_of(account: Account) -> AccountInfo {
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash,
        account_id: None,
        code: None,
    }
}

impl Database for BlockDb<'_> {
    type Error = DbError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, DbError> {
        Ok(self.touch(address).info.map(info_of))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, DbError> {
        self.code_by_hash_ref(hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, DbError> {
        let base = self.base;
        let touched = self.touch(address);
        if let Some(value) = touched.storage.get(&slot) {
            return Ok(*value);
        }
        if touched.wiped || touched.info.is_none() {
            return Ok(U256::ZERO);
        }
        let read = || base.storage(&address, &slot);
        Ok(*touched.read.entry(slot).or_insert_with(read))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, DbError> {
        self.block_hash_ref(number)
    }
}

impl DatabaseRef for BlockDb<'_> {
    type Error = DbError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, DbError> {
        Ok(self.account(&address).map(info_of))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, DbError> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        let code = self.code(&hash).ok_or(DbError::MissingCode(hash))?;
        decode(code).ok_or(DbError::MissingCode(hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, DbError> {
        if let Some(touched) = self.changes.accounts.get(&address) {
            if let Some(value) = touched.storage.get(&slot) {
                return Ok(*value);
            }
            if touched.wiped || touched.info.is_none() {
                return Ok(U256::ZERO);
            }
        }
        Ok(self.base.storage(&address, &slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, DbError> {
        if number == self.parent.0 {
            return Ok(self.parent.1);
        }
        self.ancestry
            .block_hash(number)
            .ok_or(DbError::MissingBlockHash(number))
    }
}
