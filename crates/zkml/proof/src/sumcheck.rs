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

use p3_field::{Field, PrimeCharacteristicRing};

use crate::field::{E, F};
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
    prove_product(weights, values.into_iter().map(E::from).collect(), channel)
}

/// Proves `Σ_x eq(point, x') a(x) b(x)`; returns the point and both values there.
///
/// The tables have the same length, a power of two that is at least `2^|point|`.
pub(crate) fn prove_eq_product(
    point: &[E],
    mut a: Vec<E>,
    mut b: Vec<E>,
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 2]) {
    let mut bound = Vec::new();
    while a.len() > 1 {
        let half = a.len() / 2;
        let rest = point.get(bound.len() + 1..).unwrap_or(&[]);
        let eq = crate::field::eq_table(rest, E::ONE);
        let inner = half / eq.len();
        let (mut t0, mut leading) = (E::ZERO, E::ZERO);
        for i in 0..half {
            let w = eq[i / inner];
            t0 += w * a[i] * b[i];
            leading += w * (a[i + half] - a[i]) * (b[i + half] - b[i]);
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
        bound.push(x);
    }
    (bound, [a[0], b[0]])
}

/// [`prove_eq_product`] with both tables in the base field: same messages.
pub(crate) fn prove_eq_product_base(
    point: &[E],
    a: Vec<F>,
    b: Vec<F>,
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; 2]) {
    let lift = |v: Vec<F>| v.into_iter().map(E::from).collect();
    prove_eq_product(point, lift(a), lift(b), channel)
}

/// Reduces `claim = Σ_x a(x) b(x)` over `rounds` variables to a claim on `a·b` at the point.
///
/// # Errors
/// [`SumcheckError::Exhausted`].
pub(crate) fn verify_product(
    claim: Lin,
    rounds: usize,
    channel: &mut VerifierChannel<'_>,
) -> Result<(Vec<E>, Lin), SumcheckError> {
    verify_eq_product(claim, &[], rounds, channel)
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
