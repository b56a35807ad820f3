//! Every operator alone, on shapes that leave padding.

use hallmark_graph::AxisMap;

use super::*;
use crate::plan::Step;

fn affine(offset: i32, terms: &[(u8, i32)]) -> AxisMap {
    AxisMap::Affine {
        offset,
        terms: terms.to_vec(),
    }
}

fn list(axis: u8, indices: &[i32]) -> AxisMap {
    AxisMap::List {
        axis,
        indices: indices.to_vec(),
    }
}

fn accepted(name: &str, b: Builder, outputs: &[ValueId]) -> World {
    let world = World::new(finish(b, outputs), 5);
    assert_eq!(world.verify(&world.proof), Ok(()), "{name}");
    world
}

fn steps(world: &World, of: impl Fn(&Step) -> bool) -> usize {
    world.vk().plan().steps.iter().filter(|s| of(s)).count()
}

#[test]
fn an_accumulator_can_be_the_output_and_needs_no_lookup() {
    let mut b = Builder::new(vec![input(&[3, 6], -8, 8)]);
    let v = dense(&mut b, 0, (3, 6, 5), 6);
    accepted("dense", b, &[v]);
}

#[test]
fn an_input_can_be_an_output() {
    let mut b = Builder::new(vec![input(&[3], -8, 8)]);
    let y = b.combine(&[(0, 3)], -7).unwrap();
    accepted("input", b, &[0, y]);
}

#[test]
fn scalars_are_tensors() {
    let mut b = Builder::new(vec![input(&[3], -8, 8)]);
    let sum = b.sum(0, &[0]).unwrap();
    let square = b.mul(sum, sum).unwrap();
    let y = b.lookup(square, 0, clamp(3, 90)).unwrap();
    accepted("scalars", b, &[y, square, sum]);
}

#[test]
fn matrix_products_have_any_number_of_axes_of_each_kind() {
    let mut b = Builder::new(vec![
        input(&[3, 2, 5, 3, 7], -9, 9),
        input(&[3, 3, 7, 2, 3], -9, 9),
    ]);
    let v = b.matmul(0, 1, 1, 2).unwrap();
    let world = accepted("batched", b, &[v]);
    assert_eq!(
        world.model.graph.shape(v).unwrap(),
        &shape(&[3, 2, 5, 2, 3])
    );

    let mut b = Builder::new(vec![input(&[5, 7], -9, 9), input(&[7], -9, 9)]);
    let v = b.matmul(0, 1, 0, 1).unwrap();
    accepted("matrix and vector", b, &[v]);

    // All axes are batch or inner.
    let mut b = Builder::new(vec![input(&[3, 5], -9, 9), input(&[3, 5], -9, 9)]);
    let v = b.matmul(0, 1, 1, 1).unwrap();
    accepted("rows by rows", b, &[v]);
}

#[test]
fn products_of_a_value_with_itself_verify() {
    let mut b = Builder::new(vec![input(&[3, 5], -90, 90)]);
    let v = b.mul(0, 0).unwrap();
    let y = b.lookup(v, 3, clamp(0, 200)).unwrap();
    accepted("square", b, &[y]);
}

#[test]
fn an_offset_is_added_to_elements_and_not_to_padding() {
    let mut b = Builder::new(vec![input(&[3, 5], -90, 90)]);
    let v = b.combine(&[(0, 2)], 11).unwrap();
    let w = b.mul(v, v).unwrap();
    let s = b.sum(w, &[1]).unwrap();
    accepted("offset", b, &[s]);
}

#[test]
fn sums_over_any_axes_verify() {
    for axes in [&[0u8][..], &[1], &[2], &[0, 2], &[1, 2], &[0, 1, 2]] {
        let mut b = Builder::new(vec![input(&[3, 5, 2], -90, 90)]);
        let y = b.lookup(0, 1, clamp(-20, 7)).unwrap();
        let s = b.sum(y, axes).unwrap();
        accepted("sum", b, &[s]);
    }
}

#[test]
fn a_lookup_that_makes_something_of_nothing_keeps_padding_clean() {
    // Both tables map 0 elsewhere; what reads the results must not see it in padding.
    let shifted: Vec<i32> = (0..64).map(|i| (i * 7) % 50 - 20).collect();
    for table in [clamp(3, 90), clamp(-90, -2), TableSpec::Explicit(shifted)] {
        let mut b = Builder::new(vec![input(&[3, 5], -30, 31)]);
        let y = b.lookup(0, 0, table).unwrap();
        let square = b.mul(y, y).unwrap();
        let s = b.sum(square, &[0]).unwrap();
        let t = b.sum(y, &[0, 1]).unwrap();
        accepted("origin", b, &[s, t, y]);
    }
}

#[test]
fn equal_tables_are_looked_up_as_one() {
    let table: Vec<i32> = (0..32).map(|i| i * i % 31).collect();
    let mut b = Builder::new(vec![input(&[5], -14, 15)]);
    let x = b.lookup(0, 1, TableSpec::Explicit(table.clone())).unwrap();
    let x = b.combine(&[(x, 1)], -15).unwrap();
    let y = b.lookup(x, 1, TableSpec::Explicit(table)).unwrap();
    let z = b.lookup(y, 1, clamp(0, 9)).unwrap();
    let w = b.lookup(z, 1, clamp(0, 9)).unwrap();
    let world = accepted("tables", b, &[w]);
    // One explicit table, one clamp, the bit of a remainder.
    assert_eq!(world.vk().plan().tables.len(), 3);
}

#[test]
fn shifts_wider_than_a_table_verify() {
    let mut b = Builder::new(vec![input(&[3, 5], -9000, 9000)]);
    let v = b.mul(0, 0).unwrap();
    let y = b.shift(v, 5, 24).unwrap();
    let z = b.combine(&[(y, -32), (v, 1)], 0).unwrap();
    let w = b.mul(z, z).unwrap();
    let s = b.sum(y, &[1]).unwrap();
    accepted("shift", b, &[y, w, s]);
}

#[test]
fn views_of_every_kind_verify() {
    let views: Vec<(&str, Vec<AxisMap>, Vec<u32>)> = vec![
        (
            "transposition",
            vec![affine(0, &[(1, 1)]), affine(0, &[(0, 1)])],
            vec![6, 5],
        ),
        (
            "slice",
            vec![affine(1, &[(0, 1)]), affine(2, &[(1, 1)])],
            vec![3, 3],
        ),
        (
            "aligned slice",
            vec![affine(4, &[(0, 1)]), affine(4, &[(1, 1)])],
            vec![1, 2],
        ),
        (
            "padding",
            vec![affine(-1, &[(0, 1)]), affine(0, &[(1, 1)])],
            vec![7, 9],
        ),
        (
            "padding to a larger power",
            vec![affine(0, &[(0, 1)]), affine(0, &[(1, 1)])],
            vec![9, 17],
        ),
        (
            "broadcast",
            vec![affine(0, &[(1, 1)]), affine(0, &[(3, 1)])],
            vec![3, 5, 1, 6],
        ),
        (
            "reversal",
            vec![affine(4, &[(0, -1)]), affine(5, &[(1, -1)])],
            vec![5, 6],
        ),
        (
            "stride",
            vec![affine(0, &[(0, 2)]), affine(1, &[(1, 2)])],
            vec![3, 3],
        ),
        (
            "patches",
            vec![affine(-1, &[(0, 2), (2, 1)]), affine(-1, &[(1, 1), (3, 1)])],
            vec![3, 6, 3, 3],
        ),
        (
            "list",
            vec![list(1, &[4, -1, 0, 0, 3, 2, 2]), affine(0, &[(0, 1)])],
            vec![6, 7],
        ),
        ("one element", vec![affine(3, &[]), affine(5, &[])], vec![]),
        (
            "an element repeated",
            vec![affine(3, &[]), affine(0, &[(1, 1)])],
            vec![3, 6],
        ),
        (
            "nothing",
            vec![affine(-9, &[(0, 1)]), affine(0, &[(1, 1)])],
            vec![3, 6],
        ),
    ];
    for (name, axes, dims) in views {
        let mut b = Builder::new(vec![input(&[5, 6], -90, 90)]);
        let x = b.lookup(0, 1, clamp(2, 40)).unwrap();
        let Ok(v) = b.view(x, axes, shape(&dims)) else {
            assert_eq!(name, "nothing");
            continue;
        };
        let w = b.combine(&[(v, 3)], 0).unwrap();
        accepted(name, b, &[w, x]);
    }
}

#[test]
fn views_that_rename_coordinates_cost_no_sumcheck() {
    let mut b = Builder::new(vec![input(&[5, 8, 3], -90, 90)]);
    let x = b.lookup(0, 1, clamp(-20, 40)).unwrap();
    let axes = vec![
        affine(0, &[(2, 1)]),
        affine(4, &[(0, 1)]),
        affine(0, &[(1, 1)]),
    ];
    let v = b.view(x, axes, shape(&[4, 3, 5])).unwrap();
    let v = b.reshape(v, shape(&[2, 2, 3, 1, 5])).unwrap();
    let world = accepted("renaming", b, &[v]);
    assert_eq!(steps(&world, |s| matches!(s, Step::Pass { .. })), 2);
    assert_eq!(steps(&world, |_| true), 2);
}

#[test]
fn reshapes_that_move_bits_and_those_that_do_not_verify() {
    for (from, to, free) in [
        (&[3, 8][..], &[6, 4][..], true),
        (&[4, 6], &[24], false),
        (&[24], &[4, 6], false),
        (&[3, 5, 7], &[15, 7], false),
        (&[3, 5, 7], &[3, 35], false),
        (&[2, 12, 4], &[2, 3, 16], true),
        (&[1, 6, 1], &[6], true),
        (&[6, 10], &[4, 15], false),
    ] {
        let mut b = Builder::new(vec![input(from, -90, 90)]);
        let x = b.lookup(0, 1, clamp(2, 40)).unwrap();
        let v = b.reshape(x, shape(to)).unwrap();
        let world = accepted(&format!("{from:?} to {to:?}"), b, &[v]);
        let maps = steps(&world, |s| matches!(s, Step::Map { .. }));
        assert_eq!(maps == 0, free, "{from:?} to {to:?}");
    }
}

#[test]
fn a_convolution_with_pooling_and_a_residual_sum_verifies() {
    let mut random = Random::new(3);
    let mut b = Builder::new(vec![input(&[1, 3, 7, 9], -100, 100)]);
    let patches = vec![
        affine(0, &[]),
        affine(0, &[(2, 1)]),
        affine(-1, &[(0, 1), (3, 1)]),
        affine(-1, &[(1, 1), (4, 1)]),
    ];
    let patches = b.view(0, patches, shape(&[7, 9, 3, 3, 3])).unwrap();
    let w = constant(&mut b, &[3, 3, 3, 3], &random.values(81, -127, 127));
    let v = b.matmul(patches, w, 0, 3).unwrap();
    let y = b.lookup(v, 9, clamp(0, 120)).unwrap();
    // Back to the order of the input, for the sum with it.
    let axes = vec![
        affine(0, &[(2, 1)]),
        affine(0, &[(3, 1)]),
        affine(0, &[(1, 1)]),
    ];
    let y = b.view(y, axes, shape(&[1, 3, 7, 9])).unwrap();
    let z = b.combine(&[(y, 5), (0, 3)], 1).unwrap();
    let z = b.lookup(z, 2, clamp(-128, 127)).unwrap();
    // A maximum over pairs: b + relu(a - b).
    let half = |b: &mut Builder, offset: i32| {
        let axes = vec![
            affine(0, &[]),
            affine(0, &[(0, 1)]),
            affine(0, &[(1, 1)]),
            affine(offset, &[(2, 2)]),
        ];
        b.view(z, axes, shape(&[3, 7, 4])).unwrap()
    };
    let (left, right) = (half(&mut b, 0), half(&mut b, 1));
    let difference = b.combine(&[(left, 1), (right, -1)], 0).unwrap();
    let positive = b.lookup(difference, 0, clamp(0, 2047)).unwrap();
    let pooled = b.combine(&[(right, 1), (positive, 1)], 0).unwrap();
    let mean = b.sum(pooled, &[1, 2]).unwrap();
    accepted("convolution", b, &[mean]);
}

#[test]
fn many_claims_on_one_value_are_merged() {
    let mut b = Builder::new(vec![input(&[3, 5], -20, 20)]);
    let v = dense(&mut b, 0, (3, 5, 6), 3);
    let x = b.lookup(v, 9, clamp(-90, 90)).unwrap();
    let mut sum = b.mul(x, x).unwrap();
    for i in 0..12 {
        let other = dense(&mut b, x, (3, 6, 6), 10 + i);
        let other = b.lookup(other, 12, clamp(-90, 90)).unwrap();
        let product = b.mul(other, x).unwrap();
        sum = b.combine(&[(sum, 1), (product, 2), (v, 1)], 0).unwrap();
    }
    let world = accepted("claims", b, &[sum]);
    assert!(steps(&world, |s| matches!(s, Step::Merge { .. })) > 0);
}

#[test]
fn aligned_slices_of_products_are_claimed_at_points_that_can_be_divided_by() {
    // The slice binds coordinates of the product's point to the constant 0.
    let mut b = Builder::new(vec![input(&[4, 8], -20, 20)]);
    let square = b.mul(0, 0).unwrap();
    let axes = vec![affine(0, &[(0, 1)]), affine(0, &[(1, 1)])];
    let corner = b.view(square, axes.clone(), shape(&[2, 4])).unwrap();
    let transposed = vec![affine(0, &[(1, 1)]), affine(0, &[(0, 1)])];
    let t = b.view(0, transposed, shape(&[8, 4])).unwrap();
    let rows = b.reshape(0, shape(&[4, 1, 8])).unwrap();
    let cols = b.reshape(t, shape(&[4, 8, 1])).unwrap();
    let products = b.matmul(rows, cols, 1, 1).unwrap();
    let products = b.reshape(products, shape(&[4, 1])).unwrap();
    let half = b.view(products, axes, shape(&[2, 1])).unwrap();
    let world = accepted("slices", b, &[corner, half]);
    assert_eq!(steps(&world, |s| matches!(s, Step::Merge { .. })), 2);
}
