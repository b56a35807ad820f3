//! Random interleavings of every step by several actors in topics of every kind: whatever happens,
//! money is conserved, debts are recorded and covered, no block stops, at most 99 % of what was
//! burned comes back, the end of a block is bounded, and no epoch goes backwards.

use alloy_primitives::{B256, Bytes, U256};
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::{MARK, addresses};
use proptest::prelude::*;

use super::{
    DONOR, OWNER, World, actor, only, salt, score_policy, synthesis_policy, truth, value, wei,
    weights, yuma_policy,
};
use crate::{
    ContractError, Result,
    topics::{commitments::commitment, score::test_set_commitment},
};

const ACTORS: u16 = 6;
/// Most gas of the end of a block, for topics of five slots.
const MOST_SWEPT: u64 = 10_000_000;

#[derive(Clone, Debug)]
enum Step {
    Register { role: u8, extra: u128 },
    Leave,
    TopUp { amount: u128 },
    Stake { slot: u16, amount: u128 },
    Unstake { pool: u64, part: u8 },
    SetTake { take: u16 },
    Withdraw,
    Commit { mechanism: u8 },
    Reveal { mechanism: u8, good: bool },
    TestSet { reveal: bool },
    Fund { amount: u128 },
    Grant { amount: u128 },
    Propose { fee: u128, bond: u128 },
    Veto { pool: u64 },
    Retire,
    Reclaim,
    Prove { sample: u32 },
    Create,
    Surplus { amount: u128 },
    Advance,
    Wait { ms: u64 },
    Block { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let amount = 0..60 * MARK;
    let ms = prop_oneof![0..1_000u64, 9_000..12_000u64];
    prop_oneof![
        5 => (0..3u8, 0..3u128).prop_map(|(role, extra)| Step::Register { role, extra }),
        1 => Just(Step::Leave),
        1 => amount.clone().prop_map(|amount| Step::TopUp { amount }),
        3 => (0..5u16, amount.clone()).prop_map(|(slot, amount)| Step::Stake { slot, amount }),
        2 => (1..8u64, 0..4u8).prop_map(|(pool, part)| Step::Unstake { pool, part }),
        1 => (0..10_002u16).prop_map(|take| Step::SetTake { take }),
        2 => Just(Step::Withdraw),
        8 => (0..2u8).prop_map(|mechanism| Step::Commit { mechanism }),
        8 => (0..2u8, proptest::bool::weighted(0.9))
            .prop_map(|(mechanism, good)| Step::Reveal { mechanism, good }),
        2 => any::<bool>().prop_map(|reveal| Step::TestSet { reveal }),
        2 => amount.clone().prop_map(|amount| Step::Fund { amount }),
        1 => amount.clone().prop_map(|amount| Step::Grant { amount }),
        1 => (0..2 * MARK, 0..40 * MARK).prop_map(|(fee, bond)| Step::Propose { fee, bond }),
        1 => (1..8u64).prop_map(|pool| Step::Veto { pool }),
        1 => proptest::bool::weighted(0.1).prop_map(|yes| if yes { Step::Retire } else { Step::Advance }),
        1 => Just(Step::Reclaim),
        1 => (0..2u32).prop_map(|sample| Step::Prove { sample }),
        1 => Just(Step::Create),
        1 => amount.prop_map(|amount| Step::Surplus { amount }),
        10 => Just(Step::Advance),
        5 => ms.clone().prop_map(|ms| Step::Wait { ms }),
        5 => ms.prop_map(|ms| Step::Block { ms }),
    ]
}

/// What a slot says to a mechanism; some of it is not what the mechanism takes.
fn payload(kind: Kind, role: Role, slot: u16) -> Vec<u8> {
    match (kind, role) {
        (Kind::Yuma, _) => weights(&[(slot % 2, 5), (2 + slot % 2, slot + 1)]),
        (Kind::Synthesis, Role::Worker) => value(100 + i128::from(slot)),
        (Kind::Synthesis, Role::Forecaster) => [&[0, 0][..], &value(1)].concat(),
        (Kind::Synthesis, _) => truth(101),
        _ => vec![7; 32],
    }
}

fn sized(policy: Policy) -> Policy {
    let (forecasters, reputers) = (policy.maxForecasters.min(1), policy.maxReputers.min(1));
    Policy {
        maxWorkers: 3,
        maxForecasters: forecasters,
        maxReputers: reputers,
        immunityMs: 15_000,
        vestingMs: 7_000,
        ..policy
    }
}

fn world() -> World {
    let mut world = World::empty(|spec| {
        spec.topics.slots_per_slice = 2;
        spec.topics.sweep_per_block = 2;
        spec.topics.grant_epochs = 3;
    });
    world
        .create(sized(yuma_policy()), only(Kind::Yuma))
        .unwrap();
    let mut mixed = only(Kind::Synthesis);
    mixed[0].shareBps = 7_001;
    let mut yuma = only(Kind::Yuma).remove(0);
    yuma.shareBps = 2_999;
    mixed.push(yuma);
    world.create(sized(synthesis_policy()), mixed).unwrap();
    world
        .create(sized(score_policy()), only(Kind::Score))
        .unwrap();
    world
}

/// The caller's slot in the present topic and what it would say.
fn own(world: &mut World, who: alloy_primitives::Address, mechanism: u8) -> (u16, Vec<u8>) {
    let topic = world.topic;
    let slot = world.ask(ITopics::slotOfCall {
        topic,
        operator: who,
    });
    let kinds = world.ask(ITopics::mechanismsCall { topic });
    let kind = kinds
        .get(usize::from(mechanism))
        .map_or(Kind::Yuma, |m| m.kind);
    let role = if slot == u16::MAX {
        Role::Worker
    } else {
        world.slot(slot).role
    };
    (slot, payload(kind, role, slot % 100))
}

fn run(world: &mut World, number: u16, step: &Step) -> Result<()> {
    let (who, topic) = (actor(number), world.topic);
    match *step {
        Step::Register { role, extra } => {
            let role = Role::try_from(role).unwrap();
            let price = world.entry(role) + extra - 1;
            let call = ITopics::registerCall { topic, role };
            world.pay(who, price, call).map(|_| ())
        }
        Step::Leave => {
            let (slot, _) = own(world, who, 0);
            world
                .act(who, ITopics::leaveCall { topic, slot })
                .map(|_| ())
        }
        Step::TopUp { amount } => {
            let (slot, _) = own(world, who, 0);
            world
                .pay(who, amount, ITopics::topUpCall { topic, slot })
                .map(|_| ())
        }
        Step::Stake { slot, amount } => world.stake(who, slot, amount).map(|_| ()),
        Step::Unstake { pool, part } => {
            let pool = U256::from(pool);
            let call = ITopics::positionCall { pool, account: who };
            let held = world.act(who, call)?.shares;
            let shares = held / U256::from(part.max(1)) + U256::from(part / 3);
            world
                .act(who, ITopics::unstakeCall { pool, shares })
                .map(|_| ())
        }
        Step::SetTake { take } => {
            let (slot, _) = own(world, who, 0);
            let call = ITopics::setTakeCall {
                topic,
                slot,
                takeBps: take,
            };
            world.act(who, call).map(|_| ())
        }
        Step::Withdraw => world.act(who, ITopics::withdrawCall {}).map(|_| ()),
        Step::Commit { mechanism } => {
            let (slot, said) = own(world, who, mechanism);
            let (epoch, fee) = (world.get().epoch, world.get().policy.submitFee);
            let to = (world.spec.chain_id, topic, epoch, mechanism, slot, who);
            let call = ITopics::commitCall {
                topic,
                epoch,
                mechanism,
                slot,
                commitment: commitment(to, salt(1), &said),
            };
            world.pay(who, fee, call).map(|_| ())
        }
        Step::Reveal { mechanism, good } => {
            let (slot, said) = own(world, who, mechanism);
            let call = ITopics::revealCall {
                topic,
                epoch: world.get().epoch,
                mechanism,
                slot,
                salt: salt(u16::from(good)),
                payload: Bytes::from(said),
            };
            world.act(who, call).map(|_| ())
        }
        Step::TestSet { reveal } => {
            let epoch = world.get().epoch;
            let content = test_set(epoch);
            if reveal {
                let call = ITopics::revealTestSetCall {
                    topic,
                    epoch,
                    salt: B256::ZERO,
                    testSet: content.into(),
                };
                return world.act(OWNER, call).map(|_| ());
            }
            let call = ITopics::commitTestSetCall {
                topic,
                epoch,
                commitment: test_set_commitment(B256::ZERO, &content),
            };
            world.act(OWNER, call).map(|_| ())
        }
        Step::Fund { amount } => world
            .pay(who, amount, ITopics::fundCall { topic })
            .map(|_| ()),
        Step::Grant { amount } => world
            .pay(who, amount, ITopics::grantCall { topic })
            .map(|_| ()),
        Step::Propose { fee, bond } => {
            let policy = Policy {
                submitFee: fee,
                minBond: bond,
                ..world.get().policy
            };
            let call = ITopics::proposePolicyCall {
                topic,
                policy,
                newOwner: OWNER,
            };
            world.act(OWNER, call).map(|_| ())
        }
        Step::Veto { pool } => {
            let pool = U256::from(pool);
            world
                .act(who, ITopics::vetoCall { topic, pool })
                .map(|_| ())
        }
        Step::Retire => world.act(OWNER, ITopics::retireCall { topic }).map(|_| ()),
        Step::Reclaim => world.act(who, ITopics::reclaimCall { topic }).map(|_| ()),
        // No proof holds: the models that the slots name are not listed.
        Step::Prove { sample } => {
            let (slot, _) = own(world, who, 0);
            let call = ITopics::proveCall {
                topic,
                epoch: world.get().epoch,
                mechanism: 0,
                slot,
                sample,
                output: Bytes::from(vec![1; 8]),
                proof: Bytes::from(vec![2; 32]),
            };
            world.act(who, call).map(|_| ())
        }
        Step::Create => world
            .create(sized(yuma_policy()), only(Kind::Yuma))
            .map(|_| ()),
        Step::Surplus { amount } => {
            world
                .host
                .plain_transfer(DONOR, addresses::TOPICS, wei(amount));
            Ok(())
        }
        Step::Advance => world.advance(),
        Step::Wait { ms } => {
            world.wait(ms);
            Ok(())
        }
        // Whatever users did, the end of a block does not fail.
        Step::Block { ms } => {
            world.host.next_block(ms).unwrap();
            assert!(world.host.swept_gas <= MOST_SWEPT);
            Ok(())
        }
    }
}

/// One sample; the same in every second epoch.
fn test_set(epoch: u64) -> Vec<u8> {
    let sample = hallmark_mechanisms::wire::Sample {
        input: &[u8::try_from(epoch % 2).unwrap(); 4],
        label: 0,
    };
    hallmark_mechanisms::wire::encode_test_set(&[sample]).unwrap()
}

/// How far a topic is: epoch, then stage.
fn progress(topic: &ITopics::Topic) -> (u64, u8) {
    let between = matches!(topic.stage, Stage::None | Stage::Done | Stage::Cancelled);
    (topic.epoch, if between { 0 } else { topic.stage as u8 })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_money_is_conserved_and_debts_are_covered(
        steps in proptest::collection::vec((0..ACTORS, 1..4u64, step()), 1..160)
    ) {
        let mut world = world();
        for (number, topic, step) in &steps {
            world.topic = U256::from(*topic);
            let before = world.get();
            let result = run(&mut world, *number, step);
            prop_assert!(
                matches!(result, Ok(()) | Err(ContractError::Revert(_))),
                "{step:?}: {result:?}"
            );
            world.check_invariants();
            check_shares(&mut world);
            let after = world.get();
            prop_assert!(progress(&before) <= progress(&after), "{step:?}");
            prop_assert!(after.burned >= before.burned && after.paid >= before.paid);
            prop_assert_eq!(world.get().slotCount as usize, taken(&mut world));
        }
    }
}

/// Nobody's shares are more than there are, of what counts and once all that waits does.
fn check_shares(world: &mut World) {
    let this = super::Topics::new();
    let host = &mut world.host;
    for number in 1..=this.pool_count.read(host).unwrap() {
        let pool = this.pools.at(number);
        let topic = this.topics.at(U256::from(pool.topic.read(host).unwrap()));
        let now = topic.epoch.read(host).unwrap();
        for epoch in [now, u64::MAX] {
            let held = pool.held(host, epoch).unwrap();
            let (mut shares, mut worth) = (U256::ZERO, 0u128);
            for who in (0..ACTORS).map(actor) {
                let own = pool.shares_of(host, who, epoch).unwrap();
                shares += own;
                worth += held.worth(own).unwrap();
            }
            assert!(shares <= held.shares && worth <= held.amount);
        }
    }
}

fn taken(world: &mut World) -> usize {
    let call = ITopics::slotsCall {
        topic: world.topic,
        offset: U256::ZERO,
        limit: U256::from(64),
    };
    let slots = world.ask(call);
    slots.iter().filter(|slot| !slot.operator.is_zero()).count()
}
