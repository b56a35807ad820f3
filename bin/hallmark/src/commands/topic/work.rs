//! `hallmark topic work`: any program at work in a topic, and a model in a score topic.

use super::{manage, own_slot, salts, score};
use crate::cli::{WorkArgs, WorkRole};
use crate::commands::{Error, block_on, chain::connect_signed, stop_signal};
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{
    ClientError, Topics,
    topics::{
        Kind, Role, Slot,
        program::Program,
        work::{Answerer, Deed, Desk, Silent, View, advance_if_due},
    },
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Pause after the node did not answer.
const NODE_PAUSE: Duration = Duration::from_secs(1);

pub fn run(args: WorkArgs, report: &Reporter) -> Result<(), Error> {
    let prover = match &args.model {
        Some(path) => {
            let calibrate = args.calibrate.as_deref();
            Some(score::prover(path, calibrate, &args.quantise, report)?)
        }
        None => None,
    };
    block_on(async {
        let client = connect_signed(&args.chain, &args.key).await?;
        let topics = client.topics();
        let topic = U256::from(args.topic);
        let store = salts(&client, &args.salts).await?;
        let model = match &prover {
            Some(prover) => Some(score::published(&client, prover).await?),
            None => None,
        };
        let slot = take_slot(&topics, topic, &args, report).await?;
        report.event(&json!({
            "event": "working", "topic": topic.to_string(), "slot": slot.index,
            "role": slot.role, "operator": slot.operator, "model": model,
        }));
        let mut desk = Desk::new(
            topics.clone(),
            store,
            slot,
            args.role == WorkRole::Validator,
        );
        if let Some((prover, model)) = prover.zip(model) {
            desk = desk.with_model(Arc::new(prover), model);
        }
        let mut program = args.exec.as_deref().map(Program::new);
        let answerer: &mut dyn Answerer = match &mut program {
            Some(program) => program,
            None => &mut Silent,
        };
        let done = tokio::select! {
            done = work(&topics, topic, &mut desk, answerer, &args, report) => done,
            signal = stop_signal() => signal.map_err(Error::from),
        };
        if let Some(mut program) = program {
            program.stop().await;
        }
        done
    })
}

/// The key's slot, taken now if it has none; its role must fit.
async fn take_slot(
    topics: &Topics,
    topic: U256,
    args: &WorkArgs,
    report: &Reporter,
) -> Result<Slot, Error> {
    let role = match args.role {
        WorkRole::Worker | WorkRole::Validator => Role::Worker,
        WorkRole::Forecaster => Role::Forecaster,
        WorkRole::Reputer => Role::Reputer,
    };
    let kinds: Vec<Kind> = topics
        .mechanisms(topic)
        .await?
        .iter()
        .map(|m| m.kind)
        .collect();
    // What a program needs, and what a model does.
    let asked = match args.role {
        WorkRole::Validator => Kind::Yuma,
        _ => Kind::Synthesis,
    };
    if args.exec.is_some() && !kinds.contains(&asked) {
        return Err(Error::new(
            format!(
                "topic {topic} has no mechanism {asked}, in which a {:?} answers questions",
                args.role
            )
            .to_lowercase(),
        ));
    }
    if args.model.is_some() && (role != Role::Worker || !kinds.contains(&Kind::Score)) {
        return Err(Error::new(format!(
            "topic {topic} judges no model of a {role}: --model is for workers where a mechanism is score"
        )));
    }
    if let Some(slot) = own_slot(topics, topic).await? {
        if slot.role != role {
            return Err(Error::new(format!(
                "this key has slot {} of topic {topic} as a {}; leave it first, or use another key",
                slot.index, slot.role
            )));
        }
        return Ok(slot);
    }
    let (bond, stake) = (args.max_bond.as_deref(), args.stake.as_deref());
    let joined = manage::join(topics, topic, role, bond, stake).await?;
    report.event(&json!({
        "event": "joined", "slot": joined.slot, "role": joined.role,
        "bond": joined.bond.to_string(), "staked": joined.staked.to_string(),
    }));
    Ok(topics.slot(topic, joined.slot).await?)
}

async fn work(
    topics: &Topics,
    topic: U256,
    desk: &mut Desk,
    program: &mut dyn Answerer,
    args: &WorkArgs,
    report: &Reporter,
) -> Result<(), Error> {
    let limit = Duration::from_millis(args.time_limit_ms);
    let poll = Duration::from_millis(args.poll_ms);
    let first = topics.get(topic).await?.epoch;
    loop {
        match step(topics, topic, desk, program, limit, args, report).await {
            Ok(epoch) => {
                if args.epochs.is_some_and(|count| epoch >= first + count) {
                    return Ok(());
                }
            }
            Err(StepError::Stop(error)) => return Err(error),
            Err(StepError::Node(error)) => {
                report.event(&json!({ "event": "node", "reason": error.to_string() }));
                tokio::time::sleep(NODE_PAUSE).await;
                // A broken WebSocket does not mend itself.
                let _ = topics.client().reconnect().await;
            }
        }
        tokio::time::sleep(poll).await;
    }
}

enum StepError {
    /// The node did not answer; it may again.
    Node(ClientError),
    /// There is no point in going on.
    Stop(Error),
}

impl From<ClientError> for StepError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Salt(_) | ClientError::NoKey => Self::Stop(error.into()),
            other => Self::Node(other),
        }
    }
}

/// One look at the topic; gives the epoch that it is in.
async fn step(
    topics: &Topics,
    topic: U256,
    desk: &mut Desk,
    program: &mut dyn Answerer,
    limit: Duration,
    args: &WorkArgs,
    report: &Reporter,
) -> Result<u64, StepError> {
    let view = View::take(topics, topic).await?;
    if !args.no_advance && advance_if_due(topics, &view).await? {
        return Ok(view.topic.epoch);
    }
    for deed in desk.act(&view, program, limit).await? {
        report.event(&told(&deed));
        if let Deed::Refused { reason, .. } = &deed
            && (reason.starts_with("NotOperator") || reason.starts_with("UnknownSlot"))
        {
            return Err(StepError::Stop(Error::new(format!(
                "slot {} of topic {topic} is no longer this key's (pruned, or left elsewhere)",
                desk.slot().index
            ))));
        }
    }
    if view.topic.retired && !view.topic.stage.is_running() {
        return Err(StepError::Stop(Error::new(format!(
            "topic {topic} has retired"
        ))));
    }
    Ok(view.topic.epoch)
}

fn told(deed: &Deed) -> Value {
    serde_json::to_value(deed).unwrap_or_default()
}
