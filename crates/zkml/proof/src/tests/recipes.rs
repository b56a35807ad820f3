//! Lies about what the compiler makes of division, square root, argmax, softmax, one-hot and sign: each as a
//! false answer that a cheat would like, under its own statement, and as a change of every committed value
//! and limb of the recipe (quotients, remainders, maxima, selectors), which `HALLMARK_SEED` draws.

use hallmark_onnx::{
    CompileOptions, FloatGraph, FloatInput, FloatNode, FloatOp, FloatOutput, Function, compile,
    quantize,
};

use super::*;

/// One operator over inputs of a row of so many elements.
fn recipe(inputs: usize, len: usize, op: FloatOp, result: &[usize]) -> FloatGraph {
    let input = |index| FloatInput {
        name: format!("x{index}"),
        shape: vec![1, len],
        integer: false,
    };
    FloatGraph {
        inputs: (0..inputs).map(input).collect(),
        nodes: vec![FloatNode {
            name: "recipe".to_owned(),
            source: "Recipe".to_owned(),
            op,
            shape: result.to_vec(),
        }],
        outputs: vec![FloatOutput {
            name: "y".to_owned(),
            value: inputs,
        }],
    }
}

/// The run of a compiled recipe on `sample`; calibrated on it and on others of its range.
fn run(graph: &FloatGraph, sample: &[f32], (lo, hi): (f32, f32)) -> World {
    let mut random = Random::new(5);
    let other = |_: usize| -> Vec<f32> {
        let unit = random.values(sample.len(), 0, 1000);
        unit.iter()
            .map(|&u| lo + (hi - lo) * u as f32 / 1000.0)
            .collect()
    };
    let mut samples: Vec<Vec<f32>> = (0..8).map(other).collect();
    samples.push(sample.to_vec());
    let samples: Vec<&[f32]> = samples.iter().map(Vec::as_slice).collect();
    let model = compile(graph, &samples, &CompileOptions::default())
        .unwrap()
        .model;
    let input = quantize(&model.graph, sample).unwrap();
    let pk = setup(&model).unwrap();
    let trace = reference::trace(&model, &input).unwrap();
    let proof = prove(&pk, &trace, &CONTEXT).unwrap();
    World {
        model,
        pk,
        trace,
        proof,
    }
}

/// A cheat claims another answer and puts it where the witness holds the answer.
fn refuses_answer(name: &str, world: &World, lie: &[i32]) {
    assert_ne!(lie, world.output(), "{name}: a lie");
    let claim = statement(world.vk(), Inputs::Public(&world.input()), lie, &CONTEXT);
    let answer = world.model.graph.outputs[0].value as usize;
    let check = |witness: &Witness<'_>| {
        let proof = encode(&prove_witness(&world.pk, claim.clone(), witness).unwrap());
        verify(world.vk(), &world.input(), lie, &CONTEXT, &proof)
    };
    let mut witness = world.pk.witness(&world.trace).unwrap();
    assert_eq!(check(&witness), Err(VerifyError::OutputMismatch), "{name}");
    witness.values[answer] = lie;
    let verdict = check(&witness);
    assert!(verdict.is_err(), "{name}");
    assert_ne!(verdict, Err(VerifyError::OutputMismatch), "{name}");
}

/// Every value and limb of the recipe is changed by one, at a place of the seed's choice.
fn refuses_every_value(name: &str, world: &World) {
    assert_eq!(world.verify(&world.proof), Ok(()), "{name}");
    let mut random = Random::of_kit(21);
    let mut told = 0;
    for value in world.model.graph.inputs.len()..world.trace.values.len() {
        let witness = world.pk.witness(&world.trace).unwrap();
        let mut changed = witness.values[value].to_vec();
        let at = random.between(0, changed.len() as i64 - 1) as usize;
        changed[at] += if random.between(0, 1) == 0 { 1 } else { -1 };
        let proof = world.cheat_bytes(|w| w.values[value] = &changed);
        let silent = proof == world.proof;
        told += usize::from(!silent);
        let node = world.model.graph.node_of(value as ValueId);
        let op = node.map(|node| &world.model.graph.nodes[node].op);
        assert!(
            silent || world.verify(&proof).is_err(),
            "{name}, value {value}: {op:?}"
        );
    }
    let witness = world.pk.witness(&world.trace).unwrap();
    for lookup in 0..witness.remainders.len() {
        for limb in 0..witness.remainders[lookup].len() {
            let at = random.between(0, witness.remainders[lookup][limb].len() as i64 - 1) as usize;
            let verdict = world.cheat(|w| w.remainders[lookup][limb][at] ^= 1);
            assert!(verdict.is_err(), "{name}, remainder {lookup}, limb {limb}");
            told += 1;
        }
    }
    for shift in 0..witness.shifts.len() {
        for limb in 0..witness.shifts[shift].len() {
            let at = random.between(0, witness.shifts[shift][limb].len() as i64 - 1) as usize;
            let verdict = world.cheat(|w| w.shifts[shift][limb][at] ^= 1);
            assert!(verdict.is_err(), "{name}, quotient {shift}, limb {limb}");
            told += 1;
        }
    }
    // A recipe of one lookup has one value.
    assert!(told > 0, "{name}: no lie was told");
}

/// The answer with one element moved by one step.
fn nudged(world: &World, at: usize) -> Vec<i32> {
    let mut lie = world.output();
    lie[at] += 1;
    lie
}

#[test]
fn a_false_quotient_or_remainder_of_a_division_is_refused() {
    let graph = recipe(2, 4, FloatOp::Div { a: 0, b: 1 }, &[1, 4]);
    let sample = [0.5, 1.5, 2.0, 1.0, 1.0, 0.7, 2.0, 1.3];
    let world = run(&graph, &sample, (0.5, 2.0));
    refuses_answer("quotient", &world, &nudged(&world, 1));
    refuses_every_value("division", &world);
}

#[test]
fn a_false_square_root_is_refused() {
    let op = FloatOp::Unary {
        input: 0,
        function: Function::Sqrt,
    };
    let world = run(
        &recipe(1, 4, op, &[1, 4]),
        &[0.3, 4.0, 2.0, 1.0],
        (0.2, 4.0),
    );
    refuses_answer("square root", &world, &nudged(&world, 0));
    refuses_every_value("square root", &world);
}

#[test]
fn the_other_of_two_equal_maxima_is_refused() {
    let graph = recipe(1, 4, FloatOp::OneHotMax { input: 0 }, &[1, 4]);
    let world = run(&graph, &[-1.0, 2.0, 2.0, 0.5], (-2.0, 2.0));
    let truth = world.output();
    assert!(
        truth[1] > 0 && truth[2] == 0,
        "the first of the two: {truth:?}"
    );
    let mut lie = truth.clone();
    lie.swap(1, 2);
    refuses_answer("argmax tie", &world, &lie);
    // Neither, and both.
    refuses_answer("argmax of none", &world, &[0, 0, 0, 0]);
    let both = [0, truth[1], truth[1], 0];
    refuses_answer("argmax of both", &world, &both);
    refuses_every_value("argmax", &world);
}

#[test]
fn a_false_maximum_or_share_of_a_softmax_is_refused() {
    let graph = recipe(1, 4, FloatOp::Softmax { input: 0 }, &[1, 4]);
    let world = run(&graph, &[-1.0, 2.0, 1.5, 0.5], (-2.0, 2.0));
    // As if another element were the maximum: shares change places.
    let mut lie = world.output();
    lie.swap(1, 2);
    refuses_answer("softmax maximum", &world, &lie);
    refuses_answer("softmax share", &world, &nudged(&world, 3));
    refuses_every_value("softmax", &world);
}

#[test]
fn a_false_selector_of_a_one_hot_is_refused() {
    let mut graph = recipe(1, 3, FloatOp::OneHot { input: 0, depth: 4 }, &[1, 3, 4]);
    graph.inputs[0].integer = true;
    let world = run(&graph, &[0.0, 3.0, 2.0], (0.0, 0.0));
    let truth = world.output();
    assert!(truth[0] > 0 && truth[1] == 0, "{truth:?}");
    let mut lie = truth.clone();
    lie.swap(0, 1);
    refuses_answer("one-hot selector", &world, &lie);
    let mut lie = truth.clone();
    lie[1] = truth[0];
    refuses_answer("two selectors", &world, &lie);
    refuses_every_value("one-hot", &world);
}

#[test]
fn a_sign_of_zero_is_refused() {
    let op = FloatOp::Unary {
        input: 0,
        function: Function::Sign,
    };
    let world = run(
        &recipe(1, 4, op, &[1, 4]),
        &[0.0, -1.0, 2.0, 0.5],
        (-2.0, 2.0),
    );
    let truth = world.output();
    assert!(truth[0] == 0 && truth[1] < 0 && truth[2] > 0, "{truth:?}");
    for of_zero in [truth[1], truth[2]] {
        let mut lie = truth.clone();
        lie[0] = of_zero;
        refuses_answer("sign of zero", &world, &lie);
    }
    refuses_every_value("sign", &world);
}
