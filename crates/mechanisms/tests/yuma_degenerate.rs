//! What becomes of degenerate epochs, of masks, and of arbitrary input.

#[path = "common/topic.rs"]
mod topic;

use hallmark_fixed::Q32;
use hallmark_mechanisms::WHOLE;
use hallmark_mechanisms::yuma::{
    AbsentBonds, Epoch, Error, LiquidAlpha, Params, Row, State, Version, settle,
};
use proptest::prelude::*;
use topic::{FOUR, Topic, parts};

#[test]
fn without_slots_nothing_is_paid() {
    let outcome = Topic::new(Params::default(), &[], 0).epoch();
    assert!(!outcome.settlement.pays());
    assert!(outcome.settlement.shares.is_empty());
}

#[test]
fn without_stake_nothing_is_paid_and_no_one_gets_a_permit() {
    let mut topic = Topic::new(Params::default(), &[0, 0], 2).all_weigh(&[(2, 1), (3, 1)]);
    let outcome = topic.epoch();
    assert_eq!(outcome.settlement.shares, [0; 4]);
    assert_eq!(outcome.combined_emission, [0; 4]);
    assert_eq!(topic.state.permits, [false; 4]);
}

#[test]
fn a_lone_validator_decides_alone() {
    let mut topic = Topic::new(Params::default(), &[7], 1).all_weigh(&[(1, 1)]);
    assert_eq!(topic.epoch().settlement.shares, [500_000_000, 500_000_000]);
    let mut alone = Topic::new(Params::default(), &[7], 0).all_weigh(&[(0, 65_535)]);
    assert_eq!(alone.epoch().settlement.shares, [WHOLE]);
}

#[test]
fn all_weights_zero_pay_validators_by_stake() {
    let mut topic = Topic::new(Params::default(), &[3, 1], 2).all_weigh(&[(2, 0), (3, 0)]);
    assert_eq!(
        topic.epoch().settlement.shares,
        [750_000_000, 250_000_000, 0, 0]
    );
}

#[test]
fn when_all_are_inactive_stake_is_paid_and_bonds_lose_only_truncation() {
    let mut topic = Topic::new(Params::default(), &[3, 1], 1).all_weigh(&[(2, 1)]);
    topic.epoch();
    let bonds = topic.column(2);
    topic.params.activity_cutoff = 0;
    let outcome = topic.epoch();
    assert_eq!(outcome.active, [false; 3]);
    assert_eq!(outcome.consensus, [Q32::ZERO; 3]);
    assert_eq!(outcome.settlement.shares, [750_000_000, 250_000_000, 0]);
    let lost = topic
        .column(2)
        .into_iter()
        .zip(bonds)
        .map(|(new, old)| old - new)
        .max();
    assert!(lost <= Some(1), "{lost:?}");
}

#[test]
fn the_largest_stakes_give_the_same_shares_as_small_ones() {
    for version in [Version::Two, Version::Three] {
        let run = |unit: u128| {
            let params = Params {
                version,
                ..Params::default()
            };
            let mut topic = Topic::new(params, &[unit, 2 * unit, 3 * unit, 4 * unit], 4);
            topic = topic.all_weigh(&FOUR);
            topic.epoch();
            topic.epoch()
        };
        let small = run(1);
        assert_eq!(small, run(10u128.pow(27)));
        assert_eq!(small, run(u128::MAX / 64));
    }
}

#[test]
fn weights_for_no_slot_are_ignored() {
    let mut with = Topic::new(Params::default(), &[1, 2], 2);
    with = with.all_weigh(&[(2, 5), (3, 7), (4, 65_535), (60_000, 1)]);
    let mut without = Topic::new(Params::default(), &[1, 2], 2).all_weigh(&[(2, 5), (3, 7)]);
    assert_eq!(with.epoch(), without.epoch());
}

#[test]
fn a_worker_named_twice_and_unequal_lengths_are_refused_and_change_nothing() {
    let mut topic = Topic::new(Params::default(), &[1, 2], 2).all_weigh(&[(2, 5), (3, 7)]);
    topic.epoch();
    let before = topic.state.clone();
    topic.weights[1] = vec![(3, 1), (2, 1), (3, 2)];
    let duplicate = Error::Duplicate {
        name: "weights",
        slot: 1,
        worker: 3,
    };
    assert_eq!(topic.try_epoch(), Err(duplicate));
    topic.weights.pop();
    let length = Error::Length {
        name: "weights",
        found: 3,
        slots: 4,
    };
    assert_eq!(topic.try_epoch(), Err(length));
    assert_eq!(topic.state, before);
}

#[test]
fn crossed_bounds_of_liquid_alpha_are_refused() {
    let liquid_alpha = Some(LiquidAlpha {
        low: 2,
        high: 1,
        steepness: 1,
    });
    let params = Params {
        version: Version::Three,
        liquid_alpha,
        ..Params::default()
    };
    assert_eq!(
        Topic::new(params, &[1], 0).try_epoch(),
        Err(Error::AlphaBounds { low: 2, high: 1 })
    );
}

#[test]
fn the_owner_votes_below_the_threshold_and_may_weigh_itself() {
    let params = Params {
        stake_threshold: 10,
        owner: Some(0),
        ..Params::default()
    };
    let mut topic = Topic::new(params, &[1, 9], 1);
    topic.state.permits.fill(false);
    topic.weights[0] = vec![(0, 1), (2, 1)];
    topic.weights[1] = vec![(2, 1)];
    let outcome = topic.epoch();
    assert_eq!(outcome.stake_weight, [Q32::ONE, Q32::ZERO, Q32::ZERO]);
    assert_eq!(parts(&outcome.incentive), [32_767, 0, 32_767]);
    assert_eq!(topic.state.permits, [true, false, false]);
}

#[test]
fn weights_and_bonds_to_a_worker_who_registered_since_do_not_count() {
    let mut topic = Topic::new(Params::default(), &[1, 1], 2).all_weigh(&[(2, 1), (3, 1)]);
    topic.epoch();
    let settle_with = |registered: u64, commitments: &[Option<u64>], state: &mut State| {
        let epoch = Epoch {
            block: 1_010,
            last_step_block: 1_005,
            stake: &topic.stake,
            last_update: &[1_008; 4],
            registered: &[0, 0, 0, registered],
            weights: &topic.weights,
            commitments,
        };
        settle(&topic.params, &epoch, state).unwrap()
    };
    let earns = |registered, commitments: &[Option<u64>]| {
        settle_with(registered, commitments, &mut topic.state.clone()).incentive[3] > Q32::ZERO
    };
    assert!(earns(1_007, &[]));
    assert!(!earns(1_008, &[]), "registered at the block of the weights");
    let committed = |block| [Some(block), Some(block), None, None];
    assert!(earns(1_007, &committed(1_007)));
    assert!(
        !earns(1_007, &committed(1_006)),
        "committed before the registration"
    );
    // Bonds fall when the worker registered at or after the block behind the last step.
    let bond_after = |registered| {
        let mut state = topic.state.clone();
        state.bonds[0] = vec![(3, 65_535)];
        let mut unweighted = topic.weights.clone();
        unweighted[..2].fill(vec![(2, 1)]);
        let epoch = Epoch {
            block: 1_010,
            last_step_block: 1_005,
            stake: &topic.stake,
            last_update: &[1_008; 4],
            registered: &[0, 0, 0, registered],
            weights: &unweighted,
            commitments: &[],
        };
        settle(&topic.params, &epoch, &mut state).unwrap();
        state.bonds[0].iter().any(|bond| bond.0 == 3)
    };
    assert!(bond_after(1_005));
    assert!(!bond_after(1_006));
}

#[test]
fn a_reset_clears_the_column_of_the_worker_only() {
    let mut topic = Topic::new(Params::default(), &[1, 2, 3, 4], 4).all_weigh(&FOUR);
    topic.epoch();
    topic.state.reset_bonds(6);
    assert_eq!(topic.column(6), [0; 4]);
    assert_eq!(topic.column(7), [16_383, 32_767, 49_151, 65_535]);
}

#[test]
fn a_permit_lost_clears_the_bonds_and_one_never_had_leaves_them() {
    let mut topic = Topic::new(Params::default(), &[1, 2], 2).all_weigh(&[(2, 1), (3, 1)]);
    topic.epoch();
    topic.state.bonds[3] = vec![(2, 9)];
    topic.params.max_validators = 1;
    topic.epoch();
    assert_eq!(topic.state.permits, [false, true, false, false]);
    assert!(topic.state.bonds[0].is_empty());
    assert!(!topic.state.bonds[1].is_empty());
    assert_eq!(topic.state.bonds[3], [(2, 9)]);
}

#[test]
fn a_weight_left_out_drops_the_bond_or_lets_it_decay_as_chosen() {
    let after = |absent_bonds, row: &[(u16, u16)]| {
        let params = Params {
            version: Version::Three,
            bonds_penalty: 0,
            liquid_alpha: Some(LiquidAlpha {
                low: 6_553,
                high: 19_660,
                steepness: 1_000,
            }),
            absent_bonds,
            ..Params::default()
        };
        let mut topic = Topic::new(params, &[1], 2).all_weigh(&[(1, 1), (2, 1)]);
        topic.epoch();
        topic.weights[0] = row.to_vec();
        topic.epoch();
        topic.column(2)[0]
    };
    let decayed = after(AbsentBonds::Decay, &[(1, 1)]);
    assert!(decayed > 0);
    assert_eq!(after(AbsentBonds::Drop, &[(1, 1)]), 0);
    assert_eq!(after(AbsentBonds::Drop, &[(1, 1), (2, 0)]), decayed);
}

fn any_topic() -> impl Strategy<Value = (Topic, Vec<u64>)> {
    let rows = proptest::collection::vec(
        proptest::collection::btree_map(0u16..9, any::<u16>(), 0..8),
        8,
    );
    let stakes = proptest::collection::vec((any::<u128>(), 0u32..128).prop_map(|(x, s)| x >> s), 8);
    let blocks = proptest::collection::vec(0u64..1_100, 8);
    let rules = (
        any::<(bool, bool, u16, u16, u64, u16, u16, i16)>(),
        0usize..9,
        proptest::option::of(0u16..9),
    );
    (rows, stakes, blocks, rules).prop_map(|(rows, stake, blocks, (p, max_validators, owner))| {
        let params = Params {
            version: if p.0 { Version::Three } else { Version::Two },
            liquid_alpha: p.1.then_some(LiquidAlpha {
                low: p.5.min(p.6),
                high: p.5.max(p.6),
                steepness: p.7,
            }),
            kappa: p.2,
            bonds_penalty: p.3,
            bonds_moving_average: p.4,
            max_validators,
            owner,
            ..Params::default()
        };
        let weights: Vec<Row> = rows
            .into_iter()
            .map(|row| row.into_iter().collect())
            .collect();
        let state = State {
            permits: vec![true; 8],
            bonds: weights.clone(),
        };
        (
            Topic {
                params,
                stake,
                weights,
                state,
                block: 1_000,
            },
            blocks,
        )
    })
}

proptest! {
    #[test]
    fn any_input_settles_without_panic_to_one_or_zero((mut topic, blocks) in any_topic()) {
        for _ in 0..3 {
            let epoch = Epoch {
                block: 1_050,
                last_step_block: 500,
                stake: &topic.stake,
                last_update: &blocks,
                registered: &blocks.iter().rev().copied().collect::<Vec<_>>(),
                weights: &topic.weights,
                commitments: &[],
            };
            let outcome = settle(&topic.params, &epoch, &mut topic.state).unwrap();
            let shares: u64 = outcome.settlement.shares.iter().sum();
            prop_assert!(shares == WHOLE || shares == 0);
            prop_assert!(outcome.combined_emission.iter().sum::<u64>() <= topic.params.emission + 8);
            prop_assert!(topic.state.permits.iter().filter(|&&p| p).count() <= topic.params.max_validators + 1);
        }
    }
}
