//! The leaves of the tree, expanded a few at a time: they are never stored.

use std::cell::RefCell;

use p3_field::{PackedFieldExtension, PackedValue, PrimeCharacteristicRing};

use super::{Block, Numerator};
use crate::field::{E, F};
use crate::packed::{Base, Packed, WIDTH};

/// Vectors that are expanded at a time.
pub(super) const CHUNK: usize = 32;

/// Fractions of consecutive leaves.
pub(super) struct Chunk {
    pub(super) p: [Packed; CHUNK],
    pub(super) q: [Packed; CHUNK],
    /// Whether every numerator is 1: `p` then holds nothing of use.
    pub(super) ones: bool,
}

thread_local! {
    static EXPANDED: RefCell<Chunk> = const {
        RefCell::new(Chunk {
            p: [Packed::ZERO; CHUNK],
            q: [Packed::ZERO; CHUNK],
            ones: false,
        })
    };
}

#[derive(Clone, Copy)]
pub(super) struct Leaves<'a> {
    pub(super) beta: E,
    pub(super) blocks: &'a [Block<'a>],
}

impl Leaves<'_> {
    /// Leaves up to the end of the last block.
    pub(super) fn end(&self) -> usize {
        self.blocks
            .iter()
            .map(|b| b.offset + b.x.len())
            .max()
            .unwrap_or(0)
    }

    /// The fractions of the first `count` leaves, one by one.
    pub(super) fn scalars(&self, count: usize) -> (Vec<E>, Vec<E>) {
        let (mut p, mut q) = (vec![E::ZERO; count], vec![E::ONE; count]);
        for block in self.blocks {
            for i in 0..block.x.len() {
                (p[block.offset + i], q[block.offset + i]) = self.fraction(block, i);
            }
        }
        (p, q)
    }

    fn fraction(&self, block: &Block<'_>, i: usize) -> (E, E) {
        let p = match &block.numerator {
            Numerator::One => E::ONE,
            Numerator::Base(values) => values[i].into(),
        };
        let y = block.y.as_ref().map_or(F::ZERO, |y| y[i]);
        (p, block.constant - block.x[i] - self.beta * y)
    }

    /// Calls `f` with the leaves from vector `first` on.
    pub(super) fn with_chunk<T>(&self, first: usize, f: impl FnOnce(&Chunk) -> T) -> T {
        EXPANDED.with_borrow_mut(|chunk| {
            self.expand(first, chunk);
            f(chunk)
        })
    }

    fn expand(&self, first: usize, chunk: &mut Chunk) {
        let (from, to) = (first * WIDTH, (first + CHUNK) * WIDTH);
        let minus_beta = Packed::from(-self.beta);
        let at = self
            .blocks
            .partition_point(|b| b.offset + b.x.len() <= from);
        let covers = |b: &Block<'_>| {
            b.offset <= from && b.offset + b.x.len() >= to && from % WIDTH == b.offset % WIDTH
        };
        let covered = self.blocks.get(at).filter(|b| covers(b));
        chunk.ones = covered.is_some_and(|b| matches!(b.numerator, Numerator::One));
        if covered.is_none() {
            chunk.q.fill(Packed::ONE);
        }
        if !chunk.ones {
            chunk.p.fill(Packed::ZERO);
        }
        for block in &self.blocks[at..] {
            if block.offset >= to {
                break;
            }
            let start = block.offset.max(from);
            let end = (block.offset + block.x.len()).min(to);
            // Whole vectors, and single leaves around them.
            let head = start.next_multiple_of(WIDTH).min(end);
            let tail = (end / WIDTH * WIDTH).max(head);
            for leaf in (start..head).chain(tail..end) {
                let (p, q) = self.fraction(block, leaf - block.offset);
                let (vector, lane) = ((leaf - from) / WIDTH, leaf % WIDTH);
                chunk.p[vector].add_assign_lane(lane, p);
                chunk.q[vector].add_assign_lane(lane, q - E::ONE);
            }
            let range = head - block.offset..tail - block.offset;
            let vectors = (head - from) / WIDTH..(tail - from) / WIDTH;
            let constant = Packed::from(block.constant);
            let xs = Base::pack_slice(&block.x[range.clone()]);
            let qs = &mut chunk.q[vectors.clone()];
            match &block.y {
                None => {
                    for (q, &x) in qs.iter_mut().zip(xs) {
                        *q = constant - x;
                    }
                }
                Some(y) => {
                    let ys = Base::pack_slice(&y[range.clone()]);
                    for ((q, &x), &y) in qs.iter_mut().zip(xs).zip(ys) {
                        *q = minus_beta * y + constant - x;
                    }
                }
            }
            let ps = &mut chunk.p[vectors];
            match &block.numerator {
                Numerator::One if chunk.ones => {}
                Numerator::One => ps.fill(Packed::ONE),
                Numerator::Base(values) => {
                    for (p, &v) in ps.iter_mut().zip(Base::pack_slice(&values[range])) {
                        *p = Packed::from(v);
                    }
                }
            }
        }
    }
}
