//! The state as a value: Ethereum's secure trie of accounts (keys are hashes of addresses), one
//! storage trie per account, and the codes.
//!
//! EIP-161: an empty account is not stored, and with an account goes its storage. A slot of value
//! zero is not stored. Codes are found by their hash and never removed.
//!
//! A slot may stand for a byte string: its word is then the Keccak-256 of it, which the root commits to,
//! and the bytes, its content, lie beside the tries under account and slot. Whatever its length, such a
//! string costs the trie one leaf.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use rayon::prelude::*;

use crate::keys::slot_key;
use crate::trie::{Committed, Trie};
use crate::{Account, AccountDiff, AccountProof, StateDiff, StorageProof};

/// Slots with their values.
pub(crate) type Slots = Vec<(U256, U256)>;

/// Changed accounts from which on several threads look them up.
const MANY: usize = 128;

/// Accounts, storage and codes at one height.
#[derive(Debug, Clone, Default)]
pub struct State {
    accounts: Trie<Entry>,
    codes: Trie<Bytes>,
    contents: Trie<Bytes>,
}

/// An account as stored; the address is kept because the key is its hash.
#[derive(Debug, Clone)]
struct Entry {
    address: Address,
    account: Account,
    storage: Trie<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: U256,
    value: U256,
}

/// One account of a state, found once for many reads of its storage.
#[derive(Debug, Clone, Copy)]
pub struct AccountView<'a> {
    entry: &'a Entry,
}

impl AccountView<'_> {
    /// Value of a storage slot; zero where nothing is stored.
    pub fn storage(&self, slot: &U256) -> U256 {
        let slot = self.entry.storage.get(&slot_key(slot));
        slot.map_or(U256::ZERO, |slot| slot.value)
    }
}

impl Committed for Entry {
    fn encode_value(&self, out: &mut Vec<u8>) {
        let Account {
            nonce,
            balance,
            code_hash,
        } = self.account;
        TrieAccount {
            nonce,
            balance,
            storage_root: self.storage.root(),
            code_hash,
        }
        .encode(out);
    }
}

impl Committed for Slot {
    fn encode_value(&self, out: &mut Vec<u8>) {
        self.value.encode(out);
    }
}

impl State {
    /// A state with no accounts.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The account at `address`, or `None` if there is none.
    pub fn account(&self, address: &Address) -> Option<Account> {
        self.entry(address).map(|entry| entry.account)
    }

    /// Value of a storage slot; zero where nothing is stored.
    pub fn storage(&self, address: &Address, slot: &U256) -> U256 {
        let slot = self
            .entry(address)
            .and_then(|entry| entry.storage.get(&slot_key(slot)));
        slot.map_or(U256::ZERO, |slot| slot.value)
    }

    /// The account at `address`, for many reads of its storage.
    pub fn view(&self, address: &Address) -> Option<AccountView<'_>> {
        self.entry(address).map(|entry| AccountView { entry })
    }

    /// The code with this hash.
    pub fn code(&self, code_hash: &B256) -> Option<Bytes> {
        self.codes.get(code_hash).cloned()
    }

    /// The byte string that a slot stands for, if it stands for one.
    pub fn content(&self, address: &Address, slot: &U256) -> Option<Bytes> {
        self.contents.get(&content_key(address, slot)).cloned()
    }

    /// Root of the account trie. Nodes keep their hashes, so only what changed since the states
    /// that this one was made from is hashed, once.
    pub fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// The state after `diff`; shares every node that the diff does not touch. Large diffs are applied
    /// and hashed by several threads.
    pub fn apply(&self, diff: &StateDiff) -> Self {
        let mut next = self.clone();
        for (hash, code) in &diff.codes {
            next.codes.set(hash, Some(code.clone()));
        }
        let changed = |(address, change): (&Address, &AccountDiff)| {
            let key = keccak256(address);
            (key, self.changed(*address, &key, change))
        };
        let mut changes: Vec<_> = if diff.accounts.len() < MANY {
            diff.accounts.iter().map(changed).collect()
        } else {
            diff.accounts.par_iter().map(changed).collect()
        };
        changes.sort_unstable_by_key(|(key, _)| *key);
        next.accounts.update(changes);
        for ((address, slot), content) in &diff.contents {
            let content = (!content.is_empty()).then(|| content.clone());
            next.contents.set(&content_key(address, slot), content);
        }
        next
    }

    /// What is under `key` after a change of its account.
    fn changed(&self, address: Address, key: &B256, change: &AccountDiff) -> Option<Entry> {
        let account = change.kept()?;
        let mut storage = match self.accounts.get(key) {
            Some(entry) if !change.wiped => entry.storage.clone(),
            _ => Trie::default(),
        };
        let mut slots: Vec<_> = change
            .storage
            .iter()
            .map(|(key, value)| {
                let (key, value) = (*key, *value);
                let slot = (!value.is_zero()).then_some(Slot { key, value });
                (slot_key(&key), slot)
            })
            .collect();
        slots.sort_unstable_by_key(|(key, _)| *key);
        storage.update(slots);
        Some(Entry {
            address,
            account,
            storage,
        })
    }

    /// The state of these accounts, each with its slots that are not zero, and codes. No address, and
    /// no slot of an account, is there twice.
    pub(crate) fn from_parts(
        accounts: Vec<(Address, Account, Slots)>,
        codes: Vec<(B256, Bytes)>,
    ) -> Self {
        let mut entries: Vec<_> = accounts
            .into_par_iter()
            .map(|(address, account, slots)| {
                let slot = |(key, value)| (slot_key(&key), Slot { key, value });
                let mut slots: Vec<_> = slots.into_iter().map(slot).collect();
                slots.sort_unstable_by_key(|(key, _)| *key);
                let entry = Entry {
                    address,
                    account,
                    storage: Trie::build(&slots),
                };
                (keccak256(address), entry)
            })
            .collect();
        entries.par_sort_unstable_by_key(|(key, _)| *key);
        let mut state = Self {
            accounts: Trie::build(&entries),
            codes: Trie::default(),
            contents: Trie::default(),
        };
        for (hash, code) in codes {
            state.codes.set(&hash, Some(code));
        }
        state
    }

    /// EIP-1186 proof of an account and of some of its slots.
    pub fn prove(&self, address: &Address, slots: &[U256]) -> AccountProof {
        let entry = self.entry(address);
        let prove_slot = |key: &U256| StorageProof {
            key: *key,
            value: self.storage(address, key),
            proof: entry.map_or_else(Vec::new, |entry| entry.storage.prove(&slot_key(key))),
        };
        AccountProof {
            address: *address,
            account: entry.map(|entry| entry.account),
            storage_root: entry.map_or(EMPTY_ROOT_HASH, |entry| entry.storage.root()),
            proof: self.accounts.prove(&keccak256(address)),
            storage: slots.iter().map(prove_slot).collect(),
        }
    }

    /// Sum of all balances, saturating. Walks the whole state: for tests and audits.
    pub fn total_balance(&self) -> U256 {
        self.accounts().fold(U256::ZERO, |sum, (_, account)| {
            sum.saturating_add(account.balance)
        })
    }

    /// All accounts, in the order of the trie (by hash of the address).
    pub fn accounts(&self) -> impl Iterator<Item = (Address, Account)> + '_ {
        self.accounts
            .iter()
            .map(|entry| (entry.address, entry.account))
    }

    /// All slots of an account that are not zero, in the order of the trie (by hash of the slot).
    pub fn storage_of(&self, address: &Address) -> impl Iterator<Item = (U256, U256)> + '_ {
        let entry = self.entry(address);
        entry
            .into_iter()
            .flat_map(|entry| entry.storage.iter().map(|slot| (slot.key, slot.value)))
    }

    fn entry(&self, address: &Address) -> Option<&Entry> {
        self.accounts.get(&keccak256(address))
    }
}

fn content_key(address: &Address, slot: &U256) -> B256 {
    let mut bytes = [0; 52];
    bytes[..20].copy_from_slice(&address[..]);
    bytes[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    keccak256(bytes)
}
