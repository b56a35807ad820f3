//! A node's name and attributes, for refusals and operators.

use std::collections::BTreeMap;

use super::constant::{Constant, constant};
use crate::ImportError;
use crate::proto::{AttributeProto, NodeProto};

/// Where a refusal happened.
pub(super) struct Site<'a> {
    pub(super) op: &'a str,
    pub(super) name: String,
}

impl Site<'_> {
    pub(super) fn refuse(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Node {
            op: self.op.to_owned(),
            node: self.name.clone(),
            reason: reason.into(),
        }
    }
}

pub(super) fn site(index: usize, node: &NodeProto) -> Site<'_> {
    let name = match node.name.is_empty() {
        true => format!("#{index}"),
        false => node.name.clone(),
    };
    Site {
        op: &node.op_type,
        name,
    }
}

/// A node's attributes by name, each at most once and each known to its operator.
pub(super) struct Attributes<'a>(BTreeMap<&'a str, &'a AttributeProto>);

impl<'a> Attributes<'a> {
    pub(super) fn new(site: &Site<'_>, node: &'a NodeProto) -> Result<Self, ImportError> {
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

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.0.get(name).map(|attribute| attribute.i)
    }

    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.0.get(name).map(|attribute| attribute.f)
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.0.get(name).map(|attribute| attribute.ints.as_slice())
    }

    /// The tensor of a `Constant`.
    pub(super) fn value(&self, site: &Site<'_>, name: &str) -> Result<Constant, ImportError> {
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
