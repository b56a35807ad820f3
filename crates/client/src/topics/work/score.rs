//! The steps of a worker in a score topic, and one epoch of them alone.

use super::{Deed, Desk, MARGIN_MS, Silent, View, advance_if_due, refused};
use crate::{
    ClientError,
    topics::{Kind, Prover, Role, Stage, Submission, proof_context, score::TestSet},
};
use alloy_primitives::{B256, Bytes, U256};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// A sample that the model gets right.
pub(super) struct Right {
    sample: u32,
    input: Vec<u8>,
}

impl Desk {
    /// Does what is due for the slot in a score mechanism: at most one transaction, and at most one
    /// proof.
    pub(super) async fn score(
        &mut self,
        view: &View,
        mechanism: u8,
    ) -> Result<Option<Deed>, ClientError> {
        let Some((prover, id)) = self.model.clone() else {
            return Ok(None);
        };
        if self.slot.role != Role::Worker {
            return Ok(None);
        }
        let key = (view.topic.epoch, mechanism);
        let left = view.left_ms();
        let (open, time) = view.commit_stage();
        if open == Stage::Open && time > MARGIN_MS && !self.committed.contains(&key) {
            return self.enter(view, mechanism, id).await;
        }
        match view.topic.stage {
            Stage::Sealed | Stage::Lag if left > 0 && !self.revealed.contains(&key) => {
                self.reveal(view, mechanism).await
            }
            Stage::Lag if left > MARGIN_MS && !self.proven.contains(&key) => {
                match self.right.contains_key(&key) {
                    false => self.judge(view, mechanism, (prover, id)).await,
                    true => self.prove(view, mechanism, prover).await,
                }
            }
            _ => Ok(None),
        }
    }

    /// Whether all that a model can do in an epoch is done.
    fn has_proven(&self, epoch: u64, mechanism: u8) -> bool {
        self.proven.contains(&(epoch, mechanism))
    }

    /// Commits to the model, if there is a test set to be judged by.
    async fn enter(
        &mut self,
        view: &View,
        mechanism: u8,
        id: B256,
    ) -> Result<Option<Deed>, ClientError> {
        let epoch = view.topic.epoch;
        let mut kept = self.kept(view, mechanism, Kind::Score)?;
        // Several are kept if the model changed: then the present one's, the chain having none yet.
        if let Some(place) = kept.iter().position(|kept| *kept.payload == id.as_slice()) {
            let answer = kept.swap_remove(place);
            return self.send_commitment(view, &answer).await;
        }
        if self.asked.contains(&(epoch, mechanism)) {
            return Ok(None);
        }
        let (commitment, _) = self.topics.test_set(view.topic.id, epoch).await?;
        if commitment.is_zero() && !view.topic.stage.is_running() {
            // There may be one yet.
            return Ok(None);
        }
        self.asked.insert((epoch, mechanism));
        if commitment.is_zero() {
            return Ok(Some(Deed::NoTestSet { epoch, mechanism }));
        }
        match self.check(view, mechanism, Kind::Score, id.as_slice()) {
            Ok(payload) => {
                let answer = self.keep(view, mechanism, &payload)?;
                self.send_commitment(view, &answer).await
            }
            Err(reason) => Ok(Some(Deed::Unanswered {
                epoch,
                mechanism,
                reason,
            })),
        }
    }

    /// Runs the model on the test set and notes which answers are right.
    async fn judge(
        &mut self,
        view: &View,
        mechanism: u8,
        (prover, id): (Arc<Prover>, B256),
    ) -> Result<Option<Deed>, ClientError> {
        let (topic, epoch) = (view.topic.id, view.topic.epoch);
        let key = (epoch, mechanism);
        let (revealed, model) = self
            .topics
            .submission(topic, mechanism, self.slot.index)
            .await?;
        if revealed != epoch {
            // It did not commit, or never opened.
            self.proven.insert(key);
            return Ok(None);
        }
        if *model != id.as_slice() {
            self.proven.insert(key);
            return Ok(Some(Deed::Unanswered {
                epoch,
                mechanism,
                reason: format!("the slot committed to model {model}, and this one is {id}"),
            }));
        }
        let (_, content) = self.topics.test_set(topic, epoch).await?;
        if content.is_empty() {
            self.proven.insert(key);
            return Ok(Some(Deed::NoTestSet { epoch, mechanism }));
        }
        match on_a_thread(move || right_answers(&prover, content)).await? {
            Ok((samples, mut right)) => {
                let count = u32::try_from(right.len()).unwrap_or(u32::MAX);
                right.reverse();
                if right.is_empty() {
                    self.proven.insert(key);
                }
                self.right.insert(key, right);
                Ok(Some(Deed::Judged {
                    epoch,
                    mechanism,
                    samples,
                    right: count,
                }))
            }
            Err(reason) => {
                self.proven.insert(key);
                Ok(Some(Deed::Unanswered {
                    epoch,
                    mechanism,
                    reason,
                }))
            }
        }
    }

    /// Proves the next right answer.
    async fn prove(
        &mut self,
        view: &View,
        mechanism: u8,
        prover: Arc<Prover>,
    ) -> Result<Option<Deed>, ClientError> {
        let epoch = view.topic.epoch;
        let key = (epoch, mechanism);
        let of = self.submission(view, mechanism);
        let next = self.right.get(&key).and_then(|right| right.last());
        let Some((sample, input)) = next.map(|next| (next.sample, next.input.clone())) else {
            self.proven.insert(key);
            return Ok(None);
        };
        let context = proof_context(self.topics.client().chain_id(), of, sample);
        let run = on_a_thread(move || prover.prove(context, &input)).await??;
        // It stays the next one if the node does not answer.
        let sent = self.topics.prove(of, sample, &run.output, &run.proof).await;
        let deed = match sent {
            Ok(_) => Some(Deed::Proven {
                epoch,
                mechanism,
                sample,
                bytes: run.proof.len(),
            }),
            // Before a restart.
            Err(error) if error.is_refusal("AlreadyProven") => None,
            Err(error) => {
                let others = ["ProofRefused", "InvalidPayload"];
                if !others.iter().any(|name| error.is_refusal(name)) {
                    // The window has closed, or the model is too young: no other proof fares better.
                    let deed = refused(error, epoch, mechanism)?;
                    self.proven.insert(key);
                    return Ok(Some(deed));
                }
                Some(refused(error, epoch, mechanism)?)
            }
        };
        if let Some(right) = self.right.get_mut(&key) {
            right.pop();
            if right.is_empty() {
                self.proven.insert(key);
            }
        }
        Ok(deed)
    }
}

/// How many samples a test set has, and which of them the model gets right.
fn right_answers(prover: &Prover, content: Bytes) -> Result<(u32, Vec<Right>), String> {
    let set = TestSet::from_content(content).map_err(|fault| fault.to_string())?;
    let mut right = Vec::new();
    for (number, sample) in (0u32..).zip(set.samples()) {
        // One that does not fit the model counts as wrong, as on the chain; the others count.
        let answer = prover.answer(sample.input).unwrap_or_default();
        if answer == Some(sample.label) {
            right.push(Right {
                sample: number,
                input: sample.input.to_vec(),
            });
        }
    }
    Ok((u32::try_from(set.len()).unwrap_or(u32::MAX), right))
}

/// Work that would hold up everything else.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ClientError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ClientError::Malformed(format!("a proof ended early: {error}")))
}

/// How far to go in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The model is committed to.
    Committed,
    /// Every right answer is proven.
    Proven,
}

/// What a model did in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entered {
    #[serde(skip)]
    pub submission: Submission,
    pub epoch: u64,
    pub mechanism: u8,
    /// Of the test set; zero until it is open.
    pub samples: u32,
    pub right: u32,
    /// Right answers that were proven now.
    pub proven: u32,
    /// What the chain refused.
    pub refused: Vec<String>,
}

/// Why a model took no part in an epoch.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(
        "no test set for epoch {0} of the topic: its owner must commit one before the epoch opens, and open it in Sealed"
    )]
    NoTestSet(u64),
    #[error("epoch {epoch}: {reason}")]
    Refused { epoch: u64, reason: String },
    #[error(
        "epoch {0} went by before all was done: give the topic longer stages, or this machine less to do"
    )]
    TooLate(u64),
    #[error("topic {0} has retired")]
    Retired(U256),
    #[error("topic {0} has no mechanism score, or the slot is no worker's")]
    NoScore(U256),
}

/// Takes part in one epoch of a score topic with the desk's model: goes on with the epoch under way if
/// a commitment is kept for it, else with the next that is open. Moves the epoch on where it can, and
/// tells every deed.
///
/// # Errors
/// [`EnterError`]: no test set, a commitment or the first proof refused, the window gone.
pub async fn enter(
    desk: &mut Desk,
    topic: U256,
    until: Until,
    poll: Duration,
    mut tell: impl FnMut(&Deed),
) -> Result<Entered, EnterError> {
    let topics = desk.topics().clone();
    let mut entered: Option<Entered> = None;
    loop {
        let view = View::take(&topics, topic).await?;
        let mechanism = score_of(&view, desk).ok_or(EnterError::NoScore(topic))?;
        if let Some(entered) = &entered {
            let has_passed = view.topic.epoch != entered.epoch || view.topic.stage > Stage::Lag;
            if has_passed {
                return Err(EnterError::TooLate(entered.epoch));
            }
        } else if view.topic.retired && !view.topic.stage.is_running() {
            return Err(EnterError::Retired(topic));
        }
        if advance_if_due(&topics, &view).await? {
            continue;
        }
        if entered.is_none() && is_kept(desk, &view, mechanism)? {
            entered = Some(Entered::of(desk.submission(&view, mechanism)));
        }
        for deed in desk.act(&view, &mut Silent, Duration::ZERO).await? {
            tell(&deed);
            note(&mut entered, deed, desk.submission(&view, mechanism))?;
        }
        // Committed before a restart: no deed tells of it.
        let key = (view.topic.epoch, mechanism);
        if entered.is_none() && desk.committed.contains(&key) {
            entered = Some(Entered::of(desk.submission(&view, mechanism)));
        }
        if let Some(done) = entered.take_if(|entered| match until {
            Until::Committed => desk.committed.contains(&(entered.epoch, mechanism)),
            Until::Proven => desk.has_proven(entered.epoch, mechanism),
        }) {
            return finish(done, until);
        }
        tokio::time::sleep(poll).await;
    }
}

impl Entered {
    fn of(submission: Submission) -> Self {
        Self {
            submission,
            epoch: submission.epoch,
            mechanism: submission.mechanism,
            samples: 0,
            right: 0,
            proven: 0,
            refused: Vec::new(),
        }
    }
}

/// The topic's first score mechanism, if the slot can serve one.
fn score_of(view: &View, desk: &Desk) -> Option<u8> {
    let mut mechanisms = view.mechanisms.iter();
    let index = mechanisms.position(|mechanism| mechanism.kind == Kind::Score)?;
    let serves = desk.model.is_some() && desk.slot.role == Role::Worker;
    serves.then(|| u8::try_from(index).ok()).flatten()
}

/// Whether the epoch under way has a commitment of this slot that can still be opened and proven.
fn is_kept(desk: &Desk, view: &View, mechanism: u8) -> Result<bool, ClientError> {
    let is_late = matches!(view.topic.stage, Stage::Sealed | Stage::Lag);
    Ok(is_late && !desk.kept(view, mechanism, Kind::Score)?.is_empty())
}

fn note(entered: &mut Option<Entered>, deed: Deed, of: Submission) -> Result<(), EnterError> {
    match deed {
        Deed::Committed { mechanism, .. } if mechanism == of.mechanism => {
            *entered = Some(Entered::of(of));
        }
        Deed::NoTestSet { epoch, mechanism } if mechanism == of.mechanism => {
            return Err(EnterError::NoTestSet(epoch));
        }
        Deed::Unanswered {
            epoch,
            mechanism,
            reason,
        } if mechanism == of.mechanism => return Err(EnterError::Refused { epoch, reason }),
        Deed::Refused {
            epoch,
            mechanism,
            reason,
        } if mechanism == of.mechanism => match entered {
            Some(entered) if entered.samples > 0 => entered.refused.push(reason),
            _ => return Err(EnterError::Refused { epoch, reason }),
        },
        Deed::Judged {
            mechanism,
            samples,
            right,
            ..
        } if mechanism == of.mechanism => {
            if let Some(entered) = entered {
                (entered.samples, entered.right) = (samples, right);
            }
        }
        Deed::Proven { mechanism, .. } if mechanism == of.mechanism => {
            if let Some(entered) = entered {
                entered.proven += 1;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Fails if nothing of what was begun was reached.
fn finish(done: Entered, until: Until) -> Result<Entered, EnterError> {
    if until == Until::Proven && done.samples == 0 {
        return Err(EnterError::TooLate(done.epoch));
    }
    if let (0, Some(reason)) = (done.proven, done.refused.first()) {
        return Err(EnterError::Refused {
            epoch: done.epoch,
            reason: reason.clone(),
        });
    }
    Ok(done)
}
