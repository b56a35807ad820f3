use super::{me, order};
use crate::journal::{Journal, JournalError, Stage, Step, next_step};
use alloy_primitives::{Address, B256, Bytes, U256};
use hallmark_client::{Order, Status};

fn claimed_by(seller: Address) -> Order {
    Order {
        seller,
        ..order(Status::Claimed)
    }
}

fn sent() -> (B256, Bytes) {
    (B256::repeat_byte(9), Bytes::from_static(b"raw"))
}

fn claiming() -> Stage {
    let (transaction, raw) = sent();
    Stage::Claiming { transaction, raw }
}

fn delivering() -> Stage {
    let (transaction, raw) = sent();
    Stage::Delivering { transaction, raw }
}

fn lost(again: bool) -> Stage {
    Stage::Lost {
        reason: "x".to_owned(),
        again,
    }
}

#[test]
fn a_new_open_order_is_evaluated() {
    assert_eq!(
        next_step(&Stage::Seen, &order(Status::Open), me()),
        Step::Evaluate
    );
}

#[test]
fn a_provider_killed_after_signing_a_claim_looks_for_that_claim_first() {
    let (transaction, raw) = sent();
    let step = next_step(&claiming(), &order(Status::Open), me());
    assert_eq!(step, Step::AwaitClaim { transaction, raw });
    assert_eq!(next_step(&claiming(), &claimed_by(me()), me()), Step::Work);
}

#[test]
fn a_provider_killed_between_claim_and_delivery_goes_on_working() {
    assert_eq!(
        next_step(&Stage::Claimed, &claimed_by(me()), me()),
        Step::Work
    );
}

#[test]
fn a_provider_killed_after_signing_a_delivery_sends_that_one_and_makes_no_second() {
    let (transaction, raw) = sent();
    let step = next_step(&delivering(), &claimed_by(me()), me());
    assert_eq!(step, Step::AwaitDelivery { transaction, raw });
}

#[test]
fn a_delivery_that_was_paid_while_the_provider_was_away_is_only_noted() {
    let paid = Order {
        seller: me(),
        ..order(Status::Paid)
    };
    assert_eq!(next_step(&delivering(), &paid, me()), Step::Paid);
    assert_eq!(next_step(&Stage::Delivered, &paid, me()), Step::Nothing);
}

#[test]
fn a_missed_window_is_never_tried_again() {
    for stage in [Stage::Claimed, delivering()] {
        let step = next_step(&stage, &order(Status::Open), me());
        assert!(matches!(step, Step::Lost { again: false, .. }), "{step:?}");
    }
    assert_eq!(
        next_step(&lost(false), &order(Status::Open), me()),
        Step::Nothing
    );
    assert_eq!(
        next_step(&lost(false), &claimed_by(me()), me()),
        Step::Nothing
    );
}

#[test]
fn the_loser_of_a_race_takes_the_order_when_it_is_opened_again() {
    let other = Address::repeat_byte(0x22);
    let step = next_step(&Stage::Seen, &claimed_by(other), me());
    assert!(matches!(step, Step::Lost { again: true, .. }), "{step:?}");
    assert_eq!(
        next_step(&lost(true), &claimed_by(other), me()),
        Step::Nothing
    );
    assert_eq!(
        next_step(&lost(true), &order(Status::Open), me()),
        Step::Evaluate
    );
}

#[test]
fn an_order_that_ended_is_lost_for_good() {
    for status in [Status::Paid, Status::Cancelled, Status::Refunded] {
        let step = next_step(&Stage::Seen, &order(status), me());
        assert!(
            matches!(step, Step::Lost { again: false, .. }),
            "{status}: {step:?}"
        );
    }
}

#[test]
fn a_refused_order_is_left_alone_whatever_becomes_of_it() {
    let refused = Stage::Refused {
        reason: "x".to_owned(),
    };
    for status in [
        Status::Open,
        Status::Claimed,
        Status::Paid,
        Status::Refunded,
    ] {
        assert_eq!(next_step(&refused, &order(status), me()), Step::Nothing);
    }
}

#[test]
fn the_journal_survives_a_restart_and_names_what_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.redb");
    let stages = [
        Stage::Seen,
        claiming(),
        Stage::Claimed,
        delivering(),
        Stage::Delivered,
        lost(false),
        Stage::Refused {
            reason: "x".to_owned(),
        },
    ];
    {
        let journal = Journal::open(&path, "me").unwrap();
        assert_eq!(journal.stage(U256::from(99)).unwrap(), Stage::Seen);
        for (id, stage) in stages.iter().enumerate() {
            journal.record(U256::from(id), stage).unwrap();
        }
        journal.set_cursor(41).unwrap();
    }
    let journal = Journal::open(&path, "me").unwrap();
    for (id, stage) in stages.iter().enumerate() {
        assert_eq!(&journal.stage(U256::from(id)).unwrap(), stage);
    }
    assert_eq!(
        journal.unfinished().unwrap(),
        (0..4).map(U256::from).collect::<Vec<_>>()
    );
    assert_eq!(journal.cursor().unwrap(), Some(41));
}

#[test]
fn a_journal_in_use_or_of_another_seller_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.redb");
    let journal = Journal::open(&path, "me").unwrap();
    assert!(matches!(
        Journal::open(&path, "me"),
        Err(JournalError::Locked { .. })
    ));
    drop(journal);
    assert!(matches!(
        Journal::open(&path, "another"),
        Err(JournalError::Other { .. })
    ));
}
