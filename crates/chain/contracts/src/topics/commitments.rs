//! Submissions: committed first, opened later.
//!
//! A commitment binds chain, topic, epoch, mechanism, slot, operator, salt and payload, so that it
//! is of no use to anybody else: whoever copies it can never open it, and loses a bond. Each
//! commitment burns the policy's fee as income of the topic. The first to an epoch whose time to open has
//! come opens it.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use hallmark_abi::topics::ITopics::{self, Kind, Role, Stage};
use hallmark_mechanisms::wire;

use super::{MAX_PAYLOAD_BYTES, Mechanism, Seat, Topic, Topics, emit, kind};
use crate::{
    Host, Result, gas,
    host::{OrRevert, checked, revert},
};

impl Topics {
    /// # Errors
    ///
    /// `UnknownTopic`, `WrongEpoch`, `InvalidMechanism`, `UnknownSlot`, `NotOperator`, `WrongRole`,
    /// `WrongStage`, `TooLate`, `TestSetMissing`, `DuplicateSubmission`, `BondTooSmall` of
    /// the slot, and of a score topic too, `WrongPayment`.
    pub fn commit(&self, host: &mut dyn Host, call: ITopics::commitCall) -> Result<()> {
        let (id, epoch, slot) = (call.topic, call.epoch, call.slot);
        let entry = self.enter_submission(host, id, epoch, call.mechanism, slot)?;
        let Entry {
            topic,
            mechanism,
            seat,
            kind,
            role,
        } = entry;
        let needed = commit_stage(kind, role).or_revert(ITopics::WrongRole { role: role as u8 })?;
        if needed == Stage::Open {
            self.open_if_due(host, id, &topic)?;
        }
        topic.in_window(host, id, &[needed])?;
        if kind == Kind::Score && topic.test_sets.at(epoch).commitment.read(host)?.is_zero() {
            return revert(ITopics::TestSetMissing { topic: id, epoch });
        }
        if kind == Kind::Score {
            topic.bonded(host)?;
        }
        let submission = mechanism.submissions.at(u64::from(slot));
        let pool = seat.pool.read(host)?;
        let known = submission.pool.read(host)? == pool;
        if known && submission.committed_epoch.read(host)? == epoch {
            return revert(ITopics::DuplicateSubmission {
                topic: id,
                epoch,
                slot,
            });
        }
        let (bond, needed) = (seat.bond.read(host)?, topic.policy.min_bond.read(host)?);
        if bond < needed {
            return revert(ITopics::BondTooSmall { bond, needed });
        }
        let fee = topic.policy.submit_fee.read(host)?;
        let needed = U256::from(fee);
        if host.value() != needed {
            return revert(ITopics::WrongPayment { needed });
        }

        if !known {
            // What a former holder submitted is not this one's.
            submission.pool.write(host, pool)?;
            submission.revealed_epoch.write(host, 0)?;
            submission.submitted_at_ms.write(host, 0)?;
            submission.proven_epoch.write(host, 0)?;
        }
        submission.commitment.write(host, call.commitment)?;
        submission.committed_epoch.write(host, epoch)?;
        let open = checked(seat.open_commitments.read(host)?.checked_add(1))?;
        seat.open_commitments.write(host, open)?;
        seat.open_epoch.write(host, epoch)?;
        let now = host.timestamp_ms();
        submission.committed_at_ms.write(host, now)?;
        seat.last_submit_ms.write(host, now)?;
        let record = topic.epochs.at(epoch);
        let count = checked(record.commitments.read(host)?.checked_add(1))?;
        record.commitments.write(host, count)?;
        if fee != 0 {
            topic.burn_income(host, fee)?;
        }
        let event = ITopics::Committed {
            topic: id,
            epoch,
            mechanism: call.mechanism,
            slot,
            commitment: call.commitment,
        };
        emit(host, event)
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `WrongEpoch`, `InvalidMechanism`, `UnknownSlot`, `NotOperator`, `WrongRole`,
    /// `WrongStage`, `TooLate`, `NothingCommitted`, `DuplicateSubmission`, `CommitmentMismatch`,
    /// `InvalidPayload`, `ValueOutOfRange`.
    pub fn reveal(&self, host: &mut dyn Host, call: ITopics::revealCall) -> Result<()> {
        let (id, epoch, slot) = (call.topic, call.epoch, call.slot);
        if call.payload.len() > MAX_PAYLOAD_BYTES {
            return revert(ITopics::InvalidPayload {
                reason: format!("longer than {MAX_PAYLOAD_BYTES} bytes"),
            });
        }
        gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, call.payload.len())?;
        let entry = self.enter_submission(host, id, epoch, call.mechanism, slot)?;
        let Entry {
            topic,
            mechanism,
            seat,
            kind,
            role,
        } = entry;
        let stages = reveal_stages(kind, role);
        if stages.is_empty() {
            return revert(ITopics::WrongRole { role: role as u8 });
        }
        topic.in_window(host, id, stages)?;
        let submission = mechanism.submissions.at(u64::from(slot));
        let known = submission.pool.read(host)? == seat.pool.read(host)?;
        if !known || submission.committed_epoch.read(host)? != epoch {
            return revert(ITopics::NothingCommitted {
                topic: id,
                epoch,
                slot,
            });
        }
        if submission.revealed_epoch.read(host)? == epoch {
            return revert(ITopics::DuplicateSubmission {
                topic: id,
                epoch,
                slot,
            });
        }
        let expected = submission.commitment.read(host)?;
        let operator = host.caller();
        let found = commitment(
            (host.chain_id(), id, epoch, call.mechanism, slot, operator),
            call.salt,
            &call.payload,
        );
        if found != expected {
            return revert(ITopics::CommitmentMismatch { expected, found });
        }
        topic.check_payload(host, kind, role, &call.payload)?;

        submission.payload.write(host, &call.payload)?;
        submission.revealed_epoch.write(host, epoch)?;
        let submitted = submission.committed_at_ms.read(host)?;
        submission.submitted_at_ms.write(host, submitted)?;
        let open = checked(seat.open_commitments.read(host)?.checked_sub(1))?;
        seat.open_commitments.write(host, open)?;
        let record = topic.epochs.at(epoch);
        let count = checked(record.reveals.read(host)?.checked_add(1))?;
        record.reveals.write(host, count)?;
        let event = ITopics::Revealed {
            topic: id,
            epoch,
            mechanism: call.mechanism,
            slot,
            payload: call.payload,
        };
        emit(host, event)
    }

    /// What a submission names, checked.
    pub(super) fn enter_submission(
        &self,
        host: &mut dyn Host,
        id: U256,
        epoch: u64,
        mechanism: u8,
        slot: u16,
    ) -> Result<Entry> {
        let topic = self.known(host, id)?;
        topic.in_epoch(host, id, epoch)?;
        let known = topic.mechanism(host, mechanism)?;
        let seat = topic.own_seat(host, id, slot)?;
        let (kind, role) = (known.kind.read(host)?, seat.role.read(host)?);
        Ok(Entry {
            topic,
            mechanism: known,
            seat,
            kind,
            role,
        })
    }
}

/// A submission's parts.
pub(super) struct Entry {
    pub(super) topic: Topic,
    pub(super) mechanism: Mechanism,
    pub(super) seat: Seat,
    pub(super) kind: Kind,
    pub(super) role: Role,
}

impl Topic {
    pub(super) fn mechanism(&self, host: &mut dyn Host, mechanism: u8) -> Result<Mechanism> {
        if mechanism >= self.mechanism_count.read(host)? {
            let reason = "the topic has no such mechanism".to_owned();
            return revert(ITopics::InvalidMechanism { mechanism, reason });
        }
        Ok(self.mechanisms.at(u64::from(mechanism)))
    }

    /// Refuses an epoch that is not the one under way or the next.
    pub(super) fn in_epoch(&self, host: &mut dyn Host, id: U256, epoch: u64) -> Result<()> {
        let present = self.epoch.read(host)?;
        if epoch != present {
            return revert(ITopics::WrongEpoch {
                topic: id,
                epoch: present,
            });
        }
        Ok(())
    }

    /// Refuses a call outside of these stages, and after the present one's end.
    pub(super) fn in_window(&self, host: &mut dyn Host, id: U256, stages: &[Stage]) -> Result<()> {
        let stage = self.stage.read(host)?;
        if !stages.contains(&stage) {
            return revert(ITopics::WrongStage { topic: id, stage });
        }
        let (closedAtMs, nowMs) = (self.stage_end_ms.read(host)?, host.timestamp_ms());
        if nowMs >= closedAtMs {
            return revert(ITopics::TooLate { closedAtMs, nowMs });
        }
        Ok(())
    }

    fn check_payload(
        &self,
        host: &mut dyn Host,
        of: Kind,
        role: Role,
        payload: &[u8],
    ) -> Result<()> {
        let limits = self.limits(host)?;
        match wire::check_payload(kind(of), wire_role(role), &limits, payload) {
            Ok(()) => Ok(()),
            Err(wire::PayloadError::Invalid(reason)) => revert(ITopics::InvalidPayload { reason }),
            Err(wire::PayloadError::OutOfRange {
                value,
                least,
                greatest,
            }) => revert(ITopics::ValueOutOfRange {
                value: value.to_bits(),
                least: least.to_bits(),
                greatest: greatest.to_bits(),
            }),
        }
    }
}

/// What a commitment is: see `ITopics.commit`. `to` is chain, topic, epoch, mechanism, slot and
/// operator.
#[must_use]
pub fn commitment(to: (u64, U256, u64, u8, u16, Address), salt: B256, payload: &[u8]) -> B256 {
    let (chain, topic, epoch, mechanism, slot, operator) = to;
    let bound = (
        chain,
        topic,
        epoch,
        U256::from(mechanism),
        slot,
        operator,
        salt,
        keccak256(payload),
    );
    keccak256(bound.abi_encode())
}

/// When a role commits to a mechanism; never, if it has no part in it.
fn commit_stage(kind: Kind, role: Role) -> Option<Stage> {
    match (kind, role) {
        (Kind::Yuma | Kind::Score, Role::Worker)
        | (Kind::Synthesis, Role::Worker | Role::Forecaster) => Some(Stage::Open),
        (Kind::Synthesis, Role::Reputer) => Some(Stage::Lag),
        _ => None,
    }
}

/// When it reveals.
fn reveal_stages(kind: Kind, role: Role) -> &'static [Stage] {
    match (kind, role) {
        (Kind::Yuma, Role::Worker) | (Kind::Synthesis, Role::Reputer) => &[Stage::Reveal],
        (Kind::Synthesis, Role::Worker | Role::Forecaster) => &[Stage::Sealed],
        (Kind::Score, Role::Worker) => &[Stage::Sealed, Stage::Lag],
        _ => &[],
    }
}

/// The mechanisms' own name of a role.
pub(super) fn wire_role(role: Role) -> wire::Role {
    match role {
        Role::Forecaster => wire::Role::Forecaster,
        Role::Reputer => wire::Role::Reputer,
        Role::Worker | Role::__Invalid => wire::Role::Worker,
    }
}
