//! A block: header and transactions.
//!
//! Encoding: Ethereum's `rlp([header, [transaction…], [], []])`, where a typed transaction is an
//! RLP string of its EIP-2718 bytes and the two empty lists are ommers and withdrawals.
//! A block has exactly one encoding; its hash is the Keccak-256 of its header's RLP.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bloom};
use alloy_rlp::{BufMut, Decodable, Encodable, Header as RlpHeader};

use crate::header::{self, HeaderExtra};
use crate::{DecodeError, Limits, Transaction, merkle, transaction};

const WHAT: &str = "block";

/// A header and the transactions that it commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions, in order of execution.
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// Keccak-256 of the header's RLP.
    pub fn hash(&self) -> B256 {
        self.header.hash_slow()
    }

    /// Height; genesis is 0.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// Unix milliseconds.
    pub fn timestamp_ms(&self) -> u64 {
        header::timestamp_ms(&self.header)
    }

    /// The consensus data of the header.
    ///
    /// # Errors
    /// Never for a block that was decoded; a hand-made header may lack it.
    pub fn extra(&self) -> Result<HeaderExtra, DecodeError> {
        header::extra(&self.header)
    }

    /// The canonical encoding.
    pub fn to_rlp(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.rlp_len());
        self.encode(&mut out);
        out
    }

    /// Length in bytes of the canonical encoding.
    pub fn rlp_len(&self) -> usize {
        self.length()
    }

    /// Decodes a block from outside.
    ///
    /// Checks everything that needs no state and no chain: size, canonical encoding, fixed header
    /// fields, types, sizes and signature ranges of the transactions, and that the header's
    /// transactions root is theirs. Chain ids and signatures are checked on execution.
    ///
    /// # Errors
    /// The first thing found wrong. Nothing is decoded from more than `max_block_bytes`.
    pub fn decode_bounded(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let max = limits.max_block_bytes;
        if bytes.len() > max {
            return Err(DecodeError::TooLarge {
                what: WHAT,
                len: bytes.len(),
                max,
            });
        }
        let block = Self::decode_exact(bytes)?;
        header::check_fixed_fields(&block.header)?;
        for transaction in &block.transactions {
            transaction::check_shape(transaction, limits.max_tx_bytes)?;
        }
        // Last, because it costs an allocation of the same size.
        if block.to_rlp() != bytes {
            return Err(DecodeError::NotCanonical { what: WHAT });
        }
        if merkle::transactions_root(&block.transactions) != block.header.transactions_root {
            return Err(DecodeError::HeaderField {
                field: "transactionsRoot",
                expected: "the root of the block's transactions",
            });
        }
        Ok(block)
    }

    /// Decodes a block that this node encoded itself; outside bytes go through
    /// [`decode_bounded`](Self::decode_bounded).
    ///
    /// # Errors
    /// Not RLP of a block, or trailing bytes.
    pub fn decode_exact(bytes: &[u8]) -> Result<Self, DecodeError> {
        let rlp = |error: alloy_rlp::Error| DecodeError::Rlp {
            what: WHAT,
            reason: error.to_string(),
        };
        let mut rest = bytes;
        let block = Self::decode_rlp(&mut rest).map_err(rlp)??;
        if !rest.is_empty() {
            return Err(rlp(alloy_rlp::Error::UnexpectedLength));
        }
        Ok(block)
    }

    fn decode_rlp(buf: &mut &[u8]) -> alloy_rlp::Result<Result<Self, DecodeError>> {
        let mut payload = RlpHeader::decode_bytes(buf, true)?;
        let header = Header::decode(&mut payload)?;
        let transactions = Vec::<Transaction>::decode(&mut payload)?;
        for part in ["ommers", "withdrawals"] {
            if !RlpHeader::decode_bytes(&mut payload, true)?.is_empty() {
                return Ok(Err(DecodeError::NotEmpty(part)));
            }
        }
        if !payload.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok(Ok(Self {
            header,
            transactions,
        }))
    }

    fn payload_length(&self) -> usize {
        self.header.length() + self.transactions.length() + 2
    }
}

impl Encodable for Block {
    fn encode(&self, out: &mut dyn BufMut) {
        RlpHeader {
            list: true,
            payload_length: self.payload_length(),
        }
        .encode(out);
        self.header.encode(out);
        self.transactions.encode(out);
        out.put_u8(alloy_rlp::EMPTY_LIST_CODE);
        out.put_u8(alloy_rlp::EMPTY_LIST_CODE);
    }

    fn length(&self) -> usize {
        let payload_length = self.payload_length();
        alloy_rlp::length_of_length(payload_length) + payload_length
    }
}

/// Union of the receipts' blooms.
pub(crate) fn logs_bloom(receipts: &[crate::Receipt]) -> Bloom {
    receipts
        .iter()
        .fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom())
}
