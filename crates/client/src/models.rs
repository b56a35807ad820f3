//! Contract `Models`: publish, list, show.

use crate::{Call, Client, ClientError, ModelRecord};
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use futures::{StreamExt, TryStreamExt, stream};
use hallmark_abi::IModels;
use hallmark_types::addresses::MODELS;

/// Bytes of a verifying key per upload; each stored word costs gas, so that a chunk stays well
/// below the gas limit of a transaction.
const CHUNK: usize = 24 << 10;
/// Entries that one call lists at most.
const PAGE: u64 = 100;
/// Requests in flight while listing.
const PARALLEL: usize = 8;

/// What an owner says of a model when publishing it.
#[derive(Clone, Debug)]
pub struct Listing {
    /// BLAKE3 of the model file.
    pub content_hash: B256,
    /// Bytes of the model file.
    pub content_size: u64,
    /// Price of one run, in wei.
    pub price: u128,
    /// The owner's part of the price, in 1/10000.
    pub owner_share_bps: u16,
    pub name: String,
    /// Where the model file may be had.
    pub uri: String,
}

/// Progress of an upload, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishProgress {
    pub sent: usize,
    pub total: usize,
}

/// A finished publication.
#[derive(Clone, Debug)]
pub struct Published {
    pub id: B256,
    pub digest: B256,
    pub block_number: u64,
    /// Sum over all its transactions.
    pub gas_used: u64,
}

/// Id under which `owner` publishes the key with this digest.
pub fn model_id(owner: alloy_primitives::Address, digest: B256) -> B256 {
    keccak256((owner, digest).abi_encode())
}

impl Client {
    /// Puts a verifying key into chain state in chunks and lists the model. An upload that was
    /// interrupted begins again.
    ///
    /// # Errors
    /// The contract's own, by name: `AlreadyPublished`, `KeySizeOutOfRange`, `InvalidKey`…
    pub async fn publish_model(
        &self,
        key: &[u8],
        listing: &Listing,
        mut progress: impl FnMut(PublishProgress) + Send,
    ) -> Result<Published, ClientError> {
        let owner = self.address().ok_or(ClientError::NoKey)?;
        let digest = B256::from(*blake3::hash(key).as_bytes());
        let id = model_id(owner, digest);
        let key_size = u32::try_from(key.len())
            .map_err(|_| ClientError::Malformed("the key is longer than 4 GiB".to_owned()))?;
        let begin = IModels::beginCall {
            digest,
            keySize: key_size,
            contentHash: listing.content_hash,
            contentSize: listing.content_size,
            price: listing.price,
            ownerShareBps: listing.owner_share_bps,
            name: listing.name.clone(),
            uri: listing.uri.clone(),
        };
        let mut gas_used = self.execute(Call::new(MODELS, &begin)).await?.gas_used;
        let mut sent = 0usize;
        progress(PublishProgress {
            sent,
            total: key.len(),
        });
        for chunk in key.chunks(CHUNK) {
            let upload = IModels::uploadCall {
                id,
                offset: sent as u32,
                chunk: Bytes::copy_from_slice(chunk),
            };
            gas_used += self.execute(Call::new(MODELS, &upload)).await?.gas_used;
            sent += chunk.len();
            progress(PublishProgress {
                sent,
                total: key.len(),
            });
        }
        let receipt = self
            .execute(Call::new(MODELS, &IModels::finishCall { id }))
            .await?;
        gas_used += receipt.gas_used;
        Ok(Published {
            id,
            digest,
            block_number: receipt.block_number.unwrap_or_default(),
            gas_used,
        })
    }

    /// Number of registered models.
    pub async fn model_count(&self) -> Result<u64, ClientError> {
        Ok(self
            .query(MODELS, &IModels::countCall {})
            .await?
            .saturating_to())
    }

    /// Most gas that one transaction may ask for: a model whose longest delivery needs more is not listed.
    pub async fn max_transaction_gas(&self) -> Result<u64, ClientError> {
        self.query(MODELS, &IModels::maxTransactionGasCall {}).await
    }

    /// Registered models, oldest first; fewer than `limit` at the end of the list.
    pub async fn models(&self, offset: u64, limit: u64) -> Result<Vec<ModelRecord>, ClientError> {
        let call = IModels::listCall {
            offset: U256::from(offset),
            limit: U256::from(limit.min(PAGE)),
        };
        let ids = self.query(MODELS, &call).await?;
        let records = ids
            .into_iter()
            .map(|id| async move { self.model(id).await });
        stream::iter(records).buffered(PARALLEL).try_collect().await
    }

    /// One model.
    pub async fn model(&self, id: B256) -> Result<ModelRecord, ClientError> {
        let info = match self.query(MODELS, &IModels::infoCall { id }).await {
            Err(ClientError::Refused(revert)) if revert.name == "UnknownModel" => {
                return Err(ClientError::NoSuchModel(id));
            }
            other => other?,
        };
        Ok(ModelRecord {
            id,
            owner: info.owner,
            price: info.price,
            owner_share_bps: info.ownerShareBps,
            digest: info.digest,
            commitment: info.commitment,
            content_hash: info.contentHash,
            content_size: info.contentSize,
            key_size: info.keySize,
            registered_at: info.registeredAt,
            active: info.active,
            name: info.name,
            uri: info.uri,
        })
    }

    /// The bytes of a model's verifying key, checked against the recorded digest.
    pub async fn model_key(&self, id: B256) -> Result<Bytes, ClientError> {
        let record = self.model(id).await?;
        let key = self.query(MODELS, &IModels::keyCall { id }).await?;
        if record.digest != *blake3::hash(&key).as_bytes() {
            return Err(ClientError::Malformed(format!(
                "the key of model {id} does not have the recorded digest"
            )));
        }
        Ok(key)
    }

    /// Finds one model by its id in hex, a unique prefix of it, or its exact name.
    ///
    /// # Errors
    /// Nothing fits, or more than one model does.
    pub async fn find_model(&self, text: &str) -> Result<ModelRecord, ClientError> {
        if let Ok(id) = text.parse::<B256>() {
            return self.model(id).await;
        }
        let prefix = text.strip_prefix("0x").map(str::to_ascii_lowercase);
        let mut found: Vec<ModelRecord> = Vec::new();
        let count = self.model_count().await?;
        let mut offset = 0;
        while offset < count {
            let page = self.models(offset, PAGE).await?;
            if page.is_empty() {
                break;
            }
            offset += page.len() as u64;
            found.extend(page.into_iter().filter(|model| match &prefix {
                Some(prefix) => format!("{:x}", model.id).starts_with(prefix.as_str()),
                None => model.name == text,
            }));
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(ClientError::ModelNotFound(text.to_owned())),
            n => Err(ClientError::ModelAmbiguous(text.to_owned(), n)),
        }
    }
}
