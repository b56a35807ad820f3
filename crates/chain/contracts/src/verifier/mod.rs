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
    Claim, Host, Result, Statement, gas,
    host::{OrRevert, revert},
    models::{self, Model, Models},
    storage::{Slot, Words},
};

/// The proof system that judges new orders: the version of the proofs that it accepts, so that no order outlives
/// its judge unnoticed. An order keeps the version it was placed under.
pub const VERSION: u16 = hallmark_proof::FORMAT_VERSION as u16;

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
        let terms = Terms::public(host, &model)?;
        if !terms.fit(&call.proof) {
            return Ok(false);
        }
        self.charge(host, &terms, call.proof.len())?;
        let key = models::load_key(host, &model)?;
        let tensors = call.input.len().saturating_add(call.output.len());
        gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, tensors)?;
        let input = match key.graph().decode_input(&call.input) {
            Ok(input) => input,
            Err(error) => {
                let reason = error.to_string();
                return revert(IVerifier::InvalidInput { reason });
            }
        };
        let output = match key.graph().decode_output(&call.output) {
            Ok(output) => output,
            Err(error) => {
                let reason = error.to_string();
                return revert(IVerifier::InvalidOutput { reason });
            }
        };
        let statement = Statement {
            key: &key,
            key_digest: model.digest.read(host)?,
            claim: Claim::Public {
                input: &input,
                output: &output,
            },
            context: call.context,
            proof: &call.proof,
        };
        Ok(host.verify_proof(&statement).is_ok())
    }

    /// # Errors
    ///
    /// `InvalidCommitment`, `UnknownModel`, `PrivateUnavailable`, `InvalidOutput`; a proof that does
    /// not hold is `false`.
    pub fn verify_private(
        &self,
        host: &mut dyn Host,
        call: IVerifier::verifyPrivateCall,
    ) -> Result<bool> {
        let commitment = call.commitment;
        if !hallmark_proof::is_commitment(&commitment.0) {
            return revert(IVerifier::InvalidCommitment { commitment });
        }
        let model = self.model(host, call.model)?;
        let terms = Terms::private(host, &model)?
            .or_revert(IVerifier::PrivateUnavailable { model: call.model })?;
        if !terms.fit(&call.proof) {
            return Ok(false);
        }
        self.charge(host, &terms, call.proof.len())?;
        let key = models::load_key(host, &model)?;
        gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, call.maskedOutput.len())?;
        let masked = match hallmark_proof::decode_masked(key.graph(), &call.maskedOutput) {
            Ok(masked) => masked,
            Err(error) => {
                let reason = error.to_string();
                return revert(IVerifier::InvalidOutput { reason });
            }
        };
        let statement = Statement {
            key: &key,
            key_digest: model.digest.read(host)?,
            claim: Claim::Private {
                commitment,
                masked: &masked,
            },
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
        let gas = self.gas_of(host, key_gas, proof_length.saturating_to())?;
        Ok(U256::from(gas))
    }

    /// As [`gas`](Self::gas), for proofs that hide the input.
    ///
    /// # Errors
    ///
    /// `UnknownModel`, `PrivateUnavailable`.
    pub fn gas_private(
        &self,
        host: &mut dyn Host,
        model: B256,
        proof_length: U256,
    ) -> Result<U256> {
        let known = self.model(host, model)?;
        let terms = Terms::private(host, &known)?;
        let terms = terms.or_revert(IVerifier::PrivateUnavailable { model })?;
        let gas = self.gas_of(host, terms.key_gas, proof_length.saturating_to())?;
        Ok(U256::from(gas))
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
        terms: &Terms,
        proof_length: usize,
    ) -> Result<()> {
        let length = u64::try_from(proof_length).unwrap_or(u64::MAX);
        let gas = self.gas_of(host, terms.key_gas, length)?;
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

/// What a model's key decides about deliveries of one mode.
pub(crate) struct Terms {
    key_gas: u64,
    /// No valid proof is longer, in bytes.
    pub(crate) max_proof_bytes: u32,
    /// Length of an encoded output, in bytes.
    pub(crate) output_bytes: u32,
}

impl Terms {
    /// Of proofs that show input and output.
    pub(crate) fn public(host: &mut dyn Host, model: &Model) -> Result<Self> {
        Ok(Self {
            key_gas: model.verify_gas.read(host)?,
            max_proof_bytes: model.max_proof_bytes.read(host)?,
            output_bytes: model.output_bytes.read(host)?,
        })
    }

    /// Of proofs that hide the input, whose outputs are masked; none, if the key has no such proofs.
    pub(crate) fn private(host: &mut dyn Host, model: &Model) -> Result<Option<Self>> {
        let terms = Self {
            key_gas: model.private_verify_gas.read(host)?,
            max_proof_bytes: model.max_private_proof_bytes.read(host)?,
            output_bytes: model.masked_output_bytes.read(host)?,
        };
        Ok((terms.max_proof_bytes != 0).then_some(terms))
    }

    fn fit(&self, proof: &[u8]) -> bool {
        u32::try_from(proof.len()).is_ok_and(|length| length <= self.max_proof_bytes)
    }
}
