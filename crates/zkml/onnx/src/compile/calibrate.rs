//! What the samples say: magnitudes of every tensor, and the grid of the input.

use hallmark_graph::{Input, Range, Scale};

use super::{Calibration, CompileOptions, LEVELS, shape};
use crate::scale::{nearest, real};
use crate::{CompileError, FloatGraph};

/// Most values per tensor that calibration keeps for a percentile.
const MAX_KEPT: usize = 1 << 18;

/// Largest magnitude per float value, the input first, and the input's own samples.
pub(super) struct Observed {
    pub(super) magnitudes: Vec<f64>,
    pub(super) input_grid: Option<Scale>,
    pub(super) input: (f64, f64),
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

/// Runs the float graph over the samples and takes each value's magnitude.
pub(super) fn observe(
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
pub(super) fn declare_input(
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

fn name(graph: &FloatGraph, value: usize) -> &str {
    match value.checked_sub(1).and_then(|node| graph.nodes.get(node)) {
        Some(node) => &node.name,
        None => &graph.input_name,
    }
}
