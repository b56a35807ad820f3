//! Topics in which nobody takes part: when they rest, what wakes them, what they cost meanwhile.

use alloy_primitives::B256;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::{MARK, addresses};

use super::{DONOR, FEE, OWNER, World, actor, only, score_policy, wei, weights, yuma_policy};
use crate::{storage::Words, testing::expect_revert};

impl World {
    fn words_of_topics(&self) -> Words {
        self.host.storage()[&addresses::TOPICS].clone()
    }

    /// Topics that the chain looks at.
    fn awake(&mut self) -> u64 {
        super::Topics::new().active.len(&mut self.host).unwrap()
    }

    /// Blocks of the chain alone until the topic rests.
    fn until_rest(&mut self) {
        for _ in 0..64 {
            if self.awake() == 0 {
                return;
            }
            self.host.next_block(3_000).unwrap();
        }
        panic!("the topic never rests");
    }

    /// Whether the chain alone opens the topic's next epoch.
    fn opens(&mut self) -> bool {
        let epoch = self.get().epoch;
        for _ in 0..64 {
            self.host.next_block(3_000).unwrap();
        }
        self.check_invariants();
        self.get().epoch > epoch || self.stage() == Stage::Open
    }
}

/// A topic with two workers that rests after an epoch in which nobody did anything.
fn resting() -> World {
    let mut world = World::yuma();
    world.workers(2);
    world.until_rest();
    assert_eq!((world.stage(), world.get().epoch), (Stage::Cancelled, 2));
    world
}

#[test]
fn a_topic_in_which_nobody_takes_part_rests_after_one_epoch_and_no_block_writes_about_it() {
    let mut world = resting();
    let before = world.words_of_topics();
    assert!(!world.opens());
    assert_eq!(before, world.words_of_topics());
    let mut empty = World::empty(|_| ());
    empty.host.next_block(1).unwrap();
    assert_eq!(world.host.swept_gas, empty.host.swept_gas);
}

#[test]
fn who_registers_funds_grants_or_advances_wakes_it() {
    let world = resting();
    let mut joined = world.clone();
    joined.join(actor(2), Role::Worker).unwrap();
    assert!(joined.opens());
    let mut funded = world.clone();
    funded.fund(MARK);
    assert!(funded.opens());
    let mut granted = world.clone();
    let call = ITopics::grantCall { topic: world.topic };
    granted.pay(DONOR, MARK, call).unwrap();
    assert!(granted.opens());
    let mut advanced = world.clone();
    advanced.wait(60_000);
    advanced.advance().unwrap();
    assert_eq!(advanced.stage(), Stage::Open);
    assert!(advanced.opens(), "and the chain brings it to the end");
    // Each of them for one epoch, if nothing else happens.
    for mut woken in [joined, funded, granted, advanced] {
        woken.until_rest();
        assert_eq!(woken.get().epoch, 3);
        assert!(!woken.opens());
    }
    let mut staked = world;
    staked.stake(actor(5), 0, MARK).unwrap();
    assert!(!staked.opens(), "stake alone asks for nothing");
}

#[test]
fn who_takes_part_while_an_epoch_is_under_way_has_the_next_one_opened() {
    let mut world = resting();
    world.fund(MARK);
    world.host.next_block(60_000).unwrap();
    for part in 0..3 {
        world.reach(Stage::Open);
        match part {
            0 => world.fund(MARK),
            1 => world.commit(actor(0), 0, &weights(&[])).unwrap(),
            _ => drop(world.join(actor(3), Role::Worker).unwrap()),
        }
        world.settle();
        assert_eq!(world.awake(), 1, "part {part}");
    }
    world.reach(Stage::Open);
    world.settle();
    assert_eq!(world.awake(), 0);
}

#[test]
fn a_commitment_to_an_epoch_whose_time_has_come_opens_it() {
    let policy = Policy {
        epochMs: 100_000,
        ..yuma_policy()
    };
    let mut world = World::with(Kind::Yuma, policy);
    world.workers(2);
    world.until_rest();
    world.wait(100_000);
    let row = weights(&[(1, 1)]);
    world.commit(actor(0), 0, &row).unwrap();
    let topic = world.get();
    let now = world.host.timestamp_ms;
    assert_eq!((topic.stage, topic.stageEndMs), (Stage::Open, now + 10_000));
    assert_eq!(topic.burned, FEE);
    world.reach(Stage::Reveal);
    world.reveal(actor(0), 0, &row).unwrap();
    world.settle();
    // The next one's time has not come.
    assert!(world.host.timestamp_ms < world.get().stageEndMs);
    expect_revert::<ITopics::WrongStage>(world.commit(actor(0), 0, &row));
}

#[test]
fn a_commitment_that_is_refused_opens_nothing() {
    let mut world = resting();
    world.wait(60_000);
    let before = world.words_of_topics();
    let mut call = world.committing(actor(0), 0, &[]);
    expect_revert::<ITopics::WrongPayment>(world.pay(actor(0), 0, call.clone()));
    expect_revert::<ITopics::NotOperator>(world.pay(actor(1), FEE, call.clone()));
    call.epoch += 1;
    expect_revert::<ITopics::WrongEpoch>(world.pay(actor(0), FEE, call));
    let retire = ITopics::retireCall { topic: world.topic };
    assert_eq!(before, world.words_of_topics());
    world.act(OWNER, retire).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    expect_revert::<ITopics::WrongStage>(world.commit(actor(0), 0, &[]));
}

#[test]
fn a_test_set_for_the_next_epoch_wakes_a_topic_and_one_for_a_later_epoch_does_not() {
    let mut world = World::with(Kind::Score, score_policy());
    world.workers(1);
    world.until_rest();
    let call = |epoch| ITopics::commitTestSetCall {
        topic: alloy_primitives::U256::from(1),
        epoch,
        commitment: B256::repeat_byte(1),
    };
    world.act(OWNER, call(5)).unwrap();
    assert!(!world.opens());
    world.act(OWNER, call(2)).unwrap();
    assert!(world.opens());
    world.until_rest();
    // While an epoch is under way, for the one after it.
    world.wait(60_000);
    world.advance().unwrap();
    world.act(OWNER, call(4)).unwrap();
    world.settle();
    assert_eq!(world.awake(), 1);
}

#[test]
fn weights_in_force_pay_without_new_ones_and_the_topic_rests_when_nothing_is_left() {
    let mut world = World::yuma();
    world.workers(3);
    world.stake(actor(0), 0, 100 * MARK).unwrap();
    world.yuma_epoch(&[]);
    world.fund(2 * MARK);
    assert_eq!(world.yuma_epoch(&[(0, &[(1, 1), (2, 1)])]), Stage::Done);
    let paid = world.get().paid;
    world.reach(Stage::Open);
    assert_eq!(world.settle(), Stage::Done);
    let again = world.get().paid;
    assert_eq!(world.awake() == 1, again > paid, "{paid} {again}");
    world.until_rest();
    assert_eq!(world.get().weight, 0);
    let total = super::Topics::new().total_weight;
    assert_eq!(total.read(&mut world.host).unwrap(), 0);
}

#[test]
fn thousands_of_topics_at_rest_cost_a_block_nothing() {
    let swept = |resting: u64| {
        let mut world = World::empty(|spec| {
            for balance in spec.alloc.values_mut() {
                *balance = wei(1_000_000_000 * MARK);
            }
        });
        for _ in 0..resting {
            world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
            world.join(actor(0), Role::Worker).unwrap();
        }
        for _ in 0..10_000 {
            if world.awake() == 0 {
                break;
            }
            world.host.next_block(10_000).unwrap();
        }
        assert_eq!(world.awake(), 0);
        // One that works, made last.
        world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
        world.join(actor(0), Role::Worker).unwrap();
        let mut gas = Vec::new();
        for _ in 0..8 {
            world.host.next_block(10_000).unwrap();
            gas.push(world.host.swept_gas);
        }
        assert_eq!(world.get().epoch, 2);
        gas
    };
    let few = swept(2);
    assert!(few.iter().any(|gas| *gas > 100_000), "{few:?}");
    assert_eq!(few, swept(2_000));
}
