use super::*;
use alloy_primitives::{address, b256};

fn submission() -> Submission {
    Submission {
        topic: U256::from(3),
        epoch: 7,
        mechanism: 1,
        slot: 5,
    }
}

const OPERATOR: Address = address!("00000000000000000000000000000000000000aa");

#[test]
fn a_commitment_hashes_chain_place_operator_salt_and_answer() {
    let salt = B256::repeat_byte(9);
    let of = |submission, operator, salt, payload: &[u8]| {
        commitment(1618, submission, operator, salt, payload)
    };
    let it = of(submission(), OPERATOR, salt, b"21");
    // abi.encode of eight words, written out.
    let mut words = Vec::new();
    for number in [1618u64, 3, 7, 1, 5, 0xaa] {
        words.extend(U256::from(number).to_be_bytes::<32>());
    }
    words.extend(salt.0);
    words.extend(keccak256(b"21").0);
    assert_eq!(it, keccak256(&words));
    let mut elsewhere = submission();
    elsewhere.slot = 6;
    for other in [
        of(elsewhere, OPERATOR, salt, b"21"),
        of(submission(), Address::ZERO, salt, b"21"),
        of(submission(), OPERATOR, B256::ZERO, b"21"),
        of(submission(), OPERATOR, salt, b"22"),
        commitment(1, submission(), OPERATOR, salt, b"21"),
    ] {
        assert_ne!(it, other);
    }
}

#[test]
fn a_test_set_is_committed_under_a_salt() {
    let mut words = vec![1; 32];
    words.extend(keccak256(b"set").0);
    assert_eq!(
        test_set_commitment(B256::repeat_byte(1), b"set"),
        keccak256(&words)
    );
}

#[test]
fn an_answer_survives_on_disk_and_keeps_its_salt() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = B256::repeat_byte(3);
    let store = SaltStore::open(folder.path(), genesis).unwrap();
    let first = store.prepare(1618, OPERATOR, submission(), b"21").unwrap();
    let again = SaltStore::open(folder.path(), genesis).unwrap();
    assert_eq!(
        again.prepare(1618, OPERATOR, submission(), b"21").unwrap(),
        first
    );
    assert_eq!(
        again.find(1618, OPERATOR, submission()).unwrap(),
        std::slice::from_ref(&first)
    );
    // Another answer gets another file, and nothing is overwritten.
    let other = again.prepare(1618, OPERATOR, submission(), b"22").unwrap();
    assert_ne!(other.salt, first.salt);
    assert_eq!(again.find(1618, OPERATOR, submission()).unwrap().len(), 2);
    let mut elsewhere = submission();
    elsewhere.epoch = 70;
    assert!(again.find(1618, OPERATOR, elsewhere).unwrap().is_empty());
    // Another chain of the same id has its own.
    let fork = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    assert!(fork.find(1618, OPERATOR, submission()).unwrap().is_empty());
    assert!(!format!("{first:?}").contains("21"));
}

#[cfg(unix)]
#[test]
fn salts_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = SaltStore::open(&folder.path().join("salts"), B256::ZERO).unwrap();
    store.prepare(1618, OPERATOR, submission(), b"21").unwrap();
    let dir = std::fs::read_dir(folder.path().join("salts"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&dir) & 0o777, 0o700);
    for file in std::fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path) & 0o777, 0o600);
        assert!(path.to_string_lossy().ends_with(".json"));
    }
}

#[test]
fn a_file_that_opens_nothing_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let store = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    store.prepare(1618, OPERATOR, submission(), b"21").unwrap();
    let dir = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let path = std::fs::read_dir(dir)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&path).unwrap();
    for broken in [
        text.replace("1618", "1619"),
        text.replace("\"version\":1", "\"version\":2"),
        "{".to_owned(),
        String::new(),
    ] {
        std::fs::write(&path, broken).unwrap();
        let refused = store.find(1618, OPERATOR, submission()).unwrap_err();
        assert!(matches!(refused, SaltError::Malformed { .. }), "{refused}");
    }
}

#[test]
fn names_of_kinds_roles_and_stages_are_read_back() {
    for kind in [Kind::Yuma, Kind::Synthesis, Kind::Score] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        assert_eq!(Kind::from_abi(kind.to_abi()).unwrap(), kind);
    }
    for role in [Role::Worker, Role::Forecaster, Role::Reputer] {
        assert_eq!(role.to_string().parse(), Ok(role));
        assert_eq!(Role::from_abi(role.to_abi()).unwrap(), role);
    }
    for stage in 0..8 {
        let stage = Stage::try_from(stage).unwrap();
        assert_eq!(stage.to_string().parse(), Ok(stage));
        let abi = ITopics::Stage::try_from(stage as u8).unwrap();
        assert_eq!(Stage::from_abi(abi).unwrap(), stage);
    }
    assert!(Stage::try_from(8).is_err());
    let wrong = "miner".parse::<Role>().unwrap_err().to_string();
    assert_eq!(
        wrong,
        "`miner` is not a role; there are worker, forecaster and reputer"
    );
}

#[test]
fn an_error_of_topics_is_shown_by_name() {
    use alloy_sol_types::SolError;
    let late = ITopics::TooLate {
        closedAtMs: 5,
        nowMs: 6,
    };
    assert_eq!(
        crate::Revert::decode(&late.abi_encode()).to_string(),
        "TooLate(5, 6)"
    );
    let range = ITopics::ValueOutOfRange {
        value: -1,
        least: 0,
        greatest: 2,
    };
    assert_eq!(
        crate::Revert::decode(&range.abi_encode()).to_string(),
        "ValueOutOfRange(-1, 0, 2)"
    );
    let hash = b256!("1111111111111111111111111111111111111111111111111111111111111111");
    let young = ITopics::ModelTooYoung { model: hash };
    assert!(
        crate::Revert::decode(&young.abi_encode())
            .to_string()
            .contains("1111")
    );
}
