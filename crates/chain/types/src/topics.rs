//! What every topic of a chain obeys.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::{MARK, SpecError, limits::range};

/// Rules of the markets of intelligence. Part of the chain spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicsParams {
    /// Bond of a topic, returned when it retires, units of 10^-18 MARK.
    pub topic_bond: U256,
    /// Burned by the creation of a topic, units of 10^-18 MARK.
    pub create_fee: U256,
    /// Largest part of what was burned in a topic that comes back by any route, grants apart, parts
    /// per 10,000. Below 10,000, so that whoever owns everything in a topic loses.
    pub return_bps: u16,
    /// The treasury's part of what a topic pays out of burned coin, parts per 10,000.
    pub network_bps: u16,
    /// Emission of all topics in one second before the first halving, units of 10^-18 MARK.
    pub emission_per_second: U256,
    /// Emission of all time, grants apart, units of 10^-18 MARK. It halves as this is used up.
    pub emission_cap: U256,
    /// Stake and bonds that are taken out wait for so long, milliseconds.
    pub unstake_delay_ms: u64,
    /// A raise of an operator's take waits for so long, milliseconds.
    pub take_delay_ms: u64,
    /// An owner's changes wait for so long, milliseconds.
    pub timelock_ms: u64,
    /// More than this part of a topic's stake strikes a change, parts per 10,000.
    pub veto_bps: u16,
    /// A grant is paid in at least so many epochs.
    pub grant_epochs: u32,
    /// The chain advances an epoch that nobody advanced for so long, milliseconds.
    pub grace_ms: u64,
    /// Slots that are paid in one slice.
    pub slots_per_slice: u16,
    /// The price of a slot above its floor halves in this time, milliseconds.
    pub price_half_life_ms: u64,
    /// Most topics that the end of one block examines.
    pub sweep_per_block: u32,
}

impl TopicsParams {
    /// Values for local networks and tests: short delays.
    pub fn local() -> Self {
        Self {
            topic_bond: U256::from(MARK.saturating_mul(100)),
            create_fee: U256::from(MARK),
            return_bps: 9_900,
            network_bps: 2_000,
            emission_per_second: U256::from(MARK.saturating_mul(10)),
            emission_cap: U256::from(MARK.saturating_mul(1_000_000_000)),
            unstake_delay_ms: 30_000,
            take_delay_ms: 20_000,
            timelock_ms: 20_000,
            veto_bps: 3_333,
            grant_epochs: 20,
            grace_ms: 2_000,
            slots_per_slice: 128,
            price_half_life_ms: 60_000,
            sweep_per_block: 32,
        }
    }

    pub(crate) fn check(&self) -> Result<(), SpecError> {
        const YEAR_MS: u64 = 366 * 86_400_000;
        let most = U256::from(1u128 << 100);
        range("topics.topic_bond", self.topic_bond, U256::ZERO, most)?;
        range("topics.create_fee", self.create_fee, U256::ZERO, most)?;
        range("topics.return_bps", self.return_bps, 0, 9_999)?;
        range("topics.network_bps", self.network_bps, 0, 5_000)?;
        range(
            "topics.emission_per_second",
            self.emission_per_second,
            U256::ZERO,
            most,
        )?;
        range(
            "topics.emission_cap",
            self.emission_cap,
            U256::ZERO,
            U256::from(1u128 << 120),
        )?;
        range("topics.timelock_ms", self.timelock_ms, 1_000, YEAR_MS)?;
        // Stake that vetoed cannot come back before the change is decided.
        range(
            "topics.unstake_delay_ms",
            self.unstake_delay_ms,
            self.timelock_ms,
            YEAR_MS,
        )?;
        range("topics.take_delay_ms", self.take_delay_ms, 0, YEAR_MS)?;
        range("topics.veto_bps", self.veto_bps, 1, 10_000)?;
        range("topics.grant_epochs", self.grant_epochs, 1, 1 << 20)?;
        range("topics.grace_ms", self.grace_ms, 0, 600_000)?;
        range("topics.slots_per_slice", self.slots_per_slice, 1, 256)?;
        range(
            "topics.price_half_life_ms",
            self.price_half_life_ms,
            1_000,
            YEAR_MS,
        )?;
        range("topics.sweep_per_block", self.sweep_per_block, 1, 256)
    }
}
