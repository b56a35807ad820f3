//! Moves the gains and shifts of a normalisation into the weights that read it:
//!
//! ```text
//! (n·γ + β)·W = n·(γ∘W) + β·W
//! ```
//!
//! So the compiler rounds the normalised values once, to what the product needs, instead of three
//! times, and the proof commits to them once.

use std::rc::Rc;

use hallmark_graph::AxisMap;

use super::builder::Builder;
use super::view::straight;
use crate::{FloatOp, ImportError};

/// `n·γ + β`, over the last axis.
struct Affine {
    normal: usize,
    gains: Option<Rc<[f32]>>,
    shifts: Option<Rc<[f32]>>,
}

impl Builder {
    /// A product, with the gains and shifts of a normalised operand in its weights.
    pub(super) fn folded_product(
        &mut self,
        op: FloatOp,
        shape: Vec<usize>,
    ) -> Result<usize, ImportError> {
        let FloatOp::MatMul {
            a,
            b,
            batch: 0,
            inner: 1,
        } = op
        else {
            return self.emit(op, shape);
        };
        let Some(FloatOp::Constant { values }) = self.op(b) else {
            return self.emit(op, shape);
        };
        let values = values.clone();
        let weights = self.shape_of(b).to_vec();
        let cols: usize = weights[1..].iter().product();
        let Some(affine) = self.normalized_row(a) else {
            return self.emit(op, shape);
        };
        let scaled: Rc<[f32]> = match &affine.gains {
            None => values.clone(),
            Some(gains) => {
                let rows = values.chunks(cols).zip(gains.iter());
                rows.flat_map(|(row, &gain)| row.iter().map(move |&w| w * gain))
                    .collect()
            }
        };
        if !scaled.iter().all(|w| w.is_finite()) {
            return self.emit(op, shape);
        }
        let scaled = self.emit(FloatOp::Constant { values: scaled }, weights.clone())?;
        let product = FloatOp::MatMul {
            a: affine.normal,
            b: scaled,
            batch: 0,
            inner: 1,
        };
        let product = self.emit(product, shape.clone())?;
        let Some(shifts) = affine.shifts else {
            return Ok(product);
        };
        let mut sums = vec![0f64; cols];
        for (row, &shift) in values.chunks(cols).zip(shifts.iter()) {
            for (sum, &w) in sums.iter_mut().zip(row) {
                *sum += f64::from(w) * f64::from(shift);
            }
        }
        let values = sums.into_iter().map(|sum| sum as f32).collect();
        let moved = self.emit(FloatOp::Constant { values }, weights[1..].to_vec())?;
        let first = shape.len() + 1 - weights.len();
        let axes = (first..shape.len()).map(straight).collect();
        let moved = self.view_of(moved, axes, shape.clone())?;
        let sum = FloatOp::Combine {
            terms: vec![(product, 1.0), (moved, 1.0)],
            offset: 0.0,
        };
        self.emit(sum, shape)
    }

    /// The normalised value of which a value is a multiple and a shift along the last axis.
    fn normalized_row(&self, value: usize) -> Option<Affine> {
        let (scaled, shifts) = match self.op(value)? {
            FloatOp::Combine { terms, offset: 0.0 } => match terms[..] {
                [(a, 1.0), (b, 1.0)] => match (self.row(a), self.row(b)) {
                    (None, Some(row)) => (a, Some(row)),
                    (Some(row), None) => (b, Some(row)),
                    _ => return None,
                },
                _ => return None,
            },
            _ => (value, None),
        };
        let (normal, gains) = match *self.op(scaled)? {
            FloatOp::Mul { a, b } => match (self.row(a), self.row(b)) {
                (None, Some(row)) => (a, Some(row)),
                (Some(row), None) => (b, Some(row)),
                _ => return None,
            },
            _ => (scaled, None),
        };
        let any = gains.is_some() || shifts.is_some();
        (any && self.is_normalized(normal)).then_some(Affine {
            normal,
            gains,
            shifts,
        })
    }

    /// Whether a value is normalised, changes of shape apart.
    fn is_normalized(&self, value: usize) -> bool {
        match self.op(value) {
            Some(FloatOp::Normalize { .. }) => true,
            Some(FloatOp::View { input, .. } | FloatOp::Reshape { input }) => {
                self.is_normalized(*input)
            }
            _ => false,
        }
    }

    /// The numbers along the last axis of a constant that is alike along all others.
    fn row(&self, value: usize) -> Option<Rc<[f32]>> {
        let shape = self.shape_of(value);
        let last = shape.len().checked_sub(1)?;
        let alike = |values: &Rc<[f32]>, length: usize| {
            let mut rows = values.chunks(length);
            let first = rows.next()?;
            let same = |row: &[f32]| row.iter().zip(first).all(|(a, b)| a == b);
            rows.all(same).then(|| Rc::from(first))
        };
        match self.op(value)? {
            FloatOp::Constant { values } => alike(values, shape[last]),
            FloatOp::View { input, axes } => {
                let FloatOp::Constant { values } = self.op(*input)? else {
                    return None;
                };
                let reads = |map: &AxisMap| *map == straight(last);
                let (along, others) = axes.split_last()?;
                let length = *self.shape_of(*input).last()?;
                let fits = length == shape[last] && reads(along) && !others.iter().any(reads);
                fits.then(|| alike(values, length))?
            }
            _ => None,
        }
    }
}
