//! What the samples say: an interval of every value, the constants, the grid of the inputs.

use std::rc::Rc;

use super::{Calibration, CompileOptions};
use crate::CompileError;
use crate::float::{FloatGraph, FloatOp, Function};

/// Most values per tensor that calibration keeps for a percentile or a mean square.
const MAX_KEPT: usize = 1 << 16;
/// Ends of intervals that a mean square tries.
const CANDIDATES: u32 = 60;

/// Standard deviations that an interval reaches beyond the mean extreme, in 8 and in 16 bits: the
/// largest of a hundred samples, and of ten thousand.
const REACH: (f64, f64) = (3.1, 6.7);
/// Share of itself that an end grows by when one sample was seen.
const FEW: f64 = 0.1;

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
    let mut extremes = vec![Extremes::default(); count];
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
            let least = &mut observed.least[value];
            let mut own = (f64::INFINITY, f64::NEG_INFINITY);
            let mut whole = true;
            for &x in tensor {
                let x = f64::from(x.clamp(f32::MIN, f32::MAX));
                own = (own.0.min(x), own.1.max(x));
                whole &= x.fract() == 0.0;
                if x != 0.0 {
                    *least = least.min(x.abs());
                }
            }
            let interval = &mut observed.interval[value];
            *interval = (interval.0.min(own.0), interval.1.max(own.1));
            extremes[value].add(own, whole);
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
    for (value, extremes) in extremes.iter().enumerate().skip(inputs) {
        if !constant[value] {
            let limits = natural_limits(graph, value);
            let interval = &mut observed.interval[value];
            *interval = extremes.foreseen(*interval, limits, options.bits);
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

/// Smallest and largest elements, sample by sample: how far the next samples may go beyond those
/// seen.
///
/// Extremes of many elements follow Gumbel's distribution, whose scale is `σ·√6/π`. Of `N` samples
/// the largest element is expected at `mean + σ·√6/π·(ln N - γ)`.
#[derive(Clone, Copy, Default)]
struct Extremes {
    samples: f64,
    /// Sums and sums of squares of the ends.
    low: (f64, f64),
    high: (f64, f64),
    /// Some element was no whole number.
    fractions: bool,
}

impl Extremes {
    fn add(&mut self, (lo, hi): (f64, f64), whole: bool) {
        self.samples += 1.0;
        self.low = (self.low.0 + lo, self.low.1 + lo * lo);
        self.high = (self.high.0 + hi, self.high.1 + hi * hi);
        self.fractions |= !whole;
    }

    /// The interval that unseen samples are expected in, at most half as wide again.
    fn foreseen(&self, seen: (f64, f64), limits: (f64, f64), bits: u8) -> (f64, f64) {
        if !self.fractions {
            return seen;
        }
        let reach = if bits == 16 { REACH.1 } else { REACH.0 };
        let most = (seen.1 - seen.0).max(seen.0.abs()).max(seen.1.abs()) * 0.5;
        let beyond = |end: f64, (sum, squares): (f64, f64)| {
            let mean = sum / self.samples;
            let deviation = (squares / self.samples - mean * mean).max(0.0).sqrt();
            let unseen = deviation * reach - (end - mean).abs();
            let few = end.abs() * FEW / self.samples;
            unseen.max(few).clamp(0.0, most)
        };
        let lo = seen.0 - beyond(seen.0, self.low);
        let hi = seen.1 + beyond(seen.1, self.high);
        // What never changed its sign keeps it.
        let lo = if seen.0 >= 0.0 {
            lo.max(0.0).min(seen.0)
        } else {
            lo
        };
        let hi = if seen.1 <= 0.0 {
            hi.min(0.0).max(seen.1)
        } else {
            hi
        };
        (lo.max(limits.0).min(seen.0), hi.min(limits.1).max(seen.1))
    }
}

/// What a value cannot leave, whatever the sample.
fn natural_limits(graph: &FloatGraph, mut value: usize) -> (f64, f64) {
    while let Some(node) = value.checked_sub(graph.inputs.len()) {
        return match &graph.nodes[node].op {
            FloatOp::View { input, .. } | FloatOp::Reshape { input } => {
                value = *input;
                continue;
            }
            FloatOp::Softmax { .. }
            | FloatOp::OneHot { .. }
            | FloatOp::OneHotMax { .. }
            | FloatOp::Unary {
                function: Function::Sigmoid | Function::HardSigmoid { .. },
                ..
            } => (0.0, 1.0),
            FloatOp::Unary { function, .. } => match *function {
                Function::Tanh | Function::Erf | Function::Softsign => (-1.0, 1.0),
                Function::Sin | Function::Cos => (-1.0, 1.0),
                Function::Clip { lo, hi } => (lo, hi),
                _ => break,
            },
            _ => break,
        };
    }
    (f64::NEG_INFINITY, f64::INFINITY)
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
