//! The verifier: interprets the plan over a proof.

use std::panic::AssertUnwindSafe;

use hallmark_graph::TensorError;
use p3_field::PrimeCharacteristicRing;

use crate::commitment::{Claim, Commitment};
use crate::field::{E, F, eq_at, inverse_power_of_two, less_than, signed};
use crate::key::VerifyingKey;
use crate::logup::{self, LogUpError};
use crate::plan::{Plan, Step, Use};
use crate::proof::{DecodeFailure, FormatError, Proof, decode};
use crate::prover::{set_lookup_points, table_tag, witness_points};
use crate::statement::{evaluate, presence, relayout, statement};
use crate::sumcheck;
use crate::transcript::{Exhausted, VerifierChannel};
use crate::witness::rounding;

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
    /// The sumcheck that changes a value's layout does not end in the value.
    #[error("change of layout of value {value} does not end in it")]
    Relayout {
        /// The value.
        value: u32,
    },
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
        vk.plan().elements,
        vk.witness_scheme().config(),
        vk.weight_scheme().config(),
    )?;
    let expected = statement(vk, input, output, context);
    let claimed = &proof.statement;
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
    // Nothing below panics on any proof that decodes: every length that the library asserts is
    // fixed by `decode`. A validator must not fall to a defect in that library either, and all
    // validators run the same deterministic code, so an unwinding is a refusal for all of them.
    let checked = AssertUnwindSafe(|| verify_decoded(vk, input, output, proof));
    std::panic::catch_unwind(checked).unwrap_or(Err(VerifyError::Internal))
}

fn verify_decoded(
    vk: &VerifyingKey,
    input: &[i32],
    output: &[i32],
    proof: Proof,
) -> Result<(), VerifyError> {
    let plan = vk.plan();
    let mut channel = VerifierChannel::new(&proof.statement.transcript_seed(), &proof.elements);
    vk.weight_scheme()
        .observe(&vk.commitment(), &mut channel.transcript.challenger);
    vk.witness_scheme()
        .observe(&proof.root, &mut channel.transcript.challenger);

    let mut run = Run {
        plan,
        input,
        output,
        channel,
        points: vec![Vec::new(); plan.points.len()],
        values: vec![E::ZERO; plan.evaluations.len()],
        weight_claims: Vec::new(),
    };
    run.output()?;
    let lookups = run.lookups()?;
    run.walk()?;
    let Run {
        mut channel,
        points,
        values,
        weight_claims,
        ..
    } = run;
    if !channel.is_finished() {
        return Err(FormatError::Trailing.into());
    }

    let values = plan
        .committed_evaluations()
        .into_iter()
        .map(|(id, _)| values[id])
        .chain(lookups.limbs)
        .chain(lookups.multiplicities);
    let claims: Vec<Claim> = witness_points(plan, &points, &lookups.point)
        .into_iter()
        .zip(values)
        .map(|(point, value)| Claim { point, value })
        .collect();
    let transcript = &mut channel.transcript;
    transcript.phase("open witness", &[plan.witness.variables, claims.len()]);
    if !vk.witness_scheme().verify(
        &proof.root,
        &claims,
        proof.witness,
        &mut transcript.challenger,
    ) {
        return Err(VerifyError::WitnessOpening);
    }
    transcript.phase(
        "open weights",
        &[plan.weights.variables, weight_claims.len()],
    );
    if !vk.weight_scheme().verify(
        &vk.commitment(),
        &weight_claims,
        proof.weights,
        &mut transcript.challenger,
    ) {
        return Err(VerifyError::WeightOpening);
    }
    Ok(())
}

struct Run<'a> {
    plan: &'a Plan,
    input: &'a [i32],
    output: &'a [i32],
    channel: VerifierChannel<'a>,
    points: Vec<Vec<E>>,
    /// Values of the plan's evaluations, as received.
    values: Vec<E>,
    weight_claims: Vec<Claim>,
}

/// What the lookups leave to be opened.
struct Lookups {
    point: Vec<E>,
    limbs: Vec<E>,
    multiplicities: Vec<E>,
}

impl Run<'_> {
    /// Receives an evaluation at its first use; one on the input is checked at once.
    fn receive(&mut self, used: Use) -> Result<E, VerifyError> {
        if used.fresh {
            let value = self.channel.receive()?;
            let evaluation = self.plan.evaluations[used.id];
            if evaluation.value == 0 {
                let point = &self.points[evaluation.point];
                if value != evaluate(self.input, evaluation.layout, point) {
                    return Err(VerifyError::InputMismatch);
                }
            }
            self.values[used.id] = value;
        }
        Ok(self.values[used.id])
    }

    fn output(&mut self) -> Result<(), VerifyError> {
        let layout = self.plan.output_layout;
        self.channel
            .transcript
            .phase("output", &[layout.variables()]);
        let point = self.channel.transcript.sample_point(layout.variables());
        let expected = evaluate(self.output, layout, &point);
        self.points[self.plan.evaluations[self.plan.output.id].point] = point;
        if self.receive(self.plan.output)? != expected {
            return Err(VerifyError::OutputMismatch);
        }
        Ok(())
    }

    fn lookups(&mut self) -> Result<Lookups, VerifyError> {
        let plan = self.plan;
        let depth = plan.lookup.variables;
        self.channel
            .transcript
            .phase("lookups", &[depth, plan.lookup.blocks.len()]);
        let alpha = self.channel.transcript.sample();
        let beta = self.channel.transcript.sample();
        let beta2 = beta * beta;
        let (point, p, q) = logup::verify(depth, &mut self.channel).map_err(|e| match e {
            LogUpError::Exhausted => VerifyError::Format(FormatError::Truncated),
            LogUpError::Root => VerifyError::Lookup("looked-up values and tables do not balance"),
            LogUpError::Layer(_) => VerifyError::Lookup("a layer does not fit the one above"),
        })?;
        set_lookup_points(plan, &point, &mut self.points);

        // Leaves outside every column are 0/1.
        let (mut p_sum, mut q_sum, mut covered) = (E::ZERO, E::ZERO, E::ZERO);
        let mut add = |column: usize, numerator: E, denominator: E| {
            let block = plan.lookup.blocks[column];
            let selectors = depth - block.variables;
            let weight = eq_at(&point[..selectors], block.offset >> block.variables);
            p_sum += weight * numerator;
            q_sum += weight * denominator;
            covered += weight;
        };
        let suffix = |n: usize| &point[point.len() - n..];
        let mut limbs = Vec::new();
        for requant in &plan.requants {
            let v = self.receive(requant.v)?;
            let y = self.receive(requant.y)?;
            let present = presence(requant.layout, suffix(requant.layout.variables()));
            let mut remainder = E::ZERO;
            for limb in &requant.limbs {
                let value = self.channel.receive()?;
                remainder += value * F::from_u64(1 << limb.shift);
                add(
                    limb.column,
                    present,
                    alpha - beta2 * table_tag(limb.table) - value,
                );
                limbs.push(value);
            }
            let quotient = (v + signed(rounding(requant.shift)) - remainder)
                * inverse_power_of_two(requant.shift);
            add(
                requant.column,
                present,
                alpha - beta2 * table_tag(requant.table) - quotient - beta * y,
            );
        }
        let mut multiplicities = Vec::with_capacity(plan.tables.len());
        for (index, table) in plan.tables.iter().enumerate() {
            let m = self.channel.receive()?;
            let (c0, c1) = table.table.evaluate(suffix(table.table.variables()));
            add(
                table.column,
                -m,
                alpha - beta2 * table_tag(index) - c0 - beta * c1,
            );
            multiplicities.push(m);
        }
        if p_sum != p || q_sum + (E::ONE - covered) != q {
            return Err(VerifyError::Lookup("columns do not fit the lookups"));
        }
        Ok(Lookups {
            point,
            limbs,
            multiplicities,
        })
    }

    fn walk(&mut self) -> Result<(), VerifyError> {
        let plan = self.plan;
        for step in &plan.steps {
            match step {
                Step::Linear {
                    node,
                    claim,
                    linear,
                    point,
                    input,
                } => self.linear(*node, *claim, *linear, *point, *input)?,
                Step::Add { node, claim, a, b } => {
                    self.channel.transcript.phase("add", &[*node]);
                    let sum = self.receive(a.1)? * signed(i64::from(a.0))
                        + self.receive(b.1)? * signed(i64::from(b.0));
                    if sum != self.values[*claim] {
                        return Err(VerifyError::Add { node: *node });
                    }
                }
                Step::Relayout {
                    claim,
                    point,
                    native,
                } => self.relayout(*claim, *point, *native)?,
            }
        }
        Ok(())
    }

    fn linear(
        &mut self,
        node: usize,
        claim: usize,
        linear: usize,
        point: usize,
        input: Use,
    ) -> Result<(), VerifyError> {
        let plan = self.plan;
        let l = &plan.linears[linear];
        let claim_point = self.points[plan.evaluations[claim].point].clone();
        let (row_point, col_point) = claim_point.split_at(l.row_variables());
        self.channel
            .transcript
            .phase("linear", &[node, l.rows, l.inner, l.cols]);

        let bias = self.channel.receive()?;
        self.weight_claims.push(Claim {
            point: plan.weights.point(l.bias, col_point),
            value: bias,
        });
        // The bias is added to real rows only.
        let product = self.values[claim] - less_than(row_point, l.rows) * bias;
        let (inner_point, rest) =
            sumcheck::verify(product, l.inner_variables(), l.degree(), &mut self.channel)?;
        let weight = self.channel.receive()?;
        let weight_point: Vec<E> = inner_point.iter().chain(col_point).copied().collect();
        self.weight_claims.push(Claim {
            point: plan.weights.point(l.weights, &weight_point),
            value: weight,
        });
        self.points[point] = row_point.iter().chain(&inner_point).copied().collect();
        let x = self.receive(input)?;
        let mask = if l.masked {
            less_than(&inner_point, l.inner)
        } else {
            E::ONE
        };
        if rest != x * weight * mask {
            return Err(VerifyError::Sumcheck { node });
        }
        Ok(())
    }

    fn relayout(&mut self, claim: usize, point: usize, native: Use) -> Result<(), VerifyError> {
        let from = self.plan.evaluations[claim];
        let to = self.plan.evaluations[native.id].layout;
        self.channel.transcript.phase(
            "relayout",
            &[from.layout.rows, from.layout.cols, to.rows, to.cols],
        );
        let (p, rest) = sumcheck::verify(self.values[claim], to.variables(), 2, &mut self.channel)?;
        let map = relayout((from.layout, &self.points[from.point]), (to, &p));
        self.points[point] = p;
        if rest != map * self.receive(native)? {
            return Err(VerifyError::Relayout { value: from.value });
        }
        Ok(())
    }
}
