//! A bounded memory of results that are expensive to compute: senders and proof verdicts.
//!
//! Both are pure functions of bytes that the key commits to, so an entry can never speak for other
//! bytes. Two threads that ask for the same result at once share one computation, so that the
//! count of computations is the count of different questions.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use alloy_primitives::B256;
use parking_lot::Mutex;

type Slot<V> = Arc<OnceLock<V>>;

/// Results by key, in two generations: the older is forgotten when the younger is full.
pub(crate) struct Memo<V> {
    /// Entries of a generation.
    capacity: usize,
    generations: Mutex<Generations<V>>,
}

struct Generations<V> {
    young: HashMap<B256, Slot<V>>,
    old: HashMap<B256, Slot<V>>,
}

impl<V: Clone> Memo<V> {
    /// An empty memory of at most `2 * capacity` results.
    pub(crate) fn new(capacity: usize) -> Self {
        let generations = Generations {
            young: HashMap::new(),
            old: HashMap::new(),
        };
        Self {
            capacity,
            generations: Mutex::new(generations),
        }
    }

    /// The result for `key`; `compute` runs only if it is not remembered.
    pub(crate) fn get_or(&self, key: B256, compute: impl FnOnce() -> V) -> V {
        // The lock is not held while computing.
        let slot = self.slot(key);
        slot.get_or_init(compute).clone()
    }

    fn slot(&self, key: B256) -> Slot<V> {
        let mut generations = self.generations.lock();
        if let Some(slot) = generations.young.get(&key) {
            return slot.clone();
        }
        let slot = generations.old.get(&key).cloned().unwrap_or_default();
        if generations.young.len() >= self.capacity {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key, slot.clone());
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn key(i: u64) -> B256 {
        B256::left_padding_from(&i.to_be_bytes())
    }

    #[test]
    fn one_question_is_computed_once_also_by_many_threads() {
        let memo = Memo::new(16);
        let computed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let answer = memo.get_or(key(1), || {
                        computed.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        42
                    });
                    assert_eq!(answer, 42);
                });
            }
        });
        assert_eq!(computed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_the_recent() {
        let memo = Memo::new(16);
        for i in 0..100 {
            assert_eq!(memo.get_or(key(i), || i), i);
        }
        {
            let generations = memo.generations.lock();
            assert!(generations.young.len() + generations.old.len() <= 32);
        }
        assert_eq!(
            memo.get_or(key(99), || 0),
            99,
            "the last result is remembered"
        );
        assert_eq!(memo.get_or(key(0), || 7), 7, "the first is forgotten");
    }
}
