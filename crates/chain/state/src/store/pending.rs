//! Rows that are durable in another form, and not yet in their tables.
//!
//! A block changes a few thousand rows that lie anywhere in tables of millions: written at once, each
//! costs a page of its own. So a block's changes become durable as one value, and the keys are cut into
//! [`SLICES`] by their first bits: the block at height `h` writes the rows of slice `h mod SLICES`,
//! those of the last [`SLICES`] blocks together, which lie side by side.
//!
//! After the block at height `h`:
//!
//! - every slice has been written within the last [`SLICES`] blocks, so a change of a block at or below
//!   `h − SLICES` is in its table, and its value is no longer needed;
//! - the values of the blocks above that, applied in order to the tables, give the state. Those that a
//!   table has already do no harm: a change says what a row *is* after its block, and whatever came
//!   later comes later here too.
//!
//! Codes, and byte strings that slots stand for, are written at once. Genesis is written whole.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};

use super::tables::{decode_account, encode_account};
use crate::{Account, AccountDiff, Executed};

/// Parts of the keys, and blocks whose changes are kept as values. A power of two, at most 256.
pub(super) const SLICES: u64 = 64;

/// The slice that a block writes.
pub(super) fn slice_at(height: u64) -> usize {
    (height % SLICES) as usize
}

/// The slice of keys that begin with this byte.
fn slice_of(first: u8) -> usize {
    usize::from(first) * SLICES as usize / 256
}

/// Changes of accounts by address.
pub(super) type Changes = BTreeMap<Address, AccountDiff>;
/// Height and index of transactions by hash.
pub(super) type Places = BTreeMap<B256, (u64, u64)>;

/// Changes and transactions that are not in their tables.
#[derive(Debug)]
pub(super) struct Pending {
    changes: Vec<Changes>,
    places: Vec<Places>,
}

impl Default for Pending {
    fn default() -> Self {
        let slices = SLICES as usize;
        Self {
            changes: vec![Changes::new(); slices],
            places: vec![Places::new(); slices],
        }
    }
}

impl Pending {
    /// What a block adds to one slice: later than all that is pending there.
    pub(super) fn of_block(executed: &Executed, slice: usize) -> (Changes, Places) {
        let changes = executed.diff.accounts.iter();
        let changes = changes.filter(|(address, _)| slice_of(address[0]) == slice);
        let places = places(executed.number(), &executed.block);
        let places = places.filter(|(hash, _)| slice_of(hash[0]) == slice);
        let changes = changes.map(|(address, change)| (*address, change.clone()));
        (changes.collect(), places.collect())
    }

    /// The pending rows of a slice.
    pub(super) fn slice(&self, slice: usize) -> (&Changes, &Places) {
        (&self.changes[slice], &self.places[slice])
    }

    /// Where a transaction is, if it is pending.
    pub(super) fn place(&self, hash: &B256) -> Option<(u64, u64)> {
        self.places[slice_of(hash[0])].get(hash).copied()
    }

    /// Adds a block that is durable and wrote the slice of its height.
    pub(super) fn add(&mut self, executed: &Executed) {
        let written = slice_at(executed.number());
        self.changes[written].clear();
        self.places[written].clear();
        for (address, change) in &executed.diff.accounts {
            let slice = slice_of(address[0]);
            if slice != written {
                self.change(slice, *address, change.clone());
            }
        }
        for (hash, place) in places(executed.number(), &executed.block) {
            let slice = slice_of(hash[0]);
            if slice != written {
                self.places[slice].insert(hash, place);
            }
        }
    }

    /// Adds what a store that is opened found: changes of a block, oldest block first.
    pub(super) fn restore(
        &mut self,
        changes: Changes,
        found: impl IntoIterator<Item = (B256, (u64, u64))>,
    ) {
        for (address, change) in changes {
            self.change(slice_of(address[0]), address, change);
        }
        for (hash, place) in found {
            self.places[slice_of(hash[0])].insert(hash, place);
        }
    }

    /// All pending changes.
    pub(super) fn all_changes(&self) -> Changes {
        let all = self.changes.iter().flatten();
        all.map(|(address, change)| (*address, change.clone()))
            .collect()
    }

    fn change(&mut self, slice: usize, address: Address, later: AccountDiff) {
        match self.changes[slice].entry(address) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(later);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let change = entry.get_mut();
                // What is gone takes its storage with it, also if it comes back later.
                let gone = later.wiped || later.kept().is_none();
                if gone {
                    change.storage.clear();
                }
                change.wiped |= gone || change.kept().is_none();
                change.info = later.info;
                if later.kept().is_some() {
                    change.storage.extend(later.storage);
                }
            }
        }
    }
}

/// Height and index of a block's transactions.
pub(super) fn places(
    height: u64,
    block: &hallmark_types::Block,
) -> impl Iterator<Item = (B256, (u64, u64))> + '_ {
    (0u64..)
        .zip(&block.transactions)
        .map(move |(index, transaction)| (*transaction.tx_hash(), (height, index)))
}

const KEPT: u8 = 1;
const WIPED: u8 = 2;

/// `(address ‖ flags ‖ [account] ‖ number of slots ‖ (slot ‖ value)…)…`, numbers big endian.
pub(super) fn encode_changes(changes: &Changes) -> Vec<u8> {
    let mut out = Vec::with_capacity(changes.len() * 100);
    for (address, change) in changes {
        let kept = change.kept();
        out.extend_from_slice(&address[..]);
        out.push(u8::from(kept.is_some()) * KEPT + u8::from(change.wiped) * WIPED);
        if let Some(account) = kept {
            out.extend_from_slice(&encode_account(&account));
        }
        // A block's gas bounds its slots far below this.
        let slots = u32::try_from(change.storage.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&slots.to_be_bytes());
        for (slot, value) in &change.storage {
            out.extend_from_slice(&slot.to_be_bytes::<32>());
            out.extend_from_slice(&value.to_be_bytes::<32>());
        }
    }
    out
}

/// Reads what [`encode_changes`] wrote; `None` for anything else.
pub(super) fn decode_changes(mut bytes: &[u8]) -> Option<Changes> {
    fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
        let (first, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(first)
    }
    let mut changes = Changes::new();
    while !bytes.is_empty() {
        let address = Address::from(take::<20>(&mut bytes)?);
        let [flags] = *take::<1>(&mut bytes)?;
        if flags & !(KEPT | WIPED) != 0 {
            return None;
        }
        let mut info: Option<Account> = None;
        if flags & KEPT != 0 {
            info = Some(decode_account(take::<72>(&mut bytes)?));
        }
        let slots = u32::from_be_bytes(*take::<4>(&mut bytes)?);
        let mut storage = BTreeMap::new();
        for _ in 0..slots {
            let slot = U256::from_be_bytes(*take::<32>(&mut bytes)?);
            storage.insert(slot, U256::from_be_bytes(*take::<32>(&mut bytes)?));
        }
        let wiped = flags & WIPED != 0;
        let change = AccountDiff {
            info,
            storage,
            wiped,
        };
        changes.insert(address, change);
    }
    Some(changes)
}
