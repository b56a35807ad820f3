//! What an epoch decides: who gets which part.

use hallmark_fixed::{Q32, Q64};

/// Shares are counted in parts of this: one billion.
pub const WHOLE: u64 = 1_000_000_000;

/// The result of one epoch of any mechanism.
///
/// Invariant, by construction in [`apportion`]: the shares sum to exactly [`WHOLE`], or all are
/// zero, and then nothing is paid and nothing is minted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Part of the payout per slot, in billionths.
    pub shares: Vec<u64>,
    /// Score per slot, in the mechanism's own unit.
    pub scores: Vec<Q64>,
    /// The numbers that the mechanism publishes, if it has any.
    pub output: Option<Output>,
    /// The columns of numbers, one per slot, from which the shares follow, in the order of
    /// the computation.
    pub explanation: Vec<Column>,
}

/// A number with its confidence interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The value.
    pub value: Q64,
    /// Percentiles 2.28, 15.87, 50, 84.13 and 97.72: the median, one and two standard deviations of
    /// a normal distribution around it.
    pub percentiles: [Q64; 5],
}

/// A named column of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What the numbers are.
    pub name: &'static str,
    /// One number per slot.
    pub values: Vec<Q64>,
}

impl Column {
    /// A column of Q64 numbers.
    pub fn new(name: &'static str, values: Vec<Q64>) -> Column {
        Column { name, values }
    }

    pub(crate) fn of_q32(name: &'static str, values: &[Q32]) -> Column {
        Column::new(name, values.iter().copied().map(Q64::from).collect())
    }
}

impl Settlement {
    /// Whether anything is paid.
    pub fn pays(&self) -> bool {
        self.shares.iter().any(|&share| share > 0)
    }

    /// The numbers that led to one slot's share, in the order of the computation; empty for a slot
    /// that does not exist.
    pub fn explain(&self, slot: usize) -> Vec<(&'static str, Q64)> {
        let columns = self.explanation.iter();
        columns
            .filter_map(|c| Some((c.name, *c.values.get(slot)?)))
            .collect()
    }
}

/// Splits `total` among `weights` in proportion, exactly: the parts sum to `total`, or all are zero
/// if every weight is zero (or there is none).
///
/// Each part is rounded down, and what is left goes to the largest remainders, one each, ties to
/// the lower index. Weights may be as large as `u128`; when their sum is above 2^96 all are shifted
/// right together first, which changes a part by less than 2^-60 of `total`.
pub fn apportion(weights: &[u128], total: u64) -> Vec<u64> {
    let scaled = shift_to_sum(weights, 96);
    let sum: u128 = scaled
        .iter()
        .fold(0, |sum, &weight| sum.saturating_add(weight));
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut left = total;
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    for (index, &weight) in scaled.iter().enumerate() {
        let (part, remainder) = muldiv(weight, total, sum);
        left = left.saturating_sub(part);
        parts.push(part);
        remainders.push((remainder, index));
    }
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in remainders
        .into_iter()
        .take(usize::try_from(left).unwrap_or(usize::MAX))
    {
        if let Some(part) = parts.get_mut(index) {
            *part = part.saturating_add(1);
        }
    }
    parts
}

/// `weight · total / sum` and the remainder, for `weight ≤ sum < 2^98`.
fn muldiv(weight: u128, total: u64, sum: u128) -> (u64, u128) {
    // Two 32-bit halves of `total` keep every product below 2^128 + carry-free.
    let (high, low) = (u128::from(total >> 32), u128::from(total & 0xffff_ffff));
    let divide = |n: u128| {
        (
            n.checked_div(sum).unwrap_or(0),
            n.checked_rem(sum).unwrap_or(0),
        )
    };
    if weight.leading_zeros() >= 64 {
        let (part, remainder) = divide(weight.saturating_mul(u128::from(total)));
        return (part as u64, remainder);
    }
    let (first, rest) = divide(weight.saturating_mul(high));
    // rest < sum < 2^96: shifting by 32 bits stays within 128.
    let (second, rest) = divide(rest << 32);
    let (third, rest2) = divide(weight.saturating_mul(low));
    let (carry, remainder) = divide(rest.saturating_add(rest2));
    let part = (first << 32)
        .saturating_add(second)
        .saturating_add(third)
        .saturating_add(carry);
    (part as u64, remainder)
}

/// Shifts all numbers right by the same amount so that their sum stays below `2^bits`.
pub(crate) fn shift_to_sum(values: &[u128], bits: u32) -> Vec<u128> {
    let largest = values.iter().copied().max().unwrap_or(0);
    let count = u128::BITS.saturating_sub((values.len() as u128).leading_zeros());
    let needed = u128::BITS
        .saturating_sub(largest.leading_zeros())
        .saturating_add(count);
    let shift = needed.saturating_sub(bits).min(127);
    values.iter().map(|value| value >> shift).collect()
}

/// Splits [`WHOLE`] among non-negative numbers; negative ones count as zero.
pub(crate) fn shares_of(weights: &[Q64]) -> Vec<u64> {
    let weights: Vec<u128> = weights
        .iter()
        .map(|w| u128::try_from(w.to_bits()).unwrap_or(0))
        .collect();
    apportion(&weights, WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_or_to_zero(
            weights in proptest::collection::vec((any::<u128>(), 0u32..128).prop_map(|(x, s)| x >> s), 0..40),
            total in any::<u64>(),
        ) {
            let parts = apportion(&weights, total);
            let sum: u128 = parts.iter().map(|&p| u128::from(p)).sum();
            let expected = if weights.iter().all(|&w| w == 0) { 0 } else { u128::from(total) };
            prop_assert_eq!(sum, expected);
        }

        #[test]
        fn parts_are_within_one_of_the_exact_share(
            weights in proptest::collection::vec(0u128..1 << 60, 1..20),
            total in 0u64..1 << 60,
        ) {
            let sum: u128 = weights.iter().sum();
            prop_assume!(sum > 0);
            for (weight, part) in weights.iter().zip(apportion(&weights, total)) {
                let floor = weight * u128::from(total) / sum;
                prop_assert!(u128::from(part) == floor || u128::from(part) == floor + 1);
            }
        }

        #[test]
        fn equal_weights_differ_by_at_most_one_unit(count in 1usize..200, weight in 1u128..1 << 90) {
            let parts = apportion(&vec![weight; count], WHOLE);
            let (low, high) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
            prop_assert!(high - low <= 1);
            // The lower index is served first.
            prop_assert!(parts.windows(2).all(|pair| pair[0] >= pair[1]));
        }
    }

    #[test]
    fn no_one_and_no_weight_get_nothing() {
        assert_eq!(apportion(&[], WHOLE), Vec::<u64>::new());
        assert_eq!(apportion(&[0, 0, 0], WHOLE), vec![0, 0, 0]);
        assert_eq!(apportion(&[1, 2], 0), vec![0, 0]);
    }

    #[test]
    fn the_largest_stakes_are_split_exactly() {
        let stake = 10u128.pow(27);
        assert_eq!(
            apportion(&[stake, stake, stake * 2], WHOLE),
            vec![250_000_000, 250_000_000, 500_000_000]
        );
        assert_eq!(
            apportion(&[u128::MAX, u128::MAX], WHOLE),
            vec![500_000_000, 500_000_000]
        );
        assert_eq!(apportion(&[u128::MAX, 1], WHOLE), vec![WHOLE, 0]);
        assert_eq!(apportion(&[u128::MAX, 0], u64::MAX), vec![u64::MAX, 0]);
    }
}
