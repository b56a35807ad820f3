//! What a mechanism is told of the slots, and what it decided about them.

use alloy_primitives::Bytes;
use hallmark_abi::topics::ITopics::{Kind, Role};
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire;

use super::{MAX_ROWS, Mechanism, Topic, Topics, commitments::wire_role, kind};
use crate::{Host, Result};

/// What a mechanism decided about one slot, as it lies in `Mechanism::outcome`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In 1e-9.
    pub share: u64,
    pub score: Q64,
    pub permit: bool,
}

impl Outcome {
    /// Bytes of one: share, score, permit, big endian.
    pub const BYTES: usize = 25;

    fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (share, rest) = bytes.split_at_mut(8);
        let (score, permit) = rest.split_at_mut(16);
        share.copy_from_slice(&self.share.to_be_bytes());
        score.copy_from_slice(&self.score.to_bits().to_be_bytes());
        permit.copy_from_slice(&[u8::from(self.permit)]);
        bytes
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let (share, rest) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let (score, rest) = rest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        Self {
            share: u64::from_be_bytes(*share),
            score: Q64::from_bits(i128::from_be_bytes(*score)),
            permit: rest.first() == Some(&1),
        }
    }
}

/// What the holder of a slot smoothly earns, as it lies in `Topic::earned`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Earned {
    /// Whose pay it is: another pool than the slot's has earned nothing.
    pool: u64,
    /// In wei an epoch.
    amount: u128,
}

impl Earned {
    /// Bytes of one: pool, amount, big endian.
    const BYTES: usize = 24;

    fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (pool, amount) = bytes.split_at_mut(8);
        pool.copy_from_slice(&self.pool.to_be_bytes());
        amount.copy_from_slice(&self.amount.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let (pool, rest) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let (amount, _) = rest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        Self {
            pool: u64::from_be_bytes(*pool),
            amount: u128::from_be_bytes(*amount),
        }
    }
}

/// [`Earned`] of all slots.
pub(super) struct Earnings(Vec<Earned>);

impl Earnings {
    /// Of `capacity` slots.
    pub(super) fn decode(bytes: &[u8], capacity: u16) -> Self {
        let (all, _) = bytes.as_chunks::<{ Earned::BYTES }>();
        let mut all: Vec<_> = all.iter().map(Earned::decode).collect();
        all.resize(usize::from(capacity), Earned::default());
        Self(all)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|one| one.encode()).collect()
    }

    /// What the holder of `slot` whose pool is `pool` earns, in wei an epoch.
    pub(super) fn of(&self, slot: u16, pool: u64) -> u128 {
        let found = self.0.get(usize::from(slot));
        let found = found.filter(|earned| earned.pool == pool);
        found.map_or(0, |earned| earned.amount)
    }

    pub(super) fn set(&mut self, slot: u16, pool: u64, amount: u128) {
        if let Some(earned) = self.0.get_mut(usize::from(slot)) {
            *earned = Earned { pool, amount };
        }
    }
}

/// A slot as a mechanism sees it.
pub(super) struct Row {
    pub(super) slot: u16,
    pub(super) role: Role,
    pub(super) stake: u128,
    pub(super) pool: u64,
    pub(super) registered_ms: u64,
    pub(super) submitted_ms: u64,
    pub(super) fresh: bool,
    pub(super) permit: bool,
    pub(super) payload: Option<Bytes>,
    pub(super) proven: Option<(u32, u32)>,
}

impl Row {
    pub(super) fn entry(&self) -> wire::Entry<'_> {
        wire::Entry {
            slot: self.slot,
            role: wire_role(self.role),
            stake: self.stake,
            registered_ms: self.registered_ms,
            submitted_ms: self.submitted_ms,
            fresh: self.fresh,
            payload: self.payload.as_ref().map(|payload| &payload[..]),
            proven: self.proven,
        }
    }
}

impl Topics {
    /// The slots that a mechanism judges, in order.
    pub(super) fn rows(
        &self,
        host: &mut dyn Host,
        topic: &Topic,
        mechanism: &Mechanism,
        of: Kind,
    ) -> Result<Vec<Row>> {
        let epoch = topic.epoch.read(host)?;
        let end = if of == Kind::Synthesis {
            topic.capacity(host)?
        } else {
            topic.policy.max_workers.read(host)?
        };
        let samples = topic.test_sets.at(epoch).samples.read(host)?;
        let outcome = if of == Kind::Yuma {
            mechanism.outcome.read(host)?
        } else {
            Bytes::new()
        };
        let mut rows = Vec::new();
        for slot in 0..end {
            let seat = topic.seats.at(u64::from(slot));
            if seat.operator.read(host)?.is_zero() {
                continue;
            }
            let pool = seat.pool.read(host)?;
            let submission = mechanism.submissions.at(u64::from(slot));
            let mut submitted_ms = submission.submitted_at_ms.read(host)?;
            if submitted_ms != 0 && submission.pool.read(host)? != pool {
                submitted_ms = 0;
            }
            let fresh = submitted_ms != 0 && submission.revealed_epoch.read(host)? == epoch;
            let mut proven = None;
            if of == Kind::Score && fresh && samples != 0 {
                // Silence about a model that was opened is a wrong answer to every sample.
                let has_proven = submission.proven_epoch.read(host)? == epoch;
                let correct = if has_proven {
                    submission.correct.read(host)?
                } else {
                    0
                };
                proven = Some((correct, samples));
            }
            let since = seat.since_epoch.read(host)?;
            rows.push(Row {
                slot,
                role: seat.role.read(host)?,
                stake: self.pools.at(pool).counted(host, epoch)?,
                pool,
                registered_ms: seat.registered_at_ms.read(host)?,
                submitted_ms,
                fresh,
                permit: since < epoch && outcome_of(&outcome, slot).permit,
                payload: None,
                proven,
            });
        }
        let readable = readable(&rows, of);
        for index in readable {
            if let Some(row) = rows.get_mut(index) {
                let submission = mechanism.submissions.at(u64::from(row.slot));
                row.payload = Some(submission.payload.read(host)?);
            }
        }
        Ok(rows)
    }

    /// A mechanism's memory, in which the present holders of slots have none of former ones' past.
    pub(super) fn memory(
        &self,
        host: &mut dyn Host,
        mechanism: &Mechanism,
        of: Kind,
        limits: &wire::Limits,
        rows: &[Row],
    ) -> Result<Vec<u8>> {
        let params = mechanism.params.read(host)?;
        let mut memory = Vec::from(mechanism.memory.read(host)?);
        if memory.is_empty() {
            return Ok(wire::empty_memory(kind(of), &params, limits));
        }
        let known = mechanism.known_pool.read(host)?;
        for row in rows.iter().filter(|row| row.pool > known) {
            let role = wire_role(row.role);
            memory = wire::forget(kind(of), &params, limits, &memory, row.slot, role);
        }
        Ok(memory)
    }
}

impl Topic {
    pub(super) fn stored_memory(
        &self,
        host: &mut dyn Host,
        mechanism: &Mechanism,
        of: Kind,
        limits: &wire::Limits,
    ) -> Result<Vec<u8>> {
        let memory = Vec::from(mechanism.memory.read(host)?);
        if memory.is_empty() {
            let params = mechanism.params.read(host)?;
            return Ok(wire::empty_memory(kind(of), &params, limits));
        }
        Ok(memory)
    }
}

/// Rows whose payloads are read. Of yuma's, at most [`MAX_ROWS`]: those with a permit first, then
/// those with most stake.
fn readable(rows: &[Row], of: Kind) -> Vec<usize> {
    let mut found: Vec<_> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.submitted_ms != 0)
        .collect();
    if of == Kind::Yuma {
        found.sort_by(|(_, a), (_, b)| {
            let rank = |row: &Row| (!row.permit, std::cmp::Reverse(row.stake), row.slot);
            rank(a).cmp(&rank(b))
        });
        found.truncate(MAX_ROWS);
    }
    found.into_iter().map(|(index, _)| index).collect()
}

/// The decision about every slot of the topic, taken or not.
pub(super) fn outcome(rows: &[Row], decision: &wire::Decision, capacity: usize) -> Vec<u8> {
    let mut all = vec![Outcome::default(); capacity];
    for (index, row) in rows.iter().enumerate() {
        if let Some(place) = all.get_mut(usize::from(row.slot)) {
            *place = Outcome {
                share: decision.shares.get(index).copied().unwrap_or(0),
                score: decision.scores.get(index).copied().unwrap_or(Q64::ZERO),
                permit: decision.permits.get(index).copied().unwrap_or(false),
            };
        }
    }
    all.into_iter().flat_map(Outcome::encode).collect()
}

/// The decision about one slot.
pub(super) fn outcome_of(outcomes: &[u8], slot: u16) -> Outcome {
    let (all, _) = outcomes.as_chunks::<{ Outcome::BYTES }>();
    all.get(usize::from(slot))
        .map(Outcome::decode)
        .unwrap_or_default()
}
