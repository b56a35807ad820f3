//! What the prover knows: every value of the run, remainders and multiplicities.

use hallmark_graph::{Graph, Trace};
use p3_field::PrimeCharacteristicRing;

use crate::field::{F, signed};
use crate::plan::{Layout, LookupTable, Plan, RequantPlan, Stacking};

/// A possibly false assignment; [`Witness::new`] derives the true one from a trace.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    /// `values[0]` is the input, `values[i + 1]` the result of node `i`; row-major.
    pub(crate) values: Vec<Vec<i32>>,
    /// Per `Requant`, the remainder of every element.
    pub(crate) remainders: Vec<Vec<u32>>,
    /// Per table, how often each row is looked up.
    pub(crate) multiplicities: Vec<Vec<u32>>,
}

/// Why a trace is not one of the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error("the trace has {actual} values, the graph {expected}")]
    ValueCount {
        /// Values of the graph.
        expected: usize,
        /// Values of the trace.
        actual: usize,
    },
    #[error("value {value} has {actual} elements, the graph says {expected}")]
    Length {
        /// Index of the value.
        value: usize,
        /// Elements by the graph.
        expected: usize,
        /// Elements in the trace.
        actual: usize,
    },
    #[error("node {node}, element {element}: {value} leaves the table's window")]
    Window {
        /// Index of the node.
        node: usize,
        /// Index of the element.
        element: usize,
        /// The value that was to be rounded.
        value: i32,
    },
}

/// Quotient and remainder of a requantisation: `v + 2^(s-1) = 2^s u + rem`.
pub(crate) fn split(v: i32, shift: usize) -> (i64, u32) {
    let rounded = i64::from(v) + rounding(shift);
    (rounded >> shift, (rounded & ((1 << shift) - 1)) as u32)
}

/// `2^(s-1)`, or 0 without a shift.
pub(crate) fn rounding(shift: usize) -> i64 {
    if shift == 0 { 0 } else { 1 << (shift - 1) }
}

impl Witness {
    /// The true witness of a trace.
    pub(crate) fn new(graph: &Graph, plan: &Plan, trace: &Trace) -> Result<Self, TraceError> {
        let expected = graph.nodes.len() + 1;
        if trace.values.len() != expected {
            return Err(TraceError::ValueCount {
                expected,
                actual: trace.values.len(),
            });
        }
        let shapes =
            std::iter::once(&graph.input.shape).chain(graph.nodes.iter().map(|n| &n.shape));
        for (value, (shape, values)) in shapes.zip(&trace.values).enumerate() {
            let expected = shape.0.iter().map(|&d| d as usize).product();
            if values.len() != expected {
                return Err(TraceError::Length {
                    value,
                    expected,
                    actual: values.len(),
                });
            }
        }
        let mut multiplicities: Vec<Vec<u32>> = plan
            .tables
            .iter()
            .map(|t| vec![0; 1 << t.table.variables()])
            .collect();
        let mut remainders = Vec::with_capacity(plan.requants.len());
        for requant in &plan.requants {
            let column = requant_column(requant, plan, &trace.values, &mut multiplicities)?;
            remainders.push(column);
        }
        Ok(Self {
            values: trace.values.clone(),
            remainders,
            multiplicities,
        })
    }

    /// The values of the committed polynomial.
    pub(crate) fn stack(&self, plan: &Plan) -> Vec<F> {
        let mut stack = Stack::new(&plan.witness);
        for (requant, remainders) in plan.requants.iter().zip(&self.remainders) {
            let y = &self.values[requant.node + 1];
            stack.fill(requant.block, requant.layout, |i| signed(i64::from(y[i])));
            for limb in &requant.limbs {
                let mask = (1 << plan.tables[limb.table].table.variables()) - 1;
                stack.fill(limb.block, requant.layout, |i| {
                    F::from_u32((remainders[i] >> limb.shift) & mask)
                });
            }
        }
        for (table, counts) in plan.tables.iter().zip(&self.multiplicities) {
            stack.fill(table.block, Layout::new(1, counts.len()), |i| {
                F::from_u32(counts[i])
            });
        }
        stack.values
    }

    /// The quotient column of a `Requant` as the verifier derives it: `(v + 2^(s-1) - rem)/2^s`.
    pub(crate) fn quotient(&self, index: usize, requant: &RequantPlan, i: usize) -> F {
        let v = self.values[requant.input as usize][i];
        let numerator =
            i64::from(v) + rounding(requant.shift) - i64::from(self.remainders[index][i]);
        let quotient = numerator >> requant.shift;
        if quotient << requant.shift == numerator {
            signed(quotient)
        } else {
            signed(numerator) * F::ONE.halve().exp_u64(requant.shift as u64)
        }
    }
}

fn requant_column(
    requant: &RequantPlan,
    plan: &Plan,
    values: &[Vec<i32>],
    multiplicities: &mut [Vec<u32>],
) -> Result<Vec<u32>, TraceError> {
    let input = &values[requant.input as usize];
    let LookupTable::Clamp { bits, .. } = plan.tables[requant.table].table else {
        unreachable!("a requantisation looks up its activation table");
    };
    let half = 1i64 << (bits - 1);
    let mut remainders = Vec::with_capacity(input.len());
    for (element, &value) in input.iter().enumerate() {
        let (quotient, remainder) = split(value, requant.shift);
        let row = usize::try_from(quotient + half)
            .ok()
            .filter(|&row| row < 1 << bits)
            .ok_or(TraceError::Window {
                node: requant.node,
                element,
                value,
            })?;
        multiplicities[requant.table][row] += 1;
        for limb in &requant.limbs {
            let mask = (1u32 << plan.tables[limb.table].table.variables()) - 1;
            multiplicities[limb.table][((remainder >> limb.shift) & mask) as usize] += 1;
        }
        remainders.push(remainder);
    }
    Ok(remainders)
}

/// A polynomial under construction.
pub(crate) struct Stack<'a> {
    stacking: &'a Stacking,
    pub(crate) values: Vec<F>,
}

impl<'a> Stack<'a> {
    pub(crate) fn new(stacking: &'a Stacking) -> Self {
        Self {
            stacking,
            values: F::zero_vec(1 << stacking.variables),
        }
    }

    /// Writes the row-major elements of a layout into a block; padding stays zero.
    pub(crate) fn fill(&mut self, block: usize, layout: Layout, value: impl Fn(usize) -> F) {
        let block = self.stacking.blocks[block];
        let target = &mut self.values[block.offset..block.offset + (1 << block.variables)];
        for i in 0..layout.elements() {
            target[layout.position(i)] = value(i);
        }
    }
}

/// A value's elements placed in a layout, zero-padded.
pub(crate) fn place(values: &[i32], layout: Layout) -> Vec<F> {
    let mut table = F::zero_vec(1 << layout.variables());
    for (i, &v) in values.iter().enumerate() {
        table[layout.position(i)] = signed(i64::from(v));
    }
    table
}
