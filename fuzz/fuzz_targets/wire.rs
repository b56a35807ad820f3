//! What contracts keep of mechanisms and what slots submit: whatever decodes is canonical, and no bytes in
//! any place make an epoch panic or pay more than everything.
#![no_main]

use hallmark_fixed::Q64;
use hallmark_mechanisms::{WHOLE, wire::*};

const LIMITS: Limits = Limits {
    workers: 3,
    forecasters: 2,
    reputers: 2,
    value_min: Q64::MIN,
    value_max: Q64::MAX,
};
const CTX: Ctx = Ctx {
    now_ms: 3_000,
    last_settled_ms: 2_000,
    epoch_ms: 1_000,
};

/// Bytes up to the next separator.
fn part<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = rest.first().map_or(0, |length| usize::from(*length) * 4);
    let body = rest.get(1..).unwrap_or_default();
    let (taken, left) = body.split_at(length.min(body.len()));
    *rest = left;
    taken
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(row) = decode_weights(bytes) {
        assert_eq!(encode_weights(&row), bytes);
    }
    if let Ok(value) = decode_inference(bytes) {
        assert_eq!(encode_inference(value), bytes);
    }
    if let Ok(losses) = decode_forecast(bytes) {
        assert_eq!(encode_forecast(&losses), bytes);
    }
    match decode_report(bytes) {
        Ok(ReportPayload::Truth(truth)) => assert_eq!(encode_truth(truth), bytes),
        Ok(ReportPayload::Losses(losses)) => assert_eq!(encode_losses(&losses), bytes),
        Err(_) => {}
    }
    if let Ok(samples) = test_set(bytes) {
        assert_eq!(encode_test_set(&samples).expect("it was decoded"), bytes);
    }
    if let Ok(columns) = decode_explanation(bytes, 3) {
        let parts = columns.iter().map(|(name, values)| (name.as_str(), &values[..]));
        assert_eq!(encode_explanation(parts), bytes);
    }
    let _ = decode_pending(bytes);

    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let kind = Kind::from_u8(first % 3).expect("there are three");
    if let Ok(params) = Params::decode(kind, rest) {
        assert_eq!(params.encode(), rest);
    }
    let (params, memory, pending) = (part(&mut rest), part(&mut rest), part(&mut rest));
    let _ = check_params(kind, params, &LIMITS);
    let slots = if kind == Kind::Synthesis { 7u16 } else { 3 };
    let payloads: Vec<_> = (0..slots).map(|_| part(&mut rest)).collect();
    let entries: Vec<_> = (0..slots)
        .zip(&payloads)
        .map(|(slot, payload)| {
            let role = match slot {
                0..3 => Role::Worker,
                3..5 => Role::Forecaster,
                _ => Role::Reputer,
            };
            let _ = check_payload(kind, role, &LIMITS, payload);
            Entry {
                slot,
                role,
                stake: u128::from(slot) << 90,
                registered_ms: 1,
                submitted_ms: 2_900,
                fresh: true,
                paid: slot % 7 != 6,
                payload: Some(payload),
                proven: Some((u32::from(slot), 7)),
            }
        })
        .collect();
    let inferred = infer(params, &LIMITS, memory, &entries);
    let (memory, pending) = match &inferred {
        Ok(inferred) if kind == Kind::Synthesis => (&inferred.memory[..], &inferred.pending[..]),
        _ => (memory, pending),
    };
    if let Ok(decision) = settle(kind, params, &LIMITS, memory, pending, &CTX, &entries) {
        let sum: u64 = decision.shares.iter().sum();
        assert!(sum == 0 || sum == WHOLE);
        // What it keeps it can read.
        let again = settle(kind, params, &LIMITS, &decision.memory, pending, &CTX, &entries);
        assert!(again.is_ok(), "{again:?}");
        for slot in [0, 4, u16::MAX] {
            let _ = forget(kind, params, &LIMITS, &decision.memory, slot, Role::Worker);
        }
    }
});
