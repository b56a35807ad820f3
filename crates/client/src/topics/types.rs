//! What contract `Topics` knows, as plain data that a person or a program can print.

use crate::ClientError;
use alloy_primitives::{Address, B256, Bytes, U256};
use hallmark_abi::ITopics;
use hallmark_fixed::Q64;
use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Index of no slot.
pub const NO_SLOT: u16 = u16::MAX;

/// A number of 64 fractional bits as decimal text, exact.
pub fn decimal(bits: i128) -> String {
    Q64::from_bits(bits).to_string()
}

/// The nearest double, for pictures and summaries.
pub fn q64_to_f64(bits: i128) -> f64 {
    bits as f64 / 2f64.powi(64)
}

/// A q64 as a JSON number, nearest double.
fn number<S: Serializer>(bits: &i128, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(q64_to_f64(*bits))
}

fn numbers<S: Serializer>(list: &[i128; 5], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(list.iter().map(|bits| q64_to_f64(*bits)))
}

/// A whole number as decimal JSON text: more than a double can hold.
pub(super) fn wei<S: Serializer>(amount: &impl fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(amount)
}

/// Text or a number that names no variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a {what}; there are {known}")]
pub struct NameError {
    found: String,
    what: &'static str,
    known: &'static str,
}

macro_rules! named {
    ($name:ident, $abi:ident, $what:literal, $known:literal, $($variant:ident = $text:literal),+) => {
        impl $name {
            pub(super) fn from_abi(value: ITopics::$abi) -> Result<Self, ClientError> {
                Self::try_from(value as u8).map_err(|error| ClientError::Malformed(error.to_string()))
            }
        }

        impl TryFrom<u8> for $name {
            type Error = NameError;

            fn try_from(value: u8) -> Result<Self, NameError> {
                $(if value == Self::$variant as u8 { return Ok(Self::$variant); })+
                Err(NameError { found: value.to_string(), what: $what, known: $known })
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                match text.to_ascii_lowercase().as_str() {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(NameError { found: text.to_owned(), what: $what, known: $known }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

/// How usefulness is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Kind {
    Yuma = 0,
    Synthesis = 1,
    Score = 2,
}
named!(
    Kind,
    Kind,
    "mechanism",
    "yuma, synthesis and score",
    Yuma = "yuma",
    Synthesis = "synthesis",
    Score = "score"
);

/// What a slot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Role {
    Worker = 0,
    Forecaster = 1,
    Reputer = 2,
}
named!(
    Role,
    Role,
    "role",
    "worker, forecaster and reputer",
    Worker = "worker",
    Forecaster = "forecaster",
    Reputer = "reputer"
);

impl Kind {
    pub(super) fn to_abi(self) -> ITopics::Kind {
        match self {
            Self::Yuma => ITopics::Kind::Yuma,
            Self::Synthesis => ITopics::Kind::Synthesis,
            Self::Score => ITopics::Kind::Score,
        }
    }
}

impl Role {
    pub(super) fn to_abi(self) -> ITopics::Role {
        match self {
            Self::Worker => ITopics::Role::Worker,
            Self::Forecaster => ITopics::Role::Forecaster,
            Self::Reputer => ITopics::Role::Reputer,
        }
    }
}

/// Where an epoch stands, in the order of the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Stage {
    None = 0,
    Open = 1,
    Sealed = 2,
    Lag = 3,
    Reveal = 4,
    Settle = 5,
    Done = 6,
    Cancelled = 7,
}
named!(
    Stage,
    Stage,
    "stage",
    "none, open, sealed, lag, reveal, settle, done and cancelled",
    None = "none",
    Open = "open",
    Sealed = "sealed",
    Lag = "lag",
    Reveal = "reveal",
    Settle = "settle",
    Done = "done",
    Cancelled = "cancelled"
);

impl Stage {
    /// Whether an epoch is under way.
    pub fn is_running(self) -> bool {
        matches!(
            self,
            Stage::Open | Stage::Sealed | Stage::Lag | Stage::Reveal | Stage::Settle
        )
    }
}

/// A mechanism of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mechanism {
    pub kind: Kind,
    /// Its part of what the topic pays, in 1/10000.
    pub share_bps: u16,
    /// The kind's parameters, encoded; empty: its defaults.
    pub params: Bytes,
}

impl Mechanism {
    pub(super) fn to_abi(&self) -> ITopics::Mechanism {
        ITopics::Mechanism {
            kind: self.kind.to_abi(),
            shareBps: self.share_bps,
            params: self.params.clone(),
        }
    }

    pub(super) fn from_abi(found: ITopics::Mechanism) -> Result<Self, ClientError> {
        Ok(Self {
            kind: Kind::from_abi(found.kind)?,
            share_bps: found.shareBps,
            params: found.params,
        })
    }
}

/// What a topic's owner decides. Times in milliseconds, money in wei.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub open_ms: u64,
    pub sealed_ms: u64,
    pub lag_ms: u64,
    pub reveal_ms: u64,
    /// From one opening to the next at least.
    pub epoch_ms: u64,
    pub max_workers: u16,
    pub max_forecasters: u16,
    pub max_reputers: u16,
    pub immunity_ms: u64,
    #[serde(serialize_with = "wei")]
    pub min_bond: u128,
    #[serde(serialize_with = "wei")]
    pub submit_fee: u128,
    pub vesting_ms: u64,
    pub owner_bps: u16,
    /// Range of inferences (q64); both zero: any.
    #[serde(serialize_with = "number")]
    pub value_min: i128,
    #[serde(serialize_with = "number")]
    pub value_max: i128,
}

impl Policy {
    pub(super) fn to_abi(&self) -> ITopics::Policy {
        ITopics::Policy {
            openMs: self.open_ms,
            sealedMs: self.sealed_ms,
            lagMs: self.lag_ms,
            revealMs: self.reveal_ms,
            epochMs: self.epoch_ms,
            maxWorkers: self.max_workers,
            maxForecasters: self.max_forecasters,
            maxReputers: self.max_reputers,
            immunityMs: self.immunity_ms,
            minBond: self.min_bond,
            submitFee: self.submit_fee,
            vestingMs: self.vesting_ms,
            ownerBps: self.owner_bps,
            valueMin: self.value_min,
            valueMax: self.value_max,
        }
    }

    pub(super) fn from_abi(found: ITopics::Policy) -> Self {
        Self {
            open_ms: found.openMs,
            sealed_ms: found.sealedMs,
            lag_ms: found.lagMs,
            reveal_ms: found.revealMs,
            epoch_ms: found.epochMs,
            max_workers: found.maxWorkers,
            max_forecasters: found.maxForecasters,
            max_reputers: found.maxReputers,
            immunity_ms: found.immunityMs,
            min_bond: found.minBond,
            submit_fee: found.submitFee,
            vesting_ms: found.vestingMs,
            owner_bps: found.ownerBps,
            value_min: found.valueMin,
            value_max: found.valueMax,
        }
    }
}

/// What it takes to make a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicPlan {
    pub title: String,
    pub policy: Policy,
    pub mechanisms: Vec<Mechanism>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    #[serde(serialize_with = "wei")]
    pub id: U256,
    pub owner: Address,
    pub title: String,
    pub policy: Policy,
    #[serde(serialize_with = "wei")]
    pub bond: u128,
    pub created_at_ms: u64,
    /// The epoch that is open, or the one to open next.
    pub epoch: u64,
    pub stage: Stage,
    pub stage_end_ms: u64,
    pub slot_count: u16,
    #[serde(serialize_with = "wei")]
    pub slot_price: u128,
    #[serde(serialize_with = "wei")]
    pub burned: u128,
    #[serde(serialize_with = "wei")]
    pub paid: u128,
    #[serde(serialize_with = "wei")]
    pub granted: u128,
    #[serde(serialize_with = "wei")]
    pub stake: u128,
    #[serde(serialize_with = "wei")]
    pub weight: u128,
    pub retired: bool,
}

impl Topic {
    pub(super) fn from_abi(found: ITopics::Topic) -> Result<Self, ClientError> {
        Ok(Self {
            id: found.id,
            owner: found.owner,
            title: found.title,
            policy: Policy::from_abi(found.policy),
            bond: found.bond,
            created_at_ms: found.createdAtMs,
            epoch: found.epoch,
            stage: Stage::from_abi(found.stage)?,
            stage_end_ms: found.stageEndMs,
            slot_count: found.slotCount,
            slot_price: found.slotPrice,
            burned: found.burned,
            paid: found.paid,
            granted: found.granted,
            stake: found.stake,
            weight: found.weight,
            retired: found.retired,
        })
    }
}

/// A slot of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    pub index: u16,
    /// Nobody while zero.
    pub operator: Address,
    pub role: Role,
    #[serde(serialize_with = "wei")]
    pub bond: u128,
    pub registered_at_ms: u64,
    pub last_submit_ms: u64,
    #[serde(serialize_with = "wei")]
    pub emission_ema: u128,
    pub share_billionths: u64,
    #[serde(serialize_with = "number")]
    pub score: i128,
    pub permit: bool,
    #[serde(serialize_with = "wei")]
    pub pool: U256,
    #[serde(serialize_with = "wei")]
    pub stake: u128,
    pub take_bps: u16,
    /// Epoch of its open commitment that is not revealed; zero: none.
    pub unrevealed: u64,
}

impl Slot {
    pub(super) fn from_abi(found: ITopics::SlotInfo) -> Result<Self, ClientError> {
        Ok(Self {
            index: found.index,
            operator: found.operator,
            role: Role::from_abi(found.role)?,
            bond: found.bond,
            registered_at_ms: found.registeredAtMs,
            last_submit_ms: found.lastSubmitMs,
            emission_ema: found.emissionEma,
            share_billionths: found.shareBillionths,
            score: found.score,
            permit: found.permit,
            pool: found.pool,
            stake: found.stake,
            take_bps: found.takeBps,
            unrevealed: found.unrevealed,
        })
    }

    /// Whether somebody holds the slot.
    pub fn is_held(&self) -> bool {
        !self.operator.is_zero()
    }
}

/// An epoch of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Epoch {
    pub epoch: u64,
    pub stage: Stage,
    pub opened_at_ms: u64,
    pub settled_at_ms: u64,
    #[serde(serialize_with = "wei")]
    pub burned: u128,
    #[serde(serialize_with = "wei")]
    pub paid: u128,
    pub commitments: u32,
    pub reveals: u32,
    pub settlement: B256,
}

impl Epoch {
    pub(super) fn from_abi(found: ITopics::EpochInfo) -> Result<Self, ClientError> {
        Ok(Self {
            epoch: found.epoch,
            stage: Stage::from_abi(found.stage)?,
            opened_at_ms: found.openedAtMs,
            settled_at_ms: found.settledAtMs,
            burned: found.burned,
            paid: found.paid,
            commitments: found.commitments,
            reveals: found.reveals,
            settlement: found.settlement,
        })
    }
}

/// A network inference with percentiles 2.28, 15.87, 50, 84.13 and 97.72 (q64).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inference {
    pub epoch: u64,
    pub at_ms: u64,
    #[serde(serialize_with = "number")]
    pub value: i128,
    #[serde(serialize_with = "numbers")]
    pub percentiles: [i128; 5],
}

impl Inference {
    pub(super) fn from_abi(found: ITopics::Inference) -> Self {
        Self {
            epoch: found.epoch,
            at_ms: found.atMs,
            value: found.value,
            percentiles: found.percentiles,
        }
    }
}

/// A stake pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    pub slot: u16,
    #[serde(serialize_with = "wei")]
    pub topic: U256,
    pub operator: Address,
    #[serde(serialize_with = "wei")]
    pub amount: u128,
    #[serde(serialize_with = "wei")]
    pub shares: U256,
    pub take_bps: u16,
    pub next_take_bps: u16,
    pub next_take_at_ms: u64,
}

impl Pool {
    pub(super) fn from_abi(found: ITopics::Pool) -> Self {
        Self {
            slot: found.slot,
            topic: found.topic,
            operator: found.operator,
            amount: found.amount,
            shares: found.shares,
            take_bps: found.takeBps,
            next_take_bps: found.nextTakeBps,
            next_take_at_ms: found.nextTakeAtMs,
        }
    }
}

/// An account's coins at the contract, in wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Balances {
    #[serde(serialize_with = "wei")]
    pub free: U256,
    #[serde(serialize_with = "wei")]
    pub vesting: U256,
    #[serde(serialize_with = "wei")]
    pub waiting: U256,
    pub next_at_ms: u64,
}

/// What every topic of a chain obeys. Times in milliseconds, money in wei, parts in 1/10000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    #[serde(serialize_with = "wei")]
    pub topic_bond: u128,
    #[serde(serialize_with = "wei")]
    pub create_fee: u128,
    pub return_bps: u16,
    pub network_bps: u16,
    pub treasury: Address,
    pub unstake_delay_ms: u64,
    /// A raise of a take waits so long.
    pub take_delay_ms: u64,
    pub timelock_ms: u64,
    /// More than this part of stake and bonds strikes a proposal.
    pub veto_bps: u16,
    pub grant_epochs: u32,
    pub grace_ms: u64,
    pub slots_per_slice: u16,
}

impl Rules {
    pub(super) fn from_abi(found: ITopics::Params) -> Self {
        Self {
            topic_bond: found.topicBond,
            create_fee: found.createFee,
            return_bps: found.returnBps,
            network_bps: found.networkBps,
            treasury: found.treasury,
            unstake_delay_ms: found.unstakeDelayMs,
            take_delay_ms: found.takeDelayMs,
            timelock_ms: found.timelockMs,
            veto_bps: found.vetoBps,
            grant_epochs: found.grantEpochs,
            grace_ms: found.graceMs,
            slots_per_slice: found.slotsPerSlice,
        }
    }
}
