//! The slices of work at the end of Sealed and in Settle.

use alloy_primitives::{Bytes, U256, keccak256};
use hallmark_abi::topics::ITopics::{self, Kind, Role};
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire;

use super::{
    Mechanism, NO_SLOT, Seat, Topic, Topics, burn,
    emission::{HousePaid, smoothed},
    emit, emit_sized,
    epochs::SLICE_WORK,
    kind, muldiv, part,
    rows::{Earnings, Row, outcome, outcome_of},
};
use crate::{Host, Result, host::checked};

/// Work of reading a slot and writing what was decided about it.
const ROW_WORK: u64 = 10_000;
/// Work of a byte of an event, which every node keeps for a time: with it, a block's sweep tells at most
/// `SWEEP_WORK / LOG_WORK` = 250 kB and one slice's events.
const LOG_WORK: u64 = 40;
/// Shares of a mechanism sum to this.
const WHOLE: u128 = 1_000_000_000;

impl Topics {
    /// The network inference at the end of Sealed; gives its work.
    pub(super) fn infer(&self, host: &mut dyn Host, id: U256, topic: &Topic) -> Result<u64> {
        let Some(index) = topic.synthesis(host)? else {
            return Ok(SLICE_WORK);
        };
        let mechanism = topic.mechanisms.at(index);
        let limits = topic.limits(host)?;
        let params = mechanism.params.read(host)?;
        let rows = self.rows(host, topic, &mechanism, Kind::Synthesis)?;
        let workers = rows.iter().filter(|row| row.role != Role::Reputer).count();
        let work = square(workers)
            .saturating_mul(3_000)
            .saturating_add(SLICE_WORK);
        host.charge_gas(work)?;
        let memory = self.memory(host, &mechanism, Kind::Synthesis, &limits, &rows)?;
        let entries: Vec<_> = rows.iter().map(Row::entry).collect();
        let known = self.pool_count.read(host)?;
        mechanism.known_pool.write(host, known)?;
        let Ok(inferred) = wire::infer(&params, &limits, &memory, &entries) else {
            mechanism.memory.write(host, &[])?;
            mechanism.pending.write(host, &[])?;
            return Ok(work);
        };
        mechanism.memory.write(host, &inferred.memory)?;
        mechanism.pending.write(host, &inferred.pending)?;
        let Some(output) = inferred.output else {
            return Ok(work);
        };
        let (epoch, now) = (topic.epoch.read(host)?, host.timestamp_ms());
        let latest = &topic.latest;
        latest.epoch.write(host, epoch)?;
        latest.at_ms.write(host, now)?;
        latest.value.write(host, output.value.to_bits())?;
        let percentiles = output.percentiles.map(Q64::to_bits);
        for (index, value) in (0u8..).zip(percentiles) {
            latest.percentiles.at(index).write(host, value)?;
        }
        let event = ITopics::Inferred {
            topic: id,
            epoch,
            value: output.value.to_bits(),
            percentiles,
        };
        emit(host, event)?;
        Ok(work)
    }

    /// One slice of Settle: a mechanism's decision, or the pay and the penalties of some slots.
    pub(super) fn settle_slice(&self, host: &mut dyn Host, id: U256, topic: &Topic) -> Result<u64> {
        let cursor = topic.cursor.read(host)?;
        let count = u32::from(topic.mechanism_count.read(host)?);
        if cursor < count {
            let work = self.decide(host, id, topic, u64::from(cursor))?;
            topic.cursor.write(host, checked(cursor.checked_add(1))?)?;
            return Ok(work);
        }
        let first = checked(cursor.checked_sub(count))?;
        let slice = u32::from(self.slots_per_slice.read(host)?);
        let end = u32::from(topic.capacity(host)?);
        let last = first.saturating_add(slice).min(end);
        let told = self.pay_slots(host, id, topic, first, last)?;
        topic
            .cursor
            .write(host, checked(count.checked_add(last))?)?;
        if last == end {
            self.finish(host, id, topic)?;
        }
        let slots = u64::from(last.saturating_sub(first));
        let work = slots.saturating_mul(ROW_WORK).saturating_add(SLICE_WORK);
        Ok(work.saturating_add(told.saturating_mul(LOG_WORK)))
    }

    /// Runs one mechanism and fixes what it pays; gives its work.
    fn decide(&self, host: &mut dyn Host, id: U256, topic: &Topic, index: u64) -> Result<u64> {
        let mechanism = topic.mechanisms.at(index);
        let of = mechanism.kind.read(host)?;
        let limits = topic.limits(host)?;
        let params = mechanism.params.read(host)?;
        let rows = self.rows(host, topic, &mechanism, of)?;
        let work = settle_work(of, &rows);
        host.charge_gas(work)?;
        if of == Kind::Score {
            self.penalize_owner(host, id, topic, &mechanism, &rows)?;
        }
        let pending = mechanism.pending.read(host)?;
        let inferred_up_to = mechanism.known_pool.read(host)?;
        let memory = if of == Kind::Synthesis {
            // Brought up to date when it inferred.
            topic.stored_memory(host, &mechanism, of, &limits)?
        } else {
            self.memory(host, &mechanism, of, &limits, &rows)?
        };
        let context = wire::Ctx {
            now_ms: host.timestamp_ms(),
            last_settled_ms: topic.last_settled_ms.read(host)?,
            epoch_ms: topic.policy.epoch_ms.read(host)?,
        };
        let entries: Vec<_> = rows
            .iter()
            .map(|row| wire::Entry {
                // A slot that changed hands after the inference has not earned what its former holder did.
                paid: of != Kind::Synthesis
                    || row.role == Role::Reputer
                    || row.pool <= inferred_up_to,
                ..row.entry()
            })
            .collect();
        let decided = wire::settle(
            kind(of),
            &params,
            &limits,
            &memory,
            &pending,
            &context,
            &entries,
        );
        mechanism.pending.write(host, &[])?;
        if of != Kind::Synthesis {
            let known = self.pool_count.read(host)?;
            mechanism.known_pool.write(host, known)?;
        }
        let decision = match decided {
            Ok(decision) if is_sound(&decision, rows.len()) => decision,
            _ => nothing(rows.len()),
        };
        mechanism.memory.write(host, &decision.memory)?;
        let capacity = usize::from(topic.capacity(host)?);
        let outcome = outcome(&rows, &decision, capacity);
        mechanism.outcome.write(host, &outcome)?;
        let epoch = topic.epochs.at(topic.epoch.read(host)?);
        let before = epoch.settlement.read(host)?;
        let settlement = keccak256([before.as_slice(), &outcome].concat());
        epoch.settlement.write(host, settlement)?;
        let pays = decision.shares.iter().any(|share| *share != 0);
        let pay = self.fix_pay(host, id, topic, &mechanism, pays)?;
        let event = ITopics::Settled {
            topic: id,
            epoch: topic.epoch.read(host)?,
            mechanism: u8::try_from(index).unwrap_or(u8::MAX),
            pay,
            shares: decision.shares,
            explanation: decision.explanation.into(),
        };
        let told = emit_sized(host, event)?;
        Ok(work.saturating_add(told.saturating_mul(LOG_WORK)))
    }

    /// Fixes what a mechanism pays its slots, and pays the house; gives all of it, in wei.
    fn fix_pay(
        &self,
        host: &mut dyn Host,
        id: U256,
        topic: &Topic,
        mechanism: &Mechanism,
        pays: bool,
    ) -> Result<u128> {
        if !pays {
            mechanism.pay.write(host, 0)?;
            mechanism.grant.write(host, 0)?;
            return Ok(0);
        }
        let share_bps = mechanism.share_bps.read(host)?;
        let gross = part(topic.budget.read(host)?, share_bps)?;
        let grant = part(topic.grant_budget.read(host)?, share_bps)?;
        let HousePaid { house, rest } = self.pay_house(host, id, topic, gross)?;
        mechanism.pay.write(host, rest)?;
        mechanism.grant.write(host, grant)?;
        topic.pays.write(host, true)?;
        let epoch = topic.epochs.at(topic.epoch.read(host)?);
        let paid = checked(epoch.paid.read(host)?.checked_add(house))?;
        epoch.paid.write(host, paid)?;
        checked(gross.checked_add(grant))
    }

    /// Pays slots `first..last` what all mechanisms decided, and burns for what they withheld; gives the
    /// bytes of the events.
    fn pay_slots(
        &self,
        host: &mut dyn Host,
        id: U256,
        topic: &Topic,
        first: u32,
        last: u32,
    ) -> Result<u64> {
        let epoch = topic.epoch.read(host)?;
        let pays = topic.pays.read(host)?;
        let payers = topic.payers(host)?;
        let vesting_ms = topic.policy.vesting_ms.read(host)?;
        let capacity = topic.capacity(host)?;
        let mut earned = Earnings::decode(&topic.earned.read(host)?, capacity);
        let (mut reissued, mut granted) = (0u128, 0u128);
        let mut told = 0u64;
        for slot in (first..last).filter_map(|slot| u16::try_from(slot).ok()) {
            let seat = topic.seats.at(u64::from(slot));
            let operator = seat.operator.read(host)?;
            if operator.is_zero() {
                continue;
            }
            let pool = seat.pool.read(host)?;
            let (mut pay, mut grant) = (0u128, 0u128);
            for payer in &payers {
                let share = u128::from(outcome_of(&payer.outcome, slot).share);
                pay = checked(pay.checked_add(muldiv(payer.pay, share, WHOLE)?))?;
                grant = checked(grant.checked_add(muldiv(payer.grant, share, WHOLE)?))?;
            }
            reissued = checked(reissued.checked_add(pay))?;
            granted = checked(granted.checked_add(grant))?;
            let amount = checked(pay.checked_add(grant))?;
            if pays {
                let since = seat.since_epoch.read(host)?;
                let age = epoch.saturating_sub(since).saturating_add(1);
                let smooth = smoothed(earned.of(slot, pool), amount, age)?;
                earned.set(slot, pool, smooth);
            }
            if amount != 0 {
                let toPool = self.pay_pool(host, topic, pool, amount)?;
                let toOperator = checked(amount.checked_sub(toPool))?;
                self.vest(host, operator, toOperator, vesting_ms)?;
                let event = ITopics::Paid {
                    topic: id,
                    epoch,
                    slot,
                    operator,
                    toOperator,
                    toPool,
                };
                told = told.saturating_add(emit_sized(host, event)?);
            }
            self.close_commitments(host, id, topic, slot, &seat)?;
        }
        if pays {
            topic.earned.write(host, &earned.encode())?;
        }
        self.reissue(host, topic, reissued)?;
        let rest = checked(topic.granted.read(host)?.checked_sub(granted))?;
        topic.granted.write(host, rest)?;
        let record = topic.epochs.at(epoch);
        let paid = record.paid.read(host)?.checked_add(reissued);
        let paid = checked(paid.and_then(|paid| paid.checked_add(granted)))?;
        record.paid.write(host, paid)?;
        Ok(told)
    }

    /// The pool's part of a slot's earnings, added to the pool; zero for a pool of less than
    /// `minBond`. In a pool of a few wei much of it would be the virtual shares', which nobody has.
    fn pay_pool(
        &self,
        host: &mut dyn Host,
        topic: &Topic,
        number: u64,
        amount: u128,
    ) -> Result<u128> {
        let pool = self.pools.at(number);
        let take = part(amount, pool.take(host)?)?;
        let to_pool = checked(amount.checked_sub(take))?;
        if to_pool == 0 {
            return Ok(0);
        }
        let epoch = topic.epoch.read(host)?;
        pool.ripen(host, epoch)?;
        let held = pool.amount.read(host)?;
        if held < topic.policy.min_bond.read(host)? {
            return Ok(0);
        }
        let held = checked(held.checked_add(to_pool))?;
        pool.amount.write(host, held)?;
        let stake = checked(topic.stake.read(host)?.checked_add(to_pool))?;
        topic.stake.write(host, stake)?;
        Ok(to_pool)
    }

    /// Ends a slot's commitments of the epoch, and burns for those it did not open. A score without
    /// a test set could not be opened to any use, and is forgiven.
    fn close_commitments(
        &self,
        host: &mut dyn Host,
        id: U256,
        topic: &Topic,
        slot: u16,
        seat: &Seat,
    ) -> Result<()> {
        if seat.open_commitments.read(host)? == 0 {
            return Ok(());
        }
        seat.open_commitments.write(host, 0)?;
        let epoch = topic.epoch.read(host)?;
        let tested = topic.test_sets.at(epoch).samples.read(host)? != 0;
        let pool = seat.pool.read(host)?;
        let mut withheld = false;
        for (index, kind) in (0u64..).zip(topic.kinds(host)?) {
            let submission = topic.mechanisms.at(index).submissions.at(u64::from(slot));
            let is_open = submission.pool.read(host)? == pool
                && submission.committed_epoch.read(host)? == epoch
                && submission.revealed_epoch.read(host)? != epoch;
            withheld |= is_open && (kind != Kind::Score || tested);
        }
        if !withheld {
            return Ok(());
        }
        let burned = self.penalize(host, topic, seat)?;
        emit(
            host,
            ITopics::Withheld {
                topic: id,
                epoch,
                slot,
                burned,
            },
        )
    }

    /// Burns of the topic's bond for a test set that stayed closed although models were committed.
    fn penalize_owner(
        &self,
        host: &mut dyn Host,
        id: U256,
        topic: &Topic,
        mechanism: &Mechanism,
        rows: &[Row],
    ) -> Result<()> {
        let epoch = topic.epoch.read(host)?;
        let test_set = topic.test_sets.at(epoch);
        let closed = test_set.samples.read(host)? == 0;
        if !closed || test_set.commitment.read(host)?.is_zero() {
            return Ok(());
        }
        let mut committed = false;
        for row in rows {
            let submission = mechanism.submissions.at(u64::from(row.slot));
            committed |= submission.pool.read(host)? == row.pool
                && submission.committed_epoch.read(host)? == epoch;
        }
        if !committed {
            return Ok(());
        }
        test_set
            .commitment
            .write(host, alloy_primitives::B256::ZERO)?;
        let bond = topic.bond.read(host)?;
        let burned = bond.min(topic.policy.min_bond.read(host)?);
        topic.bond.write(host, checked(bond.checked_sub(burned))?)?;
        self.disown(host, burned)?;
        burn(host, burned)?;
        emit(
            host,
            ITopics::Withheld {
                topic: id,
                epoch,
                slot: NO_SLOT,
                burned,
            },
        )
    }
}

/// What a mechanism pays, and to whom.
struct Payer {
    pay: u128,
    grant: u128,
    outcome: Bytes,
}

impl Topic {
    fn payers(&self, host: &mut dyn Host) -> Result<Vec<Payer>> {
        let mut payers = Vec::new();
        for index in 0..u64::from(self.mechanism_count.read(host)?) {
            let mechanism = self.mechanisms.at(index);
            let (pay, grant) = (mechanism.pay.read(host)?, mechanism.grant.read(host)?);
            if pay != 0 || grant != 0 {
                let outcome = mechanism.outcome.read(host)?;
                payers.push(Payer {
                    pay,
                    grant,
                    outcome,
                });
            }
        }
        Ok(payers)
    }
}

/// Gas of a settlement: see `docs/benchmarks.md` for what it was measured against.
fn settle_work(of: Kind, rows: &[Row]) -> u64 {
    let count = |role| rows.iter().filter(|row| row.role == role).count();
    let all = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let work = match of {
        Kind::Yuma => {
            let judges = rows.iter().filter(|row| row.payload.is_some()).count();
            let cells = u64::try_from(judges)
                .unwrap_or(u64::MAX)
                .saturating_mul(all);
            cells
                .saturating_mul(100)
                .saturating_add(all.saturating_mul(1_000))
        }
        Kind::Synthesis => {
            let workers = count(Role::Worker).saturating_add(count(Role::Forecaster));
            let reputers = u64::try_from(count(Role::Reputer)).unwrap_or(u64::MAX);
            square(workers)
                .saturating_mul(1_000)
                .saturating_mul(reputers.saturating_add(1))
        }
        Kind::Score | Kind::__Invalid => all.saturating_mul(2_000),
    };
    work.saturating_add(all.saturating_mul(ROW_WORK))
        .saturating_add(SLICE_WORK)
}

fn square(count: usize) -> u64 {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    count.saturating_mul(count)
}

/// Whether a decision is about these slots and gives all that there is, or nothing.
fn is_sound(decision: &wire::Decision, slots: usize) -> bool {
    let sum = decision
        .shares
        .iter()
        .fold(0u128, |sum, share| sum.saturating_add(u128::from(*share)));
    decision.shares.len() == slots && (sum == 0 || sum == WHOLE)
}

/// What a mechanism that failed decides: nobody gets anything, and it begins anew.
fn nothing(slots: usize) -> wire::Decision {
    wire::Decision {
        memory: Vec::new(),
        shares: vec![0; slots],
        scores: vec![Q64::ZERO; slots],
        permits: vec![false; slots],
        explanation: Vec::new(),
    }
}
