//! Operators over an axis: maxima, softmax, normalisation, one-hot vectors, ranks.
//!
//! A maximum is a tournament: `max(a, b) = b + relu(a - b)` over both halves of the axis, one
//! `Lookup` for a whole round; the last of many odd lengths waits. A softmax is `e = T_exp[x - max]`, `e · T_1/x[Σ e]`. A normalisation
//! works on `n·x - Σ x`, exact, and on the table of `1/sqrt` of a sum of squares.

use hallmark_graph::{AxisMap, ValueId, bounds};

use super::emit::{axis, dims, identity};
use super::table::Entries;
use super::{Compiler, Held, MIDDLE_LEVELS, WIDE_LEVELS};
use crate::CompileError;
use crate::float::FloatOp;

/// Sums and products stay below this.
const MAX_SUM: f64 = (1u32 << 28) as f64;
/// Maxima at a time from which one without an opponent waits for a later round.
const WAITS_FROM: u64 = 1 << 11;
/// Longest axis that is ranked by comparing all pairs.
const MAX_RANKED: usize = 256;
/// Longest axis of a one-hot vector that one table serves.
const MAX_PLAIN_DEPTH: u32 = 256;

impl Compiler<'_> {
    /// Integers for the float node.
    pub(super) fn node(&mut self, node: usize) -> Result<(), CompileError> {
        self.current = node;
        let result = self.graph.inputs.len() + node;
        if self.observed.constants[result].is_some() {
            self.held.push(None);
            return Ok(());
        }
        let graph = self.graph;
        let shape = dims(graph.shape(result));
        let held = match &graph.nodes[node].op {
            FloatOp::Constant { .. } => return self.refuse("a constant without values"),
            FloatOp::MatMul { a, b, batch, inner } => {
                self.product(result, (*a, *b), *batch, *inner)?
            }
            FloatOp::Mul { a, b } => self.elementwise_product(result, (*a, *b))?,
            FloatOp::Div { a, b } => self.quotient((*a, *b))?,
            FloatOp::Combine { terms, offset } => {
                self.linear_combination(result, terms, *offset)?
            }
            FloatOp::Sum { input, axes } => self.total(*input, axes)?,
            FloatOp::View { input, axes } => {
                let held = self.operand(*input)?;
                let value = self.view(held.value, axes.clone(), shape)?;
                Held { value, ..held }
            }
            FloatOp::Reshape { input } => {
                let held = self.operand(*input)?;
                let value = self.reshape(held.value, shape)?;
                Held { value, ..held }
            }
            FloatOp::Unary { input, function } => self.unary(result, *input, function)?,
            FloatOp::Binary { a, b, op } => self.binary(result, (*a, *b), *op)?,
            FloatOp::ReduceMax { input, axis } => {
                let levels = self.levels(result);
                let held = self.narrow_enough(*input, levels)?;
                let value = self.tournament(held.value, usize::from(*axis))?;
                let value = self.reshape(value, shape)?;
                Held { value, ..held }
            }
            FloatOp::Softmax { input } => self.softmax(result, *input)?,
            FloatOp::Normalize {
                input,
                epsilon,
                center,
            } => self.normalize(result, *input, *epsilon, *center)?,
            FloatOp::OneHotMax { input } => self.one_hot_max(*input)?,
            FloatOp::OneHot { input, depth } => self.one_hot(*input, *depth)?,
            FloatOp::Rank { input } => self.rank(*input)?,
        };
        self.held.push(Some(held));
        Ok(())
    }

    /// A hold whose differences fit a table.
    fn narrow_enough(&mut self, input: usize, levels: u32) -> Result<Held, CompileError> {
        let held = self.operand(input)?;
        if held.exact && self.reach(held.value) < 8_000.0 {
            return Ok(held);
        }
        self.need(input, levels.min(8_191))
    }

    /// The largest element over an axis, whose length becomes 1.
    fn tournament(&mut self, value: ValueId, over: usize) -> Result<ValueId, CompileError> {
        let range = self.range(value);
        let spread = i64::from(range.hi) - i64::from(range.lo);
        let spread = i32::try_from(spread).unwrap_or(i32::MAX);
        let ends = (range.lo, range.hi);
        let first = self.narrowest_window(i64::from(spread));
        let mut value = value;
        // Elements that had no opponent in a round.
        let mut left: Vec<ValueId> = Vec::new();
        loop {
            let shape = self.dims(value);
            let length = shape[over];
            let slice = |offset: u32, count: u32| {
                let mut axes = identity(shape.len());
                axes[over] = AxisMap::Affine {
                    offset: i32::try_from(offset).unwrap_or(i32::MAX),
                    terms: if count == 1 {
                        Vec::new()
                    } else {
                        vec![(u8::try_from(over).unwrap_or(u8::MAX), 1)]
                    },
                };
                let mut part = shape.clone();
                part[over] = count;
                (axes, part)
            };
            if length <= 1 && left.is_empty() {
                // The next reader counts on the range that the values have.
                return match self.range(value).hi > ends.1 {
                    true => {
                        let bits = self.window(value);
                        self.clamp(value, 0, bits, ends)
                    }
                    false => Ok(value),
                };
            }
            // Ranges grow by a spread in every round though the values do not: a clamp that never
            // bites tells the bounds so, before the windows of differences become long.
            let own = self.range(value);
            let width = i64::from(own.hi) - i64::from(own.lo);
            let next = i64::from(own.hi) + i64::from(spread);
            if own.hi > ends.1 && (self.narrowest_window(width) > first + 1 || next > 32_000) {
                let bits = self.window(value);
                value = self.clamp(value, 0, bits, ends)?;
            }
            let (a, b) = match left.pop() {
                Some(other) if length <= 1 => (value, other),
                other => {
                    left.extend(other);
                    let lanes: u64 = shape.iter().map(|&dim| u64::from(dim)).product();
                    // The last of an odd length waits, or the middle is on both sides, which harms no maximum
                    // and saves a step where it is of few elements.
                    let half = match lanes / u64::from(length) >= WAITS_FROM {
                        true => length / 2,
                        false => length.div_ceil(2),
                    };
                    if 2 * half < length {
                        let (axes, part) = slice(length - 1, 1);
                        left.push(self.view(value, axes, part)?);
                    }
                    let second = length - half - u32::from(2 * half < length);
                    let (axes, part) = slice(0, half);
                    let a = self.view(value, axes, part)?;
                    let (axes, part) = slice(second, half);
                    (a, self.view(value, axes, part)?)
                }
            };
            let d = self.combine(&[(a, 1), (b, -1)], 0)?;
            let bits = self.window(d);
            let most = (1i32 << (bits - 1)) - 1;
            let positive = self.clamp(d, 0, bits, (0, spread.min(most)))?;
            value = self.combine(&[(b, 1), (positive, 1)], 0)?;
        }
    }

    /// Bits of the smallest table for differences of such a magnitude.
    fn narrowest_window(&self, magnitude: i64) -> u8 {
        let end = i32::try_from(magnitude).unwrap_or(i32::MAX);
        let range = hallmark_graph::Range { lo: -end, hi: end };
        (12..=16)
            .find(|&bits| bounds::lookup_fits(range, 0, bits))
            .unwrap_or(17)
    }

    /// A value with a last axis of 1, repeated along it.
    fn repeated(&mut self, value: ValueId, length: u32) -> Result<ValueId, CompileError> {
        let mut shape = self.dims(value);
        let last = shape.len() - 1;
        shape[last] = length;
        let mut axes = identity(shape.len());
        axes[last] = AxisMap::Affine {
            offset: 0,
            terms: Vec::new(),
        };
        self.view(value, axes, shape)
    }

    /// The sum over the last axis, which stays with length 1.
    fn last_sum(&mut self, value: ValueId) -> Result<ValueId, CompileError> {
        let mut shape = self.dims(value);
        let last = shape.len() - 1;
        let sum = self.sum(value, &[u8::try_from(last).unwrap_or(u8::MAX)])?;
        shape[last] = 1;
        self.reshape(sum, shape)
    }

    fn softmax(&mut self, result: usize, input: usize) -> Result<Held, CompileError> {
        let held = self.operand(input)?;
        let length = self.dims(held.value).last().copied().unwrap_or(1);
        let wide = self.options.bits == 16;
        let depth = self.softmax_depth();
        let (least_max, most) = self.observed.rows[result];
        let least = self.observed.interval[input].0.max(least_max - depth);
        // A softmax does not see a common shift, so the interval is centred.
        let middle = (least + most) / 2.0;
        let centre = (middle / held.scale).round();
        let centred =
            self.reach(held.value) + centre.abs() < f64::from(hallmark_graph::MAX_MAGNITUDE);
        let (held, radius) = if centred && centre != 0.0 {
            let value = self.combine(&[(held.value, 1)], -(centre as i32))?;
            (
                Held {
                    value,
                    scale: held.scale,
                    exact: false,
                },
                (most - least) / 2.0,
            )
        } else {
            (held, most.abs().max(least.abs()))
        };
        let radius = (radius * 1.05).max(1e-3);
        let steps = if wide { 512.0 } else { 64.0 };
        let levels = match (radius * steps) as u32 {
            0..=1022 => 1023,
            1023..=2046 => 2047,
            2047..=4094 => 4095,
            _ => 8191,
        };
        let levels = if wide { 8191 } else { levels };
        let x = self.narrow(held, (-radius, radius), levels, None)?;
        let last = self.dims(x.value).len() - 1;
        let max = self.tournament(x.value, last)?;
        let max = self.repeated(max, length)?;
        let d = self.combine(&[(x.value, 1), (max, -1)], 0)?;
        let full = if wide { 1 << 12 } else { 1 << 9 };
        let full = f64::from(full).min(MAX_SUM / f64::from(length) / 2.0);
        let entries = Entries {
            function: &|d| d.min(0.0).exp(),
            scale: 1.0 / full,
            lo: 0,
            hi: full as i32,
        };
        let d = Held {
            value: d,
            scale: x.scale,
            exact: false,
        };
        let d = if bounds::lookup_fits(self.range(d.value), 0, 16) {
            d
        } else {
            // The maximum's range is wider than its values.
            let ends = (-2.0 * f64::from(levels) * x.scale, 0.0);
            self.narrow(d, ends, 2 * levels, None)?
        };
        let e = self.exponentials(d, &entries, depth)?;
        let sum = self.last_sum(e)?;
        let most = (MAX_SUM / full * 0.98).floor();
        // Beyond 8 bits of the result there is nothing to gain, only a longer shift.
        let enough = (f64::from(length) * 64.0).max(1024.0);
        let scale = match self.shifted_scale(result, 1.0 / full, (most.min(enough)).recip()) {
            Some(scale) if !wide => scale,
            _ if wide => 1.0 / most,
            _ => 1.0 / most.min(enough),
        };
        let most = 1.0 / scale;
        let reciprocal = Entries {
            function: &|z| 1.0 / z.max(1.0),
            scale,
            lo: 0,
            hi: most as i32,
        };
        let z = Held {
            value: sum,
            scale: 1.0 / full,
            exact: false,
        };
        let r = self.tabulate_steep(z, (1.0, f64::from(length)), &reciprocal)?;
        let r = self.repeated(r, length)?;
        let value = self.mul(e, r)?;
        Ok(Held {
            value,
            scale: scale / full,
            exact: false,
        })
    }

    /// Exponentials of differences, by a table whose index is no finer than it helps.
    fn exponentials(
        &mut self,
        d: Held,
        entries: &Entries<'_>,
        depth: f64,
    ) -> Result<ValueId, CompileError> {
        let bits = self.window(d.value);
        if bits > 12 && self.options.bits == 8 && d.scale * 2.0 <= 1.0 / 64.0 {
            return self.tabulate(d, depth, depth * 64.0, entries);
        }
        let half = 1i32 << (bits - 1);
        let step = d.scale;
        self.explicit(d.value, 0, bits, |u| {
            debug_assert!(u >= -half);
            let y = (entries.function)(f64::from(u) * step) / entries.scale;
            (y.round() as i32).clamp(entries.lo, entries.hi)
        })
    }

    fn normalize(
        &mut self,
        result: usize,
        input: usize,
        epsilon: f64,
        center: bool,
    ) -> Result<Held, CompileError> {
        let wide = self.options.bits == 16;
        let held = self.operand(input)?;
        let count = self.dims(held.value).last().copied().unwrap_or(1);
        let n = f64::from(count);
        let (low, high) = self.observed.rows[result];
        let c = if center {
            let x = if self.reach(held.value) * n * 2.0 < MAX_SUM {
                held
            } else {
                let bits = (MAX_SUM / n / 2.0).log2().floor().min(14.0) as u32;
                self.need(
                    input,
                    ((1u32 << bits) - 1).min(if wide { WIDE_LEVELS } else { 8_191 }),
                )?
            };
            let sum = self.last_sum(x.value)?;
            let sum = self.repeated(sum, count)?;
            let value = self.combine(
                &[
                    (x.value, i32::try_from(count).unwrap_or(i32::MAX)),
                    (sum, -1),
                ],
                0,
            )?;
            Held {
                value,
                scale: x.scale / n,
                exact: false,
            }
        } else {
            held
        };
        // Deviations reach at most sqrt(n) times their root mean square.
        let interval = self.observed.interval[input];
        let spread = if center {
            interval.1 - interval.0
        } else {
            interval.0.abs().max(interval.1.abs())
        };
        let largest = spread.min((high * n).sqrt()).max(f64::MIN_POSITIVE);
        let largest = if spread > 0.0 { largest } else { 1.0 };
        let levels = if wide {
            WIDE_LEVELS
        } else {
            ((4.0 * MAX_SUM / n / 2.0).sqrt().floor() as u32).clamp(127, 2 * MIDDLE_LEVELS + 1)
        };
        let levels = (1u32 << (levels + 1).ilog2()) - 1;
        let c = self.narrow(c, (-largest, largest), levels, None)?;
        let squares = self.mul(c.value, c.value)?;
        let excess = (self.reach(squares) * n / MAX_SUM).log2().ceil().max(0.0);
        let squares = self.shift(squares, excess as u8)?;
        let sum = self.last_sum(squares)?;
        let unit = c.scale * c.scale * 2f64.powf(excess) / n;
        let most = (MAX_SUM * 0.98 / self.reach(c.value).max(1.0))
            .floor()
            .min(1e8);
        let function = |v: f64| 1.0 / (v.max(0.0) + epsilon).sqrt();
        let least = low.max(0.0);
        let peak = function(least / 4.0)
            .min(function(0.0))
            .min(function(unit / 4.0));
        let peak = if peak.is_finite() && peak > 0.0 {
            peak
        } else {
            1.0
        };
        // Where most rows lie, the factor has some two thousand levels still.
        let typical = function(high.max(least)) / 2048.0;
        let least_scale = (peak / most).max(if wide { 0.0 } else { typical });
        let scale = match self.shifted_scale(result, c.scale, least_scale) {
            Some(scale) if !wide => scale,
            _ => peak / most,
        };
        let most = (peak / scale).floor();
        let entries = Entries {
            function: &function,
            scale,
            lo: 0,
            hi: most as i32,
        };
        let variance = Held {
            value: sum,
            scale: unit,
            exact: false,
        };
        let bottom = least.max(epsilon).max(unit);
        let r = self.tabulate_steep(variance, (bottom, high.max(bottom)), &entries)?;
        let r = self.repeated(r, count)?;
        let value = self.mul(c.value, r)?;
        Ok(Held {
            value,
            scale: c.scale * scale,
            exact: false,
        })
    }

    /// A scale of a factor, at least `least`, with which the product by it is narrowed by a shift
    /// alone: `scale·found·2^k` is a level of the result.
    fn shifted_scale(&self, result: usize, scale: f64, least: f64) -> Option<f64> {
        let destiny = self.destiny(result);
        let magnitude = self.observed.magnitude(destiny);
        let unit = magnitude / f64::from(self.levels(destiny)) / scale;
        let k = (unit / least).log2().floor();
        // Longer remainders take a second column.
        let k = k.min(15.0);
        let found = unit / 2f64.powf(k) * (1.0 + 1e-6);
        (k >= 1.0 && found.is_finite() && found > 0.0).then_some(found)
    }

    fn one_hot_max(&mut self, input: usize) -> Result<Held, CompileError> {
        let held = self.narrow_enough(input, WIDE_LEVELS)?;
        let shape = self.dims(held.value);
        let last = shape.len() - 1;
        let length = shape[last];
        let max = self.tournament(held.value, last)?;
        let max = self.repeated(max, length)?;
        let d = self.combine(&[(held.value, 1), (max, -1)], 0)?;
        let d = Held {
            value: d,
            scale: 1.0,
            exact: true,
        };
        let equal = self.step(d, |d| i32::from(d == 0))?;
        // Earlier ones of the same row.
        let n = length as usize;
        let triangle: Vec<i32> = (0..n * n).map(|at| i32::from(at / n < at % n)).collect();
        let triangle = self.integers(&triangle, vec![length, length])?;
        let earlier = self.matmul(equal.value, triangle, 0, 1)?;
        let n = i32::try_from(n).unwrap_or(i32::MAX);
        let first = self.combine(&[(earlier, 1), (equal.value, -(n + 1))], n + 1)?;
        let first = Held {
            value: first,
            scale: 1.0,
            exact: true,
        };
        self.step(first, |d| i32::from(d == 0))
    }

    fn one_hot(&mut self, input: usize, depth: u32) -> Result<Held, CompileError> {
        let held = self.operand(input)?;
        let index = if held.exact {
            held
        } else {
            let entries = Entries {
                function: &|x| x.round(),
                scale: 1.0,
                lo: -1,
                hi: i32::try_from(depth).unwrap_or(i32::MAX),
            };
            let value = self.tabulate(held, self.observed.magnitude(input), 16_000.0, &entries)?;
            Held {
                value,
                scale: 1.0,
                exact: true,
            }
        };
        if depth <= MAX_PLAIN_DEPTH {
            return self.positions(index, 0, depth);
        }
        // index = 256·h + l: the outer product of two short one-hot vectors.
        let shift = 8u8;
        if !bounds::lookup_fits(self.range(index.value), shift, 16) {
            return self.refuse("its indices are too large");
        }
        let high = self.clamp(index.value, shift, 16, (-(1 << 15), (1 << 15) - 1))?;
        let low = self.combine(&[(index.value, 1), (high, -256)], 0)?;
        let blocks = (depth + 128).div_ceil(256);
        let exact = |value| Held {
            value,
            scale: 1.0,
            exact: true,
        };
        let high = self.positions(exact(high), 0, blocks)?;
        let low = self.positions(exact(low), -128, 256)?;
        let rank = self.dims(low.value).len();
        let batch = rank - 1;
        let mut shape = self.dims(index.value);
        let count: u32 = shape.iter().product();
        let high = self.reshape(high.value, vec![count, blocks, 1])?;
        let low = self.reshape(low.value, vec![count, 1, 256])?;
        debug_assert_eq!(batch, shape.len());
        let both = self.matmul(high, low, 1, 1)?;
        let flat = self.reshape(both, vec![count, blocks * 256])?;
        let axes = vec![
            axis(0),
            AxisMap::Affine {
                offset: 128,
                terms: vec![(1, 1)],
            },
        ];
        let cut = self.view(flat, axes, vec![count, depth])?;
        shape.push(depth);
        let value = self.reshape(cut, shape)?;
        Ok(exact(value))
    }

    /// `x == first + j` at position `j` of a new last axis.
    fn positions(&mut self, x: Held, first: i32, count: u32) -> Result<Held, CompileError> {
        let mut shape = self.dims(x.value);
        let rank = shape.len();
        shape.push(count);
        let spread = self.view(x.value, identity(rank), shape.clone())?;
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let places: Vec<i32> = (0..count).map(|j| first + j).collect();
        let places = self.integers(&places, vec![count.unsigned_abs()])?;
        let places = self.view(places, vec![axis(rank)], shape)?;
        let value = self.combine(&[(spread, 1), (places, -1)], 0)?;
        self.step(
            Held {
                value,
                scale: 1.0,
                exact: true,
            },
            |d| i32::from(d == 0),
        )
    }

    fn rank(&mut self, input: usize) -> Result<Held, CompileError> {
        let held = self.narrow_enough(input, 8_191)?;
        let shape = self.dims(held.value);
        let last = shape.len() - 1;
        let length = shape[last];
        if length as usize > MAX_RANKED {
            return self.refuse("ranks of more than 256 elements compare too many pairs");
        }
        let mut square = shape.clone();
        square.push(length);
        let own = self.view(held.value, identity(last + 1), square.clone())?;
        let mut axes = identity(last + 1);
        axes[last] = axis(last + 1);
        let other = self.view(held.value, axes, square.clone())?;
        let n = length as usize;
        // An equal element that comes earlier goes before: half a step in its favour.
        let earlier: Vec<i32> = (0..n * n).map(|at| i32::from(at % n < at / n)).collect();
        let earlier = self.integers(&earlier, vec![length, length])?;
        let earlier = self.view(earlier, vec![axis(last), axis(last + 1)], square)?;
        let d = self.combine(&[(other, 2), (own, -2), (earlier, 1)], 0)?;
        let above = self.step(
            Held {
                value: d,
                scale: 1.0,
                exact: true,
            },
            |d| i32::from(d > 0),
        )?;
        let value = self.sum(above.value, &[u8::try_from(last + 1).unwrap_or(u8::MAX)])?;
        Ok(Held {
            value,
            scale: 1.0,
            exact: true,
        })
    }
}
