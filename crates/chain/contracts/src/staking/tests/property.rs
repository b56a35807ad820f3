//! Whatever people do in whatever order, money is conserved, debts are covered and recorded, and the
//! chain has validators.

use alloy_primitives::{Address, U256};
use hallmark_abi::IStaking;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Delegate {
        who: usize,
        to: u64,
        amount: u128,
    },
    Undelegate {
        who: usize,
        from: u64,
        parts: u8,
    },
    Withdraw {
        who: usize,
    },
    Bond {
        stake: u128,
    },
    Commission {
        who: usize,
        bps: u16,
    },
    Leave {
        who: usize,
    },
    Join {
        who: usize,
    },
    Rotate {
        who: usize,
        seed: u8,
    },
    Report {
        by: usize,
        whom: u8,
        ago: u64,
        kind: u8,
    },
    Blocks {
        count: u64,
        leader: u16,
        tips: u128,
    },
}

const PEOPLE: [Address; 7] = [
    ALICE,
    BOB,
    REPORTER,
    NEWCOMER,
    OPERATORS[0],
    OPERATORS[1],
    OPERATORS[2],
];

fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![1u128..3_000, 1u128..30_000 * hallmark_types::MARK]
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..PEOPLE.len();
    prop_oneof![
        4 => (who(), 1u64..5, amount()).prop_map(|(who, to, amount)| Step::Delegate { who, to, amount }),
        4 => (who(), 1u64..5, any::<u8>()).prop_map(|(who, from, parts)| Step::Undelegate { who, from, parts }),
        2 => who().prop_map(|who| Step::Withdraw { who }),
        1 => amount().prop_map(|stake| Step::Bond { stake }),
        1 => (who(), 0u16..6_000).prop_map(|(who, bps)| Step::Commission { who, bps }),
        1 => who().prop_map(|who| Step::Leave { who }),
        1 => who().prop_map(|who| Step::Join { who }),
        1 => (who(), 20u8..30).prop_map(|(who, seed)| Step::Rotate { who, seed }),
        2 => (who(), 1u8..30, 0u64..8, 1u8..4).prop_map(|(by, whom, ago, kind)| Step::Report { by, whom, ago, kind }),
        5 => (1u64..40, 0u16..5, amount()).prop_map(|(count, leader, tips)| Step::Blocks { count, leader, tips }),
    ]
}

/// All stake and exits of an account.
fn has(world: &mut World, account: Address) -> U256 {
    let count = world.act(ALICE, IStaking::countCall {}).unwrap();
    let stake: U256 = (1..=count).map(|n| world.worth(n, account)).sum();
    stake
        + world
            .exits(account)
            .iter()
            .map(|exit| exit.amount)
            .sum::<U256>()
}

fn run(world: &mut World, step: Step) {
    // What is refused changes nothing; the invariants are looked at either way.
    match step {
        Step::Delegate { who, to, amount } => {
            let _ = world.delegate(PEOPLE[who], to, U256::from(amount));
        }
        Step::Undelegate { who, from, parts } => {
            let validator = from;
            let account = PEOPLE[who];
            if let Ok(position) = world.act(ALICE, IStaking::positionCall { validator, account }) {
                let shares = position.shares * U256::from(parts) / U256::from(255);
                let _ = world.undelegate(account, from, shares);
            }
        }
        Step::Withdraw { who } => {
            let _ = world.withdraw(PEOPLE[who]);
        }
        Step::Bond { stake } => {
            let _ = world.bond(NEWCOMER, [9; 32], U256::from(stake));
        }
        Step::Commission { who, bps } => {
            let call = IStaking::setCommissionCall { commissionBps: bps };
            let _ = world.act(PEOPLE[who], call);
        }
        Step::Leave { who } => {
            let _ = world.act(PEOPLE[who], IStaking::leaveCall {});
        }
        Step::Join { who } => {
            let _ = world.act(PEOPLE[who], IStaking::joinCall {});
        }
        Step::Rotate { who, seed } => {
            let call = world.bond_call(PEOPLE[who], [seed; 32]);
            let call = IStaking::rotateKeyCall {
                publicKey: call.publicKey,
                possession: call.possession,
            };
            let _ = world.act(PEOPLE[who], call);
        }
        Step::Report {
            by,
            whom,
            ago,
            kind,
        } => {
            let epoch = world.epoch().saturating_sub(ago);
            let evidence = world.evidence([whom; 32], epoch, kind);
            let held = has(world, PEOPLE[by]);
            if let Ok(reward) = world.report(PEOPLE[by], &evidence) {
                let after = has(world, PEOPLE[by]);
                let own = world.act(
                    ALICE,
                    IStaking::keyInfoCall {
                        publicKey: key([whom; 32]),
                    },
                );
                let operator = world.get(own.unwrap().validator).operator;
                if operator == PEOPLE[by] {
                    let lost = held - after;
                    assert!(reward <= lost, "reporting oneself pays {reward} for {lost}");
                }
            }
        }
        Step::Blocks {
            count,
            leader,
            tips,
        } => {
            world.host.leader = leader;
            for _ in 0..count {
                world.block_with(U256::from(tips));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_books_balance_after_every_step(steps in prop::collection::vec(step(), 1..50)) {
        let mut world = World::new();
        for step in steps {
            run(&mut world, step);
            world.check_money();
            world.check_books(&[&PEOPLE[..], &[PAYOUT]].concat());
            let epoch = world.epoch();
            for known in [epoch, epoch + 1] {
                prop_assert!(!world.set(known).is_empty());
            }
        }
        // Everybody leaves, and everything that is owed is paid but what rounding left.
        for who in PEOPLE {
            for validator in 1..=world.act(ALICE, IStaking::countCall {}).unwrap() {
                let shares = world.shares(validator, who);
                let _ = world.undelegate(who, validator, shares);
            }
        }
        world.host.leader = 99;
        world.epochs(9);
        for who in [&PEOPLE[..], &[PAYOUT]].concat() {
            while world.withdraw(who).is_ok() {}
        }
        let owed = Staking::new().liabilities.read(&mut world.host).unwrap();
        prop_assert!(owed < 1_000_000_000_000, "{owed} wei are left");
    }
}
