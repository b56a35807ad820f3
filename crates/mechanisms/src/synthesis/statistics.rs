//! Weights from regrets, and the statistics under them.

use super::{Params, RegretScale};
use crate::settlement::shift_to_sum;
use hallmark_fixed::Q64;

/// `φ(x) = ln(1 + e^(p(x − c)))`.
pub fn potential(x: Q64, steepness: Q64, centre: Q64) -> Q64 {
    soft_plus(steepness * (x - centre))
}

/// `ln(1 + e^y)`, as `y + ln(1 + e^−y)` for positive y.
pub(super) fn soft_plus(y: Q64) -> Q64 {
    let tail = (Q64::ONE + (-y.abs()).exp()).ln().unwrap_or(Q64::ZERO);
    if y > Q64::ZERO { y + tail } else { tail }
}

/// `φ'(x) = p / (e^(p(c − x)) + 1)`.
pub fn gradient(x: Q64, steepness: Q64, centre: Q64) -> Q64 {
    steepness / ((steepness * (centre - x)).exp() + Q64::ONE)
}

/// A constant in hundredths over the steepness.
fn over_steepness(hundredths: u128, params: &Params) -> Q64 {
    Q64::from_ratio(hundredths, 100) / params.steepness
}

/// The weights of participants with these regrets; at least one is positive if there is anyone.
pub fn weights(regrets: &[Q64], params: &Params) -> Vec<Q64> {
    let scale = regret_scale(regrets, params);
    let (high, low, zero) = (
        params.centre + over_steepness(675, params),
        params.centre - over_steepness(825, params),
        params.centre - over_steepness(1725, params),
    );
    let mut scaled: Vec<Q64> = regrets.iter().map(|&r| (r / scale).min(high)).collect();
    let greatest = scaled.iter().copied().max().unwrap_or(low);
    if greatest < low {
        scaled.iter_mut().for_each(|r| *r = *r - greatest + low);
    }
    let weight = |&r: &Q64| {
        if r < zero {
            Q64::ZERO
        } else {
            gradient(r, params.steepness, params.centre)
        }
    };
    scaled.iter().map(weight).collect()
}

/// The scale of regrets with ε added.
pub fn regret_scale(regrets: &[Q64], params: &Params) -> Q64 {
    let spread = match params.regret_scale {
        RegretScale::Deviation => deviation(regrets),
        RegretScale::MedianDeviation => {
            let centre = median(regrets).unwrap_or(Q64::ZERO);
            Q64::from_ratio(14_826, 10_000) * median_deviation(regrets, centre)
        }
    };
    spread + params.epsilon
}

/// `Σ w·x / Σ w`; the plain mean if all weights are zero, `None` of nothing.
pub(super) fn weighted_mean(values: &[Q64], weights: &[Q64]) -> Option<Q64> {
    let total: Q64 = weights.iter().sum();
    if total == Q64::ZERO {
        return mean(values);
    }
    // Shares first: the products of values near the end of the range then cannot overflow.
    (!values.is_empty()).then(|| {
        values
            .iter()
            .zip(weights)
            .map(|(&x, &w)| x * (w / total))
            .sum()
    })
}

/// The mean, computed as offsets from the first value so that it cannot overflow needlessly.
pub(super) fn mean(values: &[Q64]) -> Option<Q64> {
    let count = Q64::from_int(i64::try_from(values.len()).ok()?);
    (!values.is_empty()).then(|| values.iter().map(|&x| x / count).sum())
}

/// The sample standard deviation (over n − 1); zero for fewer than two values.
pub(super) fn deviation(values: &[Q64]) -> Q64 {
    let Some(centre) = mean(values) else {
        return Q64::ZERO;
    };
    let count = Q64::from_int(i64::try_from(values.len()).unwrap_or(i64::MAX)) - Q64::ONE;
    let size = norm(values.iter().map(|&x| x - centre));
    size / count.sqrt().unwrap_or(Q64::ZERO)
}

/// `√Σ x²`.
///
/// The numbers are first multiplied by the power of two that brings the greatest between one and
/// two, so that squares of small numbers keep their digits and those of large ones do not overflow.
pub(super) fn norm(values: impl Iterator<Item = Q64> + Clone) -> Q64 {
    let greatest = values
        .clone()
        .map(|x| x.to_bits().unsigned_abs())
        .max()
        .unwrap_or(0);
    let bits = u128::BITS.saturating_sub(greatest.leading_zeros());
    let (left, right) = (65u32.saturating_sub(bits), bits.saturating_sub(65));
    let scaled = |x: Q64| Q64::from_bits((x.to_bits() << left) >> right);
    let squares: Q64 = values.map(|x| scaled(x) * scaled(x)).sum();
    let root = squares.sqrt().unwrap_or(Q64::ZERO).to_bits() >> left;
    let shifted = root << right;
    Q64::from_bits(if shifted >> right == root {
        shifted
    } else {
        i128::MAX
    })
}

/// The middle value, or the mean of the two middle ones; `None` of nothing.
pub fn median(values: &[Q64]) -> Option<Q64> {
    quantile(values, Q64::from_ratio(1, 2))
}

/// The median of the distances from `centre`; zero of nothing.
pub(super) fn median_deviation(values: &[Q64], centre: Q64) -> Q64 {
    let distances: Vec<Q64> = values.iter().map(|&x| (x - centre).abs()).collect();
    median(&distances).unwrap_or(Q64::ZERO)
}

/// The quantile `q` of the sorted values at position `q(n − 1)`, linear between; `None` of nothing.
pub(crate) fn quantile(values: &[Q64], q: Q64) -> Option<Q64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = Q64::from_int(i64::try_from(sorted.len().checked_sub(1)?).ok()?);
    let position = (q * last).clamp_to(Q64::ZERO, last);
    let index = usize::try_from(position.floor()).ok()?;
    let part = position - Q64::from_int(position.floor());
    let low = *sorted.get(index)?;
    let high = sorted.get(index.saturating_add(1)).copied().unwrap_or(low);
    Some(low + (high - low) * part)
}

/// The value with at most half of the stake on either side; the middle of two that both are so,
/// when exactly half of the stake lies on each side of the gap.
///
/// What has no stake does not count; `None` if nothing has. Whoever holds less than half of the
/// stake cannot move it out of the range of the other values: outside it, more than half would lie
/// on one side.
pub fn weighted_median(values: &[Q64], stakes: &[u128]) -> Option<Q64> {
    let mut pairs: Vec<(Q64, u128)> = values
        .iter()
        .copied()
        .zip(shift_to_sum(stakes, 127))
        .filter(|&(_, stake)| stake > 0)
        .collect();
    pairs.sort_unstable();
    let total = pairs
        .iter()
        .fold(0u128, |sum, &(_, stake)| sum.saturating_add(stake));
    let mut twice = 0u128;
    let mut pairs = pairs.into_iter();
    while let Some((value, stake)) = pairs.next() {
        twice = twice.saturating_add(stake).saturating_add(stake);
        if twice >= total {
            let above = pairs.next().filter(|_| twice == total);
            let above = above.map_or(value, |(above, _)| above);
            return Some(Q64::from_bits(value.to_bits().midpoint(above.to_bits())));
        }
    }
    None
}

/// The value below which `percent` of the weight lies.
///
/// A value stands at the middle of its own weight in the running total; values between are linear,
/// beyond the first and the last are those. `None` of nothing; without weight, of the median.
pub fn weighted_percentile(values: &[Q64], weights: &[Q64], percent: Q64) -> Option<Q64> {
    let mut pairs: Vec<(Q64, Q64)> = values
        .iter()
        .copied()
        .zip(weights.iter().copied())
        .collect();
    pairs.sort_unstable();
    let total: Q64 = weights.iter().sum();
    if total == Q64::ZERO {
        return median(values);
    }
    let target = percent / Q64::from_int(100);
    let half = Q64::from_ratio(1, 2);
    let mut before: Option<(Q64, Q64)> = None;
    let mut running = Q64::ZERO;
    for (value, weight) in pairs {
        running += weight;
        let position = (running - weight * half) / total;
        if target <= position {
            return Some(match before {
                Some((low, start)) if position > start => {
                    low + (target - start) / (position - start) * (value - low)
                }
                _ => value,
            });
        }
        before = Some((value, position));
    }
    before.map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm_of(texts: &[&str]) -> Q64 {
        let values: Vec<Q64> = texts.iter().map(|t| t.parse().unwrap()).collect();
        norm(values.iter().copied())
    }

    #[test]
    fn norms_keep_their_digits_at_every_size() {
        let step = Q64::from_bits(4);
        for (texts, expected) in [
            (&["3e-12", "-4e-12"][..], "5e-12"),
            (&["3", "4"], "5"),
            (&["0.03", "0.04", "0"], "0.05"),
            (&["-7e-19"], "7e-19"),
        ] {
            let expected: Q64 = expected.parse().unwrap();
            assert!((norm_of(texts) - expected).abs() <= step, "{texts:?}");
        }
        let large = norm_of(&["3e18", "4e18"]);
        assert!((large / "5e18".parse().unwrap() - Q64::ONE).abs() < "1e-15".parse().unwrap());
        assert_eq!(norm_of(&["9e18", "9e18"]), Q64::MAX);
        assert_eq!(norm([Q64::MIN, Q64::MIN].into_iter()), Q64::MAX);
        assert_eq!(norm_of(&["0", "0"]), Q64::ZERO);
        assert_eq!(norm_of(&[]), Q64::ZERO);
    }
}
