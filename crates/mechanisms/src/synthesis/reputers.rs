//! The reputers' consensus and how much each is listened to.

use super::Params;
use super::statistics::{norm, weighted_mean};
use hallmark_fixed::Q64;

/// Where the listening coefficients came to rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// The coefficients for the next epoch.
    pub coefficients: Vec<Q64>,
    /// Adjusted stakes at the start of the last step.
    pub adjusted_stakes: Vec<Q64>,
    /// Scores at the start of the last step.
    pub scores: Vec<Q64>,
}

/// `min(N·a·S / Σ a·S, 1)`.
fn adjusted_stakes(coefficients: &[Q64], stakes: &[Q64]) -> Vec<Q64> {
    let heard: Vec<Q64> = coefficients
        .iter()
        .zip(stakes)
        .map(|(&a, &s)| a * s)
        .collect();
    let total: Q64 = heard.iter().sum();
    let count = Q64::from_int(i64::try_from(stakes.len()).unwrap_or(i64::MAX));
    heard
        .iter()
        .map(|&h| (count * (h / total)).min(Q64::ONE))
        .collect()
}

/// Scores by the distance of each reputer's losses from their mean.
fn scores(losses: &[Vec<Q64>], weights: &[Q64], epsilon: Q64) -> Vec<Q64> {
    let total: Q64 = weights.iter().sum();
    let shares: Vec<Q64> = weights.iter().map(|&w| w / total).collect();
    let elements = losses.first().map_or(0, Vec::len);
    let mut consensus = vec![Q64::ZERO; elements];
    if total == Q64::ZERO {
        for (index, place) in consensus.iter_mut().enumerate() {
            let column: Vec<Q64> = losses
                .iter()
                .filter_map(|row| row.get(index).copied())
                .collect();
            *place = weighted_mean(&column, &[]).unwrap_or(Q64::ZERO);
        }
    } else {
        for (row, &share) in losses.iter().zip(&shares) {
            for (place, &loss) in consensus.iter_mut().zip(row) {
                *place += share * loss;
            }
        }
    }
    scores_by(&consensus, losses, epsilon)
}

/// Scores by the distance of each reputer's losses from the consensus.
pub(super) fn scores_by(consensus: &[Q64], losses: &[Vec<Q64>], epsilon: Q64) -> Vec<Q64> {
    let size = norm(consensus.iter().copied());
    let score = |row: &Vec<Q64>| {
        let offsets = row
            .iter()
            .zip(consensus)
            .map(|(&loss, &of_all)| loss - of_all);
        Q64::ONE / (norm(offsets) / size + epsilon)
    };
    losses.iter().map(score).collect()
}

/// Moves the listening coefficients so that the stake-weighted sum of scores grows: the rule of
/// [`Consensus::Mean`](super::Consensus::Mean), for a median is not moved by small steps.
///
/// One row of `losses`, one entry of `stakes` (in any unit) and of `coefficients` per reputer; rows
/// of equal length. Cost: per step one pass over all losses per reputer and one more.
pub fn listen(
    params: &Params,
    losses: &[Vec<Q64>],
    stakes: &[Q64],
    coefficients: &[Q64],
) -> Listening {
    let value = |scores: &[Q64]| -> Q64 { scores.iter().zip(stakes).map(|(&t, &s)| t * s).sum() };
    let score = |a: &[Q64]| scores(losses, &adjusted_stakes(a, stakes), params.reputer_epsilon);
    let all_stake: Q64 = stakes.iter().sum();
    let heard =
        |a: &[Q64]| -> Q64 { a.iter().zip(stakes).map(|(&a, &s)| a * s).sum::<Q64>() / all_stake };
    let mut result = Listening {
        coefficients: coefficients.to_vec(),
        adjusted_stakes: adjusted_stakes(coefficients, stakes),
        scores: score(coefficients),
    };
    for step in 0..params.learning_steps {
        let old = result.coefficients.clone();
        if step > 0 {
            result.adjusted_stakes = adjusted_stakes(&old, stakes);
            result.scores = score(&old);
        }
        let now = value(&result.scores);
        let mut new: Vec<Q64> = (0..old.len())
            .filter_map(|l| {
                let mut moved = old.clone();
                let place = moved.get_mut(l)?;
                let small = Q64::from_ratio(1, 1000);
                let change = if *place == Q64::ONE { -small } else { small };
                let start = *place;
                *place += change;
                let slope = (Q64::ONE - now / value(&score(&moved))) / change;
                Some((start + params.learning_rate * slope).clamp_to(Q64::ZERO, Q64::ONE))
            })
            .collect();
        let (before, after) = (heard(&old), heard(&new));
        if after < params.min_stake_fraction {
            let part = (params.min_stake_fraction - before) / (after - before);
            for (new, &old) in new.iter_mut().zip(&old) {
                *new = old + (*new - old) * part;
            }
        }
        let change = new
            .iter()
            .zip(&old)
            .map(|(&n, &o)| (n - o).abs())
            .max()
            .unwrap_or(Q64::ZERO);
        result.coefficients = new;
        if change / params.learning_rate < params.learning_threshold {
            break;
        }
    }
    result
}
