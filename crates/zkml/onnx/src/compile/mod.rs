//! From real to exact: every float value becomes integers with a scale, in nine operators.
//!
//! # Rule
//!
//! A float value `x` is *held* as integers `q` with `x ≈ s·q`. Linear operators act on holds of any
//! width and keep their sums exact; a hold that grew *wide* is narrowed when an operator needs a
//! narrow operand, once per value and width, by one `Lookup`:
//!
//! ```text
//! y = clamp((M·q + 2^(k-1)) >> k)        s_y = s·2^k / M, exactly
//! ```
//!
//! `M` and `k` are chosen so that the calibrated magnitude meets the wanted number of levels; the
//! scale follows from them, so narrowing rounds once and never distorts. Relu and Clip are the
//! clamp of that lookup, any other pointwise function is its table. A value that can grow past the
//! window of a table is first clamped by limbs (`narrow.rs`).
//!
//! Weights are int8 with an integer multiplier per column (`linear.rs`); whole numbers that an
//! integer input or a comparison gives stay exact with scale 1. With `bits = 16`, operands have 15
//! bits and enter products as two limbs.

mod accuracy;
mod calibrate;
mod combine;
mod economy;
mod emit;
mod linear;
mod narrow;
mod pointwise;
mod recipes;
mod report;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use accuracy::{Accuracy, accuracy};
use calibrate::{Observed, check_samples, observe};
use hallmark_graph::{Builder, Input, Model, Range, ValueId};
pub use report::{LayerReport, Report};

use crate::CompileError;
use crate::float::{FloatGraph, FloatOp};
use crate::scale::{nearest, real};

/// How the range of activations is taken from samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Calibration {
    /// The largest magnitude seen.
    MinMax,
    /// The magnitude that this share of the values, in percent, stays below.
    Percentile(f64),
    /// The magnitude that gives the least mean square error of 127 levels.
    MeanSquare,
}

/// Choices of a compilation.
#[derive(Clone, Debug, PartialEq)]
pub struct CompileOptions {
    /// How activations' ranges are found.
    pub calibration: Calibration,
    /// 8: operands of products are int8. 16: they have 15 bits, for outputs within a thousandth.
    pub bits: u8,
    /// Preferred shift of requantisations, 1 to 18: a proof pays for a table of `2^shift`.
    pub max_shift: u8,
    /// Real interval of every input that is no integer; what calibration saw when absent.
    pub input_range: Option<(f32, f32)>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            calibration: Calibration::MinMax,
            bits: 8,
            max_shift: 12,
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
    /// Where float values are in the model.
    traced: Vec<report::Traced>,
}

/// A float value's place in the integer graph: `real ≈ scale·integer`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    value: ValueId,
    scale: f64,
    /// The integers are the real numbers: scale 1, nothing was rounded.
    exact: bool,
}

/// Compiles a float graph to an integer model.
///
/// # Errors
///
/// Options out of range, samples of the wrong length or with numbers that are not finite, and
/// nodes that no integer form serves; the node is named.
pub fn compile(
    graph: &FloatGraph,
    samples: &[&[f32]],
    options: &CompileOptions,
) -> Result<Compiled, CompileError> {
    check_options(options)?;
    check_samples(graph, samples)?;
    let observed = observe(graph, samples, options)?;
    let mut compiler = Compiler::new(graph, options, observed)?;
    for node in 0..graph.nodes.len() {
        compiler.node(node)?;
    }
    compiler.outputs()?;
    let (model, map, held) = compiler.finish()?;
    let traced = report::traced(graph, &map, &held);
    let report = report::report(graph, &model, samples, &traced)?;
    Ok(Compiled {
        model,
        report,
        traced,
    })
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
    if ![8, 16].contains(&options.bits) {
        return refuse("bits", options.bits.into(), "8 and 16");
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

struct Compiler<'a> {
    graph: &'a FloatGraph,
    options: &'a CompileOptions,
    observed: Observed,
    builder: Builder,
    /// By float value; `None` for a constant, which its readers round as they need it.
    held: Vec<Option<Held>>,
    /// Narrowed holds by float value and levels.
    narrowed: BTreeMap<(usize, u32), Held>,
    /// Rounded constants by float value and bits of the scale.
    constants: BTreeMap<(usize, u64), ValueId>,
    /// High limbs by value.
    limbs: BTreeMap<(ValueId, u8), (ValueId, ValueId)>,
    readers: Vec<Vec<usize>>,
    is_output: Vec<bool>,
    /// Values below which a `Softmax` sees nothing, by float value.
    floors: Vec<Option<f64>>,
    /// The node at work.
    current: usize,
}

impl<'a> Compiler<'a> {
    fn new(
        graph: &'a FloatGraph,
        options: &'a CompileOptions,
        observed: Observed,
    ) -> Result<Self, CompileError> {
        let count = graph.inputs.len() + graph.nodes.len();
        let mut readers = vec![Vec::new(); count];
        for (node, float) in graph.nodes.iter().enumerate() {
            for operand in float.op.operands() {
                readers[operand].push(node);
            }
        }
        let mut is_output = vec![false; count];
        for output in &graph.outputs {
            is_output[output.value] = true;
        }
        let mut compiler = Self {
            graph,
            options,
            observed,
            builder: Builder::new(Vec::new()),
            held: Vec::new(),
            narrowed: BTreeMap::new(),
            constants: BTreeMap::new(),
            limbs: BTreeMap::new(),
            readers,
            is_output,
            floors: vec![None; count],
            current: 0,
        };
        compiler.find_floors();
        for value in 0..count {
            // An infinity may only be what a mask puts below a floor.
            let constant = compiler.observed.constants[value].is_some();
            if let Some(index) = compiler.observed.infinite[value]
                && compiler.floors[value].is_none()
                && (!constant || compiler.is_output[value])
            {
                return Err(calibrate::not_finite(graph, index, value));
            }
        }
        let mut inputs = Vec::new();
        for index in 0..graph.inputs.len() {
            let (input, held) = compiler.declare(index)?;
            inputs.push(input);
            compiler.held.push(Some(held));
        }
        compiler.builder = Builder::new(inputs);
        Ok(compiler)
    }

    /// The declaration of one input: exact where its samples lie on a grid, rounded otherwise.
    fn declare(&self, index: usize) -> Result<(Input, Held), CompileError> {
        let float = &self.graph.inputs[index];
        let value = ValueId::try_from(index).unwrap_or(ValueId::MAX);
        let refuse = |reason: &str| CompileError::Scale {
            node: float.name.clone(),
            reason: reason.to_owned(),
        };
        let (mut lo, mut hi) = self.observed.interval[index];
        let shape = emit::shape(&float.shape);
        if float.integer {
            for &reader in &self.readers[index] {
                if let FloatOp::OneHot { depth, .. } = self.graph.nodes[reader].op {
                    hi = hi.max(f64::from(depth) - 1.0);
                }
            }
            let limit = f64::from(hallmark_graph::MAX_MAGNITUDE - 1);
            if lo < -limit || hi > limit {
                return Err(refuse("its whole numbers reach 2^29"));
            }
            let range = Range {
                lo: lo.min(0.0) as i32,
                hi: hi.max(1.0) as i32,
            };
            let scale = nearest(1.0).ok_or_else(|| refuse("has no scale"))?;
            let input = Input {
                shape,
                range,
                scale,
            };
            return Ok((
                input,
                Held {
                    value,
                    scale: 1.0,
                    exact: true,
                },
            ));
        }
        if let Some((given_lo, given_hi)) = self.options.input_range {
            (lo, hi) = (given_lo.into(), given_hi.into());
        }
        let largest = lo.abs().max(hi.abs());
        let on_grid = |shift: i32| {
            let step = 2f64.powi(shift);
            let fits = |x: f64| (x * step).fract() == 0.0 && (x * step).abs() <= 127.0;
            let sampled = self.observed.grids[index].is_some_and(|grid| grid <= shift);
            sampled && fits(lo) && fits(hi)
        };
        let levels = f64::from(self.levels(index));
        let scale = match (0..=7).find(|&shift| largest > 0.0 && on_grid(shift)) {
            Some(shift) => nearest(2f64.powi(-shift)),
            None if largest == 0.0 => nearest(1.0 / levels),
            None => nearest(largest / levels),
        };
        let scale = scale
            .filter(|&scale| largest == 0.0 || largest / real(scale) >= 1.0)
            .ok_or_else(|| refuse("its samples are too large or too small for a scale"))?;
        let step = real(scale);
        let end = |x: f64| (x / step).round() as i32;
        let whole = if largest == 0.0 {
            levels as i32
        } else {
            end(largest)
        };
        let exact = step == 1.0 && largest > 0.0 && on_grid(0);
        let range = match self.options.input_range {
            Some(_) => Range {
                lo: end(lo).min(0),
                hi: end(hi).max(0),
            },
            None => Range {
                lo: if lo < 0.0 { -whole } else { 0 },
                hi: whole,
            },
        };
        let input = Input {
            shape,
            range,
            scale,
        };
        Ok((
            input,
            Held {
                value,
                scale: step,
                exact,
            },
        ))
    }

    /// The levels that readers of a value want of it: int8 for a product, more elsewhere.
    fn levels(&self, value: usize) -> u32 {
        if self.options.bits == 16 {
            return WIDE_LEVELS;
        }
        if self.feeds_product(value) {
            NARROW_LEVELS
        } else if self.is_output[value] {
            WIDE_LEVELS
        } else {
            MIDDLE_LEVELS
        }
    }

    /// Whether a product or a maximum reads the value, changes of shape apart.
    fn feeds_product(&self, value: usize) -> bool {
        self.readers[value].iter().any(|&reader| {
            let result = self.graph.inputs.len() + reader;
            match self.graph.nodes[reader].op {
                FloatOp::MatMul { .. } => true,
                FloatOp::View { .. } | FloatOp::Reshape { .. } | FloatOp::ReduceMax { .. } => {
                    self.feeds_product(result)
                }
                _ => false,
            }
        })
    }

    /// Where a value goes with its scale intact: the value that is narrowed in the end.
    fn destiny(&self, mut value: usize) -> usize {
        loop {
            let [reader] = self.readers[value][..] else {
                return value;
            };
            let follows = match &self.graph.nodes[reader].op {
                FloatOp::Combine { terms, .. } => {
                    let live =
                        |&&(term, _): &&(usize, f64)| self.observed.constants[term].is_none();
                    terms.iter().filter(live).count() == 1
                        && terms.iter().all(|&(term, c)| term != value || c == 1.0)
                }
                FloatOp::View { .. } | FloatOp::Reshape { .. } => true,
                FloatOp::Unary { function, .. } => {
                    matches!(
                        function,
                        crate::float::Function::Relu | crate::float::Function::Clip { .. }
                    )
                }
                _ => false,
            };
            if !follows {
                return value;
            }
            value = self.graph.inputs.len() + reader;
        }
    }

    /// Emits every output; each integer is as fine as the sums behind it.
    fn outputs(&mut self) -> Result<(), CompileError> {
        let mut outputs = Vec::new();
        for output in &self.graph.outputs {
            self.current = output.value.saturating_sub(self.graph.inputs.len());
            let held = self.operand(output.value)?;
            let refuse = |reason: &str| CompileError::Scale {
                node: calibrate::name(self.graph, output.value).to_owned(),
                reason: reason.to_owned(),
            };
            let scale = nearest(held.scale)
                .or_else(|| {
                    (held.scale < 1.0)
                        .then(|| nearest(2f64.powi(-62)))
                        .flatten()
                })
                .ok_or_else(|| refuse("its results are too large for a scale"))?;
            let value = if held.scale < real(scale) * 0.5 {
                self.coarsened(held, real(scale))?.value
            } else {
                held.value
            };
            outputs.push((value, scale));
        }
        self.tie_inputs(&mut outputs)?;
        for (value, scale) in outputs {
            let result = self.builder.output(value, scale);
            self.checked(result)?;
        }
        Ok(())
    }

    /// Adds 0 times every input that reaches no output, which a graph may not have.
    fn tie_inputs(
        &mut self,
        outputs: &mut [(ValueId, hallmark_graph::Scale)],
    ) -> Result<(), CompileError> {
        let graph = self.builder.graph();
        let mut reached = vec![false; graph.value_count()];
        for (value, _) in outputs.iter() {
            reached[*value as usize] = true;
        }
        for (node, step) in graph.nodes.iter().enumerate().rev() {
            if reached[graph.inputs.len() + node] {
                for operand in step.op.operands() {
                    reached[operand as usize] = true;
                }
            }
        }
        let inputs = graph.inputs.len();
        let empty = graph.nodes.is_empty();
        let Some((output, _)) = outputs.first_mut() else {
            return self.refuse("the model has no output");
        };
        if empty {
            let result = self.builder.combine(&[(*output, 1)], 0);
            *output = self.checked(result)?;
        }
        for input in (0..inputs).filter(|&input| !reached[input]) {
            let input = ValueId::try_from(input).unwrap_or(ValueId::MAX);
            let zero = self.clamp(input, 14, 16, (0, 0))?;
            let count = self.dims(zero).iter().product();
            let flat = self.reshape(zero, vec![count])?;
            let sum = self.sum(flat, &[0])?;
            let shape = self.dims(*output);
            let spread = self.view(sum, Vec::new(), shape)?;
            *output = self.combine(&[(*output, 1), (spread, 1)], 0)?;
        }
        Ok(())
    }

    /// The model, the place of each value in it, and the narrowest hold of every float value.
    #[allow(clippy::type_complexity)]
    fn finish(self) -> Result<(Model, Vec<Option<ValueId>>, Vec<Vec<Held>>), CompileError> {
        let mut held: Vec<Vec<Held>> = self
            .held
            .iter()
            .zip(&self.floors)
            .map(|(held, floor)| match floor {
                // What lies below a floor differs on purpose.
                Some(_) => Vec::new(),
                None => held.iter().copied().collect(),
            })
            .collect();
        for (&(value, _), &narrow) in self.narrowed.iter().rev() {
            if self.floors[value].is_none() {
                held[value].insert(0, narrow);
            }
        }
        let result = self.builder.finish_with_map();
        let (model, map) = result.map_err(|source| CompileError::Check {
            node: self
                .graph
                .outputs
                .first()
                .map_or_else(String::new, |output| output.name.clone()),
            source,
        })?;
        // What cannot be made cheaper stays as it is.
        let Ok((model, kept)) = economy::economize(&model) else {
            return Ok((model, map, held));
        };
        let kept = |value: ValueId| kept[value as usize];
        let map = map.into_iter().map(|value| value.and_then(kept)).collect();
        Ok((model, map, held))
    }
}

/// Levels of an operand of a product in int8.
const NARROW_LEVELS: u32 = 127;
/// Levels of other narrow values in int8 mode: tables of 12 bits.
const MIDDLE_LEVELS: u32 = 1023;
/// Levels of 15 bits.
const WIDE_LEVELS: u32 = (1 << 14) - 1;
