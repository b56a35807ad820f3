//! A topic through real transactions: what is burned in it pays those who were useful; and the
//! chain's own steps.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, SolEvent};
use hallmark_abi::ITopics;
use hallmark_abi::topics::ITopics::{Kind, Mechanism, Policy, Role, Stage};
use hallmark_contracts::topics::commitment;
use hallmark_mechanisms::wire::decode_explanation;
use hallmark_types::{MARK, addresses};

use super::world::*;
use crate::block::BlockRun;
use crate::{CallRequest, NoAncestry};

const OWNER: u8 = 1;
const VALIDATOR: u8 = 2;
const WORKERS: [u8; 2] = [3, 4];
const TOPIC: U256 = U256::from_limbs([1, 0, 0, 0]);

fn policy() -> Policy {
    Policy {
        openMs: 1_000,
        sealedMs: 0,
        lagMs: 0,
        revealMs: 1_000,
        epochMs: 2_000,
        maxWorkers: 8,
        maxForecasters: 0,
        maxReputers: 0,
        immunityMs: 60_000,
        minBond: 5 * MARK,
        submitFee: MARK,
        vestingMs: 0,
        ownerBps: 1_000,
        valueMin: 0,
        valueMax: 0,
    }
}

impl World {
    /// One call of `Topics` in a block of its own; it succeeds.
    fn tell<C: SolCall>(&mut self, from: u8, value: u128, call: &C) -> hallmark_state::Executed {
        let to = TxKind::Call(addresses::TOPICS);
        let mut order = self.order(from, to, value, call.abi_encode());
        order.tx.gas_limit = 20_000_000;
        let executed = self.block(vec![order.sign()]);
        assert!(executed.receipts[0].is_success(), "{}", C::SIGNATURE);
        executed
    }

    fn topics<C: SolCall>(&self, call: &C) -> C::Return {
        let request = CallRequest {
            to: Some(addresses::TOPICS),
            data: call.abi_encode().into(),
            ..CallRequest::default()
        };
        let head = &self.head;
        let outcome = self
            .proposer
            .call(&head.state, &head.block.header, request, &NoAncestry)
            .unwrap();
        C::abi_decode_returns_validate(&output(outcome)).unwrap()
    }

    fn topic(&self) -> ITopics::Topic {
        self.topics(&ITopics::getCall { topic: TOPIC })
    }

    /// Empty blocks until the chain has brought the topic to `stage`.
    fn until(&mut self, stage: Stage) {
        for _ in 0..100 {
            if self.topic().stage == stage {
                return;
            }
            self.block(vec![]);
        }
        panic!("the chain never comes to {stage:?}");
    }

    /// A topic with a validator in slot 0 and two workers, after its first epoch.
    fn with_topic() -> Self {
        let mut world = Self::new();
        let rules = &world.spec().topics;
        let due: u128 = (rules.topic_bond + rules.create_fee).to();
        let create = ITopics::createCall {
            title: "words".to_owned(),
            policy: policy(),
            mechanisms: vec![Mechanism {
                kind: Kind::Yuma,
                shareBps: 10_000,
                params: Bytes::new(),
            }],
        };
        world.tell(OWNER, due, &create);
        for who in [VALIDATOR, WORKERS[0], WORKERS[1]] {
            let register = ITopics::registerCall {
                topic: TOPIC,
                role: Role::Worker,
            };
            world.tell(who, 20 * MARK, &register);
        }
        let stake = ITopics::stakeCall {
            topic: TOPIC,
            slot: 0,
        };
        world.tell(VALIDATOR, 100 * MARK, &stake);
        world.until(Stage::Cancelled);
        world
    }
}

/// A topic whose validator has weighed both workers, and which is funded.
fn weighed() -> World {
    let mut world = World::with_topic();
    world.tell(OWNER, 50 * MARK, &ITopics::fundCall { topic: TOPIC });
    world.until(Stage::Open);
    let epoch = world.topic().epoch;
    let payload: Vec<u8> = [[0, 1, 0, 3], [0, 2, 0, 1]].concat();
    let validator: Address = signer(VALIDATOR).address();
    let salt = B256::repeat_byte(7);
    let to = (world.spec().chain_id, TOPIC, epoch, 0, 0, validator);
    let commit = ITopics::commitCall {
        topic: TOPIC,
        epoch,
        mechanism: 0,
        slot: 0,
        commitment: commitment(to, salt, &payload),
    };
    world.tell(VALIDATOR, MARK, &commit);
    world.until(Stage::Reveal);
    let reveal = ITopics::revealCall {
        topic: TOPIC,
        epoch,
        mechanism: 0,
        slot: 0,
        salt,
        payload: payload.into(),
    };
    world.tell(VALIDATOR, 0, &reveal);
    world
}

#[test]
fn what_the_chain_does_alone_is_told_beside_the_receipts() {
    let mut world = weighed();
    let mut told = Vec::new();
    while world.topic().stage != Stage::Done {
        let executed = world.block(vec![]);
        assert!(executed.receipts.is_empty());
        told.extend(executed.sweep_logs);
    }
    assert!(told.iter().all(|log| log.address == addresses::TOPICS));
    let settled: Vec<_> = told
        .iter()
        .filter_map(|log| ITopics::Settled::decode_log(log).ok())
        .collect();
    assert_eq!(settled.len(), 1);
    let epoch = world.topic().epoch - 1;
    assert_eq!((settled[0].topic, settled[0].epoch), (TOPIC, epoch));
    // It says what the state says.
    let slots = world.topics(&ITopics::slotsCall {
        topic: TOPIC,
        offset: U256::ZERO,
        limit: U256::from(3),
    });
    let shares: Vec<u64> = slots.iter().map(|slot| slot.shareBillionths).collect();
    assert_eq!(settled[0].shares, shares);
    let columns = decode_explanation(&settled[0].explanation, 3).unwrap();
    assert!(columns.iter().any(|(name, _)| name == "incentive"));
    let paid = told
        .iter()
        .filter_map(|log| ITopics::Paid::decode_log(log).ok());
    let paid: u128 = paid.map(|event| event.toOperator + event.toPool).sum();
    assert!(paid > MARK && paid < world.topic().paid);
}

#[test]
fn what_is_burned_in_a_topic_pays_the_useful_and_money_is_conserved() {
    let mut world = weighed();
    // A keeper's transactions leave the events that the chain's own steps do not.
    let mut signatures = Vec::new();
    while world.topic().stage != Stage::Done {
        let topic = world.topic();
        if topic.stageEndMs > world.attributes().timestamp_ms {
            world.block(vec![]);
            continue;
        }
        let executed = world.tell(OWNER, 0, &ITopics::advanceCall { topic: TOPIC });
        let logs = executed.receipts[0].logs().iter();
        signatures.extend(logs.map(|log| log.topics()[0]));
    }
    for signature in [
        ITopics::Settled::SIGNATURE_HASH,
        ITopics::Paid::SIGNATURE_HASH,
        ITopics::StageChanged::SIGNATURE_HASH,
    ] {
        assert!(signatures.contains(&signature));
    }
    let topic = world.topic();
    assert!(topic.paid > MARK && topic.paid < 5 * MARK, "{}", topic.paid);
    assert!(world.balance(world.spec().treasury) > U256::ZERO);
    let worker = signer(WORKERS[0]).address();
    let before = world.balance(worker);
    world.tell(WORKERS[0], 0, &ITopics::withdrawCall {});
    assert!(world.balance(worker) > before + U256::from(MARK));
    let owed = world.topics(&ITopics::liabilitiesCall {});
    assert!(world.balance(addresses::TOPICS) >= owed);
}

#[test]
fn the_chain_alone_brings_a_topic_through_its_epochs() {
    let mut world = World::with_topic();
    let first = world.topic().epoch;
    world.tell(OWNER, MARK, &ITopics::fundCall { topic: TOPIC });
    for _ in 0..100 {
        world.block(vec![]);
    }
    assert_eq!(world.topic().epoch, first + 1);
    // Nobody takes part any more: it rests, and blocks change nothing.
    let before = world.head.state.root();
    for _ in 0..100 {
        world.block(vec![]);
    }
    assert_eq!(world.head.state.root(), before);
    // A commitment is all that it takes.
    let validator: Address = signer(VALIDATOR).address();
    let to = (world.spec().chain_id, TOPIC, first + 1, 0, 0, validator);
    let commit = ITopics::commitCall {
        topic: TOPIC,
        epoch: first + 1,
        mechanism: 0,
        slot: 0,
        commitment: commitment(to, B256::ZERO, &[]),
    };
    world.tell(VALIDATOR, MARK, &commit);
    assert_eq!(world.topic().stage, Stage::Open);
    for _ in 0..100 {
        world.block(vec![]);
    }
    assert!(world.topic().epoch > first + 1);
}

#[test]
fn a_sweep_that_runs_out_of_gas_leaves_no_trace_and_the_others_alone() {
    let mut world = World::with_topic();
    world.tell(OWNER, MARK, &ITopics::fundCall { topic: TOPIC });
    let parent = &world.head;
    let mut context = world.proposer.context(&parent.block.header);
    context.number += 1;
    context.timestamp_ms += 60_000;
    // The market's sweep has no gas, then the topics'.
    for (starved, stage) in [(0, Stage::Open), (1, Stage::Cancelled)] {
        let mut run = BlockRun::new(
            &world.proposer,
            context,
            &parent.block.header,
            parent.hash,
            &parent.state,
            &NoAncestry,
        );
        run.sweeps[starved].1 = 0;
        let outcome = run.finish(&parent.state).unwrap();
        let request = CallRequest {
            to: Some(addresses::TOPICS),
            data: ITopics::getCall { topic: TOPIC }.abi_encode().into(),
            ..CallRequest::default()
        };
        let answer = world
            .proposer
            .call(&outcome.state, &parent.block.header, request, &NoAncestry)
            .unwrap();
        let topic = ITopics::getCall::abi_decode_returns_validate(&output(answer)).unwrap();
        assert_eq!(topic.stage, stage);
        // What was undone was not told.
        assert_eq!(outcome.sweep_logs.is_empty(), stage == Stage::Cancelled);
    }
}
