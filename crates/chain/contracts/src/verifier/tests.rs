use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::IVerifier;
use hallmark_types::addresses;

use crate::{
    ContractError, gas,
    testing::{Verdicts, expect_revert, scripted_proof},
    world::{INPUT, STRANGER, World},
};

fn ask(world: &mut World, call: IVerifier::verifyCall) -> crate::Result<bool> {
    world.raw(STRANGER, addresses::VERIFIER, U256::ZERO, call)
}

/// A call that holds, under the scripted judge.
fn good(world: &World) -> IVerifier::verifyCall {
    let output = hallmark_graph::reference::run(&world.model, &INPUT).unwrap();
    let context = B256::repeat_byte(5);
    let digest = world.proving_key.verifying_key().digest().into();
    IVerifier::verifyCall {
        model: world.id,
        input: world.model.graph.encode_input(&INPUT).into(),
        output: world.model.graph.encode_output(&output).into(),
        context,
        proof: scripted_proof(digest, &INPUT, &output, context).into(),
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
