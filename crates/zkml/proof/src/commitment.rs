//! WHIR (ePrint 2024/1586): a multilinear polynomial over the base field is committed by its values
//! on the hypercube and opened at one point. Module `opening` reduces everything else to that.

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
use crate::profile::Profile;
use crate::transcript::Challenger;

type LeafHash = SerializingHasher<Blake3>;
type Compress = CompressionFunctionFromHasher<Blake3, 2, 32>;
pub(crate) type Mmcs = MerkleTreeMmcs<F, u8, LeafHash, Compress, 2, 32>;
type Dft = Radix2DFTSmallBatch<F>;
type Stack = PrefixProver<F, E>;
type Prover = WhirProver<E, F, Dft, Mmcs, Challenger, Stack>;
pub(crate) type Config = WhirConfig<E, F, Challenger>;
pub(crate) type WhirOpening = PcsProof<F, E, Mmcs>;
/// What the prover keeps of a commitment; openings borrow it, so it serves many proofs.
pub(crate) type WhirData = WhirProverData<F, E, Mmcs, Stack>;

/// WHIR over KoalaBear^5 with BLAKE3, Johnson regime, no grinding.
pub(crate) struct Whir {
    prover: Prover,
    config: Config,
}

/// Fewest variables of a committed polynomial: smaller ones are padded with zeros.
pub(crate) const MIN_VARIABLES: usize = 10;
/// Most variables of a witness.
pub(crate) const MAX_VARIABLES: usize = 26;
/// Most variables of weights: what the error budget and KoalaBear's two-adicity (24) leave to
/// `2^(n - fold)` rows at the first rate.
pub(crate) const MAX_WEIGHT_VARIABLES: usize = 28;

/// Target bits of every single WHIR error term; the report sums them.
const TERM_BITS: usize = 108;

/// How a size is folded and encoded.
struct Schedule {
    /// Variables bound before the first query, then in every round.
    folds: (usize, usize),
    /// Rates (log2 of the inverse) of the committed codewords, first to last.
    log_inverse_rates: [usize; 8],
}

/// The round after the first encodes `2^(n - fold)` extension elements, five base elements each, at
/// its own rate: of that, not of the first codeword, an opening's time is. So the more variables,
/// the more are bound first, and the less the rate falls at once; the price is longer rows to open.
/// The first rate is the time of a commitment, and the number of rows: large weights, which are committed
/// once, have a lower one, where the error budget bears it.
fn schedule(num_variables: usize, profile: Profile) -> Schedule {
    if profile == Profile::Short && num_variables <= MAX_VARIABLES {
        return short(num_variables);
    }
    let (folds, log_inverse_rates) = match num_variables {
        ..15 => ((5, 4), [2, 5, 8, 10, 12, 14, 16, 18]),
        15..23 => ((6, 4), [2, 3, 5, 8, 10, 12, 14, 16]),
        24..27 => ((7, 4), [3, 4, 7, 10, 12, 13, 14, 16]),
        23.. => ((7, 4), [2, 3, 5, 8, 10, 12, 14, 16]),
    };
    Schedule {
        folds,
        log_inverse_rates,
    }
}

/// A lower first rate: fewer rows to open for the same error. Of all folds of 3 to 8 variables and rates that
/// fall by a factor of 2 to 8 a round, those with the shortest openings whose later codewords, which every opening
/// encodes, are at most two and a half times as long as those of the standard schedule. The last sizes keep to
/// a rate that their error budget bears.
fn short(num_variables: usize) -> Schedule {
    let (folds, log_inverse_rates) = match num_variables {
        ..11 => ((4, 3), [4, 6, 7, 8, 9, 10, 11, 12]),
        11 | 13 | 14 => ((5, 3), [4, 6, 7, 8, 9, 10, 11, 12]),
        12 => ((6, 3), [4, 6, 7, 8, 9, 10, 11, 12]),
        15 | 16 | 18 | 19 | 22 => ((7, 3), [4, 5, 7, 8, 9, 10, 11, 12]),
        17 | 20 | 21 => ((7, 4), [4, 5, 8, 9, 10, 11, 12, 13]),
        23 => ((8, 3), [4, 5, 7, 8, 9, 10, 11, 12]),
        25 => ((7, 4), [3, 5, 8, 10, 12, 14, 16, 18]),
        24.. => ((6, 4), [3, 4, 7, 9, 11, 13, 15, 17]),
    };
    Schedule {
        folds,
        log_inverse_rates,
    }
}

fn parameters(num_variables: usize, profile: Profile) -> Option<ProtocolParameters> {
    let schedule = schedule(num_variables, profile);
    let (first, rest) = schedule.folds;
    let folding_factor = FoldingFactor::ConstantFromSecondRound(first, rest);
    let (rounds, _) = folding_factor
        .compute_number_of_rounds(num_variables)
        .ok()?;
    Some(ProtocolParameters {
        starting_log_inv_rate: schedule.log_inverse_rates[0],
        round_log_inv_rates: schedule.log_inverse_rates.get(1..=rounds)?.to_vec(),
        folding_factor,
        soundness_type: SecurityAssumption::JohnsonBound,
        security_level: TERM_BITS,
        pow_bits: 0,
    })
}

impl Whir {
    /// The scheme of a size; `prover` prepares the transform's roots of unity.
    pub(crate) fn new(num_variables: usize, profile: Profile, prover: bool) -> Option<Self> {
        let config = Config::new(num_variables, parameters(num_variables, profile)?).ok()?;
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

    /// `-log2` of the opening's error, and the logarithm of how many polynomials a root leaves
    /// open.
    pub(crate) fn security(&self) -> (f64, f64) {
        match self.prover.prescribed_security(&self.protocol()) {
            Some(s) => (s.error().bits(), s.log2_max_candidates),
            None => (0.0, 0.0),
        }
    }

    fn protocol(&self) -> OpeningProtocol {
        let shape = TableShape::new(self.num_variables(), 1);
        let batch = OpeningBatch::new(vec![0], Vec::new());
        OpeningProtocol::new(vec![TableSpec::new(shape, vec![batch])])
    }

    pub(crate) fn num_variables(&self) -> usize {
        self.config.num_variables()
    }

    /// Commits to the `2^num_variables` values.
    pub(crate) fn commit(&self, values: Vec<F>) -> ([u8; 32], WhirData) {
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

    /// Binds a root into the transcript; before any challenge that depends on it.
    pub(crate) fn observe(&self, root: &[u8; 32], challenger: &mut Challenger) {
        <Prover as MultilinearPcs<E, Challenger>>::observe_commitment(
            &self.prover,
            &MerkleCap::new(vec![*root]),
            challenger,
        );
    }

    /// Proves the value at a point, most significant coordinate first.
    pub(crate) fn open(
        &self,
        data: &WhirData,
        point: Vec<E>,
        challenger: &mut Challenger,
    ) -> Option<WhirOpening> {
        let points = [Point::new(point)];
        self.prover
            .open_at(data.clone(), &self.protocol(), &points, challenger)
            .ok()
    }

    /// Checks the value at a point against a root that the transcript has observed.
    pub(crate) fn verify(
        &self,
        root: &[u8; 32],
        point: Vec<E>,
        value: E,
        mut opening: WhirOpening,
        challenger: &mut Challenger,
    ) -> bool {
        opening.evals = vec![OpeningBatch::new(vec![value], Vec::new())];
        let (root, points) = (MerkleCap::new(vec![*root]), [Point::new(point)]);
        self.prover
            .verify_at(&root, &opening, &self.protocol(), &points, challenger)
            .is_ok()
    }
}

/// The committed values.
pub(crate) fn values(data: &WhirData) -> &[F] {
    data.table(0).iter_polys().next().unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opening::codec::max_opening;

    #[test]
    fn every_size_up_to_the_limit_has_parameters_of_100_bits() {
        for profile in Profile::ALL {
            for n in MIN_VARIABLES..=MAX_WEIGHT_VARIABLES {
                let whir = Whir::new(n, profile, false)
                    .unwrap_or_else(|| panic!("{profile:?} has no parameters for 2^{n}"));
                let (bits, _) = whir.security();
                assert!(bits >= 102.0, "{profile:?}, 2^{n}: {bits} bits");
                assert_eq!(whir.config().max_pow_bits(), 0, "2^{n} grinds");
            }
        }
    }

    /// At most four fifths of the bytes, and no less secure by more than two bits. From 2^24 on, where large
    /// weights have a low rate anyway, at least no longer.
    #[test]
    fn openings_of_the_shorter_profile_are_shorter() {
        for n in 12..=MAX_WEIGHT_VARIABLES {
            let [standard, short] = Profile::ALL.map(|profile| {
                let whir = Whir::new(n, profile, false).unwrap();
                (max_opening(whir.config()).0, whir.security().0)
            });
            assert!(
                5 * short.0 <= if n < 24 { 4 } else { 5 } * standard.0,
                "2^{n}: {short:?}, {standard:?}"
            );
            assert!(
                short.1 >= standard.1 - 2.0,
                "2^{n}: {short:?}, {standard:?}"
            );
        }
    }

    /// Derived with floating point by a library: a change on any machine would fork the chain.
    #[test]
    fn query_counts_are_pinned() {
        let counts = |n, profile| {
            let config = Whir::new(n, profile, false).unwrap().config;
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
        let standard = |n| counts(n, Profile::Standard);
        assert_eq!(standard(10), (vec![117], 1));
        assert_eq!(standard(13), (vec![117, 45], 1));
        assert_eq!(standard(15), (vec![117, 76], 1));
        assert_eq!(standard(17), (vec![117, 76, 45], 1));
        // All sizes at once.
        for (profile, digest) in [
            (Profile::Standard, "7f416c1e26833ad3"),
            (Profile::Short, "d7b4dfb66ed68d8b"),
        ] {
            let mut hasher = blake3::Hasher::new();
            for n in MIN_VARIABLES..=MAX_WEIGHT_VARIABLES {
                let (queries, samples) = counts(n, profile);
                for count in queries.into_iter().chain([samples]) {
                    hasher.update(&(count as u64).to_le_bytes());
                }
            }
            let found = hasher.finalize().to_hex();
            assert_eq!(&found[..16], digest, "{profile:?}");
        }
    }
}
