//! Stories of epochs: who is chosen, when it is known, what happens when nobody is.

use alloy_primitives::{Address, U256};
use hallmark_abi::IStaking;

use super::*;
use crate::{Host, Reader, staking::MAX_CANDIDATES, testing::expect_revert};

#[test]
fn the_first_two_sets_are_of_genesis_and_a_newcomer_acts_after_an_epoch_of_notice() {
    let mut world = World::with(|spec| spec.staking.max_validators = 4);
    assert_eq!(world.set(0), [1, 2, 3]);
    assert_eq!(world.set(1), [1, 2, 3]);
    assert!(world.set(2).is_empty());
    let number = world.bond(NEWCOMER, [9; 32], wei(20_000)).unwrap();
    world.next_epoch();
    assert_eq!(world.set(1), [1, 2, 3]);
    // The most stake first, equal stakes by key.
    let set = world.set(2);
    assert_eq!((set.len(), set[0]), (4, number));
    let keys: Vec<_> = set[1..].iter().map(|n| key(seed(*n))).collect();
    assert!(keys.is_sorted());
    assert!(world.set(3).is_empty());
}

#[test]
fn the_set_of_an_epoch_is_frozen_at_the_end_of_the_epoch_two_before() {
    let mut world = World::new();
    while world.host.block_number < EPOCH - 1 {
        world.block_with(U256::ZERO);
        assert!(world.set(2).is_empty());
    }
    world.block_with(U256::ZERO);
    assert_eq!(world.set(2).len(), 3);
    let frozen = world.set(2);
    // What happens now is for the set of 3.
    world.delegate(ALICE, frozen[2], wei(1)).unwrap();
    let profile = IStaking::setProfileCall {
        payout: PAYOUT,
        p2p: "a:1".into(),
    };
    let last = usize::try_from(frozen[2] - 1).unwrap();
    world.act(OPERATORS[last], profile).unwrap();
    world.next_epoch();
    assert_eq!(world.set(2), frozen);
    assert_eq!(world.set(3)[0], frozen[2]);
    let committee = |world: &mut World, epoch| {
        Staking::new()
            .committee(&mut world.host, epoch)
            .unwrap()
            .unwrap()
    };
    let (second, third) = (committee(&mut world, 2), committee(&mut world, 3));
    assert_eq!(second.members[2].address, OPERATORS[last]);
    assert_eq!(third.members[0].address, PAYOUT);
    // Where it is reached is not part of a set.
    assert_eq!(second.members[2].p2p, "a:1");
    assert_eq!(third.members[0].stake, genesis_stake() + wei(1));
}

#[test]
fn only_the_strongest_are_chosen_and_own_stake_is_needed() {
    let mut world = World::new();
    let number = world.bond(NEWCOMER, [9; 32], wei(1_000)).unwrap();
    world.delegate(ALICE, number, wei(50_000)).unwrap();
    world.next_epoch();
    assert_eq!(world.set(2)[0], number);
    assert_eq!(world.set(2).len(), 3);
    // Delegations do not stand for the operator's own stake.
    let one = world.shares(number, NEWCOMER) / U256::from(1_000);
    world.undelegate(NEWCOMER, number, one).unwrap();
    world.next_epoch();
    assert!(!world.set(3).contains(&number));
    world.delegate(NEWCOMER, number, wei(1)).unwrap();
    world.next_epoch();
    assert_eq!(world.set(4)[0], number);
}

#[test]
fn a_validator_leaves_and_comes_back() {
    let mut world = World::new();
    world.act(OPERATORS[1], IStaking::leaveCall {}).unwrap();
    world.act(OPERATORS[1], IStaking::leaveCall {}).unwrap();
    world.next_epoch();
    assert_eq!(world.set(1), [1, 2, 3]);
    assert!(!world.set(2).contains(&2));
    assert!(!world.get(2).candidate);
    world.act(OPERATORS[1], IStaking::joinCall {}).unwrap();
    world.next_epoch();
    assert!(world.set(3).contains(&2));
    expect_revert::<IStaking::NotOperator>(world.act(ALICE, IStaking::joinCall {}));
    world.undelegate_all(OPERATORS[1], 2);
    world.act(OPERATORS[1], IStaking::leaveCall {}).unwrap();
    let refused = world.act(OPERATORS[1], IStaking::joinCall {});
    expect_revert::<IStaking::StakeTooSmall>(refused);
}

#[test]
fn the_old_set_goes_on_when_nobody_qualifies() {
    let mut world = World::new();
    for operator in OPERATORS {
        world.act(operator, IStaking::leaveCall {}).unwrap();
    }
    world.epochs(3);
    assert_eq!(world.set(2), [1, 2, 3]);
    assert_eq!(world.set(4), [1, 2, 3]);
    // Fees are still credited, and somebody may come back.
    world.act(OPERATORS[2], IStaking::joinCall {}).unwrap();
    world.next_epoch();
    assert_eq!(world.set(5), [3]);
}

#[test]
fn a_new_key_acts_in_the_next_set_that_is_frozen() {
    let mut world = World::new();
    let rotate = |world: &World, seed: [u8; 32]| {
        let call = world.bond_call(OPERATORS[0], seed);
        IStaking::rotateKeyCall {
            publicKey: call.publicKey,
            possession: call.possession,
        }
    };
    let call = rotate(&world, [21; 32]);
    world.act(OPERATORS[0], call.clone()).unwrap();
    expect_revert::<IStaking::KeyTaken>(world.act(OPERATORS[0], call));
    let old = rotate(&world, seed(1));
    expect_revert::<IStaking::KeyTaken>(world.act(OPERATORS[0], old));
    world.next_epoch();
    let keys = |world: &mut World, epoch| {
        let committee = Staking::new().committee(&mut world.host, epoch).unwrap();
        let members = committee.unwrap().members;
        members.iter().map(|m| m.public_key).collect::<Vec<_>>()
    };
    assert!(keys(&mut world, 1).contains(&key(seed(1)).0));
    assert!(keys(&mut world, 2).contains(&key([21; 32]).0));
    assert!(!keys(&mut world, 2).contains(&key(seed(1)).0));
    for seed in [seed(1), [21; 32]] {
        let publicKey = key(seed);
        let info = world.act(ALICE, IStaking::keyInfoCall { publicKey });
        assert_eq!(info.unwrap().validator, 1);
    }
}

#[test]
fn old_sets_are_forgotten_one_by_one_and_those_that_evidence_needs_are_kept() {
    let mut world = World::new();
    world.epochs(20);
    let now = world.epoch();
    for epoch in now - 10..=now + 1 {
        assert_eq!(world.set(epoch).len(), 3, "{epoch}");
    }
    for epoch in 0..now - 10 {
        assert!(world.set(epoch).is_empty(), "{epoch}");
    }
    let words = world.host.storage()[&addresses::STAKING].len();
    world.epochs(5);
    assert_eq!(world.host.storage()[&addresses::STAKING].len(), words);
}

#[test]
fn the_least_of_256_candidates_gives_its_place_to_more_stake() {
    let mut world = World::with(|spec| {
        spec.staking.min_stake = wei(10);
        spec.staking.max_validators = 128;
        for index in 0..MAX_CANDIDATES {
            spec.alloc.insert(operator(index), wei(1_000));
        }
    });
    for index in 3..MAX_CANDIDATES {
        world
            .bond(
                operator(index),
                wide_seed(index),
                wei(10 + u128::from(index)),
            )
            .unwrap();
    }
    let limit = U256::MAX;
    let offset = U256::ZERO;
    let page = world.act(ALICE, IStaking::candidatesCall { offset, limit });
    assert_eq!(page.unwrap().len(), 128);
    // The weakest has 13 MARK.
    let refused = world.bond(NEWCOMER, [200; 32], wei(13));
    let needed = expect_revert::<IStaking::NoPlace>(refused).needed;
    assert_eq!(needed, wei(13));
    let number = world.bond(NEWCOMER, [200; 32], wei(14)).unwrap();
    assert!(world.get(number).candidate);
    assert!(!world.get(4).candidate);
    // It gets its place back when it has more than another.
    world.delegate(ALICE, 4, wei(100)).unwrap();
    world.act(operator(3), IStaking::joinCall {}).unwrap();
    assert!(world.get(4).candidate);
    // The end of an epoch stays within its gas, with all candidates, a full set to write and one to forget.
    world.host.sweep_gas = super::super::SWEEP_GAS;
    world.epochs(14);
    while world.host.block_number % EPOCH != EPOCH - 1 {
        world.block_with(U256::ZERO);
    }
    world.block_with(wei(1));
    assert_eq!(world.set(world.epoch() + 1).len(), 128);
    assert!(world.host.swept_gas > super::super::SWEEP_GAS / 10);
    println!("gas of the end of an epoch: {}", world.host.swept_gas);
}

fn operator(index: u64) -> Address {
    let mut bytes = [0x55; 20];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    Address::new(bytes)
}

fn wide_seed(index: u64) -> [u8; 32] {
    let mut seed = [0x66; 32];
    seed[..8].copy_from_slice(&index.to_be_bytes());
    seed
}

#[test]
fn a_set_is_read_out_of_proven_words_and_not_without_them() {
    let mut world = World::new();
    world.next_epoch();
    let expected = Staking::new().committee(&mut world.host, 2).unwrap();
    let mut slots = Vec::new();
    let mut recorder = Reader::new(|address, slot| {
        slots.push(slot);
        world.host.sload(address, slot).map_err(|e| e.to_string())
    });
    let read = Staking::new().committee(&mut recorder, 2).unwrap();
    assert_eq!(read, expected);
    let words = world.host.storage()[&addresses::STAKING].clone();
    for missing in &slots {
        let mut reader = Reader::new(|_, slot| match slot == *missing {
            true => Err("not proven".to_owned()),
            false => Ok(words.get(&slot).copied().unwrap_or_default()),
        });
        assert!(Staking::new().committee(&mut reader, 2).is_err());
    }
}

#[test]
fn the_layout_is_pinned() {
    use crate::staking::{Account, Exit, ExitPool, Key, Set, SetMember, Validator};
    let show = |layout: Vec<(&'static str, u64, usize, usize)>| {
        layout
            .into_iter()
            .map(|(name, slot, offset, bytes)| format!("{name} {slot}+{offset}:{bytes}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(
        show(Staking::layout()),
        "epoch_blocks 0+0:8, unbonding_epochs 0+8:4, evidence_epochs 0+12:4, \
         trusting_epochs 0+16:4, commission_delay_epochs 0+20:4, max_validators 0+24:2, \
         max_commission_bps 0+26:2, slash_bps 0+28:2, reporter_bps 0+30:2, min_stake 1+0:16, \
         jail_epochs 1+16:4, spec_hash 2+0:32, liabilities 3+0:16, validator_count 3+16:8, \
         candidates 4+0:32, validators 5+0:32, operators 6+0:32, keys 7+0:32, accounts 8+0:32, \
         sets 9+0:32"
    );
    assert_eq!(
        show(Validator::layout()),
        "operator 0+0:20, jailed_until 0+20:8, commission_bps 0+28:2, next_commission_bps 0+30:2, \
         payout 1+0:20, next_commission_epoch 1+20:8, slashes 1+28:4, place 2+0:8, \
         public_key 3+0:32, pool 4+0:32, positions 6+0:32, exits 7+0:32, p2p 8+0:32"
    );
    assert_eq!(show(Key::layout()), "validator 0+0:8, tombstoned 0+8:1");
    assert_eq!(show(ExitPool::layout()), "pool 0+0:32, own 2+0:32");
    assert_eq!(
        show(Account::layout()),
        "free 0+0:16, queue_head 0+16:8, queue_tail 0+24:8, queue 1+0:32"
    );
    assert_eq!(
        show(Exit::layout()),
        "validator 0+0:8, epoch 0+8:8, shares 1+0:32"
    );
    assert_eq!(
        show(Set::layout()),
        "count 0+0:2, stake 0+2:16, members 1+0:32"
    );
    assert_eq!(
        show(SetMember::layout()),
        "public_key 0+0:32, payout 1+0:20, validator 1+20:8, stake 2+0:16"
    );
}

#[test]
fn a_pot_that_was_slashed_empty_again_and_again_keeps_no_set_from_being_frozen() {
    // Each time the shares of a unit double; the last time it is enough stake for a candidate.
    let none = [60, 100, 104, 105, 106, 107, 140, 200].map(|times| (times, false));
    for (times, is_chosen) in [&[(5, true)], &none[..]].concat() {
        let mut world = World::new();
        world.undelegate_all(OPERATORS[1], 2);
        for _ in 0..times {
            // What a slash leaves of one unit: its shares. Only this, in place of as many offences.
            let amount = Staking::new().validators.at(2).pool.amount;
            amount.write(&mut world.host, 0).unwrap();
            // Refused when the pot has too many shares.
            let _ = world.delegate(OPERATORS[1], 2, U256::from(1));
        }
        let taken = world.delegate(OPERATORS[1], 2, wei(1_000));
        let joined = world.act(OPERATORS[1], IStaking::joinCall {});
        let more = world.delegate(OPERATORS[1], 2, wei(1_000));
        let frozen = world.epoch() + 2;
        world.next_epoch();
        let set = world.set(frozen);
        assert!(set.contains(&1) && set.contains(&3), "{times}: {set:?}");
        assert_eq!(set.contains(&2), is_chosen, "{times}: {set:?}");
        let all = (taken.is_ok(), joined.is_ok(), more.is_ok());
        assert_eq!(all, (is_chosen, is_chosen, is_chosen), "{times}");
    }
}
