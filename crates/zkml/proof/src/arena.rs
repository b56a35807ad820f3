//! Buffers of vectors that are lent, returned and lent again: the first touch of a page costs more
//! than the arithmetic on what it holds.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::packed::Packed;

/// Vectors that wait to be lent, at most: some 600 MiB, what the lookups of a large model take.
const KEPT: usize = 1 << 21;

static FREE: Mutex<Vec<Vec<Packed>>> = Mutex::new(Vec::new());

/// Vectors of unspecified content. They go back when they are dropped.
#[derive(Default)]
pub(crate) struct Buffer {
    vectors: Vec<Packed>,
    len: usize,
}

impl Buffer {
    pub(crate) fn new(len: usize) -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(_, buffer): &(usize, &Vec<Packed>)| buffer.len() >= len;
        let best = free.iter().enumerate().filter(fits);
        let vectors = match best.min_by_key(|(_, buffer)| buffer.len()) {
            // Far longer ones wait for those who need them.
            Some((at, buffer)) if buffer.len() / 4 <= len => free.swap_remove(at),
            _ => {
                drop(free);
                // By all threads: the pages are fresh.
                let mut fresh = Vec::with_capacity(len);
                fresh.par_extend(rayon::iter::repeat_n(Packed::ZERO, len).with_min_len(1 << 10));
                fresh
            }
        };
        Self { vectors, len }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let vectors = std::mem::take(&mut self.vectors);
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = free.iter().map(Vec::len).sum();
        if !vectors.is_empty() && kept + vectors.len() <= KEPT {
            free.push(vectors);
        }
    }
}

impl Deref for Buffer {
    type Target = [Packed];

    fn deref(&self) -> &[Packed] {
        &self.vectors[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [Packed] {
        &mut self.vectors[..self.len]
    }
}
