//! Ordered Merkle-Patricia tries of a block's transactions and receipts, and inclusion proofs.
//!
//! The key of item `i` is `rlp(i)`, its value the item's EIP-2718 bytes. A proof is the RLP of the
//! nodes from the root to the item; nodes shorter than 32 bytes are embedded in their parent and
//! are not listed. Verification walks the proof with the hash of each node required by the one
//! before, refuses nodes that are left over, and allocates nothing from sizes that a proof claims.

use alloy_consensus::proofs;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bloom, Bytes, keccak256};
use alloy_rlp::Header as RlpHeader;
use alloy_trie::{HashBuilder, Nibbles, proof::ProofRetainer, root::adjust_index_for_rlp};

use crate::{Receipt, Transaction, block};

/// Most nodes of an inclusion proof: one per nibble of the longest key, and the root.
pub const MAX_PROOF_NODES: usize = 19;

/// Why an inclusion proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// Asked for a proof of an item beyond the end.
    #[error("there is no item {index} among {len}")]
    NoSuchItem {
        /// Index that was asked for.
        index: usize,
        /// Number of items.
        len: usize,
    },
    /// More nodes than any key needs.
    #[error("an inclusion proof of {0} nodes is longer than any path")]
    TooLong(usize),
    /// The walk needs a node that the proof does not have.
    #[error("inclusion proof ends before the item")]
    TooShort,
    /// A node is left over after the item.
    #[error("inclusion proof has nodes after the item")]
    TrailingNodes,
    /// A node is not the one that the root or the node before it commits to.
    #[error("node {0} of the inclusion proof does not have the committed hash")]
    WrongHash(usize),
    /// A node is not a canonical trie node.
    #[error("node {0} of the inclusion proof is malformed")]
    Malformed(usize),
    /// The trie has no item at this index.
    #[error("the trie has no such item")]
    Absent,
    /// The trie has another item at this index.
    #[error("the trie has another item at this index")]
    OtherValue,
}

/// Root of a block's transactions.
pub fn transactions_root(transactions: &[Transaction]) -> B256 {
    proofs::calculate_transaction_root(transactions)
}

/// Root of a block's receipts.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    proofs::calculate_receipt_root(receipts)
}

/// Union of the receipts' blooms.
pub fn logs_bloom(receipts: &[Receipt]) -> Bloom {
    block::logs_bloom(receipts)
}

/// Proof that transaction `index` is under [`transactions_root`].
///
/// # Errors
/// There is no such transaction.
pub fn prove_transaction(
    transactions: &[Transaction],
    index: usize,
) -> Result<Vec<Bytes>, MerkleError> {
    prove(transactions, index)
}

/// Proof that receipt `index` is under [`receipts_root`].
///
/// # Errors
/// There is no such receipt.
pub fn prove_receipt(receipts: &[Receipt], index: usize) -> Result<Vec<Bytes>, MerkleError> {
    prove(receipts, index)
}

/// Checks that item `index` under `root` is exactly `value` (EIP-2718 bytes of a transaction or
/// receipt).
///
/// # Errors
/// The first thing found wrong; never panics, whatever the proof holds.
pub fn verify(root: B256, index: u64, value: &[u8], proof: &[Bytes]) -> Result<(), MerkleError> {
    if proof.len() > MAX_PROOF_NODES {
        return Err(MerkleError::TooLong(proof.len()));
    }
    let key = nibbles_of(index);
    let mut path = key.as_slice();
    let mut expected = root;
    for (position, node) in proof.iter().enumerate() {
        if keccak256(node) != expected {
            return Err(MerkleError::WrongHash(position));
        }
        let malformed = || MerkleError::Malformed(position);
        match walk(node, &mut path).ok_or_else(malformed)? {
            Step::Hash(hash) => expected = hash,
            Step::Absent => return Err(MerkleError::Absent),
            Step::Value(found) => {
                if position + 1 != proof.len() {
                    return Err(MerkleError::TrailingNodes);
                }
                return if found == value {
                    Ok(())
                } else {
                    Err(MerkleError::OtherValue)
                };
            }
        }
    }
    Err(MerkleError::TooShort)
}

fn prove<T: Encodable2718>(items: &[T], index: usize) -> Result<Vec<Bytes>, MerkleError> {
    if index >= items.len() {
        return Err(MerkleError::NoSuchItem {
            index,
            len: items.len(),
        });
    }
    let key = |index: usize| Nibbles::unpack(alloy_rlp::encode(index));
    let retainer = ProofRetainer::new(vec![key(index)]);
    let mut builder = HashBuilder::default().with_proof_retainer(retainer);
    let mut value = Vec::new();
    for position in 0..items.len() {
        // The order in which the keys rlp(0), rlp(1), … sort.
        let item = adjust_index_for_rlp(position, items.len());
        value.clear();
        items[item].encode_2718(&mut value);
        builder.add_leaf(key(item), &value);
    }
    builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    Ok(nodes.into_iter().map(|(_, node)| node).collect())
}

fn nibbles_of(index: u64) -> Vec<u8> {
    alloy_rlp::encode(index)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .collect()
}

/// Where a node leads the walk.
enum Step<'a> {
    Hash(B256),
    Value(&'a [u8]),
    Absent,
}

/// Follows `path` through one node and the nodes embedded in it; `None` if malformed. Embedding
/// nests at most as deep as 32 bytes allow, and each level is strictly shorter.
fn walk<'a>(node: &'a [u8], path: &mut &[u8]) -> Option<Step<'a>> {
    let mut rest = node;
    let mut payload = RlpHeader::decode_bytes(&mut rest, true).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut items: [&[u8]; 17] = [&[]; 17];
    let mut count = 0;
    while !payload.is_empty() {
        *items.get_mut(count)? = take_item(&mut payload)?;
        count += 1;
    }
    match count {
        17 => {
            // No key of an ordered trie is a prefix of another: a branch never holds a value.
            if items[16] != [alloy_rlp::EMPTY_STRING_CODE] {
                return None;
            }
            let Some((nibble, rest)) = path.split_first() else {
                return Some(Step::Absent);
            };
            *path = rest;
            child(items[usize::from(*nibble)], path)
        }
        2 => {
            let (is_leaf, segment) = unpack_path(string(items[0])?)?;
            let Some(rest) = path.strip_prefix(segment.as_slice()) else {
                return Some(Step::Absent);
            };
            *path = rest;
            if !is_leaf {
                return if segment.is_empty() {
                    None
                } else {
                    child(items[1], path)
                };
            }
            if !path.is_empty() {
                return Some(Step::Absent);
            }
            Some(Step::Value(string(items[1])?))
        }
        _ => None,
    }
}

/// A reference inside a node: nothing, the hash of a node, or a node shorter than 32 bytes.
fn child<'a>(item: &'a [u8], path: &mut &[u8]) -> Option<Step<'a>> {
    match item {
        [alloy_rlp::EMPTY_STRING_CODE] => Some(Step::Absent),
        [first, ..] if *first >= alloy_rlp::EMPTY_LIST_CODE => {
            if item.len() < 32 {
                walk(item, path)
            } else {
                None
            }
        }
        _ => Some(Step::Hash(B256::from(
            <[u8; 32]>::try_from(string(item)?).ok()?,
        ))),
    }
}

/// Splits the first RLP item, header included, off `payload`.
fn take_item<'a>(payload: &mut &'a [u8]) -> Option<&'a [u8]> {
    let before = *payload;
    let mut after = before;
    let header = RlpHeader::decode(&mut after).ok()?;
    let len = before
        .len()
        .checked_sub(after.len())?
        .checked_add(header.payload_length)?;
    let (item, rest) = before.split_at_checked(len)?;
    *payload = rest;
    Some(item)
}

fn string(item: &[u8]) -> Option<&[u8]> {
    let mut rest = item;
    let bytes = RlpHeader::decode_bytes(&mut rest, false).ok()?;
    rest.is_empty().then_some(bytes)
}

/// Hex-prefix encoding: whether the node is a leaf, and its nibbles.
fn unpack_path(encoded: &[u8]) -> Option<(bool, Vec<u8>)> {
    let (first, rest) = encoded.split_first()?;
    if rest.len() > 32 {
        return None;
    }
    let mut nibbles = Vec::with_capacity(rest.len() * 2 + 1);
    match first >> 4 {
        0 | 2 if first & 0x0f == 0 => {}
        1 | 3 => nibbles.push(first & 0x0f),
        _ => return None,
    }
    nibbles.extend(rest.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]));
    Some((first & 0x20 != 0, nibbles))
}
