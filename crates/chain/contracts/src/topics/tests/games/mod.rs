//! Games that must not pay: what an attacker gets against honest play, by the contract's own results.
//!
//! `cargo test -p hallmark-contracts topics::tests::games -- --nocapture --test-threads 1` prints the rows
//! of `docs/topics.md`. Every game is played once for each of [`SEEDS`] seeds, without and with the attack
//! on the same draws, and compared in wei: all that a party has at the end, on its accounts, in bonds and
//! in stake. A verdict is asserted of every seed unless a game says otherwise. "The anchor's rule" is the
//! same contract without the rule of ours that the game is about; each game says how.

mod evict;
mod hidden;
mod stories;
mod wash;

use alloy_primitives::{Address, U256};
use hallmark_abi::{ITopics, topics::ITopics::Stage};
use hallmark_types::MARK;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::{World, weights};

/// How often a game of chance is played.
const SEEDS: u64 = 24;

/// ChaCha: a stream for every seed.
struct Chance(TestRng);

impl Chance {
    fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &key))
    }

    /// In `0..count`.
    fn below(&mut self, count: u64) -> u64 {
        self.0.next_u64() % count
    }

    /// Nearly normal, mean 0: twelve uniform numbers.
    fn noise(&mut self, deviation: i128) -> i128 {
        let width = 2 * deviation as u64 + 1;
        let sum: i128 = (0..12)
            .map(|_| i128::from(self.below(width)) - deviation)
            .sum();
        sum / 2
    }
}

/// A figure of every seed, in wei.
struct Seeds(Vec<i128>);

impl Seeds {
    fn of(game: impl Fn(u64) -> i128) -> Self {
        Self((0..SEEDS).map(game).collect())
    }

    /// What is more here than in `other`, seed by seed.
    fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect())
    }

    fn mean(&self) -> i128 {
        self.0.iter().sum::<i128>() / self.0.len() as i128
    }

    fn least(&self) -> i128 {
        self.0.iter().copied().min().unwrap()
    }

    fn greatest(&self) -> i128 {
        self.0.iter().copied().max().unwrap()
    }

    /// Mean, least and greatest as cells of a table.
    fn cells(&self) -> String {
        let [mean, least, greatest] = [self.mean(), self.least(), self.greatest()].map(coins);
        format!("{mean} | {least} … {greatest}")
    }
}

/// In MARK, with a sign and two digits.
fn coins(amount: i128) -> String {
    let cents = amount.unsigned_abs() / (MARK / 100);
    let sign = if amount < 0 { '-' } else { '+' };
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// Prints a row: what honest play brings, and what the attack brings beyond it, here and by the anchor's
/// rule.
fn print(game: &str, honest: &Seeds, here: &Seeds, anchor: &Seeds) {
    let honest = coins(honest.mean());
    println!(
        "| {game} | {honest} | {} | {} |",
        here.cells(),
        anchor.cells()
    );
}

impl World {
    /// Waits and advances until the epoch under way has ended.
    fn end_quietly(&mut self) {
        while !matches!(self.stage(), Stage::Done | Stage::Cancelled) {
            let topic = self.get();
            let now = self.host.timestamp_ms;
            self.wait(topic.stageEndMs.saturating_sub(now));
            self.advance().unwrap();
        }
    }

    /// [`World::yuma_epoch`] without checks on the way.
    fn yuma_epoch_quietly(&mut self, rows: &[(u16, &[(u16, u16)])]) {
        self.reach_quietly(Stage::Open);
        for (slot, row) in rows {
            let who = self.slot(*slot).operator;
            self.commit(who, *slot, &weights(row)).unwrap();
        }
        self.reach_quietly(Stage::Reveal);
        for (slot, row) in rows {
            let who = self.slot(*slot).operator;
            self.reveal(who, *slot, &weights(row)).unwrap();
        }
        self.end_quietly();
    }

    /// All that a party has: coins, bonds of its slots in the topic, and stake in all pools.
    fn fortune(&mut self, party: &[Address]) -> i128 {
        let mut sum = U256::ZERO;
        let pools = super::Topics::new().pool_count;
        let pools = pools.read(&mut self.host).unwrap();
        for &account in party {
            sum += self.wealth(account);
            let call = ITopics::slotOfCall {
                topic: self.topic,
                operator: account,
            };
            let slot = self.ask(call);
            if slot != u16::MAX {
                sum += U256::from(self.slot(slot).bond);
            }
            for pool in 1..=pools {
                let pool = U256::from(pool);
                sum += U256::from(self.ask(ITopics::positionCall { pool, account }).amount);
            }
        }
        sum.to()
    }
}
