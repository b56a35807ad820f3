//! 256-bit products and quotients of 128-bit numbers.
//!
//! Every operation here is exact and in range by the bound stated at the function, so plain
//! operators are used.
#![allow(clippy::arithmetic_side_effects)]

const LOW: u128 = u64::MAX as u128;

/// `a · b` as `(high, low)` halves of 256 bits.
#[inline]
pub(crate) fn multiply(a: u128, b: u128) -> (u128, u128) {
    let (a1, a0) = (a >> 64, a & LOW);
    let (b1, b0) = (b >> 64, b & LOW);
    let low = a0 * b0;
    let mid = a1 * b0 + (low >> 64);
    let (mid1, mid0) = (mid >> 64, mid & LOW);
    let mid0 = a0 * b1 + mid0;
    (a1 * b1 + mid1 + (mid0 >> 64), (mid0 << 64) | (low & LOW))
}

/// `floor(a · b / 2^shift)` for `shift` in `1..=255`; `None` if it does not fit in 128 bits.
#[inline]
pub(crate) fn multiply_shift(a: u128, b: u128, shift: u32) -> Option<u128> {
    let (high, low) = multiply(a, b);
    if shift >= 128 {
        return Some(if shift == 128 {
            high
        } else {
            high >> (shift - 128)
        });
    }
    (high >> shift == 0).then(|| (high << (128 - shift)) | (low >> shift))
}

/// `a · b / 2^shift` rounded to nearest, halves up, for `shift` in `1..=255`; `None` if it does not
/// fit in 128 bits.
#[inline]
pub(crate) fn multiply_round(a: u128, b: u128, shift: u32) -> Option<u128> {
    let (high, low) = multiply(a, b);
    let (high, low) = if shift > 128 {
        (high.checked_add(1 << (shift - 129))?, low)
    } else {
        let (low, carry) = low.overflowing_add(1 << (shift - 1));
        (high.checked_add(u128::from(carry))?, low)
    };
    if shift >= 128 {
        return Some(if shift == 128 {
            high
        } else {
            high >> (shift - 128)
        });
    }
    (high >> shift == 0).then(|| (high << (128 - shift)) | (low >> shift))
}

/// A number of 256 bits as `(high, low)` halves.
pub(crate) type Wide = (u128, u128);

/// `a + b`, of which the sum must fit.
#[inline]
pub(crate) fn add(a: Wide, b: Wide) -> Wide {
    let (low, carry) = a.1.overflowing_add(b.1);
    (a.0 + b.0 + u128::from(carry), low)
}

/// `a − b` for `a ≥ b`.
#[inline]
pub(crate) fn subtract(a: Wide, b: Wide) -> Wide {
    let (low, borrow) = a.1.overflowing_sub(b.1);
    (a.0 - b.0 - u128::from(borrow), low)
}

/// `floor(x / 2^shift)` for `shift` in `1..=127`.
#[inline]
pub(crate) fn shift_right(x: Wide, shift: u32) -> Wide {
    (x.0 >> shift, (x.0 << (128 - shift)) | (x.1 >> shift))
}

/// `x · 2^shift`, which must fit, for `shift` in `1..=127`.
#[inline]
pub(crate) fn shift_left(x: Wide, shift: u32) -> Wide {
    ((x.0 << shift) | (x.1 >> (128 - shift)), x.1 << shift)
}

/// `a · b / 2^256`, at most two below: the product of the low halves does not count.
#[inline]
pub(crate) fn multiply_high(a: Wide, b: Wide) -> Wide {
    let top = multiply(a.0, b.0);
    let crossed = add((0, multiply(a.0, b.1).0), (0, multiply(a.1, b.0).0));
    add(top, crossed)
}

/// `floor(a · b / 2^128)`.
#[inline]
pub(crate) fn multiply_wide(a: u128, b: Wide) -> Wide {
    add(multiply(a, b.0), (0, multiply(a, b.1).0))
}

/// `floor((high · 2^128 + low) / d)`; `None` if `d` is zero or the quotient needs more than 128 bits.
///
/// Knuth's algorithm D with two 64-bit digits of divisor.
#[inline]
pub(crate) fn divide(high: u128, low: u128, d: u128) -> Option<u128> {
    if high >= d {
        return None;
    }
    if high == 0 {
        return Some(if low >> 64 == 0 && d >> 64 == 0 {
            u128::from(low as u64 / d as u64)
        } else {
            low / d
        });
    }
    let shift = d.leading_zeros();
    let d = d << shift;
    let (n1, n0) = if shift == 0 {
        (high, low)
    } else {
        ((high << shift) | (low >> (128 - shift)), low << shift)
    };
    let (q1, r1) = divide_digit(n1, n0 >> 64, d);
    let (q0, _) = divide_digit(r1, n0 & LOW, d);
    Some((q1 << 64) | q0)
}

/// One digit: quotient and remainder of `(n · 2^64 + digit) / d` for `n < d`, `d ≥ 2^127`.
#[inline]
fn divide_digit(n: u128, digit: u128, d: u128) -> (u128, u128) {
    let (d1, d0) = (d >> 64, d & LOW);
    let mut q = (n / d1).min(LOW);
    let mut r = n - q * d1;
    // q exceeds the true digit by at most two.
    while r <= LOW && q * d0 > ((r << 64) | digit) {
        q -= 1;
        r += d1;
    }
    let rest = ((n << 64) | digit).wrapping_sub(q.wrapping_mul(d));
    (q, rest)
}

/// `floor(√(high · 2^128 + low))` for `high < 2^126`.
pub(crate) fn square_root(high: u128, low: u128) -> u128 {
    if high == 0 {
        return low.isqrt();
    }
    // An even shift leaves the leading 128 bits; their root, shifted back, is at least 2^-63
    // close, and one Newton step doubles that.
    let shift = (128 - high.leading_zeros()).next_multiple_of(2);
    let lead = (high << (128 - shift)) | (low >> shift);
    // Rounded up, so that Newton starts above the root and the quotient fits in 128 bits.
    let mut root = (lead.isqrt() + 1) << (shift / 2);
    for _ in 0..2 {
        let Some(quotient) = divide(high, low, root) else {
            return root;
        };
        root = (root >> 1) + (quotient >> 1) + (root & quotient & 1);
    }
    while multiply(root, root) > (high, low) {
        root -= 1;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    fn big(high: u128, low: u128) -> BigUint {
        (BigUint::from(high) << 128u32) + BigUint::from(low)
    }

    /// Numbers of every length, so that carries and normalisation are met.
    fn number() -> impl Strategy<Value = u128> {
        (any::<u128>(), 0u32..128).prop_map(|(x, s)| x >> s)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn products_are_exact(a in number(), b in number()) {
            let (high, low) = multiply(a, b);
            prop_assert_eq!(big(high, low), BigUint::from(a) * BigUint::from(b));
        }

        #[test]
        fn shifted_products_are_floors_or_do_not_fit(a in number(), b in number(), s in 1u32..256) {
            let exact: BigUint = (BigUint::from(a) * BigUint::from(b)) >> s;
            prop_assert_eq!(multiply_shift(a, b, s).map(BigUint::from), (exact.bits() <= 128).then_some(exact));
            let half: BigUint = (BigUint::from(a) * BigUint::from(b) + (BigUint::from(1u8) << (s - 1))) >> s;
            if half.bits() <= 127 {
                prop_assert_eq!(multiply_round(a, b, s).map(BigUint::from), Some(half));
            }
        }

        #[test]
        fn sums_shifts_and_products_of_256_bits_are_exact(a in number(), b in number(), c in number(), d in number(), s in 1u32..128) {
            let (x, y) = ((a >> 1, b), (c >> 1, d));
            let (big_x, big_y) = (big(x.0, x.1), big(y.0, y.1));
            let wide = |(high, low): Wide| big(high, low);
            prop_assert_eq!(wide(add(x, y)), &big_x + &big_y);
            let (more, less) = if x < y { (y, x) } else { (x, y) };
            prop_assert_eq!(wide(subtract(more, less)), wide(more) - wide(less));
            prop_assert_eq!(wide(shift_right(x, s)), &big_x >> s);
            if big_x.bits() + u64::from(s) <= 256 {
                prop_assert_eq!(wide(shift_left(x, s)), &big_x << s);
            }
            prop_assert_eq!(wide(multiply_wide(c, x)), (&big_x * BigUint::from(c)) >> 128u32);
            let exact = (&big_x * &big_y) >> 256u32;
            let ours = wide(multiply_high(x, y));
            prop_assert!(ours <= exact && exact <= ours + 2u8);
        }

        #[test]
        fn quotients_are_floors(high in number(), low in any::<u128>(), d in number()) {
            let expected = (high < d).then(|| big(high, low) / BigUint::from(d));
            prop_assert_eq!(divide(high, low, d).map(BigUint::from), expected);
        }

        #[test]
        fn roots_are_floors(high in 0u128..1 << 126, s in 0u32..126, low in any::<u128>()) {
            let high = high >> s;
            prop_assert_eq!(BigUint::from(square_root(high, low)), big(high, low).sqrt());
        }
    }

    #[test]
    fn the_hardest_digits_are_corrected() {
        for (high, low, d) in [
            (u128::MAX - 1, u128::MAX, u128::MAX),
            (1 << 127, 0, (1 << 127) + 1),
            ((1 << 127) - 1, u128::MAX, 1 << 127),
            ((1 << 64) - 1, u128::MAX, 1 << 64),
            (
                0x7fff_ffff_ffff_ffff_8000_0000_0000_0000,
                0,
                0x8000_0000_0000_0000_0000_0000_0000_0001,
            ),
        ] {
            let expected = big(high, low) / BigUint::from(d);
            assert_eq!(divide(high, low, d).map(BigUint::from), Some(expected));
        }
        assert_eq!(divide(0, 1, 0), None);
    }
}
