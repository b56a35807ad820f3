//! What operators and owners decide, and stake against it.

use super::needed_slot;
use crate::commands::{Error, model::parse_percent, read};
use crate::output::{Reporter, mark};
use alloy_primitives::{Address, U256};
use hallmark_client::{
    Topics,
    topics::{Policy, Proposal},
};
use serde_json::{Value, json};
use std::path::Path;

pub async fn take(
    topics: &Topics,
    topic: U256,
    percent: &str,
    report: &Reporter,
) -> Result<(), Error> {
    let take = parse_percent("the take", percent)?;
    let slot = needed_slot(topics, topic).await?;
    let (from, _) = topics.set_take(topic, slot.index, take).await?;
    let waits = from.saturating_sub(topics.client().now_ms().await?);
    let when = match waits {
        0 => "from now on".to_owned(),
        waits => format!(
            "in {} s, and {} % until then",
            waits.div_ceil(1_000),
            bps(slot.take_bps)
        ),
    };
    report.result(
        format!(
            "slot {} of topic {topic} keeps {} % of what it earns {when}",
            slot.index,
            bps(take)
        ),
        &json!({
            "topic": topic.to_string(),
            "slot": slot.index,
            "takeBps": take,
            "fromMs": from,
        }),
    );
    Ok(())
}

pub async fn propose(
    topics: &Topics,
    topic: U256,
    file: Option<&Path>,
    new_owner: Option<Address>,
    report: &Reporter,
) -> Result<(), Error> {
    let found = topics.get(topic).await?;
    let policy = match file {
        Some(path) => {
            let text = String::from_utf8(read(path)?).map_err(|e| Error::at(path.display(), e))?;
            let changed = found.policy.with_changes(&text);
            changed.map_err(|e| Error::at(path.display(), e))?
        }
        None => found.policy.clone(),
    };
    let owner = new_owner.unwrap_or(found.owner);
    let (effective, _) = topics.propose_policy(topic, &policy, owner).await?;
    let waits = effective.saturating_sub(topics.client().now_ms().await?);
    let changes = changes(&found.policy, &policy);
    let mut text = format!(
        "proposed for topic {topic}; it takes effect in {} s, between two epochs, unless stake vetoes it",
        waits.div_ceil(1_000)
    );
    text.push_str(&listed(&changes));
    if owner != found.owner {
        text.push_str(&format!("\nowner  {} -> {owner}", found.owner));
    }
    report.result(
        text,
        &json!({
            "topic": topic.to_string(),
            "effectiveAtMs": effective,
            "changes": as_json(&changes),
            "owner": found.owner,
            "newOwner": owner,
        }),
    );
    Ok(())
}

pub async fn proposal(topics: &Topics, topic: U256, report: &Reporter) -> Result<(), Error> {
    let found = topics.get(topic).await?;
    let now = topics.client().now_ms().await?;
    let veto_bps = topics.rules().await?.veto_bps;
    let Some(proposal) = topics.proposal(topic).await? else {
        report.result(format!("nothing waits in topic {topic}"), &Value::Null);
        return Ok(());
    };
    let changes = proposal
        .policy
        .as_ref()
        .map(|policy| changes(&found.policy, policy));
    let mut text = when(&proposal, now);
    match &changes {
        Some(changes) => text.push_str(&listed(changes)),
        None if proposal.retires => text.push_str("\nthe topic ends"),
        None => text.push_str("\nits owner is a contract: the policy is not in the transaction"),
    }
    if let Some(owner) = proposal.new_owner.filter(|owner| *owner != found.owner) {
        text.push_str(&format!("\nowner  {} -> {owner}", found.owner));
    }
    text.push_str(&format!(
        "\nagainst it {} MARK of stake and bonds; more than {} % of all when it was made strikes it",
        mark(U256::from(proposal.against)),
        bps(veto_bps)
    ));
    report.result(
        text,
        &json!({
            "topic": topic.to_string(),
            "effectiveAtMs": proposal.effective_at_ms,
            "retires": proposal.retires,
            "newOwner": proposal.new_owner,
            "policy": proposal.policy,
            "changes": changes.as_deref().map(as_json),
            "against": proposal.against.to_string(),
            "vetoBps": veto_bps,
        }),
    );
    Ok(())
}

pub async fn veto(topics: &Topics, topic: U256, slot: u16, report: &Reporter) -> Result<(), Error> {
    let pool = topics.slot(topic, slot).await?.pool;
    let (stake, struck, _) = topics.veto(topic, pool).await?;
    report.result(
        format!(
            "{} MARK on slot {slot} of topic {topic} count against the proposal{}",
            mark(U256::from(stake)),
            if struck { ", which is struck" } else { "" }
        ),
        &json!({
            "topic": topic.to_string(),
            "slot": slot,
            "stake": stake.to_string(),
            "struck": struck,
        }),
    );
    Ok(())
}

fn when(proposal: &Proposal, now: u64) -> String {
    match proposal.effective_at_ms.saturating_sub(now) {
        0 => "its time has come: it is applied when the present epoch has ended".to_owned(),
        waits => format!(
            "takes effect in {} s, between two epochs",
            waits.div_ceil(1_000)
        ),
    }
}

/// Name, what it was and what it will be, of everything that differs.
fn changes(old: &Policy, new: &Policy) -> Vec<(String, Value, Value)> {
    let values = |policy: &Policy| serde_json::to_value(policy).unwrap_or_default();
    let (old, new) = (values(old), values(new));
    let names = new.as_object().into_iter().flatten();
    names
        .filter(|(name, value)| old[name.as_str()] != **value)
        .map(|(name, value)| (name.clone(), old[name.as_str()].clone(), value.clone()))
        .collect()
}

fn listed(changes: &[(String, Value, Value)]) -> String {
    // Text is an amount in wei.
    let text = |value: &Value| match value.as_str().map(str::parse::<U256>) {
        Some(Ok(amount)) => format!("{} MARK", mark(amount)),
        _ => value.to_string(),
    };
    changes
        .iter()
        .map(|(name, old, new)| format!("\n{name}  {} -> {}", text(old), text(new)))
        .collect()
}

fn as_json(changes: &[(String, Value, Value)]) -> Value {
    changes
        .iter()
        .map(|(name, old, new)| json!({ "name": name, "old": old, "new": new }))
        .collect()
}

/// Percent with two decimals at most.
fn bps(bps: u16) -> String {
    let text = format!("{}.{:02}", bps / 100, bps % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{bps, changes};
    use hallmark_client::topics::{Kind, TopicPlan};
    use serde_json::json;

    #[test]
    fn what_differs_is_listed_with_old_and_new() {
        let old = TopicPlan::of_kind("t", Kind::Yuma).unwrap().policy;
        let new = old.with_changes(r#"{"open":"1s","ownerBps":5}"#).unwrap();
        let found = changes(&old, &new);
        let names: Vec<&str> = found.iter().map(|change| change.0.as_str()).collect();
        assert_eq!(names, ["epochMs", "openMs", "ownerBps"]);
        assert_eq!((&found[1].1, &found[1].2), (&json!(60_000), &json!(1_000)));
        assert!(changes(&old, &old).is_empty());
    }

    #[test]
    fn parts_are_printed_in_percent() {
        for (parts, text) in [(0, "0"), (5, "0.05"), (1_250, "12.5"), (10_000, "100")] {
            assert_eq!(bps(parts), text);
        }
    }
}
