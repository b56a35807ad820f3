//! The plan of a proof: everything about its shape that follows from the graph alone.
//!
//! Prover and verifier interpret the same plan, so a proof has no shape of its own: no count,
//! length or index is ever read from it.
//!
//! Points are symbolic: a coordinate is the number of a challenge, or one of three constants. Two
//! evaluations are the same exactly when value and symbols are, and such a one is sent once.

mod build;
mod lookups;
mod map;

use hallmark_graph::{Graph, ValueId};
use std::ops::Range;

use crate::binding::BindingPlan;
pub(crate) use crate::layout::{Dims, Stacking};
use crate::opening::hiding::HidingPlan;
pub(crate) use crate::pieces::{Cut, Packing, Shards};
pub(crate) use map::{Factor, Group, GroupKind, Map};

/// What a proof shows to its verifier beside the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// The inputs; nothing is hidden.
    Public,
    /// A commitment to the inputs and the outputs under a one-time pad; the proof tells nothing else
    /// about either.
    PrivateInput,
}

/// Most evaluations that a plan may track.
const MAX_EVALUATIONS: usize = 1 << 18;
/// Most variables of the lookup tree.
pub(crate) const MAX_LOOKUP_VARIABLES: usize = 26;
/// Most variables of a map between axes that the verifier weighs element by element.
pub(crate) const MAX_MAP_VARIABLES: usize = 20;

/// Why no plan exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The graph fans out into too many evaluation claims.
    #[error("the graph needs more than {MAX_EVALUATIONS} evaluation claims")]
    TooManyEvaluations,
    /// The lookups do not fit one tree.
    #[error("the graph needs 2^{0} lookups and table rows, at most 2^{MAX_LOOKUP_VARIABLES} fit")]
    TooManyLookups(usize),
    /// Axes are read in a way that the verifier has to follow element by element, and are too long.
    #[error("node {node} moves more than 2^{MAX_MAP_VARIABLES} elements between unlike axes")]
    Map {
        /// Index of the node.
        node: usize,
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
    /// The weights fill too many polynomials.
    #[error("the weights fill more than two commitments")]
    TooManyWeights,
    /// An input that is to be private has more values than fit the field twice.
    #[error("private input {input} ranges over more than 2^29 integers")]
    InputRange {
        /// Index of the input.
        input: usize,
    },
}

/// A coordinate of a point: the number of a challenge or a constant.
pub(crate) type Symbol = u32;
/// The coordinate 0.
pub(crate) const ZERO: Symbol = 0;
/// The coordinate 1.
pub(crate) const ONE: Symbol = 1;
/// The coordinate 1/2, at which an extension is the mean of both halves.
pub(crate) const HALF: Symbol = 2;
/// The first challenge.
pub(crate) const CHALLENGES: Symbol = 3;

/// A symbolic point.
pub(crate) type Point = Vec<Symbol>;

/// Challenges that are drawn together, in the order of the coordinates.
pub(crate) type Challenges = Range<Symbol>;

/// What is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A value of the graph, zero in padding.
    Value(ValueId),
    /// A block of the witness commitment as it is committed.
    Witness(usize),
    /// A block of the weight commitment.
    Weights(usize),
}

/// Where the claims on a value end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The verifier knows it: an input.
    Public,
    /// Committed with the witness, with another padding when there is an origin.
    Witness {
        block: usize,
        /// What a lookup makes of 0, which its padding holds.
        origin: Origin,
    },
    /// Committed with the weights.
    Weights { block: usize },
    /// Computed from other values: claims on it are reduced.
    Virtual,
}

/// What the padding of a committed value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An integer that the graph determines.
    Integer(i32),
    /// An entry of a committed table: this evaluation.
    Entry(EvalId),
}

/// Index of an evaluation.
pub(crate) type EvalId = usize;

/// An extension at a point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Evaluation {
    pub(crate) target: Target,
    pub(crate) point: Point,
}

/// A use of an evaluation; `fresh` when it becomes known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) id: EvalId,
    pub(crate) fresh: bool,
}

/// One reduction of the backward walk.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Several claims on a value become one.
    Merge {
        value: ValueId,
        claims: Vec<EvalId>,
        sum: Challenges,
        result: Use,
    },
    /// A matrix product.
    MatMul(MatMul),
    /// A product, element by element.
    Mul {
        node: usize,
        claim: EvalId,
        sum: Challenges,
        a: Use,
        b: Use,
    },
    /// A linear combination.
    Combine {
        node: usize,
        claim: EvalId,
        terms: Vec<(i32, Use)>,
        offset: i32,
    },
    /// The same value elsewhere: `claim = 2^halvings · to`.
    Pass {
        node: usize,
        claim: EvalId,
        halvings: usize,
        to: Use,
    },
    /// Elements move between axes.
    Map {
        node: usize,
        claim: EvalId,
        map: Map,
        sum: Challenges,
        to: Use,
    },
    /// A claim on a rounded quotient becomes claims on its limbs.
    Quotient {
        node: usize,
        claim: EvalId,
        /// Index into [`Plan::shifts`].
        shift: usize,
        limbs: Vec<Use>,
    },
}

/// `Σ_{B,k} eq(batch, B) a(B, rows, k) b(B, k, cols)`.
#[derive(Clone, Debug)]
pub(crate) struct MatMul {
    pub(crate) node: usize,
    pub(crate) claim: EvalId,
    /// Axes of the batch, the rows, the inner sum and the columns.
    pub(crate) batch: Dims,
    pub(crate) rows: Dims,
    pub(crate) inner: Dims,
    pub(crate) cols: Dims,
    pub(crate) batch_point: Point,
    pub(crate) row_point: Point,
    pub(crate) col_point: Point,
    /// Challenges of the batch, if it has variables, then of the inner axes.
    pub(crate) sum: Challenges,
    pub(crate) a: Use,
    pub(crate) b: Use,
}

/// One limb of a remainder or quotient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limb {
    /// Position of its lowest bit.
    pub(crate) shift: usize,
    pub(crate) bits: usize,
    /// Index of its range table.
    pub(crate) table: usize,
    /// Block in the witness commitment.
    pub(crate) block: usize,
    /// Index of its column in the lookup tree.
    pub(crate) column: usize,
    /// Its extension at the lookup point.
    pub(crate) at: Use,
}

impl Limb {
    /// The limb of a number.
    pub(crate) fn of(&self, number: u32) -> u32 {
        (number >> self.shift) & ((1 << self.bits) - 1)
    }
}

/// A `Lookup`.
#[derive(Clone, Debug)]
pub(crate) struct LookupPlan {
    pub(crate) node: usize,
    pub(crate) input: ValueId,
    pub(crate) value: ValueId,
    pub(crate) shift: usize,
    /// Index of its table.
    pub(crate) table: usize,
    /// Index of its column in the lookup tree.
    pub(crate) column: usize,
    /// Limbs of the remainder.
    pub(crate) limbs: Vec<Limb>,
    /// `ṽ` and `ỹ` at the lookup point.
    pub(crate) v: Use,
    pub(crate) y: Use,
}

/// A `Shift`: `v + 2^(s-1) = 2^s (quotient - 2^(bits-1)) + remainder`.
#[derive(Clone, Debug)]
pub(crate) struct ShiftPlan {
    pub(crate) node: usize,
    pub(crate) input: ValueId,
    pub(crate) shift: usize,
    pub(crate) bits: usize,
    pub(crate) remainder: Vec<Limb>,
    pub(crate) quotient: Vec<Limb>,
    /// `ṽ` at the lookup point.
    pub(crate) v: Use,
}

/// A private input: its elements lie in its range, its padding is zero.
#[derive(Clone, Debug)]
pub(crate) struct InputPlan {
    pub(crate) value: ValueId,
    pub(crate) lo: i32,
    pub(crate) hi: i32,
    pub(crate) check: InputCheck,
    /// `x̃` at the lookup point.
    pub(crate) x: Use,
}

/// How a private input is kept in its range.
#[derive(Clone, Debug)]
pub(crate) enum InputCheck {
    /// `(x, presence)` is a row of a table, by its index, in a column of the lookup tree.
    Table { table: usize, column: usize },
    /// `x - lo` and `hi - x` have limbs; in padding both are 0.
    Limbs { above: Vec<Limb>, below: Vec<Limb> },
}

impl InputPlan {
    /// All limbs, those of `x - lo` first.
    pub(crate) fn limbs(&self) -> impl Iterator<Item = &Limb> {
        let (above, below) = match &self.check {
            InputCheck::Table { .. } => (&[][..], &[][..]),
            InputCheck::Limbs { above, below } => (&above[..], &below[..]),
        };
        above.iter().chain(below)
    }
}

/// A table of the lookup argument: rows of two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LookupTable {
    /// `(u, 0)` for `u` in `[0, 2^bits)`.
    Range { bits: usize },
    /// `(u, T[u])` for `u` in `[-2^(bits-1), 2^(bits-1))`, saturated to `[lo, hi]`.
    Clamp { bits: usize, lo: i32, hi: i32 },
    /// `(u, T[u])` for `u` in the same window, the second entry committed with the weights.
    Explicit { bits: usize, table: usize },
    /// `(x, 1)` for `x` in `[lo, hi]`, then `(0, 0)` up to a power of two.
    Input { lo: i32, hi: i32 },
}

impl LookupTable {
    pub(crate) fn variables(&self) -> usize {
        match *self {
            Self::Range { bits } | Self::Clamp { bits, .. } | Self::Explicit { bits, .. } => bits,
            Self::Input { .. } => crate::field::log2_ceil(self.members() + 1),
        }
    }

    /// Integers in the range of an input.
    pub(crate) fn members(&self) -> usize {
        match *self {
            Self::Input { lo, hi } => (i64::from(hi) - i64::from(lo) + 1).max(0) as usize,
            _ => 0,
        }
    }

    /// The first entry of a row, and the second of a table that is not committed.
    pub(crate) fn row(&self, index: usize) -> (i64, i64) {
        let signed = index as i64;
        match *self {
            Self::Range { .. } => (signed, 0),
            Self::Clamp { bits, lo, hi } => {
                let u = signed - (1 << (bits - 1));
                (u, u.clamp(i64::from(lo), i64::from(hi)))
            }
            Self::Explicit { bits, .. } => (signed - (1 << (bits - 1)), 0),
            Self::Input { lo, .. } if index < self.members() => (i64::from(lo) + signed, 1),
            Self::Input { .. } => (0, 0),
        }
    }
}

/// A table with its multiplicities.
#[derive(Clone, Debug)]
pub(crate) struct TablePlan {
    pub(crate) table: LookupTable,
    /// Index of its column in the lookup tree.
    pub(crate) column: usize,
    /// The multiplicities at the lookup point.
    pub(crate) counts: Use,
    /// The committed entries at the lookup point, and at the index 0.
    pub(crate) entries: Option<(Use, Use)>,
}

/// What a block of the witness commitment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A value of the graph; padding as its [`Home`] says.
    Value(ValueId),
    /// A limb of the remainder of a lookup, as `(lookup, limb)`.
    Remainder(usize, usize),
    /// A limb of a shift, as `(shift, limb)`: remainder's limbs, then the quotient's.
    Shift(usize, usize),
    /// A limb of a private input, as `(input, limb)`.
    Input(usize, usize),
    /// The multiplicities of a table.
    Counts(usize),
    /// The pads of an output.
    Pads(usize),
    /// The salt of the commitment to the inputs.
    Salt,
    /// The capacities of the sponge.
    Capacities,
    /// Cubes of the sponge: one of the blocks of [`crate::binding::CUBE_BLOCKS`].
    Cubes(usize),
}

/// The whole plan.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The value of the first node: the inputs come before.
    pub(crate) first_node: usize,
    /// Dimensions of every value.
    pub(crate) dims: Vec<Dims>,
    /// Where the claims on every value end.
    pub(crate) homes: Vec<Home>,
    /// Which values follow from the weights alone: their evaluations hide nothing.
    pub(crate) known: Vec<bool>,
    pub(crate) lookups: Vec<LookupPlan>,
    pub(crate) shifts: Vec<ShiftPlan>,
    pub(crate) inputs: Vec<InputPlan>,
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) weights: Shards,
    pub(crate) witness: Packing,
    /// What every tensor of the witness holds.
    pub(crate) contents: Vec<Content>,
    /// Columns of the lookup tree.
    pub(crate) lookup: Stacking,
    /// The lookup point.
    pub(crate) lookup_point: Challenges,
    pub(crate) output_points: Vec<Challenges>,
    pub(crate) outputs: Vec<Use>,
    /// The pads of the outputs at the outputs' points; none in mode `Public`.
    pub(crate) output_pads: Vec<Use>,
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) steps: Vec<Step>,
    /// Symbols: constants and challenges that are coordinates.
    pub(crate) symbols: usize,
    /// Extension elements of the proof, commitments apart.
    pub(crate) elements: usize,
    /// What ties the witness to the commitment to the inputs; mode `PrivateInput` only.
    pub(crate) binding: Option<BindingPlan>,
    /// Pads and masks in the witness commitment; mode `PrivateInput` only.
    pub(crate) hiding: HidingPlan,
}

impl Plan {
    /// Plans the proof of a valid graph.
    pub(crate) fn new(graph: &Graph, mode: Mode) -> Result<Self, PlanError> {
        let (mut plan, masked) = build::Planner::new(graph, mode).build()?;
        if mode == Mode::PrivateInput {
            let products = crate::messages::products(&plan);
            let (hiding, others) = HidingPlan::new(masked, products);
            plan.hiding = hiding;
            plan.witness = plan.pack(&others, crate::opening::masked::MIN_VARIABLES);
            let most = crate::commitment::MAX_VARIABLES;
            build::check_size("the witness commitment", plan.witness.variables(), most)?;
        }
        Ok(plan)
    }

    /// The witness with further blocks. What a claim on the inputs' commitment weighs lies in one block each.
    fn pack(&self, others: &[usize], least: usize) -> Packing {
        let cut = |content| match content {
            Content::Value(value) if value as usize >= self.first_node => Cut::Exact,
            Content::Remainder(..) | Content::Shift(..) => Cut::Exact,
            _ => Cut::Never,
        };
        let contents = self.contents.iter();
        let tensors: Vec<(Dims, Cut)> = contents
            .map(|&content| (self.block_dims(content), cut(content)))
            .collect();
        Packing::new(&tensors, others, least)
    }

    /// What padding holds of a limb: those of the number that 0 has. Of anything else, 0.
    pub(crate) fn limb_of_zero(&self, content: Content) -> u32 {
        let half = |bits: usize| 1u32 << bits >> 1;
        match content {
            Content::Remainder(lookup, limb) => {
                let of = &self.lookups[lookup];
                of.limbs[limb].of(half(of.shift))
            }
            Content::Shift(shift, limb) => {
                let of = &self.shifts[shift];
                match of.remainder.get(limb) {
                    Some(limb) => limb.of(half(of.shift)),
                    None => of.quotient[limb - of.remainder.len()].of(half(of.bits)),
                }
            }
            _ => 0,
        }
    }

    /// Whether an evaluation follows from the weights alone.
    pub(crate) fn is_known(&self, id: EvalId) -> bool {
        match self.evaluations[id].target {
            Target::Value(value) => self.known[value as usize],
            Target::Witness(_) => false,
            Target::Weights(_) => true,
        }
    }

    /// The value that a node defines.
    pub(crate) fn value_of(&self, node: usize) -> usize {
        self.first_node + node
    }

    /// Logarithm of the permutations that the commitment to the inputs takes.
    fn permutations(&self) -> usize {
        let binding = self.binding.as_ref();
        binding.map_or(0, |b| b.layout.permutations)
    }

    /// Dimensions of what a block holds.
    pub(crate) fn block_dims(&self, content: Content) -> Dims {
        match content {
            Content::Value(value) => self.dims[value as usize].clone(),
            Content::Remainder(lookup, _) => self.dims[self.lookups[lookup].value as usize].clone(),
            Content::Shift(shift, _) => self.dims[self.shifts[shift].input as usize].clone(),
            Content::Input(input, _) => self.dims[input].clone(),
            Content::Counts(table) => Dims(vec![1 << self.tables[table].table.variables()]),
            Content::Pads(output) => match self.evaluations[self.outputs[output].id].target {
                Target::Value(value) => self.dims[value as usize].clone(),
                _ => Dims(Vec::new()),
            },
            Content::Salt => Dims(vec![crate::sponge::RATE]),
            Content::Capacities => Dims(vec![crate::sponge::RATE << self.permutations()]),
            Content::Cubes(index) => {
                let (_, lanes) = crate::binding::CUBE_BLOCKS[index];
                Dims(vec![1 << (lanes + self.permutations())])
            }
        }
    }
}
