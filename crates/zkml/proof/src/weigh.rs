//! Maps and tables as prover and verifier weigh them at the challenges.

use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::field::{E, eq_table, index_extension, less_than, prefix_sums, signed};
use crate::plan::{Factor, Group, GroupKind, HALF, LookupTable, Map, ONE, Symbol, ZERO};

/// The symbols before any challenge is drawn.
pub(crate) fn symbols(count: usize) -> Vec<E> {
    let mut symbols = vec![E::ZERO; count];
    symbols[ZERO as usize] = E::ZERO;
    symbols[ONE as usize] = E::ONE;
    symbols[HALF as usize] = E::ONE.halve();
    symbols
}

/// The coordinates of a symbolic point.
pub(crate) fn resolve(symbols: &[E], point: &[Symbol]) -> Vec<E> {
    point.iter().map(|&s| symbols[s as usize]).collect()
}

impl Map {
    /// The product of the factors.
    pub(crate) fn factor(&self, symbols: &[E]) -> E {
        self.factors
            .iter()
            .map(|factor| match factor {
                Factor::LessThan { point, bound } => less_than(&resolve(symbols, point), *bound),
                Factor::Zeros(point) => resolve(symbols, point)
                    .into_iter()
                    .map(|r| E::ONE - r)
                    .product(),
            })
            .product()
    }

    /// For every group that is summed over, its weights on the operand's padded axes.
    pub(crate) fn tables(&self, symbols: &[E]) -> impl Iterator<Item = Vec<E>> {
        self.groups.iter().filter_map(|g| g.table(symbols))
    }

    /// The product of the groups' extensions where the summed coordinates are `point`.
    pub(crate) fn evaluate(&self, symbols: &[E], point: &[E]) -> E {
        let mut rest = point;
        let mut product = E::ONE;
        for group in &self.groups {
            let Some(table) = group.table(symbols) else {
                continue;
            };
            let (head, tail) = rest.split_at(group.dims.variables());
            rest = tail;
            product *= eq_table(head, E::ONE)
                .into_iter()
                .zip(table)
                .fold(E::ZERO, |sum, (e, w)| sum + e * w);
        }
        product
    }
}

impl Group {
    fn table(&self, symbols: &[E]) -> Option<Vec<E>> {
        let zeros = || vec![E::ZERO; 1 << self.dims.variables()];
        match &self.kind {
            GroupKind::Bound(_) => None,
            GroupKind::Axis { from, point, index } => {
                let weights = from.weights(&resolve(symbols, point));
                let mut table = zeros();
                for (weight, read) in weights.into_iter().zip(index.reads(from, self.dims.0[0])) {
                    if let Some(read) = read {
                        table[read] += weight;
                    }
                }
                Some(table)
            }
            GroupKind::Relayout { from, point } => {
                let weights = from.weights(&resolve(symbols, point));
                let mut table = zeros();
                self.dims.place(&mut table, E::ZERO, |i| weights[i]);
                Some(table)
            }
        }
    }
}

/// Elements from which a second thread pays.
const PARALLEL_FROM: usize = 1 << 14;

/// The product of tables over consecutive groups of variables, scaled.
pub(crate) fn tensor(tables: impl IntoIterator<Item = Vec<E>>, scale: E) -> Vec<E> {
    tables.into_iter().fold(vec![scale], |product, table| {
        let mut out = E::zero_vec(product.len() * table.len());
        let fill = |(out, &w): (&mut [E], &E)| {
            for (out, &t) in out.iter_mut().zip(&table) {
                *out = w * t;
            }
        };
        if out.len() >= PARALLEL_FROM && product.len() > 1 {
            let least = (PARALLEL_FROM / 4 / table.len()).max(1);
            let rows = out.par_chunks_mut(table.len()).zip(&product);
            rows.with_min_len(least).for_each(fill);
        } else {
            out.chunks_mut(table.len()).zip(&product).for_each(fill);
        }
        out
    })
}

impl LookupTable {
    /// The extensions of the first and second column of the table, in closed form; the second of
    /// an explicit table is committed instead.
    pub(crate) fn evaluate(&self, point: &[E]) -> (E, E) {
        match *self {
            Self::Range { .. } => (index_extension(point), E::ZERO),
            Self::Clamp { bits, lo, hi } => {
                let half = 1i64 << (bits - 1);
                let shift = signed(half);
                let u = index_extension(point) - shift;
                // Rows below `lo` and rows above `hi` in index terms.
                let first = (i64::from(lo) + half).clamp(0, 2 * half) as usize;
                let last = (i64::from(hi) + half + 1).clamp(0, 2 * half) as usize;
                let (low_count, low_sum) = prefix_sums(point, first);
                let (kept_count, kept_sum) = prefix_sums(point, last);
                let high_count = E::ONE - kept_count;
                let inside = (kept_sum - low_sum) - (kept_count - low_count) * shift;
                let value =
                    inside + low_count * signed(i64::from(lo)) + high_count * signed(i64::from(hi));
                (u, value)
            }
            Self::Explicit { bits, .. } => {
                let half = signed(1i64 << (bits - 1));
                (index_extension(point) - half, E::ZERO)
            }
            Self::Input { lo, .. } => {
                let (count, sum) = prefix_sums(point, self.members());
                (sum + count * signed(i64::from(lo)), count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn a_table_evaluates_as_its_rows_do() {
        let mut tables: Vec<LookupTable> =
            [(0, 31), (-32, 31), (-5, 7), (-32, -32), (3, 3), (0, 0)]
                .map(|(lo, hi)| LookupTable::Clamp { bits: 6, lo, hi })
                .to_vec();
        tables.extend([
            LookupTable::Range { bits: 5 },
            LookupTable::Explicit { bits: 4, table: 0 },
            LookupTable::Input { lo: -3, hi: 7 },
            LookupTable::Input { lo: 0, hi: 0 },
            LookupTable::Input { lo: -7, hi: 0 },
        ]);
        for table in tables {
            let point = Transcript::new(b"t").sample_point(table.variables());
            let (mut c0, mut c1) = (E::ZERO, E::ZERO);
            for (j, &e) in eq_table(&point, E::ONE).iter().enumerate() {
                let row = table.row(j);
                c0 += e * signed(row.0);
                c1 += e * signed(row.1);
            }
            assert_eq!(table.evaluate(&point), (c0, c1), "{table:?}");
        }
    }
}
