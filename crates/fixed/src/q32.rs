//! Q32.32 with the truncation of `I32F32`.
//!
//! Sources of the rounding: Yuma's reference numbers come from `substrate-fixed`'s `I32F32`, whose
//! product is `(a · b) >> 32` (floor), whose quotient is `(a << 32) / b` (toward zero), and whose
//! exponential is a truncated Taylor sum. [`Q32::exp`] repeats that sum term by term.

use crate::q64::Q64;
use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A number with 32 fractional bits in an `i64`: −2^31 ≤ x < 2^31, step 2^-32.
///
/// The operators `+ − · /` saturate; products are rounded down, quotients toward zero; `x / 0 = 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Q32(i64);

impl Q32 {
    /// 0.
    pub const ZERO: Q32 = Q32(0);
    /// 1.
    pub const ONE: Q32 = Q32(1 << 32);
    /// The smallest positive number, 2^-32.
    pub const EPSILON: Q32 = Q32(1);
    /// The greatest number, 2^31 − 2^-32.
    pub const MAX: Q32 = Q32(i64::MAX);
    /// The least number, −2^31.
    pub const MIN: Q32 = Q32(i64::MIN);

    /// The number `bits · 2^-32`.
    #[inline]
    pub const fn from_bits(bits: i64) -> Q32 {
        Q32(bits)
    }

    /// `self · 2^32`.
    #[inline]
    pub const fn to_bits(self) -> i64 {
        self.0
    }

    /// A whole number, saturating outside ±2^31.
    #[inline]
    pub const fn from_int(value: i64) -> Q32 {
        match value {
            -0x8000_0000..=0x7fff_ffff => Q32(value << 32),
            ..=-0x8000_0001 => Q32::MIN,
            _ => Q32::MAX,
        }
    }

    /// `part / 65,535`, truncated: a proportion stored in 16 bits.
    #[inline]
    pub fn from_u16_proportion(part: u16) -> Q32 {
        Q32((i64::from(part) << 32).checked_div(0xffff).unwrap_or(0))
    }

    /// `floor(self · 65,535)` within `0..=65,535`: the 16-bit form of a proportion.
    #[inline]
    pub fn to_u16_proportion(self) -> u16 {
        let whole = self.wide_product(Q32::from_int(0xffff)) >> 32;
        whole.clamp(0, 0xffff) as u16
    }

    /// The sum, or `None` if it leaves the range.
    #[inline]
    pub fn checked_add(self, other: Q32) -> Option<Q32> {
        self.0.checked_add(other.0).map(Q32)
    }

    /// The difference, or `None` if it leaves the range.
    #[inline]
    pub fn checked_sub(self, other: Q32) -> Option<Q32> {
        self.0.checked_sub(other.0).map(Q32)
    }

    /// The product rounded down, or `None` if it leaves the range.
    #[inline]
    pub fn checked_mul(self, other: Q32) -> Option<Q32> {
        i64::try_from(self.wide_product(other)).ok().map(Q32)
    }

    /// The quotient rounded toward zero; `None` if it leaves the range or `other` is zero.
    #[inline]
    pub fn checked_div(self, other: Q32) -> Option<Q32> {
        i64::try_from(self.wide_quotient(other)?).ok().map(Q32)
    }

    #[inline]
    fn wide_product(self, other: Q32) -> i128 {
        i128::from(self.0).wrapping_mul(i128::from(other.0)) >> 32
    }

    #[inline]
    fn wide_quotient(self, other: Q32) -> Option<i128> {
        (i128::from(self.0) << 32).checked_div(i128::from(other.0))
    }

    /// e^x by the Taylor sum that the reference arithmetic uses: terms 1 to 31 of the series of
    /// |x|, each `term · |x|` rounded down and then divided by its index rounded down, and the
    /// truncated reciprocal for x < 0. The argument is first held to −20..=20.
    ///
    /// Not correctly rounded, on purpose: bit-equal to its source. For x = 1 the source returns
    /// a constant of 23 fractional bits. At |x| = 20, where 31 terms are too few, the sum falls
    /// short by 0.8 %; below |x| = 5 it is within 2^-23 of e^x.
    #[inline]
    pub fn exp(self) -> Q32 {
        Q32::exp_lanes([self])[0]
    }

    /// [`Q32::exp`] of several numbers at once, which hides the latency of the long product chain.
    #[inline]
    pub fn exp_lanes<const N: usize>(x: [Q32; N]) -> [Q32; N] {
        const LIMIT: i64 = 20 << 32;
        /// e with 23 fractional bits, as the source keeps it.
        const E_23: i64 = 22_802_600 << 9;
        let held = x.map(|x| x.0.clamp(-LIMIT, LIMIT));
        let size = held.map(i64::unsigned_abs);
        // Terms stay below 20^20 / 20! < 2^26 and the sum below e^20 < 2^29: no overflow.
        let mut term = size;
        let mut sum = size.map(|s| s.wrapping_add(1 << 32));
        macro_rules! terms {
            ($($k:literal)*) => { $(
                for lane in 0..N {
                    let product = u128::from(term[lane]).wrapping_mul(u128::from(size[lane]));
                    term[lane] = (product >> 32) as u64 / $k;
                    sum[lane] = sum[lane].wrapping_add(term[lane]);
                }
            )* };
        }
        terms!(2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
        let mut result = [Q32::ZERO; N];
        for lane in 0..N {
            result[lane] = match held[lane] {
                0 => Q32::ONE,
                0x1_0000_0000 => Q32(E_23),
                negative if negative < 0 => reciprocal(sum[lane]),
                _ => Q32(sum[lane] as i64),
            };
        }
        result
    }
}

/// `floor(2^64 / bits)` for `1 < bits`: it is `floor((2^64 − 1) / bits)` unless `bits` divides 2^64.
#[inline]
fn reciprocal(bits: u64) -> Q32 {
    let floor = u64::MAX.checked_div(bits).unwrap_or(0);
    let exact = floor.saturating_add(u64::from(bits.is_power_of_two()));
    Q32(i64::try_from(exact).unwrap_or(i64::MAX))
}

#[inline]
fn saturate(wide: i128) -> Q32 {
    Q32(i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX }))
}

impl Add for Q32 {
    type Output = Q32;
    #[inline]
    fn add(self, other: Q32) -> Q32 {
        Q32(self.0.saturating_add(other.0))
    }
}

impl Sub for Q32 {
    type Output = Q32;
    #[inline]
    fn sub(self, other: Q32) -> Q32 {
        Q32(self.0.saturating_sub(other.0))
    }
}

impl Mul for Q32 {
    type Output = Q32;
    #[inline]
    fn mul(self, other: Q32) -> Q32 {
        saturate(self.wide_product(other))
    }
}

impl Div for Q32 {
    type Output = Q32;
    #[inline]
    fn div(self, other: Q32) -> Q32 {
        // A proportion over a positive number, the common case, needs 64 bits only.
        if (0..1 << 32).contains(&self.0) && other.0 > 0 {
            let quotient = ((self.0 as u64) << 32).checked_div(other.0 as u64);
            return Q32(quotient.map_or(0, |q| i64::try_from(q).unwrap_or(i64::MAX)));
        }
        if self == Q32::ONE && other.0 > 1 {
            return reciprocal(other.0 as u64);
        }
        self.wide_quotient(other).map_or(Q32::ZERO, saturate)
    }
}

impl Neg for Q32 {
    type Output = Q32;
    #[inline]
    fn neg(self) -> Q32 {
        Q32(self.0.saturating_neg())
    }
}

impl AddAssign for Q32 {
    #[inline]
    fn add_assign(&mut self, other: Q32) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl Sum for Q32 {
    /// From left to right, saturating at each step.
    fn sum<I: Iterator<Item = Q32>>(items: I) -> Q32 {
        items.fold(Q32::ZERO, |total, item| Q32(total.0.saturating_add(item.0)))
    }
}

impl<'a> Sum<&'a Q32> for Q32 {
    fn sum<I: Iterator<Item = &'a Q32>>(items: I) -> Q32 {
        items.copied().sum()
    }
}

impl From<Q32> for Q64 {
    fn from(value: Q32) -> Q64 {
        Q64::from_bits(i128::from(value.0) << 32)
    }
}

impl fmt::Display for Q32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Q64::from(*self), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = Q32> {
        (any::<i64>(), 0u32..64).prop_map(|(x, s)| Q32(x >> s))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn products_round_down_and_saturate(a in number(), b in number()) {
            let exact = (i128::from(a.0) * i128::from(b.0)).div_euclid(1 << 32);
            let held = exact.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
            prop_assert_eq!((a * b).0, held);
            prop_assert_eq!(a.checked_mul(b), (exact == i128::from(held)).then_some(Q32(held)));
        }

        #[test]
        fn quotients_round_toward_zero_and_saturate(a in number(), b in number()) {
            prop_assume!(b.0 != 0);
            let exact = (i128::from(a.0) << 32) / i128::from(b.0);
            let held = exact.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
            prop_assert_eq!((a / b).0, held);
            prop_assert_eq!(a.checked_div(b), (exact == i128::from(held)).then_some(Q32(held)));
        }

        #[test]
        fn sums_and_differences_saturate(a in number(), b in number()) {
            prop_assert_eq!((a + b).0, a.0.saturating_add(b.0));
            prop_assert_eq!((a - b).0, a.0.saturating_sub(b.0));
            prop_assert_eq!(a.checked_add(b).map(|x| x.0), a.0.checked_add(b.0));
            prop_assert_eq!(a.checked_sub(b).map(|x| x.0), a.0.checked_sub(b.0));
        }

        #[test]
        fn lanes_equal_single_exponentials(a in number(), b in number(), c in number()) {
            prop_assert_eq!(Q32::exp_lanes([a, b, c]), [a.exp(), b.exp(), c.exp()]);
        }

        #[test]
        fn exponential_never_falls_outside_one(a in -20i64 << 32..20 << 32, step in 0i64..1 << 30) {
            // The constant at exactly one breaks monotony by design of the source.
            let (low, high) = (Q32(a), Q32(a + step));
            prop_assume!(low != Q32::ONE && high != Q32::ONE);
            prop_assert!(low.exp() <= high.exp());
        }

        #[test]
        fn exponential_is_close_below_five(a in -5i64 << 32..5 << 32) {
            let x = Q32(a);
            let exact = Q64::from(x).exp().to_bits() >> 32;
            prop_assert!((i128::from(x.exp().0) - exact).abs() < 1 << 9, "{x}");
        }

        #[test]
        fn sixteen_bit_proportions_lose_at_most_one(part in any::<u16>()) {
            let back = Q32::from_u16_proportion(part).to_u16_proportion();
            prop_assert!(back == part || back + 1 == part);
        }
    }

    #[test]
    fn reciprocals_are_exact_floors() {
        for bits in [
            1i64,
            2,
            3,
            1 << 32,
            (1 << 32) + 1,
            (1 << 32) - 1,
            1 << 62,
            i64::MAX,
        ] {
            let exact = i64::try_from((1u128 << 64) / bits as u128).unwrap_or(i64::MAX);
            assert_eq!((Q32::ONE / Q32(bits)).0, exact, "{bits}");
        }
    }

    /// Values computed by hand from the definition.
    #[test]
    fn a_quotient_and_a_product_truncate_as_the_source_does() {
        assert_eq!((Q32::ONE / Q32::from_int(3)).to_bits(), 1_431_655_765);
        assert_eq!(
            (Q32::from_int(-1) / Q32::from_int(3)).to_bits(),
            -1_431_655_765
        );
        assert_eq!((Q32::from_bits(-1) * Q32::from_bits(1)).to_bits(), -1);
        assert_eq!((Q32::from_bits(1) * Q32::from_bits(1)).to_bits(), 0);
        assert_eq!(Q32::from_u16_proportion(32_767).to_bits(), 2_147_450_879);
    }

    #[test]
    fn division_by_zero_is_zero() {
        for x in [Q32::ZERO, Q32::ONE, Q32::MAX, Q32::MIN, Q32::from_bits(-5)] {
            assert_eq!(x / Q32::ZERO, Q32::ZERO);
            assert_eq!(x.checked_div(Q32::ZERO), None);
        }
    }

    #[test]
    fn the_ends_of_the_range_saturate() {
        assert_eq!(-Q32::MIN, Q32::MAX);
        assert_eq!(Q32::MIN / Q32::from_int(-1), Q32::MAX);
        assert_eq!(Q32::MAX * Q32::MIN, Q32::MIN);
        assert_eq!(Q32::from_int(i64::MAX), Q32::MAX);
        assert_eq!(Q32::from_int(i64::MIN), Q32::MIN);
        assert_eq!(Q32::from_int(0x7fff_ffff).to_bits(), 0x7fff_ffff << 32);
        assert_eq!(Q32::MAX.to_u16_proportion(), 65_535);
        assert_eq!(Q32::MIN.to_u16_proportion(), 0);
        assert_eq!(Q32::MAX.exp(), Q32::from_int(20).exp());
        assert_eq!(Q32::MIN.exp(), Q32::from_int(-20).exp());
    }

    #[test]
    fn e_keeps_the_23_bits_of_the_source() {
        assert_eq!(Q32::ONE.exp().to_bits() % 512, 0);
        assert_eq!(Q32::ONE.exp().to_bits() >> 9, 22_802_600);
        assert_eq!(Q32::ZERO.exp(), Q32::ONE);
    }
}
