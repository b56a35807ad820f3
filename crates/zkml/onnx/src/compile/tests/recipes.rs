//! One recipe each.

use super::world::{World, assert_close, assert_exact};
use crate::float::{Binary, FloatOp, Function};

fn unary_error(function: Function, size: f32, offset: f64, share: (f64, f64)) {
    let mut w = World::new(&[&[40, 40]]);
    let x = w.linear(0, 40);
    let x = w.combine(&[(x, f64::from(size))], offset);
    let y = w.unary(x, function);
    w.output(y);
    let samples = w.samples(2, 1.0);
    assert_close(&w, &samples, 8, share.0);
    assert_close(&w, &samples, 16, share.1);
}

#[test]
fn smooth_functions_are_tables() {
    for function in [
        Function::Sigmoid,
        Function::Tanh,
        Function::Gelu,
        Function::Silu,
        Function::Erf,
        Function::Softplus,
        Function::Abs,
        Function::LeakyRelu { alpha: 0.1 },
        Function::Sin,
        Function::HardSwish,
    ] {
        unary_error(function, 1.0, 0.0, (0.03, 2e-3));
    }
    unary_error(Function::Exp, 1.0, 0.0, (0.05, 3e-3));
}

#[test]
fn functions_with_a_pole_keep_away_from_it() {
    for function in [
        Function::Log,
        Function::Sqrt,
        Function::Rsqrt,
        Function::Reciprocal,
    ] {
        unary_error(function, 0.5, 4.0, (0.05, 4e-3));
    }
}

#[test]
fn clips_are_clamps() {
    unary_error(
        Function::Clip { lo: -0.5, hi: 0.75 },
        1.0,
        0.0,
        (0.03, 1e-3),
    );
    unary_error(Function::Clip { lo: 0.0, hi: 6.0 }, 4.0, 0.0, (0.03, 1e-3));
}

#[test]
fn maxima_and_minima_of_two_values() {
    for op in [Binary::Max, Binary::Min] {
        let mut w = World::new(&[&[8, 16]]);
        let a = w.linear(0, 16);
        let b = w.linear(0, 16);
        let y = w.binary(a, b, op);
        w.output(y);
        let samples = w.samples(8, 1.0);
        assert_close(&w, &samples, 8, 0.03);
        assert_close(&w, &samples, 16, 1e-3);
    }
}

#[test]
fn comparisons_of_whole_numbers_are_exact() {
    for op in [
        Binary::Less,
        Binary::LessOrEqual,
        Binary::Equal,
        Binary::Max,
        Binary::Min,
    ] {
        for size in [3, 100_000] {
            let mut w = World::integers(&[2, 16]);
            let one = w.node(
                FloatOp::View {
                    input: 0,
                    axes: vec![
                        super::world::affine(0, &[]),
                        super::world::affine(0, &[(0, 1)]),
                    ],
                },
                &[16],
            );
            let two = w.node(
                FloatOp::View {
                    input: 0,
                    axes: vec![
                        super::world::affine(1, &[]),
                        super::world::affine(0, &[(0, 1)]),
                    ],
                },
                &[16],
            );
            let y = w.binary(one, two, op);
            w.output(y);
            let samples = w.whole_samples(8, -size, size + 1);
            if matches!(op, Binary::Max | Binary::Min) && size > 10_000 {
                assert_close(&w, &samples, 16, 1e-3);
            } else {
                assert_exact(&w, &samples);
            }
        }
    }
}

#[test]
fn whole_numbers_stay_exact_through_arithmetic() {
    let mut w = World::integers(&[6, 8]);
    let x = w.combine(&[(0, 3.0)], -5.0);
    let signs = w.unary(x, Function::Sign);
    let positive = w.unary(x, Function::IsPositive);
    let zero = w.unary(x, Function::IsZero);
    let rest = w.unary(x, Function::Mod { modulus: 7.0 });
    let square = w.mul(x, x);
    let sum = w.combine(
        &[
            (signs, 1.0),
            (positive, 2.0),
            (zero, 4.0),
            (rest, 8.0),
            (square, 1.0),
        ],
        0.0,
    );
    w.output(sum);
    let sum = w.node(
        FloatOp::Sum {
            input: sum,
            axes: vec![1],
        },
        &[6],
    );
    w.output(sum);
    let samples = w.whole_samples(8, -30, 30);
    assert_exact(&w, &samples);
}

#[test]
fn one_hot_vectors_and_ranks_are_exact() {
    let mut w = World::integers(&[3, 9]);
    let most = w.node(FloatOp::OneHotMax { input: 0 }, &[3, 9]);
    w.output(most);
    let rank = w.node(FloatOp::Rank { input: 0 }, &[3, 9]);
    w.output(rank);
    let max = w.node(FloatOp::ReduceMax { input: 0, axis: 1 }, &[3]);
    w.output(max);
    let samples = w.whole_samples(8, -3, 4);
    assert_exact(&w, &samples);
}

#[test]
fn one_hot_positions_are_exact_at_any_depth() {
    for depth in [5u32, 256, 1000, 70_000] {
        let mut w = World::integers(&[4]);
        let y = w.node(FloatOp::OneHot { input: 0, depth }, &[4, depth as usize]);
        let columns = (0..depth).map(|i| (i % 113) as f32).collect();
        let columns = w.constant(columns, &[depth as usize, 1]);
        let y = w.matmul(y, columns, 0, 1);
        w.output(y);
        let mut samples = w.whole_samples(3, 0, depth as i32);
        samples.push(vec![0.0, depth as f32 - 1.0, 1.0, depth as f32 / 2.0]);
        samples[3][3] = samples[3][3].floor();
        assert_exact(&w, &samples);
    }
}

#[test]
fn a_softmax_sums_to_one_over_short_and_long_rows() {
    for (length, size) in [(5, 1.0), (64, 2.0), (700, 0.5)] {
        let mut w = World::new(&[&[4, 16]]);
        let x = w.linear(0, length);
        let x = w.combine(&[(x, size)], 20.0);
        let y = w.softmax(x);
        w.output(y);
        let samples = w.samples(4, 1.0);
        assert_close(&w, &samples, 8, 0.03);
        assert_close(&w, &samples, 16, 3e-3);
    }
}

#[test]
fn masks_of_any_size_underflow() {
    for mask_value in [-1e4f32, -1e9, f32::MIN, f32::NEG_INFINITY] {
        let mut w = World::new(&[&[6, 6]]);
        let keep: Vec<f32> = (0..36)
            .map(|i| if i % 6 > i / 6 { 0.0 } else { 1.0 })
            .collect();
        let other = keep
            .iter()
            .map(|&k| if k == 0.0 { mask_value } else { 0.0 })
            .collect();
        let keep = w.constant(keep, &[6, 6]);
        let other = w.constant(other, &[6, 6]);
        let x = w.linear(0, 6);
        let x = w.mul(x, keep);
        let x = w.combine(&[(x, 1.0), (other, 1.0)], 0.0);
        let y = w.softmax(x);
        w.output(y);
        let samples = w.samples(4, 1.0);
        assert_close(&w, &samples, 8, 0.02);
        assert_close(&w, &samples, 16, 2e-3);
    }
}

#[test]
fn a_mask_that_depends_on_the_input_underflows() {
    let mut w = World::new(&[&[2, 6]]);
    let x = w.linear(0, 6);
    let positive = w.unary(0, Function::IsPositive);
    let mask = w.combine(&[(positive, -1e9)], 0.0);
    let x = w.combine(&[(x, 1.0), (mask, 1.0)], 0.0);
    let y = w.softmax(x);
    w.output(y);
    let mut samples = w.samples(6, 1.0);
    for sample in &mut samples {
        sample[0] = -1.0;
        sample[6] = -1.0;
    }
    assert_close(&w, &samples, 8, 0.03);
    assert_close(&w, &samples, 16, 2e-3);
}

#[test]
fn normalisation_of_rows_far_apart_in_size() {
    let rows = [
        (1.0, true, 4e-3),
        (1.0, false, 4e-3),
        // The smaller row has few of the levels that both share.
        (0.02, true, 0.02),
    ];
    for (size, center, share) in rows {
        let mut w = World::new(&[&[2, 64]]);
        let op = FloatOp::Normalize {
            input: 0,
            epsilon: 1e-5,
            center,
        };
        let y = w.node(op, &[2, 64]);
        w.output(y);
        let mut samples = w.samples(6, 1.0);
        for sample in &mut samples {
            for x in &mut sample[..64] {
                *x *= size;
            }
        }
        assert_close(&w, &samples, 8, 0.04);
        assert_close(&w, &samples, 16, share);
    }
}

#[test]
fn quotients_by_divisors_of_a_wide_range() {
    for spread in [1.0, 4.0, 8.0] {
        let mut w = World::new(&[&[2, 32]]);
        let a = w.linear(0, 32);
        let b = w.combine(&[(0, spread / 8.0)], spread);
        let b = w.unary(b, Function::Exp);
        let y = w.div(a, b);
        w.output(y);
        let samples = w.samples(6, 1.0);
        assert_close(&w, &samples, 8, 0.03);
        assert_close(&w, &samples, 16, 3e-3);
    }
}

#[test]
fn rounding_sees_the_wide_value() {
    for function in [
        Function::Floor,
        Function::Ceil,
        Function::Round,
        Function::Trunc,
    ] {
        let mut w = World::new(&[&[8]]);
        let x = w.combine(&[(0, 4.0)], 0.25);
        let y = w.unary(x, function);
        w.output(y);
        let samples: Vec<Vec<f32>> = (0..16)
            .map(|i| (0..8).map(|j| (i * 8 + j) as f32 / 16.0 - 4.0).collect())
            .collect();
        assert_close(&w, &samples, 8, 0.0);
        assert_close(&w, &samples, 16, 0.0);
    }
}
