//! Merit sortition: more candidates than places, and the better ones take part.
//!
//! Every candidate has a smoothed score `q`. Each epoch:
//!
//! 1. the `places` candidates with the greatest `q` are active ([`choose`]; ties to the lower
//!    slot); a newcomer displaces the least of a full set only if its own `q` is greater
//!    ([`admits`]);
//! 2. an active candidate's score moves `q ← (1 − α)q + α·score`;
//! 3. a passive one's moves toward the `quantile` of the active scores (linear between them), so
//!    that who is left out comes back when the active ones do badly;
//! 4. who was chosen and said nothing is pulled toward the topic's initial score, once per missed
//!    epoch ([`penalise`]).
//!
//! Source: Allora's merit-based sortition; its table of 101 epochs is reproduced to better than
//! 10^-9 (`tests/tokenomics_tables.rs`).

use crate::synthesis::{quantile, smooth};
use hallmark_fixed::Q64;

/// The rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Number of active candidates.
    pub places: usize,
    /// Weight of the new score, α.
    pub rate: Q64,
    /// Quantile of the active scores that passive candidates move toward.
    pub quantile: Q64,
}

impl Default for Params {
    fn default() -> Params {
        Params {
            places: 32,
            rate: Q64::from_ratio(1, 10),
            quantile: Q64::from_ratio(1, 4),
        }
    }
}

/// The slots of the active candidates, rising: those with the greatest smoothed scores, all of them
/// if there are no more than `places`. `None` is an empty slot.
pub fn choose(smoothed: &[Option<Q64>], places: usize) -> Vec<usize> {
    let occupied = smoothed.iter().enumerate();
    let mut order: Vec<(Q64, usize)> = occupied
        .filter_map(|(slot, score)| Some(((*score)?, slot)))
        .collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut chosen: Vec<usize> = order
        .into_iter()
        .take(places)
        .map(|(_, slot)| slot)
        .collect();
    chosen.sort_unstable();
    chosen
}

/// Whether a candidate may join the active set, given the smoothed scores of its members: always
/// while there is a place, else only above the least of them.
pub fn admits(members: &[Q64], places: usize, candidate: Q64) -> bool {
    members.len() < places || members.iter().min().is_some_and(|&least| candidate > least)
}

/// The smoothed scores after an epoch; `scores` has an entry for each active candidate only.
///
/// A slot without a smoothed score stays empty, unless it has a score: that becomes its first.
/// Without any active score nothing moves.
pub fn update(
    params: &Params,
    smoothed: &[Option<Q64>],
    scores: &[Option<Q64>],
) -> Vec<Option<Q64>> {
    let active: Vec<Q64> = scores.iter().copied().flatten().collect();
    let passive_target = quantile(&active, params.quantile);
    let next = |(slot, old): (usize, &Option<Q64>)| {
        let score = scores.get(slot).copied().flatten();
        match (*old, score.or(passive_target)) {
            (Some(old), Some(target)) => Some(smooth(old, target, params.rate)),
            (Some(old), None) => Some(old),
            (None, _) => score,
        }
    };
    smoothed.iter().enumerate().map(next).collect()
}

/// The smoothed score after `missed` epochs without a word, each a step toward `initial`.
pub fn penalise(params: &Params, smoothed: Q64, initial: Q64, missed: u32) -> Q64 {
    let kept = (Q64::ONE - params.rate)
        .pow(Q64::from_int(i64::from(missed)))
        .unwrap_or(Q64::ZERO);
    initial + kept * (smoothed - initial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn q(text: &str) -> Q64 {
        text.parse().unwrap()
    }

    #[test]
    fn the_best_are_chosen_and_ties_go_to_the_lower_slot() {
        let scores = [Some(q("1")), None, Some(q("3")), Some(q("1")), Some(q("2"))];
        assert_eq!(choose(&scores, 3), vec![0, 2, 4]);
        assert_eq!(choose(&scores, 9), vec![0, 2, 3, 4]);
        assert_eq!(choose(&scores, 0), Vec::<usize>::new());
        assert_eq!(choose(&[], 3), Vec::<usize>::new());
    }

    #[test]
    fn a_newcomer_displaces_only_who_is_worse() {
        let members = [q("2"), q("5")];
        assert!(admits(&members, 3, q("-9")));
        assert!(!admits(&members, 2, q("2")));
        assert!(admits(&members, 2, q("2.1")));
        assert!(!admits(&[], 0, q("1")));
    }

    #[test]
    fn without_active_scores_nothing_moves() {
        let smoothed = [Some(q("2")), None];
        assert_eq!(
            update(&Params::default(), &smoothed, &[None, None]),
            smoothed.to_vec()
        );
    }

    #[test]
    fn each_missed_epoch_is_one_step_toward_the_initial_score() {
        let params = Params::default();
        assert_eq!(penalise(&params, q("2"), q("1"), 0), q("2"));
        let twice = penalise(&params, q("2"), q("1"), 2);
        assert!((twice - q("1.81")).abs() < q("1e-18"), "{twice}");
        assert!((penalise(&params, q("2"), q("1"), u32::MAX) - Q64::ONE).abs() < q("1e-18"));
    }

    proptest! {
        #[test]
        fn smoothed_scores_stay_between_the_old_and_the_target(
            old in proptest::collection::vec(-1000i64..1000, 1..10),
            new in proptest::collection::vec(-1000i64..1000, 1..10),
        ) {
            let some = |v: &[i64]| v.iter().map(|&x| Some(Q64::from_int(x))).collect::<Vec<_>>();
            let (old, new) = (some(&old), some(&new));
            let bounds: Vec<Q64> = old.iter().chain(&new).copied().flatten().collect();
            let (low, high) = (*bounds.iter().min().unwrap(), *bounds.iter().max().unwrap());
            for value in update(&Params::default(), &old, &new).into_iter().flatten() {
                prop_assert!(value >= low - Q64::from_bits(4) && value <= high + Q64::from_bits(4));
            }
        }
    }
}
