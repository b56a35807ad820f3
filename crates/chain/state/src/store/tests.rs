//! Opening, committing, crashing.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::{Receipt as PlainReceipt, ReceiptWithBloom, Signed, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Log, Signature, U256};
use hallmark_types::{Block, ChainSpec, Receipt, Transaction, ValidatorSpec, header, merkle};

use super::{InMemoryDisk, RECENT_STATES, Store, StoreError};
use crate::{Account, AccountDiff, Executed, State, StateDiff};

fn spec() -> ChainSpec {
    let address = Address::with_last_byte(1);
    let validators = vec![ValidatorSpec::local([7; 32], address)];
    ChainSpec::local(1, validators, BTreeMap::new(), address)
}

fn funded(balance: u64, slot: u64) -> AccountDiff {
    let info = Some(Account {
        balance: U256::from(balance),
        ..Account::default()
    });
    let storage = BTreeMap::from([(U256::from(slot), U256::from(balance))]);
    AccountDiff {
        info,
        storage,
        wiped: false,
    }
}

fn transaction(nonce: u64) -> Transaction {
    let signature = Signature::new(U256::from(1), U256::from(1), false);
    Signed::new_unhashed(
        TxEip1559 {
            nonce,
            ..TxEip1559::default()
        },
        signature,
    )
    .into()
}

/// A block with one transaction that credits account `number` and rewrites one slot of account 1.
fn child(parent: Option<&Executed>, salt: u8) -> Executed {
    let number = parent.map_or(0, |parent| parent.number() + 1);
    let mut diff = StateDiff::default();
    diff.accounts.insert(
        Address::with_last_byte(1),
        funded(1000 + number, number % 3),
    );
    diff.accounts.insert(
        Address::left_padding_from(&(number + 2).to_be_bytes()),
        funded(1, 0),
    );
    let code = Bytes::from(vec![0xef, salt]);
    let code_hash = alloy_primitives::keccak256(&code);
    diff.codes.insert(code_hash, code);
    child_with(parent, salt, diff)
}

/// A block with one transaction and these changes.
fn child_with(parent: Option<&Executed>, salt: u8, diff: StateDiff) -> Executed {
    let number = parent.map_or(0, |parent| parent.number() + 1);
    let before = parent.map_or_else(State::empty, |parent| parent.state.clone());
    let state = before.apply(&diff);
    let transactions = vec![transaction(number)];
    let receipt = PlainReceipt {
        status: true.into(),
        cumulative_gas_used: number,
        logs: vec![],
    };
    let receipts = vec![Receipt::Eip1559(ReceiptWithBloom::from(receipt))];
    let mut header = header::template();
    header.number = number;
    header.parent_hash = parent.map_or(B256::ZERO, |parent| parent.hash);
    header.state_root = state.root();
    header.mix_hash = B256::repeat_byte(salt);
    header.transactions_root = merkle::transactions_root(&transactions);
    header.receipts_root = merkle::receipts_root(&receipts);
    let block = Arc::new(Block {
        header,
        transactions,
    });
    let (hash, senders) = (block.hash(), vec![Address::with_last_byte(9)]);
    Executed {
        block,
        hash,
        senders,
        receipts,
        sweep_logs: told(number),
        diff,
        state,
    }
}

/// What the sweeps of a block tell: at odd heights as many logs as its number.
fn told(number: u64) -> Vec<Log> {
    let count = if number % 2 == 1 { number } else { 0 };
    let log = |index| {
        let topics = vec![B256::left_padding_from(&[index as u8])];
        Log::new_unchecked(Address::with_last_byte(5), topics, Bytes::from(vec![7; 40]))
    };
    (0..count).map(log).collect()
}

fn chain(length: usize) -> Vec<Executed> {
    let mut chain = vec![child(None, 0)];
    while chain.len() <= length {
        chain.push(child(chain.last(), 0));
    }
    chain
}

fn certificate(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn commit_all(store: &Store, blocks: &[Executed]) {
    for executed in blocks {
        store
            .commit(executed, certificate(executed.number()))
            .unwrap();
    }
}

#[test]
fn a_folder_opened_again_has_everything_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let chain = chain(5);
    let store = Store::open(folder.path(), &spec(), &chain[0]).unwrap();
    commit_all(&store, &chain[1..]);
    drop(store);
    let store = Store::open(folder.path(), &spec(), &chain[0]).unwrap();
    let head = store.head();
    assert_eq!(
        (head.hash, &head.finalization),
        (chain[5].hash, &certificate(5))
    );
    assert_eq!(head.state.root(), chain[5].state.root());
    for executed in &chain {
        let number = executed.number();
        assert_eq!(store.block_by_number(number).unwrap(), executed.block);
        assert_eq!(store.block_hash(number), Some(executed.hash));
        assert_eq!(store.number_by_hash(&executed.hash), Some(number));
        assert_eq!(store.receipts(number).unwrap(), executed.receipts);
        assert_eq!(store.sweep_logs(number), executed.sweep_logs);
        assert_eq!(store.senders(number).unwrap(), executed.senders);
        let hash = executed.block.transactions[0].tx_hash();
        assert_eq!(store.transaction(hash), Some((number, 0)));
    }
    assert_eq!(store.finalization(3), Some(certificate(3)));
    assert_eq!(store.finalization(0), Some(Bytes::new()));
    assert_eq!(store.block_by_number(6), None);
    // The chain goes on from there.
    store
        .commit(&child(chain.last(), 0), certificate(6))
        .unwrap();
    assert_eq!(store.head().block.number(), 6);
}

#[test]
fn deleted_and_wiped_accounts_are_gone_after_opening_again() {
    let disk = InMemoryDisk::new();
    let chain = chain(3);
    let store = Store::open_disk(&disk, &spec(), &chain[0]).unwrap();
    commit_all(&store, &chain[1..]);
    let mut next = child(chain.last(), 0);
    next.diff
        .accounts
        .insert(Address::with_last_byte(3), AccountDiff::default());
    let wiped = AccountDiff {
        wiped: true,
        ..funded(5, 9)
    };
    next.diff.accounts.insert(Address::with_last_byte(1), wiped);
    next.state = chain[3].state.apply(&next.diff);
    let mut block = (*next.block).clone();
    block.header.state_root = next.state.root();
    next.hash = block.hash();
    next.block = Arc::new(block);
    store.commit(&next, certificate(4)).unwrap();
    drop(store);
    let state = Store::open_disk(&disk, &spec(), &chain[0])
        .unwrap()
        .head()
        .state
        .clone();
    assert_eq!(state.root(), next.state.root());
    assert_eq!(state.account(&Address::with_last_byte(3)), None);
    let storage: Vec<_> = state.storage_of(&Address::with_last_byte(1)).collect();
    assert_eq!(storage, [(U256::from(9), U256::from(5))]);
}

#[test]
fn committing_a_block_again_does_nothing() {
    let chain = chain(3);
    let store = Store::in_memory(&spec(), &chain[0]).unwrap();
    commit_all(&store, &chain[1..]);
    let mut feed = store.subscribe();
    commit_all(&store, &chain);
    assert_eq!(store.head().hash, chain[3].hash);
    assert!(feed.try_recv().is_err());
}

#[test]
fn another_block_at_a_committed_height_is_a_divergence() {
    let chain = chain(3);
    let store = Store::in_memory(&spec(), &chain[0]).unwrap();
    commit_all(&store, &chain[1..]);
    let other = child(Some(&chain[1]), 1);
    let error = store.commit(&other, certificate(2)).unwrap_err();
    let expected = (2, chain[2].hash, other.hash);
    assert!(
        matches!(error, StoreError::Divergence { height, stored, offered } if (height, stored, offered) == expected),
        "{error}"
    );
    // A child of a block that was not the one committed.
    let stranger = child(Some(&child(Some(&chain[2]), 1)), 0);
    let error = store.commit(&stranger, certificate(4)).unwrap_err();
    assert!(
        matches!(error, StoreError::Divergence { height: 3, .. }),
        "{error}"
    );
    assert_eq!(store.head().hash, chain[3].hash);
}

#[test]
fn a_gap_is_refused() {
    let chain = chain(3);
    let store = Store::in_memory(&spec(), &chain[0]).unwrap();
    let error = store.commit(&chain[2], certificate(2)).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Gap {
                head: 0,
                offered: 2
            }
        ),
        "{error}"
    );
    assert_eq!(store.block_by_number(2), None);
}

#[test]
fn an_outcome_that_contradicts_its_header_is_refused() {
    let chain = chain(1);
    let store = Store::in_memory(&spec(), &chain[0]).unwrap();
    let mut wrong = chain[1].clone();
    wrong.state = chain[0].state.clone();
    let error = store.commit(&wrong, certificate(1)).unwrap_err();
    assert!(error.to_string().contains("state root"), "{error}");
    let mut wrong = chain[1].clone();
    wrong.senders.clear();
    assert!(matches!(
        store.commit(&wrong, certificate(1)),
        Err(StoreError::Inconsistent { .. })
    ));
    assert_eq!(store.head().hash, chain[0].hash);
}

#[test]
fn a_locked_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = child(None, 0);
    let _store = Store::open(folder.path(), &spec(), &genesis).unwrap();
    let error = Store::open(folder.path(), &spec(), &genesis).unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error}");
    assert!(
        error.to_string().contains(folder.path().to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn a_folder_of_another_chain_is_refused_with_both_names() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (child(None, 0), child(None, 1));
    drop(Store::open(folder.path(), &spec(), &ours).unwrap());
    let error = Store::open(folder.path(), &spec(), &theirs)
        .unwrap_err()
        .to_string();
    assert!(error.contains(&ours.hash.to_string()), "{error}");
    assert!(error.contains(&theirs.hash.to_string()), "{error}");
    let mut other = spec();
    other.market.bond_bps += 1;
    let error = Store::open(folder.path(), &other, &ours).unwrap_err();
    assert!(matches!(error, StoreError::OtherSpec { .. }), "{error}");
    // Refusing changed nothing.
    Store::open(folder.path(), &spec(), &ours).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(file.path().join("home"), &spec(), &child(None, 0)).unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }), "{error}");
}

#[test]
fn power_loss_leaves_whole_blocks_and_the_old_store_cannot_write() {
    let disk = InMemoryDisk::new();
    let chain = chain(8);
    for crash_after in 0..8 {
        let store = Store::open_disk(&disk, &spec(), &chain[0]).unwrap();
        assert_eq!(store.head().hash, chain[crash_after].hash);
        store
            .commit(&chain[crash_after + 1], certificate(1))
            .unwrap();
        assert!(matches!(
            Store::open_disk(&disk, &spec(), &chain[0]),
            Err(StoreError::Locked(_))
        ));
        disk.crash();
        if let Some(next) = chain.get(crash_after + 2) {
            let error = store.commit(next, certificate(2)).unwrap_err();
            assert!(matches!(error, StoreError::Database { .. }), "{error}");
            assert_eq!(store.head().hash, chain[crash_after + 1].hash);
        }
    }
}

#[test]
fn recent_states_are_kept_and_older_ones_are_not() {
    let chain = chain(RECENT_STATES + 2);
    let store = Store::in_memory(&spec(), &chain[0]).unwrap();
    assert_eq!(store.state_at(0).unwrap().root(), chain[0].state.root());
    commit_all(&store, &chain[1..]);
    let newest = RECENT_STATES as u64 + 2;
    let root = |number: u64| store.state_at(number).map(|state| state.root());
    assert_eq!(root(newest), Some(chain[RECENT_STATES + 2].state.root()));
    assert_eq!(root(3), Some(chain[3].state.root()));
    assert_eq!(root(2), None);
    assert_eq!(root(newest + 1), None);
}

#[test]
fn subscribers_see_every_block_in_order_after_it_is_durable() {
    let chain = chain(4);
    let store = Store::in_memory(&spec(), &chain[0]).unwrap();
    let mut feed = store.subscribe();
    commit_all(&store, &chain[1..]);
    for executed in &chain[1..] {
        assert_eq!(feed.try_recv().unwrap().hash, executed.hash);
    }
    assert!(feed.try_recv().is_err());
}

#[test]
fn the_tip_is_the_greatest_final_height_heard_of_and_never_below_the_head() {
    let blocks = chain(3);
    let store = Store::in_memory(&spec(), &blocks[0]).unwrap();
    assert_eq!(store.tip(), 0);
    store.note_tip(2);
    store.note_tip(1);
    assert_eq!(store.tip(), 2);
    commit_all(&store, &blocks[1..]);
    assert_eq!((store.head().block.number(), store.tip()), (3, 3));
}

/// Changes of a few accounts all over the keys: funded, written, emptied, destroyed, made anew.
fn some_changes(number: u64, seed: u64) -> StateDiff {
    let mut diff = StateDiff::default();
    for account in 0..24u64 {
        let draw = alloy_primitives::keccak256(
            [
                seed.to_be_bytes(),
                number.to_be_bytes(),
                account.to_be_bytes(),
            ]
            .concat(),
        );
        let address = Address::left_padding_from(&account.to_be_bytes());
        let address = Address::from_slice(&alloy_primitives::keccak256(address)[..20]);
        let change = match draw[0] % 12 {
            0 => AccountDiff::default(),
            1 => AccountDiff {
                wiped: true,
                ..funded(number + 1, u64::from(draw[1] % 4))
            },
            2 => {
                let mut change = funded(number + 1, u64::from(draw[1] % 4));
                change
                    .storage
                    .values_mut()
                    .for_each(|value| *value = U256::ZERO);
                change
            }
            3 | 4 => funded(number + 1, u64::from(draw[1] % 4)),
            _ => continue,
        };
        diff.accounts.insert(address, change);
    }
    diff
}

#[test]
fn a_store_opened_at_any_height_has_the_state_and_the_transactions_of_all_blocks() {
    let disk = InMemoryDisk::new();
    let genesis = child_with(None, 0, some_changes(0, 1));
    let mut store = Store::open_disk(&disk, &spec(), &genesis).unwrap();
    let mut blocks = vec![genesis];
    for number in 1..=3 * super::pending::SLICES + 7 {
        let executed = child_with(blocks.last(), 0, some_changes(number, 1));
        store.commit(&executed, certificate(number)).unwrap();
        blocks.push(executed);
        if number % 11 == 0 || (60..70).contains(&number) {
            // Power loss, or an orderly stop.
            if number % 2 == 0 {
                disk.crash();
            }
            drop(store);
            store = Store::open_disk(&disk, &spec(), &blocks[0]).unwrap();
        }
        let last = blocks.last().unwrap();
        assert_eq!(store.head().state.root(), last.state.root());
        for executed in &blocks {
            let hash = executed.block.transactions[0].tx_hash();
            assert_eq!(store.transaction(hash), Some((executed.number(), 0)));
        }
    }
}

#[test]
fn changes_survive_their_encoding_and_nothing_else_is_read() {
    let changes = (0..40).find_map(|number| {
        let changes = some_changes(number, 2).accounts;
        (changes.len() > 5).then_some(changes)
    });
    let changes = changes.unwrap();
    let bytes = super::pending::encode_changes(&changes);
    assert_eq!(super::pending::decode_changes(&bytes), Some(changes));
    for end in 1..bytes.len() {
        // A shorter one is a whole number of accounts, or nothing.
        if let Some(some) = super::pending::decode_changes(&bytes[..end]) {
            assert_eq!(super::pending::encode_changes(&some), bytes[..end]);
        }
    }
    let mut flagged = bytes.clone();
    flagged[20] |= 4;
    assert_eq!(super::pending::decode_changes(&flagged), None);
    assert_eq!(super::pending::decode_changes(&[0; 30]), None);
}

/// The child of `parent` in which slot 7 of account 1 stands for `content`, with the hash of `hashed`.
fn with_content(parent: &Executed, content: &[u8], hashed: &[u8]) -> Executed {
    let mut next = child(Some(parent), 0);
    let (account, slot) = (Address::with_last_byte(1), U256::from(7));
    let word = if hashed.is_empty() {
        U256::ZERO
    } else {
        alloy_primitives::keccak256(hashed).into()
    };
    let change = next.diff.accounts.get_mut(&account).unwrap();
    change.storage.insert(slot, word);
    let content = Bytes::copy_from_slice(content);
    next.diff.contents.insert((account, slot), content);
    next.state = parent.state.apply(&next.diff);
    let mut block = (*next.block).clone();
    block.header.state_root = next.state.root();
    next.hash = block.hash();
    next.block = Arc::new(block);
    next
}

#[test]
fn what_a_slot_stands_for_is_there_after_opening_again_until_it_is_replaced() {
    let disk = InMemoryDisk::new();
    let chain = chain(0);
    let (account, slot) = (Address::with_last_byte(1), U256::from(7));
    let long = vec![5; 40_000];
    let mut last = chain[0].clone();
    let mut before = last.state.clone();
    for content in [&long[..], &[1, 2, 3], &[], &long] {
        let store = Store::open_disk(&disk, &spec(), &chain[0]).unwrap();
        let next = with_content(&last, content, content);
        store.commit(&next, certificate(next.number())).unwrap();
        drop(store);
        let store = Store::open_disk(&disk, &spec(), &chain[0]).unwrap();
        let state = store.head().state.clone();
        let expected = (!content.is_empty()).then(|| Bytes::copy_from_slice(content));
        assert_eq!(state.content(&account, &slot), expected);
        assert_eq!(next.state.content(&account, &slot), expected);
        assert_eq!(state.content(&account, &U256::from(8)), None);
        // The state before is a value of its own.
        assert_eq!(
            before.content(&account, &slot),
            last.state.content(&account, &slot)
        );
        before = next.state.clone();
        last = next;
    }
}

#[test]
fn a_folder_whose_content_does_not_have_the_hash_of_its_slot_is_damaged() {
    for (content, hashed) in [(&b"one"[..], &b"other"[..]), (b"one", b"")] {
        let disk = InMemoryDisk::new();
        let chain = chain(0);
        let store = Store::open_disk(&disk, &spec(), &chain[0]).unwrap();
        let next = with_content(&chain[0], content, hashed);
        store.commit(&next, certificate(1)).unwrap();
        drop(store);
        let error = Store::open_disk(&disk, &spec(), &chain[0]).unwrap_err();
        assert!(
            matches!(&error, StoreError::Damaged { reason, .. } if reason.contains("slot 0x7")),
            "{error}"
        );
    }
}

#[test]
fn a_folder_that_lost_a_content_is_damaged() {
    let disk = InMemoryDisk::new();
    let chain = chain(0);
    let store = Store::open_disk(&disk, &spec(), &chain[0]).unwrap();
    let next = with_content(&chain[0], b"one", b"one");
    store.commit(&next, certificate(1)).unwrap();
    let txn = store.database.begin_write().unwrap();
    let mut contents = txn.open_table(super::tables::CONTENTS).unwrap();
    assert!(contents.pop_last().unwrap().is_some());
    drop(contents);
    txn.commit().unwrap();
    drop(store);
    let error = Store::open_disk(&disk, &spec(), &chain[0]).unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { reason, .. } if reason.contains("0 contents of slots, 1 were written")),
        "{error}"
    );
}

#[test]
fn logs_of_sweeps_are_kept_for_so_many_blocks_and_no_longer() {
    let chain = chain(9);
    let store = Store::in_memory(&spec(), &chain[0]).unwrap();
    let store = store.keeping_sweep_logs(4);
    commit_all(&store, &chain[1..]);
    for executed in &chain {
        let number = executed.number();
        let expected = if number > 5 { told(number) } else { Vec::new() };
        assert_eq!(store.sweep_logs(number), expected, "block {number}");
        assert!(store.receipts(number).is_some());
    }
}
