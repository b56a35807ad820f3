//! LogUp-GKR (ePrint 2023/1284): `Σ_i p_i/q_i = 0` by a binary tree of fractions.
//!
//! Layer `k` has `2^k` fractions. The two children of fraction `x` are told apart by bit 4 of their
//! index, or by its highest bit while there are at most 16, and the other bits are those of `x`:
//! `p = p_0 q_1 + p_1 q_0`, `q = q_0 q_1`. A claim `(p̃(r), q̃(r))` is reduced with `λ`:
//!
//! `p̃(r) + λ q̃(r) = Σ_x eq(r,x) [ (p_0 + λ q_0)(x) q_1(x) + p_1(x) q_0(x) ]`
//!
//! by the rounds of module `sumcheck` under a full equality factor: `t(0), t(∞)`, two messages. Then
//! the prover sends `p_0, p_1, q_0, q_1` at the point, whose products `p_0 q_1`, `q_0 q_1`, `p_1 q_0`
//! must give the reduced claim, and `μ` joins the children. Rounds bind the bits of `x` from bit 4 up
//! and then from bit 3 down: neighbours meet, so that leaves which end early cost nothing, and the
//! lowest 16 stay together as lanes of vectors.
//!
//! At the root `p_0 q_1 + p_1 q_0 = 0`, and the prover sends the inverses of `q_0` and `q_1`: two
//! products equal to 1 show that no denominator is zero, and reveal none in a hiding mode.
//!
//! # Leaves
//!
//! A [`Block`] is a run of leaves `n_i / (c - x_i - β y_i)` with `c` of its own; a leaf outside all
//! blocks is `0/1`.

mod leaves;
mod tree;

use std::borrow::Cow;

use p3_field::PrimeCharacteristicRing;

use crate::checks::Check;
use crate::field::{E, F};
use crate::sumcheck::{SumcheckError, verify_eq_product};
use crate::transcript::{Exhausted, Lin, NotZero, VerifierChannel};

pub(crate) use tree::prove;

/// Numerators of a block.
#[derive(Clone, Debug)]
pub(crate) enum Numerator<'a> {
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

/// The bit of an index that tells two children apart, or the highest bit of an index that has no
/// such one: below it lie the lanes of vectors.
const CHILD_BIT: usize = 4;

/// A point, most significant coordinate first, in the order in which a layer's rounds bind it: the
/// variables from bit [`CHILD_BIT`] up, then those below it from the highest down. The same
/// permutation leads back.
fn in_rounds(point: &[E]) -> Vec<E> {
    let mut point = point.to_vec();
    let above = point.len().saturating_sub(CHILD_BIT);
    point[..above].reverse();
    point
}

/// The point of the children of `point` where `x` chooses between them.
fn child_point(point: &[E], x: E) -> Vec<E> {
    let mut point = point.to_vec();
    point.insert(point.len().saturating_sub(CHILD_BIT), x);
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
    channel.zero(Check::LookupSum, p).map_err(root)?;
    for (q, inverse) in [&q0, &q1].into_iter().zip(&inverses) {
        let mut one = channel.product(q, inverse);
        one.constant -= E::ONE;
        channel.zero(Check::LookupInverse, one).map_err(root)?;
    }
    let mut mu = channel.transcript.sample();
    let mut point = vec![mu];
    let (mut p, mut q) = (join(&p0, &p1, mu), join(&q0, &q1, mu));
    for layer in 1..depth {
        let refuse = |_: NotZero| LogUpError::Layer(layer);
        let lambda = channel.transcript.sample();
        p.add_scaled(&q, lambda);
        let (xs, claim) = verify_eq_product(p, &in_rounds(&point), layer, channel).map_err(
            |error| match error {
                SumcheckError::Exhausted => LogUpError::Exhausted,
                SumcheckError::ZeroCoordinate => LogUpError::Layer(layer),
            },
        )?;
        let [p0, p1, q0, q1] = channel.receive_array()?;
        let mut value = channel.product(&p0, &q1);
        value.add_scaled(&channel.product(&q0, &q1), lambda);
        value.add_scaled(&channel.product(&p1, &q0), E::ONE);
        value.add_scaled(&claim, -E::ONE);
        channel.zero(Check::LookupLayer, value).map_err(refuse)?;
        mu = channel.transcript.sample();
        (p, q) = (join(&p0, &p1, mu), join(&q0, &q1, mu));
        point = child_point(&in_rounds(&xs), mu);
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
