use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::IVerifier;
use hallmark_types::addresses;

use crate::{
    Claim, ContractError, gas,
    models::model_id,
    testing::{Verdicts, expect_revert, scripted_proof},
    world::{INPUT, OWNER, STRANGER, World, secret},
};

fn ask(world: &mut World, call: IVerifier::verifyCall) -> crate::Result<bool> {
    world.raw(STRANGER, addresses::VERIFIER, U256::ZERO, call)
}

/// A call that holds, under the scripted judge.
fn good(world: &World) -> IVerifier::verifyCall {
    let output = hallmark_graph::reference::run(&world.model, &INPUT).unwrap();
    let context = B256::repeat_byte(5);
    let digest = world.proving_key.verifying_key().digest().into();
    let claim = Claim::Public {
        input: &INPUT,
        output: &output,
    };
    IVerifier::verifyCall {
        model: world.id,
        input: world.model.graph.encode_input(&INPUT).into(),
        output: world.model.graph.encode_output(&output).into(),
        context,
        proof: scripted_proof(digest, claim, context).into(),
    }
}

#[test]
fn a_proof_holds_for_its_own_statement_only() {
    let mut world = World::new();
    let call = good(&world);
    assert!(ask(&mut world, call.clone()).unwrap());
    let other = IVerifier::verifyCall {
        context: B256::ZERO,
        ..call.clone()
    };
    assert!(!ask(&mut world, other).unwrap());
    let input = world.model.graph.encode_input(&[1, 1]).into();
    assert!(!ask(&mut world, IVerifier::verifyCall { input, ..call }).unwrap());
}

#[test]
fn a_static_call_may_verify() {
    let mut world = World::new();
    let call = good(&world).abi_encode();
    let answer = world
        .host
        .static_call(STRANGER, addresses::VERIFIER, &call)
        .unwrap();
    assert!(IVerifier::verifyCall::abi_decode_returns_validate(&answer).unwrap());
}

#[test]
fn tensors_that_do_not_fit_the_graph_are_refused_by_name() {
    let mut world = World::new();
    let call = good(&world);
    let unknown = IVerifier::verifyCall {
        model: B256::ZERO,
        ..call.clone()
    };
    expect_revert::<IVerifier::UnknownModel>(ask(&mut world, unknown));
    let input = IVerifier::verifyCall {
        input: vec![1].into(),
        ..call.clone()
    };
    expect_revert::<IVerifier::InvalidInput>(ask(&mut world, input));
    let output = IVerifier::verifyCall {
        output: vec![1; 9].into(),
        ..call
    };
    expect_revert::<IVerifier::InvalidOutput>(ask(&mut world, output));
}

#[test]
fn a_proof_that_is_too_long_is_false_and_never_reaches_the_verifier() {
    let mut world = World::new();
    let longest = world.proving_key.verifying_key().max_proof_len();
    let call = IVerifier::verifyCall {
        proof: vec![0; longest + 1].into(),
        ..good(&world)
    };
    assert!(!ask(&mut world, call).unwrap());
    assert_eq!(world.host.verifications, 0);
}

#[test]
fn gas_is_the_stated_formula_and_is_charged_before_the_proof_is_looked_at() {
    let mut world = World::new();
    let call = good(&world);
    let model = world.id;
    let length = U256::from(call.proof.len());
    let question = IVerifier::gasCall {
        model,
        proofLength: length,
    };
    let answer = world
        .raw(STRANGER, addresses::VERIFIER, U256::ZERO, question)
        .unwrap();
    let market = &world.spec.market;
    let cost = world.proving_key.verifying_key().cost().gas();
    let decoding = gas::KEY_DECODE + gas::KEY_DECODE_PER_BYTE * world.key().len() as u64;
    let bytes = market.verify_gas_per_byte * call.proof.len() as u64;
    assert_eq!(
        answer,
        U256::from(market.verify_base_gas + cost + decoding + bytes)
    );

    let calldata = call.abi_encode();
    world
        .host
        .call(STRANGER, addresses::VERIFIER, U256::ZERO, &calldata)
        .unwrap();
    assert!(U256::from(world.host.gas_used) >= answer);
    assert_eq!(world.host.verifications, 1);
    let limit = answer.to::<u64>();
    let starved =
        world
            .host
            .call_with_gas(STRANGER, addresses::VERIFIER, U256::ZERO, &calldata, limit);
    assert_eq!(starved, Err(ContractError::OutOfGas));
    assert_eq!(world.host.verifications, 1);
}

#[test]
fn a_real_proof_is_judged_by_the_real_verifier() {
    let mut world = World::new();
    world.host.verdicts = Verdicts::Real;
    let trace = hallmark_graph::reference::trace(&world.model, &INPUT).unwrap();
    let context = B256::repeat_byte(5);
    let proof = hallmark_proof::prove(&world.proving_key, &trace, &context.0).unwrap();
    let call = IVerifier::verifyCall {
        proof: proof.clone().into(),
        ..good(&world)
    };
    assert!(ask(&mut world, call.clone()).unwrap());
    let mut forged = proof;
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    let forged = IVerifier::verifyCall {
        proof: forged.into(),
        ..call
    };
    assert!(!ask(&mut world, forged).unwrap());
}

// proofs that hide the input

fn ask_private(world: &mut World, call: IVerifier::verifyPrivateCall) -> crate::Result<bool> {
    world.raw(STRANGER, addresses::VERIFIER, U256::ZERO, call)
}

/// A private call that the real verifier accepts.
fn good_private(world: &World) -> IVerifier::verifyPrivateCall {
    let graph = &world.model.graph;
    let trace = hallmark_graph::reference::trace(&world.model, &INPUT).unwrap();
    let output = graph.join_output(&trace.values);
    let context = B256::repeat_byte(5);
    let secret = secret(1);
    let masked = hallmark_proof::mask_output(graph, &output, &secret).unwrap();
    let proof = hallmark_proof::prove_private(&world.proving_key, &trace, &secret, &context.0);
    IVerifier::verifyPrivateCall {
        model: world.id,
        commitment: hallmark_proof::commit_input(graph, &INPUT, &secret)
            .unwrap()
            .into(),
        maskedOutput: hallmark_proof::encode_masked(&masked).into(),
        context,
        proof: proof.unwrap().into(),
    }
}

#[test]
fn a_private_proof_holds_for_its_own_commitment_output_and_context_only() {
    let mut world = World::new();
    world.host.verdicts = Verdicts::Real;
    let good = good_private(&world);
    assert!(ask_private(&mut world, good.clone()).unwrap());
    let other = hallmark_proof::commit_input(&world.model.graph, &INPUT, &secret(2)).unwrap();
    let mut masked = good.maskedOutput.to_vec();
    masked[0] ^= 1;
    let lies = [
        IVerifier::verifyPrivateCall {
            commitment: other.into(),
            ..good.clone()
        },
        IVerifier::verifyPrivateCall {
            maskedOutput: masked.into(),
            ..good.clone()
        },
        IVerifier::verifyPrivateCall {
            context: B256::ZERO,
            ..good
        },
    ];
    for lie in lies {
        assert!(!ask_private(&mut world, lie).unwrap());
    }
}

#[test]
fn a_private_proof_is_no_public_one_and_the_other_way_round() {
    let mut world = World::new();
    world.host.verdicts = Verdicts::Real;
    let (public, private) = (good(&world), good_private(&world));
    let proof = private.proof.clone();
    let swapped = IVerifier::verifyCall { proof, ..public };
    assert!(!ask(&mut world, swapped).unwrap());
    let trace = hallmark_graph::reference::trace(&world.model, &INPUT).unwrap();
    let proof = hallmark_proof::prove(&world.proving_key, &trace, &private.context.0).unwrap();
    let swapped = IVerifier::verifyPrivateCall {
        proof: proof.into(),
        ..private
    };
    assert!(!ask_private(&mut world, swapped).unwrap());
}

#[test]
fn commitments_and_masked_outputs_in_another_form_are_refused_by_name() {
    let mut world = World::new();
    let good = good_private(&world);
    let call = IVerifier::verifyPrivateCall {
        commitment: B256::repeat_byte(0xff),
        ..good.clone()
    };
    expect_revert::<IVerifier::InvalidCommitment>(ask_private(&mut world, call));
    for masked in [vec![], vec![1; 3], vec![0xff; 4], vec![0; 8]] {
        let call = IVerifier::verifyPrivateCall {
            maskedOutput: masked.into(),
            ..good.clone()
        };
        expect_revert::<IVerifier::InvalidOutput>(ask_private(&mut world, call));
    }
    assert_eq!(world.host.verifications, 0);
}

#[test]
fn private_gas_is_the_stated_formula_and_is_charged_before_the_proof_is_looked_at() {
    let mut world = World::new();
    let call = good_private(&world);
    let question = IVerifier::gasPrivateCall {
        model: world.id,
        proofLength: U256::from(call.proof.len()),
    };
    let answer = world
        .raw(STRANGER, addresses::VERIFIER, U256::ZERO, question)
        .unwrap();
    let market = &world.spec.market;
    let cost = world
        .proving_key
        .verifying_key()
        .private_cost()
        .unwrap()
        .gas();
    let decoding = gas::KEY_DECODE + gas::KEY_DECODE_PER_BYTE * world.key().len() as u64;
    let bytes = market.verify_gas_per_byte * call.proof.len() as u64;
    assert_eq!(
        answer,
        U256::from(market.verify_base_gas + cost + decoding + bytes)
    );
    let calldata = call.abi_encode();
    let limit = answer.to::<u64>();
    let starved =
        world
            .host
            .call_with_gas(STRANGER, addresses::VERIFIER, U256::ZERO, &calldata, limit);
    assert_eq!(starved, Err(ContractError::OutOfGas));
    assert_eq!(world.host.verifications, 0);
}

#[test]
fn a_private_proof_that_is_too_long_is_false_and_never_reaches_the_verifier() {
    let mut world = World::new();
    let key = world.proving_key.verifying_key();
    let longest = key.max_private_proof_len().unwrap();
    let call = IVerifier::verifyPrivateCall {
        proof: vec![0; longest + 1].into(),
        ..good_private(&world)
    };
    assert!(!ask_private(&mut world, call).unwrap());
    assert_eq!(world.host.verifications, 0);
}

/// A profile is a matter of the key: on chain, a model of the shorter one is published and proven like any other.
#[test]
fn a_model_of_the_shorter_profile_is_published_and_its_proofs_are_judged() {
    use hallmark_proof::Profile;
    let mut world = World::empty();
    world.host.verdicts = Verdicts::Real;
    let standard = world.proving_key.verifying_key().cost().gas();
    let other = hallmark_proof::setup_with(&world.model, Profile::Short).unwrap();
    let of_standard = std::mem::replace(&mut world.proving_key, other);
    let key = world.proving_key.verifying_key();
    assert!(key.cost().gas() < standard);
    world.id = model_id(OWNER, B256::from(key.digest()));
    world.publish();
    let trace = hallmark_graph::reference::trace(&world.model, &INPUT).unwrap();
    let context = B256::repeat_byte(5);
    let calls = [(&world.proving_key, true), (&of_standard, false)].map(|(key, holds)| {
        let proof = hallmark_proof::prove(key, &trace, &context.0).unwrap();
        let call = IVerifier::verifyCall {
            proof: proof.into(),
            ..good(&world)
        };
        (call, holds)
    });
    for (call, holds) in calls {
        assert_eq!(ask(&mut world, call).unwrap(), holds);
    }
    let private = good_private(&world);
    assert!(ask_private(&mut world, private).unwrap());
}
