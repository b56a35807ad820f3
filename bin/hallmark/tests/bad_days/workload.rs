//! What users see on a bad day: transfers that were acknowledged, and blocks that were final.
//!
//! A writer owns an account and sends its transfers one after the other, each until some validator
//! says that it is final (a receipt). An acknowledgement is written down with the block that holds
//! it. A watcher asks every validator for blocks at random heights and writes down their hashes:
//! two hashes of one height, at any time, from anybody, are a fork.

use crate::network::{call, height, quantity};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use hallmark_node::devnet;
use hallmark_types::LOCAL_CHAIN_ID;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Receives one unit of every transfer: its balance counts them.
pub const REGISTER: Address = Address::repeat_byte(0x51);
/// How long a writer waits for one answer before it asks another validator.
const PATIENCE: Duration = Duration::from_secs(4);

/// A transfer that a validator called final.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub transaction: B256,
    pub writer: usize,
    pub nonce: u64,
    pub height: u64,
    pub block: B256,
}

/// Everything that was seen.
#[derive(Default)]
pub struct Seen {
    pub acknowledged: Vec<Acknowledged>,
    /// Hash of each height that somebody called final.
    blocks: BTreeMap<u64, (B256, SocketAddr)>,
    /// What must never be.
    pub broken: Vec<String>,
}

impl Seen {
    fn block(&mut self, height: u64, hash: B256, from: SocketAddr) {
        let (first, teller) = *self.blocks.entry(height).or_insert((hash, from));
        if first != hash {
            self.broken.push(format!(
                "fork at height {height}: {teller} says {first}, {from} says {hash}"
            ));
        }
    }

    /// Heights of which a hash is known.
    pub fn heights(&self) -> usize {
        self.blocks.len()
    }
}

/// Writers and a watcher, on threads of their own.
pub struct Workload {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workload {
    /// Starts `writers` writers over the development accounts from 0 on.
    pub fn start(seed: u64, writers: usize, rpcs: &[SocketAddr]) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads: Vec<JoinHandle<()>> = (0..writers)
            .map(|writer| {
                let (seen, stop, rpcs) = (seen.clone(), stop.clone(), rpcs.to_vec());
                let random = ChaCha8Rng::seed_from_u64(seed ^ (writer as u64 + 1) << 32);
                std::thread::spawn(move || write(writer, random, &rpcs, &seen, &stop))
            })
            .collect();
        let (watched, ended, rpcs) = (seen.clone(), stop.clone(), rpcs.to_vec());
        let random = ChaCha8Rng::seed_from_u64(seed);
        threads.push(std::thread::spawn(move || {
            watch(random, &rpcs, &watched, &ended);
        }));
        Self {
            seen,
            stop,
            threads,
        }
    }

    /// Transfers acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.seen
            .lock()
            .expect("no writer panicked")
            .acknowledged
            .len()
    }

    /// Fails at once if something that must never be was seen.
    pub fn assert_sound(&self) {
        let broken = self.seen.lock().expect("no writer panicked").broken.clone();
        assert!(broken.is_empty(), "{broken:#?}");
    }

    /// Ends the threads and returns what they saw.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a writer ends");
        }
        let seen = Arc::into_inner(self.seen).expect("the threads ended");
        seen.into_inner().expect("no writer panicked")
    }
}

/// A signed transfer of one unit to [`REGISTER`].
pub fn transfer(signer: &PrivateKeySigner, nonce: u64) -> TxEnvelope {
    let tx = TxEip1559 {
        chain_id: LOCAL_CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(REGISTER),
        value: U256::from(1),
        access_list: Default::default(),
        input: Bytes::new(),
    };
    let signature = signer.sign_hash_sync(&tx.signature_hash());
    tx.into_signed(signature.expect("signed")).into()
}

fn write(
    writer: usize,
    mut random: ChaCha8Rng,
    rpcs: &[SocketAddr],
    seen: &Mutex<Seen>,
    stop: &AtomicBool,
) {
    let signer = PrivateKeySigner::from_bytes(&devnet::account_key(writer)).expect("a key");
    for nonce in 0.. {
        let signed = transfer(&signer, nonce);
        let (hash, raw) = (
            *signed.tx_hash(),
            hex::encode_prefixed(signed.encoded_2718()),
        );
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let to = rpcs[random.random_range(0..rpcs.len())];
            // Refused as known or as already used, or not heard at all: its receipt decides.
            let sent = call(
                to,
                "eth_sendRawTransactionSync",
                &json!([raw, 2_000]),
                PATIENCE,
            );
            let receipt = match sent {
                Ok(receipt) => Some(receipt),
                Err(_) => receipt(to, hash),
            };
            if let Some((height, block)) = receipt.as_ref().and_then(place) {
                let mut seen = seen.lock().expect("no other thread panicked");
                seen.block(height, block, to);
                seen.acknowledged.push(Acknowledged {
                    transaction: hash,
                    writer,
                    nonce,
                    height,
                    block,
                });
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn receipt(at: SocketAddr, hash: B256) -> Option<Value> {
    let receipt = call(at, "eth_getTransactionReceipt", &json!([hash]), PATIENCE).ok()?;
    (!receipt.is_null()).then_some(receipt)
}

/// Height and hash of the block that a receipt names.
fn place(receipt: &Value) -> Option<(u64, B256)> {
    let block = receipt["blockHash"].as_str()?.parse().ok()?;
    Some((quantity(&receipt["blockNumber"])?, block))
}

/// Hash of the block at a height, as the validator at `address` knows it.
pub fn block_hash(address: SocketAddr, height: u64) -> Option<B256> {
    let params = json!([format!("{height:#x}"), false]);
    let block = call(address, "eth_getBlockByNumber", &params, PATIENCE).ok()?;
    block["hash"].as_str()?.parse().ok()
}

fn watch(mut random: ChaCha8Rng, rpcs: &[SocketAddr], seen: &Mutex<Seen>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
        let from = rpcs[random.random_range(0..rpcs.len())];
        let Some(head) = height(from) else { continue };
        // Mostly the newest, where a fork would be.
        let back = if random.random_bool(0.7) {
            random.random_range(0..=3)
        } else {
            random.random_range(0..=head)
        };
        let at = head.saturating_sub(back);
        if let Some(hash) = block_hash(from, at) {
            seen.lock()
                .expect("no other thread panicked")
                .block(at, hash, from);
        }
    }
}

/// Checks, on every validator, that each acknowledged transfer is where it was said to be, that no
/// nonce was used twice, and that the register counts exactly the transfers that happened.
pub fn assert_nothing_lost(seen: &Seen, rpcs: &[SocketAddr]) {
    assert!(seen.broken.is_empty(), "{:#?}", seen.broken);
    assert!(!seen.acknowledged.is_empty(), "nothing was acknowledged");
    let mut writers: BTreeMap<usize, u64> = BTreeMap::new();
    for ack in &seen.acknowledged {
        let next = writers.entry(ack.writer).or_default();
        assert_eq!(ack.nonce, *next, "writer {} in order", ack.writer);
        *next += 1;
        for at in rpcs {
            let found = receipt(*at, ack.transaction).as_ref().and_then(place);
            assert_eq!(
                found,
                Some((ack.height, ack.block)),
                "{at} on {ack:?}, acknowledged before"
            );
        }
    }
    for at in rpcs {
        let ask = |method: &str, address: Address| {
            let answer = call(*at, method, &json!([address, "latest"]), PATIENCE);
            quantity(&answer.expect("an answer")).expect("a quantity")
        };
        // The last transfer of a writer may have happened without an answer.
        let happened: u64 = writers
            .keys()
            .map(|writer| ask("eth_getTransactionCount", devnet::account(*writer)))
            .sum();
        let acknowledged: u64 = writers.values().sum();
        assert_eq!(ask("eth_getBalance", REGISTER), happened, "{at}");
        assert!(
            (acknowledged..=acknowledged + writers.len() as u64).contains(&happened),
            "{at}: {happened} transfers happened, {acknowledged} were acknowledged"
        );
    }
}
