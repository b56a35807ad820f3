//! Consensus, scores, rewards and losses of a topic over its epochs.

use super::{Line, Panel, svg};
use crate::commands::{Error, write};
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{
    Topics,
    topics::{
        Kind, Mechanism,
        explain::{History, Judged},
        q64_to_f64,
    },
};
use hallmark_mechanisms::wire;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Least error whose logarithm counts, as in the mechanism.
const LEAST_ERROR: f64 = 1.0 / (1u64 << 32) as f64;

pub async fn run(
    topics: &Topics,
    topic: U256,
    output: &Path,
    report: &Reporter,
) -> Result<(), Error> {
    let found = topics.get(topic).await?;
    let mechanisms = topics.mechanisms(topic).await?;
    let history = topics.history(topic).await?;
    let panels = panels(&history, &mechanisms, |slot| format!("slot {slot}"));
    let title = format!("topic {topic}: {}", found.title);
    write(output, svg(&title, &panels).as_bytes())?;
    let settled = history.settlements.len();
    let past = found.epoch.saturating_sub(1);
    report.result(
        format!(
            "{}: {} panels of {settled} settlements; the topic has ended {past} epochs{}",
            output.display(),
            panels.len(),
            if (settled as u64) < past * mechanisms.len() as u64 {
                " (the node does not tell those that the chain settled by itself)"
            } else {
                ""
            }
        ),
        &json!({
            "file": output,
            "panels": panels.iter().map(|p| p.title.clone()).collect::<Vec<_>>(),
            "settlements": settled,
            "epochs": past,
        }),
    );
    Ok(())
}

/// The pictures of a topic's past.
pub fn panels(
    history: &History,
    mechanisms: &[Mechanism],
    name: impl Fn(u16) -> String,
) -> Vec<Panel> {
    let truths = truths(history, mechanisms);
    let mut panels = vec![consensus(history, &truths)];
    for (index, mechanism) in (0u8..).zip(mechanisms) {
        let kind = mechanism.kind;
        for (column, title) in columns(kind) {
            let lines = lines(history, index, &name, |judged| {
                judged.number(column).map(|n| q64_to_f64(n.to_bits()))
            });
            // A column of zeros for a role that it does not concern is no line.
            let lines = lines
                .into_iter()
                .filter(|line| line.points.iter().any(|point| point.1 != 0.0));
            panels.push(Panel::new(*title, lines.collect()));
        }
        if kind == Kind::Synthesis {
            let losses = &panels[panels.len() - 2];
            panels.push(regrets(history, &truths, losses, regret_rate(mechanism)));
        }
        let shares = lines(history, index, &name, |judged| {
            Some(judged.share as f64 / 1e7)
        });
        panels.push(Panel::new(
            format!("share of what the slots of {kind} got, %"),
            shares,
        ));
    }
    let mut paid: BTreeMap<u16, Line> = BTreeMap::new();
    for ((epoch, slot), amount) in &history.paid {
        let total = amount.to_operator.saturating_add(amount.to_pool);
        let line = paid.entry(*slot).or_insert_with(|| Line::new(name(*slot)));
        line.points.push((*epoch, total as f64 / 1e18));
    }
    panels.push(Panel::new(
        "rewards, MARK an epoch",
        paid.into_values().collect(),
    ));
    panels.retain(|panel| panel.lines.iter().any(|line| !line.points.is_empty()));
    panels
}

/// The columns of an explanation that are worth a picture; the loss first.
fn columns(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Synthesis => &[
            ("own loss", "loss, log10 of the squared error"),
            ("score", "score"),
        ],
        Kind::Yuma => &[
            ("consensus weight", "consensus weight"),
            ("incentive", "incentive"),
            ("dividends", "dividends"),
        ],
        Kind::Score => &[
            ("proven metric", "proven metric"),
            ("smoothed metric", "score: smoothed metric"),
        ],
    }
}

fn regret_rate(mechanism: &Mechanism) -> f64 {
    match wire::Params::decode(wire::Kind::Synthesis, &mechanism.params) {
        Ok(wire::Params::Synthesis(params)) => q64_to_f64(params.regret_rate.to_bits()),
        _ => 0.1,
    }
}

/// Regrets from the losses in the log: the network's loss less the own one, smoothed as the mechanism
/// does. The mechanism's own begin at a quantile of the others' and weigh the reputers by stake; the
/// state keeps only the latest.
fn regrets(history: &History, truths: &BTreeMap<u64, f64>, losses: &Panel, rate: f64) -> Panel {
    let network = |epoch: u64| {
        let (value, _) = history.inferred.get(&epoch)?;
        let error = (q64_to_f64(*value) - truths.get(&epoch)?).abs();
        Some(2.0 * error.max(LEAST_ERROR).log10())
    };
    let line = |losses: &Line| {
        let mut line = Line::new(losses.name.clone());
        let mut regret: Option<f64> = None;
        for (epoch, loss) in &losses.points {
            if let Some(network) = network(*epoch) {
                let new = network - loss;
                let smoothed = regret.map_or(new, |old| (1.0 - rate) * old + rate * new);
                regret = Some(smoothed);
                line.points.push((*epoch, smoothed));
            }
        }
        line
    };
    Panel::new(
        "regret: loss of the network less the own, smoothed",
        losses.lines.iter().map(line).collect(),
    )
}

/// The median of what reputers said, by epoch.
fn truths(history: &History, mechanisms: &[Mechanism]) -> BTreeMap<u64, f64> {
    let mut said: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for ((epoch, mechanism, _), payload) in &history.revealed {
        let kind = mechanisms.get(usize::from(*mechanism)).map(|m| m.kind);
        // Only a report of 17 bytes reads as a truth.
        if kind == Some(Kind::Synthesis)
            && let Ok(wire::ReportPayload::Truth(truth)) = wire::decode_report(payload)
        {
            let list = said.entry(*epoch).or_default();
            list.push(q64_to_f64(truth.to_bits()));
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    said.into_iter()
        .map(|(epoch, values)| (epoch, median(values)))
        .collect()
}

/// The network's value with its confidence interval, and the truth.
fn consensus(history: &History, truths: &BTreeMap<u64, f64>) -> Panel {
    let mut network = Line::new("network");
    let mut panel = Panel::new("network inference, two deviations", Vec::new());
    for (epoch, (value, percentiles)) in &history.inferred {
        network.points.push((*epoch, q64_to_f64(*value)));
        let (low, high) = (q64_to_f64(percentiles[0]), q64_to_f64(percentiles[4]));
        panel.band.push((*epoch, low, high));
    }
    let mut truth = Line::new("truth (median)");
    truth
        .points
        .extend(truths.iter().map(|(epoch, value)| (*epoch, *value)));
    panel.lines.extend([network, truth]);
    panel
}

fn lines(
    history: &History,
    mechanism: u8,
    name: impl Fn(u16) -> String,
    value: impl Fn(&Judged) -> Option<f64>,
) -> Vec<Line> {
    let mut lines: BTreeMap<u16, Line> = BTreeMap::new();
    for settlement in &history.settlements {
        if settlement.mechanism != mechanism {
            continue;
        }
        for judged in &settlement.slots {
            if let Some(value) = value(judged) {
                let line = lines
                    .entry(judged.slot)
                    .or_insert_with(|| Line::new(name(judged.slot)));
                line.points.push((settlement.epoch, value));
            }
        }
    }
    lines.into_values().collect()
}
