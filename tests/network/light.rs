//! A light client beside a live network, across several epochs.

use crate::TURN;
use alloy_primitives::U256;
use hallmark_client::light::{Light, LightError};
use hallmark_client::{ReceiptError, receipt};
use hallmark_e2e::{Party, World, key};
use hallmark_types::addresses::INFERENCE;

/// Short, so that a run crosses several.
const EPOCH_BLOCKS: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_light_client_follows_from_genesis_and_verifies_a_receipt_of_a_later_epoch() {
    let _turn = TURN.lock().await;
    let world = World::start_with(|spec| spec.staking.epoch_blocks = EPOCH_BLOCKS).await;
    let provider = world.provider(Party::Seller, 0, "seller").await;
    let buyer = world.client(Party::Buyer, 1).await;
    world.wait_height(2 * EPOCH_BLOCKS).await;
    let (id, paid) = world.order_and_wait(&buyer, 1).await;
    provider.stop().await;
    let epoch = paid.block_number / EPOCH_BLOCKS;
    assert!(
        epoch >= 2,
        "beyond the epochs that the spec names the validators of"
    );

    let node = world.client(Party::Buyer, 2).await;
    let mut light = Light::from_spec(world.spec().clone());
    let file = light
        .order_receipt(&node, id)
        .await
        .expect("a verified receipt");
    // The spec alone does not know who signed it.
    let alone = receipt::verify(&file, world.spec());
    assert!(
        matches!(alone, Err(ReceiptError::UnknownCommittee(e)) if e >= epoch),
        "{alone:?}"
    );
    let unpaid = light.order_receipt(&node, id + U256::from(1)).await;
    assert!(matches!(unpaid, Err(LightError::Node(_))), "{unpaid:?}");

    let seller = key(Party::Seller).address();
    let account = light.account(&node, seller, &[]).await.expect("proven");
    assert_eq!(
        account.balance,
        node.balance(seller).await.expect("a balance")
    );
    let market = light.account(&node, INFERENCE, &[]).await.expect("proven");
    assert!(market.storage_hash != alloy_consensus::EMPTY_ROOT_HASH);
    assert!(light.number() >= paid.block_number);
    world.assert_agreement_and_conservation();
}
