//! What blocks of transfers cost a validator: the machine alone, and with trie and database.
//!
//! Blocks of 2,000 signed transfers by 1,000 senders, receivers uniform over the accounts of the case.
//! Senders are known beforehand, as they are from the pool; recovering them is a case of its own, with
//! its rate. Timed apart:
//!
//! - `machine`: running the transactions over the parent's state in memory, one thread; no roots, no
//!   trie, no database. Beside it, revm itself over its own in-memory database.
//! - `executing`: the block checked whole, trie and roots included; `committing`: its durable commit.
//! - `building`: what its proposer does.
//!
//! Prints one JSON object a case. Run:
//! `cargo bench -p hallmark-execution --bench blocks [-- ACCOUNTS]` (1,000,000 accounts if not told).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use hallmark_execution::{BlockAttributes, Executor};
use hallmark_state::{Executed, Store};
use hallmark_types::{ChainSpec, MARK, Transaction, ValidatorSpec};
use rayon::prelude::*;
use revm::context::TxEnv;
use revm::database::{CacheDB, EmptyDB};
use revm::state::AccountInfo;
use revm::{Context, ExecuteCommitEvm, MainBuilder, MainContext};

/// Transfers of a block, and the accounts that send them.
const TRANSFERS: usize = 2_000;
const SENDERS: usize = 1_000;
/// Blocks of a case; the first are not timed.
const BLOCKS: usize = 30;
const WARM_UP: usize = 5;

fn main() {
    let largest = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(1_000_000);
    let signers: Vec<_> = (1..=SENDERS as u64)
        .map(|number| {
            let key = B256::left_padding_from(&number.to_be_bytes());
            PrivateKeySigner::from_bytes(&key).expect("a valid key")
        })
        .collect();
    revm_alone(&signers);
    chain("small state", &signers, 10_000, 10_000);
    chain("hot receivers", &signers, largest, 1_000);
    chain("uniform receivers", &signers, largest, largest);
}

/// A stream of numbers that every run repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

fn account(number: usize) -> Address {
    Address::from_slice(&alloy_primitives::keccak256(number.to_be_bytes())[12..])
}

fn chain(name: &str, signers: &[PrivateKeySigner], accounts: usize, receivers: usize) {
    let funds = U256::from(1_000 * MARK);
    let mut alloc: BTreeMap<_, _> = (0..accounts)
        .map(|number| (account(number), funds))
        .collect();
    alloc.extend(signers.iter().map(|signer| (signer.address(), funds)));
    let validators = vec![ValidatorSpec::local([1; 32], Address::repeat_byte(0xa1))];
    let spec = ChainSpec::local(
        1_700_000_000_000,
        validators,
        alloc,
        Address::repeat_byte(0x77),
    );
    spec.check().expect("a usable spec");
    let spec = Arc::new(spec);
    let (proposer, validator) = (Executor::new(spec.clone()), Executor::new(spec.clone()));
    let mut head = proposer.genesis();
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), &spec, &head).expect("a database");

    let mut numbers = Numbers(7);
    let mut times = Times::default();
    for number in 0..BLOCKS {
        let targets: Vec<_> = (0..TRANSFERS)
            .map(|_| account(numbers.below(receivers)))
            .collect();
        let transactions: Vec<Transaction> = targets
            .into_par_iter()
            .enumerate()
            .map(|(index, to)| {
                let nonce = (number * TRANSFERS + index) / SENDERS;
                transfer(&spec, &signers[index % SENDERS], nonce as u64, to)
            })
            .collect();
        let began = Instant::now();
        let candidates: Vec<_> = transactions
            .iter()
            .map(|tx| Arc::new(proposer.recover(tx.clone()).expect("a signature")))
            .collect();
        let recovering = began.elapsed();
        let attributes = attributes(&spec, &head);
        let parent = &head.block.header;
        let began = Instant::now();
        let built = proposer
            .build_block(parent, &head.state, attributes, candidates, &store)
            .expect("a block");
        let building = began.elapsed();
        assert_eq!(built.refused, vec![], "every transfer has its place");
        let block = &built.executed.block;
        for tx in &block.transactions {
            validator.recover(tx.clone()).expect("a signature");
        }
        let began = Instant::now();
        let gas = validator
            .run_transactions(parent, &head.state, block, &built.executed.senders, &store)
            .expect("the transactions run");
        let machine = began.elapsed();
        assert_eq!(gas, block.header.gas_used);
        let began = Instant::now();
        let executed = validator
            .execute_block(parent, &head.state, block, &store)
            .expect("the validator agrees");
        let executing = began.elapsed();
        let began = Instant::now();
        store
            .commit(&executed, Bytes::from(vec![1; 250]))
            .expect("a commit");
        let committing = began.elapsed();
        if number >= WARM_UP {
            times.recovering.push(recovering);
            times.building.push(building);
            times.machine.push(machine);
            times.executing.push(executing);
            times.committing.push(committing);
        }
        head = executed;
    }
    times.report(name, accounts, receivers);
}

fn attributes(spec: &ChainSpec, head: &Executed) -> BlockAttributes {
    let number = head.number() + 1;
    BlockAttributes {
        timestamp_ms: head.block.timestamp_ms() + 250,
        epoch: 0,
        view: number,
        parent_view: number - 1,
        leader: 0,
        beneficiary: spec.validators[0].address,
    }
}

fn transfer(spec: &ChainSpec, from: &PrivateKeySigner, nonce: u64, to: Address) -> Transaction {
    let tx = TxEip1559 {
        chain_id: spec.chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        value: U256::from(1),
        access_list: Default::default(),
        input: Bytes::new(),
    };
    let signature = from
        .sign_hash_sync(&tx.signature_hash())
        .expect("a local key signs");
    tx.into_signed(signature).into()
}

#[derive(Default)]
struct Times {
    recovering: Vec<Duration>,
    building: Vec<Duration>,
    machine: Vec<Duration>,
    executing: Vec<Duration>,
    committing: Vec<Duration>,
}

impl Times {
    fn report(self, name: &str, accounts: usize, receivers: usize) {
        let whole: Duration = self.executing.iter().chain(&self.committing).sum();
        let transfers = (self.executing.len() * TRANSFERS) as f64;
        let rate = |times: &[Duration]| TRANSFERS as f64 / median(times).as_secs_f64();
        println!(
            "{}",
            serde_json::json!({
                "case": name,
                "accounts": accounts,
                "receivers": receivers,
                "recoveries_per_second_and_core": rate(&self.recovering).round(),
                "machine_transfers_per_second_and_core": rate(&self.machine).round(),
                "machine_ms_median": ms(&self.machine),
                "building_ms_median": ms(&self.building),
                "executing_ms_median": ms(&self.executing),
                "committing_ms_median": ms(&self.committing),
                "transfers_per_second_with_trie_and_disk": (transfers / whole.as_secs_f64()).round(),
            })
        );
    }
}

/// The same transfers in revm itself, over its in-memory database of 10,000 accounts.
fn revm_alone(signers: &[PrivateKeySigner]) {
    let mut db = CacheDB::new(EmptyDB::default());
    let info = |nonce| AccountInfo {
        balance: U256::from(1_000 * MARK),
        nonce,
        ..AccountInfo::default()
    };
    for number in 0..10_000 {
        db.insert_account_info(account(number), info(0));
    }
    for signer in signers {
        db.insert_account_info(signer.address(), info(0));
    }
    let mut evm = Context::mainnet().with_db(db).build_mainnet();
    let mut numbers = Numbers(7);
    let mut times = Vec::new();
    for number in 0..BLOCKS {
        let transactions: Vec<_> = (0..TRANSFERS)
            .map(|index| TxEnv {
                caller: signers[index % SENDERS].address(),
                gas_limit: 21_000,
                gas_price: 1,
                kind: TxKind::Call(account(numbers.below(10_000))),
                value: U256::from(1),
                nonce: ((number * TRANSFERS + index) / SENDERS) as u64,
                ..TxEnv::default()
            })
            .collect();
        let began = Instant::now();
        for tx in transactions {
            let result = evm.transact_commit(tx).expect("a valid transfer");
            assert!(result.is_success());
        }
        if number >= WARM_UP {
            times.push(began.elapsed());
        }
    }
    println!(
        "{}",
        serde_json::json!({
            "case": "revm alone, in memory",
            "accounts": 10_000,
            "machine_transfers_per_second_and_core": (TRANSFERS as f64 / median(&times).as_secs_f64()).round(),
        })
    );
}

fn ms(times: &[Duration]) -> f64 {
    (median(times).as_secs_f64() * 1e5).round() / 1e2
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
