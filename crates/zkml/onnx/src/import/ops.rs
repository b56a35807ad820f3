//! The operators of the float graph over operands, with broadcasting and what is simpler.

use hallmark_graph::AxisMap;

use super::builder::{Builder, Made, Operand, Source};
use super::tensor::{Kind, Tensor, elements};
use super::view::{fixed, list, straight, strided};
use crate::float::{Binary, Function};
use crate::{FloatOp, ImportError};

/// Most terms of one sum.
const MAX_SUM: usize = hallmark_graph::MAX_TERMS / 2;

impl Builder {
    pub(super) fn scalar(&self, value: f64) -> Operand {
        Operand::constant(Tensor::wide(vec![], vec![value]), Kind::Float)
    }

    pub(super) fn floats(&self, dims: Vec<usize>, values: Vec<f32>) -> Operand {
        Operand::constant(Tensor::floats(dims, values), Kind::Float)
    }

    pub(super) fn filled(&self, dims: &[usize], value: f64) -> Made {
        match elements(dims) {
            Some(count) => Ok(self.floats(dims.to_vec(), vec![value as f32; count])),
            None => Err(self.refuse(format!("a constant of shape {dims:?} is too large"))),
        }
    }

    pub(super) fn unary(&mut self, x: &Operand, function: Function) -> Made {
        let shape = self.shape(x);
        self.apply(
            &[x],
            |v| FloatOp::Unary {
                input: v[0],
                function,
            },
            shape,
        )
    }

    /// `scale·x + offset`.
    pub(super) fn affine(&mut self, x: &Operand, scale: f64, offset: f64) -> Made {
        let shape = self.shape(x);
        if scale == 1.0 && offset == 0.0 {
            return Ok(x.clone());
        }
        if x.tensor().is_none() && scale == 0.0 {
            let zero = self.filled(&shape, offset)?;
            return Ok(zero.with_kind(x.kind));
        }
        if !scale.is_finite() || offset.is_nan() {
            return Err(self.refuse("multiplies by a number that is not finite"));
        }
        let offset = match x.tensor() {
            Some(_) => offset,
            None => offset.clamp(f64::from(f32::MIN), f64::from(f32::MAX)),
        };
        self.apply(
            &[x],
            |v| FloatOp::Combine {
                terms: vec![(v[0], scale)],
                offset,
            },
            shape,
        )
    }

    pub(super) fn neg(&mut self, x: &Operand) -> Made {
        self.affine(x, -1.0, 0.0)
    }

    /// Shape that shapes broadcast to.
    pub(super) fn common(&self, operands: &[&Operand]) -> Result<Vec<usize>, ImportError> {
        let mut common: Vec<usize> = Vec::new();
        for operand in operands {
            let shape = self.shape(operand);
            if shape.len() > common.len() {
                common.splice(0..0, vec![1; shape.len() - common.len()]);
            }
            let skip = common.len() - shape.len();
            for (to, &dim) in common[skip..].iter_mut().zip(&shape) {
                match (*to, dim) {
                    (a, b) if a == b => {}
                    (1, b) => *to = b,
                    (_, 1) => {}
                    _ => {
                        let shapes: Vec<_> = operands.iter().map(|o| self.shape(o)).collect();
                        return Err(self.refuse(format!("shapes {shapes:?} do not fit together")));
                    }
                }
            }
        }
        Ok(common)
    }

    pub(super) fn broadcast(&mut self, x: &Operand, shape: &[usize]) -> Made {
        let from = self.shape(x);
        if from == shape {
            return Ok(x.clone());
        }
        let Some(skip) = shape.len().checked_sub(from.len()) else {
            return Err(self.refuse(format!("{from:?} does not spread to {shape:?}")));
        };
        let mut axes = Vec::with_capacity(from.len());
        for (axis, &dim) in from.iter().enumerate() {
            axes.push(match dim {
                dim if dim == shape[skip + axis] => straight(skip + axis),
                1 => fixed(0),
                _ => return Err(self.refuse(format!("{from:?} does not spread to {shape:?}"))),
            });
        }
        self.view(x, axes, shape.to_vec())
    }

    pub(super) fn view(&mut self, x: &Operand, axes: Vec<AxisMap>, shape: Vec<usize>) -> Made {
        if shape.len() > super::tensor::MAX_CONSTANT_RANK {
            return Err(self.refuse(format!("needs {} dimensions", shape.len())));
        }
        self.apply(&[x], |v| FloatOp::View { input: v[0], axes }, shape)
    }

    /// A binary step on broadcast operands.
    pub(super) fn both(
        &mut self,
        a: &Operand,
        b: &Operand,
        make: impl FnOnce(usize, usize) -> FloatOp,
    ) -> Made {
        let shape = self.common(&[a, b])?;
        let a = self.broadcast(a, &shape)?;
        let b = self.broadcast(b, &shape)?;
        self.apply(&[&a, &b], |v| make(v[0], v[1]), shape)
    }

    /// `offset + Σ c·x`, broadcast.
    pub(super) fn combine(&mut self, terms: &[(&Operand, f64)], offset: f64) -> Made {
        let operands: Vec<&Operand> = terms.iter().map(|(x, _)| *x).collect();
        let shape = self.common(&operands)?;
        let folded = operands.iter().all(|x| x.tensor().is_some());
        let mut offset = offset;
        let mut rest = Vec::new();
        for (x, c) in terms {
            match x.uniform() {
                Some(value) if !folded => offset += c * value,
                _ => rest.push((self.broadcast(x, &shape)?, *c)),
            }
        }
        if let [(x, c)] = &rest[..]
            && !folded
        {
            return self.affine(x, *c, offset);
        }
        if offset.is_nan() {
            return Err(self.refuse("adds what is not a number"));
        }
        // Long sums are sums of sums: a step of the integer graph has a bounded number of terms.
        if rest.len() > MAX_SUM && !folded {
            let mut parts = Vec::new();
            for part in rest.chunks(MAX_SUM) {
                let terms: Vec<(&Operand, f64)> = part.iter().map(|(x, c)| (x, *c)).collect();
                parts.push(self.combine(&terms, 0.0)?);
            }
            let terms: Vec<(&Operand, f64)> = parts.iter().map(|part| (part, 1.0)).collect();
            return self.combine(&terms, offset);
        }
        let coefficients: Vec<f64> = rest.iter().map(|(_, c)| *c).collect();
        let operands: Vec<&Operand> = rest.iter().map(|(x, _)| x).collect();
        self.apply(
            &operands,
            |v| FloatOp::Combine {
                terms: v.iter().copied().zip(coefficients).collect(),
                offset,
            },
            shape,
        )
    }

    pub(super) fn add(&mut self, a: &Operand, b: &Operand) -> Made {
        self.combine(&[(a, 1.0), (b, 1.0)], 0.0)
    }

    pub(super) fn sub(&mut self, a: &Operand, b: &Operand) -> Made {
        self.combine(&[(a, 1.0), (b, -1.0)], 0.0)
    }

    pub(super) fn mul(&mut self, a: &Operand, b: &Operand) -> Made {
        for (x, c) in [(a, b), (b, a)] {
            if let (None, Some(c)) = (x.tensor(), c.uniform()) {
                let shape = self.common(&[a, b])?;
                let x = self.affine(x, c, 0.0)?;
                return self.broadcast(&x, &shape);
            }
        }
        self.both(a, b, |a, b| FloatOp::Mul { a, b })
    }

    pub(super) fn div(&mut self, a: &Operand, b: &Operand) -> Made {
        if a.tensor().is_some() && b.tensor().is_some() {
            return self.both(a, b, |a, b| FloatOp::Div { a, b });
        }
        if let Some(divisor) = b.tensor() {
            if (0..divisor.len()).any(|at| divisor.get(at) == 0.0) {
                return Err(self.refuse("divides by a constant 0"));
            }
            let wide = Tensor::wide(divisor.dims.clone(), divisor.values());
            let wide = Operand::constant(wide, b.kind);
            let inverse = self.unary(&wide, Function::Reciprocal)?;
            return self.mul(a, &inverse);
        }
        if let Some(value) = a.uniform() {
            let shape = self.common(&[a, b])?;
            let inverse = self.unary(b, Function::Reciprocal)?;
            let scaled = self.affine(&inverse, value, 0.0)?;
            return self.broadcast(&scaled, &shape);
        }
        self.both(a, b, |a, b| FloatOp::Div { a, b })
    }

    pub(super) fn binary(&mut self, op: Binary, a: &Operand, b: &Operand) -> Made {
        self.both(a, b, |a, b| FloatOp::Binary { a, b, op })
    }

    pub(super) fn reshape(&mut self, x: &Operand, shape: Vec<usize>) -> Made {
        let from = self.shape(x);
        if from == shape {
            return Ok(x.clone());
        }
        if elements(&from) != elements(&shape) || elements(&from).is_none() {
            return Err(self.refuse(format!("{from:?} cannot become {shape:?}")));
        }
        let long = |shape: &[usize]| -> Vec<usize> {
            let axes = 0..shape.len();
            axes.filter(|&axis| shape[axis] != 1).collect()
        };
        let (before, after) = (long(&from), long(&shape));
        let same = before.len() == after.len()
            && before
                .iter()
                .zip(&after)
                .all(|(&a, &b)| from[a] == shape[b]);
        if same {
            let mut axes = vec![fixed(0); from.len()];
            for (&a, &b) in before.iter().zip(&after) {
                axes[a] = straight(b);
            }
            return self.view(x, axes, shape);
        }
        if let Source::Value(value) = x.source
            && let Some(FloatOp::Reshape { input }) = self.op(value)
        {
            let inner = Operand {
                source: Source::Value(*input),
                kind: x.kind,
            };
            return self.reshape(&inner, shape);
        }
        self.apply(&[x], |v| FloatOp::Reshape { input: v[0] }, shape)
    }

    /// Axis `i` of the result is axis `order[i]` of `x`.
    pub(super) fn permute(&mut self, x: &Operand, order: &[usize]) -> Made {
        let from = self.shape(x);
        let mut axes = vec![fixed(0); from.len()];
        for (to, &axis) in order.iter().enumerate() {
            axes[axis] = straight(to);
        }
        let shape = order.iter().map(|&axis| from[axis]).collect();
        self.view(x, axes, shape)
    }

    /// Positions `start + step·i`, `i < count`, of one axis; outside is 0.
    pub(super) fn slice(
        &mut self,
        x: &Operand,
        axis: usize,
        (start, step, count): (i64, i64, usize),
    ) -> Made {
        let (Ok(start), Ok(step)) = (i32::try_from(start), i32::try_from(step)) else {
            return Err(self.refuse("slices too far"));
        };
        let step = if step == 0 { 1 } else { step };
        self.remap(x, axis, strided(start, axis, step), count)
    }

    /// Reads positions of one axis; −1 is 0.
    pub(super) fn take(&mut self, x: &Operand, axis: usize, indices: Vec<i32>) -> Made {
        let count = indices.len();
        self.remap(x, axis, list(axis, indices), count)
    }

    fn remap(&mut self, x: &Operand, axis: usize, map: AxisMap, count: usize) -> Made {
        let mut shape = self.shape(x);
        let mut axes: Vec<AxisMap> = (0..shape.len()).map(straight).collect();
        axes[axis] = map;
        shape[axis] = count;
        self.view(x, axes, shape)
    }

    /// Pieces one after the other along an axis.
    pub(super) fn concat(&mut self, pieces: &[Operand], axis: usize) -> Made {
        let mut whole = match pieces.first() {
            Some(first) => self.shape(first),
            None => return Err(self.refuse("has no operand")),
        };
        if axis >= whole.len() {
            return Err(self.refuse(format!("axis {axis} is outside {whole:?}")));
        }
        let mut total = 0usize;
        for piece in pieces {
            let shape = self.shape(piece);
            let fits = shape.len() == whole.len()
                && (0..shape.len()).all(|i| i == axis || shape[i] == whole[i]);
            if !fits {
                return Err(self.refuse(format!("{shape:?} does not continue {whole:?}")));
            }
            total = total.saturating_add(shape[axis]);
        }
        whole[axis] = total;
        if elements(&whole).is_none() {
            return Err(self.refuse(format!("{whole:?} is too large")));
        }
        let mut placed = Vec::new();
        let mut start = 0i64;
        for piece in pieces {
            let length = self.shape(piece)[axis];
            if length > 0 {
                placed.push(self.slice(piece, axis, (-start, 1, total))?);
            }
            start += length as i64;
        }
        match &placed[..] {
            [] => Ok(pieces[0].clone()),
            [one] => Ok(one.clone()),
            _ => {
                let terms: Vec<(&Operand, f64)> = placed.iter().map(|p| (p, 1.0)).collect();
                self.combine(&terms, 0.0)
            }
        }
    }

    /// Inserts or keeps axes of length 1 where axes were reduced.
    pub(super) fn keep(&mut self, x: &Operand, from: &[usize], gone: &[usize]) -> Made {
        let shape = (0..from.len())
            .map(|axis| if gone.contains(&axis) { 1 } else { from[axis] })
            .collect();
        self.reshape(x, shape)
    }

    /// Sum over axes, which vanish.
    pub(super) fn sum(&mut self, x: &Operand, axes: &[usize]) -> Made {
        if axes.is_empty() {
            return Ok(x.clone());
        }
        let from = self.shape(x);
        let shape = without(&from, axes);
        let axes = axes.iter().map(|&axis| axis as u8).collect();
        self.apply(&[x], |v| FloatOp::Sum { input: v[0], axes }, shape)
    }

    pub(super) fn mean(&mut self, x: &Operand, axes: &[usize]) -> Made {
        let from = self.shape(x);
        let count: usize = axes.iter().map(|&axis| from[axis]).product();
        let sum = self.sum(x, axes)?;
        self.affine(&sum, 1.0 / count.max(1) as f64, 0.0)
    }

    /// Largest over axes, which vanish.
    pub(super) fn max(&mut self, x: &Operand, axes: &[usize]) -> Made {
        let mut x = x.clone();
        for &axis in axes.iter().rev() {
            let from = self.shape(&x);
            let shape = without(&from, &[axis]);
            x = match from[axis] {
                1 => self.reshape(&x, shape)?,
                0 => return Err(self.refuse("takes the maximum of nothing")),
                _ => self.apply(
                    &[&x],
                    |v| FloatOp::ReduceMax {
                        input: v[0],
                        axis: axis as u8,
                    },
                    shape,
                )?,
            };
        }
        Ok(x)
    }

    /// Products over `inner` axes with `batch` axes in common, as [`FloatOp::MatMul`] has it.
    pub(super) fn product(&mut self, a: &Operand, b: &Operand, batch: usize, inner: usize) -> Made {
        let (left, right) = (self.shape(a), self.shape(b));
        let fits = left.len() >= batch + inner
            && right.len() >= batch + inner
            && left[..batch] == right[..batch]
            && left[left.len() - inner..] == right[batch..batch + inner];
        if !fits {
            return Err(self.refuse(format!("{left:?} and {right:?} cannot be multiplied")));
        }
        let mut shape = left[..left.len() - inner].to_vec();
        shape.extend(&right[batch + inner..]);
        let made = self.apply(
            &[a, b],
            |v| FloatOp::MatMul {
                a: v[0],
                b: v[1],
                batch: batch as u8,
                inner: inner as u8,
            },
            shape,
        )?;
        Ok(made.with_kind(a.kind))
    }

    /// A step over the last axis, applied to another axis.
    pub(super) fn along(
        &mut self,
        x: &Operand,
        axis: usize,
        step: impl FnOnce(&mut Self, &Operand) -> Made,
    ) -> Made {
        let rank = self.rank(x);
        if axis + 1 == rank {
            return step(self, x);
        }
        let mut order: Vec<usize> = (0..rank).collect();
        order.remove(axis);
        order.push(axis);
        let moved = self.permute(x, &order)?;
        let made = step(self, &moved)?;
        let mut back: Vec<usize> = (0..rank - 1).collect();
        back.insert(axis, rank - 1);
        self.permute(&made, &back)
    }

    /// A recipe over the last axis.
    pub(super) fn recipe(&mut self, x: &Operand, make: impl FnOnce(usize) -> FloatOp) -> Made {
        let shape = self.shape(x);
        self.apply(&[x], |v| make(v[0]), shape)
    }

    /// `x·c + y·(1 - c)` for `c` of 0 and 1.
    pub(super) fn choose(&mut self, c: &Operand, x: &Operand, y: &Operand) -> Made {
        let shape = self.common(&[c, x, y])?;
        if let Some(value) = c.uniform() {
            let chosen = if value != 0.0 { x } else { y };
            return self.broadcast(chosen, &shape);
        }
        if c.tensor().is_some() || x.tensor().is_some() && y.tensor().is_some() {
            let not = self.affine(c, -1.0, 1.0)?;
            let kept = self.gate(c, x)?;
            let other = self.gate(&not, y)?;
            let made = self.add(&kept, &other)?;
            return self.broadcast(&made, &shape);
        }
        if x.tensor().is_some() || y.tensor().is_some() {
            let not = self.affine(c, -1.0, 1.0)?;
            let kept = self.mul(c, x)?;
            let other = self.mul(&not, y)?;
            return self.add(&kept, &other);
        }
        let difference = self.sub(x, y)?;
        let part = self.mul(c, &difference)?;
        self.add(y, &part)
    }

    /// `c·x` where an infinite constant `x` times 0 is 0.
    fn gate(&mut self, c: &Operand, x: &Operand) -> Made {
        let Some(tensor) = x.tensor() else {
            return self.mul(c, x);
        };
        let infinite = (0..tensor.len()).any(|at| tensor.get(at).is_infinite());
        if !infinite {
            return self.mul(c, x);
        }
        let values = tensor.values();
        let finite = values
            .iter()
            .map(|v| v.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32);
        let finite = Tensor::floats(tensor.dims.clone(), finite.collect());
        self.mul(c, &Operand::constant(finite, x.kind))
    }
}

pub(super) fn without(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
    kept.map(|axis| shape[axis]).collect()
}
