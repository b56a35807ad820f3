//! The chain's side of consensus, without a network.

mod support;

use std::{sync::Arc, sync::atomic::Ordering};

use alloy_primitives::{Address, B256, Bytes, U256};
use hallmark_consensus::{Core, CoreError, RoundInfo, Unready, Verdict, certificate};
use hallmark_types::{Block, HeaderExtra, merkle};
use support::{Rooms, World};

const GENESIS_MS: u64 = 1_000_000;

fn round(view: u64) -> RoundInfo {
    RoundInfo {
        epoch: 0,
        view,
        parent_view: view - 1,
        leader: u16::try_from(view % 4).expect("small"),
    }
}

fn propose(rooms: &Rooms, parent: B256, view: u64) -> Arc<Block> {
    rooms
        .core
        .propose(parent, &round(view), GENESIS_MS + view * 100)
        .expect("a proposal")
}

fn verify(core: &Core, block: &Arc<Block>, view: u64) -> Verdict {
    core.verify(block.header.parent_hash, block, &round(view), u64::MAX / 2)
}

fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Invalid(reason) => reason,
        verdict => panic!("expected an invalid block, got {verdict:?}"),
    }
}

/// A block with a changed header, and the transactions root that belongs to its transactions.
fn changed(block: &Block, change: impl FnOnce(&mut Block)) -> Arc<Block> {
    let mut block = block.clone();
    change(&mut block);
    block.header.transactions_root = merkle::transactions_root(&block.transactions);
    Arc::new(block)
}

#[test]
fn a_chain_of_proposals_verifies_and_commits_elsewhere_with_the_same_roots() {
    let world = World::new(4, 2, GENESIS_MS);
    let (a, b) = (world.rooms(), world.rooms());
    let to = Address::repeat_byte(0x99);
    let mut parent = a.store.head().hash;
    let mut blocks = Vec::new();
    for view in 1..=3 {
        a.submit(&world.transfer(0, view - 1, to, 5));
        let block = propose(&a, parent, view);
        assert_eq!(block.transactions.len(), 1);
        assert_eq!(verify(&b.core, &block, view), Verdict::Valid);
        parent = block.hash();
        blocks.push(block);
    }
    for rooms in [&a, &b] {
        for block in &blocks {
            rooms.core.finalized(block, Bytes::new()).expect("commits");
            // Delivered at least once.
            rooms.core.finalized(block, Bytes::new()).expect("again");
        }
        assert_eq!(rooms.height(), 3);
        assert_eq!(rooms.balance(to), U256::from(15));
        assert_eq!(
            rooms.store.head().state.total_balance(),
            world.spec.issued()
        );
        assert!(rooms.mempool.is_empty());
    }
    assert_eq!(a.store.head().state.root(), b.store.head().state.root());
    // The proposer did not execute, and nobody recovered a sender twice.
    for rooms in [&a, &b] {
        let recoveries = &rooms.executor.counters().sender_recoveries;
        assert_eq!(recoveries.load(Ordering::Relaxed), 3);
    }
}

#[test]
fn a_block_with_a_missing_parent_is_pending_until_its_ancestors_are_given() {
    let world = World::new(4, 1, GENESIS_MS);
    let (a, b) = (world.rooms(), world.rooms());
    let first = propose(&a, a.store.head().hash, 1);
    let second = propose(&a, first.hash(), 2);
    let missing = Unready::MissingParent(first.hash());
    assert_eq!(verify(&b.core, &second, 2), Verdict::Pending(missing));
    b.core.extend(&first).expect("valid");
    assert_eq!(verify(&b.core, &second, 2), Verdict::Valid);
}

#[test]
fn a_late_question_about_an_abandoned_fork_gets_no_verdict() {
    let world = World::new(4, 1, GENESIS_MS);
    let (a, b) = (world.rooms(), world.rooms());
    let genesis = a.store.head().hash;
    let abandoned = propose(&b, genesis, 1);
    let child = propose(&b, abandoned.hash(), 2);
    let chosen = propose(&a, genesis, 2);
    a.core.extend(&abandoned).expect("valid");
    a.core.finalized(&chosen, Bytes::new()).expect("commits");
    // The fork's layer is gone, so its parent counts as missing; never as invalid.
    assert!(matches!(verify(&a.core, &child, 2), Verdict::Pending(_)));
    // A sibling of the committed block is still judged on its own parent.
    assert_eq!(verify(&a.core, &abandoned, 1), Verdict::Valid);
}

#[test]
fn a_validator_commits_blocks_that_it_never_verified() {
    let world = World::new(4, 1, GENESIS_MS);
    let (a, b) = (world.rooms(), world.rooms());
    a.submit(&world.transfer(0, 0, Address::repeat_byte(9), 7));
    let block = propose(&a, a.store.head().hash, 1);
    b.core
        .finalized(&block, Bytes::from_static(b"certificate"))
        .expect("commits");
    assert_eq!(b.balance(Address::repeat_byte(9)), U256::from(7));
    assert_eq!(
        b.store.finalization(1),
        Some(Bytes::from_static(b"certificate"))
    );
}

#[test]
fn a_block_that_lies_is_invalid_for_its_own_reason() {
    let world = World::new(4, 2, GENESIS_MS);
    let (a, b) = (world.rooms(), world.rooms());
    a.submit(&world.transfer(0, 0, Address::repeat_byte(9), 7));
    let honest = propose(&a, a.store.head().hash, 1);

    let wrong_root = changed(&honest, |block| {
        block.header.state_root = B256::repeat_byte(1)
    });
    assert!(reason(verify(&b.core, &wrong_root, 1)).contains("state root"));

    let bad_nonce = changed(&honest, |block| {
        block
            .transactions
            .push(world.transfer(1, 5, Address::repeat_byte(9), 7));
    });
    assert!(reason(verify(&b.core, &bad_nonce, 1)).contains("nonce"));

    let stolen_fees = changed(&honest, |block| block.header.beneficiary = Address::ZERO);
    assert!(reason(verify(&b.core, &stolen_fees, 1)).contains("beneficiary"));

    let other_view = changed(&honest, |block| {
        let extra = HeaderExtra {
            view: 2,
            ..block.extra().expect("extra")
        };
        block.header.extra_data = extra.encode();
    });
    assert!(reason(verify(&b.core, &other_view, 1)).contains("view"));

    let other_parent = b
        .core
        .verify(B256::repeat_byte(7), &honest, &round(1), u64::MAX / 2);
    assert!(reason(other_parent).contains("parent hash"));

    // The honest block is still judged on its merits afterwards.
    assert_eq!(verify(&b.core, &honest, 1), Verdict::Valid);
}

#[test]
fn the_local_clock_delays_a_vote_and_never_decides_it() {
    let world = World::new(4, 1, GENESIS_MS);
    let (a, b) = (world.rooms(), world.rooms());
    let block = propose(&a, a.store.head().hash, 1);
    let early = b
        .core
        .verify(block.header.parent_hash, &block, &round(1), 0);
    let when = block.timestamp_ms() - world.spec.limits.max_clock_skew_ms;
    assert_eq!(early, Verdict::Pending(Unready::TooEarly(when)));
    let later = b
        .core
        .verify(block.header.parent_hash, &block, &round(1), when);
    assert_eq!(later, Verdict::Valid);
}

#[test]
fn time_moves_on_by_a_bounded_step_however_late_or_early_the_clock_is() {
    let world = World::new(4, 1, GENESIS_MS);
    let a = world.rooms();
    let first = propose(&a, a.store.head().hash, 1);
    let late = a
        .core
        .propose(first.hash(), &round(2), u64::MAX / 2)
        .expect("late");
    let gap = world.spec.limits.max_parent_gap_ms;
    assert_eq!(late.timestamp_ms(), first.timestamp_ms() + gap);
    let early = a.core.propose(first.hash(), &round(2), 0).expect("early");
    assert_eq!(early.timestamp_ms(), first.timestamp_ms() + 1);
}

#[test]
fn a_final_block_that_executes_to_another_root_stops_the_validator() {
    let world = World::new(4, 1, GENESIS_MS);
    let (a, b) = (world.rooms(), world.rooms());
    let honest = propose(&a, a.store.head().hash, 1);
    let wrong = changed(&honest, |block| {
        block.header.state_root = B256::repeat_byte(1)
    });
    let error = b
        .core
        .finalized(&wrong, Bytes::new())
        .expect_err("diverged");
    assert!(
        matches!(error, CoreError::Diverged { number: 1, .. }),
        "{error}"
    );
    assert!(b.core.failure().expect("failed").contains("state root"));
    // Nothing is accepted any more, not even the honest block.
    assert!(matches!(
        b.core.finalized(&honest, Bytes::new()),
        Err(CoreError::Failed(_))
    ));
    assert!(matches!(
        verify(&b.core, &honest, 1),
        Verdict::Pending(Unready::Failed(_))
    ));
    assert_eq!(b.height(), 0);
}

#[test]
fn a_skipped_height_and_a_second_chain_are_fatal() {
    let world = World::new(4, 1, GENESIS_MS);
    let (a, b, c) = (world.rooms(), world.rooms(), world.rooms());
    let first = propose(&a, a.store.head().hash, 1);
    let second = propose(&a, first.hash(), 2);
    let gap = b.core.finalized(&second, Bytes::new());
    assert!(matches!(gap, Err(CoreError::Gap { number: 2, head: 0 })));
    let rival = propose(&c, c.store.head().hash, 2);
    a.core.finalized(&first, Bytes::new()).expect("commits");
    let conflict = a.core.finalized(&rival, Bytes::new());
    assert!(matches!(
        conflict,
        Err(CoreError::Conflict { number: 1, .. })
    ));
}

mod certificates {
    use super::*;
    use certificate::{CertificateError, assemble, verify};
    use hallmark_consensus::genesis_committee;
    use hallmark_types::{ChainSpec, Committee};

    /// The validators of the first epoch.
    fn set(spec: &ChainSpec) -> Committee {
        genesis_committee(spec, 0).expect("the spec knows them")
    }

    fn block(world: &World) -> Block {
        let rooms = world.rooms();
        (*propose(&rooms, rooms.store.head().hash, 1)).clone()
    }

    #[test]
    fn a_quorum_of_the_epochs_validators_proves_a_block() {
        let world = World::new(4, 1, GENESIS_MS);
        let block = block(&world);
        for signers in [3, 4] {
            let bytes = assemble(
                &world.spec,
                &set(&world.spec),
                &world.seeds[..signers],
                &block.header,
            )
            .expect("made");
            assert_eq!(
                verify(&world.spec, &set(&world.spec), &block.header, &bytes),
                Ok(())
            );
        }
    }

    #[test]
    fn too_few_signers_are_counted() {
        let world = World::new(4, 1, GENESIS_MS);
        let block = block(&world);
        let bytes = assemble(
            &world.spec,
            &set(&world.spec),
            &world.seeds[..2],
            &block.header,
        )
        .expect("made");
        assert_eq!(
            verify(&world.spec, &set(&world.spec), &block.header, &bytes),
            Err(CertificateError::TooFewSigners {
                needed: 3,
                found: 2
            })
        );
    }

    #[test]
    fn a_certificate_of_another_block_is_refused_by_name() {
        let world = World::new(4, 1, GENESIS_MS);
        let block = block(&world);
        let bytes =
            assemble(&world.spec, &set(&world.spec), &world.seeds, &block.header).expect("made");
        let other = changed(&block, |block| block.header.gas_used = 1);
        let error = verify(&world.spec, &set(&world.spec), &other.header, &bytes)
            .expect_err("another block");
        assert!(
            matches!(error, CertificateError::AnotherBlock { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_certificate_of_another_epoch_is_refused_by_name() {
        let world = World::new(4, 1, GENESIS_MS);
        let block = block(&world);
        let bytes =
            assemble(&world.spec, &set(&world.spec), &world.seeds, &block.header).expect("made");
        let other = changed(&block, |block| {
            let extra = HeaderExtra {
                epoch: 3,
                ..block.extra().expect("extra")
            };
            block.header.extra_data = extra.encode();
            block.header.number = 3 * world.spec.staking.epoch_blocks;
        });
        assert_eq!(
            verify(&world.spec, &set(&world.spec), &other.header, &bytes),
            Err(CertificateError::OtherCommittee {
                header: 3,
                committee: 0
            })
        );
        let mut third = set(&world.spec);
        third.epoch = 3;
        // An old set has no say over a later block, whatever its header says of the epoch.
        let mut late = block.clone();
        late.header.number = 3 * world.spec.staking.epoch_blocks;
        assert_eq!(
            verify(&world.spec, &set(&world.spec), &late.header, &bytes),
            Err(CertificateError::OtherCommittee {
                header: 3,
                committee: 0
            })
        );
        assert_eq!(
            verify(&world.spec, &third, &other.header, &bytes),
            Err(CertificateError::WrongEpoch {
                expected: 3,
                found: 0
            })
        );
    }

    #[test]
    fn a_self_made_validator_set_is_refused() {
        let world = World::new(4, 1, GENESIS_MS);
        let block = block(&world);
        let mut forged = (*world.spec).clone();
        let seeds: Vec<[u8; 32]> = (101..=104).map(|index| [index; 32]).collect();
        for (validator, seed) in forged.validators.iter_mut().zip(&seeds) {
            validator.public_key = hallmark_consensus::public_key_of(seed);
        }
        let bytes = assemble(&forged, &set(&forged), &seeds, &block.header).expect("made");
        assert_eq!(
            verify(&forged, &set(&forged), &block.header, &bytes),
            Ok(())
        );
        assert_eq!(
            verify(&world.spec, &set(&world.spec), &block.header, &bytes),
            Err(CertificateError::BadSignatures)
        );
    }

    #[test]
    fn the_same_validators_on_another_chain_prove_nothing_here() {
        let world = World::new(4, 1, GENESIS_MS);
        let block = block(&world);
        let mut other = (*world.spec).clone();
        other.chain_id += 1;
        let bytes = assemble(&other, &set(&other), &world.seeds, &block.header).expect("made");
        assert_eq!(
            verify(&world.spec, &set(&world.spec), &block.header, &bytes),
            Err(CertificateError::BadSignatures)
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused_without_a_panic() {
        let world = World::new(4, 1, GENESIS_MS);
        let block = block(&world);
        let bytes = assemble(
            &world.spec,
            &set(&world.spec),
            &world.seeds[..3],
            &block.header,
        )
        .expect("made");
        for position in 0..bytes.len() {
            for bit in [0, 7] {
                let mut changed = bytes.clone();
                changed[position] ^= 1 << bit;
                assert!(
                    verify(&world.spec, &set(&world.spec), &block.header, &changed).is_err(),
                    "byte {position} bit {bit}"
                );
            }
            let cut = verify(
                &world.spec,
                &set(&world.spec),
                &block.header,
                &bytes[..position],
            );
            assert!(
                matches!(cut, Err(CertificateError::Malformed(_))),
                "cut at {position}"
            );
        }
        let mut longer = bytes.clone();
        longer.push(0);
        let longer = verify(&world.spec, &set(&world.spec), &block.header, &longer);
        assert!(matches!(longer, Err(CertificateError::Malformed(_))));
        let zeros = verify(&world.spec, &set(&world.spec), &block.header, &[0; 4096]);
        assert!(zeros.is_err());
    }

    #[test]
    fn a_header_without_consensus_data_is_refused() {
        let world = World::new(4, 1, GENESIS_MS);
        let block = block(&world);
        let bytes =
            assemble(&world.spec, &set(&world.spec), &world.seeds, &block.header).expect("made");
        let mut header = block.header.clone();
        header.extra_data = Bytes::new();
        let error = verify(&world.spec, &set(&world.spec), &header, &bytes);
        assert!(matches!(error, Err(CertificateError::Header(_))));
    }
}
