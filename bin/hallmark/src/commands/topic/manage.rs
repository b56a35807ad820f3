//! Topics, slots, stake and money.

use super::needed_slot;
use crate::cli::{ChainArgs, KeyArgs, OptionalKeyArgs};
use crate::commands::{
    Error,
    chain::{connect, connect_signed},
    parse_mark, read,
};
use crate::output::{Reporter, mark, printable};
use alloy_primitives::{Address, U256};
use hallmark_client::{
    ClientError, Topics,
    topics::{Kind, Role, TopicPlan},
};
use serde_json::json;
use std::path::Path;

pub async fn create(
    topics: &Topics,
    file: Option<&Path>,
    title: Option<String>,
    kind: Option<Kind>,
    report: &Reporter,
) -> Result<(), Error> {
    let mut plan = match (file, kind) {
        (Some(path), _) => {
            let text = String::from_utf8(read(path)?).map_err(|e| Error::at(path.display(), e))?;
            TopicPlan::from_json(&text).map_err(|e| Error::at(path.display(), e))?
        }
        (None, Some(kind)) => TopicPlan::of_kind(title.as_deref().unwrap_or_default(), kind)?,
        (None, None) => return Err(Error::new("give a file, or --title and --kind")),
    };
    if let Some(title) = title {
        plan.title = title;
    }
    let (topic, receipt) = topics.create(&plan).await?;
    let made = topics.get(topic).await?;
    report.result(
        format!(
            "topic {topic}: {}\nbond {} MARK, which `hallmark topic retire {topic}` returns\njoin it with\n  hallmark topic join {topic} --role worker",
            printable(&made.title),
            mark(U256::from(made.bond)),
        ),
        &json!({
            "topic": topic.to_string(),
            "title": made.title,
            "bond": made.bond.to_string(),
            "policy": made.policy,
            "transaction": receipt.transaction_hash,
        }),
    );
    Ok(())
}

/// A slot that was taken.
pub struct Joined {
    pub slot: u16,
    pub role: Role,
    pub bond: u128,
    pub staked: U256,
}

/// Takes a slot for at most `max_bond` (the price now when absent, with what whom it puts out gets), and
/// stakes on it.
pub async fn join(
    topics: &Topics,
    topic: U256,
    role: Role,
    max_bond: Option<&str>,
    stake: Option<&str>,
) -> Result<Joined, Error> {
    let stake = stake.map(|text| parse_mark("--stake", text)).transpose()?;
    let (bond, compensation) = topics.entry(topic, role).await?;
    let price = U256::from(bond) + U256::from(compensation);
    let most = match max_bond {
        Some(text) => parse_mark("--max-bond", text)?,
        None => price,
    };
    if most < price {
        return Err(Error::new(format!(
            "a slot of topic {topic} costs {} MARK now ({} of it go to whom it puts out), more than --max-bond {}",
            mark(price),
            mark(U256::from(compensation)),
            mark(most)
        )));
    }
    let (slot, _) = topics.register(topic, role, most).await.map_err(|error| {
        match error.is_refusal("WrongPayment") {
            true => Error::new(format!(
                "{error}: the price rose above {} MARK meanwhile; allow more with --max-bond",
                mark(most)
            )),
            false => error.into(),
        }
    })?;
    if let Some(amount) = stake {
        topics.stake(topic, slot, amount).await?;
    }
    let bond = topics.slot(topic, slot).await?.bond;
    Ok(Joined {
        slot,
        role,
        bond,
        staked: stake.unwrap_or_default(),
    })
}

pub fn report_joined(topic: U256, joined: &Joined, report: &Reporter) {
    report.result(
        format!(
            "slot {} of topic {topic}, {}, bond {} MARK, staked {} MARK",
            joined.slot,
            joined.role,
            mark(U256::from(joined.bond)),
            mark(joined.staked)
        ),
        &json!({
            "topic": topic.to_string(),
            "slot": joined.slot,
            "role": joined.role,
            "bond": joined.bond.to_string(),
            "staked": joined.staked.to_string(),
        }),
    );
}

pub async fn leave(topics: &Topics, topic: U256, report: &Reporter) -> Result<(), Error> {
    let slot = needed_slot(topics, topic).await?;
    topics.leave(topic, slot.index).await?;
    let delay = topics.rules().await?.unstake_delay_ms;
    report.result(
        format!(
            "left slot {} of topic {topic}; the bond of {} MARK is free in {} s: `hallmark topic rewards --withdraw`",
            slot.index,
            mark(U256::from(slot.bond)),
            delay.div_ceil(1_000)
        ),
        &json!({
            "topic": topic.to_string(),
            "slot": slot.index,
            "bond": slot.bond.to_string(),
            "freeInMs": delay,
        }),
    );
    Ok(())
}

pub async fn top_up(
    topics: &Topics,
    topic: U256,
    amount: &str,
    report: &Reporter,
) -> Result<(), Error> {
    let amount = parse_mark("the amount", amount)?;
    let slot = needed_slot(topics, topic).await?;
    topics.top_up(topic, slot.index, amount).await?;
    let bond = topics.slot(topic, slot.index).await?.bond;
    report.result(
        format!(
            "added {} MARK; slot {} of topic {topic} has a bond of {} MARK",
            mark(amount),
            slot.index,
            mark(U256::from(bond))
        ),
        &json!({
            "topic": topic.to_string(),
            "slot": slot.index,
            "added": amount.to_string(),
            "bond": bond.to_string(),
        }),
    );
    Ok(())
}

pub async fn retire(topics: &Topics, topic: U256, report: &Reporter) -> Result<(), Error> {
    let bond = topics.get(topic).await?.bond;
    let (effective, _) = topics.retire(topic).await?;
    let waits = effective.saturating_sub(topics.client().now_ms().await?);
    report.result(
        format!(
            "topic {topic} opens no further epochs from {} s on, unless stake strikes it (`hallmark topic proposal {topic}`); its bond of {} MARK is free then: `hallmark topic rewards --withdraw`",
            waits.div_ceil(1_000),
            mark(U256::from(bond)),
        ),
        &json!({
            "topic": topic.to_string(),
            "bond": bond.to_string(),
            "effectiveAtMs": effective,
        }),
    );
    Ok(())
}

pub async fn reclaim(topics: &Topics, topic: U256, report: &Reporter) -> Result<(), Error> {
    let (amount, _) = topics.reclaim(topic).await?;
    report.result(
        format!(
            "{} MARK of what topic {topic} was granted are free: `hallmark topic rewards --withdraw`",
            mark(amount)
        ),
        &json!({ "topic": topic.to_string(), "amount": amount.to_string() }),
    );
    Ok(())
}

pub async fn stake(
    topics: &Topics,
    topic: U256,
    slot: u16,
    amount: &str,
    report: &Reporter,
) -> Result<(), Error> {
    let amount = parse_mark("--add", amount)?;
    topics.stake(topic, slot, amount).await?;
    let now = topics.slot(topic, slot).await?;
    let waiting = topics.waiting_stake(topic, now.pool).await?;
    let mut text = format!(
        "staked {} MARK on slot {slot} of topic {topic}; {} MARK count there",
        mark(amount),
        mark(U256::from(now.stake))
    );
    if waiting > 0 {
        text.push_str(&format!(
            ", {} MARK will when the present epoch has ended",
            mark(U256::from(waiting))
        ));
    }
    report.result(
        text,
        &json!({
            "topic": topic.to_string(),
            "slot": slot,
            "pool": now.pool.to_string(),
            "staked": amount.to_string(),
            "stakeOfSlot": now.stake.to_string(),
            "waitingStakeOfSlot": waiting.to_string(),
        }),
    );
    Ok(())
}

pub async fn unstake(
    topics: &Topics,
    topic: U256,
    slot: u16,
    amount: &str,
    report: &Reporter,
) -> Result<(), Error> {
    let account = topics.client().address().ok_or(ClientError::NoKey)?;
    let pool = topics.slot(topic, slot).await?.pool;
    let (shares, worth) = topics.position(pool, account).await?;
    let taken = match amount {
        "all" => shares,
        text => {
            let amount = parse_mark("--remove", text)?;
            if amount > U256::from(worth) || worth == 0 {
                return Err(Error::new(format!(
                    "this key has {} MARK in slot {slot} of topic {topic}, less than {}",
                    mark(U256::from(worth)),
                    mark(amount)
                )));
            }
            // Rounded up, so that the amount is reached.
            shares
                .checked_mul(amount)
                .map(|product| product.div_ceil(U256::from(worth)).min(shares))
                .ok_or_else(|| Error::new("the amount is too large"))?
        }
    };
    topics.unstake(pool, taken).await?;
    let (left, left_worth) = topics.position(pool, account).await?;
    let delay = topics.rules().await?.unstake_delay_ms;
    report.result(
        format!(
            "taken out of slot {slot} of topic {topic}; free in {} s: `hallmark topic rewards --withdraw`. {} MARK stay",
            delay.div_ceil(1_000),
            mark(U256::from(left_worth))
        ),
        &json!({
            "topic": topic.to_string(),
            "slot": slot,
            "pool": pool.to_string(),
            "sharesTaken": taken.to_string(),
            "sharesLeft": left.to_string(),
            "stakeLeft": left_worth.to_string(),
            "freeInMs": delay,
        }),
    );
    Ok(())
}

pub async fn fund(
    topics: &Topics,
    topic: U256,
    amount: &str,
    grant: bool,
    report: &Reporter,
) -> Result<(), Error> {
    let amount = parse_mark("the amount", amount)?;
    if grant {
        topics.grant(topic, amount).await?;
    } else {
        topics.fund(topic, amount).await?;
    }
    let now = topics.get(topic).await?;
    report.result(
        format!(
            "{} {} MARK in topic {topic}: burned {} MARK so far, paid {} MARK, granted and unpaid {} MARK",
            if grant { "granted" } else { "burned" },
            mark(amount),
            mark(U256::from(now.burned)),
            mark(U256::from(now.paid)),
            mark(U256::from(now.granted))
        ),
        &json!({
            "topic": topic.to_string(),
            "amount": amount.to_string(),
            "kind": if grant { "grant" } else { "fund" },
            "burned": now.burned.to_string(),
            "paid": now.paid.to_string(),
            "granted": now.granted.to_string(),
        }),
    );
    Ok(())
}

pub async fn advance(topics: &Topics, topic: U256, report: &Reporter) -> Result<(), Error> {
    topics.advance(topic).await?;
    let now = topics.get(topic).await?;
    report.result(
        format!("topic {topic}: epoch {} is {}", now.epoch, now.stage),
        &json!({
            "topic": topic.to_string(),
            "epoch": now.epoch,
            "stage": now.stage,
            "stageEndMs": now.stage_end_ms,
        }),
    );
    Ok(())
}

pub async fn rewards(
    account: Option<Address>,
    withdraw: bool,
    chain: ChainArgs,
    key: OptionalKeyArgs,
    report: &Reporter,
) -> Result<(), Error> {
    let key_of = |key: OptionalKeyArgs| {
        key.key.map(|path| KeyArgs {
            key: path,
            password_file: key.password_file,
        })
    };
    let (topics, account, moved) = match (account, key_of(key)) {
        (None, Some(key)) if withdraw => {
            let topics = connect_signed(&chain, &key).await?.topics();
            let account = topics.client().address().ok_or(ClientError::NoKey)?;
            let (moved, _) = topics.withdraw().await?;
            (topics, account, Some(moved))
        }
        (Some(account), _) => (connect(&chain).await?.topics(), account, None),
        _ => return Err(Error::new("give an account, or --withdraw with --key")),
    };
    let balances = topics.balances(account).await?;
    let mut stakes = Vec::new();
    for topic in topics.list(1_000).await? {
        for slot in topics.slots(topic.id).await? {
            if !slot.is_held() {
                continue;
            }
            let (shares, worth) = topics.position(slot.pool, account).await?;
            if slot.operator == account || !shares.is_zero() {
                stakes.push((topic.id, slot, worth));
            }
        }
    }
    let mut text = format!("account   {account}\n");
    if let Some(moved) = moved {
        text.push_str(&format!("withdrawn {} MARK\n", mark(moved)));
    }
    text.push_str(&format!(
        "free      {} MARK\nvesting   {} MARK\nwaiting   {} MARK",
        mark(balances.free),
        mark(balances.vesting),
        mark(balances.waiting)
    ));
    for (topic, slot, worth) in &stakes {
        text.push_str(&format!(
            "\ntopic {topic} slot {} {}: stake {} MARK{}",
            slot.index,
            slot.role,
            mark(U256::from(*worth)),
            if slot.operator == account {
                format!(
                    ", bond {} MARK, earns about {} MARK an epoch",
                    mark(U256::from(slot.bond)),
                    mark(U256::from(slot.emission_ema))
                )
            } else {
                String::new()
            }
        ));
    }
    report.result(
        text,
        &json!({
            "account": account,
            "withdrawn": moved.map(|amount| amount.to_string()),
            "free": balances.free.to_string(),
            "vesting": balances.vesting.to_string(),
            "waiting": balances.waiting.to_string(),
            "nextAtMs": balances.next_at_ms,
            "slots": stakes.iter().map(|(topic, slot, worth)| json!({
                "topic": topic.to_string(),
                "slot": slot,
                "operates": slot.operator == account,
                "stakeOfAccount": worth.to_string(),
            })).collect::<Vec<_>>(),
        }),
    );
    Ok(())
}
