//! The interpreter that defines the semantics: as plain as possible, `i64` inside, every step
//! checked. Other implementations are compared with this one.

use crate::{
    CheckError, Graph, LinearWeights, Model, Op, Table, TensorError, Trace, ValueId, bounds,
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

/// The result of the model on one input.
///
/// # Errors
///
/// When the model does not check, or the input has a wrong length or is out of range.
pub fn run(model: &Model, input: &[i32]) -> Result<Vec<i32>, RunError> {
    let mut trace = trace(model, input)?;
    Ok(trace.values.pop().unwrap_or_default())
}

/// Every value of the model on one input.
///
/// # Errors
///
/// When the model does not check, or the input has a wrong length or is out of range.
pub fn trace(model: &Model, input: &[i32]) -> Result<Trace, RunError> {
    model.check()?;
    model.graph.check_input(input)?;
    let mut values = vec![input.to_vec()];
    for (index, node) in model.graph.nodes.iter().enumerate() {
        let result = apply(&model.graph, model, &node.op, &values)
            .ok_or(RunError::Overflow { node: index })?;
        values.push(result);
    }
    Ok(Trace { values })
}

fn apply(graph: &Graph, model: &Model, op: &Op, values: &[Vec<i32>]) -> Option<Vec<i32>> {
    let value = |id: ValueId| values.get(id as usize).map(Vec::as_slice);
    match op {
        Op::Linear {
            input,
            weight,
            inner,
            ..
        } => linear(
            value(*input)?,
            model.weights.linear.get(*weight as usize)?,
            *inner as usize,
        ),
        Op::Add {
            a,
            b,
            multiplier_a,
            multiplier_b,
        } => value(*a)?
            .iter()
            .zip(value(*b)?)
            .map(|(&a, &b)| {
                let a = i64::from(a).checked_mul(i64::from(*multiplier_a))?;
                let b = i64::from(b).checked_mul(i64::from(*multiplier_b))?;
                i32::try_from(a.checked_add(b)?).ok()
            })
            .collect(),
        Op::Requant {
            input,
            shift,
            table,
        } => value(*input)?
            .iter()
            .map(|&v| requant(v, *shift, table))
            .collect(),
        Op::Reshape { input, shape } => {
            debug_assert_eq!(
                graph.shape(*input).map(|s| s.elements()),
                Some(shape.elements())
            );
            value(*input).map(<[i32]>::to_vec)
        }
    }
}

fn linear(x: &[i32], weights: &LinearWeights, inner: usize) -> Option<Vec<i32>> {
    let cols = weights.b.len();
    let mut result = Vec::with_capacity(x.len().checked_div(inner)?.checked_mul(cols)?);
    for row in x.chunks_exact(inner) {
        for ((column, &b), &m) in weights.b.iter().enumerate().zip(&weights.m) {
            let mut acc = i64::from(b);
            for (&x, w) in row.iter().zip(weights.w.chunks_exact(cols)) {
                acc = acc.checked_add(i64::from(x).checked_mul(i64::from(*w.get(column)?))?)?;
            }
            result.push(i32::try_from(acc.checked_mul(i64::from(m))?).ok()?);
        }
    }
    Some(result)
}

fn requant(v: i32, shift: u8, table: &Table) -> Option<i32> {
    let rounded = i64::from(v).checked_add(bounds::rounding(shift))?;
    let index = i32::try_from(rounded.checked_shr(u32::from(shift))?).ok()?;
    Some(table.apply(index))
}
