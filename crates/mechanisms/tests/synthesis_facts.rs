//! Facts about inference synthesis, and what becomes of degenerate epochs.

use hallmark_fixed::Q64;
use hallmark_mechanisms::WHOLE;
use hallmark_mechanisms::synthesis::{
    Error, Inferences, Outcome, Params, Predictions, RegretScale, Report, State, entropy,
    forecaster_utility, gradient, infer, listen, median, potential, regret_scale, reward_fractions,
    settle, squared_loss, weighted_percentile, weights,
};
use proptest::prelude::*;

fn q(text: &str) -> Q64 {
    text.parse().unwrap()
}

fn list(texts: &[&str]) -> Vec<Q64> {
    texts.iter().map(|t| q(t)).collect()
}

fn some(texts: &[&str]) -> Vec<Option<Q64>> {
    texts
        .iter()
        .map(|t| (!t.is_empty()).then(|| q(t)))
        .collect()
}

fn close(a: Q64, b: &str) -> bool {
    (a - q(b)).abs() < q("1e-15")
}

/// An epoch in which all reputers, of these stakes, see the same truth.
fn epoch(
    state: &mut State,
    predictions: &Predictions,
    stakes: &[u128],
    truth: &str,
) -> (Inferences, Outcome) {
    let params = Params::default();
    let inferences = infer(&params, state, predictions).unwrap();
    let losses: Vec<Option<Q64>> = inferences
        .values
        .iter()
        .map(|v| v.map(|v| squared_loss(v, q(truth))))
        .collect();
    let reports: Vec<Report> = stakes
        .iter()
        .map(|&stake| Report {
            stake,
            losses: losses.clone(),
        })
        .collect();
    let outcome = settle(&params, state, &inferences, &reports).unwrap();
    let shares: u64 = outcome.settlement.shares.iter().sum();
    assert!(shares == WHOLE || shares == 0);
    (inferences, outcome)
}

#[test]
fn potential_and_gradient_have_the_known_values() {
    assert!(close(
        gradient(q("1"), q("2"), q("0.75")),
        "1.2449186624037092"
    ));
    // ln 2 at the centre; linear far above it; nothing far below.
    assert!(close(
        potential(q("0.75"), q("3"), q("0.75")),
        "0.6931471805599453"
    ));
    assert!(close(potential(q("100.75"), q("3"), q("0.75")), "300"));
    assert!(close(potential(q("-1e18"), q("3"), q("0.75")), "0"));
}

#[test]
fn the_median_scale_is_not_moved_by_one_outlier() {
    let scale = |epsilon: &str, regrets: &[&str]| {
        let params = Params {
            epsilon: q(epsilon),
            regret_scale: RegretScale::MedianDeviation,
            ..Params::default()
        };
        regret_scale(&list(regrets), &params)
    };
    assert!(close(scale("0.5", &["0.1", "0.2", "0.3"]), "0.64826"));
    assert!(close(scale("0.01", &["0", "0", "0", "100"]), "0.01"));
}

#[test]
fn entropy_of_one_is_a_quarter_of_ln_2_and_of_equals_is_ln_n() {
    let quarter = q("0.25");
    assert!(close(entropy(&list(&["1"]), quarter), "0.173286795139986"));
    assert!(close(
        entropy(&list(&["0.25"; 4]), quarter),
        "1.386294361119891"
    ));
    assert_eq!(entropy(&[], quarter), Q64::ZERO);
    assert_eq!(entropy(&list(&["1", "0"]), quarter), Q64::ZERO);
}

#[test]
fn the_weight_of_forecasters_stays_between_a_tenth_and_a_half() {
    for (ratio, utility) in [
        ("-5", "0.1"),
        ("0", "0.1"),
        ("0.5", "0.3"),
        ("1", "0.5"),
        ("9", "0.5"),
    ] {
        assert!(close(forecaster_utility(q(ratio)), utility), "{ratio}");
    }
}

#[test]
fn percentiles_stand_at_the_middle_of_each_weight() {
    let values = list(&["3", "1", "2"]);
    let percentile =
        |weights: &[&str], p: &str| weighted_percentile(&values, &list(weights), q(p)).unwrap();
    assert!(close(percentile(&["1", "1", "1"], "50"), "2"));
    assert!(close(percentile(&["1", "1", "1"], "0"), "1"));
    assert!(close(percentile(&["1", "1", "1"], "100"), "3"));
    assert!(close(percentile(&["0", "0", "0"], "10"), "2"));
    // Positions 1/8, 1/2, 7/8 for weights 1, 2, 1: a quarter lies a third of the way to the middle.
    assert!(close(
        percentile(&["1", "1", "2"], "25"),
        "1.333333333333333333"
    ));
    assert_eq!(weighted_percentile(&[], &[], q("50")), None);
    assert_eq!(median(&[]), None);
}

#[test]
fn someone_always_has_weight() {
    for regrets in [
        &["-1e18", "-1e18"][..],
        &["-9e18", "9e18"],
        &["0"],
        &["-5", "-5", "-5"],
    ] {
        let weights = weights(&list(regrets), &Params::default());
        assert!(weights.iter().any(|&w| w > Q64::ZERO), "{regrets:?}");
    }
    assert!(weights(&[], &Params::default()).is_empty());
}

#[test]
fn fractions_of_a_class_sum_to_one_even_where_the_potential_vanishes() {
    for scores in [
        &["-1000", "-1001"][..],
        &["-1e17"],
        &["5", "-5", "0"],
        &["0", "0"],
    ] {
        let scores = some(scores);
        let fractions = reward_fractions(&Params::default(), &scores, &[]);
        let sum: Q64 = fractions.iter().copied().flatten().sum();
        assert!((sum - Q64::ONE).abs() < q("1e-15"), "{sum}");
    }
    assert_eq!(
        reward_fractions(&Params::default(), &[None], &[]),
        vec![None]
    );
}

/// Scores of three, of whom the latest scores were 1/2, 0, -1/2: their sample deviation is
/// `√((1/4 + 1/4)/2) = 1/2`, and with ε = 1/2 the scale is 1. So the potential is `ln(1 + e^y)` of
/// `y = 3(T − 3/4)`:
///
/// | T | 1/2 | 1/4 | 0 | -1/2 |
/// |---|---|---|---|---|
/// | y | -0.75 | -1.5 | -2.25 | -3.75 |
/// | e^y | 0.472366553 | 0.223130160 | 0.105399225 | 0.023517746 |
/// | ln(1 + e^y) | 0.386871 | 0.201413 | 0.100206 | 0.023245 |
///
/// | T of the three | sum of all | fractions | where only gain is paid |
/// |---|---|---|---|
/// | 1/2, 0, -1/2 | 0.510323 | 0.758091, 0.196359, 0.045550 | 1, 0, 0 |
/// | 1/2, 1/4, 0 | 0.688491 | 0.561912, 0.292543, 0.145545 | of 0.588285: 0.657626, 0.342374, 0 |
/// | 0, -1/2, -1/2 | 0.146697 | 0.683082, 0.158459, 0.158459 | nobody gains: the same |
#[test]
fn where_only_gain_is_paid_who_adds_nothing_gets_nothing_unless_all_add_nothing() {
    let history = list(&["0.5", "0", "-0.5"]);
    let fractions = |gain_only: bool, scores: &[&str]| {
        let params = Params {
            epsilon: q("0.5"),
            gain_only,
            ..Params::default()
        };
        reward_fractions(&params, &some(scores), &history)
    };
    let near = |ours: Vec<Option<Q64>>, expected: [&str; 3]| {
        for (ours, expected) in ours.into_iter().zip(expected) {
            let ours = ours.unwrap();
            assert!((ours - q(expected)).abs() < q("3e-6"), "{ours} {expected}");
        }
    };
    let scores = ["0.5", "0", "-0.5"];
    near(
        fractions(false, &scores),
        ["0.758091", "0.196359", "0.045550"],
    );
    near(fractions(true, &scores), ["1", "0", "0"]);
    let scores = ["0.5", "0.25", "0"];
    near(
        fractions(false, &scores),
        ["0.561912", "0.292543", "0.145545"],
    );
    near(fractions(true, &scores), ["0.657626", "0.342374", "0"]);
    let scores = ["0", "-0.5", "-0.5"];
    for gain_only in [false, true] {
        near(
            fractions(gain_only, &scores),
            ["0.683082", "0.158459", "0.158459"],
        );
    }
}

#[test]
fn without_inferers_there_is_no_output_and_nothing_changes() {
    for (inferers, predictions) in [
        (0, Predictions::default()),
        (
            2,
            Predictions {
                inferences: vec![None; 2],
                forecasts: vec![],
            },
        ),
    ] {
        let mut state = State::new(inferers, 0, 1);
        let before = state.clone();
        let (inferences, outcome) = epoch(&mut state, &predictions, &[5], "1");
        assert_eq!(inferences.output(), None);
        assert!(!outcome.settlement.pays());
        assert_eq!(state, before);
    }
}

#[test]
fn a_lone_inferer_is_the_network_and_has_no_score() {
    let mut state = State::new(1, 0, 1);
    let predictions = Predictions {
        inferences: some(&["7"]),
        forecasts: vec![],
    };
    let (inferences, outcome) = epoch(&mut state, &predictions, &[5], "8");
    let output = inferences.output().unwrap();
    assert_eq!(output.value, q("7"));
    assert_eq!(output.percentiles, [q("7"); 5]);
    assert_eq!(outcome.worker_scores, [None]);
    assert_eq!(outcome.settlement.shares, [0, WHOLE]);
}

#[test]
fn equal_values_give_that_value_and_equal_shares() {
    let mut state = State::new(3, 0, 2);
    let predictions = Predictions {
        inferences: some(&["4", "4", "4"]),
        forecasts: vec![],
    };
    for _ in 0..3 {
        let (inferences, outcome) = epoch(&mut state, &predictions, &[5, 5], "5");
        assert!(close(inferences.output().unwrap().value, "4"));
        let shares = &outcome.settlement.shares;
        assert!(
            shares[0] - shares[2] <= 1 && shares[3] - shares[4] <= 1,
            "{shares:?}"
        );
    }
}

#[test]
fn without_stake_or_reputers_nothing_is_paid_and_regrets_stay() {
    let predictions = Predictions {
        inferences: some(&["4", "6"]),
        forecasts: vec![],
    };
    for stakes in [&[][..], &[0, 0]] {
        let mut state = State::new(2, 0, stakes.len());
        let (inferences, outcome) = epoch(&mut state, &predictions, stakes, "5");
        assert!(inferences.output().is_some());
        assert!(!outcome.settlement.pays());
        assert_eq!(state.regrets, vec![None; 2]);
    }
}

#[test]
fn a_report_of_another_pattern_is_not_heard() {
    let params = Params::default();
    let mut state = State::new(2, 0, 3);
    let predictions = Predictions {
        inferences: some(&["4", "6"]),
        forecasts: vec![],
    };
    let inferences = infer(&params, &mut state, &predictions).unwrap();
    let honest = vec![Some(q("-1")); inferences.values.len()];
    let mut hole = honest.clone();
    hole[0] = None;
    let report = |losses: &[Option<Q64>]| Report {
        stake: 1_000,
        losses: losses.to_vec(),
    };
    let reports = [report(&honest), report(&hole), report(&honest[1..])];
    let outcome = settle(&params, &mut state, &inferences, &reports).unwrap();
    assert!(outcome.reputer_scores[0].is_some());
    assert_eq!(outcome.reputer_scores[1..], [None, None]);
    assert_eq!(outcome.settlement.shares[3..], [0, 0]);
}

#[test]
fn lists_of_the_wrong_length_are_refused_by_name() {
    let params = Params::default();
    let mut state = State::new(2, 1, 1);
    let refused = |state: &mut State, inferences: &[&str], forecasts: Vec<Vec<Option<Q64>>>| {
        let predictions = Predictions {
            inferences: some(inferences),
            forecasts,
        };
        let Err(Error::Length {
            name,
            found,
            expected,
        }) = infer(&params, state, &predictions)
        else {
            panic!("not refused");
        };
        (name, found, expected)
    };
    assert_eq!(
        refused(&mut state, &["1"], vec![vec![]]),
        ("inferences".into(), 1, 2)
    );
    assert_eq!(
        refused(&mut state, &["1", "2"], vec![]),
        ("forecasts".into(), 0, 1)
    );
    let short = vec![some(&["1"])];
    assert_eq!(
        refused(&mut state, &["1", "2"], short),
        ("forecasts[0]".into(), 1, 2)
    );
    let inferences = Inferences::default();
    assert!(settle(&params, &mut state, &inferences, &[]).is_err());
}

#[test]
fn a_forecaster_of_no_one_present_takes_no_part() {
    let mut state = State::new(2, 2, 1);
    let predictions = Predictions {
        inferences: some(&["4", ""]),
        forecasts: vec![some(&["", "-1"]), some(&["-1", ""])],
    };
    let (inferences, outcome) = epoch(&mut state, &predictions, &[5], "5");
    assert_eq!(inferences.at(inferences.layout.worker(2)), None);
    assert_eq!(inferences.at(inferences.layout.worker(3)), Some(q("4")));
    assert_eq!(outcome.settlement.shares[2], 0);
    assert_eq!(state.regrets[1], None);
}

#[test]
fn who_predicts_better_earns_more_and_gains_weight() {
    let mut state = State::new(3, 0, 1);
    let predictions = Predictions {
        inferences: some(&["5.01", "5.2", "9"]),
        forecasts: vec![],
    };
    let (mut first, mut last) = (Q64::ZERO, Q64::ZERO);
    for round in 0..12 {
        let (inferences, outcome) = epoch(&mut state, &predictions, &[5], "5");
        last = (inferences.output().unwrap().value - q("5")).abs();
        if round == 0 {
            first = last;
        }
        let shares = &outcome.settlement.shares;
        if round > 2 {
            assert!(shares[0] > shares[1] && shares[1] > shares[2], "{shares:?}");
        }
    }
    assert!(last < first * q("0.1"), "{last} after {first}");
}

#[test]
fn a_newcomer_starts_below_the_others_and_does_not_take_over() {
    let mut state = State::new(3, 0, 1);
    let two = Predictions {
        inferences: some(&["5", "5.1", ""]),
        forecasts: vec![],
    };
    for _ in 0..5 {
        epoch(&mut state, &two, &[5], "5");
    }
    let three = Predictions {
        inferences: some(&["5", "5.1", "900"]),
        forecasts: vec![],
    };
    let inferences = infer(&Params::default(), &mut state, &three).unwrap();
    let weight = |j: usize| inferences.weights[j].unwrap();
    assert!(weight(2) < weight(0) * q("0.01") && weight(2) < weight(1));
}

#[test]
fn the_outlier_resistant_value_leaves_the_liar_out() {
    let mut state = State::new(5, 0, 1);
    let predictions = Predictions {
        inferences: some(&["1", "1.1", "0.9", "1.05", "1e6"]),
        forecasts: vec![],
    };
    let inferences = infer(&Params::default(), &mut state, &predictions).unwrap();
    assert!(inferences.output().unwrap().value > q("100000"));
    assert!(close(inferences.outlier_resistant.unwrap(), "1.0125"));
}

#[test]
fn a_reset_worker_is_new_everywhere() {
    let mut state = State::new(3, 1, 1);
    let predictions = Predictions {
        inferences: some(&["5", "5.1", "7"]),
        forecasts: vec![some(&["-3", "-2", "0"])],
    };
    for _ in 0..3 {
        epoch(&mut state, &predictions, &[5], "5");
    }
    state.reset_worker(1);
    state.reset_worker(3);
    assert_eq!((state.regrets[1], state.regrets[3]), (None, None));
    assert_eq!((state.naive_regrets[1], state.fractions[1]), (None, None));
    assert_eq!(state.one_out_regrets[1], vec![None; 4]);
    assert_eq!(state.one_out_regrets[0][1], None);
    assert_eq!(state.one_in_regrets[0], vec![None; 4]);
    assert!(state.regrets[0].is_some() && state.one_out_regrets[0][2].is_some());
    epoch(&mut state, &predictions, &[5], "5");
}

#[test]
fn a_reputer_far_from_the_others_is_listened_to_less() {
    let losses = [
        list(&["-1", "-2", "-3"]),
        list(&["-1", "-2", "-3.1"]),
        list(&["4", "9", "5"]),
    ];
    let stakes = list(&["0.4", "0.4", "0.2"]);
    let listening = listen(&Params::default(), &losses, &stakes, &[Q64::ONE; 3]);
    assert!(listening.coefficients[2] < listening.coefficients[0]);
    assert!(listening.scores[2] < listening.scores[0]);
    let heard: Q64 = listening
        .coefficients
        .iter()
        .zip(&stakes)
        .map(|(&a, &s)| a * s)
        .sum();
    assert!(heard >= q("0.4999999"), "{heard}");
}

#[test]
fn the_largest_stakes_give_the_same_shares_as_small_ones() {
    let run = |unit: u128| {
        let mut state = State::new(2, 0, 2);
        let predictions = Predictions {
            inferences: some(&["4", "6"]),
            forecasts: vec![],
        };
        epoch(&mut state, &predictions, &[unit, 3 * unit], "5.5")
            .1
            .settlement
            .shares
    };
    assert_eq!(run(1), run(10u128.pow(27)));
    assert_eq!(run(1 << 100), run(1 << 126));
}

fn number() -> impl Strategy<Value = Option<Q64>> {
    proptest::option::weighted(
        0.8,
        (any::<i128>(), 0u32..127).prop_map(|(x, s)| Q64::from_bits(x >> s)),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_numbers_settle_without_panic_to_one_or_zero(
        inferences in proptest::collection::vec(number(), 4),
        forecasts in proptest::collection::vec(proptest::collection::vec(number(), 4), 2),
        losses in proptest::collection::vec(proptest::collection::vec(number(), 30), 3),
        stakes in proptest::collection::vec(any::<u128>(), 3),
    ) {
        let params = Params::default();
        let mut state = State::new(4, 2, 3);
        for _ in 0..3 {
            let predictions = Predictions { inferences: inferences.clone(), forecasts: forecasts.clone() };
            let values = infer(&params, &mut state, &predictions).unwrap();
            let report = |(losses, &stake): (&Vec<Option<Q64>>, &u128)| Report {
                stake,
                losses: values
                    .values
                    .iter()
                    .zip(losses.iter().cycle())
                    .map(|(v, l)| v.map(|_| l.unwrap_or(Q64::ONE)))
                    .collect(),
            };
            let reports: Vec<Report> = losses.iter().zip(&stakes).map(report).collect();
            let outcome = settle(&params, &mut state, &values, &reports).unwrap();
            let sum: u64 = outcome.settlement.shares.iter().sum();
            prop_assert!(sum == WHOLE || sum == 0, "{}", sum);
        }
    }

    #[test]
    fn the_network_lies_within_the_inferences(
        values in proptest::collection::vec(-1_000_000i64..1_000_000, 1..12),
        regrets in proptest::collection::vec(-1_000_000i64..1_000_000, 12),
    ) {
        let mut state = State::new(values.len(), 0, 1);
        for (regret, known) in state.regrets.iter_mut().zip(regrets) {
            *regret = Some(Q64::from_int(known));
        }
        let inferences: Vec<Q64> = values.iter().map(|&x| Q64::from_int(x)).collect();
        let predictions = Predictions {
            inferences: inferences.iter().copied().map(Some).collect(),
            forecasts: vec![],
        };
        let output = infer(&Params::default(), &mut state, &predictions).unwrap().output().unwrap();
        let (low, high) = (*inferences.iter().min().unwrap(), *inferences.iter().max().unwrap());
        let slack = q("1e-9");
        prop_assert!(output.value >= low - slack && output.value <= high + slack);
        prop_assert!(output.percentiles.is_sorted());
    }

    #[test]
    fn entropy_is_at_most_ln_n(parts in proptest::collection::vec(1u64..1_000, 2..20)) {
        let sum: u64 = parts.iter().sum();
        let fractions: Vec<Q64> =
            parts.iter().map(|&p| Q64::from_ratio(u128::from(p), u128::from(sum))).collect();
        let limit = Q64::from_int(parts.len() as i64).ln().unwrap();
        prop_assert!(entropy(&fractions, q("0.25")) <= limit + q("1e-12"));
    }
}
