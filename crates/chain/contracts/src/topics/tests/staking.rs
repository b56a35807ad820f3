//! Stake, take, vesting, policy and veto.

use alloy_primitives::U256;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::MARK;

use super::{DONOR, MIN_BOND, OWNER, World, actor, wei, yuma_policy};
use crate::testing::expect_revert;

fn pool(world: &mut World, slot: u16) -> U256 {
    world.slot(slot).pool
}

#[test]
fn stake_comes_back_after_the_delay_and_never_more_than_was_put_in() {
    let mut world = World::yuma();
    world.workers(1);
    let shares = world.stake(actor(5), 0, 7 * MARK).unwrap();
    let id = pool(&mut world, 0);
    let call = ITopics::positionCall {
        pool: id,
        account: actor(5),
    };
    assert_eq!(world.ask(call).amount, 7 * MARK);
    assert_eq!(world.get().stake, 7 * MARK);
    let more = shares + U256::from(1);
    expect_revert::<ITopics::InsufficientShares>(world.act(
        actor(5),
        ITopics::unstakeCall {
            pool: id,
            shares: more,
        },
    ));
    world
        .act(actor(5), ITopics::unstakeCall { pool: id, shares })
        .unwrap();
    assert_eq!(world.get().stake, 0);
    let held = world.balances(actor(5));
    assert_eq!((held.free, held.waiting), (U256::ZERO, wei(7 * MARK)));
    assert_eq!(
        held.nextAtMs,
        world.host.timestamp_ms + world.spec.topics.unstake_delay_ms
    );
    world.wait(world.spec.topics.unstake_delay_ms);
    world.act(actor(5), ITopics::withdrawCall {}).unwrap();
    assert_eq!(world.host.balance_of(actor(5)), wei(1_000_000 * MARK));
    world.check_invariants();
}

#[test]
fn the_first_to_stake_cannot_make_a_share_too_dear_for_the_next() {
    let mut world = World::yuma();
    world.workers(1);
    world.stake(actor(5), 0, 1).unwrap();
    // Coins sent to the contract belong to no pool.
    let topics = hallmark_types::addresses::TOPICS;
    world.host.plain_transfer(actor(5), topics, wei(100 * MARK));
    // Even pay into the pool, with the first share in hand, costs the attacker what it adds.
    let id = pool(&mut world, 0);
    let this = super::Topics::new();
    let number: u64 = id.to();
    let held = this.pools.at(number).amount;
    held.write(&mut world.host, 1 + 100 * MARK).unwrap();
    let topic = this.topics.at(world.topic);
    topic.stake.write(&mut world.host, 1 + 100 * MARK).unwrap();
    this.owe(&mut world.host, 100 * MARK).unwrap();
    world.stake(actor(6), 0, 50 * MARK).unwrap();
    let call = ITopics::positionCall {
        pool: id,
        account: actor(6),
    };
    let worth = world.ask(call).amount;
    assert!(worth > 49 * MARK, "{worth}");
    let call = ITopics::positionCall {
        pool: id,
        account: actor(5),
    };
    assert!(world.ask(call).amount < 52 * MARK);
    world.check_invariants();
}

#[test]
fn stake_put_in_while_an_epoch_is_under_way_counts_from_its_end() {
    let mut world = World::yuma();
    world.workers(4);
    for slot in 0..4 {
        let call = ITopics::setTakeCall {
            topic: world.topic,
            slot,
            takeBps: 0,
        };
        world.act(actor(slot), call).unwrap();
    }
    world.stake(actor(5), 0, 60 * MARK).unwrap();
    world.stake(actor(6), 2, 60 * MARK).unwrap();
    world.yuma_epoch(&[]);
    world.fund(100 * MARK);
    world.reach(Stage::Open);
    let row = super::weights(&[(2, 1)]);
    world.commit(actor(0), 0, &row).unwrap();
    world.reach(Stage::Reveal);
    world.reveal(actor(0), 0, &row).unwrap();
    // All of it after the reveals are public, some of it during Settle.
    let id = pool(&mut world, 2);
    let position = |account| ITopics::positionCall { pool: id, account };
    assert_eq!(world.stake(actor(7), 2, 500 * MARK).unwrap(), U256::ZERO);
    world.reach(Stage::Settle);
    assert_eq!(world.stake(actor(7), 2, 400 * MARK).unwrap(), U256::ZERO);
    world.stake(actor(8), 2, 90 * MARK).unwrap();
    assert_eq!(world.get().stake, 120 * MARK);
    assert_eq!(world.slot(2).stake, 60 * MARK);
    assert_eq!(world.ask(position(actor(7))).amount, 0);
    let call = ITopics::vetoCall {
        topic: world.topic,
        pool: id,
    };
    let one = U256::from(1);
    let leaving = ITopics::unstakeCall {
        pool: id,
        shares: one,
    };
    expect_revert::<ITopics::WrongStage>(world.act(actor(6), leaving.clone()));
    expect_revert::<ITopics::NothingProposed>(world.act(actor(7), call));
    assert_eq!(world.settle(), Stage::Done);

    // The earnings are of those who were there; the newcomers have what they put in.
    let earned = world.ask(position(actor(6))).amount - 60 * MARK;
    assert!(earned > MARK, "{earned}");
    let close = |held: u128, put: u128| held <= put && put - held < 10;
    let held = world.ask(position(actor(7))).amount;
    assert!(close(held, 900 * MARK), "{held}");
    let held = world.ask(position(actor(8))).amount;
    assert!(close(held, 90 * MARK), "{held}");
    assert!(world.slot(2).stake >= 1_050 * MARK);
    // Touched in any order, at any time, it is the same.
    world.stake(actor(9), 2, MARK).unwrap();
    world.reach(Stage::Open);
    world.stake(actor(7), 2, MARK).unwrap();
    let held = world.ask(position(actor(7)));
    assert!(close(held.amount, 900 * MARK), "{}", held.amount);
    let call = ITopics::unstakeCall {
        pool: id,
        shares: held.shares,
    };
    world.act(actor(7), call).unwrap();
    assert!(world.balances(actor(7)).waiting > wei(899 * MARK));
    world.check_invariants();
    world.settle();
    assert!(close(world.ask(position(actor(7))).amount, MARK));
    let shares = world.ask(position(actor(8))).shares;
    world
        .act(actor(8), ITopics::unstakeCall { pool: id, shares })
        .unwrap();
    assert!(world.balances(actor(8)).waiting > wei(89 * MARK));
    world.check_invariants();
}

#[test]
fn stake_that_waits_on_a_slot_that_is_given_up_comes_back() {
    let mut world = World::yuma();
    world.workers(2);
    world.reach(Stage::Open);
    world.stake(actor(5), 0, 30 * MARK).unwrap();
    let id = pool(&mut world, 0);
    let call = ITopics::leaveCall {
        topic: world.topic,
        slot: 0,
    };
    world.act(actor(0), call).unwrap();
    world.check_invariants();
    world.settle();
    assert_eq!(world.get().stake, 0);
    let call = ITopics::positionCall {
        pool: id,
        account: actor(5),
    };
    let shares = world.ask(call).shares;
    world
        .act(actor(5), ITopics::unstakeCall { pool: id, shares })
        .unwrap();
    assert_eq!(world.balances(actor(5)).waiting, wei(30 * MARK));
    world.check_invariants();
}

#[test]
fn stake_on_a_slot_that_was_pruned_earns_nothing_and_can_leave() {
    let mut world = World::yuma();
    world.workers(8);
    world.stake(actor(30), 0, MARK).unwrap();
    let id = pool(&mut world, 0);
    world.wait(60_000);
    assert_eq!(world.join(actor(20), Role::Worker).unwrap(), 0);
    assert_ne!(pool(&mut world, 0), id);
    assert_eq!(world.get().stake, 0);
    let call = ITopics::positionCall {
        pool: id,
        account: actor(30),
    };
    let shares = world.ask(call).shares;
    world
        .act(actor(30), ITopics::unstakeCall { pool: id, shares })
        .unwrap();
    assert_eq!(world.balances(actor(30)).waiting, wei(MARK));
    world.check_invariants();
}

#[test]
fn a_take_falls_at_once_and_rises_after_the_delay() {
    let mut world = World::yuma();
    world.workers(1);
    let take = |bps| ITopics::setTakeCall {
        topic: U256::from(1),
        slot: 0,
        takeBps: bps,
    };
    assert_eq!(world.slot(0).takeBps, 10_000);
    world.act(actor(0), take(1_000)).unwrap();
    assert_eq!(world.slot(0).takeBps, 1_000);
    world.act(actor(0), take(2_000)).unwrap();
    assert_eq!(world.slot(0).takeBps, 1_000);
    world.wait(world.spec.topics.take_delay_ms);
    assert_eq!(world.slot(0).takeBps, 2_000);
    expect_revert::<ITopics::NotOperator>(world.act(DONOR, take(0)));
    expect_revert::<ITopics::InvalidPolicy>(world.act(actor(0), take(10_001)));
}

#[test]
fn unstaked_amounts_queue_and_more_than_a_withdrawal_takes_wait_for_the_next() {
    let mut world = World::yuma();
    world.workers(1);
    let shares = world.stake(actor(5), 0, 40 * MARK).unwrap();
    let id = pool(&mut world, 0);
    let part = shares / U256::from(40);
    for _ in 0..40 {
        world
            .act(
                actor(5),
                ITopics::unstakeCall {
                    pool: id,
                    shares: part,
                },
            )
            .unwrap();
        world.wait(1);
        world.check_invariants();
    }
    world.wait(world.spec.topics.unstake_delay_ms);
    let first = world.act(actor(5), ITopics::withdrawCall {}).unwrap();
    let second = world.act(actor(5), ITopics::withdrawCall {}).unwrap();
    assert_eq!(first, wei(32 * MARK));
    assert_eq!(second, wei(8 * MARK));
    world.check_invariants();
}

#[test]
fn earnings_vest_linearly_and_later_ones_move_the_end_by_their_weight() {
    let mut world = World::yuma();
    let this = super::Topics::new();
    let host = &mut world.host;
    this.owe(host, 400).unwrap();
    let start = host.timestamp_ms;
    this.vest(host, actor(0), 100, 1_000).unwrap();
    host.timestamp_ms = start + 250;
    let account = this.accounts.at(actor(0));
    assert_eq!(account.vested(host, start + 250).unwrap(), 25);
    // 75 for 750 ms and 300 for 1000 ms: 375 for 950 ms.
    this.vest(host, actor(0), 300, 1_000).unwrap();
    assert_eq!(account.free.read(host).unwrap(), 25);
    assert_eq!(account.vesting.read(host).unwrap(), 375);
    assert_eq!(account.vest_end_ms.read(host).unwrap(), start + 250 + 950);
    assert_eq!(account.vested(host, start + 250 + 475).unwrap(), 187);
    assert_eq!(account.vested(host, start + 250 + 950).unwrap(), 375);
    assert_eq!(account.vested(host, u64::MAX).unwrap(), 375);
}

// policy

fn proposal(policy: Policy) -> ITopics::proposePolicyCall {
    ITopics::proposePolicyCall {
        topic: U256::from(1),
        policy,
        newOwner: DONOR,
    }
}

fn dearer() -> Policy {
    Policy {
        submitFee: 2 * MARK,
        ..yuma_policy()
    }
}

#[test]
fn an_owners_change_waits_and_comes_between_two_epochs() {
    let mut world = World::yuma();
    world.workers(1);
    world.reach(Stage::Open);
    world.act(OWNER, proposal(dearer())).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.reach(Stage::Reveal);
    assert_eq!(world.get().policy, yuma_policy());
    world.settle();
    assert_eq!(world.get().owner, OWNER);
    world.reach(Stage::Open);
    assert_eq!(world.get().policy, dearer());
    assert_eq!(world.get().owner, DONOR);
    expect_revert::<ITopics::NotOwner>(world.act(OWNER, proposal(yuma_policy())));
}

#[test]
fn a_change_whose_time_has_come_holds_for_the_next_call_to_a_topic_at_rest() {
    let mut world = World::yuma();
    world.workers(1);
    world.reach(Stage::Open);
    assert_eq!(world.settle(), Stage::Cancelled);
    world.act(OWNER, proposal(dearer())).unwrap();
    world.wait(world.spec.topics.timelock_ms - 1);
    let id = world.topic;
    let mut early = world.clone();
    early.act(OWNER, ITopics::retireCall { topic: id }).unwrap();
    world.wait(1);
    // No epoch opens, and yet it is no longer the former owner's.
    let retire = ITopics::retireCall { topic: id };
    let refused = expect_revert::<ITopics::NotOwner>(world.act(OWNER, retire.clone()));
    assert_eq!(refused.owner, DONOR);
    expect_revert::<ITopics::NotOwner>(world.act(OWNER, proposal(yuma_policy())));
    // What was refused is undone; a call that is not, leaves it applied.
    assert_eq!(world.get().owner, OWNER);
    world.fund(MARK);
    assert_eq!((world.get().owner, world.get().policy), (DONOR, dearer()));
    world.act(DONOR, retire).unwrap();
    assert_eq!(world.balances(DONOR).free, wei(100 * MARK));
    world.check_invariants();
}

#[test]
fn the_bond_of_a_retired_topic_goes_to_whom_it_belongs_when_its_last_epoch_ends() {
    let mut world = World::yuma();
    world.workers(1);
    world.reach(Stage::Open);
    world.act(OWNER, proposal(dearer())).unwrap();
    let id = world.topic;
    world.act(OWNER, ITopics::retireCall { topic: id }).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.settle();
    assert_eq!(world.get().owner, DONOR);
    assert_eq!(world.balances(DONOR).free, wei(100 * MARK));
    assert_eq!(world.balances(OWNER).free, U256::ZERO);
    world.check_invariants();
}

#[test]
fn a_topic_given_to_somebody_does_not_make_their_earnings_wait() {
    let mut world = World::yuma();
    world.workers(4);
    world.stake(actor(0), 0, 100 * MARK).unwrap();
    let this = super::Topics::new();
    this.owe(&mut world.host, MARK).unwrap();
    world
        .host
        .plain_transfer(OWNER, hallmark_types::addresses::TOPICS, wei(MARK));
    this.vest(&mut world.host, DONOR, MARK, 1_000_000).unwrap();
    let account = this.accounts.at(DONOR);
    let end = account.vest_end_ms.read(&mut world.host).unwrap();
    let policy = Policy {
        vestingMs: 316_224_000_000,
        ..yuma_policy()
    };
    world.act(OWNER, proposal(policy)).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.yuma_epoch(&[]);
    assert_eq!(world.get().owner, DONOR);
    world.fund(100 * MARK);
    assert_eq!(world.yuma_epoch(&[(0, &[(2, 1)])]), Stage::Done);
    assert!(world.balances(DONOR).free > U256::ZERO);
    assert_eq!(account.vest_end_ms.read(&mut world.host).unwrap(), end);
}

#[test]
fn a_change_of_the_number_of_slots_or_to_nonsense_is_refused() {
    let mut world = World::yuma();
    let wider = Policy {
        maxWorkers: 9,
        ..yuma_policy()
    };
    expect_revert::<ITopics::InvalidPolicy>(world.act(OWNER, proposal(wider)));
    let never = Policy {
        openMs: 0,
        ..yuma_policy()
    };
    expect_revert::<ITopics::InvalidPolicy>(world.act(OWNER, proposal(never)));
    expect_revert::<ITopics::NotOwner>(world.act(DONOR, proposal(dearer())));
    let mut nobody = proposal(dearer());
    nobody.newOwner = alloy_primitives::Address::ZERO;
    expect_revert::<ITopics::InvalidPolicy>(world.act(OWNER, nobody));
}

#[test]
fn stake_above_the_bound_strikes_a_change_and_counts_once() {
    let mut world = World::yuma();
    world.workers(2);
    world.stake(actor(5), 0, 200 * MARK).unwrap();
    world.stake(actor(6), 0, 200 * MARK).unwrap();
    world.stake(actor(7), 1, 600 * MARK).unwrap();
    let (first, second) = (pool(&mut world, 0), pool(&mut world, 1));
    let veto = |pool| ITopics::vetoCall {
        topic: U256::from(1),
        pool,
    };
    expect_revert::<ITopics::NothingProposed>(world.act(actor(5), veto(first)));
    world.act(OWNER, proposal(dearer())).unwrap();
    world.act(actor(5), veto(first)).unwrap();
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(5), veto(first)));
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(5), veto(second)));
    expect_revert::<ITopics::UnknownPool>(world.act(actor(5), veto(U256::from(99))));
    // 200 of 1040 is below a third; 400 is above.
    world.act(actor(6), veto(first)).unwrap();
    expect_revert::<ITopics::NothingProposed>(world.act(actor(7), veto(second)));
    world.wait(world.spec.topics.timelock_ms);
    world.reach(Stage::Open);
    assert_eq!(world.get().policy, yuma_policy());
    // Another proposal is another vote.
    world.act(OWNER, proposal(dearer())).unwrap();
    world.act(actor(5), veto(first)).unwrap();
}

#[test]
fn one_wei_strikes_nothing_and_an_operators_bond_counts() {
    let mut world = World::yuma();
    world.workers(4);
    world.stake(actor(5), 0, 1).unwrap();
    let pools = [0, 1, 2].map(|slot| pool(&mut world, slot));
    let veto = |pool| ITopics::vetoCall {
        topic: U256::from(1),
        pool,
    };
    world.act(OWNER, proposal(dearer())).unwrap();
    world.act(actor(5), veto(pools[0])).unwrap();
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(6), veto(pools[0])));
    // A quarter of the bonds is less than a third of all; half of them is more.
    world.act(actor(0), veto(pools[0])).unwrap();
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(0), veto(pools[0])));
    world.act(actor(1), veto(pools[1])).unwrap();
    expect_revert::<ITopics::NothingProposed>(world.act(actor(2), veto(pools[2])));
}

#[test]
fn only_what_is_older_than_a_change_has_a_say_and_only_while_it_waits() {
    let mut world = World::yuma();
    world.workers(2);
    world.stake(actor(5), 0, 10 * MARK).unwrap();
    let id = pool(&mut world, 0);
    let veto = |pool| ITopics::vetoCall {
        topic: U256::from(1),
        pool,
    };
    world.act(OWNER, proposal(dearer())).unwrap();
    // Neither new stake, nor stake beside older, nor a bond's rise, nor a new slot.
    world.stake(actor(6), 0, 900 * MARK).unwrap();
    world.stake(actor(5), 0, 900 * MARK).unwrap();
    let topic = world.topic;
    let call = ITopics::topUpCall { topic, slot: 1 };
    world.pay(actor(1), 900 * MARK, call).unwrap();
    world.join(actor(2), Role::Worker).unwrap();
    let (one, two) = (pool(&mut world, 1), pool(&mut world, 2));
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(6), veto(id)));
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(2), veto(two)));
    world.act(actor(5), veto(id)).unwrap();
    let this = super::Topics::new();
    let against = this.topics.at(topic).proposal.against;
    let counted = against.read(&mut world.host).unwrap();
    assert!(counted.abs_diff(10 * MARK) < 10, "{counted}");
    let before = world.host.timestamp_ms;
    world.wait(world.spec.topics.timelock_ms);
    // More than a third of the base, but too late.
    expect_revert::<ITopics::NothingProposed>(world.act(actor(1), veto(one)));
    world.host.timestamp_ms = before;
    world.act(actor(1), veto(one)).unwrap();
    assert!(against.read(&mut world.host).unwrap().abs_diff(30 * MARK) < 10);
    expect_revert::<ITopics::NothingProposed>(world.act(actor(0), veto(id)));
    // The next change is younger than all of it.
    world.act(OWNER, proposal(dearer())).unwrap();
    world.act(actor(6), veto(id)).unwrap();
    assert!(against.read(&mut world.host).unwrap() > 899 * MARK);
}

#[test]
fn stake_that_left_cannot_come_back_to_vote_again_before_the_change_is_decided() {
    let world = World::yuma();
    let rules = &world.spec.topics;
    assert!(rules.unstake_delay_ms >= rules.timelock_ms);
    let mut spec = world.spec.clone();
    spec.topics.unstake_delay_ms = spec.topics.timelock_ms - 1;
    assert!(spec.check().is_err());
}

#[test]
fn a_bond_below_the_least_cannot_commit_until_it_is_topped_up() {
    let mut world = World::with(Kind::Yuma, yuma_policy());
    world.workers(1);
    let dearer = Policy {
        minBond: MIN_BOND + 1,
        ..yuma_policy()
    };
    world.act(OWNER, proposal(dearer)).unwrap();
    world.wait(world.spec.topics.timelock_ms);
    world.reach(Stage::Open);
    let error = expect_revert::<ITopics::BondTooSmall>(world.commit(actor(0), 0, &[1]));
    assert_eq!((error.bond, error.needed), (MIN_BOND, MIN_BOND + 1));
    let call = ITopics::topUpCall {
        topic: world.topic,
        slot: 0,
    };
    expect_revert::<ITopics::ZeroAmount>(world.act(actor(0), call.clone()));
    world.pay(actor(0), 1, call).unwrap();
    world.commit(actor(0), 0, &[1]).unwrap();
    world.check_invariants();
}
