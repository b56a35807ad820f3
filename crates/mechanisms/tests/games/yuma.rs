//! Weight copying, cartels, undervaluing a rival, splitting.

use crate::topic::Topic;
use crate::{Chance, Seeds, part, print, print_seeds};
use hallmark_mechanisms::wire::{self, Kind};
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

/// What a topic on a chain has if its creator says nothing; time is in blocks here.
fn here() -> Params {
    let wire::Params::Yuma(params) = wire::Params::defaults(Kind::Yuma) else {
        unreachable!("defaults of Yuma");
    };
    Params {
        activity_cutoff: Params::default().activity_cutoff,
        ..params
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
        ("a topic's defaults", here()),
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
    cartel_of_all(params, stake, attacks, seed).0
}

/// The same, and what everybody earns together: nothing in an epoch that pays nobody.
fn cartel_of_all(params: &Params, stake: u128, attacks: bool, seed: u64) -> (f64, f64) {
    let mut chance = Chance::new(seed);
    let honest = (100 - stake) / 2;
    let stakes = [honest, 100 - stake - honest, stake - 9, 9];
    let mut topic = Topic::new(params.clone(), &stakes, 8);
    let (mut earned, mut all) = (0.0, 0.0);
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
            all += part(&outcome.settlement.shares, 0..12) / 20.0;
        }
    }
    (earned, all)
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
        ("a topic's defaults (kappa 0.55)", here()),
    ];
    for (name, params) in &rules {
        let [minority, majority, most] = [40, 51, 61].map(|stake| {
            let [honest, attack] =
                [false, true].map(|attacks| Seeds::of(|seed| cartel(params, stake, attacks, seed)));
            print_seeds(&format!("{stake} % of the stake, {name}"), &honest, &attack)
        });
        assert!(most.least() > 0.5, "61 % is above every threshold: {name}");
        if params.kappa == 32_767 {
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

/// What all others earn while a cartel of `stake` percent attacks.
fn others(params: &Params, stake: u128) -> Seeds {
    let of = |seed| {
        let (cartel, all) = cartel_of_all(params, stake, true, seed);
        all - cartel
    };
    Seeds::of(of)
}

#[test]
fn under_a_topics_defaults_two_fifths_hinder_nobody_and_half_can_only_hinder() {
    println!("\n| a cartel under a topic's defaults | what all others earn |\n|---|---|");
    let earned = [40, 44, 46, 51, 54, 56].map(|stake| {
        let earned = others(&here(), stake);
        println!(
            "| {stake} % of the stake | {:.2} % |",
            100.0 * earned.mean()
        );
        let (cartel, _) = cartel_of_all(&here(), stake, true, 0);
        assert_eq!(cartel > 0.0, stake > 55, "{stake}: {cartel}");
        earned
    });
    for (index, earned) in earned.iter().enumerate() {
        let paid = if index < 2 { 1.0 } else { 0.0 };
        assert!((earned.mean() - paid).abs() < 1e-6, "{index}: {earned:?}");
    }
}

/// A validator of exactly the threshold is a majority: what it says is the consensus.
#[test]
fn a_cartel_of_exactly_the_threshold_is_one_above_it() {
    println!("\n| a cartel of exactly the threshold | it | all others |\n|---|---|---|");
    let three = three();
    for (name, params, stake) in [
        ("50 %, Yuma 3, kappa 0.5 (anchor)", &three, 50),
        ("45 %, a topic's defaults", &here(), 45),
        ("55 %, a topic's defaults", &here(), 55),
    ] {
        let of = Seeds::of(|seed| cartel_of_all(params, stake, true, seed).0);
        let others = others(params, stake);
        println!(
            "| {name} | {:.2} % | {:.2} % |",
            100.0 * of.mean(),
            100.0 * others.mean()
        );
        match stake {
            // Each side's workers count as agreed on, and what both earn is by stake.
            50 => assert!((of.mean() - 0.5).abs() < 0.05, "{of:?}"),
            45 => assert!(of.greatest() < 1e-6 && others.least() > 0.999, "{of:?}"),
            _ => assert!(of.least() > 0.999 && others.greatest() < 1e-6, "{of:?}"),
        }
    }
}

/// The error of an honest reading, as a part of the quality.
const READING: f64 = 0.05;

/// Who undervalues whom: `liars` of ten equal validators, who have one of six equal workers, leave
/// `rivals` of the other five out.
#[derive(Clone, Copy)]
struct Undervaluing {
    liars: usize,
    rivals: usize,
}

/// What the liars and their worker earn, and what a rival earns. Everybody else reads the quality of
/// workers with an error of [`READING`], and so do the liars while they are honest.
fn undervaluing(params: &Params, game: Undervaluing, attacks: bool, seed: u64) -> (f64, f64) {
    const VALIDATORS: usize = 10;
    let mut chance = Chance::new(seed);
    let mut topic = Topic::new(params.clone(), &[10; VALIDATORS], 6);
    let mut earned = (0.0, 0.0);
    for epoch in 0..60 {
        for validator in 0..VALIDATORS {
            let mut own: Vec<f64> = (0..6).map(|_| 1.0 + READING * chance.normal()).collect();
            if attacks && validator < game.liars {
                own[6 - game.rivals..].fill(0.0);
            }
            topic.weights[validator] = row(VALIDATORS, &own);
        }
        let outcome = topic.epoch();
        if epoch >= 20 {
            let shares = &outcome.settlement.shares;
            earned.0 += part(shares, (0..game.liars).chain([VALIDATORS])) / 40.0;
            earned.1 += part(shares, [VALIDATORS + 5]) / 40.0;
        }
    }
    earned
}

#[test]
fn undervaluing_costs_the_liar_unless_bonds_forgive_and_two_sided_spares_the_rival() {
    println!(
        "\n| undervaluing | honest | liar | gain | of a seed | rival, honest | its gain | of a seed |\n\
         |---|---|---|---|---|---|---|---|"
    );
    let lenient = |params: Params| Params {
        bonds_penalty: 0,
        ..params
    };
    let play = |name: &str, params: &Params, game: Undervaluing| {
        let [honest, attack] = [false, true]
            .map(|attacks| Seeds::pair(|seed| undervaluing(params, game, attacks, seed)));
        let (gain, rival) = (attack.0.over(&honest.0), attack.1.over(&honest.1));
        println!(
            "| {} % of the stake, {} of five rivals, {name} | {:.2} % | {:.2} % | {} | {:.2} % | {} |",
            10 * game.liars,
            game.rivals,
            100.0 * honest.0.mean(),
            100.0 * attack.0.mean(),
            gain.cells(),
            100.0 * honest.1.mean(),
            rival.cells()
        );
        if params.two_sided {
            // Medians move among the honest readings: by a part of the error of one, or by two.
            let errors = if game.liars == 1 { 0.5 } else { 2.0 };
            let least = -errors * READING * honest.1.least();
            assert!(rival.least() > least, "{name}: {rival:?}");
            assert!(gain.greatest() < -0.004, "{name}");
        } else {
            let harm = if game.rivals == 1 { 0.006 } else { 0.001 };
            assert!(rival.greatest() < -harm, "{name}: {rival:?}");
            if params.bonds_penalty == 0 && game.rivals == 1 {
                assert!(gain.least() > 0.0005, "forgiven, it pays: {name}");
            } else {
                assert!(gain.greatest() < -0.003, "{name}");
            }
        }
        rival
    };
    for (name, params) in [
        ("Yuma 2 (anchor)", Params::default()),
        ("Yuma 3, bonds penalty 0 (anchor)", lenient(three())),
        (
            "Yuma 3, bonds penalty 0, two-sided",
            lenient(two_sided(three())),
        ),
    ] {
        for rivals in [1, 5] {
            play(name, &params, Undervaluing { liars: 1, rivals });
        }
    }
    for (liars, rivals) in [(1, 1), (1, 5), (4, 1), (4, 5)] {
        let game = Undervaluing { liars, rivals };
        let anchor = play("Yuma 3 (anchor)", &three(), game);
        let ours = play("Yuma 3, two-sided", &two_sided(three()), game);
        play("a topic's defaults", &here(), game);
        assert!(ours.mean() > anchor.mean() / 4.0, "{anchor:?} {ours:?}");
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
