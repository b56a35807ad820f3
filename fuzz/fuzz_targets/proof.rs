//! The verifier on hostile proofs: refuses without a panic, and accepts nothing but the honest one.
//!
//! The first byte chooses: raw bytes as a proof, or an honest proof with bytes of the input laid
//! over it.
#![no_main]
use hallmark_graph::{Builder, Constant, Elements, Input, Range, Scale, Shape, TableSpec};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

struct World {
    key: hallmark_proof::VerifyingKey,
    input: Vec<i32>,
    output: Vec<i32>,
    proof: Vec<u8>,
}

static WORLD: OnceLock<World> = OnceLock::new();

fn world() -> World {
    let scale = Scale { multiplier: 1, shift: 0 };
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![1, 4]),
        range: Range { lo: -128, hi: 127 },
        scale,
    }]);
    let weights = Constant {
        elements: Elements::I8((0..16).map(|i| i * 7 - 50).collect()),
        multipliers: vec![30; 4],
    };
    let weights = builder.constant(Shape(vec![4, 4]), weights).expect("weights");
    let v = builder.matmul(0, weights, 0, 1).expect("a product");
    let v = builder.combine(&[(v, 1)], 90).expect("a bias");
    let relu = TableSpec::Clamp { bits: 12, lo: 0, hi: 127 };
    let y = builder.lookup(v, 12, relu).expect("relu");
    // A square in another order, so that the walk has every kind of step.
    let square = builder.mul(y, y).expect("a square");
    let flat = builder.reshape(square, Shape(vec![4])).expect("a reshape");
    let table = TableSpec::Explicit((0..128).map(|i| 40 - i).collect());
    let z = builder.lookup(flat, 9, table).expect("a table");
    builder.output(z, scale).expect("an output");
    let model = builder.finish().expect("a model");
    let pk = hallmark_proof::setup(&model).expect("setup");
    let input = vec![1, -2, 3, 100];
    let trace = hallmark_graph::reference::trace(&model, &input).expect("a run");
    let proof = hallmark_proof::prove(&pk, &trace, &[7; 32]).expect("a proof");
    World {
        key: pk.verifying_key().clone(),
        output: trace.values[model.graph.outputs[0].value as usize].clone(),
        input,
        proof,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let world = WORLD.get_or_init(world);
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut proof = rest.to_vec();
    if first & 1 == 1 {
        proof = world.proof.clone();
        // Pairs of position (two bytes) and value.
        for change in rest.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) * 2 % proof.len();
            proof[at] ^= change[2];
        }
    }
    let verdict = hallmark_proof::verify(&world.key, &world.input, &world.output, &[7; 32], &proof);
    assert!(!matches!(verdict, Err(hallmark_proof::VerifyError::Internal)), "a panic was caught");
    assert_eq!(verdict.is_ok(), proof == world.proof, "only the honest proof is accepted");
});
