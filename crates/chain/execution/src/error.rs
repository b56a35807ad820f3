//! Why a transaction or a block is refused.

use alloy_primitives::{Address, B256, Bloom, U256};

/// Why a transaction may not be executed at this point of this block. It leaves no trace: it has
/// no receipt and pays nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// The nonce was used already.
    #[error("nonce too low: next nonce {state}, tx nonce {tx}")]
    NonceTooLow {
        /// The account's next nonce.
        state: u64,
        /// The transaction's nonce.
        tx: u64,
    },
    /// Transactions before this one are missing.
    #[error("nonce too high: next nonce {state}, tx nonce {tx}")]
    NonceTooHigh {
        /// The account's next nonce.
        state: u64,
        /// The transaction's nonce.
        tx: u64,
    },
    /// The sender cannot pay gas limit * fee cap + value.
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")]
    InsufficientFunds {
        /// The sender's balance.
        balance: U256,
        /// What the transaction may cost at most.
        cost: U256,
    },
    /// The fee cap does not reach the block's base fee.
    #[error("max fee per gas less than block base fee: maxFeePerGas {fee_cap}, baseFee {base_fee}")]
    FeeCapTooLow {
        /// The transaction's `maxFeePerGas`.
        fee_cap: u128,
        /// The block's base fee.
        base_fee: u64,
    },
    /// What is left of the block's gas does not cover the transaction's gas limit.
    #[error("gas limit reached: {available} left in the block, {limit} needed")]
    BlockGasExhausted {
        /// Gas left in the block.
        available: u64,
        /// The transaction's gas limit.
        limit: u64,
    },
    /// The block's byte limit would be exceeded.
    #[error("block size limit reached")]
    BlockBytesExhausted,
    /// A transaction type that this chain does not carry.
    #[error("transaction type {0} not supported")]
    UnsupportedType(u8),
    /// Anything else that the EVM's validation refuses (chain id, intrinsic gas, gas cap, code at
    /// the sender, ...), in its words.
    #[error("{0}")]
    Invalid(String),
}

impl TransactionError {
    /// Whether the transaction can not become executable by waiting, so that a pool should drop
    /// it: its nonce is used, its sender cannot pay it, or no state makes it valid.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NonceTooLow { .. }
            | Self::InsufficientFunds { .. }
            | Self::UnsupportedType(_)
            | Self::Invalid(_) => true,
            Self::NonceTooHigh { .. }
            | Self::FeeCapTooLow { .. }
            | Self::BlockGasExhausted { .. }
            | Self::BlockBytesExhausted => false,
        }
    }
}

/// Why a block is refused. Every variant but [`BlockError::Fatal`] means that the block is
/// permanently invalid on this parent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The parent hash is not the hash of the parent.
    #[error("parent hash {got}, expected {expected}")]
    ParentHash {
        /// In the block.
        got: B256,
        /// Of the parent.
        expected: B256,
    },
    /// The number is not the parent's number plus one.
    #[error("block number {got}, expected {expected}")]
    Number {
        /// In the block.
        got: u64,
        /// From the parent.
        expected: u64,
    },
    /// The timestamp breaks a rule relative to the parent.
    #[error("timestamp: {0}")]
    Timestamp(String),
    /// The extra data has not the layout of a header extra.
    #[error("extra data: {0}")]
    Extra(String),
    /// The epoch in the extra data is not the height's.
    #[error("epoch {got}, expected {expected}")]
    Epoch {
        /// In the extra data.
        got: u32,
        /// Of the height.
        expected: u64,
    },
    /// The leader index names no validator of the epoch.
    #[error("leader {leader} of {validators} validators")]
    Leader {
        /// In the extra data.
        leader: u16,
        /// How many there are.
        validators: usize,
    },
    /// The beneficiary is not the leader's address.
    #[error("beneficiary {got}, expected the leader's {expected}")]
    Beneficiary {
        /// In the block.
        got: Address,
        /// The leader's.
        expected: Address,
    },
    /// The gas limit is not the chain's.
    #[error("gas limit {got}, expected {expected}")]
    GasLimit {
        /// In the block.
        got: u64,
        /// The chain's.
        expected: u64,
    },
    /// The base fee does not follow from the parent by EIP-1559.
    #[error("base fee {got:?}, expected {expected}")]
    BaseFee {
        /// In the block.
        got: Option<u64>,
        /// From the parent.
        expected: u64,
    },
    /// A field that is constant on this chain has another value.
    #[error("header field {0} is not the chain's constant")]
    ConstantField(&'static str),
    /// The encoded block is too large.
    #[error("block of {got} bytes, at most {limit}")]
    TooLarge {
        /// Encoded length.
        got: usize,
        /// `max_block_bytes`.
        limit: usize,
    },
    /// An encoded transaction is too large.
    #[error("transaction {index} of {got} bytes, at most {limit}")]
    TransactionTooLarge {
        /// Index in the block.
        index: usize,
        /// Encoded length.
        got: usize,
        /// `max_tx_bytes`.
        limit: usize,
    },
    /// The transactions root does not match the transactions.
    #[error("transactions root {got}, computed {expected}")]
    TransactionsRoot {
        /// In the header.
        got: B256,
        /// Computed.
        expected: B256,
    },
    /// A signature does not recover to a sender.
    #[error("transaction {index}: signature does not recover")]
    Signature {
        /// Index in the block.
        index: usize,
    },
    /// A transaction may not be executed where it stands.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Index in the block.
        index: usize,
        /// Why.
        error: TransactionError,
    },
    /// Gas used differs from the execution's.
    #[error("gas used {got}, computed {expected}")]
    GasUsed {
        /// In the header.
        got: u64,
        /// Computed.
        expected: u64,
    },
    /// The receipts root differs from the execution's.
    #[error("receipts root {got}, computed {expected}")]
    ReceiptsRoot {
        /// In the header.
        got: B256,
        /// Computed.
        expected: B256,
    },
    /// The logs bloom differs from the execution's.
    #[error("logs bloom differs from the execution's")]
    Bloom {
        /// In the header.
        got: Box<Bloom>,
        /// Computed.
        expected: Box<Bloom>,
    },
    /// The state root differs from the execution's.
    #[error("state root {got}, computed {expected}")]
    StateRoot {
        /// In the header.
        got: B256,
        /// Computed.
        expected: B256,
    },
    /// This node cannot judge the block: its state is damaged, or executing it created or lost
    /// money. The block must never be accepted, and the node should stop.
    #[error("fatal: {0}")]
    Fatal(String),
}
