use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use hallmark_abi::{
    IInference, IModels, ISystem,
    inference::IInference::{Level, Status},
};
use hallmark_types::{MARK, addresses};

use super::{Inference, WORD_GAS_FLOOR};
use crate::{
    ContractError, Host,
    testing::{Verdicts, block_hash, expect_revert},
    verifier,
    world::{BUYER, INPUT, OWNER, PRICE, RIVAL, SELLER, SHARE_BPS, STRANGER, World, wei},
};

fn bond(world: &World) -> u128 {
    let market = &world.spec.market;
    (PRICE * u128::from(market.bond_bps) / 10_000).max(market.min_bond.to::<u128>())
}

/// What an order with a two-byte input lets slashed bonds return: five new words.
fn compensation(world: &World) -> u128 {
    u128::from(world.host.base_fee) * u128::from(5 * WORD_GAS_FLOOR)
}

// ordering

#[test]
fn an_order_puts_its_price_in_escrow_and_copies_the_terms() {
    let mut world = World::new();
    let before = world.host.balance_of(BUYER);
    let id = world.order();
    assert_eq!(id, U256::from(1));
    assert_eq!(before - world.host.balance_of(BUYER), wei(PRICE));
    let order = world.get(id);
    assert_eq!(
        (order.buyer, order.model, order.price),
        (BUYER, world.id, PRICE)
    );
    assert_eq!((order.status, order.level), (Status::Open, Level::Proven));
    assert_eq!((order.ownerShareBps, order.networkBps), (SHARE_BPS, 200));
    assert_eq!(order.verifierVersion, verifier::VERSION);
    assert_eq!(order.deadlineMs, order.orderedAtMs + 3 * world.window());
    let input = world.act(STRANGER, IInference::inputCall { id }).unwrap();
    assert_eq!(input, world.model.graph.encode_input(&INPUT));
    assert_eq!(order.inputHash, keccak256(&input));
    assert!(
        world
            .act(STRANGER, IInference::outputCall { id })
            .unwrap()
            .is_empty()
    );
    let page = IInference::openCall {
        offset: U256::ZERO,
        limit: U256::from(100),
    };
    assert_eq!(world.act(STRANGER, page).unwrap(), [id]);
    assert_eq!(
        world.act(STRANGER, IInference::openCountCall {}).unwrap(),
        U256::from(1)
    );
    world.check_invariants();
}

#[test]
fn a_level_without_a_judge_is_refused_by_name() {
    let mut world = World::new();
    for level in [0, 1, 2, 4, 255] {
        let call = IInference::orderCall {
            level,
            ..world.order_call()
        };
        let error =
            expect_revert::<IInference::LevelUnavailable>(world.pay(BUYER, wei(PRICE), call));
        assert_eq!(error.level, level);
    }
}

#[test]
fn an_order_names_a_listed_and_active_model() {
    let mut world = World::new();
    let unknown = IInference::orderCall {
        model: B256::ZERO,
        ..world.order_call()
    };
    expect_revert::<IInference::UnknownModel>(world.pay(BUYER, wei(PRICE), unknown));
    let id = world.id;
    world.models(OWNER, IModels::retireCall { id }).unwrap();
    let retired = world.order_call();
    expect_revert::<IInference::ModelRetired>(world.pay(BUYER, wei(PRICE), retired));
}

#[test]
fn a_buyer_pays_exactly_the_price_or_nothing() {
    let mut world = World::new();
    let before = world.host.balance_of(BUYER);
    for value in [0, PRICE - 1, PRICE + 1] {
        let call = world.order_call();
        let error = expect_revert::<IInference::WrongPayment>(world.pay(BUYER, wei(value), call));
        assert_eq!(error.price, wei(PRICE));
    }
    assert_eq!(world.host.balance_of(BUYER), before);
    world.check_invariants();
}

#[test]
fn a_deadline_leaves_two_windows() {
    let mut world = World::new();
    let earliest = world.host.timestamp_ms + 2 * world.window();
    let call = IInference::orderCall {
        deadlineMs: earliest - 1,
        ..world.order_call()
    };
    let error = expect_revert::<IInference::DeadlineTooSoon>(world.pay(BUYER, wei(PRICE), call));
    assert_eq!(error.earliestMs, earliest);
    let call = IInference::orderCall {
        deadlineMs: earliest,
        ..world.order_call()
    };
    world.pay(BUYER, wei(PRICE), call).unwrap();
}

#[test]
fn an_input_fits_the_limit_and_the_graph() {
    let mut world = World::new();
    let longest = world.spec.market.max_input_bytes as usize;
    let call = IInference::orderCall {
        input: vec![0; longest + 1].into(),
        ..world.order_call()
    };
    expect_revert::<IInference::InputTooLong>(world.pay(BUYER, wei(PRICE), call));
    for input in [vec![], vec![1], vec![1, 2, 3], vec![100, 1]] {
        let call = IInference::orderCall {
            input: input.into(),
            ..world.order_call()
        };
        expect_revert::<IInference::InvalidInput>(world.pay(BUYER, wei(PRICE), call));
    }
}

#[test]
fn a_free_model_is_ordered_for_nothing_and_still_bonded() {
    let mut world = World::new();
    let id = world.id;
    world
        .models(OWNER, IModels::setPriceCall { id, price: 0 })
        .unwrap();
    let call = world.order_call();
    let id = world.pay(BUYER, U256::ZERO, call).unwrap();
    world.claim(SELLER, id).unwrap();
    assert_eq!(world.get(id).bond, world.spec.market.min_bond);
    world.deliver(SELLER, id).unwrap();
    assert_eq!(world.status(id), Status::Paid);
    world.check_invariants();
}

// deposits

#[test]
fn a_deposit_is_withdrawn_but_not_its_locked_part() {
    let mut world = World::new();
    world.claimed();
    let deposit = world.deposit_of(SELLER);
    assert_eq!(deposit.locked, wei(bond(&world)));
    assert_eq!(deposit.openClaims, 1);
    let all = IInference::withdrawCall {
        amount: deposit.free + U256::from(1),
    };
    let error = expect_revert::<IInference::InsufficientDeposit>(world.act(SELLER, all));
    assert_eq!(error.free, deposit.free);
    let huge = IInference::withdrawCall { amount: U256::MAX };
    expect_revert::<IInference::InsufficientDeposit>(world.act(SELLER, huge));
    let before = world.host.balance_of(SELLER);
    world
        .act(
            SELLER,
            IInference::withdrawCall {
                amount: deposit.free,
            },
        )
        .unwrap();
    assert_eq!(world.host.balance_of(SELLER) - before, deposit.free);
    world.check_invariants();
}

#[test]
fn amounts_of_zero_are_refused() {
    let mut world = World::new();
    expect_revert::<IInference::ZeroAmount>(world.act(SELLER, IInference::depositCall {}));
    let nothing = IInference::withdrawCall { amount: U256::ZERO };
    expect_revert::<IInference::ZeroAmount>(world.act(SELLER, nothing));
}

#[test]
fn a_plain_transfer_is_surplus_and_counted_nowhere() {
    let mut world = World::new();
    let owed = world.liabilities();
    world
        .host
        .plain_transfer(STRANGER, addresses::INFERENCE, wei(MARK));
    assert_eq!(world.liabilities(), owed);
    let id = world.claimed();
    world.deliver(SELLER, id).unwrap();
    world.check_invariants();
    assert_eq!(
        world.host.balance_of(addresses::INFERENCE),
        owed + wei(MARK)
    );
}

// claiming

#[test]
fn a_claim_is_exclusive_for_a_full_window_and_fixes_an_anchor() {
    let mut world = World::new();
    let id = world.claimed();
    let order = world.get(id);
    assert_eq!((order.status, order.seller), (Status::Claimed, SELLER));
    assert_eq!(order.windowEndMs, world.host.timestamp_ms + world.window());
    assert_eq!(order.anchor, block_hash(world.host.block_number - 1));
    assert_eq!(order.bond, wei(bond(&world)));
    let error = expect_revert::<IInference::WrongStatus>(world.claim(RIVAL, id));
    assert_eq!(error.status, Status::Claimed);
    let (free, claims) = (
        world.deposit_of(RIVAL).free,
        world.deposit_of(RIVAL).openClaims,
    );
    assert_eq!(
        (free, claims),
        (wei(100 * MARK), 0),
        "the loser of a race loses nothing"
    );
}

#[test]
fn a_claim_needs_a_bond() {
    let mut world = World::new();
    let id = world.order();
    let error = expect_revert::<IInference::InsufficientDeposit>(world.claim(STRANGER, id));
    assert_eq!((error.free, error.needed), (U256::ZERO, wei(bond(&world))));
}

#[test]
fn a_claim_needs_a_full_window_before_the_deadline() {
    let mut world = World::new();
    let id = world.order();
    world.wait(2 * world.window());
    let mut late = World::new();
    let late_id = late.order();
    late.wait(2 * late.window() + 1);
    world.claim(SELLER, id).unwrap();
    assert_eq!(world.get(id).windowEndMs, world.get(id).deadlineMs);
    expect_revert::<IInference::TooLateToClaim>(late.claim(SELLER, late_id));
}

#[test]
fn a_claim_waits_for_a_block_after_the_models_registration() {
    let mut world = World::empty();
    world.publish();
    world
        .pay(SELLER, wei(100 * MARK), IInference::depositCall {})
        .unwrap();
    let id = world.order();
    let registered = world.host.block_number;
    for _ in 0..2 {
        let error = expect_revert::<IInference::TooEarlyToClaim>(world.claim(SELLER, id));
        assert_eq!(error.earliestBlock, registered + 2);
        world.wait(1);
    }
    world.claim(SELLER, id).unwrap();
}

#[test]
fn open_claims_of_a_seller_are_bounded() {
    let mut world = World::new();
    let maximum = world.spec.market.max_open_claims_per_seller;
    world
        .pay(SELLER, wei(1_000 * MARK), IInference::depositCall {})
        .unwrap();
    for _ in 0..maximum {
        world.claimed();
    }
    let id = world.order();
    let error = expect_revert::<IInference::TooManyClaims>(world.claim(SELLER, id));
    assert_eq!(error.maximum, maximum);
    world.claim(RIVAL, id).unwrap();
}

// delivering

#[test]
fn a_delivery_pays_seller_owner_and_network_to_the_last_unit() {
    let mut world = World::new();
    let treasury = world.spec.treasury;
    let before = [SELLER, OWNER, treasury].map(|who| world.host.balance_of(who));
    let id = world.claimed();
    let context = world.context(id);
    world.deliver(SELLER, id).unwrap();
    let after = [SELLER, OWNER, treasury].map(|who| world.host.balance_of(who));
    let network = PRICE * 200 / 10_000;
    let owner = PRICE * u128::from(SHARE_BPS) / 10_000;
    let parts = [PRICE - network - owner, owner, network].map(wei);
    for index in 0..3 {
        assert_eq!(after[index] - before[index], parts[index]);
    }
    let order = world.get(id);
    assert_eq!((order.status, order.seller), (Status::Paid, SELLER));
    let output = world.act(STRANGER, IInference::outputCall { id }).unwrap();
    assert_eq!(order.outputHash, keccak256(&output));
    let deposit = world.deposit_of(SELLER);
    assert_eq!(
        (deposit.free, deposit.locked),
        (wei(100 * MARK), U256::ZERO)
    );
    assert_eq!(deposit.openClaims, 0);
    let paid = IInference::Paid::decode_log_data(&world.host.logs().last().unwrap().1).unwrap();
    assert_eq!([paid.toSeller, paid.toOwner, paid.toNetwork], parts);
    assert_eq!((paid.context, paid.outputHash), (context, order.outputHash));
    assert_eq!(
        (paid.id, paid.model, paid.seller, paid.buyer),
        (id, world.id, SELLER, BUYER)
    );
    world.check_invariants();
}

#[test]
fn a_refused_proof_pays_nothing_and_leaves_the_claim_open() {
    let mut world = World::new();
    let id = world.claimed();
    let good = world.delivery(id);
    let before = world.host.balance_of(SELLER);
    let mut proof = good.proof.to_vec();
    proof[0] ^= 1;
    let bad_proof = IInference::deliverCall {
        proof: proof.into(),
        ..good.clone()
    };
    let mut output = good.output.to_vec();
    output[0] ^= 1;
    let bad_output = IInference::deliverCall {
        output: output.into(),
        ..good.clone()
    };
    for bad in [bad_proof, bad_output] {
        expect_revert::<IInference::ProofRefused>(world.act(SELLER, bad));
        assert_eq!(world.status(id), Status::Claimed);
    }
    assert_eq!(world.host.balance_of(SELLER), before);
    world.act(SELLER, good).unwrap();
    assert_eq!(world.status(id), Status::Paid);
}

#[test]
fn a_proof_serves_one_order_and_one_seller() {
    let mut world = World::new();
    let first = world.claimed();
    let second = world.order();
    world.claim(RIVAL, second).unwrap();
    let proof = world.delivery(first);
    let copied = IInference::deliverCall {
        id: second,
        ..proof.clone()
    };
    expect_revert::<IInference::ProofRefused>(world.act(RIVAL, copied));
    let error = expect_revert::<IInference::NotSeller>(world.act(RIVAL, proof.clone()));
    assert_eq!(error.seller, SELLER);
    world.act(SELLER, proof.clone()).unwrap();
    let error = expect_revert::<IInference::WrongStatus>(world.act(SELLER, proof));
    assert_eq!(error.status, Status::Paid);
}

#[test]
fn cheap_checks_come_before_any_gas_for_the_proof() {
    let mut world = World::new();
    let id = world.claimed();
    let good = world.delivery(id);
    let longest = world.proving_key.verifying_key().max_proof_len();
    let long_proof = IInference::deliverCall {
        proof: vec![0; longest + 1].into(),
        ..good.clone()
    };
    expect_revert::<IInference::ProofTooLong>(world.act(SELLER, long_proof));
    let short_output = IInference::deliverCall {
        output: vec![].into(),
        ..good.clone()
    };
    expect_revert::<IInference::WrongOutputLength>(world.act(SELLER, short_output));
    expect_revert::<IInference::NotSeller>(world.act(RIVAL, good.clone()));
    assert!(world.host.gas_used < world.spec.market.verify_base_gas);
    assert_eq!(world.host.verifications, 0);
    let calldata = good.abi_encode();
    let limit = world.spec.market.verify_base_gas;
    let starved =
        world
            .host
            .call_with_gas(SELLER, addresses::INFERENCE, U256::ZERO, &calldata, limit);
    assert_eq!(starved, Err(ContractError::OutOfGas));
    assert_eq!(world.host.verifications, 0);
}

#[test]
fn an_output_out_of_range_is_refused_before_the_verifier() {
    let mut world = World::new();
    let id = world.claimed();
    let bad = IInference::deliverCall {
        output: vec![0xff].into(),
        ..world.delivery(id)
    };
    expect_revert::<IInference::InvalidOutput>(world.act(SELLER, bad));
    assert_eq!(world.host.verifications, 0);
}

#[test]
fn the_last_millisecond_of_the_window_still_counts() {
    let mut world = World::new();
    let id = world.claimed();
    world.wait(world.window());
    world.deliver(SELLER, id).unwrap();
    let mut world = World::new();
    let id = world.claimed();
    world.wait(world.window() + 1);
    let result = world.deliver(SELLER, id);
    expect_revert::<IInference::WindowClosed>(result);
}

#[test]
fn an_order_of_another_verifier_version_is_not_judged() {
    let mut world = World::new();
    let id = world.claimed();
    let version = Inference::new().orders.at(id).verifier_version;
    version.write(&mut world.host, 9).unwrap();
    let result = world.deliver(SELLER, id);
    let error = expect_revert::<IInference::VerifierUnavailable>(result);
    assert_eq!(error.version, 9);
}

#[test]
fn the_owner_cannot_change_the_terms_of_an_open_order() {
    let mut world = World::new();
    let order = world.order();
    let id = world.id;
    world
        .models(OWNER, IModels::setPriceCall { id, price: 1 })
        .unwrap();
    world.models(OWNER, IModels::retireCall { id }).unwrap();
    let before = world.host.balance_of(OWNER);
    world.claim(SELLER, order).unwrap();
    world.deliver(SELLER, order).unwrap();
    let paid = world.host.balance_of(OWNER) - before;
    assert_eq!(paid, wei(PRICE * u128::from(SHARE_BPS) / 10_000));
}

#[test]
fn a_real_proof_is_paid_and_a_proof_of_another_input_is_not() {
    let mut world = World::new();
    world.host.verdicts = Verdicts::Real;
    let id = world.claimed();
    let context = world.context(id);
    let other = hallmark_graph::reference::trace(&world.model, &[1, 1]).unwrap();
    let proof = hallmark_proof::prove(&world.proving_key, &other, &context.0).unwrap();
    let output = world
        .model
        .graph
        .encode_output(other.values.last().unwrap());
    let cheat = IInference::deliverCall {
        id,
        output: output.into(),
        proof: proof.into(),
    };
    expect_revert::<IInference::ProofRefused>(world.act(SELLER, cheat));
    world.deliver(SELLER, id).unwrap();
    assert_eq!(world.status(id), Status::Paid);
}

#[test]
fn a_buyer_may_sell_to_itself_and_only_the_fee_leaves() {
    let mut world = World::new();
    let before = world.host.balance_of(OWNER);
    world
        .pay(OWNER, wei(10 * MARK), IInference::depositCall {})
        .unwrap();
    let call = world.order_call();
    let id = world.pay(OWNER, wei(PRICE), call).unwrap();
    world.claim(OWNER, id).unwrap();
    world.deliver(OWNER, id).unwrap();
    world
        .act(
            OWNER,
            IInference::withdrawCall {
                amount: wei(10 * MARK),
            },
        )
        .unwrap();
    assert_eq!(
        before - world.host.balance_of(OWNER),
        wei(PRICE * 200 / 10_000)
    );
    world.check_invariants();
}

// cancelling, expiring, slashing

#[test]
fn a_buyer_takes_back_an_unclaimed_order() {
    let mut world = World::new();
    let before = world.host.balance_of(BUYER);
    let id = world.order();
    let cancel = IInference::cancelCall { id };
    expect_revert::<IInference::NotBuyer>(world.act(STRANGER, cancel.clone()));
    world.act(BUYER, cancel.clone()).unwrap();
    assert_eq!(world.host.balance_of(BUYER), before);
    assert_eq!(world.status(id), Status::Cancelled);
    expect_revert::<IInference::WrongStatus>(world.act(BUYER, cancel));
    let expire = IInference::expireCall { id };
    expect_revert::<IInference::WrongStatus>(world.act(BUYER, expire));
    world.check_invariants();
}

#[test]
fn a_claimed_order_cannot_be_cancelled() {
    let mut world = World::new();
    let id = world.claimed();
    let cancel = IInference::cancelCall { id };
    expect_revert::<IInference::WrongStatus>(world.act(BUYER, cancel));
}

#[test]
fn buyer_is_refunded_when_no_one_claims() {
    let mut world = World::new();
    let before = world.host.balance_of(BUYER);
    let id = world.order();
    world.wait(2 * world.window());
    let expire = IInference::expireCall { id };
    let error = expect_revert::<IInference::NothingToExpire>(world.act(STRANGER, expire.clone()));
    assert_eq!(error.fromMs, world.host.timestamp_ms + 1);
    world.wait(1);
    world.act(STRANGER, expire).unwrap();
    assert_eq!(world.status(id), Status::Refunded);
    assert_eq!(world.host.balance_of(BUYER), before);
    world.check_invariants();
}

#[test]
fn a_missed_window_slashes_the_bond_and_reopens_the_order() {
    let mut world = World::new();
    let id = world.claimed();
    let before = world.host.balance_of(BUYER);
    let expire = IInference::expireCall { id };
    world.wait(world.window());
    expect_revert::<IInference::NothingToExpire>(world.act(STRANGER, expire.clone()));
    world.wait(1);
    world.act(STRANGER, expire).unwrap();
    let order = world.get(id);
    assert_eq!((order.status, order.seller), (Status::Open, Address::ZERO));
    assert_eq!(
        (order.bond, order.anchor, order.windowEndMs),
        (U256::ZERO, B256::ZERO, 0)
    );
    let share = compensation(&world);
    assert_eq!(world.host.balance_of(BUYER) - before, wei(share));
    assert_eq!(world.host.burned(), wei(bond(&world) - share));
    let deposit = world.deposit_of(SELLER);
    assert_eq!(deposit.free, wei(100 * MARK - bond(&world)));
    assert_eq!((deposit.locked, deposit.openClaims), (U256::ZERO, 0));
    world.check_invariants();
    world.claim(RIVAL, id).unwrap();
    world.deliver(RIVAL, id).unwrap();
    assert_eq!(world.status(id), Status::Paid);
    world.check_invariants();
}

#[test]
fn all_compensations_of_an_order_together_stay_below_the_cost_of_placing_it() {
    let mut world = World::new();
    let call = IInference::orderCall {
        deadlineMs: world.host.timestamp_ms + 10 * world.window(),
        ..world.order_call()
    };
    let id = world.pay(BUYER, wei(PRICE), call).unwrap();
    let before = world.host.balance_of(BUYER);
    for seller in [SELLER, RIVAL, SELLER] {
        world.claim(seller, id).unwrap();
        world.wait(world.window() + 1);
        world.act(STRANGER, IInference::expireCall { id }).unwrap();
    }
    assert_eq!(
        world.host.balance_of(BUYER) - before,
        wei(compensation(&world))
    );
    assert_eq!(
        world.host.burned(),
        wei(3 * bond(&world) - compensation(&world))
    );
    assert_eq!(world.get(id).compensationLeft, U256::ZERO);
    world.check_invariants();
}

#[test]
fn words_of_zeros_are_no_cost_of_ordering() {
    let all = |input: &[u8]| super::ordering_cost(1, input).unwrap() / u128::from(WORD_GAS_FLOOR);
    assert_eq!(all(&[]), 4);
    assert_eq!(all(&[0; 31]), 5);
    assert_eq!(all(&[0; 320]), 5);
    assert_eq!(all(&[1; 33]), 7);
}

#[test]
fn a_seller_cannot_gain_by_claiming_its_own_order_and_vanishing() {
    let mut world = World::new();
    world
        .pay(BUYER, wei(100 * MARK), IInference::depositCall {})
        .unwrap();
    let id = world.order();
    let wealth = |world: &mut World| world.host.balance_of(BUYER) + world.deposit_of(BUYER).free;
    let before = wealth(&mut world) + wei(PRICE);
    world.claim(BUYER, id).unwrap();
    world.wait(3 * world.window());
    world.act(BUYER, IInference::expireCall { id }).unwrap();
    assert_eq!(world.status(id), Status::Refunded);
    assert_eq!(
        before - wealth(&mut world),
        wei(bond(&world) - compensation(&world))
    );
}

#[test]
fn a_slashed_order_without_a_window_left_is_refunded_at_once() {
    let mut world = World::new();
    let id = world.order();
    let before = world.host.balance_of(BUYER);
    world.wait(2 * world.window());
    world.claim(SELLER, id).unwrap();
    world.wait(world.window() + 1);
    world.act(STRANGER, IInference::expireCall { id }).unwrap();
    assert_eq!(world.status(id), Status::Refunded);
    let back = wei(PRICE + compensation(&world));
    assert_eq!(world.host.balance_of(BUYER) - before, back);
    world.check_invariants();
}

#[test]
fn unknown_orders_are_named() {
    let mut world = World::new();
    let id = U256::from(99);
    let error = expect_revert::<IInference::UnknownOrder>(world.claim(SELLER, id));
    assert_eq!(error.id, id);
    expect_revert::<IInference::UnknownOrder>(world.act(BUYER, IInference::cancelCall { id }));
    expect_revert::<IInference::UnknownOrder>(world.act(BUYER, IInference::expireCall { id }));
    expect_revert::<IInference::UnknownOrder>(world.act(BUYER, IInference::getCall { id }));
    expect_revert::<IInference::UnknownOrder>(world.act(BUYER, IInference::inputCall { id }));
    let limit = U256::from(101);
    let page = IInference::openCall {
        offset: U256::ZERO,
        limit,
    };
    expect_revert::<IInference::LimitTooLarge>(world.act(BUYER, page));
}

// the sweep

#[test]
fn the_end_of_a_block_settles_what_is_overdue() {
    let mut world = World::new();
    let before = world.host.balance_of(BUYER);
    let claimed = world.claimed();
    let open = world.order();
    world.host.next_block(world.window() + 1).unwrap();
    world.host.next_block(world.window()).unwrap();
    assert_eq!(world.status(claimed), Status::Open);
    assert_eq!(world.status(open), Status::Open);
    world.host.next_block(0).unwrap();
    assert_eq!(
        (world.status(claimed), world.status(open)),
        (Status::Refunded, Status::Refunded)
    );
    assert_eq!(
        world.host.balance_of(BUYER) - before,
        wei(compensation(&world))
    );
    world.check_invariants();
}

#[test]
fn the_sweep_is_bounded_and_reaches_everyone() {
    let mut world = World::new();
    let slice = world.spec.market.sweep_per_block as usize;
    let total = 5 * slice + 3;
    for _ in 0..total {
        world.order();
    }
    // Early in the list, some orders are fresh; they must not starve the others.
    let call = IInference::orderCall {
        deadlineMs: world.host.timestamp_ms + 100 * world.window(),
        ..world.order_call()
    };
    world.pay(BUYER, wei(PRICE), call).unwrap();
    world.wait(3 * world.window());
    let mut blocks = 0;
    let mut left = total + 1;
    while left > 1 {
        world.host.next_block(1).unwrap();
        let now = world
            .act(STRANGER, IInference::openCountCall {})
            .unwrap()
            .to::<usize>();
        assert!(left - now <= slice, "one sweep settles at most its slice");
        left = now;
        blocks += 1;
        assert!(blocks <= 8, "every order is reached");
        world.check_invariants();
    }
}

#[test]
fn an_idle_sweep_writes_nothing() {
    let mut world = World::new();
    world.claimed();
    let before = world.host.storage().clone();
    world.host.next_block(1).unwrap();
    assert_eq!(*world.host.storage(), before);
}

// the door

#[test]
fn calls_of_the_wrong_form_are_refused_by_name() {
    let mut world = World::new();
    let id = world.order();
    let claim = IInference::claimCall { id };
    expect_revert::<ISystem::NotPayable>(world.pay(SELLER, wei(1), claim.clone()));
    expect_revert::<ISystem::NotPayable>(world.pay(SELLER, wei(1), IInference::paramsCall {}));
    let inference = addresses::INFERENCE;
    expect_revert::<ISystem::StaticCall>(world.host.static_call(
        SELLER,
        inference,
        &claim.abi_encode(),
    ));
    let order = world.order_call().abi_encode();
    expect_revert::<ISystem::StaticCall>(world.host.static_call(SELLER, inference, &order));
    expect_revert::<ISystem::UnknownMethod>(world.host.call(SELLER, inference, U256::ZERO, &[]));
    let cut = &order[..order.len() - 32];
    expect_revert::<ISystem::MalformedCall>(world.host.call(SELLER, inference, wei(PRICE), cut));
    world.check_invariants();
}

#[test]
fn parameters_are_state_from_genesis() {
    let mut world = World::empty();
    let params = world.act(STRANGER, IInference::paramsCall {}).unwrap();
    let market = &world.spec.market;
    assert_eq!(params.claimWindowMs, market.claim_window_ms);
    assert_eq!(
        (params.minBond, params.bondBps),
        (market.min_bond, market.bond_bps)
    );
    assert_eq!(params.networkBps, market.network_bps);
    assert_eq!(
        params.maxOpenClaimsPerSeller,
        market.max_open_claims_per_seller
    );
    assert_eq!(params.maxInputBytes, market.max_input_bytes);
    assert_eq!(params.sweepPerBlock, market.sweep_per_block);
    assert_eq!(
        (params.treasury, params.verifierVersion),
        (world.spec.treasury, verifier::VERSION)
    );
    assert_eq!(world.host.chain_id(), world.spec.chain_id);
}
