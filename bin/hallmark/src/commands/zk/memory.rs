//! Whether a proof fits the memory, before any of it is taken.
//!
//! ```text
//! need = BASE + 4·values + WITNESS·committed + LOOKUP·lookups + WEIGHT·weights
//! ```
//!
//! with sizes rounded up to powers of two where the prover rounds them. The factors are fitted to
//! peaks measured over four decades of size and lie above them (`docs/zkml.md`).

use super::Error;
use super::cost;
use hallmark_graph::Model;

/// Bytes of a process that proves nothing yet.
const BASE: u64 = 24 << 20;
/// Bytes for every committed element: column, its code and its tree.
const WITNESS: u64 = 40;
/// Bytes for every leaf of the lookup tree.
const LOOKUP: u64 = 56;
/// Bytes for every weight, as it is committed to and opened.
const WEIGHT: u64 = 40;

/// An estimate, from above, of a proof's peak memory in bytes.
pub(super) fn need(model: &Model) -> u64 {
    let graph = &model.graph;
    let sum = cost::total(graph);
    let values: u64 = graph.nodes.iter().map(|n| n.shape.elements() as u64).sum();
    let rows: u64 = model
        .weights
        .tables
        .iter()
        .map(|t| t.values.len() as u64)
        .sum();
    let padded_weights: u64 = graph.constants().map(|n| n.shape.padded() as u64).sum();
    let committed = (sum.committed + rows + (1 << 16)).next_power_of_two();
    let lookups = (sum.committed + rows + (1 << 16)).next_power_of_two();
    let weights = (padded_weights + rows).next_power_of_two();
    BASE.saturating_add(8 * values)
        .saturating_add(WITNESS.saturating_mul(committed))
        .saturating_add(LOOKUP.saturating_mul(lookups))
        .saturating_add(WEIGHT.saturating_mul(weights))
}

/// Refuses a proof that needs more than `limit` bytes, or than the machine has available.
pub(super) fn check(model: &Model, limit: Option<u64>) -> Result<u64, Error> {
    let need = need(model);
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
