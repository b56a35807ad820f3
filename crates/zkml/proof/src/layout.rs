//! Where the elements of a tensor lie on the hypercube, and blocks of a committed polynomial.
//!
//! Every axis is padded to a power of two; row-major, most significant bit first. So a point of a
//! tensor is the concatenation of one point for every axis.

use hallmark_graph::Shape;
use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::field::{E, F, eq_table, less_than, log2_ceil, signed};
use crate::folds::{Coordinates, is_wide};

/// Tables shorter than this are not worth a second thread.
const PARALLEL_FROM: usize = 1 << 13;

/// Elements whose weights are made together when a tensor is evaluated: at least, if there are.
const LEAST_RUN: usize = 1 << 9;
/// A run that is longer is cut.
const MOST_RUN: usize = 1 << 12;

/// Dimensions of a tensor; none is a scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dims(pub(crate) Vec<usize>);

impl Dims {
    pub(crate) fn of(shape: &Shape) -> Self {
        Self(shape.0.iter().map(|&d| d as usize).collect())
    }

    /// Elements, padding not counted.
    pub(crate) fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// Variables of all axes together.
    pub(crate) fn variables(&self) -> usize {
        self.0.iter().map(|&d| log2_ceil(d)).sum()
    }

    /// The part of a point that belongs to each axis.
    pub(crate) fn split<'a, T>(&'a self, point: &'a [T]) -> impl Iterator<Item = (usize, &'a [T])> {
        let mut rest = point;
        self.0.iter().map(move |&dim| {
            let (axis, tail) = rest.split_at(log2_ceil(dim));
            rest = tail;
            (dim, axis)
        })
    }

    /// The multilinear extension of "this position holds an element".
    pub(crate) fn presence(&self, point: &[E]) -> E {
        self.split(point)
            .map(|(dim, axis)| less_than(axis, dim))
            .product()
    }

    /// `eq(point, i)` of every element `i`, row-major, without padding.
    pub(crate) fn weights(&self, point: &[E]) -> Vec<E> {
        let mut weights = vec![E::ONE];
        for (dim, axis) in self.split(point) {
            if dim == 1 {
                continue;
            }
            let mut table = eq_table(axis, E::ONE);
            table.truncate(dim);
            if weights.len() == 1 {
                weights = table;
                continue;
            }
            let row = |&w: &E| table.iter().map(move |&t| w * t);
            weights = if weights.len() * dim >= PARALLEL_FROM {
                weights.par_iter().flat_map_iter(row).collect()
            } else {
                weights.iter().flat_map(row).collect()
            };
        }
        weights
    }

    /// The rows that are contiguous both with and without padding.
    fn rows(&self) -> Rows<'_> {
        let mut len = 1;
        let mut outer = self.0.len();
        while outer > 0 {
            outer -= 1;
            len *= self.0[outer];
            if !len.is_power_of_two() {
                break;
            }
        }
        Rows {
            len,
            outer: &self.0[..outer],
        }
    }

    /// Writes element `i` as `value(i)` and padding as `pad` over the whole hypercube.
    pub(crate) fn place<T: Copy + Send + Sync>(
        &self,
        target: &mut [T],
        pad: T,
        value: impl Fn(usize) -> T + Sync,
    ) {
        let rows = self.rows();
        let padded = rows.len.next_power_of_two();
        let fill = |(index, row): (usize, &mut [T])| match rows.source(index) {
            None => row.fill(pad),
            Some(source) => {
                let (present, absent) = row.split_at_mut(rows.len);
                for (i, target) in present.iter_mut().enumerate() {
                    *target = value(source * rows.len + i);
                }
                absent.fill(pad);
            }
        };
        if target.len() < PARALLEL_FROM {
            target.chunks_mut(padded).enumerate().for_each(fill);
        } else if target.len() > padded {
            let least = (PARALLEL_FROM / padded).max(1);
            target
                .par_chunks_mut(padded)
                .enumerate()
                .with_min_len(least)
                .for_each(fill);
        } else {
            // One long row.
            target
                .par_chunks_mut(PARALLEL_FROM)
                .enumerate()
                .for_each(|(chunk, row)| {
                    for (i, target) in row.iter_mut().enumerate() {
                        let i = chunk * PARALLEL_FROM + i;
                        *target = if i < rows.len { value(i) } else { pad };
                    }
                });
        }
    }

    /// The padded table of a tensor.
    pub(crate) fn padded(&self, values: &[i32]) -> Vec<F> {
        let mut table = F::zero_vec(1 << self.variables());
        self.place(&mut table, F::ZERO, |i| signed(i64::from(values[i])));
        table
    }

    /// The extension of a tensor that is zero in padding. The weights of the last axes and of the
    /// first ones are made apart, so that memory stays small.
    pub(crate) fn evaluate(&self, values: &[i32], point: &[E]) -> E {
        let (mut first, mut len) = (self.0.len(), 1);
        while first > 0 && len < LEAST_RUN {
            first -= 1;
            len *= self.0[first];
        }
        let (outer, inner) = self.0.split_at(first);
        let outer = Self(outer.to_vec());
        let (outer_point, inner_point) = point.split_at(outer.variables());
        let outer = outer.weights(outer_point);

        // A long axis is cut into pieces of a power of two.
        let mut inner = Self(inner.to_vec());
        let mut pieces = vec![E::ONE];
        let mut piece = len;
        let mut piece_point = inner_point;
        if len > MOST_RUN {
            let rest: usize = inner.0[1..].iter().product();
            let low = log2_ceil((LEAST_RUN / rest).max(1));
            let (high, point) = inner_point.split_at(log2_ceil(inner.0[0]) - low);
            pieces = eq_table(high, E::ONE);
            inner.0[0] = 1 << low;
            piece = inner.elements();
            piece_point = point;
        }
        let weights = Coordinates::new(&inner.weights(piece_point));
        let wide = is_wide(values);
        let weigh = |run: &[i32], high: &E| weights.dot(run, wide) * *high;
        let add = |a: E, b: E| a + b;
        if values.len() >= PARALLEL_FROM {
            let row = |row: &[i32]| {
                let runs = row.par_chunks(piece).zip(&pieces);
                runs.map(|(run, high)| weigh(run, high))
                    .reduce(|| E::ZERO, add)
            };
            let rows = values.par_chunks(len).zip(&outer);
            rows.map(|(values, &outer)| row(values) * outer)
                .reduce(|| E::ZERO, add)
        } else {
            let row = |row: &[i32]| {
                let runs = row.chunks(piece).zip(&pieces);
                runs.map(|(run, high)| weigh(run, high)).fold(E::ZERO, add)
            };
            let rows = values.chunks(len).zip(&outer);
            rows.map(|(values, &outer)| row(values) * outer)
                .fold(E::ZERO, add)
        }
    }
}

/// Rows of `len` elements over outer axes.
struct Rows<'a> {
    len: usize,
    outer: &'a [usize],
}

impl Rows<'_> {
    /// The row of elements that lies at padded row `index`, if one does.
    fn source(&self, index: usize) -> Option<usize> {
        let (mut rest, mut source, mut stride) = (index, 0, 1);
        for &dim in self.outer.iter().rev() {
            let padded = dim.next_power_of_two();
            let position = rest & (padded - 1);
            if position >= dim {
                return None;
            }
            rest >>= log2_ceil(dim);
            source += position * stride;
            stride *= dim;
        }
        Some(source)
    }
}

/// A block of a committed polynomial: aligned, a power of two long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) offset: usize,
    pub(crate) variables: usize,
}

/// Blocks laid out by decreasing size, each aligned to its own size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stacking {
    pub(crate) blocks: Vec<Block>,
    /// Variables of the whole.
    pub(crate) variables: usize,
}

impl Stacking {
    pub(crate) fn new(sizes: &[usize], min_variables: usize) -> Self {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(sizes[i]));
        let mut blocks = vec![
            Block {
                offset: 0,
                variables: 0
            };
            sizes.len()
        ];
        let mut end = 0usize;
        for i in order {
            blocks[i] = Block {
                offset: end,
                variables: sizes[i],
            };
            end += 1 << sizes[i];
        }
        Self {
            blocks,
            variables: log2_ceil(end.max(1)).max(min_variables),
        }
    }

    /// Elements of all blocks.
    pub(crate) fn elements(&self) -> usize {
        self.blocks.iter().map(|b| 1usize << b.variables).sum()
    }

    /// Every block's part of a polynomial, with the block's number.
    pub(crate) fn split<'a, T>(&self, values: &'a mut [T]) -> Vec<(usize, &'a mut [T])> {
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        order.sort_by_key(|&i| self.blocks[i].offset);
        let mut parts = Vec::with_capacity(order.len());
        let mut rest = values;
        for i in order {
            // Decreasing powers of two leave no gaps.
            let (part, tail) = rest.split_at_mut(1 << self.blocks[i].variables);
            parts.push((i, part));
            rest = tail;
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::dot_base;
    use crate::transcript::Transcript;

    fn shapes() -> Vec<Dims> {
        [
            vec![],
            vec![1],
            vec![7],
            vec![3, 5],
            vec![3, 4],
            vec![4, 3],
            vec![1, 3, 1, 2, 4],
            vec![3, 1, 5, 3],
            vec![5000],
            vec![3, 5000],
            vec![5000, 3],
            vec![2, 700, 5],
            vec![3, 8192],
        ]
        .map(Dims)
        .to_vec()
    }

    #[test]
    fn an_evaluation_is_the_weighted_sum_of_the_elements_and_of_the_padded_table() {
        for dims in shapes() {
            let point = Transcript::new(b"t").sample_point(dims.variables());
            let values: Vec<i32> = (0..dims.elements() as i32).map(|i| i * i - 9).collect();
            let weights = dims.weights(&point);
            assert_eq!(weights.len(), values.len());
            let direct = weights
                .iter()
                .zip(&values)
                .fold(E::ZERO, |sum, (&w, &v)| sum + w * signed(i64::from(v)));
            let table = dims.padded(&values);
            assert_eq!(dims.evaluate(&values, &point), direct, "{dims:?}");
            assert_eq!(
                dot_base(&eq_table(&point, E::ONE), &table),
                direct,
                "{dims:?}"
            );
            let ones = vec![1; values.len()];
            assert_eq!(
                dims.evaluate(&ones, &point),
                dims.presence(&point),
                "{dims:?}"
            );
        }
    }

    #[test]
    fn long_rows_and_many_rows_are_placed_as_short_ones_are() {
        for dims in [vec![3, 5001], vec![5001, 3], vec![20_000], vec![129, 129]].map(Dims) {
            let mut table = vec![0usize; 1 << dims.variables()];
            dims.place(&mut table, usize::MAX, |i| i);
            let present: Vec<usize> = table.into_iter().filter(|&x| x != usize::MAX).collect();
            assert_eq!(present, (0..dims.elements()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn blocks_do_not_overlap_and_are_aligned() {
        let stacking = Stacking::new(&[2, 0, 5, 3, 3, 0], 0);
        let mut values = vec![usize::MAX; 1 << stacking.variables];
        for (block, part) in stacking.split(&mut values) {
            part.fill(block);
        }
        for (i, block) in stacking.blocks.iter().enumerate() {
            assert_eq!(block.offset % (1 << block.variables), 0);
            let part = &values[block.offset..block.offset + (1 << block.variables)];
            assert!(part.iter().all(|&v| v == i));
        }
    }
}
