//! Binding some axes of a tensor of integers to a point.

use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
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
    let block = weights.len() * inner;
    let weights = Coordinates::new(weights);
    let wide = is_wide(values);
    if inner == 1 {
        let row = |row: &[i32]| weights.dot(row, wide);
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
    // Pieces of a row of the result; the sums of a piece stay in the nearest cache.
    let piece = inner.min(PIECE);
    let pieces = inner.div_ceil(piece);
    let fill = |(index, target): (usize, &mut [E])| {
        let values = &values[index / pieces * block..][..block];
        let from = index % pieces * piece;
        let to = from + target.len();
        let rows = values.chunks(inner).map(|row| &row[from..to]);
        weights.combine(rows, target, wide);
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

/// Elements of a row that are summed at a time.
const PIECE: usize = 512;
/// Products of a coordinate below `2^31` and an integer within `±2^16` whose sum fits `i64` a
/// lane; fewer by far than would overflow.
const TERMS: usize = 1 << 12;
/// Lanes of a dot product.
const LANES: usize = 8;
/// Bits of the lower part of a wide integer.
const LOW_BITS: u32 = 15;

/// Whether integers have to be weighed in two parts.
pub(crate) fn is_wide(values: &[i32]) -> bool {
    let magnitudes = |values: &[i32]| values.iter().fold(0, |all, v| all | v.unsigned_abs());
    let all = if values.len() >= PARALLEL_FROM {
        values
            .par_chunks(PARALLEL_FROM)
            .map(magnitudes)
            .reduce(|| 0, |a, b| a | b)
    } else {
        magnitudes(values)
    };
    all >= 1 << 16
}

/// Extension elements as five rows of integers in `[0, p)`: integer products of 32 bits fill a
/// vector register, and are reduced once a sum.
pub(crate) struct Coordinates {
    axes: [Vec<i32>; 5],
}

impl Coordinates {
    pub(crate) fn new(weights: &[E]) -> Self {
        let axis = |d: usize| {
            let canonical = |e: &E| coordinates(e)[d].as_canonical_u32() as i32;
            weights.iter().map(canonical).collect()
        };
        Self {
            axes: std::array::from_fn(axis),
        }
    }

    /// `Σ_i weights[i]·values[i]` over the values that there are.
    pub(crate) fn dot(&self, values: &[i32], wide: bool) -> E {
        if wide {
            let low = self.dot_part(values, |v| v & ((1 << LOW_BITS) - 1));
            let high = self.dot_part(values, |v| v >> LOW_BITS);
            return low + high * F::from_u32(1 << LOW_BITS);
        }
        self.dot_part(values, |v| v)
    }

    fn dot_part(&self, values: &[i32], part: impl Fn(i32) -> i32 + Copy) -> E {
        let mut total = [0i64; 5];
        let mut from = 0;
        for values in values.chunks(LANES * TERMS) {
            for (total, axis) in total.iter_mut().zip(&self.axes) {
                let axis = &axis[from..from + values.len()];
                let mut lanes = [0i64; LANES];
                let chunks = values.chunks_exact(LANES).zip(axis.chunks_exact(LANES));
                for (values, axis) in chunks {
                    for lane in 0..LANES {
                        lanes[lane] += i64::from(part(values[lane])) * i64::from(axis[lane]);
                    }
                }
                let rest = values.len() / LANES * LANES;
                let rest = values[rest..].iter().zip(&axis[rest..]);
                let mut sum: i64 = rest.map(|(&v, &a)| i64::from(part(v)) * i64::from(a)).sum();
                sum += lanes.iter().sum::<i64>();
                *total = (*total + sum) % MODULUS;
            }
            from += values.len();
        }
        E::from_basis_coefficients_fn(|d| signed(total[d]))
    }

    /// `target[i] = Σ_b weights[b]·rows[b][i]`, rows as long as the target.
    fn combine<'v>(
        &self,
        rows: impl Iterator<Item = &'v [i32]> + Clone,
        target: &mut [E],
        wide: bool,
    ) {
        if wide {
            self.combine_part(rows.clone(), target, |v| v & ((1 << LOW_BITS) - 1));
            let mut high = vec![E::ZERO; target.len()];
            self.combine_part(rows, &mut high, |v| v >> LOW_BITS);
            for (target, high) in target.iter_mut().zip(high) {
                *target += high * F::from_u32(1 << LOW_BITS);
            }
        } else {
            self.combine_part(rows, target, |v| v);
        }
    }

    fn combine_part<'v>(
        &self,
        rows: impl Iterator<Item = &'v [i32]>,
        target: &mut [E],
        part: impl Fn(i32) -> i32 + Copy,
    ) {
        let mut sums: [Vec<i64>; 5] = std::array::from_fn(|_| vec![0; target.len()]);
        for (b, row) in rows.enumerate() {
            for (sums, axis) in sums.iter_mut().zip(&self.axes) {
                let weight = i64::from(axis[b]);
                for (sum, &v) in sums.iter_mut().zip(row) {
                    *sum += weight * i64::from(part(v));
                }
            }
            if b % TERMS == TERMS - 1 {
                sums.iter_mut().flatten().for_each(|sum| *sum %= MODULUS);
            }
        }
        for (i, target) in target.iter_mut().enumerate() {
            *target = E::from_basis_coefficients_fn(|d| signed(sums[d][i]));
        }
    }
}

const MODULUS: i64 = F::ORDER_U32 as i64;

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
            for choice in 0..16usize {
                // Narrow, then wide.
                let factor = if choice < 8 { 7 } else { 100_003 };
                let value = |i| (i * factor - 40) % (1 << 29);
                let values: Vec<i32> = (0..dims.elements() as i32).map(value).collect();
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
