//! Sumcheck of a product of two multilinear tables, with or without an equality factor.
//!
//! Claim `c = Σ_x eq(r, x') a(x) b(x)`, with `x'` the leading `|r|` variables of `x` (none: a plain
//! product; all: a pointwise product; some: a batch of inner products). Round `j` binds the most
//! significant free variable. With what earlier rounds bound of the equality factored out (Gruen,
//! ePrint 2024/108) the rest is a quadratic `t`, and the prover sends `t(0)` and `t(∞)`, its leading
//! coefficient. The claim gives `t(1)`:
//!
//! - a variable under the equality: `c = (1 - r_j) t(0) + r_j t(1)`, which needs `r_j ≠ 0`;
//! - any other: `c = t(0) + t(1)`.
//!
//! The next claim is `t(x_j)`, so that the last one is `a(x) b(x)` alone. Soundness error `2/|E|` a
//! round. The verifier is linear in the messages: it works on [`Lin`].

use std::ops::{Range, Sub};

use p3_field::{Field, PackedValue, PrimeCharacteristicRing};
use rayon::prelude::*;

use crate::arena::Buffer;
use crate::field::{E, F, eq_table};
use crate::packed::{Base, Packed, WIDTH, lane_sum, pack, pack_long, product, unpack};
use crate::transcript::{Exhausted, Lin, ProverChannel, VerifierChannel};

/// Why a reduction was refused.
#[derive(Debug, PartialEq)]
pub(crate) enum SumcheckError {
    /// The proof holds fewer elements than the rounds need.
    Exhausted,
    /// A coordinate of the equality's point is zero: `t(1)` is not determined. An honest point has
    /// one with probability `n/|E|`.
    ZeroCoordinate,
}

impl From<Exhausted> for SumcheckError {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// Elements that the prover sends for `rounds` variables.
pub(crate) const fn messages(rounds: usize) -> usize {
    2 * rounds
}

/// Proves `Σ_x a(x) b(x)`; returns the point and both values there.
///
/// The tables have the same length, a power of two.
pub(crate) fn prove_product(a: Vec<E>, b: Vec<E>, channel: &mut ProverChannel) -> (Vec<E>, [E; 2]) {
    prove_eq_product(&[], a, b, channel)
}

/// [`prove_product`] with the second table in the base field: same messages.
pub(crate) fn prove_product_base(
    weights: Vec<E>,
    values: Vec<F>,
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 2]) {
    if weights.len() < SMALL {
        return scalar_rounds(&[], [weights, lift(values)], channel);
    }
    prove_product_packed(&pack_long(&weights), &values, channel)
}

/// [`prove_product_base`] with weights that are vectors, at least four.
pub(crate) fn prove_product_packed(
    weights: &[Packed],
    values: &[F],
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 2]) {
    rounds::<(Extension, Ground)>(&[], (weights, Base::pack_slice(values)), channel)
}

/// Proves `Σ_x eq(point, x') a(x) b(x)`; returns the point and both values there.
///
/// The tables have the same length, a power of two that is at least `2^|point|`.
pub(crate) fn prove_eq_product(
    point: &[E],
    a: Vec<E>,
    b: Vec<E>,
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 2]) {
    if a.len() < SMALL {
        return scalar_rounds(point, [a, b], channel);
    }
    rounds::<(Extension, Extension)>(point, (&pack_long(&a), &pack_long(&b)), channel)
}

/// [`prove_eq_product`] with both tables in the base field: same messages.
pub(crate) fn prove_eq_product_base(
    point: &[E],
    a: Vec<F>,
    b: Vec<F>,
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 2]) {
    if a.len() < SMALL {
        return scalar_rounds(point, [lift(a), lift(b)], channel);
    }
    rounds::<(Ground, Ground)>(point, (Base::pack_slice(&a), Base::pack_slice(&b)), channel)
}

/// Tables below this length are not worth vectors.
const SMALL: usize = 4 * WIDTH;
/// Vectors of a pass that a thread takes at a time.
const CHUNK: usize = 64;
/// Chunks that are worth a second thread.
const PARALLEL_FROM: usize = 16;

fn lift(values: Vec<F>) -> Vec<E> {
    values.into_iter().map(E::from).collect()
}

/// What a table holds.
trait Kind {
    type Entry: Copy + Sync + Sub<Output = Self::Entry>;

    /// `low + r·difference`.
    fn fold(low: Self::Entry, r: Packed, difference: Self::Entry) -> Packed;
}

struct Extension;
struct Ground;

impl Kind for Extension {
    type Entry = Packed;

    #[inline(always)]
    fn fold(low: Packed, r: Packed, difference: Packed) -> Packed {
        low + product(r, difference)
    }
}

impl Kind for Ground {
    type Entry = Base;

    #[inline(always)]
    fn fold(low: Base, r: Packed, difference: Base) -> Packed {
        r * difference + low
    }
}

/// The vectors of a table of kind `K`.
type Entries<'t, K> = &'t [<K as Kind>::Entry];

/// Products of the entries of two tables, in the base field where they can be.
trait Pair {
    type A: Kind;
    type B: Kind;
    type Product: Copy + Send + Sync + PrimeCharacteristicRing;

    fn times(a: <Self::A as Kind>::Entry, b: <Self::B as Kind>::Entry) -> Self::Product;
    fn weigh(value: Self::Product, weight: Packed) -> Packed;
    fn lift(value: Self::Product) -> Packed;
}

impl Pair for (Extension, Extension) {
    type A = Extension;
    type B = Extension;
    type Product = Packed;

    #[inline(always)]
    fn times(a: Packed, b: Packed) -> Packed {
        product(a, b)
    }

    #[inline(always)]
    fn weigh(value: Packed, weight: Packed) -> Packed {
        product(value, weight)
    }

    #[inline(always)]
    fn lift(value: Packed) -> Packed {
        value
    }
}

impl Pair for (Extension, Ground) {
    type A = Extension;
    type B = Ground;
    type Product = Packed;

    #[inline(always)]
    fn times(a: Packed, b: Base) -> Packed {
        a * b
    }

    #[inline(always)]
    fn weigh(value: Packed, weight: Packed) -> Packed {
        product(value, weight)
    }

    #[inline(always)]
    fn lift(value: Packed) -> Packed {
        value
    }
}

impl Pair for (Ground, Ground) {
    type A = Ground;
    type B = Ground;
    type Product = Base;

    #[inline(always)]
    fn times(a: Base, b: Base) -> Base {
        a * b
    }

    #[inline(always)]
    fn weigh(value: Base, weight: Packed) -> Packed {
        weight * value
    }

    #[inline(always)]
    fn lift(value: Base) -> Packed {
        Packed::from(value)
    }
}

/// `eq` over the variables that stay free, for the entries of half a table.
enum Weights {
    /// None: the equality is bound.
    One,
    /// One for every run of `1 << shift` vectors.
    Runs { table: Vec<E>, shift: u32 },
    /// `outer[i >> bits]·inner[i mod 2^bits]` for vector `i`.
    Split { outer: Vec<E>, inner: Vec<Packed> },
}

impl Weights {
    /// `rest` spans the leading variables of `vectors` vectors.
    fn new(rest: &[E], vectors: usize) -> Self {
        let variables = vectors.trailing_zeros() as usize;
        if rest.is_empty() {
            return Self::One;
        }
        if rest.len() <= variables {
            return Self::Runs {
                table: eq_table(rest, E::ONE),
                shift: (variables - rest.len()) as u32,
            };
        }
        // Lanes that the equality does not span have its weight too.
        let (outer, inner) = rest.split_at(variables / 2);
        let lanes = WIDTH.trailing_zeros() as usize + variables - rest.len();
        let inner: Vec<E> = eq_table(inner, E::ONE)
            .into_iter()
            .flat_map(|w| std::iter::repeat_n(w, 1 << lanes))
            .collect();
        Self::Split {
            outer: eq_table(outer, E::ONE),
            inner: pack(&inner),
        }
    }

    /// `Σ_i weight_i values(i)` over a range of vectors.
    #[inline(always)]
    fn sum<P: Pair>(
        &self,
        range: Range<usize>,
        mut values: impl FnMut(usize) -> [P::Product; 2],
    ) -> [Packed; 2] {
        let mut total = [Packed::ZERO; 2];
        let end = range.end;
        match self {
            Self::One => {
                let mut sum = [P::Product::ZERO; 2];
                for i in range {
                    let [zero, leading] = values(i);
                    sum[0] += zero;
                    sum[1] += leading;
                }
                total = sum.map(P::lift);
            }
            Self::Runs { table, shift } => {
                let mut i = range.start;
                while i < end {
                    let run = i >> shift;
                    let until = ((run + 1) << shift).min(end);
                    let mut sum = [P::Product::ZERO; 2];
                    for i in i..until {
                        let [zero, leading] = values(i);
                        sum[0] += zero;
                        sum[1] += leading;
                    }
                    let weight = Packed::from(table[run]);
                    total[0] += P::weigh(sum[0], weight);
                    total[1] += P::weigh(sum[1], weight);
                    i = until;
                }
            }
            Self::Split { outer, inner } => {
                let bits = inner.len().trailing_zeros();
                let mask = inner.len() - 1;
                let mut i = range.start;
                while i < end {
                    let run = i >> bits;
                    let until = ((run + 1) << bits).min(end);
                    let mut sum = [Packed::ZERO; 2];
                    for i in i..until {
                        let [zero, leading] = values(i);
                        let weight = inner[i & mask];
                        sum[0] += P::weigh(zero, weight);
                        sum[1] += P::weigh(leading, weight);
                    }
                    let weight = Packed::from(outer[run]);
                    total[0] += product(sum[0], weight);
                    total[1] += product(sum[1], weight);
                    i = until;
                }
            }
        }
        total
    }
}

/// `t(0), t(∞)` of the two tables.
fn round<P: Pair>(a: &[<P::A as Kind>::Entry], b: &[<P::B as Kind>::Entry], rest: &[E]) -> [E; 2] {
    let half = a.len() / 2;
    let weights = Weights::new(rest, half);
    let (a0, a1) = a.split_at(half);
    let (b0, b1) = b.split_at(half);
    let chunk = |index: usize| {
        let range = index * CHUNK..half.min((index + 1) * CHUNK);
        weights.sum::<P>(range, |i| {
            [
                P::times(a0[i], b0[i]),
                P::times(a1[i] - a0[i], b1[i] - b0[i]),
            ]
        })
    };
    let add = |x: [Packed; 2], y: [Packed; 2]| [x[0] + y[0], x[1] + y[1]];
    let zero = || [Packed::ZERO; 2];
    let chunks = half.div_ceil(CHUNK);
    if chunks >= PARALLEL_FROM {
        (0..chunks).into_par_iter().map(chunk).reduce(zero, add)
    } else {
        (0..chunks).map(chunk).fold(zero(), add)
    }
    .map(lane_sum)
}

/// The upper half of a table folded into the lower one.
fn fold<K: Kind>(table: &[K::Entry], r: Packed, out: &mut [Packed]) {
    let (low, high) = table.split_at(table.len() / 2);
    let fill = |((out, low), high): ((&mut [Packed], Entries<'_, K>), Entries<'_, K>)| {
        for ((out, &low), &high) in out.iter_mut().zip(low).zip(high) {
            *out = K::fold(low, r, high - low);
        }
    };
    if low.len() >= PARALLEL_FROM * CHUNK {
        out.par_chunks_mut(CHUNK)
            .zip(low.par_chunks(CHUNK))
            .zip(high.par_chunks(CHUNK))
            .for_each(fill);
    } else {
        fill(((out, low), high));
    }
}

fn rounds<P: Pair>(
    point: &[E],
    (a, b): (Entries<'_, P::A>, Entries<'_, P::B>),
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 2]) {
    let half = a.len() / 2;
    let (mut from_a, mut from_b) = (Buffer::new(half), Buffer::new(half));
    let (mut to_a, mut to_b) = (Buffer::new(half / 2), Buffer::new(half / 2));
    let mut xs = Vec::new();
    let mut send = |sums: [E; 2], channel: &mut ProverChannel| {
        channel.send_all(&sums);
        let x = channel.transcript.sample();
        xs.push(x);
        Packed::from(x)
    };
    let rest = |bound: usize| point.get(bound + 1..).unwrap_or(&[]);
    let r = send(round::<P>(a, b, rest(0)), channel);
    fold::<P::A>(a, r, &mut from_a);
    fold::<P::B>(b, r, &mut from_b);
    let mut len = half;
    let mut bound = 1;
    while len > 1 {
        let (a, b) = (&from_a[..len], &from_b[..len]);
        let r = send(round::<(Extension, Extension)>(a, b, rest(bound)), channel);
        len /= 2;
        bound += 1;
        fold::<Extension>(a, r, &mut to_a[..len]);
        fold::<Extension>(b, r, &mut to_b[..len]);
        std::mem::swap(&mut from_a, &mut to_a);
        std::mem::swap(&mut from_b, &mut to_b);
    }
    let tables = [unpack(&from_a[..1]), unpack(&from_b[..1])];
    let (last, values) = scalar_rounds(point.get(bound..).unwrap_or(&[]), tables, channel);
    xs.extend(last);
    (xs, values)
}

/// The rounds of short tables.
fn scalar_rounds(
    point: &[E],
    [mut a, mut b]: [Vec<E>; 2],
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 2]) {
    let mut xs = Vec::new();
    while a.len() > 1 {
        let half = a.len() / 2;
        let eq = eq_table(point.get(xs.len() + 1..).unwrap_or(&[]), E::ONE);
        let inner = half / eq.len();
        let (mut t0, mut leading) = (E::ZERO, E::ZERO);
        for (run, &weight) in eq.iter().enumerate() {
            let (mut zero, mut infinity) = (E::ZERO, E::ZERO);
            for i in run * inner..(run + 1) * inner {
                zero += a[i] * b[i];
                infinity += (a[i + half] - a[i]) * (b[i + half] - b[i]);
            }
            t0 += weight * zero;
            leading += weight * infinity;
        }
        channel.send_all(&[t0, leading]);
        let x = channel.transcript.sample();
        for table in [&mut a, &mut b] {
            for i in 0..half {
                let high = table[i + half];
                table[i] = table[i] + x * (high - table[i]);
            }
            table.truncate(half);
        }
        xs.push(x);
    }
    (xs, [a[0], b[0]])
}

/// Reduces `claim = Σ_x eq(point, x') a(x) b(x)` over `rounds` variables, at least `|point|`, to a
/// claim on `a·b` at the returned point: the equality factor is *not* part of it.
///
/// # Errors
/// [`SumcheckError`].
pub(crate) fn verify_eq_product(
    claim: Lin,
    point: &[E],
    rounds: usize,
    channel: &mut VerifierChannel<'_>,
) -> Result<(Vec<E>, Lin), SumcheckError> {
    let inverses = inverses(point).ok_or(SumcheckError::ZeroCoordinate)?;
    let mut bound = Vec::with_capacity(rounds);
    // Each round is `c' = keep·c + at_zero·t(0) + at_infinity·t(∞)`. The factors `keep` are
    // multiplied from the end, so that every message is scaled once.
    let mut steps = Vec::with_capacity(rounds);
    for j in 0..rounds {
        let messages = channel.receive_array::<2>()?;
        let x = channel.transcript.sample();
        let (keep, from_zero) = match (point.get(j), inverses.get(j)) {
            (Some(&r), Some(&inverse)) => (x * inverse, E::ONE - r),
            _ => (x, E::ONE),
        };
        steps.push((
            messages,
            keep,
            [E::ONE - x - keep * from_zero, x.square() - x],
        ));
        bound.push(x);
    }
    let mut reduced = Lin::default();
    let mut scale = E::ONE;
    for (messages, keep, factors) in steps.iter().rev() {
        for (message, &factor) in messages.iter().zip(factors) {
            reduced.add_scaled(message, factor * scale);
        }
        scale *= *keep;
    }
    reduced.add_scaled(&claim, scale);
    Ok((bound, reduced))
}

/// The inverse of every coordinate by one inversion; `None` when a coordinate is zero.
fn inverses(point: &[E]) -> Option<Vec<E>> {
    let mut prefix = Vec::with_capacity(point.len());
    let mut product = E::ONE;
    for &r in point {
        prefix.push(product);
        product *= r;
    }
    let mut suffix = product.try_inverse()?;
    for (i, &r) in point.iter().enumerate().rev() {
        prefix[i] *= suffix;
        suffix *= r;
    }
    Some(prefix)
}

#[cfg(test)]
#[path = "sumcheck_tests.rs"]
mod tests;
