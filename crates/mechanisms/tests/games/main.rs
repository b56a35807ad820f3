//! Games that must not pay, and those that do: what an attacker earns against honest play.
//!
//! `cargo test -p hallmark-mechanisms --test games -- --nocapture --test-threads 1` prints the tables
//! of `docs/topics.md`. Every game is seeded; all numbers are parts of what a topic pays, in percent,
//! mean over seeds and epochs.

#[path = "../common/topic.rs"]
mod topic;

mod emission;
mod score;
mod synthesis;
mod yuma;

/// A generator with uniform and roughly normal numbers.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// In 0..1.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, deviation 1.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Prints a row of a table: what is played, and the attacker's part without and with the attack.
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
