//! The emission schedule and merit sortition against Allora's tables.

mod common;

use common::{Table, assert_close};
use hallmark_fixed::Q64;
use hallmark_mechanisms::emission::{Schedule, Supply};
use hallmark_mechanisms::sortition::{Params, choose, update};

/// Months in which vesting changes the stake between two rows of the table.
const VESTING: std::ops::RangeInclusive<usize> = 12..=36;

/// Billionths of a coin.
fn amount(t: &Table, row: usize, column: &str) -> u128 {
    t.number(row, column).part_of(1_000_000_000)
}

#[test]
fn the_emission_schedule_is_that_of_the_table() {
    let Some(t) = Table::read("allora_tokenomics.csv") else {
        return;
    };
    let schedule = Schedule::default();
    let mut targets = 0;
    for row in 2..t.rows() {
        let supply = Supply {
            treasury: amount(&t, row - 1, "ecosystem_tokens_total"),
            staked: amount(&t, row - 1, "network_tokens_staked"),
            circulating: amount(&t, row - 1, "network_tokens_circulating"),
            greatest: 1_000_000_000 * 1_000_000_000,
        };
        let what = |name: &str| format!("month {row} {name}");
        if !VESTING.contains(&row) {
            assert_close(
                schedule.target(&supply),
                t.number(row, "ehat_target_i"),
                &what("target"),
            );
            targets += 1;
        }
        let (target, greatest) = (t.number(row, "ehat_target_i"), t.number(row, "ehat_max_i"));
        assert_close(target.min(greatest), t.number(row, "ehat_i"), &what("rate"));
        let smoothed = schedule.smoothed(Some(t.number(row - 1, "e_i")), target, greatest);
        assert_close(smoothed, t.number(row, "e_i"), &what("smoothed rate"));
        let all = t.number(row, "validator_rewards") + t.number(row, "topics_rewards");
        let ratio = t.number(row, "validator_rewards") / all;
        assert_close(ratio, schedule.validators_part, &what("part of validators"));
        if !VESTING.contains(&row) {
            let emitted = Q64::from_ratio(schedule.emission(smoothed, &supply), 1_000_000_000);
            let ratio = emitted / t.number(row, "ecosystem_tokens_emission");
            assert_close(ratio, Q64::ONE, &what("emission"));
        }
    }
    assert_eq!(targets, 69);
}

#[test]
fn the_active_set_and_every_smoothed_score_are_those_of_the_table() {
    let Some(t) = Table::read("allora_sortition.csv") else {
        return;
    };
    assert_eq!(t.rows(), 101);
    let params = Params {
        places: 5,
        rate: Q64::from_ratio(1, 10),
        quantile: Q64::from_ratio(2, 10),
    };
    for row in 0..t.rows() {
        let before: Vec<Option<Q64>> = (0..8)
            .map(|j| Some(t.number(row, format!("{j}_prev_quality_ema"))))
            .collect();
        let active: Vec<usize> = (0..8)
            .filter(|j| t.text(row, format!("{j}_active")) == "true")
            .collect();
        assert_eq!(choose(&before, params.places), active, "epoch {row}");
        let scores: Vec<Option<Q64>> = (0..8)
            .map(|j| {
                active
                    .contains(&j)
                    .then(|| t.number(row, format!("{j}_quality_metric")))
            })
            .collect();
        for (j, score) in update(&params, &before, &scores).into_iter().enumerate() {
            let theirs = t.number(row, format!("{j}_quality_ema"));
            assert_close(
                score.unwrap(),
                theirs,
                &format!("epoch {row} candidate {j}"),
            );
        }
    }
}
