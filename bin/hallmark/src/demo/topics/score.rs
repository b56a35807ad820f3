//! A score topic: workers prove the accuracy of a model on a test set that they did not know.
//!
//! The order is enforced by the contract: the test set is committed before the epoch opens, models
//! are committed before it is opened, and every answer is proven afterwards. Four workers take part:
//! two are honest, of different quality; one forges a proof; one would like another model once it has
//! seen the test set.

use super::super::digits::Digits;
use super::network::{Network, wait_block};
use crate::cli::DemoTopicsArgs;
use crate::commands::Error;
use crate::output::Reporter;
use alloy_primitives::{B256, U256, keccak256};
use hallmark_client::{
    Client, ClientError, Listing, Topics,
    topics::{
        Answer, Role, SaltStore, Stage, Submission,
        work::{View, advance_if_due},
    },
};
use hallmark_engine::Prepared;
use hallmark_graph::{Elements, Model};
use hallmark_mechanisms::wire::{Sample, encode_test_set};
use hallmark_onnx::{CompileOptions, ImportOptions};
use hallmark_proof::ProvingKey;
use hallmark_types::MARK;
use serde_json::{Value, json};
use std::time::Duration;

const DIGITS_ONNX: &[u8] = include_bytes!("../../../../../assets/digits.onnx");
const INCOME: u128 = 100 * MARK;
/// Samples of the test set.
const SAMPLES: usize = 8;
/// Pixels of an image.
const PIXELS: usize = 64;
/// Pixels that the damaged model takes for their right neighbours, and the other way round.
const EXCHANGED: [usize; 10] = [10, 12, 18, 20, 26, 28, 34, 36, 42, 44];
const POLL: Duration = Duration::from_millis(40);

/// A model with what it takes to prove its runs.
struct Entry {
    model: Model,
    key: ProvingKey,
    id: B256,
    /// Right answers on the 359 test images.
    correct: usize,
}

/// A worker.
struct Worker {
    name: &'static str,
    topics: Topics,
    slot: u16,
    answer: Answer,
}

pub async fn play(
    network: &Network,
    args: &DemoTopicsArgs,
    report: &Reporter,
) -> Result<Value, Error> {
    report.say(
        "3. Scores: accuracy proven by zero knowledge, on a test set opened after the models\n",
    );
    let digits = Digits::embedded()?;
    let owner = network.client(0).await?.topics();
    let author = network.client(1).await?;
    let spinner = report.spinner("publishing two models");
    let good = whole(&digits)?;
    let poor = damaged(&good);
    let good = publish(&author, &digits, good, "digits").await?;
    let poor = publish(&author, &digits, poor, "digits, damaged").await?;
    spinner.finish_and_clear();
    report.say(format!(
        "two models with the same layers: {} and {} of {} unseen images right",
        good.correct,
        poor.correct,
        digits.test_images(usize::MAX).len()
    ));

    let stage = args.stage_ms.max(500) * 3;
    let plan = json!({
        "title": "handwritten digits, proven",
        // Warm, so that the worse model's part can be seen.
        "mechanisms": [{ "kind": "score", "params": { "temperature": 0.1 } }],
        "policy": {
            "open": stage, "sealed": stage, "lag": stage * 20, "reveal": 0,
            "maxWorkers": 4, "minBond": "50", "submitFee": "0.01",
        },
    });
    let topic = network
        .topic(&owner, &plan.to_string(), INCOME, report)
        .await?;

    // The test set is committed before anyone takes part, and so before the epoch opens.
    let (content, labels) = test_set(&digits, &good, &poor)?;
    let salt = keccak256(hallmark_client::sealed::random()?);
    let committed = owner.commit_test_set(topic, 1, salt, &content).await?;
    report.say(format!(
        "the owner committed to a test set of {} images",
        labels.len()
    ));
    wait_block(&author, committed.block_number.unwrap_or_default()).await?;

    let mut workers = Vec::new();
    for (index, (name, entry)) in [
        ("honest, good model", &good),
        ("honest, damaged model", &poor),
        ("forger", &poor),
        ("swapper", &poor),
    ]
    .into_iter()
    .enumerate()
    {
        let topics = network.client(2 + index).await?.topics();
        let price = U256::from(20_000 * MARK);
        let (slot, _) = topics.register(topic, Role::Worker, price).await?;
        let submission = Submission {
            topic,
            epoch: 1,
            mechanism: 0,
            slot,
        };
        let genesis = topics.client().genesis_hash().await?;
        let store = SaltStore::open(&network.home.join("secrets"), genesis)?;
        let answer = topics
            .prepare(&store, submission, entry.id.as_slice())
            .await?;
        workers.push(Worker {
            name,
            topics,
            slot,
            answer,
        });
    }

    let view = until(&owner, topic, Stage::Open, &workers).await?;
    for worker in &workers {
        worker
            .topics
            .commit(&worker.answer, view.topic.policy.submit_fee)
            .await?;
    }
    report.say("four workers committed to their models");
    until(&owner, topic, Stage::Sealed, &workers).await?;
    let opened = owner.reveal_test_set(topic, 1, salt, &content).await?;
    for worker in &workers {
        wait_block(
            worker.topics.client(),
            opened.block_number.unwrap_or_default(),
        )
        .await?;
    }
    report.say("the owner opened the test set");

    // The swapper has seen it, and would rather have committed to the good model.
    let swapper = &workers[3];
    let swapped = Answer {
        payload: good.id.0.into(),
        ..swapper.answer.clone()
    };
    let swap = refusal(swapper.topics.reveal(&swapped).await)?;
    say(report, "swapper: reveals the good model instead", &swap);
    for worker in &workers {
        worker.topics.reveal(&worker.answer).await?;
    }

    until(&owner, topic, Stage::Lag, &workers).await?;
    let inputs = inputs(&digits, &good, &labels)?;
    let mut proven = Vec::new();
    for (worker, entry) in [(&workers[0], &good), (&workers[1], &poor)] {
        let mut right = 0;
        let mut bytes = 0;
        for (sample, input) in (0u32..).zip(&inputs) {
            let run = prove(worker, entry, sample, input)?;
            bytes = run.proof.len();
            let submission = worker.answer.submission;
            worker
                .topics
                .prove(submission, sample, &run.output, &run.proof)
                .await?;
            right += usize::from(run.best == labels[sample as usize].label as usize);
        }
        report.say(format!(
            "{}: {right} of {} right, each answer proven with {bytes} bytes",
            worker.name,
            inputs.len()
        ));
        proven.push((worker.name, right));
    }

    // The forger claims the answer that the good model gives, with a proof of its own bent to it.
    let forger = &workers[2];
    let sample = labels.iter().position(|label| label.is_hard).unwrap_or(0);
    let number = u32::try_from(sample)?;
    let honest = prove(forger, &poor, number, &inputs[sample])?;
    let wished = prove(forger, &good, number, &inputs[sample])?;
    let forged = forger.topics.prove(
        forger.answer.submission,
        number,
        &wished.output,
        &honest.proof,
    );
    let forgery = refusal(forged.await)?;
    say(
        report,
        "forger: the right answer, with the proof of another",
        &forgery,
    );
    let mut bent = honest.proof.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    let flipped = forger
        .topics
        .prove(forger.answer.submission, number, &honest.output, &bent);
    let flipped = refusal(flipped.await)?;
    say(report, "forger: one flipped bit in a proof", &flipped);
    // The swapper proves with the good model what it revealed the poor one for.
    let other = prove(swapper, &good, number, &inputs[sample])?;
    let late = swapper.topics.prove(
        swapper.answer.submission,
        number,
        &other.output,
        &other.proof,
    );
    let late = refusal(late.await)?;
    say(report, "swapper: an honest proof of the good model", &late);

    while View::take(&owner, topic).await?.topic.epoch == 1 {
        let view = View::take(&owner, topic).await?;
        if !advance_if_due(&owner, &view).await? {
            tokio::time::sleep(POLL.max(Duration::from_millis(view.left_ms().min(500)))).await;
        }
    }
    let history = owner.history(topic).await?;
    let mut text = format!("\n{:<26}{:>12}{:>16}", "who", "share %", "earned MARK");
    let mut list = Vec::new();
    for worker in &workers {
        let share = history
            .settlement(1, 0)
            .and_then(|settlement| settlement.slot(worker.slot))
            .map_or(0, |judged| judged.share);
        let paid = history.paid.get(&(1, worker.slot)).copied();
        let earned = paid.map_or(0, |paid| paid.to_operator + paid.to_pool) as f64 / 1e18;
        text.push_str(&format!(
            "\n{:<26}{:>12.2}{earned:>16.3}",
            worker.name,
            share as f64 / 1e7
        ));
        list.push(json!({ "name": worker.name, "shareBillionths": share, "earned": earned }));
    }
    text.push_str(
        "\n\nWhat no proof shows: the owner knows the test set beforehand and can leak it to a friend. The chain\n\
         only sees that it was fixed before the models, is opened after them, and never used twice.\n",
    );
    report.say(text);
    let refused = [&swap, &forgery, &flipped, &late];
    Ok(json!({
        "topic": topic.to_string(),
        "samples": inputs.len(),
        "right": proven.iter().map(|(name, right)| json!({ "name": name, "right": right })).collect::<Vec<_>>(),
        "participants": list,
        "swapRefused": swap,
        "forgeryRefused": forgery,
        "flippedBitRefused": flipped,
        "otherModelRefused": late,
        "allRefused": refused.iter().all(|reason| reason.is_some()),
    }))
}

fn say(report: &Reporter, what: &str, reason: &Option<String>) {
    let reason = reason.as_deref().unwrap_or("WAS ACCEPTED");
    report.say(format!("{what}\n    {reason}"));
}

/// Advances the topic until it is in a stage of its first epoch, and every worker's validator knows.
async fn until(
    topics: &Topics,
    topic: U256,
    stage: Stage,
    workers: &[Worker],
) -> Result<View, Error> {
    loop {
        let view = View::take(topics, topic).await?;
        if view.topic.epoch > 1 || (view.topic.stage > stage && view.topic.stage.is_running()) {
            return Err(Error::new(format!(
                "the stage {stage} passed too soon: give more with --stage-ms"
            )));
        }
        if view.topic.stage == stage {
            let block = topics.client().block_number().await?;
            for worker in workers {
                wait_block(worker.topics.client(), block).await?;
            }
            return Ok(view);
        }
        if !advance_if_due(topics, &view).await? {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The chain's reason; `None` when nothing was refused.
fn refusal<T>(answer: Result<T, ClientError>) -> Result<Option<String>, Error> {
    match answer {
        Ok(_) => Ok(None),
        Err(error) => match error.refusal() {
            Some(revert) => Ok(Some(revert.to_string())),
            None => Err(error.into()),
        },
    }
}

fn whole(digits: &Digits) -> Result<Model, Error> {
    let float = hallmark_onnx::import(DIGITS_ONNX, ImportOptions::default())?;
    let compiled =
        hallmark_onnx::compile(&float, &digits.calibration(), &CompileOptions::default())?;
    Ok(compiled.model)
}

/// The same graph with some pixels exchanged before its first matrix: a worse model, whose bounds are
/// the same.
fn damaged(model: &Model) -> Model {
    let mut other = model.clone();
    for constant in &mut other.weights.constants {
        if let Elements::I8(weights) = &mut constant.elements {
            // A row of weights a pixel.
            let row = weights.len() / PIXELS;
            for pixel in EXCHANGED {
                let (first, second) = weights.split_at_mut((pixel + 1) * row);
                first[pixel * row..].swap_with_slice(&mut second[..row]);
            }
            break;
        }
    }
    other
}

async fn publish(
    author: &Client,
    digits: &Digits,
    model: Model,
    name: &str,
) -> Result<Entry, Error> {
    let key = hallmark_proof::setup(&model)?;
    let file = model.encode();
    let listing = Listing {
        content_hash: (*blake3::hash(&file).as_bytes()).into(),
        content_size: file.len() as u64,
        price: MARK,
        owner_share_bps: 1_000,
        name: name.to_owned(),
        uri: "http://127.0.0.1/".to_owned(),
    };
    let published = author
        .publish_model(&key.verifying_key().encode(), &listing, |_| {})
        .await?;
    let prepared = Prepared::new(model.clone())?;
    let mut correct = 0;
    for image in digits.test_images(usize::MAX) {
        let input = hallmark_onnx::quantize(&model.graph, image.pixels)?;
        let best = best(&model, &hallmark_engine::trace(&prepared, &input)?.values);
        correct += usize::from(best == usize::from(image.label));
    }
    Ok(Entry {
        model,
        key,
        id: published.id,
        correct,
    })
}

fn best(model: &Model, values: &[Vec<i32>]) -> usize {
    let output = model.graph.join_output(values);
    crate::commands::infer::argmax(&output).unwrap_or_default()
}

/// One sample's label, where its image stands, and whether the damaged model is wrong about it.
struct Label {
    image: usize,
    label: u32,
    is_hard: bool,
}

/// Half images about which the damaged model is wrong, half others.
fn test_set(digits: &Digits, good: &Entry, poor: &Entry) -> Result<(Vec<u8>, Vec<Label>), Error> {
    let prepared = Prepared::new(poor.model.clone())?;
    let images = digits.test_images(usize::MAX);
    let (mut hard, mut easy) = (Vec::new(), Vec::new());
    for (index, image) in images.iter().enumerate() {
        let input = hallmark_onnx::quantize(&poor.model.graph, image.pixels)?;
        let said = best(
            &poor.model,
            &hallmark_engine::trace(&prepared, &input)?.values,
        );
        let is_hard = said != usize::from(image.label);
        let list = if is_hard { &mut hard } else { &mut easy };
        list.push(Label {
            image: index,
            label: image.label.into(),
            is_hard,
        });
    }
    hard.truncate(SAMPLES / 2);
    easy.truncate(SAMPLES - hard.len());
    let labels: Vec<Label> = hard.into_iter().chain(easy).collect();
    let inputs = inputs(digits, good, &labels)?;
    let encoded: Vec<Vec<u8>> = inputs
        .iter()
        .map(|input| good.model.graph.encode_input(input))
        .collect();
    let samples: Vec<Sample<'_>> = encoded
        .iter()
        .zip(&labels)
        .map(|(input, label)| Sample {
            input,
            label: label.label,
        })
        .collect();
    let content = encode_test_set(&samples).map_err(Error::new)?;
    Ok((content, labels))
}

fn inputs(digits: &Digits, entry: &Entry, labels: &[Label]) -> Result<Vec<Vec<i32>>, Error> {
    let images = digits.test_images(usize::MAX);
    labels
        .iter()
        .map(|label| {
            let pixels = images[label.image].pixels;
            Ok(hallmark_onnx::quantize(&entry.model.graph, pixels)?)
        })
        .collect()
}

struct Run {
    output: Vec<u8>,
    proof: Vec<u8>,
    best: usize,
}

/// Runs and proves a sample, bound to the worker's slot.
fn prove(worker: &Worker, entry: &Entry, sample: u32, input: &[i32]) -> Result<Run, Error> {
    let of = worker.answer.submission;
    let chain = worker.topics.client().chain_id();
    let context = hallmark_client::topics::proof_context(chain, of, sample);
    let prepared = Prepared::new(entry.model.clone())?;
    let trace = hallmark_engine::trace(&prepared, input)?;
    let output = entry.model.graph.join_output(&trace.values);
    Ok(Run {
        output: entry.model.graph.encode_output(&output),
        proof: hallmark_proof::prove(&entry.key, &trace, &context.0)?,
        best: best(&entry.model, &trace.values),
    })
}
