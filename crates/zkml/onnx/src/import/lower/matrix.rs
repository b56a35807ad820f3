//! Products of matrices.

use super::{Lowered, one};
use crate::ImportError;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "MatMul" => one(n.operand(0).and_then(|x| matmul(b, x, n.operand(1)?))),
        "com.microsoft.FusedMatMul" => one(fused(b, n)),
        "Gemm" => one(gemm(b, n)),
        "Einsum" => one(einsum(b, n)),
        _ => return None,
    })
}

/// NumPy's `matmul`.
pub(super) fn matmul(b: &mut Builder, x: &Operand, y: &Operand) -> Made {
    let (mut left, mut right) = (b.shape(x), b.shape(y));
    if left.is_empty() || right.is_empty() {
        return Err(b.refuse("a scalar is no matrix"));
    }
    let (row, column) = (left.len() == 1, right.len() == 1);
    if row {
        left.insert(0, 1);
    }
    if column {
        right.push(1);
    }
    let x = b.reshape(x, left.clone())?;
    let y = b.reshape(y, right.clone())?;
    let (outer_left, outer_right) = (
        left[..left.len() - 2].to_vec(),
        right[..right.len() - 2].to_vec(),
    );
    let flat = |outer: &[usize]| outer.iter().all(|&dim| dim == 1);
    let made = if flat(&outer_right) {
        // One matrix on the right: all rows on the left.
        let matrix = b.reshape(&y, right[right.len() - 2..].to_vec())?;
        let made = b.product(&x, &matrix, 0, 1)?;
        lead(b, &made, outer_right.len() + 2)?
    } else if flat(&outer_left) {
        // (x·y)ᵀ = yᵀ·xᵀ
        let matrix = b.reshape(&x, left[left.len() - 2..].to_vec())?;
        let matrix = b.permute(&matrix, &[1, 0])?;
        let rank = right.len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 1, rank - 2);
        let y = b.permute(&y, &order)?;
        let made = b.product(&y, &matrix, 0, 1)?;
        let made = b.permute(&made, &order)?;
        lead(b, &made, outer_left.len() + 2)?
    } else {
        let like = |dims: Vec<usize>| {
            Operand::constant(
                crate::import::tensor::Tensor {
                    dims,
                    data: crate::import::tensor::Data::Wide([].into()),
                },
                x.kind,
            )
        };
        let outer = b.common(&[&like(outer_left), &like(outer_right)])?;
        let spread = |b: &mut Builder, o: &Operand, own: &[usize]| {
            let mut shape = outer.clone();
            shape.extend(&own[own.len() - 2..]);
            b.broadcast(o, &shape)
        };
        let x = spread(b, &x, &left)?;
        let y = spread(b, &y, &right)?;
        b.product(&x, &y, outer.len(), 1)?
    };
    let mut shape = b.shape(&made);
    if column {
        shape.pop();
    }
    if row {
        let at = shape.len() - usize::from(!column);
        shape.remove(at - 1);
    }
    b.reshape(&made, shape)
}

/// Axes of length 1 in front, up to a rank.
fn lead(b: &mut Builder, x: &Operand, rank: usize) -> Made {
    let mut shape = b.shape(x);
    while shape.len() < rank {
        shape.insert(0, 1);
    }
    b.reshape(x, shape)
}

fn swapped(b: &mut Builder, x: &Operand, swap: bool) -> Made {
    let rank = b.rank(x);
    if !swap || rank < 2 {
        return Ok(x.clone());
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 1, rank - 2);
    b.permute(x, &order)
}

fn fused(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = swapped(b, n.operand(0)?, n.flag("transA", false))?;
    let y = swapped(b, n.operand(1)?, n.flag("transB", false))?;
    if n.flag("transBatchA", false) || n.flag("transBatchB", false) {
        return Err(n.refuse("transposed batches are not supported"));
    }
    let made = matmul(b, &x, &y)?;
    b.affine(&made, n.float("alpha", 1.0), 0.0)
}

fn gemm(b: &mut Builder, n: &Node<'_>) -> Made {
    n.ignore(&["broadcast"]);
    let (x, y) = (n.operand(0)?, n.operand(1)?);
    if b.rank(x) != 2 || b.rank(y) != 2 {
        return Err(n.refuse(format!(
            "operands of shapes {:?} and {:?} are no matrices",
            b.shape(x),
            b.shape(y)
        )));
    }
    let x = swapped(b, x, n.flag("transA", false))?;
    let y = swapped(b, y, n.flag("transB", false))?;
    let (alpha, beta) = (n.float("alpha", 1.0), n.float("beta", 1.0));
    // The factor joins a constant.
    let made = match (x.tensor(), y.tensor()) {
        (_, Some(_)) => {
            let y = b.affine(&y, alpha, 0.0)?;
            matmul(b, &x, &y)?
        }
        (Some(_), None) => {
            let x = b.affine(&x, alpha, 0.0)?;
            matmul(b, &x, &y)?
        }
        (None, None) => {
            let made = matmul(b, &x, &y)?;
            b.affine(&made, alpha, 0.0)?
        }
    };
    let Some(c) = n.maybe(2) else {
        return Ok(made);
    };
    let shape = b.shape(&made);
    let made = b.combine(&[(&made, 1.0), (c, beta)], 0.0)?;
    match b.shape(&made) == shape {
        true => Ok(made),
        false => Err(n.refuse("its bias is larger than its product")),
    }
}

/// One operand: sums and transpositions. Two: a product over the labels that vanish.
fn einsum(b: &mut Builder, n: &Node<'_>) -> Made {
    let equation: String = n.string("equation", "").split_whitespace().collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs.to_owned(), Some(output.to_owned())),
        None => (equation.clone(), None),
    };
    let mut labels: Vec<Vec<char>> = Vec::new();
    for (index, term) in inputs.split(',').enumerate() {
        let rank = b.rank(n.operand(index)?);
        labels.push(spell(n, term, rank)?);
    }
    if labels.len() != n.operands.len() || labels.len() > 8 {
        return Err(n.refuse(format!("{equation:?} does not fit its operands")));
    }
    let output: Vec<char> = match output {
        Some(output) => {
            let dots = labels.iter().flatten().filter(|c| c.is_ascii_digit());
            let most = dots.max().map_or(0, |c| *c as usize - '0' as usize + 1);
            spell(n, &output, output.replace("...", "").len() + most)?
        }
        None => {
            let all: Vec<char> = labels.iter().flatten().copied().collect();
            let mut once: Vec<char> = all
                .iter()
                .copied()
                .filter(|c| c.is_ascii_digit() || all.iter().filter(|d| *d == c).count() == 1)
                .collect();
            once.sort_unstable();
            once.dedup();
            once
        }
    };
    let mut made = n.operand(0)?.clone();
    let mut own = labels[0].clone();
    for index in 1..labels.len() {
        let later: Vec<char> = labels[index + 1..]
            .iter()
            .flatten()
            .chain(&output)
            .copied()
            .collect();
        (made, own) = contract(
            b,
            n,
            (&made, &own),
            (n.operand(index)?, &labels[index]),
            &later,
        )?;
    }
    let gone: Vec<usize> = (0..own.len())
        .filter(|&i| !output.contains(&own[i]))
        .collect();
    made = b.sum(&made, &gone)?;
    own.retain(|c| output.contains(c));
    let order: Option<Vec<usize>> = output
        .iter()
        .map(|c| own.iter().position(|d| d == c))
        .collect();
    match order {
        Some(order) if order.len() == own.len() => b.permute(&made, &order),
        _ => Err(n.refuse(format!("{equation:?} is not supported"))),
    }
}

/// Labels of one term; an ellipsis becomes digits.
fn spell(n: &Node<'_>, term: &str, rank: usize) -> Result<Vec<char>, ImportError> {
    let named = term.replace("...", "");
    let hidden = rank.saturating_sub(named.len()).min(9);
    let dots: String = (0..hidden).map(|i| (b'0' + i as u8) as char).collect();
    let spelled: Vec<char> = match term.contains("...") {
        true => term.replace("...", &dots).chars().collect(),
        false => term.chars().collect(),
    };
    let distinct: std::collections::BTreeSet<&char> = spelled.iter().collect();
    if spelled.len() != rank || distinct.len() != rank {
        return Err(n.refuse(format!("the term {term:?} does not fit {rank} dimensions")));
    }
    Ok(spelled)
}

fn contract(
    b: &mut Builder,
    n: &Node<'_>,
    (x, left): (&Operand, &[char]),
    (y, right): (&Operand, &[char]),
    later: &[char],
) -> Result<(Operand, Vec<char>), ImportError> {
    // Labels of one side that nobody needs are summed first.
    let lone = |own: &[char], other: &[char]| -> Vec<usize> {
        (0..own.len())
            .filter(|&i| !other.contains(&own[i]) && !later.contains(&own[i]))
            .collect()
    };
    let x = b.sum(x, &lone(left, right))?;
    let y = b.sum(y, &lone(right, left))?;
    let keep = |own: &[char], other: &[char]| -> Vec<char> {
        own.iter()
            .copied()
            .filter(|c| other.contains(c) || later.contains(c))
            .collect()
    };
    let (left, right) = (keep(left, right), keep(right, left));
    let both: Vec<char> = left.iter().copied().filter(|c| right.contains(c)).collect();
    let batch: Vec<char> = both.iter().copied().filter(|c| later.contains(c)).collect();
    let inner: Vec<char> = both
        .iter()
        .copied()
        .filter(|c| !later.contains(c))
        .collect();
    let m: Vec<char> = left.iter().copied().filter(|c| !both.contains(c)).collect();
    let k: Vec<char> = right
        .iter()
        .copied()
        .filter(|c| !both.contains(c))
        .collect();
    let order = |own: &[char], wanted: Vec<char>| -> Vec<usize> {
        wanted
            .iter()
            .filter_map(|c| own.iter().position(|d| d == c))
            .collect()
    };
    let x = b.permute(&x, &order(&left, [&batch[..], &m, &inner].concat()))?;
    let y = b.permute(&y, &order(&right, [&batch[..], &inner, &k].concat()))?;
    let labels = [&batch[..], &m, &k].concat();
    if inner.is_empty() {
        // An outer product: an inner axis of length 1.
        let mut left = b.shape(&x);
        left.push(1);
        let mut right = b.shape(&y);
        right.insert(batch.len(), 1);
        let x = b.reshape(&x, left)?;
        let y = b.reshape(&y, right)?;
        return Ok((b.product(&x, &y, batch.len(), 1)?, labels));
    }
    let made = b.product(&x, &y, batch.len(), inner.len());
    made.map(|made| (made, labels))
        .map_err(|_| n.refuse("the lengths of one label differ"))
}
