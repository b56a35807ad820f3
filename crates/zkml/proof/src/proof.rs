//! The bytes of a proof.
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

use crate::commitment::Config;
use crate::field::{E, write_e};
use crate::opening::codec::{Reader, encode_opening, max_opening};
use crate::opening::hiding::HidingOpening;
use crate::opening::masked::HidingConfig;
use crate::opening::masked_codec::{encode_hiding, max_hiding};
use crate::opening::plain::PlainOpening;
use crate::plan::Mode;

pub(crate) const MAGIC: [u8; 4] = *b"HMKP";
pub(crate) const VERSION: u8 = 3;
/// KoalaBear^5, BLAKE3, WHIR in the Johnson regime without grinding.
pub(crate) const PROFILE: u8 = 1;

/// The parameters of a mode: its proofs say them, its transcripts begin with them.
pub(crate) fn profile(mode: Mode) -> u8 {
    match mode {
        Mode::Public => PROFILE,
        // As well, and the witness hidden in the unique-decoding regime.
        Mode::PrivateInput => 2,
    }
}
pub(crate) const HEADER_BYTES: usize = 6 + 4 * 32 + 32;

/// What a proof says it proves; the verifier compares it and absorbs its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) mode: Mode,
    pub(crate) model: [u8; 32],
    /// A digest of the inputs, or the commitment to private ones.
    pub(crate) input: [u8; 32],
    pub(crate) output: [u8; 32],
    pub(crate) context: [u8; 32],
}

impl Statement {
    /// What the transcript absorbs first.
    pub(crate) fn transcript_seed(&self) -> Vec<u8> {
        let mut bytes = b"hallmark proof".to_vec();
        bytes.extend_from_slice(&[VERSION, profile(self.mode)]);
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

/// The opening of the witness commitment.
#[derive(Clone)]
pub(crate) enum WitnessOpening {
    Plain(PlainOpening),
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
    out.extend_from_slice(&[VERSION, profile(s.mode)]);
    for part in [&s.model, &s.input, &s.output, &s.context, &proof.root] {
        out.extend_from_slice(part);
    }
    for &e in &proof.elements {
        write_e(&mut out, e);
    }
    match &proof.witness {
        WitnessOpening::Plain(opening) => encode_opening(&mut out, opening),
        WitnessOpening::Hiding(opening) => encode_hiding(&mut out, opening),
    }
    for opening in &proof.weights {
        encode_opening(&mut out, opening);
    }
    out
}

/// Decodes a proof for a plan of `elements` messages and the sizes of its commitments.
pub(crate) fn decode<'c>(
    bytes: &[u8],
    elements: usize,
    witness: WitnessConfig<'_>,
    weights: impl Iterator<Item = &'c Config>,
) -> Result<Proof, DecodeFailure> {
    let mode = witness.mode();
    let mut reader = Reader { bytes };
    if reader.array::<4>()? != MAGIC {
        return Err(FormatError::Magic.into());
    }
    let [version] = reader.array()?;
    if version != VERSION {
        return Err(DecodeFailure::Version(version));
    }
    let [found] = reader.array()?;
    if found != profile(mode) {
        return Err(DecodeFailure::Profile(found));
    }
    let statement = Statement {
        mode,
        model: reader.array()?,
        input: reader.array()?,
        output: reader.array()?,
        context: reader.array()?,
    };
    let root = reader.array()?;
    let elements = reader.elements(elements)?;
    let witness = match witness {
        WitnessConfig::Plain(config) => WitnessOpening::Plain(reader.opening(config)?),
        WitnessConfig::Hiding(config) => WitnessOpening::Hiding(Box::new(reader.hiding(config)?)),
    };
    let weights = weights
        .map(|config| reader.opening(config))
        .collect::<Result<_, _>>()?;
    if !reader.bytes.is_empty() {
        return Err(FormatError::Trailing.into());
    }
    Ok(Proof {
        statement,
        root,
        elements,
        witness,
        weights,
    })
}
