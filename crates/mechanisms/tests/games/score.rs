//! Splitting one identity into many where proven metrics are paid.

use crate::{part, print};
use hallmark_fixed::Q64;
use hallmark_mechanisms::score::{Level, Params, State, Submission, settle};

/// The best worker's part among three others, from one slot and from `clones`.
fn splitting(temperature: Q64, clones: usize) -> (f64, f64) {
    let params = Params {
        temperature,
        ..Params::default()
    };
    let run = |clones: usize| {
        let mut metrics = vec![88u128, 85, 80];
        metrics.extend(vec![90; clones]);
        let submissions: Vec<Option<Submission>> = metrics
            .iter()
            .map(|&metric| {
                Some(Submission {
                    metric: Q64::from_ratio(metric, 100),
                    level: Level::Proven,
                })
            })
            .collect();
        let settlement = settle(&params, &mut State::default(), &submissions);
        part(&settlement.shares, 3..3 + clones)
    };
    (run(1), run(clones))
}

#[test]
fn clones_of_a_model_gain_unless_only_the_best_is_paid() {
    println!(
        "\n| four clones of the best of four models (score) | one | clones | gain |\n|---|---|---|---|"
    );
    for (name, temperature) in [
        ("0.1", (1, 10)),
        ("0.01", (1, 100)),
        ("0.001", (1, 1_000)),
        ("0", (0, 1)),
    ] {
        let (one, clones) = splitting(Q64::from_ratio(temperature.0, temperature.1), 4);
        print(&format!("temperature {name}"), one, clones);
        assert!(clones >= one - 1e-9);
        if temperature.0 == 0 {
            assert!((clones - one).abs() < 1e-9);
        }
    }
}
