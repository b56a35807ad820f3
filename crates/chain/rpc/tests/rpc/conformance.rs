//! The objects of the RPC against the schemas of the Ethereum execution-apis (`src/schemas` of
//! github.com/ethereum/execution-apis): which fields each kind of object must have, may have, and of
//! what form. The tables are facts, written down in our form, and stricter than the schemas in two
//! ways: what a schema leaves open but the enabled fork (Osaka) puts into a header must be there, and
//! a field that no table names fails the test. A pending transaction's place is `null`, as geth has it.

use crate::world::{ECHO, World, init_code, signer};
use alloy_consensus::{SignableTransaction, TxEip2930, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::{
    Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7702::Authorization,
};
use alloy_network::{TransactionBuilder, TxSignerSync};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use serde_json::{Value, json};

/// Form of a field.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// `0x` and hex digits without leading zeroes; `0x0` for zero.
    Quantity,
    /// `0x` and exactly this many bytes in hex.
    Bytes(usize),
    /// `0x` and any whole number of bytes in hex.
    Data,
    /// `0x0` or `0x1`.
    Bit,
    /// `null`.
    Null,
    /// An array, of whose elements this is the form.
    Array(&'static Form),
    /// An object with these fields.
    Object(&'static [Field]),
    /// A ratio between 0 and 1.
    Ratio,
    /// `true` or `false`.
    Bool,
}

/// Name, form, and whether it must be there.
type Field = (&'static str, Form, bool);

use Form::{Array, Bit, Bool, Data, Null, Object, Quantity, Ratio};
const HASH: Form = Form::Bytes(32);
const ADDRESS: Form = Form::Bytes(20);
const MUST: bool = true;
const MAY: bool = false;

/// `Block`, apart from its transactions.
const BLOCK: &[Field] = &[
    ("hash", HASH, MUST),
    ("parentHash", HASH, MUST),
    ("sha3Uncles", HASH, MUST),
    ("miner", ADDRESS, MUST),
    ("stateRoot", HASH, MUST),
    ("transactionsRoot", HASH, MUST),
    ("receiptsRoot", HASH, MUST),
    ("logsBloom", Form::Bytes(256), MUST),
    ("difficulty", Quantity, MUST),
    ("number", Quantity, MUST),
    ("gasLimit", Quantity, MUST),
    ("gasUsed", Quantity, MUST),
    ("timestamp", Quantity, MUST),
    ("extraData", Data, MUST),
    ("mixHash", HASH, MUST),
    ("nonce", Form::Bytes(8), MUST),
    ("size", Quantity, MUST),
    ("uncles", Array(&HASH), MUST),
    ("baseFeePerGas", Quantity, MUST),
    ("withdrawalsRoot", HASH, MUST),
    ("withdrawals", Array(&Object(&[])), MUST),
    ("blobGasUsed", Quantity, MUST),
    ("excessBlobGas", Quantity, MUST),
    ("parentBeaconBlockRoot", HASH, MUST),
    ("requestsHash", HASH, MUST),
    ("totalDifficulty", Quantity, MAY),
];

/// What every mined transaction has.
const MINED: &[Field] = &[
    ("blockHash", HASH, MUST),
    ("blockNumber", Quantity, MUST),
    ("blockTimestamp", Quantity, MUST),
    ("transactionIndex", Quantity, MUST),
];
/// The same fields of one that waits.
const PENDING: &[Field] = &[
    ("blockHash", Null, MUST),
    ("blockNumber", Null, MUST),
    ("blockTimestamp", Null, MAY),
    ("transactionIndex", Null, MUST),
];
/// What every type of transaction has.
const SIGNED: &[Field] = &[
    ("hash", HASH, MUST),
    ("type", Quantity, MUST),
    ("from", ADDRESS, MUST),
    ("nonce", Quantity, MUST),
    ("gas", Quantity, MUST),
    ("value", Quantity, MUST),
    ("input", Data, MUST),
    ("r", Quantity, MUST),
    ("s", Quantity, MUST),
    ("gasPrice", Quantity, MUST),
];
const TO: Field = ("to", ADDRESS, MUST);
const CREATES: Field = ("to", Null, MUST);
const LEGACY: &[Field] = &[("v", Quantity, MUST), ("chainId", Quantity, MAY)];
const TYPED: &[Field] = &[
    ("chainId", Quantity, MUST),
    ("yParity", Bit, MUST),
    ("v", Bit, MAY),
    ("accessList", Array(&Object(ACCESS)), MUST),
];
const ACCESS: &[Field] = &[
    ("address", ADDRESS, MUST),
    ("storageKeys", Array(&HASH), MUST),
];
const DYNAMIC: &[Field] = &[
    ("maxFeePerGas", Quantity, MUST),
    ("maxPriorityFeePerGas", Quantity, MUST),
];
const DELEGATING: &[Field] = &[("authorizationList", Array(&Object(AUTHORIZATION)), MUST)];
const AUTHORIZATION: &[Field] = &[
    ("chainId", Quantity, MUST),
    ("address", ADDRESS, MUST),
    ("nonce", Quantity, MUST),
    ("yParity", Bit, MUST),
    ("r", Quantity, MUST),
    ("s", Quantity, MUST),
];

const RECEIPT: &[Field] = &[
    ("type", Quantity, MUST),
    ("transactionHash", HASH, MUST),
    ("transactionIndex", Quantity, MUST),
    ("blockHash", HASH, MUST),
    ("blockNumber", Quantity, MUST),
    ("from", ADDRESS, MUST),
    ("cumulativeGasUsed", Quantity, MUST),
    ("gasUsed", Quantity, MUST),
    ("logs", Array(&Object(LOG)), MUST),
    ("logsBloom", Form::Bytes(256), MUST),
    ("status", Bit, MUST),
    ("effectiveGasPrice", Quantity, MUST),
];
const LOG: &[Field] = &[
    ("address", ADDRESS, MUST),
    ("topics", Array(&HASH), MUST),
    ("data", Data, MUST),
    ("blockHash", HASH, MUST),
    ("blockNumber", Quantity, MUST),
    ("blockTimestamp", Quantity, MAY),
    ("transactionHash", HASH, MUST),
    ("transactionIndex", Quantity, MUST),
    ("logIndex", Quantity, MUST),
    ("removed", Bool, MUST),
];
const FEE_HISTORY: &[Field] = &[
    ("oldestBlock", Quantity, MUST),
    ("baseFeePerGas", Array(&Quantity), MUST),
    ("gasUsedRatio", Array(&Ratio), MUST),
    ("baseFeePerBlobGas", Array(&Quantity), MAY),
    ("blobGasUsedRatio", Array(&Ratio), MAY),
    ("reward", Array(&Array(&Quantity)), MUST),
];
const PROOF: &[Field] = &[
    ("address", ADDRESS, MUST),
    ("accountProof", Array(&Data), MUST),
    ("balance", Quantity, MUST),
    ("codeHash", HASH, MUST),
    ("nonce", Quantity, MUST),
    ("storageHash", HASH, MUST),
    ("storageProof", Array(&Object(SLOT)), MUST),
];
const SLOT: &[Field] = &[
    // The key is given back as it was asked for: a quantity or 32 bytes.
    ("key", HASH, MUST),
    ("value", Quantity, MUST),
    ("proof", Array(&Data), MUST),
];
const ACCESS_LIST_RESULT: &[Field] = &[
    ("accessList", Array(&Object(ACCESS)), MUST),
    ("gasUsed", Quantity, MUST),
    ("error", Data, MAY),
];

/// What is wrong with `value`, if anything.
fn fault(value: &Value, form: Form) -> Option<String> {
    let digits = || {
        let digits = value.as_str()?.strip_prefix("0x")?;
        let hex = digits
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        hex.then_some(digits)
    };
    let fits = match form {
        Quantity => digits().is_some_and(|d| d == "0" || !(d.is_empty() || d.starts_with('0'))),
        Form::Bytes(length) => digits().is_some_and(|d| d.len() == 2 * length),
        Data => digits().is_some_and(|d| d.len() % 2 == 0),
        Bit => value == "0x0" || value == "0x1",
        Null => value.is_null(),
        Bool => value.is_boolean(),
        Ratio => value
            .as_f64()
            .is_some_and(|ratio| (0.0..=1.0).contains(&ratio)),
        Array(of) => {
            let Some(items) = value.as_array() else {
                return Some(format!("{value} is no array"));
            };
            return items.iter().find_map(|item| fault(item, *of));
        }
        Object(fields) => return odd_field(value, &[fields]),
    };
    (!fits).then(|| format!("{value} is no {form:?}"))
}

/// The first field of `object` that is missing, of another form, or in no table.
fn odd_field(object: &Value, tables: &[&[Field]]) -> Option<String> {
    let Some(found) = object.as_object() else {
        return Some(format!("{object} is no object"));
    };
    let fields = || tables.iter().flat_map(|table| table.iter());
    for (name, form, required) in fields() {
        let fault = match found.get(*name) {
            None if *required => Some("is missing".to_owned()),
            None => None,
            // An optional field may also be null.
            Some(Value::Null) if !required => None,
            Some(value) => fault(value, *form),
        };
        if let Some(fault) = fault {
            return Some(format!("{name}: {fault}"));
        }
    }
    let unknown = found
        .keys()
        .find(|name| !fields().any(|(known, ..)| known == name));
    unknown.map(|name| format!("{name}: not of the specification"))
}

#[track_caller]
fn conforms(what: &str, object: &Value, tables: &[&[Field]]) {
    if let Some(fault) = odd_field(object, tables) {
        panic!("{what}: {fault}\n{object:#}");
    }
}

fn sign<T: SignableTransaction<Signature>>(world: &World, mut tx: T) -> Bytes
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature = world.alice.sign_transaction_sync(&mut tx).unwrap();
    let envelope: TxEnvelope = tx.into_signed(signature).into();
    envelope.encoded_2718().into()
}

const PRICE: u128 = 100_000_000_000;

/// One transaction of each type that the chain takes, with the tables of its own fields; the first
/// deploys a contract, the others call it.
fn every_type(world: &World) -> Vec<(Bytes, Vec<&'static [Field]>)> {
    let contract = world.alice.address().create(0);
    let to = TxKind::Call(contract);
    let input = Bytes::from(vec![0x11; 32]);
    let access_list = AccessList(vec![AccessListItem {
        address: contract,
        storage_keys: vec![B256::with_last_byte(1)],
    }]);
    let legacy = |chain_id, nonce, to, input| TxLegacy {
        chain_id,
        nonce,
        gas_price: PRICE,
        gas_limit: 200_000,
        to,
        value: U256::ZERO,
        input,
    };
    let listed = TxEip2930 {
        chain_id: world.spec.chain_id,
        nonce: 2,
        gas_price: PRICE,
        gas_limit: 100_000,
        to,
        access_list: access_list.clone(),
        input: input.clone(),
        ..TxEip2930::default()
    };
    let authorization = Authorization {
        chain_id: U256::from(world.spec.chain_id),
        address: contract,
        nonce: 0,
    };
    let signature = signer("carol")
        .sign_hash_sync(&authorization.signature_hash())
        .unwrap();
    let delegating = TxEip7702 {
        chain_id: world.spec.chain_id,
        nonce: 3,
        gas_limit: 200_000,
        max_fee_per_gas: PRICE,
        max_priority_fee_per_gas: 1,
        to: contract,
        value: U256::ZERO,
        access_list,
        authorization_list: vec![authorization.into_signed(signature)],
        input: input.clone(),
    };
    let create = legacy(
        Some(world.spec.chain_id),
        0,
        TxKind::Create,
        init_code(ECHO),
    );
    const NEW: &[Field] = &[CREATES];
    const CALL: &[Field] = &[TO];
    vec![
        (sign(world, create), vec![LEGACY, NEW]),
        (sign(world, legacy(None, 1, to, input)), vec![LEGACY, CALL]),
        (sign(world, listed), vec![TYPED, CALL]),
        (
            sign(world, delegating),
            vec![TYPED, DYNAMIC, DELEGATING, CALL],
        ),
    ]
}

#[tokio::test]
async fn blocks_transactions_receipts_and_logs_have_the_fields_of_the_specification() {
    let world = World::new();
    let mut sent = every_type(&world);
    let dynamic = TransactionRequest::default()
        .with_to(world.alice.address().create(0))
        .with_input(vec![0x22; 32])
        .with_gas_limit(100_000);
    let dynamic = world.signed(dynamic, 4, 3).await;
    sent.push((dynamic, vec![TYPED, DYNAMIC, &[TO]]));

    let mut hashes = Vec::new();
    for (raw, own) in &sent {
        let hash = world.ask("eth_sendRawTransaction", json!([raw])).await;
        let waiting = world.ask("eth_getTransactionByHash", json!([hash])).await;
        let tables = [&[SIGNED, PENDING][..], own].concat();
        // What it will pay is known only in a block.
        conforms("a pending transaction", &waiting, &tables);
        hashes.push(hash);
    }
    assert_eq!(world.mine().block.transactions.len(), sent.len());

    const HASHES: &[Field] = &[("transactions", Array(&HASH), MUST)];
    let block = world
        .ask("eth_getBlockByNumber", json!(["0x1", false]))
        .await;
    conforms("a block of hashes", &block, &[BLOCK, HASHES]);
    let mut whole = world
        .ask("eth_getBlockByNumber", json!(["0x1", true]))
        .await;
    let transactions = whole["transactions"].take();
    conforms(
        "a whole block",
        &whole,
        &[BLOCK, &[("transactions", Null, MUST)]],
    );
    let genesis = world
        .ask("eth_getBlockByNumber", json!(["0x0", true]))
        .await;
    conforms(
        "genesis",
        &genesis,
        &[BLOCK, &[("transactions", Array(&Null), MUST)]],
    );

    let receipts = world.ask("eth_getBlockReceipts", json!(["0x1"])).await;
    for (index, ((hash, (_, own)), kind)) in hashes
        .iter()
        .zip(&sent)
        .zip(["0x0", "0x0", "0x1", "0x4", "0x2"])
        .enumerate()
    {
        let tx = world.ask("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!(tx["type"], kind);
        conforms(kind, &tx, &[&[SIGNED, MINED][..], own].concat());
        assert_eq!(transactions[index], tx);

        let receipt = world.ask("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["type"], kind);
        assert_eq!(receipts[index], receipt);
        let creates = tx["to"].is_null();
        const CREATED: &[Field] = &[CREATES, ("contractAddress", ADDRESS, MUST)];
        const CALLED: &[Field] = &[TO, ("contractAddress", Null, MUST)];
        conforms(
            "a receipt",
            &receipt,
            &[RECEIPT, if creates { CREATED } else { CALLED }],
        );
        assert_eq!(receipt["logs"].as_array().unwrap().is_empty(), creates);
    }

    let logs = world
        .ask("eth_getLogs", json!([{"fromBlock": "0x1"}]))
        .await;
    assert_eq!(logs.as_array().unwrap().len(), 4);
    for (index, log) in logs.as_array().unwrap().iter().enumerate() {
        conforms("a log", log, &[LOG]);
        assert_eq!(log["logIndex"], format!("{index:#x}"));
        assert_eq!(log["removed"], json!(false));
    }
}

#[tokio::test]
async fn fee_history_proof_and_access_list_have_the_fields_of_the_specification() {
    let world = World::new();
    for nonce in 0..3 {
        let raw = world.transfer(nonce, 5).await;
        world.ask("eth_sendRawTransaction", json!([raw])).await;
        world.mine();
    }
    let history = world
        .ask("eth_feeHistory", json!(["0x2", "latest", [25, 75]]))
        .await;
    conforms("a fee history", &history, &[FEE_HISTORY]);
    let length = |field: &str| history[field].as_array().unwrap().len();
    // One base fee more than blocks: the next block's.
    assert_eq!(
        (
            length("baseFeePerGas"),
            length("gasUsedRatio"),
            length("reward")
        ),
        (3, 2, 2)
    );
    assert_eq!(history["oldestBlock"], "0x2");
    assert_eq!(history["reward"][0], json!(["0x5", "0x5"]));

    let slot = B256::with_last_byte(3);
    let proof = world
        .ask(
            "eth_getProof",
            json!([world.alice.address(), [slot], "latest"]),
        )
        .await;
    conforms("a proof", &proof, &[PROOF]);
    // A key that was asked for as a quantity comes back as one.
    let proof = world
        .ask(
            "eth_getProof",
            json!([world.alice.address(), ["0x3"], "latest"]),
        )
        .await;
    assert_eq!(proof["storageProof"][0]["key"], "0x3");

    let list = world
        .ask(
            "eth_createAccessList",
            json!([{"to": Address::repeat_byte(1)}]),
        )
        .await;
    conforms("an access list", &list, &[ACCESS_LIST_RESULT]);
}

#[test]
fn the_tables_refuse_what_they_must() {
    let good = json!({"address": Address::ZERO, "storageKeys": [B256::ZERO]});
    assert_eq!(odd_field(&good, &[ACCESS]), None);
    for (bad, word) in [
        (json!({"address": Address::ZERO}), "missing"),
        (json!({"address": "0x00", "storageKeys": []}), "Bytes(20)"),
        (
            json!({"address": Address::ZERO, "storageKeys": ["0x1"]}),
            "Bytes(32)",
        ),
        (
            json!({"address": Address::ZERO, "storageKeys": [], "more": 1}),
            "not of the specification",
        ),
    ] {
        let fault = odd_field(&bad, &[ACCESS]).unwrap();
        assert!(fault.contains(word), "{fault}");
    }
    for (value, form) in [
        ("0x01", Quantity),
        ("0x", Quantity),
        ("1", Quantity),
        ("0xA", Quantity),
        ("0x2", Bit),
        ("0x123", Data),
    ] {
        assert!(fault(&json!(value), form).is_some(), "{value} {form:?}");
    }
    assert_eq!(fault(&json!("0x0"), Quantity), None);
    assert_eq!(fault(&json!("0x"), Data), None);
}
