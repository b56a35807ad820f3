//! What is raised. The text is the Rust error's.

use std::fmt::Display;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

create_exception!(
    hallmark,
    HallmarkError,
    PyException,
    "What every error of this package is, beside ValueError, TypeError and OSError."
);
create_exception!(
    hallmark,
    CompileError,
    HallmarkError,
    "A model that cannot be imported or quantised; the message names the node."
);
create_exception!(
    hallmark,
    FormatError,
    HallmarkError,
    "Bytes that are no model, key, proof or secret, or of another version."
);
create_exception!(
    hallmark,
    ProvingError,
    HallmarkError,
    "A model that cannot be proved, or not in this mode."
);
create_exception!(
    hallmark,
    VerificationError,
    HallmarkError,
    "A proof that is refused; the message is the first check that failed."
);

pub fn compile_error(error: impl Display) -> PyErr {
    CompileError::new_err(error.to_string())
}

pub fn format_error(error: impl Display) -> PyErr {
    FormatError::new_err(error.to_string())
}

pub fn proving_error(error: impl Display) -> PyErr {
    ProvingError::new_err(error.to_string())
}

pub fn verification_error(error: impl Display) -> PyErr {
    VerificationError::new_err(error.to_string())
}

pub fn value_error(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
