//! The incremental trie against a full rebuild by alloy-trie's `HashBuilder`.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, I256, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieAccount,
    proof::verify_proof,
    root::{state_root_unhashed, storage_root_unhashed},
};
use proptest::prelude::*;

use crate::{Account, AccountDiff, AccountProof, State, StateDiff};

type Naive = BTreeMap<Address, (Account, BTreeMap<U256, U256>)>;

/// The same rules written the obvious way.
fn apply_naive(state: &mut Naive, diff: &StateDiff) {
    for (address, change) in &diff.accounts {
        let Some(account) = change.info.filter(|account| !account.is_empty()) else {
            state.remove(address);
            continue;
        };
        let entry = state.entry(*address).or_default();
        entry.0 = account;
        if change.wiped {
            entry.1.clear();
        }
        for (slot, value) in &change.storage {
            entry.1.insert(*slot, *value);
        }
        entry.1.retain(|_, value| !value.is_zero());
    }
}

fn storage_root(storage: &BTreeMap<U256, U256>) -> B256 {
    storage_root_unhashed(
        storage
            .iter()
            .map(|(slot, value)| (B256::from(*slot), *value)),
    )
}

fn rebuilt_root(state: &Naive) -> B256 {
    state_root_unhashed(state.iter().map(|(address, (account, storage))| {
        let Account {
            nonce,
            balance,
            code_hash,
        } = *account;
        (
            *address,
            TrieAccount {
                nonce,
                balance,
                storage_root: storage_root(storage),
                code_hash,
            },
        )
    }))
}

fn verify(root: B256, key: &[u8], value: Option<Vec<u8>>, proof: &[Bytes]) {
    verify_proof(root, Nibbles::unpack(keccak256(key)), value, proof).unwrap();
}

fn verify_account(root: B256, proof: &AccountProof) {
    let value = proof.account.map(
        |Account {
             nonce,
             balance,
             code_hash,
         }| {
            let storage_root = proof.storage_root;
            alloy_rlp::encode(TrieAccount {
                nonce,
                balance,
                storage_root,
                code_hash,
            })
        },
    );
    verify(root, &proof.address[..], value, &proof.proof);
    for slot in &proof.storage {
        let value = (!slot.value.is_zero()).then(|| alloy_rlp::encode(slot.value));
        verify(
            proof.storage_root,
            &slot.key.to_be_bytes::<32>(),
            value,
            &slot.proof,
        );
    }
}

fn address(n: u8) -> Address {
    Address::with_last_byte(n)
}

fn funded(balance: u64) -> AccountDiff {
    let info = Some(Account {
        balance: U256::from(balance),
        ..Account::default()
    });
    AccountDiff {
        info,
        ..AccountDiff::default()
    }
}

fn diff(changes: impl IntoIterator<Item = (Address, AccountDiff)>) -> StateDiff {
    StateDiff {
        accounts: changes.into_iter().collect(),
        ..StateDiff::default()
    }
}

prop_compose! {
    fn any_change()(
        kind in 0u8..8,
        nonce in 0u64..3,
        balance in 0u64..3,
        wiped in prop::bool::weighted(0.1),
        storage in prop::collection::btree_map(0u64..24, 0u64..3, 0..6),
    ) -> AccountDiff {
        let account = Account { nonce, balance: U256::from(balance), ..Account::default() };
        let word = |(slot, value): (u64, u64)| (U256::from(slot), U256::from(value) << 200);
        AccountDiff {
            info: (kind > 0).then_some(account),
            storage: storage.into_iter().map(word).collect(),
            wiped,
        }
    }
}

prop_compose! {
    fn any_diff()(
        changes in prop::collection::btree_map(0u8..60, any_change(), 0..24)
    ) -> StateDiff {
        diff(changes.into_iter().map(|(n, change)| (address(n), change)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_root_equals_that_of_a_full_rebuild(diffs in prop::collection::vec(any_diff(), 1..12)) {
        let (mut state, mut naive) = (State::empty(), Naive::new());
        let mut before = Vec::new();
        for diff in &diffs {
            before.push((state.clone(), state.root()));
            state = state.apply(diff);
            apply_naive(&mut naive, diff);
            prop_assert_eq!(state.root(), rebuilt_root(&naive));
            for n in 0..60 {
                let expected = naive.get(&address(n));
                prop_assert_eq!(state.account(&address(n)), expected.map(|entry| entry.0));
                for slot in (0..24).map(U256::from) {
                    let expected = expected.and_then(|entry| entry.1.get(&slot).copied());
                    prop_assert_eq!(state.storage(&address(n), &slot), expected.unwrap_or_default());
                }
            }
        }
        // Sharing nodes with later states has changed none of the earlier ones: hashed from
        // scratch, each still has the root that it had.
        for (state, root) in before {
            prop_assert_eq!(state.root(), root);
            let mut naive = Naive::new();
            for (address, account) in state.accounts() {
                naive.insert(address, (account, state.storage_of(&address).collect()));
            }
            prop_assert_eq!(rebuilt_root(&naive), root);
        }
    }

    #[test]
    fn every_proof_is_accepted_by_alloy_trie(diffs in prop::collection::vec(any_diff(), 1..5)) {
        let state = diffs.iter().fold(State::empty(), |state, diff| state.apply(diff));
        let slots: Vec<U256> = (0..26).map(U256::from).collect();
        for n in 0..64 {
            verify_account(state.root(), &state.prove(&address(n), &slots));
        }
    }

    #[test]
    fn an_empty_state_is_reached_again_by_deleting_everything(diff in any_diff()) {
        let full = State::empty().apply(&diff);
        let gone = full.accounts().map(|(address, _)| (address, AccountDiff::default()));
        let empty = full.apply(&self::diff(gone));
        prop_assert_eq!(empty.root(), EMPTY_ROOT_HASH);
        prop_assert_eq!(empty.accounts().count(), 0);
    }

    #[test]
    fn balance_change_is_the_difference_of_the_totals(first in any_diff(), second in any_diff()) {
        let before = State::empty().apply(&first);
        let after = before.apply(&second);
        let change = I256::try_from(after.total_balance()).unwrap()
            - I256::try_from(before.total_balance()).unwrap();
        prop_assert_eq!(second.balance_change(&before), change);
    }
}

#[test]
fn a_transfer_changes_no_sum_and_a_minted_unit_does() {
    let before = State::empty().apply(&diff([(address(1), funded(10)), (address(2), funded(5))]));
    let transfer = diff([(address(1), funded(3)), (address(2), funded(12))]);
    assert_eq!(transfer.balance_change(&before), I256::ZERO);
    let minted = diff([(address(1), funded(3)), (address(2), funded(13))]);
    assert_eq!(minted.balance_change(&before), I256::ONE);
    assert_eq!(before.apply(&minted).total_balance(), U256::from(16));
}

#[test]
fn an_overflowing_sum_is_never_taken_for_zero() {
    let huge = AccountDiff {
        info: Some(Account {
            balance: U256::MAX,
            ..Account::default()
        }),
        ..AccountDiff::default()
    };
    let both = diff([(address(1), huge.clone()), (address(2), huge)]);
    assert_eq!(both.balance_change(&State::empty()), I256::MAX);
}

#[test]
fn an_account_takes_its_storage_and_its_proof_with_it() {
    let mut change = funded(1);
    change.storage.insert(U256::from(7), U256::from(9));
    let state = State::empty().apply(&diff([(address(1), change), (address(2), funded(1))]));
    assert_eq!(state.storage(&address(1), &U256::from(7)), U256::from(9));
    let gone = state.apply(&diff([(address(1), AccountDiff::default())]));
    assert_eq!(gone.storage(&address(1), &U256::from(7)), U256::ZERO);
    assert_eq!(
        gone.root(),
        State::empty()
            .apply(&diff([(address(2), funded(1))]))
            .root()
    );
    let proof = gone.prove(&address(1), &[U256::from(7)]);
    assert_eq!((proof.account, proof.storage_root), (None, EMPTY_ROOT_HASH));
    verify_account(gone.root(), &proof);
    // The state from before still has it.
    assert_eq!(state.storage(&address(1), &U256::from(7)), U256::from(9));
}

#[test]
fn a_proof_of_one_account_does_not_serve_another() {
    let state = State::empty().apply(&diff(
        (0..40).map(|n| (address(n), funded(1 + u64::from(n)))),
    ));
    let proof = state.prove(&address(3), &[]);
    let mut value = Vec::new();
    TrieAccount {
        balance: U256::from(4),
        ..TrieAccount::default()
    }
    .encode(&mut value);
    verify(
        state.root(),
        &address(3)[..],
        Some(value.clone()),
        &proof.proof,
    );
    let other = Nibbles::unpack(keccak256(address(4)));
    assert!(verify_proof(state.root(), other, Some(value), &proof.proof).is_err());
}

#[test]
fn a_single_account_has_the_root_of_the_reference() {
    let state = State::empty().apply(&diff([(Address::ZERO, funded(1))]));
    let account = TrieAccount {
        balance: U256::from(1),
        ..TrieAccount::default()
    };
    assert_eq!(
        state.root(),
        state_root_unhashed([(Address::ZERO, account)])
    );
    assert_eq!(State::empty().root(), EMPTY_ROOT_HASH);
}

#[test]
fn many_changes_at_once_give_the_root_of_a_rebuilt_trie() {
    // Enough for several threads; a second block on top of it, removals included, and one that
    // leaves a single subtree, a single account, nothing.
    let account_of = |number: u64| Address::left_padding_from(&(number + 1).to_be_bytes());
    let spread = |number: u64| keccak256(number.to_be_bytes());
    let mut first: StateDiff =
        diff((0..3_000).map(|number| (account_of(number), funded(number + 1))));
    let slots = (0..500u64).map(|slot| (U256::from(slot), U256::from(slot % 7)));
    let contract = first.accounts.get_mut(&account_of(5)).unwrap();
    contract.storage = slots.collect();
    let second = diff((0..3_000).filter_map(|number| {
        let change = match spread(number)[0] % 3 {
            0 => AccountDiff::default(),
            1 => funded(7),
            _ => return None,
        };
        (number != 5).then_some((account_of(number), change))
    }));
    let mut third = StateDiff::default();
    third.accounts.insert(account_of(5), funded(9));
    let contract = third.accounts.get_mut(&account_of(5)).unwrap();
    contract.storage = (0..400u64)
        .map(|slot| (U256::from(slot), U256::ZERO))
        .collect();
    let mut naive = Naive::new();
    let mut state = State::empty();
    for block in [&first, &second, &third] {
        let before = state.root();
        let next = state.apply(block);
        assert_eq!(state.root(), before, "the state from before stays");
        apply_naive(&mut naive, block);
        assert_eq!(next.root(), rebuilt_root(&naive));
        state = next;
    }
    for keep in [16, 1] {
        // All but the accounts of one subtree, then all but one.
        let kept: Vec<_> = state
            .accounts()
            .map(|(address, _)| address)
            .filter(|address| keccak256(address)[0] >> 4 == 3)
            .take(keep)
            .collect();
        let gone = state.accounts().map(|(address, _)| address);
        let gone = gone.filter(|address| !kept.contains(address));
        let all_but = diff(gone.map(|address| (address, AccountDiff::default())));
        apply_naive(&mut naive, &all_but);
        let left = state.apply(&all_but);
        assert_eq!(left.accounts().count(), kept.len());
        assert_eq!(left.root(), rebuilt_root(&naive));
        // One path of removals from the same state: the other way to the same trie.
        let mut slowly = state.clone();
        for (address, change) in &all_but.accounts {
            slowly = slowly.apply(&diff([(*address, change.clone())]));
        }
        assert_eq!(slowly.root(), left.root());
    }
    let nothing = diff(
        state
            .accounts()
            .map(|(address, _)| (address, AccountDiff::default())),
    );
    assert_eq!(state.apply(&nothing).root(), EMPTY_ROOT_HASH);
}
