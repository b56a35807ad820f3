//! HVZK-WHIR (ePrint 2026/391): a multilinear polynomial over the base field, opened at points
//! without telling anything but the values there.
//!
//! Unique-decoding regime, no grinding, leaves salted with 5 elements (155 bits). The library sizes
//! the queries of a round by `M/H`, rows of the message over rows of the codeword, though the code
//! that is tested has dimension `M + t`, with `t` rows of randomness. [`errors`] prices the rate
//! `(M + t)/H`, and the schedules below are chosen by that price.

use p3_blake3::Blake3;
use p3_commit::MultilinearPcs;
use p3_dft::Radix2DFTSmallBatch;
use p3_merkle_tree::{MerkleCap, MerkleTreeHidingMmcs};
use p3_multilinear_util::point::Point;
use p3_multilinear_util::poly::Poly;
use p3_symmetric::{CompressionFunctionFromHasher, SerializingHasher};
use p3_whir::{
    FoldingFactor, HidingWhirPcs, HidingWhirProverData, ProtocolParameters, SecurityAssumption,
    ZkParameters, ZkWhirConfig, ZkWhirProof,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::field::{E, F};
use crate::profile::Profile;
use crate::transcript::Challenger;

/// Random elements in every leaf.
pub(crate) const SALT: usize = 5;

type LeafHash = SerializingHasher<Blake3>;
type Compress = CompressionFunctionFromHasher<Blake3, 2, 32>;
pub(crate) type HidingMmcs = MerkleTreeHidingMmcs<F, u8, LeafHash, Compress, StdRng, 2, 32, SALT>;
type Dft = Radix2DFTSmallBatch<F>;
type Pcs = HidingWhirPcs<E, F, Dft, HidingMmcs, Challenger, StdRng>;
pub(crate) type HidingConfig = ZkWhirConfig<E, F, Challenger>;
pub(crate) type MaskedOpening = ZkWhirProof<F, E, HidingMmcs>;

/// Fewest variables of a hiding commitment.
pub(crate) const MIN_VARIABLES: usize = 12;

/// A lower bound of `log2 |E|`.
const FIELD_BITS: f64 = 154.0;
/// Coefficients of a mask of a sumcheck: one more than its degree.
const MASK_COEFFICIENTS: usize = 3;
/// Rate of the masks' codewords (log2 of the inverse).
const MASK_LOG_INVERSE_RATE: usize = 4;

/// How a size is committed and opened.
struct Schedule {
    /// Bits that the library is asked for; [`errors`] says what they are worth.
    level: usize,
    /// Rates (log2 of the inverse) of the codewords, first to last.
    rates: &'static [usize],
    /// Variables bound before the first query, then in every round.
    folds: (usize, usize),
}

/// The smaller the message, the more the rows of randomness weigh, and the lower the rate. A round costs
/// two groups of masks beside its oracle, so rounds are few and folds wide: what is left after the
/// last has at most 64 elements.
fn schedule(variables: usize, profile: Profile) -> Schedule {
    match profile {
        Profile::Standard => standard(variables),
        Profile::Short => short(variables),
    }
}

fn standard(variables: usize) -> Schedule {
    let (level, rates, folds): (usize, &'static [usize], (usize, usize)) = match variables {
        ..=12 => (116, &[5], (6, 4)),
        13 => (116, &[5], (7, 4)),
        14 => (116, &[5], (8, 4)),
        15 => (113, &[3, 6], (6, 3)),
        16 => (112, &[3, 6], (6, 4)),
        17 => (112, &[2, 6], (6, 5)),
        18 => (112, &[2, 6], (7, 5)),
        19 => (111, &[2, 5, 8], (6, 4)),
        20 => (110, &[1, 4, 8], (6, 4)),
        21 | 22 => (110, &[1, 4, 8], (6, 5)),
        23 => (110, &[1, 4, 8], (7, 5)),
        24 => (110, &[1, 4, 8], (8, 5)),
        25 => (110, &[1, 4, 7, 10], (7, 4)),
        _ => (110, &[1, 4, 7, 10], (8, 4)),
    };
    Schedule {
        level,
        rates,
        folds,
    }
}

/// Lower rates. Every query is worth less than a bit in this regime, whatever the rate, and most bytes are
/// those of masks: so a fifth is the most that can be saved.
fn short(variables: usize) -> Schedule {
    let (rates, folds): (&'static [usize], (usize, usize)) = match variables {
        ..=12 => (&[5], (6, 4)),
        13 => (&[5], (7, 4)),
        14 => (&[5], (8, 4)),
        15 => (&[4, 5], (6, 3)),
        16 => (&[4, 5], (6, 4)),
        17 => (&[4, 5], (7, 4)),
        18 => (&[4, 6], (7, 5)),
        19 => (&[3, 6], (8, 5)),
        20 => (&[3, 4, 5], (6, 4)),
        21 => (&[3, 4, 5], (7, 4)),
        22 => (&[3, 4, 6], (6, 5)),
        23 => (&[3, 4, 6], (7, 5)),
        24 => (&[3, 4, 6], (8, 5)),
        25 => (&[3, 4, 5, 6], (7, 4)),
        _ => (&[3, 4, 5, 6], (8, 4)),
    };
    Schedule {
        level: 110,
        rates,
        folds,
    }
}

fn parameters(variables: usize, profile: Profile) -> Option<ProtocolParameters> {
    let schedule = schedule(variables, profile);
    let folding_factor = FoldingFactor::ConstantFromSecondRound(schedule.folds.0, schedule.folds.1);
    let (rounds, _) = folding_factor.compute_number_of_rounds(variables).ok()?;
    Some(ProtocolParameters {
        starting_log_inv_rate: schedule.rates[0],
        round_log_inv_rates: schedule.rates.get(1..=rounds)?.to_vec(),
        folding_factor,
        soundness_type: SecurityAssumption::UniqueDecoding,
        security_level: schedule.level,
        pow_bits: 0,
    })
}

/// The scheme of a size.
pub(crate) struct HidingWhir {
    config: HidingConfig,
    dft: Dft,
}

/// What the prover keeps of a commitment: it opens once.
pub(crate) struct Committed {
    pcs: Pcs,
    root: MerkleCap<F, [u8; 32]>,
    data: HidingWhirProverData<F, E, HidingMmcs>,
}

impl Committed {
    /// The committed values.
    pub(crate) fn values(&self) -> &[F] {
        self.data.message.as_slice()
    }

    /// Opens at points, most significant coordinate first.
    pub(crate) fn open(
        self,
        points: Vec<Vec<E>>,
        challenger: &mut Challenger,
    ) -> Option<MaskedOpening> {
        // As the verifier of the library does, which observes the root once more.
        self.pcs.observe_commitment(&self.root, challenger);
        let points = points.into_iter().map(Point::new).collect();
        self.pcs.open(self.data, points, challenger).ok()
    }
}

impl HidingWhir {
    /// The scheme of a size, or `None` where the profile has no parameters for it; `prover`
    /// prepares the transform's roots of unity.
    pub(crate) fn new(variables: usize, profile: Profile, prover: bool) -> Option<Self> {
        let zk = ZkParameters {
            ell_zk: MASK_COEFFICIENTS,
            mask_log_inv_rate: MASK_LOG_INVERSE_RATE,
        };
        let config = HidingConfig::new(variables, parameters(variables, profile)?, zk).ok()?;
        let dft = if prover {
            Dft::new(1 << config.max_fft_size())
        } else {
            Dft::default()
        };
        Some(Self { config, dft })
    }

    pub(crate) fn config(&self) -> &HidingConfig {
        &self.config
    }

    fn pcs(&self, mut rng: StdRng) -> Pcs {
        let salts = StdRng::from_rng(&mut rng);
        let hash = LeafHash::new(Blake3);
        let mmcs = HidingMmcs::new(hash, Compress::new(Blake3), 0, salts);
        Pcs::new(self.config.clone(), self.dft.clone(), mmcs, rng)
    }

    /// Commits to the `2^variables` values.
    pub(crate) fn commit(&self, values: Vec<F>, rng: StdRng) -> Option<([u8; 32], Committed)> {
        let pcs = self.pcs(rng);
        let mut scratch = Challenger::from_hasher(Vec::new(), Blake3);
        let (root, data) = pcs.commit(Poly::new(values), &mut scratch).ok()?;
        Some((root.roots()[0], Committed { pcs, root, data }))
    }

    /// Checks the values at points against a root.
    pub(crate) fn verify(
        &self,
        root: &[u8; 32],
        claims: Vec<(Vec<E>, E)>,
        mut opening: MaskedOpening,
        challenger: &mut Challenger,
    ) -> bool {
        // The verifier draws nothing.
        let pcs = self.pcs(StdRng::from_seed([0; 32]));
        let (points, values): (Vec<_>, Vec<_>) =
            claims.into_iter().map(|(p, v)| (Point::new(p), v)).unzip();
        opening.evals = values;
        let root = MerkleCap::new(vec![*root]);
        pcs.verify(&root, &opening, challenger, points).is_ok()
    }
}

/// `-log2` of each way in which a false opening of `claims` points may pass.
pub(crate) fn errors(config: &HidingConfig, claims: usize) -> Vec<(&'static str, f64)> {
    let log = |x: f64| x.max(1.0).log2();
    // A word farther than half the distance from a code of this rate passes so many queries.
    let missed = |dimension: usize, length: usize, queries: usize| {
        let rate = dimension as f64 / length as f64;
        -(queries as f64) * ((1.0 + rate) / 2.0).log2()
    };
    let randomness = config.oracle_randomness();
    let rounds = config.round_parameters();
    let last = config.final_round_config();
    let mut queries = Vec::new();
    let mut gaps = 0.0;
    let mut degrees = claims as f64;
    for (index, round) in rounds.iter().chain([&last]).enumerate() {
        let fold = round.folding_factor;
        let length = round.domain_size >> fold;
        let rows = 1usize << round.num_variables;
        let drawn = if index == rounds.len() {
            config.randomized_terminal().num_queries
        } else {
            round.num_queries
        };
        queries.push(missed(rows + randomness[index], length, drawn));
        // Correlated agreement of the columns of a row, and of the blind in the base case.
        gaps += length as f64 * (1u64 << fold) as f64;
        // A round of the sumcheck has degree 2; then its claim, the blinding and the batching.
        degrees += 2.0 * fold as f64 + 2.0;
        degrees += (round.ood_samples * (rows + randomness[index]) + drawn) as f64;
    }
    let groups = config.mask_groups();
    let masks: Vec<f64> = groups
        .iter()
        .map(|group| {
            let shape = group.shape;
            gaps += (shape.domain_size * group.width) as f64;
            let dimension = shape.message_len + shape.randomness_len;
            missed(dimension, shape.domain_size, config.mask_queries())
        })
        .collect();
    let all = |bits: &[f64]| -bits.iter().map(|b| (-b).exp2()).sum::<f64>().log2();
    vec![
        ("hiding WHIR, queries", all(&queries)),
        ("hiding WHIR, masks", all(&masks)),
        ("hiding WHIR, agreement", FIELD_BITS - log(gaps)),
        ("hiding WHIR, sumchecks", FIELD_BITS - log(degrees)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;
    use p3_field::PrimeCharacteristicRing;

    fn polynomial(variables: usize) -> Vec<F> {
        let mut seed = 1u64;
        (0..1 << variables)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                F::from_u64(seed >> 33)
            })
            .collect()
    }

    fn bits(config: &HidingConfig) -> f64 {
        let sum: f64 = errors(config, 2).iter().map(|(_, b)| (-b).exp2()).sum();
        -sum.log2()
    }

    fn all() -> impl Iterator<Item = (Profile, usize)> {
        let sizes = MIN_VARIABLES..=crate::commitment::MAX_VARIABLES;
        Profile::ALL
            .into_iter()
            .flat_map(move |profile| sizes.clone().map(move |n| (profile, n)))
    }

    #[test]
    fn every_size_up_to_the_limit_has_parameters_of_100_bits() {
        for (profile, n) in all() {
            let whir = HidingWhir::new(n, profile, false)
                .unwrap_or_else(|| panic!("{profile:?}: none for 2^{n}"));
            let config = whir.config();
            let bits = bits(config);
            let report = config.hiding_base_case_security_report();
            let base = report.round_by_round.proven_bits().unwrap_or(0.0);
            println!(
                "{profile:?}, 2^{n}: {bits:.1} bits, base case {base:.1}, {:?}",
                errors(config, 2)
            );
            assert!(bits >= 105.5, "{profile:?}, 2^{n}: {bits} bits");
            assert!(
                base >= 102.0,
                "{profile:?}, 2^{n}: {base} bits in the base case"
            );
            assert_eq!(config.max_pow_bits(), 0, "2^{n} grinds");
            assert_eq!(config.randomized_terminal().pow_bits, 0, "2^{n} grinds");
        }
    }

    #[test]
    fn openings_of_the_shorter_profile_are_shorter() {
        for n in MIN_VARIABLES..=crate::commitment::MAX_VARIABLES {
            let length = |profile| {
                let whir = HidingWhir::new(n, profile, false).unwrap();
                crate::opening::masked_codec::max_hiding(whir.config()).0
            };
            let (standard, short) = (length(Profile::Standard), length(Profile::Short));
            assert!(100 * short <= 97 * standard, "2^{n}: {short} of {standard}");
        }
    }

    /// Derived with floating point by a library: a change on any machine would fork the chain.
    #[test]
    fn parameters_are_pinned() {
        let mut digests = Vec::new();
        for profile in Profile::ALL {
            let mut hasher = blake3::Hasher::new();
            for n in MIN_VARIABLES..=crate::commitment::MAX_VARIABLES {
                for number in numbers(n, profile) {
                    hasher.update(&(number as u64).to_le_bytes());
                }
            }
            digests.push(hasher.finalize().to_hex()[..16].to_owned());
        }
        assert_eq!(digests, ["531bac195e0bf672", "7f330273d44f6ff1"]);
    }

    fn numbers(n: usize, profile: Profile) -> Vec<usize> {
        let config = HidingWhir::new(n, profile, false).unwrap().config;
        let rounds = config.round_parameters();
        let mut numbers = vec![
            config.randomized_terminal().num_queries,
            config.mask_queries(),
            config.sumcheck_mask().domain_size,
        ];
        numbers.extend(config.oracle_randomness());
        numbers.extend(config.switch_masks().iter().map(|m| m.domain_size));
        let round = rounds.iter();
        numbers.extend(round.flat_map(|r| [r.num_queries, r.ood_samples, r.domain_size]));
        // Every opened row is hidden by a row of randomness, and no codeword is opened whole.
        let opened = rounds.iter().map(|r| r.num_queries);
        let opened = opened.chain([config.randomized_terminal().num_queries]);
        assert!(
            opened.eq(config.oracle_randomness().iter().copied()),
            "2^{n}"
        );
        for group in config.mask_groups() {
            let shape = group.shape;
            assert_eq!(shape.randomness_len, config.mask_queries(), "2^{n}");
            assert!(config.mask_queries() < shape.domain_size / 4, "2^{n}");
        }
        numbers
    }

    #[test]
    fn an_opening_holds_for_the_committed_values_only() {
        for (profile, n) in all().filter(|(_, n)| [MIN_VARIABLES, 14].contains(n)) {
            let whir = HidingWhir::new(n, profile, true).unwrap();
            let values = polynomial(n);
            let (root, data) = whir.commit(values, StdRng::from_seed([1; 32])).unwrap();
            let mut prover = Transcript::new(b"t");
            let points: Vec<_> = (0..2).map(|_| prover.sample_point(n)).collect();
            let opening = data.open(points.clone(), &mut prover.challenger).unwrap();
            let claims: Vec<_> = points.into_iter().zip(opening.evals.clone()).collect();
            let check = |claims: Vec<(Vec<E>, E)>| {
                let mut verifier = Transcript::new(b"t");
                (0..2).for_each(|_| drop(verifier.sample_point(n)));
                let challenger = &mut verifier.challenger;
                whir.verify(&root, claims, opening.clone(), challenger)
            };
            assert!(check(claims.clone()));
            for i in 0..2 {
                let mut lie = claims.clone();
                lie[i].1 += E::ONE;
                assert!(!check(lie));
            }
        }
    }
}
