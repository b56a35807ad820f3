//! `v[m,n] = M_n · (Σ_k x[m,k] w[k,n] + b_n)` over packed weights.
//!
//! Operands in `[lo, hi]` with `hi - lo ≤ 255` are shifted to bytes `x - lo`, and the shift is
//! taken back through the bias: `Σ x w = Σ (x - lo) w + lo · Σ w`. Weights are packed in panels
//! of 16 columns; a panel holds, for each group of 4 rows of `w`, 64 bytes `[column][row]`, which
//! is what one `vpdpbusd` multiplies.
//!
//! Lengths and products of lengths are bounded by the model's check, far below `usize`.
#![allow(clippy::arithmetic_side_effects)]

use hallmark_graph::{LinearWeights, Range};
use rayon::prelude::*;

/// Columns of a panel.
const LANES: usize = 16;
/// Rows of `w` that one instruction multiplies.
const GROUP: usize = 4;
/// Rows of `x` that share one pass over a panel.
const TILE: usize = 8;
/// Multiply-accumulates below which threads cost more than they bring.
const PARALLEL_MACS: usize = 1 << 21;

/// The weights of one `Linear`, packed for its operand's range.
#[derive(Debug)]
pub(crate) struct Packed {
    inner: usize,
    cols: usize,
    kernel: Kernel,
    /// Bias, the operand's shift included.
    bias: Vec<i32>,
    multipliers: Vec<i32>,
}

#[derive(Debug)]
enum Kernel {
    /// Operand bytes are `x - lo`.
    Bytes { lo: i32, panels: Vec<i8> },
    /// Row-major weights, for operands of more than 256 levels and for few columns.
    Words(Vec<i8>),
}

impl Packed {
    pub(crate) fn new(range: Range, weights: &LinearWeights, inner: usize) -> Self {
        let cols = weights.b.len();
        let mut bias = weights.b.clone();
        let levels = i64::from(range.hi) - i64::from(range.lo);
        // A panel of few columns would be mostly padding.
        let bytes = levels <= i64::from(u8::MAX) && cols >= LANES / 2;
        let kernel = if bytes {
            for row in weights.w.chunks_exact(cols) {
                for (bias, &w) in bias.iter_mut().zip(row) {
                    *bias = bias.wrapping_add(range.lo.wrapping_mul(i32::from(w)));
                }
            }
            Kernel::Bytes {
                lo: range.lo,
                panels: pack(&weights.w, inner, cols),
            }
        } else {
            Kernel::Words(weights.w.clone())
        };
        Self {
            inner,
            cols,
            kernel,
            bias,
            multipliers: weights.m.iter().map(|&m| i32::from(m)).collect(),
        }
    }

    /// `x` is `rows × inner`, the result `rows × cols`.
    pub(crate) fn apply(&self, x: &[i32]) -> Vec<i32> {
        let rows = x.len() / self.inner;
        let mut out = vec![0i32; rows * self.cols];
        let parallel = rows * self.inner * self.cols >= PARALLEL_MACS;
        match &self.kernel {
            Kernel::Bytes { lo, panels } => self.bytes(x, *lo, panels, parallel, &mut out),
            Kernel::Words(w) => {
                let job = |(x, out): (&[i32], &mut [i32])| {
                    words(x, w, out);
                    self.finish(out);
                };
                if parallel {
                    x.par_chunks_exact(self.inner)
                        .zip(out.par_chunks_exact_mut(self.cols))
                        .for_each(job);
                } else {
                    x.chunks_exact(self.inner)
                        .zip(out.chunks_exact_mut(self.cols))
                        .for_each(job);
                }
            }
        }
        out
    }

    fn bytes(&self, x: &[i32], lo: i32, panels: &[i8], parallel: bool, out: &mut [i32]) {
        let stride = self.inner.next_multiple_of(GROUP);
        let rows = x.len() / self.inner;
        let mut bytes = vec![0u8; rows * stride];
        for (bytes, x) in bytes
            .chunks_exact_mut(stride)
            .zip(x.chunks_exact(self.inner))
        {
            for (byte, &x) in bytes.iter_mut().zip(x) {
                // The operand's range is the model's, at most 256 wide.
                *byte = x.wrapping_sub(lo) as u8;
            }
        }
        let tile = |(x, out): (&[u8], &mut [i32])| {
            for (index, panel) in panels.chunks_exact(stride * LANES).enumerate() {
                store(&product(x, stride, panel), index * LANES, self.cols, out);
            }
            for row in out.chunks_exact_mut(self.cols) {
                self.finish(row);
            }
        };
        if !parallel {
            bytes
                .chunks(TILE * stride)
                .zip(out.chunks_mut(TILE * self.cols))
                .for_each(tile);
        } else if rows > TILE {
            bytes
                .par_chunks(TILE * stride)
                .zip(out.par_chunks_mut(TILE * self.cols))
                .for_each(tile);
        } else {
            let results: Vec<_> = panels
                .par_chunks_exact(stride * LANES)
                .with_min_len(4)
                .map(|panel| product(&bytes, stride, panel))
                .collect();
            for (index, result) in results.iter().enumerate() {
                store(result, index * LANES, self.cols, out);
            }
            for row in out.chunks_exact_mut(self.cols) {
                self.finish(row);
            }
        }
    }

    /// Adds the bias and multiplies, for one row.
    fn finish(&self, row: &mut [i32]) {
        for ((v, b), m) in row.iter_mut().zip(&self.bias).zip(&self.multipliers) {
            *v = v.wrapping_add(*b).wrapping_mul(*m);
        }
    }
}

fn pack(w: &[i8], inner: usize, cols: usize) -> Vec<i8> {
    let stride = inner.next_multiple_of(GROUP);
    let mut panels = vec![0i8; cols.div_ceil(LANES) * stride * LANES];
    for (k, row) in w.chunks_exact(cols).enumerate() {
        for (n, &w) in row.iter().enumerate() {
            let panel = (n / LANES) * stride * LANES;
            let group = (k / GROUP) * GROUP * LANES;
            panels[panel + group + (n % LANES) * GROUP + k % GROUP] = w;
        }
    }
    panels
}

/// Copies the panel's columns that exist to `out`, `rows × cols`.
fn store(result: &[[i32; LANES]; TILE], first: usize, cols: usize, out: &mut [i32]) {
    let width = LANES.min(cols - first);
    for (row, sums) in out.chunks_exact_mut(cols).zip(result) {
        row[first..first + width].copy_from_slice(&sums[..width]);
    }
}

/// Sums of up to [`TILE`] rows of bytes against one panel; rows that are absent stay 0.
#[cfg(all(
    target_arch = "x86_64",
    target_feature = "avx512f",
    target_feature = "avx512vnni"
))]
fn product(x: &[u8], stride: usize, panel: &[i8]) -> [[i32; LANES]; TILE] {
    use std::arch::x86_64::{
        __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
        _mm512_storeu_si512,
    };
    /// `R` is the number of rows, so that the sums stay in registers.
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn rows<const R: usize>(x: &[u8], stride: usize, panel: &[i8]) -> [[i32; LANES]; TILE] {
        let groups = panel.as_chunks::<{ LANES * GROUP }>().0;
        let rows: [&[[u8; GROUP]]; R] =
            std::array::from_fn(|r| &x[r * stride..(r + 1) * stride].as_chunks().0[..groups.len()]);
        let mut sums: [__m512i; R] = [_mm512_setzero_si512(); R];
        for (k, group) in groups.iter().enumerate() {
            // SAFETY: `group` is 64 bytes, and the load has no alignment.
            let w = unsafe { _mm512_loadu_si512(group.as_ptr().cast()) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                let x = _mm512_set1_epi32(i32::from_le_bytes(row[k]));
                *sum = _mm512_dpbusd_epi32(*sum, x, w);
            }
        }
        let mut result = [[0i32; LANES]; TILE];
        for (lanes, sum) in result.iter_mut().zip(sums) {
            // SAFETY: `lanes` is 64 bytes, and the store has no alignment.
            unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), sum) };
        }
        result
    }
    // SAFETY: this function is compiled only where the features of `rows` are.
    unsafe {
        match x.len() / stride {
            1 => rows::<1>(x, stride, panel),
            2 => rows::<2>(x, stride, panel),
            3 => rows::<3>(x, stride, panel),
            4 => rows::<4>(x, stride, panel),
            5 => rows::<5>(x, stride, panel),
            6 => rows::<6>(x, stride, panel),
            7 => rows::<7>(x, stride, panel),
            _ => rows::<TILE>(x, stride, panel),
        }
    }
}

/// Sums of up to [`TILE`] rows of bytes against one panel; rows that are absent stay 0.
///
/// Sixteen-bit products, added in pairs: each column has two partial sums until the end.
#[cfg(all(
    target_arch = "x86_64",
    target_feature = "avx2",
    not(all(target_feature = "avx512f", target_feature = "avx512vnni"))
))]
fn product(x: &[u8], stride: usize, panel: &[i8]) -> [[i32; LANES]; TILE] {
    use std::arch::x86_64::{
        __m256i, _mm_loadu_si128, _mm_set1_epi32, _mm256_add_epi32, _mm256_cvtepi8_epi16,
        _mm256_cvtepu8_epi16, _mm256_madd_epi16, _mm256_setzero_si256, _mm256_storeu_si256,
    };
    /// Vectors of four columns in a panel.
    const PARTS: usize = 4;
    /// `R` rows at once: their sums and the weights fit the sixteen registers for `R = 2`.
    #[target_feature(enable = "avx2")]
    fn rows<const R: usize>(x: &[u8], stride: usize, panel: &[i8], out: &mut [[i32; LANES]]) {
        let groups = panel.as_chunks::<{ LANES * GROUP }>().0;
        let rows: [&[[u8; GROUP]]; R] =
            std::array::from_fn(|r| &x[r * stride..(r + 1) * stride].as_chunks().0[..groups.len()]);
        let mut sums: [[__m256i; PARTS]; R] = [[_mm256_setzero_si256(); PARTS]; R];
        for (k, group) in groups.iter().enumerate() {
            let quarters = group.as_chunks::<LANES>().0;
            let w: [__m256i; PARTS] = std::array::from_fn(|part| {
                // SAFETY: a quarter is 16 bytes, and the load has no alignment.
                let bytes = unsafe { _mm_loadu_si128(quarters[part].as_ptr().cast()) };
                _mm256_cvtepi8_epi16(bytes)
            });
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let x = _mm256_cvtepu8_epi16(_mm_set1_epi32(i32::from_le_bytes(row[k])));
                for (sum, w) in sums.iter_mut().zip(&w) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, *w));
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(&sums) {
            for (out, sum) in out.chunks_exact_mut(PARTS).zip(sums) {
                let mut halves = [0i32; 2 * PARTS];
                // SAFETY: `halves` is 32 bytes, and the store has no alignment.
                unsafe { _mm256_storeu_si256(halves.as_mut_ptr().cast(), *sum) };
                for (out, half) in out.iter_mut().zip(halves.as_chunks::<2>().0) {
                    *out = half[0].wrapping_add(half[1]);
                }
            }
        }
    }
    let mut result = [[0i32; LANES]; TILE];
    for (x, out) in x.chunks(2 * stride).zip(result.chunks_mut(2)) {
        // SAFETY: this function is compiled only where AVX2 is.
        unsafe {
            match x.len() / stride {
                1 => rows::<1>(x, stride, panel, out),
                _ => rows::<2>(x, stride, panel, out),
            }
        }
    }
    result
}

/// Sums of up to [`TILE`] rows of bytes against one panel; rows that are absent stay 0.
#[cfg(not(all(
    target_arch = "x86_64",
    any(
        target_feature = "avx2",
        all(target_feature = "avx512f", target_feature = "avx512vnni")
    )
)))]
fn product(x: &[u8], stride: usize, panel: &[i8]) -> [[i32; LANES]; TILE] {
    portable(x, stride, panel)
}

/// The same in plain Rust: what other machines run, and what tests compare with.
#[cfg_attr(
    all(target_arch = "x86_64", target_feature = "avx2", not(test)),
    allow(dead_code)
)]
fn portable(x: &[u8], stride: usize, panel: &[i8]) -> [[i32; LANES]; TILE] {
    let mut result = [[0i32; LANES]; TILE];
    for (sums, row) in result.iter_mut().zip(x.chunks_exact(stride)) {
        for (x, w) in row
            .chunks_exact(GROUP)
            .zip(panel.chunks_exact(LANES * GROUP))
        {
            for (sum, w) in sums.iter_mut().zip(w.chunks_exact(GROUP)) {
                for (&x, &w) in x.iter().zip(w) {
                    *sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)));
                }
            }
        }
    }
    result
}

/// One row of wide operands against row-major weights.
fn words(x: &[i32], w: &[i8], out: &mut [i32]) {
    for (&x, w) in x.iter().zip(w.chunks_exact(out.len())) {
        for (sum, &w) in out.iter_mut().zip(w) {
            *sum = sum.wrapping_add(x.wrapping_mul(i32::from(w)));
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn the_machines_product_equals_the_portable_one() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for rows in 1..=TILE {
            for groups in [1, 2, 17] {
                let stride = groups * GROUP;
                let x: Vec<u8> = (0..rows * stride).map(|_| rng.random()).collect();
                let panel: Vec<i8> = (0..stride * LANES).map(|_| rng.random()).collect();
                assert_eq!(product(&x, stride, &panel), portable(&x, stride, &panel));
            }
        }
    }
}
