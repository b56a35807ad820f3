//! ONNX in, a quantised integer model out.
//!
//! 1. [`import`] reads the protobuf, refuses whatever `docs/operators.md` does not list, by the
//!    node's name, and gives a [`FloatGraph`]: few operators over real tensors.
//! 2. [`compile`] watches the float graph on calibration samples, chooses scales, rounds weights
//!    to int8 (or words), and gives a [`hallmark_graph::Model`] that passes its check, with a
//!    [`Report`] of what the rounding cost.
//! 3. [`quantize`] and [`dequantize`] carry real tensors across the border of the integer graph.
//!
//! Everything read here is hostile: sizes are bounded before allocation and nothing panics.
//! Floats end here; the model decides by integers only.

mod compile;
mod data;
mod error;
mod float;
mod import;
mod proto;
mod scale;

#[cfg(test)]
mod tests;

pub use compile::{
    Accuracy, Calibration, CompileOptions, Compiled, LayerReport, Report, accuracy, compile,
};
pub use data::{Dataset, parse_digits, read_dataset};
pub use error::{CompileError, DataError, ImportError, QuantizeError};
pub use float::{Binary, FloatGraph, FloatInput, FloatNode, FloatOp, FloatOutput, Function};
pub use import::{ImportOptions, MAX_ONNX_BYTES, import, import_file};
pub use scale::{dequantize, quantize, real};
