use hallmark_graph::{
    Builder, Input, LinearWeights, Model, Op, Range, Scale, Shape, Table, ValueId, reference,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{EngineError, Prepared, run, run_batch, trace};

const ONE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

fn weights(rng: &mut ChaCha8Rng, inner: usize, cols: usize, m: u16) -> LinearWeights {
    LinearWeights {
        w: (0..inner * cols).map(|_| rng.random()).collect(),
        b: (0..cols).map(|_| rng.random_range(-5000..5000)).collect(),
        m: (0..cols).map(|_| rng.random_range(1..=m)).collect(),
    }
}

/// A requantisation that fits the range of `value`, with a random clamp.
fn requant(rng: &mut ChaCha8Rng, builder: &mut Builder, value: ValueId) -> ValueId {
    let range = builder.graph().range(value).unwrap();
    let bits = rng.random_range(8..=16u8);
    let shift = (0..=30 - bits)
        .find(|&s| hallmark_graph::bounds::requant_fits(range, s, bits))
        .unwrap();
    let half = 1 << (bits - 1);
    let (a, b) = (rng.random_range(-half..half), rng.random_range(-half..half));
    let table = Table::Clamp {
        bits,
        lo: a.min(b),
        hi: a.max(b),
    };
    builder.requant(value, shift, table).unwrap()
}

/// A chain with residual branches over all operators, narrow and wide operands alike.
fn random_model(seed: u64) -> Model {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let (rows, inner) = (rng.random_range(1..12), rng.random_range(1..40));
    let lo = rng.random_range(-300..1);
    let mut builder = Builder::new(Input {
        shape: Shape(vec![rows, inner]),
        range: Range {
            lo,
            hi: lo + rng.random_range(0..400),
        },
        scale: ONE,
    });
    let mut value: ValueId = 0;
    for _ in 0..rng.random_range(1..6) {
        let shape = builder.graph().shape(value).unwrap().clone();
        let inner = shape.last() as usize;
        match rng.random_range(0..4) {
            0 => value = requant(rng, &mut builder, value),
            1 => {
                let cols = rng.random_range(1..70);
                let parameters = weights(rng, inner, cols, 8);
                if let Ok(v) = builder.linear(value, parameters) {
                    value = requant(rng, &mut builder, v);
                }
            }
            2 => {
                let parameters = weights(rng, inner, inner, 3);
                if let Ok(v) = builder.linear(value, parameters) {
                    let branch = requant(rng, &mut builder, v);
                    let pair = (rng.random_range(1..40), -rng.random_range(1..40));
                    let sum = builder.add((value, pair.0), (branch, pair.1)).unwrap();
                    value = requant(rng, &mut builder, sum);
                }
            }
            _ => {
                let elements = u32::try_from(shape.elements()).unwrap();
                let last = (1..=elements)
                    .filter(|d| elements.is_multiple_of(*d) && *d <= 60)
                    .max()
                    .unwrap();
                let shape = Shape(vec![1, elements / last, last]);
                value = builder.reshape(value, shape).unwrap();
            }
        }
    }
    if builder.graph().nodes.is_empty() {
        requant(rng, &mut builder, value);
    }
    builder.finish(ONE).unwrap()
}

fn random_input(model: &Model, seed: u64) -> Vec<i32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let Range { lo, hi } = model.graph.input.range;
    // The ends of the range are where sums are largest.
    let ends = rng.random_bool(0.3);
    (0..model.graph.input_len())
        .map(|_| match ends {
            true if rng.random() => lo,
            true => hi,
            false => rng.random_range(lo..=hi),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_engine_equals_the_reference_on_random_graphs(seed: u64, input: u64) {
        let model = random_model(seed);
        let inputs: Vec<_> = (0..3).map(|i| random_input(&model, input ^ i)).collect();
        let prepared = Prepared::new(model.clone()).unwrap();
        for input in &inputs {
            let expected = reference::trace(&model, input).unwrap();
            prop_assert_eq!(&trace(&prepared, input).unwrap(), &expected);
            prop_assert_eq!(&run(&prepared, input).unwrap(), expected.values.last().unwrap());
            for (value, range) in expected.values.iter().zip(0..).map(|(v, id)| (v, model.graph.range(id).unwrap())) {
                prop_assert!(value.iter().all(|v| range.contains(*v)), "range {} is wrong", range);
            }
        }
        let batch = run_batch(&prepared, &inputs).unwrap();
        for (input, result) in inputs.iter().zip(batch) {
            prop_assert_eq!(run(&prepared, input).unwrap(), result);
        }
    }

    #[test]
    fn random_models_survive_their_file(seed: u64) {
        let model = random_model(seed);
        prop_assert_eq!(Model::decode(&model.encode()).unwrap(), model);
    }
}

fn wide_model(rows: u32, size: usize) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut builder = Builder::new(Input {
        shape: Shape(vec![rows, u32::try_from(size).unwrap()]),
        range: Range { lo: -128, hi: 127 },
        scale: ONE,
    });
    let parameters = LinearWeights {
        w: (0..size * size).map(|_| rng.random()).collect(),
        b: vec![-9; size],
        m: vec![2; size],
    };
    let v = builder.linear(0, parameters).unwrap();
    let table = Table::Clamp {
        bits: 16,
        lo: -128,
        hi: 127,
    };
    builder.requant(v, 14, table).unwrap();
    builder.finish(ONE).unwrap()
}

#[test]
fn threads_split_rows_and_columns_without_changing_a_bit() {
    for (rows, size) in [(1, 1500), (4, 1030), (40, 300)] {
        let model = wide_model(rows, size);
        let input = random_input(&model, 5);
        let prepared = Prepared::new(model.clone()).unwrap();
        assert!(prepared.graph().macs() >= 1 << 21, "too small to be split");
        assert_eq!(
            trace(&prepared, &input).unwrap(),
            reference::trace(&model, &input).unwrap()
        );
    }
}

#[test]
fn random_graphs_cover_every_operator_and_both_kernels() {
    let models: Vec<_> = (0..200).map(random_model).collect();
    let nodes = || {
        models
            .iter()
            .flat_map(|m| m.graph.nodes.iter().map(move |n| (m, n)))
    };
    for name in ["Linear", "Add", "Requant", "Reshape"] {
        assert!(nodes().any(|(_, node)| node.op.name() == name), "{name}");
    }
    let levels = |(model, node): (&Model, &hallmark_graph::Node)| match node.op {
        Op::Linear { input, .. } => model.graph.range(input).map(|r| r.hi - r.lo),
        _ => None,
    };
    assert!(nodes().filter_map(levels).any(|levels| levels <= 255));
    assert!(nodes().filter_map(levels).any(|levels| levels > 255));
}

#[test]
fn an_input_of_the_wrong_length_or_range_is_refused_with_its_index() {
    let model = wide_model(2, 8);
    let prepared = Prepared::new(model.clone()).unwrap();
    let good = random_input(&model, 1);
    let mut bad = good.clone();
    bad[3] = 128;
    let error = run_batch(&prepared, &[good.clone(), bad]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input 1: element 3 is 128, outside [-128, 127]"
    );
    assert!(matches!(
        run(&prepared, &good[1..]),
        Err(EngineError::Input { .. })
    ));
}

#[test]
fn a_model_whose_ranges_are_wrong_is_refused() {
    let mut model = wide_model(1, 4);
    model.weights.linear[0].w[0] ^= 64;
    assert!(matches!(Prepared::new(model), Err(EngineError::Model(_))));
}
