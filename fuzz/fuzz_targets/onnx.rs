//! The importer refuses garbage without a panic.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = hallmark_onnx::import(bytes, hallmark_onnx::ImportOptions::default());
});
