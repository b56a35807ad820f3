//! `eth_call` and gas estimates.

use alloy_primitives::{Address, Bytes, TxKind, U256};
use hallmark_types::{MARK, addresses};

use super::world::*;
use crate::{CallError, CallOutcome, CallRequest, NoAncestry};

fn call(world: &World, request: CallRequest) -> Result<CallOutcome, CallError> {
    world.proposer.call(
        &world.head.state,
        &world.head.block.header,
        request,
        &NoAncestry,
    )
}

fn estimate(world: &World, request: CallRequest) -> Result<u64, CallError> {
    world.proposer.estimate_gas(
        &world.head.state,
        &world.head.block.header,
        request,
        &NoAncestry,
    )
}

fn to(address: Address, data: &[u8]) -> CallRequest {
    CallRequest {
        to: Some(address),
        data: Bytes::copy_from_slice(data),
        ..CallRequest::default()
    }
}

#[test]
fn a_call_changes_nothing_and_needs_no_funds() {
    let mut world = World::new();
    let counter = world.deploy(1, COUNTER);
    let request = CallRequest {
        from: Some(Address::repeat_byte(0xee)),
        ..to(counter, &[])
    };
    let CallOutcome::Success { logs, gas_used, .. } = call(&world, request).unwrap() else {
        panic!("the counter counts")
    };
    assert_eq!(logs.len(), 1);
    assert!(gas_used > 40_000);
    assert_eq!(world.head.state.storage(&counter, &U256::ZERO), U256::ZERO);
}

#[test]
fn a_revert_returns_its_data() {
    let mut world = World::new();
    let reverter = world.deploy(1, REVERTER);
    let dead = Bytes::from(U256::from(0xdead).to_be_bytes_vec());
    let CallOutcome::Revert { output, .. } = call(&world, to(reverter, &[1])).unwrap() else {
        panic!("the reverter reverts")
    };
    assert_eq!(output, dead);
    assert_eq!(
        estimate(&world, to(reverter, &[1])),
        Err(CallError::Reverted(dead))
    );
}

#[test]
fn a_contract_may_call_and_value_must_be_there() {
    let mut world = World::new();
    let counter = world.deploy(1, COUNTER);
    let from_contract = CallRequest {
        from: Some(counter),
        ..to(Address::repeat_byte(1), &[])
    };
    assert!(matches!(
        call(&world, from_contract),
        Ok(CallOutcome::Success { .. })
    ));
    let poor = CallRequest {
        value: U256::from(1),
        ..to(counter, &[])
    };
    let error = call(&world, poor).unwrap_err().to_string();
    assert!(error.starts_with("insufficient funds"), "{error}");
}

#[test]
fn the_estimate_of_a_transfer_is_exact_and_of_a_call_suffices() {
    let mut world = World::new();
    let from = Some(signer(1).address());
    let request = CallRequest {
        from,
        value: U256::from(MARK),
        ..to(Address::repeat_byte(1), &[])
    };
    assert_eq!(estimate(&world, request), Ok(21_000));
    let counter = world.deploy(2, COUNTER);
    let gas = estimate(
        &world,
        CallRequest {
            from,
            ..to(counter, &[])
        },
    )
    .unwrap();
    let mut order = world.order(1, TxKind::Call(counter), 0, vec![]);
    order.tx.gas_limit = gas;
    let used = {
        let block = world.block(vec![order.sign()]);
        assert!(block.receipts[0].is_success());
        block.block.header.gas_used
    };
    assert!(
        gas >= used && gas <= used + used / 32,
        "estimated {gas}, used {used}"
    );
}

#[test]
fn the_estimate_covers_gas_that_is_held_back_at_an_inner_call() {
    let mut world = World::new();
    let burner = world.deploy(1, COUNTER);
    // A plain call by way of a contract.
    let mut forward = vec![0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x73];
    forward.extend_from_slice(burner.as_slice());
    forward.extend_from_slice(&[
        0x5a, 0xf1, 0x60, 0x29, 0x57, 0x60, 0, 0x60, 0, 0xfd, 0x5b, 0,
    ]);
    assert_eq!(
        forward[0x29], 0x5b,
        "jumps over the revert when the inner call succeeds"
    );
    let outer = world.deploy(2, &forward);
    let gas = estimate(&world, to(outer, &[])).unwrap();
    let mut order = world.order(1, TxKind::Call(outer), 0, vec![]);
    order.tx.gas_limit = gas;
    assert!(world.block(vec![order.sign()]).receipts[0].is_success());
    assert_eq!(
        world.head.state.storage(&burner, &U256::ZERO),
        U256::from(1)
    );
}

#[test]
fn calls_are_bounded_in_gas_and_size() {
    let mut world = World::new();
    let burner = world.deploy(1, LOOP);
    let CallOutcome::Halt { gas_used, reason } = call(&world, to(burner, &[1])).unwrap() else {
        panic!("nothing ends a loop but gas")
    };
    assert_eq!(gas_used, world.spec().limits.eth_call_gas);
    assert!(reason.to_lowercase().contains("gas"), "{reason}");
    assert!(matches!(
        estimate(&world, to(burner, &[1])),
        Err(CallError::OutOfGas(_))
    ));
    let large = to(burner, &vec![0; world.spec().limits.max_tx_bytes + 1]);
    assert!(matches!(
        call(&world, large),
        Err(CallError::TooLarge { .. })
    ));
    let tight = CallRequest {
        gas: Some(20_000),
        ..to(burner, &[])
    };
    assert_eq!(call(&world, tight), Err(CallError::OutOfGas(20_000)));
}

#[test]
fn delegate_calls_to_a_system_contract_are_refused_and_static_calls_are_not() {
    let mut world = World::new();
    for opcode in [0xf4, 0xf2] {
        let proxy = if opcode == 0xf2 {
            // CALLCODE takes a value before the input.
            let mut code = vec![0x60, 0, 0x60, 0, 0x60, 4, 0x60, 0, 0x60, 0, 0x73];
            code.extend_from_slice(addresses::MODELS.as_slice());
            code.extend_from_slice(&[0x5a, 0xf2, 0x60, 0, 0x52, 0x3d, 0x60, 0, 0x60, 0x20, 0x3e]);
            code.extend_from_slice(&[0x3d, 0x60, 0x20, 0x01, 0x60, 0, 0xf3]);
            world.deploy(1, &code)
        } else {
            world.deploy(1, &forwarder(opcode, addresses::MODELS))
        };
        let output = output(call(&world, to(proxy, &[])).unwrap());
        assert_eq!(output[31], 0, "the inner call fails");
        let text = String::from_utf8_lossy(&output[32..]).into_owned();
        assert!(
            text.contains("system contracts refuse delegate calls"),
            "{text}"
        );
    }
    let proxy = world.deploy(1, &forwarder(0xfa, addresses::MODELS));
    let output = output(call(&world, to(proxy, &[])).unwrap());
    let text = String::from_utf8_lossy(&output[32..]).into_owned();
    assert!(
        !text.contains("delegate"),
        "a static call reaches the contract"
    );
}

#[test]
fn a_price_is_checked_only_when_it_is_given() {
    let world = World::new();
    let base = to(Address::repeat_byte(1), &[]);
    let low = CallRequest {
        max_fee_per_gas: Some(1),
        ..base.clone()
    };
    let error = call(&world, low).unwrap_err().to_string();
    assert!(error.contains("less than block base fee"), "{error}");
    let unfunded = CallRequest {
        max_fee_per_gas: Some(FEE_CAP),
        ..base.clone()
    };
    let error = call(&world, unfunded).unwrap_err().to_string();
    assert!(error.starts_with("insufficient funds"), "{error}");
    let funded = CallRequest {
        from: Some(signer(1).address()),
        max_fee_per_gas: Some(FEE_CAP),
        ..base
    };
    assert!(matches!(
        call(&world, funded),
        Ok(CallOutcome::Success { .. })
    ));
}
