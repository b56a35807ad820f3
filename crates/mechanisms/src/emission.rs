//! How much is paid: the schedule of new coins and its split among topics.
//!
//! | quantity | formula | source |
//! |---|---|---|
//! | target per staked coin and month | `ê_target = f·(T / N_staked)·(N_circulating / N_max)`, `f = 0.025`, T the treasury | Allora |
//! | greatest | `ê_max = 0.0095 / f_stakers`, `f_stakers = (1 − v)·(part of reputers) + v`, `v = 0.25` the part of validators | Allora |
//! | rate | `ê = min(ê_target, ê_max)`, smoothed `e ← 0.1·ê + 0.9·e` | Allora |
//! | emission | `e · N_staked` a month, never more than the treasury | Allora |
//! | halving | `first / 2^floor(log2(cap / (cap − issued)))` per block; zero at the cap | Bittensor |
//! | weight of a topic | `w ← (1 − α)w + α·√(stake · burned fees)` | Allora |
//! | payout of a topic | `min(E·w / Σw, m·burned + grant)` | ours: never a multiple of what was burned, grants apart; what is not paid is not minted |
//!
//! Amounts are whole units of any coin, up to 2^126; rates are [`Q64`].

use crate::synthesis::smooth;
use hallmark_fixed::Q64;

/// The constants of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Part of the treasury emitted per month at full circulation, f.
    pub treasury_rate: Q64,
    /// Greatest monthly yield of stakers.
    pub greatest_yield: Q64,
    /// Part of the emission that validators get, v.
    pub validators_part: Q64,
    /// Weight of the new rate.
    pub rate: Q64,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule {
            treasury_rate: Q64::from_ratio(25, 1_000),
            greatest_yield: Q64::from_ratio(95, 10_000),
            validators_part: Q64::from_ratio(25, 100),
            rate: Q64::from_ratio(1, 10),
        }
    }
}

/// The amounts that the schedule looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// Coins that may still be emitted.
    pub treasury: u128,
    /// Coins staked.
    pub staked: u128,
    /// Coins in circulation.
    pub circulating: u128,
    /// Coins that will ever exist.
    pub greatest: u128,
}

impl Schedule {
    /// `ê_target`; zero without stake.
    pub fn target(&self, supply: &Supply) -> Q64 {
        self.treasury_rate
            * Q64::from_ratio(supply.treasury, supply.staked)
            * Q64::from_ratio(supply.circulating, supply.greatest)
    }

    /// `ê_max` where reputers get `reputers` of what topics get.
    pub fn greatest(&self, reputers: Q64) -> Q64 {
        let stakers = (Q64::ONE - self.validators_part) * reputers + self.validators_part;
        self.greatest_yield / stakers
    }

    /// The smoothed rate of a month; without one before, the rate itself.
    pub fn smoothed(&self, before: Option<Q64>, target: Q64, greatest: Q64) -> Q64 {
        let rate = target.min(greatest);
        smooth(before.unwrap_or(rate), rate, self.rate)
    }

    /// The emission of a month.
    pub fn emission(&self, smoothed: Q64, supply: &Supply) -> u128 {
        smoothed.part_of(supply.staked).min(supply.treasury)
    }
}

/// Coins per block when `issued` of at most `cap` exist, `first` at the start: half as many each
/// time half of the rest has been issued.
pub fn halving(first: u128, issued: u128, cap: u128) -> u128 {
    let rest = cap.saturating_sub(issued);
    let Some(ratio) = cap.checked_div(rest) else {
        return 0;
    };
    // floor(log2(cap / rest)) = floor(log2(floor(cap / rest))).
    first
        .checked_shr(ratio.checked_ilog2().unwrap_or(0))
        .unwrap_or(0)
        .min(rest)
}

/// The weight of a topic after an epoch with this stake and these burned fees.
///
/// The square root is of the product, so both are needed: a topic without fees loses weight.
pub fn topic_weight(before: u128, stake: u128, burned: u128, rate: Q64) -> u128 {
    let now = Q64::geometric_mean(stake, burned);
    let rate = rate.clamp_to(Q64::ZERO, Q64::ONE);
    if now >= before {
        before.saturating_add(rate.part_of(now.saturating_sub(before)))
    } else {
        before.saturating_sub(rate.part_of(before.saturating_sub(now)))
    }
}

/// What a topic is paid: its part of the emission by weight, at most `multiple` of what was burned
/// in it plus its grant.
pub fn topic_payout(
    emission: u128,
    weight: u128,
    all_weight: u128,
    burned: u128,
    multiple: Q64,
    grant: u128,
) -> u128 {
    let part = Q64::from_ratio(weight.min(all_weight), all_weight).part_of(emission);
    part.min(multiple.part_of(burned).saturating_add(grant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bittensor: 10^9 per block, 21·10^15 in all, the first halving at half of it.
    #[test]
    fn the_reward_halves_when_half_of_the_rest_is_issued() {
        let cap = 21_000_000_000_000_000u128;
        let at = |issued| halving(1_000_000_000, issued, cap);
        assert_eq!(at(0), 1_000_000_000);
        assert_eq!(at(cap / 2 - 1), 1_000_000_000);
        assert_eq!(at(cap / 2), 500_000_000);
        assert_eq!(at(cap / 4 * 3), 250_000_000);
        assert_eq!(at(cap - (1 << 20)), 0);
        assert_eq!(at(cap), 0);
        assert_eq!(at(cap + 1), 0);
        assert_eq!(halving(5, 0, 0), 0);
    }

    #[test]
    fn a_topic_without_fees_loses_its_weight() {
        let tenth = Q64::from_ratio(1, 10);
        assert_eq!(topic_weight(0, 400, 100, tenth), 20);
        assert_eq!(topic_weight(1_000, 10u128.pow(27), 0, tenth), 900);
        assert_eq!(topic_weight(1_000, 0, u128::MAX, Q64::ONE), 0);
        assert_eq!(topic_weight(u128::MAX, 1, 1, -tenth), u128::MAX);
    }

    #[test]
    fn the_yield_is_capped_and_no_stake_means_no_emission() {
        let schedule = Schedule::default();
        let idle = Supply {
            treasury: 100,
            staked: 0,
            circulating: 10,
            greatest: 100,
        };
        assert_eq!(schedule.target(&idle), Q64::ZERO);
        assert_eq!(schedule.emission(Q64::ONE, &idle), 0);
        let small = Supply {
            treasury: 5,
            staked: 1_000,
            circulating: 10,
            greatest: 100,
        };
        assert_eq!(schedule.emission(Q64::ONE, &small), 5);
        assert_eq!(schedule.greatest(Q64::ONE), schedule.greatest_yield);
    }

    proptest! {
        #[test]
        fn a_payout_never_exceeds_the_multiple_of_what_was_burned(
            emission in any::<u128>(), weight in any::<u128>(), others in any::<u128>(),
            burned in 0u128..1 << 100, grant in 0u128..1 << 100,
        ) {
            let multiple = Q64::from_ratio(99, 100);
            let all = weight.saturating_add(others);
            let paid = topic_payout(emission, weight, all, burned, multiple, grant);
            prop_assert!(paid <= multiple.part_of(burned) + grant);
            prop_assert!(paid <= emission);
        }
    }
}
