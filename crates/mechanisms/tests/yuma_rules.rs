//! The rules of our own, by examples of three slots that can be computed by hand.

#[path = "common/topic.rs"]
mod topic;

use hallmark_fixed::Q32;
use hallmark_mechanisms::yuma::{Outcome, Params, Version};
use topic::Topic;

/// The numbers as fractions, to a ten-millionth: what truncation in Q32.32 leaves.
fn assert_parts(ours: &[Q32], expected: &[(u32, u32)]) {
    assert_eq!(ours.len(), expected.len());
    for (slot, (ours, &(numerator, denominator))) in ours.iter().zip(expected).enumerate() {
        let ours = ours.to_bits() as f64 / (1u64 << 32) as f64;
        let expected = f64::from(numerator) / f64::from(denominator);
        assert!(
            (ours - expected).abs() < 1e-7,
            "slot {slot}: {ours}, by hand {numerator}/{denominator}"
        );
    }
}

/// Yuma 3 whose bonds are the weights of the epoch: nothing of old bonds is kept.
fn at_once(two_sided: bool, bonds_penalty: u16) -> Params {
    Params {
        version: Version::Three,
        bonds_moving_average: 0,
        bonds_penalty,
        two_sided,
        ..Params::default()
    }
}

/// Slots 0 and 1 are validators with 3/4 and 1/4 of the stake, slot 2 is a worker. Slot 0 weighs
/// slots 1 and 2 with 1/4 and 3/4.
fn two_validators(params: Params, second: &[(u16, u16)]) -> Outcome {
    let mut topic = Topic::new(params, &[3, 1], 1);
    topic.weights[0] = vec![(1, 1), (2, 3)];
    topic.weights[1] = second.to_vec();
    topic.epoch()
}

/// Slot 1 weighs slots 0 and 2 with 1/2 each.
///
/// Consensus: slot 0 has 0 from 3/4 of the stake, 1/2 from 1/4: `C_0 = 0`. Slot 1 has 1/4 from 3/4:
/// `C_1 = 1/4`. Slot 2 has 3/4 from 3/4, 1/2 from 1/4: `C_2 = 3/4`.
///
/// | | one-sided | two-sided |
/// |---|---|---|
/// | R of slots 1, 2 | 3/4·1/4 = 3/16; 3/4·3/4 + 1/4·1/2 = 11/16 | 1/4; 3/4 |
/// | incentive | 3/14; 11/14 | 1/4; 3/4 |
/// | bonds in slot 1 | 1/4 of slot 0 | the same |
/// | bonds in slot 2 | 3/4 of slot 0, 1/2 of slot 1: parts 3/5, 2/5 | 3/4, 1/2·(1/2)/(3/4) = 1/3: parts 9/13, 4/13 |
/// | dividends of slot 0 | 3/4·(3/14 + 11/14·3/5) = 36/70 | 3/4·(1/4 + 3/4·9/13) = 30/52 |
/// | dividends of slot 1 | 1/4·(11/14·2/5) = 11/140 | 1/4·(3/4·4/13) = 3/52 |
/// | normalised | 72/83, 11/83 | 10/11, 1/11 |
#[test]
fn two_sided_a_minority_lowers_no_worker_and_loses_bonds_for_trying() {
    let lowers = [(0, 1), (2, 1)];
    let anchor = two_validators(at_once(false, 65_535), &lowers);
    assert_parts(&anchor.consensus, &[(0, 1), (1, 4), (3, 4)]);
    assert_parts(&anchor.incentive, &[(0, 1), (3, 14), (11, 14)]);
    assert_parts(&anchor.dividends, &[(72, 83), (11, 83), (0, 1)]);
    let ours = two_validators(at_once(true, 65_535), &lowers);
    assert_parts(&ours.consensus, &[(0, 1), (1, 4), (3, 4)]);
    assert_parts(&ours.incentive, &[(0, 1), (1, 4), (3, 4)]);
    assert_parts(&ours.dividends, &[(10, 11), (1, 11), (0, 1)]);
}

/// Slot 1 weighs slot 2 only, with 1, above its consensus of 3/4; bonds penalty 0 forgives that.
///
/// | | one-sided | two-sided |
/// |---|---|---|
/// | R of slots 1, 2 | 3/16; 3/4·3/4 + 1/4·3/4 = 3/4 | 1/4; 3/4 |
/// | incentive | 1/5; 4/5 | 1/4; 3/4 |
/// | bonds in slot 2 | 3/4, 1: parts 3/7, 4/7 | 3/4, 1·(3/4)/1 = 3/4: parts 1/2, 1/2 |
/// | dividends of slot 0 | 3/4·(1/5 + 4/5·3/7) = 57/140 | 3/4·(1/4 + 3/8) = 15/32 |
/// | dividends of slot 1 | 1/4·(4/5·4/7) = 16/140 | 1/4·3/8 = 3/32 |
/// | normalised | 57/73, 16/73 | 5/6, 1/6 |
#[test]
fn two_sided_who_overrates_a_worker_loses_bonds_though_the_penalty_forgives() {
    let overrates = [(2, 1)];
    let anchor = two_validators(at_once(false, 0), &overrates);
    assert_parts(&anchor.incentive, &[(0, 1), (1, 5), (4, 5)]);
    assert_parts(&anchor.dividends, &[(57, 73), (16, 73), (0, 1)]);
    let ours = two_validators(at_once(true, 0), &overrates);
    assert_parts(&ours.incentive, &[(0, 1), (1, 4), (3, 4)]);
    assert_parts(&ours.dividends, &[(5, 6), (1, 6), (0, 1)]);
}

/// Stakes 1, 2, 7: the cap is the `⌈3q⌉`-th smallest.
///
/// | q | ⌈3q⌉ | cap | S |
/// |---|---|---|---|
/// | 13,107 / 65,535 = 1/5 | ⌈0.6⌉ = 1 | 1 | 1/3, 1/3, 1/3 |
/// | 21,845 / 65,535 = 1/3 | 1 | 1 | 1/3, 1/3, 1/3 |
/// | 21,846 / 65,535, a little more | 2 | 2 | 1/5, 2/5, 2/5 |
/// | 32,767 / 65,535, almost 1/2 | ⌈1.49998⌉ = 2 | 2 | 1/5, 2/5, 2/5 |
/// | 43,691 / 65,535, a little more than 2/3 | 3 | 7 | 1/10, 2/10, 7/10 |
/// | none | | | 1/10, 2/10, 7/10 |
///
/// A threshold of 2 leaves 2 and 7, of which the `⌈2·1/5⌉ = 1`st is 2: S = 0, 1/2, 1/2.
#[test]
fn no_stake_counts_for_more_than_the_quantile_of_those_that_count() {
    let stake_weight = |stake_cap, stake_threshold| {
        let params = Params {
            stake_cap,
            stake_threshold,
            ..Params::default()
        };
        Topic::new(params, &[1, 2, 7], 0).epoch().stake_weight
    };
    let equal = [(1, 3); 3];
    let middle = [(1, 5), (2, 5), (2, 5)];
    let plain = [(1, 10), (2, 10), (7, 10)];
    for (cap, expected) in [
        (Some(13_107), equal),
        (Some(21_845), equal),
        (Some(21_846), middle),
        (Some(32_767), middle),
        (Some(43_691), plain),
        (None, plain),
    ] {
        assert_parts(&stake_weight(cap, 0), &expected);
    }
    assert_parts(&stake_weight(Some(13_107), 2), &[(0, 1), (1, 2), (1, 2)]);
}

/// Validators with 3/4 and 1/4. While nobody weighs, I = D = 0: the anchor pays them 3/4 and 1/4. At
/// κ = 4/5 a weight counts if at most 1/5 of the stake gives less, so that a quarter which leaves the
/// only worker out stalls it: `C_2 = 0`. Where the worker is weighed by both, D = 3/4, 1/4 and I = 1,
/// and half goes to either side whatever the rule.
#[test]
fn without_idle_pay_an_epoch_without_incentive_pays_nobody_and_others_pay_as_before() {
    let shares = |pay_idle, weights: [&[(u16, u16)]; 2]| {
        let params = Params {
            kappa: 52_428,
            pay_idle,
            ..at_once(false, 65_535)
        };
        let mut topic = Topic::new(params, &[3, 1], 1);
        for (row, weights) in topic.weights.iter_mut().zip(weights) {
            *row = weights.to_vec();
        }
        topic.epoch().settlement.shares
    };
    let worker: &[(u16, u16)] = &[(2, 1)];
    for stalled in [[&[][..], &[]], [worker, &[]]] {
        assert_eq!(shares(true, stalled), [750_000_000, 250_000_000, 0]);
        assert_eq!(shares(false, stalled), [0, 0, 0]);
    }
    for pay_idle in [true, false] {
        assert_eq!(
            shares(pay_idle, [worker, worker]),
            [375_000_000, 125_000_000, 500_000_000]
        );
    }
}
