//! The prover: what is asked of it, and the phases of a proof.

use std::time::{Duration, Instant};

use hallmark_graph::Trace;
use p3_field::PrimeField32;
use rand::rngs::{StdRng, SysRng};
use rand::{SeedableRng, TryRng};

use crate::field::{E, F, signed};
use crate::key::{Private, ProvingKey};
use crate::messages::{Public, verify_messages};
use crate::opening::hiding::Relations;
use crate::opening::plain::PlainOpening;
use crate::plan::Mode;
use crate::private::{InputSecret, read_digest, write_digest};
use crate::proof::{Proof, Statement, WitnessOpening, encode};
use crate::run::Run;
use crate::statement::{Inputs, outputs, statement};
use crate::transcript::{ProverChannel, Transcript, VerifierChannel, observe};
use crate::witness::{TraceError, Witness};

/// Why no proof was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The trace is not a run of the model.
    #[error("trace: {0}")]
    Trace(#[from] TraceError),
    /// The key has no proofs that hide the inputs.
    #[error("this model has no proofs of private inputs: an input ranges over more than 2^29 integers, or the witness is too large")]
    Mode,
    /// The operating system gave no randomness, without which nothing can be hidden.
    #[error("the operating system gave no randomness")]
    Entropy,
    /// The commitment scheme refused the claims: a defect, since the plan bounds them.
    #[error("the polynomial commitment refused to open {0}")]
    Opening(&'static str),
}

/// Proves that `trace` is the run of the model on its own inputs, bound to `context`.
///
/// # Errors
///
/// A trace whose shape is not the graph's, or whose values leave a table's window. A trace of the
/// right shape that is not a true run gives a proof which [`crate::verify`] refuses.
pub fn prove(pk: &ProvingKey, trace: &Trace, context: &[u8; 32]) -> Result<Vec<u8>, ProveError> {
    prove_measured(pk, trace, context).map(|(bytes, _)| bytes)
}

/// Proves that `trace` is the run of the model on the inputs behind
/// [`commit_input`](crate::commit_input)`(graph, inputs, secret)` and that its outputs, plus the pads of
/// `secret`, are what [`mask_output`](crate::mask_output) gives. The proof tells nothing else.
///
/// # Errors
///
/// As [`prove`]; [`ProveError::Mode`] where the key has no such proofs.
pub fn prove_private(
    pk: &ProvingKey,
    trace: &Trace,
    secret: &InputSecret,
    context: &[u8; 32],
) -> Result<Vec<u8>, ProveError> {
    prove_private_measured(pk, trace, secret, context).map(|(bytes, _)| bytes)
}

/// Proves `trace` under a statement of the caller's choice: what a cheat would run, and how the
/// demo and the tests of the market make their lies. [`crate::verify`] accepts the result only
/// when `trace` is the model's run on `input` and ends in `output`. Inputs and outputs are flat:
/// one after the other in the order of the graph.
///
/// # Errors
///
/// As [`prove`].
pub fn prove_statement(
    pk: &ProvingKey,
    input: &[i32],
    output: &[i32],
    trace: &Trace,
    context: &[u8; 32],
) -> Result<Vec<u8>, ProveError> {
    let witness = pk.witness(trace)?;
    let statement = statement(&pk.vk, Inputs::Public(input), output, context);
    Ok(encode(&prove_witness(pk, statement, &witness)?))
}

/// What a private proof says: a commitment and masked outputs.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The commitment to inputs and pads.
    pub commitment: &'a [u8; 32],
    /// Outputs plus pads, flat, below the modulus.
    pub masked: &'a [u32],
    /// What the proof is bound to.
    pub context: &'a [u8; 32],
}

/// As [`prove_statement`], of private inputs: `trace` and `secret` need not be what was claimed.
///
/// # Errors
///
/// As [`prove_private`].
pub fn prove_private_statement(
    pk: &ProvingKey,
    trace: &Trace,
    secret: &InputSecret,
    claim: Claim<'_>,
) -> Result<Vec<u8>, ProveError> {
    let private = pk.private().ok_or(ProveError::Mode)?;
    let inputs = trace.values[..pk.vk.graph().inputs.len()].concat();
    let witness = pk.witness_of(&private.plan, trace)?;
    let witness = witness.with_secret(&private.plan, &inputs, secret);
    let masked: Vec<i32> = claim.masked.iter().map(|&x| x as i32).collect();
    let inputs = Inputs::Private(claim.commitment);
    let statement = statement(&pk.vk, inputs, &masked, claim.context);
    let (proof, _) = prove_hiding(pk, private, statement, &masked, &witness)?;
    Ok(encode(&proof))
}

/// As [`prove`], with the time that each phase took.
///
/// # Errors
///
/// As [`prove`].
pub fn prove_measured(
    pk: &ProvingKey,
    trace: &Trace,
    context: &[u8; 32],
) -> Result<(Vec<u8>, Phases), ProveError> {
    let started = Instant::now();
    let witness = pk.witness(trace)?;
    let (input, output) = ends(pk, trace, &witness);
    let statement = statement(&pk.vk, Inputs::Public(&input), &output, context);
    let columns = started.elapsed();
    let (proof, mut phases) = prove_phases(pk, statement, &witness)?;
    phases.columns = columns;
    Ok((encode(&proof), phases))
}

/// As [`prove_private`], with the time that each phase took.
///
/// # Errors
///
/// As [`prove_private`].
pub fn prove_private_measured(
    pk: &ProvingKey,
    trace: &Trace,
    secret: &InputSecret,
    context: &[u8; 32],
) -> Result<(Vec<u8>, Phases), ProveError> {
    let private = pk.private().ok_or(ProveError::Mode)?;
    let started = Instant::now();
    let witness = pk.witness_of(&private.plan, trace)?;
    let (inputs, output) = ends(pk, trace, &witness);
    let witness = witness.with_secret(&private.plan, &inputs, secret);
    let opening = witness.private.as_ref().ok_or(ProveError::Mode)?;
    let commitment = write_digest(&opening.digest);
    let pads = opening.pads.iter().flatten();
    let masked: Vec<i32> = output
        .iter()
        .zip(pads)
        .map(|(&x, &pad)| (signed(i64::from(x)) + pad).as_canonical_u32() as i32)
        .collect();
    let statement = statement(&pk.vk, Inputs::Private(&commitment), &masked, context);
    let columns = started.elapsed();
    let (proof, mut phases) = prove_hiding(pk, private, statement, &masked, &witness)?;
    phases.columns = columns;
    Ok((encode(&proof), phases))
}

/// The flat inputs and outputs of a run.
fn ends(pk: &ProvingKey, trace: &Trace, witness: &Witness<'_>) -> (Vec<i32>, Vec<i32>) {
    let graph = pk.vk.graph();
    let input = trace.values[..graph.inputs.len()].concat();
    let output = graph
        .outputs
        .iter()
        .flat_map(|o| witness.values[o.value as usize])
        .copied()
        .collect();
    (input, output)
}

/// Where the time of one proof went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Building the witness columns from the trace.
    pub columns: Duration,
    /// Committing to the witness and opening it.
    pub witness: Duration,
    /// The lookup tree and its claims.
    pub lookups: Duration,
    /// The backward walk: matrix products, sums, changes of layout.
    pub walk: Duration,
    /// Tying the witness to the commitment to private inputs, and joining what has to vanish.
    pub binding: Duration,
    /// Opening the weight commitment.
    pub weights: Duration,
}

/// Proves whatever the witness says under whatever statement.
pub(crate) fn prove_witness(
    pk: &ProvingKey,
    statement: Statement,
    witness: &Witness<'_>,
) -> Result<Proof, ProveError> {
    prove_phases(pk, statement, witness).map(|(proof, _)| proof)
}

fn prove_phases(
    pk: &ProvingKey,
    statement: Statement,
    witness: &Witness<'_>,
) -> Result<(Proof, Phases), ProveError> {
    let mut phases = Phases::default();
    let mut last = Instant::now();
    let mut lap = |phase: &mut Duration| {
        let now = Instant::now();
        *phase += now - last;
        last = now;
    };
    let plan = pk.vk.plan();
    let mut channel = ProverChannel::new(&statement.transcript_seed());
    let stack = witness.stack(plan);
    let (root, data) = pk.witness.commit(stack.clone());
    for (scheme, root) in pk.weights.iter().zip(pk.vk.roots()) {
        scheme.observe(root, &mut channel.transcript);
    }
    observe(&root, &mut channel.transcript);
    lap(&mut phases.witness);

    let mut run = Run::new(plan, witness, channel);
    run.outputs();
    run.lookups(&stack);
    drop(stack);
    lap(&mut phases.lookups);
    run.walk();
    lap(&mut phases.walk);
    let (mut channel, claims) = run.finish();

    debug_assert_eq!(channel.sent.len(), plan.elements);
    let transcript = &mut channel.transcript;
    let witness_opening = pk
        .witness
        .prove(&data, &claims.witness, transcript)
        .ok_or(ProveError::Opening("the witness"))?;
    lap(&mut phases.witness);
    let weights = open_weights(pk, &claims.weights, transcript)?;
    lap(&mut phases.weights);
    let proof = Proof {
        statement,
        root,
        elements: channel.sent,
        witness: WitnessOpening::Plain(witness_opening),
        weights,
    };
    Ok((proof, phases))
}

/// Proves whatever the witness says of private inputs, under whatever statement; `masked` is that of
/// the statement.
pub(crate) fn prove_hiding(
    pk: &ProvingKey,
    private: &Private,
    statement: Statement,
    masked: &[i32],
    witness: &Witness<'_>,
) -> Result<(Proof, Phases), ProveError> {
    let mut phases = Phases::default();
    let mut last = Instant::now();
    let mut lap = |phase: &mut Duration| {
        let now = Instant::now();
        *phase += now - last;
        last = now;
    };
    let Private { plan, scheme } = private;
    let seed = statement.transcript_seed();
    let stack = witness.stack(plan);
    let mut rng = randomness(&seed, &stack)?;
    let pads = scheme.pads(&mut rng);
    let mut channel = ProverChannel::hiding(&seed, pads.clone());
    let committed = scheme.commit(stack.clone(), pads, rng);
    let (root, data) = committed.ok_or(ProveError::Opening("the witness"))?;
    for (scheme, root) in pk.weights.iter().zip(pk.vk.roots()) {
        scheme.observe(root, &mut channel.transcript);
    }
    observe(&root, &mut channel.transcript);
    lap(&mut phases.witness);

    let mut run = Run::new(plan, witness, channel);
    run.outputs();
    run.lookups(&stack);
    drop(stack);
    lap(&mut phases.lookups);
    run.walk();
    lap(&mut phases.walk);
    run.binding();
    let (channel, claims) = run.finish();
    debug_assert_eq!(channel.sent.len(), plan.elements);
    debug_assert_eq!(channel.pads_left(), 0);

    // What the verifier will collect from these messages is what has to be opened.
    let mut replay = VerifierChannel::with_mode(&seed, &channel.sent, true);
    for (scheme, root) in pk.weights.iter().zip(pk.vk.roots()) {
        scheme.observe(root, &mut replay.transcript);
    }
    observe(&root, &mut replay.transcript);
    let digest = match statement.mode {
        Mode::PrivateInput => read_digest(&statement.input).unwrap_or_default(),
        Mode::Public => return Err(ProveError::Mode),
    };
    let public = Public {
        inputs: None,
        commitment: digest,
        outputs: outputs(pk.vk.graph(), masked),
    };
    let remaining = verify_messages(plan, &public, &mut replay);
    let remaining = remaining.map_err(|_| ProveError::Opening("the messages"))?;
    let relations = Relations {
        claims: remaining.witness,
        linear: remaining.linear,
        constraints: replay.constraints,
    };
    lap(&mut phases.binding);
    let mut transcript = channel.transcript;
    let witness_opening = scheme
        .prove(data, &relations, &mut transcript)
        .ok_or(ProveError::Opening("the witness"))?;
    lap(&mut phases.witness);
    let weights = open_weights(pk, &claims.weights, &mut transcript)?;
    lap(&mut phases.weights);
    let proof = Proof {
        statement,
        root,
        elements: channel.sent,
        witness: WitnessOpening::Hiding(Box::new(witness_opening)),
        weights,
    };
    Ok((proof, phases))
}

/// Opens every shard of the weights: `(block, point in it)`.
pub(crate) fn open_weights(
    pk: &ProvingKey,
    claims: &[Vec<(usize, Vec<E>)>],
    transcript: &mut Transcript,
) -> Result<Vec<PlainOpening>, ProveError> {
    let shards = pk.weights.iter().zip(&pk.data).zip(claims);
    shards
        .map(|((scheme, data), claims)| {
            let opening = scheme.prove(data, claims, transcript);
            opening.ok_or(ProveError::Opening("the weights"))
        })
        .collect()
}

/// A generator for one proof: of the operating system's entropy, the statement and the witness, so
/// that neither a weak source nor a copied one gives two proofs the same pads.
fn randomness(seed: &[u8], stack: &[F]) -> Result<StdRng, ProveError> {
    let mut entropy = [0; 32];
    SysRng
        .try_fill_bytes(&mut entropy)
        .map_err(|_| ProveError::Entropy)?;
    let mut hasher = blake3::Hasher::new_derive_key("hallmark proof v3 randomness of a proof");
    hasher.update(&entropy);
    hasher.update(&(seed.len() as u64).to_le_bytes());
    hasher.update(seed);
    let mut bytes = [0; 4 << 10];
    for values in stack.chunks(1 << 10) {
        for (target, value) in bytes.chunks_exact_mut(4).zip(values) {
            target.copy_from_slice(&value.as_canonical_u32().to_le_bytes());
        }
        hasher.update(&bytes[..4 * values.len()]);
    }
    Ok(StdRng::from_seed(*hasher.finalize().as_bytes()))
}
