//! Time to apply a block's changes to a large state and to get the new root.
//!
//! `cargo run --release -p hallmark-state --example apply`
//!
//! 100,000 accounts with one slot each; a block changes 2,000 accounts (balance, nonce and slot).

use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use hallmark_state::{Account, AccountDiff, State, StateDiff};

const ACCOUNTS: u64 = 100_000;
const UPDATES: u64 = 2_000;
const BLOCKS: u64 = 20;

fn change(round: u64, numbers: impl Iterator<Item = u64>) -> StateDiff {
    let accounts = numbers.map(|number| {
        let balance = U256::from(number + round + 1);
        let info = Some(Account {
            nonce: round,
            balance,
            ..Account::default()
        });
        let storage = [(U256::from(number % 4), balance)].into();
        let address = Address::left_padding_from(&(number + 1).to_be_bytes());
        (
            address,
            AccountDiff {
                info,
                storage,
                wiped: false,
            },
        )
    });
    StateDiff {
        accounts: accounts.collect(),
        ..StateDiff::default()
    }
}

fn main() {
    let start = Instant::now();
    let mut state = State::empty().apply(&change(0, 0..ACCOUNTS));
    println!("build, {ACCOUNTS} accounts: {:?}", start.elapsed());
    let start = Instant::now();
    println!("first root: {} in {:?}", state.root(), start.elapsed());

    let (mut applying, mut hashing) = (Duration::ZERO, Duration::ZERO);
    for round in 1..=BLOCKS {
        // A fixed stride spreads the updates; the prime makes rounds differ.
        let numbers = (0..UPDATES).map(|n| (n * 49 + round * 7_919) % ACCOUNTS);
        let diff = change(round, numbers);
        let start = Instant::now();
        let next = state.apply(&diff);
        applying += start.elapsed();
        let start = Instant::now();
        next.root();
        hashing += start.elapsed();
        state = next;
    }
    let per_block = |total: Duration| total / u32::try_from(BLOCKS).expect("few blocks");
    println!(
        "apply, {UPDATES} accounts: {:?} per block",
        per_block(applying)
    );
    println!("root after it: {:?} per block", per_block(hashing));

    let start = Instant::now();
    let reads = (0..ACCOUNTS).filter(|number| {
        let address = Address::left_padding_from(&(number + 1).to_be_bytes());
        state.account(&address).is_some()
    });
    let found = u32::try_from(reads.count()).expect("few accounts");
    println!(
        "account read: {:?} ({found} found)",
        start.elapsed() / found.max(1)
    );
}
