//! Bounds and refusals that games rest on, each as a story without chance.

use alloy_primitives::Address;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Role, Stage},
};
use hallmark_types::MARK;

use crate::testing::expect_revert;
use crate::topics::tests::{
    DONOR, FEE, MIN_BOND, OWNER, World, actor, commitment, only, salt, wei, weights, yuma_policy,
};

#[test]
fn withholding_always_loses_whatever_the_topic_is_worth() {
    for (income, stake) in [(0, MARK), (1_000 * MARK, 10_000 * MARK)] {
        let mut world = World::yuma();
        world.workers(4);
        world.stake(actor(0), 0, stake).unwrap();
        world.stake(actor(1), 1, stake).unwrap();
        world.yuma_epoch(&[]);
        if income != 0 {
            world.fund(income);
        }
        let party = [actor(0), actor(1), actor(2), actor(3), OWNER];
        let wealth = |world: &mut World| {
            let mut sum = world.host.balance_of(world.spec.treasury);
            for who in party {
                sum += world.wealth(who);
            }
            sum + wei((0..4).map(|slot| world.slot(slot).bond).sum())
        };
        world.reach(Stage::Open);
        let row = weights(&[(2, 1), (3, 1)]);
        for slot in 0..2 {
            world.commit(actor(slot), slot, &row).unwrap();
        }
        let before = wealth(&mut world);
        world.reach(Stage::Reveal);
        world.reveal(actor(0), 0, &row).unwrap();
        world.settle();
        assert!(wealth(&mut world) < before);
    }
}

#[test]
fn who_registers_to_evict_takes_the_least_earner_and_never_a_better_one() {
    let mut world = World::yuma();
    world.workers(8);
    world.stake(actor(0), 0, 100 * MARK).unwrap();
    world.yuma_epoch(&[]);
    world.fund(400 * MARK);
    let row: &[(u16, u16)] = &[(1, 9), (2, 8), (3, 7), (4, 6), (5, 5), (6, 4), (7, 3)];
    for _ in 0..3 {
        world.yuma_epoch(&[(0, row)]);
    }
    world.wait(60_000);
    let least = (0..8)
        .min_by_key(|slot| world.slot(*slot).emissionEma)
        .unwrap();
    let best: Address = world.slot(1).operator;
    let spent = world.get().slotPrice;
    assert_eq!(world.join(actor(30), Role::Worker).unwrap(), least);
    // The newcomer is immune; the next attempt hits the next least, at a higher price.
    let dearer = world.get().slotPrice;
    assert!(dearer >= spent * 126 / 100 - 1);
    world.join(actor(31), Role::Worker).unwrap();
    assert_eq!(world.slot(1).operator, best);
    assert_eq!(world.slot(0).operator, actor(0));
}

#[test]
fn the_last_second_is_too_late_even_if_nobody_advanced_the_topic() {
    let mut world = World::yuma();
    world.workers(1);
    world.reach(Stage::Open);
    world.wait(9_999);
    world.commit(actor(0), 0, &[]).unwrap();
    world.wait(1);
    world.join(actor(1), Role::Worker).unwrap();
    let call = world.committing(actor(1), 1, &[]);
    let error = expect_revert::<ITopics::TooLate>(world.pay(actor(1), FEE, call));
    assert_eq!(error.closedAtMs, error.nowMs);
}

#[test]
fn a_donor_cannot_make_an_epoch_worth_more_than_a_withheld_reveal() {
    let mut world = World::yuma();
    world.workers(4);
    world.stake(actor(0), 0, MARK).unwrap();
    world.yuma_epoch(&[]);
    let call = ITopics::grantCall { topic: world.topic };
    world.pay(DONOR, 100_000 * MARK, call).unwrap();
    world.fund(10_000 * MARK);
    world.yuma_epoch(&[(0, &[(2, 1), (3, 1)])]);
    let info = world.ask(ITopics::epochInfoCall {
        topic: world.topic,
        epoch: 2,
    });
    assert!(info.paid < MIN_BOND && info.paid > MIN_BOND / 2);
}

#[test]
fn grants_and_several_mechanisms_together_pay_less_than_one_withheld_reveal_costs() {
    let mut world = World::empty(|_| ());
    let mut mechanisms = only(Kind::Yuma);
    mechanisms[0].shareBps = 5_000;
    mechanisms.push(mechanisms[0].clone());
    world.topic = world.create(yuma_policy(), mechanisms).unwrap();
    world.workers(4);
    for validator in 0..2 {
        world.stake(actor(validator), validator, 50 * MARK).unwrap();
    }
    world.yuma_epoch(&[]);
    let call = ITopics::grantCall { topic: world.topic };
    world.pay(DONOR, 100_000 * MARK, call).unwrap();
    world.fund(10_000 * MARK);
    // Both mechanisms are judged by validator 0; validator 1 withholds from both.
    world.reach(Stage::Open);
    let row = weights(&[(2, 1), (3, 1)]);
    for mechanism in 0..2 {
        for validator in 0..2 {
            let mut call = world.committing(actor(validator), validator, &row);
            let to = (
                world.spec.chain_id,
                world.topic,
                call.epoch,
                mechanism,
                validator,
                actor(validator),
            );
            call.mechanism = mechanism;
            call.commitment = commitment(to, salt(validator), &row);
            world.pay(actor(validator), FEE, call).unwrap();
        }
    }
    world.reach(Stage::Reveal);
    for mechanism in 0..2 {
        let call = ITopics::revealCall {
            topic: world.topic,
            epoch: world.get().epoch,
            mechanism,
            slot: 0,
            salt: salt(0),
            payload: row.clone().into(),
        };
        world.act(actor(0), call).unwrap();
    }
    let burned = world.host.burned();
    assert_eq!(world.settle(), Stage::Done);
    let (topic, epoch) = (world.topic, world.get().epoch - 1);
    let paid = world.ask(ITopics::epochInfoCall { topic, epoch }).paid;
    assert!(paid > MIN_BOND / 2 && paid < MIN_BOND, "{paid}");
    assert_eq!(world.slot(1).bond, 0, "once for both");
    assert!(burned + wei(MIN_BOND) >= world.host.burned());
}
