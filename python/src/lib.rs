//! The Python package `hallmark`: compile, run, prove and verify on NumPy arrays.
//!
//! Arrays are read into flat samples at the door (`arrays`); everything heavy runs without the
//! interpreter's lock. Doc comments of exported items are Python's docstrings. Types are declared
//! in `package/hallmark/__init__.pyi`; the tests compare both.

use pyo3::prelude::*;

mod arrays;
mod bundle;
mod errors;
mod files;
mod keys;
mod model;
mod proof;

#[pymodule]
mod _hallmark {
    #[pymodule_export]
    use super::errors::{
        CompileError, FormatError, HallmarkError, ProvingError, VerificationError,
    };
    #[pymodule_export]
    use super::keys::{ProvingKey, VerifyingKey, setup};
    #[pymodule_export]
    use super::model::{LayerReport, Model, Report, TensorInfo, compile};
    #[pymodule_export]
    use super::proof::{Proof, VerifiedOutput, prove, verify};
}
