//! The float graph: what an ONNX file means, in few operators over real tensors.
//!
//! The inputs are values `0..inputs.len()`; node `i` defines value `inputs.len() + i`. Every
//! operand is earlier. The importer (`import/`) lowers every ONNX operator to these; the compiler
//! (`compile/`) turns each into integer operators; `evaluate` is the reference in `f64`.
//!
//! Shapes are static. Booleans and integers are real numbers here (0 and 1; whole numbers).

use hallmark_graph::AxisMap;

pub(crate) mod evaluate;
mod function;

pub use function::Function;

/// How two elements are compared or joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Max,
    Min,
    /// `a < b` as 0 or 1.
    Less,
    /// `a <= b`.
    LessOrEqual,
    /// `a == b`.
    Equal,
}

/// An operator over real tensors, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum FloatOp {
    /// A constant under the node's shape.
    Constant { values: std::rc::Rc<[f32]> },
    /// `v[B,m,n] = Σ_k a[B,m,k]·b[B,k,n]`; axes as in [`hallmark_graph::Op::MatMul`].
    MatMul {
        a: usize,
        b: usize,
        batch: u8,
        inner: u8,
    },
    /// `a·b`, equal shapes. Broadcasting is a `View` before it, here and below.
    Mul { a: usize, b: usize },
    /// `a/b`, equal shapes.
    Div { a: usize, b: usize },
    /// `offset + Σ_j c_j·term_j`, equal shapes.
    Combine {
        terms: Vec<(usize, f64)>,
        offset: f64,
    },
    /// Sum over axes, which vanish.
    Sum { input: usize, axes: Vec<u8> },
    /// As [`hallmark_graph::Op::View`].
    View { input: usize, axes: Vec<AxisMap> },
    /// The same elements under the node's shape.
    Reshape { input: usize },
    /// A pointwise function.
    Unary { input: usize, function: Function },
    /// Elementwise, equal shapes.
    Binary { a: usize, b: usize, op: Binary },
    /// Largest element over one axis, which vanishes.
    ReduceMax { input: usize, axis: u8 },
    /// `exp(x_i - max)/Σ_j exp(x_j - max)` over the last axis.
    Softmax { input: usize },
    /// `(x - mean)/sqrt(mean((x - mean)²) + epsilon)` over the last axis; without `center`,
    /// `x/sqrt(mean(x²) + epsilon)`.
    Normalize {
        input: usize,
        epsilon: f64,
        center: bool,
    },
    /// 1 at the largest element of the last axis, 0 elsewhere; ties to the lowest index.
    OneHotMax { input: usize },
    /// 1 at position `index` of the last axis of length `depth`, which the result has in addition;
    /// an index outside `0..depth` gives zeros.
    OneHot { input: usize, depth: u32 },
    /// Rank of each element on the last axis in falling order (0 for the largest), ties to the
    /// lowest index.
    Rank { input: usize },
}

/// One step of a float graph.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNode {
    /// Name of the ONNX node it comes from.
    pub name: String,
    /// ONNX operator that it comes from, for messages.
    pub source: String,
    /// What it computes.
    pub op: FloatOp,
    /// Shape of the result; empty for a scalar.
    pub shape: Vec<usize>,
}

/// An input of a float graph.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatInput {
    /// Name of the ONNX input.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether its elements are whole numbers (an integer or boolean type): never rescaled.
    pub integer: bool,
}

/// An output of a float graph.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatOutput {
    /// Name of the ONNX output.
    pub name: String,
    /// Any value.
    pub value: usize,
}

/// An imported model.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatGraph {
    /// At least one.
    pub inputs: Vec<FloatInput>,
    /// The steps, in order.
    pub nodes: Vec<FloatNode>,
    /// At least one.
    pub outputs: Vec<FloatOutput>,
}

impl FloatOp {
    /// The values that the operator reads.
    #[must_use]
    pub fn operands(&self) -> Vec<usize> {
        match self {
            Self::Constant { .. } => vec![],
            Self::MatMul { a, b, .. }
            | Self::Mul { a, b }
            | Self::Div { a, b }
            | Self::Binary { a, b, .. } => vec![*a, *b],
            Self::Combine { terms, .. } => terms.iter().map(|(value, _)| *value).collect(),
            Self::Sum { input, .. }
            | Self::View { input, .. }
            | Self::Reshape { input }
            | Self::Unary { input, .. }
            | Self::ReduceMax { input, .. }
            | Self::Softmax { input }
            | Self::Normalize { input, .. }
            | Self::OneHotMax { input }
            | Self::OneHot { input, .. }
            | Self::Rank { input } => vec![*input],
        }
    }
}

impl FloatGraph {
    /// Elements of all inputs together: the length of a flat sample.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.inputs
            .iter()
            .map(|input| input.shape.iter().product::<usize>())
            .sum()
    }

    /// Shape of a value.
    #[must_use]
    pub fn shape(&self, value: usize) -> &[usize] {
        match value.checked_sub(self.inputs.len()) {
            Some(node) => &self.nodes[node].shape,
            None => &self.inputs[value].shape,
        }
    }

    /// All outputs of one flat sample, one after the other.
    #[must_use]
    pub fn evaluate(&self, input: &[f32]) -> Vec<f32> {
        let values = self.values(input);
        self.outputs
            .iter()
            .flat_map(|output| values[output.value].iter().copied())
            .collect()
    }
}
