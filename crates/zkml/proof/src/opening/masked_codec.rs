//! The bytes of a hiding opening, in the order in which it is made.
//!
//! Every count follows from the configuration, except of Merkle siblings: a `u32` before each set,
//! bounded by the tree. Leaves carry their salts. Nonces of grinding never travel: nothing grinds.

use p3_field::PrimeCharacteristicRing;
use p3_merkle_tree::{MerkleCap, PrunedMerklePaths};
use p3_sumcheck::zk::ZkSumcheckData;
use p3_whir::{
    BaseCaseZkProof, BlindedMask, MaskCodeShape, MaskOpeningPair, QueryOpenings,
    SharedProofOpening, ZkRoundProof,
};

use super::codec::{Oracle, Reader, write_all};
use super::hiding::HidingOpening;
use super::masked::{HidingConfig, MaskedOpening, SALT};
use crate::field::{E, E_BYTES, F, F_BYTES, write_e, write_f};
use crate::proof::FormatError;

type Salts = Vec<Vec<Vec<F>>>;
type Proof = (Salts, PrunedMerklePaths<u8, 32>);

/// The oracle that round `index` queries; the last index is the base case.
fn oracle(config: &HidingConfig, index: usize) -> Oracle {
    let rounds = config.round_parameters();
    let (round, queries) = match rounds.get(index) {
        Some(round) => (round.clone(), round.num_queries),
        None => {
            let queries = config.randomized_terminal().num_queries;
            (config.final_round_config(), queries)
        }
    };
    Oracle {
        queries,
        width: 1 << round.folding_factor,
        depth: (round.domain_size >> round.folding_factor).trailing_zeros() as usize,
        base: index == 0,
    }
}

/// The fresh mask of the base case: a column at the positions of the last oracle.
fn fresh(config: &HidingConfig) -> Oracle {
    let last = oracle(config, config.n_rounds());
    Oracle {
        width: 1,
        base: false,
        ..last
    }
}

fn mask(config: &HidingConfig, shape: MaskCodeShape, width: usize) -> Oracle {
    Oracle {
        queries: config.mask_queries().min(shape.domain_size),
        width,
        depth: shape.domain_size.trailing_zeros() as usize,
        base: false,
    }
}

/// All oracles that are opened, carried masks and their blinds apart.
fn oracles(config: &HidingConfig) -> Vec<Oracle> {
    let mut all: Vec<Oracle> = (0..=config.n_rounds()).map(|i| oracle(config, i)).collect();
    all.push(fresh(config));
    for group in config.mask_groups() {
        for _ in 0..2 {
            all.push(mask(config, group.shape, group.width));
        }
    }
    all
}

/// Coefficients that a round of a masked sumcheck sends: all but the linear one.
fn coefficients(config: &HidingConfig) -> usize {
    (config.zk().ell_zk - 1).max(2)
}

/// Elements that the base case reveals: the message, its randomness, and those of every mask.
fn revealed(config: &HidingConfig) -> usize {
    let base = config.base_case_config();
    let masks = config.mask_groups().into_iter();
    let masks = masks.map(|g| g.width * (g.shape.message_len + g.shape.randomness_len));
    base.code.message_len + base.code.randomness_len + masks.sum::<usize>()
}

/// Most bytes of an opening, and its Merkle hashes at most.
pub(crate) fn max_hiding(config: &HidingConfig) -> (usize, usize) {
    let variables = config.num_variables();
    let rounds = config.n_rounds();
    let groups = config.mask_groups();
    // Factors, messages, value, sigma, blinded.
    let mut elements = 2 + 2 * variables + 2 + 2 * variables;
    let folds: usize = (0..=rounds).map(|i| config.folding_schedule()[i]).sum();
    elements += rounds + 1 + folds * coefficients(config);
    let samples = config.round_parameters().iter().map(|r| r.ood_samples);
    elements += samples.sum::<usize>() + 1 + revealed(config);
    // Masks of sumchecks, oracles with their masks, the fresh mask, the blinds.
    let roots = rounds + 1 + 2 * rounds + 1 + groups.len();
    let mut bytes = elements * E_BYTES + 32 * roots;
    let mut hashes = 0;
    for oracle in oracles(config) {
        let leaf = oracle.row_bytes() + SALT * F_BYTES;
        bytes += oracle.queries * leaf + 4 + 32 * oracle.max_siblings();
        hashes += oracle.queries * (oracle.depth + leaf.div_ceil(64));
    }
    (bytes, hashes)
}

/// Extension multiplications of checking an opening: rows are folded, blinded words evaluated.
pub(crate) fn hiding_operations(config: &HidingConfig) -> u64 {
    let mut operations = 0usize;
    for index in 0..=config.n_rounds() {
        let oracle = oracle(config, index);
        operations += oracle.queries * (2 * oracle.width + 4 * config.num_variables());
    }
    let base = config.base_case_config();
    let last = base.code.message_len + base.code.randomness_len;
    operations += base.num_queries * last;
    for group in config.mask_groups() {
        let dimension = group.shape.message_len + group.shape.randomness_len;
        operations += config.mask_queries() * group.width * dimension;
    }
    operations as u64
}

/// Appends an opening.
pub(crate) fn encode_hiding(out: &mut Vec<u8>, opening: &HidingOpening) {
    write_all(out, &opening.factors);
    write_all(out, opening.messages.as_flattened());
    write_all(out, &[opening.value, opening.sigma]);
    write_all(out, &opening.blinded);
    let whir = &opening.whir;
    for (sumcheck, cap) in whir.sumchecks.iter().zip(&whir.sumcheck_mask_commitments) {
        write_e(out, sumcheck.mu_tilde);
        for coefficients in &sumcheck.round_coefficients {
            write_all(out, coefficients);
        }
        write_root(out, cap);
    }
    for round in &whir.rounds {
        write_root(out, &round.commitment);
        write_root(out, &round.mask_commitment);
        write_all(out, &round.ood_answers);
        write_queries(out, &round.openings);
    }
    let base = &whir.base_case;
    write_root(out, &base.fresh_main_commitment);
    for cap in &base.fresh_mask_commitments {
        write_root(out, cap);
    }
    write_e(out, base.masked_claim);
    write_all(out, &base.blinded_message);
    write_all(out, &base.blinded_randomness);
    for blinded in &base.blinded_masks {
        write_all(out, &blinded.message);
        write_all(out, &blinded.randomness);
    }
    write_queries(out, &base.source_openings);
    write_rows(out, &base.fresh_main_openings);
    for pair in &base.mask_openings {
        write_rows(out, &pair.carried);
        write_rows(out, &pair.fresh);
    }
}

fn write_root(out: &mut Vec<u8>, cap: &MerkleCap<F, [u8; 32]>) {
    out.extend_from_slice(&cap.roots()[0]);
}

fn write_queries(out: &mut Vec<u8>, openings: &QueryOpenings<F, E, Proof>) {
    match openings {
        QueryOpenings::Base(opening) => {
            for row in &opening.rows {
                row.iter().for_each(|&v| write_f(out, v));
            }
            write_proof(out, &opening.proof);
        }
        QueryOpenings::Extension(opening) => write_rows(out, opening),
    }
}

fn write_rows(out: &mut Vec<u8>, opening: &SharedProofOpening<E, Proof>) {
    for row in &opening.rows {
        write_all(out, row);
    }
    write_proof(out, &opening.proof);
}

fn write_proof(out: &mut Vec<u8>, (salts, paths): &Proof) {
    for salt in salts.iter().flatten().flatten() {
        write_f(out, *salt);
    }
    out.extend_from_slice(&(paths.sibling_hashes.len() as u32).to_le_bytes());
    for hash in &paths.sibling_hashes {
        out.extend_from_slice(hash);
    }
}

impl Reader<'_> {
    /// Reads what [`encode_hiding`] writes for a configuration, and nothing else.
    pub(crate) fn hiding(&mut self, config: &HidingConfig) -> Result<HidingOpening, FormatError> {
        let variables = config.num_variables();
        let factors = self.elements(2)?;
        let messages = self.elements(2 * variables)?;
        let ends = self.elements(2)?;
        Ok(HidingOpening {
            factors: [factors[0], factors[1]],
            messages: messages.as_chunks::<2>().0.to_vec(),
            value: ends[0],
            sigma: ends[1],
            blinded: self.elements(2 * variables)?,
            whir: self.masked(config)?,
        })
    }

    fn masked(&mut self, config: &HidingConfig) -> Result<MaskedOpening, FormatError> {
        let rounds = config.n_rounds();
        let mut sumchecks = Vec::with_capacity(rounds + 1);
        let mut sumcheck_mask_commitments = Vec::with_capacity(rounds + 1);
        for index in 0..=rounds {
            let mu_tilde = self.elements(1)?[0];
            let round_coefficients = (0..config.folding_schedule()[index])
                .map(|_| self.elements(coefficients(config)))
                .collect::<Result<_, _>>()?;
            sumchecks.push(ZkSumcheckData {
                mu_tilde,
                round_coefficients,
                pow_witnesses: Vec::new(),
            });
            sumcheck_mask_commitments.push(self.root()?);
        }
        let rounds = config
            .round_parameters()
            .iter()
            .enumerate()
            .map(|(index, round)| {
                Ok(ZkRoundProof {
                    commitment: self.root()?,
                    mask_commitment: self.root()?,
                    ood_answers: self.elements(round.ood_samples)?,
                    pow_witness: F::ZERO,
                    openings: self.queries(&oracle(config, index))?,
                })
            })
            .collect::<Result<_, FormatError>>()?;
        Ok(MaskedOpening {
            // The claims are the verifier's own; they never travel.
            evals: Vec::new(),
            sumchecks,
            sumcheck_mask_commitments,
            rounds,
            base_case: self.base_case(config)?,
        })
    }

    fn base_case(
        &mut self,
        config: &HidingConfig,
    ) -> Result<BaseCaseZkProof<F, E, super::masked::HidingMmcs>, FormatError> {
        let base = config.base_case_config();
        let groups = config.mask_groups();
        let fresh_main_commitment = self.root()?;
        let fresh_mask_commitments = groups
            .iter()
            .map(|_| self.root())
            .collect::<Result<_, _>>()?;
        let masked_claim = self.elements(1)?[0];
        let blinded_message = self.elements(base.code.message_len)?;
        let blinded_randomness = self.elements(base.code.randomness_len)?;
        let blinded_masks = groups
            .iter()
            .flat_map(|group| std::iter::repeat_n(group.shape, group.width))
            .map(|shape| {
                Ok(BlindedMask {
                    message: self.elements(shape.message_len)?,
                    randomness: self.elements(shape.randomness_len)?,
                })
            })
            .collect::<Result<_, FormatError>>()?;
        let source_openings = self.queries(&oracle(config, config.n_rounds()))?;
        let fresh_main_openings = self.rows(&fresh(config))?;
        let mask_openings = groups
            .iter()
            .map(|group| {
                let oracle = mask(config, group.shape, group.width);
                Ok(MaskOpeningPair {
                    carried: self.rows(&oracle)?,
                    fresh: self.rows(&oracle)?,
                })
            })
            .collect::<Result<_, FormatError>>()?;
        Ok(BaseCaseZkProof {
            fresh_main_commitment,
            fresh_mask_commitments,
            masked_claim,
            blinded_message,
            blinded_randomness,
            blinded_masks,
            pow_witness: F::ZERO,
            source_openings,
            fresh_main_openings,
            mask_openings,
        })
    }

    fn root(&mut self) -> Result<MerkleCap<F, [u8; 32]>, FormatError> {
        Ok(MerkleCap::new(vec![self.array()?]))
    }

    fn queries(&mut self, oracle: &Oracle) -> Result<QueryOpenings<F, E, Proof>, FormatError> {
        if !oracle.base {
            return Ok(QueryOpenings::Extension(self.rows(oracle)?));
        }
        self.require(oracle.queries, oracle.row_bytes())?;
        let rows = (0..oracle.queries)
            .map(|_| (0..oracle.width).map(|_| self.base()).collect())
            .collect::<Result<_, _>>()?;
        let proof = self.salted(oracle)?;
        Ok(QueryOpenings::Base(SharedProofOpening { rows, proof }))
    }

    fn rows(&mut self, oracle: &Oracle) -> Result<SharedProofOpening<E, Proof>, FormatError> {
        self.require(oracle.queries, oracle.row_bytes())?;
        let rows = (0..oracle.queries)
            .map(|_| self.elements(oracle.width))
            .collect::<Result<_, _>>()?;
        let proof = self.salted(oracle)?;
        Ok(SharedProofOpening { rows, proof })
    }

    fn salted(&mut self, oracle: &Oracle) -> Result<Proof, FormatError> {
        self.require(oracle.queries, SALT * F_BYTES)?;
        let salts = (0..oracle.queries)
            .map(|_| Ok(vec![(0..SALT).map(|_| self.base()).collect::<Result<_, _>>()?]))
            .collect::<Result<_, FormatError>>()?;
        Ok((salts, self.siblings(oracle)?))
    }
}
