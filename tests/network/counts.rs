//! Each validator checks for itself, and once.

use crate::TURN;
use hallmark_e2e::{Party, World};
use std::sync::atomic::Ordering;

/// What one validator has done so far.
#[derive(Debug)]
struct Done {
    proof_verifications: u64,
    sender_recoveries: u64,
    /// In its chain.
    transactions: u64,
}

fn done(world: &World) -> Vec<Done> {
    let nodes = world.devnet.nodes();
    let done = nodes.map(|node| {
        let store = node.store();
        let blocks = (1..=store.head().block.number()).filter_map(|h| store.block_by_number(h));
        let counters = node.executor().counters();
        Done {
            proof_verifications: counters.proof_verifications.load(Ordering::SeqCst),
            sender_recoveries: counters.sender_recoveries.load(Ordering::SeqCst),
            transactions: blocks.map(|block| block.transactions.len() as u64).sum(),
        }
    });
    done.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_validator_verifies_a_proof_and_recovers_a_sender_once_per_transaction() {
    let _turn = TURN.lock().await;
    let world = World::start().await;
    let provider = world.provider(Party::Seller, 0, "seller").await;
    let buyer = world.client(Party::Buyer, 1).await;
    world.settle().await;

    let before = done(&world);
    for seed in 0..3 {
        let (_, paid) = world.order_and_wait(&buyer, seed).await;
        world.wait_height(paid.block_number).await;
    }
    for (i, (new, old)) in done(&world).iter().zip(&before).enumerate() {
        let transactions = new.transactions - old.transactions;
        assert_eq!(transactions, 9, "order, claim and delivery, three times");
        let recoveries = new.sender_recoveries - old.sender_recoveries;
        assert_eq!(
            recoveries, 9,
            "validator {i}: one recovery for each transaction"
        );
        let verifications = new.proof_verifications - old.proof_verifications;
        assert_eq!(
            verifications, 3,
            "validator {i}: one verification for each delivery"
        );
    }
    world.assert_agreement_and_conservation();
    provider.stop().await;
}
