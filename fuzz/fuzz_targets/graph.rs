//! Graphs and model files decode canonically or not at all.
#![no_main]
use hallmark_graph::{Graph, Model};
use libfuzzer_sys::fuzz_target;

mod seeds;

fn models() -> Vec<Vec<u8>> {
    let models = (0..40).map(hallmark_graph::testing::random_model);
    models.flat_map(|model| [model.graph.encode(), model.encode()]).collect()
}

fuzz_target!(init: seeds::write(models), |bytes: &[u8]| {
    if let Ok(graph) = Graph::decode(bytes) {
        assert_eq!(graph.encode(), bytes);
    }
    if let Ok(model) = Model::decode(bytes) {
        assert_eq!(model.encode(), bytes);
    }
});
