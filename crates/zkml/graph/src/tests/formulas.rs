//! The reference against results worked out by hand.

use super::*;

#[test]
fn the_reference_follows_the_formulas_by_hand() {
    let model = sample();
    let values = [1, 2, 3, -4, 5, -6, 100, -100, 15];
    let trace = reference::trace(&model, &values).unwrap();
    let named = |name: &str, nth: usize| {
        let mut ids = (0..)
            .zip(&model.graph.nodes)
            .filter(|(_, n)| n.op.name() == name);
        let (id, _): (u32, _) = ids.nth(nth).unwrap();
        trace.values[id as usize + 2].clone()
    };
    assert_eq!(named("Constant", 0)[..4], [100, -400, 900, 400]);
    // Row 0: (1·1+2·4+3·7)·100, (−2+10+24)·200, (3−12−27)·300.
    assert_eq!(named("MatMul", 0)[..3], [3000, 6400, -10800]);
    assert_eq!(named("Combine", 0)[..3], [4000, 7400, -9800]);
    // (4000+128)>>8 = 16, (7400+128)>>8 = 29, negative clamped.
    assert_eq!(named("Lookup", 0)[..3], [16, 29, 0]);
    assert_eq!(named("Combine", 1)[..3], [48 - 5, 87 - 10, -15]);
    // (43+2)>>2, (77+2)>>2, (−15+2)>>2 rounds down.
    let small = named("Lookup", 1);
    assert_eq!(small[..3], [11, 19, -4]);
    let squares = named("Mul", 0);
    assert_eq!(squares[..3], [121, 361, 16]);
    let sums = named("Sum", 0);
    assert_eq!(sums[0], squares[0] + squares[3]);
    let shifted = named("Shift", 0);
    assert_eq!(shifted[0], (sums[0] + 4) >> 3);
    // The view reads row o1 and column 2 - o0.
    let view = named("View", 0);
    assert_eq!(
        view,
        [small[2], small[5], small[1], small[4], small[0], small[3]]
    );
    let dot = |column: usize| {
        (0..3)
            .map(|k| shifted[k] * view[2 * k + column])
            .sum::<i32>()
    };
    assert_eq!(named("MatMul", 1), [dot(0), dot(1)]);
    // (100+16)>>5 = 3, (-100+16)>>5 = -3, (15+16)>>5 = 0; the window starts at -8.
    let entry = |index: i32| (index + 8) * (index + 8) * 700 - 900;
    let looked = [entry(3), entry(-3), entry(0)];
    assert_eq!(named("Reshape", 0), looked);
    let output = reference::run(&model, &values).unwrap();
    assert_eq!(output, [dot(0), dot(1), looked[0], looked[1], looked[2]]);
}

#[test]
fn halves_round_towards_positive_infinity_and_shift_zero_only_looks_up() {
    let run = |shift: u8, table: TableSpec, values: &[i32]| {
        let mut b = builder(&[4], -20, 20);
        let y = b.lookup(0, shift, table).unwrap();
        reference::run(&finish(b, &[y]), values).unwrap()
    };
    assert_eq!(run(2, clamp(8, -100, 100), &[2, -2, 3, -3]), [1, 0, 1, -1]);
    assert_eq!(run(0, clamp(8, -3, 5), &[-20, -3, 4, 20]), [-3, -3, 4, 5]);
    let mut b = builder(&[4], -20, 20);
    let y = b.shift(0, 2, 28).unwrap();
    let model = finish(b, &[y]);
    assert_eq!(
        reference::run(&model, &[2, -2, 3, -3]).unwrap(),
        [1, 0, 1, -1]
    );
}

#[test]
fn a_product_has_batch_axes_on_both_sides_and_inner_axes_in_between() {
    // a[2; 3; 2,2] · b[2; 2,2; 1]: two batches, three rows, four inner positions.
    let mut b = Builder::new(vec![
        input(&[2, 3, 2, 2], -50, 50),
        input(&[2, 2, 2, 1], -9, 9),
    ]);
    let y = b.matmul(0, 1, 1, 2).unwrap();
    let model = finish(b, &[y]);
    assert_eq!(model.graph.shape(y).unwrap().0, [2, 3, 1]);
    let a: Vec<i32> = (0..24).collect();
    let weights = [1, 0, 0, 2, -1, 1, 0, 3];
    let flat = [a.clone(), weights.to_vec()].concat();
    let row = |r: usize, w: &[i32]| (0..4).map(|k| a[4 * r + k] * w[k]).sum::<i32>();
    let expected: Vec<i32> = (0..6)
        .map(|r| row(r, if r < 3 { &weights[..4] } else { &weights[4..] }))
        .collect();
    assert_eq!(reference::run(&model, &flat).unwrap(), expected);
}

#[test]
fn views_transpose_slice_pad_repeat_gather_and_cut_patches() {
    let run = |axes: Vec<AxisMap>, shape: &[u32]| {
        let mut b = builder(&[2, 3], 0, 9);
        let y = b.view(0, axes, Shape(shape.to_vec())).unwrap();
        reference::run(&finish(b, &[y]), &[1, 2, 3, 4, 5, 6]).unwrap()
    };
    let list = |axis, indices: &[i32]| AxisMap::List {
        axis,
        indices: indices.to_vec(),
    };
    let fixed = |offset| AxisMap::Affine {
        offset,
        terms: vec![],
    };
    assert_eq!(
        run(vec![along(1, 0, 1), along(0, 0, 1)], &[3, 2]),
        [1, 4, 2, 5, 3, 6]
    );
    assert_eq!(run(vec![fixed(1), along(0, 2, -2)], &[2]), [6, 4]);
    assert_eq!(
        run(vec![along(0, -1, 1), along(1, 1, 1)], &[4, 3]),
        [0, 0, 0, 2, 3, 0, 5, 6, 0, 0, 0, 0]
    );
    assert_eq!(
        run(vec![fixed(0), along(1, 0, 1)], &[2, 3]),
        [1, 2, 3, 1, 2, 3]
    );
    assert_eq!(
        run(vec![fixed(1), list(0, &[2, -1, 0, 0])], &[4]),
        [6, 0, 4, 4]
    );
    // Patches of width 2: index = position + tap.
    let patch = AxisMap::Affine {
        offset: 0,
        terms: vec![(1, 1), (2, 1)],
    };
    assert_eq!(
        run(vec![along(0, 0, 1), patch], &[2, 2, 2]),
        [1, 2, 2, 3, 4, 5, 5, 6]
    );
    // A scalar of the result.
    assert_eq!(run(vec![fixed(1), fixed(1)], &[]), [5]);
}

#[test]
fn sums_leave_the_other_axes_and_scalars_have_one_element() {
    let run = |axes: &[u8]| {
        let mut b = builder(&[2, 3], -9, 9);
        let y = b.sum(0, axes).unwrap();
        let model = finish(b, &[y]);
        (
            model.graph.shape(y).unwrap().0.clone(),
            reference::run(&model, &[1, 2, 3, 4, 5, 6]).unwrap(),
        )
    };
    assert_eq!(run(&[0]), (vec![3], vec![5, 7, 9]));
    assert_eq!(run(&[1]), (vec![2], vec![6, 15]));
    assert_eq!(run(&[1, 0]), (vec![], vec![21]));
}

#[test]
fn an_explicit_table_is_read_from_its_first_index() {
    let values: Vec<i32> = (0..256).map(|i| 1000 - 7 * i).collect();
    let table = Table::Explicit {
        bits: 8,
        table: 0,
        lo: 1000 - 7 * 255,
        hi: 1000,
    };
    let tables = [TableData {
        values: values.clone(),
    }];
    assert_eq!((table.first_index(), table.len()), (-128, 256));
    for (index, value) in (-128..128).zip(values) {
        assert_eq!(table.apply(index, &tables), value);
    }
}
