//! Shares of a pot of coins whose worth rises with earnings and falls with slashes.
//!
//! With `A` wei and `S` shares in the pot, `x` wei more get `⌊x (S + V) / (A + 1)⌋` shares and `s`
//! shares are worth `⌊s (A + 1) / (S + V)⌋`, `V = 1000`. The virtual shares and the virtual wei make
//! the first stake no different from any other: nobody gains by making a share dear before others
//! come. What rounding leaves belongs to the pot.

use alloy_primitives::U256;

use crate::{Result, host::checked};

/// Shares that every pot has and nobody holds.
const VIRTUAL_SHARES: u64 = 1_000;

/// Coins of a pot, and its shares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// In wei.
    pub(crate) amount: u128,
    pub(crate) shares: U256,
}

impl Held {
    /// What shares are worth, in wei.
    pub(crate) fn worth(&self, shares: U256) -> Result<u128> {
        let held = U256::from(self.amount);
        let wide = checked(held.checked_add(U256::from(1)))?;
        let divisor = checked(self.shares.checked_add(U256::from(VIRTUAL_SHARES)))?;
        let product = checked(shares.checked_mul(wide))?;
        let worth = checked(product.checked_div(divisor))?.min(held);
        checked(u128::try_from(worth).ok())
    }

    /// The shares that so many wei more get.
    pub(crate) fn shares_for(&self, amount: u128) -> Result<U256> {
        let wide = checked(self.shares.checked_add(U256::from(VIRTUAL_SHARES)))?;
        let product = checked(U256::from(amount).checked_mul(wide))?;
        let divisor = checked(U256::from(self.amount).checked_add(U256::from(1)))?;
        checked(product.checked_div(divisor))
    }
}
