//! Consensus, scores, rewards and losses of a topic over its epochs.

use super::{Line, Panel, svg};
use crate::commands::{Error, write};
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{
    Topics,
    topics::{
        Kind,
        explain::{History, Judged},
        q64_to_f64,
    },
};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

pub async fn run(
    topics: &Topics,
    topic: U256,
    output: &Path,
    report: &Reporter,
) -> Result<(), Error> {
    let found = topics.get(topic).await?;
    let mechanisms = topics.mechanisms(topic).await?;
    let history = topics.history(topic).await?;
    let kinds: Vec<Kind> = mechanisms.iter().map(|m| m.kind).collect();
    let panels = panels(&history, &kinds, |slot| format!("slot {slot}"));
    let title = format!("topic {topic}: {}", found.title);
    write(output, svg(&title, &panels).as_bytes())?;
    let settled = history.settlements.len();
    let past = found.epoch.saturating_sub(1);
    report.result(
        format!(
            "{}: {} panels of {settled} settlements; the topic has ended {past} epochs{}",
            output.display(),
            panels.len(),
            if (settled as u64) < past * kinds.len() as u64 {
                " (those that the chain settled by itself left no event)"
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
pub fn panels(history: &History, kinds: &[Kind], name: impl Fn(u16) -> String) -> Vec<Panel> {
    let mut panels = vec![consensus(history, kinds)];
    for (index, kind) in kinds.iter().enumerate() {
        let index = u8::try_from(index).unwrap_or(u8::MAX);
        for (column, title) in columns(*kind) {
            let lines = lines(history, index, &name, |judged| {
                judged.number(column).map(|n| q64_to_f64(n.to_bits()))
            });
            // A column of zeros for a role that it does not concern is no line.
            let lines = lines
                .into_iter()
                .filter(|line| line.points.iter().any(|p| p.1 != 0.0));
            panels.push(Panel::new(*title, lines.collect()));
        }
        panels.push(Panel::new(
            format!("share of what the slots of {kind} got, %"),
            lines(history, index, &name, |judged| {
                Some(judged.share as f64 / 1e7)
            }),
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

/// The columns of an explanation that are worth a picture.
fn columns(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Synthesis => &[
            ("own loss", "loss, log10 of the squared error"),
            ("regret", "regret"),
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

/// The network's value with its confidence interval, and the values that the workers said.
fn consensus(history: &History, kinds: &[Kind]) -> Panel {
    let mut network = Line::new("network");
    let mut panel = Panel::new("network inference, one and two deviations", Vec::new());
    for (epoch, (value, percentiles)) in &history.inferred {
        network.points.push((*epoch, q64_to_f64(*value)));
        let (low, high) = (q64_to_f64(percentiles[0]), q64_to_f64(percentiles[4]));
        panel.band.push((*epoch, low, high));
    }
    panel.lines.push(network);
    let mut truths: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for ((epoch, mechanism, _), payload) in &history.revealed {
        let kind = kinds.get(usize::from(*mechanism));
        if kind == Some(&Kind::Synthesis)
            && let Ok(hallmark_mechanisms::wire::ReportPayload::Truth(truth)) =
                hallmark_mechanisms::wire::decode_report(payload)
        {
            let list = truths.entry(*epoch).or_default();
            list.push(q64_to_f64(truth.to_bits()));
        }
    }
    let mut truth = Line::new("truth (median)");
    for (epoch, mut values) in truths {
        values.sort_by(f64::total_cmp);
        truth.points.push((epoch, values[values.len() / 2]));
    }
    if !truth.points.is_empty() {
        panel.lines.push(truth);
    }
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
