//! Operators that work element by element, and sums over axes.
//!
//! `|v| + 2^(s-1)` is below `2^29` in a checked model, so no sum here is too large; products and
//! partial sums wrap.

use hallmark_graph::{Shape, Table, TableData, bounds};
use rayon::prelude::*;

use crate::buffers::Buffers;

/// Elements of a piece: few enough to stay in the first cache.
const PIECE: usize = 1 << 12;
/// Elements of a result below which threads cost more than they bring.
const PARALLEL: usize = 1 << 18;

/// A result of `len` elements, piece by piece; `job` gets the start of its piece.
fn pieces(buffers: &mut Buffers, len: usize, job: impl Fn(usize, &mut [i32]) + Sync) -> Vec<i32> {
    let mut out = buffers.take(len);
    let piece = |(index, out): (usize, &mut [i32])| job(index.saturating_mul(PIECE), out);
    if len >= PARALLEL {
        let pieces = out.par_chunks_mut(PIECE).enumerate();
        pieces.with_min_len(8).for_each(piece);
    } else {
        out.chunks_mut(PIECE).enumerate().for_each(piece);
    }
    out
}

/// The operand's elements from `start` on.
fn from(x: &[i32], start: usize) -> &[i32] {
    x.get(start..).unwrap_or(&[])
}

fn map(buffers: &mut Buffers, x: &[i32], f: impl Fn(i32) -> i32 + Sync) -> Vec<i32> {
    pieces(buffers, x.len(), |start, out| {
        for (out, &v) in out.iter_mut().zip(from(x, start)) {
            *out = f(v);
        }
    })
}

/// `a[i]·b[i]`.
pub(crate) fn mul(buffers: &mut Buffers, a: &[i32], b: &[i32]) -> Vec<i32> {
    pieces(buffers, a.len().min(b.len()), |start, out| {
        let pairs = from(a, start).iter().zip(from(b, start));
        for (out, (&a, &b)) in out.iter_mut().zip(pairs) {
            *out = a.wrapping_mul(b);
        }
    })
}

/// `offset + Σ multiplier·term[i]`; terms are of one length.
pub(crate) fn combine(buffers: &mut Buffers, terms: &[(&[i32], i32)], offset: i32) -> Vec<i32> {
    let len = terms.first().map_or(0, |(term, _)| term.len());
    pieces(buffers, len, |start, out| {
        out.fill(offset);
        for (term, multiplier) in terms {
            for (out, &v) in out.iter_mut().zip(from(term, start)) {
                *out = out.wrapping_add(v.wrapping_mul(*multiplier));
            }
        }
    })
}

/// `(v + 2^(s-1)) >> s`.
fn quotient(shift: u8) -> impl Fn(i32) -> i32 + Sync {
    let rounding = i32::try_from(bounds::rounding(shift)).unwrap_or(0);
    let shift = u32::from(shift);
    move |v| v.wrapping_add(rounding).wrapping_shr(shift)
}

/// `(v + 2^(s-1)) >> s` of every element.
pub(crate) fn shift(buffers: &mut Buffers, x: &[i32], shift: u8) -> Vec<i32> {
    map(buffers, x, quotient(shift))
}

/// `T[(v + 2^(s-1)) >> s]` of every element.
pub(crate) fn lookup(
    buffers: &mut Buffers,
    x: &[i32],
    shift: u8,
    table: &Table,
    tables: &[TableData],
) -> Vec<i32> {
    let quotient = quotient(shift);
    match *table {
        Table::Clamp { lo, hi, .. } => map(buffers, x, |v| quotient(v).min(hi).max(lo)),
        Table::Explicit { table: id, .. } => {
            let first = table.first_index();
            let entries = tables.get(id as usize);
            let entries = entries.map_or(&[][..], |data| data.values.as_slice());
            map(buffers, x, |v| {
                let row = quotient(v).wrapping_sub(first);
                entries.get(row as usize).copied().unwrap_or(0)
            })
        }
    }
}

/// Sum over rising axes, one after the other from the last.
pub(crate) fn sum(buffers: &mut Buffers, x: &[i32], shape: &Shape, axes: &[u8]) -> Vec<i32> {
    let mut dims: Vec<usize> = shape.0.iter().map(|&dim| dim as usize).collect();
    let mut sums: Option<Vec<i32>> = None;
    for &axis in axes.iter().rev() {
        let axis = usize::from(axis);
        if axis >= dims.len() {
            continue;
        }
        let dim = dims.remove(axis);
        let inner = dims
            .iter()
            .skip(axis)
            .fold(1usize, |product, &dim| product.saturating_mul(dim));
        let next = sum_axis(buffers, sums.as_deref().unwrap_or(x), dim, inner);
        if let Some(dead) = sums.replace(next) {
            buffers.give(dead);
        }
    }
    sums.unwrap_or_default()
}

/// `[outer, dim, inner]` to `[outer, inner]`.
fn sum_axis(buffers: &mut Buffers, x: &[i32], dim: usize, inner: usize) -> Vec<i32> {
    let block = dim.saturating_mul(inner).max(1);
    let total = |v: &[i32]| v.iter().fold(0i32, |sum, &v| sum.wrapping_add(v));
    if inner == 1 {
        return x.chunks_exact(block).map(total).collect();
    }
    let mut out = buffers.zeros(x.len().checked_div(dim).unwrap_or(0));
    for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(block)) {
        for row in x.chunks_exact(inner) {
            for (sum, &v) in out.iter_mut().zip(row) {
                *sum = sum.wrapping_add(v);
            }
        }
    }
    out
}
