//! What this process uses, as Linux tells it; zero elsewhere.

use std::{path::Path, time::Duration};

/// Ticks of a second in `/proc`: the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time of all threads so far.
pub(super) fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before it is in parentheses and may hold spaces: fields 14 and 15 count from there.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks.saturating_mul(1_000 / TICKS_PER_SECOND))
}

/// Resident memory, MiB.
pub(super) fn rss_mb() -> u64 {
    status_mb("VmRSS:")
}

/// Peak of resident memory, MiB.
pub(super) fn peak_rss_mb() -> u64 {
    status_mb("VmHWM:")
}

fn status_mb(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// Bytes of all files under a folder, MiB.
pub(super) fn folder_mb(folder: &Path) -> u64 {
    fn bytes(folder: &Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return 0;
        };
        let sizes = entries.flatten().map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        });
        sizes.sum()
    }
    bytes(folder) >> 20
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_time_and_memory() {
        let before = cpu_time();
        let mut sum = 0u64;
        while cpu_time() < before + Duration::from_millis(30) {
            sum = (0..100_000u64).fold(sum, |sum, number| sum.wrapping_mul(31) ^ number);
        }
        std::hint::black_box(sum);
        assert!(peak_rss_mb() >= rss_mb() && rss_mb() > 0);
    }
}
