//! The bytes of a proof.
//!
//! A proof of several runs has magic `HMKB`, version, profile, number of runs (a byte), digest of the key,
//! context, then for every run digest of input (or commitment), digest of output and root, then for every
//! run its messages and its opening, then the openings of the weights. Of one run:
//!
//! | part | bytes |
//! |---|---|
//! | magic `HMKP`, version, profile | 6 |
//! | digests: verifying key, input (or the commitment to it), output; context | 4 × 32 |
//! | root of the witness commitment | 32 |
//! | messages of sumchecks and lookups, count fixed by the plan | 20 each |
//! | opening of the witness commitment, then of every shard of the weights | fixed by size and configuration, apart from Merkle siblings: a `u32` count before each set, bounded by the tree |
//!
//! Field elements are 4 bytes little-endian below `p`, extension elements 5 of them. There is one
//! encoding of a proof: the decoder reads every byte and refuses what the encoder never writes.
//! Nothing is allocated from a number in the proof before it is compared with its bound and with
//! the bytes that are left.

use crate::checks::{Check, ensure};
use crate::commitment::Config;
use crate::field::{E, write_e};
use crate::opening::codec::{Reader, encode_opening, max_opening};
use crate::opening::hiding::HidingOpening;
use crate::opening::masked::HidingConfig;
use crate::opening::masked_codec::{encode_hiding, max_hiding};
use crate::opening::plain::PlainOpening;
use crate::plan::Mode;
use crate::profile::Profile;

pub(crate) const MAGIC: [u8; 4] = *b"HMKP";
/// The version of proofs: a verifier accepts this one only.
pub const VERSION: u8 = 5;
pub(crate) const HEADER_BYTES: usize = 6 + 4 * 32 + 32;
const BATCH_MAGIC: [u8; 4] = *b"HMKB";
/// Bytes before the messages of a batch.
pub(crate) const fn batch_header(runs: usize) -> usize {
    7 + 2 * 32 + runs * 3 * 32
}

/// What a proof says it proves; the verifier compares it and absorbs its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) profile: Profile,
    pub(crate) mode: Mode,
    pub(crate) model: [u8; 32],
    /// A digest of the inputs, or the commitment to private ones.
    pub(crate) input: [u8; 32],
    pub(crate) output: [u8; 32],
    pub(crate) context: [u8; 32],
}

impl Statement {
    /// The number of its parameters.
    fn number(&self) -> u8 {
        self.profile.proof_number(self.mode)
    }

    /// What the transcript absorbs first.
    pub(crate) fn transcript_seed(&self) -> Vec<u8> {
        let mut bytes = b"hallmark proof".to_vec();
        bytes.extend_from_slice(&[VERSION, self.number()]);
        for part in [&self.model, &self.input, &self.output, &self.context] {
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// A decoded proof.
#[derive(Clone)]
pub(crate) struct Proof {
    pub(crate) statement: Statement,
    pub(crate) root: [u8; 32],
    pub(crate) elements: Vec<E>,
    pub(crate) witness: WitnessOpening,
    /// Of every shard of the weights.
    pub(crate) weights: Vec<PlainOpening>,
}

/// One run of a proof of several.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) statement: Statement,
    pub(crate) root: [u8; 32],
    pub(crate) elements: Vec<E>,
    pub(crate) witness: WitnessOpening,
}

/// A decoded proof of several runs of one model.
#[derive(Clone)]
pub(crate) struct BatchProof {
    pub(crate) instances: Vec<Instance>,
    /// Of every shard of the weights.
    pub(crate) weights: Vec<PlainOpening>,
}

/// Most runs of a batch.
pub(crate) const MAX_BATCH: usize = 64;

/// What the transcript of a batch absorbs first.
pub(crate) fn batch_seed(statements: &[&Statement]) -> Vec<u8> {
    let mut bytes = b"hallmark proof batch".to_vec();
    bytes.extend_from_slice(&(statements.len() as u64).to_le_bytes());
    for statement in statements {
        bytes.extend_from_slice(&statement.transcript_seed());
    }
    bytes
}

/// The opening of the witness commitment.
#[derive(Clone)]
pub(crate) enum WitnessOpening {
    Plain(Box<PlainOpening>),
    Hiding(Box<HidingOpening>),
}

/// The configuration of the witness commitment.
#[derive(Clone, Copy)]
pub(crate) enum WitnessConfig<'c> {
    Plain(&'c Config),
    Hiding(&'c HidingConfig),
}

impl WitnessConfig<'_> {
    fn mode(self) -> Mode {
        match self {
            Self::Plain(_) => Mode::Public,
            Self::Hiding(_) => Mode::PrivateInput,
        }
    }

    /// Most bytes of an opening, and its Merkle hashes at most.
    pub(crate) fn most(self) -> (usize, usize) {
        match self {
            Self::Plain(config) => max_opening(config),
            Self::Hiding(config) => max_hiding(config),
        }
    }
}

/// Why bytes are not a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("longer than the {0} bytes that any proof for this key has")]
    TooLong(usize),
    #[error("ends early")]
    Truncated,
    #[error("bytes follow the end")]
    Trailing,
    #[error("wrong magic")]
    Magic,
    #[error("a field element is not below the modulus")]
    NonCanonical,
    #[error("more Merkle siblings than the tree has")]
    SiblingCount,
    #[error("the batch holds another number of runs")]
    Runs,
}

/// A decoding failure, or another profile or version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeFailure {
    Format(FormatError),
    Version(u8),
    Profile(u8),
}

impl From<FormatError> for DecodeFailure {
    fn from(e: FormatError) -> Self {
        Self::Format(e)
    }
}

/// Encodes a proof.
pub(crate) fn encode(proof: &Proof) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    let s = &proof.statement;
    out.extend_from_slice(&[VERSION, s.number()]);
    for part in [&s.model, &s.input, &s.output, &s.context, &proof.root] {
        out.extend_from_slice(part);
    }
    for &e in &proof.elements {
        write_e(&mut out, e);
    }
    encode_witness(&mut out, &proof.witness);
    for opening in &proof.weights {
        encode_opening(&mut out, opening);
    }
    out
}

/// Encodes a proof of several runs.
pub(crate) fn encode_batch(proof: &BatchProof) -> Vec<u8> {
    let mut out = BATCH_MAGIC.to_vec();
    let first = proof.instances.first().map(|i| &i.statement);
    let number = first.map_or(0, Statement::number);
    // At most 64.
    out.extend_from_slice(&[VERSION, number, proof.instances.len() as u8]);
    for part in first.iter().flat_map(|s| [&s.model, &s.context]) {
        out.extend_from_slice(part);
    }
    for instance in &proof.instances {
        let s = &instance.statement;
        for part in [&s.input, &s.output, &instance.root] {
            out.extend_from_slice(part);
        }
    }
    for instance in &proof.instances {
        for &e in &instance.elements {
            write_e(&mut out, e);
        }
        encode_witness(&mut out, &instance.witness);
    }
    for opening in &proof.weights {
        encode_opening(&mut out, opening);
    }
    out
}

fn encode_witness(out: &mut Vec<u8>, witness: &WitnessOpening) {
    match witness {
        WitnessOpening::Plain(opening) => encode_opening(out, opening),
        WitnessOpening::Hiding(opening) => encode_hiding(out, opening),
    }
}

/// Decodes a proof of `runs` runs, each of `elements` messages.
pub(crate) fn decode_batch<'c>(
    bytes: &[u8],
    runs: usize,
    elements: usize,
    profile: Profile,
    witness: WitnessConfig<'_>,
    weights: impl Iterator<Item = &'c Config>,
) -> Result<BatchProof, DecodeFailure> {
    let mode = witness.mode();
    let mut reader = Reader { bytes };
    reader.begins(BATCH_MAGIC, profile.proof_number(mode))?;
    let [count] = reader.array()?;
    ensure(Check::Runs, usize::from(count) == runs, || {
        FormatError::Runs
    })?;
    let (model, context) = (reader.array()?, reader.array()?);
    let heads = (0..runs)
        .map(|_| Ok([reader.array()?, reader.array()?, reader.array()?]))
        .collect::<Result<Vec<[[u8; 32]; 3]>, FormatError>>()?;
    let instances = heads
        .into_iter()
        .map(|[input, output, root]| {
            Ok(Instance {
                statement: Statement {
                    profile,
                    mode,
                    model,
                    input,
                    output,
                    context,
                },
                root,
                elements: reader.elements(elements)?,
                witness: reader.witness(witness)?,
            })
        })
        .collect::<Result<_, FormatError>>()?;
    let weights = weights
        .map(|config| reader.opening(config))
        .collect::<Result<_, _>>()?;
    reader.ends()?;
    Ok(BatchProof { instances, weights })
}

impl Reader<'_> {
    /// Magic, version, and the number of the parameters.
    fn begins(&mut self, magic: [u8; 4], number: u8) -> Result<(), DecodeFailure> {
        let found = self.array::<4>()?;
        ensure(Check::Magic, found == magic, || FormatError::Magic)?;
        let [version] = self.array()?;
        ensure(Check::Version, version == VERSION, || {
            DecodeFailure::Version(version)
        })?;
        let [found] = self.array()?;
        ensure(Check::Profile, found == number, || {
            DecodeFailure::Profile(found)
        })
    }

    fn ends(&self) -> Result<(), FormatError> {
        ensure(Check::Trailing, self.bytes.is_empty(), || {
            FormatError::Trailing
        })
    }

    fn witness(&mut self, config: WitnessConfig<'_>) -> Result<WitnessOpening, FormatError> {
        Ok(match config {
            WitnessConfig::Plain(config) => WitnessOpening::Plain(Box::new(self.opening(config)?)),
            WitnessConfig::Hiding(config) => WitnessOpening::Hiding(Box::new(self.hiding(config)?)),
        })
    }
}

/// Decodes a proof for a plan of `elements` messages and the sizes of its commitments.
pub(crate) fn decode<'c>(
    bytes: &[u8],
    elements: usize,
    profile: Profile,
    witness: WitnessConfig<'_>,
    weights: impl Iterator<Item = &'c Config>,
) -> Result<Proof, DecodeFailure> {
    let mode = witness.mode();
    let mut reader = Reader { bytes };
    reader.begins(MAGIC, profile.proof_number(mode))?;
    let statement = Statement {
        profile,
        mode,
        model: reader.array()?,
        input: reader.array()?,
        output: reader.array()?,
        context: reader.array()?,
    };
    let root = reader.array()?;
    let elements = reader.elements(elements)?;
    let witness = reader.witness(witness)?;
    let weights = weights
        .map(|config| reader.opening(config))
        .collect::<Result<_, _>>()?;
    reader.ends()?;
    Ok(Proof {
        statement,
        root,
        elements,
        witness,
        weights,
    })
}
