//! Whether what is sent tells anything: many proofs of one input, compared with many of another and
//! with those of a simulator that knows neither.
//!
//! The verifier's coins are the same in every proof, as if it tossed them beforehand. So a message
//! that no pad covers is the same every time, and two that share a pad keep their difference.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::field::{E, F, coordinates};
use crate::messages::{Public, verify_messages};
use crate::opening::hiding::Relations;
use crate::opening::hiding::forge::Forged;
use crate::plan::Plan;
use crate::private::{InputSecret, read_digest};
use crate::run::Run;
use crate::statement::outputs;
use crate::transcript::{ProverChannel, VerifierChannel};
use p3_field::{BasedVectorSpace, PrimeField32};

const SEED: &[u8] = b"coins";
const PROOFS: usize = 160;
/// Above it two samples of one distribution are told apart once in 10^7 coordinates.
const ALIKE: f64 = 55.0;
/// Far below what an element gives that is the same in every proof of one sample.
const SEEN: f64 = 150.0;

/// Everything that one proof sends, the commitment's part apart.
type Sent = Vec<E>;

/// How the prover errs.
#[derive(Clone, Copy, PartialEq)]
enum Slip {
    None,
    /// A message goes out without its pad.
    Bare(usize),
    /// A message and the next take one pad.
    Shared(usize),
}

struct Order<'a> {
    world: &'a World,
    plan: &'a Plan,
    witness: Witness<'a>,
    commitment: [u8; 32],
    masked: Vec<i32>,
}

/// No weights: every message is of the witness.
fn model() -> Model {
    let mut b = Builder::new(vec![input(&[4], -8, 8)]);
    let square = b.mul(0, 0).unwrap();
    let y = b.lookup(
        square,
        1,
        TableSpec::Clamp {
            bits: 7,
            lo: -20,
            hi: 20,
        },
    );
    let y = y.unwrap();
    finish(b, &[y])
}

impl<'a> Order<'a> {
    fn new(world: &'a World, trace: &'a Trace, secret: u8) -> Self {
        let plan = &world.pk.private().unwrap().plan;
        let graph = &world.model.graph;
        let secret = InputSecret::from_bytes([secret; 32]);
        let input = &trace.values[0];
        let witness = world.pk.witness_of(plan, trace).unwrap();
        let masked = mask_output(graph, &output_of(&world.model, trace), &secret).unwrap();
        Self {
            world,
            plan,
            witness: witness.with_secret(plan, input, &secret),
            commitment: commit_input(graph, input, &secret).unwrap(),
            masked: masked.into_iter().map(|x| x as i32).collect(),
        }
    }

    fn relations(&self, sent: &[E]) -> Relations {
        let mut replay = VerifierChannel::with_mode(SEED, sent, true);
        replay.transcript.deaf = true;
        let public = Public {
            inputs: None,
            commitment: read_digest(&self.commitment).unwrap(),
            outputs: outputs(&self.world.model.graph, &self.masked),
        };
        let remaining = verify_messages(self.plan, &public, &mut replay).unwrap();
        Relations {
            claims: remaining.witness,
            linear: remaining.linear,
            constraints: replay.constraints,
        }
    }

    fn proofs(&self, first: u64, slip: Slip) -> Vec<Sent> {
        let scheme = &self.world.pk.private().unwrap().scheme;
        let stack = self.witness.stack(self.plan);
        let proof = |seed: u64| {
            let mut rng = StdRng::seed_from_u64(seed);
            let pads = scheme.pads(&mut rng);
            let mut used = pads.clone();
            match slip {
                Slip::None => {}
                Slip::Bare(i) => used[i] -= pads[i],
                Slip::Shared(i) => used[i + 1] = used[i],
            }
            let mut seed = [1; 32];
            rand::Rng::fill_bytes(&mut rng, &mut seed);
            let hidden = scheme.hide(stack.clone(), pads, seed);
            let mut channel = ProverChannel::hiding(SEED, used);
            channel.transcript.deaf = true;
            let mut run = Run::new(self.plan, &self.witness, channel);
            run.outputs();
            run.lookups(&stack);
            run.walk(&|_, _| {});
            run.binding();
            let (channel, _) = run.finish();
            let relations = self.relations(&channel.sent);
            let mut transcript = channel.transcript;
            let opening = scheme.sample(&hidden, &relations, &mut transcript).unwrap();
            [channel.sent, opening.sent()].concat()
        };
        (first..first + PROOFS as u64).map(proof).collect()
    }

    /// Of one who knows the statement only.
    fn simulated(&self, first: u64) -> Vec<Sent> {
        let scheme = &self.world.pk.private().unwrap().scheme;
        let proof = |seed: u64| {
            let mut rng = StdRng::seed_from_u64(seed);
            // A pad is as uniform as a padded message.
            let sent = scheme.pads(&mut rng);
            let relations = self.relations(&sent);
            let mut transcript = self.after(&sent);
            let opening: Forged = scheme
                .simulate(&relations, &mut transcript, &mut rng)
                .unwrap();
            [sent, opening.sent()].concat()
        };
        (first..first + PROOFS as u64).map(proof).collect()
    }

    /// The transcript after the messages.
    fn after(&self, sent: &[E]) -> crate::transcript::Transcript {
        let mut channel = VerifierChannel::with_mode(SEED, sent, true);
        channel.transcript.deaf = true;
        let public = Public {
            inputs: None,
            commitment: read_digest(&self.commitment).unwrap(),
            outputs: outputs(&self.world.model.graph, &self.masked),
        };
        verify_messages(self.plan, &public, &mut channel)
            .map(drop)
            .unwrap();
        channel.transcript
    }

    /// Messages of proofs that hide nothing.
    fn public_proofs(&self, trace: &Trace) -> Vec<Sent> {
        let plan = self.world.vk().plan();
        let witness = self.world.pk.witness_of(plan, trace).unwrap();
        let proof = |_| {
            let mut channel = ProverChannel::new(SEED);
            channel.transcript.deaf = true;
            let mut run = Run::new(plan, &witness, channel);
            run.outputs();
            run.lookups(&witness.stack(plan));
            run.walk(&|_, _| {});
            run.finish().0.sent
        };
        (0..PROOFS).map(proof).collect()
    }
}

/// For every coordinate of every element, and of its difference to the next one, how many proofs
/// have it in each eighth of the field.
fn histograms(proofs: &[Sent]) -> Vec<[f64; 8]> {
    let mut all = vec![[0.0; 8]; 10 * proofs[0].len()];
    for proof in proofs {
        let next = proof.iter().cycle().skip(1);
        let features = proof.iter().zip(next).flat_map(|(&a, &b)| [a, a - b]);
        let features: Vec<E> = features.collect();
        let flat = features.iter().flat_map(coordinates);
        for (histogram, x) in all.iter_mut().zip(flat) {
            let eighth = u64::from(x.as_canonical_u32()) * 8 / u64::from(F::ORDER_U32);
            histogram[eighth as usize] += 1.0;
        }
    }
    assert_eq!(<E as BasedVectorSpace<F>>::DIMENSION, 5);
    all
}

/// Chi-square of two samples, coordinate by coordinate: its mean is 7 where both are of one
/// distribution.
fn distances(a: &[Sent], b: &[Sent]) -> Vec<f64> {
    let distance = |(a, b): (&[f64; 8], &[f64; 8])| {
        let both = a.iter().zip(b).filter(|&(a, b)| a + b > 0.0);
        both.map(|(a, b)| (a - b) * (a - b) / (a + b)).sum()
    };
    let (a, b) = (histograms(a), histograms(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(distance).collect()
}

fn largest(distances: &[f64]) -> f64 {
    distances.iter().copied().fold(0.0, f64::max)
}

fn mean(distances: &[f64]) -> f64 {
    distances.iter().sum::<f64>() / distances.len() as f64
}

#[test]
fn messages_tell_nothing_of_the_input_and_a_missing_or_shared_pad_is_seen() {
    let world = World::new(model(), 1);
    let other = reference::trace(&world.model, &[8, -3, 0, 5]).unwrap();
    assert_ne!(world.trace, other);
    let order = Order::new(&world, &world.trace, 1);
    let of_other = Order::new(&world, &other, 2);
    let elements = order.plan.elements;
    assert_eq!(order.plan.hiding.pads, elements, "a message is public");

    let proofs = order.proofs(0, Slip::None);
    for (name, others) in [
        ("a simulator", order.simulated(10_000)),
        ("another input", of_other.proofs(20_000, Slip::None)),
        ("a simulator of another", of_other.simulated(30_000)),
        ("the same input", order.proofs(40_000, Slip::None)),
    ] {
        let distances = distances(&proofs, &others);
        let (mean, largest) = (mean(&distances), largest(&distances));
        assert!(largest < ALIKE, "{name}: {largest}");
        assert!((6.7..7.3).contains(&mean), "{name}: {mean}");
    }

    // The statistic sees what it is there to see.
    let at = elements / 2;
    let bare = order.proofs(50_000, Slip::Bare(elements - 1));
    let bare = largest(&distances(&proofs, &bare)[10 * (elements - 1)..][..5]);
    assert!(bare > SEEN, "the last message without its pad: {bare}");
    let shared = order.proofs(60_000, Slip::Shared(at));
    let shared = largest(&distances(&proofs, &shared)[10 * at + 5..][..5]);
    assert!(
        shared > SEEN,
        "messages {at} and the next share a pad: {shared}"
    );

    // Where nothing is hidden the inputs are told apart by almost every message.
    let (a, b) = (
        order.public_proofs(&world.trace),
        order.public_proofs(&other),
    );
    let distances = distances(&a, &b);
    let told = distances.iter().filter(|&&d| d > SEEN).count();
    assert!(
        10 * told > 7 * distances.len(),
        "{told} of {}",
        distances.len()
    );
}
