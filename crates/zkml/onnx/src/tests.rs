use std::io::Write;
use std::path::{Path, PathBuf};

use hallmark_graph::{Model, reference};
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
        "operator Gemm at node \"fc\": transA = 1 is not supported"
    );
}

#[test]
fn a_bias_added_after_matmul_joins_it_and_renaming_costs_nothing() {
    let w = tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let b = tensor("b", &[1, 2], &[0.5, -0.5]);
    let nodes = vec![
        node("Identity", "same", &["x"], "x2"),
        node("MatMul", "mm", &["x2", "w"], "t"),
        node("Add", "bias", &["b", "t"], "u"),
        node("Relu", "relu", &["u"], "y"),
        node("Relu", "dead", &["u"], "nobody"),
    ];
    let imported = read(&model(nodes, vec![w, b])).unwrap();
    let names: Vec<_> = imported.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["mm", "relu"]);
    assert_eq!(imported.evaluate(&[1.0, -1.0]), [0.0, 0.0]);
    assert_eq!(imported.evaluate(&[-1.0, 1.0]), [2.5, 1.5]);
}

#[test]
fn a_bias_joins_no_matmul_that_something_else_reads_under_another_name() {
    let w = tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let b = tensor("b", &[2], &[0.5, -0.5]);
    let nodes = vec![
        node("MatMul", "mm", &["x", "w"], "t"),
        node("Identity", "same", &["t"], "t2"),
        node("Add", "bias", &["t2", "b"], "u"),
        node("Add", "again", &["u", "b"], "v"),
        node("Relu", "relu", &["v"], "y"),
    ];
    let mut source = model(nodes, vec![w, b]);
    assert_eq!(read(&source).unwrap().evaluate(&[1.0, 0.0]), [2.0, 1.0]);
    graph(&mut source).node[4] = node("Add", "residual", &["v", "t"], "y");
    assert!(refusal(&source).starts_with("operator Add at node \"bias\": a constant can be added"));
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
    let shapes: Vec<_> = imported.nodes.iter().map(|n| n.shape.clone()).collect();
    let expected: [&[usize]; 5] = [&[1, 1, 2, 1], &[1, 1, 1, 2], &[2], &[2, 1], &[2, 1]];
    assert_eq!(shapes, expected);
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
    let fixed = import(&source.encode_to_vec(), ImportOptions { fix_batch: true }).unwrap();
    assert_eq!(fixed.input_shape, [1, 2]);
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
    let infinity = f32::NEG_INFINITY.to_le_bytes();
    assert!(with(&|t| t.raw_data[..4].copy_from_slice(&infinity)).ends_with("element 0 is -inf"));
    assert!(with(&|t| t.raw_data.truncate(15)).contains("cut off"));
    assert!(with(&|t| t.raw_data.truncate(12)).contains("it has 3 elements"));
    assert!(with(&|t| t.dims = vec![1 << 40, 1 << 40]).contains("too large"));
    assert!(with(&|t| t.dims = vec![-2, -2]).contains("negative"));
    assert!(with(&|t| t.data_type = 6).contains("its elements are int32"));
    assert!(with(&|t| t.data_location = 1).contains("external data"));
    assert!(with(&|t| t.dims = vec![4]).contains("is no matrix"));
    assert!(with(&|t| t.dims = vec![4, 1]).contains("neither one number nor one per column"));
    assert!(with(&|t| t.dims = vec![1, 4]).contains("neither one number nor one per column"));
    source.opset_import[0].version = 6;
    assert!(refusal(&source).contains("operator set 6"));
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
    assert!(build(vec![node("Identity", "i", &["x"], "y")]).contains("does not depend"));
    assert!(build(vec![node("Relu", "", &["x", "x"], "y")]).contains("node \"#0\""));
    assert!(build(vec![node("Add", "sum", &["x", "b"], "y")]).contains("only to a MatMul or Gemm"));
    let mut source = small();
    graph(&mut source).input.push(value("z", &[1]));
    assert!(refusal(&source).contains("2 inputs"));
    graph(&mut source).input.pop();
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

fn compiled_digits() -> (FloatGraph, Dataset, Compiled) {
    let float = import_file(&asset("digits.onnx"), ImportOptions::default()).unwrap();
    let data = read_dataset(&asset("digits.csv"), float.input_len()).unwrap();
    let compiled = compile(&float, &data.calibration(), &CompileOptions::default()).unwrap();
    (float, data, compiled)
}

#[test]
fn the_digits_model_keeps_its_accuracy_on_images_that_training_never_saw() {
    let (float, data, compiled) = compiled_digits();
    let test = data.test_indices();
    let samples: Vec<_> = test.iter().map(|&i| data.samples[i].as_slice()).collect();
    let labels = data.labels.as_ref().unwrap();
    let labels: Vec<_> = test.iter().map(|&i| labels[i]).collect();
    let result = accuracy(&float, &compiled.model, &samples, &labels).unwrap();
    println!(
        "{result:?}\n{}",
        serde_json::to_string_pretty(&compiled.report).unwrap()
    );
    assert_eq!(result.samples, 359);
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(asset("digits.json")).unwrap()).unwrap();
    assert_eq!(told["test"]["correct"], result.float_correct);
    assert!(result.float_correct * 100 >= result.samples * 97);
    assert!(result.integer_correct * 100 >= result.samples * 97);
    assert!(result.agree * 1000 >= result.samples * 985);
    assert!(
        compiled
            .report
            .layers
            .iter()
            .all(|layer| layer.snr_db > 25.0)
    );
    assert_eq!(
        compiled.model.graph.input.scale,
        hallmark_graph::Scale {
            multiplier: 1,
            shift: 4
        }
    );
    assert_eq!(compiled.model.graph.input_bytes(), 64);
    let input = quantize(&compiled.model.graph.input, samples[0]).unwrap();
    let output = reference::run(&compiled.model, &input).unwrap();
    let real = dequantize(&compiled.model.graph, &output);
    for (a, b) in float.evaluate(samples[0]).iter().zip(real) {
        assert!((a - b).abs() <= compiled.report.max_error as f32 * 2.0);
    }
    assert_eq!(
        Model::decode(&compiled.model.encode()).unwrap(),
        compiled.model
    );
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let (_, _, first) = compiled_digits();
    let (_, _, second) = compiled_digits();
    assert_eq!(first.model.content_hash(), second.model.content_hash());
}

#[test]
fn percentile_calibration_narrows_the_scale_and_still_works() {
    let (float, data, _) = compiled_digits();
    let options = CompileOptions {
        calibration: Calibration::Percentile(99.9),
        ..CompileOptions::default()
    };
    let compiled = compile(&float, &data.calibration(), &options).unwrap();
    assert!(
        compiled.report.top1_agreement > 0.98,
        "{:?}",
        compiled.report
    );
}

#[test]
fn residual_additions_and_unfused_relus_stay_close_to_the_float_graph() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let size = 24usize;
    let mut random = |scale: f32| -> Vec<f32> {
        (0..size * size)
            .map(|_| rng.random_range(-scale..scale))
            .collect()
    };
    let dims = [24, 24];
    let weights = vec![
        tensor("w1", &dims, &random(0.2)),
        tensor("w2", &dims, &random(0.2)),
        tensor("w3", &dims, &random(0.2)),
        list("shape", &[3, 8]),
        list("back", &[1, 24]),
    ];
    let nodes = vec![
        node("MatMul", "a", &["x", "w1"], "a"),
        node("Relu", "ra", &["a"], "ra"),
        node("MatMul", "b", &["ra", "w2"], "b"),
        // Two readers: this one cannot be fused.
        node("Add", "sum", &["ra", "b"], "s"),
        node("Relu", "rs", &["s"], "rs"),
        node("Add", "again", &["s", "rs"], "t"),
        node("Reshape", "r1", &["t", "shape"], "u"),
        node("Reshape", "r2", &["u", "back"], "v"),
        node("MatMul", "c", &["v", "w3"], "y"),
    ];
    let mut source = model(nodes, weights);
    graph(&mut source).input = vec![value("x", &[1, 24])];
    let float = read(&source).unwrap();
    let samples: Vec<Vec<f32>> = (0..200)
        .map(|_| (0..size).map(|_| rng.random_range(-1.0..1.0f32)).collect())
        .collect();
    let views: Vec<_> = samples.iter().map(Vec::as_slice).collect();
    let options = CompileOptions {
        output_bits: 14,
        ..CompileOptions::default()
    };
    let compiled = compile(&float, &views, &options).unwrap();
    let names: Vec<_> = compiled
        .report
        .layers
        .iter()
        .map(|l| l.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "sum", "again", "c"]);
    for layer in &compiled.report.layers {
        assert!(layer.snr_db > 25.0, "{layer:?}");
        assert!(layer.multiplier_min >= 8, "{layer:?}");
    }
    assert!(compiled.report.top1_agreement > 0.95);
}

#[test]
fn a_node_whose_sums_fit_no_table_is_refused_by_name() {
    // One weight makes the others' sums cancel on the samples but not in the worst case.
    let size = 4096usize;
    let mut w = vec![1.0f32; size];
    w[1..].iter_mut().step_by(2).for_each(|w| *w = -1.0);
    let head = tensor("w2", &[1, 1], &[1.0]);
    let nodes = vec![
        node("MatMul", "wide", &["x", "w"], "t"),
        node("Relu", "relu", &["t"], "u"),
        node("MatMul", "head", &["u", "w2"], "y"),
    ];
    let mut source = model(nodes, vec![tensor("w", &[size as i64, 1], &w), head]);
    graph(&mut source).input = vec![value("x", &[1, size as i64])];
    let float = read(&source).unwrap();
    let mut sample = vec![1.0f32; size];
    sample[0] = 1.001;
    let error = compile(&float, &[&sample], &CompileOptions::default()).unwrap_err();
    assert!(
        matches!(&error, CompileError::Bound { node, .. } if node == "wide"),
        "{error}"
    );
}

#[test]
fn inputs_out_of_range_or_of_the_wrong_length_are_refused() {
    let (_, data, compiled) = compiled_digits();
    let input = &compiled.model.graph.input;
    let mut sample = data.samples[0].clone();
    assert!(
        quantize(input, &sample[1..])
            .unwrap_err()
            .to_string()
            .contains("63 elements")
    );
    sample[5] = 1.5;
    assert_eq!(
        quantize(input, &sample).unwrap_err().to_string(),
        "input element 5 is 1.5, outside the model's range [0, 1]"
    );
    sample[5] = f32::NAN;
    assert!(quantize(input, &sample).is_err());
    assert!(compile_error(&[f32::NAN, 0.0]).contains("sample 0, element 0 is NaN"));
    assert!(compile_error(&[1.0]).contains("sample 0 has 1 elements"));
}

fn compile_error(sample: &[f32]) -> String {
    let float = read(&small()).unwrap();
    let result = compile(&float, &[sample], &CompileOptions::default());
    result.unwrap_err().to_string()
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
    read_dataset(&path, 2)
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
        list("shape", &[-1, 2]),
    ];
    let nodes = vec![
        node("Gemm", "fc", &["x", "w", "b"], "t"),
        node("Relu", "relu", &["t"], "u"),
        node("Add", "sum", &["t", "u"], "v"),
        node("Reshape", "r", &["v", "shape"], "y"),
    ];
    let source = model(nodes, weights).encode_to_vec();
    let (mut imported, mut compiled) = (0, 0);
    for _ in 0..40_000 {
        let bytes = mutate(&mut rng, &source);
        let Ok(float) = import(&bytes, ImportOptions::default()) else {
            continue;
        };
        imported += 1;
        if float.input_len() > 4096 {
            continue;
        }
        let sample = vec![0.5; float.input_len()];
        assert_eq!(
            float.evaluate(&sample).len(),
            float.shape(float.nodes.len()).iter().product::<usize>()
        );
        if let Ok(result) = compile(&float, &[&sample], &CompileOptions::default()) {
            result.model.check().unwrap();
            compiled += 1;
        }
    }
    assert!(
        imported > 500,
        "only {imported} mutations reach the importer's end"
    );
    assert!(compiled > 100, "only {compiled} mutations compile");
}
