//! `hallmark zk compile` and `hallmark zk accuracy`: a float model becomes integers, and what that
//! cost.

use super::{Error, write};
use crate::output::Reporter;
use hallmark_onnx::{
    Accuracy, CompileOptions, Compiled, Dataset, FloatGraph, ImportOptions, Report, read_dataset,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A compiled model, the data it was calibrated on, and accuracy where that data has labels.
pub(super) struct FromOnnx {
    pub(super) compiled: Compiled,
    pub(super) data: Dataset,
    pub(super) float: FloatGraph,
    accuracy: Option<Accuracy>,
}

pub(super) fn compile_onnx(
    path: &Path,
    calibrate: &Path,
    options: &CompileOptions,
) -> Result<FromOnnx, Error> {
    let float = import(path)?;
    let data = read_dataset(calibrate, &elements(&float))?;
    let compiled = hallmark_onnx::compile(&float, &data.calibration(), options)
        .map_err(|e| Error::at(path.display(), e))?;
    let (samples, labels) = test_part(&data);
    let accuracy = match labels {
        Some(labels) if !samples.is_empty() => Some(hallmark_onnx::accuracy(
            &float,
            &compiled.model,
            &samples,
            &labels,
        )?),
        _ => None,
    };
    Ok(FromOnnx {
        compiled,
        data,
        float,
        accuracy,
    })
}

fn import(path: &Path) -> Result<FloatGraph, Error> {
    hallmark_onnx::import_file(path, ImportOptions::default())
        .map_err(|e| Error::at(path.display(), e))
}

fn elements(float: &FloatGraph) -> Vec<usize> {
    let inputs = float.inputs.iter();
    inputs.map(|i| i.shape.iter().product()).collect()
}

/// The samples kept for testing and their labels.
fn test_part(data: &Dataset) -> (Vec<&[f32]>, Option<Vec<u32>>) {
    let test = data.test_indices();
    let samples = test.iter().map(|i| data.samples[*i].as_slice()).collect();
    (samples, data.labels_of(&test))
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// What quantising did to the model, for people.
fn describe(report: &Report, accuracy: Option<&Accuracy>) -> String {
    let mut text = format!(
        "{} parameters, {} multiply-adds\nagainst float on {} samples: largest error {:.5} of a \
         range of {:.3}, mean {:.5}, same answer {:.2} %\n",
        report.params,
        report.macs,
        report.samples,
        report.max_error,
        report.output_range,
        report.mean_error,
        100.0 * report.top1_agreement,
    );
    if let Some(a) = accuracy {
        text.push_str(&format!(
            "accuracy on {} unseen labels: float {:.2} %, integer {:.2} %\n\
             perplexity, outputs as logits: float {:.4}, integer {:.4} ({:+.2} %)\n",
            a.samples,
            percent(a.float_correct, a.samples),
            percent(a.integer_correct, a.samples),
            a.float_perplexity,
            a.integer_perplexity,
            100.0 * a.perplexity_lost(),
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

pub(super) fn compile(
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

/// Files of a comparison on unseen samples.
pub(super) struct Unseen {
    pub(super) model: PathBuf,
    pub(super) calibrate: PathBuf,
    pub(super) test: Option<PathBuf>,
    pub(super) labels: Option<PathBuf>,
}

pub(super) fn accuracy(
    files: Unseen,
    options: &CompileOptions,
    report: &Reporter,
) -> Result<(), Error> {
    let spinner = report.spinner("importing and quantising");
    let float = import(&files.model)?;
    let calibration = read_dataset(&files.calibrate, &elements(&float))?;
    let compiled = hallmark_onnx::compile(&float, &calibration.calibration(), options)
        .map_err(|e| Error::at(files.model.display(), e))?;
    let test = files.test.as_deref().unwrap_or(&files.calibrate);
    let mut data = read_dataset(test, &elements(&float))?;
    if let Some(labels) = &files.labels {
        data = data.label(labels)?;
    }
    spinner.set_message("running the test samples");
    let (samples, labels) = test_part(&data);
    let labels = labels.ok_or_else(|| {
        Error::at(
            test.display(),
            "holds no labels; name a file of them by --labels",
        )
    })?;
    let accuracy = hallmark_onnx::accuracy(&float, &compiled.model, &samples, &labels)
        .map_err(|e| Error::at(test.display(), e))?;
    let against = compiled.compare(&float, &samples)?;
    spinner.finish_and_clear();
    report.result(
        describe(&against, Some(&accuracy)).trim_end(),
        &json!({
            "model": files.model, "bits": options.bits,
            "report": serde_json::to_value(&against)?,
            "accuracy": serde_json::to_value(accuracy)?,
            "points_lost": accuracy.points_lost(),
            "perplexity_lost": accuracy.perplexity_lost(),
        }),
    );
    Ok(())
}
