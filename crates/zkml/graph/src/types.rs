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
    pub shape: Shape,
    pub range: Range,
    pub scale: Scale,
}

/// A frozen table over the signed window `[-2^(bits-1), 2^(bits-1))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// `T[u] = min(max(u, lo), hi)`: identity with saturation; `lo = 0` is Relu.
    Clamp { bits: u8, lo: i32, hi: i32 },
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
    pub op: Op,
    /// Shape of the result.
    pub shape: Shape,
    /// Range of the result, computed at import and checked on load.
    pub range: Range,
}

/// The canonical graph without weights: what the chain knows of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    pub input: Input,
    pub nodes: Vec<Node>,
    /// The value that is the result.
    pub output: ValueId,
    pub output_scale: Scale,
}

/// Parameters of one `Linear`: `w` is `inner × cols` row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearWeights {
    pub w: Vec<i8>,
    pub b: Vec<i32>,
    /// Per-column multipliers, `1 ≤ M_n < 2^15`.
    pub m: Vec<u16>,
}

/// All parameters, indexed by [`WeightId`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Weights {
    pub linear: Vec<LinearWeights>,
}

/// A graph with its parameters: the content of a `.hmk` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    pub graph: Graph,
    pub weights: Weights,
}

/// Every value of one run: `values[0]` is the input, `values[i + 1]` the result of node `i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub values: Vec<Vec<i32>>,
}
