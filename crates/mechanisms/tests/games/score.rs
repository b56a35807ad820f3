//! Splitting one identity into many where proven metrics are paid.

use crate::{part, print};
use hallmark_fixed::Q64;
use hallmark_mechanisms::score::{Level, Params, State, Submission, settle};
use hallmark_mechanisms::wire::{self, Kind};

/// The best worker's part, with a metric of 90 %, from one slot and from four, when others have
/// `others` percent.
fn splitting(temperature: Q64, others: &[u128]) -> (f64, f64) {
    let params = Params {
        temperature,
        ..Params::default()
    };
    let run = |clones: usize| {
        let metrics = others.iter().copied().chain(vec![90; clones]);
        let submissions: Vec<Option<Submission>> = metrics
            .map(|metric| {
                Some(Submission {
                    metric: Q64::from_ratio(metric, 100),
                    level: Level::Proven,
                    paid: true,
                })
            })
            .collect();
        let settlement = settle(&params, &mut State::default(), &submissions);
        part(&settlement.shares, others.len()..others.len() + clones)
    };
    (run(1), run(4))
}

#[test]
fn clones_of_a_model_gain_unless_only_the_best_is_paid_and_it_has_no_equal() {
    println!(
        "\n| four clones of the best of four models (score) | one | clones | gain |\n|---|---|---|---|"
    );
    let worse = [88, 85, 80];
    for (temperature, others, least, most) in [
        ((1, 10), worse, 0.3, 0.4),
        ((1, 100), worse, 0.05, 0.15),
        ((1, 1_000), worse, 0.0, 1e-6),
        ((1, 10_000), worse, 0.0, 1e-6),
        ((0, 1), worse, 0.0, 1e-6),
        ((1, 1_000), [90, 85, 80], 0.29, 0.31),
        ((0, 1), [90, 85, 80], 0.29, 0.31),
    ] {
        let (numerator, denominator) = temperature;
        let (one, clones) = splitting(Q64::from_ratio(numerator, denominator), &others);
        let equal = if others[0] == 90 {
            ", another is as good"
        } else {
            ""
        };
        let temperature = numerator as f64 / denominator as f64;
        let name = format!("temperature {temperature}{equal}");
        print(&name, one, clones);
        let gain = clones - one;
        assert!((least..=most).contains(&gain), "{name}: {gain}");
    }
}

#[test]
fn a_topic_pays_by_default_as_at_a_temperature_of_a_thousandth() {
    let wire::Params::Score(here) = wire::Params::defaults(Kind::Score) else {
        unreachable!("defaults of score");
    };
    assert_eq!(here.temperature, Q64::from_ratio(1, 1_000));
    // A lead of two points in a hundred is all that clones of the second would need to make up for.
    let (one, clones) = splitting(here.temperature, &[92, 85, 80]);
    assert!(one < 1e-6 && clones < 1e-6, "{one} {clones}");
    // With as many equals as clones, clones have half of all.
    let (one, clones) = splitting(here.temperature, &[90, 90, 90, 90]);
    assert!((one - 0.2).abs() < 1e-6 && (clones - 0.5).abs() < 1e-6);
}
