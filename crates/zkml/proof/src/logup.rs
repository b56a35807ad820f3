//! LogUp-GKR (ePrint 2023/1284): `Σ_i p_i/q_i = 0` by a binary tree of fractions.
//!
//! Layer `k` has `2^k` fractions; the children of fraction `x` are `(0,x)` and `(1,x)`:
//! `p = p_0 q_1 + p_1 q_0`, `q = q_0 q_1`. A claim `(p̃(r), q̃(r))` is reduced with `λ`:
//!
//! `p̃(r) + λ q̃(r) = Σ_x eq(r,x) [ (p_0 + λ q_0)(x) q_1(x) + p_1(x) q_0(x) ]`
//!
//! Round `j` sends `t(0), t(1), t(∞)` of the quadratic that remains when `eq(r_j, ·)` is factored
//! out (Gruen, ePrint 2024/108): the verifier checks `c = (1-r_j) t(0) + r_j t(1)` and goes on with
//! `t(x_j)`. After the rounds the prover sends `p_0, p_1, q_0, q_1`; `μ` joins them.
//! The root must have `p = 0` and `q ≠ 0`.

use p3_field::PrimeCharacteristicRing;
use p3_field::{Algebra, ExtensionField, Field, PackedFieldExtension, PackedValue};
use rayon::prelude::*;

use crate::field::{E, F, eq_table};
use crate::transcript::{Exhausted, Lin, ProverChannel, VerifierChannel};

type Packed = <E as ExtensionField<F>>::ExtensionPacking;
const WIDTH: usize = <<F as Field>::Packing as PackedValue>::WIDTH;
/// Entries (packed or not) from which a second thread pays.
const PARALLEL_FROM: usize = 1 << 9;

/// A layer's numerators and denominators, packed when both halves fill a vector.
enum Layer {
    Packed(Vec<Packed>, Vec<Packed>),
    Scalar(Vec<E>, Vec<E>),
}

fn parents<T: Algebra<E> + Copy + Send + Sync>(p: &[T], q: &[T]) -> (Vec<T>, Vec<T>) {
    let half = p.len() / 2;
    let at = |i: usize| (p[i] * q[i + half] + p[i + half] * q[i], q[i] * q[i + half]);
    if half >= PARALLEL_FROM {
        (0..half).into_par_iter().map(at).unzip()
    } else {
        (0..half).map(at).unzip()
    }
}

fn pack(values: &[E]) -> Vec<Packed> {
    values
        .chunks_exact(WIDTH)
        .map(Packed::from_ext_slice)
        .collect()
}

fn unpack(values: &[Packed]) -> Vec<E> {
    let mut out = vec![E::ZERO; values.len() * WIDTH];
    for (v, chunk) in values.iter().zip(out.chunks_exact_mut(WIDTH)) {
        v.to_ext_slice(chunk);
    }
    out
}

impl Layer {
    fn leaves(p: Vec<E>, q: Vec<E>) -> Self {
        if p.len() >= 2 * WIDTH {
            Self::Packed(pack(&p), pack(&q))
        } else {
            Self::Scalar(p, q)
        }
    }

    fn parents(&self) -> Self {
        match self {
            Self::Packed(p, q) => {
                let (p, q) = parents(p, q);
                if p.len() >= 2 {
                    Self::Packed(p, q)
                } else {
                    Self::Scalar(unpack(&p), unpack(&q))
                }
            }
            Self::Scalar(p, q) => {
                let (p, q) = parents(p, q);
                Self::Scalar(p, q)
            }
        }
    }
}

/// The four tables of a layer's sumcheck, with the weights of the free variables.
struct Tables<T> {
    /// `p_0 + λ q_0`, `q_1`, `p_1`, `q_0`.
    tables: [Vec<T>; 4],
    eq: Vec<T>,
}

impl<T: Algebra<E> + Copy + Send + Sync> Tables<T> {
    fn new(p: &[T], q: &[T], lambda: E, eq: Vec<T>) -> Self {
        let half = p.len() / 2;
        let a = p[..half]
            .iter()
            .zip(&q[..half])
            .map(|(&p, &q)| p + q * lambda)
            .collect();
        Self {
            tables: [
                a,
                q[half..].to_vec(),
                p[half..].to_vec(),
                q[..half].to_vec(),
            ],
            eq,
        }
    }

    fn len(&self) -> usize {
        self.tables[0].len()
    }

    /// `t(0), t(1), t(∞)`; the weights already span half the tables.
    fn round(&self) -> [T; 3] {
        let half = self.len() / 2;
        let [a, b, c, d] = &self.tables;
        let at = |i: usize| {
            let j = i + half;
            let w = self.eq[i];
            [
                w * (a[i] * b[i] + c[i] * d[i]),
                w * (a[j] * b[j] + c[j] * d[j]),
                w * ((a[j] - a[i]) * (b[j] - b[i]) + (c[j] - c[i]) * (d[j] - d[i])),
            ]
        };
        let zero = || [T::ZERO; 3];
        let add = |x: [T; 3], y: [T; 3]| [x[0] + y[0], x[1] + y[1], x[2] + y[2]];
        if half >= PARALLEL_FROM {
            (0..half).into_par_iter().map(at).reduce(zero, add)
        } else {
            (0..half).map(at).fold(zero(), add)
        }
    }

    fn fold(&mut self, x: E) {
        let half = self.len() / 2;
        for table in &mut self.tables {
            let (lo, hi) = table.split_at_mut(half);
            if half >= PARALLEL_FROM {
                lo.par_iter_mut()
                    .zip(hi)
                    .for_each(|(l, h)| *l += (*h - *l) * x);
            } else {
                lo.iter_mut().zip(hi).for_each(|(l, h)| *l += (*h - *l) * x);
            }
            table.truncate(half);
        }
        let quarter = half / 2;
        for i in 0..quarter {
            let high = self.eq[i + quarter];
            self.eq[i] += high;
        }
        self.eq.truncate(quarter.max(1));
    }
}

/// Proves that the fractions sum to zero; returns the leaf point. Lengths are equal powers of
/// two, at least 2.
pub(crate) fn prove(p: Vec<E>, q: Vec<E>, channel: &mut ProverChannel) -> Vec<E> {
    let depth = p.len().trailing_zeros() as usize;
    let mut layers = vec![Layer::leaves(p, q)];
    for _ in 1..depth {
        let next = layers[layers.len() - 1].parents();
        layers.push(next);
    }

    let mut point: Vec<E> = Vec::new();
    while let Some(layer) = layers.pop() {
        let lambda = if point.is_empty() {
            E::ZERO
        } else {
            channel.transcript.sample()
        };
        let mut xs = Vec::with_capacity(point.len());
        let eq = eq_table(point.get(1..).unwrap_or(&[]), E::ONE);
        let mut step = |values: [E; 3], channel: &mut ProverChannel| {
            channel.send_all(&values);
            let x = channel.transcript.sample();
            xs.push(x);
            x
        };
        let mut scalar = match layer {
            Layer::Packed(p, q) => {
                // The weights span half of each table; below two vectors they are scalar.
                let entries = p.len() / 2;
                let weights = if entries >= 2 { pack(&eq) } else { Vec::new() };
                let mut packed = Tables::new(&p, &q, lambda, weights);
                let mut rounds = 0;
                while packed.len() >= 2 {
                    let sums = packed.round().map(|s| {
                        let mut lanes = [E::ZERO; WIDTH];
                        s.to_ext_slice(&mut lanes);
                        lanes.into_iter().sum()
                    });
                    let x = step(sums, channel);
                    packed.fold(x);
                    rounds += 1;
                }
                let eq = eq_table(point.get(rounds + 1..).unwrap_or(&[]), E::ONE);
                Tables {
                    tables: packed.tables.map(|t| unpack(&t)),
                    eq,
                }
            }
            Layer::Scalar(p, q) => Tables::new(&p, &q, lambda, eq),
        };
        while scalar.len() >= 2 {
            let sums = scalar.round();
            let x = step(sums, channel);
            scalar.fold(x);
        }
        let [a, q1, p1, q0] = scalar.tables.map(|t| t[0]);
        channel.send_all(&[a - q0 * lambda, p1, q0, q1]);
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
    /// A round or the children of layer `k` do not fit the claim.
    Layer(usize),
}

impl From<Exhausted> for LogUpError {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// Messages of a tree of `2^depth` leaves: four children a layer, three values a round.
pub(crate) fn messages(depth: usize) -> usize {
    4 * depth + 3 * (depth * depth.saturating_sub(1) / 2)
}

/// Reduces the sum over `2^depth` leaves to `(ρ, p̃(ρ), q̃(ρ))`.
pub(crate) fn verify(
    depth: usize,
    channel: &mut VerifierChannel<'_>,
) -> Result<(Vec<E>, Lin, Lin), LogUpError> {
    let mut point: Vec<E> = Vec::new();
    let (mut p, mut q) = (Lin::default(), Lin::default());
    for layer in 0..depth {
        let lambda = if layer == 0 {
            E::ZERO
        } else {
            channel.transcript.sample()
        };
        let mut claim = p.clone();
        claim.add_scaled(&q, lambda);
        let mut xs = Vec::with_capacity(depth);
        for &r in &point {
            let [t0, t1, leading] = channel.receive_array()?;
            let mut difference = t0.scaled(E::ONE - r).minus(&claim);
            difference.add_scaled(&t1, r);
            channel
                .zero(difference)
                .map_err(|_| LogUpError::Layer(layer))?;
            let x = channel.transcript.sample();
            // t(x) = t0 + x (t1 - t0 - leading) + x² leading
            claim = t0.scaled(E::ONE - x);
            claim.add_scaled(&t1, x);
            claim.add_scaled(&leading, x * x - x);
            xs.push(x);
        }
        let [p0, p1, q0, q1] = channel.receive_array()?;
        if layer == 0 {
            let root = channel.product(&p0, &q1).plus(&channel.product(&p1, &q0));
            channel.zero(root).map_err(|_| LogUpError::Root)?;
            // Hidden denominators do not vanish either, but for 2^26 values of α: the leaves were
            // fixed before it was drawn.
            let open = q0.terms.is_empty();
            if open && q0.constant * q1.constant == E::ZERO {
                return Err(LogUpError::Root);
            }
        } else {
            let mut a = p0.clone();
            a.add_scaled(&q0, lambda);
            let end = channel.product(&a, &q1).plus(&channel.product(&p1, &q0));
            channel
                .zero(end.minus(&claim))
                .map_err(|_| LogUpError::Layer(layer))?;
        }
        let mu = channel.transcript.sample();
        p = p0.scaled(E::ONE - mu);
        p.add_scaled(&p1, mu);
        q = q0.scaled(E::ONE - mu);
        q.add_scaled(&q1, mu);
        point = std::iter::once(mu).chain(xs).collect();
    }
    Ok((point, p, q))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fractions(n: usize) -> (Vec<E>, Vec<E>) {
        let mut channel = ProverChannel::new(b"f");
        let half = 1 << (n - 1);
        let p: Vec<E> = (0..half).map(|_| channel.transcript.sample()).collect();
        let q: Vec<E> = (0..half).map(|_| channel.transcript.sample()).collect();
        let minus = p.iter().map(|&x| -x);
        (
            p.iter().copied().chain(minus).collect(),
            q.iter().chain(&q).copied().collect(),
        )
    }

    fn evaluate(table: &[E], point: &[E]) -> E {
        eq_table(point, E::ONE)
            .iter()
            .zip(table)
            .fold(E::ZERO, |a, (&e, &t)| a + e * t)
    }

    #[test]
    fn fractions_that_cancel_are_accepted_and_leaf_claims_are_true() {
        for n in [1, 2, 4, 5, 6, 7, 12] {
            let (p, q) = fractions(n);
            let mut prover = ProverChannel::new(b"l");
            let point = prove(p.clone(), q.clone(), &mut prover);
            let mut verifier = VerifierChannel::new(b"l", &prover.sent);
            let (point_v, pv, qv) = verify(n, &mut verifier).unwrap();
            assert!(verifier.is_finished());
            assert_eq!(point, point_v);
            assert_eq!(evaluate(&p, &point), pv.constant);
            assert_eq!(evaluate(&q, &point), qv.constant);
        }
    }

    #[test]
    fn fractions_that_do_not_cancel_are_refused_at_the_root() {
        let (mut p, q) = fractions(5);
        p[3] += E::ONE;
        let mut prover = ProverChannel::new(b"l");
        prove(p, q, &mut prover);
        let mut verifier = VerifierChannel::new(b"l", &prover.sent);
        assert_eq!(verify(5, &mut verifier), Err(LogUpError::Root));
    }
}
