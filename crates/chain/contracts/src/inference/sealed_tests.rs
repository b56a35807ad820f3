use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use hallmark_abi::{IInference, IVerifier, inference::IInference::Status};
use hallmark_types::addresses;

use super::sealed::MAX_SELLERS;
use crate::{
    models::Models,
    testing::{Verdicts, expect_revert},
    verifier,
    world::{BUYER, INPUT, PRICE, RIVAL, SELLER, STRANGER, World, secret, wei},
};

fn sealing_sellers(world: &mut World) -> Vec<Address> {
    let page = IInference::sealingSellersCall {
        offset: U256::ZERO,
        limit: U256::from(100),
    };
    world.act(STRANGER, page).unwrap()
}

fn key_of(world: &mut World, seller: Address) -> B256 {
    let question = IInference::sealingKeyCall { seller };
    world.act(STRANGER, question).unwrap()
}

fn set_key(world: &mut World, seller: Address, key: B256) {
    let call = IInference::setSealingKeyCall { key };
    world.act(seller, call).unwrap();
}

// keys

#[test]
fn a_seller_sets_changes_and_takes_away_its_key() {
    let mut world = World::new();
    assert!(sealing_sellers(&mut world).is_empty());
    for (seller, byte) in [(SELLER, 1), (RIVAL, 2), (STRANGER, 3), (RIVAL, 4)] {
        set_key(&mut world, seller, B256::repeat_byte(byte));
        assert_eq!(key_of(&mut world, seller), B256::repeat_byte(byte));
    }
    assert_eq!(sealing_sellers(&mut world), [SELLER, RIVAL, STRANGER]);
    set_key(&mut world, SELLER, B256::ZERO);
    assert_eq!(key_of(&mut world, SELLER), B256::ZERO);
    assert_eq!(sealing_sellers(&mut world), [STRANGER, RIVAL]);
    set_key(&mut world, SELLER, B256::ZERO);
    set_key(&mut world, STRANGER, B256::ZERO);
    assert_eq!(sealing_sellers(&mut world), [RIVAL]);
    let event = &world.host.logs().last().unwrap().1;
    let event = IInference::SealingKeySet::decode_log_data(event).unwrap();
    assert_eq!((event.seller, event.key), (STRANGER, B256::ZERO));
}

#[test]
fn sellers_are_listed_in_pages() {
    let mut world = World::new();
    for seller in [SELLER, RIVAL, STRANGER] {
        world.set_sealing_key(seller);
    }
    let page = |offset: u64, limit: u64| IInference::sealingSellersCall {
        offset: U256::from(offset),
        limit: U256::from(limit),
    };
    assert_eq!(world.act(BUYER, page(1, 1)).unwrap(), [RIVAL]);
    assert_eq!(world.act(BUYER, page(1, 100)).unwrap(), [RIVAL, STRANGER]);
    assert!(world.act(BUYER, page(3, 100)).unwrap().is_empty());
    expect_revert::<IInference::LimitTooLarge>(world.act(BUYER, page(0, 101)));
}

// ordering

#[test]
fn a_sealed_order_keeps_commitment_sellers_and_envelope() {
    let mut world = World::new();
    let before = world.host.balance_of(BUYER);
    let id = world.sealed_order(1, &[SELLER, RIVAL]);
    let call = world.sealed_call(1, &[SELLER, RIVAL]);
    let order = world.get(id);
    assert!(order.isSealed);
    assert_eq!(order.inputHash, call.commitment);
    assert_eq!((order.buyer, order.price), (BUYER, PRICE));
    assert_eq!((order.status, order.verifierVersion), (Status::Open, 5));
    assert_eq!(verifier::VERSION, 5);
    assert_eq!(before - world.host.balance_of(BUYER), wei(PRICE));
    let envelope = world.act(STRANGER, IInference::inputCall { id }).unwrap();
    assert_eq!(envelope, call.envelope);
    let sellers = world.act(STRANGER, IInference::sellersCall { id }).unwrap();
    assert_eq!(sellers, [SELLER, RIVAL]);
    let event = &world.host.logs().last().unwrap().1;
    let event = IInference::Sealed::decode_log_data(event).unwrap();
    assert_eq!((event.id, event.sellers), (id, vec![SELLER, RIVAL]));
    world.check_invariants();
}

#[test]
fn an_open_order_names_no_one() {
    let mut world = World::new();
    let id = world.order();
    assert!(!world.get(id).isSealed);
    let sellers = world.act(STRANGER, IInference::sellersCall { id }).unwrap();
    assert!(sellers.is_empty());
    let unknown = IInference::sellersCall { id: U256::from(9) };
    expect_revert::<IInference::UnknownOrder>(world.act(STRANGER, unknown));
}

#[test]
fn a_commitment_that_is_not_canonical_is_refused() {
    let mut world = World::new();
    world.set_sealing_key(SELLER);
    // p itself, in the first of eight elements.
    let mut modulus = [0; 32];
    modulus[..4].copy_from_slice(&0x7f00_0001u32.to_le_bytes());
    for commitment in [B256::repeat_byte(0xff), B256::new(modulus)] {
        let call = IInference::orderSealedCall {
            commitment,
            ..world.sealed_call(1, &[SELLER])
        };
        let result = world.pay(BUYER, wei(PRICE), call);
        let error = expect_revert::<IInference::InvalidCommitment>(result);
        assert_eq!(error.commitment, commitment);
    }
}

#[test]
fn a_sealed_order_names_one_to_eight_sellers_each_once_each_with_a_key() {
    let mut world = World::new();
    let many: Vec<Address> = (1..=9).map(Address::repeat_byte).collect();
    for seller in &many {
        world.set_sealing_key(*seller);
    }
    for sellers in [&many[..], &[]] {
        let call = world.sealed_call(1, sellers);
        let result = world.pay(BUYER, wei(PRICE), call);
        let error = expect_revert::<IInference::SellersOutOfRange>(result);
        assert_eq!(error.count, U256::from(sellers.len()));
        assert_eq!(error.maximum, U256::from(MAX_SELLERS));
    }
    let twice = world.sealed_call(1, &[many[0], many[1], many[0]]);
    let error = expect_revert::<IInference::DuplicateSeller>(world.pay(BUYER, wei(PRICE), twice));
    assert_eq!(error.seller, many[0]);
    let keyless = world.sealed_call(1, &[many[0], SELLER]);
    let error = expect_revert::<IInference::NoSealingKey>(world.pay(BUYER, wei(PRICE), keyless));
    assert_eq!(error.seller, SELLER);
    let call = world.sealed_call(1, &many[..8]);
    world.pay(BUYER, wei(PRICE), call).unwrap();
    world.check_invariants();
}

#[test]
fn the_terms_of_a_sealed_order_are_those_of_an_open_one() {
    let mut world = World::new();
    world.set_sealing_key(SELLER);
    let good = world.sealed_call(1, &[SELLER]);
    let edited = |edit: fn(&mut IInference::orderSealedCall)| {
        let mut call = good.clone();
        edit(&mut call);
        call
    };
    let price = wei(PRICE);
    let level = edited(|call| call.level = 2);
    expect_revert::<IInference::LevelUnavailable>(world.pay(BUYER, price, level));
    let model = edited(|call| call.model = B256::ZERO);
    expect_revert::<IInference::UnknownModel>(world.pay(BUYER, price, model));
    let soon = edited(|call| call.deadlineMs = 0);
    expect_revert::<IInference::DeadlineTooSoon>(world.pay(BUYER, price, soon));
    let cheap = world.pay(BUYER, price - wei(1), good.clone());
    expect_revert::<IInference::WrongPayment>(cheap);
    let mut long = good.clone();
    long.envelope = vec![1; world.spec.market.max_input_bytes as usize + 1].into();
    expect_revert::<IInference::InputTooLong>(world.pay(BUYER, price, long));
    world.pay(BUYER, price, good).unwrap();
}

#[test]
fn a_model_without_private_proofs_takes_open_orders_only() {
    let mut world = World::new();
    world.set_sealing_key(SELLER);
    let id = world.id;
    let model = Models::new().models.at(id);
    model
        .max_private_proof_bytes
        .write(&mut world.host, 0)
        .unwrap();
    let call = world.sealed_call(1, &[SELLER]);
    let error = expect_revert::<IInference::SealedUnavailable>(world.pay(BUYER, wei(PRICE), call));
    assert_eq!(error.model, id);
    let question = IVerifier::gasPrivateCall {
        model: id,
        proofLength: U256::ZERO,
    };
    let result = world.raw(STRANGER, addresses::VERIFIER, U256::ZERO, question);
    expect_revert::<IVerifier::PrivateUnavailable>(result);
    world.order();
}

// claiming

#[test]
fn only_named_sellers_may_claim() {
    let mut world = World::new();
    let id = world.sealed_order(1, &[SELLER]);
    world.set_sealing_key(RIVAL);
    let error = expect_revert::<IInference::NotNamed>(world.claim(RIVAL, id));
    assert_eq!(error.seller, RIVAL);
    assert_eq!(world.status(id), Status::Open);
    world.claim(SELLER, id).unwrap();
    assert_eq!(world.get(id).seller, SELLER);
}

#[test]
fn a_seller_that_changes_its_key_may_still_claim() {
    let mut world = World::new();
    let id = world.sealed_order(1, &[SELLER]);
    set_key(&mut world, SELLER, B256::ZERO);
    world.claim(SELLER, id).unwrap();
}

// delivering, with real proofs

fn claimed(world: &mut World, number: u8, seller: Address) -> U256 {
    world.host.verdicts = Verdicts::Real;
    let id = world.sealed_order(number, &[SELLER, RIVAL]);
    world.claim(seller, id).unwrap();
    id
}

#[test]
fn a_sealed_order_is_paid_for_a_masked_output_that_the_buyer_opens() {
    let mut world = World::new();
    let id = claimed(&mut world, 1, SELLER);
    let before = world.host.balance_of(SELLER);
    let call = world.sealed_delivery(id, 1);
    world.act(SELLER, call).unwrap();
    assert_eq!(world.status(id), Status::Paid);
    assert!(world.host.balance_of(SELLER) > before);
    let bytes = world.act(STRANGER, IInference::outputCall { id }).unwrap();
    let graph = &world.model.graph;
    let masked = hallmark_proof::decode_masked(graph, &bytes).unwrap();
    let honest = hallmark_graph::reference::run(&world.model, &INPUT).unwrap();
    let opened = hallmark_proof::unmask_output(graph, &masked, &secret(1)).unwrap();
    assert_eq!(opened, honest);
    world.check_invariants();
}

#[test]
fn a_proof_for_another_commitment_is_refused() {
    let mut world = World::new();
    let id = claimed(&mut world, 1, SELLER);
    let other = world.sealed_delivery(id, 2);
    expect_revert::<IInference::ProofRefused>(world.act(SELLER, other));
    assert_eq!(world.status(id), Status::Claimed);
}

#[test]
fn a_proof_for_another_order_or_another_seller_is_refused() {
    let mut world = World::new();
    let first = claimed(&mut world, 1, SELLER);
    // The same commitment again: the context alone tells the orders apart.
    let second = claimed(&mut world, 1, RIVAL);
    let proof = world.sealed_delivery(first, 1);
    let copied = IInference::deliverCall {
        id: second,
        ..proof.clone()
    };
    expect_revert::<IInference::ProofRefused>(world.act(RIVAL, copied));
    expect_revert::<IInference::NotSeller>(world.act(RIVAL, proof.clone()));
    world.act(SELLER, proof).unwrap();
}

#[test]
fn a_public_proof_does_not_pay_a_sealed_order_nor_a_private_one_an_open_order() {
    let mut world = World::new();
    let sealed = claimed(&mut world, 1, SELLER);
    let good = world.sealed_delivery(sealed, 1);
    let public = IInference::deliverCall {
        proof: world.delivery(sealed).proof,
        ..good.clone()
    };
    expect_revert::<IInference::ProofRefused>(world.act(SELLER, public));
    let open = world.claimed();
    let private = IInference::deliverCall {
        proof: good.proof.clone(),
        ..world.delivery(open)
    };
    // Such a proof is longer than any public one of this model, or refused for what it is.
    assert!(world.act(SELLER, private).is_err());
    assert_eq!(world.status(open), Status::Claimed);
    world.act(SELLER, good).unwrap();
}

#[test]
fn a_masked_output_that_was_changed_is_refused() {
    let mut world = World::new();
    let id = claimed(&mut world, 1, SELLER);
    let good = world.sealed_delivery(id, 1);
    for byte in 0..good.output.len() {
        let mut output = good.output.to_vec();
        output[byte] ^= 1;
        let lie = IInference::deliverCall {
            output: output.into(),
            ..good.clone()
        };
        expect_revert::<IInference::ProofRefused>(world.act(SELLER, lie));
    }
}

#[test]
fn a_masked_output_has_four_bytes_an_element_below_p() {
    let mut world = World::new();
    let id = claimed(&mut world, 1, SELLER);
    let good = world.sealed_delivery(id, 1);
    let elements = world.model.graph.output_len();
    for length in [0, elements, 4 * elements - 1, 4 * elements + 1] {
        let call = IInference::deliverCall {
            output: vec![0; length].into(),
            ..good.clone()
        };
        let error = expect_revert::<IInference::WrongOutputLength>(world.act(SELLER, call));
        assert_eq!(error.expected, U256::from(4 * elements));
    }
    let call = IInference::deliverCall {
        output: vec![0xff; 4 * elements].into(),
        ..good
    };
    expect_revert::<IInference::InvalidOutput>(world.act(SELLER, call));
    assert_eq!(world.host.verifications, 0);
}

#[test]
fn a_private_proof_above_the_models_limit_is_refused_unread() {
    let mut world = World::new();
    let id = claimed(&mut world, 1, SELLER);
    let key = world.proving_key.verifying_key();
    let longest = key.max_private_proof_len().unwrap();
    let call = IInference::deliverCall {
        proof: vec![0; longest + 1].into(),
        ..world.sealed_delivery(id, 1)
    };
    let error = expect_revert::<IInference::ProofTooLong>(world.act(SELLER, call));
    assert_eq!(error.maximum, U256::from(longest));
    assert_eq!(world.host.verifications, 0);
}

// ending otherwise

#[test]
fn a_buyer_takes_back_an_unclaimed_sealed_order() {
    let mut world = World::new();
    let before = world.host.balance_of(BUYER);
    let id = world.sealed_order(1, &[SELLER]);
    world.act(BUYER, IInference::cancelCall { id }).unwrap();
    assert_eq!(world.status(id), Status::Cancelled);
    assert_eq!(world.host.balance_of(BUYER), before);
    world.check_invariants();
}

#[test]
fn a_sealed_order_that_no_one_opens_is_refunded() {
    let mut world = World::new();
    let before = world.host.balance_of(BUYER);
    let id = world.sealed_order(1, &[SELLER]);
    world.wait(2 * world.window() + 1);
    world.act(STRANGER, IInference::expireCall { id }).unwrap();
    assert_eq!(world.status(id), Status::Refunded);
    assert_eq!(world.host.balance_of(BUYER), before);
    world.check_invariants();
}

#[test]
fn a_missed_window_reopens_a_sealed_order_to_its_sellers_only() {
    let mut world = World::new();
    let id = world.sealed_order(1, &[SELLER, RIVAL]);
    world.claim(SELLER, id).unwrap();
    world.host.next_block(world.window() + 1).unwrap();
    world.host.next_block(1).unwrap();
    assert_eq!(world.status(id), Status::Open);
    expect_revert::<IInference::NotNamed>(world.claim(STRANGER, id));
    world.claim(RIVAL, id).unwrap();
    let call = world.sealed_delivery(id, 1);
    world.act(RIVAL, call).unwrap();
    assert_eq!(world.status(id), Status::Paid);
    world.check_invariants();
}
