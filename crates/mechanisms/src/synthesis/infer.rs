//! From predictions to inferences.

use super::statistics::{
    mean, median, median_deviation, quantile, regret_scale, weighted_mean, weighted_percentile,
    weights,
};
use super::{Error, Layout, Params, Predictions, State, check_length, smooth};
use crate::settlement::Output;
use hallmark_fixed::Q64;

/// Percentiles of the confidence interval, in hundredths.
const PERCENTILES: [u128; 5] = [228, 1587, 5000, 8413, 9772];

/// All values of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inferences {
    /// Where a value stands.
    pub layout: Layout,
    /// The flat list of [`Layout`]; `None` where nobody is behind a value.
    pub values: Vec<Option<Q64>>,
    /// Weight of each inferer and forecaster in the network's value.
    pub weights: Vec<Option<Q64>>,
    /// Percentiles 2.28, 15.87, 50, 84.13, 97.72.
    pub percentiles: Option<[Q64; 5]>,
    /// The network's value without outliers.
    pub outlier_resistant: Option<Q64>,
}

impl Inferences {
    /// The value at a place of the layout.
    pub fn at(&self, place: usize) -> Option<Q64> {
        self.values.get(place).copied().flatten()
    }

    /// The network's value and its percentiles.
    pub fn output(&self) -> Option<Output> {
        let value = self.at(self.layout.network())?;
        Some(Output {
            value,
            percentiles: self.percentiles?,
        })
    }
}

/// A participant of some set: its value and its regret there.
struct Member {
    worker: usize,
    value: Q64,
    regret: Option<Q64>,
}

/// Regrets with those of newcomers filled in; `None` if all are new.
pub(super) fn known_regrets(regrets: &[Option<Q64>], params: &Params) -> Option<Vec<Q64>> {
    let initial = initial_regret(regrets, params)?;
    Some(
        regrets
            .iter()
            .map(|regret| regret.unwrap_or(initial))
            .collect(),
    )
}

/// The regret at which a newcomer starts; `None` if all are new.
pub(super) fn initial_regret(regrets: &[Option<Q64>], params: &Params) -> Option<Q64> {
    let known: Vec<Q64> = regrets.iter().copied().flatten().collect();
    let base = quantile(&known, params.initial_quantile)?;
    if known.len() == regrets.len() {
        return Some(base);
    }
    let least = params.centre - Q64::from_ratio(825, 100) / params.steepness;
    Some(base + least * regret_scale(&known, params))
}

/// The value of a set of participants and their weights.
fn combine(members: &[Member], params: &Params) -> Option<(Q64, Vec<Q64>)> {
    let values: Vec<Q64> = members.iter().map(|m| m.value).collect();
    let regrets: Vec<Option<Q64>> = members.iter().map(|m| m.regret).collect();
    match known_regrets(&regrets, params) {
        Some(regrets) => {
            let weights = weights(&regrets, params);
            Some((weighted_mean(&values, &weights)?, weights))
        }
        None => Some((mean(&values)?, vec![Q64::ONE; values.len()])),
    }
}

/// What a forecaster implies: inferences by the weights of the regrets that it expects.
fn implied(
    params: &Params,
    state: &State,
    predictions: &Predictions,
    forecasts: &[Option<Q64>],
    without: Option<usize>,
) -> Option<Q64> {
    let (mut values, mut losses, mut experienced) = (Vec::new(), Vec::new(), false);
    for (j, (value, loss)) in predictions.inferences.iter().zip(forecasts).enumerate() {
        if let (Some(value), Some(loss)) = (value, loss)
            && without != Some(j)
        {
            values.push(*value);
            losses.push(*loss);
            experienced |= state.regrets.get(j).is_some_and(Option::is_some);
        }
    }
    match state.network_loss.filter(|_| experienced) {
        Some(network) if values.len() > 1 => {
            let regrets: Vec<Q64> = losses.iter().map(|&loss| network - loss).collect();
            weighted_mean(&values, &weights(&regrets, params))
        }
        _ => median(&values),
    }
}

/// Computes every inference of an epoch: network, naive, forecast-implied, one-outs, one-ins,
/// percentiles.
///
/// The time is dominated by `forecasters · inferers² + (inferers + forecasters)²` exponentials.
/// Moves only the smoothed spread of `state`.
///
/// # Errors
///
/// [`enum@Error`] if a vector's length is not that of its slots.
pub fn infer(
    params: &Params,
    state: &mut State,
    predictions: &Predictions,
) -> Result<Inferences, Error> {
    let layout = state.layout;
    check_length("inferences", predictions.inferences.len(), layout.inferers)?;
    check_length("forecasts", predictions.forecasts.len(), layout.forecasters)?;
    for (k, row) in predictions.forecasts.iter().enumerate() {
        // A forecaster who says nothing may do so with an empty row.
        if !row.is_empty() {
            check_length(&format!("forecasts[{k}]"), row.len(), layout.inferers)?;
        }
    }
    let mut values = vec![None; layout.len()];
    let mut set = |place: usize, value: Option<Q64>| {
        if let Some(cell) = values.get_mut(place) {
            *cell = value;
        }
    };

    // Own values: what inferers say and what forecasters imply.
    let mut own = predictions.inferences.clone();
    own.extend(
        predictions
            .forecasts
            .iter()
            .map(|f| implied(params, state, predictions, f, None)),
    );
    let implied_without = |k: usize, j: usize| {
        let forecasts = predictions.forecasts.get(k)?;
        implied(params, state, predictions, forecasts, Some(j))
    };
    for (worker, &value) in own.iter().enumerate() {
        set(layout.worker(worker), value);
    }
    let present = |j: usize| own.get(j).copied().flatten().is_some();
    let mut without = vec![None; layout.forecasters.saturating_mul(layout.inferers)];
    for (cell, index) in without.iter_mut().zip(0usize..) {
        let (Some(k), Some(j)) = (
            index.checked_div(layout.inferers),
            index.checked_rem(layout.inferers),
        ) else {
            continue;
        };
        if present(j) && present(layout.inferers.saturating_add(k)) {
            *cell = implied_without(k, j);
        }
        set(layout.implied_without(k, j), *cell);
    }

    let members = |regrets: &[Option<Q64>], value: &dyn Fn(usize) -> Option<Q64>| -> Vec<Member> {
        let member = |(worker, &regret): (usize, &Option<Q64>)| {
            Some(Member {
                worker,
                value: value(worker)?,
                regret,
            })
        };
        regrets.iter().enumerate().filter_map(member).collect()
    };
    let own_value = |worker: usize| own.get(worker).copied().flatten();

    let network = members(&state.regrets, &own_value);
    let mut result = Inferences {
        layout,
        weights: vec![None; layout.workers()],
        ..Inferences::default()
    };
    if let Some((value, weights)) = combine(&network, params) {
        set(layout.network(), Some(value));
        let values: Vec<Q64> = network.iter().map(|m| m.value).collect();
        for (member, &weight) in network.iter().zip(&weights) {
            if let Some(cell) = result.weights.get_mut(member.worker) {
                *cell = Some(weight);
            }
        }
        let percentile = |hundredths| {
            let percent = Q64::from_ratio(hundredths, 100);
            weighted_percentile(&values, &weights, percent).unwrap_or(value)
        };
        result.percentiles = Some(PERCENTILES.map(percentile));
        result.outlier_resistant = Some(resistant(params, state, predictions, &network, value));
    }
    let naive = members(&state.naive_regrets, &own_value);
    set(
        layout.naive(),
        combine(&naive, params).map(|(value, _)| value),
    );

    for (out, regrets) in state
        .one_out_regrets
        .iter()
        .enumerate()
        .filter(|(o, _)| present(*o))
    {
        let value = |worker: usize| match worker.checked_sub(layout.inferers) {
            _ if worker == out => None,
            Some(k) if out < layout.inferers => {
                let place = k.saturating_mul(layout.inferers).saturating_add(out);
                without.get(place).copied().flatten()
            }
            _ => own_value(worker),
        };
        set(
            layout.one_out(out),
            combine(&members(regrets, &value), params).map(|(v, _)| v),
        );
    }
    for (k, regrets) in state.one_in_regrets.iter().enumerate() {
        let forecaster = layout.inferers.saturating_add(k);
        if !present(forecaster) {
            continue;
        }
        let value = |worker: usize| {
            own_value(if worker == layout.inferers {
                forecaster
            } else {
                worker
            })
        };
        set(
            layout.one_in(k),
            combine(&members(regrets, &value), params).map(|(v, _)| v),
        );
    }
    result.values = values;
    Ok(result)
}

/// The network's value over those inferers who are no outliers, and all forecasters.
fn resistant(
    params: &Params,
    state: &mut State,
    predictions: &Predictions,
    network: &[Member],
    all: Q64,
) -> Q64 {
    let values: Vec<Q64> = predictions.inferences.iter().copied().flatten().collect();
    let Some(centre) = median(&values) else {
        return all;
    };
    let spread = median_deviation(&values, centre);
    let (centre, spread) = match state.spread {
        Some((old_centre, old_spread)) => (
            smooth(old_centre, centre, params.outlier_rate),
            smooth(old_spread, spread, params.outlier_rate),
        ),
        None => (centre, spread),
    };
    state.spread = Some((centre, spread));
    let limit = params.outlier_threshold * spread;
    let kept: Vec<Member> = network
        .iter()
        .filter(|m| m.worker >= state.layout.inferers || (m.value - centre).abs() <= limit)
        .map(|m| Member {
            worker: m.worker,
            value: m.value,
            regret: m.regret,
        })
        .collect();
    combine(&kept, params).map_or(all, |(value, _)| value)
}
