//! The forecasting topic offline: the same mechanism and the same parties, of whom nobody is ever late.
//! What a loaded machine does to the demo does not touch this, so it says what the mechanism is worth.

use super::forecast::{
    Expecting, FORECASTERS, Forecaster, Liar, Measuring, REPUTERS, Series, exact_loss, loss,
    mean_of, ordered,
};
use crate::commands::Error;
use alloy_primitives::Address;
use futures::FutureExt;
use hallmark_client::topics::{
    TopicPlan, q64_to_f64,
    work::{Answerer, Peer, PrintedQ64, Question},
};
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire::{self, Ctx, Entry, Limits, Role};
use serde_json::{Value, json};
use std::time::Duration;

/// The newest epoch's part in the smoothed pay of a slot, as the contract has it.
const NEWEST: f64 = 0.1;

/// What came of it. Losses are means of log10 of the squared error.
pub struct Rehearsal {
    pub network: f64,
    pub best: f64,
    pub best_name: &'static str,
    /// The same two without a tolerance; the best worker may then be another.
    pub network_exact: f64,
    pub best_exact: f64,
    /// Of all pairs of honest workers, the part in which the better one earned more.
    pub in_order: Option<f64>,
    /// Parts of all shares, of the copier and of the liar.
    pub copier: f64,
    pub liar: f64,
}

impl Rehearsal {
    pub fn json(&self) -> Value {
        json!({
            "networkLogLoss": self.network,
            "bestWorker": self.best_name,
            "bestWorkerLogLoss": self.best,
            "networkBeatsBest": self.network < self.best,
            "exact": { "networkLogLoss": self.network_exact, "bestWorkerLogLoss": self.best_exact },
            "pairsInOrder": self.in_order,
            "copierShare": self.copier,
            "liarShare": self.liar,
        })
    }
}

/// A party with its slot, and what it says in the epoch.
struct Party {
    slot: u16,
    role: Role,
    stake: u128,
    mind: Box<dyn Answerer>,
    said: Option<Vec<u8>>,
    /// What it said in the epochs in which it did, with the truth of each.
    record: Vec<(f64, f64)>,
    shares: f64,
    /// Smoothed share.
    pay: f64,
    /// Its loss in the latest settlement.
    last_loss: Option<Q64>,
}

impl Party {
    fn new(slot: usize, role: Role, stake: u128, mind: impl Answerer + 'static) -> Self {
        Self {
            slot: u16::try_from(slot).unwrap_or(u16::MAX),
            role,
            stake,
            mind: Box::new(mind),
            said: None,
            record: Vec::new(),
            shares: 0.0,
            pay: 0.0,
            last_loss: None,
        }
    }

    /// Answers at once: no party here waits for anything.
    fn say(&mut self, question: &Question) -> Result<(), Error> {
        let reply = self.mind.answer(question, Duration::ZERO).now_or_never();
        let reply = reply.ok_or_else(|| Error::new("a party waits"))?;
        self.said = reply
            .and_then(|reply| reply.payload(question))
            .map_err(Error::new)?;
        Ok(())
    }

    fn entry(&self, epoch: u64) -> Entry<'_> {
        Entry {
            slot: self.slot,
            role: self.role,
            stake: self.stake,
            registered_ms: 0,
            submitted_ms: epoch,
            fresh: self.said.is_some(),
            payload: self.said.as_deref(),
            paid: true,
            proven: None,
        }
    }
}

/// Plays the epochs of `plan` on a series.
pub fn rehearse(series: &Series, plan: &TopicPlan, epochs: u64) -> Result<Rehearsal, Error> {
    let mechanism = &plan.mechanisms[0];
    let policy = &plan.policy;
    let limits = Limits {
        workers: policy.max_workers,
        forecasters: policy.max_forecasters,
        reputers: policy.max_reputers,
        value_min: Q64::from_bits(policy.value_min),
        value_max: Q64::from_bits(policy.value_max),
    };
    let names: Vec<&'static str> = series.workers()?.iter().map(|model| model.name()).collect();
    let (copier, liar) = (names.len(), names.len() + 1);
    let mut parties = parties(series, &limits)?;
    let mut memory = wire::empty_memory(wire::Kind::Synthesis, &mechanism.params, &limits);
    let mut network = Vec::new();
    for epoch in 1..=epochs {
        let copied = best_but(&parties, copier).and_then(|best| parties[best].said.clone());
        answer(&mut parties, epoch)?;
        parties[copier].said = copied;
        let entries: Vec<Entry<'_>> = parties.iter().map(|party| party.entry(epoch)).collect();
        let inferred = wire::infer(&mechanism.params, &limits, &memory, &entries);
        let inferred = inferred.map_err(Error::new)?;
        let decided = wire::settle(
            wire::Kind::Synthesis,
            &mechanism.params,
            &limits,
            &inferred.memory,
            &inferred.pending,
            &Ctx::default(),
            &entries,
        );
        let decided = decided.map_err(Error::new)?;
        let columns = wire::decode_explanation(&decided.explanation, entries.len());
        let columns = columns.map_err(Error::new)?;
        let own = columns.into_iter().find(|column| column.0 == "own loss");
        let own = own.map(|column| column.1).unwrap_or_default();
        memory = decided.memory;
        let truth = series.truth(epoch);
        if let Some(output) = inferred.output {
            network.push((q64_to_f64(output.value.to_bits()), truth));
        }
        for (index, party) in parties.iter_mut().enumerate() {
            let share = decided.shares[index] as f64 / 1e9;
            party.shares += share;
            party.pay += NEWEST * (share - party.pay);
            let own = own.get(index).copied().filter(|loss| *loss != Q64::ZERO);
            party.last_loss = own;
            if let (Role::Worker, Some(said)) = (party.role, &party.said) {
                let said = wire::decode_inference(said).map_err(Error::new)?;
                party.record.push((q64_to_f64(said.to_bits()), truth));
            }
        }
    }
    let all: f64 = parties.iter().map(|party| party.shares).sum();
    let honest: Vec<(f64, f64)> = parties[..names.len()]
        .iter()
        .filter_map(|party| Some((mean_of(&party.record, loss)?, party.shares)))
        .collect();
    let best = (0..honest.len()).min_by(|a, b| honest[*a].0.total_cmp(&honest[*b].0));
    let best = best.ok_or_else(|| Error::new("nobody answered"))?;
    Ok(Rehearsal {
        network: mean_of(&network, loss).unwrap_or(f64::NAN),
        network_exact: mean_of(&network, exact_loss).unwrap_or(f64::NAN),
        best_exact: parties[..names.len()]
            .iter()
            .filter_map(|party| mean_of(&party.record, exact_loss))
            .fold(f64::INFINITY, f64::min),
        best: honest[best].0,
        best_name: names[best],
        in_order: ordered(&honest),
        copier: parties[copier].shares / all.max(f64::MIN_POSITIVE),
        liar: parties[liar].shares / all.max(f64::MIN_POSITIVE),
    })
}

/// The parties of the demo in their slots; the copier says nothing by itself.
fn parties(series: &Series, limits: &Limits) -> Result<Vec<Party>, Error> {
    let mut parties = Vec::new();
    for model in series.workers()? {
        let series = series.clone();
        let mind = Forecaster { model, series };
        parties.push(Party::new(parties.len(), Role::Worker, 0, mind));
    }
    let silent = hallmark_client::topics::work::Silent;
    parties.push(Party::new(parties.len(), Role::Worker, 0, silent));
    let liar = Liar(series.clone());
    parties.push(Party::new(parties.len(), Role::Worker, 0, liar));
    let first = usize::from(limits.workers);
    for (index, (_, rate)) in FORECASTERS.iter().enumerate() {
        let mind = Expecting::new(*rate);
        parties.push(Party::new(first + index, Role::Forecaster, 0, mind));
    }
    let first = first + usize::from(limits.forecasters);
    for (index, (_, stake, rounds)) in REPUTERS.iter().enumerate() {
        let (series, rounds) = (series.clone(), *rounds);
        let mind = Measuring { series, rounds };
        parties.push(Party::new(first + index, Role::Reputer, *stake, mind));
    }
    Ok(parties)
}

/// Asks all of them.
fn answer(parties: &mut [Party], epoch: u64) -> Result<(), Error> {
    let peers: Vec<Peer> = parties
        .iter()
        .filter(|party| party.role == Role::Worker)
        .map(|party| Peer {
            slot: party.slot,
            operator: Address::ZERO,
            last_loss: party.last_loss.map(PrintedQ64),
        })
        .collect();
    for party in parties {
        let (topic, slot) = (1, party.slot);
        let question = match party.role {
            Role::Worker => Question::Inference { topic, epoch, slot },
            Role::Reputer => Question::Truth { topic, epoch, slot },
            Role::Forecaster => Question::Forecast {
                topic,
                epoch,
                slot,
                workers: peers.clone(),
            },
        };
        party.say(&question)?;
    }
    Ok(())
}

/// The worker of greatest smoothed pay who is not `own`; the last one among equals.
fn best_but(parties: &[Party], own: usize) -> Option<usize> {
    let workers = parties.iter().enumerate();
    workers
        .filter(|(index, party)| party.role == Role::Worker && *index != own)
        .max_by(|a, b| a.1.pay.total_cmp(&b.1.pay))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::topics::forecast::{WHOLE_RUN, plan};

    /// All months from 1996-07 on, in windows of five years. Roster and parameters were chosen on the two
    /// windows before.
    const WINDOWS: [&str; 6] = [
        "2001-06", "2006-06", "2011-06", "2016-06", "2021-06", "2026-06",
    ];
    const CHOSEN_ON: [&str; 2] = ["1991-06", "1996-06"];

    fn of(until: &str, epochs: u64) -> Rehearsal {
        let series = Series::read(until, epochs).unwrap();
        let found = rehearse(&series, &plan(1_000).unwrap(), epochs).unwrap();
        println!("until {until}, {epochs} months: {}", found.json());
        found
    }

    #[test]
    fn in_every_window_the_network_beats_the_best_worker_and_the_useless_earn_little() {
        for until in CHOSEN_ON.into_iter().chain(WINDOWS) {
            let found = of(until, WHOLE_RUN);
            assert!(found.network < found.best - 0.05, "{until}");
            assert!(found.network_exact < found.best_exact - 0.05, "{until}");
            assert!(found.copier < 0.03 && found.liar < 0.03, "{until}");
            assert!(found.in_order >= Some(0.75), "{until}");
        }
    }

    /// What `.ci/run` plays on a chain.
    #[test]
    fn two_years_to_the_demos_last_month_are_enough_there() {
        let found = of("2021-06", 24);
        assert!(found.network < found.best && found.network_exact < found.best_exact);
        assert!(found.copier < 0.03 && found.liar < 0.03);
    }

    /// Of docs/topics.md: runs that end in June of every year, shorter ones, of which nothing is claimed in
    /// general, and one of thirty years.
    #[test]
    #[ignore = "minutes; prints a table and fails never"]
    fn other_lengths() {
        for epochs in [12, 24, 36, WHOLE_RUN] {
            let until = |year| format!("{year}-06");
            let found: Vec<Rehearsal> = (1996 + epochs.div_ceil(12)..=2026)
                .map(|year| of(&until(year), epochs))
                .collect();
            let count = |holds: fn(&Rehearsal) -> bool| found.iter().filter(|f| holds(f)).count();
            println!(
                "{epochs} months: {} windows; the network is better in {}, without tolerance in {}; copier and liar below 3 % in {}",
                found.len(),
                count(|f| f.network < f.best),
                count(|f| f.network_exact < f.best_exact),
                count(|f| f.copier < 0.03 && f.liar < 0.03),
            );
        }
        of("2026-06", 300);
    }
}
