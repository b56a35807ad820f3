//! A malicious prover of private inputs: one lie at a time, each refused by an equation.
//!
//! The prover here is the real one, step by step, but for the lie; what follows a lie is made
//! honestly from it, challenges included.

#[path = "mutation.rs"]
mod mutation;
#[path = "necessary.rs"]
mod necessary;

use rand::rngs::StdRng;

use super::*;
use crate::checks::Check;
use crate::field::{E, F};
use crate::key::Private;
use crate::messages::{Public, verify_messages};
use crate::opening::hiding::forge::{Lie, Secret};
use crate::opening::hiding::{HidingData, HidingScheme, Relations};
use crate::opening::masked_codec::encode_hiding;
use crate::plan::Content;
use crate::private::{InputSecret, reduce_digest};
use crate::proof::{FormatError, HEADER_BYTES, Proof, WitnessOpening};
use crate::prover::open_weights;
use crate::run::Run;
use crate::statement::outputs;
use crate::transcript::{ProverChannel, Transcript, VerifierChannel, observe};
use crate::witness::Private as Sponge;
use p3_field::PrimeCharacteristicRing;

/// Lies that are told beside the witness.
#[derive(Clone, Copy)]
struct Plot {
    /// A message that is false: its pad is changed after it was committed.
    message: Option<usize>,
    /// Two messages that take each other's pads.
    swapped: Option<(usize, usize)>,
    /// The pads of another proof.
    reused: bool,
    /// An element of the committed polynomial that is not what the messages are of.
    committed: Option<usize>,
    /// The products of other pads are committed.
    products: bool,
    /// Something that hides is committed falsely.
    secret: Option<Secret>,
    opening: Lie,
}

const TRUTH: Plot = Plot {
    message: None,
    swapped: None,
    reused: false,
    committed: None,
    products: false,
    secret: None,
    opening: Lie::Nowhere,
};

/// A proof before its openings, and what the prover had committed to.
struct Argued {
    root: [u8; 32],
    data: HidingData,
    elements: Vec<E>,
    transcript: Transcript,
    relations: Relations,
    weights: Vec<Vec<(usize, Vec<E>)>>,
    /// The committed polynomial, but for what hides it.
    committed: Vec<F>,
    /// What each constraint is for.
    checks: Vec<Check>,
    /// A product of pads that was committed falsely.
    false_product: Option<usize>,
    /// The committed pads, and which of them have committed products.
    secrets: (Vec<E>, Vec<(u32, u32)>),
}

/// A private order and the run that serves it.
struct Order {
    world: World,
    secret: InputSecret,
    commitment: [u8; 32],
    masked: Vec<i32>,
}

/// A model of limbs, tables, remainders, quotients, products and weights.
fn model() -> Model {
    let inputs = vec![input(&[3, 5], -70_000, 5_000), input(&[1, 3], -8, 8)];
    let mut b = Builder::new(inputs);
    let (bits, lo, hi) = (9, -90, 90);
    let y = b.lookup(0, 9, TableSpec::Clamp { bits, lo, hi }).unwrap();
    let z = b.shift(0, 6, 12).unwrap();
    let product = b.mul(y, z).unwrap();
    let v = dense(&mut b, 1, (1, 3, 2), 6);
    finish(b, &[product, v, 1])
}

impl Order {
    fn new(seed: u64, profile: Profile) -> Self {
        let world = World::with(model(), seed, profile);
        let graph = &world.model.graph;
        let secret = InputSecret::from_bytes([seed as u8; 32]);
        let masked = mask_output(graph, &world.output(), &secret).unwrap();
        Self {
            commitment: commit_input(graph, &world.input(), &secret).unwrap(),
            masked: masked.into_iter().map(|x| x as i32).collect(),
            secret,
            world,
        }
    }

    /// The same order once more.
    fn again(&self) -> Self {
        Self::new(
            u64::from(self.secret.to_bytes()[0]),
            self.world.vk().profile(),
        )
    }

    fn private(&self) -> &Private {
        self.world.pk.private().unwrap()
    }

    /// The witness of the run.
    fn witness(&self) -> Witness<'_> {
        let pk = &self.world.pk;
        let plan = &self.private().plan;
        let witness = pk.witness_of(plan, &self.world.trace).unwrap();
        witness.with_secret(plan, &self.world.input(), &self.secret)
    }

    /// Argues the true statement by a witness that is changed, up to the openings.
    fn argue<'a>(&'a self, seed: u8, change: impl FnOnce(&mut Witness<'a>), plot: &Plot) -> Argued {
        let mut witness = self.witness();
        change(&mut witness);
        let stack = witness.stack(&self.private().plan);
        let mut committed = stack.clone();
        if let Some(index) = plot.committed {
            committed[index] += F::ONE;
        }
        self.argue_parts(seed, [&witness, &witness], committed, plot, &[])
    }

    /// Argues lookups by one witness and the rest by another, with a third one committed, and
    /// messages false by this much.
    fn argue_parts(
        &self,
        seed: u8,
        [lookups, walk]: [&Witness<'_>; 2],
        committed: Vec<F>,
        plot: &Plot,
        false_by: &[(usize, E)],
    ) -> Argued {
        let pk = &self.world.pk;
        let graph = &self.world.model.graph;
        let Private { plan, scheme } = self.private();
        let inputs = Inputs::Private(&self.commitment);
        let claim = statement(&pk.vk, inputs, &self.masked, &CONTEXT);
        let begin = claim.transcript_seed();

        let mut rng = <StdRng as rand::SeedableRng>::from_seed([seed; 32]);
        let by = Transcript::new(&[seed]).sample();
        let mut pads = scheme.pads(&mut rng);
        let mut other = plan.hiding.clone();
        other.products.rotate_left(usize::from(plot.products));
        let profile = pk.vk.profile();
        let commits = HidingScheme::new(&plan.witness, &other, profile, true).unwrap();
        let commitment = match plot.secret {
            None => commits.commit(committed.clone(), pads.clone(), rng),
            Some(secret) => commits.commit_false(committed.clone(), pads.clone(), rng, secret),
        };
        let secrets = (pads.clone(), other.products);
        let (root, data) = commitment.unwrap();
        if let Some(index) = plot.message {
            pads[index] += by;
        }
        for &(message, by) in false_by {
            pads[message] += by;
        }
        if let Some((i, j)) = plot.swapped {
            pads.swap(i, j);
        }

        if plot.reused {
            pads = scheme.pads(&mut <StdRng as rand::SeedableRng>::from_seed([77; 32]));
        }

        let start = |transcript: &mut Transcript| {
            for (scheme, root) in pk.weights.iter().zip(pk.vk.roots()) {
                scheme.observe(root, transcript);
            }
            observe(&root, transcript);
        };
        let mut channel = ProverChannel::hiding(&begin, pads);
        start(&mut channel.transcript);
        let mut run = Run::new(plan, walk, channel);
        run.outputs();
        run.witness = lookups;
        run.lookups(&lookups.stack(plan));
        run.witness = walk;
        run.walk(&|_, _| {});
        run.binding();
        let (channel, claims) = run.finish();
        assert_eq!(channel.sent.len(), plan.elements);
        let mut replay = VerifierChannel::with_mode(&begin, &channel.sent, true);
        start(&mut replay.transcript);
        let public = Public {
            inputs: None,
            commitment: reduce_digest(&self.commitment),
            outputs: outputs(graph, &self.masked),
        };
        let remaining = verify_messages(plan, &public, &mut replay).unwrap();
        let relations = Relations {
            claims: remaining.witness,
            linear: remaining.linear,
            constraints: replay.constraints,
        };
        let checks = replay.checks;
        Argued {
            root,
            data,
            elements: channel.sent,
            transcript: channel.transcript,
            relations,
            weights: claims.weights,
            committed,
            checks,
            false_product: match plot.secret {
                Some(Secret::Product(product)) => Some(product),
                _ => None,
            },
            secrets,
        }
    }

    /// Proves the true statement by a witness that is changed.
    fn prove<'a>(
        &'a self,
        seed: u8,
        change: impl FnOnce(&mut Witness<'a>),
        plot: &Plot,
    ) -> (Vec<u8>, std::ops::Range<usize>) {
        let by = Transcript::new(&[seed]).sample();
        self.open(self.argue(seed, change, plot), plot.opening, by)
    }

    /// Opens what was argued; `opening` is a lie of this much.
    fn open(&self, argued: Argued, opening: Lie, by: E) -> (Vec<u8>, std::ops::Range<usize>) {
        let pk = &self.world.pk;
        let (data, relations) = (argued.data, &argued.relations);
        let mut transcript = argued.transcript;
        let scheme = &self.private().scheme;
        let opening = scheme.forge(data, relations, &mut transcript, opening, by);
        let opening = opening.unwrap();
        let mut payload = Vec::new();
        encode_hiding(&mut payload, &opening);
        let first = HEADER_BYTES + 20 * argued.elements.len();
        let inputs = Inputs::Private(&self.commitment);
        let proof = Proof {
            statement: statement(&pk.vk, inputs, &self.masked, &CONTEXT),
            root: argued.root,
            elements: argued.elements,
            witness: WitnessOpening::Hiding(Box::new(opening)),
            weights: open_weights(pk, &argued.weights, &mut transcript).unwrap(),
        };
        (encode(&proof), first..first + payload.len())
    }

    fn verify(&self, proof: &[u8]) -> Result<(), VerifyError> {
        let masked: Vec<u32> = self.masked.iter().map(|&x| x as u32).collect();
        verify_private(self.world.vk(), &self.commitment, &masked, &CONTEXT, proof)
    }

    /// What the verifier says to a false witness.
    fn cheat<'a>(&'a self, change: impl FnOnce(&mut Witness<'a>)) -> Result<(), VerifyError> {
        self.verify(&self.prove(1, change, &TRUTH).0)
    }

    fn plot(&self, seed: u8, plot: &Plot) -> Result<(), VerifyError> {
        self.verify(&self.prove(seed, |_| {}, plot).0)
    }

    fn honest(&self) -> Vec<u8> {
        let (proof, _) = self.prove(9, |_| {}, &TRUTH);
        assert_eq!(self.verify(&proof), Ok(()), "the truth");
        proof
    }
}

of_every_profile![
    every_kind_of_false_witness_is_refused,
    an_input_beyond_its_range_is_refused_though_the_commitment_holds_it,
    a_commitment_of_anything_but_what_the_messages_are_of_is_refused,
    false_messages_and_pads_of_others_are_refused,
    no_two_proofs_of_one_statement_share_a_pad,
    every_part_of_an_opening_is_bound,
    everything_that_hides_is_bound,
    a_digest_that_false_cubes_lead_to_is_refused,
    every_byte_of_the_commitments_part_is_bound,
    a_proof_of_another_order_is_none_of_this_one,
];

const REFUSED: Result<(), VerifyError> = Err(VerifyError::WitnessOpening);

fn every_kind_of_false_witness_is_refused(profile: Profile) {
    let order = Order::new(1, profile);
    order.honest();
    let mut random = Random::of_kit(5);
    let mut at = |len: usize| random.between(0, len as i64 - 1) as usize;
    let private = |w: &mut Witness<'_>, change: &dyn Fn(&mut Sponge)| {
        change(w.private.as_mut().unwrap());
    };
    let add = |values: &mut Vec<F>, at: usize| values[at] += F::TWO;

    let i = at(8);
    let verdict = order.cheat(|w| private(w, &|p| add(&mut p.salt, i)));
    assert_eq!(verdict, REFUSED, "salt {i}");
    for output in 0..3 {
        let i = at([15, 2, 3][output]);
        let verdict = order.cheat(|w| private(w, &|p| add(&mut p.pads[output], i)));
        assert_eq!(verdict, REFUSED, "pad {i} of output {output}");
    }
    let permutations = 1
        << order
            .private()
            .plan
            .binding
            .as_ref()
            .unwrap()
            .layout
            .permutations;
    for i in [0, at(8 * permutations), 8 * permutations - 1] {
        let verdict = order.cheat(|w| private(w, &|p| add(&mut p.capacities, i)));
        assert_eq!(verdict, REFUSED, "capacity {i}");
    }
    // One of each block of cubes, and what is cubed.
    for lane in [0, 127, 128, 143, 144, 147] {
        let i = lane * permutations + at(permutations);
        let verdict = order.cheat(|w| private(w, &|p| add(&mut p.cubes, i)));
        assert_eq!(verdict, REFUSED, "cube {i}");
        let verdict = order.cheat(|w| private(w, &|p| add(&mut p.cubed, i)));
        assert_eq!(verdict, REFUSED, "what is cubed {i}");
        let both = |p: &mut Sponge| {
            add(&mut p.cubed, i);
            p.cubes[i] = p.cubed[i].cube();
        };
        let verdict = order.cheat(|w| private(w, &both));
        assert_eq!(verdict, REFUSED, "a true cube of a false state {i}");
    }
    // A lane that no permutation has.
    let i = 148 * permutations + at(permutations);
    let verdict = order.cheat(|w| private(w, &|p| add(&mut p.cubed, i)));
    assert_eq!(verdict, REFUSED, "cube {i} of no lane");

    let truth = order
        .world
        .pk
        .witness_of(&order.private().plan, &order.world.trace)
        .unwrap();
    // A false limb that is counted as it is: the lookups hold.
    let plan = &order.private().plan;
    let balanced = |column: &mut Vec<i32>, counts: &mut Vec<u32>| {
        counts[column[3] as usize] -= 1;
        column[3] ^= 1;
        counts[column[3] as usize] += 1;
    };
    let mut unread = 0;
    let (same, _) = order.prove(1, |_| {}, &TRUTH);
    for (value, elements) in truth.values.iter().enumerate() {
        let mut changed = elements.to_vec();
        let i = at(changed.len());
        changed[i] += if changed[i] > 0 { -1 } else { 1 };
        let (proof, _) = order.prove(1, |w| w.values[value] = &changed, &TRUTH);
        let verdict = order.verify(&proof);
        // Outputs follow from the statement, the bias from what it is read as.
        unread += usize::from(proof == same);
        let refused = verdict == REFUSED || verdict == Err(VerifyError::WeightOpening);
        assert!(refused || proof == same, "value {value}: {verdict:?}");
    }
    assert!(unread <= 3, "{unread} of {} values", truth.values.len());
    for (i, limbs) in truth.remainders.iter().enumerate() {
        for limb in 0..limbs.len() {
            let verdict = order.cheat(|w| w.remainders[i][limb][3] ^= 1);
            assert_eq!(verdict, REFUSED, "remainder {i}, limb {limb}");
        }
    }
    for (i, limbs) in truth.shifts.iter().enumerate() {
        for limb in 0..limbs.len() {
            let verdict = order.cheat(|w| w.shifts[i][limb][3] ^= 1);
            assert_eq!(verdict, REFUSED, "shift {i}, limb {limb}");
            let of = &plan.shifts[i];
            let table = of
                .remainder
                .iter()
                .chain(&of.quotient)
                .nth(limb)
                .unwrap()
                .table;
            let verdict = order.cheat(|w| balanced(&mut w.shifts[i][limb], &mut w.counts[table]));
            assert_eq!(verdict, REFUSED, "shift {i}, limb {limb}, balanced");
        }
    }
    for (i, limbs) in truth.inputs.iter().enumerate() {
        for limb in 0..limbs.len() {
            let verdict = order.cheat(|w| w.inputs[i][limb][3] ^= 1);
            assert_eq!(verdict, REFUSED, "input {i}, limb {limb}");
            let table = plan.inputs[i].limbs().nth(limb).unwrap().table;
            let verdict = order.cheat(|w| balanced(&mut w.inputs[i][limb], &mut w.counts[table]));
            assert_eq!(verdict, REFUSED, "input {i}, limb {limb}, balanced");
        }
    }
    assert!(truth.inputs.iter().any(|limbs| limbs.len() > 2));
    for (table, counts) in truth.counts.iter().enumerate() {
        let row = at(counts.len());
        let verdict = order.cheat(|w| w.counts[table][row] += 1);
        assert_eq!(verdict, REFUSED, "multiplicity {row} of table {table}");
    }
}

fn an_input_beyond_its_range_is_refused_though_the_commitment_holds_it(profile: Profile) {
    // The buyer's own lie: committed to, proven about, and outside what the model allows.
    let mut order = Order::new(2, profile);
    for (index, value) in [(0, 5_001), (14, -70_001), (16, 9), (17, -9)] {
        let truth = order.world.input();
        let mut input = truth.clone();
        input[index] = value;
        let (head, tail) = input.split_at(15);
        let layout = order
            .private()
            .plan
            .binding
            .as_ref()
            .unwrap()
            .layout
            .clone();
        let opened = Sponge::new(&layout, &input, &order.secret);
        order.commitment = crate::private::write_digest(&opened.digest);
        let (head, tail) = (head.to_vec(), tail.to_vec());
        let verdict = order.cheat(|w| {
            w.private = Some(opened);
            w.values[0] = &head;
            w.values[1] = &tail;
        });
        assert_eq!(verdict, REFUSED, "element {index} is {value}");
    }
    Order::new(2, profile).honest();
}

fn a_commitment_of_anything_but_what_the_messages_are_of_is_refused(profile: Profile) {
    let order = Order::new(3, profile);
    order.honest();
    let plan = &order.private().plan;
    let mut random = Random::of_kit(6);
    for (index, &content) in plan.contents.iter().enumerate() {
        let block = plan.witness.block(index);
        // The last element is padding where there is any.
        let last = (1usize << block.variables) - 1;
        let elements = plan.block_dims(content).elements();
        let mut places = vec![random.between(0, elements as i64 - 1) as usize];
        places.extend((elements <= last).then_some(last));
        for at in places {
            let plot = Plot {
                committed: Some(block.offset + at),
                ..TRUTH
            };
            let verdict = order.plot(2, &plot);
            assert_eq!(verdict, REFUSED, "{content:?}, element {at}");
        }
    }
    let kinds = |of: fn(&Content) -> bool| plan.contents.iter().filter(|c| of(c)).count();
    assert_eq!(kinds(|c| matches!(c, Content::Pads(_))), 3);
    assert_eq!(kinds(|c| matches!(c, Content::Cubes(_))), 3);
    assert!(kinds(|c| matches!(c, Content::Input(..))) > 1);
}

fn false_messages_and_pads_of_others_are_refused(profile: Profile) {
    let order = Order::new(4, profile);
    order.honest();
    let pads = order.private().plan.hiding.pads;
    let mut random = Random::of_kit(7);
    // The pads of the outputs, the root of the lookup tree, the last ones, and a sample.
    let mut messages: Vec<usize> = (0..10).chain(pads - 4..pads).collect();
    messages.extend((10 + pads % 7..pads).step_by(7));
    for message in messages {
        let plot = Plot {
            message: Some(message),
            ..TRUTH
        };
        let verdict = order.plot(3, &plot);
        assert_eq!(verdict, REFUSED, "message {message} of {pads}");
    }
    for _ in 0..4 {
        let i = random.between(0, pads as i64 - 2) as usize;
        let plot = Plot {
            swapped: Some((i, i + 1)),
            ..TRUTH
        };
        assert_eq!(order.plot(4, &plot), REFUSED, "pads {i} and {}", i + 1);
    }
    let reused = Plot {
        reused: true,
        ..TRUTH
    };
    assert_eq!(order.plot(4, &reused), REFUSED, "pads of another proof");
}

fn no_two_proofs_of_one_statement_share_a_pad(profile: Profile) {
    let order = Order::new(9, profile);
    let prove = || prove_private(&order.world.pk, &order.world.trace, &order.secret, &CONTEXT);
    let (a, b) = (prove().unwrap(), prove().unwrap());
    assert_eq!((order.verify(&a), order.verify(&b)), (Ok(()), Ok(())));
    // The root and every message, what follows from the weights apart.
    assert_ne!(a[134..166], b[134..166]);
    let plan = &order.private().plan;
    let messages = HEADER_BYTES..HEADER_BYTES + 20 * plan.elements;
    let elements = |proof: &[u8]| proof[messages.clone()].as_chunks::<20>().0.to_vec();
    let (a, b) = (elements(&a), elements(&b));
    let known = plan.elements - plan.hiding.pads;
    let mut both = [&a[..], &b].concat();
    both.sort_unstable();
    both.dedup();
    assert!(both.len() >= 2 * plan.elements - 2 * known);
    let same = a.iter().zip(&b).filter(|(a, b)| a == b).count();
    assert_eq!(
        same, 0,
        "challenges differ, and so do evaluations of weights"
    );
}

fn every_part_of_an_opening_is_bound(profile: Profile) {
    let order = Order::new(5, profile);
    order.honest();
    let variables = order.private().plan.witness.variables();
    let mut lies = vec![Lie::Factor(0), Lie::Factor(1), Lie::Value, Lie::Sigma];
    for i in [0, 1, variables, 2 * variables - 2, 2 * variables - 1] {
        lies.extend([Lie::Message(i), Lie::Blinded(i)]);
    }
    for opening in lies {
        let plot = Plot { opening, ..TRUTH };
        assert_eq!(order.plot(5, &plot), REFUSED, "{opening:?}");
    }
    // A false message, and an opening that makes the sum of the pads come out right all the same.
    for opening in [Lie::FittingValue, Lie::FittingBlinded] {
        let plot = Plot {
            message: Some(7),
            opening,
            ..TRUTH
        };
        assert_eq!(order.plot(6, &plot), REFUSED, "{opening:?}");
    }
    // With the truth both change nothing.
    let opening = Lie::FittingValue;
    assert_eq!(order.plot(6, &Plot { opening, ..TRUTH }), Ok(()));
    for opening in [Lie::Nowhere, Lie::FittingFactor(0), Lie::FittingFactor(1)] {
        let plot = Plot {
            products: true,
            opening,
            ..TRUTH
        };
        assert_eq!(
            order.plot(7, &plot),
            REFUSED,
            "products of other pads, {opening:?}"
        );
    }
}

fn everything_that_hides_is_bound(profile: Profile) {
    let order = Order::new(10, profile);
    order.honest();
    let hiding = &order.private().plan.hiding;
    let (pads, products) = (hiding.pads, hiding.products.len());
    let rounds = 2 * order.private().plan.witness.variables();
    for secret in [
        Secret::Pad(0),
        Secret::Pad(pads - 1),
        Secret::Product(0),
        Secret::Product(products - 1),
        Secret::Random(0),
        Secret::Random(1),
        Secret::Extension(0),
        Secret::Extension(products),
        Secret::Blind(0, 0),
        Secret::Blind(0, rounds - 1),
        Secret::Blind(1, 0),
        Secret::Blind(1, rounds - 1),
        // Places that no blind takes are committed as zero.
        Secret::Blind(1, rounds),
    ] {
        let plot = Plot {
            secret: Some(secret),
            ..TRUTH
        };
        assert_eq!(order.plot(11, &plot), REFUSED, "{secret:?}");
    }
}

fn a_digest_that_false_cubes_lead_to_is_refused(profile: Profile) {
    // All that is linear holds: only the last cube of the sponge is none.
    let mut order = Order::new(11, profile);
    let layout = order
        .private()
        .plan
        .binding
        .as_ref()
        .unwrap()
        .layout
        .clone();
    let truth = Sponge::new(&layout, &order.world.input(), &order.secret);
    let permutations = 1 << layout.permutations;
    let mut sponge = truth.clone();
    // The cubes of the last full round begin at 112.
    sponge.cubes[112 * permutations + permutations - 1] += F::ONE;
    let mut column = [F::ZERO; 16];
    column[0] = F::ONE;
    type Layers = p3_koala_bear::GenericPoseidon2LinearLayersKoalaBear;
    <Layers as p3_poseidon2::GenericPoseidon2LinearLayers<16>>::external_linear_layer(&mut column);
    for lane in 0..8 {
        sponge.digest[lane] += column[lane];
        sponge.capacities[lane * permutations + permutations - 1] += column[8 + lane];
    }
    assert_ne!(sponge.digest, truth.digest);
    order.commitment = crate::private::write_digest(&sponge.digest);
    assert_eq!(order.cheat(|w| w.private = Some(sponge)), REFUSED);
    // And a true sponge of another digest.
    assert_eq!(order.cheat(|_| {}), REFUSED);
    order.commitment = crate::private::write_digest(&truth.digest);
    order.honest();
}

fn every_byte_of_the_commitments_part_is_bound(profile: Profile) {
    let order = Order::new(6, profile);
    let (proof, payload) = order.prove(8, |_| {}, &TRUTH);
    assert_eq!(order.verify(&proof), Ok(()));
    let mut random = Random::of_kit(8);
    let ends = [payload.start, payload.end - 1, proof.len() - 1, 6 + 4 * 32];
    let (first, last) = (payload.start as i64, payload.end as i64 - 1);
    let inside = (0..150).map(|_| random.between(first, last) as usize);
    for position in inside.chain(ends).collect::<Vec<_>>() {
        let mut lie = proof.clone();
        lie[position] ^= 1 << random.between(0, 6);
        let verdict = order.verify(&lie);
        let named = matches!(
            verdict,
            Err(VerifyError::WitnessOpening | VerifyError::WeightOpening | VerifyError::Format(_))
        );
        assert!(named, "byte {position} of {payload:?}: {verdict:?}");
    }
    for cut in [payload.start, payload.start + 100, payload.end - 1] {
        let verdict = order.verify(&proof[..cut]);
        assert_eq!(verdict, Err(FormatError::Truncated.into()), "cut at {cut}");
    }
}

fn a_proof_of_another_order_is_none_of_this_one(profile: Profile) {
    let (order, other) = (Order::new(7, profile), Order::new(8, profile));
    let (proof, of_other) = (order.honest(), other.honest());
    assert_eq!(order.verify(&of_other), Err(VerifyError::WrongInput));
    // Under this order's digests it meets the equations.
    let mut renamed = of_other.clone();
    let digests = 6..6 + 4 * 32;
    renamed[digests.clone()].copy_from_slice(&proof[digests]);
    let verdict = order.verify(&renamed);
    assert_eq!(verdict, REFUSED);
    // The commitment of one order, the messages of the other.
    let mut mixed = proof.clone();
    mixed[134..166].copy_from_slice(&of_other[134..166]);
    assert_eq!(order.verify(&mixed), REFUSED);
    // Another context.
    let masked: Vec<u32> = order.masked.iter().map(|&x| x as u32).collect();
    let mut moved = proof.clone();
    moved[102..134].copy_from_slice(&[1; 32]);
    let verdict = verify_private(
        order.world.vk(),
        &order.commitment,
        &masked,
        &[1; 32],
        &moved,
    );
    assert_eq!(verdict, REFUSED);
}
