//! Proven scores: the order of commitments, and what each proof counts.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::{
    IModels, ITopics,
    topics::ITopics::{Kind, Role, Stage},
};
use hallmark_graph::Model;
use hallmark_mechanisms::wire::{Sample, encode_test_set};
use hallmark_proof::ProvingKey;
use hallmark_types::{MARK, addresses};

use super::{FEE, MIN_BOND, ONE, OWNER, World, actor, score_policy};
use crate::{
    Claim, Result,
    testing::{expect_revert, scripted_proof},
    topics::score::{proof_context, test_set_commitment},
};

const SALT: B256 = B256::repeat_byte(0x5a);
/// Inputs of the tiny model of the contracts' tests, whose only output is always the largest: so
/// label 0 is right and any other wrong.
const INPUTS: [[i32; 2]; 3] = [[5, 2], [1, 1], [-3, 4]];

struct Exam {
    world: World,
    model: Model,
    key: ProvingKey,
}

impl Exam {
    fn new() -> Self {
        let model = crate::world::model();
        let key = hallmark_proof::setup(&model).unwrap();
        Self {
            world: World::with(Kind::Score, score_policy()),
            model,
            key,
        }
    }

    fn models<C: SolCall>(&mut self, from: Address, call: C) -> C::Return {
        let to = addresses::MODELS;
        let answer = self
            .world
            .host
            .call(from, to, U256::ZERO, &call.abi_encode())
            .unwrap();
        C::abi_decode_returns_validate(&answer).unwrap()
    }

    /// Lists the model for its owner; gives its id.
    fn publish(&mut self, owner: Address) -> B256 {
        let bytes = self.key.verifying_key().encode();
        let call = IModels::beginCall {
            digest: self.key.verifying_key().digest().into(),
            keySize: u32::try_from(bytes.len()).unwrap(),
            contentHash: B256::ZERO,
            contentSize: 1,
            price: 1,
            ownerShareBps: 0,
            name: "tiny".to_owned(),
            uri: String::new(),
        };
        let id = self.models(owner, call);
        self.models(
            owner,
            IModels::uploadCall {
                id,
                offset: 0,
                chunk: bytes.into(),
            },
        );
        self.models(owner, IModels::finishCall { id });
        id
    }

    /// A test set of these labels.
    fn test_set(&self, labels: &[u32]) -> Vec<u8> {
        let inputs: Vec<_> = INPUTS
            .iter()
            .map(|input| self.model.graph.encode_input(input))
            .collect();
        let samples: Vec<_> = inputs
            .iter()
            .zip(labels)
            .map(|(input, label)| Sample {
                input,
                label: *label,
            })
            .collect();
        encode_test_set(&samples).unwrap()
    }

    fn commit_test_set(&mut self, epoch: u64, content: &[u8]) -> Result<()> {
        let call = ITopics::commitTestSetCall {
            topic: self.world.topic,
            epoch,
            commitment: test_set_commitment(SALT, content),
        };
        self.world.act(OWNER, call).map(|_| ())
    }

    fn reveal_test_set(&mut self, content: &[u8]) -> Result<()> {
        let call = ITopics::revealTestSetCall {
            topic: self.world.topic,
            epoch: self.world.get().epoch,
            salt: SALT,
            testSet: Bytes::copy_from_slice(content),
        };
        self.world.act(OWNER, call).map(|_| ())
    }

    /// A right proof of what the model answers.
    fn proof(&mut self, slot: u16, sample: u32) -> ITopics::proveCall {
        let input = INPUTS[sample as usize];
        let output = hallmark_graph::reference::run(&self.model, &input).unwrap();
        let epoch = self.world.get().epoch;
        let to = (self.world.topic, epoch, 0, slot, sample);
        let context = proof_context(self.world.spec.chain_id, to);
        let digest = self.key.verifying_key().digest().into();
        let claim = Claim::Public {
            input: &input,
            output: &output,
        };
        ITopics::proveCall {
            topic: self.world.topic,
            epoch,
            mechanism: 0,
            slot,
            sample,
            output: self.model.graph.encode_output(&output).into(),
            proof: scripted_proof(digest, claim, context).into(),
        }
    }

    fn prove(&mut self, slot: u16, sample: u32) -> Result<()> {
        let call = self.proof(slot, sample);
        self.world.act(actor(slot), call).map(|_| ())
    }

    /// Two workers with a listed model each, committed; the test set is open.
    fn opened(labels: &[u32]) -> Self {
        let mut exam = Self::new();
        exam.world.workers(2);
        exam.world.fund(100 * MARK);
        let ids = [0, 1].map(|number| exam.publish(actor(number)));
        let content = exam.test_set(labels);
        exam.commit_test_set(1, &content).unwrap();
        exam.world.reach(Stage::Open);
        for number in 0..2 {
            let id = ids[usize::from(number)];
            exam.world
                .commit(actor(number), number, id.as_slice())
                .unwrap();
        }
        exam.world.reach(Stage::Sealed);
        exam.world.wait(1);
        exam.reveal_test_set(&content).unwrap();
        for number in 0..2 {
            let id = ids[usize::from(number)];
            exam.world
                .reveal(actor(number), number, id.as_slice())
                .unwrap();
        }
        exam
    }
}

#[test]
fn who_proves_more_right_answers_earns_more() {
    let mut exam = Exam::opened(&[0, 0, 1]);
    expect_revert::<ITopics::WrongStage>(exam.prove(0, 0));
    exam.world.reach(Stage::Lag);
    for sample in 0..3 {
        exam.prove(0, sample).unwrap();
    }
    exam.prove(1, 0).unwrap();
    expect_revert::<ITopics::AlreadyProven>(exam.prove(1, 0));
    assert_eq!(exam.world.settle(), Stage::Done);
    let [first, second] = [0, 1].map(|slot| exam.world.slot(slot));
    // Two of three, and one: the sample that was answered wrong, and those that were not proven,
    // count as wrong.
    assert!((first.score - 2 * ONE / 3).abs() < 4, "{}", first.score);
    assert!((second.score - ONE / 3).abs() < 4, "{}", second.score);
    assert!(first.shareBillionths > second.shareBillionths);
    let [first, second] = [0, 1].map(|number| exam.world.balances(actor(number)).free);
    assert!(first > second && second > U256::ZERO);
}

#[test]
fn who_opens_a_model_and_proves_nothing_right_is_not_paid_and_its_past_fades() {
    let mut exam = Exam::opened(&[0, 0, 1]);
    exam.world.reach(Stage::Lag);
    exam.prove(0, 0).unwrap();
    exam.prove(1, 0).unwrap();
    exam.prove(1, 1).unwrap();
    exam.world.settle();
    let before = exam.world.slot(1).score;
    assert!(before > 0);
    let paid = exam.world.balances(actor(1)).free;
    let content = exam.test_set(&[0, 1, 0]);
    exam.commit_test_set(2, &content).unwrap();
    exam.world.reach(Stage::Open);
    let digest: B256 = exam.key.verifying_key().digest().into();
    let ids = [0, 1].map(|number| crate::models::model_id(actor(number), digest));
    for (number, id) in (0..2).zip(&ids) {
        exam.world
            .commit(actor(number), number, id.as_slice())
            .unwrap();
    }
    exam.world.reach(Stage::Sealed);
    exam.reveal_test_set(&content).unwrap();
    for (number, id) in (0..2).zip(&ids) {
        exam.world
            .reveal(actor(number), number, id.as_slice())
            .unwrap();
    }
    exam.world.reach(Stage::Lag);
    exam.prove(0, 0).unwrap();
    exam.world.settle();
    let silent = exam.world.slot(1);
    assert!(silent.score < before, "{} {before}", silent.score);
    assert_eq!(silent.shareBillionths, 0);
    assert_eq!(exam.world.balances(actor(1)).free, paid);
    assert!(exam.world.slot(0).shareBillionths > 0);
}

#[test]
fn a_proof_is_of_its_slot_sample_and_model() {
    let mut exam = Exam::opened(&[0, 0, 0]);
    exam.world.reach(Stage::Lag);
    let good = exam.proof(0, 0);
    let mut stolen = good.clone();
    stolen.slot = 1;
    expect_revert::<ITopics::ProofRefused>(exam.world.act(actor(1), stolen));
    let mut moved = good.clone();
    moved.sample = 1;
    expect_revert::<ITopics::ProofRefused>(exam.world.act(actor(0), moved));
    let mut beyond = good.clone();
    beyond.sample = 3;
    expect_revert::<ITopics::InvalidPayload>(exam.world.act(actor(0), beyond));
    let mut forged = good.clone();
    forged.proof = vec![0; 32].into();
    expect_revert::<ITopics::ProofRefused>(exam.world.act(actor(0), forged));
    let mut long = good.clone();
    long.proof = vec![0; 1 << 20].into();
    expect_revert::<ITopics::ProofRefused>(exam.world.act(actor(0), long));
    let mut short = good.clone();
    short.output = Bytes::new();
    expect_revert::<ITopics::ProofRefused>(exam.world.act(actor(0), short));
    expect_revert::<ITopics::NotOperator>(exam.world.act(actor(1), good.clone()));
    exam.world.act(actor(0), good).unwrap();
}

#[test]
fn a_proof_for_one_mechanism_is_none_for_another() {
    let to = |mechanism| (U256::from(1), 2, mechanism, 3, 4);
    assert_ne!(proof_context(5, to(0)), proof_context(5, to(1)));
}

#[test]
fn a_model_that_was_listed_after_the_test_set_was_opened_is_too_young() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let content = exam.test_set(&[0]);
    exam.commit_test_set(1, &content).unwrap();
    exam.world.reach(Stage::Open);
    let digest: B256 = exam.key.verifying_key().digest().into();
    let id = crate::models::model_id(actor(0), digest);
    exam.world.commit(actor(0), 0, id.as_slice()).unwrap();
    exam.world.reach(Stage::Sealed);
    exam.reveal_test_set(&content).unwrap();
    exam.publish(actor(0));
    exam.world.wait(1);
    exam.world.reveal(actor(0), 0, id.as_slice()).unwrap();
    exam.world.reach(Stage::Lag);
    expect_revert::<ITopics::ModelTooYoung>(exam.prove(0, 0));
    assert_eq!(exam.world.settle(), Stage::Cancelled);
}

#[test]
fn a_model_cannot_be_swapped_after_the_test_set_is_known() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let content = exam.test_set(&[0]);
    exam.commit_test_set(1, &content).unwrap();
    exam.world.reach(Stage::Open);
    exam.world.commit(actor(0), 0, &[1; 32]).unwrap();
    exam.world.reach(Stage::Sealed);
    exam.reveal_test_set(&content).unwrap();
    expect_revert::<ITopics::CommitmentMismatch>(exam.world.reveal(actor(0), 0, &[2; 32]));
    exam.world.settle();
    assert_eq!(exam.world.slot(0).bond, 0);
}

#[test]
fn a_test_set_is_committed_before_its_epoch_and_its_content_is_new() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let content = exam.test_set(&[0]);
    exam.world.reach(Stage::Open);
    expect_revert::<ITopics::WrongEpoch>(exam.commit_test_set(1, &content));
    expect_revert::<ITopics::TestSetMissing>(exam.world.commit(actor(0), 0, &[1; 32]));
    exam.commit_test_set(2, &content).unwrap();
    exam.commit_test_set(3, &content).unwrap();
    exam.world.settle();
    exam.world.reach(Stage::Open);
    expect_revert::<ITopics::WrongStage>(exam.reveal_test_set(&content));
    exam.world.reach(Stage::Sealed);
    let other = exam.test_set(&[1]);
    expect_revert::<ITopics::CommitmentMismatch>(exam.reveal_test_set(&other));
    exam.reveal_test_set(&content).unwrap();
    expect_revert::<ITopics::DuplicateSubmission>(exam.reveal_test_set(&content));
    exam.world.settle();
    exam.world.reach(Stage::Sealed);
    expect_revert::<ITopics::TestSetUsed>(exam.reveal_test_set(&content));
    let call = ITopics::testSetCall {
        topic: exam.world.topic,
        epoch: 2,
    };
    assert_eq!(exam.world.ask(call).samples, content);
}

#[test]
fn a_topic_whose_bond_is_used_up_asks_nothing_any_more() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let content = exam.test_set(&[0]);
    exam.commit_test_set(1, &content).unwrap();
    let bond = super::super::Topics::new().topics.at(exam.world.topic).bond;
    let full = bond.read(&mut exam.world.host).unwrap();
    exam.world.reach(Stage::Open);
    bond.write(&mut exam.world.host, MIN_BOND - 1).unwrap();
    let error = expect_revert::<ITopics::BondTooSmall>(exam.commit_test_set(2, &content));
    assert_eq!((error.bond, error.needed), (MIN_BOND - 1, MIN_BOND));
    expect_revert::<ITopics::BondTooSmall>(exam.world.commit(actor(0), 0, &[1; 32]));
    bond.write(&mut exam.world.host, full).unwrap();
    exam.world.commit(actor(0), 0, &[1; 32]).unwrap();
    exam.commit_test_set(2, &content).unwrap();
}

#[test]
fn a_commitment_to_another_mechanism_costs_the_owner_of_a_closed_test_set_nothing() {
    let mut exam = Exam::new();
    let mut both = super::only(Kind::Score);
    both[0].shareBps = 5_000;
    let mut yuma = both[0].clone();
    yuma.kind = Kind::Yuma;
    both.push(yuma);
    let policy = hallmark_abi::topics::ITopics::Policy {
        revealMs: 10_000,
        epochMs: 40_000,
        ..score_policy()
    };
    exam.world.topic = exam.world.create(policy, both).unwrap();
    exam.world.workers(1);
    let content = exam.test_set(&[0]);
    exam.commit_test_set(1, &content).unwrap();
    exam.world.reach(Stage::Open);
    let mut call = exam.world.committing(actor(0), 0, &[]);
    call.mechanism = 1;
    exam.world.pay(actor(0), FEE, call).unwrap();
    exam.world.settle();
    assert_eq!(exam.world.get().bond, 100 * MARK);
}

#[test]
fn a_test_set_that_stays_closed_costs_the_owner_and_no_worker() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let content = exam.test_set(&[0]);
    exam.commit_test_set(1, &content).unwrap();
    exam.world.reach(Stage::Open);
    exam.world.commit(actor(0), 0, &[1; 32]).unwrap();
    assert_eq!(exam.world.settle(), Stage::Cancelled);
    assert_eq!(exam.world.slot(0).bond, MIN_BOND);
    assert_eq!(exam.world.get().bond, 100 * MARK - MIN_BOND);
    assert_eq!(exam.world.get().burned, FEE);
    exam.world.reach(Stage::Open);
    let call = ITopics::registerCall {
        topic: exam.world.topic,
        role: Role::Worker,
    };
    exam.world.pay(actor(3), 100 * MARK, call).unwrap();
    exam.world.check_invariants();
}
