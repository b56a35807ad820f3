//! Bad days of four real processes: killed, stopped, out of disk, flooded.
//!
//! The default run takes a slice by a fixed seed. The whole suite of kills is
//! `HALLMARK_KILLS=200 cargo test --release -p hallmark --test bad_days kills`, another seed
//! `HALLMARK_SEED=n`; a failing run prints both.

mod disk;
mod flood;
mod kills;
mod network;
mod workload;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The networks take turns: together they would only starve each other.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    // A test that failed says nothing about the next.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}
