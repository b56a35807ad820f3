//! Inference synthesis against the columns of Allora's simulator: epochs 301 to 305, each from the
//! state of the epoch before it.

mod common;

use common::{Table, assert_close};
use hallmark_fixed::Q64;
use hallmark_mechanisms::synthesis::{
    Inferences, Layout, Outcome, Params, Predictions, Report, State, infer, settle,
};

const INFERERS: usize = 5;
const FORECASTERS: usize = 3;
const REPUTERS: usize = 5;
const LAYOUT: Layout = Layout {
    inferers: INFERERS,
    forecasters: FORECASTERS,
};
const WORKERS: usize = INFERERS + FORECASTERS;

fn some(values: Vec<Q64>) -> Vec<Option<Q64>> {
    values.into_iter().map(Some).collect()
}

/// Latest ten scores of a class, newest epoch first.
fn history(t: &Table, row: usize, prefix: &str, count: usize) -> Vec<Q64> {
    let mut scores: Vec<Q64> = (0..=row)
        .rev()
        .flat_map(|row| t.list(row, prefix, count))
        .collect();
    scores.truncate(10);
    scores
}

/// What the simulator knew after an epoch.
fn state_after(t: &Table, row: usize) -> State {
    let mut fractions = t.list(row, "inferer_reward_fraction_smooth_", INFERERS);
    fractions.extend(t.list(row, "forecaster_reward_fraction_smooth_", FORECASTERS));
    fractions.extend(t.list(row, "reputer_reward_fraction_smooth_", REPUTERS));
    let one_out = |out: usize| {
        let name = |l: usize| format!("inference_regret_worker_{l}_oneout_{out}");
        (0..WORKERS).map(|l| Some(t.number(row, name(l)))).collect()
    };
    let one_in = |k: usize| {
        let name = |l: usize| format!("inference_regret_worker_{l}_onein_{k}");
        (0..=INFERERS)
            .map(|l| Some(t.number(row, name(l))))
            .collect()
    };
    State {
        layout: LAYOUT,
        network_loss: Some(t.number(row, "network_loss")),
        regrets: some(t.list(row, "inference_regret_worker_", WORKERS)),
        naive_regrets: some(t.list(row, "naive_inference_regret_worker_", INFERERS)),
        one_out_regrets: (0..WORKERS).map(one_out).collect(),
        one_in_regrets: (0..FORECASTERS).map(one_in).collect(),
        listening: t.list(row, "reputer_listening_coefficient_", REPUTERS),
        inferer_scores: history(t, row, "inferer_score_", INFERERS),
        forecaster_scores: history(t, row, "forecaster_score_", FORECASTERS),
        fractions: some(fractions),
        forecaster_ratio: Some(t.number(row, "forecaster_score_ratio")),
        spread: None,
    }
}

fn predictions(t: &Table, row: usize) -> Predictions {
    let forecast = |k: usize| some(t.list(row, &format!("forecasted_loss_{k}_for_"), INFERERS));
    Predictions {
        inferences: some(t.list(row, "inference_", INFERERS)),
        forecasts: (0..FORECASTERS).map(forecast).collect(),
    }
}

/// Reports with stakes in millionths of a coin.
fn reports(t: &Table, row: usize) -> Vec<Report> {
    let report = |m: usize| {
        let prefix = format!("reputer_{m}_loss_");
        let one = |name: &str| t.number(row, format!("{prefix}{name}"));
        let list = |name: &str, count| t.list(row, &format!("{prefix}{name}"), count);
        let mut losses = list("inference_", INFERERS);
        losses.extend(list("forecast_implied_inference_", FORECASTERS));
        for k in 0..FORECASTERS {
            losses.extend(list(
                &format!("forecast_implied_inference_{k}_oneout_"),
                INFERERS,
            ));
        }
        losses.extend([one("network_inference"), one("naive_network_inference")]);
        losses.extend(list("network_inference_oneout_", WORKERS));
        losses.extend(list("naive_network_inference_onein_", FORECASTERS));
        let coins = t.number(row, format!("reputer_stake_{m}"));
        Report {
            stake: coins.part_of(1_000_000_000_000),
            losses: some(losses),
        }
    };
    (0..REPUTERS).map(report).collect()
}

struct Epoch {
    row: usize,
    state: State,
    inferences: Inferences,
    outcome: Outcome,
}

/// Every epoch that has one before it, computed.
fn epochs(t: &Table) -> Vec<Epoch> {
    let params = Params::default();
    (1..t.rows())
        .map(|row| {
            let mut state = state_after(t, row - 1);
            let inferences = infer(&params, &mut state, &predictions(t, row)).unwrap();
            let outcome = settle(&params, &mut state, &inferences, &reports(t, row)).unwrap();
            Epoch {
                row,
                state,
                inferences,
                outcome,
            }
        })
        .collect()
}

fn table() -> Option<Table> {
    Table::read("allora_synthesis.csv")
}

fn check(ours: Option<Q64>, t: &Table, row: usize, column: String) {
    let theirs = t.number(row, &column);
    assert_close(
        ours.unwrap_or_else(|| panic!("{column}: none")),
        theirs,
        &format!("{row} {column}"),
    );
}

#[test]
fn every_inference_is_that_of_the_table() {
    let Some(t) = table() else { return };
    for Epoch {
        row, inferences, ..
    } in epochs(&t)
    {
        for k in 0..FORECASTERS {
            let place = LAYOUT.worker(INFERERS + k);
            check(
                inferences.at(place),
                &t,
                row,
                format!("forecast_implied_inference_{k}"),
            );
            for j in 0..INFERERS {
                let place = LAYOUT.implied_without(k, j);
                let column = format!("forecast_implied_inference_{k}_oneout_{j}");
                check(inferences.at(place), &t, row, column);
            }
            let column = format!("network_naive_inference_onein_{k}");
            check(inferences.at(LAYOUT.one_in(k)), &t, row, column);
        }
        check(
            inferences.at(LAYOUT.network()),
            &t,
            row,
            "network_inference".into(),
        );
        check(
            inferences.at(LAYOUT.naive()),
            &t,
            row,
            "network_naive_inference".into(),
        );
        for l in 0..WORKERS {
            check(
                inferences.at(LAYOUT.one_out(l)),
                &t,
                row,
                format!("network_inference_oneout_{l}"),
            );
        }
        for (i, &percentile) in inferences.percentiles.unwrap().iter().enumerate() {
            check(
                Some(percentile),
                &t,
                row,
                format!("network_inference_errorbar_{i}"),
            );
        }
    }
}

#[test]
fn consensus_losses_are_those_of_the_table() {
    let Some(t) = table() else { return };
    for Epoch { row, outcome, .. } in epochs(&t) {
        let at = |place: usize| outcome.losses[place];
        check(at(LAYOUT.network()), &t, row, "network_loss".into());
        check(at(LAYOUT.naive()), &t, row, "network_naive_loss".into());
        for j in 0..INFERERS {
            check(at(LAYOUT.worker(j)), &t, row, format!("inference_loss_{j}"));
        }
        for k in 0..FORECASTERS {
            let column = format!("forecast_implied_inference_loss_{k}");
            check(at(LAYOUT.worker(INFERERS + k)), &t, row, column);
            for j in 0..INFERERS {
                let column = format!("forecast_implied_inference_loss_{k}_oneout_{j}");
                check(at(LAYOUT.implied_without(k, j)), &t, row, column);
            }
            check(
                at(LAYOUT.one_in(k)),
                &t,
                row,
                format!("network_naive_loss_onein_{k}"),
            );
        }
        for l in 0..WORKERS {
            check(
                at(LAYOUT.one_out(l)),
                &t,
                row,
                format!("network_loss_oneout_{l}"),
            );
        }
    }
}

#[test]
fn regrets_of_every_set_are_those_of_the_table() {
    let Some(t) = table() else { return };
    for Epoch { row, state, .. } in epochs(&t) {
        let expected = state_after(&t, row);
        let pairs = [
            (&state.regrets, &expected.regrets),
            (&state.naive_regrets, &expected.naive_regrets),
        ];
        let nested = [
            (&state.one_out_regrets, &expected.one_out_regrets),
            (&state.one_in_regrets, &expected.one_in_regrets),
        ];
        let rows = nested.into_iter().flat_map(|(a, b)| {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b)
        });
        let mut compared = 0;
        for (ours, theirs) in pairs.into_iter().chain(rows) {
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert_close(
                    ours.unwrap(),
                    theirs.unwrap(),
                    &format!("regret in row {row}"),
                );
                compared += 1;
            }
        }
        assert_eq!(compared, 8 + 5 + 64 + 18);
    }
}

#[test]
fn scores_and_listening_coefficients_are_those_of_the_table() {
    let Some(t) = table() else { return };
    for Epoch {
        row,
        state,
        outcome,
        ..
    } in epochs(&t)
    {
        for j in 0..INFERERS {
            check(
                outcome.worker_scores[j],
                &t,
                row,
                format!("inferer_score_{j}"),
            );
        }
        for k in 0..FORECASTERS {
            check(
                outcome.worker_scores[INFERERS + k],
                &t,
                row,
                format!("forecaster_score_{k}"),
            );
        }
        for m in 0..REPUTERS {
            check(
                outcome.reputer_scores[m],
                &t,
                row,
                format!("reputer_score_{m}"),
            );
            check(
                outcome.adjusted_stakes[m],
                &t,
                row,
                format!("reputer_adjusted_stake_{m}"),
            );
            let coefficient = Some(state.listening[m]);
            check(
                coefficient,
                &t,
                row,
                format!("reputer_listening_coefficient_{m}"),
            );
        }
    }
}

/// The deviation spans ten scores: two epochs of inferers, three and a third of forecasters, so
/// those of the first rows lack history.
#[test]
fn fractions_of_every_class_are_those_of_the_table() {
    let Some(t) = table() else { return };
    for Epoch { row, outcome, .. } in epochs(&t) {
        for j in 0..INFERERS {
            check(
                outcome.fractions[j],
                &t,
                row,
                format!("inferer_reward_fraction_{j}"),
            );
        }
        for k in 0..FORECASTERS {
            if row >= 3 {
                let fraction = outcome.fractions[INFERERS + k];
                check(fraction, &t, row, format!("forecaster_reward_fraction_{k}"));
            }
        }
        for m in 0..REPUTERS {
            check(
                outcome.fractions[WORKERS + m],
                &t,
                row,
                format!("reputer_reward_fraction_{m}"),
            );
        }
    }
}

#[test]
fn smoothing_entropies_and_the_split_are_those_of_the_table() {
    let Some(t) = table() else { return };
    for Epoch {
        row,
        state,
        outcome,
        ..
    } in epochs(&t).into_iter().filter(|e| e.row >= 3)
    {
        let expected = state_after(&t, row).fractions;
        for (ours, theirs) in state.fractions.iter().zip(expected) {
            assert_close(
                ours.unwrap(),
                theirs.unwrap(),
                &format!("smoothed fraction, row {row}"),
            );
        }
        for (i, class) in ["inferers", "forecasters", "reputers"]
            .into_iter()
            .enumerate()
        {
            check(
                Some(outcome.entropies[i]),
                &t,
                row,
                format!("{class}_entropy"),
            );
            check(
                Some(outcome.classes[i]),
                &t,
                row,
                format!("{class}_reward_fraction"),
            );
        }
        check(
            state.forecaster_ratio,
            &t,
            row,
            "forecaster_score_ratio".into(),
        );
        check(
            Some(outcome.forecaster_utility),
            &t,
            row,
            "forecasters_utility".into(),
        );
    }
}

#[test]
fn shares_of_a_billion_follow_the_rewards_of_the_table() {
    let Some(t) = table() else { return };
    for Epoch { row, outcome, .. } in epochs(&t).into_iter().filter(|e| e.row >= 3) {
        let mut rewards = t.list(row, "inferer_reward_", INFERERS);
        rewards.extend(t.list(row, "forecaster_reward_", FORECASTERS));
        rewards.extend(t.list(row, "reputer_reward_", REPUTERS));
        let total = t.number(row, "topic_rewards");
        assert_eq!(outcome.settlement.shares.iter().sum::<u64>(), 1_000_000_000);
        for (share, reward) in outcome.settlement.shares.iter().zip(rewards) {
            let share = Q64::from_ratio(u128::from(*share), 1_000_000_000);
            let difference = (share - reward / total).abs();
            assert!(
                difference <= Q64::from_ratio(2, 1_000_000_000),
                "{share} {}",
                reward / total
            );
        }
    }
}
