//! Builds a model step by step; shapes and ranges are computed, never given.

use crate::{
    CheckError, Graph, Input, LinearWeights, Model, Node, Op, Range, Scale, Shape, Table, ValueId,
    Weights, bounds, check,
};

/// A model under construction. Each method appends a node and returns the value it defines.
///
/// ```
/// use hallmark_graph::{Builder, Input, LinearWeights, Range, Scale, Shape, Table};
/// let scale = Scale { multiplier: 1, shift: 0 };
/// let mut builder = Builder::new(Input {
///     shape: Shape(vec![1, 2]),
///     range: Range { lo: -8, hi: 8 },
///     scale,
/// });
/// let weights = LinearWeights { w: vec![1, -1], b: vec![3], m: vec![100] };
/// let v = builder.linear(0, weights)?;
/// builder.requant(v, 4, Table::Clamp { bits: 12, lo: 0, hi: 127 })?;
/// let model = builder.finish(scale)?;
/// assert_eq!(hallmark_graph::reference::run(&model, &[5, 2])?, [38]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    graph: Graph,
    weights: Weights,
}

impl Builder {
    /// An empty model over `input`.
    #[must_use]
    pub fn new(input: Input) -> Self {
        let output_scale = input.scale;
        Self {
            graph: Graph {
                input,
                nodes: Vec::new(),
                output: 0,
                output_scale,
            },
            weights: Weights::default(),
        }
    }

    /// The graph so far.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Appends a `Linear` over the last dimension of `input`; `cols` is the length of the bias.
    ///
    /// # Errors
    ///
    /// When lengths do not fit the input's last dimension, or the result can be too large.
    pub fn linear(
        &mut self,
        input: ValueId,
        weights: LinearWeights,
    ) -> Result<ValueId, CheckError> {
        let (from, range) = self.operand(input)?;
        let node = self.graph.nodes.len();
        let weight = self.weights.linear.len();
        let (inner, cols) = (from.last() as usize, weights.b.len());
        check::check_weights(weight, &weights, inner, cols)?;
        let rows = from.elements().checked_div(inner).unwrap_or(0);
        let mut shape = from.clone();
        if let Some(last) = shape.0.last_mut() {
            *last = dimension(cols);
        }
        let range = bounds::linear(range, &weights, cols).ok_or(CheckError::TooLarge { node })?;
        self.weights.linear.push(weights);
        let op = Op::Linear {
            input,
            weight: dimension(weight),
            rows: dimension(rows),
            inner: dimension(inner),
            cols: dimension(cols),
        };
        Ok(self.push(op, shape, range))
    }

    /// Appends `multiplier_a · a + multiplier_b · b`.
    ///
    /// # Errors
    ///
    /// When an operand does not exist, or the result can be too large.
    pub fn add(
        &mut self,
        (a, multiplier_a): (ValueId, i32),
        (b, multiplier_b): (ValueId, i32),
    ) -> Result<ValueId, CheckError> {
        let (shape, range_a) = self.operand(a)?;
        let (_, range_b) = self.operand(b)?;
        let node = self.graph.nodes.len();
        let range = bounds::add(range_a, multiplier_a, range_b, multiplier_b)
            .ok_or(CheckError::TooLarge { node })?;
        let op = Op::Add {
            a,
            b,
            multiplier_a,
            multiplier_b,
        };
        Ok(self.push(op, shape, range))
    }

    /// Appends a requantisation.
    ///
    /// # Errors
    ///
    /// When the values of `input` do not fit the table's window.
    pub fn requant(
        &mut self,
        input: ValueId,
        shift: u8,
        table: Table,
    ) -> Result<ValueId, CheckError> {
        let (shape, range) = self.operand(input)?;
        let range = bounds::requant(range, shift, &table).ok_or(CheckError::RequantBound {
            node: self.graph.nodes.len(),
            range,
            shift,
            bits: table.bits(),
        })?;
        let op = Op::Requant {
            input,
            shift,
            table,
        };
        Ok(self.push(op, shape, range))
    }

    /// Appends a change of shape.
    ///
    /// # Errors
    ///
    /// When the operand does not exist; a wrong shape is refused by [`Builder::finish`].
    pub fn reshape(&mut self, input: ValueId, shape: Shape) -> Result<ValueId, CheckError> {
        let (_, range) = self.operand(input)?;
        let op = Op::Reshape {
            input,
            shape: shape.clone(),
        };
        Ok(self.push(op, shape, range))
    }

    /// The checked model, whose output is the last value.
    ///
    /// # Errors
    ///
    /// Whatever [`Model::check`] refuses.
    pub fn finish(mut self, output_scale: Scale) -> Result<Model, CheckError> {
        self.graph.output = dimension(self.graph.nodes.len());
        self.graph.output_scale = output_scale;
        let model = Model {
            graph: self.graph,
            weights: self.weights,
        };
        model.check()?;
        Ok(model)
    }

    fn operand(&self, operand: ValueId) -> Result<(Shape, Range), CheckError> {
        match (self.graph.shape(operand), self.graph.range(operand)) {
            (Some(shape), Some(range)) => Ok((shape.clone(), range)),
            _ => Err(CheckError::Operand {
                node: self.graph.nodes.len(),
                operand,
            }),
        }
    }

    fn push(&mut self, op: Op, shape: Shape, range: Range) -> ValueId {
        self.graph.nodes.push(Node { op, shape, range });
        dimension(self.graph.nodes.len())
    }
}

/// A count as `u32`; saturates, and `Model::check` refuses what is that large.
fn dimension(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
