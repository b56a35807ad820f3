//! What a verification costs, in integers that follow from the key alone.

use crate::key::VerifyingKey;
use crate::plan::Step;
use crate::proof::max_opening;

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

impl VerifyCost {
    pub(crate) fn new(vk: &VerifyingKey) -> Self {
        let plan = vk.plan();
        let graph = vk.graph();
        let input = graph.input_len() as u64;
        let output = graph.output_len() as u64;

        // One multiplication an element for every direct evaluation, plus its weights.
        let mut operations = 2 * output;
        for evaluation in &plan.evaluations {
            if evaluation.value == 0 {
                operations += 2 * input;
            }
        }
        // Planning and bookkeeping.
        operations += 64 * plan.evaluations.len() as u64 + 64 * graph.nodes.len() as u64;
        let depth = plan.lookup.variables as u64;
        operations += 8 * depth * (depth + 1) + 4 * depth * plan.lookup.blocks.len() as u64;
        for table in &plan.tables {
            operations += 8 * table.table.variables() as u64;
        }
        let (mut witness_claims, mut weight_claims) = (
            plan.committed_evaluations().len() as u64 + plan.tables.len() as u64,
            0u64,
        );
        for requant in &plan.requants {
            witness_claims += requant.limbs.len() as u64;
            operations += 8 * requant.layout.variables() as u64;
        }
        for step in &plan.steps {
            operations += match step {
                Step::Linear { linear, .. } => {
                    weight_claims += 2;
                    let l = &plan.linears[*linear];
                    16 * (l.inner_variables() + l.row_variables() + l.col_variables()) as u64 + 32
                }
                Step::Add { .. } => 8,
                Step::Relayout { claim, native, .. } => {
                    let from = plan.evaluations[*claim].layout;
                    let to = plan.evaluations[native.id].layout;
                    (1u64 << from.variables())
                        + (1 << to.variables())
                        + 2 * to.elements() as u64
                        + 16 * to.variables() as u64
                }
            };
        }

        let mut hashes = 0u64;
        for (scheme, claims) in [
            (vk.witness_scheme(), witness_claims),
            (vk.weight_scheme(), weight_claims),
        ] {
            let config = scheme.config();
            let variables = config.num_variables() as u64;
            // A claim costs a point's extension and, measured, as much again in the library.
            operations += claims * (8 * variables + 64);
            operations += crate::proof::opening_operations(config);
            hashes += max_opening(config).1 as u64;
        }
        // Every element is absorbed, every challenge squeezed: about two compressions each.
        let messages = plan.elements as u64;
        hashes += 2 * messages + (input + output) / 8;
        let bytes = vk.max_proof_len() as u64 + 4 * (input + output) + vk.encode().len() as u64;
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

/// The work of one proof.
#[must_use]
pub fn work(vk: &VerifyingKey) -> Work {
    let plan = vk.plan();
    let elements = |stacking: &crate::plan::Stacking| {
        stacking.blocks.iter().map(|b| 1usize << b.variables).sum()
    };
    Work {
        lookups: plan
            .requants
            .iter()
            .map(|r| r.layout.elements() * (1 + r.limbs.len()))
            .sum(),
        committed: elements(&plan.witness),
        weights: elements(&plan.weights),
    }
}
