//! Shapes: what the input and the output declare, and what the operators make of them.

use std::collections::BTreeSet;

use hallmark_graph::{MAX_RANK, MAX_TENSOR};

use super::ImportOptions;
use super::constant::{MAX_CONSTANT_RANK, elements};
use super::node::{Attributes, Site};
use crate::ImportError;
use crate::proto::{self, Dimension, ValueInfoProto};

/// The shape that a `Reshape`, `Flatten`, `Squeeze` or `Unsqueeze` gives.
pub(super) fn target_shape(
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

pub(super) fn input_shape(
    input: &ValueInfoProto,
    options: ImportOptions,
) -> Result<Vec<usize>, ImportError> {
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
pub(super) fn check_output(output: &ValueInfoProto, shape: &[usize]) -> Result<(), ImportError> {
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
