//! Costs, layers and the picture of small graphs.

use super::{cost, drawing, memory};
use hallmark_graph::{Graph, Model};
use hallmark_proof::Profile;
use hallmark_types::{DeliveryGas, Limits, MarketParams};

/// A model with several inputs, outputs and operators for every seed.
fn models() -> impl Iterator<Item = Model> {
    (0..40).map(hallmark_graph::testing::random_model)
}

fn edges(graph: &Graph, layers: &[cost::Layer]) -> usize {
    let read: usize = layers.iter().map(|l| l.reads.len() + l.inputs.len()).sum();
    read + graph.outputs.len()
}

#[test]
fn every_node_is_in_one_layer_and_layers_read_earlier_ones() {
    for model in models() {
        let graph = &model.graph;
        let layers = cost::layers(graph);
        let mut seen = vec![0; graph.nodes.len()];
        for (index, layer) in layers.iter().enumerate() {
            assert!(layer.reads.iter().all(|&read| read < index));
            assert!(layer.inputs.iter().all(|&input| input < graph.inputs.len()));
            for &node in &layer.nodes {
                seen[node] += 1;
            }
        }
        assert!(seen.iter().all(|&count| count <= 1));
        let lookups: u64 = layers.iter().map(|layer| layer.cost.lookups).sum();
        assert_eq!(lookups, cost::total(graph).lookups);
        let macs: u64 = layers.iter().map(|layer| layer.cost.macs).sum();
        assert_eq!(macs, graph.macs());
    }
}

/// A plan may split a remainder in limbs, so that it commits to more, never to less.
#[test]
fn the_costs_drawn_are_near_those_of_the_proof() {
    for model in models() {
        let Ok(proving) = hallmark_proof::setup(&model) else {
            continue;
        };
        let work = hallmark_proof::work(proving.verifying_key(), hallmark_proof::Mode::Public)
            .expect("every key has proofs of public inputs");
        let own = cost::total(&model.graph);
        assert!(work.lookups as u64 >= own.lookups);
        assert!(work.lookups as u64 <= 8 * own.lookups);
        // Padding is committed to as far as it costs nothing.
        assert!(work.committed as u64 >= own.lookups);
    }
}

#[test]
fn a_picture_has_a_box_for_every_layer_and_nothing_overlaps() {
    for model in models() {
        let graph = &model.graph;
        let layers = cost::layers(graph);
        let picture = drawing::svg(graph, "a <model> & more");
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert!(picture.contains("a &lt;model&gt; &amp; more"));
        assert_eq!(picture.matches("class=\"b\"").count(), layers.len());
        let ports = graph.inputs.len() + graph.outputs.len();
        assert_eq!(picture.matches("class=\"p\"").count(), ports);
        assert!(picture.matches("class=\"e\"").count() >= edges(graph, &layers));
        let number = |text: &str, name: &str| -> f64 {
            let from = text
                .split_once(&format!("{name}=\""))
                .expect("an attribute")
                .1;
            let (digits, _) = from.split_once('"').expect("a closed attribute");
            digits.parse().expect("a number")
        };
        let boxes: Vec<(f64, f64)> = picture
            .split("<rect ")
            .filter(|rect| rect.starts_with("class=\"b\"") || rect.starts_with("class=\"p\""))
            .map(|rect| (number(rect, "x"), number(rect, " y")))
            .collect();
        for (index, a) in boxes.iter().enumerate() {
            for b in &boxes[..index] {
                let apart = (a.0 - b.0).abs() > 236.0 || (a.1 - b.1).abs() > 30.0;
                assert!(apart, "{a:?} and {b:?} overlap");
            }
        }
    }
}

#[test]
fn no_mode_hides_weights_and_who_asks_for_it_is_told_why() {
    use crate::cli::ProofMode;
    let refused = ProofMode::PrivateWeights.supported().unwrap_err();
    assert!(refused.starts_with("mode private-weights is refused: "));
    assert!(refused.contains("docs/zkml.md"));
    assert!(ProofMode::Public.supported().is_ok() && ProofMode::PrivateInput.supported().is_ok());
}

#[test]
fn a_proof_that_does_not_fit_is_refused_with_what_it_needs() {
    let model = hallmark_graph::testing::random_model(1);
    for profile in Profile::ALL {
        for runs in [1, 8] {
            refused_for(&model, profile, runs);
        }
    }
    let need = |runs| memory::need(&model, Profile::Standard, runs);
    let more = need(2) - need(1);
    assert!(more > 0);
    assert_eq!(need(8), need(1) + 7 * more, "every run of a batch counts");
    assert!(memory::need(&model, Profile::Short, 1) > need(1));
    assert_eq!(need(u64::MAX), u64::MAX, "no overflow");
}

fn refused_for(model: &Model, profile: Profile, runs: u64) {
    let need = memory::need(model, profile, runs);
    assert!(memory::check(model, profile, runs, Some(need)).is_ok());
    let refused = memory::check(model, profile, runs, Some(need - 1))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("MiB of memory"), "{refused}");
    assert!(
        refused.contains(&memory::mib(need).to_string()),
        "{refused}"
    );
}

/// The longest proofs of the largest model that ships, by the rules of a local chain: two buyers of it
/// need not wait for each other.
#[test]
fn two_sealed_deliveries_of_the_language_model_fit_a_block() {
    let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let calibrate = assets.join("lm_calibration.npz");
    let options = hallmark_onnx::CompileOptions::default();
    let model = super::quantise::compile_onnx(&assets.join("lm.onnx"), &calibrate, &options);
    let model = model.expect("it compiles").compiled.model;
    let key = hallmark_proof::setup(&model).expect("a key");
    let key = key.verifying_key();
    let (limits, market) = (Limits::local(), MarketParams::local());
    let proof = key.max_private_proof_len().expect("such proofs") as u64;
    let stored = key.encode().len() as u64;
    let output = 4 * key.graph().output_len() as u64;
    // As `Verifier.gasPrivate`, with 200 gas for every byte of the key.
    let verification = market.verify_base_gas
        + key.private_cost().expect("such proofs").gas()
        + 20_000
        + 200 * stored
        + market.verify_gas_per_byte * proof;
    let delivery = DeliveryGas::dearest(output, proof, stored, verification).limit(
        limits.payload_floor_gas_per_token,
        limits.payload_gas_per_token,
    );
    println!("{delivery} gas, {verification} of them for the verification");
    assert!(delivery <= limits.tx_gas_limit, "{delivery}");
    assert!(2 * delivery <= limits.block_gas_limit, "{delivery}");
    let bytes = proof + output + 1_000;
    assert!(bytes <= limits.max_tx_bytes as u64 && 2 * bytes <= limits.max_block_bytes as u64);
}
