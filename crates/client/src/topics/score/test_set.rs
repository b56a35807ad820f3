//! A score topic's test set: checked before it is committed, kept until it is opened.

use crate::{
    ClientError, TransactionReceipt,
    topics::{
        Kind, SaltError, SaltStore, Stage, Topics, test_set_commitment,
        work::{View, advance_if_due},
    },
};
use alloy_primitives::{B256, Bytes, U256, keccak256};
use hallmark_abi::ITopics;
use hallmark_mechanisms::wire::{self, Sample};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// Longest test set that the contract takes, in bytes.
pub const MAX_TEST_SET_BYTES: usize = 48 << 10;
/// Version of the file's layout.
const VERSION: u32 = 1;
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// A test set that could never be opened; nothing was committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TestSetFault {
    /// Its encoding: how many samples there may be, and how long.
    #[error("the test set: {0}")]
    Malformed(String),
    #[error(
        "the test set has {0} bytes in the contract's encoding, at most {MAX_TEST_SET_BYTES} are taken; give fewer samples"
    )]
    TooLong(usize),
    /// The same input twice.
    #[error("samples {0} and {1} of the test set are the same")]
    Repeated(usize, usize),
    /// A sample that can be known.
    #[error(
        "sample {sample} was in the test set of epoch {epoch} of topic {topic}: a test set is never used twice"
    )]
    Used {
        sample: usize,
        topic: U256,
        epoch: u64,
    },
    /// A sample that somebody opened, perhaps in another topic.
    #[error(
        "the chain says that sample {0} of the test set was opened before: a test set is never used twice"
    )]
    Spent(usize),
    /// The topic judges nobody by a test set.
    #[error("topic {0} has no mechanism score, which is what takes a test set")]
    NoScore(U256),
}

/// Samples with their right answers, in the contract's encoding and within its bounds: 1 to 64
/// samples, 48 KiB, no input twice.
#[derive(Clone, PartialEq, Eq)]
pub struct TestSet {
    content: Bytes,
    samples: usize,
}

impl std::fmt::Debug for TestSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TestSet({} samples)", self.samples)
    }
}

impl TestSet {
    /// A test set of inputs in the models' encoding, each with the place of the output that must be
    /// the largest.
    ///
    /// # Errors
    /// [`TestSetFault`] with what the contract would refuse.
    pub fn new<'a>(
        samples: impl IntoIterator<Item = (&'a [u8], u32)>,
    ) -> Result<Self, TestSetFault> {
        let samples: Vec<Sample<'_>> = samples
            .into_iter()
            .map(|(input, label)| Sample { input, label })
            .collect();
        let content = wire::encode_test_set(&samples).map_err(TestSetFault::Malformed)?;
        Self::from_content(content.into())
    }

    /// A test set in the contract's encoding.
    ///
    /// # Errors
    /// The same.
    pub fn from_content(content: Bytes) -> Result<Self, TestSetFault> {
        if content.len() > MAX_TEST_SET_BYTES {
            return Err(TestSetFault::TooLong(content.len()));
        }
        let samples = wire::test_set(&content).map_err(TestSetFault::Malformed)?;
        for (index, sample) in samples.iter().enumerate() {
            let mut earlier = samples[..index].iter();
            if let Some(first) = earlier.position(|other| other.input == sample.input) {
                return Err(TestSetFault::Repeated(first, index));
            }
        }
        let samples = samples.len();
        Ok(Self { content, samples })
    }

    /// The contract's encoding.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples
    }

    /// Never: a test set has a sample.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Inputs and labels.
    pub fn samples(&self) -> Vec<Sample<'_>> {
        wire::test_set(&self.content).unwrap_or_default()
    }

    /// The first sample whose input another test set has too.
    fn shared_with(&self, other: &Self) -> Option<usize> {
        let known: BTreeSet<&[u8]> = other.samples().iter().map(|sample| sample.input).collect();
        let mut samples = self.samples().into_iter();
        samples.position(|sample| known.contains(sample.input))
    }
}

/// A test set with the salt that opens its commitment.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptTestSet {
    pub topic: U256,
    pub epoch: u64,
    pub commitment: B256,
    pub salt: B256,
    pub set: TestSet,
}

impl std::fmt::Debug for KeptTestSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (topic, epoch) = (self.topic, self.epoch);
        write!(f, "KeptTestSet({topic}, {epoch}, {})", self.commitment)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    version: u32,
    chain_id: u64,
    topic: U256,
    epoch: u64,
    salt: B256,
    content: Bytes,
}

const PREFIX: &str = "test-set-";
/// Of the files that say which kept test sets were sent to be opened.
const SENT: &str = "sent-test-set-";

fn sent_name(kept: &KeptTestSet) -> String {
    let commitment = format!("{:x}", kept.commitment);
    format!("{SENT}{}-{}-{commitment}", kept.topic, kept.epoch)
}

impl SaltStore {
    /// The test set's salt for an epoch, kept already or drawn now; on disk when this returns.
    ///
    /// # Errors
    /// The folder cannot be read or written, or the system has no randomness.
    pub fn prepare_test_set(
        &self,
        chain_id: u64,
        topic: U256,
        epoch: u64,
        set: &TestSet,
    ) -> Result<KeptTestSet, SaltError> {
        let kept = self.find_test_sets(chain_id, topic, epoch)?;
        if let Some(same) = kept.into_iter().find(|kept| kept.set == *set) {
            return Ok(same);
        }
        let file = File {
            version: VERSION,
            chain_id,
            topic,
            epoch,
            salt: self.draw()?,
            content: set.content.clone(),
        };
        let kept = KeptTestSet {
            topic,
            epoch,
            commitment: test_set_commitment(file.salt, &file.content),
            salt: file.salt,
            set: set.clone(),
        };
        let short = format!("{:x}", kept.commitment)[..16].to_owned();
        self.write(&format!("{PREFIX}{topic}-{epoch}-{short}.json"), &file)?;
        Ok(kept)
    }

    /// Notes that a test set is about to be sent to be opened, on disk when this returns: whatever becomes
    /// of the transaction, its samples are no secret from then on.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn note_sent(&self, kept: &KeptTestSet) -> Result<(), SaltError> {
        if self.was_sent(kept)? {
            return Ok(());
        }
        self.write(&format!("{}.json", sent_name(kept)), &kept.commitment)
    }

    pub(crate) fn was_sent(&self, kept: &KeptTestSet) -> Result<bool, SaltError> {
        Ok(!self.paths(&sent_name(kept))?.is_empty())
    }

    /// Every test set that is kept for an epoch; usually one.
    ///
    /// # Errors
    /// The folder or a file cannot be read, or a file is not what its name says.
    pub fn find_test_sets(
        &self,
        chain_id: u64,
        topic: U256,
        epoch: u64,
    ) -> Result<Vec<KeptTestSet>, SaltError> {
        let kept = self.test_sets(&format!("{PREFIX}{topic}-{epoch}-"), chain_id)?;
        Ok(kept
            .into_iter()
            .filter(|kept| (kept.topic, kept.epoch) == (topic, epoch))
            .collect())
    }

    fn test_sets(&self, prefix: &str, chain_id: u64) -> Result<Vec<KeptTestSet>, SaltError> {
        let mut found = Vec::new();
        for path in self.paths(prefix)? {
            let malformed = |reason: String| SaltError::Malformed {
                path: path.clone(),
                reason,
            };
            let file: File = self.read(&path)?;
            if (file.version, file.chain_id) != (VERSION, chain_id) {
                return Err(malformed("it is of another version or chain".to_owned()));
            }
            let commitment = test_set_commitment(file.salt, &file.content);
            // The fault says no more than places and lengths.
            let set = TestSet::from_content(file.content);
            found.push(KeptTestSet {
                topic: file.topic,
                epoch: file.epoch,
                commitment,
                salt: file.salt,
                set: set.map_err(|fault| malformed(fault.to_string()))?,
            });
        }
        Ok(found)
    }
}

impl Topics {
    /// Checks a test set as the contract will when it is opened, draws a salt for it and writes both
    /// to the store, on disk when this returns. The same test set gets the salt that it already has.
    ///
    /// Samples are refused that are in another test set of the store which was opened, was sent to be, or
    /// may still be; and those that the chain knows to be spent, by whomever. It is asked by digests, which
    /// tell the node nothing about an input that it cannot guess. What others open between now and
    /// the end of Open, the chain refuses at the opening.
    ///
    /// # Errors
    /// [`TestSetFault`] for one that could never be opened; the store cannot be written.
    pub async fn prepare_test_set(
        &self,
        store: &SaltStore,
        topic: U256,
        epoch: u64,
        set: &TestSet,
    ) -> Result<KeptTestSet, ClientError> {
        let mechanisms = self.mechanisms(topic).await?;
        if !mechanisms.iter().any(|m| m.kind == Kind::Score) {
            return Err(TestSetFault::NoScore(topic).into());
        }
        let chain = self.client().chain_id();
        for kept in store.test_sets(PREFIX, chain)? {
            let is_other = (kept.topic, kept.epoch) != (topic, epoch);
            let Some(sample) = set.shared_with(&kept.set).filter(|_| is_other) else {
                continue;
            };
            let (commitment, opened) = self.test_set(kept.topic, kept.epoch).await?;
            let may_open =
                commitment == kept.commitment && self.get(kept.topic).await?.epoch <= kept.epoch;
            let was_opened = !opened.is_empty() && commitment == kept.commitment;
            if was_opened || may_open || store.was_sent(&kept)? {
                return Err(TestSetFault::Used {
                    sample,
                    topic: kept.topic,
                    epoch: kept.epoch,
                }
                .into());
            }
        }
        for (place, sample) in set.samples().iter().enumerate() {
            if self.sample_used(sample.input).await? {
                return Err(TestSetFault::Spent(place).into());
            }
        }
        Ok(store.prepare_test_set(chain, topic, epoch, set)?)
    }

    /// Whether an input was in a test set that was opened, in any topic.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn sample_used(&self, input: &[u8]) -> Result<bool, ClientError> {
        let digest = keccak256(input);
        self.ask(&ITopics::sampleUsedCall { digest }).await
    }

    /// Commits a kept test set for its epoch, which must not be open yet. A later one for the same
    /// epoch takes its place.
    ///
    /// # Errors
    /// The contract's own by name: `NotOwner`, `WrongEpoch`, `BondTooSmall`…
    pub async fn commit_test_set(
        &self,
        kept: &KeptTestSet,
    ) -> Result<TransactionReceipt, ClientError> {
        self.send(&ITopics::commitTestSetCall {
            topic: kept.topic,
            epoch: kept.epoch,
            commitment: kept.commitment,
        })
        .await
    }

    /// Opens a kept test set, in Sealed; notes in the store, before, that it was sent.
    ///
    /// # Errors
    /// The contract's own by name: `WrongStage`, `TooLate`, `SampleUsed`… The store cannot be written:
    /// then nothing was sent.
    pub async fn reveal_test_set(
        &self,
        store: &SaltStore,
        kept: &KeptTestSet,
    ) -> Result<TransactionReceipt, ClientError> {
        store.note_sent(kept)?;
        self.send(&ITopics::revealTestSetCall {
            topic: kept.topic,
            epoch: kept.epoch,
            salt: kept.salt,
            testSet: kept.set.content.clone(),
        })
        .await
    }

    /// The kept test set that the chain has the commitment of; `None` if the store has none.
    ///
    /// # Errors
    /// The store or the node cannot be read.
    pub async fn kept_test_set(
        &self,
        store: &SaltStore,
        topic: U256,
        epoch: u64,
    ) -> Result<Option<KeptTestSet>, ClientError> {
        let (commitment, _) = self.test_set(topic, epoch).await?;
        let kept = store.find_test_sets(self.client().chain_id(), topic, epoch)?;
        Ok(kept.into_iter().find(|kept| kept.commitment == commitment))
    }
    /// The first epoch whose test set can still be committed.
    pub async fn next_test_epoch(&self, topic: U256) -> Result<u64, ClientError> {
        let found = self.get(topic).await?;
        Ok(found.epoch + u64::from(found.stage.is_running()))
    }

    /// Waits until a committed test set can be opened and opens it; moves the epoch on where it can.
    /// `None` if nobody committed a model: then it stays closed, which costs nothing, and it may serve
    /// another epoch.
    ///
    /// # Errors
    /// The contract's own by name, also when its window has passed: `WrongEpoch`, `WrongStage`,
    /// `TooLate`…
    pub async fn open_test_set(
        &self,
        store: &SaltStore,
        kept: &KeptTestSet,
        poll: Duration,
    ) -> Result<Option<TransactionReceipt>, ClientError> {
        loop {
            let view = View::take(self, kept.topic).await?;
            if advance_if_due(self, &view).await? {
                continue;
            }
            let (epoch, stage) = (view.topic.epoch, view.topic.stage);
            let waits = epoch < kept.epoch || epoch == kept.epoch && stage < Stage::Sealed;
            let has_retired = view.topic.retired && !stage.is_running();
            if !waits || has_retired {
                let commitments = self.epoch(kept.topic, kept.epoch).await?.commitments;
                if epoch == kept.epoch && commitments == 0 {
                    return Ok(None);
                }
                return self.reveal_test_set(store, kept).await.map(Some);
            }
            let left = Duration::from_millis(view.left_ms());
            tokio::time::sleep(poll.min(left.max(SHORTEST_PAUSE))).await;
        }
    }
}
