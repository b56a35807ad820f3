//! The verifier on hostile proofs: refuses without a panic, and accepts nothing but the honest one.
//!
//! The first byte chooses: bit 0 raw bytes as a proof, or an honest proof with bytes of the input laid
//! over it; bit 1 public or private inputs; bit 2 the profile; bit 3 one run, or a batch of two.
#![no_main]
use hallmark_graph::{Builder, Constant, Elements, Input, Range, Scale, Shape, TableSpec};
use hallmark_proof::{BatchStatement, Inputs, InputSecret, Profile, VerifyError, VerifyingKey};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

mod seeds;

const CONTEXT: [u8; 32] = [7; 32];

/// Both profiles of one model, and proofs of one run.
struct World {
    key: VerifyingKey,
    input: Vec<i32>,
    output: Vec<i32>,
    commitment: [u8; 32],
    masked: Vec<u32>,
    /// Of public inputs, of private ones.
    proofs: [Vec<u8>; 2],
    /// The same of two runs in one proof.
    batches: [Vec<u8>; 2],
}

static WORLDS: OnceLock<[World; 2]> = OnceLock::new();

fn worlds() -> &'static [World; 2] {
    WORLDS.get_or_init(|| Profile::ALL.map(world))
}

fn world(profile: Profile) -> World {
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
    let pk = hallmark_proof::setup_with(&model, profile).expect("setup");
    let input = vec![1, -2, 3, 100];
    let trace = hallmark_graph::reference::trace(&model, &input).expect("a run");
    let output = model.graph.join_output(&trace.values);
    let secret = InputSecret::from_bytes([3; 32]);
    let public = hallmark_proof::prove(&pk, &trace, &CONTEXT).expect("a proof");
    let private = hallmark_proof::prove_private(&pk, &trace, &secret, &CONTEXT).expect("a proof");
    let batch = |secret| {
        let run = hallmark_proof::BatchRun { trace: &trace, secret };
        hallmark_proof::prove_batch(&pk, &[run, run], &CONTEXT).expect("a proof")
    };
    let batches = [batch(None), batch(Some(&secret))];
    World {
        batches,
        key: pk.verifying_key().clone(),
        commitment: hallmark_proof::commit_input(&model.graph, &input, &secret).expect("in range"),
        masked: hallmark_proof::mask_output(&model.graph, &output, &secret).expect("in range"),
        input,
        output,
        proofs: [public, private],
    }
}

impl World {
    /// The honest proof of the mode and the number of runs that a choice names.
    fn honest(&self, choice: u8) -> &Vec<u8> {
        let proofs = if choice >> 3 & 1 == 1 { &self.batches } else { &self.proofs };
        &proofs[usize::from(choice >> 1 & 1)]
    }
}

fn seed_proofs() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for choice in 0..16u8 {
        let mut seed = vec![choice];
        if choice & 1 == 0 {
            seed.extend(worlds()[usize::from(choice >> 2 & 1)].honest(choice));
        } else {
            seed.extend([9, 2, 0, 1]);
        }
        all.push(seed);
    }
    all
}

fuzz_target!(init: seeds::write(seed_proofs), |bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let world = &worlds()[usize::from(first >> 2 & 1)];
    let private = usize::from(first >> 1 & 1);
    let honest = world.honest(*first);
    let mut proof = rest.to_vec();
    if first & 1 == 1 {
        proof = honest.clone();
        // Position in three bytes, and what is added there.
        for change in rest.chunks_exact(4) {
            let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % proof.len();
            proof[at] ^= change[3];
        }
    }
    let verdict = if first >> 3 & 1 == 1 {
        let masked: Vec<i32> = world.masked.iter().map(|&x| x as i32).collect();
        let statement = if private == 1 {
            BatchStatement { inputs: Inputs::Private(&world.commitment), output: &masked }
        } else {
            BatchStatement { inputs: Inputs::Public(&world.input), output: &world.output }
        };
        hallmark_proof::verify_batch(&world.key, &[statement, statement], &CONTEXT, &proof)
    } else if private == 1 {
        hallmark_proof::verify_private(&world.key, &world.commitment, &world.masked, &CONTEXT, &proof)
    } else {
        hallmark_proof::verify(&world.key, &world.input, &world.output, &CONTEXT, &proof)
    };
    assert!(!matches!(verdict, Err(VerifyError::Internal)), "a panic was caught");
    // Raw bytes can be the honest proof that another process made, with other randomness: a seed.
    if private == 0 || first & 1 == 1 {
        assert_eq!(verdict.is_ok(), proof == *honest, "only the honest proof is accepted");
    }
});
