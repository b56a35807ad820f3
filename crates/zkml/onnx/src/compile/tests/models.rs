//! Whole models in both modes.

use super::world::{World, affine, assert_close, compiled, options};
use crate::float::{Binary, FloatNode, FloatOp, Function};

#[test]
fn a_perceptron_keeps_its_outputs() {
    let mut w = World::new(&[&[1, 64]]);
    let mut x = 0;
    for _ in 0..3 {
        x = w.linear(x, 96);
        x = w.unary(x, Function::Relu);
    }
    x = w.linear(x, 10);
    w.output(x);
    let samples = w.samples(32, 1.0);
    assert_close(&w, &samples, 8, 0.03);
    assert_close(&w, &samples, 16, 1e-3);
}

#[test]
fn a_convolutional_network_keeps_its_outputs() {
    let mut w = World::new(&[&[3, 16, 16]]);
    let mut x = w.conv(0, 8, 3);
    x = w.unary(x, Function::Relu);
    x = w.max_pool(x);
    let skip = x;
    x = w.conv(x, 8, 3);
    x = w.unary(x, Function::Relu);
    x = w.conv(x, 8, 3);
    x = w.combine(&[(x, 1.0), (skip, 1.0)], 0.0);
    x = w.unary(x, Function::Relu);
    x = w.max_pool(x);
    let x = w.reshape(x, &[1, 8 * 16]);
    let x = w.linear(x, 10);
    w.output(x);
    let samples = w.samples(8, 1.0);
    assert_close(&w, &samples, 8, 0.04);
    assert_close(&w, &samples, 16, 1e-3);
}

/// A block of attention and a perceptron with residuals; `masked` adds a causal mask.
pub(super) fn block(w: &mut World, x: usize, heads: usize, masked: bool) -> usize {
    let [s, d] = w.shape(x)[..] else {
        panic!("a sequence")
    };
    let dh = d / heads;
    let n = w.layer_norm(x);
    let q = w.linear(n, d);
    let k = w.linear(n, d);
    let v = w.linear(n, d);
    let q = w.reshape(q, &[s, heads, dh]);
    let k = w.reshape(k, &[s, heads, dh]);
    let v = w.reshape(v, &[s, heads, dh]);
    let q = w.transpose(q, &[1, 0, 2]);
    let k = w.transpose(k, &[2, 0, 1]);
    let v = w.transpose(v, &[1, 0, 2]);
    let scores = w.matmul(q, k, 1, 1);
    let mut scores = w.combine(&[(scores, 1.0 / (dh as f64).sqrt())], 0.0);
    if masked {
        let mask = (0..s * s)
            .map(|i| if i % s > i / s { -1e9 } else { 0.0 })
            .collect();
        let mask = w.constant(mask, &[s, s]);
        let axes = vec![affine(0, &[(1, 1)]), affine(0, &[(2, 1)])];
        let mask = w.node(FloatOp::View { input: mask, axes }, &[heads, s, s]);
        scores = w.combine(&[(scores, 1.0), (mask, 1.0)], 0.0);
    }
    let p = w.softmax(scores);
    let y = w.matmul(p, v, 1, 1);
    let y = w.transpose(y, &[1, 0, 2]);
    let y = w.reshape(y, &[s, d]);
    let y = w.linear(y, d);
    let x = w.combine(&[(x, 1.0), (y, 1.0)], 0.0);
    let n = w.layer_norm(x);
    let h = w.linear(n, 4 * d);
    let h = w.unary(h, Function::Gelu);
    let h = w.linear(h, d);
    w.combine(&[(x, 1.0), (h, 1.0)], 0.0)
}

#[test]
fn attention_keeps_its_outputs() {
    for masked in [false, true] {
        let mut w = World::new(&[&[12, 32]]);
        let x = block(&mut w, 0, 4, masked);
        w.output(x);
        let samples = w.samples(8, 1.0);
        assert_close(&w, &samples, 8, 0.04);
        assert_close(&w, &samples, 16, 1e-3);
    }
}

#[test]
fn a_small_language_model_keeps_its_logits() {
    let (s, d, vocabulary) = (8, 32, 400);
    let mut w = World::integers(&[s]);
    let ids = w.node(
        FloatOp::OneHot {
            input: 0,
            depth: vocabulary as u32,
        },
        &[s, vocabulary],
    );
    let table = w.random(&[vocabulary, d], 1.0);
    let x = w.matmul(ids, table, 0, 1);
    let places = w.random(&[s, d], 0.5);
    let mut x = w.combine(&[(x, 1.0), (places, 1.0)], 0.0);
    for _ in 0..3 {
        x = block(&mut w, x, 4, true);
    }
    let x = w.layer_norm(x);
    let logits = w.linear(x, vocabulary);
    w.output(logits);
    let samples = w.whole_samples(8, 0, vocabulary as i32);
    assert_close(&w, &samples, 8, 0.08);
    assert_close(&w, &samples, 16, 2e-3);
}

#[test]
fn full_range_weights_with_a_fan_in_of_thousands_compile() {
    for fan_in in [4096, 4608] {
        let mut w = World::new(&[&[1, fan_in]]);
        let count = fan_in * 16;
        let signs = (0..count)
            .map(|_| if w.normal() > 0.0 { 1.0 } else { -1.0 })
            .collect();
        let weight = w.constant(signs, &[fan_in, 16]);
        let x = w.matmul(0, weight, 0, 1);
        let x = w.unary(x, Function::Relu);
        let x = w.linear(x, 4);
        w.output(x);
        let samples = w.samples(4, 1.0);
        assert_close(&w, &samples, 8, 0.05);
        assert_close(&w, &samples, 16, 2e-3);
    }
}

#[test]
fn one_sample_of_zeros_and_weights_of_zero_compile() {
    let mut w = World::new(&[&[1, 8]]);
    let zeros = w.constant(vec![0.0; 64], &[8, 8]);
    let x = w.matmul(0, zeros, 0, 1);
    let x = w.unary(x, Function::Relu);
    let x = w.linear(x, 4);
    let y = w.unary(x, Function::Sigmoid);
    w.output(y);
    let samples = vec![vec![0.0; 8]];
    for bits in [8, 16] {
        let compiled = compiled(&w, &samples, &options(bits));
        assert!(compiled.report.max_error < 1e-2);
    }
}

#[test]
fn magnitudes_far_from_one_are_carried_by_scales() {
    for size in [1e-12f32, 1e12] {
        let mut w = World::new(&[&[1, 16]]);
        let weight = w.random(&[16, 16], size);
        let x = w.matmul(0, weight, 0, 1);
        let x = w.unary(x, Function::Relu);
        let weight = w.random(&[16, 8], 1.0 / size);
        let x = w.matmul(x, weight, 0, 1);
        w.output(x);
        let samples = w.samples(8, 1.0);
        assert_close(&w, &samples, 8, 0.03);
        assert_close(&w, &samples, 16, 1e-3);
    }
}

#[test]
fn a_norm_and_an_activation_spelled_out_keep_their_outputs() {
    let (s, d) = (8, 48);
    let mut w = World::new(&[&[s, d]]);
    let mut x = 0;
    for _ in 0..2 {
        let y = spelled_norm(&mut w, x);
        let y = w.linear(y, d);
        let e = w.combine(&[(y, std::f64::consts::FRAC_1_SQRT_2)], 0.0);
        let e = w.unary(e, Function::Erf);
        let e = w.combine(&[(e, 1.0)], 1.0);
        let y = w.mul(y, e);
        let y = w.combine(&[(y, 0.5)], 0.0);
        let y = w.linear(y, d);
        x = w.combine(&[(x, 1.0), (y, 1.0)], 0.0);
    }
    w.output(x);
    let samples = w.samples(8, 1.0);
    assert_close(&w, &samples, 8, 0.03);
    assert_close(&w, &samples, 16, 2e-3);
}

/// `(x - mean)/sqrt(variance + epsilon)` of sums, products and a quotient.
fn spelled_norm(w: &mut World, x: usize) -> usize {
    let [s, d] = w.shape(x)[..] else {
        panic!("a sequence")
    };
    let share = 1.0 / d as f64;
    let repeat = |w: &mut World, x| {
        let x = w.reshape(x, &[s, 1]);
        let axes = vec![affine(0, &[(0, 1)]), affine(0, &[])];
        w.node(FloatOp::View { input: x, axes }, &[s, d])
    };
    let mean = w.node(
        FloatOp::Sum {
            input: x,
            axes: vec![1],
        },
        &[s],
    );
    let mean = w.combine(&[(mean, share)], 0.0);
    let mean = repeat(w, mean);
    let centred = w.combine(&[(x, 1.0), (mean, -1.0)], 0.0);
    let square = w.mul(centred, centred);
    let variance = w.node(
        FloatOp::Sum {
            input: square,
            axes: vec![1],
        },
        &[s],
    );
    let variance = w.combine(&[(variance, share)], 1e-5);
    let deviation = w.unary(variance, Function::Sqrt);
    let deviation = repeat(w, deviation);
    w.div(centred, deviation)
}

#[test]
fn an_input_that_matters_nowhere_and_an_output_that_never_changes_compile() {
    let mut w = World::new(&[&[4], &[3]]);
    let fixed = w.constant(vec![0.5, -2.0, 8.0], &[3]);
    let fixed = w.unary(fixed, Function::Abs);
    w.output(fixed);
    w.output(1);
    let samples = w.samples(4, 1.0);
    for bits in [8, 16] {
        let compiled = compiled(&w, &samples, &options(bits));
        assert!(compiled.report.max_error < 0.02);
    }
}

/// Sizes and offsets far apart: everything compiles and is near.
#[test]
fn random_chains_of_operators_compile() {
    for seed in 0..60 {
        let mut w = World::random_chain(seed);
        let samples = w.samples(4, 1.0);
        for bits in [8, 16] {
            let compiled = compiled(&w, &samples, &options(bits));
            // What a comparison of nearly equal values gives has no small error.
            let compares = |node: &FloatNode| {
                matches!(
                    node.op,
                    FloatOp::Binary {
                        op: Binary::Less,
                        ..
                    }
                )
            };
            if !w.graph.nodes.iter().any(compares) {
                let least = if bits == 8 { 15.0 } else { 45.0 };
                let report = &compiled.report;
                assert!(
                    report.snr_db > least || report.output_range == 0.0,
                    "{report:#?}"
                );
            }
        }
    }
}

#[test]
fn a_wide_block_keeps_its_outputs() {
    let mut w = World::new(&[&[4, 768]]);
    let mut x = 0;
    for _ in 0..2 {
        x = block(&mut w, x, 12, true);
    }
    w.output(x);
    let samples = w.samples(2, 1.0);
    assert_close(&w, &samples, 8, 0.04);
    assert_close(&w, &samples, 16, 2e-3);
}

#[test]
fn every_calibration_serves_and_options_out_of_range_are_refused() {
    use crate::compile::{Calibration, CompileOptions, compile};
    let mut w = World::new(&[&[1, 32]]);
    let x = w.linear(0, 32);
    let x = w.unary(x, Function::Relu);
    let x = w.linear(x, 8);
    w.output(x);
    let samples = w.samples(64, 1.0);
    for calibration in [
        Calibration::MinMax,
        Calibration::Percentile(99.9),
        Calibration::MeanSquare,
    ] {
        let options = CompileOptions {
            calibration,
            ..CompileOptions::default()
        };
        assert!(compiled(&w, &samples, &options).report.snr_db > 28.0);
    }
    let views: Vec<&[f32]> = samples.iter().map(Vec::as_slice).collect();
    for options in [
        CompileOptions {
            bits: 12,
            ..CompileOptions::default()
        },
        CompileOptions {
            max_shift: 19,
            ..CompileOptions::default()
        },
        CompileOptions {
            calibration: Calibration::Percentile(20.0),
            ..CompileOptions::default()
        },
    ] {
        assert!(compile(&w.graph, &views, &options).is_err());
    }
    assert!(compile(&w.graph, &[], &CompileOptions::default()).is_err());
    assert!(compile(&w.graph, &[&[0.0; 3]], &CompileOptions::default()).is_err());
}

/// One value of 4,096 is a hundred times as large as all others.
#[test]
fn an_outlier_sets_the_scale_of_the_largest_magnitude_alone() {
    use crate::compile::{Calibration, CompileOptions};
    let mut w = World::new(&[&[1, 64]]);
    // An operand of a product, of 127 levels whatever the outputs want.
    let x = w.combine(&[(0, 1.0)], 0.25);
    let y = w.linear(x, 4);
    w.output(y);
    let mut samples = w.samples(64, 1.0);
    let usual = samples.clone();
    samples[17][5] = 400.0;
    let views: Vec<&[f32]> = usual.iter().map(Vec::as_slice).collect();
    // On samples without the outlier: what it cost all others.
    let noise = |calibration| {
        let options = CompileOptions {
            calibration,
            input_range: Some((-500.0, 500.0)),
            ..CompileOptions::default()
        };
        let compiled = compiled(&w, &samples, &options);
        compiled.compare(&w.graph, &views).unwrap().snr_db
    };
    let largest = noise(Calibration::MinMax);
    let share = noise(Calibration::Percentile(99.9));
    let square = noise(Calibration::MeanSquare);
    println!("min-max {largest:.1} dB, percentile {share:.1} dB, mean square {square:.1} dB");
    assert!(share > largest + 10.0, "{share} dB and {largest} dB");
    assert!(square != largest && square != share, "{square} dB");
}

#[test]
fn what_cannot_be_compiled_is_refused_with_the_names_of_its_node_and_sample() {
    use crate::CompileError;
    use crate::compile::{CompileOptions, compile};
    let error = |w: &World, sample: &[f32]| {
        compile(&w.graph, &[sample], &CompileOptions::default()).unwrap_err()
    };
    // A pole within the samples.
    let mut w = World::new(&[&[1, 2]]);
    let x = w.unary(0, Function::Log);
    w.output(x);
    w.graph.nodes[0].name = "decoder/log".to_owned();
    match error(&w, &[1.0, -1.0]) {
        CompileError::NotFinite { index: 0, node } => assert_eq!(node, "decoder/log"),
        other => panic!("{other}"),
    }
    // Whole numbers that no exact integer holds.
    let mut w = World::integers(&[1, 2]);
    let x = w.combine(&[(0, 1.0)], 0.0);
    w.output(x);
    w.graph.inputs[0].name = "ids".to_owned();
    match error(&w, &[0.0, 1e9]) {
        CompileError::Scale { node, reason } => {
            assert_eq!(node, "ids");
            assert!(reason.contains("2^29"), "{reason}");
        }
        other => panic!("{other}"),
    }
}

/// A mask of truth values that a file declares as floats.
#[test]
fn an_input_of_zeros_and_ones_is_exact() {
    let mut w = World::new(&[&[1, 4]]);
    let x = w.combine(&[(0, 3.0)], 1.0);
    w.output(x);
    let samples = vec![vec![0.0, 1.0, 1.0, 0.0]];
    let compiled = compiled(&w, &samples, &crate::CompileOptions::default());
    assert!(compiled.report.max_error < 1e-6, "{:?}", compiled.report);
}
