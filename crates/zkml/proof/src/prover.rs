//! The prover: interprets the plan over a witness.

use std::time::{Duration, Instant};

use hallmark_graph::Trace;
use p3_field::{BasedVectorSpace, Field, PackedValue, PrimeCharacteristicRing};
use rayon::prelude::*;

use crate::commitment::Commitment;
use crate::field::{E, F, coordinates, dot_base, eq_table, signed};
use crate::key::ProvingKey;
use crate::plan::{Evaluation, Plan, PointSource, Step, Use};
use crate::proof::{Proof, Statement, encode};
use crate::statement::statement;
use crate::transcript::ProverChannel;
use crate::witness::{TraceError, Witness, place};
use crate::{logup, sumcheck};

/// Why no proof was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The trace is not a run of the model.
    #[error("trace: {0}")]
    Trace(#[from] TraceError),
    /// The commitment scheme refused the claims: a defect, since the plan bounds them.
    #[error("the polynomial commitment refused to open {0}")]
    Opening(&'static str),
}

/// Proves that `trace` is the run of the model on its own first value, bound to `context`.
///
/// # Errors
///
/// A trace whose shape is not the graph's, or whose values leave a table's window. A trace of the
/// right shape that is not a true run gives a proof which [`crate::verify`] refuses.
pub fn prove(pk: &ProvingKey, trace: &Trace, context: &[u8; 32]) -> Result<Vec<u8>, ProveError> {
    let vk = &pk.vk;
    let witness = Witness::new(vk.graph(), vk.plan(), trace)?;
    let output = &trace.values[vk.graph().output as usize];
    let statement = statement(vk, &trace.values[0], output, context);
    Ok(encode(&prove_witness(pk, statement, &witness)?))
}

/// Proves `trace` under a statement of the caller's choice: what a cheat would run, and how the
/// demo and the tests of the market make their lies. [`crate::verify`] accepts the result only
/// when `trace` is the model's run on `input` and ends in `output`.
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
    let vk = &pk.vk;
    let witness = Witness::new(vk.graph(), vk.plan(), trace)?;
    let statement = statement(vk, input, output, context);
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
    let vk = &pk.vk;
    let started = Instant::now();
    let witness = Witness::new(vk.graph(), vk.plan(), trace)?;
    let output = &trace.values[vk.graph().output as usize];
    let statement = statement(vk, &trace.values[0], output, context);
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
    witness: &Witness,
) -> Result<Proof, ProveError> {
    prove_phases(pk, statement, witness).map(|(proof, _)| proof)
}

fn prove_phases(
    pk: &ProvingKey,
    statement: Statement,
    witness: &Witness,
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
    let (root, data) = pk.witness.commit(witness.stack(plan));
    pk.weights
        .observe(&pk.vk.commitment(), &mut channel.transcript.challenger);
    pk.witness
        .observe(&root, &mut channel.transcript.challenger);
    lap(&mut phases.witness);

    let mut run = Run {
        pk,
        plan,
        witness,
        channel,
        points: vec![Vec::new(); plan.points.len()],
        weight_points: Vec::new(),
    };
    run.output();
    let lookup_point = run.lookups();
    lap(&mut phases.lookups);
    run.walk();
    lap(&mut phases.walk);
    let Run {
        mut channel,
        points,
        weight_points,
        ..
    } = run;

    debug_assert_eq!(channel.sent.len(), plan.elements);
    let claims = witness_points(plan, &points, &lookup_point);
    channel
        .transcript
        .phase("open witness", &[plan.witness.variables, claims.len()]);
    let witness_opening = pk
        .witness
        .open(&data, &claims, &mut channel.transcript.challenger)
        .ok_or(ProveError::Opening("the witness"))?;
    lap(&mut phases.witness);
    channel.transcript.phase(
        "open weights",
        &[plan.weights.variables, weight_points.len()],
    );
    let weight_opening = pk
        .weights
        .open(&pk.data, &weight_points, &mut channel.transcript.challenger)
        .ok_or(ProveError::Opening("the weights"))?;
    lap(&mut phases.weights);
    let proof = Proof {
        statement,
        root,
        elements: channel.sent,
        witness: witness_opening,
        weights: weight_opening,
    };
    Ok((proof, phases))
}

/// The points of the claims on the witness: columns by evaluation, then limbs, then tables.
pub(crate) fn witness_points(plan: &Plan, points: &[Vec<E>], lookup: &[E]) -> Vec<Vec<E>> {
    let mut claims = Vec::new();
    for (id, block) in plan.committed_evaluations() {
        let point = &points[plan.evaluations[id].point];
        claims.push(plan.witness.point(block, point));
    }
    let suffix = |n: usize| &lookup[lookup.len() - n..];
    for requant in &plan.requants {
        for limb in &requant.limbs {
            claims.push(
                plan.witness
                    .point(limb.block, suffix(requant.layout.variables())),
            );
        }
    }
    for table in &plan.tables {
        claims.push(
            plan.witness
                .point(table.block, suffix(table.table.variables())),
        );
    }
    claims
}

/// Fills in the points that are suffixes of the lookup point.
pub(crate) fn set_lookup_points(plan: &Plan, lookup: &[E], points: &mut [Vec<E>]) {
    for (point, source) in points.iter_mut().zip(&plan.points) {
        if let PointSource::Lookup(n) = *source {
            *point = lookup[lookup.len() - n..].to_vec();
        }
    }
}

struct Run<'a> {
    pk: &'a ProvingKey,
    plan: &'a Plan,
    witness: &'a Witness,
    channel: ProverChannel,
    points: Vec<Vec<E>>,
    /// Claims on the weight commitment, in the order of the walk.
    weight_points: Vec<Vec<E>>,
}

impl Run<'_> {
    fn output(&mut self) {
        let layout = self.plan.output_layout;
        self.channel
            .transcript
            .phase("output", &[layout.variables()]);
        let point = self.channel.transcript.sample_point(layout.variables());
        self.points[self.plan.evaluations[self.plan.output.id].point] = point;
        self.send(self.plan.output);
    }

    /// Sends an evaluation at its first use.
    fn send(&mut self, used: Use) {
        if used.fresh {
            let evaluation = self.plan.evaluations[used.id];
            let value = self.evaluate(evaluation);
            self.channel.send(value);
        }
    }

    fn evaluate(&self, evaluation: Evaluation) -> E {
        let values = &self.witness.values[evaluation.value as usize];
        crate::statement::evaluate(values, evaluation.layout, &self.points[evaluation.point])
    }

    fn lookups(&mut self) -> Vec<E> {
        let plan = self.plan;
        let depth = plan.lookup.variables;
        self.channel
            .transcript
            .phase("lookups", &[depth, plan.lookup.blocks.len()]);
        let alpha = self.channel.transcript.sample();
        let beta = self.channel.transcript.sample();
        let (p, q) = self.leaves(alpha, beta);
        let point = logup::prove(p, q, &mut self.channel);
        set_lookup_points(plan, &point, &mut self.points);

        let suffix = |n: usize| &point[point.len() - n..];
        for (requant, remainders) in plan.requants.iter().zip(&self.witness.remainders) {
            self.send(requant.v);
            self.send(requant.y);
            let eq = eq_table(suffix(requant.layout.variables()), E::ONE);
            for limb in &requant.limbs {
                let mask = (1 << plan.tables[limb.table].table.variables()) - 1;
                let value = remainders.iter().enumerate().fold(E::ZERO, |acc, (i, &r)| {
                    acc + eq[requant.layout.position(i)] * F::from_u32((r >> limb.shift) & mask)
                });
                self.channel.send(value);
            }
        }
        for (table, counts) in plan.tables.iter().zip(&self.witness.multiplicities) {
            let eq = eq_table(suffix(table.table.variables()), E::ONE);
            let counts: Vec<F> = counts.iter().map(|&m| F::from_u32(m)).collect();
            self.channel.send(dot_base(&eq, &counts));
        }
        point
    }

    /// Numerators and denominators of the tree: absent positions 0, lookups 1, tables `-m`.
    fn leaves(&self, alpha: E, beta: E) -> (Vec<E>, Vec<E>) {
        let plan = self.plan;
        let size = 1 << plan.lookup.variables;
        let mut p = vec![E::ZERO; size];
        let mut q = vec![E::ONE; size];
        let beta2 = beta * beta;
        for (index, requant) in plan.requants.iter().enumerate() {
            let layout = requant.layout;
            let column = plan.lookup.blocks[requant.column];
            let base = alpha - beta2 * table_tag(requant.table);
            // Padding holds v = y = rem = 0, as the extensions of its columns do.
            let padding = crate::field::inverse_power_of_two(requant.shift)
                * signed(crate::witness::rounding(requant.shift));
            q[column.offset..column.offset + (1 << column.variables)].fill(base - padding);
            let y = &self.witness.values[requant.node + 1];
            for (i, &y) in y.iter().enumerate() {
                let at = column.offset + layout.position(i);
                let u = self.witness.quotient(index, requant, i);
                p[at] = E::ONE;
                q[at] = base - u - beta * signed(i64::from(y));
            }
            for limb in &requant.limbs {
                let column = plan.lookup.blocks[limb.column];
                let base = alpha - beta2 * table_tag(limb.table);
                let mask = (1 << plan.tables[limb.table].table.variables()) - 1;
                q[column.offset..column.offset + (1 << column.variables)].fill(base);
                for (i, &r) in self.witness.remainders[index].iter().enumerate() {
                    let at = column.offset + layout.position(i);
                    p[at] = E::ONE;
                    q[at] = base - F::from_u32((r >> limb.shift) & mask);
                }
            }
        }
        for (index, table) in plan.tables.iter().enumerate() {
            let column = plan.lookup.blocks[table.column];
            let base = alpha - beta2 * table_tag(index);
            for (row, &m) in self.witness.multiplicities[index].iter().enumerate() {
                let (c0, c1) = table.table.row(row);
                p[column.offset + row] = -E::from(F::from_u32(m));
                q[column.offset + row] = base - signed(c0) - beta * signed(c1);
            }
        }
        (p, q)
    }

    fn walk(&mut self) {
        let plan = self.plan;
        for step in &plan.steps {
            match step {
                Step::Linear {
                    node,
                    claim,
                    linear,
                    point,
                    input,
                } => self.linear(*node, *claim, *linear, *point, *input),
                Step::Add { node, a, b, .. } => {
                    self.channel.transcript.phase("add", &[*node]);
                    self.send(a.1);
                    self.send(b.1);
                }
                Step::Relayout {
                    claim,
                    point,
                    native,
                } => self.relayout(*claim, *point, *native),
            }
        }
    }

    fn linear(&mut self, node: usize, claim: usize, linear: usize, point: usize, input: Use) {
        let plan = self.plan;
        let l = &plan.linears[linear];
        let (weights, bias) = &self.pk.scaled[linear];
        let claim_point = self.points[plan.evaluations[claim].point].clone();
        let (row_point, col_point) = claim_point.split_at(l.row_variables());
        self.channel
            .transcript
            .phase("linear", &[node, l.rows, l.inner, l.cols]);

        let cols = eq_table(col_point, E::ONE);
        self.channel.send(dot_base(&cols, bias));
        self.weight_points
            .push(plan.weights.point(l.bias, col_point));

        // X(r1, z) and W'(z, r2).
        let inner = 1 << l.inner_variables();
        let values = &self.witness.values[plan.evaluations[input.id].value as usize];
        let mut x = vec![E::ZERO; inner];
        let row_weights = eq_table(row_point, E::ONE);
        for (row, &weight) in values.chunks(l.inner).zip(&row_weights) {
            for (target, &v) in x.iter_mut().zip(row) {
                *target += weight * signed(i64::from(v));
            }
        }
        let mut w = fold_columns(weights, l.cols, &cols);
        w.resize(inner, E::ZERO);

        let (inner_point, last) = if l.masked {
            let mask = (0..inner).map(|z| E::from_bool(z < l.inner)).collect();
            let (p, [_, w, _]) = sumcheck::prove([x, w, mask], &mut self.channel);
            (p, w)
        } else {
            let (p, [_, w]) = sumcheck::prove([x, w], &mut self.channel);
            (p, w)
        };
        self.channel.send(last);
        let weight_point: Vec<E> = inner_point.iter().chain(col_point).copied().collect();
        self.weight_points
            .push(plan.weights.point(l.weights, &weight_point));
        self.points[point] = row_point.iter().chain(&inner_point).copied().collect();
        self.send(input);
    }

    fn relayout(&mut self, claim: usize, point: usize, native: Use) {
        let from = self.plan.evaluations[claim];
        let to = self.plan.evaluations[native.id].layout;
        self.channel.transcript.phase(
            "relayout",
            &[from.layout.rows, from.layout.cols, to.rows, to.cols],
        );
        let eq = eq_table(&self.points[from.point], E::ONE);
        let mut map = vec![E::ZERO; 1 << to.variables()];
        for i in 0..to.elements() {
            map[to.position(i)] = eq[from.layout.position(i)];
        }
        let values = place(&self.witness.values[from.value as usize], to);
        let values = values.into_iter().map(E::from).collect();
        let (p, _) = sumcheck::prove([map, values], &mut self.channel);
        self.points[point] = p;
        self.send(native);
    }
}

/// The number that a table's lookups carry.
pub(crate) fn table_tag(index: usize) -> F {
    F::from_u64(index as u64 + 1)
}

/// `Σ_n eq[n]·matrix[z,n]` for every row `z`: five dot products over the base field a row.
fn fold_columns(matrix: &[F], cols: usize, eq: &[E]) -> Vec<E> {
    let axes: [Vec<F>; 5] =
        std::array::from_fn(|d| eq[..cols].iter().map(|e| coordinates(e)[d]).collect());
    let row = |row: &[F]| E::from_basis_coefficients_fn(|d| dot(row, &axes[d]));
    if matrix.len() >= 1 << 14 {
        matrix.par_chunks(cols).map(row).collect()
    } else {
        matrix.chunks(cols).map(row).collect()
    }
}

/// `Σ_i a[i]·b[i]` over the base field, a vector register at a time.
fn dot(a: &[F], b: &[F]) -> F {
    let (a_packed, a_rest) = <F as Field>::Packing::pack_slice_with_suffix(a);
    let (b_packed, b_rest) = <F as Field>::Packing::pack_slice_with_suffix(b);
    let zero = <F as Field>::Packing::ZERO;
    let sum = a_packed
        .iter()
        .zip(b_packed)
        .fold(zero, |acc, (&x, &y)| acc + x * y);
    let lanes: F = sum.as_slice().iter().copied().sum();
    a_rest
        .iter()
        .zip(b_rest)
        .fold(lanes, |acc, (&x, &y)| acc + x * y)
}
