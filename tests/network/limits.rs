//! What the chain spec promises to carry.

use crate::TURN;
use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use hallmark_abi::IInference;
use hallmark_client::Call;
use hallmark_e2e::{Party, SOON, World};
use hallmark_types::addresses;

/// Bytes of the large proof.
const LARGE: usize = 1_500_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_of_one_and_a_half_megabytes_passes_rpc_mempool_block_and_restart() {
    let _turn = TURN.lock().await;
    let mut world = World::start().await;
    let seller = world.client(Party::Seller, 0).await;
    let delivery = IInference::deliverCall {
        id: U256::from(1),
        output: vec![1; 4].into(),
        proof: vec![7; LARGE].into(),
    };
    let data = delivery.abi_encode();
    // The floor is 40 gas a byte; the delivery itself fails, which is not the point.
    let gas = 21_000 + 40 * data.len() as u64 + 5_000_000;
    let call = Call {
        to: addresses::INFERENCE,
        data: data.into(),
        value: U256::ZERO,
        gas: Some(gas),
    };
    let signed = seller.submit(call).await.expect("RPC and mempool take it");
    let receipt = seller.wait_receipt(signed.hash, SOON).await;
    let receipt = receipt.expect("a block takes it");
    assert!(!receipt.status(), "there is no such order");
    let height = receipt.block_number.expect("a block");
    world.wait_height(height).await;
    for node in world.devnet.nodes() {
        let block = node.store().block_by_number(height).expect("the block");
        assert!(block.rlp_len() > LARGE);
    }

    assert!(world.devnet.stop_validator(1));
    world.devnet.restart_validator(1).expect("a restart");
    let node = world.devnet.node(1).expect("the restarted validator");
    let block = node.store().block_by_number(height).expect("the block");
    assert!(block.rlp_len() > LARGE);
    world.wait_height(height + 2).await;
    world.assert_agreement_and_conservation();
}
