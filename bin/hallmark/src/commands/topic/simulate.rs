//! `hallmark topic simulate`: epochs offline, as text, JSON or a picture.

use super::{Line, Panel, svg};
use crate::commands::{Error, read, write};
use crate::output::Reporter;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

pub fn run(file: &Path, picture: Option<&Path>, report: &Reporter) -> Result<(), Error> {
    let text = String::from_utf8(read(file)?).map_err(|e| Error::at(file.display(), e))?;
    let result = hallmark_mechanisms::simulate(&text).map_err(|e| Error::at(file.display(), e))?;
    let cases: Value = serde_json::from_str(&result)?;
    if let Some(path) = picture {
        let case = &cases[0];
        let title = case["name"].as_str().unwrap_or("a case without a name");
        write(path, svg(title, &panels(case)).as_bytes())?;
    }
    report.written(summary(&cases)?.trim_end(), &result);
    Ok(())
}

/// Lists of numbers, one per slot, that are worth a picture, with the title of their panel.
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

/// The pictures of one simulated case.
fn panels(case: &Value) -> Vec<Panel> {
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

/// Who is paid which part, a line per epoch.
fn summary(cases: &Value) -> Result<String, Error> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut text = String::new();
    for (index, case) in list(cases).iter().enumerate() {
        let name = case["name"].as_str().unwrap_or("without a name");
        let mechanism = case["mechanism"].as_str().unwrap_or_default();
        writeln!(text, "case {index}: {name} ({mechanism})")?;
        for (epoch, result) in list(&case["epochs"]).iter().enumerate() {
            write!(text, "  epoch {epoch}")?;
            if let Some(value) = result["network_inference"].as_f64() {
                write!(text, "  network {value}")?;
            }
            let shares = list(&result["shares"]).into_iter().enumerate();
            let paid: Vec<String> = shares
                .filter_map(|(slot, share)| Some((slot, share.as_u64().filter(|&s| s > 0)?)))
                .map(|(slot, share)| format!("{slot}: {:.4} %", share as f64 / 1e7))
                .collect();
            let line = if paid.is_empty() {
                "nobody".to_owned()
            } else {
                paid.join(", ")
            };
            writeln!(text, "  paid to slots  {line}")?;
        }
    }
    Ok(text)
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
        let drawn: Vec<Panel> = panels(&case)
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
}
