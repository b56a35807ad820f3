//! What is refused, and how it is said.

/// Why an ONNX file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
    #[error("the file has {actual} bytes, at most {limit} are read")]
    FileTooLarge { actual: u64, limit: u64 },
    #[error("not an ONNX file, or a truncated one: {0}")]
    Protobuf(String),
    #[error("the model holds more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("{0}")]
    Model(String),
    #[error("operator {op} at node {node:?} is not supported (docs/operators.md lists what is)")]
    Operator { op: String, node: String },
    #[error("operator {op} at node {node:?}: {reason}")]
    Node {
        op: String,
        node: String,
        reason: String,
    },
    #[error("tensor {name:?}: {reason}")]
    Tensor { name: String, reason: String },
    #[error(
        "input {name:?}: dimension {index} ({symbol:?}) is dynamic; export the model with fixed \
         shapes, or ask for a leading batch dimension to be fixed to 1"
    )]
    DynamicShape {
        name: String,
        index: usize,
        symbol: String,
    },
}

/// Why a float graph cannot become an integer model.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("calibration needs at least one sample")]
    NoSamples,
    #[error("option {name} is {value}, outside {allowed}")]
    Option {
        name: &'static str,
        value: f64,
        allowed: &'static str,
    },
    #[error("sample {index} has {actual} elements, the model's input has {expected}")]
    SampleLength {
        index: usize,
        expected: usize,
        actual: usize,
    },
    #[error("sample {index}, element {element} is {value}: not a finite number")]
    SampleValue {
        index: usize,
        element: usize,
        value: f32,
    },
    #[error("{labels} labels do not fit {samples} samples of {outputs} output elements each")]
    Labels {
        labels: usize,
        samples: usize,
        outputs: usize,
    },
    #[error("label {label} is not below {classes}, the elements of an output row")]
    Label { label: u32, classes: usize },
    #[error("sample {index} leaves the range of f32 at node {node:?}")]
    NotFinite { index: usize, node: String },
    #[error("node {node:?}: {reason}")]
    Scale { node: String, reason: String },
    #[error("node {node:?}: {source}")]
    Check {
        node: String,
        source: hallmark_graph::CheckError,
    },
    #[error("the compiled model: {0}")]
    Engine(#[from] hallmark_engine::EngineError),
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
}

/// Why a real tensor is refused as an input.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    #[error("the input has {actual} elements, expected {expected} (shape {shape})")]
    Length {
        expected: usize,
        actual: usize,
        shape: String,
    },
    #[error("input element {index} is {value}, outside the model's range [{lo}, {hi}]")]
    Range {
        index: usize,
        value: f32,
        lo: f64,
        hi: f64,
    },
}

/// Why a file of samples is refused.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("cannot read {path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
    #[error("{path}: {reason}")]
    Format { path: String, reason: String },
}
