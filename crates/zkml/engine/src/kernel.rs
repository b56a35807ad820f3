//! Inner kernels: up to [`TILE`] rows against one panel of [`LANES`] columns.
//!
//! A panel holds, for each group of rows of `b`, the group's elements of all its columns:
//! `[group][column][row]`, which is what one instruction multiplies. Groups are 4 rows of bytes
//! (`vpdpbusd`), 2 rows of sixteen bits (`vpdpwssd`) or 1 row of words.
//!
//! Lengths and products of lengths are bounded by the model's check, far below `usize`; sums wrap.
#![allow(clippy::arithmetic_side_effects)]

mod bytes;
mod halves;

/// Columns of a panel.
pub(crate) const LANES: usize = 16;
/// Rows of `a` that share one pass over a panel.
pub(crate) const TILE: usize = 8;
/// Sums of one tile against one panel.
pub(crate) type Sums = [[i32; LANES]; TILE];

/// Elements that a panel is made of.
pub(crate) trait Lane: Copy + Default + Into<i32> + Send + Sync {
    /// Elements of `a`.
    type Left: Copy + Default + Into<i32> + Send + Sync;
    /// Rows of `b` that one instruction multiplies.
    const GROUP: usize;

    /// Cuts a value that is known to fit.
    fn cut(value: i32) -> Self;

    /// Cuts a value of `a` that is known to fit once `lo` is taken off (bytes only).
    fn cut_left(value: i32, lo: i32) -> Self::Left;

    /// Sums of up to [`TILE`] rows of `stride` elements; rows that are absent stay 0.
    fn product(x: &[Self::Left], stride: usize, panel: &[Self]) -> Sums;
}

impl Lane for i8 {
    type Left = u8;
    const GROUP: usize = 4;

    fn cut(value: i32) -> Self {
        value as Self
    }

    fn cut_left(value: i32, lo: i32) -> u8 {
        value.wrapping_sub(lo) as u8
    }

    fn product(x: &[u8], stride: usize, panel: &[Self]) -> Sums {
        bytes::product(x, stride, panel)
    }
}

impl Lane for i16 {
    type Left = i16;
    const GROUP: usize = 2;

    fn cut(value: i32) -> Self {
        value as Self
    }

    fn cut_left(value: i32, _: i32) -> Self {
        value as Self
    }

    fn product(x: &[Self], stride: usize, panel: &[Self]) -> Sums {
        halves::product(x, stride, panel)
    }
}

impl Lane for i32 {
    type Left = Self;
    const GROUP: usize = 1;

    fn cut(value: i32) -> Self {
        value
    }

    fn cut_left(value: i32, _: i32) -> Self {
        value
    }

    fn product(x: &[Self], stride: usize, panel: &[Self]) -> Sums {
        words(x, stride, panel)
    }
}

/// Words; the compiler makes vectors of the innermost loop.
fn words(x: &[i32], stride: usize, panel: &[i32]) -> Sums {
    /// `R` is the number of rows, so that the sums stay in registers.
    fn rows<const R: usize>(x: &[i32], stride: usize, panel: &[i32]) -> Sums {
        let groups = panel.as_chunks::<LANES>().0;
        let rows: [&[i32]; R] =
            std::array::from_fn(|r| &x[r * stride..(r + 1) * stride][..groups.len()]);
        let mut sums = [[0i32; LANES]; R];
        for (k, w) in groups.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let x = row[k];
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = sum.wrapping_add(x.wrapping_mul(*w));
                }
            }
        }
        let mut result = [[0i32; LANES]; TILE];
        result[..R].copy_from_slice(&sums);
        result
    }
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

/// Any kernel in plain Rust: what machines without the instructions run, and what tests compare
/// with.
#[cfg_attr(
    all(
        target_arch = "x86_64",
        target_feature = "avx512f",
        target_feature = "avx512vnni",
        not(test)
    ),
    allow(dead_code)
)]
fn portable<L: Lane>(x: &[L::Left], stride: usize, panel: &[L]) -> Sums {
    let mut result = [[0i32; LANES]; TILE];
    for (sums, row) in result.iter_mut().zip(x.chunks_exact(stride)) {
        for (x, w) in row
            .chunks_exact(L::GROUP)
            .zip(panel.chunks_exact(LANES * L::GROUP))
        {
            for (sum, w) in sums.iter_mut().zip(w.chunks_exact(L::GROUP)) {
                for (&x, &w) in x.iter().zip(w) {
                    let (x, w): (i32, i32) = (x.into(), w.into());
                    *sum = sum.wrapping_add(x.wrapping_mul(w));
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use rand::distr::{Distribution, StandardUniform};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn compare<L: Lane>()
    where
        StandardUniform: Distribution<L> + Distribution<L::Left>,
    {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for rows in 1..=TILE {
            for groups in [1, 2, 17] {
                let stride = groups * L::GROUP;
                let x: Vec<L::Left> = (0..rows * stride).map(|_| rng.random()).collect();
                let panel: Vec<L> = (0..stride * LANES).map(|_| rng.random()).collect();
                let sums = L::product(&x, stride, &panel);
                assert_eq!(sums, portable(&x, stride, &panel));
                assert_ne!(sums[0], [0; LANES]);
            }
        }
    }

    #[test]
    fn the_machines_products_equal_the_portable_ones() {
        compare::<i8>();
        compare::<i16>();
        compare::<i32>();
    }

    #[test]
    fn the_least_sixteen_bit_values_wrap_like_the_portable_ones() {
        let (x, panel) = ([i16::MIN; 4], [i16::MIN; 4 * LANES]);
        assert_eq!(i16::product(&x, 4, &panel), portable(&x, 4, &panel));
    }
}
