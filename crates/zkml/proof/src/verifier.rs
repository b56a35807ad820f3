//! The verifier: decodes a proof, checks its messages and its openings.

use std::panic::AssertUnwindSafe;

use hallmark_graph::TensorError;

use crate::key::VerifyingKey;
use crate::field::F;
use crate::messages::{Public, verify_messages};
use crate::opening::hiding::{HidingScheme, Relations};
use crate::plan::Plan;
use crate::private::{check_masked, read_digest};
use crate::proof::{
    DecodeFailure, FormatError, Proof, Statement, WitnessConfig, WitnessOpening, decode,
};
use crate::sponge::RATE;
use crate::statement::{Inputs, inputs, outputs, statement};
use crate::sumcheck::SumcheckError;
use crate::transcript::{Exhausted, VerifierChannel, observe};

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
    /// The commitment to the inputs is not one: an element is not below the modulus.
    #[error("the commitment to the input is not canonical")]
    Commitment,
    /// The sponge of the commitment to the inputs does not hold.
    #[error("the input is not what was committed to")]
    InputCommitment,
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

/// Checks that `masked` is the model's result on the inputs behind a commitment, plus the pads that the
/// commitment holds; see [`crate::commit_input`].
///
/// # Errors
///
/// The first check that fails; [`VerifyError::Mode`] where the key has no such proofs.
pub fn verify_private(
    vk: &VerifyingKey,
    commitment: &[u8; 32],
    masked: &[u32],
    context: &[u8; 32],
    proof: &[u8],
) -> Result<(), VerifyError> {
    // Elements below p < 2^31 are the same integers; others are refused.
    let masked: Vec<i32> = masked.iter().map(|&x| x as i32).collect();
    verify_with(vk, Inputs::Private(commitment), &masked, context, proof)
}

/// As [`verify`] or [`verify_private`], by what the statement says of the inputs.
///
/// # Errors
///
/// The first check that fails.
pub fn verify_with(
    vk: &VerifyingKey,
    inputs: Inputs<'_>,
    output: &[i32],
    context: &[u8; 32],
    proof: &[u8],
) -> Result<(), VerifyError> {
    let check = match inputs {
        Inputs::Public(input) => Check {
            plan: vk.plan(),
            config: vk.witness_config(),
            longest: vk.max_proof_len(),
            input: Ok(input),
            hiding: None,
        },
        Inputs::Private(commitment) => {
            let private = vk.private().ok_or(VerifyError::Mode)?;
            Check {
                plan: &private.plan,
                config: WitnessConfig::Hiding(private.scheme.config()),
                longest: vk.max_private_proof_len().ok_or(VerifyError::Mode)?,
                input: Err(read_digest(commitment).ok_or(VerifyError::Commitment)?),
                hiding: Some(&private.scheme),
            }
        }
    };
    let limit = check.longest;
    if proof.len() > limit {
        return Err(FormatError::TooLong(limit).into());
    }
    let graph = vk.graph();
    if let Ok(input) = check.input {
        graph.check_input(input).map_err(VerifyError::Input)?;
        graph.check_output(output).map_err(VerifyError::Output)?;
    } else {
        check_masked(graph, output).map_err(VerifyError::Output)?;
    }
    let weights = vk.weight_schemes().iter().map(|s| s.whir().config());
    let proof = decode(proof, check.plan.elements, check.config, weights)?;
    check_statement(&proof.statement, &statement(vk, inputs, output, context))?;
    // Nothing below panics on any proof that decodes: every length that the library asserts is
    // fixed by `decode`. A validator must not fall to a defect in that library either, and all
    // validators run the same deterministic code, so an unwinding is a refusal for all of them.
    let checked = AssertUnwindSafe(|| verify_decoded(vk, &check, output, proof));
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

/// What is checked in a mode.
struct Check<'a> {
    plan: &'a Plan,
    config: WitnessConfig<'a>,
    longest: usize,
    /// The inputs, or the commitment to them.
    input: Result<&'a [i32], [F; RATE]>,
    hiding: Option<&'a HidingScheme>,
}

fn verify_decoded(
    vk: &VerifyingKey,
    check: &Check<'_>,
    output: &[i32],
    proof: Proof,
) -> Result<(), VerifyError> {
    let plan = check.plan;
    let seed = proof.statement.transcript_seed();
    let mut channel =
        VerifierChannel::with_mode(&seed, &proof.elements, check.hiding.is_some());
    for (scheme, root) in vk.weight_schemes().iter().zip(vk.roots()) {
        scheme.observe(root, &mut channel.transcript);
    }
    observe(&proof.root, &mut channel.transcript);
    let public = Public {
        inputs: check.input.ok().map(|input| inputs(vk.graph(), input)),
        commitment: check.input.err().unwrap_or_default(),
        outputs: outputs(vk.graph(), output),
    };
    let remaining = verify_messages(plan, &public, &mut channel)?;
    if !channel.is_finished() {
        return Err(FormatError::Trailing.into());
    }
    // The opening names pads and products by the plan's numbers.
    let hiding = &plan.hiding;
    if channel.pads as usize != hiding.pads || channel.products != hiding.products {
        return Err(VerifyError::Internal);
    }

    let shards = &plan.weights;
    let mut weights = vec![Vec::new(); shards.stackings.len()];
    for claim in remaining.weights {
        let (shard, block) = shards.places[claim.block];
        weights[shard].push((block, claim.point, claim.value));
    }
    let constraints = std::mem::take(&mut channel.constraints);
    let transcript = &mut channel.transcript;
    let opened = match (check.hiding, proof.witness) {
        (None, WitnessOpening::Plain(opening)) => {
            let claims: Vec<_> = remaining
                .witness
                .into_iter()
                .map(|claim| (claim.block, claim.point, claim.value.constant))
                .collect();
            let scheme = vk.witness_scheme();
            scheme.verify(&proof.root, &claims, opening, transcript)
        }
        (Some(scheme), WitnessOpening::Hiding(opening)) => {
            let relations = Relations {
                claims: remaining.witness,
                linear: remaining.linear,
                constraints,
            };
            scheme.verify(&proof.root, &relations, *opening, transcript)
        }
        _ => false,
    };
    if !opened {
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
