//! The keys of a model.

use std::sync::Arc;

use hallmark_proof::Mode;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{format_error, proving_error, value_error};
use crate::model::{Model, Ready};

/// A mode by its name.
pub fn parse_mode(name: &str) -> PyResult<Mode> {
    match name {
        "public" => Ok(Mode::Public),
        "private-input" => Ok(Mode::PrivateInput),
        other => Err(value_error(format!(
            "mode {other:?} is neither \"private-input\" nor \"public\""
        ))),
    }
}

/// The name of a mode.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Public => "public",
        Mode::PrivateInput => "private-input",
    }
}

/// What a prover holds: a model with the data of its weight commitment. Made by `setup`.
#[pyclass(frozen, module = "hallmark")]
pub struct ProvingKey {
    pub ready: Arc<Ready>,
    pub key: hallmark_proof::ProvingKey,
}

#[pymethods]
impl ProvingKey {
    /// What a verifier needs.
    #[getter]
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.key.verifying_key().clone())
    }

    fn __repr__(&self) -> String {
        let digest = hex::encode(self.key.verifying_key().digest());
        format!("<hallmark.ProvingKey of 0x{digest}>")
    }
}

/// What a verifier knows of a model: its graph and a commitment to its weights.
#[pyclass(frozen, module = "hallmark")]
pub struct VerifyingKey(pub hallmark_proof::VerifyingKey);

#[pymethods]
impl VerifyingKey {
    /// Reads what `bytes` gives.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let key = py.detach(|| hallmark_proof::VerifyingKey::decode(data));
        key.map(Self).map_err(format_error)
    }

    /// Its canonical bytes.
    #[getter]
    fn bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.encode())
    }

    /// 32 bytes that name the model: the BLAKE3 of `bytes`.
    #[getter]
    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.digest())
    }

    /// 32 bytes: the commitment to the weights.
    #[getter]
    fn commitment<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.commitment())
    }

    /// Bits of security of the proofs of a mode, summed over all terms.
    #[pyo3(signature = (mode="private-input"))]
    fn security_bits(&self, py: Python<'_>, mode: &str) -> PyResult<f64> {
        let report = match parse_mode(mode)? {
            Mode::Public => Some(hallmark_proof::security_report(&self.0)),
            Mode::PrivateInput => py.detach(|| hallmark_proof::private_security_report(&self.0)),
        };
        report.map(|r| r.bits()).ok_or_else(unavailable)
    }

    /// No proof of a mode is longer, in bytes.
    #[pyo3(signature = (mode="private-input"))]
    fn max_proof_bytes(&self, py: Python<'_>, mode: &str) -> PyResult<usize> {
        match parse_mode(mode)? {
            Mode::Public => Ok(self.0.max_proof_len()),
            Mode::PrivateInput => py
                .detach(|| self.0.max_private_proof_len())
                .ok_or_else(unavailable),
        }
    }

    fn __repr__(&self) -> String {
        format!("<hallmark.VerifyingKey 0x{}>", hex::encode(self.0.digest()))
    }
}

fn unavailable() -> PyErr {
    proving_error("this model has no proofs of mode private-input")
}

/// Commits to the weights of a model; the same model always gives the same key.
///
/// Raises ProvingError for a model that does not fit the proof system.
#[pyfunction]
pub fn setup(py: Python<'_>, model: &Model) -> PyResult<ProvingKey> {
    let ready = Arc::clone(&model.ready);
    let key = py.detach(|| hallmark_proof::setup(ready.prepared.model()));
    Ok(ProvingKey {
        key: key.map_err(proving_error)?,
        ready,
    })
}
