//! A flood of proofs that fail at the last check: what it costs the network, and whom.
//!
//! One cheat holds a claim and delivers the same wrong proof again and again: honest but for the
//! last field elements, those of the opening's final sumcheck, so that the verifier finds out as
//! late as it can. Every delivery is included, charged and refused. Prints one JSON object. Run:
//! `cargo bench -p hallmark-e2e --bench flood`.

use hallmark_client::Client;
use hallmark_e2e::{Party, SOON, World};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Deliveries of the flood.
const DELIVERIES: usize = 60;
/// Bytes of a base field element, little-endian.
const ELEMENT: usize = 4;

fn main() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(flood());
}

/// The honest proof with a change in one of its last eight field elements, another for each number.
fn wrong(honest: &[u8], number: usize) -> Vec<u8> {
    let mut proof = honest.to_vec();
    let at = proof.len() - ELEMENT * (1 + number % 8);
    // The lowest byte: the element stays below the modulus.
    proof[at] ^= 1 + u8::try_from(number / 8).expect("few deliveries");
    proof
}

async fn flood() {
    // A window that outlasts the flood on any machine.
    let world = World::start_with(|spec| spec.market.claim_window_ms = 120_000).await;
    let buyer = world.client(Party::Buyer, 1).await;
    let cheat = world.bonded_client(Party::Cheat, 2).await;
    let input = world.input(1);
    let id = world.order_for(&buyer, &input, 300_000).await;
    cheat.claim(id).await.expect("a claim");
    let trace = world.trace(&input);
    let output = world.output(&trace);
    let bytes = world.model.graph.encode_output(&output);
    let honest = world.prove(&cheat, id, &trace).await;
    let context = cheat.order_context(id).await.expect("context");
    let verify = |proof: &[u8]| {
        let started = Instant::now();
        let key = world.proving.verifying_key();
        let verdict = hallmark_proof::verify(key, &input, &output, &context.0, proof);
        (verdict, started.elapsed().as_micros() as u64)
    };
    let (sound, honest_us) = verify(&honest);
    sound.expect("an honest proof");
    let (late, wrong_us) = verify(&wrong(&honest, 0));
    late.expect_err("a wrong proof");

    world.settle().await;
    let order = cheat.get_order(id).await.expect("the order");
    let start = cheat.block_number().await.expect("height");
    let before = verifications(&world);
    let (cpu, started) = (cpu_ms(), Instant::now());
    let mut sent = Vec::new();
    for number in 0..DELIVERIES {
        // Each differs, so that no cache of verdicts can answer.
        let proof = wrong(&honest, number);
        let call = cheat.deliver_call(&order, &bytes, &proof).await;
        let signed = cheat.submit(call.expect("a call")).await;
        sent.push(signed.expect("accepted by the pool").hash);
    }
    let mut gas = 0;
    for hash in sent {
        let receipt = cheat.wait_receipt(hash, SOON).await.expect("included");
        assert!(!receipt.status(), "a wrong proof is never paid");
        gas += receipt.gas_used;
    }
    let wall = started.elapsed().as_millis();
    world.settle().await;
    let cpu = cpu_ms() - cpu;
    let verified = verifications(&world) - before;
    let (p50, max) = block_gaps(&world, &cheat, start).await;
    let blocks = cheat.block_number().await.expect("height") - start;
    assert_eq!(
        cheat.order_context(id).await.ok(),
        Some(context),
        "the claim stays"
    );
    world.assert_agreement_and_conservation();
    println!(
        "{{\"deliveries\":{DELIVERIES},\"proof_bytes\":{},\"verify_us\":{{\"honest\":{honest_us},\"wrong\":{wrong_us}}},\"wall_ms\":{wall},\"cpu_ms\":{cpu},\"verifications\":{verified},\"gas_per_delivery\":{},\"blocks\":{blocks},\"block_interval_ms\":{{\"p50\":{p50},\"max\":{max}}}}}",
        honest.len(),
        gas / DELIVERIES as u64,
    );
}

/// Proofs checked by all validators together.
fn verifications(world: &World) -> u64 {
    let nodes = world.devnet.nodes();
    nodes
        .map(|n| {
            n.executor()
                .counters()
                .proof_verifications
                .load(Ordering::SeqCst)
        })
        .sum()
}

/// Median and longest time between blocks since a height, in milliseconds.
async fn block_gaps(world: &World, client: &Client, start: u64) -> (u64, u64) {
    let end = client.block_number().await.expect("height");
    world.wait_height(end).await;
    let store = world.devnet.node(0).expect("running").store();
    let blocks = (start..=end).filter_map(|h| store.block_by_number(h));
    let times: Vec<u64> = blocks.map(|b| b.timestamp_ms()).collect();
    let mut gaps: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_unstable();
    (
        gaps.get(gaps.len() / 2).copied().unwrap_or(0),
        gaps.last().copied().unwrap_or(0),
    )
}

/// User and system time of this process in milliseconds (Linux).
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() * 10
}
