//! Where the parts of a topic lie.

use alloy_primitives::{Address, B256, U256};
use hallmark_abi::topics::ITopics::{self, Kind, Role, Stage};
use hallmark_contracts_macros::contract;

use crate::{
    Host, Result,
    storage::{Mapping, Slot, StorageBytes, StorageContent},
};

/// One topic. Amounts are in wei.
#[contract]
pub struct Topic {
    pub owner: Slot<Address>,
    pub stage: Slot<Stage>,
    pub retired: Slot<bool>,
    pub mechanism_count: Slot<u8>,
    /// Whether a mechanism gave shares in the epoch that is settling.
    pub pays: Slot<bool>,
    /// Whether anybody took part since the epoch under way opened.
    pub stirred: Slot<bool>,
    /// Next step of the settlement: a mechanism, then slots.
    pub cursor: Slot<u32>,
    /// The epoch under way, or the next.
    pub epoch: Slot<u64>,
    /// When the stage ends, or the next epoch may open.
    pub stage_end_ms: Slot<u64>,
    pub opened_at_ms: Slot<u64>,
    pub last_settled_ms: Slot<u64>,
    pub created_at_ms: Slot<u64>,
    /// Index in the list of active topics, plus one.
    pub active_place: Slot<u64>,
    pub bond: Slot<u128>,
    /// Burned here as income, and paid out of that.
    pub burned: Slot<u128>,
    pub paid: Slot<u128>,
    pub granted: Slot<u128>,
    /// Of the grants, in one epoch.
    pub grant_slice: Slot<u128>,
    /// Of all pools of present slots, as far as it counts.
    pub stake: Slot<u128>,
    /// Put into them while the epoch under way was; counts from its end.
    pub stake_waiting: Slot<u128>,
    /// Bonds of all present slots.
    pub bonds: Slot<u128>,
    pub weight: Slot<u128>,
    /// What the epoch that settles may pay, out of what was burned and of grants.
    pub budget: Slot<u128>,
    pub grant_budget: Slot<u128>,
    /// Price of a slot right after the last registration.
    pub price: Slot<u128>,
    pub price_at_ms: Slot<u64>,
    /// Present slots of workers, forecasters and reputers.
    pub seats_taken: Mapping<u8, Slot<u16>>,
    pub policy: Policy,
    pub proposal: Proposal,
    pub latest: Latest,
    pub title: StorageBytes,
    /// Smoothed pay an epoch, [`Earned::BYTES`](super::rows::Earned) a slot.
    pub earned: StorageContent,
    pub mechanisms: Mapping<u64, Mechanism>,
    pub seats: Mapping<u64, Seat>,
    /// Slot of an operator, plus one.
    pub seat_of: Mapping<Address, Slot<u32>>,
    pub epochs: Mapping<u64, Epoch>,
    pub test_sets: Mapping<u64, TestSet>,
    /// Positions that voted in a proposal: keccak256 of its number, pool and account.
    pub voted: Mapping<B256, Slot<bool>>,
}

/// What the owner decided.
#[contract]
pub struct Policy {
    pub open_ms: Slot<u64>,
    pub sealed_ms: Slot<u64>,
    pub lag_ms: Slot<u64>,
    pub reveal_ms: Slot<u64>,
    pub epoch_ms: Slot<u64>,
    pub immunity_ms: Slot<u64>,
    pub vesting_ms: Slot<u64>,
    pub max_workers: Slot<u16>,
    pub max_forecasters: Slot<u16>,
    pub max_reputers: Slot<u16>,
    pub owner_bps: Slot<u16>,
    pub min_bond: Slot<u128>,
    pub submit_fee: Slot<u128>,
    pub value_min: Slot<i128>,
    pub value_max: Slot<i128>,
}

/// A policy that waits.
#[contract]
pub struct Proposal {
    /// Counts the topic's proposals.
    pub number: Slot<u64>,
    /// Zero: none waits.
    pub effective_at_ms: Slot<u64>,
    /// Stake and bonds that are against it, in wei.
    pub against: Slot<u128>,
    /// Stake that counted and bonds of the topic when it was made, in wei.
    pub base: Slot<u128>,
    /// The topic's epoch, under way or the next, when it was made: what waited for its end, or for the
    /// end of a later one, has no say.
    pub made_in: Slot<u64>,
    pub owner: Slot<Address>,
    pub policy: Policy,
}

/// The latest network inference.
#[contract]
pub struct Latest {
    /// Zero: none yet.
    pub epoch: Slot<u64>,
    pub at_ms: Slot<u64>,
    pub value: Slot<i128>,
    pub percentiles: Mapping<u8, Slot<i128>>,
}

/// One mechanism of a topic.
#[contract]
pub struct Mechanism {
    pub kind: Slot<Kind>,
    pub share_bps: Slot<u16>,
    /// Pools up to this one were known when the memory was last brought up to date.
    pub known_pool: Slot<u64>,
    /// What it pays in the epoch that settles, out of what was burned and of grants, in wei.
    pub pay: Slot<u128>,
    pub grant: Slot<u128>,
    pub params: StorageBytes,
    pub memory: StorageContent,
    /// Between inference and settlement.
    pub pending: StorageContent,
    /// Outcome of the latest settlement, [`Outcome::BYTES`](super::rows::Outcome) a slot.
    pub outcome: StorageContent,
    pub submissions: Mapping<u64, Submission>,
}

/// One slot. Vacant while the operator is zero.
#[contract]
pub struct Seat {
    pub operator: Slot<Address>,
    pub registered_at_ms: Slot<u64>,
    pub role: Slot<Role>,
    /// Commitments of the present epoch that are not opened.
    pub open_commitments: Slot<u8>,
    /// In wei.
    pub bond: Slot<u128>,
    pub pool: Slot<u64>,
    /// First epoch that this holder can be settled in.
    pub since_epoch: Slot<u64>,
    pub last_submit_ms: Slot<u64>,
    /// Epoch of the open commitments.
    pub open_epoch: Slot<u64>,
    /// Of the bond.
    pub young: Young,
}

/// What was put in while a proposal waited, and has no say about it.
#[contract]
pub struct Young {
    /// In wei.
    pub amount: Slot<u128>,
    /// Number of that proposal.
    pub proposal: Slot<u64>,
}

/// What a slot last submitted to a mechanism.
#[contract]
pub struct Submission {
    pub commitment: Slot<B256>,
    pub committed_epoch: Slot<u64>,
    pub committed_at_ms: Slot<u64>,
    /// Zero: nothing was opened.
    pub revealed_epoch: Slot<u64>,
    /// When what was last opened had been committed.
    pub submitted_at_ms: Slot<u64>,
    /// Whose submission it is.
    pub pool: Slot<u64>,
    pub payload: StorageContent,
    /// Epoch of the proofs below.
    pub proven_epoch: Slot<u64>,
    pub correct: Slot<u32>,
    /// Samples that were proven: a bit each, word by word, under `epoch · 2^32 + word`.
    pub proven: Mapping<u64, Slot<U256>>,
}

/// One epoch.
#[contract]
pub struct Epoch {
    pub opened_at_ms: Slot<u64>,
    pub settled_at_ms: Slot<u64>,
    pub commitments: Slot<u32>,
    pub reveals: Slot<u32>,
    /// Its end; None before.
    pub end: Slot<Stage>,
    /// In wei.
    pub burned: Slot<u128>,
    /// In wei.
    pub paid: Slot<u128>,
    pub settlement: Slot<B256>,
}

/// The test set of a score topic in one epoch.
#[contract]
pub struct TestSet {
    pub commitment: Slot<B256>,
    /// Zero until opened.
    pub samples: Slot<u32>,
    /// Block in which it was opened.
    pub opened_in: Slot<u64>,
    pub content: StorageContent,
}

/// A pool of stake on one holder of a slot. What a settlement reads of every pool lies in the first
/// two words.
#[contract]
pub struct Pool {
    pub operator: Slot<Address>,
    pub take_bps: Slot<u16>,
    pub next_take_bps: Slot<u16>,
    /// Zero: no raise waits.
    pub next_take_at_ms: Slot<u64>,
    /// In wei.
    pub amount: Slot<u128>,
    /// Put in during one epoch, and not in `amount` yet, in wei.
    pub waiting: Slot<u128>,
    /// That epoch.
    pub waiting_epoch: Slot<u64>,
    pub topic: Slot<u64>,
    pub slot: Slot<u16>,
    /// Whether the holder still has the slot.
    pub live: Slot<bool>,
    pub shares: Slot<U256>,
    pub positions: Mapping<Address, Slot<U256>>,
    /// What an account put in during one epoch, and has no shares for yet.
    pub waits: Mapping<Address, Wait>,
    /// Of an account's stake.
    pub young: Mapping<Address, Young>,
    /// The shares that what was put in during an epoch became.
    pub batches: Mapping<u64, Batch>,
}

/// Stake that waits for the end of an epoch.
#[contract]
pub struct Wait {
    /// In wei.
    pub amount: Slot<u128>,
    pub epoch: Slot<u64>,
}

/// Stake that waited for the end of an epoch, and what it became.
#[contract]
pub struct Batch {
    /// In wei.
    pub amount: Slot<u128>,
    pub shares: Slot<U256>,
}

/// An account's coins, in wei.
#[contract]
pub struct Account {
    pub free: Slot<u128>,
    pub vesting: Slot<u128>,
    /// The vesting coins become free linearly between these times.
    pub vest_from_ms: Slot<u64>,
    pub vest_end_ms: Slot<u64>,
    /// First and one past the last of `queue`.
    pub queue_head: Slot<u64>,
    pub queue_tail: Slot<u64>,
    /// Sum of the queue.
    pub waiting: Slot<u128>,
    /// In order of time.
    pub queue: Mapping<u64, Waiting>,
}

/// Coins that wait.
#[contract]
pub struct Waiting {
    pub amount: Slot<u128>,
    pub free_at_ms: Slot<u64>,
}

impl Policy {
    /// Writes a checked policy.
    pub(super) fn store(&self, host: &mut dyn Host, policy: &ITopics::Policy) -> Result<()> {
        self.open_ms.write(host, policy.openMs)?;
        self.sealed_ms.write(host, policy.sealedMs)?;
        self.lag_ms.write(host, policy.lagMs)?;
        self.reveal_ms.write(host, policy.revealMs)?;
        self.epoch_ms.write(host, policy.epochMs)?;
        self.immunity_ms.write(host, policy.immunityMs)?;
        self.vesting_ms.write(host, policy.vestingMs)?;
        self.max_workers.write(host, policy.maxWorkers)?;
        self.max_forecasters.write(host, policy.maxForecasters)?;
        self.max_reputers.write(host, policy.maxReputers)?;
        self.owner_bps.write(host, policy.ownerBps)?;
        self.min_bond.write(host, policy.minBond)?;
        self.submit_fee.write(host, policy.submitFee)?;
        self.value_min.write(host, policy.valueMin)?;
        Ok(self.value_max.write(host, policy.valueMax)?)
    }

    /// The policy as the ABI has it.
    pub(super) fn load(&self, host: &mut dyn Host) -> Result<ITopics::Policy> {
        Ok(ITopics::Policy {
            openMs: self.open_ms.read(host)?,
            sealedMs: self.sealed_ms.read(host)?,
            lagMs: self.lag_ms.read(host)?,
            revealMs: self.reveal_ms.read(host)?,
            epochMs: self.epoch_ms.read(host)?,
            maxWorkers: self.max_workers.read(host)?,
            maxForecasters: self.max_forecasters.read(host)?,
            maxReputers: self.max_reputers.read(host)?,
            immunityMs: self.immunity_ms.read(host)?,
            minBond: self.min_bond.read(host)?,
            submitFee: self.submit_fee.read(host)?,
            vestingMs: self.vesting_ms.read(host)?,
            ownerBps: self.owner_bps.read(host)?,
            valueMin: self.value_min.read(host)?,
            valueMax: self.value_max.read(host)?,
        })
    }
}
