//! Shape and range of a node's result from its operands: the one place where the builder, which
//! computes them, and the check, which compares them, agree.

use crate::{
    AxisMap, CheckError, Graph, MAX_LIST, MAX_MULTIPLIER, MAX_RANK, MAX_TENSOR, MAX_TERMS, Op,
    Range, Shape, TABLE_BITS, Table, ValueId, Weights, bounds,
};

/// Shape of the result of `op` as node `node` of `graph`, whose earlier nodes are there.
pub(crate) fn shape(graph: &Graph, node: usize, op: &Op) -> Result<Shape, CheckError> {
    match op {
        // A constant's shape is given, not computed.
        Op::Constant { .. } => Err(CheckError::ConstantShape { node }),
        Op::MatMul { a, b, batch, inner } => {
            let (a, b) = (operand(graph, node, *a)?, operand(graph, node, *b)?);
            matmul_shape(a, b, *batch, *inner).ok_or_else(|| CheckError::MatMulAxes {
                node,
                a: a.clone(),
                b: b.clone(),
                batch: *batch,
                inner: *inner,
            })
        }
        Op::Mul { a, b } => equal_shapes(graph, node, op, &[*a, *b]),
        Op::Combine { terms, .. } => {
            check_terms(node, terms)?;
            let values: Vec<ValueId> = terms.iter().map(|(value, _)| *value).collect();
            equal_shapes(graph, node, op, &values)
        }
        Op::Sum { input, axes } => {
            let from = operand(graph, node, *input)?;
            let rising = axes.windows(2).all(|pair| pair.first() < pair.last());
            let exist = axes.iter().all(|&axis| usize::from(axis) < from.rank());
            if axes.is_empty() || !rising || !exist {
                return Err(CheckError::SumAxes {
                    node,
                    shape: from.clone(),
                    axes: axes.clone(),
                });
            }
            let kept = (0u8..).zip(&from.0);
            let kept = kept.filter(|(axis, _)| !axes.contains(axis));
            Ok(Shape(kept.map(|(_, &dim)| dim).collect()))
        }
        Op::View { input, axes, shape } => {
            check_view(node, operand(graph, node, *input)?, axes, shape)?;
            Ok(shape.clone())
        }
        Op::Reshape { input, shape } => {
            let from = operand(graph, node, *input)?;
            if from.elements() != shape.elements() {
                return Err(CheckError::ShapeMismatch {
                    node,
                    op: op.name(),
                    expected: format!("{} elements", from.elements()),
                    actual: shape.clone(),
                });
            }
            Ok(shape.clone())
        }
        Op::Lookup { input, table, .. } => {
            check_table(node, table)?;
            operand(graph, node, *input).cloned()
        }
        Op::Shift { input, .. } => operand(graph, node, *input).cloned(),
    }
}

/// Range of the result of `op` as node `node`; `None` where it depends on a constant's content.
pub(crate) fn range(graph: &Graph, node: usize, op: &Op) -> Result<Option<Range>, CheckError> {
    let of = |value: ValueId| operand_range(graph, node, value);
    let range = match op {
        Op::Constant { .. } => return Ok(None),
        Op::MatMul { a, b, batch, inner } => {
            if is_constant(graph, *a) || is_constant(graph, *b) {
                return Ok(None);
            }
            let depth = inner_len(operand(graph, node, *b)?, *batch, *inner);
            bounds::matmul(of(*a)?, of(*b)?, depth)
        }
        Op::Mul { a, b } if a == b => bounds::square(of(*a)?),
        Op::Mul { a, b } => bounds::mul(of(*a)?, of(*b)?),
        Op::Combine { terms, offset } => combine(graph, node, terms, *offset)?,
        Op::Sum { input, axes } => {
            let from = operand(graph, node, *input)?;
            let count = axes.iter().fold(1usize, |product, &axis| {
                let dim = from.0.get(usize::from(axis)).copied().unwrap_or(1);
                product.saturating_mul(dim as usize)
            });
            bounds::sum(of(*input)?, count)
        }
        Op::View { input, axes, shape } => {
            let range = of(*input)?;
            let from = operand(graph, node, *input)?;
            let outside = axes
                .iter()
                .zip(&from.0)
                .any(|(map, &dim)| reads_outside(map, dim, shape));
            Some(if outside {
                bounds::with_zero(range)
            } else {
                range
            })
        }
        Op::Reshape { input, .. } => Some(of(*input)?),
        Op::Lookup {
            input,
            shift,
            table,
        } => {
            let range = of(*input)?;
            check_window(node, range, *shift, table.bits())?;
            bounds::lookup(range, *shift, table)
        }
        Op::Shift { input, shift, bits } => {
            let range = of(*input)?;
            check_window(node, range, *shift, *bits)?;
            bounds::shift(range, *shift, *bits)
        }
    };
    range.map(Some).ok_or(CheckError::TooLarge { node })
}

/// Range of the result of an `op` whose range depends on a constant's content.
pub(crate) fn weighted_range(
    graph: &Graph,
    weights: &Weights,
    node: usize,
    op: &Op,
    own_shape: &Shape,
) -> Result<Option<Range>, CheckError> {
    let too_large = CheckError::TooLarge { node };
    let range = match op {
        Op::Constant { constant } => weights
            .constants
            .get(*constant as usize)
            .and_then(|constant| constant.values(own_shape.last() as usize))
            .and_then(|values| bounds::of_values(&values)),
        // With two constants the right one counts.
        Op::MatMul { a, b, batch, inner } if is_constant(graph, *b) => {
            let shape = operand(graph, node, *b)?;
            let values = constant_values(graph, weights, node, *b)?;
            let depth = inner_len(shape, *batch, *inner);
            let cols = shape
                .0
                .iter()
                .skip(usize::from(*batch).saturating_add(usize::from(*inner)))
                .fold(1usize, |product, &d| product.saturating_mul(d as usize));
            let sums = bounds::column_sums(&values, depth, cols);
            bounds::matmul_constant(operand_range(graph, node, *a)?, &sums)
        }
        Op::MatMul { a, b, batch, inner } if is_constant(graph, *a) => {
            let values = constant_values(graph, weights, node, *a)?;
            let depth = inner_len(operand(graph, node, *b)?, *batch, *inner);
            let sums = bounds::row_sums(&values, depth);
            bounds::matmul_constant(operand_range(graph, node, *b)?, &sums)
        }
        _ => return Ok(None),
    };
    range.map(Some).ok_or(too_large)
}

/// Whether a value is defined by a `Constant`.
pub(crate) fn is_constant(graph: &Graph, value: ValueId) -> bool {
    constant_id(graph, value).is_some()
}

fn constant_id(graph: &Graph, value: ValueId) -> Option<u32> {
    match graph.nodes.get(graph.node_of(value)?)?.op {
        Op::Constant { constant } => Some(constant),
        _ => None,
    }
}

fn constant_values(
    graph: &Graph,
    weights: &Weights,
    node: usize,
    value: ValueId,
) -> Result<Vec<i32>, CheckError> {
    let last = operand(graph, node, value)?.last() as usize;
    constant_id(graph, value)
        .and_then(|id| weights.constants.get(id as usize))
        .and_then(|constant| constant.values(last))
        .ok_or(CheckError::TooLarge { node })
}

/// Shape of an operand, which must be earlier than `node`.
pub(crate) fn operand(graph: &Graph, node: usize, value: ValueId) -> Result<&Shape, CheckError> {
    let earlier = graph.node_of(value).is_none_or(|of| of < node);
    match graph.shape(value) {
        Some(shape) if earlier => Ok(shape),
        _ => Err(CheckError::Operand {
            node,
            operand: value,
        }),
    }
}

fn operand_range(graph: &Graph, node: usize, value: ValueId) -> Result<Range, CheckError> {
    operand(graph, node, value)?;
    graph.range(value).ok_or(CheckError::Operand {
        node,
        operand: value,
    })
}

/// Product of the `inner` axes of `b`, which has the axes `B ++ k ++ n`.
fn inner_len(b: &Shape, batch: u8, inner: u8) -> usize {
    b.0.iter()
        .skip(usize::from(batch))
        .take(usize::from(inner))
        .fold(1usize, |product, &dim| product.saturating_mul(dim as usize))
}

fn matmul_shape(a: &Shape, b: &Shape, batch: u8, inner: u8) -> Option<Shape> {
    let (batch, inner) = (usize::from(batch), usize::from(inner));
    if inner == 0 {
        return None;
    }
    let rows_end = a.rank().checked_sub(inner)?;
    let cols_start = batch.checked_add(inner)?;
    let (batch_a, batch_b) = (a.0.get(..batch)?, b.0.get(..batch)?);
    let (inner_a, inner_b) = (a.0.get(rows_end..)?, b.0.get(batch..cols_start)?);
    if batch_a != batch_b || inner_a != inner_b {
        return None;
    }
    let (rows, cols) = (a.0.get(batch..rows_end)?, b.0.get(cols_start..)?);
    Some(Shape([batch_a, rows, cols].concat()))
}

fn equal_shapes(
    graph: &Graph,
    node: usize,
    op: &Op,
    values: &[ValueId],
) -> Result<Shape, CheckError> {
    let mut common: Option<&Shape> = None;
    for &value in values {
        let shape = operand(graph, node, value)?;
        match common {
            Some(common) if common != shape => {
                return Err(CheckError::ShapeMismatch {
                    node,
                    op: op.name(),
                    expected: format!("{common} for every operand"),
                    actual: shape.clone(),
                });
            }
            _ => common = Some(shape),
        }
    }
    common.cloned().ok_or(CheckError::Terms { node, count: 0 })
}

fn check_terms(node: usize, terms: &[(ValueId, i32)]) -> Result<(), CheckError> {
    if terms.is_empty() || terms.len() > MAX_TERMS {
        return Err(CheckError::Terms {
            node,
            count: terms.len(),
        });
    }
    for (index, &(value, multiplier)) in terms.iter().enumerate() {
        if multiplier == 0 || multiplier.unsigned_abs() >= MAX_MULTIPLIER.unsigned_abs() {
            return Err(CheckError::Multiplier { node, multiplier });
        }
        if terms.iter().take(index).any(|(other, _)| *other == value) {
            return Err(CheckError::RepeatedTerm { node, value });
        }
    }
    Ok(())
}

/// Interval arithmetic, tightened for a maximum of two, and where `c·x` meets `-c·2^s·y` and `y` is the
/// rounded quotient of `x` by `2^s`: together they are `c` times the remainder. Each quotient takes its `x`
/// once.
fn combine(
    graph: &Graph,
    node: usize,
    terms: &[(ValueId, i32)],
    offset: i32,
) -> Result<Option<Range>, CheckError> {
    if let Some((a, b)) = maximum_of(graph, terms, offset) {
        let (a, b) = (
            operand_range(graph, node, a)?,
            operand_range(graph, node, b)?,
        );
        return Ok(Some(Range {
            lo: a.lo.max(b.lo),
            hi: a.hi.max(b.hi),
        }));
    }
    let mut paired = vec![false; terms.len()];
    let mut ends = Vec::with_capacity(terms.len());
    for (index, &(y, multiplier)) in terms.iter().enumerate() {
        let Some((x, shift)) = quotient_of(graph, y) else {
            continue;
        };
        let found = terms.iter().enumerate().position(|(other, &(value, c))| {
            let matches = i64::from(c)
                .checked_shl(u32::from(shift))
                .and_then(i64::checked_neg)
                == Some(i64::from(multiplier));
            value == x && matches && paired.get(other) == Some(&false)
        });
        let (Some(found), Some(false)) = (found, paired.get(index)) else {
            continue;
        };
        let (Some(&(_, c)), Some(remainder)) = (terms.get(found), bounds::remainder(shift)) else {
            continue;
        };
        let by_remainder = bounds::scaled(remainder, c);
        let of_x = bounds::scaled(operand_range(graph, node, x)?, c);
        let of_y = bounds::scaled(operand_range(graph, node, y)?, multiplier);
        ends.push((
            by_remainder.0.max(of_x.0.saturating_add(of_y.0)),
            by_remainder.1.min(of_x.1.saturating_add(of_y.1)),
        ));
        for at in [index, found] {
            if let Some(paired) = paired.get_mut(at) {
                *paired = true;
            }
        }
    }
    for (&(value, multiplier), _) in terms.iter().zip(&paired).filter(|(_, paired)| !**paired) {
        ends.push(bounds::scaled(
            operand_range(graph, node, value)?,
            multiplier,
        ));
    }
    let offset = i64::from(offset);
    let (lo, hi) = ends.iter().fold((offset, offset), |(lo, hi), end| {
        (lo.saturating_add(end.0), hi.saturating_add(end.1))
    });
    Ok(bounds::narrow(lo, hi))
}

/// `(a, b)` when the terms are `b + clamp(a - b, 0, h)`, and `a - b` is never above `h`: the larger of both.
fn maximum_of(graph: &Graph, terms: &[(ValueId, i32)], offset: i32) -> Option<(ValueId, ValueId)> {
    let node = |value| graph.nodes.get(graph.node_of(value)?);
    let (&[(first, 1), (second, 1)], 0) = (terms, offset) else {
        return None;
    };
    [(first, second), (second, first)]
        .into_iter()
        .find_map(|(b, positive)| {
            let Op::Lookup {
                input,
                shift: 0,
                table: Table::Clamp { lo: 0, hi, .. },
            } = node(positive)?.op
            else {
                return None;
            };
            let Op::Combine { terms, offset: 0 } = &node(input)?.op else {
                return None;
            };
            let a = match terms[..] {
                [(a, 1), (other, -1)] | [(other, -1), (a, 1)] if other == b => a,
                _ => return None,
            };
            (graph.range(input)?.hi <= hi).then_some((a, b))
        })
}

/// `(x, s)` when `value` is `(x + 2^(s-1)) >> s` for every `x` in its range.
fn quotient_of(graph: &Graph, value: ValueId) -> Option<(ValueId, u8)> {
    match graph.nodes.get(graph.node_of(value)?)?.op {
        Op::Shift { input, shift, .. } => Some((input, shift)),
        Op::Lookup {
            input,
            shift,
            table: Table::Clamp { lo, hi, .. },
        } if bounds::clamp_is_idle(graph.range(input)?, shift, lo, hi) => Some((input, shift)),
        _ => None,
    }
}

fn check_view(
    node: usize,
    from: &Shape,
    axes: &[AxisMap],
    shape: &Shape,
) -> Result<(), CheckError> {
    let error = |axis: usize, rule: &'static str| Err(CheckError::View { node, axis, rule });
    check_shape_limits(shape).map_err(|rule| CheckError::View {
        node,
        axis: 0,
        rule,
    })?;
    if axes.len() != from.rank() {
        return error(
            axes.len(),
            "one map is needed for every axis of the operand",
        );
    }
    let mut named = [false; MAX_RANK];
    let mut name = |axis: u8| match named.get_mut(usize::from(axis)) {
        Some(named) if usize::from(axis) < shape.rank() && !*named => {
            *named = true;
            true
        }
        _ => false,
    };
    for (index, (map, &dim)) in axes.iter().zip(&from.0).enumerate() {
        match map {
            AxisMap::Affine { terms, .. } => {
                let rising = terms
                    .windows(2)
                    .all(|pair| pair.first().map(|t| t.0) < pair.last().map(|t| t.0));
                if !rising {
                    return error(index, "axes of the result must rise");
                }
                if terms.iter().any(|(_, stride)| *stride == 0) {
                    return error(index, "a stride is 0");
                }
                if !terms.iter().all(|(axis, _)| name(*axis)) {
                    return error(index, "an axis of the result is missing or named twice");
                }
            }
            AxisMap::List { axis, indices } => {
                if !name(*axis) {
                    return error(index, "an axis of the result is missing or named twice");
                }
                let expected = shape.0.get(usize::from(*axis)).copied().unwrap_or(0);
                if indices.len() != expected as usize {
                    return error(index, "a list needs one entry for every position");
                }
                let valid = |&i: &i32| i == -1 || u32::try_from(i).is_ok_and(|i| i < dim);
                if !indices.iter().all(valid) {
                    return error(index, "an entry of a list is neither -1 nor an index");
                }
            }
        }
    }
    Ok(())
}

/// Entries of all lists of one `View`.
pub(crate) fn list_entries(op: &Op) -> usize {
    let Op::View { axes, .. } = op else {
        return 0;
    };
    axes.iter().fold(0usize, |sum, map| match map {
        AxisMap::Affine { .. } => sum,
        AxisMap::List { indices, .. } => sum.saturating_add(indices.len()),
    })
}

/// Whether a map reads outside an axis of length `dim` at some position. The indices of an affine
/// map reach both ends of their interval, because every term has its own axis.
fn reads_outside(map: &AxisMap, dim: u32, shape: &Shape) -> bool {
    match map {
        AxisMap::List { indices, .. } => indices.contains(&-1),
        AxisMap::Affine { offset, terms } => {
            let (mut lo, mut hi) = (i64::from(*offset), i64::from(*offset));
            for &(axis, stride) in terms {
                let dim = shape.0.get(usize::from(axis)).copied().unwrap_or(1);
                let reach = i64::from(dim.saturating_sub(1)).saturating_mul(i64::from(stride));
                lo = lo.saturating_add(reach.min(0));
                hi = hi.saturating_add(reach.max(0));
            }
            lo < 0 || hi >= i64::from(dim)
        }
    }
}

pub(crate) fn check_table(node: usize, table: &Table) -> Result<(), CheckError> {
    if !TABLE_BITS.contains(&table.bits()) {
        return Err(CheckError::TableBits {
            node,
            bits: table.bits(),
        });
    }
    let range = table.range();
    let first = table.first_index();
    let valid = match table {
        Table::Clamp { .. } => range.lo >= first && range.hi < first.saturating_neg(),
        Table::Explicit { .. } => {
            bounds::narrow(i64::from(range.lo), i64::from(range.hi)).is_some()
        }
    };
    if range.lo > range.hi || !valid {
        return Err(CheckError::TableRange { node, range });
    }
    Ok(())
}

fn check_window(node: usize, range: Range, shift: u8, bits: u8) -> Result<(), CheckError> {
    if bounds::lookup_fits(range, shift, bits) {
        return Ok(());
    }
    Err(CheckError::Window {
        node,
        range,
        shift,
        bits,
    })
}

/// The limits of every shape: rank, no empty axis, padded size.
pub(crate) fn check_shape_limits(shape: &Shape) -> Result<(), &'static str> {
    if shape.rank() > MAX_RANK {
        return Err("the result has too many axes");
    }
    if shape.0.contains(&0) {
        return Err("an axis of the result is empty");
    }
    if shape.padded() > MAX_TENSOR {
        return Err("the result has too many elements");
    }
    Ok(())
}

/// Adds the list entries of `op`; `Err` past [`MAX_LIST`].
pub(crate) fn count_list(total: &mut usize, node: usize, op: &Op) -> Result<(), CheckError> {
    *total = total.saturating_add(list_entries(op));
    if *total > MAX_LIST {
        return Err(CheckError::TooManyListEntries { node });
    }
    Ok(())
}
