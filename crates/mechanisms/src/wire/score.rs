//! Score on bytes.

use super::bytes::{Reader, Writer};
use super::{Decision, Entry, Limits, MOST_SLOTS, Role, decide};
use crate::score::{Level, Params, State, Submission};
use hallmark_fixed::Q64;

pub(super) fn decode(memory: &[u8]) -> Result<State, String> {
    if memory.is_empty() {
        return Ok(State::default());
    }
    let fault = |error| format!("memory of score: {error}");
    let mut reader = Reader::new(memory);
    let count = reader.u16().map_err(fault)?;
    if count > MOST_SLOTS {
        return Err(fault(format!("{count} slots")));
    }
    let smoothed = reader.options(usize::from(count)).map_err(fault)?;
    reader.end().map_err(fault)?;
    match smoothed.last() {
        Some(Some(_)) => Ok(State { smoothed }),
        _ => Err(fault("the last metric is missing".to_string())),
    }
}

pub(super) fn encode(state: &State) -> Vec<u8> {
    let last = state.smoothed.iter().rposition(Option::is_some);
    let Some(kept) = last.and_then(|last| state.smoothed.get(..=last)) else {
        return Vec::new();
    };
    let mut writer = Writer::default();
    writer.length(kept.len());
    writer.options(kept);
    writer.bytes
}

pub(super) fn settle(
    params: &Params,
    limits: &Limits,
    memory: &[u8],
    entries: &[Entry<'_>],
) -> Result<Decision, String> {
    let mut state = decode(memory)?;
    let slots = usize::from(limits.workers);
    state.smoothed.resize(slots, None);
    let mut submissions = vec![None; slots];
    for entry in entries.iter().filter(|entry| entry.role == Role::Worker) {
        if let (Some(place), Some((correct, total @ 1..))) =
            (submissions.get_mut(usize::from(entry.slot)), entry.proven)
        {
            *place = Some(Submission {
                metric: Q64::from_ratio(u128::from(correct.min(total)), u128::from(total)),
                level: Level::Proven,
                // Who proved nothing right is judged, so that its past fades, and never paid for silence.
                paid: correct > 0 && entry.paid,
            });
        }
    }
    let settlement = crate::score::settle(params, &mut state, &submissions);
    Ok(decide(&settlement, &[], encode(&state), entries, |_| true))
}

pub(super) fn forget(memory: &[u8], slot: u16) -> Result<Vec<u8>, String> {
    let mut state = decode(memory)?;
    if let Some(place) = state.smoothed.get_mut(usize::from(slot)) {
        *place = None;
    }
    Ok(encode(&state))
}
