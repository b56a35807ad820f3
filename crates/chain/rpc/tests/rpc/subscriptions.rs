//! `eth_subscribe` over WebSocket.

use crate::world::{ECHO, World, echo_topic, init_code};
use alloy_network::TransactionBuilder;
use alloy_primitives::{Address, Bytes, keccak256};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{Filter, TransactionRequest, pubsub::PubSubSyncStatus};
use futures::StreamExt;
use serde_json::{Value, json};
use std::{future::Future, time::Duration};

/// A notification that must come soon.
async fn soon<T>(next: impl Future<Output = Option<T>>) -> T {
    tokio::time::timeout(Duration::from_secs(10), next)
        .await
        .expect("in time")
        .expect("one more")
}

#[tokio::test]
async fn new_heads_arrive_in_order_and_without_a_gap() {
    let world = World::new();
    let socket = world.socket().await;
    world.mine();
    let mut heads = socket
        .subscribe_blocks()
        .channel_size(512)
        .await
        .unwrap()
        .into_stream();
    // More than the broadcast channel holds: what overflows is read from the store.
    for number in 2..400u64 {
        assert_eq!(world.mine().block.number(), number);
    }
    for number in 2..400u64 {
        let head = soon(heads.next()).await;
        assert_eq!(head.number, number);
        assert_eq!(head.hash, head.inner.hash_slow());
    }
}

#[tokio::test]
async fn logs_that_match_arrive_and_others_do_not() {
    let world = World::new();
    let client = world.client();
    let sent = client
        .send_transaction(TransactionRequest::default().with_deploy_code(init_code(ECHO)))
        .await
        .unwrap();
    let executed = world.mine();
    assert_eq!(executed.block.transactions[0].tx_hash(), sent.tx_hash());
    let contract = world.alice.address().create(0);
    let socket = world.socket().await;
    let ours = Filter::new()
        .address(contract)
        .event_signature(echo_topic());
    let mut logs = socket.subscribe_logs(&ours).await.unwrap().into_stream();
    let other = Filter::new().address(world.alice.address());
    let mut others = socket.subscribe_logs(&other).await.unwrap().into_stream();

    let word = Bytes::from(keccak256("word"));
    let request = TransactionRequest::default()
        .with_to(contract)
        .with_input(word.clone());
    let sent = *client.send_transaction(request).await.unwrap().tx_hash();
    world.mine();
    let log = soon(logs.next()).await;
    assert_eq!(
        (log.transaction_hash, log.block_number),
        (Some(sent), Some(2))
    );
    assert_eq!(log.data().data, word);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), others.next())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn pending_transactions_are_announced_and_unsubscribing_ends_it() {
    let world = World::new();
    let socket = world.socket().await;
    let subscription = socket.subscribe_pending_transactions().await.unwrap();
    let id = *subscription.local_id();
    let mut hashes = subscription.into_stream();
    let mut full = socket
        .subscribe_full_pending_transactions()
        .await
        .unwrap()
        .into_stream();
    let sent = *socket
        .send_raw_transaction(&world.transfer(0, 1).await)
        .await
        .unwrap()
        .tx_hash();
    assert_eq!(soon(hashes.next()).await, sent);
    let whole = soon(full.next()).await;
    assert_eq!(whole.inner.signer(), world.alice.address());
    socket.unsubscribe(id).await.unwrap();
    let second = socket
        .send_raw_transaction(&world.transfer(1, 1).await)
        .await
        .unwrap();
    let whole = soon(full.next()).await;
    assert_eq!(whole.inner.tx_hash(), second.tx_hash());
    let silence = tokio::time::timeout(Duration::from_millis(100), hashes.next()).await;
    assert!(silence.is_err() || silence.unwrap().is_none());
}

#[tokio::test]
async fn a_transaction_is_watched_until_it_is_mined() {
    let world = World::new();
    let socket = world.socket().await;
    let raw = world.transfer(0, 1).await;
    let pending = socket.send_raw_transaction(&raw).await.unwrap();
    let watch = tokio::spawn(pending.get_receipt());
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.mine();
    let receipt = tokio::time::timeout(Duration::from_secs(10), watch)
        .await
        .unwrap();
    assert!(receipt.unwrap().unwrap().status());
}

#[tokio::test]
async fn falling_behind_and_catching_up_are_each_told_once() {
    let world = World::new();
    let socket = world.socket().await;
    let subscription = socket.subscribe::<_, Value>(("syncing",)).await.unwrap();
    let mut notices = subscription.into_stream();
    assert_eq!(soon(notices.next()).await, json!(false));
    world.store.note_tip(34);
    let behind = soon(notices.next()).await;
    let heights = json!({"startingBlock": "0x0", "currentBlock": "0x0", "highestBlock": "0x22"});
    assert_eq!(behind["syncing"], json!(true));
    assert_eq!(behind["status"], heights);
    let known: PubSubSyncStatus = serde_json::from_value(behind).unwrap();
    let PubSubSyncStatus::Detailed(known) = known else {
        panic!("{known:?}");
    };
    assert_eq!((known.current_block, known.highest_block), (0, Some(34)));
    // Further behind is no news; caught up is.
    world.store.note_tip(36);
    for _ in 0..4 {
        world.mine();
    }
    assert_eq!(soon(notices.next()).await, json!(false));
}

#[tokio::test]
async fn subscriptions_of_a_connection_are_bounded_and_odd_ones_refused() {
    let world = World::with(|config| config.max_subscriptions = 2);
    let socket = world.socket().await;
    let first = socket.subscribe_blocks().await.unwrap();
    let _second = socket.subscribe_pending_transactions().await.unwrap();
    let refused = socket.subscribe_blocks().await.unwrap_err();
    let error = refused.as_error_resp().unwrap();
    assert_eq!(
        (error.code, error.message.as_ref()),
        (-32006, "Too many subscriptions on the connection")
    );
    // Another connection has room, and so has this one after one ended.
    let other = world.socket().await;
    let _third = other.subscribe_blocks().await.unwrap();
    // The place of a refused one is free a moment after its answer.
    let code = async |socket: &DynProvider, params: Value| {
        for _ in 0..100 {
            let refused = socket.subscribe::<_, Value>(params.clone()).await.err();
            match refused.map(|error| error.as_error_resp().unwrap().code) {
                Some(-32006) => tokio::time::sleep(Duration::from_millis(50)).await,
                other => return other,
            }
        }
        panic!("the place was never free");
    };
    let taken = json!(["newPendingTransactions", {"address": Address::ZERO}]);
    for odd in [json!(["newHearts"]), taken, json!(["transactionReceipts"])] {
        assert_eq!(code(&other, odd.clone()).await, Some(-32602), "{odd}");
    }
    // What counts is how many different addresses a block is compared with.
    let many = vec![Address::ZERO; 2_000];
    assert_eq!(code(&other, json!(["logs", {"address": many}])).await, None);
    let distinct: Vec<Address> = (0..1_001u64)
        .map(|i| Address::left_padding_from(&i.to_be_bytes()))
        .collect();
    socket.unsubscribe(*first.local_id()).await.unwrap();
    let refused = code(&socket, json!(["logs", {"address": distinct}])).await;
    assert_eq!(refused, Some(-32005));
    assert_eq!(code(&socket, json!(["newHeads"])).await, None);
}
