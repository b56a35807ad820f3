//! The file of a proof: what `hallmark zk prove` writes and `hallmark zk verify` reads.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Version of [`Bundle`].
pub const VERSION: u32 = 3;
/// Longest file.
pub const MAX_BYTES: usize = 1 << 28;

/// A proof with everything that its check needs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub version: u32,
    pub verifying_key: Hex,
    pub statement: Statement,
    pub context: Hex,
    pub proof: Hex,
}

/// What a proof says; flat integers, all inputs (or outputs) one after the other.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "mode")]
pub enum Statement {
    Public {
        input: Vec<i32>,
        output: Vec<i32>,
    },
    PrivateInput {
        commitment: Hex,
        /// Outputs plus pads, modulo the field's prime.
        masked_output: Vec<u32>,
    },
}

/// Bytes that are written as `0x…`.
#[derive(Clone)]
pub struct Hex(pub Vec<u8>);

impl Hex {
    /// Reads hexadecimal digits, with or without `0x`.
    pub fn parse(text: &str) -> Result<Self, hex::FromHexError> {
        hex::decode(text.strip_prefix("0x").unwrap_or(text)).map(Self)
    }

    /// The bytes, if there are 32.
    pub fn word(&self) -> Option<[u8; 32]> {
        self.0.as_slice().try_into().ok()
    }
}

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{}", hex::encode(&self.0))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}
