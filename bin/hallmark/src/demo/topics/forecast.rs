//! A forecasting topic over a real series: the monthly mean of CO2 at Mauna Loa.
//!
//! An epoch is a month, and answers are due in its middle. Eight workers say the month's value, five
//! from the months before it, three from the air of some days of its first half; a copier says
//! what the best worker revealed last, because what it says now is hidden; a liar says too much.
//! Two forecasters say how wrong each will be; three reputers say what was measured.
//!
//! Roster and parameters were chosen on the months 1986-07 to 1996-06, which no table shows.

use super::{
    models::{self, Model},
    network::{Network, Player},
    rehearsal::rehearse,
};
use crate::cli::DemoTopicsArgs;
use crate::commands::{Error, write};
use crate::output::Reporter;
use alloy_primitives::U256;
use futures::future::BoxFuture;
use hallmark_client::{
    Topics,
    topics::{
        Role, TopicPlan, chart,
        explain::History,
        q64_to_f64,
        work::{Answerer, Question, Reply},
    },
};
use hallmark_fixed::Q64;
use hallmark_mechanisms::{simulate::Decimal, wire};
use hallmark_types::MARK;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SERIES: &str = include_str!("../../../../../assets/co2.csv");
/// Income of the topic.
const INCOME: u128 = 3_000 * MARK;
/// Error in ppm below which nobody is better than another, as the topic's `tolerance` says: two
/// laboratories' monthly means at this observatory differ by 0.18 (standard deviation).
pub const TOLERANCE: f64 = 0.1;
/// The length of a run at which the network must be better than the best single worker: the first
/// epochs know nobody's past.
pub const WHOLE_RUN: u64 = 60;

/// Forecasters and the least part of the newest loss in what they expect.
pub const FORECASTERS: [(&str, f64); 2] = [("slow forecaster", 0.03), ("quick forecaster", 0.1)];
/// Reputers, their stake, and whether they round.
pub const REPUTERS: [(&str, u128, bool); 3] = [
    ("reputer", 400 * MARK, false),
    ("reputer", 300 * MARK, false),
    ("rounding reputer", 100 * MARK, true),
];

/// Months before the first that is asked for.
const LEAST_PAST: usize = 144;

/// A monthly series, and which of its months an epoch asks for.
#[derive(Clone)]
pub struct Series {
    months: Arc<Vec<String>>,
    values: Arc<Vec<f64>>,
    /// Index of the month of epoch `first_epoch`.
    start: usize,
    first_epoch: u64,
}

impl Series {
    pub fn read(until: &str, epochs: u64) -> Result<Self, Error> {
        let mut months = Vec::new();
        let mut values = Vec::new();
        for line in SERIES.lines().skip(1) {
            let (month, value) = line
                .split_once(',')
                .ok_or_else(|| Error::at("assets/co2.csv", format!("`{line}`")))?;
            months.push(month.to_owned());
            values.push(value.parse().map_err(|e| Error::at("assets/co2.csv", e))?);
        }
        let count = usize::try_from(epochs)?;
        let end = months.iter().position(|month| month == until);
        let start = end
            .and_then(|end| (end + 1).checked_sub(count))
            .filter(|start| *start >= LEAST_PAST)
            .ok_or_else(|| {
                Error::new(format!(
                    "--until {until}: no month of {} to {} with {epochs} months and twelve years before it",
                    months[0],
                    months[months.len() - 1]
                ))
            })?;
        Ok(Self {
            months: months.into(),
            values: values.into(),
            start,
            first_epoch: 1,
        })
    }

    /// The honest workers.
    ///
    /// # Errors
    ///
    /// See [`models::all`].
    pub fn workers(&self) -> Result<Vec<Box<dyn Model>>, Error> {
        models::all(&self.months)
    }

    fn index(&self, epoch: u64) -> usize {
        let passed = usize::try_from(epoch.saturating_sub(self.first_epoch)).unwrap_or_default();
        (self.start + passed).min(self.values.len() - 1)
    }

    fn past(&self, epoch: u64) -> &[f64] {
        &self.values[..self.index(epoch)]
    }

    pub fn truth(&self, epoch: u64) -> f64 {
        self.values[self.index(epoch)]
    }
}

/// To the nearest 2^-32: what a double holds of a value of a few hundred is less.
fn q64(value: f64) -> Q64 {
    Q64::from_bits(((value * (1u64 << 32) as f64).round() as i128) << 32)
}

type Answer<'a> = BoxFuture<'a, Result<Reply, String>>;

fn epoch_of(question: &Question) -> u64 {
    match question {
        Question::Inference { epoch, .. }
        | Question::Forecast { epoch, .. }
        | Question::Truth { epoch, .. }
        | Question::Weights { epoch, .. } => *epoch,
    }
}

/// A worker with a model.
pub struct Forecaster {
    pub model: Box<dyn Model>,
    pub series: Series,
}

impl Answerer for Forecaster {
    fn answer<'a>(&'a mut self, question: &'a Question, _: Duration) -> Answer<'a> {
        let past = self.series.past(epoch_of(question));
        let value = self.model.predict(past);
        Box::pin(async move { Ok(Reply::value(q64(value))) })
    }
}

/// Says what the best worker revealed last.
struct Copier {
    topics: Topics,
    topic: U256,
    own: u16,
}

impl Copier {
    async fn copy(&self) -> Result<Reply, String> {
        let slots = self.topics.slots(self.topic).await;
        let slots = slots.map_err(|error| error.to_string())?;
        let others = slots
            .iter()
            .filter(|slot| slot.role == Role::Worker && slot.is_held() && slot.index != self.own);
        let best = others
            .max_by_key(|slot| slot.emission_ema)
            .ok_or("nobody to copy")?;
        let found = self.topics.submission(self.topic, 0, best.index).await;
        let (epoch, payload) = found.map_err(|error| error.to_string())?;
        if epoch == 0 {
            return Ok(Reply {
                skip: Some(true),
                ..Reply::default()
            });
        }
        Ok(Reply::value(wire::decode_inference(&payload)?))
    }
}

impl Answerer for Copier {
    fn answer<'a>(&'a mut self, _: &'a Question, _: Duration) -> Answer<'a> {
        Box::pin(self.copy())
    }
}

/// Says five to ten too much, to draw the network with it.
pub struct Liar(pub Series);

impl Answerer for Liar {
    fn answer<'a>(&'a mut self, question: &'a Question, _: Duration) -> Answer<'a> {
        let epoch = epoch_of(question);
        let past = self.0.past(epoch);
        let last = past.last().copied().unwrap_or_default();
        let value = last + 5.0 + (epoch * 7 % 11) as f64 / 2.0;
        Box::pin(async move { Ok(Reply::value(q64(value))) })
    }
}

/// Expects of each worker the smoothed loss of its past: the plain mean until there are so many
/// losses that the newest would count for less than `rate`.
pub struct Expecting {
    rate: f64,
    /// Number of losses and what is expected next, per slot.
    smoothed: BTreeMap<u16, (u32, f64)>,
}

impl Expecting {
    pub fn new(rate: f64) -> Self {
        let smoothed = BTreeMap::new();
        Self { rate, smoothed }
    }

    fn learn(&mut self, slot: u16, loss: f64) {
        let (count, expected) = self.smoothed.entry(slot).or_default();
        *count = count.saturating_add(1);
        *expected += self.rate.max(1.0 / f64::from(*count)) * (loss - *expected);
    }
}

impl Answerer for Expecting {
    fn answer<'a>(&'a mut self, question: &'a Question, _: Duration) -> Answer<'a> {
        if let Question::Forecast { workers, .. } = question {
            for worker in workers {
                if let Some(loss) = worker.last_loss {
                    self.learn(worker.slot, q64_to_f64(loss.0.to_bits()));
                }
            }
        }
        let losses: BTreeMap<u16, Decimal> = self
            .smoothed
            .iter()
            .map(|(slot, (_, loss))| (*slot, Decimal(q64(*loss))))
            .collect();
        let reply = match losses.is_empty() {
            true => Reply {
                skip: Some(true),
                ..Reply::default()
            },
            false => Reply {
                losses: Some(losses),
                ..Reply::default()
            },
        };
        Box::pin(async move { Ok(reply) })
    }
}

/// Says what was measured, or a rounded version of it.
pub struct Measuring {
    pub series: Series,
    pub rounds: bool,
}

impl Answerer for Measuring {
    fn answer<'a>(&'a mut self, question: &'a Question, _: Duration) -> Answer<'a> {
        let truth = self.series.truth(epoch_of(question));
        let truth = if self.rounds { truth.round() } else { truth };
        Box::pin(async move { Ok(Reply::truth(q64(truth))) })
    }
}

/// The demo's topic.
///
/// The steep potential with a high centre, and pay only for who gains something, keep what the useless
/// earn small; that nobody is better below the tolerance keeps luck out of the regrets.
pub fn plan(stage_ms: u64) -> Result<TopicPlan, Error> {
    let (long, short) = (stage_ms, stage_ms * 4 / 5);
    let plan = json!({
        "title": "CO2 at Mauna Loa, next month, ppm",
        "mechanisms": [{ "kind": "synthesis", "params": {
            "steepness": 5, "centre": 1.25, "gain_only": true, "tolerance": TOLERANCE,
        } }],
        "policy": {
            "open": long, "sealed": short, "lag": long, "reveal": short,
            "maxWorkers": 10, "maxForecasters": 2, "maxReputers": 3,
            "minBond": "50", "submitFee": "0.01", "valueMin": 200, "valueMax": 800,
        },
    });
    Ok(TopicPlan::from_json(&plan.to_string())?)
}

pub async fn play(
    network: &Network,
    args: &DemoTopicsArgs,
    report: &Reporter,
) -> Result<Value, Error> {
    let series = Series::read(&args.until, args.epochs)?;
    let last_month = &series.months[series.start + args.epochs as usize - 1];
    report.say(format!(
        "1. Forecasting: CO2 at Mauna Loa, {} to {last_month}, a month an epoch (NOAA, assets/README.md)\n",
        series.months[series.start]
    ));
    let owner = network.client(0).await?.topics();
    // The network learns the whole past before its first answer. It does so before any window is open,
    // and what a month more costs, of which it is less than a twentieth, is allowed for.
    let began = Instant::now();
    let mut models = series.workers()?;
    for model in &mut models {
        model.predict(series.past(1));
    }
    let thinking = began.elapsed() / 20;
    let stage_ms = network.stage_ms(args.stage_ms, thinking, report).await?;
    let plan = plan(stage_ms)?;
    let topic = network.topic(&owner, &plan, INCOME, report).await?;

    let mut players = Vec::new();
    for model in models {
        let desk = network
            .join(topic, 1 + players.len(), Role::Worker, 0, false)
            .await?;
        let name = model.name();
        let series = series.clone();
        players.push(Player::new(name, desk, Forecaster { model, series }));
    }
    let desk = network
        .join(topic, 1 + players.len(), Role::Worker, 0, false)
        .await?;
    let copier = Copier {
        topics: owner.clone(),
        topic,
        own: desk.slot().index,
    };
    players.push(Player::new("copier", desk, copier));
    let desk = network
        .join(topic, 1 + players.len(), Role::Worker, 0, false)
        .await?;
    players.push(Player::new("liar", desk, Liar(series.clone())));
    for (name, rate) in FORECASTERS {
        let desk = network
            .join(topic, 1 + players.len(), Role::Forecaster, 0, false)
            .await?;
        players.push(Player::new(name, desk, Expecting::new(rate)));
    }
    for (name, stake, rounds) in REPUTERS {
        let desk = network
            .join(topic, 1 + players.len(), Role::Reputer, stake, false)
            .await?;
        let series = series.clone();
        players.push(Player::new(name, desk, Measuring { series, rounds }));
    }
    // Opens at once: the topic has slots now.
    network
        .play(&owner, topic, &mut players, args.epochs, stage_ms, report)
        .await?;

    let history = owner.history(topic).await?;
    let table = Table::of(&history, &players, &series, args.epochs);
    report.say(table.text());
    let file = network.home.join("forecast.svg");
    let names: BTreeMap<u16, String> = players
        .iter()
        .map(|player| (player.slot(), player.name.clone()))
        .collect();
    let mechanisms = owner.mechanisms(topic).await?;
    let panels = chart::of_history(&history, &mechanisms, |slot| {
        names.get(&slot).cloned().unwrap_or_default()
    });
    write(&file, chart::svg("CO2 at Mauna Loa", &panels).as_bytes())?;
    report.say(format!("picture    {}\n", file.display()));
    let offline = rehearse(&series, &plan, args.epochs)?;
    report.say(format!(
        "offline    the same mechanism, months and parties, nobody late: network {:.3}, best single worker \"{}\" {:.3}\n",
        offline.network, offline.best_name, offline.best
    ));
    let mut value = table.json();
    value["offline"] = offline.json();
    value["topic"] = json!(topic.to_string());
    value["stageMs"] = stage_ms.into();
    value["chart"] = json!(file);
    value["from"] = json!(series.months[series.start]);
    value["until"] = json!(last_month);
    Ok(value)
}

struct Line {
    name: String,
    role: Role,
    /// Mean log10 of the squared error over the epochs that it answered, workers only.
    loss: Option<f64>,
    /// The same without a tolerance.
    exact: Option<f64>,
    answered: usize,
    earned: f64,
    trouble: usize,
    first_trouble: Option<String>,
}

struct Table {
    lines: Vec<Line>,
    network: f64,
    /// The same without a tolerance.
    network_exact: f64,
    network_epochs: usize,
    epochs: u64,
    paid: f64,
}

/// Of all pairs of a loss and what it earned whose losses differ, the part in which the lower loss
/// earned more. Equal earnings count half: pay by chance is in order half of the time.
pub fn ordered(of: &[(f64, f64)]) -> Option<f64> {
    let pairs = of
        .iter()
        .enumerate()
        .flat_map(|(i, a)| of[i + 1..].iter().map(move |b| (*a, *b)))
        .filter(|(a, b)| a.0 != b.0);
    let (mut right, mut all) = (0.0, 0.0);
    for (a, b) in pairs {
        all += 1.0;
        right += match (a.0 < b.0, a.1.total_cmp(&b.1)) {
            (_, Ordering::Equal) => 0.5,
            (true, Ordering::Greater) | (false, Ordering::Less) => 1.0,
            _ => 0.0,
        };
    }
    (all > 0.0).then(|| right / all)
}

/// log10 of the squared error, which counts as at least the tolerance: what the topic judges by.
pub fn loss(said: f64, truth: f64) -> f64 {
    2.0 * (said - truth).abs().max(TOLERANCE).log10()
}

/// The same of any error that is not below 2^-32.
pub fn exact_loss(said: f64, truth: f64) -> f64 {
    const LEAST: f64 = 1.0 / (1u64 << 32) as f64;
    2.0 * (said - truth).abs().max(LEAST).log10()
}

/// The mean of a loss over what was said and the truth; `None` of nothing.
pub fn mean_of(said: &[(f64, f64)], loss: fn(f64, f64) -> f64) -> Option<f64> {
    let sum: f64 = said.iter().map(|(said, truth)| loss(*said, *truth)).sum();
    (!said.is_empty()).then(|| sum / said.len() as f64)
}

impl Table {
    fn of(history: &History, players: &[Player], series: &Series, epochs: u64) -> Self {
        let network: Vec<(f64, f64)> = history
            .inferred
            .iter()
            .filter(|(epoch, _)| **epoch <= epochs)
            .map(|(epoch, found)| (q64_to_f64(found.0), series.truth(*epoch)))
            .collect();
        let earned = |slot: u16| -> f64 {
            let paid = history.paid.iter().filter(|((_, paid), _)| *paid == slot);
            paid.map(|(_, paid)| (paid.to_operator + paid.to_pool) as f64 / 1e18)
                .fold(0.0, |sum, amount| sum + amount)
        };
        let mut lines = Vec::new();
        for player in players {
            let slot = player.slot();
            let role = player.desk.slot().role;
            let said: Vec<(f64, f64)> = history
                .revealed
                .iter()
                .filter(|((_, _, revealed), _)| role == Role::Worker && *revealed == slot)
                .filter_map(|((epoch, _, _), payload)| {
                    let said = wire::decode_inference(payload).ok()?;
                    Some((q64_to_f64(said.to_bits()), series.truth(*epoch)))
                })
                .collect();
            lines.push(Line {
                name: player.name.clone(),
                role,
                loss: mean_of(&said, loss),
                exact: mean_of(&said, exact_loss),
                answered: said.len(),
                earned: earned(slot),
                trouble: player.trouble.len(),
                first_trouble: player.first_trouble(),
            });
        }
        Self {
            paid: lines.iter().map(|line| line.earned).sum(),
            lines,
            network: mean_of(&network, loss).unwrap_or(f64::NAN),
            network_exact: mean_of(&network, exact_loss).unwrap_or(f64::NAN),
            network_epochs: network.len(),
            epochs,
        }
    }

    /// The best worker over the run, known only afterwards.
    fn best(&self) -> Option<(&str, f64)> {
        let workers = self
            .lines
            .iter()
            .filter_map(|line| Some((line, line.loss?)));
        workers
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(line, loss)| (line.name.as_str(), loss))
    }

    /// Of all pairs of honest workers whose losses differ, the part in which the better one earned
    /// more; a pair that earned the same counts half. `None` without such a pair.
    fn in_order(&self) -> Option<f64> {
        let honest = self
            .lines
            .iter()
            .filter(|line| line.name != "copier" && line.name != "liar");
        let honest: Vec<(f64, f64)> = honest
            .filter_map(|line| Some((line.loss?, line.earned)))
            .collect();
        ordered(&honest)
    }

    fn text(&self) -> String {
        let mut order: Vec<&Line> = self.lines.iter().collect();
        order.sort_by(|a, b| {
            let key = |line: &Line| (line.role as u8, line.loss.unwrap_or_default());
            let (a, b) = (key(a), key(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let mut text = format!(
            "{:<28}{:<12}{:>9}{:>10}{:>14}{:>9}",
            "who", "role", "epochs", "log loss", "earned MARK", "share %"
        );
        for line in order {
            text.push_str(&format!(
                "\n{:<28}{:<12}{:>9}{:>10}{:>14.3}{:>9.2}{}",
                line.name,
                line.role,
                match line.role {
                    Role::Worker => line.answered.to_string(),
                    _ => String::new(),
                },
                line.loss
                    .map_or_else(String::new, |loss| format!("{loss:.3}")),
                line.earned,
                100.0 * line.earned / self.paid.max(f64::MIN_POSITIVE),
                match &line.first_trouble {
                    None => String::new(),
                    Some(first) => format!("  {} refusals, first in {first}", line.trouble),
                }
            ));
        }
        let (name, best) = self.best().unwrap_or(("nobody", f64::NAN));
        text.push_str(&format!(
            "\n\nnetwork    log loss {:.3} over {} of {} epochs; the best single worker, known only afterwards, is \"{name}\" with {best:.3}: the network {}\n\
             tolerance  errors below {TOLERANCE} ppm count as {TOLERANCE}; without that the network has {:.3}, the best worker {:.3}\n\
             order      in {} % of the pairs of honest workers the better one earned more (equal pay counts half)",
            self.network,
            self.network_epochs,
            self.epochs,
            if self.network < best { "beats it" } else { "does not beat it" },
            self.network_exact,
            self.lines
                .iter()
                .filter_map(|line| line.exact)
                .fold(f64::INFINITY, f64::min),
            self.in_order()
                .map_or_else(|| "-".to_owned(), |part| format!("{:.0}", 100.0 * part)),
        ));
        text
    }

    fn json(&self) -> Value {
        let best = self.best();
        json!({
            "epochs": self.epochs,
            "networkLogLoss": self.network,
            "networkEpochs": self.network_epochs,
            "bestWorker": best.map(|best| best.0),
            "bestWorkerLogLoss": best.map(|best| best.1),
            "networkBeatsBest": best.map(|best| self.network < best.1),
            "wholeRun": self.epochs >= WHOLE_RUN,
            "exact": {
                "networkLogLoss": self.network_exact,
                "bestWorkerLogLoss": self.lines.iter().filter_map(|line| line.exact).reduce(f64::min),
            },
            "pairsInOrder": self.in_order(),
            "paid": self.paid,
            "participants": self.lines.iter().map(|line| json!({
                "name": line.name, "role": line.role, "logLoss": line.loss, "exactLogLoss": line.exact,
                "answered": line.answered, "earned": line.earned, "refusals": line.trouble, "firstRefusal": line.first_trouble,
            })).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_whole_and_the_past_ends_before_the_epoch() {
        let series = Series::read("2021-06", 60).unwrap();
        assert_eq!(series.months.len(), 626);
        assert_eq!(series.months[series.start], "2016-07");
        assert_eq!(series.past(1).len(), series.start);
        assert_eq!(series.truth(1), series.values[series.start]);
        assert_eq!(series.truth(60), series.values[series.start + 59]);
        assert!(Series::read("1980-01", 60).is_err());
        assert!(Series::read("nonsense", 60).is_err());
    }

    #[test]
    fn equal_pay_is_in_order_half_and_equal_losses_are_no_pair() {
        assert_eq!(ordered(&[(-2.0, 5.0), (-1.0, 3.0), (0.0, 1.0)]), Some(1.0));
        assert_eq!(ordered(&[(-2.0, 1.0), (-1.0, 3.0), (0.0, 5.0)]), Some(0.0));
        assert_eq!(ordered(&[(-2.0, 0.0), (-1.0, 0.0)]), Some(0.5));
        assert_eq!(ordered(&[(-1.0, 0.0), (-2.0, 7.0), (-2.0, 3.0)]), Some(1.0));
        assert_eq!(ordered(&[(-2.0, 1.0), (-2.0, 3.0)]), None);
        assert_eq!(ordered(&[]), None);
    }

    #[test]
    fn what_is_expected_is_the_mean_first_and_then_follows_the_newest() {
        let mut expecting = Expecting::new(0.25);
        let mut after = |loss| {
            expecting.learn(3, loss);
            expecting.smoothed[&3].1
        };
        assert_eq!((after(-1.0), after(-2.0), after(0.0)), (-1.0, -1.5, -1.0));
        assert_eq!((after(1.0), after(-0.5)), (-0.5, -0.5));
        assert_eq!(after(1.5), 0.0);
    }

    #[test]
    fn values_are_exact_to_a_billionth() {
        assert!((q64_to_f64(q64(421.37).to_bits()) - 421.37).abs() < 1e-9);
        assert_eq!(exact_loss(421.0, 421.01).round(), -4.0);
        assert_eq!((loss(421.0, 421.01), loss(421.0, 411.0)), (-2.0, 2.0));
    }
}
