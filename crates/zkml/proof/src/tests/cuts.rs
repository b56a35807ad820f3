//! Tensors that are committed in pieces: what is in another piece, or elsewhere in one, is another tensor.

use super::*;
use crate::field::F;
use crate::plan::Content;
use p3_field::PrimeCharacteristicRing;

of_every_profile![
    a_model_whose_tensors_are_cut_verifies,
    weights_in_each_others_pieces_are_refused,
    openings_that_take_one_piece_for_another_are_refused,
    every_piece_of_a_false_column_is_refused,
];

/// Two layers of odd sizes: weights and columns fit half as much when they are cut.
fn odd(profile: Profile) -> World {
    let mut b = Builder::new(vec![input(&[40, 36], 0, 127)]);
    let v = dense(&mut b, 0, (40, 36, 72), 1);
    let x = b.lookup(v, 15, clamp(0, 127)).unwrap();
    let v = dense(&mut b, x, (40, 72, 40), 2);
    let y = b.lookup(v, 16, clamp(-127, 127)).unwrap();
    let z = b.shift(v, 14, 16).unwrap();
    World::with(finish(b, &[y, z]), 3, profile)
}

/// Tensors of the witness that are cut.
fn cut_tensors(world: &World) -> Vec<usize> {
    let stored = world.vk().plan().witness.stored.iter().enumerate();
    stored.filter(|(_, s)| s.is_cut()).map(|(i, _)| i).collect()
}

fn a_model_whose_tensors_are_cut_verifies(profile: Profile) {
    let world = odd(profile);
    let plan = world.vk().plan();
    let of_weights = plan.weights.packings.iter().flat_map(|p| &p.stored);
    assert!(of_weights.filter(|s| s.is_cut()).count() >= 2);
    let kinds = |kind: fn(&Content) -> bool| {
        let cut = cut_tensors(&world);
        assert!(cut.iter().any(|&tensor| kind(&plan.contents[tensor])));
    };
    kinds(|content| matches!(content, Content::Value(_)));
    kinds(|content| matches!(content, Content::Remainder(..)));
    kinds(|content| matches!(content, Content::Shift(..)));
    assert_eq!(world.verify(&world.proof), Ok(()));
    assert!(world.proof.len() <= world.vk().max_proof_len());
    let decoded = VerifyingKey::decode(&world.vk().encode()).unwrap();
    let verdict = verify(
        &decoded,
        &world.input(),
        &world.output(),
        &CONTEXT,
        &world.proof,
    );
    assert_eq!(verdict, Ok(()));

    let secret = crate::InputSecret::from_bytes([5; 32]);
    let graph = &world.model.graph;
    let commitment = commit_input(graph, &world.input(), &secret).unwrap();
    let masked = mask_output(graph, &world.output(), &secret).unwrap();
    let proof = prove_private(&world.pk, &world.trace, &secret, &CONTEXT).unwrap();
    let verdict = verify_private(world.vk(), &commitment, &masked, &CONTEXT, &proof);
    assert_eq!(verdict, Ok(()));
    let other = mask_output(
        graph,
        &world.output(),
        &crate::InputSecret::from_bytes([6; 32]),
    );
    let verdict = verify_private(world.vk(), &commitment, &other.unwrap(), &CONTEXT, &proof);
    assert_eq!(verdict, Err(VerifyError::WrongOutput));
}

/// The run of a model whose weight has two runs of its inner axis exchanged, in part.
fn weights_in_each_others_pieces_are_refused(profile: Profile) {
    let world = odd(profile);
    // The weight of the first layer, [36, 72]: rows 0 to 3 against the run that begins at 32.
    let graph = &world.model.graph;
    let node = graph.nodes.iter().position(|n| n.shape == shape(&[36, 72]));
    let value = graph.value_of(node.unwrap()) as usize;
    let mut weights = world.pk.witness(&world.trace).unwrap().values[value].to_vec();
    for row in 0..4 {
        for column in 0..72 {
            weights.swap(72 * row + column, 72 * (32 + row) + column);
        }
    }
    assert_ne!(
        weights,
        world.pk.witness(&world.trace).unwrap().values[value]
    );
    // Everything is computed with the exchanged weights, and the output is what they make of the input.
    let mut model = world.model.clone();
    let constant = &mut model.weights.constants[0];
    let multipliers = constant.multipliers.clone();
    let elements = weights.iter().zip(multipliers.iter().cycle());
    let elements: Vec<i32> = elements.map(|(&w, &m)| w / i32::from(m)).collect();
    constant.elements = Elements::narrowest(&elements);
    let trace = reference::trace(&model, &world.input()).unwrap();
    let output = output_of(&model, &trace);
    assert_ne!(output, world.output());
    let claim = statement(
        world.vk(),
        Inputs::Public(&world.input()),
        &output,
        &CONTEXT,
    );
    let mut witness = world.pk.witness(&trace).unwrap();
    witness.values[value] = &weights;
    let proof = encode(&prove_witness(&world.pk, claim, &witness).unwrap());
    let verdict = verify(world.vk(), &world.input(), &output, &CONTEXT, &proof);
    assert_eq!(verdict, Err(VerifyError::WeightOpening));
}

/// The prover weighs one piece by what belongs to another.
fn openings_that_take_one_piece_for_another_are_refused(profile: Profile) {
    let world = odd(profile);
    let prove = |pk: &ProvingKey| {
        let witness = pk.witness(&world.trace).unwrap();
        world.verify(&encode(
            &prove_witness(pk, world.truth(), &witness).unwrap(),
        ))
    };
    let mut pk = setup_with(&world.model, profile).unwrap();
    assert_eq!(prove(&pk), Ok(()), "the truth");
    pk.weights[0].exchange_runs();
    assert_eq!(prove(&pk), Err(VerifyError::WeightOpening));
    let mut pk = setup_with(&world.model, profile).unwrap();
    pk.witness.exchange_runs();
    assert_eq!(prove(&pk), Err(VerifyError::WitnessOpening));
}

/// An element of every piece of every cut column, changed where it is committed alone.
fn every_piece_of_a_false_column_is_refused(profile: Profile) {
    let world = odd(profile);
    let plan = world.vk().plan();
    let witness = world.pk.witness(&world.trace).unwrap();
    for tensor in cut_tensors(&world) {
        for block in plan.witness.stored[tensor].blocks() {
            let last = (1 << block.variables) - 1;
            let mut stack = witness.stack(plan);
            stack[block.offset + last] += F::ONE;
            let proof = crate::prover::prove_stack(&world.pk, world.truth(), &witness, stack);
            let verdict = world.verify(&encode(&proof.unwrap()));
            let of = (plan.contents[tensor], block);
            assert_eq!(verdict, Err(VerifyError::WitnessOpening), "{of:?}");
        }
    }
}
