//! Proving and verifying.

use std::path::PathBuf;

use hallmark_proof::{InputSecret, Mode};
use numpy::{PyArray1, PyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rand::TryRng;
use rand::rngs::SysRng;

use crate::arrays::{self, Form, Given, Outputs};
use crate::bundle::{self, Bundle, Hex, Statement};
use crate::errors::{format_error, proving_error, value_error, verification_error};
use crate::files;
use crate::keys::{ProvingKey, VerifyingKey, mode_name, parse_mode};

const NO_CONTEXT: &[u8] = &[0; 32];
/// Longest file of a secret.
const MAX_SECRET_BYTES: usize = 128;

fn word(name: &str, bytes: &[u8]) -> PyResult<[u8; 32]> {
    let wrong = |_| value_error(format!("{name} has {} bytes, 32 are needed", bytes.len()));
    bytes.try_into().map_err(wrong)
}

/// A statement with the graph that gives its numbers a meaning.
#[derive(Clone)]
struct Said {
    key: hallmark_proof::VerifyingKey,
    statement: Statement,
    context: [u8; 32],
}

impl Said {
    fn mode(&self) -> Mode {
        match self.statement {
            Statement::Public { .. } => Mode::Public,
            Statement::PrivateInput { .. } => Mode::PrivateInput,
        }
    }

    fn commitment<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        match &self.statement {
            Statement::Public { .. } => None,
            Statement::PrivateInput { commitment, .. } => Some(PyBytes::new(py, &commitment.0)),
        }
    }

    fn masked_output<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<u32>>> {
        match &self.statement {
            Statement::Public { .. } => None,
            Statement::PrivateInput { masked_output, .. } => {
                Some(PyArray1::from_slice(py, masked_output))
            }
        }
    }

    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Option<Outputs<'py>>> {
        match &self.statement {
            Statement::Public { input, .. } => {
                arrays::inputs(py, self.key.graph(), input).map(Some)
            }
            Statement::PrivateInput { .. } => Ok(None),
        }
    }

    /// The outputs, if they are public or the secret is at hand.
    fn outputs<'py>(
        &self,
        py: Python<'py>,
        secret: Option<&InputSecret>,
    ) -> PyResult<Option<Outputs<'py>>> {
        let integers = match (&self.statement, secret) {
            (Statement::Public { output, .. }, _) => output.clone(),
            (Statement::PrivateInput { masked_output, .. }, Some(secret)) => {
                self.unmask(masked_output, secret)?
            }
            (Statement::PrivateInput { .. }, None) => return Ok(None),
        };
        // Of a file, nobody has checked its length yet.
        let graph = self.key.graph();
        graph.check_output(&integers).map_err(format_error)?;
        arrays::outputs(py, graph, Form::Single, &[integers]).map(Some)
    }

    fn unmask(&self, masked: &[u32], secret: &InputSecret) -> PyResult<Vec<i32>> {
        hallmark_proof::unmask_output(self.key.graph(), masked, secret)
            .map_err(|_| value_error("the secret is of another proof"))
    }

    /// Whether the proof `bytes` shows the statement for `key` and `context`.
    fn check(
        &self,
        key: &hallmark_proof::VerifyingKey,
        context: &[u8; 32],
        bytes: &[u8],
    ) -> PyResult<()> {
        let checked = match &self.statement {
            Statement::Public { input, output } => {
                hallmark_proof::verify(key, input, output, context, bytes)
            }
            Statement::PrivateInput {
                commitment,
                masked_output,
            } => {
                let commitment = word("the commitment", &commitment.0)?;
                hallmark_proof::verify_private(key, &commitment, masked_output, context, bytes)
            }
        };
        checked.map_err(verification_error)
    }
}

fn one<'py>(outputs: Option<Outputs<'py>>) -> PyResult<Option<Bound<'py, PyArrayDyn<f32>>>> {
    outputs.map(|o| arrays::only(o, "outputs")).transpose()
}

/// A proof with its statement, and with the secret where this process made it.
#[pyclass(frozen, module = "hallmark")]
pub struct Proof {
    said: Said,
    bytes: Vec<u8>,
    secret: Option<InputSecret>,
}

#[pymethods]
impl Proof {
    /// Reads what `save`, or `hallmark zk prove`, wrote; with the secret if its file is given.
    /// Nothing is verified yet.
    #[staticmethod]
    #[pyo3(signature = (path, *, secret=None))]
    fn load(py: Python<'_>, path: PathBuf, secret: Option<PathBuf>) -> PyResult<Self> {
        py.detach(|| {
            let refuse = |e: String| format_error(format!("{}: {e}", path.display()));
            let bytes = files::read(&path, bundle::MAX_BYTES)?;
            let bundle: Bundle = serde_json::from_slice(&bytes)
                .map_err(|e| refuse(format!("not a proof bundle: {e}")))?;
            if bundle.version != bundle::VERSION {
                let (found, known) = (bundle.version, bundle::VERSION);
                return Err(refuse(format!("bundle version {found} is not {known}")));
            }
            let key = hallmark_proof::VerifyingKey::decode(&bundle.verifying_key.0)
                .map_err(|e| refuse(e.to_string()))?;
            let context = bundle.context.word();
            let context = context.ok_or_else(|| refuse("the context is not of 32 bytes".into()))?;
            if let Statement::PrivateInput { commitment, .. } = &bundle.statement
                && commitment.word().is_none()
            {
                return Err(refuse("the commitment is not of 32 bytes".into()));
            }
            Ok(Self {
                said: Said {
                    key,
                    statement: bundle.statement,
                    context,
                },
                bytes: bundle.proof.0,
                secret: secret.map(read_secret).transpose()?,
            })
        })
    }

    /// Writes the file that `load` and `hallmark zk verify` read. The secret is never in it; it is
    /// written to a file of its own, for the owner's eyes, if `secret` names one.
    #[pyo3(signature = (path, *, secret=None))]
    fn save(&self, py: Python<'_>, path: PathBuf, secret: Option<PathBuf>) -> PyResult<()> {
        py.detach(|| {
            if let Some(file) = secret {
                let known = self.secret.as_ref();
                let known = known.ok_or_else(|| value_error("the proof comes without a secret"))?;
                let text = format!("{}\n", Hex(known.to_bytes().to_vec()));
                files::write_private(&file, text.as_bytes())?;
            }
            let bundle = Bundle {
                version: bundle::VERSION,
                verifying_key: Hex(self.said.key.encode()),
                statement: self.said.statement.clone(),
                context: Hex(self.said.context.to_vec()),
                proof: Hex(self.bytes.clone()),
            };
            let json = serde_json::to_vec_pretty(&bundle).map_err(format_error)?;
            files::write(&path, &json)
        })
    }

    /// The proof alone.
    #[getter]
    fn bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.bytes)
    }

    /// "private-input" or "public".
    #[getter]
    fn mode(&self) -> &'static str {
        mode_name(self.said.mode())
    }

    /// The 32 bytes that the proof is bound to.
    #[getter]
    fn context<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.said.context)
    }

    /// Of a private input: 32 bytes, the commitment to it and to the pads of the outputs.
    #[getter]
    fn commitment<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.said.commitment(py)
    }

    /// Of a private input: the outputs plus their pads modulo the field's prime, flat.
    #[getter]
    fn masked_output<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<u32>>> {
        self.said.masked_output(py)
    }

    /// The output as the proof states it; `None` without the secret of a private one.
    #[getter]
    fn output<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArrayDyn<f32>>>> {
        one(self.outputs(py)?)
    }

    /// As `output`, one array for each output of the model.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Option<Outputs<'py>>> {
        self.said.outputs(py, self.secret.as_ref())
    }

    /// Of a private input: 32 bytes that open the commitment and the output. Whoever has them can
    /// read the output; they serve this proof only.
    #[getter]
    fn secret<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let secret = self.secret.as_ref();
        secret.map(|s| PyBytes::new(py, &s.to_bytes()))
    }

    fn __repr__(&self) -> String {
        let (mode, bytes) = (self.mode(), self.bytes.len());
        format!("<hallmark.Proof {mode}, {bytes} bytes>")
    }
}

fn read_secret(path: PathBuf) -> PyResult<InputSecret> {
    let refuse = || format_error(format!("{}: not a secret of 32 bytes", path.display()));
    let text = String::from_utf8(files::read(&path, MAX_SECRET_BYTES)?).map_err(|_| refuse())?;
    let secret = Hex::parse(text.trim()).ok().and_then(|hex| hex.word());
    secret.map(InputSecret::from_bytes).ok_or_else(refuse)
}

/// What a verified proof says.
#[pyclass(frozen, module = "hallmark")]
pub struct VerifiedOutput {
    said: Said,
    secret: Option<InputSecret>,
}

#[pymethods]
impl VerifiedOutput {
    /// "private-input" or "public".
    #[getter]
    fn mode(&self) -> &'static str {
        mode_name(self.said.mode())
    }

    /// The output; `None` of a private input as long as nobody opens it.
    #[getter]
    fn output<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArrayDyn<f32>>>> {
        one(self.outputs(py)?)
    }

    /// As `output`, one array for each output of the model.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Option<Outputs<'py>>> {
        self.said.outputs(py, self.secret.as_ref())
    }

    /// Of a public proof: one array for each input of the model, as it was rounded.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Option<Outputs<'py>>> {
        self.said.inputs(py)
    }

    /// Of a private input: 32 bytes, the commitment to it. Compare it with what was ordered.
    #[getter]
    fn commitment<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.said.commitment(py)
    }

    /// Of a private input: the outputs plus their pads modulo the field's prime, flat.
    #[getter]
    fn masked_output<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<u32>>> {
        self.said.masked_output(py)
    }

    /// Takes the pads off: the same with `output`.
    ///
    /// Raises ValueError where the secret is of another proof, or nothing is hidden.
    fn open(&self, secret: &[u8]) -> PyResult<Self> {
        let secret = InputSecret::from_bytes(word("the secret", secret)?);
        match &self.said.statement {
            Statement::Public { .. } => return Err(value_error("the output is public already")),
            Statement::PrivateInput { masked_output, .. } => {
                self.said.unmask(masked_output, &secret)?;
            }
        }
        Ok(Self {
            said: self.said.clone(),
            secret: Some(secret),
        })
    }

    fn __repr__(&self) -> String {
        let open = matches!(self.said.statement, Statement::Public { .. }) || self.secret.is_some();
        let state = if open { "open" } else { "masked" };
        format!("<hallmark.VerifiedOutput {}, {state}>", self.mode())
    }
}

fn fresh_secret() -> PyResult<InputSecret> {
    let mut bytes = [0; 32];
    let drawn = SysRng.try_fill_bytes(&mut bytes);
    drawn.map_err(|_| proving_error("the operating system gave no randomness"))?;
    Ok(InputSecret::from_bytes(bytes))
}

/// Runs the model on one sample and proves the run.
///
/// `x` is what `Model.run` takes. Mode "private-input" hides the input behind a commitment and the
/// output under a one-time pad, from all but who holds the proof's secret (and this process);
/// "public" hides nothing. The proof is bound to `context`, 32 bytes of the caller's meaning.
///
/// Raises ValueError for another shape or a number outside the model's range, ProvingError where
/// the model has no proofs of the mode.
#[pyfunction]
#[pyo3(signature = (key, x, *, mode="private-input", context=NO_CONTEXT))]
pub fn prove(
    py: Python<'_>,
    key: &ProvingKey,
    x: &Bound<'_, PyAny>,
    mode: &str,
    context: &[u8],
) -> PyResult<Proof> {
    let mode = parse_mode(mode)?;
    let context = word("the context", context)?;
    let given = Given::read(x)?;
    py.detach(|| {
        let ready = &key.ready;
        let input = ready.quantize(&given.sample(&ready.inputs)?)?;
        let trace = hallmark_engine::trace(&ready.prepared, &input).map_err(value_error)?;
        let graph = ready.graph();
        let output = graph.join_output(&trace.values);
        let (bytes, statement, secret) = match mode {
            Mode::Public => {
                let bytes = hallmark_proof::prove(&key.key, &trace, &context);
                let statement = Statement::Public { input, output };
                (bytes.map_err(proving_error)?, statement, None)
            }
            Mode::PrivateInput => {
                let secret = fresh_secret()?;
                let bytes = hallmark_proof::prove_private(&key.key, &trace, &secret, &context);
                let commitment = hallmark_proof::commit_input(graph, &input, &secret);
                let masked_output = hallmark_proof::mask_output(graph, &output, &secret);
                let statement = Statement::PrivateInput {
                    commitment: Hex(commitment.map_err(value_error)?.to_vec()),
                    masked_output: masked_output.map_err(value_error)?,
                };
                (bytes.map_err(proving_error)?, statement, Some(secret))
            }
        };
        Ok(Proof {
            said: Said {
                key: key.key.verifying_key().clone(),
                statement,
                context,
            },
            bytes,
            secret,
        })
    })
}

/// Checks that the proof shows its statement of the very model behind `verifying_key`, bound to
/// `context`. Both are the caller's word, never the proof's.
///
/// The output is open at once if the proof carries its secret; see `VerifiedOutput.open`.
///
/// Raises VerificationError with the first check that failed; ValueError where the proof was loaded
/// with the secret of another.
#[pyfunction]
#[pyo3(signature = (verifying_key, proof, *, context=NO_CONTEXT))]
pub fn verify(
    py: Python<'_>,
    verifying_key: &VerifyingKey,
    proof: &Proof,
    context: &[u8],
) -> PyResult<VerifiedOutput> {
    let context = word("the context", context)?;
    py.detach(|| {
        let key = &verifying_key.0;
        proof.said.check(key, &context, &proof.bytes)?;
        let verified = VerifiedOutput {
            said: Said {
                key: key.clone(),
                statement: proof.said.statement.clone(),
                context,
            },
            secret: None,
        };
        match &proof.secret {
            Some(secret) => verified.open(&secret.to_bytes()),
            None => Ok(verified),
        }
    })
}
