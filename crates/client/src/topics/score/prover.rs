//! A model that proves what it answers.

use crate::{Client, ClientError, ModelRecord, model_id};
use alloy_primitives::B256;
use hallmark_engine::Prepared;
use hallmark_graph::{Graph, Model};
use hallmark_proof::ProvingKey;

/// Models that one look at the list asks for.
const PAGE: u64 = 100;

/// Why a model does not prove.
#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    #[error("the model cannot be proven: {0}")]
    Setup(String),
    #[error("the sample does not fit the model: {0}")]
    Input(String),
    #[error("the model does not run: {0}")]
    Run(String),
    #[error("the run cannot be proven: {0}")]
    Proof(String),
}

/// A model with what it takes to run it and to prove its runs.
pub struct Prover {
    prepared: Prepared,
    key: ProvingKey,
}

/// A proven run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// In the encoding of the model's output.
    pub output: Vec<u8>,
    pub proof: Vec<u8>,
    /// The place of the largest element, the first among equals.
    pub answer: Option<u32>,
}

impl Prover {
    /// Commits to the model's weights: seconds to minutes of work for a large model.
    ///
    /// # Errors
    /// [`ProverError::Setup`] for a model that the protocol does not take.
    pub fn new(model: Model) -> Result<Self, ProverError> {
        let setup = |error: &dyn std::error::Error| ProverError::Setup(error.to_string());
        let key = hallmark_proof::setup(&model).map_err(|error| setup(&error))?;
        let prepared = Prepared::new(model).map_err(|error| setup(&error))?;
        Ok(Self { prepared, key })
    }

    /// What proofs are checked with, encoded as it is published.
    pub fn verifying_key(&self) -> Vec<u8> {
        self.key.verifying_key().encode()
    }

    /// Digest of the verifying key, as the chain lists it.
    pub fn digest(&self) -> B256 {
        self.key.verifying_key().digest().into()
    }

    /// The model's graph.
    pub fn graph(&self) -> &Graph {
        self.prepared.graph()
    }

    /// What the model answers for an input in its encoding: the place of its largest output, the
    /// first among equals. `None` for a model without outputs.
    ///
    /// # Errors
    /// The input does not fit.
    pub fn answer(&self, input: &[u8]) -> Result<Option<u32>, ProverError> {
        let input = self.decode(input)?;
        let output = hallmark_engine::run(&self.prepared, &input)
            .map_err(|error| ProverError::Run(error.to_string()))?;
        Ok(largest(&output))
    }

    /// Runs the model on an input in its encoding and proves the run; the proof is bound to
    /// `context`.
    ///
    /// # Errors
    /// The input does not fit.
    pub fn prove(&self, context: B256, input: &[u8]) -> Result<Run, ProverError> {
        let input = self.decode(input)?;
        let trace = hallmark_engine::trace(&self.prepared, &input)
            .map_err(|error| ProverError::Run(error.to_string()))?;
        let output = self.graph().join_output(&trace.values);
        let proof = hallmark_proof::prove(&self.key, &trace, &context.0)
            .map_err(|error| ProverError::Proof(error.to_string()))?;
        Ok(Run {
            answer: largest(&output),
            output: self.graph().encode_output(&output),
            proof,
        })
    }

    fn decode(&self, input: &[u8]) -> Result<Vec<i32>, ProverError> {
        self.graph()
            .decode_input(input)
            .map_err(|error| ProverError::Input(error.to_string()))
    }
}

/// The place of the largest element, the first among equals.
fn largest(values: &[i32]) -> Option<u32> {
    let mut best: Option<(i32, u32)> = None;
    for (place, value) in (0u32..).zip(values) {
        if best.is_none_or(|(greatest, _)| *value > greatest) {
            best = Some((*value, place));
        }
    }
    best.map(|(_, place)| place)
}

impl Client {
    /// The published model whose verifying key has this digest: this key's own listing if there is
    /// one, else the oldest of another owner. `None` if nobody has published it.
    pub async fn find_model_of(&self, digest: B256) -> Result<Option<ModelRecord>, ClientError> {
        if let Some(owner) = self.address() {
            match self.model(model_id(owner, digest)).await {
                Ok(own) if own.registered_at > 0 => return Ok(Some(own)),
                Ok(_) | Err(ClientError::NoSuchModel(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let count = self.model_count().await?;
        let mut offset = 0;
        while offset < count {
            let page = self.models(offset, PAGE).await?;
            if page.is_empty() {
                break;
            }
            offset += page.len() as u64;
            let found = page.into_iter().find(|model| model.digest == digest);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn the_answer_is_the_first_of_the_largest() {
        assert_eq!(largest(&[3, 7, 7, 1]), Some(1));
        assert_eq!(largest(&[i32::MIN]), Some(0));
        assert_eq!(largest(&[]), None);
    }
}
