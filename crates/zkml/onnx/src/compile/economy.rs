//! The same function with fewer committed elements: the last step of a compilation.
//!
//! A proof commits to every element that is looked up and to every row of every table. So a window
//! of `2^16` rows is worth its price only where some tens of thousands of elements share it. Here
//! nothing changes what a model computes, for any input; only how:
//!
//! - equal steps become one;
//! - a clamp that never bites is a `Shift`, whose range tables everybody shares, or nothing at all;
//! - clamps to the same ends share one window;
//! - a wide clamp is two narrow ones, where that is cheaper. With `S = s + c`,
//!
//! ```text
//! h = Shift(v, S)     v' = v - 2^S·h + 2^S·clamp(h, -a, b)     y = clamp((v' + 2^(s-1)) >> s)
//! ```
//!
//! `v' = v` wherever `-a <= h <= b`. Above, `v' >= 2^S·(b - 1/2)`, and below, `v' < -2^S·(a - 1/2)`:
//! with `a` and `b` so large that both lie beyond the clamp's ends, `y` is what it was.

use std::collections::BTreeMap;

use hallmark_graph::{
    Builder, CheckError, Model, Op, Range, TABLE_BITS, Table, TableSpec, ValueId, bounds,
};

/// Bits that one limb of a remainder is taken to have.
const LIMB_BITS: u8 = 12;
/// What a further step costs beside its columns, in committed elements: messages and their pads.
const STEP: u64 = 150;
/// Widest window of the high part of a split clamp.
const MAX_HIGH_BITS: u8 = 10;

/// A wide clamp as two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Split {
    /// `S`.
    shift: u8,
    /// Bits of `h`.
    high: u8,
    /// `-a`, `b`.
    ends: (i32, i32),
    /// Least window of the second clamp.
    bits: u8,
}

/// How a lookup is made.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// With a window of so many bits.
    Window(u8),
    /// As the value that it looks up.
    Nothing,
    /// As a rounded quotient of so many bits.
    Shift(u8),
    /// As two clamps, the second with a window of so many bits.
    Split(Split, u8),
}

/// A clamp of the model.
#[derive(Clone, Copy, Debug)]
struct Clamp {
    node: usize,
    /// Elements, padding included.
    elements: u64,
    range: Range,
    shift: u8,
    /// Least window.
    bits: u8,
}

/// The model in fewer committed elements, and where each of its values is there.
///
/// # Errors
///
/// A model that has to stay as it is: where equal steps cancel, a value or an input is left unused.
pub(super) fn economize(model: &Model) -> Result<(Model, Vec<Option<ValueId>>), CheckError> {
    let same = equal_values(model);
    let forms = forms(model, &same);
    let inputs = model.graph.inputs.len();
    let mut builder = Builder::new(model.graph.inputs.clone());
    let mut map: Vec<ValueId> = Vec::with_capacity(same.len());
    for (value, &first) in same.iter().enumerate() {
        if let Some(&known) = map.get(first) {
            map.push(known);
            continue;
        }
        let Some(node) = value.checked_sub(inputs) else {
            map.push(value as ValueId);
            continue;
        };
        let form = forms.get(&node).copied();
        map.push(emit(&mut builder, model, node, form, &map)?);
    }
    for output in &model.graph.outputs {
        builder.output(map[output.value as usize], output.scale)?;
    }
    let (model, kept) = builder.finish_with_map()?;
    let map = map.into_iter().map(|value| kept[value as usize]).collect();
    Ok((model, map))
}

fn emit(
    builder: &mut Builder,
    model: &Model,
    node: usize,
    form: Option<Form>,
    map: &[ValueId],
) -> Result<ValueId, CheckError> {
    let at = |value: ValueId| map[value as usize];
    let step = &model.graph.nodes[node];
    match &step.op {
        Op::Constant { constant } => {
            let constant = model.weights.constants[*constant as usize].clone();
            builder.constant(step.shape.clone(), constant)
        }
        Op::MatMul { a, b, batch, inner } => builder.matmul(at(*a), at(*b), *batch, *inner),
        Op::Mul { a, b } => builder.mul(at(*a), at(*b)),
        Op::Combine { terms, offset } => {
            let terms: Vec<(ValueId, i32)> = terms.iter().map(|&(v, c)| (at(v), c)).collect();
            builder.combine(&terms, *offset)
        }
        Op::Sum { input, axes } => builder.sum(at(*input), axes),
        Op::View { input, axes, shape } => builder.view(at(*input), axes.clone(), shape.clone()),
        Op::Reshape { input, shape } => builder.reshape(at(*input), shape.clone()),
        Op::Shift { input, shift, bits } => builder.shift(at(*input), *shift, *bits),
        Op::Lookup {
            input,
            shift,
            table: Table::Explicit { bits, table, .. },
        } => {
            let entries = &model.weights.tables[*table as usize].values;
            let bits = match form {
                Some(Form::Window(least)) => least.min(*bits),
                _ => *bits,
            };
            // The middle of the window.
            let beside = (entries.len() - (1 << bits)) / 2;
            let entries = entries[beside..beside + (1 << bits)].to_vec();
            builder.lookup(at(*input), *shift, TableSpec::Explicit(entries))
        }
        Op::Lookup {
            input,
            shift,
            table: Table::Clamp { bits, lo, hi },
        } => {
            let clamp = |bits| TableSpec::Clamp {
                bits,
                lo: *lo,
                hi: *hi,
            };
            let input = at(*input);
            match form.unwrap_or(Form::Window(*bits)) {
                Form::Window(bits) => builder.lookup(input, *shift, clamp(bits)),
                Form::Nothing => Ok(input),
                Form::Shift(bits) => builder.shift(input, *shift, bits),
                // A split of which a step leaves its bounds costs this split alone, not all that is saved
                // elsewhere: the clamp stays as it was, and steps that nothing reads are dropped.
                Form::Split(split, narrow) => match near(builder, input, split) {
                    Ok(near) => builder.lookup(near, *shift, clamp(narrow)),
                    Err(_) => builder.lookup(input, *shift, clamp(*bits)),
                },
            }
        }
    }
}

/// `v'`: the value itself where the high part of it lies between the ends of the split.
fn near(builder: &mut Builder, input: ValueId, split: Split) -> Result<ValueId, CheckError> {
    let high = builder.shift(input, split.shift, split.high)?;
    let (lo, hi) = split.ends;
    let table = TableSpec::Clamp {
        bits: split.high,
        lo,
        hi,
    };
    let clamped = builder.lookup(high, 0, table)?;
    let step = 1i32 << split.shift;
    builder.combine(&[(clamped, step), (input, 1), (high, -step)], 0)
}

/// Steps of the same operands that a step is compared with, at most: so time stays in proportion to the
/// steps, also where thousands read one value. Equal ones beyond are both kept.
const COMPARED: usize = 256;

/// The first value that is computed alike, for every value.
fn equal_values(model: &Model) -> Vec<usize> {
    let graph = &model.graph;
    let inputs = graph.inputs.len();
    let mut same: Vec<usize> = (0..inputs).collect();
    // Nodes by their operands.
    let mut known: BTreeMap<Vec<ValueId>, Vec<(usize, Op)>> = BTreeMap::new();
    for (node, step) in graph.nodes.iter().enumerate() {
        let own = inputs + node;
        let mut op = step.op.clone();
        rename(&mut op, &same);
        let operands = op.operands();
        if operands.is_empty() {
            same.push(own);
            continue;
        }
        let siblings = known.entry(operands).or_default();
        let mut latest = siblings.iter().rev().take(COMPARED);
        let found = latest.find(|(_, other)| *other == op);
        same.push(found.map_or(own, |(value, _)| *value));
        if found.is_none() {
            siblings.push((own, op));
        }
    }
    same
}

fn rename(op: &mut Op, same: &[usize]) {
    let new = |value: &mut ValueId| *value = same[*value as usize] as ValueId;
    match op {
        Op::Constant { .. } => {}
        Op::MatMul { a, b, .. } | Op::Mul { a, b } => {
            new(a);
            new(b);
        }
        Op::Combine { terms, .. } => terms.iter_mut().for_each(|(value, _)| new(value)),
        Op::Sum { input, .. }
        | Op::View { input, .. }
        | Op::Reshape { input, .. }
        | Op::Lookup { input, .. }
        | Op::Shift { input, .. } => new(input),
    }
}

/// The smallest window of values in a range.
fn least_window(range: Range, shift: u8) -> Option<u8> {
    TABLE_BITS
        .clone()
        .find(|&bits| bounds::lookup_fits(range, shift, bits))
}

/// The smallest window that holds the ends of a clamp.
fn bits_of(lo: i32, hi: i32) -> u8 {
    let holds = |&bits: &u8| {
        (-1i64 << (bits - 1)..1 << (bits - 1)).contains(&i64::from(lo))
            && i64::from(hi) < 1 << (bits - 1)
    };
    TABLE_BITS.clone().find(holds).unwrap_or(*TABLE_BITS.end())
}

/// How every lookup is made that is not to stay as it is.
fn forms(model: &Model, same: &[usize]) -> BTreeMap<usize, Form> {
    let graph = &model.graph;
    let mut forms = BTreeMap::new();
    let mut clamps: BTreeMap<(i32, i32), Vec<Clamp>> = BTreeMap::new();
    let mut idle: BTreeMap<u8, Vec<Clamp>> = BTreeMap::new();
    let mut explicit: BTreeMap<u32, (u8, Vec<usize>)> = BTreeMap::new();
    for (node, step) in graph.nodes.iter().enumerate() {
        let Op::Lookup {
            input,
            shift,
            table,
        } = step.op
        else {
            continue;
        };
        let range = graph.range(input).unwrap_or(step.range);
        let first = same[graph.inputs.len() + node] == graph.inputs.len() + node;
        let (true, Some(bits)) = (first, least_window(range, shift)) else {
            continue;
        };
        let clamp = Clamp {
            node,
            elements: step.shape.padded() as u64,
            range,
            shift,
            bits,
        };
        match table {
            Table::Explicit { table, .. } => {
                let (most, nodes) = explicit.entry(table).or_default();
                *most = bits.max(*most);
                nodes.push(node);
            }
            Table::Clamp { lo, hi, .. } if !bounds::clamp_is_idle(range, shift, lo, hi) => {
                let bits = bits.max(bits_of(lo, hi));
                let clamp = Clamp { bits, ..clamp };
                clamps.entry((lo, hi)).or_default().push(clamp);
            }
            Table::Clamp { .. } if shift == 0 => {
                let value = graph.value_of(node);
                if graph.outputs.iter().all(|output| output.value != value) {
                    forms.insert(node, Form::Nothing);
                }
            }
            Table::Clamp { .. } => idle.entry(bits).or_default().push(clamp),
        }
    }
    for (bits, clamps) in idle {
        let elements: u64 = clamps.iter().map(|clamp| clamp.elements).sum();
        // A quotient has no table of its own, but may take two limbs.
        let limbs = u64::from(bits.div_ceil(LIMB_BITS));
        if (limbs - 1) * elements < 1 << bits {
            forms.extend(clamps.iter().map(|c| (c.node, Form::Shift(c.bits))));
        }
    }
    for (bits, nodes) in explicit.into_values() {
        forms.extend(nodes.into_iter().map(|node| (node, Form::Window(bits))));
    }
    for ((lo, hi), clamps) in clamps {
        forms.extend(shared(&clamps, lo, hi));
    }
    forms
}

/// The cheapest forms of all clamps to the same ends: those above some window are split, and what
/// is then looked up shares the largest window that is left.
fn shared(clamps: &[Clamp], lo: i32, hi: i32) -> Vec<(usize, Form)> {
    let mut thresholds: Vec<u8> = clamps.iter().map(|clamp| clamp.bits).collect();
    thresholds.push(0);
    thresholds.sort_unstable();
    thresholds.dedup();
    let cheapest = thresholds
        .into_iter()
        .map(|most| forms_below(clamps, lo, hi, most))
        .min_by_key(|(cost, _)| *cost);
    cheapest.map_or_else(Vec::new, |(_, forms)| forms)
}

/// Forms when clamps with a window above `most` bits are split, and what they cost.
fn forms_below(clamps: &[Clamp], lo: i32, hi: i32, most: u8) -> (u64, Vec<(usize, Form)>) {
    let mut cost = 0;
    let splits: Vec<Option<Split>> = clamps
        .iter()
        .map(|clamp| {
            let split = split(clamp, lo, hi).filter(|_| clamp.bits > most)?;
            (split.bits < clamp.bits).then_some(split)
        })
        .collect();
    let least = |(clamp, split): (&Clamp, &Option<Split>)| split.map_or(clamp.bits, |s| s.bits);
    let window = clamps.iter().zip(&splits).map(least).max().unwrap_or(1);
    let mut tables = std::collections::BTreeSet::new();
    let forms = clamps.iter().zip(&splits).map(|(clamp, split)| {
        // A long shift leaves a small window.
        let bits = match window + clamp.shift <= hallmark_graph::MAX_WINDOW_BITS {
            true => window,
            false => least((clamp, split)),
        };
        tables.insert((bits, lo, hi));
        let form = match *split {
            None => Form::Window(bits),
            Some(split) => {
                let columns = u64::from(split.shift.div_ceil(LIMB_BITS)) + 2;
                cost += columns * clamp.elements + STEP;
                tables.insert((split.high, split.ends.0, split.ends.1));
                Form::Split(split, bits)
            }
        };
        (clamp.node, form)
    });
    let forms = forms.collect();
    let rows: u64 = tables.iter().map(|(bits, ..)| 1u64 << bits).sum();
    (cost + rows, forms)
}

/// The split of a clamp that has the fewest rows.
fn split(clamp: &Clamp, lo: i32, hi: i32) -> Option<Split> {
    let least = (1..=16u8).filter_map(|c| {
        let shift = clamp.shift.checked_add(c).filter(|&shift| shift < 23)?;
        let high = least_window(clamp.range, shift).filter(|&bits| bits <= MAX_HIGH_BITS)?;
        let step = 1i64 << c;
        // The least b with (b - 1/2)·2^c >= hi - 1/2, and the same of a and -lo.
        let steps = |end: i64| {
            let halves = (2 * end.max(1) - 1 + step - 1) / step;
            (halves + 2) / 2
        };
        let (a, b) = (steps(-i64::from(lo)), steps(i64::from(hi)));
        let high = high.max(bits_of(i32::try_from(-a).ok()?, i32::try_from(b).ok()?));
        let full = 1i64 << shift;
        let near = bounds::narrow(-a * full - full / 2, b * full + full / 2 - 1)?;
        Some(Split {
            shift,
            high,
            ends: (i32::try_from(-a).ok()?, i32::try_from(b).ok()?),
            bits: least_window(near, clamp.shift)?.max(bits_of(lo, hi)),
        })
    });
    least.min_by_key(|split| ((1u64 << split.bits) + (2 << split.high), split.shift))
}
