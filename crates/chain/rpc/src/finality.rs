//! What a client needs to check a block or a transaction without trusting this node.
//!
//! A certificate finalizes one block and, by parent hashes, all its ancestors. Validators do not
//! make one for every height, so a block may be proven by a descendant's: [`Finality`] then carries
//! the headers in between. [`Inclusion`] adds the Merkle proofs of a transaction and its receipt,
//! [`StateProof`] those of an account and its slots. All are checked by `hallmark_consensus::certificate::verify`
//! against the validators of the block's epoch, which the chain spec names for epochs 0 and 1, and
//! which `net_committee` proves for every later one.

use crate::{
    account::account_proof,
    context::{Rpc, Sealed},
    error::{Fault, Reply},
};
use alloy_eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{Address, B256, Bytes, U64};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use alloy_serde::JsonStorageKey;
use hallmark_types::merkle;
use jsonrpsee::proc_macros::rpc;
use serde::{Deserialize, Serialize};

/// Headers that may lie between a block and the one whose certificate proves it.
const MAX_DESCENDANTS: u64 = 1_024;

/// Proof that a block is final: hash-linked headers, the last of which is certified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finality {
    /// Height of the block.
    pub number: U64,
    /// keccak-256 of `header`.
    pub hash: B256,
    /// RLP of the block's header.
    pub header: Bytes,
    /// RLP of the headers after it, each the child of the one before; empty if the block has a
    /// certificate of its own.
    pub descendants: Vec<Bytes>,
    /// Certificate of the last of these headers.
    pub certificate: Bytes,
}

/// Proof that a transaction is in a final block and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inclusion {
    /// The block and why it is final.
    pub finality: Finality,
    /// Position of the transaction in the block.
    pub index: U64,
    /// EIP-2718 bytes of the transaction.
    pub transaction: Bytes,
    /// Trie nodes from the header's transactions root to the transaction.
    pub transaction_proof: Vec<Bytes>,
    /// EIP-2718 bytes of the receipt.
    pub receipt: Bytes,
    /// Trie nodes from the header's receipts root to the receipt.
    pub receipt_proof: Vec<Bytes>,
}

/// Proof of an account and of some of its slots in the state after a final block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateProof {
    /// The block and why it is final.
    pub finality: Finality,
    /// EIP-1186 proof against the state root in that block's header.
    pub account: EIP1186AccountProofResponse,
}

#[rpc(server, namespace = "net")]
pub(crate) trait FinalityApi {
    /// Proof that the block at a height (or `latest`) is final.
    #[method(name = "finalizedCertificate", blocking)]
    fn finalized_certificate(&self, block: BlockNumberOrTag) -> Result<Finality, Fault>;

    /// Account and slots, with the proofs that lead from them to a certificate. `block` is a height
    /// or a tag, by default `latest`; its state must still be kept.
    #[method(name = "stateProof", blocking)]
    fn state_proof(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockNumberOrTag>,
    ) -> Result<StateProof, Fault>;

    /// The validators of an epoch, 2 or later: every word of their set in contract `Staking`, proven
    /// in the state after the last block of the epoch before the previous one.
    #[method(name = "committee", blocking)]
    fn committee(&self, epoch: u64) -> Result<StateProof, Fault>;
}

#[rpc(server, namespace = "hallmark")]
pub(crate) trait InclusionApi {
    /// Proof of a mined transaction and its receipt; `null` if it is not mined.
    #[method(name = "inclusion", blocking)]
    fn inclusion(&self, hash: B256) -> Result<Option<Inclusion>, Fault>;
}

#[rpc(server, namespace = "debug")]
pub(crate) trait Debug {
    /// RLP of a header.
    #[method(name = "getRawHeader")]
    fn raw_header(&self, block: BlockId) -> Result<Bytes, Fault>;

    /// RLP of a block.
    #[method(name = "getRawBlock")]
    fn raw_block(&self, block: BlockId) -> Result<Bytes, Fault>;

    /// EIP-2718 bytes of the receipts of a block.
    #[method(name = "getRawReceipts")]
    fn raw_receipts(&self, block: BlockId) -> Result<Vec<Bytes>, Fault>;

    /// EIP-2718 bytes of a transaction, mined or pending; empty if unknown.
    #[method(name = "getRawTransaction", aliases = ["eth_getRawTransactionByHash"])]
    fn raw_transaction(&self, hash: B256) -> Result<Bytes, Fault>;
}

impl FinalityApiServer for Rpc {
    fn finalized_certificate(&self, block: BlockNumberOrTag) -> Reply<Finality> {
        self.finality(&self.block(block).ok_or(Fault::UnknownBlock)?)
    }

    fn state_proof(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockNumberOrTag>,
    ) -> Reply<StateProof> {
        let (state, sealed) = self.state(block.map(BlockId::from))?;
        Ok(StateProof {
            finality: self.finality(&sealed)?,
            account: account_proof(&state, address, slots)?,
        })
    }

    fn committee(&self, epoch: u64) -> Reply<StateProof> {
        self.proven_committee(epoch)
    }
}

impl Rpc {
    fn proven_committee(&self, epoch: u64) -> Reply<StateProof> {
        let Some(frozen_in) = epoch.checked_sub(2) else {
            let text = "the chain spec names the validators of epochs 0 and 1";
            return Err(Fault::Refused(text.into()));
        };
        let boundary = frozen_in
            .saturating_add(1)
            .saturating_mul(self.spec.staking.epoch_blocks)
            .saturating_sub(1);
        let sealed = self.block(boundary).ok_or(Fault::UnknownBlock)?;
        let account = self.committees.get(epoch).ok_or_else(|| {
            Fault::Refused(format!(
                "this node has no proof of the set of epoch {epoch}"
            ))
        })?;
        Ok(StateProof {
            finality: self.finality(&sealed)?,
            account,
        })
    }
}

impl InclusionApiServer for Rpc {
    fn inclusion(&self, hash: B256) -> Reply<Option<Inclusion>> {
        let Some((number, index)) = self.store.transaction(&hash) else {
            return Ok(None);
        };
        let sealed = self.block(number).ok_or(Fault::UnknownBlock)?;
        let transactions = &sealed.block.transactions;
        let receipts = self.receipts(&sealed)?;
        let (Some(tx), Some(receipt)) = (transactions.get(index), receipts.get(index)) else {
            return Err(Fault::Internal(format!(
                "block {number} has no transaction {index}"
            )));
        };
        let internal = |error: merkle::MerkleError| Fault::Internal(error.to_string());
        Ok(Some(Inclusion {
            finality: self.finality(&sealed)?,
            index: U64::from(index),
            transaction: tx.encoded_2718().into(),
            transaction_proof: merkle::prove_transaction(transactions, index).map_err(internal)?,
            receipt: receipt.encoded_2718().into(),
            receipt_proof: merkle::prove_receipt(&receipts, index).map_err(internal)?,
        }))
    }
}

impl DebugServer for Rpc {
    fn raw_header(&self, block: BlockId) -> Reply<Bytes> {
        let sealed = self.block(block).ok_or(Fault::UnknownBlock)?;
        Ok(alloy_rlp::encode(&sealed.block.header).into())
    }

    fn raw_block(&self, block: BlockId) -> Reply<Bytes> {
        let sealed = self.block(block).ok_or(Fault::UnknownBlock)?;
        Ok(alloy_rlp::encode(&*sealed.block).into())
    }

    fn raw_receipts(&self, block: BlockId) -> Reply<Vec<Bytes>> {
        let sealed = self.block(block).ok_or(Fault::UnknownBlock)?;
        let receipts = self.receipts(&sealed)?;
        Ok(receipts
            .iter()
            .map(|receipt| receipt.encoded_2718().into())
            .collect())
    }

    fn raw_transaction(&self, hash: B256) -> Reply<Bytes> {
        let pooled = self.mempool.get(&hash);
        if let Some((number, index)) = self.store.transaction(&hash) {
            let sealed = self.block(number).ok_or(Fault::UnknownBlock)?;
            let tx = sealed.block.transactions.get(index);
            return Ok(tx.map(|tx| tx.encoded_2718().into()).unwrap_or_default());
        }
        Ok(pooled
            .map(|pooled| pooled.tx.encoded_2718().into())
            .unwrap_or_default())
    }
}

impl Rpc {
    /// # Errors
    /// `Refused` for genesis, which needs no proof, and while no certificate covers the block yet.
    fn finality(&self, sealed: &Sealed) -> Reply<Finality> {
        let number = sealed.block.number();
        if number == 0 {
            let text = "genesis has no certificate: it follows from the chain spec";
            return Err(Fault::Refused(text.into()));
        }
        let mut descendants = Vec::new();
        let last = self
            .head()
            .block
            .number()
            .min(number.saturating_add(MAX_DESCENDANTS));
        for height in number..=last {
            if height > number {
                let sealed = self.block(height).ok_or(Fault::UnknownBlock)?;
                descendants.push(alloy_rlp::encode(&sealed.block.header).into());
            }
            let certificate = self
                .store
                .finalization(height)
                .filter(|bytes| !bytes.is_empty());
            if let Some(certificate) = certificate {
                return Ok(Finality {
                    number: U64::from(number),
                    hash: sealed.hash,
                    header: alloy_rlp::encode(&sealed.block.header).into(),
                    descendants,
                    certificate,
                });
            }
        }
        Err(Fault::Refused(format!(
            "no certificate covers block {number} yet"
        )))
    }
}
