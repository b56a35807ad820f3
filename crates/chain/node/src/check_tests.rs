use super::*;
use crate::testing::World;
use hallmark_state::STORE_FILE;

#[test]
fn a_sound_folder_has_no_faults() {
    let world = World::new();
    let home = tempfile::tempdir().unwrap();
    let store = world.store(home.path());
    world.extend(&store, 7);
    drop(store);
    let found = check(home.path(), &world.spec, |_, _| {}).unwrap();
    assert_eq!(found.faults, Vec::<String>::new());
    assert_eq!((found.height, found.certified), (7, 7));
    assert_eq!((found.transactions, found.certificates), (7, 5));
}

#[test]
fn a_false_certificate_is_found_at_its_block() {
    let world = World::new();
    let home = tempfile::tempdir().unwrap();
    let store = world.store(home.path());
    world.extend(&store, 2);
    // The certificate of block 1 in the place of that of block 3.
    let wrong = store.finalization(1).unwrap();
    let head = store.head();
    let built = {
        let attributes = hallmark_execution::BlockAttributes {
            timestamp_ms: head.block.timestamp_ms() + 100,
            epoch: 0,
            view: 3,
            parent_view: 2,
            leader: 0,
            beneficiary: world.spec.validators[0].address,
        };
        world
            .executor
            .build_block(
                &head.block.header,
                &head.state,
                attributes,
                Vec::new(),
                &store,
            )
            .unwrap()
    };
    store.commit(&built.executed, wrong).unwrap();
    drop(store);
    let found = check(home.path(), &world.spec, |_, _| {}).unwrap();
    assert_eq!(found.fault_count, 1, "{:?}", found.faults);
    assert!(
        found.faults[0].starts_with("block 3: the certificate"),
        "{:?}",
        found.faults
    );
}

#[test]
fn a_folder_without_a_database_is_refused_and_none_is_made() {
    let world = World::new();
    let home = tempfile::tempdir().unwrap();
    let error = check(home.path(), &world.spec, |_, _| {}).unwrap_err();
    assert!(matches!(error, ArchiveError::NoDatabase(_)), "{error}");
    assert!(!home.path().join(STORE_FILE).exists());
}

#[test]
fn flipped_bytes_of_the_database_are_found() {
    let world = World::new();
    let home = tempfile::tempdir().unwrap();
    let store = world.store(home.path());
    world.extend(&store, 5);
    drop(store);
    let path = home.path().join(STORE_FILE);
    let sound = std::fs::read(&path).unwrap();
    // Where the last block's transfer is written down: in its block, and nowhere else.
    let needle = {
        let store = world.store(home.path());
        let block = store.block_by_number(4).unwrap();
        let rlp = block.to_rlp();
        rlp[rlp.len() - 40..].to_vec()
    };
    let places: Vec<usize> = sound
        .windows(needle.len())
        .enumerate()
        .filter(|(_, window)| *window == needle)
        .map(|(place, _)| place)
        .collect();
    assert!(!places.is_empty(), "the block is on disk in one piece");
    let mut damaged = sound;
    for place in places {
        damaged[place + 3] ^= 1;
    }
    std::fs::write(&path, damaged).unwrap();
    match check(home.path(), &world.spec, |_, _| {}) {
        Err(_) => {}
        Ok(found) => assert!(found.fault_count > 0, "the damage was not found"),
    }
}
