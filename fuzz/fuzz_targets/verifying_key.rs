//! A verifying key decodes canonically or not at all.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = hallmark_proof::VerifyingKey::decode(bytes) {
        assert_eq!(key.encode(), bytes);
        let _ = key.cost().gas();
        let _ = key.max_proof_len();
    }
});
