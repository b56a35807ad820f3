//! `hallmark topic chart`.

use crate::commands::{Error, write};
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{Topics, topics::chart};
use serde_json::json;
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
    let panels = chart::of_history(&history, &mechanisms, |slot| format!("slot {slot}"));
    let title = format!("topic {topic}: {}", found.title);
    write(output, chart::svg(&title, &panels).as_bytes())?;
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
