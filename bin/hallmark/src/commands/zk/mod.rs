//! `hallmark zk`: the whole zkML wing without any network.

use super::{Error, parse_b256, read, write};
use crate::cli::ZkCommand;
use crate::output::Reporter;
use hallmark_engine::Prepared;
use hallmark_graph::{Graph, Model};
use hallmark_onnx::{Dataset, read_dataset};
use hallmark_proof::{Mode, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

mod bench;
mod cost;
mod drawing;
mod inspect;
mod memory;
mod quantise;
#[cfg(test)]
mod tests;

use bench::ms;
pub use bench::peak_rss_mb;

/// Version of [`Bundle`].
const BUNDLE_VERSION: u32 = 2;

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
            quantise,
        } => quantise::compile(&model, &calibrate, &output, &quantise.options(), report),
        ZkCommand::Accuracy {
            model,
            calibrate,
            test,
            labels,
            quantise,
        } => quantise::accuracy(
            quantise::Unseen {
                model,
                calibrate,
                test,
                labels,
            },
            &quantise.options(),
            report,
        ),
        ZkCommand::Inspect { model, svg } => inspect::inspect(&model, svg.as_deref(), report),
        ZkCommand::Run { model, input } => run_model(&model, &input, report),
        ZkCommand::Prove {
            model,
            input,
            output,
            context,
            mode,
            memory_mb,
        } => {
            let model = load(&model)?;
            memory::check(&model, memory_mb.map(|mib| mib.saturating_mul(1 << 20)))?;
            prove(model, &input, &output, &context, mode.into(), report)
        }
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

fn load(path: &Path) -> Result<Model, Error> {
    Model::decode(&read(path)?).map_err(|e| Error::at(path.display(), e))
}

/// Samples of a compiled model's inputs.
fn dataset(graph: &Graph, path: &Path) -> Result<Dataset, Error> {
    let elements: Vec<usize> = graph.inputs.iter().map(|i| i.shape.elements()).collect();
    Ok(read_dataset(path, &elements)?)
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
    model: Model,
    input: &Path,
    output: &Path,
    context: &str,
    mode: Mode,
    report: &Reporter,
) -> Result<(), Error> {
    let context = parse_b256("--context", context)?;
    let input = one_input(&model.graph, input)?;
    let spinner = report.spinner("committing to the weights");
    let proving = hallmark_proof::setup(&model)?;
    let prepared = Prepared::new(model)?;
    spinner.set_message("proving");
    let started = Instant::now();
    let trace = hallmark_engine::trace(&prepared, &input)?;
    let proof = hallmark_proof::prove_with(&proving, &trace, &context.0, mode)?;
    let elapsed = started.elapsed();
    spinner.finish_and_clear();
    let answer = proving.verifying_key().graph().join_output(&trace.values);
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
    let (output, context, proof) = (&bundle.output, &bundle.context.0, &bundle.proof);
    hallmark_proof::verify(&key, &bundle.input, output, context, proof)
        .map_err(|e| Error::at(path.display(), format!("refused: {e}")))?;
    let elapsed = started.elapsed();
    report.result(
        format!("verified in {:.1} ms: output {:?}", ms(elapsed), bundle.output),
        &json!({ "verified": true, "verify_ms": ms(elapsed), "output_int": bundle.output, "context": bundle.context }),
    );
    Ok(())
}
