//! Validators stop, come back, and arrive late.

use crate::TURN;
use hallmark_e2e::{Party, World};
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_paid_with_one_validator_of_four_down_and_it_rejoins() {
    let _turn = TURN.lock().await;
    let mut world = World::start().await;
    let provider = world.provider(Party::Seller, 0, "seller").await;
    let buyer = world.client(Party::Buyer, 1).await;
    world.order_and_wait(&buyer, 1).await;

    assert!(world.devnet.stop_validator(3));
    let (_, paid) = world.order_and_wait(&buyer, 2).await;
    world.order_and_wait(&buyer, 3).await;

    let restarted = world.devnet.restart_validator(3);
    restarted.expect("a restart on the same folder");
    let (_, last) = world.order_and_wait(&buyer, 4).await;
    world.wait_height(last.block_number).await;
    let node = world.devnet.node(3).expect("the restarted validator");
    let missed = node.store().block_by_number(paid.block_number);
    assert!(missed.is_some(), "it caught up on what it missed");
    world.assert_agreement_and_conservation();
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_validator_verifies_from_chain_state_alone() {
    let _turn = TURN.lock().await;
    let mut world = World::start().await;
    let provider = world.provider(Party::Seller, 0, "seller").await;
    let buyer = world.client(Party::Buyer, 1).await;
    assert!(world.devnet.stop_validator(2));
    std::fs::remove_dir_all(world.dir.path().join("validator-2")).expect("its folder is gone");
    let (_, paid) = world.order_and_wait(&buyer, 1).await;

    // It comes back with nothing: no chain, no model file, no cache.
    let restarted = world.devnet.restart_validator(2);
    restarted.expect("a start on an empty folder");
    world.wait_height(paid.block_number).await;
    let node = world.devnet.node(2).expect("the fresh validator");
    let counters = node.executor().counters();
    assert_eq!(counters.proof_verifications.load(Ordering::SeqCst), 1);
    world.assert_agreement_and_conservation();
    provider.stop().await;
}
