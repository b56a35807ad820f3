//! What anybody may ask.

use alloy_primitives::{Address, U256};
use hallmark_abi::IStaking;

use super::{MAX_PAGE, Staking};
use crate::{Host, Result, host::checked};

impl Staking {
    pub fn params(&self, host: &mut dyn Host) -> Result<IStaking::Params> {
        Ok(IStaking::Params {
            epochBlocks: self.epoch_blocks.read(host)?,
            minStake: U256::from(self.min_stake.read(host)?),
            maxValidators: self.max_validators.read(host)?,
            unbondingEpochs: self.unbonding_epochs.read(host)?,
            evidenceEpochs: self.evidence_epochs.read(host)?,
            trustingEpochs: self.trusting_epochs.read(host)?,
            commissionDelayEpochs: self.commission_delay_epochs.read(host)?,
            maxCommissionBps: self.max_commission_bps.read(host)?,
            jailEpochs: self.jail_epochs.read(host)?,
            slashBps: self.slash_bps.read(host)?,
            reporterBps: self.reporter_bps.read(host)?,
        })
    }

    pub fn epoch(&self, host: &mut dyn Host) -> Result<u64> {
        self.now(host)
    }

    /// # Errors
    ///
    /// `UnknownValidator`.
    pub fn get(&self, host: &mut dyn Host, number: u64) -> Result<IStaking::Validator> {
        let validator = self.known(host, number)?;
        let now = self.now(host)?;
        let held = validator.pool.held(host)?;
        let next = validator.next_commission_epoch.read(host)?;
        let waits = next > now;
        let next_bps = validator.next_commission_bps.read(host)?;
        Ok(IStaking::Validator {
            id: number,
            operator: validator.operator.read(host)?,
            payout: validator.payout.read(host)?,
            publicKey: validator.public_key.read(host)?,
            p2p: validator.p2p_text(host)?,
            commissionBps: validator.commission(host, now)?,
            nextCommissionBps: if waits { next_bps } else { 0 },
            nextCommissionEpoch: if waits { next } else { 0 },
            stake: U256::from(held.amount),
            shares: held.shares,
            ownStake: U256::from(validator.own_stake(host)?),
            candidate: validator.place.read(host)? != 0,
            jailedUntil: validator.jailed_until.read(host)?,
            slashes: validator.slashes.read(host)?,
        })
    }

    pub fn candidates(&self, host: &mut dyn Host, offset: U256, limit: U256) -> Result<Vec<u64>> {
        let limit = limit.min(U256::from(MAX_PAGE));
        let page = self.candidates.page(host, offset, limit)?;
        page.into_iter()
            .map(|number| checked(u64::try_from(number).ok()))
            .collect()
    }

    /// A page of the set of `epoch`.
    pub fn set(
        &self,
        host: &mut dyn Host,
        epoch: u64,
        offset: U256,
        limit: U256,
    ) -> Result<Vec<IStaking::Member>> {
        let set = self.sets.at(epoch);
        let count = u64::from(set.count.read(host)?);
        page(offset, limit, count)
            .map(|index| {
                let member = set.members.at(index);
                Ok(IStaking::Member {
                    validator: member.validator.read(host)?,
                    publicKey: member.public_key.read(host)?,
                    payout: member.payout.read(host)?,
                    stake: U256::from(member.stake.read(host)?),
                })
            })
            .collect()
    }

    /// # Errors
    ///
    /// `UnknownValidator`.
    pub fn position(
        &self,
        host: &mut dyn Host,
        number: u64,
        account: Address,
    ) -> Result<IStaking::positionReturn> {
        let validator = self.known(host, number)?;
        let shares = validator.positions.at(account).read(host)?;
        let worth = validator.pool.held(host)?.worth(shares)?;
        Ok(IStaking::positionReturn {
            shares,
            worth: U256::from(worth),
        })
    }

    pub fn account(
        &self,
        host: &mut dyn Host,
        account: Address,
    ) -> Result<IStaking::accountReturn> {
        let account = self.accounts.at(account);
        let (head, tail) = (
            account.queue_head.read(host)?,
            account.queue_tail.read(host)?,
        );
        Ok(IStaking::accountReturn {
            free: U256::from(account.free.read(host)?),
            waiting: U256::from(checked(tail.checked_sub(head))?),
        })
    }

    /// A page of the exits that `account` was not paid yet, the oldest first.
    pub fn exits(
        &self,
        host: &mut dyn Host,
        account: Address,
        offset: U256,
        limit: U256,
    ) -> Result<Vec<IStaking::Exit>> {
        let account = self.accounts.at(account);
        let head = account.queue_head.read(host)?;
        let count = checked(account.queue_tail.read(host)?.checked_sub(head))?;
        page(offset, limit, count)
            .map(|index| {
                let exit = account.queue.at(checked(head.checked_add(index))?);
                let number = exit.validator.read(host)?;
                let epoch = exit.epoch.read(host)?;
                let pool = self.validators.at(number).exits.at(epoch).pool;
                let shares = exit.shares.read(host)?;
                Ok(IStaking::Exit {
                    validator: number,
                    freeEpoch: self.free_epoch(host, epoch)?,
                    amount: U256::from(pool.held(host)?.worth(shares)?),
                })
            })
            .collect()
    }
}

/// Indices of a page of at most [`MAX_PAGE`] entries.
fn page(offset: U256, limit: U256, count: u64) -> std::ops::Range<u64> {
    let start = offset.saturating_to::<u64>().min(count);
    let limit = limit.saturating_to::<u64>().min(MAX_PAGE);
    start..start.saturating_add(limit).min(count)
}
