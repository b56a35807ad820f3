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

struct Walk {
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
    let mut walk = Walk {
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

impl Walk {
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
        let made = super::lower::node(&mut self.builder, &node)?;
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
