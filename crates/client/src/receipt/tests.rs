//! Receipts over synthetic blocks: each forgery is refused for its own reason. Certificates and
//! whole receipts of a running network are tested end to end.

use super::{
    Field, OrderReceipt, ReceiptError, ReceiptInput, Revealed, VERSION,
    verify::{check_delivery, check_statement, final_header, included_transaction, payment},
};
use crate::OrderSecret;
use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxEnvelope,
    TxReceipt as _,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, SolEvent};
use hallmark_abi::IInference;
use hallmark_proof::InputSecret;
use hallmark_types::{ChainSpec, addresses::INFERENCE, merkle, order_context};
use std::collections::BTreeMap;

const CHAIN: u64 = 1618;

/// How a synthetic block is made.
struct World {
    chain: u64,
    to: Address,
    success: bool,
    emitter: Address,
}

impl Default for World {
    fn default() -> Self {
        Self {
            chain: CHAIN,
            to: INFERENCE,
            success: true,
            emitter: INFERENCE,
        }
    }
}

fn spec() -> ChainSpec {
    ChainSpec::local(0, Vec::new(), BTreeMap::new(), Address::repeat_byte(9))
}

fn transaction(chain: u64, to: Address, data: Vec<u8>) -> TxEnvelope {
    let mut transaction = TxEip1559 {
        chain_id: chain,
        gas_limit: 100_000,
        to: TxKind::Call(to),
        input: data.into(),
        ..TxEip1559::default()
    };
    let key = PrivateKeySigner::from_bytes(&B256::repeat_byte(5)).unwrap();
    let signature = key.sign_transaction_sync(&mut transaction).unwrap();
    transaction.into_signed(signature).into()
}

/// A block whose second transaction delivers order 7, with its receipt.
fn receipt(world: &World) -> OrderReceipt {
    let (order_id, model) = (U256::from(7), B256::repeat_byte(1));
    let (seller, anchor) = (Address::repeat_byte(2), B256::repeat_byte(3));
    let context = order_context(CHAIN, order_id, model, seller, anchor);
    let (key, input) = (Bytes::from_static(b"key"), Bytes::from_static(b"input"));
    let (output, proof) = (Bytes::from_static(b"output"), Bytes::from_static(b"proof"));
    let call = IInference::deliverCall {
        id: order_id,
        output: output.clone(),
        proof: proof.clone(),
    };
    let transactions = vec![
        transaction(CHAIN, Address::ZERO, Vec::new()),
        transaction(world.chain, world.to, call.abi_encode()),
        transaction(CHAIN, Address::ZERO, vec![1]),
    ];
    let paid = IInference::Paid {
        id: order_id,
        model,
        seller,
        buyer: Address::repeat_byte(4),
        digest: B256::from(*blake3::hash(&key).as_bytes()),
        inputHash: keccak256(&input),
        outputHash: keccak256(&output),
        context,
        anchor,
        toSeller: U256::from(88),
        toOwner: U256::from(10),
        toNetwork: U256::from(2),
    };
    let log = Log {
        address: world.emitter,
        data: paid.encode_log_data(),
    };
    let envelope = |success: bool, logs: Vec<Log>| {
        let receipt = Receipt {
            status: Eip658Value::Eip658(success),
            cumulative_gas_used: 1,
            logs,
        };
        ReceiptEnvelope::Eip1559(receipt.into_with_bloom())
    };
    let receipts = vec![
        envelope(true, vec![]),
        envelope(world.success, vec![log]),
        envelope(true, vec![]),
    ];
    let header = Header {
        number: 5,
        transactions_root: merkle::transactions_root(&transactions),
        receipts_root: merkle::receipts_root(&receipts),
        ..Header::default()
    };
    OrderReceipt {
        version: VERSION,
        chain_id: CHAIN,
        order_id,
        model,
        verifying_key: key,
        input: ReceiptInput::Public { input },
        output,
        proof,
        seller,
        anchor,
        context,
        transaction: transactions[1].encoded_2718().into(),
        transaction_index: 1,
        transaction_proof: merkle::prove_transaction(&transactions, 1).unwrap(),
        receipt: receipts[1].encoded_2718().into(),
        receipt_proof: merkle::prove_receipt(&receipts, 1).unwrap(),
        header: alloy_rlp::encode(&header).into(),
        descendants: Vec::new(),
        certificate: Bytes::new(),
    }
}

fn header(receipt: &OrderReceipt) -> Header {
    alloy_rlp::Decodable::decode(&mut &receipt.header[..]).unwrap()
}

/// All checks between the certificate and the proof.
fn check(receipt: &OrderReceipt) -> Result<bool, ReceiptError> {
    let header = header(receipt);
    let transaction = included_transaction(receipt, &spec(), &header)?;
    let paid = payment(receipt, &header)?;
    check_statement(receipt, &paid)?;
    check_delivery(receipt, &transaction)
}

#[test]
fn an_honest_receipt_passes() {
    assert!(check(&receipt(&World::default())).unwrap());
}

#[test]
fn a_delivery_through_a_contract_is_bound_by_its_hashes() {
    let world = World {
        to: Address::repeat_byte(8),
        ..World::default()
    };
    assert!(!check(&receipt(&world)).unwrap());
}

#[test]
fn a_failed_transaction_is_refused() {
    let world = World {
        success: false,
        ..World::default()
    };
    assert!(matches!(
        check(&receipt(&world)),
        Err(ReceiptError::FailedTransaction)
    ));
}

#[test]
fn a_transaction_of_another_chain_is_refused() {
    let world = World {
        chain: 1,
        ..World::default()
    };
    let refused = check(&receipt(&world)).unwrap_err();
    assert!(
        matches!(
            refused,
            ReceiptError::TransactionChain { found: Some(1), .. }
        ),
        "{refused}"
    );
}

#[test]
fn a_payment_that_another_contract_claims_is_refused() {
    let world = World {
        emitter: Address::repeat_byte(8),
        ..World::default()
    };
    assert!(matches!(
        check(&receipt(&world)),
        Err(ReceiptError::NotPaid(_))
    ));
}

#[test]
fn a_receipt_for_another_order_is_refused() {
    let mut receipt = receipt(&World::default());
    receipt.order_id = U256::from(8);
    assert!(matches!(check(&receipt), Err(ReceiptError::NotPaid(_))));
}

#[test]
fn every_changed_part_is_refused_by_its_name() {
    type Change = fn(&mut OrderReceipt);
    let changes: [(Field, Change); 7] = [
        (Field::Model, |r| r.model = B256::ZERO),
        (Field::Seller, |r| r.seller = Address::ZERO),
        (Field::Key, |r| r.verifying_key = Bytes::from_static(b"kex")),
        (Field::Input, |r| {
            let input = Bytes::from_static(b"inpux");
            r.input = ReceiptInput::Public { input };
        }),
        (Field::Output, |r| r.output = Bytes::from_static(b"outpux")),
        (Field::Anchor, |r| r.anchor = B256::ZERO),
        (Field::Context, |r| r.context = B256::ZERO),
    ];
    for (field, change) in changes {
        let mut receipt = receipt(&World::default());
        change(&mut receipt);
        let refused = check(&receipt).unwrap_err();
        assert!(
            matches!(refused, ReceiptError::Differs(f) if f == field),
            "{field}: {refused}"
        );
    }
    let mut receipt = receipt(&World::default());
    receipt.proof = Bytes::from_static(b"proox");
    let refused = check(&receipt).unwrap_err();
    assert!(
        matches!(refused, ReceiptError::Delivered(Field::Proof)),
        "{refused}"
    );
}

#[test]
fn transactions_and_receipts_of_another_place_are_refused() {
    let honest = receipt(&World::default());
    let mut moved = honest.clone();
    moved.transaction_index = 2;
    assert!(matches!(
        check(&moved),
        Err(ReceiptError::TransactionInclusion(_))
    ));
    let mut failed = honest.clone();
    let other = receipt(&World {
        success: false,
        ..World::default()
    });
    failed.receipt = other.receipt;
    assert!(matches!(
        check(&failed),
        Err(ReceiptError::ReceiptInclusion(_))
    ));
    let mut other_block = honest;
    other_block.header = alloy_rlp::encode(Header::default()).into();
    assert!(matches!(
        check(&other_block),
        Err(ReceiptError::TransactionInclusion(_))
    ));
}

/// Whom the spec knows.
fn first_epochs(epoch: u64) -> Option<hallmark_types::Committee> {
    hallmark_consensus::genesis_committee(&spec(), epoch)
}

#[test]
fn headers_that_do_not_follow_one_another_are_refused() {
    let mut receipt = receipt(&World::default());
    let parent = header(&receipt);
    let stranger = Header {
        number: 6,
        ..Header::default()
    };
    receipt.descendants = vec![alloy_rlp::encode(&stranger).into()];
    assert!(matches!(
        final_header(&receipt, &spec(), &first_epochs),
        Err(ReceiptError::BrokenChain(1))
    ));
    let child = Header {
        number: 7,
        parent_hash: parent.hash_slow(),
        ..Header::default()
    };
    receipt.descendants = vec![alloy_rlp::encode(&child).into()];
    assert!(matches!(
        final_header(&receipt, &spec(), &first_epochs),
        Err(ReceiptError::BrokenChain(1))
    ));
    let child = Header {
        number: 6,
        parent_hash: parent.hash_slow(),
        ..Header::default()
    };
    receipt.descendants = vec![alloy_rlp::encode(&child).into()];
    // Linked, but nobody signed.
    assert!(matches!(
        final_header(&receipt, &spec(), &first_epochs),
        Err(ReceiptError::Certificate(_))
    ));
    receipt.descendants = vec![Bytes::new(); super::MAX_DESCENDANTS + 1];
    assert!(matches!(
        final_header(&receipt, &spec(), &first_epochs),
        Err(ReceiptError::TooManyHeaders)
    ));
    let mut padded = receipt.clone();
    padded.descendants.clear();
    padded.header = [&padded.header[..], &[0]].concat().into();
    let refused = final_header(&padded, &spec(), &first_epochs);
    assert!(matches!(
        refused,
        Err(ReceiptError::Header { position: 0, .. })
    ));
}

#[test]
fn other_versions_and_chains_are_refused_before_anything_is_read() {
    let honest = receipt(&World::default());
    let old = OrderReceipt {
        version: 0,
        ..honest.clone()
    };
    assert!(matches!(
        super::verify(&old, &spec()),
        Err(ReceiptError::Version(0))
    ));
    let old = br#"{"version":1,"chainId":1618,"input":"0x00"}"#;
    assert!(matches!(
        OrderReceipt::from_json(old),
        Err(ReceiptError::Version(1))
    ));
    let other = OrderReceipt {
        chain_id: 1,
        ..honest
    };
    let refused = super::verify(&other, &spec());
    assert!(matches!(
        refused,
        Err(ReceiptError::OtherChain {
            expected: CHAIN,
            found: 1
        })
    ));
}

#[test]
fn a_receipt_is_the_same_after_writing_and_reading_and_unknown_fields_are_refused() {
    let honest = receipt(&World::default());
    let mut json = serde_json::to_value(&honest).unwrap();
    assert_eq!(
        serde_json::from_value::<OrderReceipt>(json.clone()).unwrap(),
        honest
    );
    json["trusted"] = true.into();
    assert!(serde_json::from_value::<OrderReceipt>(json).is_err());
}

#[test]
fn a_sealed_receipt_says_no_more_than_the_commitment_unless_it_is_revealed() {
    let mut sealed = receipt(&World::default());
    let (commitment, secret) = (B256::repeat_byte(6), B256::repeat_byte(0x5e));
    sealed.input = ReceiptInput::Sealed {
        commitment,
        revealed: None,
    };
    let json = serde_json::to_value(&sealed).unwrap();
    let expected = serde_json::json!({ "mode": "sealed", "commitment": commitment });
    assert_eq!(json["input"], expected);
    let text = serde_json::to_vec(&sealed).unwrap();
    assert_eq!(OrderReceipt::from_json(&text).unwrap(), sealed);
    let revealed = sealed.clone().reveal(&OrderSecret {
        secret: InputSecret::from_bytes(secret.0),
        input: Bytes::from_static(b"input"),
    });
    let expected = Revealed {
        input: Bytes::from_static(b"input"),
        secret,
    };
    assert!(
        matches!(&revealed.input, ReceiptInput::Sealed { revealed: Some(r), .. } if *r == expected)
    );
    let text = serde_json::to_vec(&revealed).unwrap();
    assert_eq!(OrderReceipt::from_json(&text).unwrap(), revealed);
    let refused = check(&sealed).unwrap_err();
    assert!(
        matches!(refused, ReceiptError::Differs(Field::Commitment)),
        "{refused}"
    );
}
