//! Contract `Models`: publish, list, show.

use crate::{Client, ClientError, ModelRecord};
use alloy_primitives::{B256, Bytes};

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

impl Client {
    /// Puts a verifying key into chain state in chunks and lists the model.
    pub async fn publish_model(
        &self,
        _key: &[u8],
        _listing: &Listing,
        _progress: impl FnMut(PublishProgress) + Send,
    ) -> Result<Published, ClientError> {
        todo!()
    }

    /// Number of registered models.
    pub async fn model_count(&self) -> Result<u64, ClientError> {
        todo!()
    }

    /// Registered models, oldest first.
    pub async fn models(&self, _offset: u64, _limit: u64) -> Result<Vec<ModelRecord>, ClientError> {
        todo!()
    }

    /// One model.
    pub async fn model(&self, _id: B256) -> Result<ModelRecord, ClientError> {
        todo!()
    }

    /// The bytes of a model's verifying key, checked against the recorded digest.
    pub async fn model_key(&self, _id: B256) -> Result<Bytes, ClientError> {
        todo!()
    }

    /// Finds one model by its id in hex, a unique prefix of it, or its exact name.
    pub async fn find_model(&self, _text: &str) -> Result<ModelRecord, ClientError> {
        todo!()
    }
}
