//! One run in a proof: its commitment, its messages, the opening of its witness.

use p3_field::PrimeField32;
use rand::rngs::{StdRng, SysRng};
use rand::{SeedableRng, TryRng};
use rayon::prelude::*;

use super::{Clock, Progress, ProveError};
use crate::commitment::{WhirData, values};
use crate::field::{E, F};
use crate::key::{Private, ProvingKey};
use crate::messages::{Public, verify_messages};
use crate::opening::hiding::{HidingData, Relations};
use crate::private::read_digest;
use crate::proof::{Instance, Statement, WitnessOpening};
use crate::run::Run;
use crate::statement::outputs;
use crate::transcript::{ProverChannel, Transcript, VerifierChannel};
use crate::witness::Witness;

/// A witness that is committed to.
pub(super) struct Committed {
    pub(super) root: [u8; 32],
    data: Data,
}

enum Data {
    Plain(WhirData),
    Hiding(Box<HidingData>, Vec<E>),
}

impl Data {
    /// The committed polynomial.
    fn values(&self) -> &[F] {
        match self {
            Self::Plain(data) => values(data),
            Self::Hiding(data, _) => data.values(),
        }
    }
}

/// Commits to a witness; `seed` is what the transcript begins with.
pub(super) fn commit(
    pk: &ProvingKey,
    private: Option<&Private>,
    seed: &[u8],
    witness: &Witness<'_>,
) -> Result<Committed, ProveError> {
    let Some(Private { plan, scheme }) = private else {
        let (root, data) = pk.witness.commit(witness.stack(pk.vk.plan()));
        let data = Data::Plain(data);
        return Ok(Committed { root, data });
    };
    let stack = witness.stack(plan);
    let mut rng = randomness(seed, &stack)?;
    let pads = scheme.pads(&mut rng);
    let committed = scheme.commit(stack, pads.clone(), rng);
    let (root, data) = committed.ok_or(ProveError::Opening("the witness"))?;
    let data = Data::Hiding(Box::new(data), pads);
    Ok(Committed { root, data })
}

/// Commits to a polynomial, hiding nothing.
#[cfg(test)]
pub(super) fn commit_stack(pk: &ProvingKey, stack: Vec<F>) -> Committed {
    let (root, data) = pk.witness.commit(stack);
    let data = Data::Plain(data);
    Committed { root, data }
}

/// Points at which the weights of every shard have to be opened: `(block, point in it)`.
type WeightClaims = Vec<Vec<(usize, Vec<E>)>>;

/// Proves what the witness says, from a transcript that has observed all roots; `output` is that of the
/// statement.
#[allow(clippy::too_many_arguments)]
pub(super) fn prove(
    pk: &ProvingKey,
    private: Option<&Private>,
    statement: Statement,
    output: &[i32],
    witness: &Witness<'_>,
    committed: Committed,
    transcript: Transcript,
    clock: &mut Clock<'_>,
) -> Result<(Instance, WeightClaims, Transcript), ProveError> {
    let plan = private.map_or(pk.vk.plan(), |private| &private.plan);
    let Committed { root, data } = committed;
    let start = private.map(|_| transcript.clone());
    let pads = match &data {
        Data::Plain(_) => Vec::new(),
        Data::Hiding(_, pads) => pads.clone(),
    };
    let mut run = Run::new(plan, witness, ProverChannel::over(transcript, pads));
    clock.tell(Progress::Lookups);
    run.outputs();
    run.lookups(data.values());
    clock.lap(|p| &mut p.lookups);
    run.walk(&|step, of| clock.tell(Progress::Layer { step, of }));
    clock.lap(|p| &mut p.walk);
    clock.tell(Progress::Opening);
    run.binding();
    let (channel, claims) = run.finish();
    debug_assert_eq!(channel.sent.len(), plan.elements);
    debug_assert_eq!(channel.pads_left(), 0);
    let elements = channel.sent;
    let mut transcript = channel.transcript;
    let witness = match (private, start, data) {
        (Some(private), Some(start), Data::Hiding(data, _)) => {
            // What the verifier will collect from these messages is what has to be opened.
            let mut replay = VerifierChannel::over(start, &elements, true);
            let public = Public {
                inputs: None,
                commitment: read_digest(&statement.input).unwrap_or_default(),
                outputs: outputs(pk.vk.graph(), output),
            };
            let remaining = verify_messages(plan, &public, &mut replay);
            let remaining = remaining.map_err(|_| ProveError::Opening("the messages"))?;
            let relations = Relations {
                claims: remaining.witness,
                linear: remaining.linear,
                constraints: replay.constraints,
            };
            clock.lap(|p| &mut p.binding);
            let opening = private.scheme.prove(*data, &relations, &mut transcript);
            opening.map(|opening| WitnessOpening::Hiding(Box::new(opening)))
        }
        (_, _, Data::Plain(data)) => {
            let opening = pk.witness.prove(&data, &claims.witness, &mut transcript);
            opening.map(|opening| WitnessOpening::Plain(Box::new(opening)))
        }
        _ => None,
    };
    let witness = witness.ok_or(ProveError::Opening("the witness"))?;
    clock.lap(|p| &mut p.witness);
    let instance = Instance {
        statement,
        root,
        elements,
        witness,
    };
    Ok((instance, claims.weights, transcript))
}

/// A generator for one proof: of the operating system's entropy, the statement and the witness, so
/// that neither a weak source nor a copied one gives two proofs the same pads.
fn randomness(seed: &[u8], stack: &[F]) -> Result<StdRng, ProveError> {
    let mut entropy = [0; 32];
    SysRng
        .try_fill_bytes(&mut entropy)
        .map_err(|_| ProveError::Entropy)?;
    Ok(generator(&entropy, seed, stack))
}

/// The generator that an entropy, a statement and a witness give.
fn generator(entropy: &[u8; 32], seed: &[u8], stack: &[F]) -> StdRng {
    let mut hasher = blake3::Hasher::new_derive_key("hallmark proof v5 randomness of a proof");
    hasher.update(entropy);
    hasher.update(&(seed.len() as u64).to_le_bytes());
    hasher.update(seed);
    // Pieces side by side, then their digests.
    let digests: Vec<[u8; 32]> = stack
        .par_chunks(1 << 14)
        .map(|values| {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.as_canonical_u32().to_le_bytes())
                .collect();
            *blake3::hash(&bytes).as_bytes()
        })
        .collect();
    hasher.update(&(stack.len() as u64).to_le_bytes());
    hasher.update(digests.as_flattened());
    StdRng::from_seed(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use p3_field::PrimeCharacteristicRing;
    use rand::Rng;

    use super::*;

    fn first(entropy: [u8; 32], seed: &[u8], stack: &[F]) -> u64 {
        generator(&entropy, seed, stack).next_u64()
    }

    #[test]
    fn pads_follow_entropy_statement_and_every_element_of_the_witness() {
        let stack: Vec<F> = (0..40_000).map(F::from_u32).collect();
        let truth = first([1; 32], b"statement", &stack);
        assert_eq!(first([1; 32], b"statement", &stack), truth);
        assert_ne!(first([2; 32], b"statement", &stack), truth);
        assert_ne!(first([1; 32], b"statemenu", &stack), truth);
        for at in [0, 16_383, 16_384, 39_999] {
            let mut other = stack.clone();
            other[at] += F::ONE;
            assert_ne!(first([1; 32], b"statement", &other), truth, "element {at}");
        }
        // A byte of the statement is none of the witness.
        let longer = [F::from_u32(u32::from_le_bytes(*b"ment"))];
        assert_ne!(
            first([1; 32], b"state", &longer),
            first([1; 32], b"statement", &[])
        );
    }
}
