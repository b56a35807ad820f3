//! The `.hmk` file: a graph with its parameters. All integers are little endian.
//!
//! ```text
//! model    = "HMKM" version:u16 digest:[u8; 32] payload
//! payload  = graph_length:u32 graph constant* table*
//! constant = width:u8 scaled:u8 element[width]* (multiplier:u16)*
//! table    = entry[width]*
//! ```
//!
//! `width` is 1, 2 or 4 bytes, the narrowest that holds all elements. `scaled` is 1 when
//! multipliers follow, else 0. The width of a table's entries is the narrowest that holds the
//! range which the graph declares for it. The lengths of the parameters follow from the graph and
//! are compared with the bytes that remain before anything is allocated.
//!
//! `digest` is the BLAKE3 of the payload and finds damage; it is no signature. The content hash,
//! by which a model is named and fetched, is the BLAKE3 of the whole file. Version 1 held the
//! parameters of other operators; it is refused by its number.

use crate::codec::{Reader, limit, put_count, words};
use crate::tensor::{put_elements, read_elements};
use crate::{
    Constant, DecodeError, Elements, Graph, Model, Shape, Table, TableData, Weights, element_width,
};

/// Longest `.hmk` file.
pub const MAX_MODEL_BYTES: usize = 1 << 30;

const MAGIC: [u8; 4] = *b"HMKM";
const VERSION: u16 = 3;
/// Magic, version and digest.
const HEADER_BYTES: usize = 4 + 2 + 32;

impl Model {
    /// Bytes of the `.hmk` file of a checked model.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let graph = self.graph.encode();
        put_count(&mut payload, graph.len());
        payload.extend(graph);
        for constant in &self.weights.constants {
            put_constant(&mut payload, constant);
        }
        for (table, data) in self.graph.tables().iter().zip(&self.weights.tables) {
            put_elements(&mut payload, &data.values, element_width(table.range()));
        }
        let digest = blake3::hash(&payload);
        let mut out = Vec::with_capacity(payload.len().saturating_add(HEADER_BYTES));
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(digest.as_bytes());
        out.append(&mut payload);
        out
    }

    /// Reads a `.hmk` file and checks the model with [`Model::check`].
    ///
    /// # Errors
    ///
    /// Bytes that [`Model::encode`] does not write, damage, or a model that does not check.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limit("model length", bytes.len(), MAX_MODEL_BYTES)?;
        let mut reader = Reader::new(bytes);
        reader.header("model", MAGIC, VERSION)?;
        let digest: [u8; 32] = reader.array("digest")?;
        let payload = reader.take(reader.remaining(), "payload")?;
        if blake3::hash(payload) != digest {
            return Err(DecodeError::Digest);
        }
        let mut reader = Reader::new(payload);
        let length = reader.u32("graph length")? as usize;
        let graph = Graph::decode(reader.take(length, "graph")?)?;
        let constants: Result<Vec<_>, _> = graph
            .constants()
            .map(|node| read_constant(&mut reader, &node.shape))
            .collect();
        let constants = constants?;
        let tables: Result<Vec<_>, _> = graph
            .tables()
            .iter()
            .map(|table| read_table(&mut reader, table))
            .collect();
        let tables = tables?;
        reader.finish()?;
        let model = Self {
            graph,
            weights: Weights { constants, tables },
        };
        model.check()?;
        Ok(model)
    }

    /// BLAKE3 of the `.hmk` file: the name by which a model is published and fetched.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        blake3::hash(&self.encode()).into()
    }
}

fn put_constant(out: &mut Vec<u8>, constant: &Constant) {
    let scaled = u8::from(!constant.multipliers.is_empty());
    match &constant.elements {
        Elements::I8(v) => {
            out.extend([1, scaled]);
            out.extend(v.iter().map(|e| e.to_le_bytes()[0]));
        }
        Elements::I16(v) => {
            out.extend([2, scaled]);
            out.extend(v.iter().flat_map(|e| e.to_le_bytes()));
        }
        Elements::I32(v) => {
            out.extend([4, scaled]);
            out.extend(v.iter().flat_map(|e| e.to_le_bytes()));
        }
    }
    out.extend(constant.multipliers.iter().flat_map(|m| m.to_le_bytes()));
}

fn read_constant(reader: &mut Reader<'_>, shape: &Shape) -> Result<Constant, DecodeError> {
    let count = shape.elements();
    let width = reader.tag("element width", &[1, 2, 4])?;
    let scaled = reader.tag("mark of multipliers", &[0, 1])?;
    let bytes = reader.take(count.saturating_mul(usize::from(width)), "elements")?;
    let elements = match width {
        1 => Elements::I8(bytes.iter().map(|&b| i8::from_le_bytes([b])).collect()),
        2 => {
            let pairs = bytes.as_chunks::<2>().0;
            Elements::I16(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
        }
        _ => Elements::I32(words(bytes)),
    };
    let scales = usize::from(scaled).saturating_mul(shape.last() as usize);
    let bytes = reader.take(scales.saturating_mul(2), "multipliers")?;
    let pairs = bytes.as_chunks::<2>().0;
    let multipliers = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    Ok(Constant {
        elements,
        multipliers: multipliers.collect(),
    })
}

fn read_table(reader: &mut Reader<'_>, table: &Table) -> Result<TableData, DecodeError> {
    let width = element_width(table.range());
    let bytes = reader.take(table.len().saturating_mul(width), "table")?;
    Ok(TableData {
        values: read_elements(bytes, width),
    })
}
