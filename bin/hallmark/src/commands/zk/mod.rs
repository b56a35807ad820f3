//! `hallmark zk`: the whole zkML wing without any network.

use super::{Error, parse_b256, read, write};
use crate::cli::ZkCommand;
use crate::output::Reporter;
use hallmark_engine::Prepared;
use hallmark_graph::{Graph, Model, Op};
use hallmark_onnx::{
    CompileOptions, Compiled, Dataset, FloatGraph, ImportOptions, read_dataset, real,
};
use hallmark_proof::{InputSecret, Mode, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

mod bench;

use bench::ms;
pub use bench::peak_rss_mb;

/// Version of [`Bundle`].
const BUNDLE_VERSION: u32 = 3;

/// A proof with everything that its check needs; all byte strings in hex.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    version: u32,
    verifying_key: alloy_primitives::Bytes,
    statement: BundleStatement,
    context: alloy_primitives::B256,
    proof: alloy_primitives::Bytes,
}

/// What a bundle's proof says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "mode")]
enum BundleStatement {
    Public {
        input: Vec<i32>,
        output: Vec<i32>,
    },
    PrivateInput {
        commitment: alloy_primitives::B256,
        /// Outputs plus pads, modulo the field's prime.
        masked_output: Vec<u32>,
    },
}

pub fn run(command: ZkCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        ZkCommand::Compile {
            model,
            calibrate,
            output,
            quantise,
        } => compile(&model, &calibrate, &output, &quantise.options(), report),
        ZkCommand::Inspect { model } => inspect(&model, report),
        ZkCommand::Run { model, input } => run_model(&model, &input, report),
        ZkCommand::Prove {
            model,
            input,
            output,
            context,
            mode,
            secret,
        } => {
            let files = (output.as_path(), secret.as_deref());
            prove(&model, &input, files, &context, mode.into(), report)
        }
        ZkCommand::Verify {
            proof,
            model,
            digest,
            secret,
        } => verify(
            &proof,
            (model.as_deref(), digest.as_deref()),
            secret.as_deref(),
            report,
        ),
        ZkCommand::Bench {
            model,
            input,
            calibrate,
            repeat,
            mode,
            quantise,
        } => bench::run(
            bench::Bench {
                model: &model,
                input,
                calibrate,
                repeat,
                mode: mode.into(),
                options: quantise.options(),
            },
            report,
        ),
    }
}

/// A compiled model, the data it was calibrated on, and accuracy where that data has labels.
struct FromOnnx {
    compiled: Compiled,
    data: Dataset,
    float: FloatGraph,
    accuracy: Option<hallmark_onnx::Accuracy>,
}

/// Samples of a compiled model's inputs.
fn dataset(graph: &Graph, path: &Path) -> Result<Dataset, Error> {
    let elements: Vec<usize> = graph.inputs.iter().map(|i| i.shape.elements()).collect();
    Ok(read_dataset(path, &elements)?)
}

fn compile_onnx(
    path: &Path,
    calibrate: &Path,
    options: &CompileOptions,
) -> Result<FromOnnx, Error> {
    let float = hallmark_onnx::import_file(path, ImportOptions::default())
        .map_err(|e| Error::at(path.display(), e))?;
    let elements: Vec<usize> = float
        .inputs
        .iter()
        .map(|i| i.shape.iter().product())
        .collect();
    let data = read_dataset(calibrate, &elements)?;
    let compiled = hallmark_onnx::compile(&float, &data.calibration(), options)
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
        float,
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
    if let Some(worst) = &report.worst {
        text.push_str(&format!("the worst layer is {worst}\n"));
    }
    for layer in &report.layers {
        text.push_str(&format!(
            "  {:<32} {:<20} signal to noise {:.1} dB\n",
            layer.name, layer.source, layer.snr_db,
        ));
    }
    text
}

fn compile(
    path: &Path,
    calibrate: &Path,
    output: &Path,
    options: &CompileOptions,
    report: &Reporter,
) -> Result<(), Error> {
    let spinner = report.spinner("importing and quantising");
    let FromOnnx {
        compiled, accuracy, ..
    } = compile_onnx(path, calibrate, options)?;
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
    let mut lines = Vec::new();
    for (i, input) in graph.inputs.iter().enumerate() {
        lines.push(format!(
            "input   v{i} {} in {}, one step is {:.6}",
            input.shape,
            input.range,
            real(input.scale)
        ));
    }
    let mut nodes = Vec::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        let value = graph.value_of(i);
        let what = describe_op(&node.op);
        lines.push(format!(
            "v{value:<5}  {what} -> {} in {}",
            node.shape, node.range
        ));
        nodes.push(json!({ "value": value, "op": what, "shape": node.shape.0, "lo": node.range.lo, "hi": node.range.hi }));
    }
    let digest = alloy_primitives::B256::from(key.digest());
    let commitment = alloy_primitives::B256::from(key.commitment());
    for output in &graph.outputs {
        lines.push(format!(
            "output  v{}, one step is {:.6}",
            output.value,
            real(output.scale)
        ));
    }
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
    let terms = |lines: &mut Vec<String>, security: &hallmark_proof::SecurityReport| {
        lines.push(format!("security {:.1} bits, the sum of:", security.bits()));
        for term in &security.terms {
            lines.push(format!("  {:<40} {:.1}", term.name, term.bits));
        }
    };
    lines.push("mode    public: proves integrity, hides nothing".to_owned());
    terms(&mut lines, &security);
    let private = bench::security(key, Mode::PrivateInput);
    match (&private, key.private_cost(), key.max_private_proof_len()) {
        (Some(security), Some(cost), Some(longest)) => {
            lines.push(
                "mode    private-input: hides inputs and outputs from all but the seller"
                    .to_owned(),
            );
            lines.push(format!(
                "proof   at most {longest} bytes, verification gas {}",
                cost.gas()
            ));
            terms(&mut lines, security);
        }
        _ => lines.push("mode    private-input is not available for this model".to_owned()),
    }
    let listed = |security: &hallmark_proof::SecurityReport| {
        let terms = security.terms.iter();
        terms
            .map(|t| json!({ "name": t.name, "bits": t.bits }))
            .collect::<Vec<_>>()
    };
    report.result(
        lines.join("\n"),
        &json!({
            "nodes": nodes, "params": graph.params(), "macs": graph.macs(),
            "key_bytes": key.encode().len(), "digest": digest, "commitment": commitment,
            "max_proof_bytes": key.max_proof_len(), "verify_gas": key.cost().gas(),
            "mode": "public", "security_bits": security.bits(),
            "security_terms": listed(&security),
            "private_input": private.map(|security| json!({
                "max_proof_bytes": key.max_private_proof_len(),
                "verify_gas": key.private_cost().map(|c| c.gas()),
                "security_bits": security.bits(), "security_terms": listed(&security),
            })),
        }),
    );
    Ok(())
}

/// An operator in a line.
fn describe_op(op: &Op) -> String {
    match op {
        Op::Constant { constant } => format!("Constant {constant}"),
        Op::MatMul { a, b, batch, inner } => {
            format!("MatMul v{a} v{b} (batch axes {batch}, inner axes {inner})")
        }
        Op::Mul { a, b } => format!("Mul v{a} v{b}"),
        Op::Combine { terms, offset } => {
            let terms: Vec<String> = terms.iter().map(|(v, m)| format!("{m}*v{v}")).collect();
            format!("Combine {} + {offset}", terms.join(" + "))
        }
        Op::Sum { input, axes } => format!("Sum v{input} over {axes:?}"),
        Op::View { input, .. } => format!("View v{input}"),
        Op::Reshape { input, .. } => format!("Reshape v{input}"),
        Op::Lookup {
            input,
            shift,
            table,
        } => format!("Lookup v{input} >> {shift}, {table:?}"),
        Op::Shift { input, shift, bits } => format!("Shift v{input} >> {shift} to {bits} bits"),
    }
}

/// The one input of a file, quantised for the model.
pub fn one_input(graph: &Graph, path: &Path) -> Result<Vec<i32>, Error> {
    let data = dataset(graph, path)?;
    let [sample] = data.samples.as_slice() else {
        let held = data.samples.len();
        return Err(Error::at(
            path.display(),
            format!("one input is needed, the file holds {held}"),
        ));
    };
    hallmark_onnx::quantize(graph, sample).map_err(|e| Error::at(path.display(), e))
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
    (output, secret_file): (&Path, Option<&Path>),
    context: &str,
    mode: Mode,
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
    let graph = proving.verifying_key().graph();
    let answer = graph.join_output(&trace.values);
    let (proof, statement) = match mode {
        Mode::Public => {
            let proof = hallmark_proof::prove(&proving, &trace, &context.0)?;
            let output = answer.clone();
            (proof, BundleStatement::Public { input, output })
        }
        Mode::PrivateInput => {
            let secret = bench::fresh_secret()?;
            let default = output.with_extension("secret");
            let file = secret_file.unwrap_or(&default);
            let proof = hallmark_proof::prove_private(&proving, &trace, &secret, &context.0)?;
            let commitment = hallmark_proof::commit_input(graph, &input, &secret)?.into();
            let masked_output = hallmark_proof::mask_output(graph, &answer, &secret)?;
            // Without it nobody can read the output out of the bundle.
            write_secret(file, &secret)?;
            let statement = BundleStatement::PrivateInput {
                commitment,
                masked_output,
            };
            (proof, statement)
        }
    };
    let elapsed = started.elapsed();
    spinner.finish_and_clear();
    let bundle = Bundle {
        version: BUNDLE_VERSION,
        verifying_key: proving.verifying_key().encode().into(),
        statement,
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

/// Writes a secret so that only its owner can read it.
fn write_secret(path: &Path, secret: &InputSecret) -> Result<(), Error> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let text = format!("{}\n", alloy_primitives::B256::from(secret.to_bytes()));
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| Error::at(path.display(), e))
}

fn read_secret(path: &Path) -> Result<InputSecret, Error> {
    let text = String::from_utf8(read(path)?).map_err(|e| Error::at(path.display(), e))?;
    let bytes = parse_b256("the secret", text.trim())?;
    Ok(InputSecret::from_bytes(bytes.0))
}

fn verify(
    path: &Path,
    (model, digest): (Option<&Path>, Option<&str>),
    secret: Option<&Path>,
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
    let (context, proof) = (&bundle.context.0, &bundle.proof);
    let (mode, checked) = match &bundle.statement {
        BundleStatement::Public { input, output } => {
            let checked = hallmark_proof::verify(&key, input, output, context, proof);
            (Mode::Public, checked)
        }
        BundleStatement::PrivateInput {
            commitment,
            masked_output,
        } => {
            let commitment = &commitment.0;
            let checked =
                hallmark_proof::verify_private(&key, commitment, masked_output, context, proof);
            (Mode::PrivateInput, checked)
        }
    };
    checked.map_err(|e| Error::at(path.display(), format!("refused: {e}")))?;
    let elapsed = started.elapsed();
    let output = match (&bundle.statement, secret) {
        (BundleStatement::Public { output, .. }, _) => Some(output.clone()),
        (BundleStatement::PrivateInput { masked_output, .. }, Some(file)) => {
            let secret = read_secret(file)?;
            let opened = hallmark_proof::unmask_output(key.graph(), masked_output, &secret);
            Some(opened.map_err(|_| Error::at(file.display(), "the secret of another proof"))?)
        }
        (BundleStatement::PrivateInput { .. }, None) => None,
    };
    let said = match &output {
        Some(output) => format!("output {output:?}"),
        None => "the output is under a one-time pad; --secret FILE opens it".to_owned(),
    };
    report.result(
        format!("verified in {:.1} ms: {said}", ms(elapsed)),
        &json!({
            "verified": true, "mode": bench::mode_name(mode), "verify_ms": ms(elapsed),
            "output_int": output, "context": bundle.context,
        }),
    );
    Ok(())
}
