//! Memory of an epoch of Yuma is linear in validators times slots: a program that counts what it allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hallmark_mechanisms::yuma::{Epoch, LiquidAlpha, Params, Row, State, Version, settle};

/// Bytes in use, and the most that ever were.
static USED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(used, Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that one epoch needs beside its input, every validator weighing every worker.
fn epoch_bytes(slots: u16, validators: u16, version: Version) -> usize {
    let count = usize::from(slots);
    let row: Row = (validators..slots)
        .map(|worker| (worker, 1 + worker % 977))
        .collect();
    let mut weights = vec![row; usize::from(validators)];
    weights.resize(count, Row::new());
    let stake: Vec<u128> = (0..slots)
        .map(|slot| u128::from(slot < validators))
        .collect();
    let params = Params {
        version,
        liquid_alpha: (version == Version::Three).then_some(LiquidAlpha {
            low: 45_875,
            high: 58_982,
            steepness: 1_000,
        }),
        max_validators: usize::from(validators),
        ..Params::default()
    };
    let mut state = State::empty(count);
    state.permits[..usize::from(validators)].fill(true);
    let (blocks, registered) = (vec![900; count], vec![0; count]);
    let epoch = Epoch {
        block: 1_000,
        last_step_block: 640,
        stake: &stake,
        last_update: &blocks,
        registered: &registered,
        weights: &weights,
        commitments: &[],
    };
    // The second epoch has bonds.
    settle(&params, &epoch, &mut state).unwrap();
    let before = USED.load(Relaxed);
    MOST.store(before, Relaxed);
    let outcome = settle(&params, &epoch, &mut state).unwrap();
    assert!(outcome.settlement.pays());
    MOST.load(Relaxed) - before
}

#[test]
fn an_epoch_needs_bytes_by_validators_times_slots_and_never_by_the_square_of_slots() {
    for version in [Version::Two, Version::Three] {
        let few = epoch_bytes(1_024, 16, version);
        let wide = epoch_bytes(4_096, 16, version);
        let many = epoch_bytes(1_024, 64, version);
        println!("{version:?}: 1,024 x 16 {few}, 4,096 x 16 {wide}, 1,024 x 64 {many} bytes");
        // Four times the slots, or four times the validators, are four times the bytes; a matrix of all
        // slots would be sixteen times and above 2^24 entries.
        assert!(wide < few * 5, "{few} {wide}");
        assert!(many < few * 5, "{few} {many}");
        assert!(wide < 4_096 * 16 * 128, "{wide}");
    }
}
