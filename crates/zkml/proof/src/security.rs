//! Soundness of a proof for a key: every error term, and their sum.
//!
//! All terms are proven bounds (Johnson regime for proximity, no conjecture, no grinding). Terms
//! outside the commitments are multiplied by the number of polynomials that a WHIR root leaves
//! open until it is queried: a prover may fit any of them. Fiat-Shamir is in the random-oracle
//! model: a cheat that hashes `2^k` times succeeds with at most `2^k` times this error.

use crate::key::VerifyingKey;
use crate::opening::hiding::HidingScheme;
use crate::plan::{Home, Mode, Plan, Step, Target};
use crate::proof::MAX_BATCH;

/// What every profile promises. A key of less is neither made nor read.
pub(crate) const LEAST_BITS: f64 = 100.0;
/// A lower bound of `log2 |E|`.
const FIELD_BITS: f64 = 154.0;
/// Work to find a collision of BLAKE3.
const HASH_BITS: f64 = 128.0;

/// Work to find a collision of the sponge: half its capacity of 8 elements.
const SPONGE_BITS: f64 = 123.9;

/// One way to cheat, and minus the logarithm of its chance.
#[derive(Clone, Debug, PartialEq)]
pub struct SecurityTerm {
    /// What the term is of.
    pub name: &'static str,
    /// `-log2` of the probability.
    pub bits: f64,
}

/// Soundness, term by term.
#[derive(Clone, Debug, PartialEq)]
pub struct SecurityReport {
    /// Every term; the sum of their probabilities bounds a cheat's chance.
    pub terms: Vec<SecurityTerm>,
}

impl SecurityReport {
    /// `-log2` of the sum of all terms.
    #[must_use]
    pub fn bits(&self) -> f64 {
        -self
            .terms
            .iter()
            .map(|t| (-t.bits).exp2())
            .sum::<f64>()
            .log2()
    }
}

/// The soundness of proofs of public inputs for a key.
#[must_use]
pub fn security_report(vk: &VerifyingKey) -> SecurityReport {
    report(vk, vk.plan(), None)
}

/// The soundness of proofs of private inputs for a key; `None` where it has none.
#[must_use]
pub fn private_security_report(vk: &VerifyingKey) -> Option<SecurityReport> {
    let private = vk.private()?;
    Some(report(vk, &private.plan, Some(&private.scheme)))
}

/// Most runs that one proof of a mode may join: the chance of a cheat grows with their number, and must
/// stay below `2^-100`. None where the key has no proofs of the mode.
#[must_use]
pub fn max_batch(vk: &VerifyingKey, mode: Mode) -> usize {
    let report = match mode {
        Mode::Public => Some(security_report(vk)),
        Mode::PrivateInput => private_security_report(vk),
    };
    let spare = report.map_or(-1.0, |report| report.bits() - LEAST_BITS);
    if spare < 0.0 {
        return 0;
    }
    (spare.exp2() as usize).min(MAX_BATCH)
}

pub(crate) fn report(
    vk: &VerifyingKey,
    plan: &Plan,
    hiding: Option<&HidingScheme>,
) -> SecurityReport {
    let depth = plan.lookup.variables as f64;
    let mut rounds = 0usize;
    for step in &plan.steps {
        rounds += match step {
            // The powers of a challenge that joins the claims, then the rounds.
            Step::Merge { claims, sum, .. } => claims.len() + 2 * sum.len(),
            Step::MatMul(m) => 3 * m.sum.len(),
            Step::Mul { sum, .. } => 3 * sum.len(),
            Step::Map { sum, .. } => 2 * sum.len(),
            Step::Combine { .. } | Step::Pass { .. } | Step::Quotient { .. } => 0,
        };
    }
    let mut witness_claims = 0;
    let mut weight_claims = vec![0; plan.weights.packings.len()];
    for evaluation in &plan.evaluations {
        match evaluation.target {
            Target::Value(value) => match plan.homes[value as usize] {
                Home::Witness { .. } => witness_claims += 1,
                Home::Weights { block } => weight_claims[plan.weights.places[block].0] += 1,
                Home::Public | Home::Virtual => {}
            },
            Target::Witness(_) => witness_claims += 1,
            Target::Weights(block) => weight_claims[plan.weights.places[block].0] += 1,
        }
    }
    let output_variables = plan.output_points.iter().map(|p| p.len()).max();
    let (witness, witness_list) = match hiding {
        None => {
            let (bits, list) = vk.witness_scheme().security(witness_claims);
            (vec![("WHIR, witness", bits)], list)
        }
        // Unique decoding: a root leaves one polynomial. A constraint comes with a message that is
        // padded, or is the only one of its step; four linear claims and a few more.
        Some(scheme) => {
            let claims = witness_claims + plan.elements + plan.steps.len() + 8;
            (scheme.errors(claims), 0.0)
        }
    };
    let shards: Vec<(f64, f64)> = vk
        .weight_schemes()
        .iter()
        .zip(weight_claims)
        .map(|(scheme, claims)| scheme.security(claims))
        .collect();
    let candidates = witness_list + shards.iter().map(|s| s.1).sum::<f64>();
    // The probabilities of all shards added up.
    let weights = -shards.iter().map(|s| (-s.0).exp2()).sum::<f64>().log2();

    let algebraic = |name, degree: f64| SecurityTerm {
        name,
        bits: FIELD_BITS - degree.max(1.0).log2() - candidates,
    };
    let plain = |name, bits| SecurityTerm { name, bits };
    SecurityReport {
        terms: vec![
            algebraic(
                "output evaluations",
                (output_variables.unwrap_or(0) * plan.outputs.len()) as f64,
            ),
            // Degree of the cross-multiplied identity in (alpha, beta).
            algebraic("lookup fingerprints", 2.0 * depth.exp2()),
            // A round of degree 3, lambda and mu of every layer.
            algebraic("lookup tree", 1.5 * depth * (depth - 1.0) + 2.0 * depth),
            algebraic("sumchecks of nodes", rounds as f64),
            algebraic("rounding shifts", plan.shifts.len() as f64 * depth),
            plain("WHIR, weights", weights),
            plain("BLAKE3 collision", HASH_BITS),
        ]
        .into_iter()
        .chain(witness.into_iter().map(|(name, bits)| plain(name, bits)))
        .chain(plan.binding.iter().flat_map(|binding| {
            let rounds = (crate::sponge::LANE_BITS + binding.layout.permutations) as f64;
            [
                // The equality, rounds of degree 3, and the lanes and rows of the capacities.
                algebraic("input commitment", 5.0 * rounds + 6.0),
                plain("Poseidon2 collision", SPONGE_BITS),
            ]
        }))
        .collect(),
    }
}
