//! Reads ONNX and lowers it to a [`FloatGraph`].
//!
//! The graph is taken as ONNX demands it: nodes in topological order, every name defined once.
//! Constants are resolved, a bias that is added after a `MatMul` joins it, operators that only
//! rename or reshape become at most one `Reshape`, and what the output does not need is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use hallmark_graph::{MAX_NODES, MAX_RANK, MAX_TENSOR};
use prost::Message;

use crate::proto::{
    self, AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};
use crate::{FloatGraph, FloatNode, FloatOp, ImportError};

/// Largest ONNX file that is read.
pub const MAX_ONNX_BYTES: u64 = 512 << 20;
/// Most weights of one model, shared tensors counted at each use.
const MAX_FLOAT_WEIGHTS: usize = 1 << 27;
/// Most nodes, tensors, values and attributes together.
const MAX_STRUCTURES: usize = 1 << 18;
/// Most dimensions of a constant; an operand of `Reshape` names no more.
const MAX_CONSTANT_RANK: usize = 8;
/// Operator sets whose semantics we know: broadcasting as it is began with 7.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// What a caller may allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Fix a leading symbolic dimension of the input to 1 instead of refusing it.
    pub fix_batch: bool,
}

/// Reads a file of at most [`MAX_ONNX_BYTES`] and imports it.
///
/// # Errors
///
/// A file that cannot be read or is too large, and whatever [`import`] refuses.
pub fn import_file(path: &Path, options: ImportOptions) -> Result<FloatGraph, ImportError> {
    let io = |source| ImportError::Io {
        path: path.display().to_string(),
        source,
    };
    let file = std::fs::File::open(path).map_err(io)?;
    let actual = file.metadata().map_err(io)?.len();
    let too_large = |actual| ImportError::FileTooLarge {
        actual,
        limit: MAX_ONNX_BYTES,
    };
    if actual > MAX_ONNX_BYTES {
        return Err(too_large(actual));
    }
    let mut bytes = Vec::new();
    // The length is not trusted: a pipe has none, and a file may grow.
    let read = file.take(MAX_ONNX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(io)?;
    if bytes.len() as u64 > MAX_ONNX_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    import(&bytes, options)
}

/// Imports a serialised `ModelProto`.
///
/// # Errors
///
/// Bytes that are no ONNX model, or a model that `docs/operators.md` does not cover; the message
/// names the node or the tensor.
pub fn import(bytes: &[u8], options: ImportOptions) -> Result<FloatGraph, ImportError> {
    if bytes.len() as u64 > MAX_ONNX_BYTES {
        return Err(ImportError::FileTooLarge {
            actual: bytes.len() as u64,
            limit: MAX_ONNX_BYTES,
        });
    }
    if proto::count_structures(bytes) > MAX_STRUCTURES {
        return Err(ImportError::TooMany {
            what: "nodes, tensors, values and attributes",
            limit: MAX_STRUCTURES,
        });
    }
    let model = ModelProto::decode(bytes).map_err(|e| ImportError::Protobuf(e.to_string()))?;
    check_opsets(&model)?;
    let Some(graph) = model.graph else {
        return Err(ImportError::Model("the file holds no graph".into()));
    };
    Importer::new(&graph)?.run(graph, options)
}

fn check_opsets(model: &ModelProto) -> Result<(), ImportError> {
    let mut standard = model
        .opset_import
        .iter()
        .filter(|set| is_standard(&set.domain));
    let version = match (standard.next(), standard.next()) {
        (Some(set), None) => set.version,
        _ => {
            return Err(ImportError::Model(
                "not an ONNX model: it must import the standard operator set once".into(),
            ));
        }
    };
    if !OPSETS.contains(&version) {
        return Err(ImportError::Model(format!(
            "operator set {version} is not supported, only {} to {}",
            OPSETS.start(),
            OPSETS.end()
        )));
    }
    Ok(())
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// What a name stands for.
#[derive(Clone, Debug)]
enum Symbol {
    /// A value of the float graph.
    Value(usize),
    Constant(Constant),
}

#[derive(Clone, Debug)]
struct Constant {
    name: String,
    /// At most [`MAX_CONSTANT_RANK`] of them.
    dims: Vec<usize>,
    /// Shared, so that a tensor that many nodes read is held once.
    data: Rc<Data>,
}

#[derive(Clone, Debug)]
enum Data {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// Where a refusal happened.
struct Site<'a> {
    op: &'a str,
    name: String,
}

impl Site<'_> {
    fn refuse(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Node {
            op: self.op.to_owned(),
            node: self.name.clone(),
            reason: reason.into(),
        }
    }
}

struct Importer {
    symbols: BTreeMap<String, Symbol>,
    nodes: Vec<FloatNode>,
    input_shape: Vec<usize>,
    /// How often a name is read, by nodes and as the graph's output.
    uses: BTreeMap<String, usize>,
    /// Every name that some node defines, earlier or later.
    defined: BTreeSet<String>,
    weights: usize,
}

impl Importer {
    fn new(graph: &GraphProto) -> Result<Self, ImportError> {
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
            weights: 0,
        })
    }

    fn run(mut self, graph: GraphProto, options: ImportOptions) -> Result<FloatGraph, ImportError> {
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
                self.bias(site, *x, &node.input[0], c)?
            }
            ("Add", [Some(Symbol::Constant(c)), Some(Symbol::Value(x))]) => {
                self.bias(site, *x, &node.input[1], c)?
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
        name: &str,
        constant: &Constant,
    ) -> Result<Symbol, ImportError> {
        let node = value.checked_sub(1).and_then(|i| self.nodes.get_mut(i));
        let alone = self.uses.get(name) == Some(&1);
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

/// A node's attributes by name, each at most once and each known to its operator.
struct Attributes<'a>(BTreeMap<&'a str, &'a AttributeProto>);

impl<'a> Attributes<'a> {
    fn new(site: &Site<'_>, node: &'a NodeProto) -> Result<Self, ImportError> {
        let known: &[&str] = match node.op_type.as_str() {
            "Gemm" => &["alpha", "beta", "transA", "transB"],
            "Flatten" => &["axis"],
            "Reshape" => &["allowzero"],
            "Squeeze" | "Unsqueeze" => &["axes"],
            "Constant" => &["value"],
            _ => &[],
        };
        let mut attributes = BTreeMap::new();
        for attribute in &node.attribute {
            let name = attribute.name.as_str();
            if !known.contains(&name) {
                return Err(site.refuse(format!("attribute {name:?} is not supported")));
            }
            if attributes.insert(name, attribute).is_some() {
                return Err(site.refuse(format!("attribute {name:?} is given twice")));
            }
        }
        Ok(Self(attributes))
    }

    fn int(&self, name: &str) -> Option<i64> {
        self.0.get(name).map(|attribute| attribute.i)
    }

    fn float(&self, name: &str) -> Option<f32> {
        self.0.get(name).map(|attribute| attribute.f)
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.0.get(name).map(|attribute| attribute.ints.as_slice())
    }

    /// The tensor of a `Constant`.
    fn value(&self, site: &Site<'_>, name: &str) -> Result<Constant, ImportError> {
        match self
            .0
            .get("value")
            .and_then(|attribute| attribute.t.as_ref())
        {
            Some(tensor) => constant(tensor.clone(), name),
            None => Err(site.refuse("has no tensor as its value")),
        }
    }
}

fn site(index: usize, node: &NodeProto) -> Site<'_> {
    let name = match node.name.is_empty() {
        true => format!("#{index}"),
        false => node.name.clone(),
    };
    Site {
        op: &node.op_type,
        name,
    }
}

/// Reads a tensor, checking type, length and that every number is finite.
fn constant(tensor: TensorProto, name: &str) -> Result<Constant, ImportError> {
    let refuse = |reason: String| ImportError::Tensor {
        name: name.to_owned(),
        reason,
    };
    if tensor.data_location != 0 || !tensor.external_data.is_empty() {
        return Err(refuse(
            "its data is in another file; external data is not supported".into(),
        ));
    }
    if tensor.dims.len() > MAX_CONSTANT_RANK {
        return Err(refuse(format!("it has {} dimensions", tensor.dims.len())));
    }
    let dims: Option<Vec<usize>> = tensor
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).ok())
        .collect();
    let count = dims.as_deref().and_then(elements);
    let (Some(dims), Some(count)) = (dims, count) else {
        return Err(refuse(format!(
            "its shape {:?} is negative or too large",
            tensor.dims
        )));
    };
    let length = |actual: usize| match actual == count {
        true => Ok(()),
        false => Err(refuse(format!(
            "it has {actual} elements, its shape {dims:?} needs {count}"
        ))),
    };
    let raw = &tensor.raw_data;
    let data = match tensor.data_type {
        proto::FLOAT if raw.is_empty() => {
            length(tensor.float_data.len())?;
            Data::Float(tensor.float_data)
        }
        proto::INT64 if raw.is_empty() => {
            length(tensor.int64_data.len())?;
            Data::Int(tensor.int64_data)
        }
        proto::FLOAT | proto::INT64
            if !tensor.float_data.is_empty() || !tensor.int64_data.is_empty() =>
        {
            return Err(refuse("it has its data twice".into()));
        }
        proto::FLOAT => {
            let (chunks, rest) = raw.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(refuse(format!(
                    "raw data of {} bytes is cut off",
                    raw.len()
                )));
            }
            length(chunks.len())?;
            Data::Float(chunks.iter().map(|c| f32::from_le_bytes(*c)).collect())
        }
        proto::INT64 => {
            let (chunks, rest) = raw.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(refuse(format!(
                    "raw data of {} bytes is cut off",
                    raw.len()
                )));
            }
            length(chunks.len())?;
            Data::Int(chunks.iter().map(|c| i64::from_le_bytes(*c)).collect())
        }
        other => {
            return Err(refuse(format!(
                "its elements are {}, only float32 is supported (int64 for shapes)",
                proto::type_name(other)
            )));
        }
    };
    if let Data::Float(values) = &data
        && let Some(index) = values.iter().position(|value| !value.is_finite())
    {
        return Err(refuse(format!("element {index} is {}", values[index])));
    }
    Ok(Constant {
        name: name.to_owned(),
        dims,
        data: Rc::new(data),
    })
}

/// Product of dimensions, `None` above what any supported tensor has.
fn elements(dims: &[usize]) -> Option<usize> {
    dims.iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim))
        .filter(|&count| count <= MAX_FLOAT_WEIGHTS)
}

fn floats<'a>(site: &Site<'_>, constant: &'a Constant) -> Result<&'a [f32], ImportError> {
    match &*constant.data {
        Data::Float(values) => Ok(values),
        Data::Int(_) => Err(site.refuse(format!("operand {:?} is int64", constant.name))),
    }
}

fn integers<'a>(site: &Site<'_>, constant: &'a Constant) -> Result<&'a [i64], ImportError> {
    match &*constant.data {
        Data::Int(values) if values.len() <= MAX_CONSTANT_RANK => Ok(values),
        _ => Err(site.refuse(format!(
            "operand {:?} is no short list of int64",
            constant.name
        ))),
    }
}

fn matrix(site: &Site<'_>, constant: &Constant) -> Result<(usize, usize), ImportError> {
    match constant.dims[..] {
        [rows, cols] if rows > 0 && cols > 0 => Ok((rows, cols)),
        _ => Err(site.refuse(format!(
            "weight {:?} of shape {:?} is no matrix",
            constant.name, constant.dims
        ))),
    }
}

/// Adds `beta · constant`, one number or one per column, to a bias.
fn add_bias(
    site: &Site<'_>,
    bias: &mut [f32],
    constant: &Constant,
    beta: f32,
) -> Result<(), ImportError> {
    let values = floats(site, constant)?;
    let leading_ones = constant.dims.iter().rev().skip(1).all(|&dim| dim == 1);
    if !leading_ones || (values.len() != 1 && values.len() != bias.len()) {
        return Err(site.refuse(format!(
            "bias {:?} of shape {:?} is neither one number nor one per column ({})",
            constant.name,
            constant.dims,
            bias.len()
        )));
    }
    for (sum, value) in bias.iter_mut().zip(values.iter().cycle()) {
        *sum += beta * value;
        if !sum.is_finite() {
            return Err(site.refuse("the sum of its biases leaves the range of float32"));
        }
    }
    Ok(())
}

/// The shape that a `Reshape`, `Flatten`, `Squeeze` or `Unsqueeze` gives.
fn target_shape(
    site: &Site<'_>,
    from: &[usize],
    argument: Option<&[i64]>,
    attributes: &Attributes<'_>,
) -> Result<Vec<usize>, ImportError> {
    let axis = |axis: i64, rank: usize| {
        let shifted = if axis < 0 {
            axis.checked_add(rank as i64)
        } else {
            Some(axis)
        };
        shifted
            .and_then(|axis| usize::try_from(axis).ok())
            .filter(|&axis| axis < rank)
            .ok_or_else(|| site.refuse(format!("axis {axis} is outside {rank} dimensions")))
    };
    match site.op {
        "Flatten" => {
            let cut = match attributes.int("axis").unwrap_or(1) {
                whole if whole == from.len() as i64 => from.len(),
                other => axis(other, from.len())?,
            };
            let (outer, inner) = from.split_at(cut);
            match (elements(outer), elements(inner)) {
                (Some(outer), Some(inner)) => Ok(vec![outer, inner]),
                _ => Err(site.refuse("its operand is too large")),
            }
        }
        "Reshape" => {
            let shape = argument.ok_or_else(|| site.refuse("has no shape"))?;
            if attributes.int("allowzero").unwrap_or(0) != 0 {
                return Err(site.refuse("allowzero = 1 is not supported"));
            }
            reshape_target(site, from, shape)
        }
        op => {
            let axes = argument.or(attributes.ints("axes"));
            if axes.is_some_and(|axes| axes.len() + from.len() > MAX_CONSTANT_RANK) {
                return Err(site.refuse("has too many axes"));
            }
            let rank = match op {
                "Unsqueeze" => from.len() + axes.map_or(0, <[i64]>::len),
                _ => from.len(),
            };
            let mut chosen = BTreeSet::new();
            for &value in axes.unwrap_or(&[]) {
                if !chosen.insert(axis(value, rank)?) {
                    return Err(site.refuse(format!("axis {value} is given twice")));
                }
            }
            if op == "Unsqueeze" {
                let mut rest = from.iter();
                return Ok((0..rank)
                    .filter_map(|index| match chosen.contains(&index) {
                        true => Some(1),
                        false => rest.next().copied(),
                    })
                    .collect());
            }
            let drop = |index: &usize, dim: usize| match axes {
                Some(_) => chosen.contains(index),
                None => dim == 1,
            };
            Ok(from
                .iter()
                .enumerate()
                .filter(|(index, dim)| !drop(index, **dim))
                .map(|(_, dim)| *dim)
                .collect())
        }
    }
}

/// ONNX `Reshape`: 0 copies a dimension, one −1 takes what is left.
fn reshape_target(
    site: &Site<'_>,
    from: &[usize],
    shape: &[i64],
) -> Result<Vec<usize>, ImportError> {
    let mut result = Vec::with_capacity(shape.len());
    let mut open = None;
    for (index, &dim) in shape.iter().enumerate() {
        result.push(match dim {
            -1 if open.is_none() => {
                open = Some(index);
                1
            }
            0 => *from
                .get(index)
                .ok_or_else(|| site.refuse(format!("dimension {index} copies none")))?,
            _ => usize::try_from(dim)
                .map_err(|_| site.refuse(format!("dimension {index} is {dim}")))?,
        });
    }
    if let Some(index) = open {
        let rest = match (elements(from), elements(&result)) {
            (Some(all), Some(known)) if known > 0 && all % known == 0 => all / known,
            _ => return Err(site.refuse(format!("{from:?} cannot become {shape:?}"))),
        };
        result[index] = rest;
    }
    Ok(result)
}

fn input_shape(input: &ValueInfoProto, options: ImportOptions) -> Result<Vec<usize>, ImportError> {
    let refuse = |reason: String| ImportError::Tensor {
        name: input.name.clone(),
        reason,
    };
    let tensor = input
        .kind
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref());
    let Some(tensor) = tensor else {
        return Err(refuse("the input is no tensor".into()));
    };
    if tensor.elem_type != proto::FLOAT {
        return Err(refuse(format!(
            "the input's elements are {}, only float32 is supported",
            proto::type_name(tensor.elem_type)
        )));
    }
    let Some(dims) = tensor.shape.as_ref().map(|shape| &shape.dim) else {
        return Err(refuse("the input has no shape".into()));
    };
    if dims.is_empty() || dims.len() > MAX_RANK {
        return Err(refuse(format!(
            "the input has {} dimensions, 1 to {MAX_RANK} are supported",
            dims.len()
        )));
    }
    let mut shape = Vec::with_capacity(dims.len());
    for (index, dim) in dims.iter().enumerate() {
        let symbol = match &dim.value {
            Some(Dimension::Value(value)) => match usize::try_from(*value) {
                Ok(value) if value > 0 => {
                    shape.push(value);
                    continue;
                }
                _ => return Err(refuse(format!("dimension {index} of the input is {value}"))),
            },
            Some(Dimension::Symbol(symbol)) => symbol.clone(),
            None => String::new(),
        };
        if index == 0 && options.fix_batch && dims.len() > 1 {
            shape.push(1);
            continue;
        }
        return Err(ImportError::DynamicShape {
            name: input.name.clone(),
            index,
            symbol,
        });
    }
    match elements(&shape) {
        Some(count) if count <= MAX_TENSOR => Ok(shape),
        _ => Err(refuse(format!(
            "the input's shape {shape:?} is above {MAX_TENSOR} elements"
        ))),
    }
}

/// A declared output shape must be the computed one wherever it is a number.
fn check_output(output: &ValueInfoProto, shape: &[usize]) -> Result<(), ImportError> {
    let refuse = |reason: String| ImportError::Tensor {
        name: output.name.clone(),
        reason,
    };
    let Some(tensor) = output.kind.as_ref().and_then(|k| k.tensor_type.as_ref()) else {
        return Ok(());
    };
    if tensor.elem_type != proto::FLOAT {
        return Err(refuse(format!(
            "the output's elements are {}, only float32 is supported",
            proto::type_name(tensor.elem_type)
        )));
    }
    let Some(declared) = &tensor.shape else {
        return Ok(());
    };
    let fits = declared.dim.len() == shape.len()
        && declared
            .dim
            .iter()
            .zip(shape)
            .all(|(dim, &actual)| match dim.value {
                Some(Dimension::Value(value)) => usize::try_from(value) == Ok(actual),
                _ => true,
            });
    match fits {
        true => Ok(()),
        false => Err(refuse(format!(
            "the output is declared with another shape than the computed {shape:?}"
        ))),
    }
}
