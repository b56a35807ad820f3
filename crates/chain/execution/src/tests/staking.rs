//! Stories of sets and fees, through whole blocks.

use alloy_primitives::{TxKind, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::IStaking;
use hallmark_types::{MARK, addresses, staking::LOCAL_STAKE};

use super::world::*;
use crate::{BlockError, committee};

const EPOCH: u64 = 8;

/// The first four accounts operate the four validators.
fn world() -> World {
    World::with(|spec| {
        spec.staking.epoch_blocks = EPOCH;
        for (number, validator) in (1u8..).zip(&mut spec.validators) {
            validator.address = signer(number).address();
        }
    })
}

fn call(world: &mut World, from: u8, value: u128, data: impl SolCall) {
    let to = TxKind::Call(addresses::STAKING);
    let tx = world.order(from, to, value, data.abi_encode()).sign();
    let block = world.block(vec![tx]);
    assert!(block.receipts[0].is_success());
}

fn go_to(world: &mut World, height: u64) {
    while world.head.number() < height {
        world.block(Vec::new());
    }
}

fn keys(world: &World, epoch: u64) -> Option<Vec<u8>> {
    let committee = committee(&world.head.state, world.spec(), epoch)?;
    assert_eq!(committee.epoch, epoch);
    let members = committee.members.iter();
    Some(members.map(|member| member.public_key[0]).collect())
}

#[test]
fn a_validator_leaves_the_set_after_an_epoch_of_notice_and_blocks_go_on() {
    let mut world = world();
    assert_eq!(keys(&world, 0), Some(vec![1, 2, 3, 4]));
    assert_eq!(keys(&world, 1), Some(vec![1, 2, 3, 4]));
    call(&mut world, 2, 0, IStaking::leaveCall {});
    go_to(&mut world, EPOCH - 2);
    assert_eq!(keys(&world, 2), None);
    go_to(&mut world, EPOCH - 1);
    assert_eq!(keys(&world, 2), Some(vec![1, 3, 4]));
    go_to(&mut world, 2 * EPOCH - 1);
    assert_eq!(keys(&world, 1), Some(vec![1, 2, 3, 4]));
    let attributes = world.attributes();
    assert_eq!(attributes.epoch, 2);
    // Index 3 was a validator's, and is none's in this epoch.
    let build = |leader, beneficiary, epoch| {
        let mut attributes = attributes;
        (attributes.leader, attributes.beneficiary) = (leader, beneficiary);
        attributes.epoch = epoch;
        let head = &world.head;
        world.proposer.build_block(
            &head.block.header,
            &head.state,
            attributes,
            Vec::new(),
            &crate::NoAncestry,
        )
    };
    let last = signer(4).address();
    let error = build(3, last, 2).unwrap_err();
    assert!(matches!(error, BlockError::Leader { validators: 3, .. }));
    let error = build(1, signer(2).address(), 2).unwrap_err();
    assert!(matches!(error, BlockError::Beneficiary { .. }));
    for epoch in [0, 1, 3] {
        let error = build(2, last, epoch).unwrap_err();
        assert!(matches!(error, BlockError::Epoch { expected: 2, .. }));
    }
    build(2, last, 2).unwrap();
    go_to(&mut world, 4 * EPOCH);
    assert_eq!(world.head.state.total_balance(), world.spec().issued());
}

#[test]
fn fees_become_stake_and_stake_comes_back_as_coins() {
    let mut world = world();
    let stake = |world: &World| {
        let committee = committee(&world.head.state, world.spec(), 2).expect("a set");
        committee
            .members
            .iter()
            .map(|member| member.stake)
            .sum::<U256>()
    };
    let delegate = IStaking::delegateCall { validator: 3 };
    call(&mut world, 8, MARK, delegate);
    let staked = world.balance(addresses::STAKING);
    let tips = staked - U256::from(4 * LOCAL_STAKE) - U256::from(MARK);
    assert!(tips > U256::ZERO);
    go_to(&mut world, EPOCH - 1);
    // The set that is frozen shows the fee as stake.
    assert_eq!(stake(&world), staked);
    let shares = U256::from(1_000 * MARK);
    let undelegate = IStaking::undelegateCall {
        validator: 3,
        shares,
    };
    call(&mut world, 8, 0, undelegate);
    let wait = u64::from(world.spec().staking.unbonding_epochs);
    go_to(&mut world, EPOCH * (1 + wait));
    let before = world.balance(signer(8).address());
    call(&mut world, 8, 0, IStaking::withdrawCall {});
    let after = world.balance(signer(8).address());
    // A MARK came back, and the call cost far less.
    assert!(after - before > U256::from(MARK / 2));
    assert_eq!(world.head.state.total_balance(), world.spec().issued());
}

#[test]
fn coinbase_is_the_proposers_address_and_what_is_sent_there_is_its_own() {
    // COINBASE, CALL with value of everything that came in.
    let runtime = [
        0x5f, 0x5f, 0x5f, 0x5f, 0x34, 0x41, 0x5a, 0xf1, 0x41, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3,
    ];
    let mut world = World::new();
    let contract = world.deploy(1, &runtime);
    let beneficiary = world.attributes().beneficiary;
    let before = world.balance(beneficiary);
    let tx = world
        .order(2, TxKind::Call(contract), MARK, Vec::new())
        .sign();
    let block = world.block(vec![tx]);
    assert!(block.receipts[0].is_success());
    assert_eq!(block.block.header.beneficiary, beneficiary);
    assert_eq!(world.balance(beneficiary), before + U256::from(MARK));
}

#[test]
fn an_end_of_epoch_is_the_same_on_every_node() {
    let mut first = world();
    let mut second = world();
    for world in [&mut first, &mut second] {
        call(world, 1, MARK, IStaking::delegateCall { validator: 4 });
        go_to(world, 3 * EPOCH);
    }
    assert_eq!(first.head.hash, second.head.hash);
    assert_eq!(keys(&first, 3).unwrap()[0], 4);
}
