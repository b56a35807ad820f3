//! What the model's inputs declare.

use hallmark_graph::{MAX_RANK, MAX_TENSOR};

use super::ImportOptions;
use super::tensor::{Kind, elements};
use crate::proto::{self, Dimension, ValueInfoProto};
use crate::{FloatInput, ImportError};

/// An input with its shape fixed.
pub(super) fn input(
    value: &ValueInfoProto,
    options: &ImportOptions,
) -> Result<(FloatInput, Kind), ImportError> {
    let refuse = |reason: String| ImportError::Tensor {
        name: value.name.clone(),
        reason,
    };
    let tensor = value
        .kind
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref());
    let Some(tensor) = tensor else {
        return Err(refuse("the input is no tensor".into()));
    };
    let Some(kind) = Kind::new(tensor.elem_type) else {
        return Err(refuse(format!(
            "the input's elements are {}, which is not supported",
            proto::type_name(tensor.elem_type)
        )));
    };
    let Some(dims) = tensor.shape.as_ref().map(|shape| &shape.dim) else {
        return Err(refuse("the input has no shape".into()));
    };
    if dims.len() > MAX_RANK {
        return Err(refuse(format!(
            "the input has {} dimensions, at most {MAX_RANK} are supported",
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
        let bound = options.dims.get(&symbol).filter(|_| !symbol.is_empty());
        if let Some(&size) = bound {
            if size == 0 {
                return Err(refuse(format!("dimension {symbol:?} is bound to 0")));
            }
            shape.push(size);
        } else if index == 0 && options.fix_batch {
            shape.push(1);
        } else {
            return Err(ImportError::DynamicShape {
                name: value.name.clone(),
                index,
                symbol,
            });
        }
    }
    match elements(&shape) {
        Some(count) if count <= MAX_TENSOR => {
            let input = FloatInput {
                name: value.name.clone(),
                shape,
                integer: kind != Kind::Float,
            };
            Ok((input, kind))
        }
        _ => Err(refuse(format!(
            "the input's shape {shape:?} is above {MAX_TENSOR} elements"
        ))),
    }
}

/// A declared output shape must be the computed one wherever it is a number.
pub(super) fn check_output(output: &ValueInfoProto, shape: &[usize]) -> Result<(), ImportError> {
    let tensor = output.kind.as_ref().and_then(|k| k.tensor_type.as_ref());
    let Some(declared) = tensor.and_then(|tensor| tensor.shape.as_ref()) else {
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
        false => Err(ImportError::Tensor {
            name: output.name.clone(),
            reason: format!(
                "the output is declared with another shape than the computed {shape:?}"
            ),
        }),
    }
}
