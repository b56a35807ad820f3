//! Whole models in both modes.

use super::world::{World, affine, assert_close, compiled, options};
use crate::float::{FloatOp, Function};

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
fn block(w: &mut World, x: usize, heads: usize, masked: bool) -> usize {
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
