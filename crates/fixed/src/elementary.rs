//! Exponential, logarithms and powers of [`Q64`] by range reduction on 128-bit mantissas.
//!
//! - `e^x`: `x = k·ln 2 + i/32 + f` with `0 ≤ f < 1/32`; `e^f` is a Taylor polynomial of degree 19
//!   (remainder below 2^-150), `e^(i/32)` comes from a table, and `2^k` is a shift.
//! - `ln x`: `x = m·2^e` with `1 ≤ m < 2`; the table has a 9-bit reciprocal `1/c` for each 64th of
//!   `[1, 2)`, so that `|m/c − 1| < 2^-6.9`; `ln(m/c)` is a Taylor polynomial of degree 20
//!   (remainder below 2^-140), `ln c` comes from a table.
//!
//! - `x^y = e^(y·ln x)`: near one `ln x` is as small as 2^-64 while y is as large as 2^63, so this
//!   logarithm has 248 fractional bits: the same reduction, exact, a series of 28 terms (remainder below
//!   2^-204), and tables of 191 and 248 bits.
//!
//! Other intermediate results carry at least 118 fractional bits. Every operation below is in range by
//! the scales noted beside it, so plain operators are used.
#![allow(clippy::arithmetic_side_effects)]

use crate::q64::Q64;
use crate::tables::{
    EXP_32NDS_126, INVERSE_FACTORIALS_127, INVERSES_9, LN_OF_INVERSES_127, LN_OF_INVERSES_REST_191,
    LN2_120, LN2_LOW_248, LN2_REST_184, LOG2_E_126, LOG10_E_127, RECIPROCALS_127,
};
use crate::wide::{
    Wide, add, multiply, multiply_high, multiply_round, multiply_shift, multiply_wide, shift_left,
    shift_right, subtract,
};

/// Scale of intermediate logarithms and exponents: `x · 2^120` in an `i128`, |x| < 128.
const SCALE: u32 = 120;

/// `a · b / 2^127` for mantissas whose product fits.
#[inline]
fn times(a: u128, b: u128) -> u128 {
    multiply_shift(a, b, 127).unwrap_or(u128::MAX)
}

/// `e^x`, as Q64 bits, for `x · 2^120` and what is left of x in units of 2^-127, which is below 2^7 either
/// way; saturates above and is zero below the range. Error: 2^-64 and e^x · 2^-122.
fn exp_of_scaled(x: i128, left: i128) -> Q64 {
    // k = floor(x / ln 2), from 48 fractional bits of x; at most one too large.
    let k = (((x >> 72) * (LOG2_E_126 >> 64) as i128) >> (48 + 62)) as i64;
    if k > 62 {
        return Q64::MAX;
    }
    if k < -66 {
        return Q64::ZERO;
    }
    // The remainder with 127 fractional bits, in [0, ln 2) up to the error of k.
    let rest =
        |k: i128| ((x - k * LN2_120 as i128) << 7) + left - ((k * LN2_REST_184 as i128) >> 57);
    let (k, r) = match rest(i128::from(k)) {
        r if r < 0 => (k - 1, rest(i128::from(k - 1))),
        r => (k, r),
    };
    let r = r.max(0) as u128;
    let i = ((r >> 122) as usize).min(EXP_32NDS_126.len() - 1);
    let f = r - ((i as u128) << 122);
    let mut sum = 0;
    for &coefficient in INVERSE_FACTORIALS_127.iter().rev() {
        sum = coefficient + times(sum, f);
    }
    // Both factors below 2.1: the mantissa, with 126 fractional bits, stays below 2^128.
    let mantissa = times(EXP_32NDS_126[i], (1 << 127) + times(sum, f));
    let shift = (62 - k) as u32;
    let bits = if shift == 0 {
        mantissa
    } else if shift >= 128 {
        0
    } else {
        (mantissa >> shift) + ((mantissa >> (shift - 1)) & 1)
    };
    Q64(i128::try_from(bits).unwrap_or(i128::MAX))
}

/// `ln(bits / 2^64) · 2^120` for `bits > 0`; error below 2^-117.
fn scaled_ln(bits: u128) -> i128 {
    let zeros = bits.leading_zeros();
    let mantissa = bits << zeros;
    let exponent = 63 - i128::from(zeros);
    let i = (mantissa >> 121) as usize - 64;
    let inverse = u128::from(INVERSES_9[i]);
    let ratio = (mantissa >> 9) * inverse + (((mantissa & 511) * inverse) >> 9);
    let (below, r) = match ratio.checked_sub(1 << 127) {
        Some(r) => (false, r),
        None => (true, (1 << 127) - ratio),
    };
    // ln(1 ± r) = ± r · (1 ∓ r/2 + r²/3 ∓ …)
    let mut sum = 0u128;
    for &coefficient in RECIPROCALS_127[..20].iter().rev() {
        let product = times(sum, r);
        sum = if below {
            coefficient + product
        } else {
            coefficient - product
        };
    }
    let tail = times(sum, r) as i128;
    let tail = if below { -tail } else { tail };
    // With 127 fractional bits |ln m| < 0.7 fits.
    let fraction = (LN_OF_INVERSES_127[i] as i128 + tail + (1 << 6)) >> 7;
    exponent * LN2_120 as i128 + ((exponent * LN2_REST_184 as i128) >> 64) + fraction
}

/// `1 / n` with 254 fractional bits, rounded down.
fn reciprocal_254(n: u128) -> Wide {
    let (high, left) = ((1 << 126) / n, (1 << 126) % n);
    // 2^128 = n·q + r, so left·2^128 / n = left·q + left·r / n; n is small.
    let (q, r) = (u128::MAX / n, u128::MAX % n + 1);
    (high, left * q + left * r / n)
}

/// `|ln(bits / 2^64)|` with 248 fractional bits, and whether it is negative, for `bits > 0`; error below
/// 2^-190.
fn wide_ln(bits: u128) -> (bool, Wide) {
    let zeros = bits.leading_zeros();
    let mantissa = bits << zeros;
    let i = (mantissa >> 121) as usize - 64;
    // m/c with 136 fractional bits, exact; |m/c − 1| < 2^-6.9.
    let ratio = multiply(mantissa, u128::from(INVERSES_9[i]));
    let unit = (1 << 8, 0);
    let below = ratio < unit;
    let distance = match below {
        true => subtract(unit, ratio),
        false => subtract(ratio, unit),
    };
    // ln(1 ± r) = ± r · (1 ∓ r/2 + r²/3 ∓ …), r with 256 fractional bits and the sum with 254.
    let r = shift_left(distance, 120);
    let mut sum = (0, 0);
    for n in (1..=28).rev() {
        let product = multiply_high(sum, r);
        let reciprocal = reciprocal_254(n);
        sum = match below {
            true => add(reciprocal, product),
            false => subtract(reciprocal, product),
        };
    }
    let tail = shift_right(multiply_high(sum, r), 6);
    // ln x = exponent · ln 2 + ln c ± tail, the positive parts and the negative ones apart.
    let (mut plus, mut minus) = match below {
        true => ((0, 0), tail),
        false => (tail, (0, 0)),
    };
    plus = add(plus, shift_right((LN_OF_INVERSES_127[i], 0), 7));
    let rest = i128::from(LN_OF_INVERSES_REST_191[i]);
    let exponent = 63 - i64::from(zeros);
    let ln2 = times_small((LN2_120, LN2_LOW_248), exponent.unsigned_abs());
    let rest_248 = (0, rest.unsigned_abs() << 57);
    match rest < 0 {
        true => minus = add(minus, rest_248),
        false => plus = add(plus, rest_248),
    }
    match exponent < 0 {
        true => minus = add(minus, ln2),
        false => plus = add(plus, ln2),
    }
    match plus < minus {
        true => (true, subtract(minus, plus)),
        false => (false, subtract(plus, minus)),
    }
}

/// `x · n`, which must fit.
fn times_small(x: Wide, n: u64) -> Wide {
    let (carry, low) = multiply(x.1, u128::from(n));
    (x.0 * u128::from(n) + carry, low)
}

/// `x · factor / 2^shift` rounded to nearest, as Q64 bits; the magnitudes fit by construction.
fn scaled(x: i128, factor: u128, shift: u32) -> Q64 {
    let size = multiply_round(x.unsigned_abs(), factor, shift).unwrap_or(0) as i128;
    Q64(if x < 0 { -size } else { size })
}

impl Q64 {
    /// e^x, saturating at [`Q64::MAX`] above 43.66; zero below −45.
    ///
    /// Error: at most 2^-64 + e^x · 2^-122, which is below 2^-58 everywhere.
    pub fn exp(self) -> Q64 {
        const LIMIT: i128 = 64 << 64;
        if self.0 >= LIMIT {
            Q64::MAX
        } else if self.0 <= -LIMIT {
            Q64::ZERO
        } else {
            exp_of_scaled(self.0 << (SCALE - 64), 0)
        }
    }

    /// The natural logarithm; `None` unless `self > 0`. Error: at most 2^-64.
    pub fn ln(self) -> Option<Q64> {
        Some(Q64((self.positive_ln()? + (1 << 55)) >> (SCALE - 64)))
    }

    /// The logarithm to base 2, exact for powers of two; `None` unless `self > 0`.
    /// Error: at most 2^-64.
    pub fn log2(self) -> Option<Q64> {
        Some(scaled(self.positive_ln()?, LOG2_E_126, 126 + SCALE - 64))
    }

    /// The logarithm to base 10, exact for whole powers of ten; `None` unless `self > 0`.
    /// Error: at most 2^-64.
    pub fn log10(self) -> Option<Q64> {
        Some(scaled(self.positive_ln()?, LOG10_E_127, 127 + SCALE - 64))
    }

    /// `self^exponent`, saturating.
    ///
    /// `x^0 = 1` for every x, `0^y = 0` for y > 0. `None` for zero to a negative power and for a
    /// negative number to a power that is not whole.
    ///
    /// Error: at most 2^-64 + x^y · 2^-122 · 1.1, which is below 2^-58 everywhere.
    pub fn pow(self, exponent: Q64) -> Option<Q64> {
        if exponent.0 == 0 {
            return Some(Q64::ONE);
        }
        if self.0 == 0 {
            return (exponent.0 > 0).then_some(Q64::ZERO);
        }
        let whole = exponent.0 as u128 & u128::from(u64::MAX) == 0;
        if self.0 < 0 && !whole {
            return None;
        }
        let (falls, ln) = wide_ln(self.0.unsigned_abs());
        let up = falls == (exponent.0 < 0);
        // y · ln x with 184 fractional bits; from 64 on the result is beyond the range.
        let product = multiply_wide(exponent.0.unsigned_abs(), ln);
        let size = if product.0 >> (184 + 6 - 128) != 0 {
            if up { Q64::MAX } else { Q64::ZERO }
        } else {
            // Cut to 127 fractional bits, of which the last seven go apart.
            let (_, scaled) = shift_right(product, 184 - SCALE);
            let left = shift_right(product, 184 - 127).1 & 0x7f;
            let (scaled, left) = (scaled as i128, left as i128);
            match up {
                true => exp_of_scaled(scaled, left),
                false => exp_of_scaled(-scaled, -left),
            }
        };
        let odd = (exponent.0 >> 64) & 1 == 1;
        Some(if self.0 < 0 && odd { -size } else { size })
    }

    fn positive_ln(self) -> Option<i128> {
        let bits = u128::try_from(self.0).ok().filter(|&bits| bits > 0)?;
        Some(scaled_ln(bits))
    }
}
