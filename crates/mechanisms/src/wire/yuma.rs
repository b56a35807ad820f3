//! Yuma on bytes.

use super::bytes::{Reader, Writer};
use super::payload::decode_weights;
use super::{Ctx, Decision, Entry, Limits, MOST_SLOTS, Role, decide};
use crate::settlement::WHOLE;
use crate::yuma::{Epoch, Params, Row, State};
use hallmark_fixed::Q64;

/// Epochs, in thousandths, without weights after which a slot is inactive, if the parameters leave
/// it open.
const CUTOFF_THOUSANDTHS: u64 = 13_889;

pub(super) fn decode(memory: &[u8]) -> Result<State, String> {
    if memory.is_empty() {
        return Ok(State::default());
    }
    read(memory).map_err(|error| format!("memory of yuma: {error}"))
}

fn read(memory: &[u8]) -> Result<State, String> {
    let mut reader = Reader::new(memory);
    let count = reader.u16()?;
    if count > MOST_SLOTS {
        return Err(format!("{count} slots"));
    }
    let slots = usize::from(count);
    let permits = reader.bits(slots)?;
    if !permits.contains(&true) {
        return Err("no permits".to_string());
    }
    let row = |permit: &bool| -> Result<Row, String> {
        if !permit {
            return Ok(Row::new());
        }
        let bytes = reader.take(slots.div_ceil(8))?;
        let mut row = Row::with_capacity(bytes.iter().map(|b| b.count_ones() as usize).sum());
        for (column, byte) in (0..).step_by(8).zip(bytes) {
            let mut rest = *byte;
            while rest != 0 {
                let bit = rest.trailing_zeros() as u16;
                rest &= rest.wrapping_sub(1);
                let column = bit.saturating_add(column);
                if column >= count {
                    return Err(format!("a bond in slot {column} of {count}"));
                }
                row.push((column, 0));
            }
        }
        for (_, bond) in &mut row {
            *bond = reader.u16()?;
            if *bond == 0 {
                return Err("a bond of zero".to_string());
            }
        }
        Ok(row)
    };
    let bonds = permits.iter().map(row).collect::<Result<Vec<Row>, _>>()?;
    reader.end()?;
    Ok(State { permits, bonds })
}

/// Bonds of slots without permit, and bonds of zero, are not kept: neither can change an epoch.
pub(super) fn encode(state: &State) -> Vec<u8> {
    if !state.permits.contains(&true) {
        return Vec::new();
    }
    let slots = state.permits.len();
    let mut writer = Writer::default();
    writer.length(slots);
    writer.bits(state.permits.iter().copied());
    for (row, _) in state
        .bonds
        .iter()
        .zip(&state.permits)
        .filter(|pair| *pair.1)
    {
        let kept = || {
            row.iter()
                .filter(|&&(slot, bond)| bond > 0 && usize::from(slot) < slots)
        };
        let mut there = vec![0u8; slots.div_ceil(8)];
        for (slot, _) in kept() {
            if let Some(byte) = there.get_mut(usize::from(slot / 8)) {
                *byte |= 1 << (slot % 8);
            }
        }
        writer.put(&there);
        for (_, bond) in kept() {
            writer.u16(*bond);
        }
    }
    writer.bytes
}

/// The state with as many slots as the topic has now.
fn fit(mut state: State, limits: &Limits) -> State {
    let slots = usize::from(limits.workers);
    state.permits.resize(slots, false);
    state.bonds.resize(slots, Row::new());
    state
}

pub(super) fn settle(
    mut params: Params,
    limits: &Limits,
    memory: &[u8],
    ctx: &Ctx,
    entries: &[Entry<'_>],
) -> Result<Decision, String> {
    let mut state = fit(decode(memory)?, limits);
    let slots = usize::from(limits.workers);
    params.tempo = ctx.epoch_ms;
    params.emission = WHOLE;
    if params.activity_cutoff == 0 {
        let cutoff =
            u128::from(ctx.epoch_ms).saturating_mul(u128::from(CUTOFF_THOUSANDTHS)) / 1_000;
        params.activity_cutoff = u64::try_from(cutoff).unwrap_or(u64::MAX);
    }
    let mut stake = vec![0; slots];
    let mut last_update = vec![0; slots];
    // Weights for a free slot, and bonds in it, are older than its next holder.
    let mut registered = vec![u64::MAX; slots];
    let mut weights = vec![Row::new(); slots];
    for entry in entries.iter().filter(|entry| entry.role == Role::Worker) {
        let slot = usize::from(entry.slot);
        if slot >= slots {
            continue;
        }
        put(&mut stake, slot, entry.stake);
        put(&mut last_update, slot, entry.submitted_ms);
        put(&mut registered, slot, entry.registered_ms);
        let row = entry.payload.map(decode_weights);
        put(
            &mut weights,
            slot,
            row.and_then(Result::ok).unwrap_or_default(),
        );
    }
    let epoch = Epoch {
        block: ctx.now_ms,
        last_step_block: ctx.last_settled_ms,
        stake: &stake,
        last_update: &last_update,
        registered: &registered,
        weights: &weights,
        commitments: &[],
    };
    let outcome =
        crate::yuma::settle(&params, &epoch, &mut state).map_err(|error| error.to_string())?;
    let memory = encode(&state);
    // Yuma can pay by stake where no weight counts. On a chain, who judged nobody has earned nothing.
    let judged = outcome
        .settlement
        .scores
        .iter()
        .any(|score| *score != Q64::ZERO);
    Ok(decide(
        &outcome.settlement,
        &state.permits,
        memory,
        entries,
        |_| judged,
    ))
}

fn put<T>(list: &mut [T], slot: usize, value: T) {
    if let Some(place) = list.get_mut(slot) {
        *place = value;
    }
}

pub(super) fn forget(limits: &Limits, memory: &[u8], slot: u16) -> Result<Vec<u8>, String> {
    let mut state = fit(decode(memory)?, limits);
    put(&mut state.permits, usize::from(slot), false);
    put(&mut state.bonds, usize::from(slot), Row::new());
    state.reset_bonds(slot);
    Ok(encode(&state))
}
