//! Random models for property tests, of this crate and of those that compute the same function.
//!
//! [`random_model`] draws a valid graph over every operator: odd lengths, several inputs and
//! outputs, constants of every width on either side of a product, explicit tables, views of every
//! kind. Tensors stay below some thousand elements.
#![allow(clippy::arithmetic_side_effects, clippy::missing_panics_doc)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    AxisMap, Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec, ValueId,
    bounds,
};

/// Largest tensor of a random model.
const MAX_ELEMENTS: usize = 1500;
/// Values above this are requantised before they are used further.
const CALM: u32 = 1 << 12;
/// Lengths of axes; the odd ones leave padding.
const DIMS: [u32; 8] = [1, 2, 3, 3, 4, 5, 7, 8];

/// A valid model; equal seeds give equal models.
#[must_use]
pub fn random_model(seed: u64) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let inputs: Vec<Input> = (0..rng.random_range(1..=3))
        .map(|_| random_port(&mut rng))
        .collect();
    let mut draw = Draw {
        pool: (0u32..).take(inputs.len()).collect(),
        builder: Builder::new(inputs),
        rng,
    };
    for _ in 0..draw.rng.random_range(3..12) {
        if let Some(value) = draw.step() {
            draw.pool.push(value);
        }
    }
    draw.finish()
}

/// An input of `model` inside the declared ranges, sometimes at their ends only, where sums are
/// largest; equal seeds give equal inputs.
#[must_use]
pub fn random_input(model: &Model, seed: u64) -> Vec<i32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let ends = rng.random_range(0..4) == 0;
    let mut values = Vec::new();
    for input in &model.graph.inputs {
        let Range { lo, hi } = input.range;
        values.extend((0..input.shape.elements()).map(|_| match ends {
            true if rng.random() => lo,
            true => hi,
            false => rng.random_range(lo..=hi),
        }));
    }
    values
}

/// A scale that means nothing.
#[must_use]
pub fn random_scale(rng: &mut impl Rng) -> Scale {
    Scale {
        multiplier: rng.random_range(1..1000),
        shift: rng.random_range(0..20),
    }
}

fn random_port(rng: &mut ChaCha8Rng) -> Input {
    let (lo, hi) = match rng.random_range(0..5) {
        0 => (-128, 127),
        1 => (0, 255),
        2 => (-rng.random_range(1..20), rng.random_range(1..20)),
        3 => (-rng.random_range(1..5000), rng.random_range(1..5000)),
        _ => (-60, 60),
    };
    Input {
        shape: random_shape(rng, 4, 300),
        range: Range { lo, hi },
        scale: random_scale(rng),
    }
}

fn random_shape(rng: &mut ChaCha8Rng, most_axes: usize, limit: usize) -> Shape {
    loop {
        // Scalars are rare: little can be done with them.
        let rank = rng.random_range(0..=most_axes * 2).div_ceil(2);
        let dims = (0..rank).map(|_| DIMS[rng.random_range(0..DIMS.len())]);
        let shape = Shape(dims.collect());
        if shape.elements() <= limit {
            return shape;
        }
    }
}

struct Draw {
    rng: ChaCha8Rng,
    builder: Builder,
    /// Values to choose operands from.
    pool: Vec<ValueId>,
}

impl Draw {
    fn shape(&self, value: ValueId) -> Shape {
        self.builder.graph().shape(value).unwrap().clone()
    }

    fn range(&self, value: ValueId) -> Range {
        self.builder.graph().range(value).unwrap()
    }

    /// One of the pool, rather a recent one.
    fn pick(&mut self) -> ValueId {
        let len = self.pool.len();
        let (a, b) = (self.rng.random_range(0..len), self.rng.random_range(0..len));
        self.pool[a.max(b)]
    }

    /// A value small enough for most products.
    fn pick_calm(&mut self) -> ValueId {
        let value = self.pick();
        self.calm(value)
    }

    fn calm(&mut self, value: ValueId) -> ValueId {
        if self.range(value).magnitude() < CALM || self.rng.random_range(0..6) == 0 {
            return value;
        }
        self.requantise(value)
    }

    /// One more operator, with the views and constants that it needs; `None` when the draw does
    /// not fit, which is no loss.
    fn step(&mut self) -> Option<ValueId> {
        match self.rng.random_range(0..14) {
            0 | 1 => self.product_by_constant_right(),
            2 => self.product_by_constant_left(),
            3 => self.product(),
            4 => self.mul(),
            5 | 6 => self.combine(),
            7 => self.sum(),
            8 => self.free_view(),
            9 => self.named_view(),
            10 => self.patches(),
            11 => self.reshape(),
            12 => self.remainder(),
            _ => {
                let value = self.pick();
                Some(self.requantise(value))
            }
        }
    }

    fn finish(mut self) -> Model {
        let inputs = u32::try_from(self.builder.graph().inputs.len()).unwrap();
        let last = *self.pool.last().unwrap();
        let mut outputs: Vec<ValueId> = vec![last];
        for _ in 0..self.rng.random_range(0..3) {
            let value = self.pick();
            if !outputs.contains(&value) {
                outputs.push(value);
            }
        }
        // Inputs that nothing reads are passed through; the graph has at least one node.
        if self.builder.graph().nodes.is_empty() || outputs.iter().all(|v| *v < inputs) {
            outputs.push(self.requantise(0));
        }
        let live = self.reached(&outputs);
        outputs.extend((0..inputs).filter(|input| !live.contains(input)));
        for value in outputs {
            let scale = random_scale(&mut self.rng);
            self.builder.output(value, scale).unwrap();
        }
        self.builder.finish().unwrap()
    }

    fn reached(&self, outputs: &[ValueId]) -> Vec<ValueId> {
        let graph = self.builder.graph();
        let mut live = outputs.to_vec();
        let mut next = 0;
        while let Some(&value) = live.get(next) {
            next += 1;
            let operands = match graph.node_of(value) {
                Some(node) => graph.nodes[node].op.operands(),
                None => Vec::new(),
            };
            for operand in operands {
                if !live.contains(&operand) {
                    live.push(operand);
                }
            }
        }
        live
    }

    /// A constant whose products with 100 terms below [`CALM`] stay small.
    fn constant(&mut self, shape: Shape) -> Option<ValueId> {
        let limit = match self.rng.random_range(0..6) {
            0 => 700,
            1 if shape.elements() < 40 => 40_000,
            _ => 128,
        };
        let mut values: Vec<i32> = (0..shape.elements())
            .map(|_| self.rng.random_range(-limit..limit))
            .collect();
        if limit == 40_000 {
            values[0] = 39_999;
        }
        let last = shape.last() as usize;
        let multipliers = match limit == 128 && self.rng.random_range(0..3) == 0 {
            true => (0..last).map(|i| {
                if i == 0 {
                    3
                } else {
                    self.rng.random_range(1..9)
                }
            }),
            false => return self.add_constant(shape, &values, Vec::new()),
        };
        let multipliers = multipliers.collect();
        self.add_constant(shape, &values, multipliers)
    }

    fn add_constant(
        &mut self,
        shape: Shape,
        values: &[i32],
        multipliers: Vec<u16>,
    ) -> Option<ValueId> {
        let constant = Constant {
            elements: Elements::narrowest(values),
            multipliers,
        };
        self.builder.constant(shape, constant).ok()
    }

    /// Numbers of batch and inner axes of a tensor of this rank on one side of a product.
    fn split(&mut self, rank: usize) -> Option<(usize, usize)> {
        let inner = self.rng.random_range(1..=2.min(rank.max(1)));
        let spare = rank.checked_sub(inner)?;
        let batch = match self.rng.random_range(0..2) {
            0 => 0,
            _ => self.rng.random_range(0..=spare),
        };
        Some((batch, inner))
    }

    fn product_by_constant_right(&mut self) -> Option<ValueId> {
        let a = self.pick_calm();
        let shape = self.shape(a).0;
        let (batch, inner) = self.split(shape.len())?;
        let cols = match self.rng.random_range(0..3) {
            // Wide enough for several panels of a vector kernel.
            0 => vec![self.rng.random_range(9..40)],
            _ => random_shape(&mut self.rng, 2, 60).0,
        };
        let inner_dims = &shape[shape.len() - inner..];
        let dims = [&shape[..batch], inner_dims, &cols].concat();
        self.matmul_with(a, dims, true, batch, inner)
    }

    fn product_by_constant_left(&mut self) -> Option<ValueId> {
        let b = self.pick_calm();
        let shape = self.shape(b).0;
        let (batch, inner) = self.split(shape.len())?;
        let rows = random_shape(&mut self.rng, 2, 30).0;
        let dims = [&shape[..batch], &rows, &shape[batch..batch + inner]].concat();
        self.matmul_with(b, dims, false, batch, inner)
    }

    /// A product of `value` by a new constant of these dimensions, which is on the right or left.
    fn matmul_with(
        &mut self,
        value: ValueId,
        dims: Vec<u32>,
        right: bool,
        batch: usize,
        inner: usize,
    ) -> Option<ValueId> {
        let shape = Shape(dims);
        if shape.elements() > 3 * MAX_ELEMENTS || shape.rank() > 8 {
            return None;
        }
        let constant = self.constant(shape)?;
        let (a, b) = if right {
            (value, constant)
        } else {
            (constant, value)
        };
        self.matmul(a, b, batch, inner)
    }

    fn matmul(&mut self, a: ValueId, b: ValueId, batch: usize, inner: usize) -> Option<ValueId> {
        let (batch, inner) = (u8::try_from(batch).ok()?, u8::try_from(inner).ok()?);
        let (sa, sb) = (self.shape(a).elements(), self.shape(b).elements());
        if sa.saturating_mul(sb) > 2_000_000 {
            return None;
        }
        let value = self.builder.matmul(a, b, batch, inner).ok()?;
        (self.shape(value).elements() <= MAX_ELEMENTS).then_some(value)
    }

    fn product(&mut self) -> Option<ValueId> {
        let a = self.pick_calm();
        let other = self.pick_calm();
        let shape = self.shape(a).0;
        let (batch, inner) = self.split(shape.len())?;
        let cols = random_shape(&mut self.rng, 2, 20).0;
        let dims = [&shape[..batch], &shape[shape.len() - inner..], &cols].concat();
        if dims.len() > 8 {
            return None;
        }
        let b = self.view_to(other, Shape(dims))?;
        self.matmul(a, b, batch, inner)
    }

    fn mul(&mut self) -> Option<ValueId> {
        let a = self.pick_calm();
        let b = match self.rng.random_range(0..4) {
            0 => a,
            1 => {
                let shape = self.shape(a);
                self.constant(shape)?
            }
            _ => {
                let other = self.pick_calm();
                self.view_to(other, self.shape(a))?
            }
        };
        self.builder.mul(a, b).ok()
    }

    fn combine(&mut self) -> Option<ValueId> {
        let first = self.pick_calm();
        let mut terms = vec![(first, self.rng.random_range(-900..900))];
        for _ in 0..self.rng.random_range(0..4) {
            let other = self.pick_calm();
            let term = match self.rng.random_range(0..3) {
                0 => self.constant(self.shape(first))?,
                _ => self.view_to(other, self.shape(first))?,
            };
            terms.push((term, self.rng.random_range(-900..900)));
        }
        let offset = self.rng.random_range(-100_000..100_000);
        self.builder.combine(&terms, offset).ok()
    }

    /// `x - 2^s·y` for the rounded quotient `y` of `x`, scaled.
    fn remainder(&mut self) -> Option<ValueId> {
        let x = self.pick();
        let (range, c) = (self.range(x), self.rng.random_range(1..4));
        let bits = self.rng.random_range(2..=16);
        let shift = bounds::least_shift(range, bits)?;
        let half = 1 << (bits - 1);
        let clamp = TableSpec::Clamp {
            bits,
            lo: -half,
            hi: half - 1,
        };
        let y = match self.rng.random() {
            true => self.builder.shift(x, shift, bits).ok()?,
            false => self.builder.lookup(x, shift, clamp).ok()?,
        };
        let terms = [(y, -c << shift), (x, c)];
        self.builder
            .combine(&terms, self.rng.random_range(-3..3))
            .ok()
    }

    fn sum(&mut self) -> Option<ValueId> {
        let value = self.pick();
        let rank = u8::try_from(self.shape(value).rank()).ok()?;
        let all = self.rng.random_range(0..5) == 0;
        let axes: Vec<u8> = (0..rank).filter(|_| all || self.rng.random()).collect();
        self.builder.sum(value, &axes).ok()
    }

    fn free_view(&mut self) -> Option<ValueId> {
        let value = self.pick();
        let shape = random_shape(&mut self.rng, 5, 600);
        self.view_to(value, shape)
    }

    /// A view of `value` under `shape` with random maps, mostly inside the operand.
    fn view_to(&mut self, value: ValueId, shape: Shape) -> Option<ValueId> {
        if self.shape(value) == shape && self.rng.random() {
            return Some(value);
        }
        let mut free: Vec<u8> = (0u8..).take(shape.rank()).collect();
        let from = self.shape(value);
        let mut axes = Vec::new();
        for &dim in &from.0 {
            let count = self.rng.random_range(0..5usize).div_ceil(2).min(free.len());
            let mut taken: Vec<u8> = (0..count)
                .map(|_| free.remove(self.rng.random_range(0..free.len())))
                .collect();
            taken.sort_unstable();
            let list = count == 1 && self.rng.random_range(0..3) == 0;
            axes.push(if list {
                self.list(taken[0], dim, &shape)
            } else {
                self.affine(&taken, dim, &shape)
            });
        }
        self.builder.view(value, axes, shape).ok()
    }

    fn list(&mut self, axis: u8, dim: u32, shape: &Shape) -> AxisMap {
        let dim = i32::try_from(dim).unwrap();
        let lowest = -i32::from(self.rng.random::<bool>());
        let indices = (0..shape.0[usize::from(axis)])
            .map(|_| self.rng.random_range(lowest..dim))
            .collect();
        AxisMap::List { axis, indices }
    }

    fn affine(&mut self, taken: &[u8], dim: u32, shape: &Shape) -> AxisMap {
        let terms: Vec<(u8, i32)> = taken
            .iter()
            .map(|&axis| (axis, [1, 1, 1, 2, -1, -2, 3][self.rng.random_range(0..7)]))
            .collect();
        let (mut lo, mut hi) = (0, i32::try_from(dim).unwrap() - 1);
        for &(axis, stride) in &terms {
            let reach = stride * (i32::try_from(shape.0[usize::from(axis)]).unwrap() - 1);
            lo -= reach.min(0);
            hi -= reach.max(0);
        }
        // Inside if there is room, else with padding on one side or both.
        let (lo, hi) = (lo.min(hi), lo.max(hi));
        let pad = i32::from(self.rng.random_range(0..4) == 0);
        AxisMap::Affine {
            offset: self.rng.random_range(lo - pad..=hi + pad),
            terms,
        }
    }

    /// A transposition, reversal, slice, padding or repetition.
    fn named_view(&mut self) -> Option<ValueId> {
        let value = self.pick();
        let from = self.shape(value);
        let rank = from.rank();
        if rank == 0 {
            return None;
        }
        let along = |axis: usize, offset: i32, stride: i32| AxisMap::Affine {
            offset,
            terms: vec![(u8::try_from(axis).unwrap(), stride)],
        };
        let plain = |axis: usize| along(axis, 0, 1);
        let axis = self.rng.random_range(0..rank);
        let dim = from.0[axis];
        let mut dims = from.0.clone();
        let mut axes: Vec<AxisMap> = (0..rank).map(plain).collect();
        match self.rng.random_range(0..5) {
            0 => {
                dims.rotate_left(axis);
                axes = (0..rank).map(|a| plain((a + rank - axis) % rank)).collect();
            }
            1 => axes[axis] = along(axis, i32::try_from(dim).unwrap() - 1, -1),
            2 => {
                let start = self.rng.random_range(0..dim);
                let step = self.rng.random_range(1..3);
                dims[axis] = (dim - start).div_ceil(step);
                axes[axis] = along(
                    axis,
                    i32::try_from(start).unwrap(),
                    i32::try_from(step).unwrap(),
                );
            }
            3 => {
                dims[axis] = dim + 3;
                axes[axis] = along(axis, -self.rng.random_range(0..4), 1);
            }
            _ => {
                dims.insert(axis, 3);
                axes = (0..rank)
                    .map(|a| plain(a + usize::from(a >= axis)))
                    .collect();
            }
        }
        let shape = Shape(dims);
        if shape.elements() > MAX_ELEMENTS {
            return None;
        }
        self.builder.view(value, axes, shape).ok()
    }

    /// A convolution of two dimensions: patches, and mostly the product by a kernel.
    fn patches(&mut self) -> Option<ValueId> {
        let value = self.pick_calm();
        let from = self.shape(value);
        let channels = from.rank().checked_sub(2)?;
        let (h, w) = (from.0[channels], from.0[channels + 1]);
        let kernel = self.rng.random_range(1..=3u32);
        let (stride, pad) = (
            self.rng.random_range(1..3u32),
            self.rng.random_range(0..2u32),
        );
        let out = |len: u32| Some((len + 2 * pad).checked_sub(kernel)? / stride + 1);
        let (oh, ow) = (out(h)?, out(w)?);
        // Positions first, so that the patch is the inner part of a product.
        let mut dims = vec![oh, ow];
        dims.extend(&from.0[..channels]);
        dims.extend([kernel, kernel]);
        let at = |axis: usize| u8::try_from(axis).unwrap();
        let mut axes: Vec<AxisMap> = (0..channels)
            .map(|channel| AxisMap::Affine {
                offset: 0,
                terms: vec![(at(2 + channel), 1)],
            })
            .collect();
        for side in 0..2 {
            axes.push(AxisMap::Affine {
                offset: -i32::try_from(pad).unwrap(),
                terms: vec![
                    (at(side), i32::try_from(stride).unwrap()),
                    (at(2 + channels + side), 1),
                ],
            });
        }
        let inner = channels + 2;
        let shape = Shape(dims.clone());
        if shape.elements() > 2 * MAX_ELEMENTS || shape.rank() > 7 {
            return None;
        }
        let patches = self.builder.view(value, axes, shape).ok()?;
        if self.rng.random_range(0..4) == 0 {
            return Some(patches);
        }
        let filters = self.rng.random_range(1..12);
        let dims = [&dims[2..], &[filters]].concat();
        self.matmul_with(patches, dims, true, 0, inner)
    }

    fn reshape(&mut self) -> Option<ValueId> {
        let value = self.pick();
        let mut rest = u32::try_from(self.shape(value).elements()).ok()?;
        let mut dims = Vec::new();
        for _ in 0..self.rng.random_range(0..3) {
            let divisors: Vec<u32> = (1..=rest).filter(|d| rest.is_multiple_of(*d)).collect();
            let dim = divisors[self.rng.random_range(0..divisors.len())];
            dims.push(dim);
            rest /= dim;
        }
        dims.push(rest);
        self.builder.reshape(value, Shape(dims)).ok()
    }

    /// A table or a shift that fits the value's range and keeps it varied.
    fn requantise(&mut self, value: ValueId) -> ValueId {
        let range = self.range(value);
        // Close to the largest magnitude only wide windows are left.
        let fitting = (self.rng.random_range(4..=14u8)..=30)
            .find_map(|bits| Some((bits, bounds::least_shift(range, bits)?)));
        let (bits, least) = fitting.unwrap();
        let more = self.rng.random_range(0..2);
        let shift = match bounds::lookup_fits(range, least + more, bits) {
            true => least + more,
            false => least,
        };
        if bits > 14 || self.rng.random_range(0..4) == 0 {
            return self.builder.shift(value, shift, bits).unwrap();
        }
        let half = 1i32 << (bits - 1);
        let ends = [range.lo, range.hi].map(|v| bounds::quotient(v, shift).unwrap());
        let table = match self.rng.random_range(0..4) {
            0 => TableSpec::Clamp {
                bits,
                lo: -half,
                hi: half - 1,
            },
            1 => TableSpec::Clamp {
                bits,
                lo: 0,
                hi: half - 1,
            },
            // Bites inside the reachable quotients.
            2 => TableSpec::Clamp {
                bits,
                lo: (ends[0] / 2).clamp(-half, half - 1),
                hi: (ends[1] * 3 / 4).clamp(ends[0] / 2, half - 1),
            },
            _ => {
                let (a, b) = (self.rng.random_range(-9..9), self.rng.random_range(1..40));
                let noise = self.rng.random_range(1..200);
                let entry = |u: i32| (u * a) / b + self.rng.random_range(0..noise);
                TableSpec::Explicit((-half..half).map(entry).collect())
            }
        };
        self.builder.lookup(value, shift, table).unwrap()
    }
}
