//! Compiles ONNX models at int8 and at 16 bits, runs them and proves them.
//!
//! `operators DIRECTORY`, for every `NAME.onnx` with its samples in `NAME.json`, imports the file, compiles
//! it on the samples, and demands that
//!
//! - the engine and the reference interpreter give the same value of every node, bit for bit, on all
//!   samples, on the ends of the declared ranges and on random inputs from them;
//! - a proof of private inputs of one of these random inputs verifies, and does not for another output.
//!
//! It prints one JSON object a line for each model and number of bits: `name`, `bits`, and either `wrong`, the
//! reason, or `outputs` (real, one list per sample), `max_error` (what the compiler's report says),
//! `prove_ms`, `verify_ms` and `proof_bytes`. `tests/operators/run.sh --prove` compares them with onnxruntime.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hallmark_engine::Prepared;
use hallmark_graph::{Graph, Op, Trace, reference};
use hallmark_onnx::{
    CompileOptions, FloatGraph, ImportOptions, compile, dequantize, import_file, quantize,
    read_dataset,
};
use hallmark_proof::{
    InputSecret, commit_input, mask_output, prove_private, setup, verify_private,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};

/// Random inputs of each model, beside its samples.
const DRAWN: usize = 4;
const CONTEXT: [u8; 32] = [7; 32];

fn main() {
    let Some(directory) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("usage: operators DIRECTORY");
        std::process::exit(2);
    };
    let mut models: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "onnx"))
        .collect();
    models.sort();
    for model in models {
        for bits in [8, 16] {
            let name = model.file_stem().unwrap_or_default().to_string_lossy();
            let mut line = match checked(&model, bits) {
                Ok(report) => report,
                Err(reason) => json!({ "wrong": reason }),
            };
            line["name"] = json!(name);
            line["bits"] = json!(bits);
            println!("{line}");
        }
    }
}

fn checked(path: &Path, bits: u8) -> Result<Value, String> {
    let options = ImportOptions {
        fix_batch: true,
        ..ImportOptions::default()
    };
    let float = import_file(path, options).map_err(|e| format!("import: {e}"))?;
    let samples = samples(&float, &path.with_extension("json"))?;
    let samples: Vec<&[f32]> = samples.iter().map(Vec::as_slice).collect();
    let options = CompileOptions {
        bits,
        ..CompileOptions::default()
    };
    let compiled = compile(&float, &samples, &options).map_err(|e| format!("compile: {e}"))?;
    let graph = &compiled.model.graph;
    let prepared = Prepared::new(compiled.model.clone()).map_err(|e| format!("engine: {e}"))?;

    let mut outputs = Vec::new();
    for sample in &samples {
        let input = quantize(graph, sample).map_err(|e| format!("quantize: {e}"))?;
        let trace = traced(&prepared, &input)?;
        outputs.push(dequantize(graph, &graph.join_output(&trace.values)));
    }
    let mut random = ChaCha8Rng::seed_from_u64(u64::from(bits));
    traced(&prepared, &ends(graph, |range| range.lo))?;
    traced(&prepared, &ends(graph, |range| range.hi))?;
    for _ in 1..DRAWN {
        traced(&prepared, &drawn(graph, &mut random))?;
    }
    let input = drawn(graph, &mut random);
    let trace = traced(&prepared, &input)?;
    let (prove_ms, verify_ms, proof_bytes) = proven(&prepared, &input, &trace)?;
    Ok(json!({
        "outputs": outputs,
        "max_error": compiled.report.max_error,
        "prove_ms": prove_ms,
        "verify_ms": verify_ms,
        "proof_bytes": proof_bytes,
    }))
}

fn samples(float: &FloatGraph, path: &Path) -> Result<Vec<Vec<f32>>, String> {
    let sizes: Vec<usize> = float
        .inputs
        .iter()
        .map(|input| input.shape.iter().product())
        .collect();
    let data = read_dataset(path, &sizes).map_err(|e| format!("samples: {e}"))?;
    Ok(data.samples)
}

/// The run, once the engine and the reference interpreter agree on every value.
fn traced(prepared: &Prepared, input: &[i32]) -> Result<Trace, String> {
    let fast = hallmark_engine::trace(prepared, input).map_err(|e| format!("engine: {e}"))?;
    let mut slow =
        reference::trace(prepared.model(), input).map_err(|e| format!("reference: {e}"))?;
    // The engine leaves constants out of its record.
    let graph = prepared.graph();
    let computed = &mut slow.values[graph.inputs.len()..];
    for (values, node) in computed.iter_mut().zip(&graph.nodes) {
        if matches!(node.op, Op::Constant { .. }) {
            values.clear();
        }
    }
    let differs = fast
        .values
        .iter()
        .zip(&slow.values)
        .position(|(a, b)| a != b);
    match differs {
        None if fast == slow => Ok(fast),
        None => Err("engine and reference record different runs".to_owned()),
        Some(value) => Err(format!("engine and reference differ at value {value}")),
    }
}

fn ends(graph: &Graph, end: impl Fn(hallmark_graph::Range) -> i32) -> Vec<i32> {
    let inputs = graph.inputs.iter();
    inputs
        .flat_map(|input| vec![end(input.range); input.shape.elements()])
        .collect()
}

fn drawn(graph: &Graph, random: &mut ChaCha8Rng) -> Vec<i32> {
    let mut input = Vec::new();
    for declared in &graph.inputs {
        let (lo, hi) = (i64::from(declared.range.lo), i64::from(declared.range.hi));
        for _ in 0..declared.shape.elements() {
            let offset = random.next_u64() % (hi - lo + 1) as u64;
            input.push((lo + offset as i64) as i32);
        }
    }
    input
}

/// Proves a run with its input hidden and verifies it: milliseconds of both, and bytes.
fn proven(prepared: &Prepared, input: &[i32], trace: &Trace) -> Result<(f64, f64, usize), String> {
    let key = setup(prepared.model()).map_err(|e| format!("setup: {e}"))?;
    let vk = key.verifying_key();
    let graph = vk.graph();
    let secret = InputSecret::from_bytes([9; 32]);
    let commitment = commit_input(graph, input, &secret).map_err(|e| format!("commit: {e}"))?;
    let output = graph.join_output(&trace.values);
    let masked = mask_output(graph, &output, &secret).map_err(|e| format!("mask: {e}"))?;
    let started = Instant::now();
    let proof = prove_private(&key, trace, &secret, &CONTEXT).map_err(|e| format!("prove: {e}"))?;
    let prove_ms = started.elapsed().as_secs_f64() * 1e3;
    let started = Instant::now();
    verify_private(vk, &commitment, &masked, &CONTEXT, &proof)
        .map_err(|e| format!("verify: {e}"))?;
    let verify_ms = started.elapsed().as_secs_f64() * 1e3;
    let mut other = masked;
    if let Some(first) = other.first_mut() {
        *first = if *first == 0 { 1 } else { *first - 1 };
    }
    if verify_private(vk, &commitment, &other, &CONTEXT, &proof).is_ok() {
        return Err("verify: another output is accepted".to_owned());
    }
    Ok((prove_ms, verify_ms, proof.len()))
}
