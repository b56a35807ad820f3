//! Honest proofs of many graphs, and a kit of cheats, each refused for its own reason.

/// Each function as a test of every profile.
macro_rules! of_every_profile {
    ($($test:ident),+ $(,)?) => {
        mod standard {
            $(#[test]
            fn $test() {
                super::$test(super::Profile::Standard);
            })+
        }
        mod short {
            $(#[test]
            fn $test() {
                super::$test(super::Profile::Short);
            })+
        }
    };
}

mod batch;
mod bytes;
mod cheats;
mod cuts;
mod decoders;
mod hiding;
mod lies;
mod operators;
mod profiles;
mod recipes;
mod refusals;
mod secrecy;

use hallmark_graph::{
    Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec, Trace, ValueId,
    reference, testing,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::proof::{Statement, encode};
use crate::prover::prove_witness;
use crate::statement::{Inputs, statement};
use crate::witness::Witness;
use crate::{
    Profile, ProvingKey, VerifyError, VerifyingKey, commit_input, mask_output, prove,
    prove_private, security_report, setup, setup_with, unmask_output, verify, verify_private,
};

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

    /// The lies of the kit: others with another `HALLMARK_SEED`.
    fn of_kit(seed: u64) -> Self {
        let asked = std::env::var("HALLMARK_SEED").unwrap_or_default();
        let asked = match asked.as_str() {
            "" => 0,
            text => text.parse().expect("HALLMARK_SEED is a whole number"),
        };
        Self::new(seed.wrapping_add(asked << 16))
    }

    /// Uniform in `[lo, hi]`, up to a bias that does not matter here.
    fn between(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.0.next_u64() % (hi - lo + 1) as u64) as i64
    }

    fn values(&mut self, count: usize, lo: i64, hi: i64) -> Vec<i32> {
        (0..count).map(|_| self.between(lo, hi) as i32).collect()
    }
}

fn shape(dims: &[u32]) -> Shape {
    Shape(dims.to_vec())
}

fn input(dims: &[u32], lo: i32, hi: i32) -> Input {
    Input {
        shape: shape(dims),
        range: Range { lo, hi },
        scale: SCALE,
    }
}

fn clamp(lo: i32, hi: i32) -> TableSpec {
    TableSpec::Clamp { bits: 12, lo, hi }
}

fn constant(b: &mut Builder, dims: &[u32], values: &[i32]) -> ValueId {
    let constant = Constant {
        elements: Elements::narrowest(values),
        multipliers: Vec::new(),
    };
    b.constant(shape(dims), constant).unwrap()
}

fn finish(mut b: Builder, outputs: &[ValueId]) -> Model {
    for &value in outputs {
        b.output(value, SCALE).unwrap();
    }
    b.finish().unwrap()
}

/// `x·W + bias` of a matrix, weights scaled a column.
fn dense(b: &mut Builder, x: ValueId, (rows, inner, cols): (u32, u32, u32), seed: u64) -> ValueId {
    let mut random = Random::new(seed);
    let mut multipliers: Vec<u16> = (0..cols).map(|_| random.between(20, 60) as u16).collect();
    multipliers[0] = 21;
    let weights = Constant {
        elements: Elements::narrowest(&random.values((inner * cols) as usize, -127, 127)),
        multipliers,
    };
    let w = b.constant(shape(&[inner, cols]), weights).unwrap();
    let bias = random.values(cols as usize, -40_000, 40_000);
    let bias = constant(b, &[cols], &bias);
    let bias = repeat(b, bias, rows, cols);
    let product = b.matmul(x, w, 0, 1).unwrap();
    b.combine(&[(product, 1), (bias, 1)], 0).unwrap()
}

/// A row repeated.
fn repeat(b: &mut Builder, row: ValueId, rows: u32, cols: u32) -> ValueId {
    let map = hallmark_graph::AxisMap::Affine {
        offset: 0,
        terms: vec![(1, 1)],
    };
    b.view(row, vec![map], shape(&[rows, cols])).unwrap()
}

/// Dense layers of the given widths with Relu between.
fn mlp(rows: u32, widths: &[u32], seed: u64) -> Model {
    let mut b = Builder::new(vec![input(&[rows, widths[0]], 0, 127)]);
    let mut x = 0;
    for (i, pair) in widths.windows(2).enumerate() {
        let v = dense(&mut b, x, (rows, pair[0], pair[1]), seed + i as u64);
        let lo = if i + 2 == widths.len() { -128 } else { 0 };
        x = b.lookup(v, 15, clamp(lo, 127)).unwrap();
    }
    finish(b, &[x])
}

struct World {
    model: Model,
    pk: ProvingKey,
    trace: Trace,
    proof: Vec<u8>,
}

impl World {
    fn new(model: Model, seed: u64) -> Self {
        Self::with(model, seed, Profile::Standard)
    }

    fn with(model: Model, seed: u64, profile: Profile) -> Self {
        let input = testing::random_input(&model, seed);
        let pk = setup_with(&model, profile).unwrap();
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

    fn input(&self) -> Vec<i32> {
        self.trace.values[..self.model.graph.inputs.len()].concat()
    }

    fn output(&self) -> Vec<i32> {
        output_of(&self.model, &self.trace)
    }

    fn verify(&self, proof: &[u8]) -> Result<(), VerifyError> {
        verify(self.vk(), &self.input(), &self.output(), &CONTEXT, proof)
    }

    fn truth(&self) -> Statement {
        statement(
            self.vk(),
            Inputs::Public(&self.input()),
            &self.output(),
            &CONTEXT,
        )
    }

    /// Runs a cheating prover under the true statement.
    fn cheat_bytes<'a>(&'a self, change: impl FnOnce(&mut Witness<'a>)) -> Vec<u8> {
        let mut witness = self.pk.witness(&self.trace).unwrap();
        change(&mut witness);
        encode(&prove_witness(&self.pk, self.truth(), &witness).unwrap())
    }

    /// What the verifier says to a cheat.
    fn cheat<'a>(&'a self, change: impl FnOnce(&mut Witness<'a>)) -> Result<(), VerifyError> {
        self.verify(&self.cheat_bytes(change))
    }

    /// Proves a trace whose lookups are true to it, under the true statement.
    fn cheat_by(&self, trace: &Trace) -> Result<(), VerifyError> {
        let witness = self.pk.witness(trace).unwrap();
        self.verify(&encode(
            &prove_witness(&self.pk, self.truth(), &witness).unwrap(),
        ))
    }
}

fn output_of(model: &Model, trace: &Trace) -> Vec<i32> {
    let outputs = model.graph.outputs.iter();
    outputs
        .flat_map(|o| trace.values[o.value as usize].clone())
        .collect()
}

fn small() -> World {
    small_of(Profile::Standard)
}

fn small_of(profile: Profile) -> World {
    World::with(mlp(1, &[8, 16, 10], 1), 2, profile)
}

#[test]
fn dense_models_of_odd_and_even_widths_verify() {
    for (name, model) in [
        ("digit", mlp(1, &[64, 128, 128, 10], 1)),
        ("one layer", mlp(1, &[3, 1], 2)),
        ("batch of three, odd widths", mlp(3, &[5, 7, 3], 3)),
        ("batch of four", mlp(4, &[8, 8, 4], 4)),
    ] {
        let world = World::new(model, 9);
        assert_eq!(world.verify(&world.proof), Ok(()), "{name}");
        assert!(world.proof.len() <= world.vk().max_proof_len(), "{name}");
        let bits = security_report(world.vk()).bits();
        assert!(bits >= 100.0, "{name}: {bits} bits");
    }
}

#[test]
fn random_models_over_every_operator_verify() {
    for seed in 0..150 {
        let world = World::new(testing::random_model(seed), seed);
        assert_eq!(world.verify(&world.proof), Ok(()), "seed {seed}");
        assert!(
            world.proof.len() <= world.vk().max_proof_len(),
            "seed {seed}"
        );
        assert!(security_report(world.vk()).bits() >= 100.0, "seed {seed}");
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
    let verdict = verify(&decoded, &a.input(), &a.output(), &CONTEXT, &a.proof);
    assert_eq!(verdict, Ok(()));
}

#[test]
fn cost_grows_with_the_work() {
    let cost = |model: &Model| setup(model).unwrap().verifying_key().cost().gas();
    let small = cost(&mlp(1, &[8, 16, 10], 1));
    let digit = cost(&mlp(1, &[64, 128, 128, 10], 1));
    let batch = cost(&mlp(64, &[64, 128, 128, 10], 1));
    assert!(small < digit && digit < batch, "{small} {digit} {batch}");
}
