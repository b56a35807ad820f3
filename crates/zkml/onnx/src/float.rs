//! The float graph: what an ONNX file means, in the few operators that we compile.
//!
//! Value 0 is the input; node `i` defines value `i + 1`. Every operand is earlier, every node is
//! used, and the last one is the output.

/// An operator over real tensors, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum FloatOp {
    /// `y[m,n] = Σ_k x[m,k] weight[k,n] + bias[n]` over the last dimension of the input.
    Linear {
        /// Operand.
        input: usize,
        /// `inner × cols`, row-major.
        weight: Vec<f32>,
        /// `cols` elements.
        bias: Vec<f32>,
    },
    /// Elementwise sum of equal shapes.
    Add {
        /// First operand.
        a: usize,
        /// Second operand.
        b: usize,
    },
    /// `max(x, 0)`.
    Relu {
        /// Operand.
        input: usize,
    },
    /// The same elements under the node's shape.
    Reshape {
        /// Operand.
        input: usize,
    },
}

impl FloatOp {
    /// The values that the operator reads.
    #[must_use]
    pub fn operands(&self) -> Vec<usize> {
        match *self {
            Self::Linear { input, .. } | Self::Relu { input } | Self::Reshape { input } => {
                vec![input]
            }
            Self::Add { a, b } => vec![a, b],
        }
    }
}

/// One step of a float graph.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNode {
    /// Name of the ONNX node.
    pub name: String,
    /// What it computes.
    pub op: FloatOp,
    /// Shape of the result.
    pub shape: Vec<usize>,
}

/// An imported model.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatGraph {
    /// Name of the input tensor.
    pub input_name: String,
    /// Shape of the input.
    pub input_shape: Vec<usize>,
    /// Name of the output tensor.
    pub output_name: String,
    /// The steps, in order; at least one.
    pub nodes: Vec<FloatNode>,
}

impl FloatGraph {
    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// Shape of a value.
    #[must_use]
    pub fn shape(&self, value: usize) -> &[usize] {
        match value.checked_sub(1).and_then(|node| self.nodes.get(node)) {
            Some(node) => &node.shape,
            None => &self.input_shape,
        }
    }

    /// The result on one input of [`FloatGraph::input_len`] elements.
    #[must_use]
    pub fn evaluate(&self, input: &[f32]) -> Vec<f32> {
        self.values(input).pop().unwrap_or_default()
    }

    /// Every value on one input; sums run in `f64`, so that the result is a reference.
    #[must_use]
    pub fn values(&self, input: &[f32]) -> Vec<Vec<f32>> {
        let mut values = vec![input.to_vec()];
        for node in &self.nodes {
            let result = match &node.op {
                FloatOp::Linear {
                    input,
                    weight,
                    bias,
                } => linear(&values[*input], weight, bias),
                FloatOp::Add { a, b } => values[*a]
                    .iter()
                    .zip(&values[*b])
                    .map(|(a, b)| a + b)
                    .collect(),
                FloatOp::Relu { input } => values[*input].iter().map(|x| x.max(0.0)).collect(),
                FloatOp::Reshape { input } => values[*input].clone(),
            };
            values.push(result);
        }
        values
    }
}

fn linear(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let (cols, inner) = (bias.len(), weight.len() / bias.len());
    let mut out = Vec::with_capacity(x.len() / inner * cols);
    let mut sums = vec![0f64; cols];
    for row in x.chunks_exact(inner) {
        for (sum, &b) in sums.iter_mut().zip(bias) {
            *sum = f64::from(b);
        }
        for (&x, w) in row.iter().zip(weight.chunks_exact(cols)) {
            for (sum, &w) in sums.iter_mut().zip(w) {
                *sum += f64::from(x) * f64::from(w);
            }
        }
        out.extend(sums.iter().map(|&sum| sum as f32));
    }
    out
}
