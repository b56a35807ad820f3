//! Gathers a receipt from a node.

use super::OrderReceipt;
use crate::{Client, ClientError};
use alloy_primitives::{B256, U256};

impl OrderReceipt {
    /// Gathers the receipt of a paid order from a node. `spec_hash` is `ChainSpec::hash()` of
    /// the chain that the caller means; it is recorded and compared when the receipt is verified.
    pub async fn build(
        _client: &Client,
        _spec_hash: B256,
        _order: U256,
    ) -> Result<Self, ClientError> {
        todo!()
    }
}
