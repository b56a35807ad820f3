//! One answer by hand: commit, wait for the window, reveal.

use super::{needed_slot, salts};
use crate::cli::SubmitArgs;
use crate::commands::{Error, block_on, chain::connect_signed};
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{
    Client, Topics,
    topics::{
        Answer, Kind, Role, SaltStore, Slot, Stage, Submission,
        work::{View, advance_if_due},
    },
};
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire;
use serde_json::json;
use std::time::Duration;

/// Time between two looks at the topic.
const POLL: Duration = Duration::from_millis(100);

pub fn run(args: SubmitArgs, report: &Reporter) -> Result<(), Error> {
    block_on(async {
        let client = connect_signed(&args.chain, &args.key).await?;
        let topics = client.topics();
        let topic = U256::from(args.topic);
        let slot = needed_slot(&topics, topic).await?;
        let store = salts(&client, &args.salts).await?;
        let view = View::take(&topics, topic).await?;
        let mechanism = view
            .mechanisms
            .get(usize::from(args.mechanism))
            .ok_or_else(|| {
                Error::new(format!("topic {topic} has no mechanism {}", args.mechanism))
            })?
            .kind;
        let submission = Submission {
            topic,
            epoch: args.epoch.unwrap_or(view.topic.epoch),
            mechanism: args.mechanism,
            slot: slot.index,
        };
        if args.reveal_only {
            let answer = reveal(&topics, &store, submission).await?;
            report_done("revealed", &answer, report);
            return Ok(());
        }
        let payload = payload(&client, &args, mechanism, &slot).await?;
        let answer = topics.prepare(&store, submission, &payload).await?;
        topics
            .commit(&answer, view.topic.policy.submit_fee)
            .await
            .map_err(|error| Error::at(format!("epoch {}", submission.epoch), error))?;
        if args.commit_only {
            report_done("committed", &answer, report);
            return Ok(());
        }
        report.say(format!(
            "committed {} for epoch {}; waiting for the window to reveal",
            answer.commitment, submission.epoch
        ));
        wait_for_reveal(&topics, submission, mechanism, &slot).await?;
        let answer = reveal(&topics, &store, submission).await?;
        report_done("revealed", &answer, report);
        Ok(())
    })
}

fn report_done(what: &str, answer: &Answer, report: &Reporter) {
    let of = answer.submission;
    report.result(
        format!(
            "{what} for epoch {} of topic {} by slot {}",
            of.epoch, of.topic, of.slot
        ),
        &json!({
            "did": what,
            "topic": of.topic.to_string(),
            "epoch": of.epoch,
            "mechanism": of.mechanism,
            "slot": of.slot,
            "commitment": answer.commitment,
        }),
    );
}

async fn reveal(
    topics: &Topics,
    store: &SaltStore,
    submission: Submission,
) -> Result<Answer, Error> {
    let found = topics.reveal_kept(store, submission).await?;
    found.map(|(answer, _)| answer).ok_or_else(|| {
        Error::new(format!(
            "no answer for epoch {} of topic {} is kept in this folder of secrets",
            submission.epoch, submission.topic
        ))
    })
}

/// Returns when the stage has come in which the slot reveals; moves the epoch on where it can.
async fn wait_for_reveal(
    topics: &Topics,
    submission: Submission,
    kind: Kind,
    slot: &Slot,
) -> Result<(), Error> {
    let reveals = match (kind, slot.role) {
        (Kind::Synthesis, Role::Reputer) | (Kind::Yuma, _) => Stage::Reveal,
        _ => Stage::Sealed,
    };
    loop {
        let view = View::take(topics, submission.topic).await?;
        let passed = view.topic.epoch > submission.epoch || view.topic.stage > reveals;
        if passed {
            return Err(Error::new(format!(
                "the window to reveal epoch {} has passed",
                submission.epoch
            )));
        }
        if view.topic.stage == reveals && !view.is_due() {
            return Ok(());
        }
        if !advance_if_due(topics, &view).await? {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The answer's bytes, checked against what the slot's role may say.
async fn payload(
    client: &Client,
    args: &SubmitArgs,
    kind: Kind,
    slot: &Slot,
) -> Result<Vec<u8>, Error> {
    let number = |what: &str, text: &str| {
        text.parse::<Q64>()
            .map_err(|error| Error::new(format!("{what} `{text}`: {error}")))
    };
    let wanted = match (kind, slot.role) {
        (Kind::Synthesis, Role::Worker) => "--value",
        (Kind::Synthesis, Role::Forecaster) => "--losses",
        (Kind::Synthesis, Role::Reputer) => "--truth",
        (Kind::Yuma, _) => "--weights",
        (Kind::Score, _) => "--model",
    };
    let given = [
        ("--value", &args.value),
        ("--losses", &args.losses),
        ("--truth", &args.truth),
        ("--weights", &args.weights),
        ("--model", &args.model),
    ];
    let (name, text) = given
        .iter()
        .find_map(|(name, text)| Some((*name, text.as_deref()?)))
        .ok_or_else(|| Error::new(format!("give {wanted}")))?;
    if name != wanted {
        return Err(Error::new(format!(
            "slot {} is a {} of {kind}: it answers with {wanted}, not {name}",
            slot.index, slot.role
        )));
    }
    Ok(match name {
        "--value" => wire::encode_inference(number(name, text)?),
        "--truth" => wire::encode_truth(number(name, text)?),
        "--model" => client.find_model(text).await?.id.to_vec(),
        "--losses" => {
            let pairs = pairs(name, text, |loss| loss.parse::<Q64>().ok())?;
            wire::encode_forecast(&pairs)
        }
        _ => wire::encode_weights(&pairs(name, text, |weight| weight.parse::<u16>().ok())?),
    })
}

/// `SLOT=NUMBER,…`, slots ascending afterwards.
fn pairs<T>(
    name: &str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<(u16, T)>, Error> {
    let mut list = std::collections::BTreeMap::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let wrong = || Error::new(format!("{name}: `{part}` is no SLOT=NUMBER"));
        let (slot, number) = part.split_once('=').ok_or_else(wrong)?;
        let slot: u16 = slot.trim().parse().map_err(|_| wrong())?;
        let number = parse(number.trim()).ok_or_else(wrong)?;
        if list.insert(slot, number).is_some() {
            return Err(Error::new(format!("{name}: slot {slot} stands twice")));
        }
    }
    Ok(list.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn pairs_are_sorted_and_their_faults_named() {
        let weight = |text: &str| text.parse::<u16>().ok();
        assert_eq!(
            pairs("--weights", "3=1, 2=65535", weight).unwrap(),
            vec![(2, 65535), (3, 1)]
        );
        for (text, part) in [
            ("3", "`3`"),
            ("3=x", "`3=x`"),
            ("3=65536", "65536"),
            ("70000=1", "70000"),
            ("3=1,3=2", "twice"),
        ] {
            let refused = pairs("--weights", text, weight).unwrap_err().to_string();
            assert!(refused.contains(part), "{refused}");
        }
    }
}
