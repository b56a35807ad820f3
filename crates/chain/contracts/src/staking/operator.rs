//! What a validator's operator does with it.

use alloy_primitives::{Address, B256, U256};
use hallmark_abi::IStaking;
use hallmark_types::{
    addresses,
    staking::{is_p2p_address, possession_message},
};

use super::{MAX_CANDIDATES, SIGNATURE_GAS, Staking, Validator, ed25519, emit, paid_in};
use crate::{
    Host, Result,
    host::{checked, revert},
};

impl Staking {
    /// # Errors
    ///
    /// `AlreadyOperator`, `InvalidCommission`, `InvalidAddress`, `InvalidPayout`, `StakeTooSmall`,
    /// `KeyTaken`, `BadPossession`, `NoPlace`.
    pub fn bond(&self, host: &mut dyn Host, call: IStaking::bondCall) -> Result<u64> {
        let amount = paid_in(host)?;
        let operator = host.caller();
        let present = self.operators.at(operator).read(host)?;
        if present != 0 {
            return revert(IStaking::AlreadyOperator { validator: present });
        }
        self.check_commission(host, call.commissionBps)?;
        check_profile(call.payout, &call.p2p)?;
        self.check_own(host, amount)?;
        let number = checked(self.validator_count.read(host)?.checked_add(1))?;
        self.validator_count.write(host, number)?;
        self.operators.at(operator).write(host, number)?;
        let validator = self.validators.at(number);
        validator.operator.write(host, operator)?;
        validator.payout.write(host, call.payout)?;
        validator.commission_bps.write(host, call.commissionBps)?;
        validator.p2p.write(host, call.p2p.as_bytes())?;
        self.take_key(host, number, &validator, call.publicKey, &call.possession)?;
        let event = IStaking::Registered {
            validator: number,
            operator,
            publicKey: call.publicKey,
        };
        emit(host, event)?;
        let event = IStaking::CommissionChanged {
            validator: number,
            commissionBps: call.commissionBps,
            fromEpoch: self.now(host)?,
        };
        emit(host, event)?;
        self.put_in(host, number, &validator, operator, amount)?;
        self.enlist(host, number, &validator)?;
        Ok(number)
    }

    /// # Errors
    ///
    /// `NotOperator`, `InvalidCommission`.
    pub fn set_commission(&self, host: &mut dyn Host, bps: u16) -> Result<()> {
        let (number, validator) = self.own(host)?;
        self.check_commission(host, bps)?;
        let now = self.now(host)?;
        let present = validator.commission(host, now)?;
        let from = if bps > present {
            let delay = self.commission_delay_epochs.read(host)?;
            let from = checked(now.checked_add(delay.into()))?;
            validator.commission_bps.write(host, present)?;
            validator.next_commission_bps.write(host, bps)?;
            validator.next_commission_epoch.write(host, from)?;
            from
        } else {
            validator.commission_bps.write(host, bps)?;
            validator.next_commission_bps.write(host, 0)?;
            validator.next_commission_epoch.write(host, 0)?;
            now
        };
        let event = IStaking::CommissionChanged {
            validator: number,
            commissionBps: bps,
            fromEpoch: from,
        };
        emit(host, event)
    }

    /// # Errors
    ///
    /// `NotOperator`, `InvalidAddress`, `InvalidPayout`.
    pub fn set_profile(&self, host: &mut dyn Host, payout: Address, p2p: &str) -> Result<()> {
        let (number, validator) = self.own(host)?;
        check_profile(payout, p2p)?;
        validator.payout.write(host, payout)?;
        validator.p2p.write(host, p2p.as_bytes())?;
        let event = IStaking::ProfileChanged {
            validator: number,
            payout,
            p2p: p2p.to_owned(),
        };
        emit(host, event)
    }

    /// # Errors
    ///
    /// `NotOperator`, `KeyTaken`, `BadPossession`.
    pub fn rotate_key(&self, host: &mut dyn Host, key: B256, possession: &[u8]) -> Result<()> {
        let (number, validator) = self.own(host)?;
        self.take_key(host, number, &validator, key, possession)?;
        let event = IStaking::KeyChanged {
            validator: number,
            publicKey: key,
        };
        emit(host, event)
    }

    /// # Errors
    ///
    /// `NotOperator`, `ValidatorJailed`, `KeyTombstoned`, `StakeTooSmall`, `NoPlace`.
    pub fn join(&self, host: &mut dyn Host) -> Result<()> {
        let (number, validator) = self.own(host)?;
        let until = validator.jailed_until.read(host)?;
        if self.now(host)? < until {
            return revert(IStaking::ValidatorJailed { untilEpoch: until });
        }
        let key = validator.public_key.read(host)?;
        if self.keys.at(key).tombstoned.read(host)? {
            return revert(IStaking::KeyTombstoned { publicKey: key });
        }
        let own = validator.own_stake(host)?;
        self.check_own(host, own)?;
        self.enlist(host, number, &validator)
    }

    /// # Errors
    ///
    /// `NotOperator`.
    pub fn leave(&self, host: &mut dyn Host) -> Result<()> {
        let (number, validator) = self.own(host)?;
        self.delist(host, number, &validator)
    }

    fn check_commission(&self, host: &mut dyn Host, bps: u16) -> Result<()> {
        let most = self.max_commission_bps.read(host)?;
        if bps > most {
            return revert(IStaking::InvalidCommission { most });
        }
        Ok(())
    }

    fn check_own(&self, host: &mut dyn Host, stake: u128) -> Result<()> {
        let needed = self.min_stake.read(host)?;
        if stake < needed {
            return revert(IStaking::StakeTooSmall {
                stake: U256::from(stake),
                needed: U256::from(needed),
            });
        }
        Ok(())
    }

    /// Gives a validator a key that nobody had before.
    fn take_key(
        &self,
        host: &mut dyn Host,
        number: u64,
        validator: &Validator,
        key: B256,
        possession: &[u8],
    ) -> Result<()> {
        let owner = self.keys.at(key).validator;
        if owner.read(host)? != 0 {
            return revert(IStaking::KeyTaken { publicKey: key });
        }
        host.charge_gas(SIGNATURE_GAS)?;
        let message = possession_message(host.chain_id(), host.caller());
        let proven = <&[u8; 64]>::try_from(possession).is_ok_and(|signature| {
            ed25519::is_usable(&key.0) && ed25519::verify(&key.0, &message, signature)
        });
        if !proven {
            return revert(IStaking::BadPossession {});
        }
        owner.write(host, number)?;
        Ok(validator.public_key.write(host, key)?)
    }

    /// Puts a validator on the list of candidates, in the place of one with less stake if it is full.
    fn enlist(&self, host: &mut dyn Host, number: u64, validator: &Validator) -> Result<()> {
        if validator.place.read(host)? != 0 {
            return Ok(());
        }
        if self.candidates.len(host)? >= MAX_CANDIDATES {
            let (least, place) = self.least_candidate(host)?;
            if validator.pool.amount.read(host)? <= least {
                let needed = U256::from(least);
                return revert(IStaking::NoPlace { needed });
            }
            let loser = checked(u64::try_from(self.candidates.get(host, place)?).ok())?;
            self.delist(host, loser, &self.validators.at(loser))?;
        }
        let index = self.candidates.push(host, U256::from(number))?;
        let place = checked(index.checked_add(1))?;
        validator.place.write(host, place)?;
        let event = IStaking::CandidacyChanged {
            validator: number,
            candidate: true,
        };
        emit(host, event)
    }

    /// Takes a validator off that list.
    pub(super) fn delist(
        &self,
        host: &mut dyn Host,
        number: u64,
        validator: &Validator,
    ) -> Result<()> {
        let place = validator.place.read(host)?;
        let Some(index) = place.checked_sub(1) else {
            return Ok(());
        };
        validator.place.write(host, 0)?;
        if let Some(moved) = self.candidates.swap_remove(host, index)? {
            let moved = checked(u64::try_from(moved).ok())?;
            self.validators.at(moved).place.write(host, place)?;
        }
        let event = IStaking::CandidacyChanged {
            validator: number,
            candidate: false,
        };
        emit(host, event)
    }

    /// Stake and index of the first candidate with least stake; one that cannot be chosen has none.
    fn least_candidate(&self, host: &mut dyn Host) -> Result<(u128, u64)> {
        let needed = self.min_stake.read(host)?;
        let mut least = (u128::MAX, 0);
        for index in 0..self.candidates.len(host)? {
            let number = checked(u64::try_from(self.candidates.get(host, index)?).ok())?;
            let validator = self.validators.at(number);
            let stake = if validator.own_stake(host)? < needed {
                0
            } else {
                validator.pool.amount.read(host)?
            };
            if stake < least.0 {
                least = (stake, index);
            }
        }
        Ok(least)
    }
}

fn check_profile(payout: Address, p2p: &str) -> Result<()> {
    if payout.is_zero() || addresses::is_reserved(&payout) {
        return revert(IStaking::InvalidPayout {});
    }
    if !is_p2p_address(p2p) {
        return revert(IStaking::InvalidAddress {});
    }
    Ok(())
}
