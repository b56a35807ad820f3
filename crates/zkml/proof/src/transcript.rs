//! Fiat-Shamir: one BLAKE3 sponge for the whole proof.
//!
//! Both sides run the same calls in the same order. A label with its shape opens every phase;
//! every prover message is absorbed as it is sent; nothing is sampled before the statement.

use p3_blake3::Blake3;
use p3_challenger::{CanObserve, CanSample, HashChallenger, SerializingChallenger32};
use p3_field::PrimeCharacteristicRing;

use crate::checks::{Check, collected, ensure};
use crate::field::{E, F, coordinates};

/// The sponge that our own phases and the polynomial commitment share.
pub(crate) type Challenger = SerializingChallenger32<F, HashChallenger<u8, Blake3, 32>>;

/// A sponge.
#[derive(Clone)]
pub(crate) struct Transcript {
    pub(crate) challenger: Challenger,
    /// Challenges do not depend on what is absorbed: those of a verifier that tosses coins.
    #[cfg(test)]
    pub(crate) deaf: bool,
}

impl Transcript {
    /// Starts with the statement.
    pub(crate) fn new(statement: &[u8]) -> Self {
        let challenger = Challenger::from_hasher(statement.to_vec(), Blake3);
        Self {
            challenger,
            #[cfg(test)]
            deaf: false,
        }
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
        #[cfg(test)]
        if self.deaf {
            return;
        }
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

/// Binds a Merkle root; before any challenge that depends on it.
pub(crate) fn observe(root: &[u8; 32], transcript: &mut Transcript) {
    transcript
        .challenger
        .observe(p3_symmetric::Hash::<F, u8, 32>::from(*root));
}

/// An affine function of secrets: what the verifier knows of a value that messages determine.
///
/// In mode `Public` there are no secrets, and a `Lin` is its constant. In a hiding mode message `t`
/// travels as `c_t = m_t + pad_t`, so that `m_t` is the `Lin` with constant `c_t` and the term
/// `(t, -1)`. Secrets are numbered: pads in the order of their messages, then, from
/// [`PRODUCTS`] on, the products of two pads in the order in which the verifier multiplies.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Lin {
    pub(crate) constant: E,
    /// `(secret, coefficient)`; a secret may occur more than once.
    pub(crate) terms: Vec<(u32, E)>,
}

/// Number of the first product of pads.
pub(crate) const PRODUCTS: u32 = 1 << 31;

impl From<E> for Lin {
    fn from(constant: E) -> Self {
        Self {
            constant,
            terms: Vec::new(),
        }
    }
}

impl Lin {
    /// `self += factor·other`.
    pub(crate) fn add_scaled(&mut self, other: &Self, factor: E) {
        self.constant += other.constant * factor;
        self.terms
            .extend(other.terms.iter().map(|&(t, c)| (t, c * factor)));
    }

    /// `factor·self`.
    pub(crate) fn scaled(&self, factor: E) -> Self {
        let mut result = Self::default();
        result.add_scaled(self, factor);
        result
    }

    /// `self + other`.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.add_scaled(other, E::ONE);
        result
    }

    /// `self - other`.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.add_scaled(other, -E::ONE);
        result
    }
}

/// The prover's side: pads, absorbs and keeps what it sends.
pub(crate) struct ProverChannel {
    pub(crate) transcript: Transcript,
    pub(crate) sent: Vec<E>,
    /// One pad for every message that is to be hidden; empty in mode `Public`.
    pads: std::vec::IntoIter<E>,
}

impl ProverChannel {
    /// A channel that hides nothing.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn new(statement: &[u8]) -> Self {
        Self::hiding(statement, Vec::new())
    }

    /// A channel that adds `pads` to its messages, in their order.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn hiding(statement: &[u8], pads: Vec<E>) -> Self {
        Self::over(Transcript::new(statement), pads)
    }

    /// A channel that goes on with a transcript and adds `pads`, if there are any.
    pub(crate) fn over(transcript: Transcript, pads: Vec<E>) -> Self {
        Self {
            transcript,
            sent: Vec::new(),
            pads: pads.into_iter(),
        }
    }

    /// Sends a value that depends on the witness.
    pub(crate) fn send(&mut self, value: E) {
        let pad = self.pads.next().unwrap_or(E::ZERO);
        self.send_public(value + pad);
    }

    /// Sends a value that follows from public data (weights that hide nothing, for instance).
    pub(crate) fn send_public(&mut self, value: E) {
        self.transcript.absorb(value);
        self.sent.push(value);
    }

    pub(crate) fn send_all(&mut self, values: &[E]) {
        for &value in values {
            self.send(value);
        }
    }

    /// Pads that no message took: none after a whole proof.
    pub(crate) fn pads_left(&self) -> usize {
        self.pads.len()
    }
}

/// The verifier's side: absorbs what it receives, in the order that the plan fixes, and collects
/// what has to vanish. The prover of a hiding proof runs the same code over its own messages to
/// learn what it still has to show.
pub(crate) struct VerifierChannel<'a> {
    pub(crate) transcript: Transcript,
    elements: std::slice::Iter<'a, E>,
    hiding: bool,
    /// Pads taken so far.
    pub(crate) pads: u32,
    /// Pads whose products the checks need, in order.
    pub(crate) products: Vec<(u32, u32)>,
    /// What has to vanish, with the name of the check: empty in mode `Public`, where a check is
    /// made at once.
    pub(crate) constraints: Vec<Lin>,
    /// What each of these is for.
    #[cfg(test)]
    pub(crate) checks: Vec<Check>,
}

/// The plan asks for more elements than the proof holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Exhausted;

/// A value that has to vanish does not.
#[derive(Debug, PartialEq)]
pub(crate) struct NotZero;

impl<'a> VerifierChannel<'a> {
    /// Over messages that hide nothing.
    #[cfg(test)]
    pub(crate) fn new(statement: &[u8], elements: &'a [E]) -> Self {
        Self::with_mode(statement, elements, false)
    }

    /// Over messages that were padded when `hiding`.
    pub(crate) fn with_mode(statement: &[u8], elements: &'a [E], hiding: bool) -> Self {
        Self::over(Transcript::new(statement), elements, hiding)
    }

    /// Over messages that were sent after what a transcript has absorbed.
    pub(crate) fn over(transcript: Transcript, elements: &'a [E], hiding: bool) -> Self {
        Self {
            transcript,
            elements: elements.iter(),
            hiding,
            pads: 0,
            products: Vec::new(),
            constraints: Vec::new(),
            #[cfg(test)]
            checks: Vec::new(),
        }
    }

    /// A message that depends on the witness.
    pub(crate) fn receive(&mut self) -> Result<Lin, Exhausted> {
        let mut value = Lin::from(self.receive_public()?);
        if self.hiding {
            value.terms.push((self.pads, -E::ONE));
            self.pads += 1;
        }
        Ok(value)
    }

    /// A message that follows from public data.
    pub(crate) fn receive_public(&mut self) -> Result<E, Exhausted> {
        let value = *self.elements.next().ok_or(Exhausted)?;
        self.transcript.absorb(value);
        Ok(value)
    }

    pub(crate) fn receive_array<const N: usize>(&mut self) -> Result<[Lin; N], Exhausted> {
        let mut values = [const {
            Lin {
                constant: E::ZERO,
                terms: Vec::new(),
            }
        }; N];
        for value in &mut values {
            *value = self.receive()?;
        }
        Ok(values)
    }

    /// The product of two messages as they were received, or of such a one and a known value.
    ///
    /// `(c_i - p_i)(c_j - p_j) = c_i c_j - c_i p_j - c_j p_i + π`, with `π = p_i p_j` a secret of its
    /// own that the opening argument ties to the pads.
    pub(crate) fn product(&mut self, a: &Lin, b: &Lin) -> Lin {
        let mut result = Lin::from(a.constant * b.constant);
        for &(t, c) in &a.terms {
            result.terms.push((t, c * b.constant));
        }
        for &(t, c) in &b.terms {
            result.terms.push((t, c * a.constant));
        }
        for &(i, ci) in &a.terms {
            for &(j, cj) in &b.terms {
                let k = PRODUCTS + self.products.len() as u32;
                self.products.push((i, j));
                result.terms.push((k, ci * cj));
            }
        }
        result
    }

    /// Demands that a value vanishes: checked at once when nothing is hidden, else collected.
    pub(crate) fn zero(&mut self, check: Check, value: Lin) -> Result<(), NotZero> {
        if self.hiding {
            #[cfg(test)]
            self.checks.push(check);
            self.constraints.push(collected(check, value));
            return Ok(());
        }
        ensure(check, value.constant == E::ZERO, || NotZero)
    }

    /// Whether every element was received.
    pub(crate) fn is_finished(&self) -> bool {
        self.elements.as_slice().is_empty()
    }
}
