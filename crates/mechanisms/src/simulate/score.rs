//! Cases of the score mechanism.
//!
//! | field of a case | |
//! |---|---|
//! | `mechanism` | `"score"` |
//! | `params` | [`ParamsIn`]; a missing field has its default |
//! | `smoothed` | smoothed metric per slot, or null, before the first epoch; missing: none |
//! | `epochs` | `{"submissions": […]}` each: per slot null or [`SubmissionIn`] |
//! | anything else | not read; what is none of `name`, `note`, `expect` is listed in `ignored` |
//!
//! Each epoch of the result is an [`EpochOut`]. Smoothed metrics pass from epoch to epoch.

use super::number::{Decimal, decimals, plain_options};
use super::{Fault, Known, parse, write};
use crate::score::{Level, Params, State, Submission, settle};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(super) const KNOWN: Known = Known {
    case: &["smoothed"],
    epoch: &["submissions"],
};

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    params: ParamsIn,
    #[serde(default)]
    smoothed: Vec<Option<Decimal>>,
    epochs: Vec<EpochIn>,
}

/// The rules of the topic.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParamsIn {
    /// Weight of the new metric.
    pub rate: Decimal,
    /// Temperature of the softmax, in the unit of the metric.
    pub temperature: Decimal,
    /// The weakest level that counts.
    pub least_level: LevelIn,
}

impl Default for ParamsIn {
    fn default() -> ParamsIn {
        let rules = Params::default();
        ParamsIn {
            rate: Decimal(rules.rate),
            temperature: Decimal(rules.temperature),
            least_level: LevelIn::Proven,
        }
    }
}

impl ParamsIn {
    pub(crate) fn rules(&self) -> Params {
        Params {
            rate: self.rate.0,
            temperature: self.temperature.0,
            least_level: self.least_level.into(),
        }
    }
}

/// See [`Level`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LevelIn {
    /// See [`Level::Trusted`].
    Trusted,
    /// See [`Level::Audited`].
    Audited,
    /// See [`Level::Exact`].
    Exact,
    /// See [`Level::Proven`].
    Proven,
}

impl From<LevelIn> for Level {
    fn from(level: LevelIn) -> Level {
        match level {
            LevelIn::Trusted => Level::Trusted,
            LevelIn::Audited => Level::Audited,
            LevelIn::Exact => Level::Exact,
            LevelIn::Proven => Level::Proven,
        }
    }
}

#[derive(Deserialize)]
struct EpochIn {
    submissions: Vec<Option<SubmissionIn>>,
}

/// A metric and how it was checked.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmissionIn {
    /// Greater is better.
    pub metric: Decimal,
    /// How it was checked.
    pub level: LevelIn,
    /// Whether it can earn; true if missing. On a chain, who proved no right answer cannot.
    #[serde(default = "yes")]
    pub paid: bool,
}

fn yes() -> bool {
    true
}

/// What the epoch decided; a number per slot in every list.
#[derive(Debug, Serialize)]
pub struct EpochOut {
    /// Smoothed metric, 0 before the first proven one.
    pub smoothed: Vec<Decimal>,
    /// Softmax of those who submitted.
    pub weights: Vec<Decimal>,
    /// Parts of a billion that the settlement pays; they sum to a billion or to zero.
    pub shares: Vec<u64>,
}

pub(super) fn run(text: &str) -> Result<Box<RawValue>, Fault> {
    let case: Case = parse(text)?;
    let params = case.params.rules();
    let mut state = State {
        smoothed: plain_options(&case.smoothed),
    };
    let mut results = Vec::with_capacity(case.epochs.len());
    for epoch in &case.epochs {
        let submission = |s: &SubmissionIn| Submission {
            metric: s.metric.0,
            level: s.level.into(),
            paid: s.paid,
        };
        let submissions: Vec<Option<Submission>> = epoch
            .submissions
            .iter()
            .map(|s| s.as_ref().map(submission))
            .collect();
        let settlement = settle(&params, &mut state, &submissions);
        let weights = settlement
            .explanation
            .last()
            .map(|column| decimals(&column.values));
        results.push(EpochOut {
            smoothed: decimals(&settlement.scores),
            weights: weights.unwrap_or_default(),
            shares: settlement.shares,
        });
    }
    write(&results)
}
