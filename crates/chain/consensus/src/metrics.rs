//! What a validator counts about blocks, and how it reads the engine's own counters.

use std::time::Duration;

use hallmark_types::Block;
use prometheus_client::{
    metrics::{
        counter::Counter,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Counters of one [`Core`](crate::Core); clones share them. Nothing is decided from them.
#[derive(Clone, Debug)]
pub struct CoreMetrics {
    interval: Histogram,
    execution: Histogram,
    transactions: Counter,
    gas: Counter,
}

impl Default for CoreMetrics {
    fn default() -> Self {
        Self {
            // 10 ms to 41 s.
            interval: Histogram::new(exponential_buckets(0.01, 2.0, 13)),
            // 0.1 ms to 3.3 s.
            execution: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            transactions: Counter::default(),
            gas: Counter::default(),
        }
    }
}

impl CoreMetrics {
    /// Shows the counters in a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "block_interval",
            "Time between a committed block and its parent, by their timestamps",
            Unit::Seconds,
            self.interval.clone(),
        );
        registry.register_with_unit(
            "block_execution",
            "Time to build or to execute a block",
            Unit::Seconds,
            self.execution.clone(),
        );
        registry.register(
            "transactions",
            "Transactions in blocks committed since the node started",
            self.transactions.clone(),
        );
        registry.register(
            "gas_used",
            "Gas of blocks committed since the node started",
            self.gas.clone(),
        );
    }

    pub(crate) fn executed(&self, took: Duration) {
        self.execution.observe(took.as_secs_f64());
    }

    /// The time since genesis says nothing about a block.
    pub(crate) fn committed(&self, parent: &Block, block: &Block) {
        if parent.number() > 0 {
            let interval = block.timestamp_ms().saturating_sub(parent.timestamp_ms());
            self.interval
                .observe(Duration::from_millis(interval).as_secs_f64());
        }
        self.transactions
            .inc_by(block.transactions.len().try_into().unwrap_or(u64::MAX));
        self.gas.inc_by(block.header.gas_used);
    }
}

/// Numbers read from the engine's own counters, which it shows as Prometheus text only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineNumbers {
    /// Validators that are connected.
    pub peers: u64,
    /// Votes and certificates that this validator sent since it started.
    pub votes_sent: u64,
    /// Votes and certificates that it received.
    pub votes_received: u64,
}

impl EngineNumbers {
    /// Reads the engine's text.
    pub fn of(text: &str) -> Self {
        let mut numbers = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name_end = line.find(['{', ' ']).unwrap_or(line.len());
            let (name, rest) = line.split_at(name_end);
            let value = || -> u64 {
                let number = rest.rsplit(' ').next().unwrap_or_default();
                number.parse().unwrap_or_default()
            };
            if name.ends_with("directory_connected") {
                // One line a peer, whose value is since when; 0 for one that has gone.
                numbers.peers = numbers.peers.saturating_add(u64::from(value() > 0));
            } else if name.ends_with("voter_outbound_messages_total") {
                numbers.votes_sent = numbers.votes_sent.saturating_add(value());
            } else if name.ends_with("batcher_inbound_messages_total") {
                numbers.votes_received = numbers.votes_received.saturating_add(value());
            }
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_text_is_read_by_the_names_ends() {
        let text = "# TYPE network_tracker_directory_connected gauge\n\
                    network_tracker_directory_connected{peer=\"aa\"} 1764240000000\n\
                    network_tracker_directory_connected{peer=\"bb\"} 1764240000001\n\
                    network_tracker_directory_connected{peer=\"cc\"} 0\n\
                    validator_simplex_voter_outbound_messages_total{message=\"notarize\"} 7\n\
                    validator_simplex_voter_outbound_messages_total{message=\"finalize\"} 5\n\
                    validator_simplex_batcher_inbound_messages_total{peer=\"aa\",message=\"notarize\"} 3\n\
                    nonsense\n\nother 9\n# EOF\n";
        assert_eq!(
            EngineNumbers::of(text),
            EngineNumbers {
                peers: 2,
                votes_sent: 12,
                votes_received: 3
            }
        );
        assert_eq!(EngineNumbers::of(""), EngineNumbers::default());
    }
}
