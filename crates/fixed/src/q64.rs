//! Q64.64: 64 whole and 64 fractional bits.

use crate::wide::{divide, multiply, multiply_round, multiply_shift, square_root};
use core::iter::Sum;
use core::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// A number with 64 fractional bits in an `i128`: −2^63 ≤ x < 2^63, step 2^-64.
///
/// The operators `+ − · /` saturate; products and quotients are rounded to nearest, ties away from
/// zero; `x / 0 = 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Q64(pub(crate) i128);

impl Q64 {
    /// 0.
    pub const ZERO: Q64 = Q64(0);
    /// 1.
    pub const ONE: Q64 = Q64(1 << 64);
    /// The smallest positive number, 2^-64.
    pub const EPSILON: Q64 = Q64(1);
    /// The greatest number, 2^63 − 2^-64.
    pub const MAX: Q64 = Q64(i128::MAX);
    /// The least number, −2^63.
    pub const MIN: Q64 = Q64(i128::MIN);

    /// The number `bits · 2^-64`.
    #[inline]
    pub const fn from_bits(bits: i128) -> Q64 {
        Q64(bits)
    }

    /// `self · 2^64`.
    #[inline]
    pub const fn to_bits(self) -> i128 {
        self.0
    }

    /// A whole number; every `i64` fits.
    #[inline]
    pub const fn from_int(value: i64) -> Q64 {
        Q64((value as i128) << 64)
    }

    /// `numerator / denominator`, rounded to nearest, saturating; zero if `denominator` is zero.
    ///
    /// Both may be as large as 128 bits: stakes of 10^27 units become shares without loss.
    pub fn from_ratio(numerator: u128, denominator: u128) -> Q64 {
        signed(quotient(numerator, denominator), false).unwrap_or(Q64::ZERO)
    }

    /// The whole part, rounded down.
    #[inline]
    pub const fn floor(self) -> i64 {
        (self.0 >> 64) as i64
    }

    /// The sum, or `None` if it leaves the range.
    #[inline]
    pub fn checked_add(self, other: Q64) -> Option<Q64> {
        self.0.checked_add(other.0).map(Q64)
    }

    /// The difference, or `None` if it leaves the range.
    #[inline]
    pub fn checked_sub(self, other: Q64) -> Option<Q64> {
        self.0.checked_sub(other.0).map(Q64)
    }

    /// The product rounded to nearest, or `None` if it leaves the range.
    #[inline]
    pub fn checked_mul(self, other: Q64) -> Option<Q64> {
        let size = multiply_round(self.0.unsigned_abs(), other.0.unsigned_abs(), 64)?;
        exact(size, (self.0 < 0) != (other.0 < 0))
    }

    /// The quotient rounded to nearest; `None` if it leaves the range or `other` is zero.
    #[inline]
    pub fn checked_div(self, other: Q64) -> Option<Q64> {
        let Quotient::Value(size) = quotient(self.0.unsigned_abs(), other.0.unsigned_abs()) else {
            return None;
        };
        exact(size, (self.0 < 0) != (other.0 < 0))
    }

    /// The magnitude, saturating (`|MIN| = MAX`).
    #[inline]
    pub const fn abs(self) -> Q64 {
        Q64(self.0.saturating_abs())
    }

    /// `self` held within `low..=high`; `low` if the bounds are crossed.
    #[inline]
    pub fn clamp_to(self, low: Q64, high: Q64) -> Q64 {
        self.min(high).max(low)
    }

    /// `floor(self · amount)`, saturating; zero for a negative number.
    ///
    /// For amounts of money, which may exceed the range of [`Q64`].
    pub fn part_of(self, amount: u128) -> u128 {
        match u128::try_from(self.0) {
            Ok(bits) => multiply_shift(bits, amount, 64).unwrap_or(u128::MAX),
            Err(_) => 0,
        }
    }

    /// `floor(√(a · b))`; amounts of 2^126 and more count as 2^126 − 1.
    pub fn geometric_mean(a: u128, b: u128) -> u128 {
        const LIMIT: u128 = (1 << 126) - 1;
        let (high, low) = multiply(a.min(LIMIT), b.min(LIMIT));
        square_root(high, low)
    }

    /// The square root rounded down to a multiple of 2^-64; `None` for a negative number.
    pub fn sqrt(self) -> Option<Q64> {
        let bits = u128::try_from(self.0).ok()?;
        // √(bits / 2^64) · 2^64 = √(bits · 2^64), below 2^96.
        Some(Q64(square_root(bits >> 64, bits << 64) as i128))
    }
}

enum Quotient {
    ByZero,
    Overflow,
    Value(u128),
}

/// `a · 2^64 / b` rounded to nearest, halves up.
#[inline]
fn quotient(a: u128, b: u128) -> Quotient {
    if b == 0 {
        return Quotient::ByZero;
    }
    let (low, carry) = (a << 64).overflowing_add(b >> 1);
    match divide((a >> 64).wrapping_add(u128::from(carry)), low, b) {
        Some(value) => Quotient::Value(value),
        None => Quotient::Overflow,
    }
}

#[inline]
fn exact(size: u128, negative: bool) -> Option<Q64> {
    if negative {
        0i128.checked_sub_unsigned(size).map(Q64)
    } else {
        i128::try_from(size).ok().map(Q64)
    }
}

#[inline]
fn signed(size: Quotient, negative: bool) -> Option<Q64> {
    let end = if negative { Q64::MIN } else { Q64::MAX };
    match size {
        Quotient::ByZero => None,
        Quotient::Overflow => Some(end),
        Quotient::Value(size) => Some(exact(size, negative).unwrap_or(end)),
    }
}

impl Add for Q64 {
    type Output = Q64;
    #[inline]
    fn add(self, other: Q64) -> Q64 {
        Q64(self.0.saturating_add(other.0))
    }
}

impl Sub for Q64 {
    type Output = Q64;
    #[inline]
    fn sub(self, other: Q64) -> Q64 {
        Q64(self.0.saturating_sub(other.0))
    }
}

impl Mul for Q64 {
    type Output = Q64;
    #[inline]
    fn mul(self, other: Q64) -> Q64 {
        let negative = (self.0 < 0) != (other.0 < 0);
        let end = if negative { Q64::MIN } else { Q64::MAX };
        multiply_round(self.0.unsigned_abs(), other.0.unsigned_abs(), 64)
            .and_then(|size| exact(size, negative))
            .unwrap_or(end)
    }
}

impl Div for Q64 {
    type Output = Q64;
    #[inline]
    fn div(self, other: Q64) -> Q64 {
        let size = quotient(self.0.unsigned_abs(), other.0.unsigned_abs());
        signed(size, (self.0 < 0) != (other.0 < 0)).unwrap_or(Q64::ZERO)
    }
}

impl Neg for Q64 {
    type Output = Q64;
    #[inline]
    fn neg(self) -> Q64 {
        Q64(self.0.saturating_neg())
    }
}

impl AddAssign for Q64 {
    #[inline]
    fn add_assign(&mut self, other: Q64) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl SubAssign for Q64 {
    #[inline]
    fn sub_assign(&mut self, other: Q64) {
        self.0 = self.0.saturating_sub(other.0);
    }
}

impl Sum for Q64 {
    /// From left to right, saturating at each step.
    fn sum<I: Iterator<Item = Q64>>(items: I) -> Q64 {
        items.fold(Q64::ZERO, |total, item| Q64(total.0.saturating_add(item.0)))
    }
}

impl<'a> Sum<&'a Q64> for Q64 {
    fn sum<I: Iterator<Item = &'a Q64>>(items: I) -> Q64 {
        items.copied().sum()
    }
}
