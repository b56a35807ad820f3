//! `hallmark zk`: the whole zkML wing without any network.

use super::{Error, parse_b256, read, write};
use crate::cli::ZkCommand;
use crate::output::Reporter;
use hallmark_engine::Prepared;
use hallmark_graph::{Graph, Model};
use hallmark_onnx::{Dataset, read_dataset};
use hallmark_proof::{InputSecret, Mode, Profile, Progress, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

mod batch;
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
        ZkCommand::Inspect {
            model,
            svg,
            profile,
        } => inspect::inspect(&model, svg.as_deref(), profile.into(), report),
        ZkCommand::Run { model, input } => run_model(&model, &input, report),
        ZkCommand::Prove {
            model,
            input,
            output,
            context,
            mode,
            profile,
            secret,
            batch,
            memory_mb,
        } => {
            let secret = match mode.supported().map_err(Error::new)? {
                Mode::Public => None,
                Mode::PrivateInput => Some(secret_file(&output, secret.as_deref())?),
            };
            let files = (output.as_path(), secret.as_deref());
            let model = load(&model)?;
            let profile = profile.into();
            let limit = memory_mb.map(|mib| mib.saturating_mul(1 << 20));
            let context = parse_b256("--context", &context)?;
            match batch {
                true => batch::prove(model, profile, &input, files, (context.0, limit), report),
                false => {
                    memory::check(&model, profile, 1, limit)?;
                    prove(model, profile, &input, files, context, report)
                }
            }
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
            profile,
            quantise,
        } => bench::run(
            bench::Bench {
                model: &model,
                input,
                calibrate,
                repeat,
                mode: mode.supported().map_err(Error::new)?,
                profile: profile.into(),
                options: quantise.options(),
            },
            report,
        ),
    }
}

/// A compiled model from its file.
pub fn load(path: &Path) -> Result<Model, Error> {
    Model::decode(&read(path)?).map_err(|e| Error::at(path.display(), e))
}

/// A model to prove with: compiled, or ONNX that is compiled now with what calibrates it. Refused if
/// its proofs need more memory than the machine has.
pub fn load_to_prove(
    path: &Path,
    calibrate: Option<&Path>,
    options: &hallmark_onnx::CompileOptions,
) -> Result<Model, Error> {
    let is_onnx = path.extension().is_some_and(|ending| ending == "onnx");
    let model = match (is_onnx, calibrate) {
        (true, Some(calibrate)) => {
            quantise::compile_onnx(path, calibrate, options)?
                .compiled
                .model
        }
        (true, None) => {
            return Err(Error::at(
                path.display(),
                "an ONNX model needs --calibrate; or give the file that `hallmark zk compile` wrote",
            ));
        }
        (false, Some(_)) => {
            return Err(Error::at(path.display(), "--calibrate is for ONNX models"));
        }
        (false, None) => load(path)?,
    };
    memory::check(&model, Profile::Standard, 1, None)?;
    Ok(model)
}

/// Samples of a compiled model's inputs.
pub fn dataset(graph: &Graph, path: &Path) -> Result<Dataset, Error> {
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
    profile: Profile,
    input: &Path,
    (output, secret_file): (&Path, Option<&Path>),
    context: alloy_primitives::B256,
    report: &Reporter,
) -> Result<(), Error> {
    let input = one_input(&model.graph, input)?;
    let spinner = report.spinner("committing to the weights");
    let proving = hallmark_proof::setup_with(&model, profile)?;
    let prepared = Prepared::new(model)?;
    spinner.finish_and_clear();
    let bar = report.bar(1, "running the model");
    let watch = |progress| show(&bar, progress);
    let started = Instant::now();
    let trace = hallmark_engine::trace(&prepared, &input)?;
    let graph = proving.verifying_key().graph();
    let answer = graph.join_output(&trace.values);
    let (proof, statement) = match secret_file {
        None => {
            let (proof, _) = hallmark_proof::prove_measured(&proving, &trace, &context.0, &watch)?;
            let output = answer.clone();
            (proof, BundleStatement::Public { input, output })
        }
        Some(file) => {
            let secret = bench::fresh_secret()?;
            let (proof, _) = hallmark_proof::prove_private_measured(
                &proving, &trace, &secret, &context.0, &watch,
            )?;
            let commitment = hallmark_proof::commit_input(graph, &input, &secret)?.into();
            let masked_output = hallmark_proof::mask_output(graph, &answer, &secret)?;
            // Without it nobody can read the output out of the bundle.
            write_secrets(file, &[secret])?;
            let statement = BundleStatement::PrivateInput {
                commitment,
                masked_output,
            };
            (proof, statement)
        }
    };
    let elapsed = started.elapsed();
    bar.finish_and_clear();
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
            "proof of {} bytes (profile {}) in {:.1} ms, written to {}\noutput {answer:?}",
            proof.len(),
            profile.name(),
            ms(elapsed),
            output.display()
        ),
        &json!({
            "file": output, "profile": profile.name(), "proof_bytes": proof.len(),
            "prove_ms": ms(elapsed), "output_int": answer,
        }),
    );
    Ok(())
}

/// Moves a bar to where a proof is: commitment, lookups, the steps from layer to layer, openings.
fn show(bar: &indicatif::ProgressBar, progress: Progress) {
    let at = match progress {
        Progress::Committing => {
            bar.set_message("committing to the witness");
            return;
        }
        Progress::Lookups => {
            bar.set_message("proving the lookups");
            return;
        }
        Progress::Layer { step, of } => {
            bar.set_length(of as u64 + 2);
            bar.set_message("proving layer by layer");
            step
        }
        Progress::Opening => {
            bar.set_message("opening the witness");
            bar.length().unwrap_or(2).saturating_sub(2) as usize
        }
        Progress::Weights => {
            bar.set_message("opening the weights");
            bar.length().unwrap_or(1).saturating_sub(1) as usize
        }
    };
    bar.set_position(at as u64);
}

/// Where the secrets of private inputs go: beside the proof unless another file is named.
///
/// # Errors
/// It is the file of the proof, which would overwrite them.
fn secret_file(output: &Path, named: Option<&Path>) -> Result<PathBuf, Error> {
    let file = match named {
        Some(file) => file.to_owned(),
        None => output.with_extension("secret"),
    };
    if is_same_file(&file, output) {
        return Err(Error::at(
            file.display(),
            "the proof would overwrite its secret; give another file with --secret or --output",
        ));
    }
    Ok(file)
}

/// Whether two paths name one file, also by way of links, and also if it is not there yet.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        if let Ok(place) = path.canonicalize() {
            return Some(place);
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    a == b || matches!((place(a), place(b)), (Some(a), Some(b)) if a == b)
}

/// Writes secrets, one a line, so that only their owner can read them. What was in the file stays there
/// until all of the new is on disk.
fn write_secrets(path: &Path, secrets: &[InputSecret]) -> Result<(), Error> {
    use std::io::Write as _;
    let text: String = secrets
        .iter()
        .map(|secret| format!("{}\n", alloy_primitives::B256::from(secret.to_bytes())))
        .collect();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&part).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    });
    written.map_err(|e| {
        let _ = std::fs::remove_file(&part);
        Error::at(path.display(), e)
    })
}

fn read_secret(path: &Path) -> Result<InputSecret, Error> {
    let text = String::from_utf8(read(path)?).map_err(|e| Error::at(path.display(), e))?;
    parse_secret(&text)
}

fn parse_secret(text: &str) -> Result<InputSecret, Error> {
    let bytes = parse_b256("the secret", text.trim())?;
    Ok(InputSecret::from_bytes(bytes.0))
}

/// What every version of a bundle has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// A bundle of one run or of several.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyBundle {
    One(Bundle),
    Batch(batch::BatchBundle),
}

fn verify(
    path: &Path,
    (model, digest): (Option<&Path>, Option<&str>),
    secret: Option<&Path>,
    report: &Reporter,
) -> Result<(), Error> {
    let bytes = read(path)?;
    let refuse = |e| Error::at(path.display(), format!("not a proof bundle: {e}"));
    // Before anything else of it: another version has other fields.
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(refuse)?;
    if version != BUNDLE_VERSION {
        return Err(Error::at(
            path.display(),
            format!("bundle version {version} is not {BUNDLE_VERSION}"),
        ));
    }
    let bundle: AnyBundle = serde_json::from_slice(&bytes).map_err(refuse)?;
    let key = match &bundle {
        AnyBundle::One(bundle) => &bundle.verifying_key,
        AnyBundle::Batch(bundle) => &bundle.verifying_key,
    };
    let key = VerifyingKey::decode(key).map_err(|e| Error::at(path.display(), e))?;
    // Which model must have run is the caller's word, never the bundle's.
    let expected = match (model, digest) {
        (Some(model), _) => hallmark_proof::setup_with(&load(model)?, key.profile())?
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
    let bundle = match bundle {
        AnyBundle::One(bundle) => bundle,
        AnyBundle::Batch(bundle) => return batch::verify(path, &bundle, &key, secret, report),
    };
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
            "verified": true, "mode": bench::mode_name(mode), "profile": key.profile().name(),
            "verify_ms": ms(elapsed), "output_int": output, "context": bundle.context,
        }),
    );
    Ok(())
}
