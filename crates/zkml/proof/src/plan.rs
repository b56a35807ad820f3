//! The plan of a proof: everything about its shape that follows from the graph alone.
//!
//! Prover and verifier interpret the same plan, so a proof has no shape of its own: no count,
//! length or index is ever read from it.

use std::collections::BTreeMap;

use hallmark_graph::{Graph, Op, Table, ValueId};

use p3_field::PrimeCharacteristicRing;

use crate::field::{E, log2_ceil};

/// Most evaluations that a plan may track: graphs whose residual sums fan out further are refused.
const MAX_EVALUATIONS: usize = 1 << 14;
/// Most variables of the lookup tree.
const MAX_LOOKUP_VARIABLES: usize = 26;
/// Most variables of a value whose layout changes: the verifier weighs every element.
const MAX_RELAYOUT_VARIABLES: usize = 18;
/// Widest limb of a remainder.
const MAX_LIMB_BITS: usize = 16;

/// Why no plan exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The residual structure leads to too many evaluation claims.
    #[error("the graph needs more than {MAX_EVALUATIONS} evaluation claims")]
    TooManyEvaluations,
    /// The lookups do not fit one tree.
    #[error("the graph needs 2^{0} lookups and table rows, at most 2^{MAX_LOOKUP_VARIABLES} fit")]
    TooManyLookups(usize),
    /// A value is re-read along other axes, and is too large for the verifier to do so.
    #[error(
        "value {value} is re-read in other rows and columns and has more than \
         2^{MAX_RELAYOUT_VARIABLES} padded elements"
    )]
    Relayout {
        /// The value.
        value: ValueId,
    },
    /// A committed polynomial is too large.
    #[error("{what} needs 2^{variables} committed elements, at most 2^{max} fit")]
    TooLarge {
        /// Which commitment.
        what: &'static str,
        /// Variables needed.
        variables: usize,
        /// Variables allowed.
        max: usize,
    },
}

/// How a value lies on the hypercube: `rows × cols`, each axis padded to a power of two.
///
/// Layouts are normalised: where padding per axis and padding at the end give the same array
/// (one row, or `cols` a power of two) the layout is one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Layout {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Layout {
    pub(crate) fn new(rows: usize, cols: usize) -> Self {
        if rows == 1 || cols.is_power_of_two() {
            Self {
                rows: 1,
                cols: rows * cols,
            }
        } else {
            Self { rows, cols }
        }
    }

    pub(crate) fn elements(&self) -> usize {
        self.rows * self.cols
    }

    pub(crate) fn row_variables(&self) -> usize {
        log2_ceil(self.rows)
    }

    pub(crate) fn col_variables(&self) -> usize {
        log2_ceil(self.cols)
    }

    pub(crate) fn variables(&self) -> usize {
        self.row_variables() + self.col_variables()
    }

    /// Position on the hypercube of the row-major element `i`.
    pub(crate) fn position(&self, i: usize) -> usize {
        ((i / self.cols) << self.col_variables()) | (i % self.cols)
    }
}

/// A block of a committed polynomial: aligned, a power of two long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) offset: usize,
    pub(crate) variables: usize,
}

/// Blocks laid out by decreasing size, each aligned to its own size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stacking {
    pub(crate) blocks: Vec<Block>,
    /// Variables of the whole.
    pub(crate) variables: usize,
}

impl Stacking {
    fn new(sizes: &[usize], min_variables: usize) -> Self {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(sizes[i]));
        let mut blocks = vec![
            Block {
                offset: 0,
                variables: 0
            };
            sizes.len()
        ];
        let mut end = 0usize;
        for i in order {
            blocks[i] = Block {
                offset: end,
                variables: sizes[i],
            };
            end += 1 << sizes[i];
        }
        Self {
            blocks,
            variables: log2_ceil(end.max(1)).max(min_variables),
        }
    }
}

/// Index of a point that the walk draws.
pub(crate) type PointId = usize;
/// Index of an evaluation.
pub(crate) type EvalId = usize;

/// Where a point comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PointSource {
    /// Sampled for the output's evaluation.
    Output,
    /// The last `n` coordinates of the lookup point.
    Lookup(usize),
    /// The row part of a claim's point, then the inner point of a `Linear`'s sumcheck.
    Linear,
    /// The point of a change of layout.
    Relayout,
}

/// `ṽalue` in `layout` at `point`, sent by the prover when it is first used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Evaluation {
    /// Not a `Reshape`.
    pub(crate) value: ValueId,
    pub(crate) layout: Layout,
    pub(crate) point: PointId,
}

/// A use of an evaluation; `fresh` when the prover sends it here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) id: EvalId,
    pub(crate) fresh: bool,
}

/// One reduction of the backward walk.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Thaler's matrix product.
    Linear {
        node: usize,
        claim: EvalId,
        linear: usize,
        point: PointId,
        input: Use,
    },
    /// A claim on a sum becomes one claim on each operand.
    Add {
        node: usize,
        claim: EvalId,
        a: (i32, Use),
        b: (i32, Use),
    },
    /// A claim in a foreign layout becomes one in the value's own.
    Relayout {
        claim: EvalId,
        point: PointId,
        native: Use,
    },
}

/// A `Linear` and its blocks in the weight commitment.
#[derive(Clone, Debug)]
pub(crate) struct LinearPlan {
    pub(crate) node: usize,
    pub(crate) weight: usize,
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) cols: usize,
    /// Block of `w[k,n]·M_n`, per-axis padded.
    pub(crate) weights: usize,
    /// Block of `b_n·M_n`.
    pub(crate) bias: usize,
    /// Whether padding of the inner axis must be masked out of the sumcheck.
    pub(crate) masked: bool,
}

impl LinearPlan {
    pub(crate) fn row_variables(&self) -> usize {
        log2_ceil(self.rows)
    }
    pub(crate) fn inner_variables(&self) -> usize {
        log2_ceil(self.inner)
    }
    pub(crate) fn col_variables(&self) -> usize {
        log2_ceil(self.cols)
    }
    /// Degree of the round polynomials.
    pub(crate) fn degree(&self) -> usize {
        if self.masked { 3 } else { 2 }
    }
}

/// One limb of a remainder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limb {
    /// Position of its lowest bit in the remainder.
    pub(crate) shift: usize,
    /// Index of its range table.
    pub(crate) table: usize,
    /// Block in the witness commitment.
    pub(crate) block: usize,
    /// Index of its column in the lookup tree.
    pub(crate) column: usize,
}

/// A `Requant` with its lookups.
#[derive(Clone, Debug)]
pub(crate) struct RequantPlan {
    pub(crate) node: usize,
    /// The value `v` that it rounds, not a `Reshape`.
    pub(crate) input: ValueId,
    pub(crate) shift: usize,
    pub(crate) layout: Layout,
    /// Index of its activation table.
    pub(crate) table: usize,
    /// Block of `y` in the witness commitment.
    pub(crate) block: usize,
    /// Index of its column in the lookup tree.
    pub(crate) column: usize,
    pub(crate) limbs: Vec<Limb>,
    /// `ṽ` and `ỹ` at the lookup point.
    pub(crate) v: Use,
    pub(crate) y: Use,
}

/// A table of the lookup argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LookupTable {
    /// `(u)` for `u` in `[0, 2^bits)`.
    Range { bits: usize },
    /// `(u, T[u])` for `u` in `[-2^(bits-1), 2^(bits-1))`, saturated to `[lo, hi]`.
    Clamp { bits: usize, lo: i32, hi: i32 },
}

impl LookupTable {
    pub(crate) fn variables(&self) -> usize {
        match *self {
            Self::Range { bits } | Self::Clamp { bits, .. } => bits,
        }
    }
}

impl LookupTable {
    /// The entries of a row.
    pub(crate) fn row(&self, index: usize) -> (i64, i64) {
        let index = index as i64;
        match *self {
            Self::Range { .. } => (index, 0),
            Self::Clamp { bits, lo, hi } => {
                let u = index - (1 << (bits - 1));
                (u, u.clamp(i64::from(lo), i64::from(hi)))
            }
        }
    }
}

/// A table with its multiplicities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TablePlan {
    pub(crate) table: LookupTable,
    /// Block of the multiplicities in the witness commitment.
    pub(crate) block: usize,
    /// Index of its column in the lookup tree.
    pub(crate) column: usize,
}

/// The whole plan.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) linears: Vec<LinearPlan>,
    pub(crate) requants: Vec<RequantPlan>,
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) weights: Stacking,
    pub(crate) witness: Stacking,
    /// Columns of the lookup tree.
    pub(crate) lookup: Stacking,
    pub(crate) points: Vec<PointSource>,
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) output: Use,
    pub(crate) output_layout: Layout,
    pub(crate) steps: Vec<Step>,
    /// Extension elements of the proof, commitments apart.
    pub(crate) elements: usize,
}

impl Plan {
    /// Plans the proof of a valid graph.
    pub(crate) fn new(graph: &Graph) -> Result<Self, PlanError> {
        Planner::new(graph).build()
    }

    /// Evaluations that are claims on the witness commitment, with the block of each. A claim in
    /// a foreign layout is not one: it was reduced to a native one.
    pub(crate) fn committed_evaluations(&self) -> Vec<(EvalId, usize)> {
        let blocks: BTreeMap<ValueId, (Layout, usize)> = self
            .requants
            .iter()
            .map(|r| (r.node as ValueId + 1, (r.layout, r.block)))
            .collect();
        self.evaluations
            .iter()
            .enumerate()
            .filter_map(|(id, e)| {
                let &(layout, block) = blocks.get(&e.value)?;
                (layout == e.layout).then_some((id, block))
            })
            .collect()
    }
}

impl Stacking {
    /// The point of the whole polynomial at which it equals block `block` at `point`.
    pub(crate) fn point(&self, block: usize, point: &[E]) -> Vec<E> {
        let block = self.blocks[block];
        let index = block.offset >> block.variables;
        let selectors = self.variables - block.variables;
        (0..selectors)
            .map(|i| E::from_bool((index >> (selectors - 1 - i)) & 1 == 1))
            .chain(point.iter().copied())
            .collect()
    }
}

/// For every value, the value that its chain of `Reshape`s re-reads: in one pass, since claims are
/// many and a chain may be long.
fn bases(graph: &Graph) -> Vec<ValueId> {
    let mut bases: Vec<ValueId> = vec![0];
    for (node, n) in graph.nodes.iter().enumerate() {
        bases.push(match n.op {
            Op::Reshape { input, .. } => bases[input as usize],
            _ => node as ValueId + 1,
        });
    }
    bases
}

/// The layout of a value that is not a `Reshape`; the input has none of its own.
fn native_layouts(graph: &Graph, bases: &[ValueId]) -> Vec<Option<Layout>> {
    let mut layouts: Vec<Option<Layout>> = vec![None];
    for node in &graph.nodes {
        let elements = node.shape.0.iter().map(|&d| d as usize).product::<usize>();
        let flat = Layout::new(1, elements);
        let of = |v: ValueId| layouts[bases[v as usize] as usize];
        let layout = match &node.op {
            Op::Linear { rows, cols, .. } => Layout::new(*rows as usize, *cols as usize),
            Op::Add { a, b, .. } => of(*a).or_else(|| of(*b)).unwrap_or(flat),
            Op::Requant { input, .. } | Op::Reshape { input, .. } => of(*input).unwrap_or(flat),
        };
        layouts.push(Some(layout));
    }
    layouts
}

/// Limb widths of a remainder of `shift` bits when no limb is wider than `widest`.
fn limb_widths(shift: usize, widest: usize) -> Vec<usize> {
    let count = shift.div_ceil(widest);
    (0..count)
        .map(|i| shift / count + usize::from(i < shift % count))
        .collect()
}

/// The widest limb that makes lookups plus table rows fewest; ties go to the narrower.
fn widest_limb(requants: &[(usize, usize)]) -> usize {
    let cost = |widest: usize| {
        let mut total = 0usize;
        let mut tables = BTreeMap::new();
        for &(shift, variables) in requants {
            for width in limb_widths(shift, widest) {
                total += 1 << variables;
                tables.insert(width, 1usize << width);
            }
        }
        total + tables.values().sum::<usize>()
    };
    (1..=MAX_LIMB_BITS)
        .min_by_key(|&w| (cost(w), w))
        .unwrap_or(1)
}

struct Planner<'a> {
    graph: &'a Graph,
    bases: Vec<ValueId>,
    layouts: Vec<Option<Layout>>,
    points: Vec<PointSource>,
    evaluations: Vec<Evaluation>,
    index: BTreeMap<Evaluation, EvalId>,
    /// Evaluations of each value, in order of appearance.
    by_value: Vec<Vec<EvalId>>,
    elements: usize,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph) -> Self {
        let bases = bases(graph);
        Self {
            graph,
            layouts: native_layouts(graph, &bases),
            bases,
            points: Vec::new(),
            evaluations: Vec::new(),
            index: BTreeMap::new(),
            by_value: vec![Vec::new(); graph.nodes.len() + 1],
            elements: 0,
        }
    }

    /// The value that `value` re-reads; itself when it is no `Reshape`.
    fn base(&self, value: ValueId) -> ValueId {
        self.bases[value as usize]
    }

    fn point(&mut self, source: PointSource) -> PointId {
        self.points.push(source);
        self.points.len() - 1
    }

    fn lookup_point(&mut self, variables: usize) -> PointId {
        let source = PointSource::Lookup(variables);
        match self.points.iter().position(|&p| p == source) {
            Some(id) => id,
            None => self.point(source),
        }
    }

    /// The evaluation of `value`, read in `layout`, at `point`.
    fn evaluation(&mut self, value: ValueId, layout: Layout, point: PointId) -> Use {
        let evaluation = Evaluation {
            value: self.base(value),
            layout,
            point,
        };
        if let Some(&id) = self.index.get(&evaluation) {
            return Use { id, fresh: false };
        }
        let id = self.evaluations.len();
        self.evaluations.push(evaluation);
        self.index.insert(evaluation, id);
        self.by_value[evaluation.value as usize].push(id);
        self.elements += 1;
        Use { id, fresh: true }
    }

    fn build(mut self) -> Result<Plan, PlanError> {
        let graph = self.graph;
        let (linears, weights) = self.linears()?;

        let output_value = self.base(graph.output);
        let output_layout = self.layouts[output_value as usize].unwrap_or_else(|| {
            Layout::new(1, graph.input.shape.0.iter().map(|&d| d as usize).product())
        });
        let output_point = self.point(PointSource::Output);
        let output = self.evaluation(output_value, output_layout, output_point);

        let (requants, tables, lookup, witness) = self.lookups()?;
        // Root and inner layers of the tree: four children a layer, three values a round.
        let depth = lookup.variables;
        self.elements += 4 * depth + 3 * (depth * depth.saturating_sub(1) / 2);

        let steps = self.walk(&linears)?;
        Ok(Plan {
            linears,
            requants,
            tables,
            weights,
            witness,
            lookup,
            points: self.points,
            evaluations: self.evaluations,
            output,
            output_layout,
            steps,
            elements: self.elements,
        })
    }

    fn linears(&self) -> Result<(Vec<LinearPlan>, Stacking), PlanError> {
        let mut linears = Vec::new();
        let mut sizes = Vec::new();
        for (node, n) in self.graph.nodes.iter().enumerate() {
            if let Op::Linear {
                input,
                weight,
                rows,
                inner,
                cols,
            } = n.op
            {
                let (rows, inner, cols) = (rows as usize, inner as usize, cols as usize);
                let weights = sizes.len();
                sizes.push(log2_ceil(inner) + log2_ceil(cols));
                sizes.push(log2_ceil(cols));
                linears.push(LinearPlan {
                    node,
                    weight: weight as usize,
                    rows,
                    inner,
                    cols,
                    weights,
                    bias: weights + 1,
                    // The input's padding is zero by the verifier's own evaluation.
                    masked: !inner.is_power_of_two() && self.base(input) != 0,
                });
            }
        }
        let weights = Stacking::new(&sizes, crate::commitment::MIN_VARIABLES);
        check_size("the weight commitment", weights.variables)?;
        Ok((linears, weights))
    }

    #[allow(clippy::type_complexity)]
    fn lookups(
        &mut self,
    ) -> Result<(Vec<RequantPlan>, Vec<TablePlan>, Stacking, Stacking), PlanError> {
        let graph = self.graph;
        let mut shapes = Vec::new();
        for (node, n) in graph.nodes.iter().enumerate() {
            if let Op::Requant { shift, .. } = n.op {
                let layout = self.layouts[node + 1].expect("every node has a layout");
                shapes.push((usize::from(shift), layout.variables()));
            }
        }
        let widest = widest_limb(&shapes);

        let mut columns: Vec<usize> = Vec::new();
        let mut blocks: Vec<usize> = Vec::new();
        let mut tables: Vec<LookupTable> = Vec::new();
        let mut table_ids = BTreeMap::new();
        let mut table_id = |table: LookupTable| {
            *table_ids.entry(table).or_insert_with(|| {
                tables.push(table);
                tables.len() - 1
            })
        };
        let push = |list: &mut Vec<usize>, variables: usize| {
            list.push(variables);
            list.len() - 1
        };

        let mut requants = Vec::new();
        for (node, n) in graph.nodes.iter().enumerate() {
            let Op::Requant {
                input,
                shift,
                table,
            } = n.op
            else {
                continue;
            };
            let layout = self.layouts[node + 1].expect("every node has a layout");
            let variables = layout.variables();
            let point = self.lookup_point(variables);
            let Table::Clamp { bits, lo, hi } = table;
            let activation = table_id(LookupTable::Clamp {
                bits: usize::from(bits),
                lo,
                hi,
            });
            let mut limbs = Vec::new();
            let mut position = 0;
            for width in limb_widths(usize::from(shift), widest) {
                limbs.push(Limb {
                    shift: position,
                    table: table_id(LookupTable::Range { bits: width }),
                    block: push(&mut blocks, variables),
                    column: push(&mut columns, variables),
                });
                position += width;
                self.elements += 1;
            }
            let input = self.base(input);
            requants.push(RequantPlan {
                node,
                input,
                shift: usize::from(shift),
                layout,
                table: activation,
                block: push(&mut blocks, variables),
                column: push(&mut columns, variables),
                limbs,
                v: self.evaluation(input, layout, point),
                y: self.evaluation(node as ValueId + 1, layout, point),
            });
        }
        let tables: Vec<TablePlan> = tables
            .into_iter()
            .map(|table| TablePlan {
                table,
                block: push(&mut blocks, table.variables()),
                column: push(&mut columns, table.variables()),
            })
            .collect();
        self.elements += tables.len();

        let lookup = Stacking::new(&columns, 1);
        if lookup.variables > MAX_LOOKUP_VARIABLES {
            return Err(PlanError::TooManyLookups(lookup.variables));
        }
        let witness = Stacking::new(&blocks, crate::commitment::MIN_VARIABLES);
        check_size("the witness commitment", witness.variables)?;
        Ok((requants, tables, lookup, witness))
    }

    /// Walks the values backwards; every claim is on an earlier value than the one it came from.
    fn walk(&mut self, linears: &[LinearPlan]) -> Result<Vec<Step>, PlanError> {
        let mut steps = Vec::new();
        for value in (1..=self.graph.nodes.len()).rev() {
            let node = value - 1;
            let native = self.layouts[value].expect("every node has a layout");
            let mut next = 0;
            while next < self.by_value[value].len() {
                if self.evaluations.len() > MAX_EVALUATIONS {
                    return Err(PlanError::TooManyEvaluations);
                }
                let claim = self.by_value[value][next];
                next += 1;
                let Evaluation { layout, point, .. } = self.evaluations[claim];
                if layout != native {
                    if native.variables().max(layout.variables()) > MAX_RELAYOUT_VARIABLES {
                        return Err(PlanError::Relayout {
                            value: value as ValueId,
                        });
                    }
                    let point = self.point(PointSource::Relayout);
                    self.elements += 2 * native.variables();
                    let native = self.evaluation(value as ValueId, native, point);
                    steps.push(Step::Relayout {
                        claim,
                        point,
                        native,
                    });
                    continue;
                }
                match self.graph.nodes[node].op {
                    Op::Linear { input, .. } => {
                        // Linears are planned in order of their nodes.
                        let linear = linears.partition_point(|l| l.node < node);
                        let l = &linears[linear];
                        let point = self.point(PointSource::Linear);
                        // Bias and weight evaluations, then the rounds.
                        self.elements += 2 + l.degree() * l.inner_variables();
                        let input = self.evaluation(input, Layout::new(l.rows, l.inner), point);
                        steps.push(Step::Linear {
                            node,
                            claim,
                            linear,
                            point,
                            input,
                        });
                    }
                    Op::Add {
                        a,
                        b,
                        multiplier_a,
                        multiplier_b,
                    } => {
                        let a = (multiplier_a, self.evaluation(a, layout, point));
                        let b = (multiplier_b, self.evaluation(b, layout, point));
                        steps.push(Step::Add { node, claim, a, b });
                    }
                    // Committed, or resolved to its base.
                    Op::Requant { .. } | Op::Reshape { .. } => {}
                }
            }
        }
        Ok(steps)
    }
}

fn check_size(what: &'static str, variables: usize) -> Result<(), PlanError> {
    let max = crate::commitment::MAX_VARIABLES;
    if variables > max {
        return Err(PlanError::TooLarge {
            what,
            variables,
            max,
        });
    }
    Ok(())
}
