//! The bytes of an opening.
//!
//! The messages of the reduction and `F̃(z)`, then WHIR's proof in the order in which it is made.
//! Every count follows from the configuration, except of Merkle siblings: a `u32` before each set,
//! bounded by the tree. Nothing is allocated from a number in the bytes before it is compared with
//! its bound and with the bytes that are left.

use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_merkle_tree::{MerkleCap, PrunedMerklePaths};
use p3_multilinear_util::poly::Poly;
use p3_sumcheck::{OpeningBatch, SumcheckData};
use p3_whir::{PcsProof, QueryOpenings, SharedProofOpening, WhirProof, WhirRoundProof};

use super::plain::PlainOpening;
use crate::checks::{Check, ensure};
use crate::commitment::{Config, Mmcs, WhirOpening};
use crate::field::{DEGREE, E, E_BYTES, F, F_BYTES, read_f, write_e, write_f};
use crate::proof::FormatError;

/// One oracle that queries open.
pub(crate) struct Oracle {
    pub(crate) queries: usize,
    /// Elements of a row.
    pub(crate) width: usize,
    /// Levels of the tree.
    pub(crate) depth: usize,
    pub(crate) base: bool,
}

impl Oracle {
    /// Siblings of a level are at most the queries and at most half its nodes.
    pub(crate) fn max_siblings(&self) -> usize {
        (0..self.depth)
            .map(|level| self.queries.min(1 << level))
            .sum()
    }

    pub(crate) fn row_bytes(&self) -> usize {
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
    let mut bytes = E_BYTES * (2 * config.num_variables() + 1);
    bytes += E_BYTES * (config.commitment_ood_samples() + 2 * config.folding_schedule()[0]);
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

/// Appends an opening.
pub(crate) fn encode_opening(out: &mut Vec<u8>, opening: &PlainOpening) {
    for message in &opening.messages {
        write_all(out, message);
    }
    write_e(out, opening.value);
    let whir = &opening.whir.whir;
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

pub(crate) fn write_all(out: &mut Vec<u8>, values: &[E]) {
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

/// What is left of the bytes.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
}

impl Reader<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, tail) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(FormatError::Truncated)?;
        self.bytes = tail;
        Ok(*head)
    }

    /// Refuses before anything of `count × size` is allocated.
    pub(crate) fn require(&self, count: usize, size: usize) -> Result<(), FormatError> {
        let needed = count.checked_mul(size);
        let fits = needed.is_some_and(|needed| needed <= self.bytes.len());
        ensure(Check::Room, fits, || FormatError::Truncated)
    }

    pub(crate) fn base(&mut self) -> Result<F, FormatError> {
        let bytes = self.array()?;
        let element = read_f(bytes);
        ensure(Check::Canonical, element.is_some(), || {
            FormatError::NonCanonical
        })?;
        Ok(element.unwrap_or_else(|| F::from_u32(u32::from_le_bytes(bytes))))
    }

    fn element(&mut self) -> Result<E, FormatError> {
        let mut coordinates = [F::ZERO; DEGREE];
        for c in &mut coordinates {
            *c = self.base()?;
        }
        Ok(E::from_basis_coefficients_fn(|i| coordinates[i]))
    }

    pub(crate) fn elements(&mut self, count: usize) -> Result<Vec<E>, FormatError> {
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

    pub(crate) fn siblings(&mut self, oracle: &Oracle) -> Result<Siblings, FormatError> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        ensure(Check::Siblings, count <= oracle.max_siblings(), || {
            FormatError::SiblingCount
        })?;
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

    pub(crate) fn opening(&mut self, config: &Config) -> Result<PlainOpening, FormatError> {
        self.require(2 * config.num_variables() + 1, E_BYTES)?;
        let messages = (0..config.num_variables())
            .map(|_| Ok([self.element()?, self.element()?]))
            .collect::<Result<_, FormatError>>()?;
        Ok(PlainOpening {
            messages,
            value: self.element()?,
            whir: self.whir(config)?,
        })
    }

    fn whir(&mut self, config: &Config) -> Result<WhirOpening, FormatError> {
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
