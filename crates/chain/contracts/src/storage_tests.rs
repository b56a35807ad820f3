use alloy_primitives::{Address, B256, U256, keccak256};
use hallmark_types::addresses::INFERENCE;
use proptest::prelude::*;

use crate::{
    Host,
    inference::{Deposit, Inference, Order, SealingKey},
    models::{Model, Models},
    storage::{Layout, Place, StorageBytes, StorageVec},
    testing::{MemoryHost, spec},
    verifier::Verifier,
};

/// Golden: state roots depend on every line. A change here is a change of the protocol.
#[test]
fn every_field_lies_where_it_always_lay() {
    assert_eq!(
        Models::layout(),
        [
            ("max_key_bytes", 0, 0, 4),
            ("max_tensor_bytes", 0, 4, 4),
            ("max_owner_share_bps", 0, 8, 2),
            ("max_transaction_gas", 0, 10, 8),
            ("calldata_floor", 0, 18, 4),
            ("calldata_price", 0, 22, 4),
            ("ids", 1, 0, 32),
            ("models", 2, 0, 32),
        ]
    );
    assert_eq!(
        Model::layout(),
        [
            ("owner", 0, 0, 20),
            ("owner_share_bps", 0, 20, 2),
            ("active", 0, 22, 1),
            ("key_size", 0, 23, 4),
            ("price", 1, 0, 16),
            ("registered_at", 1, 16, 8),
            ("content_size", 1, 24, 8),
            ("digest", 2, 0, 32),
            ("commitment", 3, 0, 32),
            ("content_hash", 4, 0, 32),
            ("verify_gas", 5, 0, 8),
            ("max_proof_bytes", 5, 8, 4),
            ("output_bytes", 5, 12, 4),
            ("name", 6, 0, 32),
            ("uri", 7, 0, 32),
            ("inputs", 8, 0, 32),
            ("key", 9, 0, 32),
            ("private_verify_gas", 10, 0, 8),
            ("max_private_proof_bytes", 10, 8, 4),
            ("masked_output_bytes", 10, 12, 4),
        ]
    );
    assert_eq!(
        Inference::layout(),
        [
            ("claim_window_ms", 0, 0, 8),
            ("bond_bps", 0, 8, 2),
            ("network_bps", 0, 10, 2),
            ("max_open_claims_per_seller", 0, 12, 4),
            ("max_input_bytes", 0, 16, 4),
            ("sweep_per_block", 0, 20, 4),
            ("min_bond", 1, 0, 16),
            ("treasury", 2, 0, 20),
            ("liabilities", 3, 0, 16),
            ("order_count", 3, 16, 8),
            ("sweep_cursor", 3, 24, 8),
            ("open_orders", 4, 0, 32),
            ("orders", 5, 0, 32),
            ("deposits", 6, 0, 32),
            ("sealing_keys", 7, 0, 32),
            ("sealing_sellers", 8, 0, 32),
        ]
    );
    assert_eq!(
        Order::layout(),
        [
            ("buyer", 0, 0, 20),
            ("level", 0, 20, 1),
            ("status", 0, 21, 1),
            ("owner_share_bps", 0, 22, 2),
            ("network_bps", 0, 24, 2),
            ("verifier_version", 0, 26, 2),
            ("model", 1, 0, 32),
            ("price", 2, 0, 16),
            ("ordered_at_ms", 2, 16, 8),
            ("deadline_ms", 2, 24, 8),
            ("input_hash", 3, 0, 32),
            ("seller", 4, 0, 20),
            ("open_index", 4, 20, 8),
            ("bond", 5, 0, 16),
            ("claimed_at_ms", 5, 16, 8),
            ("window_end_ms", 5, 24, 8),
            ("anchor", 6, 0, 32),
            ("output_hash", 7, 0, 32),
            ("compensation_left", 8, 0, 16),
            ("input", 9, 0, 32),
            ("output", 10, 0, 32),
            ("sellers", 11, 0, 32),
        ]
    );
    assert_eq!(
        Deposit::layout(),
        [
            ("free", 0, 0, 16),
            ("locked", 0, 16, 16),
            ("open_claims", 1, 0, 4)
        ]
    );
    assert_eq!(
        SealingKey::layout(),
        [("key", 0, 0, 32), ("index", 1, 0, 8)]
    );
    assert_eq!(
        Verifier::layout(),
        [("base_gas", 0, 0, 8), ("gas_per_byte", 0, 8, 8)]
    );
}

fn host() -> MemoryHost {
    MemoryHost::new(&spec(&[]))
}

fn bytes() -> StorageBytes {
    StorageBytes::at(Place::root(Address::repeat_byte(1)))
}

#[test]
fn a_mapping_hashes_key_then_slot() {
    let mut host = host();
    let order = Inference::new().orders.at(U256::from(7));
    order
        .input_hash
        .write(&mut host, B256::repeat_byte(3))
        .unwrap();
    let mut preimage = [0; 64];
    preimage[31] = 7;
    preimage[63] = 5;
    let slot = U256::from_be_bytes(keccak256(preimage).0) + U256::from(3);
    assert_eq!(
        host.sload(INFERENCE, slot).unwrap(),
        U256::from_be_bytes([3; 32])
    );
}

#[test]
fn neighbours_in_a_slot_do_not_disturb_each_other() {
    let mut host = host();
    let deposit = Inference::new().deposits.at(Address::repeat_byte(2));
    deposit.free.write(&mut host, u128::MAX).unwrap();
    deposit.locked.write(&mut host, 5).unwrap();
    deposit.free.write(&mut host, 1).unwrap();
    assert_eq!(deposit.free.read(&mut host).unwrap(), 1);
    assert_eq!(deposit.locked.read(&mut host).unwrap(), 5);
}

#[test]
fn short_bytes_lie_in_their_slot_as_in_solidity() {
    let mut host = host();
    bytes().write(&mut host, b"abc").unwrap();
    let mut expected = [0; 32];
    expected[..3].copy_from_slice(b"abc");
    expected[31] = 6;
    let word = host.sload(Address::repeat_byte(1), U256::ZERO).unwrap();
    assert_eq!(word.to_be_bytes(), expected);
}

#[test]
fn long_bytes_lie_behind_the_hash_of_their_slot() {
    let mut host = host();
    bytes().write(&mut host, &[7; 40]).unwrap();
    let head = host.sload(Address::repeat_byte(1), U256::ZERO).unwrap();
    assert_eq!(head, U256::from(81));
    let data = U256::from_be_bytes(keccak256([0; 32]).0);
    let first = host.sload(Address::repeat_byte(1), data).unwrap();
    assert_eq!(first.to_be_bytes(), [7; 32]);
}

#[test]
fn bytes_that_shrink_leave_nothing_behind() {
    let mut host = host();
    bytes().write(&mut host, &[7; 100]).unwrap();
    bytes().write(&mut host, &[]).unwrap();
    assert!(
        host.storage()
            .get(&Address::repeat_byte(1))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_list_fills_the_hole_of_a_removed_element() {
    let mut host = host();
    let list = StorageVec::<U256>::at(Place::root(Address::repeat_byte(1)));
    for value in 10..13 {
        list.push(&mut host, U256::from(value)).unwrap();
    }
    assert_eq!(
        list.swap_remove(&mut host, 0).unwrap(),
        Some(U256::from(12))
    );
    assert_eq!(list.swap_remove(&mut host, 1).unwrap(), None);
    assert_eq!(
        list.page(&mut host, U256::ZERO, U256::MAX).unwrap(),
        [U256::from(12)]
    );
    assert!(
        list.page(&mut host, U256::MAX, U256::MAX)
            .unwrap()
            .is_empty()
    );
    assert!(list.swap_remove(&mut host, 1).is_err());
}

proptest! {
    #[test]
    fn bytes_read_back_however_they_were_written(
        writes in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..100)), 1..8)
    ) {
        let mut host = host();
        let mut model = Vec::new();
        for (append, chunk) in writes {
            if append {
                bytes().append(&mut host, &chunk).unwrap();
                model.extend(chunk);
            } else {
                bytes().write(&mut host, &chunk).unwrap();
                model = chunk;
            }
            prop_assert_eq!(bytes().read(&mut host).unwrap(), model.clone());
            prop_assert_eq!(bytes().len(&mut host).unwrap(), model.len());
            let words = host.storage().get(&Address::repeat_byte(1)).map_or(0, |w| w.len());
            prop_assert!(words <= 1 + model.len().div_ceil(32));
        }
    }
}
