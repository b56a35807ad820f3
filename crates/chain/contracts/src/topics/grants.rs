//! Grants: what donors give to a topic's participants, and what comes back when the topic ends.
//!
//! # Pay
//!
//! An epoch pays at most a slice of what is granted: `granted / grantEpochs`, as it was at the last
//! grant of at least a slice. A smaller grant leaves the slice as it is and is paid after what is there, so
//! nobody slows the pay down for less than the slice that it delays.
//!
//! # What comes back
//!
//! With `G` granted and not yet paid and `S` claims on it, a grant of `x` gets `⌊x S / G⌋` claims, or `x` where
//! nothing is left. Every epoch's pay shrinks `G`, and thereby all claims in proportion. When the topic has
//! retired, `c` claims are worth `⌊c G / S⌋`, for the donor to reclaim at any time. Nobody else can touch it.
//!
//! Claims stay below 2^128: beyond it all of them lose 64 bits at once, those of a donor at its next
//! touch. What a donor loses by that is worth less than 2^-64 of `G`, once for each loss; it is nobody's, so the
//! last to reclaim gets all that is left only where no claim was ever rounded off. What nobody can reclaim
//! stays with the contract, as owed.

use alloy_primitives::{Address, U256};
use hallmark_abi::topics::ITopics;
use hallmark_contracts_macros::contract;

use super::{Topic, Topics, emit, paid_in};
use crate::{
    Host, Result,
    host::{checked, revert},
    storage::{Mapping, Slot},
};

/// Bits that all claims lose at once.
const ERA_BITS: usize = 64;
/// Eras after which a claim is nothing.
const ERAS_OF_A_CLAIM: u64 = 4;

/// Whose the grants of a topic are.
#[contract]
pub struct Donations {
    /// Claims of all donors.
    pub claims: Slot<U256>,
    /// How often all claims lost [`ERA_BITS`] bits.
    pub era: Slot<u64>,
    pub donors: Mapping<Address, Donor>,
}

/// A donor's claims, as they were in an era.
#[contract]
pub struct Donor {
    pub claims: Slot<U256>,
    pub era: Slot<u64>,
}

impl Topics {
    /// # Errors
    ///
    /// `UnknownTopic`, `TopicRetired`, `ZeroAmount`.
    pub fn grant(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let topic = self.living(host, id)?;
        let amount = paid_in(host)?;
        let before = topic.granted.read(host)?;
        let granted = checked(before.checked_add(amount))?;
        topic.granted.write(host, granted)?;
        let slice = topic.grant_slice.read(host)?;
        if before == 0 || amount >= slice {
            let epochs = u128::from(self.grant_epochs.read(host)?);
            let slice = checked(granted.checked_div(epochs))?.max(1);
            topic.grant_slice.write(host, slice)?;
        }
        let from = host.caller();
        topic.donations.give(host, from, amount, before)?;
        self.owe(host, amount)?;
        self.stir(host, id, &topic)?;
        let amount = U256::from(amount);
        emit(
            host,
            ITopics::Granted {
                topic: id,
                from,
                amount,
            },
        )
    }

    /// Frees the caller's part of what a retired topic did not pay of its grants; gives it, in wei.
    ///
    /// # Errors
    ///
    /// `UnknownTopic`, `NotRetired`, `ZeroAmount` where the caller's claims are worth nothing.
    pub fn reclaim(&self, host: &mut dyn Host, id: U256) -> Result<U256> {
        let topic = self.known(host, id)?;
        if !topic.retired.read(host)? {
            return revert(ITopics::NotRetired { topic: id });
        }
        let donor = host.caller();
        let granted = topic.granted.read(host)?;
        let amount = topic.donations.take(host, donor, granted)?;
        if amount == 0 {
            return revert(ITopics::ZeroAmount {});
        }
        topic
            .granted
            .write(host, checked(granted.checked_sub(amount))?)?;
        // Owed already, as a grant.
        self.free(host, donor, amount)?;
        let amount = U256::from(amount);
        emit(
            host,
            ITopics::Reclaimed {
                topic: id,
                donor,
                amount,
            },
        )?;
        Ok(amount)
    }
}

impl Donations {
    /// Adds the claims of a grant of `amount` where `before` was granted and not paid, in wei.
    fn give(&self, host: &mut dyn Host, from: Address, amount: u128, before: u128) -> Result<()> {
        let mut era = self.era.read(host)?;
        let mut all = self.claims.read(host)?;
        if before == 0 {
            // What they were claims on has been paid.
            era = checked(era.checked_add(ERAS_OF_A_CLAIM))?;
            all = U256::ZERO;
        }
        let mut own = self.donors.at(from).in_era(host, era)?;
        let mut given = U256::from(amount);
        if !all.is_zero() {
            // Below 2^256: both factors are below 2^128.
            let product = checked(given.checked_mul(all))?;
            given = checked(product.checked_div(U256::from(before)))?;
        }
        all = checked(all.checked_add(given))?;
        own = checked(own.checked_add(given))?;
        while all.bit_len() > 128 {
            (all, own) = (all.wrapping_shr(ERA_BITS), own.wrapping_shr(ERA_BITS));
            era = checked(era.checked_add(1))?;
        }
        self.era.write(host, era)?;
        self.claims.write(host, all)?;
        self.donors.at(from).put(host, own, era)
    }

    /// Takes away a donor's claims; gives what they are worth of `granted`, in wei.
    fn take(&self, host: &mut dyn Host, of: Address, granted: u128) -> Result<u128> {
        let era = self.era.read(host)?;
        let all = self.claims.read(host)?;
        let donor = self.donors.at(of);
        let own = donor.in_era(host, era)?;
        if own.is_zero() {
            return Ok(0);
        }
        let product = checked(own.checked_mul(U256::from(granted)))?;
        let worth = checked(product.checked_div(all))?;
        self.claims.write(host, checked(all.checked_sub(own))?)?;
        donor.put(host, U256::ZERO, era)?;
        checked(u128::try_from(worth).ok())
    }
}

impl Donor {
    fn in_era(&self, host: &mut dyn Host, era: u64) -> Result<U256> {
        let lost = era.saturating_sub(self.era.read(host)?);
        if lost >= ERAS_OF_A_CLAIM {
            return Ok(U256::ZERO);
        }
        let bits = ERA_BITS.saturating_mul(usize::try_from(lost).unwrap_or(usize::MAX));
        Ok(self.claims.read(host)?.wrapping_shr(bits))
    }

    fn put(&self, host: &mut dyn Host, claims: U256, era: u64) -> Result<()> {
        self.claims.write(host, claims)?;
        self.era.write(host, era).map_err(Into::into)
    }
}

impl Topic {
    /// What a slice of the grants is, as far as there is so much, in wei.
    pub(super) fn grant_due(&self, host: &mut dyn Host) -> Result<u128> {
        Ok(self.grant_slice.read(host)?.min(self.granted.read(host)?))
    }
}
