//! Connection, nonces, signing, sending and waiting.

use crate::{ClientError, Revert};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer_local::PrivateKeySigner;
use std::{sync::Arc, time::Duration};

pub use alloy_rpc_types_eth::TransactionReceipt;

/// Priority fee that a transaction offers, in wei per gas.
pub const MIN_PRIORITY_FEE: u128 = 1_000_000;

/// What a transaction should do; gas is estimated by the node when `gas` is `None`.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub to: Address,
    pub data: Bytes,
    pub value: U256,
    pub gas: Option<u64>,
}

/// A signed transaction, ready to be sent again if need be.
#[derive(Clone, Debug)]
pub struct Signed {
    pub hash: B256,
    pub nonce: u64,
    /// EIP-2718 bytes.
    pub raw: Bytes,
}

/// A connection to a node, with or without a key. Clones share the connection and the nonces.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    chain_id: u64,
    signer: Option<PrivateKeySigner>,
}

impl Client {
    /// Connects to `http(s)://` or `ws(s)://` and asks for the chain id.
    pub async fn connect(
        _url: &str,
        _signer: Option<PrivateKeySigner>,
    ) -> Result<Self, ClientError> {
        todo!()
    }

    /// The same connection with another key.
    pub fn with_signer(&self, _signer: PrivateKeySigner) -> Self {
        todo!()
    }

    pub fn url(&self) -> &str {
        &self.inner.url
    }

    pub fn chain_id(&self) -> u64 {
        self.inner.chain_id
    }

    /// Address of the key, if there is one.
    pub fn address(&self) -> Option<Address> {
        self.inner.signer.as_ref().map(PrivateKeySigner::address)
    }

    /// Coins of an account, in wei.
    pub async fn balance(&self, _account: Address) -> Result<U256, ClientError> {
        todo!()
    }

    /// Height of the newest block, which is final.
    pub async fn block_number(&self) -> Result<u64, ClientError> {
        todo!()
    }

    /// The newest header's clock, in milliseconds.
    pub async fn now_ms(&self) -> Result<u64, ClientError> {
        todo!()
    }

    /// Base fee of the newest block, in wei per gas.
    pub async fn base_fee(&self) -> Result<u128, ClientError> {
        todo!()
    }

    /// Plain transfer; waits for inclusion.
    pub async fn transfer(
        &self,
        _to: Address,
        _value: U256,
    ) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }

    /// Runs a view and returns its raw result.
    pub async fn view(&self, _to: Address, _data: Bytes) -> Result<Bytes, ClientError> {
        todo!()
    }

    /// Signs and sends; does not wait. Sends of clones are numbered one after another.
    pub async fn submit(&self, _call: Call) -> Result<Signed, ClientError> {
        todo!()
    }

    /// As [`Client::submit`], with a step between signing and sending (a journal entry).
    pub async fn submit_with<F>(&self, _call: Call, _before: F) -> Result<Signed, ClientError>
    where
        F: FnOnce(&Signed) -> Result<(), String> + Send,
    {
        todo!()
    }

    /// Sends a signed transaction again; one that the node already knows is no error.
    pub async fn rebroadcast(&self, _raw: &[u8]) -> Result<B256, ClientError> {
        todo!()
    }

    /// Waits until the transaction is in a block (which is then final), failed or not.
    pub async fn wait_receipt(
        &self,
        _hash: B256,
        _timeout: Duration,
    ) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }

    /// The receipt, if the transaction is in a block.
    pub async fn receipt(&self, _hash: B256) -> Result<Option<TransactionReceipt>, ClientError> {
        todo!()
    }

    /// Why an included transaction failed, by asking the node to run it again on that block.
    pub async fn failure_reason(
        &self,
        _receipt: &TransactionReceipt,
    ) -> Result<Option<Revert>, ClientError> {
        let _ = TxKind::Create;
        todo!()
    }

    /// Sends, waits and turns a failed transaction into [`ClientError::Reverted`] with its reason.
    pub async fn execute(&self, _call: Call) -> Result<TransactionReceipt, ClientError> {
        todo!()
    }
}
