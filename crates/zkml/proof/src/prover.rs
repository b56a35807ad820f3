//! The prover: what is asked of it, and the phases of a proof.

mod instance;

use std::time::{Duration, Instant};

use hallmark_graph::Trace;
use p3_field::PrimeField32;

use crate::field::{E, signed};
use crate::key::{Private, ProvingKey};
use crate::opening::plain::PlainOpening;
use crate::plan::Mode;
use crate::private::{InputSecret, write_digest};
use crate::proof::{BatchProof, Proof, Statement, batch_seed, encode, encode_batch};
use crate::security::max_batch;
use crate::statement::{Inputs, statement};
use crate::transcript::{Transcript, observe};
use crate::witness::{self, TraceError, Witness};

/// Why no proof was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The trace is not a run of the model.
    #[error("trace: {0}")]
    Trace(#[from] TraceError),
    /// The key has no proofs that hide the inputs.
    #[error(
        "this model has no proofs of private inputs: an input ranges over more than 2^29 integers, or the witness is too large"
    )]
    Mode,
    /// The operating system gave no randomness, without which nothing can be hidden.
    #[error("the operating system gave no randomness")]
    Entropy,
    /// Not a batch of runs: none, more than this, or some public and some private.
    #[error("a batch of this model holds 1 to {0} runs, all of public or all of private inputs")]
    Batch(usize),
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
    prove_measured(pk, trace, context, &|_| {}).map(|(bytes, _)| bytes)
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
    prove_private_measured(pk, trace, secret, context, &|_| {}).map(|(bytes, _)| bytes)
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
    in_pool(|| {
        let witness = pk.witness(trace)?;
        let statement = statement(&pk.vk, Inputs::Public(input), output, context);
        Ok(encode(&prove_witness(pk, statement, &witness)?))
    })
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
    in_pool(|| {
        let inputs = trace.values[..pk.vk.graph().inputs.len()].concat();
        let witness = pk.witness_of(&private.plan, trace)?;
        let witness = witness.with_secret(&private.plan, &inputs, secret);
        let masked: Vec<i32> = claim.masked.iter().map(|&x| x as i32).collect();
        let inputs = Inputs::Private(claim.commitment);
        let statement = statement(&pk.vk, inputs, &masked, claim.context);
        let (proof, _) = prove_one(pk, Some(private), statement, &masked, &witness, &|_| {})?;
        Ok(encode(&proof))
    })
}

/// As [`prove`], with the time that each phase took; `watch` is told how far it is.
///
/// # Errors
///
/// As [`prove`].
pub fn prove_measured(
    pk: &ProvingKey,
    trace: &Trace,
    context: &[u8; 32],
    watch: Watch<'_>,
) -> Result<(Vec<u8>, Phases), ProveError> {
    in_pool(|| {
        let started = Instant::now();
        let witness = pk.witness(trace)?;
        let (input, output) = ends(pk, trace, &witness);
        let statement = statement(&pk.vk, Inputs::Public(&input), &output, context);
        let columns = started.elapsed();
        let (proof, mut phases) = prove_one(pk, None, statement, &output, &witness, watch)?;
        phases.columns = columns;
        Ok((encode(&proof), phases))
    })
}

/// As [`prove_private`], with the time that each phase took; `watch` is told how far it is.
///
/// # Errors
///
/// As [`prove_private`].
pub fn prove_private_measured(
    pk: &ProvingKey,
    trace: &Trace,
    secret: &InputSecret,
    context: &[u8; 32],
    watch: Watch<'_>,
) -> Result<(Vec<u8>, Phases), ProveError> {
    let private = pk.private().ok_or(ProveError::Mode)?;
    in_pool(|| {
        let started = Instant::now();
        let witness = pk.witness_of(&private.plan, trace)?;
        let (inputs, output) = ends(pk, trace, &witness);
        let witness = witness.with_secret(&private.plan, &inputs, secret);
        let opening = witness.private.as_ref().ok_or(ProveError::Mode)?;
        let commitment = write_digest(&opening.digest);
        let masked = masked(&output, opening);
        let statement = statement(&pk.vk, Inputs::Private(&commitment), &masked, context);
        let columns = started.elapsed();
        let (proof, mut phases) =
            prove_one(pk, Some(private), statement, &masked, &witness, watch)?;
        phases.columns = columns;
        Ok((encode(&proof), phases))
    })
}

/// Runs all of a proof on a thread of the pool. Its short serial parts then lie between the parallel
/// ones on the same thread: no thread has to be woken for each, and what one part wrote is still in
/// the cache of that core for the next. (Measured on two cores: 30 to 40 % less wall time.)
fn in_pool<T: Send>(prove: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| prove())
}

/// Outputs plus pads.
fn masked(output: &[i32], opening: &witness::Private) -> Vec<i32> {
    let pads = opening.pads.iter().flatten();
    let masked = output.iter().zip(pads);
    masked
        .map(|(&x, &pad)| (signed(i64::from(x)) + pad).as_canonical_u32() as i32)
        .collect()
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

/// How far a proof is: what begins now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Committing to the witness.
    Committing,
    /// The lookup tree.
    Lookups,
    /// A step of the walk from the outputs back to the inputs, of so many. A layer takes one or two.
    Layer {
        /// From 0.
        step: usize,
        /// Steps in all.
        of: usize,
    },
    /// Tying the witness to the commitment to private inputs, and opening it.
    Opening,
    /// Opening the weights.
    Weights,
}

/// Who is told of [`Progress`]: called on the proving thread, so it should be quick.
pub type Watch<'a> = &'a (dyn Fn(Progress) + Sync);

/// Gives the time since the last look to a phase, and tells how far the proof is.
struct Clock<'a> {
    phases: Phases,
    last: Instant,
    watch: Watch<'a>,
}

impl<'a> Clock<'a> {
    fn start(watch: Watch<'a>) -> Self {
        Self {
            phases: Phases::default(),
            last: Instant::now(),
            watch,
        }
    }

    fn tell(&self, progress: Progress) {
        (self.watch)(progress);
    }

    fn lap(&mut self, phase: impl FnOnce(&mut Phases) -> &mut Duration) {
        let now = Instant::now();
        *phase(&mut self.phases) += now - self.last;
        self.last = now;
    }
}

/// Proves whatever the witness says under whatever statement of public inputs.
pub(crate) fn prove_witness(
    pk: &ProvingKey,
    statement: Statement,
    witness: &Witness<'_>,
) -> Result<Proof, ProveError> {
    prove_one(pk, None, statement, &[], witness, &|_| {}).map(|(proof, _)| proof)
}

/// As [`prove_witness`], with another polynomial committed.
#[cfg(test)]
pub(crate) fn prove_stack(
    pk: &ProvingKey,
    statement: Statement,
    witness: &Witness<'_>,
    stack: Vec<crate::field::F>,
) -> Result<Proof, ProveError> {
    let committed = instance::commit_stack(pk, stack);
    let mut clock = Clock::start(&|_| {});
    let transcript = Transcript::new(&statement.transcript_seed());
    let run = (None, statement, &[][..], witness);
    finish(pk, run, committed, transcript, &mut clock)
}

/// Proves whatever the witness says under whatever statement; `output` is that of the statement, and
/// needed with private inputs only.
pub(crate) fn prove_one(
    pk: &ProvingKey,
    private: Option<&Private>,
    statement: Statement,
    output: &[i32],
    witness: &Witness<'_>,
    watch: Watch<'_>,
) -> Result<(Proof, Phases), ProveError> {
    let mut clock = Clock::start(watch);
    clock.tell(Progress::Committing);
    let seed = statement.transcript_seed();
    let transcript = Transcript::new(&seed);
    let committed = instance::commit(pk, private, &seed, witness)?;
    let run = (private, statement, output, witness);
    let proof = finish(pk, run, committed, transcript, &mut clock)?;
    Ok((proof, clock.phases))
}

/// The rest of a proof whose witness is committed to, from a transcript that has observed the statement.
fn finish(
    pk: &ProvingKey,
    (private, statement, output, witness): (Option<&Private>, Statement, &[i32], &Witness<'_>),
    committed: instance::Committed,
    mut transcript: Transcript,
    clock: &mut Clock<'_>,
) -> Result<Proof, ProveError> {
    observe_weights(pk, &mut transcript);
    observe(&committed.root, &mut transcript);
    clock.lap(|p| &mut p.witness);
    let (instance, claims, mut transcript) = instance::prove(
        pk, private, statement, output, witness, committed, transcript, clock,
    )?;
    clock.tell(Progress::Weights);
    let weights = open_weights(pk, &claims, &mut transcript)?;
    clock.lap(|p| &mut p.weights);
    Ok(Proof {
        statement: instance.statement,
        root: instance.root,
        elements: instance.elements,
        witness: instance.witness,
        weights,
    })
}

/// One of several runs that share a proof.
#[derive(Clone, Copy, Debug)]
pub struct BatchRun<'a> {
    /// A run of the model.
    pub trace: &'a Trace,
    /// The secret of its inputs' commitment; none where inputs are public.
    pub secret: Option<&'a InputSecret>,
}

/// Proves several runs of one model at once: they share the opening of the weights. All are of public
/// inputs, or all of private ones. [`crate::verify_batch`] checks the proof.
///
/// # Errors
///
/// As [`prove`] and [`prove_private`]; [`ProveError::Batch`] for no run, too many or mixed ones.
pub fn prove_batch(
    pk: &ProvingKey,
    runs: &[BatchRun<'_>],
    context: &[u8; 32],
) -> Result<Vec<u8>, ProveError> {
    let hiding = runs.iter().filter(|run| run.secret.is_some()).count();
    // Made once, with the pool's help: a thread of the pool that waited for it could wait for itself.
    let (mode, private) = match hiding {
        0 => (Mode::Public, None),
        _ => (
            Mode::PrivateInput,
            Some(pk.private().ok_or(ProveError::Mode)?),
        ),
    };
    in_pool(|| prove_runs(pk, runs, context, (mode, private)))
}

fn prove_runs(
    pk: &ProvingKey,
    runs: &[BatchRun<'_>],
    context: &[u8; 32],
    (mode, private): (Mode, Option<&Private>),
) -> Result<Vec<u8>, ProveError> {
    let hiding = runs.iter().filter(|run| run.secret.is_some()).count();
    let most = max_batch(&pk.vk, mode);
    if runs.is_empty() || runs.len() > most || (hiding != 0 && hiding != runs.len()) {
        return Err(ProveError::Batch(most));
    }
    let plan = private.map_or(pk.vk.plan(), |private| &private.plan);
    let mut witnesses = Vec::with_capacity(runs.len());
    let mut statements = Vec::with_capacity(runs.len());
    for run in runs {
        let mut witness = pk.witness_of(plan, run.trace)?;
        let (inputs, output) = ends(pk, run.trace, &witness);
        let mut said = output;
        let stated = match run.secret {
            None => statement(&pk.vk, Inputs::Public(&inputs), &said, context),
            Some(secret) => {
                witness = witness.with_secret(plan, &inputs, secret);
                let opening = witness.private.as_ref().ok_or(ProveError::Mode)?;
                said = masked(&said, opening);
                let commitment = write_digest(&opening.digest);
                statement(&pk.vk, Inputs::Private(&commitment), &said, context)
            }
        };
        witnesses.push(witness);
        statements.push((stated, said));
    }
    let stated: Vec<&Statement> = statements.iter().map(|(s, _)| s).collect();
    let seed = batch_seed(&stated);
    let mut transcript = Transcript::new(&seed);
    let committed = witnesses
        .iter()
        .map(|witness| instance::commit(pk, private, &seed, witness))
        .collect::<Result<Vec<_>, _>>()?;
    observe_weights(pk, &mut transcript);
    for committed in &committed {
        observe(&committed.root, &mut transcript);
    }
    let mut clock = Clock::start(&|_| {});
    let mut instances = Vec::with_capacity(runs.len());
    let mut claims = vec![Vec::new(); pk.weights.len()];
    let runs = statements.into_iter().zip(&witnesses).zip(committed);
    for (((statement, output), witness), committed) in runs {
        let (instance, of_weights, next) = instance::prove(
            pk, private, statement, &output, witness, committed, transcript, &mut clock,
        )?;
        transcript = next;
        instances.push(instance);
        for (all, new) in claims.iter_mut().zip(of_weights) {
            all.extend(new);
        }
    }
    let weights = open_weights(pk, &claims, &mut transcript)?;
    Ok(encode_batch(&BatchProof { instances, weights }))
}

/// Binds the roots of the weights.
fn observe_weights(pk: &ProvingKey, transcript: &mut Transcript) {
    for (scheme, root) in pk.weights.iter().zip(pk.vk.roots()) {
        scheme.observe(root, transcript);
    }
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
