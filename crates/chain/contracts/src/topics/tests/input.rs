//! Bad and extreme input that belongs to no other story.

use alloy_primitives::U256;
use hallmark_abi::topics::ITopics::{Kind, Policy, Role, Stage};
use hallmark_types::MARK;

use super::{MIN_BOND, World, actor, only, synthesis_policy, truth, value, weights, yuma_policy};

#[test]
fn weights_are_parts_of_their_row_so_no_sum_is_too_large() {
    let shares = |weight: u16| {
        let policy = Policy {
            maxWorkers: 256,
            ..yuma_policy()
        };
        let mut world = World::with(Kind::Yuma, policy);
        world.workers(6);
        world.stake(actor(0), 0, 60 * MARK).unwrap();
        world.fund(100 * MARK);
        world.yuma_epoch(&[]);
        let row: Vec<_> = (0..256).map(|slot| (slot, weight)).collect();
        assert_eq!(world.yuma_epoch(&[(0, &row)]), Stage::Done);
        let all = (0..6).map(|slot| world.slot(slot).shareBillionths);
        all.collect::<Vec<_>>()
    };
    let full = shares(u16::MAX);
    assert_eq!(full.iter().sum::<u64>(), 1_000_000_000);
    assert_eq!(
        full,
        shares(1),
        "a full row of the largest is a row of equals"
    );
}

#[test]
fn the_largest_stakes_settle_a_synthesis() {
    let mut world = World::empty(|spec| {
        for balance in spec.alloc.values_mut() {
            *balance = U256::from(10u128.pow(29));
        }
    });
    let policy = synthesis_policy();
    world.topic = world.create(policy, only(Kind::Synthesis)).unwrap();
    for number in 0..3 {
        world.join(actor(number), Role::Worker).unwrap();
    }
    for number in 3..6 {
        world.join(actor(number), Role::Reputer).unwrap();
        let amount = 10u128.pow(28) / u128::from(number);
        world.stake(actor(number), 7 + number, amount).unwrap();
    }
    world.fund(10u128.pow(28));
    let said = [(0, value(2_000)), (1, value(2_010)), (2, value(99_999))];
    let reports = [(10, truth(2_000)), (11, truth(2_001)), (12, truth(-99_999))];
    for _ in 0..3 {
        assert_eq!(world.synthesis_epoch(&said, &reports), Stage::Done);
        let all = (0..13).map(|slot| world.slot(slot).shareBillionths);
        assert_eq!(all.sum::<u64>(), 1_000_000_000);
    }
    assert!(world.slot(0).shareBillionths > world.slot(2).shareBillionths);
    assert!(world.get().paid < 3 * MIN_BOND);
}

#[test]
fn a_topic_whose_only_speaker_is_gone_pays_nobody_and_ends() {
    let mut world = World::yuma();
    world.workers(2);
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    world.fund(100 * MARK);
    world.yuma_epoch(&[]);
    world.reach(Stage::Open);
    let row = weights(&[(1, 1)]);
    world.commit(actor(0), 0, &row).unwrap();
    world.reach(Stage::Reveal);
    world.reveal(actor(0), 0, &row).unwrap();
    let call = hallmark_abi::ITopics::leaveCall {
        topic: world.topic,
        slot: 0,
    };
    world.act(actor(0), call).unwrap();
    assert_eq!(world.settle(), Stage::Cancelled);
    assert_eq!(world.get().paid, 0);
}
