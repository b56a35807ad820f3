//! A slot at work: commits in its window, reveals in its window, moves the epoch on.
//!
//! | mechanism, role | question | commits in | reveals in |
//! |---|---|---|---|
//! | synthesis, worker | [`Question::Inference`] | Open | Sealed |
//! | synthesis, forecaster | [`Question::Forecast`] | Open | Sealed |
//! | synthesis, reputer | [`Question::Truth`] | Lag | Reveal |
//! | yuma, worker that judges | [`Question::Weights`] | Open | Reveal |
//!
//! [`Desk::act`] looks at the topic once and does what is due for the slot. An answer is kept before
//! it is committed; after a restart the kept answer is committed and revealed, and the program is not
//! asked again. What the chain says is done (`DuplicateSubmission`, `NothingCommitted`) is done.

use super::{
    Answer, History, Kind, Mechanism, Payload, Role, SaltStore, Slot, Stage, Submission, Topic,
    Topics,
};
use crate::ClientError;
use alloy_primitives::{Address, U256};
use futures::future::BoxFuture;
use hallmark_fixed::Q64;
use hallmark_mechanisms::{
    simulate::Decimal,
    wire::{encode_forecast, encode_inference, encode_truth, encode_weights},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Time that a commitment needs to get into a block before its window closes.
const MARGIN_MS: u64 = 150;

/// What a slot's program is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Question {
    /// A value.
    Inference { topic: u64, epoch: u64, slot: u16 },
    /// The expected loss (log10 of the squared error) of each inferer.
    Forecast {
        topic: u64,
        epoch: u64,
        slot: u16,
        workers: Vec<Peer>,
    },
    /// The true value.
    Truth { topic: u64, epoch: u64, slot: u16 },
    /// A weight, 0 to 65535, of each worker.
    Weights {
        topic: u64,
        epoch: u64,
        slot: u16,
        workers: Vec<Peer>,
    },
}

impl Question {
    /// The epoch that an answer is for.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Inference { epoch, .. }
            | Self::Forecast { epoch, .. }
            | Self::Truth { epoch, .. }
            | Self::Weights { epoch, .. } => *epoch,
        }
    }
}

/// Another slot, as a question shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    pub slot: u16,
    pub operator: Address,
    /// Its loss in the latest epoch whose settlement the log has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_loss: Option<PrintedQ64>,
}

/// A q64 that serialises as an exact JSON number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintedQ64(pub Q64);

impl Serialize for PrintedQ64 {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(super::q64_to_f64(self.0.to_bits()))
    }
}

/// What a program answers: exactly one of these, with the epoch if it likes. Numbers are read exactly,
/// as numbers or as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// To [`Question::Inference`].
    pub value: Option<Decimal>,
    /// To [`Question::Forecast`], by slot.
    pub losses: Option<BTreeMap<u16, Decimal>>,
    /// To [`Question::Truth`].
    pub truth: Option<Decimal>,
    /// To [`Question::Weights`], by slot.
    pub weights: Option<BTreeMap<u16, u16>>,
    /// Says nothing this epoch.
    pub skip: Option<bool>,
    /// The epoch of the question that this answers; another one than was asked is a failure.
    pub epoch: Option<u64>,
}

impl Reply {
    /// An inference.
    pub fn value(value: Q64) -> Self {
        Self {
            value: Some(Decimal(value)),
            ..Self::default()
        }
    }

    /// A truth.
    pub fn truth(value: Q64) -> Self {
        Self {
            truth: Some(Decimal(value)),
            ..Self::default()
        }
    }

    /// The payload of an answer to a question; `None` if the program skips the epoch.
    ///
    /// # Errors
    /// The answer is to another question.
    pub fn payload(&self, question: &Question) -> Result<Option<Vec<u8>>, String> {
        let given = [
            ("value", self.value.is_some()),
            ("losses", self.losses.is_some()),
            ("truth", self.truth.is_some()),
            ("weights", self.weights.is_some()),
            ("skip", self.skip == Some(true)),
        ];
        let given: Vec<&str> = given.iter().filter(|g| g.1).map(|g| g.0).collect();
        let (wanted, payload) = match question {
            Question::Inference { .. } => {
                ("value", self.value.map(|value| encode_inference(value.0)))
            }
            Question::Truth { .. } => ("truth", self.truth.map(|truth| encode_truth(truth.0))),
            Question::Forecast { .. } => {
                let pairs = self.losses.as_ref().map(|losses| {
                    let pairs: Vec<(u16, Q64)> =
                        losses.iter().map(|(slot, loss)| (*slot, loss.0)).collect();
                    encode_forecast(&pairs)
                });
                ("losses", pairs)
            }
            Question::Weights { .. } => {
                let pairs = self.weights.as_ref().map(|weights| {
                    let pairs: Vec<(u16, u16)> = weights
                        .iter()
                        .map(|(slot, weight)| (*slot, *weight))
                        .collect();
                    encode_weights(&pairs)
                });
                ("weights", pairs)
            }
        };
        match (given.as_slice(), payload) {
            (["skip"], _) => Ok(None),
            ([one], Some(payload)) if *one == wanted => Ok(Some(payload)),
            ([], _) => Err(format!("no `{wanted}` in the answer")),
            (given, _) => Err(format!(
                "`{wanted}` was asked, the answer has `{}`",
                given.join("`, `")
            )),
        }
    }
}

/// Whoever answers: a program, a model.
pub trait Answerer: Send {
    /// Answers within `limit`, or says why not.
    fn answer<'a>(
        &'a mut self,
        question: &'a Question,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Reply, String>>;
}

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
    asked: BTreeSet<(u64, u8)>,
    committed: BTreeSet<(u64, u8)>,
    revealed: BTreeSet<(u64, u8)>,
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
            asked: BTreeSet::new(),
            committed: BTreeSet::new(),
            revealed: BTreeSet::new(),
            losses: BTreeMap::new(),
        }
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
            let Some((commits, reveals)) = self.stages(mechanism.kind) else {
                continue;
            };
            let key = (epoch, index);
            let left = view.left_ms();
            let stage = view.topic.stage;
            let deed = if stage == commits && left > MARGIN_MS && !self.committed.contains(&key) {
                let time = limit.min(Duration::from_millis(left - MARGIN_MS));
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
        let submission = self.submission(view, mechanism);
        let operator = self.topics.client().address().ok_or(ClientError::NoKey)?;
        let chain = self.topics.client().chain_id();
        let role = self.slot.role;
        let check =
            |bytes: &[u8]| Payload::check(submission, kind, role, &view.topic.policy, bytes);
        // Kept before a restart: the chain may have its commitment already.
        let kept = self.store.find(chain, operator, submission)?;
        // One that can no longer be revealed must not be committed to now.
        let kept = kept.into_iter().rfind(|kept| check(&kept.payload).is_ok());
        let answer = match kept {
            Some(answer) => answer,
            None if self.asked.contains(&(epoch, mechanism)) => return Ok(None),
            None => {
                // What the node does not answer now is asked again at the next look.
                let question = self.question(view, mechanism, kind).await?;
                self.asked.insert((epoch, mechanism));
                let reply = answerer.answer(&question, limit).await;
                let payload =
                    reply
                        .and_then(|reply| reply.payload(&question))
                        .and_then(|payload| {
                            let checked = payload.map(|bytes| check(&bytes)).transpose();
                            checked.map_err(|fault| fault.to_string())
                        });
                match payload {
                    Ok(Some(payload)) => {
                        self.store.prepare(chain, operator, submission, &payload)?
                    }
                    Ok(None) => return Ok(Some(Deed::Skipped { epoch, mechanism })),
                    Err(reason) => {
                        return Ok(Some(Deed::Unanswered {
                            epoch,
                            mechanism,
                            reason,
                        }));
                    }
                }
            }
        };
        let sent = self.topics.commit(&answer, view.topic.policy.submit_fee);
        match sent.await {
            Ok(_) => {
                self.committed.insert((epoch, mechanism));
                Ok(Some(Deed::Committed { epoch, mechanism }))
            }
            Err(error) if error.is_refusal("DuplicateSubmission") => {
                self.committed.insert((epoch, mechanism));
                Ok(None)
            }
            Err(error) => {
                let deed = refused(error, epoch, mechanism)?;
                self.committed.insert((epoch, mechanism));
                Ok(Some(deed))
            }
        }
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
        for list in [&mut self.asked, &mut self.committed, &mut self.revealed] {
            list.retain(|key| key.0 >= epoch);
        }
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
/// error.
pub async fn advance_if_due(topics: &Topics, view: &View) -> Result<bool, ClientError> {
    if !view.is_due() {
        return Ok(false);
    }
    match topics.advance(view.topic.id).await {
        Ok(_) => Ok(true),
        Err(error) if error.refusal().is_some() => Ok(false),
        Err(error) => Err(error),
    }
}
