//! Everything at once from people with bad intent: junk transactions, oversized requests,
//! subscriptions that nobody reads, strangers on the validators' port.
//!
//! The default run sends a tenth. `HALLMARK_FLOOD=1 cargo test --release -p hallmark --test bad_days
//! flood -- --nocapture` sends everything (100,000 transactions, 10,000 subscriptions), prints the
//! figures, and also checks that blocks keep their pace, which says something on an idle machine only.

use crate::network::{Network, call, post, quantity};
use crate::workload::{Workload, assert_nothing_lost, transfer};
use crate::{setting, turn};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, hex};
use alloy_signer_local::PrivateKeySigner;
use hallmark_node::devnet;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Accounts with honest transfers beside the flood.
const WRITERS: usize = 2;
/// A development account that has coin and sends junk.
const SPAMMER: usize = 3;
/// Requests of a batch, and subscriptions of a connection, that a node takes.
const BATCH: usize = 100;
const SUBSCRIPTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);
/// Most resident memory that one validator may ever have had, kilobytes.
const MEMORY: u64 = 1_000_000;

struct Flood {
    transactions: usize,
    subscriptions: usize,
    strangers: usize,
    oversized: usize,
}

#[test]
fn a_flood_of_junk_leaves_memory_bounded_and_the_chain_going() {
    let _turn = turn();
    let whole = setting("HALLMARK_FLOOD", 0) > 0;
    let flood = if whole {
        Flood {
            transactions: 100_000,
            subscriptions: 10_000,
            strangers: 200,
            oversized: 50,
        }
    } else {
        Flood {
            transactions: 10_000,
            subscriptions: 1_000,
            strangers: 50,
            oversized: 10,
        }
    };
    let mut network = Network::start(SPAMMER + 1);
    let rpcs = network.rpcs();
    let workload = Workload::start(11, WRITERS, &rpcs[1..]);
    let target = rpcs[0];
    let first = network.height(1).expect("it runs");
    let started = Instant::now();

    let readers = slow_readers(target, flood.subscriptions);
    let strangers = strangers(network.p2p(0), flood.strangers);
    let junk = thread::spawn(move || junk(target, flood.transactions));
    let large = thread::spawn(move || oversized(target, flood.oversized));
    let (sent, admitted) = junk.join().expect("the sender of junk ends");
    large.join().expect("the sender of large requests ends");
    let seconds = started.elapsed().as_secs_f64();
    let last = network.height(1).expect("it runs");
    for index in 0..4 {
        network.assert_alive(index);
    }
    // What is held now is what the flood made them hold.
    let peaks: Vec<u64> = network
        .running()
        .iter()
        .map(|i| peak(network.pid(*i)))
        .collect();
    let (p50, p99) = intervals(rpcs[1], first, last);
    println!(
        "{{\"transactions\":{sent},\"admitted\":{admitted},\"subscriptions\":{},\"strangers\":{},\"seconds\":{seconds:.1},\"blocks\":{},\"block_interval_ms\":{{\"p50\":{p50},\"p99\":{p99}}},\"peak_rss_kb\":{peaks:?}}}",
        readers.len() * SUBSCRIPTIONS,
        strangers.len(),
        last - first,
    );
    assert!(last > first, "the chain went on");
    assert!(peaks.iter().all(|kb| *kb <= MEMORY), "{peaks:?} kB");
    if whole {
        assert!(
            p99 <= 2 * p50,
            "blocks were delayed: p50 {p50} ms, p99 {p99} ms"
        );
    }
    drop((readers, strangers));

    // The door that was flooded serves again.
    let seen = workload.stop();
    let last = seen.acknowledged.iter().map(|ack| ack.height).max();
    network.wait_height(
        last.expect("honest transfers went through the flood") + 2,
        crate::network::SOON,
    );
    assert_nothing_lost(&seen, &rpcs);
    for index in 0..4 {
        let printed = network.printed(index);
        assert!(
            !printed.contains("panicked"),
            "validator {index}: {printed}"
        );
    }
}

/// Sends junk of every kind in batches: bytes, signatures by nobody, nonces far ahead, and real
/// transfers that replace each other. Returns how many were sent and how many were admitted.
fn junk(target: SocketAddr, count: usize) -> (usize, usize) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let spammer = PrivateKeySigner::from_bytes(&devnet::account_key(SPAMMER)).expect("a key");
    let poor = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x77)).expect("a key");
    let far: Vec<Vec<u8>> = (0..BATCH as u64)
        .map(|n| transfer(&spammer, 1_000 + n).encoded_2718())
        .collect();
    let unpaid = transfer(&poor, 0).encoded_2718();
    let (mut sent, mut admitted) = (0, 0);
    while sent < count {
        let batch: Vec<_> = (0..BATCH)
            .map(|id| {
                let raw = match random.random_range(0..4) {
                    0 => {
                        let mut bytes = vec![0; random.random_range(0..600)];
                        random.fill_bytes(&mut bytes);
                        bytes
                    }
                    1 => far[id].clone(),
                    _ => {
                        // Another signature recovers to another sender, who owns nothing.
                        let mut bytes = unpaid.clone();
                        let at = bytes.len() - random.random_range(1..64);
                        bytes[at] ^= random.random_range(1..=255);
                        bytes
                    }
                };
                json!({ "jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction",
                        "params": [hex::encode_prefixed(raw)] })
            })
            .collect();
        let body = serde_json::to_vec(&batch).expect("JSON");
        // A node that defends itself may refuse the whole batch.
        if let Ok(answer) = post(target, &body, PATIENCE) {
            let answers: Vec<serde_json::Value> =
                serde_json::from_slice(&answer).unwrap_or_default();
            admitted += answers.iter().filter(|a| a.get("result").is_some()).count();
        }
        sent += BATCH;
    }
    (sent, admitted)
}

/// Bodies beyond the limit, and one that is announced and never sent.
fn oversized(target: SocketAddr, count: usize) {
    for number in 0..count {
        let Ok(mut stream) = TcpStream::connect(target) else {
            continue;
        };
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let length = if number % 2 == 0 {
            64 << 20
        } else {
            usize::MAX >> 2
        };
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        // The node may close the connection at any point of this.
        let _ = stream.write_all(head.as_bytes());
        let block = vec![b'['; 1 << 20];
        for _ in 0..64 {
            if stream.write_all(&block).is_err() {
                break;
            }
        }
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(
            !answer.contains(" 200 "),
            "64 MiB of brackets are no request: {answer}"
        );
    }
}

/// WebSockets with as many subscriptions as a connection may have, that never read a notice.
fn slow_readers(target: SocketAddr, subscriptions: usize) -> Vec<TcpStream> {
    (0..subscriptions.div_ceil(SUBSCRIPTIONS))
        .filter_map(|_| slow_reader(target).ok())
        .collect()
}

fn slow_reader(target: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    if &head != b"HTTP/1.1 101" {
        return Err(std::io::Error::other("no WebSocket"));
    }
    for id in 0..SUBSCRIPTIONS {
        let what = if id % 2 == 0 { "newHeads" } else { "logs" };
        let text =
            json!({ "jsonrpc": "2.0", "id": id, "method": "eth_subscribe", "params": [what] });
        stream.write_all(&frame(text.to_string().as_bytes()))?;
    }
    Ok(stream)
}

/// A masked text frame (RFC 6455, section 5.2) of at most 125 bytes, with a mask of zeros.
fn frame(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    assert!(length <= 125, "a short frame");
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(text);
    frame
}

/// Connections to the port of validators by somebody who is none: silence, noise, and noise that
/// begins like a long message. They are kept open.
fn strangers(target: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    (0..count)
        .filter_map(|number| {
            let mut stream = TcpStream::connect_timeout(&target, PATIENCE).ok()?;
            stream.set_write_timeout(Some(PATIENCE)).ok()?;
            let mut noise = vec![0; random.random_range(1..100_000)];
            random.fill_bytes(&mut noise);
            match number % 3 {
                0 => {}
                // The node may hang up in the middle.
                1 => drop(stream.write_all(&noise)),
                _ => {
                    noise[..4].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
                    drop(stream.write_all(&noise));
                }
            }
            Some(stream)
        })
        .collect()
}

/// Most resident memory that a process ever had, kilobytes (Linux).
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    let figure = line.and_then(|l| l.split_whitespace().nth(1));
    figure.and_then(|f| f.parse().ok()).expect("kilobytes")
}

/// Median and 99th percentile of the time between blocks, milliseconds, by their headers.
fn intervals(at: SocketAddr, first: u64, last: u64) -> (u64, u64) {
    let time = |height: u64| -> Option<u64> {
        let params = json!([format!("{height:#x}"), false]);
        let block = call(at, "eth_getBlockByNumber", &params, PATIENCE).ok()?;
        let extra = hex::decode(block["extraData"].as_str()?).ok()?;
        // The first two bytes are the milliseconds (docs/protocol.md).
        let ms = u64::from(u16::from_be_bytes([*extra.first()?, *extra.get(1)?]));
        Some(quantity(&block["timestamp"])? * 1_000 + ms)
    };
    let times: Vec<u64> = (first..=last).filter_map(time).collect();
    let mut gaps: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_unstable();
    let at = |share: f64| {
        let index = (gaps.len() as f64 * share) as usize;
        gaps.get(index.min(gaps.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    };
    (at(0.5), at(0.99))
}
