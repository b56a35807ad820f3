//! Stories of double votes: what is believed, what it costs, who gets what.

use alloy_primitives::{B256, U256};
use hallmark_abi::IStaking;
use hallmark_types::{addresses, evidence::Pair};

use super::*;
use crate::testing::expect_revert;

/// 5 % of an amount: what a double vote costs on local networks.
fn slashed(amount: U256) -> U256 {
    amount / U256::from(20)
}

#[test]
fn every_kind_of_double_vote_is_believed_pays_the_reporter_and_burns_the_rest() {
    for kind in 1..=3 {
        let mut world = World::new();
        let evidence = world.evidence(seed(2), 0, kind);
        let lost = slashed(genesis_stake());
        let reward = world.report(REPORTER, &evidence).unwrap();
        // A fifth of what the operator lost.
        assert_eq!(reward, lost / U256::from(5));
        assert_eq!(world.free(REPORTER), reward);
        assert_eq!(world.host.burned(), lost - reward);
        assert_eq!(world.worth(2, OPERATORS[1]), genesis_stake() - lost);
        assert_eq!(world.worth(1, OPERATORS[0]), genesis_stake());
        let validator = world.get(2);
        assert_eq!((validator.slashes, validator.jailedUntil), (1, 4));
        assert!(!validator.candidate);
        let publicKey = key(seed(2));
        let info = world.act(ALICE, IStaking::keyInfoCall { publicKey });
        assert!(info.unwrap().tombstoned);
        // It serves the sets that are frozen, and is in none that is frozen from now on.
        world.next_epoch();
        assert!(world.set(1).contains(&2));
        assert!(!world.set(2).contains(&2));
        world.withdraw(REPORTER).unwrap();
        world.check_books(&[OPERATORS, [ALICE, BOB, REPORTER]].concat());
    }
}

#[test]
fn evidence_is_taken_once_per_key() {
    let mut world = World::new();
    let first = world.evidence(seed(2), 0, 1);
    world.report(REPORTER, &first).unwrap();
    let before = world.get(2).stake;
    expect_revert::<IStaking::KeyTombstoned>(world.report(REPORTER, &first));
    // The same votes in the other order, and another double vote.
    let mut swapped = first;
    if let Pair::Notarize(a, b) = first.pair {
        swapped.pair = Pair::Notarize(b, a);
    }
    expect_revert::<IStaking::KeyTombstoned>(world.report(BOB, &swapped));
    let other = world.evidence(seed(2), 0, 2);
    expect_revert::<IStaking::KeyTombstoned>(world.report(BOB, &other));
    assert_eq!(world.get(2).stake, before);
}

#[test]
fn forged_evidence_is_refused_and_costs_nothing() {
    let mut world = World::new();
    let genuine = world.evidence(seed(2), 0, 1);
    let bytes = genuine.encode();
    // Any changed bit, wherever it is.
    for index in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[index] ^= 0x10;
        let call = IStaking::submitEvidenceCall {
            evidence: forged.into(),
        };
        assert!(world.act(REPORTER, call).is_err(), "byte {index}");
    }
    for evidence in [
        vec![],
        vec![1],
        bytes[..256].to_vec(),
        [&bytes[..], &[0]].concat(),
    ] {
        let call = IStaking::submitEvidenceCall {
            evidence: evidence.into(),
        };
        expect_revert::<IStaking::MalformedEvidence>(world.act(REPORTER, call));
    }
    // Signed by somebody else.
    let mut framed = genuine;
    world.sign([77; 32], &mut framed);
    expect_revert::<IStaking::BadSignature>(world.report(REPORTER, &framed));
    // Two votes for one proposal.
    let mut same = genuine;
    if let Pair::Notarize(a, _) = genuine.pair {
        same.pair = Pair::Notarize(a, a);
    }
    expect_revert::<IStaking::MalformedEvidence>(world.report(REPORTER, &same));
    // A notarize and a finalize vote are what every validator signs.
    let (Pair::Notarize(a, _), Pair::Finalize(_, b)) =
        (genuine.pair, world.evidence(seed(2), 0, 2).pair)
    else {
        unreachable!()
    };
    let mut honest = genuine;
    honest.pair = Pair::Finalize(a, b);
    expect_revert::<IStaking::BadSignature>(world.report(REPORTER, &honest));
    // Votes of another chain.
    let mut foreign = World::with(|spec| spec.chain_id += 1);
    let call = foreign.evidence(seed(2), 0, 1);
    expect_revert::<IStaking::BadSignature>(world.report(REPORTER, &call));
    assert_eq!(foreign.get(2).slashes, 0);
    assert_eq!(world.get(2).stake, genesis_stake());
    // And the genuine one still counts.
    world.report(REPORTER, &genuine).unwrap();
}

#[test]
fn a_key_outside_the_set_of_the_epoch_is_not_answerable_in_it() {
    let mut world = World::new();
    world.bond(NEWCOMER, [9; 32], wei(20_000)).unwrap();
    let early = world.evidence([9; 32], 0, 1);
    expect_revert::<IStaking::NotInSet>(world.report(REPORTER, &early));
    world.epochs(2);
    let acting = world.evidence([9; 32], 2, 1);
    world.report(REPORTER, &acting).unwrap();
}

#[test]
fn evidence_of_the_future_and_of_long_ago_is_refused() {
    let mut world = World::new();
    let future = world.evidence(seed(1), 1, 1);
    expect_revert::<IStaking::EvidenceOutOfWindow>(world.report(REPORTER, &future));
    let never = world.evidence(seed(1), u64::MAX, 1);
    expect_revert::<IStaking::EvidenceOutOfWindow>(world.report(REPORTER, &never));
    world.epochs(6);
    let old = world.evidence(seed(1), 0, 1);
    let older = world.evidence(seed(2), 0, 1);
    world.report(REPORTER, &old).unwrap();
    world.next_epoch();
    expect_revert::<IStaking::EvidenceOutOfWindow>(world.report(REPORTER, &older));
}

#[test]
fn stake_that_left_after_the_double_vote_is_slashed_until_the_end_of_the_window() {
    let mut world = World::new();
    world.delegate(ALICE, 1, wei(100)).unwrap();
    world.undelegate_all(ALICE, 1);
    // The last epoch in which evidence of epoch 0 is taken; Alice's coins are not free before 8.
    world.epochs(u64::from(world.spec.staking.evidence_epochs));
    expect_revert::<IStaking::NothingToWithdraw>(world.withdraw(ALICE));
    let evidence = world.evidence(seed(1), 0, 2);
    world.report(REPORTER, &evidence).unwrap();
    assert_eq!(world.exits(ALICE)[0].amount, wei(95));
    world.epochs(2);
    assert_eq!(world.withdraw(ALICE).unwrap(), wei(95));
}

#[test]
fn stake_answers_for_the_set_after_the_epoch_in_which_it_left_and_not_for_later_ones() {
    let mut world = World::new();
    world.delegate(ALICE, 1, wei(100)).unwrap();
    world.delegate(BOB, 1, wei(100)).unwrap();
    world.undelegate_all(ALICE, 1);
    world.next_epoch();
    world.undelegate_all(BOB, 1);
    world.next_epoch();
    // Alice left in 0 and stood for 0 and 1; Bob left in 1 and stood for 1 and 2.
    let evidence = world.evidence(seed(1), 2, 3);
    world.report(REPORTER, &evidence).unwrap();
    assert_eq!(world.exits(ALICE)[0].amount, wei(100));
    assert_eq!(world.exits(BOB)[0].amount, wei(95));
}

#[test]
fn a_validator_that_reports_itself_loses_whoever_stands_behind_it() {
    let mut world = World::new();
    // Almost all stake is others'.
    world.delegate(ALICE, 1, wei(900_000)).unwrap();
    let before = world.worth(1, OPERATORS[0]);
    let evidence = world.evidence(seed(1), 0, 1);
    let reward = world.report(OPERATORS[0], &evidence).unwrap();
    let lost = before - world.worth(1, OPERATORS[0]);
    assert!(reward > U256::ZERO && reward * U256::from(4) <= lost);
    // And it does not get round that by taking its stake out first.
    let mut world = World::new();
    world.delegate(ALICE, 1, wei(900_000)).unwrap();
    world.undelegate_all(OPERATORS[0], 1);
    let evidence = world.evidence(seed(1), 0, 1);
    let reward = world.report(REPORTER, &evidence).unwrap();
    let lost = genesis_stake() - world.exits(OPERATORS[0])[0].amount;
    assert_eq!(lost, slashed(genesis_stake()));
    assert_eq!(reward, lost / U256::from(5));
}

#[test]
fn a_replaced_key_stays_answerable_and_a_second_key_pays_again() {
    let mut world = World::new();
    let call = world.bond_call(OPERATORS[0], [21; 32]);
    let rotate = IStaking::rotateKeyCall {
        publicKey: call.publicKey,
        possession: call.possession,
    };
    world.act(OPERATORS[0], rotate).unwrap();
    world.epochs(2);
    let old = world.evidence(seed(1), 1, 1);
    world.report(REPORTER, &old).unwrap();
    let after = world.worth(1, OPERATORS[0]);
    assert_eq!(after, genesis_stake() - slashed(genesis_stake()));
    assert_eq!(world.get(1).jailedUntil, 6);
    // The new key acts in epoch 2 and votes twice too.
    let new = world.evidence([21; 32], 2, 1);
    world.report(REPORTER, &new).unwrap();
    assert_eq!(world.worth(1, OPERATORS[0]), after - slashed(after));
    assert_eq!(world.get(1).slashes, 2);
}

#[test]
fn a_jailed_validator_comes_back_after_its_time_and_under_another_key() {
    let mut world = World::new();
    let evidence = world.evidence(seed(1), 0, 1);
    world.report(REPORTER, &evidence).unwrap();
    let join = IStaking::joinCall {};
    let refused = world.act(OPERATORS[0], join.clone());
    let until = expect_revert::<IStaking::ValidatorJailed>(refused).untilEpoch;
    assert_eq!(until, 4);
    // Others may not stand behind it, its operator may, and everybody may leave.
    let refused = world.delegate(ALICE, 1, wei(1));
    expect_revert::<IStaking::ValidatorJailed>(refused);
    world.delegate(OPERATORS[0], 1, wei(1)).unwrap();
    world.epochs(4);
    let refused = world.act(OPERATORS[0], join.clone());
    expect_revert::<IStaking::KeyTombstoned>(refused);
    let call = world.bond_call(OPERATORS[0], [21; 32]);
    let rotate = IStaking::rotateKeyCall {
        publicKey: call.publicKey,
        possession: call.possession,
    };
    world.act(OPERATORS[0], rotate).unwrap();
    world.act(OPERATORS[0], join).unwrap();
    world.delegate(ALICE, 1, wei(1)).unwrap();
    world.next_epoch();
    assert!(world.set(6).contains(&1));
}

#[test]
fn delegators_leave_a_jailed_validator_with_what_the_slash_left() {
    let mut world = World::new();
    world.delegate(ALICE, 1, wei(100)).unwrap();
    let evidence = world.evidence(seed(1), 0, 1);
    world.report(REPORTER, &evidence).unwrap();
    // What rounding takes is less than a wei for each of the two steps.
    let left = world.worth(1, ALICE);
    assert!(left <= wei(95) && left >= wei(95) - U256::from(1), "{left}");
    world.undelegate_all(ALICE, 1);
    world.epochs(8);
    let paid = world.withdraw(ALICE).unwrap();
    assert!(paid <= left && paid >= left - U256::from(1));
}

#[test]
fn evidence_costs_the_reporter_bounded_gas() {
    let mut world = World::with(|spec| {
        spec.staking.unbonding_epochs = 128;
        spec.staking.evidence_epochs = 126;
    });
    world.delegate(ALICE, 1, wei(1_000)).unwrap();
    let some = world.shares(1, ALICE) / U256::from(200);
    for _ in 0..126 {
        world.undelegate(ALICE, 1, some).unwrap();
        world.next_epoch();
    }
    let evidence = world.evidence(seed(1), 1, 1);
    world.report(REPORTER, &evidence).unwrap();
    println!("gas of evidence against 126 exits: {}", world.host.gas_used);
    world.check_books(&[OPERATORS, [ALICE, BOB, REPORTER]].concat());
}

#[test]
fn evidence_says_what_it_did() {
    use alloy_sol_types::SolEvent;
    let mut world = World::new();
    let evidence = world.evidence(seed(3), 0, 3);
    world.report(REPORTER, &evidence).unwrap();
    let log = world
        .host
        .logs()
        .iter()
        .filter(|(address, _)| *address == addresses::STAKING)
        .find_map(|(_, log)| IStaking::Slashed::decode_log_data(log).ok())
        .unwrap();
    assert_eq!(log.validator, 3);
    assert_eq!(log.publicKey, B256::from(evidence.public_key));
    assert_eq!(log.amount, slashed(genesis_stake()));
    assert_eq!(log.reporter, REPORTER);
}
