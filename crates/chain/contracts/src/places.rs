//! Where the values of mappings lie, remembered.
//!
//! The value of `key` in the mapping at `slot` lies at `keccak256(key ‖ slot)`. A settlement asks for the
//! same few hundred places in every slice and every epoch, and hashing was a third of what it cost. Which
//! places are remembered changes no result: each is kept with the whole question that it answers.

use std::sync::{LazyLock, Mutex};

use alloy_primitives::{U256, keccak256};

/// Places that are remembered, a power of two: some 2 MB in the process, whoever asks.
const PLACES: usize = 1 << 14;

/// A question and its answer.
#[derive(Clone, Copy)]
struct Known {
    key: U256,
    slot: U256,
    place: U256,
}

/// Every question has one entry; the latest there is remembered.
static KNOWN: LazyLock<Vec<Mutex<Known>>> = LazyLock::new(|| {
    let (key, slot) = (U256::ZERO, U256::ZERO);
    let place = hashed(key, slot);
    let known = Known { key, slot, place };
    (0..PLACES).map(|_| Mutex::new(known)).collect()
});

/// `keccak256(key ‖ slot)`.
pub(crate) fn of_mapping(key: U256, slot: U256) -> U256 {
    // Who would have to wait for the entry is quicker without.
    let Some(mut known) = KNOWN
        .get(entry(key, slot))
        .and_then(|it| it.try_lock().ok())
    else {
        return hashed(key, slot);
    };
    if known.key != key || known.slot != slot {
        let place = hashed(key, slot);
        *known = Known { key, slot, place };
    }
    known.place
}

/// Keys are small numbers or addresses, slots are small numbers or hashes: what differs is in the low bits of
/// either.
fn entry(key: U256, slot: U256) -> usize {
    let ([key, ..], [slot, ..]) = (*key.as_limbs(), *slot.as_limbs());
    // The golden ratio in 64 bits spreads neighbours.
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(slot);
    let mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_shr(32);
    usize::try_from(mixed).unwrap_or(0) & PLACES.saturating_sub(1)
}

fn hashed(key: U256, slot: U256) -> U256 {
    let mut bytes = [0; 64];
    let (left, right) = bytes.split_at_mut(32);
    left.copy_from_slice(&key.to_be_bytes::<32>());
    right.copy_from_slice(&slot.to_be_bytes::<32>());
    keccak256(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_share_an_entry_have_each_their_own_answer() {
        let low = U256::from(u64::MAX);
        let numbers = [
            U256::ZERO,
            U256::from(1),
            low,
            low << 64,
            U256::MAX,
            U256::from(1) << 200,
        ];
        for _ in 0..3 {
            for key in numbers {
                for slot in numbers {
                    assert_eq!(of_mapping(key, slot), hashed(key, slot), "{key} {slot}");
                }
            }
        }
        // Of these pairs many have the same low bits, so that the test is about shared entries.
        assert_eq!(entry(numbers[0], numbers[0]), entry(numbers[3], numbers[5]));
    }

    #[test]
    fn many_threads_that_ask_at_once_hear_the_same() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..2_000u64 {
                        let (key, slot) = (U256::from(number % 7), U256::from(number % 3) << 70);
                        assert_eq!(of_mapping(key, slot), hashed(key, slot));
                    }
                });
            }
        });
    }

    #[test]
    fn the_slots_of_a_topic_have_entries_of_their_own() {
        let mapping: U256 = keccak256([7]).into();
        let mut entries: Vec<_> = (0..256u64)
            .map(|slot| entry(U256::from(slot), mapping))
            .collect();
        entries.sort_unstable();
        entries.dedup();
        assert!(entries.len() > 250, "{}", entries.len());
    }
}
