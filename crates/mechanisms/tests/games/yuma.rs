//! Weight copying, cartels, undervaluing a rival, splitting.

use crate::topic::Topic;
use crate::{Chance, Seeds, part, print, print_seeds};
use hallmark_mechanisms::yuma::{LiquidAlpha, Params, Row, Version};

fn three() -> Params {
    Params {
        version: Version::Three,
        ..Params::default()
    }
}

fn liquid() -> Params {
    Params {
        liquid_alpha: Some(LiquidAlpha {
            low: 45_875,
            high: 58_982,
            steepness: 1_000,
        }),
        ..three()
    }
}

fn no_idle_pay(params: Params) -> Params {
    Params {
        pay_idle: false,
        ..params
    }
}

fn two_sided(params: Params) -> Params {
    Params {
        two_sided: true,
        ..no_idle_pay(params)
    }
}

/// Weights for the workers that stand after `validators`, largest 65,535.
fn row(validators: usize, values: &[f64]) -> Row {
    let most = values.iter().copied().fold(1e-9, f64::max);
    (validators as u16..)
        .zip(values)
        .map(|(slot, value)| (slot, (value.max(0.0) / most * 65_535.0) as u16))
        .collect()
}

/// What a validator of a fifth of the stake does.
#[derive(Clone, Copy)]
enum Play {
    Honest,
    /// It copies weights of so many epochs ago.
    Copies(usize),
    /// It never sees any and weighs all alike.
    Blind,
}

/// What that validator earns. The quality of 16 workers moves by `speed` an epoch; honest validators
/// see it with an error.
fn copying(params: &Params, speed: f64, play: Play, seed: u64) -> f64 {
    const VALIDATORS: usize = 5;
    let mut chance = Chance::new(seed);
    let mut topic = Topic::new(params.clone(), &[20; VALIDATORS], 16);
    let mut quality: Vec<f64> = (0..16).map(|_| chance.uniform()).collect();
    let mut seen: Vec<Vec<f64>> = Vec::new();
    let mut earned = 0.0;
    for epoch in 0..60usize {
        for q in &mut quality {
            // Quality is reflected at 0 and 1.
            *q = (*q + speed * chance.normal()).abs();
            *q = if *q > 1.0 { (2.0 - *q).max(0.0) } else { *q };
        }
        let mut mean = vec![0.0; 16];
        for validator in 0..VALIDATORS {
            let own: Vec<f64> = quality.iter().map(|q| q + 0.03 * chance.normal()).collect();
            if validator + 1 < VALIDATORS {
                for (mean, own) in mean.iter_mut().zip(&own) {
                    *mean += own / 4.0;
                }
            }
            topic.weights[validator] = row(VALIDATORS, &own);
        }
        seen.push(mean);
        let uniform = vec![1.0; 16];
        let copied = match play {
            Play::Honest => None,
            Play::Copies(delay) => epoch.checked_sub(delay).and_then(|old| seen.get(old)),
            Play::Blind => Some(&uniform),
        };
        if let Some(copied) = copied {
            topic.weights[VALIDATORS - 1] = row(VALIDATORS, copied);
        }
        let outcome = topic.epoch();
        if epoch >= 20 {
            earned += part(&outcome.settlement.shares, [VALIDATORS - 1]) / 40.0;
        }
    }
    earned
}

#[test]
fn copying_weights_pays_only_while_they_are_visible_or_nothing_moves() {
    println!(
        "\n| weight copying, 20 % of the stake | honest | copier | gain | of a seed |\n\
         |---|---|---|---|---|"
    );
    let rules = [
        ("Yuma 2", Params::default()),
        ("Yuma 3", three()),
        ("Yuma 3, liquid alpha", liquid()),
        ("Yuma 3, liquid alpha, two-sided", two_sided(liquid())),
    ];
    let mut lates = Vec::new();
    for (name, params) in &rules {
        for (pace, speed) in [("slow", 0.01), ("fast", 0.15)] {
            let of = |play| Seeds::of(|seed| copying(params, speed, play, seed));
            let honest = of(Play::Honest);
            let [at_once, late, blind] = [
                (
                    "sees weights at once (anchor without hiding)",
                    Play::Copies(0),
                ),
                ("sees them after the reveal (here)", Play::Copies(1)),
                ("never sees any", Play::Blind),
            ]
            .map(|(sight, play)| {
                let name = format!("{name}, {pace} topic, {sight}");
                print_seeds(&name, &honest, &of(play))
            });
            assert!(at_once.least() > 0.0005, "{name} {pace}: {at_once:?}");
            assert!(at_once.over(&late).least() > 0.0, "{name} {pace}");
            assert!(blind.greatest() < -0.005, "{name} {pace}: {blind:?}");
            if pace == "fast" {
                assert!(late.greatest() < -0.004, "{name}: {late:?}");
            } else {
                // A trace: at most a fortieth of what an honest validator earns.
                assert!(
                    late.least() > 0.0 && late.greatest() < 0.0025,
                    "{name}: {late:?}"
                );
            }
            lates.push(late.mean());
        }
    }
    // Two-sided, after liquid alpha without it: the loss doubles, and so, at least, does the trace.
    let (one, two) = (&lates[4..6], &lates[6..8]);
    assert!(
        two.iter().zip(one).all(|(two, one)| two / one > 2.0),
        "{lates:?}"
    );
}

/// What a cartel of `stake` percent earns with its two worthless workers among eight, honest or
/// weighing only them.
fn cartel(params: &Params, stake: u128, attacks: bool, seed: u64) -> f64 {
    let mut chance = Chance::new(seed);
    let honest = (100 - stake) / 2;
    let stakes = [honest, 100 - stake - honest, stake - 9, 9];
    let mut topic = Topic::new(params.clone(), &stakes, 8);
    let mut earned = 0.0;
    for epoch in 0..40 {
        for validator in 0..4 {
            let mut own: Vec<f64> = (0..6)
                .map(|j| 0.5 + 0.1 * f64::from(j) + 0.03 * chance.normal())
                .chain([0.0; 2])
                .collect();
            if attacks && validator >= 2 {
                own = vec![0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
            }
            topic.weights[validator] = row(4, &own);
            topic.weights[validator].retain(|entry| entry.1 > 0);
        }
        let outcome = topic.epoch();
        if epoch >= 20 {
            earned += part(&outcome.settlement.shares, [2, 3, 10, 11]) / 20.0;
        }
    }
    earned
}

#[test]
fn a_cartel_below_the_threshold_loses_and_one_above_it_takes_the_topic() {
    println!(
        "\n| cartel with two worthless workers | honest | cartel | gain | of a seed |\n\
         |---|---|---|---|---|"
    );
    let kappa = |params: Params| Params {
        kappa: 39_321,
        ..params
    };
    let rules = [
        ("Yuma 2, kappa 0.5 (anchor)", Params::default()),
        ("Yuma 3, kappa 0.5 (anchor)", three()),
        (
            "Yuma 3, kappa 0.5, two-sided, no idle pay",
            two_sided(three()),
        ),
        ("Yuma 3, kappa 0.6 (anchor)", kappa(three())),
        (
            "Yuma 3, kappa 0.6, no idle pay",
            kappa(no_idle_pay(three())),
        ),
        (
            "Yuma 3, kappa 0.6, two-sided, no idle pay",
            kappa(two_sided(three())),
        ),
    ];
    for (name, params) in &rules {
        let [minority, majority, most] = [40, 51, 61].map(|stake| {
            let [honest, attack] =
                [false, true].map(|attacks| Seeds::of(|seed| cartel(params, stake, attacks, seed)));
            print_seeds(&format!("{stake} % of the stake, {name}"), &honest, &attack)
        });
        assert!(most.least() > 0.5, "61 % is above every threshold: {name}");
        if params.kappa != 39_321 {
            assert!(
                minority.greatest() < -0.1 && majority.least() > 0.5,
                "{name}"
            );
        } else if params.pay_idle {
            // Above 1 - 0.6 a cartel stalls consensus, which only idle pay rewards.
            assert!(minority.least() > 0.1 && majority.least() > 0.1, "{name}");
        } else {
            assert!(
                minority.greatest() < -0.1 && majority.greatest() < -0.1,
                "{name}"
            );
        }
    }
}

/// What a validator of a tenth of the stake with its own worker earns, and what a rival worker earns,
/// honestly and when the validator leaves `rivals` of the five equal rivals out.
fn undervaluing(params: &Params, rivals: usize) -> [(f64, f64); 2] {
    let mut sums = [(0.0, 0.0); 2];
    for (attacks, sum) in [false, true].into_iter().zip(&mut sums) {
        let mut topic = Topic::new(params.clone(), &[30, 30, 30, 10], 6);
        for epoch in 0..40 {
            for validator in 0..4 {
                let left_out = |j: usize| attacks && validator == 3 && j >= 6 - rivals;
                let own: Vec<f64> = (0..6)
                    .map(|j| if left_out(j) { 0.0 } else { 1.0 })
                    .collect();
                topic.weights[validator] = row(4, &own);
            }
            let outcome = topic.epoch();
            if epoch >= 20 {
                sum.0 += part(&outcome.settlement.shares, [3, 4]) / 20.0;
                sum.1 += part(&outcome.settlement.shares, [9]) / 20.0;
            }
        }
    }
    sums
}

#[test]
fn undervaluing_a_rival_costs_the_attacker_and_where_both_sides_count_not_the_rival() {
    println!("\n| undervaluing, 10 % of the stake | honest | attacker | gain | the rival's loss |");
    println!("|---|---|---|---|---|");
    let lenient = |params: Params| Params {
        bonds_penalty: 0,
        ..params
    };
    for (name, params) in [
        ("Yuma 2 (anchor)", Params::default()),
        ("Yuma 3 (anchor)", three()),
        ("Yuma 3, bonds penalty 0 (anchor)", lenient(three())),
        (
            "Yuma 3, bonds penalty 0, two-sided",
            lenient(two_sided(three())),
        ),
        ("Yuma 3, two-sided", two_sided(three())),
    ] {
        for rivals in [1, 5] {
            let [honest, attack] = undervaluing(&params, rivals);
            let (gain, harm) = (attack.0 - honest.0, honest.1 - attack.1);
            println!(
                "| {rivals} of five rivals, {name} | {:.2} % | {:.2} % | {:+.2} % | {:.2} % |",
                100.0 * honest.0,
                100.0 * attack.0,
                100.0 * gain,
                100.0 * harm
            );
            if params.two_sided {
                assert!(gain < 0.0 && harm < 1e-6, "{name}: {gain} {harm}");
            } else {
                assert!(harm > 0.001, "{name}: {harm}");
            }
        }
    }
}

/// What the holder of a tenth of the stake and of one of four equal workers earns from one slot
/// each, and from `parts` of each; `alert` validators share one weight among clones.
fn splitting(params: &Params, parts: usize, alert: bool) -> (f64, f64) {
    let mut results = [0.0; 2];
    for (parts, result) in [1, parts].into_iter().zip(&mut results) {
        let mut stake = vec![450u128, 450];
        stake.extend(vec![100 / parts as u128; parts]);
        let validators = stake.len();
        let mut topic = Topic::new(params.clone(), &stake, 3 + parts);
        let clone = if alert { 1.0 / parts as f64 } else { 1.0 };
        let values: Vec<f64> = (0..3 + parts)
            .map(|j| if j < 3 { 1.0 } else { clone })
            .collect();
        for epoch in 0..20 {
            for validator in 0..validators {
                topic.weights[validator] = row(validators, &values);
            }
            let outcome = topic.epoch();
            if epoch >= 10 {
                let own = (2..validators).chain(validators + 3..validators + 3 + parts);
                *result += part(&outcome.settlement.shares, own) / 10.0;
            }
        }
    }
    (results[0], results[1])
}

#[test]
fn splitting_stake_gains_nothing_and_cloned_workers_gain_what_validators_overlook() {
    println!("\n| splitting in Yuma | one | split | gain |\n|---|---|---|---|");
    for (name, alert) in [
        (
            "a validator and its worker in 4 slots each, clones overlooked",
            false,
        ),
        ("the same, validators share one weight among clones", true),
    ] {
        let (one, split) = splitting(&three(), 4, alert);
        print(name, one, split);
        if alert {
            assert!((split - one).abs() < 0.002, "{one} {split}");
        } else {
            assert!(split > one + 0.05, "{one} {split}");
        }
    }
    // A stake cap invites splitting: that is its price.
    let capped = Params {
        stake_cap: Some(32_767),
        ..three()
    };
    let split = |parts: usize| {
        let mut stake = vec![10u128; 4];
        stake.extend(vec![60 / parts as u128; parts]);
        let mut topic = Topic::new(capped.clone(), &stake, 1);
        let worker = stake.len() as u16;
        topic = topic.all_weigh(&[(worker, 1)]);
        (0..5).for_each(|_| drop(topic.epoch()));
        part(&topic.epoch().settlement.shares, 4..stake.len())
    };
    let (one, six) = (split(1), split(6));
    print(
        "60 % of the stake under a cap at the median, in 6 slots",
        one,
        six,
    );
    assert!(six > 2.0 * one);
}
