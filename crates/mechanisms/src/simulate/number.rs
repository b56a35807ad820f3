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
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let value = digits.then(|| text.parse().ok()).flatten();
        value.map(Units).ok_or_else(|| {
            D::Error::custom(format!("{raw}: not a whole number from 0 to 2^128 - 1"))
        })
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
