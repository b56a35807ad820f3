//! Time of products and views: `cargo bench -p hallmark-engine`.
#![allow(missing_docs)]

use divan::Bencher;
use divan::counter::ItemsCount;
use hallmark_engine::{Prepared, run};
use hallmark_graph::{
    AxisMap, Builder, Constant, Elements, Input, Range, Scale, Shape, TableSpec, ValueId,
};

const ONE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

fn main() {
    divan::main();
}

fn input(shape: &[u32], lo: i32, hi: i32) -> Input {
    Input {
        shape: Shape(shape.to_vec()),
        range: Range { lo, hi },
        scale: ONE,
    }
}

/// Elements that vary, in ±`size`.
fn values(count: usize, size: i32) -> Vec<i32> {
    let mut state = 1u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as i32 % (size + 1)
        })
        .collect()
}

/// Times runs of a graph whose last value is `output`.
fn time(bencher: Bencher, mut builder: Builder, output: ValueId, items: u64, size: i32) {
    builder.output(output, ONE).unwrap();
    let prepared = Prepared::new(builder.finish().unwrap()).unwrap();
    let input = values(prepared.graph().input_len(), size);
    bencher
        .counter(ItemsCount::new(items))
        .bench_local(|| run(&prepared, &input).unwrap());
}

/// `n` rows by a constant of `n × n`; items are multiply-accumulates.
fn constant_product(bencher: Bencher, n: usize, range: i32, weight: i32) {
    let dim = n as u32;
    let mut builder = Builder::new(vec![input(&[dim, dim], -range, range)]);
    let constant = Constant {
        elements: Elements::narrowest(&values(n * n, weight)),
        multipliers: Vec::new(),
    };
    let w = builder.constant(Shape(vec![dim, dim]), constant).unwrap();
    let v = builder.matmul(0, w, 0, 1).unwrap();
    time(bencher, builder, v, (n as u64).pow(3), range);
}

#[divan::bench(args = [256, 1024])]
fn bytes(bencher: Bencher, n: usize) {
    constant_product(bencher, n, 127, 127);
}

#[divan::bench(args = [256, 1024])]
fn halves(bencher: Bencher, n: usize) {
    constant_product(bencher, n, 1000, 200);
}

#[divan::bench(args = [256, 1024])]
fn words(bencher: Bencher, n: usize) {
    constant_product(bencher, n, 40_000, 5);
}

/// Twelve heads of 64 by 128 positions, both operands computed.
#[divan::bench]
fn attention_scores(bencher: Bencher) {
    let mut builder = Builder::new(vec![
        input(&[12, 128, 64], -127, 127),
        input(&[12, 64, 128], -127, 127),
    ]);
    let v = builder.matmul(0, 1, 1, 1).unwrap();
    time(bencher, builder, v, 12 * 128 * 128 * 64, 127);
}

/// Patches of a 3×3 convolution over 64 channels of 56×56; items are elements.
#[divan::bench]
fn patches(bencher: Bencher) {
    let mut builder = Builder::new(vec![input(&[64, 56, 56], -127, 127)]);
    let side = |first: u8| AxisMap::Affine {
        offset: -1,
        terms: vec![(first, 1), (first + 3, 1)],
    };
    let channel = AxisMap::Affine {
        offset: 0,
        terms: vec![(2, 1)],
    };
    let shape = Shape(vec![56, 56, 64, 3, 3]);
    let v = builder
        .view(0, vec![channel, side(0), side(1)], shape)
        .unwrap();
    time(bencher, builder, v, 56 * 56 * 64 * 9, 127);
}

#[divan::bench]
fn transposition(bencher: Bencher) {
    let mut builder = Builder::new(vec![input(&[1024, 1024], -127, 127)]);
    let along = |axis: u8| AxisMap::Affine {
        offset: 0,
        terms: vec![(axis, 1)],
    };
    let shape = Shape(vec![1024, 1024]);
    let v = builder.view(0, vec![along(1), along(0)], shape).unwrap();
    time(bencher, builder, v, 1 << 20, 127);
}

#[divan::bench]
fn clamp(bencher: Bencher) {
    let mut builder = Builder::new(vec![input(&[1 << 20], -100_000, 100_000)]);
    let table = TableSpec::Clamp {
        bits: 12,
        lo: 0,
        hi: 127,
    };
    let v = builder.lookup(0, 6, table).unwrap();
    time(bencher, builder, v, 1 << 20, 100_000);
}

#[divan::bench]
fn table(bencher: Bencher) {
    let mut builder = Builder::new(vec![input(&[1 << 20], -100_000, 100_000)]);
    let table = TableSpec::Explicit((0..1 << 12).map(|i| i % 1000).collect());
    let v = builder.lookup(0, 6, table).unwrap();
    time(bencher, builder, v, 1 << 20, 100_000);
}
