//! Slots: their price, their bonds, who gives way to whom.
//!
//! # Price
//!
//! A registration at price `p` makes the price `⌊1.26 p⌋`; from there it halves in every half-life,
//! linearly between two halvings, and is never below `minBond`. All of it is the slot's bond and
//! comes back, so a run on slots costs capital for a time, and no coin.
//!
//! # Giving way
//!
//! Where every slot of a role is taken, a newcomer takes the slot with the least smoothed pay that
//! is not immune and has no open commitment; among equals the oldest, then the lowest. Its holder
//! gets the bond back at once, and beside it the newcomer's compensation: what the slot would have earned
//! while the newcomer cannot be put out in turn,
//!
//! `smoothed pay an epoch · (⌊immunityMs / epochMs⌋ + 1)`,
//!
//! free at once. It is the operator's alone: a part for the pool would come back to a newcomer who staked on
//! the slot just before. A slot that earns nothing is free to take. Who puts out a rival only to divide its
//! pay thus pays more than the rival's whole pay for a part of it; who earns at least as much as whom it
//! replaces has it back while it is immune.
//!
//! During Settle nobody enters or leaves, so that pay finds its earner.
//! Nobody gives way from Sealed on: who has opened its commitment has none open, and would vanish from
//! the epoch that it is to be judged in, while who opens nothing would stay.

use alloy_primitives::{Address, U256};
use hallmark_abi::topics::ITopics::{self, Role, Stage};

use super::{
    NO_SLOT, Seat, Topic, Topics, burn, emit, muldiv, paid_in, rows::Earnings, stake::WHOLE_TAKE,
};
use crate::{
    Host, Result,
    host::{OrRevert, checked, revert},
};

/// The price after a registration, in 1/100 of the price paid.
const PRICE_STEP: u128 = 126;

impl Topics {
    /// # Errors
    ///
    /// `UnknownTopic`, `TopicRetired`, `WrongStage` during Settle, `WrongRole`,
    /// `AlreadyRegistered`, `WrongPayment` below price and compensation, `Full` also where slots give way
    /// only between two epochs and in Open.
    pub fn register(&self, host: &mut dyn Host, id: U256, role: Role) -> Result<u16> {
        let topic = self.living(host, id)?;
        topic.not_settling(host, id)?;
        let operator = host.caller();
        let held = topic.slot_of(host, operator)?;
        if held != NO_SLOT {
            return revert(ITopics::AlreadyRegistered {
                topic: id,
                slot: held,
            });
        }
        let (first, count) = topic.range_of(host, role)?;
        if count == 0 {
            return revert(ITopics::WrongRole { role: role as u8 });
        }
        let price = self.slot_price(host, &topic)?;
        let paid = checked(u128::try_from(host.value()).ok())?;
        if paid < price {
            let needed = U256::from(price);
            return revert(ITopics::WrongPayment { needed });
        }
        let room = topic.room(host, id, role, first, count)?;
        let needed = checked(price.checked_add(room.compensation))?;
        let Some(excess) = paid.checked_sub(needed) else {
            let needed = U256::from(needed);
            return revert(ITopics::WrongPayment { needed });
        };
        self.owe(host, paid)?;
        let slot = room.slot;
        if !room.is_vacant {
            self.prune(host, id, &topic, &room)?;
        }
        let pool = self.take_seat(host, id, &topic, slot, role, price)?;
        let now = host.timestamp_ms();
        topic.price.write(host, muldiv(price, PRICE_STEP, 100)?)?;
        topic.price_at_ms.write(host, now)?;
        self.free(host, operator, excess)?;
        topic.stirred.write(host, true)?;
        self.activate(host, id, &topic)?;
        let event = ITopics::Registered {
            topic: id,
            slot,
            operator,
            role: role as u8,
            bond: price,
            pool: U256::from(pool),
        };
        emit(host, event)?;
        Ok(slot)
    }

    /// What a slot costs now, in wei.
    pub(super) fn slot_price(&self, host: &mut dyn Host, topic: &Topic) -> Result<u128> {
        let last = topic.price.read(host)?;
        let half_life = self.price_half_life_ms.read(host)?.max(1);
        let age = host
            .timestamp_ms()
            .saturating_sub(topic.price_at_ms.read(host)?);
        let (halvings, rest) = (
            age.checked_div(half_life).unwrap_or(0),
            age.checked_rem(half_life).unwrap_or(0),
        );
        let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
        let base = last.checked_shr(halvings).unwrap_or(0);
        let half = base.checked_shr(1).unwrap_or(0);
        let gone = muldiv(half, u128::from(rest), u128::from(half_life))?;
        let floor = topic.policy.min_bond.read(host)?;
        Ok(base.saturating_sub(gone).max(floor))
    }

    /// Puts out the holder of a slot that gives way, with its bond and its compensation, which is owed
    /// already.
    fn prune(&self, host: &mut dyn Host, id: U256, topic: &Topic, room: &Room) -> Result<()> {
        let (slot, amount) = (room.slot, room.compensation);
        let seat = topic.seats.at(u64::from(slot));
        let (operator, returned) = self.vacate(host, topic, &seat)?;
        self.free(host, operator, checked(returned.checked_add(amount))?)?;
        emit(
            host,
            ITopics::Pruned {
                topic: id,
                slot,
                operator,
                returned,
            },
        )?;
        if amount == 0 {
            return Ok(());
        }
        emit(
            host,
            ITopics::Compensated {
                topic: id,
                slot,
                operator,
                amount,
            },
        )
    }

    /// Seats the caller; gives the new pool's number.
    fn take_seat(
        &self,
        host: &mut dyn Host,
        id: U256,
        topic: &Topic,
        slot: u16,
        role: Role,
        bond: u128,
    ) -> Result<u64> {
        let (operator, now) = (host.caller(), host.timestamp_ms());
        let number = checked(self.pool_count.read(host)?.checked_add(1))?;
        self.pool_count.write(host, number)?;
        let pool = self.pools.at(number);
        pool.operator.write(host, operator)?;
        pool.slot.write(host, slot)?;
        pool.take_bps.write(host, WHOLE_TAKE)?;
        pool.live.write(host, true)?;
        pool.topic.write(host, checked(u64::try_from(id).ok())?)?;
        let seat = topic.seats.at(u64::from(slot));
        seat.operator.write(host, operator)?;
        seat.registered_at_ms.write(host, now)?;
        seat.role.write(host, role)?;
        seat.bond.write(host, bond)?;
        seat.young.add(host, topic, bond)?;
        let bonds = checked(topic.bonds.read(host)?.checked_add(bond))?;
        topic.bonds.write(host, bonds)?;
        seat.pool.write(host, number)?;
        let epoch = topic.epoch.read(host)?;
        seat.since_epoch.write(host, epoch)?;
        let place = checked(u32::from(slot).checked_add(1))?;
        topic.seat_of.at(operator).write(host, place)?;
        let taken = topic.seats_taken.at(role as u8);
        let sum = checked(taken.read(host)?.checked_add(1))?;
        taken.write(host, sum)?;
        Ok(number)
    }

    /// Empties a slot and ends its pool; gives the holder and its bond, which is still owed.
    fn vacate(&self, host: &mut dyn Host, topic: &Topic, seat: &Seat) -> Result<(Address, u128)> {
        let operator = seat.operator.read(host)?;
        let bond = seat.bond.read(host)?;
        let role = seat.role.read(host)?;
        let pool = self.pools.at(seat.pool.read(host)?);
        pool.live.write(host, false)?;
        let epoch = topic.epoch.read(host)?;
        pool.ripen(host, epoch)?;
        let (staked, waiting) = (pool.amount.read(host)?, pool.waiting.read(host)?);
        let stake = checked(topic.stake.read(host)?.checked_sub(staked))?;
        topic.stake.write(host, stake)?;
        let rest = checked(topic.stake_waiting.read(host)?.checked_sub(waiting))?;
        topic.stake_waiting.write(host, rest)?;
        let bonds = checked(topic.bonds.read(host)?.checked_sub(bond))?;
        topic.bonds.write(host, bonds)?;
        topic.seat_of.at(operator).write(host, 0)?;
        let taken = topic.seats_taken.at(role as u8);
        let rest = checked(taken.read(host)?.checked_sub(1))?;
        taken.write(host, rest)?;
        seat.operator.write(host, Address::ZERO)?;
        seat.registered_at_ms.write(host, 0)?;
        seat.role.write(host, Role::Worker)?;
        seat.bond.write(host, 0)?;
        seat.pool.write(host, 0)?;
        seat.last_submit_ms.write(host, 0)?;
        seat.open_epoch.write(host, 0)?;
        seat.since_epoch.write(host, 0)?;
        seat.young.amount.write(host, 0)?;
        Ok((operator, bond))
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `UnknownSlot`, `NotOperator`, `ZeroAmount`.
    pub fn top_up(&self, host: &mut dyn Host, id: U256, slot: u16) -> Result<()> {
        let topic = self.known(host, id)?;
        let seat = topic.own_seat(host, id, slot)?;
        let amount = paid_in(host)?;
        let bond = checked(seat.bond.read(host)?.checked_add(amount))?;
        seat.bond.write(host, bond)?;
        seat.young.add(host, &topic, amount)?;
        let bonds = checked(topic.bonds.read(host)?.checked_add(amount))?;
        topic.bonds.write(host, bonds)?;
        self.owe(host, amount)?;
        emit(
            host,
            ITopics::ToppedUp {
                topic: id,
                slot,
                amount,
                bond,
            },
        )
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `UnknownSlot`, `NotOperator`, `CommitmentOpen`, `WrongStage` during Settle.
    pub fn leave(&self, host: &mut dyn Host, id: U256, slot: u16) -> Result<()> {
        let topic = self.known(host, id)?;
        let seat = topic.own_seat(host, id, slot)?;
        if seat.open_commitments.read(host)? != 0 {
            return revert(ITopics::CommitmentOpen { topic: id, slot });
        }
        topic.not_settling(host, id)?;
        let (operator, returned) = self.vacate(host, &topic, &seat)?;
        if returned != 0 {
            self.queue(host, operator, returned)?;
        }
        if topic.slot_count(host)? == 0 && !topic.is_under_way(host)? {
            self.rest(host, &topic)?;
        }
        emit(
            host,
            ITopics::Left {
                topic: id,
                slot,
                operator,
                returned,
            },
        )
    }

    /// Lets a topic without slots or without anybody at work be, until somebody stirs it.
    pub(super) fn rest(&self, host: &mut dyn Host, topic: &Topic) -> Result<()> {
        self.set_weight(host, topic, 0)?;
        self.deactivate(host, topic)
    }

    /// Burns up to `minBond` of a slot's bond; gives how much.
    pub(super) fn penalize(&self, host: &mut dyn Host, topic: &Topic, seat: &Seat) -> Result<u128> {
        let bond = seat.bond.read(host)?;
        let penalty = bond.min(topic.policy.min_bond.read(host)?);
        let bonds = checked(topic.bonds.read(host)?.checked_sub(penalty))?;
        topic.bonds.write(host, bonds)?;
        seat.bond.write(host, checked(bond.checked_sub(penalty))?)?;
        self.disown(host, penalty)?;
        burn(host, penalty)?;
        Ok(penalty)
    }
}

/// Where a newcomer would sit.
pub(super) struct Room {
    slot: u16,
    is_vacant: bool,
    /// Of whom it puts out, in wei.
    pub(super) compensation: u128,
}

impl Topic {
    /// A vacant slot of the range, or the one that gives way.
    pub(super) fn room(
        &self,
        host: &mut dyn Host,
        id: U256,
        role: Role,
        first: u16,
        count: u16,
    ) -> Result<Room> {
        let end = checked(first.checked_add(count))?;
        if self.seats_taken.at(role as u8).read(host)? < count {
            for slot in first..end {
                let seat = self.seats.at(u64::from(slot));
                if seat.operator.read(host)?.is_zero() {
                    return Ok(Room {
                        slot,
                        is_vacant: true,
                        compensation: 0,
                    });
                }
            }
        }
        let full = ITopics::Full {
            topic: id,
            role: role as u8,
        };
        if self.is_under_way(host)? && self.stage.read(host)? != Stage::Open {
            return revert(full);
        }
        let capacity = self.capacity(host)?;
        let earned = Earnings::decode(&self.earned.read(host)?, capacity);
        let immunity = self.policy.immunity_ms.read(host)?;
        let now = host.timestamp_ms();
        let mut weakest = None;
        for slot in first..end {
            let seat = self.seats.at(u64::from(slot));
            let since = seat.registered_at_ms.read(host)?;
            let immune = since.saturating_add(immunity) > now;
            if immune || seat.open_commitments.read(host)? != 0 {
                continue;
            }
            let rank = (earned.of(slot, seat.pool.read(host)?), since, slot);
            if weakest.is_none_or(|least| rank < least) {
                weakest = Some(rank);
            }
        }
        let (pay, _, slot) = weakest.or_revert(full)?;
        let epoch = self.policy.epoch_ms.read(host)?;
        let epochs = checked(immunity.checked_div(epoch))?;
        let epochs = u128::from(checked(epochs.checked_add(1))?);
        Ok(Room {
            slot,
            is_vacant: false,
            compensation: checked(pay.checked_mul(epochs))?,
        })
    }

    /// First slot and number of slots of a role.
    pub(super) fn range_of(&self, host: &mut dyn Host, role: Role) -> Result<(u16, u16)> {
        let workers = self.policy.max_workers.read(host)?;
        let forecasters = self.policy.max_forecasters.read(host)?;
        let reputers = self.policy.max_reputers.read(host)?;
        Ok(match role {
            Role::Worker => (0, workers),
            Role::Forecaster => (workers, forecasters),
            Role::Reputer => (checked(workers.checked_add(forecasters))?, reputers),
            Role::__Invalid => (0, 0),
        })
    }

    /// Slots of all roles, taken or not.
    pub(super) fn capacity(&self, host: &mut dyn Host) -> Result<u16> {
        let (first, count) = self.range_of(host, Role::Reputer)?;
        checked(first.checked_add(count))
    }

    /// Slots that are taken.
    pub(super) fn slot_count(&self, host: &mut dyn Host) -> Result<u16> {
        let mut sum = 0u16;
        for role in [Role::Worker, Role::Forecaster, Role::Reputer] {
            sum = sum.saturating_add(self.seats_taken.at(role as u8).read(host)?);
        }
        Ok(sum)
    }

    pub(super) fn slot_of(&self, host: &mut dyn Host, operator: Address) -> Result<u16> {
        let place = self.seat_of.at(operator).read(host)?;
        let slot = place
            .checked_sub(1)
            .and_then(|slot| u16::try_from(slot).ok());
        Ok(slot.unwrap_or(NO_SLOT))
    }

    /// A slot that is taken.
    pub(super) fn seat(&self, host: &mut dyn Host, id: U256, slot: u16) -> Result<Seat> {
        let seat = self.seats.at(u64::from(slot));
        if seat.operator.read(host)?.is_zero() {
            return revert(ITopics::UnknownSlot { topic: id, slot });
        }
        Ok(seat)
    }

    /// A slot of the caller.
    pub(super) fn own_seat(&self, host: &mut dyn Host, id: U256, slot: u16) -> Result<Seat> {
        let seat = self.seat(host, id, slot)?;
        let operator = seat.operator.read(host)?;
        if host.caller() != operator {
            return revert(ITopics::NotOperator { operator });
        }
        Ok(seat)
    }

    pub(super) fn not_settling(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let stage = self.stage.read(host)?;
        if stage == Stage::Settle {
            return revert(ITopics::WrongStage { topic: id, stage });
        }
        Ok(())
    }
}
