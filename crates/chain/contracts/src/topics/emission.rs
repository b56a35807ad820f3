//! How much an epoch pays, and by which route.
//!
//! When an epoch settles, with `B` burned in the topic and `P` paid out of that so far:
//!
//! - emission of all topics: `halving(emissionPerSecond, emitted, emissionCap)` a second, for the
//!   time since the topic's last settlement (at most since one epoch before this one opened);
//! - the topic's part goes by weight, a moving average (one tenth) of `√((stake + bonds of slots) · burned)`;
//! - `pay = min(emission · weight / Σ weights, ⌊B · returnBps / 10⁴⌋ − P, minBond − 1)`;
//! - `grant = min(slice of the grants, minBond − 1 − pay)`.
//!
//! Each mechanism that gives shares pays its part of both. Of `pay`, `ownerBps` goes to the owner, free at once,
//! and `networkBps` to the treasury; the rest, and all of `grant`, goes by shares. What a mechanism
//! does not give, what rounding leaves, and the share of a slot that is vacant by then, is not
//! reissued.
//!
//! So `P ≤ ⌊B · returnBps / 10⁴⌋ ≤ 0.99 B` always, whoever owns the slots, the owner's seat, the
//! stake and the treasury; and `pay + grant < minBond`.

use alloy_primitives::{Address, U256};
use hallmark_abi::topics::ITopics;
use hallmark_fixed::Q64;
use hallmark_mechanisms::emission::{halving, topic_weight};
use hallmark_types::addresses;

use super::{Topic, Topics, emit, muldiv, part};
use crate::{Host, Result, host::checked};

/// Weight of the newest epoch in a topic's weight, in tenths.
const NEWEST_TENTHS: u128 = 1;

impl Topics {
    /// Fixes what the epoch under way may pay.
    pub(super) fn fix_budget(&self, host: &mut dyn Host, topic: &Topic) -> Result<()> {
        let burned_now = topic.epochs.at(topic.epoch.read(host)?).burned.read(host)?;
        let stake = topic
            .stake
            .read(host)?
            .saturating_add(topic.bonds.read(host)?);
        let before = topic.weight.read(host)?;
        let rate = Q64::from_ratio(NEWEST_TENTHS, 10);
        let weight = topic_weight(before, stake, burned_now, rate);
        self.set_weight(host, topic, weight)?;
        let pay = self.pay_due(host, topic, weight)?;
        let bound = topic.policy.min_bond.read(host)?.saturating_sub(1);
        let pay = pay.min(bound);
        let grant = topic.grant_due(host)?.min(bound.saturating_sub(pay));
        topic.budget.write(host, pay)?;
        Ok(topic.grant_budget.write(host, grant)?)
    }

    /// What weight and burned coin allow, in wei.
    fn pay_due(&self, host: &mut dyn Host, topic: &Topic, weight: u128) -> Result<u128> {
        let all = self.total_weight.read(host)?;
        if weight == 0 || all == 0 {
            return Ok(0);
        }
        let now = host.timestamp_ms();
        let opened = topic.opened_at_ms.read(host)?;
        let earliest = opened.saturating_sub(topic.policy.epoch_ms.read(host)?);
        let last = topic.last_settled_ms.read(host)?.max(earliest);
        let elapsed = u128::from(now.saturating_sub(last));
        let first = self.emission_per_second.read(host)?;
        let emitted = self.emitted.read(host)?;
        let cap = self.emission_cap.read(host)?;
        let rate = halving(first, emitted, cap);
        let emission = muldiv(rate, elapsed, 1_000)?.min(cap.saturating_sub(emitted));
        let by_weight = muldiv(emission, weight.min(all), all)?;
        let burned = topic.burned.read(host)?;
        let returned = part(burned, self.return_bps.read(host)?)?;
        let allowance = returned.saturating_sub(topic.paid.read(host)?);
        Ok(by_weight.min(allowance))
    }

    /// Sets a topic's weight among all.
    pub(super) fn set_weight(
        &self,
        host: &mut dyn Host,
        topic: &Topic,
        weight: u128,
    ) -> Result<()> {
        let before = topic.weight.read(host)?;
        if before == weight {
            return Ok(());
        }
        let others = self.total_weight.read(host)?.saturating_sub(before);
        self.total_weight
            .write(host, others.saturating_add(weight))?;
        Ok(topic.weight.write(host, weight)?)
    }

    /// Moves coins that were burned in the topic to the contract, as owed.
    pub(super) fn reissue(&self, host: &mut dyn Host, topic: &Topic, amount: u128) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        let paid = checked(topic.paid.read(host)?.checked_add(amount))?;
        topic.paid.write(host, paid)?;
        let emitted = checked(self.emitted.read(host)?.checked_add(amount))?;
        self.emitted.write(host, emitted)?;
        self.owe(host, amount)?;
        Ok(host.reissue(addresses::TOPICS, U256::from(amount))?)
    }

    /// Splits what a mechanism pays out of burned coin: the owner and the treasury are paid at once,
    /// the rest is for its slots.
    pub(super) fn pay_house(
        &self,
        host: &mut dyn Host,
        id: U256,
        topic: &Topic,
        gross: u128,
    ) -> Result<HousePaid> {
        let to_owner = part(gross, topic.policy.owner_bps.read(host)?)?;
        let to_network = part(gross, self.network_bps.read(host)?)?;
        let house = checked(to_owner.checked_add(to_network))?;
        let rest = checked(gross.checked_sub(house))?;
        self.reissue(host, topic, house)?;
        let owner = topic.owner.read(host)?;
        // An account's coins vest together: what nobody asked for must not make them wait.
        self.free(host, owner, to_owner)?;
        let treasury: Address = self.treasury.read(host)?;
        if to_network != 0 {
            self.disown(host, to_network)?;
            host.transfer(addresses::TOPICS, treasury, U256::from(to_network))?;
        }
        if house != 0 {
            let epoch = topic.epoch.read(host)?;
            emit(
                host,
                ITopics::HousePaid {
                    topic: id,
                    epoch,
                    owner,
                    toOwner: to_owner,
                    treasury,
                    toTreasury: to_network,
                },
            )?;
        }
        Ok(HousePaid { house, rest })
    }
}

/// What the owner and the treasury got, and what is left for slots, in wei.
pub(super) struct HousePaid {
    pub(super) house: u128,
    pub(super) rest: u128,
}

/// A slot's smoothed pay after the `epoch`-th epoch of its holder, the first being 1, which paid `now`: the
/// mean of the first ten, then a moving average. So a newcomer's is never for long below what it earns.
pub(super) fn smoothed(before: u128, now: u128, epoch: u64) -> Result<u128> {
    let count = u128::from(epoch.clamp(1, 10));
    let rest = muldiv(before, count.saturating_sub(1), count)?;
    checked(rest.checked_add(muldiv(now, 1, count)?))
}
