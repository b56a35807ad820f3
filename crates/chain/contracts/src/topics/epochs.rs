//! The epochs' state machine: see the contract's opening for its stages.

use alloy_primitives::U256;
use hallmark_abi::topics::ITopics::{self, Kind, Stage};

use super::{Epoch, Topic, Topics, emit};
use crate::{
    ContractError, Host, Result,
    host::{checked, revert},
};

/// Work that the end of one block does before it stops: milliseconds of a slow core, in gas.
const SWEEP_WORK: u64 = 10_000_000;
/// Gas that a sweep sets aside to leave its records right when a slice runs out of the rest.
pub(super) const SWEEP_RESERVE: u64 = 1_000_000;
/// Work of a slice that computes nothing.
pub(super) const SLICE_WORK: u64 = 200_000;

impl Topics {
    /// # Errors
    ///
    /// `UnknownTopic`, `NothingToDo`.
    ///
    /// The chain takes the topic up again if it had left it.
    pub fn advance(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let topic = self.known(host, id)?;
        let fromMs = topic.due_ms(host)?;
        if host.timestamp_ms() < fromMs {
            return revert(ITopics::NothingToDo { topic: id, fromMs });
        }
        self.activate(host, id, &topic)?;
        self.slice(host, id, &topic)?;
        Ok(())
    }

    /// Does one slice of what is due; gives its work.
    fn slice(&self, host: &mut dyn Host, id: U256, topic: &Topic) -> Result<u64> {
        match topic.stage.read(host)? {
            Stage::None | Stage::Done | Stage::Cancelled => self.open(host, id, topic)?,
            Stage::Open => self.enter(host, id, topic, Stage::Sealed)?,
            Stage::Lag => self.enter(host, id, topic, Stage::Reveal)?,
            Stage::Sealed => {
                let work = self.infer(host, id, topic)?;
                self.enter(host, id, topic, Stage::Lag)?;
                return Ok(work);
            }
            Stage::Reveal => self.enter(host, id, topic, Stage::Settle)?,
            Stage::Settle => return self.settle_slice(host, id, topic),
            Stage::__Invalid => return crate::host::checked(None),
        }
        Ok(SLICE_WORK)
    }

    /// Opens the next epoch for a commitment to it, if its time has come.
    pub(super) fn open_if_due(&self, host: &mut dyn Host, id: U256, topic: &Topic) -> Result<()> {
        let is_due = host.timestamp_ms() >= topic.due_ms(host)?;
        if is_due && !topic.is_under_way(host)? {
            self.activate(host, id, topic)?;
            self.open(host, id, topic)?;
        }
        Ok(())
    }

    /// Opens the next epoch.
    fn open(&self, host: &mut dyn Host, id: U256, topic: &Topic) -> Result<()> {
        self.apply_proposal(host, id, topic)?;
        let now = host.timestamp_ms();
        let number = topic.epoch.read(host)?;
        let closesAtMs = checked(now.checked_add(topic.policy.open_ms.read(host)?))?;
        if topic.last_settled_ms.read(host)? == 0 {
            topic.last_settled_ms.write(host, now)?;
        }
        topic.opened_at_ms.write(host, now)?;
        topic.stirred.write(host, false)?;
        topic.stage.write(host, Stage::Open)?;
        topic.stage_end_ms.write(host, closesAtMs)?;
        topic.epochs.at(number).opened_at_ms.write(host, now)?;
        emit(
            host,
            ITopics::Opened {
                topic: id,
                epoch: number,
                closesAtMs,
            },
        )
    }

    /// Enters a stage, and passes those of length zero; the work at the end of Sealed is a slice of
    /// its own unless there is none.
    fn enter(&self, host: &mut dyn Host, id: U256, topic: &Topic, first: Stage) -> Result<()> {
        let now = host.timestamp_ms();
        let mut stage = first;
        loop {
            let length = match stage {
                Stage::Sealed => topic.policy.sealed_ms.read(host)?,
                Stage::Lag => topic.policy.lag_ms.read(host)?,
                Stage::Reveal => topic.policy.reveal_ms.read(host)?,
                _ => 0,
            };
            let next = match stage {
                // Only a topic without synthesis may leave Sealed out.
                Stage::Sealed if length == 0 => Stage::Lag,
                Stage::Lag if length == 0 => Stage::Reveal,
                Stage::Reveal if length == 0 => Stage::Settle,
                _ => {
                    let endsAtMs = checked(now.checked_add(length))?;
                    topic.stage.write(host, stage)?;
                    topic.stage_end_ms.write(host, endsAtMs)?;
                    if stage == Stage::Settle {
                        topic.cursor.write(host, 0)?;
                        topic.pays.write(host, false)?;
                        self.fix_budget(host, topic)?;
                    }
                    let epoch = topic.epoch.read(host)?;
                    return emit(
                        host,
                        ITopics::StageChanged {
                            topic: id,
                            epoch,
                            stage: stage as u8,
                            endsAtMs,
                        },
                    );
                }
            };
            stage = next;
        }
    }

    /// Ends the epoch under way.
    pub(super) fn finish(&self, host: &mut dyn Host, id: U256, topic: &Topic) -> Result<()> {
        let now = host.timestamp_ms();
        let number = topic.epoch.read(host)?;
        let stage = if topic.pays.read(host)? {
            Stage::Done
        } else {
            Stage::Cancelled
        };
        let epoch = topic.epochs.at(number);
        epoch.settled_at_ms.write(host, now)?;
        epoch.end.write(host, stage)?;
        let opened = topic.opened_at_ms.read(host)?;
        let interval = topic.policy.epoch_ms.read(host)?;
        let endsAtMs = checked(opened.checked_add(interval))?.max(now);
        topic.stage.write(host, stage)?;
        topic.stage_end_ms.write(host, endsAtMs)?;
        topic.last_settled_ms.write(host, now)?;
        topic.epoch.write(host, checked(number.checked_add(1))?)?;
        topic.ripen(host)?;
        if topic.retired.read(host)? {
            // The bond goes to whom the topic belongs now.
            self.apply_proposal(host, id, topic)?;
            self.wind_up(host, topic)?;
        } else if topic.slot_count(host)? == 0 || topic.is_idle(host, &epoch)? {
            self.rest(host, topic)?;
        }
        emit(
            host,
            ITopics::StageChanged {
                topic: id,
                epoch: number,
                stage: stage as u8,
                endsAtMs,
            },
        )
    }

    /// Advances topics that are overdue by the grace, round robin, and none that rest, until the block's share of work
    /// is done. A slice that fails is undone and ends the sweep, and the topic is left to `advance`; so
    /// is one that runs out of gas if it was the block's first. If others went before it, it is the next block's first.
    pub(crate) fn sweep(&self, host: &mut dyn Host) -> Result<()> {
        let length = self.active.len(host)?;
        if length == 0 {
            return Ok(());
        }
        let most = u64::from(self.sweep_per_block.read(host)?).min(length);
        let start = self.sweep_cursor.read(host)?;
        let grace = self.grace_ms.read(host)?;
        let mut cursor = if start < length { start } else { 0 };
        host.charge_gas(SWEEP_RESERVE)?;
        let mut left = length;
        let (mut work, mut has_failed) = (0u64, false);
        for _ in 0..most {
            if left == 0 || work >= SWEEP_WORK {
                break;
            }
            if cursor >= left {
                cursor = 0;
            }
            host.mark();
            match self.sweep_one(host, cursor, grace) {
                Ok(swept) => {
                    host.keep();
                    work = work.saturating_add(swept.work);
                    left = swept.left;
                    // A topic that left the list gave its place to another, which is looked at next.
                    if swept.stays {
                        cursor = checked(cursor.checked_add(1))?;
                    }
                }
                Err(error @ (ContractError::Revert(_) | ContractError::OutOfGas)) => {
                    host.undo();
                    host.return_gas(SWEEP_RESERVE);
                    // What had all of the block's gas will never have more.
                    if work == 0 || error != ContractError::OutOfGas {
                        self.deactivate_at(host, cursor)?;
                    }
                    has_failed = true;
                    break;
                }
                Err(fatal) => return Err(fatal),
            }
        }
        if !has_failed {
            host.return_gas(SWEEP_RESERVE);
        }
        let stopped = has_failed || work >= SWEEP_WORK;
        if cursor != start && (length > most || stopped) {
            self.sweep_cursor.write(host, cursor)?;
        }
        Ok(())
    }

    /// Does a slice of the active topic at `place` if it is overdue.
    fn sweep_one(&self, host: &mut dyn Host, place: u64, grace: u64) -> Result<Swept> {
        let id = self.active.get(host, place)?;
        let topic = self.topics.at(id);
        let due = topic.due_ms(host)?.saturating_add(grace);
        let work = if host.timestamp_ms() < due {
            0
        } else {
            self.slice(host, id, &topic)?
        };
        Ok(Swept {
            work,
            left: self.active.len(host)?,
            stays: topic.active_place.read(host)? != 0,
        })
    }

    /// Takes the active topic at `place` off the list.
    fn deactivate_at(&self, host: &mut dyn Host, place: u64) -> Result<()> {
        let id = self.active.get(host, place)?;
        self.deactivate(host, &self.topics.at(id))
    }
}

/// What a sweep did about one topic.
struct Swept {
    work: u64,
    /// Topics on the list after it.
    left: u64,
    /// Whether it is still one of them.
    stays: bool,
}

impl Topic {
    /// When there is something to do; the end of time if never.
    pub(super) fn due_ms(&self, host: &mut dyn Host) -> Result<u64> {
        let idle = !self.is_under_way(host)?;
        if idle && (self.retired.read(host)? || self.slot_count(host)? == 0) {
            return Ok(u64::MAX);
        }
        Ok(self.stage_end_ms.read(host)?)
    }

    /// Whether nobody took part in an epoch, and it paid nothing. Weights that are in force can pay
    /// without a new commitment.
    fn is_idle(&self, host: &mut dyn Host, epoch: &Epoch) -> Result<bool> {
        let took_part = self.stirred.read(host)? || epoch.commitments.read(host)? != 0;
        Ok(!took_part && epoch.paid.read(host)? == 0)
    }

    /// Number of the topic's synthesis, if it has one.
    pub(super) fn synthesis(&self, host: &mut dyn Host) -> Result<Option<u64>> {
        let kinds = self.kinds(host)?;
        let found = (0u64..).zip(kinds).find(|(_, k)| *k == Kind::Synthesis);
        Ok(found.map(|(index, _)| index))
    }
}
