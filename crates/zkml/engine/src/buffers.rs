//! Memory of values that are no longer read, for those that come next.
//!
//! Fresh pages from the system cost more than most operators: a run reuses the buffers of dead
//! values, and a model keeps some between runs.

/// Elements that a model keeps between runs, at most, for every run that went on at once.
const KEPT: usize = 1 << 24;
/// Elements below which a buffer is not worth keeping.
const WORTH: usize = 1 << 10;

/// Free buffers of one run.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Vec<Vec<i32>>,
}

impl Buffers {
    /// A buffer of `len` elements of any content.
    pub(crate) fn take(&mut self, len: usize) -> Vec<i32> {
        if len >= WORTH {
            // Large ones wait for large values.
            let fitting = self.free.iter().enumerate().filter(|(_, buffer)| {
                let capacity = buffer.capacity();
                capacity >= len && capacity <= len.saturating_mul(4)
            });
            let best = fitting.min_by_key(|(_, buffer)| buffer.capacity());
            if let Some((index, _)) = best {
                let mut buffer = self.free.swap_remove(index);
                buffer.resize(len, 0);
                return buffer;
            }
        }
        vec![0; len]
    }

    /// A buffer of `len` zeros.
    pub(crate) fn zeros(&mut self, len: usize) -> Vec<i32> {
        let mut buffer = self.take(len);
        buffer.fill(0);
        buffer
    }

    /// A copy of `values`.
    pub(crate) fn copy(&mut self, values: &[i32]) -> Vec<i32> {
        let mut buffer = self.take(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    /// Takes back the memory of a value.
    pub(crate) fn give(&mut self, buffer: Vec<i32>) {
        if buffer.capacity() >= WORTH {
            self.free.push(buffer);
        }
    }

    /// Frees what is too much to be kept between runs, the largest first.
    pub(crate) fn trim(&mut self) {
        self.free.sort_by_key(Vec::capacity);
        let size = |free: &[Vec<i32>]| {
            free.iter()
                .fold(0usize, |sum, buffer| sum.saturating_add(buffer.capacity()))
        };
        while size(&self.free) > KEPT {
            self.free.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_value_serves_the_next_of_its_size_and_only_so_much_is_kept() {
        let mut buffers = Buffers::default();
        buffers.give(vec![7; 5000]);
        buffers.give(vec![7; 100_000]);
        let buffer = buffers.take(4000);
        assert_eq!((buffer.len(), buffer.capacity()), (4000, 5000));
        assert!(
            buffers.take(4000).iter().all(|v| *v == 0),
            "the large one waits"
        );
        assert!(buffers.zeros(60_000).iter().all(|v| *v == 0));
        buffers.give(vec![1; KEPT]);
        buffers.give(vec![2; 3000]);
        buffers.trim();
        assert_eq!(buffers.free.len(), 1);
    }
}
