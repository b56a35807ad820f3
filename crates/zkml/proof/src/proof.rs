//! The bytes of a proof.
//!
//! | part | bytes |
//! |---|---|
//! | magic `HMKP`, version, profile | 6 |
//! | digests: verifying key, input, output; context | 4 × 32 |
//! | root of the witness commitment | 32 |
//! | messages of sumchecks and lookups, count fixed by the plan | 20 each |
//! | opening of the witness commitment, then of every shard of the weights | fixed by size and configuration, apart from Merkle siblings: a `u32` count before each set, bounded by the tree |
//!
//! Field elements are 4 bytes little-endian below `p`, extension elements 5 of them. There is one
//! encoding of a proof: the decoder reads every byte and refuses what the encoder never writes.
//! Nothing is allocated from a number in the proof before it is compared with its bound and with
//! the bytes that are left.

use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_merkle_tree::{MerkleCap, PrunedMerklePaths};
use p3_multilinear_util::poly::Poly;
use p3_sumcheck::{OpeningBatch, SumcheckData};
use p3_whir::{PcsProof, QueryOpenings, SharedProofOpening, WhirProof, WhirRoundProof};

use crate::commitment::{Config, Mmcs, WhirOpening};
use crate::field::{DEGREE, E, E_BYTES, F, F_BYTES, read_f, write_e, write_f};
use crate::plan::Mode;

pub(crate) const MAGIC: [u8; 4] = *b"HMKP";
pub(crate) const VERSION: u8 = 2;
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
    pub(crate) witness: WhirOpening,
    /// Of every shard of the weights.
    pub(crate) weights: Vec<WhirOpening>,
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

/// One oracle that queries open.
struct Oracle {
    queries: usize,
    /// Elements of a row.
    width: usize,
    /// Levels of the tree.
    depth: usize,
    base: bool,
}

impl Oracle {
    /// Siblings of a level are at most the queries and at most half its nodes.
    fn max_siblings(&self) -> usize {
        (0..self.depth)
            .map(|level| self.queries.min(1 << level))
            .sum()
    }

    fn row_bytes(&self) -> usize {
        self.width * if self.base { F_BYTES } else { E_BYTES }
    }
}

/// The oracle queried in round `index`; the last index is the terminal test.
fn oracle(config: &Config, index: usize) -> Oracle {
    let rounds = config.round_parameters();
    let round = if index < rounds.len() {
        rounds[index].clone()
    } else {
        config.final_round_config()
    };
    Oracle {
        queries: round.num_queries,
        width: 1 << round.folding_factor,
        depth: (round.domain_size >> round.folding_factor).trailing_zeros() as usize,
        base: index == 0,
    }
}

/// Most bytes of an opening, and its Merkle hashes at most.
pub(crate) fn max_opening(config: &Config) -> (usize, usize) {
    let rounds = config.round_parameters();
    let mut bytes = E_BYTES * (config.commitment_ood_samples() + 2 * config.folding_schedule()[0]);
    let mut hashes = 0;
    for index in 0..=rounds.len() {
        let oracle = oracle(config, index);
        bytes += oracle.queries * oracle.row_bytes() + 4 + 32 * oracle.max_siblings();
        hashes += oracle.queries * (oracle.depth + oracle.row_bytes().div_ceil(64));
    }
    for (index, round) in rounds.iter().enumerate() {
        bytes += 32 + E_BYTES * (round.ood_samples + 2 * config.folding_schedule()[index + 1]);
    }
    let last = config.final_sumcheck_rounds();
    (bytes + E_BYTES * ((1 << last) + 2 * last), hashes)
}

/// Extension multiplications of checking an opening: rows are folded, query points evaluated.
pub(crate) fn opening_operations(config: &Config) -> u64 {
    let rounds = config.round_parameters();
    let mut operations = 1usize << config.final_sumcheck_rounds();
    for index in 0..=rounds.len() {
        let oracle = oracle(config, index);
        operations += oracle.queries * (2 * oracle.width + 4 * config.num_variables());
        if index == rounds.len() {
            operations += oracle.queries << config.final_sumcheck_rounds();
        }
    }
    operations as u64
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
    encode_opening(&mut out, &proof.witness);
    for opening in &proof.weights {
        encode_opening(&mut out, opening);
    }
    out
}

fn encode_opening(out: &mut Vec<u8>, opening: &WhirOpening) {
    let whir = &opening.whir;
    write_all(out, &whir.initial_ood_answers);
    write_sumcheck(out, &whir.initial_sumcheck);
    for round in &whir.rounds {
        if let Some(cap) = &round.commitment {
            out.extend_from_slice(&cap.roots()[0]);
        }
        write_all(out, &round.ood_answers);
        write_openings(out, &round.openings);
        write_sumcheck(out, &round.sumcheck);
    }
    if let Some(poly) = &whir.final_poly {
        write_all(out, poly.as_slice());
    }
    write_openings(out, &whir.final_openings);
    if let Some(sumcheck) = &whir.final_sumcheck {
        write_sumcheck(out, sumcheck);
    }
}

fn write_all(out: &mut Vec<u8>, values: &[E]) {
    for &v in values {
        write_e(out, v);
    }
}

fn write_sumcheck(out: &mut Vec<u8>, data: &SumcheckData<F, E>) {
    for pair in data.polynomial_evaluations() {
        write_all(out, pair);
    }
}

type Siblings = PrunedMerklePaths<u8, 32>;

fn write_openings(out: &mut Vec<u8>, openings: &QueryOpenings<F, E, Siblings>) {
    let siblings = match openings {
        QueryOpenings::Base(o) => {
            for row in &o.rows {
                for &v in row {
                    write_f(out, v);
                }
            }
            &o.proof.sibling_hashes
        }
        QueryOpenings::Extension(o) => {
            for row in &o.rows {
                write_all(out, row);
            }
            &o.proof.sibling_hashes
        }
    };
    out.extend_from_slice(&(siblings.len() as u32).to_le_bytes());
    for hash in siblings {
        out.extend_from_slice(hash);
    }
}

/// Decodes a proof for a plan of `elements` messages and the sizes of its commitments.
pub(crate) fn decode<'c>(
    bytes: &[u8],
    mode: Mode,
    elements: usize,
    witness: &Config,
    weights: impl Iterator<Item = &'c Config>,
) -> Result<Proof, DecodeFailure> {
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
    let witness = reader.opening(witness)?;
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

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, tail) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(FormatError::Truncated)?;
        self.bytes = tail;
        Ok(*head)
    }

    /// Refuses before anything of `count × size` is allocated.
    fn require(&self, count: usize, size: usize) -> Result<(), FormatError> {
        match count.checked_mul(size) {
            Some(needed) if needed <= self.bytes.len() => Ok(()),
            _ => Err(FormatError::Truncated),
        }
    }

    fn base(&mut self) -> Result<F, FormatError> {
        read_f(self.array()?).ok_or(FormatError::NonCanonical)
    }

    fn element(&mut self) -> Result<E, FormatError> {
        let mut coordinates = [F::ZERO; DEGREE];
        for c in &mut coordinates {
            *c = self.base()?;
        }
        Ok(E::from_basis_coefficients_fn(|i| coordinates[i]))
    }

    fn elements(&mut self, count: usize) -> Result<Vec<E>, FormatError> {
        self.require(count, E_BYTES)?;
        (0..count).map(|_| self.element()).collect()
    }

    fn sumcheck(&mut self, rounds: usize) -> Result<SumcheckData<F, E>, FormatError> {
        self.require(rounds, 2 * E_BYTES)?;
        let mut data = SumcheckData::default();
        for _ in 0..rounds {
            data.polynomial_evaluations
                .push([self.element()?, self.element()?]);
        }
        Ok(data)
    }

    fn siblings(&mut self, oracle: &Oracle) -> Result<Siblings, FormatError> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        if count > oracle.max_siblings() {
            return Err(FormatError::SiblingCount);
        }
        self.require(count, 32)?;
        let sibling_hashes = (0..count).map(|_| self.array()).collect::<Result<_, _>>()?;
        Ok(Siblings { sibling_hashes })
    }

    fn openings(&mut self, oracle: &Oracle) -> Result<QueryOpenings<F, E, Siblings>, FormatError> {
        self.require(oracle.queries, oracle.row_bytes())?;
        if oracle.base {
            let rows = (0..oracle.queries)
                .map(|_| (0..oracle.width).map(|_| self.base()).collect())
                .collect::<Result<_, _>>()?;
            let proof = self.siblings(oracle)?;
            Ok(QueryOpenings::Base(SharedProofOpening { rows, proof }))
        } else {
            let rows = (0..oracle.queries)
                .map(|_| self.elements(oracle.width))
                .collect::<Result<_, _>>()?;
            let proof = self.siblings(oracle)?;
            Ok(QueryOpenings::Extension(SharedProofOpening { rows, proof }))
        }
    }

    fn opening(&mut self, config: &Config) -> Result<WhirOpening, FormatError> {
        let initial_ood_answers = self.elements(config.commitment_ood_samples())?;
        let initial_sumcheck = self.sumcheck(config.folding_schedule()[0])?;
        let parameters = config.round_parameters();
        let mut rounds: Vec<WhirRoundProof<F, E, Mmcs>> = Vec::with_capacity(parameters.len());
        for (index, round) in parameters.iter().enumerate() {
            rounds.push(WhirRoundProof {
                commitment: Some(MerkleCap::new(vec![self.array()?])),
                ood_answers: self.elements(round.ood_samples)?,
                pow_witness: F::ZERO,
                openings: self.openings(&oracle(config, index))?,
                sumcheck: self.sumcheck(config.folding_schedule()[index + 1])?,
            });
        }
        let last = config.final_sumcheck_rounds();
        let final_poly = Some(Poly::new(self.elements(1 << last)?));
        let final_openings = self.openings(&oracle(config, parameters.len()))?;
        let final_sumcheck = if last > 0 {
            Some(self.sumcheck(last)?)
        } else {
            None
        };
        Ok(PcsProof {
            whir: WhirProof {
                initial_ood_answers,
                initial_sumcheck,
                rounds,
                final_poly,
                final_pow_witness: F::ZERO,
                final_openings,
                final_sumcheck,
            },
            // The claims are the verifier's own; they never travel.
            evals: Vec::<OpeningBatch<E>>::new(),
        })
    }
}
