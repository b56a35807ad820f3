//! The epoch from inputs to outcome, in the order of the steps of the module's table.

use super::bonds::{Liquid, agreement, clip, liquid_average, moving_average, penalise};
use super::matrix::{Matrix, normalise};
use super::median::weighted_medians;
use super::{Epoch, Error, Outcome, Params, Row, State, Version};
use crate::settlement::{Column, Settlement, WHOLE, apportion, shift_to_sum};
use hallmark_fixed::{Q32, Q64};

/// Computes one epoch and moves `state` to the next.
///
/// The time is linear in the number of weights and bonds; so is the memory.
///
/// # Errors
///
/// [`enum@Error`] if lengths differ, a row names a worker twice, there are more than 65,535 slots, or
/// the bounds of liquid alpha cross. The state is then unchanged.
pub fn settle(params: &Params, epoch: &Epoch<'_>, state: &mut State) -> Result<Outcome, Error> {
    check(params, epoch, state)?;
    let slots = epoch.stake.len();
    let owner = params.owner.map(usize::from);

    // Steps 1 to 4.
    let active: Vec<bool> = epoch
        .last_update
        .iter()
        .map(|last| last.saturating_add(params.activity_cutoff) >= epoch.block)
        .collect();
    let stake = stake_shares(params, epoch.stake);
    let permits: Vec<bool> = state
        .permits
        .iter()
        .enumerate()
        .map(|(i, &permit)| permit || owner == Some(i))
        .collect();
    let next_permits = next_permits(&stake, params.max_validators, owner);
    let mut active_stake = stake.clone();
    for ((share, &active), &permit) in active_stake.iter_mut().zip(&active).zip(&permits) {
        if !(active && permit) {
            *share = Q32::ZERO;
        }
    }
    normalise(&mut active_stake);

    // Steps 5 to 9, over the rows that have weights or bonds.
    let rows: Vec<usize> = (0..slots)
        .filter(|&i| {
            permits.get(i) == Some(&true) || state.bonds.get(i).is_some_and(|row| !row.is_empty())
        })
        .collect();
    let row_stake: Vec<Q32> = rows
        .iter()
        .filter_map(|&i| active_stake.get(i).copied())
        .collect();
    let mut weights = weights(params, epoch, &permits, &rows)?;
    weights.normalise_rows();
    let consensus = weighted_medians(&row_stake, &weights, Q32::from_u16_proportion(params.kappa));
    let clipped = clip(&weights, &consensus);
    let mut validator_trust = vec![Q32::ZERO; slots];
    for (&i, trust) in rows.iter().zip(clipped.row_sums()) {
        if let Some(place) = validator_trust.get_mut(i) {
            *place = trust;
        }
    }
    let mut incentive = if params.two_sided {
        consensus.clone()
    } else {
        clipped.weighted_column_sums(&row_stake)
    };
    normalise(&mut incentive);

    // Steps 10 to 13.
    let agreement = params.two_sided.then(|| agreement(&weights, &consensus));
    let mut weights = match params.bonds_penalty {
        0 => weights,
        u16::MAX => clipped,
        part => penalise(&weights, &consensus, Q32::from_u16_proportion(part)),
    };
    if let Some(agreement) = &agreement {
        weights.multiply(agreement);
    }
    let old = old_bonds(params, epoch, state, &rows)?;
    let (kept, row_dividends) = match params.version {
        Version::Two => version_two(params, &weights, old, &row_stake, &incentive),
        Version::Three => version_three(params, &weights, &old, &row_stake, &incentive, &consensus),
    };
    let mut dividends = vec![Q32::ZERO; slots];
    for (&i, dividend) in rows.iter().zip(row_dividends) {
        if let Some(place) = dividends.get_mut(i) {
            *place = dividend;
        }
    }
    normalise(&mut dividends);

    // Steps 14 and 15.
    keep_bonds(state, &rows, &permits, &next_permits, &kept);
    state.permits = next_permits;
    Ok(pay(
        params,
        active,
        stake,
        &active_stake,
        consensus,
        validator_trust,
        incentive,
        dividends,
    ))
}

fn check(params: &Params, epoch: &Epoch<'_>, state: &State) -> Result<(), Error> {
    let slots = epoch.stake.len();
    if slots > usize::from(u16::MAX) {
        return Err(Error::TooManySlots(slots));
    }
    let commitments = if epoch.commitments.is_empty() {
        slots
    } else {
        epoch.commitments.len()
    };
    for (name, found) in [
        ("last_update", epoch.last_update.len()),
        ("registered", epoch.registered.len()),
        ("weights", epoch.weights.len()),
        ("permits", state.permits.len()),
        ("bonds", state.bonds.len()),
        ("commitments", commitments),
    ] {
        if found != slots {
            return Err(Error::Length { name, found, slots });
        }
    }
    let mut sorted = Row::new();
    for (slot, row) in epoch.weights.iter().enumerate() {
        sort_row("weights", slot, row, &mut sorted)?;
    }
    for (slot, row) in state.bonds.iter().enumerate() {
        sort_row("bonds", slot, row, &mut sorted)?;
    }
    match params.liquid_alpha {
        Some(alpha) if alpha.low > alpha.high => Err(Error::AlphaBounds {
            low: alpha.low,
            high: alpha.high,
        }),
        _ => Ok(()),
    }
}

/// Step 2: `floor(s·2^32 / Σs)`, which is what the source's 64.64 quotient cut to 32.32 gives.
fn stake_shares(params: &Params, stake: &[u128]) -> Vec<Q32> {
    let counted: Vec<u128> = stake
        .iter()
        .enumerate()
        .map(|(i, &s)| {
            let exempt = params.owner.map(usize::from) == Some(i);
            if exempt || s >= params.stake_threshold {
                s
            } else {
                0
            }
        })
        .collect();
    let counted = shift_to_sum(&cap_stakes(params.stake_cap, counted), 96);
    let sum = counted.iter().fold(0u128, |sum, &s| sum.saturating_add(s));
    let share = |&s: &u128| (s << 32).checked_div(sum).unwrap_or(0);
    counted
        .iter()
        .map(|s| Q32::from_bits(i64::try_from(share(s)).unwrap_or(i64::MAX)))
        .collect()
}

/// No stake above the `⌈q·k⌉`-th smallest of the k positive ones.
fn cap_stakes(quantile: Option<u16>, stakes: Vec<u128>) -> Vec<u128> {
    let Some(quantile) = quantile else {
        return stakes;
    };
    let mut sorted: Vec<u128> = stakes.iter().copied().filter(|&stake| stake > 0).collect();
    sorted.sort_unstable();
    let rank = sorted
        .len()
        .saturating_mul(usize::from(quantile))
        .div_ceil(usize::from(u16::MAX));
    let cap = sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0);
    stakes.into_iter().map(|stake| stake.min(cap)).collect()
}

/// Step 3.
fn next_permits(stake: &[Q32], max_validators: usize, owner: Option<usize>) -> Vec<bool> {
    let mut permits: Vec<bool> = stake.iter().map(|&share| share != Q32::ZERO).collect();
    let mut order: Vec<usize> = (0..stake.len()).collect();
    order.sort_by_key(|&i| stake.get(i).copied());
    for &i in order
        .iter()
        .take(stake.len().saturating_sub(max_validators))
    {
        if let Some(permit) = permits.get_mut(i) {
            *permit = false;
        }
    }
    if let Some(permit) = owner.and_then(|owner| permits.get_mut(owner)) {
        *permit = true;
    }
    permits
}

/// Step 5 without the normalisation. The sixteen-bit weights stand at their integer size in
/// the lowest bits: dividing by the row sum makes them what full-size numbers would become.
fn weights(
    params: &Params,
    epoch: &Epoch<'_>,
    permits: &[bool],
    rows: &[usize],
) -> Result<Matrix, Error> {
    let mut matrix = Matrix::new(epoch.stake.len());
    let mut sorted = Row::new();
    for &i in rows {
        let last_update = epoch.last_update.get(i).copied().unwrap_or(0);
        let commitment = epoch
            .commitments
            .get(i)
            .copied()
            .flatten()
            .unwrap_or(u64::MAX);
        let row = epoch
            .weights
            .get(i)
            .filter(|_| permits.get(i) == Some(&true));
        sort_row("weights", i, row.map_or(&[], Vec::as_slice), &mut sorted)?;
        for &(j, weight) in &sorted {
            let Some(&registered) = epoch.registered.get(usize::from(j)) else {
                continue;
            };
            let own = usize::from(j) == i && params.owner != Some(j);
            if !own && last_update > registered && commitment >= registered {
                matrix.push(j, Q32::from_bits(i64::from(weight)));
            }
        }
        matrix.end_row();
    }
    Ok(matrix)
}

/// Step 11: bonds as integers in the lowest bits (version 2 divides by their sum) or as
/// proportions (version 3).
fn old_bonds(
    params: &Params,
    epoch: &Epoch<'_>,
    state: &State,
    rows: &[usize],
) -> Result<Matrix, Error> {
    let last_tempo = match epoch.last_step_block {
        0 => epoch.block.saturating_sub(params.tempo),
        step => step.saturating_add(1),
    };
    let mut matrix = Matrix::new(epoch.stake.len());
    let mut sorted = Row::new();
    for &i in rows {
        sort_row(
            "bonds",
            i,
            state.bonds.get(i).map_or(&[], Vec::as_slice),
            &mut sorted,
        )?;
        for &(j, bond) in &sorted {
            let registered = epoch.registered.get(usize::from(j));
            if registered.is_some_and(|&registered| last_tempo > registered) {
                let value = match params.version {
                    Version::Two => Q32::from_bits(i64::from(bond)),
                    Version::Three => Q32::from_u16_proportion(bond),
                };
                matrix.push(j, value);
            }
        }
        matrix.end_row();
    }
    Ok(matrix)
}

fn sort_row(
    name: &'static str,
    slot: usize,
    row: &[(u16, u16)],
    into: &mut Row,
) -> Result<(), Error> {
    into.clear();
    into.extend_from_slice(row);
    if !into.is_sorted_by(|a, b| a.0 < b.0) {
        into.sort_by_key(|entry| entry.0);
        let twice = into
            .windows(2)
            .find(|pair| pair.first().map(|a| a.0) == pair.last().map(|b| b.0));
        if let Some(&(worker, _)) = twice.and_then(|pair| pair.first()) {
            return Err(Error::Duplicate { name, slot, worker });
        }
    }
    Ok(())
}

/// `1 − bonds_moving_average / 10^6`, the quotient truncated.
fn fixed_rate(params: &Params) -> Q32 {
    let millionths = params.bonds_moving_average.min(1_000_000) as i64;
    Q32::ONE - Q32::from_int(millionths) / Q32::from_int(1_000_000)
}

fn version_two(
    params: &Params,
    weights: &Matrix,
    mut old: Matrix,
    stake: &[Q32],
    incentive: &[Q32],
) -> (Matrix, Vec<Q32>) {
    old.normalise_columns();
    let mut bought = weights.scale_rows(stake);
    bought.normalise_columns();
    let mut bonds = moving_average(&bought, &old, fixed_rate(params));
    bonds.normalise_columns();
    let dividends = bonds.weighted_row_sums(incentive);
    bonds.upscale_columns();
    (bonds, dividends)
}

fn version_three(
    params: &Params,
    weights: &Matrix,
    old: &Matrix,
    stake: &[Q32],
    incentive: &[Q32],
    consensus: &[Q32],
) -> (Matrix, Vec<Q32>) {
    let agreed = consensus.iter().any(|&c| c != Q32::ZERO);
    let bonds = match params.liquid_alpha.filter(|_| agreed) {
        Some(bounds) => {
            let liquid = Liquid::new(bounds);
            liquid_average(weights, old, consensus, &liquid, params.absent_bonds)
        }
        None => moving_average(weights, old, fixed_rate(params)),
    };
    let held = bonds.divided_row_sums(&bonds.column_sums(), incentive);
    let dividends = held
        .iter()
        .zip(stake)
        .map(|(&held, &stake)| held * stake)
        .collect();
    (bonds, dividends)
}

/// Step 15.
fn keep_bonds(
    state: &mut State,
    rows: &[usize],
    permits: &[bool],
    next_permits: &[bool],
    bonds: &Matrix,
) {
    for (row, &i) in rows.iter().enumerate() {
        let Some(place) = state.bonds.get_mut(i) else {
            continue;
        };
        if next_permits.get(i) == Some(&true) {
            *place = bonds
                .entries(row)
                .map(|(j, bond)| (j, bond.to_u16_proportion()))
                .collect();
        } else if permits.get(i) == Some(&true) {
            place.clear();
        }
    }
}

/// Step 14 and the settlement.
#[allow(clippy::too_many_arguments)]
fn pay(
    params: &Params,
    active: Vec<bool>,
    stake: Vec<Q32>,
    active_stake: &[Q32],
    consensus: Vec<Q32>,
    validator_trust: Vec<Q32>,
    incentive: Vec<Q32>,
    dividends: Vec<Q32>,
) -> Outcome {
    let combined: Vec<Q32> = incentive
        .iter()
        .zip(&dividends)
        .map(|(&i, &d)| i + d)
        .collect();
    let sum: Q32 = combined.iter().sum();
    let over_sum = |part: &Q32| if sum == Q32::ZERO { *part } else { *part / sum };
    let server: Vec<Q32> = incentive.iter().map(over_sum).collect();
    let mut validator: Vec<Q32> = dividends.iter().map(over_sum).collect();
    let mut paid: Vec<Q32> = combined.iter().map(over_sum).collect();
    if sum == Q32::ZERO && params.pay_idle {
        let idle = active_stake.iter().sum::<Q32>() == Q32::ZERO;
        validator = if idle {
            stake.clone()
        } else {
            active_stake.to_vec()
        };
        paid.clone_from(&validator);
    }
    let emission = |shares: &[Q32]| -> Vec<u64> {
        let part = |share: &Q32| {
            let bits = u128::try_from(share.to_bits()).unwrap_or(0);
            let units = bits.saturating_mul(u128::from(params.emission)) >> 32;
            u64::try_from(units).unwrap_or(u64::MAX)
        };
        shares.iter().map(part).collect()
    };
    let weights: Vec<u128> = paid
        .iter()
        .map(|share| u128::try_from(share.to_bits()).unwrap_or(0))
        .collect();
    let settlement = Settlement {
        shares: apportion(&weights, WHOLE),
        scores: combined.iter().copied().map(Q64::from).collect(),
        output: None,
        explanation: vec![
            Column::of_q32("stake share", &stake),
            Column::of_q32("active stake share", active_stake),
            Column::of_q32("consensus weight", &consensus),
            Column::of_q32("validator trust", &validator_trust),
            Column::of_q32("incentive", &incentive),
            Column::of_q32("dividends", &dividends),
            Column::of_q32("share", &paid),
        ],
    };
    Outcome {
        active,
        server_emission: emission(&server),
        validator_emission: emission(&validator),
        combined_emission: emission(&paid),
        stake_weight: stake,
        consensus,
        validator_trust,
        incentive,
        dividends,
        settlement,
    }
}
