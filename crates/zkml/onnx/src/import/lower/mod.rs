//! One function for each ONNX operator, in families.

mod arithmetic;
mod attention;
mod convolution;
mod gather;
mod layout;
mod matrix;
mod norm;
mod pooling;
mod quantized;
mod recurrent;
mod reduce;
mod resize;
mod select;
mod trees;

pub(super) use norm::scale_and_shift;

use super::builder::{Builder, Operand};
use super::node::Node;
use crate::ImportError;

/// Results of a node, in order; there may be more than it asks for.
pub(super) type Lowered = Result<Vec<Operand>, ImportError>;

type Family = fn(&mut Builder, &Node<'_>, &str) -> Option<Lowered>;

const FAMILIES: [Family; 14] = [
    arithmetic::lower,
    attention::lower,
    convolution::lower,
    gather::lower,
    layout::lower,
    matrix::lower,
    norm::lower,
    pooling::lower,
    quantized::lower,
    recurrent::lower,
    reduce::lower,
    resize::lower,
    select::lower,
    trees::lower,
];

/// Lowers a node. Operators of other domains are named `domain.Operator`.
pub(super) fn node(b: &mut Builder, node: &Node<'_>) -> Lowered {
    let op = node.site.op.as_str();
    FAMILIES
        .iter()
        .find_map(|family| family(b, node, op))
        .unwrap_or_else(|| {
            Err(ImportError::Operator {
                op: op.to_owned(),
                node: node.site.name.clone(),
            })
        })
}

/// One result.
fn one(made: Result<Operand, ImportError>) -> Lowered {
    made.map(|operand| vec![operand])
}
