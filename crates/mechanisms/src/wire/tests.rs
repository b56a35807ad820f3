//! Every encoding there and back, and against hostile bytes.

use super::*;
use crate::yuma::Row;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LIMITS: Limits = Limits {
    workers: 4,
    forecasters: 2,
    reputers: 2,
    value_min: Q64::ZERO,
    value_max: Q64::ZERO,
};
const KINDS: [Kind; 3] = [Kind::Yuma, Kind::Synthesis, Kind::Score];
const CTX: Ctx = Ctx {
    now_ms: 3_000,
    last_settled_ms: 2_000,
    epoch_ms: 1_000,
};

fn entry(slot: u16, role: Role, payload: &[u8]) -> Entry<'_> {
    Entry {
        slot,
        role,
        stake: 10 + u128::from(slot),
        registered_ms: 1,
        submitted_ms: 2_900,
        fresh: true,
        payload: Some(payload),
        paid: true,
        proven: Some((u32::from(slot), 4)),
    }
}

fn roles(kind: Kind) -> Vec<Role> {
    match kind {
        Kind::Yuma | Kind::Score => vec![Role::Worker; 4],
        Kind::Synthesis => vec![
            Role::Worker,
            Role::Worker,
            Role::Worker,
            Role::Worker,
            Role::Forecaster,
            Role::Forecaster,
            Role::Reputer,
            Role::Reputer,
        ],
    }
}

/// Payloads that every slot could have sent, varied by a number.
fn payloads(kind: Kind, number: i64) -> Vec<Vec<u8>> {
    let value = |offset: i64| Q64::from_int(number.rem_euclid(1_000) + offset);
    let payload = |(slot, role): (u16, Role)| match (kind, role) {
        (Kind::Yuma, _) => encode_weights(&[(2, 7 + slot), (3, number.unsigned_abs() as u16)]),
        (Kind::Score, _) => vec![slot as u8; 32],
        (_, Role::Worker) => encode_inference(value(i64::from(slot))),
        (_, Role::Forecaster) => encode_forecast(&[(0, value(1)), (2, value(-1))]),
        (_, Role::Reputer) => encode_truth(value(2)),
    };
    (0..).zip(roles(kind)).map(payload).collect()
}

fn entries(kind: Kind, payloads: &[Vec<u8>]) -> Vec<Entry<'_>> {
    let slots = (0..).zip(roles(kind)).zip(payloads);
    slots
        .map(|((slot, role), payload)| entry(slot, role, payload))
        .collect()
}

/// Memory after some epochs, and the last pending bytes.
fn run(kind: Kind, numbers: &[i64]) -> (Vec<u8>, Vec<u8>) {
    let (mut memory, mut pending) = (empty_memory(kind, &[], &LIMITS), Vec::new());
    for &number in numbers {
        let payloads = payloads(kind, number);
        let entries = entries(kind, &payloads);
        if kind == Kind::Synthesis {
            let inferred = infer(&[], &LIMITS, &memory, &entries).unwrap();
            (memory, pending) = (inferred.memory, inferred.pending);
        }
        let decision = settle(kind, &[], &LIMITS, &memory, &pending, &CTX, &entries).unwrap();
        memory = decision.memory;
    }
    (memory, pending)
}

/// Decodes memory and encodes it again.
fn again(kind: Kind, memory: &[u8]) -> Result<Vec<u8>, String> {
    match kind {
        Kind::Yuma => yuma::decode(memory).map(|state| yuma::encode(&state)),
        Kind::Synthesis => {
            synthesis::decode(memory, &LIMITS).map(|state| synthesis::encode(&state))
        }
        Kind::Score => score::decode(memory).map(|state| score::encode(&state)),
    }
}

fn encode_report(report: &ReportPayload) -> Vec<u8> {
    match report {
        ReportPayload::Truth(truth) => encode_truth(*truth),
        ReportPayload::Losses(losses) => encode_losses(losses),
    }
}

/// Whatever decodes is what its value encodes to.
fn all_decoders_are_canonical(bytes: &[u8]) {
    if let Ok(row) = decode_weights(bytes) {
        assert_eq!(encode_weights(&row), bytes);
    }
    if let Ok(value) = decode_inference(bytes) {
        assert_eq!(encode_inference(value), bytes);
    }
    if let Ok(losses) = decode_forecast(bytes) {
        assert_eq!(encode_forecast(&losses), bytes);
    }
    if let Ok(report) = decode_report(bytes) {
        assert_eq!(encode_report(&report), bytes);
    }
    if let Ok(samples) = test_set(bytes) {
        assert_eq!(encode_test_set(&samples).unwrap(), bytes);
    }
    if let Ok(inferences) = decode_pending(bytes) {
        assert_eq!(synthesis::encode_pending(&inferences), bytes);
    }
    if let Ok(columns) = decode_explanation(bytes, 3) {
        let parts = columns
            .iter()
            .map(|(name, values)| (name.as_str(), &values[..]));
        assert_eq!(encode_explanation(parts), bytes);
    }
    for kind in KINDS {
        if let Ok(params) = Params::decode(kind, bytes) {
            assert_eq!(params.encode(), bytes);
        }
        if let Ok(memory) = again(kind, bytes) {
            assert_eq!(memory, bytes);
        }
    }
}

/// Every entry point with these bytes in every place.
fn nothing_panics(bytes: &[u8]) {
    all_decoders_are_canonical(bytes);
    for kind in KINDS {
        for role in [Role::Worker, Role::Forecaster, Role::Reputer] {
            let _ = check_payload(kind, role, &LIMITS, bytes);
        }
        let _ = check_params(kind, bytes, &LIMITS);
        let hostile = vec![bytes.to_vec(); roles(kind).len()];
        let hostile = entries(kind, &hostile);
        let usual = payloads(kind, 3);
        let usual = entries(kind, &usual);
        let (memory, pending) = run(kind, &[1, 2]);
        for (params, memory, pending, entries) in [
            (bytes, &memory[..], &pending[..], &usual),
            (&[], bytes, &pending, &usual),
            (&[], &memory, bytes, &usual),
            (&[], &memory, &pending, &hostile),
        ] {
            let decision = settle(kind, params, &LIMITS, memory, pending, &CTX, entries);
            if let Ok(decision) = decision {
                let sum: u64 = decision.shares.iter().sum();
                assert!(sum == 0 || sum == WHOLE);
                assert!(again(kind, &decision.memory).is_ok());
            }
            let _ = infer(params, &LIMITS, memory, entries);
            for slot in [0, 5, 7, 8, u16::MAX] {
                let _ = forget(kind, params, &LIMITS, memory, slot, Role::Worker);
            }
        }
    }
}

fn number() -> impl Strategy<Value = Q64> {
    (any::<i128>(), 0u32..127).prop_map(|(bits, shift)| Q64::from_bits(bits >> shift))
}

fn yuma_params() -> impl Strategy<Value = Params> {
    let first = (any::<bool>(), any::<u16>(), any::<u16>(), 0u64..=1_000_000);
    let liquid = proptest::option::of((any::<u16>(), any::<u16>(), any::<i16>()));
    let flags = (
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(0u16..65_535),
    );
    let rest = (
        1usize..=MAX_PERMITS - 1,
        proptest::option::of(0u16..65_535),
        any::<u128>(),
        any::<u64>(),
    );
    (first, liquid, flags, rest).prop_map(|(first, liquid, flags, rest)| {
        Params::Yuma(crate::yuma::Params {
            version: if first.0 {
                crate::yuma::Version::Three
            } else {
                crate::yuma::Version::Two
            },
            kappa: first.1,
            bonds_penalty: first.2,
            bonds_moving_average: first.3,
            liquid_alpha: liquid.map(|(a, b, steepness)| crate::yuma::LiquidAlpha {
                low: a.min(b),
                high: a.max(b),
                steepness,
            }),
            absent_bonds: if flags.0 {
                crate::yuma::AbsentBonds::Decay
            } else {
                crate::yuma::AbsentBonds::Drop
            },
            two_sided: flags.1,
            pay_idle: first.1 % 2 == 0,
            stake_cap: flags.2,
            max_validators: rest.0,
            owner: rest.1,
            stake_threshold: rest.2,
            activity_cutoff: rest.3,
            ..crate::yuma::Params::default()
        })
    })
}

proptest! {
    #[test]
    fn weights_forecasts_and_reports_come_back(
        weights in proptest::collection::btree_map(any::<u16>(), any::<u16>(), 0..300),
        forecast in proptest::collection::btree_map(any::<u16>(), number(), 0..50),
        losses in vec(proptest::option::of(number()), 0..300),
        truth in number(),
    ) {
        let row: Row = weights.into_iter().collect();
        prop_assert_eq!(decode_weights(&encode_weights(&row)).unwrap(), row);
        let forecast: Vec<(u16, Q64)> = BTreeMap::into_iter(forecast).collect();
        prop_assert_eq!(decode_forecast(&encode_forecast(&forecast)).unwrap(), forecast);
        let report = decode_report(&encode_losses(&losses)).unwrap();
        prop_assert_eq!(report, ReportPayload::Losses(losses));
        let report = decode_report(&encode_truth(truth)).unwrap();
        prop_assert_eq!(report, ReportPayload::Truth(truth));
        prop_assert_eq!(decode_inference(&encode_inference(truth)).unwrap(), truth);
    }

    #[test]
    fn test_sets_and_explanations_come_back(
        samples in vec((vec(any::<u8>(), 0..40), any::<u32>()), 1..=64),
        columns in vec(("[a-z ]{0,20}", vec(number(), 3)), 0..9),
    ) {
        let set: Vec<Sample<'_>> =
            samples.iter().map(|(input, label)| Sample { input, label: *label }).collect();
        let bytes = encode_test_set(&set).unwrap();
        prop_assert_eq!(test_set(&bytes).unwrap(), set);
        let parts = columns.iter().map(|(name, values)| (name.as_str(), &values[..]));
        prop_assert_eq!(decode_explanation(&encode_explanation(parts), 3).unwrap(), columns);
    }

    #[test]
    fn parameters_come_back(params in yuma_params(), rate in 0u128..=100, median in any::<bool>()) {
        let rate = Q64::from_ratio(rate, 100);
        prop_assert_eq!(Params::decode(Kind::Yuma, &params.encode()).unwrap(), params);
        let score = Params::Score(crate::score::Params { rate, ..Default::default() });
        prop_assert_eq!(Params::decode(Kind::Score, &score.encode()).unwrap(), score);
        let synthesis = Params::Synthesis(crate::synthesis::Params {
            fraction_rate: rate,
            gain_only: median,
            consensus: crate::synthesis::Consensus::Median,
            tolerance: Q64::from_ratio(1 + u128::from(median), 1_000),
            regret_scale: if median {
                crate::synthesis::RegretScale::MedianDeviation
            } else {
                crate::synthesis::RegretScale::Deviation
            },
            ..Default::default()
        });
        prop_assert_eq!(Params::decode(Kind::Synthesis, &synthesis.encode()).unwrap(), synthesis);
    }

    #[test]
    fn memories_after_any_epochs_are_canonical(numbers in vec(any::<i64>(), 0..5), slot in 0u16..8) {
        for kind in KINDS {
            let (memory, pending) = run(kind, &numbers);
            prop_assert_eq!(again(kind, &memory).unwrap(), memory.clone());
            let forgotten = forget(kind, &[], &LIMITS, &memory, slot, Role::Worker);
            prop_assert_eq!(again(kind, &forgotten).unwrap(), forgotten.clone());
            let twice = forget(kind, &[], &LIMITS, &forgotten, slot, Role::Worker);
            prop_assert_eq!(twice, forgotten);
            if !pending.is_empty() {
                let inferences = decode_pending(&pending).unwrap();
                prop_assert_eq!(synthesis::encode_pending(&inferences), pending);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        nothing_panics(&bytes);
    }

    #[test]
    fn damaged_encodings_never_panic_and_never_have_two_forms(
        numbers in vec(any::<i64>(), 1..4),
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        for kind in KINDS {
            let (memory, pending) = run(kind, &numbers);
            for mut bytes in [memory, pending].into_iter().filter(|bytes| !bytes.is_empty()) {
                nothing_panics(&bytes[..cut.index(bytes.len())]);
                let index = place.index(bytes.len());
                bytes[index] = value;
                nothing_panics(&bytes);
                bytes.push(value);
                nothing_panics(&bytes);
            }
        }
    }
}

#[test]
fn payloads_out_of_order_out_of_place_or_of_another_length_are_refused() {
    let refused = |kind, role, payload: &[u8]| match check_payload(kind, role, &LIMITS, payload) {
        Err(PayloadError::Invalid(message)) => message,
        other => panic!("{other:?}"),
    };
    let (yuma, synthesis) = (Kind::Yuma, Kind::Synthesis);
    let message = refused(yuma, Role::Worker, &encode_weights(&[(1, 2), (1, 3)]));
    assert_eq!(message, "slot 1 does not stand in ascending order");
    let message = refused(yuma, Role::Worker, &encode_weights(&[(4, 1)]));
    assert_eq!(message, "there is no slot 4: the topic has 4 of workers");
    assert_eq!(
        refused(yuma, Role::Worker, &[0, 1, 0]),
        "2 bytes expected, 1 left"
    );
    assert_eq!(
        refused(yuma, Role::Reputer, &[]),
        "a reputer takes no part in yuma"
    );
    let message = refused(
        synthesis,
        Role::Forecaster,
        &encode_forecast(&[(4, Q64::ONE)]),
    );
    assert_eq!(message, "there is no slot 4: the topic has 4 of workers");
    assert_eq!(
        refused(synthesis, Role::Worker, &[0; 17]),
        "1 bytes too many"
    );
    let message = refused(synthesis, Role::Reputer, &encode_losses(&[None; 3]));
    assert_eq!(message, "3 losses for the 24 values of the topic");
    assert_eq!(
        refused(synthesis, Role::Reputer, &[2]),
        "2 is no tag of a report"
    );
    let message = refused(Kind::Score, Role::Worker, &[1; 31]);
    assert_eq!(message, "a model's name has 32 bytes, not 31");
    check_payload(yuma, Role::Worker, &LIMITS, &[]).unwrap();
    check_payload(
        synthesis,
        Role::Reputer,
        &LIMITS,
        &encode_losses(&[None; 24]),
    )
    .unwrap();
}

#[test]
fn a_value_or_truth_outside_the_range_is_named_with_it() {
    let limits = Limits {
        value_min: Q64::ZERO,
        value_max: Q64::ONE,
        ..LIMITS
    };
    let check = |role, payload: &[u8]| check_payload(Kind::Synthesis, role, &limits, payload);
    let two = Q64::from_int(2);
    for (role, payload) in [
        (Role::Worker, encode_inference(two)),
        (Role::Reputer, encode_truth(two)),
    ] {
        let expected = PayloadError::OutOfRange {
            value: two,
            least: Q64::ZERO,
            greatest: Q64::ONE,
        };
        assert_eq!(check(role, &payload), Err(expected));
    }
    check(Role::Worker, &encode_inference(Q64::ONE)).unwrap();
    check_payload(
        Kind::Synthesis,
        Role::Worker,
        &LIMITS,
        &encode_inference(two),
    )
    .unwrap();
}

#[test]
fn a_loss_that_no_error_has_is_refused() {
    let check = |loss: Q64| {
        let mut losses = [None; 24];
        losses[7] = Some(loss);
        let payload = encode_losses(&losses);
        check_payload(Kind::Synthesis, Role::Reputer, &LIMITS, &payload)
    };
    let step = Q64::from_bits(1);
    for loss in [
        Q64::MAX,
        Q64::MIN,
        MOST_LOSS + step,
        -MOST_LOSS - step,
        "4e18".parse().unwrap(),
    ] {
        let expected = PayloadError::OutOfRange {
            value: loss,
            least: -MOST_LOSS,
            greatest: MOST_LOSS,
        };
        assert_eq!(check(loss), Err(expected));
    }
    check(MOST_LOSS).unwrap();
    check(-MOST_LOSS).unwrap();
    // Every squared error has a loss within, the least one just so.
    let finest = crate::synthesis::Params {
        tolerance: step,
        ..Default::default()
    };
    let least = finest.squared_loss(Q64::ONE, Q64::ONE);
    check(least).unwrap();
    assert!(least + MOST_LOSS < Q64::from_bits(1 << 16), "{least}");
    check(finest.squared_loss(Q64::MAX, Q64::MIN)).unwrap();
}

#[test]
fn test_sets_without_samples_or_with_too_many_are_refused() {
    let sample = Sample {
        input: b"x",
        label: 1,
    };
    assert!(encode_test_set(&[]).is_err());
    assert!(encode_test_set(&[sample; 65]).is_err());
    let mut bytes = encode_test_set(&[sample; 64]).unwrap();
    assert_eq!(test_set(&bytes).unwrap().len(), 64);
    bytes[3] = 65;
    assert_eq!(
        test_set(&bytes).unwrap_err(),
        "65 samples: from 1 to 64 are possible"
    );
    bytes[3] = 0;
    assert_eq!(
        test_set(&bytes).unwrap_err(),
        "0 samples: from 1 to 64 are possible"
    );
    let message = test_set(&[0, 0, 0, 1, 255, 255, 255, 255]).unwrap_err();
    assert_eq!(message, "sample 0: 4294967295 bytes expected, 0 left");
}

#[test]
fn parameters_read_the_names_of_the_simulator() {
    for kind in KINDS {
        assert_eq!(
            Params::from_json(kind, "{}").unwrap(),
            Params::defaults(kind)
        );
        assert!(Params::defaults(kind).encode().is_empty());
        check_params(kind, &[], &LIMITS).unwrap();
    }
    // What differs from the mechanisms' own defaults can be had back, name by name.
    let back = [
        (
            Kind::Yuma,
            r#"{"yuma3": false, "kappa": 32767, "two_sided": false, "pay_idle": true}"#,
            Params::Yuma(crate::yuma::Params {
                activity_cutoff: 0,
                max_validators: MAX_PERMITS,
                ..crate::yuma::Params::default()
            }),
        ),
        (
            Kind::Score,
            r#"{"temperature": 0.1}"#,
            Params::Score(crate::score::Params::default()),
        ),
    ];
    for (kind, json, expected) in back {
        let params = Params::from_json(kind, json).unwrap();
        assert_eq!(params, expected);
        let bytes = params.encode();
        assert!(!bytes.is_empty());
        assert_eq!(Params::decode(kind, &bytes).unwrap(), params);
        check_params(kind, &bytes, &LIMITS).unwrap();
    }
    let json = r#"{"yuma3": true, "liquid_alpha": true, "owner_uid": 3, "activity_cutoff": 9}"#;
    let params = Params::from_json(Kind::Yuma, json).unwrap();
    check_params(Kind::Yuma, &params.encode(), &LIMITS).unwrap();
    let Params::Yuma(rules) = params else {
        panic!()
    };
    assert_eq!((rules.owner, rules.activity_cutoff), (Some(3), 9));
    let error = |kind, json| Params::from_json(kind, json).unwrap_err();
    assert_eq!(
        error(Kind::Yuma, r#"{"tempo": 3}"#),
        "tempo: a topic's policy decides it"
    );
    assert_eq!(
        error(Kind::Score, r#"{"least_level": "exact"}"#),
        "least_level: a topic counts only what is proven"
    );
    assert_eq!(
        error(Kind::Synthesis, r#"{"regret_rate": 1.5}"#),
        "regret_rate: 1.5 is outside 0 to 1"
    );
    assert!(error(Kind::Synthesis, r#"{"regret": 1}"#).contains("regret"));
}

#[test]
fn parameters_that_a_topic_cannot_have_are_refused() {
    let limits = |workers, forecasters, reputers| Limits {
        workers,
        forecasters,
        reputers,
        ..LIMITS
    };
    let check = |kind, json: &str, limits: &Limits| {
        let params = Params::from_json(kind, json)?.encode();
        check_params(kind, &params, limits)
    };
    let owner = check(Kind::Yuma, r#"{"owner_uid": 4}"#, &LIMITS).unwrap_err();
    assert_eq!(owner, "owner_uid: there is no slot 4, the topic has 4");
    let many = check(Kind::Synthesis, "{}", &limits(65, 1, 1)).unwrap_err();
    assert_eq!(many, "65 workers: synthesis takes at most 64");
    assert!(check(Kind::Yuma, "{}", &limits(4_097, 0, 0)).is_err());
    for (json, message) in [
        (r#"{"max_validators": 65}"#, "65 is outside 1 to 64"),
        (r#"{"max_validators": 0}"#, "0 is outside 1 to 64"),
        (
            r#"{"max_validators": 64, "owner_uid": 3}"#,
            "64 is outside 1 to 63 besides the owner",
        ),
    ] {
        let refused = check(Kind::Yuma, json, &LIMITS).unwrap_err();
        let expected = format!("max_validators: {message}: no more rows are read");
        assert_eq!(refused, expected);
    }
    check(Kind::Yuma, r#"{"max_validators": 64}"#, &LIMITS).unwrap();
    check(Kind::Yuma, r#"{"owner_uid": 3}"#, &LIMITS).unwrap();
    let json = r#"{"liquid_alpha": true, "alpha_low": 9, "alpha_high": 8}"#;
    assert!(check(Kind::Yuma, json, &LIMITS).is_err());
    let upside_down = Limits {
        value_min: Q64::ONE,
        ..LIMITS
    };
    assert!(check(Kind::Synthesis, "{}", &upside_down).is_err());
    // Neither names nor bytes bring the mean on a chain.
    let median = check(Kind::Synthesis, r#"{"consensus": "mean"}"#, &LIMITS).unwrap_err();
    let reason = "a reputer with any stake moves a mean anywhere, a topic takes the median";
    assert_eq!(median, format!("consensus: {reason}"));
    let mean = Params::Synthesis(crate::synthesis::Params::default()).encode();
    assert!(!mean.is_empty());
    let refused = check_params(Kind::Synthesis, &mean, &LIMITS).unwrap_err();
    assert_eq!(
        refused,
        format!("parameters of synthesis: consensus: {reason}")
    );
    for tolerance in ["0", "-1"] {
        let json = format!(r#"{{"tolerance": {tolerance}}}"#);
        assert!(check(Kind::Synthesis, &json, &LIMITS).is_err());
    }
    // Defaults that are spelled out are no second form of no bytes.
    let mut spelled = Params::from_json(Kind::Score, r#"{"rate": 0.5}"#)
        .unwrap()
        .encode();
    let tenth = crate::score::Params::default().rate.to_bits().to_be_bytes();
    spelled[..16].copy_from_slice(&tenth);
    assert!(Params::decode(Kind::Score, &spelled).is_err());
}

#[test]
fn memory_follows_a_topic_that_grows_and_shrinks() {
    let (memory, _) = run(Kind::Synthesis, &[1, 5, 9]);
    let larger = Limits {
        workers: 6,
        forecasters: 3,
        reputers: 3,
        ..LIMITS
    };
    let old = synthesis::decode(&memory, &LIMITS).unwrap();
    let grown = forget(Kind::Synthesis, &[], &larger, &memory, 5, Role::Worker);
    let state = synthesis::decode(&grown, &larger).unwrap();
    assert_eq!(state.regrets[..4], old.regrets[..4]);
    assert_eq!(state.regrets[4..6], [None, None]);
    assert_eq!(state.regrets[6..8], old.regrets[4..6]);
    assert_eq!(state.fractions[9..11], old.fractions[6..8]);
    assert_eq!(state.one_out_regrets[6][7], old.one_out_regrets[4][5]);
    assert_eq!(state.one_in_regrets[1][6], old.one_in_regrets[1][4]);
    // And back, with nothing lost: slot 8 is the forecaster who is no more.
    let back = forget(
        Kind::Synthesis,
        &[],
        &LIMITS,
        &grown,
        u16::MAX,
        Role::Worker,
    );
    assert_eq!(back, memory);

    let (memory, _) = run(Kind::Yuma, &[1, 5, 9]);
    let grown = forget(Kind::Yuma, &[], &larger, &memory, 5, Role::Worker);
    assert_eq!(grown[..2], [0, 6]);
    assert_eq!(
        forget(Kind::Yuma, &[], &LIMITS, &grown, 9, Role::Worker),
        memory
    );
}

#[test]
fn entries_that_do_not_ascend_are_the_callers_fault() {
    let payloads = payloads(Kind::Yuma, 1);
    let mut entries = entries(Kind::Yuma, &payloads);
    entries.swap(0, 1);
    let error = settle(Kind::Yuma, &[], &LIMITS, &[], &[], &CTX, &entries).unwrap_err();
    assert_eq!(error, "entries do not ascend by slot");
}

#[test]
fn who_left_before_the_settlement_is_not_paid_and_its_slot_starts_anew() {
    let payloads = payloads(Kind::Synthesis, 5);
    let all = entries(Kind::Synthesis, &payloads);
    let inferred = infer(&[], &LIMITS, &[], &all).unwrap();
    let decide = |entries: &[Entry<'_>]| {
        let (memory, pending) = (&inferred.memory, &inferred.pending);
        settle(
            Kind::Synthesis,
            &[],
            &LIMITS,
            memory,
            pending,
            &CTX,
            entries,
        )
        .unwrap()
    };
    let whole = decide(&all);
    let absent = decide(&all[1..]);
    assert_eq!(absent.shares.iter().sum::<u64>(), WHOLE);
    assert!(
        absent
            .shares
            .iter()
            .zip(&whole.shares[1..])
            .all(|(a, b)| a >= b)
    );
    let state = synthesis::decode(&absent.memory, &LIMITS).unwrap();
    assert_eq!((state.regrets[0], state.fractions[0]), (None, None));
    // The same if somebody else has the slot by now.
    let mut taken = all.clone();
    taken[0] = Entry {
        fresh: false,
        payload: None,
        ..taken[0]
    };
    let taken = decide(&taken);
    assert_eq!(taken.shares[0], 0);
    assert_eq!(taken.memory, absent.memory);
}

#[test]
fn without_inferences_or_entries_nothing_is_paid() {
    for kind in KINDS {
        let decision = settle(kind, &[], &LIMITS, &[], &[], &CTX, &[]).unwrap();
        assert_eq!(
            decision,
            Decision {
                explanation: decision.explanation.clone(),
                ..Decision::default()
            }
        );
        assert!(decode_explanation(&decision.explanation, 0).is_ok());
    }
}
