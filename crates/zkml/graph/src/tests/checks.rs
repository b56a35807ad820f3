//! Every rule of a valid graph and model, broken once.

use super::*;

/// Index of the nth node with this operator.
fn node_of(model: &Model, name: &str, nth: usize) -> usize {
    let nodes = model.graph.nodes.iter().enumerate();
    let mut named = nodes.filter(|(_, node)| node.op.name() == name);
    named.nth(nth).unwrap().0
}

fn refusal(change: impl Fn(&mut Model)) -> CheckError {
    let mut model = sample();
    change(&mut model);
    model.check().unwrap_err()
}

/// The refusal after the nth operator of this name was changed.
fn refusal_of(name: &str, nth: usize, change: impl Fn(&mut Op)) -> CheckError {
    refusal(|model| {
        let node = node_of(model, name, nth);
        change(&mut model.graph.nodes[node].op);
    })
}

#[test]
fn counts_and_ports_are_limited() {
    assert!(matches!(
        refusal(|m| m.graph.nodes.clear()),
        CheckError::NodeCount(0)
    ));
    let error = refusal(|m| m.graph.inputs.clear());
    assert!(matches!(
        error,
        CheckError::PortCount {
            what: "inputs",
            count: 0
        }
    ));
    let error = refusal(|m| m.graph.outputs = vec![m.graph.outputs[0]; 17]);
    assert!(matches!(
        error,
        CheckError::PortCount {
            what: "outputs",
            count: 17
        }
    ));
    let error = refusal(|m| m.graph.outputs[1].value = 99);
    assert!(matches!(
        error,
        CheckError::Output {
            output: 1,
            value: 99
        }
    ));
    let error = refusal(|m| m.graph.outputs.truncate(1));
    assert!(matches!(error, CheckError::Unused(_)), "{error}");
}

#[test]
fn shapes_ranges_and_scales_of_ports_are_limited() {
    let error = refusal(|m| m.graph.inputs[1].shape.0 = vec![2, 0]);
    assert!(matches!(
        error,
        CheckError::Rank {
            place: Place::Input(1),
            ..
        }
    ));
    let error = refusal(|m| m.graph.inputs[0].shape.0 = vec![1; 9]);
    assert!(matches!(error, CheckError::Rank { .. }));
    let error = refusal(|m| m.graph.inputs[0].shape.0 = vec![u32::MAX; 4]);
    assert!(matches!(error, CheckError::TensorSize { .. }));
    // 2^26 elements would fit, 2^25 + 1 padded to 2^26 with another axis of 2 do not.
    let error = refusal(|m| m.graph.inputs[0].shape.0 = vec![(1 << 25) + 1, 2]);
    assert!(matches!(error, CheckError::TensorSize { .. }));
    let error = refusal(|m| m.graph.inputs[0].range.lo = 8);
    assert!(matches!(error, CheckError::Range { .. }));
    let error = refusal(|m| m.graph.inputs[0].range.hi = 1 << 29);
    assert!(matches!(error, CheckError::Range { .. }));
    let error = refusal(|m| m.graph.inputs[0].range.lo = 1);
    assert!(matches!(error, CheckError::WithoutZero { .. }));
    let error = refusal(|m| m.graph.outputs[0].scale.multiplier = 0);
    assert!(matches!(
        error,
        CheckError::Scale {
            place: Place::Output(0)
        }
    ));
    let error = refusal(|m| m.graph.inputs[1].scale.shift = 63);
    assert!(matches!(
        error,
        CheckError::Scale {
            place: Place::Input(1)
        }
    ));
}

#[test]
fn operands_are_earlier_values_with_agreeing_axes() {
    let error = refusal_of("Mul", 0, |op| *op = Op::Mul { a: 2, b: 12 });
    assert!(matches!(error, CheckError::Operand { operand: 12, .. }));
    let error = refusal_of("Mul", 0, |op| *op = Op::Mul { a: 0, b: 1 });
    assert!(matches!(error, CheckError::ShapeMismatch { op: "Mul", .. }));
    for (batch, inner) in [(1, 1), (0, 0), (0, 2), (255, 255)] {
        let change = |op: &mut Op| {
            if let Op::MatMul {
                batch: b, inner: i, ..
            } = op
            {
                (*b, *i) = (batch, inner);
            }
        };
        let error = refusal_of("MatMul", 0, change);
        assert!(matches!(error, CheckError::MatMulAxes { .. }), "{error}");
    }
    for axes in [vec![], vec![2], vec![1, 0], vec![0, 0]] {
        let change = |op: &mut Op| {
            if let Op::Sum { axes: a, .. } = op {
                *a = axes.clone();
            }
        };
        assert!(matches!(
            refusal_of("Sum", 0, change),
            CheckError::SumAxes { .. }
        ));
    }
    let error = refusal(|m| {
        let node = node_of(m, "Reshape", 0);
        let shape = Shape(vec![4]);
        m.graph.nodes[node].shape = shape.clone();
        if let Op::Reshape { shape: s, .. } = &mut m.graph.nodes[node].op {
            *s = shape;
        }
    });
    assert!(matches!(
        error,
        CheckError::ShapeMismatch { op: "Reshape", .. }
    ));
}

#[test]
fn terms_of_a_combination_are_few_different_and_small() {
    let terms = |terms: Vec<(ValueId, i32)>| {
        refusal_of("Combine", 0, |op| {
            *op = Op::Combine {
                terms: terms.clone(),
                offset: 0,
            }
        })
    };
    assert!(matches!(terms(vec![]), CheckError::Terms { count: 0, .. }));
    assert!(matches!(
        terms(vec![(0, 1); 65]),
        CheckError::Terms { count: 65, .. }
    ));
    assert!(matches!(
        terms(vec![(3, 1), (3, 2)]),
        CheckError::RepeatedTerm { value: 3, .. }
    ));
    for bad in [0, 1 << 24, i32::MIN] {
        assert!(matches!(
            terms(vec![(3, bad)]),
            CheckError::Multiplier { .. }
        ));
    }
    assert!(matches!(
        terms(vec![(3, (1 << 24) - 1)]),
        CheckError::TooLarge { .. }
    ));
}

#[test]
fn maps_of_a_view_fit_the_operand_and_the_result() {
    let rule = |change: &dyn Fn(&mut Vec<AxisMap>)| {
        let error = refusal_of("View", 0, |op| {
            if let Op::View { axes, .. } = op {
                change(axes);
            }
        });
        let CheckError::View { rule, .. } = error else {
            panic!("{error}");
        };
        rule
    };
    let list = |axis, indices: &[i32]| AxisMap::List {
        axis,
        indices: indices.to_vec(),
    };
    let affine = |terms: &[(u8, i32)]| AxisMap::Affine {
        offset: 0,
        terms: terms.to_vec(),
    };
    assert!(rule(&|axes| drop(axes.pop())).contains("every axis"));
    assert!(rule(&|axes| axes[0] = along(2, 0, 1)).contains("missing or named twice"));
    assert!(rule(&|axes| axes[0] = along(0, 0, 1)).contains("missing or named twice"));
    assert!(rule(&|axes| axes[0] = along(1, 0, 0)).contains("stride is 0"));
    assert!(rule(&|axes| axes[0] = affine(&[(1, 1), (0, 1)])).contains("must rise"));
    assert!(rule(&|axes| axes[0] = list(1, &[0, 1, 1])).contains("one entry"));
    assert!(rule(&|axes| axes[0] = list(1, &[0, 2])).contains("neither"));
    assert!(rule(&|axes| axes[0] = list(1, &[0, -2])).contains("neither"));
}

#[test]
fn tables_and_windows_are_limited() {
    let lookup = |shift: u8, table: Table| {
        refusal_of("Lookup", 0, |op| {
            if let Op::Lookup {
                shift: s, table: t, ..
            } = op
            {
                (*s, *t) = (shift, table);
            }
        })
    };
    let clamp = |bits, lo, hi| Table::Clamp { bits, lo, hi };
    assert!(matches!(
        lookup(8, clamp(0, 0, 0)),
        CheckError::TableBits { bits: 0, .. }
    ));
    assert!(matches!(
        lookup(8, clamp(17, 0, 1)),
        CheckError::TableBits { .. }
    ));
    assert!(matches!(
        lookup(8, clamp(12, 1, 0)),
        CheckError::TableRange { .. }
    ));
    assert!(matches!(
        lookup(8, clamp(12, 0, 2048)),
        CheckError::TableRange { .. }
    ));
    for shift in [19, 255, 2] {
        let error = lookup(shift, clamp(12, 0, 1));
        assert!(
            matches!(error, CheckError::Window { .. }),
            "{shift}: {error}"
        );
    }
    let explicit = |table, hi| Table::Explicit {
        bits: 12,
        table,
        lo: 0,
        hi,
    };
    assert!(matches!(
        lookup(8, explicit(1, 5)),
        CheckError::TableOrder { next: 0, .. }
    ));
    assert!(matches!(
        lookup(8, explicit(0, 1 << 29)),
        CheckError::TableRange { .. }
    ));
    let error = refusal_of("Shift", 0, |op| {
        if let Op::Shift { bits, .. } = op {
            *bits = 28;
        }
    });
    assert!(matches!(error, CheckError::Window { bits: 28, .. }));
}

#[test]
fn every_declared_range_is_the_computed_one() {
    let count = sample().graph.nodes.len();
    for node in 0..count {
        for end in 0..2 {
            let error = refusal(|m| {
                let range = &mut m.graph.nodes[node].range;
                match end {
                    0 => range.lo -= 1,
                    _ => range.hi += 1,
                }
            });
            // An operand's range may break its reader's bound before it is compared itself.
            let found = match error {
                CheckError::RangeMismatch { node, .. } | CheckError::Window { node, .. } => node,
                error => panic!("{error}"),
            };
            assert!(
                found >= node || found == node,
                "node {node}, refused {found}"
            );
        }
    }
}

#[test]
fn constants_and_tables_are_canonical() {
    let error = refusal(|m| drop(m.weights.constants.pop()));
    assert!(matches!(
        error,
        CheckError::WeightCount {
            what: "constants",
            ..
        }
    ));
    let error = refusal(|m| drop(m.weights.tables.pop()));
    assert!(matches!(
        error,
        CheckError::WeightCount { what: "tables", .. }
    ));
    let error = refusal(|m| m.weights.constants[0].elements = Elements::I8(vec![1; 8]));
    assert!(matches!(
        error,
        CheckError::ConstantLength {
            part: "elements",
            actual: 8,
            ..
        }
    ));
    let error = refusal(|m| m.weights.constants[0].elements = Elements::I16(vec![1; 9]));
    assert!(matches!(error, CheckError::ConstantWidth { .. }));
    let error = refusal(|m| m.weights.constants[0].elements = Elements::I32(vec![1; 9]));
    assert!(matches!(error, CheckError::ConstantWidth { .. }));
    let error = refusal(|m| m.weights.constants[0].multipliers = vec![1, 2]);
    assert!(matches!(
        error,
        CheckError::ConstantLength {
            part: "multipliers",
            ..
        }
    ));
    for bad in [vec![1, 1, 1], vec![1, 0, 2]] {
        let error = refusal(|m| m.weights.constants[0].multipliers = bad.clone());
        assert!(matches!(error, CheckError::ConstantMultipliers { .. }));
    }
    let error = refusal(|m| m.weights.constants[0].elements = Elements::I8(vec![3; 9]));
    assert!(
        matches!(error, CheckError::RangeMismatch { node: 0, .. }),
        "{error}"
    );
    let large = (1 << 29) / 100 + 1;
    let elements = Elements::I32(vec![large; 9]);
    let error = refusal(|m| m.weights.constants[0].elements = elements.clone());
    assert!(matches!(error, CheckError::TooLarge { node: 0 }));
    let error = refusal(|m| m.weights.tables[0].values.truncate(8));
    assert!(matches!(
        error,
        CheckError::TableLength {
            expected: 16,
            actual: 8,
            ..
        }
    ));
    let error = refusal(|m| m.weights.tables[0].values[3] = -901);
    assert!(matches!(error, CheckError::TableMismatch { table: 0, .. }));
}

#[test]
fn the_bound_of_a_lookup_is_strict() {
    let range = |hi: i32| Range { lo: -hi, hi };
    // |v| + 2^3 < 2^(8-1+4) = 2048.
    assert!(bounds::lookup_fits(range(2039), 4, 8));
    assert!(!bounds::lookup_fits(range(2040), 4, 8));
    // s = 0: |v| < 128.
    assert!(bounds::lookup_fits(range(127), 0, 8));
    assert!(!bounds::lookup_fits(range(128), 0, 8));
    assert!(bounds::lookup_fits(range(0), 18, 12));
    assert!(!bounds::lookup_fits(range(0), 19, 12));
    let deep = Range {
        lo: i32::MIN,
        hi: 0,
    };
    assert!(!bounds::lookup_fits(deep, 14, 16));
    assert_eq!(bounds::least_shift(range(2039), 8), Some(4));
    assert_eq!(bounds::least_shift(deep, 16), None);
}

#[test]
fn a_product_by_a_constant_is_bounded_by_its_columns_and_rows() {
    let range = |b: &Builder, v| b.graph().range(v).unwrap();
    // Columns (3, -2) and (-5, 1) over x in [-10, 100].
    let mut b = builder(&[1, 2], -10, 100);
    let w = b
        .constant(Shape(vec![2, 2]), constant(&[3, -5, -2, 1], &[]))
        .unwrap();
    let v = b.matmul(0, w, 0, 1).unwrap();
    assert_eq!(range(&b, v), Range { lo: -510, hi: 320 });
    // Rows (3, -5) and (-2, 1) of the same constant on the left.
    let mut b = builder(&[2, 1], -10, 100);
    let w = b
        .constant(Shape(vec![2, 2]), constant(&[3, -5, -2, 1], &[]))
        .unwrap();
    let v = b.matmul(w, 0, 0, 1).unwrap();
    assert_eq!(range(&b, v), Range { lo: -530, hi: 350 });
    // Without a constant: inner length times the extreme products.
    let mut b = Builder::new(vec![input(&[3], -10, 100), input(&[3], -2, 5)]);
    let v = b.matmul(0, 1, 0, 1).unwrap();
    assert_eq!(range(&b, v), Range { lo: -600, hi: 1500 });
}

#[test]
fn the_remainder_of_an_idle_quotient_is_short() {
    let range = |b: &Builder, v| b.graph().range(v).unwrap();
    let mut b = builder(&[4], -1000, 1000);
    let idle = b.lookup(0, 4, clamp(8, -62, 63)).unwrap();
    let below = b.lookup(0, 4, clamp(8, -61, 63)).unwrap();
    let above = b.lookup(0, 4, clamp(8, -62, 62)).unwrap();
    let wide = b.shift(0, 4, 20).unwrap();
    let short = Range { lo: -8, hi: 7 };
    let rem = b.combine(&[(0, 1), (idle, -16)], 0).unwrap();
    assert_eq!(range(&b, rem), short);
    let rem = b.combine(&[(wide, -16), (0, 1)], 0).unwrap();
    assert_eq!(range(&b, rem), short);
    let rem = b.combine(&[(0, -3), (wide, 48)], 5).unwrap();
    assert_eq!(
        range(&b, rem),
        Range {
            lo: -21 + 5,
            hi: 24 + 5
        }
    );
    for biting in [below, above] {
        let no = b.combine(&[(0, 1), (biting, -16)], 0).unwrap();
        assert!(range(&b, no).hi > 1000);
    }
    let no = b.combine(&[(0, 1), (idle, -8)], 0).unwrap();
    assert!(range(&b, no).hi > 1000);
    // One x serves one quotient only.
    let two = b.combine(&[(0, 1), (idle, -16), (wide, -16)], 0).unwrap();
    assert_eq!(
        range(&b, two),
        Range {
            lo: -8 - 16 * 63,
            hi: 7 + 16 * 62
        }
    );
}

/// `b + clamp(a - b, 0, h)` of all pairs in two small ranges lies in the range that is told.
#[test]
fn a_maximum_of_two_lies_where_its_operands_do() {
    let range_of = |h: i32, sign: i32, second_first: bool| {
        let mut b = Builder::new(vec![input(&[2], -3, 9), input(&[2], -7, 4)]);
        let d = b.combine(&[(0, 1), (1, -1)], 0).unwrap();
        let clamp = TableSpec::Clamp {
            bits: 8,
            lo: 0,
            hi: h,
        };
        let positive = b.lookup(d, 0, clamp).unwrap();
        let other = if second_first { 0 } else { 1 };
        let v = b.combine(&[(positive, sign), (other, 1)], 0).unwrap();
        b.graph().range(v).unwrap()
    };
    let of = |lo, hi| Range { lo, hi };
    // max(a, b) of -3..9 and -7..4.
    assert_eq!(range_of(16, 1, false), of(-3, 9));
    assert_eq!(range_of(17, 1, false), of(-3, 9));
    let all = (-3..=9).flat_map(|a| (-7..=4).map(move |b: i32| b + (a - b).clamp(0, 16)));
    assert!(all.clone().min() == Some(-3) && all.max() == Some(9));
    // A clamp that bites above, another sign, another operand: interval arithmetic.
    assert_eq!(range_of(15, 1, false), of(-7, 19));
    assert_eq!(range_of(16, -1, false), of(-23, 4));
    assert_eq!(range_of(16, 1, true), of(-3, 25));
}

#[test]
fn squares_are_not_negative_and_padding_contains_zero() {
    let mut b = builder(&[4], -7, 5);
    let square = b.mul(0, 0).unwrap();
    assert_eq!(b.graph().range(square), Some(Range { lo: 0, hi: 49 }));
    let away = b.combine(&[(square, 1)], 10).unwrap();
    let inside = b.view(away, vec![along(0, 3, -1)], Shape(vec![4])).unwrap();
    assert_eq!(b.graph().range(inside), Some(Range { lo: 10, hi: 59 }));
    let outside = b.view(away, vec![along(0, 3, -1)], Shape(vec![5])).unwrap();
    assert_eq!(b.graph().range(outside), Some(Range { lo: 0, hi: 59 }));
    let square = b.mul(away, away).unwrap();
    assert_eq!(
        b.graph().range(square),
        Some(Range {
            lo: 100,
            hi: 59 * 59
        })
    );
}

#[test]
fn the_builder_shares_tables_merges_terms_and_drops_what_reaches_no_output() {
    let table = |first: i32| TableSpec::Explicit((0..16).map(|i| first + i * i).collect());
    let mut b = builder(&[4], -7, 7);
    let unused = b
        .constant(Shape(vec![4]), constant(&[1, 2, 3, 4], &[]))
        .unwrap();
    let lost = b.lookup(0, 0, table(50)).unwrap();
    let kept = b
        .constant(Shape(vec![4]), constant(&[5, 6, 7, 8], &[]))
        .unwrap();
    let x = b.lookup(0, 0, table(1)).unwrap();
    let y = b.lookup(0, 0, table(1)).unwrap();
    let sum = b
        .combine(&[(x, 2), (y, 1), (kept, 4), (x, 3), (kept, -4)], 1)
        .unwrap();
    let product = b.mul(sum, kept).unwrap();
    let even = AxisMap::List {
        axis: 0,
        indices: vec![3, 2, 1],
    };
    let turned = b.view(product, vec![even], Shape(vec![3])).unwrap();
    b.output(turned, ONE).unwrap();
    let (model, map) = b.finish_with_map().unwrap();
    assert_eq!((map[unused as usize], map[lost as usize]), (None, None));
    assert_eq!(map[kept as usize], Some(1));
    assert_eq!(
        (model.weights.constants.len(), model.weights.tables.len()),
        (1, 1)
    );
    assert_eq!(model.weights.tables[0].values[0], 1);
    let terms = model.graph.nodes.iter().find_map(|node| match &node.op {
        Op::Combine { terms, .. } => Some(terms.clone()),
        _ => None,
    });
    assert_eq!(terms, Some(vec![(2, 5), (3, 1)]));
    let last = &model.graph.nodes.last().unwrap().op;
    assert!(matches!(last, Op::View { axes, .. } if axes[0] == along(0, 3, -1)));
    assert_eq!(Model::decode(&model.encode()).unwrap(), model);
}

#[test]
fn an_error_leaves_the_builder_as_it_was() {
    let mut b = builder(&[4], -7, 7);
    assert!(b.constant(Shape(vec![3]), constant(&[1, 2], &[])).is_err());
    assert!(
        b.constant(Shape(vec![1]), constant(&[1 << 29], &[]))
            .is_err()
    );
    assert!(b.lookup(0, 0, TableSpec::Explicit(vec![0; 3])).is_err());
    assert!(b.lookup(0, 0, TableSpec::Explicit(vec![0; 4])).is_err());
    assert!(b.output(1, ONE).is_err());
    let y = b
        .lookup(0, 0, TableSpec::Explicit((0..16).collect()))
        .unwrap();
    assert_eq!(finish(b, &[y]).weights.tables.len(), 1);
}
