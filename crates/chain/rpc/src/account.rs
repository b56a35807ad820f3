//! `eth_*` about accounts: balance, nonce, code, storage and their Merkle-Patricia proofs.

use crate::{
    context::Rpc,
    error::{Fault, Reply},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_serde::JsonStorageKey;
use hallmark_state::State;
use jsonrpsee::proc_macros::rpc;

/// Storage slots that one `eth_getProof` may ask for.
const MAX_PROOF_SLOTS: usize = 256;

#[rpc(server, namespace = "eth")]
pub(crate) trait Accounts {
    /// Always empty: this node holds no keys.
    #[method(name = "accounts")]
    fn accounts(&self) -> Result<Vec<Address>, Fault>;

    #[method(name = "getBalance")]
    fn balance(&self, address: Address, block: Option<BlockId>) -> Result<U256, Fault>;

    /// Nonce; with `pending` it counts the transactions that wait in the mempool.
    #[method(name = "getTransactionCount")]
    fn nonce(&self, address: Address, block: Option<BlockId>) -> Result<U64, Fault>;

    #[method(name = "getCode")]
    fn code(&self, address: Address, block: Option<BlockId>) -> Result<Bytes, Fault>;

    #[method(name = "getStorageAt")]
    fn storage(
        &self,
        address: Address,
        slot: JsonStorageKey,
        block: Option<BlockId>,
    ) -> Result<B256, Fault>;

    /// EIP-1186 proof of an account and of some of its slots.
    #[method(name = "getProof", blocking)]
    fn proof(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockId>,
    ) -> Result<EIP1186AccountProofResponse, Fault>;
}

impl AccountsServer for Rpc {
    fn accounts(&self) -> Reply<Vec<Address>> {
        Ok(Vec::new())
    }

    fn balance(&self, address: Address, block: Option<BlockId>) -> Reply<U256> {
        let (state, _) = self.state(block)?;
        Ok(state
            .account(&address)
            .map_or(U256::ZERO, |account| account.balance))
    }

    fn nonce(&self, address: Address, block: Option<BlockId>) -> Reply<U64> {
        let (state, _) = self.state(block)?;
        if block == Some(BlockId::Number(BlockNumberOrTag::Pending)) {
            return Ok(U64::from(self.mempool.pending_nonce(&address, &state)));
        }
        Ok(U64::from(
            state.account(&address).map_or(0, |account| account.nonce),
        ))
    }

    fn code(&self, address: Address, block: Option<BlockId>) -> Reply<Bytes> {
        let (state, _) = self.state(block)?;
        let account = state.account(&address);
        Ok(account
            .and_then(|account| state.code(&account.code_hash))
            .unwrap_or_default())
    }

    fn storage(
        &self,
        address: Address,
        slot: JsonStorageKey,
        block: Option<BlockId>,
    ) -> Reply<B256> {
        let (state, _) = self.state(block)?;
        Ok(state.storage(&address, &slot.as_b256().into()).into())
    }

    fn proof(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockId>,
    ) -> Reply<EIP1186AccountProofResponse> {
        let (state, _) = self.state(block)?;
        account_proof(&state, address, slots)
    }
}

/// # Errors
/// `Limit` for more than [`MAX_PROOF_SLOTS`] slots.
pub(crate) fn account_proof(
    state: &State,
    address: Address,
    slots: Vec<JsonStorageKey>,
) -> Reply<EIP1186AccountProofResponse> {
    if slots.len() > MAX_PROOF_SLOTS {
        return Err(Fault::Limit(format!(
            "too many slots: at most {MAX_PROOF_SLOTS}"
        )));
    }
    Ok(proven(state, address, slots))
}

/// An EIP-1186 proof of an account and these slots.
pub(crate) fn proven(
    state: &State,
    address: Address,
    slots: Vec<JsonStorageKey>,
) -> EIP1186AccountProofResponse {
    let keys: Vec<U256> = slots.iter().map(|slot| slot.as_b256().into()).collect();
    let proof = state.prove(&address, &keys);
    let account = proof.account.unwrap_or_default();
    EIP1186AccountProofResponse {
        address,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: account.nonce,
        storage_hash: proof.storage_root,
        account_proof: proof.proof,
        storage_proof: slots
            .into_iter()
            .zip(proof.storage)
            .map(|(key, slot)| EIP1186StorageProof {
                key,
                value: slot.value,
                proof: slot.proof,
            })
            .collect(),
    }
}
