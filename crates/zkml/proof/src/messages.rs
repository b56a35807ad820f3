//! The checks of a proof's messages, up to what the commitments have to open to.
//!
//! One function for both modes. The verifier runs it over a proof; the prover of a hiding proof
//! runs it over its own messages, to learn which affine functions of its pads have to vanish.

use p3_field::PrimeCharacteristicRing;

use crate::binding::{self, Linear};
use crate::checks::{Check, ensure};
use crate::field::{E, F, eq_at, inverse_power_of_two, signed};
use crate::logup::{self, LogUpError};
use crate::plan::{
    Challenges, Home, InputCheck, Limb, MatMul, Origin, Plan, Step, Symbol, Target, Use,
};
use crate::sponge::RATE;
use crate::sumcheck;
use crate::transcript::{Lin, VerifierChannel};
use crate::verifier::VerifyError;
use crate::weigh::{resolve, symbols};
use crate::witness::rounding;

/// What the verifier sees of a run.
#[derive(Clone, Debug)]
pub(crate) struct Public<'a> {
    /// The inputs, unless they are private.
    pub(crate) inputs: Option<Vec<&'a [i32]>>,
    /// The commitment to private inputs.
    pub(crate) commitment: [F; RATE],
    /// The outputs; with private inputs, their sums with their pads.
    pub(crate) outputs: Vec<&'a [i32]>,
}

/// A claimed evaluation of a block of a committed polynomial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BlockClaim<V> {
    pub(crate) block: usize,
    pub(crate) point: Vec<E>,
    pub(crate) value: V,
}

/// What the messages leave to be opened.
pub(crate) struct Remaining {
    pub(crate) witness: Vec<BlockClaim<Lin>>,
    pub(crate) weights: Vec<BlockClaim<E>>,
    /// Further linear claims on the witness.
    pub(crate) linear: Vec<Linear>,
}

/// The number that a table's lookups carry.
pub(crate) fn table_tag(index: usize) -> F {
    F::from_u64(index as u64 + 1)
}

/// `eq(a, b)` of two points.
pub(crate) fn eq(a: &[E], b: &[E]) -> E {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| {
            let xy = x * y;
            xy + xy + E::ONE - x - y
        })
        .product()
}

/// Checks all messages of a proof.
pub(crate) fn verify_messages(
    plan: &Plan,
    public: &Public<'_>,
    channel: &mut VerifierChannel<'_>,
) -> Result<Remaining, VerifyError> {
    let mut run = Run::new(plan, public, channel, false);
    run.all()?;
    let mut remaining = run.remaining();
    if let Some(binding) = &plan.binding {
        remaining.linear = binding::verify(binding, plan, &public.commitment, channel)?;
    }
    Ok(remaining)
}

/// The pairs of pads that the checks of a hiding proof multiply: found by a run over zeros, since
/// they do not depend on the messages. Its work is that of planning: what a verification weighs
/// element by element is left out, since a key is planned before its cost is known.
pub(crate) fn products(plan: &Plan) -> Vec<(u32, u32)> {
    let zeros = vec![E::ZERO; plan.elements];
    let mut channel = VerifierChannel::with_mode(&[], &zeros, true);
    let public = Public {
        inputs: None,
        commitment: [F::ZERO; RATE],
        outputs: vec![&[]; plan.outputs.len()],
    };
    let mut checked = Run::new(plan, &public, &mut channel, true).all();
    if let Some(binding) = &plan.binding {
        checked = checked.and_then(|()| binding::receive(binding, &mut channel).map(drop));
    }
    debug_assert!(checked.is_ok(), "nothing is checked at once");
    channel.products
}

struct Run<'a, 'b, 'c> {
    plan: &'a Plan,
    public: &'a Public<'a>,
    channel: &'b mut VerifierChannel<'c>,
    symbols: Vec<E>,
    /// Values of the plan's evaluations, as far as they are known.
    values: Vec<Lin>,
    /// Only which messages are multiplied is of interest.
    dry: bool,
}

impl<'a, 'b, 'c> Run<'a, 'b, 'c> {
    fn new(
        plan: &'a Plan,
        public: &'a Public<'a>,
        channel: &'b mut VerifierChannel<'c>,
        dry: bool,
    ) -> Self {
        Self {
            plan,
            public,
            channel,
            symbols: symbols(plan.symbols),
            values: vec![Lin::default(); plan.evaluations.len()],
            dry,
        }
    }

    fn all(&mut self) -> Result<(), VerifyError> {
        self.outputs()?;
        self.lookups()?;
        self.plan.steps.iter().try_for_each(|step| self.step(step))
    }

    fn at(&self, point: &[Symbol]) -> Vec<E> {
        resolve(&self.symbols, point)
    }

    fn set_challenges(&mut self, challenges: &Challenges, point: &[E]) {
        let range = challenges.start as usize..challenges.end as usize;
        self.symbols[range].copy_from_slice(point);
    }

    fn require(&mut self, check: Check, value: Lin, error: VerifyError) -> Result<(), VerifyError> {
        self.channel.zero(check, value).map_err(|_| error)
    }

    /// An evaluation becomes known; one of a public input is checked at once.
    fn set(&mut self, used: Use, value: Lin) -> Result<(), VerifyError> {
        let evaluation = &self.plan.evaluations[used.id];
        if let (Target::Value(input), Some(inputs)) = (evaluation.target, &self.public.inputs) {
            let input = input as usize;
            if self.plan.homes[input] == Home::Public {
                let point = self.at(&evaluation.point);
                let expected = self.plan.dims[input].evaluate(inputs[input], &point);
                let difference = value.minus(&expected.into());
                self.require(Check::PublicInput, difference, VerifyError::InputMismatch)?;
            }
        }
        self.values[used.id] = value;
        Ok(())
    }

    /// Receives an evaluation at its first use.
    fn receive(&mut self, used: Use) -> Result<Lin, VerifyError> {
        if used.fresh {
            let value = if self.plan.is_known(used.id) {
                self.channel.receive_public()?.into()
            } else {
                self.channel.receive()?
            };
            self.set(used, value)?;
        }
        Ok(self.values[used.id].clone())
    }

    fn outputs(&mut self) -> Result<(), VerifyError> {
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
        for (index, (used, values)) in plan.outputs.iter().zip(&self.public.outputs).enumerate() {
            let evaluation = &plan.evaluations[used.id];
            let Target::Value(value) = evaluation.target else {
                continue;
            };
            let expected = match self.dry {
                true => E::ZERO,
                false => plan.dims[value as usize].evaluate(values, &self.at(&evaluation.point)),
            };
            if let Some(&pad) = plan.output_pads.get(index) {
                let pad = self.receive(pad)?;
                let value = Lin::from(expected).minus(&pad);
                let known = plan.is_known(used.id);
                if used.fresh && known {
                    let told = self.channel.receive_public()?;
                    self.set(*used, told.into())?;
                }
                if used.fresh && !known {
                    self.set(*used, value)?;
                } else {
                    let difference = self.values[used.id].minus(&value);
                    self.require(Check::OutputClaim, difference, VerifyError::OutputMismatch)?;
                }
            } else if used.fresh {
                // The prover's word, though the verifier knows better: a false output has a name.
                let said = self.channel.receive_public()?;
                ensure(Check::OutputSaid, said == expected, || {
                    VerifyError::OutputMismatch
                })?;
                self.set(*used, expected.into())?;
            } else {
                let difference = self.values[used.id].minus(&expected.into());
                self.require(Check::OutputClaim, difference, VerifyError::OutputMismatch)?;
            }
        }
        Ok(())
    }

    fn lookups(&mut self) -> Result<(), VerifyError> {
        let plan = self.plan;
        let depth = plan.lookup.variables;
        let transcript = &mut self.channel.transcript;
        transcript.phase("lookups", &[depth, plan.lookup.blocks.len()]);
        let alpha = transcript.sample();
        let beta = transcript.sample();
        let beta2 = beta * beta;
        let (point, p, q) = logup::verify(depth, self.channel).map_err(|e| match e {
            LogUpError::Exhausted => crate::transcript::Exhausted.into(),
            LogUpError::Root => VerifyError::Lookup("looked-up values and tables do not balance"),
            LogUpError::Layer(_) => VerifyError::Lookup("a layer does not fit the one above"),
        })?;
        self.set_challenges(&plan.lookup_point, &point);
        for (_, origin) in plan.tables.iter().filter_map(|t| t.entries) {
            self.receive(origin)?;
        }

        let suffix = |variables: usize| &point[point.len() - variables..];
        let mut leaves = Leaves::new(plan, &point);
        let base = |table: usize| alpha - beta2 * table_tag(table);
        for lookup in &plan.lookups {
            let v = self.receive(lookup.v)?;
            let y = self.receive(lookup.y)?;
            let remainder = self.limbs(&lookup.limbs, &mut leaves, base)?;
            let inverse = E::from(inverse_power_of_two(lookup.shift));
            let rounding = E::from(signed(rounding(lookup.shift)));
            let dims = &plan.dims[lookup.value as usize];
            let absent = E::ONE - dims.presence(suffix(dims.variables()));
            // α - tag - u - β·(y with the padding that is committed)
            let constant =
                base(lookup.table) - rounding * inverse - beta * self.origin(lookup.value) * absent;
            let mut denominator = Lin::from(constant);
            denominator.add_scaled(&v, -inverse);
            denominator.add_scaled(&remainder, inverse);
            denominator.add_scaled(&y, -beta);
            leaves.add(lookup.column, &E::ONE.into(), &denominator);
        }
        for shift in &plan.shifts {
            let v = self.receive(shift.v)?;
            let remainder = self.limbs(&shift.remainder, &mut leaves, base)?;
            let quotient = self.limbs(&shift.quotient, &mut leaves, base)?;
            let power = E::from(signed(1 << shift.shift));
            // v + 2^(s-1) = 2^s (quotient - 2^(bits-1)) + remainder
            let mut difference = v.minus(&remainder);
            difference.add_scaled(&quotient, -power);
            difference.constant += power * signed(1 << (shift.bits - 1));
            difference.constant += E::from(signed(rounding(shift.shift)));
            self.require(
                Check::ShiftLimbs,
                difference,
                VerifyError::Shift { node: shift.node },
            )?;
        }
        for input in &plan.inputs {
            let x = self.receive(input.x)?;
            let dims = &plan.dims[input.value as usize];
            let present = dims.presence(suffix(dims.variables()));
            match &input.check {
                InputCheck::Table { table, column } => {
                    let mut denominator = Lin::from(base(*table) - beta * present);
                    denominator.add_scaled(&x, -E::ONE);
                    leaves.add(*column, &E::ONE.into(), &denominator);
                }
                InputCheck::Limbs { above, below } => {
                    let above = self.limbs(above, &mut leaves, base)?;
                    let below = self.limbs(below, &mut leaves, base)?;
                    let mut above = x.minus(&above);
                    above.constant -= present * signed(i64::from(input.lo));
                    let mut below = x.plus(&below);
                    below.constant -= present * signed(i64::from(input.hi));
                    for (check, difference) in
                        [(Check::InputAbove, above), (Check::InputBelow, below)]
                    {
                        let input = input.value as usize;
                        self.require(check, difference, VerifyError::InputRange { input })?;
                    }
                }
            }
        }
        for (index, table) in plan.tables.iter().enumerate() {
            let counts = self.receive(table.counts)?;
            let (c0, mut c1) = table.table.evaluate(suffix(table.table.variables()));
            if let Some((entries, _)) = table.entries {
                c1 = self.receive(entries)?.constant;
            }
            let denominator = Lin::from(base(index) - c0 - beta * c1);
            leaves.add(table.column, &counts.scaled(-E::ONE), &denominator);
        }
        let (numerators, denominators) = leaves.finish();
        for (check, difference) in [
            (Check::Numerators, numerators.minus(&p)),
            (Check::Denominators, denominators.minus(&q)),
        ] {
            let error = VerifyError::Lookup("columns do not fit the lookups");
            self.require(check, difference, error)?;
        }
        Ok(())
    }

    /// Receives limbs, adds their leaves, and returns the number that they make.
    fn limbs(
        &mut self,
        limbs: &[Limb],
        leaves: &mut Leaves<'_>,
        base: impl Fn(usize) -> E,
    ) -> Result<Lin, VerifyError> {
        let mut number = Lin::default();
        for limb in limbs {
            let value = self.receive(limb.at)?;
            number.add_scaled(&value, E::from(signed(1 << limb.shift)));
            let mut denominator = Lin::from(base(limb.table));
            denominator.add_scaled(&value, -E::ONE);
            leaves.add(limb.column, &E::ONE.into(), &denominator);
        }
        Ok(number)
    }

    /// What the padding of a committed value holds.
    fn origin(&self, value: u32) -> E {
        match self.plan.homes[value as usize] {
            Home::Witness {
                origin: Origin::Integer(integer),
                ..
            } => signed(i64::from(integer)).into(),
            Home::Witness {
                origin: Origin::Entry(id),
                ..
            } => self.values[id].constant,
            _ => E::ZERO,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), VerifyError> {
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
                let mut claim = Lin::default();
                let mut power = E::ONE;
                for &id in claims {
                    claim.add_scaled(&self.values[id], power);
                    power *= gamma;
                }
                let (point, rest) = self.sumcheck(claim, &[], sum)?;
                let mut weight = E::ZERO;
                for &id in claims.iter().rev() {
                    let other = self.at(&self.plan.evaluations[id].point);
                    weight = weight * gamma + eq(&other, &point);
                }
                let end = self.receive(*result)?.scaled(weight);
                self.require(
                    Check::Merge,
                    rest.minus(&end),
                    VerifyError::Merge { value: *value },
                )
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
                let claim_point = self.at(&self.plan.evaluations[*claim].point);
                let claim = self.values[*claim].clone();
                let (_, rest) = self.sumcheck(claim, &claim_point, sum)?;
                let end = self.product(*a, *b)?;
                self.require(
                    Check::Mul,
                    rest.minus(&end),
                    VerifyError::Sumcheck { node: *node },
                )
            }
            Step::Combine {
                node,
                claim,
                terms,
                offset,
            } => {
                self.channel.transcript.phase("combine", &[*node]);
                let mut difference = self.values[*claim].clone();
                for &(multiplier, term) in terms {
                    let term = self.receive(term)?;
                    difference.add_scaled(&term, -E::from(signed(i64::from(multiplier))));
                }
                if *offset != 0 {
                    let evaluation = &self.plan.evaluations[*claim];
                    let dims = &self.plan.dims[self.plan.value_of(*node)];
                    let present = dims.presence(&self.at(&evaluation.point));
                    difference.constant -= present * signed(i64::from(*offset));
                }
                self.require(Check::Combine, difference, VerifyError::Add { node: *node })
            }
            Step::Pass {
                node,
                claim,
                halvings,
                to,
            } => {
                let value = self.values[*claim].scaled(inverse_power_of_two(*halvings).into());
                if to.fresh {
                    return self.set(*to, value);
                }
                let difference = value.minus(&self.values[to.id]);
                self.require(Check::Pass, difference, VerifyError::Claim { node: *node })
            }
            Step::Map {
                node,
                claim,
                map,
                sum,
                to,
            } => {
                self.channel.transcript.phase("map", &[*node, sum.len()]);
                let claim = self.values[*claim].clone();
                let (point, rest) = self.sumcheck(claim, &[], sum)?;
                let weight = match self.dry {
                    true => E::ZERO,
                    false => map.factor(&self.symbols) * map.evaluate(&self.symbols, &point),
                };
                let end = self.receive(*to)?.scaled(weight);
                self.require(
                    Check::Map,
                    rest.minus(&end),
                    VerifyError::Map { node: *node },
                )
            }
            Step::Quotient {
                node,
                claim,
                shift,
                limbs,
            } => {
                self.channel.transcript.phase("quotient", &[*node]);
                let shift = &self.plan.shifts[*shift];
                let mut difference = self.values[*claim].clone();
                difference.constant += E::from(signed(1 << (shift.bits - 1)));
                for (limb, &used) in shift.quotient.iter().zip(limbs) {
                    let value = self.receive(used)?;
                    difference.add_scaled(&value, -E::from(signed(1 << limb.shift)));
                }
                self.require(
                    Check::QuotientLimbs,
                    difference,
                    VerifyError::Shift { node: *node },
                )
            }
        }
    }

    /// `claim = Σ_x eq(under, x') a(x) b(x)` becomes a claim on `a·b`.
    fn sumcheck(
        &mut self,
        claim: Lin,
        under: &[E],
        sum: &Challenges,
    ) -> Result<(Vec<E>, Lin), VerifyError> {
        let (point, rest) = sumcheck::verify_eq_product(claim, under, sum.len(), self.channel)?;
        self.set_challenges(sum, &point);
        Ok((point, rest))
    }

    /// Receives two evaluations and multiplies them.
    fn product(&mut self, a: Use, b: Use) -> Result<Lin, VerifyError> {
        let (known_a, known_b) = (self.plan.is_known(a.id), self.plan.is_known(b.id));
        let a = self.receive(a)?;
        let b = self.receive(b)?;
        Ok(if known_a {
            b.scaled(a.constant)
        } else if known_b {
            a.scaled(b.constant)
        } else {
            self.channel.product(&a, &b)
        })
    }

    fn matmul(&mut self, m: &MatMul) -> Result<(), VerifyError> {
        let shape = [&m.batch, &m.rows, &m.inner, &m.cols].map(|d| d.variables());
        self.channel
            .transcript
            .phase("matmul", &[&[m.node][..], &shape].concat());
        let claim = self.values[m.claim].clone();
        let batch = self.at(&m.batch_point);
        let (_, rest) = self.sumcheck(claim, &batch, &m.sum)?;
        let end = self.product(m.a, m.b)?;
        self.require(
            Check::MatMul,
            rest.minus(&end),
            VerifyError::Sumcheck { node: m.node },
        )
    }

    /// Every evaluation of something committed is a claim.
    fn remaining(self) -> Remaining {
        let mut witness = Vec::new();
        let mut weights = Vec::new();
        for (evaluation, value) in self.plan.evaluations.iter().zip(&self.values) {
            let point = resolve(&self.symbols, &evaluation.point);
            let home = match evaluation.target {
                Target::Value(value) => self.plan.homes[value as usize],
                Target::Witness(block) => Home::Witness {
                    block,
                    origin: Origin::Integer(0),
                },
                Target::Weights(block) => Home::Weights { block },
            };
            match home {
                Home::Public | Home::Virtual => {}
                Home::Weights { block } => weights.push(BlockClaim {
                    block,
                    point,
                    value: value.constant,
                }),
                Home::Witness { block, origin } => {
                    let mut value = value.clone();
                    let padding = match origin {
                        Origin::Integer(integer) => E::from(signed(i64::from(integer))),
                        Origin::Entry(id) => self.values[id].constant,
                    };
                    // What is committed of a value holds padding as far as its pieces go; a limb's message
                    // is of a column that holds padding everywhere.
                    let stored = &self.plan.witness.stored[block];
                    if let (Target::Value(id), true) = (evaluation.target, padding != E::ZERO) {
                        let present = self.plan.dims[id as usize].presence(&point);
                        value.constant += padding * (stored.covered(&point) - present);
                    }
                    if let (Target::Witness(_), true) = (evaluation.target, stored.is_cut()) {
                        let content = self.plan.contents[block];
                        let padding = F::from_u32(self.plan.limb_of_zero(content));
                        value.constant -= (E::ONE - stored.covered(&point)) * padding;
                    }
                    witness.push(BlockClaim {
                        block,
                        point,
                        value,
                    });
                }
            }
        }
        Remaining {
            witness,
            weights,
            linear: Vec::new(),
        }
    }
}

/// The two leaf claims as the columns' evaluations give them.
struct Leaves<'a> {
    plan: &'a Plan,
    point: &'a [E],
    numerators: Lin,
    denominators: Lin,
    covered: E,
}

impl<'a> Leaves<'a> {
    fn new(plan: &'a Plan, point: &'a [E]) -> Self {
        Self {
            plan,
            point,
            numerators: Lin::default(),
            denominators: Lin::default(),
            covered: E::ZERO,
        }
    }

    fn add(&mut self, column: usize, numerator: &Lin, denominator: &Lin) {
        let block = self.plan.lookup.blocks[column];
        let selectors = self.point.len() - block.variables;
        let weight = eq_at(&self.point[..selectors], block.offset >> block.variables);
        self.numerators.add_scaled(numerator, weight);
        self.denominators.add_scaled(denominator, weight);
        self.covered += weight;
    }

    /// Leaves outside every column are 0/1.
    fn finish(mut self) -> (Lin, Lin) {
        self.denominators.constant += E::ONE - self.covered;
        (self.numerators, self.denominators)
    }
}
