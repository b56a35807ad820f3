//! One order, from the first look to the pay. See [`crate::journal`] for the states.

use crate::{
    checks::{self, Costs, Job, Named, Refusal, check_order, open_envelope, read_input},
    daemon::{OrderOutcome, ProviderEvent, Shared},
    journal::{JournalError, Stage, Step, next_step},
    library::Served,
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use hallmark_abi::IInference;
use hallmark_client::{
    Call, Client, ClientError, MIN_PRIORITY_FEE, Order, Signed, Status, TransactionReceipt,
    deliver_gas_limit, sealed::Opened,
};
use hallmark_types::addresses::INFERENCE;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Gas of a claim, for the estimate of costs.
const CLAIM_GAS: u64 = 250_000;
/// Longest wait for one inclusion before the chain is asked again where the order stands.
const INCLUSION: Duration = Duration::from_secs(15);
/// Wait after a failure to reach the node.
const PAUSE: Duration = Duration::from_millis(500);
/// Orders of which it is remembered that they were told.
const MAX_REMEMBERED: usize = 100_000;
/// Proofs made for one claim at most: a delivery that vanished is made again.
const MAX_DELIVERIES: u32 = 3;

/// Failure of one step.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{0}")]
    Failed(String),
}

/// What a step leads to.
enum Next {
    Again,
    End,
}

/// Takes an order's steps until nothing is left to do.
pub(crate) async fn drive(shared: &Arc<Shared>, id: U256) {
    let mut deliveries = 0;
    loop {
        match step(shared, id, &mut deliveries).await {
            Ok(Next::Again) => {}
            Ok(Next::End) => return,
            // The node is away or knows less than expected: the chain will say what happened.
            Err(WorkError::Client(error)) if is_passing(&error) => {
                tracing::debug!(%id, %error, "will try again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                fail(shared, id, error.to_string());
                return;
            }
        }
    }
}

/// Whether the same step may succeed later: the node is away, its pool refuses for now, or a block
/// is late. The order's deadline or window ends every such loop.
fn is_passing(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Transport { .. } | ClientError::NotIncluded { .. } | ClientError::Rpc { .. }
    )
}

async fn step(shared: &Arc<Shared>, id: U256, deliveries: &mut u32) -> Result<Next, WorkError> {
    let order = shared.client.get_order(id).await?;
    let stage = shared.journal.stage(id)?;
    match next_step(&stage, &order, shared.me) {
        Step::Nothing => Ok(Next::End),
        Step::Evaluate => evaluate(shared, &order).await,
        Step::AwaitClaim { transaction, raw } => {
            if send_again(&shared.client, transaction, &raw)
                .await?
                .is_none()
            {
                // Refused by the pool and in no block: as if it had never been sent.
                shared.journal.record(id, &Stage::Seen)?;
                return Ok(Next::Again);
            }
            let order = shared.client.get_order(id).await?;
            if order.status == Status::Open {
                // It was included and failed.
                shared.journal.record(id, &Stage::Seen)?;
            }
            Ok(Next::Again)
        }
        Step::Work => {
            shared.journal.record(id, &Stage::Claimed)?;
            *deliveries += 1;
            if *deliveries > MAX_DELIVERIES {
                return Err(WorkError::Failed("no delivery was included".to_owned()));
            }
            deliver(shared, &order).await
        }
        Step::AwaitDelivery { transaction, raw } => {
            match send_again(&shared.client, transaction, &raw).await? {
                Some(receipt) if receipt.status() => paid(shared, id, &receipt, 0, 0),
                Some(receipt) => {
                    let reason = shared.client.failure_reason(&receipt).await?;
                    let reason = reason.map_or_else(|| "reverted".to_owned(), |r| r.to_string());
                    Err(WorkError::Failed(format!(
                        "the delivery was refused: {reason}"
                    )))
                }
                None => {
                    shared.journal.record(id, &Stage::Claimed)?;
                    Ok(Next::Again)
                }
            }
        }
        Step::Paid => {
            let payment = shared.client.paid(id).await?;
            let payment = payment.ok_or_else(|| WorkError::Failed("no event Paid".to_owned()))?;
            let receipt = shared.client.receipt(payment.transaction).await?;
            let receipt = receipt.ok_or_else(|| WorkError::Failed("no receipt".to_owned()))?;
            paid(shared, id, &receipt, 0, 0)
        }
        Step::Lost { reason, again } => {
            let reason = reason.to_owned();
            shared.journal.record(
                id,
                &Stage::Lost {
                    reason: reason.clone(),
                    again,
                },
            )?;
            shared.board.finished(id, OrderOutcome::Lost { reason });
            Ok(Next::End)
        }
    }
}

/// Checks an open order and claims it.
async fn evaluate(shared: &Arc<Shared>, order: &Order) -> Result<Next, WorkError> {
    if first(&shared.seen, order.id) {
        shared.board.status().seen += 1;
        shared.board.tell(ProviderEvent::Seen { order: order.id });
    }
    let served = match model(shared, order).await {
        Ok(served) => served,
        Err(refusal) => return refuse(shared, order.id, &refusal),
    };
    // An order waits here for a worker, not under a bond.
    let permit = shared.workers.acquire().await;
    let _permit = permit.map_err(|_| WorkError::Failed("the provider is stopping".to_owned()))?;
    let (order, input, deposit, base_fee, now_ms) = futures::try_join!(
        shared.client.get_order(order.id),
        shared.client.order_input(order.id),
        shared.client.deposit_of(shared.me),
        shared.client.base_fee(),
        shared.client.now_ms(),
    )?;
    let costs = costs(shared, &served, &order, input.len(), base_fee).await?;
    match check_order(&order, &served.record, &deposit, &costs, now_ms) {
        Ok(()) => {}
        Err(Refusal::NotOpen(_)) => return Ok(Next::Again),
        Err(refusal) => return refuse(shared, order.id, &refusal),
    }
    let job = match job(shared, &order, &served, &input).await? {
        Ok(job) => job,
        Err(refusal) => return refuse(shared, order.id, &refusal),
    };
    if !claim(shared, order.id).await? {
        return Ok(Next::Again);
    }
    shared
        .board
        .tell(ProviderEvent::Claimed { order: order.id });
    let order = shared.client.get_order(order.id).await?;
    if order.status != Status::Claimed || order.seller != shared.me {
        return Ok(Next::Again);
    }
    deliver_with(shared, &order, &served, job).await
}

/// What is to be run for an order: its input as it lies on chain, or what its envelope holds.
async fn job(
    shared: &Shared,
    order: &Order,
    served: &Served,
    input: &[u8],
) -> Result<Result<Job, Refusal>, ClientError> {
    let graph = served.prepared.graph();
    if !order.is_sealed {
        return Ok(read_input(order, graph, input));
    }
    let sellers = shared.client.order_sellers(order.id).await?;
    let keys = shared.sealing();
    let seller = Named {
        chain_id: shared.client.chain_id(),
        me: shared.me,
        keys: &keys,
    };
    Ok(open_envelope(order, graph, input, &sellers, seller))
}

async fn model(shared: &Shared, order: &Order) -> Result<Arc<Served>, Refusal> {
    if !order.level.is_available() {
        return Err(Refusal::Level(order.level));
    }
    match shared.library.get(&shared.client, order.model).await {
        Ok(served) => {
            let mut status = shared.board.status();
            if !status.models.contains(&order.model) {
                status.models.push(order.model);
                drop(status);
                let name = served.record.name.clone();
                shared.board.tell(ProviderEvent::ModelReady {
                    model: order.model,
                    name,
                });
            }
            Ok(served)
        }
        Err((error, is_new)) => {
            let reason = error.to_string();
            if is_new {
                let (model, reason) = (order.model, reason.clone());
                shared
                    .board
                    .tell(ProviderEvent::ModelRefused { model, reason });
            }
            Err(Refusal::Model(order.model, reason))
        }
    }
}

async fn costs(
    shared: &Shared,
    served: &Served,
    order: &Order,
    input_len: usize,
    base_fee: u128,
) -> Result<Costs, ClientError> {
    let graph = served.prepared.graph();
    // The chain takes no sealed orders of a model without such proofs.
    let (trial, output_len) = match served.sealed.filter(|_| order.is_sealed) {
        Some(sealed) => (sealed, graph.output_len().saturating_mul(4)),
        None => (served.open, graph.output_bytes()),
    };
    let key = served.proving.verifying_key();
    let longest = match order.is_sealed {
        true => key.max_private_proof_len().unwrap_or(trial.proof_len),
        false => key.max_proof_len(),
    };
    let verify_gas = |proof_len| {
        let client = &shared.client;
        client.verify_gas(order.model, order.is_sealed, proof_len)
    };
    let (usual, most) = futures::try_join!(verify_gas(trial.proof_len), verify_gas(longest))?;
    let read = if order.is_sealed { 0 } else { input_len };
    let stored = read.saturating_add(served.record.key_size as usize);
    // A proof has few zero bytes.
    let limit = |proof_len: usize, verify_gas| {
        let calldata = vec![0xff; proof_len.saturating_add(output_len)];
        deliver_gas_limit(&calldata, stored, output_len, verify_gas)
    };
    Ok(Costs {
        gas: CLAIM_GAS.saturating_add(limit(trial.proof_len, usual)),
        longest_gas: limit(longest, most),
        transaction_gas: shared.terms.transaction_gas,
        gas_price: base_fee.saturating_add(MIN_PRIORITY_FEE),
        work_ms: trial.work_ms,
        bond: checks::bond(order.price, shared.terms.min_bond, shared.terms.bond_bps),
        margin_bps: shared.config.margin_bps,
        min_earning: shared.config.min_earning,
        claim_window_ms: shared.terms.claim_window_ms,
    })
}

/// Claims; false if another seller was faster or the chain refused for another reason.
async fn claim(shared: &Shared, id: U256) -> Result<bool, WorkError> {
    let call = Call::new(INFERENCE, &IInference::claimCall { id });
    let journal = |signed: &Signed| {
        let stage = Stage::Claiming {
            transaction: signed.hash,
            raw: signed.raw.clone(),
        };
        shared
            .journal
            .record(id, &stage)
            .map_err(|error| error.to_string())
    };
    let sent = match shared.client.submit_with(call, journal).await {
        Ok(sent) => sent,
        // Refused in the estimate: nothing was sent and nothing spent.
        Err(ClientError::Refused(revert)) => return claim_refused(shared, id, &revert).await,
        Err(error) => return Err(error.into()),
    };
    let receipt = shared.client.wait_receipt(sent.hash, INCLUSION).await?;
    if receipt.status() {
        shared.journal.record(id, &Stage::Claimed)?;
        return Ok(true);
    }
    shared.journal.record(id, &Stage::Seen)?;
    Ok(false)
}

async fn claim_refused(
    shared: &Shared,
    id: U256,
    revert: &hallmark_client::Revert,
) -> Result<bool, WorkError> {
    match revert.name.as_str() {
        // Where the order stands now decides.
        "WrongStatus" => Ok(false),
        // Passes by itself: another block, another free deposit.
        "TooEarlyToClaim" | "TooManyClaims" | "InsufficientDeposit" => {
            tokio::time::sleep(PAUSE).await;
            Ok(false)
        }
        _ => {
            let reason = format!("the chain would refuse the claim: {revert}");
            shared.journal.record(
                id,
                &Stage::Refused {
                    reason: reason.clone(),
                },
            )?;
            shared.board.finished(id, OrderOutcome::Refused { reason });
            Ok(false)
        }
    }
}

/// Works on an order that was claimed by an earlier step or process.
async fn deliver(shared: &Arc<Shared>, order: &Order) -> Result<Next, WorkError> {
    let served = model(shared, order)
        .await
        .map_err(|error| WorkError::Failed(error.to_string()))?;
    let input = shared.client.order_input(order.id).await?;
    let permit = shared.workers.acquire().await;
    let _permit = permit.map_err(|_| WorkError::Failed("the provider is stopping".to_owned()))?;
    let job = job(shared, order, &served, &input).await?;
    let job = job.map_err(|refusal| WorkError::Failed(refusal.to_string()))?;
    deliver_with(shared, order, &served, job).await
}

/// Runs, proves and delivers.
async fn deliver_with(
    shared: &Arc<Shared>,
    order: &Order,
    served: &Arc<Served>,
    job: Job,
) -> Result<Next, WorkError> {
    let id = order.id;
    let context = shared.client.context_of(order);
    let answer = {
        let served = served.clone();
        tokio::task::spawn_blocking(move || answer(&served, &job, context))
    };
    let answer = answer
        .await
        .map_err(|error| WorkError::Failed(error.to_string()))?;
    let answer = answer.map_err(WorkError::Failed)?;
    let proof_bytes = answer.proof.len();
    shared.board.tell(ProviderEvent::Proved {
        order: id,
        trace_ms: answer.trace_ms,
        prove_ms: answer.prove_ms,
        proof_bytes,
    });
    let call = shared
        .client
        .deliver_call(order, &answer.output, &answer.proof)
        .await?;
    let journal = |signed: &Signed| {
        let stage = Stage::Delivering {
            transaction: signed.hash,
            raw: signed.raw.clone(),
        };
        shared
            .journal
            .record(id, &stage)
            .map_err(|error| error.to_string())
    };
    let sent = shared.client.submit_with(call, journal).await?;
    let receipt = shared.client.wait_receipt(sent.hash, INCLUSION).await?;
    if receipt.status() {
        return paid(shared, id, &receipt, answer.prove_ms, proof_bytes);
    }
    let reason = shared.client.failure_reason(&receipt).await?;
    let reason = reason.map_or_else(|| "reverted".to_owned(), |reason| reason.to_string());
    Err(WorkError::Failed(format!(
        "the delivery was refused: {reason}"
    )))
}

struct Answer {
    output: Vec<u8>,
    proof: Vec<u8>,
    trace_ms: u64,
    prove_ms: u64,
}

fn answer(served: &Served, job: &Job, context: B256) -> Result<Answer, String> {
    let millis = |start: Instant| u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let graph = served.prepared.graph();
    let start = Instant::now();
    let trace =
        hallmark_engine::trace(&served.prepared, job.input()).map_err(|error| error.to_string())?;
    let trace_ms = millis(start);
    let output = graph.join_output(&trace.values);
    let start = Instant::now();
    let (output, proof) = match job {
        Job::Open(_) => {
            let proof = hallmark_proof::prove(&served.proving, &trace, &context.0);
            (graph.encode_output(&output), proof)
        }
        Job::Sealed(Opened { secret, .. }) => {
            let masked = hallmark_proof::mask_output(graph, &output, secret)
                .map_err(|error| error.to_string())?;
            let key = &served.proving;
            let proof = hallmark_proof::prove_private(key, &trace, secret, &context.0);
            (hallmark_proof::encode_masked(&masked), proof)
        }
    };
    Ok(Answer {
        output,
        proof: proof.map_err(|error| error.to_string())?,
        trace_ms,
        prove_ms: millis(start),
    })
}

/// Makes sure that a signed transaction is on its way and waits for it; `None` if the pool refuses
/// it and no block has it.
async fn send_again(
    client: &Client,
    transaction: B256,
    raw: &[u8],
) -> Result<Option<TransactionReceipt>, ClientError> {
    if let Some(receipt) = client.receipt(transaction).await? {
        return Ok(Some(receipt));
    }
    match client.rebroadcast(raw).await {
        Ok(_) => client.wait_receipt(transaction, INCLUSION).await.map(Some),
        // It may have entered a block between the two questions.
        Err(ClientError::Rpc { .. } | ClientError::Refused(_)) => client.receipt(transaction).await,
        Err(error) => Err(error),
    }
}

fn paid(
    shared: &Shared,
    id: U256,
    receipt: &TransactionReceipt,
    prove_ms: u64,
    proof_bytes: usize,
) -> Result<Next, WorkError> {
    let earned = receipt
        .logs()
        .iter()
        .filter(|log| log.address() == INFERENCE)
        .filter_map(|log| IInference::Paid::decode_log(&log.inner).ok())
        .find(|paid| paid.id == id)
        .map(|paid| paid.toSeller)
        .ok_or_else(|| WorkError::Failed("the delivery left no event Paid".to_owned()))?;
    shared.journal.record(id, &Stage::Delivered)?;
    let transaction = receipt.transaction_hash;
    let outcome = OrderOutcome::Delivered {
        transaction,
        earned,
        prove_ms,
        proof_bytes,
    };
    shared.board.finished(id, outcome);
    Ok(Next::End)
}

fn refuse(shared: &Shared, id: U256, refusal: &Refusal) -> Result<Next, WorkError> {
    let reason = refusal.to_string();
    if refusal.may_pass_later() {
        // Looked at again by a later scan, told once.
        if !first(&shared.told, id) {
            return Ok(Next::End);
        }
    } else {
        shared.journal.record(
            id,
            &Stage::Refused {
                reason: reason.clone(),
            },
        )?;
    }
    shared.board.finished(id, OrderOutcome::Refused { reason });
    Ok(Next::End)
}

/// Whether an order is met for the first time. The sets forget when they grow beyond bounds.
fn first(set: &Mutex<HashSet<U256>>, id: U256) -> bool {
    let mut set = set.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if set.len() > MAX_REMEMBERED {
        set.clear();
    }
    set.insert(id)
}

fn fail(shared: &Shared, id: U256, reason: String) {
    tracing::warn!(%id, reason, "an order failed");
    // A failure after the claim must not be tried again: each try risks a bond.
    let stage = Stage::Lost {
        reason: reason.clone(),
        again: false,
    };
    if let Err(error) = shared.journal.record(id, &stage) {
        tracing::error!(%id, %error, "the journal could not be written");
    }
    shared.board.finished(id, OrderOutcome::Failed { reason });
}
