//! Walks the graph over whole tensors, one or many inputs at a time.
//!
//! A batch stacks its inputs along the rows: every operator works row by row or element by
//! element, so a batch of `n` is the same graph with `n` times the rows.

use hallmark_graph::{CheckError, Graph, Model, Op, Table, TensorError, Trace, bounds};

use crate::linear::Packed;

/// Why the engine refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("model: {0}")]
    Model(#[from] CheckError),
    #[error("input {index}: {source}")]
    Input { index: usize, source: TensorError },
    /// Cannot happen in a checked model.
    #[error("node {node} has no operand or weight")]
    Malformed { node: usize },
}

/// A checked model with its weights packed for the machine.
#[derive(Debug)]
pub struct Prepared {
    model: Model,
    packed: Vec<Packed>,
    /// Index of the last node that reads each value; the output is kept.
    last_use: Vec<usize>,
}

impl Prepared {
    /// Checks the model and packs its weights.
    ///
    /// # Errors
    ///
    /// Whatever [`Model::check`] refuses.
    pub fn new(model: Model) -> Result<Self, EngineError> {
        model.check()?;
        let mut packed = Vec::with_capacity(model.weights.linear.len());
        let mut last_use = vec![usize::MAX; model.graph.value_count()];
        for (node, step) in model.graph.nodes.iter().enumerate() {
            for operand in step.op.operands() {
                if let Some(last) = last_use.get_mut(operand as usize) {
                    *last = node;
                }
            }
            let Op::Linear { input, inner, .. } = step.op else {
                continue;
            };
            let (Some(range), Some(weights)) = (
                model.graph.range(input),
                model.weights.linear.get(packed.len()),
            ) else {
                return Err(EngineError::Malformed { node });
            };
            packed.push(Packed::new(range, weights, inner as usize));
        }
        Ok(Self {
            model,
            packed,
            last_use,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model's graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.model.graph
    }

    /// All values of a stacked batch; those that no later node reads are dropped unless `keep`.
    fn execute(&self, input: Vec<i32>, keep: bool) -> Result<Vec<Vec<i32>>, EngineError> {
        let mut values = Vec::with_capacity(self.model.graph.value_count());
        values.push(input);
        for (node, step) in self.model.graph.nodes.iter().enumerate() {
            let result = self
                .apply(&step.op, &values)
                .ok_or(EngineError::Malformed { node })?;
            values.push(result);
            if keep {
                continue;
            }
            for operand in step.op.operands() {
                if self.last_use.get(operand as usize) == Some(&node)
                    && let Some(value) = values.get_mut(operand as usize)
                {
                    *value = Vec::new();
                }
            }
        }
        Ok(values)
    }

    fn apply(&self, op: &Op, values: &[Vec<i32>]) -> Option<Vec<i32>> {
        let value = |id: &u32| values.get(*id as usize).map(Vec::as_slice);
        Some(match op {
            Op::Linear { input, weight, .. } => {
                self.packed.get(*weight as usize)?.apply(value(input)?)
            }
            Op::Add {
                a,
                b,
                multiplier_a,
                multiplier_b,
            } => value(a)?
                .iter()
                .zip(value(b)?)
                .map(|(a, b)| {
                    let a = a.wrapping_mul(*multiplier_a);
                    a.wrapping_add(b.wrapping_mul(*multiplier_b))
                })
                .collect(),
            Op::Requant {
                input,
                shift,
                table,
            } => requant(value(input)?, *shift, *table),
            Op::Reshape { input, .. } => value(input)?.to_vec(),
        })
    }
}

/// The result of the model on one input.
///
/// # Errors
///
/// When the input has a wrong length or is out of range.
pub fn run(prepared: &Prepared, input: &[i32]) -> Result<Vec<i32>, EngineError> {
    check_input(prepared, 0, input)?;
    let mut values = prepared.execute(input.to_vec(), false)?;
    Ok(values.pop().unwrap_or_default())
}

/// The results of the model on many inputs, in their order.
///
/// # Errors
///
/// When one of the inputs has a wrong length or is out of range; its index is named.
pub fn run_batch(prepared: &Prepared, inputs: &[Vec<i32>]) -> Result<Vec<Vec<i32>>, EngineError> {
    for (index, input) in inputs.iter().enumerate() {
        check_input(prepared, index, input)?;
    }
    let mut values = prepared.execute(inputs.concat(), false)?;
    let output = values.pop().unwrap_or_default();
    Ok(output
        .chunks(prepared.graph().output_len().max(1))
        .map(<[i32]>::to_vec)
        .collect())
}

/// Every value of the model on one input: the witness of a proof.
///
/// # Errors
///
/// When the input has a wrong length or is out of range.
pub fn trace(prepared: &Prepared, input: &[i32]) -> Result<Trace, EngineError> {
    check_input(prepared, 0, input)?;
    Ok(Trace {
        values: prepared.execute(input.to_vec(), true)?,
    })
}

fn check_input(prepared: &Prepared, index: usize, input: &[i32]) -> Result<(), EngineError> {
    prepared
        .graph()
        .check_input(input)
        .map_err(|source| EngineError::Input { index, source })
}

/// `T[(v + 2^(s-1)) >> s]`; `|v| + 2^(s-1)` is below `2^29` in a checked model.
fn requant(input: &[i32], shift: u8, table: Table) -> Vec<i32> {
    let rounding = i32::try_from(bounds::rounding(shift)).unwrap_or(0);
    let shift = u32::from(shift);
    match table {
        Table::Clamp { lo, hi, .. } => input
            .iter()
            .map(|v| v.wrapping_add(rounding).wrapping_shr(shift).min(hi).max(lo))
            .collect(),
    }
}
