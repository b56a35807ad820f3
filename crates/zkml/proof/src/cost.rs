//! What a verification costs, in integers that follow from the key alone.

use crate::key::VerifyingKey;
use crate::opening::codec::opening_operations;
use crate::opening::masked_codec::hiding_operations;
use crate::plan::{GroupKind, Home, Mode, Origin, Plan, Step, Target};
use crate::proof::WitnessConfig;

/// Deterministic units of verification work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyCost {
    /// Multiplications in the extension field.
    pub field_operations: u64,
    /// Compressions of BLAKE3: Merkle paths, leaves and transcript.
    pub hashes: u64,
    /// Bytes read: longest proof, input, output, encoded key.
    pub bytes: u64,
}

/// Gas per unit; 1,000,000 gas is 1 ms of one core. Measured figures are in `docs/benchmarks.md`.
const GAS_BASE: u64 = 100_000;
const GAS_PER_FIELD_OPERATION: u64 = 60;
const GAS_PER_HASH: u64 = 300;
const GAS_PER_BYTE: u64 = 4;

/// Multiplications of one reduction: a few a round, and what a map weighs element by element.
fn step_operations(step: &Step) -> u64 {
    match step {
        Step::Merge { claims, sum, .. } => (16 + 4 * claims.len() as u64) * sum.len() as u64 + 32,
        Step::MatMul(m) => 20 * m.sum.len() as u64 + 32,
        Step::Mul { sum, .. } => 20 * sum.len() as u64 + 32,
        Step::Combine { terms, .. } => 32 + 4 * terms.len() as u64,
        Step::Pass { .. } => 32,
        Step::Quotient { limbs, .. } => 32 + 4 * limbs.len() as u64,
        Step::Map { map, sum, .. } => map.groups.iter().fold(
            16 * sum.len() as u64 + 64 * map.factors.len() as u64 + 32,
            |operations, group| match &group.kind {
                GroupKind::Bound(_) => operations,
                GroupKind::Axis { from, .. } | GroupKind::Relayout { from, .. } => {
                    // Weights of both sides, and a product for every element.
                    operations + (3 << from.variables()) + (2 << group.dims.variables())
                }
            },
        ),
    }
}

impl VerifyCost {
    /// Of a proof under a plan of the key's graph, `longest` bytes long at most.
    pub(crate) fn new(
        vk: &VerifyingKey,
        plan: &Plan,
        witness: WitnessConfig<'_>,
        longest: usize,
    ) -> Self {
        let graph = vk.graph();
        let input = graph.input_len() as u64;
        let output = graph.output_len() as u64;

        // One multiplication an element for every direct evaluation, plus its weights.
        let mut operations = 2 * output;
        let mut witness_claims = 0u64;
        let mut weight_claims = vec![0u64; plan.weights.packings.len()];
        for evaluation in &plan.evaluations {
            operations += 64 + 8 * evaluation.point.len() as u64;
            let home = match evaluation.target {
                Target::Value(value) => {
                    let value = value as usize;
                    if plan.homes[value] == Home::Public {
                        operations += 2 * plan.dims[value].elements() as u64;
                    }
                    plan.homes[value]
                }
                Target::Witness(block) => Home::Witness {
                    block,
                    origin: Origin::Integer(0),
                },
                Target::Weights(block) => Home::Weights { block },
            };
            match home {
                // A claim is weighed piece by piece.
                Home::Witness { block, .. } => {
                    witness_claims += plan.witness.stored[block].pieces() as u64;
                }
                Home::Weights { block } => {
                    let pieces = plan.weights.stored(block).pieces() as u64;
                    weight_claims[plan.weights.places[block].0] += pieces;
                }
                Home::Public | Home::Virtual => {}
            }
        }
        // Planning and bookkeeping.
        operations += 64 * graph.nodes.len() as u64;
        let depth = plan.lookup.variables as u64;
        operations += 8 * depth * (depth + 1) + 4 * depth * plan.lookup.blocks.len() as u64;
        for table in &plan.tables {
            operations += 8 * table.table.variables() as u64;
        }
        operations += plan.steps.iter().map(step_operations).sum::<u64>();

        let mut hashes = 0u64;
        let mut open = |config: WitnessConfig<'_>, claims: u64| {
            let (variables, opening) = match config {
                WitnessConfig::Plain(c) => (c.num_variables(), opening_operations(c)),
                WitnessConfig::Hiding(c) => (c.num_variables(), hiding_operations(c)),
            };
            // The equality of every claim with the point that the reduction ends in.
            let variables = variables as u64;
            operations += claims * (4 * variables + 32) + 16 * variables + opening;
            hashes += config.most().1 as u64;
        };
        open(witness, witness_claims);
        for (scheme, claims) in vk.weight_schemes().iter().zip(weight_claims) {
            open(WitnessConfig::Plain(scheme.whir().config()), claims);
        }
        if let Some(binding) = &plan.binding {
            operations += binding.operations();
        }
        // Every element is absorbed, every challenge squeezed: about two compressions each.
        let messages = plan.elements as u64;
        hashes += 2 * messages + (input + output) / 8;
        let bytes = longest as u64 + 4 * (input + output) + vk.encode().len() as u64;
        Self {
            field_operations: operations,
            hashes,
            bytes,
        }
    }

    /// Gas of one verification: 1 ms of CPU is 1,000,000 gas, rounded up generously.
    #[must_use]
    pub fn gas(&self) -> u64 {
        GAS_BASE
            + GAS_PER_FIELD_OPERATION * self.field_operations
            + GAS_PER_HASH * self.hashes
            + GAS_PER_BYTE * self.bytes
    }
}

/// What a proof for a key has to do, in the units that its cost is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Lookups of the network, table rows not counted.
    pub lookups: usize,
    /// Elements of the witness commitment, padding of its blocks included.
    pub committed: usize,
    /// Elements of the weight commitment, padding of its blocks included.
    pub weights: usize,
}

/// The work of one proof of a mode; `None` where the key has no such proofs.
#[must_use]
pub fn work(vk: &VerifyingKey, mode: Mode) -> Option<Work> {
    let plan = match mode {
        Mode::Public => vk.plan(),
        Mode::PrivateInput => &vk.private()?.plan,
    };
    let limbs = |value: u32, limbs: usize| plan.dims[value as usize].elements() * limbs;
    let lookups = plan
        .lookups
        .iter()
        .map(|l| limbs(l.value, 1 + l.limbs.len()));
    let shifts = plan
        .shifts
        .iter()
        .map(|s| limbs(s.input, s.remainder.len() + s.quotient.len()));
    Some(Work {
        lookups: lookups.chain(shifts).sum(),
        committed: plan.witness.elements(),
        weights: plan.weights.elements(),
    })
}
