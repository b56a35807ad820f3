//! Pointwise operators: functions, sums, products, comparisons, logic.

use super::{Lowered, one};
use crate::ImportError;
use crate::float::{Binary, Function};
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::tensor::{Kind, Tensor};

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    if let Some(function) = function(n, op) {
        return Some(n.operand(0).and_then(|x| {
            let made = b.unary(x, function)?;
            Ok(vec![made])
        }));
    }
    Some(match op {
        "Add" => pair(b, n, Builder::add),
        "Sub" => pair(b, n, Builder::sub),
        "Mul" => pair(b, n, Builder::mul),
        "Div" => pair(b, n, |b, x, y| match x.kind.is_integer() {
            true => {
                let quotient = b.div(x, y)?;
                b.unary(&quotient, Function::Trunc)
            }
            false => b.div(x, y),
        }),
        "Neg" => one(n.operand(0).and_then(|x| b.neg(x))),
        "Identity" | "ai.onnx.ml.ZipMap" => {
            n.ignore(&["classlabels_int64s", "classlabels_strings"]);
            one(n.operand(0).cloned())
        }
        "Dropout" => dropout(b, n),
        "Cast" | "CastLike" => cast(b, n, op),
        "Clip" => clip(b, n),
        "PRelu" => prelu(b, n),
        "Pow" => power(b, n),
        "Mod" => modulus(b, n),
        "Max" => extreme(b, n, Binary::Max),
        "Min" => extreme(b, n, Binary::Min),
        "Sum" => total(b, n, false),
        "Mean" => total(b, n, true),
        "Less" => compare(b, n, |b, x, y| less(b, x, y, false)),
        "Greater" => compare(b, n, |b, x, y| less(b, y, x, false)),
        "LessOrEqual" => compare(b, n, |b, x, y| less(b, x, y, true)),
        "GreaterOrEqual" => compare(b, n, |b, x, y| less(b, y, x, true)),
        "Equal" => compare(b, n, equal),
        "Not" => one(n.operand(0).and_then(|x| b.affine(x, -1.0, 1.0))),
        "And" => compare(b, n, Builder::mul),
        "Or" => compare(b, n, |b, x, y| {
            let both = b.mul(x, y)?;
            b.combine(&[(x, 1.0), (y, 1.0), (&both, -1.0)], 0.0)
        }),
        "Xor" => compare(b, n, |b, x, y| {
            let both = b.mul(x, y)?;
            b.combine(&[(x, 1.0), (y, 1.0), (&both, -2.0)], 0.0)
        }),
        "Where" => one(choose(b, n)),
        "IsNaN" | "IsInf" => {
            n.ignore(&["detect_negative", "detect_positive"]);
            one(n.operand(0).and_then(|x| {
                let shape = b.shape(x);
                Ok(b.filled(&shape, 0.0)?.with_kind(Kind::Bool))
            }))
        }
        _ => return None,
    })
}

fn function(n: &Node<'_>, op: &str) -> Option<Function> {
    Some(match op {
        "Relu" => Function::Relu,
        "LeakyRelu" => Function::LeakyRelu {
            alpha: n.float("alpha", 0.01),
        },
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Erf" => Function::Erf,
        "Gelu" | "com.microsoft.Gelu" => match n.string("approximate", "none") {
            "tanh" => Function::GeluTanh,
            _ => Function::Gelu,
        },
        "com.microsoft.FastGelu" if n.operands.len() < 2 => Function::GeluTanh,
        "Swish" if n.float("alpha", 1.0) == 1.0 => Function::Silu,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Sqrt" => Function::Sqrt,
        "Reciprocal" => Function::Reciprocal,
        "Softplus" => Function::Softplus,
        "Softsign" => Function::Softsign,
        "Elu" => Function::Elu {
            alpha: n.float("alpha", 1.0),
        },
        "Celu" => Function::Celu {
            alpha: n.float("alpha", 1.0),
        },
        "Selu" => Function::Selu {
            alpha: n.float("alpha", 1.673_263_2),
            gamma: n.float("gamma", 1.050_701),
        },
        "HardSwish" => Function::HardSwish,
        "HardSigmoid" => Function::HardSigmoid {
            alpha: n.float("alpha", 0.2),
            beta: n.float("beta", 0.5),
        },
        "Mish" => Function::Mish,
        "ThresholdedRelu" => Function::ThresholdedRelu {
            alpha: n.float("alpha", 1.0),
        },
        "Shrink" => Function::Shrink {
            bias: n.float("bias", 0.0),
            lambda: n.float("lambd", 0.5),
        },
        "Sin" => Function::Sin,
        "Cos" => Function::Cos,
        "Tan" => Function::Tan,
        "Asin" => Function::Asin,
        "Acos" => Function::Acos,
        "Atan" => Function::Atan,
        "Sinh" => Function::Sinh,
        "Cosh" => Function::Cosh,
        "Asinh" => Function::Asinh,
        "Acosh" => Function::Acosh,
        "Atanh" => Function::Atanh,
        "Floor" => Function::Floor,
        "Ceil" => Function::Ceil,
        "Round" => Function::Round,
        "Abs" => Function::Abs,
        "Sign" => Function::Sign,
        _ => return None,
    })
}

/// Two broadcast operands; the result has the type of the first.
fn pair(
    b: &mut Builder,
    n: &Node<'_>,
    make: impl FnOnce(&mut Builder, &Operand, &Operand) -> Made,
) -> Lowered {
    let (x, y) = (n.operand(0)?, n.operand(1)?);
    let shape = b.common(&[x, y])?;
    let made = make(b, x, y)?;
    let made = b.broadcast(&made, &shape)?;
    Ok(vec![made.with_kind(x.kind)])
}

fn compare(
    b: &mut Builder,
    n: &Node<'_>,
    make: impl FnOnce(&mut Builder, &Operand, &Operand) -> Made,
) -> Lowered {
    let made = pair(b, n, make)?;
    Ok(made.into_iter().map(|x| x.with_kind(Kind::Bool)).collect())
}

/// `x < y`, or `x <= y`.
pub(super) fn less(b: &mut Builder, x: &Operand, y: &Operand, equal: bool) -> Made {
    let constant = x.tensor().is_some() && y.tensor().is_some();
    if !constant && (x.uniform().is_some() || y.uniform().is_some()) {
        return match equal {
            true => {
                let difference = b.sub(x, y)?;
                let above = b.unary(&difference, Function::IsPositive)?;
                b.affine(&above, -1.0, 1.0)
            }
            false => {
                let difference = b.sub(y, x)?;
                b.unary(&difference, Function::IsPositive)
            }
        };
    }
    let op = match equal {
        true => Binary::LessOrEqual,
        false => Binary::Less,
    };
    b.binary(op, x, y)
}

pub(super) fn equal(b: &mut Builder, x: &Operand, y: &Operand) -> Made {
    let constant = x.tensor().is_some() && y.tensor().is_some();
    if !constant && (x.uniform().is_some() || y.uniform().is_some()) {
        let difference = b.sub(x, y)?;
        return b.unary(&difference, Function::IsZero);
    }
    b.binary(Binary::Equal, x, y)
}

fn dropout(b: &mut Builder, n: &Node<'_>) -> Lowered {
    n.ignore(&["ratio", "seed"]);
    if let Some(training) = n.maybe(2)
        && training.uniform() != Some(0.0)
    {
        return Err(n.refuse("training mode is not supported"));
    }
    let x = n.operand(0)?.clone();
    let shape = b.shape(&x);
    let mask = b.filled(&shape, 1.0)?.with_kind(Kind::Bool);
    Ok(vec![x, mask])
}

fn cast(b: &mut Builder, n: &Node<'_>, op: &str) -> Lowered {
    n.ignore(&["saturate", "round_mode"]);
    let x = n.operand(0)?;
    let kind = match op {
        "Cast" => Kind::new(n.int("to", 0) as i32)
            .ok_or_else(|| n.refuse("casts to a type that is not supported"))?,
        _ => n.operand(1)?.kind,
    };
    let made = match (x.kind, kind) {
        (Kind::Float, Kind::Signed(_) | Kind::Unsigned(_)) => b.unary(x, Function::Trunc)?,
        (Kind::Float | Kind::Signed(_) | Kind::Unsigned(_), Kind::Bool) => {
            let zero = b.unary(x, Function::IsZero)?;
            b.affine(&zero, -1.0, 1.0)?
        }
        _ => x.clone(),
    };
    // Numbers that a cast to float makes are float32 like all others.
    let made = match (made.tensor(), kind) {
        (Some(tensor), Kind::Float) => {
            let narrow = tensor.narrow().to_vec();
            Operand::constant(Tensor::floats(tensor.dims.clone(), narrow), kind)
        }
        _ => made,
    };
    Ok(vec![made.with_kind(kind)])
}

fn clip(b: &mut Builder, n: &Node<'_>) -> Lowered {
    let x = n.operand(0)?.clone();
    let bound = |index: usize, name: &'static str, none: f64| -> Result<f64, ImportError> {
        match (n.maybe_float(name), n.maybe(index)) {
            (Some(value), _) => Ok(value),
            (None, Some(_)) => n.number(index),
            (None, None) => Ok(none),
        }
    };
    let (lo, hi) = (
        bound(1, "min", f64::NEG_INFINITY)?,
        bound(2, "max", f64::INFINITY)?,
    );
    one(limit(b, &x, lo, hi))
}

/// `min(max(x, lo), hi)`.
pub(super) fn limit(b: &mut Builder, x: &Operand, lo: f64, hi: f64) -> Made {
    let open = |bound: f64| bound.abs() >= f64::from(f32::MAX);
    match (open(lo), open(hi)) {
        (true, true) => Ok(x.clone()),
        (false, true) => {
            let shifted = b.affine(x, 1.0, -lo)?;
            let positive = b.unary(&shifted, Function::Relu)?;
            b.affine(&positive, 1.0, lo)
        }
        (true, false) => {
            let shifted = b.affine(x, -1.0, hi)?;
            let positive = b.unary(&shifted, Function::Relu)?;
            b.affine(&positive, -1.0, hi)
        }
        // ONNX: the upper bound holds where both cross.
        (false, false) => b.unary(x, Function::Clip { lo: lo.min(hi), hi }),
    }
}

fn prelu(b: &mut Builder, n: &Node<'_>) -> Lowered {
    let (x, slope) = (n.operand(0)?, n.operand(1)?);
    if let Some(alpha) = slope.uniform() {
        return one(b.unary(x, Function::LeakyRelu { alpha }));
    }
    // max(x, 0) - slope·max(-x, 0)
    let positive = b.unary(x, Function::Relu)?;
    let minus = b.neg(x)?;
    let negative = b.unary(&minus, Function::Relu)?;
    let scaled = b.mul(&negative, slope)?;
    one(b.sub(&positive, &scaled))
}

fn power(b: &mut Builder, n: &Node<'_>) -> Lowered {
    let (x, y) = (n.operand(0)?, n.operand(1)?);
    let shape = b.common(&[x, y])?;
    let made = match (y.uniform(), x.uniform()) {
        (Some(exponent), _) => raise(b, x, exponent)?,
        (None, Some(base)) if y.tensor().is_none() => {
            if base < 0.0 {
                return Err(n.refuse(format!("raises the negative number {base}")));
            }
            b.unary(y, Function::Exponential { base })?
        }
        _ if x.tensor().is_some() && y.tensor().is_some() => {
            let (x, y) = (b.broadcast(x, &shape)?, b.broadcast(y, &shape)?);
            let (Some(x), Some(y)) = (x.tensor(), y.tensor()) else {
                return Err(n.refuse("needs constants"));
            };
            let values = (0..x.len()).map(|at| x.get(at).powf(y.get(at))).collect();
            Operand::constant(Tensor::wide(shape.clone(), values), n.operand(0)?.kind)
        }
        _ => {
            // x^y = exp(y·ln x), for positive x.
            let log = b.unary(x, Function::Log)?;
            let product = b.mul(&log, y)?;
            b.unary(&product, Function::Exp)?
        }
    };
    let made = b.broadcast(&made, &shape)?;
    Ok(vec![made.with_kind(x.kind)])
}

pub(super) fn raise(b: &mut Builder, x: &Operand, exponent: f64) -> Made {
    let near = |value: f64| (exponent - value).abs() < 1e-12;
    if near(1.0) {
        return Ok(x.clone());
    }
    if near(0.5) {
        return b.unary(x, Function::Sqrt);
    }
    if near(-0.5) {
        return b.unary(x, Function::Rsqrt);
    }
    if near(-1.0) {
        return b.unary(x, Function::Reciprocal);
    }
    if near(2.0) {
        return b.mul(x, x);
    }
    if near(3.0) {
        let square = b.mul(x, x)?;
        return b.mul(&square, x);
    }
    if near(4.0) {
        let square = b.mul(x, x)?;
        return b.mul(&square, &square);
    }
    b.unary(x, Function::Pow { exponent })
}

fn modulus(b: &mut Builder, n: &Node<'_>) -> Lowered {
    let truncated = n.flag("fmod", false);
    pair(b, n, |b, x, y| {
        if !truncated && x.tensor().is_none() {
            let Some(modulus) = y.uniform().filter(|&modulus| modulus != 0.0) else {
                return Err(n.refuse("the modulus must be one constant other than 0"));
            };
            return b.unary(x, Function::Mod { modulus });
        }
        // x - y·floor(x/y), or with the quotient cut for the sign of x.
        let quotient = b.div(x, y)?;
        let whole = match truncated {
            true => b.unary(&quotient, Function::Trunc)?,
            false => b.unary(&quotient, Function::Floor)?,
        };
        let part = b.mul(&whole, y)?;
        b.sub(x, &part)
    })
}

fn extreme(b: &mut Builder, n: &Node<'_>, op: Binary) -> Lowered {
    let mut best = n.operand(0)?.clone();
    for index in 1..n.operands.len() {
        let next = n.operand(index)?;
        let shape = b.common(&[&best, next])?;
        let constant = best.tensor().is_some() && next.tensor().is_some();
        let made = match (best.uniform(), next.uniform()) {
            (None, Some(bound)) if !constant => bounded(b, &best, bound, op)?,
            (Some(bound), None) if !constant => bounded(b, next, bound, op)?,
            _ => b.binary(op, &best, next)?,
        };
        best = b.broadcast(&made, &shape)?;
    }
    Ok(vec![best])
}

fn bounded(b: &mut Builder, x: &Operand, bound: f64, op: Binary) -> Made {
    match op {
        Binary::Max => limit(b, x, bound, f64::INFINITY),
        _ => limit(b, x, f64::NEG_INFINITY, bound),
    }
}

fn total(b: &mut Builder, n: &Node<'_>, mean: bool) -> Lowered {
    let mut terms = Vec::new();
    for index in 0..n.operands.len() {
        terms.push(n.operand(index)?);
    }
    let share = match mean {
        true => 1.0 / terms.len().max(1) as f64,
        false => 1.0,
    };
    let shape = b.common(&terms)?;
    let terms: Vec<_> = terms.into_iter().map(|term| (term, share)).collect();
    let sum = b.combine(&terms, 0.0)?;
    one(b.broadcast(&sum, &shape))
}

fn choose(b: &mut Builder, n: &Node<'_>) -> Made {
    let (c, x, y) = (n.operand(0)?, n.operand(1)?, n.operand(2)?);
    if let (Some(c), Some(x), Some(y)) = (c.tensor(), x.tensor(), y.tensor()) {
        let shape = b.common(&[n.operand(0)?, n.operand(1)?, n.operand(2)?])?;
        let spread = |b: &mut Builder, t: &Tensor| -> Result<Vec<f64>, ImportError> {
            let operand = Operand::constant(t.clone(), Kind::Float);
            let wide = b.broadcast(&operand, &shape)?;
            Ok(wide.tensor().map_or_else(Vec::new, Tensor::values))
        };
        let (c, x, y) = (spread(b, c)?, spread(b, x)?, spread(b, y)?);
        let values = c.iter().zip(x.iter().zip(&y));
        let values = values.map(|(&c, (&x, &y))| if c != 0.0 { x } else { y });
        let kind = n.operand(1)?.kind;
        return Ok(Operand::constant(
            Tensor::wide(shape.clone(), values.collect()),
            kind,
        ));
    }
    let made = b.choose(c, x, y)?;
    Ok(made.with_kind(x.kind))
}
