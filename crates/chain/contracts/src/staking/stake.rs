//! Putting stake in, taking it out, being paid.

use alloy_primitives::{Address, U256};
use hallmark_abi::IStaking;
use hallmark_types::addresses;

use super::{Account, MAX_RELEASES, Staking, Validator, emit, paid_in};
use crate::{
    Host, Result,
    host::{checked, revert},
};

/// Bits that the shares of a pot may have. A slash takes coins and leaves shares, so that who slashes an
/// almost empty pot again and again doubles the shares of a coin each time; with this bound no product of
/// shares and coins (below 2^128) leaves 256 bits, and what a pot is worth can always be told, also when
/// a set is frozen. Ordinary pots have some 100 bits.
const MAX_SHARE_BITS: usize = 127;

fn bounded(shares: Option<U256>) -> Result<U256> {
    checked(shares.filter(|shares| shares.bit_len() <= MAX_SHARE_BITS))
}

impl Staking {
    /// Gives the shares.
    ///
    /// # Errors
    ///
    /// `UnknownValidator`, `ZeroAmount` also for a stake worth no share, `ValidatorJailed` unless the
    /// operator adds to its own.
    pub fn delegate(&self, host: &mut dyn Host, number: u64) -> Result<U256> {
        let validator = self.known(host, number)?;
        let amount = paid_in(host)?;
        let until = validator.jailed_until.read(host)?;
        let caller = host.caller();
        if self.now(host)? < until && caller != validator.operator.read(host)? {
            return revert(IStaking::ValidatorJailed { untilEpoch: until });
        }
        self.put_in(host, number, &validator, caller, amount)
    }

    /// Makes coins that came with the call stake of `account`.
    pub(super) fn put_in(
        &self,
        host: &mut dyn Host,
        number: u64,
        validator: &Validator,
        account: Address,
        amount: u128,
    ) -> Result<U256> {
        let mut held = validator.pool.held(host)?;
        let shares = held.shares_for(amount)?;
        if shares.is_zero() {
            return revert(IStaking::ZeroAmount {});
        }
        held.amount = checked(held.amount.checked_add(amount))?;
        held.shares = bounded(held.shares.checked_add(shares))?;
        validator.pool.store(host, held)?;
        let position = validator.positions.at(account);
        let sum = checked(position.read(host)?.checked_add(shares))?;
        position.write(host, sum)?;
        self.owe(host, amount)?;
        let event = IStaking::Staked {
            validator: number,
            account,
            amount: U256::from(amount),
            shares,
        };
        emit(host, event)?;
        Ok(shares)
    }

    /// # Errors
    ///
    /// `UnknownValidator`, `InsufficientShares`, `ZeroAmount` also for shares worth nothing.
    pub fn undelegate(&self, host: &mut dyn Host, number: u64, shares: U256) -> Result<()> {
        let validator = self.known(host, number)?;
        let caller = host.caller();
        let position = validator.positions.at(caller);
        let has = position.read(host)?;
        let Some(left) = has.checked_sub(shares) else {
            return revert(IStaking::InsufficientShares {
                shares: has,
                needed: shares,
            });
        };
        let mut held = validator.pool.held(host)?;
        let amount = held.worth(shares)?;
        if amount == 0 {
            return revert(IStaking::ZeroAmount {});
        }
        position.write(host, left)?;
        held.amount = checked(held.amount.checked_sub(amount))?;
        held.shares = checked(held.shares.checked_sub(shares))?;
        validator.pool.store(host, held)?;

        let epoch = self.now(host)?;
        let exit = validator.exits.at(epoch);
        let mut waiting = exit.pool.held(host)?;
        let taken = waiting.shares_for(amount)?;
        if taken.is_zero() {
            return revert(IStaking::ZeroAmount {});
        }
        waiting.amount = checked(waiting.amount.checked_add(amount))?;
        waiting.shares = bounded(waiting.shares.checked_add(taken))?;
        exit.pool.store(host, waiting)?;
        if caller == validator.operator.read(host)? {
            let own = checked(exit.own.read(host)?.checked_add(taken))?;
            exit.own.write(host, own)?;
        }
        self.accounts.at(caller).wait(host, number, epoch, taken)?;
        let event = IStaking::Unstaked {
            validator: number,
            account: caller,
            amount: U256::from(amount),
            shares,
            freeEpoch: self.free_epoch(host, epoch)?,
        };
        emit(host, event)
    }

    /// From which epoch stake is free that was taken out in `epoch`.
    pub(super) fn free_epoch(&self, host: &mut dyn Host, epoch: u64) -> Result<u64> {
        let wait = self.unbonding_epochs.read(host)?;
        checked(epoch.checked_add(wait.into()))
    }

    /// Pays the caller what is free, and the first exits whose wait is over.
    ///
    /// # Errors
    ///
    /// `NothingToWithdraw`.
    pub fn withdraw(&self, host: &mut dyn Host) -> Result<U256> {
        let caller = host.caller();
        let account = self.accounts.at(caller);
        let mut amount = account.free.read(host)?;
        account.free.write(host, 0)?;
        let now = self.now(host)?;
        let (mut head, tail) = (
            account.queue_head.read(host)?,
            account.queue_tail.read(host)?,
        );
        let end = tail.min(head.saturating_add(MAX_RELEASES));
        while head < end {
            let exit = account.queue.at(head);
            let epoch = exit.epoch.read(host)?;
            if self.free_epoch(host, epoch)? > now {
                break;
            }
            let validator = self.validators.at(exit.validator.read(host)?);
            let shares = exit.shares.read(host)?;
            let paid = self.take_exit(host, &validator, epoch, shares, caller)?;
            amount = checked(amount.checked_add(paid))?;
            exit.validator.write(host, 0)?;
            exit.epoch.write(host, 0)?;
            exit.shares.write(host, U256::ZERO)?;
            head = checked(head.checked_add(1))?;
        }
        let advanced = account.queue_head.read(host)? != head;
        account.queue_head.write(host, head)?;
        // An exit that slashes made worthless still leaves the queue.
        if amount == 0 && !advanced {
            return revert(IStaking::NothingToWithdraw {});
        }
        self.disown(host, amount)?;
        let amount = U256::from(amount);
        host.transfer(addresses::STAKING, caller, amount)?;
        let event = IStaking::Withdrawn {
            account: caller,
            amount,
        };
        emit(host, event)?;
        Ok(amount)
    }

    /// Takes shares out of an exit pot. The last ones take what rounding left.
    fn take_exit(
        &self,
        host: &mut dyn Host,
        validator: &Validator,
        epoch: u64,
        shares: U256,
        holder: Address,
    ) -> Result<u128> {
        let exit = validator.exits.at(epoch);
        let mut held = exit.pool.held(host)?;
        let amount = if shares == held.shares {
            held.amount
        } else {
            held.worth(shares)?
        };
        held.amount = checked(held.amount.checked_sub(amount))?;
        held.shares = checked(held.shares.checked_sub(shares))?;
        exit.pool.store(host, held)?;
        if holder == validator.operator.read(host)? {
            let own = checked(exit.own.read(host)?.checked_sub(shares))?;
            exit.own.write(host, own)?;
        }
        Ok(amount)
    }
}

impl Account {
    /// Notes shares of an exit pot; those of one pot are one entry if nothing came between.
    fn wait(&self, host: &mut dyn Host, validator: u64, epoch: u64, shares: U256) -> Result<()> {
        let (head, tail) = (self.queue_head.read(host)?, self.queue_tail.read(host)?);
        if let Some(last) = tail.checked_sub(1).filter(|last| *last >= head) {
            let last = self.queue.at(last);
            if last.epoch.read(host)? == epoch && last.validator.read(host)? == validator {
                let sum = checked(last.shares.read(host)?.checked_add(shares))?;
                return Ok(last.shares.write(host, sum)?);
            }
        }
        let entry = self.queue.at(tail);
        entry.validator.write(host, validator)?;
        entry.epoch.write(host, epoch)?;
        entry.shares.write(host, shares)?;
        Ok(self.queue_tail.write(host, checked(tail.checked_add(1))?)?)
    }
}
