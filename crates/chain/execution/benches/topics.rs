//! What epochs of topics cost a validator: contract, trie and database together.
//!
//! A chain with a database on disk; everything goes through signed transactions; the chain itself
//! moves the epochs on at the end of blocks. Timed is what a validator does about a block that it did
//! not build: executing it to its state root, and committing it durably. An idle chain's empty block
//! is the measure for what is there anyway. Prints one JSON object a case. Run:
//! `cargo bench -p hallmark-execution --bench topics`; after `--` come a part of the names of the cases
//! wanted and the number of epochs that are timed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use hallmark_abi::ITopics;
use hallmark_abi::topics::ITopics::{Kind, Mechanism, Policy, Role, Stage};
use hallmark_contracts::topics::commitment;
use hallmark_execution::{BlockAttributes, CallOutcome, CallRequest, Executor};
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire::{encode_forecast, encode_inference, encode_truth, encode_weights};
use hallmark_state::{Executed, Store};
use hallmark_types::{ChainSpec, MARK, Transaction, ValidatorSpec, addresses};

/// Epochs of each case that are timed, unless another number is asked for; one more comes before, in which
/// memories are first written.
const EPOCHS: u64 = 5;
const IDLE: &str = "an empty block of an idle chain";
const SYNTHESIS: &str = "synthesis 32 + 6 + 6, inference and settlement";
/// Gas limit of every transaction.
const GAS: u64 = 6_000_000;
/// Transactions of one block.
const BATCH: usize = 16;

fn main() {
    // Cargo adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let wanted = words.next().unwrap_or_default();
    let epochs = words
        .next()
        .map_or(EPOCHS, |text| text.parse().expect("a number of epochs"));
    if IDLE.contains(&wanted) {
        idle();
    }
    for (name, count, slots, judges) in [
        ("yuma 16 x 4", 1, 16, 4),
        ("yuma 64 x 16", 1, 64, 16),
        ("yuma 256 x 64", 1, 256, 64),
        ("twenty topics, yuma 8 x 2", 20, 8, 2),
    ] {
        if name.contains(&wanted) {
            yuma(name, epochs, count, slots, judges);
        }
    }
    if SYNTHESIS.contains(&wanted) {
        synthesis(epochs);
    }
}

struct Chain {
    spec: Arc<ChainSpec>,
    proposer: Executor,
    validator: Executor,
    store: Store,
    head: Executed,
    signers: Vec<PrivateKeySigner>,
    nonces: Vec<u64>,
    /// Words of `Topics` that are not zero, less those of genesis.
    words: i64,
    /// Holds the database.
    _folder: tempfile::TempDir,
}

/// What a validator spent on a block.
#[derive(Clone, Copy, Default)]
struct Spent {
    executing: Duration,
    committing: Duration,
}

impl Chain {
    fn new(accounts: usize) -> Self {
        let signers: Vec<_> = (1..=accounts)
            .map(|number| {
                let key = B256::left_padding_from(&(number as u64).to_be_bytes());
                PrivateKeySigner::from_bytes(&key).expect("a valid key")
            })
            .collect();
        let alloc: BTreeMap<_, _> = signers
            .iter()
            .map(|signer| (signer.address(), U256::from(1_000_000 * MARK)))
            .collect();
        let validators = vec![ValidatorSpec::local([1; 32], Address::repeat_byte(0xa1))];
        let treasury = Address::repeat_byte(0x77);
        let mut spec = ChainSpec::local(1_700_000_000_000, validators, alloc, treasury);
        spec.topics.price_half_life_ms = 1_000;
        // The chain acts as soon as it may.
        spec.topics.grace_ms = 0;
        spec.check().expect("a usable spec");
        let spec = Arc::new(spec);
        let proposer = Executor::new(spec.clone());
        let head = proposer.genesis();
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), &spec, &head).expect("a database");
        Self {
            validator: Executor::new(spec.clone()),
            proposer,
            spec,
            store,
            head,
            nonces: vec![0; signers.len()],
            signers,
            words: 0,
            _folder: folder,
        }
    }

    fn address(&self, who: usize) -> Address {
        self.signers[who].address()
    }

    /// The next transaction of an account: a call of `Topics`.
    fn call<C: SolCall>(&mut self, who: usize, value: u128, call: &C) -> Transaction {
        let nonce = self.nonces[who];
        self.nonces[who] += 1;
        let tx = TxEip1559 {
            chain_id: self.spec.chain_id,
            nonce,
            gas_limit: GAS,
            max_fee_per_gas: 1_000_000_000_000,
            max_priority_fee_per_gas: 0,
            to: TxKind::Call(addresses::TOPICS),
            value: U256::from(value),
            access_list: Default::default(),
            input: call.abi_encode().into(),
        };
        let signature = self.signers[who]
            .sign_hash_sync(&tx.signature_hash())
            .expect("a local key signs");
        tx.into_signed(signature).into()
    }

    /// One block, `ms` after its parent, built by one executor and timed on another.
    fn block(&mut self, transactions: Vec<Transaction>, ms: u64) -> Spent {
        let parent = &self.head.block.header;
        let number = self.head.number() + 1;
        let attributes = BlockAttributes {
            timestamp_ms: self.head.block.timestamp_ms() + ms,
            epoch: 0,
            view: number,
            parent_view: number - 1,
            leader: 0,
            beneficiary: self.spec.validators[0].address,
        };
        let candidates = transactions
            .into_iter()
            .map(|tx| Arc::new(self.proposer.recover(tx).expect("a signature")))
            .collect();
        let built = self
            .proposer
            .build_block(
                parent,
                &self.head.state,
                attributes,
                candidates,
                &self.store,
            )
            .expect("a block");
        assert!(built.refused.is_empty(), "{:?}", built.refused);
        let (executed, executing) = match built.executed.block.transactions.is_empty() {
            true => self.execute_sweep(&built.executed),
            false => self.execute(&built.executed),
        };
        for receipt in &executed.receipts {
            assert!(receipt.is_success(), "a call fails");
        }
        let began = Instant::now();
        self.store
            .commit(&executed, Bytes::new())
            .expect("a commit");
        let committing = began.elapsed();
        if let Some(change) = executed.diff.accounts.get(&addresses::TOPICS) {
            for (slot, word) in &change.storage {
                let before = self.head.state.storage(&addresses::TOPICS, slot);
                self.words += i64::from(!word.is_zero()) - i64::from(!before.is_zero());
            }
        }
        self.head = executed;
        Spent {
            executing,
            committing,
        }
    }

    /// A block without transactions; never inlined, so that a profile tells them apart.
    #[inline(never)]
    fn execute_sweep(&self, built: &Executed) -> (Executed, Duration) {
        self.execute(built)
    }

    #[inline(always)]
    fn execute(&self, built: &Executed) -> (Executed, Duration) {
        let parent = &self.head.block.header;
        let began = Instant::now();
        let executed = self
            .validator
            .execute_block(parent, &self.head.state, &built.block, &self.store)
            .expect("the validator agrees");
        (executed, began.elapsed())
    }

    fn ask<C: SolCall>(&self, call: &C) -> C::Return {
        let request = CallRequest {
            to: Some(addresses::TOPICS),
            data: call.abi_encode().into(),
            ..CallRequest::default()
        };
        let (state, header) = (&self.head.state, &self.head.block.header);
        let outcome = self.proposer.call(state, header, request, &self.store);
        match outcome.expect("a call") {
            CallOutcome::Success { output, .. } => {
                C::abi_decode_returns_validate(&output).expect("an answer")
            }
            other => panic!("{other:?}"),
        }
    }

    fn topic(&self, topic: u64) -> ITopics::Topic {
        let topic = U256::from(topic);
        self.ask(&ITopics::getCall { topic })
    }

    /// Makes a topic and fills its slots, one registration a block so that the price falls again.
    fn found(&mut self, policy: Policy, kind: Kind, roles: &[Role]) -> u64 {
        let rules = &self.spec.topics;
        let due: u128 = (rules.topic_bond + rules.create_fee).to();
        let create = ITopics::createCall {
            title: "a bench".to_owned(),
            policy,
            mechanisms: vec![Mechanism {
                kind,
                shareBps: 10_000,
                params: Bytes::new(),
            }],
        };
        let tx = self.call(0, due, &create);
        self.block(vec![tx], 1_000);
        let topic: u64 = self.ask(&ITopics::countCall {}).to();
        for (who, role) in roles.iter().enumerate() {
            let register = ITopics::registerCall {
                topic: U256::from(topic),
                role: *role,
            };
            // Nobody enters while an epoch settles.
            while self.topic(topic).stage == Stage::Settle {
                self.block(Vec::new(), 250);
            }
            let tx = self.call(who, 2 * MARK, &register);
            self.block(vec![tx], 2_000);
        }
        topic
    }

    fn stake(&mut self, topic: u64, slots: std::ops::Range<usize>) {
        for slot in slots {
            let call = ITopics::stakeCall {
                topic: U256::from(topic),
                slot: u16::try_from(slot).expect("a slot"),
            };
            let tx = self.call(slot, MARK * (100 + slot as u128), &call);
            self.block(vec![tx], 20);
        }
    }

    fn fund(&mut self, topic: u64) {
        let topic = U256::from(topic);
        let tx = self.call(0, 1_000 * MARK, &ITopics::fundCall { topic });
        self.block(vec![tx], 20);
    }

    /// Empty blocks until every topic is in `stage`; gives what each was.
    fn until(&mut self, topics: &[u64], stage: Stage) -> Vec<Spent> {
        let mut blocks = Vec::new();
        for _ in 0..1_000 {
            if topics.iter().all(|topic| self.topic(*topic).stage == stage) {
                return blocks;
            }
            blocks.push(self.block(Vec::new(), 250));
        }
        panic!("{stage:?} never comes");
    }

    /// Blocks until the chain has brought every topic to rest.
    fn until_rest(&mut self, topics: &[u64]) {
        for _ in 0..1_000 {
            self.block(Vec::new(), 2_000);
            let now = self.head.block.timestamp_ms();
            // An epoch that is over, and a whole one later no other has begun.
            if topics.iter().all(|topic| {
                let found = self.topic(*topic);
                found.stage == Stage::Cancelled && now > found.stageEndMs + 60_000
            }) {
                return;
            }
        }
        panic!("the topics never rest");
    }

    /// Empty blocks until the present stage of every topic is over at the next.
    fn until_due(&mut self, topics: &[u64]) {
        loop {
            let ends = topics.iter().map(|topic| self.topic(*topic).stageEndMs);
            let last = ends.max().unwrap_or_default();
            let now = self.head.block.timestamp_ms();
            if last <= now + 250 {
                return;
            }
            self.block(Vec::new(), (last - now - 250).clamp(20, 2_000));
        }
    }

    /// Blocks until every topic's epoch is over; gives what each was.
    fn settle(&mut self, topics: &[u64]) -> Vec<Spent> {
        let epoch: Vec<_> = topics
            .iter()
            .map(|topic| self.topic(*topic).epoch)
            .collect();
        let mut blocks = Vec::new();
        for _ in 0..1_000 {
            let mut pairs = topics.iter().zip(&epoch);
            if pairs.all(|(topic, epoch)| self.topic(*topic).epoch > *epoch) {
                return blocks;
            }
            blocks.push(self.block(Vec::new(), 250));
        }
        panic!("the epoch never ends");
    }

    /// Commits or reveals what slots say, in full blocks.
    fn say(&mut self, topic: u64, payloads: &[(usize, Vec<u8>)], reveal: bool) {
        let epoch = self.topic(topic).epoch;
        let id = U256::from(topic);
        let mut transactions = Vec::new();
        for (who, payload) in payloads {
            let slot = u16::try_from(*who).expect("a slot");
            let to = (self.spec.chain_id, id, epoch, 0, slot, self.address(*who));
            let salt = B256::ZERO;
            let tx = if reveal {
                let payload = payload.clone().into();
                let call = ITopics::revealCall {
                    topic: id,
                    epoch,
                    mechanism: 0,
                    slot,
                    salt,
                    payload,
                };
                self.call(*who, 0, &call)
            } else {
                let call = ITopics::commitCall {
                    topic: id,
                    epoch,
                    mechanism: 0,
                    slot,
                    commitment: commitment(to, salt, payload),
                };
                self.call(*who, MARK / 100, &call)
            };
            transactions.push(tx);
        }
        for batch in transactions.chunks(BATCH) {
            self.block(batch.to_vec(), 20);
        }
    }
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn report(name: &str, epochs: &[Vec<Spent>]) {
    let sum = |epoch: &Vec<Spent>, part: fn(&Spent) -> Duration| epoch.iter().map(part).sum();
    let all = |part| median(epochs.iter().map(|epoch| sum(epoch, part)).collect());
    // Other work on the machine only adds: the least of the epochs is nearest to what an epoch costs.
    let least = epochs
        .iter()
        .map(|epoch| sum(epoch, |spent| spent.executing))
        .min();
    let longest_of = |epoch: &Vec<Spent>| epoch.iter().map(|spent| spent.executing).max();
    let least_longest = epochs.iter().filter_map(longest_of).min();
    let longest = epochs.iter().flatten().map(|spent| spent.executing).max();
    let slowest = epochs.iter().flatten().map(|spent| spent.committing).max();
    println!(
        "{}",
        serde_json::json!({
            "case": name,
            "epochs": epochs.len(),
            "blocks": epochs.iter().map(Vec::len).collect::<Vec<_>>(),
            "executing_ms_median": ms(all(|spent| spent.executing)),
            "executing_ms_least": ms(least.unwrap_or_default()),
            "longest_block_executing_ms_least": ms(least_longest.unwrap_or_default()),
            "committing_ms_median": ms(all(|spent| spent.committing)),
            "longest_block_executing_ms": ms(longest.unwrap_or_default()),
            "longest_block_committing_ms": ms(slowest.unwrap_or_default()),
        })
    );
}

/// Blocks of a chain on which nothing happens.
fn idle() {
    let mut chain = Chain::new(1);
    let blocks = (0..20)
        .map(|_| vec![chain.block(Vec::new(), 250)])
        .collect::<Vec<_>>();
    report(IDLE, &blocks);
}

fn policy(workers: u16) -> Policy {
    Policy {
        openMs: 8_000,
        sealedMs: 0,
        lagMs: 0,
        revealMs: 8_000,
        epochMs: 16_000,
        maxWorkers: workers,
        maxForecasters: 0,
        maxReputers: 0,
        immunityMs: 3_600_000,
        minBond: MARK,
        submitFee: MARK / 100,
        vestingMs: 0,
        ownerBps: 1_000,
        valueMin: i128::MIN,
        valueMax: i128::MAX,
    }
}

/// Topics of `slots` slots, of whom the first `judges` have stake and weigh all others anew in each
/// epoch. What is timed begins with the block that ends the last reveal's stage.
fn yuma(name: &str, epochs_wanted: u64, count: usize, slots: u16, judges: u16) {
    let mut chain = Chain::new(usize::from(slots));
    let roles = vec![Role::Worker; usize::from(slots)];
    let before = chain.words;
    let topics: Vec<_> = (0..count)
        .map(|_| chain.found(policy(slots), Kind::Yuma, &roles))
        .collect();
    let seated = chain.words - before;
    for topic in &topics {
        chain.stake(*topic, 0..usize::from(judges));
    }
    chain.until_rest(&topics);
    let (mut epochs, mut submitted) = (Vec::new(), Vec::new());
    for epoch in 0..=epochs_wanted {
        for topic in &topics {
            chain.fund(*topic);
        }
        chain.until(&topics, Stage::Open);
        let payloads: Vec<_> = (0..judges)
            .map(|judge| {
                let of = |slot| 60_000 - 7 * slot - judge - 11 * (epoch as u16);
                let row: Vec<_> = (judges..slots).map(|slot| (slot, of(slot))).collect();
                (usize::from(judge), encode_weights(&row))
            })
            .collect();
        let before = chain.words;
        for topic in &topics {
            chain.say(*topic, &payloads, false);
        }
        chain.until(&topics, Stage::Reveal);
        for topic in &topics {
            chain.say(*topic, &payloads, true);
        }
        submitted.push(chain.words - before);
        chain.until_due(&topics);
        let settled = chain.settle(&topics);
        // The first has no permits yet.
        if epoch != 0 {
            epochs.push(settled);
        }
    }
    report(name, &epochs);
    let (slots, judges, count) = (i64::from(slots), i64::from(judges), count as i64);
    println!(
        "{}",
        serde_json::json!({
            "case": name,
            "words_a_slot": seated as f64 / (slots * count) as f64,
            "payload_bytes": 4 * (slots - judges),
            "words_a_submission_first": submitted[0] as f64 / (judges * count) as f64,
            "words_a_submission_later": submitted[1] as f64 / (judges * count) as f64,
        })
    );
}

/// One topic with every place of a synthesis taken; the inference is timed with the settlement.
fn synthesis(epochs_wanted: u64) {
    let (workers, judges) = (32u16, 6u16);
    let all = usize::from(workers + 2 * judges);
    let mut chain = Chain::new(all);
    let roles: Vec<_> = (0..all as u16)
        .map(|slot| match slot {
            slot if slot < workers => Role::Worker,
            slot if slot < workers + judges => Role::Forecaster,
            _ => Role::Reputer,
        })
        .collect();
    let policy = Policy {
        sealedMs: 8_000,
        lagMs: 8_000,
        epochMs: 32_000,
        maxForecasters: judges,
        maxReputers: judges,
        ..policy(workers)
    };
    let topics = [chain.found(policy, Kind::Synthesis, &roles)];
    let [topic] = topics;
    chain.stake(topic, all - usize::from(judges)..all);
    chain.until_rest(&topics);
    let mut epochs = Vec::new();
    for epoch in 0..=epochs_wanted {
        chain.fund(topic);
        chain.until(&topics, Stage::Open);
        let value = |slot: u16| Q64::from_int(2_000 + i64::from((slot * 7 + epoch as u16) % 31));
        let forecast: Vec<_> = (0..12)
            .map(|slot| (slot, Q64::from_int(i64::from(slot) - 6)))
            .collect();
        let mut said: Vec<_> = (0..workers)
            .map(|slot| (usize::from(slot), encode_inference(value(slot))))
            .collect();
        for slot in workers..workers + judges {
            said.push((usize::from(slot), encode_forecast(&forecast)));
        }
        chain.say(topic, &said, false);
        chain.until(&topics, Stage::Sealed);
        chain.say(topic, &said, true);
        chain.until_due(&topics);
        let mut timed = chain.until(&topics, Stage::Lag);
        let reports: Vec<_> = (workers + judges..workers + 2 * judges)
            .map(|slot| {
                (
                    usize::from(slot),
                    encode_truth(Q64::from_int(i64::from(2_010 + slot % 2))),
                )
            })
            .collect();
        chain.say(topic, &reports, false);
        chain.until(&topics, Stage::Reveal);
        chain.say(topic, &reports, true);
        chain.until_due(&topics);
        timed.extend(chain.settle(&topics));
        if epoch != 0 {
            epochs.push(timed);
        }
    }
    report(SYNTHESIS, &epochs);
}
