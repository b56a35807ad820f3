//! The tables of the database, and how a block and its state are laid out in them.
//!
//! Flat state by plain address and slot, from which the trie is rebuilt on opening; blocks and
//! their outcomes by height; indices from hashes to heights; and `meta`, which says what the rest
//! belongs to and how far it goes. The flat state and the index of transactions lag behind by what
//! [`pending`](super::pending) says.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use hallmark_types::Block;

use super::pending::{self, Changes, Pending, Places};
use crate::{Account, Executed, State, StateDiff};

/// Layout of the tables; another number cannot be read.
const VERSION: u64 = 5;

/// How many rows [`CONTENTS`] has, in [`META`].
const CONTENT_COUNT: &str = "contents";

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const ACCOUNTS: TableDefinition<'_, [u8; 20], [u8; 72]> = TableDefinition::new("accounts");
const STORAGE: TableDefinition<'_, [u8; 52], [u8; 32]> = TableDefinition::new("storage");
/// Changes of the last blocks by height, see [`pending`](super::pending).
const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
const CODES: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("codes");
/// Byte strings by account and by the slot whose word is their hash.
pub(super) const CONTENTS: TableDefinition<'_, [u8; 52], &[u8]> = TableDefinition::new("contents");
pub(super) const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
pub(super) const RECEIPTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("receipts");
/// Only of blocks whose sweeps told something, and of the latest [`SWEEP_LOG_BLOCKS`](super::SWEEP_LOG_BLOCKS).
pub(super) const SWEEP_LOGS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sweep_logs");
pub(super) const SENDERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("senders");
pub(super) const FINALIZATIONS: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new("finalizations");
pub(super) const HASHES: TableDefinition<'_, u64, [u8; 32]> = TableDefinition::new("hashes");
pub(super) const NUMBERS: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("numbers");
pub(super) const TRANSACTIONS: TableDefinition<'_, [u8; 32], (u64, u64)> =
    TableDefinition::new("transactions");

/// What `meta` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) spec: B256,
    pub(super) genesis: B256,
    pub(super) height: u64,
    pub(super) hash: B256,
    pub(super) root: B256,
}

/// Reads `meta`: `Ok(None)` for a new database, `Err(reason)` inside for one that is incomplete or
/// of another layout.
pub(super) fn read_meta(
    txn: &ReadTransaction,
) -> Result<Option<Result<Meta, String>>, redb::Error> {
    let table = match txn.open_table(META) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let bytes = |name: &str| -> Result<Option<Vec<u8>>, redb::Error> {
        Ok(table.get(name)?.map(|value| value.value().to_vec()))
    };
    let number = |bytes: Option<Vec<u8>>| bytes?.try_into().ok().map(u64::from_be_bytes);
    let hash = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| B256::try_from(&bytes[..]).ok());
    let version = number(bytes("version")?);
    if version != Some(VERSION) {
        let reason = format!("its layout is {version:?}, this program reads layout {VERSION}");
        return Ok(Some(Err(reason)));
    }
    let (spec, genesis) = (hash(bytes("spec")?), hash(bytes("genesis")?));
    let (height, head) = (number(bytes("height")?), hash(bytes("hash")?));
    let root = hash(bytes("root")?);
    let meta = (|| {
        Some(Meta {
            spec: spec?,
            genesis: genesis?,
            height: height?,
            hash: head?,
            root: root?,
        })
    })();
    Ok(Some(
        meta.ok_or_else(|| "its meta table is incomplete".to_owned()),
    ))
}

/// Writes `meta` and everything of one block; of the flat state and the index of transactions, what is
/// this block's turn: all of genesis, and then a slice.
pub(super) fn write_block(
    txn: &WriteTransaction,
    meta: &Meta,
    executed: &Executed,
    finalization: &Bytes,
    pending: &Pending,
    sweep_log_blocks: u64,
) -> Result<(), redb::Error> {
    let mut table = txn.open_table(META)?;
    table.insert("version", &VERSION.to_be_bytes()[..])?;
    table.insert("spec", &meta.spec[..])?;
    table.insert("genesis", &meta.genesis[..])?;
    table.insert("height", &meta.height.to_be_bytes()[..])?;
    table.insert("hash", &meta.hash[..])?;
    table.insert("root", &meta.root[..])?;

    let height = meta.height;
    txn.open_table(BLOCKS)?
        .insert(height, &executed.block.to_rlp()[..])?;
    txn.open_table(RECEIPTS)?
        .insert(height, &alloy_rlp::encode(&executed.receipts)[..])?;
    let mut sweep_logs = txn.open_table(SWEEP_LOGS)?;
    if !executed.sweep_logs.is_empty() {
        sweep_logs.insert(height, &alloy_rlp::encode(&executed.sweep_logs)[..])?;
    }
    // Every height passes here once, so no older row is left.
    if let Some(old) = height.checked_sub(sweep_log_blocks) {
        sweep_logs.remove(old)?;
    }
    let senders: Vec<u8> = executed
        .senders
        .iter()
        .flat_map(|sender| sender.0.0)
        .collect();
    txn.open_table(SENDERS)?.insert(height, &senders[..])?;
    txn.open_table(FINALIZATIONS)?
        .insert(height, &finalization[..])?;
    txn.open_table(HASHES)?.insert(height, meta.hash.0)?;
    txn.open_table(NUMBERS)?.insert(meta.hash.0, height)?;
    let mut codes = txn.open_table(CODES)?;
    for (hash, code) in &executed.diff.codes {
        codes.insert(hash.0, &code[..])?;
    }
    // Nothing in the state says which words are hashes of contents, so their number does.
    let mut count = table
        .get(CONTENT_COUNT)?
        .map_or(0, |row| count_of(row.value()));
    let mut contents = txn.open_table(CONTENTS)?;
    for ((address, slot), content) in &executed.diff.contents {
        let key = storage_key(address, slot);
        let had = if content.is_empty() {
            contents.remove(key)?.is_some()
        } else {
            contents.insert(key, &content[..])?.is_some()
        };
        match (had, content.is_empty()) {
            (false, false) => count = count.saturating_add(1),
            (true, true) => count = count.saturating_sub(1),
            _ => {}
        }
    }
    table.insert(CONTENT_COUNT, &count.to_be_bytes()[..])?;
    let mut values = txn.open_table(CHANGES)?;
    if height == 0 {
        write_places(txn, &pending::places(height, &executed.block).collect())?;
        return write_changes(txn, &executed.diff.accounts);
    }
    let changes = pending::encode_changes(&executed.diff.accounts);
    values.insert(height, &changes[..])?;
    if let Some(written) = height.checked_sub(pending::SLICES) {
        values.remove(written)?;
    }
    let slice = pending::slice_at(height);
    let (earlier_changes, earlier_places) = pending.slice(slice);
    let (changes, places) = Pending::of_block(executed, slice);
    write_changes(txn, earlier_changes)?;
    write_changes(txn, &changes)?;
    write_places(txn, earlier_places)?;
    write_places(txn, &places)
}

fn write_places(txn: &WriteTransaction, places: &Places) -> Result<(), redb::Error> {
    let mut transactions = txn.open_table(TRANSACTIONS)?;
    for (hash, place) in places {
        transactions.insert(hash.0, *place)?;
    }
    Ok(())
}

fn write_changes(txn: &WriteTransaction, changes: &Changes) -> Result<(), redb::Error> {
    let mut accounts = txn.open_table(ACCOUNTS)?;
    let mut storage = txn.open_table(STORAGE)?;
    for (address, change) in changes {
        let kept = change.kept();
        if change.wiped || kept.is_none() {
            storage.retain_in(slots_of(address), |_, _| false)?;
        }
        let Some(account) = kept else {
            accounts.remove(address.0.0)?;
            continue;
        };
        accounts.insert(address.0.0, encode_account(&account))?;
        for (slot, value) in &change.storage {
            let key = storage_key(address, slot);
            if value.is_zero() {
                storage.remove(key)?;
            } else {
                storage.insert(key, value.to_be_bytes::<32>())?;
            }
        }
    }
    Ok(())
}

/// Rebuilds the state from the flat tables; `Err(reason)` inside when they contradict themselves.
pub(super) fn read_state(txn: &ReadTransaction) -> Result<Result<State, String>, redb::Error> {
    let mut codes = Vec::new();
    for row in txn.open_table(CODES)?.iter()? {
        let (hash, code) = row?;
        let (hash, code) = (
            B256::from(hash.value()),
            Bytes::copy_from_slice(code.value()),
        );
        if keccak256(&code) != hash {
            return Ok(Err(format!("code {hash} does not have that hash")));
        }
        codes.push((hash, code));
    }
    let known: BTreeSet<B256> = codes.iter().map(|(hash, _)| *hash).collect();
    // Both tables are in the order of addresses.
    let mut accounts = Vec::new();
    let storage = txn.open_table(STORAGE)?;
    let mut storage = storage.iter()?.peekable();
    for row in txn.open_table(ACCOUNTS)?.iter()? {
        let (address, account) = row?;
        let address = Address::from(address.value());
        let account = decode_account(&account.value());
        if account.has_code() && !known.contains(&account.code_hash) {
            return Ok(Err(format!("the code of {address} is missing")));
        }
        let mut slots = Vec::new();
        while let Some(row) = storage.next_if(|row| {
            // An error is of this account too, so that it is reported.
            row.as_ref()
                .map_or(true, |(key, _)| key.value()[..20] == address[..])
        }) {
            let (key, value) = row?;
            let slot = U256::from_be_slice(&key.value()[20..]);
            slots.push((slot, U256::from_be_bytes(value.value())));
        }
        accounts.push((address, account, slots));
    }
    match storage.next() {
        None => Ok(Ok(State::from_parts(accounts, codes))),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(_)) => Ok(Err("storage without an account".to_owned())),
    }
}

/// A number as `meta` keeps it; one that is no number fits no count.
fn count_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(u64::MAX, u64::from_be_bytes)
}

/// `state` with the byte strings that its slots stand for; `Err(reason)` inside when one does not have the
/// hash that is its slot's word, or when there are not as many as were written.
pub(super) fn read_contents(
    txn: &ReadTransaction,
    state: &State,
) -> Result<Result<State, String>, redb::Error> {
    let mut found = StateDiff::default();
    for row in txn.open_table(CONTENTS)?.iter()? {
        let (key, content) = row?;
        let key = key.value();
        let (address, slot) = (
            Address::from_slice(&key[..20]),
            U256::from_be_slice(&key[20..]),
        );
        let content = Bytes::copy_from_slice(content.value());
        if U256::from_be_bytes(keccak256(&content).0) != state.storage(&address, &slot) {
            return Ok(Err(format!(
                "the content of slot {slot:#x} of {address} does not have the hash there"
            )));
        }
        found.contents.insert((address, slot), content);
    }
    let written = txn.open_table(META)?.get(CONTENT_COUNT)?;
    let written = written.map_or(0, |row| count_of(row.value()));
    let there = found.contents.len() as u64;
    if there != written {
        return Ok(Err(format!(
            "it has {there} contents of slots, {written} were written"
        )));
    }
    Ok(Ok(state.apply(&found)))
}

/// What the blocks up to `height` did and the tables may not have; `Err(reason)` inside when a block or
/// its changes are missing or malformed.
pub(super) fn read_pending(
    txn: &ReadTransaction,
    height: u64,
) -> Result<Result<Pending, String>, redb::Error> {
    let (values, blocks) = (txn.open_table(CHANGES)?, txn.open_table(BLOCKS)?);
    let mut pending = Pending::default();
    let first = height.saturating_sub(pending::SLICES) + 1;
    for number in first..=height {
        let changes = values.get(number)?;
        let changes = changes.and_then(|changes| pending::decode_changes(changes.value()));
        let Some(changes) = changes else {
            return Ok(Err(format!("the changes of block {number} are missing")));
        };
        let block = blocks.get(number)?;
        let block = block.and_then(|block| Block::decode_exact(block.value()).ok());
        let Some(block) = block else {
            return Ok(Err(format!("block {number} is missing")));
        };
        pending.restore(changes, pending::places(number, &block));
    }
    Ok(Ok(pending))
}

fn slots_of(address: &Address) -> RangeInclusive<[u8; 52]> {
    storage_key(address, &U256::ZERO)..=storage_key(address, &U256::MAX)
}

fn storage_key(address: &Address, slot: &U256) -> [u8; 52] {
    let mut key = [0; 52];
    key[..20].copy_from_slice(&address[..]);
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

pub(super) fn encode_account(account: &Account) -> [u8; 72] {
    let mut row = [0; 72];
    row[..8].copy_from_slice(&account.nonce.to_be_bytes());
    row[8..40].copy_from_slice(&account.balance.to_be_bytes::<32>());
    row[40..].copy_from_slice(&account.code_hash[..]);
    row
}

pub(super) fn decode_account(row: &[u8; 72]) -> Account {
    let mut nonce = [0; 8];
    nonce.copy_from_slice(&row[..8]);
    let code_hash = B256::from_slice(&row[40..]);
    debug_assert!(code_hash == KECCAK256_EMPTY || !code_hash.is_zero());
    Account {
        nonce: u64::from_be_bytes(nonce),
        balance: U256::from_be_slice(&row[8..40]),
        code_hash,
    }
}
