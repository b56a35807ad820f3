//! Reductions along axes, and running sums.

use super::{Lowered, one};
use crate::float::Function;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    let reduce: fn(&mut Builder, &Operand, &[usize]) -> Made = match op {
        "ReduceSum" => Builder::sum,
        "ReduceMean" => Builder::mean,
        "ReduceMax" => Builder::max,
        "ReduceMin" => |b, x, axes| {
            let minus = b.neg(x)?;
            let most = b.max(&minus, axes)?;
            b.neg(&most)
        },
        "ReduceL1" => |b, x, axes| {
            let magnitude = b.unary(x, Function::Abs)?;
            b.sum(&magnitude, axes)
        },
        "ReduceL2" => |b, x, axes| {
            let square = b.mul(x, x)?;
            let sum = b.sum(&square, axes)?;
            b.unary(&sum, Function::Sqrt)
        },
        "ReduceSumSquare" => |b, x, axes| {
            let square = b.mul(x, x)?;
            b.sum(&square, axes)
        },
        "ReduceLogSum" => |b, x, axes| {
            let sum = b.sum(x, axes)?;
            b.unary(&sum, Function::Log)
        },
        "ReduceLogSumExp" => log_sum_exp,
        "ReduceProd" => product,
        "CumSum" => return Some(one(cumulative(b, n))),
        _ => return None,
    };
    Some(one(reduction(b, n, reduce)))
}

fn reduction(
    b: &mut Builder,
    n: &Node<'_>,
    reduce: fn(&mut Builder, &Operand, &[usize]) -> Made,
) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let keep = n.flag("keepdims", true);
    let nothing = n.flag("noop_with_empty_axes", false);
    let axes = match n.list_or(1, "axes")?.filter(|axes| !axes.is_empty()) {
        Some(axes) => n.axes(&axes, shape.len())?,
        None if nothing => return Ok(x.clone()),
        None => (0..shape.len()).collect(),
    };
    let made = reduce(b, x, &axes)?;
    match keep {
        true => b.keep(&made, &shape, &axes),
        false => Ok(made),
    }
}

/// `m + ln Σ exp(x - m)` with the maximum `m`, so that nothing overflows.
pub(super) fn log_sum_exp(b: &mut Builder, x: &Operand, axes: &[usize]) -> Made {
    let shape = b.shape(x);
    let most = b.max(x, axes)?;
    let wide = b.keep(&most, &shape, axes)?;
    let shifted = b.sub(x, &wide)?;
    let power = b.unary(&shifted, Function::Exp)?;
    let sum = b.sum(&power, axes)?;
    let log = b.unary(&sum, Function::Log)?;
    b.add(&log, &most)
}

/// A tree of products, halving one axis after the other.
fn product(b: &mut Builder, x: &Operand, axes: &[usize]) -> Made {
    let mut x = x.clone();
    for &axis in axes.iter().rev() {
        let mut length = b.shape(&x)[axis];
        if length == 0 {
            return Err(b.refuse("multiplies nothing"));
        }
        while length > 1 {
            let half = length / 2;
            let low = b.slice(&x, axis, (0, 1, half))?;
            let high = b.slice(&x, axis, (half as i64, 1, half))?;
            let mut made = b.mul(&low, &high)?;
            if length % 2 == 1 {
                let rest = b.slice(&x, axis, (length as i64 - 1, 1, 1))?;
                made = b.concat(&[made, rest], axis)?;
            }
            x = made;
            length = half + length % 2;
        }
        let shape = crate::import::ops::without(&b.shape(&x), &[axis]);
        x = b.reshape(&x, shape)?;
    }
    Ok(x)
}

/// A product with a triangle of ones.
fn cumulative(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let axis = n.axis(n.number(1)? as i64, shape.len())?;
    let (exclusive, reverse) = (n.flag("exclusive", false), n.flag("reverse", false));
    let length = shape[axis];
    if length > 1 << 12 {
        return Err(n.refuse(format!("{length} running sums are too many")));
    }
    let mut triangle = Vec::with_capacity(length * length);
    for from in 0..length {
        for to in 0..length {
            let before = if reverse { to < from } else { from < to };
            let counts = before || from == to && !exclusive;
            triangle.push(f32::from(u8::from(counts)));
        }
    }
    let triangle = b.floats(vec![length, length], triangle);
    b.along(x, axis, |b, x| b.product(x, &triangle, 0, 1))
}
