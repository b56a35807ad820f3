//! Public API (bodies arrive next).

use hallmark_graph::{Graph, Model, Trace};

/// What a verifier knows of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    graph: Graph,
    commitment: [u8; 32],
}

/// Why a verifying key was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("malformed verifying key: {0}")]
    Malformed(&'static str),
}

/// Why a model cannot be proved.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("unsupported model: {0}")]
    Unsupported(String),
}

/// Why no proof was made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    #[error("trace does not fit the model: {0}")]
    Trace(String),
}

/// Why a proof was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyError {
    #[error("malformed proof: {0}")]
    Format(&'static str),
}

/// Deterministic integer units of verification work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyCost {
    units: u64,
}

impl VerifyCost {
    /// Gas of one verification.
    pub fn gas(&self) -> u64 {
        self.units
    }
}

/// Soundness, term by term.
#[derive(Clone, Debug)]
pub struct SecurityReport {
    pub terms: Vec<(String, f64)>,
}

impl SecurityReport {
    /// Bits of soundness of the sum of all terms.
    pub fn bits(&self) -> f64 {
        0.0
    }
}

impl VerifyingKey {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
    /// Decodes canonical bytes.
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> {
        todo!()
    }
    /// BLAKE3 of [`Self::encode`].
    pub fn digest(&self) -> [u8; 32] {
        todo!()
    }
    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
    /// Root of the weight commitment.
    pub fn commitment(&self) -> [u8; 32] {
        self.commitment
    }
    /// No valid proof is longer, in bytes.
    pub fn max_proof_len(&self) -> usize {
        todo!()
    }
    /// Cost of one verification.
    pub fn cost(&self) -> VerifyCost {
        todo!()
    }
}

/// A model with the prover's data of its weight commitment.
pub struct ProvingKey {
    vk: VerifyingKey,
}

impl ProvingKey {
    /// The verifying key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.vk
    }
}

/// Commits to a model's weights; deterministic.
pub fn setup(_model: &Model) -> Result<ProvingKey, SetupError> {
    todo!()
}

/// Proves that `trace` is the run of the model.
pub fn prove(_pk: &ProvingKey, _trace: &Trace, _context: &[u8; 32]) -> Result<Vec<u8>, ProveError> {
    todo!()
}

/// Checks a proof.
pub fn verify(
    _vk: &VerifyingKey,
    _input: &[i32],
    _output: &[i32],
    _context: &[u8; 32],
    _proof: &[u8],
) -> Result<(), VerifyError> {
    todo!()
}

/// Sum of the soundness errors.
pub fn security_report(_vk: &VerifyingKey) -> SecurityReport {
    todo!()
}
