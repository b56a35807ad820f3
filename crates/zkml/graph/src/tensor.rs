//! Bytes of input and output tensors, as orders and deliveries carry them.
//!
//! A flat input is all inputs one after the other, row-major; a flat output likewise. In bytes,
//! each element is two's complement, little endian, in the narrowest of 1, 2 or 4 bytes that
//! holds the declared range of its own input or output. Length and range are checked, so that one
//! tensor has exactly one encoding.

use crate::{Graph, Range};

/// Why tensor bytes or values are refused. Elements count through all inputs (or outputs).
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

/// One part of a flat tensor.
#[derive(Clone, Copy)]
struct Port {
    len: usize,
    range: Range,
}

impl Port {
    fn bytes(&self) -> usize {
        self.len.saturating_mul(element_width(self.range))
    }
}

impl Graph {
    fn input_ports(&self) -> Vec<Port> {
        let port = |input: &crate::Input| Port {
            len: input.shape.elements(),
            range: input.range,
        };
        self.inputs.iter().map(port).collect()
    }

    fn output_ports(&self) -> Vec<Port> {
        let port = |output: &crate::Output| {
            Some(Port {
                len: self.shape(output.value)?.elements(),
                range: self.range(output.value)?,
            })
        };
        self.outputs.iter().filter_map(port).collect()
    }

    /// Bytes of an encoded flat input.
    #[must_use]
    pub fn input_bytes(&self) -> usize {
        total_bytes(&self.input_ports())
    }

    /// Bytes of an encoded flat output.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        total_bytes(&self.output_ports())
    }

    /// Checks length and ranges of a flat input.
    ///
    /// # Errors
    ///
    /// A wrong length, or the first element out of its input's range.
    pub fn check_input(&self, values: &[i32]) -> Result<(), TensorError> {
        check(values, &self.input_ports())
    }

    /// Checks length and ranges of a flat output.
    ///
    /// # Errors
    ///
    /// A wrong length, or the first element out of its output's range.
    pub fn check_output(&self, values: &[i32]) -> Result<(), TensorError> {
        check(values, &self.output_ports())
    }

    /// Bytes of a flat input. Values must satisfy [`Graph::check_input`]; others are truncated.
    #[must_use]
    pub fn encode_input(&self, values: &[i32]) -> Vec<u8> {
        encode(values, &self.input_ports())
    }

    /// Bytes of a flat output. Values must satisfy [`Graph::check_output`]; others are truncated.
    #[must_use]
    pub fn encode_output(&self, values: &[i32]) -> Vec<u8> {
        encode(values, &self.output_ports())
    }

    /// Reads a flat input.
    ///
    /// # Errors
    ///
    /// A wrong number of bytes, or the first element out of its input's range.
    pub fn decode_input(&self, bytes: &[u8]) -> Result<Vec<i32>, TensorError> {
        decode(bytes, &self.input_ports())
    }

    /// Reads a flat output.
    ///
    /// # Errors
    ///
    /// A wrong number of bytes, or the first element out of its output's range.
    pub fn decode_output(&self, bytes: &[u8]) -> Result<Vec<i32>, TensorError> {
        decode(bytes, &self.output_ports())
    }

    /// The inputs' values out of a flat input of the right length.
    #[must_use]
    pub fn split_input(&self, values: &[i32]) -> Vec<Vec<i32>> {
        let ports = self.input_ports();
        parts(values, &ports)
            .map(|(_, part)| part.to_vec())
            .collect()
    }

    /// The flat output out of all values of a run, indexed by value.
    #[must_use]
    pub fn join_output(&self, values: &[Vec<i32>]) -> Vec<i32> {
        let of = |output: &crate::Output| values.get(output.value as usize);
        self.outputs
            .iter()
            .filter_map(of)
            .flatten()
            .copied()
            .collect()
    }
}

fn total_bytes(ports: &[Port]) -> usize {
    ports
        .iter()
        .fold(0usize, |sum, port| sum.saturating_add(port.bytes()))
}

/// Each port with its part of a flat tensor; parts end where the values do.
fn parts<'a>(
    values: &'a [i32],
    ports: &'a [Port],
) -> impl Iterator<Item = (&'a Port, &'a [i32])> + 'a {
    ports.iter().scan(values, |rest, port| {
        let (part, tail) = rest.split_at(port.len.min(rest.len()));
        *rest = tail;
        Some((port, part))
    })
}

fn check(values: &[i32], ports: &[Port]) -> Result<(), TensorError> {
    let expected = ports
        .iter()
        .fold(0usize, |sum, port| sum.saturating_add(port.len));
    if values.len() != expected {
        return Err(TensorError::Length {
            expected,
            actual: values.len(),
        });
    }
    let mut start = 0usize;
    for (port, part) in parts(values, ports) {
        let outside = part.iter().position(|v| !port.range.contains(*v));
        if let Some((at, &value)) = outside.and_then(|at| Some((at, part.get(at)?))) {
            return Err(TensorError::Range {
                index: start.saturating_add(at),
                value,
                range: port.range,
            });
        }
        start = start.saturating_add(part.len());
    }
    Ok(())
}

fn encode(values: &[i32], ports: &[Port]) -> Vec<u8> {
    let mut out = Vec::with_capacity(total_bytes(ports));
    for (port, part) in parts(values, ports) {
        put_elements(&mut out, part, element_width(port.range));
    }
    out
}

fn decode(bytes: &[u8], ports: &[Port]) -> Result<Vec<i32>, TensorError> {
    let expected = total_bytes(ports);
    if bytes.len() != expected {
        return Err(TensorError::Bytes {
            expected,
            actual: bytes.len(),
        });
    }
    let mut values = Vec::new();
    let mut rest = bytes;
    for port in ports {
        let (part, tail) = rest.split_at(port.bytes().min(rest.len()));
        values.extend(read_elements(part, element_width(port.range)));
        rest = tail;
    }
    check(&values, ports)?;
    Ok(values)
}

/// Appends values in `width` bytes each, truncated.
pub(crate) fn put_elements(out: &mut Vec<u8>, values: &[i32], width: usize) {
    out.extend(
        values
            .iter()
            .flat_map(|value| value.to_le_bytes().into_iter().take(width)),
    );
}

/// Values of 1, 2 or 4 bytes each; bytes past the last whole value are not read.
pub(crate) fn read_elements(bytes: &[u8], width: usize) -> Vec<i32> {
    bytes
        .chunks_exact(width.max(1))
        .map(|chunk| match *chunk {
            [a] => i32::from(i8::from_le_bytes([a])),
            [a, b] => i32::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
            _ => 0,
        })
        .collect()
}
