//! Canonical bytes of a graph. All integers are little endian.
//!
//! ```text
//! graph  = "HMKG" version:u16 inputs:u8 input* nodes:u32 node* outputs:u8 output*
//! input  = shape range scale
//! output = value:u32 scale
//! shape  = rank:u8 (dim:u32)*
//! range  = lo:i32 hi:i32
//! scale  = multiplier:u32 shift:u8
//! node   = shape range op
//! op     = 1 constant:u32
//!        | 2 a:u32 b:u32 batch:u8 inner:u8                          MatMul
//!        | 3 a:u32 b:u32                                            Mul
//!        | 4 count:u8 (value:u32 multiplier:i32)* offset:i32        Combine
//!        | 5 input:u32 count:u8 (axis:u8)*                          Sum
//!        | 6 input:u32 count:u8 map*                                View
//!        | 7 input:u32                                              Reshape
//!        | 8 input:u32 shift:u8 table                               Lookup
//!        | 9 input:u32 shift:u8 bits:u8                             Shift
//! map    = 1 offset:i32 count:u8 (axis:u8 stride:i32)*              affine
//!        | 2 axis:u8 (index:i32)*                                   list, one per position
//! table  = 1 bits:u8 lo:i32 hi:i32                                  clamp
//!        | 2 bits:u8 table:u32 lo:i32 hi:i32                        explicit
//! ```
//!
//! The shape inside a `View` and a `Reshape` is the node's and is written once. The decoder
//! refuses trailing bytes and validates the graph, so there is exactly one encoding of each valid
//! graph. It allocates for a count only after the bytes that remain could hold that many.
//! Version 1 had other operators; it is refused by its number.

use crate::{
    AxisMap, CheckError, Graph, Input, MAX_LIST, MAX_NODES, MAX_PORTS, MAX_RANK, MAX_TERMS, Node,
    Op, Output, Range, Scale, Shape, Table,
};

/// Longest encoding of a valid graph.
pub const MAX_GRAPH_BYTES: usize =
    64 + 2 * MAX_PORTS * MAX_PORT_BYTES + MAX_NODES * MAX_NODE_BYTES + 4 * MAX_LIST;

const MAGIC: [u8; 4] = *b"HMKG";
const VERSION: u16 = 3;
const MAX_SHAPE_BYTES: usize = 1 + 4 * MAX_RANK;
/// A shape, a range and a scale.
const MAX_PORT_BYTES: usize = MAX_SHAPE_BYTES + 8 + 5;
/// A shape, a range, and the longest operator: a `Combine`.
const MAX_NODE_BYTES: usize = MAX_SHAPE_BYTES + 8 + 2 + 8 * MAX_TERMS + 4;
/// A scalar's shape, a range, and the shortest operator: a `Constant`.
const MIN_NODE_BYTES: usize = 1 + 8 + 1 + 4;

/// Why bytes are not a graph or a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("not a Hallmark {0}: wrong magic")]
    Magic(&'static str),
    #[error("{what} version {version} is not supported; this program reads version {supported}")]
    Version {
        what: &'static str,
        version: u16,
        supported: u16,
    },
    #[error("ends at byte {offset}, {needed} more needed for {what}")]
    Truncated {
        what: &'static str,
        offset: usize,
        needed: usize,
    },
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    #[error("{what} is {actual}, at most {limit} allowed")]
    TooLarge {
        what: &'static str,
        actual: u64,
        limit: u64,
    },
    #[error("unknown {what} {tag} at byte {offset}")]
    Tag {
        what: &'static str,
        tag: u8,
        offset: usize,
    },
    #[error("content does not match its digest: the file is damaged")]
    Digest,
    #[error(transparent)]
    Invalid(#[from] CheckError),
}

impl Graph {
    /// Canonical bytes of a valid graph.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        put_u8(&mut out, self.inputs.len());
        for input in &self.inputs {
            put_shape(&mut out, &input.shape);
            put_range(&mut out, input.range);
            put_scale(&mut out, input.scale);
        }
        put_count(&mut out, self.nodes.len());
        for node in &self.nodes {
            put_shape(&mut out, &node.shape);
            put_range(&mut out, node.range);
            put_op(&mut out, &node.op);
        }
        put_u8(&mut out, self.outputs.len());
        for output in &self.outputs {
            out.extend(output.value.to_le_bytes());
            put_scale(&mut out, output.scale);
        }
        out
    }

    /// Reads canonical bytes of a valid graph.
    ///
    /// # Errors
    ///
    /// Any byte string that [`Graph::encode`] does not write for a valid graph.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limit("graph length", bytes.len(), MAX_GRAPH_BYTES)?;
        let mut reader = Reader::new(bytes);
        reader.header("graph", MAGIC, VERSION)?;
        let inputs = reader.u8("input count")?;
        limit("input count", usize::from(inputs), MAX_PORTS)?;
        let inputs: Result<Vec<Input>, _> = (0..inputs).map(|_| input(&mut reader)).collect();
        let inputs = inputs?;
        let count = reader.u32("node count")? as usize;
        limit("node count", count, MAX_NODES)?;
        let least = count.saturating_mul(MIN_NODE_BYTES);
        if reader.remaining() < least {
            return Err(reader.truncated("nodes", least));
        }
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            let shape = shape(&mut reader)?;
            let range = range(&mut reader)?;
            let op = op(&mut reader, &shape)?;
            nodes.push(Node { op, shape, range });
        }
        let outputs = reader.u8("output count")?;
        limit("output count", usize::from(outputs), MAX_PORTS)?;
        let outputs: Result<Vec<Output>, _> = (0..outputs).map(|_| output(&mut reader)).collect();
        let graph = Self {
            inputs,
            nodes,
            outputs: outputs?,
        };
        reader.finish()?;
        graph.validate()?;
        Ok(graph)
    }

    /// BLAKE3 of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        blake3::hash(&self.encode()).into()
    }
}

/// Refuses what is above its limit.
pub(crate) fn limit(what: &'static str, actual: usize, limit: usize) -> Result<(), DecodeError> {
    if actual > limit {
        return Err(DecodeError::TooLarge {
            what,
            actual: actual as u64,
            limit: limit as u64,
        });
    }
    Ok(())
}

pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// A count of few things; the decoder refuses a graph with more.
fn put_u8(out: &mut Vec<u8>, count: usize) {
    out.push(u8::try_from(count).unwrap_or(u8::MAX));
}

fn put_shape(out: &mut Vec<u8>, shape: &Shape) {
    put_u8(out, shape.rank());
    for dim in &shape.0 {
        out.extend(dim.to_le_bytes());
    }
}

fn put_range(out: &mut Vec<u8>, range: Range) {
    out.extend(range.lo.to_le_bytes());
    out.extend(range.hi.to_le_bytes());
}

fn put_scale(out: &mut Vec<u8>, scale: Scale) {
    out.extend(scale.multiplier.to_le_bytes());
    out.push(scale.shift);
}

fn put_op(out: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Constant { constant } => {
            out.push(1);
            out.extend(constant.to_le_bytes());
        }
        Op::MatMul { a, b, batch, inner } => {
            out.push(2);
            out.extend(a.to_le_bytes());
            out.extend(b.to_le_bytes());
            out.extend([*batch, *inner]);
        }
        Op::Mul { a, b } => {
            out.push(3);
            out.extend(a.to_le_bytes());
            out.extend(b.to_le_bytes());
        }
        Op::Combine { terms, offset } => {
            out.push(4);
            put_u8(out, terms.len());
            for (value, multiplier) in terms {
                out.extend(value.to_le_bytes());
                out.extend(multiplier.to_le_bytes());
            }
            out.extend(offset.to_le_bytes());
        }
        Op::Sum { input, axes } => {
            out.push(5);
            out.extend(input.to_le_bytes());
            put_u8(out, axes.len());
            out.extend(axes);
        }
        Op::View { input, axes, .. } => {
            out.push(6);
            out.extend(input.to_le_bytes());
            put_u8(out, axes.len());
            for map in axes {
                put_map(out, map);
            }
        }
        Op::Reshape { input, .. } => {
            out.push(7);
            out.extend(input.to_le_bytes());
        }
        Op::Lookup {
            input,
            shift,
            table,
        } => {
            out.push(8);
            out.extend(input.to_le_bytes());
            out.push(*shift);
            put_table(out, table);
        }
        Op::Shift { input, shift, bits } => {
            out.push(9);
            out.extend(input.to_le_bytes());
            out.extend([*shift, *bits]);
        }
    }
}

fn put_map(out: &mut Vec<u8>, map: &AxisMap) {
    match map {
        AxisMap::Affine { offset, terms } => {
            out.push(1);
            out.extend(offset.to_le_bytes());
            put_u8(out, terms.len());
            for (axis, stride) in terms {
                out.push(*axis);
                out.extend(stride.to_le_bytes());
            }
        }
        AxisMap::List { axis, indices } => {
            out.extend([2, *axis]);
            out.extend(indices.iter().flat_map(|index| index.to_le_bytes()));
        }
    }
}

fn put_table(out: &mut Vec<u8>, table: &Table) {
    match table {
        Table::Clamp { bits, lo, hi } => {
            out.extend([1, *bits]);
            out.extend(lo.to_le_bytes());
            out.extend(hi.to_le_bytes());
        }
        Table::Explicit {
            bits,
            table,
            lo,
            hi,
        } => {
            out.extend([2, *bits]);
            out.extend(table.to_le_bytes());
            out.extend(lo.to_le_bytes());
            out.extend(hi.to_le_bytes());
        }
    }
}

fn input(reader: &mut Reader<'_>) -> Result<Input, DecodeError> {
    Ok(Input {
        shape: shape(reader)?,
        range: range(reader)?,
        scale: scale(reader)?,
    })
}

fn output(reader: &mut Reader<'_>) -> Result<Output, DecodeError> {
    Ok(Output {
        value: reader.u32("output")?,
        scale: scale(reader)?,
    })
}

fn shape(reader: &mut Reader<'_>) -> Result<Shape, DecodeError> {
    let rank = reader.u8("rank")?;
    limit("rank", usize::from(rank), MAX_RANK)?;
    let dims: Result<Vec<u32>, _> = (0..rank).map(|_| reader.u32("dimension")).collect();
    Ok(Shape(dims?))
}

fn range(reader: &mut Reader<'_>) -> Result<Range, DecodeError> {
    Ok(Range {
        lo: reader.i32("range")?,
        hi: reader.i32("range")?,
    })
}

fn scale(reader: &mut Reader<'_>) -> Result<Scale, DecodeError> {
    Ok(Scale {
        multiplier: reader.u32("scale")?,
        shift: reader.u8("scale")?,
    })
}

fn op(reader: &mut Reader<'_>, shape: &Shape) -> Result<Op, DecodeError> {
    let offset = reader.offset;
    Ok(match reader.u8("operator")? {
        1 => Op::Constant {
            constant: reader.u32("constant")?,
        },
        2 => Op::MatMul {
            a: reader.u32("operand")?,
            b: reader.u32("operand")?,
            batch: reader.u8("batch axes")?,
            inner: reader.u8("inner axes")?,
        },
        3 => Op::Mul {
            a: reader.u32("operand")?,
            b: reader.u32("operand")?,
        },
        4 => {
            let count = reader.u8("term count")?;
            let term = |_| Ok((reader.u32("operand")?, reader.i32("multiplier")?));
            let terms: Result<Vec<_>, DecodeError> = (0..count).map(term).collect();
            Op::Combine {
                terms: terms?,
                offset: reader.i32("offset")?,
            }
        }
        5 => {
            let input = reader.u32("operand")?;
            let count = reader.u8("axis count")?;
            let axes = reader.take(usize::from(count), "axes")?.to_vec();
            Op::Sum { input, axes }
        }
        6 => {
            let input = reader.u32("operand")?;
            let count = reader.u8("map count")?;
            limit("map count", usize::from(count), MAX_RANK)?;
            let axes: Result<Vec<_>, _> = (0..count).map(|_| map(reader, shape)).collect();
            Op::View {
                input,
                axes: axes?,
                shape: shape.clone(),
            }
        }
        7 => Op::Reshape {
            input: reader.u32("operand")?,
            shape: shape.clone(),
        },
        8 => Op::Lookup {
            input: reader.u32("operand")?,
            shift: reader.u8("shift")?,
            table: table(reader)?,
        },
        9 => Op::Shift {
            input: reader.u32("operand")?,
            shift: reader.u8("shift")?,
            bits: reader.u8("bits")?,
        },
        tag => {
            return Err(DecodeError::Tag {
                what: "operator",
                tag,
                offset,
            });
        }
    })
}

/// `shape` is the result's: it gives the length of a list.
fn map(reader: &mut Reader<'_>, shape: &Shape) -> Result<AxisMap, DecodeError> {
    let at = reader.offset;
    match reader.u8("axis map")? {
        1 => {
            let offset = reader.i32("offset")?;
            let count = reader.u8("stride count")?;
            limit("stride count", usize::from(count), MAX_RANK)?;
            let term = |_| Ok((reader.u8("axis")?, reader.i32("stride")?));
            let terms: Result<Vec<_>, DecodeError> = (0..count).map(term).collect();
            Ok(AxisMap::Affine {
                offset,
                terms: terms?,
            })
        }
        2 => {
            let axis = reader.u8("axis")?;
            let count = shape.0.get(usize::from(axis)).copied().unwrap_or(0) as usize;
            let bytes = reader.take(count.saturating_mul(4), "list")?;
            Ok(AxisMap::List {
                axis,
                indices: words(bytes),
            })
        }
        tag => Err(DecodeError::Tag {
            what: "axis map",
            tag,
            offset: at,
        }),
    }
}

fn table(reader: &mut Reader<'_>) -> Result<Table, DecodeError> {
    let offset = reader.offset;
    match reader.u8("table")? {
        1 => Ok(Table::Clamp {
            bits: reader.u8("table bits")?,
            lo: reader.i32("clamp")?,
            hi: reader.i32("clamp")?,
        }),
        2 => Ok(Table::Explicit {
            bits: reader.u8("table bits")?,
            table: reader.u32("table")?,
            lo: reader.i32("table range")?,
            hi: reader.i32("table range")?,
        }),
        tag => Err(DecodeError::Tag {
            what: "table",
            tag,
            offset,
        }),
    }
}

/// Little endian words; bytes past the last whole word are not read.
pub(crate) fn words(bytes: &[u8]) -> Vec<i32> {
    let words = bytes.as_chunks::<4>().0;
    words.iter().map(|word| i32::from_le_bytes(*word)).collect()
}

/// Reads fixed-width fields and never past the end.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Magic and version of a file.
    pub(crate) fn header(
        &mut self,
        what: &'static str,
        magic: [u8; 4],
        supported: u16,
    ) -> Result<(), DecodeError> {
        if self.array::<4>("magic")? != magic {
            return Err(DecodeError::Magic(what));
        }
        let version = u16::from_le_bytes(self.array("version")?);
        if version != supported {
            return Err(DecodeError::Version {
                what,
                version,
                supported,
            });
        }
        Ok(())
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.offset)
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let end = self.offset.checked_add(len);
        match end.and_then(|end| self.bytes.get(self.offset..end)) {
            Some(slice) => {
                self.offset = self.offset.saturating_add(len);
                Ok(slice)
            }
            None => Err(self.truncated(what, len)),
        }
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let slice = self.take(N, what)?;
        slice.try_into().map_err(|_| self.truncated(what, N))
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    /// A byte that is one of `known`.
    pub(crate) fn tag(&mut self, what: &'static str, known: &[u8]) -> Result<u8, DecodeError> {
        let offset = self.offset;
        let tag = self.u8(what)?;
        if known.contains(&tag) {
            return Ok(tag);
        }
        Err(DecodeError::Tag { what, tag, offset })
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn truncated(&self, what: &'static str, len: usize) -> DecodeError {
        DecodeError::Truncated {
            what,
            offset: self.bytes.len(),
            needed: len.saturating_sub(self.remaining()),
        }
    }

    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            rest => Err(DecodeError::Trailing(rest)),
        }
    }
}
