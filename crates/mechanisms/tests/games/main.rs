//! Games that must not pay, and those that do: what an attacker earns against honest play.
//!
//! `cargo test -p hallmark-mechanisms --test games -- --nocapture --test-threads 1` prints the tables
//! of `docs/topics.md`. All numbers are parts of what a topic pays, in percent. Where chance plays, each
//! of [`SEEDS`] seeds is a game of its own, played without and with the attack on the same draws:
//! columns are means over seeds and epochs, and the last is the least and the greatest gain of a seed.
//! A verdict is asserted of every seed; where seeds differ in sign, of the mean and its standard error,
//! with a bound on every seed.

#[path = "../common/topic.rs"]
mod topic;

mod emission;
mod score;
mod synthesis;
mod yuma;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// How often a game of chance is played.
pub const SEEDS: u64 = 24;

/// ChaCha with uniform and normal numbers: a stream for every seed, none of which is part of
/// another.
pub struct Chance(TestRng);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Chance(TestRng::from_seed(RngAlgorithm::ChaCha, &key))
    }

    /// In 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, deviation 1, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A figure of every seed.
#[derive(Debug)]
pub struct Seeds(Vec<f64>);

impl Seeds {
    pub fn of(game: impl Fn(u64) -> f64) -> Seeds {
        Seeds((0..SEEDS).map(game).collect())
    }

    /// Two figures of the same games.
    pub fn pair(game: impl Fn(u64) -> (f64, f64)) -> (Seeds, Seeds) {
        let (left, right) = (0..SEEDS).map(game).unzip();
        (Seeds(left), Seeds(right))
    }

    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    pub fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn greatest(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Standard error of the mean: twice that much is what may be noise.
    pub fn error(&self) -> f64 {
        let (mean, count) = (self.mean(), self.0.len() as f64);
        let squares: f64 = self.0.iter().map(|x| (x - mean).powi(2)).sum();
        (squares / (count - 1.0) / count).sqrt()
    }

    /// What is more here than in `other`, seed by seed.
    pub fn over(&self, other: &Seeds) -> Seeds {
        Seeds(self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect())
    }

    /// Mean, least and greatest as cells of a table.
    pub fn cells(&self) -> String {
        format!(
            "{:+.2} % | {:+.2} … {:+.2}",
            100.0 * self.mean(),
            100.0 * self.least(),
            100.0 * self.greatest()
        )
    }
}

/// Prints a row of a game of chance and returns the gain by the attack.
pub fn print_seeds(game: &str, honest: &Seeds, attack: &Seeds) -> Seeds {
    let gain = attack.over(honest);
    println!(
        "| {game} | {:.2} % | {:.2} % | {} |",
        100.0 * honest.mean(),
        100.0 * attack.mean(),
        gain.cells()
    );
    gain
}

/// Prints a row of a game without chance: the attacker's part without and with the attack.
pub fn print(game: &str, honest: f64, attack: f64) {
    println!(
        "| {game} | {:.2} % | {:.2} % | {:+.2} % |",
        100.0 * honest,
        100.0 * attack,
        100.0 * (attack - honest)
    );
}

/// The sum of some shares, as a part of one.
pub fn part(shares: &[u64], slots: impl IntoIterator<Item = usize>) -> f64 {
    let sum: u64 = slots.into_iter().map(|slot| shares[slot]).sum();
    sum as f64 / hallmark_mechanisms::WHOLE as f64
}
