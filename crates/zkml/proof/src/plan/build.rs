//! The planner: symbols, evaluations and the backward walk.

use std::collections::BTreeMap;

use hallmark_graph::{Graph, Op, ValueId};

use super::{
    CHALLENGES, Challenges, Content, Dims, EvalId, Evaluation, HALF, Home, LookupTable,
    MAX_EVALUATIONS, Map, MatMul, Mode, Origin, Packing, Plan, PlanError, Point, Shards, Step,
    Symbol, Target, Use, ZERO,
};
use crate::binding::{self, BindingPlan};
use crate::field::log2_ceil;
use crate::opening::hiding::HidingPlan;
use crate::private::Layout;
use crate::sumcheck;

/// Most polynomials that the weights fill.
const MAX_SHARDS: usize = 2;
/// Most claims that a virtual value passes on when a claim costs little; more are merged.
const MAX_PASSED: usize = 4;
/// Most claims on a committed or public value.
const MAX_FINAL: usize = 8;

pub(super) struct Planner<'a> {
    pub(super) graph: &'a Graph,
    pub(super) mode: Mode,
    pub(super) dims: Vec<Dims>,
    pub(super) homes: Vec<Home>,
    known: Vec<bool>,
    next: Symbol,
    evaluations: Vec<Evaluation>,
    index: BTreeMap<Evaluation, EvalId>,
    /// Evaluations of every value, in order of appearance.
    by_value: Vec<Vec<EvalId>>,
    steps: Vec<Step>,
    elements: usize,
    masked: usize,
    /// The tensors of the weight commitment: constants, then tables.
    pub(super) weights: Vec<Dims>,
    /// What every tensor of the witness commitment holds.
    pub(super) contents: Vec<Content>,
    /// Indices of the shifts, by node.
    pub(super) shift_of: BTreeMap<usize, usize>,
    pub(super) shifts: Vec<super::ShiftPlan>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(graph: &'a Graph, mode: Mode) -> Self {
        let count = graph.value_count();
        let mut dims: Vec<Dims> = graph.inputs.iter().map(|i| Dims::of(&i.shape)).collect();
        dims.extend(graph.nodes.iter().map(|n| Dims::of(&n.shape)));
        let mut known = vec![false; graph.inputs.len()];
        for node in &graph.nodes {
            known.push(match &node.op {
                Op::Constant { .. } => true,
                // A lookup's result is committed with the witness.
                Op::Lookup { .. } | Op::Shift { .. } => false,
                op => op.operands().iter().all(|&v| known[v as usize]),
            });
        }
        Self {
            graph,
            mode,
            dims,
            homes: vec![Home::Virtual; count],
            known,
            next: CHALLENGES,
            evaluations: Vec::new(),
            index: BTreeMap::new(),
            by_value: vec![Vec::new(); count],
            steps: Vec::new(),
            elements: 0,
            masked: 0,
            weights: Vec::new(),
            contents: Vec::new(),
            shift_of: BTreeMap::new(),
            shifts: Vec::new(),
        }
    }

    /// The plan, and the number of messages that a hiding proof pads.
    pub(super) fn build(mut self) -> Result<(Plan, usize), PlanError> {
        let graph = self.graph;
        self.constants();
        let output_points: Vec<Challenges> = graph
            .outputs
            .iter()
            .map(|o| {
                let variables = self.dims[o.value as usize].variables();
                self.challenges(variables)
            })
            .collect();
        let layout = (self.mode == Mode::PrivateInput).then(|| Layout::new(graph));
        let mut output_pads = Vec::new();
        let mut pad_blocks = Vec::new();
        let outputs = graph
            .outputs
            .iter()
            .zip(&output_points)
            .enumerate()
            .map(|(index, (o, point))| {
                let target = Target::Value(o.value);
                let used = self.evaluation(target, point.clone().collect());
                if layout.is_some() {
                    let block = self.block(Content::Pads(index));
                    pad_blocks.push(block);
                    output_pads.push(self.sent(Target::Witness(block), point.clone().collect()));
                }
                // The verifier knows what it should be, or its sum with the pad.
                let told = layout.is_none() || self.known[o.value as usize];
                self.elements += usize::from(used.fresh && told);
                used
            })
            .collect();

        let columns = self.lookups()?;
        self.walk()?;
        let binding = layout.map(|layout| {
            let k = layout.permutations;
            self.messages(binding::messages(k));
            BindingPlan {
                salt: self.block(Content::Salt),
                capacities: self.block(Content::Capacities),
                cubes: [0, 1, 2].map(|i| self.block(Content::Cubes(i))),
                pads: pad_blocks,
                inputs: columns
                    .inputs
                    .iter()
                    .map(|i| self.committed(i.value))
                    .collect(),
                layout,
            }
        });
        let (least, most) = (
            crate::commitment::MIN_VARIABLES,
            crate::commitment::MAX_WEIGHT_VARIABLES,
        );
        let weights = Shards::new(&self.weights, least, most);
        for shard in &weights.packings {
            check_size("a weight commitment", shard.variables(), most)?;
        }
        if weights.packings.len() > MAX_SHARDS {
            return Err(PlanError::TooManyWeights);
        }
        let mut plan = Plan {
            first_node: graph.inputs.len(),
            dims: self.dims,
            homes: self.homes,
            known: self.known,
            lookups: columns.lookups,
            shifts: self.shifts,
            inputs: columns.inputs,
            tables: columns.tables,
            weights,
            witness: Packing::default(),
            contents: self.contents,
            lookup: columns.tree,
            lookup_point: columns.point,
            output_points,
            outputs,
            output_pads,
            evaluations: self.evaluations,
            steps: self.steps,
            symbols: self.next as usize,
            elements: self.elements,
            binding,
            hiding: HidingPlan::default(),
        };
        plan.witness = plan.pack(&[], least);
        check_size(
            "the witness commitment",
            plan.witness.variables(),
            crate::commitment::MAX_VARIABLES,
        )?;
        Ok((plan, self.masked))
    }

    /// The block of a value that is committed with the witness.
    fn committed(&self, value: ValueId) -> usize {
        match self.homes[value as usize] {
            Home::Witness { block, .. } => block,
            _ => 0,
        }
    }

    fn constants(&mut self) {
        for (node, n) in self.graph.nodes.iter().enumerate() {
            if matches!(n.op, Op::Constant { .. }) {
                let value = self.graph.value_of(node) as usize;
                self.homes[value] = Home::Weights {
                    block: self.weights.len(),
                };
                self.weights.push(self.dims[value].clone());
            }
        }
    }

    /// New challenges.
    pub(super) fn challenges(&mut self, count: usize) -> Challenges {
        let first = self.next;
        self.next += count as Symbol;
        first..self.next
    }

    /// The use of an evaluation; the caller says how it becomes known.
    pub(super) fn evaluation(&mut self, target: Target, point: Point) -> Use {
        let evaluation = Evaluation { target, point };
        if let Some(&id) = self.index.get(&evaluation) {
            return Use { id, fresh: false };
        }
        let id = self.evaluations.len();
        if let Target::Value(value) = target {
            self.by_value[value as usize].push(id);
        }
        self.evaluations.push(evaluation.clone());
        self.index.insert(evaluation, id);
        Use { id, fresh: true }
    }

    /// The use of an evaluation that the prover sends if it is fresh.
    pub(super) fn sent(&mut self, target: Target, point: Point) -> Use {
        let used = self.evaluation(target, point);
        if used.fresh {
            let known = match target {
                Target::Value(value) => self.known[value as usize],
                Target::Witness(_) => false,
                Target::Weights(_) => true,
            };
            self.elements += 1;
            self.masked += usize::from(!known);
        }
        used
    }

    /// Counts messages that depend on the witness.
    pub(super) fn messages(&mut self, count: usize) {
        self.elements += count;
        self.masked += count;
    }

    fn point(&self, id: EvalId) -> Point {
        self.evaluations[id].point.clone()
    }

    /// Walks the values backwards; every claim is on an earlier value than the one it came from.
    fn walk(&mut self) -> Result<(), PlanError> {
        for value in (0..self.graph.value_count()).rev() {
            if self.evaluations.len() > MAX_EVALUATIONS {
                return Err(PlanError::TooManyEvaluations);
            }
            let passed = self.capacity(value);
            let claims = match self.by_value[value].len() <= passed && self.is_divisible(value) {
                true => self.by_value[value].clone(),
                false => vec![self.merge(value)],
            };
            if let Some(node) = self.graph.node_of(value as ValueId) {
                for claim in claims {
                    self.reduce(node, claim)?;
                }
            }
        }
        Ok(())
    }

    /// How many claims on a value are dealt with one by one.
    fn capacity(&self, value: usize) -> usize {
        let Some(node) = self.graph.node_of(value as ValueId) else {
            return MAX_FINAL;
        };
        match self.graph.nodes[node].op {
            Op::Constant { .. } | Op::Lookup { .. } => MAX_FINAL,
            Op::Combine { .. } | Op::Sum { .. } => MAX_PASSED,
            Op::Reshape { .. } | Op::View { .. } => {
                // The shape of a map does not depend on the point.
                let point = (0..self.dims[value].variables() as Symbol).collect::<Point>();
                match self.map(node, &point) {
                    Ok(map) if map.variables() == 0 => MAX_PASSED,
                    _ => 1,
                }
            }
            Op::Shift { .. } | Op::MatMul { .. } | Op::Mul { .. } => 1,
        }
    }

    /// Whether the claims' points have inverses where a sumcheck under an equality divides by them:
    /// a coordinate that is the constant 0 has none, and is moved by a merge.
    fn is_divisible(&self, value: usize) -> bool {
        let Some(node) = self.graph.node_of(value as ValueId) else {
            return true;
        };
        let under = match self.graph.nodes[node].op {
            Op::Mul { .. } => self.dims[value].variables(),
            Op::MatMul { batch, .. } => {
                let batch = &self.dims[value].0[..usize::from(batch)];
                batch.iter().map(|&dim| log2_ceil(dim)).sum()
            }
            _ => 0,
        };
        let mut claims = self.by_value[value].iter();
        claims.all(|&id| !self.evaluations[id].point[..under].contains(&ZERO))
    }

    fn merge(&mut self, value: usize) -> EvalId {
        let claims = self.by_value[value].clone();
        let variables = self.dims[value].variables();
        let sum = self.challenges(variables);
        self.messages(sumcheck::messages(variables));
        let result = self.sent(Target::Value(value as ValueId), sum.clone().collect());
        self.steps.push(Step::Merge {
            value: value as ValueId,
            claims,
            sum,
            result,
        });
        result.id
    }

    fn reduce(&mut self, node: usize, claim: EvalId) -> Result<(), PlanError> {
        let graph = self.graph;
        match &graph.nodes[node].op {
            Op::Constant { .. } | Op::Lookup { .. } => {}
            Op::MatMul { a, b, batch, inner } => {
                self.matmul(
                    node,
                    claim,
                    (*a, *b),
                    usize::from(*batch),
                    usize::from(*inner),
                );
            }
            Op::Mul { a, b } => {
                let variables = self.dims[*a as usize].variables();
                let sum = self.challenges(variables);
                self.messages(sumcheck::messages(variables));
                let a = self.sent(Target::Value(*a), sum.clone().collect());
                let b = self.sent(Target::Value(*b), sum.clone().collect());
                self.steps.push(Step::Mul {
                    node,
                    claim,
                    sum,
                    a,
                    b,
                });
            }
            Op::Combine { terms, offset } => {
                let point = self.point(claim);
                let terms = terms
                    .iter()
                    .map(|&(v, m)| (m, self.sent(Target::Value(v), point.clone())))
                    .collect();
                self.steps.push(Step::Combine {
                    node,
                    claim,
                    terms,
                    offset: *offset,
                });
            }
            Op::Sum { input, axes } => {
                let dims = &self.dims[*input as usize];
                let point = self.point(claim);
                let mut rest = point.iter().copied();
                let mut at = Vec::with_capacity(dims.variables());
                let mut halvings = 0;
                for (axis, &dim) in dims.0.iter().enumerate() {
                    let variables = log2_ceil(dim);
                    if axes.iter().any(|&a| usize::from(a) == axis) {
                        at.extend(std::iter::repeat_n(HALF, variables));
                        halvings += variables;
                    } else {
                        at.extend(rest.by_ref().take(variables));
                    }
                }
                self.pass(node, claim, halvings, *input, at);
            }
            Op::View { input, .. } | Op::Reshape { input, .. } => {
                let map = self.map(node, &self.point(claim))?;
                if map.is_renaming() {
                    let point = map.point([]);
                    self.pass(node, claim, 0, *input, point);
                    return Ok(());
                }
                let variables = map.variables();
                let sum = self.challenges(variables);
                self.messages(sumcheck::messages(variables));
                let to = self.sent(Target::Value(*input), map.point(sum.clone()));
                self.steps.push(Step::Map {
                    node,
                    claim,
                    map,
                    sum,
                    to,
                });
            }
            Op::Shift { .. } => {
                let shift = self.shift_of[&node];
                let point = self.point(claim);
                let blocks: Vec<usize> = self.shifts[shift]
                    .quotient
                    .iter()
                    .map(|l| l.block)
                    .collect();
                let limbs = blocks
                    .into_iter()
                    .map(|block| self.sent(Target::Witness(block), point.clone()))
                    .collect();
                self.steps.push(Step::Quotient {
                    node,
                    claim,
                    shift,
                    limbs,
                });
            }
        }
        Ok(())
    }

    /// A claim that becomes one elsewhere without a message.
    fn pass(&mut self, node: usize, claim: EvalId, halvings: usize, input: ValueId, at: Point) {
        let to = self.evaluation(Target::Value(input), at);
        self.steps.push(Step::Pass {
            node,
            claim,
            halvings,
            to,
        });
    }

    /// The map of a `View` or `Reshape` at a point of its result.
    fn map(&self, node: usize, point: &[Symbol]) -> Result<Map, PlanError> {
        let n = &self.graph.nodes[node];
        let result = Dims::of(&n.shape);
        match &n.op {
            Op::View { input, axes, .. } => {
                Map::view(node, &self.dims[*input as usize], axes, &result, point)
            }
            Op::Reshape { input, .. } => {
                Map::reshape(node, &self.dims[*input as usize], &result, point)
            }
            _ => Err(PlanError::Map { node }),
        }
    }

    fn matmul(
        &mut self,
        node: usize,
        claim: EvalId,
        (a, b): (ValueId, ValueId),
        batch: usize,
        inner: usize,
    ) {
        let (of_a, of_b) = (&self.dims[a as usize].0, &self.dims[b as usize].0);
        let dims = |axes: &[usize]| Dims(axes.to_vec());
        let (batch, rest) = of_a.split_at(batch);
        let (rows, inner) = rest.split_at(rest.len() - inner);
        let (batch, rows, inner) = (dims(batch), dims(rows), dims(inner));
        let cols = dims(&of_b[batch.0.len() + inner.0.len()..]);

        let point = self.point(claim);
        let (batch_point, rest) = point.split_at(batch.variables());
        let (row_point, col_point) = rest.split_at(rows.variables());
        let variables = batch.variables() + inner.variables();
        let sum = self.challenges(variables);
        self.messages(sumcheck::messages(variables));
        let summed: Point = sum.clone().collect();
        let (batch_sum, inner_sum) = summed.split_at(batch.variables());
        let a_point = [batch_sum, row_point, inner_sum].concat();
        let b_point = [batch_sum, inner_sum, col_point].concat();
        let a = self.sent(Target::Value(a), a_point);
        let b = self.sent(Target::Value(b), b_point);
        self.steps.push(Step::MatMul(MatMul {
            node,
            claim,
            batch_point: batch_point.to_vec(),
            row_point: row_point.to_vec(),
            col_point: col_point.to_vec(),
            batch,
            rows,
            inner,
            cols,
            sum,
            a,
            b,
        }));
    }

    /// The origin of a table: what it makes of 0.
    pub(super) fn origin(
        &mut self,
        table: LookupTable,
        block: Option<usize>,
    ) -> (Origin, Option<Use>) {
        match (table, block) {
            (LookupTable::Explicit { bits, .. }, Some(block)) => {
                let mut point = vec![super::ZERO; bits];
                point[0] = super::ONE;
                let used = self.sent(Target::Weights(block), point);
                (Origin::Entry(used.id), Some(used))
            }
            (LookupTable::Clamp { lo, hi, .. }, _) => (Origin::Integer(0.clamp(lo, hi)), None),
            _ => (Origin::Integer(0), None),
        }
    }
}

pub(super) fn check_size(
    what: &'static str,
    variables: usize,
    max: usize,
) -> Result<(), PlanError> {
    if variables > max {
        return Err(PlanError::TooLarge {
            what,
            variables,
            max,
        });
    }
    Ok(())
}
