//! The public part of a proof: digests of the key, the input and the output, and the context.

use hallmark_graph::{Graph, Shape};

use crate::key::VerifyingKey;
use crate::proof::Statement;

/// The digests of a statement. Tensors are hashed whole, so absorbing a digest binds them.
pub(crate) fn statement(
    vk: &VerifyingKey,
    input: &[i32],
    output: &[i32],
    context: &[u8; 32],
) -> Statement {
    let tensor = |name: &str, values: &[i32]| {
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
    };
    Statement {
        model: vk.digest(),
        input: tensor("hallmark proof v2 input tensor", input),
        output: tensor("hallmark proof v2 output tensor", output),
        context: *context,
    }
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
