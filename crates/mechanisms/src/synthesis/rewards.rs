//! From losses to regrets, scores and shares.

use super::infer::{Inferences, initial_regret};
use super::reputers::{Listening, listen, scores_by};
use super::statistics::{deviation, soft_plus, weighted_mean, weighted_median};
use super::{Consensus, Error, Layout, Params, State, check_length, smooth};
use crate::settlement::{Column, Settlement, shares_of, shift_to_sum};
use hallmark_fixed::Q64;

/// What one reputer said, and its stake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Stake, in any unit.
    pub stake: u128,
    /// Losses in the order of [`Layout`], base-10 logarithms, `None` where the epoch has no value;
    /// empty if the reputer said nothing.
    pub losses: Vec<Option<Q64>>,
}

/// What an epoch decided. Lists of workers hold inferers, then forecasters; `None` stands for who
/// took no part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Consensus losses in the order of [`Layout`].
    pub losses: Vec<Option<Q64>>,
    /// Score per worker.
    pub worker_scores: Vec<Option<Q64>>,
    /// Score per reputer.
    pub reputer_scores: Vec<Option<Q64>>,
    /// Adjusted stake per reputer.
    pub adjusted_stakes: Vec<Option<Q64>>,
    /// Fraction of its class per inferer, forecaster and reputer.
    pub fractions: Vec<Option<Q64>>,
    /// Entropies of inferers, forecasters and reputers.
    pub entropies: [Q64; 3],
    /// χ, the weight of the forecasters against the inferers.
    pub forecaster_utility: Q64,
    /// Parts of inferers, forecasters and reputers in the whole.
    pub classes: [Q64; 3],
    /// Shares of inferers, forecasters and reputers, in this order.
    pub settlement: Settlement,
}

/// Settles an epoch: consensus losses, regrets, scores, fractions, shares. Moves `state` to the
/// next epoch.
///
/// # Errors
///
/// [`enum@Error`] if there is not one report per reputer slot.
pub fn settle(
    params: &Params,
    state: &mut State,
    inferences: &Inferences,
    reports: &[Report],
) -> Result<Outcome, Error> {
    let layout = state.layout;
    check_length("reports", reports.len(), state.listening.len())?;
    let slots = layout.workers().saturating_add(reports.len());
    let nothing = || Outcome {
        losses: vec![None; layout.len()],
        worker_scores: vec![None; layout.workers()],
        reputer_scores: vec![None; reports.len()],
        adjusted_stakes: vec![None; reports.len()],
        fractions: vec![None; slots],
        settlement: Settlement {
            shares: vec![0; slots],
            scores: vec![Q64::ZERO; slots],
            output: inferences.output(),
            explanation: Vec::new(),
        },
        ..Outcome::default()
    };
    let heard: Vec<usize> = (0..reports.len())
        .filter(|&m| {
            reports
                .get(m)
                .is_some_and(|r| r.stake > 0 && same_pattern(&r.losses, inferences))
        })
        .collect();
    if heard.is_empty() || inferences.at(layout.network()).is_none() {
        return Ok(nothing());
    }
    let mut outcome = nothing();

    // Consensus of those who are heard, over the values that exist.
    let stakes: Vec<u128> = heard
        .iter()
        .filter_map(|&m| reports.get(m))
        .map(|r| r.stake)
        .collect();
    let whole_stakes = shift_to_sum(&stakes, 127);
    let total = whole_stakes
        .iter()
        .fold(0u128, |sum, &stake| sum.saturating_add(stake));
    let stakes: Vec<Q64> = whole_stakes
        .iter()
        .map(|&stake| Q64::from_ratio(stake, total))
        .collect();
    let rows: Vec<Vec<Q64>> = heard
        .iter()
        .filter_map(|&m| reports.get(m))
        .map(|r| r.losses.iter().copied().flatten().collect())
        .collect();
    let mut column = Vec::with_capacity(rows.len());
    let mut next = 0usize;
    for (loss, value) in outcome.losses.iter_mut().zip(&inferences.values) {
        if value.is_some() {
            column.clear();
            column.extend(rows.iter().filter_map(|row| row.get(next).copied()));
            *loss = match params.consensus {
                Consensus::Mean => weighted_mean(&column, &stakes),
                Consensus::Median => weighted_median(&column, &whole_stakes),
            };
            next = next.saturating_add(1);
        }
    }
    let coefficients: Vec<Q64> = heard
        .iter()
        .filter_map(|&m| state.listening.get(m).copied())
        .collect();
    let listening = match params.consensus {
        Consensus::Mean => listen(params, &rows, &stakes, &coefficients),
        Consensus::Median => {
            let consensus: Vec<Q64> = outcome.losses.iter().copied().flatten().collect();
            Listening {
                coefficients,
                adjusted_stakes: stakes.clone(),
                scores: scores_by(&consensus, &rows, params.reputer_epsilon),
            }
        }
    };
    for (index, &m) in heard.iter().enumerate() {
        let put = |list: &mut Vec<Option<Q64>>, value: Option<&Q64>| {
            if let (Some(cell), Some(&value)) = (list.get_mut(m), value) {
                *cell = Some(value);
            }
        };
        put(&mut outcome.reputer_scores, listening.scores.get(index));
        put(
            &mut outcome.adjusted_stakes,
            listening.adjusted_stakes.get(index),
        );
        let coefficient = listening.coefficients.get(index);
        if let (Some(cell), Some(&value)) = (state.listening.get_mut(m), coefficient) {
            *cell = value;
        }
    }

    update_regrets(params, state, &outcome.losses);
    outcome.worker_scores = worker_scores(layout, &outcome.losses);
    let network = loss(&outcome.losses, layout.network());
    state.network_loss = network;

    // Fractions within each class.
    let (inferers, forecasters) = outcome
        .worker_scores
        .split_at_checked(layout.inferers)
        .unwrap_or_default();
    remember(&mut state.inferer_scores, inferers, params.score_samples);
    remember(
        &mut state.forecaster_scores,
        forecasters,
        params.score_samples,
    );
    let mut fractions = reward_fractions(params, inferers, &state.inferer_scores);
    fractions.extend(reward_fractions(
        params,
        forecasters,
        &state.forecaster_scores,
    ));
    let mut reputers = vec![None; reports.len()];
    let products: Vec<Q64> = listening
        .scores
        .iter()
        .zip(&stakes)
        .map(|(&t, &s)| t * s)
        .collect();
    let sum: Q64 = products.iter().sum();
    for (&m, &product) in heard.iter().zip(&products) {
        if let Some(cell) = reputers.get_mut(m) {
            *cell = Some(product / sum);
        }
    }
    fractions.extend(reputers);
    outcome.fractions = fractions;

    // The split between the classes.
    let ends = [layout.inferers, layout.workers(), slots];
    let mut start = 0usize;
    for (entropy_of, end) in outcome.entropies.iter_mut().zip(ends) {
        let fresh = outcome.fractions.get(start..end).unwrap_or_default();
        let kept = state.fractions.get_mut(start..end).unwrap_or_default();
        let smoothed = smooth_fractions(params, fresh, kept);
        *entropy_of = entropy(&smoothed, params.entropy_exponent);
        start = end;
    }
    let naive = loss(&outcome.losses, layout.naive());
    if let (Some(network), Some(naive)) = (network, naive) {
        let best = inferers.iter().copied().flatten().max();
        let ratio = success(naive - network, best);
        let old = state.forecaster_ratio.unwrap_or(ratio);
        state.forecaster_ratio = Some(smooth(old, ratio, params.task_rate));
    }
    outcome.forecaster_utility = forecaster_utility(state.forecaster_ratio.unwrap_or(Q64::ZERO));
    outcome.classes = split(outcome.entropies, outcome.forecaster_utility);
    outcome.settlement = settlement(&outcome, inferences, &state.regrets, ends);
    Ok(outcome)
}

/// [`Params::squared_loss`] by the default tolerance: at least the logarithm of 2^-64.
pub fn squared_loss(value: Q64, truth: Q64) -> Q64 {
    Params::default().squared_loss(value, truth)
}

fn loss(losses: &[Option<Q64>], place: usize) -> Option<Q64> {
    losses.get(place).copied().flatten()
}

/// Whether losses are given exactly where the epoch has values.
fn same_pattern(losses: &[Option<Q64>], inferences: &Inferences) -> bool {
    losses.len() == inferences.values.len()
        && losses
            .iter()
            .zip(&inferences.values)
            .all(|(l, v)| l.is_some() == v.is_some())
}

/// Moves one set of regrets: `of_set` is the loss of the set, `of` that of each member.
fn update_set(
    params: &Params,
    regrets: &mut [Option<Q64>],
    of_set: Option<Q64>,
    of: impl Fn(usize) -> Option<Q64>,
) {
    let Some(of_set) = of_set else {
        return;
    };
    let present: Vec<Option<Q64>> = regrets
        .iter()
        .enumerate()
        .filter(|(member, _)| of(*member).is_some())
        .map(|(_, &regret)| regret)
        .collect();
    let initial = initial_regret(&present, params).unwrap_or(Q64::ZERO);
    for (member, regret) in regrets.iter_mut().enumerate() {
        if let Some(own) = of(member) {
            let old = regret.unwrap_or(initial);
            *regret = Some(smooth(old, of_set - own, params.regret_rate));
        }
    }
}

fn update_regrets(params: &Params, state: &mut State, losses: &[Option<Q64>]) {
    let layout = state.layout;
    let own = |worker: usize| loss(losses, layout.worker(worker));
    update_set(
        params,
        &mut state.regrets,
        loss(losses, layout.network()),
        own,
    );
    update_set(
        params,
        &mut state.naive_regrets,
        loss(losses, layout.naive()),
        own,
    );
    for (out, regrets) in state.one_out_regrets.iter_mut().enumerate() {
        let of = |worker: usize| match worker.checked_sub(layout.inferers) {
            _ if worker == out => own(worker),
            Some(k) if out < layout.inferers => loss(losses, layout.implied_without(k, out)),
            _ => own(worker),
        };
        update_set(params, regrets, loss(losses, layout.one_out(out)), of);
    }
    for (k, regrets) in state.one_in_regrets.iter_mut().enumerate() {
        let forecaster = layout.inferers.saturating_add(k);
        let of = |worker: usize| {
            own(if worker == layout.inferers {
                forecaster
            } else {
                worker
            })
        };
        update_set(params, regrets, loss(losses, layout.one_in(k)), of);
    }
}

/// Scores of inferers, then forecasters.
fn worker_scores(layout: Layout, losses: &[Option<Q64>]) -> Vec<Option<Q64>> {
    let network = loss(losses, layout.network());
    let naive = loss(losses, layout.naive());
    let harm_without = |worker: usize| Some(loss(losses, layout.one_out(worker))? - network?);
    let count = (0..layout.forecasters)
        .filter(|&k| loss(losses, layout.one_in(k)).is_some())
        .count();
    let halvings = i128::try_from(count.saturating_sub(1))
        .unwrap_or(64)
        .min(64);
    let part = Q64::from_bits((1i128 << 64) >> halvings);
    let mut scores: Vec<Option<Q64>> = (0..layout.inferers).map(harm_without).collect();
    scores.extend((0..layout.forecasters).map(|k| {
        let alone = naive? - loss(losses, layout.one_in(k))?;
        let among = harm_without(layout.inferers.saturating_add(k))?;
        Some(part * alone + (Q64::ONE - part) * among)
    }));
    scores
}

/// Puts the scores of an epoch before the older ones and keeps the first `samples`.
fn remember(history: &mut Vec<Q64>, scores: &[Option<Q64>], samples: usize) {
    let mut all: Vec<Q64> = scores.iter().copied().flatten().collect();
    all.append(history);
    all.truncate(samples);
    *history = all;
}

/// `φ(T / (σ + ε))` over its sum, where σ is the deviation of `history`.
///
/// Where every potential is so small that digits are lost, its limit `e^(p·x)` is used, so that
/// the fractions of any class with a member sum to one.
pub fn reward_fractions(
    params: &Params,
    scores: &[Option<Q64>],
    history: &[Q64],
) -> Vec<Option<Q64>> {
    let scale = deviation(history) + params.epsilon;
    let exponent = |t: Q64| params.steepness * (t / scale - params.centre);
    let exponents: Vec<Option<Q64>> = scores.iter().map(|t| t.map(exponent)).collect();
    let greatest = exponents
        .iter()
        .copied()
        .flatten()
        .max()
        .unwrap_or(Q64::ZERO);
    let small = greatest < Q64::from_int(-24);
    let potential = |y: Q64| {
        if small {
            (y - greatest).exp()
        } else {
            soft_plus(y)
        }
    };
    let gain = |t: &Option<Q64>| t.is_some_and(|t| t > Q64::ZERO);
    let gain_only = params.gain_only && scores.iter().any(gain);
    let potentials: Vec<Option<Q64>> = exponents
        .into_iter()
        .zip(scores)
        .map(|(y, score)| match y {
            Some(_) if gain_only && !gain(score) => Some(Q64::ZERO),
            y => y.map(potential),
        })
        .collect();
    let sum: Q64 = potentials.iter().copied().flatten().sum();
    potentials.into_iter().map(|y| y.map(|y| y / sum)).collect()
}

/// Smooths the fractions of a class in place and returns those of its present members, normalised.
fn smooth_fractions(params: &Params, fresh: &[Option<Q64>], kept: &mut [Option<Q64>]) -> Vec<Q64> {
    let smoothed = |(&fresh, &kept): (&Option<Q64>, &Option<Q64>)| {
        fresh.map(|fresh| smooth(kept.unwrap_or(fresh), fresh, params.fraction_rate))
    };
    let moved: Vec<Option<Q64>> = fresh.iter().zip(kept.iter()).map(smoothed).collect();
    let sum: Q64 = moved.iter().copied().flatten().sum();
    for (kept, moved) in kept.iter_mut().zip(&moved) {
        if let Some(moved) = moved {
            *kept = Some(*moved / sum);
        }
    }
    moved
        .into_iter()
        .flatten()
        .map(|fraction| fraction / sum)
        .collect()
}

/// The entropy of fractions, lowered by `(N_eff / N)^β`; `ln 2 / 4` for one, zero for none.
pub fn entropy(fractions: &[Q64], exponent: Q64) -> Q64 {
    match fractions {
        [] => Q64::ZERO,
        [_] => Q64::from_int(2).ln().unwrap_or(Q64::ZERO) / Q64::from_int(4),
        _ => {
            let plain: Q64 = fractions
                .iter()
                .map(|&f| -(f * f.ln().unwrap_or(Q64::ZERO)))
                .sum();
            let squares: Q64 = fractions.iter().map(|&f| f * f).sum();
            let count = Q64::from_int(i64::try_from(fractions.len()).unwrap_or(i64::MAX));
            let effective = Q64::ONE / (count * squares);
            plain * effective.pow(exponent).unwrap_or(Q64::ZERO)
        }
    }
}

/// `(T − min(0, T_max)) / |T_max|`; zero where there is no inferer score or it is zero.
fn success(gain: Q64, best: Option<Q64>) -> Q64 {
    let best = best.unwrap_or(Q64::ZERO);
    (gain - best.min(Q64::ZERO)) / best.abs()
}

/// χ from τ.
pub fn forecaster_utility(ratio: Q64) -> Q64 {
    let (least, most) = (Q64::from_ratio(1, 10), Q64::from_ratio(1, 2));
    (least + Q64::from_ratio(4, 10) * ratio.clamp_to(Q64::ZERO, Q64::ONE)).clamp_to(least, most)
}

/// Parts of inferers, forecasters and reputers.
fn split([f, g, h]: [Q64; 3], utility: Q64) -> [Q64; 3] {
    let rest = Q64::ONE - utility;
    let gamma = (f + g) / (rest * f + utility * g);
    let all = f + g + h;
    [rest * gamma * f / all, utility * gamma * g / all, h / all]
}

/// Shares of all slots, and the columns that explain them; `regrets` are those after the epoch.
fn settlement(
    outcome: &Outcome,
    inferences: &Inferences,
    regrets: &[Option<Q64>],
    ends: [usize; 3],
) -> Settlement {
    let class = |slot: usize| {
        let index = ends.iter().position(|&end| slot < end).unwrap_or(2);
        outcome.classes.get(index).copied().unwrap_or(Q64::ZERO)
    };
    let plain = |values: &[Option<Q64>]| -> Vec<Q64> {
        values
            .iter()
            .map(|value| value.unwrap_or(Q64::ZERO))
            .collect()
    };
    let mut scores = plain(&outcome.worker_scores);
    scores.extend(plain(&outcome.reputer_scores));
    let fractions = plain(&outcome.fractions);
    let parts: Vec<Q64> = (0..fractions.len()).map(class).collect();
    let paid: Vec<Q64> = fractions
        .iter()
        .zip(&parts)
        .map(|(&f, &part)| f * part)
        .collect();
    let shares = shares_of(&paid);
    // Reputers have neither a loss nor a weight nor a regret.
    let of_workers = |values: &[Option<Q64>]| -> Vec<Q64> {
        let workers = scores.len().saturating_sub(outcome.reputer_scores.len());
        let mut column = plain(values.get(..workers).unwrap_or_default());
        column.resize(scores.len(), Q64::ZERO);
        column
    };
    let heaviness: Q64 = inferences.weights.iter().flatten().sum();
    let weights: Vec<Option<Q64>> = inferences
        .weights
        .iter()
        .map(|weight| weight.map(|weight| weight / heaviness))
        .collect();
    Settlement {
        output: inferences.output(),
        explanation: vec![
            Column::new("weight in the network", of_workers(&weights)),
            Column::new("own loss", of_workers(&outcome.losses)),
            Column::new("regret", of_workers(regrets)),
            Column::new("score", scores.clone()),
            Column::new("fraction of its class", fractions),
            Column::new("part of its class", parts),
            Column::new("share", paid),
        ],
        scores,
        shares,
    }
}
