//! Proven scores: a model committed first, a test set opened then, a proof for every sample.
//!
//! 1. Before an epoch opens, the owner commits to its test set.
//! 2. In Open, workers commit to a model's id, which binds its verifying key and thereby its weights.
//! 3. In Sealed, the owner opens the test set, and each of its inputs is spent: no input that was
//!    opened before the time of Open was over, in any topic, whatever its label and its place, is taken. In
//!    Sealed and Lag the workers open their models.
//! 4. In Lag, each proof shows what the model answers for one sample; the answer is right if its
//!    largest element, the first among equals, is at the sample's label. The model must have been
//!    listed in an earlier block than the one that opened the test set. A sample without a proof
//!    counts as wrong; a worker that opened its model and has no right answer is judged by that and
//!    gets no share.
//!
//! A test set that stays closed pays nobody, costs no worker its bond, and costs the topic's owner
//! `minBond` of the topic's bond if there were commitments: without such a bond no test set and no
//! model is committed. Nothing stops an owner from
//! telling a friend its test set: only who chooses the owner can. Nothing stops it either from changing a
//! pixel of a spent input: equal bytes are all that a contract can compare.
//!
//! # Spent inputs
//!
//! What a spent input could spoil is that a model was made for it. Models are committed in Open, so only
//! an earlier opening can: `first opened < opening of the epoch + openMs` is refused, and nothing later.
//! An input that somebody opens from then on, in another topic or out of the owner's own opening that
//! waits to be included, costs the owner nothing.
//!
//! An input can be spent only by who knew it when it committed, so nobody spends a set that is still
//! hidden. Who builds a set from public data can find it spent in time; it was no secret then.

use std::collections::BTreeSet;

use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::SolValue;
use hallmark_abi::topics::ITopics::{self, Kind, Stage};
use hallmark_mechanisms::wire;

use super::{MAX_TEST_SET_BYTES, Submission, Topic, Topics, commitments::Entry, emit};
use crate::{
    Claim, Host, Result, Statement, gas,
    host::{OrRevert, checked, revert},
    models::{self, Model, Models},
    verifier::{Terms, Verifier},
};

/// Samples whose proofs share a word.
const WORD_BITS: u32 = 256;

impl Topics {
    /// # Errors
    ///
    /// `UnknownTopic`, `TopicRetired`, `NotOwner`, `WrongEpoch` for one that is open or past,
    /// `InvalidMechanism` in a topic without scores, `BondTooSmall` if the topic's bond is below
    /// `minBond`.
    pub fn commit_test_set(
        &self,
        host: &mut dyn Host,
        call: ITopics::commitTestSetCall,
    ) -> Result<()> {
        let (id, epoch) = (call.topic, call.epoch);
        let topic = self.living(host, id)?;
        topic.only_owner(host)?;
        if !topic.kinds(host)?.contains(&Kind::Score) {
            let reason = "no mechanism of the topic needs a test set".to_owned();
            return revert(ITopics::InvalidMechanism {
                mechanism: 0,
                reason,
            });
        }
        topic.bonded(host)?;
        let present = topic.epoch.read(host)?;
        let first = if topic.is_under_way(host)? {
            checked(present.checked_add(1))?
        } else {
            present
        };
        if epoch < first {
            return revert(ITopics::WrongEpoch {
                topic: id,
                epoch: present,
            });
        }
        let commitment = call.commitment;
        topic
            .test_sets
            .at(epoch)
            .commitment
            .write(host, commitment)?;
        if epoch == first {
            self.stir(host, id, &topic)?;
        }
        emit(
            host,
            ITopics::TestSetCommitted {
                topic: id,
                epoch,
                commitment,
            },
        )
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `NotOwner`, `WrongEpoch`, `WrongStage`, `TooLate`, `TestSetMissing`,
    /// `DuplicateSubmission`, `InvalidPayload`, `CommitmentMismatch`, `SampleUsed` also for
    /// an input that the set has twice.
    pub fn reveal_test_set(
        &self,
        host: &mut dyn Host,
        call: ITopics::revealTestSetCall,
    ) -> Result<()> {
        let (id, epoch) = (call.topic, call.epoch);
        let topic = self.known(host, id)?;
        topic.only_owner(host)?;
        topic.in_epoch(host, id, epoch)?;
        topic.in_window(host, id, &[Stage::Sealed])?;
        let test_set = topic.test_sets.at(epoch);
        let expected = test_set.commitment.read(host)?;
        if expected.is_zero() {
            return revert(ITopics::TestSetMissing { topic: id, epoch });
        }
        if test_set.samples.read(host)? != 0 {
            return revert(ITopics::DuplicateSubmission {
                topic: id,
                epoch,
                slot: super::NO_SLOT,
            });
        }
        let content = &call.testSet;
        if content.len() > MAX_TEST_SET_BYTES {
            return revert(ITopics::InvalidPayload {
                reason: format!("longer than {MAX_TEST_SET_BYTES} bytes"),
            });
        }
        // Once for the commitment, once sample by sample.
        gas::charge_bytes(host, 0, 2 * gas::HASH_PER_BYTE, content.len())?;
        let found = test_set_commitment(call.salt, content);
        if found != expected {
            return revert(ITopics::CommitmentMismatch { expected, found });
        }
        let samples = match wire::test_set(content) {
            Ok(samples) => samples,
            Err(reason) => return revert(ITopics::InvalidPayload { reason }),
        };
        let opened = topic.opened_at_ms.read(host)?;
        let closed_at = checked(opened.checked_add(topic.policy.open_ms.read(host)?))?;
        self.spend(host, &samples, closed_at)?;
        let samples = u32::try_from(samples.len()).ok();
        let samples = checked(samples.filter(|count| *count != 0))?;
        test_set.samples.write(host, samples)?;
        let block = host.block_number();
        test_set.opened_in.write(host, block)?;
        test_set.content.write(host, content)?;
        emit(
            host,
            ITopics::TestSetRevealed {
                topic: id,
                epoch,
                samples,
            },
        )
    }

    /// Marks each input as spent for good: at most [`wire::MOST_SAMPLES`] words. None may have been
    /// spent before `closed_at`, in Unix milliseconds, when the window for models closed, or be there twice.
    fn spend(
        &self,
        host: &mut dyn Host,
        samples: &[wire::Sample<'_>],
        closed_at: u64,
    ) -> Result<()> {
        let now = host.timestamp_ms();
        let mut seen = BTreeSet::new();
        for sample in samples {
            let digest = keccak256(sample.input);
            let used = self.used_samples.at(digest);
            let first = used.read(host)?;
            if !seen.insert(digest) || (first != 0 && first < closed_at) {
                return revert(ITopics::SampleUsed { digest });
            }
            if first == 0 {
                used.write(host, now)?;
            }
        }
        Ok(())
    }

    /// # Errors
    ///
    /// In the order they are checked: `UnknownTopic`, `WrongEpoch`, `InvalidMechanism`,
    /// `UnknownSlot`, `NotOperator`, `WrongStage`, `TooLate`, `NothingCommitted` if the model is not
    /// opened, `TestSetMissing`, `InvalidPayload` for a sample that is not in it, `AlreadyProven`,
    /// `ModelTooYoung`, `ProofRefused`.
    pub fn prove(&self, host: &mut dyn Host, call: ITopics::proveCall) -> Result<()> {
        let (id, epoch, slot, sample) = (call.topic, call.epoch, call.slot, call.sample);
        let entry = self.enter_submission(host, id, epoch, call.mechanism, slot)?;
        let Entry {
            topic,
            mechanism,
            seat,
            kind,
            ..
        } = entry;
        if kind != Kind::Score {
            let reason = "only scores are proven".to_owned();
            return revert(ITopics::InvalidMechanism {
                mechanism: call.mechanism,
                reason,
            });
        }
        topic.in_window(host, id, &[Stage::Lag])?;
        let submission = mechanism.submissions.at(u64::from(slot));
        let known = submission.pool.read(host)? == seat.pool.read(host)?;
        if !known || submission.revealed_epoch.read(host)? != epoch {
            return revert(ITopics::NothingCommitted {
                topic: id,
                epoch,
                slot,
            });
        }
        let (input, label) = topic.sample(host, id, epoch, sample)?;
        let bit = submission.bit(host, epoch, sample)?;
        if bit.is_set {
            return revert(ITopics::AlreadyProven { sample });
        }
        let model_id = submission.payload.read(host)?;
        let model_id = B256::try_from(&model_id[..]).unwrap_or_default();
        let opened_in = topic.test_sets.at(epoch).opened_in.read(host)?;
        let model = Models::new().published(host, model_id)?;
        let listed = match &model {
            Some(model) => model.registered_at.read(host)?,
            None => u64::MAX,
        };
        if listed >= opened_in {
            return revert(ITopics::ModelTooYoung { model: model_id });
        }
        let model = model.or_revert(ITopics::ModelTooYoung { model: model_id })?;
        let to = (id, epoch, call.mechanism, slot, sample);
        let context = proof_context(host.chain_id(), to);
        let best = judge(host, &model, &input, &call.output, &call.proof, context)?;
        let correct = best == Some(label);

        bit.set(host)?;
        let before = if submission.proven_epoch.read(host)? == epoch {
            submission.correct.read(host)?
        } else {
            submission.proven_epoch.write(host, epoch)?;
            0
        };
        let count = checked(before.checked_add(u32::from(correct)))?;
        submission.correct.write(host, count)?;
        emit(
            host,
            ITopics::Proven {
                topic: id,
                epoch,
                slot,
                sample,
                correct,
            },
        )
    }
}

impl Topic {
    /// Refuses if a test set that stays closed would cost the owner less than a slot's withheld reveal.
    pub(super) fn bonded(&self, host: &mut dyn Host) -> Result<()> {
        let (bond, needed) = (self.bond.read(host)?, self.policy.min_bond.read(host)?);
        if bond < needed {
            return revert(ITopics::BondTooSmall { bond, needed });
        }
        Ok(())
    }

    /// Input and label of one sample of an open test set.
    fn sample(
        &self,
        host: &mut dyn Host,
        id: U256,
        epoch: u64,
        sample: u32,
    ) -> Result<(Vec<u8>, u32)> {
        let test_set = self.test_sets.at(epoch);
        let count = test_set.samples.read(host)?;
        if count == 0 {
            return revert(ITopics::TestSetMissing { topic: id, epoch });
        }
        if sample >= count {
            return revert(ITopics::InvalidPayload {
                reason: format!("sample {sample} of {count}"),
            });
        }
        let content = test_set.content.read(host)?;
        gas::charge_bytes(host, 0, 1, content.len())?;
        let samples = wire::test_set(&content).unwrap_or_default();
        let index = usize::try_from(sample).unwrap_or(usize::MAX);
        let found = samples.get(index);
        let found = found.map(|sample| (sample.input.to_vec(), sample.label));
        checked(found)
    }
}

/// Whether a sample was proven, and where that is written.
struct Bit {
    place: crate::storage::Slot<U256>,
    word: U256,
    mask: U256,
    is_set: bool,
}

impl Bit {
    fn set(&self, host: &mut dyn Host) -> Result<()> {
        Ok(self.place.write(host, self.word | self.mask)?)
    }
}

impl Submission {
    fn bit(&self, host: &mut dyn Host, epoch: u64, sample: u32) -> Result<Bit> {
        let index = sample.checked_div(WORD_BITS).unwrap_or(0);
        let shift = sample.checked_rem(WORD_BITS).unwrap_or(0);
        let high = checked(epoch.checked_mul(1 << 32))?;
        let place = self.proven.at(checked(high.checked_add(u64::from(index)))?);
        let word = place.read(host)?;
        let mask = U256::from(1).wrapping_shl(usize::try_from(shift).unwrap_or(0));
        Ok(Bit {
            place,
            word,
            mask,
            is_set: !(word & mask).is_zero(),
        })
    }
}

/// Verifies that the model answers `output` for `input`; gives the place of its largest element.
fn judge(
    host: &mut dyn Host,
    model: &Model,
    input: &[u8],
    output: &[u8],
    proof: &[u8],
    context: B256,
) -> Result<Option<u32>> {
    let refuse = |reason: String| revert(ITopics::ProofRefused { reason });
    let terms = Terms::public(host, model)?;
    let longest = usize::try_from(terms.max_proof_bytes).unwrap_or(usize::MAX);
    if proof.len() > longest {
        return refuse(format!("longer than {longest} bytes"));
    }
    if u32::try_from(output.len()).ok() != Some(terms.output_bytes) {
        return refuse(format!("an output has {} bytes", terms.output_bytes));
    }
    Verifier::new().charge(host, &terms, proof.len())?;
    let key = models::load_key(host, model)?;
    let tensors = input.len().saturating_add(output.len());
    gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, tensors)?;
    let input = match key.graph().decode_input(input) {
        Ok(input) => input,
        Err(error) => return refuse(format!("the sample does not fit the model: {error}")),
    };
    let output = match key.graph().decode_output(output) {
        Ok(output) => output,
        Err(error) => return refuse(error.to_string()),
    };
    let statement = Statement {
        key: &key,
        key_digest: model.digest.read(host)?,
        claim: Claim::Public {
            input: &input,
            output: &output,
        },
        context,
        proof,
    };
    if let Err(reason) = host.verify_proof(&statement) {
        return refuse(reason);
    }
    let mut best: Option<(i32, u32)> = None;
    for (place, value) in (0u32..).zip(&output) {
        if best.is_none_or(|(greatest, _)| *value > greatest) {
            best = Some((*value, place));
        }
    }
    Ok(best.map(|(_, place)| place))
}

/// What a proof of a score is bound to: `keccak256(abi.encode(chainId, topic, epoch, mechanism, slot,
/// sample))`. `to` is topic, epoch, mechanism, slot and sample.
#[must_use]
pub fn proof_context(chain: u64, to: (U256, u64, u8, u16, u32)) -> B256 {
    let (topic, epoch, mechanism, slot, sample) = to;
    keccak256((chain, topic, epoch, U256::from(mechanism), slot, sample).abi_encode())
}

/// What a commitment to a test set is: `keccak256(abi.encode(salt, keccak256(testSet)))`.
#[must_use]
pub fn test_set_commitment(salt: B256, content: &[u8]) -> B256 {
    keccak256((salt, keccak256(content)).abi_encode())
}
