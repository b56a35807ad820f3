//! Numbers that the source's own tests assert, or that were computed by its functions.

#[path = "common/topic.rs"]
mod topic;

use hallmark_fixed::Q32;
use hallmark_mechanisms::yuma::{Epoch, LiquidAlpha, Params, Row, State, Version, settle};
use topic::{FOUR, Topic, parts};

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

/// Fact 7's bonds after the second epoch, in which the big validator alone has moved.
#[test]
fn who_moved_holds_bonds_in_both_workers_and_who_stays_in_one() {
    let params = Params {
        version: Version::Three,
        bonds_penalty: 0,
        bonds_moving_average: 975_000,
        liquid_alpha: Some(LiquidAlpha {
            low: 6_553,
            high: 19_660,
            steepness: 1_000,
        }),
        ..Params::default()
    };
    let mut topic = Topic::new(params, &[8, 1, 1], 2).all_weigh(&[(3, 65_535), (4, 0)]);
    topic.epoch();
    topic.weights[0] = vec![(3, 0), (4, 65_535)];
    topic.epoch();
    // In ten-thousandths; the source's own tolerance is one in a thousand.
    for (worker, expected) in [(3, [908, 3_697, 3_697]), (4, [1_013, 0, 0])] {
        for (bond, expected) in topic.column(worker).into_iter().zip(expected) {
            let ours = u32::from(bond) * 10_000 / 65_535;
            assert!(ours.abs_diff(expected) <= 10, "worker {worker}: {ours}");
        }
    }
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

/// Fact 10's last rows: one of three workers is good all the time, and the validators move from the
/// first to the second one after the other, a small one first.
#[test]
fn validators_who_keep_to_a_stable_worker_lose_less_by_a_move() {
    let params = Params {
        version: Version::Three,
        bonds_penalty: 0,
        bonds_moving_average: 975_000,
        liquid_alpha: Some(LiquidAlpha {
            low: 6_553,
            high: 19_660,
            steepness: 1_000,
        }),
        ..Params::default()
    };
    let before = [(3, 65_535), (4, 0), (5, 65_535)];
    let after = vec![(3, 0), (4, 65_535), (5, 65_535)];
    let mut topic = Topic::new(params, &[8, 1, 1], 3).all_weigh(&before);
    topic.epoch();
    let moves: [&[usize]; 5] = [STABLE_MOVES[0], STABLE_MOVES[1], STABLE_MOVES[2], &[], &[]];
    let dividends = [
        [8_226, 745, 1_028],
        [7_750, 1_685, 565],
        [7_864, 1_372, 764],
        [7_912, 1_241, 847],
        [7_937, 1_173, 890],
    ];
    for (epoch, (movers, expected)) in moves.iter().zip(dividends).enumerate() {
        for &validator in *movers {
            topic.weights[validator].clone_from(&after);
        }
        let outcome = topic.epoch();
        for (ours, expected) in outcome.dividends[..3].iter().zip(expected) {
            let ours = (ours.to_bits() * 10_000) >> 32;
            assert!(
                ours.abs_diff(expected) <= 10,
                "epoch {epoch}: {ours} {expected}"
            );
        }
    }
}

/// Who moves in the second, third and fourth epoch.
const STABLE_MOVES: [&[usize]; 3] = [&[1], &[0], &[2]];

/// Fact 11's third: half of the stake is inactive, and counts neither in the consensus nor in bonds.
#[test]
fn stake_that_is_inactive_counts_for_nothing() {
    let params = Params {
        max_validators: 3,
        ..Params::default()
    };
    let mut state = State::empty(5);
    state.permits[..3].fill(true);
    let weights = [
        vec![(3, 65_535)],
        vec![(3, 3), (4, 1)],
        vec![(4, 65_535)],
        vec![],
        vec![],
    ];
    let outcome = settle(
        &params,
        &Epoch {
            block: 10_000,
            last_step_block: 9_640,
            stake: &[500, 300, 200, 0, 0],
            last_update: &[1, 9_999, 9_999, 9_999, 9_999],
            registered: &[0; 5],
            weights: &weights,
            commitments: &[],
        },
        &mut state,
    )
    .unwrap();
    assert_eq!(outcome.active[..3], [false, true, true]);
    assert_eq!(parts(&outcome.consensus)[3..], [49_151, 16_383]);
    assert_eq!(parts(&outcome.incentive)[3..], [42_129, 23_405]);
    assert_eq!(parts(&outcome.dividends)[..3], [0, 56_172, 9_362]);
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
