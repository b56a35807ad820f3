use std::io::Write;
use std::path::{Path, PathBuf};

use hallmark_graph::AxisMap;
use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::proto::{
    AttributeProto, Dimension, DimensionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, ShapeProto, TensorProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::*;

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../assets")
        .join(name)
}

fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|&dim| DimensionProto {
            value: Some(Dimension::Value(dim)),
        })
        .collect();
    ValueInfoProto {
        name: name.into(),
        kind: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: 1,
                shape: Some(ShapeProto { dim }),
            }),
        }),
    }
}

fn tensor(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        raw_data: data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ..Default::default()
    }
}

fn list(name: &str, data: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![data.len() as i64],
        data_type: 7,
        int64_data: data.to_vec(),
        ..Default::default()
    }
}

fn node(op: &str, name: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: name.into(),
        input: input.iter().map(|&s| s.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i,
        kind: 2,
        ..Default::default()
    }
}

fn model(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        graph: Some(GraphProto {
            name: "test".into(),
            output: vec![ValueInfoProto {
                name: "y".into(),
                kind: None,
            }],
            input: vec![value("x", &[1, 2])],
            node: nodes,
            initializer,
            ..Default::default()
        }),
    }
}

fn read(model: &ModelProto) -> Result<FloatGraph, ImportError> {
    import(&model.encode_to_vec(), ImportOptions::default())
}

fn refusal(model: &ModelProto) -> String {
    read(model).unwrap_err().to_string()
}

/// x[1,2] · w[2,2] + b
fn small() -> ModelProto {
    let w = tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let b = tensor("b", &[2], &[0.5, -0.5]);
    let nodes = vec![node("Gemm", "fc", &["x", "w", "b"], "y")];
    model(nodes, vec![w, b])
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

#[test]
fn gemm_follows_its_attributes() {
    let mut source = small();
    assert_eq!(read(&source).unwrap().evaluate(&[1.0, 10.0]), [31.5, 41.5]);
    let gemm = &mut graph(&mut source).node[0];
    let scale = |name: &str, f| AttributeProto {
        name: name.into(),
        f,
        kind: 1,
        ..Default::default()
    };
    gemm.attribute = vec![int("transB", 1), scale("alpha", 2.0), scale("beta", 4.0)];
    assert_eq!(read(&source).unwrap().evaluate(&[1.0, 10.0]), [44.0, 84.0]);
    graph(&mut source).node[0].attribute = vec![int("transA", 1)];
    assert_eq!(
        refusal(&source),
        "operator Gemm at node \"fc\": [2, 1] and [2, 2] cannot be multiplied"
    );
    graph(&mut source).node[0].attribute = vec![int("transC", 1)];
    assert_eq!(
        refusal(&source),
        "operator Gemm at node \"fc\": attribute \"transC\" is not supported"
    );
}

/// What the steps of a graph are, in order.
fn steps(graph: &FloatGraph) -> Vec<String> {
    let name = |op: &FloatOp| {
        let text = format!("{op:?}");
        match op {
            FloatOp::Unary { function, .. } => function.name().to_owned(),
            _ => text.split([' ', '{']).next().unwrap_or("").to_owned(),
        }
    };
    graph.nodes.iter().map(|node| name(&node.op)).collect()
}

#[test]
fn names_are_those_of_onnx_and_what_nobody_reads_is_dropped() {
    let w = tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let b = tensor("b", &[1, 2], &[0.5, -0.5]);
    let nodes = vec![
        node("Identity", "same", &["x"], "x2"),
        node("MatMul", "mm", &["x2", "w"], "t"),
        node("Add", "bias", &["b", "t"], "u"),
        node("Relu", "", &["u"], "y"),
        node("Relu", "dead", &["t"], "nobody"),
    ];
    let imported = read(&model(nodes, vec![w, b])).unwrap();
    let names: Vec<_> = imported.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["mm", "mm", "bias", "bias", "Relu#3"]);
    assert_eq!(
        steps(&imported),
        ["Constant", "MatMul", "Constant", "Combine", "Relu"]
    );
    assert_eq!(imported.evaluate(&[1.0, -1.0]), [0.0, 0.0]);
    assert_eq!(imported.evaluate(&[-1.0, 1.0]), [2.5, 1.5]);
}

#[test]
fn shapes_follow_reshape_flatten_squeeze_and_unsqueeze() {
    let nodes = vec![
        node("Unsqueeze", "u", &["x", "axes"], "a"),
        node("Reshape", "r", &["a", "shape"], "b"),
        node("Squeeze", "s", &["b"], "c"),
        node("Flatten", "f", &["c"], "d"),
        node("Relu", "relu", &["d"], "y"),
    ];
    let lists = vec![list("axes", &[0, -1]), list("shape", &[0, -1, 1, 2])];
    let imported = read(&model(nodes, lists)).unwrap();
    assert_eq!(imported.shape(imported.outputs[0].value), [2, 1]);
    assert_eq!(imported.evaluate(&[-1.0, 3.0]), [0.0, 3.0]);
}

#[test]
fn shape_arithmetic_is_done_at_import() {
    let nodes = vec![
        node("Shape", "s", &["x"], "s"),
        node("Gather", "g", &["s", "last"], "n"),
        node("Mul", "m", &["n", "n"], "nn"),
        node("Concat", "c", &["nn", "one"], "t"),
        node("ConstantOfShape", "z", &["t"], "zeros"),
        node("Add", "a", &["zeros", "x"], "y"),
    ];
    let mut source = model(nodes, vec![list("last", &[-1]), list("one", &[1])]);
    graph(&mut source).node[3].attribute = vec![int("axis", 0)];
    let imported = read(&source).unwrap();
    assert_eq!(imported.shape(imported.outputs[0].value), [4, 2]);
    assert_eq!(imported.evaluate(&[1.0, 2.0]), [1.0, 2.0].repeat(4));
}

#[test]
fn a_convolution_is_patches_times_a_matrix_and_layouts_meet() {
    let w = tensor("w", &[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let nodes = vec![
        node("Conv", "a", &["x", "w"], "t"),
        node("Relu", "r", &["t"], "u"),
        node("Conv", "b", &["u", "w"], "y"),
    ];
    let mut source = model(nodes, vec![w]);
    graph(&mut source).input = vec![value("x", &[1, 1, 3, 3])];
    let imported = read(&source).unwrap();
    assert_eq!(
        steps(&imported),
        [
            "View", "Constant", "MatMul", "Relu", "View", "MatMul", "View"
        ]
    );
    let ramp: Vec<f32> = (0..9u8).map(f32::from).collect();
    // 0·1 + 1·2 + 3·3 + 4·4 = 27, and so on; then 27 + 2·37 + 3·57 + 4·67.
    assert_eq!(imported.evaluate(&ramp), [540.0]);
    graph(&mut source).node[0].attribute = vec![AttributeProto {
        name: "pads".into(),
        ints: vec![0, 0, -1, 0],
        ..Default::default()
    }];
    assert!(refusal(&source).contains("operator Conv at node \"a\": pads"));
}

#[test]
fn a_normalised_convolution_is_one_convolution() {
    let column = |name: &str, x: f32| tensor(name, &[1], &[x]);
    let weights = vec![
        tensor("w", &[1, 1, 1, 1], &[3.0]),
        column("scale", 2.0),
        column("shift", 0.5),
        column("mean", 1.0),
        column("variance", 4.0 - 1e-5),
    ];
    let statistics = ["t", "scale", "shift", "mean", "variance"];
    let nodes = vec![
        node("Conv", "conv", &["x", "w"], "t"),
        node("BatchNormalization", "norm", &statistics, "y"),
    ];
    let mut source = model(nodes, weights);
    graph(&mut source).input = vec![value("x", &[1, 1, 1, 2])];
    let imported = read(&source).unwrap();
    assert!(!steps(&imported).contains(&"Mul".to_owned()));
    assert_eq!(imported.evaluate(&[1.0, 2.0]), [2.5, 5.5]);
    graph(&mut source).output.push(ValueInfoProto {
        name: "t".into(),
        kind: None,
    });
    let both = read(&source).unwrap();
    assert_eq!(both.evaluate(&[1.0, 2.0]), [2.5, 5.5, 3.0, 6.0]);
}

#[test]
fn gains_and_shifts_of_a_norm_move_into_the_weights_that_read_it() {
    let floats = |count: i32, step: f32| -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 7) % 11 - 5) as f32 * step)
            .collect()
    };
    let gains = tensor("g", &[4], &[1.5, -0.5, 2.0, 0.25]);
    let shifts = tensor("s", &[4], &[0.5, 0.0, -1.0, 3.0]);
    let weights = tensor("w", &[4, 3], &floats(12, 0.3));
    let nodes = vec![
        node("LayerNormalization", "norm", &["x", "g", "s"], "n"),
        node("MatMul", "fc", &["n", "w"], "y"),
    ];
    let mut model = model(nodes, vec![gains, shifts, weights]);
    graph(&mut model).input = vec![value("x", &[2, 4])];
    let folded = read(&model).unwrap();
    assert!(!steps(&folded).iter().any(|step| step == "Mul"));
    // An output of the norm itself keeps its gains; the product still does not read them.
    graph(&mut model).output.insert(
        0,
        ValueInfoProto {
            name: "n".into(),
            kind: None,
        },
    );
    let both = read(&model).unwrap();
    let x = floats(8, 1.0);
    let values = both.evaluate(&x);
    let (n, y) = values.split_at(8);
    let w = floats(12, 0.3);
    for row in 0..2 {
        for col in 0..3 {
            let sum: f32 = (0..4).map(|k| n[4 * row + k] * w[3 * k + col]).sum();
            assert!((sum - y[3 * row + col]).abs() < 1e-5);
        }
    }
    assert_eq!(folded.evaluate(&x), y);
}

#[test]
fn a_maximum_over_padding_sees_the_padding_never() {
    let ints = |name: &str, ints: &[i64]| AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        ..Default::default()
    };
    let mut pool = node("MaxPool", "p", &["x"], "y");
    pool.attribute = vec![
        ints("kernel_shape", &[3]),
        ints("strides", &[2]),
        ints("pads", &[1, 1]),
    ];
    let mut source = model(vec![pool], vec![]);
    graph(&mut source).input = vec![value("x", &[1, 1, 4])];
    let imported = read(&source).unwrap();
    assert_eq!(imported.evaluate(&[-5.0, -4.0, -3.0, -9.0]), [-4.0, -3.0]);
}

#[test]
fn spelled_out_formulas_become_what_they_are() {
    let scalar = |name: &str, x: f32| tensor(name, &[], &[x]);
    let nodes = vec![
        node("Div", "d", &["x", "root"], "a"),
        node("Erf", "e", &["a"], "b"),
        node("Add", "p", &["b", "one"], "c"),
        node("Mul", "m", &["x", "c"], "d"),
        node("Mul", "h", &["d", "half"], "y"),
    ];
    let scalars = vec![
        scalar("root", std::f32::consts::SQRT_2),
        scalar("one", 1.0),
        scalar("half", 0.5),
    ];
    assert_eq!(steps(&read(&model(nodes, scalars)).unwrap()), ["Gelu"]);

    let mut mean = node("ReduceMean", "mean", &["x"], "m");
    let axes = AttributeProto {
        name: "axes".into(),
        ints: vec![-1],
        ..Default::default()
    };
    mean.attribute = vec![axes.clone()];
    let mut variance = node("ReduceMean", "variance", &["q"], "v");
    variance.attribute = vec![axes];
    let nodes = vec![
        mean,
        node("Sub", "sub", &["x", "m"], "d"),
        node("Mul", "square", &["d", "d"], "q"),
        variance,
        node("Add", "eps", &["v", "e"], "w"),
        node("Sqrt", "sqrt", &["w"], "s"),
        node("Div", "div", &["d", "s"], "y"),
    ];
    let imported = read(&model(nodes, vec![scalar("e", 0.25)])).unwrap();
    assert_eq!(steps(&imported), ["Normalize"]);
    let result = imported.evaluate(&[0.0, 2.0]);
    assert!(
        (result[1] - 1.0 / 1.25f32.sqrt()).abs() < 1e-6,
        "{result:?}"
    );
}

#[test]
fn a_bound_far_away_is_no_relu() {
    let nodes = vec![
        node("Mul", "m", &["x", "two"], "t"),
        node("Clip", "c", &["t", "lo", "hi"], "y"),
    ];
    let scalars = vec![
        tensor("two", &[], &[2.0]),
        tensor("lo", &[], &[0.0]),
        tensor("hi", &[], &[100.0]),
    ];
    let imported = read(&model(nodes, scalars)).unwrap();
    assert_eq!(imported.evaluate(&[-3.0, 80.0]), [0.0, 100.0]);
}

#[test]
fn a_mask_does_not_stretch_the_scale_of_scores() {
    let nodes = vec![
        node("Where", "mask", &["keep", "x", "low"], "m"),
        node("Softmax", "soft", &["m"], "y"),
    ];
    let mut keep = list("keep", &[1, 0]);
    keep.data_type = 9;
    keep.int32_data = vec![1, 0];
    keep.int64_data.clear();
    let low = tensor("low", &[], &[f32::NEG_INFINITY]);
    let imported = read(&model(nodes, vec![keep, low])).unwrap();
    let values = imported.values(&[3.0, 9.0]);
    assert!(
        values.iter().flatten().all(|x| x.abs() <= 100.0),
        "{values:?}"
    );
    let shares = imported.evaluate(&[3.0, 9.0]);
    assert!(shares[0] == 1.0 && shares[1] < 1e-40, "{shares:?}");
}

#[test]
fn an_index_that_is_computed_chooses_by_a_one_hot_product() {
    let table = tensor("t", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let mut source = model(vec![node("Gather", "g", &["t", "x"], "y")], vec![table]);
    let mut ids = value("x", &[2]);
    let kind = ids.kind.as_mut().unwrap().tensor_type.as_mut().unwrap();
    kind.elem_type = 7;
    graph(&mut source).input = vec![ids];
    let imported = read(&source).unwrap();
    assert!(imported.inputs[0].integer);
    assert_eq!(steps(&imported), ["OneHot", "Constant", "MatMul"]);
    assert_eq!(imported.evaluate(&[2.0, 0.0]), [5.0, 6.0, 1.0, 2.0]);
}

#[test]
fn views_compose_into_one() {
    let nodes = vec![
        node("Transpose", "t", &["x"], "a"),
        node("Slice", "s", &["a", "start", "end"], "b"),
        node("Transpose", "u", &["b"], "y"),
    ];
    let lists = vec![list("start", &[1]), list("end", &[2])];
    let imported = read(&model(nodes, lists)).unwrap();
    assert_eq!(steps(&imported), ["View"]);
    let FloatOp::View { axes, .. } = &imported.nodes[0].op else {
        panic!("no view");
    };
    let read = |offset: i32, axis: u8| AxisMap::Affine {
        offset,
        terms: vec![(axis, 1)],
    };
    assert_eq!(axes[..], [read(0, 0), read(1, 1)]);
    assert_eq!(imported.evaluate(&[7.0, 8.0]), [8.0]);
}

#[test]
fn an_unsupported_operator_is_refused_by_its_nodes_name() {
    let mut source = small();
    graph(&mut source).node[0] = node("Loop", "decoder/loop_1", &["x"], "y");
    assert_eq!(
        refusal(&source),
        "operator Loop at node \"decoder/loop_1\" is not supported (docs/operators.md lists what is)"
    );
    graph(&mut source).node[0] = node("Relu", "custom", &["x"], "y");
    graph(&mut source).node[0].domain = "com.microsoft".into();
    assert!(refusal(&source).starts_with("operator com.microsoft.Relu at node \"custom\""));
}

#[test]
fn dynamic_shapes_are_refused_and_a_batch_may_be_fixed() {
    let mut source = small();
    let mut input = value("x", &[1, 2]);
    let shape = input.kind.as_mut().unwrap().tensor_type.as_mut().unwrap();
    shape.shape.as_mut().unwrap().dim[0].value = Some(Dimension::Symbol("batch".into()));
    graph(&mut source).input = vec![input];
    let text = refusal(&source);
    assert!(
        text.starts_with("input \"x\": dimension 0 (\"batch\") is dynamic"),
        "{text}"
    );
    let options = |fix_batch: bool, dims: &[(&str, usize)]| ImportOptions {
        fix_batch,
        dims: dims.iter().map(|&(n, d)| (n.to_owned(), d)).collect(),
    };
    let bytes = source.encode_to_vec();
    let fixed = import(&bytes, options(true, &[])).unwrap();
    assert_eq!(fixed.inputs[0].shape, [1, 2]);
    let bound = import(&bytes, options(true, &[("batch", 3)])).unwrap();
    assert_eq!(bound.inputs[0].shape, [3, 2]);
    graph(&mut source).input = vec![value("x", &[1, -2])];
    assert!(refusal(&source).contains("dimension 1 of the input is -2"));
}

#[test]
fn bad_tensors_are_refused_by_name() {
    let mut source = small();
    let with = |change: &dyn Fn(&mut TensorProto)| {
        let mut changed = source.clone();
        change(&mut graph(&mut changed).initializer[0]);
        refusal(&changed)
    };
    let nan = f32::NAN.to_le_bytes();
    assert_eq!(
        with(&|t| t.raw_data[4..8].copy_from_slice(&nan)),
        "tensor \"w\": element 1 is NaN"
    );
    assert!(with(&|t| t.raw_data.truncate(15)).contains("cut off"));
    assert!(with(&|t| t.raw_data.truncate(12)).contains("it has 3 elements"));
    assert!(with(&|t| t.dims = vec![1 << 40, 1 << 40]).contains("too large"));
    assert!(with(&|t| t.dims = vec![-2, -2]).contains("negative"));
    assert!(with(&|t| t.data_type = 8).contains("its elements are string"));
    assert!(with(&|t| t.float_data = vec![1.0]).contains("its data twice"));
    assert!(with(&|t| t.data_location = 1).contains("external data"));
    assert!(with(&|t| t.dims = vec![4]).contains("are no matrices"));
    assert!(with(&|t| t.dims = vec![4, 1]).contains("cannot be multiplied"));
    assert!(with(&|t| t.dims = vec![1, 4]).contains("cannot be multiplied"));
    source.opset_import[0].version = 6;
    assert!(refusal(&source).contains("operator set 6"));
}

/// As converters of classical models write it.
#[test]
fn a_standard_operator_set_that_is_imported_twice_has_one_version() {
    let mut source = small();
    let again = |version| OperatorSetIdProto {
        domain: String::new(),
        version,
    };
    source.opset_import.push(again(17));
    assert!(read(&source).is_ok());
    source.opset_import.push(again(18));
    assert!(refusal(&source).contains("one version of the standard operator set"));
}

#[test]
fn broken_graphs_are_refused() {
    let build = |nodes: Vec<NodeProto>| {
        let mut source = small();
        graph(&mut source).node = nodes;
        refusal(&source)
    };
    let relu = |name, from, to| node("Relu", name, &[from], to);
    assert!(build(vec![relu("a", "z", "y")]).contains("reads \"z\", which nothing defines"));
    let cycle = build(vec![relu("a", "z", "y"), relu("b", "y", "z")]);
    assert!(cycle.contains("a cycle, or nodes out of order"), "{cycle}");
    let twice = build(vec![relu("a", "x", "y"), relu("b", "x", "y")]);
    assert!(twice.contains("defines \"y\" a second time"), "{twice}");
    assert!(build(vec![relu("a", "x", "w")]).contains("is defined twice"));
    assert!(build(vec![relu("a", "x", "t")]).contains("output \"y\" is defined by nothing"));
    assert!(build(vec![node("Add", "", &["x"], "y")]).contains("node \"Add#0\": lacks operand 1"));
    assert!(build(vec![node("MatMul", "m", &["x", "x"], "y")]).contains("cannot be multiplied"));
    let mut source = small();
    graph(&mut source).input.clear();
    graph(&mut source).node.clear();
    assert!(refusal(&source).contains("0 inputs"));
    let mut source = small();
    graph(&mut source).output = vec![value("y", &[1, 3])];
    assert!(refusal(&source).contains("another shape"));
}

#[test]
fn truncated_and_oversized_files_are_refused() {
    let bytes = std::fs::read(asset("digits.onnx")).unwrap();
    let cut = import(&bytes[..bytes.len() / 2], ImportOptions::default()).unwrap_err();
    assert!(
        cut.to_string()
            .starts_with("not an ONNX file, or a truncated one"),
        "{cut}"
    );
    assert!(import(&[], ImportOptions::default()).is_err());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.onnx");
    // A sparse file: 2 GB that take no room.
    std::fs::File::create(&path)
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    let huge = import_file(&path, ImportOptions::default()).unwrap_err();
    assert!(matches!(huge, ImportError::FileTooLarge { actual, .. } if actual == 2 << 30));
    let empties = [0x0a, 0x00].repeat(400_000);
    let mut bomb = vec![0x3a];
    prost::encode_length_delimiter(empties.len(), &mut bomb).unwrap();
    bomb.extend(empties);
    let bomb = import(&bomb, ImportOptions::default()).unwrap_err();
    assert!(matches!(bomb, ImportError::TooMany { .. }), "{bomb}");
}

#[test]
fn the_digits_model_reads_its_images() {
    let float = import_file(&asset("digits.onnx"), ImportOptions::default()).unwrap();
    let data = read_dataset(&asset("digits.csv"), &[float.input_len()]).unwrap();
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(asset("digits.json")).unwrap()).unwrap();
    let labels = data.labels.as_ref().unwrap();
    let right = |&index: &usize| {
        let scores = float.evaluate(&data.samples[index]);
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        best == Some(labels[index] as usize)
    };
    let correct = data.test_indices().into_iter().filter(right).count();
    assert_eq!(told["test"]["correct"], correct);
}

#[test]
fn a_sample_of_several_inputs_is_all_of_them_one_after_the_other() {
    let mut source = model(vec![node("Add", "a", &["x", "z"], "y")], vec![]);
    graph(&mut source).input.push(value("z", &[1]));
    let imported = read(&source).unwrap();
    assert_eq!(imported.input_len(), 3);
    assert_eq!(imported.evaluate(&[1.0, 2.0, 10.0]), [11.0, 12.0]);
    let read = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        std::fs::write(&path, text).unwrap();
        read_dataset(&path, &[2, 1]).map(|data| data.samples)
    };
    let one = read(r#"{"input_data": [[1, 2], [true]]}"#).unwrap();
    assert_eq!(one, [[1.0, 2.0, 1.0]]);
    let two = read(r#"{"input_data": [[[1, 2], 3], [4, 5, 6]]}"#).unwrap();
    assert_eq!(two, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert!(read(r#"{"input_data": [[1, 2], [3, 4]]}"#).is_err());
}

fn npy_file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn read_bytes(name: &str, bytes: &[u8]) -> Result<Dataset, DataError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_dataset(&path, &[2])
}

#[test]
fn samples_are_read_from_npy_npz_and_json() {
    let floats: Vec<u8> = [1.0f32, 2.0, 3.0, 4.5]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let array = npy_file("<f4", "(2, 1, 2)", &floats);
    let expected = vec![vec![1.0, 2.0], vec![3.0, 4.5]];
    assert_eq!(read_bytes("a.npy", &array).unwrap().samples, expected);
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive.start_file("x.npy", options).unwrap();
        archive.write_all(&array).unwrap();
        let bytes = archive.finish().unwrap().into_inner();
        assert_eq!(read_bytes("a.npz", &bytes).unwrap().samples, expected);
    }
    let json = br#"{"input_data": [[1, 2], [3.0, 4.5]]}"#;
    assert_eq!(read_bytes("a.json", json).unwrap().samples, expected);
    let bytes = npy_file("|u1", "(2,)", &[7, 255]);
    assert_eq!(read_bytes("b.npy", &bytes).unwrap().samples, [[7.0, 255.0]]);
}

#[test]
fn malformed_samples_are_refused_with_the_reason() {
    let refuse = |name: &str, bytes: &[u8]| read_bytes(name, bytes).unwrap_err().to_string();
    assert!(refuse("a.npy", b"hello").contains("no NumPy file"));
    assert!(refuse("a.npy", &npy_file("<f4", "(2,)", &[0; 7])).contains("1 numbers"));
    assert!(refuse("a.npy", &npy_file("<f2", "(2,)", &[0; 4])).contains("\"<f2\""));
    assert!(refuse("a.npy", &npy_file("|u1", "(3,)", &[0; 3])).contains("no multiple"));
    let overflow = "(18446744073709551615, 2)";
    assert!(refuse("a.npy", &npy_file("|u1", overflow, &[0; 2])).contains("malformed shape"));
    assert!(refuse("a.npz", b"PK\x03\x04").contains("a.npz"));
    assert!(refuse("a.json", b"{\"input_data\": [[1").contains("EOF"));
    assert!(refuse("a.csv", b"1,2\n").contains("not the digits file"));
    let row = "split,label,p0,p1\ntest,3,0,17\n";
    assert!(refuse("a.csv", row.as_bytes()).contains("line 2: no 64 pixels"));
    assert!(refuse("a.txt", b"").contains("only npy, npz, json, csv"));
}

/// Changes a few bytes of a valid file: flips, cuts, copies, and lengths made huge.
fn mutate(rng: &mut ChaCha8Rng, source: &[u8]) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for _ in 0..rng.random_range(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            4 => {
                let end = (at + rng.random_range(1..40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let end = (at + 4).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
        }
    }
    bytes
}

#[test]
fn mutated_onnx_files_never_panic_and_what_imports_is_sound() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let weights = vec![
        tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
        tensor("b", &[2], &[0.5, -0.5]),
        tensor("k", &[1, 1, 1, 2], &[1.0, 2.0]),
        list("shape", &[1, 1, -1, 2]),
        list("at", &[1, 0]),
    ];
    let ints = |name: &str, ints: &[i64]| AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        ..Default::default()
    };
    let mut nodes = vec![
        node("Gemm", "fc", &["x", "w", "b"], "t"),
        node("Relu", "relu", &["t"], "u"),
        node("Concat", "both", &["t", "u"], "v"),
        node("Gather", "pick", &["v", "at"], "p"),
        node("Reshape", "r", &["v", "shape"], "i"),
        node("Conv", "conv", &["i", "k"], "c"),
        node("MaxPool", "pool", &["c"], "m"),
        node("Softmax", "soft", &["m"], "q"),
        node("ArgMax", "best", &["q"], "a"),
        node("Add", "sum", &["q", "a"], "y"),
    ];
    nodes[2].attribute = vec![int("axis", 1)];
    nodes[3].attribute = vec![int("axis", 1)];
    nodes[5].attribute = vec![ints("pads", &[0, 1, 0, 0]), ints("strides", &[1, 1])];
    nodes[6].attribute = vec![ints("kernel_shape", &[1, 2]), ints("pads", &[0, 1, 0, 1])];
    nodes[7].attribute = vec![int("axis", -1)];
    nodes[8].attribute = vec![int("axis", 2)];
    let source = model(nodes, weights);
    read(&source).unwrap();
    let source = source.encode_to_vec();
    let mut imported = 0;
    for _ in 0..100_000 {
        let bytes = mutate(&mut rng, &source);
        let Ok(float) = import(&bytes, ImportOptions::default()) else {
            continue;
        };
        imported += 1;
        let most = (0..float.nodes.len() + float.inputs.len())
            .map(|value| float.shape(value).iter().product::<usize>())
            .max();
        if most > Some(1 << 16) {
            continue;
        }
        let values = float.values(&vec![0.5; float.input_len()]);
        for (value, elements) in values.iter().enumerate() {
            assert_eq!(elements.len(), float.shape(value).iter().product::<usize>());
        }
    }
    assert!(
        imported > 500,
        "only {imported} mutations reach the importer's end"
    );
}
