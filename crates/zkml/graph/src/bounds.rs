//! Interval arithmetic: the range of each operator's result from the ranges of its operands.
//!
//! All sums run in `i64` with checks. With at most `2^24` products below `2^36` no partial sum
//! of a `Linear` overflows; a product by the multiplier may, and is then reported as too large.

use crate::{LinearWeights, MAX_MAGNITUDE, MAX_WINDOW_BITS, Range, Table};

/// `2^(s-1)`, or 0 for `s = 0`: what rounds the shift to nearest, ties towards +∞.
#[must_use]
pub fn rounding(shift: u8) -> i64 {
    match shift.checked_sub(1) {
        None => 0,
        Some(exponent) => 1i64.checked_shl(u32::from(exponent)).unwrap_or(i64::MAX),
    }
}

/// Narrows a computed interval to a range of values below [`MAX_MAGNITUDE`].
#[must_use]
pub fn narrow(lo: i64, hi: i64) -> Option<Range> {
    let limit = i64::from(MAX_MAGNITUDE);
    let inside = |value: i64| value < limit && value.checked_neg().is_some_and(|n| n < limit);
    if lo > hi || !inside(lo) || !inside(hi) {
        return None;
    }
    Some(Range {
        lo: i32::try_from(lo).ok()?,
        hi: i32::try_from(hi).ok()?,
    })
}

/// Interval of the accumulator `Σ_k x_k w_kn + b_n` of every column, for `x` in `input`.
///
/// `None` when a sum leaves `i64`, or when the lengths do not fit `cols`.
#[must_use]
pub fn accumulators(input: Range, weights: &LinearWeights, cols: usize) -> Option<Vec<(i64, i64)>> {
    if weights.b.len() != cols || cols == 0 {
        return None;
    }
    let (lo, hi) = (i64::from(input.lo), i64::from(input.hi));
    let mut intervals: Vec<(i64, i64)> = weights
        .b
        .iter()
        .map(|&b| (i64::from(b), i64::from(b)))
        .collect();
    for row in weights.w.chunks(cols) {
        for (interval, &w) in intervals.iter_mut().zip(row) {
            let w = i64::from(w);
            let (at_lo, at_hi) = (w.checked_mul(lo)?, w.checked_mul(hi)?);
            interval.0 = interval.0.checked_add(at_lo.min(at_hi))?;
            interval.1 = interval.1.checked_add(at_lo.max(at_hi))?;
        }
    }
    Some(intervals)
}

/// Range of `M_n · (Σ_k x_k w_kn + b_n)` over all columns; `None` when it is too large.
#[must_use]
pub fn linear(input: Range, weights: &LinearWeights, cols: usize) -> Option<Range> {
    let mut total: Option<(i64, i64)> = None;
    for ((lo, hi), &m) in accumulators(input, weights, cols)?
        .into_iter()
        .zip(&weights.m)
    {
        let (lo, hi) = (lo.checked_mul(i64::from(m))?, hi.checked_mul(i64::from(m))?);
        total = Some(match total {
            None => (lo, hi),
            Some((a, b)) => (a.min(lo), b.max(hi)),
        });
    }
    let (lo, hi) = total?;
    narrow(lo, hi)
}

/// Range of `M_a·a + M_b·b`; `None` when it is too large.
#[must_use]
pub fn add(a: Range, multiplier_a: i32, b: Range, multiplier_b: i32) -> Option<Range> {
    let scaled = |range: Range, multiplier: i32| {
        let x = i64::from(range.lo).checked_mul(i64::from(multiplier))?;
        let y = i64::from(range.hi).checked_mul(i64::from(multiplier))?;
        Some((x.min(y), x.max(y)))
    };
    let (a_lo, a_hi) = scaled(a, multiplier_a)?;
    let (b_lo, b_hi) = scaled(b, multiplier_b)?;
    narrow(a_lo.checked_add(b_lo)?, a_hi.checked_add(b_hi)?)
}

/// Whether `|v| + 2^(s-1) < 2^(t-1+s)` for every `v` in `input`, and `t + s ≤ 30`.
#[must_use]
pub fn requant_fits(input: Range, shift: u8, bits: u8) -> bool {
    let Some(window) = bits.checked_add(shift) else {
        return false;
    };
    if bits == 0 || window > MAX_WINDOW_BITS {
        return false;
    }
    let half_window = 1i64
        .checked_shl(u32::from(window.saturating_sub(1)))
        .unwrap_or(0);
    let magnitude = i64::from(input.lo)
        .saturating_abs()
        .max(i64::from(input.hi).saturating_abs());
    magnitude.saturating_add(rounding(shift)) < half_window
}

/// Range of `T[(v + 2^(s-1)) >> s]`; `None` when the bound of [`requant_fits`] is not met.
#[must_use]
pub fn requant(input: Range, shift: u8, table: &Table) -> Option<Range> {
    if !requant_fits(input, shift, table.bits()) {
        return None;
    }
    let index = |v: i32| {
        let rounded = i64::from(v).checked_add(rounding(shift))?;
        i32::try_from(rounded.checked_shr(u32::from(shift))?).ok()
    };
    // Every table so far is monotone, so the ends of the interval give the ends of the result.
    match table {
        Table::Clamp { .. } => narrow(
            i64::from(table.apply(index(input.lo)?)),
            i64::from(table.apply(index(input.hi)?)),
        ),
    }
}
