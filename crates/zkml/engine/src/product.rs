//! `v[B,m,n] = Σ_k a[B,m,k]·b[B,k,n]`, `b` packed in panels of columns.
//!
//! An `a` in `[lo, hi]` with `hi - lo ≤ 255` against a `b` of signed bytes multiplies bytes: `a` is
//! shifted to `a - lo`, and the shift is taken back by a bias, `Σ a·b = Σ (a - lo)·b + lo·Σ b`.
//! Operands of sixteen bits multiply halves, others words. Multipliers of a constant's columns
//! come last. A constant `b` is packed once; any other `b` for each run.
//!
//! Lengths and products of lengths are bounded by the model's check, far below `usize`; sums wrap.
#![allow(clippy::arithmetic_side_effects)]

use hallmark_graph::{Constant, Elements, Range, Shape};
use rayon::prelude::*;

use crate::buffers::Buffers;
use crate::kernel::{LANES, Lane, Sums, TILE};

/// Multiply-accumulates below which threads cost more than they bring.
const PARALLEL_MACS: usize = 1 << 21;
/// Rows of `a` below which packing `b` for one run costs more than it brings.
const PACK_ROWS: usize = 3;

/// Lengths of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dims {
    pub(crate) batch: usize,
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) cols: usize,
}

impl Dims {
    /// Lengths of the product of shapes that share `batch` and `inner` axes.
    pub(crate) fn of(a: &Shape, b: &Shape, batch: u8, inner: u8) -> Self {
        let length = |dims: &[u32]| dims.iter().map(|&dim| dim as usize).product();
        let (batch, inner) = (usize::from(batch), usize::from(inner));
        let rows_end = a.rank().saturating_sub(inner);
        Self {
            batch: length(a.0.get(..batch).unwrap_or(&[])),
            rows: length(a.0.get(batch..rows_end).unwrap_or(&[])),
            inner: length(a.0.get(rows_end..).unwrap_or(&[])),
            cols: length(b.0.get(batch + inner..).unwrap_or(&[])),
        }
    }

    fn macs(&self) -> usize {
        self.rows * self.inner * self.cols
    }
}

/// The right operand of one product, packed for the left one's range.
#[derive(Debug)]
pub(crate) struct Packed {
    dims: Dims,
    /// One for each position on the batch axes.
    blocks: Vec<Block>,
    /// One per column, or none.
    multipliers: Vec<i32>,
}

#[derive(Debug)]
enum Block {
    Bytes {
        lo: i32,
        panels: Vec<i8>,
        /// `lo·Σ_k b` of every column.
        bias: Vec<i32>,
    },
    Halves(Vec<i16>),
    Words(Vec<i32>),
    /// `b` transposed, for few columns.
    Columns(Vec<i32>),
}

impl Packed {
    /// Packs a constant; `last` is the last dimension of its shape, `range` that of `a`.
    pub(crate) fn constant(dims: Dims, range: Range, constant: &Constant, last: usize) -> Self {
        let multipliers = &constant.multipliers;
        let by_column = dims.cols.is_multiple_of(last.max(1));
        if !multipliers.is_empty() && !by_column {
            // The last axis is summed: its multipliers cannot wait.
            let values = constant.values(last).unwrap_or_default();
            return Self::values(dims, range, &values);
        }
        let multipliers = if multipliers.is_empty() {
            Vec::new()
        } else {
            let all = multipliers.iter().cycle().take(dims.cols);
            all.map(|&m| i32::from(m)).collect()
        };
        let blocks = match &constant.elements {
            Elements::I8(v) => blocks(dims, range, v, (i8::MIN.into(), i8::MAX.into())),
            Elements::I16(v) => blocks(dims, range, v, (i16::MIN.into(), i16::MAX.into())),
            Elements::I32(v) => blocks(dims, range, v, (i32::MIN, i32::MAX)),
        };
        Self {
            dims,
            blocks,
            multipliers,
        }
    }

    /// Packs values as they are.
    fn values(dims: Dims, range: Range, b: &[i32]) -> Self {
        let ends = b.iter().fold((0, 0), |(lo, hi), &v| (v.min(lo), v.max(hi)));
        Self {
            dims,
            blocks: blocks(dims, range, b, ends),
            multipliers: Vec::new(),
        }
    }

    /// `a` is `batch × rows × inner`, the result `batch × rows × cols`.
    pub(crate) fn apply(&self, a: &[i32], buffers: &mut Buffers) -> Vec<i32> {
        let Dims {
            batch,
            rows,
            inner,
            cols,
        } = self.dims;
        let mut out = buffers.take(batch * rows * cols);
        let parallel = batch * self.dims.macs() >= PARALLEL_MACS;
        let job = |((a, out), block): ((&[i32], &mut [i32]), &Block)| {
            self.block(a, block, parallel, out);
        };
        if parallel && batch > 1 {
            a.par_chunks_exact(rows * inner)
                .zip(out.par_chunks_exact_mut(rows * cols))
                .zip(&self.blocks)
                .for_each(job);
        } else {
            a.chunks_exact(rows * inner)
                .zip(out.chunks_exact_mut(rows * cols))
                .zip(&self.blocks)
                .for_each(job);
        }
        out
    }

    fn block(&self, a: &[i32], block: &Block, parallel: bool, out: &mut [i32]) {
        match block {
            Block::Bytes { lo, panels, bias } => {
                let a = left::<i8>(a, self.dims, *lo);
                self.panels(&a, panels, bias, parallel, out);
            }
            Block::Halves(panels) => {
                let a = left::<i16>(a, self.dims, 0);
                self.panels(&a, panels, &[], parallel, out);
            }
            Block::Words(panels) => self.panels(a, panels, &[], parallel, out),
            Block::Columns(columns) => {
                let Dims { inner, cols, .. } = self.dims;
                let row = |(a, out): (&[i32], &mut [i32])| {
                    for (out, column) in out.iter_mut().zip(columns.chunks_exact(inner)) {
                        *out = dot(a, column);
                    }
                    self.finish(&[], out);
                };
                if parallel {
                    let rows = a.par_chunks_exact(inner).with_min_len(16);
                    rows.zip(out.par_chunks_exact_mut(cols)).for_each(row);
                } else {
                    let rows = a.chunks_exact(inner);
                    rows.zip(out.chunks_exact_mut(cols)).for_each(row);
                }
            }
        }
    }

    fn panels<L: Lane>(
        &self,
        a: &[L::Left],
        panels: &[L],
        bias: &[i32],
        parallel: bool,
        out: &mut [i32],
    ) {
        let Dims {
            rows, inner, cols, ..
        } = self.dims;
        let stride = inner.next_multiple_of(L::GROUP);
        let tile = |(a, out): (&[L::Left], &mut [i32])| {
            for (index, panel) in panels.chunks_exact(stride * LANES).enumerate() {
                store(&L::product(a, stride, panel), index * LANES, cols, out);
            }
            for row in out.chunks_exact_mut(cols) {
                self.finish(bias, row);
            }
        };
        if !parallel {
            a.chunks(TILE * stride)
                .zip(out.chunks_mut(TILE * cols))
                .for_each(tile);
        } else if rows > TILE {
            a.par_chunks(TILE * stride)
                .zip(out.par_chunks_mut(TILE * cols))
                .for_each(tile);
        } else {
            let results: Vec<_> = panels
                .par_chunks_exact(stride * LANES)
                .with_min_len(4)
                .map(|panel| L::product(a, stride, panel))
                .collect();
            for (index, result) in results.iter().enumerate() {
                store(result, index * LANES, cols, out);
            }
            for row in out.chunks_exact_mut(cols) {
                self.finish(bias, row);
            }
        }
    }

    /// Adds the bias and multiplies, for one row.
    fn finish(&self, bias: &[i32], row: &mut [i32]) {
        for (v, b) in row.iter_mut().zip(bias) {
            *v = v.wrapping_add(*b);
        }
        for (v, m) in row.iter_mut().zip(&self.multipliers) {
            *v = v.wrapping_mul(*m);
        }
    }
}

/// A product of two values that are no packed constants, in the ranges `range_a` and `range_b`.
pub(crate) fn multiply(
    dims: Dims,
    a: &[i32],
    range_a: Range,
    b: &[i32],
    range_b: Range,
    buffers: &mut Buffers,
) -> Vec<i32> {
    if dims.rows >= PACK_ROWS || dims.cols < LANES / 2 {
        let packed = Packed {
            dims,
            blocks: blocks(dims, range_a, b, (range_b.lo, range_b.hi)),
            multipliers: Vec::new(),
        };
        return packed.apply(a, buffers);
    }
    let Dims { inner, cols, .. } = dims;
    let mut out = buffers.zeros(dims.batch * dims.rows * cols);
    let batches = a
        .chunks_exact(dims.rows * inner)
        .zip(b.chunks_exact(inner * cols))
        .zip(out.chunks_exact_mut(dims.rows * cols));
    for ((a, b), out) in batches {
        for (a, out) in a.chunks_exact(inner).zip(out.chunks_exact_mut(cols)) {
            for (&x, w) in a.iter().zip(b.chunks_exact(cols)) {
                for (sum, &w) in out.iter_mut().zip(w) {
                    *sum = sum.wrapping_add(x.wrapping_mul(w));
                }
            }
        }
    }
    out
}

fn dot(a: &[i32], b: &[i32]) -> i32 {
    a.iter()
        .zip(b)
        .fold(0i32, |sum, (&x, &w)| sum.wrapping_add(x.wrapping_mul(w)))
}

fn fits<T: TryFrom<i32>>((lo, hi): (i32, i32)) -> bool {
    T::try_from(lo).is_ok() && T::try_from(hi).is_ok()
}

/// Packs `b`, whose elements lie in `ends`.
fn blocks<T: Copy + Into<i32> + Sync>(
    dims: Dims,
    range: Range,
    b: &[T],
    ends: (i32, i32),
) -> Vec<Block> {
    let Dims { inner, cols, .. } = dims;
    let levels = i64::from(range.hi) - i64::from(range.lo);
    let block = |b: &[T]| {
        if cols < LANES / 2 {
            // A panel of few columns would be mostly padding.
            let column = |n: usize| b.iter().skip(n).step_by(cols).map(|&w| w.into());
            Block::Columns((0..cols).flat_map(column).collect())
        } else if levels <= i64::from(u8::MAX) && fits::<i8>(ends) {
            Block::Bytes {
                lo: range.lo,
                panels: pack(b, inner, cols),
                bias: bias(b, cols, range.lo),
            }
        } else if fits::<i16>((range.lo, range.hi)) && fits::<i16>(ends) {
            Block::Halves(pack(b, inner, cols))
        } else {
            Block::Words(pack(b, inner, cols))
        }
    };
    b.chunks_exact(inner * cols).map(block).collect()
}

fn bias<T: Copy + Into<i32>>(b: &[T], cols: usize, lo: i32) -> Vec<i32> {
    let mut bias = vec![0i32; cols];
    if lo == 0 {
        return bias;
    }
    for row in b.chunks_exact(cols) {
        for (sum, &w) in bias.iter_mut().zip(row) {
            *sum = sum.wrapping_add(w.into());
        }
    }
    for sum in &mut bias {
        *sum = sum.wrapping_mul(lo);
    }
    bias
}

fn pack<T: Copy + Into<i32>, L: Lane>(b: &[T], inner: usize, cols: usize) -> Vec<L> {
    let stride = inner.next_multiple_of(L::GROUP);
    let mut panels = vec![L::default(); cols.div_ceil(LANES) * stride * LANES];
    for (index, panel) in panels.chunks_exact_mut(stride * LANES).enumerate() {
        let first = index * LANES;
        let width = LANES.min(cols - first);
        for (k, row) in b.chunks_exact(cols).enumerate() {
            let group = &mut panel[(k / L::GROUP) * L::GROUP * LANES..];
            let lanes = group.chunks_exact_mut(L::GROUP);
            for (lane, &w) in lanes.zip(&row[first..first + width]) {
                lane[k % L::GROUP] = L::cut(w.into());
            }
        }
    }
    panels
}

/// Rows of `a` as the kernel reads them, padded to whole groups.
fn left<L: Lane>(a: &[i32], dims: Dims, lo: i32) -> Vec<L::Left> {
    let stride = dims.inner.next_multiple_of(L::GROUP);
    let mut rows = vec![L::Left::default(); dims.rows * stride];
    let pairs = rows
        .chunks_exact_mut(stride)
        .zip(a.chunks_exact(dims.inner));
    for (row, a) in pairs {
        for (to, &from) in row.iter_mut().zip(a) {
            *to = L::cut_left(from, lo);
        }
    }
    rows
}

/// Copies the panel's columns that exist to `out`, `rows × cols`.
fn store(result: &Sums, first: usize, cols: usize, out: &mut [i32]) {
    let width = LANES.min(cols - first);
    for (row, sums) in out.chunks_exact_mut(cols).zip(result) {
        row[first..first + width].copy_from_slice(&sums[..width]);
    }
}
