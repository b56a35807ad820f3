//! From many linear claims on one stacked polynomial to one evaluation of it.
//!
//! A claim weighs one block `b` of `F` by `eq(r, ·)`, or a few blocks by the same dense table. With
//! the factors that batch the claims,
//!
//! ```text
//!     Σ_x u(x)·F(x) = κ,      u = Σ_j scale_j · weights_j on the blocks of claim j
//! ```
//!
//! and a sumcheck ends in one point `z`, `ũ(z)` and `F̃(z)`. Its variables are bound in two parts:
//! first the `m` low ones, then the high ones. Where a claim's block has more than `m` variables,
//! the low part needs only `A(x_lo) = Σ_{x_hi} eq(r_hi, x_hi) F(x_hi, x_lo)`, and the claims that
//! share `r_lo` share one `A` (module `low`). So `F` is read twice, each time with one product of a base and
//! an extension element, and `u` never exists as a table of `2^n`. Smaller blocks and dense weights are
//! taken row by row of `2^m` elements.
//!
//! A round sends `t(0)` and the leading coefficient `t(∞)` of its quadratic;
//! `t(x) = x·c + (1 - 2x)·t(0) + (x² - x)·t(∞)`, where `c = t(0) + t(1)` is the claim before.

mod low;

use p3_field::{
    BasedVectorSpace, ExtensionField, Field, PackedFieldExtension, PackedValue,
    PrimeCharacteristicRing,
};
use rayon::prelude::*;

use crate::field::{E, F, eq_at, eq_table};
use crate::layout::Block;

type PF = <F as Field>::Packing;
type PE = <E as ExtensionField<F>>::ExtensionPacking;

/// Most variables of the low part: its tables stay in the nearest cache.
const MAX_LOW: usize = 9;
/// Elements of `F` that are worth a second thread.
const PARALLEL_FROM: usize = 1 << 14;

/// What a claim weighs.
#[derive(Clone, Debug)]
pub(crate) enum Weights {
    /// `scale · eq(point, ·)` on a block.
    Eq {
        block: Block,
        point: Vec<E>,
        scale: E,
    },
    /// The same weights on blocks of the same size, each with its own factor; absent ones are zero.
    Dense {
        blocks: Vec<(Block, E)>,
        weights: Vec<E>,
    },
    /// `lanes[j]·row[i]` on element `(j, i)` of a block.
    Tensor {
        block: Block,
        lanes: Vec<E>,
        row: Row,
    },
}

/// Weights along the low variables of a block.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    /// `eq(point, i)`.
    Eq(Vec<E>),
    /// `eq(point, i + 1)`; zero for the last `i`.
    Next(Vec<E>),
}

impl Row {
    fn variables(&self) -> usize {
        match self {
            Self::Eq(point) | Self::Next(point) => point.len(),
        }
    }

    fn table(&self) -> Vec<E> {
        match self {
            Self::Eq(point) => eq_table(point, E::ONE),
            Self::Next(point) => {
                let mut table = eq_table(point, E::ONE);
                table.rotate_left(1);
                if let Some(last) = table.last_mut() {
                    *last = E::ZERO;
                }
                table
            }
        }
    }

    /// The extension at a point.
    fn evaluate(&self, z: &[E]) -> E {
        match self {
            Self::Eq(point) => crate::messages::eq(point, z),
            Self::Next(point) => {
                // `next`: over the variables seen so far, lowest first, Σ eq(p, i+1) eq(z, i);
                // `wrap`: eq(p, 0…0) eq(z, 1…1), what carries into the next variable.
                let (mut next, mut wrap) = (E::ZERO, E::ONE);
                for (&p, &z) in point.iter().zip(z).rev() {
                    let both = p * z;
                    let equal = both + both + E::ONE - p - z;
                    next = equal * next + p * (E::ONE - z) * wrap;
                    wrap *= (E::ONE - p) * z;
                }
                next
            }
        }
    }
}

/// `eq` of the leading coordinates of `point` with the number of a block.
fn selector(block: Block, point: &[E]) -> E {
    let high = point.len() - block.variables;
    eq_at(&point[..high], block.offset >> block.variables)
}

impl Weights {
    /// The extension of the weights at a point of the whole polynomial.
    pub(crate) fn evaluate(&self, z: &[E]) -> E {
        match self {
            Self::Eq {
                block,
                point,
                scale,
            } => {
                let low = &z[z.len() - block.variables..];
                *scale * selector(*block, z) * crate::messages::eq(point, low)
            }
            Self::Dense { blocks, weights } => {
                let Some(&(first, _)) = blocks.first() else {
                    return E::ZERO;
                };
                let low = eq_table(&z[z.len() - first.variables..], E::ONE);
                let value = low
                    .iter()
                    .zip(weights)
                    .fold(E::ZERO, |sum, (&e, &w)| sum + e * w);
                let selectors: E = blocks
                    .iter()
                    .map(|&(block, scale)| scale * selector(block, z))
                    .sum();
                value * selectors
            }
            Self::Tensor { block, lanes, row } => {
                let low = &z[z.len() - block.variables..];
                let (lane, low) = low.split_at(block.variables - row.variables());
                let lanes = eq_table(lane, E::ONE)
                    .iter()
                    .zip(lanes)
                    .fold(E::ZERO, |sum, (&e, &w)| sum + e * w);
                selector(*block, z) * lanes * row.evaluate(low)
            }
        }
    }
}

/// Variables of the low part.
fn low_variables(variables: usize) -> usize {
    variables.div_ceil(2).clamp(5, MAX_LOW).min(variables)
}

/// The challenges of a reduction, in the order in which they were drawn, as a point.
pub(crate) fn point_of(challenges: &[E]) -> Vec<E> {
    let low = low_variables(challenges.len());
    let (low, high) = challenges.split_at(low);
    high.iter().chain(low).copied().collect()
}

/// `(p, q)` with `final claim = p·κ + Σ_i q_i[0]·t_i(0) + q_i[1]·t_i(∞)`.
pub(crate) fn message_weights(challenges: &[E]) -> (E, Vec<[E; 2]>) {
    let mut scale = E::ONE;
    let mut weights = vec![[E::ZERO; 2]; challenges.len()];
    for (&x, weight) in challenges.iter().zip(&mut weights).rev() {
        *weight = [scale * (E::ONE - x.double()), scale * (x.square() - x)];
        scale *= x;
    }
    (scale, weights)
}

/// Runs the reduction over the `2^variables` values of `F`. `round` sends the two messages of a
/// round and returns the challenge. Returns the point `z`, `F̃(z)`.
pub(crate) fn prove(
    values: &[F],
    terms: &[Weights],
    mut round: impl FnMut([E; 2]) -> E,
) -> (Vec<E>, E) {
    let variables = values.len().trailing_zeros() as usize;
    let low = low_variables(variables);
    let (mut tables, rows) = low::tables(values, terms, low);

    let mut challenges = Vec::with_capacity(variables);
    for _ in 0..low {
        let x = round(message(&tables));
        challenges.push(x);
        tables
            .par_iter_mut()
            .with_min_len(8)
            .for_each(|t| t.fold(x));
    }

    // The high part: rows of F at the low challenges, weighed by what u leaves there.
    let eq_low = pack(&eq_table(&challenges, E::ONE));
    let row = |row: &[F]| dot(&eq_low, row);
    let folded: Vec<E> = if values.len() >= PARALLEL_FROM {
        values
            .par_chunks(1 << low)
            .with_min_len(PARALLEL_FROM >> low)
            .map(row)
            .collect()
    } else {
        values.chunks(1 << low).map(row).collect()
    };
    let mut weights = vec![E::ZERO; folded.len()];
    for (table, rows) in tables.iter().zip(rows) {
        let left = table.weight();
        for (row, scale) in rows {
            weights[row] += left * scale;
        }
    }
    let mut high = [Table::new(&weights, &folded)];
    for _ in low..variables {
        let x = round(message(&high));
        challenges.push(x);
        high[0].fold(x);
    }
    (point_of(&challenges), high[0].value())
}

fn pack(values: &[E]) -> Vec<PE> {
    values
        .chunks_exact(PF::WIDTH)
        .map(PE::from_ext_slice)
        .collect()
}

fn to_ext(values: impl IntoIterator<Item = PE>) -> impl Iterator<Item = E> {
    <PE as PackedFieldExtension<F, E>>::to_ext_iter(values)
}

fn unpack(values: &[PE]) -> Vec<E> {
    to_ext(values.iter().copied()).collect()
}

/// Products that are summed before they are reduced.
const AT_ONCE: usize = 8;

/// The coordinates of a vector of extension elements.
fn axes(value: &PE) -> &[PF] {
    <PE as BasedVectorSpace<PF>>::as_basis_coefficients_slice(value)
}

fn from_axes(axis: impl FnMut(usize) -> PF) -> PE {
    <PE as BasedVectorSpace<PF>>::from_basis_coefficients_fn(axis)
}

fn dot(weights: &[PE], row: &[F]) -> E {
    let row = PF::pack_slice(row);
    let mut sum = PE::ZERO;
    let (many, few) = weights.as_chunks::<AT_ONCE>();
    let (values, rest) = row.as_chunks::<AT_ONCE>();
    for (weights, values) in many.iter().zip(values) {
        sum += from_axes(|d| {
            let axis: [PF; AT_ONCE] = std::array::from_fn(|i| axes(&weights[i])[d]);
            PF::dot_product(&axis, values)
        });
    }
    for (&w, &v) in few.iter().zip(rest) {
        sum += w * v;
    }
    to_ext([sum]).sum()
}

/// Two tables of one length whose product is summed.
struct Table {
    /// Used while a half fills a packed element.
    packed: [Vec<PE>; 2],
    /// Used afterwards.
    rest: [Vec<E>; 2],
}

impl Table {
    fn new(weights: &[E], values: &[E]) -> Self {
        if weights.len() >= 2 * PF::WIDTH {
            Self::packed(pack(weights), pack(values))
        } else {
            Self {
                packed: Default::default(),
                rest: [weights.to_vec(), values.to_vec()],
            }
        }
    }

    fn packed(weights: Vec<PE>, values: Vec<PE>) -> Self {
        let mut table = Self {
            packed: [weights, values],
            rest: Default::default(),
        };
        table.settle();
        table
    }

    /// Unpacks tables that are too short to be halved as packed ones.
    fn settle(&mut self) {
        if self.packed[0].len() == 1 {
            self.rest = [unpack(&self.packed[0]), unpack(&self.packed[1])];
            self.packed = Default::default();
        }
    }

    fn message(&self) -> [E; 2] {
        if self.packed[0].is_empty() {
            let [u, f] = &self.rest;
            let half = u.len() / 2;
            let (mut t0, mut leading) = (E::ZERO, E::ZERO);
            for i in 0..half {
                t0 += u[i] * f[i];
                leading += (u[i + half] - u[i]) * (f[i + half] - f[i]);
            }
            return [t0, leading];
        }
        let [u, f] = &self.packed;
        let half = u.len() / 2;
        let at = |i: usize| [u[i] * f[i], (u[i + half] - u[i]) * (f[i + half] - f[i])];
        let add = |a: [PE; 2], b: [PE; 2]| [a[0] + b[0], a[1] + b[1]];
        let sums = if half * PF::WIDTH >= PARALLEL_FROM {
            (0..half)
                .into_par_iter()
                .map(at)
                .reduce(|| [PE::ZERO; 2], add)
        } else {
            (0..half).map(at).fold([PE::ZERO; 2], add)
        };
        sums.map(|s| to_ext([s]).sum())
    }

    fn fold(&mut self, x: E) {
        if self.packed[0].is_empty() {
            for table in &mut self.rest {
                let half = table.len() / 2;
                for i in 0..half {
                    let (lo, hi) = (table[i], table[i + half]);
                    table[i] = lo + x * (hi - lo);
                }
                table.truncate(half);
            }
            return;
        }
        let x = PE::from(x);
        for table in &mut self.packed {
            let half = table.len() / 2;
            let (lo, hi) = table.split_at_mut(half);
            let step = |(l, h): (&mut PE, &PE)| *l += x * (*h - *l);
            if half * PF::WIDTH >= PARALLEL_FROM {
                lo.par_iter_mut().zip(&*hi).for_each(step);
            } else {
                lo.iter_mut().zip(&*hi).for_each(step);
            }
            table.truncate(half);
        }
        self.settle();
    }

    /// The weight of a table that is one element long.
    fn weight(&self) -> E {
        self.rest[0][0]
    }

    fn value(&self) -> E {
        self.rest[1][0]
    }
}

fn message(tables: &[Table]) -> [E; 2] {
    let add = |a: [E; 2], b: [E; 2]| [a[0] + b[0], a[1] + b[1]];
    tables
        .par_iter()
        .with_min_len(8)
        .map(Table::message)
        .reduce(|| [E::ZERO; 2], add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Stacking;
    use crate::transcript::Transcript;

    /// Every weight as a table over the whole polynomial.
    fn table(terms: &[Weights], variables: usize) -> Vec<E> {
        let mut u = vec![E::ZERO; 1 << variables];
        for term in terms {
            match term {
                Weights::Eq {
                    block,
                    point,
                    scale,
                } => {
                    for (u, e) in u[block.offset..].iter_mut().zip(eq_table(point, *scale)) {
                        *u += e;
                    }
                }
                Weights::Dense { blocks, weights } => {
                    for &(block, scale) in blocks {
                        for (u, &w) in u[block.offset..].iter_mut().zip(weights) {
                            *u += w * scale;
                        }
                    }
                }
                Weights::Tensor { block, lanes, row } => {
                    let row = match row {
                        Row::Eq(point) => eq_table(point, E::ONE),
                        Row::Next(point) => (1..1 << point.len())
                            .map(|i| eq_at(point, i))
                            .chain([E::ZERO])
                            .collect(),
                    };
                    for (j, &lane) in lanes.iter().enumerate() {
                        for (i, &r) in row.iter().enumerate() {
                            u[block.offset + j * row.len() + i] += lane * r;
                        }
                    }
                }
            }
        }
        u
    }

    #[test]
    fn claims_on_blocks_of_every_size_end_in_one_evaluation() {
        for sizes in [
            vec![9, 8, 6, 6, 6, 4, 4, 2, 0],
            vec![14, 13, 10, 10, 9, 5, 3, 0, 0],
            vec![10],
            vec![16, 16, 12, 3],
        ] {
            let stacking = Stacking::new(&sizes, 10);
            let n = stacking.variables;
            let mut draw = Transcript::new(b"reduction");
            let values: Vec<F> = (0..1u64 << n).map(|i| F::from_u64(i * i % 9973)).collect();
            let mut terms = Vec::new();
            let shared = draw.sample_point(20);
            for (i, &block) in stacking.blocks.iter().enumerate() {
                let point = if i % 2 == 0 {
                    shared[20 - block.variables..].to_vec()
                } else {
                    draw.sample_point(block.variables)
                };
                terms.push(Weights::Eq {
                    block,
                    point,
                    scale: draw.sample(),
                });
            }
            let twins: Vec<(Block, E)> = stacking
                .blocks
                .iter()
                .filter(|b| b.variables == stacking.blocks[sizes.len() / 2].variables)
                .map(|&b| (b, draw.sample()))
                .collect();
            terms.push(Weights::Dense {
                weights: draw.sample_point((1 << twins[0].0.variables) - usize::from(n > 10)),
                blocks: twins,
            });
            for (i, &block) in stacking.blocks.iter().enumerate() {
                let point = draw.sample_point(block.variables / 2);
                terms.push(Weights::Tensor {
                    block,
                    lanes: draw.sample_point(1 << (block.variables - point.len())),
                    row: match i % 2 {
                        0 => Row::Eq(point),
                        _ => Row::Next(point),
                    },
                });
            }
            let u = table(&terms, n);
            let claim = u
                .iter()
                .zip(&values)
                .fold(E::ZERO, |sum, (&u, &f)| sum + u * f);

            let mut sent = Vec::new();
            let mut challenges = Vec::new();
            let (z, value) = prove(&values, &terms, |m| {
                sent.push(m);
                challenges.push(draw.sample());
                challenges[challenges.len() - 1]
            });
            assert_eq!(z, point_of(&challenges));
            let eq = eq_table(&z, E::ONE);
            assert_eq!(value, crate::field::dot_base(&eq, &values));
            let direct = eq.iter().zip(&u).fold(E::ZERO, |s, (&e, &u)| s + e * u);
            let weight: E = terms.iter().map(|t| t.evaluate(&z)).sum();
            assert_eq!(weight, direct);
            let (scale, weights) = message_weights(&challenges);
            let last = sent
                .iter()
                .zip(weights)
                .fold(scale * claim, |s, (m, w)| s + m[0] * w[0] + m[1] * w[1]);
            assert_eq!(last, weight * value, "{sizes:?}");
        }
    }
}
