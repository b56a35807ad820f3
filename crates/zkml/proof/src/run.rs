//! The messages of a proof: the prover's interpretation of the plan.

use std::borrow::Cow;

use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::field::{E, F, eq_table, inverse_power_of_two, signed};
use crate::folds::fold;
use crate::logup::Numerator;
use crate::messages::table_tag;
use crate::packed::{INNER_BITS, long_eq_sum};
use crate::plan::{
    Challenges, Dims, EvalId, GroupKind, Home, InputCheck, LookupTable, Map, MatMul, Plan, Step,
    Symbol, Target, Use,
};
use crate::transcript::ProverChannel;
use crate::weigh::{resolve, symbols, tensor};
use crate::witness::Witness;
use crate::{logup, sumcheck};

/// Points of the stacked polynomials that have to be opened.
pub(crate) struct Points {
    pub(crate) witness: Vec<(usize, Vec<E>)>,
    /// Of every shard of the weights.
    pub(crate) weights: Vec<Vec<(usize, Vec<E>)>>,
}

pub(crate) struct Run<'a> {
    plan: &'a Plan,
    /// What the next phase is of.
    pub(crate) witness: &'a Witness<'a>,
    channel: ProverChannel,
    symbols: Vec<E>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(plan: &'a Plan, witness: &'a Witness<'a>, channel: ProverChannel) -> Self {
        Self {
            plan,
            witness,
            channel,
            symbols: symbols(plan.symbols),
        }
    }

    fn at(&self, point: &[Symbol]) -> Vec<E> {
        resolve(&self.symbols, point)
    }

    fn set_challenges(&mut self, challenges: &Challenges, point: &[E]) {
        let range = challenges.start as usize..challenges.end as usize;
        self.symbols[range].copy_from_slice(point);
    }

    fn evaluate(&self, id: EvalId) -> E {
        let evaluation = &self.plan.evaluations[id];
        let point = self.at(&evaluation.point);
        match evaluation.target {
            Target::Value(value) => {
                let value = value as usize;
                self.plan.dims[value].evaluate(self.witness.values[value], &point)
            }
            Target::Witness(block) => self.witness.column(self.plan, block).evaluate(&point),
            Target::Weights(_) => self.entries(id, &point),
        }
    }

    /// An evaluation of an explicit table.
    fn entries(&self, id: EvalId, point: &[E]) -> E {
        let of = |t: &&crate::plan::TablePlan| {
            t.entries
                .is_some_and(|(at, origin)| at.id == id || origin.id == id)
        };
        match self.plan.tables.iter().find(of).map(|t| t.table) {
            Some(LookupTable::Explicit { bits, table }) => {
                Dims(vec![1 << bits]).evaluate(self.witness.entries(table), point)
            }
            _ => E::ZERO,
        }
    }

    /// Sends an evaluation at its first use.
    fn send_value(&mut self, used: Use, value: E) {
        if !used.fresh {
            return;
        }
        if self.plan.is_known(used.id) {
            self.channel.send_public(value);
        } else {
            self.channel.send(value);
        }
    }

    /// Sends evaluations that are made side by side.
    fn send_all(&mut self, uses: &[Use]) {
        let values: Vec<E> = uses
            .par_iter()
            .map(|used| match used.fresh {
                true => self.evaluate(used.id),
                false => E::ZERO,
            })
            .collect();
        for (&used, value) in uses.iter().zip(values) {
            self.send_value(used, value);
        }
    }

    pub(crate) fn outputs(&mut self) {
        let plan = self.plan;
        let sizes: Vec<usize> = plan
            .output_points
            .iter()
            .map(ExactSizeIterator::len)
            .collect();
        self.channel.transcript.phase("outputs", &sizes);
        for challenges in &plan.output_points {
            let point = self.channel.transcript.sample_point(challenges.len());
            self.set_challenges(challenges, &point);
        }
        for (index, &used) in plan.outputs.iter().enumerate() {
            let pad = plan.output_pads.get(index);
            if let Some(&pad) = pad {
                self.send_all(&[pad]);
            }
            if used.fresh && (pad.is_none() || plan.is_known(used.id)) {
                let value = self.evaluate(used.id);
                self.channel.send_public(value);
            }
        }
    }

    /// `stack` is the committed polynomial, which holds most columns of the tree.
    pub(crate) fn lookups(&mut self, stack: &[F]) {
        let plan = self.plan;
        let depth = plan.lookup.variables;
        let transcript = &mut self.channel.transcript;
        transcript.phase("lookups", &[depth, plan.lookup.blocks.len()]);
        let alpha = transcript.sample();
        let beta = transcript.sample();
        let leaves = leaves(plan, self.witness, stack, alpha, beta);
        let point = logup::prove(depth, beta, &leaves, &mut self.channel);
        drop(leaves);
        self.set_challenges(&plan.lookup_point, &point);

        let mut uses: Vec<Use> = Vec::new();
        uses.extend(plan.tables.iter().filter_map(|t| Some(t.entries?.1)));
        for lookup in &plan.lookups {
            uses.extend([lookup.v, lookup.y]);
            uses.extend(lookup.limbs.iter().map(|l| l.at));
        }
        for shift in &plan.shifts {
            uses.push(shift.v);
            uses.extend(shift.remainder.iter().chain(&shift.quotient).map(|l| l.at));
        }
        for input in &plan.inputs {
            uses.push(input.x);
            uses.extend(input.limbs().map(|l| l.at));
        }
        for table in &plan.tables {
            uses.push(table.counts);
            uses.extend(table.entries.map(|(at, _)| at));
        }
        self.send_all(&uses);
    }

    /// `tell` hears the number of each step before it, and how many there are.
    pub(crate) fn walk(&mut self, tell: &dyn Fn(usize, usize)) {
        let plan = self.plan;
        for (number, step) in plan.steps.iter().enumerate() {
            tell(number, plan.steps.len());
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        let plan = self.plan;
        match step {
            Step::Merge {
                value,
                claims,
                sum,
                result,
            } => {
                let transcript = &mut self.channel.transcript;
                transcript.phase("merge", &[*value as usize, claims.len()]);
                let gamma = transcript.sample();
                let mut power = E::ONE;
                let claims = claims.iter().map(|&id| {
                    let scale = power;
                    power *= gamma;
                    (self.at(&plan.evaluations[id].point), scale)
                });
                let claims: Vec<(Vec<E>, E)> = claims.collect();
                let value = *value as usize;
                let table = plan.dims[value].padded(self.witness.values[value]);
                let (point, [_, end]) = if sum.len() > INNER_BITS {
                    let weights = long_eq_sum(&claims);
                    sumcheck::prove_product_packed(&weights, &table, &mut self.channel)
                } else {
                    let mut weights = vec![E::ZERO; 1 << sum.len()];
                    for (point, scale) in &claims {
                        for (weight, e) in weights.iter_mut().zip(eq_table(point, *scale)) {
                            *weight += e;
                        }
                    }
                    sumcheck::prove_product_base(weights, table, &mut self.channel)
                };
                self.set_challenges(sum, &point);
                self.send_value(*result, end);
            }
            Step::MatMul(matmul) => self.matmul(matmul),
            Step::Mul {
                node,
                claim,
                sum,
                a,
                b,
            } => {
                self.channel.transcript.phase("mul", &[*node, sum.len()]);
                let point = self.at(&plan.evaluations[*claim].point);
                let [a_table, b_table] = [a, b].map(|used| {
                    let (dims, values) = self.operand(*used);
                    dims.padded(values)
                });
                let (point, [a_end, b_end]) =
                    sumcheck::prove_eq_product_base(&point, a_table, b_table, &mut self.channel);
                self.set_challenges(sum, &point);
                self.send_value(*a, a_end);
                self.send_value(*b, b_end);
            }
            Step::Combine { node, terms, .. } => {
                self.channel.transcript.phase("combine", &[*node]);
                let uses: Vec<Use> = terms.iter().map(|&(_, used)| used).collect();
                self.send_all(&uses);
            }
            Step::Pass { .. } => {}
            Step::Map {
                node,
                claim: _,
                map,
                sum,
                to,
            } => {
                self.channel.transcript.phase("map", &[*node, sum.len()]);
                self.map(map, sum, *to);
            }
            Step::Quotient { node, limbs, .. } => {
                self.channel.transcript.phase("quotient", &[*node]);
                self.send_all(limbs);
            }
        }
    }

    /// Dimensions and elements of the value that an evaluation is of.
    fn operand(&self, used: Use) -> (&'a Dims, &'a [i32]) {
        match self.plan.evaluations[used.id].target {
            Target::Value(value) => {
                let value = value as usize;
                (&self.plan.dims[value], self.witness.values[value])
            }
            // Claims of the walk are on values; limbs are sent where they are claimed.
            Target::Witness(_) | Target::Weights(_) => (&self.plan.dims[0], &[]),
        }
    }

    fn matmul(&mut self, m: &MatMul) {
        let shape = [&m.batch, &m.rows, &m.inner, &m.cols].map(Dims::variables);
        self.channel
            .transcript
            .phase("matmul", &[&[m.node][..], &shape].concat());
        let (row, col) = (self.at(&m.row_point), self.at(&m.col_point));
        let free = |dims: &Dims| vec![None; dims.0.len()];
        fn bound<'p>(dims: &'p Dims, point: &'p [E]) -> Vec<Option<&'p [E]>> {
            dims.split(point).map(|(_, p)| Some(p)).collect()
        }
        let a_points = [free(&m.batch), bound(&m.rows, &row), free(&m.inner)].concat();
        let b_points = [free(&m.batch), free(&m.inner), bound(&m.cols, &col)].concat();
        let ((a_dims, a), (b_dims, b)) = (self.operand(m.a), self.operand(m.b));
        let (a, b) = rayon::join(|| fold(a_dims, a, &a_points), || fold(b_dims, b, &b_points));
        let batch = self.at(&m.batch_point);
        let (point, [a_end, b_end]) = sumcheck::prove_eq_product(&batch, a, b, &mut self.channel);
        self.set_challenges(&m.sum, &point);
        self.send_value(m.a, a_end);
        self.send_value(m.b, b_end);
    }

    fn map(&mut self, map: &Map, sum: &Challenges, to: Use) {
        let weights = tensor(map.tables(&self.symbols), map.factor(&self.symbols));
        let (_, values) = self.operand(to);
        // A `Reshape` is cut into groups without the axes of length 1.
        let dims = Dims(map.groups.iter().flat_map(|g| g.dims.0.clone()).collect());
        let bound: Vec<Option<Vec<E>>> = map
            .groups
            .iter()
            .map(|group| match &group.kind {
                GroupKind::Bound(point) => Some(self.at(point)),
                _ => None,
            })
            .collect();
        let points: Vec<Option<&[E]>> = map
            .groups
            .iter()
            .zip(&bound)
            .flat_map(|(group, bound)| match bound {
                None => vec![None; group.dims.0.len()],
                Some(point) => group.dims.split(point).map(|(_, p)| Some(p)).collect(),
            })
            .collect();
        let (point, [_, end]) = if points.iter().all(Option::is_none) {
            let table = dims.padded(values);
            sumcheck::prove_product_base(weights, table, &mut self.channel)
        } else {
            let table = fold(&dims, values, &points);
            sumcheck::prove_product(weights, table, &mut self.channel)
        };
        self.set_challenges(sum, &point);
        self.send_value(to, end);
    }

    /// Shows that the witness opens the commitment to the inputs, if the mode asks for it.
    pub(crate) fn binding(&mut self) {
        if let (Some(binding), Some(private)) = (&self.plan.binding, &self.witness.private) {
            crate::binding::prove(binding, private.cubed.clone(), &mut self.channel);
        }
    }

    /// What has to be opened, in the order of the evaluations.
    pub(crate) fn finish(self) -> (ProverChannel, Points) {
        let plan = self.plan;
        let mut witness = Vec::new();
        let mut weights = vec![Vec::new(); plan.weights.packings.len()];
        for evaluation in &plan.evaluations {
            let home = match evaluation.target {
                Target::Value(value) => match plan.homes[value as usize] {
                    Home::Witness { block, .. } => Target::Witness(block),
                    Home::Weights { block } => Target::Weights(block),
                    Home::Public | Home::Virtual => continue,
                },
                target => target,
            };
            let point = self.at(&evaluation.point);
            match home {
                Target::Witness(block) => witness.push((block, point)),
                Target::Weights(block) => {
                    let (shard, block) = plan.weights.places[block];
                    weights[shard].push((block, point));
                }
                Target::Value(_) => {}
            }
        }
        (self.channel, Points { witness, weights })
    }
}

/// The columns of the tree in the order of their offsets.
fn leaves<'s>(
    plan: &Plan,
    witness: &Witness<'_>,
    stack: &'s [F],
    alpha: E,
    beta: E,
) -> Vec<logup::Block<'s>> {
    let beta2 = beta * beta;
    let committed = |block: usize| match plan.witness.stored[block].is_cut() {
        true => Cow::Owned(witness.column(plan, block).padded()),
        false => {
            let block = plan.witness.block(block);
            Cow::Borrowed(&stack[block.offset..block.offset + (1 << block.variables)])
        }
    };
    let block = |column: usize, table: usize, numerator, x, y| logup::Block {
        offset: plan.lookup.blocks[column].offset,
        numerator,
        constant: alpha - beta2 * table_tag(table),
        x,
        y,
    };
    let lookups = plan.lookups.par_iter().enumerate().map(|(index, lookup)| {
        let dims = &plan.dims[lookup.value as usize];
        let inverse = inverse_power_of_two(lookup.shift);
        let mut quotients = F::zero_vec(1 << dims.variables());
        dims.place(&mut quotients, F::ZERO, |i| {
            witness.quotient(plan, index, i, inverse)
        });
        let y = match plan.homes[lookup.value as usize] {
            Home::Witness { block, .. } => Some(committed(block)),
            _ => None,
        };
        let x = Cow::Owned(quotients);
        block(lookup.column, lookup.table, Numerator::One, x, y)
    });
    let mut blocks: Vec<logup::Block<'s>> = lookups.collect();
    let shifts = plan.shifts.iter();
    let limbs = plan
        .lookups
        .iter()
        .flat_map(|l| &l.limbs)
        .chain(shifts.flat_map(|s| s.remainder.iter().chain(&s.quotient)))
        .chain(plan.inputs.iter().flat_map(|i| i.limbs()));
    for limb in limbs {
        let x = committed(limb.block);
        blocks.push(block(limb.column, limb.table, Numerator::One, x, None));
    }
    for input in &plan.inputs {
        let home = plan.homes[input.value as usize];
        let (InputCheck::Table { table, column }, Home::Witness { block: at, .. }) =
            (&input.check, home)
        else {
            continue;
        };
        let dims = &plan.dims[input.value as usize];
        let mut present = F::zero_vec(1 << dims.variables());
        dims.place(&mut present, F::ZERO, |_| F::ONE);
        let (x, y) = (committed(at), Some(Cow::Owned(present)));
        blocks.push(block(*column, *table, Numerator::One, x, y));
    }
    let tables = plan.tables.par_iter().enumerate().map(|(index, table)| {
        let counts = witness.counts[index].iter();
        let counts = counts.map(|&count| -F::from_u32(count)).collect();
        let (x, y) = (0..1 << table.table.variables())
            .map(|row| {
                let (c0, mut c1) = table.table.row(row);
                if let LookupTable::Explicit { table, .. } = table.table {
                    c1 = i64::from(witness.entries(table)[row]);
                }
                (signed(c0), signed(c1))
            })
            .unzip();
        let numerator = Numerator::Base(Cow::Owned(counts));
        let y = match table.table {
            LookupTable::Range { .. } => None,
            _ => Some(Cow::Owned(y)),
        };
        block(table.column, index, numerator, Cow::Owned(x), y)
    });
    blocks.par_extend(tables);
    blocks.sort_by_key(|block| block.offset);
    blocks
}
