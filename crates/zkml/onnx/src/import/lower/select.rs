//! Operators that order elements: the place of the largest, the largest few.

use super::{Lowered, one};
use crate::FloatOp;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::tensor::Kind;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "ArgMax" => one(extreme(b, n, false)),
        "ArgMin" => one(extreme(b, n, true)),
        "TopK" => top(b, n),
        _ => return None,
    })
}

/// `Σ_i i·onehot_i`, from the end where the last of equal elements is asked for.
fn extreme(b: &mut Builder, n: &Node<'_>, least: bool) -> Made {
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let axis = n.axis(n.int("axis", 0), shape.len())?;
    let keep = n.flag("keepdims", true);
    let length = shape[axis];
    let mut x = match least {
        true => b.neg(x)?,
        false => x.clone(),
    };
    let last = n.flag("select_last_index", false);
    if last {
        x = b.slice(&x, axis, (length as i64 - 1, -1, length))?;
    }
    let rank = shape.len();
    let mut order: Vec<usize> = (0..rank).filter(|&a| a != axis).collect();
    order.push(axis);
    let moved = b.permute(&x, &order)?;
    let hot = b.recipe(&moved, |input| FloatOp::OneHotMax { input })?;
    let places = 0..length;
    let places = match last {
        true => places.rev().map(|i| i as f32).collect(),
        false => places.map(|i| i as f32).collect(),
    };
    let places = b.floats(vec![length], places);
    let made = b.product(&hot, &places, 0, 1)?;
    let made = match keep {
        true => b.keep(&made, &shape, &[axis])?,
        false => made,
    };
    Ok(made.with_kind(Kind::Signed(64)))
}

/// Values and places by the one-hot of each element's rank.
fn top(b: &mut Builder, n: &Node<'_>) -> Lowered {
    n.ignore(&["sorted"]);
    let x = n.operand(0)?;
    let shape = b.shape(x);
    let axis = n.axis(n.int("axis", -1), shape.len())?;
    let k = match n.maybe_int("k") {
        Some(k) => k as f64,
        None => n.number(1)?,
    };
    let length = shape[axis];
    if !(1.0..=length as f64).contains(&k) || length > 1 << 12 {
        return Err(n.refuse(format!("cannot choose {k} of {length} elements")));
    }
    let k = k as usize;
    let rank = shape.len();
    let mut order: Vec<usize> = (0..rank).filter(|&a| a != axis).collect();
    order.push(axis);
    let moved = b.permute(x, &order)?;
    let signed = match n.flag("largest", true) {
        true => moved.clone(),
        false => b.neg(&moved)?,
    };
    let ranks = b.recipe(&signed, |input| FloatOp::Rank { input })?;
    let mut wide = b.shape(&ranks);
    wide.push(k);
    let hot = b.apply(
        &[&ranks],
        |v| FloatOp::OneHot {
            input: v[0],
            depth: k as u32,
        },
        wide,
    )?;
    // [others…, k]: Σ_i x_i·hot[i, k]
    let values = b.product(&moved, &hot, rank - 1, 1)?;
    let mut swap: Vec<usize> = (0..rank + 1).collect();
    swap.swap(rank - 1, rank);
    let turned = b.permute(&hot, &swap)?;
    let places = b.floats(vec![length], (0..length).map(|i| i as f32).collect());
    let indices = b.product(&turned, &places, 0, 1)?;
    let mut back: Vec<usize> = (0..rank - 1).collect();
    back.insert(axis, rank - 1);
    let values: Operand = b.permute(&values, &back)?.with_kind(x.kind);
    let indices = b.permute(&indices, &back)?.with_kind(Kind::Signed(64));
    Ok(vec![values, indices])
}
