//! Blocks that another node must refuse, each for its own reason.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bloom, U256};
use hallmark_types::{Block, HeaderExtra, MARK, header, merkle};

use super::world::*;
use crate::{BlockError, TransactionError};

/// A valid block with a transfer and a log, on a chain with some history.
fn valid() -> (World, Block) {
    let mut world = World::new();
    let counter = world.deploy(1, COUNTER);
    let txs = vec![
        world.transfer(2, Address::repeat_byte(1), MARK),
        world.call(1, counter, &[]),
    ];
    let built = world.build(txs);
    assert_eq!(built.refused, vec![]);
    let block = (*built.executed.block).clone();
    assert!(world.judge(&block).is_ok());
    (world, block)
}

/// Refused by name, whatever field is wrong.
#[test]
fn a_block_with_one_wrong_field_is_refused_by_its_name() {
    let (world, block) = valid();
    let judge = |change: &dyn Fn(&mut Block)| {
        let mut wrong = block.clone();
        change(&mut wrong);
        world.judge(&wrong).expect_err("a wrong field").to_string()
    };
    let extra = |change: &dyn Fn(&mut HeaderExtra)| {
        judge(&|block| {
            let mut extra = block.extra().unwrap();
            change(&mut extra);
            block.header.extra_data = extra.encode();
        })
    };
    let one = B256::with_last_byte(1);
    let cases = [
        (judge(&|b| b.header.parent_hash = one), "parent hash"),
        (judge(&|b| b.header.number += 1), "block number"),
        (judge(&|b| b.header.timestamp -= 10), "timestamp"),
        (judge(&|b| b.header.timestamp += 100), "timestamp"),
        (extra(&|e| e.epoch = 1), "epoch 1, expected 0"),
        (extra(&|e| e.leader = 9), "leader 9 of 4"),
        (extra(&|e| e.leader = (e.leader + 1) % 4), "beneficiary"),
        (
            judge(&|b| b.header.beneficiary = Address::ZERO),
            "beneficiary",
        ),
        (judge(&|b| b.header.gas_limit += 1), "gas limit"),
        (judge(&|b| b.header.base_fee_per_gas = Some(1)), "base fee"),
        (
            judge(&|b| b.header.base_fee_per_gas = None),
            "baseFeePerGas",
        ),
        (
            judge(&|b| b.header.transactions_root = one),
            "transactions root",
        ),
        (judge(&|b| b.header.receipts_root = one), "receipts root"),
        (judge(&|b| b.header.state_root = one), "state root"),
        (
            judge(&|b| b.header.logs_bloom = Bloom::repeat_byte(1)),
            "logs bloom",
        ),
        (judge(&|b| b.header.gas_used += 1), "gas used"),
        (judge(&|b| b.header.mix_hash = one), "mixHash"),
        (judge(&|b| b.header.ommers_hash = one), "sha3Uncles"),
        (
            judge(&|b| b.header.difficulty = U256::from(1)),
            "difficulty",
        ),
        (judge(&|b| b.header.nonce = [1; 8].into()), "nonce"),
        (
            judge(&|b| b.header.withdrawals_root = None),
            "withdrawalsRoot",
        ),
        (judge(&|b| b.header.blob_gas_used = Some(1)), "blobGasUsed"),
        (judge(&|b| b.header.excess_blob_gas = None), "excessBlobGas"),
        (
            judge(&|b| b.header.parent_beacon_block_root = Some(one)),
            "parentBeaconBlockRoot",
        ),
        (judge(&|b| b.header.requests_hash = None), "requestsHash"),
        (
            judge(&|b| b.header.extra_data = vec![0; 23].into()),
            "extra data",
        ),
    ];
    for (error, name) in cases {
        assert!(error.contains(name), "expected {name}, got: {error}");
    }
}

fn with_transactions(block: &Block, transactions: Vec<hallmark_types::Transaction>) -> Block {
    let mut block = block.clone();
    block.header.transactions_root = merkle::transactions_root(&transactions);
    block.transactions = transactions;
    block
}

#[test]
fn a_block_with_an_invalid_transaction_is_refused() {
    let (mut world, block) = valid();
    let twice = vec![block.transactions[0].clone(), block.transactions[0].clone()];
    assert_eq!(
        world.judge(&with_transactions(&block, twice)).unwrap_err(),
        BlockError::Transaction {
            index: 1,
            error: TransactionError::NonceTooLow { state: 1, tx: 0 }
        }
    );
    let mut foreign = world.order(3, Address::ZERO.into(), 0, vec![]);
    foreign.tx.chain_id = 1;
    let error = world
        .judge(&with_transactions(&block, vec![foreign.sign()]))
        .unwrap_err();
    assert!(error.to_string().contains("chain id"), "{error}");
    let mut greedy = world.order(4, Address::ZERO.into(), 0, vec![]);
    greedy.tx.gas_limit = world.spec().limits.tx_gas_limit + 1;
    let error = world
        .judge(&with_transactions(&block, vec![greedy.sign()]))
        .unwrap_err();
    assert!(
        matches!(error, BlockError::Transaction { index: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_block_that_drops_reorders_or_adds_a_transaction_is_refused() {
    let (mut world, block) = valid();
    let mut dropped = block.clone();
    dropped.transactions.pop();
    assert!(matches!(
        world.judge(&dropped),
        Err(BlockError::TransactionsRoot { .. })
    ));
    let mut reordered = block.clone();
    reordered.transactions.reverse();
    assert!(matches!(
        world.judge(&reordered),
        Err(BlockError::TransactionsRoot { .. })
    ));
    // With a matching root, the execution differs.
    let mut more = block.transactions.clone();
    more.push(world.transfer(5, Address::repeat_byte(3), 1));
    let error = world.judge(&with_transactions(&block, more)).unwrap_err();
    assert!(matches!(error, BlockError::GasUsed { .. }), "{error}");
}

#[test]
fn an_oversized_block_or_transaction_is_refused() {
    let (mut world, block) = valid();
    let mut order = world.order(6, Address::ZERO.into(), 0, vec![0; 2_200_000]);
    order.tx.gas_limit = 60_000_000;
    let error = world
        .judge(&with_transactions(&block, vec![order.sign()]))
        .unwrap_err();
    assert!(
        matches!(error, BlockError::TransactionTooLarge { index: 0, .. }),
        "{error}"
    );
    let txs = (7..=8)
        .map(|from| {
            let mut order = world.order(from, Address::ZERO.into(), 0, vec![0; 1_700_000]);
            order.tx.gas_limit = 60_000_000;
            order.sign()
        })
        .collect();
    let error = world.judge(&with_transactions(&block, txs)).unwrap_err();
    assert!(matches!(error, BlockError::TooLarge { .. }), "{error}");
}

#[test]
fn attributes_that_break_the_rules_build_nothing() {
    let world = World::new();
    let build = |change: &dyn Fn(&mut crate::BlockAttributes)| {
        let mut attributes = world.attributes();
        change(&mut attributes);
        let head = &world.head;
        world
            .proposer
            .build_block(
                &head.block.header,
                &head.state,
                attributes,
                vec![],
                &crate::NoAncestry,
            )
            .unwrap_err()
    };
    let parent_ms = header::timestamp_ms(&world.head.block.header);
    assert!(matches!(
        build(&|a| a.timestamp_ms = parent_ms),
        BlockError::Timestamp(_)
    ));
    assert!(matches!(
        build(&|a| a.leader = 4),
        BlockError::Leader { .. }
    ));
    assert!(matches!(
        build(&|a| a.beneficiary = Address::repeat_byte(1)),
        BlockError::Beneficiary { .. }
    ));
}

#[test]
fn a_block_on_another_parent_is_refused() {
    let (mut world, block) = valid();
    world.block(vec![]);
    assert!(matches!(
        world.judge(&block),
        Err(BlockError::ParentHash { .. })
    ));
    let _ = Arc::new(block);
}
