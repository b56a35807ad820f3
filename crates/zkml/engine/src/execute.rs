//! Walks the graph over whole tensors.

use hallmark_graph::{CheckError, Graph, Model, Node, Op, TensorError, Trace, ValueId};
use rayon::prelude::*;

use std::sync::Mutex;

use crate::buffers::Buffers;
use crate::product::{Dims, Packed, multiply};
use crate::{elementwise, view};

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

/// What is known of a node before any input.
#[derive(Debug)]
enum Step {
    /// A constant that only packed products read.
    Unread,
    /// A constant's values.
    Constant(Vec<i32>),
    /// A product by a packed constant on the right.
    Packed(Packed),
    Product(Dims),
    View(view::Plan),
    /// Nothing.
    Plain,
}

/// A checked model with its weights packed for the machine.
#[derive(Debug)]
pub struct Prepared {
    model: Model,
    steps: Vec<Step>,
    /// Index of the last node that reads each value; `usize::MAX` for outputs.
    last_use: Vec<usize>,
    /// Buffers that no run uses at the moment.
    idle: Mutex<Vec<Buffers>>,
}

/// A value during a run.
enum Value<'a> {
    Own(Vec<i32>),
    Constant(&'a [i32]),
}

impl Value<'_> {
    fn as_slice(&self) -> &[i32] {
        match self {
            Self::Own(values) => values,
            Self::Constant(values) => values,
        }
    }

    /// The values of a trace, which leaves constants empty.
    fn into_traced(self) -> Vec<i32> {
        match self {
            Self::Own(values) => values,
            Self::Constant(_) => Vec::new(),
        }
    }
}

impl Prepared {
    /// Checks the model and packs its weights.
    ///
    /// # Errors
    ///
    /// Whatever [`Model::check`] refuses.
    pub fn new(model: Model) -> Result<Self, EngineError> {
        model.check()?;
        let graph = &model.graph;
        let read = read_as_they_are(graph);
        let steps: Result<Vec<Step>, EngineError> = (0..graph.nodes.len())
            .into_par_iter()
            .map(|node| step(&model, node, &read).ok_or(EngineError::Malformed { node }))
            .collect();
        let steps = steps?;
        let mut last_use = vec![0; graph.value_count()];
        for (node, step) in graph.nodes.iter().enumerate() {
            for operand in step.op.operands() {
                if let Some(last) = last_use.get_mut(operand as usize) {
                    *last = node;
                }
            }
        }
        for output in &graph.outputs {
            if let Some(last) = last_use.get_mut(output.value as usize) {
                *last = usize::MAX;
            }
        }
        Ok(Self {
            steps,
            last_use,
            model,
            idle: Mutex::default(),
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

    /// Buffers of an earlier run, if any lie idle. A lock that another thread's panic poisoned
    /// only costs the reuse.
    fn borrow_buffers(&self) -> Buffers {
        let idle = self.idle.lock().ok();
        idle.and_then(|mut idle| idle.pop()).unwrap_or_default()
    }

    fn return_buffers(&self, mut buffers: Buffers) {
        buffers.trim();
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(buffers);
        }
    }

    /// All values of one flat input; those that no later node reads are dropped unless `keep`.
    fn execute(
        &self,
        input: &[i32],
        keep: bool,
        buffers: &mut Buffers,
    ) -> Result<Vec<Value<'_>>, EngineError> {
        let graph = self.graph();
        let mut values: Vec<Value<'_>> = Vec::with_capacity(graph.value_count());
        let mut rest = input;
        for port in &graph.inputs {
            let (part, tail) = rest.split_at(port.shape.elements().min(rest.len()));
            values.push(Value::Own(buffers.copy(part)));
            rest = tail;
        }
        for (index, (node, step)) in graph.nodes.iter().zip(&self.steps).enumerate() {
            let moved = match node.op {
                Op::Reshape { input, .. } if !keep && self.dies(input, index) => {
                    take(&mut values, input)
                }
                _ => None,
            };
            let result = match moved {
                Some(values) => Value::Own(values),
                None => self
                    .apply(node, step, &values, buffers)
                    .ok_or(EngineError::Malformed { node: index })?,
            };
            values.push(result);
            if keep {
                continue;
            }
            for operand in node.op.operands() {
                if self.dies(operand, index)
                    && let Some(dead) = take(&mut values, operand)
                {
                    buffers.give(dead);
                }
            }
        }
        Ok(values)
    }

    /// Whether `node` is the last to read `value`.
    fn dies(&self, value: ValueId, node: usize) -> bool {
        self.last_use.get(value as usize) == Some(&node)
    }

    fn apply<'a>(
        &self,
        node: &Node,
        step: &'a Step,
        values: &[Value<'a>],
        buffers: &mut Buffers,
    ) -> Option<Value<'a>> {
        let value = |id: &ValueId| values.get(*id as usize).map(Value::as_slice);
        let graph = self.graph();
        Some(Value::Own(match (&node.op, step) {
            (Op::Constant { .. }, Step::Constant(values)) => return Some(Value::Constant(values)),
            (Op::Constant { .. }, _) => return Some(Value::Constant(&[])),
            (Op::MatMul { a, .. }, Step::Packed(packed)) => packed.apply(value(a)?, buffers),
            (Op::MatMul { a, b, .. }, Step::Product(dims)) => {
                let (range_a, range_b) = (graph.range(*a)?, graph.range(*b)?);
                multiply(*dims, value(a)?, range_a, value(b)?, range_b, buffers)
            }
            (Op::View { input, .. }, Step::View(plan)) => plan.apply(value(input)?, buffers),
            (Op::MatMul { .. } | Op::View { .. }, _) => return None,
            (Op::Mul { a, b }, _) => elementwise::mul(buffers, value(a)?, value(b)?),
            (Op::Combine { terms, offset }, _) => {
                let term = |(id, multiplier): &(ValueId, i32)| Some((value(id)?, *multiplier));
                let terms: Option<Vec<_>> = terms.iter().map(term).collect();
                elementwise::combine(buffers, &terms?, *offset)
            }
            (Op::Sum { input, axes }, _) => {
                elementwise::sum(buffers, value(input)?, graph.shape(*input)?, axes)
            }
            (Op::Reshape { input, .. }, _) => buffers.copy(value(input)?),
            (
                Op::Lookup {
                    input,
                    shift,
                    table,
                },
                _,
            ) => elementwise::lookup(
                buffers,
                value(input)?,
                *shift,
                table,
                &self.model.weights.tables,
            ),
            (Op::Shift { input, shift, .. }, _) => {
                elementwise::shift(buffers, value(input)?, *shift)
            }
        }))
    }
}

/// Whether each value is read by something other than a product that packs it, or is an output.
fn read_as_they_are(graph: &Graph) -> Vec<bool> {
    let mut read = vec![false; graph.value_count()];
    let mut mark = |value: ValueId| {
        if let Some(read) = read.get_mut(value as usize) {
            *read = true;
        }
    };
    for node in &graph.nodes {
        match node.op {
            Op::MatMul { a, b, .. } if constant_of(graph, b).is_some() => mark(a),
            _ => node.op.operands().into_iter().for_each(&mut mark),
        }
    }
    for output in &graph.outputs {
        mark(output.value);
    }
    read
}

fn constant_of(graph: &Graph, value: ValueId) -> Option<u32> {
    match graph.nodes.get(graph.node_of(value)?)?.op {
        Op::Constant { constant } => Some(constant),
        _ => None,
    }
}

fn step(model: &Model, node: usize, read: &[bool]) -> Option<Step> {
    let graph = &model.graph;
    Some(match &graph.nodes.get(node)?.op {
        Op::Constant { constant } => match read.get(graph.value_of(node) as usize) {
            Some(true) => Step::Constant(model.constant_values(*constant)),
            _ => Step::Unread,
        },
        Op::MatMul { a, b, batch, inner } => {
            let shape = graph.shape(*b)?;
            let dims = Dims::of(graph.shape(*a)?, shape, *batch, *inner);
            match constant_of(graph, *b) {
                None => Step::Product(dims),
                Some(constant) => Step::Packed(Packed::constant(
                    dims,
                    graph.range(*a)?,
                    model.weights.constants.get(constant as usize)?,
                    shape.last() as usize,
                )),
            }
        }
        Op::View { input, axes, shape } => {
            Step::View(view::Plan::new(graph.shape(*input)?, axes, shape))
        }
        _ => Step::Plain,
    })
}

/// Takes an owned value out; a constant stays.
fn take(values: &mut [Value<'_>], id: ValueId) -> Option<Vec<i32>> {
    match values.get_mut(id as usize) {
        Some(Value::Own(values)) => Some(std::mem::take(values)),
        _ => None,
    }
}

/// The flat output of the model on one flat input.
///
/// # Errors
///
/// When the input has a wrong length or is out of range.
pub fn run(prepared: &Prepared, input: &[i32]) -> Result<Vec<i32>, EngineError> {
    check_input(prepared, 0, input)?;
    output_of(prepared, input)
}

/// The flat outputs of the model on many flat inputs, in their order.
///
/// # Errors
///
/// When one of the inputs has a wrong length or is out of range; its index is named.
pub fn run_batch(prepared: &Prepared, inputs: &[Vec<i32>]) -> Result<Vec<Vec<i32>>, EngineError> {
    for (index, input) in inputs.iter().enumerate() {
        check_input(prepared, index, input)?;
    }
    inputs
        .par_iter()
        .map(|input| output_of(prepared, input))
        .collect()
}

/// Every value of the model on one flat input, the witness of a proof; values of constants are
/// left empty.
///
/// # Errors
///
/// When the input has a wrong length or is out of range.
pub fn trace(prepared: &Prepared, input: &[i32]) -> Result<Trace, EngineError> {
    check_input(prepared, 0, input)?;
    let values = prepared
        .execute(input, true, &mut Buffers::default())?
        .into_iter();
    Ok(Trace {
        values: values.map(Value::into_traced).collect(),
    })
}

fn output_of(prepared: &Prepared, input: &[i32]) -> Result<Vec<i32>, EngineError> {
    let mut buffers = prepared.borrow_buffers();
    let values = prepared.execute(input, false, &mut buffers)?;
    let mut output = Vec::with_capacity(prepared.graph().output_len());
    for port in &prepared.graph().outputs {
        if let Some(value) = values.get(port.value as usize) {
            output.extend_from_slice(value.as_slice());
        }
    }
    for value in values {
        buffers.give(value.into_traced());
    }
    prepared.return_buffers(buffers);
    Ok(output)
}

fn check_input(prepared: &Prepared, index: usize, input: &[i32]) -> Result<(), EngineError> {
    prepared
        .graph()
        .check_input(input)
        .map_err(|source| EngineError::Input { index, source })
}
