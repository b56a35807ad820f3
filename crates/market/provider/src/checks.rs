//! What a seller checks before an order costs it anything. Pure functions.

use crate::sealing::SealingKeys;
use alloy_primitives::{Address, U256, keccak256};
use hallmark_client::{
    Deposit, Level, ModelRecord, Order, Status,
    sealed::{Binding, EnvelopeError, Opened, envelope},
};
use hallmark_graph::Graph;

/// What the seller expects an order to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Gas of claim and delivery together.
    pub gas: u64,
    /// Gas limit of the longest delivery that the model's key allows.
    pub longest_gas: u64,
    /// Most gas that one transaction may ask for.
    pub transaction_gas: u64,
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
    NotOpen(Status),
    #[error("level `{0}` has no judge on chain")]
    Level(Level),
    #[error("model {0} is not served here: {1}")]
    Model(alloy_primitives::B256, String),
    #[error("the input does not fit the model: {0}")]
    Input(String),
    #[error("the order is sealed to other sellers")]
    NotNamed,
    #[error("the order's envelope is refused: {0}")]
    Envelope(EnvelopeError),
    #[error("its delivery may need {needed} gas and a transaction has {limit}")]
    Gas { needed: u64, limit: u64 },
    #[error("it earns {earning} wei and costs {cost} wei")]
    Price { earning: U256, cost: U256 },
    #[error("{left_ms} ms are left and {needed_ms} ms are needed")]
    Time { left_ms: u64, needed_ms: u64 },
    #[error("the free deposit is {free} wei and the bond {bond} wei")]
    Deposit { free: U256, bond: U256 },
}

impl Refusal {
    /// Whether the same order may pass later (a deposit freed, a cheaper block, a model loaded).
    pub fn may_pass_later(&self) -> bool {
        matches!(
            self,
            Self::Deposit { .. } | Self::Price { .. } | Self::Model(..)
        )
    }
}

/// Bond that a claim locks: `max(min_bond, price × bond_bps / 10000)`, in wei.
pub fn bond(price: U256, min_bond: U256, bond_bps: u16) -> U256 {
    min_bond.max(price.saturating_mul(U256::from(bond_bps)) / U256::from(10_000))
}

/// What the seller gets of an order's price; both other shares round down.
pub fn earning(order: &Order) -> U256 {
    let part = |bps: u16| order.price.saturating_mul(U256::from(bps)) / U256::from(10_000);
    order
        .price
        .saturating_sub(part(order.network_bps))
        .saturating_sub(part(order.owner_share_bps))
}

/// What is to be run for an order, and what the proof must hide.
#[derive(Clone)]
pub enum Job {
    /// Input and output are for everyone to see.
    Open(Vec<i32>),
    /// Found in the envelope, for nobody's eyes but the buyer's and the named sellers'.
    Sealed(Opened),
}

impl Job {
    /// Fits the model's graph.
    pub fn input(&self) -> &[i32] {
        match self {
            Self::Open(input) => input,
            Self::Sealed(opened) => &opened.input,
        }
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Job::Open(..)",
            Self::Sealed(_) => "Job::Sealed(..)",
        })
    }
}

/// Checks the terms of one order; cheap checks first. `now_ms` is the clock of the newest header.
///
/// # Errors
/// The first reason to leave the order alone.
pub fn check_order(
    order: &Order,
    model: &ModelRecord,
    deposit: &Deposit,
    costs: &Costs,
    now_ms: u64,
) -> Result<(), Refusal> {
    if order.status != Status::Open {
        return Err(Refusal::NotOpen(order.status));
    }
    if !order.level.is_available() {
        return Err(Refusal::Level(order.level));
    }
    if order.model != model.id {
        return Err(Refusal::Model(
            order.model,
            "the order is for another model".to_owned(),
        ));
    }
    if costs.longest_gas > costs.transaction_gas {
        return Err(Refusal::Gas {
            needed: costs.longest_gas,
            limit: costs.transaction_gas,
        });
    }
    // A claim needs a whole window before the deadline, and the work must fit into the window.
    let left_ms = order.deadline_ms.saturating_sub(now_ms);
    if left_ms < costs.claim_window_ms {
        return Err(Refusal::Time {
            left_ms,
            needed_ms: costs.claim_window_ms,
        });
    }
    if costs.work_ms > costs.claim_window_ms {
        let (left_ms, needed_ms) = (costs.claim_window_ms, costs.work_ms);
        return Err(Refusal::Time { left_ms, needed_ms });
    }
    let gas = U256::from(costs.gas).saturating_mul(U256::from(costs.gas_price));
    let margin = gas.saturating_mul(U256::from(costs.margin_bps)) / U256::from(10_000);
    let cost = gas.saturating_add(margin).max(costs.min_earning);
    let earning = earning(order);
    if earning < cost {
        return Err(Refusal::Price { earning, cost });
    }
    if deposit.free < costs.bond {
        return Err(Refusal::Deposit {
            free: deposit.free,
            bond: costs.bond,
        });
    }
    Ok(())
}

/// Reads the input of an open order.
///
/// # Errors
/// [`Refusal::Input`].
pub fn read_input(order: &Order, graph: &Graph, input: &[u8]) -> Result<Job, Refusal> {
    if keccak256(input) != order.input_hash {
        return Err(Refusal::Input("its hash is not the order's".to_owned()));
    }
    graph
        .decode_input(input)
        .map(Job::Open)
        .map_err(|error| Refusal::Input(error.to_string()))
}

/// A seller that may be named in a sealed order.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub chain_id: u64,
    pub me: Address,
    pub keys: &'a SealingKeys,
}

/// Opens the envelope of a sealed order that names these sellers.
///
/// # Errors
/// [`Refusal::NotNamed`], or [`Refusal::Envelope`] for one that does not open the order's
/// commitment: nobody could be paid for it.
pub fn open_envelope(
    order: &Order,
    graph: &Graph,
    envelope: &[u8],
    sellers: &[Address],
    seller: Named<'_>,
) -> Result<Job, Refusal> {
    if !sellers.contains(&seller.me) {
        return Err(Refusal::NotNamed);
    }
    let binding = Binding {
        chain_id: seller.chain_id,
        model: order.model,
        buyer: order.buyer,
        commitment: order.input_hash,
        sellers: sellers.to_vec(),
    };
    let find = |key: &[u8; 32]| seller.keys.find(key);
    envelope::open(envelope, &binding, seller.me, find, graph)
        .map(Job::Sealed)
        .map_err(Refusal::Envelope)
}
