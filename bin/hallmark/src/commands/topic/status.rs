//! Topics as tables.

use crate::commands::Error;
use crate::output::{Reporter, mark, printable};
use alloy_primitives::U256;
use hallmark_client::{
    Topics,
    topics::{Mechanism, Slot, Topic, chart::short, q64_to_f64},
};
use serde_json::json;

pub async fn all(topics: &Topics, last: u64, report: &Reporter) -> Result<(), Error> {
    let list = topics.list(last).await?;
    let mut text = format!(
        "{:>5}  {:<9} {:>7} {:>6} {:>14} {:>14}  title",
        "topic", "stage", "epoch", "slots", "burned", "paid"
    );
    for topic in &list {
        text.push_str(&format!(
            "\n{:>5}  {:<9} {:>7} {:>6} {:>14} {:>14}  {}",
            topic.id,
            stage(topic),
            topic.epoch,
            topic.slot_count,
            amount(topic.burned),
            amount(topic.paid),
            printable(&topic.title)
        ));
    }
    if list.is_empty() {
        text = "no topics yet; make one with `hallmark topic create`".to_owned();
    }
    report.result(text, &serde_json::to_value(&list)?);
    Ok(())
}

pub async fn one(topics: &Topics, id: U256, report: &Reporter) -> Result<(), Error> {
    let topic = topics.get(id).await?;
    let mechanisms = topics.mechanisms(id).await?;
    let slots: Vec<Slot> = topics
        .slots(id)
        .await?
        .into_iter()
        .filter(Slot::is_held)
        .collect();
    let latest = topics.latest(id).await?;
    let now = topics.client().now_ms().await?;
    let mut text = head(&topic, &mechanisms, now);
    if let Some((inference, age)) = &latest {
        text.push_str(&format!(
            "\nnetwork     {} ({} to {} at 95 %), epoch {}, {} s old",
            short(q64_to_f64(inference.value)),
            short(q64_to_f64(inference.percentiles[0])),
            short(q64_to_f64(inference.percentiles[4])),
            inference.epoch,
            age / 1_000
        ));
    }
    text.push_str(&table(&slots));
    report.result(
        text,
        &json!({
            "topic": topic,
            "mechanisms": mechanisms,
            "slots": slots,
            "latest": latest.as_ref().map(|(inference, _)| inference),
            "ageMs": latest.as_ref().map(|(_, age)| age),
            "nowMs": now,
        }),
    );
    Ok(())
}

fn head(topic: &Topic, mechanisms: &[Mechanism], now: u64) -> String {
    let kinds: Vec<String> = mechanisms
        .iter()
        .map(|m| format!("{} {} %", m.kind, f64::from(m.share_bps) / 100.0))
        .collect();
    let p = &topic.policy;
    format!(
        "topic {}: {}\nowner       {}\nmechanisms  {}\nstage       {} of epoch {}{}\nepochs      open {} ms, sealed {} ms, lag {} ms, reveal {} ms, every {} ms\nmoney       burned {} MARK, paid {} MARK, granted {} MARK, stake {} MARK\nslot        costs {} MARK now, at least {}; a submission burns {} MARK",
        topic.id,
        printable(&topic.title),
        topic.owner,
        kinds.join(", "),
        stage(topic),
        topic.epoch,
        match topic.stage_end_ms.checked_sub(now) {
            Some(left) => format!(", ends in {:.1} s", left as f64 / 1e3),
            None => ", over: `hallmark topic advance` does the next step".to_owned(),
        },
        p.open_ms,
        p.sealed_ms,
        p.lag_ms,
        p.reveal_ms,
        p.epoch_ms,
        amount(topic.burned),
        amount(topic.paid),
        amount(topic.granted),
        amount(topic.stake),
        amount(topic.slot_price),
        amount(p.min_bond),
        amount(p.submit_fee),
    )
}

fn table(slots: &[Slot]) -> String {
    let mut text = format!(
        "\n\n{:>5} {:<10} {:>12} {:>12} {:>9} {:>12} {:>12}  operator",
        "slot", "role", "bond", "stake", "share %", "score", "an epoch"
    );
    for slot in slots {
        text.push_str(&format!(
            "\n{:>5} {:<10} {:>12} {:>12} {:>9.4} {:>12} {:>12}  {}{}",
            slot.index,
            slot.role,
            amount(slot.bond),
            amount(slot.stake),
            slot.share_billionths as f64 / 1e7,
            short(q64_to_f64(slot.score)),
            amount(slot.emission_ema),
            slot.operator,
            match (slot.permit, slot.unrevealed) {
                (_, epoch) if epoch > 0 => format!("  owes the reveal of epoch {epoch}"),
                (true, _) => "  may set weights".to_owned(),
                _ => String::new(),
            }
        ));
    }
    if slots.is_empty() {
        text.push_str("\n(no slot is taken)");
    }
    text
}

fn stage(topic: &Topic) -> String {
    if topic.retired && !topic.stage.is_running() {
        "retired".to_owned()
    } else {
        topic.stage.to_string()
    }
}

/// MARK in a table: short, so not exact.
pub fn amount(wei: u128) -> String {
    let text = mark(U256::from(wei));
    match text.find('.') {
        Some(dot) if text.len() > dot + 7 => short(wei as f64 / 1e18),
        _ => text,
    }
}
