//! The verifier: decodes a proof, checks its messages and its openings.

use std::panic::AssertUnwindSafe;

use hallmark_graph::TensorError;

use crate::checks::{Check, ensure};
use crate::field::F;
use crate::key::VerifyingKey;
use crate::messages::{Public, verify_messages};
use crate::opening::hiding::{HidingScheme, Relations};
use crate::opening::plain::PlainOpening;
use crate::plan::{Mode, Plan};
use crate::private::{check_masked, is_commitment, reduce_digest};
use crate::profile::describe;
use crate::proof::{
    DecodeFailure, FormatError, Instance, Proof, Statement, WitnessConfig, WitnessOpening,
    batch_seed, decode, decode_batch,
};
use crate::security::max_batch;
use crate::sponge::RATE;
use crate::statement::{Inputs, inputs, outputs, statement};
use crate::sumcheck::SumcheckError;
use crate::transcript::{Exhausted, NotZero, Transcript, VerifierChannel, observe};

/// Why a proof was refused: the first check that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The bytes are not a proof for this key.
    #[error("malformed proof: {0}")]
    Format(#[from] FormatError),
    /// Another version of the format.
    #[error("proof version {0} is not supported")]
    Version(u8),
    /// Other cryptographic parameters than those of the key and the mode that is asked for.
    #[error("the proof is of security profile {0} ({name}), not of that of the key and mode", name = describe(.0))]
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
    let check = Expected::new(vk, inputs.mode())?;
    let limit = vk.longest(check.plan, check.config);
    ensure(Check::Length, proof.len() <= limit, || {
        FormatError::TooLong(limit)
    })?;
    let inputs_of = check_tensors(vk, inputs, output)?;
    let weights = vk.weight_schemes().iter().map(|s| s.whir().config());
    let proof = decode(
        proof,
        check.plan.elements,
        vk.profile(),
        check.config,
        weights,
    )?;
    check_statement(&proof.statement, &statement(vk, inputs, output, context))?;
    // Nothing below panics on any proof that decodes: every length that the library asserts is
    // fixed by `decode`. A validator must not fall to a defect in that library either, and all
    // validators run the same deterministic code, so an unwinding is a refusal for all of them.
    let Proof {
        statement,
        root,
        elements,
        witness,
        weights,
    } = proof;
    let seed = statement.transcript_seed();
    let instance = Instance {
        statement,
        root,
        elements,
        witness,
    };
    unwound(|| {
        verify_decoded(
            vk,
            &check,
            &seed,
            vec![(inputs_of, output, instance)],
            weights,
        )
    })
}

/// What one run of a batch is said to be.
#[derive(Clone, Copy, Debug)]
pub struct BatchStatement<'a> {
    /// Its inputs, or the commitment to them.
    pub inputs: Inputs<'a>,
    /// Its outputs, flat; with private inputs masked, each below the modulus.
    pub output: &'a [i32],
}

/// Checks a proof of several runs of one model ([`crate::prove_batch`]), all of public inputs or all of
/// private ones, in the order in which they were proven.
///
/// # Errors
///
/// The first check that fails.
pub fn verify_batch(
    vk: &VerifyingKey,
    runs: &[BatchStatement<'_>],
    context: &[u8; 32],
    proof: &[u8],
) -> Result<(), VerifyError> {
    let mode = match runs.first() {
        Some(first) => first.inputs.mode(),
        None => return Err(FormatError::Runs.into()),
    };
    ensure(
        Check::BatchLength,
        runs.len() <= max_batch(vk, mode),
        || FormatError::Runs,
    )?;
    let check = Expected::new(vk, mode)?;
    let limit = vk.longest_batch(check.plan, check.config, runs.len());
    ensure(Check::Length, proof.len() <= limit, || {
        FormatError::TooLong(limit)
    })?;
    let mut inputs = Vec::with_capacity(runs.len());
    for run in runs {
        ensure(Check::BatchMode, run.inputs.mode() == mode, || {
            FormatError::Runs
        })?;
        inputs.push(check_tensors(vk, run.inputs, run.output)?);
    }
    let weights = vk.weight_schemes().iter().map(|s| s.whir().config());
    let elements = check.plan.elements;
    let proof = decode_batch(
        proof,
        runs.len(),
        elements,
        vk.profile(),
        check.config,
        weights,
    )?;
    for (run, instance) in runs.iter().zip(&proof.instances) {
        let expected = statement(vk, run.inputs, run.output, context);
        check_statement(&instance.statement, &expected)?;
    }
    let stated: Vec<&Statement> = proof.instances.iter().map(|i| &i.statement).collect();
    let seed = batch_seed(&stated);
    let outputs = runs.iter().map(|run| run.output);
    let instances = inputs.into_iter().zip(outputs).zip(proof.instances);
    let instances = instances
        .map(|((input, output), i)| (input, output, i))
        .collect();
    unwound(|| verify_decoded(vk, &check, &seed, instances, proof.weights))
}

/// Nothing in a check panics on any proof that decodes: every length that the library asserts is
/// fixed by the decoder. A validator must not fall to a defect in that library either, and all
/// validators run the same deterministic code, so an unwinding is a refusal for all of them.
fn unwound(check: impl FnOnce() -> Result<(), VerifyError>) -> Result<(), VerifyError> {
    std::panic::catch_unwind(AssertUnwindSafe(check)).unwrap_or(Err(VerifyError::Internal))
}

/// The inputs, or the elements of the commitment to them, each with the right lengths and ranges.
fn check_tensors<'a>(
    vk: &VerifyingKey,
    inputs: Inputs<'a>,
    output: &[i32],
) -> Result<Result<&'a [i32], [F; RATE]>, VerifyError> {
    let graph = vk.graph();
    match inputs {
        Inputs::Public(input) => {
            passed(Check::Input, graph.check_input(input), VerifyError::Input)?;
            passed(
                Check::Output,
                graph.check_output(output),
                VerifyError::Output,
            )?;
            Ok(Ok(input))
        }
        Inputs::Private(commitment) => {
            ensure(Check::Commitment, is_commitment(commitment), || {
                VerifyError::Commitment
            })?;
            let masked = check_masked(graph, output);
            passed(Check::Masked, masked, VerifyError::Output)?;
            Ok(Err(reduce_digest(commitment)))
        }
    }
}

/// A check of the graph's own.
fn passed<T>(
    check: Check,
    verdict: Result<(), T>,
    refusal: impl FnOnce(T) -> VerifyError,
) -> Result<(), VerifyError> {
    match verdict {
        Ok(()) => Ok(()),
        Err(e) => ensure(check, false, || refusal(e)),
    }
}

/// What a proof claims to be of, compared with what is asked.
fn check_statement(claimed: &Statement, expected: &Statement) -> Result<(), VerifyError> {
    ensure(Check::Model, claimed.model == expected.model, || {
        VerifyError::WrongModel
    })?;
    ensure(Check::StatedInput, claimed.input == expected.input, || {
        VerifyError::WrongInput
    })?;
    ensure(
        Check::StatedOutput,
        claimed.output == expected.output,
        || VerifyError::WrongOutput,
    )?;
    ensure(Check::Context, claimed.context == expected.context, || {
        VerifyError::WrongContext
    })
}

/// What is checked in a mode.
struct Expected<'a> {
    plan: &'a Plan,
    config: WitnessConfig<'a>,
    hiding: Option<&'a HidingScheme>,
}

impl<'a> Expected<'a> {
    fn new(vk: &'a VerifyingKey, mode: Mode) -> Result<Self, VerifyError> {
        Ok(match mode {
            Mode::Public => Self {
                plan: vk.plan(),
                config: vk.witness_config(),
                hiding: None,
            },
            Mode::PrivateInput => {
                let private = vk.private().ok_or(VerifyError::Mode)?;
                Self {
                    plan: &private.plan,
                    config: WitnessConfig::Hiding(private.scheme.config()),
                    hiding: Some(&private.scheme),
                }
            }
        })
    }
}

/// A run with the inputs, or the elements of the commitment to them, and the outputs that it is to have.
type Stated<'a> = (Result<&'a [i32], [F; RATE]>, &'a [i32], Instance);

fn verify_decoded(
    vk: &VerifyingKey,
    check: &Expected<'_>,
    seed: &[u8],
    instances: Vec<Stated<'_>>,
    openings: Vec<PlainOpening>,
) -> Result<(), VerifyError> {
    let plan = check.plan;
    let mut transcript = Transcript::new(seed);
    for (scheme, root) in vk.weight_schemes().iter().zip(vk.roots()) {
        scheme.observe(root, &mut transcript);
    }
    for (_, _, instance) in &instances {
        observe(&instance.root, &mut transcript);
    }
    let shards = &plan.weights;
    let mut weights = vec![Vec::new(); shards.packings.len()];
    for (input, output, instance) in instances {
        let mut channel =
            VerifierChannel::over(transcript, &instance.elements, check.hiding.is_some());
        let public = Public {
            inputs: input.ok().map(|input| inputs(vk.graph(), input)),
            commitment: input.err().unwrap_or_default(),
            outputs: outputs(vk.graph(), output),
        };
        let remaining = verify_messages(plan, &public, &mut channel)?;
        ensure(Check::Unread, channel.is_finished(), || {
            FormatError::Trailing
        })?;
        // The opening names pads and products by the plan's numbers.
        let hiding = &plan.hiding;
        let numbered = channel.pads as usize == hiding.pads && channel.products == hiding.products;
        ensure(Check::Numbering, numbered, || VerifyError::Internal)?;
        for claim in remaining.weights {
            let (shard, block) = shards.places[claim.block];
            weights[shard].push((block, claim.point, claim.value));
        }
        let constraints = channel.constraints;
        transcript = channel.transcript;
        let opened = match (check.hiding, instance.witness) {
            (None, WitnessOpening::Plain(opening)) => {
                let claims: Vec<_> = remaining
                    .witness
                    .into_iter()
                    .map(|claim| (claim.block, claim.point, claim.value.constant))
                    .collect();
                let scheme = vk.witness_scheme();
                scheme.verify(&instance.root, &claims, *opening, &mut transcript)
            }
            (Some(scheme), WitnessOpening::Hiding(opening)) => {
                let relations = Relations {
                    claims: remaining.witness,
                    linear: remaining.linear,
                    constraints,
                };
                scheme.verify(&instance.root, &relations, *opening, &mut transcript)
            }
            // The decoder reads what the mode has.
            _ => Err(NotZero),
        };
        ensure(Check::WitnessOpening, opened.is_ok(), || {
            VerifyError::WitnessOpening
        })?;
    }
    let schemes = vk.weight_schemes().iter().zip(vk.roots());
    for (((scheme, root), claims), opening) in schemes.zip(&weights).zip(openings) {
        let opened = scheme.verify(root, claims, opening, &mut transcript);
        ensure(Check::WeightOpening, opened.is_ok(), || {
            VerifyError::WeightOpening
        })?;
    }
    Ok(())
}
