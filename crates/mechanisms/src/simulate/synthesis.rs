//! Cases of inference synthesis.
//!
//! | field of a case | |
//! |---|---|
//! | `mechanism` | `"synthesis"` |
//! | `params` | [`ParamsIn`]; a missing field has its default |
//! | `inferers`, `forecasters`, `reputers` | number of slots of each role |
//! | `state` | [`StateIn`], what was known before the first epoch; missing: nothing |
//! | `epochs` | [`EpochIn`] each |
//! | anything else | not read; what is none of `name`, `note`, `expect` is listed in `ignored` |
//!
//! Each epoch of the result is an [`EpochOut`]. Lists of workers hold inferers, then forecasters;
//! lists of values and losses are in the order of [`crate::synthesis::Layout`], whose names stand
//! in `layout`. Losses are base-10 logarithms.

use super::number::{Decimal, Units, decimal_options, decimals, plain, plain_options};
use super::{Fault, Known, parse, write};
use crate::synthesis::{
    Consensus, Error, Inferences, Layout, Outcome, Params, Predictions, RegretScale, Report, State,
    infer, settle,
};
use hallmark_fixed::Q64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(super) const KNOWN: Known = Known {
    case: &["inferers", "forecasters", "reputers", "state"],
    epoch: &["inferences", "forecasts", "reports", "reset_workers"],
};

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    params: ParamsIn,
    inferers: u16,
    forecasters: u16,
    reputers: u16,
    state: Option<StateIn>,
    epochs: Vec<EpochIn>,
}

/// The rules of the topic; see [`Params`], whose names these are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ParamsIn {
    pub steepness: Option<Decimal>,
    pub centre: Option<Decimal>,
    pub epsilon: Option<Decimal>,
    /// `"deviation"` or `"median"`.
    pub regret_scale: Option<RegretScaleIn>,
    /// `"mean"` or `"median"`.
    pub consensus: Option<ConsensusIn>,
    pub tolerance: Option<Decimal>,
    pub regret_rate: Option<Decimal>,
    pub initial_quantile: Option<Decimal>,
    pub reputer_epsilon: Option<Decimal>,
    pub learning_rate: Option<Decimal>,
    pub learning_steps: Option<u16>,
    pub learning_threshold: Option<Decimal>,
    pub min_stake_fraction: Option<Decimal>,
    pub score_samples: Option<u16>,
    pub gain_only: bool,
    pub fraction_rate: Option<Decimal>,
    pub entropy_exponent: Option<Decimal>,
    pub task_rate: Option<Decimal>,
    pub outlier_threshold: Option<Decimal>,
    pub outlier_rate: Option<Decimal>,
}

/// See [`RegretScale`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegretScaleIn {
    /// See [`RegretScale::Deviation`].
    Deviation,
    /// See [`RegretScale::MedianDeviation`].
    Median,
}

/// See [`Consensus`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsensusIn {
    /// See [`Consensus::Mean`].
    Mean,
    /// See [`Consensus::Median`].
    Median,
}

impl ParamsIn {
    pub(crate) fn rules(&self) -> Params {
        let rules = Params::default();
        let or = |given: Option<Decimal>, default: Q64| given.map_or(default, |given| given.0);
        Params {
            steepness: or(self.steepness, rules.steepness),
            centre: or(self.centre, rules.centre),
            epsilon: or(self.epsilon, rules.epsilon),
            regret_scale: match self.regret_scale {
                None | Some(RegretScaleIn::Deviation) => RegretScale::Deviation,
                Some(RegretScaleIn::Median) => RegretScale::MedianDeviation,
            },
            consensus: match self.consensus {
                None | Some(ConsensusIn::Mean) => Consensus::Mean,
                Some(ConsensusIn::Median) => Consensus::Median,
            },
            tolerance: or(self.tolerance, rules.tolerance),
            regret_rate: or(self.regret_rate, rules.regret_rate),
            initial_quantile: or(self.initial_quantile, rules.initial_quantile),
            reputer_epsilon: or(self.reputer_epsilon, rules.reputer_epsilon),
            learning_rate: or(self.learning_rate, rules.learning_rate),
            learning_steps: self.learning_steps.map_or(rules.learning_steps, u32::from),
            learning_threshold: or(self.learning_threshold, rules.learning_threshold),
            min_stake_fraction: or(self.min_stake_fraction, rules.min_stake_fraction),
            score_samples: self.score_samples.map_or(rules.score_samples, usize::from),
            gain_only: self.gain_only,
            fraction_rate: or(self.fraction_rate, rules.fraction_rate),
            entropy_exponent: or(self.entropy_exponent, rules.entropy_exponent),
            task_rate: or(self.task_rate, rules.task_rate),
            outlier_threshold: or(self.outlier_threshold, rules.outlier_threshold),
            outlier_rate: or(self.outlier_rate, rules.outlier_rate),
        }
    }
}

/// What was known before the first epoch; see [`State`], whose names these are. A missing list
/// means that nothing of the kind has happened yet.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct StateIn {
    pub network_loss: Option<Decimal>,
    pub regrets: Option<Vec<Option<Decimal>>>,
    pub naive_regrets: Option<Vec<Option<Decimal>>>,
    pub one_out_regrets: Option<Vec<Vec<Option<Decimal>>>>,
    pub one_in_regrets: Option<Vec<Vec<Option<Decimal>>>>,
    pub listening: Option<Vec<Decimal>>,
    pub inferer_scores: Vec<Decimal>,
    pub forecaster_scores: Vec<Decimal>,
    pub fractions: Option<Vec<Option<Decimal>>>,
    pub forecaster_ratio: Option<Decimal>,
    pub spread: Option<(Decimal, Decimal)>,
}

impl StateIn {
    fn fill(&self, state: &mut State) -> Result<(), Fault> {
        let length = |name: &str, found: usize, expected: usize| {
            let message = format!("{found} entries for {expected}");
            if found == expected {
                Ok(())
            } else {
                Err(Fault::new(format!("state.{name}"), message))
            }
        };
        let lists = [
            ("regrets", &self.regrets, &mut state.regrets),
            (
                "naive_regrets",
                &self.naive_regrets,
                &mut state.naive_regrets,
            ),
            ("fractions", &self.fractions, &mut state.fractions),
        ];
        for (name, given, place) in lists {
            if let Some(given) = given {
                length(name, given.len(), place.len())?;
                *place = plain_options(given);
            }
        }
        let tables = [
            (
                "one_out_regrets",
                &self.one_out_regrets,
                &mut state.one_out_regrets,
            ),
            (
                "one_in_regrets",
                &self.one_in_regrets,
                &mut state.one_in_regrets,
            ),
        ];
        for (name, given, place) in tables {
            if let Some(given) = given {
                length(name, given.len(), place.len())?;
                for (row, (given, place)) in given.iter().zip(place).enumerate() {
                    length(&format!("{name}[{row}]"), given.len(), place.len())?;
                    *place = plain_options(given);
                }
            }
        }
        if let Some(given) = &self.listening {
            length("listening", given.len(), state.listening.len())?;
            state.listening = plain(given);
        }
        state.network_loss = self.network_loss.map(|loss| loss.0);
        state.inferer_scores = plain(&self.inferer_scores);
        state.forecaster_scores = plain(&self.forecaster_scores);
        state.forecaster_ratio = self.forecaster_ratio.map(|ratio| ratio.0);
        state.spread = self.spread.map(|(centre, spread)| (centre.0, spread.0));
        Ok(())
    }
}

/// What the participants said in an epoch.
#[derive(Debug, Deserialize)]
pub struct EpochIn {
    /// Value of each inferer, or null.
    pub inferences: Vec<Option<Decimal>>,
    /// Per forecaster the loss that it expects of each inferer, or null; empty for silence.
    #[serde(default)]
    pub forecasts: Vec<Vec<Option<Decimal>>>,
    /// What each reputer said; an empty list ends the epoch without losses.
    #[serde(default)]
    pub reports: Vec<ReportIn>,
    /// Workers that are forgotten before the epoch: their slot has a new holder.
    #[serde(default)]
    pub reset_workers: Vec<u16>,
}

/// What a reputer said: losses, or the truth from which they follow, or nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportIn {
    /// Stake, in any unit.
    pub stake: Units,
    /// Losses in the order of the layout, null where the epoch has no value.
    pub losses: Option<Vec<Option<Decimal>>>,
    /// The true value as this reputer saw it; its losses are then the logarithms of the squared
    /// errors ([`Params::squared_loss`]).
    pub truth: Option<Decimal>,
}

impl ReportIn {
    fn report(&self, params: &Params, inferences: &Inferences) -> Report {
        let of_truth = |truth: Q64| -> Vec<Option<Q64>> {
            inferences
                .values
                .iter()
                .map(|v| v.map(|v| params.squared_loss(v, truth)))
                .collect()
        };
        let losses = match (&self.losses, self.truth) {
            (Some(losses), _) => plain_options(losses),
            (None, Some(truth)) => of_truth(truth.0),
            (None, None) => Vec::new(),
        };
        Report {
            stake: self.stake.0,
            losses,
        }
    }
}

/// What the epoch decided; null stands for who took no part.
#[derive(Debug, Serialize)]
pub struct EpochOut {
    /// Names of the places of `values` and `losses`.
    pub layout: Vec<String>,
    /// Every inference.
    pub values: Vec<Option<Decimal>>,
    /// The network's value.
    pub network_inference: Option<Decimal>,
    /// Its percentiles 2.28, 15.87, 50, 84.13, 97.72.
    pub percentiles: Option<Vec<Decimal>>,
    /// The network's value without outliers.
    pub outlier_resistant: Option<Decimal>,
    /// Weight of each worker in the network's value.
    pub weights: Vec<Option<Decimal>>,
    /// Consensus losses.
    pub losses: Vec<Option<Decimal>>,
    /// Regret of each worker after the epoch.
    pub regrets: Vec<Option<Decimal>>,
    /// Score of each worker.
    pub scores: Vec<Option<Decimal>>,
    /// Score of each reputer.
    pub reputer_scores: Vec<Option<Decimal>>,
    /// Adjusted stake of each reputer.
    pub adjusted_stakes: Vec<Option<Decimal>>,
    /// Listening coefficient of each reputer after the epoch.
    pub listening: Vec<Decimal>,
    /// Fraction of its class per inferer, forecaster and reputer.
    pub fractions: Vec<Option<Decimal>>,
    /// Smoothed fractions.
    pub smoothed_fractions: Vec<Option<Decimal>>,
    /// Entropies of inferers, forecasters and reputers.
    pub entropies: Vec<Decimal>,
    /// τ after the epoch.
    pub forecaster_ratio: Option<Decimal>,
    /// χ.
    pub forecaster_utility: Decimal,
    /// Parts of inferers, forecasters and reputers.
    pub classes: Vec<Decimal>,
    /// Parts of a billion that the settlement pays to inferers, forecasters and reputers; they sum
    /// to a billion or to zero.
    pub shares: Vec<u64>,
}

impl EpochOut {
    fn new(
        names: &[String],
        inferences: &Inferences,
        outcome: &Outcome,
        state: &State,
    ) -> EpochOut {
        EpochOut {
            layout: names.to_vec(),
            values: decimal_options(&inferences.values),
            network_inference: inferences.at(inferences.layout.network()).map(Decimal),
            percentiles: inferences.percentiles.map(|p| decimals(&p)),
            outlier_resistant: inferences.outlier_resistant.map(Decimal),
            weights: decimal_options(&inferences.weights),
            losses: decimal_options(&outcome.losses),
            regrets: decimal_options(&state.regrets),
            scores: decimal_options(&outcome.worker_scores),
            reputer_scores: decimal_options(&outcome.reputer_scores),
            adjusted_stakes: decimal_options(&outcome.adjusted_stakes),
            listening: decimals(&state.listening),
            fractions: decimal_options(&outcome.fractions),
            smoothed_fractions: decimal_options(&state.fractions),
            entropies: decimals(&outcome.entropies),
            forecaster_ratio: state.forecaster_ratio.map(Decimal),
            forecaster_utility: Decimal(outcome.forecaster_utility),
            classes: decimals(&outcome.classes),
            shares: outcome.settlement.shares.clone(),
        }
    }
}

/// Greatest number of workers: the regrets of one-outs are the square of it.
const MOST_WORKERS: usize = 1_024;

pub(super) fn run(text: &str) -> Result<Box<RawValue>, Fault> {
    let case: Case = parse(text)?;
    let params = case.params.rules();
    let (inferers, forecasters, reputers) = (
        usize::from(case.inferers),
        usize::from(case.forecasters),
        usize::from(case.reputers),
    );
    let layout = Layout {
        inferers,
        forecasters,
    };
    if layout.workers() > MOST_WORKERS {
        let message = format!("{} workers: at most {MOST_WORKERS}", layout.workers());
        return Err(Fault::new("inferers", message));
    }
    let names = layout.names();
    let mut state = State::new(inferers, forecasters, reputers);
    if let Some(given) = &case.state {
        given.fill(&mut state)?;
    }
    let mut results = Vec::with_capacity(case.epochs.len());
    for (index, epoch) in case.epochs.iter().enumerate() {
        for &worker in &epoch.reset_workers {
            state.reset_worker(usize::from(worker));
        }
        let mut forecasts: Vec<Vec<Option<Q64>>> = epoch
            .forecasts
            .iter()
            .map(|row| plain_options(row))
            .collect();
        if forecasts.is_empty() {
            forecasts.resize(forecasters, Vec::new());
        }
        let predictions = Predictions {
            inferences: plain_options(&epoch.inferences),
            forecasts,
        };
        let fault = |error: Error| {
            let Error::Length { name, .. } = &error;
            Fault::new(format!("epochs[{index}].{name}"), &error)
        };
        let inferences = infer(&params, &mut state, &predictions).map_err(fault)?;
        let mut reports: Vec<Report> = epoch
            .reports
            .iter()
            .map(|report| report.report(&params, &inferences))
            .collect();
        if reports.is_empty() {
            reports.resize(reputers, Report::default());
        }
        let outcome = settle(&params, &mut state, &inferences, &reports).map_err(fault)?;
        results.push(EpochOut::new(&names, &inferences, &outcome, &state));
    }
    write(&results)
}
