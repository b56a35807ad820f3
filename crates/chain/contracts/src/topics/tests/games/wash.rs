//! Wash fees: one party owns a topic, all of its slots, all stake in it, and the network's security stake
//! (to which the treasury's part goes) wholly or not at all; it burns coins as the topic's income and
//! gathers what the topic pays. Gains are in MARK for 100 burned; honest play is not to play.
//!
//! The anchor's rule is the multiple of 1.2 instead of 0.99. What it pays beyond what was burned comes out
//! of coins that strangers burned.

use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role},
};
use hallmark_types::MARK;

use super::{Chance, Seeds, coins};
use crate::topics::tests::{OWNER, World, actor, only, yuma_policy};

/// In 1/10000 of what was burned.
const HERE: u16 = 9_900;
const ANCHOR: u16 = 12_000;
/// The row of the party's validator.
const ROW: [(u16, &[(u16, u16)]); 1] = [(0, &[(2, 1), (3, 1)])];

/// Gains of a party with all of the security stake, and with none of it.
fn play(seed: u64, return_bps: u16) -> (i128, i128) {
    let mut chance = Chance::new(seed);
    let mut world = World::empty(|spec| spec.topics.return_bps = return_bps);
    // Coins of strangers on `BURN`.
    world.topic = world.create(yuma_policy(), only(Kind::Yuma)).unwrap();
    world.fund(20_000 * MARK);
    let mut amount =
        |least: u64, most: u64| u128::from(least + chance.below(most - least)) * MARK / 1_000;
    let (income, stake) = (amount(0, 15_000), amount(1, 1_000_000));
    let (owner_bps, epochs) = (chance.below(2_001) as u16, 4 + chance.below(9));
    if chance.below(2) == 0 {
        // A topic of others, so that emission is shared.
        world.workers(2);
        world.stake(actor(0), 0, 1_000 * MARK).unwrap();
        world.yuma_epoch(&[]);
    }
    let policy = Policy {
        ownerBps: owner_bps,
        submitFee: MARK / 100,
        ..yuma_policy()
    };
    world.topic = world.create(policy, only(Kind::Yuma)).unwrap();
    let party = [OWNER, actor(10), actor(11), actor(12), actor(13)];
    let treasury = world.spec.treasury;
    let (before, network) = (world.fortune(&party), world.host.balance_of(treasury));
    for number in 10..14 {
        world.join(actor(number), Role::Worker).unwrap();
        world.wait(60_000);
    }
    world.stake(actor(10), 0, stake).unwrap();
    world.yuma_epoch_quietly(&[]);
    for _ in 0..epochs {
        if income != 0 {
            let call = ITopics::fundCall { topic: world.topic };
            world.pay(OWNER, income, call).unwrap();
        }
        world.yuma_epoch_quietly(&ROW);
    }
    // Until all is paid that the burned coins allow.
    let mut paid = 0;
    while world.get().paid > paid + MARK / 50 {
        paid = world.get().paid;
        world.yuma_epoch_quietly(&ROW);
    }
    let burned = i128::try_from(world.get().burned).unwrap();
    let gain = world.fortune(&party) - before;
    let network: i128 = (world.host.balance_of(treasury) - network).to();
    let millionths = burned / (MARK as i128 / 1_000_000);
    let of_hundred = |gain: i128| gain * 100_000_000 / millionths;
    (of_hundred(gain + network), of_hundred(gain))
}

#[test]
fn wash_fees_lose_for_one_party_that_owns_everything() {
    let [here, anchor] = [HERE, ANCHOR].map(|bps| {
        let both = |seed| play(seed, bps);
        let all = Seeds::of(|seed| both(seed).0);
        (all, Seeds::of(|seed| both(seed).1))
    });
    for (stake, here, anchor) in [
        ("all of the security stake", &here.0, &anchor.0),
        ("none of the security stake", &here.1, &anchor.1),
    ] {
        let (here, anchor) = (here.cells(), anchor.cells());
        println!(
            "| wash fees, 100 burned, {stake} | {} | {here} | {anchor} |",
            coins(0)
        );
    }
    let hundredth = MARK as i128 / 100;
    assert!(
        here.0.greatest() <= -99 * hundredth,
        "at most 0.99 comes back"
    );
    assert!(here.1.greatest() <= -1_900 * hundredth);
    assert!(anchor.0.greatest() > 10 * MARK as i128, "1.2 of it pays");
    assert!(anchor.1.greatest() < 0);
}
