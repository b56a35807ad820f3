//! Score: whoever proves the best metric earns the most.
//!
//! Nobody is asked for an opinion. A worker's metric (an accuracy, a negative loss) counts only if
//! the chain has checked it.
//!
//! 1. A submission counts if its level is [`Level::Proven`]: `Exact` counts once it has a judge on
//!    chain ([`Params::least_level`]).
//! 2. A slot's score is smoothed: `q ← (1 − α)q + α·metric`, at first the metric.
//! 3. Shares of those who submitted and are paid: `e^(q/t) / Σ e^(q/t)`, t the temperature: a small one pays the
//!    best only, a large one pays all alike. At t ≤ 0 those with the greatest q share equally, which
//!    is the limit.
//!
//! | input | result |
//! |---|---|
//! | no one, or no one proven | nothing paid, scores unchanged |
//! | one | gets everything |
//! | judged and not paid | its score moves, and the others share as if it were not there |
//! | all judged, nobody paid | nothing paid |
//! | all equal | equal shares, remainders to the lower slots |
//! | fewer submissions or smoothed scores than the other | the missing ones are empty |
//! | metrics at the ends of the range | saturate; no panic |

use crate::settlement::{Column, Settlement, shares_of};
use crate::synthesis::smooth;
use hallmark_fixed::Q64;

/// How a metric was checked, from weakest to strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A signed claim.
    Trusted,
    /// Re-executed at random.
    Audited,
    /// Replayed to the last byte.
    Exact,
    /// Proved in zero knowledge and verified by the chain.
    Proven,
}

/// The rules of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Weight of the new metric, α.
    pub rate: Q64,
    /// Temperature t, in the unit of the metric.
    pub temperature: Q64,
    /// The weakest level that counts.
    pub least_level: Level,
}

impl Default for Params {
    fn default() -> Params {
        Params {
            rate: Q64::from_ratio(1, 10),
            temperature: Q64::from_ratio(1, 10),
            least_level: Level::Proven,
        }
    }
}

/// A worker's metric, greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The value.
    pub metric: Q64,
    /// How it was checked.
    pub level: Level,
    /// Whether it can earn. One that cannot still moves the score: who is silent about a model that it
    /// opened is judged by that, and is not paid for its past.
    pub paid: bool,
}

/// What an epoch leaves to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Smoothed metric per slot; `None` before its first.
    pub smoothed: Vec<Option<Q64>>,
}

/// Settles an epoch; one entry of `submissions` per slot.
pub fn settle(
    params: &Params,
    state: &mut State,
    submissions: &[Option<Submission>],
) -> Settlement {
    let slots = submissions.len().max(state.smoothed.len());
    state.smoothed.resize(slots, None);
    let counted = |slot: usize| {
        let submission = submissions.get(slot).copied().flatten()?;
        (submission.level >= params.least_level).then_some(submission)
    };
    let counting: Vec<Option<Submission>> = (0..slots).map(counted).collect();
    let metrics: Vec<Option<Q64>> = counting.iter().map(|s| s.map(|s| s.metric)).collect();
    let mut present = vec![None; slots];
    for ((place, counted), smoothed) in present.iter_mut().zip(&counting).zip(&mut state.smoothed) {
        if let Some(Submission { metric, paid, .. }) = *counted {
            *smoothed = Some(smooth(smoothed.unwrap_or(metric), metric, params.rate));
            *place = smoothed.filter(|_| paid);
        }
    }
    let weights = softmax(&present, params.temperature);
    let plain = |values: &[Option<Q64>]| -> Vec<Q64> {
        values
            .iter()
            .map(|value| value.unwrap_or(Q64::ZERO))
            .collect()
    };
    Settlement {
        shares: shares_of(&weights),
        scores: plain(&state.smoothed),
        output: None,
        explanation: vec![
            Column::new("proven metric", plain(&metrics)),
            Column::new("smoothed metric", plain(&state.smoothed)),
            Column::new("share", weights),
        ],
    }
}

/// `e^(q/t) / Σ e^(q/t)` of those present, zero for the others.
pub fn softmax(scores: &[Option<Q64>], temperature: Q64) -> Vec<Q64> {
    let greatest = scores.iter().copied().flatten().max().unwrap_or(Q64::ZERO);
    let weight = |score: Q64| match (temperature > Q64::ZERO, score == greatest) {
        (_, true) => Q64::ONE,
        (true, false) => ((score - greatest) / temperature).exp(),
        (false, false) => Q64::ZERO,
    };
    let weights: Vec<Q64> = scores.iter().map(|s| s.map_or(Q64::ZERO, weight)).collect();
    let total: Q64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settlement::WHOLE;
    use proptest::prelude::*;

    fn q(text: &str) -> Q64 {
        text.parse().unwrap()
    }

    fn proven(metric: &str) -> Option<Submission> {
        Some(Submission {
            metric: q(metric),
            level: Level::Proven,
            paid: true,
        })
    }

    #[test]
    fn only_a_proof_counts() {
        let mut state = State::default();
        let better = |level| {
            Some(Submission {
                metric: q("0.99"),
                level,
                paid: true,
            })
        };
        let submissions = [
            proven("0.5"),
            better(Level::Exact),
            better(Level::Audited),
            better(Level::Trusted),
            None,
        ];
        let settlement = settle(&Params::default(), &mut state, &submissions);
        assert_eq!(settlement.shares, vec![WHOLE, 0, 0, 0, 0]);
        assert_eq!(state.smoothed[1..], [None, None, None, None]);
    }

    #[test]
    fn no_one_and_no_proof_pay_nothing_and_change_nothing() {
        let mut state = State {
            smoothed: vec![Some(q("0.5"))],
        };
        assert!(!settle(&Params::default(), &mut state, &[]).pays());
        assert!(!settle(&Params::default(), &mut state, &[None]).pays());
        assert_eq!(state.smoothed, vec![Some(q("0.5"))]);
        assert!(!settle(&Params::default(), &mut State::default(), &[]).pays());
    }

    #[test]
    fn equals_share_alike_and_the_lower_slot_gets_the_remainder() {
        let settlement = settle(
            &Params::default(),
            &mut State::default(),
            &[proven("0.3"), proven("0.3"), proven("0.3")],
        );
        assert_eq!(
            settlement.shares,
            vec![333_333_334, 333_333_333, 333_333_333]
        );
    }

    #[test]
    fn temperature_decides_between_the_best_only_and_all_alike() {
        let submissions = [proven("0.9"), proven("0.8")];
        let shares = |temperature: &str| {
            let params = Params {
                temperature: q(temperature),
                ..Params::default()
            };
            settle(&params, &mut State::default(), &submissions).shares
        };
        // 1 / (1 + e^-1) = 0.731058578630
        assert_eq!(shares("0.1"), vec![731_058_579, 268_941_421]);
        assert_eq!(shares("0"), vec![WHOLE, 0]);
        assert_eq!(shares("-1"), vec![WHOLE, 0]);
        assert_eq!(shares("1e-18"), vec![WHOLE, 0]);
        let alike = shares("1e12");
        assert!(alike[0] - alike[1] <= 1, "{alike:?}");
    }

    #[test]
    fn who_is_judged_and_not_paid_leaves_its_part_to_the_others() {
        let mut state = State {
            smoothed: vec![Some(q("0.9")), Some(q("0.5")), Some(q("0.5"))],
        };
        let silent = proven("0").map(|s| Submission { paid: false, ..s });
        let params = Params {
            temperature: q("0.001"),
            ..Params::default()
        };
        let submissions = [silent, proven("0.5"), proven("0.5")];
        let settlement = settle(&params, &mut state, &submissions);
        assert_eq!(settlement.shares, vec![0, WHOLE / 2, WHOLE / 2]);
        assert!((state.smoothed[0].unwrap() - q("0.81")).abs() < q("1e-18"));
        assert!(!settle(&params, &mut state, &[silent, None, None]).pays());
    }

    #[test]
    fn a_metric_is_smoothed_over_epochs() {
        let mut state = State::default();
        settle(&Params::default(), &mut state, &[proven("1")]);
        settle(&Params::default(), &mut state, &[proven("0")]);
        assert!((state.smoothed[0].unwrap() - q("0.9")).abs() < q("1e-18"));
    }

    proptest! {
        #[test]
        fn shares_sum_to_one_and_follow_the_scores(
            metrics in proptest::collection::vec(any::<i128>(), 1..20),
            temperature in any::<i128>(),
        ) {
            let params = Params { temperature: Q64::from_bits(temperature), ..Params::default() };
            let submissions: Vec<_> = metrics
                .iter()
                .map(|&bits| Some(Submission { metric: Q64::from_bits(bits), level: Level::Proven, paid: true }))
                .collect();
            let settlement = settle(&params, &mut State::default(), &submissions);
            prop_assert_eq!(settlement.shares.iter().sum::<u64>(), WHOLE);
            for (a, b) in (0..metrics.len()).flat_map(|a| (0..metrics.len()).map(move |b| (a, b))) {
                if metrics[a] > metrics[b] {
                    prop_assert!(settlement.shares[a] + 1 >= settlement.shares[b]);
                }
            }
        }
    }
}
