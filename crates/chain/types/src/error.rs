//! Why something from outside was refused.

use alloy_primitives::{Address, U256};

/// A byte string that is not a canonical, bounded encoding of what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than the chain spec allows; nothing was decoded.
    #[error("{what} of {len} bytes is over the limit of {max} bytes")]
    TooLarge {
        /// What was being decoded.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Not RLP, or RLP of something else.
    #[error("{what} is not valid RLP: {reason}")]
    Rlp {
        /// What was being decoded.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// Decodes, but another encoding of the same value exists and is the canonical one.
    #[error("{what} is not canonically encoded")]
    NotCanonical {
        /// What was being decoded.
        what: &'static str,
    },
    /// A transaction type of Ethereum's that this chain does not take.
    #[error("transaction type {ty} ({name}) is not supported")]
    UnsupportedType {
        /// EIP-2718 type byte.
        ty: u8,
        /// Its common name.
        name: &'static str,
    },
    /// A transaction for another chain.
    #[error("invalid chain id: transaction is for {got}, this chain is {expected}")]
    WrongChain {
        /// Chain id of the transaction.
        got: u64,
        /// Chain id of the spec.
        expected: u64,
    },
    /// A signature whose `s` is in the upper half (EIP-2), or zero.
    #[error("invalid signature: r or s is out of range")]
    Signature,
    /// A header field that this chain fixes has another value.
    #[error("header field {field} must be {expected}")]
    HeaderField {
        /// Name of the field.
        field: &'static str,
        /// The only value that is allowed.
        expected: &'static str,
    },
    /// `extra_data` is not a [`crate::HeaderExtra`].
    #[error("header extra data is malformed: {0}")]
    Extra(&'static str),
    /// A body part that must be empty on this chain is not.
    #[error("block must have no {0}")]
    NotEmpty(&'static str),
    /// A timestamp outside what its parent allows.
    #[error("timestamp {got} ms is outside {min}..={max} ms allowed by the parent")]
    Timestamp {
        /// Timestamp of the block.
        got: u64,
        /// Earliest allowed.
        min: u64,
        /// Latest allowed.
        max: u64,
    },
}

/// Why a chain spec cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Not JSON of the expected shape.
    #[error("chain spec is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No validators, or more than the protocol can index.
    #[error("chain spec has {0} validators; between 1 and {max} are allowed", max = crate::spec::MAX_VALIDATORS)]
    ValidatorCount(usize),
    /// Two validators share a key or a payout address.
    #[error("chain spec names the same validator {0} twice: {1}")]
    DuplicateValidator(&'static str, String),
    /// A validator's payout address or the treasury is zero or belongs to the protocol.
    #[error("chain spec: {0} may not be {1}")]
    ReservedAddress(&'static str, Address),
    /// Genesis funds an account of the protocol.
    #[error("chain spec allocates {1} to {0}, which belongs to the protocol")]
    ReservedAllocation(Address, U256),
    /// More coin than the protocol can count without overflow.
    #[error("chain spec issues more than 2^128 - 1 units in total")]
    TooMuchIssued,
    /// A parameter outside its sane range, or inconsistent with another.
    #[error("chain spec: {field}: {reason}")]
    Parameter {
        /// Name of the parameter.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
