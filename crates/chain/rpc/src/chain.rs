//! `eth_*` about blocks and transactions, and the door for raw transactions.

use crate::{
    context::{Rpc, Sealed},
    error::{Fault, Reply},
    sync::SyncStatus,
    view,
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64};
use alloy_rpc_types_eth::{Block, Index, Transaction, TransactionReceipt};
use hallmark_types::Receipt;
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How long `eth_sendRawTransactionSync` waits when the client does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// The longest that it waits.
const MAX_WAIT: Duration = Duration::from_secs(60);

#[rpc(server, namespace = "eth")]
pub(crate) trait Chain {
    #[method(name = "chainId")]
    fn chain_id(&self) -> Result<U64, Fault>;

    /// `false`, or how far behind the network's finalized tip this node is.
    #[method(name = "syncing")]
    fn syncing(&self) -> Result<SyncStatus, Fault>;

    #[method(name = "blockNumber")]
    fn block_number(&self) -> Result<U64, Fault>;

    #[method(name = "getBlockByNumber")]
    fn block_by_number(
        &self,
        number: BlockNumberOrTag,
        full: Option<bool>,
    ) -> Result<Option<Block>, Fault>;

    #[method(name = "getBlockByHash")]
    fn block_by_hash(&self, hash: B256, full: Option<bool>) -> Result<Option<Block>, Fault>;

    #[method(name = "getBlockTransactionCountByNumber")]
    fn transaction_count_by_number(&self, number: BlockNumberOrTag) -> Result<Option<U64>, Fault>;

    #[method(name = "getBlockTransactionCountByHash")]
    fn transaction_count_by_hash(&self, hash: B256) -> Result<Option<U64>, Fault>;

    /// Always zero: there are no uncles.
    #[method(name = "getUncleCountByBlockNumber")]
    fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> Result<Option<U64>, Fault>;

    #[method(name = "getUncleCountByBlockHash")]
    fn uncle_count_by_hash(&self, hash: B256) -> Result<Option<U64>, Fault>;

    #[method(name = "getTransactionByBlockNumberAndIndex")]
    fn transaction_by_number_and_index(
        &self,
        number: BlockNumberOrTag,
        index: Index,
    ) -> Result<Option<Transaction>, Fault>;

    #[method(name = "getTransactionByBlockHashAndIndex")]
    fn transaction_by_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> Result<Option<Transaction>, Fault>;

    /// Mined or waiting in this node's mempool.
    #[method(name = "getTransactionByHash")]
    fn transaction_by_hash(&self, hash: B256) -> Result<Option<Transaction>, Fault>;

    #[method(name = "getTransactionReceipt")]
    fn transaction_receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, Fault>;

    #[method(name = "getBlockReceipts")]
    fn block_receipts(&self, block: BlockId) -> Result<Option<Vec<TransactionReceipt>>, Fault>;

    /// Accepts a signed transaction (EIP-2718 bytes) and returns its hash.
    #[method(name = "sendRawTransaction")]
    fn send_raw_transaction(&self, raw: Bytes) -> Result<B256, Fault>;

    /// EIP-7966: accepts a signed transaction and returns its receipt once it is final, which is a
    /// block away. Waits for `timeout` milliseconds at most.
    #[method(name = "sendRawTransactionSync")]
    async fn send_raw_transaction_sync(
        &self,
        raw: Bytes,
        timeout: Option<Milliseconds>,
    ) -> Result<TransactionReceipt, Fault>;
}

/// A number, or a hexadecimal quantity: clients send either.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Milliseconds {
    Number(u64),
    Quantity(U64),
}

impl Milliseconds {
    fn get(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Quantity(quantity) => quantity.to(),
        }
    }
}

#[async_trait]
impl ChainServer for Rpc {
    fn chain_id(&self) -> Reply<U64> {
        Ok(U64::from(self.spec.chain_id))
    }

    fn syncing(&self) -> Reply<SyncStatus> {
        Ok(self.sync_status())
    }

    fn block_number(&self) -> Reply<U64> {
        Ok(U64::from(self.head().block.number()))
    }

    fn block_by_number(
        &self,
        number: BlockNumberOrTag,
        full: Option<bool>,
    ) -> Reply<Option<Block>> {
        self.rpc_block(number.into(), full)
    }

    fn block_by_hash(&self, hash: B256, full: Option<bool>) -> Reply<Option<Block>> {
        self.rpc_block(hash.into(), full)
    }

    fn transaction_count_by_number(&self, number: BlockNumberOrTag) -> Reply<Option<U64>> {
        Ok(self
            .block(number)
            .map(|sealed| U64::from(sealed.block.transactions.len())))
    }

    fn transaction_count_by_hash(&self, hash: B256) -> Reply<Option<U64>> {
        Ok(self
            .block(hash)
            .map(|sealed| U64::from(sealed.block.transactions.len())))
    }

    fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> Reply<Option<U64>> {
        Ok(self.block(number).map(|_| U64::ZERO))
    }

    fn uncle_count_by_hash(&self, hash: B256) -> Reply<Option<U64>> {
        Ok(self.block(hash).map(|_| U64::ZERO))
    }

    fn transaction_by_number_and_index(
        &self,
        number: BlockNumberOrTag,
        index: Index,
    ) -> Reply<Option<Transaction>> {
        self.rpc_transaction(number.into(), index.0)
    }

    fn transaction_by_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> Reply<Option<Transaction>> {
        self.rpc_transaction(hash.into(), index.0)
    }

    fn transaction_by_hash(&self, hash: B256) -> Reply<Option<Transaction>> {
        // The mempool first: a transaction that is mined between the two looks is found by the second.
        let pooled = self.mempool.get(&hash);
        match self.store.transaction(&hash) {
            Some((number, index)) => self.rpc_transaction(number.into(), index),
            None => Ok(pooled.map(|pooled| view::pending(&pooled))),
        }
    }

    fn transaction_receipt(&self, hash: B256) -> Reply<Option<TransactionReceipt>> {
        let Some((number, index)) = self.store.transaction(&hash) else {
            return Ok(None);
        };
        let receipts = self.rpc_receipts(number.into())?;
        Ok(receipts
            .and_then(|mut receipts| (index < receipts.len()).then(|| receipts.swap_remove(index))))
    }

    fn block_receipts(&self, block: BlockId) -> Reply<Option<Vec<TransactionReceipt>>> {
        self.rpc_receipts(block)
    }

    fn send_raw_transaction(&self, raw: Bytes) -> Reply<B256> {
        let head = self.head();
        self.mempool
            .add_raw(&raw, &head.state)
            .map_err(|refusal| Fault::Refused(refusal.to_string()))
    }

    async fn send_raw_transaction_sync(
        &self,
        raw: Bytes,
        timeout: Option<Milliseconds>,
    ) -> Reply<TransactionReceipt> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Fault::Busy)?;
        let asked = timeout.map_or(DEFAULT_WAIT, |timeout| Duration::from_millis(timeout.get()));
        // Before the transaction is added: its block cannot be missed.
        let mut blocks = self.store.subscribe();
        let hash = self.send_raw_transaction(raw)?;
        let mined = async {
            loop {
                if let Some(receipt) = self.transaction_receipt(hash)? {
                    return Ok(receipt);
                }
                if let Err(RecvError::Closed) = blocks.recv().await {
                    return Err(Fault::Internal("the node stops".into()));
                }
            }
        };
        let waited = tokio::time::timeout(asked.min(MAX_WAIT), mined).await;
        waited.unwrap_or(Err(Fault::NotYetMined(hash)))
    }
}

impl Rpc {
    fn rpc_block(&self, id: BlockId, full: Option<bool>) -> Reply<Option<Block>> {
        let Some(sealed) = self.block(id) else {
            return Ok(None);
        };
        if full == Some(true) {
            let senders = self.senders(&sealed)?;
            return Ok(Some(view::block(&sealed, Some(&senders))));
        }
        Ok(Some(view::block(&sealed, None)))
    }

    fn rpc_transaction(&self, id: BlockId, index: usize) -> Reply<Option<Transaction>> {
        let Some(sealed) = self.block(id) else {
            return Ok(None);
        };
        let senders = self.senders(&sealed)?;
        let sender = senders.get(index).copied();
        Ok(sender.and_then(|sender| view::transaction(&sealed, index, sender)))
    }

    fn rpc_receipts(&self, id: BlockId) -> Reply<Option<Vec<TransactionReceipt>>> {
        let Some(sealed) = self.block(id) else {
            return Ok(None);
        };
        let senders = self.senders(&sealed)?;
        let receipts = self.receipts(&sealed)?;
        Ok(Some(view::receipts(&sealed, &senders, receipts)))
    }

    /// Senders of a stored block's transactions.
    pub(crate) fn senders(&self, sealed: &Sealed) -> Reply<Vec<Address>> {
        let number = sealed.block.number();
        let missing = || Fault::Internal(format!("senders of block {number} are missing"));
        self.store.senders(number).ok_or_else(missing)
    }

    /// Receipts of a stored block.
    pub(crate) fn receipts(&self, sealed: &Sealed) -> Reply<Vec<Receipt>> {
        let number = sealed.block.number();
        let missing = || Fault::Internal(format!("receipts of block {number} are missing"));
        self.store.receipts(number).ok_or_else(missing)
    }
}
