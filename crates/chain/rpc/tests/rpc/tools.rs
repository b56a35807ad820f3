//! Transaction types, what-if calls, access lists, traces, and sending with the receipt as answer.

use crate::world::{ECHO, REVERTER, World, init_code, signer};
use alloy_consensus::{SignableTransaction, TxEip2930, TxEip4844, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::{
    Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7702::Authorization,
};
use alloy_network::{TransactionBuilder, TxSignerSync};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, hex};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BOB: Address = address!("00000000000000000000000000000000000000bb");
const PRICE: u128 = 100_000_000_000;

/// Alice's signature under `tx`.
fn sign<T: SignableTransaction<Signature>>(world: &World, mut tx: T) -> TxEnvelope
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature = world.alice.sign_transaction_sync(&mut tx).unwrap();
    tx.into_signed(signature).into()
}

/// Sends it, makes a block, and returns transaction and receipt.
async fn mined(world: &World, raw: Bytes) -> (Value, Value) {
    let hash = world.ask("eth_sendRawTransaction", json!([raw])).await;
    let pending = world.ask("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(pending["blockHash"], Value::Null);
    world.mine();
    let tx = world.ask("eth_getTransactionByHash", json!([hash])).await;
    let receipt = world.ask("eth_getTransactionReceipt", json!([hash])).await;
    for field in ["type", "from", "to", "nonce", "r", "s", "v", "gas", "hash"] {
        assert_eq!(tx[field], pending[field], "{field}");
    }
    assert_eq!(tx["blockHash"], receipt["blockHash"]);
    (tx, receipt)
}

/// Deploys `runtime` with Alice's nonce `nonce` in a block of its own.
async fn deploy(world: &World, runtime: &[u8], nonce: u64) -> Address {
    let request = TransactionRequest::default()
        .with_deploy_code(init_code(runtime))
        .with_gas_limit(500_000);
    let raw = world.signed(request, nonce, 1).await;
    let (_, receipt) = mined(world, raw).await;
    assert_eq!(receipt["status"], "0x1");
    serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
}

#[tokio::test]
async fn every_type_of_transaction_is_sent_mined_and_shown_with_its_own_fields() {
    let world = World::new();
    let legacy = |chain_id, nonce| TxLegacy {
        chain_id,
        nonce,
        gas_price: PRICE,
        gas_limit: 21_000,
        to: TxKind::Call(BOB),
        value: U256::from(1),
        input: Bytes::new(),
    };
    let protected = sign(&world, legacy(Some(1618), 0)).encoded_2718();
    let (tx, receipt) = mined(&world, protected.into()).await;
    assert_eq!(
        (&tx["type"], &tx["chainId"]),
        (&json!("0x0"), &json!("0x652"))
    );
    let v = u64::from_str_radix(&tx["v"].as_str().unwrap()[2..], 16).unwrap();
    assert!(v == 1618 * 2 + 35 || v == 1618 * 2 + 36, "{v}");
    assert_eq!(receipt["type"], "0x0");
    assert_eq!(receipt["effectiveGasPrice"], format!("{PRICE:#x}"));
    assert_eq!(tx["gasPrice"], receipt["effectiveGasPrice"]);

    // From before EIP-155: it names no chain.
    let unprotected = sign(&world, legacy(None, 1)).encoded_2718();
    let (tx, receipt) = mined(&world, unprotected.into()).await;
    assert_eq!(tx.get("chainId").unwrap_or(&Value::Null), &Value::Null);
    assert!(tx["v"] == "0x1b" || tx["v"] == "0x1c", "{}", tx["v"]);
    assert_eq!(
        (&receipt["type"], &receipt["status"]),
        (&json!("0x0"), &json!("0x1"))
    );

    let item = AccessListItem {
        address: BOB,
        storage_keys: vec![B256::with_last_byte(1)],
    };
    let listed = TxEip2930 {
        chain_id: 1618,
        nonce: 2,
        gas_price: PRICE,
        gas_limit: 30_000,
        to: TxKind::Call(BOB),
        access_list: AccessList(vec![item]),
        ..TxEip2930::default()
    };
    let (tx, receipt) = mined(&world, sign(&world, listed).encoded_2718().into()).await;
    assert_eq!(
        (&tx["type"], &receipt["type"]),
        (&json!("0x1"), &json!("0x1"))
    );
    assert_eq!(
        tx["accessList"][0]["storageKeys"].as_array().unwrap().len(),
        1
    );
    // 2,400 for the address and 1,900 for the key.
    assert_eq!(receipt["gasUsed"], format!("{:#x}", 21_000 + 4_300));

    let (tx, receipt) = mined(&world, world.transfer(3, 7).await).await;
    assert_eq!(
        (&tx["type"], &receipt["type"]),
        (&json!("0x2"), &json!("0x2"))
    );
    assert_eq!(tx["maxPriorityFeePerGas"], "0x7");
}

#[tokio::test]
async fn a_delegation_is_sent_mined_shown_and_in_force() {
    let world = World::new();
    let echo = deploy(&world, ECHO, 0).await;
    let carol = signer("carol");
    let authorization = Authorization {
        chain_id: U256::from(1618),
        address: echo,
        nonce: 0,
    };
    let signature = carol
        .sign_hash_sync(&authorization.signature_hash())
        .unwrap();
    let signed = authorization.into_signed(signature);
    let mut request = TransactionRequest::default()
        .with_to(carol.address())
        .with_from(world.alice.address());
    request.authorization_list = Some(vec![signed.clone()]);
    let estimate = world.ask("eth_estimateGas", json!([request])).await;
    let estimate: U256 = serde_json::from_value(estimate).unwrap();
    assert!(estimate > U256::from(46_000), "{estimate}");
    let tx = TxEip7702 {
        chain_id: 1618,
        nonce: 1,
        gas_limit: estimate.to(),
        max_fee_per_gas: PRICE,
        max_priority_fee_per_gas: 1,
        to: carol.address(),
        value: U256::ZERO,
        access_list: Default::default(),
        authorization_list: vec![signed],
        input: Bytes::new(),
    };
    let (tx, receipt) = mined(&world, sign(&world, tx).encoded_2718().into()).await;
    assert_eq!(
        (&tx["type"], &receipt["type"]),
        (&json!("0x4"), &json!("0x4"))
    );
    let shown = &tx["authorizationList"][0];
    assert_eq!(shown["address"], json!(echo));
    assert_eq!(
        (&shown["chainId"], &shown["nonce"]),
        (&json!("0x652"), &json!("0x0"))
    );
    assert!(shown["yParity"].is_string());
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["logs"][0]["address"], json!(carol.address()));
    let code = world
        .ask("eth_getCode", json!([carol.address(), "latest"]))
        .await;
    assert_eq!(code, format!("0xef0100{}", hex::encode(echo)));
}

#[tokio::test]
async fn a_blob_is_refused_by_its_name() {
    let world = World::new();
    let blob = TxEip4844 {
        chain_id: 1618,
        blob_versioned_hashes: vec![B256::with_last_byte(1)],
        ..TxEip4844::default()
    };
    let raw: Bytes = sign(&world, blob).encoded_2718().into();
    let (code, text) = world.refused("eth_sendRawTransaction", json!([raw])).await;
    assert_eq!(code, -32000);
    assert_eq!(
        text,
        "transaction type not supported: type 3 (blob, EIP-4844)"
    );
}

/// Runtime code: returns slot 1, its own balance, the block's number and time, 32 bytes each.
const READER: &[u8] = &[
    0x60, 0x01, 0x54, 0x60, 0x00, 0x52, // slot 1
    0x47, 0x60, 0x20, 0x52, // SELFBALANCE
    0x43, 0x60, 0x40, 0x52, // NUMBER
    0x42, 0x60, 0x60, 0x52, // TIMESTAMP
    0x60, 0x80, 0x60, 0x00, 0xf3,
];

#[tokio::test]
async fn a_call_may_assume_other_accounts_and_another_block() {
    let world = World::new();
    let slot = B256::with_last_byte(1);
    let word = |number: u64| B256::from(U256::from(number));
    let call = json!({"to": BOB});
    let assume = json!({BOB.to_string(): {
        "code": Bytes::from_static(READER), "balance": "0x7",
        "stateDiff": {slot.to_string(): word(9)}
    }});
    let block = json!({"number": "0x64", "time": "0x99"});
    let answer = world
        .ask("eth_call", json!([call, "latest", assume, block]))
        .await;
    let expected = [word(9), word(7), word(0x64), word(0x99)].concat();
    assert_eq!(answer, json!(Bytes::from(expected)));
    // Nothing of it stays.
    assert_eq!(world.ask("eth_call", json!([call, "latest"])).await, "0x");
    // `state` replaces all slots, and estimates take assumptions too.
    let reader = deploy(&world, READER, 0).await;
    let assume = json!({reader.to_string(): {"state": {slot.to_string(): word(5)}}});
    let answer = world
        .ask("eth_call", json!([{"to": reader}, "latest", assume]))
        .await;
    assert!(answer.as_str().unwrap().starts_with(&word(5).to_string()));
    let rich = json!({BOB.to_string(): {"balance": "0xffffffffff"}});
    let spend = json!({"from": BOB, "to": reader, "value": "0xff"});
    world
        .ask("eth_estimateGas", json!([spend, "latest", rich]))
        .await;
    let (code, _) = world
        .refused("eth_estimateGas", json!([spend, "latest"]))
        .await;
    assert_eq!(code, -32000);
}

#[tokio::test]
async fn assumptions_that_mean_nothing_here_are_refused() {
    let world = World::new();
    let models = "0x4841000000000000000000000000000000000002";
    let refused = [
        (
            json!({BOB.to_string(): {"state": {}, "stateDiff": {}}}),
            "both 'state' and 'stateDiff'",
        ),
        (
            json!({BOB.to_string(): {"movePrecompileToAddress": BOB}}),
            "not supported",
        ),
        (json!({models: {"code": "0x00"}}), "system contract"),
        (
            json!({BOB.to_string(): {"code": "0xef01"}}),
            "no delegation",
        ),
        (
            json!({BOB.to_string(): {"code": format!("0xef0101{:040x}", 1)}}),
            "no delegation",
        ),
        (json!({BOB.to_string(): {"balanse": "0x1"}}), "balanse"),
    ];
    for (assume, expected) in refused {
        let answer = world
            .post("eth_call", json!([{"to": BOB}, "latest", assume]))
            .await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"].to_string().contains(expected), "{answer}");
    }
    let block = json!({"number": U256::MAX});
    let params = json!([{"to": BOB}, "latest", {}, block]);
    assert_eq!(world.refused("eth_call", params).await.0, -32602);
}

#[tokio::test]
async fn an_access_list_names_what_the_call_touches() {
    let world = World::new();
    let reader = deploy(&world, READER, 0).await;
    let answer = world
        .ask("eth_createAccessList", json!([{"to": reader}, "latest"]))
        .await;
    let list = answer["accessList"].as_array().unwrap();
    assert_eq!(list.len(), 1, "{answer}");
    assert_eq!(list[0]["address"], json!(reader));
    assert_eq!(list[0]["storageKeys"], json!([B256::with_last_byte(1)]));
    assert!(answer.get("error").is_none());
    // The gas is what the call costs with that list.
    let with = json!({"to": reader, "accessList": list, "gas": answer["gasUsed"]});
    world.ask("eth_call", json!([with, "latest"])).await;
    // A plain transfer touches nothing that is not warm.
    let answer = world
        .ask("eth_createAccessList", json!([{"to": BOB}]))
        .await;
    assert_eq!(answer, json!({"accessList": [], "gasUsed": "0x5208"}));
    let reverter = deploy(&world, REVERTER, 1).await;
    let answer = world
        .ask("eth_createAccessList", json!([{"to": reverter}]))
        .await;
    assert_eq!(answer["error"], "execution reverted");
}

#[tokio::test]
async fn a_mined_transaction_is_traced_where_it_stood() {
    let world = World::new();
    let echo = deploy(&world, ECHO, 0).await;
    let call = TransactionRequest::default()
        .with_to(echo)
        .with_input(vec![0x11; 32])
        .with_gas_limit(100_000);
    let mut hashes = Vec::new();
    for nonce in [1, 2] {
        let raw = world.signed(call.clone(), nonce, 1).await;
        hashes.push(world.ask("eth_sendRawTransaction", json!([raw])).await);
    }
    world.mine();
    // The second one: the first must be executed before it, or its nonce is too high.
    let receipt = world
        .ask("eth_getTransactionReceipt", json!([hashes[1]]))
        .await;
    assert_eq!(receipt["transactionIndex"], "0x1");
    let options = json!({"tracer": "callTracer", "tracerConfig": {"withLog": true}});
    let trace = world
        .ask("debug_traceTransaction", json!([hashes[1], options]))
        .await;
    assert_eq!(
        (&trace["type"], &trace["to"]),
        (&json!("CALL"), &json!(echo))
    );
    assert_eq!(trace["from"], json!(world.alice.address()));
    assert_eq!(trace["gasUsed"], receipt["gasUsed"]);
    assert_eq!(trace["output"], json!(Bytes::from(vec![0x11; 32])));
    assert_eq!(trace["logs"][0]["topics"], receipt["logs"][0]["topics"]);

    let steps = world
        .ask("debug_traceTransaction", json!([hashes[1]]))
        .await;
    assert_eq!(steps["failed"], false);
    let gas = U256::from(steps["gas"].as_u64().unwrap());
    assert_eq!(json!(gas), receipt["gasUsed"]);
    let ops: Vec<&str> = steps["structLogs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["op"].as_str().unwrap())
        .collect();
    assert_eq!(ops[..2], ["PUSH1", "CALLDATALOAD"]);
    assert_eq!(ops.last(), Some(&"RETURN"));

    let options = json!({"tracer": "prestateTracer"});
    let trace = world
        .ask("debug_traceTransaction", json!([hashes[1], options]))
        .await;
    let alice = &trace[format!("{:#x}", world.alice.address())];
    assert_eq!(alice["nonce"], 2, "{trace}");

    let (code, text) = world
        .refused("debug_traceTransaction", json!([B256::repeat_byte(1)]))
        .await;
    assert_eq!((code, text.as_str()), (-32000, "transaction not found"));
    let options = json!({"tracer": "{step: function() {}}"});
    let (_, text) = world
        .refused("debug_traceTransaction", json!([hashes[1], options]))
        .await;
    assert!(text.contains("JavaScript"), "{text}");
}

#[tokio::test]
async fn a_call_is_traced_with_its_assumptions_and_its_trace_is_bounded() {
    let world = World::new();
    let options = json!({
        "tracer": "callTracer",
        "stateOverrides": {BOB.to_string(): {"code": Bytes::from_static(REVERTER)}}
    });
    let call = json!({"to": BOB, "data": "0x1234"});
    let trace = world
        .ask("debug_traceCall", json!([call, "latest", options]))
        .await;
    assert_eq!(
        (&trace["error"], &trace["output"]),
        (&json!("execution reverted"), &json!("0x1234"))
    );
    assert_eq!(trace["from"], json!(Address::ZERO));

    // An endless loop: each step is recorded until the record is full.
    let forever = json!({"stateOverrides": {BOB.to_string(): {"code": "0x5b600056"}}});
    let started = Instant::now();
    let (code, text) = world
        .refused("debug_traceCall", json!([{"to": BOB}, "latest", forever]))
        .await;
    assert_eq!(code, -32000);
    assert!(text.starts_with("trace too large"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_storage_that_every_step_shows_again_counts_against_the_bound() {
    let world = World::new();
    let trace = |loads: usize, no_storage: bool| {
        // GAS SLOAD POP: at each load another slot, and each load shows all slots before it.
        let code = Bytes::from([0x5a, 0x54, 0x50].repeat(loads));
        json!([{"to": BOB}, "latest", {
            "disableStack": true, "disableStorage": no_storage,
            "stateOverrides": {BOB.to_string(): {"code": code}}
        }])
    };
    let steps = world.ask("debug_traceCall", trace(100, false)).await;
    let last = &steps["structLogs"][298];
    assert_eq!(last["op"], "SLOAD");
    assert_eq!(last["storage"].as_object().unwrap().len(), 100);
    // 700 * 701 / 2 slots of 128 bytes, where the steps alone are less than 1 MiB.
    let (code, text) = world.refused("debug_traceCall", trace(700, false)).await;
    assert_eq!(code, -32000);
    assert!(text.starts_with("trace too large"), "{text}");
    let steps = world.ask("debug_traceCall", trace(700, true)).await;
    assert_eq!(steps["structLogs"].as_array().unwrap().len(), 2_101);
}

#[tokio::test]
async fn a_transaction_may_be_sent_with_its_receipt_as_the_answer() {
    let world = World::new();
    let raw = world.transfer(0, 1).await;
    let params = json!([raw, 20_000]);
    let answer = world.ask("eth_sendRawTransactionSync", params);
    let mine = async {
        while world.mempool.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.mine()
    };
    let (receipt, block) = tokio::join!(answer, mine);
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["blockHash"], json!(block.hash));
    assert_eq!(receipt["from"], json!(world.alice.address()));

    // Not mined in time: the hash comes with the error, and the transaction stays.
    let raw = world.transfer(1, 1).await;
    let answer = world
        .post("eth_sendRawTransactionSync", json!([raw, "0x32"]))
        .await;
    assert_eq!(answer["error"]["code"], 4, "{answer}");
    let hash = &answer["error"]["data"];
    let pending = world.ask("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(&pending["hash"], hash);
    // Refused at once, in the words of eth_sendRawTransaction.
    let (code, text) = world
        .refused("eth_sendRawTransactionSync", json!([raw]))
        .await;
    assert_eq!((code, text.as_str()), (-32000, "already known"));
}
