//! Proven scores: the order of commitments, and what each proof counts.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use hallmark_abi::{
    IModels, ITopics,
    topics::ITopics::{Kind, Role, Stage},
};
use hallmark_graph::Model;
use hallmark_mechanisms::wire::{self, Sample, encode_test_set};
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
    /// Added to the inputs: another round has others.
    round: i32,
}

impl Exam {
    fn new() -> Self {
        let model = crate::world::model();
        let key = hallmark_proof::setup(&model).unwrap();
        // Warm, so that the second best's part can be seen.
        let mut mechanisms = super::only(Kind::Score);
        let params = wire::Params::from_json(wire::Kind::Score, r#"{"temperature": 0.1}"#);
        mechanisms[0].params = params.unwrap().encode().into();
        let mut world = World::empty(|_| ());
        world.topic = world.create(score_policy(), mechanisms).unwrap();
        Self {
            world,
            model,
            key,
            round: 0,
        }
    }

    fn input(&self, sample: usize) -> [i32; 2] {
        INPUTS[sample].map(|value| value + self.round)
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
        let places: Vec<_> = (0..).zip(labels.iter().copied()).collect();
        self.arranged(&places)
    }

    /// A test set of these inputs, by their places, and labels.
    fn arranged(&self, samples: &[(usize, u32)]) -> Vec<u8> {
        let inputs: Vec<_> = samples
            .iter()
            .map(|(place, label)| (self.encoded(*place), *label))
            .collect();
        let samples: Vec<_> = inputs
            .iter()
            .map(|(input, label)| Sample {
                input,
                label: *label,
            })
            .collect();
        encode_test_set(&samples).unwrap()
    }

    fn encoded(&self, place: usize) -> Vec<u8> {
        self.model.graph.encode_input(&self.input(place))
    }

    /// Whether an input is spent, as the contract's view says.
    fn is_spent(&mut self, place: usize) -> bool {
        let digest = keccak256(self.encoded(place));
        self.world.ask(ITopics::sampleUsedCall { digest })
    }

    /// Ends the present epoch, and tries to open `content` in the next.
    fn open_next(&mut self, content: &[u8]) -> Result<()> {
        if self.world.stage() != Stage::None {
            self.world.settle();
        }
        let epoch = self.world.get().epoch;
        self.commit_test_set(epoch, content).unwrap();
        self.world.reach(Stage::Sealed);
        self.reveal_test_set(content)
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
        let input = self.input(sample as usize);
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
    exam.round = 1;
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
    expect_revert::<ITopics::SampleUsed>(exam.reveal_test_set(&content));
    let call = ITopics::testSetCall {
        topic: exam.world.topic,
        epoch: 2,
    };
    assert_eq!(exam.world.ask(call).samples, content);
}

#[test]
fn a_sample_that_was_opened_once_is_in_no_other_test_set() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let content = exam.test_set(&[0, 0]);
    exam.open_next(&content).unwrap();
    assert!(exam.is_spent(0) && exam.is_spent(1) && !exam.is_spent(2));
    // A new sample beside it, and another label, do not make it new.
    let repeated = exam.arranged(&[(2, 0), (1, 1)]);
    let error = expect_revert::<ITopics::SampleUsed>(exam.open_next(&repeated));
    assert_eq!(error.digest, keccak256(exam.encoded(1)));
    assert!(!exam.is_spent(2), "a refused set spends nothing");
    let fresh = exam.arranged(&[(2, 0)]);
    exam.open_next(&fresh).unwrap();
    exam.world.check_invariants();
}

#[test]
fn the_same_test_set_in_another_order_is_the_same() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let content = exam.arranged(&[(0, 0), (1, 1), (2, 0)]);
    exam.open_next(&content).unwrap();
    let turned = exam.arranged(&[(2, 0), (0, 0), (1, 1)]);
    assert_ne!(content, turned);
    expect_revert::<ITopics::SampleUsed>(exam.open_next(&turned));
}

#[test]
fn a_sample_that_was_opened_in_one_topic_is_spent_in_every_other() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let content = exam.test_set(&[0, 0, 0]);
    exam.open_next(&content).unwrap();
    exam.world.topic = exam
        .world
        .create(score_policy(), super::only(Kind::Score))
        .unwrap();
    exam.world.workers(1);
    expect_revert::<ITopics::SampleUsed>(exam.open_next(&content));
    let one = exam.arranged(&[(1, 1)]);
    expect_revert::<ITopics::SampleUsed>(exam.open_next(&one));
    exam.round = 1;
    let other = exam.test_set(&[0]);
    exam.open_next(&other).unwrap();
}

/// Two topics of one owner with a worker each and the same test set for their first epoch, both Open,
/// the second a millisecond longer; the first is the exam's.
fn twins() -> (Exam, [U256; 2], Vec<u8>) {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let first = exam.world.topic;
    let second = exam
        .world
        .create(score_policy(), super::only(Kind::Score))
        .unwrap();
    exam.world.topic = second;
    exam.world.workers(1);
    let content = exam.test_set(&[0, 0]);
    for topic in [second, first] {
        exam.world.topic = topic;
        exam.world.wait(1);
        exam.commit_test_set(1, &content).unwrap();
        exam.world.advance().unwrap();
        assert_eq!(exam.world.stage(), Stage::Open);
        exam.world.commit(actor(0), 0, &[1; 32]).unwrap();
    }
    (exam, [first, second], content)
}

#[test]
fn who_spends_a_sample_when_no_model_can_be_committed_any_more_costs_its_owner_nothing() {
    let (mut exam, [first, second], content) = twins();
    exam.world.wait(10_000);
    for topic in [first, second] {
        exam.world.topic = topic;
        exam.world.advance().unwrap();
        assert_eq!(exam.world.stage(), Stage::Sealed);
    }
    // In the very moment in which the other topic's models are closed.
    exam.reveal_test_set(&content).unwrap();
    let spent_at = exam.world.host.timestamp_ms;
    exam.world.wait(5_000);
    exam.world.topic = first;
    exam.reveal_test_set(&content).unwrap();
    // The first opening is what later sets are judged by.
    let digest = keccak256(exam.encoded(0));
    let used = super::super::Topics::new().used_samples.at(digest);
    assert_eq!(used.read(&mut exam.world.host).unwrap(), spent_at);
    let bond = exam.world.get().bond;
    exam.world.settle();
    assert_eq!(exam.world.get().bond, bond);
    expect_revert::<ITopics::SampleUsed>(exam.open_next(&content));
}

#[test]
fn a_sample_that_was_spent_while_models_could_still_be_committed_is_refused() {
    let (mut exam, [first, second], content) = twins();
    exam.world.wait(9_999);
    exam.world.topic = second;
    exam.world.advance().unwrap();
    exam.reveal_test_set(&content).unwrap();
    exam.world.wait(1);
    exam.world.topic = first;
    exam.world.advance().unwrap();
    let bond = exam.world.get().bond;
    expect_revert::<ITopics::SampleUsed>(exam.reveal_test_set(&content));
    exam.world.settle();
    assert_eq!(exam.world.get().bond, bond - MIN_BOND);
    exam.world.check_invariants();
}

#[test]
fn a_test_set_that_has_a_sample_twice_is_refused() {
    let mut exam = Exam::new();
    exam.world.workers(1);
    let twice = exam.arranged(&[(0, 0), (1, 0), (0, 1)]);
    expect_revert::<ITopics::SampleUsed>(exam.open_next(&twice));
    assert!(!exam.is_spent(0) && !exam.is_spent(1));
}

#[test]
fn the_longest_test_set_is_opened_at_a_price_that_grows_by_the_sample() {
    let mut gas = Vec::new();
    for count in [1u8, 64] {
        let mut exam = Exam::new();
        exam.world.workers(1);
        let inputs: Vec<_> = (0..count).map(|number| [number; 700]).collect();
        let samples: Vec<_> = inputs
            .iter()
            .map(|input| Sample { input, label: 0 })
            .collect();
        let content = encode_test_set(&samples).unwrap();
        assert!(content.len() <= super::super::MAX_TEST_SET_BYTES);
        exam.commit_test_set(1, &content).unwrap();
        exam.world.reach(Stage::Sealed);
        exam.reveal_test_set(&content).unwrap();
        gas.push(exam.world.host.gas_used);
    }
    // A mark is a new word; the content is stored by its bytes.
    let (marks, bytes) = (63, 63 * 708);
    assert!(gas[1] - gas[0] > 22_100 * marks + 200 * bytes, "{gas:?}");
    assert!(gas[1] < 60_000_000, "{gas:?}");
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
