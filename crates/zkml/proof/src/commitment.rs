//! The polynomial commitment behind our own trait, and WHIR as its implementation.
//!
//! A committed object is one multilinear polynomial over the base field, given by its values on
//! the hypercube. An opening proves any number of claims `f(point) = value` at once.

use p3_blake3::Blake3;
use p3_commit::MultilinearPcs;
use p3_dft::Radix2DFTSmallBatch;
use p3_matrix::dense::RowMajorMatrix;
use p3_merkle_tree::{MerkleCap, MerkleTreeMmcs};
use p3_multilinear_util::point::Point;
use p3_sumcheck::layout::{Layout, PrefixProver, Table};
use p3_sumcheck::{OpeningBatch, OpeningProtocol, PrescribedPointPcs, TableShape, TableSpec};
use p3_symmetric::{CompressionFunctionFromHasher, SerializingHasher};
use p3_whir::{
    FoldingFactor, PcsProof, ProtocolParameters, SecurityAssumption, WhirConfig, WhirProver,
    WhirProverData,
};

use crate::field::{E, F};
use crate::transcript::Challenger;

/// A claimed evaluation of a committed polynomial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    /// One coordinate per variable, most significant first.
    pub(crate) point: Vec<E>,
    pub(crate) value: E,
}

/// A commitment scheme for one polynomial size.
pub(crate) trait Commitment {
    /// What the prover keeps of a commitment; openings borrow it, so it serves many proofs.
    type Data;
    /// The proof of a batch of claims.
    type Opening;

    /// Number of variables of the polynomial.
    fn num_variables(&self) -> usize;
    /// Commits to the `2^num_variables` values.
    fn commit(&self, values: Vec<F>) -> ([u8; 32], Self::Data);
    /// Binds a root into the transcript; before any challenge that depends on it.
    fn observe(&self, root: &[u8; 32], challenger: &mut Challenger);
    /// Proves every claim; values are recomputed from the data.
    fn open(
        &self,
        data: &Self::Data,
        points: &[Vec<E>],
        challenger: &mut Challenger,
    ) -> Option<Self::Opening>;
    /// Checks every claim against a root that the transcript has observed.
    fn verify(
        &self,
        root: &[u8; 32],
        claims: &[Claim],
        opening: Self::Opening,
        challenger: &mut Challenger,
    ) -> bool;
}

type LeafHash = SerializingHasher<Blake3>;
type Compress = CompressionFunctionFromHasher<Blake3, 2, 32>;
pub(crate) type Mmcs = MerkleTreeMmcs<F, u8, LeafHash, Compress, 2, 32>;
type Dft = Radix2DFTSmallBatch<F>;
type Stack = PrefixProver<F, E>;
type Prover = WhirProver<E, F, Dft, Mmcs, Challenger, Stack>;
pub(crate) type Config = WhirConfig<E, F, Challenger>;
pub(crate) type WhirOpening = PcsProof<F, E, Mmcs>;

/// WHIR over KoalaBear^5 with BLAKE3, Johnson regime, no grinding.
pub(crate) struct Whir {
    prover: Prover,
    config: Config,
}

/// Fewest variables of a committed polynomial: smaller ones are padded with zeros.
pub(crate) const MIN_VARIABLES: usize = 10;
/// Most variables that the profile's error budget and KoalaBear's two-adicity (24) leave.
pub(crate) const MAX_VARIABLES: usize = 26;

/// Target bits of every single WHIR error term; the report sums them.
const TERM_BITS: usize = 108;

/// Rates (log2 of the inverse) of the committed codewords, first to last: each later codeword is
/// of a polynomial 16 times smaller, so a lower rate costs little and saves queries.
const LOG_INVERSE_RATES: [usize; 8] = [2, 5, 8, 10, 12, 14, 16, 18];
/// Variables bound before the first query, then in every round.
const FOLDS: (usize, usize) = (5, 4);

/// The schedule of a size.
fn parameters(num_variables: usize) -> Option<ProtocolParameters> {
    let folding_factor = FoldingFactor::ConstantFromSecondRound(FOLDS.0, FOLDS.1);
    let (rounds, _) = folding_factor
        .compute_number_of_rounds(num_variables)
        .ok()?;
    Some(ProtocolParameters {
        starting_log_inv_rate: LOG_INVERSE_RATES[0],
        round_log_inv_rates: LOG_INVERSE_RATES.get(1..=rounds)?.to_vec(),
        folding_factor,
        soundness_type: SecurityAssumption::JohnsonBound,
        security_level: TERM_BITS,
        pow_bits: 0,
    })
}

impl Whir {
    /// The scheme of a size; `prover` prepares the transform's roots of unity.
    pub(crate) fn new(num_variables: usize, prover: bool) -> Option<Self> {
        let config = Config::new(num_variables, parameters(num_variables)?).ok()?;
        let dft = if prover {
            Dft::new(1 << config.max_fft_size())
        } else {
            Dft::default()
        };
        let mmcs = Mmcs::new(LeafHash::new(Blake3), Compress::new(Blake3), 0);
        Some(Self {
            prover: Prover::new(config.clone(), dft, mmcs),
            config,
        })
    }

    /// The derived configuration: every count that an opening has is in it.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// `-log2` of the opening's error for a number of claims, and of how many polynomials a root
    /// leaves open. No claims at all leave nothing to prove.
    pub(crate) fn security(&self, claims: usize) -> (f64, f64) {
        match self
            .prover
            .prescribed_security(&self.protocol(claims.max(1)))
        {
            Some(s) => (s.error().bits(), s.log2_max_candidates),
            None => (0.0, 0.0),
        }
    }

    fn protocol(&self, claims: usize) -> OpeningProtocol {
        let shape = TableShape::new(self.num_variables(), 1);
        let batches = (0..claims)
            .map(|_| OpeningBatch::new(vec![0], Vec::new()))
            .collect();
        OpeningProtocol::new(vec![TableSpec::new(shape, batches)])
    }
}

impl Commitment for Whir {
    type Data = WhirProverData<F, E, Mmcs, Stack>;
    type Opening = WhirOpening;

    fn num_variables(&self) -> usize {
        self.config.num_variables()
    }

    fn commit(&self, values: Vec<F>) -> ([u8; 32], Self::Data) {
        let width = values.len();
        let table = Table::new(RowMajorMatrix::new(values, width));
        let fold = self.config.folding_schedule()[0];
        let witness = Stack::new_witness(vec![table], fold);
        let mut scratch = Challenger::from_hasher(Vec::new(), Blake3);
        let (root, data) =
            <Prover as MultilinearPcs<E, Challenger>>::commit(&self.prover, witness, &mut scratch)
                .expect("the configuration was derived for this size");
        (root.roots()[0], data)
    }

    fn observe(&self, root: &[u8; 32], challenger: &mut Challenger) {
        <Prover as MultilinearPcs<E, Challenger>>::observe_commitment(
            &self.prover,
            &MerkleCap::new(vec![*root]),
            challenger,
        );
    }

    fn open(
        &self,
        data: &Self::Data,
        points: &[Vec<E>],
        challenger: &mut Challenger,
    ) -> Option<Self::Opening> {
        let points: Vec<_> = points.iter().cloned().map(Point::new).collect();
        self.prover
            .open_at(
                data.clone(),
                &self.protocol(points.len()),
                &points,
                challenger,
            )
            .ok()
    }

    fn verify(
        &self,
        root: &[u8; 32],
        claims: &[Claim],
        mut opening: Self::Opening,
        challenger: &mut Challenger,
    ) -> bool {
        opening.evals = claims
            .iter()
            .map(|c| OpeningBatch::new(vec![c.value], Vec::new()))
            .collect();
        let points: Vec<_> = claims.iter().map(|c| Point::new(c.point.clone())).collect();
        self.prover
            .verify_at(
                &MerkleCap::new(vec![*root]),
                &opening,
                &self.protocol(points.len()),
                &points,
                challenger,
            )
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{dot_base, eq_table};
    use crate::transcript::Transcript;
    use p3_field::PrimeCharacteristicRing;

    #[test]
    fn claims_at_several_points_open_and_a_false_one_is_refused() {
        for n in [MIN_VARIABLES, 13] {
            let whir = Whir::new(n, true).unwrap();
            let values: Vec<F> = (0..1u64 << n).map(|i| F::from_u64(i * i % 1000)).collect();
            let (root, data) = whir.commit(values.clone());
            let mut transcript = Transcript::new(b"test");
            whir.observe(&root, &mut transcript.challenger);
            let points: Vec<Vec<E>> = (0..8).map(|_| transcript.sample_point(n)).collect();
            let start = transcript.challenger.clone();
            let opening = whir
                .open(&data, &points, &mut transcript.challenger)
                .unwrap();
            let mut claims: Vec<Claim> = points
                .iter()
                .map(|p| Claim {
                    point: p.clone(),
                    value: dot_base(&eq_table(p, E::ONE), &values),
                })
                .collect();
            let verifier = Whir::new(n, false).unwrap();
            assert!(verifier.verify(&root, &claims, opening.clone(), &mut start.clone()));
            claims[3].value += E::ONE;
            assert!(!verifier.verify(&root, &claims, opening, &mut start.clone()));
        }
    }

    #[test]
    fn every_size_up_to_the_limit_has_parameters_of_100_bits() {
        for n in MIN_VARIABLES..=MAX_VARIABLES {
            let whir = Whir::new(n, false).unwrap_or_else(|| panic!("no parameters for 2^{n}"));
            let (bits, _) = whir.security(64);
            assert!(bits >= 102.0, "2^{n}: {bits} bits");
            assert_eq!(whir.config().max_pow_bits(), 0, "2^{n} grinds");
        }
    }

    /// Derived with floating point by a library: a change on any machine would fork the chain.
    #[test]
    fn query_counts_are_pinned() {
        let counts = |n| {
            let config = Whir::new(n, false).unwrap().config;
            let mut counts: Vec<usize> = config
                .round_parameters()
                .iter()
                .map(|r| r.num_queries)
                .collect();
            counts.push(config.terminal().num_queries);
            let rounds = config.round_parameters();
            assert!(rounds.iter().all(|r| r.ood_samples == 1), "2^{n}");
            (counts, config.commitment_ood_samples())
        };
        assert_eq!(counts(10), (vec![117], 1));
        assert_eq!(counts(13), (vec![117, 45], 1));
        assert_eq!(counts(15), (vec![117, 45], 1));
        assert_eq!(counts(17), (vec![117, 45, 28], 1));
        // All sizes at once.
        let mut hasher = blake3::Hasher::new();
        for n in MIN_VARIABLES..=MAX_VARIABLES {
            let (queries, samples) = counts(n);
            for count in queries.into_iter().chain([samples]) {
                hasher.update(&(count as u64).to_le_bytes());
            }
        }
        assert_eq!(hasher.finalize().to_hex()[..16], *"f5fe1970eb4fba48");
    }
}
