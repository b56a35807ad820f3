use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::*;

const ONE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

fn clamp(bits: u8, lo: i32, hi: i32) -> Table {
    Table::Clamp { bits, lo, hi }
}

fn builder(shape: &[u32], lo: i32, hi: i32) -> Builder {
    Builder::new(Input {
        shape: Shape(shape.to_vec()),
        range: Range { lo, hi },
        scale: ONE,
    })
}

/// Every operator once: two layers, a residual, a change of shape.
fn sample() -> Model {
    let mut builder = builder(&[2, 3], -8, 7);
    let first = LinearWeights {
        w: vec![1, -2, 3, 4, 5, -6, 7, 8, -9],
        b: vec![10, -11, 12],
        m: vec![100, 200, 300],
    };
    let v = builder.linear(0, first).unwrap();
    let a = builder.requant(v, 8, clamp(12, 0, 127)).unwrap();
    let s = builder.add((a, 3), (0, -5)).unwrap();
    let r = builder.requant(s, 2, clamp(8, -100, 100)).unwrap();
    let flat = builder.reshape(r, Shape(vec![1, 6])).unwrap();
    let last = LinearWeights {
        w: vec![1, -1, 2, -2, 3, -3],
        b: vec![7],
        m: vec![64],
    };
    let v = builder.linear(flat, last).unwrap();
    builder.requant(v, 6, clamp(16, -32768, 32767)).unwrap();
    builder.finish(ONE).unwrap()
}

#[test]
fn the_reference_follows_the_formulas_by_hand() {
    let model = sample();
    let trace = reference::trace(&model, &[1, 2, 3, -4, 5, -6]).unwrap();
    // Row 0: (1·1+2·4+3·7+10)·100, (−2+10+24−11)·200, (3−12−27+12)·300.
    assert_eq!(trace.values[1][..3], [4000, 4200, -7200]);
    // (4000+128)>>8 = 16, (4200+128)>>8 = 16, negative clamped.
    assert_eq!(trace.values[2][..3], [16, 16, 0]);
    assert_eq!(trace.values[3][..3], [16 * 3 - 5, 16 * 3 - 10, -15]);
    // (43+2)>>2, (38+2)>>2, (−15+2)>>2 rounds down.
    assert_eq!(trace.values[4][..3], [11, 10, -4]);
    assert_eq!(trace.values[5], trace.values[4]);
    let row = &trace.values[5];
    let sum = row[0] - row[1] + 2 * row[2] - 2 * row[3] + 3 * row[4] - 3 * row[5] + 7;
    assert_eq!(trace.values[7], [sum]);
    assert_eq!(
        reference::run(&model, &[1, 2, 3, -4, 5, -6]).unwrap(),
        [sum]
    );
}

#[test]
fn halves_round_towards_positive_infinity_and_shift_zero_only_looks_up() {
    let mut up = builder(&[4], -20, 20);
    up.requant(0, 2, clamp(8, -100, 100)).unwrap();
    let up = up.finish(ONE).unwrap();
    assert_eq!(reference::run(&up, &[2, -2, 3, -3]).unwrap(), [1, 0, 1, -1]);
    let mut plain = builder(&[4], -20, 20);
    plain.requant(0, 0, clamp(8, -3, 5)).unwrap();
    let plain = plain.finish(ONE).unwrap();
    assert_eq!(
        reference::run(&plain, &[-20, -3, 4, 20]).unwrap(),
        [-3, -3, 4, 5]
    );
}

#[test]
fn a_table_covers_its_window() {
    let table = clamp(8, -5, 100);
    let entries: Vec<_> = table.entries().collect();
    assert_eq!(entries.len(), table.len());
    assert_eq!((entries[0], entries[255]), ((-128, -5), (127, 100)));
    assert!(
        entries
            .iter()
            .all(|&(index, value)| table.apply(index) == value)
    );
}

#[test]
fn the_encoding_is_pinned() {
    let graph = sample().graph;
    let hex: String = graph.digest().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(graph.encode()[..6], *b"HMKG\x01\x00");
    assert_eq!(hex, GOLDEN_DIGEST);
    assert_eq!((graph.macs(), graph.params()), (18 + 6, 12 + 7));
}

const GOLDEN_DIGEST: &str = "6ce001ca386a291cb2c05391837fc862bfe5446f418ca05211048a4668017590";

#[test]
fn graphs_and_models_survive_their_bytes() {
    let model = sample();
    assert_eq!(Graph::decode(&model.graph.encode()).unwrap(), model.graph);
    let bytes = model.encode();
    assert_eq!(Model::decode(&bytes).unwrap(), model);
    assert_eq!(model.content_hash(), *blake3::hash(&bytes).as_bytes());
}

#[test]
fn every_cut_and_every_extra_byte_is_refused() {
    let model = sample();
    let (graph, file) = (model.graph.encode(), model.encode());
    for end in 0..graph.len() {
        assert!(Graph::decode(&graph[..end]).is_err(), "cut at {end}");
    }
    for end in 0..file.len() {
        assert!(Model::decode(&file[..end]).is_err(), "cut at {end}");
    }
    let longer = [graph, vec![0]].concat();
    assert_eq!(Graph::decode(&longer), Err(DecodeError::Trailing(1)));
    assert_eq!(
        Model::decode(&[file, vec![0]].concat()),
        Err(DecodeError::Digest)
    );
}

#[test]
fn damage_wrong_magic_and_other_versions_are_named() {
    let model = sample();
    let change = |at: usize, value: u8| {
        let mut bytes = model.encode();
        bytes[at] = value;
        Model::decode(&bytes).unwrap_err()
    };
    assert_eq!(change(0, b'X'), DecodeError::Magic("model"));
    assert!(matches!(
        change(4, 2),
        DecodeError::Version { version: 2, .. }
    ));
    assert_eq!(change(model.encode().len() - 1, 77), DecodeError::Digest);
    let mut bytes = model.graph.encode();
    bytes[4] = 9;
    assert!(matches!(
        Graph::decode(&bytes),
        Err(DecodeError::Version { version: 9, .. })
    ));
}

#[test]
fn a_huge_count_is_refused_before_anything_is_allocated() {
    let bytes = sample().graph.encode();
    // After magic, version, rank, two dimensions, range and scale.
    let at = 6 + 1 + 8 + 8 + 5;
    assert_eq!(bytes[at..at + 4], 7u32.to_le_bytes());
    let with = |count: u32| {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
        Graph::decode(&bytes)
    };
    assert!(matches!(
        with(u32::MAX),
        Err(DecodeError::TooLarge {
            what: "node count",
            ..
        })
    ));
    assert!(matches!(
        with(4096),
        Err(DecodeError::Truncated { what: "nodes", .. })
    ));
}

#[test]
fn each_broken_rule_is_named_with_its_node() {
    let refusal = |change: &dyn Fn(&mut Model)| {
        let mut model = sample();
        change(&mut model);
        model.check().unwrap_err()
    };
    let op = |model: &mut Model, node: usize, op: Op| model.graph.nodes[node].op = op;
    assert!(matches!(
        refusal(&|m| m.graph.nodes.clear()),
        CheckError::NodeCount(0)
    ));
    assert!(matches!(
        refusal(&|m| m.graph.input.shape.0 = vec![]),
        CheckError::Rank { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.graph.input.shape.0 = vec![2, 0]),
        CheckError::Rank { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.graph.input.shape.0 = vec![u32::MAX; 4]),
        CheckError::TensorSize { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.graph.input.range.lo = 8),
        CheckError::Range { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.graph.input.range.hi = 1 << 29),
        CheckError::Range { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.graph.output_scale.multiplier = 0),
        CheckError::Scale { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.graph.output_scale.shift = 63),
        CheckError::Scale { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.graph.output = 3),
        CheckError::Output { .. }
    ));
    let later = Op::Reshape {
        input: 5,
        shape: Shape(vec![1, 6]),
    };
    assert!(matches!(
        refusal(&|m| op(m, 4, later.clone())),
        CheckError::Operand {
            node: 4,
            operand: 5
        }
    ));
    let skip = Op::Reshape {
        input: 0,
        shape: Shape(vec![1, 6]),
    };
    let skipping = refusal(&|m| {
        op(m, 4, skip.clone());
        m.graph.nodes[4].range = m.graph.input.range;
    });
    assert!(matches!(skipping, CheckError::Unused(4)), "{skipping}");
    let elements = Op::Reshape {
        input: 4,
        shape: Shape(vec![1, 7]),
    };
    let reshaped = refusal(&|m| {
        op(m, 4, elements.clone());
        m.graph.nodes[4].shape = Shape(vec![1, 7]);
    });
    assert!(matches!(
        reshaped,
        CheckError::ShapeMismatch { node: 4, .. }
    ));
    let swapped = refusal(&|m| {
        if let Op::Linear { weight, .. } = &mut m.graph.nodes[0].op {
            *weight = 1;
        }
    });
    assert!(matches!(
        swapped,
        CheckError::WeightOrder {
            node: 0,
            expected: 0,
            actual: 1
        }
    ));
    for bad in [0, 1 << 15, i32::MIN] {
        let add = Op::Add {
            a: 2,
            b: 0,
            multiplier_a: bad,
            multiplier_b: -5,
        };
        let error = refusal(&|m| op(m, 2, add.clone()));
        assert!(
            matches!(error, CheckError::Multiplier { node: 2, .. }),
            "{error}"
        );
    }
    let requant = |shift, table| Op::Requant {
        input: 1,
        shift,
        table,
    };
    let at_one = |o: Op| refusal(&|m| op(m, 1, o.clone()));
    assert!(matches!(
        at_one(requant(8, clamp(7, 0, 1))),
        CheckError::TableBits { bits: 7, .. }
    ));
    assert!(matches!(
        at_one(requant(8, clamp(17, 0, 1))),
        CheckError::TableBits { .. }
    ));
    assert!(matches!(
        at_one(requant(8, clamp(12, 1, 0))),
        CheckError::Clamp { .. }
    ));
    assert!(matches!(
        at_one(requant(8, clamp(12, 0, 2048))),
        CheckError::Clamp { .. }
    ));
    assert!(matches!(
        at_one(requant(19, clamp(12, 0, 1))),
        CheckError::RequantBound { .. }
    ));
    assert!(matches!(
        at_one(requant(255, clamp(12, 0, 1))),
        CheckError::RequantBound { .. }
    ));
    assert!(matches!(
        at_one(requant(2, clamp(12, 0, 127))),
        CheckError::RequantBound { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.graph.nodes[1].range.hi -= 1),
        CheckError::RangeMismatch { node: 1, .. }
    ));
    assert!(matches!(
        refusal(&|m| drop(m.weights.linear.pop())),
        CheckError::WeightCount { .. }
    ));
    assert!(matches!(
        refusal(&|m| m.weights.linear[1].w.truncate(5)),
        CheckError::WeightLength {
            weight: 1,
            part: "w",
            expected: 6,
            actual: 5
        }
    ));
    for bad in [0, 1 << 15] {
        let error = refusal(&|m| m.weights.linear[0].m[2] = bad);
        assert!(
            matches!(error, CheckError::ColumnMultiplier { column: 2, .. }),
            "{error}"
        );
    }
    assert!(matches!(
        refusal(&|m| m.weights.linear[0].b[2] += 50),
        CheckError::RangeMismatch { node: 0, .. }
    ));
    let large = refusal(&|m| m.weights.linear[0].b[0] = i32::MAX);
    assert!(matches!(large, CheckError::TooLarge { node: 0 }));
}

#[test]
fn the_bound_of_a_requantisation_is_strict() {
    let range = |hi: i32| Range { lo: -hi, hi };
    // |v| + 2^3 < 2^(8-1+4) = 2048.
    assert!(bounds::requant_fits(range(2039), 4, 8));
    assert!(!bounds::requant_fits(range(2040), 4, 8));
    // s = 0: |v| < 128.
    assert!(bounds::requant_fits(range(127), 0, 8));
    assert!(!bounds::requant_fits(range(128), 0, 8));
    assert!(bounds::requant_fits(range(0), 18, 12));
    assert!(!bounds::requant_fits(range(0), 19, 12));
    assert!(!bounds::requant_fits(
        Range {
            lo: i32::MIN,
            hi: 0
        },
        14,
        16
    ));
}

#[test]
fn tensors_take_the_narrowest_bytes_and_have_one_encoding() {
    for (lo, hi, width) in [
        (-128, 127, 1),
        (0, 128, 2),
        (-32768, 32767, 2),
        (0, 32768, 4),
    ] {
        let mut builder = builder(&[3], lo, hi);
        let shape = Shape(vec![3, 1]);
        builder.reshape(0, shape).unwrap();
        let graph = builder.finish(ONE).unwrap().graph;
        assert_eq!(graph.input_bytes(), 3 * width);
        let values = [lo, hi, (lo + hi) / 2];
        let bytes = graph.encode_input(&values);
        assert_eq!(bytes.len(), graph.input_bytes());
        assert_eq!(graph.decode_input(&bytes).unwrap(), values);
        assert_eq!(
            graph.decode_output(&graph.encode_output(&values)).unwrap(),
            values
        );
        assert!(matches!(
            graph.decode_input(&bytes[1..]),
            Err(TensorError::Bytes { .. })
        ));
    }
}

#[test]
fn values_outside_the_declared_range_are_refused() {
    let graph = sample().graph;
    assert_eq!(
        graph
            .decode_input(&[0, 0, 8, 0, 0, 0])
            .unwrap_err()
            .to_string(),
        "element 2 is 8, outside [-8, 7]"
    );
    let model = sample();
    assert!(matches!(
        reference::run(&model, &[0, 0, 0, 0, 0, -9]),
        Err(RunError::Input(TensorError::Range { index: 5, .. }))
    ));
    assert!(matches!(
        reference::run(&model, &[0; 5]),
        Err(RunError::Input(TensorError::Length { .. }))
    ));
}

fn mutate(rng: &mut ChaCha8Rng, source: &[u8]) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            _ => {
                let end = (at + 4).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
        }
    }
    bytes
}

#[test]
fn mutated_bytes_never_panic_and_what_decodes_is_canonical() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let model = sample();
    let (graph, file) = (model.graph.encode(), model.encode());
    let (mut graphs, mut models) = (0, 0);
    for _ in 0..20_000 {
        let bytes = mutate(&mut rng, &graph);
        if let Ok(graph) = Graph::decode(&bytes) {
            graphs += 1;
            assert_eq!(graph.encode(), bytes);
        }
        // The digest is made right again, so that mutations reach what lies behind it.
        let payload = mutate(&mut rng, &file[38..]);
        let digest = blake3::hash(&payload);
        let bytes = [&file[..6], digest.as_bytes(), &payload].concat();
        if let Ok(model) = Model::decode(&bytes) {
            models += 1;
            assert_eq!(model.encode(), bytes);
            let input = vec![model.graph.input.range.lo; model.graph.input_len()];
            assert!(
                reference::run(&model, &input).is_ok(),
                "a checked model runs"
            );
        }
    }
    assert!(
        graphs > 100 && models > 100,
        "{graphs} graphs, {models} models"
    );
}

proptest! {
    #[test]
    fn random_bytes_are_never_a_graph_or_a_panic(bytes: Vec<u8>) {
        prop_assert!(Graph::decode(&bytes).is_err());
        prop_assert!(Model::decode(&bytes).is_err());
    }

    #[test]
    fn computed_ranges_hold_for_every_input(values in prop::collection::vec(-8i32..8, 6)) {
        let model = sample();
        let trace = reference::trace(&model, &values).unwrap();
        for (id, tensor) in (0..).zip(&trace.values) {
            let range = model.graph.range(id).unwrap();
            prop_assert!(tensor.iter().all(|v| range.contains(*v)), "value {id}: {range}");
        }
    }
}
