//! Sealed orders: input and output stay between the buyer and the sellers that it names.
//!
//! # What the chain holds
//!
//! - `input_hash`: the commitment to the input and to a one-time pad of the output, eight field
//!   elements in canonical form. It stands where an open order has the hash of its input.
//! - `input`: the envelope, the input encrypted to the named sellers. The chain does not look into
//!   it: an envelope that does not open is left alone by the sellers, and the escrow goes back.
//! - `sellers`: who may claim. All of them can read the input.
//! - `output`: the output plus the pad, modulo p. Only who knows the pad reads it.
//!
//! # Keys
//!
//! A seller sets one X25519 key, and may set another at any time. An order is bound to the keys
//! that the buyer found, not to those that are set later: the seller keeps an old secret until the
//! orders sealed to it are settled.

use alloy_primitives::{Address, B256, U256};
use hallmark_abi::inference::IInference;

use super::{Inference, MAX_PAGE, Order, Request, emit};
use crate::{
    Host, Result,
    host::{checked, revert},
    verifier::Terms,
};

/// Most sellers that a sealed order names.
pub const MAX_SELLERS: usize = 8;

impl Inference {
    /// # Errors
    ///
    /// `LevelUnavailable`, `UnknownModel`, `ModelRetired`, `WrongPayment`, `DeadlineTooSoon`,
    /// `SealedUnavailable`, `InputTooLong`, `InvalidCommitment`, `SellersOutOfRange`, `DuplicateSeller`, `NoSealingKey`.
    pub fn order_sealed(
        &self,
        host: &mut dyn Host,
        call: IInference::orderSealedCall,
    ) -> Result<U256> {
        let model = self.check_terms(host, call.model, call.level, call.deadlineMs)?;
        if Terms::private(host, &model)?.is_none() {
            return revert(IInference::SealedUnavailable { model: call.model });
        }
        self.check_length(host, &call.envelope)?;
        let commitment = call.commitment;
        if !hallmark_proof::is_commitment(&commitment.0) {
            return revert(IInference::InvalidCommitment { commitment });
        }
        self.check_sellers(host, &call.sellers)?;
        let request = Request {
            model: call.model,
            deadline_ms: call.deadlineMs,
            input_hash: commitment,
            input: call.envelope,
        };
        let id = self.place(host, &model, request)?;
        let sellers: Vec<u8> = call.sellers.iter().flatten().copied().collect();
        self.orders.at(id).sellers.write(host, &sellers)?;
        let sellers = call.sellers;
        emit(host, IInference::Sealed { id, sellers })?;
        Ok(id)
    }

    fn check_sellers(&self, host: &mut dyn Host, sellers: &[Address]) -> Result<()> {
        if sellers.is_empty() || sellers.len() > MAX_SELLERS {
            return revert(IInference::SellersOutOfRange {
                count: U256::from(sellers.len()),
                maximum: U256::from(MAX_SELLERS),
            });
        }
        for (place, &seller) in sellers.iter().enumerate() {
            if sellers.iter().take(place).any(|other| *other == seller) {
                return revert(IInference::DuplicateSeller { seller });
            }
            if self.sealing_key(host, seller)?.is_zero() {
                return revert(IInference::NoSealingKey { seller });
            }
        }
        Ok(())
    }

    /// Sets or changes the caller's key; zero takes it away.
    pub fn set_sealing_key(&self, host: &mut dyn Host, key: B256) -> Result<()> {
        let seller = host.caller();
        let entry = self.sealing_keys.at(seller);
        let before = entry.key.read(host)?;
        entry.key.write(host, key)?;
        if before.is_zero() && !key.is_zero() {
            let index = self.sealing_sellers.push(host, seller.into_word())?;
            entry.index.write(host, index)?;
        }
        if !before.is_zero() && key.is_zero() {
            let index = entry.index.read(host)?;
            entry.index.write(host, 0)?;
            if let Some(moved) = self.sealing_sellers.swap_remove(host, index)? {
                let moved = self.sealing_keys.at(Address::from_word(moved));
                moved.index.write(host, index)?;
            }
        }
        emit(host, IInference::SealingKeySet { seller, key })
    }

    /// A seller's key; zero if it has none.
    pub fn sealing_key(&self, host: &mut dyn Host, seller: Address) -> Result<B256> {
        Ok(self.sealing_keys.at(seller).key.read(host)?)
    }

    /// # Errors
    ///
    /// `LimitTooLarge`.
    pub fn sealing_sellers(
        &self,
        host: &mut dyn Host,
        offset: U256,
        limit: U256,
    ) -> Result<Vec<Address>> {
        let maximum = U256::from(MAX_PAGE);
        if limit > maximum {
            return revert(IInference::LimitTooLarge { limit, maximum });
        }
        let page = self.sealing_sellers.page(host, offset, limit)?;
        Ok(page.into_iter().map(Address::from_word).collect())
    }

    /// # Errors
    ///
    /// `UnknownOrder`.
    pub fn sellers(&self, host: &mut dyn Host, id: U256) -> Result<Vec<Address>> {
        self.known(host, id)?.named(host)
    }
}

impl Order {
    /// Whether input and output are hidden.
    pub(super) fn is_sealed(&self, host: &mut dyn Host) -> Result<bool> {
        Ok(self.sellers.len(host)? != 0)
    }

    /// The sellers that a sealed order names; none in an open one.
    fn named(&self, host: &mut dyn Host) -> Result<Vec<Address>> {
        let bytes = self.sellers.read(host)?;
        let (sellers, rest) = bytes.as_chunks::<20>();
        checked(rest.is_empty().then_some(()))?;
        Ok(sellers.iter().copied().map(Address::new).collect())
    }

    /// # Errors
    ///
    /// `NotNamed`, if the order is sealed to others.
    pub(super) fn check_named(&self, host: &mut dyn Host, seller: Address) -> Result<()> {
        let named = self.named(host)?;
        if !named.is_empty() && !named.contains(&seller) {
            return revert(IInference::NotNamed { seller });
        }
        Ok(())
    }
}
