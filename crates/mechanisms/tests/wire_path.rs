//! A topic that lives in bytes decides exactly what the mechanisms decide on vectors.

use hallmark_fixed::Q64;
use hallmark_mechanisms::wire::{self, Ctx, Entry, Kind, Limits, Params, Role};
use hallmark_mechanisms::yuma::{self, Epoch, Row, State};
use hallmark_mechanisms::{Settlement, simulate};
use std::fmt::Write;

/// A linear congruential generator.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn explained(settlement: &Settlement) -> Vec<(String, Vec<Q64>)> {
    let columns = settlement.explanation.iter();
    columns
        .map(|c| (c.name.to_string(), c.values.clone()))
        .collect()
}

/// 12 slots over 40 epochs; every few epochs a slot has a new holder, and not everyone speaks.
fn yuma_in_bytes_equals_yuma_in_vectors(json: &str) {
    const SLOTS: u16 = 12;
    let limits = Limits {
        workers: SLOTS,
        ..Limits::default()
    };
    let params = Params::from_json(Kind::Yuma, json).unwrap();
    let bytes = params.encode();
    wire::check_params(Kind::Yuma, &bytes, &limits).unwrap();
    let Params::Yuma(rules) = params else {
        panic!()
    };
    let (epoch_ms, mut numbers) = (60_000, Numbers(json.len() as u64));
    let rules = yuma::Params {
        activity_cutoff: epoch_ms * 13_889 / 1_000,
        tempo: epoch_ms,
        ..rules
    };
    let slots = usize::from(SLOTS);
    let mut state = State::empty(slots);
    let (mut registered, mut submitted) = (vec![1u64; slots], vec![0u64; slots]);
    let mut weights = vec![Row::new(); slots];
    let mut memory = wire::empty_memory(Kind::Yuma, &bytes, &limits);
    let mut last = 0;
    for epoch in 1..=40u64 {
        let now = epoch * epoch_ms;
        let stake: Vec<u128> = (0..slots as u64)
            .map(|slot| u128::from(numbers.below(1 << 40)) * 10u128.pow(15) * u128::from(slot < 7))
            .collect();
        if epoch % 5 == 0 {
            let slot = numbers.below(u64::from(SLOTS)) as usize;
            memory = wire::forget(
                Kind::Yuma,
                &bytes,
                &limits,
                &memory,
                slot as u16,
                Role::Worker,
            );
            state.permits[slot] = false;
            state.bonds[slot].clear();
            state.reset_bonds(slot as u16);
            (registered[slot], submitted[slot]) = (now - 40_000, 0);
            weights[slot].clear();
        }
        for slot in 0..7 {
            if numbers.below(4) > 0 {
                let row = (0..SLOTS).filter_map(|j| {
                    let weight = numbers.below(65_536) as u16;
                    (numbers.below(3) > 0).then_some((j, weight))
                });
                weights[slot] = row.collect();
                submitted[slot] = now - 30_000;
            }
        }
        let payloads: Vec<Vec<u8>> = weights
            .iter()
            .map(|row| wire::encode_weights(row))
            .collect();
        let entry = |slot: usize| Entry {
            slot: slot as u16,
            role: Role::Worker,
            stake: stake[slot],
            registered_ms: registered[slot],
            submitted_ms: submitted[slot],
            fresh: submitted[slot] == now - 30_000,
            payload: (submitted[slot] > 0).then_some(&payloads[slot][..]),
            paid: true,
            proven: None,
        };
        let entries: Vec<Entry<'_>> = (0..slots).map(entry).collect();
        let ctx = Ctx {
            now_ms: now,
            last_settled_ms: last,
            epoch_ms,
        };
        let decision =
            wire::settle(Kind::Yuma, &bytes, &limits, &memory, &[], &ctx, &entries).unwrap();
        let epoch = Epoch {
            block: now,
            last_step_block: last,
            stake: &stake,
            last_update: &submitted,
            registered: &registered,
            weights: &weights,
            commitments: &[],
        };
        let outcome = yuma::settle(&rules, &epoch, &mut state).unwrap();
        assert_eq!(decision.shares, outcome.settlement.shares);
        assert_eq!(decision.scores, outcome.settlement.scores);
        assert_eq!(decision.permits, state.permits);
        let columns = wire::decode_explanation(&decision.explanation, slots).unwrap();
        assert_eq!(columns, explained(&outcome.settlement));
        if now > 2 * epoch_ms {
            assert!(outcome.incentive.iter().any(|i| i.to_bits() > 0));
        }
        (memory, last) = (decision.memory, now);
    }
}

#[test]
fn yuma_two_over_forty_epochs_with_changing_holders() {
    yuma_in_bytes_equals_yuma_in_vectors("{}");
}

#[test]
fn yuma_three_with_liquid_alpha_over_forty_epochs_with_changing_holders() {
    yuma_in_bytes_equals_yuma_in_vectors(
        r#"{"yuma3": true, "liquid_alpha": true, "bonds_penalty": 30000, "max_validators": 5}"#,
    );
}

#[test]
fn yuma_with_our_own_rules_over_forty_epochs_with_changing_holders() {
    yuma_in_bytes_equals_yuma_in_vectors(
        r#"{"yuma3": true, "two_sided": true, "stake_cap": 57671, "pay_idle": false, "owner_uid": 2}"#,
    );
}

#[test]
fn a_free_slot_earns_nothing_whatever_validators_say() {
    let limits = Limits {
        workers: 4,
        ..Limits::default()
    };
    let row = wire::encode_weights(&[(1, 50), (2, 50)]);
    let entry = |slot, stake, payload| Entry {
        slot,
        role: Role::Worker,
        stake,
        registered_ms: 1,
        submitted_ms: 2,
        fresh: true,
        payload,
        paid: true,
        proven: None,
    };
    let entries = [entry(0, 9, Some(&row[..])), entry(1, 0, None)];
    let mut memory = Vec::new();
    for now_ms in [3, 4, 5] {
        let ctx = Ctx {
            now_ms,
            last_settled_ms: now_ms - 1,
            epoch_ms: 1,
        };
        let settle = wire::settle(Kind::Yuma, &[], &limits, &memory, &[], &ctx, &entries);
        let decision = settle.unwrap();
        // Nobody has a permit in the first.
        let paid = if now_ms == 3 { 0 } else { 1_000_000_000 };
        assert_eq!(decision.shares.iter().sum::<u64>(), paid);
        memory = decision.memory;
        if now_ms == 5 {
            assert_eq!(decision.shares, [500_000_000, 500_000_000]);
        }
    }
}

/// What two workers get of their class from 256 equal validators of whom a contract reads 64, those
/// with permits first. All weigh the workers three to one, but for one of those who are read, who
/// gives everything to the second.
fn incentives_where_one_of_the_read_lies(permits: usize) -> [f64; 2] {
    const VALIDATORS: usize = 256;
    const READ: usize = 64;
    let slots = VALIDATORS + 2;
    let rules = yuma::Params {
        max_validators: permits,
        tempo: 10,
        ..yuma::Params::default()
    };
    let mut stake = vec![10u128; VALIDATORS];
    stake.extend([0, 0]);
    let mut state = State::empty(slots);
    let mut last = [0.0; 2];
    for block in [100, 110, 120] {
        let mut order: Vec<usize> = (0..VALIDATORS).collect();
        order.sort_by_key(|&slot| (!state.permits[slot], slot));
        let mut weights = vec![Row::new(); slots];
        for (rank, &slot) in order.iter().take(READ).enumerate() {
            weights[slot] = match rank {
                0 => vec![(257, 1)],
                _ => vec![(256, 3), (257, 1)],
            };
        }
        let epoch = Epoch {
            block,
            last_step_block: block - 10,
            stake: &stake,
            last_update: &vec![block - 1; slots],
            registered: &vec![0; slots],
            weights: &weights,
            commitments: &[],
        };
        let outcome = yuma::settle(&rules, &epoch, &mut state).unwrap();
        last = [256, 257].map(|slot| outcome.incentive[slot].to_bits() as f64 / 2f64.powi(32));
    }
    last
}

#[test]
fn there_are_no_more_permits_than_rows_that_a_contract_reads() {
    // With as many permits as rows, one liar of 64 takes nothing from the first worker.
    let [first, second] = incentives_where_one_of_the_read_lies(wire::MAX_PERMITS);
    assert!((first - 0.747).abs() < 0.002, "{first} {second}");
    // With twice as many it decides alone; with more nobody does.
    assert_eq!(incentives_where_one_of_the_read_lies(128)[0], 0.0);
    assert_eq!(incentives_where_one_of_the_read_lies(256), [0.0; 2]);
    for permits in [65, 128, 256] {
        let rules = yuma::Params {
            max_validators: permits,
            activity_cutoff: 0,
            ..yuma::Params::default()
        };
        let bytes = Params::Yuma(rules).encode();
        let limits = Limits {
            workers: 256,
            ..Limits::default()
        };
        let refused = wire::check_params(Kind::Yuma, &bytes, &limits).unwrap_err();
        assert!(refused.contains("max_validators"), "{refused}");
    }
}

/// The shares of every epoch of the only case.
fn shares(output: &str) -> Vec<Vec<u64>> {
    let output: serde_json::Value = serde_json::from_str(output).unwrap();
    let epochs = output[0]["epochs"].as_array().unwrap().iter();
    epochs
        .map(|epoch| {
            let shares = epoch["shares"].as_array().unwrap().iter();
            shares.map(|share| share.as_u64().unwrap()).collect()
        })
        .collect()
}

#[test]
fn synthesis_over_thirty_epochs_with_changing_holders() {
    const SIZES: [usize; 3] = [5, 2, 3];
    let [workers, forecasters, reputers] = SIZES;
    let all = workers + forecasters + reputers;
    let limits = Limits {
        workers: 5,
        forecasters: 2,
        reputers: 3,
        ..Limits::default()
    };
    let mut numbers = Numbers(11);
    // Numbers that decimal text holds exactly.
    let part = |n: u64| (n as f64 / 1024.0, Q64::from_ratio(u128::from(n), 1024));
    let (mut epochs, mut memory, mut decided) = (Vec::new(), Vec::new(), Vec::new());
    for epoch in 0..30 {
        let mut payloads: Vec<Option<Vec<u8>>> = vec![None; all];
        let (mut inferences, mut forecasts, mut reports) = (vec![], vec![], vec![]);
        for place in &mut payloads[..workers] {
            if numbers.below(5) == 0 {
                inferences.push("null".to_string());
            } else {
                let (text, value) = part(numbers.below(4_096));
                inferences.push(text.to_string());
                *place = Some(wire::encode_inference(value));
            }
        }
        for place in &mut payloads[workers..workers + forecasters] {
            let (mut row, mut texts) = (vec![], vec![]);
            for slot in 0..workers as u16 {
                if numbers.below(4) == 0 {
                    texts.push("null".to_string());
                } else {
                    let (text, value) = part(numbers.below(4_096));
                    texts.push(text.to_string());
                    row.push((slot, value));
                }
            }
            forecasts.push(format!("[{}]", texts.join(",")));
            *place = Some(wire::encode_forecast(&row));
        }
        let mut stakes = vec![0; all];
        for m in 0..reputers {
            let slot = workers + forecasters + m;
            stakes[slot] = 10u128.pow(27) * u128::from(1 + numbers.below(9));
            let (text, value) = part(2_048 + numbers.below(64));
            if numbers.below(6) > 0 {
                payloads[slot] = Some(wire::encode_truth(value));
                reports.push(format!(r#"{{"stake":{},"truth":{text}}}"#, stakes[slot]));
            } else {
                reports.push(format!(r#"{{"stake":{}}}"#, stakes[slot]));
            }
        }
        let mut reset = Vec::new();
        if epoch % 7 == 6 {
            let slot = numbers.below((workers + forecasters) as u64) as u16;
            memory = wire::forget(Kind::Synthesis, &[], &limits, &memory, slot, Role::Worker);
            reset.push(slot);
        }
        let mut text = String::new();
        write!(
            text,
            r#"{{"inferences":[{}],"forecasts":[{}],"reports":[{}],"reset_workers":{reset:?}}}"#,
            inferences.join(","),
            forecasts.join(","),
            reports.join(",")
        )
        .unwrap();
        epochs.push(text);

        let entry = |slot: usize| Entry {
            slot: slot as u16,
            role: if slot < workers {
                Role::Worker
            } else if slot < workers + forecasters {
                Role::Forecaster
            } else {
                Role::Reputer
            },
            stake: stakes[slot],
            registered_ms: 1,
            submitted_ms: 2,
            fresh: payloads[slot].is_some(),
            payload: payloads[slot].as_deref(),
            paid: true,
            proven: None,
        };
        let entries: Vec<Entry<'_>> = (0..all).map(entry).collect();
        for entry in &entries {
            if let Some(payload) = entry.payload {
                wire::check_payload(Kind::Synthesis, entry.role, &limits, payload).unwrap();
            }
        }
        let inferred = wire::infer(&[], &limits, &memory, &entries).unwrap();
        let (kind, ctx) = (Kind::Synthesis, Ctx::default());
        let decision = wire::settle(
            kind,
            &[],
            &limits,
            &inferred.memory,
            &inferred.pending,
            &ctx,
            &entries,
        )
        .unwrap();
        let value = inferred.output.map(|output| output.value.to_string());
        decided.push((decision.shares, value));
        memory = decision.memory;
    }
    let case = format!(
        r#"{{"mechanism":"synthesis","params":{{"consensus":"median"}},"inferers":5,"forecasters":2,"reputers":3,"epochs":[{}]}}"#,
        epochs.join(",")
    );
    let output = simulate(&case).unwrap().json;
    let expected = shares(&output);
    for (epoch, ((shares, value), expected)) in decided.iter().zip(&expected).enumerate() {
        assert_eq!(shares, expected, "epoch {epoch}");
        let value = value.as_ref().unwrap();
        assert!(
            output.contains(&format!(r#""network_inference":{value}"#)),
            "epoch {epoch}"
        );
    }
    assert!(
        decided
            .iter()
            .filter(|(shares, _)| shares.iter().sum::<u64>() > 0)
            .count()
            > 25
    );
}

fn voice(slot: u16, role: Role, payload: &[u8]) -> Entry<'_> {
    Entry {
        slot,
        role,
        stake: 5,
        registered_ms: 1,
        submitted_ms: 2,
        fresh: true,
        payload: Some(payload),
        paid: true,
        proven: None,
    }
}

#[test]
fn losses_of_a_report_decide_as_the_truth_that_they_come_from() {
    let limits = Limits {
        workers: 2,
        forecasters: 0,
        reputers: 1,
        ..Limits::default()
    };
    let values = [Q64::from_int(20), Q64::from_int(24)];
    let said = values.map(wire::encode_inference);
    let inferers = [
        voice(0, Role::Worker, &said[0][..]),
        voice(1, Role::Worker, &said[1][..]),
    ];
    let inferred = wire::infer(&[], &limits, &[], &inferers).unwrap();
    let inferences = wire::decode_pending(&inferred.pending).unwrap();
    let truth = wire::encode_truth(Q64::from_int(21));
    let losses = wire::decode_report(&truth).unwrap();
    let Params::Synthesis(rules) = Params::defaults(Kind::Synthesis) else {
        panic!()
    };
    let losses = losses.losses(&rules, &inferences);
    let losses = wire::encode_losses(&losses);
    let decide = |report: &[u8]| {
        let entries = [inferers[0], inferers[1], voice(2, Role::Reputer, report)];
        let (memory, pending, ctx) = (&inferred.memory, &inferred.pending, Ctx::default());
        wire::settle(
            Kind::Synthesis,
            &[],
            &limits,
            memory,
            pending,
            &ctx,
            &entries,
        )
        .unwrap()
    };
    let decision = decide(&losses);
    assert_eq!(decision, decide(&truth));
    assert!(decision.shares[0] > decision.shares[1]);
}

#[test]
fn score_over_twenty_epochs_with_changing_holders() {
    let limits = Limits {
        workers: 5,
        ..Limits::default()
    };
    let mut numbers = Numbers(3);
    let (mut epochs, mut decided, mut memory) = (vec![], vec![], vec![]);
    for _ in 0..20 {
        let model = [7u8; 32];
        let mut texts = Vec::new();
        let mut entries = Vec::new();
        for slot in 0..5u16 {
            let proven = (numbers.below(4) > 0).then(|| (numbers.below(33) as u32, 32));
            texts.push(proven.map_or("null".to_string(), |(correct, _)| {
                let metric = f64::from(correct) / 32.0;
                let paid = correct > 0;
                format!(r#"{{"metric":{metric},"level":"proven","paid":{paid}}}"#)
            }));
            entries.push(Entry {
                slot,
                role: Role::Worker,
                stake: 0,
                registered_ms: 1,
                submitted_ms: 2,
                fresh: true,
                payload: Some(&model[..]),
                paid: true,
                proven,
            });
        }
        epochs.push(format!(r#"{{"submissions":[{}]}}"#, texts.join(",")));
        let ctx = Ctx::default();
        let decision = wire::settle(Kind::Score, &[], &limits, &memory, &[], &ctx, &entries);
        let decision = decision.unwrap();
        memory = decision.memory;
        decided.push(decision.shares);
    }
    let epochs = epochs.join(",");
    let params = r#"{"temperature":0.001}"#;
    let case = format!(r#"{{"mechanism":"score","params":{params},"epochs":[{epochs}]}}"#);
    assert_eq!(decided, shares(&simulate(&case).unwrap().json));
    // A new holder has no past.
    let forgotten = wire::forget(Kind::Score, &[], &limits, &memory, 4, Role::Worker);
    assert!(forgotten.len() < memory.len());
}

/// Why `gain_only` is not a topic's default: where one worker alone helps, its class has no entropy, and
/// everything goes to the reputers.
#[test]
fn under_gain_only_a_worker_who_alone_helps_is_paid_nothing() {
    let limits = Limits {
        workers: 2,
        forecasters: 0,
        reputers: 1,
        ..Limits::default()
    };
    let said = [20, 24].map(|value| wire::encode_inference(Q64::from_int(value)));
    let truth = wire::encode_truth(Q64::from_int(21));
    let entries = [
        voice(0, Role::Worker, &said[0][..]),
        voice(1, Role::Worker, &said[1][..]),
        voice(2, Role::Reputer, &truth[..]),
    ];
    let shares = |params: &[u8]| {
        let inferred = wire::infer(params, &limits, &[], &entries).unwrap();
        let (memory, pending, ctx) = (&inferred.memory, &inferred.pending, Ctx::default());
        let kind = Kind::Synthesis;
        let decision = wire::settle(kind, params, &limits, memory, pending, &ctx, &entries);
        decision.unwrap().shares
    };
    let gain_only = Params::from_json(Kind::Synthesis, r#"{"gain_only": true}"#).unwrap();
    assert_eq!(shares(&gain_only.encode()), [0, 0, 1_000_000_000]);
    let by_default = shares(&[]);
    assert!(by_default[0] > 100_000_000, "{by_default:?}");
}
