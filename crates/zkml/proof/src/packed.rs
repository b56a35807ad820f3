//! Vectors of extension elements, and sums of products with one reduction for several terms.

use p3_field::{
    BasedVectorSpace, ExtensionField, Field, PackedFieldExtension, PackedValue,
    PrimeCharacteristicRing,
};

use rayon::prelude::*;

use crate::arena::Buffer;
use crate::field::{DEGREE, E, F, coordinates, eq_table};

/// Base elements side by side.
pub(crate) type Base = <F as Field>::Packing;
/// Extension elements side by side.
pub(crate) type Packed = <E as ExtensionField<F>>::ExtensionPacking;
/// Elements of a vector.
pub(crate) const WIDTH: usize = <Base as PackedValue>::WIDTH;

/// `a·b`, in line: a call would pass both factors through memory.
#[inline(always)]
pub(crate) fn product(a: Packed, b: Packed) -> Packed {
    let [a, b] = [&a, &b].map(|v| {
        let v = <Packed as BasedVectorSpace<Base>>::as_basis_coefficients_slice(v);
        [v[0], v[1], v[2], v[3], v[4]]
    });
    let c0 = a[0] * b[0];
    let c1 = Base::dot_product::<2>(&[a[0], a[1]], &[b[1], b[0]]);
    let c2 = Base::dot_product::<3>(&[a[0], a[1], a[2]], &[b[2], b[1], b[0]]);
    let c3 = Base::dot_product::<4>(&[a[0], a[1], a[2], a[3]], &[b[3], b[2], b[1], b[0]]);
    let c4 = Base::dot_product::<5>(&a, &[b[4], b[3], b[2], b[1], b[0]]);
    let c5 = Base::dot_product::<4>(&[a[1], a[2], a[3], a[4]], &[b[4], b[3], b[2], b[1]]);
    let c6 = Base::dot_product::<3>(&[a[2], a[3], a[4]], &[b[4], b[3], b[2]]);
    let c7 = Base::dot_product::<2>(&[a[3], a[4]], &[b[4], b[3]]);
    let c8 = a[4] * b[4];
    modulo([c0, c1, c2, c3, c4, c5, c6, c7, c8])
}

/// The polynomial with these coefficients modulo `X^5 + X^2 - 1`.
#[inline(always)]
fn modulo(c: [Base; 9]) -> Packed {
    // X^5 = 1 - X^2, X^6 = X - X^3, X^7 = X^2 - X^4, X^8 = X^3 + X^2 - 1.
    let c58 = c[5] - c[8];
    let value = [
        c[0] + c58,
        c[1] + c[6],
        c[2] - c58 + c[7],
        c[3] - c[6] + c[8],
        c[4] - c[7],
    ];
    Packed::from_basis_coefficients_fn(|i| value[i])
}

/// `a·b + c·d`.
#[inline(always)]
pub(crate) fn two_products(a: Packed, b: Packed, c: Packed, d: Packed) -> Packed {
    let [a, b, c, d] = [&a, &b, &c, &d].map(|v| {
        let v = <Packed as BasedVectorSpace<Base>>::as_basis_coefficients_slice(v);
        [v[0], v[1], v[2], v[3], v[4]]
    });
    let dot = Base::dot_product::<2>;
    // c_k = Σ_{i+j=k} (a_i b_j + c_i d_j), at most eight products a reduction.
    let c0 = dot(&[a[0], c[0]], &[b[0], d[0]]);
    let c1 = Base::dot_product::<4>(&[a[0], a[1], c[0], c[1]], &[b[1], b[0], d[1], d[0]]);
    let c2 = Base::dot_product::<6>(
        &[a[0], a[1], a[2], c[0], c[1], c[2]],
        &[b[2], b[1], b[0], d[2], d[1], d[0]],
    );
    let c3 = Base::dot_product::<8>(
        &[a[0], a[1], a[2], a[3], c[0], c[1], c[2], c[3]],
        &[b[3], b[2], b[1], b[0], d[3], d[2], d[1], d[0]],
    );
    let c4 = Base::dot_product::<5>(&a, &[b[4], b[3], b[2], b[1], b[0]])
        + Base::dot_product::<5>(&c, &[d[4], d[3], d[2], d[1], d[0]]);
    let c5 = Base::dot_product::<8>(
        &[a[1], a[2], a[3], a[4], c[1], c[2], c[3], c[4]],
        &[b[4], b[3], b[2], b[1], d[4], d[3], d[2], d[1]],
    );
    let c6 = Base::dot_product::<6>(
        &[a[2], a[3], a[4], c[2], c[3], c[4]],
        &[b[4], b[3], b[2], d[4], d[3], d[2]],
    );
    let c7 = Base::dot_product::<4>(&[a[3], a[4], c[3], c[4]], &[b[4], b[3], d[4], d[3]]);
    let c8 = dot(&[a[4], c[4]], &[b[4], d[4]]);
    modulo([c0, c1, c2, c3, c4, c5, c6, c7, c8])
}

/// Whole vectors of a slice whose length they divide.
pub(crate) fn pack(values: &[E]) -> Vec<Packed> {
    values.chunks_exact(WIDTH).map(pack_one).collect()
}

/// [`pack`] into a buffer, which costs no fresh pages.
pub(crate) fn pack_long(values: &[E]) -> Buffer {
    let mut out = Buffer::new(values.len() / WIDTH);
    let fill = |(out, values): (&mut [Packed], &[E])| {
        for (out, values) in out.iter_mut().zip(values.chunks_exact(WIDTH)) {
            *out = pack_one(values);
        }
    };
    if values.len() >= PARALLEL_FROM {
        out.par_chunks_mut(CHUNK)
            .zip(values.par_chunks(CHUNK * WIDTH))
            .for_each(fill);
    } else {
        fill((&mut out, values));
    }
    out
}

#[inline(always)]
fn pack_one(values: &[E]) -> Packed {
    let mut columns = [[F::ZERO; WIDTH]; DEGREE];
    for (lane, value) in values.iter().enumerate().take(WIDTH) {
        for (column, &value) in columns.iter_mut().zip(coordinates(value)) {
            column[lane] = value;
        }
    }
    Packed::from_basis_coefficients_fn(|d| *Base::from_slice(&columns[d]))
}

/// Elements from which a second thread pays.
const PARALLEL_FROM: usize = 1 << 14;
/// Vectors that a thread takes at a time.
const CHUNK: usize = 64;
/// Variables of the part of an `eq` table that stays in the nearest cache.
pub(crate) const INNER_BITS: usize = 9;

/// All `eq(point, x)`, scaled, for more than `INNER_BITS` variables; see `field::eq_table`.
pub(crate) fn long_eq_table(point: &[E], scale: E) -> Vec<E> {
    let (outer, inner) = point.split_at(point.len() - INNER_BITS);
    let outer = eq_table(outer, scale);
    let inner = pack(&eq_table(inner, E::ONE));
    // Collected piece by piece, so that every page is touched by the thread that fills it.
    let piece = |&weight: &E| {
        let weight = Packed::from(weight);
        let mut out = [E::ZERO; 1 << INNER_BITS];
        for (out, &value) in out.chunks_exact_mut(WIDTH).zip(&inner) {
            product(value, weight).to_ext_slice(out);
        }
        out
    };
    let pieces: Vec<[E; 1 << INNER_BITS]> = if outer.len() << INNER_BITS >= PARALLEL_FROM {
        outer.par_iter().map(piece).collect()
    } else {
        outer.iter().map(piece).collect()
    };
    pieces.into_flattened()
}

/// `Σ scale·eq(point, ·)` as vectors, of points of one length, more than `INNER_BITS`.
pub(crate) fn long_eq_sum(claims: &[(Vec<E>, E)]) -> Buffer {
    let variables = claims.first().map_or(0, |(point, _)| point.len());
    let tables: Vec<(Vec<E>, Vec<Packed>)> = claims
        .iter()
        .map(|(point, scale)| {
            let (outer, inner) = point.split_at(variables - INNER_BITS);
            (eq_table(outer, *scale), pack(&eq_table(inner, E::ONE)))
        })
        .collect();
    let fill = |(index, out): (usize, &mut [Packed])| {
        let (pairs, rest) = tables.as_chunks::<2>();
        out.fill(Packed::ZERO);
        for [(outer_a, a), (outer_b, b)] in pairs {
            let (u, v) = (outer_a[index].into(), outer_b[index].into());
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out += two_products(a, u, b, v);
            }
        }
        for (outer, inner) in rest {
            let weight = outer[index].into();
            for (out, &inner) in out.iter_mut().zip(inner) {
                *out += product(inner, weight);
            }
        }
    };
    let mut out = Buffer::new((1 << variables) / WIDTH);
    let piece = (1 << INNER_BITS) / WIDTH;
    if out.len() * WIDTH >= PARALLEL_FROM {
        out.par_chunks_mut(piece).enumerate().for_each(fill);
    } else {
        out.chunks_mut(piece).enumerate().for_each(fill);
    }
    out
}

pub(crate) fn unpack(values: &[Packed]) -> Vec<E> {
    let mut out = vec![E::ZERO; values.len() * WIDTH];
    for (v, chunk) in values.iter().zip(out.chunks_exact_mut(WIDTH)) {
        v.to_ext_slice(chunk);
    }
    out
}

/// The sum of a vector's elements.
pub(crate) fn lane_sum(value: Packed) -> E {
    let mut lanes = [E::ZERO; WIDTH];
    value.to_ext_slice(&mut lanes);
    lanes.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn a_sum_of_equalities_is_the_sum_of_their_tables() {
        let mut draw = Transcript::new(b"p");
        for (variables, count) in [(INNER_BITS + 1, 1), (INNER_BITS + 2, 2), (15, 5)] {
            let claims: Vec<(Vec<E>, E)> = (0..count)
                .map(|_| (draw.sample_point(variables), draw.sample()))
                .collect();
            let mut sum = E::zero_vec(1 << variables);
            for (point, scale) in &claims {
                for (index, sum) in sum.iter_mut().enumerate() {
                    *sum += crate::field::eq_at(point, index) * *scale;
                }
            }
            assert!(unpack(&long_eq_sum(&claims)) == sum, "{variables}, {count}");
        }
    }

    #[test]
    fn two_products_are_the_sum_of_two_products() {
        let values = pack(&Transcript::new(b"p").sample_point(4 * WIDTH));
        let [a, b, c, d] = values[..] else { panic!() };
        assert_eq!(product(a, b), a * b);
        assert_eq!(two_products(a, b, c, d), a * b + c * d);
        assert_eq!(
            lane_sum(a),
            unpack(&[a]).into_iter().fold(E::ZERO, |s, x| s + x)
        );
    }
}
