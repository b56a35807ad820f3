//! Unsigned bytes by signed bytes, four at a time.
#![allow(clippy::arithmetic_side_effects)]

use super::Sums;

/// Sums of up to [`TILE`] rows of bytes against one panel; rows that are absent stay 0.
#[cfg(all(
    target_arch = "x86_64",
    target_feature = "avx512f",
    target_feature = "avx512vnni"
))]
pub(super) fn product(x: &[u8], stride: usize, panel: &[i8]) -> Sums {
    use std::arch::x86_64::{
        __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
        _mm512_storeu_si512,
    };

    use super::{LANES, TILE};
    /// Elements of a group.
    const GROUP: usize = 4;
    /// `R` is the number of rows, so that the sums stay in registers.
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn rows<const R: usize>(x: &[u8], stride: usize, panel: &[i8]) -> Sums {
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
pub(super) fn product(x: &[u8], stride: usize, panel: &[i8]) -> Sums {
    use std::arch::x86_64::{
        __m256i, _mm_loadu_si128, _mm_set1_epi32, _mm256_add_epi32, _mm256_cvtepi8_epi16,
        _mm256_cvtepu8_epi16, _mm256_madd_epi16, _mm256_setzero_si256, _mm256_storeu_si256,
    };

    use super::{LANES, TILE};
    /// Elements of a group.
    const GROUP: usize = 4;
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
pub(super) fn product(x: &[u8], stride: usize, panel: &[i8]) -> Sums {
    super::portable(x, stride, panel)
}
