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
}

impl Liquid {
    pub(super) fn new(bounds: LiquidAlpha) -> Liquid {
        Liquid {
            low: Q32::from_u16_proportion(bounds.low),
            high: Q32::from_u16_proportion(bounds.high),
            slope: Q32::from_int(i64::from(bounds.steepness)) / Q32::from_int(-100),
        }
    }

    /// Step 13 for several entries at once.
    #[inline]
    fn rates<const N: usize>(&self, cells: &[Cell; N]) -> [Q32; N] {
        const HALF: Q32 = Q32::from_bits(1 << 31);
        let exponents = cells.map(|cell| {
            let moved = if cell.weight >= cell.bond {
                cell.weight - cell.consensus
            } else {
                cell.bond - cell.weight
            };
            self.slope * (moved.clamp(Q32::ZERO, Q32::ONE) - HALF)
        });
        Q32::exp_lanes(exponents).map(|power| {
            let sigmoid = Q32::ONE / (Q32::ONE + power);
            (self.low + sigmoid * (self.high - self.low)).clamp(self.low, self.high)
        })
    }
}

#[derive(Clone, Copy, Default)]
struct Cell {
    column: u16,
    weight: Q32,
    bond: Q32,
    consensus: Q32,
}

/// Step 13: `α_ij·new + (1 − α_ij)·old`, held to at most one, positive entries only.
pub(super) fn liquid_average(
    new: &Matrix,
    old: &Matrix,
    consensus: &[Q32],
    liquid: &Liquid,
    absent: AbsentBonds,
) -> Matrix {
    const LANES: usize = 4;
    let mut result = Matrix::with_room_of(new);
    let mut cells = [Cell::default(); LANES];
    for row in 0..new.rows() {
        let mut filled = 0usize;
        let mut flush = |cells: &[Cell; LANES], filled: usize| {
            let rates = liquid.rates(cells);
            for (cell, rate) in cells.iter().zip(rates).take(filled) {
                let kept = (Q32::ONE - rate) * cell.bond;
                let value = (kept + (rate * cell.weight).max(Q32::ZERO)).min(Q32::ONE);
                if value > Q32::ZERO {
                    result.push(cell.column, value);
                }
            }
        };
        for (column, weight, bond) in merge(new, old, row) {
            if weight.is_none() && absent == AbsentBonds::Drop {
                continue;
            }
            let weight = weight.unwrap_or(Q32::ZERO);
            if let Some(cell) = cells.get_mut(filled) {
                *cell = Cell {
                    column,
                    weight,
                    bond,
                    consensus: at(consensus, column),
                };
            }
            filled = filled.saturating_add(1);
            if filled == LANES {
                flush(&cells, filled);
                filled = 0;
            }
        }
        if filled > 0 {
            flush(&cells, filled);
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
