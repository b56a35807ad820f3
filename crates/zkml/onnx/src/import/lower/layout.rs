//! Operators that move elements, and those that are constants once shapes are known.

use super::{Lowered, one};
use crate::ImportError;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::tensor::{Kind, MAX_CONSTANT, Tensor, elements};
use crate::import::view::straight;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "Reshape" => one(reshape(b, n)),
        "Flatten" => one(flatten(b, n)),
        "Squeeze" => one(squeeze(b, n)),
        "Unsqueeze" => one(unsqueeze(b, n)),
        "Transpose" => one(transpose(b, n)),
        "Expand" => one(expand(b, n)),
        "Tile" => one(tile(b, n)),
        "Concat" => one(concat(b, n)),
        "Slice" => one(slice(b, n)),
        "Split" => split(b, n),
        "Pad" => one(pad(b, n)),
        "DepthToSpace" => one(depth_to_space(b, n)),
        "SpaceToDepth" => one(space_to_depth(b, n)),
        "Trilu" => one(trilu(b, n)),
        "Constant" => one(constant(n)),
        "ConstantOfShape" => one(constant_of_shape(b, n)),
        "Shape" => one(shape(b, n)),
        "Size" => one(n.operand(0).map(|x| {
            let count: usize = b.shape(x).iter().product();
            integers(vec![], vec![count as f64])
        })),
        "Range" => one(range(n)),
        "EyeLike" => one(eye(b, n)),
        _ => return None,
    })
}

pub(super) fn integers(dims: Vec<usize>, values: Vec<f64>) -> Operand {
    Operand::constant(Tensor::wide(dims, values), Kind::Signed(64))
}

fn reshape(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let from = b.shape(x);
    let target = match n.ints("shape") {
        Some(shape) => shape.to_vec(),
        None => n.list(1)?,
    };
    let allow_zero = n.flag("allowzero", false);
    let mut shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (index, &dim) in target.iter().enumerate() {
        shape.push(match dim {
            -1 if open.is_none() => {
                open = Some(index);
                1
            }
            0 if !allow_zero => *from
                .get(index)
                .ok_or_else(|| n.refuse(format!("dimension {index} copies none")))?,
            _ => {
                usize::try_from(dim).map_err(|_| n.refuse(format!("dimension {index} is {dim}")))?
            }
        });
    }
    if let Some(index) = open {
        shape[index] = match (elements(&from), elements(&shape)) {
            (Some(all), Some(known)) if known > 0 && all % known == 0 => all / known,
            _ => return Err(n.refuse(format!("{from:?} cannot become {target:?}"))),
        };
    }
    b.reshape(x, shape)
}

fn flatten(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let from = b.shape(x);
    let cut = match n.int("axis", 1) {
        whole if whole == from.len() as i64 => from.len(),
        other => n.axis(other, from.len())?,
    };
    let (outer, inner) = from.split_at(cut);
    b.reshape(x, vec![outer.iter().product(), inner.iter().product()])
}

fn squeeze(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let from = b.shape(x);
    let axes = match n.list_or(1, "axes")? {
        Some(axes) => n.axes(&axes, from.len())?,
        None => (0..from.len()).filter(|&axis| from[axis] == 1).collect(),
    };
    if let Some(&axis) = axes.iter().find(|&&axis| from[axis] != 1) {
        return Err(n.refuse(format!("axis {axis} of {from:?} is not 1")));
    }
    b.reshape(x, crate::import::ops::without(&from, &axes))
}

fn unsqueeze(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let from = b.shape(x);
    let axes = n.list_or(1, "axes")?.unwrap_or_default();
    if axes.len() + from.len() > crate::import::tensor::MAX_CONSTANT_RANK {
        return Err(n.refuse("has too many axes"));
    }
    let rank = from.len() + axes.len();
    let axes = n.axes(&axes, rank)?;
    let mut rest = from.iter();
    let shape = (0..rank)
        .filter_map(|axis| match axes.contains(&axis) {
            true => Some(1),
            false => rest.next().copied(),
        })
        .collect();
    b.reshape(x, shape)
}

fn transpose(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let rank = b.rank(x);
    let order = match n.ints("perm") {
        Some(perm) => perm
            .iter()
            .map(|&axis| n.axis(axis, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(n.refuse(format!("{order:?} is no order of {rank} axes")));
    }
    b.permute(x, &order)
}

fn dims(n: &Node<'_>, list: &[i64]) -> Result<Vec<usize>, ImportError> {
    let dims: Option<Vec<usize>> = list.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    dims.filter(|dims| elements(dims).is_some() && dims.len() <= 8)
        .ok_or_else(|| n.refuse(format!("the shape {list:?} is negative or too large")))
}

fn expand(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let target = dims(n, &n.list(1)?)?;
    let like = Operand::constant(
        Tensor {
            dims: target,
            data: crate::import::tensor::Data::Wide([].into()),
        },
        x.kind,
    );
    let shape = b.common(&[x, &like])?;
    b.broadcast(x, &shape)
}

fn tile(b: &mut Builder, n: &Node<'_>) -> Made {
    let mut x = n.operand(0)?.clone();
    let repeats = dims(n, &n.list(1)?)?;
    let from = b.shape(&x);
    if repeats.len() != from.len() {
        return Err(n.refuse(format!("{repeats:?} does not fit {from:?}")));
    }
    for (axis, &times) in repeats.iter().enumerate() {
        if times != 1 {
            x = repeat(b, &x, axis, times)?;
        }
    }
    Ok(x)
}

/// The whole axis, several times.
pub(super) fn repeat(b: &mut Builder, x: &Operand, axis: usize, times: usize) -> Made {
    let from = b.shape(x);
    let total = from[axis].checked_mul(times).filter(|&t| t <= 1 << 26);
    let Some(total) = total else {
        return Err(b.refuse("repeats too often"));
    };
    let mut target = from.clone();
    target[axis] = total;
    if from.len() >= 8 || from[axis] == 1 {
        let indices = (0..total)
            .map(|at| (at % from[axis].max(1)) as i32)
            .collect();
        return b.take(x, axis, indices);
    }
    let axes = (0..from.len())
        .map(|a| straight(if a < axis { a } else { a + 1 }))
        .collect();
    let mut wide = from.clone();
    wide.insert(axis, times);
    let wide = b.view(x, axes, wide)?;
    b.reshape(&wide, target)
}

fn concat(b: &mut Builder, n: &Node<'_>) -> Made {
    let mut pieces = Vec::new();
    for index in 0..n.operands.len() {
        pieces.push(n.operand(index)?.clone());
    }
    let first = n.operand(0)?;
    let axis = n.axis(n.int("axis", 1), b.rank(first))?;
    b.concat(&pieces, axis)
}

fn slice(b: &mut Builder, n: &Node<'_>) -> Made {
    let mut x = n.operand(0)?.clone();
    let rank = b.rank(&x);
    let starts = n.list_or(1, "starts")?.unwrap_or_default();
    let ends = n.list_or(2, "ends")?.unwrap_or_default();
    let axes = match n.list_or(3, "axes")? {
        Some(axes) => axes,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = n.maybe_list(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(n.refuse("its starts, ends, axes and steps differ in number"));
    }
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = n.axis(axis, rank)?;
        let dim = b.shape(&x)[axis] as i64;
        if step == 0 {
            return Err(n.refuse("a step is 0"));
        }
        let wrap = |at: i64| if at < 0 { at.saturating_add(dim) } else { at };
        let (lo, hi) = if step > 0 { (0, dim) } else { (-1, dim - 1) };
        let start = wrap(start).clamp(lo.max(0), hi);
        let end = match end {
            end if end < 0 && step < 0 && wrap(end) < 0 => -1,
            end => wrap(end).clamp(lo, hi),
        };
        let span = if step > 0 { end - start } else { start - end };
        let count = match span {
            span if span <= 0 => 0,
            span => 1 + (span - 1) / step.unsigned_abs().min(i64::MAX as u64) as i64,
        };
        if start == 0 && step == 1 && count == dim {
            continue;
        }
        let step = if count <= 1 { 1 } else { step };
        x = b.slice(&x, axis, (start, step, count as usize))?;
    }
    Ok(x)
}

fn split(b: &mut Builder, n: &Node<'_>) -> Lowered {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let axis = n.axis(n.int("axis", 0), shape.len())?;
    let parts = n.maybe_int("num_outputs").unwrap_or(n.outputs as i64);
    let sizes = match n.list_or(1, "split")? {
        Some(sizes) => sizes,
        None => {
            if parts < 1 || parts > shape[axis] as i64 {
                return Err(n.refuse(format!("cannot split {} in {parts}", shape[axis])));
            }
            let piece = (shape[axis] as i64 + parts - 1) / parts;
            let whole = |i: i64| (shape[axis] as i64 - i * piece).clamp(0, piece);
            (0..parts).map(whole).collect()
        }
    };
    let sum = sizes.iter().try_fold(0i64, |sum, &size| {
        sum.checked_add(size).filter(|_| size >= 0)
    });
    if sum != Some(shape[axis] as i64) || sizes.len() < n.outputs {
        return Err(n.refuse(format!("{sizes:?} does not split {}", shape[axis])));
    }
    let mut start = 0;
    let mut pieces = Vec::new();
    for size in sizes {
        pieces.push(b.slice(x, axis, (start, 1, size as usize))?);
        start += size;
    }
    Ok(pieces)
}

fn pad(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?.clone();
    let shape = b.shape(&x);
    let pads = match n.list_or(1, "pads")? {
        Some(pads) => pads,
        None => return Err(n.refuse("has no pads")),
    };
    let mode = n.string("mode", "constant");
    let value = match (n.maybe_float("value"), n.maybe(2)) {
        (Some(value), _) => value,
        (None, Some(_)) => n.number(2)?,
        (None, None) => 0.0,
    };
    let axes = match n.maybe_list(3)? {
        Some(axes) => axes
            .iter()
            .map(|&axis| n.axis(axis, shape.len()))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..shape.len()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(n.refuse(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let mut padded = x.clone();
    let mut mask = None;
    for (index, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[index], pads[axes.len() + index]);
        if before == 0 && after == 0 {
            continue;
        }
        let dim = shape[axis] as i64;
        let count = dim.saturating_add(before).saturating_add(after);
        if !(0..1 << 26).contains(&count) || before.abs() > 1 << 26 {
            return Err(n.refuse(format!("pads {before} and {after} are too large")));
        }
        let count = count as usize;
        if mode == "constant" {
            padded = b.slice(&padded, axis, (-before, 1, count))?;
            if value != 0.0 {
                let inside = |at: &usize| (0..dim).contains(&(*at as i64 - before));
                let own: Vec<f32> = (0..count)
                    .map(|at| f32::from(u8::from(inside(&at))))
                    .collect();
                let mut dims = vec![1; shape.len()];
                dims[axis] = count;
                let own = b.floats(dims, own);
                mask = Some(match mask {
                    Some(mask) => b.mul(&mask, &own)?,
                    None => own,
                });
            }
            continue;
        }
        let indices: Option<Vec<i32>> = (0..count as i64)
            .map(|at| reflected(at - before, dim, mode))
            .collect();
        let indices = indices.ok_or_else(|| n.refuse(format!("cannot pad by {mode:?}")))?;
        padded = b.take(&padded, axis, indices)?;
    }
    match mask {
        Some(mask) => {
            let fill = b.affine(&mask, -value, value)?;
            b.add(&padded, &fill)
        }
        None => Ok(padded),
    }
}

/// Where a position outside an axis is read.
fn reflected(at: i64, dim: i64, mode: &str) -> Option<i32> {
    if dim == 0 {
        return None;
    }
    let inside = match mode {
        "edge" => at.clamp(0, dim - 1),
        "wrap" => at.rem_euclid(dim),
        "reflect" if dim == 1 => 0,
        "reflect" => {
            let period = 2 * (dim - 1);
            let at = at.rem_euclid(period);
            at.min(period - at)
        }
        _ => return None,
    };
    i32::try_from(inside).ok()
}

/// Axes `[n, c, h, w]` and a block that divides them.
fn blocks(b: &Builder, n: &Node<'_>) -> Result<([usize; 4], usize), ImportError> {
    let shape = b.shape(n.operand(0)?);
    let block = usize::try_from(n.int("blocksize", 0))
        .ok()
        .filter(|&s| s > 0 && s < 1 << 16);
    match (shape[..].try_into(), block) {
        (Ok(shape), Some(block)) => Ok((shape, block)),
        _ => Err(n.refuse(format!("cannot take blocks of {shape:?}"))),
    }
}

fn depth_to_space(b: &mut Builder, n: &Node<'_>) -> Made {
    let ([batch, c, h, w], s) = blocks(b, n)?;
    let x = n.operand(0)?;
    if c % (s * s) != 0 {
        return Err(n.refuse(format!("{c} channels do not fit blocks of {s}")));
    }
    let c = c / (s * s);
    let (wide, order) = match n.string("mode", "DCR") {
        "DCR" => (vec![batch, s, s, c, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => (vec![batch, c, s, s, h, w], [0, 1, 4, 2, 5, 3]),
        mode => return Err(n.refuse(format!("mode {mode:?} is not supported"))),
    };
    let wide = b.reshape(x, wide)?;
    let moved = b.permute(&wide, &order)?;
    b.reshape(&moved, vec![batch, c, h * s, w * s])
}

fn space_to_depth(b: &mut Builder, n: &Node<'_>) -> Made {
    let ([batch, c, h, w], s) = blocks(b, n)?;
    let x = n.operand(0)?;
    if h % s != 0 || w % s != 0 {
        return Err(n.refuse(format!("{h} x {w} does not fit blocks of {s}")));
    }
    let wide = b.reshape(x, vec![batch, c, h / s, s, w / s, s])?;
    let moved = b.permute(&wide, &[0, 3, 5, 1, 2, 4])?;
    b.reshape(&moved, vec![batch, c * s * s, h / s, w / s])
}

fn trilu(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let upper = n.flag("upper", true);
    let k = match n.maybe(1) {
        Some(_) => n.number(1)? as i64,
        None => 0,
    };
    let shape = b.shape(x);
    let [.., rows, columns] = shape[..] else {
        return Err(n.refuse("needs a matrix"));
    };
    let mut mask = Vec::with_capacity(rows.saturating_mul(columns).min(MAX_CONSTANT));
    for row in 0..rows as i64 {
        for column in 0..columns as i64 {
            let kept = match upper {
                true => column - row >= k,
                false => column - row <= k,
            };
            mask.push(f32::from(u8::from(kept)));
        }
    }
    let mask = b.floats(vec![rows, columns], mask);
    let infinite = x
        .tensor()
        .is_some_and(|t| (0..t.len()).any(|at| t.get(at).is_infinite()));
    if infinite {
        let zero = b.scalar(0.0);
        let c = b.broadcast(&mask, &shape)?;
        let (Some(c), Some(t)) = (c.tensor(), x.tensor()) else {
            return b.choose(&mask, x, &zero);
        };
        let values = (0..t.len()).map(|at| if c.get(at) != 0.0 { t.get(at) } else { 0.0 });
        return Ok(Operand::constant(
            Tensor::wide(shape, values.collect()),
            x.kind,
        ));
    }
    b.mul(x, &mask)
}

fn constant(n: &Node<'_>) -> Made {
    if let Some((tensor, kind)) = n.tensor("value")? {
        return Ok(Operand::constant(tensor, kind));
    }
    let float = |dims: Vec<usize>, values: &[f32]| {
        Operand::constant(Tensor::floats(dims, values.to_vec()), Kind::Float)
    };
    if let Some(value) = n.maybe_float("value_float") {
        return Ok(float(vec![], &[value as f32]));
    }
    if let Some(values) = n.floats("value_floats") {
        return Ok(float(vec![values.len()], values));
    }
    if let Some(value) = n.maybe_int("value_int") {
        return Ok(integers(vec![], vec![value as f64]));
    }
    if let Some(values) = n.ints("value_ints") {
        let values: Vec<f64> = values.iter().map(|&v| v as f64).collect();
        return Ok(integers(vec![values.len()], values));
    }
    Err(n.refuse("has no tensor as its value"))
}

fn constant_of_shape(b: &Builder, n: &Node<'_>) -> Made {
    let shape = dims(n, &n.list(0)?)?;
    let (value, kind) = match n.tensor("value")? {
        Some((tensor, kind)) if tensor.len() == 1 => (tensor.get(0), kind),
        Some(_) => return Err(n.refuse("its value is not one number")),
        None => (0.0, Kind::Float),
    };
    match kind {
        Kind::Float => b.filled(&shape, value),
        _ => {
            let count = elements(&shape).unwrap_or(0);
            Ok(Operand::constant(
                Tensor::wide(shape, vec![value; count]),
                kind,
            ))
        }
    }
}

fn shape(b: &Builder, n: &Node<'_>) -> Made {
    let shape = b.shape(n.operand(0)?);
    let rank = shape.len() as i64;
    let bound =
        |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (bound(n.int("start", 0)), bound(n.int("end", rank)));
    let part: Vec<f64> = shape
        .get(start..end)
        .unwrap_or(&[])
        .iter()
        .map(|&d| d as f64)
        .collect();
    Ok(integers(vec![part.len()], part))
}

fn range(n: &Node<'_>) -> Made {
    let (start, limit, step) = (n.number(0)?, n.number(1)?, n.number(2)?);
    let count = ((limit - start) / step).ceil().max(0.0);
    if !count.is_finite() || count > (1 << 26) as f64 {
        return Err(n.refuse(format!("from {start} to {limit} by {step} is too long")));
    }
    let values: Vec<f64> = (0..count as usize)
        .map(|i| start + step * i as f64)
        .collect();
    let kind = n.operand(0)?.kind;
    let tensor = match kind {
        Kind::Float => Tensor::floats(
            vec![values.len()],
            values.iter().map(|&v| v as f32).collect(),
        ),
        _ => Tensor::wide(vec![values.len()], values),
    };
    Ok(Operand::constant(tensor, kind))
}

fn eye(b: &Builder, n: &Node<'_>) -> Made {
    n.ignore(&["dtype"]);
    let shape = b.shape(n.operand(0)?);
    let [rows, columns] = shape[..] else {
        return Err(n.refuse("needs a matrix"));
    };
    let k = n.int("k", 0);
    let mut values = vec![0f32; rows.saturating_mul(columns).min(MAX_CONSTANT)];
    for row in 0..rows {
        let column = (row as i64).saturating_add(k);
        if (0..columns as i64).contains(&column) {
            values[row * columns + column as usize] = 1.0;
        }
    }
    Ok(b.floats(shape, values))
}
