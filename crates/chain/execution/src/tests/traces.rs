//! The bound on traces, where an answer is larger than what was recorded on the way to it.

use alloy_primitives::{Address, Bytes, U256, keccak256};
use alloy_rpc_types_trace::geth::{GethDebugTracingOptions, GethTrace};
use hallmark_state::{Account, AccountDiff, State, StateDiff};
use serde_json::{Value, json};

use super::world::*;
use crate::{CallError, CallRequest, NoAncestry};

/// Where the code under test is.
const CONTRACT: Address = Address::repeat_byte(0xcc);
/// Bytes of the longest code that a contract can have (EIP-170).
const MAX_CODE: usize = 24_576;

/// The state of `world` where these accounts have this code.
fn with_code(world: &World, accounts: impl IntoIterator<Item = Address>, code: Vec<u8>) -> State {
    let code_hash = keccak256(&code);
    let mut diff = StateDiff::default();
    diff.codes.insert(code_hash, code.into());
    for address in accounts {
        let info = Account {
            nonce: 1,
            balance: U256::ZERO,
            code_hash,
        };
        let entry = AccountDiff {
            info: Some(info),
            ..AccountDiff::default()
        };
        diff.accounts.insert(address, entry);
    }
    world.head.state.apply(&diff)
}

/// The trace of a call of [`CONTRACT`].
fn trace(world: &World, state: &State, options: Value) -> Result<GethTrace, CallError> {
    let request = CallRequest {
        to: Some(CONTRACT),
        ..CallRequest::default()
    };
    let header = &world.head.block.header;
    let options: GethDebugTracingOptions = serde_json::from_value(options).expect("options");
    world
        .proposer
        .trace_call(state, header, &request, options, &NoAncestry)
}

fn assert_too_large(trace: Result<GethTrace, CallError>) {
    match trace {
        Err(CallError::Invalid(text)) => assert!(text.starts_with("trace too large"), "{text}"),
        Err(other) => panic!("refused, but: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn the_path_of_every_call_counts_in_a_flat_trace() {
    let world = World::new();
    // While more than 2.7 million gas are left, it calls itself; then, more than 200 levels deep,
    // it calls an empty account until the gas is gone.
    let code = [
        &[0x5a, 0x63][..],
        &2_700_000_u32.to_be_bytes(),
        &[0x10, 0x60, 0x1e, 0x57],
        &[0x5b, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0],
        &[0x60, 0xff, 0x5a, 0xf1, 0x50, 0x60, 0x0a, 0x56],
        &[0x00, 0x5b, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0],
        &[0x30, 0x5a, 0xf1, 0x00],
    ];
    let state = with_code(&world, [CONTRACT], code.concat());
    let calls = trace(&world, &state, json!({"tracer": "callTracer"}));
    let Ok(GethTrace::CallTracer(mut frame)) = calls else {
        panic!("the calls alone are within the bound: {calls:?}")
    };
    let mut depth = 0;
    while let Some(first) = frame.calls.into_iter().next() {
        (frame, depth) = (first, depth + 1);
    }
    assert!(depth > 200, "{depth}");
    let flat = trace(&world, &state, json!({"tracer": "flatCallTracer"}));
    assert_too_large(flat);
}

#[test]
fn the_code_of_every_account_counts_in_a_pre_state() {
    let world = World::new();
    // BALANCE of 800 accounts that share one long code.
    let others: Vec<Address> = (0..800_u16)
        .map(|i| Address::left_padding_from(&(0x4000 + i).to_be_bytes()))
        .collect();
    let state = with_code(&world, others.iter().copied(), vec![0; MAX_CODE]);
    let look = |other: &Address| [&[0x61][..], &other[18..], &[0x31, 0x50]].concat();
    let code: Vec<u8> = others.iter().flat_map(look).collect();
    let code_hash = keccak256(&code);
    let info = Account {
        nonce: 1,
        balance: U256::ZERO,
        code_hash,
    };
    let entry = AccountDiff {
        info: Some(info),
        ..AccountDiff::default()
    };
    let state = state.apply(&StateDiff {
        accounts: [(CONTRACT, entry)].into(),
        codes: [(code_hash, Bytes::from(code))].into(),
        ..StateDiff::default()
    });
    for diff in [false, true] {
        let config = json!({"diffMode": diff});
        let options = json!({"tracer": "prestateTracer", "tracerConfig": config});
        assert_too_large(trace(&world, &state, options));
        let config = json!({"diffMode": diff, "disableCode": true});
        let options = json!({"tracer": "prestateTracer", "tracerConfig": config});
        trace(&world, &state, options).expect("800 accounts are within the bound");
    }
}

#[test]
fn the_return_data_of_every_step_counts_where_it_is_recorded() {
    let world = World::new();
    // STATICCALL of the identity with 128 KiB, then 200 steps.
    let code = [
        &[
            0x60, 0, 0x60, 0, 0x62, 2, 0, 0, 0x60, 0, 0x60, 4, 0x5a, 0xfa,
        ][..],
        &[0x5b; 200],
    ];
    let state = with_code(&world, [CONTRACT], code.concat());
    trace(&world, &state, json!({})).expect("the steps alone are within the bound");
    assert_too_large(trace(&world, &state, json!({"enableReturnData": true})));
}
