//! Epochs: stages, commitments, pay.

use alloy_primitives::{B256, Bytes, U256};
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::MARK;

use super::{
    DONOR, FEE, MIN_BOND, ONE, OWNER, World, actor, only, salt, synthesis_policy, truth, value,
    wei, weights, yuma_policy,
};
use crate::testing::expect_revert;

/// Two validators with stake in slots 0 and 1, two workers in 2 and 3; after its first epoch, from
/// which on the validators have permits.
fn judged() -> World {
    let mut world = World::yuma();
    world.workers(4);
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    world.stake(actor(1), 1, 40 * MARK).unwrap();
    assert_eq!(world.yuma_epoch(&[]), Stage::Cancelled);
    world
}

const HONEST: [(u16, &[(u16, u16)]); 2] = [(0, &[(2, 3), (3, 1)]), (1, &[(2, 3), (3, 1)])];

#[test]
fn an_epoch_goes_through_its_stages_in_time() {
    let mut world = World::synthesis();
    expect_revert::<ITopics::NothingToDo>(world.advance());
    world.join(actor(0), Role::Worker).unwrap();
    world.advance().unwrap();
    let topic = world.get();
    let now = world.host.timestamp_ms;
    assert_eq!((topic.stage, topic.stageEndMs), (Stage::Open, now + 10_000));
    world.wait(9_999);
    let error = expect_revert::<ITopics::NothingToDo>(world.advance());
    assert_eq!(error.fromMs, now + 10_000);
    for stage in [Stage::Sealed, Stage::Lag, Stage::Reveal, Stage::Settle] {
        world.reach(stage);
    }
    assert_eq!(world.settle(), Stage::Cancelled);
    let info = world.ask(ITopics::epochInfoCall {
        topic: world.topic,
        epoch: 1,
    });
    assert_eq!((info.stage, info.openedAtMs), (Stage::Cancelled, now));
    assert_eq!((world.get().epoch, info.commitments), (2, 0));
}

#[test]
fn validators_weigh_workers_and_pay_is_split_by_what_they_say() {
    let mut world = judged();
    assert!(world.slot(0).permit && world.slot(1).permit);
    world.fund(100 * MARK);
    let before = world.balances(OWNER).free;
    assert_eq!(world.yuma_epoch(&HONEST), Stage::Done);
    let slots: Vec<_> = (0..4).map(|slot| world.slot(slot)).collect();
    let sum: u64 = slots.iter().map(|slot| slot.shareBillionths).sum();
    assert_eq!(sum, 1_000_000_000);
    assert!(slots[2].shareBillionths > 2 * slots[3].shareBillionths);
    assert!(slots[0].shareBillionths > slots[1].shareBillionths);
    let topic = world.get();
    assert!(topic.paid > 0 && topic.paid < MIN_BOND);
    let owner = world.balances(OWNER).free - before;
    assert_eq!(owner, wei(topic.paid / 10));
    let treasury = world.host.balance_of(world.spec.treasury);
    assert_eq!(treasury, wei(topic.paid / 5));
    for slot in 2..4 {
        let earned = world.balances(actor(slot)).free;
        // Of two epochs, the first of which paid nothing.
        assert_eq!(world.slot(slot).emissionEma, earned.to::<u128>() / 2);
    }
}

#[test]
fn a_crowd_says_a_number_that_contracts_can_read() {
    let mut world = World::synthesis();
    for number in 0..3 {
        world.join(actor(number), Role::Worker).unwrap();
    }
    assert_eq!(world.join(actor(3), Role::Reputer).unwrap(), 10);
    world.stake(actor(3), 10, 10 * MARK).unwrap();
    world.fund(200 * MARK);
    let latest = ITopics::latestCall { topic: world.topic };
    assert_eq!(world.ask(latest.clone()).inference.epoch, 0);
    let said = [(0, value(2_000)), (1, value(2_010)), (2, value(3_100))];
    let report = [(10, truth(2_000))];
    for _ in 0..4 {
        world.synthesis_epoch(&said, &report);
    }
    assert_eq!(world.synthesis_epoch(&said, &report), Stage::Done);
    let answer = world.ask(latest);
    assert_eq!(answer.inference.epoch, 5);
    let value = answer.inference.value;
    assert!((20 * ONE..22 * ONE).contains(&value), "{}", value / ONE);
    assert!(answer.inference.percentiles.is_sorted());
    assert_eq!(
        answer.ageMs,
        world.host.timestamp_ms - answer.inference.atMs
    );
    let [good, _, bad] = [0, 1, 2].map(|number| world.balances(actor(number)).free);
    assert!(good > bad, "{good} {bad}");
    assert!(world.balances(actor(3)).free > U256::ZERO);
}

#[test]
fn an_epoch_that_has_no_one_or_one_or_all_alike_is_defined() {
    let mut world = judged();
    world.fund(100 * MARK);
    assert_eq!(world.yuma_epoch(&[]), Stage::Cancelled);
    // One validator, one worker.
    assert_eq!(world.yuma_epoch(&[(0, &[(2, 1)])]), Stage::Done);
    // All weights zero.
    assert_eq!(
        world.yuma_epoch(&[(0, &[(2, 0)]), (1, &[(2, 0)])]),
        Stage::Cancelled,
        "nobody is worth anything"
    );
    // All alike.
    let alike: &[(u16, u16)] = &[(2, 7), (3, 7)];
    assert_eq!(world.yuma_epoch(&[(0, alike), (1, alike)]), Stage::Done);
    let slots = [2, 3].map(|slot| world.slot(slot).shareBillionths);
    assert!(slots[0].abs_diff(slots[1]) <= 1, "{slots:?}");
}

#[test]
fn inferers_without_a_reputer_and_a_reputer_without_inferers_are_paid_nothing() {
    let mut world = World::synthesis();
    world.join(actor(0), Role::Worker).unwrap();
    world.join(actor(3), Role::Reputer).unwrap();
    world.stake(actor(3), 10, 10 * MARK).unwrap();
    world.fund(100 * MARK);
    let said = [(0, value(2_000))];
    assert_eq!(world.synthesis_epoch(&said, &[]), Stage::Cancelled);
    let report = [(10, truth(2_000))];
    assert_eq!(world.synthesis_epoch(&[], &report), Stage::Cancelled);
    assert_eq!(world.get().paid, 0);
}

// commitments

#[test]
fn a_commitment_is_of_its_epoch_mechanism_slot_role_stage_time_and_price() {
    let mut world = judged();
    world.reach(Stage::Open);
    let good = world.committing(actor(0), 0, &weights(&[(2, 1)]));
    let mut call = good.clone();
    call.epoch += 1;
    expect_revert::<ITopics::WrongEpoch>(world.pay(actor(0), FEE, call));
    let mut call = good.clone();
    call.mechanism = 1;
    expect_revert::<ITopics::InvalidMechanism>(world.pay(actor(0), FEE, call));
    let mut call = good.clone();
    call.slot = 7;
    expect_revert::<ITopics::UnknownSlot>(world.pay(actor(0), FEE, call));
    let mut call = good.clone();
    call.slot = u16::MAX;
    expect_revert::<ITopics::UnknownSlot>(world.pay(actor(0), FEE, call));
    let mut call = good.clone();
    call.topic = U256::from(9);
    expect_revert::<ITopics::UnknownTopic>(world.pay(actor(0), FEE, call));
    expect_revert::<ITopics::NotOperator>(world.pay(actor(1), FEE, good.clone()));
    expect_revert::<ITopics::WrongPayment>(world.pay(actor(0), FEE - 1, good.clone()));
    expect_revert::<ITopics::WrongPayment>(world.pay(actor(0), FEE + 1, good.clone()));
    world.pay(actor(0), FEE, good.clone()).unwrap();
    expect_revert::<ITopics::DuplicateSubmission>(world.pay(actor(0), FEE, good.clone()));
    world.wait(10_000);
    let late = world.committing(actor(1), 1, &weights(&[(2, 1)]));
    expect_revert::<ITopics::TooLate>(world.pay(actor(1), FEE, late.clone()));
    world.reach(Stage::Reveal);
    expect_revert::<ITopics::WrongStage>(world.pay(actor(1), FEE, late));
}

#[test]
fn a_reveal_that_is_not_of_its_commitment_is_refused() {
    let mut world = judged();
    world.reach(Stage::Open);
    let row = weights(&[(2, 1)]);
    world.commit(actor(0), 0, &row).unwrap();
    expect_revert::<ITopics::WrongStage>(world.reveal(actor(0), 0, &row));
    world.reach(Stage::Reveal);
    expect_revert::<ITopics::CommitmentMismatch>(world.reveal(actor(0), 0, &weights(&[(2, 2)])));
    expect_revert::<ITopics::NothingCommitted>(world.reveal(actor(1), 1, &row));
    let mut call = ITopics::revealCall {
        topic: world.topic,
        epoch: world.get().epoch,
        mechanism: 0,
        slot: 0,
        salt: B256::ZERO,
        payload: Bytes::from(row.clone()),
    };
    call.salt = B256::repeat_byte(1);
    expect_revert::<ITopics::CommitmentMismatch>(world.act(actor(0), call.clone()));
    call.salt = salt(0);
    call.payload = vec![0; 2_000].into();
    expect_revert::<ITopics::InvalidPayload>(world.act(actor(0), call));
    world.reveal(actor(0), 0, &row).unwrap();
    expect_revert::<ITopics::DuplicateSubmission>(world.reveal(actor(0), 0, &row));
    world.wait(10_000);
    expect_revert::<ITopics::TooLate>(world.reveal(actor(0), 0, &row));
    let call = ITopics::submissionCall {
        topic: world.topic,
        mechanism: 0,
        slot: 0,
    };
    assert_eq!(world.ask(call).payload, row);
}

#[test]
fn a_copied_commitment_opens_for_nobody_else() {
    let mut world = judged();
    world.reach(Stage::Open);
    let row = weights(&[(2, 1)]);
    world.commit(actor(0), 0, &row).unwrap();
    let mut copy = world.committing(actor(0), 0, &row);
    copy.slot = 1;
    world.pay(actor(1), FEE, copy).unwrap();
    world.reach(Stage::Reveal);
    world.reveal(actor(0), 0, &row).unwrap();
    let call = ITopics::revealCall {
        topic: world.topic,
        epoch: world.get().epoch,
        mechanism: 0,
        slot: 1,
        salt: salt(0),
        payload: Bytes::from(row),
    };
    expect_revert::<ITopics::CommitmentMismatch>(world.act(actor(1), call));
    world.settle();
    assert_eq!(
        world.slot(1).bond,
        0,
        "and what cannot be opened is withheld"
    );
}

#[test]
fn weights_for_no_slot_and_values_outside_the_range_are_refused_and_cost_the_bond() {
    let mut world = judged();
    world.reach(Stage::Open);
    let (wrong, twice) = (weights(&[(8, 1)]), weights(&[(2, 1), (2, 1)]));
    world.commit(actor(0), 0, &wrong).unwrap();
    world.commit(actor(1), 1, &twice).unwrap();
    world.reach(Stage::Reveal);
    expect_revert::<ITopics::InvalidPayload>(world.reveal(actor(0), 0, &wrong));
    expect_revert::<ITopics::InvalidPayload>(world.reveal(actor(1), 1, &twice));
    world.settle();
    assert_eq!((world.slot(0).bond, world.slot(1).bond), (0, 0));

    let mut world = World::synthesis();
    world.join(actor(0), Role::Worker).unwrap();
    world.reach(Stage::Open);
    let far = value(100_001);
    world.commit(actor(0), 0, &far).unwrap();
    world.reach(Stage::Sealed);
    let error = expect_revert::<ITopics::ValueOutOfRange>(world.reveal(actor(0), 0, &far));
    assert_eq!(error.greatest, 1_000 * ONE);
}

#[test]
fn roles_have_their_own_stages() {
    let mut world = World::synthesis();
    world.join(actor(0), Role::Worker).unwrap();
    world.join(actor(1), Role::Forecaster).unwrap();
    world.join(actor(2), Role::Reputer).unwrap();
    world.reach(Stage::Open);
    expect_revert::<ITopics::WrongStage>(world.commit(actor(2), 10, &truth(1)));
    world.commit(actor(0), 0, &value(1)).unwrap();
    world.reach(Stage::Lag);
    expect_revert::<ITopics::WrongStage>(world.commit(actor(1), 8, &value(1)));
    world.commit(actor(2), 10, &truth(1)).unwrap();
    expect_revert::<ITopics::WrongStage>(world.reveal(actor(2), 10, &truth(1)));

    let mut both = only(Kind::Synthesis);
    both[0].shareBps = 5_000;
    let mut yuma = both[0].clone();
    yuma.kind = Kind::Yuma;
    both.push(yuma);
    world.topic = world.create(synthesis_policy(), both).unwrap();
    world.join(actor(1), Role::Forecaster).unwrap();
    world.reach(Stage::Open);
    let mut call = world.committing(actor(1), 8, &[]);
    call.mechanism = 1;
    expect_revert::<ITopics::WrongRole>(world.pay(actor(1), FEE, call));
}

#[test]
fn a_withheld_reveal_burns_the_least_bond_which_is_more_than_the_epoch_pays() {
    let mut world = judged();
    world.fund(500 * MARK);
    world.wait(1_000_000);
    world.reach(Stage::Open);
    let row = weights(&[(2, 1)]);
    world.commit(actor(0), 0, &row).unwrap();
    world.commit(actor(1), 1, &row).unwrap();
    world.reach(Stage::Reveal);
    world.reveal(actor(0), 0, &row).unwrap();
    let burned = world.host.burned();
    assert_eq!(world.settle(), Stage::Done);
    assert_eq!(world.slot(1).bond, 0);
    let paid = world.get().paid;
    assert_eq!(world.host.burned(), burned + wei(MIN_BOND) - wei(paid));
    let info = world.ask(ITopics::epochInfoCall {
        topic: world.topic,
        epoch: 2,
    });
    assert!(info.paid < MIN_BOND, "{}", info.paid);
    assert_eq!(info.burned, 502 * MARK, "a penalty is no income");
}

#[test]
fn a_grant_is_paid_in_parts_and_needs_no_burned_coin() {
    let mut world = judged();
    let free = Policy {
        submitFee: 0,
        ..yuma_policy()
    };
    world.topic = world.create(free, only(Kind::Yuma)).unwrap();
    world.workers(4);
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    world.stake(actor(1), 1, 40 * MARK).unwrap();
    let call = ITopics::grantCall { topic: world.topic };
    world.pay(DONOR, 40 * MARK, call).unwrap();
    world.yuma_epoch(&[]);
    assert_eq!(world.get().granted, 40 * MARK);
    assert_eq!(world.yuma_epoch(&HONEST), Stage::Done);
    let left = world.get().granted;
    assert!((38 * MARK..38 * MARK + 10).contains(&left), "{left}");
    assert_eq!(world.get().paid, 0);
    assert!(world.balances(actor(2)).free > wei(MARK / 2));
}

#[test]
fn a_pool_gets_what_its_operator_does_not_take() {
    let mut world = judged();
    world.stake(actor(9), 2, 30 * MARK).unwrap();
    let call = ITopics::setTakeCall {
        topic: world.topic,
        slot: 2,
        takeBps: 2_500,
    };
    world.act(actor(2), call).unwrap();
    world.fund(100 * MARK);
    world.yuma_epoch(&HONEST);
    let (pool, operator) = (
        world.slot(2).stake - 30 * MARK,
        world.balances(actor(2)).free.to::<u128>(),
    );
    assert!(
        pool > 0 && pool.abs_diff(3 * operator) < 10,
        "{pool} {operator}"
    );
    let id = world.slot(2).pool;
    let call = ITopics::positionCall {
        pool: id,
        account: actor(9),
    };
    assert!(world.ask(call).amount > 30 * MARK);
}

#[test]
fn a_pool_of_one_wei_takes_nothing_from_its_operator() {
    let mut world = judged();
    world.stake(actor(9), 2, 1).unwrap();
    let call = ITopics::setTakeCall {
        topic: world.topic,
        slot: 2,
        takeBps: 0,
    };
    world.act(actor(2), call).unwrap();
    world.fund(100 * MARK);
    assert_eq!(world.yuma_epoch(&HONEST), Stage::Done);
    assert_eq!(world.slot(2).stake, 1);
    assert!(world.balances(actor(2)).free > wei(MARK));
}

// the chain's own steps

#[test]
fn the_chain_advances_what_nobody_does_after_the_grace() {
    let mut world = judged();
    world.fund(MARK);
    let grace = world.spec.topics.grace_ms;
    let due = world.get().stageEndMs;
    let now = world.host.timestamp_ms;
    world.wait(due.saturating_sub(now));
    world.host.next_block(grace).unwrap();
    assert_eq!(world.stage(), Stage::Cancelled);
    world.host.next_block(10_000).unwrap();
    assert_eq!(world.stage(), Stage::Open);
    world.commit(actor(0), 0, &weights(&[(2, 1)])).unwrap_err();
    for block in 0..200 {
        if block % 10 == 0 {
            world.fund(MARK);
        }
        world.host.next_block(1_000).unwrap();
        world.check_invariants();
    }
    assert!(world.get().epoch > 3);
}

#[test]
fn a_slice_that_fails_is_undone_and_the_other_topics_go_on() {
    let mut world = judged();
    world.fund(100 * MARK);
    world.reach(Stage::Open);
    for (slot, row) in HONEST {
        world.commit(actor(slot), slot, &weights(row)).unwrap();
    }
    world.reach(Stage::Reveal);
    for (slot, row) in HONEST {
        world.reveal(actor(slot), slot, &weights(row)).unwrap();
    }
    world.reach(Stage::Settle);
    // No call can bring a record to this; if one could, it must not stop the chain.
    let this = super::Topics::new();
    let epoch = this.topics.at(world.topic).epochs.at(2);
    epoch.paid.write(&mut world.host, u128::MAX).unwrap();
    let (broken, before) = (world.topic, world.get());
    world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
    world.workers(1);
    for _ in 0..3 {
        world.host.next_block(10_000).unwrap();
        world.check_invariants();
    }
    assert_ne!(world.stage(), Stage::None);
    world.topic = broken;
    assert_eq!(world.get(), before);
    expect_revert::<hallmark_abi::ISystem::Overflow>(world.advance());
}

/// A topic whose next slice, a mechanism's decision, is due; gives its gas.
fn about_to_decide(world: &mut World) -> u64 {
    world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
    world.workers(8);
    world.reach(Stage::Settle);
    let mut twin = world.clone();
    twin.advance().unwrap();
    twin.host.gas_used
}

#[test]
fn a_slice_that_runs_out_of_gas_stops_neither_the_other_topics_nor_the_market() {
    let mut world = World::empty(|_| ());
    let gas = about_to_decide(&mut world);
    let dear = world.topic;
    world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
    world.join(actor(0), Role::Worker).unwrap();
    // Enough for an opening, too little for a decision.
    world.host.sweep_gas = super::super::epochs::SWEEP_RESERVE + gas / 2;
    for _ in 0..4 {
        world.host.next_block(10_000).unwrap();
        world.check_invariants();
    }
    assert_ne!(world.stage(), Stage::None, "the other goes on");
    world.topic = dear;
    assert_eq!(world.stage(), Stage::Settle);
    assert_eq!(world.slot(0).bond, MIN_BOND);
    // It is left to whoever pays for it, and then the chain takes it up again.
    let active = super::Topics::new().active;
    assert_eq!(active.len(&mut world.host).unwrap(), 1);
    world.advance().unwrap();
    assert_eq!(active.len(&mut world.host).unwrap(), 2);
    assert_eq!(world.settle(), Stage::Cancelled);
}

#[test]
fn a_slice_for_which_a_block_had_no_gas_left_is_the_next_blocks_first() {
    let mut world = World::empty(|_| ());
    let gas = about_to_decide(&mut world);
    let first = world.topic;
    let again = about_to_decide(&mut world);
    let second = world.topic;
    let gas = gas.max(again);
    world.host.sweep_gas = super::super::epochs::SWEEP_RESERVE + gas + gas / 2;
    for _ in 0..8 {
        world.host.next_block(2_000).unwrap();
    }
    for topic in [first, second] {
        world.topic = topic;
        assert_eq!(world.stage(), Stage::Cancelled, "neither is left behind");
    }
}

#[test]
fn a_topic_without_slots_rests() {
    let mut world = World::yuma();
    world.workers(1);
    world.reach(Stage::Reveal);
    let call = ITopics::leaveCall {
        topic: world.topic,
        slot: 0,
    };
    world.act(actor(0), call).unwrap();
    assert_eq!(world.settle(), Stage::Cancelled);
    let epoch = world.get().epoch;
    for _ in 0..50 {
        world.host.next_block(10_000).unwrap();
    }
    assert_eq!(world.get().epoch, epoch);
    assert_eq!(super::Topics::new().active.len(&mut world.host).unwrap(), 0);
    world.join(actor(1), Role::Worker).unwrap();
    world.host.next_block(10_000).unwrap();
    world.host.next_block(1).unwrap();
    assert_eq!(world.stage(), Stage::Open);
}

#[test]
fn the_largest_stakes_settle() {
    let mut world = World::empty(|spec| {
        for balance in spec.alloc.values_mut() {
            *balance = U256::from(10u128.pow(29));
        }
    });
    world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
    world.workers(4);
    for number in 0..2 {
        world.stake(actor(number), number, 10u128.pow(28)).unwrap();
    }
    world.fund(10u128.pow(28));
    world.yuma_epoch(&[]);
    assert_eq!(world.yuma_epoch(&HONEST), Stage::Done);
    assert!(world.get().paid < MIN_BOND);
}
