//! How far the integer model is from the float graph.

use hallmark_engine::Prepared;
use hallmark_graph::{Input, Model};
use serde::Serialize;

use super::Held;
use super::calibrate::check_samples;
use crate::scale::{dequantize, quantize, real};
use crate::{CompileError, FloatGraph};

/// How far the integer model is from the float graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Samples compared.
    pub samples: usize,
    /// Largest difference of an output element.
    pub max_error: f64,
    /// Mean difference of an output element.
    pub mean_error: f64,
    /// Share of samples whose largest output is the same, ties to the lowest index.
    pub top1_agreement: f64,
    /// Weights and biases.
    pub params: u64,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// One entry per requantisation.
    pub layers: Vec<LayerReport>,
}

/// One requantisation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Name of the ONNX node.
    pub name: String,
    /// Index bits `t` of its table.
    pub table_bits: u8,
    /// Its shift `s`.
    pub shift: u8,
    /// Smallest multiplier of its columns.
    pub multiplier_min: i32,
    /// Largest multiplier of its columns.
    pub multiplier_max: i32,
    /// Largest magnitude that its sums can reach, as a share of what the table admits.
    pub window_used: f64,
    /// Power of the float tensor over the power of the difference, in decibels.
    pub snr_db: f64,
}

/// Right answers on labelled samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Accuracy {
    /// Samples with a label.
    pub samples: usize,
    /// Right answers of the float graph.
    pub float_correct: usize,
    /// Right answers of the integer model.
    pub integer_correct: usize,
    /// Samples on which both answer alike.
    pub agree: usize,
}

/// A requantisation that was emitted, for the report.
pub(super) struct Emitted {
    /// The float value whose integer twin it is.
    pub(super) float_value: usize,
    pub(super) held: Held,
    pub(super) layer: LayerReport,
}

/// Counts right answers of both graphs on labelled samples.
///
/// # Errors
///
/// When a sample does not fit the model's input.
pub fn accuracy(
    graph: &FloatGraph,
    model: &Model,
    samples: &[&[f32]],
    labels: &[u32],
) -> Result<Accuracy, CompileError> {
    check_samples(graph, samples)?;
    let prepared = Prepared::new(model.clone())?;
    let mut result = Accuracy {
        samples: samples.len().min(labels.len()),
        float_correct: 0,
        integer_correct: 0,
        agree: 0,
    };
    for (sample, &label) in samples.iter().zip(labels) {
        let float = argmax(&graph.evaluate(sample));
        let input = quantize(&model.graph.input, sample)?;
        let integer = argmax(&hallmark_engine::run(&prepared, &input)?);
        result.float_correct += usize::from(float == label as usize);
        result.integer_correct += usize::from(integer == label as usize);
        result.agree += usize::from(float == integer);
    }
    Ok(result)
}

/// Compares both graphs on the samples.
pub(super) fn report(
    graph: &FloatGraph,
    model: &Model,
    samples: &[&[f32]],
    mut emitted: Vec<Emitted>,
) -> Result<Report, CompileError> {
    let prepared = Prepared::new(model.clone())?;
    let mut powers = vec![(0f64, 0f64); emitted.len()];
    let (mut max_error, mut sum_error, mut agree) = (0f64, 0f64, 0usize);
    for sample in samples {
        let values = graph.values(sample);
        let input = clamp_to_range(&model.graph.input, sample);
        let trace = hallmark_engine::trace(&prepared, &input)?;
        for (power, layer) in powers.iter_mut().zip(&emitted) {
            let integers = &trace.values[layer.held.value as usize];
            for (&x, &q) in values[layer.float_value].iter().zip(integers) {
                let error = f64::from(x) - f64::from(q) * layer.held.scale;
                power.0 += f64::from(x) * f64::from(x);
                power.1 += error * error;
            }
        }
        let (Some(float), Some(integers)) = (values.last(), trace.values.last()) else {
            continue;
        };
        for (&x, y) in float.iter().zip(dequantize(&model.graph, integers)) {
            let error = (f64::from(x) - f64::from(y)).abs();
            max_error = max_error.max(error);
            sum_error += error;
        }
        agree += usize::from(argmax(float) == argmax(integers));
    }
    for (layer, (signal, noise)) in emitted.iter_mut().zip(powers) {
        // An exact layer has no noise; a finite number keeps the report valid JSON.
        let ratio = signal.max(f64::MIN_POSITIVE) / noise.max(f64::MIN_POSITIVE);
        layer.layer.snr_db = (10.0 * ratio.log10()).clamp(-200.0, 200.0);
    }
    let compared = samples.len() * model.graph.output_len();
    Ok(Report {
        samples: samples.len(),
        max_error,
        mean_error: sum_error / compared as f64,
        top1_agreement: agree as f64 / samples.len() as f64,
        params: model.graph.params(),
        macs: model.graph.macs(),
        layers: emitted.into_iter().map(|emitted| emitted.layer).collect(),
    })
}

/// A calibration sample as an input; saturated, because a given range may be narrower.
fn clamp_to_range(input: &Input, sample: &[f32]) -> Vec<i32> {
    let step = real(input.scale);
    let (lo, hi) = (f64::from(input.range.lo), f64::from(input.range.hi));
    let integer = |&x: &f32| (f64::from(x) / step).round().clamp(lo, hi) as i32;
    sample.iter().map(integer).collect()
}

/// Index of the largest element, the lowest one on a tie.
fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
