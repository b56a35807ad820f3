//! The prover of the tree.
//!
//! Fractions lie in groups of 16, which are one vector or a few. Absent fractions, `0/1`, are kept
//! up to a multiple of four groups and implied from there on, so that work and memory follow the
//! blocks and not `2^depth`. Since children are adjacent groups, a pass reads and writes one
//! stream: it folds a chunk and, while it lies in the nearest cache, sums the next round over it.

use p3_field::{Field, PrimeCharacteristicRing};
use rayon::prelude::*;

use super::leaves::{CHUNK, Leaves};
use super::{Block, CHILD_BIT, child_point, in_rounds};
use crate::arena::Buffer;
use crate::field::{E, eq_table, less_than};
use crate::packed::{Packed, WIDTH, lane_sum, pack, product, two_products, unpack};
use crate::transcript::ProverChannel;

/// Fractions of a group.
const LANES: usize = 1 << CHILD_BIT;
/// Vectors of a group.
const G: usize = LANES / WIDTH;
/// Chunks of a pass that are worth a second thread.
const PARALLEL_FROM: usize = 16;
/// Variables of groups, beyond those inside of a group, whose weights are tabled as vectors.
const INNER_BITS: usize = 6;

/// Where vector `i` lies when each of its groups is the first of `run`.
#[inline(always)]
const fn spread(i: usize, run: usize) -> usize {
    (i & !(G - 1)) * run + (i & (G - 1))
}

/// `p_0 + λ q_0`, `q_1`, `p_1`, `q_0` of a vector of fractions.
type Node = [Packed; 4];

/// The fractions of a layer's children: whole groups, a multiple of four of them.
struct Layer {
    p: Buffer,
    q: Buffer,
}

/// What a pass reads: stored fractions, or leaves.
#[derive(Clone, Copy)]
enum Children<'a> {
    Leaves(Leaves<'a>, usize),
    Stored(&'a Layer),
}

impl Children<'_> {
    /// Vectors of the children.
    fn len(&self) -> usize {
        match self {
            Self::Leaves(_, len) => *len,
            Self::Stored(layer) => layer.p.len(),
        }
    }

    /// Calls `f` with the fractions of chunk `index` and whether all their numerators are 1.
    fn with<T>(&self, index: usize, f: impl FnOnce(&[Packed], &[Packed], bool) -> T) -> T {
        let from = index * CHUNK;
        let to = (from + CHUNK).min(self.len());
        match self {
            Self::Leaves(leaves, _) => leaves.with_chunk(from, |chunk| {
                f(&chunk.p[..to - from], &chunk.q[..to - from], chunk.ones)
            }),
            Self::Stored(layer) => f(&layer.p[from..to], &layer.q[from..to], false),
        }
    }

    /// The parents, of which there are `2^variables`, more than a group.
    fn parents(&self, variables: usize) -> Layer {
        let half = self.len() / 2;
        let whole = G << (variables - CHILD_BIT);
        let len = half.next_multiple_of(4 * G).min(whole);
        let (mut p, mut q) = (Buffer::new(len), Buffer::new(len));
        p[half..].fill(Packed::ZERO);
        q[half..].fill(Packed::ONE);
        let fill = |(index, (ps, qs)): (usize, (&mut [Packed], &mut [Packed]))| {
            self.with(index, |p, q, ones| {
                for i in 0..p.len() / 2 {
                    let at = spread(i, 2);
                    let (q0, q1) = (q[at], q[at + G]);
                    ps[i] = if ones {
                        q0 + q1
                    } else {
                        two_products(p[at], q1, p[at + G], q0)
                    };
                    qs[i] = product(q0, q1);
                }
            });
        };
        let chunks = self.len().div_ceil(CHUNK);
        if chunks >= PARALLEL_FROM {
            p[..half]
                .par_chunks_mut(CHUNK / 2)
                .zip(q[..half].par_chunks_mut(CHUNK / 2))
                .enumerate()
                .for_each(fill);
        } else {
            p[..half]
                .chunks_mut(CHUNK / 2)
                .zip(q[..half].chunks_mut(CHUNK / 2))
                .enumerate()
                .for_each(fill);
        }
        Layer { p, q }
    }
}

/// `eq` over the variables that a round leaves free, a product of two tables.
struct Weights {
    outer: Vec<E>,
    /// Over the lowest free variables of groups and those inside of a group.
    inner: Vec<Packed>,
    /// The free variables of groups, most significant first.
    groups: Vec<E>,
}

impl Weights {
    /// For the first round; `point` is most significant first and has more than `CHILD_BIT`
    /// coordinates, of which the last but `CHILD_BIT` is bound by the round.
    fn new(point: &[E]) -> Self {
        let (groups, lanes) = point.split_at(point.len() - CHILD_BIT);
        let groups = &groups[..groups.len() - 1];
        let (outer, inner) = groups.split_at(groups.len().saturating_sub(INNER_BITS));
        Self {
            outer: eq_table(outer, E::ONE),
            inner: pack(&eq_table(&[inner, lanes].concat(), E::ONE)),
            groups: groups.to_vec(),
        }
    }

    /// Sums over the lowest free variable of groups: the next round binds it.
    fn halve(&mut self) {
        self.groups.pop();
        if self.inner.len() > G {
            let half = self.inner.len() / 2;
            for i in 0..half {
                let at = spread(i, 2);
                self.inner[i] = self.inner[at] + self.inner[at + G];
            }
            self.inner.truncate(half);
        } else {
            let half = self.outer.len() / 2;
            for i in 0..half {
                self.outer[i] = self.outer[2 * i] + self.outer[2 * i + 1];
            }
            self.outer.truncate(half);
        }
    }

    /// The weight of the groups from `bound` on.
    fn from(&self, bound: usize) -> E {
        E::ONE - less_than(&self.groups, bound)
    }

    /// `Σ_i weight_i values(i)` over the vectors `range`.
    #[inline(always)]
    fn sum<const N: usize>(
        &self,
        range: std::ops::Range<usize>,
        mut values: impl FnMut(usize) -> [Packed; N],
    ) -> [Packed; N] {
        let mask = self.inner.len() - 1;
        let bits = self.inner.len().trailing_zeros();
        let mut total = [Packed::ZERO; N];
        let mut partial = [Packed::ZERO; N];
        let end = range.end;
        for i in range {
            let weight = self.inner[i & mask];
            let values = values(i);
            for k in 0..N {
                partial[k] += product(weight, values[k]);
            }
            if i & mask == mask || i + 1 == end {
                let outer = Packed::from(self.outer[i >> bits]);
                for k in 0..N {
                    total[k] += partial[k] * outer;
                    partial[k] = Packed::ZERO;
                }
            }
        }
        total
    }
}

fn add<const N: usize>(mut a: [Packed; N], b: [Packed; N]) -> [Packed; N] {
    for k in 0..N {
        a[k] += b[k];
    }
    a
}

/// `ΣP, ΣQ` over the even parents and the sum of leading coefficients: the first round.
fn first_round(children: Children<'_>, parents: &Layer, weights: &Weights, lambda: E) -> [E; 2] {
    let lambda_packed = Packed::from(lambda);
    let chunk = |index: usize| {
        let start = index * CHUNK / 4;
        children.with(index, |p, q, ones| {
            weights
                .sum(start..start + p.len() / 4, |i| {
                    let at = spread(i - start, 4);
                    let [q0, q1] = [q[at + 2 * G] - q[at], q[at + 3 * G] - q[at + G]];
                    let leading = if ones {
                        // Multiplied by λ below.
                        product(q0, q1)
                    } else {
                        let p0 = p[at + 2 * G] - p[at];
                        let p1 = p[at + 3 * G] - p[at + G];
                        two_products(p0 + product(lambda_packed, q0), q1, p1, q0)
                    };
                    let parent = spread(i, 2);
                    [parents.p[parent], parents.q[parent], leading]
                })
                .map_last(|leading| {
                    if ones {
                        leading * lambda_packed
                    } else {
                        leading
                    }
                })
        })
    };
    let chunks = children.len().div_ceil(CHUNK);
    let zero = || [Packed::ZERO; 3];
    let [p, q, leading] = if chunks >= PARALLEL_FROM {
        (0..chunks).into_par_iter().map(chunk).reduce(zero, add)
    } else {
        (0..chunks).map(chunk).fold(zero(), add)
    }
    .map(lane_sum);
    let absent = weights.from(children.len() / (4 * G));
    [p + lambda * (q + absent), leading]
}

trait MapLast {
    fn map_last(self, f: impl FnOnce(Packed) -> Packed) -> Self;
}

impl MapLast for [Packed; 3] {
    #[inline(always)]
    fn map_last(self, f: impl FnOnce(Packed) -> Packed) -> Self {
        let [a, b, c] = self;
        [a, b, f(c)]
    }
}

/// `t(0), t(∞)` over a chunk of nodes that starts at vector `first`, before absent ones.
#[inline(always)]
fn round(nodes: &[Node], first: usize, weights: &Weights) -> [Packed; 2] {
    let start = first / 2;
    weights.sum(start..start + nodes.len() / 2, |i| {
        let at = spread(i - start, 2);
        let ([a, b, c, d], [e, f, g, h]) = (&nodes[at], &nodes[at + G]);
        [
            two_products(*a, *b, *c, *d),
            two_products(*e - *a, *f - *b, *g - *c, *h - *d),
        ]
    })
}

/// Runs `fill(index, chunk of out)` over all chunks and adds what it returns.
fn pass(
    out: &mut [Packed],
    chunk: usize,
    fill: impl Fn(usize, &mut [Node]) -> [Packed; 2] + Sync,
) -> [E; 2] {
    let out = out.as_chunks_mut::<4>().0;
    let zero = || [Packed::ZERO; 2];
    if out.len() / chunk >= PARALLEL_FROM {
        out.par_chunks_mut(chunk)
            .enumerate()
            .map(|(index, out)| fill(index, out))
            .reduce(zero, add)
    } else {
        out.chunks_mut(chunk)
            .enumerate()
            .map(|(index, out)| fill(index, out))
            .fold(zero(), add)
    }
    .map(lane_sum)
}

/// Vectors to store when a pass fills `filled` of `groups` groups: whole pairs of groups.
fn in_pairs(filled: usize, groups: usize) -> usize {
    filled.next_multiple_of(2 * G).min(groups * G)
}

/// The rounds of a layer of `point.len() > CHILD_BIT` variables; returns their challenges and the
/// tables at the point.
fn layer_rounds(
    children: Children<'_>,
    parents: &Layer,
    point: &[E],
    lambda: E,
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 4]) {
    let absent: Node = [lambda.into(), Packed::ONE, Packed::ZERO, Packed::ONE];
    let lambda_packed = Packed::from(lambda);
    let mut xs = Vec::with_capacity(point.len());
    let mut weights = Weights::new(point);
    let mut send = |values: [E; 2], channel: &mut ProverChannel| {
        channel.send_all(&values);
        let x = channel.transcript.sample();
        xs.push(x);
        x
    };
    let x = send(first_round(children, parents, &weights, lambda), channel);

    // Groups left of all; those that are stored may be fewer.
    let mut groups = 1usize << (point.len() - CHILD_BIT - 1);
    let mut len = in_pairs(children.len() / 4, groups);
    let mut from = Buffer::new(4 * len);
    let r = Packed::from(x);
    if groups > 1 {
        weights.halve();
    }
    let sums = pass(&mut from, CHUNK / 4, |index, out| {
        let used = if index * CHUNK < children.len() {
            children.with(index, |p, q, ones| {
                for (i, node) in out.iter_mut().enumerate().take(p.len() / 4) {
                    let at = spread(i, 4);
                    let fold = |v: &[Packed], at: usize| v[at] + product(r, v[at + 2 * G] - v[at]);
                    let (q0, q1) = (fold(q, at), fold(q, at + G));
                    let (p0, p1) = if ones {
                        (Packed::ONE, Packed::ONE)
                    } else {
                        (fold(p, at), fold(p, at + G))
                    };
                    // One by one: an array of them would pass through the stack.
                    node[0] = p0 + product(lambda_packed, q0);
                    node[1] = q1;
                    node[2] = p1;
                    node[3] = q0;
                }
                p.len() / 4
            })
        } else {
            0
        };
        out[used..].fill(absent);
        match groups > 1 {
            true => round(out, index * CHUNK / 4, &weights),
            false => [Packed::ZERO; 2],
        }
    });
    let mut sums = sums;
    while groups > 1 {
        sums[0] += lambda * weights.from(len / (2 * G));
        let r = Packed::from(send(sums, channel));
        groups /= 2;
        let produced = len / 2;
        let next = in_pairs(produced, groups);
        let mut to = Buffer::new(4 * next);
        if groups > 1 {
            weights.halve();
        }
        let nodes = from.as_chunks::<4>().0;
        sums = pass(&mut to, CHUNK / 4, |index, out| {
            let start = index * CHUNK / 4;
            let used = produced.saturating_sub(start).min(out.len());
            for (i, node) in out[..used].iter_mut().enumerate() {
                let at = spread(start + i, 2);
                let (low, high) = (&nodes[at], &nodes[at + G]);
                for (k, node) in node.iter_mut().enumerate() {
                    *node = low[k] + product(r, high[k] - low[k]);
                }
            }
            out[used..].fill(absent);
            match groups > 1 {
                true => round(out, start, &weights),
                false => [Packed::ZERO; 2],
            }
        });
        from = to;
        len = next;
    }
    let tables = std::array::from_fn(|k| {
        let vectors: Vec<Packed> = from.as_chunks::<4>().0[..G]
            .iter()
            .map(|node| node[k])
            .collect();
        unpack(&vectors)
    });
    let lanes = &point[point.len() - CHILD_BIT..];
    let (rest, values) = scalar_rounds(tables, lanes, channel);
    xs.extend(rest);
    (xs, values)
}

/// The rounds over variables inside of a group, most significant first.
fn scalar_rounds(
    mut tables: [Vec<E>; 4],
    point: &[E],
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 4]) {
    let mut xs = Vec::with_capacity(point.len());
    while tables[0].len() > 1 {
        let half = tables[0].len() / 2;
        let eq = eq_table(&point[xs.len() + 1..], E::ONE);
        let [a, b, c, d] = &tables;
        let (mut t0, mut leading) = (E::ZERO, E::ZERO);
        for (i, &w) in eq.iter().enumerate() {
            let j = i + half;
            t0 += w * (a[i] * b[i] + c[i] * d[i]);
            leading += w * ((a[j] - a[i]) * (b[j] - b[i]) + (c[j] - c[i]) * (d[j] - d[i]));
        }
        channel.send_all(&[t0, leading]);
        let x = channel.transcript.sample();
        for table in &mut tables {
            for i in 0..half {
                let high = table[i + half];
                table[i] = table[i] + x * (high - table[i]);
            }
            table.truncate(half);
        }
        xs.push(x);
    }
    (xs, tables.map(|t| t[0]))
}

/// Proves that the fractions sum to zero; returns the leaf point.
///
/// Blocks ascend, are disjoint and end by `2^depth`; `depth` is at least 1.
pub(crate) fn prove(
    depth: usize,
    beta: E,
    blocks: &[Block<'_>],
    channel: &mut ProverChannel,
) -> Vec<E> {
    let leaves = Leaves { beta, blocks };
    // Fractions of more than a pair of groups are vectors: `packed[k]` are the parents of
    // `packed[k + 1]`, and those of the leaves come last. Fewer are scalars.
    let mut packed: Vec<Layer> = Vec::new();
    let stored = leaves.end().div_ceil(LANES).max(1).next_multiple_of(4) * G;
    let bottom = Children::Leaves(leaves, stored);
    let mut scalar = if depth > CHILD_BIT + 1 {
        packed.push(bottom.parents(depth - 1));
        for variables in (CHILD_BIT + 1..depth - 1).rev() {
            let next = Children::Stored(&packed[packed.len() - 1]).parents(variables);
            packed.push(next);
        }
        packed.reverse();
        vec![(unpack(&packed[0].p), unpack(&packed[0].q))]
    } else {
        vec![leaves.scalars(1 << depth)]
    };
    while scalar[scalar.len() - 1].0.len() > 2 {
        let (p, q) = &scalar[scalar.len() - 1];
        let half = p.len() / 2;
        let next = (0..half)
            .map(|i| (p[i] * q[i + half] + p[i + half] * q[i], q[i] * q[i + half]))
            .unzip();
        scalar.push(next);
    }

    let mut point: Vec<E> = Vec::new();
    for layer in 0..depth {
        let lambda = match layer {
            0 => E::ZERO,
            _ => channel.transcript.sample(),
        };
        let (xs, [a, q1, p1, q0]) = match scalar.pop() {
            Some((p, q)) => {
                let half = p.len() / 2;
                let a = (0..half).map(|i| p[i] + lambda * q[i]).collect();
                let tables = [
                    a,
                    q[half..].to_vec(),
                    p[half..].to_vec(),
                    q[..half].to_vec(),
                ];
                scalar_rounds(tables, &point, channel)
            }
            None => {
                let k = layer - CHILD_BIT - 1;
                let children = match packed.get(k + 1) {
                    Some(children) => Children::Stored(children),
                    None => bottom,
                };
                let parents = &packed[k];
                layer_rounds(children, parents, &point, lambda, channel)
            }
        };
        let p0 = a - lambda * q0;
        channel.send_all(&[p0, p1, q0, q1]);
        if layer == 0 {
            // A zero denominator has no inverse; the verifier refuses whatever stands for it.
            let inverse = |q: E| q.try_inverse().unwrap_or(E::ZERO);
            channel.send_all(&[inverse(q0), inverse(q1)]);
        }
        let mu = channel.transcript.sample();
        point = child_point(&in_rounds(&xs), mu);
    }
    point
}
