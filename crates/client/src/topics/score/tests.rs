use super::*;
use crate::topics::{SaltError, SaltStore, test_set_commitment};
use alloy_primitives::{B256, U256};

fn set(inputs: &[&[u8]]) -> Result<TestSet, TestSetFault> {
    TestSet::new(inputs.iter().map(|input| (*input, 3)))
}

#[test]
fn a_test_set_keeps_the_contracts_bounds() {
    let good = set(&[b"a", b"b"]).unwrap();
    assert_eq!((good.len(), good.samples()[1].input), (2, &b"b"[..]));
    assert_eq!(TestSet::from_content(good.content().clone()), Ok(good));

    assert!(matches!(set(&[]), Err(TestSetFault::Malformed(_))));
    let inputs: Vec<Vec<u8>> = (0..65u8).map(|number| vec![number]).collect();
    let many: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    assert!(set(&many[..64]).is_ok());
    assert!(matches!(set(&many), Err(TestSetFault::Malformed(_))));
    assert_eq!(set(&[b"a", b"b", b"a"]), Err(TestSetFault::Repeated(0, 2)));
    // Twelve bytes around an input.
    let longest = vec![7; MAX_TEST_SET_BYTES - 12];
    assert!(set(&[&longest]).is_ok());
    let longer = vec![7; MAX_TEST_SET_BYTES - 11];
    let refused = set(&[&longer]).unwrap_err();
    assert_eq!(refused, TestSetFault::TooLong(MAX_TEST_SET_BYTES + 1));
}

#[test]
fn a_test_set_survives_on_disk_and_keeps_its_salt() {
    let folder = tempfile::tempdir().unwrap();
    let store = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    let (one, other) = (set(&[b"a"]).unwrap(), set(&[b"b"]).unwrap());
    let topic = U256::from(3);
    let first = store.prepare_test_set(1618, topic, 7, &one).unwrap();
    let expected = test_set_commitment(first.salt, one.content());
    assert_eq!((first.commitment, first.epoch), (expected, 7));
    let again = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    let same = again.prepare_test_set(1618, topic, 7, &one).unwrap();
    assert_eq!(same, first);
    // Another epoch has another salt, so that its commitment tells nothing.
    let later = store.prepare_test_set(1618, topic, 8, &one).unwrap();
    assert_ne!(later.salt, first.salt);
    store.prepare_test_set(1618, topic, 7, &other).unwrap();
    assert_eq!(store.find_test_sets(1618, topic, 7).unwrap().len(), 2);
    assert!(store.find_test_sets(1618, topic, 70).unwrap().is_empty());
    let shown = format!("{first:?} {one:?}");
    assert!(!shown.contains(&first.salt.to_string()), "{shown}");
    let refused = store.find_test_sets(1619, topic, 7).unwrap_err();
    assert!(matches!(refused, SaltError::Malformed { .. }), "{refused}");
}

#[test]
fn a_test_set_that_was_sent_to_be_opened_stays_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    let topic = U256::from(3);
    let one = set(&[b"a"]).unwrap();
    let [kept, later] =
        [7, 8].map(|epoch| store.prepare_test_set(1618, topic, epoch, &one).unwrap());
    assert!(!store.was_sent(&kept).unwrap());
    store.note_sent(&kept).unwrap();
    store.note_sent(&kept).unwrap();
    let again = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    assert!(again.was_sent(&kept).unwrap());
    assert!(!again.was_sent(&later).unwrap());
    assert_eq!(again.find_test_sets(1618, topic, 7).unwrap(), [kept]);
}

#[cfg(unix)]
#[test]
fn a_kept_test_set_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    let one = set(&[b"a"]).unwrap();
    store
        .prepare_test_set(1618, U256::from(3), 7, &one)
        .unwrap();
    let dir = std::fs::read_dir(folder.path()).unwrap().next();
    let files = std::fs::read_dir(dir.unwrap().unwrap().path()).unwrap();
    let modes: Vec<u32> = files
        .map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o600]);
}

#[test]
fn a_model_proves_what_it_answers_and_for_one_sample_only() {
    let model = hallmark_graph::testing::random_model(3);
    let input = hallmark_graph::testing::random_input(&model, 4);
    let expected = hallmark_graph::reference::run(&model, &input).unwrap();
    let prover = Prover::new(model).unwrap();
    let bytes = prover.graph().encode_input(&input);
    let context = B256::repeat_byte(9);
    let run = prover.prove(context, &bytes).unwrap();
    assert_eq!(run.output, prover.graph().encode_output(&expected));
    assert_eq!(prover.answer(&bytes).unwrap(), run.answer);
    assert!(run.answer.is_some());
    let key = hallmark_proof::VerifyingKey::decode(&prover.verifying_key()).unwrap();
    assert_eq!(
        prover.digest(),
        *blake3::hash(&prover.verifying_key()).as_bytes()
    );
    let verify = |context: B256| {
        hallmark_proof::verify(&key, &input, &expected, &context.0, &run.proof).is_ok()
    };
    assert!(verify(context));
    assert!(!verify(B256::ZERO));
    let short = prover.prove(context, &bytes[1..]).unwrap_err();
    assert!(matches!(short, ProverError::Input(_)), "{short}");
}
