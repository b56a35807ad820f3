//! Sealed orders, from the buyer's side.
//!
//! 1. A fresh [`InputSecret`] is drawn from the operating system; no two orders share one, so no two
//!    outputs are ever masked by the same pad.
//! 2. The input is committed to under the secret, and sealed to the named sellers ([`envelope`]).
//! 3. The secret is written to the [`SecretStore`], under the commitment, and then the order is sent:
//!    whatever happens afterwards, the answer can be read.
//! 4. The chain pays for a masked output whose proof holds; the secret unmasks it.
//!
//! The input is hidden from the chain and the public. The sellers that an order names can read it,
//! all of them, and the one that delivers knows the answer.

pub mod envelope;
#[cfg(test)]
mod retry_tests;
mod store;
#[cfg(test)]
mod tests;

pub use envelope::{Binding, EnvelopeError, MAX_SELLERS, Opened};
pub use store::{OrderSecret, SecretStore, StoreError};

use crate::{Call, Client, ClientError, Level, PlacedOrder, Status, orders::placed};
use alloy_primitives::{Address, B256, Bytes, U256};
use hallmark_abi::IInference;
use hallmark_graph::Graph;
use hallmark_proof::InputSecret;
use hallmark_types::addresses::INFERENCE;
use rand::{TryRngCore, rngs::OsRng};

/// Sellers that a listing looks at, at most.
const MAX_LISTED: u64 = 1_000;
/// Entries that one call lists at most.
const PAGE: u64 = 100;

/// Failure to seal.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("a sealed order names 1 to {MAX_SELLERS} sellers, each with its key, not {0}")]
    Sellers(usize),
    #[error("the sealing key of seller {0} is one that anyone can open")]
    WeakKey(Address),
    #[error("seller {0} has no sealing key; it takes open orders only")]
    NoKey(Address),
    #[error("no seller takes sealed orders of this price now")]
    NoSellers,
    #[error("the system gives no randomness: {0}")]
    Random(String),
    #[error("the cipher failed")]
    Cipher,
}

/// 32 bytes from the operating system.
///
/// # Errors
/// It has none.
pub fn random() -> Result<[u8; 32], SealError> {
    let mut bytes = [0; 32];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| SealError::Random(error.to_string()))?;
    Ok(bytes)
}

/// A sealed order that is still to be sent.
pub(crate) struct Draft {
    pub(crate) binding: Binding,
    pub(crate) secret: OrderSecret,
    pub(crate) envelope: Vec<u8>,
}

/// What is asked, and of whom.
pub(crate) struct Asked<'a> {
    pub(crate) chain_id: u64,
    pub(crate) model: B256,
    pub(crate) buyer: Address,
    pub(crate) sellers: &'a [Address],
    /// One for each seller.
    pub(crate) keys: &'a [[u8; 32]],
}

/// Seals an input under a secret that is drawn here and nowhere used again.
pub(crate) fn draft(asked: &Asked<'_>, graph: &Graph, input: &[i32]) -> Result<Draft, ClientError> {
    let secret = InputSecret::from_bytes(random()?);
    let commitment = hallmark_proof::commit_input(graph, input, &secret)
        .map_err(|error| ClientError::Input(error.to_string()))?;
    let binding = Binding {
        chain_id: asked.chain_id,
        model: asked.model,
        buyer: asked.buyer,
        commitment: commitment.into(),
        sellers: asked.sellers.to_vec(),
    };
    let input = graph.encode_input(input);
    let envelope = envelope::seal(&binding, asked.keys, &secret, &input)?;
    let input = input.into();
    Ok(Draft {
        binding,
        secret: OrderSecret { secret, input },
        envelope,
    })
}

/// A sealed order's terms.
#[derive(Clone, Copy, Debug)]
pub struct SealedOrder<'a> {
    pub model: B256,
    pub level: Level,
    /// The model's graph.
    pub graph: &'a Graph,
    /// Fits the graph.
    pub input: &'a [i32],
    /// Who may claim, and so who can read the input: 1 to 8.
    pub sellers: &'a [Address],
    pub deadline_ms: u64,
}

impl Client {
    /// Orders a run whose input only the named sellers can read, and waits for inclusion. Each call
    /// draws its own secret, also for an input that was ordered before, and keeps it in `store`
    /// before anything is sent.
    ///
    /// # Errors
    /// [`ClientError::LevelUnavailable`], [`ClientError::Input`], [`ClientError::Seal`] or
    /// [`ClientError::Secret`] before anything is sent, or the contract's own by name.
    pub async fn order_sealed(
        &self,
        order: &SealedOrder<'_>,
        store: &SecretStore,
    ) -> Result<PlacedOrder, ClientError> {
        if !order.level.is_available() {
            return Err(ClientError::LevelUnavailable(order.level));
        }
        let buyer = self.address().ok_or(ClientError::NoKey)?;
        let price = self.model(order.model).await?.price;
        let mut keys = Vec::new();
        for &seller in order.sellers.iter().take(MAX_SELLERS) {
            let key = self.sealing_key(seller).await?;
            keys.push(key.ok_or(SealError::NoKey(seller))?.0);
        }
        let asked = Asked {
            chain_id: self.chain_id(),
            model: order.model,
            buyer,
            sellers: order.sellers,
            keys: &keys,
        };
        let draft = draft(&asked, order.graph, order.input)?;
        let commitment = draft.binding.commitment;
        store.save(commitment, &draft.secret)?;
        let call = IInference::orderSealedCall {
            model: order.model,
            level: order.level as u8,
            commitment,
            sellers: order.sellers.to_vec(),
            envelope: draft.envelope.into(),
            deadlineMs: order.deadline_ms,
        };
        let call = Call::new(INFERENCE, &call).value(U256::from(price));
        match self.execute(call).await {
            Ok(receipt) => placed(receipt),
            Err(error) => {
                // Only these two say that no order came of it.
                if matches!(
                    error,
                    ClientError::Refused(_) | ClientError::Reverted { .. }
                ) {
                    store.discard(commitment);
                }
                Err(error)
            }
        }
    }

    /// The answer of a paid sealed order of this buyer.
    ///
    /// # Errors
    /// [`ClientError::WrongState`] while unpaid or if the order is open to all;
    /// [`ClientError::Secret`] if its secret is not in `store`.
    pub async fn open_output(
        &self,
        id: U256,
        graph: &Graph,
        store: &SecretStore,
    ) -> Result<Vec<i32>, ClientError> {
        let order = self.get_order(id).await?;
        let needed = match (order.is_sealed, order.status) {
            (true, Status::Paid) => None,
            (true, _) => Some("nothing was delivered"),
            (false, _) => Some("it is no sealed order"),
        };
        if let Some(needed) = needed {
            let status = order.status;
            return Err(ClientError::WrongState { id, status, needed });
        }
        let secret = store.load(order.input_hash)?;
        let bytes = self.order_output(id).await?;
        unmask(graph, &bytes, &secret.secret)
    }

    /// The sellers that a sealed order names; empty if it is open to all.
    pub async fn order_sellers(&self, id: U256) -> Result<Vec<Address>, ClientError> {
        self.query(INFERENCE, &IInference::sellersCall { id }).await
    }

    /// A seller's X25519 key for sealed orders, if it takes them.
    pub async fn sealing_key(&self, seller: Address) -> Result<Option<B256>, ClientError> {
        let call = IInference::sealingKeyCall { seller };
        let key = self.query(INFERENCE, &call).await?;
        Ok((!key.is_zero()).then_some(key))
    }

    /// Sets this key's X25519 key for sealed orders; zero takes none any more.
    pub async fn set_sealing_key(
        &self,
        key: B256,
    ) -> Result<crate::TransactionReceipt, ClientError> {
        let call = IInference::setSealingKeyCall { key };
        self.execute(Call::new(INFERENCE, &call)).await
    }

    /// Sellers that take sealed orders and have the bond for one of this price free, those with most
    /// at stake first, at most [`MAX_SELLERS`]. Whether they serve a certain model is not known to
    /// the chain. Everyone in the list can read what is sealed to it.
    pub async fn sellers_for_sealed_orders(
        &self,
        price: U256,
    ) -> Result<Vec<Address>, ClientError> {
        let params = self.market_params().await?;
        let part = price.saturating_mul(U256::from(params.bondBps)) / U256::from(10_000);
        let bond = params.minBond.max(part);
        let mut bonded = Vec::new();
        let mut offset = 0;
        while offset < MAX_LISTED {
            let call = IInference::sealingSellersCall {
                offset: U256::from(offset),
                limit: U256::from(PAGE),
            };
            let page = self.query(INFERENCE, &call).await?;
            let last = (page.len() as u64) < PAGE;
            for seller in page {
                let deposit = self.deposit_of(seller).await?;
                if deposit.free >= bond {
                    bonded.push((deposit.free, seller));
                }
            }
            if last {
                break;
            }
            offset += PAGE;
        }
        bonded.sort_by_key(|&(free, seller)| (std::cmp::Reverse(free), seller));
        bonded.truncate(MAX_SELLERS);
        Ok(bonded.into_iter().map(|(_, seller)| seller).collect())
    }
}

/// Reads a masked output.
///
/// # Errors
/// [`ClientError::Malformed`] if it is none of this graph, or not masked by this secret's pad.
pub fn unmask(graph: &Graph, bytes: &Bytes, secret: &InputSecret) -> Result<Vec<i32>, ClientError> {
    let malformed = |error: hallmark_graph::TensorError| {
        ClientError::Malformed(format!("the masked output does not open: {error}"))
    };
    let masked = hallmark_proof::decode_masked(graph, bytes).map_err(malformed)?;
    hallmark_proof::unmask_output(graph, &masked, secret).map_err(malformed)
}
