//! What anybody may read.

use alloy_primitives::{Address, Bytes, U256};
use hallmark_abi::topics::ITopics::{self, Kind, Role, Stage};
use hallmark_fixed::Q64;

use super::{
    MAX_PAGE, Mechanism, Topic, Topics,
    rows::{Earnings, outcome_of},
};
use crate::{
    Host, Result,
    host::{checked, revert},
};

impl Topics {
    /// # Errors
    ///
    /// `UnknownTopic`.
    pub fn get(&self, host: &mut dyn Host, id: U256) -> Result<ITopics::Topic> {
        let topic = self.known(host, id)?;
        let title = String::from_utf8_lossy(&topic.title.read(host)?).into_owned();
        Ok(ITopics::Topic {
            id,
            owner: topic.owner.read(host)?,
            title,
            policy: topic.policy.load(host)?,
            bond: topic.bond.read(host)?,
            createdAtMs: topic.created_at_ms.read(host)?,
            epoch: topic.epoch.read(host)?,
            stage: topic.stage.read(host)?,
            stageEndMs: topic.stage_end_ms.read(host)?,
            slotCount: topic.slot_count(host)?,
            slotPrice: self.slot_price(host, &topic)?,
            burned: topic.burned.read(host)?,
            paid: topic.paid.read(host)?,
            granted: topic.granted.read(host)?,
            stake: topic.stake.read(host)?,
            weight: topic.weight.read(host)?,
            retired: topic.retired.read(host)?,
        })
    }

    /// What a slot costs now: its bond, and the compensation of whom the newcomer puts out, in wei.
    ///
    /// # Errors
    ///
    /// `UnknownTopic`, `WrongRole`, `Full` where nobody gives way now.
    pub fn entry(&self, host: &mut dyn Host, id: U256, role: Role) -> Result<ITopics::entryReturn> {
        let topic = self.known(host, id)?;
        let (first, count) = topic.range_of(host, role)?;
        if count == 0 {
            return revert(ITopics::WrongRole { role: role as u8 });
        }
        Ok(ITopics::entryReturn {
            bond: self.slot_price(host, &topic)?,
            compensation: topic.room(host, id, role, first, count)?.compensation,
        })
    }

    /// # Errors
    ///
    /// `UnknownTopic`.
    pub fn mechanisms(&self, host: &mut dyn Host, id: U256) -> Result<Vec<ITopics::Mechanism>> {
        let topic = self.known(host, id)?;
        topic
            .all_mechanisms(host)?
            .iter()
            .map(|mechanism| {
                Ok(ITopics::Mechanism {
                    kind: mechanism.kind.read(host)?,
                    shareBps: mechanism.share_bps.read(host)?,
                    params: mechanism.params.read(host)?.into(),
                })
            })
            .collect()
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `LimitTooLarge`.
    pub fn slots(
        &self,
        host: &mut dyn Host,
        id: U256,
        offset: U256,
        limit: U256,
    ) -> Result<Vec<ITopics::SlotInfo>> {
        let maximum = U256::from(MAX_PAGE);
        if limit > maximum {
            return revert(ITopics::LimitTooLarge { limit, maximum });
        }
        let topic = self.known(host, id)?;
        let end = U256::from(topic.capacity(host)?);
        let last = offset.saturating_add(limit).min(end);
        let (first, last) = (offset.min(end), last);
        let mut judged = Vec::new();
        for mechanism in topic.all_mechanisms(host)? {
            judged.push(Judged {
                kind: mechanism.kind.read(host)?,
                share_bps: mechanism.share_bps.read(host)?,
                outcome: mechanism.outcome.read(host)?,
            });
        }
        let capacity = topic.capacity(host)?;
        let earned = Earnings::decode(&topic.earned.read(host)?, capacity);
        let mut infos = Vec::new();
        for slot in first.saturating_to::<u16>()..last.saturating_to::<u16>() {
            infos.push(self.slot_info(host, &topic, slot, &judged, &earned)?);
        }
        Ok(infos)
    }

    fn slot_info(
        &self,
        host: &mut dyn Host,
        topic: &Topic,
        slot: u16,
        judged: &[Judged],
        earned: &Earnings,
    ) -> Result<ITopics::SlotInfo> {
        let seat = topic.seats.at(u64::from(slot));
        let number = seat.pool.read(host)?;
        let present = topic.epoch.read(host)?;
        let pool = self.pools.at(number);
        let open = seat.open_commitments.read(host)? != 0;
        let mut info = ITopics::SlotInfo {
            index: slot,
            operator: seat.operator.read(host)?,
            role: topic.role_of(host, slot)?,
            bond: seat.bond.read(host)?,
            registeredAtMs: seat.registered_at_ms.read(host)?,
            lastSubmitMs: seat.last_submit_ms.read(host)?,
            emissionEma: earned.of(slot, number),
            shareBillionths: 0,
            score: 0,
            permit: false,
            pool: U256::from(number),
            stake: pool.held(host, present)?.amount,
            takeBps: pool.take(host)?,
            unrevealed: if open { seat.open_epoch.read(host)? } else { 0 },
        };
        // The epoch of the latest outcome is the one before the present, or the present in Settle.
        let settling = topic.stage.read(host)? == Stage::Settle;
        let since = seat.since_epoch.read(host)?;
        if info.operator.is_zero() || !(since < present || settling) {
            return Ok(info);
        }
        let mut parts = 0u64;
        for one in judged {
            let outcome = outcome_of(&one.outcome, slot);
            let part = outcome.share.saturating_mul(u64::from(one.share_bps));
            parts = parts.saturating_add(part);
            if info.score == 0 {
                info.score = Q64::to_bits(outcome.score);
            }
            info.permit |= one.kind == Kind::Yuma && outcome.permit;
        }
        info.shareBillionths = parts.checked_div(10_000).unwrap_or(0);
        Ok(info)
    }

    /// # Errors
    ///
    /// `UnknownTopic`.
    pub fn slot_of(&self, host: &mut dyn Host, id: U256, operator: Address) -> Result<u16> {
        self.known(host, id)?.slot_of(host, operator)
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `WrongEpoch` for one that has not come.
    pub fn epoch_info(
        &self,
        host: &mut dyn Host,
        id: U256,
        epoch: u64,
    ) -> Result<ITopics::EpochInfo> {
        let topic = self.known(host, id)?;
        let present = topic.epoch.read(host)?;
        if epoch == 0 || epoch > present {
            return revert(ITopics::WrongEpoch {
                topic: id,
                epoch: present,
            });
        }
        let record = topic.epochs.at(epoch);
        let stage = if epoch < present {
            record.end.read(host)?
        } else if topic.is_under_way(host)? {
            topic.stage.read(host)?
        } else {
            Stage::None
        };
        Ok(ITopics::EpochInfo {
            epoch,
            stage,
            openedAtMs: record.opened_at_ms.read(host)?,
            settledAtMs: record.settled_at_ms.read(host)?,
            burned: record.burned.read(host)?,
            paid: record.paid.read(host)?,
            commitments: record.commitments.read(host)?,
            reveals: record.reveals.read(host)?,
            settlement: record.settlement.read(host)?,
        })
    }

    /// # Errors
    ///
    /// `UnknownTopic`.
    pub fn latest(&self, host: &mut dyn Host, id: U256) -> Result<ITopics::latestReturn> {
        let latest = self.known(host, id)?.latest;
        let atMs = latest.at_ms.read(host)?;
        let mut percentiles = [0i128; 5];
        for (index, value) in (0u8..).zip(&mut percentiles) {
            *value = latest.percentiles.at(index).read(host)?;
        }
        let inference = ITopics::Inference {
            epoch: latest.epoch.read(host)?,
            atMs,
            value: latest.value.read(host)?,
            percentiles,
        };
        let ageMs = if atMs == 0 {
            0
        } else {
            host.timestamp_ms().saturating_sub(atMs)
        };
        Ok(ITopics::latestReturn { inference, ageMs })
    }

    /// Epoch zero and nothing, if the present holder has opened nothing.
    ///
    /// # Errors
    ///
    /// `UnknownTopic`, `InvalidMechanism`, `UnknownSlot`.
    pub fn submission(
        &self,
        host: &mut dyn Host,
        call: ITopics::submissionCall,
    ) -> Result<ITopics::submissionReturn> {
        let topic = self.known(host, call.topic)?;
        let mechanism = topic.mechanism(host, call.mechanism)?;
        let seat = topic.seat(host, call.topic, call.slot)?;
        let submission = mechanism.submissions.at(u64::from(call.slot));
        let epoch = submission.revealed_epoch.read(host)?;
        let own = submission.pool.read(host)? == seat.pool.read(host)?;
        if epoch == 0 || !own {
            return Ok(ITopics::submissionReturn {
                epoch: 0,
                payload: Bytes::new(),
            });
        }
        let payload = submission.payload.read(host)?;
        Ok(ITopics::submissionReturn { epoch, payload })
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `InvalidMechanism`.
    pub fn memory_of(&self, host: &mut dyn Host, id: U256, mechanism: u8) -> Result<Bytes> {
        let topic = self.known(host, id)?;
        let mechanism = topic.mechanism(host, mechanism)?;
        Ok(mechanism.memory.read(host)?)
    }

    /// # Errors
    ///
    /// `UnknownTopic`.
    pub fn test_set(
        &self,
        host: &mut dyn Host,
        id: U256,
        epoch: u64,
    ) -> Result<ITopics::testSetReturn> {
        let test_set = self.known(host, id)?.test_sets.at(epoch);
        Ok(ITopics::testSetReturn {
            commitment: test_set.commitment.read(host)?,
            samples: test_set.content.read(host)?,
        })
    }

    /// # Errors
    ///
    /// `UnknownPool`.
    pub fn pool(&self, host: &mut dyn Host, id: U256) -> Result<ITopics::Pool> {
        let pool = self.known_pool(host, id)?;
        let next = pool.next_take_at_ms.read(host)?;
        let waits = next > host.timestamp_ms();
        let topic = self.topics.at(U256::from(pool.topic.read(host)?));
        let epoch = topic.epoch.read(host)?;
        let held = pool.held(host, epoch)?;
        Ok(ITopics::Pool {
            slot: pool.slot.read(host)?,
            topic: U256::from(pool.topic.read(host)?),
            operator: pool.operator.read(host)?,
            amount: held.amount,
            shares: held.shares,
            takeBps: pool.take(host)?,
            nextTakeBps: if waits {
                pool.next_take_bps.read(host)?
            } else {
                0
            },
            nextTakeAtMs: if waits { next } else { 0 },
        })
    }

    /// # Errors
    ///
    /// `UnknownPool`.
    pub fn position(
        &self,
        host: &mut dyn Host,
        id: U256,
        account: Address,
    ) -> Result<ITopics::positionReturn> {
        let pool = self.known_pool(host, id)?;
        let topic = self.topics.at(U256::from(pool.topic.read(host)?));
        let epoch = topic.epoch.read(host)?;
        let shares = pool.shares_of(host, account, epoch)?;
        let amount = pool.held(host, epoch)?.worth(shares)?;
        Ok(ITopics::positionReturn { shares, amount })
    }

    /// What one `withdraw` would take, what vests, and what waits, the next of it until when.
    pub fn balances(
        &self,
        host: &mut dyn Host,
        account: Address,
    ) -> Result<ITopics::balancesReturn> {
        let account = self.accounts.at(account);
        let now = host.timestamp_ms();
        let vested = account.vested(host, now)?;
        let (due, _, nextAtMs) = account.due(host, now)?;
        let free = account.free.read(host)?.checked_add(vested);
        let free = checked(free.and_then(|free| free.checked_add(due)))?;
        let vesting = checked(account.vesting.read(host)?.checked_sub(vested))?;
        let waiting = checked(account.waiting.read(host)?.checked_sub(due))?;
        Ok(ITopics::balancesReturn {
            free: U256::from(free),
            vesting: U256::from(vesting),
            waiting: U256::from(waiting),
            nextAtMs,
        })
    }

    /// The chain's parameters, and what was emitted.
    pub fn params(&self, host: &mut dyn Host) -> Result<ITopics::Params> {
        Ok(ITopics::Params {
            topicBond: self.topic_bond.read(host)?,
            createFee: self.create_fee.read(host)?,
            returnBps: self.return_bps.read(host)?,
            networkBps: self.network_bps.read(host)?,
            treasury: self.treasury.read(host)?,
            emissionPerSecond: self.emission_per_second.read(host)?,
            emissionCap: self.emission_cap.read(host)?,
            emitted: self.emitted.read(host)?,
            unstakeDelayMs: self.unstake_delay_ms.read(host)?,
            takeDelayMs: self.take_delay_ms.read(host)?,
            timelockMs: self.timelock_ms.read(host)?,
            vetoBps: self.veto_bps.read(host)?,
            grantEpochs: self.grant_epochs.read(host)?,
            graceMs: self.grace_ms.read(host)?,
            slotsPerSlice: self.slots_per_slice.read(host)?,
            priceHalfLifeMs: self.price_half_life_ms.read(host)?,
        })
    }
}

/// What a mechanism last decided.
struct Judged {
    kind: Kind,
    share_bps: u16,
    outcome: Bytes,
}

impl Topic {
    fn all_mechanisms(&self, host: &mut dyn Host) -> Result<Vec<Mechanism>> {
        let count = u64::from(self.mechanism_count.read(host)?);
        Ok((0..count).map(|index| self.mechanisms.at(index)).collect())
    }

    /// The role of a slot, taken or not.
    fn role_of(&self, host: &mut dyn Host, slot: u16) -> Result<ITopics::Role> {
        use ITopics::Role;
        let (forecasters, _) = self.range_of(host, Role::Forecaster)?;
        let (reputers, _) = self.range_of(host, Role::Reputer)?;
        Ok(if slot < forecasters {
            Role::Worker
        } else if slot < reputers {
            Role::Forecaster
        } else {
            Role::Reputer
        })
    }
}
