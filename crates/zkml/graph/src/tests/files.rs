//! Bytes of graphs, models and tensors.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

#[test]
fn the_encoding_is_pinned() {
    let model = sample();
    let hex = |digest: [u8; 32]| digest.map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(model.graph.encode()[..6], *b"HMKG\x03\x00");
    assert_eq!(model.encode()[..6], *b"HMKM\x03\x00");
    assert_eq!(hex(model.graph.digest()), GRAPH_DIGEST);
    assert_eq!(hex(model.content_hash()), MODEL_DIGEST);
    assert_eq!((model.graph.macs(), model.graph.params()), (18 + 6, 9));
}

const GRAPH_DIGEST: &str = "e598d90d3c45bea646985eb6ab8cc68d21a395d85aafbd0dd11200b015c1c0d2";
const MODEL_DIGEST: &str = "bc8d654b7258837413521a8d670cd643adb9a20b583c635602108ec1b4bcbd50";

#[test]
fn every_cut_and_every_extra_byte_is_refused() {
    let model = sample();
    let (graph, file) = (model.graph.encode(), model.encode());
    for end in 0..graph.len() {
        assert!(Graph::decode(&graph[..end]).is_err(), "cut at {end}");
    }
    for end in 0..file.len() {
        assert!(Model::decode(&file[..end]).is_err(), "cut at {end}");
    }
    let longer = [graph, vec![0]].concat();
    assert_eq!(Graph::decode(&longer), Err(DecodeError::Trailing(1)));
    let longer = [file.clone(), vec![0]].concat();
    assert_eq!(Model::decode(&longer), Err(DecodeError::Digest));
    let payload = [&file[38..], &[0]].concat();
    assert_eq!(
        Model::decode(&with_digest(&payload)),
        Err(DecodeError::Trailing(1))
    );
}

/// A file whose digest is right whatever its payload is.
fn with_digest(payload: &[u8]) -> Vec<u8> {
    let digest = blake3::hash(payload);
    [b"HMKM\x03\x00", digest.as_bytes().as_slice(), payload].concat()
}

#[test]
fn damage_wrong_magic_and_old_versions_are_named() {
    let model = sample();
    let change = |at: usize, value: u8| {
        let mut bytes = model.encode();
        bytes[at] = value;
        Model::decode(&bytes).unwrap_err()
    };
    assert_eq!(change(0, b'X'), DecodeError::Magic("model"));
    assert_eq!(
        change(4, 1).to_string(),
        "model version 1 is not supported; this program reads version 3"
    );
    assert_eq!(change(model.encode().len() - 1, 77), DecodeError::Digest);
    let mut bytes = model.graph.encode();
    bytes[4] = 1;
    assert_eq!(
        Graph::decode(&bytes).unwrap_err().to_string(),
        "graph version 1 is not supported; this program reads version 3"
    );
}

#[test]
fn huge_counts_are_refused_before_anything_is_allocated() {
    let bytes = sample().graph.encode();
    let refused = |at: usize, new: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        Graph::decode(&bytes).unwrap_err()
    };
    let error = refused(6, &[17]);
    assert!(matches!(
        error,
        DecodeError::TooLarge {
            what: "input count",
            ..
        }
    ));
    let error = refused(7, &[9]);
    assert!(matches!(error, DecodeError::TooLarge { what: "rank", .. }));
    // After the count of inputs, one of rank 2 and one of rank 1, each with range and scale.
    let at = 7 + (1 + 8 + 13) + (1 + 4 + 13);
    let count = u32::try_from(sample().graph.nodes.len()).unwrap();
    assert_eq!(bytes[at..at + 4], count.to_le_bytes());
    let error = refused(at, &u32::MAX.to_le_bytes());
    assert!(matches!(
        error,
        DecodeError::TooLarge {
            what: "node count",
            ..
        }
    ));
    let error = refused(at, &32_768u32.to_le_bytes());
    assert!(matches!(
        error,
        DecodeError::Truncated { what: "nodes", .. }
    ));
}

#[test]
fn each_port_takes_the_narrowest_bytes_and_has_one_encoding() {
    let inputs = [(-128, 127), (0, 128), (-32768, 32767), (0, 32768)];
    let inputs: Vec<_> = inputs.iter().map(|&(lo, hi)| input(&[3], lo, hi)).collect();
    let mut b = Builder::new(inputs.clone());
    let flat = b.reshape(0, Shape(vec![3, 1])).unwrap();
    let graph = finish(b, &[3, 2, 1, flat]).graph;
    assert_eq!(graph.input_bytes(), 3 * (1 + 2 + 2 + 4));
    assert_eq!(graph.output_bytes(), 3 * (4 + 2 + 2 + 1));
    let ends = |input: &Input| [input.range.lo, input.range.hi, input.range.hi / 2];
    let values: Vec<i32> = inputs.iter().flat_map(ends).collect();
    let bytes = graph.encode_input(&values);
    assert_eq!(bytes.len(), graph.input_bytes());
    assert_eq!(graph.decode_input(&bytes).unwrap(), values);
    let turned: Vec<i32> = inputs.iter().rev().flat_map(ends).collect();
    let output = graph.encode_output(&turned);
    assert_eq!(graph.decode_output(&output).unwrap(), turned);
    assert_eq!(graph.split_input(&values)[1], values[3..6]);
    assert!(matches!(
        graph.decode_input(&bytes[1..]),
        Err(TensorError::Bytes { .. })
    ));
    assert!(matches!(
        graph.check_output(&values),
        Err(TensorError::Range {
            index: 0,
            value: -128,
            ..
        })
    ));
}

#[test]
fn values_outside_the_declared_range_are_refused_with_their_place() {
    let model = sample();
    let mut values = vec![0; 9];
    values[7] = 101;
    let error = reference::run(&model, &values).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input: element 7 is 101, outside [-100, 100]"
    );
    let bytes = model.graph.encode_input(&values);
    assert!(matches!(
        model.graph.decode_input(&bytes),
        Err(TensorError::Range { index: 7, .. })
    ));
    assert!(matches!(
        reference::run(&model, &[0; 8]),
        Err(RunError::Input(TensorError::Length { .. }))
    ));
}

fn mutate(rng: &mut ChaCha8Rng, source: &[u8]) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            _ => {
                let end = (at + 4).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
        }
    }
    bytes
}

#[test]
fn mutated_bytes_never_panic_and_what_decodes_is_canonical_and_runs() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let models: Vec<Model> = std::iter::once(sample())
        .chain((0..30).map(random_model))
        .collect();
    let (mut graphs, mut decoded) = (0, 0);
    for turn in 0..20_000 {
        let model = &models[turn % models.len()];
        let bytes = mutate(&mut rng, &model.graph.encode());
        if let Ok(graph) = Graph::decode(&bytes) {
            graphs += 1;
            assert_eq!(graph.encode(), bytes);
        }
        // The digest is made right again, so that mutations reach what lies behind it.
        let bytes = with_digest(&mutate(&mut rng, &model.encode()[38..]));
        if let Ok(model) = Model::decode(&bytes) {
            decoded += 1;
            assert_eq!(model.encode(), bytes);
            if model.graph.macs() < 1 << 20 {
                let input = random_input(&model, 1);
                assert!(
                    reference::run(&model, &input).is_ok(),
                    "a checked model runs"
                );
            }
        }
    }
    assert!(
        graphs > 100 && decoded > 100,
        "{graphs} graphs, {decoded} models"
    );
}
