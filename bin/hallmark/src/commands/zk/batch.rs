//! `hallmark zk prove --batch`: several runs of one model in one proof, which share the opening of the
//! weights.

use super::{
    BUNDLE_VERSION, BundleStatement, Error, bench, dataset, memory, ms, parse_secret, read, write,
    write_secrets,
};
use crate::output::Reporter;
use hallmark_engine::Prepared;
use hallmark_graph::Model;
use hallmark_proof::{BatchRun, BatchStatement, InputSecret, Inputs, Mode, Profile, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// A proof of several runs with everything that its check needs; all byte strings in hex.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchBundle {
    pub(super) version: u32,
    pub(super) verifying_key: alloy_primitives::Bytes,
    /// In the order in which they were proven, all of one mode.
    runs: Vec<BundleStatement>,
    context: alloy_primitives::B256,
    proof: alloy_primitives::Bytes,
}

/// Proves all samples of a file at once.
pub(super) fn prove(
    model: Model,
    profile: Profile,
    input: &Path,
    // A file of secrets if the inputs are private.
    (output, secret_file): (&Path, Option<&Path>),
    // What the proof is bound to, and the bytes of memory that it may take.
    (context, memory): ([u8; 32], Option<u64>),
    report: &Reporter,
) -> Result<(), Error> {
    let samples = dataset(&model.graph, input)?.samples;
    memory::check(&model, profile, samples.len() as u64, memory)?;
    let inputs = samples
        .iter()
        .map(|sample| hallmark_onnx::quantize(&model.graph, sample))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Error::at(input.display(), e))?;
    let spinner = report.spinner("committing to the weights");
    let proving = hallmark_proof::setup_with(&model, profile)?;
    let prepared = Prepared::new(model)?;
    spinner.set_message("proving");
    let started = Instant::now();
    let traces = inputs
        .iter()
        .map(|input| hallmark_engine::trace(&prepared, input))
        .collect::<Result<Vec<_>, _>>()?;
    let secrets: Vec<InputSecret> = match secret_file {
        None => Vec::new(),
        Some(_) => inputs
            .iter()
            .map(|_| bench::fresh_secret())
            .collect::<Result<_, _>>()?,
    };
    let runs: Vec<BatchRun<'_>> = traces
        .iter()
        .enumerate()
        .map(|(i, trace)| BatchRun {
            trace,
            secret: secrets.get(i),
        })
        .collect();
    let proof = hallmark_proof::prove_batch(&proving, &runs, &context)?;
    let elapsed = started.elapsed();
    let graph = proving.verifying_key().graph();
    let answers: Vec<Vec<i32>> = traces
        .iter()
        .map(|trace| graph.join_output(&trace.values))
        .collect();
    let mut said = Vec::with_capacity(answers.len());
    for (i, (input, output)) in inputs.iter().zip(&answers).enumerate() {
        said.push(match secrets.get(i) {
            None => BundleStatement::Public {
                input: input.clone(),
                output: output.clone(),
            },
            Some(secret) => BundleStatement::PrivateInput {
                commitment: hallmark_proof::commit_input(graph, input, secret)?.into(),
                masked_output: hallmark_proof::mask_output(graph, output, secret)?,
            },
        });
    }
    if let Some(file) = secret_file {
        // Without it nobody can read the outputs out of the bundle.
        write_secrets(file, &secrets)?;
    }
    spinner.finish_and_clear();
    let bundle = BatchBundle {
        version: BUNDLE_VERSION,
        verifying_key: proving.verifying_key().encode().into(),
        runs: said,
        context: context.into(),
        proof: proof.clone().into(),
    };
    write(output, &serde_json::to_vec_pretty(&bundle)?)?;
    let count = answers.len();
    report.result(
        format!(
            "{count} runs in one proof of {} bytes in {:.1} ms, written to {}",
            proof.len(),
            ms(elapsed),
            output.display()
        ),
        &json!({
            "file": output, "runs": count, "proof_bytes": proof.len(),
            "prove_ms": ms(elapsed), "outputs_int": answers,
        }),
    );
    Ok(())
}

/// Checks a bundle whose key is the expected one.
pub(super) fn verify(
    path: &Path,
    bundle: &BatchBundle,
    key: &VerifyingKey,
    secret: Option<&Path>,
    report: &Reporter,
) -> Result<(), Error> {
    let started = Instant::now();
    // Masked elements are below 2^31; the check refuses others.
    let masked: Vec<Vec<i32>> = bundle
        .runs
        .iter()
        .map(|run| match run {
            BundleStatement::Public { output, .. } => output.clone(),
            BundleStatement::PrivateInput { masked_output, .. } => {
                masked_output.iter().map(|&x| x as i32).collect()
            }
        })
        .collect();
    let runs: Vec<BatchStatement<'_>> = bundle
        .runs
        .iter()
        .zip(&masked)
        .map(|(run, output)| BatchStatement {
            inputs: match run {
                BundleStatement::Public { input, .. } => Inputs::Public(input),
                BundleStatement::PrivateInput { commitment, .. } => Inputs::Private(&commitment.0),
            },
            output,
        })
        .collect();
    hallmark_proof::verify_batch(key, &runs, &bundle.context.0, &bundle.proof)
        .map_err(|e| Error::at(path.display(), format!("refused: {e}")))?;
    let elapsed = started.elapsed();
    let secrets = match secret {
        None => Vec::new(),
        Some(file) => String::from_utf8(read(file)?)
            .map_err(|e| Error::at(file.display(), e))?
            .lines()
            .map(parse_secret)
            .collect::<Result<Vec<_>, _>>()?,
    };
    let mut outputs = Vec::with_capacity(bundle.runs.len());
    for (i, run) in bundle.runs.iter().enumerate() {
        outputs.push(match (run, secrets.get(i)) {
            (BundleStatement::Public { output, .. }, _) => Some(output.clone()),
            (BundleStatement::PrivateInput { masked_output, .. }, Some(secret)) => {
                let opened = hallmark_proof::unmask_output(key.graph(), masked_output, secret);
                let another = |_| Error::new(format!("run {i} has another secret"));
                Some(opened.map_err(another)?)
            }
            (BundleStatement::PrivateInput { .. }, None) => None,
        });
    }
    let mode = runs.first().map_or(Mode::Public, |run| run.inputs.mode());
    report.result(
        format!(
            "{} runs verified in {:.1} ms{}",
            runs.len(),
            ms(elapsed),
            match outputs.iter().all(Option::is_some) {
                true => format!(
                    ": outputs {:?}",
                    outputs.iter().flatten().collect::<Vec<_>>()
                ),
                false => "; outputs are under one-time pads, --secret FILE opens them".to_owned(),
            }
        ),
        &json!({
            "verified": true, "mode": bench::mode_name(mode), "runs": runs.len(),
            "verify_ms": ms(elapsed), "outputs_int": outputs, "context": bundle.context,
        }),
    );
    Ok(())
}
