//! Contract `Inference`: order, claim, deliver, cancel, expire, deposits.

use crate::{
    Call, Client, ClientError, Deposit, Level, Order, OrderedEvent, PaidEvent, Status,
    TransactionReceipt,
};
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::{Filter, Log};
use alloy_sol_types::{SolCall, SolEvent};
use futures::{StreamExt, TryStreamExt, stream};
use hallmark_abi::{IInference, IVerifier};
use hallmark_types::{
    DeliveryGas,
    addresses::{INFERENCE, VERIFIER},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Entries that one call lists at most.
const PAGE: u64 = 100;
/// Blocks that one search for events covers.
const LOG_BLOCKS: u64 = 1_000;
/// Requests in flight while listing.
const PARALLEL: usize = 8;
/// Time between two looks at an order that is awaited.
const POLL: Duration = Duration::from_millis(20);

/// Gas per calldata token: the floor, and the price beside a transaction's work (EIP-7623).
const TOKEN_GAS: (u64, u64) = (10, 4);

/// A placed order.
#[derive(Clone, Debug)]
pub struct PlacedOrder {
    pub id: U256,
    pub receipt: TransactionReceipt,
}

/// Gas limit of a delivery, an upper bound ([`DeliveryGas`]): its bytes, the verifier's formula, the
/// words that are read (`stored_len`: key and input) and written (`output_len`), and the contract's
/// own work. `verify_gas` is `Verifier.gas(model, proof length)`. Gas that is not used is not paid.
pub fn deliver_gas_limit(
    calldata: &[u8],
    stored_len: usize,
    output_len: usize,
    verify_gas: u64,
) -> u64 {
    let zeros = calldata.iter().filter(|byte| **byte == 0).count();
    let gas = DeliveryGas {
        zeros: zeros as u64,
        others: (calldata.len() - zeros) as u64,
        stored: stored_len as u64,
        output: output_len as u64,
        verification: verify_gas,
    };
    gas.limit(TOKEN_GAS.0, TOKEN_GAS.1)
}

impl Client {
    /// Orders a run whose input and output everyone can read, and waits for inclusion. `input` is in the graph's input encoding; the model's
    /// current price is paid into escrow.
    ///
    /// # Errors
    /// [`ClientError::LevelUnavailable`] before anything is sent, or the contract's own by name.
    pub async fn order(
        &self,
        model: B256,
        level: Level,
        input: &[u8],
        deadline_ms: u64,
    ) -> Result<PlacedOrder, ClientError> {
        if !level.is_available() {
            return Err(ClientError::LevelUnavailable(level));
        }
        let price = self.model(model).await?.price;
        let call = IInference::orderCall {
            model,
            level: level as u8,
            input: Bytes::copy_from_slice(input),
            deadlineMs: deadline_ms,
        };
        let call = Call::new(INFERENCE, &call).value(U256::from(price));
        placed(self.execute(call).await?)
    }

    /// Claims an order with a bond out of the free deposit.
    pub async fn claim(&self, id: U256) -> Result<TransactionReceipt, ClientError> {
        self.execute(Call::new(INFERENCE, &IInference::claimCall { id }))
            .await
    }

    /// The call that delivers, with its gas limit; nothing is verified before it is sent.
    pub async fn deliver_call(
        &self,
        order: &Order,
        output: &[u8],
        proof: &[u8],
    ) -> Result<Call, ClientError> {
        let (record, input, verify_gas) = futures::try_join!(
            self.model(order.model),
            self.order_input(order.id),
            self.verify_gas(order.model, order.is_sealed, proof.len()),
        )?;
        let call = IInference::deliverCall {
            id: order.id,
            output: Bytes::copy_from_slice(output),
            proof: Bytes::copy_from_slice(proof),
        };
        let mut call = Call::new(INFERENCE, &call);
        // The envelope of a sealed order is not read.
        let read = if order.is_sealed { 0 } else { input.len() };
        let stored = read.saturating_add(record.key_size as usize);
        call.gas = Some(deliver_gas_limit(
            &call.data,
            stored,
            output.len(),
            verify_gas,
        ));
        Ok(call)
    }

    /// Delivers and waits; a refused proof is `Reverted` with `ProofRefused("…")`.
    pub async fn deliver(
        &self,
        id: U256,
        output: &[u8],
        proof: &[u8],
    ) -> Result<TransactionReceipt, ClientError> {
        let order = self.get_order(id).await?;
        let call = self.deliver_call(&order, output, proof).await?;
        self.execute(call).await
    }

    /// Withdraws an open order of this key.
    pub async fn cancel(&self, id: U256) -> Result<TransactionReceipt, ClientError> {
        self.execute(Call::new(INFERENCE, &IInference::cancelCall { id }))
            .await
    }

    /// Settles an order whose window or deadline has passed.
    pub async fn expire(&self, id: U256) -> Result<TransactionReceipt, ClientError> {
        self.execute(Call::new(INFERENCE, &IInference::expireCall { id }))
            .await
    }

    /// Adds to this key's deposit, out of which bonds are locked.
    pub async fn deposit(&self, value: U256) -> Result<TransactionReceipt, ClientError> {
        self.execute(Call::new(INFERENCE, &IInference::depositCall {}).value(value))
            .await
    }

    /// Takes from the free part of this key's deposit.
    pub async fn withdraw(&self, value: U256) -> Result<TransactionReceipt, ClientError> {
        self.execute(Call::new(
            INFERENCE,
            &IInference::withdrawCall { amount: value },
        ))
        .await
    }

    /// The deposit of a seller.
    pub async fn deposit_of(&self, seller: Address) -> Result<Deposit, ClientError> {
        let deposit = self
            .query(INFERENCE, &IInference::depositsCall { seller })
            .await?;
        Ok(Deposit {
            free: deposit.free,
            locked: deposit.locked,
            open_claims: deposit.openClaims.into(),
        })
    }

    /// The market's parameters.
    pub async fn market_params(&self) -> Result<IInference::Params, ClientError> {
        self.query(INFERENCE, &IInference::paramsCall {}).await
    }

    /// One order.
    pub async fn get_order(&self, id: U256) -> Result<Order, ClientError> {
        let order = match self.query(INFERENCE, &IInference::getCall { id }).await {
            Err(ClientError::Refused(revert)) if revert.name == "UnknownOrder" => {
                return Err(ClientError::NoSuchOrder(id));
            }
            other => other?,
        };
        let level = Level::try_from(order.level as u8)
            .map_err(|error| ClientError::Malformed(error.to_string()))?;
        let status = Status::try_from(order.status as u8)
            .map_err(|status| ClientError::Malformed(format!("order status {status}")))?;
        Ok(Order {
            id: order.id,
            model: order.model,
            buyer: order.buyer,
            level,
            status,
            price: U256::from(order.price),
            owner_share_bps: order.ownerShareBps,
            network_bps: order.networkBps,
            verifier_version: order.verifierVersion,
            ordered_at_ms: order.orderedAtMs,
            deadline_ms: order.deadlineMs,
            input_hash: order.inputHash,
            output_hash: order.outputHash,
            seller: order.seller,
            bond: order.bond,
            claimed_at_ms: order.claimedAtMs,
            window_end_ms: order.windowEndMs,
            anchor: order.anchor,
            is_sealed: order.isSealed,
        })
    }

    /// Number of orders ever placed; ids run from 1.
    pub async fn order_count(&self) -> Result<u64, ClientError> {
        Ok(self
            .query(INFERENCE, &IInference::countCall {})
            .await?
            .saturating_to())
    }

    /// The newest orders first, at most `limit`.
    pub async fn orders(&self, limit: u64) -> Result<Vec<Order>, ClientError> {
        let count = self.order_count().await?;
        let first = count.saturating_sub(limit).saturating_add(1);
        let ids = (first..=count)
            .rev()
            .map(|id| async move { self.get_order(U256::from(id)).await });
        stream::iter(ids).buffered(PARALLEL).try_collect().await
    }

    /// Ids of orders that are open or claimed, in no particular order, at most 100.
    pub async fn open_orders(&self, offset: u64, limit: u64) -> Result<Vec<U256>, ClientError> {
        let call = IInference::openCall {
            offset: U256::from(offset),
            limit: U256::from(limit.min(PAGE)),
        };
        self.query(INFERENCE, &call).await
    }

    /// An order's input bytes; the envelope, if it is sealed.
    pub async fn order_input(&self, id: U256) -> Result<Bytes, ClientError> {
        self.query(INFERENCE, &IInference::inputCall { id }).await
    }

    /// An order's output bytes, masked if it is sealed; empty until delivered.
    pub async fn order_output(&self, id: U256) -> Result<Bytes, ClientError> {
        self.query(INFERENCE, &IInference::outputCall { id }).await
    }

    /// What a proof for this claimed (or paid) order must be bound to.
    ///
    /// # Errors
    /// [`ClientError::WrongState`] while nobody holds a claim.
    pub async fn order_context(&self, id: U256) -> Result<B256, ClientError> {
        let order = self.get_order(id).await?;
        if !matches!(order.status, Status::Claimed | Status::Paid) {
            let needed = "its context is fixed by a claim";
            return Err(ClientError::WrongState {
                id,
                status: order.status,
                needed,
            });
        }
        Ok(self.context_of(&order))
    }

    /// The context of an order that was read already.
    pub fn context_of(&self, order: &Order) -> B256 {
        hallmark_types::order_context(
            self.chain_id(),
            order.id,
            order.model,
            order.seller,
            order.anchor,
        )
    }

    /// Output and proof of a paid order, out of the transaction that delivered them.
    ///
    /// # Errors
    /// [`ClientError::WrongState`] while unpaid; [`ClientError::Malformed`] if a contract delivered,
    /// whose calldata are its own.
    pub async fn delivery(&self, id: U256) -> Result<(Bytes, Bytes), ClientError> {
        let Some(paid) = self.paid(id).await? else {
            let status = self.get_order(id).await?.status;
            let needed = "nothing was delivered";
            return Err(ClientError::WrongState { id, status, needed });
        };
        let raw: Bytes = self
            .request("eth_getRawTransactionByHash", json!([paid.transaction]))
            .await?;
        let transaction = TxEnvelope::decode_2718_exact(&raw)
            .map_err(|error| ClientError::Malformed(error.to_string()))?;
        decode_delivery(&transaction)
            .filter(|call| call.id == id)
            .map(|call| (call.output, call.proof))
            .ok_or_else(|| {
                ClientError::Malformed(format!("order {id} was delivered by a contract"))
            })
    }

    /// Recorded liabilities of `Inference`, in wei.
    pub async fn liabilities(&self) -> Result<U256, ClientError> {
        self.query(INFERENCE, &IInference::liabilitiesCall {}).await
    }

    /// What a verification will be charged: `Verifier.gas`, or `gasPrivate` for a proof that hides
    /// the input, as sealed orders need it.
    pub async fn verify_gas(
        &self,
        model: B256,
        is_sealed: bool,
        proof_len: usize,
    ) -> Result<u64, ClientError> {
        let length = U256::from(proof_len);
        let gas = if is_sealed {
            let call = IVerifier::gasPrivateCall {
                model,
                proofLength: length,
            };
            self.query(VERIFIER, &call).await?
        } else {
            let call = IVerifier::gasCall {
                model,
                proofLength: length,
            };
            self.query(VERIFIER, &call).await?
        };
        Ok(gas.saturating_to())
    }

    /// Waits until the order is paid and returns the payment with the answer.
    ///
    /// # Errors
    /// [`ClientError::EndedUnpaid`] if it was cancelled or refunded; [`ClientError::NotPaid`] when
    /// the time is over.
    pub async fn wait_paid(&self, id: U256, timeout: Duration) -> Result<PaidEvent, ClientError> {
        let start = Instant::now();
        loop {
            let order = self.get_order(id).await?;
            if order.status == Status::Paid {
                return self.paid(id).await?.ok_or_else(|| {
                    ClientError::Malformed(format!("order {id} is paid without its event"))
                });
            }
            if order.status.is_final() {
                return Err(ClientError::EndedUnpaid {
                    id,
                    status: order.status,
                });
            }
            if start.elapsed() >= timeout {
                return Err(ClientError::NotPaid {
                    id,
                    waited: timeout,
                    status: order.status,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The payment of an order, if it was paid. Searches backwards from the newest block.
    pub async fn paid(&self, id: U256) -> Result<Option<PaidEvent>, ClientError> {
        let topic = B256::from(id);
        let filter = Filter::new()
            .address(INFERENCE)
            .event_signature(IInference::Paid::SIGNATURE_HASH)
            .topic1(topic);
        let mut to = self.block_number().await?;
        loop {
            let from = to.saturating_sub(LOG_BLOCKS - 1);
            let logs = self
                .logs(&filter.clone().from_block(from).to_block(to))
                .await?;
            if let Some(log) = logs.last() {
                let output = self.order_output(id).await?;
                return paid_event(log, output).map(Some);
            }
            if from == 0 {
                return Ok(None);
            }
            to = from - 1;
        }
    }

    /// `Ordered` events of a range of blocks, both ends included.
    pub async fn ordered_events(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<OrderedEvent>, ClientError> {
        let mut events = Vec::new();
        let mut from = from;
        while from <= to {
            let end = to.min(from.saturating_add(LOG_BLOCKS - 1));
            let filter = ordered_filter().from_block(from).to_block(end);
            for log in self.logs(&filter).await? {
                events.push(ordered_event(&log)?);
            }
            from = end + 1;
        }
        Ok(events)
    }

    async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ClientError> {
        self.request("eth_getLogs", json!([filter])).await
    }
}

/// The order that a transaction placed.
pub(crate) fn placed(receipt: TransactionReceipt) -> Result<PlacedOrder, ClientError> {
    let ordered = receipt
        .logs()
        .iter()
        .filter(|log| log.address() == INFERENCE)
        .find_map(|log| IInference::Ordered::decode_log(&log.inner).ok())
        .ok_or_else(|| ClientError::Malformed("an order without its event".to_owned()))?;
    let id = ordered.id;
    Ok(PlacedOrder { id, receipt })
}

/// Filter of `Ordered` events, for subscriptions.
pub fn ordered_filter() -> Filter {
    Filter::new()
        .address(INFERENCE)
        .event_signature(IInference::Ordered::SIGNATURE_HASH)
}

/// Reads an `Ordered` event.
///
/// # Errors
/// The log is of another event.
pub fn ordered_event(log: &Log) -> Result<OrderedEvent, ClientError> {
    let event = IInference::Ordered::decode_log(&log.inner)
        .map_err(|error| ClientError::Malformed(format!("event Ordered: {error}")))?;
    Ok(OrderedEvent {
        id: event.id,
        model: event.model,
        buyer: event.buyer,
        level: event.level,
        price: U256::from(event.price),
        deadline_ms: event.deadlineMs,
        input_hash: event.inputHash,
        block_number: log.block_number.unwrap_or_default(),
    })
}

fn paid_event(log: &Log, output: Bytes) -> Result<PaidEvent, ClientError> {
    let event = IInference::Paid::decode_log(&log.inner)
        .map_err(|error| ClientError::Malformed(format!("event Paid: {error}")))?;
    Ok(PaidEvent {
        id: event.id,
        model: event.model,
        seller: event.seller,
        buyer: event.buyer,
        digest: event.digest,
        input_hash: event.inputHash,
        output_hash: event.outputHash,
        context: event.context,
        anchor: event.anchor,
        to_seller: event.toSeller,
        to_owner: event.toOwner,
        to_network: event.toNetwork,
        transaction: log.transaction_hash.unwrap_or_default(),
        block_number: log.block_number.unwrap_or_default(),
        output,
    })
}

/// The delivery in a transaction's calldata, if the transaction calls `Inference` itself.
pub(crate) fn decode_delivery(transaction: &TxEnvelope) -> Option<IInference::deliverCall> {
    if transaction.to() != Some(INFERENCE) {
        return None;
    }
    IInference::deliverCall::abi_decode(transaction.input()).ok()
}
