//! Evidence of a double vote, and what it costs.

use alloy_primitives::{B256, U256};
use hallmark_abi::IStaking;
use hallmark_types::{Evidence, addresses};

use super::{
    Pool, SIGNATURE_GAS, Staking, Validator, WHOLE_BPS, ed25519, emit, part, storage::SetMember,
};
use crate::{
    Host, Result,
    host::{checked, revert},
    shares::Held,
};

/// What a slash took.
#[derive(Default)]
struct Loss {
    all: u128,
    /// Of it, from what the operator's own shares were worth.
    own: u128,
}

impl Staking {
    /// Gives the caller's reward, which is free to withdraw.
    ///
    /// # Errors
    ///
    /// `MalformedEvidence`, `EvidenceOutOfWindow`, `KeyTombstoned`, `NotInSet`, `BadSignature`.
    pub fn submit_evidence(&self, host: &mut dyn Host, bytes: &[u8]) -> Result<U256> {
        let Ok(evidence) = Evidence::decode(bytes) else {
            return revert(IStaking::MalformedEvidence {});
        };
        let (now, epoch) = (self.now(host)?, evidence.epoch);
        let window = u64::from(self.evidence_epochs.read(host)?);
        if now.checked_sub(epoch).is_none_or(|age| age > window) {
            return revert(IStaking::EvidenceOutOfWindow { epoch });
        }
        let publicKey = B256::from(evidence.public_key);
        let key = self.keys.at(publicKey);
        if key.tombstoned.read(host)? {
            return revert(IStaking::KeyTombstoned { publicKey });
        }
        let Some(member) = self.member(host, epoch, publicKey)? else {
            return revert(IStaking::NotInSet { publicKey, epoch });
        };
        let spec_hash = self.spec_hash.read(host)?;
        for (message, signature) in evidence.signed(spec_hash) {
            host.charge_gas(SIGNATURE_GAS)?;
            if !ed25519::verify(&evidence.public_key, &message, &signature) {
                return revert(IStaking::BadSignature {});
            }
        }
        key.tombstoned.write(host, true)?;
        let number = member.validator.read(host)?;
        let validator = self.validators.at(number);
        let loss = self.slash(host, &validator, epoch, now)?;
        let reward = part(loss.own, self.reporter_bps.read(host)?)?;
        let burned = checked(loss.all.checked_sub(reward))?;
        self.disown(host, burned)?;
        if burned != 0 {
            host.burn(addresses::STAKING, U256::from(burned))?;
        }
        let reporter = host.caller();
        if reward != 0 {
            self.free(host, reporter, reward)?;
        }
        let slashes = checked(validator.slashes.read(host)?.checked_add(1))?;
        validator.slashes.write(host, slashes)?;
        let event = IStaking::Slashed {
            validator: number,
            publicKey,
            epoch,
            amount: U256::from(loss.all),
            reporter,
            reward: U256::from(reward),
        };
        emit(host, event)?;
        self.jail(host, number, &validator, now)?;
        Ok(U256::from(reward))
    }

    fn member(&self, host: &mut dyn Host, epoch: u64, key: B256) -> Result<Option<SetMember>> {
        let set = self.sets.at(epoch);
        for index in 0..u64::from(set.count.read(host)?) {
            let member = set.members.at(index);
            if member.public_key.read(host)? == key {
                return Ok(Some(member));
            }
        }
        Ok(None)
    }

    /// Takes its part of everything that stood behind the validator in `epoch`.
    fn slash(
        &self,
        host: &mut dyn Host,
        validator: &Validator,
        epoch: u64,
        now: u64,
    ) -> Result<Loss> {
        let bps = self.slash_bps.read(host)?;
        let operator = validator.operator.read(host)?;
        let own = validator.positions.at(operator).read(host)?;
        let mut loss = Loss::default();
        loss.take(host, &validator.pool, own, bps)?;
        for left in epoch.saturating_sub(1)..=now {
            let exit = validator.exits.at(left);
            let own = exit.own.read(host)?;
            loss.take(host, &exit.pool, own, bps)?;
        }
        Ok(loss)
    }

    fn jail(
        &self,
        host: &mut dyn Host,
        number: u64,
        validator: &Validator,
        now: u64,
    ) -> Result<()> {
        let epochs = u64::from(self.jail_epochs.read(host)?);
        let until = checked(now.checked_add(epochs))?;
        validator.jailed_until.write(host, until)?;
        self.delist(host, number, validator)?;
        let event = IStaking::Jailed {
            validator: number,
            untilEpoch: until,
        };
        emit(host, event)
    }
}

impl Loss {
    /// Takes `⌈amount · bps⌉` out of a pot, of whose shares `own` are the operator's.
    fn take(&mut self, host: &mut dyn Host, pool: &Pool, own: U256, bps: u16) -> Result<()> {
        let before = pool.held(host)?;
        if before.amount == 0 {
            return Ok(());
        }
        let kept = part(before.amount, WHOLE_BPS.saturating_sub(bps))?;
        let after = Held {
            amount: kept,
            ..before
        };
        pool.amount.write(host, kept)?;
        let taken = checked(before.amount.checked_sub(kept))?;
        self.all = checked(self.all.checked_add(taken))?;
        let own = checked(before.worth(own)?.checked_sub(after.worth(own)?))?;
        self.own = checked(self.own.checked_add(own))?;
        Ok(())
    }
}
