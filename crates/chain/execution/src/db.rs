//! The state that a block reads, and the changes that its transactions make to it.
//!
//! Reads fall through: changes of earlier transactions of the block, then the parent's [`State`], which
//! is asked for an account once: finding it costs a hash and a walk.
//! After each transaction revm's journal is folded into [`Changes`]; after the last one the
//! changes become the block's [`StateDiff`]. Each fold reports the sums of balances before and
//! after, from which the caller checks that no money was made or lost.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, Bytes, I256, KECCAK256_EMPTY, U256};
use hallmark_state::{Account, AccountDiff, AccountView, State, StateDiff, balance_change};
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
    /// Every byte string that was stored in this block, by its hash; also those of calls that failed.
    contents: BTreeMap<B256, Bytes>,
    /// Slots that stand for byte strings and were written in this block.
    content_slots: BTreeSet<(Address, U256)>,
}

/// A state with the changes of one block on top, as revm's database.
pub(crate) struct BlockDb<'a> {
    base: &'a State,
    changes: Changes,
    ancestry: &'a dyn Ancestry,
    /// The account whose storage was last read from the base: a contract reads its own many times.
    last_read: Cell<Option<(Address, Option<AccountView<'a>>)>>,
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
            last_read: Cell::new(None),
            parent,
        }
    }

    /// A word of the parent's state.
    fn base_storage(&self, address: &Address, slot: &U256) -> U256 {
        let view = match self.last_read.get() {
            Some((known, view)) if known == *address => view,
            _ => {
                let view = self.base.view(address);
                self.last_read.set(Some((*address, view)));
                view
            }
        };
        view.map_or(U256::ZERO, |view| view.storage(slot))
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

    /// The byte string whose hash is `word`, if the slot stands for it now.
    pub(crate) fn content(&self, address: Address, slot: U256, word: U256) -> Option<Bytes> {
        if let Some(content) = self.changes.contents.get(&B256::from(word)) {
            return Some(content.clone());
        }
        // What this block did not store is what its parent's state has there.
        let is_known = self.base_storage(&address, &slot) == word;
        is_known
            .then(|| self.base.content(&address, &slot))
            .flatten()
    }

    /// Keeps a byte string for a slot whose word is to be its hash.
    pub(crate) fn keep_content(&mut self, address: Address, slot: U256, hash: B256, bytes: &[u8]) {
        self.changes.content_slots.insert((address, slot));
        if !bytes.is_empty() {
            self.changes
                .contents
                .entry(hash)
                .or_insert_with(|| Bytes::copy_from_slice(bytes));
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
    ///
    /// # Errors
    /// When a slot stands for a byte string that is not known.
    pub(crate) fn into_diff(self) -> Result<(StateDiff, I256), String> {
        let base = self.base;
        let mut diff = StateDiff::default();
        let mut balances = Vec::new();
        for (address, touched) in self.changes.accounts {
            let known = touched.base;
            let looks = !touched.wiped && !touched.storage.is_empty();
            let view = looks.then(|| base.view(&address)).flatten();
            let storage: BTreeMap<U256, U256> = touched
                .storage
                .into_iter()
                .filter(|(slot, value)| {
                    let read = touched.read.get(slot).copied().filter(|_| !touched.wiped);
                    let old =
                        read.unwrap_or_else(|| view.map_or(U256::ZERO, |view| view.storage(slot)));
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
        for (address, slot) in self.changes.content_slots {
            let words = diff.accounts.get(&address).map(|change| &change.storage);
            // A slot that is not in the diff has the word that it had, and with it its content.
            let Some(word) = words.and_then(|words| words.get(&slot)) else {
                continue;
            };
            let content = if word.is_zero() {
                Bytes::new()
            } else {
                let known = self.changes.contents.get(&B256::from(*word)).cloned();
                known.ok_or_else(|| format!("slot {slot:#x} of {address} has no content"))?
            };
            diff.contents.insert((address, slot), content);
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
        Ok((diff, balance_change(balances)))
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
        let touched = self.touch(address);
        if let Some(value) = touched.storage.get(&slot) {
            return Ok(*value);
        }
        if touched.wiped || touched.info.is_none() {
            return Ok(U256::ZERO);
        }
        if let Some(value) = touched.read.get(&slot) {
            return Ok(*value);
        }
        let value = self.base_storage(&address, &slot);
        self.touch(address).read.insert(slot, value);
        Ok(value)
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
        Ok(self.base_storage(&address, &slot))
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

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;
    use crate::NoAncestry;

    const CONTRACT: Address = Address::repeat_byte(7);
    const SLOT: U256 = U256::from_limbs([5, 0, 0, 0]);

    /// A state in which the contract's slot stands for `content`.
    fn state(content: &[u8]) -> State {
        let empty = State::empty();
        let mut db = BlockDb::new(&empty, (0, B256::ZERO), &NoAncestry);
        set(&mut db, keccak256(content).into());
        db.keep_content(CONTRACT, SLOT, keccak256(content), content);
        let (diff, _) = db.into_diff().unwrap();
        empty.apply(&diff)
    }

    /// What a transaction leaves in the slot.
    fn set(db: &mut BlockDb<'_>, word: U256) {
        let touched = db.touch(CONTRACT);
        touched.info = Some(Account {
            nonce: 1,
            ..Account::default()
        });
        touched.storage.insert(SLOT, word);
    }

    fn over(state: &State) -> BlockDb<'_> {
        BlockDb::new(state, (0, B256::ZERO), &NoAncestry)
    }

    #[test]
    fn what_a_slot_stands_for_goes_into_the_diff_only_with_the_slots_word() {
        let state = state(b"before");
        let before = keccak256(b"before").into();
        let (after, hash) = (&b"after"[..], keccak256(b"after"));
        // A call that stored it and failed.
        let mut db = over(&state);
        db.keep_content(CONTRACT, SLOT, hash, after);
        assert_eq!(db.content(CONTRACT, SLOT, before).unwrap(), b"before"[..]);
        assert!(db.into_diff().unwrap().0.is_empty());
        // One that did not fail, and one that came back to what was there.
        let mut db = over(&state);
        db.keep_content(CONTRACT, SLOT, hash, after);
        set(&mut db, hash.into());
        assert_eq!(db.content(CONTRACT, SLOT, hash.into()).unwrap(), *after);
        let (diff, _) = db.into_diff().unwrap();
        assert_eq!(diff.contents[&(CONTRACT, SLOT)], *after);
        let later = state.apply(&diff);
        assert_eq!(later.content(&CONTRACT, &SLOT).unwrap(), *after);
        assert_eq!(state.content(&CONTRACT, &SLOT).unwrap(), b"before"[..]);
        let mut db = over(&state);
        db.keep_content(CONTRACT, SLOT, hash, after);
        db.keep_content(CONTRACT, SLOT, keccak256(b"before"), b"before");
        set(&mut db, before);
        assert!(db.into_diff().unwrap().0.is_empty());
        // The empty one leaves nothing.
        let mut db = over(&later);
        db.keep_content(CONTRACT, SLOT, B256::ZERO, b"");
        set(&mut db, U256::ZERO);
        let last = later.apply(&db.into_diff().unwrap().0);
        assert_eq!(last.content(&CONTRACT, &SLOT), None);
    }

    #[test]
    fn a_word_without_what_it_stands_for_is_an_error_and_no_guess() {
        let state = state(b"before");
        let mut db = over(&state);
        let word = keccak256(b"unknown").into();
        assert_eq!(db.content(CONTRACT, SLOT, word), None);
        db.keep_content(CONTRACT, SLOT, keccak256(b"other"), b"other");
        set(&mut db, word);
        assert!(db.into_diff().unwrap_err().contains("no content"));
    }
}
