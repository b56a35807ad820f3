//! Bytes in, bytes out: what a contract keeps of a topic, and what its slots submit.
//!
//! The mechanisms of this crate work on vectors per slot. A contract has byte strings, slots that
//! may be free, and times in milliseconds. This module joins the two. Every encoding is big endian,
//! canonical (equal values have equal bytes, and nothing else decodes) and bounded before anything
//! is allocated; hostile bytes are an error, never a panic.
//!
//! # An epoch
//!
//! | step | yuma | synthesis | score |
//! |---|---|---|---|
//! | a slot reveals | [`check_payload`] | [`check_payload`] | [`check_payload`] |
//! | workers have revealed | – | [`infer`]: the output, and what [`settle`] needs of it | – |
//! | the rest has revealed | [`settle`] | [`settle`] | [`settle`] |
//! | a slot changes hands | [`forget`] | [`forget`] | [`forget`] |
//!
//! # Slots
//!
//! Yuma and score have slots `0..workers`. Synthesis counts on: `0..workers` are inferers, then
//! come the forecasters, then the reputers. Free slots have no [`Entry`]; entries ascend by slot.
//! Entries of slots or roles that the limits do not know, and payloads that do not decode, count as
//! silence.
//!
//! # Encodings
//!
//! `bits(n)` is `⌈n/8⌉` bytes, lowest bit first, unused bits zero; `options(n)` is `bits(n)` (who
//! is there) followed by an `i128` (Q64) for each that is; `list` is a `u16` count and an `i128`
//! each.
//!
//! | bytes | encoding |
//! |---|---|
//! | weights (yuma, worker) | `(u16 slot, u16 weight)*`, slots ascending |
//! | inference (synthesis, worker) | `i128` |
//! | forecast (synthesis, forecaster) | `(u16 slot, i128 expected loss)*`, slots of inferers ascending |
//! | report (synthesis, reputer) | `0, i128` the truth; or `1, u16 count`, then per place of the [`Layout`] `0`, or `1, i128` within ±[`MOST_LOSS`] |
//! | model (score, worker) | 32 bytes |
//! | test set | `u32` count (1 to 64), then each `u32` length, input, `u32` label |
//! | explanation | `u8` count, then each `u8` length, name, `i128` per entry |
//! | memory, any | no bytes: nothing has happened yet |
//! | memory, yuma | `u16 n`, permits `bits(n)`, then per permitted slot its bonds: `bits(n)` and a `u16` for each, never zero |
//! | memory, synthesis | `u16` inferers, forecasters, reputers; network loss and τ `options(2)`; spread `u8` 0, or 1 and two `i128`; regrets `options(workers)`; naive regrets `options(inferers)`; per worker its one-out regrets `options(workers)`; per forecaster its one-in regrets `options(inferers + 1)`; listening `i128` per reputer; scores of inferers and of forecasters, each a `list`; fractions `options(slots)` |
//! | memory, score | `u16 n`, smoothed metrics `options(n)`, the last of which is there |
//! | pending (synthesis) | `u16` inferers, forecasters; values `options(Layout::len)`; weights `options(workers)`; percentiles `u8` 0, or 1 and five `i128`; outlier-resistant `options(1)` |
//! | parameters | no bytes: all defaults of a topic; otherwise fixed fields, see [`Params`] |
//!
//! # Mechanisms on a chain
//!
//! - Yuma's blocks are milliseconds: `now_ms` is the block of the epoch, a slot's last update is
//!   when it submitted, and weights stay in force until the activity cutoff, which is
//!   13.889 epochs if the parameters do not say otherwise. Weights for a free slot, and bonds in
//!   it, do not count.
//! - Yuma has at most [`MAX_PERMITS`] permits, the owner's included: whoever may judge is read.
//! - The reputers of synthesis agree by the median by stake, never by the mean
//!   ([`Consensus`](crate::synthesis::Consensus)): anyone may be a reputer, and a mean is moved
//!   anywhere by any stake.
//! - Who judged or answered and then gave up its slot before the settlement is paid nothing: its
//!   share goes to the others in proportion, and the slot's next holder starts anew.
//! - Where Yuma gives nobody a score, nobody is paid, whatever `pay_idle` says.
//! - A score worker who proved no right answer is judged and not paid; nor is a slot whose entry says so.
//! - A score worker's metric is `correct / total`, and counts because the chain verified each proof.

mod bytes;
mod explanation;
mod params;
mod payload;
mod score;
mod synthesis;
mod test_set;
mod yuma;

#[cfg(test)]
mod tests;

pub use explanation::{NamedColumn, decode_explanation, encode_explanation};
pub use params::{MAX_PERMITS, Params};
pub use payload::{
    MOST_LOSS, ReportPayload, decode_forecast, decode_inference, decode_model, decode_report,
    decode_weights, encode_forecast, encode_inference, encode_losses, encode_truth, encode_weights,
};
pub use synthesis::{decode_pending, infer};
pub use test_set::{MOST_SAMPLES, Sample, encode_test_set, test_set};

use crate::settlement::{Output, Settlement, WHOLE, apportion};
use crate::synthesis::Layout;
use core::fmt;
use hallmark_fixed::Q64;
use thiserror::Error;

/// Greatest numbers of slots in a synthesis topic: regrets grow with the square of the workers.
pub const MOST_SYNTHESIS: [u16; 3] = [64, 16, 64];
/// Greatest number of slots of any other topic.
pub const MOST_SLOTS: u16 = 4_096;

/// How usefulness is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Validators with stake weigh workers.
    Yuma,
    /// Inferers say values, forecasters their losses, reputers the truth.
    Synthesis,
    /// Workers prove a metric.
    Score,
}

impl Kind {
    /// The kind of a contract's number.
    pub fn from_u8(number: u8) -> Option<Kind> {
        [Kind::Yuma, Kind::Synthesis, Kind::Score]
            .get(usize::from(number))
            .copied()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Yuma => "yuma",
            Kind::Synthesis => "synthesis",
            Kind::Score => "score",
        })
    }
}

/// What a slot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Inferer, score worker, or any slot of Yuma.
    Worker,
    /// Says what the inferers' losses will be.
    Forecaster,
    /// Says what the losses were.
    Reputer,
}

impl Role {
    /// The role of a contract's number.
    pub fn from_u8(number: u8) -> Option<Role> {
        [Role::Worker, Role::Forecaster, Role::Reputer]
            .get(usize::from(number))
            .copied()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Worker => "worker",
            Role::Forecaster => "forecaster",
            Role::Reputer => "reputer",
        })
    }
}

/// The size of a topic and the range of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Slots of workers.
    pub workers: u16,
    /// Slots of forecasters; synthesis only.
    pub forecasters: u16,
    /// Slots of reputers; synthesis only.
    pub reputers: u16,
    /// Least value of an inference and of the truth.
    pub value_min: Q64,
    /// Greatest value; if both are zero, any value will do.
    pub value_max: Q64,
}

impl Limits {
    /// The layout of a synthesis topic's values.
    pub fn layout(&self) -> Layout {
        Layout {
            inferers: usize::from(self.workers),
            forecasters: usize::from(self.forecasters),
        }
    }

    fn check(&self, kind: Kind) -> Result<(), String> {
        let [workers, forecasters, reputers] = match kind {
            Kind::Synthesis => MOST_SYNTHESIS,
            Kind::Yuma | Kind::Score => [MOST_SLOTS, u16::MAX, u16::MAX],
        };
        for (name, found, most) in [
            ("workers", self.workers, workers),
            ("forecasters", self.forecasters, forecasters),
            ("reputers", self.reputers, reputers),
        ] {
            if found > most {
                return Err(format!("{found} {name}: {kind} takes at most {most}"));
            }
        }
        if self.value_min > self.value_max {
            return Err("the least value is above the greatest".to_string());
        }
        Ok(())
    }
}

/// An occupied slot in an epoch.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Index of the slot.
    pub slot: u16,
    /// What it does.
    pub role: Role,
    /// Stake on it, in any unit.
    pub stake: u128,
    /// When its holder took it.
    pub registered_ms: u64,
    /// When its latest payload was committed (not when it was revealed: who knew a slot only
    /// afterwards cannot have meant its new holder); 0: never.
    pub submitted_ms: u64,
    /// Whether the payload was revealed in this epoch.
    pub fresh: bool,
    /// Whether it can earn. One that cannot is judged all the same, and its part goes to the others: a slot
    /// that changed hands after the inference has not earned what its former holder did.
    pub paid: bool,
    /// Its latest payload.
    pub payload: Option<&'a [u8]>,
    /// Right answers and questions that were proven in this epoch; score only.
    pub proven: Option<(u32, u32)>,
}

impl<'a> Entry<'a> {
    fn fresh_payload(&self) -> Option<&'a [u8]> {
        self.payload.filter(|_| self.fresh)
    }
}

/// The times of a settlement, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ctx {
    /// Now.
    pub now_ms: u64,
    /// When the epoch before was settled; 0 if none was.
    pub last_settled_ms: u64,
    /// From one epoch to the next.
    pub epoch_ms: u64,
}

/// What [`infer`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inferred {
    /// The mechanism's memory from here on.
    pub memory: Vec<u8>,
    /// The network's value, if anyone said one.
    pub output: Option<Output>,
    /// What [`settle`] needs of it.
    pub pending: Vec<u8>,
}

/// What [`settle`] decided; one number per entry in every list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The mechanism's memory from here on.
    pub memory: Vec<u8>,
    /// Parts in billionths; they sum to a billion or to zero.
    pub shares: Vec<u64>,
    /// Scores in the mechanism's own unit.
    pub scores: Vec<Q64>,
    /// Yuma: who may set weights in the next epoch.
    pub permits: Vec<bool>,
    /// The columns of [`decode_explanation`].
    pub explanation: Vec<u8>,
}

/// Why a payload is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// It is not of the mechanism's form.
    #[error("{0}")]
    Invalid(String),
    /// A value outside the topic's range.
    #[error("{value} is outside {least} to {greatest}")]
    OutOfRange {
        /// The value.
        value: Q64,
        /// Least.
        least: Q64,
        /// Greatest.
        greatest: Q64,
    },
}

impl From<String> for PayloadError {
    fn from(message: String) -> PayloadError {
        PayloadError::Invalid(message)
    }
}

/// Whether a mechanism with these parameters can run in a topic of this size.
///
/// # Errors
///
/// What is wrong, as text for people.
pub fn check_params(kind: Kind, params: &[u8], limits: &Limits) -> Result<(), String> {
    limits.check(kind)?;
    Params::decode(kind, params)?.check(limits)
}

/// Whether a slot of this role may submit `payload`.
///
/// # Errors
///
/// [`PayloadError`] if the bytes are no canonical encoding, name slots that do not exist, or hold a
/// value outside the topic's range or a loss beyond [`MOST_LOSS`].
pub fn check_payload(
    kind: Kind,
    role: Role,
    limits: &Limits,
    payload: &[u8],
) -> Result<(), PayloadError> {
    payload::check(kind, role, limits, payload)
}

/// The memory of a mechanism before its first epoch: no bytes.
pub fn empty_memory(_kind: Kind, _params: &[u8], _limits: &Limits) -> Vec<u8> {
    Vec::new()
}

/// Decides an epoch.
///
/// `pending` is what [`infer`] returned in this epoch, or empty if it was not called; other
/// mechanisms than synthesis do not read it.
///
/// # Errors
///
/// Corrupt parameters, memory or pending bytes, and entries that do not ascend by slot. What slots
/// submitted is never an error.
pub fn settle(
    kind: Kind,
    params: &[u8],
    limits: &Limits,
    memory: &[u8],
    pending: &[u8],
    ctx: &Ctx,
    entries: &[Entry<'_>],
) -> Result<Decision, String> {
    check_inputs(kind, limits, entries)?;
    match Params::decode(kind, params)? {
        Params::Yuma(params) => yuma::settle(params, limits, memory, ctx, entries),
        Params::Synthesis(params) => synthesis::settle(&params, limits, memory, pending, entries),
        Params::Score(params) => score::settle(&params, limits, memory, entries),
    }
}

/// The memory without what it knows of a slot, which has a new holder.
///
/// Memory that does not decode comes back as it is; [`settle`] says so.
pub fn forget(
    kind: Kind,
    _params: &[u8],
    limits: &Limits,
    memory: &[u8],
    slot: u16,
    _role: Role,
) -> Vec<u8> {
    let forgotten = match kind {
        Kind::Yuma => yuma::forget(limits, memory, slot),
        Kind::Synthesis => synthesis::forget(limits, memory, slot),
        Kind::Score => score::forget(memory, slot),
    };
    forgotten.unwrap_or_else(|_| memory.to_vec())
}

fn check_inputs(kind: Kind, limits: &Limits, entries: &[Entry<'_>]) -> Result<(), String> {
    limits.check(kind)?;
    if entries.is_sorted_by(|a, b| a.slot < b.slot) {
        Ok(())
    } else {
        Err("entries do not ascend by slot".to_string())
    }
}

/// A settlement by slot as a decision by entry. What went to a slot without a counting entry is
/// split among the others.
fn decide(
    settlement: &Settlement,
    permits: &[bool],
    memory: Vec<u8>,
    entries: &[Entry<'_>],
    counts: impl Fn(&Entry<'_>) -> bool,
) -> Decision {
    let slots = entries.iter().map(|entry| usize::from(entry.slot));
    let share = |entry: &Entry<'_>| {
        let share = settlement.shares.get(usize::from(entry.slot));
        share
            .copied()
            .filter(|_| entry.paid && counts(entry))
            .unwrap_or(0)
    };
    let shares: Vec<u64> = entries.iter().map(share).collect();
    let sum = shares
        .iter()
        .fold(0u64, |sum, &share| sum.saturating_add(share));
    let shares = if sum == 0 || sum == WHOLE {
        shares
    } else {
        let weights: Vec<u128> = shares.iter().map(|&share| u128::from(share)).collect();
        apportion(&weights, WHOLE)
    };
    Decision {
        memory,
        shares,
        scores: slots
            .clone()
            .map(|slot| settlement.scores.get(slot).copied().unwrap_or(Q64::ZERO))
            .collect(),
        permits: slots
            .clone()
            .map(|slot| permits.get(slot).copied().unwrap_or(false))
            .collect(),
        explanation: explanation::by_entry(&settlement.explanation, slots),
    }
}
