//! Errors of the contracts in words.

use alloy_primitives::Bytes;
use std::fmt;

/// An error that a contract returned: `ProofRefused("…")`, `WrongPayment(1000)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// Name of the error in the ABI, or `Error`/`Panic`/`Unknown`.
    pub name: String,
    /// Its arguments, in order, in words.
    pub arguments: Vec<String>,
    /// The bytes as returned.
    pub data: Bytes,
}

impl Revert {
    /// Reads the bytes that a call reverted with. Never fails: unknown bytes are shown in hex.
    pub fn decode(data: &[u8]) -> Self {
        let _ = data;
        todo!()
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.arguments.join(", "))
    }
}
