//! Why a transaction is not admitted. The texts are geth's: wallets match them literally.

use alloy_primitives::U256;

/// Why a transaction is not admitted to the pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The bytes are not a canonical EIP-2718 transaction.
    #[error("rlp: {0}")]
    Decode(String),
    /// Type not carried by this chain.
    #[error("transaction type not supported: type {ty} ({name})")]
    TypeNotSupported {
        /// EIP-2718 type byte.
        ty: u8,
        /// Its common name.
        name: &'static str,
    },
    /// Encoded length above `max_tx_bytes`.
    #[error("oversized data: transaction size {got}, limit {limit}")]
    Oversized {
        /// Encoded length in bytes.
        got: usize,
        /// Largest length.
        limit: usize,
    },
    /// The signature does not recover.
    #[error("invalid sender")]
    InvalidSender,
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// In the transaction.
        have: u64,
        /// The chain's.
        want: u64,
    },
    /// Already in the pool.
    #[error("already known")]
    AlreadyKnown,
    /// The nonce was used already.
    #[error("nonce too low: next nonce {next}, tx nonce {got}")]
    NonceTooLow {
        /// The account's next nonce.
        next: u64,
        /// The transaction's nonce.
        got: u64,
    },
    /// The nonce is too far ahead of the account's.
    #[error("nonce too high: next nonce {next}, tx nonce {got}")]
    NonceTooHigh {
        /// The account's next nonce.
        next: u64,
        /// The transaction's nonce.
        got: u64,
    },
    /// Same sender and nonce as a pooled transaction without paying 10 percent more.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The pool is full and this pays less than the cheapest in it.
    #[error("transaction underpriced")]
    Underpriced,
    /// The pool is full and nothing could be evicted.
    #[error("txpool is full")]
    Full,
    /// The sender has too many transactions in the pool.
    #[error("account limit exceeded: {limit} pooled transactions")]
    AccountLimit {
        /// `mempool_per_sender`.
        limit: usize,
    },
    /// The balance does not cover this and the sender's earlier transactions.
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")]
    InsufficientFunds {
        /// The sender's balance.
        balance: U256,
        /// Cost of the sender's queue up to and with this transaction.
        cost: U256,
    },
    /// The gas limit does not cover what every transaction of this form costs.
    #[error("intrinsic gas too low: gas {have}, minimum needed {want}")]
    IntrinsicGas {
        /// The transaction's gas limit.
        have: u64,
        /// The least that is needed.
        want: u64,
    },
    /// The gas limit is above the chain's cap for a transaction.
    #[error("exceeds block gas limit: gas {have}, limit {limit}")]
    GasLimit {
        /// The transaction's gas limit.
        have: u64,
        /// `tx_gas_limit`.
        limit: u64,
    },
    /// The priority fee is above the fee cap.
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveFeeCap {
        /// `maxPriorityFeePerGas`.
        tip: u128,
        /// `maxFeePerGas`.
        cap: u128,
    },
    /// Init code above the limit.
    #[error("max initcode size exceeded: code size {got}, limit {limit}")]
    InitCodeSize {
        /// Length in bytes.
        got: usize,
        /// Largest length.
        limit: usize,
    },
    /// The sender has code that is not a delegation.
    #[error("sender not an eoa")]
    SenderNotEoa,
    /// A delegated account can lose its balance to anyone's transaction, so it may have only one
    /// transaction waiting, at its next nonce.
    #[error("in-flight transaction limit reached for delegated accounts")]
    DelegatedInFlight,
    /// EIP-7702: a transaction of type 4 must carry an authorization.
    #[error("EIP-7702 transaction with empty auth list")]
    EmptyAuthorizations,
    /// Fee cap times gas limit exceeds 128 bits, more than any balance.
    #[error("max fee per gas higher than 2^128 / gas limit")]
    FeeCapTooHigh,
    /// EIP-2681: the nonce 2^64 - 1 cannot be used.
    #[error("nonce has max value")]
    NonceMax,
}
