//! Where the parts of `Staking` lie. Amounts are in wei.

use alloy_primitives::{Address, B256, U256};
use hallmark_contracts_macros::contract;
use hallmark_types::addresses;

use crate::{
    Host, Result,
    shares::Held,
    storage::{Mapping, Slot, StorageBytes, StorageVec},
};

/// Storage of `Staking`. The parameters are fixed at genesis.
#[contract(address = addresses::STAKING)]
pub struct Staking {
    pub epoch_blocks: Slot<u64>,
    pub unbonding_epochs: Slot<u32>,
    pub evidence_epochs: Slot<u32>,
    pub trusting_epochs: Slot<u32>,
    pub commission_delay_epochs: Slot<u32>,
    pub max_validators: Slot<u16>,
    pub max_commission_bps: Slot<u16>,
    pub slash_bps: Slot<u16>,
    pub reporter_bps: Slot<u16>,
    pub min_stake: Slot<u128>,
    pub jail_epochs: Slot<u32>,
    /// Domain of the votes that evidence is made of.
    pub spec_hash: Slot<B256>,
    /// What everybody may take out, sooner or later.
    pub liabilities: Slot<u128>,
    /// Validators ever registered; their numbers begin with 1.
    pub validator_count: Slot<u64>,
    /// Validators that the coming sets are chosen from, at most
    /// [`MAX_CANDIDATES`](super::MAX_CANDIDATES).
    pub candidates: StorageVec<U256>,
    pub validators: Mapping<u64, Validator>,
    /// Validator of an operator; zero is none.
    pub operators: Mapping<Address, Slot<u64>>,
    /// Every key that ever was a validator's.
    pub keys: Mapping<B256, Key>,
    pub accounts: Mapping<Address, Account>,
    /// By epoch.
    pub sets: Mapping<u64, Set>,
}

/// One validator.
#[contract]
pub struct Validator {
    pub operator: Slot<Address>,
    /// First epoch in which it may be a candidate again; zero if it never was jailed.
    pub jailed_until: Slot<u64>,
    pub commission_bps: Slot<u16>,
    pub next_commission_bps: Slot<u16>,
    pub payout: Slot<Address>,
    /// Epoch from which the next commission holds; zero if none waits.
    pub next_commission_epoch: Slot<u64>,
    pub slashes: Slot<u32>,
    /// Index in the list of candidates, plus one; zero if it is no candidate.
    pub place: Slot<u64>,
    pub public_key: Slot<B256>,
    pub pool: Pool,
    /// Shares of the pool, by holder.
    pub positions: Mapping<Address, Slot<U256>>,
    /// Stake that waits, by the epoch in which it was taken out.
    pub exits: Mapping<u64, ExitPool>,
    pub p2p: StorageBytes,
}

/// Coins with shares.
#[contract]
pub struct Pool {
    pub amount: Slot<u128>,
    pub shares: Slot<U256>,
}

/// Stake of one validator that was taken out in one epoch.
#[contract]
pub struct ExitPool {
    pub pool: Pool,
    /// Of the shares, those of the operator.
    pub own: Slot<U256>,
}

/// Whose a key is or was.
#[contract]
pub struct Key {
    pub validator: Slot<u64>,
    /// It voted twice.
    pub tombstoned: Slot<bool>,
}

/// What somebody has apart from shares of pools.
#[contract]
pub struct Account {
    pub free: Slot<u128>,
    pub queue_head: Slot<u64>,
    pub queue_tail: Slot<u64>,
    /// Ordered by epoch.
    pub queue: Mapping<u64, Exit>,
}

/// Shares of an [`ExitPool`].
#[contract]
pub struct Exit {
    pub validator: Slot<u64>,
    pub epoch: Slot<u64>,
    pub shares: Slot<U256>,
}

/// The validators of one epoch.
#[contract]
pub struct Set {
    pub count: Slot<u16>,
    pub stake: Slot<u128>,
    pub members: Mapping<u64, SetMember>,
}

/// One of them, as it was when the set was frozen.
#[contract]
pub struct SetMember {
    pub public_key: Slot<B256>,
    pub payout: Slot<Address>,
    pub validator: Slot<u64>,
    pub stake: Slot<u128>,
}

impl Pool {
    pub(super) fn held(&self, host: &mut dyn Host) -> Result<Held> {
        Ok(Held {
            amount: self.amount.read(host)?,
            shares: self.shares.read(host)?,
        })
    }

    pub(super) fn store(&self, host: &mut dyn Host, held: Held) -> Result<()> {
        self.amount.write(host, held.amount)?;
        Ok(self.shares.write(host, held.shares)?)
    }
}
