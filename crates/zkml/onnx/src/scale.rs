//! The border between real numbers and integers.

use hallmark_graph::{Graph, Input, MAX_SCALE_SHIFT, Scale, Shape};

use crate::QuantizeError;

/// The real number `multiplier / 2^shift`.
#[must_use]
pub fn real(scale: Scale) -> f64 {
    f64::from(scale.multiplier) / 2f64.powi(i32::from(scale.shift))
}

/// The nearest scale to a positive number, with 31 bits where the exponent allows.
pub(crate) fn nearest(value: f64) -> Option<Scale> {
    if !value.is_finite() || value <= 0.0 {
        return None;
    }
    (0..=MAX_SCALE_SHIFT).rev().find_map(|shift| {
        let multiplier = (value * 2f64.powi(i32::from(shift))).round();
        if !(1.0..=f64::from(u32::MAX >> 1)).contains(&multiplier) {
            return None;
        }
        Some(Scale {
            multiplier: multiplier as u32,
            shift,
        })
    })
}

/// Integers of a flat real input, all inputs one after the other: each element divided by the
/// scale of its input and rounded to nearest.
///
/// # Errors
///
/// A wrong number of elements, or an element that is not a number or outside the declared range.
pub fn quantize(graph: &Graph, values: &[f32]) -> Result<Vec<i32>, QuantizeError> {
    let expected = graph.input_len();
    if values.len() != expected {
        let shapes: Vec<String> = graph
            .inputs
            .iter()
            .map(|input| input.shape.to_string())
            .collect();
        return Err(QuantizeError::Length {
            expected,
            actual: values.len(),
            shape: shapes.join(", "),
        });
    }
    let mut integers = Vec::with_capacity(expected);
    for input in &graph.inputs {
        let from = integers.len();
        for &value in &values[from..from + input.shape.elements()] {
            integers.push(quantize_one(input, integers.len(), value)?);
        }
    }
    Ok(integers)
}

fn quantize_one(input: &Input, index: usize, value: f32) -> Result<i32, QuantizeError> {
    let scale = real(input.scale);
    let (lo, hi) = (f64::from(input.range.lo), f64::from(input.range.hi));
    let rounded = (f64::from(value) / scale).round();
    if !(lo..=hi).contains(&rounded) {
        return Err(QuantizeError::Range {
            index,
            value,
            lo: lo * scale,
            hi: hi * scale,
        });
    }
    Ok(rounded as i32)
}

/// Real numbers of a flat integer output, all outputs one after the other.
#[must_use]
pub fn dequantize(graph: &Graph, values: &[i32]) -> Vec<f32> {
    let mut rest = values;
    let mut reals = Vec::with_capacity(values.len());
    for output in &graph.outputs {
        let len = graph
            .shape(output.value)
            .map_or(0, Shape::elements)
            .min(rest.len());
        let (own, after) = rest.split_at(len);
        rest = after;
        let scale = real(output.scale);
        reals.extend(own.iter().map(|&value| (f64::from(value) * scale) as f32));
    }
    reals
}
