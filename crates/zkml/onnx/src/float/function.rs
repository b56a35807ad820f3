//! Pointwise functions of a real number.
//!
//! Arguments outside a function's domain (the logarithm of a negative number) give NaN, poles give
//! infinities, as IEEE arithmetic has it: a model whose samples reach one is refused later.

/// A pointwise function. The formula of each is ONNX's.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    Relu,
    LeakyRelu {
        alpha: f64,
    },
    /// `min(max(x, lo), hi)`.
    Clip {
        lo: f64,
        hi: f64,
    },
    Sigmoid,
    Tanh,
    Erf,
    /// `x·Φ(x)`.
    Gelu,
    /// The tanh approximation of `Gelu`.
    GeluTanh,
    /// `x·sigmoid(x)`.
    Silu,
    Exp,
    Log,
    Sqrt,
    /// `1/sqrt(x)`.
    Rsqrt,
    Reciprocal,
    Softplus,
    Softsign,
    Elu {
        alpha: f64,
    },
    Celu {
        alpha: f64,
    },
    Selu {
        alpha: f64,
        gamma: f64,
    },
    HardSwish,
    HardSigmoid {
        alpha: f64,
        beta: f64,
    },
    Mish,
    ThresholdedRelu {
        alpha: f64,
    },
    Shrink {
        bias: f64,
        lambda: f64,
    },
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    Floor,
    Ceil,
    /// Ties to even.
    Round,
    /// Towards zero.
    Trunc,
    Abs,
    Sign,
    /// `x^exponent`.
    Pow {
        exponent: f64,
    },
    /// `base^x`.
    Exponential {
        base: f64,
    },
    /// 1 where `x == 0`, else 0.
    IsZero,
    /// 1 where `x > 0`, else 0.
    IsPositive,
    /// `x mod m`, the sign of the divisor (integer models).
    Mod {
        modulus: f64,
    },
}

impl Function {
    /// The function at `x`.
    #[must_use]
    pub fn eval(&self, x: f64) -> f64 {
        match *self {
            // Comparisons keep NaN visible, which `max` would hide.
            Self::Relu => at_least(x, 0.0),
            Self::LeakyRelu { alpha } => positive_or(x, |x| alpha * x),
            Self::Clip { lo, hi } => at_most(at_least(x, lo), hi),
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Erf => libm::erf(x),
            Self::Gelu => x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::Silu => x * sigmoid(x),
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Sqrt => x.sqrt(),
            Self::Rsqrt => 1.0 / x.sqrt(),
            Self::Reciprocal => 1.0 / x,
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Elu { alpha } => positive_or(x, |x| alpha * x.exp_m1()),
            Self::Celu { alpha } => positive_or(x, |x| alpha * (x / alpha).exp_m1()),
            Self::Selu { alpha, gamma } => gamma * positive_or(x, |x| alpha * x.exp_m1()),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Self::Mish => x * softplus(x).tanh(),
            Self::ThresholdedRelu { alpha } => select(x > alpha, x),
            Self::Shrink { bias, lambda } if x < -lambda => x + bias,
            Self::Shrink { bias, lambda } if x > lambda => x - bias,
            Self::Shrink { .. } => 0.0,
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Tan => x.tan(),
            Self::Asin => x.asin(),
            Self::Acos => x.acos(),
            Self::Atan => x.atan(),
            Self::Sinh => x.sinh(),
            Self::Cosh => x.cosh(),
            Self::Asinh => x.asinh(),
            Self::Acosh => x.acosh(),
            Self::Atanh => x.atanh(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Trunc => x.trunc(),
            Self::Abs => x.abs(),
            Self::Sign => select(x != 0.0, x.signum()),
            Self::Pow { exponent } => x.powf(exponent),
            Self::Exponential { base } => base.powf(x),
            Self::IsZero => select(x == 0.0, 1.0),
            Self::IsPositive => select(x > 0.0, 1.0),
            Self::Mod { modulus } => x - modulus * (x / modulus).floor(),
        }
    }

    /// Name for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Relu => "Relu",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Clip { .. } => "Clip",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Erf => "Erf",
            Self::Gelu => "Gelu",
            Self::GeluTanh => "GeluTanh",
            Self::Silu => "Silu",
            Self::Exp => "Exp",
            Self::Log => "Log",
            Self::Sqrt => "Sqrt",
            Self::Rsqrt => "Rsqrt",
            Self::Reciprocal => "Reciprocal",
            Self::Softplus => "Softplus",
            Self::Softsign => "Softsign",
            Self::Elu { .. } => "Elu",
            Self::Celu { .. } => "Celu",
            Self::Selu { .. } => "Selu",
            Self::HardSwish => "HardSwish",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::Mish => "Mish",
            Self::ThresholdedRelu { .. } => "ThresholdedRelu",
            Self::Shrink { .. } => "Shrink",
            Self::Sin => "Sin",
            Self::Cos => "Cos",
            Self::Tan => "Tan",
            Self::Asin => "Asin",
            Self::Acos => "Acos",
            Self::Atan => "Atan",
            Self::Sinh => "Sinh",
            Self::Cosh => "Cosh",
            Self::Asinh => "Asinh",
            Self::Acosh => "Acosh",
            Self::Atanh => "Atanh",
            Self::Floor => "Floor",
            Self::Ceil => "Ceil",
            Self::Round => "Round",
            Self::Trunc => "Trunc",
            Self::Abs => "Abs",
            Self::Sign => "Sign",
            Self::Pow { .. } => "Pow",
            Self::Exponential { .. } => "Exponential",
            Self::IsZero => "IsZero",
            Self::IsPositive => "IsPositive",
            Self::Mod { .. } => "Mod",
        }
    }
}

fn select(condition: bool, value: f64) -> f64 {
    if condition { value } else { 0.0 }
}

fn positive_or(x: f64, negative: impl Fn(f64) -> f64) -> f64 {
    if x > 0.0 { x } else { negative(x) }
}

fn at_least(x: f64, lo: f64) -> f64 {
    if x < lo { lo } else { x }
}

fn at_most(x: f64, hi: f64) -> f64 {
    if x > hi { hi } else { x }
}

/// Without overflow for either sign.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `ln(1 + exp(x))`, without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
