//! What the contract's own games bring an attacker against honest play, in MARK: by the rules here, and by those
//! of the anchor, where a withheld reveal costs nothing and a slot's price is burned.
//!
//! Each game is played with eight seeds, each without and with the attack on the same draws. The table is in
//! `docs/topics.md`; what it says is asserted here.

use alloy_primitives::Address;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Role, Stage},
};
use hallmark_types::MARK;

use super::{FEE, World, actor, games::selective, weights};
use crate::testing::expect_revert;

const SEEDS: u64 = 8;
const BOND: f64 = 20.0;

/// A linear congruential generator.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Gains in MARK, seed by seed: mean, least and greatest, by the rules here and by the anchor's.
struct Gains {
    here: Vec<f64>,
    anchor: Vec<f64>,
}

impl Gains {
    fn of(game: impl Fn(u64) -> (f64, f64)) -> Self {
        let (here, anchor) = (0..SEEDS).map(game).unzip();
        Self { here, anchor }
    }

    fn print(&self, name: &str) {
        let text = |gains: &[f64]| {
            let mean = gains.iter().sum::<f64>() / gains.len() as f64;
            format!(
                "{mean:+.3} ({:+.3} … {:+.3})",
                least(gains),
                greatest(gains)
            )
        };
        println!("| {name} | {} | {} |", text(&self.here), text(&self.anchor));
    }
}

fn least(gains: &[f64]) -> f64 {
    gains.iter().copied().fold(f64::INFINITY, f64::min)
}

fn greatest(gains: &[f64]) -> f64 {
    gains.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn mark(wei: u128) -> f64 {
    wei as f64 / MARK as f64
}

/// All that some operators have, bonds of their slots included, in MARK.
fn wealth(world: &mut World, party: &[(Address, u16)]) -> f64 {
    let mut sum = 0.0;
    for (who, slot) in party {
        sum += mark(world.wealth(*who).to());
        if world.slot(*slot).operator == *who {
            sum += mark(world.slot(*slot).bond);
        }
    }
    sum
}

/// Eight slots, of whom slot 0 judges the others by `row`, with income, after `epochs` epochs.
fn market(seed: u64, epochs: usize) -> (World, Vec<(u16, u16)>) {
    let mut chance = Chance(seed);
    let mut world = World::yuma();
    world.workers(8);
    world.stake(actor(0), 0, 100 * MARK).unwrap();
    world.yuma_epoch(&[]);
    world.fund((100 + u128::from(chance.below(300))) * MARK);
    let row: Vec<_> = (1..8)
        .map(|slot| (slot, 1 + chance.below(1_000) as u16))
        .collect();
    for _ in 0..epochs {
        world.yuma_epoch(&[(0, &row)]);
    }
    (world, row)
}

/// An epoch in which slot 0 judges, and slot 1 plays one of three ways.
#[derive(Clone, Copy, PartialEq)]
enum Play {
    Opens,
    Withholds,
    /// Sends slot 0's commitment as its own.
    Copies,
    /// Commits when the window has closed.
    Late,
    Silent,
}

fn played(seed: u64, play: Play) -> f64 {
    let (mut world, row) = market(seed, 1);
    world.stake(actor(1), 1, 50 * MARK).unwrap();
    world.yuma_epoch(&[(0, &row)]);
    world.reach(Stage::Open);
    let payload = weights(&row);
    let call = world.committing(actor(0), 0, &payload);
    world.commit(actor(0), 0, &payload).unwrap();
    match play {
        Play::Opens | Play::Withholds => world.commit(actor(1), 1, &payload).unwrap(),
        Play::Copies => {
            let copied = ITopics::commitCall { slot: 1, ..call };
            world.pay(actor(1), FEE, copied).unwrap();
        }
        Play::Late => {
            let left = world.get().stageEndMs - world.host.timestamp_ms;
            world.wait(left);
            let late = world.committing(actor(1), 1, &payload);
            expect_revert::<ITopics::TooLate>(world.pay(actor(1), FEE, late));
        }
        Play::Silent => {}
    }
    world.reach(Stage::Reveal);
    world.reveal(actor(0), 0, &payload).unwrap();
    match play {
        Play::Opens => world.reveal(actor(1), 1, &payload).unwrap(),
        Play::Copies => {
            let error = world.reveal(actor(1), 1, &payload);
            expect_revert::<ITopics::CommitmentMismatch>(error);
        }
        _ => {}
    }
    world.settle();
    wealth(&mut world, &[(actor(1), 1)])
}

/// Slot 1's holder drives out the two least earners, and holds their slots in silence for six epochs.
/// Gives its wealth without and with it, and what the slots cost.
fn evicting(seed: u64, attacks: bool) -> (f64, f64) {
    let (mut world, row) = market(seed, 3);
    world.wait(60_000);
    let mut party = vec![(actor(1), 1)];
    let mut spent = 0.0;
    for newcomer in [30, 31] {
        // Wealth of the newcomers counts in both games.
        let mut slot = u16::MAX;
        if attacks {
            spent += mark(world.get().slotPrice);
            slot = world.join(actor(newcomer), Role::Worker).unwrap();
        }
        party.push((actor(newcomer), slot.min(7)));
    }
    for _ in 0..6 {
        world.yuma_epoch(&[(0, &row)]);
    }
    (wealth(&mut world, &party), spent)
}

#[test]
fn what_the_games_of_the_contract_bring_is_as_the_table_says() {
    println!("\n| game | gain here, MARK | gain by the anchor's rule |\n|---|---|---|");
    let withheld = Gains::of(|seed| {
        let gain = played(seed, Play::Withholds) - played(seed, Play::Opens);
        (gain, gain + BOND)
    });
    withheld.print("a withheld reveal");
    assert!(greatest(&withheld.here) < 0.0, "{:?}", withheld.here);
    let copied = Gains::of(|seed| {
        let silent = played(seed, Play::Silent);
        // Where weights are seen at once the copier has what an honest reading has.
        (
            played(seed, Play::Copies) - silent,
            played(seed, Play::Opens) - silent,
        )
    });
    copied.print("a copied commitment, against silence");
    assert!(greatest(&copied.here) < -BOND * 0.9, "{:?}", copied.here);
    assert!(least(&copied.anchor) > least(&copied.here) + BOND * 0.9);
    let late = Gains::of(|seed| {
        let silent = played(seed, Play::Silent);
        (
            played(seed, Play::Late) - silent,
            played(seed, Play::Opens) - silent,
        )
    });
    late.print("the last second, against silence");
    assert!(greatest(&late.here).abs() < 1e-9 && least(&late.here).abs() < 1e-9);
    let [opens, withholds] = [false, true].map(|withholds| {
        let (_, after) = selective(withholds);
        mark(after.to())
    });
    println!(
        "| opening the better of two bets only | {:+.3} | {:+.3} |",
        withholds - opens,
        withholds - opens + BOND
    );
    assert!(withholds < opens);
    let evicted = Gains::of(|seed| {
        let ((honest, _), (attack, spent)) = (evicting(seed, false), evicting(seed, true));
        (attack - honest, attack - honest - spent)
    });
    evicted.print("registering to evict two, six epochs, two bonds bound");
    assert!(greatest(&evicted.anchor) < 0.0, "{:?}", evicted.anchor);
}
