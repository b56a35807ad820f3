//! An order that is placed again after its sending failed, against a node that takes transactions and says
//! nothing, refuses them, or includes them.

use super::{OrderSecret, SealedOrder, SecretStore, StoreError, tests::graph};
use crate::{Client, ClientError, Level, keys};
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use hallmark_abi::{IInference, IModels};
use hallmark_types::addresses::INFERENCE;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use x25519_dalek::{PublicKey, StaticSecret};

const INPUT: [i32; 2] = [5, -2];
const MODEL: B256 = B256::repeat_byte(7);
const SELLER: Address = Address::repeat_byte(1);

/// What becomes of a transaction that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Taken, and the connection breaks before the answer.
    Lost,
    Refused,
    Included,
}

/// A node: fates of the next transactions, and all that came.
struct Node {
    fates: Vec<Fate>,
    sent: Vec<(Fate, Bytes)>,
}

impl Node {
    /// The answer to a request, or none.
    fn answer(&mut self, method: &str, params: &Value) -> Option<Result<Value, Value>> {
        Some(Ok(match method {
            "eth_chainId" => json!("0x652"),
            "eth_estimateGas" => json!("0x10000"),
            "eth_getTransactionCount" => json!("0x0"),
            "eth_getBlockByNumber" => {
                json!({ "timestamp": "0x1", "baseFeePerGas": "0x1", "extraData": "0x" })
            }
            "eth_call" => {
                let call = params[0]["data"].as_str().unwrap();
                let call = hex::decode(call).unwrap();
                match call[..4].try_into().unwrap() {
                    IModels::infoCall::SELECTOR => {
                        json!(Bytes::from(IModels::infoCall::abi_encode_returns(&info())))
                    }
                    IInference::sealingKeyCall::SELECTOR => {
                        let key = PublicKey::from(&StaticSecret::from([1; 32]));
                        let key = B256::from(key.to_bytes());
                        let key = IInference::sealingKeyCall::abi_encode_returns(&key);
                        json!(Bytes::from(key))
                    }
                    other => panic!("call {other:?}"),
                }
            }
            "eth_sendRawTransaction" => {
                let raw: Bytes = serde_json::from_value(params[0].clone()).unwrap();
                let fate = self.fates.remove(0);
                let hash = keccak256(&raw);
                self.sent.push((fate, raw));
                match fate {
                    Fate::Lost => return None,
                    Fate::Refused => {
                        return Some(Err(
                            json!({ "code": -32000, "message": "the pool is full" }),
                        ));
                    }
                    Fate::Included => json!(hash),
                }
            }
            "eth_getTransactionReceipt" => {
                let hash: B256 = serde_json::from_value(params[0].clone()).unwrap();
                receipt(hash, &self.sent.last().unwrap().1)
            }
            other => panic!("method {other}"),
        }))
    }

    /// The orders that came, in their order.
    fn orders(&self) -> Vec<IInference::orderSealedCall> {
        let orders = self.sent.iter().map(|(_, raw)| order_in(raw));
        orders.collect()
    }
}

fn order_in(raw: &[u8]) -> IInference::orderSealedCall {
    let transaction = TxEnvelope::decode_2718(&mut &raw[..]).unwrap();
    IInference::orderSealedCall::abi_decode(transaction.input()).unwrap()
}

fn info() -> IModels::ModelInfo {
    IModels::ModelInfo {
        owner: Address::repeat_byte(3),
        price: 1_000,
        ownerShareBps: 0,
        digest: B256::ZERO,
        commitment: B256::ZERO,
        contentHash: B256::ZERO,
        contentSize: 1,
        keySize: 1,
        registeredAt: 1,
        active: true,
        name: String::new(),
        uri: String::new(),
    }
}

fn receipt(hash: B256, raw: &[u8]) -> Value {
    let order = order_in(raw);
    let event = IInference::Ordered {
        id: U256::from(9),
        model: order.model,
        buyer: Address::repeat_byte(4),
        level: order.level,
        price: 1_000,
        deadlineMs: order.deadlineMs,
        inputHash: order.commitment,
    };
    let event = event.encode_log_data();
    let at = json!({
        "blockHash": B256::repeat_byte(8), "blockNumber": "0x1", "transactionHash": hash,
        "transactionIndex": "0x0",
    });
    let mut log = at.clone();
    log["address"] = json!(INFERENCE);
    log["topics"] = json!(event.topics());
    log["data"] = json!(event.data);
    log["logIndex"] = json!("0x0");
    log["removed"] = json!(false);
    let mut receipt = at;
    for (name, value) in [
        ("type", json!("0x2")),
        ("status", json!("0x1")),
        ("cumulativeGasUsed", json!("0x1")),
        ("gasUsed", json!("0x1")),
        ("effectiveGasPrice", json!("0x1")),
        ("from", json!(Address::repeat_byte(4))),
        ("to", json!(INFERENCE)),
        ("contractAddress", Value::Null),
        ("logsBloom", json!(Bytes::from(vec![0; 256]))),
        ("logs", json!([log])),
    ] {
        receipt[name] = value;
    }
    receipt
}

/// Answers one request after the other.
async fn serve(mut stream: TcpStream, node: Arc<Mutex<Node>>) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.ok().filter(|&n| n > 0)?;
            bytes.extend_from_slice(&buffer[..read]);
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        let length = text.split("content-length:").nth(1)?;
        let length: usize = length.split_whitespace().next()?.parse().ok()?;
        while bytes.len() < head + length {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.ok().filter(|&n| n > 0)?;
            bytes.extend_from_slice(&buffer[..read]);
        }
        let request: Value = serde_json::from_slice(&bytes[head..head + length]).ok()?;
        bytes.drain(..head + length);
        let method = request["method"].as_str()?;
        let answer = node.lock().unwrap().answer(method, &request["params"])?;
        let mut body = json!({ "jsonrpc": "2.0", "id": request["id"] });
        match answer {
            Ok(result) => body["result"] = result,
            Err(error) => body["error"] = error,
        }
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
    }
}

/// A client of a node that deals these fates.
async fn world(fates: &[Fate]) -> (Client, Arc<Mutex<Node>>) {
    let node = Arc::new(Mutex::new(Node {
        fates: fates.to_vec(),
        sent: Vec::new(),
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = node.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, served.clone()));
        }
    });
    let client = Client::connect(&url, Some(keys::generate())).await.unwrap();
    (client, node)
}

#[tokio::test]
async fn an_order_that_is_placed_again_never_takes_the_pad_of_the_one_before() {
    use Fate::{Included, Lost, Refused};
    let (client, node) = world(&[Lost, Refused, Lost, Included]).await;
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(dir.path()).unwrap();
    let graph = graph();
    let order = SealedOrder {
        model: MODEL,
        level: Level::Proven,
        graph: &graph,
        input: &INPUT,
        sellers: &[SELLER],
        deadline_ms: 1_000_000,
    };
    for _ in 0..3 {
        let failed = client.order_sealed(&order, &store).await;
        assert!(failed.is_err(), "{failed:?}");
    }
    let placed = client.order_sealed(&order, &store).await.unwrap();
    assert_eq!(placed.id, U256::from(9));
    let node = node.lock().unwrap();
    let orders = node.orders();
    assert_eq!(orders.len(), 4);
    // Whatever may have been taken by the node can be read: its secret is kept.
    let kept: Vec<Option<OrderSecret>> = orders
        .iter()
        .map(|order| match store.load(order.commitment) {
            Ok(secret) => Some(secret),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => panic!("{error}"),
        })
        .collect();
    for (secret, (fate, _)) in kept.iter().zip(&node.sent) {
        assert!(*fate == Refused || secret.is_some(), "{fate:?}");
    }
    // The answer is the same in all of them, and no two are masked alike, in any element.
    let secrets: Vec<&OrderSecret> = kept.iter().flatten().collect();
    assert!(secrets.len() >= 3);
    let output = [100];
    let masked = |s: &&OrderSecret| hallmark_proof::mask_output(&graph, &output, &s.secret);
    let masked: Vec<Vec<u32>> = secrets.iter().map(|s| masked(s).unwrap()).collect();
    for (i, secret) in secrets.iter().enumerate() {
        for (j, other) in secrets.iter().enumerate() {
            if i == j {
                continue;
            }
            assert_ne!(secret.secret.to_bytes(), other.secret.to_bytes());
            assert!(masked[i].iter().zip(&masked[j]).all(|(a, b)| a != b));
            // The sealed input of one order is not accepted with the secret of another.
            let commitment = |s: &OrderSecret| {
                hallmark_proof::commit_input(&graph, &INPUT, &s.secret).map(B256::from)
            };
            assert_ne!(commitment(secret).unwrap(), commitment(other).unwrap());
        }
    }
    // Nor are two of all that were sent of one commitment, key of an envelope, or nonce of a cipher.
    for (i, one) in orders.iter().enumerate() {
        for other in &orders[..i] {
            assert_ne!(one.commitment, other.commitment);
            assert_ne!(one.envelope, other.envelope);
        }
    }
}

#[tokio::test]
async fn the_sealed_input_of_a_lost_order_does_not_open_under_the_one_placed_again() {
    let (client, node) = world(&[Fate::Lost, Fate::Included]).await;
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(dir.path()).unwrap();
    let graph = graph();
    let order = SealedOrder {
        model: MODEL,
        level: Level::Proven,
        graph: &graph,
        input: &INPUT,
        sellers: &[SELLER],
        deadline_ms: 1_000_000,
    };
    let lost = client.order_sealed(&order, &store).await;
    // Not refused: the order may stand, so its secret stays.
    assert!(
        !matches!(
            lost,
            Ok(_) | Err(ClientError::Refused(_) | ClientError::Reverted { .. })
        ),
        "{lost:?}"
    );
    client.order_sealed(&order, &store).await.unwrap();
    let orders = node.lock().unwrap().orders();
    let binding = |commitment: B256| super::Binding {
        chain_id: 1618,
        model: MODEL,
        buyer: client.address().unwrap(),
        commitment,
        sellers: vec![SELLER],
    };
    let seller = StaticSecret::from([1; 32]);
    let open = |envelope: &Bytes, commitment: B256| {
        let find = |_: &[u8; 32]| Some(seller.clone());
        super::envelope::open(envelope, &binding(commitment), SELLER, find, &graph)
    };
    for (own, other) in [(0, 1), (1, 0)] {
        let opened = open(&orders[own].envelope, orders[own].commitment).unwrap();
        let kept = store.load(orders[own].commitment).unwrap();
        assert_eq!(opened.secret.to_bytes(), kept.secret.to_bytes());
        assert_eq!(opened.input, INPUT);
        assert!(open(&orders[own].envelope, orders[other].commitment).is_err());
    }
}
