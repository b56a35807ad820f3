//! Splitting, colluding reputers, selective revealing, copying: a random walk is to be foretold.

use crate::{Chance, Seeds, part, print_seeds};
use hallmark_fixed::Q64;
use hallmark_mechanisms::synthesis::{
    Consensus, Params, Predictions, Report, State, infer, settle, squared_loss,
};

fn q(x: f64) -> Q64 {
    Q64::from_bits(((x * (1u64 << 40) as f64) as i128) << 24)
}

/// An epoch as its players see it before they speak.
struct Scene<'a> {
    truth: f64,
    /// What the honest inferers would say.
    honest: &'a [f64],
    /// What they said in the epoch before.
    before: &'a [f64],
    /// Whether the last inferer's source is bad this time, which it knows.
    unsure: bool,
}

/// Plays `epochs` epochs with honest inferers of errors 0.5, 0.7, 0.9, 1.1 and then what `speak` says,
/// and reputers with `stakes`, of whom `lie` may replace the truth. Returns mean shares per slot.
fn play(
    params: &Params,
    seed: u64,
    extra: usize,
    stakes: &[u128],
    speak: impl Fn(&Scene<'_>) -> Vec<Option<f64>>,
    lie: impl Fn(usize, &Scene<'_>, &[Option<f64>]) -> f64,
) -> Vec<f64> {
    const ERRORS: [f64; 4] = [0.5, 0.7, 0.9, 1.1];
    const EPOCHS: usize = 230;
    const COUNTED: f64 = 200.0;
    let inferers = ERRORS.len() + extra;
    let mut chance = Chance::new(seed);
    let mut state = State::new(inferers, 0, stakes.len());
    let (mut truth, mut before) = (20.0, vec![20.0; 4]);
    let mut shares = vec![0.0; inferers + stakes.len()];
    for epoch in 0..EPOCHS {
        truth += chance.normal();
        let honest: Vec<f64> = ERRORS.iter().map(|e| truth + e * chance.normal()).collect();
        let unsure = chance.uniform() < 0.5;
        let scene = Scene {
            truth: truth + if unsure { 3.0 } else { 0.5 } * chance.normal(),
            honest: &honest,
            before: &before,
            unsure,
        };
        let mut said: Vec<Option<f64>> = honest.iter().copied().map(Some).collect();
        said.extend(speak(&scene));
        let scene = Scene { truth, ..scene };
        let predictions = Predictions {
            inferences: said.iter().map(|value| value.map(q)).collect(),
            forecasts: vec![],
        };
        let inferences = infer(params, &mut state, &predictions).unwrap();
        let reports: Vec<Report> = (0..stakes.len())
            .map(|m| {
                let truth = q(lie(m, &scene, &said) + 0.001 * chance.normal());
                let losses = inferences.values.iter();
                Report {
                    stake: stakes[m],
                    losses: losses.map(|v| v.map(|v| squared_loss(v, truth))).collect(),
                }
            })
            .collect();
        let outcome = settle(params, &mut state, &inferences, &reports).unwrap();
        if epoch >= EPOCHS - COUNTED as usize {
            for (slot, share) in shares.iter_mut().enumerate() {
                *share += part(&outcome.settlement.shares, [slot]) / COUNTED;
            }
        }
        before = honest;
    }
    shares
}

/// What some slots get, seed by seed.
fn earned(slots: &[usize], run: impl Fn(u64) -> Vec<f64>) -> Seeds {
    Seeds::of(|seed| {
        let shares = run(seed);
        slots.iter().map(|&slot| shares[slot]).sum()
    })
}

fn honest_reputer(_: usize, scene: &Scene<'_>, _: &[Option<f64>]) -> f64 {
    scene.truth
}

#[test]
fn clones_of_an_inferer_gain_by_the_anchors_rule_and_not_where_only_gain_is_paid() {
    println!(
        "\n| splitting an inferer (synthesis) | one | clones | gain | of a seed |\n|---|---|---|---|---|"
    );
    let gain_only = Params {
        gain_only: true,
        ..Params::default()
    };
    for (name, good) in [("as good as the best", true), ("mediocre", false)] {
        for (rule, params) in [("anchor", &Params::default()), ("gain only", &gain_only)] {
            let clones = |count: usize| {
                let slots: Vec<usize> = (4..4 + count).collect();
                let speak = |s: &Scene<'_>| {
                    let value = if good {
                        (s.honest[0] + s.honest[1]) / 2.0
                    } else {
                        s.truth
                    };
                    vec![Some(value); count]
                };
                earned(&slots, |seed| {
                    play(params, seed, count, &[1; 3], speak, honest_reputer)
                })
            };
            let one = clones(1);
            for count in [2, 4] {
                let many = clones(count);
                let gain = print_seeds(&format!("{count} clones, {name}, {rule}"), &one, &many);
                if params.gain_only || (good && count == 2) {
                    assert!(gain.mean() < 2.0 * gain.error(), "{name} {rule}: {gain:?}");
                    assert!(gain.greatest() < 0.02, "{name} {rule}: {gain:?}");
                } else {
                    assert!(gain.least() > 0.007, "{name} {rule}: {gain:?}");
                }
            }
        }
    }
}

#[test]
fn reputers_in_collusion_lose_as_a_minority_and_win_as_a_majority() {
    println!(
        "\n| reputers lift their own inferer | honest | collusion | gain | of a seed |\n|---|---|---|---|---|"
    );
    let median = Params {
        consensus: Consensus::Median,
        ..Params::default()
    };
    let games = [
        ("40 %", 2, "mean (anchor)", Params::default()),
        ("60 %", 3, "mean (anchor)", Params::default()),
        ("40 %", 2, "median (here)", median.clone()),
        ("60 %", 3, "median (here)", median),
    ];
    for (name, liars, rule, rules) in games {
        let slots: Vec<usize> = [4].into_iter().chain((0..liars).map(|m| 5 + m)).collect();
        // The inferer knows nothing: it says what is far off.
        let speak = |s: &Scene<'_>| vec![Some(s.honest[0] + 4.0)];
        let honest = earned(&slots, |seed| {
            play(&rules, seed, 1, &[20; 5], speak, honest_reputer)
        });
        let attack = earned(&slots, |seed| {
            play(&rules, seed, 1, &[20; 5], speak, |m, scene, said| {
                let own = said[4].unwrap_or(scene.truth) + 0.01;
                if m < liars { own } else { scene.truth }
            })
        });
        let gain = print_seeds(
            &format!("{name} of the reputers' stake, {rule}"),
            &honest,
            &attack,
        );
        if liars == 3 {
            assert!(gain.least() > 0.1, "{gain:?}");
        } else {
            // The luckiest come out even.
            assert!(gain.mean() < -0.05 && gain.greatest() < 0.02, "{gain:?}");
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    (values[1] + values[2]) / 2.0
}

#[test]
fn silence_when_unsure_gains_nothing_and_copying_what_is_visible_gains_much() {
    println!(
        "\n| an inferer whose source fails every other time | always speaks | attack | gain | of a seed |\n\
         |---|---|---|---|---|"
    );
    let gain_only = Params {
        gain_only: true,
        ..Params::default()
    };
    for (rule, params) in [("anchor", &Params::default()), ("gain only", &gain_only)] {
        let of = |speak: &dyn Fn(&Scene<'_>) -> Vec<Option<f64>>| {
            earned(&[4], |seed| {
                play(params, seed, 1, &[1; 3], speak, honest_reputer)
            })
        };
        let always = of(&|s| vec![Some(s.truth)]);
        let silent = of(&|s| vec![(!s.unsure).then_some(s.truth)]);
        let sees = |s: &Scene<'_>| if s.unsure { median(s.honest) } else { s.truth };
        let mixed = of(&|s| vec![Some(sees(s))]);
        let copies = of(&|s| vec![Some(median(s.honest))]);
        let late = of(&|s| vec![Some(median(s.before))]);
        let [silent, mixed, copies, late] = [
            ("silent when unsure", silent),
            ("the others' median when unsure (visible)", mixed),
            ("always the others' median (visible)", copies),
            ("always their median of the epoch before (here)", late),
        ]
        .map(|(name, attack)| print_seeds(&format!("{name}, {rule}"), &always, &attack));
        assert!(silent.mean().abs() < 2.0 * silent.error(), "{silent:?}");
        assert!(silent.greatest().max(-silent.least()) < 0.05, "{silent:?}");
        let double = always.mean();
        assert!(
            mixed.mean() > double && copies.mean() > double,
            "{always:?}"
        );
        assert!(
            mixed.least() > 0.04 && copies.least() > 0.05,
            "{mixed:?} {copies:?}"
        );
        assert!(late.mean() < -2.0 * late.error(), "{late:?}");
        assert!(late.greatest() < 0.025, "{late:?}");
    }
}
