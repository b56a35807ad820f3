//! Mutation of the whole verifier: each of its checks is left out, and a lie of the kit is then accepted.
//!
//! A lie is refused by the verifier as it is. Leaving out one check, the same bytes pass: so that check alone
//! stands between this lie and acceptance. Of a hiding proof a relation is left out at both ends, since the
//! prover shows what the verifier demands. What no lie gets past is listed with the reason, and the list is
//! exact. That every refusal is such a check is read off the source.

use std::collections::BTreeMap;

use super::*;
use crate::checks::Check;
use crate::checks::switches::{listing, without};
use crate::proof::{BatchProof, Instance, batch_seed, encode_batch};
use crate::{BatchStatement, Mode, max_batch, verify_batch};

/// Checks that no lie needs, and why they are there.
const SURVIVORS: [(Check, &str); 5] = [
    (
        Check::Length,
        "bounds the work of refusing; what is longer has bytes after its end, which `Trailing` refuses",
    ),
    (
        Check::Room,
        "refuses before an allocation; each element that is read is refused where bytes end",
    ),
    (
        Check::Siblings,
        "refuses before an allocation; siblings that no path needs are refused by the commitment",
    ),
    (
        Check::Unread,
        "the decoder reads as many messages as the plan has, and the same plan reads them",
    ),
    (
        Check::Numbering,
        "pads and products are numbered by the plan, by the same code that the verifier runs",
    ),
];

/// Which lies each check alone refuses.
#[derive(Default)]
struct Kit {
    told: usize,
    killed: BTreeMap<Check, Vec<String>>,
    /// Lies that are accepted, and such that are refused by more than was said.
    faults: Vec<String>,
}

impl Kit {
    /// A lie of which any check may be the one that refuses it.
    fn tell(&mut self, name: &str, judge: impl Fn() -> Result<(), VerifyError>) {
        self.told += 1;
        match judge() {
            Ok(()) => self.faults.push(format!("{name}: accepted")),
            Err(VerifyError::Internal) => self.faults.push(format!("{name}: internal")),
            Err(_) => {}
        }
        let (passed, failed) = listing(&judge);
        let mut failed = failed.into_iter();
        if let (Ok(()), Some(check), None) = (passed, failed.next(), failed.next()) {
            self.refused_by(check, name, judge);
        }
    }

    /// A lie that this check alone refuses.
    fn refused_by(
        &mut self,
        check: Check,
        name: &str,
        judge: impl Fn() -> Result<(), VerifyError>,
    ) {
        let (whole, lacking) = (judge(), without(check, judge));
        if whole.is_ok() || lacking.is_err() {
            let fault = format!("{name}: {whole:?}, without {check:?}: {lacking:?}");
            self.faults.push(fault);
            return;
        }
        self.killed.entry(check).or_default().push(name.into());
    }
}

/// A public run, and what a prover says of it.
struct Tale<'a> {
    world: &'a World,
    input: Vec<i32>,
    output: Vec<i32>,
    statement: Statement,
    /// What the outputs, the lookups and the rest are argued by.
    parts: [Witness<'a>; 3],
    committed: Witness<'a>,
    /// Messages that are false.
    messages: Vec<usize>,
}

impl<'a> Tale<'a> {
    /// The truth, by a trace that may be none.
    fn of(world: &'a World, trace: &'a Trace) -> Self {
        let witness = || world.pk.witness(trace).unwrap();
        let (input, output) = (world.input(), output_of(&world.model, trace));
        Self {
            statement: statement(world.vk(), Inputs::Public(&input), &output, &CONTEXT),
            parts: [witness(), witness(), witness()],
            committed: witness(),
            messages: Vec::new(),
            world,
            input,
            output,
        }
    }

    fn true_of(world: &'a World) -> Self {
        Self::of(world, &world.trace)
    }

    /// Says these outputs.
    fn says(mut self, output: Vec<i32>) -> Self {
        let input = Inputs::Public(&self.input);
        self.statement = statement(self.world.vk(), input, &output, &CONTEXT);
        self.output = output;
        self
    }

    /// The rest of one run's part of a proof.
    fn argue(self, mut transcript: Transcript, roots: bool) -> Argument {
        let pk = &self.world.pk;
        let plan = pk.vk.plan();
        let (root, data) = pk.witness.commit(self.committed.stack(plan));
        if roots {
            for (scheme, root) in pk.weights.iter().zip(pk.vk.roots()) {
                scheme.observe(root, &mut transcript);
            }
            observe(&root, &mut transcript);
        }
        // What would be pads makes messages false.
        let mut by = vec![E::ZERO; plan.elements];
        self.messages.iter().for_each(|&i| by[i] = E::TWO);
        let [outputs, lookups, walk] = &self.parts;
        let mut run = Run::new(plan, outputs, ProverChannel::over(transcript, by));
        run.outputs();
        run.witness = lookups;
        run.lookups(&lookups.stack(plan));
        run.witness = walk;
        run.walk(&|_, _| {});
        let (channel, claims) = run.finish();
        let mut transcript = channel.transcript;
        let opening = pk.witness.prove(&data, &claims.witness, &mut transcript);
        let instance = Instance {
            statement: self.statement,
            root,
            elements: channel.sent,
            witness: WitnessOpening::Plain(Box::new(opening.unwrap())),
        };
        (instance, claims.weights, transcript)
    }

    fn proof(self) -> Proof {
        let pk = &self.world.pk;
        let transcript = Transcript::new(&self.statement.transcript_seed());
        let (instance, claims, mut transcript) = self.argue(transcript, true);
        Proof {
            statement: instance.statement,
            root: instance.root,
            elements: instance.elements,
            witness: instance.witness,
            weights: open_weights(pk, &claims, &mut transcript).unwrap(),
        }
    }

    /// Tells it.
    fn tell(self, kit: &mut Kit, name: &str) {
        let (world, input, output) = (self.world, self.input.clone(), self.output.clone());
        let proof = encode(&self.proof());
        kit.tell(name, || {
            verify(world.vk(), &input, &output, &CONTEXT, &proof)
        });
    }
}

/// One run's part of a proof, the points of the weights, the transcript after it.
type Argument = (Instance, Vec<Vec<(usize, Vec<E>)>>, Transcript);

/// A proof of several public runs, each of the true input.
fn batch(tales: Vec<Tale<'_>>) -> BatchProof {
    let pk = &tales[0].world.pk;
    let plan = pk.vk.plan();
    let stated: Vec<&Statement> = tales.iter().map(|t| &t.statement).collect();
    let mut transcript = Transcript::new(&batch_seed(&stated));
    for (scheme, root) in pk.weights.iter().zip(pk.vk.roots()) {
        scheme.observe(root, &mut transcript);
    }
    for tale in &tales {
        let (root, _) = pk.witness.commit(tale.committed.stack(plan));
        observe(&root, &mut transcript);
    }
    let mut instances = Vec::new();
    let mut claims = vec![Vec::new(); pk.weights.len()];
    for tale in tales {
        let (instance, of_weights, next) = tale.argue(transcript, false);
        transcript = next;
        instances.push(instance);
        for (all, new) in claims.iter_mut().zip(of_weights) {
            all.extend(new);
        }
    }
    let weights = open_weights(pk, &claims, &mut transcript).unwrap();
    BatchProof { instances, weights }
}

/// Lies in what surrounds the messages.
fn lies_of_bytes(kit: &mut Kit, profile: Profile) {
    let world = &small_of(profile);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut proof = world.proof.clone();
        change(&mut proof);
        proof
    };
    for (name, at) in [("magic", 0), ("version", 4), ("profile", 5)] {
        let proof = changed(&|proof| proof[at] ^= 8);
        kit.tell(name, || world.verify(&proof));
    }
    assert!(world.proof.len() < world.vk().max_proof_len());
    let proof = changed(&|proof| proof.push(0));
    kit.tell("a byte more", || world.verify(&proof));
    let proof = changed(&|proof| {
        let word = u32::from_le_bytes(proof[166..170].try_into().unwrap());
        proof[166..170].copy_from_slice(&(word + modulus()).to_le_bytes());
    });
    kit.tell("another encoding of an element", || world.verify(&proof));
    for (name, change) in [
        ("model", (|s| s.model[0] ^= 1) as fn(&mut Statement)),
        ("input", |s| s.input[0] ^= 1),
        ("output", |s| s.output[0] ^= 1),
        ("context", |s| s.context[0] ^= 1),
    ] {
        let mut tale = Tale::true_of(world);
        change(&mut tale.statement);
        tale.tell(kit, &format!("said to be of another {name}"));
    }
    // An element that the graph has no output for.
    let tale = Tale::true_of(world);
    let output = [&world.output()[..], &[0]].concat();
    tale.says(output).tell(kit, "an output too long");
    // An input outside the range, and what the model makes of it.
    let model = |hi: i32| {
        let mut b = Builder::new(vec![input(&[1, 4], 0, hi)]);
        let v = b.combine(&[(0, 3)], 1).unwrap();
        // Rounds the excess away, so that the output is in its range.
        let y = b.lookup(v, 4, clamp(-100, 100)).unwrap();
        finish(b, &[y])
    };
    let narrow = World::with(model(10), 3, profile);
    let trace = reference::trace(&model(20), &[11, 2, 3, 4]).unwrap();
    let mut tale = Tale::of(&narrow, &trace);
    tale.input = trace.values[0].clone();
    let output = tale.output.clone();
    tale.says(output).tell(kit, "an input out of range");
}

fn lies_of_batches(kit: &mut Kit, profile: Profile) {
    let world = &small_of(profile);
    let (input, output) = (world.input(), world.output());
    let said = BatchStatement {
        inputs: Inputs::Public(&input),
        output: &output,
    };
    let judge = |said: &[BatchStatement<'_>], proof: &BatchProof| {
        verify_batch(world.vk(), said, &CONTEXT, &encode_batch(proof))
    };
    let proof = batch(vec![Tale::true_of(world), Tale::true_of(world)]);
    assert_eq!(judge(&[said, said], &proof), Ok(()));
    // The parts of two runs exchanged under each other's names.
    let mut random = Random::of_kit(18);
    let other = random.values(input.len(), 0, 127);
    let trace = reference::trace(&world.model, &other).unwrap();
    let of_other = output_of(&world.model, &trace);
    let mut second = Tale::of(world, &trace);
    second.input = other.clone();
    let both = vec![Tale::true_of(world), second.says(of_other.clone())];
    let pair = [
        said,
        BatchStatement {
            inputs: Inputs::Public(&other),
            output: &of_other,
        },
    ];
    let mut two = batch(both);
    assert_eq!(judge(&pair, &two), Ok(()));
    two.instances.swap(0, 1);
    kit.tell("runs in another order", || judge(&pair, &two));
    let [first, second] = &mut two.instances[..] else {
        unreachable!("two runs")
    };
    std::mem::swap(&mut first.statement, &mut second.statement);
    kit.tell("runs under each other's names", || judge(&pair, &two));
    two.instances.swap(0, 1);
    let [first, second] = &mut two.instances[..] else {
        unreachable!("two runs")
    };
    std::mem::swap(&mut first.statement, &mut second.statement);
    std::mem::swap(&mut first.witness, &mut second.witness);
    kit.tell("openings of each other's runs", || judge(&pair, &two));
    let mut bytes = encode_batch(&proof);
    bytes[6] += 1;
    kit.tell("another number of runs", || {
        verify_batch(world.vk(), &[said, said], &CONTEXT, &bytes)
    });
    // Of a committed input that the run knows nothing of.
    let residues = output
        .iter()
        .map(|&x| i64::from(x).rem_euclid(modulus().into()) as i32);
    let residues: Vec<i32> = residues.collect();
    let committed = Inputs::Private(&[0; 32]);
    let mut tale = Tale::true_of(world);
    tale.statement = statement(world.vk(), committed, &residues, &CONTEXT);
    tale.statement.mode = Mode::Public;
    let proof = batch(vec![Tale::true_of(world), tale]);
    let mixed = BatchStatement {
        inputs: committed,
        output: &residues,
    };
    kit.tell("a private run among public ones", || {
        judge(&[said, mixed], &proof)
    });
    let runs = max_batch(world.vk(), Mode::Public) + 1;
    let proof = batch((0..runs).map(|_| Tale::true_of(world)).collect());
    kit.tell("too many runs", || judge(&vec![said; runs], &proof));
}

/// Public models that between them have every step of the walk.
fn models() -> Vec<(&'static str, Model)> {
    let mut all = vec![("limbs and products", model())];
    // Elements that move between axes.
    let mut b = Builder::new(vec![input(&[3, 5], -90, 90)]);
    let x = b.lookup(0, 1, clamp(-20, 40)).unwrap();
    let flat = b.reshape(x, shape(&[15])).unwrap();
    all.push(("moved", finish(b, &[flat])));
    // A product that is read twice, at two points.
    let mut b = Builder::new(vec![input(&[4, 4], -9, 9)]);
    let square = b.mul(0, 0).unwrap();
    let cube = b.mul(square, 0).unwrap();
    let z = b.lookup(square, 4, clamp(-40, 40)).unwrap();
    all.push(("merged", finish(b, &[cube, z])));
    // A value and a view of it, looked up at one point.
    let mut b = Builder::new(vec![input(&[4, 4], -9, 9)]);
    let v = b.combine(&[(0, 3)], 1).unwrap();
    let flat = b.reshape(v, shape(&[16])).unwrap();
    let y = b.lookup(v, 1, clamp(-30, 30)).unwrap();
    let z = b.lookup(flat, 2, clamp(-30, 30)).unwrap();
    all.push(("passed on", finish(b, &[y, z])));
    // Two layers, and one output told twice.
    all.push(("layers", mlp(1, &[8, 16, 10], 1)));
    let mut b = Builder::new(vec![input(&[1], -9, 9)]);
    let y = b.lookup(0, 1, clamp(-20, 40)).unwrap();
    all.push(("told twice", finish(b, &[y, y])));
    all
}

/// Every message false by itself, then every value, limb and multiplicity, in every part of the argument.
fn lies_of_messages(kit: &mut Kit, profile: Profile) {
    let mut random = Random::of_kit(17);
    for (name, model) in models() {
        let world = &World::with(model, 4, profile);
        let honest = Tale::true_of(world).proof();
        assert_eq!(world.verify(&encode(&honest)), Ok(()), "{name}");
        let messages = honest.elements.len();
        // Some are sent in the open: those have no false twin, and the proof is the true one.
        for message in (0..messages).step_by(1 + messages / 150) {
            let mut tale = Tale::true_of(world);
            tale.messages = vec![message];
            let proof = tale.proof();
            if proof.elements != honest.elements {
                let proof = encode(&proof);
                kit.tell(&format!("{name}: message {message}"), || {
                    world.verify(&proof)
                });
            }
        }
        for value in 0..world.trace.values.len() {
            lies_of_a_value(kit, world, name, value, &mut random);
        }
        lies_of_limbs(kit, world, name);
        lies_of_openings(kit, world, name);
    }
}

/// Element `at` of a value is another, in some of the parts: bits 0 to 3 of `where_`.
fn lies_of_a_value(kit: &mut Kit, world: &World, name: &str, value: usize, random: &mut Random) {
    let truth = world.pk.witness(&world.trace).unwrap().values[value].to_vec();
    let mut changed = truth.clone();
    let at = random.between(0, changed.len() as i64 - 1) as usize;
    changed[at] += if changed[at] > 0 { -1 } else { 1 };
    for places in 1..16 {
        for told in [false, true] {
            let mut tale = Tale::true_of(world);
            let [outputs, lookups, walk] = &mut tale.parts;
            let all = [outputs, lookups, walk, &mut tale.committed];
            for (place, part) in all.into_iter().enumerate() {
                if places >> place & 1 == 1 {
                    part.values[value] = &changed;
                }
            }
            if told {
                let outputs = world.model.graph.outputs.iter();
                let said = outputs.flat_map(|o| match o.value as usize == value {
                    true => changed.clone(),
                    false => tale.parts[2].values[o.value as usize].to_vec(),
                });
                let said: Vec<i32> = said.collect();
                tale = tale.says(said);
            }
            let (input, output) = (tale.input.clone(), tale.output.clone());
            let proof = encode(&tale.proof());
            // Nothing reads some elements, and constants are not the prover's.
            if proof == world.proof {
                continue;
            }
            let judge = || verify(world.vk(), &input, &output, &CONTEXT, &proof);
            kit.tell(
                &format!("{name}: value {value} in {places:04b}, {told}"),
                judge,
            );
        }
    }
}

fn lies_of_limbs(kit: &mut Kit, world: &World, name: &str) {
    let plan = world.vk().plan();
    let tell = |kit: &mut Kit, what: &str, change: &dyn Fn(&mut Witness<'_>)| {
        for places in [0b111, 0b001, 0b110, 0b100] {
            let mut tale = Tale::true_of(world);
            let [_, lookups, walk] = &mut tale.parts;
            let all = [lookups, walk, &mut tale.committed];
            for (place, part) in all.into_iter().enumerate() {
                if places >> place & 1 == 1 {
                    change(part);
                }
            }
            tale.tell(kit, &format!("{name}: {what} in {places:03b}"));
        }
    };
    for (table, _) in plan.tables.iter().enumerate() {
        tell(kit, "multiplicity", &|w| w.counts[table][1] += 1);
    }
    for (i, lookup) in plan.lookups.iter().enumerate() {
        for (limb, of) in lookup.limbs.iter().enumerate() {
            tell(kit, "remainder", &|w| {
                let by = step(w.remainders[i][limb][0]);
                recount(&mut w.remainders[i][limb], 0, by, &mut w.counts[of.table]);
            });
        }
    }
    for (i, shift) in plan.shifts.iter().enumerate() {
        for (limb, of) in shift.remainder.iter().chain(&shift.quotient).enumerate() {
            tell(kit, "limb of a shift", &|w| {
                let by = step(w.shifts[i][limb][0]);
                recount(&mut w.shifts[i][limb], 0, by, &mut w.counts[of.table]);
            });
        }
    }
}

/// An element of a column of limbs is another, and counted as it is.
fn recount(column: &mut [i32], at: usize, by: i32, counts: &mut [u32]) {
    counts[column[at] as usize] -= 1;
    column[at] += by;
    counts[column[at] as usize] += 1;
}

fn step(value: i32) -> i32 {
    if value > 0 { -1 } else { 1 }
}

/// Lies in the openings of plain commitments.
fn lies_of_openings(kit: &mut Kit, world: &World, name: &str) {
    let honest = Tale::true_of(world).proof();
    let judge = |proof: &Proof| world.verify(&encode(proof));
    let of_witness = |change: fn(&mut crate::opening::plain::PlainOpening)| {
        let mut proof = honest.clone();
        if let WitnessOpening::Plain(opening) = &mut proof.witness {
            change(opening);
        }
        proof
    };
    let proof = of_witness(|opening| opening.value += E::ONE);
    kit.tell(&format!("{name}: opened value"), || judge(&proof));
    let proof = of_witness(|opening| opening.messages[0][1] += E::ONE);
    kit.tell(&format!("{name}: message of the opening"), || judge(&proof));
    let sibling = |opening: &mut crate::opening::plain::PlainOpening| match &mut opening
        .whir
        .whir
        .final_openings
    {
        p3_whir::QueryOpenings::Base(o) => o.proof.sibling_hashes[0][0] ^= 1,
        p3_whir::QueryOpenings::Extension(o) => o.proof.sibling_hashes[0][0] ^= 1,
    };
    let proof = of_witness(sibling);
    let what = format!("{name}: Merkle sibling of the witness");
    kit.tell(&what, || judge(&proof));
    if honest.weights.is_empty() {
        // Else the weights' challenges follow from the whole opening.
        kit.refused_by(Check::WitnessOpening, &what, || judge(&proof));
    }
    let surplus = of_witness(|opening| match &mut opening.whir.whir.final_openings {
        p3_whir::QueryOpenings::Base(o) => o.proof.sibling_hashes.push([7; 32]),
        p3_whir::QueryOpenings::Extension(o) => o.proof.sibling_hashes.push([7; 32]),
    });
    kit.tell(&format!("{name}: a surplus sibling"), || judge(&surplus));
    if honest.weights.is_empty() {
        return;
    }
    let mut proof = honest.clone();
    sibling(&mut proof.weights[0]);
    let what = format!("{name}: Merkle sibling of the weights");
    kit.tell(&what, || judge(&proof));
    kit.refused_by(Check::WeightOpening, &what, || judge(&proof));
}

/// The true product with other weights: what is claimed of the weights is not what they open to.
fn lies_of_weights(kit: &mut Kit, profile: Profile) {
    let world = &small_of(profile);
    let other_model = mlp(1, &[8, 16, 10], 78);
    let mut swapped = setup_with(&other_model, profile).unwrap();
    let trace = reference::trace(&other_model, &world.input()).unwrap();
    let output = output_of(&other_model, &trace);
    let claim = statement(
        world.vk(),
        Inputs::Public(&world.input()),
        &output,
        &CONTEXT,
    );
    // The commitment that is opened is the key's own: only the values are others.
    let own = setup_with(&world.model, profile).unwrap();
    (swapped.vk, swapped.data) = (own.vk, own.data);
    let witness = swapped.witness(&trace).unwrap();
    let proof = encode(&prove_witness(&swapped, claim, &witness).unwrap());
    kit.tell("weights of another model", || {
        verify(world.vk(), &world.input(), &output, &CONTEXT, &proof)
    });
}

/// A false activation of which all but the sum before it is true.
fn lies_of_sums(kit: &mut Kit, profile: Profile) {
    let world = &World::with(mlp(1, &[8, 10], 1), 2, profile);
    let lookup = world.vk().plan().lookups[0].clone();
    let mut trace = world.trace.clone();
    let v = &mut trace.values[lookup.input as usize][0];
    *v += if *v > 0 { -400_000 } else { 400_000 };
    let (u, _) = crate::witness::split(*v, lookup.shift);
    trace.values[lookup.value as usize][0] = u.clamp(-128, 127) as i32;
    assert_ne!(trace.values, world.trace.values);
    Tale::of(world, &trace).tell(kit, "another sum");
    // The run of another input, said to be of this one.
    let mut input = world.input();
    input[2] = (input[2] + 1) % 128;
    let trace = reference::trace(&world.model, &input).unwrap();
    Tale::of(world, &trace).tell(kit, "another input");
    // A view that is not of its operand, looked up as it is.
    let (_, passed) = models().swap_remove(3);
    let world = &World::with(passed, 2, profile);
    let mut trace = world.trace.clone();
    let lookups = &world.vk().plan().lookups;
    let lookup = lookups.iter().find(|l| l.shift == 2).unwrap();
    let flat = &mut trace.values[lookup.input as usize][3];
    *flat += 4 * step(*flat);
    let (u, _) = crate::witness::split(*flat, 2);
    trace.values[lookup.value as usize][3] = u.clamp(-30, 30) as i32;
    Tale::of(world, &trace).tell(kit, "another view");
    // A tensor that is told twice, differently.
    let (_, twice) = models().pop().unwrap();
    let world = &World::with(twice, 2, profile);
    let mut output = world.output();
    output[1] += step(output[1]);
    let tale = Tale::true_of(world).says(output);
    tale.tell(kit, "an output told twice, once falsely");
}

/// Leaves, salts and Merkle paths of a hiding commitment.
fn lies_of_leaves(kit: &mut Kit, order: &Order) {
    let (honest, _) = order.prove(5, |_| {}, &TRUTH);
    let vk = order.world.vk();
    let Private { plan, scheme } = order.private();
    let weights = vk.weight_schemes().iter().map(|s| s.whir().config());
    let config = crate::proof::WitnessConfig::Hiding(scheme.config());
    let decoded = crate::proof::decode(&honest, plan.elements, vk.profile(), config, weights);
    let decoded = decoded.unwrap_or_else(|e| panic!("{e:?}"));
    let mut lie = |name: &str, change: &dyn Fn(&mut crate::opening::masked::MaskedOpening)| {
        let mut proof = decoded.clone();
        if let WitnessOpening::Hiding(opening) = &mut proof.witness {
            change(&mut opening.whir);
        }
        let proof = encode(&proof);
        assert_ne!(proof, honest, "{name}");
        kit.tell(name, || order.verify(&proof));
        if name == "last leaf" {
            // All challenges of the weights follow from what comes before it.
            kit.refused_by(Check::WitnessOpening, name, || order.verify(&proof));
        }
    };
    lie(
        "leaf of the commitment",
        &|o| match &mut o.base_case.source_openings {
            p3_whir::QueryOpenings::Base(o) => o.rows[0][0] += F::ONE,
            p3_whir::QueryOpenings::Extension(o) => o.rows[0][0] += E::ONE,
        },
    );
    lie(
        "leaf salt of the commitment",
        &|o| match &mut o.base_case.source_openings {
            p3_whir::QueryOpenings::Base(o) => o.proof.0[0][0][0] += F::ONE,
            p3_whir::QueryOpenings::Extension(o) => o.proof.0[0][0][0] += F::ONE,
        },
    );
    lie(
        "Merkle sibling of the commitment",
        &|o| match &mut o.base_case.source_openings {
            p3_whir::QueryOpenings::Base(o) => o.proof.1.sibling_hashes[0][0] ^= 1,
            p3_whir::QueryOpenings::Extension(o) => o.proof.1.sibling_hashes[0][0] ^= 1,
        },
    );
    lie(
        "surplus Merkle sibling",
        &|o| match &mut o.base_case.source_openings {
            p3_whir::QueryOpenings::Base(o) => o.proof.1.sibling_hashes.push([7; 32]),
            p3_whir::QueryOpenings::Extension(o) => o.proof.1.sibling_hashes.push([7; 32]),
        },
    );
    lie("root of the fresh mask", &|o| {
        let mut root = o.base_case.fresh_main_commitment.roots()[0];
        root[0] ^= 1;
        o.base_case.fresh_main_commitment = p3_merkle_tree::MerkleCap::new(vec![root]);
    });
    lie("blinded message", &|o| {
        o.base_case.blinded_message[0] += E::ONE
    });
    lie("blinded randomness", &|o| {
        o.base_case.blinded_randomness[0] += E::ONE;
    });
    lie("blinded mask", &|o| {
        o.base_case.blinded_masks[0].message[0] += E::ONE;
    });
    lie("masked claim", &|o| o.base_case.masked_claim += E::ONE);
    lie("sum of a mask", &|o| o.sumchecks[0].mu_tilde += E::ONE);
    lie("salt of a mask", &|o| {
        o.base_case.mask_openings[0].carried.proof.0[0][0][0] += F::ONE;
    });
    lie("leaf of a fresh mask", &|o| {
        o.base_case.mask_openings[0].fresh.rows[0][0] += E::ONE;
    });
    lie("last leaf", &|o| {
        let last = o.base_case.mask_openings.last_mut().unwrap();
        last.fresh.rows[0][0] += E::ONE;
    });
}

/// What surrounds the relations of a hiding proof.
fn lies_of_orders(kit: &mut Kit, profile: Profile) {
    let mut order = Order::new(21, profile);
    order.masked.push(0);
    let (proof, _) = order.prove(3, |_| {}, &TRUTH);
    kit.tell("a masked output too long", || order.verify(&proof));
    let mut order = Order::new(22, profile);
    let (words, _) = order.commitment.as_chunks_mut::<4>();
    words[0] = (u32::from_le_bytes(words[0]) + modulus()).to_le_bytes();
    let (proof, _) = order.prove(3, |_| {}, &TRUTH);
    kit.tell("another encoding of the commitment", || {
        order.verify(&proof)
    });
    let order = Order::new(23, profile);
    let lie = |opening| {
        let plot = Plot { opening, ..TRUTH };
        order.prove(5, |_| {}, &plot).0
    };
    let proof = lie(Lie::Sigma);
    kit.tell("the sum of the blinds", || order.verify(&proof));
    let plot = Plot {
        message: Some(7),
        opening: Lie::FittingBlinded,
        ..TRUTH
    };
    let (proof, _) = order.prove(6, |_| {}, &plot);
    kit.tell("blinded pads that fit a false message", || {
        order.verify(&proof)
    });
    lies_of_leaves(kit, &order);
    // At both ends, since the opening shows what is demanded.
    for (check, opening) in [
        (Check::FirstFactor, Lie::FittingFactor(0)),
        (Check::SecondFactor, Lie::FittingFactor(1)),
        (Check::FactorsProduct, Lie::Nowhere),
    ] {
        let (order, proof) = without(check, || necessary::false_product(profile, opening));
        kit.refused_by(check, "a false product of pads", || order.verify(&proof));
    }
}

fn modulus() -> u32 {
    <F as p3_field::PrimeField32>::ORDER_U32
}

of_every_profile![every_check_is_needed_by_a_lie_or_listed_with_its_reason];

fn every_check_is_needed_by_a_lie_or_listed_with_its_reason(profile: Profile) {
    let mut kit = Kit::default();
    lies_of_bytes(&mut kit, profile);
    lies_of_batches(&mut kit, profile);
    lies_of_messages(&mut kit, profile);
    lies_of_weights(&mut kit, profile);
    lies_of_sums(&mut kit, profile);
    lies_of_orders(&mut kit, profile);
    // Relations that only private inputs have.
    let relations = necessary::accepted_without(profile);
    let mut told = 0;
    for (check, name) in relations {
        told += 1;
        kit.killed.entry(check).or_default().push(name);
    }
    for check in Check::ALL {
        let lies = kit.killed.get(check).map_or(&[][..], |l| l);
        println!("{check:?}: {} lies, {:?}", lies.len(), lies.first());
    }
    println!("{} public lies, {told} private ones", kit.told);
    let survives = |check: &&Check| !kit.killed.contains_key(check);
    let survivors: Vec<Check> = Check::ALL.iter().filter(survives).copied().collect();
    assert_eq!(kit.faults, Vec::<String>::new());
    let listed = SURVIVORS.map(|(check, _)| check);
    assert_eq!(survivors, listed);
}
