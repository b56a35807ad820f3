//! Whether a proof fits the memory, before any of it is taken.
//!
//! ```text
//! need = BASE + 8·values·runs + (ELEMENT + HELD·(runs - 1))·2^⌈log2(looked up + table rows)⌉ + each(weights)·weights
//! ```
//!
//! The runs of a batch are argued one after the other, but all are committed to before the first is.
//!
//! The factors lie above the peaks of eight models from 26 thousand to 124 million weights and from
//! 768 to 12.7 million lookups (`docs/zkml.md`). What is looked up is committed to as well; so are the cubes by
//! which private inputs are hashed. Tensors are padded little where a commitment would have to be doubled for
//! it, so elements are counted, and an eighth more.

use super::{Error, cost};
use hallmark_graph::{Model, Op, Table};
use hallmark_proof::Profile;

/// Bytes of a process that proves nothing yet.
const BASE: u64 = 112 << 20;
/// Bytes for every element that is looked up or a table's row: its column, its code, its Merkle
/// tree, its leaf of the lookup tree.
const ELEMENT: u64 = 208;
/// Bytes for each of these of a run that waits in a batch: column, code, Merkle tree.
const HELD: u64 = 64;
/// Elements that the hash of a private input takes for each of its own.
const HASHED: u64 = 8;
/// From here on weights are committed to at a lower rate, and from the second number on no longer.
const LOWER_RATE: (u64, u64) = (1 << 24, 1 << 26);
/// Bytes more for each of them under the shorter profile, whose codewords are four times as long.
const SHORT: u64 = 64;

/// An estimate, from above, of the peak memory in bytes of a proof of so many runs.
pub(super) fn need(model: &Model, profile: Profile, runs: u64) -> u64 {
    let graph = &model.graph;
    let values: u64 = graph.nodes.iter().map(|n| n.shape.elements() as u64).sum();
    let weights: u64 = graph.constants().map(|n| n.shape.elements() as u64).sum();
    let weights = weights.saturating_add(weights / 8);
    // Long remainders have several limbs: an eighth more.
    let columns = cost::total(graph).lookups;
    let hashed = HASHED.saturating_mul(graph.input_len() as u64);
    let looked_up = columns
        .saturating_add(columns / 8)
        .saturating_add(hashed)
        .saturating_add(table_rows(model));
    let rounded = |count: u64| count.checked_next_power_of_two().unwrap_or(u64::MAX);
    let longer = match profile {
        Profile::Standard => 0,
        Profile::Short => SHORT,
    };
    let waiting = (HELD + longer).saturating_mul(runs.saturating_sub(1));
    let element = (ELEMENT + longer).saturating_add(waiting);
    BASE.saturating_add(values.saturating_mul(8).saturating_mul(runs))
        .saturating_add(element.saturating_mul(rounded(looked_up)))
        .saturating_add(committed(weights, longer))
}

/// Bytes for weights as they are committed to and opened: in a power of two, unless little is beyond one.
fn committed(weights: u64, longer: u64) -> u64 {
    let whole = weights.checked_next_power_of_two().unwrap_or(u64::MAX);
    let half = whole / 2;
    let size = match weights <= half + half / 8 {
        true => weights,
        false => whole,
    };
    let each = match size {
        _ if size <= LOWER_RATE.0 => 48,
        _ if size <= LOWER_RATE.1 => 64,
        _ => 40,
    };
    size.saturating_mul(each + longer)
}

/// Rows of all different tables.
fn table_rows(model: &Model) -> u64 {
    let tables: std::collections::BTreeSet<(u8, i32, i32, Option<u32>)> = model
        .graph
        .nodes
        .iter()
        .filter_map(|node| match node.op {
            Op::Lookup { table, .. } => Some(match table {
                Table::Clamp { bits, lo, hi } => (bits, lo, hi, None),
                Table::Explicit {
                    bits,
                    lo,
                    hi,
                    table,
                    ..
                } => (bits, lo, hi, Some(table)),
            }),
            _ => None,
        })
        .collect();
    tables.iter().map(|(bits, ..)| 1u64 << bits.min(&30)).sum()
}

/// Refuses a proof of so many runs that needs more than `limit` bytes, or than the machine has available.
pub(super) fn check(
    model: &Model,
    profile: Profile,
    runs: u64,
    limit: Option<u64>,
) -> Result<u64, Error> {
    let need = need(model, profile, runs);
    let (room, whose) = match (limit, available()) {
        (Some(limit), _) => (limit, "the limit given"),
        (None, Some(available)) => (available, "what this machine has available"),
        (None, None) => return Ok(need),
    };
    if need > room {
        return Err(Error::new(format!(
            "the proof needs about {} MiB of memory, {whose} is {} MiB; use a machine with more, a \
             smaller model, or raise --memory-mb",
            mib(need),
            mib(room)
        )));
    }
    Ok(need)
}

pub(super) fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Memory that this machine has available in bytes: the kernel's estimate, and what the control
/// group leaves where there is one (Linux; `None` elsewhere).
fn available() -> Option<u64> {
    let kernel = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available_of(&text));
    let number =
        |path: &str| -> Option<u64> { std::fs::read_to_string(path).ok()?.trim().parse().ok() };
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(most, used)| most.saturating_sub(used));
    match (kernel, group) {
        (Some(kernel), Some(group)) => Some(kernel.min(group)),
        (kernel, group) => kernel.or(group),
    }
}

fn available_of(meminfo: &str) -> Option<u64> {
    meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| {
            rest.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
        })
        .and_then(|kib| kib.checked_mul(1024))
}
