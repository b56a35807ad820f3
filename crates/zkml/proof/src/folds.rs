//! Binding some axes of a tensor of integers to a point.

use p3_field::{BasedVectorSpace, Field, PackedValue, PrimeCharacteristicRing};
use rayon::prelude::*;

use crate::field::{E, F, coordinates, signed};
use crate::plan::Dims;

/// Rows and blocks shorter than this are not worth a second thread.
const PARALLEL_FROM: usize = 1 << 12;

/// `Σ_i Π_bound eq(point_a, i_a) · values[…]` over the axes that have a point; the others remain,
/// each padded to a power of two.
pub(crate) fn fold(dims: &Dims, values: &[i32], points: &[Option<&[E]>]) -> Vec<E> {
    let mut runs: Vec<Run> = Vec::new();
    let mut free = Vec::new();
    for (&dim, point) in dims.0.iter().zip(points) {
        if point.is_none() {
            free.push(dim);
        }
        if dim == 1 {
            continue;
        }
        let bound = point.is_some();
        let (dims, coordinates) = match runs.last_mut() {
            Some(run) if run.bound == bound => (&mut run.dims, &mut run.point),
            _ => {
                runs.push(Run {
                    bound,
                    dims: Dims(Vec::new()),
                    point: Vec::new(),
                });
                let run = runs.last_mut().expect("was pushed");
                (&mut run.dims, &mut run.point)
            }
        };
        dims.0.push(dim);
        coordinates.extend_from_slice(point.unwrap_or(&[]));
    }

    let len = |run: &Run| run.dims.elements();
    let around = |runs: &[Run], at: usize| {
        let product = |runs: &[Run]| runs.iter().map(len).product::<usize>();
        (product(&runs[..at]), product(&runs[at + 1..]))
    };
    // The longest run first, over the base field.
    let longest = (0..runs.len())
        .filter(|&i| runs[i].bound)
        .max_by_key(|&i| len(&runs[i]));
    let mut table: Vec<E> = match longest {
        None => values.iter().map(|&v| E::from(signed(v.into()))).collect(),
        Some(at) => {
            let (outer, inner) = around(&runs, at);
            let weights = runs[at].dims.weights(&runs[at].point);
            runs.remove(at);
            weigh_base(values, outer, inner, &weights)
        }
    };
    while let Some(at) = runs.iter().position(|run| run.bound) {
        let (outer, inner) = around(&runs, at);
        let weights = runs[at].dims.weights(&runs[at].point);
        runs.remove(at);
        table = weigh(&table, outer, inner, &weights);
    }
    let free = Dims(free);
    let mut padded = vec![E::ZERO; 1 << free.variables()];
    free.place(&mut padded, E::ZERO, |i| table[i]);
    padded
}

/// Consecutive axes that are all bound or all free.
struct Run {
    bound: bool,
    dims: Dims,
    point: Vec<E>,
}

/// `out[o, i] = Σ_b weights[b]·values[o, b, i]`.
fn weigh_base(values: &[i32], outer: usize, inner: usize, weights: &[E]) -> Vec<E> {
    let axes: [Vec<F>; 5] =
        std::array::from_fn(|d| weights.iter().map(|e| coordinates(e)[d]).collect());
    let block = weights.len() * inner;
    if inner == 1 {
        let row = |row: &[i32]| {
            let row: Vec<F> = row.iter().map(|&v| signed(v.into())).collect();
            E::from_basis_coefficients_fn(|d| dot(&row, &axes[d]))
        };
        return if values.len() >= PARALLEL_FROM {
            let least = (PARALLEL_FROM / block).max(1);
            values
                .par_chunks(block)
                .with_min_len(least)
                .map(row)
                .collect()
        } else {
            values.chunks(block).map(row).collect()
        };
    }
    let mut out = vec![E::ZERO; outer * inner];
    // Pieces of a row of the result; a piece of the sum stays in the nearest cache.
    let piece = inner.min(512);
    let pieces = inner.div_ceil(piece);
    let fill = |(index, target): (usize, &mut [E])| {
        let values = &values[index / pieces * block..][..block];
        let from = index % pieces * piece;
        let len = target.len();
        let mut sums: [Vec<F>; 5] = std::array::from_fn(|_| F::zero_vec(len));
        let mut row = F::zero_vec(len);
        for (b, values) in values.chunks(inner).enumerate() {
            for (target, &v) in row.iter_mut().zip(&values[from..from + len]) {
                *target = signed(v.into());
            }
            for (sum, axis) in sums.iter_mut().zip(&axes) {
                add_scaled(sum, &row, axis[b]);
            }
        }
        for (i, target) in target.iter_mut().enumerate() {
            *target = E::from_basis_coefficients_fn(|d| sums[d][i]);
        }
    };
    // Rows of the result are cut into the same pieces.
    let targets: Vec<(usize, &mut [E])> = out
        .chunks_mut(inner)
        .flat_map(|row| row.chunks_mut(piece))
        .enumerate()
        .collect();
    if values.len() >= PARALLEL_FROM {
        targets.into_par_iter().for_each(fill);
    } else {
        targets.into_iter().for_each(fill);
    }
    out
}

/// [`weigh_base`] of extension elements.
fn weigh(values: &[E], outer: usize, inner: usize, weights: &[E]) -> Vec<E> {
    let block = weights.len() * inner;
    let at = |index: usize| {
        let values = &values[index / inner * block + index % inner..];
        values
            .iter()
            .step_by(inner)
            .zip(weights)
            .fold(E::ZERO, |sum, (&v, &w)| sum + v * w)
    };
    if values.len() >= PARALLEL_FROM {
        (0..outer * inner).into_par_iter().map(at).collect()
    } else {
        (0..outer * inner).map(at).collect()
    }
}

/// `target += row·factor` over the base field, a vector register at a time.
fn add_scaled(target: &mut [F], row: &[F], factor: F) {
    let factor_packed = <F as Field>::Packing::from(factor);
    let (target, target_rest) = <F as Field>::Packing::pack_slice_with_suffix_mut(target);
    let (row, row_rest) = <F as Field>::Packing::pack_slice_with_suffix(row);
    for (t, &r) in target.iter_mut().zip(row) {
        *t += r * factor_packed;
    }
    for (t, &r) in target_rest.iter_mut().zip(row_rest) {
        *t += r * factor;
    }
}

/// `Σ_i a[i]·b[i]` over the base field, a vector register at a time.
fn dot(a: &[F], b: &[F]) -> F {
    let (a_packed, a_rest) = <F as Field>::Packing::pack_slice_with_suffix(a);
    let (b_packed, b_rest) = <F as Field>::Packing::pack_slice_with_suffix(b);
    let zero = <F as Field>::Packing::ZERO;
    let sum = a_packed
        .iter()
        .zip(b_packed)
        .fold(zero, |acc, (&x, &y)| acc + x * y);
    let lanes: F = sum.as_slice().iter().copied().sum();
    a_rest
        .iter()
        .zip(b_rest)
        .fold(lanes, |acc, (&x, &y)| acc + x * y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::eq_table;
    use crate::transcript::Transcript;

    #[test]
    fn every_choice_of_bound_axes_folds_as_the_padded_table_does() {
        for dims in [
            vec![3, 5, 2],
            vec![1, 6, 1],
            vec![4, 700, 3],
            vec![2, 3, 1030],
        ]
        .map(Dims)
        {
            let values: Vec<i32> = (0..dims.elements() as i32).map(|i| i * 7 - 40).collect();
            for choice in 0..8usize {
                let mut transcript = Transcript::new(b"t");
                let point = transcript.sample_point(dims.variables());
                let other = transcript.sample_point(dims.variables());
                let bound = |axis: usize| choice >> axis & 1 == 1;
                let points: Vec<Option<&[E]>> = dims
                    .split(&point)
                    .enumerate()
                    .map(|(axis, (_, p))| bound(axis).then_some(p))
                    .collect();
                let table = fold(&dims, &values, &points);
                // At a point of the free axes it is the extension at both together.
                let (mut whole, mut free) = (Vec::new(), Vec::new());
                for (axis, ((_, p), (_, q))) in
                    dims.split(&point).zip(dims.split(&other)).enumerate()
                {
                    whole.extend_from_slice(if bound(axis) { p } else { q });
                    free.extend_from_slice(if bound(axis) { &[] } else { q });
                }
                let direct = eq_table(&free, E::ONE)
                    .into_iter()
                    .zip(&table)
                    .fold(E::ZERO, |sum, (e, &t)| sum + e * t);
                assert_eq!(table.len(), 1 << free.len());
                assert_eq!(direct, dims.evaluate(&values, &whole), "{dims:?} {choice}");
            }
        }
    }
}
