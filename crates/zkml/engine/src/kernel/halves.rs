//! Sixteen bits by sixteen bits, two at a time.
#![allow(clippy::arithmetic_side_effects)]

use super::Sums;

/// Sums of up to `TILE` rows of halves against one panel; rows that are absent stay 0.
#[cfg(all(
    target_arch = "x86_64",
    target_feature = "avx512f",
    target_feature = "avx512vnni"
))]
pub(super) fn product(x: &[i16], stride: usize, panel: &[i16]) -> Sums {
    use std::arch::x86_64::{
        __m512i, _mm512_dpwssd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
        _mm512_storeu_si512,
    };

    use super::{LANES, TILE};
    /// `R` is the number of rows, so that the sums stay in registers.
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn rows<const R: usize>(x: &[i16], stride: usize, panel: &[i16]) -> Sums {
        let groups = panel.as_chunks::<{ 2 * LANES }>().0;
        let rows: [&[[i16; 2]]; R] =
            std::array::from_fn(|r| &x[r * stride..(r + 1) * stride].as_chunks().0[..groups.len()]);
        let mut sums: [__m512i; R] = [_mm512_setzero_si512(); R];
        for (k, group) in groups.iter().enumerate() {
            // SAFETY: `group` is 64 bytes, and the load has no alignment.
            let w = unsafe { _mm512_loadu_si512(group.as_ptr().cast()) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                let [low, high] = row[k];
                let pair = i32::from(low) & 0xffff | i32::from(high) << 16;
                *sum = _mm512_dpwssd_epi32(*sum, _mm512_set1_epi32(pair), w);
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

/// Sums of up to `TILE` rows of halves against one panel; rows that are absent stay 0.
#[cfg(not(all(
    target_arch = "x86_64",
    target_feature = "avx512f",
    target_feature = "avx512vnni"
)))]
pub(super) fn product(x: &[i16], stride: usize, panel: &[i16]) -> Sums {
    super::portable(x, stride, panel)
}
