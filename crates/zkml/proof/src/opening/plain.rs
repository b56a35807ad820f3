//! Openings that hide nothing.
//!
//! Claims `W̃_b(r_j) = v_j` on tensors in a packed polynomial `F` (module `pieces`) are batched by powers of a
//! challenge, reduced to `F̃(z)` (module `reduction`), and WHIR opens that one point. Soundness error
//! `(claims - 1 + 2n)/|E|` for each polynomial that the root leaves open, and WHIR's own.
//!
//! The claimed values have to follow from what the transcript has absorbed before.

use p3_field::PrimeCharacteristicRing;

use super::reduction::{self, Weights};
use crate::checks::{Check, ensure};
use crate::commitment::{Whir, WhirData, WhirOpening, values};
use crate::field::{E, F};
use crate::pieces::{Packing, Stored};
use crate::profile::Profile;
use crate::transcript::{NotZero, Transcript};

/// A lower bound of `log2 |E|`.
const FIELD_BITS: f64 = 154.0;

/// Commits to packed tensors and opens them.
pub(crate) struct PlainScheme {
    stored: Vec<Stored>,
    whir: Whir,
}

/// The proof of a batch of claims.
#[derive(Clone)]
pub(crate) struct PlainOpening {
    /// Two messages for each variable.
    pub(crate) messages: Vec<[E; 2]>,
    /// `F̃(z)`.
    pub(crate) value: E,
    pub(crate) whir: WhirOpening,
}

impl PlainScheme {
    /// The scheme of a packing, or `None` where the profile has no parameters of that size;
    /// `prover` prepares the transform's roots of unity.
    pub(crate) fn new(packing: &Packing, profile: Profile, prover: bool) -> Option<Self> {
        Some(Self {
            stored: packing.stored.clone(),
            whir: Whir::new(packing.variables(), profile, prover)?,
        })
    }

    pub(crate) fn whir(&self) -> &Whir {
        &self.whir
    }

    /// Commits to the `2^variables` values.
    pub(crate) fn commit(&self, values: Vec<F>) -> ([u8; 32], WhirData) {
        self.whir.commit(values)
    }

    /// Binds a root into the transcript; before any challenge that depends on it.
    pub(crate) fn observe(&self, root: &[u8; 32], transcript: &mut Transcript) {
        self.whir.observe(root, &mut transcript.challenger);
    }

    /// What the claims weigh under the powers of a challenge.
    fn weights<'c>(
        &self,
        claims: impl Iterator<Item = (usize, &'c [E])>,
        factor: E,
    ) -> Vec<Weights> {
        claims
            .zip(factor.powers())
            .flat_map(|((tensor, point), scale)| self.stored[tensor].weights(point, scale))
            .collect()
    }

    /// Proves the values at `(tensor, point in it)`. `None` is a defect of the profile.
    pub(crate) fn prove(
        &self,
        data: &WhirData,
        claims: &[(usize, Vec<E>)],
        transcript: &mut Transcript,
    ) -> Option<PlainOpening> {
        transcript.phase("opening", &[self.whir.num_variables(), claims.len()]);
        let factor = transcript.sample();
        let points = claims.iter().map(|(tensor, point)| (*tensor, &point[..]));
        let weights = self.weights(points, factor);
        let mut messages = Vec::with_capacity(self.whir.num_variables());
        let (point, value) = reduction::prove(values(data), &weights, |message| {
            messages.push(message);
            message.into_iter().for_each(|m| transcript.absorb(m));
            transcript.sample()
        });
        transcript.absorb(value);
        let whir = self.whir.open(data, point, &mut transcript.challenger)?;
        Some(PlainOpening {
            messages,
            value,
            whir,
        })
    }

    /// Checks the claims `(tensor, point in it, value)` against an observed root. Tensors and
    /// the lengths of points are the packing's.
    pub(crate) fn verify(
        &self,
        root: &[u8; 32],
        claims: &[(usize, Vec<E>, E)],
        opening: PlainOpening,
        transcript: &mut Transcript,
    ) -> Result<(), NotZero> {
        transcript.phase("opening", &[self.whir.num_variables(), claims.len()]);
        let factor = transcript.sample();
        let points = claims.iter();
        let points = points.map(|(tensor, point, _)| (*tensor, &point[..]));
        let weights = self.weights(points, factor);
        let claim = claims
            .iter()
            .zip(factor.powers())
            .map(|((_, _, value), scale)| *value * scale)
            .sum::<E>();
        let mut challenges = Vec::with_capacity(opening.messages.len());
        for message in &opening.messages {
            message.iter().for_each(|&m| transcript.absorb(m));
            challenges.push(transcript.sample());
        }
        let (scale, factors) = reduction::message_weights(&challenges);
        let reduced = opening
            .messages
            .iter()
            .zip(factors)
            .fold(scale * claim, |sum, (m, w)| sum + m[0] * w[0] + m[1] * w[1]);
        let point = reduction::point_of(&challenges);
        let weight: E = weights.iter().map(|w| w.evaluate(&point)).sum();
        transcript.absorb(opening.value);
        let holds = reduced == weight * opening.value;
        ensure(Check::PlainReduction, holds, || NotZero)?;
        let opened = self.whir.verify(
            root,
            point,
            opening.value,
            opening.whir,
            &mut transcript.challenger,
        );
        ensure(Check::PlainCommitment, opened, || NotZero)
    }

    /// Takes a piece for another of its size, in every tensor that has such ones.
    #[cfg(test)]
    pub(crate) fn exchange_runs(&mut self) {
        let exchanged = self.stored.iter_mut().filter(|s| s.is_cut());
        let exchanged = exchanged.filter_map(Stored::exchange).count();
        assert!(exchanged > 0, "pieces of one size");
    }

    /// `-log2` of the error of an opening of `claims` claims, and of how many polynomials a root
    /// leaves open.
    pub(crate) fn security(&self, claims: usize) -> (f64, f64) {
        let (whir, candidates) = self.whir.security();
        let degree = (claims + 2 * self.whir.num_variables()) as f64;
        let reduction = FIELD_BITS - degree.log2() - candidates;
        (-((-whir).exp2() + (-reduction).exp2()).log2(), candidates)
    }
}
