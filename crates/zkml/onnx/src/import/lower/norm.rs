//! Softmax and normalisations.

use super::{Lowered, one};
use crate::FloatOp;
use crate::ImportError;
use crate::float::Function;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "Softmax" => one(over_axis(b, n, Builder::softmax)),
        "LogSoftmax" => one(over_axis(b, n, log_softmax)),
        "Hardmax" => one(over_axis(b, n, |b, x, axis| {
            b.along(x, axis, |b, x| {
                b.recipe(x, |input| FloatOp::OneHotMax { input })
            })
        })),
        "BatchNormalization" => one(batch(b, n)),
        "LayerNormalization" => layer(b, n, true),
        "RMSNormalization"
        | "SimplifiedLayerNormalization"
        | "com.microsoft.SimplifiedLayerNormalization" => layer(b, n, false),
        "com.microsoft.SkipLayerNormalization" => skip(b, n),
        "InstanceNormalization" => one(instance(b, n)),
        "GroupNormalization" => one(group(b, n)),
        "LpNormalization" => one(lp(b, n)),
        "MeanVarianceNormalization" => one(mean_variance(b, n)),
        "LRN" => one(local(b, n)),
        _ => return None,
    })
}

/// Before operator set 13 the operand is a matrix, split at the axis.
fn over_axis(
    b: &mut Builder,
    n: &Node<'_>,
    step: impl FnOnce(&mut Builder, &Operand, usize) -> Made,
) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let old = n.opset < 13;
    let axis = n.axis(n.int("axis", if old { 1 } else { -1 }), shape.len().max(1))?;
    if shape.is_empty() {
        return Err(n.refuse("its operand is a scalar"));
    }
    if old && axis + 1 < shape.len() {
        let (outer, inner) = shape.split_at(axis);
        let flat = vec![outer.iter().product(), inner.iter().product()];
        let flat = b.reshape(x, flat)?;
        let made = step(b, &flat, 1)?;
        return b.reshape(&made, shape);
    }
    step(b, x, axis)
}

fn log_softmax(b: &mut Builder, x: &Operand, axis: usize) -> Made {
    let shape = b.shape(x);
    let sum = super::reduce::log_sum_exp(b, x, &[axis])?;
    let wide = b.keep(&sum, &shape, &[axis])?;
    b.sub(x, &wide)
}

/// A tensor per channel, for operands `[N, C, …]`.
fn per_channel(b: &mut Builder, values: &Operand, rank: usize) -> Made {
    let count: usize = b.shape(values).iter().product();
    let mut shape = vec![1; rank.saturating_sub(1)];
    if let Some(first) = shape.first_mut() {
        *first = count;
    } else {
        return Ok(values.clone());
    }
    b.reshape(values, shape)
}

/// What a `BatchNormalization` multiplies by and adds, per channel:
/// `scale·(x - mean)/sqrt(variance + ε) + shift`.
pub(in crate::import) fn scale_and_shift(
    b: &mut Builder,
    n: &Node<'_>,
) -> Result<(Operand, Operand), ImportError> {
    n.ignore(&["momentum", "spatial"]);
    let variance = b.affine(n.operand(4)?, 1.0, n.float("epsilon", 1e-5))?;
    let inverse = b.unary(&variance, Function::Rsqrt)?;
    let scale = b.mul(n.operand(1)?, &inverse)?;
    let moved = b.mul(n.operand(3)?, &scale)?;
    let shift = b.sub(n.operand(2)?, &moved)?;
    Ok((scale, shift))
}

fn batch(b: &mut Builder, n: &Node<'_>) -> Made {
    if n.flag("training_mode", false) {
        return Err(n.refuse("training mode is not supported"));
    }
    let x = n.operand(0)?;
    let rank = b.rank(x);
    let (scale, shift) = scale_and_shift(b, n)?;
    let scale = per_channel(b, &scale, rank)?;
    let shift = per_channel(b, &shift, rank)?;
    let scaled = b.mul(x, &scale)?;
    b.add(&scaled, &shift)
}

fn scaled(b: &mut Builder, x: &Operand, scale: Option<&Operand>, shift: Option<&Operand>) -> Made {
    let x = match scale {
        Some(scale) => b.mul(x, scale)?,
        None => x.clone(),
    };
    match shift {
        Some(shift) => b.add(&x, shift),
        None => Ok(x),
    }
}

fn layer(b: &mut Builder, n: &Node<'_>, center: bool) -> Lowered {
    n.ignore(&["stash_type"]);
    let x = n.operand(0)?;
    let rank = b.rank(x);
    let axis = n.axis(n.int("axis", -1), rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let made = b.normalize_over(x, &axes, n.float("epsilon", 1e-5), center)?;
    let shift = match center {
        true => n.maybe(2),
        false => None,
    };
    one(scaled(b, &made, n.maybe(1), shift))
}

fn skip(b: &mut Builder, n: &Node<'_>) -> Lowered {
    let (x, residual) = (n.operand(0)?, n.operand(1)?);
    let mut terms = vec![(x, 1.0), (residual, 1.0)];
    if let Some(bias) = n.maybe(4) {
        terms.push((bias, 1.0));
    }
    let sum = b.combine(&terms, 0.0)?;
    let axes = [b.rank(&sum).saturating_sub(1)];
    let made = b.normalize_over(&sum, &axes, n.float("epsilon", 1e-12), true)?;
    one(scaled(b, &made, n.maybe(2), n.maybe(3)))
}

fn instance(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let rank = b.rank(x);
    let axes: Vec<usize> = (2..rank).collect();
    if axes.is_empty() {
        return Err(n.refuse("its operand has no spatial axis"));
    }
    let made = b.normalize_over(x, &axes, n.float("epsilon", 1e-5), true)?;
    let scale = per_channel(b, n.operand(1)?, rank)?;
    let shift = per_channel(b, n.operand(2)?, rank)?;
    scaled(b, &made, Some(&scale), Some(&shift))
}

fn group(b: &mut Builder, n: &Node<'_>) -> Made {
    n.ignore(&["stash_type"]);
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let groups = usize::try_from(n.int("num_groups", 0)).unwrap_or(0);
    if shape.len() < 2 || groups == 0 || !shape[1].is_multiple_of(groups) {
        return Err(n.refuse(format!("{groups} groups do not fit {shape:?}")));
    }
    let rest: usize = shape[2..].iter().product();
    let flat = b.reshape(x, vec![shape[0], groups, shape[1] / groups * rest])?;
    let made = b.normalize_over(&flat, &[2], n.float("epsilon", 1e-5), true)?;
    let made = b.reshape(&made, shape.clone())?;
    // Before operator set 21 there is one scale per group.
    let mut spread = |index: usize| -> Result<Operand, ImportError> {
        let values = n.operand(index)?;
        let count: usize = b.shape(values).iter().product();
        let values = match count == groups && count != shape[1] {
            true => {
                let column = b.reshape(values, vec![groups, 1])?;
                let wide = b.broadcast(&column, &[groups, shape[1] / groups])?;
                b.reshape(&wide, vec![shape[1]])?
            }
            false => values.clone(),
        };
        per_channel(b, &values, shape.len())
    };
    let (scale, shift) = (spread(1)?, spread(2)?);
    scaled(b, &made, Some(&scale), Some(&shift))
}

fn lp(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let axis = n.axis(n.int("axis", -1), shape.len())?;
    match n.int("p", 2) {
        1 => {
            let magnitude = b.unary(x, Function::Abs)?;
            let sum = b.sum(&magnitude, &[axis])?;
            let wide = b.keep(&sum, &shape, &[axis])?;
            let wide = b.broadcast(&wide, &shape)?;
            b.div(x, &wide)
        }
        2 => {
            // x/sqrt(Σ x²) = x/sqrt(mean(x²))/sqrt(length)
            let made = b.normalize_over(x, &[axis], 1e-12, false)?;
            b.affine(&made, 1.0 / (shape[axis] as f64).sqrt(), 0.0)
        }
        p => Err(n.refuse(format!("p = {p} is not supported"))),
    }
}

fn mean_variance(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let axes = n.axes(n.ints("axes").unwrap_or(&[0, 2, 3]), b.rank(x))?;
    b.normalize_over(x, &axes, 1e-9, true)
}

/// `x/(bias + α/size·Σ x²)^β` over a window of channels: a product with a band of ones.
fn local(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let size = n.int("size", 0);
    if shape.len() < 2 || size < 1 || shape[1] > 1 << 12 {
        return Err(n.refuse(format!("a window of {size} does not fit {shape:?}")));
    }
    let channels = shape[1] as i64;
    let (before, after) = ((size - 1) / 2, size - 1 - (size - 1) / 2);
    let mut band = Vec::new();
    for from in 0..channels {
        for to in 0..channels {
            let near = from >= to - before && from <= to + after;
            band.push(f32::from(u8::from(near)));
        }
    }
    let band = b.floats(vec![shape[1], shape[1]], band);
    let square = b.mul(x, x)?;
    let sums = b.along(&square, 1, |b, x| b.product(x, &band, 0, 1))?;
    let alpha = n.float("alpha", 1e-4) / size as f64;
    let base = b.affine(&sums, alpha, n.float("bias", 1.0))?;
    let exponent = -n.float("beta", 0.75);
    let scale = b.unary(&base, Function::Pow { exponent })?;
    b.mul(x, &scale)
}
