//! Encodings, limits, proofs.

use std::collections::BTreeMap;

use alloy_consensus::{
    Header, Receipt as PlainReceipt, ReceiptWithBloom, SignableTransaction, TxEip1559, TxEip2930,
    TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_trie::{Nibbles, proof::verify_proof};
use proptest::prelude::*;

use crate::header::{self, HeaderExtra};
use crate::merkle::{self, MerkleError};
use crate::{
    Block, ChainSpec, DecodeError, LOCAL_CHAIN_ID, Receipt, SpecError, Transaction, ValidatorSpec,
    addresses, decode_transaction, next_base_fee, order_context,
};

fn spec() -> ChainSpec {
    let validator = |n: u8| ValidatorSpec::local([n; 32], Address::with_last_byte(n));
    let alloc = BTreeMap::from([(Address::with_last_byte(9), U256::from(1000))]);
    ChainSpec::local(
        1_700_000_000_123,
        (1..5).map(validator).collect(),
        alloc,
        Address::repeat_byte(7),
    )
}

fn signature() -> Signature {
    Signature::new(U256::from(5), U256::from(6), true)
}

fn transaction(nonce: u64, payload: usize) -> Transaction {
    let tx = TxEip1559 {
        chain_id: LOCAL_CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        to: TxKind::Call(Address::with_last_byte(3)),
        input: vec![0xab; payload].into(),
        ..TxEip1559::default()
    };
    tx.into_signed(signature()).into()
}

fn block(transactions: Vec<Transaction>) -> Block {
    let mut header = header::template();
    header.number = 4;
    header.timestamp = 1_700_000_000;
    header.extra_data = HeaderExtra {
        ms: 999,
        epoch: 1,
        view: 2,
        parent_view: 1,
        leader: 3,
    }
    .encode();
    header.transactions_root = merkle::transactions_root(&transactions);
    Block {
        header,
        transactions,
    }
}

fn receipt(gas: u64) -> Receipt {
    let plain = PlainReceipt {
        status: true.into(),
        cumulative_gas_used: gas,
        logs: vec![],
    };
    Receipt::Eip1559(ReceiptWithBloom::from(plain))
}

#[test]
fn a_block_survives_its_encoding() {
    let spec = spec();
    let legacy = TxLegacy {
        chain_id: Some(LOCAL_CHAIN_ID),
        ..TxLegacy::default()
    };
    let block = block(vec![
        legacy.into_signed(signature()).into(),
        transaction(1, 3),
        transaction(2, 60),
    ]);
    let bytes = block.to_rlp();
    assert_eq!(bytes.len(), block.rlp_len());
    let decoded = Block::decode_bounded(&bytes, &spec.limits).unwrap();
    assert_eq!(decoded, block);
    assert_eq!(decoded.hash(), block.header.hash_slow());
    assert_eq!(decoded.timestamp_ms(), 1_700_000_000_999);
    assert_eq!(decoded.extra().unwrap().leader, 3);
}

#[test]
fn a_block_is_encoded_as_ethereum_does() {
    let ours = block(vec![transaction(1, 3)]);
    let body = alloy_consensus::BlockBody {
        transactions: ours.transactions.clone(),
        ommers: vec![],
        withdrawals: Some(alloy_eips::eip4895::Withdrawals::default()),
    };
    let theirs = alloy_consensus::Block::new(ours.header.clone(), body);
    assert_eq!(ours.to_rlp(), alloy_rlp::encode(&theirs));
}

#[test]
fn a_block_over_the_limit_is_refused_before_it_is_decoded() {
    let mut limits = spec().limits;
    let bytes = block(vec![transaction(0, 100)]).to_rlp();
    limits.max_block_bytes = bytes.len() - 1;
    assert!(matches!(
        Block::decode_bounded(&bytes, &limits),
        Err(DecodeError::TooLarge { .. })
    ));
    limits.max_block_bytes = bytes.len();
    Block::decode_bounded(&bytes, &limits).unwrap();
    limits.max_tx_bytes = 100;
    let error = Block::decode_bounded(&bytes, &limits).unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::TooLarge {
                what: "transaction",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn every_change_of_a_fixed_header_field_is_refused() {
    type Change = fn(&mut Header);
    let changes: [(&str, Change); 9] = [
        ("sha3Uncles", |h| h.ommers_hash = B256::ZERO),
        ("difficulty", |h| h.difficulty = U256::from(1)),
        ("nonce", |h| h.nonce.0[0] = 1),
        ("withdrawalsRoot", |h| h.withdrawals_root = Some(B256::ZERO)),
        ("blobGasUsed", |h| h.blob_gas_used = Some(1)),
        ("excessBlobGas", |h| h.excess_blob_gas = Some(1)),
        ("requestsHash", |h| h.requests_hash = Some(B256::ZERO)),
        ("blockAccessListHash", |h| {
            h.block_access_list_hash = Some(B256::ZERO)
        }),
        ("transactionsRoot", |h| h.transactions_root = B256::ZERO),
    ];
    for (name, change) in changes {
        let mut block = block(vec![transaction(0, 1)]);
        change(&mut block.header);
        let error = Block::decode_bounded(&block.to_rlp(), &spec().limits).unwrap_err();
        assert!(
            matches!(error, DecodeError::HeaderField { field, .. } if field == name),
            "{error}"
        );
    }
    let mut block = block(vec![]);
    block.header.extra_data = HeaderExtra {
        ms: 1000,
        ..HeaderExtra::default()
    }
    .encode();
    assert!(matches!(
        Block::decode_bounded(&block.to_rlp(), &spec().limits),
        Err(DecodeError::Extra(_))
    ));
}

#[test]
fn ommers_withdrawals_and_trailing_bytes_are_refused() {
    let limits = spec().limits;
    let bytes = block(vec![]).to_rlp();
    let mut trailing = bytes.clone();
    trailing.push(0);
    assert!(Block::decode_bounded(&trailing, &limits).is_err());
    // The last two bytes are the two empty lists.
    for back in [1, 2] {
        let mut filled = bytes.clone();
        let position = filled.len() - back;
        filled.splice(position..=position, [0xc1, 0x80]);
        let length = u16::from_be_bytes([filled[1], filled[2]]) + 1;
        filled[1..3].copy_from_slice(&length.to_be_bytes());
        assert!(matches!(
            Block::decode_bounded(&filled, &limits),
            Err(DecodeError::NotEmpty(_))
        ));
    }
}

#[test]
fn transaction_types_are_accepted_or_refused_by_name() {
    let spec = spec();
    let eip2930 = TxEip2930 {
        chain_id: LOCAL_CHAIN_ID,
        ..TxEip2930::default()
    };
    let legacy = TxLegacy {
        chain_id: Some(LOCAL_CHAIN_ID),
        ..TxLegacy::default()
    };
    let unprotected = TxLegacy {
        chain_id: None,
        ..legacy.clone()
    };
    let delegation = TxEip7702 {
        chain_id: LOCAL_CHAIN_ID,
        ..TxEip7702::default()
    };
    let accepted: [Transaction; 5] = [
        transaction(0, 5),
        delegation.into_signed(signature()).into(),
        unprotected.into_signed(signature()).into(),
        eip2930.into_signed(signature()).into(),
        legacy.into_signed(signature()).into(),
    ];
    for tx in accepted {
        assert_eq!(decode_transaction(&tx.encoded_2718(), &spec).unwrap(), tx);
    }
    let blob: Transaction = TxEip4844::default().into_signed(signature()).into();
    let error = decode_transaction(&blob.encoded_2718(), &spec).unwrap_err();
    assert!(matches!(error, DecodeError::UnsupportedType { ty: 3, .. }));
    let error = Block::decode_bounded(&block(vec![blob]).to_rlp(), &spec.limits).unwrap_err();
    assert!(matches!(error, DecodeError::UnsupportedType { ty: 3, .. }));
    // No other type may name no chain, and zero is not none.
    let anywhere: Transaction = TxEip7702::default().into_signed(signature()).into();
    let error = decode_transaction(&anywhere.encoded_2718(), &spec).unwrap_err();
    assert!(matches!(error, DecodeError::WrongChain { got: 0, .. }));
}

#[test]
fn a_transaction_of_another_chain_or_with_a_high_s_is_refused() {
    let mut spec = spec();
    let high = Signature::new(U256::from(5), U256::MAX >> 1, true);
    let tx = TxEip1559 {
        chain_id: LOCAL_CHAIN_ID,
        ..TxEip1559::default()
    };
    let malleable: Transaction = tx.into_signed(high).into();
    let error = decode_transaction(&malleable.encoded_2718(), &spec).unwrap_err();
    assert_eq!(error, DecodeError::Signature);
    spec.chain_id = 1;
    let error = decode_transaction(&transaction(0, 0).encoded_2718(), &spec).unwrap_err();
    assert_eq!(
        error,
        DecodeError::WrongChain {
            got: LOCAL_CHAIN_ID,
            expected: 1
        }
    );
}

#[test]
fn a_transaction_of_one_and_a_half_megabytes_fits_and_one_over_the_limit_does_not() {
    let spec = spec();
    let big = transaction(0, 3 << 19);
    decode_transaction(&big.encoded_2718(), &spec).unwrap();
    Block::decode_bounded(&block(vec![big]).to_rlp(), &spec.limits).unwrap();
    let bytes = transaction(0, spec.limits.max_tx_bytes).encoded_2718();
    assert!(matches!(
        decode_transaction(&bytes, &spec),
        Err(DecodeError::TooLarge { .. })
    ));
}

proptest! {
    #[test]
    fn changed_bytes_never_panic_and_never_decode_to_a_second_encoding(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let spec = spec();
        for original in [block(vec![transaction(1, 40), transaction(2, 0)]).to_rlp(), transaction(1, 40).encoded_2718()] {
            let mut bytes = original;
            for (index, byte) in &changes {
                let index = index.index(bytes.len());
                bytes[index] = *byte;
            }
            if let Ok(block) = Block::decode_bounded(&bytes, &spec.limits) {
                prop_assert_eq!(block.to_rlp(), bytes.clone());
            }
            if let Ok(tx) = decode_transaction(&bytes, &spec) {
                prop_assert_eq!(tx.encoded_2718(), bytes.clone());
            }
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(Block::decode_bounded(&bytes, &spec.limits).is_err());
            prop_assert!(decode_transaction(&bytes, &spec).is_err());
        }
    }

    #[test]
    fn header_extra_survives_its_encoding(
        ms in 0u16..1000, epoch: u32, view: u64, parent_view: u64, leader: u16,
    ) {
        let extra = HeaderExtra { ms, epoch, view, parent_view, leader };
        prop_assert_eq!(extra.encode().len(), HeaderExtra::LEN);
        prop_assert_eq!(HeaderExtra::decode(&extra.encode()), Ok(extra));
    }

    #[test]
    fn inclusion_proofs_prove_their_item_only(len in 1usize..300, index in any::<prop::sample::Index>()) {
        let receipts: Vec<Receipt> = (0..len as u64).map(receipt).collect();
        let root = merkle::receipts_root(&receipts);
        let index = index.index(len);
        let proof = merkle::prove_receipt(&receipts, index).unwrap();
        let value = receipts[index].encoded_2718();
        prop_assert_eq!(merkle::verify(root, index as u64, &value, &proof), Ok(()));
        // alloy-trie's verifier agrees.
        let key = Nibbles::unpack(alloy_rlp::encode(index));
        prop_assert!(verify_proof(root, key, Some(value.clone()), &proof).is_ok());
        let other = receipt(u64::MAX).encoded_2718();
        prop_assert_eq!(merkle::verify(root, index as u64, &other, &proof), Err(MerkleError::OtherValue));
        prop_assert!(merkle::verify(root, index as u64 + 1, &value, &proof).is_err());
        prop_assert!(merkle::verify(B256::ZERO, index as u64, &value, &proof).is_err());
        prop_assert!(merkle::verify(root, index as u64, &value, &proof[..proof.len() - 1]).is_err());
        let mut longer = proof.clone();
        longer.push(proof[0].clone());
        prop_assert!(merkle::verify(root, index as u64, &value, &longer).is_err());
    }

    #[test]
    fn hostile_proof_nodes_never_panic(
        nodes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4), index: u64,
    ) {
        let mut proof: Vec<Bytes> = nodes.into_iter().map(Bytes::from).collect();
        // Wrapped as a list of two strings, so that the walk gets past the first header.
        let key = vec![0x00; 40];
        let pair: Vec<Bytes> = vec![key.into(), proof.first().cloned().unwrap_or_default()];
        proof.insert(0, alloy_rlp::encode(&pair).into());
        let root = alloy_primitives::keccak256(&proof[0]);
        prop_assert!(merkle::verify(root, index, b"value", &proof).is_err());
    }
}

#[test]
fn a_proof_of_a_missing_item_cannot_be_made() {
    let transactions = [transaction(0, 0)];
    let error = merkle::prove_transaction(&transactions, 1).unwrap_err();
    assert_eq!(error, MerkleError::NoSuchItem { index: 1, len: 1 });
    let proof = merkle::prove_transaction(&transactions, 0).unwrap();
    let root = merkle::transactions_root(&transactions);
    assert_eq!(
        merkle::verify(root, 0, &transactions[0].encoded_2718(), &proof),
        Ok(())
    );
}

#[test]
fn time_rises_and_is_bounded_by_the_parent() {
    let limits = spec().limits;
    let at = |number: u64, ms: u64| {
        let (timestamp, ms) = header::split_timestamp(ms);
        let extra_data = HeaderExtra {
            ms,
            ..HeaderExtra::default()
        }
        .encode();
        Header {
            number,
            timestamp,
            extra_data,
            ..header::template()
        }
    };
    let parent = at(5, 10_999);
    for allowed in [11_000, 10_999 + limits.max_parent_gap_ms] {
        header::check_timestamp(&parent, &at(6, allowed), &limits).unwrap();
    }
    for refused in [10_998, 10_999, 11_000 + limits.max_parent_gap_ms] {
        assert!(header::check_timestamp(&parent, &at(6, refused), &limits).is_err());
    }
    // A spec may be written long before its network starts.
    header::check_timestamp(&at(0, 1), &at(1, 1_700_000_000_000), &limits).unwrap();
}

#[test]
fn a_spec_survives_json_and_its_hash_does_not_depend_on_layout() {
    let spec = spec();
    let again = ChainSpec::from_json(&spec.to_json()).unwrap();
    assert_eq!(again, spec);
    assert_eq!(again.hash(), spec.hash());
    let mut other = spec.clone();
    other.limits.block_gas_limit += 1;
    assert_ne!(other.hash(), spec.hash());
    let stakes = U256::from(4 * crate::staking::LOCAL_STAKE);
    assert_eq!(spec.issued(), U256::from(1000) + stakes);
}

#[test]
fn unknown_fields_and_repeated_allocations_are_refused() {
    let json = spec().to_json();
    let unknown = json.replacen("\"chain_id\"", "\"colour\": 1, \"chain_id\"", 1);
    assert!(
        ChainSpec::from_json(&unknown)
            .unwrap_err()
            .to_string()
            .contains("colour")
    );
    let address = "0x00000000000000000000000000000000000000AA";
    let twice = format!(
        "\"alloc\": {{\"{address}\": \"0x1\", \"{}\": \"0x2\",",
        address.to_lowercase()
    );
    let error = ChainSpec::from_json(&json.replacen("\"alloc\": {", &twice, 1)).unwrap_err();
    assert!(error.to_string().contains("allocated twice"), "{error}");
}

#[test]
fn senseless_specs_are_refused_for_their_reason() {
    type Change = fn(&mut ChainSpec);
    spec().check().unwrap();
    let changes: [(&str, Change); 18] = [
        ("0 validators", |s| s.validators.clear()),
        ("same validator", |s| s.validators[1].public_key = [1; 32]),
        ("same validator", |s| {
            s.validators[1].address = s.validators[0].address
        }),
        ("treasury may not", |s| s.treasury = Address::ZERO),
        ("treasury may not", |s| s.treasury = addresses::BURN),
        ("belongs to the protocol", |s| {
            s.alloc.extend([(addresses::BURN, U256::from(1))])
        }),
        ("2^128", |s| {
            s.alloc.extend([(Address::with_last_byte(8), U256::MAX)])
        }),
        ("max_block_bytes", |s| {
            s.limits.max_block_bytes = s.limits.max_tx_bytes
        }),
        ("tx_gas_limit", |s| {
            s.limits.tx_gas_limit = s.limits.block_gas_limit + 1
        }),
        ("rpc_max_body_bytes", |s| {
            s.limits.rpc_max_body_bytes = 2 * s.limits.max_tx_bytes
        }),
        ("claim_window_ms", |s| {
            s.market.claim_window_ms = s.limits.max_parent_gap_ms
        }),
        ("2^128", |s| s.validators[0].stake = U256::MAX),
        ("validators.stake", |s| {
            s.validators[1].stake = s.staking.min_stake - U256::from(1)
        }),
        ("validators.p2p", |s| s.validators[0].p2p = "nowhere".into()),
        ("max_validators", |s| s.staking.max_validators = 1),
        // Stake must wait longer than evidence is taken, and evidence as long as anybody trusts.
        ("evidence_epochs", |s| {
            s.staking.evidence_epochs = s.staking.unbonding_epochs - 1
        }),
        ("trusting_epochs", |s| {
            s.staking.trusting_epochs = s.staking.evidence_epochs + 1
        }),
        ("unbonding_epochs", |s| s.staking.unbonding_epochs = 129),
    ];
    for (reason, change) in changes {
        let mut spec = spec();
        change(&mut spec);
        let error: SpecError = spec.check().unwrap_err();
        assert!(
            error.to_string().contains(reason),
            "{error} does not name {reason}"
        );
    }
}

#[test]
fn a_height_is_of_one_epoch_and_the_last_of_an_epoch_is_followed_by_the_next() {
    let mut rules = spec().staking;
    rules.epoch_blocks = 16;
    for (height, epoch, last) in [(0, 0, false), (15, 0, true), (16, 1, false), (31, 1, true)] {
        assert_eq!(rules.epoch_of(height), epoch);
        assert_eq!(rules.is_last_of_epoch(height), last, "{height}");
    }
}

#[test]
fn an_address_of_a_validator_is_a_host_and_a_port_or_nothing() {
    for good in ["", "10.0.0.1:4000", "node.example.org:1", "[::1]:65535"] {
        assert!(crate::staking::is_p2p_address(good), "{good}");
    }
    let long = format!("{}:4000", "a".repeat(255));
    for bad in [
        "x", ":1", "a:0", "a:65536", "a:+1", "a b:1", "::1:9", "a:", &long,
    ] {
        assert!(!crate::staking::is_p2p_address(bad), "{bad}");
    }
}

#[test]
fn the_base_fee_follows_eip_1559_down_to_its_floor() {
    let spec = spec();
    let header = |gas_used: u64, fee: u64| Header {
        gas_limit: 100,
        gas_used,
        base_fee_per_gas: Some(fee),
        ..header::template()
    };
    let fee = 1_000_000_000;
    assert_eq!(next_base_fee(&header(50, fee), &spec), fee);
    assert_eq!(next_base_fee(&header(100, fee), &spec), fee + fee / 8);
    assert_eq!(next_base_fee(&header(0, fee), &spec), fee - fee / 8);
    assert_eq!(
        next_base_fee(&header(0, spec.base_fee_floor), &spec),
        spec.base_fee_floor
    );
    // No fee, however high, overflows.
    assert_eq!(next_base_fee(&header(100, u64::MAX), &spec), 1 << 62);
}

#[test]
fn an_order_context_depends_on_every_part() {
    let (model, anchor) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let seller = Address::repeat_byte(3);
    let base = order_context(1618, U256::from(7), model, seller, anchor);
    let others = [
        order_context(1619, U256::from(7), model, seller, anchor),
        order_context(1618, U256::from(8), model, seller, anchor),
        order_context(1618, U256::from(7), anchor, seller, anchor),
        order_context(1618, U256::from(7), model, Address::ZERO, anchor),
        order_context(1618, U256::from(7), model, seller, model),
    ];
    assert!(others.iter().all(|other| *other != base));
}

#[test]
fn protocol_addresses_are_recognised() {
    assert_eq!(
        addresses::BURN.to_string(),
        "0x4841000000000000000000000000000000000000"
    );
    for address in [
        addresses::MODELS,
        addresses::INFERENCE,
        addresses::VERIFIER,
        addresses::TOPICS,
        addresses::BURN,
    ] {
        assert!(addresses::is_reserved(&address));
    }
    assert!(!addresses::is_reserved(&Address::with_last_byte(3)));
}
