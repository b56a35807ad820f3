use crate::sealing::{KEEP, SealingError, SealingKeys, collect_keys};
use std::collections::BTreeSet;
use x25519_dalek::PublicKey;

const NOW: u64 = 1_700_000_000_000;

fn later() -> u64 {
    NOW + u64::try_from(KEEP.as_millis()).unwrap() + 1
}

#[test]
fn keys_are_made_once_and_only_their_owner_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sealing-keys.json");
    let first = SealingKeys::open(&path).unwrap();
    let again = SealingKeys::open(&path).unwrap();
    assert_eq!(first.public(), again.public());
    let secret = first.find(&first.public().0).unwrap();
    assert_eq!(PublicKey::from(&secret).to_bytes(), first.public().0);
    assert!(first.find(&[7; 32]).is_none());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let shown = format!("{first:?}");
    let hidden = alloy_primitives::hex::encode(secret.to_bytes());
    assert!(!shown.contains(&hidden));
}

#[test]
fn rotation_keeps_an_old_key_until_no_order_needs_it_and_a_day_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sealing-keys.json");
    let mut keys = SealingKeys::open(&path).unwrap();
    let old = keys.public();
    keys.rotate(NOW).unwrap();
    assert_ne!(keys.public(), old);
    // Also for the next process.
    let mut keys = SealingKeys::open(&path).unwrap();
    assert!(keys.find(&old.0).is_some());
    let none = BTreeSet::new();
    assert!(!keys.has_expired(NOW + 1));
    assert_eq!(keys.forget(NOW + 1, &none).unwrap(), 0, "too early");
    assert!(keys.has_expired(later()));
    let needed = BTreeSet::from([old.0]);
    assert_eq!(keys.forget(later(), &needed).unwrap(), 0, "still needed");
    assert!(keys.find(&old.0).is_some());
    assert_eq!(keys.forget(later(), &none).unwrap(), 1);
    assert!(keys.find(&old.0).is_none());
    let keys = SealingKeys::open(&path).unwrap();
    assert!(keys.find(&old.0).is_none(), "forgotten on disk too");
    assert!(keys.find(&keys.public().0).is_some());
}

#[test]
fn a_file_of_another_kind_is_refused_without_being_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sealing-keys.json");
    for text in [
        "",
        "{}",
        "{\"version\":2,\"current\":\"hunter2\",\"old\":[]}",
    ] {
        std::fs::write(&path, text).unwrap();
        let error = SealingKeys::open(&path).unwrap_err();
        assert!(matches!(error, SealingError::Malformed { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn what_is_no_envelope_needs_no_key() {
    let mut needed = BTreeSet::new();
    collect_keys(&[1, 2, 3], &mut needed);
    assert!(needed.is_empty());
}
