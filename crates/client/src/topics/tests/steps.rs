//! The steps of a score topic's owner and workers, against a node that answers as a test wants it to.

use super::super::{
    Kind, Payload, Role, SaltStore, Stage, Submission, Topics,
    score::{Prover, TestSet, TestSetFault},
    work::{Desk, Shift, ShiftError, Silent, Told, View, advance_if_due},
};
use super::desks::{slot, view};
use super::node::{Double, Said};
use crate::{Client, ClientError};
use alloy_primitives::{B256, Bytes, U256, hex};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, SolError};
use hallmark_abi::ITopics::{self, Mechanism};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const TOPIC: U256 = U256::from_limbs([1, 0, 0, 0]);

fn answer<C: SolCall>(returns: &C::Return) -> Said {
    Ok(json!(Bytes::from(C::abi_encode_returns(returns))))
}

/// Call data of an `eth_call`.
fn data(params: &Value) -> Bytes {
    let call = &params[0];
    let data = call.get("input").or(call.get("data"));
    serde_json::from_value(data.cloned().unwrap()).unwrap()
}

/// A client with a key at a node that answers calls of views so, and fails everything else.
async fn topics(mut call: impl FnMut(&[u8]) -> Said + Send + 'static) -> (Topics, Double) {
    let node = Double::start(move |method, params| match method {
        "eth_call" => call(&data(params)),
        _ => Err((-32603, "internal error: nothing is sent here")),
    })
    .await;
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).unwrap();
    let client = Client::connect(&node.url, Some(signer)).await.unwrap();
    (client.topics(), node)
}

fn store() -> (tempfile::TempDir, SaltStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    (folder, store)
}

fn test_set() -> TestSet {
    TestSet::new([(&b"one"[..], 0), (b"two", 1)]).unwrap()
}

/// A topic of scores whose next epoch is due.
fn scores() -> View {
    let mut view = view();
    view.mechanisms[0].kind = Kind::Score;
    view.topic.stage = Stage::Done;
    view.now_ms = view.topic.stage_end_ms;
    view
}

#[tokio::test]
async fn an_epoch_of_scores_alone_is_opened_when_there_is_a_test_set_and_not_before() {
    for (commitment, kind, stage, advances) in [
        (B256::ZERO, Kind::Score, Stage::Done, false),
        (B256::repeat_byte(7), Kind::Score, Stage::Done, true),
        // What has begun is brought to its end in any case.
        (B256::ZERO, Kind::Score, Stage::Sealed, true),
        (B256::ZERO, Kind::Yuma, Stage::Done, true),
    ] {
        let (topics, node) = topics(move |_| {
            answer::<ITopics::testSetCall>(&ITopics::testSetReturn {
                commitment,
                samples: Bytes::new(),
            })
        })
        .await;
        let mut view = scores();
        view.mechanisms[0].kind = kind;
        view.topic.stage = stage;
        let advanced = advance_if_due(&topics, &view).await;
        let others = node.methods().into_iter().any(|name| name != "eth_call");
        assert_eq!(others, advances, "{kind} {stage:?}");
        // The node refuses to send, which shows that it was asked to.
        assert_eq!(advanced.is_err(), advances);
        assert!(advances || !advanced.unwrap());
    }
    let (topics, node) = topics(|_| Err((-32603, "internal error: not asked"))).await;
    let mut early = scores();
    early.now_ms -= 1;
    assert!(!advance_if_due(&topics, &early).await.unwrap());
    assert!(node.methods().is_empty());
}

#[tokio::test]
async fn a_test_set_that_is_sent_to_be_opened_is_noted_whatever_becomes_of_it() {
    let (topics, _node) = topics(|_| Err((-32603, "internal error: down"))).await;
    let (_folder, store) = store();
    let kept = store.prepare_test_set(1618, TOPIC, 7, &test_set()).unwrap();
    assert!(!store.was_sent(&kept).unwrap());
    assert!(topics.reveal_test_set(&store, &kept).await.is_err());
    assert!(store.was_sent(&kept).unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn a_test_set_that_cannot_be_noted_is_not_sent() {
    let (topics, node) = topics(|_| Err((-32603, "internal error: down"))).await;
    let (folder, store) = store();
    let kept = store.prepare_test_set(1618, TOPIC, 7, &test_set()).unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    let failed = topics.reveal_test_set(&store, &kept).await.unwrap_err();
    assert!(matches!(failed, ClientError::Salt(_)), "{failed}");
    assert!(node.methods().is_empty(), "{:?}", node.methods());
}

#[tokio::test]
async fn a_sample_that_the_chain_knows_is_refused_before_anything_is_kept() {
    for spent in [None, Some(&b"one"[..]), Some(b"two"), Some(b"three")] {
        let spent = spent.map(alloy_primitives::keccak256);
        let (topics, node) = topics(move |data| {
            if data.starts_with(&ITopics::mechanismsCall::SELECTOR) {
                return answer::<ITopics::mechanismsCall>(&vec![Mechanism {
                    kind: ITopics::Kind::Score,
                    shareBps: 10_000,
                    params: Bytes::new(),
                }]);
            }
            let asked = ITopics::sampleUsedCall::abi_decode_validate(data).unwrap();
            answer::<ITopics::sampleUsedCall>(&(Some(asked.digest) == spent))
        })
        .await;
        let (_folder, store) = store();
        let prepared = topics.prepare_test_set(&store, TOPIC, 7, &test_set()).await;
        let place = [&b"one"[..], b"two"]
            .iter()
            .position(|input| Some(alloy_primitives::keccak256(input)) == spent);
        let kept = store.find_test_sets(1618, TOPIC, 7).unwrap();
        match place {
            Some(place) => {
                let refused = prepared.unwrap_err();
                let fault = TestSetFault::Spent(place);
                assert!(
                    matches!(&refused, ClientError::TestSet(found) if *found == fault),
                    "{refused}"
                );
                assert!(kept.is_empty());
            }
            None => assert_eq!(kept, [prepared.unwrap()]),
        }
        assert!(node.methods().iter().all(|name| name == "eth_call"));
    }
}

/// A desk with a model that is committed to, at a node that refuses to open it so.
async fn opening(refusal: Vec<u8>) -> (Desk, Double, View, tempfile::TempDir) {
    let refusal: &'static str = Box::leak(hex::encode_prefixed(refusal).into_boxed_str());
    let node = Double::start(move |method, _| match method {
        "eth_estimateGas" => Err((3, refusal)),
        "eth_getTransactionCount" => Ok(json!("0x0")),
        _ => Err((-32603, "internal error: nothing is sent here")),
    })
    .await;
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).unwrap();
    let operator = signer.address();
    let client = Client::connect(&node.url, Some(signer)).await.unwrap();
    let (folder, store) = store();
    let (id, mut view) = (B256::repeat_byte(5), scores());
    let of = Submission {
        topic: view.topic.id,
        epoch: view.topic.epoch,
        mechanism: 0,
        slot: 0,
    };
    let policy = &view.topic.policy;
    let payload = Payload::check(of, Kind::Score, Role::Worker, policy, &id.0).unwrap();
    store.prepare(1618, operator, of, &payload).unwrap();
    let prover = Prover::new(hallmark_graph::testing::random_model(3)).unwrap();
    let desk = Desk::new(client.topics(), store, slot(0, operator), false);
    view.topic.stage = Stage::Sealed;
    view.now_ms = view.topic.stage_end_ms - 1_000;
    (desk.with_model(Arc::new(prover), id), node, view, folder)
}

fn tries(node: &Double) -> usize {
    let methods = node.methods();
    methods
        .iter()
        .filter(|name| *name == "eth_estimateGas")
        .count()
}

#[tokio::test]
async fn a_model_that_came_too_late_for_sealed_is_opened_in_lag() {
    let late = ITopics::TooLate {
        closedAtMs: 1,
        nowMs: 2,
    };
    let (mut desk, node, mut view, _folder) = opening(late.abi_encode()).await;
    let limit = Duration::from_secs(1);
    assert!(
        desk.act(&view, &mut Silent, limit)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(tries(&node), 1);
    view.topic.stage = Stage::Lag;
    // Too late for Lag too: that is told, and not tried again.
    let deeds = desk.act(&view, &mut Silent, limit).await.unwrap();
    assert_eq!((deeds.len(), tries(&node)), (1, 2), "{deeds:?}");
    view.now_ms = view.topic.stage_end_ms - 100;
    desk.act(&view, &mut Silent, limit).await.unwrap();
    assert_eq!(tries(&node), 2);
}

#[tokio::test]
async fn a_model_that_is_refused_for_another_reason_is_not_opened_again() {
    let wrong = ITopics::NotOperator {
        operator: alloy_primitives::Address::ZERO,
    };
    let (mut desk, node, view, _folder) = opening(wrong.abi_encode()).await;
    let limit = Duration::from_secs(1);
    for _ in 0..2 {
        desk.act(&view, &mut Silent, limit).await.unwrap();
        assert_eq!(tries(&node), 1);
    }
}

/// A node with one topic without slots; its first answer about the time fails.
async fn resting(retired: bool) -> Double {
    let policy = ITopics::Policy {
        openMs: 1,
        sealedMs: 0,
        lagMs: 0,
        revealMs: 1,
        epochMs: 2,
        maxWorkers: 1,
        maxForecasters: 0,
        maxReputers: 0,
        immunityMs: 0,
        minBond: 1,
        submitFee: 0,
        vestingMs: 0,
        ownerBps: 0,
        valueMin: 0,
        valueMax: 0,
    };
    let topic = ITopics::Topic {
        id: TOPIC,
        owner: alloy_primitives::Address::ZERO,
        title: "at rest".to_owned(),
        policy,
        bond: 0,
        createdAtMs: 0,
        epoch: 7,
        stage: ITopics::Stage::Done,
        stageEndMs: u64::MAX,
        slotCount: 0,
        slotPrice: 0,
        burned: 0,
        paid: 0,
        granted: 0,
        stake: 0,
        weight: 0,
        retired,
    };
    let mut looks = 0;
    Double::start(move |method, params| match method {
        "eth_call" if data(params).starts_with(&ITopics::getCall::SELECTOR) => {
            answer::<ITopics::getCall>(&topic)
        }
        "eth_call" => answer::<ITopics::mechanismsCall>(&Vec::new()),
        _ => {
            looks += 1;
            if looks == 1 {
                return Err((-32603, "internal error: a hiccup"));
            }
            Ok(json!({ "timestamp": "0x1", "extraData": Bytes::from(vec![0; 24]) }))
        }
    })
    .await
}

async fn work(node: &Double, epochs: Option<u64>) -> (Result<(), ShiftError>, Vec<Value>) {
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).unwrap();
    let own = slot(0, signer.address());
    let client = Client::connect(&node.url, Some(signer)).await.unwrap();
    let (_folder, store) = store();
    let mut desk = Desk::new(client.topics(), store, own, false);
    let shift = Shift {
        topic: TOPIC,
        limit: Duration::from_secs(1),
        poll: Duration::from_millis(1),
        epochs,
        advances: true,
    };
    let mut told = Vec::new();
    let mut tell = |one: Told| told.push(json!(one));
    let done = shift.run(&mut desk, &mut Silent, &mut tell).await;
    (done, told)
}

#[tokio::test]
async fn a_shift_outlives_a_node_that_fails_and_ends_with_its_epochs_or_its_topic() {
    let (done, told) = work(&resting(false).await, Some(0)).await;
    assert!(done.is_ok(), "{done:?}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["event"], "node");
    assert!(told[0]["reason"].as_str().unwrap().contains("a hiccup"));
    let (done, told) = work(&resting(true).await, None).await;
    assert!(matches!(done, Err(ShiftError::Retired(TOPIC))), "{done:?}");
    assert_eq!(told.len(), 1, "{told:?}");
}
