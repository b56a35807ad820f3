//! What a seller checks before an order costs it anything. Pure functions.

use alloy_primitives::U256;
use hallmark_client::{Deposit, ModelRecord, Order};
use hallmark_graph::Graph;

/// What the seller expects an order to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Gas of claim and delivery together.
    pub gas: u64,
    /// Wei per gas.
    pub gas_price: u128,
    /// Proving and delivering, in milliseconds.
    pub work_ms: u64,
    /// Bond that the claim will lock, in wei.
    pub bond: U256,
    /// Margin over the gas cost, in 1/10000 of it.
    pub margin_bps: u32,
    /// Least earning that the seller wants, in wei.
    pub min_earning: U256,
    /// The claim window, in milliseconds.
    pub claim_window_ms: u64,
}

/// Why an order is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the order is {0}, not open")]
    NotOpen(hallmark_client::Status),
    #[error("level `{0}` has no judge on chain")]
    Level(hallmark_client::Level),
    #[error("model {0} is not served here: {1}")]
    Model(alloy_primitives::B256, String),
    #[error("the input does not fit the model: {0}")]
    Input(String),
    #[error("it earns {earning} wei and costs {cost} wei")]
    Price { earning: U256, cost: U256 },
    #[error("{left_ms} ms are left and the work takes about {needed_ms} ms")]
    Time { left_ms: u64, needed_ms: u64 },
    #[error("the free deposit is {free} wei and the bond {bond} wei")]
    Deposit { free: U256, bond: U256 },
}

/// Checks one order; the decoded input comes back.
pub fn check_order(
    _order: &Order,
    _model: &ModelRecord,
    _graph: &Graph,
    _input: &[u8],
    _deposit: &Deposit,
    _costs: &Costs,
    _now_ms: u64,
) -> Result<Vec<i32>, Refusal> {
    todo!()
}
