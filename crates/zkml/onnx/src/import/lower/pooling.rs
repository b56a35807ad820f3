//! Pooling: windows along one axis after the other.

use hallmark_graph::AxisMap;

use super::convolution::{Window, windows};
use super::{Lowered, one};
use crate::ImportError;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::view::{straight, strided};

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "MaxPool" => one(max_pool(b, n)),
        "AveragePool" => one(average_pool(b, n)),
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
    let mut x = n.operand(0)?.clone();
    let whole = b.shape(&x);
    let full: usize = windows.iter().map(|w| w.kernel).product();
    let mut counts = vec![1f64];
    for (index, window) in windows.iter().enumerate() {
        let axis = 2 + index;
        let (mut shape, dim) = (b.shape(&x), whole[axis]);
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
        if window.kernel == 1 && window.before == 0 {
            x = b.slice(&x, axis, (0, window.stride as i64, window.count))?;
            continue;
        }
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
