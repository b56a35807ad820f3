//! The `.hmk` file: a graph with its parameters.
//!
//! ```text
//! model  = "HMKM" version:u16 digest:[u8; 32] payload
//! payload = graph_length:u32 graph linear*
//! linear = w:i8[inner * cols] b:i32[cols] m:u16[cols]
//! ```
//!
//! `digest` is the BLAKE3 of the payload and finds damage; it is no signature. The lengths of
//! the parameters follow from the graph and are compared with the bytes that remain before
//! anything is allocated. The content hash, by which a model is named and fetched, is the BLAKE3
//! of the whole file.

use crate::codec::{Reader, put_count};
use crate::{DecodeError, Graph, LinearWeights, Model, Weights};

/// Longest `.hmk` file.
pub const MAX_MODEL_BYTES: usize = 512 << 20;

const MAGIC: [u8; 4] = *b"HMKM";
const VERSION: u16 = 1;

impl Model {
    /// Bytes of the `.hmk` file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let graph = self.graph.encode();
        let mut payload = Vec::new();
        put_count(&mut payload, graph.len());
        payload.extend(graph);
        for linear in &self.weights.linear {
            payload.extend(linear.w.iter().map(|w| w.to_le_bytes()[0]));
            payload.extend(linear.b.iter().flat_map(|b| b.to_le_bytes()));
            payload.extend(linear.m.iter().flat_map(|m| m.to_le_bytes()));
        }
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(blake3::hash(&payload).as_bytes());
        out.extend(payload);
        out
    }

    /// Reads a `.hmk` file and checks the model with [`Model::check`].
    ///
    /// # Errors
    ///
    /// Bytes that [`Model::encode`] does not write, damage, or a model that does not check.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_MODEL_BYTES {
            return Err(DecodeError::TooLarge {
                what: "model length",
                actual: bytes.len() as u64,
                limit: MAX_MODEL_BYTES as u64,
            });
        }
        let mut reader = Reader::new(bytes);
        if reader.array::<4>("magic")? != MAGIC {
            return Err(DecodeError::Magic("model"));
        }
        let version = u16::from_le_bytes(reader.array("version")?);
        if version != VERSION {
            return Err(DecodeError::Version {
                what: "model",
                version,
            });
        }
        let digest: [u8; 32] = reader.array("digest")?;
        let payload = reader.take(reader.remaining(), "payload")?;
        if blake3::hash(payload) != digest {
            return Err(DecodeError::Digest);
        }
        let mut reader = Reader::new(payload);
        let length = reader.u32("graph length")? as usize;
        let graph = Graph::decode(reader.take(length, "graph")?)?;
        let mut linear = Vec::new();
        for (_, inner, cols) in graph.linears() {
            linear.push(read_linear(&mut reader, inner as usize, cols as usize)?);
        }
        reader.finish()?;
        let model = Self {
            graph,
            weights: Weights { linear },
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

fn read_linear(
    reader: &mut Reader<'_>,
    inner: usize,
    cols: usize,
) -> Result<LinearWeights, DecodeError> {
    let w = reader.take(inner.saturating_mul(cols), "weights")?;
    let b = reader.take(cols.saturating_mul(4), "biases")?;
    let m = reader.take(cols.saturating_mul(2), "multipliers")?;
    Ok(LinearWeights {
        w: w.iter().map(|&byte| i8::from_le_bytes([byte])).collect(),
        b: b.as_chunks::<4>()
            .0
            .iter()
            .map(|c| i32::from_le_bytes(*c))
            .collect(),
        m: m.as_chunks::<2>()
            .0
            .iter()
            .map(|c| u16::from_le_bytes(*c))
            .collect(),
    })
}
