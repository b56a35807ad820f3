//! The border between real numbers and integers.

use hallmark_graph::{Graph, Input, MAX_SCALE_SHIFT, Scale};

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

/// Integers of a real input: each element divided by the scale and rounded to nearest.
///
/// # Errors
///
/// A wrong number of elements, or an element that is not a number or outside the declared range.
pub fn quantize(input: &Input, values: &[f32]) -> Result<Vec<i32>, QuantizeError> {
    let expected = input.shape.elements();
    if values.len() != expected {
        return Err(QuantizeError::Length {
            expected,
            actual: values.len(),
            shape: input.shape.to_string(),
        });
    }
    let scale = real(input.scale);
    let (lo, hi) = (f64::from(input.range.lo), f64::from(input.range.hi));
    values
        .iter()
        .enumerate()
        .map(|(index, &value)| {
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
        })
        .collect()
}

/// Real numbers of an integer output.
#[must_use]
pub fn dequantize(graph: &Graph, values: &[i32]) -> Vec<f32> {
    let scale = real(graph.output_scale);
    values
        .iter()
        .map(|&value| (f64::from(value) * scale) as f32)
        .collect()
}
