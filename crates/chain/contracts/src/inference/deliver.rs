//! The delivery: output and proof against the order, and the payment.

use alloy_primitives::{B256, U256, keccak256};
use hallmark_abi::inference::IInference::{self, Status};
use hallmark_proof::VerifyingKey;
use hallmark_types::order_context;

use super::{Inference, Order, emit};
use crate::{
    Claim, Host, Result, Statement, gas,
    host::{OrRevert, revert},
    models::{self, Model, Models},
    verifier::{self, Terms, Verifier},
};

impl Inference {
    /// # Errors
    ///
    /// In the order they are checked: `UnknownOrder`, `WrongStatus`, `NotSeller`, `WindowClosed`,
    /// `VerifierUnavailable`, `WrongOutputLength`, `ProofTooLong`; then gas is charged and the
    /// statement is looked at: `InvalidOutput`, `ProofRefused`.
    pub fn deliver(&self, host: &mut dyn Host, call: IInference::deliverCall) -> Result<()> {
        let id = call.id;
        let order = self.in_status(host, id, Status::Claimed)?;
        let seller = order.seller.read(host)?;
        if host.caller() != seller {
            return revert(IInference::NotSeller { seller });
        }
        let (windowEndMs, nowMs) = (order.window_end_ms.read(host)?, host.timestamp_ms());
        if nowMs > windowEndMs {
            return revert(IInference::WindowClosed { windowEndMs, nowMs });
        }
        let version = order.verifier_version.read(host)?;
        if version != verifier::VERSION {
            return revert(IInference::VerifierUnavailable { version });
        }
        let model_id = order.model.read(host)?;
        let model = Models::new().models.at(model_id);
        let terms = if order.is_sealed(host)? {
            let terms = Terms::private(host, &model)?;
            terms.or_revert(IInference::SealedUnavailable { model: model_id })?
        } else {
            Terms::public(host, &model)?
        };
        let (length, expected) = (call.output.len(), terms.output_bytes);
        let (length, expected) = (U256::from(length), U256::from(expected));
        if length != expected {
            return revert(IInference::WrongOutputLength { length, expected });
        }
        let (length, maximum) = (call.proof.len(), terms.max_proof_bytes);
        let (length, maximum) = (U256::from(length), U256::from(maximum));
        if length > maximum {
            return revert(IInference::ProofTooLong { length, maximum });
        }
        Verifier::new().charge(host, &terms, call.proof.len())?;

        let key = models::load_key(host, &model)?;
        let anchor = order.anchor.read(host)?;
        let context = order_context(host.chain_id(), id, model_id, seller, anchor);
        let digest = model.digest.read(host)?;
        let delivery = Delivery {
            key: &key,
            digest,
            context,
            output: &call.output,
            proof: &call.proof,
        };
        if order.is_sealed(host)? {
            delivery.check_private(host, &order)?;
        } else {
            delivery.check_public(host, &order)?;
        }
        self.accept(host, &order, &model, call, context)
    }

    /// Pays for a delivery whose proof holds, and tells of it.
    fn accept(
        &self,
        host: &mut dyn Host,
        order: &Order,
        model: &Model,
        call: IInference::deliverCall,
        context: B256,
    ) -> Result<()> {
        let id = call.id;
        let outputHash = keccak256(&call.output);
        order.output_hash.write(host, outputHash)?;
        order.output.write(host, &call.output)?;
        let owner = model.owner.read(host)?;
        let [toSeller, toOwner, toNetwork] = self.pay(host, order, owner)?;
        let event = IInference::Paid {
            id,
            model: order.model.read(host)?,
            seller: order.seller.read(host)?,
            buyer: order.buyer.read(host)?,
            digest: model.digest.read(host)?,
            inputHash: order.input_hash.read(host)?,
            outputHash,
            context,
            anchor: order.anchor.read(host)?,
            toSeller,
            toOwner,
            toNetwork,
        };
        let output = call.output;
        emit(host, IInference::Delivered { id, output })?;
        emit(host, event)
    }
}

/// What was delivered, and under which key it is judged.
struct Delivery<'a> {
    key: &'a VerifyingKey,
    digest: B256,
    context: B256,
    output: &'a [u8],
    proof: &'a [u8],
}

impl Delivery<'_> {
    fn check_public(&self, host: &mut dyn Host, order: &Order) -> Result<()> {
        let graph = self.key.graph();
        let input = order.input.read(host)?;
        let tensors = input.len().saturating_add(self.output.len());
        gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, tensors)?;
        let input = match graph.decode_input(&input) {
            Ok(input) => input,
            Err(error) => {
                let reason = error.to_string();
                return revert(IInference::InvalidInput { reason });
            }
        };
        let output = match graph.decode_output(self.output) {
            Ok(output) => output,
            Err(error) => return invalid_output(&error),
        };
        let claim = Claim::Public {
            input: &input,
            output: &output,
        };
        self.judge(host, claim)
    }

    /// The envelope is not read: the order's commitment says all of the input.
    fn check_private(&self, host: &mut dyn Host, order: &Order) -> Result<()> {
        gas::charge_bytes(host, 0, gas::HASH_PER_BYTE, self.output.len())?;
        let masked = match hallmark_proof::decode_masked(self.key.graph(), self.output) {
            Ok(masked) => masked,
            Err(error) => return invalid_output(&error),
        };
        let claim = Claim::Private {
            commitment: order.input_hash.read(host)?,
            masked: &masked,
        };
        self.judge(host, claim)
    }

    fn judge(&self, host: &mut dyn Host, claim: Claim<'_>) -> Result<()> {
        let statement = Statement {
            key: self.key,
            key_digest: self.digest,
            claim,
            context: self.context,
            proof: self.proof,
        };
        match host.verify_proof(&statement) {
            Ok(()) => Ok(()),
            Err(reason) => revert(IInference::ProofRefused { reason }),
        }
    }
}

fn invalid_output(error: &impl std::fmt::Display) -> Result<()> {
    let reason = error.to_string();
    revert(IInference::InvalidOutput { reason })
}
