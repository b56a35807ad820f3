//! Inference synthesis on bytes.

use super::bytes::{Reader, Writer};
use super::payload::{decode_forecast, decode_inference, decode_report};
use super::{Decision, Entry, Inferred, Limits, MOST_SYNTHESIS, Role, check_inputs, decide};
use crate::synthesis::{self, Inferences, Layout, Params, Predictions, Report, State};
use hallmark_fixed::Q64;

/// Greatest number of past scores of a class.
pub(super) const MOST_SCORES: usize = 256;

/// Sizes as they stand before memory and pending bytes.
fn read_sizes<const N: usize>(reader: &mut Reader<'_>) -> Result<[usize; N], String> {
    let mut sizes = [0; N];
    for (size, most) in sizes.iter_mut().zip(MOST_SYNTHESIS) {
        let found = reader.u16()?;
        if found > most {
            return Err(format!(
                "{found} slots of a role: at most {most} are possible"
            ));
        }
        *size = usize::from(found);
    }
    Ok(sizes)
}

fn fresh(limits: &Limits) -> State {
    let [workers, forecasters, reputers] =
        [limits.workers, limits.forecasters, limits.reputers].map(usize::from);
    State::new(workers, forecasters, reputers)
}

/// The state that `memory` holds, in the size that it was written with.
pub(super) fn decode(memory: &[u8], limits: &Limits) -> Result<State, String> {
    if memory.is_empty() {
        return Ok(fresh(limits));
    }
    let fault = |error| format!("memory of synthesis: {error}");
    let state = read_state(memory).map_err(fault)?;
    if is_fresh(&state) {
        return Err(fault("nothing has happened, which is no bytes".to_string()));
    }
    Ok(state)
}

fn is_fresh(state: &State) -> bool {
    let Layout {
        inferers,
        forecasters,
    } = state.layout;
    *state == State::new(inferers, forecasters, state.listening.len())
}

fn read_state(memory: &[u8]) -> Result<State, String> {
    let mut reader = Reader::new(memory);
    let [inferers, forecasters, reputers] = read_sizes(&mut reader)?;
    let mut state = State::new(inferers, forecasters, reputers);
    let workers = state.layout.workers();
    let single = reader.options(2)?;
    state.network_loss = single.first().copied().flatten();
    state.forecaster_ratio = single.get(1).copied().flatten();
    if reader.flag("spread")? {
        state.spread = Some((reader.q64()?, reader.q64()?));
    }
    state.regrets = reader.options(workers)?;
    state.naive_regrets = reader.options(inferers)?;
    for row in &mut state.one_out_regrets {
        *row = reader.options(workers)?;
    }
    for row in &mut state.one_in_regrets {
        *row = reader.options(inferers.saturating_add(1))?;
    }
    state.listening = reader.numbers(reputers)?;
    for list in [&mut state.inferer_scores, &mut state.forecaster_scores] {
        let count = usize::from(reader.u16()?);
        if count > MOST_SCORES {
            return Err(format!(
                "{count} scores: at most {MOST_SCORES} are possible"
            ));
        }
        *list = reader.numbers(count)?;
    }
    state.fractions = reader.options(workers.saturating_add(reputers))?;
    reader.end()?;
    Ok(state)
}

pub(super) fn encode(state: &State) -> Vec<u8> {
    if is_fresh(state) {
        return Vec::new();
    }
    let mut writer = Writer::default();
    writer.length(state.layout.inferers);
    writer.length(state.layout.forecasters);
    writer.length(state.listening.len());
    writer.options(&[state.network_loss, state.forecaster_ratio]);
    writer.u8(u8::from(state.spread.is_some()));
    if let Some((centre, spread)) = state.spread {
        writer.numbers(&[centre, spread]);
    }
    writer.options(&state.regrets);
    writer.options(&state.naive_regrets);
    for row in state.one_out_regrets.iter().chain(&state.one_in_regrets) {
        writer.options(row);
    }
    writer.numbers(&state.listening);
    for list in [&state.inferer_scores, &state.forecaster_scores] {
        writer.length(list.len());
        writer.numbers(list);
    }
    writer.options(&state.fractions);
    writer.bytes
}

/// The state in the size that the topic has now: who keeps its place in its role keeps its past.
fn fit(old: State, limits: &Limits) -> State {
    let mut state = fresh(limits);
    if old.layout == state.layout && old.listening.len() == state.listening.len() {
        return old;
    }
    let (from, to) = (old.layout, state.layout);
    // Where a worker stood, and where the reputers begin.
    let before = |worker: usize| match worker.checked_sub(to.inferers) {
        None => (worker < from.inferers).then_some(worker),
        Some(k) => (k < from.forecasters).then(|| from.inferers.saturating_add(k)),
    };
    let of = |list: &[Option<Q64>], index: Option<usize>| list.get(index?).copied().flatten();
    for (worker, place) in state.regrets.iter_mut().enumerate() {
        *place = of(&old.regrets, before(worker));
    }
    for (worker, place) in state.naive_regrets.iter_mut().enumerate() {
        *place = of(&old.naive_regrets, before(worker));
    }
    for (out, row) in state.one_out_regrets.iter_mut().enumerate() {
        let Some(old_row) = before(out).and_then(|out| old.one_out_regrets.get(out)) else {
            continue;
        };
        for (worker, place) in row.iter_mut().enumerate() {
            *place = of(old_row, before(worker));
        }
    }
    for (k, row) in state.one_in_regrets.iter_mut().enumerate() {
        let Some(old_row) = old.one_in_regrets.get(k) else {
            continue;
        };
        for (worker, place) in row.iter_mut().enumerate() {
            let old_place = if worker == to.inferers {
                Some(from.inferers)
            } else {
                before(worker)
            };
            *place = of(old_row, old_place);
        }
    }
    for (place, &listening) in state.listening.iter_mut().zip(&old.listening) {
        *place = listening;
    }
    for (slot, place) in state.fractions.iter_mut().enumerate() {
        let old_slot = match slot.checked_sub(to.workers()) {
            None => before(slot),
            Some(m) => (m < old.listening.len()).then(|| from.workers().saturating_add(m)),
        };
        *place = of(&old.fractions, old_slot);
    }
    State {
        network_loss: old.network_loss,
        inferer_scores: old.inferer_scores,
        forecaster_scores: old.forecaster_scores,
        forecaster_ratio: old.forecaster_ratio,
        spread: old.spread,
        ..state
    }
}

pub(super) fn encode_pending(inferences: &Inferences) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.length(inferences.layout.inferers);
    writer.length(inferences.layout.forecasters);
    writer.options(&inferences.values);
    writer.options(&inferences.weights);
    writer.u8(u8::from(inferences.percentiles.is_some()));
    writer.numbers(
        inferences
            .percentiles
            .as_ref()
            .map_or(&[], |p| p.as_slice()),
    );
    writer.options(&[inferences.outlier_resistant]);
    writer.bytes
}

/// Every value of an epoch, as [`infer`] left it for [`super::settle`]: reputers judge these.
///
/// # Errors
///
/// What is wrong with the bytes.
pub fn decode_pending(pending: &[u8]) -> Result<Inferences, String> {
    read_pending(pending).map_err(|error| format!("pending of synthesis: {error}"))
}

fn read_pending(pending: &[u8]) -> Result<Inferences, String> {
    let mut reader = Reader::new(pending);
    let [inferers, forecasters] = read_sizes(&mut reader)?;
    let layout = Layout {
        inferers,
        forecasters,
    };
    let values = reader.options(layout.len())?;
    let weights = reader.options(layout.workers())?;
    let percentiles = if reader.flag("percentiles")? {
        let numbers = reader.numbers(5)?;
        Some(
            numbers
                .try_into()
                .map_err(|_| "five percentiles".to_string())?,
        )
    } else {
        None
    };
    let outlier_resistant = reader.options(1)?.first().copied().flatten();
    reader.end()?;
    Ok(Inferences {
        layout,
        values,
        weights,
        percentiles,
        outlier_resistant,
    })
}

/// Computes a synthesis epoch's inferences when the workers have revealed.
///
/// # Errors
///
/// Corrupt parameters or memory, and entries that do not ascend by slot.
pub fn infer(
    params: &[u8],
    limits: &Limits,
    memory: &[u8],
    entries: &[Entry<'_>],
) -> Result<Inferred, String> {
    check_inputs(super::Kind::Synthesis, limits, entries)?;
    let params = super::Params::decode(super::Kind::Synthesis, params)?;
    let super::Params::Synthesis(params) = params else {
        return Err("not the parameters of synthesis".to_string());
    };
    let mut state = fit(decode(memory, limits)?, limits);
    let layout = state.layout;
    let mut predictions = Predictions {
        inferences: vec![None; layout.inferers],
        forecasts: vec![Vec::new(); layout.forecasters],
    };
    for entry in entries {
        let Some(payload) = entry.fresh_payload() else {
            continue;
        };
        let slot = usize::from(entry.slot);
        match entry.role {
            Role::Worker => {
                let place = predictions.inferences.get_mut(slot);
                if let (Some(place), Ok(value)) = (place, decode_inference(payload)) {
                    *place = Some(value);
                }
            }
            Role::Forecaster => {
                let place = slot
                    .checked_sub(layout.inferers)
                    .and_then(|k| predictions.forecasts.get_mut(k));
                if let (Some(place), Ok(losses)) = (place, decode_forecast(payload)) {
                    place.resize(layout.inferers, None);
                    for (slot, loss) in losses {
                        if let Some(cell) = place.get_mut(usize::from(slot)) {
                            *cell = Some(loss);
                        }
                    }
                }
            }
            Role::Reputer => {}
        }
    }
    let inferences =
        synthesis::infer(&params, &mut state, &predictions).map_err(|error| error.to_string())?;
    Ok(Inferred {
        memory: encode(&state),
        output: inferences.output(),
        pending: encode_pending(&inferences),
    })
}

pub(super) fn settle(
    params: &Params,
    limits: &Limits,
    memory: &[u8],
    pending: &[u8],
    entries: &[Entry<'_>],
) -> Result<Decision, String> {
    let mut state = fit(decode(memory, limits)?, limits);
    let layout = state.layout;
    let inferences = if pending.is_empty() {
        Inferences {
            layout,
            values: vec![None; layout.len()],
            weights: vec![None; layout.workers()],
            ..Inferences::default()
        }
    } else {
        decode_pending(pending)?
    };
    if inferences.layout != layout {
        return Err("pending of synthesis: not of the topic's size".to_string());
    }
    let mut reports = vec![Report::default(); state.listening.len()];
    for entry in entries.iter().filter(|entry| entry.role == Role::Reputer) {
        let place = usize::from(entry.slot)
            .checked_sub(layout.workers())
            .and_then(|m| reports.get_mut(m));
        let report = entry.fresh_payload().map(decode_report);
        if let (Some(place), Some(Ok(report))) = (place, report) {
            *place = Report {
                stake: entry.stake,
                losses: report.losses(params, &inferences),
            };
        }
    }
    let outcome = synthesis::settle(params, &mut state, &inferences, &reports)
        .map_err(|error| error.to_string())?;
    // A worker who left after its reveal must not leave regrets to the next holder of its slot.
    for worker in 0..layout.workers() {
        let here = |entry: &Entry<'_>| usize::from(entry.slot) == worker && entry.fresh;
        let spoke = inferences.at(layout.worker(worker)).is_some();
        if spoke && !entries.iter().any(here) {
            state.reset_worker(worker);
        }
    }
    let memory = encode(&state);
    Ok(decide(&outcome.settlement, &[], memory, entries, |entry| {
        entry.fresh
    }))
}

pub(super) fn forget(limits: &Limits, memory: &[u8], slot: u16) -> Result<Vec<u8>, String> {
    let mut state = fit(decode(memory, limits)?, limits);
    let slot = usize::from(slot);
    match slot.checked_sub(state.layout.workers()) {
        None => state.reset_worker(slot),
        Some(reputer) => {
            if let Some(listening) = state.listening.get_mut(reputer) {
                *listening = Q64::ONE;
            }
            if let Some(fraction) = state.fractions.get_mut(slot) {
                *fraction = None;
            }
        }
    }
    Ok(encode(&state))
}
