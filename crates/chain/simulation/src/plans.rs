//! What goes wrong in the run of a seed.
//!
//! At most one of four validators is at fault, which is what the protocol bears; lost messages, followers and
//! a change of validators come on top.

use crate::run::{Follower, Lie, Plan};

/// Validators that a plan can strike.
const VALIDATORS: usize = 4;

/// A plan by the validator that it strikes.
type Strike = fn(usize) -> Plan;

/// The plans that the first seeds go through, each with every validator.
const NAMED: [(&str, Strike); 12] = [
    ("nothing goes wrong", |_| Plan::default()),
    ("one never starts", |who| Plan {
        crashed: Some(who),
        ..Plan::default()
    }),
    ("one proposes wrong state roots", |who| Plan {
        liar: Some((who, Lie::WrongStateRoot)),
        ..Plan::default()
    }),
    ("one proposes invalid transactions", |who| Plan {
        liar: Some((who, Lie::InvalidTransaction)),
        ..Plan::default()
    }),
    ("one restarts with its folder", |who| Plan {
        restarted: Some(who),
        ..Plan::default()
    }),
    ("one restarts at the end of an epoch", |who| Plan {
        restarted: Some(who),
        at_boundary: true,
        ..Plan::default()
    }),
    ("messages are lost and late", |_| Plan {
        lossy: true,
        ..Plan::default()
    }),
    ("one is cut off for long", |who| Plan {
        cut_off: Some(who),
        ..Plan::default()
    }),
    ("a node follows", |_| Plan {
        follower: Some(Follower::Early),
        ..Plan::default()
    }),
    ("a node that begins with nothing follows", |_| Plan {
        follower: Some(Follower::Late),
        ..Plan::default()
    }),
    ("a validator joins and another leaves", |_| Plan {
        follower: Some(Follower::Early),
        changed: true,
        ..Plan::default()
    }),
    ("one restarts while messages are lost", |who| Plan {
        restarted: Some(who),
        lossy: true,
        ..Plan::default()
    }),
];

/// The plan of a seed and its name.
pub fn of(seed: u64) -> (String, Plan) {
    let at = |divisor: usize, count: usize| (seed as usize / divisor) % count;
    if seed < (NAMED.len() * VALIDATORS) as u64 {
        let (name, plan) = NAMED[at(1, NAMED.len())];
        return (name.to_owned(), plan(at(NAMED.len(), VALIDATORS)));
    }
    // SplitMix64, so that neighbours have nothing in common.
    let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^= word >> 31;
    let mut draw = |count: u64| {
        let drawn = word % count;
        word /= count;
        drawn
    };
    let who = draw(VALIDATORS as u64) as usize;
    let lossy = draw(2) == 1;
    let follower = [None, Some(Follower::Early), Some(Follower::Late)][draw(3) as usize];
    let fault = draw(6);
    let mut plan = Plan {
        lossy,
        follower,
        ..Plan::default()
    };
    match fault {
        0 => plan.crashed = Some(who),
        1 => plan.liar = Some((who, Lie::WrongStateRoot)),
        2 => plan.liar = Some((who, Lie::InvalidTransaction)),
        3 => plan.restarted = Some(who),
        4 => (plan.restarted, plan.at_boundary) = (Some(who), true),
        _ => {}
    }
    (format!("drawn, {plan:?}"), plan)
}
