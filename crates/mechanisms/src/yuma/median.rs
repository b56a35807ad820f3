//! The stake-weighted median of every column.

use super::matrix::{Matrix, normalise};
use hallmark_fixed::Q32;

/// Columns gathered at a time: with 256 validators the scores of a block fit the second cache.
const BLOCK: usize = 64;

/// Step 6: for each column the largest score such that the stake of strictly smaller scores is at
/// most `Σ stake − majority`, the smallest score if there is none, zero without stake.
///
/// Rows without stake take no part; a missing entry is a score of zero.
pub(super) fn weighted_medians(stake: &[Q32], scores: &Matrix, majority: Q32) -> Vec<Q32> {
    let voters: Vec<usize> = (0..scores.rows())
        .filter(|&row| stake.get(row).is_some_and(|&s| s > Q32::ZERO))
        .collect();
    let mut votes: Vec<Q32> = voters
        .iter()
        .filter_map(|&row| stake.get(row).copied())
        .collect();
    normalise(&mut votes);
    let minority = votes.iter().sum::<Q32>() - majority;

    let mut medians = Vec::with_capacity(scores.columns());
    let mut cursors = vec![0usize; voters.len()];
    let mut block = vec![Q32::ZERO; voters.len().saturating_mul(BLOCK)];
    let mut pairs = Vec::with_capacity(voters.len());
    for first in (0..scores.columns()).step_by(BLOCK) {
        let width = scores.columns().saturating_sub(first).min(BLOCK);
        gather(scores, &voters, &mut cursors, first, width, &mut block);
        for column in 0..width {
            pairs.clear();
            let column_scores = block.iter().skip(column).step_by(BLOCK).copied();
            pairs.extend(column_scores.zip(votes.iter().copied()));
            medians.push(weighted_median(&mut pairs, minority));
        }
    }
    medians
}

/// Writes the scores of columns `first..first + width` into `block`, a row of [`BLOCK`] per voter.
fn gather(
    scores: &Matrix,
    voters: &[usize],
    cursors: &mut [usize],
    first: usize,
    width: usize,
    block: &mut [Q32],
) {
    let rows = block.chunks_exact_mut(BLOCK);
    for ((&voter, cursor), row) in voters.iter().zip(cursors).zip(rows) {
        row.fill(Q32::ZERO);
        let (cols, values) = scores.row(voter);
        while let (Some(&column), Some(&value)) = (cols.get(*cursor), values.get(*cursor)) {
            let Some(cell) = usize::from(column)
                .checked_sub(first)
                .filter(|&c| c < width)
            else {
                break;
            };
            if let Some(place) = row.get_mut(cell) {
                *place = value;
            }
            *cursor = cursor.saturating_add(1);
        }
    }
}

/// The weighted median of `(score, stake)` pairs by partition around the middle element, which
/// makes the time linear on ordinary input and the result the same whatever the order.
fn weighted_median(mut pairs: &mut [(Q32, Q32)], minority: Q32) -> Q32 {
    let mut below = Q32::ZERO;
    loop {
        let Some(&(pivot, _)) = pairs.get(pairs.len() / 2) else {
            return Q32::ZERO;
        };
        if pairs.len() == 1 {
            return pivot;
        }
        let (smaller, equal, smaller_stake, equal_stake) = partition(pairs, pivot);
        let up_to = below + smaller_stake;
        if smaller > 0 && minority < up_to {
            pairs = pairs.get_mut(..smaller).unwrap_or_default();
        } else if smaller.saturating_add(equal) < pairs.len() && up_to + equal_stake <= minority {
            below = up_to + equal_stake;
            pairs = pairs
                .get_mut(smaller.saturating_add(equal)..)
                .unwrap_or_default();
        } else {
            return pivot;
        }
    }
}

/// Moves smaller scores to the front and equal ones behind them; their numbers and stakes.
fn partition(pairs: &mut [(Q32, Q32)], pivot: Q32) -> (usize, usize, Q32, Q32) {
    let (mut smaller, mut equal_end, mut larger) = (0usize, 0usize, pairs.len());
    let (mut smaller_stake, mut equal_stake) = (Q32::ZERO, Q32::ZERO);
    while equal_end < larger {
        let Some(&(score, stake)) = pairs.get(equal_end) else {
            break;
        };
        match score.cmp(&pivot) {
            core::cmp::Ordering::Less => {
                pairs.swap(smaller, equal_end);
                smaller = smaller.saturating_add(1);
                equal_end = equal_end.saturating_add(1);
                smaller_stake += stake;
            }
            core::cmp::Ordering::Equal => {
                equal_end = equal_end.saturating_add(1);
                equal_stake += stake;
            }
            core::cmp::Ordering::Greater => {
                larger = larger.saturating_sub(1);
                pairs.swap(equal_end, larger);
            }
        }
    }
    (
        smaller,
        equal_end.saturating_sub(smaller),
        smaller_stake,
        equal_stake,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, read literally.
    fn by_definition(pairs: &[(Q32, Q32)], minority: Q32) -> Q32 {
        let below = |x: Q32| pairs.iter().filter(|p| p.0 < x).map(|p| p.1).sum::<Q32>();
        let qualified = pairs
            .iter()
            .map(|p| p.0)
            .filter(|&x| below(x) <= minority)
            .max();
        qualified
            .or(pairs.iter().map(|p| p.0).min())
            .unwrap_or(Q32::ZERO)
    }

    proptest! {
        #[test]
        fn partitioning_finds_the_median_of_the_definition(
            pairs in proptest::collection::vec((0i64..6, 1i64..100), 0..40),
            minority in -50i64..2000,
        ) {
            let pairs: Vec<_> =
                pairs.into_iter().map(|(x, s)| (Q32::from_bits(x), Q32::from_bits(s))).collect();
            let minority = Q32::from_bits(minority);
            let mut shuffled = pairs.clone();
            prop_assert_eq!(weighted_median(&mut shuffled, minority), by_definition(&pairs, minority));
        }
    }
}
