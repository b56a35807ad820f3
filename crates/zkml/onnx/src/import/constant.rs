//! Constant tensors of a model: types, lengths and values checked once, then shared.

use std::rc::Rc;

use super::node::Site;
use crate::ImportError;
use crate::proto::{self, TensorProto};

/// Most weights of one model, shared tensors counted at each use.
pub(super) const MAX_FLOAT_WEIGHTS: usize = 1 << 27;

/// Most dimensions of a constant; an operand of `Reshape` names no more.
pub(super) const MAX_CONSTANT_RANK: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) name: String,
    /// At most [`MAX_CONSTANT_RANK`] of them.
    pub(super) dims: Vec<usize>,
    /// Shared, so that a tensor that many nodes read is held once.
    pub(super) data: Rc<Data>,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// Reads a tensor, checking type, length and that every number is finite.
pub(super) fn constant(tensor: TensorProto, name: &str) -> Result<Constant, ImportError> {
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
pub(super) fn elements(dims: &[usize]) -> Option<usize> {
    dims.iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim))
        .filter(|&count| count <= MAX_FLOAT_WEIGHTS)
}

pub(super) fn floats<'a>(
    site: &Site<'_>,
    constant: &'a Constant,
) -> Result<&'a [f32], ImportError> {
    match &*constant.data {
        Data::Float(values) => Ok(values),
        Data::Int(_) => Err(site.refuse(format!("operand {:?} is int64", constant.name))),
    }
}

pub(super) fn integers<'a>(
    site: &Site<'_>,
    constant: &'a Constant,
) -> Result<&'a [i64], ImportError> {
    match &*constant.data {
        Data::Int(values) if values.len() <= MAX_CONSTANT_RANK => Ok(values),
        _ => Err(site.refuse(format!(
            "operand {:?} is no short list of int64",
            constant.name
        ))),
    }
}

pub(super) fn matrix(site: &Site<'_>, constant: &Constant) -> Result<(usize, usize), ImportError> {
    match constant.dims[..] {
        [rows, cols] if rows > 0 && cols > 0 => Ok((rows, cols)),
        _ => Err(site.refuse(format!(
            "weight {:?} of shape {:?} is no matrix",
            constant.name, constant.dims
        ))),
    }
}

/// Adds `beta · constant`, one number or one per column, to a bias.
pub(super) fn add_bias(
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
