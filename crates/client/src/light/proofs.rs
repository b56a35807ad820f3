//! What nodes send, and whether it leads from a state root to what it claims.

use super::LightError;
use crate::receipt::decode_header;
use alloy_consensus::{Header, TrieAccount};
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use alloy_trie::{Nibbles, proof::verify_proof};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Headers between a block and its certificate, at most.
const MAX_DESCENDANTS: usize = 1_024;

/// Why a block is final: hash-linked headers, the last of which is certified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finality {
    /// Height of the block.
    pub number: U64,
    /// Hash of the block.
    pub hash: B256,
    /// RLP of its header.
    pub header: Bytes,
    /// RLP of the headers after it, up to the certified one.
    pub descendants: Vec<Bytes>,
    /// Certificate of the last of these headers.
    pub certificate: Bytes,
}

/// An account and some of its slots in the state after a final block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateProof {
    /// The block.
    pub finality: Finality,
    /// EIP-1186 proof against the state root of that block.
    pub account: EIP1186AccountProofResponse,
}

impl Finality {
    /// The block's header and the certified one; they are linked, the certificate is not examined.
    pub(super) fn headers(&self) -> Result<(Header, Header), LightError> {
        if self.descendants.len() > MAX_DESCENDANTS {
            return Err(LightError::TooManyHeaders(MAX_DESCENDANTS));
        }
        let first = decode_header(&self.header).map_err(LightError::Header)?;
        let mut last = first.clone();
        for (position, bytes) in (1..).zip(&self.descendants) {
            let next = decode_header(bytes).map_err(LightError::Header)?;
            let follows = next.parent_hash == last.hash_slow()
                && Some(next.number) == last.number.checked_add(1);
            if !follows {
                return Err(LightError::BrokenChain(position));
            }
            last = next;
        }
        Ok((first, last))
    }
}

/// Checks an account and every slot in the answer against a state root. An account that is not in the
/// state is that of zeros; a slot that is not in the storage is zero.
pub(super) fn check_account(
    state_root: B256,
    address: Address,
    answer: &EIP1186AccountProofResponse,
) -> Result<BTreeMap<B256, U256>, LightError> {
    if answer.address != address {
        return Err(LightError::OtherAnswer);
    }
    let account = TrieAccount {
        nonce: answer.nonce,
        balance: answer.balance,
        storage_root: answer.storage_hash,
        code_hash: answer.code_hash,
    };
    // Nodes describe an absent account by zeros, some by empty hashes.
    let zeros = TrieAccount {
        storage_root: B256::ZERO,
        code_hash: B256::ZERO,
        ..TrieAccount::default()
    };
    let exists = account != TrieAccount::default() && account != zeros;
    let value = exists.then(|| alloy_rlp::encode(account));
    let key = Nibbles::unpack(keccak256(address));
    verify_proof(state_root, key, value, &answer.account_proof)
        .map_err(|_| LightError::Account(address))?;
    let mut words = BTreeMap::new();
    for slot in &answer.storage_proof {
        let name = slot.key.as_b256();
        let wrong = || LightError::Slot {
            address,
            slot: name,
        };
        let value = (!slot.value.is_zero()).then(|| alloy_rlp::encode(slot.value));
        if exists {
            let key = Nibbles::unpack(keccak256(name));
            verify_proof(account.storage_root, key, value, &slot.proof).map_err(|_| wrong())?;
        } else if !slot.value.is_zero() {
            return Err(wrong());
        }
        words.insert(name, slot.value);
    }
    Ok(words)
}
