//! The register of models.
//!
//! # Life of a model
//!
//! | from | method | to | who |
//! |---|---|---|---|
//! | nothing, uploading | `begin` | uploading, no bytes received | anyone, under its own id |
//! | uploading | `upload` | uploading, chunk appended | owner |
//! | uploading, complete | `finish` | listed | owner |
//! | listed | `setPrice`, `setUri` | listed | owner |
//! | listed | `retire` | retired, for good | owner |
//!
//! The id is `keccak256(abi.encode(owner, digest))`, so nobody can squat on another owner's id,
//! and a listed id names one key for ever: what proofs were judged by cannot change. `finish`
//! recomputes the digest, decodes the key, and refuses a model whose tensors an order could not
//! carry or whose longest delivery, in either mode, has no room in a transaction's gas: its seller would
//! claim, fail to deliver, and lose a bond.
//!
//! The key lies in storage, so that a verification reads chain state and the transaction only.

// Locals that fill an ABI struct carry its field's name.
#![allow(non_snake_case)]

mod dispatch;
#[cfg(test)]
mod measured;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolEvent, SolValue};
use hallmark_abi::models::IModels::{self, ModelInfo};
use hallmark_contracts_macros::contract;
use hallmark_graph::{Graph, Input, Range, Scale, Shape, TensorError};
use hallmark_proof::{VerifyCost, VerifyingKey};
use hallmark_types::{ChainSpec, DeliveryGas, addresses};

pub(crate) use dispatch::call;

use crate::{
    Host, Result, gas,
    host::{OrRevert, checked, revert},
    storage::{Mapping, Slot, StorageBytes, StorageVec, Words},
    verifier::Verifier,
};

/// Longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest uri, in bytes.
pub const MAX_URI_BYTES: usize = 512;
/// Most entries of one `list`.
pub const MAX_PAGE: u64 = 100;
/// A whole, in 1/10000.
pub(crate) const BPS: u16 = 10_000;

/// Storage of `Models`.
#[contract(address = addresses::MODELS)]
pub struct Models {
    /// Longest verifying key, in bytes; fixed at genesis.
    pub max_key_bytes: Slot<u32>,
    /// Longest input or output of a model, in bytes; fixed at genesis.
    pub max_tensor_bytes: Slot<u32>,
    /// Largest owner's share: what the network's part leaves, in 1/10000; fixed at genesis.
    pub max_owner_share_bps: Slot<u16>,
    /// Most gas that one transaction may ask for, and so the dearest delivery; fixed at genesis.
    pub max_transaction_gas: Slot<u64>,
    /// Least gas per token of calldata (EIP-7623); fixed at genesis.
    pub calldata_floor: Slot<u32>,
    /// Gas per token of calldata beside a transaction's work; fixed at genesis.
    pub calldata_price: Slot<u32>,
    /// Ids in order of listing.
    pub ids: StorageVec<B256>,
    pub models: Mapping<B256, Model>,
}

/// One model or open upload.
#[contract]
pub struct Model {
    pub owner: Slot<Address>,
    pub owner_share_bps: Slot<u16>,
    pub active: Slot<bool>,
    pub key_size: Slot<u32>,
    /// In wei.
    pub price: Slot<u128>,
    /// Block of `finish`; 0 before.
    pub registered_at: Slot<u64>,
    pub content_size: Slot<u64>,
    pub digest: Slot<B256>,
    pub commitment: Slot<B256>,
    pub content_hash: Slot<B256>,
    /// Gas of a verification that the key decides, decoding it included.
    pub verify_gas: Slot<u64>,
    /// No valid proof is longer, in bytes.
    pub max_proof_bytes: Slot<u32>,
    /// Length of an encoded output, in bytes.
    pub output_bytes: Slot<u32>,
    pub name: StorageBytes,
    pub uri: StorageBytes,
    /// Elements of every input, and their least and largest value: an order is checked without the
    /// key, whose decoding costs more than the order.
    pub inputs: StorageBytes,
    pub key: StorageBytes,
    /// As `verify_gas`, for proofs that hide the input.
    pub private_verify_gas: Slot<u64>,
    /// As `max_proof_bytes`, for proofs that hide the input; 0 if the key has no such proofs.
    pub max_private_proof_bytes: Slot<u32>,
    /// Length of an encoded masked output, in bytes.
    pub masked_output_bytes: Slot<u32>,
}

impl Models {
    /// # Errors
    ///
    /// `KeySizeOutOfRange`, `ShareTooLarge`, `TextTooLong`, `AlreadyPublished`.
    pub fn begin(&self, host: &mut dyn Host, call: IModels::beginCall) -> Result<B256> {
        let maximum = self.max_key_bytes.read(host)?;
        if call.keySize == 0 || call.keySize > maximum {
            return revert(IModels::KeySizeOutOfRange {
                keySize: call.keySize,
                maximum,
            });
        }
        let maximum = self.max_owner_share_bps.read(host)?;
        if call.ownerShareBps > maximum {
            let ownerShareBps = call.ownerShareBps;
            return revert(IModels::ShareTooLarge {
                ownerShareBps,
                maximum,
            });
        }
        check_text(&call.name, MAX_NAME_BYTES)?;
        check_text(&call.uri, MAX_URI_BYTES)?;
        let owner = host.caller();
        let id = model_id(owner, call.digest);
        let model = self.models.at(id);
        if model.registered_at.read(host)? != 0 {
            return revert(IModels::AlreadyPublished { id });
        }
        model.owner.write(host, owner)?;
        model.owner_share_bps.write(host, call.ownerShareBps)?;
        model.key_size.write(host, call.keySize)?;
        model.price.write(host, call.price)?;
        model.content_size.write(host, call.contentSize)?;
        model.digest.write(host, call.digest)?;
        model.content_hash.write(host, call.contentHash)?;
        model.name.write(host, call.name.as_bytes())?;
        model.uri.write(host, call.uri.as_bytes())?;
        model.key.write(host, &[])?;
        let event = IModels::UploadBegun {
            id,
            owner,
            digest: call.digest,
            keySize: call.keySize,
        };
        host.emit(addresses::MODELS, event.encode_log_data())?;
        Ok(id)
    }

    /// # Errors
    ///
    /// `UnknownModel`, `NotOwner`, `AlreadyPublished`, `WrongOffset`, `ChunkOutOfRange`.
    pub fn upload(&self, host: &mut dyn Host, call: IModels::uploadCall) -> Result<()> {
        let model = self.owned(host, call.id)?;
        if model.registered_at.read(host)? != 0 {
            return revert(IModels::AlreadyPublished { id: call.id });
        }
        let expected = length(model.key.len(host)?)?;
        if call.offset != expected {
            return revert(IModels::WrongOffset {
                offset: call.offset,
                expected,
            });
        }
        let left = checked(model.key_size.read(host)?.checked_sub(expected))?;
        if call.chunk.is_empty() || U256::from(call.chunk.len()) > U256::from(left) {
            let length = U256::from(call.chunk.len());
            return revert(IModels::ChunkOutOfRange { length, left });
        }
        model.key.append(host, &call.chunk)
    }

    /// # Errors
    ///
    /// `UnknownModel`, `NotOwner`, `AlreadyPublished`, `UploadIncomplete`, `DigestMismatch`,
    /// `InvalidKey`.
    pub fn finish(&self, host: &mut dyn Host, id: B256) -> Result<()> {
        let model = self.owned(host, id)?;
        if model.registered_at.read(host)? != 0 {
            return revert(IModels::AlreadyPublished { id });
        }
        let received = length(model.key.len(host)?)?;
        let keySize = model.key_size.read(host)?;
        if received != keySize {
            return revert(IModels::UploadIncomplete { received, keySize });
        }
        let bytes = model.key.read(host)?;
        gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, bytes.len())?;
        let computed = B256::from(*blake3::hash(&bytes).as_bytes());
        let announced = model.digest.read(host)?;
        if computed != announced {
            return revert(IModels::DigestMismatch {
                announced,
                computed,
            });
        }
        gas::charge_bytes(
            host,
            gas::KEY_LISTING,
            gas::KEY_DECODE_PER_BYTE,
            bytes.len(),
        )?;
        let key = decode_key(&bytes)?;
        self.check_bounds(host, &key, bytes.len())?;
        model.commitment.write(host, key.commitment().into())?;
        model.record_limits(host, &key, bytes.len())?;
        let block = host.block_number();
        model.registered_at.write(host, block)?;
        model.active.write(host, true)?;
        self.ids.push(host, id)?;
        let info = self.info(host, id)?;
        let event = IModels::Published {
            id,
            owner: info.owner,
            digest: info.digest,
            commitment: info.commitment,
            contentHash: info.contentHash,
            contentSize: info.contentSize,
            price: info.price,
            ownerShareBps: info.ownerShareBps,
            name: info.name,
            uri: info.uri,
        };
        Ok(host.emit(addresses::MODELS, event.encode_log_data())?)
    }

    fn check_bounds(&self, host: &mut dyn Host, key: &VerifyingKey, length: usize) -> Result<()> {
        let graph = key.graph();
        let mut longest = graph.input_bytes().max(graph.output_bytes());
        if key.private_cost().is_some() {
            longest = longest.max(masked_output_bytes(graph));
        }
        let maximum = self.max_tensor_bytes.read(host)?;
        if U256::from(longest) > U256::from(maximum) {
            let reason = format!("a tensor of {longest} bytes; an order carries {maximum}");
            return revert(IModels::InvalidKey { reason });
        }
        // An open delivery reads the input as well; of a sealed one the commitment says all.
        let stored = length.saturating_add(graph.input_bytes());
        let (output, proof) = (graph.output_bytes(), key.max_proof_len());
        let mut gas =
            self.delivery_gas(host, key_gas(key.cost(), length), output, proof, stored)?;
        if let (Some(cost), Some(proof)) = (key.private_cost(), key.max_private_proof_len()) {
            let output = masked_output_bytes(graph);
            let sealed = self.delivery_gas(host, key_gas(cost, length), output, proof, length)?;
            gas = gas.max(sealed);
        }
        let maximum = self.max_transaction_gas.read(host)?;
        if gas > maximum {
            let reason = format!("a delivery may need {gas} gas; a transaction has {maximum}");
            return revert(IModels::InvalidKey { reason });
        }
        Ok(())
    }

    /// Gas limit of the dearest delivery of a proof of this length.
    fn delivery_gas(
        &self,
        host: &mut dyn Host,
        key_gas: u64,
        output: usize,
        proof: usize,
        stored: usize,
    ) -> Result<u64> {
        let count = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let verification = Verifier::new().gas_of(host, key_gas, count(proof))?;
        let dearest =
            DeliveryGas::dearest(count(output), count(proof), count(stored), verification);
        let floor = u64::from(self.calldata_floor.read(host)?);
        let price = u64::from(self.calldata_price.read(host)?);
        Ok(dearest.limit(floor, price))
    }

    /// Most gas that one transaction may ask for.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn max_transaction_gas(&self, host: &mut dyn Host) -> Result<u64> {
        Ok(self.max_transaction_gas.read(host)?)
    }

    /// # Errors
    ///
    /// `UnknownModel`, `NotOwner`, `NotPublished`, `ModelRetired`.
    pub fn set_price(&self, host: &mut dyn Host, id: B256, price: u128) -> Result<()> {
        self.owned_active(host, id)?.price.write(host, price)?;
        Ok(host.emit(
            addresses::MODELS,
            IModels::PriceSet { id, price }.encode_log_data(),
        )?)
    }

    /// # Errors
    ///
    /// `UnknownModel`, `NotOwner`, `NotPublished`, `ModelRetired`, `TextTooLong`.
    pub fn set_uri(&self, host: &mut dyn Host, id: B256, uri: String) -> Result<()> {
        check_text(&uri, MAX_URI_BYTES)?;
        self.owned_active(host, id)?
            .uri
            .write(host, uri.as_bytes())?;
        Ok(host.emit(
            addresses::MODELS,
            IModels::UriSet { id, uri }.encode_log_data(),
        )?)
    }

    /// # Errors
    ///
    /// `UnknownModel`, `NotOwner`, `NotPublished`, `ModelRetired`.
    pub fn retire(&self, host: &mut dyn Host, id: B256) -> Result<()> {
        self.owned_active(host, id)?.active.write(host, false)?;
        Ok(host.emit(addresses::MODELS, IModels::Retired { id }.encode_log_data())?)
    }

    /// # Errors
    ///
    /// `UnknownModel`.
    pub fn info(&self, host: &mut dyn Host, id: B256) -> Result<ModelInfo> {
        let model = self.known(host, id)?;
        Ok(ModelInfo {
            owner: model.owner.read(host)?,
            price: model.price.read(host)?,
            ownerShareBps: model.owner_share_bps.read(host)?,
            digest: model.digest.read(host)?,
            commitment: model.commitment.read(host)?,
            contentHash: model.content_hash.read(host)?,
            contentSize: model.content_size.read(host)?,
            keySize: model.key_size.read(host)?,
            registeredAt: model.registered_at.read(host)?,
            active: model.active.read(host)?,
            name: text(model.name.read(host)?),
            uri: text(model.uri.read(host)?),
        })
    }

    /// # Errors
    ///
    /// `UnknownModel`, `NotPublished`.
    pub fn key(&self, host: &mut dyn Host, id: B256) -> Result<Bytes> {
        let model = self.known(host, id)?;
        if model.registered_at.read(host)? == 0 {
            return revert(IModels::NotPublished { id });
        }
        Ok(model.key.read(host)?.into())
    }

    /// Number of models ever listed.
    pub fn count(&self, host: &mut dyn Host) -> Result<U256> {
        Ok(U256::from(self.ids.len(host)?))
    }

    /// # Errors
    ///
    /// `LimitTooLarge`.
    pub fn list(&self, host: &mut dyn Host, offset: U256, limit: U256) -> Result<Vec<B256>> {
        let maximum = U256::from(MAX_PAGE);
        if limit > maximum {
            return revert(IModels::LimitTooLarge { limit, maximum });
        }
        self.ids.page(host, offset, limit)
    }

    /// The model of this id, if it is listed or retired.
    pub(crate) fn published(&self, host: &mut dyn Host, id: B256) -> Result<Option<Model>> {
        let model = self.models.at(id);
        Ok((model.registered_at.read(host)? != 0).then_some(model))
    }

    fn known(&self, host: &mut dyn Host, id: B256) -> Result<Model> {
        let model = self.models.at(id);
        if model.owner.read(host)?.is_zero() {
            return revert(IModels::UnknownModel { id });
        }
        Ok(model)
    }

    fn owned(&self, host: &mut dyn Host, id: B256) -> Result<Model> {
        let model = self.known(host, id)?;
        let owner = model.owner.read(host)?;
        if owner != host.caller() {
            return revert(IModels::NotOwner { owner });
        }
        Ok(model)
    }

    fn owned_active(&self, host: &mut dyn Host, id: B256) -> Result<Model> {
        let model = self.owned(host, id)?;
        if model.registered_at.read(host)? == 0 {
            return revert(IModels::NotPublished { id });
        }
        if !model.active.read(host)? {
            return revert(IModels::ModelRetired { id });
        }
        Ok(model)
    }

    /// Writes the parameters that a chain begins with.
    pub(crate) fn preset(&self, spec: &ChainSpec, storage: &mut BTreeMap<Address, Words>) {
        let market = &spec.market;
        self.max_key_bytes.preset(storage, market.max_key_bytes);
        self.max_tensor_bytes
            .preset(storage, market.max_input_bytes);
        self.max_owner_share_bps
            .preset(storage, BPS.saturating_sub(market.network_bps));
        let limits = &spec.limits;
        self.max_transaction_gas
            .preset(storage, limits.tx_gas_limit.min(limits.block_gas_limit));
        // The spec's check bounds both by 1,000.
        let price = |gas: u64| u32::try_from(gas).unwrap_or(u32::MAX);
        self.calldata_floor
            .preset(storage, price(limits.payload_floor_gas_per_token));
        self.calldata_price
            .preset(storage, price(limits.payload_gas_per_token));
    }
}

/// `keccak256(abi.encode(owner, digest))`.
#[must_use]
pub fn model_id(owner: Address, digest: B256) -> B256 {
    keccak256((owner, digest).abi_encode())
}

impl Model {
    /// Writes what a delivery is held against, so that it is refused before the key is decoded.
    fn record_limits(
        &self,
        host: &mut dyn Host,
        key: &VerifyingKey,
        key_length: usize,
    ) -> Result<()> {
        let graph = key.graph();
        self.verify_gas
            .write(host, key_gas(key.cost(), key_length))?;
        self.max_proof_bytes
            .write(host, length(key.max_proof_len())?)?;
        self.output_bytes
            .write(host, length(graph.output_bytes())?)?;
        self.inputs.write(host, &ports(graph)?)?;
        if let (Some(cost), Some(longest)) = (key.private_cost(), key.max_private_proof_len()) {
            self.private_verify_gas
                .write(host, key_gas(cost, key_length))?;
            self.max_private_proof_bytes.write(host, length(longest)?)?;
            self.masked_output_bytes
                .write(host, length(masked_output_bytes(graph))?)?;
        }
        Ok(())
    }

    /// Checks an encoded input against what the key declared, without the key. Charges for it.
    ///
    /// # Errors
    ///
    /// The inner error says why the model takes no such input.
    pub(crate) fn check_input(
        &self,
        host: &mut dyn Host,
        input: &[u8],
    ) -> Result<std::result::Result<(), TensorError>> {
        gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, input.len())?;
        let scale = Scale {
            multiplier: 1,
            shift: 0,
        };
        let ports = self.inputs.read(host)?;
        let (words, _) = ports.as_chunks::<4>();
        let (ports, _) = words.as_chunks::<PORT_WORDS>();
        let inputs = ports.iter().map(|[elements, lo, hi]| Input {
            shape: Shape(vec![u32::from_be_bytes(*elements)]),
            range: Range {
                lo: i32::from_be_bytes(*lo),
                hi: i32::from_be_bytes(*hi),
            },
            scale,
        });
        // A graph of no steps: the encoding of an input depends on nothing behind it.
        let graph = Graph {
            inputs: inputs.collect(),
            nodes: Vec::new(),
            outputs: Vec::new(),
        };
        Ok(graph.decode_input(input).map(|_| ()))
    }
}

/// Words of one declared input: elements, smallest and largest integer, big endian.
const PORT_WORDS: usize = 3;

/// What `check_input` needs of a graph's declared inputs.
fn ports(graph: &Graph) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for input in &graph.inputs {
        bytes.extend(length(input.shape.elements())?.to_be_bytes());
        bytes.extend(input.range.lo.to_be_bytes());
        bytes.extend(input.range.hi.to_be_bytes());
    }
    Ok(bytes)
}

/// Reads a listed model's key. [`Verifier::charge`] has charged for the decoding.
pub(crate) fn load_key(host: &mut dyn Host, model: &Model) -> Result<VerifyingKey> {
    decode_key(&model.key.read(host)?)
}

/// Bytes of a masked output: a field element, of 4 bytes, for each of its integers.
fn masked_output_bytes(graph: &Graph) -> usize {
    graph.output_len().saturating_mul(4)
}

/// Gas of a verification that the key decides: its cost, and decoding its bytes.
fn key_gas(cost: VerifyCost, length: usize) -> u64 {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    cost.gas()
        .saturating_add(gas::KEY_DECODE)
        .saturating_add(gas::KEY_DECODE_PER_BYTE.saturating_mul(length))
}

fn decode_key(bytes: &[u8]) -> Result<VerifyingKey> {
    match VerifyingKey::decode(bytes) {
        Ok(key) => Ok(key),
        Err(error) => revert(IModels::InvalidKey {
            reason: error.to_string(),
        }),
    }
}

fn check_text(text: &str, maximum: usize) -> Result<()> {
    if text.len() > maximum {
        let (length, maximum) = (U256::from(text.len()), U256::from(maximum));
        return revert(IModels::TextTooLong { length, maximum });
    }
    Ok(())
}

/// Only valid UTF-8 was stored.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn length(len: usize) -> Result<u32> {
    u32::try_from(len).ok().or_revert(IModels::InvalidKey {
        reason: "a length above 2^32".to_owned(),
    })
}
