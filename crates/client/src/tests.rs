//! Tests of what needs no node.

use crate::{
    Client, ClientError, Level, Revert, deliver_gas_limit, keys, keys::KeyError, model_id,
};
use alloy_primitives::{Address, B256, U256, b256};
use alloy_sol_types::SolError;
use hallmark_abi::{IInference, IModels, ISystem};

#[test]
fn errors_of_the_contracts_are_shown_with_name_and_arguments() {
    let refused = IInference::ProofRefused {
        reason: "sumcheck 3".to_owned(),
    }
    .abi_encode();
    assert_eq!(
        Revert::decode(&refused).to_string(),
        "ProofRefused(\"sumcheck 3\")"
    );
    let payment = IInference::WrongPayment {
        price: U256::from(1_000),
    }
    .abi_encode();
    assert_eq!(Revert::decode(&payment).to_string(), "WrongPayment(1000)");
    let owner = IModels::NotOwner {
        owner: Address::ZERO,
    }
    .abi_encode();
    assert_eq!(
        Revert::decode(&owner).to_string(),
        "NotOwner(0x0000000000000000000000000000000000000000)"
    );
    let method = ISystem::UnknownMethod {
        selector: [1, 2, 3, 4].into(),
    }
    .abi_encode();
    assert_eq!(
        Revert::decode(&method).to_string(),
        "UnknownMethod(0x01020304)"
    );
    let window = IInference::WindowClosed {
        windowEndMs: 5,
        nowMs: 6,
    }
    .abi_encode();
    assert_eq!(Revert::decode(&window).to_string(), "WindowClosed(5, 6)");
}

#[test]
fn hostile_revert_data_is_shown_and_never_panics() {
    assert_eq!(Revert::decode(&[]).to_string(), "Unknown(0x)");
    assert_eq!(
        Revert::decode(&[1, 2, 3, 4, 5]).to_string(),
        "Unknown(0x0102030405)"
    );
    let honest = IInference::ProofRefused {
        reason: "why".to_owned(),
    }
    .abi_encode();
    for length in 0..honest.len() {
        Revert::decode(&honest[..length]);
    }
    for position in 4..honest.len() {
        let mut changed = honest.clone();
        changed[position] = 0xff;
        assert_eq!(Revert::decode(&changed).name, "ProofRefused");
    }
}

#[test]
fn levels_are_parsed_by_name_and_only_proven_is_available() {
    for level in [Level::Trusted, Level::Audited, Level::Exact, Level::Proven] {
        assert_eq!(level.to_string().parse(), Ok(level));
        assert_eq!(Level::try_from(level as u8), Ok(level));
        assert_eq!(level.is_available(), level == Level::Proven);
    }
    assert!("certain".parse::<Level>().is_err());
    assert!(Level::try_from(4).is_err());
}

#[test]
fn a_delivery_has_gas_for_its_bytes_its_verification_and_its_storage() {
    // 21000 + 4·(1 + 4·2) + 7 + 1_000_000 + 3 bytes decoded + 2 words written + 3 words read.
    let expected = 21_000 + 36 + 7 + 1_000_000 + 9 + 2 * 23_000 + 3 * 2_800;
    assert_eq!(deliver_gas_limit(&[0, 1, 2], 33, 10, 7), expected);
    assert_eq!(deliver_gas_limit(&[], 0, 0, u64::MAX), u64::MAX);
}

#[test]
fn a_model_id_is_the_hash_of_owner_and_digest() {
    // keccak256 of the two padded to words.
    let id = model_id(Address::ZERO, B256::ZERO);
    assert_eq!(
        id,
        b256!("ad3228b676f7d3cd4284a5443f17f1962b36e491b30a40b2405849e597ba5fb5")
    );
}

#[tokio::test]
async fn addresses_that_are_no_node_are_refused_clearly() {
    let refused = Client::connect("ftp://localhost", None)
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, ClientError::Url(_)), "{refused}");
    for url in ["http://127.0.0.1:1", "ws://127.0.0.1:1"] {
        let refused = Client::connect(url, None).await.err().unwrap();
        assert!(matches!(refused, ClientError::Connect { .. }), "{refused}");
    }
}

#[test]
fn an_encrypted_key_opens_with_its_password_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let key = keys::generate();
    keys::save_encrypted(&path, &key, "correct horse").unwrap();
    assert!(keys::is_encrypted(&path).unwrap());
    assert_eq!(
        keys::load(&path, Some("correct horse")).unwrap().address(),
        key.address()
    );
    let wrong = keys::load(&path, Some("battery staple"));
    assert!(matches!(wrong, Err(KeyError::WrongPassword { .. })));
    assert!(matches!(
        keys::load(&path, None),
        Err(KeyError::PasswordNeeded { .. })
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_plain_key_is_read_back_and_only_its_owner_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.hex");
    let key = keys::generate();
    keys::save_plain(&path, &key).unwrap();
    assert!(!keys::is_encrypted(&path).unwrap());
    assert_eq!(keys::load(&path, None).unwrap().address(), key.address());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn a_key_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    keys::save_plain(&path, &keys::generate()).unwrap();
    let before = std::fs::read(&path).unwrap();
    let again = keys::save_plain(&path, &keys::generate());
    assert!(matches!(again, Err(KeyError::Exists { .. })));
    let again = keys::save_encrypted(&path, &keys::generate(), "x");
    assert!(matches!(again, Err(KeyError::Exists { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn files_that_are_no_keys_are_refused_without_showing_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    assert!(matches!(
        keys::load(&path, None),
        Err(KeyError::Missing { .. })
    ));
    let costly =
        r#"{"crypto":{"kdf":"scrypt","kdfparams":{"n":1073741824,"r":8,"p":1,"dklen":32}}}"#;
    let zero = "0".repeat(64);
    let secret = format!("{}zz", "ab".repeat(31));
    for content in ["", "0x12", "{", "{}", costly, &zero, &secret] {
        std::fs::write(&path, content).unwrap();
        let refused = keys::load(&path, Some("x")).unwrap_err();
        assert!(
            matches!(refused, KeyError::NotAKey { .. }),
            "{content}: {refused}"
        );
        assert!(!refused.to_string().contains("abab"), "{refused}");
    }
    std::fs::write(&path, vec![b'a'; 100_000]).unwrap();
    assert!(matches!(
        keys::load(&path, None),
        Err(KeyError::NotAKey { .. })
    ));
}

#[test]
fn a_validators_key_is_not_taken_for_an_accounts() {
    let dir = tempfile::tempdir().unwrap();
    let (validator, account) = (dir.path().join("validator"), dir.path().join("account"));
    let (seed, key) = (keys::generate_seed(), keys::generate());
    assert_ne!(seed, keys::generate_seed());
    keys::save_encrypted_seed(&validator, &seed, "horse").unwrap();
    keys::save_encrypted(&account, &key, "horse").unwrap();
    assert_eq!(keys::load_seed(&validator, Some("horse")).unwrap(), seed);
    let wrong = keys::load_seed(&validator, Some("cow")).unwrap_err();
    assert!(matches!(wrong, KeyError::WrongPassword { .. }), "{wrong}");
    let taken = keys::load(&validator, Some("horse"))
        .unwrap_err()
        .to_string();
    assert!(taken.contains("validator's key"), "{taken}");
    let taken = keys::load_seed(&account, Some("horse"))
        .unwrap_err()
        .to_string();
    assert!(taken.contains("account's key"), "{taken}");

    let plain = dir.path().join("plain");
    keys::save_plain_seed(&plain, &seed).unwrap();
    assert_eq!(keys::load_seed(&plain, None).unwrap(), seed);
}

#[test]
fn a_keystore_with_a_short_vector_is_refused_before_the_library_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    keys::save_encrypted(&path, &keys::generate(), "x").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["crypto"]["cipherparams"]["iv"] = "00ff".into();
    std::fs::write(&path, json.to_string()).unwrap();
    let refused = keys::load(&path, Some("x")).unwrap_err().to_string();
    assert!(refused.contains("vector"), "{refused}");
}
