//! What makes a graph and a model valid. Everything past this check may be trusted: a model that
//! passes runs on every input in its declared range without overflow, and can always be proved.

use crate::{
    Graph, LinearWeights, MAX_MAGNITUDE, MAX_MULTIPLIER, MAX_NODES, MAX_RANK, MAX_SCALE_SHIFT,
    MAX_TENSOR, MAX_WEIGHTS, MAX_WINDOW_BITS, Model, Node, Op, Range, Scale, Shape, TABLE_BITS,
    Table, ValueId, bounds,
};

/// Why a graph or a model is refused; `node` counts from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    #[error("a graph has between 1 and {MAX_NODES} nodes, this one has {0}")]
    NodeCount(usize),
    #[error("{place}: shape {shape} needs 1 to {MAX_RANK} dimensions, none of them 0")]
    Rank { place: Place, shape: Shape },
    #[error("{place}: shape {shape} has more than {MAX_TENSOR} elements")]
    TensorSize { place: Place, shape: Shape },
    #[error("{place}: range {range} is empty or reaches {MAX_MAGNITUDE} in magnitude")]
    Range { place: Place, range: Range },
    #[error("{place}: scale needs a multiplier of at least 1 and a shift of at most 62")]
    Scale { place: Place },
    #[error("node {node}: operand {operand} is not an earlier value")]
    Operand { node: usize, operand: ValueId },
    #[error("value {0} is used by no node")]
    Unused(ValueId),
    #[error("the output is value {actual}, it must be the last one, {expected}")]
    Output { expected: usize, actual: ValueId },
    #[error("node {node}: weight {actual} where {expected} is next in order")]
    WeightOrder {
        node: usize,
        expected: usize,
        actual: u32,
    },
    #[error("node {node} ({op}): shape is {actual}, the operands need {expected}")]
    ShapeMismatch {
        node: usize,
        op: &'static str,
        expected: String,
        actual: Shape,
    },
    #[error("node {node}: multiplier {multiplier} is 0 or reaches {MAX_MULTIPLIER} in magnitude")]
    Multiplier { node: usize, multiplier: i32 },
    #[error("node {node}: a table of {bits} bits is outside {TABLE_BITS:?}")]
    TableBits { node: usize, bits: u8 },
    #[error("node {node}: clamp [{lo}, {hi}] is empty or leaves the table's window")]
    Clamp { node: usize, lo: i32, hi: i32 },
    #[error(
        "node {node}: values in {range} do not fit a shift of {shift} and a table of {bits} bits \
         (|v| + 2^(s-1) < 2^(t-1+s), t + s <= {MAX_WINDOW_BITS})"
    )]
    RequantBound {
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
    #[error("the model has {actual} weight tensors, its graph names {expected}")]
    WeightCount { expected: usize, actual: usize },
    #[error("weight {weight}: {part} has {actual} elements, expected {expected}")]
    WeightLength {
        weight: usize,
        part: &'static str,
        expected: usize,
        actual: usize,
    },
    #[error("weight {weight}: multiplier of column {column} is {multiplier}, outside 1..2^15")]
    ColumnMultiplier {
        weight: usize,
        column: usize,
        multiplier: u16,
    },
    #[error("the model has more than {MAX_WEIGHTS} weights")]
    TooManyWeights,
}

/// Where a property of a tensor is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The declared input.
    Input,
    /// The result of a node.
    Node(usize),
    /// The declared output.
    Output,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Node(node) => write!(f, "node {node}"),
            Self::Output => f.write_str("output"),
        }
    }
}

impl Graph {
    /// Checks all that can be known without weights: order of operands, shapes, sizes, ranges
    /// (a `Linear`'s declared range is taken as given here), bounds of every `Requant`.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, with the node's index.
    pub fn validate(&self) -> Result<(), CheckError> {
        if self.nodes.is_empty() || self.nodes.len() > MAX_NODES {
            return Err(CheckError::NodeCount(self.nodes.len()));
        }
        check_shape(&self.input.shape, Place::Input)?;
        check_range(self.input.range, Place::Input)?;
        check_scale(self.input.scale, Place::Input)?;
        check_scale(self.output_scale, Place::Output)?;
        if self.output as usize != self.nodes.len() {
            return Err(CheckError::Output {
                expected: self.nodes.len(),
                actual: self.output,
            });
        }
        let mut walk = Walk {
            graph: self,
            used: vec![false; self.nodes.len()],
            weights: 0,
            weight_elements: 0,
        };
        for (index, node) in self.nodes.iter().enumerate() {
            walk.check_node(index, node)?;
        }
        match walk.used.iter().position(|used| !used) {
            Some(value) => Err(CheckError::Unused(u32::try_from(value).unwrap_or(u32::MAX))),
            None => Ok(()),
        }
    }
}

impl Model {
    /// Checks the whole model: the graph, lengths of the weights, multipliers, and that every
    /// declared range is the one computed from the input range and the weights.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, with the node's or the weight's index.
    pub fn check(&self) -> Result<(), CheckError> {
        self.graph.validate()?;
        let expected = self.graph.linears().count();
        if self.weights.linear.len() != expected {
            return Err(CheckError::WeightCount {
                expected,
                actual: self.weights.linear.len(),
            });
        }
        for (node, step) in self.graph.nodes.iter().enumerate() {
            let Op::Linear {
                input,
                weight,
                inner,
                cols,
                ..
            } = step.op
            else {
                continue;
            };
            let index = weight as usize;
            let (Some(weights), Some(range)) =
                (self.weights.linear.get(index), self.graph.range(input))
            else {
                return Err(CheckError::Operand {
                    node,
                    operand: input,
                });
            };
            check_weights(index, weights, inner as usize, cols as usize)?;
            let computed = bounds::linear(range, weights, cols as usize)
                .ok_or(CheckError::TooLarge { node })?;
            check_computed(node, step.range, computed)?;
        }
        Ok(())
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    /// Whether a value is read; the output is not counted.
    used: Vec<bool>,
    weights: usize,
    weight_elements: usize,
}

impl Walk<'_> {
    /// Shape and range of an operand, which must be earlier than `node`.
    fn operand(&mut self, node: usize, operand: ValueId) -> Result<(&Shape, Range), CheckError> {
        let error = CheckError::Operand { node, operand };
        if operand as usize > node {
            return Err(error);
        }
        if let Some(used) = self.used.get_mut(operand as usize) {
            *used = true;
        }
        match (self.graph.shape(operand), self.graph.range(operand)) {
            (Some(shape), Some(range)) => Ok((shape, range)),
            _ => Err(error),
        }
    }

    fn check_node(&mut self, index: usize, node: &Node) -> Result<(), CheckError> {
        check_shape(&node.shape, Place::Node(index))?;
        check_range(node.range, Place::Node(index))?;
        match &node.op {
            Op::Linear {
                input,
                weight,
                rows,
                inner,
                cols,
            } => {
                if *weight as usize != self.weights {
                    return Err(CheckError::WeightOrder {
                        node: index,
                        expected: self.weights,
                        actual: *weight,
                    });
                }
                self.weights = self.weights.saturating_add(1);
                self.weight_elements = self
                    .weight_elements
                    .saturating_add((*inner as usize).saturating_mul(*cols as usize));
                if self.weight_elements > MAX_WEIGHTS {
                    return Err(CheckError::TooManyWeights);
                }
                let (shape, _) = self.operand(index, *input)?;
                let input_fits = shape.last() == *inner
                    && shape.elements() == (*rows as usize).saturating_mul(*inner as usize);
                let mut expected = shape.clone();
                if let Some(last) = expected.0.last_mut() {
                    *last = *cols;
                }
                if !input_fits || expected != node.shape {
                    return Err(mismatch(
                        index,
                        node,
                        format!("{expected}, rows x inner = {rows} x {inner}"),
                    ));
                }
                Ok(())
            }
            Op::Add {
                a,
                b,
                multiplier_a,
                multiplier_b,
            } => {
                check_multiplier(index, *multiplier_a)?;
                check_multiplier(index, *multiplier_b)?;
                let (shape_a, range_a) = self.operand(index, *a)?;
                let same = *shape_a == node.shape;
                let expected = shape_a.to_string();
                let (shape_b, range_b) = self.operand(index, *b)?;
                if !same || *shape_b != node.shape {
                    return Err(mismatch(
                        index,
                        node,
                        format!("{expected} and {shape_b} alike"),
                    ));
                }
                let computed = bounds::add(range_a, *multiplier_a, range_b, *multiplier_b)
                    .ok_or(CheckError::TooLarge { node: index })?;
                check_computed(index, node.range, computed)
            }
            Op::Requant {
                input,
                shift,
                table,
            } => {
                check_table(index, table)?;
                let (shape, range) = self.operand(index, *input)?;
                if *shape != node.shape {
                    return Err(mismatch(index, node, shape.to_string()));
                }
                let computed =
                    bounds::requant(range, *shift, table).ok_or(CheckError::RequantBound {
                        node: index,
                        range,
                        shift: *shift,
                        bits: table.bits(),
                    })?;
                check_computed(index, node.range, computed)
            }
            Op::Reshape { input, shape } => {
                let (from, range) = self.operand(index, *input)?;
                if *shape != node.shape || from.elements() != shape.elements() {
                    return Err(mismatch(
                        index,
                        node,
                        format!("{} elements", from.elements()),
                    ));
                }
                check_computed(index, node.range, range)
            }
        }
    }
}

fn mismatch(index: usize, node: &Node, expected: String) -> CheckError {
    CheckError::ShapeMismatch {
        node: index,
        op: node.op.name(),
        expected,
        actual: node.shape.clone(),
    }
}

fn check_shape(shape: &Shape, place: Place) -> Result<(), CheckError> {
    if shape.0.is_empty() || shape.0.len() > MAX_RANK || shape.0.contains(&0) {
        return Err(CheckError::Rank {
            place,
            shape: shape.clone(),
        });
    }
    if shape.elements() > MAX_TENSOR {
        return Err(CheckError::TensorSize {
            place,
            shape: shape.clone(),
        });
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

fn check_multiplier(node: usize, multiplier: i32) -> Result<(), CheckError> {
    if multiplier == 0 || multiplier.unsigned_abs() >= MAX_MULTIPLIER.unsigned_abs() {
        return Err(CheckError::Multiplier { node, multiplier });
    }
    Ok(())
}

fn check_table(node: usize, table: &Table) -> Result<(), CheckError> {
    if !TABLE_BITS.contains(&table.bits()) {
        return Err(CheckError::TableBits {
            node,
            bits: table.bits(),
        });
    }
    match *table {
        Table::Clamp { lo, hi, .. } => {
            let first = table.first_index();
            if lo > hi || lo < first || hi >= first.saturating_neg() {
                return Err(CheckError::Clamp { node, lo, hi });
            }
        }
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

/// Lengths of one `Linear`'s parameters and the limits of its multipliers.
pub(crate) fn check_weights(
    weight: usize,
    weights: &LinearWeights,
    inner: usize,
    cols: usize,
) -> Result<(), CheckError> {
    let length = |part, actual, expected| {
        if actual == expected {
            return Ok(());
        }
        Err(CheckError::WeightLength {
            weight,
            part,
            expected,
            actual,
        })
    };
    length("w", weights.w.len(), inner.saturating_mul(cols))?;
    length("b", weights.b.len(), cols)?;
    length("m", weights.m.len(), cols)?;
    let bad = |&m: &u16| m == 0 || i32::from(m) >= MAX_MULTIPLIER;
    match weights.m.iter().position(bad) {
        Some(column) => Err(CheckError::ColumnMultiplier {
            weight,
            column,
            multiplier: weights.m.get(column).copied().unwrap_or(0),
        }),
        None => Ok(()),
    }
}
