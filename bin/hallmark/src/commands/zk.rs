//! `hallmark zk`: the whole zkML wing without any network.

use super::{Error, parse_b256, read, write};
use crate::cli::ZkCommand;
use crate::output::Reporter;
use hallmark_engine::Prepared;
use hallmark_graph::{Graph, Model, Op};
use hallmark_onnx::{CompileOptions, Compiled, Dataset, ImportOptions, read_dataset, real};
use hallmark_proof::{ProvingKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Plain runs that are timed together.
const PLAIN_RUNS: u32 = 100;
/// Version of [`Bundle`].
const BUNDLE_VERSION: u32 = 1;

/// A proof with everything that its check needs; all byte strings in hex.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    version: u32,
    verifying_key: alloy_primitives::Bytes,
    input: Vec<i32>,
    output: Vec<i32>,
    context: alloy_primitives::B256,
    proof: alloy_primitives::Bytes,
}

pub fn run(command: ZkCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        ZkCommand::Compile {
            model,
            calibrate,
            output,
        } => compile(&model, &calibrate, &output, report),
        ZkCommand::Inspect { model } => inspect(&model, report),
        ZkCommand::Run { model, input } => run_model(&model, &input, report),
        ZkCommand::Prove {
            model,
            input,
            output,
            context,
        } => prove(&model, &input, &output, &context, report),
        ZkCommand::Verify {
            proof,
            model,
            digest,
        } => verify(&proof, model.as_deref(), digest.as_deref(), report),
        ZkCommand::Bench {
            model,
            input,
            calibrate,
            repeat,
        } => bench(&model, input, calibrate, repeat, report),
    }
}

/// A compiled model, the data it was calibrated on, and accuracy where that data has labels.
struct FromOnnx {
    compiled: Compiled,
    data: Dataset,
    accuracy: Option<hallmark_onnx::Accuracy>,
}

fn compile_onnx(path: &Path, calibrate: &Path) -> Result<FromOnnx, Error> {
    let float = hallmark_onnx::import_file(path, ImportOptions::default())
        .map_err(|e| Error::at(path.display(), e))?;
    let data = read_dataset(calibrate, float.input_len())?;
    let compiled = hallmark_onnx::compile(&float, &data.calibration(), &CompileOptions::default())
        .map_err(|e| Error::at(path.display(), e))?;
    let accuracy = match &data.labels {
        Some(labels) => {
            let test = data.test_indices();
            let samples: Vec<&[f32]> = test.iter().map(|i| data.samples[*i].as_slice()).collect();
            let labels: Vec<u32> = test.iter().map(|i| labels[*i]).collect();
            Some(hallmark_onnx::accuracy(
                &float,
                &compiled.model,
                &samples,
                &labels,
            )?)
        }
        None => None,
    };
    Ok(FromOnnx {
        compiled,
        data,
        accuracy,
    })
}

/// What quantising did to the model, for people.
fn describe(report: &hallmark_onnx::Report, accuracy: Option<&hallmark_onnx::Accuracy>) -> String {
    let mut text = format!(
        "{} parameters, {} multiply-adds\nagainst float on {} samples: largest error {:.4}, mean {:.4}, same answer {:.2} %\n",
        report.params,
        report.macs,
        report.samples,
        report.max_error,
        report.mean_error,
        100.0 * report.top1_agreement,
    );
    if let Some(a) = accuracy {
        text.push_str(&format!(
            "accuracy on {} unseen samples: float {:.2} %, integer {:.2} %\n",
            a.samples,
            100.0 * a.float_correct as f64 / a.samples.max(1) as f64,
            100.0 * a.integer_correct as f64 / a.samples.max(1) as f64,
        ));
    }
    for layer in &report.layers {
        text.push_str(&format!(
            "  {:<24} table 2^{:<2} shift {:<2} multipliers {}..{}  signal to noise {:.1} dB\n",
            layer.name,
            layer.table_bits,
            layer.shift,
            layer.multiplier_min,
            layer.multiplier_max,
            layer.snr_db,
        ));
    }
    text
}

fn compile(path: &Path, calibrate: &Path, output: &Path, report: &Reporter) -> Result<(), Error> {
    let spinner = report.spinner("importing and quantising");
    let FromOnnx {
        compiled, accuracy, ..
    } = compile_onnx(path, calibrate)?;
    let bytes = compiled.model.encode();
    write(output, &bytes)?;
    spinner.finish_and_clear();
    let hash = blake3::hash(&bytes);
    report.result(
        format!(
            "{}written to {} ({} bytes, BLAKE3 {})",
            describe(&compiled.report, accuracy.as_ref()),
            output.display(),
            bytes.len(),
            hash
        ),
        &json!({
            "file": output, "bytes": bytes.len(), "content_hash": hash.to_string(),
            "report": serde_json::to_value(&compiled.report)?,
            "accuracy": serde_json::to_value(accuracy)?,
        }),
    );
    Ok(())
}

fn load(path: &Path) -> Result<Model, Error> {
    Model::decode(&read(path)?).map_err(|e| Error::at(path.display(), e))
}

fn inspect(path: &Path, report: &Reporter) -> Result<(), Error> {
    let model = load(path)?;
    let proving = hallmark_proof::setup(&model)?;
    let key = proving.verifying_key();
    let security = hallmark_proof::security_report(key);
    let graph = &model.graph;
    let mut lines = vec![format!(
        "input   {:?} in {}..={}, one step is {:.6}",
        graph.input.shape.0,
        graph.input.range.lo,
        graph.input.range.hi,
        real(graph.input.scale)
    )];
    let mut nodes = Vec::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        let what = match &node.op {
            Op::Linear {
                rows, inner, cols, ..
            } => format!("Linear {rows}x{inner} by {inner}x{cols}"),
            Op::Add {
                a,
                b,
                multiplier_a,
                multiplier_b,
            } => format!("Add {multiplier_a}*v{a} + {multiplier_b}*v{b}"),
            Op::Requant { shift, table, .. } => format!("Requant >> {shift}, {table:?}"),
            Op::Reshape { .. } => "Reshape".to_owned(),
        };
        lines.push(format!(
            "v{:<5}  {what} -> {:?} in {}..={}",
            i + 1,
            node.shape.0,
            node.range.lo,
            node.range.hi
        ));
        nodes.push(json!({ "value": i + 1, "op": what, "shape": node.shape.0, "lo": node.range.lo, "hi": node.range.hi }));
    }
    let digest = alloy_primitives::B256::from(key.digest());
    let commitment = alloy_primitives::B256::from(key.commitment());
    lines.push(format!(
        "output  v{}, one step is {:.6}",
        graph.output,
        real(graph.output_scale)
    ));
    lines.push(format!(
        "params  {}, multiply-adds {}",
        graph.params(),
        graph.macs()
    ));
    lines.push(format!(
        "key     {} bytes, digest {digest}",
        key.encode().len()
    ));
    lines.push(format!("weights commitment {commitment}"));
    lines.push(format!(
        "proof   at most {} bytes, verification gas {}",
        key.max_proof_len(),
        key.cost().gas()
    ));
    lines.push("mode    Public: proves integrity, hides nothing".to_owned());
    lines.push(format!("security {:.1} bits, the sum of:", security.bits()));
    for term in &security.terms {
        lines.push(format!("  {:<40} {:.1}", term.name, term.bits));
    }
    report.result(
        lines.join("\n"),
        &json!({
            "nodes": nodes, "params": graph.params(), "macs": graph.macs(),
            "key_bytes": key.encode().len(), "digest": digest, "commitment": commitment,
            "max_proof_bytes": key.max_proof_len(), "verify_gas": key.cost().gas(),
            "mode": "public", "security_bits": security.bits(),
            "security_terms": security.terms.iter().map(|t| json!({ "name": t.name, "bits": t.bits })).collect::<Vec<_>>(),
        }),
    );
    Ok(())
}

/// The one input of a file, quantised for the model.
pub fn one_input(graph: &Graph, path: &Path) -> Result<Vec<i32>, Error> {
    let data = read_dataset(path, graph.input_len())?;
    let [sample] = data.samples.as_slice() else {
        let held = data.samples.len();
        return Err(Error::at(
            path.display(),
            format!("one input is needed, the file holds {held}"),
        ));
    };
    hallmark_onnx::quantize(&graph.input, sample).map_err(|e| Error::at(path.display(), e))
}

fn run_model(path: &Path, input: &Path, report: &Reporter) -> Result<(), Error> {
    let model = load(path)?;
    let input = one_input(&model.graph, input)?;
    let prepared = Prepared::new(model)?;
    let output = hallmark_engine::run(&prepared, &input)?;
    let values = hallmark_onnx::dequantize(prepared.graph(), &output);
    let class = super::infer::argmax(&output);
    report.result(
        format!(
            "{values:?}\nlargest at {}",
            class.map_or_else(|| "-".to_owned(), |c| c.to_string())
        ),
        &json!({ "output": values, "output_int": output, "argmax": class }),
    );
    Ok(())
}

fn prove(
    path: &Path,
    input: &Path,
    output: &Path,
    context: &str,
    report: &Reporter,
) -> Result<(), Error> {
    let context = parse_b256("--context", context)?;
    let model = load(path)?;
    let input = one_input(&model.graph, input)?;
    let spinner = report.spinner("committing to the weights");
    let proving = hallmark_proof::setup(&model)?;
    let prepared = Prepared::new(model)?;
    spinner.set_message("proving");
    let started = Instant::now();
    let trace = hallmark_engine::trace(&prepared, &input)?;
    let proof = hallmark_proof::prove(&proving, &trace, &context.0)?;
    let elapsed = started.elapsed();
    spinner.finish_and_clear();
    let answer = trace.values[proving.verifying_key().graph().output as usize].clone();
    let bundle = Bundle {
        version: BUNDLE_VERSION,
        verifying_key: proving.verifying_key().encode().into(),
        input,
        output: answer.clone(),
        context,
        proof: proof.clone().into(),
    };
    write(output, &serde_json::to_vec_pretty(&bundle)?)?;
    report.result(
        format!(
            "proof of {} bytes in {:.1} ms, written to {}\noutput {answer:?}",
            proof.len(), ms(elapsed), output.display()
        ),
        &json!({ "file": output, "proof_bytes": proof.len(), "prove_ms": ms(elapsed), "output_int": answer }),
    );
    Ok(())
}

fn verify(
    path: &Path,
    model: Option<&Path>,
    digest: Option<&str>,
    report: &Reporter,
) -> Result<(), Error> {
    let bundle: Bundle = serde_json::from_slice(&read(path)?)
        .map_err(|e| Error::at(path.display(), format!("not a proof bundle: {e}")))?;
    if bundle.version != BUNDLE_VERSION {
        return Err(Error::at(
            path.display(),
            format!("bundle version {} is not {BUNDLE_VERSION}", bundle.version),
        ));
    }
    let key =
        VerifyingKey::decode(&bundle.verifying_key).map_err(|e| Error::at(path.display(), e))?;
    // Which model must have run is the caller's word, never the bundle's.
    let expected = match (model, digest) {
        (Some(model), _) => hallmark_proof::setup(&load(model)?)?
            .verifying_key()
            .digest(),
        (None, Some(digest)) => parse_b256("--digest", digest)?.0,
        (None, None) => {
            return Err(Error::new(
                "say which model must have run: --model or --digest",
            ));
        }
    };
    if key.digest() != expected {
        return Err(Error::at(path.display(), "the proof is of another model"));
    }
    let started = Instant::now();
    hallmark_proof::verify(
        &key,
        &bundle.input,
        &bundle.output,
        &bundle.context.0,
        &bundle.proof,
    )
    .map_err(|e| Error::at(path.display(), format!("refused: {e}")))?;
    let elapsed = started.elapsed();
    report.result(
        format!("verified in {:.1} ms: output {:?}", ms(elapsed), bundle.output),
        &json!({ "verified": true, "verify_ms": ms(elapsed), "output_int": bundle.output, "context": bundle.context }),
    );
    Ok(())
}

fn bench(
    path: &Path,
    input: Option<PathBuf>,
    calibrate: Option<PathBuf>,
    repeat: u32,
    report: &Reporter,
) -> Result<(), Error> {
    let compile_start = Instant::now();
    let (model, mut samples, max_abs_error) = if path.extension().is_some_and(|e| e == "hmk") {
        (load(path)?, Vec::new(), None)
    } else {
        let calibrate = calibrate
            .as_deref()
            .ok_or_else(|| Error::new("an ONNX model needs --calibrate DATA to be compiled"))?;
        let FromOnnx { compiled, data, .. } = compile_onnx(path, calibrate)?;
        (
            compiled.model,
            data.samples,
            Some(compiled.report.max_error),
        )
    };
    let compile_time = compile_start.elapsed();
    if let Some(input) = &input {
        samples = read_dataset(input, model.graph.input_len())?.samples;
    }
    let sample = samples
        .first()
        .ok_or_else(|| Error::new("a compiled model needs --input FILE to be measured on"))?;
    let input = hallmark_onnx::quantize(&model.graph.input, sample)?;
    let model_bytes = model.encode().len();

    let (proving, setup_time) = timed(|| hallmark_proof::setup(&model));
    let proving: ProvingKey = proving?;
    let key = proving.verifying_key();
    let work = hallmark_proof::work(key);
    let (params, macs) = (model.graph.params(), model.graph.macs());
    let prepared = Prepared::new(model)?;
    let context = [7u8; 32];

    // Warm up once, then measure; the median counts.
    let trace = hallmark_engine::trace(&prepared, &input)?;
    let output = hallmark_engine::run(&prepared, &input)?;
    hallmark_proof::prove(&proving, &trace, &context)?;
    let (mut plain, mut prove, mut verify) = (Vec::new(), Vec::new(), Vec::new());
    let (mut prove_cpu, mut lookups, mut commitment, mut opening) =
        (Duration::ZERO, Vec::new(), Vec::new(), Vec::new());
    let bar = report.bar(u64::from(repeat), "proving");
    let mut proof = Vec::new();
    let mut verified = true;
    for _ in 0..repeat {
        // One run takes microseconds: time a hundred.
        let (ran, t) = timed(|| {
            (0..PLAIN_RUNS).try_for_each(|_| hallmark_engine::run(&prepared, &input).map(|_| ()))
        });
        ran?;
        plain.push(t / PLAIN_RUNS);
        let cpu = cpu_time();
        let (made, t) = timed(|| {
            let trace = hallmark_engine::trace(&prepared, &input)?;
            hallmark_proof::prove_measured(&proving, &trace, &context).map_err(Error::from)
        });
        let (bytes, phases) = made?;
        proof = bytes;
        prove.push(t);
        prove_cpu += cpu_time().saturating_sub(cpu);
        lookups.push(phases.lookups);
        commitment.push(phases.witness);
        opening.push(phases.weights);
        let (checked, t) = timed(|| hallmark_proof::verify(key, &input, &output, &context, &proof));
        verified &= checked.is_ok();
        verify.push(t);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let (plain, prove, verify) = (median(plain), median(prove), median(verify));
    // The clock of the processor ticks in centiseconds: only the sum says something.
    let prove_cpu = prove_cpu / repeat;
    let nanos = |total: Duration, count: usize| {
        (total.as_nanos() as f64 / count.max(1) as f64 * 10.0).round() / 10.0
    };
    let value = json!({
        "model": path, "params": params, "macs": macs,
        "lookups": work.lookups, "committed": work.committed,
        "mode": "public", "security_bits": hallmark_proof::security_report(key).bits(),
        "compile_ms": ms(compile_time), "setup_ms": ms(setup_time),
        "plain_ms": ms(plain), "prove_ms": ms(prove), "prove_cpu_ms": ms(prove_cpu),
        "verify_ms": ms(verify), "proof_bytes": proof.len(), "model_bytes": model_bytes,
        "prove_over_plain": (prove.as_secs_f64() / plain.as_secs_f64().max(1e-9)).round(),
        "ns_per_lookup": nanos(median(lookups), work.lookups),
        "ns_per_committed": nanos(median(commitment), work.committed),
        "ns_per_weight": nanos(median(opening), work.weights),
        "peak_rss_mb": peak_rss_mb(), "max_abs_error": max_abs_error, "verified": verified,
    });
    let text = value
        .as_object()
        .map(|m| {
            m.iter()
                .map(|(k, v)| format!("{k:<18} {v}"))
                .collect::<Vec<_>>()
                .join("\n")
        })
        .unwrap_or_default();
    report.result(text, &value);
    if verified {
        Ok(())
    } else {
        Err(Error::new("a proof did not verify"))
    }
}

fn timed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let value = f();
    (value, started.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// User and system time of this process (Linux; zero elsewhere).
pub fn cpu_time() -> Duration {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return Duration::ZERO;
    };
    // Fields 14 and 15, counted after the command name, which may hold spaces; 100 ticks a second.
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks.saturating_mul(10))
}

/// Peak resident memory of this process in MiB (Linux; zero elsewhere).
pub fn peak_rss_mb() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|v| v.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or(0, |kb| kb / 1024)
}
