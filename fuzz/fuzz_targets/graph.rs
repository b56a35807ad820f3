//! Graphs and model files decode canonically or not at all.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(graph) = hallmark_graph::Graph::decode(bytes) {
        assert_eq!(graph.encode(), bytes);
    }
    if let Ok(model) = hallmark_graph::Model::decode(bytes) {
        assert_eq!(model.encode(), bytes);
    }
});
