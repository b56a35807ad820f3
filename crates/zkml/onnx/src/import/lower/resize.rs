//! Resampling: lists for the nearest, a constant matrix per axis for linear and cubic.

use super::{Lowered, one};
use crate::ImportError;
use crate::import::builder::{Builder, Made};
use crate::import::node::Node;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "Resize" => one(resize(b, n)),
        "Upsample" => one(upsample(b, n)),
        _ => return None,
    })
}

/// One axis of a resampling.
struct Axis {
    from: usize,
    to: usize,
    /// Length of the result by length of the operand.
    scale: f64,
}

fn upsample(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?.clone();
    let shape = b.shape(&x);
    let scales: Vec<f64> = match n.floats("scales") {
        Some(scales) => scales.iter().map(|&s| f64::from(s)).collect(),
        None => n.constant(1)?.values(),
    };
    let mode = n.string("mode", "nearest");
    resample(b, n, &shape, &scales, None, mode, "asymmetric", "floor")
}

fn resize(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    n.ignore(&["extrapolation_value", "cubic_coeff_a"]);
    let (scales_at, sizes_at) = match n.opset {
        ..=10 => (1, usize::MAX),
        _ => (2, 3),
    };
    let empty = |index: usize| {
        n.maybe(index)
            .is_none_or(|operand| operand.tensor().is_some_and(|t| t.len() == 0))
    };
    let axes = match n.ints("axes") {
        Some(axes) => axes
            .iter()
            .map(|&axis| n.axis(axis, shape.len()))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..shape.len()).collect(),
    };
    let spread = |own: Vec<f64>, rest: &dyn Fn(usize) -> f64| -> Result<Vec<f64>, ImportError> {
        if own.len() != axes.len() {
            return Err(n.refuse(format!("{} sizes for {} axes", own.len(), axes.len())));
        }
        let mut all: Vec<f64> = (0..shape.len()).map(rest).collect();
        for (&axis, value) in axes.iter().zip(own) {
            all[axis] = value;
        }
        Ok(all)
    };
    let policy = n.string("keep_aspect_ratio_policy", "stretch");
    let (scales, sizes) = if !empty(scales_at) {
        (spread(n.constant(scales_at)?.values(), &|_| 1.0)?, None)
    } else if !empty(sizes_at) {
        let sizes = spread(n.constant(sizes_at)?.values(), &|axis| shape[axis] as f64)?;
        let mut scales: Vec<f64> = sizes
            .iter()
            .zip(&shape)
            .map(|(s, &d)| s / d as f64)
            .collect();
        let mut sizes = sizes;
        if policy != "stretch" {
            let own = axes.iter().map(|&axis| scales[axis]);
            let scale = match policy {
                "not_larger" => own.fold(f64::INFINITY, f64::min),
                _ => own.fold(0.0, f64::max),
            };
            for &axis in &axes {
                scales[axis] = scale;
                sizes[axis] = (scale * shape[axis] as f64).round();
            }
        }
        (scales, Some(sizes))
    } else {
        return Err(n.refuse("has neither scales nor sizes"));
    };
    if n.flag("antialias", false) && scales.iter().any(|&scale| scale < 1.0) {
        return Err(n.refuse("antialias is not supported"));
    }
    let mode = n.string("mode", "nearest");
    let transform = match n.opset {
        ..=10 => "asymmetric",
        _ => n.string("coordinate_transformation_mode", "half_pixel"),
    };
    let rounding = match n.opset {
        ..=10 => "floor",
        _ => n.string("nearest_mode", "round_prefer_floor"),
    };
    resample(
        b,
        n,
        &shape,
        &scales,
        sizes.as_deref(),
        mode,
        transform,
        rounding,
    )
}

#[allow(clippy::too_many_arguments)]
fn resample(
    b: &mut Builder,
    n: &Node<'_>,
    shape: &[usize],
    scales: &[f64],
    sizes: Option<&[f64]>,
    mode: &str,
    transform: &str,
    rounding: &str,
) -> Made {
    let mut x = n.operand(0)?.clone();
    if scales.len() != shape.len() {
        return Err(n.refuse(format!("{} scales for {shape:?}", scales.len())));
    }
    for (axis, &from) in shape.iter().enumerate() {
        let scale = scales[axis];
        let to = match sizes {
            Some(sizes) => sizes[axis],
            None => (from as f64 * scale).floor(),
        };
        if !(1.0..=f64::from(1 << 20)).contains(&to) || !scale.is_finite() || scale <= 0.0 {
            return Err(n.refuse(format!("cannot scale {from} by {scale}")));
        }
        let span = Axis {
            from,
            to: to as usize,
            scale,
        };
        if span.to == from && scale == 1.0 {
            continue;
        }
        x = match mode {
            "nearest" => {
                let indices = (0..span.to)
                    .map(|at| {
                        let place = coordinate(n, &span, at, transform)?;
                        nearest(n, place, rounding).map(|i| i.clamp(0, from as i64 - 1) as i32)
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                b.take(&x, axis, indices)?
            }
            "linear" | "bilinear" | "cubic" => {
                let matrix = weights(n, &span, mode == "cubic", transform)?;
                let matrix = b.floats(vec![from, span.to], matrix);
                b.along(&x, axis, |b, x| b.product(x, &matrix, 0, 1))?
            }
            other => return Err(n.refuse(format!("mode {other:?} is not supported"))),
        };
    }
    Ok(x)
}

/// Where position `at` of the result lies in the operand.
fn coordinate(n: &Node<'_>, axis: &Axis, at: usize, transform: &str) -> Result<f64, ImportError> {
    let (at, scale) = (at as f64, axis.scale);
    let (from, to) = (axis.from as f64, axis.to as f64);
    Ok(match transform {
        "asymmetric" => at / scale,
        "half_pixel" => (at + 0.5) / scale - 0.5,
        "half_pixel_symmetric" => {
            let adjustment = to / (scale * from);
            let offset = from / 2.0 * (1.0 - adjustment);
            offset + (at + 0.5) / scale - 0.5
        }
        "pytorch_half_pixel" if axis.to > 1 => (at + 0.5) / scale - 0.5,
        "pytorch_half_pixel" => 0.0,
        "align_corners" if axis.to > 1 => at * (from - 1.0) / (to - 1.0),
        "align_corners" => 0.0,
        other => return Err(n.refuse(format!("coordinates {other:?} are not supported"))),
    })
}

fn nearest(n: &Node<'_>, place: f64, rounding: &str) -> Result<i64, ImportError> {
    // Runtimes compute places in float32: a whole number may come out a little off.
    let place = f64::from(place as f32);
    Ok(match rounding {
        "round_prefer_floor" => (place - 0.5).ceil() as i64,
        "round_prefer_ceil" => (place + 0.5).floor() as i64,
        "floor" => place.floor() as i64,
        "ceil" => place.ceil() as i64,
        other => return Err(n.refuse(format!("nearest_mode {other:?} is not supported"))),
    })
}

/// `[from, to]`: column `j` holds the weights of result `j`.
fn weights(
    n: &Node<'_>,
    axis: &Axis,
    cubic: bool,
    transform: &str,
) -> Result<Vec<f32>, ImportError> {
    if axis.from.saturating_mul(axis.to) > 1 << 24 {
        return Err(n.refuse("its matrix is too large"));
    }
    let coefficient = n.float("cubic_coeff_a", -0.75);
    let exclude = n.flag("exclude_outside", false);
    let mut matrix = vec![0f64; axis.from * axis.to];
    for at in 0..axis.to {
        let mut place = coordinate(n, axis, at, transform)?;
        if !cubic {
            place = place.clamp(0.0, axis.from as f64 - 1.0);
        }
        let base = place.floor();
        let t = place - base;
        let taps: Vec<(f64, f64)> = match cubic {
            false => vec![(base, 1.0 - t), (base + 1.0, t)],
            true => (-1..3)
                .map(|k| {
                    (
                        base + f64::from(k),
                        cubic_weight(t - f64::from(k), coefficient),
                    )
                })
                .collect(),
        };
        let last = axis.from as f64 - 1.0;
        let outside = |i: f64| exclude && !(0.0..=last).contains(&i);
        let whole: f64 = taps
            .iter()
            .filter(|(i, _)| !outside(*i))
            .map(|(_, w)| w)
            .sum();
        for (i, w) in taps {
            if !outside(i) && w != 0.0 {
                let i = i.clamp(0.0, last) as usize;
                matrix[i * axis.to + at] += if exclude { w / whole } else { w };
            }
        }
    }
    Ok(matrix.into_iter().map(|w| w as f32).collect())
}

/// Keys' cubic convolution.
fn cubic_weight(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        (a + 2.0) * x.powi(3) - (a + 3.0) * x.powi(2) + 1.0
    } else if x < 2.0 {
        a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a
    } else {
        0.0
    }
}
