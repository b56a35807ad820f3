//! The end of a block: the proposer's fees, and at the end of an epoch the set of the one after next.

use std::cmp::Reverse;

use alloy_primitives::{Address, B256, U256};
use hallmark_abi::IStaking;
use hallmark_types::{Committee, Member, addresses};

use super::{Set, Staking, Validator, emit, part, storage::SetMember};
use crate::{Host, Result, host::checked};

/// Sets that are kept beyond those of the last `unbonding_epochs` epochs: the present one, the two
/// that are frozen ahead, and one more.
const KEPT_BEYOND: u64 = 4;

/// A member of a set that is being made.
struct Chosen {
    stake: u128,
    public_key: B256,
    payout: Address,
    validator: u64,
}

impl Staking {
    /// # Errors
    ///
    /// Only what the host fails with, or a broken invariant.
    pub(crate) fn sweep(&self, host: &mut dyn Host) -> Result<()> {
        let number = host.block_number();
        let length = self.epoch_blocks.read(host)?;
        let epoch = checked(number.checked_div(length))?;
        self.reward(host, epoch)?;
        let next = checked(checked(number.checked_add(1))?.checked_div(length))?;
        if next > epoch {
            self.freeze(host, checked(epoch.checked_add(2))?)?;
        }
        Ok(())
    }

    /// Gives what the contract has beyond its debts to the proposer and those who stand behind it.
    fn reward(&self, host: &mut dyn Host, epoch: u64) -> Result<()> {
        let balance = host.balance(addresses::STAKING)?;
        let owed = self.liabilities.read(host)?;
        let surplus = balance.saturating_sub(U256::from(owed));
        if surplus.is_zero() {
            return Ok(());
        }
        let leader = u64::from(host.leader());
        let member = self.sets.at(epoch).members.at(leader);
        let number = member.validator.read(host)?;
        if number == 0 {
            return Ok(());
        }
        let amount = checked(u128::try_from(surplus).ok())?;
        let validator = self.validators.at(number);
        let held = validator.pool.held(host)?;
        // So little that the pot's virtual shares would take a part that counts.
        let deserted = held.amount < self.min_stake.read(host)?;
        let commission = if deserted {
            amount
        } else {
            part(amount, validator.commission(host, epoch)?)?
        };
        let rest = checked(amount.checked_sub(commission))?;
        if rest != 0 {
            let sum = checked(held.amount.checked_add(rest))?;
            validator.pool.amount.write(host, sum)?;
        }
        if commission != 0 {
            let payout = validator.payout.read(host)?;
            self.free(host, payout, commission)?;
        }
        // No log: one in every block would be read by everybody who searches the ends of blocks.
        self.owe(host, amount)
    }

    /// Decides the set of `epoch`. One that nobody qualifies for is the one before it again, so that
    /// a chain never is without validators.
    fn freeze(&self, host: &mut dyn Host, epoch: u64) -> Result<()> {
        let mut chosen = self.qualified(host)?;
        chosen.sort_by_key(|member| (Reverse(member.stake), member.public_key));
        chosen.truncate(usize::from(self.max_validators.read(host)?));
        if chosen.is_empty() {
            chosen = self.sets.at(epoch.saturating_sub(1)).chosen(host)?;
        }
        self.sets.at(epoch).write(host, &chosen)?;
        let stake = sum(&chosen)?;
        let kept = KEPT_BEYOND.saturating_add(self.unbonding_epochs.read(host)?.into());
        if let Some(old) = epoch.checked_sub(kept) {
            self.sets.at(old).clear(host)?;
        }
        let event = IStaking::SetFrozen {
            epoch,
            validators: u16::try_from(chosen.len()).unwrap_or(u16::MAX),
            stake: U256::from(stake),
        };
        emit(host, event)
    }

    /// The candidates with enough stake of their own. A jailed or tombstoned one is no candidate.
    fn qualified(&self, host: &mut dyn Host) -> Result<Vec<Chosen>> {
        let least = self.min_stake.read(host)?;
        let mut chosen = Vec::new();
        for index in 0..self.candidates.len(host)? {
            let number = checked(u64::try_from(self.candidates.get(host, index)?).ok())?;
            let validator = self.validators.at(number);
            if validator.own_stake(host)? < least {
                continue;
            }
            chosen.push(Chosen {
                stake: validator.pool.amount.read(host)?,
                public_key: validator.public_key.read(host)?,
                payout: validator.payout.read(host)?,
                validator: number,
            });
        }
        Ok(chosen)
    }

    /// The validators of an epoch; none if its set is not decided yet, or forgotten.
    ///
    /// # Errors
    ///
    /// What the host fails with.
    pub fn committee(&self, host: &mut dyn Host, epoch: u64) -> Result<Option<Committee>> {
        let set = self.sets.at(epoch);
        let mut members = Vec::new();
        for index in 0..u64::from(set.count.read(host)?) {
            let member = set.members.at(index);
            let validator = self.validators.at(member.validator.read(host)?);
            members.push(Member {
                public_key: member.public_key.read(host)?.0,
                address: member.payout.read(host)?,
                stake: U256::from(member.stake.read(host)?),
                p2p: validator.p2p_text(host)?,
            });
        }
        Ok((!members.is_empty()).then_some(Committee { epoch, members }))
    }

    /// Size of an epoch's set, zero if there is none, and its member at `index`: its beneficiary.
    ///
    /// # Errors
    ///
    /// What the host fails with.
    pub fn beneficiary(
        &self,
        host: &mut dyn Host,
        epoch: u64,
        index: u16,
    ) -> Result<(u16, Option<Address>)> {
        let set = self.sets.at(epoch);
        let count = set.count.read(host)?;
        if index >= count {
            return Ok((count, None));
        }
        let payout = set.members.at(u64::from(index)).payout.read(host)?;
        Ok((count, Some(payout)))
    }
}

impl Validator {
    /// What the operator's shares are worth.
    pub(super) fn own_stake(&self, host: &mut dyn Host) -> Result<u128> {
        let operator = self.operator.read(host)?;
        let own = self.positions.at(operator).read(host)?;
        self.pool.held(host)?.worth(own)
    }

    /// The commission that holds in `epoch`.
    pub(super) fn commission(&self, host: &mut dyn Host, epoch: u64) -> Result<u16> {
        let from = self.next_commission_epoch.read(host)?;
        let commission = if from != 0 && epoch >= from {
            self.next_commission_bps
        } else {
            self.commission_bps
        };
        Ok(commission.read(host)?)
    }

    pub(super) fn p2p_text(&self, host: &mut dyn Host) -> Result<String> {
        // Only ASCII was ever written.
        Ok(String::from_utf8(self.p2p.read(host)?).unwrap_or_default())
    }
}

impl Set {
    fn chosen(&self, host: &mut dyn Host) -> Result<Vec<Chosen>> {
        let count = u64::from(self.count.read(host)?);
        (0..count)
            .map(|index| {
                let member = self.members.at(index);
                Ok(Chosen {
                    stake: member.stake.read(host)?,
                    public_key: member.public_key.read(host)?,
                    payout: member.payout.read(host)?,
                    validator: member.validator.read(host)?,
                })
            })
            .collect()
    }

    fn write(&self, host: &mut dyn Host, chosen: &[Chosen]) -> Result<()> {
        for (index, member) in (0u64..).zip(chosen) {
            let place = self.members.at(index);
            place.public_key.write(host, member.public_key)?;
            place.payout.write(host, member.payout)?;
            place.validator.write(host, member.validator)?;
            place.stake.write(host, member.stake)?;
        }
        let count = checked(u16::try_from(chosen.len()).ok())?;
        self.count.write(host, count)?;
        Ok(self.stake.write(host, sum(chosen)?)?)
    }

    fn clear(&self, host: &mut dyn Host) -> Result<()> {
        for index in 0..u64::from(self.count.read(host)?) {
            let SetMember {
                public_key,
                payout,
                validator,
                stake,
            } = self.members.at(index);
            public_key.write(host, B256::ZERO)?;
            payout.write(host, Address::ZERO)?;
            validator.write(host, 0)?;
            stake.write(host, 0)?;
        }
        self.count.write(host, 0)?;
        Ok(self.stake.write(host, 0)?)
    }
}

fn sum(chosen: &[Chosen]) -> Result<u128> {
    let sum = chosen
        .iter()
        .try_fold(0u128, |sum, member| sum.checked_add(member.stake));
    checked(sum)
}
