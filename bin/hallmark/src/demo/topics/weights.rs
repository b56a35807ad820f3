//! A Yuma topic with a weight copier and a cartel of two fifths of the stake.
//!
//! Four workers whose quality changes every few epochs, and one who does nothing but belong to the
//! cartel. Two honest validators measure; a copier repeats what an honest one revealed last, because
//! what it says now is hidden; two cartel validators give everything to their own worker.
//!
//! What would have happened without hiding is computed by the same mechanism from the same weights,
//! with the copier's replaced by the honest validator's of the same epoch.

use super::network::{Network, Player};
use crate::cli::DemoTopicsArgs;
use crate::commands::Error;
use crate::output::Reporter;
use alloy_primitives::U256;
use futures::future::BoxFuture;
use hallmark_client::{
    Topics,
    topics::{
        Role, TopicPlan,
        explain::History,
        work::{Answerer, Question, Reply},
    },
};
use hallmark_mechanisms::{wire, yuma};
use hallmark_types::MARK;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const INCOME: u128 = 1_500 * MARK;
/// Workers of changing quality; after them comes the cartel's.
const WORKERS: u16 = 4;
/// Epochs after which quality changes.
const CHANGES: u64 = 3;
/// Validators: name, stake in MARK, what they do.
const VALIDATORS: [(&str, u128, Kind); 5] = [
    ("honest validator", 300, Kind::Honest),
    ("honest validator", 220, Kind::Honest),
    ("copier", 80, Kind::Copier),
    ("cartel", 200, Kind::Cartel),
    ("cartel", 200, Kind::Cartel),
];

/// Workers, the cartel's worker and the validators.
const SLOTS: usize = WORKERS as usize + 1 + VALIDATORS.len();

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Honest,
    Copier,
    Cartel,
}

/// Quality of a worker in an epoch, which honest validators measure: who is best goes round.
fn quality(worker: u16, epoch: u64) -> u16 {
    const BY_RANK: [u16; WORKERS as usize] = [60_000, 20_000, 6_000, 1_000];
    let turn = epoch / CHANGES + u64::from(worker);
    BY_RANK[(turn % u64::from(WORKERS)) as usize]
}

fn honest_row(epoch: u64) -> Vec<(u16, u16)> {
    (0..WORKERS).map(|w| (w, quality(w, epoch))).collect()
}

struct Validator {
    kind: Kind,
    topics: Topics,
    topic: U256,
    /// Slot that a copier copies.
    model: u16,
}

impl Validator {
    async fn weigh(&self, epoch: u64) -> Result<Reply, String> {
        let row = match self.kind {
            Kind::Honest => honest_row(epoch),
            Kind::Cartel => vec![(WORKERS, u16::MAX)],
            Kind::Copier => {
                let found = self.topics.submission(self.topic, 0, self.model).await;
                let (revealed, payload) = found.map_err(|error| error.to_string())?;
                if revealed == 0 {
                    return Ok(Reply {
                        skip: Some(true),
                        ..Reply::default()
                    });
                }
                wire::decode_weights(&payload)?
            }
        };
        Ok(Reply {
            weights: Some(row.into_iter().collect()),
            ..Reply::default()
        })
    }
}

impl Answerer for Validator {
    fn answer<'a>(
        &'a mut self,
        question: &'a Question,
        _: Duration,
    ) -> BoxFuture<'a, Result<Reply, String>> {
        let epoch = match question {
            Question::Weights { epoch, .. } => *epoch,
            _ => 0,
        };
        Box::pin(async move { self.weigh(epoch).await })
    }
}

/// The demo's topic.
fn plan(stage_ms: u64) -> Result<TopicPlan, Error> {
    let plan = json!({
        "title": "who works best",
        // The anchor's rules, so that what hiding does is all that differs.
        "mechanisms": [{ "kind": "yuma", "params": {
            "yuma3": true, "liquid_alpha": true, "max_validators": VALIDATORS.len(),
            "kappa": 32_767, "two_sided": false, "pay_idle": true,
        } }],
        "policy": {
            "open": stage_ms, "reveal": stage_ms, "maxWorkers": SLOTS,
            "minBond": "50", "submitFee": "0.01",
        },
    });
    Ok(TopicPlan::from_json(&plan.to_string())?)
}

pub async fn play(
    network: &Network,
    args: &DemoTopicsArgs,
    report: &Reporter,
) -> Result<Value, Error> {
    report.say(
        "2. Weights: honest validators, a copier, and a cartel with two fifths of the stake\n",
    );
    let owner = network.client(0).await?.topics();
    let stage_ms = network
        .stage_ms(args.stage_ms, Duration::ZERO, report)
        .await?;
    let plan = plan(stage_ms)?;
    let topic = network.topic(&owner, &plan, INCOME, report).await?;
    let mut account = 1;
    for _ in 0..=WORKERS {
        network.join(topic, account, Role::Worker, 0, false).await?;
        account += 1;
    }
    let mut players = Vec::new();
    for (name, stake, kind) in VALIDATORS {
        let desk = network
            .join(topic, account, Role::Worker, stake * MARK, true)
            .await?;
        account += 1;
        let validator = Validator {
            kind,
            topics: owner.clone(),
            topic,
            model: WORKERS + 1,
        };
        players.push(Player::new(name, desk, validator));
    }
    network
        .play(
            &owner,
            topic,
            &mut players,
            args.weight_epochs,
            stage_ms,
            report,
        )
        .await?;

    let history = owner.history(topic).await?;
    let params = owner.mechanisms(topic).await?[0].params.clone();
    let wire::Params::Yuma(params) =
        wire::Params::decode(wire::Kind::Yuma, &params).map_err(Error::new)?
    else {
        return Err(Error::new("the topic has no Yuma"));
    };
    let hidden = replay(&params, &history, args.weight_epochs, false)?;
    let open = replay(&params, &history, args.weight_epochs, true)?;
    let chain = earnings(&history);
    Ok(tell(&chain, &hidden, &open, topic, report))
}

/// Part of what all slots got, per slot, over the epochs that the log has.
fn earnings(history: &History) -> Vec<f64> {
    let mut parts = vec![0.0; SLOTS];
    for settlement in &history.settlements {
        for judged in &settlement.slots {
            if let Some(part) = parts.get_mut(usize::from(judged.slot)) {
                *part += judged.share as f64 / 1e9;
            }
        }
    }
    normalised(parts)
}

fn normalised(mut parts: Vec<f64>) -> Vec<f64> {
    let sum: f64 = parts.iter().sum();
    for part in &mut parts {
        *part /= sum.max(f64::MIN_POSITIVE);
    }
    parts
}

/// The epochs again, offline: as they were, or with a copier who sees the present weights.
fn replay(
    params: &yuma::Params,
    history: &History,
    epochs: u64,
    copier_sees: bool,
) -> Result<Vec<f64>, Error> {
    let first = usize::from(WORKERS) + 1;
    let mut stake = vec![0u128; SLOTS];
    let mut state = yuma::State::empty(SLOTS);
    for (index, (_, amount, _)) in VALIDATORS.iter().enumerate() {
        stake[first + index] = *amount;
        state.permits[first + index] = true;
    }
    let params = yuma::Params {
        activity_cutoff: 14,
        tempo: 1,
        ..params.clone()
    };
    let mut weights = vec![yuma::Row::new(); SLOTS];
    let mut last_update = vec![0u64; SLOTS];
    let mut parts = vec![0.0; SLOTS];
    for epoch in 1..=epochs {
        for (index, (_, _, kind)) in VALIDATORS.iter().enumerate() {
            let slot = first + index;
            let source = match copier_sees && *kind == Kind::Copier {
                true => first,
                false => slot,
            };
            let key = (epoch, 0, u16::try_from(source)?);
            if let Some(payload) = history.revealed.get(&key) {
                weights[slot] = wire::decode_weights(payload).map_err(Error::new)?;
                last_update[slot] = epoch;
            }
        }
        let settled = yuma::settle(
            &params,
            &yuma::Epoch {
                block: epoch,
                last_step_block: epoch - 1,
                stake: &stake,
                last_update: &last_update,
                registered: &[0; SLOTS],
                weights: &weights,
                commitments: &[],
            },
            &mut state,
        )?;
        // The chain gives the first permits at the end of the first epoch, which pays by stake.
        if epoch > 1 {
            for (part, share) in parts.iter_mut().zip(&settled.settlement.shares) {
                *part += *share as f64 / 1e9;
            }
        }
    }
    Ok(normalised(parts))
}

fn tell(chain: &[f64], hidden: &[f64], open: &[f64], topic: U256, report: &Reporter) -> Value {
    let first = usize::from(WORKERS) + 1;
    let names = (0..WORKERS)
        .map(|worker| (format!("worker {worker}"), 0))
        .chain([("cartel's worker".to_owned(), 0)])
        .chain(VALIDATORS.map(|(name, stake, _)| (name.to_owned(), stake)));
    let rows: Vec<(String, u128)> = names.collect();
    // Per unit of stake against the first honest validator: what copying is worth.
    let against = |parts: &[f64], slot: usize, stake: u128| {
        let honest = parts[first] / VALIDATORS[0].1 as f64;
        (stake > 0 && honest > 0.0).then(|| parts[slot] / stake as f64 / honest)
    };
    let mut text = format!(
        "{:<20}{:>8}{:>14}{:>16}{:>16}   per stake, honest = 1",
        "share of all pay, %", "stake", "on chain", "hidden, offline", "open, offline"
    );
    for (slot, (name, stake)) in rows.iter().enumerate() {
        let of = |parts: &[f64]| 100.0 * parts.get(slot).copied().unwrap_or_default();
        text.push_str(&format!(
            "\n{name:<20}{:>8}{:>14.2}{:>16.2}{:>16.2}   {}",
            match stake {
                0 => String::new(),
                stake => stake.to_string(),
            },
            of(chain),
            of(hidden),
            of(open),
            match (
                against(chain, slot, *stake),
                against(hidden, slot, *stake),
                against(open, slot, *stake)
            ) {
                (Some(a), Some(b), Some(c)) =>
                    format!("{a:.3} on chain, {b:.3} hidden, {c:.3} open"),
                _ => String::new(),
            }
        ));
    }
    report.say(format!(
        "{text}\n\n\"on chain\" is what the contract paid while answers were hidden until all had committed. The two columns\n\
         \"offline\" are the same mechanism on the same weights; in \"open\" the copier repeats the honest weights of\n\
         the same epoch, as it could if they were public.\n"
    ));
    let list: Vec<Value> = rows
        .iter()
        .enumerate()
        .map(|(slot, (name, stake))| {
            json!({
                "name": name, "stake": stake.to_string(), "onChain": chain[slot],
                "hiddenOffline": hidden[slot], "openOffline": open[slot],
                "perStakeOnChain": against(chain, slot, *stake),
                "perStakeHidden": against(hidden, slot, *stake),
                "perStakeOpen": against(open, slot, *stake),
            })
        })
        .collect();
    let by_name: BTreeMap<&str, f64> = rows
        .iter()
        .zip(chain)
        .map(|((name, _), part)| (name.as_str(), *part))
        .collect();
    json!({
        "topic": topic.to_string(),
        "participants": list,
        "cartelsWorkerOnChain": by_name.get("cartel's worker"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the log has when everybody reveals: a copier repeats the honest weights of the epoch before.
    fn history(epochs: u64) -> History {
        let mut history = History::default();
        for epoch in 1..=epochs {
            for (slot, (_, _, kind)) in (WORKERS + 1..).zip(VALIDATORS) {
                let row = match kind {
                    Kind::Honest => honest_row(epoch),
                    Kind::Cartel => vec![(WORKERS, u16::MAX)],
                    Kind::Copier if epoch == 1 => continue,
                    Kind::Copier => honest_row(epoch - 1),
                };
                let payload = wire::encode_weights(&row);
                history.revealed.insert((epoch, 0, slot), payload);
            }
        }
        history
    }

    fn params() -> yuma::Params {
        let plan = plan(1_000).unwrap();
        match wire::Params::decode(wire::Kind::Yuma, &plan.mechanisms[0].params) {
            Ok(wire::Params::Yuma(params)) => params,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_copier_earns_more_where_it_sees_what_others_say_and_the_cartel_earns_nothing() {
        for epochs in [12, 24, 48] {
            let history = history(epochs);
            let run = |sees| replay(&params(), &history, epochs, sees).unwrap();
            let (hidden, open) = (run(false), run(true));
            let first = usize::from(WORKERS) + 1;
            let per_stake = |parts: &[f64], validator: usize| {
                parts[first + validator] / VALIDATORS[validator].1 as f64
            };
            for parts in [&hidden, &open] {
                assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                // The cartel, its worker, and nobody else.
                assert_eq!(
                    [parts[first - 1], parts[first + 3], parts[first + 4]],
                    [0.0; 3]
                );
                // The honest alike, whatever their stake.
                let [a, b] = [0, 1].map(|validator| per_stake(parts, validator));
                assert!(a > 0.0 && (a / b - 1.0).abs() < 0.01, "{a} {b}");
            }
            let copier = |parts: &[f64]| per_stake(parts, 2) / per_stake(parts, 0);
            assert!(copier(&hidden) < 0.8, "{epochs}: {}", copier(&hidden));
            assert!(copier(&open) > 0.99, "{epochs}: {}", copier(&open));
        }
    }

    #[test]
    fn who_reveals_nothing_keeps_the_weights_that_it_had() {
        let mut silent = history(24);
        // The copier's last reveal is of epoch 12.
        silent
            .revealed
            .retain(|key, _| key.0 <= 12 || key.2 != WORKERS + 3);
        let run = |history: &History| replay(&params(), history, 24, false).unwrap();
        let copier = usize::from(WORKERS) + 3;
        assert!(run(&silent)[copier] < run(&history(24))[copier]);
        let mut broken = history(2);
        broken.revealed.insert((1, 0, WORKERS + 1), vec![1, 2, 3]);
        assert!(replay(&params(), &broken, 2, false).is_err());
    }
}
