//! What an epoch costs with its state: run with `--nocapture` for the figures of
//! `docs/benchmarks.md`. Bounds are loose, because the machines that run tests are.

use std::time::{Duration, Instant};

use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::{MARK, addresses};

use super::{DONOR, World, actor, only, truth, value, weights, yuma_policy};

/// A topic of `slots` slots, of whom the first `judges` have stake and weigh all others; after its
/// first epoch, from which on they have permits.
fn large(slots: u16, judges: u16) -> World {
    let mut world = World::empty(|spec| {
        let each = spec.alloc.values().next().copied().unwrap();
        for number in 0..512 {
            spec.alloc.insert(actor(number), each);
        }
        spec.topics.price_half_life_ms = 1_000;
    });
    let policy = Policy {
        maxWorkers: slots,
        submitFee: MARK / 100,
        ..yuma_policy()
    };
    world.topic = world.create(policy, only(Kind::Yuma)).unwrap();
    for number in 0..slots {
        world.join(actor(number), Role::Worker).unwrap();
        world.wait(2_000);
    }
    for number in 0..judges {
        world
            .stake(actor(number), number, MARK * u128::from(100 + number))
            .unwrap();
    }
    world.fund(1_000 * MARK);
    world.reach_quietly(Stage::Settle);
    world.settle_timed();
    world
}

impl World {
    /// Settles; gives the time and the gas of each slice.
    fn settle_timed(&mut self) -> Vec<(Duration, u64)> {
        let mut slices = Vec::new();
        while self.stage() == Stage::Settle {
            // The host copies the world for a call, and the end of a block does not.
            let call = ITopics::advanceCall { topic: self.topic };
            let mut fork = self.host.clone();
            let data = alloy_sol_types::SolCall::abi_encode(&call);
            fork.call(DONOR, addresses::TOPICS, super::U256::ZERO, &data)
                .unwrap();
            let gas = fork.gas_used;
            // The least of a few runs: other work on the machine only adds.
            let mut least = Duration::MAX;
            for _ in 0..5 {
                let mut fork = self.host.clone();
                let begin = Instant::now();
                super::Topics::new().advance(&mut fork, self.topic).unwrap();
                least = least.min(begin.elapsed());
            }
            super::Topics::new()
                .advance(&mut self.host, self.topic)
                .unwrap();
            slices.push((least, gas));
        }
        slices
    }

    fn words(&self) -> usize {
        self.host.storage()[&addresses::TOPICS].len()
    }
}

#[test]
fn a_large_yuma_topic_settles_in_bounded_slices() {
    for (slots, judges) in [(16, 4), (64, 16), (256, 64)] {
        let before = World::yuma().words();
        let mut world = large(slots, judges);
        let seated = world.words();
        for epoch in 0..2 {
            world.reach_quietly(Stage::Open);
            let row: Vec<_> = (judges..slots).map(|slot| (slot, 60_000 - slot)).collect();
            for judge in 0..judges {
                world.commit(actor(judge), judge, &weights(&row)).unwrap();
            }
            world.reach_quietly(Stage::Reveal);
            for judge in 0..judges {
                world.reveal(actor(judge), judge, &weights(&row)).unwrap();
            }
            world.reach_quietly(Stage::Settle);
            let slices = world.settle_timed();
            let all: Duration = slices.iter().map(|slice| slice.0).sum();
            let longest = slices.iter().map(|slice| slice.0).max().unwrap();
            let dearest = slices.iter().map(|slice| slice.1).max().unwrap();
            println!(
                "yuma {slots}x{judges}, epoch {}: {all:?} in {} slices, the longest {longest:?}, \
                 the dearest {dearest} gas; {} words a slot before submissions, {} in all",
                epoch + 2,
                slices.len(),
                (seated - before) / usize::from(slots),
                world.words(),
            );
            assert!(longest < Duration::from_millis(400), "{longest:?}");
            assert!(dearest < 150_000_000, "{dearest}");
        }
        assert_eq!(world.get().epoch, 4);
        world.check_invariants();
    }
}

#[test]
fn a_full_synthesis_settles_in_bounded_slices() {
    let mut world = World::empty(|spec| {
        let each = spec.alloc.values().next().copied().unwrap();
        for number in 0..64 {
            spec.alloc.insert(actor(number), each);
        }
        spec.topics.price_half_life_ms = 1_000;
    });
    let policy = Policy {
        maxWorkers: 32,
        maxForecasters: 6,
        maxReputers: 6,
        ..super::synthesis_policy()
    };
    world.topic = world.create(policy, only(Kind::Synthesis)).unwrap();
    let roles = [
        (Role::Worker, 32),
        (Role::Forecaster, 6),
        (Role::Reputer, 6),
    ];
    let mut number = 0;
    for (role, count) in roles {
        for _ in 0..count {
            world.join(actor(number), role).unwrap();
            world.wait(2_000);
            number += 1;
        }
    }
    for number in 38..44 {
        world.stake(actor(number), number, 100 * MARK).unwrap();
    }
    world.fund(1_000 * MARK);
    for epoch in 1..4 {
        let mut said: Vec<_> = (0..32)
            .map(|slot| (slot, value(2_000 + i128::from(slot * 7 % 31))))
            .collect();
        let forecast: Vec<u8> = (0..12u16)
            .flat_map(|slot| [slot.to_be_bytes().to_vec(), value(i128::from(slot) - 6)].concat())
            .collect();
        said.extend((32..38).map(|slot| (slot, forecast.clone())));
        world.reach_quietly(Stage::Open);
        for (slot, payload) in &said {
            world.commit(actor(*slot), *slot, payload).unwrap();
        }
        world.reach_quietly(Stage::Sealed);
        for (slot, payload) in &said {
            world.reveal(actor(*slot), *slot, payload).unwrap();
        }
        world.wait(10_000);
        let begin = Instant::now();
        super::Topics::new()
            .advance(&mut world.host, world.topic)
            .unwrap();
        let inference = begin.elapsed();
        for slot in 38..44 {
            world
                .commit(actor(slot), slot, &truth(2_005 + i128::from(slot)))
                .unwrap();
        }
        world.reach_quietly(Stage::Reveal);
        for slot in 38..44 {
            world
                .reveal(actor(slot), slot, &truth(2_005 + i128::from(slot)))
                .unwrap();
        }
        world.reach_quietly(Stage::Settle);
        let slices = world.settle_timed();
        println!(
            "synthesis 32+6+6, epoch {epoch}: inference {inference:?}, settlement {slices:?}, {} words",
            world.words()
        );
        assert!(
            slices
                .iter()
                .all(|slice| slice.0 < Duration::from_millis(400))
        );
    }
    world.check_invariants();
}
