//! Mutation of the hiding verifier: every relation that it demands is needed.
//!
//! A verifier that forgets one relation accepts every lie that breaks that one alone. So for each
//! relation this holds a lie whose continuation breaks it and no other, measured on what the prover
//! committed to. The opening argument is of a random combination of the relations, so a verifier
//! without that one would accept it. Numbers of messages are those of the model of `cheats`.

use std::collections::BTreeMap;

use p3_field::{Field, PrimeField32};

use super::*;
use crate::checks::switches::without;
use crate::field::eq_table;
use crate::opening::reduction::{Row, Weights};
use crate::plan::{InputCheck, Plan};
use crate::transcript::{Lin, PRODUCTS};
use Relation::{Claim, Constraint, Linear};

/// A relation of the opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Relation {
    /// A claim on a block of the witness.
    Claim(usize),
    /// A linear claim on the binding.
    Linear(usize),
    /// An affine function of pads and products.
    Constraint(usize),
}

impl Argued {
    fn affine(&self, lin: &Lin) -> E {
        let (pads, products) = &self.secrets;
        let secret = |term: u32| match term.checked_sub(PRODUCTS) {
            None => pads[term as usize],
            Some(product) => {
                let (i, j) = products[product as usize];
                let truth = pads[i as usize] * pads[j as usize];
                truth + E::from_bool(self.false_product == Some(product as usize))
            }
        };
        let terms = lin.terms.iter().map(|&(term, c)| c * secret(term));
        lin.constant + terms.sum::<E>()
    }

    fn inner(&self, offset: usize, weights: &[E]) -> E {
        let values = &self.committed[offset..][..weights.len()];
        weights.iter().zip(values).map(|(&w, &v)| w * v).sum()
    }

    fn weighed(&self, weights: &Weights) -> E {
        match weights {
            Weights::Eq {
                block,
                point,
                scale,
            } => self.inner(block.offset, &eq_table(point, *scale)),
            Weights::Dense { blocks, weights } => blocks
                .iter()
                .map(|(block, scale)| *scale * self.inner(block.offset, weights))
                .sum(),
            Weights::Tensor { block, lanes, row } => {
                let row = match row {
                    Row::Eq(point) => eq_table(point, E::ONE),
                    Row::Next(point) => {
                        let mut table = eq_table(point, E::ONE);
                        table.rotate_left(1);
                        let _ = table.pop();
                        table.push(E::ZERO);
                        table
                    }
                };
                let weights: Vec<E> = lanes
                    .iter()
                    .flat_map(|&lane| row.iter().map(move |&r| lane * r))
                    .collect();
                self.inner(block.offset, &weights)
            }
        }
    }

    fn linear(&self, linear: &crate::binding::Linear) -> E {
        let weights = linear.weights.iter().map(|w| self.weighed(w));
        weights.sum::<E>() + self.affine(&linear.rest)
    }

    /// What each relation, which has to vanish, is for what was committed.
    fn values(&self, plan: &Plan) -> BTreeMap<Relation, E> {
        let relations = &self.relations;
        let claims = relations.claims.iter().map(|claim| {
            let stored = &plan.witness.stored[claim.block];
            let weights = stored.weights(&claim.point, E::ONE);
            let value: E = weights.map(|weights| self.weighed(&weights)).sum();
            value - self.affine(&claim.value)
        });
        let linear = relations.linear.iter().map(|linear| self.linear(linear));
        let constraints = relations.constraints.iter().map(|lin| self.affine(lin));
        let claims = claims.enumerate().map(|(i, v)| (Claim(i), v));
        let linear = linear.enumerate().map(|(i, v)| (Linear(i), v));
        let constraints = constraints.enumerate().map(|(i, v)| (Constraint(i), v));
        claims.chain(linear).chain(constraints).collect()
    }
}

/// An order with a lie in it.
struct Deed<'a> {
    order: &'a Order,
    /// What the lookups are argued by.
    lookups: Witness<'a>,
    /// What everything else is argued by.
    walk: Witness<'a>,
    committed: Witness<'a>,
    /// Added to elements of the committed polynomial.
    changed: Vec<(usize, F)>,
    messages: Vec<(usize, E)>,
    /// A product of pads that is committed falsely.
    product: Option<usize>,
}

impl<'a> Deed<'a> {
    fn new(order: &'a Order) -> Self {
        Self {
            order,
            lookups: order.witness(),
            walk: order.witness(),
            committed: order.witness(),
            changed: Vec::new(),
            messages: Vec::new(),
            product: None,
        }
    }

    fn plan(&self) -> &'a Plan {
        &self.order.private().plan
    }

    fn argued(&self) -> Argued {
        let mut committed = self.committed.stack(self.plan());
        for &(at, by) in &self.changed {
            committed[at] += by;
        }
        let parts = [&self.lookups, &self.walk];
        let plot = Plot {
            secret: self.product.map(Secret::Product),
            ..TRUTH
        };
        self.order
            .argue_parts(3, parts, committed, &plot, &self.messages)
    }

    fn values(&self) -> BTreeMap<Relation, E> {
        self.argued().values(self.plan())
    }

    /// A proof of the lie, in which its false messages have the pads that they were committed with.
    fn proof(&self, opening: Lie) -> Vec<u8> {
        self.order.open(self.argued(), opening, E::ZERO).0
    }

    /// Makes a message false by what a relation needs to hold.
    fn fit(mut self, message: usize, relation: Relation) -> Self {
        self.messages.push((message, E::ZERO));
        let none = self.values()[&relation];
        self.messages.last_mut().unwrap().1 = E::ONE;
        let one = self.values()[&relation];
        self.messages.last_mut().unwrap().1 = none * (none - one).inverse();
        self
    }

    /// Makes a message false.
    fn say(mut self, message: usize) -> Self {
        self.messages.push((message, E::TWO));
        self
    }

    /// The relations that do not hold.
    fn broken(&self) -> Vec<Relation> {
        let values = self.values().into_iter();
        values
            .filter(|(_, v)| *v != E::ZERO)
            .map(|(r, _)| r)
            .collect()
    }
}

/// An element of a column of limbs is another, and counted as it is.
fn recount(column: &mut [i32], at: usize, by: i32, counts: &mut [u32]) {
    counts[column[at] as usize] -= 1;
    column[at] += by;
    counts[column[at] as usize] += 1;
}

/// The tables of the limbs of the shift and of the first input.
fn tables(plan: &Plan) -> [Vec<usize>; 2] {
    let shift = &plan.shifts[0];
    let of_shift = shift.remainder.iter().chain(&shift.quotient);
    let of_input = plan.inputs[0].limbs();
    [
        of_shift.map(|limb| limb.table).collect(),
        of_input.map(|limb| limb.table).collect(),
    ]
}

/// Element 3 of a column, moved towards zero or from it so that it stays in its table.
fn step(value: i32) -> i32 {
    if value > 0 { -1 } else { 1 }
}

/// The lies that broke one relation alone.
#[derive(Default)]
struct Record {
    alone: BTreeMap<Relation, Vec<String>>,
    /// By what each check is, the lie that the verifier accepts without it.
    accepted: BTreeMap<Check, String>,
    /// Whether proofs are made.
    proves: bool,
}

impl Record {
    fn note(&mut self, name: impl Into<String>, deed: Deed<'_>) {
        let (name, broken) = (name.into(), deed.broken());
        match broken[..] {
            [] => panic!("{name} breaks nothing"),
            [one] => {
                self.prove(one, &name, &deed);
                self.alone.entry(one).or_default().push(name);
            }
            _ => {}
        }
    }
}

impl Record {
    /// The first lie about each check as a proof: refused, and accepted where both ends leave the check out.
    fn prove(&mut self, relation: Relation, name: &str, deed: &Deed<'_>) {
        let Constraint(index) = relation else {
            return;
        };
        let check = deed.argued().checks[index];
        if !self.proves || self.accepted.contains_key(&check) {
            return;
        }
        let refused = deed.order.verify(&deed.proof(Lie::Nowhere));
        assert_eq!(refused, REFUSED, "{name}");
        let proof = without(check, || deed.proof(Lie::Nowhere));
        let verdict = without(check, || deed.order.verify(&proof));
        assert_eq!(verdict, Ok(()), "{name}, without {check:?}");
        self.accepted.insert(check, name.into());
    }
}

/// The lies about messages that a hiding verifier accepts without one of its checks.
pub(super) fn accepted_without(profile: Profile) -> BTreeMap<Check, String> {
    let order = Order::new(4, profile);
    let mut record = Record {
        proves: true,
        ..Record::default()
    };
    plain_lies(&order, &mut record);
    values_lie(&order, &mut record);
    sponge_lies(&order, &mut record);
    record.accepted
}

/// An order, and a proof of it whose denominators' inverse is false by what a product of pads is committed
/// falsely: all holds, but that the product is none. `opening` lies about the products' proof.
pub(super) fn false_product(profile: Profile, opening: Lie) -> (Order, Vec<u8>) {
    let order = Order::new(4, profile);
    let argued = Deed::new(&order).argued();
    let mut checks = argued.checks.iter();
    let index = checks.position(|&c| c == Check::LookupInverse).unwrap();
    let terms = argued.relations.constraints[index].terms.iter();
    let product = terms
        .filter_map(|(term, _)| term.checked_sub(PRODUCTS))
        .next();
    let product = product.unwrap() as usize;
    let (_, inverse) = order.private().plan.hiding.products[product];
    let mut deed = Deed::new(&order);
    deed.product = Some(product);
    let deed = deed.fit(inverse as usize, Constraint(index));
    assert_eq!(deed.broken(), []);
    let proof = deed.proof(opening);
    drop(deed);
    (order, proof)
}

/// Every message and one element of every block, one at a time.
fn plain_lies(order: &Order, record: &mut Record) {
    let plan = &order.private().plan;
    for message in 0..plan.hiding.pads {
        record.note(format!("message {message}"), Deed::new(order).say(message));
    }
    for (stored, content) in plan.witness.stored.iter().zip(&plan.contents) {
        for block in stored.blocks() {
            let mut deed = Deed::new(order);
            deed.changed.push((block.offset, F::ONE));
            record.note(format!("committed {content:?}"), deed);
        }
    }
}

/// Outputs that are not what the messages are of; `of` places the messages of this model.
fn outputs_lie(order: &Order, record: &mut Record) {
    let other = |index: usize| {
        let mut other = order.again();
        other.masked[index] += 1;
        other
    };
    record.note("another sum", Deed::new(&other(15)));
    let order_1 = other(15);
    let deed = Deed::new(&order_1).fit(1, Constraint(18));
    record.note("another sum, its pad fitted", deed);
    let order_2 = other(18);
    record.note("another input returned", Deed::new(&order_2));
    let deed = Deed::new(&order_2).fit(2, Claim(2));
    record.note("another input returned, fitted", deed);
    // The commitment holds other pads than the output's.
    let mut of_other = order.again();
    let secret = InputSecret::from_bytes([99; 32]);
    let plan = &order.private().plan;
    let layout = plan.binding.as_ref().unwrap().layout.clone();
    let sponge = Sponge::new(&layout, &order.world.input(), &secret);
    of_other.commitment = crate::private::write_digest(&sponge.digest);
    let truth = order.witness().private.unwrap().pads;
    // The other outputs are masked by what the commitment holds.
    let p = i64::from(modulus());
    let pads = sponge.pads[1..].iter().flatten();
    let pads = pads.zip(truth[1..].iter().flatten());
    for (at, (&to, &from)) in (15..).zip(pads) {
        let by = i64::from((to - from).as_canonical_u32());
        of_other.masked[at] = ((i64::from(of_other.masked[at]) + by) % p) as i32;
    }
    let mut deed = Deed::new(&of_other);
    deed.committed.private = Some(sponge.clone());
    deed.walk.private = Some(sponge);
    deed.walk.private.as_mut().unwrap().pads[0] = truth[0].clone();
    record.note("pads of another secret", deed);
}

fn modulus() -> u32 {
    <F as p3_field::PrimeField32>::ORDER_U32
}

/// Values of which the lookups and the rest of the graph tell different stories.
fn values_lie(order: &Order, record: &mut Record) {
    let plan = &order.private().plan;
    let truth = order.witness();
    let changed = |value: usize, by: i32| {
        let mut changed = truth.values[value].to_vec();
        changed[3.min(truth.values[value].len() - 1)] += by;
        changed
    };
    let [of_shift, of_input] = tables(plan);
    let mut deed = Deed::new(order);
    for w in [&mut deed.lookups, &mut deed.committed] {
        w.counts[1][2] += 1;
    }
    record.note("false multiplicity", deed);
    record.note(
        "numerators of the tables",
        Deed::new(order).say(155).fit(156, Constraint(12)),
    );
    record.note(
        "numerators of the columns",
        Deed::new(order).say(157).fit(158, Constraint(12)),
    );
    for (limb, &table) in of_shift.iter().enumerate() {
        let mut deed = Deed::new(order);
        let by = step(truth.shifts[0][limb][3]);
        for w in [&mut deed.lookups, &mut deed.walk, &mut deed.committed] {
            recount(&mut w.shifts[0][limb], 3, by, &mut w.counts[table]);
        }
        record.note(format!("limb {limb} of the shift"), deed);
    }
    for (limb, &table) in of_input.iter().enumerate() {
        let mut deed = Deed::new(order);
        let by = step(truth.inputs[0][limb][3]);
        for w in [&mut deed.lookups, &mut deed.walk, &mut deed.committed] {
            recount(&mut w.inputs[0][limb], 3, by, &mut w.counts[table]);
        }
        record.note(format!("limb {limb} of the input"), deed);
    }
    // The first input: another value, one greater, is looked up, with all its limbs.
    let low = |i: usize| {
        let fits = |column: &Vec<i32>, table: usize, by: i32| {
            let next = column[i] + by;
            next >= 0 && (next as usize) < truth.counts[table].len()
        };
        fits(&truth.remainders[0][0], plan.lookups[0].limbs[0].table, 1)
            && fits(&truth.shifts[0][0], of_shift[0], 1)
            && fits(&truth.inputs[0][0], of_input[0], 1)
            && fits(&truth.inputs[0][3], of_input[3], -1)
    };
    let i = (0..15).find(|&i| low(i)).unwrap();
    let mut greater = truth.values[0].to_vec();
    greater[i] += 1;
    let mut deed = Deed::new(order);
    deed.lookups.values[0] = &greater;
    for w in [&mut deed.lookups, &mut deed.walk, &mut deed.committed] {
        let table = plan.lookups[0].limbs[0].table;
        recount(&mut w.remainders[0][0], i, 1, &mut w.counts[table]);
        recount(&mut w.shifts[0][0], i, 1, &mut w.counts[of_shift[0]]);
        recount(&mut w.inputs[0][0], i, 1, &mut w.counts[of_input[0]]);
        recount(&mut w.inputs[0][3], i, -1, &mut w.counts[of_input[3]]);
    }
    record.note("another first input looked up", deed);
    // The second input.
    let other = changed(1, step(truth.values[1][2]));
    let InputCheck::Table { table, .. } = plan.inputs[1].check else {
        panic!("a small range is a table");
    };
    let mut deed = Deed::new(order);
    deed.lookups.values[1] = &other;
    let row = |x: i32| (x - plan.inputs[1].lo) as usize;
    for w in [&mut deed.lookups, &mut deed.walk, &mut deed.committed] {
        w.counts[table][row(truth.values[1][2])] -= 1;
        w.counts[table][row(other[2])] += 1;
    }
    record.note("another second input looked up", deed);
    // A product of another factor, and masked as that comes out.
    let p = i64::from(modulus());
    let add = |masked: &mut Vec<i32>, at: usize, by: i64| {
        masked[at] = (i64::from(masked[at]) + by).rem_euclid(p) as i32;
    };
    let by = step(truth.values[2][3]);
    let other = changed(2, by);
    let mut of_product = order.again();
    add(
        &mut of_product.masked,
        3,
        i64::from(by) * i64::from(truth.values[3][3]),
    );
    let mut deed = Deed::new(&of_product);
    deed.walk.values[2] = &other;
    record.note("another factor", deed);
    let mut deed = Deed::new(&of_product);
    deed.walk.values[2] = &other;
    deed.committed.values[2] = &other;
    record.note("another factor, committed", deed);
    for limb in [1, 2] {
        for weight in (0..20).map(|bits| 1i32 << bits) {
            let by = step(truth.shifts[0][limb][3]);
            let other = changed(3, by * weight);
            let mut of_product = order.again();
            let product = i64::from(by * weight) * i64::from(truth.values[2][3]);
            add(&mut of_product.masked, 3, product);
            let mut deed = Deed::new(&of_product);
            deed.walk.values[3] = &other;
            for w in [&mut deed.walk, &mut deed.committed] {
                w.shifts[0][limb][3] += by;
            }
            if !deed.broken().contains(&Constraint(21)) {
                record.note(format!("limb {limb} of the quotient, committed"), deed);
            }
            let lie = || {
                let mut deed = Deed::new(&of_product);
                deed.walk.values[3] = &other;
                deed
            };
            if weight == 1 {
                record.note("a quotient that is not of its limbs", lie());
            }
            let deed = lie().fit([196, 197][limb - 1], Constraint(21));
            record.note(format!("limb {limb} of another quotient"), deed);
        }
    }
    // A sum over another operand.
    let other = changed(1, 1);
    let mut of_sum = order.again();
    let at = other.iter().zip(truth.values[1]).position(|(a, b)| a != b);
    for column in 0..2 {
        let w = truth.values[5][2 * at.unwrap() + column];
        add(&mut of_sum.masked, 15 + column, w.into());
    }
    let mut sums = truth.values[8].to_vec();
    for (column, sum) in sums.iter_mut().enumerate() {
        *sum += truth.values[5][2 * at.unwrap() + column];
    }
    let mut deed = Deed::new(&of_sum);
    deed.walk.values[1] = &other;
    deed.walk.values[8] = &sums;
    record.note("a sum over another operand", deed.fit(2, Claim(3)));
}

/// Lies about the commitment to the inputs.
fn sponge_lies(order: &Order, record: &mut Record) {
    let plan = &order.private().plan;
    let layout = plan.binding.as_ref().unwrap().layout.clone();
    let permutations = 1 << layout.permutations;
    let mut deed = Deed::new(order);
    let last = permutations - 1;
    deed.committed.private.as_mut().unwrap().capacities[last] += F::ONE;
    record.note("the last capacity", deed);
    let mut deed = Deed::new(order);
    deed.walk.private.as_mut().unwrap().cubed[5] += F::ONE;
    let deed = deed.fit(198, Linear(0));
    let deed = deed.fit(235, Linear(1)).fit(236, Constraint(23));
    record.note("a false square", deed);
    // All that is linear holds: only the last cube of the sponge is none.
    let mut sponge = Sponge::new(&layout, &order.world.input(), &order.secret);
    sponge.cubes[112 * permutations + last] += F::ONE;
    let mut column = [F::ZERO; 16];
    column[0] = F::ONE;
    type Layers = p3_koala_bear::GenericPoseidon2LinearLayersKoalaBear;
    <Layers as p3_poseidon2::GenericPoseidon2LinearLayers<16>>::external_linear_layer(&mut column);
    for lane in 0..8 {
        sponge.digest[lane] += column[lane];
        sponge.capacities[lane * permutations + last] += column[8 + lane];
    }
    let mut other = order.again();
    other.commitment = crate::private::write_digest(&sponge.digest);
    record.note("another digest", Deed::new(&other));
    let mut deed = Deed::new(&other);
    deed.committed.private = Some(sponge.clone());
    record.note("a false cube, committed", deed);
    let mut deed = Deed::new(&other);
    deed.walk.private = Some(sponge.clone());
    deed.committed.private = Some(sponge);
    record.note("a false cube", deed);
}

of_every_profile![for_every_relation_there_is_a_lie_that_only_this_relation_refuses];

fn for_every_relation_there_is_a_lie_that_only_this_relation_refuses(profile: Profile) {
    let order = Order::new(4, profile);
    let deed = Deed::new(&order);
    assert_eq!(deed.broken(), [], "the truth");
    let all: Vec<Relation> = deed.values().into_keys().collect();
    let mut record = Record::default();
    plain_lies(&order, &mut record);
    outputs_lie(&order, &mut record);
    values_lie(&order, &mut record);
    sponge_lies(&order, &mut record);
    for relation in &all {
        let lies = record.alone.get(relation).map_or(&[][..], |l| l);
        println!("{relation:?}: {} lies, {:?}", lies.len(), lies.first());
    }
    let survives = |r: &Relation| !record.alone.contains_key(r);
    let survivors: Vec<Relation> = all.iter().copied().filter(survives).collect();
    assert_eq!(survivors, [], "of {}", all.len());
}
