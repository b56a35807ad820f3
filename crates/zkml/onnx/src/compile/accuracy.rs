//! Right answers and likelihoods on labelled samples, of the float graph and of the integers.
//!
//! A sample has one label or several: its outputs are rows of equal length, one a label, and the
//! answer of a row is its largest element, ties to the lowest index. Perplexity reads a row as
//! logits: `exp(-mean(ln softmax(row)[label]))`.

use hallmark_engine::Prepared;
use hallmark_graph::Model;
use serde::Serialize;

use super::calibrate::check_samples;
use crate::CompileError;
use crate::float::FloatGraph;
use crate::scale::{dequantize, quantize};

/// Right answers and likelihoods on labelled samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Labels compared: one or several a sample.
    pub samples: usize,
    /// Right answers of the float graph.
    pub float_correct: usize,
    /// Right answers of the integer model.
    pub integer_correct: usize,
    /// Labels on which both answer alike.
    pub agree: usize,
    /// Perplexity of the float graph, its outputs taken as logits.
    pub float_perplexity: f64,
    /// Perplexity of the integer model.
    pub integer_perplexity: f64,
}

impl Accuracy {
    /// Points of a hundred that the integers answer right less often; negative where more often.
    #[must_use]
    pub fn points_lost(&self) -> f64 {
        let share = |correct: usize| 100.0 * correct as f64 / self.samples.max(1) as f64;
        share(self.float_correct) - share(self.integer_correct)
    }

    /// Share by which the perplexity grew.
    #[must_use]
    pub fn perplexity_lost(&self) -> f64 {
        self.integer_perplexity / self.float_perplexity - 1.0
    }
}

/// Compares both graphs on labelled samples; `labels` holds equally many for every sample, one
/// sample's after the other's.
///
/// # Errors
///
/// When a sample does not fit the model's input, or the labels do not fit its outputs.
pub fn accuracy(
    graph: &FloatGraph,
    model: &Model,
    samples: &[&[f32]],
    labels: &[u32],
) -> Result<Accuracy, CompileError> {
    check_samples(graph, samples)?;
    let outputs = model.graph.output_len();
    let rows = labels.len() / samples.len();
    if rows * samples.len() != labels.len() || rows == 0 || !outputs.is_multiple_of(rows) {
        return Err(CompileError::Labels {
            labels: labels.len(),
            samples: samples.len(),
            outputs,
        });
    }
    let classes = outputs / rows;
    if let Some(&label) = labels.iter().find(|&&label| label as usize >= classes) {
        return Err(CompileError::Label { label, classes });
    }
    let prepared = Prepared::new(model.clone())?;
    let mut result = Accuracy {
        samples: labels.len(),
        float_correct: 0,
        integer_correct: 0,
        agree: 0,
        float_perplexity: 0.0,
        integer_perplexity: 0.0,
    };
    for (sample, labels) in samples.iter().zip(labels.chunks_exact(rows)) {
        let float = graph.evaluate(sample);
        let input = quantize(&model.graph, sample)?;
        let integer = hallmark_engine::run(&prepared, &input)?;
        let integer = dequantize(&model.graph, &integer);
        let pairs = float
            .chunks_exact(classes)
            .zip(integer.chunks_exact(classes));
        for ((float, integer), &label) in pairs.zip(labels) {
            let label = label as usize;
            let (by_float, by_integer) = (argmax(float), argmax(integer));
            result.float_correct += usize::from(by_float == label);
            result.integer_correct += usize::from(by_integer == label);
            result.agree += usize::from(by_float == by_integer);
            result.float_perplexity += surprise(float, label);
            result.integer_perplexity += surprise(integer, label);
        }
    }
    let perplexity = |sum: f64| (sum / labels.len() as f64).exp();
    result.float_perplexity = perplexity(result.float_perplexity);
    result.integer_perplexity = perplexity(result.integer_perplexity);
    Ok(result)
}

/// `-ln softmax(row)[label]`.
fn surprise(row: &[f32], label: usize) -> f64 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&x| f64::from(x - most).exp()).sum();
    sum.ln() - f64::from(row[label] - most)
}

/// Index of the largest element, the lowest one on a tie.
pub(super) fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
