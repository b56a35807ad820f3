//! `web3_*` and `net_*`: who this node is.

use crate::{context::Rpc, error::Fault};
use alloy_primitives::{B256, Bytes, U64, keccak256};
use jsonrpsee::proc_macros::rpc;

/// Name and version as `web3_clientVersion` reports them.
pub(crate) const CLIENT_VERSION: &str = concat!("hallmark/v", env!("CARGO_PKG_VERSION"));

#[rpc(server, namespace = "web3")]
pub(crate) trait Web3 {
    #[method(name = "clientVersion")]
    fn client_version(&self) -> Result<String, Fault>;

    /// keccak-256 of the bytes, which is not the SHA-3 of the standard.
    #[method(name = "sha3")]
    fn sha3(&self, data: Bytes) -> Result<B256, Fault>;
}

#[rpc(server, namespace = "net")]
pub(crate) trait Net {
    /// Chain id in decimal.
    #[method(name = "version")]
    fn version(&self) -> Result<String, Fault>;

    #[method(name = "listening")]
    fn listening(&self) -> Result<bool, Fault>;

    /// Validators that are connected; until that is known, those that this node is told to reach.
    #[method(name = "peerCount")]
    fn peer_count(&self) -> Result<U64, Fault>;
}

impl Web3Server for Rpc {
    fn client_version(&self) -> Result<String, Fault> {
        Ok(CLIENT_VERSION.into())
    }

    fn sha3(&self, data: Bytes) -> Result<B256, Fault> {
        Ok(keccak256(data))
    }
}

impl NetServer for Rpc {
    fn version(&self) -> Result<String, Fault> {
        Ok(self.spec.chain_id.to_string())
    }

    fn listening(&self) -> Result<bool, Fault> {
        Ok(true)
    }

    fn peer_count(&self) -> Result<U64, Fault> {
        let told = self.spec.validators.len().saturating_sub(1) as u64;
        Ok(U64::from(self.node.peers().unwrap_or(told)))
    }
}
