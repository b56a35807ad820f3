//! Walks the nodes in order, binding names.

use std::collections::{BTreeMap, BTreeSet};

use hallmark_graph::{MAX_NODES, MAX_PORTS};

use super::ImportOptions;
use super::builder::{Builder, Operand, Source};
use super::node::{Node, Site};
use super::shape;
use super::tensor::tensor;
use crate::proto::{GraphProto, NodeProto};
use crate::{FloatGraph, FloatOutput, ImportError};

struct Walk<'a> {
    nodes: &'a [NodeProto],
    /// Which node defines a name.
    makers: BTreeMap<&'a str, usize>,
    /// How often a name is read.
    reads: BTreeMap<&'a str, usize>,
    builder: Builder,
    names: BTreeMap<String, Operand>,
    /// Every name that some node defines, earlier or later.
    defined: BTreeSet<String>,
    opset: i64,
}

pub(super) fn graph(
    graph: GraphProto,
    opset: i64,
    options: &ImportOptions,
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
    let mut defined = BTreeSet::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if !defined.insert(name.clone()) {
                let site = Site::new(index, node);
                return Err(site.refuse(format!("defines {name:?} a second time")));
            }
        }
    }
    let mut makers = BTreeMap::new();
    let mut reads = BTreeMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        makers.extend(node.output.iter().map(|name| (name.as_str(), index)));
        for name in &node.input {
            *reads.entry(name.as_str()).or_insert(0usize) += 1;
        }
    }
    for output in &graph.output {
        *reads.entry(output.name.as_str()).or_insert(0) += 1;
    }
    let mut walk = Walk {
        nodes: &graph.node,
        makers,
        reads,
        builder: Builder::default(),
        names: BTreeMap::new(),
        defined,
        opset,
    };
    for proto in &graph.initializer {
        let (tensor, kind) = tensor(proto, &proto.name)?;
        walk.define(&proto.name, Operand::constant(tensor, kind))?;
    }
    // Before IR version 4, initializers are listed among the inputs too.
    for value in &graph.input {
        if walk.names.contains_key(&value.name) && !walk.is_input(&value.name) {
            continue;
        }
        let (input, kind) = shape::input(value, options)?;
        let source = Source::Value(walk.builder.inputs.len());
        walk.builder.inputs.push(input);
        walk.define(&value.name, Operand { source, kind })?;
    }
    limit("inputs", walk.builder.inputs.len())?;
    limit("outputs", graph.output.len())?;
    for (index, node) in graph.node.iter().enumerate() {
        walk.node(Site::new(index, node), node)?;
    }
    walk.finish(&graph)
}

fn limit(what: &str, count: usize) -> Result<(), ImportError> {
    if count == 0 || count > MAX_PORTS {
        return Err(ImportError::Model(format!(
            "the model has {count} {what}, 1 to {MAX_PORTS} are supported"
        )));
    }
    Ok(())
}

impl Walk<'_> {
    fn is_input(&self, name: &str) -> bool {
        self.builder.inputs.iter().any(|input| input.name == name)
    }

    fn define(&mut self, name: &str, operand: Operand) -> Result<(), ImportError> {
        if name.is_empty() {
            return Err(ImportError::Model(
                "a tensor of the graph has no name".into(),
            ));
        }
        if self.names.insert(name.to_owned(), operand).is_some() {
            return Err(ImportError::Tensor {
                name: name.to_owned(),
                reason: "is defined twice".into(),
            });
        }
        Ok(())
    }

    fn node(&mut self, site: Site, proto: &NodeProto) -> Result<(), ImportError> {
        let mut operands = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            operands.push(self.operand(&site, name)?);
        }
        self.builder.site = site.clone();
        let node = Node::new(site, proto, operands, self.opset)?;
        let made = match self.normalized_convolution(proto, &node)? {
            Some(made) => made,
            None => super::lower::node(&mut self.builder, &node)?,
        };
        node.check_attributes()?;
        if node.outputs > made.len() {
            return Err(node.refuse(format!("its output {} is not supported", made.len())));
        }
        for (name, operand) in proto.output.iter().zip(made) {
            if !name.is_empty() {
                self.define(name, operand)?;
            }
        }
        Ok(())
    }

    /// A `BatchNormalization` of a `Conv` that nothing else reads scales the weights instead.
    fn normalized_convolution(
        &mut self,
        proto: &NodeProto,
        node: &Node<'_>,
    ) -> Result<Option<Vec<Operand>>, ImportError> {
        if node.site.op != "BatchNormalization" || node.flag("training_mode", false) {
            return Ok(None);
        }
        let from = proto.input.first().map_or("", String::as_str);
        let (Some(&index), Some(1)) = (self.makers.get(from), self.reads.get(from)) else {
            return Ok(None);
        };
        let maker = &self.nodes[index];
        let site = Site::new(index, maker);
        if site.op != "Conv" {
            return Ok(None);
        }
        let mut operands = Vec::with_capacity(3);
        for name in &maker.input {
            operands.push(self.operand(&site, name)?);
        }
        let constant = |operand: Option<&Operand>| operand.is_none_or(|o| o.tensor().is_some());
        let fixed = constant(operands.get(1).and_then(Option::as_ref))
            && constant(operands.get(2).and_then(Option::as_ref))
            && (1..5).all(|index| node.maybe(index).is_some_and(|o| o.tensor().is_some()));
        let Some(Some(weight)) = operands.get(1).cloned().filter(|_| fixed) else {
            return Ok(None);
        };
        let (scale, shift) = super::lower::scale_and_shift(&mut self.builder, node)?;
        let b = &mut self.builder;
        let mut column = vec![1; b.rank(&weight)];
        let filters = b.shape(&weight).first().copied().unwrap_or(0);
        if b.shape(&scale) != [filters] || column.is_empty() {
            return Ok(None);
        }
        column[0] = filters;
        let column = b.reshape(&scale, column)?;
        operands[1] = Some(b.mul(&weight, &column)?);
        let bias = match operands.get(2).cloned().flatten() {
            Some(bias) => {
                let scaled = b.mul(&bias, &scale)?;
                b.add(&scaled, &shift)?
            }
            None => shift,
        };
        operands.truncate(2);
        operands.push(Some(bias));
        b.site = site.clone();
        let convolution = Node::new(site, maker, operands, self.opset)?;
        super::lower::node(&mut self.builder, &convolution).map(Some)
    }

    /// What an operand stands for; `None` for one that is left out.
    fn operand(&self, site: &Site, name: &str) -> Result<Option<Operand>, ImportError> {
        if name.is_empty() {
            return Ok(None);
        }
        match self.names.get(name) {
            Some(operand) => Ok(Some(operand.clone())),
            None if self.defined.contains(name) => Err(site.refuse(format!(
                "reads {name:?}, which only a later node defines: a cycle, or nodes out of order"
            ))),
            None => Err(site.refuse(format!("reads {name:?}, which nothing defines"))),
        }
    }

    fn finish(mut self, graph: &GraphProto) -> Result<FloatGraph, ImportError> {
        let mut outputs = Vec::with_capacity(graph.output.len());
        for output in &graph.output {
            let Some(operand) = self.names.get(&output.name).cloned() else {
                return Err(ImportError::Model(format!(
                    "output {:?} is defined by nothing",
                    output.name
                )));
            };
            shape::check_output(output, &self.builder.shape(&operand))?;
            self.builder.site = Site {
                op: "output".into(),
                name: output.name.clone(),
            };
            outputs.push(FloatOutput {
                name: output.name.clone(),
                value: self.builder.embed(&operand)?,
            });
        }
        self.builder.finish(outputs)
    }
}
