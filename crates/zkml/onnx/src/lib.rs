//! hallmark-onnx
