//! Blocks, transactions, receipts and logs in the shapes of the Ethereum JSON-RPC specification.

use crate::context::Sealed;
use alloy_consensus::{
    Transaction as _,
    transaction::{Recovered, TransactionInfo},
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    Block as RpcBlock, BlockTransactions, Header as RpcHeader, Log, Transaction as RpcTransaction,
    TransactionReceipt,
};
use hallmark_execution::PooledTransaction;
use hallmark_types::{Block, Receipt};

/// Header object, with hash and size in bytes of the whole block.
pub(crate) fn header(sealed: &Sealed) -> RpcHeader {
    let size = U256::from(sealed.block.length());
    RpcHeader {
        hash: sealed.hash,
        inner: sealed.block.header.clone(),
        total_difficulty: Some(U256::ZERO),
        size: Some(size),
    }
}

/// Block object; `senders` are those of its transactions, in order, and needed for full ones only.
pub(crate) fn block(sealed: &Sealed, senders: Option<&[Address]>) -> RpcBlock {
    let transactions = match senders {
        None => BlockTransactions::Hashes(
            sealed
                .block
                .transactions
                .iter()
                .map(|tx| *tx.tx_hash())
                .collect(),
        ),
        Some(senders) => BlockTransactions::Full(
            senders
                .iter()
                .enumerate()
                .filter_map(|(index, sender)| transaction(sealed, index, *sender))
                .collect(),
        ),
    };
    let withdrawals = sealed
        .block
        .header
        .withdrawals_root
        .map(|_| Withdrawals::default());
    RpcBlock {
        header: header(sealed),
        uncles: Vec::new(),
        transactions,
        withdrawals,
    }
}

/// A mined transaction; `None` if the block has no such index.
pub(crate) fn transaction(
    sealed: &Sealed,
    index: usize,
    sender: Address,
) -> Option<RpcTransaction> {
    let tx = sealed.block.transactions.get(index)?;
    let header = &sealed.block.header;
    let info = TransactionInfo {
        hash: Some(*tx.tx_hash()),
        index: Some(index as u64),
        block_hash: Some(sealed.hash),
        block_number: Some(header.number),
        base_fee: header.base_fee_per_gas,
        block_timestamp: Some(header.timestamp),
    };
    Some(RpcTransaction::from_transaction(
        Recovered::new_unchecked(tx.clone(), sender),
        info,
    ))
}

/// A transaction that waits in the mempool.
pub(crate) fn pending(pooled: &PooledTransaction) -> RpcTransaction {
    let tx = Recovered::new_unchecked(pooled.tx.clone(), pooled.sender);
    let info = TransactionInfo {
        hash: Some(pooled.hash),
        ..Default::default()
    };
    RpcTransaction::from_transaction(tx, info)
}

/// Receipt objects of a whole block.
pub(crate) fn receipts(
    sealed: &Sealed,
    senders: &[Address],
    receipts: Vec<Receipt>,
) -> Vec<TransactionReceipt> {
    let header = &sealed.block.header;
    let mut gas_before = 0u64;
    let mut log_index = 0u64;
    let parts = sealed.block.transactions.iter().zip(senders).zip(receipts);
    parts
        .enumerate()
        .map(|(index, ((tx, sender), receipt))| {
            let cumulative = receipt.cumulative_gas_used();
            let gas_used = cumulative.saturating_sub(gas_before);
            gas_before = cumulative;
            let hash = *tx.tx_hash();
            let inner = receipt.map_logs(|log| {
                let log = Log {
                    inner: log,
                    block_hash: Some(sealed.hash),
                    block_number: Some(header.number),
                    block_timestamp: Some(header.timestamp),
                    transaction_hash: Some(hash),
                    transaction_index: Some(index as u64),
                    log_index: Some(log_index),
                    removed: false,
                };
                log_index = log_index.saturating_add(1);
                log
            });
            TransactionReceipt {
                inner,
                transaction_hash: hash,
                transaction_index: Some(index as u64),
                block_hash: Some(sealed.hash),
                block_number: Some(header.number),
                gas_used,
                effective_gas_price: tx.effective_gas_price(header.base_fee_per_gas),
                blob_gas_used: None,
                blob_gas_price: None,
                from: *sender,
                to: tx.to(),
                contract_address: tx.is_create().then(|| sender.create(tx.nonce())),
            }
        })
        .collect()
}

/// Pairs of transaction hash and receipt, the form that log filters take.
pub(crate) fn with_hashes<'a>(
    block: &'a Block,
    receipts: &'a [Receipt],
) -> impl Iterator<Item = (B256, &'a Receipt)> {
    block
        .transactions
        .iter()
        .map(|tx| *tx.tx_hash())
        .zip(receipts)
}
