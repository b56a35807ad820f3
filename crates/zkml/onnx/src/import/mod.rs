//! Reads ONNX and lowers it to a [`FloatGraph`].
//!
//! The graph is taken as ONNX demands it: nodes in topological order, every name defined once.
//! Shapes are static, so that every node whose operands are constants (a shape too) is computed
//! here. Every other node becomes a few steps of the float graph (`lower/`), which are simplified
//! while they are added (`builder`, `fuse`); what no output needs is dropped.

mod builder;
mod fold;
mod fuse;
mod lower;
mod node;
mod ops;
mod shape;
mod tensor;
mod view;
mod walk;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use prost::Message;

use crate::proto::{self, ModelProto};
use crate::{FloatGraph, ImportError};

/// Largest ONNX file that is read.
pub const MAX_ONNX_BYTES: u64 = 1 << 30;
/// Most nodes, tensors, values and attributes together.
const MAX_STRUCTURES: usize = 1 << 18;
/// Operator sets whose semantics we know: broadcasting as it is began with 7.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// What a caller may allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Fix a leading symbolic dimension of an input to 1 instead of refusing it.
    pub fix_batch: bool,
    /// Sizes of symbolic dimensions by name, at least 1 each.
    pub dims: BTreeMap<String, usize>,
}

/// Reads a file of at most [`MAX_ONNX_BYTES`] and imports it.
///
/// # Errors
///
/// A file that cannot be read or is too large, and whatever [`import`] refuses.
pub fn import_file(path: &Path, options: ImportOptions) -> Result<FloatGraph, ImportError> {
    let io = |source| ImportError::Io {
        path: path.display().to_string(),
        source,
    };
    let file = std::fs::File::open(path).map_err(io)?;
    let actual = file.metadata().map_err(io)?.len();
    let too_large = |actual| ImportError::FileTooLarge {
        actual,
        limit: MAX_ONNX_BYTES,
    };
    if actual > MAX_ONNX_BYTES {
        return Err(too_large(actual));
    }
    let mut bytes = Vec::new();
    // The length is not trusted: a pipe has none, and a file may grow.
    let read = file.take(MAX_ONNX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(io)?;
    if bytes.len() as u64 > MAX_ONNX_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    import(&bytes, options)
}

/// Imports a serialised `ModelProto`.
///
/// # Errors
///
/// Bytes that are no ONNX model, or a model that `docs/operators.md` does not cover; the message
/// names the node or the tensor.
pub fn import(bytes: &[u8], options: ImportOptions) -> Result<FloatGraph, ImportError> {
    if bytes.len() as u64 > MAX_ONNX_BYTES {
        return Err(ImportError::FileTooLarge {
            actual: bytes.len() as u64,
            limit: MAX_ONNX_BYTES,
        });
    }
    if proto::count_structures(bytes) > MAX_STRUCTURES {
        return Err(ImportError::TooMany {
            what: "nodes, tensors, values and attributes",
            limit: MAX_STRUCTURES,
        });
    }
    let model = ModelProto::decode(bytes).map_err(|e| ImportError::Protobuf(e.to_string()))?;
    let opset = opset(&model)?;
    let Some(graph) = model.graph else {
        return Err(ImportError::Model("the file holds no graph".into()));
    };
    walk::graph(graph, opset, &options)
}

/// Version of the standard operator set. A model of `ai.onnx.ml` alone imports none, and converters of such models
/// import one twice.
fn opset(model: &ModelProto) -> Result<i64, ImportError> {
    let mut standard = model
        .opset_import
        .iter()
        .filter(|set| is_standard(&set.domain))
        .map(|set| set.version);
    let first = standard.next();
    let version = match first {
        Some(version) if standard.all(|other| other == version) => version,
        None if !model.opset_import.is_empty() => *OPSETS.end(),
        _ => {
            return Err(ImportError::Model(
                "not an ONNX model: it must import one version of the standard operator set".into(),
            ));
        }
    };
    if !OPSETS.contains(&version) {
        return Err(ImportError::Model(format!(
            "operator set {version} is not supported, only {} to {}",
            OPSETS.start(),
            OPSETS.end()
        )));
    }
    Ok(version)
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}
