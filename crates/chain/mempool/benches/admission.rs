//! How fast a pool admits, and what a flood leaves in memory.
//!
//! Admission is everything from bytes to a queue: decoding, recovering the sender, checking it against
//! the state, one thread. Then the block that carries what was admitted, and a flood of 100,000
//! transactions of each kind of junk. Prints one JSON object a case. Run:
//! `cargo bench -p hallmark-mempool --bench admission`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use hallmark_execution::Executor;
use hallmark_mempool::Mempool;
use hallmark_types::{ChainSpec, MARK, ValidatorSpec};
use rayon::prelude::*;

const SENDERS: u64 = 1_000;
const FLOOD: u64 = 100_000;

fn main() {
    let signers: Vec<_> = (1..=SENDERS)
        .map(|number| {
            let key = B256::left_padding_from(&number.to_be_bytes());
            PrivateKeySigner::from_bytes(&key).expect("a valid key")
        })
        .collect();
    let funds = U256::from(MARK);
    let alloc: BTreeMap<_, _> = signers
        .iter()
        .map(|signer| (signer.address(), funds))
        .collect();
    let validators = vec![ValidatorSpec::local([1; 32], Address::repeat_byte(0xa1))];
    let treasury = Address::repeat_byte(0x77);
    let spec = Arc::new(ChainSpec::local(
        1_700_000_000_000,
        validators,
        alloc,
        treasury,
    ));
    let executor = Arc::new(Executor::new(spec.clone()));
    let head = executor.genesis().state;
    let pool = Mempool::new(spec.clone(), executor);
    let sign = |signer: &PrivateKeySigner, nonce: u64, tip: u128| {
        let tx = TxEip1559 {
            chain_id: spec.chain_id,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(Address::repeat_byte(9)),
            value: U256::from(1),
            access_list: Default::default(),
            input: Bytes::new(),
        };
        let hash = tx.signature_hash();
        let signature = signer.sign_hash_sync(&hash).expect("a local key signs");
        TxEnvelope::from(tx.into_signed(signature)).encoded_2718()
    };

    let room = spec.limits.mempool_max_txs as u64;
    let sound: Vec<_> = (0..room)
        .into_par_iter()
        .map(|index| sign(&signers[(index % SENDERS) as usize], index / SENDERS, 5))
        .collect();
    let taken = add_all(&pool, &head, &sound);
    assert_eq!(pool.len() as u64, room, "all are admitted");
    report("sound transactions", sound.len(), taken, &pool);

    let began = Instant::now();
    let best = pool.best(&head, 1_000_000_000, u64::MAX, usize::MAX);
    assert_eq!(best.len(), pool.len());
    report("offered to a proposer", best.len(), began.elapsed(), &pool);

    let bytes: Vec<_> = (0..FLOOD)
        .map(|index| alloy_primitives::keccak256(index.to_be_bytes()).repeat(4))
        .collect();
    let taken = add_all(&pool, &head, &bytes);
    report("a flood of bytes", bytes.len(), taken, &pool);

    let strangers: Vec<_> = (0..FLOOD)
        .into_par_iter()
        .map(|index| {
            let key = B256::left_padding_from(&(index + 1_000_000).to_be_bytes());
            let stranger = PrivateKeySigner::from_bytes(&key).expect("a valid key");
            sign(&stranger, 0, 9)
        })
        .collect();
    let taken = add_all(&pool, &head, &strangers);
    report(
        "a flood by accounts without coins",
        strangers.len(),
        taken,
        &pool,
    );

    let cheap: Vec<_> = (0..FLOOD)
        .into_par_iter()
        .map(|index| {
            sign(
                &signers[(index % SENDERS) as usize],
                20 + index / SENDERS,
                5,
            )
        })
        .collect();
    let taken = add_all(&pool, &head, &cheap);
    report("a flood by accounts with coins", cheap.len(), taken, &pool);
    assert!(pool.len() as u64 <= room, "the pool keeps its bound");
}

fn add_all(pool: &Mempool, head: &hallmark_state::State, raw: &[Vec<u8>]) -> Duration {
    let began = Instant::now();
    for raw in raw {
        // What is refused is part of what is measured.
        let _ = pool.add_raw(raw, head);
    }
    began.elapsed()
}

fn report(case: &str, count: usize, taken: Duration, pool: &Mempool) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss = rss.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    println!(
        "{}",
        serde_json::json!({
            "case": case,
            "transactions": count,
            "per_second": (count as f64 / taken.as_secs_f64()).round(),
            "pooled": pool.len(),
            "rss_mb": rss.unwrap_or(0) / 1024,
        })
    );
}
