//! Stake, rewards and slashes of validators, and the validator set of every epoch.
//!
//! # Epochs and sets
//!
//! Height `h` is of epoch `e = ⌊h / L⌋`, `L = epoch_blocks`. The sets of epochs 0 and 1 are the
//! validators of genesis. At the end of the last block of epoch `e` the set of `e + 2` is frozen, so
//! that everybody knows it for a whole epoch before it acts. It is made of the candidates whose
//! operator's own shares are worth `min_stake` or more: the `max_validators` with most stake, ties to
//! the lower key, in this order. If nobody qualifies the set of `e + 1` goes on. A set, and with it
//! who is paid for its blocks, never changes after that; sets are kept for `unbonding_epochs + 4`
//! epochs, then forgotten, one per epoch.
//!
//! There are at most 256 candidates. A newcomer, or one that comes back, finds a place if one is
//! free or if its stake is more than that of the least one, which then loses its place (a candidate
//! whose operator has too little own stake counts as nothing). So freezing is bounded work.
//!
//! # A validator
//!
//! ```text
//! bond ──► candidate ──leave, more stake of others──► waiting ──join──► candidate
//!              └──evidence──► jailed until epoch e + jail_epochs ──rotateKey, join──► candidate
//! ```
//!
//! It is known by its number; its operator never changes, its key, payout account and address may.
//! A key is proven to belong to the operator by a signature (`possession_message` in the types room),
//! serves one validator ever, and stays answerable after it was replaced. A key that voted twice is
//! dead for good: its validator may come back, but under another key.
//!
//! # Stake
//!
//! Everybody's stake behind a validator, the operator's too, is shares of one pot (`shares.rs`). Stake
//! that is taken out in epoch `s` becomes shares of the validator's exit pot of `s`, one for each
//! epoch, free from epoch `s + unbonding_epochs`. It has no part in rewards any more, but in slashes.
//!
//! # Rewards
//!
//! No coin is made: all are issued at genesis. The priority fees of a block's transactions come onto
//! this contract's balance; at the block's end what the balance holds beyond `liabilities` goes to the
//! proposer's validator, also what anybody sent here by a plain transfer. `⌊amount · commission⌋`
//! goes to its payout account, the rest into its pot. With less than `min_stake` left in the pot, all
//! goes to the payout account. A raise of the commission holds after `commission_delay_epochs`, a cut at once.
//!
//! # Slashes
//!
//! Evidence is two votes of one key in one epoch `i` and view that no honest validator signs both
//! (`evidence` in the types room). It is taken while `i <= now <= i + evidence_epochs`, for a key of
//! the set of `i`, once per key. Of the pot, and of every exit pot of epochs `i - 1` and later, is taken
//! `⌈pot · slash_bps⌉`: stake that left in `s` stood for the sets up to `s + 1`. Since
//! `evidence_epochs + 2 <= unbonding_epochs`, none of it is free yet. The reporter gets `reporter_bps` (at most half)
//! of what the *operator's own* stake lost, so that a validator that reports itself, through
//! whomever, always loses, whoever else loses with it; the rest is burned. The validator is jailed:
//! it leaves the candidates, and stands in sets that are frozen already only.
//!
//! Stake that joined after the double vote is slashed with the rest: whoever delegates takes on the
//! last `evidence_epochs` epochs of the validator.
//!
//! # Money
//!
//! `liabilities` = Σ pots + Σ exit pots + Σ free coins. The balance is at least that in every call and
//! equal to it after every block with a proposer that has a validator. Nothing loops over holders:
//! the loops are over at most 256 candidates, 128 members, 130 exit pots, and 32 exits per withdrawal.
//!
//! # Bad input
//!
//! | input | answer |
//! |---|---|
//! | a key of small order or no point, a signature of another operator, chain or key | `BadPossession` |
//! | a key that is or was any validator's | `KeyTaken` |
//! | a second validator of one operator | `AlreadyOperator` |
//! | own stake below `min_stake` in `bond` or `join` | `StakeTooSmall` |
//! | stake for a jailed validator, but its operator's | `ValidatorJailed` |
//! | stake worth no share, shares worth nothing | `ZeroAmount` |
//! | evidence of no form, of one proposal, from the future, too old | `MalformedEvidence`, `EvidenceOutOfWindow` |
//! | evidence of a key outside the set, of a dead key, with a wrong signature | `NotInSet`, `KeyTombstoned`, `BadSignature` |

// Locals that fill an ABI struct carry its field's name.
#![allow(non_snake_case)]

mod dispatch;
mod ed25519;
mod evidence;
mod operator;
mod sets;
mod stake;
mod storage;
#[cfg(test)]
mod tests;
mod views;

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolEvent;
use hallmark_abi::IStaking;
use hallmark_types::{ChainSpec, addresses};

pub(crate) use dispatch::call;
pub use ed25519::verify as verify_ed25519;
pub use storage::{Account, Exit, ExitPool, Key, Pool, Set, SetMember, Staking, Validator};

use crate::{
    Host, Result,
    host::{checked, revert},
    shares::Held,
    storage::Words,
};

/// Most candidates.
pub const MAX_CANDIDATES: u64 = 256;
/// Most entries of a list that one view gives.
pub const MAX_PAGE: u64 = 128;
/// Most exits that one withdrawal pays.
pub const MAX_RELEASES: u64 = 32;
/// Gas that the end of a block may use: 256 candidates read, a set of 128 written and one forgotten,
/// three times over.
pub const SWEEP_GAS: u64 = 60_000_000;
/// Gas of checking one ed25519 signature.
const SIGNATURE_GAS: u64 = 150_000;
/// The whole, in 1/10000.
const WHOLE_BPS: u16 = 10_000;

impl Staking {
    /// The epoch of the present block.
    fn now(&self, host: &mut dyn Host) -> Result<u64> {
        let length = self.epoch_blocks.read(host)?;
        checked(host.block_number().checked_div(length))
    }

    fn known(&self, host: &mut dyn Host, number: u64) -> Result<Validator> {
        if number == 0 || number > self.validator_count.read(host)? {
            return revert(IStaking::UnknownValidator { validator: number });
        }
        Ok(self.validators.at(number))
    }

    /// The caller's validator.
    fn own(&self, host: &mut dyn Host) -> Result<(u64, Validator)> {
        let caller = host.caller();
        let number = self.operators.at(caller).read(host)?;
        if number == 0 {
            return revert(IStaking::NotOperator { caller });
        }
        Ok((number, self.validators.at(number)))
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

    /// Makes coins free that are a debt already.
    fn free(&self, host: &mut dyn Host, to: Address, amount: u128) -> Result<()> {
        let free = self.accounts.at(to).free;
        let sum = checked(free.read(host)?.checked_add(amount))?;
        Ok(free.write(host, sum)?)
    }

    /// Writes the parameters, and the validators of genesis with the sets of the first two epochs.
    pub(crate) fn preset(&self, spec: &ChainSpec, storage: &mut BTreeMap<Address, Words>) {
        let rules = &spec.staking;
        self.epoch_blocks.preset(storage, rules.epoch_blocks);
        self.unbonding_epochs
            .preset(storage, rules.unbonding_epochs);
        self.evidence_epochs.preset(storage, rules.evidence_epochs);
        self.trusting_epochs.preset(storage, rules.trusting_epochs);
        self.commission_delay_epochs
            .preset(storage, rules.commission_delay_epochs);
        self.max_validators.preset(storage, rules.max_validators);
        self.max_commission_bps
            .preset(storage, rules.max_commission_bps);
        self.slash_bps.preset(storage, rules.slash_bps);
        self.reporter_bps.preset(storage, rules.reporter_bps);
        self.min_stake.preset(storage, wei(rules.min_stake));
        self.jail_epochs.preset(storage, rules.jail_epochs);
        self.spec_hash.preset(storage, spec.hash());
        self.liabilities.preset(storage, wei(genesis_stake(spec)));
        let count = u16::try_from(spec.validators.len()).unwrap_or(u16::MAX);
        self.validator_count.preset(storage, count.into());
        self.candidates.preset_len(storage, count.into());
        for (index, given) in (0u64..).zip(&spec.validators) {
            let number = index.saturating_add(1);
            let stake = wei(given.stake);
            let validator = self.validators.at(number);
            validator.operator.preset(storage, given.address);
            validator.payout.preset(storage, given.address);
            validator
                .public_key
                .preset(storage, given.public_key.into());
            validator.place.preset(storage, number);
            validator.p2p.preset(storage, given.p2p.as_bytes());
            // The first shares of a pot: see `Held::shares_for`.
            let empty = Held {
                amount: 0,
                shares: U256::ZERO,
            };
            let shares = empty.shares_for(stake).unwrap_or_default();
            validator.pool.amount.preset(storage, stake);
            validator.pool.shares.preset(storage, shares);
            validator
                .positions
                .at(given.address)
                .preset(storage, shares);
            self.operators.at(given.address).preset(storage, number);
            let key = self.keys.at(given.public_key.into());
            key.validator.preset(storage, number);
            self.candidates
                .preset_element(storage, index, U256::from(number));
            for epoch in [0, 1] {
                let member = self.sets.at(epoch).members.at(index);
                member.public_key.preset(storage, given.public_key.into());
                member.payout.preset(storage, given.address);
                member.validator.preset(storage, number);
                member.stake.preset(storage, stake);
            }
        }
        for epoch in [0, 1] {
            let set = self.sets.at(epoch);
            set.count.preset(storage, count);
            set.stake.preset(storage, wei(genesis_stake(spec)));
        }
    }
}

/// Sum of the stakes of genesis, in wei. The spec's check bounds it by all coin.
pub(crate) fn genesis_stake(spec: &ChainSpec) -> U256 {
    spec.validators.iter().fold(U256::ZERO, |sum, validator| {
        sum.saturating_add(validator.stake)
    })
}

fn wei(amount: U256) -> u128 {
    amount.saturating_to()
}

/// What came with the call, in wei; never zero.
fn paid_in(host: &dyn Host) -> Result<u128> {
    if host.value().is_zero() {
        return revert(IStaking::ZeroAmount {});
    }
    checked(u128::try_from(host.value()).ok())
}

/// `⌊amount · bps / 10⁴⌋`.
fn part(amount: u128, bps: u16) -> Result<u128> {
    let product = checked(U256::from(amount).checked_mul(U256::from(bps)))?;
    let quotient = checked(product.checked_div(U256::from(WHOLE_BPS)))?;
    checked(u128::try_from(quotient).ok())
}

fn emit(host: &mut dyn Host, event: impl SolEvent) -> Result<()> {
    Ok(host.emit(addresses::STAKING, event.encode_log_data())?)
}
