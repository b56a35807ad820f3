//! The reference: a float graph over `f32` tensors, every sum taken in `f64`.
//!
//! The same kernels fold constants at import, over `f64` where integers must stay exact.

use hallmark_graph::AxisMap;
use rayon::prelude::*;

use super::{Binary, FloatGraph, FloatOp};

/// Rows of a product that share one pass over the right operand.
const ROWS: usize = 4;
/// Columns of a product that stay in the first cache.
const COLUMNS: usize = 256;
/// Elements of one parallel task.
const TASK: usize = 1 << 12;

/// An element as it is stored.
pub(crate) trait Real: Copy + Send + Sync {
    fn wide(self) -> f64;
    fn of(value: f64) -> Self;
}

impl Real for f32 {
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn of(value: f64) -> Self {
        value as Self
    }
}

impl Real for f64 {
    fn wide(self) -> f64 {
        self
    }
    fn of(value: f64) -> Self {
        value
    }
}

/// A row-major tensor.
#[derive(Clone, Copy)]
pub(crate) struct Array<'a, T> {
    pub(crate) shape: &'a [usize],
    pub(crate) data: &'a [T],
}

impl FloatGraph {
    /// Every value of one flat sample, the inputs one after the other. A value that is a constant
    /// is there too.
    ///
    /// # Panics
    ///
    /// When the sample has fewer than [`Self::input_len`] elements.
    #[must_use]
    pub fn values(&self, input: &[f32]) -> Vec<Vec<f32>> {
        let mut values = Vec::with_capacity(self.inputs.len() + self.nodes.len());
        let mut rest = input;
        for input in &self.inputs {
            let (own, after) = rest.split_at(input.shape.iter().product());
            values.push(own.to_vec());
            rest = after;
        }
        for node in &self.nodes {
            let value = {
                let operands: Vec<Array<'_, f32>> = node
                    .op
                    .operands()
                    .into_iter()
                    .map(|operand| Array {
                        shape: self.shape(operand),
                        data: &values[operand],
                    })
                    .collect();
                compute(&node.op, &operands, &node.shape)
            };
            values.push(value);
        }
        values
    }
}

/// The result of one operator; `operands` are in the order of [`FloatOp::operands`].
pub(crate) fn compute<T: Real>(op: &FloatOp, operands: &[Array<'_, T>], shape: &[usize]) -> Vec<T> {
    match (op, operands) {
        (FloatOp::Constant { values }, _) => values.iter().map(|&v| T::of(f64::from(v))).collect(),
        (FloatOp::MatMul { batch, inner, .. }, [a, b]) => {
            matmul(*a, *b, usize::from(*batch), usize::from(*inner))
        }
        (FloatOp::Mul { .. }, [a, b]) => zip(*a, *b, |a, b| a * b),
        (FloatOp::Div { .. }, [a, b]) => zip(*a, *b, |a, b| a / b),
        (FloatOp::Binary { op, .. }, [a, b]) => {
            let op = *op;
            zip(*a, *b, move |a, b| binary(op, a, b))
        }
        (FloatOp::Combine { terms, offset }, operands) => {
            let mut result = vec![T::of(0.0); shape.iter().product()];
            result
                .par_chunks_mut(TASK)
                .enumerate()
                .for_each(|(task, chunk)| {
                    for (i, out) in chunk.iter_mut().enumerate() {
                        let at = task * TASK + i;
                        let sum = terms
                            .iter()
                            .zip(operands)
                            .fold(*offset, |sum, ((_, c), x)| sum + c * x.data[at].wide());
                        *out = T::of(sum);
                    }
                });
            result
        }
        (FloatOp::Sum { axes, .. }, [x]) => sum(*x, axes),
        (FloatOp::View { axes, .. }, [x]) => view(*x, axes, shape),
        (FloatOp::Reshape { .. }, [x]) => x.data.to_vec(),
        (FloatOp::Unary { function, .. }, [x]) => x
            .data
            .par_iter()
            .with_min_len(TASK)
            .map(|x| T::of(function.eval(x.wide())))
            .collect(),
        (FloatOp::ReduceMax { axis, .. }, [x]) => reduce_max(*x, usize::from(*axis)),
        (FloatOp::Softmax { .. }, [x]) => rows(*x, softmax),
        (
            FloatOp::Normalize {
                epsilon, center, ..
            },
            [x],
        ) => {
            let (epsilon, center) = (*epsilon, *center);
            rows(*x, move |row, out| normalize(row, out, epsilon, center))
        }
        (FloatOp::OneHotMax { .. }, [x]) => rows(*x, one_hot_max),
        (FloatOp::Rank { .. }, [x]) => rows(*x, rank),
        (FloatOp::OneHot { depth, .. }, [x]) => {
            let depth = *depth as usize;
            let mut result = vec![T::of(0.0); x.data.len() * depth];
            for (row, index) in result.chunks_exact_mut(depth.max(1)).zip(x.data) {
                let index = index.wide();
                if index >= 0.0 && index < depth as f64 && index.fract() == 0.0 {
                    row[index as usize] = T::of(1.0);
                }
            }
            result
        }
        _ => unreachable!("the operands are those that the operator names"),
    }
}

fn zip<T: Real>(a: Array<'_, T>, b: Array<'_, T>, f: impl Fn(f64, f64) -> f64 + Sync) -> Vec<T> {
    a.data
        .par_iter()
        .with_min_len(TASK)
        .zip(b.data.par_iter().with_min_len(TASK))
        .map(|(a, b)| T::of(f(a.wide(), b.wide())))
        .collect()
}

fn binary(op: Binary, a: f64, b: f64) -> f64 {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    match op {
        Binary::Max => {
            if a < b {
                b
            } else {
                a
            }
        }
        Binary::Min => {
            if b < a {
                b
            } else {
                a
            }
        }
        Binary::Less => truth(a < b),
        Binary::LessOrEqual => truth(a <= b),
        Binary::Equal => truth(a == b),
    }
}

fn matmul<T: Real>(a: Array<'_, T>, b: Array<'_, T>, batch: usize, inner: usize) -> Vec<T> {
    let split = a.shape.len() - inner;
    let m: usize = a.shape[batch..split].iter().product();
    let k: usize = a.shape[split..].iter().product();
    let n: usize = b.shape[batch + inner..].iter().product();
    let batches: usize = a.shape[..batch].iter().product();
    let mut result = vec![T::of(0.0); batches * m * n];
    if result.is_empty() || k == 0 {
        return result;
    }
    result
        .par_chunks_mut(m * n)
        .zip(a.data.par_chunks(m * k))
        .zip(b.data.par_chunks(k * n))
        .for_each(|((out, a), b)| product(out, a, b, (m, k, n)));
    result
}

/// `out[m,n] = a[m,k]·b[k,n]`.
fn product<T: Real>(out: &mut [T], a: &[T], b: &[T], (m, k, n): (usize, usize, usize)) {
    if n < 8 {
        let mut columns = vec![0f64; n * k];
        for (at, row) in b.chunks_exact(n).enumerate() {
            for (column, value) in row.iter().enumerate() {
                columns[column * k + at] = value.wide();
            }
        }
        let least = (TASK * 4 / (k * n)).max(1);
        out.par_chunks_mut(n)
            .zip(a.par_chunks(k))
            .with_min_len(least)
            .for_each(|(out, row)| {
                for (out, column) in out.iter_mut().zip(columns.chunks_exact(k)) {
                    *out = T::of(dot(row, column));
                }
            });
        return;
    }
    let work = |out: &mut [T], a: &[T], from: usize| {
        let count = out.len() / n;
        let width = COLUMNS.min(n - from);
        let mut sums = [[0f64; COLUMNS]; ROWS];
        for at in 0..k {
            let b = &b[at * n + from..][..width];
            for (row, sums) in sums.iter_mut().enumerate().take(count) {
                let a = a[row * k + at].wide();
                if a != 0.0 {
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum += a * b.wide();
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate().take(count) {
            for (out, sum) in out[row * n + from..][..width].iter_mut().zip(sums) {
                *out = T::of(*sum);
            }
        }
    };
    if m == 1 {
        // One row: the columns are the tasks.
        out.par_chunks_mut(COLUMNS)
            .enumerate()
            .for_each(|(block, out)| {
                let from = block * COLUMNS;
                let mut sums = [0f64; COLUMNS];
                for (at, a) in a.iter().enumerate() {
                    let a = a.wide();
                    if a != 0.0 {
                        let b = &b[at * n + from..][..out.len()];
                        for (sum, b) in sums.iter_mut().zip(b) {
                            *sum += a * b.wide();
                        }
                    }
                }
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = T::of(sum);
                }
            });
        return;
    }
    out.par_chunks_mut(ROWS * n)
        .zip(a.par_chunks(ROWS * k))
        .for_each(|(out, a)| {
            for from in (0..n).step_by(COLUMNS) {
                work(out, a, from);
            }
        });
}

/// Four partial sums, so that additions need not wait for each other.
fn dot<T: Real>(a: &[T], b: &[f64]) -> f64 {
    let mut sums = [0f64; 4];
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let tail: f64 = a4
        .remainder()
        .iter()
        .zip(b4.remainder())
        .map(|(a, b)| a.wide() * b)
        .sum();
    for (a, b) in a4.zip(b4) {
        for lane in 0..4 {
            sums[lane] += a[lane].wide() * b[lane];
        }
    }
    sums.iter().sum::<f64>() + tail
}

/// Row-major steps of a shape.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

fn sum<T: Real>(x: Array<'_, T>, axes: &[u8]) -> Vec<T> {
    let rank = x.shape.len();
    let gone: Vec<bool> = (0..rank).map(|axis| axes.contains(&(axis as u8))).collect();
    let kept: Vec<usize> = (0..rank)
        .filter(|&axis| !gone[axis])
        .map(|axis| x.shape[axis])
        .collect();
    let mut sums = vec![0f64; kept.iter().product()];
    let mut step = strides(&kept).into_iter();
    let steps: Vec<usize> = gone
        .iter()
        .map(|&gone| {
            if gone {
                0
            } else {
                step.next().unwrap_or_default()
            }
        })
        .collect();
    let last = x.shape.last().copied().unwrap_or(1);
    let last_gone = gone.last().copied().unwrap_or(true);
    let mut at = vec![0usize; rank.saturating_sub(1)];
    let mut base = 0usize;
    if !sums.is_empty() && last > 0 {
        for row in x.data.chunks_exact(last) {
            if last_gone {
                sums[base] += row.iter().map(|x| x.wide()).sum::<f64>();
            } else {
                for (sum, x) in sums[base..base + last].iter_mut().zip(row) {
                    *sum += x.wide();
                }
            }
            for axis in (0..at.len()).rev() {
                at[axis] += 1;
                base += steps[axis];
                if at[axis] < x.shape[axis] {
                    break;
                }
                base -= steps[axis] * x.shape[axis];
                at[axis] = 0;
            }
        }
    }
    sums.into_iter().map(T::of).collect()
}

fn reduce_max<T: Real>(x: Array<'_, T>, axis: usize) -> Vec<T> {
    let length = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    let mut result = Vec::with_capacity(outer * inner);
    for block in x.data.chunks_exact((length * inner).max(1)) {
        for i in 0..inner {
            let most = (0..length)
                .map(|j| block[j * inner + i].wide())
                .fold(f64::NEG_INFINITY, |a, b| if a > b { a } else { b });
            result.push(T::of(most));
        }
    }
    result
}

fn rows<T: Real>(x: Array<'_, T>, f: impl Fn(&[T], &mut [T]) + Sync) -> Vec<T> {
    let last = x.shape.last().copied().unwrap_or(1).max(1);
    let mut result = vec![T::of(0.0); x.data.len()];
    result
        .par_chunks_mut(last)
        .zip(x.data.par_chunks(last))
        .with_min_len((TASK / last).max(1))
        .for_each(|(out, row)| f(row, out));
    result
}

fn softmax<T: Real>(row: &[T], out: &mut [T]) {
    let most = row
        .iter()
        .map(|x| x.wide())
        .fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = row.iter().map(|x| (x.wide() - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    for (out, power) in out.iter_mut().zip(powers) {
        *out = T::of(power / sum);
    }
}

fn normalize<T: Real>(row: &[T], out: &mut [T], epsilon: f64, center: bool) {
    let count = row.len() as f64;
    let mean = if center {
        row.iter().map(|x| x.wide()).sum::<f64>() / count
    } else {
        0.0
    };
    let square = |x: &T| (x.wide() - mean).powi(2);
    let scale = 1.0 / (row.iter().map(square).sum::<f64>() / count + epsilon).sqrt();
    for (out, x) in out.iter_mut().zip(row) {
        *out = T::of((x.wide() - mean) * scale);
    }
}

fn one_hot_max<T: Real>(row: &[T], out: &mut [T]) {
    let mut best = 0;
    for (index, x) in row.iter().enumerate() {
        if x.wide() > row[best].wide() {
            best = index;
        }
    }
    if let Some(out) = out.get_mut(best) {
        *out = T::of(1.0);
    }
}

fn rank<T: Real>(row: &[T], out: &mut [T]) {
    let mut order: Vec<usize> = (0..row.len()).collect();
    // Adding 0 makes one zero of both.
    let key = |index: usize| row[index].wide() + 0.0;
    order.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
    for (place, index) in order.into_iter().enumerate() {
        out[index] = T::of(place as f64);
    }
}

/// Steps of one axis of the result through the operand.
struct Step<'a> {
    /// Axis of the operand that follows it.
    operand: usize,
    stride: i64,
    list: Option<&'a [i32]>,
}

impl Step<'_> {
    /// The operand's index; far outside for an entry of a list that reads 0.
    fn index(&self, base: i64, at: usize) -> i64 {
        match self.list {
            Some(list) if list[at] < 0 => i64::MIN / 2,
            Some(list) => i64::from(list[at]),
            None => base + self.stride * at as i64,
        }
    }
}

fn view<T: Real>(x: Array<'_, T>, axes: &[AxisMap], shape: &[usize]) -> Vec<T> {
    let mut result = vec![T::of(0.0); shape.iter().product()];
    if result.is_empty() || x.data.is_empty() {
        return result;
    }
    let (offsets, steps) = steps(axes, shape.len());
    let strides = strides(x.shape);
    let Some((&last, prefix)) = shape.split_last() else {
        // A scalar: the offsets are the place.
        let inside = offsets
            .iter()
            .zip(x.shape)
            .all(|(&at, &dim)| (0..dim as i64).contains(&at));
        if inside {
            let at: usize = offsets
                .iter()
                .zip(&strides)
                .map(|(&o, s)| o as usize * s)
                .sum();
            result[0] = x.data[at];
        }
        return result;
    };
    let rows_per_task = (TASK / last).max(1);
    result
        .par_chunks_mut(last * rows_per_task)
        .enumerate()
        .for_each(|(task, chunk)| {
            for (row, out) in chunk.chunks_exact_mut(last).enumerate() {
                let mut rest = task * rows_per_task + row;
                let mut index = offsets.clone();
                for (axis, dim) in prefix.iter().enumerate().rev() {
                    let at = rest % dim;
                    rest /= dim;
                    if let Some(step) = &steps[axis] {
                        index[step.operand] = step.index(index[step.operand], at);
                    }
                }
                let own = steps[prefix.len()].as_ref();
                let mut base = 0usize;
                let mut inside = true;
                for (axis, &at) in index.iter().enumerate() {
                    if own.is_some_and(|step| step.operand == axis) {
                        continue;
                    }
                    inside &= (0..x.shape[axis] as i64).contains(&at);
                    base = base.wrapping_add((at as usize).wrapping_mul(strides[axis]));
                }
                if !inside {
                    continue;
                }
                match own {
                    None => out.fill(x.data[base]),
                    Some(step) => {
                        let dim = x.shape[step.operand] as i64;
                        let stride = strides[step.operand];
                        let start = index[step.operand];
                        for (at, out) in out.iter_mut().enumerate() {
                            let at = step.index(start, at);
                            if (0..dim).contains(&at) {
                                *out = x.data[base + at as usize * stride];
                            }
                        }
                    }
                }
            }
        });
    result
}

/// Offsets by axis of the operand, and steps by axis of the result.
fn steps(axes: &[AxisMap], rank: usize) -> (Vec<i64>, Vec<Option<Step<'_>>>) {
    let mut offsets = vec![0i64; axes.len()];
    let mut steps: Vec<Option<Step<'_>>> = (0..rank).map(|_| None).collect();
    for (operand, map) in axes.iter().enumerate() {
        match map {
            AxisMap::Affine { offset, terms } => {
                offsets[operand] = i64::from(*offset);
                for &(axis, stride) in terms {
                    steps[usize::from(axis)] = Some(Step {
                        operand,
                        stride: i64::from(stride),
                        list: None,
                    });
                }
            }
            AxisMap::List { axis, indices } => {
                steps[usize::from(*axis)] = Some(Step {
                    operand,
                    stride: 0,
                    list: Some(indices),
                });
            }
        }
    }
    (offsets, steps)
}
