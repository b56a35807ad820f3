//! Numbers in JSON, read and written exactly.

use hallmark_fixed::Q64;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A decimal number within ±2^63, as a number or as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal(pub Q64);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = raw
            .strip_prefix('"')
            .and_then(|raw| raw.strip_suffix('"'))
            .unwrap_or(raw);
        text.parse()
            .map(Decimal)
            .map_err(|error| D::Error::custom(format!("{raw}: {error}")))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

/// A whole number of 128 bits, as a number or as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units(pub u128);

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = raw
            .strip_prefix('"')
            .and_then(|raw| raw.strip_suffix('"'))
            .unwrap_or(raw);
        whole(text).map(Units).ok_or_else(|| {
            D::Error::custom(format!("{raw}: not a whole number from 0 to 2^128 - 1"))
        })
    }
}

/// Reads `digits[.digits][e[+]digits]` whose value is whole.
fn whole(text: &str) -> Option<u128> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let exponent: usize = exponent
        .strip_prefix('+')
        .unwrap_or(exponent)
        .parse()
        .ok()?;
    let zeros = u32::try_from(exponent.checked_sub(fraction.len())?).ok()?;
    let value: u128 = format!("{whole}{fraction}").parse().ok()?;
    if value == 0 {
        Some(0)
    } else {
        10u128.checked_pow(zeros)?.checked_mul(value)
    }
}

pub(crate) fn decimals(values: &[Q64]) -> Vec<Decimal> {
    values.iter().copied().map(Decimal).collect()
}

pub(crate) fn plain(values: &[Decimal]) -> Vec<Q64> {
    values.iter().map(|value| value.0).collect()
}

pub(crate) fn decimal_options(values: &[Option<Q64>]) -> Vec<Option<Decimal>> {
    values.iter().map(|value| value.map(Decimal)).collect()
}

pub(crate) fn plain_options(values: &[Option<Decimal>]) -> Vec<Option<Q64>> {
    values
        .iter()
        .map(|value| value.map(|value| value.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn whole_numbers_may_have_an_exponent_and_no_sign() {
        assert_eq!(whole("1e27"), Some(10u128.pow(27)));
        assert_eq!(whole("1.50e+1"), Some(15));
        assert_eq!(
            whole("340282366920938463463374607431768211455"),
            Some(u128::MAX)
        );
        assert_eq!(whole("0e999999"), Some(0));
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "1e-1",
            "1e39",
            "1e",
            "e1",
            ".5e1",
            "x",
            "1_0",
            "1e99999999999999999999",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
