//! The interpreter that defines the semantics: as plain as possible, `i64` inside, every step
//! checked. Other implementations are compared with this one.

use crate::{
    AxisMap, CheckError, Model, Op, Shape, Table, TableData, TensorError, Trace, ValueId, bounds,
};

/// Why a run is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("model: {0}")]
    Model(#[from] CheckError),
    #[error("input: {0}")]
    Input(#[from] TensorError),
    /// Cannot happen in a checked model.
    #[error("node {node}: arithmetic overflow")]
    Overflow { node: usize },
}

/// The flat output of the model on one flat input.
///
/// # Errors
///
/// When the model does not check, or the input has a wrong length or is out of range.
pub fn run(model: &Model, input: &[i32]) -> Result<Vec<i32>, RunError> {
    let trace = trace(model, input)?;
    Ok(model.graph.join_output(&trace.values))
}

/// Every value of the model on one flat input, those of constants included.
///
/// # Errors
///
/// When the model does not check, or the input has a wrong length or is out of range.
pub fn trace(model: &Model, input: &[i32]) -> Result<Trace, RunError> {
    model.check()?;
    model.graph.check_input(input)?;
    let mut values = model.graph.split_input(input);
    for (index, node) in model.graph.nodes.iter().enumerate() {
        let result = apply(model, &node.op, &values).ok_or(RunError::Overflow { node: index })?;
        values.push(result);
    }
    Ok(Trace { values })
}

fn apply(model: &Model, op: &Op, values: &[Vec<i32>]) -> Option<Vec<i32>> {
    let value = |id: ValueId| values.get(id as usize).map(Vec::as_slice);
    let shape = |id: ValueId| model.graph.shape(id);
    match op {
        Op::Constant { constant } => Some(model.constant_values(*constant)),
        Op::MatMul { a, b, batch, inner } => {
            let dims = Product::of(shape(*a)?, *batch, *inner)?;
            matmul(value(*a)?, value(*b)?, dims)
        }
        Op::Mul { a, b } => {
            let pairs = value(*a)?.iter().zip(value(*b)?);
            pairs.map(|(&a, &b)| a.checked_mul(b)).collect()
        }
        Op::Combine { terms, offset } => {
            let mut sums: Vec<i64> = Vec::new();
            for &(id, multiplier) in terms {
                let term = value(id)?;
                sums.resize(term.len(), i64::from(*offset));
                for (sum, &v) in sums.iter_mut().zip(term) {
                    let product = i64::from(v).checked_mul(i64::from(multiplier))?;
                    *sum = sum.checked_add(product)?;
                }
            }
            narrow(&sums)
        }
        Op::Sum { input, axes } => sum(value(*input)?, shape(*input)?, axes),
        Op::View {
            input,
            axes,
            shape: result,
        } => view(value(*input)?, shape(*input)?, axes, result),
        Op::Reshape { input, .. } => value(*input).map(<[i32]>::to_vec),
        Op::Lookup {
            input,
            shift,
            table,
        } => {
            let tables = &model.weights.tables;
            let results = value(*input)?
                .iter()
                .map(|&v| lookup(v, *shift, table, tables));
            results.collect()
        }
        Op::Shift { input, shift, .. } => {
            let results = value(*input)?.iter().map(|&v| bounds::quotient(v, *shift));
            results.collect()
        }
    }
}

/// Lengths of `a[batch, rows, inner]`.
struct Product {
    batch: usize,
    inner: usize,
}

impl Product {
    fn of(a: &Shape, batch: u8, inner: u8) -> Option<Self> {
        let length = |dims: &[u32]| Shape(dims.to_vec()).elements();
        let rows_end = a.rank().checked_sub(usize::from(inner))?;
        Some(Self {
            batch: length(a.0.get(..usize::from(batch))?),
            inner: length(a.0.get(rows_end..)?),
        })
    }
}

fn matmul(a: &[i32], b: &[i32], dims: Product) -> Option<Vec<i32>> {
    let a_block = a.len().checked_div(dims.batch)?;
    let b_block = b.len().checked_div(dims.batch)?;
    let cols = b_block.checked_div(dims.inner)?;
    let mut result = Vec::new();
    for (a, b) in a.chunks(a_block).zip(b.chunks(b_block)) {
        for row in a.chunks(dims.inner) {
            for column in 0..cols {
                let mut sum = 0i64;
                for (&x, y) in row.iter().zip(b.chunks(cols)) {
                    let product = i64::from(x).checked_mul(i64::from(*y.get(column)?))?;
                    sum = sum.checked_add(product)?;
                }
                result.push(i32::try_from(sum).ok()?);
            }
        }
    }
    Some(result)
}

fn sum(x: &[i32], shape: &Shape, axes: &[u8]) -> Option<Vec<i32>> {
    let kept = |axis: usize| !axes.iter().any(|&a| usize::from(a) == axis);
    let dims: Vec<u32> = shape
        .0
        .iter()
        .enumerate()
        .map(|(axis, &dim)| if kept(axis) { dim } else { 1 })
        .collect();
    let result = Shape(dims);
    let mut sums = vec![0i64; result.elements()];
    for (index, &v) in positions(shape).zip(x) {
        let to: Vec<i64> = index
            .iter()
            .enumerate()
            .map(|(axis, &i)| if kept(axis) { i } else { 0 })
            .collect();
        let sum = sums.get_mut(flat(&to, &result)?)?;
        *sum = sum.checked_add(i64::from(v))?;
    }
    narrow(&sums)
}

fn view(x: &[i32], from: &Shape, axes: &[AxisMap], result: &Shape) -> Option<Vec<i32>> {
    positions(result)
        .map(|position| {
            let indices: Option<Vec<i64>> = axes.iter().map(|map| index(map, &position)).collect();
            Some(match flat(&indices?, from) {
                Some(at) => *x.get(at)?,
                None => 0,
            })
        })
        .collect()
}

/// Where a map reads at one position of the result.
fn index(map: &AxisMap, position: &[i64]) -> Option<i64> {
    match map {
        AxisMap::Affine { offset, terms } => {
            let mut index = i64::from(*offset);
            for &(axis, stride) in terms {
                let o = *position.get(usize::from(axis))?;
                index = index.checked_add(o.checked_mul(i64::from(stride))?)?;
            }
            Some(index)
        }
        AxisMap::List { axis, indices } => {
            let o = usize::try_from(*position.get(usize::from(*axis))?).ok()?;
            indices.get(o).map(|&index| i64::from(index))
        }
    }
}

/// All positions of a tensor in row-major order.
fn positions(shape: &Shape) -> impl Iterator<Item = Vec<i64>> + '_ {
    (0..shape.elements()).map(|flat| {
        let mut rest = flat;
        let mut position: Vec<i64> = shape
            .0
            .iter()
            .rev()
            .map(|&dim| {
                let dim = dim as usize;
                let digit = rest.checked_rem(dim).unwrap_or(0);
                rest = rest.checked_div(dim).unwrap_or(0);
                i64::try_from(digit).unwrap_or(0)
            })
            .collect();
        position.reverse();
        position
    })
}

/// Row-major index of a position; `None` outside the shape.
fn flat(position: &[i64], shape: &Shape) -> Option<usize> {
    let mut flat = 0usize;
    for (&index, &dim) in position.iter().zip(&shape.0) {
        let index = usize::try_from(index).ok()?;
        if index >= dim as usize {
            return None;
        }
        flat = flat.checked_mul(dim as usize)?.checked_add(index)?;
    }
    Some(flat)
}

fn lookup(v: i32, shift: u8, table: &Table, tables: &[TableData]) -> Option<i32> {
    Some(table.apply(bounds::quotient(v, shift)?, tables))
}

fn narrow(sums: &[i64]) -> Option<Vec<i32>> {
    sums.iter().map(|&sum| i32::try_from(sum).ok()).collect()
}
