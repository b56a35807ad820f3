//! Four real validators in one process: consensus over loopback, folders on disk, JSON-RPC.

use alloy_network::EthereumWallet;
use alloy_primitives::{Address, B256, U256};
use alloy_provider::{DynProvider, Provider, ProviderBuilder};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer_local::PrivateKeySigner;
use hallmark_node::bench::{self, Plan, Workload};
use hallmark_node::{Devnet, Node, NodeConfig, NodeError, devnet};
use std::{
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);
const BOB: Address = Address::repeat_byte(0xbb);

fn client(node: &Node) -> DynProvider {
    let signer = PrivateKeySigner::from_bytes(&devnet::account_key(0)).unwrap();
    assert_eq!(signer.address(), devnet::account(0));
    let url = node.rpc_url().parse().unwrap();
    ProviderBuilder::new()
        .wallet(EthereumWallet::from(signer))
        .connect_http(url)
        .erased()
}

/// Sends one coin to Bob through `node` and returns the hash of the transaction.
async fn pay_bob(node: &Node) -> B256 {
    let request = TransactionRequest::default().to(BOB).value(U256::from(1));
    *client(node)
        .send_transaction(request)
        .await
        .unwrap()
        .tx_hash()
}

/// Waits until a transaction is mined as `node` sees it, and returns its block's hash.
async fn mined(node: &Node, hash: B256) -> B256 {
    let client = client(node);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(receipt) = client.get_transaction_receipt(hash).await.unwrap() {
            assert!(receipt.status());
            return receipt.block_hash.unwrap();
        }
        let height = node.store().head().block.number();
        let failure = node.failure();
        assert!(
            Instant::now() < deadline,
            "{hash} not mined, height {height}: {failure:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_order_transfers_lose_one_and_take_it_back() {
    let home = tempfile::tempdir().unwrap();
    let mut devnet = Devnet::start(4, home.path()).unwrap();

    let hash = pay_bob(devnet.node(0).unwrap()).await;
    let mut seen = Vec::new();
    for node in devnet.nodes() {
        seen.push(mined(node, hash).await);
        assert_eq!(client(node).get_balance(BOB).await.unwrap(), U256::from(1));
    }
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|block| *block == seen[0]), "{seen:?}");

    assert!(devnet.stop_validator(3));
    assert!(!devnet.stop_validator(3));
    let mut last = B256::ZERO;
    for round in 0..3 {
        last = pay_bob(devnet.node(round).unwrap()).await;
        mined(devnet.node(0).unwrap(), last).await;
    }

    devnet.restart_validator(3).unwrap();
    let returned = devnet.node(3).unwrap();
    assert_eq!(
        mined(returned, last).await,
        mined(devnet.node(0).unwrap(), last).await
    );
    let hash = pay_bob(returned).await;
    for node in devnet.nodes() {
        mined(node, hash).await;
        assert_eq!(client(node).get_balance(BOB).await.unwrap(), U256::from(5));
    }
    devnet.stop();
}

/// A configuration for the only validator of a chain.
fn lonely(home: &std::path::Path) -> NodeConfig {
    let (spec, seeds) = devnet::spec(1, &[]);
    NodeConfig {
        spec: Arc::new(spec),
        validator_key: seeds[0],
        home: home.to_path_buf(),
        p2p_listen: (Ipv4Addr::LOCALHOST, 0).into(),
        peers: Vec::new(),
        followers: Vec::new(),
        rpc_listen: (Ipv4Addr::LOCALHOST, 0).into(),
    }
}

fn error(config: NodeConfig) -> NodeError {
    match Node::start(config) {
        Ok(_) => panic!("the node started"),
        Err(error) => error,
    }
}

#[test]
fn a_key_that_is_not_a_validators_is_named() {
    let home = tempfile::tempdir().unwrap();
    let stranger = devnet::validator_key(9);
    let error = error(NodeConfig {
        validator_key: stranger,
        ..lonely(home.path())
    });
    let public_key = B256::from(hallmark_consensus::public_key_of(&stranger));
    let named = error.to_string().contains(&format!("{public_key:x}")[2..]);
    assert!(named, "{error}");
}

#[test]
fn a_taken_rpc_port_and_a_locked_folder_are_named() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let config = lonely(home.path());
    let refused = error(NodeConfig {
        rpc_listen: address,
        ..config.clone()
    });
    assert!(
        refused.to_string().contains(&address.port().to_string()),
        "{refused}"
    );

    let node = Node::start(config.clone()).unwrap();
    let refused = error(config.clone());
    assert!(matches!(refused, NodeError::Store(_)), "{refused}");
    assert!(
        refused
            .to_string()
            .contains(&home.path().display().to_string()),
        "{refused}"
    );
    node.stop();
    Node::start(config).unwrap().stop();
}

#[test]
fn a_benchmark_counts_what_its_clients_saw_become_final() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        validators: 4,
        warm_up: 1,
        seconds: 3,
        workload: Workload::Transfer,
        rate: Some(20),
        in_flight: 1,
        signed_rate: 1,
        senders: 16,
        accounts: 50,
    };
    let light = bench::run(&plan, &folder.path().join("light")).unwrap();
    assert_eq!(light.refused, 0);
    // Three seconds of twenty, as far as they became final within them.
    assert!((1..=80).contains(&light.transactions), "{light:?}");
    assert!(light.finality_ms.p50 > 0.0 && light.finality_ms.p50 <= light.finality_ms.p99);
    assert!(light.block_interval_ms.p50 >= 20.0, "{light:?}");
    let plan = Plan {
        workload: Workload::Call,
        rate: None,
        in_flight: 60,
        signed_rate: 2_000,
        ..plan
    };
    let full = bench::run(&plan, &folder.path().join("full")).unwrap();
    assert_eq!(full.refused, 0);
    assert!(
        full.tps > 0.0 && full.transactions >= full.blocks / 10,
        "{full:?}"
    );
    // Signed for fewer than it takes: no figures.
    let plan = Plan {
        signed_rate: 1,
        senders: 4,
        ..plan
    };
    let error = bench::run(&plan, &folder.path().join("spent")).unwrap_err();
    assert!(error.to_string().contains("ran out"), "{error}");
}
