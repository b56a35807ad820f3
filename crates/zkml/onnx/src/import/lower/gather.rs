//! Reading and writing at indices: by lists where they are constants, by one-hot products where
//! they are computed.

use super::{Lowered, one};
use crate::FloatOp;
use crate::ImportError;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::tensor::{Kind, Tensor, elements};
use crate::import::view::{fixed, straight};

/// Longest axis that a computed index may choose from.
const MAX_DEPTH: usize = 1 << 16;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "Gather" => one(gather(b, n)),
        "GatherElements" => one(gather_elements(b, n)),
        "GatherND" => one(gather_nd(b, n)),
        "ScatterND" => one(scatter_nd(b, n)),
        "ScatterElements" | "Scatter" => one(scatter_elements(b, n)),
        "OneHot" => one(one_hot(b, n)),
        "NonZero" => one(non_zero(b, n)),
        "Compress" => one(compress(b, n)),
        "ReverseSequence" => one(reverse_sequence(b, n)),
        _ => return None,
    })
}

/// An index into an axis; negative ones count from the end.
fn index(n: &Node<'_>, value: f64, dim: usize) -> Result<usize, ImportError> {
    let at = if value < 0.0 {
        value + dim as f64
    } else {
        value
    };
    if at >= 0.0 && at < dim as f64 && at.fract() == 0.0 {
        return Ok(at as usize);
    }
    Err(n.refuse(format!("the index {value} is outside {dim} positions")))
}

fn gather(b: &mut Builder, n: &Node<'_>) -> Made {
    let (x, at) = (n.operand(0)?, n.operand(1)?);
    let axis = n.axis(n.int("axis", 0), b.rank(x))?;
    pick(b, n, x, at, axis)
}

/// Slices of `x` along an axis, chosen by indices of any shape.
pub(super) fn pick(b: &mut Builder, n: &Node<'_>, x: &Operand, at: &Operand, axis: usize) -> Made {
    let from = b.shape(x);
    let mut shape = from[..axis].to_vec();
    shape.extend(b.shape(at));
    shape.extend(&from[axis + 1..]);
    if let Some(indices) = at.tensor() {
        let indices = indices
            .values()
            .iter()
            .map(|&v| index(n, v, from[axis]).map(|at| at as i32))
            .collect::<Result<Vec<_>, _>>()?;
        if let ([one], true) = (&indices[..], indices.len() == 1 && b.rank(at) == 0) {
            let axes = (0..from.len())
                .map(|a| match a.cmp(&axis) {
                    std::cmp::Ordering::Less => straight(a),
                    std::cmp::Ordering::Equal => fixed(*one),
                    std::cmp::Ordering::Greater => straight(a - 1),
                })
                .collect();
            return b.view(x, axes, shape);
        }
        let taken = b.take(x, axis, indices)?;
        return b.reshape(&taken, shape);
    }
    let at_rank = b.rank(at);
    let hot = hot(b, n, at, from[axis])?;
    // [at…, depth] times [depth, rest…], then the index axes go where the axis was.
    let rank = from.len();
    let mut order = vec![axis];
    order.extend((0..rank).filter(|&a| a != axis));
    let table = b.permute(x, &order)?;
    let made = b.product(&hot, &table, 0, 1)?.with_kind(x.kind);
    let mut back: Vec<usize> = (at_rank..at_rank + axis).collect();
    back.extend(0..at_rank);
    back.extend(at_rank + axis..at_rank + rank - 1);
    b.permute(&made, &back)
}

/// One-hot rows of a computed index, one more axis of length `depth` at the end.
fn hot(b: &mut Builder, n: &Node<'_>, at: &Operand, depth: usize) -> Made {
    if depth > MAX_DEPTH {
        return Err(n.refuse(format!(
            "a computed index chooses among {depth}, at most {MAX_DEPTH} are supported"
        )));
    }
    let mut shape = b.shape(at);
    shape.push(depth);
    let made = b.apply(
        &[at],
        |v| FloatOp::OneHot {
            input: v[0],
            depth: depth as u32,
        },
        shape,
    )?;
    Ok(made.with_kind(Kind::Float))
}

fn flat(b: &mut Builder, x: &Operand) -> Made {
    let count = b.shape(x).iter().product();
    b.reshape(x, vec![count])
}

/// Reads positions of the flattened operand; −1 is 0.
fn take_flat(b: &mut Builder, x: &Operand, indices: Vec<i32>, shape: Vec<usize>) -> Made {
    let line = flat(b, x)?;
    let taken = b.take(&line, 0, indices)?;
    b.reshape(&taken, shape)
}

fn steps(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis];
    }
    steps
}

/// Position in a tensor of `shape` by position in the flat order.
fn place(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        place[axis] = at % shape[axis].max(1);
        at /= shape[axis].max(1);
    }
    place
}

fn gather_elements(b: &mut Builder, n: &Node<'_>) -> Made {
    let (x, at) = (n.operand(0)?, n.operand(1)?);
    let (from, shape) = (b.shape(x), b.shape(at));
    let axis = n.axis(n.int("axis", 0), from.len())?;
    let fits =
        shape.len() == from.len() && (0..from.len()).all(|a| a == axis || shape[a] <= from[a]);
    if !fits {
        return Err(n.refuse(format!("indices of shape {shape:?} do not fit {from:?}")));
    }
    if let Some(indices) = at.tensor() {
        let steps = steps(&from);
        let mut list = Vec::with_capacity(indices.len());
        for (i, value) in indices.values().into_iter().enumerate() {
            let mut place = place(i, &shape);
            place[axis] = index(n, value, from[axis])?;
            let at: usize = place.iter().zip(&steps).map(|(p, s)| p * s).sum();
            list.push(at as i32);
        }
        return take_flat(b, x, list, shape);
    }
    // Σ_d onehot[…, i, d]·x[…, d], batched over the other axes.
    let mut x = x.clone();
    for a in (0..from.len()).filter(|&a| a != axis) {
        if shape[a] != from[a] {
            x = b.slice(&x, a, (0, 1, shape[a]))?;
        }
    }
    let depth = from[axis];
    let at = at.clone();
    let rank = from.len();
    let mut order: Vec<usize> = (0..rank).filter(|&a| a != axis).collect();
    order.push(axis);
    let moved = b.permute(&x, &order)?;
    let at = b.permute(&at, &order)?;
    let hot = hot(b, n, &at, depth)?;
    let made = b.product(&hot, &moved, rank - 1, 1)?.with_kind(x.kind);
    let mut back: Vec<usize> = (0..rank - 1).collect();
    back.insert(axis, rank - 1);
    b.permute(&made, &back)
}

fn gather_nd(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let (from, shape) = (b.shape(x), b.shape(n.operand(1)?));
    let indices = n.constant(1)?.clone();
    let batch = usize::try_from(n.int("batch_dims", 0)).unwrap_or(usize::MAX);
    let depth = shape.last().copied().unwrap_or(0);
    let fits = batch < shape.len()
        && batch <= from.len()
        && shape[..batch] == from[..batch]
        && batch + depth <= from.len();
    if !fits {
        return Err(n.refuse(format!("indices of shape {shape:?} do not fit {from:?}")));
    }
    let steps = steps(&from);
    let rest: usize = from[batch + depth..].iter().product();
    let rows = indices.len() / depth.max(1);
    let per_batch: usize = shape[batch..shape.len() - 1].iter().product();
    let mut list = Vec::new();
    for row in 0..rows {
        let outer = place(row / per_batch.max(1), &from[..batch]);
        let mut base: usize = outer.iter().zip(&steps).map(|(p, s)| p * s).sum();
        for d in 0..depth {
            let axis = batch + d;
            base += index(n, indices.get(row * depth + d), from[axis])? * steps[axis];
        }
        list.extend((base..base + rest).map(|at| at as i32));
    }
    let mut result = shape[..shape.len() - 1].to_vec();
    result.extend(&from[batch + depth..]);
    take_flat(b, x, list, result)
}

/// Writes `updates` at flat positions: what is overwritten is masked, updates are placed by a
/// list of where each position comes from.
fn scatter(
    b: &mut Builder,
    n: &Node<'_>,
    x: &Operand,
    updates: &Operand,
    targets: &[usize],
) -> Made {
    let from = b.shape(x);
    let count = elements(&from).unwrap_or(0);
    let reduction = n.string("reduction", "none");
    if !matches!(reduction, "none" | "add") {
        return Err(n.refuse(format!("reduction {reduction:?} is not supported")));
    }
    let mut source = vec![-1i32; count];
    let mut later: Vec<Vec<i32>> = Vec::new();
    for (update, &target) in targets.iter().enumerate() {
        if reduction == "none" || source[target] < 0 {
            source[target] = update as i32;
            continue;
        }
        // A second update of one position goes into a further sum.
        match later.iter_mut().find(|list| list[target] < 0) {
            Some(list) => list[target] = update as i32,
            None => {
                if later.len() >= 16 {
                    return Err(n.refuse("adds to one position too often"));
                }
                let mut list = vec![-1; count];
                list[target] = update as i32;
                later.push(list);
            }
        }
    }
    let kept: Vec<f32> = source
        .iter()
        .map(|&at| f32::from(u8::from(at < 0 || reduction == "add")))
        .collect();
    let kept = b.floats(from.clone(), kept);
    let base = b.mul(x, &kept)?;
    let mut sum = {
        let placed = take_flat(b, updates, source, from.clone())?;
        b.add(&base, &placed)?
    };
    for list in later {
        let placed = take_flat(b, updates, list, from.clone())?;
        sum = b.add(&sum, &placed)?;
    }
    Ok(sum.with_kind(x.kind))
}

fn scatter_nd(b: &mut Builder, n: &Node<'_>) -> Made {
    let (x, updates) = (n.operand(0)?, n.operand(2)?);
    let (from, shape) = (b.shape(x), b.shape(n.operand(1)?));
    let indices = n.constant(1)?.clone();
    let depth = shape.last().copied().unwrap_or(0);
    if depth == 0 || depth > from.len() {
        return Err(n.refuse(format!("indices of shape {shape:?} do not fit {from:?}")));
    }
    let steps = steps(&from);
    let rest: usize = from[depth..].iter().product();
    let mut targets = Vec::new();
    for row in 0..indices.len() / depth {
        let mut base = 0;
        for d in 0..depth {
            base += index(n, indices.get(row * depth + d), from[d])? * steps[d];
        }
        targets.extend(base..base + rest);
    }
    if b.shape(updates).iter().product::<usize>() != targets.len() {
        return Err(n.refuse("its updates do not fit its indices"));
    }
    scatter(b, n, x, updates, &targets)
}

fn scatter_elements(b: &mut Builder, n: &Node<'_>) -> Made {
    let (x, updates) = (n.operand(0)?, n.operand(2)?);
    let (from, shape) = (b.shape(x), b.shape(n.operand(1)?));
    let indices = n.constant(1)?.clone();
    let axis = n.axis(n.int("axis", 0), from.len())?;
    let fits = shape.len() == from.len()
        && b.shape(updates) == shape
        && (0..from.len()).all(|a| a == axis || shape[a] <= from[a]);
    if !fits {
        return Err(n.refuse(format!("indices of shape {shape:?} do not fit {from:?}")));
    }
    let steps = steps(&from);
    let mut targets = Vec::with_capacity(indices.len());
    for (i, value) in indices.values().into_iter().enumerate() {
        let mut place = place(i, &shape);
        place[axis] = index(n, value, from[axis])?;
        targets.push(place.iter().zip(&steps).map(|(p, s)| p * s).sum());
    }
    scatter(b, n, x, updates, &targets)
}

fn one_hot(b: &mut Builder, n: &Node<'_>) -> Made {
    let at = n.operand(0)?;
    let depth = n.number(1)?;
    let values = n.constant(2)?;
    if values.len() != 2 || !(1.0..=MAX_DEPTH as f64).contains(&depth) {
        return Err(n.refuse("needs two values and a depth of 1 to 65536"));
    }
    let (off, on) = (values.get(0), values.get(1));
    let kind = n.operand(2)?.kind;
    let rank = b.rank(at);
    let axis = n.axis(n.int("axis", -1), rank + 1)?;
    // An index from the end is below 0: it wraps.
    let modulus = crate::float::Function::Mod { modulus: depth };
    let inside = b.affine(at, 1.0, 0.0)?;
    let wrapped = match at.tensor() {
        Some(_) => {
            let low = b.unary(&inside, crate::float::Function::Sign)?;
            let negative = super::arithmetic::limit(b, &low, -1.0, 0.0)?;
            b.combine(&[(&inside, 1.0), (&negative, -depth)], 0.0)?
        }
        None => b.unary(&inside, modulus)?,
    };
    let hot = hot(b, n, &wrapped, depth as usize)?;
    let made = b.affine(&hot, on - off, off)?;
    let mut order: Vec<usize> = (0..rank).collect();
    order.insert(axis, rank);
    Ok(b.permute(&made, &order)?.with_kind(kind))
}

fn non_zero(b: &Builder, n: &Node<'_>) -> Made {
    let x = n.constant(0)?;
    let shape = b.shape(n.operand(0)?);
    let found: Vec<Vec<usize>> = (0..x.len())
        .filter(|&at| x.get(at) != 0.0)
        .map(|at| place(at, &shape))
        .collect();
    let mut values = Vec::with_capacity(found.len() * shape.len());
    for axis in 0..shape.len() {
        values.extend(found.iter().map(|place| place[axis] as f64));
    }
    Ok(Operand::constant(
        Tensor::wide(vec![shape.len(), found.len()], values),
        Kind::Signed(64),
    ))
}

fn compress(b: &mut Builder, n: &Node<'_>) -> Made {
    let condition = n.constant(1)?.clone();
    let kept: Vec<i32> = (0..condition.len())
        .filter(|&at| condition.get(at) != 0.0)
        .map(|at| at as i32)
        .collect();
    let (x, axis) = match n.maybe_int("axis") {
        Some(axis) => {
            let x = n.operand(0)?.clone();
            let axis = n.axis(axis, b.rank(&x))?;
            (x, axis)
        }
        None => (flat(b, n.operand(0)?)?, 0),
    };
    let dim = b.shape(&x)[axis];
    if kept.last().is_some_and(|&last| last as usize >= dim) {
        return Err(n.refuse("its condition is longer than its axis"));
    }
    b.take(&x, axis, kept)
}

fn reverse_sequence(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let lengths = n.constant(1)?;
    let (time, batch) = (
        n.axis(n.int("time_axis", 0), shape.len())?,
        n.axis(n.int("batch_axis", 1), shape.len())?,
    );
    if lengths.len() != shape[batch] || time == batch {
        return Err(n.refuse("its lengths do not fit its batch"));
    }
    let steps = steps(&shape);
    let count = elements(&shape).unwrap_or(0);
    let mut list = Vec::with_capacity(count);
    for at in 0..count {
        let mut place = place(at, &shape);
        let length = lengths.get(place[batch]) as usize;
        if place[time] < length {
            place[time] = length - 1 - place[time];
        }
        let at: usize = place.iter().zip(&steps).map(|(p, s)| p * s).sum();
        list.push(at.min(count - 1) as i32);
    }
    take_flat(b, x, list, shape)
}
