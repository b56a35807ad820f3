use super::{INPUT, me, order};
use crate::{
    checks::{Costs, Job, Named, Refusal, bond, check_order, earning, open_envelope, read_input},
    sealing::SealingKeys,
};
use alloy_primitives::{Address, B256, U256};
use hallmark_client::{
    Deposit, Level, ModelRecord, Order, Status,
    sealed::{Binding, EnvelopeError, envelope},
};
use hallmark_graph::{Builder, Constant, Elements, Graph, Input, Range, Scale, Shape, TableSpec};
use hallmark_proof::InputSecret;

fn graph() -> Graph {
    let scale = Scale {
        multiplier: 1,
        shift: 0,
    };
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![1, 2]),
        range: Range { lo: -8, hi: 8 },
        scale,
    }]);
    let weights = Constant {
        elements: Elements::I8(vec![1, -1]),
        multipliers: vec![100],
    };
    let weights = builder.constant(Shape(vec![2, 1]), weights).unwrap();
    let v = builder.matmul(0, weights, 0, 1).unwrap();
    let v = builder.combine(&[(v, 1)], 300).unwrap();
    let table = TableSpec::Clamp {
        bits: 12,
        lo: 0,
        hi: 127,
    };
    let y = builder.lookup(v, 4, table).unwrap();
    builder.output(y, scale).unwrap();
    builder.finish().unwrap().graph
}

fn record() -> ModelRecord {
    ModelRecord {
        id: B256::repeat_byte(1),
        owner: Address::repeat_byte(3),
        price: 1_000,
        owner_share_bps: 1_000,
        digest: B256::ZERO,
        commitment: B256::ZERO,
        content_hash: B256::ZERO,
        content_size: 0,
        key_size: 0,
        registered_at: 1,
        active: true,
        name: "m".to_owned(),
        uri: String::new(),
    }
}

fn costs() -> Costs {
    Costs {
        gas: 80,
        longest_gas: 100,
        transaction_gas: 100,
        gas_price: 10,
        work_ms: 500,
        bond: U256::from(50),
        margin_bps: 1_000,
        min_earning: U256::ZERO,
        claim_window_ms: 8_000,
    }
}

fn check(order: &Order, input: &[u8], costs: &Costs, now_ms: u64) -> Result<Vec<i32>, Refusal> {
    let deposit = Deposit {
        free: U256::from(50),
        locked: U256::ZERO,
        open_claims: 0,
    };
    check_order(order, &record(), &deposit, costs, now_ms)?;
    read_input(order, &graph(), input).map(|job| job.input().to_vec())
}

#[test]
fn a_good_order_passes_and_its_input_is_decoded() {
    // 880 wei are left for the seller; 80 gas at 10 wei and a tenth of margin are 880 too.
    let order = order(Status::Open);
    assert_eq!(earning(&order), U256::from(880));
    assert_eq!(check(&order, INPUT, &costs(), 2_000), Ok(vec![3, -2]));
}

#[test]
fn an_order_that_is_not_open_is_left_alone() {
    for status in [
        Status::Claimed,
        Status::Paid,
        Status::Cancelled,
        Status::Refunded,
    ] {
        let refused = check(&order(status), INPUT, &costs(), 2_000);
        assert_eq!(refused, Err(Refusal::NotOpen(status)));
    }
}

#[test]
fn a_level_without_a_judge_is_left_alone() {
    let mut order = order(Status::Open);
    order.level = Level::Exact;
    assert_eq!(
        check(&order, INPUT, &costs(), 2_000),
        Err(Refusal::Level(Level::Exact))
    );
}

#[test]
fn an_order_that_pays_too_little_is_left_alone() {
    let mut order = order(Status::Open);
    // 997 less 19 for the network and 99 for the owner: one wei below the costs.
    order.price = U256::from(997);
    let refused = check(&order, INPUT, &costs(), 2_000);
    let expected = Refusal::Price {
        earning: U256::from(879),
        cost: U256::from(880),
    };
    assert_eq!(refused, Err(expected));
}

#[test]
fn an_order_below_the_wanted_earning_is_left_alone() {
    let costs = Costs {
        min_earning: U256::from(881),
        ..costs()
    };
    let refused = check(&order(Status::Open), INPUT, &costs, 2_000).unwrap_err();
    assert_eq!(
        refused,
        Refusal::Price {
            earning: U256::from(880),
            cost: U256::from(881)
        }
    );
    assert!(refused.may_pass_later());
}

#[test]
fn an_order_whose_longest_delivery_no_transaction_holds_is_left_alone() {
    let costs = Costs {
        transaction_gas: 99,
        ..costs()
    };
    let refused = check(&order(Status::Open), INPUT, &costs, 2_000).unwrap_err();
    let expected = Refusal::Gas {
        needed: 100,
        limit: 99,
    };
    assert_eq!(refused, expected);
    assert!(!refused.may_pass_later(), "the chain's rules do not change");
}

#[test]
fn an_order_whose_deadline_leaves_no_whole_window_is_left_alone() {
    assert!(check(&order(Status::Open), INPUT, &costs(), 53_000).is_ok());
    let late = check(&order(Status::Open), INPUT, &costs(), 53_001);
    assert_eq!(
        late,
        Err(Refusal::Time {
            left_ms: 7_999,
            needed_ms: 8_000
        })
    );
}

#[test]
fn work_that_is_longer_than_the_window_is_left_alone() {
    let costs = Costs {
        work_ms: 8_001,
        ..costs()
    };
    let refused = check(&order(Status::Open), INPUT, &costs, 2_000);
    assert_eq!(
        refused,
        Err(Refusal::Time {
            left_ms: 8_000,
            needed_ms: 8_001
        })
    );
}

#[test]
fn an_order_whose_bond_is_not_free_is_left_alone() {
    let costs = Costs {
        bond: U256::from(51),
        ..costs()
    };
    let refused = check(&order(Status::Open), INPUT, &costs, 2_000);
    assert!(
        matches!(refused, Err(Refusal::Deposit { .. })),
        "{refused:?}"
    );
}

#[test]
fn inputs_of_a_wrong_length_range_or_hash_are_left_alone() {
    let mut order = order(Status::Open);
    let other = check(&order, &[3, 2], &costs(), 2_000).unwrap_err();
    assert_eq!(
        other,
        Refusal::Input("its hash is not the order's".to_owned())
    );
    for input in [&[3u8][..], &[3, 9], &[3, 2, 1], &[]] {
        order.input_hash = alloy_primitives::keccak256(input);
        let refused = check(&order, input, &costs(), 2_000);
        assert!(
            matches!(refused, Err(Refusal::Input(_))),
            "{input:?}: {refused:?}"
        );
    }
}

#[test]
fn the_bond_is_a_part_of_the_price_but_never_below_the_least() {
    assert_eq!(
        bond(U256::from(1_000), U256::from(10), 5_000),
        U256::from(500)
    );
    assert_eq!(
        bond(U256::from(1_000), U256::from(501), 5_000),
        U256::from(501)
    );
}

// sealed orders

/// A sealed order that names a seller with these keys, and its envelope.
fn sealed_order(keys: &SealingKeys, seller: Address) -> (Order, Vec<u8>) {
    let (graph, secret) = (graph(), InputSecret::from_bytes([3; 32]));
    let commitment = hallmark_proof::commit_input(&graph, &[3, -2], &secret).unwrap();
    let mut order = order(Status::Open);
    order.is_sealed = true;
    order.input_hash = commitment.into();
    let binding = Binding {
        chain_id: 1618,
        model: order.model,
        buyer: order.buyer,
        commitment: order.input_hash,
        sellers: vec![seller],
    };
    let envelope = envelope::seal(&binding, &[keys.public().0], &secret, INPUT).unwrap();
    (order, envelope)
}

fn open(
    order: &Order,
    envelope: &[u8],
    sellers: &[Address],
    keys: &SealingKeys,
) -> Result<Job, Refusal> {
    let seller = Named {
        chain_id: 1618,
        me: me(),
        keys,
    };
    open_envelope(order, &graph(), envelope, sellers, seller)
}

#[test]
fn a_named_seller_opens_a_sealed_order_also_after_rotating_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut keys = SealingKeys::open(&dir.path().join("keys")).unwrap();
    let (order, envelope) = sealed_order(&keys, me());
    for _ in 0..2 {
        let job = open(&order, &envelope, &[me()], &keys).unwrap();
        assert_eq!(job.input(), [3, -2]);
        let Job::Sealed(opened) = job else {
            panic!("a sealed job")
        };
        assert_eq!(opened.secret.to_bytes(), [3; 32]);
        keys.rotate(1).unwrap();
    }
}

#[test]
fn sealed_orders_that_cannot_be_delivered_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let keys = SealingKeys::open(&dir.path().join("keys")).unwrap();
    let strangers = SealingKeys::open(&dir.path().join("others")).unwrap();
    let other = Address::repeat_byte(9);
    let (order, envelope) = sealed_order(&keys, me());
    let refused = open(&order, &envelope, &[other], &keys).unwrap_err();
    assert_eq!(refused, Refusal::NotNamed);
    let refused = open(&order, &envelope, &[me()], &strangers).unwrap_err();
    assert_eq!(refused, Refusal::Envelope(EnvelopeError::UnknownKey));
    let mut moved = order.clone();
    moved.buyer = other;
    let refused = open(&moved, &envelope, &[me()], &keys).unwrap_err();
    assert_eq!(refused, Refusal::Envelope(EnvelopeError::Decrypt));
    for refused in [
        open(&order, &[], &[me()], &keys).unwrap_err(),
        open(&order, &[0; 300], &[me()], &keys).unwrap_err(),
    ] {
        assert!(!refused.may_pass_later(), "{refused}");
    }
    // An envelope of an input that is not the committed one.
    let binding = Binding {
        chain_id: 1618,
        model: order.model,
        buyer: order.buyer,
        commitment: order.input_hash,
        sellers: vec![me()],
    };
    let secret = InputSecret::from_bytes([3; 32]);
    for (input, out_of_range) in [([3, 2], false), ([9, 9], true)] {
        let lie = envelope::seal(&binding, &[keys.public().0], &secret, &input).unwrap();
        let refused = open(&order, &lie, &[me()], &keys).unwrap_err();
        assert_eq!(
            matches!(refused, Refusal::Envelope(EnvelopeError::Input(_))),
            out_of_range,
            "{refused}"
        );
        assert_eq!(
            refused == Refusal::Envelope(EnvelopeError::Commitment),
            !out_of_range
        );
    }
}

#[test]
fn a_job_never_prints_its_input() {
    assert_eq!(format!("{:?}", Job::Open(vec![1])), "Job::Open(..)");
}
