//! How far the integer model is from the float graph.

use hallmark_engine::Prepared;
use hallmark_graph::{Graph, Model, Op, Table, ValueId};
use serde::Serialize;

use super::accuracy::argmax;
use super::calibrate::check_samples;
use super::{Compiled, Held};
use crate::CompileError;
use crate::float::{FloatGraph, FloatOp};
use crate::scale::{dequantize, real};

/// How far the integer model is from the float graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Samples compared.
    pub samples: usize,
    /// Largest difference of an output element.
    pub max_error: f64,
    /// Mean difference of an output element.
    pub mean_error: f64,
    /// Largest minus smallest output element of the float graph.
    pub output_range: f64,
    /// Share of the output's rows (its last axis; all outputs together where there are several)
    /// whose largest element is at the same place, ties to the lowest index.
    pub top1_agreement: f64,
    /// Power of the float outputs over the power of the difference, in decibels.
    pub snr_db: f64,
    /// Elements of all constants.
    pub params: u64,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// Look-ups that a proof of one run makes: elements of every `Lookup` and `Shift`, twice where
    /// a remainder is looked up too.
    pub lookups: u64,
    /// Entries of all different tables together.
    pub table_rows: u64,
    /// Name of the node whose result lost most, if any lost something.
    pub worst: Option<String>,
    /// One entry per node that rounds.
    pub layers: Vec<LayerReport>,
}

/// One float node and its integers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Name of the ONNX node.
    pub name: String,
    /// Its operator.
    pub source: String,
    /// Largest magnitude that its integers can reach.
    pub reach: u32,
    /// Real value of one integer step.
    pub scale: f64,
    /// Power of the float tensor over the power of the difference, in decibels.
    pub snr_db: f64,
}

/// Powers of a signal and of its noise.
#[derive(Clone, Copy, Default)]
struct Power {
    signal: f64,
    noise: f64,
}

impl Power {
    fn add(&mut self, float: f64, integer: f64) {
        self.signal += float * float;
        self.noise += (float - integer).powi(2);
    }

    /// Finite, so that a report is valid JSON.
    fn decibels(self) -> f64 {
        if self.noise == 0.0 {
            return 200.0;
        }
        let ratio = self.signal.max(f64::MIN_POSITIVE) / self.noise.max(f64::MIN_POSITIVE);
        (10.0 * ratio.log10()).clamp(-200.0, 200.0)
    }
}

impl Compiled {
    /// Compares the integer model with its float graph on other samples than calibration's; what
    /// lies outside the declared range is saturated.
    ///
    /// # Errors
    ///
    /// Samples of the wrong length or with numbers that are not finite.
    pub fn compare(&self, graph: &FloatGraph, samples: &[&[f32]]) -> Result<Report, CompileError> {
        check_samples(graph, samples)?;
        report(graph, &self.model, samples, &self.traced)
    }
}

/// Compares both graphs on the samples.
pub(super) fn report(
    graph: &FloatGraph,
    model: &Model,
    samples: &[&[f32]],
    layers: &[Traced],
) -> Result<Report, CompileError> {
    let prepared = Prepared::new(model.clone())?;
    let mut powers = vec![Power::default(); layers.len()];
    let mut output = Power::default();
    let (mut max_error, mut sum_error) = (0f64, 0f64);
    let (mut agree, mut rows) = (0usize, 0usize);
    let classes = classes(graph);
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for sample in samples {
        let values = graph.values(sample);
        let input = saturated(&model.graph, sample);
        let trace = hallmark_engine::trace(&prepared, &input)?;
        for (power, layer) in powers.iter_mut().zip(layers) {
            let integers = &trace.values[layer.value as usize];
            for (&x, &q) in values[layer.float].iter().zip(integers) {
                power.add(f64::from(x), f64::from(q) * layer.scale);
            }
        }
        let float: Vec<f32> = graph
            .outputs
            .iter()
            .flat_map(|output| values[output.value].iter().copied())
            .collect();
        let integers = dequantize(&model.graph, &model.graph.join_output(&trace.values));
        for (&x, &y) in float.iter().zip(&integers) {
            let (x, y) = (f64::from(x), f64::from(y));
            let error = (x - y).abs();
            max_error = max_error.max(error);
            sum_error += error;
            output.add(x, y);
            least = least.min(x);
            most = most.max(x);
        }
        for (x, y) in float.chunks(classes).zip(integers.chunks(classes)) {
            agree += usize::from(argmax(x) == argmax(y));
            rows += 1;
        }
    }
    let layers: Vec<LayerReport> = layers
        .iter()
        .zip(powers)
        .map(|(layer, power)| LayerReport {
            name: graph.nodes[layer.float - graph.inputs.len()].name.clone(),
            source: graph.nodes[layer.float - graph.inputs.len()].source.clone(),
            reach: model
                .graph
                .range(layer.value)
                .map_or(0, |range| range.magnitude()),
            scale: layer.scale,
            snr_db: power.decibels(),
        })
        .collect();
    let worst = layers
        .iter()
        .filter(|layer| layer.snr_db < 200.0)
        .min_by(|a, b| a.snr_db.total_cmp(&b.snr_db))
        .map(|layer| layer.name.clone());
    let compared = (samples.len() * model.graph.output_len()).max(1);
    Ok(Report {
        samples: samples.len(),
        max_error,
        mean_error: sum_error / compared as f64,
        output_range: most - least,
        top1_agreement: agree as f64 / rows.max(1) as f64,
        snr_db: output.decibels(),
        params: model.graph.params(),
        macs: model.graph.macs(),
        lookups: lookups(&model.graph),
        table_rows: table_rows(&model.graph),
        worst,
        layers,
    })
}

/// Elements that compete for the largest: the last axis of the only output.
fn classes(graph: &FloatGraph) -> usize {
    let elements = |value: usize| graph.shape(value).iter().product::<usize>();
    let last = match &graph.outputs[..] {
        [output] => graph.shape(output.value).last().copied(),
        _ => None,
    };
    let all: usize = graph.outputs.iter().map(|o| elements(o.value)).sum();
    last.filter(|&last| last > 1).unwrap_or(all).max(1)
}

/// A float value that is an integer value of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traced {
    float: usize,
    value: ValueId,
    scale: f64,
}

/// The first hold of every value that is in the model, changes of shape apart.
pub(super) fn traced(
    graph: &FloatGraph,
    map: &[Option<ValueId>],
    held: &[Vec<Held>],
) -> Vec<Traced> {
    let inputs = graph.inputs.len();
    let mut layers = Vec::new();
    for (node, float) in graph.nodes.iter().enumerate() {
        if matches!(
            float.op,
            FloatOp::View { .. } | FloatOp::Reshape { .. } | FloatOp::Constant { .. }
        ) {
            continue;
        }
        let own = held.get(inputs + node).into_iter().flatten();
        let found = own.filter_map(|held| {
            let value = map.get(held.value as usize).copied().flatten()?;
            Some(Traced {
                float: inputs + node,
                value,
                scale: held.scale,
            })
        });
        layers.extend(found.take(1));
    }
    layers
}

fn lookups(graph: &Graph) -> u64 {
    graph.nodes.iter().fold(0, |sum, node| {
        let each = match node.op {
            Op::Lookup { shift: 0, .. } => 1,
            Op::Lookup { .. } | Op::Shift { .. } => 2,
            _ => 0,
        };
        sum + each * node.shape.elements() as u64
    })
}

fn table_rows(graph: &Graph) -> u64 {
    let mut tables: Vec<Table> = Vec::new();
    for node in &graph.nodes {
        if let Op::Lookup { table, .. } = node.op
            && !tables.contains(&table)
        {
            tables.push(table);
        }
    }
    tables.iter().map(|table| table.len() as u64).sum()
}

/// A calibration sample as an input; saturated, because a given range may be narrower.
fn saturated(graph: &Graph, sample: &[f32]) -> Vec<i32> {
    let mut rest = sample;
    let mut integers = Vec::with_capacity(sample.len());
    for input in &graph.inputs {
        let (own, after) = rest.split_at(input.shape.elements().min(rest.len()));
        rest = after;
        let step = real(input.scale);
        let (lo, hi) = (f64::from(input.range.lo), f64::from(input.range.hi));
        integers.extend(
            own.iter()
                .map(|&x| (f64::from(x) / step).round().clamp(lo, hi) as i32),
        );
    }
    integers
}
