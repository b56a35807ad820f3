//! `eth_subscribe` over WebSocket.

use crate::world::{ECHO, World, echo_topic, init_code};
use alloy_network::TransactionBuilder;
use alloy_primitives::{Bytes, keccak256};
use alloy_provider::Provider;
use alloy_rpc_types_eth::{Filter, TransactionRequest};
use futures::StreamExt;
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
