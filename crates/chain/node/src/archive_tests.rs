use super::*;
use crate::testing::World;

fn exported(world: &World, blocks: u64) -> (tempfile::TempDir, Store, Vec<u8>) {
    let home = tempfile::tempdir().unwrap();
    let store = world.store(home.path());
    world.extend(&store, blocks);
    let mut file = Vec::new();
    let moved = export(&store, &world.spec, 1, None, &mut file).unwrap();
    assert_eq!((moved.from, moved.to, moved.blocks), (1, blocks, blocks));
    (home, store, file)
}

fn imported(world: &World, file: &[u8]) -> (u64, Result<Moved, ArchiveError>) {
    let home = tempfile::tempdir().unwrap();
    let store = world.store(home.path());
    let moved = import(&store, &world.executor, &mut &file[..], |_, _| {});
    (store.head().block.number(), moved)
}

#[test]
fn a_replay_reaches_the_same_state_and_certificates() {
    let world = World::new();
    let (_home, store, file) = exported(&world, 8);
    let home = tempfile::tempdir().unwrap();
    let copy = world.store(home.path());
    // An executor of its own: nothing is remembered from the first run.
    let executor = executor(world.spec.clone());
    let moved = import(&copy, &executor, &mut &file[..], |_, _| {}).unwrap();
    assert_eq!((moved.blocks, moved.transactions), (8, 8));
    assert_eq!(moved.head, store.head().hash);
    assert_eq!(copy.head().state.root(), store.head().state.root());
    for height in 0..=8 {
        assert_eq!(copy.finalization(height), store.finalization(height));
        assert_eq!(copy.receipts(height), store.receipts(height));
    }
    // Again: nothing new, no fault.
    let again = import(&copy, &executor, &mut &file[..], |_, _| {}).unwrap();
    assert_eq!(again.blocks, 0);
    // And a second file that starts where the folder ends.
    world.extend(&store, 3);
    let mut more = Vec::new();
    export(&store, &world.spec, 9, Some(11), &mut more).unwrap();
    assert_eq!(
        import(&copy, &executor, &mut &more[..], |_, _| {})
            .unwrap()
            .blocks,
        3
    );
    assert_eq!(copy.head().hash, store.head().hash);
}

#[test]
fn ranges_that_cannot_be_proved_are_refused() {
    let world = World::new();
    let (_home, store, _) = exported(&world, 8);
    let refused = |from, to| {
        export(&store, &world.spec, from, to, &mut Vec::new())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(0, None).contains("first block is 1"));
    assert!(refused(5, Some(4)).contains("not after the last"));
    assert!(refused(1, Some(9)).contains("the head is 8"));
    assert!(refused(1, Some(6)).contains("through block 7"));
    // A file that begins above the folder's end.
    let mut late = Vec::new();
    export(&store, &world.spec, 4, Some(8), &mut late).unwrap();
    let (height, error) = imported(&world, &late);
    assert_eq!(height, 0);
    assert!(error.unwrap_err().to_string().contains("ends at block 0"));
}

#[test]
fn a_cut_file_commits_a_final_prefix_and_says_where_it_ends() {
    let world = World::new();
    let (_home, _store, file) = exported(&world, 5);
    for length in (0..file.len()).step_by(97).chain([file.len() - 1]) {
        let (height, moved) = imported(&world, &file[..length]);
        let error = moved.unwrap_err();
        match &error {
            ArchiveError::NotAnArchive => assert!(length < 64),
            ArchiveError::Truncated(cut) => assert!(height < *cut, "{error}"),
            ArchiveError::Checksum => assert_eq!(height, 5),
            error => panic!("{length}: {error}"),
        }
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(matches!(
        imported(&world, &longer).1.unwrap_err(),
        ArchiveError::Checksum
    ));
}

#[test]
fn every_flipped_bit_is_noticed_and_nothing_false_is_committed() {
    let world = World::new();
    let (_home, store, file) = exported(&world, 3);
    for place in (0..file.len()).step_by(53) {
        let mut changed = file.clone();
        changed[place] ^= 1 << (place % 8);
        let home = tempfile::tempdir().unwrap();
        let copy = world.store(home.path());
        let moved = import(&copy, &world.executor, &mut &changed[..], |_, _| {});
        assert!(moved.is_err(), "byte {place}");
        let height = copy.head().block.number();
        assert_eq!(
            copy.block_hash(height),
            store.block_hash(height),
            "byte {place}"
        );
    }
}

#[test]
fn lengths_are_refused_before_anything_is_allocated() {
    let world = World::new();
    let (_home, _store, file) = exported(&world, 2);
    let mut long = file.clone();
    long[64..68].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = imported(&world, &long).1.unwrap_err();
    assert!(
        matches!(
            error,
            ArchiveError::TooLong {
                height: 1,
                what: "the block",
                ..
            }
        ),
        "{error}"
    );
    let block = u32::from_be_bytes([file[64], file[65], file[66], file[67]]) as usize;
    let mut long = file.clone();
    long[68 + block..72 + block].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = imported(&world, &long).1.unwrap_err();
    assert!(
        matches!(
            error,
            ArchiveError::TooLong {
                what: "the certificate",
                ..
            }
        ),
        "{error}"
    );
    // A range of 2^64 blocks: the file ends long before.
    let mut endless = file.clone();
    endless[56..64].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(imported(&world, &endless).1.is_err());
}

#[test]
fn blocks_of_another_chain_are_refused_by_name() {
    let world = World::new();
    let (_home, _store, file) = exported(&world, 2);
    let mut other = World::new();
    other.spec.genesis_timestamp_ms += 1;
    let other_executor = executor(other.spec.clone());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), &other.spec, &other_executor.genesis()).unwrap();
    let error = import(&store, &other_executor, &mut &file[..], |_, _| {}).unwrap_err();
    assert!(matches!(error, ArchiveError::OtherChain { .. }), "{error}");
    let error = import(&store, &other_executor, &mut &b"PK\x03\x04"[..], |_, _| {}).unwrap_err();
    assert!(matches!(error, ArchiveError::NotAnArchive), "{error}");
}

#[test]
fn a_certificate_of_too_few_or_of_another_block_commits_nothing() {
    let world = World::new();
    let (_home, store, _) = exported(&world, 2);
    let block = store.block_by_number(1).unwrap();
    let few =
        hallmark_consensus::certificate::assemble(&world.spec, &world.seeds[..2], &block.header)
            .unwrap();
    let other = world.certificate(&store.block_by_number(2).unwrap().header);
    for (certificate, is_covered) in [(few, true), (other, true), (Vec::new(), false)] {
        let mut file = Vec::new();
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&world.spec.chain_id.to_be_bytes());
        file.extend_from_slice(world.spec.hash().as_slice());
        file.extend_from_slice(&1u64.to_be_bytes());
        file.extend_from_slice(&1u64.to_be_bytes());
        for bytes in [&block.to_rlp(), &certificate] {
            file.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            file.extend_from_slice(bytes);
        }
        let hash = blake3::hash(&file);
        file.extend_from_slice(hash.as_bytes());
        let (height, moved) = imported(&world, &file);
        assert_eq!(height, 0);
        match moved.unwrap_err() {
            ArchiveError::Certificate { height: 1, .. } => assert!(is_covered),
            ArchiveError::Uncovered(1) => assert!(!is_covered),
            error => panic!("{error}"),
        }
    }
}
