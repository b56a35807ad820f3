//! The JSON of state tests. Fields that no rule here needs are not read.

use std::collections::BTreeMap;

use alloy_eips::eip2930::AccessListItem;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Deserializer, de};

/// How ethereum/tests marks a number that may be beyond 256 bits.
const BIG: &str = "0x:bigint ";

/// A number as tests write it: hexadecimal with or without leading zeros, or empty for zero. One
/// beyond 256 bits stays as text, because tests with such a transaction expect a refusal.
#[derive(Debug, Clone)]
pub(super) struct Number(Result<U256, OutOfRange>);

/// A number beyond the field that it is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is out of range")]
pub(super) struct OutOfRange(String);

impl From<OutOfRange> for String {
    fn from(error: OutOfRange) -> Self {
        error.to_string()
    }
}

impl Number {
    /// # Errors
    /// Beyond 256 bits.
    pub(super) fn get(&self) -> Result<U256, OutOfRange> {
        self.0.clone()
    }

    /// # Errors
    /// Beyond `T`.
    pub(super) fn to<T: TryFrom<U256>>(&self) -> Result<T, OutOfRange> {
        let value = self.get()?;
        T::try_from(value).map_err(|_| OutOfRange(value.to_string()))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.strip_prefix(BIG).unwrap_or(&text);
        let digits = number.strip_prefix("0x").unwrap_or(number);
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(de::Error::custom(format!("{text:?} is no number")));
        }
        if digits.is_empty() {
            return Ok(Self(Ok(U256::ZERO)));
        }
        Ok(Self(
            U256::from_str_radix(digits, 16).map_err(|_| OutOfRange(text)),
        ))
    }
}

/// One test; a file is an object of them by name.
#[derive(Debug, Deserialize)]
pub(super) struct Test {
    pub(super) env: Env,
    pub(super) pre: BTreeMap<Address, PreAccount>,
    pub(super) transaction: Tx,
    pub(super) post: BTreeMap<String, Vec<Post>>,
    #[serde(default)]
    pub(super) config: Config,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Config {
    pub(super) chainid: Option<Number>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Env {
    pub(super) current_coinbase: Address,
    pub(super) current_number: Number,
    pub(super) current_timestamp: Number,
    pub(super) current_gas_limit: Number,
    pub(super) current_difficulty: Option<Number>,
    pub(super) current_random: Option<B256>,
    pub(super) current_base_fee: Option<Number>,
    pub(super) current_excess_blob_gas: Option<Number>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PreAccount {
    pub(super) nonce: Number,
    pub(super) balance: Number,
    pub(super) code: Bytes,
    pub(super) storage: BTreeMap<Word, Number>,
}

/// A storage key, as a number of any spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word(pub(super) U256);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        number.get().map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tx {
    pub(super) sender: Option<Address>,
    pub(super) secret_key: Option<B256>,
    pub(super) to: Option<String>,
    pub(super) nonce: Number,
    pub(super) data: Vec<Bytes>,
    pub(super) gas_limit: Vec<Number>,
    pub(super) value: Vec<Number>,
    pub(super) gas_price: Option<Number>,
    pub(super) max_fee_per_gas: Option<Number>,
    pub(super) max_priority_fee_per_gas: Option<Number>,
    pub(super) access_lists: Option<Vec<Option<Vec<AccessListItem>>>>,
    pub(super) max_fee_per_blob_gas: Option<Number>,
    pub(super) blob_versioned_hashes: Option<Vec<B256>>,
    pub(super) authorization_list: Option<Vec<Authorization>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authorization {
    pub(super) chain_id: Number,
    pub(super) address: Address,
    pub(super) nonce: Number,
    pub(super) y_parity: Option<Number>,
    pub(super) v: Option<Number>,
    pub(super) r: Number,
    pub(super) s: Number,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Post {
    pub(super) hash: B256,
    pub(super) logs: B256,
    pub(super) indexes: Indexes,
    pub(super) expect_exception: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Indexes {
    pub(super) data: usize,
    pub(super) gas: usize,
    pub(super) value: usize,
}
