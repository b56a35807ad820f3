//! `hallmark topic work`: any program at work in a topic, and a model in a score topic.

use super::{manage, own_slot, salts, score};
use crate::cli::{WorkArgs, WorkRole};
use crate::commands::{Error, block_on, chain::connect_signed, stop_signal};
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{
    Topics,
    topics::{
        Kind, Role, Slot,
        program::Program,
        work::{Answerer, Desk, Shift, Silent, Told},
    },
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

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
        let shift = Shift {
            topic,
            limit: Duration::from_millis(args.time_limit_ms),
            poll: Duration::from_millis(args.poll_ms),
            epochs: args.epochs,
            advances: !args.no_advance,
        };
        let mut tell = |told: Told| report.event(&json!(told));
        let done = tokio::select! {
            done = shift.run(&mut desk, answerer, &mut tell) => done.map_err(Error::from),
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
