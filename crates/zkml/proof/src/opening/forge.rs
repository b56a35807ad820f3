//! For tests: a prover of openings that lies in one place, and a simulator that has no witness.

use rand::SeedableRng;

use super::*;

/// Where an opening lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    Nowhere,
    /// `f(s)` or `g(s)`.
    Factor(usize),
    /// `f(s)`, or `g(s)` with 1, is what makes the product that of the committed values.
    FittingFactor(usize),
    /// A message of the reduction.
    Message(usize),
    Value,
    /// The value with which the sum of the pads comes out right.
    FittingValue,
    Sigma,
    Blinded(usize),
    /// `B` with which the sum of the pads comes out right.
    FittingBlinded,
}

/// An opening but for the commitment's part.
pub(crate) struct Forged {
    factors: [E; 2],
    messages: Vec<[E; 2]>,
    value: E,
    sigma: E,
    blinded: Vec<E>,
    points: Vec<Vec<E>>,
}

impl Forged {
    /// Everything that is sent.
    pub(crate) fn sent(&self) -> Vec<E> {
        let ends = [self.value, self.sigma];
        [
            &self.factors[..],
            self.messages.as_flattened(),
            &ends,
            &self.blinded,
        ]
        .concat()
    }
}

/// A secret of the commitment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Secret {
    Pad(usize),
    Product(usize),
    /// The random value of `f` or `g`.
    Random(usize),
    /// A value of the product beyond those that are named.
    Extension(usize),
    /// `S_i`, or `P_i` with 1.
    Blind(usize, usize),
}

fn dot(a: &[E], b: &[E]) -> E {
    a.iter().zip(b).fold(E::ZERO, |sum, (&a, &b)| sum + a * b)
}

/// `K` of the products, values of `f`, `g` and `h` at their nodes.
type Factors = [Vec<E>; 3];

impl HidingScheme {
    /// As [`Self::prove`], with `by` added where it lies.
    pub(crate) fn forge(
        &self,
        data: HidingData,
        relations: &Relations,
        transcript: &mut Transcript,
        lie: Lie,
        by: E,
    ) -> Option<HidingOpening> {
        let values = data.committed.values();
        let of = (values, &data.secrets[..], &data.blinds);
        let forged = self.forge_messages(of, relations, transcript, lie, by)?;
        let whir = data
            .committed
            .open(forged.points, &mut transcript.challenger)?;
        Some(HidingOpening {
            factors: forged.factors,
            messages: forged.messages,
            value: forged.value,
            sigma: forged.sigma,
            blinded: forged.blinded,
            whir,
        })
    }

    /// As [`Self::commit`], with one to a secret that is not what it should be.
    pub(crate) fn commit_false(
        &self,
        stack: Vec<F>,
        pads: Vec<E>,
        mut rng: StdRng,
        secret: Secret,
    ) -> Option<([u8; 32], HidingData)> {
        let plan = &self.plan;
        let mut filled = self.fill(stack, pads, &mut rng);
        let index = match secret {
            Secret::Pad(i) => i,
            Secret::Product(k) => plan.pads + k,
            Secret::Random(which) => plan.random() + which,
            Secret::Extension(k) => plan.random() + 2 + k,
            Secret::Blind(..) => 0,
        };
        let at = match secret {
            Secret::Blind(which, i) => {
                self.blocks[plan.blinds].offset + (((which << BLIND_BITS) + i) << PLACE_BITS)
            }
            _ => {
                let mut pieces = plan.pieces.iter().rev();
                let &(first, block) = pieces.find(|(first, _)| *first <= index)?;
                self.blocks[block].offset + index - first
            }
        };
        filled.stack[at] += F::ONE;
        if let Secret::Product(_) = secret {
            // The prover goes on from what it committed to.
            filled.secrets[index] += E::ONE;
        }
        let (root, committed) = self.whir.commit(filled.stack, rng)?;
        let data = HidingData {
            committed,
            secrets: filled.secrets,
            blinds: filled.blinds,
        };
        Some((root, data))
    }

    /// What an opening of a witness sends before the commitment's part, which is left out, and so
    /// is its root.
    pub(crate) fn sample(
        &self,
        filled: &Hidden,
        relations: &Relations,
        transcript: &mut Transcript,
    ) -> Option<Forged> {
        let Filled {
            stack,
            secrets,
            blinds,
        } = &filled.0;
        let of = (&stack[..], &secrets[..], blinds);
        self.forge_messages(of, relations, transcript, Lie::Nowhere, E::ZERO)
    }

    /// A witness with all that hides it.
    pub(crate) fn hide(&self, stack: Vec<F>, pads: Vec<E>, seed: [u8; 32]) -> Hidden {
        Hidden(self.fill(stack, pads, &mut StdRng::from_seed(seed)))
    }

    /// The committed values of the polynomials of the products.
    fn factors(&self, secrets: &[E]) -> Factors {
        let plan = &self.plan;
        let random = plan.random();
        let of = |which: usize| {
            let pads = plan.products.iter().map(|&(i, j)| [i, j][which] as usize);
            pads.chain([random + which]).map(|i| secrets[i]).collect()
        };
        let products = &secrets[plan.pads..random];
        let h = [products, &secrets[random + 2..]].concat();
        [of(0), of(1), h]
    }

    fn forge_messages(
        &self,
        (values, secrets, [blinds, pads]): (&[F], &[E], &[Vec<E>; 2]),
        relations: &Relations,
        transcript: &mut Transcript,
        lie: Lie,
        by: E,
    ) -> Option<Forged> {
        let change = |at: Lie, value: &mut E| {
            if at == lie {
                *value += by;
            }
        };
        self.phase(relations, transcript);
        let s = transcript.sample();
        let at_s = |values: &Vec<E>| Some(dot(values, &products::lagrange(values.len(), s)?));
        let [f, g, h] = self.factors(secrets);
        let mut factors = [at_s(&f)?, at_s(&g)?];
        (0..2).for_each(|i| change(Lie::Factor(i), &mut factors[i]));
        for i in 0..2 {
            if lie == Lie::FittingFactor(i) {
                factors[i] = at_s(&h)? * factors[1 - i].inverse();
            }
        }
        factors.iter().for_each(|&f| transcript.absorb(f));
        let rho = transcript.sample();
        let (weights, claim) = self.join(relations, factors, s, rho)?;

        let mut messages = Vec::new();
        let mut challenges = Vec::new();
        let (point, mut value) = reduction::prove(values, &weights, |message| {
            let first = 2 * messages.len();
            let mut sent = [message[0] + pads[first], message[1] + pads[first + 1]];
            (0..2).for_each(|i| change(Lie::Message(first + i), &mut sent[i]));
            sent.iter().for_each(|&m| transcript.absorb(m));
            messages.push(sent);
            let x = transcript.sample();
            challenges.push(x);
            x
        });
        let (scale, w) = reduction::message_weights(&challenges);
        let w = w.as_flattened();
        let sent = scale * claim + dot(w, messages.as_flattened());
        let weight: E = weights.iter().map(|w| w.evaluate(&point)).sum();
        change(Lie::Value, &mut value);
        if lie == Lie::FittingValue {
            value = (sent - dot(w, pads)) * weight.inverse();
        }
        let padded = sent - weight * value;
        let mut sigma = dot(w, blinds);
        change(Lie::Sigma, &mut sigma);
        transcript.absorb(value);
        transcript.absorb(sigma);
        let t = transcript.sample();
        let both = blinds.iter().zip(pads);
        let mut blinded: Vec<E> = both.map(|(&s, &p)| s + t * (p - s)).collect();
        (0..blinded.len()).for_each(|i| change(Lie::Blinded(i), &mut blinded[i]));
        if lie == Lie::FittingBlinded {
            let missing = sigma + t * (padded - sigma) - dot(w, &blinded);
            blinded[0] += missing * w[0].inverse();
        }
        blinded.iter().for_each(|&b| transcript.absorb(b));
        let y = transcript.sample_point(BLIND_BITS);
        let (second, _) = self.blinded_point(t, &y);
        Some(Forged {
            factors,
            messages,
            value,
            sigma,
            blinded,
            points: vec![point, second],
        })
    }

    /// What an opening sends before the commitment's part, by one who knows the challenges before
    /// they are drawn and no witness.
    pub(crate) fn simulate(
        &self,
        relations: &Relations,
        transcript: &mut Transcript,
        rng: &mut StdRng,
    ) -> Option<Forged> {
        self.phase(relations, transcript);
        let s = transcript.sample();
        let factors = [random(rng), random(rng)];
        factors.iter().for_each(|&f| transcript.absorb(f));
        let rho = transcript.sample();
        let (weights, claim) = self.join(relations, factors, s, rho)?;
        let mut challenges = Vec::new();
        let messages: Vec<[E; 2]> = (0..self.config().num_variables())
            .map(|_| {
                let sent = [random(rng), random(rng)];
                sent.iter().for_each(|&m| transcript.absorb(m));
                challenges.push(transcript.sample());
                sent
            })
            .collect();
        let point = reduction::point_of(&challenges);
        let (scale, w) = reduction::message_weights(&challenges);
        let w = w.as_flattened();
        let value = random(rng);
        let weight: E = weights.iter().map(|w| w.evaluate(&point)).sum();
        let padded = scale * claim + dot(w, messages.as_flattened()) - weight * value;
        transcript.absorb(value);
        let t = transcript.sample();
        let blinded: Vec<E> = w.iter().map(|_| random(rng)).collect();
        let sigma = (dot(w, &blinded) - t * padded) * (E::ONE - t).inverse();
        blinded.iter().for_each(|&b| transcript.absorb(b));
        let y = transcript.sample_point(BLIND_BITS);
        let (second, _) = self.blinded_point(t, &y);
        Some(Forged {
            factors,
            messages,
            value,
            sigma,
            blinded,
            points: vec![point, second],
        })
    }
}

/// What would be committed to.
pub(crate) struct Hidden(Filled);
