//! The public part of a proof: digests of the key, the input and the output, and the context.

use hallmark_graph::{Graph, Shape};

use crate::key::VerifyingKey;
use crate::plan::Mode;
use crate::proof::Statement;

/// What a statement says of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs<'a> {
    /// The inputs themselves, flat: one tensor after the other.
    Public(&'a [i32]),
    /// A commitment to the inputs.
    Private(&'a [u8; 32]),
}

impl Inputs<'_> {
    /// The mode of a proof of such a statement.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::Public(_) => Mode::Public,
            Self::Private(_) => Mode::PrivateInput,
        }
    }
}

/// The digests of a statement. Tensors are hashed whole, so absorbing a digest binds them.
pub(crate) fn statement(
    vk: &VerifyingKey,
    inputs: Inputs<'_>,
    output: &[i32],
    context: &[u8; 32],
) -> Statement {
    Statement {
        profile: vk.profile(),
        mode: inputs.mode(),
        model: vk.digest(),
        input: match inputs {
            Inputs::Public(input) => tensor("hallmark proof v2 input tensor", input),
            Inputs::Private(commitment) => *commitment,
        },
        output: tensor("hallmark proof v2 output tensor", output),
        context: *context,
    }
}

fn tensor(name: &str, values: &[i32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(name);
    hasher.update(&(values.len() as u64).to_le_bytes());
    for chunk in values.chunks(256) {
        let mut bytes = [0u8; 1024];
        for (target, v) in bytes.chunks_exact_mut(4).zip(chunk) {
            target.copy_from_slice(&v.to_le_bytes());
        }
        hasher.update(&bytes[..4 * chunk.len()]);
    }
    *hasher.finalize().as_bytes()
}

/// A flat input cut into the tensors of the graph.
pub(crate) fn inputs<'a>(graph: &Graph, flat: &'a [i32]) -> Vec<&'a [i32]> {
    cut(graph.inputs.iter().map(|input| Some(&input.shape)), flat)
}

/// A flat output cut into the tensors of the graph.
pub(crate) fn outputs<'a>(graph: &Graph, flat: &'a [i32]) -> Vec<&'a [i32]> {
    cut(graph.outputs.iter().map(|o| graph.shape(o.value)), flat)
}

fn cut<'a, 's>(shapes: impl Iterator<Item = Option<&'s Shape>>, flat: &'a [i32]) -> Vec<&'a [i32]> {
    let mut rest = flat;
    shapes
        .map(|shape| {
            let len = shape.map_or(0, Shape::elements).min(rest.len());
            let (head, tail) = rest.split_at(len);
            rest = tail;
            head
        })
        .collect()
}
