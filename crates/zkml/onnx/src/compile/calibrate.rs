//! What the samples say: an interval of every value, the constants, the grid of the inputs.

use std::rc::Rc;

use super::{Calibration, CompileOptions};
use crate::CompileError;
use crate::float::{FloatGraph, FloatOp};

/// Most values per tensor that calibration keeps for a percentile or a mean square.
const MAX_KEPT: usize = 1 << 16;
/// Ends of intervals that a mean square tries.
const CANDIDATES: u32 = 60;

/// Intervals of all float values, the inputs first.
pub(super) struct Observed {
    /// Smallest and largest element, perhaps clipped.
    pub(super) interval: Vec<(f64, f64)>,
    /// Smallest magnitude of an element that is not 0, infinity where all are.
    pub(super) least: Vec<f64>,
    /// Of a `Softmax`: smallest and largest row maximum. Of a `Normalize`: smallest and largest
    /// mean square of a row.
    pub(super) rows: Vec<(f64, f64)>,
    /// Of an input: the fewest binary places, 0 to 7, that all its elements need; `None` for more.
    pub(super) grids: Vec<Option<i32>>,
    /// The first sample that gave an infinity.
    pub(super) infinite: Vec<Option<usize>>,
    /// Elements of the values that depend on no input.
    pub(super) constants: Vec<Option<Rc<[f32]>>>,
}

impl Observed {
    /// Largest magnitude of a value.
    pub(super) fn magnitude(&self, value: usize) -> f64 {
        let (lo, hi) = self.interval[value];
        lo.abs().max(hi.abs())
    }
}

pub(super) fn check_samples(graph: &FloatGraph, samples: &[&[f32]]) -> Result<(), CompileError> {
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

/// Runs the float graph over the samples.
pub(super) fn observe(
    graph: &FloatGraph,
    samples: &[&[f32]],
    options: &CompileOptions,
) -> Result<Observed, CompileError> {
    let inputs = graph.inputs.len();
    let count = inputs + graph.nodes.len();
    let mut observed = Observed {
        interval: vec![(f64::INFINITY, f64::NEG_INFINITY); count],
        least: vec![f64::INFINITY; count],
        rows: vec![(f64::INFINITY, f64::NEG_INFINITY); count],
        grids: vec![Some(0); inputs],
        infinite: vec![None; count],
        constants: vec![None; count],
    };
    let constant = constant_values(graph);
    let keep = !matches!(options.calibration, Calibration::MinMax);
    let mut kept: Vec<Vec<f32>> = vec![Vec::new(); count];
    for (index, sample) in samples.iter().enumerate() {
        let values = graph.values(sample);
        for (value, tensor) in values.iter().enumerate() {
            if index > 0 && constant[value] {
                continue;
            }
            if tensor.iter().any(|x| x.is_nan()) {
                return Err(not_finite(graph, index, value));
            }
            if tensor.iter().any(|x| x.is_infinite()) {
                observed.infinite[value].get_or_insert(index);
            }
            let (interval, least) = (&mut observed.interval[value], &mut observed.least[value]);
            for &x in tensor {
                let x = f64::from(x.clamp(f32::MIN, f32::MAX));
                *interval = (interval.0.min(x), interval.1.max(x));
                if x != 0.0 {
                    *least = least.min(x.abs());
                }
            }
            if let Some(grid) = observed.grids.get_mut(value) {
                *grid = tensor.iter().fold(*grid, |grid, &x| {
                    (grid?..=7).find(|&places| (x * 2f32.powi(places)).fract() == 0.0)
                });
            }
            if keep && !constant[value] {
                let share = (MAX_KEPT / samples.len()).max(256);
                let step = tensor.len().div_ceil(share).max(1);
                kept[value].extend(tensor.iter().step_by(step).map(|x| x.abs()));
            }
            if let Some(node) = value.checked_sub(inputs) {
                rows(graph, node, &values, &mut observed.rows[value]);
            }
        }
        if index == 0 {
            for (value, tensor) in values.into_iter().enumerate() {
                observed.constants[value] =
                    match value.checked_sub(inputs).map(|n| &graph.nodes[n].op) {
                        Some(FloatOp::Constant { values }) => Some(values.clone()),
                        _ if constant[value] => Some(tensor.into()),
                        _ => None,
                    };
            }
        }
    }
    for (interval, mut kept) in observed.interval.iter_mut().zip(kept).skip(inputs) {
        let integral = kept.iter().all(|x| x.fract() == 0.0);
        if kept.is_empty() || integral {
            continue;
        }
        kept.sort_by(f32::total_cmp);
        let clip = match options.calibration {
            Calibration::MinMax => continue,
            Calibration::Percentile(share) => {
                let rank = (share / 100.0 * kept.len() as f64).ceil() as usize;
                f64::from(kept[rank.clamp(1, kept.len()) - 1])
            }
            Calibration::MeanSquare => least_square(&kept),
        };
        if clip > 0.0 {
            *interval = (interval.0.clamp(-clip, clip), interval.1.clamp(-clip, clip));
        }
    }
    Ok(observed)
}

pub(super) fn not_finite(graph: &FloatGraph, index: usize, value: usize) -> CompileError {
    CompileError::NotFinite {
        index,
        node: name(graph, value).to_owned(),
    }
}

/// Whether each value depends on no input.
fn constant_values(graph: &FloatGraph) -> Vec<bool> {
    let mut constant = vec![false; graph.inputs.len()];
    for node in &graph.nodes {
        let operands = node.op.operands();
        constant.push(operands.iter().all(|&operand| constant[operand]));
    }
    constant
}

/// The clip of magnitudes (sorted) that 127 levels represent with the least square error.
fn least_square(magnitudes: &[f32]) -> f64 {
    let most = magnitudes.last().map_or(0.0, |&x| f64::from(x));
    let step = magnitudes.len().div_ceil(4096).max(1);
    let mut best = (f64::INFINITY, most);
    for candidate in (CANDIDATES / 4..=CANDIDATES).rev() {
        let clip = most * f64::from(candidate) / f64::from(CANDIDATES);
        let scale = clip / 127.0;
        let error: f64 = magnitudes
            .iter()
            .step_by(step)
            .chain(magnitudes.last())
            .map(|&x| {
                let x = f64::from(x);
                (x - (x / scale).round().min(127.0) * scale).powi(2)
            })
            .sum();
        if error < best.0 {
            best = (error, clip);
        }
    }
    best.1
}

/// Statistics of the rows that a `Softmax` or a `Normalize` reads.
fn rows(graph: &FloatGraph, node: usize, values: &[Vec<f32>], result: &mut (f64, f64)) {
    let (input, center) = match graph.nodes[node].op {
        FloatOp::Softmax { input } => (input, None),
        FloatOp::Normalize { input, center, .. } => (input, Some(center)),
        _ => return,
    };
    let last = graph.shape(input).last().copied().unwrap_or(1).max(1);
    for row in values[input].chunks_exact(last) {
        let row = row.iter().map(|&x| f64::from(x));
        let statistic = match center {
            None => row.fold(f64::NEG_INFINITY, f64::max),
            Some(center) => {
                let mean = if center {
                    row.clone().sum::<f64>() / last as f64
                } else {
                    0.0
                };
                row.map(|x| (x - mean).powi(2)).sum::<f64>() / last as f64
            }
        };
        *result = (result.0.min(statistic), result.1.max(statistic));
    }
}

/// Name of the input or node of a value.
pub(super) fn name(graph: &FloatGraph, value: usize) -> &str {
    match value.checked_sub(graph.inputs.len()) {
        Some(node) => &graph.nodes[node].name,
        None => &graph.inputs[value].name,
    }
}
