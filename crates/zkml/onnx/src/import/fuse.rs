//! Recognises what exported graphs spell out: activations, normalisations, softmax.
//!
//! A pointwise formula of one value is recognised by its numbers, not by its spelling: it is
//! evaluated at some points and compared with the functions that have a name.

use std::collections::BTreeMap;

use hallmark_graph::AxisMap;

use super::builder::{Builder, Operand, Source};
use super::tensor::Kind;
use super::view::{fixed, straight};
use crate::float::{Binary, Function};
use crate::{FloatOp, ImportError};

/// Steps that one formula may have.
const MAX_FORMULA: usize = 24;
/// Where formulas are compared.
const POINTS: [f64; 20] = [
    -7.3, -5.1, -3.37, -2.9, -2.2, -1.41, -0.77, -0.31, -0.01, -0.001, 0.001, 0.01, 0.13, 0.49,
    0.93, 1.55, 2.3, 3.2, 4.7, 6.6,
];
/// Where only a number that the formula gives is compared: it may overflow on its way.
const FAR: [f64; 10] = [
    -1e8, -1e5, -2_000.0, -60.0, -20.0, 20.0, 60.0, 2_000.0, 1e5, 1e8,
];
/// A masked score: nothing after the exponential, and near enough to leave a scale to the rest.
const MASKED: f64 = -100.0;
/// What no score that counts is below.
const HOPELESS: f64 = -9_000.0;

impl Builder {
    /// A simpler step for one that is about to be added.
    pub(super) fn fuse(
        &mut self,
        op: &FloatOp,
        shape: &[usize],
    ) -> Result<Option<usize>, ImportError> {
        match op {
            FloatOp::Combine { terms, offset } => self.merge(terms, *offset, shape),
            FloatOp::Unary {
                input,
                function: Function::Reciprocal,
            } => match self.op(*input) {
                Some(FloatOp::Unary {
                    input,
                    function: Function::Sqrt,
                }) => {
                    let input = *input;
                    let function = Function::Rsqrt;
                    self.emit(FloatOp::Unary { input, function }, shape.to_vec())
                        .map(Some)
                }
                _ => Ok(None),
            },
            FloatOp::Div { a, b } => match self.softmax_of(*a, *b) {
                Some((input, axis)) => self.softmax_value(input, axis).map(Some),
                None => self.normalize(*a, *b, false),
            },
            FloatOp::Mul { a, b } => match self.normalize(*a, *b, true)? {
                Some(value) => Ok(Some(value)),
                None => self.normalize(*b, *a, true),
            },
            _ => Ok(None),
        }
    }

    /// A multiple of a multiple; the same value twice. A multiple of a sum of several terms stays
    /// one: it is another scale for the compiler, and a formula of that sum stays recognisable.
    fn merge(
        &mut self,
        terms: &[(usize, f64)],
        offset: f64,
        shape: &[usize],
    ) -> Result<Option<usize>, ImportError> {
        if let [(value, scale)] = terms
            && let Some(FloatOp::Combine {
                terms: inner,
                offset: first,
            }) = self.op(*value)
            && inner.len() == 1
        {
            let merged: Vec<(usize, f64)> = inner.iter().map(|(v, c)| (*v, c * scale)).collect();
            let offset = first * scale + offset;
            if let [(value, 1.0)] = merged[..]
                && offset == 0.0
            {
                return Ok(Some(value));
            }
            // Halves of halves: 2/3·3/2 is 1 up to the rounding of f32 constants.
            let op = FloatOp::Combine {
                terms: merged,
                offset,
            };
            return self.emit(op, shape.to_vec()).map(Some);
        }
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        for (value, c) in terms {
            *sums.entry(*value).or_default() += c;
        }
        if sums.len() == terms.len() {
            return Ok(None);
        }
        let mut merged: Vec<(usize, f64)> = sums.into_iter().filter(|(_, c)| *c != 0.0).collect();
        if merged.is_empty() {
            merged.push((terms[0].0, 0.0));
        }
        let op = FloatOp::Combine {
            terms: merged,
            offset,
        };
        self.emit(op, shape.to_vec()).map(Some)
    }

    /// The value and axis of `exp(x)/Σ exp(x)`.
    fn softmax_of(&self, a: usize, b: usize) -> Option<(usize, usize)> {
        let FloatOp::Unary {
            input,
            function: Function::Exp,
        } = *self.op(a)?
        else {
            return None;
        };
        let (sum, axis) = self.spread(b)?;
        let FloatOp::Sum { input: of, axes } = self.op(sum)? else {
            return None;
        };
        let [reduced] = axes[..] else { return None };
        (*of == a && usize::from(reduced) == axis).then_some((input, axis))
    }

    /// What a broadcast along one axis repeats, and the axis.
    fn spread(&self, value: usize) -> Option<(usize, usize)> {
        let FloatOp::View { input, axes } = self.op(value)? else {
            return None;
        };
        let (small, large) = (self.shape_of(*input), self.shape_of(value));
        if small.len() + 1 != large.len() {
            return None;
        }
        (0..large.len())
            .find(|&gone| {
                let rest = (0..large.len()).filter(|&axis| axis != gone);
                axes.iter().zip(rest).zip(small).all(|((map, axis), &dim)| {
                    *map == straight(axis) || dim == 1 && large[axis] == 1 && *map == fixed(0)
                })
            })
            .map(|axis| (*input, axis))
    }

    fn softmax_value(&mut self, input: usize, axis: usize) -> Result<usize, ImportError> {
        let x = Operand {
            source: Source::Value(input),
            kind: Kind::Float,
        };
        let made = self.softmax(&x, axis)?;
        self.embed(&made)
    }

    /// Softmax along an axis. Scores that a mask makes hopeless become merely masked, so that
    /// their magnitude says nothing about the scale of the others.
    pub(super) fn softmax(&mut self, x: &Operand, axis: usize) -> super::builder::Made {
        let x = match x.value() {
            Some(value) => {
                let source = Source::Value(self.tame(value, 4)?);
                Operand {
                    source,
                    kind: x.kind,
                }
            }
            None => x.clone(),
        };
        // A constant shift along the axis changes nothing.
        let x = match x.value().and_then(|value| self.shifted(value, axis)) {
            Some(value) => Operand {
                source: Source::Value(value),
                kind: x.kind,
            },
            None => x,
        };
        self.along(&x, axis, |b, x| {
            b.recipe(x, |input| FloatOp::Softmax { input })
        })
    }

    /// `x` of `x - max(x)`.
    fn shifted(&self, value: usize, axis: usize) -> Option<usize> {
        let FloatOp::Combine { terms, .. } = self.op(value)? else {
            return None;
        };
        let [(x, 1.0), (most, -1.0)] = terms[..] else {
            return None;
        };
        let (most, along) = self.spread(most)?;
        let FloatOp::ReduceMax { input, axis: of } = *self.op(most)? else {
            return None;
        };
        (input == x && along == axis && usize::from(of) == axis).then_some(x)
    }

    fn tame(&mut self, value: usize, depth: usize) -> Result<usize, ImportError> {
        let shape = self.shape_of(value).to_vec();
        let Some(op) = self.op(value).cloned().filter(|_| depth > 0) else {
            return Ok(value);
        };
        match op {
            FloatOp::Constant { values } if values.iter().any(|&v| f64::from(v) < HOPELESS) => {
                let values = values
                    .iter()
                    .map(|&v| {
                        if f64::from(v) < HOPELESS {
                            MASKED as f32
                        } else {
                            v
                        }
                    })
                    .collect();
                self.emit(FloatOp::Constant { values }, shape)
            }
            FloatOp::Combine { terms, offset } => {
                let mut tamed = Vec::with_capacity(terms.len());
                let wild = terms.iter().map(|(_, c)| c.abs()).fold(0.0, f64::max);
                // (1 - mask)·(-10000): both numbers shrink together.
                if wild > -HOPELESS && (offset == 0.0 || offset.abs() == wild) {
                    let shrink = -MASKED / wild;
                    for (term, c) in &terms {
                        let smaller = c.abs() == wild;
                        tamed.push((*term, if smaller { c * shrink } else { *c }));
                    }
                    let op = FloatOp::Combine {
                        terms: tamed,
                        offset: offset * shrink,
                    };
                    return self.emit(op, shape);
                }
                for (term, c) in &terms {
                    let scaled = (*c - 1.0).abs() < 1e-9;
                    let term = if scaled {
                        self.tame(*term, depth - 1)?
                    } else {
                        *term
                    };
                    tamed.push((term, *c));
                }
                if tamed == terms {
                    return Ok(value);
                }
                self.emit(
                    FloatOp::Combine {
                        terms: tamed,
                        offset,
                    },
                    shape,
                )
            }
            FloatOp::View { input, axes } => match self.tame(input, depth - 1)? {
                same if same == input => Ok(value),
                input => self.emit(FloatOp::View { input, axes }, shape),
            },
            FloatOp::Reshape { input } => match self.tame(input, depth - 1)? {
                same if same == input => Ok(value),
                input => self.emit(FloatOp::Reshape { input }, shape),
            },
            // A mask times its magnitude.
            FloatOp::Mul { a, b } => {
                let (left, right) = (self.tame(a, depth - 1)?, self.tame(b, depth - 1)?);
                match (left, right) == (a, b) {
                    true => Ok(value),
                    false => self.emit(FloatOp::Mul { a: left, b: right }, shape),
                }
            }
            _ => Ok(value),
        }
    }

    /// `(x - mean)/sqrt(variance + ε)`, or `x/sqrt(mean(x²) + ε)`; `inverted` when `scale` is the
    /// reciprocal of the root.
    fn normalize(
        &mut self,
        x: usize,
        scale: usize,
        inverted: bool,
    ) -> Result<Option<usize>, ImportError> {
        let Some((axes, epsilon)) = self.root_of_squares(x, scale, inverted) else {
            return Ok(None);
        };
        let source = self.centered(x, &axes);
        let operand = Operand {
            source: Source::Value(source.unwrap_or(x)),
            kind: Kind::Float,
        };
        let made = self.normalize_over(&operand, &axes, epsilon, source.is_some())?;
        self.embed(&made).map(Some)
    }

    /// Normalises over some axes together.
    pub(super) fn normalize_over(
        &mut self,
        x: &Operand,
        axes: &[usize],
        epsilon: f64,
        center: bool,
    ) -> super::builder::Made {
        let from = self.shape(x);
        let mut order: Vec<usize> = (0..from.len())
            .filter(|axis| !axes.contains(axis))
            .collect();
        let outer: Vec<usize> = order.iter().map(|&axis| from[axis]).collect();
        order.extend(axes);
        let moved = self.permute(x, &order)?;
        let full = self.shape(&moved);
        let mut merged = outer;
        merged.push(axes.iter().map(|&axis| from[axis]).product());
        let flat = self.reshape(&moved, merged)?;
        let made = self.recipe(&flat, |input| FloatOp::Normalize {
            input,
            epsilon,
            center,
        })?;
        let wide = self.reshape(&made, full)?;
        let mut back = vec![0; order.len()];
        for (to, &axis) in order.iter().enumerate() {
            back[axis] = to;
        }
        self.permute(&wide, &back)
    }

    /// What a broadcast along reduced axes repeats, and the axes; the rest is in order.
    fn reduced(&self, value: usize) -> Option<(usize, Vec<usize>)> {
        let FloatOp::View { input, axes } = self.op(value)? else {
            return None;
        };
        let large = self.shape_of(value);
        let mut next = 0;
        let mut named = Vec::new();
        for (map, &dim) in axes.iter().zip(self.shape_of(*input)) {
            match map {
                AxisMap::Affine { offset: 0, terms } => match terms[..] {
                    [] if dim == 1 => {}
                    [(axis, 1)] if usize::from(axis) >= next && large[usize::from(axis)] == dim => {
                        next = usize::from(axis) + 1;
                        named.push(usize::from(axis));
                    }
                    _ => return None,
                },
                _ => return None,
            }
        }
        let gone = (0..large.len()).filter(|axis| !named.contains(axis));
        Some((*input, gone.collect()))
    }

    /// The axes and ε when `scale` is `sqrt(mean(x²) + ε)` over them.
    fn root_of_squares(&self, x: usize, scale: usize, inverted: bool) -> Option<(Vec<usize>, f64)> {
        let (root, _) = self.reduced(scale)?;
        let FloatOp::Unary { input, function } = self.op(root)? else {
            return None;
        };
        match (function, inverted) {
            (Function::Sqrt, false) | (Function::Rsqrt, true) => {}
            _ => return None,
        }
        let FloatOp::Combine { terms, offset } = self.op(*input)? else {
            return None;
        };
        let [(sum, share)] = terms[..] else {
            return None;
        };
        let FloatOp::Sum { input, axes } = self.op(sum)? else {
            return None;
        };
        let square = match self.op(*input)? {
            FloatOp::Mul { a, b } => *a == x && *b == x,
            FloatOp::Unary {
                input,
                function: Function::Pow { exponent: 2.0 },
            } => *input == x,
            _ => false,
        };
        let axes: Vec<usize> = axes.iter().map(|&axis| usize::from(axis)).collect();
        let shape = self.shape_of(x);
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        let mean = (share * count as f64 - 1.0).abs() < 1e-6;
        (square && mean && self.repeats(scale, shape, &axes)).then_some((axes, *offset))
    }

    /// Whether a value is constant along axes and follows the others.
    fn repeats(&self, value: usize, shape: &[usize], axes: &[usize]) -> bool {
        let Some((_, gone)) = self.reduced(value) else {
            return false;
        };
        (0..shape.len())
            .all(|axis| shape[axis] == 1 || gone.contains(&axis) == axes.contains(&axis))
    }

    /// `x` when a value is `x - mean(x)` over axes.
    fn centered(&self, value: usize, axes: &[usize]) -> Option<usize> {
        let FloatOp::Combine { terms, offset: 0.0 } = self.op(value)? else {
            return None;
        };
        let [(x, 1.0), (mean, minus)] = terms[..] else {
            return None;
        };
        let (mean, share) = match self.op(mean)? {
            FloatOp::View { .. } => (mean, minus),
            _ => return None,
        };
        if !self.repeats(mean, self.shape_of(value), axes) {
            return None;
        }
        let (inner, _) = self.reduced(mean)?;
        let (sum, share) = match self.op(inner)? {
            FloatOp::Combine { terms, offset: 0.0 } => match terms[..] {
                [(sum, c)] => (sum, c * share),
                _ => return None,
            },
            FloatOp::Sum { .. } => (inner, share),
            _ => return None,
        };
        let FloatOp::Sum { input, axes: of } = self.op(sum)? else {
            return None;
        };
        let count: usize = axes
            .iter()
            .map(|&axis| self.shape_of(value)[axis])
            .product();
        let same = of
            .iter()
            .map(|&axis| usize::from(axis))
            .eq(axes.iter().copied());
        (*input == x && same && (share * count as f64 + 1.0).abs() < 1e-6).then_some(x)
    }

    /// Replaces a pointwise formula of one value by the function that it is, where it has a name.
    pub(super) fn recognise(&mut self, value: usize) -> Result<usize, ImportError> {
        let shape = self.shape_of(value).to_vec();
        let mut frontier = std::collections::BTreeSet::from([value]);
        let mut steps = Vec::new();
        let mut found = None;
        while steps.len() < MAX_FORMULA {
            let Some(last) = frontier.pop_last() else {
                break;
            };
            let Some(op) = self.op(last) else { break };
            let pointwise = matches!(
                op,
                FloatOp::Unary { .. }
                    | FloatOp::Combine { .. }
                    | FloatOp::Mul { .. }
                    | FloatOp::Div { .. }
                    | FloatOp::Binary { .. }
            );
            if !pointwise || op.operands().len() > 4 {
                break;
            }
            frontier.extend(op.operands());
            steps.push(last);
            if frontier.len() == 1 && steps.len() > 1 {
                let root = *frontier.first().unwrap_or(&value);
                if let Some(function) = self.named(root, &steps) {
                    found = Some((root, function));
                }
            }
        }
        let Some((root, (function, scale))) = found else {
            return Ok(value);
        };
        let input = root;
        let made = self.emit(FloatOp::Unary { input, function }, shape.clone())?;
        if (scale - 1.0).abs() < 1e-6 {
            return Ok(made);
        }
        let terms = vec![(made, scale)];
        self.emit(FloatOp::Combine { terms, offset: 0.0 }, shape)
    }

    /// The function, up to a factor, that `steps` (last first) compute of `root`.
    fn named(&self, root: usize, steps: &[usize]) -> Option<(Function, f64)> {
        let values: Vec<f64> = POINTS
            .iter()
            .map(|&x| self.formula(root, steps, x))
            .collect::<Option<_>>()?;
        let candidates = [
            Function::Gelu,
            Function::GeluTanh,
            Function::Silu,
            Function::HardSwish,
            Function::Mish,
            Function::Sigmoid,
            Function::Tanh,
            Function::Softplus,
            Function::Softsign,
            Function::Relu,
        ];
        candidates.into_iter().find_map(|function| {
            let expected: Vec<f64> = POINTS.iter().map(|&x| function.eval(x)).collect();
            let top = POINTS.len() - 1;
            let scale = values[top] / expected[top];
            let near = values
                .iter()
                .zip(&expected)
                .all(|(v, e)| (v - e * scale).abs() <= 2e-6 * (1.0 + e.abs()) * scale.abs());
            let far = FAR.iter().all(|&x| {
                let value = self.formula(root, steps, x).unwrap_or(f64::NAN);
                let e = function.eval(x);
                !value.is_finite()
                    || (value - e * scale).abs() <= 2e-6 * (1.0 + e.abs()) * scale.abs()
            });
            let near = near && far;
            let nearest = (scale * 4.0).round() / 4.0;
            let scale = if (scale - nearest).abs() < 1e-6 {
                nearest
            } else {
                scale
            };
            (near && scale.is_finite() && scale != 0.0).then_some((function, scale))
        })
    }

    fn formula(&self, root: usize, steps: &[usize], x: f64) -> Option<f64> {
        let mut known = BTreeMap::from([(root, x)]);
        for &step in steps.iter().rev() {
            let get = |value: &usize| known.get(value).copied();
            let value = match self.op(step)? {
                FloatOp::Unary { input, function } => function.eval(get(input)?),
                FloatOp::Mul { a, b } => get(a)? * get(b)?,
                FloatOp::Div { a, b } => get(a)? / get(b)?,
                FloatOp::Binary { a, b, op } => match op {
                    Binary::Max => get(a)?.max(get(b)?),
                    Binary::Min => get(a)?.min(get(b)?),
                    _ => return None,
                },
                FloatOp::Combine { terms, offset } => {
                    let mut sum = *offset;
                    for (value, c) in terms {
                        sum += c * get(value)?;
                    }
                    sum
                }
                _ => return None,
            };
            known.insert(step, value);
        }
        steps.first().and_then(|last| known.get(last).copied())
    }
}
