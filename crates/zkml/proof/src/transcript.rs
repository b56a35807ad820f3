//! Fiat-Shamir: one BLAKE3 sponge for the whole proof.
//!
//! Both sides run the same calls in the same order. A label with its shape opens every phase;
//! every prover message is absorbed as it is sent; nothing is sampled before the statement.

use p3_blake3::Blake3;
use p3_challenger::{CanObserve, CanSample, HashChallenger, SerializingChallenger32};

use crate::field::{E, F, coordinates};

/// The sponge that our own phases and the polynomial commitment share.
pub(crate) type Challenger = SerializingChallenger32<F, HashChallenger<u8, Blake3, 32>>;

/// A sponge and, on the prover's side, the messages sent so far.
pub(crate) struct Transcript {
    pub(crate) challenger: Challenger,
}

impl Transcript {
    /// Starts with the statement.
    pub(crate) fn new(statement: &[u8]) -> Self {
        let challenger = Challenger::from_hasher(statement.to_vec(), Blake3);
        Self { challenger }
    }

    /// Separates a phase from every other and from the same phase of another shape.
    pub(crate) fn phase(&mut self, name: &str, shape: &[usize]) {
        let mut bytes = Vec::with_capacity(16 + name.len() + 8 * shape.len());
        bytes.extend_from_slice(&(name.len() as u64).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&(shape.len() as u64).to_le_bytes());
        for &x in shape {
            bytes.extend_from_slice(&(x as u64).to_le_bytes());
        }
        self.absorb_bytes(&bytes);
    }

    /// Absorbs 32 bytes of a Merkle root or digest.
    pub(crate) fn absorb_bytes(&mut self, bytes: &[u8]) {
        let hash = p3_symmetric::Hash::<F, u8, 32>::from(*blake3::hash(bytes).as_bytes());
        self.challenger.observe(hash);
    }

    /// Absorbs one extension element.
    pub(crate) fn absorb(&mut self, value: E) {
        self.challenger.observe_slice(coordinates(&value));
    }

    /// A uniform extension element.
    pub(crate) fn sample(&mut self) -> E {
        self.challenger.sample()
    }

    /// `n` uniform extension elements.
    pub(crate) fn sample_point(&mut self, n: usize) -> Vec<E> {
        (0..n).map(|_| self.sample()).collect()
    }
}

/// The prover's side: absorbs and keeps what it sends.
pub(crate) struct ProverChannel {
    pub(crate) transcript: Transcript,
    pub(crate) sent: Vec<E>,
}

impl ProverChannel {
    pub(crate) fn new(statement: &[u8]) -> Self {
        Self {
            transcript: Transcript::new(statement),
            sent: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, value: E) {
        self.transcript.absorb(value);
        self.sent.push(value);
    }

    pub(crate) fn send_all(&mut self, values: &[E]) {
        for &value in values {
            self.send(value);
        }
    }
}

/// The verifier's side: absorbs what it receives, in the order that the plan fixes.
pub(crate) struct VerifierChannel<'a> {
    pub(crate) transcript: Transcript,
    elements: std::slice::Iter<'a, E>,
}

/// The plan asks for more elements than the proof holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Exhausted;

impl<'a> VerifierChannel<'a> {
    pub(crate) fn new(statement: &[u8], elements: &'a [E]) -> Self {
        Self {
            transcript: Transcript::new(statement),
            elements: elements.iter(),
        }
    }

    pub(crate) fn receive(&mut self) -> Result<E, Exhausted> {
        let value = *self.elements.next().ok_or(Exhausted)?;
        self.transcript.absorb(value);
        Ok(value)
    }

    pub(crate) fn receive_array<const N: usize>(&mut self) -> Result<[E; N], Exhausted> {
        let mut values = [<E as p3_field::PrimeCharacteristicRing>::ZERO; N];
        for value in &mut values {
            *value = self.receive()?;
        }
        Ok(values)
    }

    /// Whether every element was received.
    pub(crate) fn is_finished(&self) -> bool {
        self.elements.as_slice().is_empty()
    }
}
