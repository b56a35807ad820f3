//! Pooling: windows along one axis after the other.

use hallmark_graph::AxisMap;

use super::convolution::{Window, windows};
use super::{Lowered, one};
use crate::ImportError;
use crate::float::Function;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::view::{straight, strided};

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "MaxPool" => one(max_pool(b, n)),
        "AveragePool" => one(average_pool(b, n)),
        "LpPool" => one(lp_pool(b, n)),
        "GlobalLpPool" => one(global_lp(b, n)),
        "GlobalAveragePool" => one(global(b, n, Builder::mean)),
        "GlobalMaxPool" => one(global(b, n, Builder::max)),
        _ => return None,
    })
}

fn global(
    b: &mut Builder,
    n: &Node<'_>,
    reduce: impl FnOnce(&mut Builder, &Operand, &[usize]) -> Made,
) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let axes: Vec<usize> = (2..shape.len()).collect();
    let made = reduce(b, x, &axes)?;
    b.keep(&made, &shape, &axes)
}

fn pool_windows(b: &Builder, n: &Node<'_>) -> Result<Vec<Window>, ImportError> {
    let shape = b.shape(n.operand(0)?);
    let kernel: Vec<usize> = n
        .ints("kernel_shape")
        .unwrap_or(&[])
        .iter()
        .map(|&k| usize::try_from(k).unwrap_or(0))
        .collect();
    if shape.len() < 3 {
        return Err(n.refuse(format!("cannot pool {shape:?}")));
    }
    windows(n, &shape[2..], &kernel, n.flag("ceil_mode", false))
}

fn max_pool(b: &mut Builder, n: &Node<'_>) -> Made {
    n.ignore(&["storage_order"]);
    let windows = pool_windows(b, n)?;
    let mut x = n.operand(0)?.clone();
    for (index, window) in windows.iter().enumerate() {
        let axis = 2 + index;
        let mut shape = b.shape(&x);
        let dim = shape[axis];
        if window.kernel == 1 && window.before == 0 && window.after == 0 {
            x = b.slice(&x, axis, (0, window.stride as i64, window.count))?;
            continue;
        }
        let last = (window.count - 1) * window.stride + window.dilation * (window.kernel - 1);
        shape[axis] = window.count;
        shape.insert(axis + 1, window.kernel);
        let inside = window.before == 0 && last < dim;
        let taps = match inside && shape.len() <= hallmark_graph::MAX_RANK {
            true => {
                let axes = (0..shape.len() - 1)
                    .map(|a| match a.cmp(&axis) {
                        std::cmp::Ordering::Less => straight(a),
                        std::cmp::Ordering::Greater => straight(a + 1),
                        std::cmp::Ordering::Equal => AxisMap::Affine {
                            offset: 0,
                            terms: vec![
                                (axis as u8, window.stride as i32),
                                (axis as u8 + 1, window.dilation as i32),
                            ],
                        },
                    })
                    .collect();
                b.view(&x, axes, shape)?
            }
            false => {
                // A tap in the padding repeats the nearest tap of its window that is inside:
                // the maximum stays the same.
                let mut indices = Vec::with_capacity(window.count * window.kernel);
                for out in 0..window.count {
                    let place = |tap: usize| {
                        (out * window.stride + tap * window.dilation) as i64 - window.before as i64
                    };
                    let taps = 0..window.kernel;
                    let own: Vec<i64> = taps
                        .map(place)
                        .filter(|at| (0..dim as i64).contains(at))
                        .collect();
                    let (Some(&first), Some(&last)) = (own.first(), own.last()) else {
                        return Err(n.refuse("a window lies in the padding alone"));
                    };
                    for tap in 0..window.kernel {
                        indices.push(place(tap).clamp(first, last) as i32);
                    }
                }
                let flat = b.take(&x, axis, indices)?;
                b.reshape(&flat, shape)?
            }
        };
        x = b.max(&taps, &[axis + 1])?;
    }
    Ok(x)
}

fn average_pool(b: &mut Builder, n: &Node<'_>) -> Made {
    let windows = pool_windows(b, n)?;
    let include = n.flag("count_include_pad", false);
    let x = n.operand(0)?;
    let whole = b.shape(x);
    let full: usize = windows.iter().map(|w| w.kernel).product();
    let mut counts = vec![1f64];
    for (window, &dim) in windows.iter().zip(&whole[2..]) {
        // Taps that count: inside, or in the declared padding too.
        let (lo, hi) = match include {
            true => (-(window.before as i64), (dim + window.after) as i64),
            false => (0, dim as i64),
        };
        let own: Vec<f64> = (0..window.count)
            .map(|out| {
                let taps = (0..window.kernel).filter(|tap| {
                    let at = (out * window.stride + tap * window.dilation) as i64;
                    (lo..hi).contains(&(at - window.before as i64))
                });
                taps.count() as f64
            })
            .collect();
        counts = counts
            .iter()
            .flat_map(|c| own.iter().map(move |o| c * o))
            .collect();
    }
    let x = window_sums(b, x, &windows)?;
    if counts.iter().all(|&count| count == full as f64) {
        return b.affine(&x, 1.0 / full as f64, 0.0);
    }
    if counts.contains(&0.0) {
        return Err(n.refuse("a window lies in the padding alone"));
    }
    let dims = windows.iter().map(|w| w.count).collect();
    let inverse = b.floats(dims, counts.iter().map(|c| (1.0 / c) as f32).collect());
    b.mul(&x, &inverse)
}

/// Sums of windows over the spatial axes; what lies outside is 0.
fn window_sums(b: &mut Builder, x: &Operand, windows: &[Window]) -> Made {
    let mut x = x.clone();
    for (index, window) in windows.iter().enumerate() {
        let axis = 2 + index;
        if window.kernel == 1 && window.before == 0 {
            x = b.slice(&x, axis, (0, window.stride as i64, window.count))?;
            continue;
        }
        let mut shape = b.shape(&x);
        shape[axis] = window.count;
        shape.insert(axis + 1, window.kernel);
        let axes = (0..shape.len() - 1)
            .map(|a| match a.cmp(&axis) {
                std::cmp::Ordering::Less => straight(a),
                std::cmp::Ordering::Greater => straight(a + 1),
                std::cmp::Ordering::Equal => {
                    let mut map = strided(-(window.before as i32), axis, window.stride as i32);
                    if let AxisMap::Affine { terms, .. } = &mut map {
                        terms.push((axis as u8 + 1, window.dilation as i32));
                    }
                    map
                }
            })
            .collect();
        let taps = b.view(&x, axes, shape)?;
        x = b.sum(&taps, &[axis + 1])?;
    }
    Ok(x)
}

/// `p` of a norm, at least 1.
fn norm_exponent(n: &Node<'_>) -> Result<i64, ImportError> {
    match n.int("p", 2) {
        p if (1..=16).contains(&p) => Ok(p),
        p => Err(n.refuse(format!("p = {p} is not supported, only 1 to 16"))),
    }
}

/// `(Σ |x|^p)^(1/p)` over a window.
fn lp_pool(b: &mut Builder, n: &Node<'_>) -> Made {
    let p = norm_exponent(n)?;
    let windows = pool_windows(b, n)?;
    lp_norm(b, n.operand(0)?, p, |b, x| window_sums(b, x, &windows))
}

fn global_lp(b: &mut Builder, n: &Node<'_>) -> Made {
    let p = norm_exponent(n)?;
    global(b, n, |b, x, axes| lp_norm(b, x, p, |b, x| b.sum(x, axes)))
}

fn lp_norm(
    b: &mut Builder,
    x: &Operand,
    p: i64,
    sum: impl FnOnce(&mut Builder, &Operand) -> Made,
) -> Made {
    let power = match p {
        1 => b.unary(x, Function::Abs)?,
        2 => b.mul(x, x)?,
        _ => {
            let magnitude = b.unary(x, Function::Abs)?;
            let exponent = p as f64;
            b.unary(&magnitude, Function::Pow { exponent })?
        }
    };
    let sum = sum(b, &power)?;
    match p {
        1 => Ok(sum),
        2 => b.unary(&sum, Function::Sqrt),
        _ => {
            let exponent = 1.0 / p as f64;
            b.unary(&sum, Function::Pow { exponent })
        }
    }
}
