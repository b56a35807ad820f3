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
use alloy_primitives::{B256, U256};
use hallmark_client::{
    Client, ClientError, Listing, Topics,
    topics::{
        Answer, Prover, Role, SaltStore, Stage, Submission, TestSet, TopicPlan, proof_context,
        work::{Deed, Desk, Silent, View, advance_if_due},
    },
};
use hallmark_graph::{Elements, Model};
use hallmark_onnx::{CompileOptions, ImportOptions};
use hallmark_types::MARK;
use serde_json::{Value, json};
use std::sync::Arc;
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

/// A published model.
struct Entry {
    prover: Arc<Prover>,
    id: B256,
    /// Right answers on the 359 test images.
    correct: usize,
}

/// A worker.
struct Worker {
    name: &'static str,
    desk: Desk,
}

impl Worker {
    fn topics(&self) -> &Topics {
        self.desk.topics()
    }

    fn slot(&self) -> u16 {
        self.desk.slot().index
    }

    /// Does what is due for its slot, and nothing may go wrong.
    async fn act(&mut self, topic: U256) -> Result<Vec<Deed>, Error> {
        let view = View::take(self.desk.topics(), topic).await?;
        let deeds = self.desk.act(&view, &mut Silent, Duration::ZERO).await?;
        let wrong = deeds.iter().find(|deed| {
            !matches!(
                deed,
                Deed::Committed { .. }
                    | Deed::Revealed { .. }
                    | Deed::Judged { .. }
                    | Deed::Proven { .. }
            )
        });
        match wrong {
            None => Ok(deeds),
            Some(wrong) => Err(Error::at(self.name, serde_json::to_value(wrong)?)),
        }
    }

    /// Acts until it has done what is wanted.
    async fn act_until(
        &mut self,
        topic: U256,
        is_wanted: impl Fn(&Deed) -> bool,
    ) -> Result<Deed, Error> {
        loop {
            let deeds = self.act(topic).await?;
            if let Some(done) = deeds.into_iter().find(&is_wanted) {
                return Ok(done);
            }
            let view = View::take(self.desk.topics(), topic).await?;
            if view.is_due() {
                return Err(Error::at(
                    self.name,
                    "the stage passed too soon: give more with --stage-ms",
                ));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn submission(&self, topic: U256) -> Submission {
        Submission {
            topic,
            epoch: 1,
            mechanism: 0,
            slot: self.slot(),
        }
    }
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

    let stage = network
        .stage_ms(args.stage_ms, Duration::ZERO, report)
        .await?
        .max(500)
        * 3;
    let plan = json!({
        "title": "handwritten digits, proven",
        // Warm, so that the worse model's part can be seen.
        "mechanisms": [{ "kind": "score", "params": { "temperature": 0.1 } }],
        "policy": {
            "open": stage, "sealed": stage, "lag": stage * 10, "reveal": 0,
            "maxWorkers": 4, "minBond": "50", "submitFee": "0.01",
        },
    });
    let topic = network
        .topic(
            &owner,
            &TopicPlan::from_json(&plan.to_string())?,
            INCOME,
            report,
        )
        .await?;

    // The test set is committed before anyone takes part, and so before the epoch opens.
    let labels = chosen(&digits, &poor)?;
    let inputs = inputs(&digits, &good, &labels)?;
    let samples = inputs.iter().map(Vec::as_slice);
    let set = TestSet::new(samples.zip(labels.iter().map(|label| label.label)))?;
    let genesis = owner.client().genesis_hash().await?;
    let store = SaltStore::open(&network.home.join("secrets"), genesis)?;
    let set = owner.prepare_test_set(&store, topic, 1, &set).await?;
    let committed = owner.commit_test_set(&set).await?;
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
        let desk = network
            .join(topic, 2 + index, Role::Worker, 0, false)
            .await?
            .with_model(entry.prover.clone(), entry.id);
        workers.push(Worker { name, desk });
    }

    until(&owner, topic, Stage::Open, &workers).await?;
    for worker in &mut workers {
        let committed = |deed: &Deed| matches!(deed, Deed::Committed { .. });
        worker.act_until(topic, committed).await?;
    }
    report.say("four workers committed to their models");
    until(&owner, topic, Stage::Sealed, &workers).await?;
    let opened = owner.reveal_test_set(&store, &set).await?;
    for worker in &workers {
        let block = opened.block_number.unwrap_or_default();
        wait_block(worker.topics().client(), block).await?;
    }
    report.say("the owner opened the test set");

    // The swapper has seen it, and would rather have committed to the good model.
    let swapper = &workers[3];
    let kept = kept(&store, swapper, topic)?;
    let swapped = Answer {
        payload: good.id.0.into(),
        ..kept
    };
    let swap = refusal(swapper.topics().reveal(&swapped).await)?;
    say(report, "swapper: reveals the good model instead", &swap);
    for worker in &mut workers {
        let revealed = |deed: &Deed| matches!(deed, Deed::Revealed { .. });
        worker.act_until(topic, revealed).await?;
    }

    until(&owner, topic, Stage::Lag, &workers).await?;
    let mut proven = Vec::new();
    for worker in &mut workers[..2] {
        let judged = |deed: &Deed| matches!(deed, Deed::Judged { .. });
        let Deed::Judged { right, samples, .. } = worker.act_until(topic, judged).await? else {
            continue;
        };
        let mut bytes = 0;
        for _ in 0..right {
            let sent = |deed: &Deed| matches!(deed, Deed::Proven { .. });
            if let Deed::Proven { bytes: size, .. } = worker.act_until(topic, sent).await? {
                bytes = size;
            }
        }
        report.say(format!(
            "{}: {right} of {samples} right, each right answer proven with {bytes} bytes",
            worker.name
        ));
        proven.push((worker.name, right));
    }

    // The forger claims the answer that the good model gives, with a proof of its own bent to it.
    let (forger, swapper) = (&workers[2], &workers[3]);
    let sample = labels.iter().position(|label| label.is_hard).unwrap_or(0);
    let number = u32::try_from(sample)?;
    let prove = |worker: &Worker, entry: &Entry| {
        let chain = worker.topics().client().chain_id();
        let context = proof_context(chain, worker.submission(topic), number);
        entry.prover.prove(context, &inputs[sample])
    };
    let honest = prove(forger, &poor)?;
    let wished = prove(forger, &good)?;
    let of = forger.submission(topic);
    let (at, answer) = (forger.topics(), &wished.output);
    let forgery = refusal(at.prove(of, number, answer, &honest.proof).await)?;
    say(
        report,
        "forger: the right answer, with the proof of another",
        &forgery,
    );
    let mut bent = honest.proof.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    let flipped = refusal(at.prove(of, number, &honest.output, &bent).await)?;
    say(report, "forger: one flipped bit in a proof", &flipped);
    // The swapper proves with the good model what it revealed the poor one for.
    let other = prove(swapper, &good)?;
    let (of, at) = (swapper.submission(topic), swapper.topics());
    let late = refusal(at.prove(of, number, &other.output, &other.proof).await)?;
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
            .and_then(|settlement| settlement.slot(worker.slot()))
            .map_or(0, |judged| judged.share);
        let paid = history.paid.get(&(1, worker.slot())).copied();
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
                wait_block(worker.topics().client(), block).await?;
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
    let file = model.encode();
    let prover = Prover::new(model)?;
    let listing = Listing {
        content_hash: (*blake3::hash(&file).as_bytes()).into(),
        content_size: file.len() as u64,
        price: MARK,
        owner_share_bps: 1_000,
        name: name.to_owned(),
        uri: "http://127.0.0.1/".to_owned(),
    };
    let published = author
        .publish_model(&prover.verifying_key(), &listing, |_| {})
        .await?;
    let mut correct = 0;
    for image in digits.test_images(usize::MAX) {
        let answer = prover.answer(&encoded(&prover, image.pixels)?)?;
        correct += usize::from(answer == Some(u32::from(image.label)));
    }
    Ok(Entry {
        prover: Arc::new(prover),
        id: published.id,
        correct,
    })
}

/// An image in the encoding of a model's input.
fn encoded(prover: &Prover, pixels: &[f32]) -> Result<Vec<u8>, Error> {
    let input = hallmark_onnx::quantize(prover.graph(), pixels)?;
    Ok(prover.graph().encode_input(&input))
}

/// The answer that a worker keeps.
fn kept(store: &SaltStore, worker: &Worker, topic: U256) -> Result<Answer, Error> {
    let client = worker.topics().client();
    let operator = client.address().ok_or(ClientError::NoKey)?;
    let mut found = store.find(client.chain_id(), operator, worker.submission(topic))?;
    found
        .pop()
        .ok_or_else(|| Error::at(worker.name, "nothing is kept"))
}

/// One sample's label, where its image stands, and whether the damaged model is wrong about it.
struct Label {
    image: usize,
    label: u32,
    is_hard: bool,
}

/// Half images about which the damaged model is wrong, half others.
fn chosen(digits: &Digits, poor: &Entry) -> Result<Vec<Label>, Error> {
    let images = digits.test_images(usize::MAX);
    let (mut hard, mut easy) = (Vec::new(), Vec::new());
    for (index, image) in images.iter().enumerate() {
        let said = poor.prover.answer(&encoded(&poor.prover, image.pixels)?)?;
        let label = u32::from(image.label);
        let is_hard = said != Some(label);
        let list = if is_hard { &mut hard } else { &mut easy };
        list.push(Label {
            image: index,
            label,
            is_hard,
        });
    }
    hard.truncate(SAMPLES / 2);
    easy.truncate(SAMPLES - hard.len());
    Ok(hard.into_iter().chain(easy).collect())
}

fn inputs(digits: &Digits, entry: &Entry, labels: &[Label]) -> Result<Vec<Vec<u8>>, Error> {
    let images = digits.test_images(usize::MAX);
    let pixels = labels.iter().map(|label| images[label.image].pixels);
    pixels
        .map(|pixels| encoded(&entry.prover, pixels))
        .collect()
}
