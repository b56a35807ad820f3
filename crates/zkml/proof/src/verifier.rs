//! The verifier: decodes a proof, checks its messages and its openings.

use std::panic::AssertUnwindSafe;

use hallmark_graph::TensorError;

use crate::key::VerifyingKey;
use crate::messages::{Public, verify_messages};
use crate::proof::{DecodeFailure, FormatError, Proof, Statement, decode};
use crate::statement::{Inputs, inputs, outputs, statement};
use crate::sumcheck::SumcheckError;
use crate::transcript::{Exhausted, VerifierChannel};

/// Why a proof was refused: the first check that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The bytes are not a proof for this key.
    #[error("malformed proof: {0}")]
    Format(#[from] FormatError),
    /// Another version of the format.
    #[error("proof version {0} is not supported")]
    Version(u8),
    /// Another set of cryptographic parameters.
    #[error("security profile {0} is not supported")]
    Profile(u8),
    /// Proofs of private inputs are not available for this key.
    #[error("proofs of private inputs are not available for this key")]
    Mode,
    /// The input's length or range is not the graph's.
    #[error("input: {0}")]
    Input(TensorError),
    /// The output's length or range is not the graph's.
    #[error("output: {0}")]
    Output(TensorError),
    /// The proof says that it is of another model.
    #[error("the proof is of another model")]
    WrongModel,
    /// The proof says that it is of another input.
    #[error("the proof is of another input")]
    WrongInput,
    /// The proof says that it is of another output.
    #[error("the proof is of another output")]
    WrongOutput,
    /// The proof says that it is of another context.
    #[error("the proof is bound to another context")]
    WrongContext,
    /// The proof's claim on the output is not the public output's evaluation.
    #[error("the output is not what was computed")]
    OutputMismatch,
    /// A claim on the input is not the public input's evaluation.
    #[error("the run used another input")]
    InputMismatch,
    /// The lookups do not balance, or do not fit the columns.
    #[error("lookup argument: {0}")]
    Lookup(&'static str),
    /// The sumcheck of a node does not end in its operands.
    #[error("sumcheck of node {node} does not end in its operands")]
    Sumcheck {
        /// Index of the node.
        node: usize,
    },
    /// Claims on a sum and its operands disagree.
    #[error("sum of node {node} is not that of its operands")]
    Add {
        /// Index of the node.
        node: usize,
    },
    /// The sumcheck that moves elements between axes does not end in the operand.
    #[error("the elements that node {node} moves are not its operand's")]
    Map {
        /// Index of the node.
        node: usize,
    },
    /// The limbs of a private input are not of it.
    #[error("private input {input} is not shown to be in its range")]
    InputRange {
        /// Index of the input.
        input: usize,
    },
    /// A claim that a node passes on is not the one that another made.
    #[error("node {node} and another disagree on its operand")]
    Claim {
        /// Index of the node.
        node: usize,
    },
    /// Several claims on one value do not agree.
    #[error("claims on value {value} do not agree")]
    Merge {
        /// The value.
        value: u32,
    },
    /// The limbs of a rounding shift do not make its operand.
    #[error("the limbs of node {node} are not of its operand")]
    Shift {
        /// Index of the node.
        node: usize,
    },
    /// A challenge is zero where it must not be, which happens to one proof in `2^140`.
    #[error("a challenge is zero")]
    ZeroChallenge,
    /// The witness commitment does not open to the claims.
    #[error("the witness commitment does not open to what was claimed")]
    WitnessOpening,
    /// A defect: the verifier unwound. The proof is refused.
    #[error("internal error of the verifier")]
    Internal,
    /// The model's weight commitment does not open to the claims.
    #[error("the weight commitment does not open to what was claimed")]
    WeightOpening,
}

impl From<Exhausted> for VerifyError {
    fn from(_: Exhausted) -> Self {
        Self::Format(FormatError::Truncated)
    }
}

impl From<SumcheckError> for VerifyError {
    fn from(error: SumcheckError) -> Self {
        match error {
            SumcheckError::Exhausted => Exhausted.into(),
            SumcheckError::ZeroCoordinate => Self::ZeroChallenge,
        }
    }
}

impl From<DecodeFailure> for VerifyError {
    fn from(failure: DecodeFailure) -> Self {
        match failure {
            DecodeFailure::Format(e) => Self::Format(e),
            DecodeFailure::Version(v) => Self::Version(v),
            DecodeFailure::Profile(p) => Self::Profile(p),
        }
    }
}

/// Checks that `output` is the model's result on `input`, by a proof bound to `context`.
///
/// Deterministic. The work is bounded by [`VerifyingKey::cost`] and memory by the key and the
/// tensors: no size is read from the proof. Never panics.
///
/// # Errors
///
/// The first check that fails.
pub fn verify(
    vk: &VerifyingKey,
    input: &[i32],
    output: &[i32],
    context: &[u8; 32],
    proof: &[u8],
) -> Result<(), VerifyError> {
    verify_with(vk, Inputs::Public(input), output, context, proof)
}

/// As [`verify`], for whatever the statement says of the inputs.
///
/// # Errors
///
/// The first check that fails; [`VerifyError::Mode`] where the mode is not available.
pub fn verify_with(
    vk: &VerifyingKey,
    inputs: Inputs<'_>,
    output: &[i32],
    context: &[u8; 32],
    proof: &[u8],
) -> Result<(), VerifyError> {
    let Inputs::Public(input) = inputs else {
        return Err(VerifyError::Mode);
    };
    let limit = vk.max_proof_len();
    if proof.len() > limit {
        return Err(FormatError::TooLong(limit).into());
    }
    vk.graph().check_input(input).map_err(VerifyError::Input)?;
    vk.graph()
        .check_output(output)
        .map_err(VerifyError::Output)?;
    let proof = decode(
        proof,
        inputs.mode(),
        vk.plan().elements,
        vk.witness_scheme().whir().config(),
        vk.weight_schemes().iter().map(|s| s.whir().config()),
    )?;
    check_statement(&proof.statement, &statement(vk, inputs, output, context))?;
    // Nothing below panics on any proof that decodes: every length that the library asserts is
    // fixed by `decode`. A validator must not fall to a defect in that library either, and all
    // validators run the same deterministic code, so an unwinding is a refusal for all of them.
    let checked = AssertUnwindSafe(|| verify_decoded(vk, input, output, proof));
    std::panic::catch_unwind(checked).unwrap_or(Err(VerifyError::Internal))
}

/// What a proof claims to be of, compared with what is asked.
fn check_statement(claimed: &Statement, expected: &Statement) -> Result<(), VerifyError> {
    if claimed.model != expected.model {
        return Err(VerifyError::WrongModel);
    }
    if claimed.input != expected.input {
        return Err(VerifyError::WrongInput);
    }
    if claimed.output != expected.output {
        return Err(VerifyError::WrongOutput);
    }
    if claimed.context != expected.context {
        return Err(VerifyError::WrongContext);
    }
    Ok(())
}

fn verify_decoded(
    vk: &VerifyingKey,
    input: &[i32],
    output: &[i32],
    proof: Proof,
) -> Result<(), VerifyError> {
    let plan = vk.plan();
    let mut channel = VerifierChannel::new(&proof.statement.transcript_seed(), &proof.elements);
    for (scheme, root) in vk.weight_schemes().iter().zip(vk.roots()) {
        scheme.observe(root, &mut channel.transcript);
    }
    vk.witness_scheme()
        .observe(&proof.root, &mut channel.transcript);
    let public = Public {
        inputs: Some(inputs(vk.graph(), input)),
        outputs: outputs(vk.graph(), output),
    };
    let remaining = verify_messages(plan, &public, &mut channel)?;
    if !channel.is_finished() {
        return Err(FormatError::Trailing.into());
    }

    let witness: Vec<_> = remaining
        .witness
        .into_iter()
        .map(|claim| (claim.block, claim.point, claim.value.constant))
        .collect();
    let shards = &plan.weights;
    let mut weights = vec![Vec::new(); shards.stackings.len()];
    for claim in remaining.weights {
        let (shard, block) = shards.places[claim.block];
        weights[shard].push((block, claim.point, claim.value));
    }
    let transcript = &mut channel.transcript;
    if !vk
        .witness_scheme()
        .verify(&proof.root, &witness, proof.witness, transcript)
    {
        return Err(VerifyError::WitnessOpening);
    }
    let schemes = vk.weight_schemes().iter().zip(vk.roots());
    for (((scheme, root), claims), opening) in schemes.zip(&weights).zip(proof.weights) {
        if !scheme.verify(root, claims, opening, transcript) {
            return Err(VerifyError::WeightOpening);
        }
    }
    Ok(())
}
