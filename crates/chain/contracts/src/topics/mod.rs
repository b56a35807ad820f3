//! Topics: markets of intelligence, with one ledger, one epoch and several ways of judging.
//!
//! A topic has slots (one operator each, with a bond), pools of stake on slots, and up to eight
//! mechanisms that judge its slots epoch after epoch. What is burned in a topic (fees of
//! submissions, [`fund`](Topics::fund)) bounds what it pays.
//!
//! # States of a topic
//!
//! `now` is the header's timestamp. A stage ends when [`advance`](Topics::advance) finds `now` at
//! or after its end; anyone may call it, and the end of a block does, `grace` later, for topics
//! that nobody advanced. Each call does one bounded slice of work. A stage's length counts from
//! when it began, so a late call shortens no window; a call after a window's end is refused even
//! if nobody has advanced the topic yet.
//!
//! | stage | length | who acts | at its end |
//! |---|---|---|---|
//! | Open | `openMs` | yuma, score and synthesis workers, forecasters commit | |
//! | Sealed | `sealedMs` | synthesis workers and forecasters, and score workers, reveal; the owner opens a test set | synthesis infers |
//! | Lag | `lagMs` | reputers commit; score workers reveal and prove | |
//! | Reveal | `revealMs` | yuma and reputers reveal | the pay of the epoch is fixed |
//! | Settle | slices | nobody enters or leaves, nor does stake | a slice a mechanism: shares; then slices of slots: pay and penalties |
//! | Done, Cancelled | until `max(opened + epochMs, now)` | | the waiting policy is applied, the next epoch opens |
//!
//! A stage of length zero is passed in the same slice. An epoch is Cancelled if no mechanism gave
//! anybody a share. A topic without slots, or retired, opens no epochs.
//!
//! # Rest
//!
//! A topic rests after an epoch that paid nothing and while which nobody registered, committed, funded or
//! granted, and no test set was committed for the next: its weight is zero, the chain opens no further
//! epoch, and no block looks at it or writes about it. It goes on when somebody registers, funds, grants,
//! commits a test set for the next epoch, calls `advance`, or commits: a commitment to an epoch whose
//! time to open has come opens it. Then all is as it was, but its weight grows from zero.
//!
//! # Money (module `emission`)
//!
//! - Burned coin lies on `BURN`; what a topic pays is moved back from there, never more than
//!   `returnBps` of what was burned in it, all told. Whoever owns everything in a topic loses.
//! - Everything that one epoch pays is less than `minBond`; a withheld reveal burns
//!   `min(bond, minBond)` of the slot, and a commitment needs a bond of `minBond`. So withholding
//!   always loses more than any epoch can bring.
//! - `liabilities` = bonds of slots and topics, pools, free, vesting and waiting coins, grants;
//!   the contract's balance is at least that.
//!
//! # Bad input
//!
//! | input | answer |
//! |---|---|
//! | a call in another stage, epoch, role | `WrongStage`, `WrongEpoch`, `WrongRole` |
//! | a commitment or reveal after the window | `TooLate` |
//! | a second commitment or reveal | `DuplicateSubmission` |
//! | an opening that is not of the commitment | `CommitmentMismatch` |
//! | a payload that the mechanism does not take, a value outside the topic's range | `InvalidPayload`, `ValueOutOfRange`: the commitment stays open, and is withheld if nothing else opens it |
//! | an epoch with nobody, or whose judges say nothing | Cancelled; nothing is paid (Yuma would pay by stake) |
//! | a mechanism that fails | its memory begins anew, it pays nothing |
//! | a test set with an input that was opened, here or elsewhere, before the time of Open was over | `SampleUsed`: the set stays closed |
//! | an amount out of range in a call | `Overflow`, undone |
//! | a slice at a block's end that fails or costs more than a block's sweep may | undone; the chain leaves the topic to `advance` |

// Locals that fill an ABI struct carry its field's name.
#![allow(non_snake_case)]

mod commitments;
mod dispatch;
mod emission;
mod epochs;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
mod ledger;
mod policy;
mod rows;
mod score;
mod settle;
mod stake;
mod storage;
#[cfg(test)]
mod tests;
mod views;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use hallmark_abi::topics::ITopics::{self, Kind, Stage};
use hallmark_contracts_macros::contract;

use hallmark_mechanisms::wire;
use hallmark_types::{ChainSpec, addresses};

pub use commitments::commitment;
pub(crate) use dispatch::call;
pub use score::{proof_context, test_set_commitment};
pub use storage::{
    Account, Batch, Epoch, Latest, Mechanism, Policy, Pool, Proposal, Seat, Submission, TestSet,
    Topic, Wait, Waiting, Young,
};

use crate::{
    Host, Result,
    host::{checked, revert},
    storage::{Mapping, Slot, StorageVec, Words},
};

/// Longest title, in bytes.
pub const MAX_TITLE_BYTES: usize = 128;
/// Most mechanisms of a topic.
pub const MAX_MECHANISMS: usize = 8;
/// Longest parameters of a mechanism, in bytes.
pub const MAX_PARAMS_BYTES: usize = 1_024;
/// Longest payload of a submission, in bytes: weights for every slot.
pub const MAX_PAYLOAD_BYTES: usize = 4 * MAX_WORKERS as usize;
/// Longest test set, in bytes.
pub const MAX_TEST_SET_BYTES: usize = 48 << 10;
/// Most slots of workers in a topic of yuma and score.
pub const MAX_WORKERS: u16 = 256;
/// Most slots of workers in a topic with synthesis.
pub const MAX_INFERERS: u16 = 32;
/// Most slots of forecasters, and of reputers.
pub const MAX_JUDGES: u16 = 6;
/// Most yuma rows that one settlement reads.
pub const MAX_ROWS: usize = 64;
/// Most slots that one call of `slots` gives.
pub const MAX_PAGE: u64 = 64;
/// Gas that the end of a block may use for topics: the dearest slice, as the EVM charges for its
/// storage, and the examination of all others. It bounds nothing that a user does: see
/// [`sweep`](Topics::sweep).
pub const SWEEP_GAS: u64 = 400_000_000;
/// A slot's index that means none.
pub const NO_SLOT: u16 = u16::MAX;
/// Longest part of an epoch, in milliseconds: a hundred days.
const MAX_STAGE_MS: u64 = 8_640_000_000;
/// Shortest part of an epoch that is not left out, in milliseconds.
const MIN_STAGE_MS: u64 = 100;
/// Longest vesting and immunity, in milliseconds: ten years.
const MAX_VESTING_MS: u64 = 316_224_000_000;
/// Largest owner's part of what a topic pays, in 1/10000.
const MAX_OWNER_BPS: u16 = 2_000;
/// Least bond that an owner may ask for, in wei: what divides an epoch's pay is not dust.
const LEAST_MIN_BOND: u128 = 1_000_000;
/// Largest bond and fee of a policy, in wei: far from overflow.
const MOST_MIN_BOND: u128 = 1 << 100;

/// Storage of `Topics`.
#[contract(address = addresses::TOPICS)]
pub struct Topics {
    /// In wei; fixed at genesis, like all parameters.
    pub topic_bond: Slot<u128>,
    /// In wei.
    pub create_fee: Slot<u128>,
    /// In wei.
    pub emission_per_second: Slot<u128>,
    /// In wei.
    pub emission_cap: Slot<u128>,
    pub treasury: Slot<Address>,
    pub return_bps: Slot<u16>,
    pub network_bps: Slot<u16>,
    pub veto_bps: Slot<u16>,
    pub slots_per_slice: Slot<u16>,
    pub grant_epochs: Slot<u32>,
    pub unstake_delay_ms: Slot<u64>,
    pub take_delay_ms: Slot<u64>,
    pub timelock_ms: Slot<u64>,
    pub grace_ms: Slot<u64>,
    pub price_half_life_ms: Slot<u64>,
    pub sweep_per_block: Slot<u32>,
    /// In wei.
    pub liabilities: Slot<u128>,
    /// Paid by all topics, grants apart, in wei.
    pub emitted: Slot<u128>,
    /// Sum of the weights of all topics.
    pub total_weight: Slot<u128>,
    /// Number of topics ever made; ids begin with 1.
    pub topic_count: Slot<u64>,
    /// Number of pools ever made; ids begin with 1 and grow with time.
    pub pool_count: Slot<u64>,
    /// Where the next sweep begins in `active`.
    pub sweep_cursor: Slot<u64>,
    /// Ids of the topics that the chain advances.
    pub active: StorageVec<U256>,
    pub topics: Mapping<U256, Topic>,
    pub pools: Mapping<u64, Pool>,
    pub accounts: Mapping<Address, Account>,
    /// When each input of all test sets that were ever opened, in any topic, was first opened, in
    /// Unix milliseconds; by keccak256 of its bytes.
    pub used_samples: Mapping<B256, Slot<u64>>,
}

impl Topics {
    /// # Errors
    ///
    /// `InvalidPolicy`, `InvalidMechanism`, `WrongPayment`.
    pub fn create(&self, host: &mut dyn Host, call: ITopics::createCall) -> Result<U256> {
        if call.title.is_empty() || call.title.len() > MAX_TITLE_BYTES {
            return invalid_policy(format!("a title has 1 to {MAX_TITLE_BYTES} bytes"));
        }
        let limits = policy::check(&call.policy, &call.mechanisms)?;
        check_mechanisms(&call.mechanisms, &limits)?;
        let (bond, fee) = (self.topic_bond.read(host)?, self.create_fee.read(host)?);
        let needed = U256::from(checked(bond.checked_add(fee))?);
        if host.value() != needed {
            return revert(ITopics::WrongPayment { needed });
        }
        let number = checked(self.topic_count.read(host)?.checked_add(1))?;
        self.topic_count.write(host, number)?;
        let id = U256::from(number);
        let topic = self.topics.at(id);
        let (owner, now) = (host.caller(), host.timestamp_ms());
        topic.owner.write(host, owner)?;
        topic.created_at_ms.write(host, now)?;
        topic.epoch.write(host, 1)?;
        topic.stage_end_ms.write(host, now)?;
        topic.bond.write(host, bond)?;
        topic.title.write(host, call.title.as_bytes())?;
        topic.policy.store(host, &call.policy)?;
        let count = u8::try_from(call.mechanisms.len()).ok();
        topic.mechanism_count.write(host, checked(count)?)?;
        for (index, given) in (0u64..).zip(&call.mechanisms) {
            let mechanism = topic.mechanisms.at(index);
            mechanism.kind.write(host, given.kind)?;
            mechanism.share_bps.write(host, given.shareBps)?;
            mechanism.params.write(host, &given.params)?;
        }
        self.owe(host, bond)?;
        burn(host, fee)?;
        let title = call.title;
        let event = ITopics::Created {
            topic: id,
            owner,
            title,
            bond,
        };
        emit(host, event)?;
        Ok(id)
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `TopicRetired`, `ZeroAmount`.
    pub fn fund(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let topic = self.living(host, id)?;
        let amount = paid_in(host)?;
        topic.burn_income(host, amount)?;
        self.stir(host, id, &topic)?;
        let (from, burned) = (host.caller(), U256::from(amount));
        emit(
            host,
            ITopics::Funded {
                topic: id,
                from,
                burned,
            },
        )
    }

    /// Paid in equal parts over `grant_epochs` epochs, each grant anew.
    ///
    /// # Errors
    ///
    /// `UnknownTopic`, `TopicRetired`, `ZeroAmount`.
    pub fn grant(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let topic = self.living(host, id)?;
        let amount = paid_in(host)?;
        let granted = checked(topic.granted.read(host)?.checked_add(amount))?;
        topic.granted.write(host, granted)?;
        let epochs = u128::from(self.grant_epochs.read(host)?);
        let slice = checked(granted.checked_div(epochs))?.max(1);
        topic.grant_slice.write(host, slice)?;
        self.owe(host, amount)?;
        self.stir(host, id, &topic)?;
        let (from, amount) = (host.caller(), U256::from(amount));
        emit(
            host,
            ITopics::Granted {
                topic: id,
                from,
                amount,
            },
        )
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `NotOwner`, `TopicRetired`.
    pub fn retire(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let topic = self.living(host, id)?;
        topic.only_owner(host)?;
        topic.retired.write(host, true)?;
        if !topic.is_under_way(host)? {
            self.wind_up(host, &topic)?;
        }
        emit(host, ITopics::Retired { topic: id })
    }

    /// Ends a retired topic that has no epoch under way: its bond goes to its owner, what is left of
    /// its grants to nobody, its weight to the others.
    fn wind_up(&self, host: &mut dyn Host, topic: &Topic) -> Result<()> {
        let bond = topic.bond.read(host)?;
        topic.bond.write(host, 0)?;
        let owner = topic.owner.read(host)?;
        self.free(host, owner, bond)?;
        let granted = topic.granted.read(host)?;
        topic.granted.write(host, 0)?;
        self.disown(host, granted)?;
        burn(host, granted)?;
        self.set_weight(host, topic, 0)?;
        self.deactivate(host, topic)
    }

    fn known(&self, host: &mut dyn Host, id: U256) -> Result<Topic> {
        let topic = self.topics.at(id);
        if topic.owner.read(host)?.is_zero() {
            return revert(ITopics::UnknownTopic { topic: id });
        }
        Ok(topic)
    }

    /// A topic that is not retired, under the rules that hold now: a proposal whose time has come is
    /// applied first, unless an epoch is under way.
    fn living(&self, host: &mut dyn Host, id: U256) -> Result<Topic> {
        let topic = self.known(host, id)?;
        if topic.retired.read(host)? {
            return revert(ITopics::TopicRetired { topic: id });
        }
        if !topic.is_under_way(host)? {
            self.apply_proposal(host, id, &topic)?;
        }
        Ok(topic)
    }

    /// Records a debt.
    fn owe(&self, host: &mut dyn Host, amount: u128) -> Result<()> {
        let sum = checked(self.liabilities.read(host)?.checked_add(amount))?;
        Ok(self.liabilities.write(host, sum)?)
    }

    /// Takes a debt off the record.
    fn disown(&self, host: &mut dyn Host, amount: u128) -> Result<()> {
        let left = checked(self.liabilities.read(host)?.checked_sub(amount))?;
        Ok(self.liabilities.write(host, left)?)
    }

    /// Notes that somebody takes part; wakes a topic that rests. One that the chain left to `advance`
    /// in the midst of an epoch stays there.
    fn stir(&self, host: &mut dyn Host, id: U256, topic: &Topic) -> Result<()> {
        if topic.is_under_way(host)? {
            return Ok(topic.stirred.write(host, true)?);
        }
        if topic.slot_count(host)? != 0 {
            self.activate(host, id, topic)?;
        }
        Ok(())
    }

    /// Puts a topic on the list of those that the chain advances.
    fn activate(&self, host: &mut dyn Host, id: U256, topic: &Topic) -> Result<()> {
        if topic.active_place.read(host)? == 0 {
            let index = self.active.push(host, id)?;
            let place = checked(index.checked_add(1))?;
            topic.active_place.write(host, place)?;
        }
        Ok(())
    }

    /// Takes a topic off that list.
    fn deactivate(&self, host: &mut dyn Host, topic: &Topic) -> Result<()> {
        let place = topic.active_place.read(host)?;
        if let Some(index) = place.checked_sub(1) {
            topic.active_place.write(host, 0)?;
            if let Some(moved) = self.active.swap_remove(host, index)? {
                self.topics.at(moved).active_place.write(host, place)?;
            }
        }
        Ok(())
    }

    /// Writes the parameters that a chain begins with.
    pub(crate) fn preset(&self, spec: &ChainSpec, storage: &mut BTreeMap<Address, Words>) {
        let rules = &spec.topics;
        // The spec's check bounds the amounts; more than all coin is no different.
        let wei = |amount: U256| amount.saturating_to::<u128>();
        self.topic_bond.preset(storage, wei(rules.topic_bond));
        self.create_fee.preset(storage, wei(rules.create_fee));
        self.emission_per_second
            .preset(storage, wei(rules.emission_per_second));
        self.emission_cap.preset(storage, wei(rules.emission_cap));
        self.treasury.preset(storage, spec.treasury);
        self.return_bps.preset(storage, rules.return_bps);
        self.network_bps.preset(storage, rules.network_bps);
        self.veto_bps.preset(storage, rules.veto_bps);
        self.slots_per_slice.preset(storage, rules.slots_per_slice);
        self.grant_epochs.preset(storage, rules.grant_epochs);
        self.unstake_delay_ms
            .preset(storage, rules.unstake_delay_ms);
        self.take_delay_ms.preset(storage, rules.take_delay_ms);
        self.timelock_ms.preset(storage, rules.timelock_ms);
        self.grace_ms.preset(storage, rules.grace_ms);
        self.price_half_life_ms
            .preset(storage, rules.price_half_life_ms);
        self.sweep_per_block.preset(storage, rules.sweep_per_block);
    }
}

impl Topic {
    fn only_owner(&self, host: &mut dyn Host) -> Result<()> {
        let owner = self.owner.read(host)?;
        if host.caller() != owner {
            return revert(ITopics::NotOwner { owner });
        }
        Ok(())
    }

    /// Whether an epoch is between its opening and its end.
    fn is_under_way(&self, host: &mut dyn Host) -> Result<bool> {
        let stage = self.stage.read(host)?;
        Ok(!matches!(
            stage,
            Stage::None | Stage::Done | Stage::Cancelled
        ))
    }

    /// Burns coins that came with the call, as income of the topic and of its epoch.
    fn burn_income(&self, host: &mut dyn Host, amount: u128) -> Result<()> {
        let burned = checked(self.burned.read(host)?.checked_add(amount))?;
        self.burned.write(host, burned)?;
        let epoch = self.epochs.at(self.epoch.read(host)?);
        let burned = checked(epoch.burned.read(host)?.checked_add(amount))?;
        epoch.burned.write(host, burned)?;
        burn(host, amount)
    }
}

/// Checks what the kinds do not depend on each other for, and their parameters.
fn check_mechanisms(mechanisms: &[ITopics::Mechanism], limits: &wire::Limits) -> Result<()> {
    let invalid = |index: usize, reason: String| {
        let mechanism = u8::try_from(index).unwrap_or(u8::MAX);
        revert(ITopics::InvalidMechanism { mechanism, reason })
    };
    if mechanisms.is_empty() || mechanisms.len() > MAX_MECHANISMS {
        return invalid(0, format!("a topic has 1 to {MAX_MECHANISMS} mechanisms"));
    }
    let mut parts = 0u32;
    let mut syntheses = 0u32;
    for (index, mechanism) in mechanisms.iter().enumerate() {
        parts = parts.saturating_add(u32::from(mechanism.shareBps));
        if mechanism.params.len() > MAX_PARAMS_BYTES {
            return invalid(
                index,
                format!("parameters have at most {MAX_PARAMS_BYTES} bytes"),
            );
        }
        if mechanism.kind == Kind::Synthesis {
            syntheses = syntheses.saturating_add(1);
        }
        if syntheses > 1 {
            return invalid(index, "a topic has one synthesis at most".to_owned());
        }
        if let Err(reason) = wire::check_params(kind(mechanism.kind), &mechanism.params, limits) {
            return invalid(index, reason);
        }
    }
    if parts != 10_000 {
        return invalid(
            0,
            format!("the parts sum to {parts} of 10000 and not to all"),
        );
    }
    Ok(())
}

/// The mechanisms' own name of a kind.
fn kind(kind: Kind) -> wire::Kind {
    match kind {
        Kind::Yuma => wire::Kind::Yuma,
        Kind::Synthesis => wire::Kind::Synthesis,
        Kind::Score | Kind::__Invalid => wire::Kind::Score,
    }
}

fn invalid_policy<T>(reason: impl Into<String>) -> Result<T> {
    let reason = reason.into();
    revert(ITopics::InvalidPolicy { reason })
}

/// What came with the call, in wei; never zero.
fn paid_in(host: &dyn Host) -> Result<u128> {
    if host.value().is_zero() {
        return revert(ITopics::ZeroAmount {});
    }
    checked(u128::try_from(host.value()).ok())
}

/// `⌊a · b / c⌋`.
fn muldiv(a: u128, b: u128, c: u128) -> Result<u128> {
    let product = checked(U256::from(a).checked_mul(U256::from(b)))?;
    let quotient = checked(product.checked_div(U256::from(c)))?;
    checked(u128::try_from(quotient).ok())
}

/// `⌊amount · bps / 10⁴⌋`.
fn part(amount: u128, bps: u16) -> Result<u128> {
    muldiv(amount, u128::from(bps), 10_000)
}

fn burn(host: &mut dyn Host, amount: u128) -> Result<()> {
    if amount != 0 {
        host.burn(addresses::TOPICS, U256::from(amount))?;
    }
    Ok(())
}

fn emit(host: &mut dyn Host, event: impl SolEvent) -> Result<()> {
    emit_sized(host, event).map(|_| ())
}

/// Emits; gives the bytes that a node keeps of the event.
fn emit_sized(host: &mut dyn Host, event: impl SolEvent) -> Result<u64> {
    let log = event.encode_log_data();
    let words = log.topics().len().saturating_mul(32);
    let bytes = log.data.len().saturating_add(words).saturating_add(20);
    host.emit(addresses::TOPICS, log)?;
    Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
}
