//! Interval arithmetic: the range of each operator's result from the ranges of its operands.
//!
//! All sums run in `i64` with checks. `None` always means that a result could reach
//! [`MAX_MAGNITUDE`] or that a bound is not met; nothing here panics on any argument.

use crate::{MAX_MAGNITUDE, MAX_WINDOW_BITS, Range, Table};

/// Sums of one column stay below this, so that no partial sum of its products leaves `i64`.
const MAX_PARTIAL: u64 = 1 << 61;

/// `2^(s-1)`, or 0 for `s = 0`: what rounds the shift to nearest, ties towards +∞.
#[must_use]
pub fn rounding(shift: u8) -> i64 {
    match shift.checked_sub(1) {
        None => 0,
        Some(exponent) => 1i64.checked_shl(u32::from(exponent)).unwrap_or(i64::MAX),
    }
}

/// `(v + 2^(s-1)) >> s`; `None` when the shift is wider than the machine's.
#[must_use]
pub fn quotient(v: i32, shift: u8) -> Option<i32> {
    let rounded = i64::from(v).checked_add(rounding(shift))?;
    i32::try_from(rounded.checked_shr(u32::from(shift))?).ok()
}

/// Narrows a computed interval to a range of values below [`MAX_MAGNITUDE`].
#[must_use]
pub fn narrow(lo: i64, hi: i64) -> Option<Range> {
    let limit = u64::from(MAX_MAGNITUDE.unsigned_abs());
    if lo > hi || lo.unsigned_abs() >= limit || hi.unsigned_abs() >= limit {
        return None;
    }
    Some(Range {
        lo: i32::try_from(lo).ok()?,
        hi: i32::try_from(hi).ok()?,
    })
}

/// Smallest range that holds all `values`; `None` for no value or one that is too large.
#[must_use]
pub fn of_values(values: &[i32]) -> Option<Range> {
    let lo = values.iter().min()?;
    let hi = values.iter().max()?;
    narrow(i64::from(*lo), i64::from(*hi))
}

/// Smallest range that holds `range` and 0.
#[must_use]
pub fn with_zero(range: Range) -> Range {
    Range {
        lo: range.lo.min(0),
        hi: range.hi.max(0),
    }
}

/// Ends of `x·y` for `x` and `y` in their ranges; products of `i32` fit `i64`.
fn products(a: Range, b: Range) -> (i64, i64) {
    let product = |x: i32, y: i32| i64::from(x).saturating_mul(i64::from(y));
    let corners = [
        product(a.lo, b.lo),
        product(a.lo, b.hi),
        product(a.hi, b.lo),
        product(a.hi, b.hi),
    ];
    corners
        .iter()
        .fold((i64::MAX, i64::MIN), |(lo, hi), &c| (lo.min(c), hi.max(c)))
}

/// Range of a product of two values.
#[must_use]
pub fn mul(a: Range, b: Range) -> Option<Range> {
    let (lo, hi) = products(a, b);
    narrow(lo, hi)
}

/// Range of a value times itself, which is never negative.
#[must_use]
pub fn square(a: Range) -> Option<Range> {
    let (lo, hi) = products(a, a);
    let least = if a.contains(0) {
        0
    } else {
        let near = i64::from(a.lo.unsigned_abs().min(a.hi.unsigned_abs()));
        near.saturating_mul(near)
    };
    narrow(lo.max(least), hi)
}

/// Range of a sum of `count` values of one range.
#[must_use]
pub fn sum(range: Range, count: usize) -> Option<Range> {
    let count = i64::try_from(count).ok()?;
    narrow(
        i64::from(range.lo).checked_mul(count)?,
        i64::from(range.hi).checked_mul(count)?,
    )
}

/// Range of a sum of `inner` products of two values that are no constants.
#[must_use]
pub fn matmul(a: Range, b: Range, inner: usize) -> Option<Range> {
    let (lo, hi) = products(a, b);
    let inner = i64::try_from(inner).ok()?;
    narrow(lo.checked_mul(inner)?, hi.checked_mul(inner)?)
}

/// Sums of the positive and of the negative factors of one column (or row) of a constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedSums {
    /// Sum of the positive factors.
    pub positive: i64,
    /// Sum of the negative factors, at most 0.
    pub negative: i64,
}

impl SignedSums {
    /// Adds a factor; saturates, and a saturated sum is refused by [`SignedSums::interval`].
    pub fn add(&mut self, factor: i32) {
        let factor = i64::from(factor);
        self.positive = self.positive.saturating_add(factor.max(0));
        self.negative = self.negative.saturating_add(factor.min(0));
    }

    /// Interval of `Σ_k w_k x_k` for every `x` in `operand`: `Σ max(w·lo, w·hi)` is
    /// `positive·hi + negative·lo`. `None` when a partial sum could leave `i64`.
    #[must_use]
    pub fn interval(&self, operand: Range) -> Option<(i64, i64)> {
        let part = |sum: i64, end: i32| {
            let product = sum.checked_mul(i64::from(end))?;
            (product.unsigned_abs() < MAX_PARTIAL).then_some(product)
        };
        let lo = part(self.positive, operand.lo)?.checked_add(part(self.negative, operand.hi)?)?;
        let hi = part(self.positive, operand.hi)?.checked_add(part(self.negative, operand.lo)?)?;
        Some((lo, hi))
    }
}

/// Sums of every column of a constant `[batch, inner, cols]`, in the order `[batch, cols]`: what
/// [`matmul_constant`] needs of a constant on the right. Empty when lengths are 0.
#[must_use]
pub fn column_sums(values: &[i32], inner: usize, cols: usize) -> Vec<SignedSums> {
    let (Some(block), true) = (inner.checked_mul(cols), inner > 0 && cols > 0) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for batch in values.chunks(block) {
        let mut sums = vec![SignedSums::default(); cols];
        for row in batch.chunks(cols) {
            for (sums, &w) in sums.iter_mut().zip(row) {
                sums.add(w);
            }
        }
        all.extend(sums);
    }
    all
}

/// Sums of every row of a constant `[batch, rows, inner]`: what [`matmul_constant`] needs of a
/// constant on the left. Empty when `inner` is 0.
#[must_use]
pub fn row_sums(values: &[i32], inner: usize) -> Vec<SignedSums> {
    if inner == 0 {
        return Vec::new();
    }
    let sums = |row: &[i32]| {
        row.iter().fold(SignedSums::default(), |mut sums, &w| {
            sums.add(w);
            sums
        })
    };
    values.chunks(inner).map(sums).collect()
}

/// Range of a product by a constant whose columns (or rows) have these sums.
#[must_use]
pub fn matmul_constant(operand: Range, sums: &[SignedSums]) -> Option<Range> {
    let mut total: Option<(i64, i64)> = None;
    for column in sums {
        let (lo, hi) = column.interval(operand)?;
        total = Some(match total {
            None => (lo, hi),
            Some((a, b)) => (a.min(lo), b.max(hi)),
        });
    }
    let (lo, hi) = total?;
    narrow(lo, hi)
}

/// Ends of `multiplier·v`.
#[must_use]
pub fn scaled(range: Range, multiplier: i32) -> (i64, i64) {
    let end = |v: i32| i64::from(v).saturating_mul(i64::from(multiplier));
    let (x, y) = (end(range.lo), end(range.hi));
    (x.min(y), x.max(y))
}

/// Range of `offset + Σ multiplier·v` by interval arithmetic alone. The graph's rule for `Combine`
/// is tighter where a value and its own rounded quotient meet, see [`remainder`].
#[must_use]
pub fn combine(terms: &[(Range, i32)], offset: i32) -> Option<Range> {
    let offset = i64::from(offset);
    let (mut lo, mut hi) = (offset, offset);
    for &(range, multiplier) in terms {
        let (a, b) = scaled(range, multiplier);
        lo = lo.checked_add(a)?;
        hi = hi.checked_add(b)?;
    }
    narrow(lo, hi)
}

/// Range of `x - 2^s·((x + 2^(s-1)) >> s)`: `[-2^(s-1), 2^(s-1) - 1]`, `[0, 0]` for `s = 0`.
#[must_use]
pub fn remainder(shift: u8) -> Option<Range> {
    let half = rounding(shift);
    narrow(half.checked_neg()?, half.saturating_sub(1).max(0))
}

/// Whether `|v| + 2^(s-1) < 2^(t-1+s)` for every `v` in `range`, with `t ≥ 1` and `t + s ≤ 30`.
#[must_use]
pub fn lookup_fits(range: Range, shift: u8, bits: u8) -> bool {
    let Some(window) = bits.checked_add(shift) else {
        return false;
    };
    if bits == 0 || window > MAX_WINDOW_BITS {
        return false;
    }
    let half_window = rounding(window);
    i64::from(range.magnitude()).saturating_add(rounding(shift)) < half_window
}

/// Smallest shift with which values in `range` fit a table of `bits` bits; `None` when none does.
#[must_use]
pub fn least_shift(range: Range, bits: u8) -> Option<u8> {
    (0..=MAX_WINDOW_BITS).find(|&shift| lookup_fits(range, shift, bits))
}

/// Range of `T[(v + 2^(s-1)) >> s]`; `None` when the bound of [`lookup_fits`] is not met.
///
/// A clamp is monotone, so the ends of the interval give the ends of the result; the range of an
/// explicit table is that of all its entries.
#[must_use]
pub fn lookup(range: Range, shift: u8, table: &Table) -> Option<Range> {
    if !lookup_fits(range, shift, table.bits()) {
        return None;
    }
    match *table {
        Table::Clamp { lo, hi, .. } => {
            let end = |v: i32| Some(i64::from(quotient(v, shift)?.min(hi).max(lo)));
            narrow(end(range.lo)?, end(range.hi)?)
        }
        Table::Explicit { lo, hi, .. } => narrow(i64::from(lo), i64::from(hi)),
    }
}

/// Range of `(v + 2^(s-1)) >> s`; `None` when the bound of [`lookup_fits`] is not met.
#[must_use]
pub fn shift(range: Range, shift: u8, bits: u8) -> Option<Range> {
    if !lookup_fits(range, shift, bits) {
        return None;
    }
    let end = |v: i32| quotient(v, shift).map(i64::from);
    narrow(end(range.lo)?, end(range.hi)?)
}

/// Whether the clamp changes no quotient of a value in `range`.
#[must_use]
pub fn clamp_is_idle(range: Range, shift: u8, lo: i32, hi: i32) -> bool {
    let end = |v: i32| quotient(v, shift);
    end(range.lo).is_some_and(|q| q >= lo) && end(range.hi).is_some_and(|q| q <= hi)
}
