//! What a block does.

use std::sync::atomic::Ordering;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, TxKind, U256, keccak256};
use hallmark_types::{MARK, addresses, next_base_fee};

use super::world::*;
use crate::TransactionError;

#[test]
fn genesis_holds_the_allocation_and_the_system_accounts() {
    let world = World::new();
    let state = &world.head.state;
    assert_eq!(state.total_balance(), world.spec().issued());
    assert_eq!(state.root(), world.head.block.header.state_root);
    for address in [
        addresses::STAKING,
        addresses::MODELS,
        addresses::INFERENCE,
        addresses::VERIFIER,
        addresses::TOPICS,
    ] {
        let account = state.account(&address).expect("exists from genesis");
        assert_eq!((account.nonce, account.code_hash), (1, keccak256([0xef])));
        assert_eq!(
            state.code(&account.code_hash),
            Some(Bytes::from_static(&[0xef]))
        );
    }
    let burn = state
        .account(&addresses::BURN)
        .expect("exists from genesis");
    assert_eq!(
        (burn.nonce, burn.code_hash, burn.balance),
        (1, KECCAK256_EMPTY, U256::ZERO)
    );
    assert_eq!(
        world.validator.genesis().hash,
        world.head.hash,
        "a function of the spec"
    );
    assert_eq!(world.head.block.header.mix_hash, world.spec().hash());
}

#[test]
fn a_transfer_moves_value_tips_the_leaders_stake_and_burns_the_base_fee() {
    let mut world = World::new();
    let to = Address::repeat_byte(0x11);
    let before = world.balance(signer(1).address());
    let staked = world.balance(addresses::STAKING);
    let tx = world.transfer(1, to, MARK);
    let block = world.block(vec![tx]);
    let header = &block.block.header;
    let (gas, base_fee) = (
        U256::from(21_000),
        U256::from(header.base_fee_per_gas.unwrap()),
    );
    assert_eq!(header.gas_used, 21_000);
    assert_eq!(world.balance(to), U256::from(MARK));
    assert_eq!(world.balance(header.beneficiary), U256::ZERO);
    let tips = gas * U256::from(TIP);
    assert_eq!(world.balance(addresses::STAKING), staked + tips);
    assert_eq!(world.balance(addresses::BURN), gas * base_fee);
    let paid = U256::from(MARK) + gas * (base_fee + U256::from(TIP));
    assert_eq!(world.balance(signer(1).address()), before - paid);
    assert_eq!(block.senders, vec![signer(1).address()]);
}

#[test]
fn a_contract_is_created_called_and_logged() {
    let mut world = World::new();
    let counter = world.deploy(1, COUNTER);
    let code_hash = world.head.state.account(&counter).unwrap().code_hash;
    assert_eq!(
        world.head.state.code(&code_hash),
        Some(Bytes::from_static(COUNTER))
    );
    let txs = vec![world.call(1, counter, &[]), world.call(2, counter, &[])];
    let block = world.block(txs);
    assert_eq!(
        world.head.state.storage(&counter, &U256::ZERO),
        U256::from(2)
    );
    let topic = B256::with_last_byte(0x42);
    for receipt in &block.receipts {
        assert_eq!(receipt.logs().len(), 1);
        assert_eq!(receipt.logs()[0].address, counter);
        assert_eq!(receipt.logs()[0].topics(), &[topic]);
    }
    let header = &block.block.header;
    assert!(
        header
            .logs_bloom
            .contains_input(alloy_primitives::BloomInput::Raw(&topic.0))
    );
    assert_eq!(block.receipts[1].cumulative_gas_used(), header.gas_used);
}

#[test]
fn a_revert_pays_for_gas_and_leaves_nothing_else() {
    let mut world = World::new();
    let reverter = world.deploy(1, REVERTER);
    let tx = world.call(1, reverter, &[1]);
    let limit = tx.gas_limit();
    let block = world.block(vec![tx]);
    assert!(!block.receipts[0].is_success());
    assert!(block.receipts[0].logs().is_empty());
    assert_eq!(world.head.state.storage(&reverter, &U256::ZERO), U256::ZERO);
    assert!(block.block.header.gas_used > 21_000 && block.block.header.gas_used < limit);
}

/// A world whose blocks have room for one transaction of the greatest size and a half.
fn with_small_blocks() -> World {
    World::with(|spec| {
        spec.limits.block_gas_limit = 150_000_000;
        spec.limits.tx_gas_limit = 100_000_000;
    })
}

#[test]
fn the_base_fee_rises_after_a_full_block_and_falls_after_an_empty_one() {
    let mut world = with_small_blocks();
    let initial = world.head.block.header.base_fee_per_gas.unwrap();
    let empty = world.block(vec![]);
    let fallen = empty.block.header.base_fee_per_gas.unwrap();
    assert!(fallen < initial);
    let burner = world.deploy(1, LOOP);
    let before = world.head.block.header.base_fee_per_gas.unwrap();
    let mut order = world.order(2, TxKind::Call(burner), 0, vec![1]);
    order.tx.gas_limit = 90_000_000;
    let full = world.block(vec![order.sign()]);
    assert_eq!(
        full.block.header.gas_used, 90_000_000,
        "running out of gas uses it all"
    );
    let next = world.block(vec![]);
    let after = next.block.header.base_fee_per_gas.unwrap();
    assert_eq!(after, next_base_fee(&full.block.header, world.spec()));
    assert!(after > full.block.header.base_fee_per_gas.unwrap() && before > 0);
}

#[test]
fn what_a_self_destruct_destroys_is_burned_and_money_is_conserved() {
    let mut world = World::new();
    let before = world.balance(addresses::BURN);
    let order = world.order(3, TxKind::Create, 5 * MARK, SELF_DESTROYER.to_vec());
    let block = world.block(vec![order.sign()]);
    assert!(block.receipts[0].is_success());
    let header = &block.block.header;
    let fees = U256::from(header.gas_used) * U256::from(header.base_fee_per_gas.unwrap());
    assert_eq!(
        world.balance(addresses::BURN),
        before + fees + U256::from(5 * MARK)
    );
    let gone = signer(3).address().create(0);
    assert_eq!(world.head.state.account(&gone), None);
}

#[test]
fn a_plain_transfer_to_a_system_contract_is_surplus() {
    let mut world = World::new();
    let tx = world.transfer(1, addresses::INFERENCE, MARK);
    let block = world.block(vec![tx]);
    assert!(block.receipts[0].is_success());
    assert_eq!(world.balance(addresses::INFERENCE), U256::from(MARK));
}

#[test]
fn an_unknown_method_of_a_system_contract_reverts_and_returns_the_gas() {
    let mut world = World::new();
    let tx = world.call(1, addresses::MODELS, &[0xff; 4]);
    let block = world.block(vec![tx]);
    assert!(!block.receipts[0].is_success());
    assert!(block.block.header.gas_used < 100_000);
}

#[test]
fn one_and_a_half_megabytes_of_payload_execute() {
    let mut world = World::new();
    let mut order = world.order(
        1,
        TxKind::Call(Address::repeat_byte(9)),
        0,
        vec![0x5a; 1_500_000],
    );
    order.tx.gas_limit = 70_000_000;
    let block = world.block(vec![order.sign()]);
    // EIP-7623: four tokens a byte at the chain's floor price.
    assert_eq!(block.block.header.gas_used, 21_000 + 4 * 10 * 1_500_000);
    let rlp = block.block.to_rlp();
    let decoded = hallmark_types::Block::decode_bounded(&rlp, &world.spec().limits);
    assert_eq!(decoded.as_ref(), Ok(&*block.block));
}

#[test]
fn the_builder_skips_what_cannot_be_executed_and_says_why() {
    let mut world = World::new();
    let good = world.transfer(1, Address::repeat_byte(1), 1);
    let used = good.clone();
    let too_rich = world.order(
        4,
        TxKind::Call(Address::repeat_byte(1)),
        2_000 * MARK,
        vec![],
    );
    let mut cheap = world.order(5, TxKind::Call(Address::repeat_byte(1)), 1, vec![]);
    cheap.tx.max_fee_per_gas = 1;
    cheap.tx.max_priority_fee_per_gas = 1;
    world.order(6, TxKind::Create, 0, vec![]);
    let gapped = world.transfer(6, Address::repeat_byte(1), 1);
    let built = world.build(vec![good, used, too_rich.sign(), cheap.sign(), gapped]);
    assert_eq!(built.executed.block.transactions.len(), 1);
    let errors: Vec<_> = built
        .refused
        .iter()
        .map(|(_, error)| error.clone())
        .collect();
    assert_eq!(errors[0], TransactionError::NonceTooLow { state: 1, tx: 0 });
    assert!(
        matches!(errors[1], TransactionError::InsufficientFunds { .. }),
        "{}",
        errors[1]
    );
    assert!(
        matches!(errors[2], TransactionError::FeeCapTooLow { .. }),
        "{}",
        errors[2]
    );
    assert_eq!(
        errors[3],
        TransactionError::NonceTooHigh { state: 0, tx: 1 }
    );
    let permanent: Vec<bool> = errors.iter().map(TransactionError::is_permanent).collect();
    assert_eq!(permanent, [true, true, false, false]);
    assert!(world.judge(&built.executed.block).is_ok());
}

#[test]
fn a_block_holds_no_more_gas_and_bytes_than_its_limits() {
    let mut world = with_small_blocks();
    let burner = world.deploy(1, LOOP);
    let big = |world: &mut World, from: u8| {
        let mut order = world.order(from, TxKind::Call(burner), 0, vec![1]);
        order.tx.gas_limit = 80_000_000;
        order.sign()
    };
    let txs = vec![big(&mut world, 1), big(&mut world, 2)];
    let built = world.build(txs);
    assert_eq!(built.executed.block.transactions.len(), 1);
    assert!(matches!(
        built.refused[0].1,
        TransactionError::BlockGasExhausted { .. }
    ));

    let mut world = World::new();
    let txs = (1..=2)
        .map(|from| {
            let to = TxKind::Call(Address::repeat_byte(9));
            let mut order = world.order(from, to, 0, vec![0; 2_000_000]);
            order.tx.gas_limit = 70_000_000;
            order.sign()
        })
        .collect();
    let built = world.build(txs);
    assert_eq!(built.refused[0].1, TransactionError::BlockBytesExhausted);
    assert!(built.executed.block.rlp_len() <= world.spec().limits.max_block_bytes);
    assert!(world.judge(&built.executed.block).is_ok());
}

#[test]
fn each_node_recovers_each_sender_once() {
    let mut world = World::new();
    let tx = world.transfer(1, Address::repeat_byte(1), 1);
    let recoveries = |executor: &crate::Executor| {
        executor
            .counters()
            .sender_recoveries
            .load(Ordering::Relaxed)
    };
    let pooled = world.proposer.recover(tx.clone()).unwrap();
    assert_eq!(pooled.sender, signer(1).address());
    world.block(vec![tx]);
    assert_eq!(recoveries(&world.proposer), 1);
    assert_eq!(recoveries(&world.validator), 1);
}

#[test]
#[ignore = "a measurement: cargo test -p hallmark-execution -- --ignored --nocapture transfers"]
fn transfers_per_second() {
    let mut world = World::new();
    let txs: Vec<_> = (0..3_000u32)
        .map(|i| {
            let to = Address::left_padding_from(&(i + 1_000_000).to_be_bytes());
            world.transfer((i % 8) as u8 + 1, to, 1)
        })
        .collect();
    for tx in &txs {
        world.proposer.recover(tx.clone()).unwrap();
        world.validator.recover(tx.clone()).unwrap();
    }
    let candidates: Vec<_> = txs
        .iter()
        .map(|tx| std::sync::Arc::new(world.proposer.recover(tx.clone()).unwrap()))
        .collect();
    let start = std::time::Instant::now();
    let built = world
        .proposer
        .build_block(
            &world.head.block.header,
            &world.head.state,
            world.attributes(),
            candidates,
            &crate::NoAncestry,
        )
        .unwrap();
    let build = start.elapsed();
    let start = std::time::Instant::now();
    world.judge(&built.executed.block).unwrap();
    let judge = start.elapsed();
    println!(
        "{} transfers: built in {build:?}, checked in {judge:?}",
        txs.len()
    );
    assert_eq!(built.executed.block.transactions.len(), txs.len());
}
