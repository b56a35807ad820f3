//! Blocks from peers decode canonically or not at all.
#![no_main]
use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_primitives::{Address, Signature, TxKind, U256};
use hallmark_types::header::{self, HeaderExtra};
use hallmark_types::{Block, Limits, Transaction, merkle};
use libfuzzer_sys::fuzz_target;

mod seeds;

fn block(transactions: Vec<Transaction>) -> Vec<u8> {
    let mut header = header::template();
    header.number = 4;
    header.timestamp = 1_700_000_000;
    header.extra_data =
        HeaderExtra { ms: 999, epoch: 1, view: 2, parent_view: 1, leader: 3 }.encode();
    header.transactions_root = merkle::transactions_root(&transactions);
    Block { header, transactions }.to_rlp()
}

fn blocks() -> Vec<Vec<u8>> {
    let signature = Signature::new(U256::from(5), U256::from(6), true);
    let legacy = TxLegacy { chain_id: Some(1618), ..TxLegacy::default() };
    let fees = |nonce, payload| TxEip1559 {
        chain_id: 1618,
        nonce,
        gas_limit: 21_000,
        to: TxKind::Call(Address::with_last_byte(3)),
        input: vec![0xab; payload].into(),
        ..TxEip1559::default()
    };
    let signed = |tx: TxEip1559| -> Transaction { tx.into_signed(signature).into() };
    vec![
        block(Vec::new()),
        block(vec![legacy.into_signed(signature).into()]),
        block(vec![signed(fees(1, 3)), signed(fees(2, 60))]),
    ]
}

fuzz_target!(init: seeds::write(blocks), |bytes: &[u8]| {
    if let Ok(block) = Block::decode_bounded(bytes, &Limits::local()) {
        assert_eq!(block.to_rlp(), bytes);
    }
});
