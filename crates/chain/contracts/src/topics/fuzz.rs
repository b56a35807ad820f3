//! Bytes as a story: calls with any data, submissions that open, and the ends of blocks.
//!
//! Whatever the bytes, no call and no block panics or breaks the chain, money is conserved, and the
//! contract can pay what it owes. `fuzz/` feeds it by coverage, and a test by seeds.

// Panics are findings.
#![allow(clippy::arithmetic_side_effects)]

use std::sync::OnceLock;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::topics::ITopics::{self, ITopicsCalls, Kind, Policy, Role};
use hallmark_types::{ChainSpec, MARK, addresses};

use super::{NO_SLOT, commitment};
use crate::{
    ContractError,
    testing::{MemoryHost, spec},
};

/// Steps of one story: a bound on time, and not on bytes.
const MOST_STEPS: usize = 96;
const ACTORS: u8 = 6;
/// Most gas of a block's sweeps: what the topics' looks at before it stops, with the slice that it is in and
/// what it charges before it looks. A topic that a story makes has few slots.
const MOST_SWEPT: u64 = 10_000_000;

/// What came of a story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Calls that succeeded.
    pub calls: usize,
    /// Commitments that were opened.
    pub reveals: usize,
    /// Epochs that ended in one of the topics that the story begins with.
    pub epochs: u64,
    /// Most gas that the end of a block used.
    pub swept: u64,
}

fn actor(number: u8) -> Address {
    Address::repeat_byte(0xc0 + number % ACTORS)
}

/// A chain with a topic of each kind, in which every actor but the last has a slot and stake.
fn world() -> &'static (ChainSpec, MemoryHost) {
    static WORLD: OnceLock<(ChainSpec, MemoryHost)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let all: Vec<_> = (0..ACTORS).map(actor).collect();
        let mut spec = spec(&all);
        spec.topics.slots_per_slice = 3;
        spec.topics.grant_epochs = 2;
        let mut host = MemoryHost::new(&spec);
        for kind in [Kind::Yuma, Kind::Synthesis, Kind::Score] {
            found(&spec, &mut host, kind);
        }
        (spec, host)
    })
}

fn found(spec: &ChainSpec, host: &mut MemoryHost, kind: Kind) {
    let judged = kind == Kind::Synthesis;
    let middle = if kind == Kind::Yuma { 0 } else { 5_000 };
    let policy = Policy {
        openMs: 5_000,
        sealedMs: middle,
        lagMs: middle,
        revealMs: 5_000,
        epochMs: 20_000,
        maxWorkers: if judged { 2 } else { 4 },
        maxForecasters: u16::from(judged),
        maxReputers: u16::from(judged),
        immunityMs: 10_000,
        minBond: 10 * MARK,
        submitFee: MARK,
        vestingMs: 3_000,
        ownerBps: 500,
        valueMin: i128::MIN,
        valueMax: i128::MAX,
    };
    let mechanisms = vec![ITopics::Mechanism {
        kind,
        shareBps: 10_000,
        params: Bytes::new(),
    }];
    let due = spec.topics.topic_bond + spec.topics.create_fee;
    let title = "t".to_owned();
    let create = ITopics::createCall {
        title,
        policy,
        mechanisms,
    };
    let answer = call(host, 0, due, &create.abi_encode()).expect("a topic");
    let topic = U256::from_be_slice(&answer);
    for number in 0..4 {
        let role = match number {
            2 if judged => Role::Forecaster,
            3 if judged => Role::Reputer,
            _ => Role::Worker,
        };
        let register = ITopics::registerCall { topic, role };
        let price = U256::from(30 * MARK);
        call(host, number, price, &register.abi_encode()).expect("a slot");
        let slot = u16::from(number);
        let stake = ITopics::stakeCall { topic, slot };
        let amount = U256::from(MARK * (10 + u128::from(number)));
        call(host, number, amount, &stake.abi_encode()).expect("stake");
    }
    let fund = ITopics::fundCall { topic };
    call(host, 5, U256::from(100 * MARK), &fund.abi_encode()).expect("income");
}

fn call(host: &mut MemoryHost, who: u8, value: U256, data: &[u8]) -> Result<Bytes, ContractError> {
    host.call(actor(who), addresses::TOPICS, value, data)
}

/// Reads a story from bytes; they never run out before it ends.
struct Tale<'a>(&'a [u8]);

impl<'a> Tale<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// An amount: nothing, dust, a few coins, or more than anybody has.
    fn amount(&mut self) -> U256 {
        let byte = self.byte().unwrap_or(0);
        match byte >> 6 {
            0 => U256::ZERO,
            1 => U256::from(byte & 63),
            2 => U256::from(MARK) * U256::from(byte & 63),
            _ => U256::MAX >> usize::from(byte & 63),
        }
    }

    /// An argument: mostly small, as ids and offsets are.
    fn word(&mut self) -> U256 {
        match self.byte().unwrap_or(0) {
            small @ 0..=127 => U256::from(small),
            offset @ 128..=191 => U256::from(offset & 63) * U256::from(32),
            192..=223 => U256::MAX,
            _ => U256::from_be_slice(self.take(32)),
        }
    }
}

/// What an actor committed to last.
struct Kept {
    topic: u8,
    epoch: u64,
    slot: u16,
    payload: Vec<u8>,
}

/// Tells the story of these bytes.
///
/// # Panics
///
/// If a call or the end of a block breaks the chain, coins are made or lost, or debts are not covered.
pub fn run(bytes: &[u8]) -> Told {
    let (spec, begin) = world();
    let mut host = begin.clone();
    let mut tale = Tale(bytes);
    let mut told = Told::default();
    let mut kept: Vec<Kept> = Vec::new();
    for _ in 0..MOST_STEPS {
        let Some(step) = tale.byte() else { break };
        let who = tale.byte().unwrap_or(0) % ACTORS;
        match step % 8 {
            0 | 1 => {
                let ms = u64::from(tale.byte().unwrap_or(0) % 32) * 100;
                host.next_block(ms).expect("a block ends");
                told.swept = told.swept.max(host.swept_gas);
                assert!(told.swept <= MOST_SWEPT, "{}", told.swept);
            }
            2 => {
                // Any bytes at all.
                let (value, length) = (tale.amount(), usize::from(tale.byte().unwrap_or(0) % 100));
                told.calls += usize::from(attempt(&mut host, who, value, tale.take(length)));
            }
            3 | 5 => {
                let topic = 1 + tale.byte().unwrap_or(0) % 3;
                let payload = payload(topic, who, &mut tale);
                kept.extend(commit(&mut host, who, topic, payload));
            }
            4 | 6 => {
                if let Some(one) = kept.pop() {
                    let opened = reveal(&mut host, who, &one);
                    told.reveals += usize::from(opened);
                    if !opened {
                        kept.insert(0, one);
                    }
                }
            }
            _ => {
                // A call by its selector, with words for arguments: one more until there are enough, since a
                // call has neither less nor more than its own.
                let count = ITopicsCalls::SELECTORS.len();
                let index = usize::from(tale.byte().unwrap_or(0)) % count;
                let value = tale.amount();
                let mut data = ITopicsCalls::SELECTORS[index].to_vec();
                for _ in 0..=tale.byte().unwrap_or(0) % 12 {
                    if attempt(&mut host, who, value, &data) {
                        told.calls += 1;
                        break;
                    }
                    data.extend(tale.word().to_be_bytes::<32>());
                }
            }
        }
        check(spec, &mut host);
    }
    told.epochs = (1..=3).map(|topic| epoch(&mut host, topic) - 1).sum();
    told
}

/// Calls; says whether it succeeded.
fn attempt(host: &mut MemoryHost, who: u8, value: U256, data: &[u8]) -> bool {
    let value = value.min(host.balance_of(actor(who)));
    match call(host, who, value, data) {
        Ok(_) => true,
        Err(ContractError::Revert(_) | ContractError::OutOfGas) => false,
        Err(fatal) => panic!("{fatal}"),
    }
}

fn ask<C: SolCall>(host: &mut MemoryHost, view: &C) -> C::Return {
    let answer = call(host, 0, U256::ZERO, &view.abi_encode()).expect("a view answers");
    C::abi_decode_returns_validate(&answer).expect("an answer decodes")
}

fn epoch(host: &mut MemoryHost, topic: u8) -> u64 {
    let topic = U256::from(topic);
    ask(host, &ITopics::getCall { topic }).epoch
}

/// What a slot says: mostly what its mechanism takes, else any bytes. Actors have the slots of their
/// numbers.
fn payload(topic: u8, who: u8, tale: &mut Tale<'_>) -> Vec<u8> {
    let choice = tale.byte().unwrap_or(0);
    if choice >= 192 {
        return tale.take(usize::from(choice - 192)).to_vec();
    }
    let mut number = [0; 16];
    let bytes = tale.take(16);
    number[16 - bytes.len()..].copy_from_slice(bytes);
    match (topic, who) {
        (1, _) => [0, 1, number[0], number[1], 0, 2, number[2], number[3]].to_vec(),
        (2, 2) => [&[0, 0][..], &number].concat(),
        (2, 3) => [&[0][..], &number].concat(),
        (2, _) => number.to_vec(),
        _ => number.repeat(2),
    }
}

/// A commitment that can be opened; says what was kept for that.
fn commit(host: &mut MemoryHost, who: u8, topic: u8, payload: Vec<u8>) -> Option<Kept> {
    let (id, operator) = (U256::from(topic), actor(who));
    let slot = ask(
        host,
        &ITopics::slotOfCall {
            topic: id,
            operator,
        },
    );
    let found = ask(host, &ITopics::getCall { topic: id });
    if slot == NO_SLOT {
        return None;
    }
    let epoch = found.epoch;
    if topic == 3 {
        // What the owner would have committed; mostly too late.
        let set = ITopics::commitTestSetCall {
            topic: id,
            epoch,
            commitment: super::test_set_commitment(B256::ZERO, &payload),
        };
        attempt(host, 0, U256::ZERO, &set.abi_encode());
    }
    let to = (host.chain_id, id, epoch, 0, slot, operator);
    let call = ITopics::commitCall {
        topic: id,
        epoch,
        mechanism: 0,
        slot,
        commitment: commitment(to, B256::ZERO, &payload),
    };
    let fee = U256::from(found.policy.submitFee);
    attempt(host, who, fee, &call.abi_encode()).then_some(Kept {
        topic,
        epoch,
        slot,
        payload,
    })
}

/// Opens a commitment, and the test set of the same bytes if it is one of scores.
fn reveal(host: &mut MemoryHost, who: u8, kept: &Kept) -> bool {
    let (topic, payload) = (U256::from(kept.topic), Bytes::from(kept.payload.clone()));
    let (epoch, salt) = (kept.epoch, B256::ZERO);
    if kept.topic == 3 {
        let set = ITopics::revealTestSetCall {
            topic,
            epoch,
            salt,
            testSet: payload.clone(),
        };
        attempt(host, 0, U256::ZERO, &set.abi_encode());
    }
    let call = ITopics::revealCall {
        topic,
        epoch,
        mechanism: 0,
        slot: kept.slot,
        salt,
        payload,
    };
    (0..ACTORS).any(|turn| attempt(host, (who + turn) % ACTORS, U256::ZERO, &call.abi_encode()))
}

fn check(spec: &ChainSpec, host: &mut MemoryHost) {
    assert_eq!(host.total_balance(), spec.issued(), "money is conserved");
    let owed = ask(host, &ITopics::liabilitiesCall {});
    assert!(
        host.balance_of(addresses::TOPICS) >= owed,
        "debts are covered"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{
        prelude::Rng,
        test_runner::{RngAlgorithm, TestRng},
    };

    /// The bytes of a seed.
    fn story(seed: u64, length: usize) -> Vec<u8> {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut chance = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
        let mut bytes = vec![0; length];
        chance.fill_bytes(&mut bytes);
        bytes
    }

    #[test]
    fn stories_of_any_bytes_neither_panic_nor_make_coins_and_reach_every_part() {
        let mut sum = Told::default();
        for seed in 0..200 {
            let told = run(&story(seed, 4_000));
            sum.calls += told.calls;
            sum.reveals += told.reveals;
            sum.epochs += told.epochs;
            sum.swept = sum.swept.max(told.swept);
        }
        // Else the stories would show nothing.
        assert!(sum.calls > 50 && sum.epochs > 50, "{sum:?}");
        assert!(sum.reveals > 10, "{sum:?}");
        assert!(sum.swept > 500_000, "{sum:?}");
    }

    #[test]
    fn a_story_that_commits_and_reveals_is_told_to_its_end() {
        // Actor 0 weighs slots 1 and 2 in topic 1 when the chain has opened it, and opens that when the
        // chain has moved it on, each a grace of two seconds late.
        let seconds = |count: usize| [0, 0, 10].repeat(count);
        let weigh = [3, 0, 0, 0].into_iter().chain([1; 16]).collect();
        let open = vec![4, 0];
        let bytes = [seconds(4), weigh, seconds(7), open, seconds(40)].concat();
        let told = run(&bytes);
        assert_eq!(told.reveals, 1, "{told:?}");
        assert!(told.epochs >= 1, "{told:?}");
    }
}
