//! Gathers a receipt from a node.

use super::{OrderReceipt, ReceiptInput, Revealed, VERSION};
use crate::{Client, ClientError, OrderSecret, orders::decode_delivery};
use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes, U64, U256};
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// A block may be certified a moment after it is committed, by one of its descendants.
const CERTIFICATE_WAIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// Answer of `hallmark_inclusion`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    finality: Finality,
    index: U64,
    transaction: Bytes,
    transaction_proof: Vec<Bytes>,
    receipt: Bytes,
    receipt_proof: Vec<Bytes>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finality {
    header: Bytes,
    descendants: Vec<Bytes>,
    certificate: Bytes,
}

impl OrderReceipt {
    /// Gathers the receipt of a paid order from a node. Nothing is trusted here: `verify` checks
    /// the whole of it.
    ///
    /// # Errors
    /// [`ClientError::WrongState`] while unpaid; [`ClientError::Malformed`] if a contract delivered
    /// (its maker has the proof, the chain's calldata need not).
    pub async fn build(client: &Client, order: U256) -> Result<Self, ClientError> {
        let record = client.get_order(order).await?;
        let Some(paid) = client.paid(order).await? else {
            let status = record.status;
            return Err(ClientError::WrongState {
                id: order,
                status,
                needed: "a receipt needs a paid one",
            });
        };
        let (verifying_key, inclusion) = futures::try_join!(
            client.model_key(paid.model),
            inclusion(client, paid.transaction),
        )?;
        let transaction = TxEnvelope::decode_2718_exact(&inclusion.transaction)
            .map_err(|error| ClientError::Malformed(error.to_string()))?;
        let delivered = decode_delivery(&transaction).filter(|call| call.id == order);
        let delivered = delivered.ok_or_else(|| {
            ClientError::Malformed(format!("order {order} was delivered by a contract"))
        })?;
        let input = if record.is_sealed {
            ReceiptInput::Sealed {
                commitment: paid.input_hash,
                revealed: None,
            }
        } else {
            let input = client.order_input(order).await?;
            ReceiptInput::Public { input }
        };
        Ok(Self {
            version: VERSION,
            chain_id: client.chain_id(),
            order_id: order,
            model: paid.model,
            verifying_key,
            input,
            output: delivered.output,
            proof: delivered.proof,
            seller: paid.seller,
            anchor: paid.anchor,
            context: paid.context,
            transaction: inclusion.transaction,
            transaction_index: inclusion.index.to(),
            transaction_proof: inclusion.transaction_proof,
            receipt: inclusion.receipt,
            receipt_proof: inclusion.receipt_proof,
            header: inclusion.finality.header,
            descendants: inclusion.finality.descendants,
            certificate: inclusion.finality.certificate,
        })
    }
}

impl OrderReceipt {
    /// The same receipt for a reader who may know input and output of a sealed order.
    #[must_use]
    pub fn reveal(mut self, secret: &OrderSecret) -> Self {
        if let ReceiptInput::Sealed { revealed, .. } = &mut self.input {
            *revealed = Some(Revealed {
                input: secret.input.clone(),
                secret: secret.secret.to_bytes().into(),
            });
        }
        self
    }
}

async fn inclusion(client: &Client, transaction: B256) -> Result<Inclusion, ClientError> {
    let start = Instant::now();
    loop {
        let asked: Result<Option<Inclusion>, _> = client
            .request("hallmark_inclusion", json!([transaction]))
            .await;
        match asked {
            Ok(Some(inclusion)) => return Ok(inclusion),
            Ok(None) => {
                return Err(ClientError::Malformed(format!(
                    "the node does not know transaction {transaction}, which it named itself"
                )));
            }
            Err(ClientError::Rpc { .. }) if start.elapsed() < CERTIFICATE_WAIT => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL).await;
    }
}
