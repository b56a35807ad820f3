//! Tensors in a committed polynomial: whole, with every axis padded, or cut so that little is padded.
//!
//! # Cuts
//!
//! An axis of `d` indices is cut into *runs*: the largest power of two that fits what is left, again and
//! again. So a run of `2^b` indices begins at a multiple of `2^b`. Where rounding the rest up to a power of two
//! adds no more than a part of it that the caller allows, the last run is that power of two. A tensor is cut into
//! the products of the runs of its axes, its *pieces*: blocks of powers of two, stacked with all others by
//! decreasing size.
//!
//! A claim on the tensor is one linear claim on its pieces, because `eq` is a product over coordinates. With the
//! run `[s, s + 2^b)` of an axis of `n` variables, whose coordinates `r` are `n - b` leading and `b` others,
//!
//! ```text
//!     W̃(r_1, r_2, …) = Σ_pieces Π_axes eq(leading, s / 2^b) · piece(others of axis 1, others of axis 2, …)
//! ```
//!
//! where what no piece holds is zero. So a cut takes no message and no claim more, and the error of batching
//! stays that of as many claims. What the runs of an axis cover is a prefix of it, the presence of which is
//! a closed form ([`Stored::covered`]).
//!
//! # Which tensors are cut
//!
//! That a polynomial is padded to a power of two is what a cut can save. So the fewest elements that all
//! cuts together could reach give the power of two, and tensors are cut, those that save most first (of equals the
//! first), until all fit it; none is cut where whole ones fit it. It follows from the shapes alone.

use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::field::{E, eq_at, less_than, log2_ceil};
use crate::layout::{Block, Dims, Stacking};
use crate::opening::reduction::Weights;

/// Most pieces of a tensor.
const MAX_PIECES: usize = 32;
/// Elements that a thread places at least.
const PARALLEL_FROM: usize = 1 << 13;

/// Indices `[start, start + 2^bits)` of an axis; `start` is a multiple of `2^bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: usize,
    bits: usize,
}

impl Run {
    fn end(self) -> usize {
        self.start + (1 << self.bits)
    }
}

/// The runs of an axis of `length` indices, of which the last is padded by at most a `part`-th of the length.
fn runs(length: usize, part: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut start = 0;
    loop {
        let rest = length - start;
        let whole = rest.next_power_of_two();
        let bits = match (whole - rest).saturating_mul(part) <= length {
            true => whole.trailing_zeros() as usize,
            false => rest.ilog2() as usize,
        };
        runs.push(Run { start, bits });
        start += 1 << bits;
        if start >= length {
            return runs;
        }
    }
}

/// The runs of every axis. Axes are cut in the order of the share that is padding, as long as the pieces are few.
fn cut(dims: &Dims, part: usize) -> Vec<Vec<Run>> {
    let whole = |&dim: &usize| {
        vec![Run {
            start: 0,
            bits: log2_ceil(dim),
        }]
    };
    let mut axes: Vec<Vec<Run>> = dims.0.iter().map(whole).collect();
    let mut order: Vec<usize> = (0..axes.len()).collect();
    // a/2^i > b/2^j, without division.
    order.sort_by(|&i, &j| {
        let (i, j) = (dims.0[i], dims.0[j]);
        (i * j.next_power_of_two()).cmp(&(j * i.next_power_of_two()))
    });
    let mut pieces = 1;
    for axis in order {
        let runs = runs(dims.0[axis], part);
        if pieces * runs.len() <= MAX_PIECES {
            pieces *= runs.len();
            axes[axis] = runs;
        }
    }
    axes
}

/// Elements of all products of runs.
fn size(axes: &[Vec<Run>]) -> usize {
    let of_axis = |runs: &Vec<Run>| runs.iter().map(|run| 1usize << run.bits).sum::<usize>();
    axes.iter().map(of_axis).product()
}

/// One run of every axis.
fn products(axes: &[Vec<Run>]) -> Vec<Vec<Run>> {
    axes.iter().fold(vec![Vec::new()], |products, runs| {
        let with = |product: Vec<Run>| {
            runs.iter()
                .map(move |&run| [&product[..], &[run]].concat())
                .collect::<Vec<_>>()
        };
        products.into_iter().flat_map(with).collect()
    })
}

/// A part of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    block: Block,
    runs: Vec<Run>,
}

impl Piece {
    /// Writes element `i` of the tensor as `value(i)`, and `pad` where the tensor has none.
    fn place<T: Copy + Send + Sync>(
        &self,
        dims: &Dims,
        target: &mut [T],
        pad: T,
        value: impl Fn(usize) -> T + Sync,
    ) {
        let (Some((&last, outer)), Some((run, runs))) =
            (dims.0.split_last(), self.runs.split_last())
        else {
            target.fill(value(0));
            return;
        };
        let present = last.saturating_sub(run.start).min(1 << run.bits);
        let fill = |index: usize, skipped: usize, row: &mut [T]| {
            // The row of the tensor, if it is one.
            let (mut rest, mut source, mut stride) = (index, 0, 1);
            let mut absent = false;
            for (&dim, run) in outer.iter().zip(runs).rev() {
                let position = run.start + (rest & ((1 << run.bits) - 1));
                absent |= position >= dim;
                rest >>= run.bits;
                source += position * stride;
                stride *= dim;
            }
            let present = if absent {
                0
            } else {
                present.saturating_sub(skipped)
            };
            let first = source * last + run.start + skipped;
            for (i, target) in row.iter_mut().enumerate() {
                *target = if i < present { value(first + i) } else { pad };
            }
        };
        let row = 1usize << run.bits;
        if target.len() < PARALLEL_FROM {
            let rows = target.chunks_mut(row).enumerate();
            rows.for_each(|(index, row)| fill(index, 0, row));
        } else if row < PARALLEL_FROM {
            let rows = target.par_chunks_mut(row).enumerate();
            rows.with_min_len(PARALLEL_FROM / row)
                .for_each(|(index, row)| fill(index, 0, row));
        } else {
            for (index, row) in target.chunks_mut(row).enumerate() {
                let parts = row.par_chunks_mut(PARALLEL_FROM).enumerate();
                parts.for_each(|(part, row)| fill(index, part * PARALLEL_FROM, row));
            }
        }
    }
}

/// Where a tensor lies in a committed polynomial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    dims: Dims,
    pieces: Vec<Piece>,
}

impl Stored {
    /// The block of a tensor that is not cut.
    pub(crate) fn whole(&self) -> Block {
        debug_assert_eq!(self.pieces.len(), 1, "a tensor in one block");
        self.pieces[0].block
    }

    /// Whether it is cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.pieces.len() > 1
    }

    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Every block of it.
    #[cfg(test)]
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block> {
        self.pieces.iter().map(|piece| piece.block)
    }

    /// Lets two pieces of one size change places.
    #[cfg(test)]
    pub(crate) fn exchange(&mut self) -> Option<()> {
        let size = |piece: &Piece| piece.block.variables;
        let count = self.pieces.len();
        let pairs = (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j)));
        let (i, j) = pairs
            .into_iter()
            .find(|&(i, j)| size(&self.pieces[i]) == size(&self.pieces[j]))?;
        let block = self.pieces[i].block;
        self.pieces[i].block = self.pieces[j].block;
        self.pieces[j].block = block;
        Some(())
    }

    /// What a claim at a point of the tensor weighs.
    pub(crate) fn weights(&self, point: &[E], scale: E) -> impl Iterator<Item = Weights> {
        self.pieces.iter().map(move |piece| {
            let mut factor = scale;
            let mut inside = Vec::with_capacity(piece.block.variables);
            for ((_, axis), run) in self.dims.split(point).zip(&piece.runs) {
                let (leading, others) = axis.split_at(axis.len() - run.bits);
                factor *= eq_at(leading, run.start >> run.bits);
                inside.extend_from_slice(others);
            }
            Weights::Eq {
                block: piece.block,
                point: inside,
                scale: factor,
            }
        })
    }

    /// The extension of "a piece holds this position".
    pub(crate) fn covered(&self, point: &[E]) -> E {
        // The last piece has the last run of every axis.
        let Some(last) = self.pieces.last() else {
            return E::ONE;
        };
        self.dims
            .split(point)
            .zip(&last.runs)
            .map(|((_, axis), run)| less_than(axis, run.end()))
            .product()
    }
}

/// How the tensors of a commitment are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Whole: others refer to its block.
    Never,
    /// Exactly into its elements.
    Exact,
    /// Up to a sixteenth of an axis may be padding.
    Nearly,
}

impl Cut {
    fn axes(self, dims: &Dims) -> Option<Vec<Vec<Run>>> {
        match self {
            Self::Never => None,
            // No run is padded: there are no more elements than the length.
            Self::Exact => Some(cut(dims, usize::MAX)),
            Self::Nearly => Some(cut(dims, 16)),
        }
    }
}

/// A committed polynomial: tensors, and blocks beside them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    pub(crate) stored: Vec<Stored>,
    /// Blocks that hold no tensor.
    pub(crate) others: Vec<Block>,
    stacking: Stacking,
}

impl Packing {
    /// Lays out tensors, and blocks of further sizes.
    pub(crate) fn new(tensors: &[(Dims, Cut)], others: &[usize], min_variables: usize) -> Self {
        let axes: Vec<Option<Vec<Vec<Run>>>> =
            tensors.iter().map(|(dims, cut)| cut.axes(dims)).collect();
        let whole = |(dims, _): &(Dims, Cut)| 1usize << dims.variables();
        let saved: Vec<usize> = tensors
            .iter()
            .zip(&axes)
            .map(|(tensor, axes)| axes.as_ref().map_or(0, |axes| whole(tensor) - size(axes)))
            .collect();
        let mut total: usize = tensors.iter().map(whole).sum();
        total += others.iter().map(|&bits| 1usize << bits).sum::<usize>();
        let least = (total - saved.iter().sum::<usize>()).max(1);
        let goal = least.next_power_of_two().max(1 << min_variables);
        let mut order: Vec<usize> = (0..tensors.len()).collect();
        order.sort_by_key(|&tensor| std::cmp::Reverse(saved[tensor]));
        let mut is_cut = vec![false; tensors.len()];
        for tensor in order {
            if total <= goal {
                break;
            }
            is_cut[tensor] = true;
            total -= saved[tensor];
        }
        let pieces: Vec<Vec<Vec<Run>>> = tensors
            .iter()
            .zip(axes)
            .zip(is_cut)
            .map(|(((dims, _), axes), is_cut)| match axes {
                Some(axes) if is_cut => products(&axes),
                _ => products(&cut(dims, 0)),
            })
            .collect();
        let sizes: Vec<usize> = pieces
            .iter()
            .flatten()
            .map(|runs| runs.iter().map(|run| run.bits).sum())
            .chain(others.iter().copied())
            .collect();
        let stacking = Stacking::new(&sizes, min_variables);
        let mut blocks = stacking.blocks.iter().copied();
        let stored = tensors
            .iter()
            .zip(pieces)
            .map(|((dims, _), pieces)| Stored {
                dims: dims.clone(),
                pieces: pieces
                    .into_iter()
                    .zip(&mut blocks)
                    .map(|(runs, block)| Piece { block, runs })
                    .collect(),
            })
            .collect();
        Self {
            stored,
            others: blocks.collect(),
            stacking,
        }
    }

    /// Variables of the polynomial.
    pub(crate) fn variables(&self) -> usize {
        self.stacking.variables
    }

    /// Elements of all blocks.
    pub(crate) fn elements(&self) -> usize {
        self.stacking.elements()
    }

    /// The block of a tensor that is never cut.
    pub(crate) fn block(&self, tensor: usize) -> Block {
        self.stored[tensor].whole()
    }

    /// Fills a polynomial of zeros: `fill(tensor, part)` for every part of a tensor.
    pub(crate) fn fill<T: Send>(&self, values: &mut [T], fill: impl Fn(usize, Part<'_, T>) + Sync) {
        let pieces = self.stored.iter().enumerate();
        let pieces: Vec<(usize, &Stored, &Piece)> = pieces
            .flat_map(|(index, stored)| stored.pieces.iter().map(move |p| (index, stored, p)))
            .collect();
        self.stacking
            .split(values)
            .into_par_iter()
            .for_each(|(block, target)| {
                if let Some(&(tensor, stored, piece)) = pieces.get(block) {
                    let dims = &stored.dims;
                    let part = Part {
                        dims,
                        piece,
                        target,
                    };
                    fill(tensor, part);
                }
            });
    }
}

/// A part of a tensor, to be written.
pub(crate) struct Part<'a, T> {
    dims: &'a Dims,
    piece: &'a Piece,
    target: &'a mut [T],
}

impl<T: Copy + Send + Sync> Part<'_, T> {
    /// Writes element `i` of the tensor as `value(i)`, and `pad` where the tensor has none.
    pub(crate) fn place(self, pad: T, value: impl Fn(usize) -> T + Sync) {
        self.piece.place(self.dims, self.target, pad, value);
    }
}

/// Tensors shared out among several polynomials: each has a largest size, and one that would be
/// little more than half full is better divided.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    pub(crate) packings: Vec<Packing>,
    /// The shard of every tensor, and its number there.
    pub(crate) places: Vec<(usize, usize)>,
}

/// Variables from which a second opening, of some 200 KB and 8 ms, costs less than to double a polynomial
/// of which less than an eighth is beyond the half.
const DIVIDED_FROM: usize = 22;

impl Shards {
    /// A tensor above `max_variables` gets a shard that is too large, which the caller refuses.
    pub(crate) fn new(tensors: &[Dims], min_variables: usize, max_variables: usize) -> Self {
        let all: Vec<(Dims, Cut)> = tensors.iter().map(|d| (d.clone(), Cut::Nearly)).collect();
        let sizes: Vec<usize> = all
            .iter()
            .map(|(dims, cut)| cut.axes(dims).map_or(0, |axes| size(&axes)))
            .collect();
        let total: usize = sizes.iter().sum();
        let one = total.next_power_of_two();
        if one <= 1 << max_variables {
            let half = one / 2;
            if one >= 1 << DIVIDED_FROM && total <= half + half / 8 {
                let two = Self::shared_out(&all, &sizes, half, min_variables);
                let beyond: usize = two.packings[1..].iter().map(|p| 1 << p.variables()).sum();
                if beyond <= half / 4 {
                    return two;
                }
            }
            return Self::shared_out(&all, &sizes, one, min_variables);
        }
        Self::shared_out(&all, &sizes, 1 << max_variables, min_variables)
    }

    /// Every tensor, the largest first, goes where there is room.
    fn shared_out(
        all: &[(Dims, Cut)],
        sizes: &[usize],
        capacity: usize,
        min_variables: usize,
    ) -> Self {
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|&tensor| std::cmp::Reverse(sizes[tensor]));
        let mut shards: Vec<(usize, Vec<usize>)> = vec![(0, Vec::new())];
        for tensor in order {
            let room = |(filled, _): &(usize, Vec<usize>)| filled + sizes[tensor] <= capacity;
            let at = match shards.iter().position(room) {
                Some(at) => at,
                // The first one may be empty and too small.
                None if shards[0].1.is_empty() => 0,
                None => {
                    shards.push((0, Vec::new()));
                    shards.len() - 1
                }
            };
            shards[at].0 += sizes[tensor];
            shards[at].1.push(tensor);
        }
        let mut places = vec![(0, 0); all.len()];
        let packings = shards
            .into_iter()
            .enumerate()
            .map(|(shard, (_, mut of_it))| {
                of_it.sort_unstable();
                for (index, &tensor) in of_it.iter().enumerate() {
                    places[tensor] = (shard, index);
                }
                let tensors: Vec<(Dims, Cut)> = of_it.iter().map(|&t| all[t].clone()).collect();
                Packing::new(&tensors, &[], min_variables)
            });
        Self {
            packings: packings.collect(),
            places,
        }
    }

    /// Elements of all blocks.
    pub(crate) fn elements(&self) -> usize {
        self.packings.iter().map(Packing::elements).sum()
    }

    /// The tensors of a shard, by its own numbers.
    pub(crate) fn tensors(&self, shard: usize) -> Vec<usize> {
        let of_it = self.places.iter().enumerate();
        of_it
            .filter(|(_, place)| place.0 == shard)
            .map(|(tensor, _)| tensor)
            .collect()
    }

    /// Where a tensor lies in its shard.
    pub(crate) fn stored(&self, tensor: usize) -> &Stored {
        let (shard, index) = self.places[tensor];
        &self.packings[shard].stored[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{F, signed};
    use crate::transcript::Transcript;

    /// `Σ weights·values`.
    fn weigh(weights: impl Iterator<Item = Weights>, values: &[F]) -> E {
        weights
            .map(|weights| match weights {
                Weights::Eq {
                    block,
                    point,
                    scale,
                } => {
                    let eq = crate::field::eq_table(&point, scale);
                    crate::field::dot_base(&eq, &values[block.offset..][..eq.len()])
                }
                _ => E::ZERO,
            })
            .sum()
    }

    fn dims(all: &[&[usize]]) -> Vec<Dims> {
        all.iter().map(|dims| Dims(dims.to_vec())).collect()
    }

    #[test]
    fn runs_are_aligned_and_cover_an_axis_with_as_little_padding_as_is_allowed() {
        for length in (1..300).chain([768, 1000, 50_257, 1 << 20]) {
            for part in [0, 16, usize::MAX] {
                let runs = runs(length, part);
                let mut end = 0;
                for run in &runs {
                    assert_eq!(run.start, end, "{length}");
                    assert_eq!(run.start % (1 << run.bits), 0, "{length}");
                    end = run.end();
                }
                assert!(end >= length && end <= length.next_power_of_two());
                match part {
                    0 => assert_eq!(runs.len(), 1),
                    16 => assert!(16 * (end - length) <= length, "{length}: {end}"),
                    _ => assert_eq!(end, length),
                }
            }
        }
        let bits = |length, part| {
            runs(length, part)
                .iter()
                .map(|r| r.bits)
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(576, 16), [9, 6]);
        assert_eq!(bits(1000, 16), [10]);
        assert_eq!(bits(50_257, 16), [15, 14, 11]);
        assert_eq!(bits(56, usize::MAX), [5, 4, 3]);
    }

    /// Also in the pad that what is committed holds in padding.
    #[test]
    fn a_claim_on_a_cut_tensor_is_a_claim_on_its_pieces() {
        let shapes: [&[usize]; 9] = [
            &[96, 48],
            &[3, 5, 7],
            &[576, 3],
            &[1, 56, 7, 3],
            &[70],
            &[],
            &[1000, 9],
            &[33_000],
            &[8, 16],
        ];
        for cut in [Cut::Exact, Cut::Nearly, Cut::Never] {
            let tensors: Vec<(Dims, Cut)> = dims(&shapes).into_iter().map(|d| (d, cut)).collect();
            // What is beside them fills a power of two: whatever can be cut has to be.
            let least: usize = tensors
                .iter()
                .map(|(dims, cut)| cut.axes(dims).map_or(1 << dims.variables(), |a| size(&a)))
                .sum();
            let rest = (1usize << 20) - least;
            let others: Vec<usize> = (0..20).filter(|bit| rest >> bit & 1 == 1).collect();
            let packing = Packing::new(&tensors, &others, 0);
            assert_eq!(packing.variables(), 20);
            let element = |tensor: usize, i: usize| signed((i * i % 251 + 3 * tensor) as i64 - 90);
            for pad in [F::ZERO, F::TWO] {
                let mut stack = F::zero_vec(1 << packing.variables());
                packing.fill(&mut stack, |tensor, part| {
                    part.place(pad, |i| element(tensor, i));
                });
                for (tensor, (dims, _)) in tensors.iter().enumerate() {
                    let stored = &packing.stored[tensor];
                    let point = Transcript::new(b"t").sample_point(dims.variables());
                    let truth = dims.weights(&point).into_iter().enumerate();
                    let truth = truth.fold(E::ZERO, |sum, (i, w)| sum + w * element(tensor, i));
                    let covered = stored.covered(&point) - dims.presence(&point);
                    let opened = weigh(stored.weights(&point, E::TWO), &stack);
                    assert_eq!(
                        opened,
                        (truth + covered * pad).double(),
                        "{dims:?}, {cut:?}"
                    );
                    if cut == Cut::Exact && stored.is_cut() {
                        assert_eq!(covered, E::ZERO, "{dims:?}");
                    }
                    // Elements of another tensor do not count.
                    let block = packing.others[0].offset;
                    let mut other = stack.clone();
                    other[block] += F::ONE;
                    assert_eq!(weigh(stored.weights(&point, E::TWO), &other), opened);
                }
            }
            let cuts = packing.stored.iter().filter(|s| s.is_cut()).count();
            let expected = if cut == Cut::Never { 0 } else { 7 };
            assert_eq!(cuts, expected, "{cut:?}");
        }
    }

    #[test]
    fn tensors_are_cut_only_where_that_halves_the_polynomial() {
        let packed = |shapes: &[&[usize]], others: &[usize]| {
            let tensors = dims(shapes).into_iter().map(|d| (d, Cut::Nearly));
            Packing::new(&tensors.collect::<Vec<_>>(), others, 10)
        };
        let cuts = |packing: &Packing| -> Vec<usize> {
            packing.stored.iter().map(Stored::pieces).collect()
        };
        // 2^16 with and without.
        let packing = packed(&[&[576, 64]], &[]);
        assert_eq!((packing.variables(), cuts(&packing)), (16, vec![1]));
        // 2^18 without.
        let packing = packed(&[&[576, 64], &[576, 64], &[8, 3]], &[]);
        assert_eq!((packing.variables(), cuts(&packing)), (17, vec![2, 1, 1]));
        // Those that save most, until it is enough.
        let packing = packed(&[&[300, 64], &[600, 64], &[8, 3]], &[12]);
        assert_eq!((packing.variables(), cuts(&packing)), (16, vec![3, 3, 1]));
        let packing = packed(&[&[128, 64], &[600, 64], &[8, 3]], &[12]);
        assert_eq!((packing.variables(), cuts(&packing)), (16, vec![1, 3, 1]));
        // Never many pieces.
        assert_eq!(products(&cut(&Dims(vec![7; 6]), 16)).len(), 27);
    }

    #[test]
    fn tensors_are_shared_out_so_that_no_polynomial_is_too_large_or_half_empty() {
        let shards = |sizes: &[usize], most| {
            let tensors: Vec<Dims> = sizes.iter().map(|&bits| Dims(vec![1 << bits])).collect();
            Shards::new(&tensors, 10, most)
        };
        let sizes = |shards: &Shards| -> Vec<usize> {
            shards.packings.iter().map(Packing::variables).collect()
        };
        assert_eq!(sizes(&shards(&[], 26)), [10]);
        assert_eq!(sizes(&shards(&[3, 20, 20, 21], 26)), [22, 10]);
        assert_eq!(sizes(&shards(&[20, 20, 20], 26)), [22]);
        // Divided once at most: every further root would cost all other terms bits.
        assert_eq!(sizes(&shards(&[26, 22, 19], 28)), [26, 23]);
        let large = shards(&[10, 12, 11, 12, 12, 5], 12);
        assert_eq!(sizes(&large), [12, 12, 12, 12]);
        assert_eq!(large.places[4], (2, 0));
        assert_eq!(large.places[2], (3, 1));
        assert_eq!(large.places[5], (3, 2));
        assert_eq!(large.tensors(3), [0, 2, 5]);
        assert_eq!(sizes(&shards(&[13], 12)), [13]);
        // A kernel of nine places pads none to sixteen.
        let kernels = vec![Dims(vec![4608, 512]); 5];
        assert_eq!(sizes(&Shards::new(&kernels, 10, 28)), [24]);
    }
}
