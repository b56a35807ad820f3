//! The low part of a reduction: pairs of tables, one of weights and one of values, whose products are summed.
//!
//! A table of values is a sum of rows of `F`, each with a factor, and all these rows are weighed by the one table
//! of weights. Claims that weigh rows in the same way are one pair.

use std::collections::BTreeMap;

use p3_field::{PackedValue, PrimeCharacteristicRing};
use rayon::prelude::*;

use super::{AT_ONCE, PARALLEL_FROM, PE, PF, Row, Table, Weights, axes};
use crate::field::{E, F, eq_table};
use crate::layout::Block;

/// Rows of `F`, each with its factor.
pub(super) type Rows = Vec<(usize, E)>;

/// The pairs, and the rows of each.
pub(super) fn tables(values: &[F], terms: &[Weights], low: usize) -> (Vec<Table>, Vec<Rows>) {
    let mut pairs = Pairs::new(low);
    for term in terms {
        pairs.add(term);
    }
    let pairs = pairs.finish();
    let tables = pairs
        .par_iter()
        .map(|(weights, rows)| {
            // A row is at least two vectors.
            Table::packed(super::pack(weights), sum(values, rows, low))
        })
        .collect();
    (tables, pairs.into_iter().map(|(_, rows)| rows).collect())
}

struct Pairs<'a> {
    low: usize,
    pairs: Vec<(Vec<E>, Rows)>,
    /// The pairs of weights `eq(point, ·)`, by the point.
    points: Vec<(&'a [E], usize)>,
    /// Weights of single rows: of blocks smaller than one.
    single: BTreeMap<usize, Vec<E>>,
}

impl<'a> Pairs<'a> {
    fn new(low: usize) -> Self {
        Self {
            low,
            pairs: Vec::new(),
            points: Vec::new(),
            single: BTreeMap::new(),
        }
    }

    fn add(&mut self, term: &'a Weights) {
        match term {
            Weights::Eq {
                block,
                point,
                scale,
            } => self.eq(*block, point, *scale),
            Weights::Dense { blocks, weights } => self.dense(blocks, weights),
            Weights::Tensor { block, lanes, row } => {
                let variables = row.variables();
                let lane = |(j, &weight): (usize, &E)| {
                    let offset = block.offset + (j << variables);
                    (Block { offset, variables }, weight)
                };
                let blocks: Vec<(Block, E)> = lanes.iter().enumerate().map(lane).collect();
                match row {
                    Row::Eq(point) if variables >= self.low => {
                        for (block, scale) in blocks {
                            self.eq(block, point, scale);
                        }
                    }
                    row => self.dense(&blocks, &row.table()),
                }
            }
        }
    }

    fn eq(&mut self, block: Block, point: &'a [E], scale: E) {
        if block.variables < self.low {
            self.small(block, &eq_table(point, scale), E::ONE);
            return;
        }
        let (high, low) = point.split_at(block.variables - self.low);
        let known = self.points.iter().find(|(point, _)| *point == low);
        let pair = known.map_or(self.pairs.len(), |&(_, pair)| pair);
        if pair == self.pairs.len() {
            self.points.push((low, pair));
            self.pairs.push((eq_table(low, E::ONE), Vec::new()));
        }
        let first = block.offset >> self.low;
        let weights = eq_table(high, scale);
        self.pairs[pair].1.extend((first..).zip(weights));
    }

    /// The same weights on blocks of the same size, each with its own factor; absent ones are zero.
    fn dense(&mut self, blocks: &[(Block, E)], weights: &[E]) {
        let Some(&(first, _)) = blocks.first() else {
            return;
        };
        if first.variables < self.low {
            for &(block, scale) in blocks {
                self.small(block, weights, scale);
            }
            return;
        }
        for (index, chunk) in weights.chunks(1 << self.low).enumerate() {
            let mut padded = chunk.to_vec();
            padded.resize(1 << self.low, E::ZERO);
            let rows = blocks
                .iter()
                .map(|&(block, scale)| ((block.offset >> self.low) + index, scale));
            self.pairs.push((padded, rows.collect()));
        }
    }

    /// Weights of a block that is smaller than a row.
    fn small(&mut self, block: Block, weights: &[E], scale: E) {
        let width = 1 << self.low;
        let row = self.single.entry(block.offset >> self.low);
        let row = row.or_insert_with(|| vec![E::ZERO; width]);
        let start = block.offset & (width - 1);
        for (w, &e) in row[start..].iter_mut().zip(weights) {
            *w += e * scale;
        }
    }

    fn finish(mut self) -> Vec<(Vec<E>, Rows)> {
        for (_, rows) in &mut self.pairs {
            // Several claims on one block: a row is read once.
            if rows.is_sorted_by(|a, b| a.0 < b.0) {
                continue;
            }
            rows.sort_by_key(|&(row, _)| row);
            rows.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    kept.1 += next.1;
                }
                same
            });
        }
        let single = self.single.into_iter();
        self.pairs
            .extend(single.map(|(row, weights)| (weights, vec![(row, E::ONE)])));
        self.pairs
    }
}

/// The sum of rows of `2^low` elements of `F`, each times its factor.
fn sum(values: &[F], rows: &[(usize, E)], low: usize) -> Vec<PE> {
    let zero = || vec![PE::ZERO; (1 << low) / PF::WIDTH];
    let part = |mut sum: Vec<PE>, rows: &[(usize, E)]| {
        add_rows(&mut sum, values, rows, low);
        sum
    };
    if rows.len() << low < PARALLEL_FROM {
        return part(zero(), rows);
    }
    rows.par_chunks((PARALLEL_FROM >> low).next_multiple_of(AT_ONCE))
        .fold(zero, part)
        .reduce(zero, |mut a, b| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        })
}

/// Adds rows to `sum`, several with one reduction.
fn add_rows(sum: &mut [PE], values: &[F], rows: &[(usize, E)], low: usize) {
    let row = |row: usize| PF::pack_slice(&values[row << low..][..1 << low]);
    let (many, few) = rows.as_chunks::<AT_ONCE>();
    for rows in many {
        let packed = rows.map(|(at, _)| row(at));
        let factors = rows.map(|(_, factor)| PE::from(factor));
        let factors: [[PF; AT_ONCE]; 5] =
            std::array::from_fn(|d| std::array::from_fn(|i| axes(&factors[i])[d]));
        for (at, sum) in sum.iter_mut().enumerate() {
            let values: [PF; AT_ONCE] = std::array::from_fn(|i| packed[i][at]);
            *sum += super::from_axes(|d| PF::dot_product(&factors[d], &values));
        }
    }
    for &(at, factor) in few {
        let factor = PE::from(factor);
        for (sum, &value) in sum.iter_mut().zip(row(at)) {
            *sum += factor * value;
        }
    }
}
