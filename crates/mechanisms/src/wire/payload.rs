//! What slots submit.

use super::bytes::{Reader, Writer};
use super::{Kind, Limits, PayloadError, Role};
use crate::synthesis::{self, Inferences};
use crate::yuma::Row;
use hallmark_fixed::Q64;

/// Tag of a report that gives the truth.
const TRUTH: u8 = 0;
/// Tag of a report that gives losses.
const LOSSES: u8 = 1;

/// Greatest loss that a report may give, and its negative the least: `2·log10(2^64)`, rounded up.
///
/// Values stand within ±2^63 in steps of 2^-64, so the logarithm of a squared error, whatever the
/// tolerance, is from `2·log10(2^-64)` to `2·log10(2^63)`. What is beyond is no loss.
pub const MOST_LOSS: Q64 = Q64::from_bits(710_786_980_930_989_712_932);

/// What a reputer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportPayload {
    /// The true value; losses are the logarithms of the squared errors.
    Truth(Q64),
    /// A loss per place of the layout, `None` where the epoch has no value.
    Losses(Vec<Option<Q64>>),
}

impl ReportPayload {
    /// The losses of an epoch's inferences.
    pub fn losses(self, params: &synthesis::Params, inferences: &Inferences) -> Vec<Option<Q64>> {
        match self {
            ReportPayload::Losses(losses) => losses,
            ReportPayload::Truth(truth) => inferences
                .values
                .iter()
                .map(|value| value.map(|value| params.squared_loss(value, truth)))
                .collect(),
        }
    }
}

pub(super) fn check(
    kind: Kind,
    role: Role,
    limits: &Limits,
    payload: &[u8],
) -> Result<(), PayloadError> {
    match (kind, role) {
        (Kind::Yuma, Role::Worker) => {
            let row = decode_weights(payload)?;
            within(row.last().map(|entry| entry.0), limits.workers)
        }
        (Kind::Synthesis, Role::Worker) => in_range(limits, decode_inference(payload)?),
        (Kind::Synthesis, Role::Forecaster) => {
            let forecast = decode_forecast(payload)?;
            within(forecast.last().map(|entry| entry.0), limits.workers)
        }
        (Kind::Synthesis, Role::Reputer) => match decode_report(payload)? {
            ReportPayload::Truth(truth) => in_range(limits, truth),
            ReportPayload::Losses(losses) => {
                let (found, expected) = (losses.len(), limits.layout().len());
                if found != expected {
                    return Err(PayloadError::Invalid(format!(
                        "{found} losses for the {expected} values of the topic"
                    )));
                }
                let mut losses = losses.into_iter().flatten();
                losses.try_for_each(|loss| between(loss, -MOST_LOSS, MOST_LOSS))
            }
        },
        (Kind::Score, Role::Worker) => decode_model(payload).map(|_| ()).map_err(Into::into),
        (Kind::Yuma | Kind::Score, role) => Err(PayloadError::Invalid(format!(
            "a {role} takes no part in {kind}"
        ))),
    }
}

fn within(last: Option<u16>, slots: u16) -> Result<(), PayloadError> {
    match last {
        Some(slot) if slot >= slots => Err(PayloadError::Invalid(format!(
            "there is no slot {slot}: the topic has {slots} of workers"
        ))),
        _ => Ok(()),
    }
}

fn in_range(limits: &Limits, value: Q64) -> Result<(), PayloadError> {
    let (least, greatest) = (limits.value_min, limits.value_max);
    if least == Q64::ZERO && greatest == Q64::ZERO {
        return Ok(());
    }
    between(value, least, greatest)
}

fn between(value: Q64, least: Q64, greatest: Q64) -> Result<(), PayloadError> {
    if (least..=greatest).contains(&value) {
        return Ok(());
    }
    Err(PayloadError::OutOfRange {
        value,
        least,
        greatest,
    })
}

fn ascending(last: &mut Option<u16>, slot: u16) -> Result<(), String> {
    if last.is_some_and(|last| last >= slot) {
        return Err(format!("slot {slot} does not stand in ascending order"));
    }
    *last = Some(slot);
    Ok(())
}

/// Weights of a validator: `(u16 slot, u16 weight)*`, slots ascending.
pub fn encode_weights(weights: &[(u16, u16)]) -> Vec<u8> {
    let mut writer = Writer::default();
    for &(slot, weight) in weights {
        writer.u16(slot);
        writer.u16(weight);
    }
    writer.bytes
}

/// The inverse of [`encode_weights`].
///
/// # Errors
///
/// What is wrong: a partial pair, or slots that do not ascend.
pub fn decode_weights(payload: &[u8]) -> Result<Row, String> {
    let mut reader = Reader::new(payload);
    let mut row = Row::with_capacity(payload.len().div_ceil(4));
    let mut last = None;
    while !reader.is_empty() {
        let (slot, weight) = (reader.u16()?, reader.u16()?);
        ascending(&mut last, slot)?;
        row.push((slot, weight));
    }
    Ok(row)
}

/// An inferer's value: 16 bytes.
pub fn encode_inference(value: Q64) -> Vec<u8> {
    value.to_bits().to_be_bytes().to_vec()
}

/// The inverse of [`encode_inference`].
///
/// # Errors
///
/// A length other than 16 bytes.
pub fn decode_inference(payload: &[u8]) -> Result<Q64, String> {
    let mut reader = Reader::new(payload);
    let value = reader.q64()?;
    reader.end()?;
    Ok(value)
}

/// A forecaster's expected losses: `(u16 slot, i128 loss)*`, slots of inferers, ascending.
pub fn encode_forecast(losses: &[(u16, Q64)]) -> Vec<u8> {
    let mut writer = Writer::default();
    for &(slot, loss) in losses {
        writer.u16(slot);
        writer.q64(loss);
    }
    writer.bytes
}

/// The inverse of [`encode_forecast`].
///
/// # Errors
///
/// What is wrong: a partial pair, or slots that do not ascend.
pub fn decode_forecast(payload: &[u8]) -> Result<Vec<(u16, Q64)>, String> {
    let mut reader = Reader::new(payload);
    let mut losses = Vec::with_capacity(payload.len().div_ceil(18));
    let mut last = None;
    while !reader.is_empty() {
        let (slot, loss) = (reader.u16()?, reader.q64()?);
        ascending(&mut last, slot)?;
        losses.push((slot, loss));
    }
    Ok(losses)
}

/// A reputer's truth: tag 0 and 16 bytes.
pub fn encode_truth(truth: Q64) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(TRUTH);
    writer.q64(truth);
    writer.bytes
}

/// A reputer's losses: tag 1, `u16` count, and per loss a byte 0, or a byte 1 and 16 bytes.
///
/// The list must be as long as the topic's [`crate::synthesis::Layout`], and every loss within
/// ±[`MOST_LOSS`].
pub fn encode_losses(losses: &[Option<Q64>]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(LOSSES);
    writer.length(losses.len());
    for loss in losses {
        writer.u8(u8::from(loss.is_some()));
        if let Some(loss) = loss {
            writer.q64(*loss);
        }
    }
    writer.bytes
}

/// The inverse of [`encode_truth`] and [`encode_losses`].
///
/// # Errors
///
/// What is wrong: another tag, or a count that the bytes do not hold.
pub fn decode_report(payload: &[u8]) -> Result<ReportPayload, String> {
    let mut reader = Reader::new(payload);
    let report = match reader.u8()? {
        TRUTH => ReportPayload::Truth(reader.q64()?),
        LOSSES => {
            let count = reader.u16()?;
            if usize::from(count) > payload.len() {
                return Err(format!("{count} losses do not fit {} bytes", payload.len()));
            }
            let loss = |_| {
                let present = reader.flag("presence of a loss")?;
                present.then(|| reader.q64()).transpose()
            };
            ReportPayload::Losses((0..count).map(loss).collect::<Result<_, String>>()?)
        }
        other => return Err(format!("{other} is no tag of a report")),
    };
    reader.end()?;
    Ok(report)
}

/// A score worker's payload: the 32 bytes that name its model.
///
/// # Errors
///
/// Another length.
pub fn decode_model(payload: &[u8]) -> Result<[u8; 32], String> {
    payload
        .try_into()
        .map_err(|_| format!("a model's name has 32 bytes, not {}", payload.len()))
}
