//! Games that must not pay: what an attacker gets against what it burns or forgoes.

use alloy_primitives::{Address, U256};
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::MARK;

use super::{
    DONOR, FEE, MIN_BOND, OWNER, World, actor, only, synthesis_policy, truth, value, wei, weights,
    yuma_policy,
};
use crate::testing::expect_revert;

/// Everything that a party owning a whole topic gets and burns in it: `(returned, burned)`. The
/// treasury counts as the party's: it owns all of the security stake too.
fn wash(epochs: u64, income: u128, stake: u128, owner_bps: u16, rival: bool) -> (u128, u128) {
    let mut world = World::empty(|_| ());
    if rival {
        // Another topic, so that emission is shared.
        world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
        world.workers(2);
        world.stake(actor(0), 0, 1_000 * MARK).unwrap();
        world.fund(1_000 * MARK);
        world.yuma_epoch(&[]);
    }
    let policy = Policy {
        ownerBps: owner_bps,
        ..yuma_policy()
    };
    world.topic = world.create(policy, only(Kind::Yuma)).unwrap();
    for number in 10..14 {
        world.join(actor(number), Role::Worker).unwrap();
        world.wait(60_000);
    }
    world.stake(actor(10), 0, stake).unwrap();
    world.yuma_epoch(&[]);
    for _ in 0..epochs {
        if income != 0 {
            world.fund(income);
        }
        world.yuma_epoch(&[(0, &[(2, 1), (3, 1)])]);
    }
    // Let everything be paid that the burned coin allows.
    for _ in 0..100 {
        world.yuma_epoch(&[(0, &[(2, 1), (3, 1)])]);
    }
    let topic = world.get();
    let earned: U256 = (10..14)
        .map(actor)
        .chain([OWNER])
        .map(|who| world.balances(who).free)
        .fold(U256::ZERO, |sum, free| sum + free);
    let returned = earned + world.host.balance_of(world.spec.treasury);
    (returned.to(), topic.burned)
}

#[test]
fn washing_fees_loses_for_one_party_that_owns_everything() {
    println!("income an epoch | stake | owner bps | rival | returned / burned");
    for (income, stake, owner_bps, rival) in [
        (0, MARK, 0, false),
        (0, 1_000 * MARK, 2_000, false),
        (3 * MARK, 10 * MARK, 1_000, false),
        (15 * MARK, 100_000 * MARK, 2_000, false),
        (15 * MARK, 100_000 * MARK, 2_000, true),
        (MARK / 1_000, MARK, 0, true),
    ] {
        let (returned, burned) = wash(12, income, stake, owner_bps, rival);
        let per_mille = returned * 1_000 / burned;
        println!("{income} | {stake} | {owner_bps} | {rival} | 0.{per_mille:03}");
        assert!(returned <= burned / 100 * 99, "{returned} of {burned}");
        if !rival {
            assert!(
                per_mille >= 980,
                "honest topics get most of it back: {per_mille}"
            );
        }
    }
}

/// A synthesis in which the attacker has workers 0 and 1, of whom it opens both, or the one that
/// turned out well. Gives what it has lost or won at the end.
fn selective(withholds: bool) -> (U256, U256) {
    let mut world = World::synthesis();
    for number in 0..5 {
        world.join(actor(number), Role::Worker).unwrap();
    }
    world.join(actor(5), Role::Reputer).unwrap();
    world.stake(actor(5), 10, 10 * MARK).unwrap();
    world.fund(500 * MARK);
    let honest = [(2, value(2_000)), (3, value(2_003)), (4, value(1_990))];
    for _ in 0..4 {
        let both = [(0, value(2_100)), (1, value(1_900))];
        let said = [both.to_vec(), honest.to_vec()].concat();
        world.synthesis_epoch(&said, &[(10, truth(2_000))]);
    }
    let before = both(&mut world);
    world.reach(Stage::Open);
    let bets = [(0, value(2_100)), (1, value(1_900))];
    for (slot, said) in bets.iter().chain(&honest) {
        world.commit(actor(*slot), *slot, said).unwrap();
    }
    world.reach(Stage::Sealed);
    for (slot, said) in bets.iter().chain(&honest) {
        if !(withholds && *slot == 1) {
            world.reveal(actor(*slot), *slot, said).unwrap();
        }
    }
    world.reach(Stage::Lag);
    world.commit(actor(5), 10, &truth(2_100)).unwrap();
    world.reach(Stage::Reveal);
    world.reveal(actor(5), 10, &truth(2_100)).unwrap();
    world.settle();
    (before, both(&mut world))
}

fn both(world: &mut World) -> U256 {
    let bonds = world.slot(0).bond + world.slot(1).bond;
    world.wealth(actor(0)) + world.wealth(actor(1)) + wei(bonds)
}

#[test]
fn opening_only_what_turned_out_well_loses_more_than_an_epoch_pays() {
    let (before, after) = selective(true);
    let (_, honest) = selective(false);
    println!("selective: {} against {}", after, honest);
    assert!(after < honest);
    assert!(before > after, "whatever the epoch paid");
}

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
fn a_copier_of_what_was_revealed_before_earns_less_than_its_model() {
    let mut world = World::with(Kind::Synthesis, synthesis_policy());
    for number in 0..4 {
        world.join(actor(number), Role::Worker).unwrap();
    }
    world.join(actor(5), Role::Reputer).unwrap();
    world.stake(actor(5), 10, 10 * MARK).unwrap();
    world.fund(1_000 * MARK);
    // A series that moves: worker 0 knows it nearly, workers 1 and 2 less, worker 3 says what
    // worker 0 said before.
    let series = [2_000i128, 2_300, 1_800, 2_500, 1_700, 2_600, 1_900, 2_400];
    let mut before = 2_000;
    for at in series {
        let said = [
            (0, value(at + 1)),
            (1, value(at + 40)),
            (2, value(at - 60)),
            (3, value(before)),
        ];
        world.synthesis_epoch(&said, &[(10, truth(at))]);
        before = at + 1;
    }
    let [model, copier] = [0, 3].map(|number| world.balances(actor(number)).free);
    println!("model {model}, copier {copier}");
    assert!(copier < model / U256::from(5));
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
