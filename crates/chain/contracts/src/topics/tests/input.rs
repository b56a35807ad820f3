//! Bad and extreme input that belongs to no other story.

use alloy_primitives::{Address, B256, U256};
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::MARK;

use super::{
    FEE, MIN_BOND, World, actor, commitment, only, salt, score_policy, synthesis_policy, truth,
    value, weights, yuma_policy,
};
use crate::testing::expect_revert;

#[test]
fn weights_are_parts_of_their_row_so_no_sum_is_too_large() {
    let shares = |weight: u16| {
        let policy = Policy {
            maxWorkers: 256,
            ..yuma_policy()
        };
        let mut world = World::with(Kind::Yuma, policy);
        world.workers(6);
        world.stake(actor(0), 0, 60 * MARK).unwrap();
        world.fund(100 * MARK);
        world.yuma_epoch(&[]);
        let row: Vec<_> = (0..256).map(|slot| (slot, weight)).collect();
        assert_eq!(world.yuma_epoch(&[(0, &row)]), Stage::Done);
        let all = (0..6).map(|slot| world.slot(slot).shareBillionths);
        all.collect::<Vec<_>>()
    };
    let full = shares(u16::MAX);
    assert_eq!(full.iter().sum::<u64>(), 1_000_000_000);
    assert_eq!(
        full,
        shares(1),
        "a full row of the largest is a row of equals"
    );
}

#[test]
fn the_largest_stakes_settle_a_synthesis() {
    let mut world = World::empty(|spec| {
        for balance in spec.alloc.values_mut() {
            *balance = U256::from(10u128.pow(29));
        }
    });
    let policy = synthesis_policy();
    world.topic = world.create(policy, only(Kind::Synthesis)).unwrap();
    for number in 0..3 {
        world.join(actor(number), Role::Worker).unwrap();
    }
    for number in 3..6 {
        world.join(actor(number), Role::Reputer).unwrap();
        let amount = 10u128.pow(28) / u128::from(number);
        world.stake(actor(number), 7 + number, amount).unwrap();
    }
    world.fund(10u128.pow(28));
    let said = [(0, value(2_000)), (1, value(2_010)), (2, value(99_999))];
    let reports = [(10, truth(2_000)), (11, truth(2_001)), (12, truth(-99_999))];
    for _ in 0..3 {
        assert_eq!(world.synthesis_epoch(&said, &reports), Stage::Done);
        let all = (0..13).map(|slot| world.slot(slot).shareBillionths);
        assert_eq!(all.sum::<u64>(), 1_000_000_000);
    }
    assert!(world.slot(0).shareBillionths > world.slot(2).shareBillionths);
    assert!(world.get().paid < 3 * MIN_BOND);
}

#[test]
fn a_topic_whose_only_speaker_is_gone_pays_nobody_and_ends() {
    let mut world = World::yuma();
    world.workers(2);
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    world.fund(100 * MARK);
    world.yuma_epoch(&[]);
    world.reach(Stage::Open);
    let row = weights(&[(1, 1)]);
    world.commit(actor(0), 0, &row).unwrap();
    world.reach(Stage::Reveal);
    world.reveal(actor(0), 0, &row).unwrap();
    let call = hallmark_abi::ITopics::leaveCall {
        topic: world.topic,
        slot: 0,
    };
    world.act(actor(0), call).unwrap();
    assert_eq!(world.settle(), Stage::Cancelled);
    assert_eq!(world.get().paid, 0);
}

/// What a commitment is made of, in order.
type Bound = (u64, U256, u64, u8, u16, Address);

#[test]
fn a_commitment_binds_chain_topic_epoch_mechanism_slot_operator_salt_and_payload() {
    let row = weights(&[(1, 1)]);
    let changes: [fn(&mut Bound); 6] = [
        |to| to.0 += 1,
        |to| to.1 += U256::from(1),
        |to| to.2 += 1,
        |to| to.3 += 1,
        |to| to.4 += 1,
        |to| to.5 = actor(1),
    ];
    let mut world = World::yuma();
    world.workers(2);
    let mut hashes = Vec::new();
    let mut attempt = |change: Option<fn(&mut Bound)>, salted: B256, said: &[u8]| {
        world.reach(Stage::Open);
        let epoch = world.get().epoch;
        let mut to = (world.spec.chain_id, world.topic, epoch, 0, 0, actor(0));
        if let Some(change) = change {
            change(&mut to);
        }
        let mut call = world.committing(actor(0), 0, &row);
        call.commitment = commitment(to, salted, said);
        hashes.push(call.commitment);
        world.pay(actor(0), FEE, call).unwrap();
        world.reach(Stage::Reveal);
        let opened = world.reveal(actor(0), 0, &row);
        world.settle();
        let bond = MIN_BOND - world.slot(0).bond;
        if bond != 0 {
            let (topic, slot) = (world.topic, 0);
            world
                .pay(actor(0), bond, ITopics::topUpCall { topic, slot })
                .unwrap();
        }
        opened
    };
    attempt(None, salt(0), &row).unwrap();
    for change in changes {
        expect_revert::<ITopics::CommitmentMismatch>(attempt(Some(change), salt(0), &row));
    }
    expect_revert::<ITopics::CommitmentMismatch>(attempt(None, salt(1), &row));
    expect_revert::<ITopics::CommitmentMismatch>(attempt(None, salt(0), &weights(&[(1, 2)])));
    expect_revert::<ITopics::CommitmentMismatch>(attempt(None, salt(0), &[]));
    attempt(None, salt(0), &row).unwrap();
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count, "no two of them are the same");
}

#[test]
fn a_payload_of_another_type_is_refused_and_its_commitment_stays_open() {
    let one = value(100);
    let of_role = |role| match role {
        Role::Worker => 0,
        Role::Forecaster => 8,
        _ => 10,
    };
    for (role, bad) in [
        (Role::Worker, vec![]),
        (Role::Worker, one[1..].to_vec()),
        (Role::Worker, [&one[..], &[0]].concat()),
        (Role::Forecaster, one.clone()),
        (Role::Forecaster, [&[0, 8][..], &one].concat()),
        (
            Role::Forecaster,
            [&[0, 1][..], &one, &[0, 0], &one].concat(),
        ),
        (Role::Reputer, one.clone()),
        (Role::Reputer, [&[2][..], &one].concat()),
        (Role::Reputer, vec![1, 0xff, 0xff]),
    ] {
        let mut world = World::synthesis();
        let slot = of_role(role);
        assert_eq!(world.join(actor(0), role).unwrap(), slot);
        let is_reputer = role == Role::Reputer;
        world.reach(if is_reputer { Stage::Lag } else { Stage::Open });
        world.commit(actor(0), slot, &bad).unwrap();
        world.reach(if is_reputer {
            Stage::Reveal
        } else {
            Stage::Sealed
        });
        expect_revert::<ITopics::InvalidPayload>(world.reveal(actor(0), slot, &bad));
        assert_eq!(world.slot(slot).unrevealed, 1);
        world.settle();
        assert_eq!(world.slot(slot).bond, 0, "{role:?}: withheld");
    }
    for (kind, policy, bad) in [
        (Kind::Yuma, yuma_policy(), vec![0, 1, 0]),
        (Kind::Yuma, yuma_policy(), weights(&[(1, 1), (0, 1)])),
    ] {
        let mut world = World::with(kind, policy);
        world.workers(2);
        world.reach(Stage::Open);
        world.commit(actor(0), 0, &bad).unwrap();
        world.reach(Stage::Reveal);
        expect_revert::<ITopics::InvalidPayload>(world.reveal(actor(0), 0, &bad));
    }
}

#[test]
fn the_most_extreme_numbers_settle_and_conserve_every_unit() {
    let policy = Policy {
        valueMin: i128::MIN,
        valueMax: i128::MAX,
        ..synthesis_policy()
    };
    let numbers = [i128::MIN, i128::MIN + 1, -1, 0, 1, i128::MAX];
    let mut world = World::with(Kind::Synthesis, policy);
    for number in 0..4 {
        world.join(actor(number), Role::Worker).unwrap();
    }
    world.join(actor(4), Role::Forecaster).unwrap();
    world.join(actor(5), Role::Reputer).unwrap();
    world.stake(actor(5), 10, 10 * MARK).unwrap();
    world.fund(1_000 * MARK);
    let bytes = |number: i128| number.to_be_bytes().to_vec();
    for (round, number) in numbers.into_iter().enumerate() {
        let pick = |at: usize| numbers[(round + at) % numbers.len()];
        let mut said: Vec<_> = (0..4u16)
            .map(|slot| (slot, bytes(pick(slot.into()))))
            .collect();
        said.push((
            8,
            [&[0, 0][..], &bytes(number), &[0, 1], &bytes(pick(3))].concat(),
        ));
        let report = [(10, [&[0][..], &bytes(pick(1))].concat())];
        // Checks money after every step.
        world.synthesis_epoch(&said, &report);
        let shares: u64 = (0..11).map(|slot| world.slot(slot).shareBillionths).sum();
        assert!(shares == 0 || shares == 1_000_000_000, "{round}: {shares}");
    }
    assert_eq!(world.get().epoch, 7);
}

/// A topic that nobody but the chain advances: what its latest epoch came to.
fn ended_by_blocks(mut world: World) -> (Stage, u128) {
    let epoch = world.get().epoch;
    let paid = world.get().paid;
    for _ in 0..200 {
        world.host.next_block(1_000).unwrap();
        world.check_invariants();
        let topic = world.get();
        if topic.epoch > epoch {
            return (topic.stage, topic.paid - paid);
        }
    }
    panic!("the chain never ends the epoch");
}

#[test]
fn blocks_end_a_crowds_epoch_that_has_no_one_or_one_or_all_alike_or_all_zero() {
    let world = |workers: &[i128], reports: &[i128]| {
        let mut world = World::synthesis();
        for number in 0..3 {
            world.join(actor(number), Role::Worker).unwrap();
        }
        for number in 3..5 {
            world.join(actor(number), Role::Reputer).unwrap();
            world.stake(actor(number), 7 + number, 10 * MARK).unwrap();
        }
        world.fund(100 * MARK);
        world.reach(Stage::Open);
        let said: Vec<_> = (0..)
            .zip(workers)
            .map(|(slot, at)| (slot, value(*at)))
            .collect();
        world.submit(&said, Stage::Sealed);
        world.reach(Stage::Lag);
        let said: Vec<_> = (10..)
            .zip(reports)
            .map(|(slot, at)| (slot, truth(*at)))
            .collect();
        world.submit(&said, Stage::Reveal);
        world
    };
    let nothing = (Stage::Cancelled, 0);
    assert_eq!(ended_by_blocks(world(&[], &[])), nothing, "no one");
    assert_eq!(ended_by_blocks(world(&[5], &[])), nothing, "no reputer");
    assert_eq!(ended_by_blocks(world(&[], &[5])), nothing, "no inferer");
    for (case, workers, reports) in [
        ("one of each", &[5][..], &[5][..]),
        ("all alike", &[5, 5, 5], &[5, 5]),
        ("all zero", &[0, 0, 0], &[0, 0]),
        ("all different", &[1, -2, 3], &[4, -5]),
    ] {
        let (stage, paid) = ended_by_blocks(world(workers, reports));
        assert_eq!(stage, Stage::Done, "{case}");
        assert!(paid > 0 && paid < MIN_BOND, "{case}: {paid}");
    }
}

#[test]
fn blocks_end_an_epoch_of_scores_in_which_nobody_has_one() {
    let mut world = World::with(Kind::Score, score_policy());
    world.workers(2);
    world.fund(100 * MARK);
    world.reach(Stage::Open);
    assert_eq!(ended_by_blocks(world), (Stage::Cancelled, 0));
}

#[test]
fn judges_who_are_silent_beyond_the_activity_cutoff_count_no_more() {
    let mut world = World::yuma();
    world.workers(4);
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    world.fund(1_000 * MARK);
    world.yuma_epoch(&[]);
    assert_eq!(world.yuma_epoch(&[(0, &[(2, 1), (3, 1)])]), Stage::Done);
    // In force for 13.889 epochs after the commitment, which was made when its own opened.
    for epoch in 0..12 {
        assert_eq!(world.yuma_epoch(&[]), Stage::Done, "{epoch}");
    }
    let paid = world.get().paid;
    assert_eq!(world.yuma_epoch(&[]), Stage::Cancelled, "all inactive");
    assert_eq!(world.get().paid, paid);
}
