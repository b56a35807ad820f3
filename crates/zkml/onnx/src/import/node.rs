//! A node's name, operands and attributes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::builder::Operand;
use super::tensor::{Kind, Tensor, tensor};
use crate::ImportError;
use crate::proto::{AttributeProto, NodeProto};

/// Where a refusal happened.
#[derive(Clone, Default)]
pub(super) struct Site {
    pub(super) op: String,
    pub(super) name: String,
}

impl Site {
    pub(super) fn new(index: usize, node: &NodeProto) -> Self {
        let standard = super::is_standard(&node.domain);
        let op = match standard {
            true => node.op_type.clone(),
            false => format!("{}.{}", node.domain, node.op_type),
        };
        let name = match node.name.is_empty() {
            true => format!("{}#{index}", node.op_type),
            false => node.name.clone(),
        };
        Self { op, name }
    }

    pub(super) fn refuse(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Node {
            op: self.op.clone(),
            node: self.name.clone(),
            reason: reason.into(),
        }
    }
}

/// A node whose operands are known.
pub(super) struct Node<'a> {
    pub(super) site: Site,
    pub(super) operands: Vec<Option<Operand>>,
    /// How many results are asked for, names left out at the end not counted.
    pub(super) outputs: usize,
    /// Version of the standard operator set.
    pub(super) opset: i64,
    attributes: BTreeMap<&'a str, &'a AttributeProto>,
    /// Attributes that somebody looked at: one that nobody knows is refused.
    seen: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Node<'a> {
    pub(super) fn new(
        site: Site,
        node: &'a NodeProto,
        operands: Vec<Option<Operand>>,
        opset: i64,
    ) -> Result<Self, ImportError> {
        let mut attributes = BTreeMap::new();
        for attribute in &node.attribute {
            let name = attribute.name.as_str();
            if attributes.insert(name, attribute).is_some() {
                return Err(site.refuse(format!("attribute {name:?} is given twice")));
            }
        }
        let outputs = node
            .output
            .iter()
            .rposition(|name| !name.is_empty())
            .map_or(0, |last| last + 1);
        Ok(Self {
            site,
            operands,
            outputs,
            opset,
            attributes,
            seen: RefCell::default(),
        })
    }

    pub(super) fn refuse(&self, reason: impl Into<String>) -> ImportError {
        self.site.refuse(reason)
    }

    fn attribute(&self, name: &'static str) -> Option<&'a AttributeProto> {
        self.seen.borrow_mut().insert(name);
        self.attributes.get(name).copied()
    }

    /// Refuses an attribute that the operator did not look at.
    pub(super) fn check_attributes(&self) -> Result<(), ImportError> {
        let seen = self.seen.borrow();
        match self.attributes.keys().find(|name| !seen.contains(**name)) {
            Some(name) => Err(self.refuse(format!("attribute {name:?} is not supported"))),
            None => Ok(()),
        }
    }

    /// Attributes that change nothing.
    pub(super) fn ignore(&self, names: &[&'static str]) {
        self.seen.borrow_mut().extend(names);
    }

    pub(super) fn int(&self, name: &'static str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    pub(super) fn maybe_int(&self, name: &'static str) -> Option<i64> {
        self.attribute(name).map(|a| a.i)
    }

    pub(super) fn flag(&self, name: &'static str, default: bool) -> bool {
        self.int(name, i64::from(default)) != 0
    }

    pub(super) fn float(&self, name: &'static str, default: f32) -> f64 {
        f64::from(self.attribute(name).map_or(default, |a| a.f))
    }

    pub(super) fn maybe_float(&self, name: &'static str) -> Option<f64> {
        self.attribute(name).map(|a| f64::from(a.f))
    }

    pub(super) fn ints(&self, name: &'static str) -> Option<&'a [i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    pub(super) fn floats(&self, name: &'static str) -> Option<&'a [f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    pub(super) fn string(&self, name: &'static str, default: &'static str) -> &'a str {
        self.attribute(name)
            .map_or(default, |a| std::str::from_utf8(&a.s).unwrap_or("?"))
    }

    pub(super) fn strings(&self, name: &'static str) -> Option<Vec<&'a str>> {
        self.attribute(name).map(|a| {
            a.strings
                .iter()
                .map(|s| std::str::from_utf8(s).unwrap_or("?"))
                .collect()
        })
    }

    pub(super) fn tensor(&self, name: &'static str) -> Result<Option<(Tensor, Kind)>, ImportError> {
        match self.attribute(name).and_then(|a| a.t.as_ref()) {
            Some(proto) => tensor(proto, &self.site.name).map(Some),
            None => Ok(None),
        }
    }

    /// An operand that must be there.
    pub(super) fn operand(&self, index: usize) -> Result<&Operand, ImportError> {
        self.maybe(index)
            .ok_or_else(|| self.refuse(format!("lacks operand {index}")))
    }

    pub(super) fn maybe(&self, index: usize) -> Option<&Operand> {
        self.operands.get(index).and_then(Option::as_ref)
    }

    /// An operand that must be a constant.
    pub(super) fn constant(&self, index: usize) -> Result<&Tensor, ImportError> {
        let operand = self.operand(index)?;
        operand.tensor().ok_or_else(|| {
            self.refuse(format!(
                "operand {index} depends on the model's inputs, it must be a constant"
            ))
        })
    }

    /// Whole numbers of a constant operand that may be left out.
    pub(super) fn maybe_list(&self, index: usize) -> Result<Option<Vec<i64>>, ImportError> {
        match self.maybe(index) {
            Some(_) => self.list(index).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn list(&self, index: usize) -> Result<Vec<i64>, ImportError> {
        let tensor = self.constant(index)?;
        Ok(tensor.values().iter().map(|&value| value as i64).collect())
    }

    /// The one number of a constant operand.
    pub(super) fn number(&self, index: usize) -> Result<f64, ImportError> {
        let tensor = self.constant(index)?;
        match tensor.len() {
            1 => Ok(tensor.get(0)),
            n => Err(self.refuse(format!("operand {index} has {n} elements, one is needed"))),
        }
    }

    /// A list that was an attribute in early operator sets and is an operand in later ones.
    pub(super) fn list_or(
        &self,
        index: usize,
        name: &'static str,
    ) -> Result<Option<Vec<i64>>, ImportError> {
        match self.ints(name) {
            Some(list) => Ok(Some(list.to_vec())),
            None => self.maybe_list(index),
        }
    }

    /// An axis counted from the end when negative.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize, ImportError> {
        let shifted = match axis < 0 {
            true => axis.checked_add(rank as i64),
            false => Some(axis),
        };
        shifted
            .and_then(|axis| usize::try_from(axis).ok())
            .filter(|&axis| axis < rank)
            .ok_or_else(|| self.refuse(format!("axis {axis} is outside {rank} dimensions")))
    }

    /// Distinct axes, in rising order.
    pub(super) fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, ImportError> {
        let mut chosen = BTreeSet::new();
        for &axis in axes {
            if !chosen.insert(self.axis(axis, rank)?) {
                return Err(self.refuse(format!("axis {axis} is given twice")));
            }
        }
        Ok(chosen.into_iter().collect())
    }
}
