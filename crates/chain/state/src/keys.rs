//! The hashes under which slots lie in a storage trie, remembered.
//!
//! A block reads a slot, compares it and writes it, each by its hash, and the next block does so again; a
//! contract that settles hundreds of accounts spends most of its time there. Which hashes are remembered
//! changes no result.

use std::sync::LazyLock;

use alloy_primitives::{B256, U256, keccak256};
use parking_lot::Mutex;

/// Slots that are remembered, a power of two: some 2 MB in the process, whoever asks.
const PLACES: usize = 1 << 15;

/// Every slot has one place; the latest there is remembered.
static KNOWN: LazyLock<Vec<Mutex<(U256, B256)>>> = LazyLock::new(|| {
    let zero = hashed(&U256::ZERO);
    (0..PLACES)
        .map(|_| Mutex::new((U256::ZERO, zero)))
        .collect()
});

/// Keccak-256 of a slot.
pub(crate) fn slot_key(slot: &U256) -> B256 {
    // Slots of mappings are hashes, those of structs lie side by side: the low bits differ in both.
    let [low, ..] = *slot.as_limbs();
    let place = &KNOWN[low as usize % PLACES];
    // Who would have to wait for the place is quicker without.
    let Some(mut known) = place.try_lock() else {
        return hashed(slot);
    };
    if known.0 != *slot {
        *known = (*slot, hashed(slot));
    }
    known.1
}

fn hashed(slot: &U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_share_a_place_have_each_their_own_hash() {
        let place = U256::from(PLACES);
        let slots = [U256::ZERO, place, U256::MAX, place << 100, U256::from(7)];
        for _ in 0..3 {
            for slot in &slots {
                assert_eq!(slot_key(slot), hashed(slot), "{slot}");
            }
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for slot in slots.iter().cycle().take(2_000) {
                        assert_eq!(slot_key(slot), hashed(slot), "{slot}");
                    }
                });
            }
        });
    }
}
