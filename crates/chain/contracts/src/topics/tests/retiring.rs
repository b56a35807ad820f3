//! The end of a topic: it waits, stake can say no, and donors get back what was not paid.

use alloy_primitives::{Address, U256};
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::MARK;

use super::{DONOR, FEE, OWNER, World, actor, only, wei, yuma_policy};
use crate::testing::expect_revert;

const ROW: [(u16, &[(u16, u16)]); 1] = [(0, &[(2, 3), (3, 1)])];

impl World {
    fn retire(&mut self) {
        let topic = self.topic;
        self.act(OWNER, ITopics::retireCall { topic }).unwrap();
    }

    fn grant(&mut self, from: Address, amount: u128) {
        let topic = self.topic;
        self.pay(from, amount, ITopics::grantCall { topic })
            .unwrap();
        self.check_invariants();
    }

    fn reclaim(&mut self, donor: Address) -> crate::Result<U256> {
        let topic = self.topic;
        let got = self.act(donor, ITopics::reclaimCall { topic })?;
        self.check_invariants();
        Ok(got)
    }

    fn slice(&mut self) -> u128 {
        let topic = super::Topics::new().topics.at(self.topic);
        topic.grant_slice.read(&mut self.host).unwrap()
    }
}

/// Slot 0 judges, without fees, so that grants are all that there is to pay.
fn granted() -> World {
    let mut world = World::empty(|_| ());
    let policy = Policy {
        submitFee: 0,
        ..yuma_policy()
    };
    world.topic = world.create(policy, only(Kind::Yuma)).unwrap();
    world.workers(4);
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    world.yuma_epoch(&[]);
    world
}

#[test]
fn a_retirement_waits_and_happens_between_two_epochs() {
    let mut world = granted();
    let call = ITopics::retireCall { topic: world.topic };
    expect_revert::<ITopics::NotOwner>(world.act(DONOR, call));
    world.reach(Stage::Open);
    world.retire();
    // The epoch under way, and all that open before the time, are as ever.
    assert_eq!(world.settle(), Stage::Cancelled);
    assert!(!world.get().retired && world.get().bond == 100 * MARK);
    world.wait(world.spec.topics.timelock_ms);
    world.advance().unwrap();
    let topic = world.get();
    assert!(topic.retired && topic.bond == 0);
    assert_eq!(topic.stage, Stage::Cancelled, "no epoch was opened");
    assert_eq!(world.balances(OWNER).free, wei(100 * MARK));
    expect_revert::<ITopics::NothingToDo>(world.advance());
    expect_revert::<ITopics::TopicRetired>(world.join(actor(7), Role::Worker));
    expect_revert::<ITopics::TopicRetired>(
        world.act(OWNER, ITopics::retireCall { topic: topic.id }),
    );
    let call = ITopics::leaveCall {
        topic: topic.id,
        slot: 0,
    };
    world.act(actor(0), call).unwrap();
    world.check_invariants();
}

#[test]
fn stake_strikes_a_retirement() {
    let mut world = granted();
    world.retire();
    let (topic, pool) = (world.topic, world.slot(0).pool);
    world
        .act(actor(0), ITopics::vetoCall { topic, pool })
        .unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.reach(Stage::Open);
    world.settle();
    assert!(!world.get().retired);
    assert_eq!(world.get().bond, 100 * MARK);
}

#[test]
fn a_policy_that_is_proposed_takes_the_place_of_a_retirement_and_the_other_way_round() {
    let mut world = granted();
    let call = ITopics::proposePolicyCall {
        topic: world.topic,
        policy: Policy {
            submitFee: FEE,
            ..yuma_policy()
        },
        newOwner: actor(9),
    };
    world.retire();
    world.act(OWNER, call.clone()).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.reach(Stage::Open);
    assert_eq!((world.get().owner, world.get().retired), (actor(9), false));
    world.settle();
    world.act(actor(9), call).unwrap();
    let topic = world.topic;
    world.act(actor(9), ITopics::retireCall { topic }).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.advance().unwrap();
    assert!(world.get().retired);
    assert_eq!(world.balances(actor(9)).free, wei(100 * MARK));
}

#[test]
fn a_topic_without_slots_retires_when_somebody_advances_it() {
    let mut world = World::yuma();
    world.retire();
    let error = expect_revert::<ITopics::NothingToDo>(world.advance());
    let due = world.host.timestamp_ms + world.spec.topics.timelock_ms;
    assert_eq!(error.fromMs, due);
    world.wait(world.spec.topics.timelock_ms);
    world.advance().unwrap();
    assert!(world.get().retired);
    assert_eq!(world.balances(OWNER).free, wei(100 * MARK));
    assert_eq!(super::Topics::new().active.len(&mut world.host).unwrap(), 0);
}

#[test]
fn donors_get_back_what_was_not_paid_by_what_they_gave_and_when() {
    let mut world = granted();
    world.grant(DONOR, 40 * MARK);
    assert_eq!(world.yuma_epoch(&ROW), Stage::Done);
    // A twentieth is paid: the first donor's claim is 38 MARK now.
    let left = world.get().granted;
    assert!((38 * MARK..38 * MARK + 10).contains(&left), "{left}");
    world.grant(actor(9), 19 * MARK);
    expect_revert::<ITopics::NotRetired>(world.reclaim(DONOR));
    world.yuma_epoch(&ROW);
    let left = world.get().granted;
    world.retire();
    world.wait(world.spec.topics.timelock_ms);
    world.advance().unwrap();
    assert_eq!(world.get().granted, left, "nothing is burned");
    expect_revert::<ITopics::ZeroAmount>(world.reclaim(actor(8)));
    let first: u128 = world.reclaim(DONOR).unwrap().to();
    let second: u128 = world.reclaim(actor(9)).unwrap().to();
    assert_eq!(first + second, left);
    assert!(first.abs_diff(2 * second) < 100, "{first} {second}");
    assert_eq!(world.balances(actor(9)).free, wei(second));
    expect_revert::<ITopics::ZeroAmount>(world.reclaim(DONOR));
    assert_eq!(world.get().granted, 0);
}

#[test]
fn who_gave_what_was_paid_has_no_claim_on_what_others_gave_later() {
    let mut world = granted();
    world.grant(DONOR, 40 * MARK);
    // As if all of it had been paid.
    let topic = super::Topics::new().topics.at(world.topic);
    topic.granted.write(&mut world.host, 0).unwrap();
    let owed = super::Topics::new().liabilities;
    let sum = owed.read(&mut world.host).unwrap();
    owed.write(&mut world.host, sum - 40 * MARK).unwrap();
    world.grant(actor(9), 10 * MARK);
    world.retire();
    world.wait(world.spec.topics.timelock_ms);
    world.advance().unwrap();
    expect_revert::<ITopics::ZeroAmount>(world.reclaim(DONOR));
    assert_eq!(world.reclaim(actor(9)).unwrap(), wei(10 * MARK));
}

#[test]
fn claims_stay_in_range_however_often_nearly_everything_is_paid() {
    let mut world = granted();
    let topic = super::Topics::new().topics.at(world.topic);
    let owed = super::Topics::new().liabilities;
    world.grant(DONOR, 40 * MARK);
    for _ in 0..12 {
        let before = topic.granted.read(&mut world.host).unwrap();
        topic.granted.write(&mut world.host, 1).unwrap();
        let sum = owed.read(&mut world.host).unwrap();
        owed.write(&mut world.host, sum - (before - 1)).unwrap();
        world.grant(actor(9), 1_000 * MARK);
        let claims = topic.donations.claims.read(&mut world.host).unwrap();
        assert!(claims.bit_len() <= 128 && !claims.is_zero());
    }
    let left = world.get().granted;
    world.retire();
    world.wait(world.spec.topics.timelock_ms);
    world.advance().unwrap();
    expect_revert::<ITopics::ZeroAmount>(world.reclaim(DONOR));
    let got: u128 = world.reclaim(actor(9)).unwrap().to();
    assert!(left - got <= 100, "{left} {got}");
}

#[test]
fn a_grant_below_the_slice_slows_no_other_down() {
    let mut world = granted();
    world.grant(DONOR, 40 * MARK);
    assert_eq!(world.slice(), 2 * MARK);
    for _ in 0..10 {
        world.yuma_epoch(&ROW);
        world.grant(actor(9), 1);
        assert_eq!(world.slice(), 2 * MARK);
    }
    let left = world.get().granted;
    assert!(left < 20 * MARK + 100, "{left}");
    // As much as a slice is a grant of its own.
    world.grant(actor(9), 20 * MARK);
    let slice = world.slice();
    assert!((2 * MARK..2 * MARK + 10).contains(&slice), "{slice}");
}
