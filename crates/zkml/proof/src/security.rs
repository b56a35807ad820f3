//! Soundness of a proof for a key: every error term, and their sum.
//!
//! All terms are proven bounds (Johnson regime for proximity, no conjecture, no grinding). Terms
//! outside the commitments are multiplied by the number of polynomials that a WHIR root leaves
//! open until it is queried: a prover may fit any of them. Fiat-Shamir is in the random-oracle
//! model: a cheat that hashes `2^k` times succeeds with at most `2^k` times this error.

use crate::key::VerifyingKey;
use crate::plan::Step;

/// A lower bound of `log2 |E|`.
const FIELD_BITS: f64 = 154.0;
/// Work to find a collision of BLAKE3.
const HASH_BITS: f64 = 128.0;

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

/// The soundness of proofs for a key.
#[must_use]
pub fn security_report(vk: &VerifyingKey) -> SecurityReport {
    let plan = vk.plan();
    let depth = plan.lookup.variables as f64;
    let mut rounds = 0usize;
    let mut weight_claims = 0;
    for step in &plan.steps {
        match step {
            Step::Linear { linear, .. } => {
                weight_claims += 2;
                let l = &plan.linears[*linear];
                rounds += l.degree() * l.inner_variables();
            }
            Step::Relayout { native, .. } => {
                rounds += 2 * plan.evaluations[native.id].layout.variables();
            }
            Step::Add { .. } => {}
        }
    }
    let witness_claims = plan.committed_evaluations().len()
        + plan.tables.len()
        + plan.requants.iter().map(|r| r.limbs.len()).sum::<usize>();
    let (witness, witness_list) = vk.witness_scheme().security(witness_claims);
    let (weights, weight_list) = vk.weight_scheme().security(weight_claims);
    let candidates = witness_list + weight_list;

    let algebraic = |name, degree: f64| SecurityTerm {
        name,
        bits: FIELD_BITS - degree.max(1.0).log2() - candidates,
    };
    let plain = |name, bits| SecurityTerm { name, bits };
    SecurityReport {
        terms: vec![
            algebraic("output evaluation", plan.output_layout.variables() as f64),
            // Degree of the cross-multiplied identity in (alpha, beta).
            algebraic("lookup fingerprints", 2.0 * depth.exp2()),
            // A round of degree 3, lambda and mu of every layer.
            algebraic("lookup tree", 1.5 * depth * (depth - 1.0) + 2.0 * depth),
            algebraic("sumchecks of nodes", rounds as f64),
            plain("WHIR, witness", witness),
            plain("WHIR, weights", weights),
            plain("BLAKE3 collision", HASH_BITS),
        ],
    }
}
