//! Canonical bytes of a graph.
//!
//! All integers are little endian.
//!
//! ```text
//! graph  = "HMKG" version:u16 input count:u32 node* output:u32 scale
//! input  = shape range scale
//! shape  = rank:u8 (dim:u32)*
//! range  = lo:i32 hi:i32
//! scale  = multiplier:u32 shift:u8
//! node   = op shape range
//! op     = 1 input:u32 weight:u32 rows:u32 inner:u32 cols:u32
//!        | 2 a:u32 b:u32 multiplier_a:i32 multiplier_b:i32
//!        | 3 input:u32 shift:u8 table
//!        | 4 input:u32 shape
//! table  = 1 bits:u8 lo:i32 hi:i32
//! ```
//!
//! The decoder reads fixed-width fields only, refuses trailing bytes, and validates the graph,
//! so there is exactly one encoding of each valid graph. It allocates for a count only after the
//! bytes that remain could hold that many.

use crate::{CheckError, Graph, Input, MAX_NODES, MAX_RANK, Node, Op, Range, Scale, Shape, Table};

/// Longest encoding of a graph.
pub const MAX_GRAPH_BYTES: usize = 64 + MAX_NODES * MAX_NODE_BYTES;

const MAGIC: [u8; 4] = *b"HMKG";
const VERSION: u16 = 1;
/// op tag, five words, a shape, a range; the longest is a `Reshape`.
const MAX_NODE_BYTES: usize = 1 + 20 + 17 + 8;
/// op tag, one word, a shift, a table's smallest form, a shape of rank 1, a range.
const MIN_NODE_BYTES: usize = 1 + 4 + 5 + 5 + 8;

/// Why bytes are not a graph or a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("not a Hallmark {0}: wrong magic")]
    Magic(&'static str),
    #[error("{what} version {version} is not supported")]
    Version { what: &'static str, version: u16 },
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
    /// Canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        put_shape(&mut out, &self.input.shape);
        put_range(&mut out, self.input.range);
        put_scale(&mut out, self.input.scale);
        put_count(&mut out, self.nodes.len());
        for node in &self.nodes {
            put_op(&mut out, &node.op);
            put_shape(&mut out, &node.shape);
            put_range(&mut out, node.range);
        }
        out.extend(self.output.to_le_bytes());
        put_scale(&mut out, self.output_scale);
        out
    }

    /// Reads canonical bytes of a valid graph.
    ///
    /// # Errors
    ///
    /// Any byte string that [`Graph::encode`] does not write for a valid graph.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_GRAPH_BYTES {
            return Err(DecodeError::TooLarge {
                what: "graph length",
                actual: bytes.len() as u64,
                limit: MAX_GRAPH_BYTES as u64,
            });
        }
        let mut reader = Reader::new(bytes);
        if reader.array::<4>("magic")? != MAGIC {
            return Err(DecodeError::Magic("graph"));
        }
        let version = u16::from_le_bytes(reader.array("version")?);
        if version != VERSION {
            return Err(DecodeError::Version {
                what: "graph",
                version,
            });
        }
        let input = Input {
            shape: shape(&mut reader)?,
            range: range(&mut reader)?,
            scale: scale(&mut reader)?,
        };
        let count = reader.u32("node count")? as usize;
        if count > MAX_NODES {
            return Err(DecodeError::TooLarge {
                what: "node count",
                actual: count as u64,
                limit: MAX_NODES as u64,
            });
        }
        let least = count.saturating_mul(MIN_NODE_BYTES);
        if reader.remaining() < least {
            return Err(reader.truncated("nodes", least));
        }
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            nodes.push(Node {
                op: op(&mut reader)?,
                shape: shape(&mut reader)?,
                range: range(&mut reader)?,
            });
        }
        let graph = Self {
            input,
            nodes,
            output: reader.u32("output")?,
            output_scale: scale(&mut reader)?,
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

pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_shape(out: &mut Vec<u8>, shape: &Shape) {
    out.push(u8::try_from(shape.0.len()).unwrap_or(u8::MAX));
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
        Op::Linear {
            input,
            weight,
            rows,
            inner,
            cols,
        } => {
            out.push(1);
            for word in [input, weight, rows, inner, cols] {
                out.extend(word.to_le_bytes());
            }
        }
        Op::Add {
            a,
            b,
            multiplier_a,
            multiplier_b,
        } => {
            out.push(2);
            out.extend(a.to_le_bytes());
            out.extend(b.to_le_bytes());
            out.extend(multiplier_a.to_le_bytes());
            out.extend(multiplier_b.to_le_bytes());
        }
        Op::Requant {
            input,
            shift,
            table,
        } => {
            out.push(3);
            out.extend(input.to_le_bytes());
            out.push(*shift);
            match table {
                Table::Clamp { bits, lo, hi } => {
                    out.push(1);
                    out.push(*bits);
                    out.extend(lo.to_le_bytes());
                    out.extend(hi.to_le_bytes());
                }
            }
        }
        Op::Reshape { input, shape } => {
            out.push(4);
            out.extend(input.to_le_bytes());
            put_shape(out, shape);
        }
    }
}

fn shape(reader: &mut Reader<'_>) -> Result<Shape, DecodeError> {
    let rank = reader.u8("rank")? as usize;
    if rank > MAX_RANK {
        return Err(DecodeError::TooLarge {
            what: "rank",
            actual: rank as u64,
            limit: MAX_RANK as u64,
        });
    }
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

fn op(reader: &mut Reader<'_>) -> Result<Op, DecodeError> {
    let offset = reader.offset;
    Ok(match reader.u8("operator")? {
        1 => Op::Linear {
            input: reader.u32("operand")?,
            weight: reader.u32("weight")?,
            rows: reader.u32("rows")?,
            inner: reader.u32("inner")?,
            cols: reader.u32("cols")?,
        },
        2 => Op::Add {
            a: reader.u32("operand")?,
            b: reader.u32("operand")?,
            multiplier_a: reader.i32("multiplier")?,
            multiplier_b: reader.i32("multiplier")?,
        },
        3 => Op::Requant {
            input: reader.u32("operand")?,
            shift: reader.u8("shift")?,
            table: table(reader)?,
        },
        4 => Op::Reshape {
            input: reader.u32("operand")?,
            shape: shape(reader)?,
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

fn table(reader: &mut Reader<'_>) -> Result<Table, DecodeError> {
    let offset = reader.offset;
    match reader.u8("table")? {
        1 => Ok(Table::Clamp {
            bits: reader.u8("table bits")?,
            lo: reader.i32("clamp")?,
            hi: reader.i32("clamp")?,
        }),
        tag => Err(DecodeError::Tag {
            what: "table",
            tag,
            offset,
        }),
    }
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
