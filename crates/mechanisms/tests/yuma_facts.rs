//! Numbers that the source's own tests assert, and what becomes of degenerate epochs.

use hallmark_fixed::Q32;
use hallmark_mechanisms::WHOLE;
use hallmark_mechanisms::yuma::{
    AbsentBonds, Epoch, Error, LiquidAlpha, Outcome, Params, Row, State, Version, settle,
};
use proptest::prelude::*;

/// A topic whose slots registered at block 0 and sent their weights one block before each epoch.
#[derive(Debug)]
struct Topic {
    params: Params,
    stake: Vec<u128>,
    weights: Vec<Row>,
    state: State,
    block: u64,
}

impl Topic {
    /// The first `validators` slots have permits and these stakes; `workers` more have none.
    fn new(params: Params, stake: &[u128], workers: usize) -> Topic {
        let slots = stake.len() + workers;
        let mut topic = Topic {
            params: Params {
                max_validators: stake.len(),
                ..params
            },
            stake: stake.to_vec(),
            weights: vec![Row::new(); slots],
            state: State::empty(slots),
            block: 1_000,
        };
        topic.stake.resize(slots, 0);
        topic.state.permits[..stake.len()].fill(true);
        topic
    }

    /// Every validator weighs the workers like this.
    fn all_weigh(mut self, row: &[(u16, u16)]) -> Topic {
        let validators = self.params.max_validators;
        self.weights[..validators].fill(row.to_vec());
        self
    }

    fn try_epoch(&mut self) -> Result<Outcome, Error> {
        let slots = self.stake.len();
        self.block += 1;
        let outcome = settle(
            &self.params,
            &Epoch {
                block: self.block,
                last_step_block: self.block - 2,
                stake: &self.stake,
                last_update: &vec![self.block - 1; slots],
                registered: &vec![0; slots],
                weights: &self.weights,
                commitments: &[],
            },
            &mut self.state,
        )?;
        let shares: u64 = outcome.settlement.shares.iter().sum();
        assert!(shares == WHOLE || shares == 0, "shares sum to {shares}");
        Ok(outcome)
    }

    fn epoch(&mut self) -> Outcome {
        self.try_epoch().unwrap()
    }

    /// Bonds of all validators to one worker.
    fn column(&self, worker: u16) -> Vec<u16> {
        let bond = |row: &Row| row.iter().find(|b| b.0 == worker).map_or(0, |b| b.1);
        self.state.bonds[..self.params.max_validators]
            .iter()
            .map(bond)
            .collect()
    }
}

fn parts(values: &[Q32]) -> Vec<u16> {
    values
        .iter()
        .map(|value| value.to_u16_proportion())
        .collect()
}

const FOUR: [(u16, u16); 4] = [(4, 16_383), (5, 32_767), (6, 49_149), (7, 65_535)];

/// The source's test of a graph of 512 slots (fact 1).
#[test]
fn in_a_graph_of_512_all_validators_and_all_workers_earn_alike() {
    let workers: Row = (64..512).map(|worker| (worker, 65_535)).collect();
    let mut topic = Topic::new(Params::default(), &[100; 64], 448).all_weigh(&workers);
    for _ in 0..3 {
        let outcome = topic.epoch();
        for i in 0..64 {
            assert_eq!(outcome.dividends[i].to_u16_proportion(), 1_023);
            assert_eq!(outcome.validator_emission[i], 7_812_500);
            assert!(topic.state.bonds[i].iter().all(|bond| bond.1 == 65_535));
        }
        for j in 64..512 {
            assert_eq!(outcome.consensus[j].to_u16_proportion(), 146);
            assert_eq!(outcome.incentive[j].to_u16_proportion(), 146);
            assert_eq!(outcome.server_emission[j], 1_116_071);
        }
    }
}

/// Fact 2.
#[test]
fn ten_nodes_that_weigh_only_themselves_are_paid_by_stake() {
    let mut topic = Topic::new(Params::default(), &[1; 10], 0);
    for (i, row) in (0u16..).zip(&mut topic.weights) {
        row.push((i, 65_535));
    }
    let outcome = topic.epoch();
    assert!(
        outcome
            .incentive
            .iter()
            .chain(&outcome.dividends)
            .all(|&x| x == Q32::ZERO)
    );
    assert_eq!(outcome.combined_emission, vec![99_999_999; 10]);
    assert_eq!(outcome.settlement.shares, vec![100_000_000; 10]);
}

/// Facts 3 to 6: the source's test of bonds.
#[test]
fn bonds_of_validators_who_stop_weighing_decay_and_the_rest_gain() {
    let mut topic = Topic::new(Params::default(), &[1, 2, 3, 4], 4).all_weigh(&FOUR);
    let outcome = topic.epoch();
    assert_eq!(topic.column(4), [16_383, 32_767, 49_151, 65_535]);
    assert_eq!(
        outcome.combined_emission,
        [
            49_999_998,
            99_999_999,
            150_000_000,
            200_000_001,
            49_998_779,
            100_000_610,
            149_996_337,
            200_004_272
        ]
    );
    topic.weights[0] = vec![(0, 65_535)];
    let outcome = topic.epoch();
    assert_eq!(topic.column(4), [14_582, 32_767, 49_151, 65_535]);
    assert_eq!(
        outcome.combined_emission[..4],
        [44_998_351, 101_110_561, 151_667_215, 202_223_870]
    );
    topic.weights[1] = vec![(1, 65_535)];
    topic.epoch();
    assert_eq!(topic.column(4), [12_603, 28_321, 49_151, 65_535]);
    // Those who still weigh are a minority of 0.4: no consensus.
    topic.weights[2] = vec![(2, 65_535)];
    let outcome = topic.epoch();
    assert!(outcome.consensus.iter().all(|&c| c == Q32::ZERO));
    assert_eq!(topic.column(7), [12_602, 28_320, 49_150, 65_535]);
    assert_eq!(
        outcome.combined_emission[..4],
        [99_999_999, 199_999_999, 299_999_999, 399_999_999]
    );
    topic.weights[2] = vec![(7, 65_535)];
    for column in [[10_951, 24_609], [9_559, 21_482], [8_376, 18_824]] {
        topic.epoch();
        assert_eq!(topic.column(7)[..2], column);
    }
}

/// Yuma 3 with liquid alpha as in the source's tests; `moves[e]` lists who weighs the second worker
/// from epoch e on, and `dividends` what the three validators get, in ten-thousandths.
fn follow(stake: [u128; 3], liquid: bool, moves: &[&[usize]], dividends: &[[u32; 3]]) {
    let params = Params {
        version: Version::Three,
        bonds_penalty: 0,
        bonds_moving_average: 975_000,
        liquid_alpha: liquid.then_some(LiquidAlpha {
            low: 6_553,
            high: 19_660,
            steepness: 1_000,
        }),
        ..Params::default()
    };
    let mut topic = Topic::new(params, &stake, 2).all_weigh(&[(3, 65_535), (4, 0)]);
    for (epoch, expected) in dividends.iter().enumerate() {
        for &validator in moves.get(epoch).copied().unwrap_or(&[]) {
            topic.weights[validator] = vec![(3, 0), (4, 65_535)];
        }
        let outcome = topic.epoch();
        for (validator, &expected) in expected.iter().enumerate() {
            let ours = (outcome.dividends[validator].to_bits() * 10_000) >> 32;
            // The source's own tolerance is one in a thousand.
            assert!(
                (ours - i64::from(expected)).abs() <= 10,
                "epoch {epoch} validator {validator}: {ours} instead of {expected}"
            );
        }
    }
}

/// Fact 7.
#[test]
fn a_big_validator_who_moves_first_gains_until_the_others_follow() {
    follow(
        [8, 1, 1],
        true,
        &[&[], &[0], &[1], &[2]],
        &[
            [8000, 1000, 1000],
            [10_000, 0, 0],
            [9382, 618, 0],
            [8819, 773, 407],
            [8564, 844, 592],
            [8418, 884, 697],
        ],
    );
}

/// Fact 8.
#[test]
fn a_big_validator_who_moves_second_loses_to_the_first() {
    follow(
        [8, 1, 1],
        true,
        &[&[], &[1], &[0], &[2]],
        &[
            [8000, 1000, 1000],
            [8446, 498, 1056],
            [6868, 3132, 0],
            [7421, 2090, 489],
            [7625, 1706, 669],
            [7730, 1508, 762],
        ],
    );
}

/// Fact 9.
#[test]
fn a_big_validator_who_moves_last_loses_most() {
    follow(
        [8, 1, 1],
        true,
        &[&[], &[1], &[2], &[0]],
        &[
            [8000, 1000, 1000],
            [8446, 498, 1056],
            [8966, 333, 701],
            [4663, 3210, 2127],
            [5976, 2340, 1683],
            [6592, 1932, 1475],
        ],
    );
}

/// Fact 10: one validator leaves for one epoch, with liquid alpha and without.
#[test]
fn a_switch_of_one_epoch_costs_who_switched() {
    for (liquid, dividends) in [
        (
            true,
            [
                [3300, 3300, 3400],
                [3300, 3300, 3400],
                [3782, 3782, 2436],
                [3628, 3628, 2745],
                [3541, 3541, 2917],
                [3487, 3487, 3026],
            ],
        ),
        (
            false,
            [
                [3300, 3300, 3400],
                [3300, 3300, 3400],
                [3734, 3734, 2532],
                [3611, 3611, 2779],
                [3541, 3541, 2919],
                [3495, 3495, 3009],
            ],
        ),
    ] {
        let params = Params {
            version: Version::Three,
            bonds_penalty: 0,
            bonds_moving_average: 975_000,
            liquid_alpha: liquid.then_some(LiquidAlpha {
                low: 6_553,
                high: 19_660,
                steepness: 1_000,
            }),
            ..Params::default()
        };
        let stays = [(3, 65_535), (4, 0)];
        let mut topic = Topic::new(params, &[33, 33, 34], 2).all_weigh(&stays);
        for (epoch, expected) in dividends.iter().enumerate() {
            topic.weights[2] = if epoch == 2 {
                vec![(3, 0), (4, 65_535)]
            } else {
                stays.to_vec()
            };
            let outcome = topic.epoch();
            for (ours, &expected) in outcome.dividends.iter().zip(expected) {
                assert!(
                    ((ours.to_bits() * 10_000) >> 32).abs_diff(expected) <= 10,
                    "epoch {epoch}"
                );
            }
        }
    }
}

/// Fact 11.
#[test]
fn at_exactly_half_both_sides_agree_and_above_half_the_smaller_gets_nothing() {
    let split = |stakes: [u128; 2]| {
        let mut topic = Topic::new(Params::default(), &stakes, 2);
        topic.weights[0] = vec![(2, 65_535)];
        topic.weights[1] = vec![(3, 65_535)];
        topic.epoch()
    };
    let even = split([50, 50]);
    assert_eq!(parts(&even.consensus)[2..], [65_535, 65_535]);
    assert_eq!(even.combined_emission, [250_000_000; 4]);
    let uneven = split([51, 49]);
    assert_eq!(parts(&uneven.consensus)[2..], [65_535, 0]);
    assert_eq!(uneven.dividends[1], Q32::ZERO);
}

/// Fact 12: the source keeps this test commented out.
#[test]
fn a_graph_of_4096_with_256_validators_earns_alike() {
    let workers: Row = (256..4096).map(|worker| (worker, 65_535)).collect();
    let mut topic = Topic::new(Params::default(), &[100; 256], 3840).all_weigh(&workers);
    let outcome = topic.epoch();
    assert_eq!(outcome.dividends[0].to_u16_proportion(), 255);
    assert_eq!(outcome.incentive[256].to_u16_proportion(), 17);
    assert_eq!(outcome.validator_emission[0], 1_953_125);
    assert_eq!(outcome.server_emission[256], 130_208);
}

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
