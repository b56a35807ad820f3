//! Stake that waits for the end of an epoch: until then it is no weight of any kind.

use alloy_primitives::U256;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, SlotInfo, Stage},
};
use hallmark_types::MARK;

use super::{MIN_BOND, OWNER, World, actor, only, truth, value, weights, yuma_policy};
use crate::testing::expect_revert;

/// What an epoch decided and paid, but for what is staked.
fn decided(world: &mut World) -> (Vec<SlotInfo>, u128, u128, ITopics::latestReturn) {
    let all = ITopics::slotsCall {
        topic: world.topic,
        offset: U256::ZERO,
        limit: U256::from(64),
    };
    let mut slots = world.ask(all);
    for slot in &mut slots {
        slot.stake = 0;
    }
    let topic = world.get();
    let latest = world.ask(ITopics::latestCall { topic: topic.id });
    (slots, topic.paid, topic.weight, latest)
}

/// The same epoch without stake that waits, and with a thousand times all other stake, put in at each
/// stage on each of `slots`.
fn parked(
    world: &World,
    slots: &[u16],
    epoch: impl Fn(&mut World, &dyn Fn(&mut World)),
) -> [World; 2] {
    let [mut without, mut with] = [world.clone(), world.clone()];
    epoch(&mut without, &|_| ());
    epoch(&mut with, &|world| {
        for slot in slots {
            let shares = world.stake(actor(30), *slot, 100_000 * MARK).unwrap();
            assert_eq!(shares, U256::ZERO, "it waits");
        }
    });
    let [before, after] = [decided(&mut without), decided(&mut with)];
    assert!(before.1 > 0, "somebody was paid");
    assert_eq!(before, after);
    // It is no less at risk of time than other stake: it cannot leave before it counts.
    let pool = with.slot(slots[0]).pool;
    let account = actor(30);
    let held = with.ask(ITopics::positionCall { pool, account });
    assert!(held.amount > 99_999 * MARK, "it counts from now on");
    [without, with]
}

#[test]
fn stake_that_waits_gives_no_weight_permit_or_dividend_in_yuma() {
    let mut world = World::yuma();
    world.workers(5);
    // Slot 1 has a bond and no stake that counts; slot 2 has some.
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    world.stake(actor(2), 2, 40 * MARK).unwrap();
    for slot in 0..5 {
        let call = ITopics::setTakeCall {
            topic: world.topic,
            slot,
            takeBps: 0,
        };
        world.act(actor(slot), call).unwrap();
    }
    world.fund(500 * MARK);
    world.yuma_epoch(&[]);
    let good = weights(&[(3, 1)]);
    let bad = weights(&[(4, 1)]);
    let [_, mut with] = parked(&world, &[1, 2], |world, park| {
        world.reach(Stage::Open);
        park(world);
        for (slot, row) in [(0, &good), (1, &bad), (2, &bad)] {
            world.commit(actor(slot), slot, row).unwrap();
        }
        world.reach(Stage::Reveal);
        for (slot, row) in [(0, &good), (1, &bad), (2, &bad)] {
            world.reveal(actor(slot), slot, row).unwrap();
        }
        park(world);
        world.reach(Stage::Settle);
        park(world);
        assert_eq!(world.settle(), Stage::Done);
    });
    assert!(!with.slot(1).permit && with.slot(0).permit && with.slot(2).permit);
    // One epoch later it is stake like any other.
    with.yuma_epoch(&[]);
    assert!(with.slot(1).permit);
}

#[test]
fn stake_that_waits_makes_no_reputer_heard() {
    let mut world = World::synthesis();
    for number in 0..3 {
        world.join(actor(number), Role::Worker).unwrap();
    }
    for number in 3..6 {
        world.join(actor(number), Role::Reputer).unwrap();
        world.stake(actor(number), 7 + number, 50 * MARK).unwrap();
    }
    world.fund(500 * MARK);
    let said = [(0, value(2_000)), (1, value(2_010)), (2, value(3_100))];
    let reports = [(10, truth(2_000)), (11, truth(2_001)), (12, truth(3_100))];
    world.synthesis_epoch(&said, &reports);
    let [without, mut with] = parked(&world, &[12], |world, park| {
        world.reach(Stage::Open);
        park(world);
        world.submit(&said, Stage::Sealed);
        park(world);
        world.reach(Stage::Lag);
        world.submit(&reports, Stage::Reveal);
        park(world);
        world.reach(Stage::Settle);
        park(world);
        assert_eq!(world.settle(), Stage::Done);
    });
    // One epoch later the liar is the majority, and everything is as it says: the stake does count.
    let honest = without.clone().slot(0).score;
    assert_eq!(with.slot(0).score, honest);
    let mut without = without;
    for world in [&mut without, &mut with] {
        assert_eq!(world.synthesis_epoch(&said, &reports), Stage::Done);
    }
    assert!(without.slot(0).score > with.slot(0).score);
    assert!(without.slot(2).score < with.slot(2).score);
}

fn dearer() -> ITopics::proposePolicyCall {
    ITopics::proposePolicyCall {
        topic: U256::from(1),
        policy: Policy {
            submitFee: 2 * MARK,
            ..yuma_policy()
        },
        newOwner: OWNER,
    }
}

fn veto(pool: U256) -> ITopics::vetoCall {
    ITopics::vetoCall {
        topic: U256::from(1),
        pool,
    }
}

/// Base of the waiting proposal and what is against it, in wei.
fn votes(world: &mut World) -> (u128, u128) {
    let proposal = super::Topics::new().topics.at(world.topic).proposal;
    let base = proposal.base.read(&mut world.host).unwrap();
    (base, proposal.against.read(&mut world.host).unwrap())
}

#[test]
fn stake_that_waits_when_a_change_is_proposed_has_no_say_and_is_not_of_its_base() {
    let mut world = World::empty(|spec| {
        spec.topics.timelock_ms = 1_000_000;
        spec.topics.unstake_delay_ms = 1_000_000;
    });
    world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
    world.workers(2);
    world.stake(actor(5), 0, 60 * MARK).unwrap();
    let pool = world.slot(0).pool;
    world.reach(Stage::Open);
    // Before the change, after it, and beside stake that counts.
    world.stake(actor(6), 0, 700 * MARK).unwrap();
    world.stake(actor(5), 0, 700 * MARK).unwrap();
    world.act(OWNER, dearer()).unwrap();
    world.stake(actor(6), 0, 700 * MARK).unwrap();
    assert_eq!(votes(&mut world), (60 * MARK + 2 * MIN_BOND, 0));
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(6), veto(pool)));
    // It becomes stake, by its own touch and by others', and still has no say in this change.
    world.settle();
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(6), veto(pool)));
    world.stake(actor(6), 0, MARK).unwrap();
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(6), veto(pool)));
    // Nor does what waits for the end of a later epoch.
    world.reach(Stage::Open);
    world.stake(actor(6), 0, 900 * MARK).unwrap();
    world.settle();
    expect_revert::<ITopics::InsufficientShares>(world.act(actor(6), veto(pool)));
    world.act(actor(5), veto(pool)).unwrap();
    let (_, against) = votes(&mut world);
    assert!(against.abs_diff(60 * MARK) < 10, "{against}");
    // In the next change all of it has, once, and is of the base.
    world.act(OWNER, dearer()).unwrap();
    let (base, _) = votes(&mut world);
    assert_eq!(base, 3_061 * MARK + 2 * MIN_BOND);
    world.act(actor(6), veto(pool)).unwrap();
    let (_, against) = votes(&mut world);
    assert!(against.abs_diff(2_301 * MARK) < 100, "{against}");
    expect_revert::<ITopics::NothingProposed>(world.act(actor(6), veto(pool)));
    world.check_invariants();
}

#[test]
fn stake_that_waited_before_an_older_change_has_a_say_in_a_newer_one() {
    let mut world = World::yuma();
    world.workers(2);
    world.stake(actor(5), 0, 60 * MARK).unwrap();
    let pool = world.slot(0).pool;
    world.reach(Stage::Open);
    world.stake(actor(6), 0, 700 * MARK).unwrap();
    world.act(OWNER, dearer()).unwrap();
    world.settle();
    // Nobody has touched the pool since. The second change finds that stake counting.
    world.act(OWNER, dearer()).unwrap();
    let (base, _) = votes(&mut world);
    assert_eq!(base, 760 * MARK + 2 * MIN_BOND);
    world.act(actor(6), veto(pool)).unwrap();
    let (_, against) = votes(&mut world);
    assert!(against.abs_diff(700 * MARK) < 100, "{against}");
}

#[test]
fn stake_parked_by_the_proposer_makes_no_veto_harder() {
    let struck = |parked: bool| {
        let mut world = World::yuma();
        world.workers(2);
        world.stake(actor(5), 0, 100 * MARK).unwrap();
        let pool = world.slot(0).pool;
        world.reach(Stage::Open);
        if parked {
            world.stake(OWNER, 1, 10_000 * MARK).unwrap();
        }
        world.act(OWNER, dearer()).unwrap();
        world.act(actor(5), veto(pool)).unwrap();
        world.settle();
        world.wait(world.spec.topics.timelock_ms);
        world.reach(Stage::Open);
        world.get().policy == yuma_policy()
    };
    assert!(struck(false));
    assert!(struck(true));
}
