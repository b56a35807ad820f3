//! The pool's rules as stories, and its books under random use.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::{
    SignableTransaction, Signed, Transaction as _, TxEip1559, TxEip4844, TxEip7702,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use hallmark_execution::{BlockAttributes, Executor, NoAncestry, PooledTransaction};
use hallmark_state::{Executed, State};
use hallmark_types::{ChainSpec, MARK, Transaction, ValidatorSpec};
use proptest::prelude::*;

use crate::queue::{Bounds, Funds, Queues};
use crate::{Mempool, PoolError};

const FEE_CAP: u128 = 100_000_000_000;
const BASE_FEE: u64 = 1_000_000_000;

fn signer(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&[number; 32].into()).expect("a valid key")
}

fn template(nonce: u64, tip: u128) -> TxEip1559 {
    TxEip1559 {
        chain_id: 1618,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(Address::repeat_byte(1)),
        value: U256::from(1),
        access_list: Default::default(),
        input: Bytes::new(),
    }
}

fn sign(from: u8, tx: TxEip1559) -> Transaction {
    let signature = signer(from)
        .sign_hash_sync(&tx.signature_hash())
        .expect("a local key signs");
    tx.into_signed(signature).into()
}

fn raw(from: u8, tx: TxEip1559) -> Vec<u8> {
    sign(from, tx).encoded_2718()
}

/// A pool on a fresh chain, with limits that `change` sets.
struct World {
    pool: Mempool,
    executor: Arc<Executor>,
    head: Executed,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ChainSpec)) -> Self {
        let validators = vec![ValidatorSpec::local([1; 32], signer(99).address())];
        let alloc: BTreeMap<_, _> = (1..=8u8)
            .map(|i| (signer(i).address(), U256::from(MARK)))
            .collect();
        let mut spec = ChainSpec::local(0, validators, alloc, Address::repeat_byte(0x77));
        change(&mut spec);
        spec.check().expect("a usable spec");
        let spec = Arc::new(spec);
        let executor = Arc::new(Executor::new(spec.clone()));
        let head = executor.genesis();
        Self {
            pool: Mempool::new(spec, executor.clone()),
            executor,
            head,
        }
    }

    fn add(&self, from: u8, tx: TxEip1559) -> Result<B256, PoolError> {
        self.pool.add_raw(&raw(from, tx), &self.head.state)
    }

    fn best(&self) -> Vec<(Address, u64)> {
        let best = self
            .pool
            .best(&self.head.state, BASE_FEE, u64::MAX, usize::MAX);
        best.iter().map(|tx| (tx.sender, tx.tx.nonce())).collect()
    }

    /// Commits a block of `txs` and tells the pool.
    fn commit(&mut self, txs: Vec<Transaction>) {
        let candidates = txs
            .into_iter()
            .map(|tx| Arc::new(self.executor.recover(tx).unwrap()))
            .collect();
        let attributes = BlockAttributes {
            timestamp_ms: self.head.block.timestamp_ms() + 250,
            epoch: 0,
            view: self.head.number() + 1,
            parent_view: self.head.number(),
            leader: 0,
            beneficiary: signer(99).address(),
        };
        let head = &self.head;
        let built = self
            .executor
            .build_block(
                &head.block.header,
                &head.state,
                attributes,
                candidates,
                &NoAncestry,
            )
            .unwrap();
        assert_eq!(built.refused, vec![]);
        self.head = built.executed;
        self.pool.on_committed(&self.head);
    }
}

#[test]
fn transactions_are_offered_by_tip_and_in_the_order_of_their_nonces() {
    let world = World::new();
    let (a, b, c) = (
        signer(1).address(),
        signer(2).address(),
        signer(3).address(),
    );
    world.add(1, template(1, 9)).unwrap();
    world.add(1, template(0, 1)).unwrap();
    world.add(2, template(0, 5)).unwrap();
    world.add(3, template(0, 5)).unwrap();
    // The second of A pays most, but only after the first; B came before C.
    assert_eq!(world.best(), vec![(b, 0), (c, 0), (a, 0), (a, 1)]);
    assert_eq!(world.pool.pending_nonce(&a, &world.head.state), 2);
    assert!(world.pool.has_ready(&world.head.state, BASE_FEE));
}

#[test]
fn a_gap_holds_back_what_follows_until_it_is_filled() {
    let world = World::new();
    let a = signer(1).address();
    world.add(1, template(1, 1)).unwrap();
    assert_eq!(world.best(), vec![]);
    assert!(!world.pool.has_ready(&world.head.state, BASE_FEE));
    assert_eq!(world.pool.pending_nonce(&a, &world.head.state), 0);
    world.add(1, template(0, 1)).unwrap();
    assert_eq!(world.best(), vec![(a, 0), (a, 1)]);
}

#[test]
fn offers_keep_within_gas_and_bytes_and_the_base_fee() {
    let world = World::new();
    let hash = world.add(1, template(0, 1)).unwrap();
    world.add(1, template(1, 1)).unwrap();
    world.add(2, template(0, 2)).unwrap();
    let best = |gas, bytes| {
        world
            .pool
            .best(&world.head.state, BASE_FEE, gas, bytes)
            .len()
    };
    let len = world.pool.get(&hash).unwrap().encoded_len;
    assert_eq!(best(42_000, usize::MAX), 2);
    assert_eq!(best(41_999, usize::MAX), 1);
    assert_eq!(best(u64::MAX, 2 * len), 2);
    assert_eq!(best(u64::MAX, len - 1), 0);
    let dear = world
        .pool
        .best(&world.head.state, u64::MAX, u64::MAX, usize::MAX);
    assert!(dear.is_empty());
}

#[test]
fn a_replacement_must_pay_ten_percent_more_of_both_fees() {
    let world = World::new();
    let first = world.add(1, template(0, 1_000)).unwrap();
    let refused = Err(PoolError::ReplacementUnderpriced);
    let fees = |cap, tip| TxEip1559 {
        max_fee_per_gas: cap,
        ..template(0, tip)
    };
    assert_eq!(world.add(1, fees(FEE_CAP * 2, 1_099)), refused);
    assert_eq!(world.add(1, fees(FEE_CAP / 100 * 109, 2_000)), refused);
    let second = world.add(1, fees(FEE_CAP / 100 * 110, 1_100)).unwrap();
    assert_eq!(world.pool.len(), 1);
    assert!(world.pool.get(&first).is_none() && world.pool.get(&second).is_some());
}

#[test]
fn refusals_speak_as_wallets_expect() {
    let mut world = World::with(|spec| spec.limits.mempool_per_sender = 4);
    world.add(1, template(0, 1)).unwrap();
    let says = |from: u8, tx: TxEip1559, text: &str| {
        let error = world.add(from, tx).expect_err(text).to_string();
        assert!(error.starts_with(text), "expected {text}, got: {error}");
    };
    says(1, template(0, 1), "already known");
    says(
        2,
        TxEip1559 {
            value: U256::from(2 * MARK),
            ..template(0, 1)
        },
        "insufficient funds for gas * price + value",
    );
    says(
        2,
        TxEip1559 {
            gas_limit: 20_999,
            ..template(0, 1)
        },
        "intrinsic gas too low",
    );
    says(
        2,
        TxEip1559 {
            gas_limit: world.executor.spec().limits.tx_gas_limit + 1,
            ..template(0, 1)
        },
        "exceeds block gas limit",
    );
    says(
        2,
        TxEip1559 {
            chain_id: 1,
            ..template(0, 1)
        },
        "invalid chain id for signer",
    );
    says(
        2,
        template(0, FEE_CAP + 1),
        "max priority fee per gas higher than max fee per gas",
    );
    says(2, template(4, 1), "nonce too high");
    says(2, template(u64::MAX, 1), "nonce has max value");
    let init = TxEip1559 {
        to: TxKind::Create,
        input: vec![0; 49_153].into(),
        gas_limit: 10_000_000,
        ..template(0, 1)
    };
    says(2, init, "max initcode size exceeded");
    let head = world.head.state.clone();
    let large = vec![2; world.executor.spec().limits.max_tx_bytes + 1];
    let error = world.pool.add_raw(&large, &head).unwrap_err().to_string();
    assert!(error.starts_with("oversized data"), "{error}");
    let blob: Transaction = TxEip4844::default()
        .into_signed(Signature::test_signature())
        .into();
    let error = world.pool.add_raw(&blob.encoded_2718(), &head).unwrap_err();
    assert_eq!(
        error.to_string(),
        "transaction type not supported: type 3 (blob, EIP-4844)"
    );
    let empty = TxEip7702 {
        chain_id: 1618,
        gas_limit: 100_000,
        max_fee_per_gas: FEE_CAP,
        ..TxEip7702::default()
    };
    let empty: Transaction = empty.into_signed(Signature::test_signature()).into();
    let error = world
        .pool
        .add_raw(&empty.encoded_2718(), &head)
        .unwrap_err();
    assert_eq!(error, PoolError::EmptyAuthorizations);
    for garbage in [&[][..], &[2], &[3, 1, 2], &[0xff; 40]] {
        assert!(world.pool.add_raw(garbage, &head).is_err());
    }
    world.commit(vec![sign(1, template(0, 1))]);
    let error = world.add(1, template(0, 7)).unwrap_err().to_string();
    assert!(
        error.starts_with("nonce too low: next nonce 1, tx nonce 0"),
        "{error}"
    );
}

#[test]
fn a_tampered_transaction_is_not_the_senders() {
    let world = World::new();
    let mut bytes = raw(1, template(0, 1));
    // The value is somewhere in the middle: whoever signed the result, it was not account 1.
    let middle = bytes.len() - 70;
    bytes[middle] ^= 1;
    if world.pool.add_raw(&bytes, &world.head.state).is_ok() {
        assert!(
            world
                .best()
                .iter()
                .all(|(sender, _)| *sender != signer(1).address())
        );
    }
    assert_eq!(
        world
            .pool
            .pending_nonce(&signer(1).address(), &world.head.state),
        0
    );
}

#[test]
fn the_balance_must_cover_the_whole_queue() {
    let world = World::new();
    let half = TxEip1559 {
        value: U256::from(MARK / 2),
        ..template(0, 1)
    };
    world.add(1, half.clone()).unwrap();
    let error = world
        .add(
            1,
            TxEip1559 {
                nonce: 1,
                ..half.clone()
            },
        )
        .unwrap_err();
    assert!(matches!(error, PoolError::InsufficientFunds { .. }));
    // Replacing the first frees what it held.
    let cheaper = TxEip1559 {
        value: U256::ZERO,
        max_fee_per_gas: FEE_CAP * 2,
        ..template(0, 2)
    };
    world.add(1, cheaper).unwrap();
    world.add(1, TxEip1559 { nonce: 1, ..half }).unwrap();
}

#[test]
fn a_committed_block_clears_what_it_used_and_what_can_no_longer_be_paid() {
    let mut world = World::new();
    let (a, b) = (signer(1).address(), signer(2).address());
    world.add(1, template(0, 1)).unwrap();
    world.add(1, template(1, 1)).unwrap();
    let large = TxEip1559 {
        value: U256::from(MARK / 2),
        ..template(2, 1)
    };
    world.add(1, large).unwrap();
    world.add(2, template(0, 1)).unwrap();
    // Somewhere else the sender spent most of its coins with nonce 0.
    let spent = TxEip1559 {
        value: U256::from(MARK / 10 * 9),
        ..template(0, 3)
    };
    world.commit(vec![sign(1, spent)]);
    assert_eq!(world.best(), vec![(a, 1), (b, 0)]);
    assert_eq!(
        world.pool.len(),
        2,
        "nonce 0 is used, nonce 2 cannot be paid"
    );
    world.commit(vec![sign(1, template(1, 1)), sign(2, template(0, 1))]);
    assert!(world.pool.is_empty());
}

#[test]
fn a_full_pool_prefers_what_pays_and_drops_gapped_queues_first() {
    let world = World::with(|spec| {
        spec.limits.mempool_max_txs = 3;
        spec.limits.mempool_per_sender = 3;
    });
    world.add(1, template(0, 10)).unwrap();
    let gapped = world.add(2, template(1, 1_000)).unwrap();
    let cheap = world.add(3, template(0, 5)).unwrap();
    // A gap is worth nothing, whatever it offers.
    world.add(4, template(0, 1)).unwrap();
    assert!(world.pool.get(&gapped).is_none());
    // No more than the cheapest: refused, and nothing is evicted.
    assert_eq!(world.add(5, template(0, 1)), Err(PoolError::Underpriced));
    world.add(5, template(0, 6)).unwrap();
    assert_eq!(world.pool.len(), 3);
    assert!(world.pool.get(&cheap).is_some(), "account 4 offered less");
    world.add(6, template(0, 7)).unwrap();
    assert!(world.pool.get(&cheap).is_none());
}

#[test]
fn a_sender_is_bounded() {
    let world = World::with(|spec| spec.limits.mempool_per_sender = 2);
    world.add(1, template(0, 1)).unwrap();
    world.add(1, template(1, 1)).unwrap();
    assert_eq!(
        world.add(1, template(2, 1)),
        Err(PoolError::NonceTooHigh { next: 0, got: 2 })
    );
}

#[test]
fn the_sender_is_recovered_once_for_the_pool_and_the_block() {
    let mut world = World::new();
    world.add(1, template(0, 1)).unwrap();
    assert_eq!(world.add(1, template(0, 1)), Err(PoolError::AlreadyKnown));
    world.commit(vec![sign(1, template(0, 1))]);
    let recoveries = &world.executor.counters().sender_recoveries;
    assert_eq!(recoveries.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn admissions_are_announced() {
    let world = World::new();
    let mut admitted = world.pool.subscribe();
    let waiting = world.pool.wait_nonempty();
    let hash = world.add(1, template(0, 1)).unwrap();
    waiting.await;
    assert_eq!(admitted.recv().await.unwrap().hash, hash);
    assert!(world.pool.remove(&hash) && world.pool.is_empty());
}

/// A transaction that nobody signed: the queues look at the sender only.
fn unsigned(sender: u8, nonce: u64, tip: u128, value: u64, size: usize) -> Arc<PooledTransaction> {
    let tx = TxEip1559 {
        value: U256::from(value),
        ..template(nonce, tip)
    };
    let mut hash = B256::ZERO;
    hash[0] = sender;
    hash[1] = nonce as u8;
    hash[2] = tip as u8;
    hash[3] = value as u8;
    let signature = Signature::new(U256::from(1), U256::from(1), false);
    let tx = Signed::new_unchecked(tx, signature, hash).into();
    Arc::new(PooledTransaction {
        tx,
        hash,
        sender: Address::repeat_byte(sender),
        encoded_len: size,
    })
}

#[derive(Debug, Clone)]
enum Step {
    Add {
        sender: u8,
        nonce: u64,
        tip: u128,
        value: u64,
        size: usize,
    },
    /// The sender's account moves to this nonce and balance (in costs of one transaction).
    Refresh {
        sender: u8,
        nonce: u64,
        balance: u64,
    },
    Remove {
        sender: u8,
        nonce: u64,
        tip: u128,
        value: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..5u8, 0..8u64, 1..40u128, 0..3u64, 100..400usize)
            .prop_map(|(sender, nonce, tip, value, size)| Step::Add { sender, nonce, tip, value, size }),
        2 => (1..5u8, 0..6u64, 0..8u64)
            .prop_map(|(sender, nonce, balance)| Step::Refresh { sender, nonce, balance }),
        1 => (1..5u8, 0..8u64, 1..40u128, 0..3u64)
            .prop_map(|(sender, nonce, tip, value)| Step::Remove { sender, nonce, tip, value }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_books_balance_whatever_comes(steps in prop::collection::vec(step(), 1..80)) {
        let bounds = Bounds { transactions: 9, bytes: 2_000, per_sender: 5 };
        let mut queues = Queues::new(bounds);
        let one = 21_000 * FEE_CAP + 10;
        let mut accounts: BTreeMap<u8, Funds> = (1..5u8)
            .map(|s| (s, Funds { nonce: 0, balance: U256::from(one * 4) }))
            .collect();
        for step in steps {
            match step {
                Step::Add { sender, nonce, tip, value, size } => {
                    let before = queues.len();
                    let tx = unsigned(sender, nonce, tip, value, size);
                    let known = queues.contains(&tx.hash);
                    let result = queues.insert(tx.clone(), accounts[&sender]);
                    prop_assert_eq!(queues.contains(&tx.hash), result.is_ok() || known);
                    if result == Err(PoolError::Underpriced) || result == Err(PoolError::Full) {
                        prop_assert_eq!(queues.len(), before, "a refusal evicts nothing");
                    }
                }
                Step::Refresh { sender, nonce, balance } => {
                    let funds = Funds {
                        nonce: nonce.max(accounts[&sender].nonce),
                        balance: U256::from(one * u128::from(balance)),
                    };
                    accounts.insert(sender, funds);
                    queues.refresh(&Address::repeat_byte(sender), funds);
                }
                Step::Remove { sender, nonce, tip, value } => {
                    queues.remove(&unsigned(sender, nonce, tip, value, 0).hash);
                }
            }
            queues.audit();
            for (sender, funds) in &accounts {
                prop_assert!(queues.cost(&Address::repeat_byte(*sender)) <= funds.balance);
            }
            let nonce_of = |sender: &Address| accounts[&sender[0]].nonce;
            let best = queues.best(nonce_of, BASE_FEE, 100_000, 900);
            prop_assert!(best.iter().map(|tx| tx.tx.gas_limit()).sum::<u64>() <= 100_000);
            prop_assert!(best.iter().map(|tx| tx.encoded_len).sum::<usize>() <= 900);
            let mut next: BTreeMap<Address, u64> = BTreeMap::new();
            for tx in &best {
                let expected = next.entry(tx.sender).or_insert_with(|| nonce_of(&tx.sender));
                prop_assert_eq!(tx.tx.nonce(), *expected, "nonces without gaps");
                *expected += 1;
            }
        }
    }
}

/// The state of `world` where account 1 has this code.
fn with_code(world: &World, code: Bytes) -> State {
    let sender = signer(1).address();
    let mut diff = hallmark_state::StateDiff::default();
    let code_hash = alloy_primitives::keccak256(&code);
    let info = hallmark_state::Account {
        nonce: 0,
        balance: U256::from(MARK),
        code_hash,
    };
    diff.accounts.insert(
        sender,
        hallmark_state::AccountDiff {
            info: Some(info),
            ..Default::default()
        },
    );
    diff.codes.insert(code_hash, code);
    world.head.state.apply(&diff)
}

#[test]
fn a_delegated_account_has_one_transaction_waiting() {
    let world = World::new();
    let delegation = [&[0xef, 0x01, 0x00][..], &[0x55; 20]].concat();
    let state = with_code(&world, delegation.into());
    let add = |nonce, tip| world.pool.add_raw(&raw(1, template(nonce, tip)), &state);
    assert_eq!(add(1, 1), Err(PoolError::DelegatedInFlight));
    let first = add(0, 100).unwrap();
    let refused = add(1, 1).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "in-flight transaction limit reached for delegated accounts"
    );
    // Replacing it is no second one.
    let dearer = TxEip1559 {
        max_fee_per_gas: FEE_CAP * 2,
        ..template(0, 200)
    };
    world.pool.add_raw(&raw(1, dearer), &state).unwrap();
    assert!(world.pool.get(&first).is_none());
    assert_eq!(world.pool.len(), 1);
}

#[test]
fn a_block_that_delegates_an_account_leaves_one_of_its_transactions_waiting() {
    let mut world = World::new();
    let alice = signer(1).address();
    for nonce in 0..4 {
        world.add(1, template(nonce, 1)).unwrap();
    }
    // The delegation takes nonce 0, which is used then as the pooled one would have used it.
    let authorization = Authorization {
        chain_id: U256::from(1618),
        address: Address::repeat_byte(0x55),
        nonce: 0,
    };
    let signature = signer(1)
        .sign_hash_sync(&authorization.signature_hash())
        .unwrap();
    let delegation = TxEip7702 {
        chain_id: 1618,
        gas_limit: 100_000,
        max_fee_per_gas: FEE_CAP,
        authorization_list: vec![authorization.into_signed(signature)],
        ..TxEip7702::default()
    };
    let signature = signer(2)
        .sign_hash_sync(&delegation.signature_hash())
        .unwrap();
    world.commit(vec![delegation.into_signed(signature).into()]);
    assert_eq!(world.best(), vec![(alice, 1)]);
    assert_eq!(world.pool.len(), 1);
    assert_eq!(
        world.add(1, template(2, 1)),
        Err(PoolError::DelegatedInFlight)
    );
}

#[test]
fn a_delegated_account_keeps_nothing_behind_a_gap() {
    let mut queues = Queues::new(Bounds {
        transactions: 9,
        bytes: 2_000,
        per_sender: 5,
    });
    let funds = Funds {
        nonce: 0,
        balance: U256::from(MARK),
    };
    for nonce in [0, 2, 3] {
        queues.insert(unsigned(1, nonce, 1, 0, 100), funds).unwrap();
    }
    queues.keep_single(&Address::repeat_byte(1), 1);
    queues.audit();
    assert_eq!(queues.len(), 0);
}

#[test]
fn an_account_with_code_cannot_send() {
    // Contracts have no keys; a state where a key's account has code is forged.
    let world = World::new();
    let state = with_code(&world, Bytes::from_static(&[0x00]));
    let result = world.pool.add_raw(&raw(1, template(0, 1)), &state);
    assert_eq!(result, Err(PoolError::SenderNotEoa));
}
