//! The columns of one weight matrix, from real to int8.

use hallmark_graph::{LinearWeights, Range};

use super::{LEVELS, exp2, multiplier_limit};

/// Smallest multiplier: a column's grid is coarser than int8 allows by at most an eighth.
const MIN_MULTIPLIER: f64 = 8.0;

/// The largest multiplier of a node is at least this where the bound allows, so that columns of
/// half its weights stay above the smallest.
const GOOD_MULTIPLIER: f64 = 16.0;

/// The columns of a float weight with the scale of their operand.
pub(super) struct Columns<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    input_scale: f64,
    /// Largest magnitude per column.
    largest: Vec<f64>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(weight: &'a [f32], bias: &'a [f32], input_scale: f64) -> Self {
        let mut largest = vec![0f64; bias.len()];
        for row in weight.chunks_exact(bias.len()) {
            for (largest, &w) in largest.iter_mut().zip(row) {
                *largest = largest.max(f64::from(w).abs());
            }
        }
        Self {
            weight,
            bias,
            input_scale,
            largest,
        }
    }

    /// Largest real magnitude of a result over operands in `range`.
    pub(super) fn worst(&self, range: Range) -> f64 {
        let lo = f64::from(range.lo) * self.input_scale;
        let hi = f64::from(range.hi) * self.input_scale;
        let mut sums: Vec<(f64, f64)> = self
            .bias
            .iter()
            .map(|&b| (f64::from(b), f64::from(b)))
            .collect();
        for row in self.weight.chunks_exact(self.bias.len()) {
            for (sum, &w) in sums.iter_mut().zip(row) {
                let (a, b) = (f64::from(w) * lo, f64::from(w) * hi);
                sum.0 += a.min(b);
                sum.1 += a.max(b);
            }
        }
        let magnitude = |(lo, hi): &(f64, f64)| lo.abs().max(hi.abs());
        sums.iter().map(magnitude).fold(0.0, f64::max)
    }

    /// Integer columns for results of `output_scale`, and the shift; `None` when multipliers or
    /// biases do not fit.
    pub(super) fn quantize(
        &self,
        output_scale: f64,
        (preferred, most): (u8, u8),
    ) -> Option<(u8, LinearWeights)> {
        let ratio = |largest: f64| self.input_scale * largest / (LEVELS * output_scale);
        let top = ratio(self.largest.iter().copied().fold(0.0, f64::max));
        let mut shift = preferred;
        while top * exp2(shift) < GOOD_MULTIPLIER && shift < most {
            shift += 1;
        }
        while (top * exp2(shift)).ceil() >= multiplier_limit() {
            shift = shift.checked_sub(1)?;
        }
        let multipliers: Vec<f64> = self
            .largest
            .iter()
            .map(|&largest| (ratio(largest) * exp2(shift)).ceil().max(MIN_MULTIPLIER))
            .collect();
        let steps: Vec<f64> = multipliers
            .iter()
            .map(|m| m * output_scale / (self.input_scale * exp2(shift)))
            .collect();
        let mut w = Vec::with_capacity(self.weight.len());
        for row in self.weight.chunks_exact(self.bias.len()) {
            let quantized = row.iter().zip(&steps);
            w.extend(
                quantized
                    .map(|(&w, step)| (f64::from(w) / step).round().clamp(-LEVELS, LEVELS) as i8),
            );
        }
        let limit = f64::from(i32::MAX);
        let b: Option<Vec<i32>> = self
            .bias
            .iter()
            .zip(&steps)
            .map(|(&b, step)| {
                let value = (f64::from(b) / (step * self.input_scale)).round();
                (value.abs() <= limit).then_some(value as i32)
            })
            .collect();
        let m = multipliers.iter().map(|&m| m as u16).collect();
        Some((shift, LinearWeights { w, b: b?, m }))
    }
}
