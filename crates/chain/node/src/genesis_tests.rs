use super::*;
use alloy_primitives::b256;

const CHAIN: u64 = 4_242;

fn secret(n: u8) -> B256 {
    keccak256([n, 1])
}

fn entry(n: u8) -> Entry {
    let p2p = format!("validator-{n}.example:9000").parse().unwrap();
    Entry::sign(CHAIN, p2p, &keccak256([n, 2]).0, &secret(n)).unwrap()
}

fn validators(numbers: &[u8]) -> Vec<GenesisValidator> {
    numbers
        .iter()
        .map(|n| Entry::open(&entry(*n).to_json(), CHAIN).unwrap())
        .collect()
}

fn plan(numbers: &[u8]) -> GenesisPlan {
    GenesisPlan {
        chain_id: CHAIN,
        timestamp_ms: 1_800_000_000_000,
        validators: validators(numbers),
        alloc: [(Address::repeat_byte(1), U256::from(5))].into(),
        treasury: Address::repeat_byte(2),
    }
}

#[test]
fn strangers_build_the_same_file_in_any_order() {
    let spec = plan(&[1, 2, 3, 4]).build().unwrap();
    let again = plan(&[3, 1, 4, 2]).build().unwrap();
    assert_eq!(spec.to_json(), again.to_json());
    assert_eq!(spec.chain_id, CHAIN);
    assert!(
        spec.validators
            .windows(2)
            .all(|pair| pair[0].public_key < pair[1].public_key)
    );
    check(&spec, validators(&[4, 3, 2, 1])).unwrap();
}

#[test]
fn a_file_that_its_entries_do_not_give_is_refused_by_field() {
    let spec = plan(&[1, 2, 3, 4]).build().unwrap();
    let missing = check(&spec, validators(&[1, 2, 3]))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("validators"), "{missing}");
    assert!(missing.contains("has no entry"), "{missing}");
    let mut other = spec.clone();
    other.limits.block_gas_limit += 1;
    let limits = check(&other, validators(&[1, 2, 3, 4]))
        .unwrap_err()
        .to_string();
    assert!(limits.contains("limits"), "{limits}");
    let mut order = spec.clone();
    order.validators.swap(0, 1);
    assert!(check(&order, validators(&[1, 2, 3, 4])).is_err());
}

#[test]
fn every_field_of_an_entry_is_signed_by_both_keys() {
    let json: serde_json::Value = serde_json::from_str(&entry(1).to_json()).unwrap();
    let other: serde_json::Value = serde_json::from_str(&entry(2).to_json()).unwrap();
    let open = |json: &serde_json::Value| Entry::open(&json.to_string(), CHAIN);
    open(&json).unwrap();
    for field in ["public_key", "address", "p2p", "validator_signature"] {
        let mut changed = json.clone();
        changed[field] = other[field].clone();
        let error = open(&changed).unwrap_err();
        assert!(
            matches!(error, GenesisError::ValidatorSignature(_)),
            "{field}: {error}"
        );
    }
    let mut changed = json.clone();
    changed["account_signature"] = other["account_signature"].clone();
    assert!(matches!(
        open(&changed).unwrap_err(),
        GenesisError::AccountSignature(_)
    ));
    // One bit of each signature.
    for field in ["validator_signature", "account_signature"] {
        let mut bytes = hex::decode(json[field].as_str().unwrap()).unwrap();
        bytes[20] ^= 1;
        let mut changed = json.clone();
        changed[field] = hex::encode_prefixed(bytes).into();
        assert!(open(&changed).is_err(), "{field}");
    }
}

#[test]
fn an_entry_for_another_chain_or_of_another_shape_is_refused() {
    let json = entry(1).to_json();
    let error = Entry::open(&json, CHAIN + 1).unwrap_err();
    assert!(matches!(error, GenesisError::OtherChain { .. }), "{error}");
    let relabelled = json.replace("4242", "4243");
    assert!(Entry::open(&relabelled, CHAIN + 1).is_err());
    for (bad, word) in [
        ("{}".to_owned(), "missing field"),
        ("[".to_owned(), "no entry"),
        (json.replace("\"version\": 1", "\"version\": 2"), "layout"),
        (json.replace("\"p2p\"", "\"q2q\""), "unknown field"),
        (json.replace(":9000", ":0"), "port"),
        (" ".repeat(20_000), "longer than"),
    ] {
        let error = Entry::open(&bad, CHAIN).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    // Not canonical hex of a signature, any length.
    for length in [0, 63, 64, 65, 66, 1_000] {
        let mut changed: serde_json::Value = serde_json::from_str(&json).unwrap();
        changed["account_signature"] = hex::encode(vec![0; length]).into();
        assert!(Entry::open(&changed.to_string(), CHAIN).is_err());
        changed["validator_signature"] = hex::encode(vec![0; length]).into();
        assert!(Entry::open(&changed.to_string(), CHAIN).is_err());
    }
}

#[test]
fn what_two_entries_share_is_named() {
    let base = plan(&[1, 2, 3]);
    for (change, word) in [(0, "validator key"), (1, "account"), (2, "address")] {
        let mut plan = base.clone();
        let first = plan.validators[0].clone();
        let second = &mut plan.validators[1];
        match change {
            0 => second.public_key = first.public_key,
            1 => second.address = first.address,
            _ => second.p2p = first.p2p,
        }
        let error = plan.build().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn development_keys_are_refused_off_the_local_chain() {
    let known = crate::devnet::account_key(3);
    let p2p: HostPort = "127.0.0.1:9000".parse().unwrap();
    let seed = crate::devnet::validator_key(7);
    assert!(Entry::sign(CHAIN, p2p.clone(), &keccak256([1, 2]).0, &known).is_err());
    assert!(Entry::sign(CHAIN, p2p.clone(), &seed, &secret(1)).is_err());
    assert!(Entry::sign(1618, p2p, &seed, &known).is_ok());

    let mut funded = plan(&[1, 2]);
    funded
        .alloc
        .insert(crate::devnet::account(0), U256::from(1));
    let error = funded.build().unwrap_err();
    assert!(matches!(error, GenesisError::Development(_)), "{error}");
    let mut local = funded.clone();
    local.chain_id = 1618;
    local.build().unwrap();

    let mut treasury = plan(&[1, 2]);
    treasury.treasury = Address::from_private_key(
        &SigningKey::from_slice(crate::devnet::treasury_key().as_slice()).unwrap(),
    );
    assert!(treasury.build().is_err());
}

#[test]
fn the_signed_message_is_pinned() {
    // Another layout would make entries that only some versions accept.
    let p2p: HostPort = "a.example:1".parse().unwrap();
    let message = message(7, &[1; 32], Address::repeat_byte(2), &p2p);
    assert_eq!(message.len(), 8 + 32 + 20 + 2 + 11);
    assert_eq!(
        keccak256(message),
        b256!("fa8c9f03480f5f7801123d9359bacac3dbb065057019138171d04ebaae0f9983")
    );
}
