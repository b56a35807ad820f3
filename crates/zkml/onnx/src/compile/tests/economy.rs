//! Models before and after they are made cheaper to prove.

use hallmark_graph::testing::{random_input, random_model};
use hallmark_graph::{
    Builder, Input, Model, Op, Range, Scale, Shape, TableSpec, bounds, reference,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::compile::economy::economize;

const SCALE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

/// One clamp of inputs up to `reach`, elementwise; `None` where no window is wide enough.
fn clamp(reach: i32, shift: u8, (lo, hi): (i32, i32)) -> Option<Model> {
    let range = Range {
        lo: -reach,
        hi: reach,
    };
    let shape = Shape(vec![64]);
    let mut builder = Builder::new(vec![Input {
        shape,
        range,
        scale: SCALE,
    }]);
    let bits = (1..=16).find(|&bits| bounds::lookup_fits(range, shift, bits))?;
    let table = TableSpec::Clamp { bits, lo, hi };
    let y = builder.lookup(0, shift, table).ok()?;
    builder.output(y, SCALE).ok()?;
    builder.finish().ok()
}

fn rows(model: &Model) -> usize {
    let tables = model.graph.nodes.iter().map(|node| match node.op {
        Op::Lookup { table, .. } => table.len(),
        _ => 0,
    });
    tables.sum()
}

#[test]
fn a_wide_clamp_of_few_elements_becomes_two_narrow_ones_that_agree_everywhere() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut split = 0;
    for _ in 0..400 {
        let shift = rng.random_range(0..15u8);
        let reach = 1 << rng.random_range(8..29);
        let reach = reach - rng.random_range(0..reach / 2);
        let end = |rng: &mut ChaCha8Rng| {
            let bits = rng.random_range(1..13);
            rng.random_range(0..1 << bits)
        };
        let ends = (-end(&mut rng), end(&mut rng));
        let Some(model) = clamp(reach, shift, ends) else {
            continue;
        };
        let (cheaper, _) = economize(&model).expect("stays valid");
        assert!(rows(&cheaper) <= rows(&model));
        let is_split = cheaper.graph.nodes.len() > 1;
        split += usize::from(is_split);
        // Every step of both clamps, and what lies beside it.
        let mut edges = vec![-reach, reach, 0];
        for end in [ends.0, ends.1] {
            edges.extend([-1, 0, 1].map(|half| (2 * end + half) * (1 << shift) / 2));
        }
        for node in &cheaper.graph.nodes {
            let Op::Shift { shift, bits, .. } = node.op else {
                continue;
            };
            let half = 1i64 << (bits - 1);
            let steps = (-half..half).map(|h| (2 * h + 1) * (1 << shift) / 2);
            edges.extend(steps.filter_map(|v| i32::try_from(v).ok()));
        }
        let near = edges.iter().flat_map(|v| (-2..=2).map(move |d| v + d));
        let mut values: Vec<i32> = near.filter(|v| v.abs() <= reach).collect();
        while !values.len().is_multiple_of(64) {
            values.push(rng.random_range(-reach..=reach));
        }
        for input in values.chunks(64) {
            let (was, is) = (
                reference::run(&model, input).expect("runs"),
                reference::run(&cheaper, input).expect("runs"),
            );
            assert_eq!(was, is, "reach {reach}, shift {shift}, ends {ends:?}");
        }
    }
    assert!(split > 50, "{split} were split");
}

#[test]
fn random_models_compute_what_they_did() {
    let mut changed = 0;
    for seed in 0..200 {
        let model = random_model(seed);
        // Steps that cancel leave something unused.
        let Ok((cheaper, map)) = economize(&model) else {
            continue;
        };
        changed += usize::from(cheaper != model);
        for which in 0..4 {
            let input = random_input(&model, which);
            let was = reference::trace(&model, &input).expect("runs");
            let is = reference::trace(&cheaper, &input).expect("runs");
            assert_eq!(
                model.graph.join_output(&was.values),
                cheaper.graph.join_output(&is.values),
                "seed {seed}"
            );
            for (value, &at) in was.values.iter().zip(&map) {
                if let Some(at) = at {
                    assert_eq!(*value, is.values[at as usize], "seed {seed}");
                }
            }
        }
    }
    assert!(changed > 50, "{changed} changed");
}

#[test]
fn equal_steps_become_one_and_a_clamp_that_never_bites_none() {
    let range = Range { lo: -100, hi: 100 };
    let shape = Shape(vec![8]);
    let mut builder = Builder::new(vec![Input {
        shape,
        range,
        scale: SCALE,
    }]);
    let idle = TableSpec::Clamp {
        bits: 12,
        lo: -200,
        hi: 200,
    };
    let x = builder.lookup(0, 0, idle).expect("fits");
    let a = builder.mul(x, x).expect("fits");
    let b = builder.mul(x, x).expect("fits");
    let y = builder.combine(&[(a, 2), (b, 1)], 0).expect("fits");
    builder.output(y, SCALE).expect("exists");
    let model = builder.finish().expect("valid");
    let (cheaper, _) = economize(&model).expect("stays valid");
    assert_eq!(cheaper.graph.nodes.len(), 2);
    let input = [-100, -7, 0, 1, 2, 50, 99, 100];
    assert_eq!(
        reference::run(&model, &input),
        reference::run(&cheaper, &input)
    );
}

/// Thousands of steps of one value: those that are equal to a late one become one, and the time is that of
/// as many comparisons as steps, not of their square.
#[test]
fn many_steps_of_one_value_are_compared_with_few() {
    let range = Range { lo: -100, hi: 100 };
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![4]),
        range,
        scale: SCALE,
    }]);
    let mut sum = 0;
    for offset in 1..=4_000 {
        let twice = [0, 0].map(|_| builder.combine(&[(0, 1)], offset).expect("fits"));
        for step in twice {
            sum = builder
                .combine(&[(sum, 1), (step, 1)], -offset)
                .expect("fits");
        }
    }
    // As the first of all, with thousands between.
    let late = builder.combine(&[(0, 1)], 1).expect("fits");
    sum = builder.combine(&[(sum, 1), (late, 1)], -1).expect("fits");
    builder.output(sum, SCALE).expect("exists");
    let model = builder.finish().expect("valid");
    assert_eq!(model.graph.nodes.len(), 16_002);
    let (cheaper, _) = economize(&model).expect("stays valid");
    // Of every pair one is left: the other was the step before it of the same value. The late one stays.
    assert_eq!(cheaper.graph.nodes.len(), 12_002);
    let input = [-100, 0, 7, 100];
    assert_eq!(
        reference::run(&model, &input),
        reference::run(&cheaper, &input)
    );
}
