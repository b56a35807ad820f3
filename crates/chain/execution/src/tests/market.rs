//! The main job through real transactions: publish, order, claim, deliver, pay; and the sweep.

use std::sync::atomic::Ordering;

use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::inference::IInference::Status;
use hallmark_abi::{IInference, IModels};
use hallmark_graph::{Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec};
use hallmark_proof::ProvingKey;
use hallmark_types::{MARK, Transaction, addresses, order_context};

use super::world::*;
use crate::{CallRequest, Executor, NoAncestry};

const OWNER: u8 = 1;
const BUYER: u8 = 2;
const SELLER: u8 = 3;
const PRICE: u128 = 3 * MARK + 7;
const INPUT: [i32; 2] = [5, 2];

/// `y = clamp((100 (a - b + 3) + 8) >> 4, 0, 127)`.
fn model() -> Model {
    let scale = Scale {
        multiplier: 1,
        shift: 0,
    };
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![1, 2]),
        range: Range { lo: -8, hi: 8 },
        scale,
    }]);
    let weights = Constant {
        elements: Elements::I8(vec![1, -1]),
        multipliers: vec![100],
    };
    let weights = builder.constant(Shape(vec![2, 1]), weights).unwrap();
    let v = builder.matmul(0, weights, 0, 1).unwrap();
    let v = builder.combine(&[(v, 1)], 300).unwrap();
    let table = TableSpec::Clamp {
        bits: 12,
        lo: 0,
        hi: 127,
    };
    let y = builder.lookup(v, 4, table).unwrap();
    builder.output(y, scale).unwrap();
    builder.finish().unwrap()
}

impl World {
    fn send(&mut self, from: u8, to: Address, value: u128, data: Vec<u8>) {
        let request = CallRequest {
            from: Some(signer(from).address()),
            to: Some(to),
            value: U256::from(value),
            data: data.clone().into(),
            ..CallRequest::default()
        };
        let head = &self.head;
        let foretold = self
            .proposer
            .call(&head.state, &head.block.header, request, &NoAncestry);
        let mut order = self.order(from, TxKind::Call(to), value, data);
        order.tx.gas_limit = 90_000_000;
        let block = self.block(vec![order.sign()]);
        assert!(
            block.receipts[0].is_success(),
            "transaction of account {from} to {to}: {foretold:?}"
        );
    }

    fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let request = CallRequest {
            to: Some(to),
            data: call.abi_encode().into(),
            ..CallRequest::default()
        };
        let head = &self.head;
        let outcome = self
            .proposer
            .call(&head.state, &head.block.header, request, &NoAncestry)
            .unwrap();
        C::abi_decode_returns(&output(outcome)).unwrap()
    }

    fn publish(&mut self, key: &ProvingKey) -> B256 {
        let bytes = key.verifying_key().encode();
        let begin = IModels::beginCall {
            digest: key.verifying_key().digest().into(),
            keySize: bytes.len() as u32,
            contentHash: B256::repeat_byte(9),
            contentSize: 1234,
            price: PRICE,
            ownerShareBps: 2_500,
            name: "tiny".to_owned(),
            uri: String::new(),
        };
        self.send(OWNER, addresses::MODELS, 0, begin.abi_encode());
        // keccak256(abi.encode(owner, digest)).
        let digest: B256 = key.verifying_key().digest().into();
        let owner = B256::left_padding_from(signer(OWNER).address().as_slice());
        let id = alloy_primitives::keccak256([owner.0, digest.0].concat());
        let upload = IModels::uploadCall {
            id,
            offset: 0,
            chunk: bytes.into(),
        };
        self.send(OWNER, addresses::MODELS, 0, upload.abi_encode());
        self.send(
            OWNER,
            addresses::MODELS,
            0,
            IModels::finishCall { id }.abi_encode(),
        );
        self.block(vec![]);
        id
    }

    /// An order whose deadline is `after_ms` from now.
    fn place(&mut self, model: &Model, id: B256, after_ms: u64) -> U256 {
        let deadline = self.head.block.timestamp_ms() + after_ms;
        let order = IInference::orderCall {
            model: id,
            level: 3,
            input: model.graph.encode_input(&INPUT).into(),
            deadlineMs: deadline,
        };
        self.send(BUYER, addresses::INFERENCE, PRICE, order.abi_encode());
        self.view(addresses::INFERENCE, IInference::countCall {})
    }
}

fn verifications(executor: &Executor) -> u64 {
    executor
        .counters()
        .proof_verifications
        .load(Ordering::Relaxed)
}

/// An order that a seller holds, with the proof that it asks for.
struct Claimed {
    world: World,
    model: Model,
    order: U256,
    result: Vec<i32>,
    proof: Vec<u8>,
}

impl Claimed {
    fn new() -> Self {
        let mut world = World::new();
        let model = model();
        let key = hallmark_proof::setup(&model).unwrap();
        let id = world.publish(&key);
        let deposit = IInference::depositCall {}.abi_encode();
        world.send(SELLER, addresses::INFERENCE, 100 * MARK, deposit);
        let order = world.place(&model, id, 60_000);
        let claim = IInference::claimCall { id: order }.abi_encode();
        world.send(SELLER, addresses::INFERENCE, 0, claim);

        let claimed = world.view(addresses::INFERENCE, IInference::getCall { id: order });
        let seller = signer(SELLER).address();
        assert_eq!(claimed.seller, seller);
        let context = order_context(world.spec().chain_id, order, id, seller, claimed.anchor);
        let trace = hallmark_graph::reference::trace(&model, &INPUT).unwrap();
        let result = trace.values.last().unwrap().clone();
        let proof = hallmark_proof::prove(&key, &trace, &context.0).unwrap();
        Self {
            world,
            model,
            order,
            result,
            proof,
        }
    }

    /// The seller's next transaction: this output under this proof.
    fn delivery(&mut self, output: &[i32], proof: &[u8]) -> Transaction {
        let data = IInference::deliverCall {
            id: self.order,
            output: self.model.graph.encode_output(output).into(),
            proof: proof.to_vec().into(),
        }
        .abi_encode();
        let to = TxKind::Call(addresses::INFERENCE);
        let mut order = self.world.order(SELLER, to, 0, data);
        order.tx.gas_limit = 90_000_000;
        order.sign()
    }

    fn status(&self) -> Status {
        let call = IInference::getCall { id: self.order };
        self.world.view(addresses::INFERENCE, call).status
    }

    /// Verifications of the proposer and of the validator.
    fn verifications(&self) -> (u64, u64) {
        let World {
            proposer,
            validator,
            ..
        } = &self.world;
        (verifications(proposer), verifications(validator))
    }
}

#[test]
fn a_proven_inference_is_ordered_claimed_delivered_and_paid() {
    let mut story = Claimed::new();
    let (result, proof) = (story.result.clone(), story.proof.clone());

    let treasury = story.world.spec().treasury;
    let before = story.world.balance(treasury);
    let owner = story.world.balance(signer(OWNER).address());
    let delivery = story.delivery(&result, &proof);
    let block = story.world.block(vec![delivery]);
    assert!(block.receipts[0].is_success());
    let logs = block.receipts[0].logs();
    assert!(!logs.is_empty() && logs.iter().all(|log| log.address == addresses::INFERENCE));
    assert_eq!(story.status(), Status::Paid);
    assert_eq!(
        story.world.balance(treasury) - before,
        U256::from(PRICE * 200 / 10_000)
    );
    assert_eq!(
        story.world.balance(signer(OWNER).address()) - owner,
        U256::from(PRICE * 2_500 / 10_000)
    );
    let output = story.world.view(
        addresses::INFERENCE,
        IInference::outputCall { id: story.order },
    );
    assert_eq!(output, story.model.graph.encode_output(&result));
}

#[test]
fn a_forged_proof_or_output_pays_nothing_and_the_claim_stays() {
    let mut story = Claimed::new();
    let (result, proof) = (story.result.clone(), story.proof.clone());
    let mut forged = proof.clone();
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    let lie = [result[0] ^ 1];
    for (output, proof) in [(&result[..], &forged), (&lie[..], &proof)] {
        let delivery = story.delivery(output, proof);
        let treasury = story.world.balance(story.world.spec().treasury);
        let block = story.world.block(vec![delivery]);
        assert!(!block.receipts[0].is_success());
        assert_eq!(story.status(), Status::Claimed);
        let after = story.world.balance(story.world.spec().treasury);
        assert_eq!(after, treasury);
    }
    let delivery = story.delivery(&result, &proof);
    assert!(story.world.block(vec![delivery]).receipts[0].is_success());
    assert_eq!(story.status(), Status::Paid);
}

#[test]
fn a_delivery_is_verified_once_by_each_node_however_often_it_is_executed() {
    let mut story = Claimed::new();
    let (result, proof) = (story.result.clone(), story.proof.clone());
    assert_eq!(story.verifications(), (0, 0));
    let delivery = story.delivery(&result, &proof);
    let built = story.world.build(vec![delivery.clone()]).executed;
    assert_eq!(story.verifications(), (1, 0));

    // The proposer executes what it built, as on finalization, and builds it once more.
    let parent = &story.world.head;
    let again = story
        .world
        .proposer
        .execute_block(
            &parent.block.header,
            &parent.state,
            &built.block,
            &NoAncestry,
        )
        .unwrap();
    assert_eq!(again.diff, built.diff);
    story.world.build(vec![delivery.clone()]);
    assert_eq!(story.verifications(), (1, 0));

    for _ in 0..2 {
        story.world.judge(&built.block).unwrap();
    }
    assert_eq!(story.verifications(), (1, 1));
    story.world.block(vec![delivery]);
    assert_eq!(story.verifications(), (1, 1));

    // Another statement is another question: the verdict is not taken over.
    let mut other = Claimed::new();
    let (result, proof) = (other.result.clone(), story.proof.clone());
    let delivery = other.delivery(&result, &proof[..proof.len() - 1]);
    assert!(!other.world.block(vec![delivery]).receipts[0].is_success());
    assert_eq!(other.status(), Status::Claimed);
}

#[test]
fn a_call_verifies_on_its_own_account() {
    let mut story = Claimed::new();
    let (result, proof) = (story.result.clone(), story.proof.clone());
    let data = IInference::deliverCall {
        id: story.order,
        output: story.model.graph.encode_output(&result).into(),
        proof: proof.clone().into(),
    }
    .abi_encode();
    let request = CallRequest {
        from: Some(signer(SELLER).address()),
        to: Some(addresses::INFERENCE),
        data: data.into(),
        ..CallRequest::default()
    };
    let World { proposer, head, .. } = &story.world;
    for _ in 0..2 {
        let outcome = proposer.call(
            &head.state,
            &head.block.header,
            request.clone(),
            &NoAncestry,
        );
        output(outcome.unwrap());
    }
    let of_calls = proposer
        .counters()
        .call_verifications
        .load(Ordering::Relaxed);
    assert_eq!((of_calls, verifications(proposer)), (1, 0));
    // Whatever calls asked is no part of what blocks remember.
    let delivery = story.delivery(&result, &proof);
    story.world.block(vec![delivery]);
    assert_eq!(story.verifications(), (1, 1));
}

#[test]
fn the_end_of_a_block_refunds_an_overdue_order() {
    let mut world = World::new();
    let model = model();
    let key = hallmark_proof::setup(&model).unwrap();
    let id = world.publish(&key);
    // Two claim windows and a block. It can be claimed until one window before its end.
    let order = world.place(&model, id, 16_250);
    let before = world.balance(signer(BUYER).address());
    let status = |world: &World| {
        let call = IInference::getCall { id: order };
        world.view(addresses::INFERENCE, call).status
    };
    // Blocks are 250 ms apart.
    for _ in 0..32 {
        world.block(vec![]);
    }
    assert_eq!(status(&world), Status::Open);
    world.block(vec![]);
    assert_eq!(status(&world), Status::Refunded);
    assert_eq!(
        world.balance(signer(BUYER).address()),
        before + U256::from(PRICE)
    );
}
