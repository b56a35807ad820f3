//! Products. A constant operand is rounded per column; two operands that vary are narrowed.
//!
//! ```text
//! v = Σ_k q_x·(q_w·M_n)      w ≈ c·M_n·q_w,  s_v = s_x·c,  M_n = ceil(max|w_n| / (127·c))
//! ```
//!
//! The multiplier `M_n` absorbs the ratio of scales exactly: it only makes a column's grid coarser,
//! by at most one part in `M_n`. `c` is chosen so that the narrowing after the product is a shift
//! alone. With 16 bits the weights are words of one scale, and an operand too wide for them enters
//! as two limbs `x = 128·h + l`, whose sums meet again as `Σ h·w + (Σ l·w >> 7)`.

use super::{Compiler, Held, NARROW_LEVELS, WIDE_LEVELS, emit};
use crate::CompileError;
use crate::float::FloatOp;

/// Sums of products stay below this: half of what the graph admits, so that a bias fits.
const MAX_SUM: f64 = (1u32 << 28) as f64;
/// The largest multiplier of a node is at least this where the bound allows.
const GOOD_MULTIPLIER: f64 = 16.0;
/// What the first of two sums that will be added may take of the bound.
const SHARE_OF_FIRST: f64 = 0.7;
/// Multipliers of columns are below this.
const MAX_COLUMN: f64 = 32768.0;

/// A weight as a stack of matrices.
struct Matrices {
    values: Vec<f32>,
    inner: usize,
    cols: usize,
    /// Largest magnitude of every column of every matrix.
    largest: Vec<f64>,
}

impl Matrices {
    fn new(values: Vec<f32>, inner: usize, cols: usize) -> Self {
        let mut largest = vec![0f64; values.len() / inner.max(1)];
        for (index, matrix) in values.chunks(inner * cols).enumerate() {
            for row in matrix.chunks(cols) {
                for (most, &w) in largest[index * cols..].iter_mut().zip(row) {
                    *most = most.max(f64::from(w).abs());
                }
            }
        }
        Self {
            values,
            inner,
            cols,
            largest,
        }
    }

    fn top(&self) -> f64 {
        self.largest.iter().copied().fold(0.0, f64::max)
    }

    /// Column of an element.
    fn column(&self, index: usize) -> usize {
        index / (self.inner * self.cols) * self.cols + index % self.cols
    }

    /// Integers in steps of `steps` by column, at most `levels` in magnitude.
    fn round(&self, steps: &[f64], levels: f64) -> Vec<i32> {
        let rounded = self.values.iter().enumerate().map(|(index, &w)| {
            let step = steps[self.column(index)];
            (f64::from(w) / step).round().clamp(-levels, levels) as i32
        });
        rounded.collect()
    }

    /// Largest sum of magnitudes of a column, each in its unit.
    fn norm(&self, integers: &[i32], units: &[f64]) -> f64 {
        let mut sums = vec![0f64; self.largest.len()];
        for (index, &q) in integers.iter().enumerate() {
            let column = self.column(index);
            sums[column] += f64::from(q).abs() * units[column];
        }
        sums.into_iter().fold(0.0, f64::max)
    }
}

impl Compiler<'_> {
    pub(super) fn product(
        &mut self,
        result: usize,
        (a, b): (usize, usize),
        batch: u8,
        inner: u8,
    ) -> Result<Held, CompileError> {
        let (constant_a, constant_b) = (
            self.observed.constants[a].is_some(),
            self.observed.constants[b].is_some(),
        );
        match (constant_a, constant_b) {
            (_, true) => self.by_constant(result, a, b, batch, inner),
            (true, false) => self.constant_first(result, (a, b), batch, inner),
            (false, false) => self.varying((a, b), batch, inner),
        }
    }

    fn by_constant(
        &mut self,
        result: usize,
        x: usize,
        weight: usize,
        batch: u8,
        inner: u8,
    ) -> Result<Held, CompileError> {
        let shape = self.graph.shape(weight).to_vec();
        let (batch, inner) = (usize::from(batch), usize::from(inner));
        let depth = shape[batch..batch + inner].iter().product();
        let cols = shape[batch + inner..].iter().product();
        let values = self.elements(weight).to_vec();
        let mut dims = emit::dims(&shape[..batch]);
        let weights = Matrices::new(values, depth, cols);
        dims.push(u32::try_from(depth).unwrap_or(u32::MAX));
        dims.push(u32::try_from(cols).unwrap_or(u32::MAX));
        // The operand's inner axes become one.
        let x_shape = self.graph.shape(x).to_vec();
        let kept = x_shape.len() - inner;
        let mut x_dims = emit::dims(&x_shape[..kept]);
        x_dims.push(u32::try_from(depth).unwrap_or(u32::MAX));
        let held = self.weighted(result, x, x_dims, &weights, dims, batch)?;
        let value = self.reshape(held.value, emit::dims(self.graph.shape(result)))?;
        Ok(Held { value, ..held })
    }

    /// `a·b` with a constant `a` is `(bᵀ·aᵀ)ᵀ`, so that a row of `a` has its own scale.
    fn constant_first(
        &mut self,
        result: usize,
        (a, b): (usize, usize),
        batch: u8,
        inner: u8,
    ) -> Result<Held, CompileError> {
        let (batch, inner) = (usize::from(batch), usize::from(inner));
        let (a_shape, b_shape) = (self.graph.shape(a).to_vec(), self.graph.shape(b).to_vec());
        let length = |dims: &[usize]| dims.iter().product::<usize>();
        let stack = length(&a_shape[..batch]);
        let rows = length(&a_shape[batch..a_shape.len() - inner]);
        let depth = length(&b_shape[batch..batch + inner]);
        let cols = length(&b_shape[batch + inner..]);
        let elements = self.elements(a);
        let mut values = Vec::with_capacity(elements.len());
        for matrix in elements.chunks(rows * depth) {
            for k in 0..depth {
                values.extend((0..rows).map(|row| matrix[row * depth + k]));
            }
        }
        let weights = Matrices::new(values, depth, rows);
        let held = self.narrow_operand(b, &weights)?;
        let flat = self.reshape(held.value, emit::dims(&[stack, depth, cols]))?;
        let swap = vec![emit::axis(0), emit::axis(2), emit::axis(1)];
        let turned = self.view(flat, swap.clone(), emit::dims(&[stack, cols, depth]))?;
        let (turned, dims, batch) = match stack {
            1 => {
                let turned = self.reshape(turned, emit::dims(&[cols, depth]))?;
                (turned, emit::dims(&[depth, rows]), 0)
            }
            _ => (turned, emit::dims(&[stack, depth, rows]), 1),
        };
        let turned = Held {
            value: turned,
            ..held
        };
        let product = self.weighted_held(result, turned, &weights, dims, batch)?;
        let flat = self.reshape(product.value, emit::dims(&[stack, cols, rows]))?;
        let back = self.view(flat, swap, emit::dims(&[stack, rows, cols]))?;
        let value = self.reshape(back, emit::dims(self.graph.shape(result)))?;
        Ok(Held { value, ..product })
    }

    fn narrow_operand(&mut self, x: usize, weights: &Matrices) -> Result<Held, CompileError> {
        if self.options.bits == 16 {
            return self.need(x, WIDE_LEVELS);
        }
        // A sum of a few terms with whole factors needs no narrow operand.
        if let Some(held) = self.held[x]
            && weights.values.iter().all(|w| w.fract() == 0.0)
            && weights.top() <= f64::from(NARROW_LEVELS)
        {
            let ones = vec![1.0; weights.largest.len()];
            let integers = weights.round(&ones, f64::from(NARROW_LEVELS));
            if weights.norm(&integers, &ones) * self.reach(held.value) < MAX_SUM {
                return Ok(held);
            }
        }
        self.need(x, NARROW_LEVELS)
    }

    fn weighted(
        &mut self,
        result: usize,
        x: usize,
        x_dims: Vec<u32>,
        weights: &Matrices,
        dims: Vec<u32>,
        batch: usize,
    ) -> Result<Held, CompileError> {
        let held = self.narrow_operand(x, weights)?;
        let value = self.reshape(held.value, x_dims)?;
        self.weighted_held(result, Held { value, ..held }, weights, dims, batch)
    }

    /// `x[B, m, k]` times rounded weights `[B, k, n]`.
    fn weighted_held(
        &mut self,
        result: usize,
        x: Held,
        weights: &Matrices,
        dims: Vec<u32>,
        batch: usize,
    ) -> Result<Held, CompileError> {
        let batch = u8::try_from(batch).unwrap_or(u8::MAX);
        let reach = self.reach(x.value).max(1.0);
        let top = weights.top();
        let ones = vec![1.0; weights.largest.len()];
        let whole =
            weights.values.iter().all(|w| w.fract() == 0.0) && top <= f64::from(WIDE_LEVELS);
        if whole {
            let integers = weights.round(&ones, f64::from(WIDE_LEVELS));
            if weights.norm(&integers, &ones) * reach < MAX_SUM {
                let constant = self.integers(&integers, dims)?;
                let value = self.matmul(x.value, constant, batch, 1)?;
                return Ok(Held { value, ..x });
            }
        }
        if self.options.bits == 16 {
            return self.by_words(x, weights, dims, batch);
        }
        let levels = f64::from(NARROW_LEVELS);
        let partner = self.partner(result);
        let limit = match partner {
            // The other sum is still to come.
            Some(None) => MAX_SUM * SHARE_OF_FIRST,
            _ => MAX_SUM,
        };
        if let (Some(Some(other)), 0) = (partner, batch)
            && let Some(held) = self.aligned(x, weights, &dims, other)?
        {
            return Ok(held);
        }
        let destiny = self.destiny(result);
        let wanted = match self.observed.magnitude(destiny) {
            0.0 => reach * x.scale * top,
            magnitude => magnitude,
        };
        let target = wanted / f64::from(self.levels(destiny).min(MIDDLE_LEVELS_OF_SUMS));
        let mut shift = i32::from(self.options.max_shift);
        let unit = |shift: i32| target / (x.scale * 2f64.powi(shift));
        while top / (levels * unit(shift)) < GOOD_MULTIPLIER && shift < 18 {
            shift += 1;
        }
        while top / (levels * unit(shift)) > MAX_COLUMN - 1.0 {
            shift -= 1;
        }
        loop {
            let c = unit(shift);
            let multipliers: Vec<f64> = weights
                .largest
                .iter()
                .map(|most| (most / (levels * c)).ceil().max(1.0))
                .collect();
            // Without its own scale a column of a batch stores the product instead.
            let steps: Vec<f64> = if batch == 0 {
                multipliers.iter().map(|m| m * c).collect()
            } else {
                ones.iter()
                    .map(|_| c * (top / (16383.0 * c)).max(1.0))
                    .collect()
            };
            let units: Vec<f64> = if batch == 0 {
                multipliers.clone()
            } else {
                ones.clone()
            };
            let unit_scale = if batch == 0 { c } else { steps[0] };
            let most = if batch == 0 {
                levels
            } else {
                f64::from(WIDE_LEVELS)
            };
            let integers = weights.round(&steps, most);
            if weights.norm(&integers, &units) * reach >= limit {
                shift -= 1;
                continue;
            }
            let multipliers = if batch == 0 {
                multipliers.iter().map(|&m| m as u16).collect()
            } else {
                Vec::new()
            };
            let constant = self.constant(&integers, multipliers, dims)?;
            let value = self.matmul(x.value, constant, batch, 1)?;
            return Ok(Held {
                value,
                scale: x.scale * unit_scale,
                exact: false,
            });
        }
    }

    /// The other term of the sum of two that alone reads a product, changes of shape and constants apart:
    /// `Some(None)` where it is still to come.
    fn partner(&self, result: usize) -> Option<Option<Held>> {
        let mut value = result;
        loop {
            let [reader] = self.readers[value][..] else {
                return None;
            };
            match &self.graph.nodes[reader].op {
                FloatOp::View { .. } | FloatOp::Reshape { .. } => {}
                FloatOp::Combine { terms, .. } => {
                    let live =
                        |&&(term, _): &&(usize, f64)| self.observed.constants[term].is_none();
                    let live: Vec<&(usize, f64)> = terms.iter().filter(live).collect();
                    if live.iter().any(|(_, factor)| *factor != 1.0) {
                        return None;
                    }
                    match live[..] {
                        [_] => {}
                        [(a, _), (b, _)] if a != b => {
                            let other = if *a == value { *b } else { *a };
                            return Some(self.held.get(other).copied().flatten());
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
            value = self.graph.inputs.len() + reader;
        }
    }

    /// `x[m, k]` times weights `[k, n]` at the scale of another sum, or a whole multiple of it, so that both add
    /// up without a rounding; `None` where the other is narrow or the sum would be too large.
    fn aligned(
        &mut self,
        x: Held,
        weights: &Matrices,
        dims: &[u32],
        other: Held,
    ) -> Result<Option<Held>, CompileError> {
        let levels = f64::from(NARROW_LEVELS);
        let beside = self.reach(other.value);
        if other.exact || beside <= 32_768.0 {
            return Ok(None);
        }
        let top = weights.top();
        let own = other.scale / x.scale;
        let multiple = (top / (levels * own * (MAX_COLUMN - 1.0))).ceil().max(1.0);
        let c = own * multiple;
        let multipliers: Vec<f64> = weights
            .largest
            .iter()
            .map(|most| (most / (levels * c)).ceil().max(1.0))
            .collect();
        let steps: Vec<f64> = multipliers.iter().map(|m| m * c).collect();
        let integers = weights.round(&steps, levels);
        let reach = self.reach(x.value).max(1.0) * weights.norm(&integers, &multipliers);
        if top / (levels * c) < GOOD_MULTIPLIER || beside + multiple * reach >= MAX_SUM {
            return Ok(None);
        }
        let multipliers = multipliers.iter().map(|&m| m as u16).collect();
        let constant = self.constant(&integers, multipliers, dims.to_vec())?;
        let value = self.matmul(x.value, constant, 0, 1)?;
        Ok(Some(Held {
            value,
            scale: x.scale * c,
            exact: false,
        }))
    }

    /// Weights as words of one scale; a wide operand as two limbs.
    fn by_words(
        &mut self,
        x: Held,
        weights: &Matrices,
        dims: Vec<u32>,
        batch: u8,
    ) -> Result<Held, CompileError> {
        let top = weights.top().max(f64::MIN_POSITIVE);
        let ones = vec![1.0; weights.largest.len()];
        let fitting = |reach: f64| {
            (4..=15u32).rev().find_map(|bits| {
                let levels = f64::from((1u32 << bits) - 1);
                let scale = top / levels;
                let integers = weights.round(&vec![scale; ones.len()], levels);
                let fits = weights.norm(&integers, &ones) * reach < MAX_SUM;
                fits.then_some((bits, scale, integers))
            })
        };
        let reach = self.reach(x.value).max(1.0);
        if let Some((bits, scale, integers)) = fitting(reach)
            && (bits >= 12 || reach <= 256.0)
        {
            let constant = self.integers(&integers, dims)?;
            let value = self.matmul(x.value, constant, batch, 1)?;
            return Ok(Held {
                value,
                scale: x.scale * scale,
                exact: false,
            });
        }
        let (high, low) = self.split(x)?;
        let reach = self.reach(high).max(self.reach(low));
        let Some((_, scale, integers)) = fitting(reach) else {
            return self.refuse("its sums have too many terms for words");
        };
        let constant = self.integers(&integers, dims)?;
        let high = self.matmul(high, constant, batch, 1)?;
        let low = self.matmul(low, constant, batch, 1)?;
        let low = self.shift(low, LIMB)?;
        let value = self.combine(&[(high, 1), (low, 1)], 0)?;
        Ok(Held {
            value,
            scale: x.scale * scale * f64::from(1 << LIMB),
            exact: false,
        })
    }

    /// `(h, l)` with `x = 128·h + l`.
    fn split(
        &mut self,
        x: Held,
    ) -> Result<(hallmark_graph::ValueId, hallmark_graph::ValueId), CompileError> {
        let key = (x.value, LIMB);
        if let Some(&limbs) = self.limbs.get(&key) {
            return Ok(limbs);
        }
        let high = self.clamp(x.value, LIMB, 12, (-2048, 2047))?;
        let low = self.combine(&[(x.value, 1), (high, -(1 << LIMB))], 0)?;
        self.limbs.insert(key, (high, low));
        Ok((high, low))
    }

    /// Two operands that both depend on the input.
    fn varying(
        &mut self,
        (a, b): (usize, usize),
        batch: u8,
        inner: u8,
    ) -> Result<Held, CompileError> {
        let shape = self.graph.shape(b);
        let (from, count) = (usize::from(batch), usize::from(inner));
        let depth = shape[from..from + count].iter().product::<usize>() as f64;
        let levels = if self.options.bits == 16 {
            WIDE_LEVELS
        } else {
            NARROW_LEVELS
        };
        let (x, y) = (self.need(a, levels)?, self.need(b, levels)?);
        let exact = x.exact && y.exact;
        if depth * self.reach(x.value) * self.reach(y.value) < MAX_SUM {
            let value = self.matmul(x.value, y.value, batch, inner)?;
            return Ok(Held {
                value,
                scale: x.scale * y.scale,
                exact,
            });
        }
        if self.options.bits == 16 {
            // The limb has 8 bits, the other operand what the sum leaves.
            let rest = (MAX_SUM / (depth * 130.0)).log2().floor().min(14.0);
            if rest >= 9.0 {
                let y = self.need(b, (1u32 << rest as u32) - 1)?;
                let (high, low) = self.split(x)?;
                let high = self.matmul(high, y.value, batch, inner)?;
                let low = self.matmul(low, y.value, batch, inner)?;
                let low = self.shift(low, LIMB)?;
                let value = self.combine(&[(high, 1), (low, 1)], 0)?;
                let scale = x.scale * y.scale * f64::from(1 << LIMB);
                return Ok(Held {
                    value,
                    scale,
                    exact: false,
                });
            }
        }
        let levels = ((MAX_SUM / depth).sqrt().log2().floor()).min(13.0);
        if levels < 3.0 {
            return self.refuse("its sums have too many terms");
        }
        let levels = (1u32 << levels as u32) - 1;
        let (x, y) = (self.need(a, levels)?, self.need(b, levels)?);
        let value = self.matmul(x.value, y.value, batch, inner)?;
        Ok(Held {
            value,
            scale: x.scale * y.scale,
            exact: false,
        })
    }

    pub(super) fn elementwise_product(
        &mut self,
        result: usize,
        (a, b): (usize, usize),
    ) -> Result<Held, CompileError> {
        let (a, b) = if self.observed.constants[a].is_some() {
            (b, a)
        } else {
            (a, b)
        };
        if self.observed.constants[b].is_some() {
            return self.by_factors(result, a, b);
        }
        let levels = if self.options.bits == 16 {
            WIDE_LEVELS
        } else {
            super::MIDDLE_LEVELS
        };
        let (wide_x, wide_y) = (self.operand(a)?, self.operand(b)?);
        let fits = |x: f64, y: f64| x * y < MAX_SUM;
        let (mut x, mut y) = (wide_x, wide_y);
        if !fits(self.reach(x.value), self.reach(y.value)) {
            let (wider, other) = if self.reach(x.value) >= self.reach(y.value) {
                (a, y)
            } else {
                (b, x)
            };
            let narrow = self.need(wider, levels)?;
            if fits(self.reach(narrow.value), self.reach(other.value)) {
                if wider == a {
                    x = narrow
                } else {
                    y = narrow
                }
                if a == b {
                    (x, y) = (narrow, narrow)
                }
            } else {
                (x, y) = (self.need(a, levels)?, self.need(b, levels)?);
            }
        }
        let value = self.mul(x.value, y.value)?;
        let exact = x.exact && y.exact;
        Ok(Held {
            value,
            scale: x.scale * y.scale,
            exact,
        })
    }

    /// `x·c` with constant factors.
    fn by_factors(
        &mut self,
        result: usize,
        x: usize,
        factors: usize,
    ) -> Result<Held, CompileError> {
        let held = self.operand(x)?;
        let elements = self.elements(factors);
        if let Some(&first) = elements.first()
            && elements.iter().all(|&c| c == first)
            && self.floors[factors].is_none()
        {
            return self.scaled(held, f64::from(first), result);
        }
        let mut held = held;
        let largest = self.constant_magnitude(factors);
        let whole = elements.iter().all(|c| c.fract() == 0.0) && largest <= 127.0;
        let wanted = match (whole, self.options.bits) {
            (true, _) => largest.max(1.0),
            (_, 16) => 16383.0,
            // With 10 bits of the other factor a narrowing shifts by few bits.
            _ => 255.0,
        };
        let mut levels = (MAX_SUM / self.reach(held.value).max(1.0))
            .floor()
            .min(wanted);
        if levels < wanted.min(2047.0) {
            held = self.need(
                x,
                self.sum_levels().min(if self.options.bits == 16 {
                    WIDE_LEVELS
                } else {
                    super::MIDDLE_LEVELS
                }),
            )?;
            levels = (MAX_SUM / self.reach(held.value).max(1.0))
                .floor()
                .min(wanted);
        }
        let c = self.constant_held(factors, levels)?;
        let value = self.mul(held.value, c.value)?;
        Ok(Held {
            value,
            scale: held.scale * c.scale,
            exact: held.exact && c.exact,
        })
    }

    /// `c·x`: another scale.
    pub(super) fn scaled(
        &mut self,
        held: Held,
        c: f64,
        result: usize,
    ) -> Result<Held, CompileError> {
        if c == 0.0 {
            return self.zeros(result);
        }
        if held.exact
            && c.fract() == 0.0
            && c.abs() * self.reach(held.value) < MAX_SUM
            && c.abs() < 16_000_000.0
        {
            let value = self.combine(&[(held.value, c as i32)], 0)?;
            return Ok(Held { value, ..held });
        }
        let value = match c < 0.0 {
            true => self.combine(&[(held.value, -1)], 0)?,
            false => held.value,
        };
        Ok(Held {
            value,
            scale: held.scale * c.abs(),
            exact: false,
        })
    }

    /// A result that is 0 whatever the input.
    pub(super) fn zeros(&mut self, result: usize) -> Result<Held, CompileError> {
        let dims = emit::dims(self.graph.shape(result));
        let count = self.graph.shape(result).iter().product();
        let value = self.integers(&vec![0; count], dims)?;
        Ok(Held {
            value,
            scale: 1.0,
            exact: true,
        })
    }

    pub(super) fn total(&mut self, input: usize, axes: &[u8]) -> Result<Held, CompileError> {
        let held = self.operand(input)?;
        let shape = self.graph.shape(input);
        let count = axes
            .iter()
            .map(|&axis| shape[usize::from(axis)])
            .product::<usize>() as f64;
        let mut held = held;
        if self.reach(held.value) * count >= MAX_SUM {
            let excess = (self.reach(held.value) * count / MAX_SUM)
                .log2()
                .ceil()
                .max(1.0);
            let calibrated = self.observed.magnitude(input) / held.scale / 2f64.powf(excess);
            held = if calibrated >= 2000.0 {
                let shift = excess as u8;
                let value = self.shift(held.value, shift)?;
                Held {
                    value,
                    scale: held.scale * 2f64.powf(excess),
                    exact: false,
                }
            } else {
                let bits = (MAX_SUM / count).log2().floor().clamp(2.0, 14.0) as u32;
                self.need(input, ((1u32 << bits) - 1).min(self.sum_levels()))?
            };
        }
        let value = self.sum(held.value, axes)?;
        Ok(Held { value, ..held })
    }
}

/// Bits of the low limb.
const LIMB: u8 = 7;
/// Sums are as fine as this many levels of their result, times `2^max_shift`.
const MIDDLE_LEVELS_OF_SUMS: u32 = NARROW_LEVELS;
