//! Random interleavings of every step by several actors: whatever happens, money is conserved,
//! debts are recorded and covered, and no order goes back from where it has been.

use alloy_primitives::{Address, U256};
use hallmark_abi::{
    IInference,
    inference::IInference::{Order, Status},
};
use hallmark_types::{MARK, addresses};
use proptest::prelude::*;

use crate::{
    ContractError,
    world::{ACTORS, PRICE, World, wei},
};

/// Whom the sealed orders name.
const NAMED: [Address; 2] = [ACTORS[2], ACTORS[3]];

#[derive(Clone, Debug)]
enum Step {
    Order {
        actor: usize,
        windows: u64,
        cents: bool,
        sealed: bool,
    },
    Claim {
        actor: usize,
        order: u64,
    },
    Deliver {
        actor: usize,
        order: u64,
        good: bool,
    },
    Cancel {
        actor: usize,
        order: u64,
    },
    Expire {
        actor: usize,
        order: u64,
    },
    Deposit {
        actor: usize,
        amount: u128,
    },
    Withdraw {
        actor: usize,
        amount: u128,
    },
    Surplus {
        actor: usize,
        amount: u128,
    },
    Wait {
        ms: u64,
    },
    Block {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let actor = 0..ACTORS.len();
    let order = 1..8u64;
    let amount = 0..4 * MARK;
    let ms = prop_oneof![0..100u64, 7_000..9_000u64];
    prop_oneof![
        3 => (actor.clone(), 1..5u64, proptest::bool::weighted(0.1), any::<bool>())
            .prop_map(|(actor, windows, cents, sealed)| Step::Order { actor, windows, cents, sealed }),
        4 => (actor.clone(), order.clone()).prop_map(|(actor, order)| Step::Claim { actor, order }),
        5 => (actor.clone(), order.clone(), proptest::bool::weighted(0.8))
            .prop_map(|(actor, order, good)| Step::Deliver { actor, order, good }),
        1 => (actor.clone(), order.clone()).prop_map(|(actor, order)| Step::Cancel { actor, order }),
        3 => (actor.clone(), order).prop_map(|(actor, order)| Step::Expire { actor, order }),
        3 => (actor.clone(), amount.clone())
            .prop_map(|(actor, amount)| Step::Deposit { actor, amount }),
        2 => (actor.clone(), amount.clone())
            .prop_map(|(actor, amount)| Step::Withdraw { actor, amount }),
        1 => (actor, amount).prop_map(|(actor, amount)| Step::Surplus { actor, amount }),
        2 => ms.clone().prop_map(|ms| Step::Wait { ms }),
        2 => ms.prop_map(|ms| Step::Block { ms }),
    ]
}

/// Runs a step; a refusal is as good as a success, a failure of the host is not.
fn run(world: &mut World, step: &Step) {
    let result = match *step {
        Step::Order {
            actor,
            windows,
            cents,
            sealed,
        } => {
            let deadline = world.host.timestamp_ms + windows * world.window();
            let value = wei(PRICE + u128::from(cents));
            if sealed {
                let call = IInference::orderSealedCall {
                    deadlineMs: deadline,
                    ..world.sealed_call(1, &NAMED)
                };
                return settle(step, world.pay(ACTORS[actor], value, call).map(|_| ()));
            }
            let call = IInference::orderCall {
                deadlineMs: deadline,
                ..world.order_call()
            };
            world.pay(ACTORS[actor], value, call).map(|_| ())
        }
        Step::Claim { actor, order } => world.claim(ACTORS[actor], U256::from(order)),
        Step::Deliver { actor, order, good } => {
            let id = U256::from(order);
            let known = world.act(ACTORS[actor], IInference::countCall {}).unwrap() >= id;
            // An honest claimant, or whoever tries without a claim.
            let seller = if known && good {
                world.get(id).seller
            } else {
                ACTORS[actor]
            };
            let mut call = if known && world.get(id).isSealed {
                world.sealed_delivery(id, 1)
            } else if known {
                world.delivery(id)
            } else {
                IInference::deliverCall {
                    id,
                    output: vec![0].into(),
                    proof: vec![0].into(),
                }
            };
            if !good {
                call.proof = vec![0; 32].into();
            }
            world.act(seller, call).map(|_| ())
        }
        Step::Cancel { actor, order } => world
            .act(
                ACTORS[actor],
                IInference::cancelCall {
                    id: U256::from(order),
                },
            )
            .map(|_| ()),
        Step::Expire { actor, order } => world
            .act(
                ACTORS[actor],
                IInference::expireCall {
                    id: U256::from(order),
                },
            )
            .map(|_| ()),
        Step::Deposit { actor, amount } => world
            .pay(ACTORS[actor], wei(amount), IInference::depositCall {})
            .map(|_| ()),
        Step::Withdraw { actor, amount } => {
            let call = IInference::withdrawCall {
                amount: wei(amount),
            };
            world.act(ACTORS[actor], call).map(|_| ())
        }
        Step::Surplus { actor, amount } => {
            world
                .host
                .plain_transfer(ACTORS[actor], addresses::INFERENCE, wei(amount));
            Ok(())
        }
        Step::Wait { ms } => {
            world.wait(ms);
            Ok(())
        }
        Step::Block { ms } => world.host.next_block(ms),
    };
    settle(step, result);
}

fn settle(step: &Step, result: crate::Result<()>) {
    assert!(
        matches!(result, Ok(()) | Err(ContractError::Revert(_))),
        "{step:?}: {result:?}"
    );
}

fn orders(world: &mut World) -> Vec<Order> {
    let count = world
        .act(ACTORS[0], IInference::countCall {})
        .unwrap()
        .to::<u64>();
    (1..=count)
        .map(|number| world.get(U256::from(number)))
        .collect()
}

fn is_final(status: Status) -> bool {
    matches!(status, Status::Paid | Status::Cancelled | Status::Refunded)
}

/// What one step may do to one order at time `now`.
fn check_transition(step: &Step, before: &Order, after: &Order, now: u64) {
    if is_final(before.status) {
        assert_eq!(before, after, "a settled order never changes");
    }
    let slashed =
        before.status == Status::Claimed && matches!(after.status, Status::Open | Status::Refunded);
    if slashed {
        assert!(now > before.windowEndMs, "only a missed window is slashed");
        assert!(matches!(step, Step::Expire { .. } | Step::Block { .. }));
    }
    if after.status == Status::Paid && before.status != Status::Paid {
        assert!(
            matches!(step, Step::Deliver { good: true, .. }),
            "only a good proof is paid"
        );
        assert_eq!(before.status, Status::Claimed);
        assert!(now <= before.windowEndMs);
    }
    if after.status == Status::Cancelled && before.status != Status::Cancelled {
        assert_eq!(before.status, Status::Open);
    }
    if after.status == Status::Claimed {
        assert!(after.windowEndMs <= after.deadlineMs);
        assert!(!after.isSealed || NAMED.contains(&after.seller));
    }
    let terms = |order: &Order| {
        (
            order.model,
            order.buyer,
            order.price,
            order.ownerShareBps,
            order.deadlineMs,
            order.inputHash,
            order.isSealed,
        )
    };
    assert_eq!(terms(before), terms(after), "terms are fixed");
    assert!(after.compensationLeft <= before.compensationLeft);
}

fn check_claims(world: &mut World, orders: &[Order]) {
    let mut open = 0;
    for actor in ACTORS {
        let held = |order: &&Order| order.status == Status::Claimed && order.seller == actor;
        let locked = orders
            .iter()
            .filter(held)
            .fold(U256::ZERO, |sum, order| sum + order.bond);
        let claims = orders.iter().filter(held).count();
        let deposit = world.deposit_of(actor);
        assert_eq!(
            (deposit.locked, deposit.openClaims as usize),
            (locked, claims)
        );
        assert!(deposit.openClaims <= world.spec.market.max_open_claims_per_seller);
    }
    for order in orders {
        open += u64::from(matches!(order.status, Status::Open | Status::Claimed));
        if order.status == Status::Open {
            assert_eq!((order.seller, order.bond), (Address::ZERO, U256::ZERO));
        }
    }
    let listed = world.act(ACTORS[0], IInference::openCountCall {}).unwrap();
    assert_eq!(
        listed,
        U256::from(open),
        "the open list holds exactly the unsettled orders"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_money_is_conserved_and_debts_are_covered(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut world = World::with(|spec| {
            spec.market.max_open_claims_per_seller = 2;
            spec.market.sweep_per_block = 2;
        });
        for seller in NAMED {
            world.set_sealing_key(seller);
        }
        let mut before = orders(&mut world);
        let mut burned = world.host.burned();
        for step in &steps {
            let now = world.host.timestamp_ms;
            run(&mut world, step);
            world.check_invariants();
            let after = orders(&mut world);
            for (old, new) in before.iter().zip(&after) {
                check_transition(step, old, new, now);
            }
            check_claims(&mut world, &after);
            prop_assert!(world.host.burned() >= burned, "what is burned stays burned");
            burned = world.host.burned();
            before = after;
        }
    }
}
