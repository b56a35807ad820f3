//! The field, its extension, and the multilinear evaluations that prover and verifier share.
//!
//! Every point is most-significant-bit first: coordinate 0 binds the highest bit of an index.

use p3_field::extension::QuinticTrinomialExtensionField;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;

use crate::packed::{INNER_BITS, long_eq_table};

/// KoalaBear, `p = 2^31 - 2^24 + 1`.
pub(crate) type F = KoalaBear;
/// The quintic extension of `F`, about 2^155 elements.
pub(crate) type E = QuinticTrinomialExtensionField<KoalaBear>;

/// Base coordinates of an extension element.
pub(crate) const DEGREE: usize = 5;
/// Encoded bytes of a base element.
pub(crate) const F_BYTES: usize = 4;
/// Encoded bytes of an extension element.
pub(crate) const E_BYTES: usize = DEGREE * F_BYTES;

/// Smallest `k` with `2^k >= n`; `n` is at least 1.
pub(crate) fn log2_ceil(n: usize) -> usize {
    n.next_power_of_two().trailing_zeros() as usize
}

/// A signed integer as a field element: `x < 0` is `p + x`.
pub(crate) fn signed(x: i64) -> F {
    let p = i64::from(F::ORDER_U32);
    // Within one period, as nearly every integer of a graph is, a division is saved.
    let lifted = x + (p & (x >> 63));
    match u32::try_from(lifted) {
        Ok(lifted) => F::from_u32(lifted),
        Err(_) => F::from_u64(x.rem_euclid(p) as u64),
    }
}

/// `2^-k`.
pub(crate) fn inverse_power_of_two(k: usize) -> F {
    F::ONE.halve().exp_u64(k as u64)
}

/// All `eq(point, x)` for `x` in `{0,1}^n`, scaled.
pub(crate) fn eq_table(point: &[E], scale: E) -> Vec<E> {
    if point.len() > INNER_BITS {
        return long_eq_table(point, scale);
    }
    let mut table = Vec::with_capacity(1 << point.len());
    table.push(scale);
    for &r in point.iter().rev() {
        // A more significant coordinate doubles the table: first half times (1 - r).
        let half = table.len();
        for i in 0..half {
            let high = table[i] * r;
            table[i] -= high;
            table.push(high);
        }
    }
    table
}

/// `eq(point, bits of index)`, `index < 2^n`.
pub(crate) fn eq_at(point: &[E], index: usize) -> E {
    let n = point.len();
    point.iter().enumerate().fold(E::ONE, |acc, (i, &r)| {
        if (index >> (n - 1 - i)) & 1 == 1 {
            acc * r
        } else {
            acc * (E::ONE - r)
        }
    })
}

/// `Σ_{x < bound} eq(point, x)`: the multilinear extension of `[x < bound]`, `bound <= 2^n`.
pub(crate) fn less_than(point: &[E], bound: usize) -> E {
    prefix_sums(point, bound).0
}

/// `(Σ_{x < bound} eq(point, x), Σ_{x < bound} x·eq(point, x))` in `O(n)`.
///
/// Indices below `bound` split into one aligned block for every set bit of `bound`.
pub(crate) fn prefix_sums(point: &[E], bound: usize) -> (E, E) {
    let n = point.len();
    if bound >= 1 << n {
        return (E::ONE, index_extension(point));
    }
    // low_index[i] = Σ_{j >= i} 2^(n-1-j) r_j: the mean index of the free low coordinates.
    let mut low_index = vec![E::ZERO; n + 1];
    for i in (0..n).rev() {
        low_index[i] = low_index[i + 1] + point[i] * F::from_u64(1 << (n - 1 - i));
    }
    let (mut count, mut sum) = (E::ZERO, E::ZERO);
    let mut prefix_weight = E::ONE;
    let mut prefix_value = 0u64;
    for i in 0..n {
        let bit = n - 1 - i;
        if (bound >> bit) & 1 == 1 {
            let block = prefix_weight * (E::ONE - point[i]);
            count += block;
            sum += block * (low_index[i + 1] + F::from_u64(prefix_value));
            prefix_weight *= point[i];
            prefix_value += 1 << bit;
        } else {
            prefix_weight *= E::ONE - point[i];
        }
    }
    (count, sum)
}

/// Multilinear extension of `x ↦ x`.
pub(crate) fn index_extension(point: &[E]) -> E {
    point.iter().fold(E::ZERO, |acc, &r| acc.double() + r)
}

/// `Σ_i eq[i]·values[i]` over the base field.
#[cfg(test)]
pub(crate) fn dot_base(eq: &[E], values: &[F]) -> E {
    eq.iter()
        .zip(values)
        .fold(E::ZERO, |acc, (&e, &v)| acc + e * v)
}

/// The base coordinates of an extension element.
pub(crate) fn coordinates(value: &E) -> &[F] {
    <E as BasedVectorSpace<F>>::as_basis_coefficients_slice(value)
}

/// Appends canonical little-endian coordinates.
pub(crate) fn write_e(out: &mut Vec<u8>, value: E) {
    for &c in coordinates(&value) {
        write_f(out, c);
    }
}

/// Appends a canonical little-endian element.
pub(crate) fn write_f(out: &mut Vec<u8>, value: F) {
    out.extend_from_slice(&value.as_canonical_u32().to_le_bytes());
}

/// Reads a canonical element; `None` when it is not below `p`.
pub(crate) fn read_f(bytes: [u8; F_BYTES]) -> Option<F> {
    let value = u32::from_le_bytes(bytes);
    (value < F::ORDER_U32).then(|| F::from_u32(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(n: usize) -> Vec<E> {
        (0..n)
            .map(|i| E::from_basis_coefficients_fn(|j| F::from_u64((i * 31 + j * 7 + 3) as u64)))
            .collect()
    }

    #[test]
    fn eq_table_agrees_with_eq_at() {
        for n in [0, 5, 9, 10, 15] {
            let p = point(n);
            let table = eq_table(&p, E::TWO);
            assert_eq!(table.len(), 1 << n);
            for (i, &e) in table.iter().enumerate() {
                assert_eq!(e, eq_at(&p, i).double());
            }
        }
    }

    #[test]
    fn signed_integers_are_reduced() {
        let p = i64::from(F::ORDER_U32);
        for x in [0, 1, p - 1, p, p + 1, 2 * p + 5, 1 << 31, 1 << 32, i64::MAX] {
            assert_eq!(signed(x), F::from_u64(x as u64), "{x}");
            assert_eq!(signed(-x), -F::from_u64(x as u64), "-{x}");
        }
        assert_eq!(signed(i64::MIN), -F::from_u64(1 << 63));
    }

    #[test]
    fn prefix_sums_agree_with_the_definition() {
        let p = point(4);
        let table = eq_table(&p, E::ONE);
        for bound in 0..=16 {
            let count = table[..bound].iter().copied().sum::<E>();
            let sum = (0..bound).fold(E::ZERO, |a, i| a + table[i] * F::from_u64(i as u64));
            assert_eq!(prefix_sums(&p, bound), (count, sum), "bound {bound}");
        }
    }
}
