//! Input that no honest client sends: every piece is refused for what is wrong with it, and the node
//! goes on.

use crate::world::World;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, address, hex, uint};
use alloy_rlp::{Encodable, Header};
use serde_json::{Value, json};

/// Order of secp256k1's group.
const ORDER: U256 = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
const INFERENCE: Address = address!("4841000000000000000000000000000000000003");

fn transfer(world: &World) -> TxEip1559 {
    TxEip1559 {
        chain_id: world.spec.chain_id,
        nonce: 0,
        gas_limit: 21_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(0xbb)),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

fn signed(world: &World, mut tx: TxEip1559) -> (TxEip1559, Signature) {
    let signature = world.alice.sign_transaction_sync(&mut tx).unwrap();
    (tx, signature)
}

fn encoded(tx: TxEip1559, signature: Signature) -> Vec<u8> {
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718()
}

/// The transfer's fields as RLP items, to be put together wrongly.
fn items(tx: &TxEip1559, signature: &Signature) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    let mut push = |item: &dyn Encodable| items.push(alloy_rlp::encode(item));
    push(&tx.chain_id);
    push(&tx.nonce);
    push(&tx.max_priority_fee_per_gas);
    push(&tx.max_fee_per_gas);
    push(&tx.gas_limit);
    push(&tx.to);
    push(&tx.value);
    push(&tx.input);
    push(&tx.access_list);
    push(&signature.v());
    push(&signature.r());
    push(&signature.s());
    items
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut bytes = vec![2];
    let header = Header {
        list: true,
        payload_length: payload.len(),
    };
    header.encode(&mut bytes);
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn transactions_that_no_wallet_makes_are_refused_for_what_is_wrong() {
    let world = World::new();
    let (tx, signature) = signed(&world, transfer(&world));
    let good = encoded(tx.clone(), signature);
    let parts = items(&tx, &signature);
    assert_eq!(list(&parts), good, "the pieces are a transaction's");

    let (foreign, its) = signed(
        &world,
        TxEip1559 {
            chain_id: 1,
            ..transfer(&world)
        },
    );
    let twin = Signature::new(signature.r(), ORDER - signature.s(), !signature.v());
    let unsigned = Signature::new(U256::ZERO, U256::ZERO, false);
    // The nonce zero is the empty string; 0x00 is another spelling of it.
    let mut spelled = parts.clone();
    spelled[1] = vec![0x00];
    // 2^256 needs 33 bytes.
    let mut overflowing = parts.clone();
    overflowing[6] = [&[0xa1, 0x01][..], &[0; 32]].concat();
    // A length that the bytes do not have.
    let mut long = good.clone();
    long[1..3].copy_from_slice(&[0xf9, 0xff]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "rlp"),
        ("a type alone", vec![2], "rlp"),
        ("no RLP", b"\x02hallmark".to_vec(), "rlp"),
        ("a length beyond the end", long, "rlp"),
        ("the fields without a signature", list(&parts[..9]), "rlp"),
        ("a byte too many", [&good[..], &[0]].concat(), "rlp"),
        ("a byte too few", good[..good.len() - 1].to_vec(), "rlp"),
        ("a zero with a leading zero", list(&spelled), "rlp"),
        ("a value of 2^256", list(&overflowing), "rlp"),
        (
            "another chain",
            encoded(foreign, its),
            "invalid chain id for signer: have 1 want 1618",
        ),
        (
            "no signature",
            encoded(tx.clone(), unsigned),
            "invalid sender",
        ),
        (
            "the signature's twin",
            encoded(tx.clone(), twin),
            "invalid sender",
        ),
        (
            "an unknown type",
            [&[0x7f], &good[1..]].concat(),
            "transaction type not supported: type 127",
        ),
    ];
    for (what, raw, words) in cases {
        let raw = Bytes::from(raw);
        let (code, text) = world.refused("eth_sendRawTransaction", json!([raw])).await;
        assert_eq!(code, -32000, "{what}: {text}");
        assert!(text.starts_with(words), "{what}: {text}");
    }
    // The node is as it was, and takes the honest one.
    assert!(world.mine().block.transactions.is_empty());
    let raw = Bytes::from(good);
    world.ask("eth_sendRawTransaction", json!([raw])).await;
    assert_eq!(world.mine().block.transactions.len(), 1);
}

#[tokio::test]
async fn calldata_that_fits_no_method_of_a_system_contract_is_told_so() {
    let world = World::new();
    let selector = |text: &str| hex::encode_prefixed(&alloy_primitives::keccak256(text)[..4]);
    let get = selector("get(uint256)");
    for (call, error) in [
        (json!({"input": "0xdeadbeef"}), "UnknownMethod(bytes4)"),
        (json!({"input": "0x12"}), "UnknownMethod(bytes4)"),
        (json!({"input": get}), "MalformedCall()"),
        (
            json!({"input": format!("{get}{}", "ff".repeat(31))}),
            "MalformedCall()",
        ),
        (
            json!({"input": format!("{}{}", selector("deposits(address)"), "ff".repeat(32))}),
            "MalformedCall()",
        ),
        (
            json!({"input": format!("{get}{}", "00".repeat(32)), "value": "0x1",
                "from": world.alice.address()}),
            "NotPayable()",
        ),
    ] {
        let mut call = call;
        call["to"] = json!(INFERENCE);
        let answer = world.post("eth_call", json!([call])).await;
        assert_eq!(answer["error"]["code"], json!(3), "{call}: {answer}");
        let data = answer["error"]["data"].as_str().unwrap();
        assert!(data.starts_with(&selector(error)), "{call}: {answer}");
    }
    // No calldata at all is a plain transfer, which every account takes.
    let plain = world.ask("eth_call", json!([{"to": INFERENCE}])).await;
    assert_eq!(plain, json!("0x"));
}

#[tokio::test]
async fn parameters_out_of_their_range_are_refused_before_anything_runs() {
    let world = World::new();
    let alice = world.alice.address();
    let beyond = format!("0x1{}", "0".repeat(64));
    let cases: Vec<(&str, Value)> = vec![
        ("eth_getBalance", json!([alice, "0x1ffffffffffffffff"])),
        ("eth_getBalance", json!([alice, -1])),
        ("eth_getBalance", json!([alice, "newest"])),
        ("eth_getBalance", json!(["0x1234"])),
        ("eth_getBalance", json!({"adress": alice})),
        ("eth_getStorageAt", json!([alice, beyond])),
        ("eth_getBlockByHash", json!(["0x12", false])),
        ("eth_getBlockByNumber", json!(["0x1", "yes"])),
        ("eth_call", json!([{"to": alice, "value": beyond}])),
        (
            "eth_call",
            json!([{"to": alice, "gas": "0x1ffffffffffffffff"}]),
        ),
        ("eth_call", json!([{"to": alice, "input": "0x123"}])),
        ("eth_feeHistory", json!(["0x1", "latest", [101]])),
        ("eth_feeHistory", json!(["0x1", "latest", [50, 10]])),
        ("eth_feeHistory", json!(["0x1", "latest", ["half"]])),
        (
            "eth_getLogs",
            json!([{"fromBlock": "0x5", "toBlock": "0x1"}]),
        ),
        ("eth_getLogs", json!([{"blockHash": "0x12"}])),
        ("eth_getLogs", json!([{"topics": [1]}])),
        ("eth_sendRawTransaction", json!(["no hex"])),
        (
            "debug_traceCall",
            json!([{"to": alice}, "latest", {"txIndex": "0x0"}]),
        ),
    ];
    for (method, params) in cases {
        let (code, text) = world.refused(method, params.clone()).await;
        assert_eq!(code, -32602, "{method} {params}: {text}");
    }
    world.ask("eth_chainId", json!([])).await;
}
