//! Score topics: an owner's test set, a worker's proofs.

use super::{needed_slot, salts};
use crate::cli::{ProveArgs, QuantiseArgs, TestSetArgs};
use crate::commands::{Error, block_on, chain::connect_signed, stop_signal, zk};
use crate::output::Reporter;
use alloy_primitives::{B256, U256};
use hallmark_client::{
    Client, Topics,
    topics::{
        KeptTestSet, Prover, SaltStore, TestSet,
        work::{Desk, Entered, Until, enter},
    },
};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at the topic.
const POLL: Duration = Duration::from_millis(100);

pub fn test_set(args: TestSetArgs, report: &Reporter) -> Result<(), Error> {
    let set = match args.reveal_only {
        true => None,
        false => Some(read_set(&args)?),
    };
    block_on(async {
        let client = connect_signed(&args.chain, &args.key).await?;
        let topics = client.topics();
        let topic = U256::from(args.topic);
        let store = salts(&client, &args.salts).await?;
        let epoch = match (args.epoch, args.reveal_only) {
            (Some(epoch), _) => epoch,
            (None, true) => topics.get(topic).await?.epoch,
            (None, false) => topics.next_test_epoch(topic).await?,
        };
        let kept = match &set {
            Some(set) => {
                let kept = topics.prepare_test_set(&store, topic, epoch, set).await?;
                topics
                    .commit_test_set(&kept)
                    .await
                    .map_err(|error| Error::at(format!("epoch {epoch}"), error))?;
                kept
            }
            None => kept_set(&topics, &store, topic, epoch).await?,
        };
        if args.commit_only {
            report_set("committed", &kept, report);
            return Ok(());
        }
        report.say(format!(
            "{} samples are committed for epoch {epoch} of topic {topic}; waiting until the models are",
            kept.set.len()
        ));
        let opened = tokio::select! {
            opened = topics.open_test_set(&store, &kept, POLL) => opened?,
            signal = stop_signal() => {
                signal?;
                return Err(Error::new(format!(
                    "stopped before the test set was open: `hallmark topic test-set {topic} --epoch {epoch} --reveal-only`"
                )));
            }
        };
        let did = match opened {
            Some(_) => "opened",
            None => "kept closed: nobody committed a model",
        };
        report_set(did, &kept, report);
        Ok(())
    })
}

async fn kept_set(
    topics: &Topics,
    store: &SaltStore,
    topic: U256,
    epoch: u64,
) -> Result<KeptTestSet, Error> {
    let kept = topics.kept_test_set(store, topic, epoch).await?;
    kept.ok_or_else(|| {
        Error::new(format!(
            "this folder of secrets keeps no test set that was committed for epoch {epoch} of topic {topic}"
        ))
    })
}

fn report_set(did: &str, kept: &KeptTestSet, report: &Reporter) {
    let (topic, epoch) = (kept.topic, kept.epoch);
    report.result(
        format!(
            "test set of {} samples for epoch {epoch} of topic {topic} {did}",
            kept.set.len()
        ),
        &json!({
            "did": did.split(':').next(),
            "topic": topic.to_string(),
            "epoch": epoch,
            "samples": kept.set.len(),
            "commitment": kept.commitment,
        }),
    );
}

/// The samples that the arguments choose, in the encoding of the model's input.
fn read_set(args: &TestSetArgs) -> Result<TestSet, Error> {
    let (Some(path), Some(model)) = (&args.set, &args.model) else {
        return Err(Error::new("give a file of samples, and --model"));
    };
    let at = |error: &dyn std::fmt::Display| Error::at(path.display(), error);
    let graph = zk::load(model)?.graph;
    let mut data = zk::dataset(&graph, path)?;
    if let Some(labels) = &args.labels {
        data = data.label(labels)?;
    }
    let kept = data.test_indices().into_iter().skip(args.first);
    let chosen: Vec<usize> = kept.take(args.samples.unwrap_or(usize::MAX)).collect();
    let labels = data
        .labels_of(&chosen)
        .ok_or_else(|| at(&"holds no labels; name a file of them by --labels"))?;
    if labels.len() != chosen.len() {
        return Err(at(&"has several labels a sample; a test set takes one"));
    }
    let mut inputs = Vec::new();
    for index in &chosen {
        let input = hallmark_onnx::quantize(&graph, &data.samples[*index]);
        inputs.push(graph.encode_input(&input.map_err(|error| at(&error))?));
    }
    let samples = inputs.iter().map(Vec::as_slice).zip(labels);
    TestSet::new(samples).map_err(|fault| {
        at(&format!(
            "{fault}; --first and --samples choose which are taken"
        ))
    })
}

pub fn prove(args: ProveArgs, report: &Reporter) -> Result<(), Error> {
    let calibrate = args.calibrate.as_deref();
    let prover = prover(&args.model, calibrate, &args.quantise, report)?;
    block_on(async {
        let client = connect_signed(&args.chain, &args.key).await?;
        let topics = client.topics();
        let topic = U256::from(args.topic);
        let slot = needed_slot(&topics, topic).await?;
        let store = salts(&client, &args.salts).await?;
        let model = published(&client, &prover).await?;
        let mut desk = Desk::new(topics, store, slot, false).with_model(Arc::new(prover), model);
        let until = match args.commit_only {
            true => Until::Committed,
            false => Until::Proven,
        };
        let poll = Duration::from_millis(args.poll_ms);
        let tell = |deed: &_| {
            report.say(serde_json::to_value(deed).map_or_else(|_| String::new(), |v| line(&v)))
        };
        let done = tokio::select! {
            done = enter(&mut desk, topic, until, poll, tell) => done?,
            signal = stop_signal() => {
                signal?;
                return Err(Error::new("stopped; the same command goes on with what is committed"));
            }
        };
        report_entered(topic, model, &done, until, report);
        Ok(())
    })
}

/// A deed as `name key=value …`.
fn line(deed: &Value) -> String {
    let mut text = deed["event"].as_str().unwrap_or_default().to_owned();
    for (key, value) in deed.as_object().into_iter().flatten() {
        if key != "event" {
            text.push_str(&format!(" {key}={value}"));
        }
    }
    text
}

fn report_entered(topic: U256, model: B256, done: &Entered, until: Until, report: &Reporter) {
    let (epoch, slot) = (done.epoch, done.submission.slot);
    report.result(
        match until {
            Until::Committed => format!("committed for epoch {epoch} of topic {topic} by slot {slot}"),
            Until::Proven => format!(
                "epoch {epoch} of topic {topic}: {} of {} samples right, {} proven by slot {slot}{}",
                done.right,
                done.samples,
                done.proven,
                done.refused
                    .first()
                    .map_or_else(String::new, |reason| format!("; refused: {reason}")),
            ),
        },
        &json!({
            "did": match until { Until::Committed => "committed", Until::Proven => "proven" },
            "topic": topic.to_string(),
            "epoch": epoch,
            "mechanism": done.mechanism,
            "slot": slot,
            "model": model,
            "samples": done.samples,
            "right": done.right,
            "proven": done.proven,
            "refused": done.refused,
        }),
    );
}

/// A model from its file, ready to prove.
pub fn prover(
    path: &Path,
    calibrate: Option<&Path>,
    quantise: &QuantiseArgs,
    report: &Reporter,
) -> Result<Prover, Error> {
    let spinner = report.spinner("committing to the model's weights");
    let model = zk::load_to_prove(path, calibrate, &quantise.options())?;
    let prover = Prover::new(model).map_err(|error| Error::at(path.display(), error))?;
    spinner.finish_and_clear();
    Ok(prover)
}

/// The id under which a model is published.
pub async fn published(client: &Client, prover: &Prover) -> Result<B256, Error> {
    let found = client.find_model_of(prover.digest()).await?;
    found.map(|model| model.id).ok_or_else(|| {
        Error::new(format!(
            "no model with the verifying key {} is published: `hallmark model publish FILE` first",
            prover.digest()
        ))
    })
}
