//! Builds a model step by step; shapes and ranges are computed, never given.

use std::collections::BTreeMap;

use crate::{
    AxisMap, CheckError, Constant, Graph, Input, Model, Node, Op, Output, Place, Scale, Shape,
    Table, TableData, TableId, ValueId, Weights, check, infer,
};

/// The table of a `Lookup` under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableSpec {
    /// Identity with saturation.
    Clamp {
        /// Index bits of the window.
        bits: u8,
        /// Smallest result.
        lo: i32,
        /// Largest result.
        hi: i32,
    },
    /// All entries in rising order of the index, a power of two of them.
    Explicit(Vec<i32>),
}

/// A model under construction. Each method appends a node and returns the value it defines;
/// the inputs are values `0..inputs.len()`. An error leaves the builder as it was.
///
/// ```
/// use hallmark_graph::{Builder, Constant, Elements, Input, Range, Scale, Shape, TableSpec};
/// let scale = Scale { multiplier: 1, shift: 0 };
/// let mut builder = Builder::new(vec![Input {
///     shape: Shape(vec![1, 2]),
///     range: Range { lo: -8, hi: 8 },
///     scale,
/// }]);
/// let weights = Constant { elements: Elements::I8(vec![1, -1]), multipliers: vec![100] };
/// let weights = builder.constant(Shape(vec![2, 1]), weights)?;
/// let product = builder.matmul(0, weights, 0, 1)?;
/// let biased = builder.combine(&[(product, 1)], 300)?;
/// let y = builder.lookup(biased, 4, TableSpec::Clamp { bits: 12, lo: 0, hi: 127 })?;
/// builder.output(y, scale)?;
/// let model = builder.finish()?;
/// assert_eq!(hallmark_graph::reference::run(&model, &[5, 2])?, [38]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    graph: Graph,
    weights: Weights,
    /// Contents of the explicit tables so far.
    known_tables: BTreeMap<Vec<i32>, TableId>,
}

impl Builder {
    /// An empty model over `inputs`.
    #[must_use]
    pub fn new(inputs: Vec<Input>) -> Self {
        Self {
            graph: Graph {
                inputs,
                nodes: Vec::new(),
                outputs: Vec::new(),
            },
            weights: Weights::default(),
            known_tables: BTreeMap::new(),
        }
    }

    /// The graph so far, nodes that reach no output included.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Appends a constant of this shape.
    ///
    /// # Errors
    ///
    /// A shape out of limits, lengths that do not fit it, elements in a wider type than they need,
    /// multipliers that are 0 or all 1, or an element that is too large.
    pub fn constant(&mut self, shape: Shape, constant: Constant) -> Result<ValueId, CheckError> {
        let node = self.graph.nodes.len();
        check::check_shape(&shape, Place::Node(node))?;
        let index = self.weights.constants.len();
        check::check_constant(index, &constant, &shape)?;
        self.weights.constants.push(constant);
        let op = Op::Constant {
            constant: count(index),
        };
        let range = infer::weighted_range(&self.graph, &self.weights, node, &op, &shape);
        match range {
            Ok(Some(range)) => {
                self.graph.nodes.push(Node { op, shape, range });
                Ok(self.graph.value_of(node))
            }
            other => {
                self.weights.constants.pop();
                Err(other.err().unwrap_or(CheckError::TooLarge { node }))
            }
        }
    }

    /// Appends a product over `inner` axes, `batch` axes in common.
    ///
    /// # Errors
    ///
    /// Axes that do not agree, or a result that can be too large.
    pub fn matmul(
        &mut self,
        a: ValueId,
        b: ValueId,
        batch: u8,
        inner: u8,
    ) -> Result<ValueId, CheckError> {
        self.push(Op::MatMul { a, b, batch, inner })
    }

    /// Appends an elementwise product.
    ///
    /// # Errors
    ///
    /// Unequal shapes, or a result that can be too large.
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, CheckError> {
        self.push(Op::Mul { a, b })
    }

    /// Appends `offset + Σ multiplier·value`. Terms of the same value are added up, and vanish
    /// when their multipliers cancel.
    ///
    /// # Errors
    ///
    /// No term that is left, too many, unequal shapes, a multiplier or a result that is too large.
    pub fn combine(
        &mut self,
        terms: &[(ValueId, i32)],
        offset: i32,
    ) -> Result<ValueId, CheckError> {
        let node = self.graph.nodes.len();
        let mut merged: Vec<(ValueId, i32)> = Vec::new();
        for &(value, multiplier) in terms {
            match merged.iter_mut().find(|(known, _)| *known == value) {
                None => merged.push((value, multiplier)),
                Some((_, sum)) => {
                    *sum = sum
                        .checked_add(multiplier)
                        .ok_or(CheckError::Multiplier { node, multiplier })?;
                }
            }
        }
        merged.retain(|(_, multiplier)| *multiplier != 0);
        self.push(Op::Combine {
            terms: merged,
            offset,
        })
    }

    /// Appends a sum over axes, which vanish; their order does not matter.
    ///
    /// # Errors
    ///
    /// No axis, one that does not exist or is named twice, or a result that can be too large.
    pub fn sum(&mut self, input: ValueId, axes: &[u8]) -> Result<ValueId, CheckError> {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        self.push(Op::Sum { input, axes })
    }

    /// Appends a view. A list whose entries rise or fall evenly becomes affine.
    ///
    /// # Errors
    ///
    /// Maps that do not fit the operand's axes or the result's shape.
    pub fn view(
        &mut self,
        input: ValueId,
        axes: Vec<AxisMap>,
        shape: Shape,
    ) -> Result<ValueId, CheckError> {
        let axes = axes.into_iter().map(simplify).collect();
        self.push(Op::View { input, axes, shape })
    }

    /// Appends a change of shape.
    ///
    /// # Errors
    ///
    /// Another number of elements, or a shape out of limits.
    pub fn reshape(&mut self, input: ValueId, shape: Shape) -> Result<ValueId, CheckError> {
        self.push(Op::Reshape { input, shape })
    }

    /// Appends a lookup of the rounded quotient by `2^shift`. Equal explicit tables are shared.
    ///
    /// # Errors
    ///
    /// A table out of limits, or values of `input` that do not fit its window.
    pub fn lookup(
        &mut self,
        input: ValueId,
        shift: u8,
        table: TableSpec,
    ) -> Result<ValueId, CheckError> {
        let values = match table {
            TableSpec::Clamp { bits, lo, hi } => {
                let table = Table::Clamp { bits, lo, hi };
                return self.push(Op::Lookup {
                    input,
                    shift,
                    table,
                });
            }
            TableSpec::Explicit(values) => values,
        };
        let known = self.known_tables.get(&values).copied();
        let id = known.unwrap_or_else(|| count(self.weights.tables.len()));
        if !values.len().is_power_of_two() {
            return Err(CheckError::TableLength {
                table: id as usize,
                expected: values.len().checked_next_power_of_two().unwrap_or(0),
                actual: values.len(),
            });
        }
        let table = Table::Explicit {
            bits: u8::try_from(values.len().trailing_zeros()).unwrap_or(u8::MAX),
            table: id,
            lo: values.iter().copied().min().unwrap_or(0),
            hi: values.iter().copied().max().unwrap_or(0),
        };
        let value = self.push(Op::Lookup {
            input,
            shift,
            table,
        })?;
        if known.is_none() {
            self.known_tables.insert(values.clone(), id);
            self.weights.tables.push(TableData { values });
        }
        Ok(value)
    }

    /// Appends a rounded quotient by `2^shift` of at most `bits` bits.
    ///
    /// # Errors
    ///
    /// Values of `input` that do not fit the window.
    pub fn shift(&mut self, input: ValueId, shift: u8, bits: u8) -> Result<ValueId, CheckError> {
        self.push(Op::Shift { input, shift, bits })
    }

    /// Declares the next output.
    ///
    /// # Errors
    ///
    /// When the value does not exist.
    pub fn output(&mut self, value: ValueId, scale: Scale) -> Result<(), CheckError> {
        if value as usize >= self.graph.value_count() {
            return Err(CheckError::Output {
                output: self.graph.outputs.len(),
                value,
            });
        }
        self.graph.outputs.push(Output { value, scale });
        Ok(())
    }

    /// The checked model, without the nodes that reach no output.
    ///
    /// # Errors
    ///
    /// Whatever [`Model::check`] refuses, an input that reaches no output among it.
    pub fn finish(self) -> Result<Model, CheckError> {
        self.finish_with_map().map(|(model, _)| model)
    }

    /// As [`Builder::finish`]; also the value in the model of each value of the builder, `None`
    /// where it was dropped.
    ///
    /// # Errors
    ///
    /// Whatever [`Model::check`] refuses, an input that reaches no output among it.
    pub fn finish_with_map(mut self) -> Result<(Model, Vec<Option<ValueId>>), CheckError> {
        let live = self.live();
        let mut map: Vec<Option<ValueId>> = (0..count(self.graph.inputs.len())).map(Some).collect();
        let mut model = Model {
            graph: Graph {
                inputs: std::mem::take(&mut self.graph.inputs),
                nodes: Vec::new(),
                outputs: std::mem::take(&mut self.graph.outputs),
            },
            weights: Weights::default(),
        };
        let mut tables: BTreeMap<TableId, TableId> = BTreeMap::new();
        let nodes = std::mem::take(&mut self.graph.nodes);
        for (mut node, live) in nodes.into_iter().zip(live) {
            if !live {
                map.push(None);
                continue;
            }
            rename(&mut node.op, &map);
            match &mut node.op {
                Op::Constant { constant } => {
                    let taken = self.weights.constants.get_mut(*constant as usize);
                    *constant = count(model.weights.constants.len());
                    model.weights.constants.extend(taken.map(take_constant));
                }
                Op::Lookup {
                    table: Table::Explicit { table, .. },
                    ..
                } => {
                    let old = *table;
                    *table = *tables.entry(old).or_insert_with(|| {
                        let taken = self.weights.tables.get_mut(old as usize);
                        let new = count(model.weights.tables.len());
                        model.weights.tables.extend(taken.map(|data| TableData {
                            values: std::mem::take(&mut data.values),
                        }));
                        new
                    });
                }
                _ => {}
            }
            map.push(Some(model.graph.value_of(model.graph.nodes.len())));
            model.graph.nodes.push(node);
        }
        for output in &mut model.graph.outputs {
            output.value = renamed(output.value, &map);
        }
        model.check()?;
        Ok((model, map))
    }

    /// Whether each node reaches an output.
    fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.graph.nodes.len()];
        let mark = |live: &mut Vec<bool>, value: ValueId| {
            let node = self.graph.node_of(value);
            if let Some(live) = node.and_then(|node| live.get_mut(node)) {
                *live = true;
            }
        };
        for output in &self.graph.outputs {
            mark(&mut live, output.value);
        }
        for (index, node) in self.graph.nodes.iter().enumerate().rev() {
            if live.get(index) == Some(&true) {
                for operand in node.op.operands() {
                    mark(&mut live, operand);
                }
            }
        }
        live
    }

    fn push(&mut self, op: Op) -> Result<ValueId, CheckError> {
        let node = self.graph.nodes.len();
        let shape = infer::shape(&self.graph, node, &op)?;
        check::check_shape(&shape, Place::Node(node))?;
        let range = match infer::range(&self.graph, node, &op)? {
            Some(range) => Some(range),
            None => infer::weighted_range(&self.graph, &self.weights, node, &op, &shape)?,
        };
        let range = range.ok_or(CheckError::TooLarge { node })?;
        self.graph.nodes.push(Node { op, shape, range });
        Ok(self.graph.value_of(node))
    }
}

fn take_constant(constant: &mut Constant) -> Constant {
    Constant {
        elements: std::mem::replace(&mut constant.elements, crate::Elements::I8(Vec::new())),
        multipliers: std::mem::take(&mut constant.multipliers),
    }
}

/// An evenly spaced list of indices as an affine map.
fn simplify(map: AxisMap) -> AxisMap {
    let AxisMap::List { axis, indices } = &map else {
        return map;
    };
    let Some(&offset) = indices.first() else {
        return map;
    };
    let stride = indices
        .get(1)
        .map_or(Some(0), |second| second.checked_sub(offset));
    let Some(stride) = stride else {
        return map;
    };
    let even = indices
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if b.checked_sub(*a) == Some(stride)));
    if !even || indices.iter().any(|index| *index < 0) {
        return map;
    }
    AxisMap::Affine {
        offset,
        terms: if stride == 0 {
            Vec::new()
        } else {
            vec![(*axis, stride)]
        },
    }
}

fn rename(op: &mut Op, map: &[Option<ValueId>]) {
    let new = |value: &mut ValueId| *value = renamed(*value, map);
    match op {
        Op::Constant { .. } => {}
        Op::MatMul { a, b, .. } | Op::Mul { a, b } => {
            new(a);
            new(b);
        }
        Op::Combine { terms, .. } => terms.iter_mut().for_each(|(value, _)| new(value)),
        Op::Sum { input, .. }
        | Op::View { input, .. }
        | Op::Reshape { input, .. }
        | Op::Lookup { input, .. }
        | Op::Shift { input, .. } => new(input),
    }
}

/// The new name of a value; operands of a live node are live.
fn renamed(value: ValueId, map: &[Option<ValueId>]) -> ValueId {
    map.get(value as usize).copied().flatten().unwrap_or(value)
}

/// A count as `u32`; saturates, and `Model::check` refuses what is that large.
fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
