//! How money leaves an order: payment, refund, slash; and the sweep that settles the overdue.

use alloy_primitives::{Address, B256, U256};
use hallmark_abi::inference::IInference::{self, Status};
use hallmark_types::addresses;

use super::{Inference, Order, emit, part};
use crate::{Host, Result, host::checked};

impl Inference {
    /// Splits the escrow, unlocks the bond and closes the order as paid. Gives the parts of
    /// seller, owner and network, in wei.
    pub(super) fn pay(
        &self,
        host: &mut dyn Host,
        order: &Order,
        owner: Address,
    ) -> Result<[U256; 3]> {
        let price = order.price.read(host)?;
        let to_network = part(price, order.network_bps.read(host)?)?;
        let to_owner = part(price, order.owner_share_bps.read(host)?)?;
        let rest = price
            .checked_sub(to_network)
            .and_then(|rest| rest.checked_sub(to_owner));
        let to_seller = checked(rest)?;
        let seller = order.seller.read(host)?;

        let deposit = self.deposits.at(seller);
        let bond = self.release_bond(host, order)?;
        let free = checked(deposit.free.read(host)?.checked_add(bond))?;
        deposit.free.write(host, free)?;
        self.close(host, order, Status::Paid)?;
        self.disown(host, price)?;
        let treasury = self.treasury.read(host)?;
        send(host, treasury, to_network)?;
        send(host, owner, to_owner)?;
        send(host, seller, to_seller)?;
        Ok([to_seller, to_owner, to_network].map(U256::from))
    }

    /// Closes the order and returns its escrow to the buyer; gives the amount, in wei.
    pub(super) fn return_escrow(
        &self,
        host: &mut dyn Host,
        order: &Order,
        status: Status,
    ) -> Result<U256> {
        let price = order.price.read(host)?;
        self.close(host, order, status)?;
        self.disown(host, price)?;
        let buyer = order.buyer.read(host)?;
        send(host, buyer, price)?;
        Ok(U256::from(price))
    }

    /// Settles an order whose [`last_ms`](Self::last_ms) has passed: slashes the claim, if there
    /// is one, and refunds the order unless somebody else can still claim it. Gives whether the
    /// order was closed.
    pub(super) fn settle_overdue(
        &self,
        host: &mut dyn Host,
        id: U256,
        order: &Order,
    ) -> Result<bool> {
        if order.status.read(host)? == Status::Claimed {
            self.slash(host, id, order)?;
            if host.timestamp_ms() <= self.latest_claim_ms(host, order)? {
                order.status.write(host, Status::Open)?;
                emit(host, IInference::Reopened { id })?;
                return Ok(false);
            }
        }
        let buyer = order.buyer.read(host)?;
        let refund = self.return_escrow(host, order, Status::Refunded)?;
        emit(host, IInference::Refunded { id, buyer, refund })?;
        Ok(true)
    }

    /// Takes the bond of a missed claim: a part to the buyer, the rest to nobody.
    fn slash(&self, host: &mut dyn Host, id: U256, order: &Order) -> Result<()> {
        let seller = order.seller.read(host)?;
        let buyer = order.buyer.read(host)?;
        let bond = self.release_bond(host, order)?;
        let left = order.compensation_left.read(host)?;
        let compensation = bond.min(left);
        let burned = checked(bond.checked_sub(compensation))?;
        order
            .compensation_left
            .write(host, checked(left.checked_sub(compensation))?)?;
        order.seller.write(host, Address::ZERO)?;
        order.bond.write(host, 0)?;
        order.claimed_at_ms.write(host, 0)?;
        order.window_end_ms.write(host, 0)?;
        order.anchor.write(host, B256::ZERO)?;
        self.disown(host, bond)?;
        send(host, buyer, compensation)?;
        if burned != 0 {
            host.burn(addresses::INFERENCE, U256::from(burned))?;
        }
        let (compensation, burned) = (U256::from(compensation), U256::from(burned));
        emit(
            host,
            IInference::Slashed {
                id,
                seller,
                buyer,
                compensation,
                burned,
            },
        )
    }

    /// Takes the claim's bond out of the seller's locked deposit; gives the bond, in wei.
    fn release_bond(&self, host: &mut dyn Host, order: &Order) -> Result<u128> {
        let bond = order.bond.read(host)?;
        let deposit = self.deposits.at(order.seller.read(host)?);
        let locked = checked(deposit.locked.read(host)?.checked_sub(bond))?;
        deposit.locked.write(host, locked)?;
        let claims = checked(deposit.open_claims.read(host)?.checked_sub(1))?;
        deposit.open_claims.write(host, claims)?;
        Ok(bond)
    }

    /// Sets a final status and takes the order off the open list.
    fn close(&self, host: &mut dyn Host, order: &Order, status: Status) -> Result<()> {
        order.status.write(host, status)?;
        let index = order.open_index.read(host)?;
        if let Some(moved) = self.open_orders.swap_remove(host, index)? {
            self.orders.at(moved).open_index.write(host, index)?;
        }
        Ok(())
    }

    /// Last millisecond at which an open order may be claimed.
    pub(super) fn latest_claim_ms(&self, host: &mut dyn Host, order: &Order) -> Result<u64> {
        let window = self.claim_window_ms.read(host)?;
        checked(order.deadline_ms.read(host)?.checked_sub(window))
    }

    /// Last millisecond at which the order's present status can lead anywhere but overdue.
    pub(super) fn last_ms(&self, host: &mut dyn Host, order: &Order) -> Result<u64> {
        if order.status.read(host)? == Status::Claimed {
            return Ok(order.window_end_ms.read(host)?);
        }
        self.latest_claim_ms(host, order)
    }

    /// Looks at up to `sweep_per_block` open orders, round robin, and settles the overdue. Writes
    /// nothing while nothing is overdue and the list fits one sweep.
    pub(crate) fn sweep(&self, host: &mut dyn Host) -> Result<()> {
        let length = self.open_orders.len(host)?;
        if length == 0 {
            return Ok(());
        }
        let slice = u64::from(self.sweep_per_block.read(host)?);
        let round_robin = length > slice;
        let mut cursor = if round_robin {
            self.sweep_cursor.read(host)?
        } else {
            0
        };
        for _ in 0..slice.min(length) {
            let length = self.open_orders.len(host)?;
            if length == 0 {
                break;
            }
            if cursor >= length {
                cursor = 0;
            }
            let id = self.open_orders.get(host, cursor)?;
            let order = self.orders.at(id);
            let overdue = host.timestamp_ms() > self.last_ms(host, &order)?;
            // A closed order's place is taken by another, which is looked at next.
            if !(overdue && self.settle_overdue(host, id, &order)?) {
                cursor = checked(cursor.checked_add(1))?;
            }
        }
        if round_robin {
            self.sweep_cursor.write(host, cursor)?;
        }
        Ok(())
    }

    /// Records a debt.
    pub(super) fn owe(&self, host: &mut dyn Host, amount: u128) -> Result<()> {
        let sum = checked(self.liabilities.read(host)?.checked_add(amount))?;
        Ok(self.liabilities.write(host, sum)?)
    }

    /// Takes a debt off the record, before it is paid.
    pub(super) fn disown(&self, host: &mut dyn Host, amount: u128) -> Result<()> {
        let left = checked(self.liabilities.read(host)?.checked_sub(amount))?;
        Ok(self.liabilities.write(host, left)?)
    }
}

/// Pays out of the contract, without running any code. Nothing moves for zero, so that no empty
/// account is touched.
fn send(host: &mut dyn Host, to: Address, amount: u128) -> Result<()> {
    if amount != 0 {
        host.transfer(addresses::INFERENCE, to, U256::from(amount))?;
    }
    Ok(())
}
