//! The data of a graph; behaviour lives in the neighbouring modules.

/// Index of a value: the inputs come first, then the results of the nodes in their order.
pub type ValueId = u32;

/// Index into [`Weights::constants`].
pub type ConstantId = u32;

/// Index into [`Weights::tables`].
pub type TableId = u32;

/// Largest rank of a tensor.
pub const MAX_RANK: usize = 8;
/// Largest number of inputs, and of outputs.
pub const MAX_PORTS: usize = 16;
/// Largest number of nodes in a graph.
pub const MAX_NODES: usize = 1 << 15;
/// Largest number of elements in one tensor, every axis padded to a power of two.
pub const MAX_TENSOR: usize = 1 << 26;
/// Smallest and largest number of index bits of a table.
pub const TABLE_BITS: std::ops::RangeInclusive<u8> = 1..=16;
/// `t + s` of a lookup, and the bits of a shift and its quotient together, never exceed this.
pub const MAX_WINDOW_BITS: u8 = 30;
/// Every value of a graph is below this in magnitude, half the window of [`MAX_WINDOW_BITS`].
pub const MAX_MAGNITUDE: i32 = 1 << 29;
/// Multipliers of `Combine` are below this in magnitude.
pub const MAX_MULTIPLIER: i32 = 1 << 24;
/// Largest binary exponent of a [`Scale`].
pub const MAX_SCALE_SHIFT: u8 = 62;
/// Largest number of elements of all constants of one model.
pub const MAX_WEIGHTS: usize = 1 << 28;
/// Largest number of explicit tables in one model.
pub const MAX_TABLES: usize = 1 << 12;
/// Largest number of terms of one `Combine`.
pub const MAX_TERMS: usize = 64;
/// Largest number of entries of all `AxisMap::List`s of one graph.
pub const MAX_LIST: usize = 1 << 20;

/// Dimensions of a tensor, row-major; every dimension is at least 1. No dimension is a scalar.
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

/// An input of the graph: real value = integer × scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Dimensions of the input.
    pub shape: Shape,
    /// Integers that the input may hold; a value outside is refused. Contains 0.
    pub range: Range,
    /// What one integer step means.
    pub scale: Scale,
}

/// An output of the graph: real value = integer × scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Any value.
    pub value: ValueId,
    /// What one integer step means.
    pub scale: Scale,
}

/// A frozen table over the signed window `[-2^(bits-1), 2^(bits-1))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// `T[u] = Weights::tables[table].values[u + 2^(bits-1)]`.
    Explicit {
        /// Index bits `t` of the window.
        bits: u8,
        /// Which table; equal contents are one table.
        table: TableId,
        /// Smallest entry.
        lo: i32,
        /// Largest entry.
        hi: i32,
    },
}

/// Where one axis of a `View`'s operand is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AxisMap {
    /// Index `offset + Σ stride·o[axis]` over axes `o` of the result; outside the operand reads 0.
    /// Strides are not 0.
    Affine {
        /// Index at the result's origin.
        offset: i32,
        /// `(axis of the result, stride)`, rising in the axis.
        terms: Vec<(u8, i32)>,
    },
    /// Index `indices[o[axis]]`; −1 reads 0.
    List {
        /// Axis of the result.
        axis: u8,
        /// One entry for every position on that axis.
        indices: Vec<i32>,
    },
}

/// An operator of the graph. Operands name earlier values only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A constant tensor of the model.
    Constant {
        /// The `k`-th `Constant` of the graph is constant `k`.
        constant: ConstantId,
    },
    /// `v[B,m,n] = Σ_k a[B,m,k]·b[B,k,n]` where `B`, `m`, `k`, `n` are each any number of axes:
    /// `a` has the axes `B ++ m ++ k`, `b` has `B ++ k ++ n`, the result `B ++ m ++ n`.
    MatMul {
        a: ValueId,
        b: ValueId,
        /// Axes of `B`.
        batch: u8,
        /// Axes of `k`, at least 1.
        inner: u8,
    },
    /// `v[i] = a[i]·b[i]`, equal shapes.
    Mul { a: ValueId, b: ValueId },
    /// `v[i] = offset + Σ_j multiplier_j·term_j[i]`, equal shapes.
    Combine {
        /// Different values with their multipliers, 1 to [`MAX_TERMS`] of them.
        terms: Vec<(ValueId, i32)>,
        offset: i32,
    },
    /// Sum over some axes, which vanish.
    Sum {
        input: ValueId,
        /// Rising, at least one.
        axes: Vec<u8>,
    },
    /// `v[o] = x[index_0(o), index_1(o), …]`, 0 where an index lies outside. One map for every
    /// axis of the operand; an axis of the result is named by at most one map (by none: the
    /// operand is repeated along it).
    View {
        input: ValueId,
        axes: Vec<AxisMap>,
        shape: Shape,
    },
    /// The same elements, row-major, under `shape`.
    Reshape { input: ValueId, shape: Shape },
    /// `y = T[(v + 2^(shift-1)) >> shift]`, elementwise; `shift = 0` is `T[v]`.
    Lookup {
        input: ValueId,
        shift: u8,
        table: Table,
    },
    /// `y = (v + 2^(shift-1)) >> shift`, `-2^(bits-1) <= y < 2^(bits-1)`: a quotient wider than a table.
    Shift { input: ValueId, shift: u8, bits: u8 },
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
    /// The declared inputs, at least one; they are values `0..inputs.len()`.
    pub inputs: Vec<Input>,
    /// The steps, in order; node `i` defines value `inputs.len() + i`.
    pub nodes: Vec<Node>,
    /// The results, at least one, in the order in which they are encoded.
    pub outputs: Vec<Output>,
}

/// Elements of a constant in the narrowest of three widths that holds them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elements {
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
}

/// A constant tensor: element `i` is `elements[i]·multipliers[i mod last dimension]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Row-major, as many as the node's shape has.
    pub elements: Elements,
    /// Empty (all 1), or one per position on the last axis, each at least 1.
    pub multipliers: Vec<u16>,
}

/// An explicit table: `2^bits` entries in rising order of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableData {
    /// A power of two of them, each below [`MAX_MAGNITUDE`].
    pub values: Vec<i32>,
}

/// All parameters.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Weights {
    /// Indexed by [`ConstantId`].
    pub constants: Vec<Constant>,
    /// Indexed by [`TableId`].
    pub tables: Vec<TableData>,
}

/// A graph with its parameters: the content of a `.hmk` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The function's structure, which the chain knows.
    pub graph: Graph,
    /// Its parameters, which the chain knows by a commitment only.
    pub weights: Weights,
}

/// Every value of one run, indexed by [`ValueId`]. Values of `Constant`s may be left empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Row-major.
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

    /// Number of elements with every axis padded to a power of two; saturates.
    #[must_use]
    pub fn padded(&self) -> usize {
        self.0.iter().fold(1usize, |product, &dim| {
            product.saturating_mul((dim as usize).next_power_of_two())
        })
    }

    /// Number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The last dimension, 1 for a scalar.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.0.last().copied().unwrap_or(1)
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

    /// The larger magnitude of both ends.
    #[must_use]
    pub fn magnitude(&self) -> u32 {
        self.lo.unsigned_abs().max(self.hi.unsigned_abs())
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
            Self::Clamp { bits, .. } | Self::Explicit { bits, .. } => *bits,
        }
    }

    /// Every result lies in this range.
    #[must_use]
    pub fn range(&self) -> Range {
        match *self {
            Self::Clamp { lo, hi, .. } | Self::Explicit { lo, hi, .. } => Range { lo, hi },
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

    /// `T[index]`. Total: saturates outside the window, which a checked model never reaches, and
    /// is 0 where `tables` lacks the table.
    #[must_use]
    pub fn apply(&self, index: i32, tables: &[TableData]) -> i32 {
        match *self {
            Self::Clamp { lo, hi, .. } => index.min(hi).max(lo),
            Self::Explicit { table, .. } => {
                let Some(data) = tables.get(table as usize) else {
                    return 0;
                };
                let row = i64::from(index).saturating_sub(i64::from(self.first_index()));
                let last = data.values.len().saturating_sub(1);
                let row = usize::try_from(row).unwrap_or(0).min(last);
                data.values.get(row).copied().unwrap_or(0)
            }
        }
    }
}

impl Elements {
    /// The elements in the narrowest width that holds them all.
    #[must_use]
    pub fn narrowest(values: &[i32]) -> Self {
        if values.iter().all(|&v| i8::try_from(v).is_ok()) {
            Self::I8(values.iter().map(|&v| v as i8).collect())
        } else if values.iter().all(|&v| i16::try_from(v).is_ok()) {
            Self::I16(values.iter().map(|&v| v as i16).collect())
        } else {
            Self::I32(values.to_vec())
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::I8(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::I32(v) => v.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `i`, `None` past the end.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<i32> {
        match self {
            Self::I8(v) => v.get(i).map(|&v| i32::from(v)),
            Self::I16(v) => v.get(i).map(|&v| i32::from(v)),
            Self::I32(v) => v.get(i).copied(),
        }
    }
}

impl Constant {
    /// Element `i` times its multiplier, `last` being the last dimension; 0 past the end.
    #[must_use]
    pub fn get(&self, i: usize, last: usize) -> i64 {
        let element = i64::from(self.elements.get(i).unwrap_or(0));
        let position = i.checked_rem(last).unwrap_or(0);
        let multiplier = self.multipliers.get(position).copied().unwrap_or(1);
        element.saturating_mul(i64::from(multiplier))
    }

    /// All elements times their multipliers, `last` being the last dimension; `None` when one
    /// reaches [`MAX_MAGNITUDE`].
    #[must_use]
    pub fn values(&self, last: usize) -> Option<Vec<i32>> {
        let mut values: Vec<i32> = match &self.elements {
            Elements::I8(v) => v.iter().map(|&e| i32::from(e)).collect(),
            Elements::I16(v) => v.iter().map(|&e| i32::from(e)).collect(),
            Elements::I32(v) => v.clone(),
        };
        if !self.multipliers.is_empty() {
            for row in values.chunks_mut(last.max(1)) {
                for (value, &multiplier) in row.iter_mut().zip(&self.multipliers) {
                    *value = value.checked_mul(i32::from(multiplier))?;
                }
            }
        }
        let small = |v: &i32| v.unsigned_abs() < MAX_MAGNITUDE.unsigned_abs();
        values.iter().all(small).then_some(values)
    }
}

impl Model {
    /// All elements of a constant of a checked model, multipliers included; empty where the model
    /// has no such constant or one of its elements is too large.
    #[must_use]
    pub fn constant_values(&self, constant: ConstantId) -> Vec<i32> {
        let index = constant as usize;
        match (
            self.weights.constants.get(index),
            self.graph.constants().nth(index),
        ) {
            (Some(constant), Some(node)) => constant
                .values(node.shape.last() as usize)
                .unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

impl Op {
    /// The values that this operator reads.
    #[must_use]
    pub fn operands(&self) -> Vec<ValueId> {
        match self {
            Self::Constant { .. } => Vec::new(),
            Self::MatMul { a, b, .. } | Self::Mul { a, b } => vec![*a, *b],
            Self::Combine { terms, .. } => terms.iter().map(|(value, _)| *value).collect(),
            Self::Sum { input, .. }
            | Self::View { input, .. }
            | Self::Reshape { input, .. }
            | Self::Lookup { input, .. }
            | Self::Shift { input, .. } => vec![*input],
        }
    }

    /// Name of the operator for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant { .. } => "Constant",
            Self::MatMul { .. } => "MatMul",
            Self::Mul { .. } => "Mul",
            Self::Combine { .. } => "Combine",
            Self::Sum { .. } => "Sum",
            Self::View { .. } => "View",
            Self::Reshape { .. } => "Reshape",
            Self::Lookup { .. } => "Lookup",
            Self::Shift { .. } => "Shift",
        }
    }
}

impl Graph {
    /// Number of values, inputs included.
    #[must_use]
    pub fn value_count(&self) -> usize {
        self.inputs.len().saturating_add(self.nodes.len())
    }

    /// The node that defines a value; `None` for an input.
    #[must_use]
    pub fn node_of(&self, value: ValueId) -> Option<usize> {
        (value as usize).checked_sub(self.inputs.len())
    }

    /// The value that a node defines; saturates.
    #[must_use]
    pub fn value_of(&self, node: usize) -> ValueId {
        u32::try_from(self.inputs.len().saturating_add(node)).unwrap_or(u32::MAX)
    }

    /// Shape of a value, `None` when no such value exists.
    #[must_use]
    pub fn shape(&self, value: ValueId) -> Option<&Shape> {
        match self.node_of(value) {
            None => self.inputs.get(value as usize).map(|input| &input.shape),
            Some(node) => self.nodes.get(node).map(|node| &node.shape),
        }
    }

    /// Range of a value, `None` when no such value exists.
    #[must_use]
    pub fn range(&self, value: ValueId) -> Option<Range> {
        match self.node_of(value) {
            None => self.inputs.get(value as usize).map(|input| input.range),
            Some(node) => self.nodes.get(node).map(|node| node.range),
        }
    }

    /// Elements of all inputs together: the length of a flat input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.inputs.iter().fold(0usize, |sum, input| {
            sum.saturating_add(input.shape.elements())
        })
    }

    /// Elements of all outputs together: the length of a flat output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.outputs.iter().fold(0usize, |sum, output| {
            sum.saturating_add(self.shape(output.value).map_or(0, Shape::elements))
        })
    }

    /// The node of every constant, indexed by [`ConstantId`].
    pub fn constants(&self) -> impl Iterator<Item = &Node> + '_ {
        self.nodes
            .iter()
            .filter(|node| matches!(node.op, Op::Constant { .. }))
    }

    /// Multiply-accumulates of one run.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.nodes.iter().fold(0u64, |sum, node| {
            let Op::MatMul { a, inner, .. } = node.op else {
                return sum;
            };
            let Some(shape) = self.shape(a) else {
                return sum;
            };
            let from = shape.rank().saturating_sub(usize::from(inner));
            let depth = shape
                .0
                .iter()
                .skip(from)
                .fold(1u64, |product, &dim| product.saturating_mul(u64::from(dim)));
            sum.saturating_add(depth.saturating_mul(node.shape.elements() as u64))
        })
    }

    /// Parameters: elements of all constants.
    #[must_use]
    pub fn params(&self) -> u64 {
        self.constants().fold(0u64, |sum, node| {
            sum.saturating_add(node.shape.elements() as u64)
        })
    }
}
