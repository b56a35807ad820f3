//! Why a slot got what it got: in words, then in numbers.

use super::status::amount;
use crate::commands::Error;
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{
    Topics,
    topics::{
        Epoch, Kind, Mechanism, Role, Slot, Stage,
        chart::short,
        decimal,
        explain::{History, Judged, Settlement},
        q64_to_f64,
    },
};
use serde_json::{Value, json};

pub async fn run(
    topics: &Topics,
    topic: U256,
    epoch: u64,
    index: u16,
    report: &Reporter,
) -> Result<(), Error> {
    let now = topics.get(topic).await?;
    let opened = epoch < now.epoch || (epoch == now.epoch && now.stage.is_running());
    if !opened || epoch == 0 {
        return Err(Error::new(format!(
            "epoch {epoch} of topic {topic} has not opened; it is in epoch {}",
            now.epoch
        )));
    }
    let info = topics.epoch(topic, epoch).await?;
    if !matches!(info.stage, Stage::Done | Stage::Cancelled) {
        return Err(Error::new(format!(
            "epoch {epoch} of topic {topic} is {}; it is explained when it is settled",
            info.stage
        )));
    }
    let mechanisms = topics.mechanisms(topic).await?;
    let history = topics.history(topic).await?;
    let slot = topics.slot(topic, index).await?;
    let is_latest = now.epoch == epoch + 1;
    let story = Story {
        topic,
        epoch,
        index,
        info: &info,
        history: &history,
        slot: &slot,
        is_latest,
    };
    let mut texts = vec![story.opening()];
    let mut parts = Vec::new();
    for (number, mechanism) in mechanisms.iter().enumerate() {
        let (text, value) = story.mechanism(u8::try_from(number).unwrap_or(u8::MAX), mechanism);
        texts.push(text);
        parts.push(value);
    }
    let paid = history.paid.get(&(epoch, index)).copied();
    report.result(
        texts.join("\n"),
        &json!({
            "topic": topic.to_string(),
            "epoch": epoch,
            "slot": index,
            "stage": info.stage,
            "paidToOperator": paid.map(|p| p.to_operator.to_string()),
            "paidToPool": paid.map(|p| p.to_pool.to_string()),
            "withheld": history.is_withheld(epoch, index),
            "bondBurned": history.burned.get(&(epoch, index)).map(u128::to_string),
            "mechanisms": parts,
        }),
    );
    Ok(())
}

struct Story<'a> {
    topic: U256,
    epoch: u64,
    index: u16,
    info: &'a Epoch,
    history: &'a History,
    slot: &'a Slot,
    is_latest: bool,
}

impl Story<'_> {
    fn opening(&self) -> String {
        let (epoch, index) = (self.epoch, self.index);
        let mut text = match self.history.paid.get(&(epoch, index)) {
            Some(paid) => format!(
                "Slot {index} was paid {} MARK in epoch {epoch} of topic {}",
                amount(paid.to_operator.saturating_add(paid.to_pool)),
                self.topic
            ),
            None => format!(
                "The log has no payment to slot {index} in epoch {epoch} of topic {}",
                self.topic
            ),
        };
        if let Some(paid) = self.history.paid.get(&(epoch, index))
            && paid.to_pool > 0
        {
            text.push_str(&format!(
                ": {} to its operator, {} to its stakers",
                amount(paid.to_operator),
                amount(paid.to_pool)
            ));
        }
        text.push_str(&format!(
            ".\nThe epoch burned {} MARK, paid {} MARK in all, and saw {} of {} commitments revealed.",
            amount(self.info.burned),
            amount(self.info.paid),
            self.info.reveals,
            self.info.commitments
        ));
        if self.info.stage == Stage::Cancelled {
            text.push_str(
                "\nIt was cancelled: no mechanism could judge anybody, so nothing was paid.",
            );
        }
        match self.history.burned.get(&(epoch, index)) {
            Some(burned) => text.push_str(&format!(
                "\nThe slot committed and did not reveal: {} MARK of its bond were burned.",
                amount(*burned)
            )),
            None if self.history.is_withheld(epoch, index) => text.push_str(
                "\nThe slot committed and did not reveal: its bond was burned. The node's log does not say how much.",
            ),
            None => {}
        }
        text
    }

    fn mechanism(&self, number: u8, mechanism: &Mechanism) -> (String, Value) {
        let kind = mechanism.kind;
        let Some(settlement) = self.history.settlement(self.epoch, number) else {
            return self.without_event(number, kind);
        };
        let Some(judged) = settlement.slot(self.index) else {
            let text = format!(
                "Mechanism {number} ({kind}) did not judge slot {}.",
                self.index
            );
            let value = json!({ "mechanism": number, "kind": kind, "judged": false });
            return (text, value);
        };
        let role = role_of(self.slot, judged);
        let silent = !self
            .history
            .revealed
            .contains_key(&(self.epoch, number, self.index));
        let mut text = format!(
            "\nMechanism {number} ({kind}, {} % of the pay) gave it {:.4} % of what slots got; {} MARK was paid by it in all.\n{}",
            f64::from(mechanism.share_bps) / 100.0,
            judged.share as f64 / 1e7,
            amount(settlement.pay),
            words(kind, role, judged, silent, settlement),
        );
        for (name, value) in &judged.numbers {
            text.push_str(&format!(
                "\n  {name:<24} {}",
                short(q64_to_f64(value.to_bits()))
            ));
        }
        let value = json!({
            "mechanism": number,
            "kind": kind,
            "judged": true,
            "operator": judged.operator,
            "shareBillionths": judged.share,
            "revealed": !silent,
            "words": words(kind, role, judged, silent, settlement),
            "numbers": judged.numbers.iter().map(|(name, value)| json!({
                "name": name,
                "value": q64_to_f64(value.to_bits()),
                "exact": decimal(value.to_bits()),
            })).collect::<Vec<_>>(),
        });
        (text, value)
    }

    /// What is left to say when the node has no event of the settlement: the chain did it by itself, and
    /// the node does not keep what the chain tells at the end of blocks.
    fn without_event(&self, number: u8, kind: Kind) -> (String, Value) {
        let mut text = format!(
            "\nMechanism {number} ({kind}): the chain settled this epoch by itself at the end of a block, and this node does not tell what the chain did there (method hallmark_sweepLogs), so the numbers are not in its log."
        );
        let mut value = json!({ "mechanism": number, "kind": kind, "judged": null });
        if self.is_latest {
            text.push_str(&format!(
                "\nIts state says: share {:.4} %, score {}.",
                self.slot.share_billionths as f64 / 1e7,
                short(q64_to_f64(self.slot.score))
            ));
            value["shareBillionths"] = self.slot.share_billionths.into();
            value["score"] = q64_to_f64(self.slot.score).into();
        } else {
            text.push_str("\nOnly the latest epoch's share and score are in the chain's state.");
        }
        (text, value)
    }
}

/// The role at that time, as far as the slot's present holder tells.
fn role_of(slot: &Slot, judged: &Judged) -> Option<Role> {
    (slot.operator == judged.operator).then_some(slot.role)
}

/// The reason in a sentence or two.
fn words(
    kind: Kind,
    role: Option<Role>,
    judged: &Judged,
    silent: bool,
    settlement: &Settlement,
) -> String {
    let number = |name: &str| judged.number(name).map(|n| q64_to_f64(n.to_bits()));
    let rank = |name: &str| {
        let own = judged.number(name)?;
        let better = settlement
            .slots
            .iter()
            .filter(|other| other.number(name).is_some_and(|n| n > own))
            .count();
        Some(better + 1)
    };
    match kind {
        Kind::Synthesis if silent => {
            "It revealed nothing, so it took no part; what share it has comes from earlier epochs' smoothing.".to_owned()
        }
        Kind::Synthesis => {
            let score = number("score").unwrap_or_default();
            match role {
                Some(Role::Reputer) => format!(
                    "Its losses agree with the stake's consensus to a score of {} (the inverse of its relative distance), which with its stake is {:.2} % of the reputers' part.",
                    short(score),
                    number("fraction of its class").unwrap_or_default() * 100.0
                ),
                Some(role) => format!(
                    "It had {:.2} % of the weight in the network's value. Its loss was {} (log10 of the squared error), so its regret, by which it is weighed next, is {}: the network's loss less its own, smoothed. {} That is {:.2} % of the {role}s' part.",
                    number("weight in the network").unwrap_or_default() * 100.0,
                    short(number("own loss").unwrap_or_default()),
                    short(number("regret").unwrap_or_default()),
                    if score > 0.0 {
                        format!("Without it the network's loss would have been {} higher: it helped.", short(score))
                    } else {
                        format!("Without it the network's loss would have been {} lower: it did not help.", short(-score))
                    },
                    number("fraction of its class").unwrap_or_default() * 100.0
                ),
                None => "Another holder has the slot since.".to_owned(),
            }
        }
        Kind::Yuma => {
            let (incentive, dividends) = (
                number("incentive").unwrap_or_default(),
                number("dividends").unwrap_or_default(),
            );
            let mut parts = Vec::new();
            if incentive > 0.0 {
                parts.push(format!(
                    "As a worker it has {:.4} % of the incentive: the stake-weighted median of the validators gives it weight {}.",
                    incentive * 100.0,
                    short(number("consensus weight").unwrap_or_default())
                ));
            }
            if dividends > 0.0 {
                parts.push(format!(
                    "As a validator it has {:.4} % of the dividends: its stake share is {}, and {} of its weights lie within the consensus.",
                    dividends * 100.0,
                    short(number("stake share").unwrap_or_default()),
                    short(number("validator trust").unwrap_or_default())
                ));
            }
            if parts.is_empty() {
                parts.push("No validator with stake gave it weight that the consensus keeps, and it has no bonds in workers who earn.".to_owned());
            }
            parts.join(" ")
        }
        Kind::Score if silent => "It did not reveal a model.".to_owned(),
        Kind::Score => format!(
            "It proved {:.2} % of the samples right; smoothed over epochs its metric is {}, rank {} of {}.",
            number("proven metric").unwrap_or_default() * 100.0,
            short(number("smoothed metric").unwrap_or_default()),
            rank("smoothed metric").unwrap_or_default(),
            settlement.slots.len()
        ),
    }
}
