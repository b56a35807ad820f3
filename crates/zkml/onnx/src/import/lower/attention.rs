//! Attention and rotary embeddings as single operators, spelled out.
//!
//! ```text
//! scores = softcap(scale·Q·Kᵀ)         p = softmax(scores + bias)·allowed         Y = p·V
//! ```
//!
//! `allowed` is 1 where every mask of truth values lets a query see a key; there the bias is what
//! masks of numbers add. A row that sees no key is 0, as the standard has it: the factor matters
//! only there and is left out where a constant mask leaves every row a key.

use super::{Lowered, gather, one};
use crate::ImportError;
use crate::float::Function;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::tensor::Kind;

/// What a forbidden score is lowered by; the rules for softmax soften it.
const FORBIDDEN: f64 = 1e9;
/// Most queries times keys of a constant mask.
const MAX_MASK: usize = 1 << 24;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "RotaryEmbedding" => one(rotary(b, n, [1, 2, 3])),
        "com.microsoft.RotaryEmbedding" => one(packed_rotary(b, n)),
        "Attention" => attention(b, n),
        "com.microsoft.MultiHeadAttention" => one(multi_head(b, n)),
        _ => return None,
    })
}

fn packed_rotary(b: &mut Builder, n: &Node<'_>) -> Made {
    if n.flag("is_packed_batching", false) || n.float("scale", 1.0) != 1.0 {
        return Err(n.refuse("packed batches and a scale are not supported"));
    }
    rotary(b, n, [2, 3, 1])
}

/// Rotates pairs of features by the angle of their position:
/// `(cos·x1 - sin·x2, sin·x1 + cos·x2)`. `places` are the operands cosines, sines, positions.
fn rotary(b: &mut Builder, n: &Node<'_>, places: [usize; 3]) -> Made {
    let x = n.operand(0)?;
    let [cosines, sines] = [n.operand(places[0])?, n.operand(places[1])?];
    let positions = n.maybe(places[2]);
    let from = b.shape(x);
    let declared = usize::try_from(n.int("rotary_embedding_dim", 0)).unwrap_or(0);
    let half = b.shape(cosines).last().copied().unwrap_or(0);
    let heads = usize::try_from(n.int("num_heads", 0)).unwrap_or(0);
    // [batch, sequence, heads, features]
    let x = match from[..] {
        [_, _, _, _] => b.permute(x, &[0, 2, 1, 3])?,
        [batch, sequence, hidden] => {
            let heads = match (heads, declared) {
                (0, 0) if half > 0 => hidden / (2 * half),
                (heads, _) => heads,
            };
            if heads == 0 || !hidden.is_multiple_of(heads) {
                return Err(n.refuse(format!("{heads} heads do not fit {from:?}")));
            }
            b.reshape(x, vec![batch, sequence, heads, hidden / heads])?
        }
        _ => return Err(n.refuse(format!("its operand has the shape {from:?}"))),
    };
    let shape = b.shape(&x);
    let [batch, sequence, _, features] = shape[..] else {
        return Err(n.refuse(format!("its operand has the shape {shape:?}")));
    };
    let turned = if declared == 0 { features } else { declared };
    if turned != 2 * half || turned > features || turned == 0 {
        return Err(n.refuse(format!(
            "{half} angles do not turn {turned} of {features} features"
        )));
    }
    let mut angles = Vec::with_capacity(2);
    for cache in [cosines, sines] {
        let own = match positions {
            Some(_) if b.rank(cache) != 2 => {
                return Err(n.refuse("with positions, angles are a matrix"));
            }
            Some(positions) => {
                let positions = spread_positions(b, n, positions, (batch, sequence))?;
                gather::pick(b, n, cache, &positions, 0)?
            }
            None => cache.clone(),
        };
        let own_shape = b.shape(&own);
        if !matches!(own_shape[..], [rows, columns, h]
            if (rows == batch || rows == 1) && columns == sequence && h == half)
        {
            return Err(n.refuse(format!("angles of shape {own_shape:?} do not fit {from:?}")));
        }
        angles.push(b.reshape(&own, vec![own_shape[0], sequence, 1, half])?);
    }
    let [cosine, sine] = &angles[..] else {
        return Err(n.refuse("lacks cosines or sines"));
    };
    let interleaved = n.flag("interleaved", false);
    let (second, step) = match interleaved {
        true => (1, 2),
        false => (half as i64, 1),
    };
    let x1 = b.slice(&x, 3, (0, step, half))?;
    let x2 = b.slice(&x, 3, (second, step, half))?;
    let mut product = |angle: &Operand, x: &Operand| b.mul(x, angle);
    let (c1, s2) = (product(cosine, &x1)?, product(sine, &x2)?);
    let (s1, c2) = (product(sine, &x1)?, product(cosine, &x2)?);
    let real = b.sub(&c1, &s2)?;
    let imaginary = b.add(&s1, &c2)?;
    let mut pieces = vec![real, imaginary];
    if interleaved {
        let mut pair = shape.clone();
        pair[3] = half;
        pair.push(1);
        let real = b.reshape(&pieces[0], pair.clone())?;
        let imaginary = b.reshape(&pieces[1], pair)?;
        let both = b.concat(&[real, imaginary], 4)?;
        let mut flat = shape.clone();
        flat[3] = turned;
        pieces = vec![b.reshape(&both, flat)?];
    }
    if turned < features {
        pieces.push(b.slice(&x, 3, (turned as i64, 1, features - turned))?);
    }
    let made = b.concat(&pieces, 3)?;
    match from.len() {
        4 => b.permute(&made, &[0, 2, 1, 3]),
        _ => b.reshape(&made, from),
    }
}

/// Positions `[batch, sequence]`; a single number is where the first token stands.
fn spread_positions(
    b: &mut Builder,
    n: &Node<'_>,
    positions: &Operand,
    (batch, sequence): (usize, usize),
) -> Made {
    let shape = b.shape(positions);
    if shape == [batch, sequence] {
        return Ok(positions.clone());
    }
    if shape.iter().product::<usize>() != 1 {
        return Err(n.refuse(format!(
            "positions of shape {shape:?} do not fit its operand"
        )));
    }
    let first = b.reshape(positions, vec![1, 1])?;
    let steps = b.floats(
        vec![1, sequence],
        (0..sequence).map(|step| step as f32).collect(),
    );
    let all = b.add(&first, &steps)?;
    b.broadcast(&all, &[batch, sequence])
}

/// Queries, keys and values as `[batch, heads, sequence, features]`.
struct Heads {
    q: Operand,
    k: Operand,
    v: Operand,
}

/// What the scores go through.
struct Scores {
    scale: f64,
    softcap: f64,
    causal: bool,
    /// Keys that precede the first query.
    past: usize,
    /// Keys to the left and to the right that a query sees, where that is bounded.
    window: (Option<usize>, Option<usize>),
}

fn attention(b: &mut Builder, n: &Node<'_>) -> Lowered {
    n.ignore(&["softmax_precision", "qk_matmul_output_mode"]);
    if n.maybe(6).is_some() {
        return Err(n.refuse("a number of valid keys is not supported"));
    }
    if n.outputs > 3 {
        return Err(n.refuse("the product of queries and keys as a result is not supported"));
    }
    let operands = [n.operand(0)?, n.operand(1)?, n.operand(2)?];
    let count = |name| usize::try_from(n.int(name, 0)).unwrap_or(0);
    let (q_heads, kv_heads) = (count("q_num_heads"), count("kv_num_heads"));
    let flat = b.rank(operands[0]) == 3;
    let mut heads = Heads {
        q: split_heads(b, n, operands[0], q_heads)?,
        k: split_heads(b, n, operands[1], kv_heads)?,
        v: split_heads(b, n, operands[2], kv_heads)?,
    };
    let mut past = 0;
    match (n.maybe(4), n.maybe(5)) {
        (Some(k), Some(v)) => {
            past = b.shape(k).get(2).copied().unwrap_or(0);
            heads.k = b.concat(&[k.clone(), heads.k], 2)?;
            heads.v = b.concat(&[v.clone(), heads.v], 2)?;
        }
        (None, None) => {}
        _ => return Err(n.refuse("past keys and past values come together")),
    }
    let (present_k, present_v) = (heads.k.clone(), heads.v.clone());
    let bound = |name| match n.int(name, -1) {
        -1 => Ok(None),
        size => usize::try_from(size)
            .map(Some)
            .map_err(|_| n.refuse(format!("{name} is {size}"))),
    };
    let features = b.shape(&heads.q).last().copied().unwrap_or(1).max(1);
    let scores = Scores {
        scale: n
            .maybe_float("scale")
            .unwrap_or_else(|| 1.0 / (features as f64).sqrt()),
        softcap: n.float("softcap", 0.0),
        causal: n.flag("is_causal", false),
        past,
        window: (bound("left_window_size")?, bound("right_window_size")?),
    };
    let mask = n.maybe(3);
    let truth = mask.filter(|mask| mask.kind == Kind::Bool);
    let bias = mask.filter(|mask| mask.kind != Kind::Bool);
    let made = attend(b, n, heads, &scores, (truth, bias))?;
    let made = if flat { join_heads(b, &made)? } else { made };
    Ok(vec![made, present_k, present_v])
}

/// ONNX Runtime's operator, with queries, keys and values apart.
fn multi_head(b: &mut Builder, n: &Node<'_>) -> Made {
    if (6..10).any(|index| n.maybe(index).is_some()) {
        return Err(n.refuse("past keys and values are not supported"));
    }
    let heads = usize::try_from(n.int("num_heads", 0)).unwrap_or(0);
    let mut operands = [
        n.operand(0)?.clone(),
        n.operand(1)?.clone(),
        n.operand(2)?.clone(),
    ];
    if let Some(bias) = n.maybe(3) {
        let mut start = 0;
        for operand in &mut operands {
            let width = b.shape(operand).last().copied().unwrap_or(0);
            let fits = matches!(b.shape(bias)[..], [length] if length >= start + width);
            if b.rank(operand) != 3 || !fits {
                return Err(n.refuse("its bias does not fit its operands"));
            }
            let own = b.slice(bias, 0, (start as i64, 1, width))?;
            *operand = b.add(operand, &own)?;
            start += width;
        }
    }
    let [q, k, v] = &operands;
    let heads = Heads {
        q: split_heads(b, n, q, heads)?,
        k: split_heads(b, n, k, heads)?,
        v: split_heads(b, n, v, heads)?,
    };
    let (q_shape, k_shape) = (b.shape(&heads.q), b.shape(&heads.k));
    let features = q_shape[3].max(1);
    let scale = match n.maybe_float("scale") {
        Some(scale) if scale != 0.0 => scale,
        _ => 1.0 / (features as f64).sqrt(),
    };
    let scores = Scores {
        scale,
        softcap: 0.0,
        causal: n.flag("unidirectional", false),
        past: 0,
        window: (None, None),
    };
    let filter = n.float("mask_filter_value", -10_000.0);
    let mut bias = n.maybe(5).cloned();
    if let Some(mask) = n.maybe(4) {
        let (batch, keys) = (q_shape[0], k_shape[2]);
        if b.shape(mask) != [batch, keys] {
            return Err(n.refuse("only a mask of every key is supported"));
        }
        let mask = b.reshape(mask, vec![batch, 1, 1, keys])?;
        let lowered = b.affine(&mask, -filter, filter)?;
        bias = Some(match &bias {
            Some(bias) => b.add(bias, &lowered)?,
            None => lowered,
        });
    }
    let made = attend(b, n, heads, &scores, (None, bias.as_ref()))?;
    join_heads(b, &made)
}

/// `[batch, sequence, heads·features]` or what is split already.
fn split_heads(b: &mut Builder, n: &Node<'_>, x: &Operand, heads: usize) -> Made {
    let shape = b.shape(x);
    match shape[..] {
        [_, _, _, _] => Ok(x.clone()),
        [batch, sequence, hidden] if heads > 0 && hidden.is_multiple_of(heads) => {
            let split = b.reshape(x, vec![batch, sequence, heads, hidden / heads])?;
            b.permute(&split, &[0, 2, 1, 3])
        }
        _ => Err(n.refuse(format!("{heads} heads do not fit {shape:?}"))),
    }
}

fn join_heads(b: &mut Builder, x: &Operand) -> Made {
    let shape = b.shape(x);
    let together = b.permute(x, &[0, 2, 1, 3])?;
    b.reshape(&together, vec![shape[0], shape[2], shape[1] * shape[3]])
}

fn attend(
    b: &mut Builder,
    n: &Node<'_>,
    heads: Heads,
    scores: &Scores,
    (truth, bias): (Option<&Operand>, Option<&Operand>),
) -> Made {
    let Heads { q, k, v } = heads;
    let (q_shape, k_shape) = (b.shape(&q), b.shape(&k));
    let (queries, keys) = (q_shape[2], k_shape[2]);
    let k = repeated_heads(b, n, &k, q_shape[1])?;
    let v = repeated_heads(b, n, &v, q_shape[1])?;
    let k = b.permute(&k, &[0, 1, 3, 2])?;
    let product = b.product(&q, &k, 2, 1)?;
    let mut s = b.affine(&product, scores.scale, 0.0)?;
    if scores.softcap > 0.0 {
        let small = b.affine(&s, 1.0 / scores.softcap, 0.0)?;
        let bent = b.unary(&small, Function::Tanh)?;
        s = b.affine(&bent, scores.softcap, 0.0)?;
    }
    let full = b.shape(&s);
    if let Some(bias) = bias {
        let bias = padded(b, n, bias, keys, -FORBIDDEN)?;
        s = b.add(&s, &bias)?;
    }
    let mut allowed = visible(b, n, scores, (queries, keys))?;
    if let Some(truth) = truth {
        let truth = padded(b, n, truth, keys, 0.0)?.with_kind(Kind::Float);
        allowed = Some(match &allowed {
            Some(causal) => b.mul(causal, &truth)?,
            None => truth,
        });
    }
    if let Some(allowed) = &allowed {
        let lowered = b.affine(allowed, FORBIDDEN, -FORBIDDEN)?;
        s = b.add(&s, &lowered)?;
    }
    if b.shape(&s) != full {
        return Err(n.refuse("its mask is larger than its scores"));
    }
    let mut p = b.softmax(&s, 3)?;
    if let Some(allowed) = &allowed
        && !sees_something(allowed, keys)
    {
        p = b.mul(&p, allowed)?;
    }
    b.product(&p, &v, 2, 1)
}

/// Each head of keys serves as many heads of queries, one after the other.
fn repeated_heads(b: &mut Builder, n: &Node<'_>, x: &Operand, heads: usize) -> Made {
    let shape = b.shape(x);
    let own = shape[1];
    if own == heads {
        return Ok(x.clone());
    }
    if own == 0 || !heads.is_multiple_of(own) {
        return Err(n.refuse(format!("{own} heads of keys do not serve {heads}")));
    }
    let indices = (0..heads).map(|head| (head / (heads / own)) as i32);
    b.take(x, 1, indices.collect())
}

/// 1 where position and window let a query see a key; `None` where all is seen.
fn visible(
    b: &Builder,
    n: &Node<'_>,
    scores: &Scores,
    (queries, keys): (usize, usize),
) -> Result<Option<Operand>, ImportError> {
    let (left, right) = scores.window;
    if !scores.causal && left.is_none() && right.is_none() {
        return Ok(None);
    }
    if queries.saturating_mul(keys) > MAX_MASK {
        return Err(n.refuse(format!("{queries} queries of {keys} keys are too many")));
    }
    let mut mask = Vec::with_capacity(queries * keys);
    for query in 0..queries {
        let at = query + scores.past;
        for key in 0..keys {
            let seen = (!scores.causal || key <= at)
                && left.is_none_or(|left| key.saturating_add(left) >= at)
                && right.is_none_or(|right| key <= at.saturating_add(right));
            mask.push(f32::from(u8::from(seen)));
        }
    }
    Ok(Some(b.floats(vec![queries, keys], mask)))
}

/// A mask with fewer keys goes on with a value.
fn padded(b: &mut Builder, n: &Node<'_>, mask: &Operand, keys: usize, value: f64) -> Made {
    let shape = b.shape(mask);
    match shape.last() {
        Some(&own) if own == keys || own == 1 => Ok(mask.clone()),
        Some(&own) if own < keys && own > 0 => {
            let mut rest = shape.clone();
            rest[shape.len() - 1] = keys - own;
            let rest = b.filled(&rest, value)?;
            b.concat(&[mask.clone(), rest], shape.len() - 1)
        }
        _ => Err(n.refuse(format!(
            "a mask of shape {shape:?} does not fit {keys} keys"
        ))),
    }
}

/// Whether a constant mask leaves every row a key.
fn sees_something(allowed: &Operand, keys: usize) -> bool {
    let Some(tensor) = allowed.tensor() else {
        return false;
    };
    let width = tensor.dims.last().copied().unwrap_or(1);
    let values = tensor.values();
    (width == keys || width == 1)
        && values
            .chunks(width.max(1))
            .all(|row| row.iter().any(|&seen| seen != 0.0))
}
