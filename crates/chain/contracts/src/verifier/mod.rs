//! Checks of proofs, for any contract: the same judge that `Inference` uses.
//!
//! # Gas
//!
//! `base + key_gas + per_byte · length`, charged before the key or a byte of the proof is decoded.
//! `base` and `per_byte` are the chain's parameters; `key_gas`, the cost of a verification under the
//! key and of decoding it, is computed once, when the model is listed.
//! One million gas stands for one millisecond of CPU, so the block gas limit bounds a block's
//! verification time, whoever asks for it.

mod dispatch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use hallmark_abi::verifier::IVerifier;
use hallmark_contracts_macros::contract;
use hallmark_types::{ChainSpec, addresses};

pub(crate) use dispatch::call;

use crate::{
    Host, Result, Statement, gas,
    host::{OrRevert, revert},
    models::{self, Model, Models},
    storage::{Slot, Words},
};

/// The proof system that judges new orders. An order keeps the version it was placed under.
pub const VERSION: u16 = 2;

/// Storage of `Verifier`: parameters only.
#[contract(address = addresses::VERIFIER)]
pub struct Verifier {
    /// Gas of any verification; fixed at genesis.
    pub base_gas: Slot<u64>,
    /// Gas per byte of a proof; fixed at genesis.
    pub gas_per_byte: Slot<u64>,
}

impl Verifier {
    /// # Errors
    ///
    /// `UnknownModel`, `InvalidInput`, `InvalidOutput`; a proof that does not hold is `false`.
    pub fn verify(&self, host: &mut dyn Host, call: IVerifier::verifyCall) -> Result<bool> {
        let model = self.model(host, call.model)?;
        if !fits(host, &model, &call.proof)? {
            return Ok(false);
        }
        self.charge(host, &model, call.proof.len())?;
        let key = models::load_key(host, &model)?;
        let tensors = call.input.len().saturating_add(call.output.len());
        gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, tensors)?;
        let input = match key.graph().decode_input(&call.input) {
            Ok(input) => input,
            Err(error) => {
                return revert(IVerifier::InvalidInput {
                    reason: error.to_string(),
                });
            }
        };
        let output = match key.graph().decode_output(&call.output) {
            Ok(output) => output,
            Err(error) => {
                return revert(IVerifier::InvalidOutput {
                    reason: error.to_string(),
                });
            }
        };
        let statement = Statement {
            key: &key,
            key_digest: model.digest.read(host)?,
            input: &input,
            output: &output,
            context: call.context,
            proof: &call.proof,
        };
        Ok(host.verify_proof(&statement).is_ok())
    }

    /// Gas of verifying a proof of `proof_length` bytes, decoding the key included; reads of storage
    /// come on top.
    ///
    /// # Errors
    ///
    /// `UnknownModel`.
    pub fn gas(&self, host: &mut dyn Host, model: B256, proof_length: U256) -> Result<U256> {
        let model = self.model(host, model)?;
        let key_gas = model.verify_gas.read(host)?;
        Ok(U256::from(self.gas_of(
            host,
            key_gas,
            proof_length.saturating_to(),
        )?))
    }

    /// The formula: `base + key_gas + per_byte · proof_length`, saturating.
    pub(crate) fn gas_of(
        &self,
        host: &mut dyn Host,
        key_gas: u64,
        proof_length: u64,
    ) -> Result<u64> {
        let bytes = self.gas_per_byte.read(host)?.saturating_mul(proof_length);
        Ok(self
            .base_gas
            .read(host)?
            .saturating_add(key_gas)
            .saturating_add(bytes))
    }

    /// Charges for a verification; before anything of the proof but its length is looked at.
    pub(crate) fn charge(
        &self,
        host: &mut dyn Host,
        model: &Model,
        proof_length: usize,
    ) -> Result<()> {
        let key_gas = model.verify_gas.read(host)?;
        let length = u64::try_from(proof_length).unwrap_or(u64::MAX);
        let gas = self.gas_of(host, key_gas, length)?;
        Ok(host.charge_gas(gas)?)
    }

    fn model(&self, host: &mut dyn Host, id: B256) -> Result<Model> {
        Models::new()
            .published(host, id)?
            .or_revert(IVerifier::UnknownModel { model: id })
    }

    /// Writes the parameters that a chain begins with.
    pub(crate) fn preset(&self, spec: &ChainSpec, storage: &mut BTreeMap<Address, Words>) {
        self.base_gas.preset(storage, spec.market.verify_base_gas);
        self.gas_per_byte
            .preset(storage, spec.market.verify_gas_per_byte);
    }
}

fn fits(host: &mut dyn Host, model: &Model, proof: &[u8]) -> Result<bool> {
    let maximum = model.max_proof_bytes.read(host)?;
    Ok(u32::try_from(proof.len()).is_ok_and(|length| length <= maximum))
}
