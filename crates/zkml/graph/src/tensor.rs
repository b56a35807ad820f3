//! Bytes of input and output tensors, as orders and deliveries carry them.
//!
//! Each element is two's complement, little endian, in the narrowest of 1, 2 or 4 bytes that
//! holds the tensor's declared range. Length and range are checked, so that one tensor has
//! exactly one encoding.

use crate::{Graph, Range};

/// Why tensor bytes or values are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    #[error("tensor has {actual} bytes, expected {expected}")]
    Bytes { expected: usize, actual: usize },
    #[error("tensor has {actual} elements, expected {expected}")]
    Length { expected: usize, actual: usize },
    #[error("element {index} is {value}, outside {range}")]
    Range {
        index: usize,
        value: i32,
        range: Range,
    },
}

/// Bytes of one element of a tensor of this range: 1, 2 or 4.
#[must_use]
pub fn element_width(range: Range) -> usize {
    if i8::try_from(range.lo).is_ok() && i8::try_from(range.hi).is_ok() {
        1
    } else if i16::try_from(range.lo).is_ok() && i16::try_from(range.hi).is_ok() {
        2
    } else {
        4
    }
}

impl Graph {
    /// Bytes of an encoded input.
    #[must_use]
    pub fn input_bytes(&self) -> usize {
        self.input_len()
            .saturating_mul(element_width(self.input.range))
    }

    /// Bytes of an encoded output.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        self.output_len()
            .saturating_mul(element_width(self.output_range()))
    }

    /// Checks length and range of an input.
    ///
    /// # Errors
    ///
    /// A wrong length, or the first element out of range.
    pub fn check_input(&self, values: &[i32]) -> Result<(), TensorError> {
        check(values, self.input_len(), self.input.range)
    }

    /// Checks length and range of an output.
    ///
    /// # Errors
    ///
    /// A wrong length, or the first element out of range.
    pub fn check_output(&self, values: &[i32]) -> Result<(), TensorError> {
        check(values, self.output_len(), self.output_range())
    }

    /// Bytes of an input. Values must satisfy [`Graph::check_input`]; others are truncated.
    #[must_use]
    pub fn encode_input(&self, values: &[i32]) -> Vec<u8> {
        encode(values, self.input.range)
    }

    /// Bytes of an output. Values must satisfy [`Graph::check_output`]; others are truncated.
    #[must_use]
    pub fn encode_output(&self, values: &[i32]) -> Vec<u8> {
        encode(values, self.output_range())
    }

    /// Reads an input.
    ///
    /// # Errors
    ///
    /// A wrong number of bytes, or the first element out of range.
    pub fn decode_input(&self, bytes: &[u8]) -> Result<Vec<i32>, TensorError> {
        decode(bytes, self.input_len(), self.input.range)
    }

    /// Reads an output.
    ///
    /// # Errors
    ///
    /// A wrong number of bytes, or the first element out of range.
    pub fn decode_output(&self, bytes: &[u8]) -> Result<Vec<i32>, TensorError> {
        decode(bytes, self.output_len(), self.output_range())
    }
}

fn check(values: &[i32], expected: usize, range: Range) -> Result<(), TensorError> {
    if values.len() != expected {
        return Err(TensorError::Length {
            expected,
            actual: values.len(),
        });
    }
    match values
        .iter()
        .enumerate()
        .find(|(_, v)| !range.contains(**v))
    {
        Some((index, &value)) => Err(TensorError::Range {
            index,
            value,
            range,
        }),
        None => Ok(()),
    }
}

fn encode(values: &[i32], range: Range) -> Vec<u8> {
    let width = element_width(range);
    values
        .iter()
        .flat_map(|value| value.to_le_bytes().into_iter().take(width))
        .collect()
}

fn decode(bytes: &[u8], len: usize, range: Range) -> Result<Vec<i32>, TensorError> {
    let width = element_width(range);
    let expected = len.saturating_mul(width);
    if bytes.len() != expected {
        return Err(TensorError::Bytes {
            expected,
            actual: bytes.len(),
        });
    }
    let values: Vec<i32> = bytes
        .chunks_exact(width)
        .map(|chunk| match *chunk {
            [a] => i32::from(i8::from_le_bytes([a])),
            [a, b] => i32::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
            _ => 0,
        })
        .collect();
    check(&values, len, range)?;
    Ok(values)
}
