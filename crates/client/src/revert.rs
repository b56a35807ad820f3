//! Errors of the contracts in words.
//!
//! A revert's bytes are a selector and ABI-encoded arguments. The selector is looked up in the
//! error lists of `contracts/*.sol`; the arguments are read by the types in the error's signature.
//! Everything is read with bounds: the bytes come from a node.

use alloy_primitives::{Address, B256, Bytes, I256, U256, hex};
use alloy_sol_types::{Revert as SolRevert, SolError};
use hallmark_abi::{
    inference::IInference::IInferenceErrors, models::IModels::IModelsErrors,
    staking::IStaking::IStakingErrors, system::ISystem::ISystemErrors,
    topics::ITopics::ITopicsErrors, verifier::IVerifier::IVerifierErrors,
};
use std::fmt;

/// Longest text shown of one argument.
const MAX_TEXT: usize = 512;

/// An error that a contract returned: `ProofRefused("…")`, `WrongPayment(1000)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// Name of the error in the ABI; `Error` for Solidity's plain reason, `Failed` for a failure
    /// without revert data, `Unknown` for bytes that are in no ABI known here.
    pub name: String,
    /// Its arguments, in order, in words.
    pub arguments: Vec<String>,
    /// The bytes as returned.
    pub data: Bytes,
}

impl Revert {
    /// Reads the bytes that a call reverted with. Never fails: unknown bytes are shown in hex.
    pub fn decode(data: &[u8]) -> Self {
        Self::named(data).unwrap_or_else(|| Self {
            name: "Unknown".to_owned(),
            arguments: vec![hex::encode_prefixed(&data[..data.len().min(MAX_TEXT)])],
            data: Bytes::copy_from_slice(data),
        })
    }

    /// A failure that returned no data, such as running out of gas.
    pub fn without_data(message: impl Into<String>) -> Self {
        Self {
            name: "Failed".to_owned(),
            arguments: vec![message.into()],
            data: Bytes::new(),
        }
    }

    fn named(data: &[u8]) -> Option<Self> {
        let (selector, body) = data.split_first_chunk::<4>()?;
        let signature = signature(*selector)?;
        let (name, types) = signature.strip_suffix(')')?.split_once('(')?;
        let arguments = types
            .split(',')
            .filter(|ty| !ty.is_empty())
            .enumerate()
            .map(|(index, ty)| argument(body, index, ty).unwrap_or_else(|| "?".to_owned()))
            .collect();
        Some(Self {
            name: name.to_owned(),
            arguments,
            data: Bytes::copy_from_slice(data),
        })
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.arguments.join(", "))
    }
}

fn signature(selector: [u8; 4]) -> Option<&'static str> {
    if selector == SolRevert::SELECTOR {
        return Some(SolRevert::SIGNATURE);
    }
    IInferenceErrors::signature_by_selector(selector)
        .or_else(|| IModelsErrors::signature_by_selector(selector))
        .or_else(|| IVerifierErrors::signature_by_selector(selector))
        .or_else(|| ISystemErrors::signature_by_selector(selector))
        .or_else(|| ITopicsErrors::signature_by_selector(selector))
        .or_else(|| IStakingErrors::signature_by_selector(selector))
}

/// Argument `index` of static or dynamic type `ty`; `None` if the bytes are too short.
fn argument(body: &[u8], index: usize, ty: &str) -> Option<String> {
    let word = B256::from_slice(body.get(index.checked_mul(32)?..)?.get(..32)?);
    Some(match ty {
        "string" => format!("{:?}", String::from_utf8_lossy(dynamic(body, word)?)),
        "bytes" => hex::encode_prefixed(dynamic(body, word)?),
        "address" => Address::from_word(word).to_string(),
        "bool" => (!word.is_zero()).to_string(),
        "bytes4" => hex::encode_prefixed(&word[..4]),
        _ if ty.starts_with("uint") => U256::from_be_bytes(word.0).to_string(),
        _ if ty.starts_with("int") => I256::from_be_bytes(word.0).to_string(),
        _ => word.to_string(),
    })
}

/// A dynamic argument's bytes, at most [`MAX_TEXT`] of them.
fn dynamic(body: &[u8], offset: B256) -> Option<&[u8]> {
    let offset = usize::try_from(U256::from_be_bytes(offset.0)).ok()?;
    let tail = body.get(offset..)?;
    let length = usize::try_from(U256::from_be_slice(tail.get(..32)?)).ok()?;
    let content = tail.get(32..)?.get(..length)?;
    Some(&content[..content.len().min(MAX_TEXT)])
}
