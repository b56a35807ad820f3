//! Honest proofs of many graphs, and a kit of cheats, each refused for its own reason.

use hallmark_graph::{
    Builder, Input, LinearWeights, Model, Range, Scale, Shape, Table, Trace, reference,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::proof::{FormatError, encode};
use crate::prover::prove_witness;
use crate::statement::statement;
use crate::witness::Witness;
use crate::{ProvingKey, VerifyError, VerifyingKey, prove, security_report, setup, verify};

const SCALE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};
const CONTEXT: [u8; 32] = [7; 32];

struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in `[lo, hi]`, up to a bias that does not matter here.
    fn between(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.0.next_u64() % (hi - lo + 1) as u64) as i64
    }

    fn weights(&mut self, inner: usize, cols: usize) -> LinearWeights {
        LinearWeights {
            w: (0..inner * cols)
                .map(|_| self.between(-127, 127) as i8)
                .collect(),
            b: (0..cols)
                .map(|_| self.between(-2000, 2000) as i32)
                .collect(),
            m: (0..cols).map(|_| self.between(20, 60) as u16).collect(),
        }
    }

    fn input(&mut self, model: &Model) -> Vec<i32> {
        let range = model.graph.input.range;
        (0..model.graph.input_len())
            .map(|_| self.between(range.lo.into(), range.hi.into()) as i32)
            .collect()
    }
}

fn builder(shape: &[u32], lo: i32, hi: i32) -> Builder {
    Builder::new(Input {
        shape: Shape(shape.to_vec()),
        range: Range { lo, hi },
        scale: SCALE,
    })
}

fn clamp(lo: i32, hi: i32) -> Table {
    Table::Clamp { bits: 12, lo, hi }
}

/// Dense layers of the given widths with Relu between.
fn mlp(rows: u32, widths: &[usize], seed: u64) -> Model {
    let mut random = Random::new(seed);
    let mut b = builder(&[rows, widths[0] as u32], 0, 127);
    let mut x = 0;
    for (i, pair) in widths.windows(2).enumerate() {
        let v = b.linear(x, random.weights(pair[0], pair[1])).unwrap();
        let lo = if i + 2 == widths.len() { -128 } else { 0 };
        x = b.requant(v, 15, clamp(lo, 127)).unwrap();
    }
    b.finish(SCALE).unwrap()
}

/// Batch of 3 over odd widths, a residual sum, a change of shape that moves every element, and an
/// output of an odd length.
fn residual() -> Model {
    let mut random = Random::new(5);
    let mut b = builder(&[3, 5], -100, 127);
    let v = b.linear(0, random.weights(5, 5)).unwrap();
    let y = b.requant(v, 12, clamp(-128, 127)).unwrap();
    let s = b.add((y, 3), (0, -2)).unwrap();
    let z = b.requant(s, 2, clamp(-100, 100)).unwrap();
    let flat = b.reshape(z, Shape(vec![1, 15])).unwrap();
    let v = b.linear(flat, random.weights(15, 6)).unwrap();
    let w = b.requant(v, 13, clamp(0, 127)).unwrap();
    let pairs = b.reshape(w, Shape(vec![2, 3])).unwrap();
    let v = b.linear(pairs, random.weights(3, 7)).unwrap();
    let u = b.add((v, 1), (v, 1)).unwrap();
    b.requant(u, 13, clamp(-128, 127)).unwrap();
    b.finish(SCALE).unwrap()
}

/// No requantisation at all: the output is an accumulator.
fn linear_only() -> Model {
    let mut random = Random::new(6);
    let mut b = builder(&[3, 6], -8, 8);
    b.linear(0, random.weights(6, 5)).unwrap();
    b.finish(SCALE).unwrap()
}

/// A table over the input itself, without a shift, and a sum with it as the output.
fn table_of_input() -> Model {
    let mut b = builder(&[2, 7], -50, 50);
    let y = b.requant(0, 0, clamp(-10, 20)).unwrap();
    b.add((y, 2), (0, 5)).unwrap();
    b.finish(SCALE).unwrap()
}

/// Two branches of one value, rejoined twice, and two claims on one accumulator.
fn branches() -> Model {
    let mut random = Random::new(8);
    let mut b = builder(&[5, 3], 0, 60);
    let x = b.linear(0, random.weights(3, 6)).unwrap();
    let x = b.requant(x, 11, clamp(-90, 90)).unwrap();
    let left = b.linear(x, random.weights(6, 6)).unwrap();
    let right = b.linear(x, random.weights(6, 6)).unwrap();
    let r = b.requant(right, 12, clamp(0, 100)).unwrap();
    let sum = b.add((left, 1), (right, -1)).unwrap();
    let sum = b.requant(sum, 14, clamp(-70, 70)).unwrap();
    let both = b.add((sum, 4), (r, 9)).unwrap();
    b.requant(both, 3, clamp(-128, 127)).unwrap();
    b.finish(SCALE).unwrap()
}

struct World {
    model: Model,
    pk: ProvingKey,
    trace: Trace,
    proof: Vec<u8>,
}

impl World {
    fn new(model: Model, seed: u64) -> Self {
        let pk = setup(&model).unwrap();
        let input = Random::new(seed).input(&model);
        let trace = reference::trace(&model, &input).unwrap();
        let proof = prove(&pk, &trace, &CONTEXT).unwrap();
        Self {
            model,
            pk,
            trace,
            proof,
        }
    }

    fn vk(&self) -> &VerifyingKey {
        self.pk.verifying_key()
    }

    fn input(&self) -> &[i32] {
        &self.trace.values[0]
    }

    fn output(&self) -> &[i32] {
        self.trace.values.last().unwrap()
    }

    fn verify(&self, proof: &[u8]) -> Result<(), VerifyError> {
        verify(self.vk(), self.input(), self.output(), &CONTEXT, proof)
    }

    fn witness(&self) -> Witness {
        Witness::new(&self.model.graph, self.vk().plan(), &self.trace).unwrap()
    }

    /// Runs a cheating prover under the true statement and asks the verifier.
    fn cheat(&self, change: impl FnOnce(&mut Witness)) -> Result<(), VerifyError> {
        let mut witness = self.witness();
        change(&mut witness);
        let truth = statement(self.vk(), self.input(), self.output(), &CONTEXT);
        let proof = prove_witness(&self.pk, truth, &witness).unwrap();
        self.verify(&encode(&proof))
    }
}

fn small() -> World {
    World::new(mlp(1, &[8, 16, 10], 1), 2)
}

#[test]
fn honest_proofs_verify_for_every_kind_of_graph() {
    let models = [
        ("digit", mlp(1, &[64, 128, 128, 10], 1)),
        ("one layer", mlp(1, &[3, 1], 2)),
        ("batch of three, odd widths", mlp(3, &[5, 7, 3], 3)),
        ("batch of four", mlp(4, &[8, 8, 4], 4)),
        ("residual", residual()),
        ("linear only", linear_only()),
        ("table of input", table_of_input()),
        ("branches", branches()),
    ];
    for (name, model) in models {
        let world = World::new(model, 9);
        assert_eq!(world.verify(&world.proof), Ok(()), "{name}");
        assert!(world.proof.len() <= world.vk().max_proof_len(), "{name}");
        let bits = security_report(world.vk()).bits();
        assert!(bits >= 100.0, "{name}: {bits} bits");
    }
}

#[test]
fn the_digit_model_has_the_promised_security_size_and_gas() {
    let world = World::new(mlp(1, &[64, 128, 128, 10], 1), 2);
    let report = security_report(world.vk());
    assert!(report.bits() >= 100.0, "{report:?}");
    assert!(report.terms.iter().all(|t| t.bits > 100.0), "{report:?}");
    assert!(world.proof.len() <= 300_000, "{} bytes", world.proof.len());
    assert!(world.vk().cost().gas() < 15_000_000);
}

#[test]
fn keys_and_proofs_are_deterministic_and_keys_round_trip() {
    let (a, b) = (small(), small());
    assert_eq!(a.proof, b.proof);
    assert_eq!(a.vk().digest(), b.vk().digest());
    let decoded = VerifyingKey::decode(&a.vk().encode()).unwrap();
    assert_eq!(&decoded, a.vk());
    assert_eq!(decoded.max_proof_len(), a.vk().max_proof_len());
    assert_eq!(
        verify(&decoded, a.input(), a.output(), &CONTEXT, &a.proof),
        Ok(())
    );
}

#[test]
fn a_proof_of_another_statement_is_refused_by_name() {
    let world = small();
    let other = World::new(mlp(1, &[8, 16, 10], 77), 2);
    let mut output = world.output().to_vec();
    output[3] ^= 1;
    let mut input = world.input().to_vec();
    input[0] ^= 1;
    let proof = &world.proof;
    assert_eq!(
        verify(world.vk(), world.input(), &output, &CONTEXT, proof),
        Err(VerifyError::WrongOutput)
    );
    assert_eq!(
        verify(world.vk(), &input, world.output(), &CONTEXT, proof),
        Err(VerifyError::WrongInput)
    );
    assert_eq!(
        verify(world.vk(), world.input(), world.output(), &[8; 32], proof),
        Err(VerifyError::WrongContext)
    );
    assert_eq!(
        verify(other.vk(), world.input(), world.output(), &CONTEXT, proof),
        Err(VerifyError::WrongModel)
    );
}

#[test]
fn a_false_output_under_its_own_digest_is_refused_by_an_equation() {
    let world = small();
    let mut output = world.output().to_vec();
    output[3] ^= 1;
    // The statement names the false output; the witness is the true run.
    let claim = statement(world.vk(), world.input(), &output, &CONTEXT);
    let proof = prove_witness(&world.pk, claim.clone(), &world.witness()).unwrap();
    let verdict = verify(
        world.vk(),
        world.input(),
        &output,
        &CONTEXT,
        &encode(&proof),
    );
    assert_eq!(verdict, Err(VerifyError::OutputMismatch));

    // A cheat that commits the false output meets the table instead.
    let mut witness = world.witness();
    *witness.values.last_mut().unwrap() = output.clone();
    let proof = prove_witness(&world.pk, claim, &witness).unwrap();
    let verdict = verify(
        world.vk(),
        world.input(),
        &output,
        &CONTEXT,
        &encode(&proof),
    );
    assert!(
        matches!(verdict, Err(VerifyError::Lookup(_))),
        "{verdict:?}"
    );
}

#[test]
fn a_witness_of_another_input_is_refused_by_an_equation() {
    let world = small();
    let mut input = world.input().to_vec();
    input[2] = (input[2] + 1) % 128;
    let other = reference::trace(&world.model, &input).unwrap();
    // The statement is the one of the true input and of the output that the cheat computed.
    let output = other.values.last().unwrap();
    let claim = statement(world.vk(), world.input(), output, &CONTEXT);
    let witness = Witness::new(&world.model.graph, world.vk().plan(), &other).unwrap();
    let proof = prove_witness(&world.pk, claim, &witness).unwrap();
    let verdict = verify(world.vk(), world.input(), output, &CONTEXT, &encode(&proof));
    assert_eq!(verdict, Err(VerifyError::InputMismatch));

    // Putting the true input into that witness breaks the first layer's product.
    let mut witness = witness;
    witness.values[0] = world.input().to_vec();
    let claim = statement(world.vk(), world.input(), output, &CONTEXT);
    let proof = prove_witness(&world.pk, claim, &witness).unwrap();
    let verdict = verify(world.vk(), world.input(), output, &CONTEXT, &encode(&proof));
    assert_eq!(verdict, Err(VerifyError::Sumcheck { node: 0 }));
}

#[test]
fn false_lookups_are_refused() {
    let world = small();
    let lookup = |verdict: Result<(), VerifyError>, what: &str| {
        assert!(
            matches!(verdict, Err(VerifyError::Lookup(_))),
            "{what}: {verdict:?}"
        );
    };
    lookup(
        world.cheat(|w| w.multiplicities[0][2048] += 1),
        "wrong multiplicity",
    );
    lookup(world.cheat(|w| w.remainders[0][1] ^= 1), "wrong remainder");
    lookup(
        world.cheat(|w| w.remainders[0][1] += 1 << 15),
        "remainder above its range",
    );
    lookup(
        world.cheat(|w| {
            let y = &mut w.values[2][3];
            *y = if *y > 60 { *y - 1 } else { *y + 1 };
        }),
        "activation off by one",
    );
    // A multiplicity moved to where a false quotient would be does not save the false lookup.
    lookup(
        world.cheat(|w| {
            w.values[2][0] += 1;
            let row = (0..4096).find(|&r| w.multiplicities[0][r] > 0).unwrap();
            w.multiplicities[0][row] -= 1;
            w.multiplicities[0][row + 1] += 1;
        }),
        "activation off by one with its multiplicity",
    );
}

#[test]
fn a_quotient_outside_the_window_is_refused() {
    let world = small();
    // The accumulator is declared far beyond the window, with a remainder that fits.
    let verdict = world.cheat(|w| w.values[1][0] += 1 << 27);
    assert!(
        matches!(verdict, Err(VerifyError::Lookup(_))),
        "{verdict:?}"
    );
}

#[test]
fn a_consistent_false_activation_breaks_the_product() {
    // A cheat with balanced lookups: v, rem and y are a true rounding of a false accumulator.
    let world = small();
    let mut trace = world.trace.clone();
    trace.values[1][0] += 40_000;
    let (u, _) = crate::witness::split(trace.values[1][0], 15);
    trace.values[2][0] = u.clamp(0, 127) as i32;
    let witness = Witness::new(&world.model.graph, world.vk().plan(), &trace).unwrap();
    let truth = statement(world.vk(), world.input(), world.output(), &CONTEXT);
    let proof = prove_witness(&world.pk, truth, &witness).unwrap();
    let verdict = world.verify(&encode(&proof));
    assert!(
        matches!(verdict, Err(VerifyError::Sumcheck { .. })),
        "{verdict:?}"
    );
}

#[test]
fn another_models_weights_are_refused() {
    let world = small();
    let other = setup(&mlp(1, &[8, 16, 10], 78)).unwrap();
    let trace = reference::trace(&mlp(1, &[8, 16, 10], 78), world.input()).unwrap();
    let output = trace.values.last().unwrap();
    // Everything is computed and opened with the other weights, under the true key's statement.
    let claim = statement(world.vk(), world.input(), output, &CONTEXT);
    let witness = Witness::new(&world.model.graph, other.vk.plan(), &trace).unwrap();
    // A cheat would absorb the true root, to get through to the openings.
    let mut swapped = other;
    swapped.vk = world.vk().clone();
    let proof = prove_witness(&swapped, claim, &witness).unwrap();
    let verdict = verify(world.vk(), world.input(), output, &CONTEXT, &encode(&proof));
    assert_eq!(verdict, Err(VerifyError::WeightOpening));
}

#[test]
fn claims_that_the_commitment_does_not_hold_are_refused() {
    let world = small();
    let truth = statement(world.vk(), world.input(), world.output(), &CONTEXT);
    let mut proof = prove_witness(&world.pk, truth, &world.witness()).unwrap();
    // Another root under the same messages: every challenge changes.
    proof.root[0] ^= 1;
    assert!(world.verify(&encode(&proof)).is_err());
    proof.root[0] ^= 1;
    // The openings of the two commitments, exchanged in part.
    proof.weights.whir.initial_ood_answers = proof.witness.whir.initial_ood_answers.clone();
    assert_eq!(
        world.verify(&encode(&proof)),
        Err(VerifyError::WeightOpening)
    );
}

#[test]
fn every_flipped_bit_is_refused() {
    let world = small();
    let mut random = Random::new(11);
    let len = world.proof.len();
    let mut positions: Vec<usize> = (0..40).map(|i| i * len / 40).collect();
    positions.extend((0..60).map(|_| random.between(0, len as i64 - 1) as usize));
    positions.extend([0, 4, 5, 6, 38, 70, 102, 134, 166, len - 1]);
    for position in positions {
        let mut proof = world.proof.clone();
        proof[position] ^= 1 << random.between(0, 7);
        let verdict = world.verify(&proof);
        assert!(verdict.is_err(), "byte {position} of {len}");
        match position {
            0 => assert_eq!(verdict, Err(FormatError::Magic.into())),
            4 => assert!(matches!(verdict, Err(VerifyError::Version(_)))),
            5 => assert!(matches!(verdict, Err(VerifyError::Profile(_)))),
            6 => assert_eq!(verdict, Err(VerifyError::WrongModel)),
            38 => assert_eq!(verdict, Err(VerifyError::WrongInput)),
            70 => assert_eq!(verdict, Err(VerifyError::WrongOutput)),
            102 => assert_eq!(verdict, Err(VerifyError::WrongContext)),
            134 => assert_eq!(verdict, Err(VerifyError::OutputMismatch)),
            _ => {}
        }
    }
}

#[test]
fn lengths_and_non_canonical_elements_are_refused() {
    let world = small();
    let proof = &world.proof;
    for cut in [0, 1, 100, 165, 166, 200, proof.len() / 2, proof.len() - 1] {
        let verdict = world.verify(&proof[..cut]);
        assert_eq!(verdict, Err(FormatError::Truncated.into()), "cut at {cut}");
    }
    let mut longer = proof.clone();
    longer.push(0);
    assert_eq!(world.verify(&longer), Err(FormatError::Trailing.into()));
    longer.resize(world.vk().max_proof_len() + 1, 0);
    assert!(matches!(
        world.verify(&longer),
        Err(VerifyError::Format(FormatError::TooLong(_)))
    ));
    // x and x + p are the same element: only one is accepted.
    let mut alias = proof.clone();
    let word = u32::from_le_bytes(alias[166..170].try_into().unwrap());
    alias[166..170].copy_from_slice(&(word.wrapping_add(0x7f00_0001)).to_le_bytes());
    assert_eq!(world.verify(&alias), Err(FormatError::NonCanonical.into()));
}

#[test]
fn a_claimed_count_is_bounded_before_anything_is_allocated() {
    let world = small();
    // Every aligned word set to the maximum: whichever of them is a count must be refused.
    for start in (166..world.proof.len() - 4).step_by(997) {
        let mut proof = world.proof.clone();
        proof[start..start + 4].fill(0xff);
        assert!(world.verify(&proof).is_err(), "at {start}");
    }
}

#[test]
fn mutated_proofs_never_panic_and_never_pass() {
    let world = small();
    let mut random = Random::new(12);
    for _ in 0..3000 {
        let mut proof = world.proof.clone();
        match random.between(0, 3) {
            0 => {
                let cut = random.between(0, proof.len() as i64 - 1) as usize;
                proof.truncate(cut);
            }
            1 => {
                let at = random.between(0, proof.len() as i64 - 1) as usize;
                proof.insert(at, random.between(0, 255) as u8);
            }
            2 => {
                let at = random.between(0, proof.len() as i64 - 1) as usize;
                proof.remove(at);
            }
            _ => {
                for _ in 0..random.between(1, 8) {
                    let at = random.between(0, proof.len() as i64 - 1) as usize;
                    proof[at] = random.between(0, 255) as u8;
                }
            }
        }
        if proof != world.proof {
            let verdict = world.verify(&proof);
            assert!(
                !matches!(verdict, Ok(()) | Err(VerifyError::Internal)),
                "{verdict:?}"
            );
        }
    }
}

#[test]
fn mutated_keys_never_panic_and_never_alias() {
    let bytes = small().vk().encode();
    let mut random = Random::new(13);
    for _ in 0..2000 {
        let mut mutated = bytes.clone();
        let at = random.between(0, mutated.len() as i64 - 1) as usize;
        match random.between(0, 2) {
            0 => mutated.truncate(at),
            1 => mutated[at] ^= 1 << random.between(0, 7),
            _ => mutated.insert(at, random.between(0, 255) as u8),
        }
        if let Ok(key) = VerifyingKey::decode(&mutated) {
            assert_eq!(key.encode(), mutated);
            assert_ne!(mutated, bytes);
        }
    }
}

#[test]
fn inputs_and_outputs_of_the_wrong_shape_are_refused_before_any_work() {
    let world = small();
    let verdict = verify(world.vk(), &[1; 7], world.output(), &CONTEXT, &world.proof);
    assert!(matches!(verdict, Err(VerifyError::Input(_))));
    let verdict = verify(
        world.vk(),
        &[500; 8],
        world.output(),
        &CONTEXT,
        &world.proof,
    );
    assert!(matches!(verdict, Err(VerifyError::Input(_))));
    let verdict = verify(
        world.vk(),
        world.input(),
        &[999; 10],
        &CONTEXT,
        &world.proof,
    );
    assert!(matches!(verdict, Err(VerifyError::Output(_))));
}

#[test]
fn a_trace_that_does_not_fit_is_refused_by_the_prover() {
    let world = small();
    let mut trace = world.trace.clone();
    trace.values.pop();
    assert!(prove(&world.pk, &trace, &CONTEXT).is_err());
    let mut trace = world.trace.clone();
    trace.values[1][0] = i32::MAX;
    assert!(prove(&world.pk, &trace, &CONTEXT).is_err());
}

#[test]
fn a_change_of_layout_is_proved_element_by_element() {
    // In `residual`, the second linear re-reads a 3 × 5 value as one row of 15.
    let world = World::new(residual(), 4);
    let linear = world
        .vk()
        .plan()
        .steps
        .iter()
        .filter(|s| matches!(s, crate::plan::Step::Relayout { .. }))
        .count();
    assert!(linear > 0, "the graph has no change of layout");
    // Exchanging two elements on the way from one reading to the other breaks a product: the
    // later values are a true run of a permuted tensor.
    let mut trace = world.trace.clone();
    let at = 4;
    let z = &mut trace.values[at];
    let i = (1..z.len()).find(|&i| z[i] != z[0]).unwrap();
    z.swap(0, i);
    let flat = trace.values[at].clone();
    trace.values[at + 1] = flat;
    let witness = Witness::new(&world.model.graph, world.vk().plan(), &trace).unwrap();
    let truth = statement(world.vk(), world.input(), world.output(), &CONTEXT);
    let proof = prove_witness(&world.pk, truth, &witness).unwrap();
    assert!(world.verify(&encode(&proof)).is_err());
}

#[test]
fn a_false_sum_is_refused() {
    let world = World::new(residual(), 4);
    // A true rounding of a false residual sum.
    let mut trace = world.trace.clone();
    trace.values[3][2] += 4;
    let (u, _) = crate::witness::split(trace.values[3][2], 2);
    trace.values[4][2] = u.clamp(-100, 100) as i32;
    let witness = Witness::new(&world.model.graph, world.vk().plan(), &trace).unwrap();
    let truth = statement(world.vk(), world.input(), world.output(), &CONTEXT);
    let proof = prove_witness(&world.pk, truth, &witness).unwrap();
    let verdict = world.verify(&encode(&proof));
    assert!(
        matches!(
            verdict,
            Err(VerifyError::Add { .. } | VerifyError::Sumcheck { .. })
        ),
        "{verdict:?}"
    );
}

#[test]
fn cost_grows_with_the_work() {
    let cost = |model: &Model| setup(model).unwrap().verifying_key().cost().gas();
    let small = cost(&mlp(1, &[8, 16, 10], 1));
    let digit = cost(&mlp(1, &[64, 128, 128, 10], 1));
    let batch = cost(&mlp(64, &[64, 128, 128, 10], 1));
    assert!(small < digit && digit < batch, "{small} {digit} {batch}");
}
