//! A verifying key decodes canonically or not at all.
#![no_main]
use hallmark_proof::{Mode, Profile, VerifyingKey};
use libfuzzer_sys::fuzz_target;

mod seeds;

fn keys() -> Vec<Vec<u8>> {
    (0..40)
        .map(|seed| {
            let model = hallmark_graph::testing::random_model(seed);
            let profile = Profile::ALL[seed as usize % 2];
            let key = hallmark_proof::setup_with(&model, profile).expect("fits");
            key.verifying_key().encode()
        })
        .collect()
}

fuzz_target!(init: seeds::write(keys), |bytes: &[u8]| {
    if let Ok(key) = VerifyingKey::decode(bytes) {
        assert_eq!(key.encode(), bytes);
        assert_eq!(Profile::of_key(bytes), Some(key.profile()));
        let _ = key.cost().gas();
        let _ = key.max_proof_len();
        let private = key.private_cost().map(|cost| cost.gas());
        assert_eq!(private.is_some(), key.max_private_proof_len().is_some());
        assert!(hallmark_proof::security_report(&key).bits() >= 100.0);
        let _ = hallmark_proof::max_batch(&key, Mode::PrivateInput);
    }
});
