use proptest::prelude::*;

use crate::testing::{random_input, random_model};
use crate::*;

mod checks;
mod files;
mod formulas;

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

fn builder(shape: &[u32], lo: i32, hi: i32) -> Builder {
    Builder::new(vec![input(shape, lo, hi)])
}

fn clamp(bits: u8, lo: i32, hi: i32) -> TableSpec {
    TableSpec::Clamp { bits, lo, hi }
}

fn constant(values: &[i32], multipliers: &[u16]) -> Constant {
    Constant {
        elements: Elements::narrowest(values),
        multipliers: multipliers.to_vec(),
    }
}

/// An affine map along one axis.
fn along(axis: u8, offset: i32, stride: i32) -> AxisMap {
    AxisMap::Affine {
        offset,
        terms: vec![(axis, stride)],
    }
}

fn finish(mut builder: Builder, outputs: &[ValueId]) -> Model {
    for &value in outputs {
        builder.output(value, ONE).unwrap();
    }
    builder.finish().unwrap()
}

/// Every operator: two inputs, a layer, a table, a residual, products, a view, two outputs.
fn sample() -> Model {
    let mut b = Builder::new(vec![input(&[2, 3], -8, 7), input(&[3], -100, 100)]);
    let w = constant(&[1, -2, 3, 4, 5, -6, 7, 8, -9], &[100, 200, 300]);
    let w = b.constant(Shape(vec![3, 3]), w).unwrap();
    let v = b.matmul(0, w, 0, 1).unwrap();
    let biased = b.combine(&[(v, 1)], 1000).unwrap();
    let relu = b.lookup(biased, 8, clamp(12, 0, 127)).unwrap();
    let mixed = b.combine(&[(relu, 3), (0, -5)], 0).unwrap();
    let small = b.lookup(mixed, 2, clamp(8, -100, 100)).unwrap();
    let squares = b.mul(small, small).unwrap();
    let sums = b.sum(squares, &[0]).unwrap();
    let shifted = b.shift(sums, 3, 20).unwrap();
    let rows = b
        .view(
            small,
            vec![along(1, 0, 1), along(0, 2, -1)],
            Shape(vec![3, 2]),
        )
        .unwrap();
    let dots = b.matmul(shifted, rows, 0, 1).unwrap();
    let table = TableSpec::Explicit((0..16).map(|i| i * i * 700 - 900).collect());
    let looked = b.lookup(1, 5, table).unwrap();
    let flat = b.reshape(looked, Shape(vec![3, 1])).unwrap();
    finish(b, &[dots, flat])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_models_survive_their_bytes_and_stay_in_their_ranges(seed: u64, at: u64) {
        let model = random_model(seed);
        prop_assert_eq!(&Graph::decode(&model.graph.encode()).unwrap(), &model.graph);
        prop_assert_eq!(&Model::decode(&model.encode()).unwrap(), &model);
        let input = random_input(&model, at);
        let trace = reference::trace(&model, &input).unwrap();
        for (id, tensor) in (0..).zip(&trace.values) {
            let range = model.graph.range(id).unwrap();
            let shape = model.graph.shape(id).unwrap();
            prop_assert_eq!(tensor.len(), shape.elements());
            prop_assert!(tensor.iter().all(|v| range.contains(*v)), "value {id}: {range}");
        }
        let output = reference::run(&model, &input).unwrap();
        let bytes = model.graph.encode_output(&output);
        prop_assert_eq!(bytes.len(), model.graph.output_bytes());
        prop_assert_eq!(model.graph.decode_output(&bytes).unwrap(), output);
    }

    #[test]
    fn random_bytes_are_never_a_graph_or_a_panic(bytes: Vec<u8>) {
        prop_assert!(Graph::decode(&bytes).is_err());
        prop_assert!(Model::decode(&bytes).is_err());
    }
}

#[test]
fn random_models_cover_the_contract_and_their_values_vary() {
    let models: Vec<Model> = (0..300).map(random_model).collect();
    let ops = || models.iter().flat_map(|m| &m.graph.nodes).map(|n| &n.op);
    for name in [
        "Constant", "MatMul", "Mul", "Combine", "Sum", "View", "Reshape", "Lookup", "Shift",
    ] {
        let count = ops().filter(|op| op.name() == name).count();
        assert!(count > 40, "{count} of {name}");
    }
    let explicit = |op: &&Op| {
        matches!(
            op,
            Op::Lookup {
                table: Table::Explicit { .. },
                ..
            }
        )
    };
    assert!(ops().filter(explicit).count() > 50);
    let maps = || {
        ops().flat_map(|op| match op {
            Op::View { axes, .. } => axes.clone(),
            _ => Vec::new(),
        })
    };
    let terms = |map: &AxisMap| match map {
        AxisMap::Affine { terms, .. } => terms.clone(),
        AxisMap::List { .. } => Vec::new(),
    };
    assert!(
        maps().any(|map| matches!(map, AxisMap::List { indices, .. } if indices.contains(&-1)))
    );
    assert!(maps().any(|map| terms(&map).len() > 1));
    assert!(maps().any(|map| terms(&map).iter().any(|(_, stride)| *stride < 0)));
    assert!(maps().any(|map| terms(&map).iter().any(|(_, stride)| *stride > 1)));
    assert!(
        models
            .iter()
            .any(|m| m.graph.inputs.len() > 1 && m.graph.outputs.len() > 1)
    );
    let widths = |wanted: fn(&Elements) -> bool| {
        let mut all = models.iter().flat_map(|m| &m.weights.constants);
        all.any(|c| wanted(&c.elements))
    };
    assert!(widths(|e| matches!(e, Elements::I16(_))) && widths(|e| matches!(e, Elements::I32(_))));
    let (mut varied, mut tensors) = (0, 0);
    for (seed, model) in (0..).zip(&models) {
        let trace = reference::trace(model, &random_input(model, seed)).unwrap();
        for tensor in trace.values.iter().filter(|t| t.len() > 3) {
            tensors += 1;
            varied += usize::from(tensor.iter().any(|v| *v != tensor[0]));
        }
    }
    assert!(
        varied * 10 > tensors * 8,
        "{varied} of {tensors} tensors vary"
    );
}
