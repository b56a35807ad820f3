//! Pointwise functions of a real number.

/// A pointwise function. The formula of each is ONNX's.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    Relu,
    LeakyRelu { alpha: f64 },
    /// `min(max(x, lo), hi)`.
    Clip { lo: f64, hi: f64 },
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
    Elu { alpha: f64 },
    Celu { alpha: f64 },
    Selu { alpha: f64, gamma: f64 },
    HardSwish,
    HardSigmoid { alpha: f64, beta: f64 },
    Mish,
    ThresholdedRelu { alpha: f64 },
    Shrink { bias: f64, lambda: f64 },
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
    Pow { exponent: f64 },
    /// `base^x`.
    Exponential { base: f64 },
    /// 1 where `x == 0`, else 0.
    IsZero,
    /// 1 where `x > 0`, else 0.
    IsPositive,
    /// `x mod m`, the sign of the divisor (integer models).
    Mod { modulus: f64 },
}
