//! Walks the nodes in order and lowers each to at most one step of the float graph.

use std::collections::{BTreeMap, BTreeSet};

use hallmark_graph::{MAX_NODES, MAX_RANK, MAX_TENSOR};

use super::constant::{
    Constant, MAX_FLOAT_WEIGHTS, add_bias, constant, elements, floats, integers, matrix,
};
use super::node::{Attributes, Site, site};
use super::shape::{check_output, input_shape, target_shape};
use super::{ImportOptions, is_standard};
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::{FloatGraph, FloatNode, FloatOp, ImportError};

/// What a name stands for.
#[derive(Clone, Debug)]
enum Symbol {
    /// A value of the float graph.
    Value(usize),
    Constant(Constant),
}

pub(super) struct Importer {
    symbols: BTreeMap<String, Symbol>,
    nodes: Vec<FloatNode>,
    input_shape: Vec<usize>,
    /// How often a name is read, by nodes and as the graph's output.
    uses: BTreeMap<String, usize>,
    /// Every name that some node defines, earlier or later.
    defined: BTreeSet<String>,
    /// For each value, how many names it has and how often they are read.
    names: Vec<Names>,
    weights: usize,
}

#[derive(Clone, Copy, Default)]
struct Names {
    count: usize,
    reads: usize,
}

impl Importer {
    pub(super) fn new(graph: &GraphProto) -> Result<Self, ImportError> {
        let mut uses = BTreeMap::new();
        let reads = graph.node.iter().flat_map(|node| &node.input);
        for name in reads.chain(graph.output.iter().map(|value| &value.name)) {
            *uses.entry(name.clone()).or_insert(0usize) += 1;
        }
        let mut defined = BTreeSet::new();
        for (index, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                if !defined.insert(name.clone()) {
                    return Err(site(index, node).refuse(format!("defines {name:?} a second time")));
                }
            }
        }
        Ok(Self {
            symbols: BTreeMap::new(),
            nodes: Vec::new(),
            input_shape: Vec::new(),
            uses,
            defined,
            names: Vec::new(),
            weights: 0,
        })
    }

    pub(super) fn run(
        mut self,
        graph: GraphProto,
        options: ImportOptions,
    ) -> Result<FloatGraph, ImportError> {
        if graph.node.len() > MAX_NODES {
            return Err(ImportError::TooMany {
                what: "nodes",
                limit: MAX_NODES,
            });
        }
        if !graph.sparse_initializer.is_empty() {
            return Err(ImportError::Model(
                "sparse initializers are not supported".into(),
            ));
        }
        for tensor in graph.initializer {
            let name = tensor.name.clone();
            let constant = constant(tensor, &name)?;
            self.define(&name, Symbol::Constant(constant))?;
        }
        let input_name = self.read_input(&graph.input, options)?;
        for (index, node) in graph.node.iter().enumerate() {
            self.node(&site(index, node), node)?;
        }
        self.finish(input_name, &graph.output)
    }

    fn define(&mut self, name: &str, symbol: Symbol) -> Result<(), ImportError> {
        if name.is_empty() {
            return Err(ImportError::Model(
                "a tensor of the graph has no name".into(),
            ));
        }
        if let Symbol::Value(value) = symbol {
            if self.names.len() <= value {
                self.names.resize(value + 1, Names::default());
            }
            self.names[value].count += 1;
            self.names[value].reads += self.uses.get(name).copied().unwrap_or(0);
        }
        if self.symbols.insert(name.to_owned(), symbol).is_some() {
            return Err(ImportError::Tensor {
                name: name.to_owned(),
                reason: "is defined twice".into(),
            });
        }
        Ok(())
    }

    /// Defines the one input that is no initializer, and returns its name.
    fn read_input(
        &mut self,
        inputs: &[ValueInfoProto],
        options: ImportOptions,
    ) -> Result<String, ImportError> {
        // Before IR version 4, initializers are listed among the inputs too.
        let free: Vec<_> = inputs
            .iter()
            .filter(|value| !self.symbols.contains_key(&value.name))
            .collect();
        let [input] = free[..] else {
            let names: Vec<_> = free
                .iter()
                .take(8)
                .map(|value| value.name.as_str())
                .collect();
            return Err(ImportError::Model(format!(
                "the model has {} inputs {names:?}, exactly one is supported",
                free.len()
            )));
        };
        self.input_shape = input_shape(input, options)?;
        self.define(&input.name, Symbol::Value(0))?;
        Ok(input.name.clone())
    }

    fn node(&mut self, site: &Site<'_>, node: &NodeProto) -> Result<(), ImportError> {
        let supported = [
            "MatMul",
            "Gemm",
            "Add",
            "Relu",
            "Reshape",
            "Flatten",
            "Squeeze",
            "Unsqueeze",
            "Identity",
            "Constant",
        ];
        if !is_standard(&node.domain) || !supported.contains(&node.op_type.as_str()) {
            let op = match is_standard(&node.domain) {
                true => node.op_type.clone(),
                false => format!("{}.{}", node.domain, node.op_type),
            };
            return Err(ImportError::Operator {
                op,
                node: site.name.clone(),
            });
        }
        let [output] = &node.output[..] else {
            return Err(site.refuse("must have exactly one output"));
        };
        let mut operands = Vec::with_capacity(node.input.len().min(3));
        if node.input.len() > 3 {
            return Err(site.refuse(format!("has {} inputs", node.input.len())));
        }
        for name in &node.input {
            operands.push(self.operand(site, name)?);
        }
        let attributes = Attributes::new(site, node)?;
        let symbol = match (node.op_type.as_str(), &operands[..]) {
            ("Constant", []) => Symbol::Constant(attributes.value(site, output)?),
            ("Identity", [Some(symbol)]) => symbol.clone(),
            ("MatMul", [Some(Symbol::Value(x)), Some(Symbol::Constant(w))]) => {
                self.matmul(site, *x, w)?
            }
            ("Gemm", [Some(Symbol::Value(x)), Some(Symbol::Constant(w))]) => {
                self.gemm(site, *x, w, None, &attributes)?
            }
            ("Gemm", [Some(Symbol::Value(x)), Some(Symbol::Constant(w)), None]) => {
                self.gemm(site, *x, w, None, &attributes)?
            }
            (
                "Gemm",
                [
                    Some(Symbol::Value(x)),
                    Some(Symbol::Constant(w)),
                    Some(Symbol::Constant(c)),
                ],
            ) => self.gemm(site, *x, w, Some(c), &attributes)?,
            ("Add", [Some(Symbol::Value(a)), Some(Symbol::Value(b))]) => self.add(site, *a, *b)?,
            ("Add", [Some(Symbol::Value(x)), Some(Symbol::Constant(c))]) => {
                self.bias(site, *x, c)?
            }
            ("Add", [Some(Symbol::Constant(c)), Some(Symbol::Value(x))]) => {
                self.bias(site, *x, c)?
            }
            ("Relu", [Some(Symbol::Value(x))]) => {
                let shape = self.shape(*x).to_vec();
                self.push(site, FloatOp::Relu { input: *x }, shape)?
            }
            ("Reshape" | "Flatten" | "Squeeze" | "Unsqueeze", [Some(data), rest @ ..]) => {
                self.reshape(site, data, rest, &attributes)?
            }
            ("MatMul" | "Gemm", _) => {
                return Err(
                    site.refuse("needs an activation as first operand and constants as the others")
                );
            }
            _ => return Err(site.refuse("operands of this kind or number are not supported")),
        };
        self.define(output, symbol)
    }

    /// The symbol of an operand; `None` for one that is left out.
    fn operand(&self, site: &Site<'_>, name: &str) -> Result<Option<Symbol>, ImportError> {
        if name.is_empty() {
            return Ok(None);
        }
        match self.symbols.get(name) {
            Some(symbol) => Ok(Some(symbol.clone())),
            None if self.defined.contains(name) => Err(site.refuse(format!(
                "reads {name:?}, which only a later node defines: a cycle, or nodes out of order"
            ))),
            None => Err(site.refuse(format!("reads {name:?}, which nothing defines"))),
        }
    }

    fn shape(&self, value: usize) -> &[usize] {
        match value.checked_sub(1).and_then(|node| self.nodes.get(node)) {
            Some(node) => &node.shape,
            None => &self.input_shape,
        }
    }

    fn push(
        &mut self,
        site: &Site<'_>,
        op: FloatOp,
        shape: Vec<usize>,
    ) -> Result<Symbol, ImportError> {
        if shape.is_empty() || shape.len() > MAX_RANK {
            return Err(site.refuse(format!(
                "result has {} dimensions, 1 to {MAX_RANK} are supported",
                shape.len()
            )));
        }
        match elements(&shape) {
            Some(count) if count > 0 && count <= MAX_TENSOR => {}
            _ => {
                return Err(site.refuse(format!(
                    "result of shape {shape:?} is empty or above {MAX_TENSOR} elements"
                )));
            }
        }
        self.nodes.push(FloatNode {
            name: site.name.clone(),
            op,
            shape,
        });
        Ok(Symbol::Value(self.nodes.len()))
    }

    fn linear(
        &mut self,
        site: &Site<'_>,
        input: usize,
        (inner, cols): (usize, usize),
        weight: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Symbol, ImportError> {
        let mut shape = self.shape(input).to_vec();
        if shape.last() != Some(&inner) || cols == 0 {
            return Err(site.refuse(format!(
                "a weight of {inner} x {cols} does not fit an operand of shape {shape:?}"
            )));
        }
        self.weights = self.weights.saturating_add(weight.len());
        if self.weights > MAX_FLOAT_WEIGHTS {
            return Err(ImportError::TooMany {
                what: "weights",
                limit: MAX_FLOAT_WEIGHTS,
            });
        }
        if !weight.iter().chain(&bias).all(|w| w.is_finite()) {
            return Err(site.refuse("scaled weights leave the range of float32"));
        }
        if let Some(last) = shape.last_mut() {
            *last = cols;
        }
        let op = FloatOp::Linear {
            input,
            weight,
            bias,
        };
        self.push(site, op, shape)
    }

    fn matmul(
        &mut self,
        site: &Site<'_>,
        input: usize,
        weight: &Constant,
    ) -> Result<Symbol, ImportError> {
        let (inner, cols) = matrix(site, weight)?;
        let data = floats(site, weight)?.to_vec();
        self.linear(site, input, (inner, cols), data, vec![0.0; cols])
    }

    fn gemm(
        &mut self,
        site: &Site<'_>,
        input: usize,
        weight: &Constant,
        bias: Option<&Constant>,
        attributes: &Attributes<'_>,
    ) -> Result<Symbol, ImportError> {
        if self.shape(input).len() != 2 {
            return Err(site.refuse(format!(
                "operand of shape {:?} is no matrix",
                self.shape(input)
            )));
        }
        if attributes.int("transA").unwrap_or(0) != 0 {
            return Err(site.refuse("transA = 1 is not supported"));
        }
        let alpha = attributes.float("alpha").unwrap_or(1.0);
        let beta = attributes.float("beta").unwrap_or(1.0);
        let (rows, columns) = matrix(site, weight)?;
        let data = floats(site, weight)?;
        let transposed = attributes.int("transB").unwrap_or(0) != 0;
        let (inner, cols) = match transposed {
            true => (columns, rows),
            false => (rows, columns),
        };
        let mut scaled = Vec::with_capacity(data.len());
        if transposed {
            for k in 0..inner {
                scaled.extend((0..cols).map(|n| data[n * inner + k] * alpha));
            }
        } else {
            scaled.extend(data.iter().map(|w| w * alpha));
        }
        let mut sums = vec![0.0; cols];
        if let Some(bias) = bias {
            add_bias(site, &mut sums, bias, beta)?;
        }
        self.linear(site, input, (inner, cols), scaled, sums)
    }

    fn add(&mut self, site: &Site<'_>, a: usize, b: usize) -> Result<Symbol, ImportError> {
        if self.shape(a) != self.shape(b) {
            return Err(site.refuse(format!(
                "shapes {:?} and {:?} differ; only equal shapes or a constant bias can be added",
                self.shape(a),
                self.shape(b)
            )));
        }
        let shape = self.shape(a).to_vec();
        self.push(site, FloatOp::Add { a, b }, shape)
    }

    /// A constant joins the bias of the linear map that it is added to.
    fn bias(
        &mut self,
        site: &Site<'_>,
        value: usize,
        constant: &Constant,
    ) -> Result<Symbol, ImportError> {
        // Each name but the first was made by one read; the one that is left is this addition.
        let names = self.names.get(value).copied().unwrap_or_default();
        let alone = names.reads == names.count;
        let node = value.checked_sub(1).and_then(|i| self.nodes.get_mut(i));
        match node {
            Some(FloatNode {
                op: FloatOp::Linear { bias, .. },
                ..
            }) if alone => {
                add_bias(site, bias, constant, 1.0)?;
                Ok(Symbol::Value(value))
            }
            _ => Err(site.refuse(
                "a constant can be added only to a MatMul or Gemm that nothing else reads",
            )),
        }
    }

    fn reshape(
        &mut self,
        site: &Site<'_>,
        data: &Symbol,
        rest: &[Option<Symbol>],
        attributes: &Attributes<'_>,
    ) -> Result<Symbol, ImportError> {
        let from = match data {
            Symbol::Value(value) => self.shape(*value).to_vec(),
            Symbol::Constant(constant) => constant.dims.clone(),
        };
        let argument = match rest {
            [] | [None] => None,
            [Some(Symbol::Constant(constant))] => Some(integers(site, constant)?),
            _ => return Err(site.refuse("its shape or axes must be one constant")),
        };
        let shape = target_shape(site, &from, argument, attributes)?;
        if elements(&shape).is_none() || elements(&shape) != elements(&from) {
            return Err(site.refuse(format!("{from:?} cannot become {shape:?}")));
        }
        match data {
            Symbol::Value(value) if shape == from => Ok(Symbol::Value(*value)),
            Symbol::Value(value) => self.push(site, FloatOp::Reshape { input: *value }, shape),
            Symbol::Constant(constant) => Ok(Symbol::Constant(Constant {
                dims: shape,
                ..constant.clone()
            })),
        }
    }

    /// Keeps what the output needs, in order.
    fn finish(
        self,
        input_name: String,
        outputs: &[ValueInfoProto],
    ) -> Result<FloatGraph, ImportError> {
        let [output] = outputs else {
            return Err(ImportError::Model(format!(
                "the model has {} outputs, exactly one is supported",
                outputs.len()
            )));
        };
        let last = match self.symbols.get(&output.name) {
            Some(Symbol::Value(value)) if *value > 0 => *value,
            Some(_) => {
                return Err(ImportError::Model(format!(
                    "output {:?} does not depend on the input through any operator",
                    output.name
                )));
            }
            None => {
                return Err(ImportError::Model(format!(
                    "output {:?} is defined by nothing",
                    output.name
                )));
            }
        };
        check_output(output, self.shape(last))?;
        let mut needed = vec![false; self.nodes.len() + 1];
        needed[last] = true;
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if needed[index + 1] {
                for operand in node.op.operands() {
                    needed[operand] = true;
                }
            }
        }
        let mut renamed = vec![0usize; self.nodes.len() + 1];
        let mut nodes = Vec::new();
        for (index, mut node) in self.nodes.into_iter().enumerate() {
            if !needed[index + 1] {
                continue;
            }
            match &mut node.op {
                FloatOp::Linear { input, .. }
                | FloatOp::Relu { input }
                | FloatOp::Reshape { input } => *input = renamed[*input],
                FloatOp::Add { a, b } => (*a, *b) = (renamed[*a], renamed[*b]),
            }
            nodes.push(node);
            renamed[index + 1] = nodes.len();
        }
        Ok(FloatGraph {
            input_name,
            input_shape: self.input_shape,
            output_name: output.name.clone(),
            nodes,
        })
    }
}
