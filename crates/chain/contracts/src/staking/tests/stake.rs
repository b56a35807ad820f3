//! Stories of stake, rewards and commissions.

use alloy_primitives::{Address, B256, Bytes, U256};
use hallmark_abi::{IStaking, ISystem};
use hallmark_types::{MARK, addresses};

use super::*;
use crate::testing::expect_revert;

#[test]
fn the_stake_of_genesis_is_on_the_books_and_belongs_to_the_operators() {
    let mut world = World::new();
    assert_eq!(
        world.host.balance_of(addresses::STAKING),
        genesis_stake() * U256::from(3)
    );
    for (number, operator) in (1..).zip(OPERATORS) {
        let validator = world.get(number);
        assert_eq!(validator.operator, operator);
        assert_eq!(validator.ownStake, genesis_stake());
        assert!(validator.candidate);
        assert_eq!(world.worth(number, operator), genesis_stake());
    }
    world.check_books(&OPERATORS);
}

#[test]
fn stake_comes_back_after_its_wait_and_not_before() {
    let mut world = World::new();
    let before = world.host.balance_of(ALICE);
    world.delegate(ALICE, 1, wei(50)).unwrap();
    assert_eq!(world.worth(1, ALICE), wei(50));
    world.undelegate_all(ALICE, 1);
    assert_eq!(world.worth(1, ALICE), U256::ZERO);
    let exits = world.exits(ALICE);
    assert_eq!((exits[0].freeEpoch, exits[0].amount), (8, wei(50)));
    world.epochs(7);
    expect_revert::<IStaking::NothingToWithdraw>(world.withdraw(ALICE));
    world.next_epoch();
    assert_eq!(world.withdraw(ALICE).unwrap(), wei(50));
    assert_eq!(world.host.balance_of(ALICE), before);
    expect_revert::<IStaking::NothingToWithdraw>(world.withdraw(ALICE));
    assert!(world.exits(ALICE).is_empty());
}

#[test]
fn exits_of_one_epoch_are_one_and_a_withdrawal_pays_a_bounded_number() {
    let mut world = World::new();
    world.delegate(ALICE, 1, wei(100)).unwrap();
    world.delegate(ALICE, 2, wei(100)).unwrap();
    let some = world.shares(1, ALICE) / U256::from(100);
    world.undelegate(ALICE, 1, some).unwrap();
    world.undelegate(ALICE, 1, some).unwrap();
    assert_eq!(world.exits(ALICE).len(), 1);
    for _ in 0..20 {
        world.undelegate(ALICE, 2, some).unwrap();
        world.undelegate(ALICE, 1, some).unwrap();
    }
    assert_eq!(world.exits(ALICE).len(), 41);
    world.epochs(8);
    assert_eq!(world.withdraw(ALICE).unwrap(), wei(33));
    assert_eq!(world.withdraw(ALICE).unwrap(), wei(9));
    world.check_books(&[ALICE, OPERATORS[0], OPERATORS[1], OPERATORS[2]]);
}

#[test]
fn fees_of_a_block_go_to_its_proposer_and_those_who_stand_behind_it() {
    let mut world = World::new();
    world.delegate(ALICE, 2, genesis_stake()).unwrap();
    world
        .act(
            OPERATORS[1],
            IStaking::setCommissionCall { commissionBps: 0 },
        )
        .unwrap();
    world.host.leader = 1;
    world.block_with(wei(10));
    // Half of the stake is Alice's; rounding is the pot's.
    let earned = world.worth(2, ALICE) - genesis_stake();
    assert!(
        earned <= wei(5) && earned > wei(5) - U256::from(10),
        "{earned}"
    );
    assert_eq!(world.worth(1, OPERATORS[0]), genesis_stake());
    let holders = [ALICE, OPERATORS[0], OPERATORS[1], OPERATORS[2]];
    world.check_books(&holders);
}

#[test]
fn a_commission_is_taken_first_and_a_raise_waits() {
    let mut world = World::new();
    let set = |commissionBps| IStaking::setCommissionCall { commissionBps };
    world.act(OPERATORS[0], set(5_000)).unwrap();
    assert_eq!(world.get(1).commissionBps, 0);
    assert_eq!(world.get(1).nextCommissionEpoch, 4);
    world.block_with(wei(10));
    assert_eq!(world.free(OPERATORS[0]), U256::ZERO);
    world.epochs(4);
    world.block_with(wei(10));
    assert_eq!(world.free(OPERATORS[0]), wei(5));
    assert_eq!(world.get(1).commissionBps, 5_000);
    // A cut holds at once, and forgets a raise that waits.
    world.act(OPERATORS[0], set(4_000)).unwrap();
    world.act(OPERATORS[0], set(5_000)).unwrap();
    world.act(OPERATORS[0], set(1_000)).unwrap();
    world.epochs(5);
    assert_eq!(world.get(1).commissionBps, 1_000);
    world.block_with(wei(10));
    assert_eq!(world.withdraw(OPERATORS[0]).unwrap(), wei(6));
    let refused = world.act(OPERATORS[0], set(5_001));
    assert_eq!(
        expect_revert::<IStaking::InvalidCommission>(refused).most,
        5_000
    );
    expect_revert::<IStaking::NotOperator>(world.act(ALICE, set(1)));
}

#[test]
fn a_plain_transfer_is_a_reward_of_the_blocks_proposer_and_nothing_is_lost() {
    let mut world = World::new();
    world.host.plain_transfer(ALICE, addresses::STAKING, wei(3));
    world.host.leader = 2;
    world.block_with(U256::ZERO);
    assert!(world.get(3).stake == genesis_stake() + wei(3));
    world.check_books(&OPERATORS);
    assert_eq!(
        world.host.balance_of(addresses::STAKING),
        genesis_stake() * U256::from(3) + wei(3)
    );
}

#[test]
fn fees_with_next_to_nothing_behind_the_proposer_go_to_its_payout_account() {
    let mut world = World::new();
    let most = world.shares(1, OPERATORS[0]) - U256::from(1_000);
    world.undelegate(OPERATORS[0], 1, most).unwrap();
    world.block_with(wei(7));
    assert_eq!(world.free(OPERATORS[0]), wei(7));
    assert_eq!(world.worth(1, OPERATORS[0]), U256::from(1));
}

#[test]
fn fees_of_a_proposer_outside_the_set_wait_for_the_next_one() {
    let mut world = World::new();
    world.host.leader = 99;
    world.block_with(wei(7));
    world.check_books(&OPERATORS);
    world.host.leader = 0;
    world.block_with(U256::ZERO);
    assert_eq!(world.get(1).stake, genesis_stake() + wei(7));
}

#[test]
fn nobody_gains_by_making_a_share_dear_before_others_come() {
    let mut world = World::with(|spec| spec.staking.min_stake = U256::from(1));
    let attacker = NEWCOMER;
    let number = world.bond(attacker, [9; 32], U256::from(1)).unwrap();
    // The attacker takes no commission and tips its own pot before the victim's stake arrives.
    let call = IStaking::setCommissionCall { commissionBps: 0 };
    world.act(attacker, call).unwrap();
    let donated = wei(1_000);
    let pot = Staking::new().validators.at(number).pool.amount;
    let sum = pot.read(&mut world.host).unwrap() + donated.to::<u128>();
    world
        .host
        .plain_transfer(attacker, addresses::STAKING, donated);
    pot.write(&mut world.host, sum).unwrap();
    Staking::new().owe(&mut world.host, donated.to()).unwrap();
    world.delegate(ALICE, number, wei(1)).unwrap();
    let lost = wei(1) - world.worth(number, ALICE);
    assert!(lost < wei(1), "the victim has something");
    let gained = world.worth(number, attacker);
    assert!(
        gained + lost < donated,
        "the attack costs more than the victim lost: {gained}, {lost}"
    );
    // Stake that would be worth no share is refused.
    let refused = world.delegate(BOB, number, U256::from(1));
    expect_revert::<IStaking::ZeroAmount>(refused);
}

#[test]
fn putting_in_and_taking_out_never_pays_by_rounding() {
    let mut world = World::new();
    world.block_with(U256::from(7 * MARK + 13));
    for amount in [1u128, 2, 999, 1_000, 1_001, MARK + 1, 3 * MARK - 1] {
        let shares = world.delegate(ALICE, 1, U256::from(amount)).unwrap();
        assert!(world.worth(1, ALICE) <= U256::from(amount));
        let exits = world.exits(ALICE).iter().map(|e| e.amount).sum::<U256>();
        if world.undelegate(ALICE, 1, shares).is_ok() {
            let after = world.exits(ALICE).iter().map(|e| e.amount).sum::<U256>();
            assert!(after - exits <= U256::from(amount));
        }
    }
    let refused = world.undelegate(ALICE, 1, U256::MAX);
    expect_revert::<IStaking::InsufficientShares>(refused);
    expect_revert::<IStaking::ZeroAmount>(world.undelegate(ALICE, 1, U256::ZERO));
    expect_revert::<IStaking::ZeroAmount>(world.delegate(ALICE, 1, U256::ZERO));
    expect_revert::<IStaking::UnknownValidator>(world.delegate(ALICE, 4, wei(1)));
    expect_revert::<IStaking::UnknownValidator>(world.delegate(ALICE, 0, wei(1)));
}

#[test]
fn a_validator_registers_with_a_key_that_it_holds() {
    let mut world = World::new();
    let number = world.bond(NEWCOMER, [9; 32], wei(1_000)).unwrap();
    let validator = world.get(number);
    assert_eq!(number, 4);
    assert_eq!(validator.publicKey, key([9; 32]));
    assert_eq!(validator.payout, PAYOUT);
    assert_eq!(validator.p2p, "node.example.org:4000");
    assert_eq!(validator.commissionBps, 1_000);
    assert!(validator.candidate);
    let again = world.bond(NEWCOMER, [10; 32], wei(1_000));
    expect_revert::<IStaking::AlreadyOperator>(again);
    expect_revert::<IStaking::KeyTaken>(world.bond(BOB, [9; 32], wei(1_000)));
    let small = world.bond(BOB, [10; 32], wei(1_000) - U256::from(1));
    expect_revert::<IStaking::StakeTooSmall>(small);
    assert_eq!(world.get(4).stake, wei(1_000));
}

#[test]
fn a_key_without_a_proof_of_possession_is_refused() {
    let mut world = World::new();
    type Edit = fn(&mut IStaking::bondCall);
    let edits: [Edit; 5] = [
        |call| call.possession = Bytes::new(),
        |call| call.possession = vec![0; 64].into(),
        |call| call.possession = [&call.possession[..], &[0]].concat().into(),
        |call| call.publicKey = key([11; 32]),
        // Of small order: signatures by it need no secret.
        |call| {
            call.publicKey = B256::with_last_byte(0);
            call.publicKey.0[0] = 1;
            let mut signature = [0; 64];
            signature[0] = 1;
            call.possession = signature.to_vec().into();
        },
    ];
    for edit in edits {
        let mut call = world.bond_call(NEWCOMER, [9; 32]);
        edit(&mut call);
        let refused = world.pay(NEWCOMER, wei(1_000), call);
        expect_revert::<IStaking::BadPossession>(refused);
    }
    // Somebody else's proof, seen in the mempool.
    let call = world.bond_call(NEWCOMER, [9; 32]);
    expect_revert::<IStaking::BadPossession>(world.pay(BOB, wei(1_000), call));
    // A proof for another chain.
    let call = world.bond_call(NEWCOMER, [9; 32]);
    world.host.chain_id += 1;
    let refused = world.pay(NEWCOMER, wei(1_000), call);
    expect_revert::<IStaking::BadPossession>(refused);
}

#[test]
fn a_profile_names_a_payout_account_and_a_reachable_address() {
    let mut world = World::new();
    let profile = |payout, p2p: &str| IStaking::setProfileCall {
        payout,
        p2p: p2p.to_owned(),
    };
    world.act(OPERATORS[0], profile(PAYOUT, "[::1]:9")).unwrap();
    assert_eq!(world.get(1).payout, PAYOUT);
    assert_eq!(world.get(1).p2p, "[::1]:9");
    for payout in [Address::ZERO, addresses::STAKING, addresses::BURN] {
        let refused = world.act(OPERATORS[0], profile(payout, ""));
        expect_revert::<IStaking::InvalidPayout>(refused);
    }
    let long = format!("{}:1", "a".repeat(254));
    for p2p in ["nowhere", ":1", "a:0", "ä:1", &long] {
        let refused = world.act(OPERATORS[0], profile(PAYOUT, p2p));
        expect_revert::<IStaking::InvalidAddress>(refused);
    }
    expect_revert::<IStaking::NotOperator>(world.act(ALICE, profile(PAYOUT, "")));
}

#[test]
fn calls_that_are_none_are_refused() {
    let mut world = World::new();
    let call = |world: &mut World, value, data: &[u8]| {
        world.host.call(ALICE, addresses::STAKING, value, data)
    };
    let refused = call(&mut world, U256::ZERO, &[1, 2, 3, 4]);
    expect_revert::<ISystem::UnknownMethod>(refused);
    let short = &IStaking::getCall { validator: 1 }.abi_encode()[..20];
    expect_revert::<ISystem::MalformedCall>(call(&mut world, U256::ZERO, short));
    let withdraw = IStaking::withdrawCall {}.abi_encode();
    expect_revert::<ISystem::NotPayable>(call(&mut world, wei(1), &withdraw));
    let refused = world.host.static_call(ALICE, addresses::STAKING, &withdraw);
    expect_revert::<ISystem::StaticCall>(refused);
}
