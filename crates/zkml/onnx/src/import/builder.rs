//! Builds the float graph: every operator over constants is computed at once, equal steps are one
//! step, views compose, and pointwise steps move before the views that they read, so that layouts
//! (NCHW, NHWC) meet and vanish.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use hallmark_graph::{AxisMap, MAX_NODES, MAX_RANK, MAX_TENSOR};

use super::node::Site;
use super::tensor::{Data, Kind, Tensor, elements};
use super::view::{self, is_inside, is_permutation};
use crate::float::evaluate::{Array, compute};
use crate::{FloatGraph, FloatInput, FloatNode, FloatOp, FloatOutput, ImportError};

/// Elements that folding may produce in all: bounds time and memory.
const MAX_FOLDED: usize = 1 << 29;
/// Multiplications that folding may take in all.
const MAX_FOLDED_WORK: usize = 1 << 33;
/// Elements of all values of a graph.
const MAX_VALUES: usize = 1 << 31;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) source: Source,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Constant(Tensor),
    /// A value of the float graph.
    Value(usize),
}

impl Operand {
    pub(super) fn constant(tensor: Tensor, kind: Kind) -> Self {
        Self {
            source: Source::Constant(tensor),
            kind,
        }
    }

    pub(super) fn tensor(&self) -> Option<&Tensor> {
        match &self.source {
            Source::Constant(tensor) => Some(tensor),
            Source::Value(_) => None,
        }
    }

    pub(super) fn value(&self) -> Option<usize> {
        match self.source {
            Source::Constant(_) => None,
            Source::Value(value) => Some(value),
        }
    }

    /// The one number that all elements of a constant are.
    pub(super) fn uniform(&self) -> Option<f64> {
        self.tensor().and_then(Tensor::uniform)
    }

    pub(super) fn with_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

pub(super) type Made = Result<Operand, ImportError>;

#[derive(Default)]
pub(super) struct Builder {
    pub(super) inputs: Vec<FloatInput>,
    pub(super) nodes: Vec<FloatNode>,
    /// The ONNX node that is being lowered.
    pub(super) site: Site,
    /// Nodes by the hash of what they compute.
    known: BTreeMap<u64, Vec<usize>>,
    folded: usize,
    folded_work: usize,
    values: usize,
}

impl Builder {
    pub(super) fn refuse(&self, reason: impl Into<String>) -> ImportError {
        self.site.refuse(reason)
    }

    /// Shape of an operand.
    pub(super) fn shape(&self, operand: &Operand) -> Vec<usize> {
        match &operand.source {
            Source::Constant(tensor) => tensor.dims.clone(),
            Source::Value(value) => self.shape_of(*value).to_vec(),
        }
    }

    pub(super) fn rank(&self, operand: &Operand) -> usize {
        match &operand.source {
            Source::Constant(tensor) => tensor.dims.len(),
            Source::Value(value) => self.shape_of(*value).len(),
        }
    }

    pub(super) fn shape_of(&self, value: usize) -> &[usize] {
        match value.checked_sub(self.inputs.len()) {
            Some(node) => &self.nodes[node].shape,
            None => &self.inputs[value].shape,
        }
    }

    /// What computes a value; `None` for an input.
    pub(super) fn op(&self, value: usize) -> Option<&FloatOp> {
        value
            .checked_sub(self.inputs.len())
            .map(|node| &self.nodes[node].op)
    }

    /// Whether a value depends on no input.
    fn is_fixed(&self, value: usize) -> bool {
        match self.op(value) {
            Some(FloatOp::Constant { .. }) => true,
            Some(FloatOp::View { input, .. }) => self.is_fixed(*input),
            _ => false,
        }
    }

    fn check_shape(&self, shape: &[usize]) -> Result<usize, ImportError> {
        if shape.len() > MAX_RANK {
            return Err(self.refuse(format!(
                "a result has {} dimensions, at most {MAX_RANK} are supported",
                shape.len()
            )));
        }
        match elements(shape) {
            Some(count) if count > 0 && count <= MAX_TENSOR => Ok(count),
            _ => Err(self.refuse(format!(
                "a result of shape {shape:?} is empty or above {MAX_TENSOR} elements"
            ))),
        }
    }

    /// Adds a step as it is, or finds the equal one.
    pub(super) fn emit(&mut self, op: FloatOp, shape: Vec<usize>) -> Result<usize, ImportError> {
        let count = self.check_shape(&shape)?;
        let key = fingerprint(&op, &shape);
        if let Some(found) = self
            .known
            .get(&key)
            .into_iter()
            .flatten()
            .find(|&&node| self.nodes[node].shape == shape && self.nodes[node].op == op)
        {
            return Ok(self.inputs.len() + found);
        }
        self.values = self.values.saturating_add(count);
        if self.values > MAX_VALUES {
            return Err(ImportError::TooMany {
                what: "elements of all tensors",
                limit: MAX_VALUES,
            });
        }
        // What nobody reads is dropped later, so that more may be here for a while.
        if self.nodes.len() >= 4 * MAX_NODES {
            return Err(ImportError::TooMany {
                what: "steps",
                limit: 4 * MAX_NODES,
            });
        }
        self.known.entry(key).or_default().push(self.nodes.len());
        self.nodes.push(FloatNode {
            name: self.site.name.clone(),
            source: self.site.op.clone(),
            op,
            shape,
        });
        Ok(self.inputs.len() + self.nodes.len() - 1)
    }

    /// A constant as a value of the graph.
    pub(super) fn embed(&mut self, operand: &Operand) -> Result<usize, ImportError> {
        match &operand.source {
            Source::Value(value) => Ok(*value),
            Source::Constant(tensor) => {
                let dims = tensor.dims.clone();
                self.check_shape(&dims)?;
                let mut values = tensor.narrow();
                if values.iter().any(|value| value.is_nan()) {
                    return Err(self.refuse("a constant that it reads is not a number"));
                }
                // Masks say "never" by an infinity; the largest number says the same.
                if values.iter().any(|value| value.is_infinite()) {
                    values = values
                        .iter()
                        .map(|value| value.clamp(f32::MIN, f32::MAX))
                        .collect();
                }
                self.emit(FloatOp::Constant { values }, dims)
            }
        }
    }

    /// Applies an operator: at once when all operands are constants, else as a step. `make` gets
    /// the operands' values.
    pub(super) fn apply(
        &mut self,
        operands: &[&Operand],
        make: impl FnOnce(&[usize]) -> FloatOp,
        shape: Vec<usize>,
    ) -> Made {
        let kind = operands.first().map_or(Kind::Float, |o| o.kind);
        let tensors: Option<Vec<&Tensor>> = operands.iter().map(|o| o.tensor()).collect();
        if let Some(tensors) = tensors {
            let ids: Vec<usize> = (0..tensors.len()).collect();
            let tensor = self.fold(&make(&ids), &tensors, shape)?;
            return Ok(Operand::constant(tensor, kind));
        }
        let mut ids = Vec::with_capacity(operands.len());
        for operand in operands {
            ids.push(self.embed(operand)?);
        }
        let value = match make(&ids) {
            op @ (FloatOp::Unary { .. }
            | FloatOp::Mul { .. }
            | FloatOp::Div { .. }
            | FloatOp::Binary { .. }
            | FloatOp::Combine { .. }) => self.pointwise(op, shape)?,
            FloatOp::View { input, axes } => self.view_of(input, axes, shape)?,
            op @ FloatOp::MatMul { .. } => self.folded_product(op, shape)?,
            op => self.emit(op, shape)?,
        };
        Ok(Operand {
            source: Source::Value(value),
            kind,
        })
    }

    fn fold(
        &mut self,
        op: &FloatOp,
        tensors: &[&Tensor],
        shape: Vec<usize>,
    ) -> Result<Tensor, ImportError> {
        let count = match elements(&shape) {
            Some(count) => count,
            None => return Err(self.refuse(format!("a constant of shape {shape:?} is too large"))),
        };
        let work = match op {
            FloatOp::MatMul { inner, .. } => {
                let dims = &tensors[0].dims;
                let inner: usize = dims[dims.len() - usize::from(*inner)..].iter().product();
                count.saturating_mul(inner)
            }
            _ => tensors.iter().map(|t| t.len()).sum(),
        };
        self.folded = self.folded.saturating_add(count);
        self.folded_work = self.folded_work.saturating_add(work);
        if self.folded > MAX_FOLDED || self.folded_work > MAX_FOLDED_WORK {
            return Err(self.refuse("computing the model's constants takes too much"));
        }
        let narrow: Option<Vec<&Rc<[f32]>>> = tensors
            .iter()
            .map(|tensor| match &tensor.data {
                Data::Narrow(values) => Some(values),
                Data::Wide(_) => None,
            })
            .collect();
        if let (Some(narrow), false) = (narrow, tensors.is_empty()) {
            let arrays: Vec<Array<'_, f32>> = tensors
                .iter()
                .zip(&narrow)
                .map(|(tensor, data)| Array {
                    shape: &tensor.dims,
                    data,
                })
                .collect();
            let values = compute(op, &arrays, &shape);
            return Ok(Tensor::floats(shape, values));
        }
        let wide: Vec<Rc<[f64]>> = tensors
            .iter()
            .map(|tensor| match &tensor.data {
                Data::Narrow(values) => values.iter().map(|&v| f64::from(v)).collect(),
                Data::Wide(values) => Rc::clone(values),
            })
            .collect();
        let arrays: Vec<Array<'_, f64>> = tensors
            .iter()
            .zip(&wide)
            .map(|(tensor, data)| Array {
                shape: &tensor.dims,
                data,
            })
            .collect();
        let values = compute(op, &arrays, &shape);
        Ok(Tensor::wide(shape, values))
    }

    /// A view, composed with the view that it reads.
    pub(super) fn view_of(
        &mut self,
        input: usize,
        axes: Vec<AxisMap>,
        shape: Vec<usize>,
    ) -> Result<usize, ImportError> {
        let from = self.shape_of(input).to_vec();
        if from == shape && view::is_identity(&axes, &from) {
            return Ok(input);
        }
        if let Some(FloatOp::View {
            input: inner,
            axes: first,
        }) = self.op(input)
            && let Some(composed) =
                view::compose(first, &axes, (self.shape_of(*inner), &from, &shape))
        {
            let inner = *inner;
            return self.view_of(inner, composed, shape);
        }
        self.emit(FloatOp::View { input, axes }, shape)
    }

    /// A pointwise step, moved before the views that its operands are when they are the same
    /// view, or a permutation whose inverse the constants among them can take.
    fn pointwise(&mut self, op: FloatOp, shape: Vec<usize>) -> Result<usize, ImportError> {
        let operands = op.operands();
        let lead = operands.iter().find_map(|&value| match self.op(value) {
            Some(FloatOp::View { input, axes }) if !self.is_fixed(value) => {
                let from = self.shape_of(*input).to_vec();
                let smaller = elements(&from) <= elements(&shape);
                (smaller && is_inside(axes, &from, &shape)).then(|| (*input, axes.clone(), from))
            }
            _ => None,
        });
        let Some((_, axes, from)) = lead else {
            return self.emit_pointwise(op, shape);
        };
        let permutation = is_permutation(&axes, &from, &shape);
        let mut inner = BTreeMap::new();
        for &value in &operands {
            match self.op(value) {
                Some(FloatOp::View { input, axes: other })
                    if *other == axes && self.shape_of(*input) == from =>
                {
                    inner.insert(value, *input);
                }
                _ if permutation && self.is_fixed(value) => {
                    let back = view::inverse(&axes, shape.len());
                    let moved = self.view_of(value, back, from.clone())?;
                    inner.insert(value, moved);
                }
                _ => return self.emit_pointwise(op, shape),
            }
        }
        let mut op = op;
        rename(&mut op, |value| inner[&value]);
        let value = self.pointwise(op, from)?;
        self.view_of(value, axes, shape)
    }

    fn emit_pointwise(&mut self, op: FloatOp, shape: Vec<usize>) -> Result<usize, ImportError> {
        if let Some(fused) = self.fuse(&op, &shape)? {
            return Ok(fused);
        }
        let compound = matches!(
            op,
            FloatOp::Mul { .. } | FloatOp::Div { .. } | FloatOp::Unary { .. }
        );
        let value = self.emit(op, shape)?;
        match compound {
            true => self.recognise(value),
            false => Ok(value),
        }
    }

    /// Drops what no output needs and numbers the rest.
    pub(super) fn finish(self, outputs: Vec<FloatOutput>) -> Result<FloatGraph, ImportError> {
        let inputs = self.inputs.len();
        let mut needed = vec![false; inputs + self.nodes.len()];
        for output in &outputs {
            needed[output.value] = true;
        }
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if needed[inputs + index] {
                for operand in node.op.operands() {
                    needed[operand] = true;
                }
            }
        }
        let mut renamed: Vec<usize> = (0..needed.len()).collect();
        let mut nodes = Vec::new();
        for (index, mut node) in self.nodes.into_iter().enumerate() {
            if !needed[inputs + index] {
                continue;
            }
            rename(&mut node.op, |value| renamed[value]);
            renamed[inputs + index] = inputs + nodes.len();
            nodes.push(node);
        }
        if nodes.len() > MAX_NODES {
            return Err(ImportError::TooMany {
                what: "steps",
                limit: MAX_NODES,
            });
        }
        Ok(FloatGraph {
            inputs: self.inputs,
            nodes,
            outputs: outputs
                .into_iter()
                .map(|output| FloatOutput {
                    value: renamed[output.value],
                    ..output
                })
                .collect(),
        })
    }
}

/// Changes the operands of an operator.
fn rename(op: &mut FloatOp, to: impl Fn(usize) -> usize) {
    match op {
        FloatOp::Constant { .. } => {}
        FloatOp::MatMul { a, b, .. }
        | FloatOp::Mul { a, b }
        | FloatOp::Div { a, b }
        | FloatOp::Binary { a, b, .. } => (*a, *b) = (to(*a), to(*b)),
        FloatOp::Combine { terms, .. } => {
            for (value, _) in terms {
                *value = to(*value);
            }
        }
        FloatOp::Sum { input, .. }
        | FloatOp::View { input, .. }
        | FloatOp::Reshape { input }
        | FloatOp::Unary { input, .. }
        | FloatOp::ReduceMax { input, .. }
        | FloatOp::Softmax { input }
        | FloatOp::Normalize { input, .. }
        | FloatOp::OneHotMax { input }
        | FloatOp::OneHot { input, .. }
        | FloatOp::Rank { input } => *input = to(*input),
    }
}

fn fingerprint(op: &FloatOp, shape: &[usize]) -> u64 {
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    shape.hash(&mut hasher);
    match op {
        FloatOp::Constant { values } => {
            for value in values.iter() {
                value.to_bits().hash(&mut hasher);
            }
        }
        other => format!("{other:?}").hash(&mut hasher),
    }
    hasher.finish()
}
