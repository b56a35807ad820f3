//! Constant tensors: types, lengths and values checked once, then shared.

use std::rc::Rc;

use crate::ImportError;
use crate::proto::{self, TensorProto};

/// Most dimensions of a tensor.
pub(super) const MAX_CONSTANT_RANK: usize = 8;
/// Most elements of a constant.
pub(super) const MAX_CONSTANT: usize = 1 << 28;

/// Type of the elements, as far as results depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Bool,
    /// An integer of so many bits.
    Signed(u8),
    Unsigned(u8),
}

impl Kind {
    /// From `TensorProto.DataType`.
    pub(super) fn new(data_type: i32) -> Option<Self> {
        Some(match data_type {
            1 | 10 | 11 | 16 => Self::Float,
            2 => Self::Unsigned(8),
            3 => Self::Signed(8),
            4 => Self::Unsigned(16),
            5 => Self::Signed(16),
            6 => Self::Signed(32),
            7 => Self::Signed(64),
            9 => Self::Bool,
            12 => Self::Unsigned(32),
            13 => Self::Unsigned(64),
            _ => return None,
        })
    }

    pub(super) fn is_integer(self) -> bool {
        matches!(self, Self::Signed(_) | Self::Unsigned(_))
    }

    /// Smallest and largest number of an integer type.
    pub(super) fn bounds(self) -> Option<(f64, f64)> {
        match self {
            Self::Signed(bits) => {
                let half = 2f64.powi(i32::from(bits) - 1);
                Some((-half, half - 1.0))
            }
            Self::Unsigned(bits) => Some((0.0, 2f64.powi(i32::from(bits)) - 1.0)),
            _ => None,
        }
    }
}

/// Elements; integers are held as `f64`, exact below 2^53.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Narrow(Rc<[f32]>),
    Wide(Rc<[f64]>),
}

/// A row-major constant; it may have no element.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) dims: Vec<usize>,
    pub(super) data: Data,
}

impl Tensor {
    pub(super) fn floats(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Self {
            dims,
            data: Data::Narrow(values.into()),
        }
    }

    pub(super) fn wide(dims: Vec<usize>, values: Vec<f64>) -> Self {
        Self {
            dims,
            data: Data::Wide(values.into()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Narrow(values) => values.len(),
            Data::Wide(values) => values.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> f64 {
        match &self.data {
            Data::Narrow(values) => f64::from(values[index]),
            Data::Wide(values) => values[index],
        }
    }

    pub(super) fn values(&self) -> Vec<f64> {
        (0..self.len()).map(|index| self.get(index)).collect()
    }

    pub(super) fn narrow(&self) -> Rc<[f32]> {
        match &self.data {
            Data::Narrow(values) => Rc::clone(values),
            Data::Wide(values) => values.iter().map(|&value| value as f32).collect(),
        }
    }

    /// The one number that all elements are.
    pub(super) fn uniform(&self) -> Option<f64> {
        let first = (self.len() > 0).then(|| self.get(0))?;
        let same = match &self.data {
            Data::Narrow(values) => values.iter().all(|&value| f64::from(value) == first),
            Data::Wide(values) => values.iter().all(|&value| value == first),
        };
        same.then_some(first)
    }
}

/// Product of dimensions, `None` above what any constant has.
pub(super) fn elements(dims: &[usize]) -> Option<usize> {
    dims.iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim))
        .filter(|&count| count <= MAX_CONSTANT)
}

/// Reads a tensor, checking type, length, and that no number is NaN.
pub(super) fn tensor(proto: &TensorProto, name: &str) -> Result<(Tensor, Kind), ImportError> {
    let refuse = |reason: String| ImportError::Tensor {
        name: name.to_owned(),
        reason,
    };
    if proto.data_location != 0 || !proto.external_data.is_empty() {
        return Err(refuse(
            "its data is in another file; external data is not supported".into(),
        ));
    }
    if proto.dims.len() > MAX_CONSTANT_RANK {
        return Err(refuse(format!("it has {} dimensions", proto.dims.len())));
    }
    let Some(kind) = Kind::new(proto.data_type) else {
        return Err(refuse(format!(
            "its elements are {}, which is not supported",
            proto::type_name(proto.data_type)
        )));
    };
    let dims: Option<Vec<usize>> = proto
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).ok())
        .collect();
    let count = dims.as_deref().and_then(elements);
    let (Some(dims), Some(count)) = (dims, count) else {
        return Err(refuse(format!(
            "its shape {:?} is negative or too large",
            proto.dims
        )));
    };
    let typed = [
        proto.float_data.len(),
        proto.int32_data.len(),
        proto.int64_data.len(),
        proto.double_data.len(),
        proto.uint64_data.len(),
    ];
    let present = typed.iter().filter(|&&length| length > 0).count();
    if present + usize::from(!proto.raw_data.is_empty()) > 1 {
        return Err(refuse("it has its data twice".into()));
    }
    let data = match proto.raw_data.is_empty() {
        true => typed_data(proto),
        false => raw_data(proto.data_type, &proto.raw_data),
    }
    .map_err(&refuse)?;
    let tensor = Tensor { dims, data };
    if tensor.len() != count {
        return Err(refuse(format!(
            "it has {} elements, its shape {:?} needs {count}",
            tensor.len(),
            tensor.dims
        )));
    }
    let nan = match &tensor.data {
        Data::Narrow(values) => values.iter().position(|value| value.is_nan()),
        Data::Wide(values) => values.iter().position(|value| value.is_nan()),
    };
    match nan {
        Some(index) => Err(refuse(format!("element {index} is NaN"))),
        None => Ok((tensor, kind)),
    }
}

fn typed_data(proto: &TensorProto) -> Result<Data, String> {
    let ints = || proto.int32_data.iter();
    Ok(match proto.data_type {
        1 => Data::Narrow(proto.float_data.as_slice().into()),
        11 => Data::Narrow(proto.double_data.iter().map(|&v| v as f32).collect()),
        10 => Data::Narrow(ints().map(|&bits| half(bits as u16)).collect()),
        16 => Data::Narrow(ints().map(|&bits| brain(bits as u16)).collect()),
        7 => Data::Wide(proto.int64_data.iter().map(|&v| v as f64).collect()),
        12 | 13 => Data::Wide(proto.uint64_data.iter().map(|&v| v as f64).collect()),
        9 => Data::Wide(ints().map(|&v| f64::from(u8::from(v != 0))).collect()),
        _ => Data::Wide(ints().map(|&v| f64::from(v)).collect()),
    })
}

fn raw_data(data_type: i32, raw: &[u8]) -> Result<Data, String> {
    Ok(match data_type {
        1 => Data::Narrow(chunks(raw, f32::from_le_bytes)?.into()),
        11 => Data::Narrow(chunks(raw, |b| f64::from_le_bytes(b) as f32)?.into()),
        10 => Data::Narrow(chunks(raw, |b| half(u16::from_le_bytes(b)))?.into()),
        16 => Data::Narrow(chunks(raw, |b| brain(u16::from_le_bytes(b)))?.into()),
        2 => Data::Wide(chunks(raw, |b| f64::from(u8::from_le_bytes(b)))?.into()),
        3 => Data::Wide(chunks(raw, |b| f64::from(i8::from_le_bytes(b)))?.into()),
        4 => Data::Wide(chunks(raw, |b| f64::from(u16::from_le_bytes(b)))?.into()),
        5 => Data::Wide(chunks(raw, |b| f64::from(i16::from_le_bytes(b)))?.into()),
        6 => Data::Wide(chunks(raw, |b| f64::from(i32::from_le_bytes(b)))?.into()),
        7 => Data::Wide(chunks(raw, |b| i64::from_le_bytes(b) as f64)?.into()),
        9 => Data::Wide(chunks(raw, |[b]: [u8; 1]| f64::from(u8::from(b != 0)))?.into()),
        12 => Data::Wide(chunks(raw, |b| f64::from(u32::from_le_bytes(b)))?.into()),
        _ => Data::Wide(chunks(raw, |b| u64::from_le_bytes(b) as f64)?.into()),
    })
}

fn chunks<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
    let (chunks, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(format!("raw data of {} bytes is cut off", raw.len()));
    }
    Ok(chunks.iter().map(|chunk| read(*chunk)).collect())
}

/// IEEE half precision.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 31);
    let fraction = f32::from(bits & 1023);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// The upper half of a float32.
fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
