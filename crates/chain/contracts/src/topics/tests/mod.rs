//! A world of topics for tests, and stories about them.

mod emission;
mod epochs;
mod events;
mod games;
mod input;
mod measured;
mod property;
mod rest;
mod retiring;
mod score;
mod slots;
mod staking;
mod waiting;

use std::fmt::Debug;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, SlotInfo, Stage},
};
use hallmark_types::{ChainSpec, MARK, addresses};

use super::{Topics, commitments::commitment};
use crate::{
    Result,
    testing::{MemoryHost, spec},
};

pub(crate) const OWNER: Address = Address::repeat_byte(0xa1);
pub(crate) const DONOR: Address = Address::repeat_byte(0xd1);
pub(crate) const MIN_BOND: u128 = 20 * MARK;
pub(crate) const FEE: u128 = MARK;
/// One in the numbers of the mechanisms.
pub(crate) const ONE: i128 = 1 << 64;

/// Participant `number`.
pub(crate) fn actor(number: u16) -> Address {
    let mut bytes = [0xc0; 20];
    bytes[18..].copy_from_slice(&number.to_be_bytes());
    Address::new(bytes)
}

pub(crate) fn wei(amount: u128) -> U256 {
    U256::from(amount)
}

pub(crate) fn salt(number: u16) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

/// Weights of a yuma row.
pub(crate) fn weights(row: &[(u16, u16)]) -> Vec<u8> {
    let pairs = row.iter();
    pairs
        .flat_map(|(slot, weight)| [slot.to_be_bytes(), weight.to_be_bytes()].concat())
        .collect()
}

/// A value of synthesis, in hundredths.
pub(crate) fn value(hundredths: i128) -> Vec<u8> {
    (hundredths * ONE / 100).to_be_bytes().to_vec()
}

/// A reputer's report of a truth, in hundredths.
pub(crate) fn truth(hundredths: i128) -> Vec<u8> {
    [vec![0], value(hundredths)].concat()
}

pub(crate) fn yuma_policy() -> Policy {
    Policy {
        openMs: 10_000,
        sealedMs: 0,
        lagMs: 0,
        revealMs: 10_000,
        epochMs: 20_000,
        maxWorkers: 8,
        maxForecasters: 0,
        maxReputers: 0,
        immunityMs: 60_000,
        minBond: MIN_BOND,
        submitFee: FEE,
        vestingMs: 0,
        ownerBps: 1_000,
        valueMin: 0,
        valueMax: 0,
    }
}

pub(crate) fn synthesis_policy() -> Policy {
    Policy {
        sealedMs: 10_000,
        lagMs: 10_000,
        epochMs: 40_000,
        maxForecasters: 2,
        maxReputers: 3,
        valueMin: -1_000 * ONE,
        valueMax: 1_000 * ONE,
        ..yuma_policy()
    }
}

pub(crate) fn score_policy() -> Policy {
    Policy {
        sealedMs: 10_000,
        lagMs: 10_000,
        revealMs: 0,
        epochMs: 30_000,
        ..yuma_policy()
    }
}

pub(crate) fn only(kind: Kind) -> Vec<ITopics::Mechanism> {
    vec![ITopics::Mechanism {
        kind,
        shareBps: 10_000,
        params: Bytes::new(),
    }]
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) spec: ChainSpec,
    pub(crate) host: MemoryHost,
    /// The topic that the helpers speak of.
    pub(crate) topic: U256,
}

impl World {
    /// A chain without topics.
    pub(crate) fn empty(edit: impl FnOnce(&mut ChainSpec)) -> Self {
        let mut funded: Vec<_> = (0..40).map(actor).collect();
        funded.extend([OWNER, DONOR]);
        let mut spec = spec(&funded);
        edit(&mut spec);
        let host = MemoryHost::new(&spec);
        Self {
            spec,
            host,
            topic: U256::ZERO,
        }
    }

    /// A chain with one topic of one mechanism.
    pub(crate) fn with(kind: Kind, policy: Policy) -> Self {
        let mut world = Self::empty(|_| ());
        world.topic = world.create(policy, only(kind)).unwrap();
        world
    }

    pub(crate) fn yuma() -> Self {
        Self::with(Kind::Yuma, yuma_policy())
    }

    pub(crate) fn synthesis() -> Self {
        Self::with(Kind::Synthesis, synthesis_policy())
    }

    /// Calls with coins.
    pub(crate) fn pay<C: SolCall>(
        &mut self,
        from: Address,
        value: u128,
        call: C,
    ) -> Result<C::Return> {
        let data = call.abi_encode();
        let answer = self.host.call(from, addresses::TOPICS, wei(value), &data)?;
        Ok(C::abi_decode_returns_validate(&answer).unwrap())
    }

    pub(crate) fn act<C: SolCall>(&mut self, from: Address, call: C) -> Result<C::Return> {
        self.pay(from, 0, call)
    }

    pub(crate) fn ask<C: SolCall>(&mut self, call: C) -> C::Return
    where
        C::Return: Debug,
    {
        self.act(DONOR, call).unwrap()
    }

    pub(crate) fn create(
        &mut self,
        policy: Policy,
        mechanisms: Vec<ITopics::Mechanism>,
    ) -> Result<U256> {
        let rules = &self.spec.topics;
        let due: u128 = (rules.topic_bond + rules.create_fee).to();
        let call = ITopics::createCall {
            title: "sunspots".to_owned(),
            policy,
            mechanisms,
        };
        self.pay(OWNER, due, call)
    }

    pub(crate) fn get(&mut self) -> ITopics::Topic {
        let topic = self.topic;
        self.ask(ITopics::getCall { topic })
    }

    pub(crate) fn stage(&mut self) -> Stage {
        self.get().stage
    }

    pub(crate) fn slot(&mut self, slot: u16) -> SlotInfo {
        let call = ITopics::slotsCall {
            topic: self.topic,
            offset: U256::from(slot),
            limit: U256::from(1),
        };
        self.ask(call).remove(0)
    }

    pub(crate) fn balances(&mut self, account: Address) -> ITopics::balancesReturn {
        self.ask(ITopics::balancesCall { account })
    }

    /// All that an account would have once everything is free.
    pub(crate) fn wealth(&mut self, account: Address) -> U256 {
        let held = self.balances(account);
        held.free + held.vesting + held.waiting + self.host.balance_of(account)
    }

    /// What a slot costs now, with any compensation; the price alone where nobody gives way.
    pub(crate) fn entry(&mut self, role: Role) -> u128 {
        let topic = self.topic;
        match self.act(DONOR, ITopics::entryCall { topic, role }) {
            Ok(due) => due.bond + due.compensation,
            Err(_) => self.get().slotPrice,
        }
    }

    /// Registers at the present price.
    pub(crate) fn join(&mut self, who: Address, role: Role) -> Result<u16> {
        let price = self.entry(role);
        let topic = self.topic;
        self.pay(who, price, ITopics::registerCall { topic, role })
    }

    /// Registers workers `0..count`, at the same price: a half-life passes between them.
    pub(crate) fn workers(&mut self, count: u16) {
        for number in 0..count {
            assert_eq!(self.join(actor(number), Role::Worker).unwrap(), number);
            self.wait(self.spec.topics.price_half_life_ms);
        }
    }

    pub(crate) fn stake(&mut self, who: Address, slot: u16, amount: u128) -> Result<U256> {
        let topic = self.topic;
        self.pay(who, amount, ITopics::stakeCall { topic, slot })
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.host.timestamp_ms += ms;
        self.host.block_number += 1;
    }

    pub(crate) fn advance(&mut self) -> Result<()> {
        let topic = self.topic;
        self.act(DONOR, ITopics::advanceCall { topic }).map(|_| ())
    }

    /// Waits for the present stage's end and advances, until the topic is in `stage`.
    pub(crate) fn reach(&mut self, stage: Stage) {
        for _ in 0..64 {
            let topic = self.get();
            let now = self.host.timestamp_ms;
            self.wait(topic.stageEndMs.saturating_sub(now));
            self.advance().unwrap();
            self.check_invariants();
            if self.stage() == stage {
                return;
            }
        }
        panic!("{stage:?} never came");
    }

    /// [`reach`](Self::reach) without checking anything on the way; nothing, if the topic is in `stage`.
    pub(crate) fn reach_quietly(&mut self, stage: Stage) {
        while self.stage() != stage {
            let topic = self.get();
            let now = self.host.timestamp_ms;
            self.wait(topic.stageEndMs.saturating_sub(now));
            self.advance().unwrap();
        }
    }

    /// Settles the epoch under way and says how it ended.
    pub(crate) fn settle(&mut self) -> Stage {
        for _ in 0..64 {
            let topic = self.get();
            if matches!(topic.stage, Stage::Done | Stage::Cancelled) {
                return topic.stage;
            }
            let now = self.host.timestamp_ms;
            self.wait(topic.stageEndMs.saturating_sub(now));
            self.advance().unwrap();
            self.check_invariants();
        }
        panic!("the epoch never ends");
    }

    /// The commitment of a slot's operator in the present epoch, with the salt of its slot.
    pub(crate) fn committing(
        &mut self,
        who: Address,
        slot: u16,
        payload: &[u8],
    ) -> ITopics::commitCall {
        let epoch = self.get().epoch;
        let to = (self.spec.chain_id, self.topic, epoch, 0, slot, who);
        ITopics::commitCall {
            topic: self.topic,
            epoch,
            mechanism: 0,
            slot,
            commitment: commitment(to, salt(slot), payload),
        }
    }

    pub(crate) fn commit(&mut self, who: Address, slot: u16, payload: &[u8]) -> Result<()> {
        let call = self.committing(who, slot, payload);
        let fee = self.get().policy.submitFee;
        self.pay(who, fee, call).map(|_| ())
    }

    pub(crate) fn reveal(&mut self, who: Address, slot: u16, payload: &[u8]) -> Result<()> {
        let call = ITopics::revealCall {
            topic: self.topic,
            epoch: self.get().epoch,
            mechanism: 0,
            slot,
            salt: salt(slot),
            payload: Bytes::copy_from_slice(payload),
        };
        self.act(who, call).map(|_| ())
    }

    /// A yuma epoch in which these slots' operators say these weights; says how it ended.
    pub(crate) fn yuma_epoch(&mut self, rows: &[(u16, &[(u16, u16)])]) -> Stage {
        self.reach(Stage::Open);
        for (slot, row) in rows {
            let who = self.slot(*slot).operator;
            self.commit(who, *slot, &weights(row)).unwrap();
        }
        self.reach(Stage::Reveal);
        for (slot, row) in rows {
            let who = self.slot(*slot).operator;
            self.reveal(who, *slot, &weights(row)).unwrap();
        }
        self.settle()
    }

    /// A synthesis epoch: what workers and forecasters say, and what reputers say later.
    pub(crate) fn synthesis_epoch(
        &mut self,
        said: &[(u16, Vec<u8>)],
        reports: &[(u16, Vec<u8>)],
    ) -> Stage {
        self.reach(Stage::Open);
        self.submit(said, Stage::Sealed);
        self.reach(Stage::Lag);
        self.submit(reports, Stage::Reveal);
        self.settle()
    }

    pub(crate) fn submit(&mut self, payloads: &[(u16, Vec<u8>)], stage: Stage) {
        for (slot, payload) in payloads {
            let who = self.slot(*slot).operator;
            self.commit(who, *slot, payload).unwrap();
        }
        self.reach(stage);
        for (slot, payload) in payloads {
            let who = self.slot(*slot).operator;
            self.reveal(who, *slot, payload).unwrap();
        }
    }

    pub(crate) fn liabilities(&mut self) -> U256 {
        self.ask(ITopics::liabilitiesCall {})
    }

    /// Debts recomputed from every topic, slot, pool and account.
    fn recomputed_liabilities(&mut self) -> U256 {
        let this = Topics::new();
        let host = &mut self.host;
        let mut sum = 0u128;
        for number in 1..=this.topic_count.read(host).unwrap() {
            let topic = this.topics.at(U256::from(number));
            sum += topic.bond.read(host).unwrap() + topic.granted.read(host).unwrap();
            let epoch = topic.epoch.read(host).unwrap();
            let (mut stake, mut taken, mut bonds) = (0u128, 0u16, 0u128);
            let mut waiting = 0u128;
            for slot in 0..topic.capacity(host).unwrap() {
                let seat = topic.seats.at(u64::from(slot));
                bonds += seat.bond.read(host).unwrap();
                if !seat.operator.read(host).unwrap().is_zero() {
                    let pool = this.pools.at(seat.pool.read(host).unwrap());
                    let counts = pool.held(host, epoch).unwrap().amount;
                    stake += counts;
                    let all = pool.amount.read(host).unwrap() + pool.waiting.read(host).unwrap();
                    waiting += all - counts;
                    taken += 1;
                }
            }
            assert_eq!(stake, topic.stake.read(host).unwrap(), "stake is recorded");
            assert_eq!(waiting, topic.stake_waiting.read(host).unwrap());
            assert_eq!(bonds, topic.bonds.read(host).unwrap(), "bonds are recorded");
            sum += bonds;
            assert_eq!(taken, topic.slot_count(host).unwrap());
            let (paid, burned) = (
                topic.paid.read(host).unwrap(),
                topic.burned.read(host).unwrap(),
            );
            let bound = super::part(burned, 9_900).unwrap();
            assert!(paid <= bound, "at most 99 % comes back");
        }
        for number in 1..=this.pool_count.read(host).unwrap() {
            let pool = this.pools.at(number);
            sum += pool.amount.read(host).unwrap() + pool.waiting.read(host).unwrap();
        }
        let accounts = (0..512).map(actor).chain([OWNER, DONOR]);
        for account in accounts {
            let account = this.accounts.at(account);
            sum += account.free.read(host).unwrap()
                + account.vesting.read(host).unwrap()
                + account.waiting.read(host).unwrap();
            let (head, tail) = (
                account.queue_head.read(host).unwrap(),
                account.queue_tail.read(host).unwrap(),
            );
            let queued: u128 = (head..tail)
                .map(|place| account.queue.at(place).amount.read(host).unwrap())
                .sum();
            assert_eq!(queued, account.waiting.read(host).unwrap());
        }
        U256::from(sum)
    }

    /// What must hold after every step.
    pub(crate) fn check_invariants(&mut self) {
        assert_eq!(
            self.host.total_balance(),
            self.spec.issued(),
            "money is conserved"
        );
        let owed = self.liabilities();
        assert_eq!(owed, self.recomputed_liabilities(), "debts are recorded");
        assert!(
            self.host.balance_of(addresses::TOPICS) >= owed,
            "debts are covered"
        );
    }
}

impl World {
    /// Burns coins of the donor as the topic's income.
    pub(crate) fn fund(&mut self, amount: u128) {
        let topic = self.topic;
        self.pay(DONOR, amount, ITopics::fundCall { topic })
            .unwrap();
    }
}
