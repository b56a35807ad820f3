//! What the prover knows: every value of the run, limbs and multiplicities.

use hallmark_graph::{Graph, Op, Trace};
use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::field::{E, F, signed};
use crate::pieces::Part;
use crate::plan::{Content, Dims, Home, InputCheck, Limb, LookupTable, Origin, Plan};
use crate::private::{InputSecret, Layout, Opened};
use crate::sponge::{self, RATE};

/// A possibly false assignment; [`Witness::new`] derives the true one from a trace.
#[derive(Clone, Debug)]
pub(crate) struct Witness<'a> {
    /// Every value of the graph, constants taken from the model.
    pub(crate) values: Vec<&'a [i32]>,
    /// The entries of the explicit tables.
    tables: &'a [Vec<i32>],
    /// Per `Lookup`, its limbs.
    pub(crate) remainders: Vec<Vec<Vec<i32>>>,
    /// Per `Shift`, the limbs of the remainder, then those of the quotient.
    pub(crate) shifts: Vec<Vec<Vec<i32>>>,
    /// Per private input, its limbs.
    pub(crate) inputs: Vec<Vec<Vec<i32>>>,
    /// Per table, how often each row is looked up.
    pub(crate) counts: Vec<Vec<u32>>,
    /// What opens the commitment to private inputs.
    pub(crate) private: Option<Private>,
}

/// The opening of a commitment to inputs, and the sponge's columns.
#[derive(Clone, Debug)]
pub(crate) struct Private {
    pub(crate) salt: Vec<F>,
    /// Per output, its pads.
    pub(crate) pads: Vec<Vec<F>>,
    /// Lane after lane.
    pub(crate) capacities: Vec<F>,
    /// What is cubed, lane after lane.
    pub(crate) cubed: Vec<F>,
    pub(crate) cubes: Vec<F>,
    pub(crate) digest: [F; RATE],
}

impl Private {
    /// The true opening of flat inputs under a secret.
    pub(crate) fn new(layout: &Layout, inputs: &[i32], secret: &InputSecret) -> Self {
        let opened = Opened::new(layout, inputs, secret);
        let sponge = sponge::absorb(&opened.message, layout.start);
        let cubed = sponge::cubed(&opened.message, layout.start, &sponge);
        let lane = |lane: usize| sponge.capacities.iter().map(move |c| c[lane]);
        let mut rest = &opened.pads[..];
        let pads = layout.outputs.iter().map(|(dims, _)| {
            let (head, tail) = rest.split_at(dims.elements());
            rest = tail;
            head.to_vec()
        });
        Self {
            salt: opened.salt.to_vec(),
            pads: pads.collect(),
            capacities: (0..RATE).flat_map(lane).collect(),
            cubes: cubed
                .par_iter()
                .with_min_len(1 << 12)
                .map(|x| x.cube())
                .collect(),
            cubed,
            digest: sponge.digest,
        }
    }

    fn column(&self, plan: &Plan, content: Content) -> &[F] {
        match content {
            Content::Pads(output) => &self.pads[output],
            Content::Salt => &self.salt,
            Content::Capacities => &self.capacities,
            Content::Cubes(index) => {
                let permutations = self.capacities.len() / RATE;
                let (first, lanes) = crate::binding::CUBE_BLOCKS[index];
                &self.cubes[first * permutations..][..permutations << lanes]
            }
            _ => {
                debug_assert!(plan.binding.is_none(), "not a column of the sponge");
                &[]
            }
        }
    }
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
        /// The value that was to be looked up.
        value: i32,
    },
    #[error("input {input}, element {element}: {value} is out of range")]
    Input {
        /// Index of the input.
        input: usize,
        /// Index of the element.
        element: usize,
        /// The value.
        value: i32,
    },
}

/// Quotient and remainder of a rounding shift: `v + 2^(s-1) = 2^s u + rem`.
pub(crate) fn split(v: i32, shift: usize) -> (i64, u32) {
    let rounded = i64::from(v) + rounding(shift);
    (rounded >> shift, (rounded & ((1 << shift) - 1)) as u32)
}

/// `2^(s-1)`, or 0 without a shift.
pub(crate) fn rounding(shift: usize) -> i64 {
    if shift == 0 { 0 } else { 1 << (shift - 1) }
}

/// A column that is committed: elements, and what padding holds.
pub(crate) struct Column<'a> {
    pub(crate) dims: Dims,
    pub(crate) values: ColumnValues<'a>,
    pub(crate) pad: i32,
}

/// The elements of a column.
#[derive(Clone, Copy)]
pub(crate) enum ColumnValues<'a> {
    Signed(&'a [i32]),
    Counts(&'a [u32]),
    Field(&'a [F]),
}

impl Column<'_> {
    /// The padded column.
    pub(crate) fn padded(&self) -> Vec<F> {
        let pad = signed(i64::from(self.pad));
        let mut table = F::zero_vec(1 << self.dims.variables());
        match self.values {
            ColumnValues::Signed(values) => {
                let value = |i: usize| signed(i64::from(values[i]));
                self.dims.place(&mut table, pad, value);
            }
            ColumnValues::Counts(counts) => {
                let value = |i: usize| F::from_u32(counts[i]);
                self.dims.place(&mut table, pad, value);
            }
            ColumnValues::Field(values) => self.dims.place(&mut table, pad, |i| values[i]),
        }
        table
    }

    /// Writes a part of the padded column.
    fn place(&self, part: Part<'_, F>) {
        let pad = signed(i64::from(self.pad));
        match self.values {
            ColumnValues::Signed(values) => part.place(pad, |i| signed(i64::from(values[i]))),
            ColumnValues::Counts(counts) => part.place(pad, |i| F::from_u32(counts[i])),
            ColumnValues::Field(values) => part.place(pad, |i| values[i]),
        }
    }

    /// The column's extension.
    pub(crate) fn evaluate(&self, point: &[E]) -> E {
        let pad = signed(i64::from(self.pad));
        match self.values {
            ColumnValues::Signed(values) => {
                let sum = self.dims.evaluate(values, point);
                sum + (E::ONE - self.dims.presence(point)) * pad
            }
            ColumnValues::Counts(counts) => {
                // At most as many as there are leaves in the tree: below 2^27.
                let counts: Vec<i32> = counts.iter().map(|&count| count as i32).collect();
                self.dims.evaluate(&counts, point)
            }
            ColumnValues::Field(values) => self
                .dims
                .weights(point)
                .into_iter()
                .zip(values)
                .fold(E::ZERO, |sum, (w, &v)| sum + w * v),
        }
    }
}

impl<'a> Witness<'a> {
    /// The true witness of a trace.
    pub(crate) fn new(
        graph: &Graph,
        plan: &Plan,
        constants: &'a [Vec<i32>],
        tables: &'a [Vec<i32>],
        trace: &'a Trace,
    ) -> Result<Self, TraceError> {
        let expected = graph.value_count();
        if trace.values.len() != expected {
            return Err(TraceError::ValueCount {
                expected,
                actual: trace.values.len(),
            });
        }
        let mut values: Vec<&'a [i32]> = trace.values.iter().map(Vec::as_slice).collect();
        for (node, n) in graph.nodes.iter().enumerate() {
            if let Op::Constant { constant } = n.op {
                values[graph.value_of(node) as usize] = &constants[constant as usize];
            }
        }
        for (value, (dims, values)) in plan.dims.iter().zip(&values).enumerate() {
            let expected = dims.elements();
            if values.len() != expected {
                return Err(TraceError::Length {
                    value,
                    expected,
                    actual: values.len(),
                });
            }
        }
        let mut counts: Vec<Vec<u32>> = plan
            .tables
            .iter()
            .map(|t| vec![0; 1 << t.table.variables()])
            .collect();

        let mut remainders = Vec::with_capacity(plan.lookups.len());
        for lookup in &plan.lookups {
            let input = values[lookup.input as usize];
            let half = 1i64 << (plan.tables[lookup.table].table.variables() - 1);
            let absent = padding(&plan.dims[lookup.value as usize]);
            let rows = &mut counts[lookup.table];
            for (element, &value) in input.iter().enumerate() {
                let row = split(value, lookup.shift).0 + half;
                let row = usize::try_from(row).ok().filter(|&row| row < rows.len());
                let Some(row) = row else {
                    return Err(TraceError::Window {
                        node: lookup.node,
                        element,
                        value,
                    });
                };
                rows[row] += 1;
            }
            rows[half as usize] += absent;
            let remainder = |v: i32| split(v, lookup.shift).1;
            remainders.push(limbs(&lookup.limbs, input, absent, &mut counts, remainder));
        }

        let mut shifts = Vec::with_capacity(plan.shifts.len());
        for shift in &plan.shifts {
            let input = values[shift.input as usize];
            let absent = padding(&plan.dims[shift.input as usize]);
            let half = 1i64 << (shift.bits - 1);
            let inside = |&v: &i32| (-half..half).contains(&split(v, shift.shift).0);
            if let Some(element) = input.iter().position(|v| !inside(v)) {
                return Err(TraceError::Window {
                    node: shift.node,
                    element,
                    value: input[element],
                });
            }
            let remainder = |v: i32| split(v, shift.shift).1;
            let quotient = |v: i32| (split(v, shift.shift).0 + half) as u32;
            let mut all = limbs(&shift.remainder, input, absent, &mut counts, remainder);
            all.extend(limbs(&shift.quotient, input, absent, &mut counts, quotient));
            shifts.push(all);
        }

        let mut inputs = Vec::with_capacity(plan.inputs.len());
        for input in &plan.inputs {
            let elements = values[input.value as usize];
            let inside = |v: &i32| (input.lo..=input.hi).contains(v);
            if let Some(element) = elements.iter().position(|v| !inside(v)) {
                return Err(TraceError::Input {
                    input: input.value as usize,
                    element,
                    value: elements[element],
                });
            }
            let absent = padding(&plan.dims[input.value as usize]);
            inputs.push(match &input.check {
                InputCheck::Table { table, .. } => {
                    let rows = &mut counts[*table];
                    for &value in elements {
                        rows[value.abs_diff(input.lo) as usize] += 1;
                    }
                    rows[plan.tables[*table].table.members()] += absent;
                    Vec::new()
                }
                InputCheck::Limbs { above, below } => {
                    let mut columns = Vec::new();
                    for (part, end) in [(above, input.lo), (below, input.hi)] {
                        let distance = |v: i32| v.abs_diff(end);
                        columns.extend(limbs(part, elements, 0, &mut counts, distance));
                        // Padding is neither above nor below.
                        for limb in part {
                            counts[limb.table][0] += absent;
                        }
                    }
                    columns
                }
            });
        }
        Ok(Self {
            values,
            tables,
            remainders,
            shifts,
            inputs,
            counts,
            private: None,
        })
    }

    /// With the opening of a commitment to flat inputs.
    pub(crate) fn with_secret(mut self, plan: &Plan, inputs: &[i32], secret: &InputSecret) -> Self {
        let binding = plan.binding.as_ref();
        self.private = binding.map(|b| Private::new(&b.layout, inputs, secret));
        self
    }

    /// What a block of the witness commitment holds.
    pub(crate) fn column(&self, plan: &Plan, block: usize) -> Column<'_> {
        let content = plan.contents[block];
        let (values, pad) = match content {
            Content::Value(value) => {
                let pad = match plan.homes[value as usize] {
                    Home::Witness { origin, .. } => self.origin(plan, origin),
                    _ => 0,
                };
                let values = self.values[value as usize];
                (ColumnValues::Signed(values), pad)
            }
            Content::Remainder(lookup, limb) => {
                let values = &self.remainders[lookup][limb];
                let pad = plan.limb_of_zero(content);
                (ColumnValues::Signed(values), pad as i32)
            }
            Content::Shift(shift, limb) => {
                let values = &self.shifts[shift][limb];
                let pad = plan.limb_of_zero(content);
                (ColumnValues::Signed(values), pad as i32)
            }
            Content::Input(input, limb) => (ColumnValues::Signed(&self.inputs[input][limb]), 0),
            Content::Counts(table) => (ColumnValues::Counts(&self.counts[table]), 0),
            content => {
                let private = self.private.as_ref();
                let values = private.map_or(&[][..], |p| p.column(plan, content));
                (ColumnValues::Field(values), 0)
            }
        };
        Column {
            dims: plan.block_dims(content),
            values,
            pad,
        }
    }

    /// What padding holds of a committed value.
    pub(crate) fn origin(&self, plan: &Plan, origin: Origin) -> i32 {
        match origin {
            Origin::Integer(integer) => integer,
            Origin::Entry(id) => plan
                .tables
                .iter()
                .find(|t| t.entries.is_some_and(|(_, origin)| origin.id == id))
                .and_then(|t| match t.table {
                    LookupTable::Explicit { bits, table } => Some((bits, table)),
                    _ => None,
                })
                .map_or(0, |(bits, table)| self.tables[table][1 << (bits - 1)]),
        }
    }

    /// The entries of an explicit table.
    pub(crate) fn entries(&self, table: usize) -> &'a [i32] {
        &self.tables[table]
    }

    /// The values of the committed polynomial.
    pub(crate) fn stack(&self, plan: &Plan) -> Vec<F> {
        let mut stack = F::zero_vec(1 << plan.witness.variables());
        plan.witness.fill(&mut stack, |block, part| {
            self.column(plan, block).place(part)
        });
        stack
    }

    /// The quotient of an element of a `Lookup` as the verifier derives it:
    /// `(v + 2^(s-1) - rem)/2^s`, `inverse` being `2^-s`.
    pub(crate) fn quotient(&self, plan: &Plan, index: usize, i: usize, inverse: F) -> F {
        let lookup = &plan.lookups[index];
        let mut numerator =
            i64::from(self.values[lookup.input as usize][i]) + rounding(lookup.shift);
        for (limb, column) in lookup.limbs.iter().zip(&self.remainders[index]) {
            numerator -= i64::from(column[i]) << limb.shift;
        }
        signed(numerator) * inverse
    }
}

/// Elements of the padding of a tensor.
fn padding(dims: &Dims) -> u32 {
    ((1usize << dims.variables()) - dims.elements()) as u32
}

/// The limbs of one number an element, counted in their range tables; a number of 0 is what
/// padding makes of 0.
fn limbs(
    limbs: &[Limb],
    input: &[i32],
    absent: u32,
    counts: &mut [Vec<u32>],
    number: impl Fn(i32) -> u32 + Sync,
) -> Vec<Vec<i32>> {
    limbs
        .iter()
        .map(|limb| {
            let column: Vec<i32> = input
                .par_iter()
                .with_min_len(1 << 12)
                .map(|&v| limb.of(number(v)) as i32)
                .collect();
            let rows = &mut counts[limb.table];
            for &value in &column {
                rows[value as usize] += 1;
            }
            rows[limb.of(number(0)) as usize] += absent;
            column
        })
        .collect()
}
