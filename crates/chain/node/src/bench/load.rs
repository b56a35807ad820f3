//! Accounts and signed transactions of a run.

use super::{Plan, Workload};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_sol_types::SolCall;
use hallmark_abi::IInference;
use hallmark_types::{ChainSpec, addresses};
use k256::ecdsa::SigningKey;
use rayon::prelude::*;

/// Connections to each validator, each with senders of its own.
const LANES_PER_VALIDATOR: usize = 2;
/// Far above any base fee that full blocks of a minute lead to: the floor is 10^7.
const FEE_CAP: u128 = 1_000_000_000_000;
const TRANSFER_GAS: u64 = 21_000;
const CALL_GAS: u64 = 120_000;

/// An account that sends.
pub(super) struct Sender {
    key: SigningKey,
    address: Address,
}

impl Sender {
    pub(super) fn address(&self) -> Address {
        self.address
    }
}

/// Accounts whose keys follow from public labels: for a network that lives as long as the run.
pub(super) fn senders(count: usize) -> Vec<Sender> {
    let sender = |index: usize| {
        let secret = keccak256(format!("hallmark benchmark sender {index}"));
        let key = SigningKey::from_slice(secret.as_slice())
            .expect("the hash of a label lies below the curve's order");
        let address = Address::from_private_key(&key);
        Sender { key, address }
    };
    (0..count).into_par_iter().map(sender).collect()
}

/// Accounts that only receive.
pub(super) fn receivers(count: usize) -> Vec<Address> {
    let receiver = |index: usize| {
        Address::from_word(keccak256(format!("hallmark benchmark receiver {index}")))
    };
    (0..count).into_par_iter().map(receiver).collect()
}

/// A signed transaction.
pub(super) struct Signed {
    pub(super) hash: B256,
    pub(super) raw: Vec<u8>,
}

/// The transactions of one connection, in the order in which they are sent: nonces of a sender rise.
pub(super) struct Lane {
    pub(super) validator: usize,
    pub(super) transactions: Vec<Signed>,
}

/// Signs everything that the plan may send.
pub(super) fn sign(
    plan: &Plan,
    spec: &ChainSpec,
    senders: &[Sender],
    receivers: &[Address],
) -> Vec<Lane> {
    let lanes = (plan.validators * LANES_PER_VALIDATOR).min(senders.len());
    let each = plan.transactions().div_ceil(lanes);
    let lane = |lane: usize| {
        let own: Vec<&Sender> = senders.iter().skip(lane).step_by(lanes).collect();
        let sign = |index: usize| {
            let draw = keccak256([lane.to_be_bytes(), index.to_be_bytes()].concat());
            let draw = U256::from_be_bytes(draw.0) % U256::from(receivers.len());
            let receiver = receivers[draw.to::<usize>()];
            transaction(
                plan.workload,
                spec,
                own[index % own.len()],
                index / own.len(),
                receiver,
            )
        };
        Lane {
            validator: lane % plan.validators,
            transactions: (0..each).into_par_iter().map(sign).collect(),
        }
    };
    (0..lanes).map(lane).collect()
}

fn transaction(
    workload: Workload,
    spec: &ChainSpec,
    sender: &Sender,
    nonce: usize,
    receiver: Address,
) -> Signed {
    let (to, gas_limit, input) = match workload {
        Workload::Transfer => (receiver, TRANSFER_GAS, Bytes::new()),
        Workload::Call => {
            let call = IInference::depositCall {}.abi_encode();
            (addresses::INFERENCE, CALL_GAS, call.into())
        }
    };
    let tx = TxEip1559 {
        chain_id: spec.chain_id,
        nonce: nonce as u64,
        gas_limit,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        value: U256::from(1),
        access_list: Default::default(),
        input,
    };
    let (signature, parity) = sender
        .key
        .sign_prehash_recoverable(tx.signature_hash().as_slice())
        .expect("a hash of 32 bytes can be signed");
    let signed = TxEnvelope::from(tx.into_signed(Signature::from((signature, parity))));
    Signed {
        hash: *signed.tx_hash(),
        raw: signed.encoded_2718(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devnet;
    use hallmark_types::decode_transaction;
    use std::collections::BTreeMap;

    #[test]
    fn every_lane_sends_the_nonces_of_its_own_senders_in_order() {
        let plan = Plan {
            validators: 3,
            warm_up: 1,
            seconds: 1,
            workload: Workload::Call,
            rate: None,
            in_flight: 10,
            signed_rate: 5,
            senders: 10,
            accounts: 4,
        };
        let (spec, _) = devnet::spec(3, &[]);
        let senders = senders(plan.senders);
        let lanes = sign(&plan, &spec, &senders, &receivers(plan.accounts));
        let mut owners = BTreeMap::new();
        let mut count = 0;
        for (number, lane) in lanes.iter().enumerate() {
            assert!(lane.validator < 3);
            let mut nonces: BTreeMap<Address, u64> = BTreeMap::new();
            for signed in &lane.transactions {
                let tx = decode_transaction(&signed.raw, &spec).unwrap();
                assert_eq!(*tx.tx_hash(), signed.hash);
                let sender = alloy_consensus::transaction::SignerRecoverable::recover_signer(&tx);
                let sender = sender.unwrap();
                assert_eq!(*owners.entry(sender).or_insert(number), number);
                let next = nonces.entry(sender).or_default();
                assert_eq!(alloy_consensus::Transaction::nonce(&tx), *next);
                *next += 1;
                count += 1;
            }
        }
        assert!(count >= plan.transactions());
        assert!(
            owners
                .keys()
                .all(|owner| senders.iter().any(|s| s.address == *owner))
        );
    }
}
