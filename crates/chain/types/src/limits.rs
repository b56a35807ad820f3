//! Sizes, rates and prices that every node of a chain agrees on.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::{MARK, SpecError};

/// Bounds on what a node accepts, keeps and computes. Part of the chain spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest EIP-2718 encoding of one transaction, bytes.
    pub max_tx_bytes: usize,
    /// Longest RLP encoding of one block, bytes.
    pub max_block_bytes: usize,
    /// Gas limit of every block. One million gas is meant to cost at most one CPU millisecond.
    pub block_gas_limit: u64,
    /// Most gas that one transaction may ask for.
    pub tx_gas_limit: u64,
    /// Price of a payload byte: gas per calldata token (a zero byte is one token, any other four).
    pub payload_gas_per_token: u64,
    /// Least gas per calldata token that a transaction pays whatever it executes (EIP-7623).
    pub payload_floor_gas_per_token: u64,
    /// A block is never proposed sooner than this after its parent, milliseconds.
    pub min_block_interval_ms: u64,
    /// An empty block is proposed this long after its parent, milliseconds.
    pub idle_block_interval_ms: u64,
    /// A block's timestamp is at most this far after its parent's, milliseconds (see
    /// [`crate::header::timestamp_bounds`]).
    pub max_parent_gap_ms: u64,
    /// A validator does not vote for a proposal whose timestamp is further than this ahead of its
    /// own clock, milliseconds. A rule of voting, never of validity: replay uses no clock.
    pub max_clock_skew_ms: u64,
    /// Most transactions in a mempool.
    pub mempool_max_txs: usize,
    /// Most bytes of encoded transactions in a mempool.
    pub mempool_max_bytes: usize,
    /// Most transactions of one sender in a mempool.
    pub mempool_per_sender: usize,
    /// Longest body of a JSON-RPC request, bytes. A raw transaction travels as hex.
    pub rpc_max_body_bytes: usize,
    /// Gas cap of `eth_call` and `eth_estimateGas`.
    pub eth_call_gas: u64,
}

impl Limits {
    /// Values for local networks and tests.
    pub fn local() -> Self {
        Self {
            max_tx_bytes: 2 << 20,
            max_block_bytes: 3 << 20,
            block_gas_limit: 300_000_000,
            tx_gas_limit: 150_000_000,
            payload_gas_per_token: 4,
            payload_floor_gas_per_token: 10,
            min_block_interval_ms: 20,
            idle_block_interval_ms: 250,
            max_parent_gap_ms: 2_000,
            max_clock_skew_ms: 1_000,
            mempool_max_txs: 10_000,
            mempool_max_bytes: 64 << 20,
            mempool_per_sender: 256,
            rpc_max_body_bytes: 6 << 20,
            eth_call_gas: 150_000_000,
        }
    }

    /// Longest message between validators, bytes: one block and the protocol's envelope.
    pub fn max_message_bytes(&self) -> usize {
        self.max_block_bytes.saturating_add(64 << 10)
    }

    pub(crate) fn check(&self) -> Result<(), SpecError> {
        const MAX_BYTES: usize = 64 << 20;
        range("max_tx_bytes", self.max_tx_bytes, 1 << 10, MAX_BYTES)?;
        range("max_block_bytes", self.max_block_bytes, 4 << 10, MAX_BYTES)?;
        // A full transaction must fit into a block next to the header and the list framing.
        at_least(
            "max_block_bytes",
            self.max_block_bytes,
            self.max_tx_bytes.saturating_add(2 << 10),
            "max_tx_bytes and the header",
        )?;
        range("block_gas_limit", self.block_gas_limit, 1_000_000, 1 << 40)?;
        range(
            "tx_gas_limit",
            self.tx_gas_limit,
            21_000,
            self.block_gas_limit,
        )?;
        range(
            "payload_gas_per_token",
            self.payload_gas_per_token,
            1,
            1_000,
        )?;
        range(
            "payload_floor_gas_per_token",
            self.payload_floor_gas_per_token,
            1,
            1_000,
        )?;
        range(
            "min_block_interval_ms",
            self.min_block_interval_ms,
            1,
            60_000,
        )?;
        range(
            "idle_block_interval_ms",
            self.idle_block_interval_ms,
            self.min_block_interval_ms,
            60_000,
        )?;
        // Otherwise an idle chain could not keep up with the clock.
        range(
            "max_parent_gap_ms",
            self.max_parent_gap_ms,
            self.idle_block_interval_ms.saturating_mul(2),
            3_600_000,
        )?;
        range("max_clock_skew_ms", self.max_clock_skew_ms, 1, 60_000)?;
        range("mempool_max_txs", self.mempool_max_txs, 1, 1 << 24)?;
        at_least(
            "mempool_max_bytes",
            self.mempool_max_bytes,
            self.max_tx_bytes,
            "max_tx_bytes",
        )?;
        range(
            "mempool_per_sender",
            self.mempool_per_sender,
            1,
            self.mempool_max_txs,
        )?;
        at_least(
            "rpc_max_body_bytes",
            self.rpc_max_body_bytes,
            self.max_tx_bytes.saturating_mul(2).saturating_add(1 << 10),
            "a raw transaction of max_tx_bytes as hex",
        )?;
        range("eth_call_gas", self.eth_call_gas, 21_000, 1 << 40)
    }
}

/// Rules of the inference market. Part of the chain spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketParams {
    /// A claim is exclusive for this long, milliseconds of header time.
    pub claim_window_ms: u64,
    /// Least bond of a claim, units of 10^-18 MARK.
    pub min_bond: U256,
    /// Bond of a claim in parts per 10,000 of the order's price.
    pub bond_bps: u16,
    /// The network's share of a paid order, parts per 10,000 of its price.
    pub network_bps: u16,
    /// Most claims that one seller may hold open.
    pub max_open_claims_per_seller: u32,
    /// Longest verifying key, bytes.
    pub max_key_bytes: u32,
    /// Longest input, and longest output, of an order, bytes.
    pub max_input_bytes: u32,
    /// Most orders that the end of one block examines for expiry.
    pub sweep_per_block: u32,
    /// Gas of a verification before anything that depends on the key or the proof.
    pub verify_base_gas: u64,
    /// Gas of a verification per proof byte, charged before the first is decoded.
    pub verify_gas_per_byte: u64,
}

impl MarketParams {
    /// Values for local networks and tests.
    pub fn local() -> Self {
        Self {
            claim_window_ms: 8_000,
            min_bond: U256::from(MARK),
            bond_bps: 5_000,
            network_bps: 200,
            max_open_claims_per_seller: 64,
            max_key_bytes: 65_536,
            max_input_bytes: 65_536,
            sweep_per_block: 16,
            verify_base_gas: 2_000_000,
            verify_gas_per_byte: 8,
        }
    }

    pub(crate) fn check(&self, limits: &Limits) -> Result<(), SpecError> {
        // One leader can move header time by one gap; a window must leave room for several.
        range(
            "claim_window_ms",
            self.claim_window_ms,
            limits.max_parent_gap_ms.saturating_mul(3),
            86_400_000,
        )?;
        range(
            "min_bond",
            self.min_bond,
            U256::from(1),
            U256::from(u128::MAX),
        )?;
        range("bond_bps", self.bond_bps, 1, 50_000)?;
        range("network_bps", self.network_bps, 0, 5_000)?;
        range(
            "max_open_claims_per_seller",
            self.max_open_claims_per_seller,
            1,
            65_536,
        )?;
        let max_tx_bytes = u32::try_from(limits.max_tx_bytes).unwrap_or(u32::MAX);
        range("max_key_bytes", self.max_key_bytes, 64, 16 << 20)?;
        range("max_input_bytes", self.max_input_bytes, 1, max_tx_bytes / 2)?;
        range("sweep_per_block", self.sweep_per_block, 1, 4_096)?;
        range(
            "verify_base_gas",
            self.verify_base_gas,
            1,
            limits.tx_gas_limit,
        )?;
        range(
            "verify_gas_per_byte",
            self.verify_gas_per_byte,
            1,
            1_000_000,
        )
    }
}

pub(crate) fn range<T: PartialOrd + std::fmt::Display>(
    field: &'static str,
    value: T,
    min: T,
    max: T,
) -> Result<(), SpecError> {
    if value < min || value > max {
        let reason = format!("{value} is outside {min}..={max}");
        return Err(SpecError::Parameter { field, reason });
    }
    Ok(())
}

fn at_least(
    field: &'static str,
    value: usize,
    min: usize,
    holds: &'static str,
) -> Result<(), SpecError> {
    if value < min {
        let reason = format!("{value} cannot hold {holds} ({min})");
        return Err(SpecError::Parameter { field, reason });
    }
    Ok(())
}
