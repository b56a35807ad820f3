//! Bounds are computed: whatever the input, no value of the integer model leaves its range.

use hallmark_graph::reference;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::world::{World, compiled, options};
use crate::compile::Compiled;

/// Inputs at one end, at either end at random, alternating, at one extreme element, and anywhere.
fn inputs(compiled: &Compiled, rng: &mut ChaCha8Rng, count: usize) -> Vec<Vec<i32>> {
    let declared: Vec<_> = compiled
        .model
        .graph
        .inputs
        .iter()
        .flat_map(|input| std::iter::repeat_n(input.range, input.shape.elements()))
        .collect();
    let mut all: Vec<Vec<i32>> = vec![
        declared.iter().map(|r| r.lo).collect(),
        declared.iter().map(|r| r.hi).collect(),
        declared.iter().map(|r| 0.clamp(r.lo, r.hi)).collect(),
    ];
    for draw in 0..count {
        let lone = rng.random_range(0..declared.len());
        let one = |(at, r): (usize, &hallmark_graph::Range)| match draw % 4 {
            0 if rng.random() => r.lo,
            0 => r.hi,
            1 if at % 2 == 0 => r.lo,
            1 => r.hi,
            2 if at == lone => r.hi,
            2 => r.lo,
            _ => rng.random_range(r.lo..=r.hi),
        };
        all.push(declared.iter().enumerate().map(one).collect());
    }
    all
}

/// Runs the reference and the engine on every input; each value must lie in its node's range.
fn assert_bounded(compiled: &Compiled, rng: &mut ChaCha8Rng, count: usize) {
    let graph = &compiled.model.graph;
    let prepared = hallmark_engine::Prepared::new(compiled.model.clone()).expect("it prepares");
    for input in inputs(compiled, rng, count) {
        let trace = reference::trace(&compiled.model, &input).expect("a model that compiles runs");
        for (index, values) in trace.values.iter().enumerate() {
            let value = u32::try_from(index).unwrap();
            let range = graph.range(value).expect("every value has a range");
            for &x in values {
                assert!(range.contains(x), "value {index} is {x}, outside {range}");
            }
        }
        let output = hallmark_engine::run(&prepared, &input).expect("the engine runs");
        assert_eq!(output, graph.join_output(&trace.values));
    }
}

#[test]
fn random_models_stay_in_their_ranges_for_every_input() {
    for seed in 0..60 {
        let mut w = World::random_chain(seed);
        let samples = w.samples(4, 1.0);
        for bits in [8, 16] {
            let compiled = compiled(&w, &samples, &options(bits));
            assert_bounded(&compiled, &mut ChaCha8Rng::seed_from_u64(seed), 12);
        }
    }
}

/// Calibrated on samples that are far too small: the declared range is a thousand times wider.
#[test]
fn inputs_far_outside_calibration_stay_in_their_ranges() {
    for seed in 0..20 {
        let mut w = World::random_chain(seed);
        let samples = w.samples(2, 1e-3);
        for bits in [8, 16] {
            let wide = crate::compile::CompileOptions {
                input_range: Some((-1.0, 1.0)),
                ..options(bits)
            };
            let compiled = compiled(&w, &samples, &wide);
            assert_bounded(&compiled, &mut ChaCha8Rng::seed_from_u64(seed), 8);
        }
    }
}

#[test]
fn attention_and_convolutions_stay_in_their_ranges_for_every_input() {
    for bits in [8, 16] {
        let mut w = World::new(&[&[12, 32]]);
        let x = super::models::block(&mut w, 0, 4, true);
        w.output(x);
        let samples = w.samples(4, 1.0);
        let attention = compiled(&w, &samples, &options(bits));
        assert_bounded(&attention, &mut ChaCha8Rng::seed_from_u64(1), 16);

        let mut w = World::new(&[&[3, 16, 16]]);
        let x = w.conv(0, 8, 3);
        let x = w.unary(x, crate::float::Function::Relu);
        let x = w.max_pool(x);
        let x = w.reshape(x, &[1, 8 * 64]);
        let x = w.linear(x, 10);
        w.output(x);
        let samples = w.samples(4, 1.0);
        let convolution = compiled(&w, &samples, &options(bits));
        assert_bounded(&convolution, &mut ChaCha8Rng::seed_from_u64(2), 16);
    }
}
