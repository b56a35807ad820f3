//! Sumcheck of a product of two or three multilinear tables.
//!
//! Claim `c = Σ_x Π_j f_j(x)`. Round `i` binds the most significant free variable: the prover
//! sends `t(0), t(2), …, t(d)` of the round polynomial, `t(1) = c - t(0)`, the next claim is
//! `t(r)`. Soundness error `d/|E|` a round.

use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::field::E;
use crate::transcript::{Exhausted, Lin, ProverChannel, VerifierChannel};

/// Tables shorter than this are not worth a second thread.
pub(crate) const PARALLEL_FROM: usize = 1 << 12;

/// `lo + r (hi - lo)` on the two halves, in place.
pub(crate) fn fold(table: &mut Vec<E>, r: E) {
    let half = table.len() / 2;
    let (lo, hi) = table.split_at_mut(half);
    if half >= PARALLEL_FROM {
        lo.par_iter_mut()
            .zip(hi)
            .for_each(|(l, h)| *l += r * (*h - *l));
    } else {
        lo.iter_mut().zip(hi).for_each(|(l, h)| *l += r * (*h - *l));
    }
    table.truncate(half);
}

/// Proves `Σ_x Π_j tables[j](x)`; returns the point and every table's value there.
pub(crate) fn prove<const D: usize>(
    mut tables: [Vec<E>; D],
    channel: &mut ProverChannel,
) -> (Vec<E>, [E; D]) {
    let mut point = Vec::new();
    while tables[0].len() > 1 {
        let half = tables[0].len() / 2;
        // t(0), t(2), t(3) at one index.
        let at = |i: usize| {
            let mut values = [E::ONE; 3];
            for table in &tables {
                let (lo, hi) = (table[i], table[i + half]);
                let difference = hi - lo;
                let two = hi + difference;
                values[0] *= lo;
                values[1] *= two;
                if D == 3 {
                    values[2] *= two + difference;
                }
            }
            values
        };
        let add = |a: [E; 3], b: [E; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
        let sums = if half >= PARALLEL_FROM {
            (0..half)
                .into_par_iter()
                .map(at)
                .reduce(|| [E::ZERO; 3], add)
        } else {
            (0..half).map(at).fold([E::ZERO; 3], add)
        };
        channel.send_all(&sums[..D]);
        let r = channel.transcript.sample();
        for table in &mut tables {
            fold(table, r);
        }
        point.push(r);
    }
    (point, tables.map(|t| t[0]))
}

/// Reduces `claim` to the value of the product at the returned point.
pub(crate) fn verify(
    claim: Lin,
    rounds: usize,
    degree: usize,
    channel: &mut VerifierChannel<'_>,
) -> Result<(Vec<E>, Lin), Exhausted> {
    let half = E::ONE.halve();
    let sixth = half * E::from_u64(3).inverse_or_zero();
    let mut claim = claim;
    let mut point = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let t0 = channel.receive()?;
        let t2 = channel.receive()?;
        let t3 = match degree {
            3 => Some(channel.receive()?),
            _ => None,
        };
        let r = channel.transcript.sample();
        // Lagrange's form on 0, 1, 2 or on 0, 1, 2, 3, with t(1) = claim - t(0).
        let (a, b, c) = (r - E::ONE, r - E::TWO, r - E::from_u64(3));
        let (w0, w1, w2, w3) = match t3 {
            None => (a * b * half, -(r * b), r * a * half, E::ZERO),
            Some(_) => (
                -(a * b * c * sixth),
                r * b * c * half,
                -(r * a * c * half),
                r * a * b * sixth,
            ),
        };
        let mut next = claim.scaled(w1);
        next.add_scaled(&t0, w0 - w1);
        next.add_scaled(&t2, w2);
        if let Some(t3) = t3 {
            next.add_scaled(&t3, w3);
        }
        claim = next;
        point.push(r);
    }
    Ok((point, claim))
}

trait InverseOrZero {
    fn inverse_or_zero(self) -> Self;
}

impl InverseOrZero for E {
    fn inverse_or_zero(self) -> Self {
        p3_field::Field::try_inverse(&self).unwrap_or(E::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::eq_table;

    fn table(seed: u64, n: usize) -> Vec<E> {
        let mut channel = ProverChannel::new(&seed.to_le_bytes());
        (0..1 << n).map(|_| channel.transcript.sample()).collect()
    }

    fn evaluate(table: &[E], point: &[E]) -> E {
        eq_table(point, E::ONE)
            .iter()
            .zip(table)
            .fold(E::ZERO, |a, (&e, &t)| a + e * t)
    }

    fn round_trip<const D: usize>(n: usize) {
        let tables: [Vec<E>; D] = std::array::from_fn(|i| table(i as u64, n));
        let claim = (0..1 << n)
            .map(|i| tables.iter().map(|t| t[i]).product::<E>())
            .sum::<E>();
        let mut prover = ProverChannel::new(b"s");
        let (point, values) = prove(tables.clone(), &mut prover);
        for (t, v) in tables.iter().zip(values) {
            assert_eq!(evaluate(t, &point), v);
        }
        let mut verifier = VerifierChannel::new(b"s", &prover.sent);
        let (point_v, claim_v) = verify(claim.into(), n, D, &mut verifier).unwrap();
        assert_eq!(point, point_v);
        assert_eq!(claim_v.constant, values.iter().copied().product::<E>());
        let mut verifier = VerifierChannel::new(b"s", &prover.sent);
        let (_, claim_v) = verify((claim + E::ONE).into(), n, D, &mut verifier).unwrap();
        assert_ne!(claim_v.constant, values.iter().copied().product::<E>());
    }

    #[test]
    fn a_true_sum_reduces_to_the_tables_and_a_false_one_does_not() {
        for n in [1, 4, 13] {
            round_trip::<2>(n);
            round_trip::<3>(n);
        }
    }
}
