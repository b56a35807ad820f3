//! Convolutions as patches times a constant matrix.

use hallmark_graph::AxisMap;

use super::{Lowered, one};
use crate::ImportError;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::view::{fixed, straight};

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "Conv" => one(conv(b, n)),
        "ConvTranspose" => one(conv_transpose(b, n)),
        _ => return None,
    })
}

/// How a window moves along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) before: usize,
    pub(super) after: usize,
    /// Positions of the result.
    pub(super) count: usize,
}

/// Reads strides, pads and dilations for the spatial axes of lengths `dims`.
pub(super) fn windows(
    n: &Node<'_>,
    dims: &[usize],
    kernel: &[usize],
    ceil: bool,
) -> Result<Vec<Window>, ImportError> {
    let axes = dims.len();
    let numbers =
        |name: &'static str, count: usize, default: i64| -> Result<Vec<usize>, ImportError> {
            let list = match n.ints(name) {
                Some(list) => list.to_vec(),
                None => vec![default; count],
            };
            let numbers: Vec<usize> = list
                .iter()
                .filter_map(|&v| usize::try_from(v).ok().filter(|&v| v < 1 << 20))
                .collect();
            match numbers.len() == count && list.len() == count {
                true => Ok(numbers),
                false => Err(n.refuse(format!("{name} {list:?} does not fit {axes} axes"))),
            }
        };
    let strides = numbers("strides", axes, 1)?;
    let dilations = numbers("dilations", axes, 1)?;
    let pads = numbers("pads", 2 * axes, 0)?;
    let auto = n.string("auto_pad", "NOTSET");
    if kernel.len() != axes {
        return Err(n.refuse(format!("a kernel {kernel:?} does not fit {axes} axes")));
    }
    (0..axes)
        .map(|axis| {
            let (stride, dilation) = (strides[axis], dilations[axis]);
            if stride == 0 || dilation == 0 || kernel[axis] == 0 || kernel[axis] > 1 << 20 {
                return Err(n.refuse("a kernel, stride or dilation is 0"));
            }
            let span = dilation * (kernel[axis] - 1) + 1;
            let (before, after) = match auto {
                "NOTSET" | "" => (pads[axis], pads[axes + axis]),
                "VALID" => (0, 0),
                "SAME_UPPER" | "SAME_LOWER" => {
                    let positions = dims[axis].div_ceil(stride);
                    let total = ((positions - 1) * stride + span).saturating_sub(dims[axis]);
                    let less = total / 2;
                    match auto {
                        "SAME_UPPER" => (less, total - less),
                        _ => (total - less, less),
                    }
                }
                other => return Err(n.refuse(format!("auto_pad {other:?} is not supported"))),
            };
            let room = (dims[axis] + before + after).checked_sub(span);
            let Some(room) = room else {
                return Err(n.refuse(format!(
                    "a kernel of {span} does not fit {} with its padding",
                    dims[axis]
                )));
            };
            let mut count = room / stride + 1;
            // A last window that overhangs must begin before the padding at the end.
            if ceil && !room.is_multiple_of(stride) && count * stride < dims[axis] + before {
                count += 1;
            }
            Ok(Window {
                kernel: kernel[axis],
                stride,
                dilation,
                before,
                after,
                count,
            })
        })
        .collect()
}

fn conv(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?.clone();
    let w = n.operand(1)?.clone();
    let made = convolve(b, n, &x, &w, n.maybe(2).cloned().as_ref())?;
    Ok(made)
}

/// A convolution of `x[N, C, …]` with `w[M, C/g, …]`.
pub(super) fn convolve(
    b: &mut Builder,
    n: &Node<'_>,
    x: &Operand,
    w: &Operand,
    bias: Option<&Operand>,
) -> Made {
    let (shape, weight) = (b.shape(x), b.shape(w));
    if shape.len() < 3 || weight.len() != shape.len() {
        return Err(n.refuse(format!("cannot convolve {shape:?} with {weight:?}")));
    }
    let kernel = &weight[2..];
    if let Some(declared) = n.ints("kernel_shape")
        && !declared
            .iter()
            .copied()
            .eq(kernel.iter().map(|&k| k as i64))
    {
        return Err(n.refuse(format!("kernel_shape {declared:?} is not {kernel:?}")));
    }
    let groups = usize::try_from(n.int("group", 1)).unwrap_or(0);
    let windows = windows(n, &shape[2..], kernel, false)?;
    patches_times(b, x, w, bias, groups, &windows)
}

fn patches_times(
    b: &mut Builder,
    x: &Operand,
    w: &Operand,
    bias: Option<&Operand>,
    groups: usize,
    windows: &[Window],
) -> Made {
    let (shape, weight) = (b.shape(x), b.shape(w));
    let (batch, channels) = (shape[0], shape[1]);
    let (filters, inner) = (weight[0], weight[1]);
    let fits = groups > 0
        && inner.checked_mul(groups) == Some(channels)
        && filters.is_multiple_of(groups)
        && filters > 0;
    if !fits {
        return Err(b.refuse(format!(
            "{shape:?} in {groups} groups does not fit weights {weight:?}"
        )));
    }
    let spatial = windows.len();
    let grouped = usize::from(groups > 1);
    // Patches [g?, n?, o…, c?, k…]; axes of length 1 are left out where the rank demands it.
    let keep_batch = batch > 1 || grouped + 2 + 2 * spatial <= hallmark_graph::MAX_RANK;
    let kernels: Vec<usize> = (0..spatial).filter(|&i| windows[i].kernel > 1).collect();
    let mut patch = Vec::new();
    if groups > 1 {
        patch.push(groups);
    }
    let batch_axis = patch.len();
    if keep_batch {
        patch.push(batch);
    }
    let first_out = patch.len();
    patch.extend(windows.iter().map(|w| w.count));
    let channel_axis = patch.len();
    patch.push(inner);
    let first_kernel = patch.len();
    patch.extend(kernels.iter().map(|&i| windows[i].kernel));
    let mut axes = vec![match keep_batch {
        true => straight(batch_axis),
        false => fixed(0),
    }];
    let mut terms = Vec::new();
    if groups > 1 {
        terms.push((0u8, inner as i32));
    }
    if inner > 1 || groups == 1 {
        terms.push((channel_axis as u8, 1));
    }
    axes.push(AxisMap::Affine { offset: 0, terms });
    for (axis, window) in windows.iter().enumerate() {
        let mut terms = vec![((first_out + axis) as u8, window.stride as i32)];
        if let Some(place) = kernels.iter().position(|&i| i == axis) {
            terms.push(((first_kernel + place) as u8, window.dilation as i32));
        }
        axes.push(AxisMap::Affine {
            offset: -(window.before as i32),
            terms,
        });
    }
    let patches = b.view(x, axes, patch)?;

    // Weights [g?, c, k…, m].
    let per_group = filters / groups;
    let mut split = Vec::new();
    if groups > 1 {
        split.push(groups);
    }
    split.push(per_group);
    split.push(inner);
    split.extend(kernels.iter().map(|&i| windows[i].kernel));
    let rank = split.len();
    let w = b.reshape(w, split)?;
    let mut order: Vec<usize> = (0..grouped).collect();
    order.extend(grouped + 1..rank);
    order.push(grouped);
    let w = b.permute(&w, &order)?;
    let made = b.product(&patches, &w, grouped, 1 + kernels.len())?;
    let made = match bias {
        Some(bias) => {
            let mut dims = vec![1; b.rank(&made)];
            if let Some(last) = dims.last_mut() {
                *last = per_group;
            }
            if groups > 1 {
                dims[0] = groups;
            }
            let bias = b.reshape(bias, dims)?;
            b.add(&made, &bias)?
        }
        None => made,
    };
    // [g?, n?, o…, m] to [n, g, m, o…].
    let rank = b.rank(&made);
    let mut order = Vec::with_capacity(rank);
    if keep_batch {
        order.push(batch_axis);
    }
    order.extend(0..grouped);
    order.push(rank - 1);
    order.extend(first_out..first_out + spatial);
    let made = b.permute(&made, &order)?;
    let mut result = vec![batch, filters];
    result.extend(windows.iter().map(|w| w.count));
    b.reshape(&made, result)
}

/// Zeros between the elements of `x`, then a convolution with the mirrored kernel.
fn conv_transpose(b: &mut Builder, n: &Node<'_>) -> Made {
    let mut x = n.operand(0)?.clone();
    let w = n.operand(1)?.clone();
    let (shape, weight) = (b.shape(&x), b.shape(&w));
    let groups = usize::try_from(n.int("group", 1)).unwrap_or(0);
    if shape.len() < 3
        || weight.len() != shape.len()
        || groups == 0
        || weight[0] != shape[1]
        || !shape[1].is_multiple_of(groups)
    {
        return Err(n.refuse(format!("cannot convolve {shape:?} with {weight:?}")));
    }
    n.ignore(&["kernel_shape"]);
    let spatial = shape.len() - 2;
    let list = |name: &'static str, default: usize| -> Result<Vec<usize>, ImportError> {
        let Some(list) = n.ints(name) else {
            return Ok(vec![default; spatial]);
        };
        let numbers: Option<Vec<usize>> = list
            .iter()
            .map(|&v| usize::try_from(v).ok().filter(|&v| v < 1 << 20))
            .collect();
        numbers
            .filter(|numbers| numbers.len() == spatial)
            .ok_or_else(|| n.refuse(format!("{name} {list:?} does not fit {spatial} axes")))
    };
    let (strides, dilations) = (list("strides", 1)?, list("dilations", 1)?);
    let extra = list("output_padding", 0)?;
    let pads = match n.ints("pads") {
        Some(pads) if pads.len() == 2 * spatial => pads.to_vec(),
        Some(pads) => return Err(n.refuse(format!("pads {pads:?} do not fit"))),
        None => vec![0; 2 * spatial],
    };
    let wanted = n.ints("output_shape");
    let auto = n.string("auto_pad", "NOTSET");
    let mut windows = Vec::new();
    for axis in 0..spatial {
        let (stride, dilation) = (strides[axis] as i64, dilations[axis] as i64);
        if stride == 0 || dilation == 0 || weight[2 + axis] == 0 {
            return Err(n.refuse("a kernel, stride or dilation is 0"));
        }
        let span = dilation * (weight[2 + axis] as i64 - 1) + 1;
        let full = stride * (shape[2 + axis] as i64 - 1) + span + extra[axis] as i64;
        let size = match (wanted, auto) {
            (Some(wanted), _) => wanted
                .get(wanted.len().wrapping_sub(spatial) + axis)
                .copied(),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(stride * shape[2 + axis] as i64),
            _ => None,
        };
        let (before, after) = match size {
            Some(size) => {
                let total = (full - size).max(0);
                let before = match auto {
                    "SAME_UPPER" => total / 2,
                    _ => total - total / 2,
                };
                (before, full - size - before)
            }
            None => (pads[axis], pads[spatial + axis]),
        };
        let count = full - before - after;
        let most = 1i64 << 24;
        if !(1..most).contains(&count) || before.abs() > most {
            return Err(n.refuse(format!("a result of {count} is empty or too large")));
        }
        // Position j of the stuffed axis holds element j/stride.
        let stuffed = stride * (shape[2 + axis] as i64 - 1) + 1;
        if stride > 1 {
            let indices = (0..stuffed)
                .map(|at| {
                    if at % stride == 0 {
                        (at / stride) as i32
                    } else {
                        -1
                    }
                })
                .collect();
            x = b.take(&x, 2 + axis, indices)?;
        }
        windows.push((
            Window {
                kernel: weight[2 + axis],
                stride: 1,
                dilation: dilation as usize,
                before: 0,
                after: 0,
                count: count as usize,
            },
            span - 1 - before,
        ));
    }
    // Weights [C, M/g, k…] to [M, C/g, mirrored k…].
    let mut split = vec![groups, shape[1] / groups];
    split.extend(&weight[1..]);
    let mut order = vec![0, 2, 1];
    order.extend(3..split.len());
    let mut target = vec![groups * weight[1], shape[1] / groups];
    target.extend(&weight[2..]);
    let wide = b.reshape(&w, split)?;
    let wide = b.permute(&wide, &order)?;
    let mut w = b.reshape(&wide, target)?;
    for axis in 0..spatial {
        let length = weight[2 + axis];
        w = b.slice(&w, 2 + axis, (length as i64 - 1, -1, length))?;
    }
    // A crop beyond the kernel is a slice; padding is the window's own.
    for (axis, (window, before)) in windows.iter_mut().enumerate() {
        match usize::try_from(*before) {
            Ok(before) => window.before = before,
            Err(_) => {
                let length = b.shape(&x)[2 + axis];
                let cut = before.unsigned_abs() as usize;
                let rest = length.saturating_sub(cut);
                if rest == 0 {
                    return Err(n.refuse("crops everything"));
                }
                x = b.slice(&x, 2 + axis, (cut as i64, 1, rest))?;
            }
        }
    }
    let windows: Vec<Window> = windows.into_iter().map(|(window, _)| window).collect();
    let bias = n.maybe(2).cloned();
    patches_times(b, &x, &w, bias.as_ref(), groups, &windows)
}
