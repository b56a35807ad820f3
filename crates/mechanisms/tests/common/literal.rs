//! Yuma by a second implementation that follows the table of steps literally, slot by slot over square
//! matrices, with plain integers for numbers: slow, and sharing no code with the first. Tests compare the
//! numbers, the benchmark the time.
#![allow(dead_code)]

use hallmark_mechanisms::yuma::{Epoch, LiquidAlpha, Params, Row, State, Version};

const ONE: i128 = 1 << 32;

fn mul(a: i128, b: i128) -> i128 {
    (a * b) >> 32
}

fn div(a: i128, b: i128) -> i128 {
    if b == 0 { 0 } else { (a << 32) / b }
}

fn proportion(part: u16) -> i128 {
    div(i128::from(part) << 32, 65_535 << 32)
}

fn part(x: i128) -> u16 {
    (mul(x, 65_535 << 32) >> 32).clamp(0, 65_535) as u16
}

fn normalised(values: &[i128]) -> Vec<i128> {
    let sum: i128 = values.iter().sum();
    values
        .iter()
        .map(|&x| if sum == 0 { x } else { div(x, sum) })
        .collect()
}

/// Square matrix whose missing entries differ from zeros.
type Square = Vec<Vec<Option<i128>>>;

fn columns_over(matrix: &Square, of: impl Fn(&[i128]) -> i128) -> Square {
    let slots = matrix.len();
    let over = |j: usize| of(&matrix.iter().filter_map(|row| row[j]).collect::<Vec<_>>());
    let divisors: Vec<i128> = (0..slots).map(over).collect();
    let cell = |(j, x): (usize, &Option<i128>)| {
        x.map(|x| {
            if divisors[j] == 0 {
                x
            } else {
                div(x, divisors[j])
            }
        })
    };
    matrix
        .iter()
        .map(|row| row.iter().enumerate().map(cell).collect())
        .collect()
}

fn sum(values: &[i128]) -> i128 {
    values.iter().sum()
}

fn greatest(values: &[i128]) -> i128 {
    values.iter().copied().max().unwrap_or(0).max(0)
}

pub struct Expected {
    pub consensus: Vec<i128>,
    pub trust: Vec<i128>,
    pub incentive: Vec<i128>,
    pub dividends: Vec<i128>,
    pub bonds: Vec<Row>,
    pub permits: Vec<bool>,
    pub combined: Vec<u64>,
}

pub fn reference(params: &Params, epoch: &Epoch<'_>, state: &State) -> Expected {
    let slots = epoch.stake.len();
    let owner = params.owner.map(usize::from);
    let counted: Vec<u128> = (0..slots)
        .map(|i| {
            let counts = owner == Some(i) || epoch.stake[i] >= params.stake_threshold;
            if counts { epoch.stake[i] } else { 0 }
        })
        .collect();
    let total: u128 = counted.iter().sum();
    let stake: Vec<i128> = counted
        .iter()
        .map(|&s| (s << 32).checked_div(total).unwrap_or(0) as i128)
        .collect();
    let allowed = |i: usize| state.permits[i] || owner == Some(i);
    let active = |i: usize| epoch.last_update[i] + params.activity_cutoff >= epoch.block;
    let mut order: Vec<usize> = (0..slots).collect();
    order.sort_by_key(|&i| stake[i]);
    let kept = &order[slots.saturating_sub(params.max_validators)..];
    let permits: Vec<bool> = (0..slots)
        .map(|i| owner == Some(i) || kept.contains(&i) && stake[i] > 0)
        .collect();
    let a: Vec<i128> = (0..slots)
        .map(|i| if active(i) && allowed(i) { stake[i] } else { 0 })
        .collect();
    let a = normalised(&a);

    let mut weights: Square = vec![vec![None; slots]; slots];
    for i in (0..slots).filter(|&i| allowed(i)) {
        for &(j, weight) in &epoch.weights[i] {
            let j = usize::from(j);
            let committed = epoch.commitments.get(i).copied().flatten();
            let counts = j < slots
                && (i != j || owner == Some(i))
                && epoch.last_update[i] > epoch.registered[j]
                && committed.is_none_or(|block| block >= epoch.registered[j]);
            if counts {
                weights[i][j] = Some(i128::from(weight) << 32);
            }
        }
        let total: i128 = weights[i].iter().flatten().sum();
        for weight in weights[i].iter_mut().flatten().filter(|_| total > 0) {
            *weight = div(*weight, total);
        }
    }
    let voters: Vec<usize> = (0..slots).filter(|&i| a[i] > 0).collect();
    let votes = normalised(&voters.iter().map(|&i| a[i]).collect::<Vec<_>>());
    let minority = sum(&votes) - proportion(params.kappa);
    let consensus: Vec<i128> = (0..slots)
        .map(|j| {
            let mut scores: Vec<(i128, i128)> = voters
                .iter()
                .zip(&votes)
                .map(|(&i, &vote)| (weights[i][j].unwrap_or(0), vote))
                .collect();
            scores.sort_unstable();
            // The largest with at most the minority strictly below it; the least always has nobody.
            let (mut agreed, mut below, mut through) = (None, 0, 0);
            for (place, &(score, vote)) in scores.iter().enumerate() {
                if place == 0 || scores[place - 1].0 < score {
                    below = through;
                }
                if below <= minority || agreed.is_none() {
                    agreed = Some(score);
                }
                through += vote;
            }
            agreed.unwrap_or(0)
        })
        .collect();
    let clip = |(j, w): (usize, &Option<i128>)| {
        let c = consensus[j];
        w.and_then(|w| {
            if w <= c {
                Some(w)
            } else {
                (c > 0).then_some(c)
            }
        })
    };
    let clipped: Square = weights
        .iter()
        .map(|row| row.iter().enumerate().map(clip).collect())
        .collect();
    let trust: Vec<i128> = clipped
        .iter()
        .map(|row| row.iter().flatten().sum())
        .collect();
    let rank = |j: usize| {
        (0..slots)
            .map(|i| mul(a[i], clipped[i][j].unwrap_or(0)))
            .sum()
    };
    let incentive = normalised(&(0..slots).map(rank).collect::<Vec<i128>>());

    let penalty = proportion(params.bonds_penalty);
    let bought: Square = match params.bonds_penalty {
        0 => weights,
        u16::MAX => clipped,
        _ => (0..slots)
            .map(|i| {
                let mix = |j: usize| {
                    let (w, c) = (weights[i][j].unwrap_or(0), clipped[i][j].unwrap_or(0));
                    Some(w + mul(penalty, c - w)).filter(|&x| x > 0)
                };
                (0..slots).map(mix).collect()
            })
            .collect(),
    };
    let last_tempo = match epoch.last_step_block {
        0 => epoch.block.saturating_sub(params.tempo),
        step => step + 1,
    };
    let mut old: Square = vec![vec![None; slots]; slots];
    for (i, row) in state.bonds.iter().enumerate() {
        for &(j, bond) in row.iter().filter(|bond| usize::from(bond.0) < slots) {
            if last_tempo > epoch.registered[usize::from(j)] {
                old[i][usize::from(j)] = Some(match params.version {
                    Version::Two => i128::from(bond) << 32,
                    Version::Three => proportion(bond),
                });
            }
        }
    }
    let kept = (i128::from(params.bonds_moving_average.min(1_000_000)) << 32) / 1_000_000;
    let average = |new: &Square, old: &Square| -> Square {
        let cell = |i: usize, j: usize| {
            let fresh = mul(ONE - kept, new[i][j].unwrap_or(0));
            Some(fresh + mul(kept, old[i][j].unwrap_or(0))).filter(|&x| x > 0)
        };
        (0..slots)
            .map(|i| (0..slots).map(|j| cell(i, j)).collect())
            .collect()
    };
    let row_value = |row: &[Option<i128>]| -> i128 {
        row.iter()
            .zip(&incentive)
            .map(|(x, &i)| mul(x.unwrap_or(0), i))
            .sum()
    };
    let (bonds, dividends) = match params.version {
        Version::Two => {
            let scaled: Square = bought
                .iter()
                .zip(&a)
                .map(|(row, &a)| row.iter().map(|w| w.map(|w| mul(w, a))).collect())
                .collect();
            let bonds = average(&columns_over(&scaled, sum), &columns_over(&old, sum));
            let bonds = columns_over(&bonds, sum);
            let dividends: Vec<i128> = bonds.iter().map(|row| row_value(row)).collect();
            (columns_over(&bonds, greatest), dividends)
        }
        Version::Three => {
            let liquid = params
                .liquid_alpha
                .filter(|_| consensus.iter().any(|&c| c != 0));
            let bonds = match liquid {
                None => average(&bought, &old),
                Some(bounds) => (0..slots)
                    .map(|i| {
                        let cell = |j: usize| {
                            liquid_cell(bounds, bought[i][j]?, old[i][j].unwrap_or(0), consensus[j])
                        };
                        (0..slots).map(cell).collect()
                    })
                    .collect(),
            };
            let shares = columns_over(&bonds, sum);
            let held = |i: usize| mul(row_value(&shares[i]), a[i]);
            let dividends = (0..slots).map(held).collect();
            (bonds, dividends)
        }
    };
    let dividends = normalised(&dividends);
    let combined: Vec<i128> = incentive
        .iter()
        .zip(&dividends)
        .map(|(i, d)| i + d)
        .collect();
    let paid = match (sum(&combined), sum(&a)) {
        (0, 0) => stake,
        (0, _) => a,
        _ => normalised(&combined),
    };
    let stored = |i: usize| -> Row {
        if permits[i] {
            let entry = |(j, x): (usize, &Option<i128>)| Some((j as u16, part((*x)?)));
            bonds[i].iter().enumerate().filter_map(entry).collect()
        } else if allowed(i) {
            Row::new()
        } else {
            state.bonds[i].clone()
        }
    };
    Expected {
        bonds: (0..slots).map(stored).collect(),
        combined: paid
            .iter()
            .map(|&x| ((x * i128::from(params.emission)) >> 32) as u64)
            .collect(),
        consensus,
        trust,
        incentive,
        dividends,
        permits,
    }
}

fn liquid_cell(bounds: LiquidAlpha, weight: i128, bond: i128, consensus: i128) -> Option<i128> {
    let (low, high) = (proportion(bounds.low), proportion(bounds.high));
    let distance = if weight >= bond {
        weight - consensus
    } else {
        bond - weight
    };
    let slope = div(i128::from(bounds.steepness) << 32, -100 << 32);
    let exponent = mul(slope, distance.clamp(0, ONE) - ONE / 2).clamp(-20 * ONE, 20 * ONE);
    // The Taylor sum of the source, term by term.
    let size = exponent.abs();
    let (mut term, mut total) = (size, size + ONE);
    for k in 2..32 {
        term = mul(term, size) / k;
        total += term;
    }
    let power = match exponent {
        0 => ONE,
        ONE => 22_802_600 << 9,
        negative if negative < 0 => div(ONE, total),
        _ => total,
    };
    let rate = (low + mul(div(ONE, ONE + power), high - low)).clamp(low, high);
    let value = (mul(ONE - rate, bond) + mul(rate, weight).max(0)).min(ONE);
    (value > 0).then_some(value)
}
