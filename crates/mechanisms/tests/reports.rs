//! What one reputer can do with false reports, by the mean of losses and by their median.
//!
//! `cargo test -p hallmark-mechanisms --test reports -- --nocapture --test-threads 1` prints the
//! tables. Four inferers know the truth to errors of 0.5 to 1.1; the fifth is the attacker's, knows
//! nothing and says 60 too much. Five honest reputers share the rest of the stake. All is seeded;
//! pay is the mean of the last 30 of 60 epochs, over six seeds.

use hallmark_fixed::Q64;
use hallmark_mechanisms::WHOLE;
use hallmark_mechanisms::synthesis::{
    Consensus, Inferences, Params, Predictions, Report, State, infer, median, settle,
    weighted_median,
};
use hallmark_mechanisms::wire::{self, Ctx, Entry, Kind, Limits, MOST_LOSS, PayloadError, Role};
use proptest::collection::vec;
use proptest::prelude::*;

fn q(x: f64) -> Q64 {
    Q64::from_bits(((x * (1u64 << 40) as f64) as i128) << 24)
}

fn f(x: Q64) -> f64 {
    x.to_bits() as f64 / 2f64.powi(64)
}

/// A generator of roughly normal numbers.
struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// What the attacker's reputer says.
#[derive(Clone, Copy)]
enum Lie {
    /// The truth, as the others.
    None,
    /// Losses by which its own worker is dear and all else harmful, of this size.
    Losses(Q64),
    /// As truth the very value that the network has without the best worker.
    Truth,
}

const ERRORS: [f64; 4] = [0.5, 0.7, 0.9, 1.1];
const BEST: usize = 0;
const OWN: usize = ERRORS.len();
const INFERERS: usize = ERRORS.len() + 1;
const HONEST_REPUTERS: usize = 5;
const EPOCHS: usize = 60;
const COUNTED: usize = 30;
/// Stakes are counted in parts of this.
const WHOLE_STAKE: u128 = 10u128.pow(15);
const PERCENT: u128 = WHOLE_STAKE / 100;
const DUST: u128 = 1;

fn report(params: &Params, lie: Lie, inferences: &Inferences, truth: Q64) -> Vec<Option<Q64>> {
    let layout = inferences.layout;
    let by = |truth: Q64| -> Vec<Option<Q64>> {
        let values = inferences.values.iter();
        values
            .map(|v| v.map(|v| params.squared_loss(v, truth)))
            .collect()
    };
    match lie {
        Lie::None => by(truth),
        Lie::Truth => by(inferences.at(layout.one_out(BEST)).unwrap()),
        Lie::Losses(size) => {
            let mut losses = by(truth);
            let others = (0..INFERERS)
                .filter(|&j| j != OWN)
                .map(|j| layout.one_out(j));
            let low = [layout.network(), layout.naive(), layout.worker(OWN)];
            for place in low.into_iter().chain(others) {
                losses[place] = Some(-size);
            }
            losses[layout.one_out(OWN)] = Some(size);
            losses
        }
    }
}

/// What a topic paid and said.
#[derive(Debug, Default)]
struct Pay {
    /// The best worker's part of what inferers get.
    best: f64,
    /// The attacker's worker's part of what inferers get.
    own: f64,
    /// What the attacker's worker and reputer get of everything.
    both: f64,
    /// Mean distance of the network's value from the truth.
    error: f64,
    /// Whether it ever left the range of the honest inferers.
    left: bool,
}

/// Plays with an attacker who has `part` 10^-15 of the stake, and honest reputers who see the truth
/// with deviation `noise`.
fn play(params: &Params, part: u128, noise: f64, what: Lie, seed: u64) -> Pay {
    const STAKE: u128 = 10u128.pow(27);
    let attackers = STAKE / WHOLE_STAKE * part;
    let honest = (STAKE - attackers) / HONEST_REPUTERS as u128;
    let mut chance = Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut state = State::new(INFERERS, 0, HONEST_REPUTERS + 1);
    let (mut truth, mut pay) = (100.0, Pay::default());
    for epoch in 0..EPOCHS {
        truth += 0.1 * chance.normal();
        let said: Vec<f64> = ERRORS.iter().map(|e| truth + e * chance.normal()).collect();
        let inferences = infer(params, &mut state, &predictions(&said, truth + 60.0)).unwrap();
        let mut report = |stake, what| Report {
            stake,
            losses: report(
                params,
                what,
                &inferences,
                q(truth + noise * chance.normal()),
            ),
        };
        let mut reports: Vec<Report> = (0..HONEST_REPUTERS)
            .map(|_| report(honest, Lie::None))
            .collect();
        reports.push(report(attackers, what));
        let outcome = settle(params, &mut state, &inferences, &reports).unwrap();
        if epoch < EPOCHS - COUNTED {
            continue;
        }
        let share = |slot: usize| outcome.settlement.shares[slot] as f64;
        let inferers: f64 = (0..INFERERS).map(share).sum();
        let reputer = share(INFERERS + HONEST_REPUTERS);
        pay.best += share(BEST) / inferers / COUNTED as f64;
        pay.own += share(OWN) / inferers / COUNTED as f64;
        pay.both += (share(OWN) + reputer) / WHOLE as f64 / COUNTED as f64;
        let value = f(inferences.at(inferences.layout.network()).unwrap());
        pay.error += (value - truth).abs() / COUNTED as f64;
        let above = said.iter().all(|&said| said < value);
        pay.left |= above || said.iter().all(|&said| said > value);
    }
    pay
}

fn predictions(honest: &[f64], own: f64) -> Predictions {
    let said = honest.iter().chain([&own]);
    Predictions {
        inferences: said.map(|&value| Some(q(value))).collect(),
        forecasts: vec![],
    }
}

/// Means over seeds.
fn mean(params: &Params, part: u128, noise: f64, what: Lie) -> Pay {
    const SEEDS: u64 = 6;
    let mut sum = Pay::default();
    for seed in 1..=SEEDS {
        let pay = play(params, part, noise, what, seed);
        sum.best += pay.best / SEEDS as f64;
        sum.own += pay.own / SEEDS as f64;
        sum.both += pay.both / SEEDS as f64;
        sum.error += pay.error / SEEDS as f64;
        sum.left |= pay.left;
    }
    sum
}

fn rule(consensus: Consensus) -> Params {
    Params {
        consensus,
        ..Params::default()
    }
}

/// Plays honestly and with a lie, and prints a row.
fn compare(consensus: Consensus, part: u128, noise: f64, name: &str, what: Lie) -> [Pay; 2] {
    let params = rule(consensus);
    let [honest, attack] = [Lie::None, what].map(|what| mean(&params, part, noise, what));
    let percent = part as f64 / WHOLE_STAKE as f64 * 100.0;
    let pair =
        |of: fn(&Pay) -> f64| format!("{:.2} → {:.2}", 100.0 * of(&honest), 100.0 * of(&attack));
    println!(
        "| {consensus:?} | {percent} % | {noise} | {name} | {} | {} | {} | {:.2} → {:.2} |",
        pair(|pay| pay.own),
        pair(|pay| pay.best),
        pair(|pay| pay.both),
        honest.error,
        attack.error
    );
    [honest, attack]
}

fn heading() {
    println!(
        "\n| rule | attacker's stake | honest reputers' error | lie | its worker, % of inferers' \
         | best worker, % of inferers' | its worker and reputer, % of all | network's error |\n\
         |---|---|---|---|---|---|---|---|"
    );
}

#[test]
fn by_the_mean_any_stake_takes_the_pay_and_the_value() {
    heading();
    let any = Lie::Losses("4e18".parse().unwrap());
    let bounded = Lie::Losses(MOST_LOSS);
    for part in [DUST, PERCENT, 10 * PERCENT, 40 * PERCENT] {
        let [_, attack] = compare(Consensus::Mean, part, 0.001, "losses, ±4e18", any);
        assert!(attack.own > 0.9 && attack.error > 50.0, "{attack:?}");
    }
    // The bound on losses alone is no remedy, nor is a truth instead of losses.
    for part in [PERCENT, 10 * PERCENT, 40 * PERCENT] {
        let [honest, attack] = compare(Consensus::Mean, part, 0.001, "losses, ±38.5", bounded);
        assert!(attack.own > 1.4 * honest.own, "{attack:?}");
    }
    for part in [PERCENT, 10 * PERCENT, 40 * PERCENT] {
        let name = "truth, the value without the best";
        let [honest, attack] = compare(Consensus::Mean, part, 0.001, name, Lie::Truth);
        assert!(attack.best < 0.85 * honest.best, "{attack:?}");
        assert!(part == PERCENT || attack.best < 0.05, "{attack:?}");
    }
}

const LIES: [(&str, Lie); 4] = [
    (
        "losses, ±4e18",
        Lie::Losses(Q64::from_int(4_000_000_000_000_000_000)),
    ),
    ("losses, ±38.5", Lie::Losses(MOST_LOSS)),
    ("losses, ±1", Lie::Losses(Q64::ONE)),
    ("truth, the value without the best", Lie::Truth),
];

#[test]
fn by_the_median_less_than_half_of_the_stake_takes_nothing() {
    heading();
    for part in [DUST, PERCENT, 10 * PERCENT, 40 * PERCENT, 49 * PERCENT] {
        for (name, what) in LIES {
            let [honest, attack] = compare(Consensus::Median, part, 0.001, name, what);
            assert!(attack.own < honest.own + 0.01, "{attack:?}");
            assert!(attack.best > honest.best - 0.01, "{attack:?}");
            assert!(attack.both < honest.both + 0.002, "{attack:?}");
            assert!(!attack.left, "{attack:?}");
        }
    }
}

/// What the median leaves: an attacker chooses, place by place, which of the honest is believed. If
/// these see the truth with half of the error of the best worker, 40 % of the stake lifts a worker,
/// though not the value, and costs about as much in the reputer's own pay.
#[test]
fn by_the_median_a_large_minority_chooses_among_what_the_honest_say() {
    heading();
    for part in [PERCENT, 10 * PERCENT, 40 * PERCENT] {
        for (name, what) in LIES {
            let [honest, attack] = compare(Consensus::Median, part, 0.3, name, what);
            assert!(
                part == 40 * PERCENT || attack.own < honest.own + 0.01,
                "{attack:?}"
            );
            assert!(attack.both < honest.both + 0.02, "{attack:?}");
            assert!(!attack.left, "{attack:?}");
        }
    }
}

#[test]
fn by_the_median_more_than_half_of_the_stake_takes_everything() {
    heading();
    let [honest, attack] = compare(
        Consensus::Median,
        60 * PERCENT,
        0.001,
        "losses, ±38.5",
        Lie::Losses(MOST_LOSS),
    );
    assert!(attack.own > 0.9 && attack.both > 2.0 * honest.both);
    assert!(attack.error > 50.0);
}

fn ints(values: &[i64]) -> Vec<Q64> {
    values.iter().map(|&value| Q64::from_int(value)).collect()
}

fn middle(values: &[i64], stakes: &[u128]) -> Option<String> {
    weighted_median(&ints(values), stakes).map(|value| value.to_string())
}

#[test]
fn the_median_by_stake_of_small_examples() {
    for (values, stakes, expected) in [
        // One voice, whatever its stake; three equal ones, in any order.
        (&[7][..], &[1][..], "7"),
        (&[7], &[u128::MAX], "7"),
        (&[3, 1, 2], &[5, 5, 5], "2"),
        // 1 | 2 | 3 with stakes 1, 1, 3: below 3 lie 2 of 5.
        (&[1, 2, 3], &[1, 1, 3], "3"),
        (&[1, 2, 3], &[2, 2, 1], "2"),
        // Exactly half on each side of a gap: its middle, also between negative numbers.
        (&[1, 2], &[4, 4], "1.5"),
        (&[9, 1, 5], &[1, 2, 1], "3"),
        (&[-4, -1], &[1, 1], "-2.5"),
        // Exactly half on one value, the rest above: not that value alone.
        (&[1, 2, 9, 9], &[3, 1, 1, 1], "1.5"),
        // Equal values are one.
        (&[4, 4, 9], &[1, 1, 2], "6.5"),
        (&[4, 4, 9, 9], &[1, 2, 1, 1], "4"),
        // Without stake nobody counts, not even as a neighbour of a gap.
        (&[-100, 1, 2, 3, 100], &[0, 2, 0, 2, 0], "2"),
    ] {
        let found = middle(values, stakes);
        assert_eq!(found.as_deref(), Some(expected), "{values:?} {stakes:?}");
    }
    assert_eq!(middle(&[1, 2], &[0, 0]), None);
    assert_eq!(middle(&[], &[]), None);
    // The ends of the range have a middle too, and the greatest stakes a sum.
    let ends = [Q64::MIN, Q64::MAX];
    let half = weighted_median(&ends, &[u128::MAX; 2]).unwrap();
    assert!(half.abs() <= Q64::from_bits(1), "{half}");
    assert_eq!(weighted_median(&ends, &[u128::MAX, 1]), Some(Q64::MIN));
}

proptest! {
    #[test]
    fn the_median_by_stake_is_the_median_of_every_unit_of_stake(
        voices in vec((-9i64..9, 0u128..6), 1..8)
    ) {
        let (values, stakes): (Vec<i64>, Vec<u128>) = voices.iter().copied().unzip();
        let mut units: Vec<Q64> = Vec::new();
        for &(value, stake) in &voices {
            units.extend((0..stake).map(|_| Q64::from_int(value)));
        }
        prop_assert_eq!(weighted_median(&ints(&values), &stakes), median(&units));
    }

    #[test]
    fn less_than_half_of_the_stake_moves_no_median_beyond_the_others(
        honest in vec((any::<i128>(), 1u128..1 << 90), 1..6),
        liars in vec((any::<i128>(), 1u128..1 << 90), 0..6),
    ) {
        let honest_stake: u128 = honest.iter().map(|voice| voice.1).sum();
        let liar_stake: u128 = liars.iter().map(|voice| voice.1).sum();
        prop_assume!(liar_stake < honest_stake);
        let (values, stakes): (Vec<Q64>, Vec<u128>) = honest
            .iter()
            .chain(&liars)
            .map(|&(bits, stake)| (Q64::from_bits(bits), stake))
            .unzip();
        let found = weighted_median(&values, &stakes).unwrap();
        let said = &values[..honest.len()];
        prop_assert!(said.iter().min().unwrap() <= &found && &found <= said.iter().max().unwrap());
    }
}

/// An epoch of the five inferers, and what three honest reputers who saw the truth 100 say of it.
fn agreed(params: &Params) -> (State, Inferences, Vec<Option<Q64>>) {
    let mut state = State::new(INFERERS, 0, 4);
    let said = predictions(&[100.5, 99.0, 101.0, 98.0], 160.0);
    let inferences = infer(params, &mut state, &said).unwrap();
    let losses = report(params, Lie::None, &inferences, q(100.0));
    (state, inferences, losses)
}

#[test]
fn where_the_honest_agree_a_minority_changes_no_loss_and_no_score() {
    let params = rule(Consensus::Median);
    let (state, inferences, losses) = agreed(&params);
    let honest = Report { stake: 2, losses };
    let decide = |last: Report| {
        let reports = [honest.clone(), honest.clone(), honest.clone(), last];
        let mut state = state.clone();
        let outcome = settle(&params, &mut state, &inferences, &reports).unwrap();
        (outcome, state)
    };
    let (alone, after) = decide(Report::default());
    assert_eq!(alone.losses, honest.losses);
    for (_, what) in LIES {
        let lie = Report {
            stake: 5,
            losses: report(&params, what, &inferences, q(100.0)),
        };
        let (outcome, state) = decide(lie);
        assert_eq!(outcome.losses, alone.losses);
        assert_eq!(outcome.worker_scores, alone.worker_scores);
        assert_eq!(state.regrets, after.regrets);
        // The honest are at the consensus, which scores 100; the liar is far from it.
        let scores: Vec<f64> = outcome
            .reputer_scores
            .iter()
            .map(|s| f(s.unwrap()))
            .collect();
        assert!(
            scores[..3]
                .iter()
                .all(|&score| (score - 100.0).abs() < 1e-9)
        );
        assert!(scores[3] < 5.0, "{scores:?}");
        // Nobody is listened to less than its stake.
        assert_eq!(state.listening, vec![Q64::ONE; 4]);
    }
}

#[test]
fn a_minority_gains_no_hearing_by_splitting_into_many_reputers() {
    let params = rule(Consensus::Median);
    let mut state = State::new(INFERERS, 0, 6);
    let said = predictions(&[100.5, 99.0, 101.0, 98.0], 160.0);
    let inferences = infer(&params, &mut state, &said).unwrap();
    let of = |stake, what| Report {
        stake,
        losses: report(&params, what, &inferences, q(100.0)),
    };
    let mut reports = vec![of(60, Lie::None)];
    reports.extend((0..5).map(|_| of(8, Lie::Losses(Q64::ONE))));
    let outcome = settle(&params, &mut state, &inferences, &reports).unwrap();
    assert_eq!(outcome.losses, reports[0].losses);
    let fractions: Vec<f64> = outcome.fractions[INFERERS..]
        .iter()
        .map(|fraction| f(fraction.unwrap()))
        .collect();
    assert!(fractions[0] > 0.95, "{fractions:?}");
}

#[test]
fn who_leaves_a_loss_out_or_has_no_stake_is_not_heard() {
    let params = rule(Consensus::Median);
    let (state, inferences, losses) = agreed(&params);
    let settle =
        |reports: &[Report]| settle(&params, &mut state.clone(), &inferences, reports).unwrap();
    let single = Report { stake: 1, losses };
    let silent = Report::default;
    let alone = settle(&[single.clone(), silent(), silent(), silent()]);
    assert_eq!(alone.losses, single.losses);
    let mut partial = report(&params, Lie::Losses(MOST_LOSS), &inferences, q(100.0));
    partial[inferences.layout.naive()] = None;
    let partial = Report {
        stake: 1_000,
        losses: partial,
    };
    let unstaked = Report {
        stake: 0,
        losses: report(&params, Lie::Losses(MOST_LOSS), &inferences, q(100.0)),
    };
    let same = settle(&[single.clone(), partial, unstaked.clone(), silent()]);
    assert_eq!(same, alone);
    // With nobody else there is no consensus, and nothing is paid.
    let none = settle(&[unstaked.clone(), unstaked, silent(), silent()]);
    assert!(!none.settlement.pays());
}

#[test]
fn a_place_where_the_epoch_has_no_value_has_no_median() {
    let params = rule(Consensus::Median);
    let mut state = State::new(3, 0, 2);
    let said = Predictions {
        inferences: vec![Some(Q64::from_int(99)), None, Some(Q64::from_int(102))],
        forecasts: vec![],
    };
    let inferences = infer(&params, &mut state, &said).unwrap();
    let reports = [100.0, 101.0].map(|truth| Report {
        stake: 1,
        losses: inferences
            .values
            .iter()
            .map(|v| v.map(|v| params.squared_loss(v, q(truth))))
            .collect(),
    });
    let outcome = settle(&params, &mut state, &inferences, &reports).unwrap();
    for (place, loss) in outcome.losses.iter().enumerate() {
        let said = reports.each_ref().map(|report| report.losses[place]);
        let [Some(a), Some(b)] = said else {
            assert_eq!(*loss, None);
            continue;
        };
        let half = Q64::from_ratio(1, 2);
        let distance = loss.unwrap() - (a * half + b * half);
        assert!(distance.abs() <= Q64::from_bits(2), "{place} {distance}");
    }
    assert_eq!(outcome.losses.iter().flatten().count(), 6);
}

#[test]
fn an_error_below_the_tolerance_is_as_good_as_the_tolerance() {
    let close = |loss: Q64, expected: f64| assert!((f(loss) - expected).abs() < 1e-6, "{loss}");
    let params = |tolerance: &str| Params {
        tolerance: tolerance.parse().unwrap(),
        ..Params::default()
    };
    let (value, near) = (q(100.0), q(100.0009765625));
    close(params("0.01").squared_loss(value, value), -4.0);
    close(params("0.01").squared_loss(near, value), -4.0);
    close(params("0.01").squared_loss(q(101.0), value), 0.0);
    close(params("0.0001").squared_loss(near, value), -6.0205999);
    close(Params::default().squared_loss(value, value), -19.2659197);
    // No tolerance is none: the least step of a number stands for it.
    for tolerance in ["0", "-1"] {
        let least = params(tolerance).squared_loss(value, value);
        assert!(least + MOST_LOSS < Q64::from_bits(1 << 16), "{least}");
    }
}

fn entry(slot: usize, role: Role, stake: u128, payload: &[u8]) -> Entry<'_> {
    Entry {
        slot: slot as u16,
        role,
        stake,
        registered_ms: 1,
        submitted_ms: 2,
        fresh: true,
        payload: Some(payload),
        paid: true,
        proven: None,
    }
}

#[test]
fn a_topic_on_a_chain_refuses_what_is_no_loss_and_takes_the_median() {
    let limits = Limits {
        workers: 5,
        forecasters: 0,
        reputers: 4,
        ..Limits::default()
    };
    let (params, kind) = (rule(Consensus::Median), Kind::Synthesis);
    let said = [100.5, 99.0, 101.0, 98.0, 160.0].map(|value| wire::encode_inference(q(value)));
    let workers: Vec<Entry<'_>> = (0..5)
        .map(|slot| entry(slot, Role::Worker, 0, &said[slot][..]))
        .collect();
    let inferred = wire::infer(&[], &limits, &[], &workers).unwrap();
    let inferences = wire::decode_pending(&inferred.pending).unwrap();
    let lies =
        |size| wire::encode_losses(&report(&params, Lie::Losses(size), &inferences, q(100.0)));
    let check = |payload: &[u8]| wire::check_payload(kind, Role::Reputer, &limits, payload);
    assert!(matches!(
        check(&lies("4e18".parse().unwrap())),
        Err(PayloadError::OutOfRange { .. })
    ));
    let (truth, lie) = (wire::encode_truth(q(100.0)), lies(MOST_LOSS));
    check(&lie).unwrap();
    let decide = |last: &[u8]| {
        let mut entries = workers.clone();
        entries.extend((5..8).map(|slot| entry(slot, Role::Reputer, 2, &truth)));
        entries.push(entry(8, Role::Reputer, 5, last));
        let (memory, pending) = (&inferred.memory, &inferred.pending);
        wire::settle(
            kind,
            &[],
            &limits,
            memory,
            pending,
            &Ctx::default(),
            &entries,
        )
        .unwrap()
    };
    let (honest, attack) = (decide(&truth), decide(&lie));
    assert_eq!(attack.scores[..5], honest.scores[..5]);
    let own = |shares: &[u64]| shares[OWN] as f64 / shares[..5].iter().sum::<u64>() as f64;
    assert!((own(&attack.shares) - own(&honest.shares)).abs() < 1e-6);
}
