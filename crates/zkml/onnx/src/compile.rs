//! From real to exact: scales from calibration, int8 weights, requantisations that fit.
//!
//! # Rule
//!
//! A tensor `x` of reals is held as integers `q` with `x ≈ s_x q`. Weights are int8, symmetric,
//! one scale per column, and the multiplier `M_c` absorbs the ratio of scales exactly:
//!
//! ```text
//! y ≈ s_y T[(M_c (Σ q_x q_w + q_b) + 2^(s-1)) >> s]
//! s_w,c = M_c s_y / (s_x 2^s)        M_c = max(8, ceil(s_x max|w_c| 2^s / (127 s_y)))
//! ```
//!
//! so `M_c` adds no rounding of its own: it only makes the column's grid coarser, by at most
//! one part in `M_c`. The shift `s` starts at `max_shift` and rises while the largest multiplier
//! is below 16. The table's bits `t` are the fewest from 12 to 16 with
//! `|v| + 2^(s-1) < 2^(t-1+s)` for every input in range, `v` from the columns' L1 norms.
//!
//! Activations are int8 in `[-127, 127]`, Relu is the clamp `[0, 127]` of the requantisation
//! before it. The output's scale follows from the bound instead of from calibration, so that the
//! logits never saturate.

use hallmark_engine::Prepared;
use hallmark_graph::{
    Builder, CheckError, Input, LinearWeights, Model, Range, Scale, Shape, Table, ValueId, bounds,
};
use serde::Serialize;

use crate::scale::{dequantize, nearest, quantize, real};
use crate::{CompileError, FloatGraph, FloatNode, FloatOp};

/// Largest magnitude of int8 weights and activations; symmetric, so −128 is not used.
const LEVELS: f64 = 127.0;
/// Fewest index bits of a requantisation's table.
const MIN_TABLE_BITS: u8 = 12;
/// Most index bits of a requantisation's table.
const MAX_TABLE_BITS: u8 = 16;
/// `t + s` is at most this.
const WINDOW_BITS: u8 = hallmark_graph::MAX_WINDOW_BITS;
/// Smallest multiplier: a column's grid is coarser than int8 allows by at most an eighth.
const MIN_MULTIPLIER: f64 = 8.0;
/// The largest multiplier of a node is at least this where the bound allows, so that columns of
/// half its weights stay above the smallest.
const GOOD_MULTIPLIER: f64 = 16.0;
/// Most values per tensor that calibration keeps for a percentile.
const MAX_KEPT: usize = 1 << 20;

/// How the range of activations is taken from samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Calibration {
    /// The largest magnitude seen.
    MinMax,
    /// The magnitude that this share of the values, in percent, stays below.
    Percentile(f64),
}

/// Choices of a compilation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompileOptions {
    /// How activations' ranges are found.
    pub calibration: Calibration,
    /// Preferred shift of requantisations, 1 to 18: a proof pays for a table of `2^shift`.
    pub max_shift: u8,
    /// Index bits of the output's table, 12 to 16: the resolution of the logits.
    pub output_bits: u8,
    /// Real interval of the input; what calibration saw when absent.
    pub input_range: Option<(f32, f32)>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            calibration: Calibration::MinMax,
            max_shift: 12,
            output_bits: 12,
            input_range: None,
        }
    }
}

/// An integer model and what rounding cost it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The checked model.
    pub model: Model,
    /// Errors against the float graph on the calibration samples.
    pub report: Report,
}

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

/// A float value's place in the integer graph.
#[derive(Clone, Copy)]
struct Held {
    value: ValueId,
    scale: f64,
}

/// A requantisation that was emitted, for the report.
struct Emitted {
    /// The float value whose integer twin it is.
    float_value: usize,
    held: Held,
    layer: LayerReport,
}

/// Largest magnitude per float value, the input first, and the input's own samples.
struct Observed {
    magnitudes: Vec<f64>,
    input_grid: Option<Scale>,
    input: (f64, f64),
}

/// Compiles a float graph to an integer model.
///
/// # Errors
///
/// Samples of the wrong length or with numbers that are not finite, and nodes whose values fit
/// no requantisation; the node is named.
pub fn compile(
    graph: &FloatGraph,
    samples: &[&[f32]],
    options: &CompileOptions,
) -> Result<Compiled, CompileError> {
    check_options(options)?;
    check_samples(graph, samples)?;
    let observed = observe(graph, samples, options)?;
    let (input, scale) = declare_input(graph, &observed, options)?;
    let mut compiler = Compiler {
        graph,
        options,
        observed,
        builder: Builder::new(input),
        held: vec![Some(Held { value: 0, scale })],
        emitted: Vec::new(),
        output: wide_output(graph),
    };
    let model = compiler.run()?;
    let report = report(graph, &model, samples, compiler.emitted)?;
    Ok(Compiled { model, report })
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

fn check_options(options: &CompileOptions) -> Result<(), CompileError> {
    let refuse = |name, value, allowed| {
        Err(CompileError::Option {
            name,
            value,
            allowed,
        })
    };
    if !(1..=18).contains(&options.max_shift) {
        return refuse("max_shift", options.max_shift.into(), "1 to 18");
    }
    if !(MIN_TABLE_BITS..=MAX_TABLE_BITS).contains(&options.output_bits) {
        return refuse("output_bits", options.output_bits.into(), "12 to 16");
    }
    if let Calibration::Percentile(share) = options.calibration
        && !(50.0..=100.0).contains(&share)
    {
        return refuse("percentile", share, "50 to 100");
    }
    if let Some((lo, hi)) = options.input_range
        && !(lo.is_finite() && hi.is_finite() && lo < hi)
    {
        return refuse(
            "input_range",
            lo.into(),
            "finite numbers, the smaller first",
        );
    }
    Ok(())
}

fn check_samples(graph: &FloatGraph, samples: &[&[f32]]) -> Result<(), CompileError> {
    let expected = graph.input_len();
    if samples.is_empty() {
        return Err(CompileError::NoSamples);
    }
    for (index, sample) in samples.iter().enumerate() {
        if sample.len() != expected {
            return Err(CompileError::SampleLength {
                index,
                expected,
                actual: sample.len(),
            });
        }
        if let Some(element) = sample.iter().position(|x| !x.is_finite()) {
            return Err(CompileError::SampleValue {
                index,
                element,
                value: sample[element],
            });
        }
    }
    Ok(())
}

/// Runs the float graph over the samples and takes each value's magnitude.
fn observe(
    graph: &FloatGraph,
    samples: &[&[f32]],
    options: &CompileOptions,
) -> Result<Observed, CompileError> {
    let count = graph.nodes.len() + 1;
    let mut magnitudes = vec![0f64; count];
    let mut kept: Vec<Vec<f32>> = vec![Vec::new(); count];
    for (index, sample) in samples.iter().enumerate() {
        for (value, tensor) in graph.values(sample).iter().enumerate() {
            if !tensor.iter().all(|x| x.is_finite()) {
                return Err(CompileError::NotFinite {
                    index,
                    node: name(graph, value).to_owned(),
                });
            }
            let largest = tensor.iter().fold(0f32, |max, x| max.max(x.abs()));
            magnitudes[value] = magnitudes[value].max(largest.into());
            if matches!(options.calibration, Calibration::Percentile(_)) {
                let room = MAX_KEPT.saturating_sub(kept[value].len());
                kept[value].extend(tensor.iter().take(room).map(|x| x.abs()));
            }
        }
    }
    if let Calibration::Percentile(share) = options.calibration {
        for (magnitude, mut values) in magnitudes.iter_mut().zip(kept).skip(1) {
            values.sort_by(f32::total_cmp);
            let rank = (share / 100.0 * values.len() as f64).ceil() as usize;
            if let Some(&value) = values.get(rank.clamp(1, values.len()) - 1)
                && value > 0.0
            {
                *magnitude = value.into();
            }
        }
    }
    let all = || samples.iter().flat_map(|sample| sample.iter().copied());
    let lo = all().fold(f32::INFINITY, f32::min);
    let hi = all().fold(f32::NEG_INFINITY, f32::max);
    let (lo, hi) = options.input_range.unwrap_or((lo, hi));
    let grid = (0..=7u8).find(|&shift| {
        let step = 2f32.powi(shift.into());
        let on_grid = |x: f32| (x * step).fract() == 0.0 && (-127.0..=127.0).contains(&(x * step));
        all().chain([lo, hi]).all(on_grid)
    });
    Ok(Observed {
        magnitudes,
        input_grid: grid.map(|shift| Scale {
            multiplier: 1,
            shift,
        }),
        input: (lo.into(), hi.into()),
    })
}

/// The input as int8: exact when every sample lies on a grid of `2^-k`, rounded otherwise.
fn declare_input(
    graph: &FloatGraph,
    observed: &Observed,
    options: &CompileOptions,
) -> Result<(Input, f64), CompileError> {
    let (lo, hi) = observed.input;
    let refuse = || CompileError::Scale {
        node: graph.input_name.clone(),
        reason: "its samples are all zero or too large; give the input's range",
    };
    let largest = lo.abs().max(hi.abs());
    if largest == 0.0 {
        return Err(refuse());
    }
    let scale = match observed.input_grid {
        Some(scale) => scale,
        None => nearest(largest / LEVELS).ok_or_else(refuse)?,
    };
    let step = real(scale);
    let range = if observed.input_grid.is_some() || options.input_range.is_some() {
        Range {
            lo: (lo / step).round() as i32,
            hi: (hi / step).round() as i32,
        }
    } else {
        Range {
            lo: if lo < 0.0 { -127 } else { 0 },
            hi: 127,
        }
    };
    let input = Input {
        shape: shape(&graph.input_shape),
        range,
        scale,
    };
    Ok((input, step))
}

/// The node whose result, perhaps reshaped, is the output: it gets the wide table.
fn wide_output(graph: &FloatGraph) -> Option<usize> {
    let mut index = graph.nodes.len().checked_sub(1)?;
    loop {
        match graph.nodes[index].op {
            FloatOp::Reshape { input } | FloatOp::Relu { input }
                if input > 0 && readers(graph, input) == 1 =>
            {
                index = input - 1;
            }
            _ => return Some(index),
        }
    }
}

fn readers(graph: &FloatGraph, value: usize) -> usize {
    let operands = graph.nodes.iter().flat_map(|node| node.op.operands());
    operands.filter(|&operand| operand == value).count()
}

struct Compiler<'a> {
    graph: &'a FloatGraph,
    options: &'a CompileOptions,
    observed: Observed,
    builder: Builder,
    /// By float value; `None` for one that was fused into the next.
    held: Vec<Option<Held>>,
    emitted: Vec<Emitted>,
    output: Option<usize>,
}

impl Compiler<'_> {
    fn run(&mut self) -> Result<Model, CompileError> {
        let graph = self.graph;
        for (index, node) in graph.nodes.iter().enumerate() {
            // A Relu that was fused already holds its value.
            if self.held.len() > index + 1 {
                continue;
            }
            let held = match &node.op {
                FloatOp::Linear {
                    input,
                    weight,
                    bias,
                } => {
                    let relu = self.following_relu(index);
                    let held = self.linear(node, index, relu, *input, weight, bias)?;
                    self.hold_fused(relu, held);
                    continue;
                }
                FloatOp::Add { a, b } => {
                    let relu = self.following_relu(index);
                    let held = self.add(node, index, relu, *a, *b)?;
                    self.hold_fused(relu, held);
                    continue;
                }
                FloatOp::Relu { input } => self.relu(node, *input)?,
                FloatOp::Reshape { input } => {
                    let from = self.held(node, *input)?;
                    let value = self
                        .builder
                        .reshape(from.value, shape(&node.shape))
                        .map_err(|source| check_error(node, source))?;
                    Held { value, ..from }
                }
            };
            self.held.push(Some(held));
        }
        let Some(Some(last)) = self.held.last().copied() else {
            return Err(CompileError::Scale {
                node: self.graph.output_name.clone(),
                reason: "the output was not compiled",
            });
        };
        let refuse = || CompileError::Scale {
            node: self.graph.output_name.clone(),
            reason: "the output's scale is not representable",
        };
        let scale = nearest(last.scale).ok_or_else(refuse)?;
        self.builder
            .clone()
            .finish(scale)
            .map_err(|source| CompileError::Check {
                node: self.graph.output_name.clone(),
                source,
            })
    }

    fn held(&self, node: &FloatNode, value: usize) -> Result<Held, CompileError> {
        self.held
            .get(value)
            .copied()
            .flatten()
            .ok_or_else(|| CompileError::Scale {
                node: node.name.clone(),
                reason: "reads a value that was fused away",
            })
    }

    /// The next node when it is a Relu and alone reads this one's value.
    fn following_relu(&self, index: usize) -> Option<usize> {
        let value = index + 1;
        match self.graph.nodes.get(value)?.op {
            FloatOp::Relu { input } if input == value && readers(self.graph, value) == 1 => {
                Some(value)
            }
            _ => None,
        }
    }

    fn hold_fused(&mut self, relu: Option<usize>, held: Held) {
        if relu.is_some() {
            self.held.push(None);
        }
        self.held.push(Some(held));
    }

    /// The real magnitude of an int8 result, at least a hair above zero.
    fn activation_scale(&self, float_value: usize) -> f64 {
        let magnitude = self.observed.magnitudes[float_value];
        let floor = f64::from(f32::MIN_POSITIVE) * LEVELS;
        if magnitude > floor {
            magnitude / LEVELS
        } else {
            // A tensor that calibration saw as zero throughout.
            1.0 / LEVELS
        }
    }

    fn linear(
        &mut self,
        node: &FloatNode,
        index: usize,
        relu: Option<usize>,
        input: usize,
        weight: &[f32],
        bias: &[f32],
    ) -> Result<Held, CompileError> {
        let from = self.held(node, input)?;
        let range = self.range(node, from.value)?;
        let columns = Columns::new(weight, bias, from.scale);
        let float_value = relu.unwrap_or(index) + 1;
        let wide = self.output == Some(index);
        let mut worst = 0;
        for bits in self.table_bits(wide) {
            let scale = match wide {
                true => columns.worst(range) * 1.02 / (half_window(bits) - 1.0),
                false => self.activation_scale(float_value),
            };
            if scale <= 0.0 {
                return Err(CompileError::Scale {
                    node: node.name.clone(),
                    reason: "weights and biases are all zero",
                });
            }
            let Some((shift, weights)) = columns.quantize(scale, self.shifts(bits)) else {
                continue;
            };
            let reached = bounds::linear(range, &weights, bias.len());
            let fits = reached.is_some_and(|range| bounds::requant_fits(range, shift, bits));
            if !fits {
                worst = reached.map_or(i64::MAX, magnitude).max(worst);
                continue;
            }
            let multipliers = min_max(weights.m.iter().map(|&m| i32::from(m)));
            let value = self
                .builder
                .linear(from.value, weights)
                .map_err(|source| check_error(node, source))?;
            let fused = Fused {
                float_value,
                wide,
                relu: relu.is_some(),
                bits,
                shift,
                multipliers,
                scale,
            };
            return self.requant(node, value, &fused);
        }
        Err(CompileError::Bound {
            node: node.name.clone(),
            magnitude: worst,
        })
    }

    fn add(
        &mut self,
        node: &FloatNode,
        index: usize,
        relu: Option<usize>,
        a: usize,
        b: usize,
    ) -> Result<Held, CompileError> {
        let (held_a, held_b) = (self.held(node, a)?, self.held(node, b)?);
        let (range_a, range_b) = (
            self.range(node, held_a.value)?,
            self.range(node, held_b.value)?,
        );
        let float_value = relu.unwrap_or(index) + 1;
        let wide = self.output == Some(index);
        let worst_sum =
            held_a.scale * magnitude(range_a) as f64 + held_b.scale * magnitude(range_b) as f64;
        let mut worst = 0;
        for bits in self.table_bits(wide) {
            let scale = match wide {
                true => worst_sum * 1.02 / (half_window(bits) - 1.0),
                false => self.activation_scale(float_value),
            };
            let ratios = (held_a.scale / scale, held_b.scale / scale);
            let largest = ratios.0.max(ratios.1);
            let fitting = |shift: &u8| (largest * exp2(*shift)).round() < multiplier_limit();
            let Some(shift) = (0..=WINDOW_BITS - bits).rev().find(fitting) else {
                continue;
            };
            let multiplier = |ratio: f64| ((ratio * exp2(shift)).round() as i32).max(1);
            let (m_a, m_b) = (multiplier(ratios.0), multiplier(ratios.1));
            let reached = bounds::add(range_a, m_a, range_b, m_b);
            let fits = reached.is_some_and(|range| bounds::requant_fits(range, shift, bits));
            if !fits {
                worst = reached.map_or(i64::MAX, magnitude).max(worst);
                continue;
            }
            let value = self
                .builder
                .add((held_a.value, m_a), (held_b.value, m_b))
                .map_err(|source| check_error(node, source))?;
            let fused = Fused {
                float_value,
                wide,
                relu: relu.is_some(),
                bits,
                shift,
                multipliers: (m_a.min(m_b), m_a.max(m_b)),
                scale,
            };
            return self.requant(node, value, &fused);
        }
        Err(CompileError::Bound {
            node: node.name.clone(),
            magnitude: worst,
        })
    }

    /// A Relu that could not be fused: a clamp of the same integers.
    fn relu(&mut self, node: &FloatNode, input: usize) -> Result<Held, CompileError> {
        let from = self.held(node, input)?;
        let range = self.range(node, from.value)?;
        let bits = (8..=MAX_TABLE_BITS)
            .find(|&bits| bounds::requant_fits(range, 0, bits))
            .ok_or_else(|| CompileError::Bound {
                node: node.name.clone(),
                magnitude: magnitude(range),
            })?;
        let table = Table::Clamp {
            bits,
            lo: 0,
            hi: half_window(bits) as i32 - 1,
        };
        let value = self
            .builder
            .requant(from.value, 0, table)
            .map_err(|source| check_error(node, source))?;
        Ok(Held { value, ..from })
    }

    fn requant(
        &mut self,
        node: &FloatNode,
        value: ValueId,
        fused: &Fused,
    ) -> Result<Held, CompileError> {
        let hi = match fused.wide {
            true => half_window(fused.bits) as i32 - 1,
            false => LEVELS as i32,
        };
        let table = Table::Clamp {
            bits: fused.bits,
            lo: match (fused.relu, fused.wide) {
                (true, _) => 0,
                (false, true) => -hi - 1,
                (false, false) => -hi,
            },
            hi,
        };
        let range = self.range(node, value)?;
        let result = self
            .builder
            .requant(value, fused.shift, table)
            .map_err(|source| check_error(node, source))?;
        let held = Held {
            value: result,
            scale: fused.scale,
        };
        let window = half_window(fused.bits) * exp2(fused.shift);
        self.emitted.push(Emitted {
            float_value: fused.float_value,
            held,
            layer: LayerReport {
                name: node.name.clone(),
                table_bits: fused.bits,
                shift: fused.shift,
                multiplier_min: fused.multipliers.0,
                multiplier_max: fused.multipliers.1,
                window_used: magnitude(range) as f64 / window,
                snr_db: 0.0,
            },
        });
        Ok(held)
    }

    fn range(&self, node: &FloatNode, value: ValueId) -> Result<Range, CompileError> {
        let operand = CheckError::Operand {
            node: self.builder.graph().nodes.len(),
            operand: value,
        };
        self.builder
            .graph()
            .range(value)
            .ok_or_else(|| check_error(node, operand))
    }

    fn table_bits(&self, wide: bool) -> std::ops::RangeInclusive<u8> {
        match wide {
            true => self.options.output_bits..=MAX_TABLE_BITS,
            false => MIN_TABLE_BITS..=MAX_TABLE_BITS,
        }
    }

    /// Preferred and largest shift with a table of `bits`.
    fn shifts(&self, bits: u8) -> (u8, u8) {
        let most = WINDOW_BITS - bits;
        (self.options.max_shift.min(most), most)
    }
}

/// What a requantisation finishes.
struct Fused {
    float_value: usize,
    wide: bool,
    relu: bool,
    bits: u8,
    shift: u8,
    multipliers: (i32, i32),
    scale: f64,
}

/// The columns of a float weight with the scale of their operand.
struct Columns<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    input_scale: f64,
    /// Largest magnitude per column.
    largest: Vec<f64>,
}

impl<'a> Columns<'a> {
    fn new(weight: &'a [f32], bias: &'a [f32], input_scale: f64) -> Self {
        let mut largest = vec![0f64; bias.len()];
        for row in weight.chunks_exact(bias.len()) {
            for (largest, &w) in largest.iter_mut().zip(row) {
                *largest = largest.max(f64::from(w).abs());
            }
        }
        Self {
            weight,
            bias,
            input_scale,
            largest,
        }
    }

    /// Largest real magnitude of a result over operands in `range`.
    fn worst(&self, range: Range) -> f64 {
        let lo = f64::from(range.lo) * self.input_scale;
        let hi = f64::from(range.hi) * self.input_scale;
        let mut sums: Vec<(f64, f64)> = self
            .bias
            .iter()
            .map(|&b| (f64::from(b), f64::from(b)))
            .collect();
        for row in self.weight.chunks_exact(self.bias.len()) {
            for (sum, &w) in sums.iter_mut().zip(row) {
                let (a, b) = (f64::from(w) * lo, f64::from(w) * hi);
                sum.0 += a.min(b);
                sum.1 += a.max(b);
            }
        }
        let magnitude = |(lo, hi): &(f64, f64)| lo.abs().max(hi.abs());
        sums.iter().map(magnitude).fold(0.0, f64::max)
    }

    /// Integer columns for results of `output_scale`, and the shift; `None` when multipliers or
    /// biases do not fit.
    fn quantize(
        &self,
        output_scale: f64,
        (preferred, most): (u8, u8),
    ) -> Option<(u8, LinearWeights)> {
        let ratio = |largest: f64| self.input_scale * largest / (LEVELS * output_scale);
        let top = ratio(self.largest.iter().copied().fold(0.0, f64::max));
        let mut shift = preferred;
        while top * exp2(shift) < GOOD_MULTIPLIER && shift < most {
            shift += 1;
        }
        while (top * exp2(shift)).ceil() >= multiplier_limit() {
            shift = shift.checked_sub(1)?;
        }
        let multipliers: Vec<f64> = self
            .largest
            .iter()
            .map(|&largest| (ratio(largest) * exp2(shift)).ceil().max(MIN_MULTIPLIER))
            .collect();
        let steps: Vec<f64> = multipliers
            .iter()
            .map(|m| m * output_scale / (self.input_scale * exp2(shift)))
            .collect();
        let mut w = Vec::with_capacity(self.weight.len());
        for row in self.weight.chunks_exact(self.bias.len()) {
            let quantized = row.iter().zip(&steps);
            w.extend(
                quantized
                    .map(|(&w, step)| (f64::from(w) / step).round().clamp(-LEVELS, LEVELS) as i8),
            );
        }
        let limit = f64::from(i32::MAX);
        let b: Option<Vec<i32>> = self
            .bias
            .iter()
            .zip(&steps)
            .map(|(&b, step)| {
                let value = (f64::from(b) / (step * self.input_scale)).round();
                (value.abs() <= limit).then_some(value as i32)
            })
            .collect();
        let m = multipliers.iter().map(|&m| m as u16).collect();
        Some((shift, LinearWeights { w, b: b?, m }))
    }
}

/// Compares both graphs on the samples.
fn report(
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

fn name(graph: &FloatGraph, value: usize) -> &str {
    match value.checked_sub(1).and_then(|node| graph.nodes.get(node)) {
        Some(node) => &node.name,
        None => &graph.input_name,
    }
}

fn check_error(node: &FloatNode, source: CheckError) -> CompileError {
    CompileError::Check {
        node: node.name.clone(),
        source,
    }
}

fn shape(dims: &[usize]) -> Shape {
    // The importer bounds every dimension far below u32.
    Shape(
        dims.iter()
            .map(|&dim| u32::try_from(dim).unwrap_or(u32::MAX))
            .collect(),
    )
}

fn magnitude(range: Range) -> i64 {
    i64::from(range.lo).abs().max(i64::from(range.hi).abs())
}

fn min_max(values: impl Iterator<Item = i32>) -> (i32, i32) {
    values.fold((i32::MAX, i32::MIN), |(lo, hi), value| {
        (lo.min(value), hi.max(value))
    })
}

fn exp2(exponent: u8) -> f64 {
    2f64.powi(exponent.into())
}

fn half_window(bits: u8) -> f64 {
    exp2(bits - 1)
}

fn multiplier_limit() -> f64 {
    f64::from(hallmark_graph::MAX_MULTIPLIER)
}
