//! Times setup, proving and verification of a few dense models, on one thread and on all.
//!
//! `cargo run --release -p hallmark-proof --example measure`

use std::time::{Duration, Instant};

use hallmark_graph::{
    AxisMap, Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec, reference,
};
use hallmark_proof::{prove, security_report, setup, verify};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const SCALE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

fn mlp(rows: u32, widths: &[u32], rng: &mut ChaCha8Rng) -> Model {
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![rows, widths[0]]),
        range: Range { lo: 0, hi: 127 },
        scale: SCALE,
    }]);
    let mut x = 0;
    for pair in widths.windows(2) {
        let (inner, cols) = (pair[0], pair[1]);
        let weights: Vec<i32> = (0..inner * cols)
            .map(|_| (rng.next_u32() % 41) as i32 - 20)
            .collect();
        let weights = Constant {
            elements: Elements::narrowest(&weights),
            multipliers: (0..cols)
                .map(|_| 20 + (rng.next_u32() % 20) as u16)
                .collect(),
        };
        let bias: Vec<i32> = (0..cols).map(|_| (rng.next_u32() % 9999) as i32).collect();
        let bias = Constant {
            elements: Elements::narrowest(&bias),
            multipliers: Vec::new(),
        };
        let weights = builder
            .constant(Shape(vec![inner, cols]), weights)
            .expect("fits");
        let bias = builder.constant(Shape(vec![cols]), bias).expect("fits");
        let axes = vec![AxisMap::Affine {
            offset: 0,
            terms: vec![(1, 1)],
        }];
        let bias = builder
            .view(bias, axes, Shape(vec![rows, cols]))
            .expect("fits");
        let product = builder.matmul(x, weights, 0, 1).expect("fits");
        let v = builder
            .combine(&[(product, 1), (bias, 1)], 0)
            .expect("fits");
        let table = TableSpec::Clamp {
            bits: 12,
            lo: 0,
            hi: 127,
        };
        x = builder.lookup(v, 14, table).expect("fits");
    }
    builder.output(x, SCALE).expect("exists");
    builder.finish().expect("valid")
}

/// The fastest and the median of some runs.
fn time<T>(runs: usize, mut f: impl FnMut() -> T) -> (Duration, Duration, T) {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..runs {
        let start = Instant::now();
        last = Some(f());
        times.push(start.elapsed());
    }
    times.sort();
    (times[0], times[runs / 2], last.expect("at least one run"))
}

fn main() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let models = [
        ("digit 64-128-128-10", mlp(1, &[64, 128, 128, 10], &mut rng)),
        ("mlp 784-128-10", mlp(1, &[784, 128, 10], &mut rng)),
        ("digit x64", mlp(64, &[64, 128, 128, 10], &mut rng)),
    ];
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread pool");
    for (name, model) in models {
        let (setup_min, _, pk) = time(1, || setup(&model).expect("fits"));
        let vk = pk.verifying_key();
        let input: Vec<i32> = (0..model.graph.input_len())
            .map(|_| (rng.next_u32() % 128) as i32)
            .collect();
        let trace = reference::trace(&model, &input).expect("in range");
        let output = trace.values.last().expect("has values");
        let context = [3; 32];
        let prove_once = || prove(&pk, &trace, &context).expect("proves");
        let (all, all_p50, proof) = time(15, prove_once);
        let (single, single_p50, _) = one.install(|| time(15, prove_once));
        let check = || verify(vk, &input, output, &context, &proof).expect("verifies");
        let (verify_min, verify_p50, ()) = one.install(|| time(31, check));
        let cost = vk.cost();
        println!("{name}: setup {setup_min:.2?}");
        println!(
            "  prove   {all:.2?} / {all_p50:.2?} (all threads), {single:.2?} / {single_p50:.2?} (one thread)   min / median"
        );
        println!(
            "  verify  {verify_min:.2?} / {verify_p50:.2?}, proof {} bytes (at most {})",
            proof.len(),
            vk.max_proof_len()
        );
        println!("  gas     {} {cost:?}", cost.gas());
        println!("  {:.1} bits", security_report(vk).bits());
        for term in security_report(vk).terms {
            println!("    {:<22} {:.1}", term.name, term.bits);
        }
    }
}
