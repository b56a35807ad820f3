//! Compiling, saving and running a model.

use std::path::PathBuf;
use std::sync::Arc;

use hallmark_engine::Prepared;
use hallmark_graph::{Graph, MAX_MODEL_BYTES, Range, Scale};
use hallmark_onnx::{CompileOptions, FloatGraph, ImportError, ImportOptions, real};
use numpy::PyArrayDyn;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyMapping, PyTuple};

use crate::arrays::{self, Batch, Form, Given, Outputs, Port};
use crate::errors::{compile_error, format_error, value_error};
use crate::files;

/// A model that is ready to run, with the names of its inputs and outputs.
pub struct Ready {
    pub prepared: Prepared,
    pub inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Ready {
    /// `names` are of the inputs and of the outputs.
    fn new(model: hallmark_graph::Model, names: [Vec<String>; 2]) -> PyResult<Self> {
        let ports = |names: Vec<String>, shapes: Vec<Vec<usize>>| {
            let named = names.into_iter().zip(shapes);
            named.map(|(name, shape)| Port { name, shape }).collect()
        };
        let [inputs, outputs] = names;
        let inputs = ports(inputs, arrays::input_shapes(&model.graph));
        let outputs = ports(outputs, arrays::output_shapes(&model.graph));
        Ok(Self {
            prepared: Prepared::new(model).map_err(format_error)?,
            inputs,
            outputs,
        })
    }

    /// Integers of a flat sample.
    pub fn quantize(&self, sample: &[f32]) -> PyResult<Vec<i32>> {
        hallmark_onnx::quantize(self.graph(), sample).map_err(value_error)
    }

    pub fn graph(&self) -> &Graph {
        self.prepared.graph()
    }

    fn run(&self, batch: &Batch) -> PyResult<Vec<Vec<i32>>> {
        let count = batch.samples.len();
        let integers = batch.samples.iter().enumerate().map(|(index, sample)| {
            let quantized = hallmark_onnx::quantize(self.graph(), sample);
            quantized.map_err(|e| match count {
                1 => value_error(e),
                _ => value_error(format!("sample {index}: {e}")),
            })
        });
        let integers = integers.collect::<PyResult<Vec<_>>>()?;
        hallmark_engine::run_batch(&self.prepared, &integers).map_err(value_error)
    }
}

/// An integer model: the exact function that is run and proved.
///
/// Made by `compile` or `Model.load`.
#[pyclass(frozen, module = "hallmark")]
pub struct Model {
    pub ready: Arc<Ready>,
    report: Option<Py<Report>>,
}

#[pymethods]
impl Model {
    /// Reads a `.hmk` file. It holds no names: inputs are called `input0`, `input1`, …, outputs
    /// `output0`, ….
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let ready = py.detach(|| {
            let bytes = files::read(&path, MAX_MODEL_BYTES)?;
            let model = hallmark_graph::Model::decode(&bytes)
                .map_err(|e| format_error(format!("{}: {e}", path.display())))?;
            let names = |kind: &str, count: usize| {
                (0..count).map(|i| format!("{kind}{i}")).collect::<Vec<_>>()
            };
            let (inputs, outputs) = (model.graph.inputs.len(), model.graph.outputs.len());
            Ready::new(model, [names("input", inputs), names("output", outputs)])
        })?;
        Ok(Self {
            ready: Arc::new(ready),
            report: None,
        })
    }

    /// Writes the `.hmk` file that `Model.load` and the command line read.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| files::write(&path, &self.ready.prepared.model().encode()))
    }

    /// What quantising cost; `None` of a model that was loaded.
    #[getter]
    fn report(&self, py: Python<'_>) -> Option<Py<Report>> {
        self.report.as_ref().map(|r| r.clone_ref(py))
    }

    /// The inputs in their order.
    #[getter]
    fn inputs(&self) -> Vec<TensorInfo> {
        let inputs = self.ready.graph().inputs.iter().zip(&self.ready.inputs);
        inputs
            .map(|(input, port)| TensorInfo::new(port, input.range, input.scale))
            .collect()
    }

    /// The outputs in their order.
    #[getter]
    fn outputs(&self) -> Vec<TensorInfo> {
        let graph = self.ready.graph();
        let outputs = graph.outputs.iter().zip(&self.ready.outputs);
        outputs
            .filter_map(|(output, port)| {
                let range = graph.range(output.value)?;
                Some(TensorInfo::new(port, range, output.scale))
            })
            .collect()
    }

    /// Number of parameters.
    #[getter]
    fn params(&self) -> u64 {
        self.ready.graph().params()
    }

    /// Multiply-accumulates of one run.
    #[getter]
    fn macs(&self) -> u64 {
        self.ready.graph().macs()
    }

    /// The output on one sample or on many, in real numbers.
    ///
    /// `x` is an array, a list with one array for each input, or a dictionary by name. An array of
    /// an input's shape is one sample; one more axis in front, or another length instead of a
    /// leading 1, makes it many, and the output has that axis too.
    ///
    /// Raises ValueError for another shape, for a number outside the model's range, and where the
    /// model has several outputs (`run_all`).
    fn run<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        arrays::only(self.run_all(py, x)?, "run_all")
    }

    /// As `run`, one array for each output.
    fn run_all<'py>(&self, py: Python<'py>, x: &Bound<'py, PyAny>) -> PyResult<Outputs<'py>> {
        let given = Given::read(x)?;
        let (form, results) = py.detach(|| -> PyResult<(Form, Vec<Vec<i32>>)> {
            let batch = given.batch(&self.ready.inputs)?;
            Ok((batch.form, self.ready.run(&batch)?))
        })?;
        arrays::outputs(py, self.ready.graph(), form, &results)
    }

    fn __repr__(&self) -> String {
        let describe = |ports: &[Port]| {
            let each = ports.iter().map(|p| format!("{} {:?}", p.name, p.shape));
            each.collect::<Vec<_>>().join(", ")
        };
        format!(
            "<hallmark.Model {} -> {}, {} parameters>",
            describe(&self.ready.inputs),
            describe(&self.ready.outputs),
            self.params()
        )
    }
}

/// An input or output: real number = integer × `step`.
#[pyclass(frozen, module = "hallmark")]
pub struct TensorInfo {
    /// The name in the ONNX file.
    #[pyo3(get)]
    name: String,
    /// Smallest real number that it can hold.
    #[pyo3(get)]
    low: f64,
    /// Largest real number that it can hold.
    #[pyo3(get)]
    high: f64,
    /// What one integer step means.
    #[pyo3(get)]
    step: f64,
    shape: Vec<usize>,
}

impl TensorInfo {
    fn new(port: &Port, range: Range, scale: Scale) -> Self {
        let step = real(scale);
        Self {
            name: port.name.clone(),
            low: f64::from(range.lo) * step,
            high: f64::from(range.hi) * step,
            step,
            shape: port.shape.clone(),
        }
    }
}

#[pymethods]
impl TensorInfo {
    /// Its dimensions.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    fn __repr__(&self) -> String {
        format!(
            "<hallmark.TensorInfo {} {:?} in [{:.6}, {:.6}], step {:.6}>",
            self.name, self.shape, self.low, self.high, self.step
        )
    }
}

/// How far the integer model is from the float model on the calibration samples.
#[pyclass(frozen, get_all, module = "hallmark")]
pub struct Report {
    /// Samples compared.
    samples: usize,
    /// Largest difference of an output element.
    max_error: f64,
    /// Mean difference of an output element.
    mean_error: f64,
    /// Largest minus smallest output element of the float model.
    output_range: f64,
    /// Share of samples whose largest output is the same.
    top1_agreement: f64,
    /// Power of the float outputs over the power of the difference, in decibels.
    snr_db: f64,
    /// Parameters.
    params: u64,
    /// Multiply-accumulates of one run.
    macs: u64,
    /// Look-ups that a proof of one run makes.
    lookups: u64,
    /// Name of the node whose result lost most, if any lost something.
    worst: Option<String>,
    /// One entry for each node that rounds.
    layers: Vec<LayerReport>,
}

impl Report {
    fn new(report: hallmark_onnx::Report) -> Self {
        let layers = report.layers.into_iter().map(LayerReport::new).collect();
        Self {
            samples: report.samples,
            max_error: report.max_error,
            mean_error: report.mean_error,
            output_range: report.output_range,
            top1_agreement: report.top1_agreement,
            snr_db: report.snr_db,
            params: report.params,
            macs: report.macs,
            lookups: report.lookups,
            worst: report.worst,
            layers,
        }
    }
}

#[pymethods]
impl Report {
    fn __repr__(&self) -> String {
        format!(
            "<hallmark.Report {} samples: largest error {:.4}, mean {:.4}, same answer {:.2} %>",
            self.samples,
            self.max_error,
            self.mean_error,
            100.0 * self.top1_agreement
        )
    }
}

/// One node and its integers.
#[pyclass(frozen, get_all, module = "hallmark")]
#[derive(Clone)]
pub struct LayerReport {
    /// Name of the ONNX node.
    name: String,
    /// Its operator.
    source: String,
    /// Power of the float tensor over the power of the difference, in decibels.
    snr_db: f64,
}

impl LayerReport {
    fn new(layer: hallmark_onnx::LayerReport) -> Self {
        Self {
            name: layer.name,
            source: layer.source,
            snr_db: layer.snr_db,
        }
    }
}

#[pymethods]
impl LayerReport {
    fn __repr__(&self) -> String {
        format!(
            "<hallmark.LayerReport {} ({}): signal to noise {:.1} dB>",
            self.name, self.source, self.snr_db
        )
    }
}

/// Where an ONNX model comes from.
#[derive(FromPyObject)]
pub enum Source {
    #[pyo3(transparent, annotation = "bytes")]
    Bytes(PyBackedBytes),
    #[pyo3(transparent, annotation = "str | os.PathLike")]
    Path(PathBuf),
}

impl Source {
    fn import(self, options: ImportOptions) -> PyResult<FloatGraph> {
        let imported = match &self {
            Self::Bytes(bytes) => hallmark_onnx::import(bytes, options),
            Self::Path(path) => hallmark_onnx::import_file(path, options),
        };
        imported.map_err(|e| match (&e, &self) {
            (ImportError::Io { source, .. }, _) => {
                std::io::Error::new(source.kind(), e.to_string()).into()
            }
            (_, Self::Path(path)) => compile_error(format!("{}: {e}", path.display())),
            (_, Self::Bytes(_)) => compile_error(e),
        })
    }
}

/// Quantises an ONNX model to integers.
///
/// `onnx` is a path or the file's bytes. `calibration` holds representative samples, in the forms
/// that `Model.run` takes: scales are chosen from them, and inputs outside what they span may be
/// refused later. `bits` of activations are 8, or 16 for results nearer to the float model's at a
/// higher cost. `fix_batch` sets a leading symbolic dimension of an input to 1; `dims` gives
/// symbolic dimensions by name.
///
/// Raises CompileError for what cannot be imported or quantised, by the node's name; ValueError
/// for calibration arrays of other shapes.
#[pyfunction]
#[pyo3(signature = (onnx, calibration, *, bits=8, fix_batch=false, dims=None))]
pub fn compile(
    py: Python<'_>,
    onnx: Source,
    calibration: &Bound<'_, PyAny>,
    bits: u8,
    fix_batch: bool,
    dims: Option<&Bound<'_, PyMapping>>,
) -> PyResult<Model> {
    let given = Given::read(calibration)?;
    let dims = dims.map(|d| d.items()?.extract::<Vec<(String, usize)>>());
    let dims = dims.transpose()?.unwrap_or_default().into_iter().collect();
    let (ready, report) = py.detach(|| {
        let float = onnx.import(ImportOptions { fix_batch, dims })?;
        let port = |i: &hallmark_onnx::FloatInput| Port {
            name: i.name.clone(),
            shape: i.shape.clone(),
        };
        let ports: Vec<Port> = float.inputs.iter().map(port).collect();
        let batch = given.batch(&ports)?;
        let samples: Vec<&[f32]> = batch.samples.iter().map(Vec::as_slice).collect();
        let options = CompileOptions {
            bits,
            ..CompileOptions::default()
        };
        let compiled = hallmark_onnx::compile(&float, &samples, &options).map_err(|e| match e {
            hallmark_onnx::CompileError::Option { .. } => value_error(e),
            _ => compile_error(e),
        })?;
        let inputs = ports.into_iter().map(|p| p.name).collect();
        let outputs = float.outputs.iter().map(|o| o.name.clone()).collect();
        let ready = Ready::new(compiled.model, [inputs, outputs])?;
        Ok::<_, PyErr>((ready, compiled.report))
    })?;
    Ok(Model {
        ready: Arc::new(ready),
        report: Some(Py::new(py, Report::new(report))?),
    })
}
