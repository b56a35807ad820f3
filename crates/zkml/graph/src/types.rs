//! The data of a graph; behaviour lives in the neighbouring modules.

/// Index of a value: 0 is the input, `i + 1` the result of node `i`.
pub type ValueId = u32;

/// Index into [`Weights::linear`].
pub type WeightId = u32;

/// Largest rank of a tensor.
pub const MAX_RANK: usize = 4;
/// Largest number of nodes in a graph.
pub const MAX_NODES: usize = 4096;
/// Largest number of elements in one tensor.
pub const MAX_TENSOR: usize = 1 << 24;
/// Smallest and largest number of index bits of a table.
pub const TABLE_BITS: std::ops::RangeInclusive<u8> = 8..=16;
/// `t + s` of a requantisation never exceeds this.
pub const MAX_WINDOW_BITS: u8 = 30;
/// Every value of a graph is below this in magnitude, half the window of [`MAX_WINDOW_BITS`].
pub const MAX_MAGNITUDE: i32 = 1 << 29;
/// Multipliers of `Linear` and `Add` are below this in magnitude.
pub const MAX_MULTIPLIER: i32 = 1 << 15;
/// Largest binary exponent of a [`Scale`].
pub const MAX_SCALE_SHIFT: u8 = 62;
/// Largest number of int8 weights in one model.
pub const MAX_WEIGHTS: usize = 1 << 28;

/// Dimensions of a tensor, row-major; every dimension is at least 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<u32>);

/// Closed interval of integers that a value never leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// Smallest value.
    pub lo: i32,
    /// Largest value.
    pub hi: i32,
}

/// A real number `multiplier / 2^shift`: what one integer step of a tensor means.
/// It informs people and clients; it decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scale {
    /// Numerator, at least 1.
    pub multiplier: u32,
    /// Binary exponent of the denominator, at most 62.
    pub shift: u8,
}

/// The graph's input: real value = integer × scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Dimensions of the input.
    pub shape: Shape,
    /// Integers that the input may hold; a value outside is refused.
    pub range: Range,
    /// What one integer step means.
    pub scale: Scale,
}

/// A frozen table over the signed window `[-2^(bits-1), 2^(bits-1))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// `T[u] = min(max(u, lo), hi)`: identity with saturation; `lo = 0` is Relu.
    Clamp {
        /// Index bits `t` of the window.
        bits: u8,
        /// Smallest result, inside the window.
        lo: i32,
        /// Largest result, inside the window and not below `lo`.
        hi: i32,
    },
}

/// An operator of the graph. Operands name earlier values only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// `v[m,n] = M_n (Σ_k x[m,k] w[k,n] + b_n)`; the input is read as `rows × inner`.
    Linear {
        input: ValueId,
        weight: WeightId,
        rows: u32,
        inner: u32,
        cols: u32,
    },
    /// `v = M_a a + M_b b`, equal shapes.
    Add {
        a: ValueId,
        b: ValueId,
        multiplier_a: i32,
        multiplier_b: i32,
    },
    /// `y = T[(v + 2^(shift-1)) >> shift]`, elementwise.
    Requant {
        input: ValueId,
        shift: u8,
        table: Table,
    },
    /// The same elements under `shape`.
    Reshape { input: ValueId, shape: Shape },
}

/// One step of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What computes the result.
    pub op: Op,
    /// Shape of the result.
    pub shape: Shape,
    /// Range of the result, computed at import and checked on load.
    pub range: Range,
}

/// The canonical graph without weights: what the chain knows of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// The declared input.
    pub input: Input,
    /// The steps, in order.
    pub nodes: Vec<Node>,
    /// The value that is the result: the last one.
    pub output: ValueId,
    /// What one integer step of the result means.
    pub output_scale: Scale,
}

/// Parameters of one `Linear`: `w` is `inner × cols` row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearWeights {
    /// `w[k * cols + n]`.
    pub w: Vec<i8>,
    /// Bias per column, in units of the accumulator.
    pub b: Vec<i32>,
    /// Per-column multipliers, `1 ≤ M_n < 2^15`.
    pub m: Vec<u16>,
}

/// All parameters, indexed by [`WeightId`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Weights {
    /// One entry per `Linear`, in the order of the nodes.
    pub linear: Vec<LinearWeights>,
}

/// A graph with its parameters: the content of a `.hmk` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The function's structure, which the chain knows.
    pub graph: Graph,
    /// Its parameters, which the chain knows by a commitment only.
    pub weights: Weights,
}

/// Every value of one run: `values[0]` is the input, `values[i + 1]` the result of node `i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Indexed by [`ValueId`].
    pub values: Vec<Vec<i32>>,
}

impl Shape {
    /// Number of elements; saturates, so that a hostile shape is merely too large.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.0
            .iter()
            .fold(1usize, |product, &dim| product.saturating_mul(dim as usize))
    }

    /// The last dimension, 0 for a shape without dimensions.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.0.last().copied().unwrap_or(0)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Range {
    /// Whether `value` lies inside.
    #[must_use]
    pub fn contains(&self, value: i32) -> bool {
        (self.lo..=self.hi).contains(&value)
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {}]", self.lo, self.hi)
    }
}

impl Table {
    /// Index bits `t`: the table covers `[-2^(t-1), 2^(t-1))`.
    #[must_use]
    pub fn bits(&self) -> u8 {
        match self {
            Self::Clamp { bits, .. } => *bits,
        }
    }

    /// First index of the window, `-2^(t-1)`.
    #[must_use]
    pub fn first_index(&self) -> i32 {
        1i32.checked_shl(u32::from(self.bits().saturating_sub(1)))
            .unwrap_or(0)
            .saturating_neg()
    }

    /// Number of entries, `2^t`.
    #[must_use]
    pub fn len(&self) -> usize {
        1usize.checked_shl(u32::from(self.bits())).unwrap_or(0)
    }

    /// Whether the table has no entry; a valid table always has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `T[index]`. Total: saturates outside the window, which a checked model never reaches.
    #[must_use]
    pub fn apply(&self, index: i32) -> i32 {
        match self {
            Self::Clamp { lo, hi, .. } => index.min(*hi).max(*lo),
        }
    }

    /// All pairs `(index, T[index])` in rising order of the index.
    pub fn entries(&self) -> impl Iterator<Item = (i32, i32)> + '_ {
        let first = self.first_index();
        (first..first.saturating_neg()).map(|index| (index, self.apply(index)))
    }
}

impl Op {
    /// The values that this operator reads.
    #[must_use]
    pub fn operands(&self) -> Vec<ValueId> {
        match *self {
            Self::Linear { input, .. }
            | Self::Requant { input, .. }
            | Self::Reshape { input, .. } => vec![input],
            Self::Add { a, b, .. } => vec![a, b],
        }
    }

    /// Name of the operator for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "Linear",
            Self::Add { .. } => "Add",
            Self::Requant { .. } => "Requant",
            Self::Reshape { .. } => "Reshape",
        }
    }
}

impl Graph {
    /// Number of values, the input included.
    #[must_use]
    pub fn value_count(&self) -> usize {
        self.nodes.len().saturating_add(1)
    }

    /// Shape of a value, `None` when no such value exists.
    #[must_use]
    pub fn shape(&self, value: ValueId) -> Option<&Shape> {
        match (value as usize).checked_sub(1) {
            None => Some(&self.input.shape),
            Some(node) => self.nodes.get(node).map(|node| &node.shape),
        }
    }

    /// Range of a value, `None` when no such value exists.
    #[must_use]
    pub fn range(&self, value: ValueId) -> Option<Range> {
        match (value as usize).checked_sub(1) {
            None => Some(self.input.range),
            Some(node) => self.nodes.get(node).map(|node| node.range),
        }
    }

    /// Shape of the result; the input's when the graph is malformed.
    #[must_use]
    pub fn output_shape(&self) -> &Shape {
        self.shape(self.output).unwrap_or(&self.input.shape)
    }

    /// Range of the result; the input's when the graph is malformed.
    #[must_use]
    pub fn output_range(&self) -> Range {
        self.range(self.output).unwrap_or(self.input.range)
    }

    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input.shape.elements()
    }

    /// Elements of the result.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output_shape().elements()
    }

    /// `(rows, inner, cols)` of each `Linear`, indexed by [`WeightId`].
    pub fn linears(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        self.nodes.iter().filter_map(|node| match node.op {
            Op::Linear {
                rows, inner, cols, ..
            } => Some((rows, inner, cols)),
            _ => None,
        })
    }

    /// Multiply-accumulates of one run.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.linears().fold(0u64, |sum, (rows, inner, cols)| {
            sum.saturating_add(
                u64::from(rows)
                    .saturating_mul(u64::from(inner))
                    .saturating_mul(u64::from(cols)),
            )
        })
    }

    /// Parameters: weights and biases of every `Linear`.
    #[must_use]
    pub fn params(&self) -> u64 {
        self.linears().fold(0u64, |sum, (_, inner, cols)| {
            sum.saturating_add(
                u64::from(inner)
                    .saturating_add(1)
                    .saturating_mul(u64::from(cols)),
            )
        })
    }
}
