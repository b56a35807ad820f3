//! A slot at work: commits in its window, reveals in its window, moves the epoch on.
//!
//! | mechanism, role | question | commits in | reveals in |
//! |---|---|---|---|
//! | synthesis, worker | [`Question::Inference`] | Open | Sealed |
//! | synthesis, forecaster | [`Question::Forecast`] | Open | Sealed |
//! | synthesis, reputer | [`Question::Truth`] | Lag | Reveal |
//! | yuma, worker that judges | [`Question::Weights`] | Open | Reveal |
//! | score, worker with a model | none: its model's id | Open | Sealed or Lag; in Lag it proves |
//!
//! [`Desk::act`] looks at the topic once and does what is due for the slot. An answer is kept before
//! it is committed; after a restart the kept answer is committed and revealed, and the program is not
//! asked again. What the chain says is done (`DuplicateSubmission`, `NothingCommitted`) is done.

mod question;
mod score;
mod shift;

use super::{
    Answer, History, Kind, Mechanism, Payload, Prover, Role, SaltStore, Slot, Stage, Submission,
    Topic, Topics,
};
use crate::ClientError;
use alloy_primitives::{Address, B256, U256};
use hallmark_fixed::Q64;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub use question::{Answerer, Peer, PrintedQ64, Question, Reply, Silent};
pub use score::{EnterError, Entered, Until, enter};
pub use shift::{NodeTrouble, Shift, ShiftError, Told};

/// Time that a commitment needs to get into a block before its window closes.
const MARGIN_MS: u64 = 150;

/// A topic as it stands now.
#[derive(Clone, Debug)]
pub struct View {
    pub topic: Topic,
    pub mechanisms: Vec<Mechanism>,
    /// The chain's clock.
    pub now_ms: u64,
}

impl View {
    /// Asks the chain.
    pub async fn take(topics: &Topics, topic: U256) -> Result<Self, ClientError> {
        let (now_ms, found, mechanisms) = futures::try_join!(
            topics.client().now_ms(),
            topics.get(topic),
            topics.mechanisms(topic),
        )?;
        Ok(Self {
            topic: found,
            mechanisms,
            now_ms,
        })
    }

    /// Milliseconds until the present stage ends.
    pub fn left_ms(&self) -> u64 {
        self.topic.stage_end_ms.saturating_sub(self.now_ms)
    }

    /// The stage for who wants to commit, and how long it lasts: a commitment to a topic at rest opens the
    /// epoch whose time has come.
    pub fn commit_stage(&self) -> (Stage, u64) {
        match self.is_due() && !self.topic.stage.is_running() {
            true => (Stage::Open, self.topic.policy.open_ms),
            false => (self.topic.stage, self.left_ms()),
        }
    }

    /// Whether there is something for [`Topics::advance`] to do.
    pub fn is_due(&self) -> bool {
        self.left_ms() == 0 && (self.topic.stage.is_running() || !self.topic.retired)
    }
}

/// Something that a slot did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Deed {
    Committed {
        epoch: u64,
        mechanism: u8,
    },
    Revealed {
        epoch: u64,
        mechanism: u8,
    },
    /// The program said that it has nothing to say.
    Skipped {
        epoch: u64,
        mechanism: u8,
    },
    /// The owner of a score topic committed no test set for the epoch, or did not open it.
    #[serde(rename = "no test set")]
    NoTestSet {
        epoch: u64,
        mechanism: u8,
    },
    /// The slot's model was run on the test set.
    Judged {
        epoch: u64,
        mechanism: u8,
        samples: u32,
        right: u32,
    },
    /// A right answer of the model was proven to the chain.
    Proven {
        epoch: u64,
        mechanism: u8,
        sample: u32,
        /// Bytes of the proof.
        bytes: usize,
    },
    /// The program gave no answer that can be used.
    Unanswered {
        epoch: u64,
        mechanism: u8,
        reason: String,
    },
    /// The chain refused.
    Refused {
        epoch: u64,
        mechanism: u8,
        reason: String,
    },
}

/// A slot's place in a topic and what it has done there.
pub struct Desk {
    topics: Topics,
    store: SaltStore,
    slot: Slot,
    /// Whether a worker of a Yuma topic judges the others.
    judges: bool,
    /// What it proves scores with, and the id under which it is published.
    model: Option<(Arc<Prover>, B256)>,
    asked: BTreeSet<(u64, u8)>,
    committed: BTreeSet<(u64, u8)>,
    revealed: BTreeSet<(u64, u8)>,
    /// Epochs whose proofs are all sent, or will never be.
    proven: BTreeSet<(u64, u8)>,
    /// Right answers that wait for their proofs, the next one last.
    right: BTreeMap<(u64, u8), Vec<score::Right>>,
    /// By mechanism.
    losses: BTreeMap<u8, Losses>,
}

/// Losses in a mechanism's latest settlement that the log has.
#[derive(Default)]
struct Losses {
    by_holder: BTreeMap<(u16, Address), Q64>,
    /// First block that was not looked at.
    next_block: u64,
}

impl Desk {
    /// The desk of this key's slot. `judges`: in Yuma, whether the slot weighs workers.
    pub fn new(topics: Topics, store: SaltStore, slot: Slot, judges: bool) -> Self {
        Self {
            topics,
            store,
            slot,
            judges,
            model: None,
            asked: BTreeSet::new(),
            committed: BTreeSet::new(),
            revealed: BTreeSet::new(),
            proven: BTreeSet::new(),
            right: BTreeMap::new(),
            losses: BTreeMap::new(),
        }
    }

    /// The same desk, which also serves score mechanisms: with a model that is published under `id`.
    #[must_use]
    pub fn with_model(mut self, prover: Arc<Prover>, id: B256) -> Self {
        self.model = Some((prover, id));
        self
    }

    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// The connection and the key that the slot works with.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Stages in which the slot commits and reveals to a mechanism, if it takes part in it.
    fn stages(&self, kind: Kind) -> Option<(Stage, Stage)> {
        match (kind, self.slot.role) {
            (Kind::Synthesis, Role::Worker | Role::Forecaster) => {
                Some((Stage::Open, Stage::Sealed))
            }
            (Kind::Synthesis, Role::Reputer) => Some((Stage::Lag, Stage::Reveal)),
            (Kind::Yuma, Role::Worker) if self.judges => Some((Stage::Open, Stage::Reveal)),
            _ => None,
        }
    }

    /// Does what is due for the slot; asks `answerer` at most once an epoch and mechanism.
    ///
    /// # Errors
    /// The node does not answer or the store fails; what the chain refuses is a [`Deed`].
    pub async fn act(
        &mut self,
        view: &View,
        answerer: &mut dyn Answerer,
        limit: Duration,
    ) -> Result<Vec<Deed>, ClientError> {
        let mut deeds = Vec::new();
        let epoch = view.topic.epoch;
        for (index, mechanism) in view.mechanisms.iter().enumerate() {
            let index = u8::try_from(index).unwrap_or(u8::MAX);
            if mechanism.kind == Kind::Score {
                deeds.extend(self.score(view, index).await?);
                continue;
            }
            let Some((commits, reveals)) = self.stages(mechanism.kind) else {
                continue;
            };
            let key = (epoch, index);
            let left = view.left_ms();
            let stage = view.topic.stage;
            let (open, time) = view.commit_stage();
            let deed = if open == commits && time > MARGIN_MS && !self.committed.contains(&key) {
                let time = limit.min(Duration::from_millis(time - MARGIN_MS));
                self.commit(view, index, mechanism.kind, answerer, time)
                    .await?
            } else if stage == reveals && left > 0 && !self.revealed.contains(&key) {
                self.reveal(view, index).await?
            } else {
                None
            };
            deeds.extend(deed);
        }
        self.forget(epoch);
        Ok(deeds)
    }

    fn submission(&self, view: &View, mechanism: u8) -> Submission {
        Submission {
            topic: view.topic.id,
            epoch: view.topic.epoch,
            mechanism,
            slot: self.slot.index,
        }
    }

    async fn commit(
        &mut self,
        view: &View,
        mechanism: u8,
        kind: Kind,
        answerer: &mut dyn Answerer,
        limit: Duration,
    ) -> Result<Option<Deed>, ClientError> {
        let epoch = view.topic.epoch;
        if let Some(kept) = self.kept(view, mechanism, kind)?.pop() {
            return self.send_commitment(view, &kept).await;
        }
        if self.asked.contains(&(epoch, mechanism)) {
            return Ok(None);
        }
        // What the node does not answer now is asked again at the next look.
        let question = self.question(view, mechanism, kind).await?;
        self.asked.insert((epoch, mechanism));
        let reply = answerer.answer(&question, limit).await;
        let payload = reply
            .and_then(|reply| reply.payload(&question))
            .and_then(|payload| {
                let check = |bytes: Vec<u8>| self.check(view, mechanism, kind, &bytes);
                payload.map(check).transpose()
            });
        match payload {
            Ok(Some(payload)) => {
                let answer = self.keep(view, mechanism, &payload)?;
                self.send_commitment(view, &answer).await
            }
            Ok(None) => Ok(Some(Deed::Skipped { epoch, mechanism })),
            Err(reason) => Ok(Some(Deed::Unanswered {
                epoch,
                mechanism,
                reason,
            })),
        }
    }

    /// An answer that the chain will take, or why it will not.
    fn check(
        &self,
        view: &View,
        mechanism: u8,
        kind: Kind,
        bytes: &[u8],
    ) -> Result<Payload, String> {
        let (of, policy) = (self.submission(view, mechanism), &view.topic.policy);
        Payload::check(of, kind, self.slot.role, policy, bytes).map_err(|fault| fault.to_string())
    }

    /// What was kept for the epoch before a restart, the chain may have its commitment already. One
    /// that can no longer be revealed must not be committed to now, and is left out.
    fn kept(&self, view: &View, mechanism: u8, kind: Kind) -> Result<Vec<Answer>, ClientError> {
        let operator = self.topics.client().address().ok_or(ClientError::NoKey)?;
        let chain = self.topics.client().chain_id();
        let of = self.submission(view, mechanism);
        let mut kept = self.store.find(chain, operator, of)?;
        kept.retain(|kept| self.check(view, mechanism, kind, &kept.payload).is_ok());
        Ok(kept)
    }

    /// Draws a salt for an answer and keeps both.
    fn keep(&self, view: &View, mechanism: u8, payload: &Payload) -> Result<Answer, ClientError> {
        let operator = self.topics.client().address().ok_or(ClientError::NoKey)?;
        let chain = self.topics.client().chain_id();
        let of = self.submission(view, mechanism);
        Ok(self.store.prepare(chain, operator, of, payload)?)
    }

    async fn send_commitment(
        &mut self,
        view: &View,
        answer: &Answer,
    ) -> Result<Option<Deed>, ClientError> {
        let (epoch, mechanism) = (answer.submission.epoch, answer.submission.mechanism);
        let sent = self.topics.commit(answer, view.topic.policy.submit_fee);
        let deed = match sent.await {
            Ok(_) => Some(Deed::Committed { epoch, mechanism }),
            Err(error) if error.is_refusal("DuplicateSubmission") => None,
            Err(error) => Some(refused(error, epoch, mechanism)?),
        };
        self.committed.insert((epoch, mechanism));
        Ok(deed)
    }

    async fn reveal(&mut self, view: &View, mechanism: u8) -> Result<Option<Deed>, ClientError> {
        let epoch = view.topic.epoch;
        let submission = self.submission(view, mechanism);
        let sent: Result<Option<(Answer, _)>, ClientError> =
            self.topics.reveal_kept(&self.store, submission).await;
        let deed = match sent {
            Ok(Some(_)) => Some(Deed::Revealed { epoch, mechanism }),
            Ok(None) => None,
            Err(error)
                if error.is_refusal("DuplicateSubmission")
                    || error.is_refusal("NothingCommitted") =>
            {
                None
            }
            // A model may be opened in the next stage too.
            Err(error)
                if view.topic.stage == Stage::Sealed
                    && self.model.is_some()
                    && (error.is_refusal("TooLate") || error.is_refusal("WrongStage")) =>
            {
                return Ok(None);
            }
            Err(error) => Some(refused(error, epoch, mechanism)?),
        };
        self.revealed.insert((epoch, mechanism));
        Ok(deed)
    }

    async fn question(
        &mut self,
        view: &View,
        mechanism: u8,
        kind: Kind,
    ) -> Result<Question, ClientError> {
        let (epoch, slot) = (view.topic.epoch, self.slot.index);
        let topic = view.topic.id.saturating_to();
        Ok(match (kind, self.slot.role) {
            (Kind::Synthesis, Role::Reputer) => Question::Truth { topic, epoch, slot },
            (Kind::Synthesis, Role::Forecaster) => Question::Forecast {
                topic,
                epoch,
                slot,
                workers: self.peers(view, mechanism, true).await?,
            },
            (Kind::Yuma, _) => Question::Weights {
                topic,
                epoch,
                slot,
                workers: self.peers(view, mechanism, false).await?,
            },
            _ => Question::Inference { topic, epoch, slot },
        })
    }

    /// The topic's workers, with their latest losses if these are wanted and in the log.
    async fn peers(
        &mut self,
        view: &View,
        mechanism: u8,
        losses: bool,
    ) -> Result<Vec<Peer>, ClientError> {
        let slots = self.topics.slots(view.topic.id).await?;
        if losses {
            self.learn(view, mechanism, &slots).await?;
        }
        let known = losses.then(|| self.losses.get(&mechanism)).flatten();
        let workers = slots
            .iter()
            .filter(|slot| slot.is_held() && slot.role == Role::Worker);
        Ok(workers
            .map(|slot| Peer {
                slot: slot.index,
                operator: slot.operator,
                last_loss: known.and_then(|known| {
                    let loss = known.by_holder.get(&(slot.index, slot.operator))?;
                    Some(PrintedQ64(*loss))
                }),
            })
            .collect())
    }

    /// Reads the losses of a mechanism's latest settlement, if the blocks that were not looked at yet
    /// have one. `slots` are the topic's now.
    async fn learn(
        &mut self,
        view: &View,
        mechanism: u8,
        slots: &[Slot],
    ) -> Result<(), ClientError> {
        let topic = &view.topic;
        let head = self.topics.client().block_number().await?;
        let known = self.losses.entry(mechanism).or_default();
        let found = self
            .topics
            .since_settlement(topic.id, mechanism, known.next_block, head);
        let logs = found.await?;
        let kinds: Vec<Kind> = view.mechanisms.iter().map(|m| m.kind).collect();
        let history = History::read_latest(slots, &logs, &kinds, topic.policy.max_workers)
            .inspect_err(|error| tracing::warn!(%error, "losses are not shown to the program"))
            .unwrap_or_default();
        let mut settlements = history.settlements.iter();
        if let Some(latest) = settlements.rfind(|s| s.mechanism == mechanism) {
            let losses = latest.slots.iter().filter_map(|judged| {
                let loss = judged.number("own loss")?;
                Some(((judged.slot, judged.operator), loss))
            });
            known.by_holder = losses.filter(|(_, loss)| *loss != Q64::ZERO).collect();
        }
        known.next_block = head + 1;
        Ok(())
    }

    /// Drops what is of past epochs.
    fn forget(&mut self, epoch: u64) {
        for list in [
            &mut self.asked,
            &mut self.committed,
            &mut self.revealed,
            &mut self.proven,
        ] {
            list.retain(|key| key.0 >= epoch);
        }
        self.right.retain(|key, _| key.0 >= epoch);
    }
}

/// What the chain refused as a deed; any other failure stays one.
fn refused(error: ClientError, epoch: u64, mechanism: u8) -> Result<Deed, ClientError> {
    match error.refusal() {
        Some(revert) => Ok(Deed::Refused {
            epoch,
            mechanism,
            reason: revert.to_string(),
        }),
        None => Err(error),
    }
}

/// Advances a topic if something is due; whether a slice was done. That another was faster is no
/// error. No epoch is opened in which nobody could take part: one of scores alone without a test set.
pub async fn advance_if_due(topics: &Topics, view: &View) -> Result<bool, ClientError> {
    if !view.is_due() {
        return Ok(false);
    }
    let scores_alone = view.mechanisms.iter().all(|m| m.kind == Kind::Score);
    if scores_alone && !view.topic.stage.is_running() {
        let (commitment, _) = topics.test_set(view.topic.id, view.topic.epoch).await?;
        if commitment.is_zero() {
            return Ok(false);
        }
    }
    match topics.advance(view.topic.id).await {
        Ok(_) => Ok(true),
        Err(error) if error.refusal().is_some() => Ok(false),
        Err(error) => Err(error),
    }
}
