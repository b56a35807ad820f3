//! What a slot's program is asked, and what it answers.

use crate::topics::q64_to_f64;
use alloy_primitives::Address;
use futures::future::BoxFuture;
use hallmark_fixed::Q64;
use hallmark_mechanisms::{
    simulate::Decimal,
    wire::{encode_forecast, encode_inference, encode_truth, encode_weights},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

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
        to.serialize_f64(q64_to_f64(self.0.to_bits()))
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

/// Says nothing, whatever it is asked.
pub struct Silent;

impl Answerer for Silent {
    fn answer<'a>(
        &'a mut self,
        _: &'a Question,
        _: Duration,
    ) -> BoxFuture<'a, Result<Reply, String>> {
        let reply = Reply {
            skip: Some(true),
            ..Reply::default()
        };
        Box::pin(async move { Ok(reply) })
    }
}
