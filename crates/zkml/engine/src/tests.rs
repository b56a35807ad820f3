use hallmark_graph::testing::{random_input, random_model};
use hallmark_graph::{
    AxisMap, Builder, Constant, Elements, Input, Model, Op, Range, Scale, Shape, TableSpec, Trace,
    ValueId, reference,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{EngineError, Prepared, run, run_batch, trace};

const ONE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

fn input(shape: &[u32], lo: i32, hi: i32) -> Input {
    Input {
        shape: Shape(shape.to_vec()),
        range: Range { lo, hi },
        scale: ONE,
    }
}

/// The reference's trace with constants left empty.
fn expected(model: &Model, input: &[i32]) -> Trace {
    let mut trace = reference::trace(model, input).unwrap();
    let first = model.graph.inputs.len();
    for (value, node) in trace.values[first..].iter_mut().zip(&model.graph.nodes) {
        if matches!(node.op, Op::Constant { .. }) {
            value.clear();
        }
    }
    trace
}

fn assert_equal(model: &Model, seed: u64) {
    let prepared = Prepared::new(model.clone()).unwrap();
    let inputs: Vec<_> = (0..3).map(|i| random_input(model, seed ^ i)).collect();
    let batch = run_batch(&prepared, &inputs).unwrap();
    for (input, result) in inputs.iter().zip(batch) {
        assert_eq!(trace(&prepared, input).unwrap(), expected(model, input));
        assert_eq!(result, reference::run(model, input).unwrap());
        assert_eq!(result, run(&prepared, input).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_engine_equals_the_reference_on_random_graphs(seed: u64, input: u64) {
        assert_equal(&random_model(seed), input);
    }
}

fn finish(mut builder: Builder, outputs: &[ValueId]) -> Model {
    for &value in outputs {
        builder.output(value, ONE).unwrap();
    }
    builder.finish().unwrap()
}

/// A square layer on rows of the range, elements of the constant in ±`weight`.
fn layer(rows: u32, size: u32, range: (i32, i32), weight: i32) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut builder = Builder::new(vec![input(&[rows, size], range.0, range.1)]);
    let values: Vec<i32> = (0..size * size)
        .map(|_| rng.random_range(-weight..=weight))
        .collect();
    let constant = Constant {
        elements: Elements::narrowest(&values),
        multipliers: (0..size).map(|i| if i == 0 { 2 } else { 1 }).collect(),
    };
    let constant = builder.constant(Shape(vec![size, size]), constant).unwrap();
    let v = builder.matmul(0, constant, 0, 1).unwrap();
    let table = TableSpec::Clamp {
        bits: 16,
        lo: -128,
        hi: 127,
    };
    let y = builder.lookup(v, 14, table).unwrap();
    finish(builder, &[y])
}

#[test]
fn threads_split_rows_and_columns_without_changing_a_bit() {
    for (rows, size) in [(1, 1500), (4, 1030), (40, 300)] {
        for (range, weight) in [((-128, 127), 127), ((-1500, 1500), 200), ((0, 70_000), 5)] {
            let model = layer(rows, size, range, weight);
            assert!(model.graph.macs() >= 1 << 21, "too small to be split");
            assert_equal(&model, 5);
        }
    }
}

#[test]
fn large_tensors_split_over_threads_without_changing_a_bit() {
    let along = |axis: u8, offset: i32, stride: i32| AxisMap::Affine {
        offset,
        terms: vec![(axis, stride)],
    };
    let mut b = Builder::new(vec![input(&[3, 250, 401], -100, 100)]);
    let turned = b
        .view(
            0,
            vec![along(2, 0, 1), along(1, -2, 1), along(0, 400, -1)],
            Shape(vec![401, 253, 3]),
        )
        .unwrap();
    let square = b.mul(turned, turned).unwrap();
    let mixed = b.combine(&[(square, 3), (turned, -70)], 5).unwrap();
    let entries = (0..1i32 << 12).map(|i| (i * i) % 8191 - 3000).collect();
    let y = b.lookup(mixed, 6, TableSpec::Explicit(entries)).unwrap();
    let z = b.shift(y, 3, 12).unwrap();
    let sums = b.sum(z, &[0, 2]).unwrap();
    assert_equal(&finish(b, &[sums, z]), 9);
}

#[test]
fn random_graphs_reach_every_kernel() {
    let (mut bytes, mut halves, mut words, mut few, mut runtime) = (0, 0, 0, 0, 0);
    for model in (0..1000).map(random_model) {
        let prepared = Prepared::new(model).unwrap();
        let text = format!("{prepared:?}");
        bytes += text.matches("Bytes {").count();
        halves += text.matches("Halves(").count();
        words += text.matches("Words(").count();
        few += text.matches("Columns(").count();
        runtime += text.matches("Product(").count();
    }
    let counts = [bytes, halves, words, few, runtime];
    assert!(counts.iter().all(|&count| count > 10), "{counts:?}");
}

#[test]
fn far_padding_is_read_element_by_element() {
    let mut b = Builder::new(vec![input(&[4, 5], -100, 100)]);
    let far = AxisMap::Affine {
        offset: -1_000_000_000,
        terms: vec![(0, 1_000_000_001)],
    };
    let near = AxisMap::Affine {
        offset: 1,
        terms: vec![(1, 1)],
    };
    let y = b.view(0, vec![far, near], Shape(vec![2, 5])).unwrap();
    let model = finish(b, &[y]);
    assert!(format!("{:?}", Prepared::new(model.clone()).unwrap()).contains("Sparse"));
    assert_equal(&model, 4);
}

#[test]
fn an_input_of_the_wrong_length_or_range_is_refused_with_its_index() {
    let model = layer(2, 8, (-128, 127), 100);
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
    let mut model = layer(1, 4, (-128, 127), 100);
    let Elements::I8(elements) = &mut model.weights.constants[0].elements else {
        panic!("bytes expected");
    };
    elements[0] ^= 64;
    assert!(matches!(Prepared::new(model), Err(EngineError::Model(_))));
}
