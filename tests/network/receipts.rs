//! What a receipt proves to somebody who holds a chain spec and no node, and what it cannot.

use crate::TURN;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U64, U256};
use alloy_provider::Provider as _;
use alloy_rlp::Decodable;
use hallmark_client::receipt::{self, Field, ReceiptInput};
use hallmark_client::{Client, OrderReceipt, ReceiptError};
use hallmark_consensus::certificate::{self, CertificateError};
use hallmark_e2e::{Party, SOON, World};
use hallmark_node::devnet;
use hallmark_types::{ChainSpec, Committee};
use serde_json::{Value, json};
use std::time::Duration;

/// What `verify` has against a receipt.
fn refusal(what: &str, receipt: &OrderReceipt, spec: &ChainSpec) -> ReceiptError {
    match receipt::verify(receipt, spec) {
        Ok(_) => panic!("{what} was accepted"),
        Err(error) => error,
    }
}

fn header(bytes: &Bytes) -> Header {
    Header::decode(&mut &bytes[..]).expect("a header")
}

/// A copy with a change.
fn changed(receipt: &OrderReceipt, change: impl FnOnce(&mut OrderReceipt)) -> OrderReceipt {
    let mut receipt = receipt.clone();
    change(&mut receipt);
    receipt
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_good_for_its_own_chain_and_for_nothing_else() {
    let _turn = TURN.lock().await;
    let world = World::start().await;
    let provider = world.provider(Party::Seller, 0, "seller").await;
    let buyer = world.client(Party::Buyer, 1).await;
    let (id, paid) = world.order_and_wait(&buyer, 1).await;
    let (other_id, _) = world.order_and_wait(&buyer, 2).await;
    provider.stop().await;
    let spec = world.spec().as_ref().clone();
    let good = world.receipt(&buyer, id).await;
    let other = world.receipt(&buyer, other_id).await;
    let verified = receipt::verify(&good, &spec).expect("an honest receipt");
    assert_eq!(verified.order_id, id);
    assert_eq!(verified.transaction, paid.transaction);
    assert_eq!(verified.input, Some(world.input(1)));
    let output = world.output(&world.trace(&world.input(1)));
    assert_eq!(verified.output, Some(output));
    // The file round-trips.
    let text = serde_json::to_string(&good).expect("JSON");
    let back: OrderReceipt = serde_json::from_str(&text).expect("a receipt");
    assert_eq!(back, good);

    forged_certificates(&good, &other, &spec);
    other_chains(&good, &spec);
    changed_parts(&good, &other, &spec);
    a_failed_delivery(&world, &buyer, &good).await;
    world.assert_agreement_and_conservation();
}

/// The validators of the first epoch, in which this test's few blocks are.
fn set(spec: &ChainSpec) -> Committee {
    hallmark_consensus::genesis_committee(spec, 0).expect("the spec knows them")
}

fn forged_certificates(good: &OrderReceipt, other: &OrderReceipt, spec: &ChainSpec) {
    let paying = header(&good.header);

    // Judged by a spec with another validator set, the honest certificate means nothing.
    let seeds = [[1; 32], [2; 32], [3; 32], [4; 32]];
    let mut strangers = spec.clone();
    for (validator, seed) in strangers.validators.iter_mut().zip(&seeds) {
        validator.public_key = hallmark_consensus::public_key_of(seed);
    }
    let error = refusal("a certificate by others", good, &strangers);
    assert!(
        matches!(
            error,
            ReceiptError::Certificate(CertificateError::BadSignatures)
        ),
        "{error}"
    );
    // A self-made validator set signs whatever its maker wants; the reader's spec decides.
    let forged = certificate::assemble(&strangers, &set(&strangers), &seeds, &paying)
        .expect("their certificate");
    let forged = changed(good, |r| {
        r.descendants.clear();
        r.certificate = forged.into();
    });
    receipt::verify(&forged, &strangers).expect("to its maker it looks sound");
    let error = refusal("a self-made validator set", &forged, spec);
    assert!(
        matches!(
            error,
            ReceiptError::Certificate(CertificateError::BadSignatures)
        ),
        "{error}"
    );
    // Two of the true validators are no quorum; three are.
    let validators: Vec<[u8; 32]> = (0..4).map(devnet::validator_key).collect();
    for (signers, accepted) in [(2, false), (3, true)] {
        let signed = certificate::assemble(spec, &set(spec), &validators[..signers], &paying);
        let signed = changed(good, |r| {
            r.descendants.clear();
            r.certificate = signed.expect("a certificate").into();
        });
        match receipt::verify(&signed, spec) {
            Ok(_) => assert!(accepted, "{signers} signers are too few"),
            Err(ReceiptError::Certificate(CertificateError::TooFewSigners { .. })) => {
                assert!(!accepted, "{signers} signers are enough")
            }
            Err(error) => panic!("{signers} signers: {error}"),
        }
    }

    // A valid certificate of another block.
    let last = |r: &OrderReceipt| header(r.descendants.last().unwrap_or(&r.header)).hash_slow();
    assert_ne!(last(good), last(other), "two blocks, two certificates");
    let swapped = changed(good, |r| r.certificate = other.certificate.clone());
    let error = refusal("a certificate of another block", &swapped, spec);
    assert!(
        matches!(
            error,
            ReceiptError::Certificate(CertificateError::AnotherBlock { .. })
        ),
        "{error}"
    );
    // Another final block altogether: this transaction is not in it.
    let moved = changed(good, |r| {
        r.header = other.header.clone();
        r.descendants = other.descendants.clone();
        r.certificate = other.certificate.clone();
    });
    let error = refusal("another final block", &moved, spec);
    assert!(
        matches!(error, ReceiptError::TransactionInclusion(_)),
        "{error}"
    );
}

fn other_chains(good: &OrderReceipt, spec: &ChainSpec) {
    let elsewhere = changed(good, |r| r.chain_id += 1);
    let error = refusal("another chain id", &elsewhere, spec);
    assert!(matches!(error, ReceiptError::OtherChain { .. }), "{error}");
    // The same validators on another chain: their votes are not for it.
    let mut sister = spec.clone();
    sister.chain_id += 1;
    let error = refusal("a receipt of a sister chain", good, &sister);
    assert!(matches!(error, ReceiptError::OtherChain { .. }), "{error}");
    let error = refusal("votes of a sister chain", &elsewhere, &sister);
    assert!(
        matches!(
            error,
            ReceiptError::Certificate(CertificateError::BadSignatures)
        ),
        "{error}"
    );
}

fn changed_parts(good: &OrderReceipt, other: &OrderReceipt, spec: &ChainSpec) {
    let error = |what: &str, change: &dyn Fn(&mut OrderReceipt)| {
        refusal(what, &changed(good, |r| change(r)), spec)
    };
    let proof = error("another proof", &|r| r.proof = other.proof.clone());
    assert!(
        matches!(proof, ReceiptError::Delivered(Field::Proof)),
        "{proof}"
    );
    let output = error("another output", &|r| r.output = other.output.clone());
    assert!(
        matches!(output, ReceiptError::Differs(Field::Output)),
        "{output}"
    );
    let input = error("another input", &|r| r.input = other.input.clone());
    assert!(
        matches!(input, ReceiptError::Differs(Field::Input)),
        "{input}"
    );
    let seller = error("another seller", &|r| r.seller.0[0] ^= 1);
    assert!(
        matches!(seller, ReceiptError::Differs(Field::Seller)),
        "{seller}"
    );
    let key = error("another key", &|r| {
        let mut bytes = r.verifying_key.to_vec();
        bytes[10] ^= 1;
        r.verifying_key = bytes.into();
    });
    assert!(matches!(key, ReceiptError::Differs(Field::Key)), "{key}");
    let order = error("another order", &|r| r.order_id = other.order_id);
    assert!(matches!(order, ReceiptError::NotPaid(_)), "{order}");
    let outcome = error("another outcome", &|r| r.receipt = other.receipt.clone());
    assert!(
        matches!(outcome, ReceiptError::ReceiptInclusion(_)),
        "{outcome}"
    );
    let transaction = error("another delivery", &|r| {
        r.transaction = other.transaction.clone();
    });
    assert!(
        matches!(transaction, ReceiptError::TransactionInclusion(_)),
        "{transaction}"
    );
}

/// A cheat's refused delivery, truly in a final block, dressed as a receipt.
async fn a_failed_delivery(world: &World, buyer: &Client, good: &OrderReceipt) {
    let cheat = world.bonded_client(Party::Cheat, 2).await;
    let input = world.input(3);
    let id = world.order(buyer, &input).await;
    cheat.claim(id).await.expect("a claim");
    let trace = world.trace(&input);
    let proof = world.prove(&cheat, id, &trace).await;
    let mut output = world.output(&trace);
    output.swap(0, 1);
    let verdict = world.deliver(&cheat, id, &output, &proof).await;
    let (hash, _) = verdict.expect_err("the lie is refused on chain");
    let order = cheat.get_order(id).await.expect("the order");
    let inclusion = inclusion(&cheat, hash).await;
    let bytes = |value: &Value| -> Bytes { serde_json::from_value(value.clone()).expect("bytes") };
    let list = |value: &Value| -> Vec<Bytes> {
        serde_json::from_value(value.clone()).expect("a list of bytes")
    };
    let index: U64 = serde_json::from_value(inclusion["index"].clone()).expect("an index");
    let failed = OrderReceipt {
        order_id: id,
        input: ReceiptInput::Public {
            input: world.model.graph.encode_input(&input).into(),
        },
        output: world.model.graph.encode_output(&output).into(),
        proof: proof.into(),
        seller: order.seller,
        anchor: order.anchor,
        context: cheat.context_of(&order),
        transaction: bytes(&inclusion["transaction"]),
        transaction_index: index.to(),
        transaction_proof: list(&inclusion["transactionProof"]),
        receipt: bytes(&inclusion["receipt"]),
        receipt_proof: list(&inclusion["receiptProof"]),
        header: bytes(&inclusion["finality"]["header"]),
        descendants: list(&inclusion["finality"]["descendants"]),
        certificate: bytes(&inclusion["finality"]["certificate"]),
        ..good.clone()
    };
    let error = refusal("a failed delivery", &failed, world.spec());
    assert!(matches!(error, ReceiptError::FailedTransaction), "{error}");
    assert_eq!(failed.order_id, U256::from(3));
}

/// `hallmark_inclusion`, as soon as a certificate covers the block.
async fn inclusion(client: &Client, transaction: B256) -> Value {
    let asked = async {
        loop {
            let provider = client.provider();
            let answer =
                provider.raw_request::<_, Value>("hallmark_inclusion".into(), json!([transaction]));
            if let Ok(answer) = answer.await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let asked = tokio::time::timeout(SOON, asked).await;
    asked.expect("a certificate comes")
}
