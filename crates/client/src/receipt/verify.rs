//! Checks a receipt against a chain spec, without a node.

use super::{
    Field, MAX_DESCENDANTS, OrderReceipt, ReceiptError, ReceiptInput, Revealed, VERSION,
    VerifiedReceipt,
};
use crate::orders::decode_delivery;
use alloy_consensus::{Header, ReceiptEnvelope, Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use alloy_sol_types::SolEvent;
use hallmark_abi::IInference;
use hallmark_consensus::{
    certificate::{self, CertificateError},
    genesis_committee,
};
use hallmark_proof::{InputSecret, VerifyingKey};
use hallmark_types::{ChainSpec, Committee, addresses::INFERENCE, header, merkle, order_context};

/// Checks everything; trust starts from `spec`, never from the receipt. The spec knows the validators
/// of the first two epochs; for a receipt of a later one see [`verify_with`].
///
/// # Errors
/// The first thing found wrong, in the order of the module's list. Never panics.
pub fn verify(receipt: &OrderReceipt, spec: &ChainSpec) -> Result<VerifiedReceipt, ReceiptError> {
    verify_with(receipt, spec, |epoch| genesis_committee(spec, epoch))
}

/// As [`verify`], with validators from whoever the caller trusts, such as a light client.
///
/// # Errors
/// As [`verify`]; [`ReceiptError::UnknownCommittee`] if the receipt is of an epoch whose validators
/// `committees` does not know.
pub fn verify_with(
    receipt: &OrderReceipt,
    spec: &ChainSpec,
    committees: impl Fn(u64) -> Option<Committee>,
) -> Result<VerifiedReceipt, ReceiptError> {
    if receipt.version != VERSION {
        return Err(ReceiptError::Version(receipt.version));
    }
    if receipt.chain_id != spec.chain_id {
        let (expected, found) = (spec.chain_id, receipt.chain_id);
        return Err(ReceiptError::OtherChain { expected, found });
    }
    let header = final_header(receipt, spec, &committees)?;
    let transaction = included_transaction(receipt, spec, &header)?;
    let paid = payment(receipt, &header)?;
    check_statement(receipt, &paid)?;
    let proof_in_transaction = check_delivery(receipt, &transaction)?;
    let opened = check_proof(receipt)?;
    Ok(VerifiedReceipt {
        order_id: receipt.order_id,
        model: receipt.model,
        digest: paid.digest,
        buyer: paid.buyer,
        seller: paid.seller,
        block_number: header.number,
        block_hash: header.hash_slow(),
        paid_at_ms: header::timestamp_ms(&header),
        transaction: *transaction.tx_hash(),
        commitment: opened.commitment,
        input: opened.input,
        output: opened.output,
        to_seller: paid.toSeller,
        to_owner: paid.toOwner,
        to_network: paid.toNetwork,
        proof_bytes: receipt.proof.len(),
        proof_in_transaction,
    })
}

/// The header of the block that paid, after the certificate and the headers that lead to it.
pub(super) fn final_header(
    receipt: &OrderReceipt,
    spec: &ChainSpec,
    committees: &impl Fn(u64) -> Option<Committee>,
) -> Result<Header, ReceiptError> {
    if receipt.descendants.len() > MAX_DESCENDANTS {
        return Err(ReceiptError::TooManyHeaders);
    }
    let first = header_at(0, &receipt.header)?;
    let mut last = first.clone();
    for (position, bytes) in (1..).zip(&receipt.descendants) {
        let next = header_at(position, bytes)?;
        if next.parent_hash != last.hash_slow() || Some(next.number) != last.number.checked_add(1) {
            return Err(ReceiptError::BrokenChain(position));
        }
        last = next;
    }
    let epoch = header::extra(&last)
        .map_err(|error| CertificateError::Header(error.to_string()))?
        .epoch
        .into();
    let committee = committees(epoch).ok_or(ReceiptError::UnknownCommittee(epoch))?;
    certificate::verify(spec, &committee, &last, &receipt.certificate)?;
    Ok(first)
}

fn header_at(position: usize, bytes: &Bytes) -> Result<Header, ReceiptError> {
    decode_header(bytes).map_err(|reason| ReceiptError::Header { position, reason })
}

/// A header from its canonical RLP.
pub(crate) fn decode_header(bytes: &Bytes) -> Result<Header, String> {
    if bytes.len() > header::MAX_HEADER_BYTES {
        return Err(format!("{} bytes are too many", bytes.len()));
    }
    let mut rest: &[u8] = bytes;
    let decoded = Header::decode(&mut rest).map_err(|error| error.to_string())?;
    // The hash must be of these very bytes.
    if !rest.is_empty() || alloy_rlp::encode(&decoded) != bytes[..] {
        return Err("it is not canonical".to_owned());
    }
    Ok(decoded)
}

pub(super) fn included_transaction(
    receipt: &OrderReceipt,
    spec: &ChainSpec,
    header: &Header,
) -> Result<TxEnvelope, ReceiptError> {
    merkle::verify(
        header.transactions_root,
        receipt.transaction_index,
        &receipt.transaction,
        &receipt.transaction_proof,
    )
    .map_err(ReceiptError::TransactionInclusion)?;
    let transaction = TxEnvelope::decode_2718_exact(&receipt.transaction)
        .map_err(|error| ReceiptError::Transaction(error.to_string()))?;
    if transaction.chain_id() != Some(spec.chain_id) {
        let (expected, found) = (spec.chain_id, transaction.chain_id());
        return Err(ReceiptError::TransactionChain { expected, found });
    }
    Ok(transaction)
}

/// The one `Paid` event of this order in the transaction's receipt.
pub(super) fn payment(
    receipt: &OrderReceipt,
    header: &Header,
) -> Result<IInference::Paid, ReceiptError> {
    merkle::verify(
        header.receipts_root,
        receipt.transaction_index,
        &receipt.receipt,
        &receipt.receipt_proof,
    )
    .map_err(ReceiptError::ReceiptInclusion)?;
    let outcome = ReceiptEnvelope::decode_2718_exact(&receipt.receipt)
        .map_err(|error| ReceiptError::Receipt(error.to_string()))?;
    if !outcome.status() {
        return Err(ReceiptError::FailedTransaction);
    }
    outcome
        .logs()
        .iter()
        .filter(|log| log.address == INFERENCE)
        .filter_map(|log| IInference::Paid::decode_log(log).ok())
        .find(|paid| paid.id == receipt.order_id)
        .map(|log| log.data)
        .ok_or(ReceiptError::NotPaid(receipt.order_id))
}

/// The file shows what the chain paid for.
pub(super) fn check_statement(
    receipt: &OrderReceipt,
    paid: &IInference::Paid,
) -> Result<(), ReceiptError> {
    let input = match &receipt.input {
        ReceiptInput::Public { input } => (Field::Input, keccak256(input) == paid.inputHash),
        ReceiptInput::Sealed { commitment, .. } => {
            (Field::Commitment, *commitment == paid.inputHash)
        }
    };
    let key_digest = B256::from(*blake3::hash(&receipt.verifying_key).as_bytes());
    let facts = [
        (Field::Model, receipt.model == paid.model),
        (Field::Seller, receipt.seller == paid.seller),
        (Field::Key, key_digest == paid.digest),
        input,
        (Field::Output, keccak256(&receipt.output) == paid.outputHash),
        (Field::Anchor, receipt.anchor == paid.anchor),
        (Field::Context, receipt.context == paid.context),
    ];
    if let Some((field, _)) = facts.into_iter().find(|(_, same)| !same) {
        return Err(ReceiptError::Differs(field));
    }
    let context = order_context(
        receipt.chain_id,
        receipt.order_id,
        receipt.model,
        receipt.seller,
        receipt.anchor,
    );
    if context != receipt.context {
        return Err(ReceiptError::Context);
    }
    Ok(())
}

/// Whether the transaction itself carries output and proof; if it does, they are the file's.
pub(super) fn check_delivery(
    receipt: &OrderReceipt,
    transaction: &TxEnvelope,
) -> Result<bool, ReceiptError> {
    let Some(call) = decode_delivery(transaction) else {
        return Ok(false);
    };
    if call.id != receipt.order_id {
        return Err(ReceiptError::NotPaid(receipt.order_id));
    }
    if call.output != receipt.output {
        return Err(ReceiptError::Delivered(Field::Output));
    }
    if call.proof != receipt.proof {
        return Err(ReceiptError::Delivered(Field::Proof));
    }
    Ok(true)
}

/// What the proof is of, as far as the receipt shows it.
struct Shown {
    commitment: Option<B256>,
    input: Option<Vec<i32>>,
    output: Option<Vec<i32>>,
}

fn check_proof(receipt: &OrderReceipt) -> Result<Shown, ReceiptError> {
    let key = VerifyingKey::decode(&receipt.verifying_key)
        .map_err(|error| ReceiptError::Key(error.to_string()))?;
    match &receipt.input {
        ReceiptInput::Public { input } => check_public(receipt, &key, input),
        ReceiptInput::Sealed {
            commitment,
            revealed,
        } => check_sealed(receipt, &key, *commitment, revealed.as_ref()),
    }
}

fn check_public(
    receipt: &OrderReceipt,
    key: &VerifyingKey,
    input: &Bytes,
) -> Result<Shown, ReceiptError> {
    let graph = key.graph();
    let input = graph
        .decode_input(input)
        .map_err(|error| ReceiptError::Input(error.to_string()))?;
    let output = graph
        .decode_output(&receipt.output)
        .map_err(|error| ReceiptError::Output(error.to_string()))?;
    check_length(receipt, key.max_proof_len())?;
    hallmark_proof::verify(key, &input, &output, &receipt.context.0, &receipt.proof)
        .map_err(|error| ReceiptError::Proof(error.to_string()))?;
    Ok(Shown {
        commitment: None,
        input: Some(input),
        output: Some(output),
    })
}

fn check_sealed(
    receipt: &OrderReceipt,
    key: &VerifyingKey,
    commitment: B256,
    revealed: Option<&Revealed>,
) -> Result<Shown, ReceiptError> {
    let graph = key.graph();
    let masked = hallmark_proof::decode_masked(graph, &receipt.output)
        .map_err(|error| ReceiptError::Output(error.to_string()))?;
    let longest = key.max_private_proof_len().ok_or_else(|| {
        ReceiptError::Proof("no proof of this model can hide its input".to_owned())
    })?;
    check_length(receipt, longest)?;
    let (context, proof) = (&receipt.context.0, &receipt.proof);
    hallmark_proof::verify_private(key, &commitment.0, &masked, context, proof)
        .map_err(|error| ReceiptError::Proof(error.to_string()))?;
    let mut shown = Shown {
        commitment: Some(commitment),
        input: None,
        output: None,
    };
    if let Some(revealed) = revealed {
        let secret = InputSecret::from_bytes(revealed.secret.0);
        let input = graph
            .decode_input(&revealed.input)
            .map_err(|error| ReceiptError::Input(error.to_string()))?;
        let opened = hallmark_proof::commit_input(graph, &input, &secret)
            .map_err(|error| ReceiptError::Input(error.to_string()))?;
        if opened != commitment.0 {
            return Err(ReceiptError::Revealed);
        }
        let output = hallmark_proof::unmask_output(graph, &masked, &secret)
            .map_err(|error| ReceiptError::Output(error.to_string()))?;
        (shown.input, shown.output) = (Some(input), Some(output));
    }
    Ok(shown)
}

fn check_length(receipt: &OrderReceipt, maximum: usize) -> Result<(), ReceiptError> {
    let length = receipt.proof.len();
    if length > maximum {
        let reason = format!("{length} bytes, at most {maximum}");
        return Err(ReceiptError::Proof(reason));
    }
    Ok(())
}
