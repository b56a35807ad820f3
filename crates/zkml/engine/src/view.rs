//! Views, planned once: where each element of the result is read.
//!
//! The operand is first padded with zeros so far that no position reads outside. Then the element
//! at position `o` lies at `start + Σ_j offset_j(o_j)`: every axis of the result adds its own part.
//! Axes that continue each other are merged. The trailing axes form a block, whose offsets are
//! listed once; a block is copied in runs where its elements are neighbours.
//!
//! A view whose padding would be far larger than operand and result is read element by element.
//!
//! Lengths and products of lengths are bounded by the model's check, far below `usize`.
#![allow(clippy::arithmetic_side_effects)]

use hallmark_graph::{AxisMap, Shape};
use rayon::prelude::*;

use crate::buffers::Buffers;

/// Elements of a block, at least, where the result has as many.
const BLOCK: usize = 256;
/// Neighbours that are worth a copy of their own.
const RUN: usize = 8;
/// Blocks that are copied together.
const GROUP: usize = 16;
/// Runs of each of them at a time.
const PIECE: usize = 16;
/// Elements of a result below which threads cost more than they bring.
const PARALLEL: usize = 1 << 18;

/// How one view is computed.
#[derive(Debug)]
pub(crate) enum Plan {
    Blocks(Blocks),
    /// Element by element.
    Sparse {
        from: Vec<i64>,
        axes: Vec<AxisMap>,
        dims: Vec<usize>,
    },
}

#[derive(Debug)]
pub(crate) struct Blocks {
    pad: Option<Pad>,
    /// Elements of the result.
    len: usize,
    /// Offsets of the outer axes, the last fastest.
    outer: Vec<Axis>,
    /// Start of every run of a block.
    starts: Vec<u32>,
    /// Elements of a run.
    run: usize,
}

/// One axis of the result.
#[derive(Clone, Debug)]
enum Axis {
    Even { dim: usize, stride: i64 },
    List(Vec<i64>),
}

impl Axis {
    fn dim(&self) -> usize {
        match self {
            Self::Even { dim, .. } => *dim,
            Self::List(offsets) => offsets.len(),
        }
    }

    fn offset(&self, o: usize) -> i64 {
        match self {
            Self::Even { stride, .. } => stride * o as i64,
            Self::List(offsets) => offsets.get(o).copied().unwrap_or(0),
        }
    }

    /// Smallest offset.
    fn least(&self) -> i64 {
        (0..self.dim()).map(|o| self.offset(o)).min().unwrap_or(0)
    }

    fn shift(&mut self, by: i64) {
        let offsets = (0..self.dim()).map(|o| self.offset(o) - by).collect();
        *self = Self::List(offsets);
    }
}

/// Zeros around an operand.
#[derive(Debug)]
struct Pad {
    dims: Vec<usize>,
    before: Vec<usize>,
    padded: Vec<usize>,
}

impl Plan {
    pub(crate) fn new(from: &Shape, axes: &[AxisMap], to: &Shape) -> Self {
        let dims: Vec<usize> = to.0.iter().map(|&dim| dim as usize).collect();
        let from: Vec<i64> = from.0.iter().map(|&dim| i64::from(dim)).collect();
        let reach: Vec<(i64, i64)> = axes
            .iter()
            .zip(&from)
            .map(|(map, &dim)| reach(map, dim, &dims))
            .collect();
        let padded = from
            .iter()
            .zip(&reach)
            .map(|(&dim, (lo, hi))| dim - lo + hi)
            .fold(1i64, i64::saturating_mul);
        let operand: i64 = from.iter().product();
        let len: usize = dims.iter().product();
        if padded > 2 * (operand + len as i64) + 4096 {
            return Self::Sparse {
                from,
                axes: axes.to_vec(),
                dims,
            };
        }
        Self::Blocks(Blocks::new(&from, axes, &reach, &dims))
    }

    /// The view of `x`.
    pub(crate) fn apply(&self, x: &[i32], buffers: &mut Buffers) -> Vec<i32> {
        match self {
            Self::Blocks(blocks) => blocks.apply(x, buffers),
            Self::Sparse { from, axes, dims } => {
                let len: usize = dims.iter().product();
                let element = |flat| at(flat, from, axes, dims);
                (0..len)
                    .map(|flat| element(flat).and_then(|at| x.get(at)).copied().unwrap_or(0))
                    .collect()
            }
        }
    }
}

/// Zeros needed before (as a number below 0) and after an axis of length `dim`.
fn reach(map: &AxisMap, dim: i64, dims: &[usize]) -> (i64, i64) {
    match map {
        // An entry of -1 reads one zero behind the end.
        AxisMap::List { indices, .. } => (0, i64::from(indices.contains(&-1))),
        AxisMap::Affine { offset, terms } => {
            let (mut lo, mut hi) = (i64::from(*offset), i64::from(*offset));
            for &(axis, stride) in terms {
                let last = dims.get(usize::from(axis)).map_or(0, |dim| dim - 1);
                let end = last as i64 * i64::from(stride);
                lo += end.min(0);
                hi += end.max(0);
            }
            (lo.min(0), (hi - (dim - 1)).max(0))
        }
    }
}

/// Index of the operand for one element of the result.
fn at(flat: usize, from: &[i64], axes: &[AxisMap], dims: &[usize]) -> Option<usize> {
    let mut rest = flat;
    let mut position = [0i64; hallmark_graph::MAX_RANK];
    for (o, &dim) in position[..dims.len()].iter_mut().zip(dims).rev() {
        *o = (rest % dim) as i64;
        rest /= dim;
    }
    let mut at = 0usize;
    for (map, &dim) in axes.iter().zip(from) {
        let index = match map {
            AxisMap::List { axis, indices } => {
                let o = usize::try_from(position[usize::from(*axis)]).ok()?;
                i64::from(*indices.get(o)?)
            }
            AxisMap::Affine { offset, terms } => terms
                .iter()
                .fold(i64::from(*offset), |index, &(axis, stride)| {
                    index + i64::from(stride) * position[usize::from(axis)]
                }),
        };
        if !(0..dim).contains(&index) {
            return None;
        }
        at = at * usize::try_from(dim).ok()? + usize::try_from(index).ok()?;
    }
    Some(at)
}

impl Blocks {
    fn new(from: &[i64], axes: &[AxisMap], reach: &[(i64, i64)], dims: &[usize]) -> Self {
        let padded: Vec<i64> = from
            .iter()
            .zip(reach)
            .map(|(&dim, (lo, hi))| dim - lo + hi)
            .collect();
        let mut start = 0i64;
        let mut parts: Vec<Axis> = dims
            .iter()
            .map(|&dim| Axis::Even { dim, stride: 0 })
            .collect();
        let mut size = 1i64;
        for (((map, &dim), (lo, _)), &padded) in axes.iter().zip(from).zip(reach).zip(&padded).rev()
        {
            match map {
                AxisMap::Affine { offset, terms } => {
                    start += (i64::from(*offset) - lo) * size;
                    for &(axis, by) in terms {
                        if let Some(Axis::Even { stride, .. }) = parts.get_mut(usize::from(axis)) {
                            *stride = i64::from(by) * size;
                        }
                    }
                }
                AxisMap::List { axis, indices } => {
                    let offset = |&index: &i32| size * if index < 0 { dim } else { index.into() };
                    if let Some(part) = parts.get_mut(usize::from(*axis)) {
                        *part = Axis::List(indices.iter().map(offset).collect());
                    }
                }
            }
            size *= padded;
        }
        let mut parts = merge(parts);
        // From here every offset counts from the smallest, so that none is negative.
        for part in &mut parts {
            let least = part.least();
            if least < 0 {
                start += least;
                part.shift(least);
            }
        }
        parts.insert(0, Axis::List(vec![start]));
        let (outer, starts, run) = split(parts);
        let pad = reach.iter().any(|ends| *ends != (0, 0)).then(|| Pad {
            dims: from.iter().map(|&dim| dim as usize).collect(),
            before: reach
                .iter()
                .map(|(lo, _)| lo.unsigned_abs() as usize)
                .collect(),
            padded: padded.iter().map(|&dim| dim as usize).collect(),
        });
        Self {
            pad,
            len: dims.iter().product(),
            outer,
            starts,
            run,
        }
    }

    fn apply(&self, x: &[i32], buffers: &mut Buffers) -> Vec<i32> {
        let padded = self.pad.as_ref().map(|pad| pad.apply(x, buffers));
        let x = padded.as_deref().unwrap_or(x);
        let mut out = buffers.take(self.len);
        let size = self.starts.len() * self.run;
        let group = size * GROUP;
        let job = |(index, out): (usize, &mut [i32])| {
            let blocks: Vec<&[i32]> = (0..out.len() / size)
                .map(|block| self.base(x, index * GROUP + block))
                .collect();
            self.group(&blocks, out);
        };
        if self.len >= PARALLEL {
            let groups = out.par_chunks_mut(group).enumerate();
            let fewest = (PARALLEL / 8).div_ceil(group);
            groups.with_min_len(fewest).for_each(job);
        } else {
            out.chunks_mut(group).enumerate().for_each(job);
        }
        if let Some(dead) = padded {
            buffers.give(dead);
        }
        out
    }

    /// The operand from the origin of a block on; not negative, and inside together with every
    /// start of a run.
    fn base<'a>(&self, x: &'a [i32], block: usize) -> &'a [i32] {
        let mut rest = block;
        let mut base = 0i64;
        for axis in self.outer.iter().rev() {
            base += axis.offset(rest % axis.dim());
            rest /= axis.dim();
        }
        let base = usize::try_from(base).ok();
        base.and_then(|base| x.get(base..)).unwrap_or(&[])
    }

    /// Neighbouring blocks together, some runs of each at a time: in a transposition they read the
    /// same lines of the cache.
    fn group(&self, blocks: &[&[i32]], out: &mut [i32]) {
        let size = self.starts.len() * self.run;
        for (index, starts) in self.starts.chunks(PIECE).enumerate() {
            for (x, out) in blocks.iter().zip(out.chunks_exact_mut(size)) {
                let out = &mut out[index * PIECE * self.run..];
                if self.run == 1 {
                    for (out, &start) in out.iter_mut().zip(starts) {
                        *out = x[start as usize];
                    }
                } else {
                    for (out, &start) in out.chunks_exact_mut(self.run).zip(starts) {
                        let start = start as usize;
                        out.copy_from_slice(&x[start..start + self.run]);
                    }
                }
            }
        }
    }
}

/// Merges axes that continue each other, and drops those of length 1.
fn merge(parts: Vec<Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for part in parts {
        if let Axis::Even { dim: 1, .. } = part {
            continue;
        }
        let joined = match (merged.last(), &part) {
            (Some(&Axis::Even { dim: a, stride: s }), &Axis::Even { dim: b, stride: t })
                if s == t * b as i64 =>
            {
                Some(Axis::Even {
                    dim: a * b,
                    stride: t,
                })
            }
            _ => None,
        };
        match (joined, merged.last_mut()) {
            (Some(joined), Some(last)) => *last = joined,
            _ => merged.push(part),
        }
    }
    merged
}

/// Outer axes, starts of the runs of a block, and the length of a run.
fn split(mut parts: Vec<Axis>) -> (Vec<Axis>, Vec<u32>, usize) {
    let mut run = 1;
    if let Some(&Axis::Even { dim, stride: 1 }) = parts.last()
        && dim >= RUN
    {
        run = dim;
        parts.pop();
    }
    let mut starts = vec![0i64];
    while starts.len() * run < BLOCK
        && let Some(part) = parts.pop()
    {
        starts = (0..part.dim())
            .flat_map(|o| {
                let offset = part.offset(o);
                starts.iter().map(move |start| offset + start)
            })
            .collect();
    }
    let starts = starts.iter().map(|&start| start as u32).collect();
    (parts, starts, run)
}

impl Pad {
    fn apply(&self, x: &[i32], buffers: &mut Buffers) -> Vec<i32> {
        let mut out = buffers.zeros(self.padded.iter().product());
        copy(x, &self.dims, &mut out, &self.padded, &self.before);
        out
    }
}

/// Copies a tensor of `dims` into the middle of one of `padded`.
fn copy(x: &[i32], dims: &[usize], out: &mut [i32], padded: &[usize], before: &[usize]) {
    let ([dim, dims @ ..], [_, padded @ ..], [first, before @ ..]) = (dims, padded, before) else {
        out.copy_from_slice(x);
        return;
    };
    let (from, to): (usize, usize) = (dims.iter().product(), padded.iter().product());
    if from == to {
        // Nothing further in is padded.
        out[first * to..(first + dim) * to].copy_from_slice(x);
        return;
    }
    let rows = out.chunks_exact_mut(to).skip(*first);
    for (x, out) in x.chunks_exact(from).zip(rows) {
        copy(x, dims, out, padded, before);
    }
}
