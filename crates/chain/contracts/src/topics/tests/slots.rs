//! Topics and slots: bonds, price, pruning.

use alloy_primitives::U256;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::MARK;

use super::{
    DONOR, FEE, MIN_BOND, OWNER, World, actor, only, synthesis_policy, wei, weights, yuma_policy,
};
use crate::{testing::expect_revert, topics::rows::Earnings};

#[test]
fn a_topic_is_made_for_its_bond_and_fee_and_retires_with_its_bond() {
    let mut world = World::yuma();
    let topic = world.get();
    assert_eq!((topic.owner, topic.bond), (OWNER, 100 * MARK));
    assert_eq!((topic.epoch, topic.stage), (1, Stage::None));
    assert_eq!(world.host.burned(), wei(MARK));
    let id = world.topic;
    expect_revert::<ITopics::NotOwner>(world.act(DONOR, ITopics::retireCall { topic: id }));
    world.act(OWNER, ITopics::retireCall { topic: id }).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.advance().unwrap();
    world.check_invariants();
    assert_eq!(world.balances(OWNER).free, wei(100 * MARK));
    expect_revert::<ITopics::TopicRetired>(world.join(actor(0), Role::Worker));
    expect_revert::<ITopics::TopicRetired>(world.act(OWNER, ITopics::retireCall { topic: id }));
}

#[test]
fn a_topic_for_the_wrong_money_is_refused() {
    let mut world = World::yuma();
    let call = ITopics::createCall {
        title: "x".to_owned(),
        policy: yuma_policy(),
        mechanisms: only(Kind::Yuma),
    };
    let error = expect_revert::<ITopics::WrongPayment>(world.pay(OWNER, MARK, call));
    assert_eq!(error.needed, wei(101 * MARK));
}

#[test]
fn a_policy_that_no_epoch_can_run_under_is_refused() {
    let wrong: [fn(&mut Policy); 14] = [
        |p| p.openMs = 0,
        |p| p.openMs = u64::MAX,
        |p| p.revealMs = 0,
        |p| p.sealedMs = 1,
        |p| p.epochMs = 19_999,
        |p| p.epochMs = u64::MAX,
        |p| p.maxWorkers = 0,
        |p| p.maxWorkers = 257,
        |p| p.maxForecasters = 1,
        |p| p.minBond = 0,
        |p| p.minBond = u128::MAX,
        |p| p.submitFee = MIN_BOND + 1,
        |p| p.ownerBps = 2_001,
        |p| (p.valueMin, p.valueMax) = (1, 0),
    ];
    let mut world = World::empty(|_| ());
    for (number, edit) in wrong.iter().enumerate() {
        let mut policy = yuma_policy();
        edit(&mut policy);
        let result = world.create(policy, only(Kind::Yuma));
        assert!(result.is_err(), "{number}");
        expect_revert::<ITopics::InvalidPolicy>(result);
    }
    let mut policy = synthesis_policy();
    policy.maxReputers = 7;
    expect_revert::<ITopics::InvalidPolicy>(world.create(policy, only(Kind::Synthesis)));
    let mut policy = synthesis_policy();
    policy.maxWorkers = 33;
    expect_revert::<ITopics::InvalidPolicy>(world.create(policy, only(Kind::Synthesis)));
}

#[test]
fn parts_of_mechanisms_sum_to_the_whole_and_one_of_them_may_be_a_synthesis() {
    let mut world = World::empty(|_| ());
    let mut half = only(Kind::Yuma);
    half[0].shareBps = 5_000;
    expect_revert::<ITopics::InvalidMechanism>(world.create(yuma_policy(), half.clone()));
    expect_revert::<ITopics::InvalidMechanism>(world.create(yuma_policy(), vec![]));
    let both = [half.clone(), half.clone()].concat();
    world.create(yuma_policy(), both).unwrap();
    half[0].kind = Kind::Synthesis;
    let both = [half.clone(), half].concat();
    expect_revert::<ITopics::InvalidMechanism>(world.create(synthesis_policy(), both));
    let many = vec![only(Kind::Yuma).remove(0); 9];
    expect_revert::<ITopics::InvalidMechanism>(world.create(yuma_policy(), many));
}

#[test]
fn the_price_of_a_slot_rises_with_each_and_halves_in_its_time() {
    let mut world = World::yuma();
    assert_eq!(world.get().slotPrice, MIN_BOND);
    world.join(actor(0), Role::Worker).unwrap();
    let risen = MIN_BOND * 126 / 100;
    assert_eq!(world.get().slotPrice, risen);
    world.join(actor(1), Role::Worker).unwrap();
    let twice = risen * 126 / 100;
    assert_eq!(world.get().slotPrice, twice);
    assert_eq!((world.slot(0).bond, world.slot(1).bond), (MIN_BOND, risen));
    world.wait(world.spec.topics.price_half_life_ms / 4);
    assert_eq!(world.get().slotPrice, twice - twice / 8);
    world.wait(world.spec.topics.price_half_life_ms * 200);
    assert_eq!(world.get().slotPrice, MIN_BOND);
    world.check_invariants();
}

#[test]
fn what_is_sent_above_the_price_comes_back_and_less_is_refused() {
    let mut world = World::yuma();
    let call = ITopics::registerCall {
        topic: world.topic,
        role: Role::Worker,
    };
    let error =
        expect_revert::<ITopics::WrongPayment>(world.pay(actor(0), MIN_BOND - 1, call.clone()));
    assert_eq!(error.needed, wei(MIN_BOND));
    world.pay(actor(0), MIN_BOND + 5, call).unwrap();
    assert_eq!(world.balances(actor(0)).free, wei(5));
    world.check_invariants();
}

#[test]
fn an_operator_has_one_slot_of_a_role_that_the_topic_has() {
    let mut world = World::yuma();
    expect_revert::<ITopics::WrongRole>(world.join(actor(0), Role::Reputer));
    world.join(actor(0), Role::Worker).unwrap();
    let error = expect_revert::<ITopics::AlreadyRegistered>(world.join(actor(0), Role::Worker));
    assert_eq!(error.slot, 0);
    let mut world = World::synthesis();
    assert_eq!(world.join(actor(0), Role::Worker).unwrap(), 0);
    assert_eq!(world.join(actor(1), Role::Forecaster).unwrap(), 8);
    assert_eq!(world.join(actor(2), Role::Reputer).unwrap(), 10);
    let slots = ITopics::slotOfCall {
        topic: world.topic,
        operator: actor(2),
    };
    assert_eq!(world.ask(slots), 10);
}

#[test]
fn who_leaves_has_the_bond_after_the_delay() {
    let mut world = World::yuma();
    world.join(actor(0), Role::Worker).unwrap();
    let leave = ITopics::leaveCall {
        topic: world.topic,
        slot: 0,
    };
    expect_revert::<ITopics::NotOperator>(world.act(actor(1), leave.clone()));
    world.act(actor(0), leave.clone()).unwrap();
    expect_revert::<ITopics::UnknownSlot>(world.act(actor(0), leave));
    let held = world.balances(actor(0));
    assert_eq!((held.free, held.waiting), (U256::ZERO, wei(MIN_BOND)));
    expect_revert::<ITopics::InsufficientBalance>(world.act(actor(0), ITopics::withdrawCall {}));
    world.wait(world.spec.topics.unstake_delay_ms);
    let amount = world.act(actor(0), ITopics::withdrawCall {}).unwrap();
    assert_eq!(amount, wei(MIN_BOND));
    assert_eq!(world.host.balance_of(actor(0)), wei(1_000_000 * MARK));
    world.check_invariants();
}

#[test]
fn a_full_topic_gives_the_slot_of_least_pay_and_among_equals_of_greatest_age() {
    let mut world = World::yuma();
    world.workers(8);
    world.wait(60_000);
    let topic = super::Topics::new().topics.at(world.topic);
    let pool = topic.seats.at(0).pool.read(&mut world.host).unwrap();
    let mut earned = Earnings::decode(&[], 8);
    earned.set(0, pool, 1);
    let earned = earned.encode();
    topic.earned.write(&mut world.host, &earned).unwrap();
    assert_eq!(world.join(actor(20), Role::Worker).unwrap(), 1);
    assert_eq!(world.balances(actor(1)).free, wei(MIN_BOND));
    assert_eq!(world.slot(1).operator, actor(20));
    assert_eq!(world.join(actor(21), Role::Worker).unwrap(), 2);
    world.check_invariants();
}

#[test]
fn the_immune_and_the_committed_do_not_give_way() {
    let mut world = World::yuma();
    for number in 0..8 {
        world.join(actor(number), Role::Worker).unwrap();
    }
    let error = expect_revert::<ITopics::Full>(world.join(actor(20), Role::Worker));
    assert_eq!(error.role, 0);
    world.wait(60_000);
    world.reach(Stage::Open);
    for number in 0..8 {
        world
            .commit(actor(number), number, &[number as u8])
            .unwrap();
    }
    expect_revert::<ITopics::Full>(world.join(actor(20), Role::Worker));
    expect_revert::<ITopics::CommitmentOpen>(world.act(
        actor(0),
        ITopics::leaveCall {
            topic: world.topic,
            slot: 0,
        },
    ));
    assert_eq!(world.get().burned, 8 * FEE);
}

#[test]
fn nobody_gives_way_after_commitments_were_opened_and_vacant_slots_are_taken() {
    let mut world = World::yuma();
    world.workers(7);
    world.wait(60_000);
    world.reach(Stage::Open);
    let row = weights(&[(1, 1)]);
    world.commit(actor(0), 0, &row).unwrap();
    world.reach(Stage::Reveal);
    // A vacant slot is no rival's.
    assert_eq!(world.join(actor(7), Role::Worker).unwrap(), 7);
    world.reveal(actor(0), 0, &row).unwrap();
    expect_revert::<ITopics::Full>(world.join(actor(20), Role::Worker));
    world.settle();
    assert_eq!(world.join(actor(20), Role::Worker).unwrap(), 0);
    world.reach(Stage::Open);
    assert_eq!(world.join(actor(21), Role::Worker).unwrap(), 1);
    world.check_invariants();
}

#[test]
fn nobody_enters_or_leaves_while_a_topic_settles() {
    let mut world = World::yuma();
    world.workers(2);
    world.reach(Stage::Settle);
    expect_revert::<ITopics::WrongStage>(world.join(actor(20), Role::Worker));
    let call = ITopics::leaveCall {
        topic: world.topic,
        slot: 0,
    };
    expect_revert::<ITopics::WrongStage>(world.act(actor(0), call));
}

#[test]
fn a_topic_of_the_largest_shape_gives_its_table_in_pages() {
    let policy = Policy {
        maxWorkers: 256,
        ..yuma_policy()
    };
    let mut world = World::with(Kind::Yuma, policy);
    world.workers(3);
    let mut page = |offset: u64, limit: u64| {
        let call = ITopics::slotsCall {
            topic: world.topic,
            offset: U256::from(offset),
            limit: U256::from(limit),
        };
        world.act(DONOR, call)
    };
    assert_eq!(page(0, 64).unwrap().len(), 64);
    assert_eq!(page(224, 64).unwrap().len(), 32);
    assert_eq!(page(300, 64).unwrap().len(), 0);
    expect_revert::<ITopics::LimitTooLarge>(page(0, 65));
}

/// A full topic in which slot 0 judges the others, of whom slot 7 earns least.
pub(super) fn judged_and_full() -> World {
    let mut world = World::yuma();
    world.workers(8);
    world.stake(actor(0), 0, 100 * MARK).unwrap();
    world.yuma_epoch(&[]);
    world.fund(1_000 * MARK);
    let row: &[(u16, u16)] = &[(1, 9), (2, 8), (3, 7), (4, 6), (5, 5), (6, 4), (7, 3)];
    for _ in 0..3 {
        world.yuma_epoch(&[(0, row)]);
    }
    world.wait(60_000);
    world
}

fn entry(world: &mut World) -> ITopics::entryReturn {
    let (topic, role) = (world.topic, Role::Worker);
    world.ask(ITopics::entryCall { topic, role })
}

#[test]
fn who_puts_out_an_earner_pays_it_what_it_would_have_earned_while_the_newcomer_is_immune() {
    let mut world = judged_and_full();
    let pay = world.slot(7).emissionEma;
    let due = entry(&mut world);
    // Immune for three epochs of 20 s, and one more that may be under way.
    assert!(pay > 0);
    assert_eq!((due.bond, due.compensation), (MIN_BOND, 4 * pay));
    let call = ITopics::registerCall {
        topic: world.topic,
        role: Role::Worker,
    };
    let all = due.bond + due.compensation;
    for short in [all - 1, due.bond, 0] {
        let refused = world.pay(actor(30), short, call.clone());
        expect_revert::<ITopics::WrongPayment>(refused);
    }
    let before = world.balances(actor(7)).free;
    assert_eq!(world.pay(actor(30), all + 5, call).unwrap(), 7);
    let after = world.balances(actor(7)).free;
    assert_eq!(after - before, wei(MIN_BOND + due.compensation));
    assert_eq!(world.balances(actor(30)).free, wei(5));
    assert_eq!(
        (world.slot(7).operator, world.slot(7).bond),
        (actor(30), MIN_BOND)
    );
    world.check_invariants();
}

#[test]
fn a_newcomer_that_stakes_on_a_slot_before_it_puts_it_out_gets_nothing_of_the_compensation_back() {
    let mut world = judged_and_full();
    let (topic, slot) = (world.topic, 7);
    let take = ITopics::setTakeCall {
        topic,
        slot,
        takeBps: 0,
    };
    world.act(actor(7), take).unwrap();
    // Between two epochs stake has its shares at once.
    let staked = 100_000 * MARK;
    let shares = world.stake(actor(30), slot, staked).unwrap();
    let (pool, due) = (world.slot(slot).pool, entry(&mut world).compensation);
    assert!(due > 0);
    let free = world.balances(actor(7)).free;
    assert_eq!(world.join(actor(30), Role::Worker).unwrap(), slot);
    assert_eq!(world.balances(actor(7)).free - free, wei(MIN_BOND + due));
    world
        .act(actor(30), ITopics::unstakeCall { pool, shares })
        .unwrap();
    assert!(world.balances(actor(30)).waiting <= wei(staked));
    world.check_invariants();
}

#[test]
fn what_earns_nothing_is_free_to_take_and_a_vacant_slot_too() {
    let mut world = World::yuma();
    assert_eq!(entry(&mut world).compensation, 0);
    world.workers(8);
    world.wait(60_000);
    assert_eq!(entry(&mut world).compensation, 0);
    let topic = world.topic;
    let role = Role::Reputer;
    expect_revert::<ITopics::WrongRole>(world.act(DONOR, ITopics::entryCall { topic, role }));
    world.reach(Stage::Reveal);
    let role = Role::Worker;
    expect_revert::<ITopics::Full>(world.act(DONOR, ITopics::entryCall { topic, role }));
    let topic = wei(9);
    expect_revert::<ITopics::UnknownTopic>(world.act(DONOR, ITopics::entryCall { topic, role }));
}

#[test]
fn a_newcomers_smoothed_pay_is_the_mean_of_its_epochs_until_it_has_ten() {
    use super::super::emission::smoothed;
    let mut pay = 0;
    for (epoch, now) in (1..).zip([100, 200, 300]) {
        pay = smoothed(pay, now, epoch).unwrap();
    }
    assert!((199..=200).contains(&pay), "{pay}");
    assert_eq!(smoothed(1_000, 0, 10).unwrap(), 900);
    assert_eq!(smoothed(1_000, 0, u64::MAX).unwrap(), 900);
    assert_eq!(smoothed(1_000, 500, 0).unwrap(), 500);
}
