//! Registering to evict: a party takes slots of a full topic only so that others lose theirs.
//!
//! Two honest validators weigh the ten workers' slots by who holds them at that moment, each with an error
//! of 5 % of its own. The attacker has one of the workers, any or the best, and names that do nothing: it
//! registers each again whenever it has lost its slot, unless the attacker's own worker might give way next.
//! Who lost its slot comes back at the next opening, after the attacker, where that costs no more than it
//! earns while it is immune. Nobody pays a bond above ten times the least. Bonds come back and cost nothing
//! in this count.
//!
//! By the anchor's rule nobody is compensated, and the price of a registration is burned. How much that is
//! depends on its floor, which is next to nothing there and an epoch's pay here: both ends are shown, out of
//! the same plays.

use alloy_primitives::Address;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::MARK;

use super::{Chance, Seeds, coins, print};
use crate::topics::tests::{DONOR, MIN_BOND, World, actor, only, weights, yuma_policy};

const VALIDATORS: u16 = 2;
const WORKERS: u16 = 10;
const SLOTS: u16 = VALIDATORS + WORKERS;
const WARM: u64 = 8;
const EPOCHS: u64 = 30;
/// Epochs for which a newcomer is immune, and the one in which it comes.
const IMMUNE: u128 = 4;
/// The attacker's names that do nothing.
const FIRST_NAME: u16 = 30;

/// Over the epochs that count.
struct Outcome {
    /// What the attacker has more.
    gain: i128,
    /// The bonds that its names registered with, and the compensations that they paid.
    bonds: i128,
    compensations: i128,
}

/// A topic in which everybody has a slot, and what chance decides about it.
struct Market {
    world: World,
    quality: Vec<u64>,
    attacker: u16,
    /// What each worker earned an epoch when it last had a slot.
    pays: Vec<u128>,
}

impl Market {
    fn new(chance: &mut Chance, is_best: bool) -> Self {
        let mut world = World::empty(|spec| spec.topics.price_half_life_ms = 20_000);
        let policy = Policy {
            maxWorkers: SLOTS,
            submitFee: MARK / 100,
            ..yuma_policy()
        };
        world.topic = world.create(policy, only(Kind::Yuma)).unwrap();
        world.workers(SLOTS);
        for validator in 0..VALIDATORS {
            let stake = world.stake(actor(validator), validator, 100 * MARK);
            stake.unwrap();
        }
        world.fund(3_000 * MARK);
        let mut quality: Vec<u64> = (0..WORKERS).map(|_| 20 + chance.below(80)).collect();
        let attacker = chance.below(u64::from(WORKERS)) as usize;
        if is_best {
            quality[attacker] = 100;
        }
        Self {
            world,
            quality,
            attacker: VALIDATORS + attacker as u16,
            pays: vec![0; usize::from(WORKERS)],
        }
    }

    fn slot_of(&mut self, who: Address) -> Option<u16> {
        let topic = self.world.topic;
        let operator = who;
        let slot = self.world.ask(ITopics::slotOfCall { topic, operator });
        Some(slot).filter(|slot| *slot != u16::MAX)
    }

    /// Bond and compensation of a newcomer, unless nobody gives way or the bond is too much for anybody.
    fn entry(&mut self) -> Option<(u128, u128)> {
        let call = ITopics::entryCall {
            topic: self.world.topic,
            role: Role::Worker,
        };
        let due = self.world.act(DONOR, call).ok()?;
        (due.bond <= 10 * MIN_BOND).then_some((due.bond, due.compensation))
    }

    /// Whether the attacker's worker is among the two that would give way next.
    fn is_in_danger(&mut self) -> bool {
        let now = self.world.host.timestamp_ms;
        let slots = (0..SLOTS).map(|slot| self.world.slot(slot));
        let prunable = slots.filter(|slot| slot.registeredAtMs + yuma_policy().immunityMs <= now);
        let mut ranks: Vec<_> = prunable
            .map(|slot| (slot.emissionEma, slot.registeredAtMs, slot.operator))
            .collect();
        ranks.sort_unstable();
        let own = actor(self.attacker);
        ranks.iter().take(2).any(|(_, _, who)| *who == own)
    }

    /// The attacker's names take slots; gives the bonds and the compensations.
    fn attack(&mut self, names: u16) -> (i128, i128) {
        let (mut bonds, mut compensations) = (0, 0);
        for name in FIRST_NAME..FIRST_NAME + names {
            if self.slot_of(actor(name)).is_some() || self.is_in_danger() {
                continue;
            }
            if let Some((bond, compensation)) = self.entry() {
                self.world.join(actor(name), Role::Worker).unwrap();
                bonds += bond as i128;
                compensations += compensation as i128;
            }
        }
        (bonds, compensations)
    }

    fn remember_pays(&mut self) {
        for worker in 0..WORKERS {
            if let Some(slot) = self.slot_of(actor(VALIDATORS + worker)) {
                self.pays[usize::from(worker)] = self.world.slot(slot).emissionEma;
            }
        }
    }

    /// Who lost its slot comes back, if that is worth it.
    fn return_honest(&mut self) {
        for worker in 0..WORKERS {
            let who = actor(VALIDATORS + worker);
            let worth = self.pays[usize::from(worker)] * IMMUNE;
            if self.slot_of(who).is_some() {
                continue;
            }
            if self.entry().is_some_and(|(_, due)| due <= worth) {
                self.world.join(who, Role::Worker).unwrap();
            }
        }
        for validator in (0..VALIDATORS).map(actor) {
            if self.slot_of(validator).is_none() && self.entry().is_some() {
                let slot = self.world.join(validator, Role::Worker).unwrap();
                self.world.stake(validator, slot, 100 * MARK).unwrap();
            }
        }
    }

    /// The rows of the validators who have slots: the quality of who stands where, as each reads it.
    fn rows(&mut self, readings: &[u64]) -> Vec<(u16, Address, Vec<u8>)> {
        let places: Vec<_> = (VALIDATORS..SLOTS)
            .map(|number| self.slot_of(actor(number)))
            .collect();
        let readings = readings.chunks(usize::from(WORKERS));
        let mut rows = Vec::new();
        for (validator, read) in (0..VALIDATORS).map(actor).zip(readings) {
            let Some(own) = self.slot_of(validator) else {
                continue;
            };
            let workers = places.iter().zip(&self.quality).zip(read);
            let mut row: Vec<_> = workers
                .filter_map(|((slot, quality), read)| Some(((*slot)?, (quality * read) as u16)))
                .collect();
            row.sort_unstable();
            rows.push((own, validator, weights(&row)));
        }
        rows
    }

    fn judge(&mut self, readings: &[u64]) {
        let rows = self.rows(readings);
        for (slot, who, row) in &rows {
            self.world.commit(*who, *slot, row).unwrap();
        }
        self.world.reach_quietly(Stage::Reveal);
        for (slot, who, row) in &rows {
            self.world.reveal(*who, *slot, row).unwrap();
        }
        self.world.end_quietly();
    }
}

fn play(seed: u64, is_best: bool, names: u16) -> Outcome {
    let mut chance = Chance::new(seed);
    let mut market = Market::new(&mut chance, is_best);
    let names_and_worker = (FIRST_NAME..FIRST_NAME + names).chain([market.attacker]);
    let party: Vec<_> = names_and_worker.map(actor).collect();
    let (mut before, mut bonds, mut compensations) = (0, 0, 0);
    for epoch in 0..WARM + EPOCHS {
        let readings: Vec<_> = (0..VALIDATORS * WORKERS)
            .map(|_| 95 + chance.below(11))
            .collect();
        market.world.reach_quietly(Stage::Open);
        market.remember_pays();
        if epoch == WARM {
            before = market.world.fortune(&party);
        }
        if epoch >= WARM {
            let spent = market.attack(names);
            (bonds, compensations) = (bonds + spent.0, compensations + spent.1);
        }
        market.return_honest();
        market.judge(&readings);
    }
    market.world.check_invariants();
    Outcome {
        gain: market.world.fortune(&party) - before,
        bonds,
        compensations,
    }
}

/// Prints a row; gives what the attack brings beyond honest play here, and by the anchor's rule at a price
/// of nothing.
fn game(honest: &Seeds, is_best: bool, names: u16) -> (Seeds, Seeds) {
    let mut here = Seeds(Vec::new());
    let (mut cheap, mut dear) = (Seeds(Vec::new()), Seeds(Vec::new()));
    for (seed, honest) in (0..).zip(&honest.0) {
        let attack = play(seed, is_best, names);
        let gain = attack.gain - honest;
        here.0.push(gain);
        cheap.0.push(gain + attack.compensations);
        dear.0.push(gain + attack.compensations - attack.bonds);
    }
    let who = if is_best {
        "the best worker"
    } else {
        "any worker"
    };
    print(
        &format!("registering to evict, {who} and {names} names"),
        honest,
        &here,
        &cheap,
    );
    println!(
        "|  – the price of here, burned | | | | {} | |",
        coins(dear.mean())
    );
    (here, cheap)
}

#[test]
fn who_registers_to_evict_pays_more_than_it_takes() {
    let coin = MARK as i128;
    let honest = Seeds::of(|seed| play(seed, true, 0).gain);
    for names in [1, 4, 8] {
        let (here, anchor) = game(&honest, true, names);
        assert!(
            here.greatest() < -coin,
            "the best worker loses, whatever it tries"
        );
        assert!(
            anchor.least() > coin,
            "without compensation it would have gained"
        );
    }
    let honest = Seeds::of(|seed| play(seed, false, 0).gain);
    let (here, _) = game(&honest, false, 8);
    assert!(here.mean() < -coin && here.greatest() < coin);
}
