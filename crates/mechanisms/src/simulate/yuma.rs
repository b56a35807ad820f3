//! Cases of Yuma.
//!
//! | field of a case | |
//! |---|---|
//! | `params` | [`ParamsIn`]; a missing field has the source's default |
//! | `stake` | one number per slot |
//! | `permits` | who had a permit after the epoch before; missing: no one |
//! | `bonds` | rows of `[slot, u16]`; missing: none |
//! | `epochs` | [`EpochIn`] each |
//! | anything else | not read; what is none of `name`, `note`, `expect` is listed in `ignored` |
//!
//! Each epoch of the result is an [`EpochOut`]. Permits and bonds pass from epoch to epoch.

use super::number::Units;
use super::{Fault, Known, parse, write};
use crate::yuma::{
    AbsentBonds, Epoch, Error, LiquidAlpha, Outcome, Params, Row, State, Version, settle,
};
use hallmark_fixed::Q32;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(super) const KNOWN: Known = Known {
    case: &["stake", "permits", "bonds"],
    epoch: &[
        "block",
        "last_step_block",
        "last_update",
        "reg_block",
        "weights",
        "stake",
        "commits",
        "reset_bonds",
    ],
};

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    params: ParamsIn,
    stake: Vec<Units>,
    permits: Option<Vec<bool>>,
    bonds: Option<Vec<Row>>,
    epochs: Vec<EpochIn>,
}

/// The rules of the topic; sixteen-bit proportions are 65,535ths.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParamsIn {
    /// Version 3 instead of 2.
    pub yuma3: bool,
    /// Majority.
    pub kappa: u16,
    /// Part of the clipping that applies to bonds.
    pub bonds_penalty: u16,
    /// Part of the old bond that is kept, in millionths.
    pub bonds_moving_average: u64,
    /// Rate of bonds per entry; version 3 only.
    pub liquid_alpha: bool,
    /// Least rate.
    pub alpha_low: u16,
    /// Greatest rate.
    pub alpha_high: u16,
    /// Hundredths.
    pub alpha_sigmoid_steepness: i16,
    /// `"drop"` (the source's way, also if missing) or `"decay"`: what becomes of a bond under
    /// liquid alpha when the weight is left out.
    pub absent_bonds: AbsentBondsIn,
    /// Deviation below consensus counts as deviation above it does.
    pub two_sided: bool,
    /// Quantile of the positive stakes above which stake does not count, in 65,535ths, or null.
    pub stake_cap: Option<u16>,
    /// Validators are paid by stake where nobody has incentive; true if missing.
    pub pay_idle: bool,
    /// Number of permits.
    pub max_validators: u16,
    /// Slot of the owner, or null.
    pub owner_uid: Option<u16>,
    /// Least stake that counts.
    pub stake_threshold: Units,
    /// Blocks.
    pub activity_cutoff: u64,
    /// Blocks.
    pub tempo: u64,
    /// Paid per epoch, in the smallest unit.
    pub emission: u64,
}

/// See [`AbsentBonds`].
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AbsentBondsIn {
    /// See [`AbsentBonds::Drop`].
    #[default]
    Drop,
    /// See [`AbsentBonds::Decay`].
    Decay,
}

impl Default for ParamsIn {
    fn default() -> ParamsIn {
        let rules = Params::default();
        ParamsIn {
            yuma3: false,
            kappa: rules.kappa,
            bonds_penalty: rules.bonds_penalty,
            bonds_moving_average: rules.bonds_moving_average,
            liquid_alpha: false,
            alpha_low: 45_875,
            alpha_high: 58_982,
            alpha_sigmoid_steepness: 1_000,
            absent_bonds: AbsentBondsIn::Drop,
            two_sided: false,
            stake_cap: None,
            pay_idle: true,
            max_validators: 128,
            owner_uid: None,
            stake_threshold: Units(0),
            activity_cutoff: rules.activity_cutoff,
            tempo: rules.tempo,
            emission: rules.emission,
        }
    }
}

impl ParamsIn {
    pub(crate) fn rules(&self) -> Params {
        Params {
            version: if self.yuma3 {
                Version::Three
            } else {
                Version::Two
            },
            kappa: self.kappa,
            bonds_penalty: self.bonds_penalty,
            bonds_moving_average: self.bonds_moving_average,
            liquid_alpha: self.liquid_alpha.then_some(LiquidAlpha {
                low: self.alpha_low,
                high: self.alpha_high,
                steepness: self.alpha_sigmoid_steepness,
            }),
            absent_bonds: match self.absent_bonds {
                AbsentBondsIn::Drop => AbsentBonds::Drop,
                AbsentBondsIn::Decay => AbsentBonds::Decay,
            },
            two_sided: self.two_sided,
            stake_cap: self.stake_cap,
            pay_idle: self.pay_idle,
            max_validators: usize::from(self.max_validators),
            owner: self.owner_uid,
            stake_threshold: self.stake_threshold.0,
            activity_cutoff: self.activity_cutoff,
            tempo: self.tempo,
            emission: self.emission,
        }
    }
}

/// What the slots brought to an epoch.
#[derive(Debug, Deserialize)]
pub struct EpochIn {
    /// Block of the epoch.
    pub block: u64,
    /// Block of the epoch before; 0 if there was none.
    #[serde(default)]
    pub last_step_block: u64,
    /// Block of each slot's last weights.
    pub last_update: Vec<u64>,
    /// Block of each slot's registration.
    pub reg_block: Vec<u64>,
    /// Rows of `[slot, u16]`, one per slot.
    pub weights: Vec<Row>,
    /// Stakes of this epoch, instead of the case's.
    pub stake: Option<Vec<Units>>,
    /// Block of each slot's earliest open commitment, or null.
    #[serde(default)]
    pub commits: Vec<Option<u64>>,
    /// Slots whose bonds are cleared before the epoch: their holder changed.
    #[serde(default)]
    pub reset_bonds: Vec<u16>,
}

/// What the epoch decided; a number per slot in every list.
#[derive(Debug, Serialize)]
pub struct EpochOut {
    /// Sent weights lately.
    pub active: Vec<bool>,
    /// Bonds after the epoch: rows of `[slot, u16]`.
    pub bonds_u16: Vec<Row>,
    /// Server and validator emission together.
    pub combined_emission: Vec<u64>,
    /// Raw Q32.32.
    pub consensus_bits: Vec<i64>,
    /// 65,535ths, rounded down.
    pub consensus_u16: Vec<u16>,
    /// Raw Q32.32.
    pub dividends_bits: Vec<i64>,
    /// 65,535ths, rounded down.
    pub dividends_u16: Vec<u16>,
    /// Raw Q32.32.
    pub incentive_bits: Vec<i64>,
    /// 65,535ths, rounded down.
    pub incentive_u16: Vec<u16>,
    /// Who has a permit in the next epoch.
    pub new_permits: Vec<bool>,
    /// Paid for incentive.
    pub server_emission: Vec<u64>,
    /// Normalised stake, 65,535ths, rounded down.
    pub stake_weight_u16: Vec<u16>,
    /// Paid for dividends.
    pub validator_emission: Vec<u64>,
    /// 65,535ths, rounded down.
    pub validator_trust_u16: Vec<u16>,
    /// Parts of a billion that the settlement pays; they sum to a billion or to zero.
    pub shares: Vec<u64>,
}

impl EpochOut {
    fn new(outcome: Outcome, state: &State) -> EpochOut {
        let bits = |values: &[Q32]| values.iter().map(|v| v.to_bits()).collect();
        let parts = |values: &[Q32]| values.iter().map(|v| v.to_u16_proportion()).collect();
        EpochOut {
            bonds_u16: state.bonds.clone(),
            new_permits: state.permits.clone(),
            consensus_bits: bits(&outcome.consensus),
            consensus_u16: parts(&outcome.consensus),
            dividends_bits: bits(&outcome.dividends),
            dividends_u16: parts(&outcome.dividends),
            incentive_bits: bits(&outcome.incentive),
            incentive_u16: parts(&outcome.incentive),
            stake_weight_u16: parts(&outcome.stake_weight),
            validator_trust_u16: parts(&outcome.validator_trust),
            active: outcome.active,
            combined_emission: outcome.combined_emission,
            server_emission: outcome.server_emission,
            validator_emission: outcome.validator_emission,
            shares: outcome.settlement.shares,
        }
    }
}

pub(super) fn run(text: &str) -> Result<Box<RawValue>, Fault> {
    let case: Case = parse(text)?;
    let params = case.params.rules();
    let units = |stake: &[Units]| stake.iter().map(|units| units.0).collect::<Vec<u128>>();
    let stake = units(&case.stake);
    let mut state = State::empty(stake.len());
    if let Some(permits) = case.permits {
        state.permits = permits;
    }
    if let Some(bonds) = case.bonds {
        state.bonds = bonds;
    }
    let mut results = Vec::with_capacity(case.epochs.len());
    for (index, epoch) in case.epochs.iter().enumerate() {
        let stake = epoch.stake.as_deref().map_or_else(|| stake.clone(), units);
        for &worker in &epoch.reset_bonds {
            state.reset_bonds(worker);
        }
        let input = Epoch {
            block: epoch.block,
            last_step_block: epoch.last_step_block,
            stake: &stake,
            last_update: &epoch.last_update,
            registered: &epoch.reg_block,
            weights: &epoch.weights,
            commitments: &epoch.commits,
        };
        let outcome = settle(&params, &input, &mut state).map_err(|error| fault(index, error))?;
        results.push(EpochOut::new(outcome, &state));
    }
    write(&results)
}

/// Gives an error of the library the path of the field that caused it.
fn fault(epoch: usize, error: Error) -> Fault {
    let field = match &error {
        Error::TooManySlots(_) => "stake".to_string(),
        Error::Length {
            name: name @ ("permits" | "bonds"),
            ..
        } => (*name).to_string(),
        Error::Length {
            name: "registered", ..
        } => format!("epochs[{epoch}].reg_block"),
        Error::Length {
            name: "commitments",
            ..
        } => format!("epochs[{epoch}].commits"),
        Error::Length { name, .. } => format!("epochs[{epoch}].{name}"),
        Error::Duplicate {
            name: "bonds",
            slot,
            ..
        } => format!("bonds[{slot}]"),
        Error::Duplicate { name, slot, .. } => format!("epochs[{epoch}].{name}[{slot}]"),
        Error::AlphaBounds { .. } => "params.alpha_low".to_string(),
    };
    Fault::new(field, error)
}
