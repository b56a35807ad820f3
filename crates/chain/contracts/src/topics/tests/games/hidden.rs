//! Games about what is hidden: last-second submissions, withheld reveals, a copied commitment, selective
//! revealing.
//!
//! Four honest inferers with errors of 0.5, 0.7, 0.9 and 1.1 foretell a random walk of step 1; the attacker
//! errs by 0.5 and by 3 every other time, or makes two bets around what it believes. One reputer tells the
//! truth. By the anchor's rule nothing is committed first: what others say can be read before one speaks,
//! and who has said nothing, or takes back what it said, loses nothing.

use alloy_primitives::{Address, Bytes};
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Policy, Role, Stage},
};
use hallmark_types::MARK;

use super::{Chance, Seeds, print};
use crate::{
    ContractError,
    testing::expect_revert,
    topics::tests::{MIN_BOND, World, actor, salt, synthesis_policy, truth, value},
};

const COIN: i128 = MARK as i128;
const WARM: usize = 8;
const EPOCHS: usize = 30;
const HONEST: u16 = 4;
/// The attacker's slot, and its second in games of bets.
const OWN: u16 = HONEST;
const SECOND: u16 = OWN + 1;
const REPUTER: u16 = 10;
/// How far from the others' middle what a source says is taken for a failure, in hundredths.
const DOUBT: i128 = 150;
/// How far two bets lie from what the attacker believes, in hundredths.
const BET: i128 = 100;

/// What an attacker does each epoch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Play {
    /// Commits and opens what its source says.
    Honest,
    /// The same, in the last millisecond.
    LastMoment,
    /// Waits for the others' reveals, and commits their middle then.
    AfterTheWindow,
    /// What it would say if it saw what the others say now: their middle.
    SeesTheMiddle,
    /// Or the best of them.
    SeesTheBest,
    /// Opens nothing once the others' reveals make it doubt its source.
    Withholds,
    /// Commits to the best one's commitment.
    CopiesTheCommitment,
    /// Two bets, of which it opens both.
    OpensBothBets,
    /// Or the one that is nearer to the others' middle.
    OpensTheBetterBet,
}

/// What chance gives in one epoch, in hundredths.
struct Draw {
    truth: i128,
    honest: Vec<i128>,
    own: i128,
}

impl Draw {
    fn all(seed: u64) -> Vec<Self> {
        let mut chance = Chance::new(seed);
        let mut at = 0;
        let mut draw = |epoch: usize| {
            at += chance.noise(100);
            let honest = [50, 70, 90, 110].map(|error| at + chance.noise(error));
            let own = at + chance.noise(if epoch.is_multiple_of(2) { 50 } else { 300 });
            Self {
                truth: at,
                honest: honest.to_vec(),
                own,
            }
        };
        (0..WARM + EPOCHS).map(&mut draw).collect()
    }

    fn middle(&self) -> i128 {
        let mut sorted = self.honest.clone();
        sorted.sort_unstable();
        (sorted[1] + sorted[2]) / 2
    }
}

/// What the attacker has more at the end, and what its bonds lost.
struct Outcome {
    gain: i128,
    penalties: i128,
}

fn world(bets: bool) -> World {
    let policy = Policy {
        submitFee: MARK / 100,
        ..synthesis_policy()
    };
    let mut world = World::with(Kind::Synthesis, policy);
    for number in 0..HONEST + 1 + u16::from(bets) {
        assert_eq!(world.join(actor(number), Role::Worker).unwrap(), number);
        world.wait(world.spec.topics.price_half_life_ms);
    }
    world.join(actor(REPUTER), Role::Reputer).unwrap();
    world.stake(actor(REPUTER), REPUTER, 10 * MARK).unwrap();
    world.fund(2_000 * MARK);
    world
}

fn play(seed: u64, plays: Play) -> Outcome {
    let bets = matches!(plays, Play::OpensBothBets | Play::OpensTheBetterBet);
    let mut world = world(bets);
    let party = [actor(OWN), actor(SECOND)];
    let mut before = 0;
    let mut penalties = 0;
    for (epoch, draw) in Draw::all(seed).iter().enumerate() {
        let now = match plays {
            _ if epoch >= WARM => plays,
            _ if bets => Play::OpensBothBets,
            _ => Play::Honest,
        };
        if epoch == WARM {
            before = world.fortune(&party);
        }
        run(&mut world, draw, now);
        for slot in [OWN, SECOND] {
            let bond = world.slot(slot).bond;
            if !world.slot(slot).operator.is_zero() && bond < MIN_BOND {
                // So that it may commit again.
                let lost = MIN_BOND - bond;
                penalties += lost as i128;
                let topic = world.topic;
                let call = ITopics::topUpCall { topic, slot };
                world.pay(actor(slot), lost, call).unwrap();
            }
        }
    }
    world.check_invariants();
    Outcome {
        gain: world.fortune(&party) - before,
        penalties,
    }
}

/// An epoch in which the attacker plays so.
fn run(world: &mut World, draw: &Draw, plays: Play) {
    world.reach_quietly(Stage::Open);
    let honest: Vec<_> = draw.honest.iter().map(|at| value(*at)).collect();
    for (slot, said) in (0..).zip(&honest) {
        world.commit(actor(slot), slot, said).unwrap();
    }
    let own: Vec<(u16, Vec<u8>)> = match plays {
        Play::Honest | Play::LastMoment | Play::Withholds => vec![(OWN, value(draw.own))],
        Play::SeesTheMiddle => vec![(OWN, value(draw.middle()))],
        Play::SeesTheBest => vec![(OWN, honest[0].clone())],
        Play::OpensBothBets | Play::OpensTheBetterBet => vec![
            (OWN, value(draw.own - BET)),
            (SECOND, value(draw.own + BET)),
        ],
        Play::AfterTheWindow | Play::CopiesTheCommitment => Vec::new(),
    };
    if plays == Play::LastMoment {
        let left = world.get().stageEndMs - world.host.timestamp_ms;
        world.wait(left - 1);
    }
    for (slot, said) in &own {
        world.commit(actor(*slot), *slot, said).unwrap();
    }
    if plays == Play::CopiesTheCommitment {
        let mut copied = world.committing(actor(0), 0, &honest[0]);
        copied.slot = OWN;
        let fee = world.get().policy.submitFee;
        world.pay(actor(OWN), fee, copied).unwrap();
    }
    world.reach_quietly(Stage::Sealed);
    for (slot, said) in (0..).zip(&honest) {
        world.reveal(actor(slot), slot, said).unwrap();
    }
    match plays {
        Play::AfterTheWindow => {
            let late = world.commit(actor(OWN), OWN, &value(draw.middle()));
            expect_revert::<ITopics::WrongStage>(late);
        }
        Play::CopiesTheCommitment => {
            let opened = open(world, actor(OWN), &honest[0]);
            expect_revert::<ITopics::CommitmentMismatch>(opened);
        }
        _ => {}
    }
    let far = |at: i128| (at - draw.middle()).abs();
    for (place, (slot, said)) in own.iter().enumerate() {
        let opens = match plays {
            Play::Withholds => far(draw.own) <= DOUBT,
            Play::OpensTheBetterBet => {
                let (low, high) = (far(draw.own - BET), far(draw.own + BET));
                (place == 0) == (low <= high)
            }
            _ => true,
        };
        if opens {
            world.reveal(actor(*slot), *slot, said).unwrap();
        }
    }
    world.reach_quietly(Stage::Lag);
    let report = truth(draw.truth);
    world.commit(actor(REPUTER), REPUTER, &report).unwrap();
    world.reach_quietly(Stage::Reveal);
    world.reveal(actor(REPUTER), REPUTER, &report).unwrap();
    world.end_quietly();
}

/// The attacker opens its commitment as slot 0 opened that from which it was copied.
fn open(world: &mut World, who: Address, payload: &[u8]) -> Result<(), ContractError> {
    let call = ITopics::revealCall {
        topic: world.topic,
        epoch: world.get().epoch,
        mechanism: 0,
        slot: OWN,
        salt: salt(0),
        payload: Bytes::copy_from_slice(payload),
    };
    world.act(who, call).map(|_| ())
}

/// Gains and penalties of a play in all seeds.
fn seeds(plays: Play) -> (Seeds, Seeds) {
    let outcomes = (0..super::SEEDS).map(|seed| play(seed, plays));
    let (gains, penalties) = outcomes.map(|out| (out.gain, out.penalties)).unzip();
    (Seeds(gains), Seeds(penalties))
}

impl Seeds {
    fn plus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect())
    }
}

#[test]
fn who_waits_for_the_last_second_sees_nothing_and_afterwards_is_too_late() {
    let honest = seeds(Play::Honest).0;
    let anchor = seeds(Play::SeesTheMiddle).0.over(&honest);
    let here = seeds(Play::LastMoment).0.over(&honest);
    print("last second, in time", &honest, &here, &anchor);
    assert_eq!((here.least(), here.greatest()), (0, 0));
    let here = seeds(Play::AfterTheWindow).0.over(&honest);
    print(
        "last second, once others have opened",
        &honest,
        &here,
        &anchor,
    );
    assert!(here.greatest() < -30 * COIN);
    assert!(anchor.least() > COIN, "who sees the others gains");
}

#[test]
fn a_copied_commitment_costs_a_bond_each_time() {
    let honest = seeds(Play::Honest).0;
    let anchor = seeds(Play::SeesTheBest).0.over(&honest);
    let here = seeds(Play::CopiesTheCommitment).0.over(&honest);
    print("copied commitment", &honest, &here, &anchor);
    assert!(here.greatest() < -(EPOCHS as i128) * MIN_BOND as i128);
    assert!(anchor.mean() > 0 && anchor.greatest() > 20 * COIN);
}

#[test]
fn a_reveal_withheld_in_doubt_costs_more_than_the_doubtful_would_have() {
    let honest = seeds(Play::Honest).0;
    let (attack, penalties) = seeds(Play::Withholds);
    let here = attack.over(&honest);
    let anchor = here.plus(&penalties);
    print("withheld reveals", &honest, &here, &anchor);
    assert!(here.greatest() < -100 * COIN);
    assert!(anchor.mean() > 0 && anchor.greatest() < 20 * COIN);
}

#[test]
fn opening_only_the_better_of_two_bets_loses_a_bond_an_epoch() {
    let honest = seeds(Play::Honest).0;
    let both = seeds(Play::OpensBothBets).0.over(&honest);
    let (attack, penalties) = seeds(Play::OpensTheBetterBet);
    let here = attack.over(&honest);
    let anchor = here.plus(&penalties);
    print("selective revealing", &honest, &here, &anchor);
    print("– two bets, both opened (splitting)", &honest, &both, &both);
    assert!(here.greatest() < -(EPOCHS as i128) * MIN_BOND as i128 / 2);
    assert!(anchor.mean() > 0, "without penalties it would have gained");
    assert_eq!(penalties.least(), (EPOCHS as u128 * MIN_BOND) as i128);
}
