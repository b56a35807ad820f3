//! JSON-RPC for wallets and programs on the same machine: every answer was verified here.
//!
//! `eth_chainId`, `eth_blockNumber`, `eth_getBalance`, `eth_getProof` (of the newest block), and
//! `hallmark_orderReceipt`. A node that lies or does not answer is an error, never an answer.

use super::{Light, LightError};
use crate::Client;
use alloy_primitives::{Address, B256, U64, U256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use jsonrpsee::{
    RpcModule,
    server::{Server, ServerHandle},
    types::{ErrorObjectOwned, Params},
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::sync::Mutex;

/// Slots of one `eth_getProof`.
const MAX_SLOTS: usize = 256;
/// Connections at once.
const MAX_CONNECTIONS: u32 = 64;
/// Code of every error that is the node's fault.
const UNVERIFIED: i32 = -32000;
const INVALID_PARAMS: i32 = -32602;

/// A door that is open; dropping it closes it.
pub struct Door {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Door {
    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the door is closed.
    pub async fn closed(&self) {
        self.handle.clone().stopped().await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It may be closed already.
        self.handle.stop().ok();
    }
}

struct Shared {
    light: Arc<Mutex<Light>>,
    node: Client,
}

/// Opens the door at `listen` to a light client over a node.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(listen: SocketAddr, light: Arc<Mutex<Light>>, node: Client) -> io::Result<Door> {
    let config = jsonrpsee::server::ServerConfig::builder()
        .max_connections(MAX_CONNECTIONS)
        .max_request_body_size(64 * 1024)
        .build();
    let server = Server::builder().set_config(config).build(listen).await?;
    let address = server.local_addr()?;
    let handle = server.start(module(Shared { light, node }).map_err(io::Error::other)?);
    Ok(Door { address, handle })
}

fn module(shared: Shared) -> Result<RpcModule<Shared>, jsonrpsee::core::RegisterMethodError> {
    let mut module = RpcModule::new(shared);
    module.register_async_method("eth_chainId", |_, shared, _| async move {
        let light = shared.light.lock().await;
        Ok::<_, ErrorObjectOwned>(U64::from(light.spec().chain_id))
    })?;
    module.register_async_method("eth_blockNumber", |_, shared, _| async move {
        let mut light = shared.light.lock().await;
        light.follow(&shared.node).await.map_err(refused)?;
        Ok::<_, ErrorObjectOwned>(U64::from(light.number()))
    })?;
    module.register_async_method("eth_getBalance", |params, shared, _| async move {
        let (address, block) = address_and_block(&params)?;
        newest(block.as_deref())?;
        let proof = account(&shared, address, &[]).await?;
        Ok::<U256, ErrorObjectOwned>(proof.balance)
    })?;
    module.register_async_method("eth_getProof", |params, shared, _| async move {
        let mut params = params.sequence();
        let address: Address = params.next()?;
        let slots: Vec<U256> = params.next()?;
        let block: Option<String> = params.optional_next()?;
        newest(block.as_deref())?;
        if slots.len() > MAX_SLOTS {
            return Err(invalid(format!("at most {MAX_SLOTS} slots")));
        }
        let slots: Vec<B256> = slots.into_iter().map(B256::from).collect();
        account(&shared, address, &slots).await
    })?;
    module.register_async_method("hallmark_orderReceipt", |params, shared, _| async move {
        let order: U256 = params.one()?;
        let mut light = shared.light.lock().await;
        let receipt = light.order_receipt(&shared.node, order).await;
        receipt.map_err(refused)
    })?;
    Ok(module)
}

async fn account(
    shared: &Shared,
    address: Address,
    slots: &[B256],
) -> Result<EIP1186AccountProofResponse, ErrorObjectOwned> {
    let mut light = shared.light.lock().await;
    let proof = light.account(&shared.node, address, slots).await;
    proof.map_err(refused)
}

fn address_and_block(params: &Params<'_>) -> Result<(Address, Option<String>), ErrorObjectOwned> {
    let mut params = params.sequence();
    Ok((params.next()?, params.optional_next()?))
}

/// Only the newest state can be proven for sure: nodes keep few old ones.
fn newest(block: Option<&str>) -> Result<(), ErrorObjectOwned> {
    match block {
        None | Some("latest" | "safe" | "finalized") => Ok(()),
        Some(other) => Err(invalid(format!(
            "block {other:?}: a light client answers for the newest block only"
        ))),
    }
}

fn invalid(text: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS, text, None::<()>)
}

fn refused(error: LightError) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(UNVERIFIED, error.to_string(), None::<()>)
}
