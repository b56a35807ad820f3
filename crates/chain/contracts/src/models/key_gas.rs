//! What it costs to decode a verifying key, and whether its gas covers that.

use std::time::{Duration, Instant};

use hallmark_graph::{
    Builder, Graph, Input, LinearWeights, Model, Range, Scale, Shape, Table, ValueId,
};
use hallmark_proof::VerifyingKey;

use crate::{
    testing::MemoryHost,
    world::{OWNER, model},
};

const SCALE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

fn builder(shape: Vec<u32>) -> Builder {
    Builder::new(Input {
        shape: Shape(shape),
        range: Range { lo: -8, hi: 8 },
        scale: SCALE,
    })
}

/// A `Linear` whose result is zero, so that no range grows.
fn nothing(builder: &mut Builder, input: ValueId, width: usize) -> ValueId {
    let weights = LinearWeights {
        w: vec![0; width * width],
        b: vec![0; width],
        m: vec![1; width],
    };
    builder.linear(input, weights).unwrap()
}

/// The classifier of the documentation: 64-128-128-10.
fn digits() -> Graph {
    let mut builder = builder(vec![1, 64]);
    let mut value = 0;
    for (inner, cols) in [(64, 128), (128, 128), (128, 10)] {
        let weights = LinearWeights {
            w: vec![1; inner * cols],
            b: vec![0; cols],
            m: vec![100; cols],
        };
        let table = Table::Clamp {
            bits: 12,
            lo: 0,
            hi: 127,
        };
        value = builder.linear(value, weights).unwrap();
        value = builder.requant(value, 14, table).unwrap();
    }
    builder.finish(SCALE).unwrap().graph
}

/// Every claim on a value becomes two on the value two layers below: `2^depth` claims from few
/// bytes, and each looks through `reshapes` changes of shape.
fn fan_out(depth: usize, reshapes: usize) -> Graph {
    let mut builder = builder(vec![1, 1]);
    let mut value = 0;
    for _ in 0..reshapes {
        value = builder.reshape(value, Shape(vec![1, 1])).unwrap();
    }
    for _ in 0..depth {
        let a = nothing(&mut builder, value, 1);
        let b = nothing(&mut builder, value, 1);
        value = builder.add((a, 1), (b, 1)).unwrap();
    }
    builder.finish(SCALE).unwrap().graph
}

/// One large tensor, rounded over and over.
fn large(elements: u32, requants: usize) -> Graph {
    let mut builder = builder(vec![1, elements]);
    let mut value = 0;
    for _ in 0..requants {
        let table = Table::Clamp {
            bits: 12,
            lo: -9,
            hi: 9,
        };
        value = builder.requant(value, 1, table).unwrap();
    }
    builder.finish(SCALE).unwrap().graph
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

fn decoding_gas(bytes: &[u8]) -> u64 {
    let mut host = MemoryHost::new(&crate::testing::spec(&[OWNER]));
    // Outside of a call the host's gas is counted from its maximum.
    let before = host.gas_left();
    // Refused or not, the gas is taken.
    let _ = super::decode_key(&mut host, bytes);
    before - host.gas_left()
}

/// The fastest of some runs: what the work costs when nothing else runs.
fn time(bytes: &[u8]) -> Duration {
    let once = |_| {
        let start = Instant::now();
        let decoded = VerifyingKey::decode(bytes);
        let elapsed = start.elapsed();
        drop(decoded);
        elapsed
    };
    (0..9).map(once).min().expect("several runs")
}

#[test]
#[ignore = "a measurement: run it alone, in an optimised build, with --nocapture"]
fn decoding_a_key_takes_no_longer_than_its_gas_says() {
    let keys = [
        ("digits", digits()),
        ("fan-out 12", fan_out(12, 0)),
        ("fan-out 11 through 2,700 reshapes", fan_out(11, 2_700)),
        ("2,700 reshapes", fan_out(0, 2_700)),
        ("2^20 elements, 2 requants", large(1 << 20, 2)),
        ("2^12 elements, 1,000 requants", large(1 << 12, 1_000)),
    ];
    let mut covered = true;
    for (name, graph) in keys {
        let bytes = key(&graph);
        let time = time(&bytes);
        let gas = decoding_gas(&bytes);
        let verdict = VerifyingKey::decode(&bytes).map(|key| key.cost().gas());
        println!(
            "{name}: {} bytes, {time:.2?}, {gas} gas, {verdict:?}",
            bytes.len()
        );
        covered &= time.as_nanos() <= u128::from(gas);
    }
    assert!(covered, "one gas is one nanosecond");
}
