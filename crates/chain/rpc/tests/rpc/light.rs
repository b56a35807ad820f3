//! What a client can check by itself: how far the node is, and what an account holds.

use crate::world::{World, certificate, init_code};
use alloy_consensus::{Header, TrieAccount};
use alloy_network::TransactionBuilder;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_provider::Provider;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_trie::{Nibbles, proof::verify_proof};
use hallmark_rpc::StateProof;
use serde_json::{Value, json};

/// Runtime code: stores 42 in slot 7.
const STORER: &[u8] = &[0x60, 0x2a, 0x60, 0x07, 0x55, 0x00];

/// The account that a proof shows, checked against the header in the same answer.
fn checked(proof: &StateProof) -> Option<TrieAccount> {
    let header: Header = alloy_rlp::decode_exact(&proof.finality.header).unwrap();
    assert_eq!(header.hash_slow(), proof.finality.hash);
    let account = TrieAccount {
        nonce: proof.account.nonce,
        balance: proof.account.balance,
        storage_root: proof.account.storage_hash,
        code_hash: proof.account.code_hash,
    };
    let known = account != TrieAccount::default();
    let value = known.then(|| alloy_rlp::encode(account));
    let key = Nibbles::unpack(keccak256(proof.account.address));
    verify_proof(header.state_root, key, value, &proof.account.account_proof).unwrap();
    for slot in &proof.account.storage_proof {
        let key = Nibbles::unpack(keccak256(slot.key.as_b256()));
        let value = (!slot.value.is_zero()).then(|| alloy_rlp::encode(slot.value));
        verify_proof(account.storage_root, key, value, &slot.proof).unwrap();
    }
    known.then_some(account)
}

#[tokio::test]
async fn an_account_and_its_slots_are_proven_up_to_a_certificate() {
    let world = World::new();
    let client = world.client();
    let deploy = TransactionRequest::default().with_deploy_code(init_code(STORER));
    let sent = *client.send_transaction(deploy).await.unwrap().tx_hash();
    assert_eq!(world.mine().block.transactions[0].tx_hash(), &sent);
    let contract = world.alice.address().create(0);
    let call = TransactionRequest::default().with_to(contract);
    let sent = *client.send_transaction(call).await.unwrap().tx_hash();
    assert_eq!(world.mine().block.transactions[0].tx_hash(), &sent);
    let (code, text) = world
        .refused("net_stateProof", json!([contract, ["0x7"]]))
        .await;
    // Block 2 has no certificate of its own and no descendant yet.
    assert_eq!(
        (code, text.as_str()),
        (-32000, "no certificate covers block 2 yet")
    );
    let third = world.mine();

    let ask = async |address: Address, slots: Value, block: &str| -> StateProof {
        let answer = world
            .ask("net_stateProof", json!([address, slots, block]))
            .await;
        serde_json::from_value(answer).unwrap()
    };
    let proof = ask(contract, json!(["0x7", "0x8"]), "latest").await;
    assert_eq!(proof.finality.hash, third.hash);
    assert_eq!(proof.finality.certificate, certificate(3));
    let account = checked(&proof).unwrap();
    assert_eq!(account.code_hash, keccak256(STORER));
    let values: Vec<U256> = proof
        .account
        .storage_proof
        .iter()
        .map(|slot| slot.value)
        .collect();
    assert_eq!(values, [U256::from(42), U256::ZERO]);

    // The state after block 1, proven by that block's own certificate: nothing was stored yet.
    let before = ask(contract, json!(["0x7"]), "0x1").await;
    assert_eq!(before.finality.certificate, certificate(1));
    checked(&before).unwrap();
    assert_eq!(before.account.storage_proof[0].value, U256::ZERO);

    let absent = ask(Address::repeat_byte(0x99), json!([]), "latest").await;
    assert_eq!(checked(&absent), None);
    let slots = vec![B256::ZERO; 257];
    let (code, text) = world
        .refused("net_stateProof", json!([contract, slots]))
        .await;
    assert_eq!(
        (code, text.as_str()),
        (-32005, "too many slots: at most 256")
    );
    let (code, _) = world
        .refused("net_stateProof", json!([contract, [], "0x0"]))
        .await;
    assert_eq!(code, -32000);
}

#[tokio::test]
async fn a_node_that_is_behind_says_how_far() {
    let world = World::new();
    world.mine();
    // Within the ordinary distance between agreement and disk.
    world.store.note_tip(33);
    assert_eq!(world.ask("eth_syncing", json!([])).await, json!(false));
    world.store.note_tip(40);
    // An older tip changes nothing.
    world.store.note_tip(2);
    let behind = world.ask("eth_syncing", json!([])).await;
    let heights = json!({"startingBlock": "0x0", "currentBlock": "0x1", "highestBlock": "0x28"});
    assert_eq!(behind, heights);
    for _ in 0..7 {
        world.mine();
    }
    assert_eq!(world.ask("eth_syncing", json!([])).await, json!(false));
}
