//! Calls of contract `Topics` with any data, submissions and ends of blocks: nothing panics, money is
//! conserved, and the contract can pay what it owes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hallmark_contracts::topics::fuzz::run(bytes);
});
