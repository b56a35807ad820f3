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

mod calibrate;
mod columns;
mod report;

use calibrate::{Observed, check_samples, declare_input, observe};
use columns::Columns;
pub use report::{Accuracy, LayerReport, Report, accuracy};
use report::{Emitted, report};

use hallmark_graph::{Builder, CheckError, Model, Range, Shape, Table, ValueId, bounds};

use crate::scale::nearest;
use crate::{CompileError, FloatGraph, FloatNode, FloatOp};

/// Largest magnitude of int8 weights and activations; symmetric, so −128 is not used.
const LEVELS: f64 = 127.0;
/// Fewest index bits of a requantisation's table.
const MIN_TABLE_BITS: u8 = 12;
/// Most index bits of a requantisation's table.
const MAX_TABLE_BITS: u8 = 16;
/// `t + s` is at most this.
const WINDOW_BITS: u8 = hallmark_graph::MAX_WINDOW_BITS;

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

/// A float value's place in the integer graph.
#[derive(Clone, Copy)]
struct Held {
    value: ValueId,
    scale: f64,
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
        Err(no_table(node, worst))
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
        Err(no_table(node, worst))
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

/// No table serves the node: its sums are too large, or there was no integer form to sum.
fn no_table(node: &FloatNode, magnitude: i64) -> CompileError {
    let node = node.name.clone();
    match magnitude {
        0 => CompileError::Scale {
            node,
            reason: "its weights, biases and results differ too far in scale",
        },
        _ => CompileError::Bound { node, magnitude },
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
