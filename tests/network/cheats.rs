//! Cheats on chain: each is refused for its own reason, unpaid, and loses its bond.

use crate::TURN;
use alloy_primitives::U256;
use hallmark_client::{Client, ClientError, Status};
use hallmark_e2e::{DEPOSIT, PRICE, Party, SOON, World, key, small_model};
use hallmark_engine::Prepared;
use hallmark_types::addresses;
use std::time::Duration;

/// Shorter than the default, so that the test sees the windows close.
const WINDOW_MS: u64 = 3_000;
const CHEATS: u64 = 7;

/// Claims an order and gives what a delivery needs.
async fn claimed(world: &World, buyer: &Client, cheat: &Client, seed: u64) -> U256 {
    let input = world.input(seed);
    let id = world.order_for(buyer, &input, 2 * WINDOW_MS + 1_000).await;
    cheat.claim(id).await.expect("a claim");
    id
}

/// Delivers a lie and expects the chain to refuse the proof; its words.
async fn refused(world: &World, cheat: &Client, id: U256, output: &[i32], proof: &[u8]) -> String {
    let verdict = world.deliver(cheat, id, output, proof).await;
    let (_, reason) = verdict.expect_err("a lie is not paid");
    assert_eq!(reason.name, "ProofRefused", "{reason}");
    reason.arguments.join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cheat_is_refused_for_its_own_reason_unpaid_and_slashed() {
    let _turn = TURN.lock().await;
    let world = World::start_with(|spec| {
        spec.market.claim_window_ms = WINDOW_MS;
        spec.limits.max_parent_gap_ms = WINDOW_MS / 3;
    })
    .await;
    let buyer = world.client(Party::Buyer, 1).await;
    let seller = world.bonded_client(Party::Seller, 0).await;
    let cheat = world.bonded_client(Party::Cheat, 2).await;

    // An honest delivery, to be copied later.
    let paid = claimed(&world, &buyer, &seller, 0).await;
    let honest = world.trace(&world.input(0));
    let honest_output = world.output(&honest);
    let honest_proof = world.prove(&seller, paid, &honest).await;
    let delivered = world.deliver(&seller, paid, &honest_output, &honest_proof);
    delivered.await.expect("an honest delivery is paid");
    let again = world.deliver(&seller, paid, &honest_output, &honest_proof);
    let (_, reason) = again.await.expect_err("nothing is paid twice");
    assert_eq!(reason.name, "WrongStatus", "{reason}");
    world.settle().await;
    let spent_before = buyer.balance(key(Party::Buyer).address()).await;
    let spent_before = spent_before.expect("a balance");
    let burned_before = buyer.balance(addresses::BURN).await.expect("burned");

    let mut orders = Vec::new();
    let mut reasons = Vec::new();

    // An output changed, under an honest proof of the true one.
    let id = claimed(&world, &buyer, &cheat, 1).await;
    let trace = world.trace(&world.input(1));
    let proof = world.prove(&cheat, id, &trace).await;
    let mut output = world.output(&trace);
    output[0] = if output[0] == 0 { 1 } else { 0 };
    reasons.push(refused(&world, &cheat, id, &output, &proof).await);
    orders.push(id);

    // One flipped byte in the proof.
    let id = claimed(&world, &buyer, &cheat, 2).await;
    let trace = world.trace(&world.input(2));
    let mut proof = world.prove(&cheat, id, &trace).await;
    let middle = proof.len() / 2;
    proof[middle] ^= 1;
    let output = world.output(&trace);
    reasons.push(refused(&world, &cheat, id, &output, &proof).await);
    orders.push(id);

    // The witness of another input under the order's true statement: an equation refuses it.
    let id = claimed(&world, &buyer, &cheat, 3).await;
    let trace = world.trace(&world.input(30));
    let output = world.output(&trace);
    let context = cheat.order_context(id).await.expect("context");
    let input = world.input(3);
    let statement =
        hallmark_proof::prove_statement(&world.proving, &input, &output, &trace, &context.0);
    let proof = statement.expect("a prover that lies");
    reasons.push(refused(&world, &cheat, id, &output, &proof).await);
    orders.push(id);

    // A proof of another model.
    let id = claimed(&world, &buyer, &cheat, 4).await;
    let other = small_model(2);
    let proving = hallmark_proof::setup(&other).expect("setup");
    let prepared = Prepared::new(other).expect("the engine");
    let trace = hallmark_engine::trace(&prepared, &world.input(4)).expect("a run");
    let context = cheat.order_context(id).await.expect("context");
    let proof = hallmark_proof::prove(&proving, &trace, &context.0).expect("a proof");
    reasons.push(refused(&world, &cheat, id, &world.output(&trace), &proof).await);
    orders.push(id);

    // The proof of another order with the very same input, copied from the chain.
    let id = claimed(&world, &buyer, &cheat, 0).await;
    let (bytes, copied) = cheat.delivery(paid).await.expect("a public delivery");
    let output = world.model.graph.decode_output(&bytes).expect("an output");
    reasons.push(refused(&world, &cheat, id, &output, &copied).await);
    orders.push(id);

    // An honest proof, delivered by one who does not hold the claim.
    let id = claimed(&world, &buyer, &cheat, 5).await;
    let trace = world.trace(&world.input(5));
    let proof = world.prove(&cheat, id, &trace).await;
    let output = world.output(&trace);
    let stolen = world.deliver(&seller, id, &output, &proof);
    let (_, reason) = stolen.await.expect_err("only the claimant delivers");
    assert_eq!(reason.name, "NotSeller", "{reason}");
    orders.push(id);

    // Claims and vanishes.
    orders.push(claimed(&world, &buyer, &cheat, 6).await);
    assert_eq!(orders.len() as u64, CHEATS);
    let distinct: std::collections::BTreeSet<_> = reasons.iter().collect();
    assert!(distinct.len() >= 4, "each for its own reason: {reasons:#?}");

    // The windows close: bonds are slashed, the chain's own sweep refunds the buyer.
    for id in &orders {
        let settled = async {
            loop {
                let order = buyer.get_order(*id).await.expect("the order");
                if order.status.is_final() {
                    return order.status;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let status = tokio::time::timeout(SOON, settled).await;
        assert_eq!(status.expect("the sweep comes"), Status::Refunded, "{id}");
        let paid = buyer.wait_paid(*id, SOON).await;
        assert!(matches!(paid, Err(ClientError::EndedUnpaid { .. })));
    }
    world.settle().await;
    let bonds = U256::from(CHEATS) * world.spec().market.min_bond;
    let deposit = buyer.deposit_of(key(Party::Cheat).address()).await;
    let deposit = deposit.expect("a deposit");
    assert_eq!(
        deposit.free,
        U256::from(DEPOSIT) - bonds,
        "every bond is gone"
    );
    assert_eq!((deposit.locked, deposit.open_claims), (U256::ZERO, 0));
    let burned = buyer.balance(addresses::BURN).await.expect("burned");
    assert!(
        burned - burned_before > bonds / U256::from(2),
        "most of it is burned"
    );

    // The buyer has every escrow back; what a slash gives it is less than the gas it spent.
    let balance = buyer.balance(key(Party::Buyer).address()).await;
    let balance = balance.expect("a balance");
    assert!(balance < spent_before, "a buyer gains nothing from cheats");
    let lost = spent_before - balance;
    assert!(lost < U256::from(PRICE), "every escrow came back: {lost}");
    let liabilities = buyer.liabilities().await.expect("liabilities");
    assert_eq!(liabilities, U256::from(DEPOSIT) + deposit.free);
    world.assert_agreement_and_conservation();
}
