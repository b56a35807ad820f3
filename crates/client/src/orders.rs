//! Contract `Inference`: order, claim, deliver, cancel, expire, deposits.

use crate::{
    Call, Client, ClientError, Deposit, Level, Order, OrderedEvent, PaidEvent, TransactionReceipt,
};
use alloy_primitives::{B256, Bytes, U256};
use std::time::Duration;

/// A placed order.
#[derive(Clone, Debug)]
pub struct PlacedOrder {
    pub id: U256,
    pub receipt: TransactionReceipt,
}

/// Gas limit of a delivery: intrinsic gas of its bytes, the verifier's formula and room for the
/// contract's own work. `verify_gas` is `Verifier.gas(model, proof length)`.
pub fn deliver_gas_limit(_calldata: &[u8], _output_len: usize, _verify_gas: u64) -> u64 {
    todo!()
}

impl Client {
    /// Orders a run and waits for inclusion. `input` is in the graph's input encoding; the model's
    /// current price is paid into escrow.
    pub async fn order(
        &self,
        _model: B256,
        _level: Level,
        _input: &[u8],
        _deadline_ms: u64,
    ) -> Result<PlacedOrder, ClientError> {
        todo!()
    }

    /// Claims an order with a bond out of the free deposit.
    pub async fn claim(&self, _id: U256) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }

    /// The call that delivers, with its gas limit; nothing is verified before it is sent.
    pub async fn deliver_call(
        &self,
        _id: U256,
        _model: B256,
        _output: &[u8],
        _proof: &[u8],
    ) -> Result<Call, ClientError> {
        todo!()
    }

    /// Delivers and waits; a refused proof is `Reverted` with `ProofRefused("…")`.
    pub async fn deliver(
        &self,
        _id: U256,
        _output: &[u8],
        _proof: &[u8],
    ) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }

    /// Withdraws an open order of this key.
    pub async fn cancel(&self, _id: U256) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }

    /// Settles an order whose window or deadline has passed.
    pub async fn expire(&self, _id: U256) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }

    /// Adds to this key's deposit, out of which bonds are locked.
    pub async fn deposit(&self, _value: U256) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }

    /// Takes from the free part of this key's deposit.
    pub async fn withdraw(&self, _value: U256) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }

    /// The deposit of a seller.
    pub async fn deposit_of(
        &self,
        _seller: alloy_primitives::Address,
    ) -> Result<Deposit, ClientError> {
        todo!()
    }

    /// One order.
    pub async fn get_order(&self, _id: U256) -> Result<Order, ClientError> {
        todo!()
    }

    /// Number of orders ever placed.
    pub async fn order_count(&self) -> Result<u64, ClientError> {
        todo!()
    }

    /// The newest orders first, at most `limit`.
    pub async fn orders(&self, _limit: u64) -> Result<Vec<Order>, ClientError> {
        todo!()
    }

    /// Ids of orders that are open or claimed.
    pub async fn open_orders(&self, _offset: u64, _limit: u64) -> Result<Vec<U256>, ClientError> {
        todo!()
    }

    /// An order's input bytes.
    pub async fn order_input(&self, _id: U256) -> Result<Bytes, ClientError> {
        todo!()
    }

    /// An order's output bytes; empty until delivered.
    pub async fn order_output(&self, _id: U256) -> Result<Bytes, ClientError> {
        todo!()
    }

    /// Recorded liabilities of `Inference`, in wei.
    pub async fn liabilities(&self) -> Result<U256, ClientError> {
        todo!()
    }

    /// `Verifier.gas`: what a verification will be charged.
    pub async fn verify_gas(&self, _model: B256, _proof_len: usize) -> Result<u64, ClientError> {
        todo!()
    }

    /// Waits until the order is paid and returns the payment with the answer.
    pub async fn wait_paid(&self, _id: U256, _timeout: Duration) -> Result<PaidEvent, ClientError> {
        todo!()
    }

    /// The payment of an order, if it was paid.
    pub async fn paid(&self, _id: U256) -> Result<Option<PaidEvent>, ClientError> {
        todo!()
    }

    /// `Ordered` events of a range of blocks, both ends included.
    pub async fn ordered_events(
        &self,
        _from: u64,
        _to: u64,
    ) -> Result<Vec<OrderedEvent>, ClientError> {
        todo!()
    }
}
