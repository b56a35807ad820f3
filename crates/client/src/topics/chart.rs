//! Consensus, scores, rewards and losses of a topic over its epochs, as pictures.

mod drawing;

use super::{
    Kind, Mechanism,
    explain::{History, Judged},
    q64_to_f64,
};
use hallmark_mechanisms::wire;
use serde_json::Value;
use std::collections::BTreeMap;

pub use drawing::{Line, Panel, short, svg};

/// Lists of numbers of a simulated case, one per slot, that are worth a picture, with the title of
/// their panel.
const PICTURED: [(&str, &str); 9] = [
    ("consensus_u16", "consensus, of 65,535"),
    ("incentive_u16", "incentive, of 65,535"),
    ("dividends_u16", "dividends, of 65,535"),
    ("smoothed", "score: smoothed metric"),
    ("scores", "score"),
    ("reputer_scores", "score of reputers"),
    ("regrets", "regret"),
    ("listening", "listening coefficient"),
    ("shares", "share of the reward, 1e-9"),
];

/// The pictures of one case that `hallmark_mechanisms::simulate` ran: an element of its JSON result.
pub fn of_case(case: &Value) -> Vec<Panel> {
    let empty = Vec::new();
    let epochs = case["epochs"].as_array().unwrap_or(&empty);
    let of = |field: &'static str| epochs.iter().map(move |epoch| &epoch[field]);
    let mut network = Panel::new("network inference, two deviations", Vec::new());
    let mut line = Line::new("network");
    for (at, (value, percentiles)) in (0..).zip(of("network_inference").zip(of("percentiles"))) {
        if let Some(value) = value.as_f64() {
            line.points.push((at, value));
            if let (Some(low), Some(high)) = (percentiles[0].as_f64(), percentiles[4].as_f64()) {
                network.band.push((at, low, high));
            }
        }
    }
    network.lines.push(line);
    let mut panels = vec![network];
    for (field, title) in PICTURED {
        let mut lines: Vec<Line> = Vec::new();
        for (at, list) in (0..).zip(of(field)) {
            for (slot, value) in list.as_array().unwrap_or(&empty).iter().enumerate() {
                if lines.len() <= slot {
                    lines.push(Line::new(slot.to_string()));
                }
                if let Some(value) = value.as_f64() {
                    lines[slot].points.push((at, value));
                }
            }
        }
        panels.push(Panel::new(title, lines));
    }
    panels
}

/// The pictures of a topic's past; `name` says who has a slot.
pub fn of_history(
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

/// The columns of an explanation that are worth a picture.
fn columns(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Synthesis => &[
            ("own loss", "loss, log10 of the squared error"),
            (
                "regret",
                "regret: loss of the network less the own, smoothed",
            ),
            ("weight in the network", "part of the weight in the network"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_case_has_the_panels_that_its_numbers_allow() {
        let case = serde_json::json!({ "epochs": [
            { "network_inference": 20.5, "percentiles": [1, 2, 3, 4, 5], "scores": [0.5, null], "shares": [1, 0] },
            { "network_inference": null, "percentiles": null, "scores": [0.25, 1.0], "shares": [0, 1] },
        ] });
        let drawn: Vec<Panel> = of_case(&case)
            .into_iter()
            .filter(|panel| panel.lines.iter().any(|line| !line.points.is_empty()))
            .collect();
        let titles: Vec<&str> = drawn.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "network inference, two deviations",
                "score",
                "share of the reward, 1e-9"
            ]
        );
        assert_eq!(drawn[0].lines[0].points, [(0, 20.5)]);
        assert_eq!(drawn[0].band, [(0, 1.0, 5.0)]);
        assert_eq!(drawn[1].lines[1].points, [(1, 1.0)]);
    }

    /// Three epochs of a worker and a reputer, settled by the mechanism itself.
    #[test]
    fn regrets_and_weights_of_a_topics_past_are_lines_of_the_workers() {
        use crate::topics::explain::Settlement;
        use alloy_primitives::Address;
        use hallmark_fixed::Q64;
        use hallmark_mechanisms::synthesis::{Params, Predictions, Report, State, infer, settle};
        let params = Params::default();
        let mut state = State::new(2, 0, 1);
        let mut history = History::default();
        let mut expected = Vec::new();
        for epoch in 1..=3 {
            let said = Predictions {
                inferences: vec![Some(Q64::from_int(10)), Some(Q64::from_int(10 + epoch))],
                forecasts: Vec::new(),
            };
            let inferences = infer(&params, &mut state, &said).unwrap();
            let truth = Q64::from_ratio(101, 10);
            let losses = inferences
                .values
                .iter()
                .map(|v| v.map(|v| params.squared_loss(v, truth)));
            let report = Report {
                stake: 1,
                losses: losses.collect(),
            };
            let outcome = settle(&params, &mut state, &inferences, &[report]).unwrap();
            expected.push(state.regrets.clone());
            let judged = |slot: usize| Judged {
                slot: slot as u16,
                operator: Address::ZERO,
                share: outcome.settlement.shares[slot],
                numbers: (outcome.settlement.explain(slot).into_iter())
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            };
            history.settlements.push(Settlement {
                epoch: epoch as u64,
                mechanism: 0,
                block: 0,
                pay: 0,
                slots: (0..3).map(judged).collect(),
            });
        }
        let mechanism = Mechanism {
            kind: Kind::Synthesis,
            share_bps: 10_000,
            params: Vec::new().into(),
        };
        let panels = of_history(&history, &[mechanism], |slot| format!("slot {slot}"));
        let panel = |title: &str| {
            panels
                .iter()
                .find(|panel| panel.title.starts_with(title))
                .unwrap()
        };
        let names = |panel: &Panel| -> Vec<String> {
            panel.lines.iter().map(|line| line.name.clone()).collect()
        };
        let regrets = panel("regret");
        // The reputer has no regret, so no line.
        assert_eq!(names(regrets), ["slot 0", "slot 1"]);
        for (slot, line) in regrets.lines.iter().enumerate() {
            let known = (1..)
                .zip(&expected)
                .map(|(epoch, regrets)| (epoch, q64_to_f64(regrets[slot].unwrap().to_bits())));
            assert_eq!(line.points, known.collect::<Vec<(u64, f64)>>());
        }
        assert!(regrets.lines[0].points[2].1 > regrets.lines[1].points[2].1);
        let weights = panel("part of the weight");
        assert_eq!(names(weights), ["slot 0", "slot 1"]);
        for epoch in 0..3 {
            let sum: f64 = weights.lines.iter().map(|line| line.points[epoch].1).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        }
        assert_eq!(weights.lines[0].points[0].1, 0.5);
        assert!(weights.lines[0].points[2].1 > 0.5);
        let drawn = svg("past", &panels);
        assert!(drawn.contains("regret: loss of the network less the own, smoothed"));
    }
}
