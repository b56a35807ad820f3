//! Steps 10 to 13: bonds and their moving averages.

use super::matrix::{Matrix, at};
use super::{AbsentBonds, LiquidAlpha};
use hallmark_fixed::Q32;

/// Step 7: entries held to the consensus of their column; those above a consensus of zero vanish.
pub(super) fn clip(weights: &Matrix, consensus: &[Q32]) -> Matrix {
    let mut clipped = Matrix::with_room_of(weights);
    for row in 0..weights.rows() {
        for (column, weight) in weights.entries(row) {
            let limit = at(consensus, column);
            if weight <= limit {
                clipped.push(column, weight);
            } else if limit > Q32::ZERO {
                clipped.push(column, limit);
            }
        }
        clipped.end_row();
    }
    clipped
}

/// Step 10 for 0 < β < 1: `w + β(min(w, C) − w)`, positive entries only.
pub(super) fn penalise(weights: &Matrix, consensus: &[Q32], penalty: Q32) -> Matrix {
    let mut result = Matrix::with_room_of(weights);
    for row in 0..weights.rows() {
        for (column, weight) in weights.entries(row) {
            let clipped = weight.min(at(consensus, column));
            let value = weight + penalty * (clipped - weight);
            if value > Q32::ZERO {
                result.push(column, value);
            }
        }
        result.end_row();
    }
    result
}

/// `min(w, C) / max(w, C)` per entry: one where a weight is the consensus.
pub(super) fn agreement(weights: &Matrix, consensus: &[Q32]) -> Matrix {
    let mut result = Matrix::with_room_of(weights);
    for row in 0..weights.rows() {
        for (column, weight) in weights.entries(row) {
            let limit = at(consensus, column);
            result.push(column, weight.min(limit) / weight.max(limit));
        }
        result.end_row();
    }
    result
}

/// `α·new + (1 − α)·old`, positive entries only.
pub(super) fn moving_average(new: &Matrix, old: &Matrix, alpha: Q32) -> Matrix {
    let keep = Q32::ONE - alpha;
    let mut result = Matrix::with_room_of(new);
    for row in 0..new.rows() {
        for (column, weight, bond) in merge(new, old, row) {
            let fresh = weight.map_or(Q32::ZERO, |weight| alpha * weight);
            let value = fresh + keep * bond;
            if value > Q32::ZERO {
                result.push(column, value);
            }
        }
        result.end_row();
    }
    result
}

/// The rate of each entry by how far it moves.
pub(super) struct Liquid {
    low: Q32,
    high: Q32,
    /// `−steepness / 100`.
    slope: Q32,
    /// The rate of an entry that does not move, which most do not once validators agree.
    still: Q32,
}

/// Exponentials computed side by side: enough to hide the latency of their products.
const LANES: usize = 8;

impl Liquid {
    pub(super) fn new(bounds: LiquidAlpha) -> Liquid {
        let mut liquid = Liquid {
            low: Q32::from_u16_proportion(bounds.low),
            high: Q32::from_u16_proportion(bounds.high),
            slope: Q32::from_int(i64::from(bounds.steepness)) / Q32::from_int(-100),
            still: Q32::ZERO,
        };
        let [still] = liquid.rates([Q32::ZERO]);
        liquid.still = still;
        liquid
    }

    /// Step 13 of several distances in 0..=1.
    #[inline]
    fn rates<const N: usize>(&self, distances: [Q32; N]) -> [Q32; N] {
        const HALF: Q32 = Q32::from_bits(1 << 31);
        Q32::exp_lanes(distances.map(|distance| self.slope * (distance - HALF))).map(|power| {
            let sigmoid = Q32::ONE / (Q32::ONE + power);
            (self.low + sigmoid * (self.high - self.low)).clamp(self.low, self.high)
        })
    }

    /// Turns the distance of each cell into its rate.
    fn fill_rates(&self, cells: &mut [Cell]) {
        let mut moving = cells.iter_mut().filter_map(|cell| {
            let moves = cell.rate > Q32::ZERO;
            if !moves {
                cell.rate = self.still;
            }
            moves.then_some(&mut cell.rate)
        });
        loop {
            let mut lanes: [Option<&mut Q32>; LANES] = core::array::from_fn(|_| moving.next());
            let distance = |lane: &Option<&mut Q32>| lane.as_deref().copied().unwrap_or(Q32::ZERO);
            let rates = self.rates(lanes.each_ref().map(distance));
            for (lane, rate) in lanes.iter_mut().zip(rates) {
                let Some(place) = lane else {
                    return;
                };
                **place = rate;
            }
        }
    }
}

/// An entry of a row; `rate` holds the distance at first.
struct Cell {
    column: u16,
    weight: Q32,
    bond: Q32,
    rate: Q32,
}

/// Step 13: `α_ij·new + (1 − α_ij)·old`, held to at most one, positive entries only.
pub(super) fn liquid_average(
    new: &Matrix,
    old: &Matrix,
    consensus: &[Q32],
    liquid: &Liquid,
    absent: AbsentBonds,
) -> Matrix {
    let mut result = Matrix::with_room_of(new);
    let mut cells: Vec<Cell> = Vec::with_capacity(new.columns());
    for row in 0..new.rows() {
        cells.clear();
        let entries = merge(new, old, row)
            .filter(|(_, weight, _)| weight.is_some() || absent == AbsentBonds::Decay);
        cells.extend(entries.map(|(column, weight, bond)| {
            let weight = weight.unwrap_or(Q32::ZERO);
            let distance = if weight >= bond {
                weight - at(consensus, column)
            } else {
                bond - weight
            };
            Cell {
                column,
                weight,
                bond,
                rate: distance.clamp(Q32::ZERO, Q32::ONE),
            }
        }));
        liquid.fill_rates(&mut cells);
        for cell in &cells {
            let kept = (Q32::ONE - cell.rate) * cell.bond;
            let value = (kept + (cell.rate * cell.weight).max(Q32::ZERO)).min(Q32::ONE);
            if value > Q32::ZERO {
                result.push(cell.column, value);
            }
        }
        result.end_row();
    }
    result
}

/// The union of two rows in column order: the weight, if the row has one, and the bond or zero.
fn merge<'a>(
    new: &'a Matrix,
    old: &'a Matrix,
    row: usize,
) -> impl Iterator<Item = (u16, Option<Q32>, Q32)> + 'a {
    let mut weights = new.entries(row).peekable();
    let mut bonds = old.entries(row).peekable();
    core::iter::from_fn(
        move || match (weights.peek().copied(), bonds.peek().copied()) {
            (Some((column, weight)), Some((other, bond))) if column == other => {
                weights.next();
                bonds.next();
                Some((column, Some(weight), bond))
            }
            (Some((column, weight)), other) if other.is_none_or(|(other, _)| column < other) => {
                weights.next();
                Some((column, Some(weight), Q32::ZERO))
            }
            (_, Some((column, bond))) => {
                bonds.next();
                Some((column, None, bond))
            }
            _ => None,
        },
    )
}
