//! What makes a graph and a model valid. Everything past this check may be trusted: a model that
//! passes runs on every input in its declared range without overflow, and can always be proved.

use std::collections::BTreeSet;

use crate::{
    Constant, ConstantId, Elements, Graph, Input, MAX_LIST, MAX_MAGNITUDE, MAX_MULTIPLIER,
    MAX_NODES, MAX_PORTS, MAX_RANK, MAX_SCALE_SHIFT, MAX_TABLES, MAX_TENSOR, MAX_TERMS,
    MAX_WEIGHTS, MAX_WINDOW_BITS, Model, Node, Op, Range, Scale, Shape, TABLE_BITS, Table, TableId,
    ValueId, bounds, infer,
};

/// Why a graph or a model is refused; `node` counts from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    #[error("a graph has between 1 and {MAX_NODES} nodes, this one has {0}")]
    NodeCount(usize),
    #[error("a graph has between 1 and {MAX_PORTS} {what}, this one has {count}")]
    PortCount { what: &'static str, count: usize },
    #[error("{place}: shape {shape} needs at most {MAX_RANK} dimensions, none of them 0")]
    Rank { place: Place, shape: Shape },
    #[error(
        "{place}: shape {shape} has more than {MAX_TENSOR} elements, axes padded to powers of two"
    )]
    TensorSize { place: Place, shape: Shape },
    #[error("{place}: range {range} is empty or reaches {MAX_MAGNITUDE} in magnitude")]
    Range { place: Place, range: Range },
    #[error("{place}: range {range} does not contain 0")]
    WithoutZero { place: Place, range: Range },
    #[error("{place}: scale needs a multiplier of at least 1 and a shift of at most 62")]
    Scale { place: Place },
    #[error("node {node}: operand {operand} is not an earlier value")]
    Operand { node: usize, operand: ValueId },
    #[error("value {0} is used by no node and is no output")]
    Unused(ValueId),
    #[error("output {output} is value {value}, which does not exist")]
    Output { output: usize, value: ValueId },
    #[error("node {node}: constant {actual} where {expected} is next in order")]
    ConstantOrder {
        node: usize,
        expected: usize,
        actual: ConstantId,
    },
    #[error("node {node}: a constant's shape is given, not computed")]
    ConstantShape { node: usize },
    #[error("node {node}: table {actual} where {next} is the next new one")]
    TableOrder {
        node: usize,
        next: usize,
        actual: TableId,
    },
    #[error("node {node}: table {table} has other bits or another range than at its first use")]
    TableConflict { node: usize, table: TableId },
    #[error("node {node} ({op}): shape is {actual}, needed is {expected}")]
    ShapeMismatch {
        node: usize,
        op: &'static str,
        expected: String,
        actual: Shape,
    },
    #[error("node {node}: shapes {a} and {b} do not share {batch} batch and {inner} inner axes")]
    MatMulAxes {
        node: usize,
        a: Shape,
        b: Shape,
        batch: u8,
        inner: u8,
    },
    #[error("node {node}: axes {axes:?} of {shape} cannot be summed: existing axes, rising")]
    SumAxes {
        node: usize,
        shape: Shape,
        axes: Vec<u8>,
    },
    #[error("node {node}: view of axis {axis}: {rule}")]
    View {
        node: usize,
        axis: usize,
        rule: &'static str,
    },
    #[error("node {node}: lists of all views together have more than {MAX_LIST} entries")]
    TooManyListEntries { node: usize },
    #[error("node {node}: {count} terms, between 1 and {MAX_TERMS} are possible")]
    Terms { node: usize, count: usize },
    #[error("node {node}: value {value} is a term twice")]
    RepeatedTerm { node: usize, value: ValueId },
    #[error("node {node}: multiplier {multiplier} is 0 or reaches {MAX_MULTIPLIER} in magnitude")]
    Multiplier { node: usize, multiplier: i32 },
    #[error("node {node}: a table of {bits} bits is outside {TABLE_BITS:?}")]
    TableBits { node: usize, bits: u8 },
    #[error("node {node}: results {range} of a table are empty or too large")]
    TableRange { node: usize, range: Range },
    #[error(
        "node {node}: values in {range} do not fit a shift of {shift} and a window of {bits} bits \
         (|v| + 2^(s-1) < 2^(t-1+s), t + s <= {MAX_WINDOW_BITS})"
    )]
    Window {
        node: usize,
        range: Range,
        shift: u8,
        bits: u8,
    },
    #[error("node {node}: result can reach {MAX_MAGNITUDE} in magnitude")]
    TooLarge { node: usize },
    #[error("node {node}: declared range {declared}, computed {computed}")]
    RangeMismatch {
        node: usize,
        declared: Range,
        computed: Range,
    },
    #[error("the model has {actual} {what}, its graph names {expected}")]
    WeightCount {
        what: &'static str,
        expected: usize,
        actual: usize,
    },
    #[error("constant {constant}: {actual} {part}, expected {expected}")]
    ConstantLength {
        constant: usize,
        part: &'static str,
        expected: usize,
        actual: usize,
    },
    #[error("constant {constant}: its elements fit a narrower width")]
    ConstantWidth { constant: usize },
    #[error("constant {constant}: multipliers are at least 1, and none are written when all are 1")]
    ConstantMultipliers { constant: usize },
    #[error("table {table}: {actual} entries, expected {expected}")]
    TableLength {
        table: usize,
        expected: usize,
        actual: usize,
    },
    #[error("table {table}: entries lie in {computed}, declared is {declared}")]
    TableMismatch {
        table: usize,
        declared: Range,
        computed: Range,
    },
    #[error("table {table} has the entries of an earlier one")]
    RepeatedTable { table: usize },
    #[error("the model has more than {MAX_WEIGHTS} elements of constants")]
    TooManyWeights,
    #[error("the model has more than {MAX_TABLES} tables")]
    TooManyTables,
}

/// Where a property of a tensor is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A declared input.
    Input(usize),
    /// The result of a node.
    Node(usize),
    /// A declared output.
    Output(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input(input) => write!(f, "input {input}"),
            Self::Node(node) => write!(f, "node {node}"),
            Self::Output(output) => write!(f, "output {output}"),
        }
    }
}

impl Graph {
    /// Checks all that can be known without weights: order of operands, shapes, sizes, ranges,
    /// bounds of every `Lookup` and `Shift`. Declared ranges of constants and of their products,
    /// and the ends of explicit tables, are taken as given here.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, with the node's index.
    pub fn validate(&self) -> Result<(), CheckError> {
        if self.nodes.is_empty() || self.nodes.len() > MAX_NODES {
            return Err(CheckError::NodeCount(self.nodes.len()));
        }
        for (what, count) in [
            ("inputs", self.inputs.len()),
            ("outputs", self.outputs.len()),
        ] {
            if count == 0 || count > MAX_PORTS {
                return Err(CheckError::PortCount { what, count });
            }
        }
        for (index, input) in self.inputs.iter().enumerate() {
            check_input(index, input)?;
        }
        let mut walk = Walk {
            graph: self,
            used: vec![false; self.value_count()],
            constants: 0,
            elements: 0,
            lists: 0,
            tables: Vec::new(),
        };
        for (index, node) in self.nodes.iter().enumerate() {
            walk.check_node(index, node)?;
        }
        for (index, output) in self.outputs.iter().enumerate() {
            check_scale(output.scale, Place::Output(index))?;
            match walk.used.get_mut(output.value as usize) {
                Some(used) => *used = true,
                None => {
                    return Err(CheckError::Output {
                        output: index,
                        value: output.value,
                    });
                }
            }
        }
        match walk.used.iter().position(|used| !used) {
            Some(value) => Err(CheckError::Unused(u32::try_from(value).unwrap_or(u32::MAX))),
            None => Ok(()),
        }
    }

    /// Every explicit table of a valid graph, indexed by [`TableId`].
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let mut tables = Vec::new();
        for node in &self.nodes {
            if let Op::Lookup { table, .. } = &node.op
                && let Table::Explicit { table: id, .. } = table
                && *id as usize == tables.len()
            {
                tables.push(*table);
            }
        }
        tables
    }
}

impl Model {
    /// Checks the whole model: the graph, lengths and canonical form of the weights, and that
    /// every declared range is the one computed from the input ranges and the weights.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, with the index of the node, constant or table.
    pub fn check(&self) -> Result<(), CheckError> {
        self.graph.validate()?;
        let tables = self.graph.tables();
        for (what, expected, actual) in [
            (
                "constants",
                self.graph.constants().count(),
                self.weights.constants.len(),
            ),
            ("tables", tables.len(), self.weights.tables.len()),
        ] {
            if expected != actual {
                return Err(CheckError::WeightCount {
                    what,
                    expected,
                    actual,
                });
            }
        }
        let constants = self.graph.constants().zip(&self.weights.constants);
        for (index, (node, constant)) in constants.enumerate() {
            check_constant(index, constant, &node.shape)?;
        }
        self.check_tables(&tables)?;
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let computed =
                infer::weighted_range(&self.graph, &self.weights, index, &node.op, &node.shape)?;
            if let Some(computed) = computed {
                check_computed(index, node.range, computed)?;
            }
        }
        Ok(())
    }

    fn check_tables(&self, tables: &[Table]) -> Result<(), CheckError> {
        let mut contents = BTreeSet::new();
        for (index, (table, data)) in tables.iter().zip(&self.weights.tables).enumerate() {
            if data.values.len() != table.len() {
                return Err(CheckError::TableLength {
                    table: index,
                    expected: table.len(),
                    actual: data.values.len(),
                });
            }
            let declared = table.range();
            // Too large an entry is outside the declared range, whose ends are in bounds.
            let computed = Range {
                lo: data.values.iter().copied().min().unwrap_or(0),
                hi: data.values.iter().copied().max().unwrap_or(0),
            };
            if computed != declared {
                return Err(CheckError::TableMismatch {
                    table: index,
                    declared,
                    computed,
                });
            }
            if !contents.insert(data.values.as_slice()) {
                return Err(CheckError::RepeatedTable { table: index });
            }
        }
        Ok(())
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    /// Whether a value is read.
    used: Vec<bool>,
    constants: usize,
    elements: usize,
    lists: usize,
    /// Explicit tables in the order of their first use.
    tables: Vec<Table>,
}

impl Walk<'_> {
    fn check_node(&mut self, index: usize, node: &Node) -> Result<(), CheckError> {
        check_shape(&node.shape, Place::Node(index))?;
        check_range(node.range, Place::Node(index))?;
        for operand in node.op.operands() {
            infer::operand(self.graph, index, operand)?;
            if let Some(used) = self.used.get_mut(operand as usize) {
                *used = true;
            }
        }
        infer::count_list(&mut self.lists, index, &node.op)?;
        match &node.op {
            Op::Constant { constant } => return self.check_constant(index, *constant, node),
            Op::Lookup { table, .. } => self.check_table(index, *table)?,
            _ => {}
        }
        let expected = infer::shape(self.graph, index, &node.op)?;
        if expected != node.shape {
            return Err(CheckError::ShapeMismatch {
                node: index,
                op: node.op.name(),
                expected: expected.to_string(),
                actual: node.shape.clone(),
            });
        }
        match infer::range(self.graph, index, &node.op)? {
            Some(computed) => check_computed(index, node.range, computed),
            None => Ok(()),
        }
    }

    fn check_constant(
        &mut self,
        index: usize,
        constant: ConstantId,
        node: &Node,
    ) -> Result<(), CheckError> {
        if constant as usize != self.constants {
            return Err(CheckError::ConstantOrder {
                node: index,
                expected: self.constants,
                actual: constant,
            });
        }
        self.constants = self.constants.saturating_add(1);
        self.elements = self.elements.saturating_add(node.shape.elements());
        if self.elements > MAX_WEIGHTS {
            return Err(CheckError::TooManyWeights);
        }
        Ok(())
    }

    fn check_table(&mut self, node: usize, table: Table) -> Result<(), CheckError> {
        let Table::Explicit { table: id, .. } = table else {
            return Ok(());
        };
        infer::check_table(node, &table)?;
        match self.tables.get(id as usize) {
            Some(first) if *first != table => Err(CheckError::TableConflict { node, table: id }),
            Some(_) => Ok(()),
            None if id as usize != self.tables.len() => Err(CheckError::TableOrder {
                node,
                next: self.tables.len(),
                actual: id,
            }),
            None if self.tables.len() >= MAX_TABLES => Err(CheckError::TooManyTables),
            None => {
                self.tables.push(table);
                Ok(())
            }
        }
    }
}

pub(crate) fn check_input(index: usize, input: &Input) -> Result<(), CheckError> {
    let place = Place::Input(index);
    check_shape(&input.shape, place)?;
    check_range(input.range, place)?;
    check_scale(input.scale, place)?;
    if !input.range.contains(0) {
        return Err(CheckError::WithoutZero {
            place,
            range: input.range,
        });
    }
    Ok(())
}

pub(crate) fn check_shape(shape: &Shape, place: Place) -> Result<(), CheckError> {
    if shape.rank() > MAX_RANK || shape.0.contains(&0) {
        let shape = shape.clone();
        return Err(CheckError::Rank { place, shape });
    }
    if shape.padded() > MAX_TENSOR {
        let shape = shape.clone();
        return Err(CheckError::TensorSize { place, shape });
    }
    Ok(())
}

fn check_range(range: Range, place: Place) -> Result<(), CheckError> {
    match bounds::narrow(i64::from(range.lo), i64::from(range.hi)) {
        Some(_) => Ok(()),
        None => Err(CheckError::Range { place, range }),
    }
}

fn check_scale(scale: Scale, place: Place) -> Result<(), CheckError> {
    if scale.multiplier == 0 || scale.shift > MAX_SCALE_SHIFT {
        return Err(CheckError::Scale { place });
    }
    Ok(())
}

fn check_computed(node: usize, declared: Range, computed: Range) -> Result<(), CheckError> {
    if declared != computed {
        return Err(CheckError::RangeMismatch {
            node,
            declared,
            computed,
        });
    }
    Ok(())
}

/// Lengths and canonical form of one constant.
pub(crate) fn check_constant(
    index: usize,
    constant: &Constant,
    shape: &Shape,
) -> Result<(), CheckError> {
    let length = |part, actual, expected| {
        if actual == expected {
            return Ok(());
        }
        Err(CheckError::ConstantLength {
            constant: index,
            part,
            expected,
            actual,
        })
    };
    length("elements", constant.elements.len(), shape.elements())?;
    let narrower = match &constant.elements {
        Elements::I8(_) => false,
        Elements::I16(v) => v.iter().all(|&e| i8::try_from(e).is_ok()),
        Elements::I32(v) => v.iter().all(|&e| i16::try_from(e).is_ok()),
    };
    if narrower {
        return Err(CheckError::ConstantWidth { constant: index });
    }
    let multipliers = &constant.multipliers;
    if multipliers.is_empty() {
        return Ok(());
    }
    length("multipliers", multipliers.len(), shape.last() as usize)?;
    if multipliers.contains(&0) || multipliers.iter().all(|&m| m == 1) {
        return Err(CheckError::ConstantMultipliers { constant: index });
    }
    Ok(())
}
