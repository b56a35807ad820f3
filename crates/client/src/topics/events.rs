//! What happened in a topic, read from the chain's log.

use super::{Stage, Topics, decimal, q64_to_f64};
use crate::ClientError;
use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::{Filter, Log};
use alloy_sol_types::{SolEvent, SolEventInterface};
use hallmark_abi::ITopics::{self, ITopicsEvents};
use hallmark_types::addresses::TOPICS;
use serde_json::{Value, json};

/// Blocks that one search for events covers.
const LOG_BLOCKS: u64 = 1_000;
/// JSON-RPC code of a bound that a node has reached.
const LIMIT: i64 = -32005;
/// JSON-RPC code of an answer that would be longer than a node sends.
const TOO_LONG: i64 = -32008;
/// JSON-RPC code of a method that a node does not have.
const NO_METHOD: i64 = -32601;

/// An event of contract `Topics`.
pub type TopicEvent = ITopicsEvents;

/// An event with its place in the chain.
#[derive(Clone, Debug)]
pub struct TopicLog {
    pub block: u64,
    /// Zero: the chain did it by itself at the end of the block, and no header commits to the event.
    pub transaction: B256,
    pub event: TopicEvent,
}

/// Events whose first indexed argument is a topic; those of pools and accounts are of no topic.
fn of_topics() -> Vec<B256> {
    vec![
        ITopics::Created::SIGNATURE_HASH,
        ITopics::RetirementProposed::SIGNATURE_HASH,
        ITopics::Retired::SIGNATURE_HASH,
        ITopics::Registered::SIGNATURE_HASH,
        ITopics::ToppedUp::SIGNATURE_HASH,
        ITopics::Pruned::SIGNATURE_HASH,
        ITopics::Compensated::SIGNATURE_HASH,
        ITopics::Left::SIGNATURE_HASH,
        ITopics::Funded::SIGNATURE_HASH,
        ITopics::Granted::SIGNATURE_HASH,
        ITopics::Reclaimed::SIGNATURE_HASH,
        ITopics::Opened::SIGNATURE_HASH,
        ITopics::StageChanged::SIGNATURE_HASH,
        ITopics::Committed::SIGNATURE_HASH,
        ITopics::Revealed::SIGNATURE_HASH,
        ITopics::Withheld::SIGNATURE_HASH,
        ITopics::TestSetCommitted::SIGNATURE_HASH,
        ITopics::TestSetRevealed::SIGNATURE_HASH,
        ITopics::Proven::SIGNATURE_HASH,
        ITopics::Inferred::SIGNATURE_HASH,
        ITopics::Settled::SIGNATURE_HASH,
        ITopics::Paid::SIGNATURE_HASH,
        ITopics::HousePaid::SIGNATURE_HASH,
        ITopics::PolicyProposed::SIGNATURE_HASH,
        ITopics::Vetoed::SIGNATURE_HASH,
        ITopics::PolicyChanged::SIGNATURE_HASH,
    ]
}

impl Topics {
    /// Events of a topic in a range of blocks, both ends included, oldest first.
    pub async fn events(
        &self,
        topic: U256,
        from: u64,
        to: u64,
    ) -> Result<Vec<TopicLog>, ClientError> {
        let filter = Filter::new().topic1(B256::from(topic));
        self.search(filter.event_signature(of_topics()), from, to)
            .await
    }

    /// Events of a topic from its creation on, oldest first.
    pub(super) async fn events_since_creation(
        &self,
        topic: U256,
    ) -> Result<Vec<TopicLog>, ClientError> {
        let head = self.client().block_number().await?;
        self.search_since_creation(topic, head).await
    }

    /// The same up to a block.
    pub(super) async fn search_since_creation(
        &self,
        topic: U256,
        to: u64,
    ) -> Result<Vec<TopicLog>, ClientError> {
        let filter = Filter::new().topic1(B256::from(topic));
        self.search_back(filter.event_signature(of_topics()), 0, to, |log| {
            matches!(log.event, TopicEvent::Created(_))
        })
        .await
    }

    /// What settled a topic and who took and gave up its slots, oldest first: from a mechanism's
    /// latest settlement on, or from `from` on if the blocks since then have none. Both ends included.
    pub(super) async fn since_settlement(
        &self,
        topic: U256,
        mechanism: u8,
        from: u64,
        to: u64,
    ) -> Result<Vec<TopicLog>, ClientError> {
        let filter = Filter::new()
            .topic1(B256::from(topic))
            .event_signature(vec![
                ITopics::Created::SIGNATURE_HASH,
                ITopics::Registered::SIGNATURE_HASH,
                ITopics::Pruned::SIGNATURE_HASH,
                ITopics::Left::SIGNATURE_HASH,
                ITopics::Settled::SIGNATURE_HASH,
            ]);
        self.search_back(filter, from, to, |log| match &log.event {
            TopicEvent::Created(_) => true,
            TopicEvent::Settled(e) => e.mechanism == mechanism,
            _ => false,
        })
        .await
    }

    pub(super) async fn search(
        &self,
        filter: Filter,
        from: u64,
        to: u64,
    ) -> Result<Vec<TopicLog>, ClientError> {
        let mut events = Vec::new();
        let (mut from, mut blocks) = (from, LOG_BLOCKS);
        while from <= to {
            let end = to.min(from.saturating_add(blocks - 1));
            match self.range(&filter, from, end).await? {
                Some(found) => {
                    events.extend(found);
                    from = end + 1;
                }
                None => blocks = (end - from).div_ceil(2),
            }
        }
        Ok(events)
    }

    /// Searches from `to` down to `from`, and ends with the first piece that has the event wanted.
    /// What it has read is returned whole, oldest first.
    pub(super) async fn search_back(
        &self,
        filter: Filter,
        from: u64,
        to: u64,
        is_wanted: impl Fn(&TopicLog) -> bool,
    ) -> Result<Vec<TopicLog>, ClientError> {
        let mut pieces = Vec::new();
        let (mut end, mut blocks) = (to, LOG_BLOCKS);
        while from <= end {
            let start = from.max((end + 1).saturating_sub(blocks));
            match self.range(&filter, start, end).await? {
                Some(found) => {
                    let is_last = found.iter().any(&is_wanted);
                    pieces.push(found);
                    match start.checked_sub(1) {
                        Some(before) if !is_last => end = before,
                        _ => break,
                    }
                }
                None => blocks = (end - start).div_ceil(2),
            }
        }
        Ok(pieces.into_iter().rev().flatten().collect())
    }

    /// Events in a range of blocks; `None` if these are more than the node gives at once.
    async fn range(
        &self,
        filter: &Filter,
        from: u64,
        to: u64,
    ) -> Result<Option<Vec<TopicLog>>, ClientError> {
        let range = filter.clone().address(TOPICS).from_block(from).to_block(to);
        let range = json!([range]);
        let of_transactions = self.client().request("eth_getLogs", range.clone());
        let of_sweeps = self.client().request("hallmark_sweepLogs", range);
        let mut found: Vec<TopicLog> = Vec::new();
        for asked in
            <[Result<Vec<Log>, ClientError>; 2]>::from(futures::join!(of_transactions, of_sweeps))
        {
            match asked {
                Ok(logs) => {
                    for log in &logs {
                        found.push(read(log)?);
                    }
                }
                Err(error) if from < to && is_too_many(&error) => return Ok(None),
                // A node of another make does not tell what the chain did by itself.
                Err(ClientError::Rpc {
                    code: NO_METHOD, ..
                }) => {}
                Err(error) => return Err(error),
            }
        }
        // In a block, the chain's own work comes after all transactions.
        found.sort_by_key(|log| log.block);
        Ok(Some(found))
    }
}

/// Whether a node says that a range has too many blocks or logs; "busy" has the same code.
fn is_too_many(error: &ClientError) -> bool {
    match error {
        ClientError::Rpc { code, message, .. } => {
            let is_bound = ["exceeds", "more than"]
                .iter()
                .any(|part| message.contains(part));
            *code == TOO_LONG || (*code == LIMIT && is_bound)
        }
        _ => false,
    }
}

fn read(log: &Log) -> Result<TopicLog, ClientError> {
    let event = ITopicsEvents::decode_log(&log.inner)
        .map_err(|error| ClientError::Malformed(format!("an event of Topics: {error}")))?;
    Ok(TopicLog {
        block: log.block_number.unwrap_or_default(),
        transaction: log.transaction_hash.unwrap_or_default(),
        event: event.data,
    })
}

impl TopicLog {
    /// The event as a flat JSON object: `event`, `block`, and its arguments. Amounts are wei as
    /// text.
    pub fn to_json(&self) -> Value {
        let mut value = arguments(&self.event);
        value["block"] = self.block.into();
        value
    }
}

fn stage(number: u8) -> String {
    Stage::try_from(number).map_or_else(|_| number.to_string(), |stage| stage.to_string())
}

fn arguments(event: &TopicEvent) -> Value {
    match event {
        ITopicsEvents::Created(e) => {
            json!({ "event": "created", "topic": e.topic.to_string(), "owner": e.owner, "title": e.title, "bond": e.bond.to_string() })
        }
        ITopicsEvents::RetirementProposed(e) => {
            json!({ "event": "retirement proposed", "effectiveAtMs": e.effectiveAtMs })
        }
        ITopicsEvents::Retired(e) => json!({ "event": "retired", "topic": e.topic.to_string() }),
        ITopicsEvents::ToppedUp(e) => {
            json!({ "event": "topped up", "slot": e.slot, "amount": e.amount.to_string(), "bond": e.bond.to_string() })
        }
        ITopicsEvents::Reclaimed(e) => {
            json!({ "event": "reclaimed", "donor": e.donor, "amount": e.amount.to_string() })
        }
        ITopicsEvents::HousePaid(e) => {
            json!({ "event": "house paid", "epoch": e.epoch, "owner": e.owner, "toOwner": e.toOwner.to_string(), "treasury": e.treasury, "toTreasury": e.toTreasury.to_string() })
        }
        ITopicsEvents::Registered(e) => {
            json!({ "event": "registered", "slot": e.slot, "operator": e.operator, "role": e.role, "bond": e.bond.to_string(), "pool": e.pool.to_string() })
        }
        ITopicsEvents::Pruned(e) => {
            json!({ "event": "pruned", "slot": e.slot, "operator": e.operator, "returned": e.returned.to_string() })
        }
        ITopicsEvents::Compensated(e) => {
            json!({ "event": "compensated", "slot": e.slot, "operator": e.operator, "amount": e.amount.to_string() })
        }
        ITopicsEvents::Left(e) => {
            json!({ "event": "left", "slot": e.slot, "operator": e.operator, "returned": e.returned.to_string() })
        }
        ITopicsEvents::Staked(e) => {
            json!({ "event": "staked", "pool": e.pool.to_string(), "staker": e.staker, "amount": e.amount.to_string() })
        }
        ITopicsEvents::Unstaking(e) => {
            json!({ "event": "unstaking", "pool": e.pool.to_string(), "staker": e.staker, "amount": e.amount.to_string(), "freeAtMs": e.freeAtMs })
        }
        ITopicsEvents::TakeChanged(e) => {
            json!({ "event": "take changed", "pool": e.pool.to_string(), "takeBps": e.takeBps, "fromMs": e.fromMs })
        }
        ITopicsEvents::Withdrawn(e) => {
            json!({ "event": "withdrawn", "account": e.account, "amount": e.amount.to_string() })
        }
        ITopicsEvents::Funded(e) => {
            json!({ "event": "funded", "from": e.from, "burned": e.burned.to_string() })
        }
        ITopicsEvents::Granted(e) => {
            json!({ "event": "granted", "from": e.from, "amount": e.amount.to_string() })
        }
        ITopicsEvents::Opened(e) => {
            json!({ "event": "opened", "epoch": e.epoch, "closesAtMs": e.closesAtMs })
        }
        ITopicsEvents::StageChanged(e) => {
            json!({ "event": "stage", "epoch": e.epoch, "stage": stage(e.stage), "endsAtMs": e.endsAtMs })
        }
        ITopicsEvents::Committed(e) => {
            json!({ "event": "committed", "epoch": e.epoch, "mechanism": e.mechanism, "slot": e.slot, "commitment": e.commitment })
        }
        ITopicsEvents::Revealed(e) => {
            json!({ "event": "revealed", "epoch": e.epoch, "mechanism": e.mechanism, "slot": e.slot, "payload": e.payload })
        }
        ITopicsEvents::Withheld(e) => {
            json!({ "event": "withheld", "epoch": e.epoch, "slot": e.slot, "burned": e.burned.to_string() })
        }
        ITopicsEvents::TestSetCommitted(e) => {
            json!({ "event": "test set committed", "epoch": e.epoch, "commitment": e.commitment })
        }
        ITopicsEvents::TestSetRevealed(e) => {
            json!({ "event": "test set revealed", "epoch": e.epoch, "samples": e.samples })
        }
        ITopicsEvents::Proven(e) => {
            json!({ "event": "proven", "epoch": e.epoch, "slot": e.slot, "sample": e.sample, "correct": e.correct })
        }
        ITopicsEvents::Inferred(e) => json!({
            "event": "inferred", "epoch": e.epoch, "value": q64_to_f64(e.value), "exact": decimal(e.value),
            "percentiles": e.percentiles.map(q64_to_f64),
        }),
        ITopicsEvents::Settled(e) => {
            json!({ "event": "settled", "epoch": e.epoch, "mechanism": e.mechanism, "pay": e.pay.to_string(), "shares": e.shares })
        }
        ITopicsEvents::Paid(e) => {
            json!({ "event": "paid", "epoch": e.epoch, "slot": e.slot, "operator": e.operator, "toOperator": e.toOperator.to_string(), "toPool": e.toPool.to_string() })
        }
        ITopicsEvents::PolicyProposed(e) => {
            json!({ "event": "policy proposed", "effectiveAtMs": e.effectiveAtMs, "newOwner": e.newOwner })
        }
        ITopicsEvents::Vetoed(e) => {
            json!({ "event": "vetoed", "by": e.by, "stake": e.stake.to_string(), "struck": e.struck })
        }
        ITopicsEvents::PolicyChanged(_) => json!({ "event": "policy changed" }),
    }
}
