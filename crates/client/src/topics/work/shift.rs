//! A slot at work epoch after epoch: looks, moves the epoch on, acts, waits, looks again.
//!
//! A node that does not answer is told and asked again; what makes going on useless ends the shift.

use super::{Answerer, Deed, Desk, View, advance_if_due};
use crate::ClientError;
use alloy_primitives::U256;
use serde::Serialize;
use std::time::Duration;

/// Pause after the node did not answer.
const NODE_PAUSE: Duration = Duration::from_secs(1);

/// How a slot works.
#[derive(Clone, Copy, Debug)]
pub struct Shift {
    pub topic: U256,
    /// Longest time for one answer.
    pub limit: Duration,
    /// Between two looks at the topic.
    pub poll: Duration,
    /// Ends after so many epochs from the present one on; never, if `None`.
    pub epochs: Option<u64>,
    /// Whether it moves the epoch on where it can.
    pub advances: bool,
}

/// What is told while a slot is at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Told {
    Deed(Deed),
    Node(NodeTrouble),
}

/// The node did not answer; it is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "node")]
pub struct NodeTrouble {
    pub reason: String,
}

/// Why there is no point in going on.
#[derive(Debug, thiserror::Error)]
pub enum ShiftError {
    #[error("slot {slot} of topic {topic} is no longer this key's (pruned, or left elsewhere)")]
    SlotLost { topic: U256, slot: u16 },
    #[error("topic {0} has retired")]
    Retired(U256),
    /// The store of answers fails, or there is no key; or the node did not answer the first question.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Shift {
    /// Works until the epochs are over.
    ///
    /// # Errors
    /// [`ShiftError`]; a node that is down for a time is none.
    pub async fn run(
        &self,
        desk: &mut Desk,
        answerer: &mut dyn Answerer,
        tell: &mut (dyn FnMut(Told) + Send),
    ) -> Result<(), ShiftError> {
        let topics = desk.topics().clone();
        let first = topics.get(self.topic).await?.epoch;
        loop {
            match self.step(desk, answerer, tell).await {
                Ok(epoch) if self.epochs.is_some_and(|count| epoch >= first + count) => {
                    return Ok(());
                }
                Ok(_) => {}
                Err(ShiftError::Client(error)) if is_of_the_node(&error) => {
                    let reason = error.to_string();
                    tell(Told::Node(NodeTrouble { reason }));
                    tokio::time::sleep(NODE_PAUSE).await;
                    // A broken WebSocket does not mend itself; what fails now, the next look tells.
                    let _ = topics.client().reconnect().await;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    /// One look at the topic; gives the epoch that it is in.
    async fn step(
        &self,
        desk: &mut Desk,
        answerer: &mut dyn Answerer,
        tell: &mut (dyn FnMut(Told) + Send),
    ) -> Result<u64, ShiftError> {
        let view = View::take(desk.topics(), self.topic).await?;
        if self.advances && advance_if_due(desk.topics(), &view).await? {
            return Ok(view.topic.epoch);
        }
        for deed in desk.act(&view, answerer, self.limit).await? {
            let is_lost = matches!(&deed, Deed::Refused { reason, .. }
                if reason.starts_with("NotOperator") || reason.starts_with("UnknownSlot"));
            tell(Told::Deed(deed));
            if is_lost {
                let (topic, slot) = (self.topic, desk.slot().index);
                return Err(ShiftError::SlotLost { topic, slot });
            }
        }
        if view.topic.retired && !view.topic.stage.is_running() {
            return Err(ShiftError::Retired(self.topic));
        }
        Ok(view.topic.epoch)
    }
}

fn is_of_the_node(error: &ClientError) -> bool {
    !matches!(error, ClientError::Salt(_) | ClientError::NoKey)
}
