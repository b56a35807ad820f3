//! Decimal text to and from [`Q64`], without floating point.

use crate::q64::Q64;
use crate::wide::{divide, multiply_round};
use core::fmt;
use core::str::FromStr;

/// Why a text is not a [`Q64`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseDecimalError {
    /// Not of the form `-12.5e-3`.
    NotANumber,
    /// Outside −2^63 ≤ x < 2^63.
    OutOfRange,
}

impl fmt::Display for ParseDecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseDecimalError::NotANumber => "not a decimal number",
            ParseDecimalError::OutOfRange => "outside -2^63 ..= 2^63",
        })
    }
}

impl core::error::Error for ParseDecimalError {}

const MAX_DIGITS: u32 = 38;

impl FromStr for Q64 {
    type Err = ParseDecimalError;

    /// Reads `[+-]digits[.digits][e[+-]digits]`, rounded to the nearest multiple of 2^-64.
    ///
    /// Of the whole part and of the fraction (together, if there is an exponent) the first 38
    /// significant digits count.
    ///
    /// # Errors
    ///
    /// [`ParseDecimalError`] for any other text, and for a number out of range.
    fn from_str(text: &str) -> Result<Q64, ParseDecimalError> {
        let (negative, text) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..)),
            Some(b'+') => (false, text.get(1..)),
            _ => (false, Some(text)),
        };
        let text = text.ok_or(ParseDecimalError::NotANumber)?;
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(ParseDecimalError::NotANumber);
        }
        // Without an exponent the parts are read apart, each with all the digits that count.
        let size = if exponent == 0 {
            let (whole, fraction) = (read(whole, "", 0)?, read("", fraction, 0)?);
            whole
                .zip(fraction)
                .and_then(|(whole, fraction)| whole.checked_add(fraction))
        } else {
            read(whole, fraction, exponent)?
        };
        let size = size.ok_or(ParseDecimalError::OutOfRange)?;
        let bits = if negative {
            0i128.checked_sub_unsigned(size)
        } else {
            i128::try_from(size).ok()
        };
        bits.map(Q64::from_bits)
            .ok_or(ParseDecimalError::OutOfRange)
    }
}

/// `whole.fraction · 10^exponent · 2^64`, rounded; the inner `None` means out of range.
fn read(whole: &str, fraction: &str, exponent: i64) -> Result<Option<u128>, ParseDecimalError> {
    let (mut mantissa, mut digits, mut power) = (0u128, 0u32, exponent);
    let whole = whole.bytes().map(|digit| (digit, false));
    for (digit, after_point) in whole.chain(fraction.bytes().map(|digit| (digit, true))) {
        let value = char::from(digit)
            .to_digit(10)
            .ok_or(ParseDecimalError::NotANumber)?;
        if digits < MAX_DIGITS {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u128::from(value));
            digits = digits.saturating_add(u32::from(mantissa != 0));
            power = power.saturating_sub(i64::from(after_point));
        } else {
            power = power.saturating_add(i64::from(!after_point));
        }
    }
    Ok(scale(mantissa, power))
}

fn parse_exponent(text: &str) -> Result<i64, ParseDecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|d| d.is_ascii_digit()) {
        return Err(ParseDecimalError::NotANumber);
    }
    // Out of range of i64 is out of range of Q64 in either direction.
    let size = digits.parse::<i64>().unwrap_or(1 << 40).min(1 << 40);
    Ok(if text.starts_with('-') {
        size.wrapping_neg()
    } else {
        size
    })
}

/// `mantissa · 10^power · 2^64` rounded to nearest; `None` if it needs more than 128 bits.
fn scale(mantissa: u128, power: i64) -> Option<u128> {
    if mantissa == 0 {
        return Some(0);
    }
    if let Ok(power) = u32::try_from(power) {
        let whole = 10u128.checked_pow(power)?.checked_mul(mantissa)?;
        return whole.checked_mul(1 << 64);
    }
    let places = u32::try_from(power.unsigned_abs()).unwrap_or(u32::MAX);
    // Beyond 38 places a whole division first: what it drops is below 10^-38.
    let mantissa = match places.saturating_sub(MAX_DIGITS) {
        0 => mantissa,
        extra => 10u128
            .checked_pow(extra)
            .map_or(0, |d| mantissa.checked_div(d).unwrap_or(0)),
    };
    let divisor = 10u128.checked_pow(places.min(MAX_DIGITS))?;
    let (low, carry) = (mantissa << 64).overflowing_add(divisor >> 1);
    divide(
        (mantissa >> 64).wrapping_add(u128::from(carry)),
        low,
        divisor,
    )
}

impl fmt::Display for Q64 {
    /// Decimal with up to 20 places (or the precision asked for, if smaller), no trailing zeros;
    /// the 20 places identify every number: parsing them gives it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.to_bits().unsigned_abs();
        let places = f.precision().unwrap_or(20).min(20);
        let unit = 10u128.pow(places as u32);
        let fraction = multiply_round(size & u128::from(u64::MAX), unit, 64).unwrap_or(0);
        let (carry, fraction) = if fraction >= unit {
            (1, 0)
        } else {
            (0, fraction)
        };
        let whole = (size >> 64).wrapping_add(carry);
        let sign = if self.to_bits() < 0 && (whole, fraction) != (0, 0) {
            "-"
        } else {
            ""
        };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        // Zeros at the end are cut from the digits, zeros at the start are kept.
        let (mut digits, mut width) = (fraction, places);
        while digits.is_multiple_of(10) {
            digits = digits.checked_div(10).unwrap_or(0);
            width = width.saturating_sub(1);
        }
        write!(f, "{sign}{whole}.{digits:0width$}")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn printing_and_parsing_gives_every_number_back(bits in any::<i128>(), s in 0u32..128) {
            let x = Q64::from_bits(bits >> s);
            prop_assert_eq!(x.to_string().parse::<Q64>(), Ok(x));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = text.parse::<Q64>();
        }

        #[test]
        fn no_number_like_text_panics(text in "[+-]?[0-9]{0,50}[.]?[0-9]{0,50}([eE][+-]?[0-9]{0,25})?") {
            let _ = text.parse::<Q64>();
        }
    }

    #[test]
    fn decimals_round_to_the_nearest_step() {
        let parse = |t: &str| t.parse::<Q64>();
        assert_eq!(parse("0.5"), Ok(Q64::from_bits(1 << 63)));
        assert_eq!(parse("-1.25e1"), Ok(Q64::from_bits(-25 << 63)));
        assert_eq!(parse("1e-19"), Ok(Q64::from_bits(2)));
        assert_eq!(parse("2.8e-20"), Ok(Q64::EPSILON));
        assert_eq!(parse("2.7e-20"), Ok(Q64::ZERO));
        assert_eq!(parse("1e-40"), Ok(Q64::ZERO));
        assert_eq!(parse("5e-99999999999999999999"), Ok(Q64::ZERO));
        assert_eq!(parse("0e99999999999999999999"), Ok(Q64::ZERO));
        assert_eq!(
            parse("9223372036854775807.5").map(|x| x.floor()),
            Ok(i64::MAX)
        );
        assert_eq!(parse("-9223372036854775808"), Ok(Q64::MIN));
        assert_eq!(
            parse("000000000000000000000000000000000000000000001.5"),
            parse("1.5")
        );
        assert_eq!(
            parse("0.000000000000000000000000000000000000000000000000000015e52"),
            parse("0.15")
        );
    }

    #[test]
    fn what_is_no_number_or_out_of_range_says_so() {
        for text in [
            "", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "0x10", "NaN", "inf", " 1", "١",
        ] {
            assert_eq!(
                text.parse::<Q64>(),
                Err(ParseDecimalError::NotANumber),
                "{text}"
            );
        }
        for text in [
            "9223372036854775808",
            "-9223372036854775809",
            "1e19",
            "1e400",
            "-1e27",
        ] {
            assert_eq!(
                text.parse::<Q64>(),
                Err(ParseDecimalError::OutOfRange),
                "{text}"
            );
        }
    }

    #[test]
    fn printing_rounds_to_the_precision_asked_for() {
        let x: Q64 = "-1.005".parse().unwrap();
        assert_eq!(x.to_string(), "-1.005");
        assert_eq!(std::format!("{x:.2}"), "-1");
        assert_eq!(std::format!("{:.3}", Q64::ONE / Q64::from_int(3)), "0.333");
        assert_eq!(std::format!("{:.3}", Q64::from_bits(-1)), "0");
        assert_eq!(std::format!("{:.1}", "9.99".parse::<Q64>().unwrap()), "10");
    }
}
