//! Openings that tell nothing: linear claims on the witness and on the pads of messages.
//!
//! # What is committed
//!
//! One polynomial `F` over the base field holds the blocks of the witness and, after them,
//!
//! | block | content |
//! |---|---|
//! | secrets | a vector of extension elements, each as 5 coordinates in 5 blocks: the pads of the messages, the products of pads that checks need, two random values and `K + 1` values of the product proof (module [`products`]) |
//! | blinds | `S_i` and `P_i`, 64 extension elements each, `P_i` the pads of the reduction's messages; an element fills 8 places, the last 3 of them zero |
//! | mask | 64 random base elements |
//!
//! # Protocol
//!
//! The messages leave affine functions that have to vanish: of claims `F̃_b(r) = v`, of linear claims
//! `Σ w·F = v`, and of pads and products alone. Everything is linear in `F`, since pads and products are in it.
//!
//! 1. Sample `s`; send `f(s)`, `g(s)`: three more linear claims, by which the products are products.
//! 2. Sample `ρ`; its powers join all claims into `Σ_x u(x) F(x) = κ`, both sides public but for `F`.
//! 3. The reduction (module [`reduction`]), its messages padded by `P`: it ends in `ũ(z)·F̃(z)`, which has to
//!    be an affine function of the messages, so `⟨w, P⟩ = κ'` with `κ'` a function of `F̃(z)`, which is sent: it
//!    is uniform by the mask.
//! 4. That claim by a Σ-protocol: send `⟨w, S⟩`; sample `t`; send `B = (1-t) S + t P`, uniform by `S`; then
//!    `⟨w, B⟩ = (1-t)⟨w, S⟩ + t κ'`. Pads are extension elements, since a base element under an extension
//!    challenge hides nothing.
//! 5. `B` is what is committed: sample `y`; `B̃(y)` is `F̃` at a point: the blinds' selector, `t`, `y`, and
//!    coordinates at which the weights of the 8 places are the powers of the extension's generator,
//!    `X^j/Π(1 + X^(2^i))`.
//! 6. The hiding commitment opens `F` at `z` and at that point (module [`masked`]).
//!
//! Soundness error beside the commitment's: `(2K + claims + 2n + 1 + 6 + 1)/|E|`.
//!
//! Zero knowledge: all that is sent is uniform or follows from what is; the simulator of the tests
//! (module `forge`) draws it without a witness.

use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing};
use rand::RngExt;
use rand::rngs::StdRng;

use super::masked::{Committed, HidingConfig, HidingWhir, MaskedOpening};
use super::products;
use super::reduction::{self, Weights};
use crate::binding::Linear;
use crate::checks::{Check, ensure, weighed};
use crate::field::{DEGREE, E, F, coordinates, log2_ceil};
use crate::layout::Block;
use crate::messages::BlockClaim;
use crate::pieces::{Packing, Stored};
use crate::profile::Profile;
use crate::transcript::{Lin, NotZero, PRODUCTS, Transcript};

#[cfg(test)]
#[path = "forge.rs"]
pub(crate) mod forge;

/// Pads of a reduction that the blinds have room for, as a logarithm.
const BLIND_BITS: usize = 6;
/// Places of an extension element among the blinds, as a logarithm.
const PLACE_BITS: usize = 3;
/// Variables of the block of blinds.
const BLINDS: usize = 1 + BLIND_BITS + PLACE_BITS;
/// Variables of the mask.
const MASK: usize = 6;
/// Smallest piece of the secrets, as a logarithm.
const LEAST_PIECE: usize = 6;

/// Where secrets, blinds and mask lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct HidingPlan {
    /// Pads of messages.
    pub(crate) pads: usize,
    /// Pads whose products are committed.
    pub(crate) products: Vec<(u32, u32)>,
    /// First secret, and first of 5 blocks, of every piece.
    pieces: Vec<(usize, usize)>,
    blinds: usize,
    mask: usize,
}

impl HidingPlan {
    /// The plan, and the sizes of its blocks beside those of the witness.
    pub(crate) fn new(pads: usize, products: Vec<(u32, u32)>) -> (Self, Vec<usize>) {
        let mut sizes = Vec::new();
        let mut plan = Self {
            pads,
            products,
            ..Self::default()
        };
        let mut first = 0;
        while first < plan.secrets() {
            let rest = plan.secrets() - first;
            let whole = log2_ceil(rest);
            // A block more than three quarters full is not worth cutting.
            let bits = match rest > 3 << whole.saturating_sub(2) {
                true => whole,
                false => whole.saturating_sub(1),
            };
            let bits = bits.max(LEAST_PIECE);
            plan.pieces.push((first, sizes.len()));
            sizes.extend([bits; DEGREE]);
            first += 1 << bits;
        }
        plan.blinds = sizes.len();
        plan.mask = sizes.len() + 1;
        sizes.extend([BLINDS, MASK]);
        (plan, sizes)
    }

    /// Products of pads.
    fn count(&self) -> usize {
        self.products.len()
    }

    /// Pads, products, two random values, `K + 1` values of the product.
    fn secrets(&self) -> usize {
        self.pads + self.count() + 2 + self.count() + 1
    }

    /// The index of the random value of `f`; that of `g` follows, then the values of the product.
    fn random(&self) -> usize {
        self.pads + self.count()
    }

    /// The secret that a term of a [`Lin`] is of.
    fn secret(&self, term: u32) -> usize {
        match term.checked_sub(PRODUCTS) {
            None => term as usize,
            Some(product) => self.pads + product as usize,
        }
    }
}

/// What has to vanish.
pub(crate) struct Relations {
    /// Claims on blocks of the witness.
    pub(crate) claims: Vec<BlockClaim<Lin>>,
    pub(crate) linear: Vec<Linear>,
    /// Affine functions of pads and products.
    pub(crate) constraints: Vec<Lin>,
}

/// The proof of an opening.
#[derive(Clone)]
pub(crate) struct HidingOpening {
    /// `f(s)`, `g(s)`.
    pub(crate) factors: [E; 2],
    /// Two messages for each variable, padded.
    pub(crate) messages: Vec<[E; 2]>,
    /// `F̃(z)`.
    pub(crate) value: E,
    /// `⟨w, S⟩`.
    pub(crate) sigma: E,
    /// `B`.
    pub(crate) blinded: Vec<E>,
    pub(crate) whir: MaskedOpening,
}

/// Commits and opens.
pub(crate) struct HidingScheme {
    whir: HidingWhir,
    stored: Vec<Stored>,
    /// Those of the plan.
    blocks: Vec<Block>,
    plan: HidingPlan,
}

/// What the prover keeps between both.
pub(crate) struct HidingData {
    committed: Committed,
    secrets: Vec<E>,
    /// `S`, `P`.
    blinds: [Vec<E>; 2],
}

impl HidingData {
    /// The committed polynomial.
    pub(crate) fn values(&self) -> &[F] {
        self.committed.values()
    }
}

/// What is committed to.
struct Filled {
    stack: Vec<F>,
    secrets: Vec<E>,
    blinds: [Vec<E>; 2],
}

/// An extension element of uniform coordinates.
fn random(rng: &mut StdRng) -> E {
    E::from_basis_coefficients_fn(|_| random_base(rng))
}

fn random_base(rng: &mut StdRng) -> F {
    loop {
        let word: u32 = rng.random();
        if let Some(element) = crate::field::read_f((word >> 1).to_le_bytes()) {
            return element;
        }
    }
}

/// The generator `X` of the extension.
fn generator() -> E {
    E::from_basis_coefficients_fn(|i| if i == 1 { F::ONE } else { F::ZERO })
}

/// Coordinates at which the 8 places of an element weigh `X^j·scale`, and that scale.
fn places() -> (Vec<E>, E) {
    let x = generator();
    let powers = [x.square().square(), x.square(), x];
    let inverses = powers.map(|power| (E::ONE + power).inverse());
    let point = powers.iter().zip(inverses).map(|(&p, i)| p * i).collect();
    (point, inverses.into_iter().product())
}

impl HidingScheme {
    /// The scheme of a plan's witness, or `None` where the profile has no parameters of its size.
    pub(crate) fn new(
        witness: &Packing,
        plan: &HidingPlan,
        profile: Profile,
        prover: bool,
    ) -> Option<Self> {
        let variables = witness.variables();
        if 2 * variables > 1 << BLIND_BITS {
            return None;
        }
        Some(Self {
            whir: HidingWhir::new(variables, profile, prover)?,
            stored: witness.stored.clone(),
            blocks: witness.others.clone(),
            plan: plan.clone(),
        })
    }

    pub(crate) fn config(&self) -> &HidingConfig {
        self.whir.config()
    }

    /// Pads for the messages.
    pub(crate) fn pads(&self, rng: &mut StdRng) -> Vec<E> {
        (0..self.plan.pads).map(|_| random(rng)).collect()
    }

    /// Commits to the witness in `stack` and to everything that hides.
    pub(crate) fn commit(
        &self,
        stack: Vec<F>,
        pads: Vec<E>,
        mut rng: StdRng,
    ) -> Option<([u8; 32], HidingData)> {
        let filled = self.fill(stack, pads, &mut rng);
        let (root, committed) = self.whir.commit(filled.stack, rng)?;
        let data = HidingData {
            committed,
            secrets: filled.secrets,
            blinds: filled.blinds,
        };
        Some((root, data))
    }

    /// Adds everything that hides to the witness in `stack`.
    fn fill(&self, mut stack: Vec<F>, pads: Vec<E>, rng: &mut StdRng) -> Filled {
        let plan = &self.plan;
        let mut secrets = pads;
        let pad = |secrets: &[E], i: u32| secrets[i as usize];
        let factors = |secrets: &[E], random: E| {
            let [mut f, mut g] = [Vec::new(), Vec::new()];
            for &(i, j) in &plan.products {
                f.push(pad(secrets, i));
                g.push(pad(secrets, j));
            }
            (f, g, random)
        };
        let (mut f, mut g, at_f) = factors(&secrets, random(rng));
        let at_g = random(rng);
        secrets.extend(f.iter().zip(&g).map(|(&a, &b)| a * b));
        f.push(at_f);
        g.push(at_g);
        secrets.extend([at_f, at_g]);
        secrets.extend(products::extend(&f, &g));
        for &(first, block) in &plan.pieces {
            let size = 1 << self.blocks[block].variables;
            let piece = &secrets[first..secrets.len().min(first + size)];
            for coordinate in 0..DEGREE {
                let offset = self.blocks[block + coordinate].offset;
                for (target, secret) in stack[offset..].iter_mut().zip(piece) {
                    *target = coordinates(secret)[coordinate];
                }
            }
        }
        let rounds = 2 * self.whir.config().num_variables();
        let blinds = [(); 2].map(|()| (0..rounds).map(|_| random(rng)).collect::<Vec<E>>());
        let offset = self.blocks[plan.blinds].offset;
        for (which, blinds) in blinds.iter().enumerate() {
            for (i, blind) in blinds.iter().enumerate() {
                let at = offset + (((which << BLIND_BITS) + i) << PLACE_BITS);
                stack[at..at + DEGREE].copy_from_slice(coordinates(blind));
            }
        }
        let mask = self.blocks[plan.mask];
        for target in &mut stack[mask.offset..mask.offset + (1 << mask.variables)] {
            *target = random_base(rng);
        }
        Filled {
            stack,
            secrets,
            blinds,
        }
    }

    /// `u` and `κ` of all relations under the powers of `ρ`.
    fn join(
        &self,
        relations: &Relations,
        factors: [E; 2],
        s: E,
        rho: E,
    ) -> Option<(Vec<Weights>, E)> {
        let plan = &self.plan;
        let mut secrets = vec![E::ZERO; plan.secrets()];
        let mut weights = Vec::new();
        let mut constant = E::ZERO;
        let mut powers = rho.powers();
        let mut power = || powers.next().unwrap_or(E::ZERO);
        let mut affine = |rest: &Lin, scale: E, secrets: &mut [E]| {
            constant += rest.constant * scale;
            for &(term, coefficient) in &rest.terms {
                secrets[plan.secret(term)] += coefficient * scale;
            }
        };
        for claim in &relations.claims {
            let scale = power();
            weights.extend(self.stored[claim.block].weights(&claim.point, scale));
            affine(&claim.value, -scale, &mut secrets);
        }
        for linear in &relations.linear {
            let scale = power();
            weights.extend(linear.weights.iter().map(|w| w.scaled(scale)));
            affine(&linear.rest, scale, &mut secrets);
        }
        for constraint in &relations.constraints {
            affine(constraint, power(), &mut secrets);
        }
        // f(s), g(s), h(s).
        let count = plan.count();
        let coefficients = products::lagrange(count + 1, s)?;
        let random = plan.random();
        for (which, &factor) in factors.iter().enumerate() {
            let check = [Check::FirstFactor, Check::SecondFactor][which];
            let scale = weighed(check, power());
            for (&(i, j), &c) in plan.products.iter().zip(&coefficients) {
                let pad = if which == 0 { i } else { j };
                secrets[pad as usize] += c * scale;
            }
            secrets[random + which] += coefficients[count] * scale;
            constant -= factor * scale;
        }
        let scale = weighed(Check::FactorsProduct, power());
        let coefficients = products::lagrange(2 * count + 1, s)?;
        for (k, &c) in coefficients.iter().enumerate() {
            let secret = if k < count {
                plan.pads + k
            } else {
                random + 2 + k - count
            };
            secrets[secret] += c * scale;
        }
        constant -= factors[0] * factors[1] * scale;

        let x = generator();
        for &(first, block) in &plan.pieces {
            let size = 1 << self.blocks[block].variables;
            let piece = &secrets[first..secrets.len().min(first + size)];
            let blocks = self.blocks[block..block + DEGREE].iter().copied();
            weights.push(Weights::Dense {
                blocks: blocks.zip(x.powers()).collect(),
                weights: piece.to_vec(),
            });
        }
        Some((weights, -constant))
    }

    fn phase(&self, relations: &Relations, transcript: &mut Transcript) {
        let shape = [
            self.whir.config().num_variables(),
            relations.claims.len(),
            relations.linear.len(),
            relations.constraints.len(),
            self.plan.count(),
        ];
        transcript.phase("hiding opening", &shape);
    }

    /// The point at which `F̃` is `B̃(y)` times a scale, and the scale.
    fn blinded_point(&self, t: E, y: &[E]) -> (Vec<E>, E) {
        let block = self.blocks[self.plan.blinds];
        let selectors = self.whir.config().num_variables() - block.variables;
        let index = block.offset >> block.variables;
        let (places, scale) = places();
        let mut point: Vec<E> = (0..selectors)
            .rev()
            .map(|bit| E::from_bool(index >> bit & 1 == 1))
            .collect();
        point.push(t);
        point.extend_from_slice(y);
        point.extend(places);
        (point, scale)
    }

    /// Proves that everything vanishes. `None` is a defect of the profile, or one proof in `2^120`.
    pub(crate) fn prove(
        &self,
        data: HidingData,
        relations: &Relations,
        transcript: &mut Transcript,
    ) -> Option<HidingOpening> {
        let plan = &self.plan;
        self.phase(relations, transcript);
        let s = transcript.sample();
        let coefficients = products::lagrange(plan.count() + 1, s)?;
        let factors = [0, 1].map(|which| {
            let pads = plan.products.iter().map(|&(i, j)| [i, j][which] as usize);
            pads.chain([plan.random() + which])
                .zip(&coefficients)
                .fold(E::ZERO, |sum, (i, &c)| sum + data.secrets[i] * c)
        });
        factors.iter().for_each(|&f| transcript.absorb(f));
        let rho = transcript.sample();
        let (weights, _) = self.join(relations, factors, s, rho)?;

        let [blinds, pads] = &data.blinds;
        let mut messages = Vec::with_capacity(pads.len() / 2);
        let mut challenges = Vec::with_capacity(pads.len() / 2);
        let (point, value) = reduction::prove(data.committed.values(), &weights, |message| {
            let round = 2 * messages.len();
            let sent = [message[0] + pads[round], message[1] + pads[round + 1]];
            sent.iter().for_each(|&m| transcript.absorb(m));
            messages.push(sent);
            let x = transcript.sample();
            challenges.push(x);
            x
        });
        let (_, factors_of) = reduction::message_weights(&challenges);
        let w = factors_of.as_flattened();
        let sigma = w
            .iter()
            .zip(blinds)
            .fold(E::ZERO, |sum, (&w, &s)| sum + w * s);
        transcript.absorb(value);
        transcript.absorb(sigma);
        let t = transcript.sample();
        let blinded: Vec<E> = blinds
            .iter()
            .zip(pads)
            .map(|(&s, &p)| s + t * (p - s))
            .collect();
        blinded.iter().for_each(|&b| transcript.absorb(b));
        let y = transcript.sample_point(BLIND_BITS);
        let (second, _) = self.blinded_point(t, &y);
        let whir = data
            .committed
            .open(vec![point, second], &mut transcript.challenger)?;
        Some(HidingOpening {
            factors,
            messages,
            value,
            sigma,
            blinded,
            whir,
        })
    }

    /// Checks an opening against a root that the transcript has observed. Lengths are the codec's.
    pub(crate) fn verify(
        &self,
        root: &[u8; 32],
        relations: &Relations,
        opening: HidingOpening,
        transcript: &mut Transcript,
    ) -> Result<(), NotZero> {
        self.phase(relations, transcript);
        let s = transcript.sample();
        opening.factors.iter().for_each(|&f| transcript.absorb(f));
        let rho = transcript.sample();
        let joined = self.join(relations, opening.factors, s, rho);
        // One challenge in 2^140 is a node of the products.
        let (weights, claim) = joined.ok_or(NotZero)?;
        let mut challenges = Vec::with_capacity(opening.messages.len());
        for message in &opening.messages {
            message.iter().for_each(|&m| transcript.absorb(m));
            challenges.push(transcript.sample());
        }
        let point = reduction::point_of(&challenges);
        let (scale, w) = reduction::message_weights(&challenges);
        let w = w.as_flattened();
        let dot = |a: &[E], b: &[E]| a.iter().zip(b).fold(E::ZERO, |sum, (&a, &b)| sum + a * b);
        let sent = scale * claim + dot(w, opening.messages.as_flattened());
        let weight: E = weights.iter().map(|w| w.evaluate(&point)).sum();
        // ⟨w, P⟩
        let padded = sent - weight * opening.value;
        transcript.absorb(opening.value);
        transcript.absorb(opening.sigma);
        let t = transcript.sample();
        opening.blinded.iter().for_each(|&b| transcript.absorb(b));
        let holds = dot(w, &opening.blinded) == opening.sigma + t * (padded - opening.sigma);
        ensure(Check::PadSum, holds, || NotZero)?;
        let y = transcript.sample_point(BLIND_BITS);
        let (second, scale) = self.blinded_point(t, &y);
        let eq = crate::field::eq_table(&y, E::ONE);
        let blinded = scale * dot(&eq, &opening.blinded);
        let claims = vec![(point, opening.value), (second, blinded)];
        let opened = self
            .whir
            .verify(root, claims, opening.whir, &mut transcript.challenger);
        ensure(Check::HidingCommitment, opened, || NotZero)
    }

    /// `-log2` of each way in which a false relation may pass, `claims` of them.
    pub(crate) fn errors(&self, claims: usize) -> Vec<(&'static str, f64)> {
        let mut errors = super::masked::errors(self.config(), 2);
        let degree = 2 * self.plan.count()
            + claims
            + 3
            + 2 * self.whir.config().num_variables()
            + BLIND_BITS
            + 2;
        errors.push(("hiding opening", 154.0 - (degree as f64).log2()));
        errors
    }

    /// Multiplications of checking an opening, beside the commitment's.
    pub(crate) fn operations(&self) -> u64 {
        let plan = &self.plan;
        let pieces = plan.pieces.iter();
        let dense: u64 = pieces.map(|&(_, b)| 3u64 << self.blocks[b].variables).sum();
        dense + 16 * plan.count() as u64 + 64 * self.whir.config().num_variables() as u64
    }
}

impl Weights {
    fn scaled(&self, by: E) -> Self {
        let all = |weights: &[E]| weights.iter().map(|&w| w * by).collect();
        match self {
            Self::Eq {
                block,
                point,
                scale,
            } => Self::Eq {
                block: *block,
                point: point.clone(),
                scale: *scale * by,
            },
            Self::Dense { blocks, weights } => Self::Dense {
                blocks: blocks.iter().map(|&(b, scale)| (b, scale * by)).collect(),
                weights: weights.clone(),
            },
            Self::Tensor { block, lanes, row } => Self::Tensor {
                block: *block,
                lanes: all(lanes),
                row: row.clone(),
            },
        }
    }
}
