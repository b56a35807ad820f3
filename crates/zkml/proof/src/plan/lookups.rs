//! The columns of the lookup tree and of the witness commitment.

use std::collections::BTreeMap;

use hallmark_graph::{Op, Table, ValueId};

use super::build::Planner;
use super::{
    Challenges, Content, Dims, Home, InputCheck, InputPlan, Limb, LookupPlan, LookupTable,
    MAX_LOOKUP_VARIABLES, Mode, Origin, PlanError, Point, ShiftPlan, Stacking, TablePlan, Target,
    Use,
};

/// Widest limb of a remainder.
const MAX_LIMB_BITS: usize = 16;
/// Most bits of an index into a table of a private input's range; wider ones have limbs.
const MAX_INPUT_BITS: usize = 16;
/// Most bits of a private input's range: two numbers of so many bits add up without a wrap.
const MAX_RANGE_BITS: usize = 29;

/// What takes part in the lookups.
pub(super) struct Columns {
    pub(super) lookups: Vec<LookupPlan>,
    pub(super) inputs: Vec<InputPlan>,
    pub(super) tables: Vec<TablePlan>,
    pub(super) tree: Stacking,
    pub(super) point: Challenges,
}

/// A limb before its evaluation is planned.
struct Draft {
    shift: usize,
    bits: usize,
    table: usize,
    block: usize,
    column: usize,
}

/// How a private input is kept in its range, before its evaluations are planned.
enum DraftCheck {
    Table(usize, usize),
    Limbs(Vec<Draft>, Vec<Draft>),
}

/// Columns and tables as they are found.
#[derive(Default)]
struct Sizes {
    columns: Vec<usize>,
    tables: Vec<LookupTable>,
    ids: BTreeMap<LookupTable, usize>,
}

impl Sizes {
    fn column(&mut self, variables: usize) -> usize {
        self.columns.push(variables);
        self.columns.len() - 1
    }

    fn table(&mut self, table: LookupTable) -> usize {
        *self.ids.entry(table).or_insert_with(|| {
            self.tables.push(table);
            self.tables.len() - 1
        })
    }
}

impl Planner<'_> {
    /// Plans every column, then the messages at the lookup point in the order of the protocol:
    /// origins of tables, lookups, shifts, private inputs, tables.
    pub(super) fn lookups(&mut self) -> Result<Columns, PlanError> {
        let graph = self.graph;
        let widest = self.widest_limb();
        let mut sizes = Sizes::default();
        let mut lookups = Vec::new();
        let mut shifts = Vec::new();
        let mut inputs = Vec::new();
        for (node, n) in graph.nodes.iter().enumerate() {
            let value = graph.value_of(node);
            let variables = self.dims[value as usize].variables();
            match n.op {
                Op::Lookup {
                    input,
                    shift,
                    table,
                } => {
                    let shift = usize::from(shift);
                    let index = lookups.len();
                    let table = sizes.table(match table {
                        Table::Clamp { bits, lo, hi } => LookupTable::Clamp {
                            bits: usize::from(bits),
                            lo,
                            hi,
                        },
                        Table::Explicit { bits, table, .. } => LookupTable::Explicit {
                            bits: usize::from(bits),
                            table: table as usize,
                        },
                    });
                    let block = self.block(Content::Value(value));
                    let column = sizes.column(variables);
                    let limbs = self.limbs(&mut sizes, shift, widest, variables, |limb| {
                        Content::Remainder(index, limb)
                    });
                    lookups.push((node, input, value, shift, table, block, column, limbs));
                }
                Op::Shift { input, shift, bits } => {
                    let (shift, bits) = (usize::from(shift), usize::from(bits));
                    let index = shifts.len();
                    let remainder = self.limbs(&mut sizes, shift, widest, variables, |limb| {
                        Content::Shift(index, limb)
                    });
                    let count = remainder.len();
                    let quotient = self.limbs(&mut sizes, bits, widest, variables, |limb| {
                        Content::Shift(index, count + limb)
                    });
                    shifts.push((node, input, shift, bits, remainder, quotient));
                }
                _ => {}
            }
        }
        if self.mode == Mode::PrivateInput {
            for (input, i) in graph.inputs.iter().enumerate() {
                let variables = self.dims[input].variables();
                let table = LookupTable::Input {
                    lo: i.range.lo,
                    hi: i.range.hi,
                };
                let block = self.block(Content::Value(input as ValueId));
                let check = if table.variables() <= MAX_INPUT_BITS {
                    DraftCheck::Table(sizes.table(table), sizes.column(variables))
                } else {
                    let bits = crate::field::log2_ceil(table.members());
                    if bits > MAX_RANGE_BITS {
                        return Err(PlanError::InputRange { input });
                    }
                    let mut limbs = |first: usize| {
                        self.limbs(&mut sizes, bits, widest, variables, |limb| {
                            Content::Input(input, first + limb)
                        })
                    };
                    let above = limbs(0);
                    let below = limbs(above.len());
                    DraftCheck::Limbs(above, below)
                };
                inputs.push((i.range, block, check));
            }
        } else {
            self.homes[..graph.inputs.len()].fill(Home::Public);
        }
        let tables: Vec<(LookupTable, usize, usize, Option<usize>)> = sizes
            .tables
            .clone()
            .into_iter()
            .enumerate()
            .map(|(index, table)| {
                let entries = matches!(table, LookupTable::Explicit { .. }).then(|| {
                    self.weights.push(Dims(vec![1 << table.variables()]));
                    self.weights.len() - 1
                });
                let block = self.block(Content::Counts(index));
                (table, block, sizes.column(table.variables()), entries)
            })
            .collect();

        let tree = Stacking::new(&sizes.columns, 1);
        if tree.variables > MAX_LOOKUP_VARIABLES {
            return Err(PlanError::TooManyLookups(tree.variables));
        }
        self.messages(crate::logup::messages(tree.variables));
        let point = self.challenges(tree.variables);
        let suffix =
            |variables: usize| -> Point { (point.end - variables as u32..point.end).collect() };

        // Messages, in the order in which they are sent.
        let origins: Vec<(Origin, Option<Use>)> = tables
            .iter()
            .map(|&(table, _, _, entries)| self.origin(table, entries))
            .collect();
        let lookups = lookups
            .into_iter()
            .map(|(node, input, value, shift, table, block, column, limbs)| {
                let point = suffix(self.dims[value as usize].variables());
                self.homes[value as usize] = Home::Witness {
                    block,
                    origin: origins[table].0,
                };
                LookupPlan {
                    node,
                    input,
                    value,
                    shift,
                    table,
                    column,
                    v: self.sent(Target::Value(input), point.clone()),
                    y: self.sent(Target::Value(value), point.clone()),
                    limbs: self.sent_limbs(limbs, &point),
                }
            })
            .collect();
        for (node, input, shift, bits, remainder, quotient) in shifts {
            let point = suffix(self.dims[input as usize].variables());
            self.shift_of.insert(node, self.shifts.len());
            let v = self.sent(Target::Value(input), point.clone());
            let remainder = self.sent_limbs(remainder, &point);
            let quotient = self.sent_limbs(quotient, &point);
            self.shifts.push(ShiftPlan {
                node,
                input,
                shift,
                bits,
                remainder,
                quotient,
                v,
            });
        }
        let inputs = inputs
            .into_iter()
            .enumerate()
            .map(|(input, (range, block, check))| {
                self.homes[input] = Home::Witness {
                    block,
                    origin: Origin::Integer(0),
                };
                let point = suffix(self.dims[input].variables());
                let x = self.sent(Target::Value(input as ValueId), point.clone());
                InputPlan {
                    value: input as ValueId,
                    lo: range.lo,
                    hi: range.hi,
                    check: match check {
                        DraftCheck::Table(table, column) => InputCheck::Table { table, column },
                        DraftCheck::Limbs(above, below) => InputCheck::Limbs {
                            above: self.sent_limbs(above, &point),
                            below: self.sent_limbs(below, &point),
                        },
                    },
                    x,
                }
            })
            .collect();
        let tables = tables
            .into_iter()
            .zip(origins)
            .map(|((table, block, column, entries), (_, origin))| {
                let point = suffix(table.variables());
                let counts = self.sent(Target::Witness(block), point.clone());
                let entries = entries
                    .zip(origin)
                    .map(|(entries, origin)| (self.sent(Target::Weights(entries), point), origin));
                TablePlan {
                    table,
                    column,
                    counts,
                    entries,
                }
            })
            .collect();
        Ok(Columns {
            lookups,
            inputs,
            tables,
            tree,
            point,
        })
    }

    /// A tensor of the witness commitment.
    pub(super) fn block(&mut self, content: Content) -> usize {
        self.contents.push(content);
        self.contents.len() - 1
    }

    fn limbs(
        &mut self,
        sizes: &mut Sizes,
        bits: usize,
        widest: usize,
        variables: usize,
        content: impl Fn(usize) -> Content,
    ) -> Vec<Draft> {
        let mut shift = 0;
        limb_widths(bits, widest)
            .into_iter()
            .enumerate()
            .map(|(index, bits)| {
                let draft = Draft {
                    shift,
                    bits,
                    table: sizes.table(LookupTable::Range { bits }),
                    block: self.block(content(index)),
                    column: sizes.column(variables),
                };
                shift += bits;
                draft
            })
            .collect()
    }

    fn sent_limbs(&mut self, drafts: Vec<Draft>, point: &Point) -> Vec<Limb> {
        drafts
            .into_iter()
            .map(|draft| Limb {
                shift: draft.shift,
                bits: draft.bits,
                table: draft.table,
                block: draft.block,
                column: draft.column,
                at: self.sent(Target::Witness(draft.block), point.clone()),
            })
            .collect()
    }

    /// The widest limb that makes lookups plus table rows fewest; ties go to the narrower.
    fn widest_limb(&self) -> usize {
        // How many lookups of each width in bits.
        let mut wanted: BTreeMap<usize, usize> = BTreeMap::new();
        for node in &self.graph.nodes {
            let size = 1 << Dims::of(&node.shape).variables();
            match node.op {
                Op::Lookup { shift, .. } => *wanted.entry(usize::from(shift)).or_default() += size,
                Op::Shift { shift, bits, .. } => {
                    *wanted.entry(usize::from(shift)).or_default() += size;
                    *wanted.entry(usize::from(bits)).or_default() += size;
                }
                _ => {}
            }
        }
        let cost = |widest: usize| {
            let mut total = 0usize;
            let mut tables = BTreeMap::new();
            for (&bits, &size) in &wanted {
                for width in limb_widths(bits, widest) {
                    total += size;
                    tables.insert(width, 1usize << width);
                }
            }
            total + tables.values().sum::<usize>()
        };
        (1..=MAX_LIMB_BITS)
            .min_by_key(|&w| (cost(w), w))
            .unwrap_or(1)
    }
}

/// Limb widths of a number of `bits` bits when no limb is wider than `widest`.
fn limb_widths(bits: usize, widest: usize) -> Vec<usize> {
    let count = bits.div_ceil(widest);
    (0..count)
        .map(|i| bits / count + usize::from(i < bits % count))
        .collect()
}
