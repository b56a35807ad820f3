//! LogUp-GKR (ePrint 2023/1284): `Σ_i p_i/q_i = 0` by a binary tree of fractions.
//!
//! Layer `k` has `2^k` fractions; the children of fraction `x` are `(0,x)` and `(1,x)`:
//! `p = p_0 q_1 + p_1 q_0`, `q = q_0 q_1`. A claim `(p̃(r), q̃(r))` is reduced with `λ`:
//!
//! `p̃(r) + λ q̃(r) = Σ_x eq(r,x) [ (p_0 + λ q_0)(x) q_1(x) + p_1(x) q_0(x) ]`
//!
//! by the rounds of module `sumcheck` under a full equality factor: `t(0), t(∞)`, two messages. Then
//! the prover sends `p_0, p_1, q_0, q_1` at the point, whose products `p_0 q_1`, `q_0 q_1`, `p_1 q_0`
//! must give the reduced claim, and `μ` joins the children.
//!
//! At the root `p_0 q_1 + p_1 q_0 = 0`, and the prover sends the inverses of `q_0` and `q_1`: two
//! products equal to 1 show that no denominator is zero, and reveal none in a hiding mode.
//!
//! # Leaves
//!
//! A [`Block`] is a run of leaves `n_i / (c - x_i - β y_i)` with `c` of its own; a leaf outside all
//! blocks is `0/1`.

use std::borrow::Cow;

use p3_field::{Field, PrimeCharacteristicRing};

use crate::field::{E, F, eq_table};
use crate::sumcheck::{SumcheckError, verify_eq_product};
use crate::transcript::{Exhausted, Lin, NotZero, ProverChannel, VerifierChannel};

/// Numerators of a block.
#[derive(Clone, Debug)]
pub(crate) enum Numerator<'a> {
    Zero,
    One,
    /// One per leaf.
    Base(Cow<'a, [F]>),
}

/// Leaves `offset .. offset + x.len()`: `numerator_i / (constant - x_i - β y_i)`.
#[derive(Clone, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) offset: usize,
    pub(crate) numerator: Numerator<'a>,
    pub(crate) constant: E,
    pub(crate) x: Cow<'a, [F]>,
    /// As long as `x`, or absent: zeros.
    pub(crate) y: Option<Cow<'a, [F]>>,
}

/// Elements that the prover sends for `2^depth` leaves.
pub(crate) const fn messages(depth: usize) -> usize {
    // Layer k: 2k in its rounds, 4 children; two inverses at the root.
    depth * depth.saturating_sub(1) + 4 * depth + 2
}

/// Products of two messages that the verifier makes for `2^depth` leaves.
pub(crate) const fn products(depth: usize) -> usize {
    // Two fractions and two inverses at the root, three in every other layer.
    3 * depth + 1
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
    let mut p = vec![E::ZERO; 1 << depth];
    let mut q = vec![E::ONE; 1 << depth];
    for block in blocks {
        for i in 0..block.x.len() {
            p[block.offset + i] = match &block.numerator {
                Numerator::Zero => E::ZERO,
                Numerator::One => E::ONE,
                Numerator::Base(values) => values[i].into(),
            };
            let y = block.y.as_ref().map_or(F::ZERO, |y| y[i]);
            q[block.offset + i] = block.constant - block.x[i] - beta * y;
        }
    }
    let mut layers = vec![(p, q)];
    for _ in 1..depth {
        let (p, q) = &layers[layers.len() - 1];
        let half = p.len() / 2;
        let next = (0..half)
            .map(|i| (p[i] * q[i + half] + p[i + half] * q[i], q[i] * q[i + half]))
            .unzip();
        layers.push(next);
    }
    let mut point: Vec<E> = Vec::new();
    while let Some((mut p, mut q)) = layers.pop() {
        let lambda = match point.is_empty() {
            true => E::ZERO,
            false => channel.transcript.sample(),
        };
        let half = p.len() / 2;
        let (mut q1, mut p1) = (q.split_off(half), p.split_off(half));
        let mut xs = Vec::new();
        while p.len() > 1 {
            let half = p.len() / 2;
            let eq = eq_table(&point[xs.len() + 1..], E::ONE);
            let (mut t0, mut leading) = (E::ZERO, E::ZERO);
            for i in 0..half {
                let j = i + half;
                let a = |i: usize| p[i] + lambda * q[i];
                t0 += eq[i] * (a(i) * q1[i] + p1[i] * q[i]);
                leading +=
                    eq[i] * ((a(j) - a(i)) * (q1[j] - q1[i]) + (p1[j] - p1[i]) * (q[j] - q[i]));
            }
            channel.send_all(&[t0, leading]);
            let x = channel.transcript.sample();
            for table in [&mut p, &mut q, &mut p1, &mut q1] {
                for i in 0..half {
                    let high = table[i + half];
                    table[i] = table[i] + x * (high - table[i]);
                }
                table.truncate(half);
            }
            xs.push(x);
        }
        channel.send_all(&[p[0], p1[0], q[0], q1[0]]);
        if point.is_empty() {
            // A zero denominator has no inverse; the verifier refuses whatever stands for it.
            let inverse = |q: E| q.try_inverse().unwrap_or(E::ZERO);
            channel.send_all(&[inverse(q[0]), inverse(q1[0])]);
        }
        let mu = channel.transcript.sample();
        point = std::iter::once(mu).chain(xs).collect();
    }
    point
}

/// Why the tree was refused.
#[derive(Debug, PartialEq)]
pub(crate) enum LogUpError {
    Exhausted,
    /// The fractions do not sum to zero, or a denominator is zero.
    Root,
    /// The children of layer `k` do not fit the claim, or its point has a zero coordinate.
    Layer(usize),
}

impl From<Exhausted> for LogUpError {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// Reduces the sum over `2^depth` leaves, `depth` at least 1, to `(ρ, p̃(ρ), q̃(ρ))`.
///
/// # Errors
/// [`LogUpError`]; in a hiding mode only `Exhausted` and zero coordinates, since what must vanish
/// is collected by the channel.
pub(crate) fn verify(
    depth: usize,
    channel: &mut VerifierChannel<'_>,
) -> Result<(Vec<E>, Lin, Lin), LogUpError> {
    let root = |_: NotZero| LogUpError::Root;
    let [p0, p1, q0, q1] = channel.receive_array()?;
    let inverses = channel.receive_array::<2>()?;
    let mut p = channel.product(&p0, &q1);
    p.add_scaled(&channel.product(&p1, &q0), E::ONE);
    channel.zero(p).map_err(root)?;
    for (q, inverse) in [&q0, &q1].into_iter().zip(&inverses) {
        let mut one = channel.product(q, inverse);
        one.constant -= E::ONE;
        channel.zero(one).map_err(root)?;
    }
    let mut mu = channel.transcript.sample();
    let mut point = vec![mu];
    let (mut p, mut q) = (join(&p0, &p1, mu), join(&q0, &q1, mu));
    for layer in 1..depth {
        let refuse = |_: NotZero| LogUpError::Layer(layer);
        let lambda = channel.transcript.sample();
        p.add_scaled(&q, lambda);
        let (xs, claim) =
            verify_eq_product(p, &point, layer, channel).map_err(|error| match error {
                SumcheckError::Exhausted => LogUpError::Exhausted,
                SumcheckError::ZeroCoordinate => LogUpError::Layer(layer),
            })?;
        let [p0, p1, q0, q1] = channel.receive_array()?;
        let mut value = channel.product(&p0, &q1);
        value.add_scaled(&channel.product(&q0, &q1), lambda);
        value.add_scaled(&channel.product(&p1, &q0), E::ONE);
        value.add_scaled(&claim, -E::ONE);
        channel.zero(value).map_err(refuse)?;
        mu = channel.transcript.sample();
        (p, q) = (join(&p0, &p1, mu), join(&q0, &q1, mu));
        point = std::iter::once(mu).chain(xs).collect();
    }
    Ok((point, p, q))
}

/// `low + x (high - low)`.
fn join(low: &Lin, high: &Lin, x: E) -> Lin {
    let mut value = low.scaled(E::ONE - x);
    value.add_scaled(high, x);
    value
}

#[cfg(test)]
#[path = "logup_tests.rs"]
mod tests;
