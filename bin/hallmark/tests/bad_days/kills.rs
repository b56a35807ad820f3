//! Processes end and pause at any instant: nothing acknowledged is lost, nothing is forked.

use crate::network::{Network, SOON, VALIDATORS};
use crate::workload::{Workload, assert_nothing_lost};
use crate::{setting, turn};
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Kills of the default run.
const KILLS: u64 = 12;
/// Accounts that send at the same time.
const WRITERS: usize = 4;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Day {
    /// `kill -9` of so many at once, and so long until they start again.
    Kill { count: usize, down: Duration },
    /// One is stopped (SIGSTOP) for so long.
    Stop { pause: Duration },
}

fn draw(random: &mut ChaCha8Rng) -> Day {
    let millis =
        |random: &mut ChaCha8Rng, most| Duration::from_millis(random.random_range(0..most));
    match random.random_range(0..100) {
        0..55 => Day::Kill {
            count: 1,
            down: millis(random, 1_500),
        },
        55..65 => Day::Kill {
            count: 2,
            down: millis(random, 1_000),
        },
        65..78 => Day::Kill {
            count: VALIDATORS,
            down: millis(random, 500),
        },
        _ => Day::Stop {
            pause: millis(random, 3_000),
        },
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_forks_over_random_kills() {
    let _turn = turn();
    let (wanted, seed) = (
        setting("HALLMARK_KILLS", KILLS),
        setting("HALLMARK_SEED", 1),
    );
    println!("HALLMARK_KILLS={wanted} HALLMARK_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut network = Network::start(WRITERS);
    let workload = Workload::start(seed, WRITERS, &network.rpcs());
    let (mut kills, mut stops) = (0, 0);
    while kills < wanted {
        // Work goes on between two bad moments, and sometimes hardly does.
        let before = workload.acknowledged();
        std::thread::sleep(Duration::from_millis(random.random_range(0..1_200)));
        let day = draw(&mut random);
        match day {
            Day::Kill { count, down } => {
                let victims = (0..VALIDATORS).choose_multiple(&mut random, count);
                for victim in &victims {
                    network.kill(*victim);
                    kills += 1;
                }
                std::thread::sleep(down);
                for victim in victims {
                    network.spawn(victim);
                }
            }
            Day::Stop { pause } => {
                let victim = random.random_range(0..VALIDATORS);
                network.signal(victim, Signal::STOP);
                stops += 1;
                std::thread::sleep(pause);
                network.signal(victim, Signal::CONT);
            }
        }
        workload.assert_sound();
        // All run again: the chain must go on, whatever was interrupted.
        let deadline = Instant::now() + SOON;
        while workload.acknowledged() <= before {
            for index in network.running() {
                network.assert_alive(index);
            }
            assert!(
                Instant::now() < deadline,
                "no transfer is final after {day:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let seen = workload.stop();
    let last = seen.acknowledged.iter().map(|ack| ack.height).max();
    network.wait_height(last.expect("something was acknowledged") + 2, SOON);
    assert_nothing_lost(&seen, &network.rpcs());
    println!(
        "{kills} kills, {stops} stops: {} transfers acknowledged, {} heights compared",
        seen.acknowledged.len(),
        seen.heights()
    );
}

#[test]
fn blocks_go_on_with_one_of_four_down_stop_with_two_and_go_on_when_one_returns() {
    let _turn = turn();
    let mut network = Network::start(WRITERS);
    network.kill(3);
    let height = network.height(0).expect("it runs");
    network.wait_height(height + 8, SOON);

    network.kill(2);
    // What was on its way when the second went may still become final.
    std::thread::sleep(Duration::from_millis(500));
    let stopped = network.height(0).expect("it runs");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(
        network.height(0),
        Some(stopped),
        "two of four decide nothing"
    );
    assert_eq!(
        network.height(1),
        Some(stopped),
        "two of four decide nothing"
    );

    network.spawn(2);
    network.wait_height(stopped + 8, SOON);
    network.spawn(3);
    network.wait_height(stopped + 16, SOON);
}

#[test]
fn a_validator_that_was_stopped_for_long_follows_soon_after_it_goes_on() {
    let _turn = turn();
    let mut network = Network::start(WRITERS);
    let workload = Workload::start(7, WRITERS, &network.rpcs()[..3]);
    network.signal(3, Signal::STOP);
    std::thread::sleep(Duration::from_secs(12));
    network.signal(3, Signal::CONT);
    let height = network.height(0).expect("it runs");
    network.wait_height(height, Duration::from_secs(15));
    let seen = workload.stop();
    let last = seen.acknowledged.iter().map(|ack| ack.height).max();
    network.wait_height(last.expect("something was acknowledged") + 2, SOON);
    assert_nothing_lost(&seen, &network.rpcs());
}
