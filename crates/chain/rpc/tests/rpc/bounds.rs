//! What the server refuses, and how it stops.

use crate::world::World;
use alloy_primitives::{Address, B256, Bytes, hex};
use alloy_provider::Provider;
use alloy_rpc_types_eth::TransactionRequest;
use hallmark_rpc::{RpcConfig, RpcContext, RpcError, serve};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_transaction_of_the_largest_size_passes_and_a_larger_body_does_not() {
    let world = World::new();
    let limits = &world.spec.limits;
    // Raw bytes of the largest size are read and judged by the pool, not by the transport.
    let raw = hex::encode_prefixed(vec![2u8; limits.max_tx_bytes]);
    let (code, _) = world.refused("eth_sendRawTransaction", json!([raw])).await;
    assert_eq!(code, -32000);

    let body = 2 * limits
        .rpc_max_body_bytes
        .max(2 * limits.max_tx_bytes + 64 * 1024);
    let request = reqwest::Client::new()
        .post(world.url())
        .header("content-type", "application/json")
        .body(vec![b' '; body]);
    // The answer may overtake the body, and the connection close before it was written.
    match request.send().await {
        Ok(answer) => assert_eq!(answer.status(), 413),
        Err(error) => assert!(error.is_request(), "{error}"),
    }
    world.ask("eth_chainId", json!([])).await;
}

#[tokio::test]
async fn a_large_transaction_travels_through_the_door_into_a_block() {
    let world = World::new();
    let request = TransactionRequest {
        to: Some(Address::repeat_byte(0xdd).into()),
        input: Bytes::from(vec![0u8; 1_500_000]).into(),
        gas: Some(world.spec.limits.tx_gas_limit),
        ..Default::default()
    };
    let raw = world.signed(request, 0, 1).await;
    let hash = world.ask("eth_sendRawTransaction", json!([raw])).await;
    world.mine();
    assert_eq!(
        world.ask("debug_getRawTransaction", json!([hash])).await,
        json!(raw)
    );
}

#[tokio::test]
async fn a_batch_above_the_limit_is_refused() {
    let world = World::with(|config| config.max_batch = 3);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"});
    let answer = world.post_json(&Value::Array(vec![call.clone(); 3])).await;
    assert_eq!(answer.as_array().unwrap().len(), 3);
    let answer = world.post_json(&Value::Array(vec![call; 4])).await;
    assert_eq!(answer["error"]["code"], json!(-32010), "{answer}");
    assert_eq!(
        answer["error"]["message"],
        json!("The batch request was too large")
    );
    let answer = world.post_json(&json!([])).await;
    assert_eq!(answer["error"]["code"], json!(-32600), "{answer}");
}

#[tokio::test]
async fn a_batch_whose_answers_are_too_large_together_is_refused() {
    let world = World::new();
    let request = TransactionRequest {
        to: Some(Address::repeat_byte(0xdd).into()),
        input: Bytes::from(vec![0u8; 1_500_000]).into(),
        gas: Some(world.spec.limits.tx_gas_limit),
        ..Default::default()
    };
    let raw = world.signed(request, 0, 1).await;
    let hash = world.ask("eth_sendRawTransaction", json!([raw])).await;
    world.mine();
    // Each answer is about 3 MB of hex digits.
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "debug_getRawTransaction", "params": [hash]});
    let fits = 4 * world.spec.limits.max_block_bytes / 3_100_000;
    let answer = world.post_json(&Value::Array(vec![call.clone(); 2])).await;
    assert_eq!(answer[1]["result"], json!(raw));
    let many = vec![call; fits + 2];
    assert!(many.len() <= 100, "the batch itself is allowed");
    let answer = world.post_json(&Value::Array(many)).await;
    assert_eq!(
        answer["error"]["code"],
        json!(-32011),
        "{}",
        answer["error"]
    );
}

#[tokio::test]
async fn bodies_that_are_no_request_are_told_what_they_are() {
    let world = World::new();
    let post = async |body: &'static str| -> Value {
        let answer = reqwest::Client::new()
            .post(world.url())
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let code = |answer: Value| answer["error"]["code"].as_i64().unwrap();
    assert_eq!(code(post("{").await), -32700);
    assert_eq!(code(post(r#"{"id":1}"#).await), -32600);
    assert_eq!(
        code(post(r#"{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}"#).await),
        -32601
    );
    assert_eq!(
        code(post(r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":[]}"#).await),
        -32602
    );
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let world = World::with(|config| config.max_connections = 1);
    let held = world.socket().await;
    assert_eq!(held.get_chain_id().await.unwrap(), world.spec.chain_id);
    let answer = reqwest::Client::new()
        .post(world.url())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 429);
    drop(held);
    for _ in 0..100 {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"});
        let answer = reqwest::Client::new()
            .post(world.url())
            .json(&request)
            .send()
            .await
            .unwrap();
        if answer.status().is_success() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the place of a closed connection was never free again");
}

#[tokio::test]
async fn a_filter_with_too_many_alternatives_is_refused() {
    let world = World::new();
    let many: Vec<B256> = (0..1_001u64)
        .map(|i| B256::left_padding_from(&i.to_be_bytes()))
        .collect();
    for method in ["eth_getLogs", "eth_newFilter"] {
        let (code, text) = world
            .refused(method, json!([{"topics": [null, many]}]))
            .await;
        assert_eq!(code, -32005);
        assert!(
            text.starts_with("exceed max addresses or topics per search position"),
            "{text}"
        );
        world
            .ask(method, json!([{"topics": [null, many[..1_000]]}]))
            .await;
    }
}

#[tokio::test]
async fn log_searches_are_bounded_in_range_and_result() {
    let world = World::with(|config| config.max_log_blocks = 2);
    for _ in 0..3 {
        world.mine();
    }
    let range = |from: &str, to: &str| json!([{"fromBlock": from, "toBlock": to}]);
    world.ask("eth_getLogs", range("0x1", "0x2")).await;
    let (code, text) = world.refused("eth_getLogs", range("0x1", "0x3")).await;
    assert_eq!(
        (code, text.as_str()),
        (-32005, "query exceeds the range of 2 blocks")
    );
    let (code, _) = world.refused("eth_getLogs", range("0x2", "0x1")).await;
    assert_eq!(code, -32602);
    let (code, _) = world
        .refused(
            "eth_getLogs",
            json!([{"blockHash": alloy_primitives::B256::ZERO}]),
        )
        .await;
    assert_eq!(code, -32000);
    // A range beyond the head ends at the head.
    world.ask("eth_getLogs", range("0x3", "0xffffff")).await;
}

#[tokio::test]
async fn unknown_blocks_and_wrong_parameters_have_their_own_errors() {
    let world = World::new();
    let someone = Address::repeat_byte(1);
    let (code, text) = world
        .refused("eth_getBalance", json!([someone, "0x5"]))
        .await;
    assert_eq!((code, text.as_str()), (-32000, "header not found"));
    let (code, _) = world
        .refused("eth_getBalance", json!(["not an address"]))
        .await;
    assert_eq!(code, -32602);
    let overridden = json!([{"to": someone}, "latest", {"0x00": {"balance": "0x1"}}]);
    let (code, _) = world.refused("eth_call", overridden).await;
    assert_eq!(code, -32602);
    world
        .ask("eth_call", json!([{"to": someone}, "latest", {}]))
        .await;
    let (code, _) = world
        .refused(
            "eth_call",
            json!([{"to": someone, "data": "0x01", "input": "0x02"}]),
        )
        .await;
    assert_eq!(code, -32602);
}

#[tokio::test]
async fn filters_report_each_thing_once_and_are_bounded() {
    let world = World::with(|config| config.max_filters = 3);
    let blocks = world.ask("eth_newBlockFilter", json!([])).await;
    let pending = world
        .ask("eth_newPendingTransactionFilter", json!([]))
        .await;
    let logs = world.ask("eth_newFilter", json!([{}])).await;
    let (code, _) = world.refused("eth_newBlockFilter", json!([])).await;
    assert_eq!(code, -32005);

    let changes = async |id: &Value| world.ask("eth_getFilterChanges", json!([id])).await;
    let hash = world
        .ask(
            "eth_sendRawTransaction",
            json!([world.transfer(0, 1).await]),
        )
        .await;
    let executed = world.mine();
    assert_eq!(changes(&pending).await, json!([hash]));
    assert_eq!(changes(&blocks).await, json!([executed.hash]));
    assert_eq!(changes(&logs).await, json!([]));
    assert_eq!(changes(&pending).await, json!([]));
    assert_eq!(changes(&blocks).await, json!([]));
    assert_eq!(
        world.ask("eth_getFilterLogs", json!([logs])).await,
        json!([])
    );
    assert_eq!(
        world.ask("eth_uninstallFilter", json!([blocks])).await,
        json!(true)
    );
    assert_eq!(
        world.ask("eth_uninstallFilter", json!([blocks])).await,
        json!(false)
    );
    let (code, text) = world.refused("eth_getFilterChanges", json!([blocks])).await;
    assert_eq!((code, text.as_str()), (-32000, "filter not found"));
}

#[tokio::test]
async fn a_filter_that_nobody_polls_is_forgotten() {
    let world = World::with(|config| config.filter_lifetime = Duration::from_millis(50));
    let id = world.ask("eth_newBlockFilter", json!([])).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    world.refused("eth_getFilterChanges", json!([id])).await;
}

#[tokio::test]
async fn pages_of_any_origin_may_ask() {
    let world = World::new();
    let answer = reqwest::Client::new()
        .request(reqwest::Method::OPTIONS, world.url())
        .header("origin", "https://wallet.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_taken_port_is_named_and_a_stopped_server_frees_its_port() {
    let world = World::new();
    let address = world.rpc.local_addr();
    let context = RpcContext {
        spec: world.spec.clone(),
        store: world.store.clone(),
        executor: world.executor.clone(),
        mempool: world.mempool.clone(),
        node: Default::default(),
        metrics: Default::default(),
    };
    let error = serve(RpcConfig::new(address), context.clone()).unwrap_err();
    assert!(matches!(error, RpcError::Listen { .. }));
    assert!(
        error
            .to_string()
            .contains(&format!("port {}", address.port())),
        "{error}"
    );

    world.rpc.stop();
    world.rpc.stop();
    assert!(reqwest::get(world.url()).await.is_err());
    let again = serve(RpcConfig::new(address), context).unwrap();
    assert_eq!(again.local_addr(), address);
}
