//! The prover: what is asked of it, and the phases of a proof.

use std::time::{Duration, Instant};

use hallmark_graph::Trace;

use crate::key::ProvingKey;
use crate::plan::Mode;
use crate::proof::{Proof, Statement, encode};
use crate::run::Run;
use crate::statement::{Inputs, statement};
use crate::transcript::ProverChannel;
use crate::witness::{TraceError, Witness};

/// Why no proof was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The trace is not a run of the model.
    #[error("trace: {0}")]
    Trace(#[from] TraceError),
    /// Proofs that hide the inputs need a commitment to them.
    #[error("proofs of private inputs are not available for this key")]
    Mode,
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

/// As [`prove`], in a mode.
///
/// # Errors
///
/// As [`prove`]; [`ProveError::Mode`] where the mode is not available.
pub fn prove_with(
    pk: &ProvingKey,
    trace: &Trace,
    context: &[u8; 32],
    mode: Mode,
) -> Result<Vec<u8>, ProveError> {
    match mode {
        Mode::Public => prove(pk, trace, context),
        Mode::PrivateInput => Err(ProveError::Mode),
    }
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
    let graph = pk.vk.graph();
    let input = trace.values[..graph.inputs.len()].concat();
    let output: Vec<i32> = graph
        .outputs
        .iter()
        .flat_map(|o| witness.values[o.value as usize])
        .copied()
        .collect();
    let statement = statement(&pk.vk, Inputs::Public(&input), &output, context);
    let columns = started.elapsed();
    let (proof, mut phases) = prove_phases(pk, statement, &witness)?;
    phases.columns = columns;
    Ok((encode(&proof), phases))
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
    pk.witness.observe(&root, &mut channel.transcript);
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
    let mut weights = Vec::with_capacity(pk.weights.len());
    for ((scheme, data), claims) in pk.weights.iter().zip(&pk.data).zip(&claims.weights) {
        let opening = scheme
            .prove(data, claims, transcript)
            .ok_or(ProveError::Opening("the weights"))?;
        weights.push(opening);
    }
    lap(&mut phases.weights);
    let proof = Proof {
        statement,
        root,
        elements: channel.sent,
        witness: witness_opening,
        weights,
    };
    Ok((proof, phases))
}
