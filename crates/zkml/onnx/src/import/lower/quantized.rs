//! Quantised operators in real arithmetic, with the rounding and the saturation that they say.

use super::arithmetic::limit;
use super::convolution::convolve;
use super::matrix::matmul;
use super::{Lowered, one};
use crate::ImportError;
use crate::float::Function;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::tensor::{Kind, Tensor};

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op {
        "QuantizeLinear" => one(quantize_linear(b, n)),
        "DequantizeLinear" => one(dequantize_linear(b, n)),
        "QLinearConv" => one(qlinear_conv(b, n)),
        "QLinearMatMul" => one(qlinear_matmul(b, n)),
        "MatMulInteger" => one(matmul_integer(b, n)),
        "ConvInteger" => one(conv_integer(b, n)),
        "com.microsoft.QLinearAdd" => one(qlinear_pair(b, n, Builder::add)),
        "com.microsoft.QLinearMul" => one(qlinear_pair(b, n, Builder::mul)),
        _ => return None,
    })
}

/// A scale or zero point along an axis of `x`: one number, or one per position.
fn along_axis(b: &mut Builder, n: &Node<'_>, x: &Operand, p: &Operand, axis: i64) -> Made {
    let count: usize = b.shape(p).iter().product();
    if count == 1 {
        return b.reshape(p, vec![]);
    }
    let shape = b.shape(x);
    let axis = n.axis(axis, shape.len())?;
    if b.rank(p) != 1 || count != shape[axis] {
        return Err(n.refuse(format!(
            "parameters of shape {:?} do not fit axis {axis} of {shape:?}; blocks are not supported",
            b.shape(p)
        )));
    }
    let mut dims = vec![1; shape.len()];
    dims[axis] = count;
    b.reshape(p, dims)
}

/// `round(x/scale) + zero`, inside the type.
fn quantize(
    b: &mut Builder,
    x: &Operand,
    scale: &Operand,
    zero: Option<&Operand>,
    kind: Kind,
) -> Made {
    let Some((lo, hi)) = kind.bounds() else {
        return Err(b.refuse("quantises to a type that is no integer"));
    };
    if scale.tensor().is_none() || zero.is_some_and(|zero| zero.tensor().is_none()) {
        return Err(b.refuse("its scale and zero point must be constants"));
    }
    let quotient = b.div(x, scale)?;
    let rounded = b.unary(&quotient, Function::Round)?;
    let moved = match zero {
        Some(zero) => b.add(&rounded, zero)?,
        None => rounded,
    };
    Ok(limit(b, &moved, lo, hi)?.with_kind(kind))
}

/// `(q - zero)·scale`.
fn dequantize(b: &mut Builder, q: &Operand, scale: &Operand, zero: Option<&Operand>) -> Made {
    if scale.tensor().is_none() || zero.is_some_and(|zero| zero.tensor().is_none()) {
        return Err(b.refuse("its scale and zero point must be constants"));
    }
    let moved = match zero {
        Some(zero) => b.sub(q, zero)?,
        None => q.clone(),
    };
    let made = b.mul(&moved, scale)?.with_kind(Kind::Float);
    // Weights are real numbers from here on.
    Ok(match made.tensor() {
        Some(tensor) => {
            let narrow = tensor.narrow().to_vec();
            Operand::constant(Tensor::floats(tensor.dims.clone(), narrow), Kind::Float)
        }
        None => made,
    })
}

fn quantize_linear(b: &mut Builder, n: &Node<'_>) -> Made {
    n.ignore(&["saturate", "precision"]);
    refuse_blocks(n)?;
    let x = n.operand(0)?;
    let axis = n.int("axis", 1);
    let scale = along_axis(b, n, x, n.operand(1)?, axis)?;
    let declared = n.int("output_dtype", 0);
    let (zero, kind) = match n.maybe(2) {
        Some(zero) => (Some(along_axis(b, n, x, zero, axis)?), zero.kind),
        None if declared != 0 => (
            None,
            Kind::new(declared as i32).ok_or_else(|| n.refuse("its type is not supported"))?,
        ),
        None => (None, Kind::Unsigned(8)),
    };
    quantize(b, x, &scale, zero.as_ref(), kind)
}

fn dequantize_linear(b: &mut Builder, n: &Node<'_>) -> Made {
    n.ignore(&["output_dtype"]);
    refuse_blocks(n)?;
    let q = n.operand(0)?;
    let axis = n.int("axis", 1);
    let scale = along_axis(b, n, q, n.operand(1)?, axis)?;
    let zero = match n.maybe(2) {
        Some(zero) => Some(along_axis(b, n, q, zero, axis)?),
        None => None,
    };
    dequantize(b, q, &scale, zero.as_ref())
}

fn refuse_blocks(n: &Node<'_>) -> Result<(), ImportError> {
    match n.int("block_size", 0) {
        0 => Ok(()),
        _ => Err(n.refuse("block_size is not supported")),
    }
}

fn qlinear_conv(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = dequantize(b, n.operand(0)?, n.operand(1)?, n.maybe(2))?;
    let w = n.operand(3)?;
    let scale = along_axis(b, n, w, n.operand(4)?, 0)?;
    let zero = along_axis(b, n, w, n.operand(5)?, 0)?;
    let w = dequantize(b, w, &scale, Some(&zero))?;
    // The bias is in steps of both scales.
    let bias = match n.maybe(8) {
        Some(bias) => {
            let step = b.mul(n.operand(4)?, n.operand(1)?)?;
            let flat = b.shape(&step).iter().product::<usize>();
            let step = b.reshape(&step, if flat == 1 { vec![] } else { vec![flat] })?;
            Some(dequantize(b, bias, &step, None)?)
        }
        None => None,
    };
    let made = convolve(b, n, &x, &w, bias.as_ref())?;
    let zero = n.operand(7)?;
    quantize(b, &made, n.operand(6)?, Some(zero), zero.kind)
}

fn qlinear_matmul(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = dequantize(b, n.operand(0)?, n.operand(1)?, n.maybe(2))?;
    let w = n.operand(3)?;
    let scale = along_axis(b, n, w, n.operand(4)?, -1)?;
    let zero = along_axis(b, n, w, n.operand(5)?, -1)?;
    let y = dequantize(b, w, &scale, Some(&zero))?;
    let made = matmul(b, &x, &y)?;
    let zero = n.operand(7)?;
    quantize(b, &made, n.operand(6)?, Some(zero), zero.kind)
}

fn without_zero(b: &mut Builder, n: &Node<'_>, operand: usize, zero: usize, axis: i64) -> Made {
    let x = n.operand(operand)?;
    match n.maybe(zero) {
        Some(zero) => {
            let zero = along_axis(b, n, x, zero, axis)?;
            b.sub(x, &zero)
        }
        None => Ok(x.clone()),
    }
}

fn matmul_integer(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = without_zero(b, n, 0, 2, -2)?;
    let y = without_zero(b, n, 1, 3, -1)?;
    Ok(matmul(b, &x, &y)?.with_kind(Kind::Signed(32)))
}

fn conv_integer(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = without_zero(b, n, 0, 2, 0)?;
    let w = without_zero(b, n, 1, 3, 0)?;
    Ok(convolve(b, n, &x, &w, None)?.with_kind(Kind::Signed(32)))
}

fn qlinear_pair(
    b: &mut Builder,
    n: &Node<'_>,
    join: impl FnOnce(&mut Builder, &Operand, &Operand) -> Made,
) -> Made {
    let x = dequantize(b, n.operand(0)?, n.operand(1)?, n.maybe(2))?;
    let y = dequantize(b, n.operand(3)?, n.operand(4)?, n.maybe(5))?;
    let made = join(b, &x, &y)?;
    let kind = n.operand(0)?.kind;
    quantize(b, &made, n.operand(6)?, n.maybe(7), kind)
}
