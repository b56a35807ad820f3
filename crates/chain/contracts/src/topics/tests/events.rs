//! Whatever happens in a topic is told.

use std::collections::BTreeSet;

use alloy_primitives::{B256, U256};
use alloy_sol_types::{SolEvent, SolEventInterface};
use hallmark_abi::{
    ITopics,
    topics::ITopics::{ITopicsEvents, Kind, Role, Stage},
};
use hallmark_types::{MARK, addresses};

use super::{DONOR, OWNER, World, actor, only, score, slots, truth, value, weights, yuma_policy};

/// The names of what the contract told.
pub(super) fn signatures(world: &World) -> BTreeSet<B256> {
    let logs = world.host.logs().iter();
    logs.filter(|(from, _)| *from == addresses::TOPICS)
        .map(|(_, log)| log.topics()[0])
        .collect()
}

/// A life of a Yuma topic in which everything happens but what other kinds have.
fn life() -> World {
    let mut world = World::empty(|spec| spec.topics.veto_bps = 10_000);
    world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
    let topic = world.topic;
    world.workers(8);
    let call = ITopics::topUpCall { topic, slot: 0 };
    world.pay(actor(0), MARK, call).unwrap();
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    let call = ITopics::setTakeCall {
        topic,
        slot: 0,
        takeBps: 5_000,
    };
    world.act(actor(0), call).unwrap();
    world.fund(100 * MARK);
    world
        .pay(DONOR, 40 * MARK, ITopics::grantCall { topic })
        .unwrap();
    world.yuma_epoch(&[]);
    world.yuma_epoch(&[(0, &[(2, 3), (3, 1)])]);
    // One withholds; one is pruned; one leaves; one takes stake out and coins.
    world.reach(Stage::Open);
    world.commit(actor(1), 1, &weights(&[])).unwrap();
    world.settle();
    world.join(actor(20), Role::Worker).unwrap();
    world
        .act(actor(5), ITopics::leaveCall { topic, slot: 5 })
        .unwrap();
    let pool = world.slot(0).pool;
    let call = ITopics::unstakeCall {
        pool,
        shares: U256::from(MARK),
    };
    world.act(actor(0), call).unwrap();
    world.act(actor(2), ITopics::withdrawCall {}).unwrap();
    let call = ITopics::proposePolicyCall {
        topic,
        policy: yuma_policy(),
        newOwner: OWNER,
    };
    world.act(OWNER, call).unwrap();
    world
        .act(actor(0), ITopics::vetoCall { topic, pool })
        .unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.reach(Stage::Open);
    world.settle();
    world.act(OWNER, ITopics::retireCall { topic }).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.advance().unwrap();
    world.act(DONOR, ITopics::reclaimCall { topic }).unwrap();
    world.check_invariants();
    world
}

#[test]
fn every_step_is_told() {
    let mut told = signatures(&life());
    let mut world = World::synthesis();
    world.join(actor(0), Role::Worker).unwrap();
    world.join(actor(1), Role::Reputer).unwrap();
    world.stake(actor(1), 10, MARK).unwrap();
    world.synthesis_epoch(&[(0, value(1))], &[(10, truth(1))]);
    told.extend(signatures(&world));
    told.extend(signatures(&score::proven()));
    let mut world = slots::judged_and_full();
    world.join(actor(30), Role::Worker).unwrap();
    told.extend(signatures(&world));
    let all: BTreeSet<B256> = ITopicsEvents::SELECTORS
        .iter()
        .map(|hash| B256::from(*hash))
        .collect();
    assert_eq!(all.len(), ITopicsEvents::COUNT);
    let missing: Vec<_> = all.difference(&told).collect();
    assert!(missing.is_empty(), "never told: {missing:?}");
}

#[test]
fn what_is_added_to_a_bond_and_what_the_house_gets_is_told() {
    let world = life();
    let logs = world.host.logs();
    let topped = logs
        .iter()
        .find_map(|(_, log)| ITopics::ToppedUp::decode_log_data(log).ok())
        .unwrap();
    assert_eq!((topped.slot, topped.amount), (0, MARK));
    assert_eq!(topped.bond, super::MIN_BOND + MARK);
    let (mut to_owner, mut to_treasury, mut of_slots) = (0, 0, 0);
    for (_, log) in logs {
        if let Ok(e) = ITopics::HousePaid::decode_log_data(log) {
            assert_eq!((e.owner, e.treasury), (OWNER, world.spec.treasury));
            to_owner += e.toOwner;
            to_treasury += e.toTreasury;
        }
        if let Ok(e) = ITopics::Paid::decode_log_data(log) {
            of_slots += e.toOperator + e.toPool;
        }
    }
    let mut world = world;
    let topic = world.get();
    assert_eq!(
        world.host.balance_of(world.spec.treasury),
        U256::from(to_treasury)
    );
    let epochs = 1..topic.epoch;
    let paid: u128 = epochs
        .map(|epoch| {
            let topic = topic.id;
            world.ask(ITopics::epochInfoCall { topic, epoch }).paid
        })
        .sum();
    assert_eq!(to_owner + to_treasury + of_slots, paid);
    assert!(to_owner > 0 && to_treasury.abs_diff(2 * to_owner) < 20);
}
