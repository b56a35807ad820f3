//! What it takes to decode a verifying key and to verify under it, and whether the gas covers it.
//! Measurements: they are run alone, in an optimised build, with `--ignored --nocapture`.

use std::time::{Duration, Instant};

use hallmark_graph::{
    Builder, Constant, Elements, Graph, Input, Model, Range, Scale, Shape, TableSpec, ValueId,
};
use hallmark_proof::VerifyingKey;
use hallmark_types::MarketParams;

use crate::{gas, world::model};

const SCALE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

fn builder(shape: Vec<u32>) -> Builder {
    Builder::new(vec![Input {
        shape: Shape(shape),
        range: Range { lo: -8, hi: 8 },
        scale: SCALE,
    }])
}

fn finish(mut builder: Builder, output: ValueId) -> Model {
    builder.output(output, SCALE).unwrap();
    builder.finish().unwrap()
}

/// The product with a constant matrix of equal entries.
fn product(builder: &mut Builder, input: ValueId, (inner, cols): (u32, u32), entry: i8) -> ValueId {
    let weights = Constant {
        elements: Elements::I8(vec![entry; (inner * cols) as usize]),
        multipliers: Vec::new(),
    };
    let weights = builder.constant(Shape(vec![inner, cols]), weights).unwrap();
    builder.matmul(input, weights, 0, 1).unwrap()
}

/// The classifier of the documentation: 64-128-128-10.
fn digits() -> Model {
    let mut builder = builder(vec![1, 64]);
    let mut value = 0;
    for layer in [(64, 128), (128, 128), (128, 10)] {
        let v = product(&mut builder, value, layer, 100);
        let table = TableSpec::Clamp {
            bits: 12,
            lo: 0,
            hi: 127,
        };
        value = builder.lookup(v, 14, table).unwrap();
    }
    finish(builder, value)
}

/// Every value is read twice by the next, and each reading looks through `reshapes` changes of
/// shape: without merging, claims would double with every layer.
fn fan_out(depth: usize, reshapes: usize) -> Graph {
    let mut builder = builder(vec![1, 1]);
    let mut value = 0;
    for _ in 0..reshapes {
        value = builder.reshape(value, Shape(vec![1, 1])).unwrap();
    }
    for _ in 0..depth {
        let a = product(&mut builder, value, (1, 1), 0);
        let b = product(&mut builder, value, (1, 1), 0);
        value = builder.combine(&[(a, 1), (b, 1)], 0).unwrap();
    }
    finish(builder, value).graph
}

/// One large tensor, rounded over and over.
fn large(elements: u32, lookups: usize) -> Graph {
    let mut builder = builder(vec![1, elements]);
    let mut value = 0;
    for _ in 0..lookups {
        let table = TableSpec::Clamp {
            bits: 12,
            lo: -9,
            hi: 9,
        };
        value = builder.lookup(value, 1, table).unwrap();
    }
    finish(builder, value).graph
}

/// A key of this graph under some commitment; decoding looks at no weights.
fn key(graph: &Graph) -> Vec<u8> {
    let model: Model = model();
    let known = hallmark_proof::setup(&model).unwrap();
    let mut bytes = known.verifying_key().encode();
    bytes.truncate(bytes.len() - model.graph.encode().len());
    bytes.extend(graph.encode());
    bytes
}

/// Gas that `finish` takes for decoding.
fn listing_gas(bytes: &[u8]) -> u64 {
    gas::KEY_LISTING + gas::KEY_DECODE_PER_BYTE * bytes.len() as u64
}

/// The fastest of some runs: what the work takes when nothing else runs.
fn fastest<T>(mut work: impl FnMut() -> T) -> Duration {
    let once = |_| {
        let start = Instant::now();
        let done = work();
        let elapsed = start.elapsed();
        drop(done);
        elapsed
    };
    (0..9).map(once).min().expect("several runs")
}

/// Whether one gas is at least one nanosecond.
fn covers(gas: u64, time: Duration) -> bool {
    time.as_nanos() <= u128::from(gas)
}

#[test]
#[ignore = "a measurement"]
fn decoding_a_key_takes_no_longer_than_its_gas_says() {
    let keys = [
        ("digits", digits().graph),
        ("2^12 claims", fan_out(12, 0)),
        ("2^10 claims", fan_out(10, 0)),
        ("2^12 claims through reshapes", fan_out(12, 2_000)),
        ("2^9 claims through reshapes", fan_out(9, 2_000)),
        ("reshapes", fan_out(0, 2_000)),
        ("2^20 elements, 2 requants", large(1 << 20, 2)),
        ("2^12 elements, 1,000 requants", large(1 << 12, 1_000)),
    ];
    let mut covered = true;
    for (name, graph) in keys {
        let bytes = key(&graph);
        let time = fastest(|| VerifyingKey::decode(&bytes));
        let listing = listing_gas(&bytes);
        let decoded = VerifyingKey::decode(&bytes).unwrap();
        let verifying = super::key_gas(decoded.cost(), bytes.len());
        println!(
            "{name}: {} bytes, {time:.2?}, {listing} gas to list, {verifying} in each verification",
            bytes.len()
        );
        covered &= covers(listing, time) && covers(verifying, time);
    }
    assert!(covered, "one gas is one nanosecond");
}

#[test]
#[ignore = "a measurement"]
fn decoding_the_key_and_verifying_take_no_longer_than_the_gas_of_a_verification() {
    let model = digits();
    let proving = hallmark_proof::setup(&model).unwrap();
    let bytes = proving.verifying_key().encode();
    let input = vec![3; model.graph.input_len()];
    let trace = hallmark_graph::reference::trace(&model, &input).unwrap();
    let output = &model.graph.join_output(&trace.values);
    let proof = hallmark_proof::prove(&proving, &trace, &[7; 32]).unwrap();
    let time = fastest(|| {
        let key = VerifyingKey::decode(&bytes).unwrap();
        hallmark_proof::verify(&key, &input, output, &[7; 32], &proof).unwrap();
    });
    let market = MarketParams::local();
    let gas = market.verify_base_gas
        + super::key_gas(proving.verifying_key().cost(), bytes.len())
        + market.verify_gas_per_byte * proof.len() as u64;
    println!(
        "digits: {} bytes of proof, {time:.2?}, {gas} gas",
        proof.len()
    );
    assert!(covers(gas, time), "one gas is one nanosecond");
}
