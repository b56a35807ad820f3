//! The messages of a proof: the prover's interpretation of the plan.

use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::field::{E, F, eq_table, inverse_power_of_two, signed};
use crate::folds::fold;
use crate::messages::table_tag;
use crate::plan::{
    Challenges, Dims, EvalId, GroupKind, Home, Limb, LookupTable, Map, MatMul, Plan, Step, Symbol,
    Target, Use,
};
use crate::transcript::ProverChannel;
use crate::weigh::{resolve, symbols, tensor};
use crate::witness::Witness;
use crate::{logup, sumcheck};

/// Points of the two stacked polynomials that have to be opened.
pub(crate) struct Points {
    pub(crate) witness: Vec<Vec<E>>,
    pub(crate) weights: Vec<Vec<E>>,
}

pub(crate) struct Run<'a> {
    plan: &'a Plan,
    witness: &'a Witness<'a>,
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
        for used in plan.outputs.iter().filter(|used| used.fresh) {
            let value = self.evaluate(used.id);
            self.channel.send_public(value);
        }
    }

    pub(crate) fn lookups(&mut self) {
        let plan = self.plan;
        let depth = plan.lookup.variables;
        let transcript = &mut self.channel.transcript;
        transcript.phase("lookups", &[depth, plan.lookup.blocks.len()]);
        let alpha = transcript.sample();
        let beta = transcript.sample();
        let (p, q) = self.leaves(alpha, beta);
        let point = logup::prove(p, q, &mut self.channel);
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
        uses.extend(plan.inputs.iter().map(|i| i.x));
        for table in &plan.tables {
            uses.push(table.counts);
            uses.extend(table.entries.map(|(at, _)| at));
        }
        self.send_all(&uses);
    }

    /// Numerators and denominators of the tree: lookups 1, tables `-m`, nothing 0/1.
    fn leaves(&self, alpha: E, beta: E) -> (Vec<E>, Vec<E>) {
        let (plan, witness) = (self.plan, self.witness);
        let size = 1 << plan.lookup.variables;
        let mut p = vec![E::ZERO; size];
        let mut q = vec![E::ONE; size];
        let beta2 = beta * beta;
        let base = |table: usize| alpha - beta2 * table_tag(table);

        // What every column of the tree is.
        let mut columns: Vec<Option<Leaf<'_>>> = vec![None; plan.lookup.blocks.len()];
        for (index, lookup) in plan.lookups.iter().enumerate() {
            columns[lookup.column] = Some(Leaf::Lookup(index));
            for limb in &lookup.limbs {
                columns[limb.column] = Some(Leaf::Limb(limb));
            }
        }
        for limb in plan
            .shifts
            .iter()
            .flat_map(|s| s.remainder.iter().chain(&s.quotient))
        {
            columns[limb.column] = Some(Leaf::Limb(limb));
        }
        for (index, input) in plan.inputs.iter().enumerate() {
            columns[input.column] = Some(Leaf::Input(index));
        }
        for (index, table) in plan.tables.iter().enumerate() {
            columns[table.column] = Some(Leaf::Table(index));
        }

        let numerators = plan.lookup.split(&mut p);
        let denominators = plan.lookup.split(&mut q);
        numerators.into_par_iter().zip(denominators).for_each(
            |((column, p), (_, q))| match columns[column] {
                None => {}
                Some(Leaf::Lookup(index)) => {
                    let lookup = &plan.lookups[index];
                    let base = base(lookup.table);
                    let y = witness.values[lookup.value as usize];
                    let inverse = inverse_power_of_two(lookup.shift);
                    let origin = match plan.homes[lookup.value as usize] {
                        Home::Witness { origin, .. } => witness.origin(plan, origin),
                        _ => 0,
                    };
                    p.fill(E::ONE);
                    let pad = base - beta * signed(i64::from(origin));
                    plan.dims[lookup.value as usize].place(q, pad, |i| {
                        let u = witness.quotient(plan, index, i, inverse);
                        base - u - beta * signed(i64::from(y[i]))
                    });
                }
                Some(Leaf::Limb(limb)) => {
                    let mut values = F::zero_vec(q.len());
                    witness.column(plan, limb.block).place(&mut values);
                    let base = base(limb.table);
                    p.fill(E::ONE);
                    for (q, v) in q.iter_mut().zip(values) {
                        *q = base - v;
                    }
                }
                Some(Leaf::Input(index)) => {
                    let input = &plan.inputs[index];
                    let base = base(input.table);
                    let values = witness.values[input.value as usize];
                    p.fill(E::ONE);
                    plan.dims[input.value as usize]
                        .place(q, base, |i| base - beta - signed(i64::from(values[i])));
                }
                Some(Leaf::Table(index)) => {
                    let table = plan.tables[index].table;
                    let base = base(index);
                    for (row, (p, q)) in p.iter_mut().zip(q).enumerate() {
                        let (c0, mut c1) = table.row(row);
                        if let LookupTable::Explicit { table, .. } = table {
                            c1 = i64::from(witness.entries(table)[row]);
                        }
                        *p = -E::from(F::from_u32(witness.counts[index][row]));
                        *q = base - signed(c0) - beta * signed(c1);
                    }
                }
            },
        );
        (p, q)
    }

    pub(crate) fn walk(&mut self) {
        let plan = self.plan;
        for step in &plan.steps {
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
                let mut weights = vec![E::ZERO; 1 << sum.len()];
                let mut power = E::ONE;
                for &id in claims {
                    let point = self.at(&plan.evaluations[id].point);
                    for (weight, e) in weights.iter_mut().zip(eq_table(&point, power)) {
                        *weight += e;
                    }
                    power *= gamma;
                }
                let value = *value as usize;
                let table = plan.dims[value].padded(self.witness.values[value]);
                let table = table.into_iter().map(E::from).collect();
                let (point, [_, end]) = sumcheck::prove([weights, table], &mut self.channel);
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
                    dims.padded(values).into_iter().map(E::from).collect()
                });
                let tables = [eq_table(&point, E::ONE), a_table, b_table];
                let (point, [_, a_end, b_end]) = sumcheck::prove(tables, &mut self.channel);
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
        let (point, a_end, b_end) = if m.degree() == 2 {
            let (point, [a, b]) = sumcheck::prove([a, b], &mut self.channel);
            (point, a, b)
        } else {
            let eq = eq_table(&self.at(&m.batch_point), E::ONE);
            let inner = 1 << m.inner.variables();
            let eq = eq.iter().flat_map(|&e| std::iter::repeat_n(e, inner));
            let (point, [_, a, b]) = sumcheck::prove([eq.collect(), a, b], &mut self.channel);
            (point, a, b)
        };
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
        let table = fold(&dims, values, &points);
        let (point, [_, end]) = sumcheck::prove([weights, table], &mut self.channel);
        self.set_challenges(sum, &point);
        self.send_value(to, end);
    }

    /// What has to be opened, in the order of the evaluations.
    pub(crate) fn finish(self) -> (ProverChannel, Points) {
        let plan = self.plan;
        let (mut witness, mut weights) = (Vec::new(), Vec::new());
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
                Target::Witness(block) => witness.push(plan.witness.point(block, &point)),
                Target::Weights(block) => weights.push(plan.weights.point(block, &point)),
                Target::Value(_) => {}
            }
        }
        (self.channel, Points { witness, weights })
    }
}

/// What a column of the tree is.
#[derive(Clone, Copy)]
enum Leaf<'a> {
    Lookup(usize),
    Limb(&'a Limb),
    Input(usize),
    Table(usize),
}
